"""paasctl logs and run: the two streams, on pipes and on a pseudo-terminal. Against a fake API."""

import json
import os
import signal
import socket
import sys
import threading

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fake_api import ERROR, OUTPUT, RESIZE, SIGNAL, STDIN, STDIN_EOF, Attached, dyno, uid  # noqa: E402
from paasctl import api, cli  # noqa: E402,F401


# --- logs -----------------------------------------------------------------------------------
LINE = "2026-01-31T12:00:00.123456+00:00 app[web.1]: line %d"


def session(api, path="/logs/secret"):
    api.on("POST", "/apps/shop/log-sessions", (201, {"id": uid(1), "logplex_url": api.url + path}))


def head(status=b"200 OK", kind=b"text/event-stream"):
    return b"HTTP/1.1 " + status + b"\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n"


def event(n):
    return ("id: %d\ndata: %s\n\n" % (n, LINE % n)).encode()


def test_logs(cli, api):
    session(api)

    def stream(req, conn):
        assert req.headers["accept"] == "text/event-stream"
        assert "authorization" not in req.headers
        conn.sendall(head() + b"retry: 1\n\n" + event(1) + b": ping\n\nevent: other\ndata: no\n\n" + event(2))
    api.raw("GET", "/logs/secret", stream)
    r = cli("logs", "-a", "shop", "--debug")
    assert (r.code, r.out) == (0, LINE % 1 + "\n" + LINE % 2 + "\n")
    assert "/logs/secret" not in r.err
    cli("logs", "-a", "shop", "-n", "7", "-s", "app", "-d", "web.1")
    cli("logs", "-a", "shop", "-p", "worker", "-n", "99999")
    assert [q.json for q in api.seen("POST", "/apps/shop/log-sessions")] == [
        {"lines": 100, "tail": False},
        {"lines": 7, "tail": False, "source": "app", "dyno": "web.1"},
        {"lines": 1500, "tail": False, "dyno": "worker"}]
    assert cli("logs", "-a", "shop", "-n", "x").code == 2
    assert cli("logs", "-a", "shop", "-d", "web.1", "-p", "web").code == 2


@pytest.mark.parametrize("answer, text", [
    (head(kind=b"text/html") + b"<p>", "200 Invalid content type"),
    (head(b"404 Not Found"), "Log stream timed out"),
    (head(b"500 Oops"), "failed with: 500")])
def test_logs_that_cannot_be_had(cli, api, answer, text):
    session(api)
    api.raw("GET", "/logs/secret", lambda req, conn: conn.sendall(answer))
    for flags in ((), ("-t",)):
        r = cli("logs", "-a", "shop", *flags)
        assert r.code != 0 and text in r.err, r


def test_tail_reconnects_where_it_was(cli, api):
    """A cut connection, a server that is away, the end of the session: the reader sees every line once."""
    session(api)
    calls = []

    def stream(req, conn):
        calls.append(req.headers.get("last-event-id"))
        n = len(calls)
        if n == 1:
            conn.sendall(head() + b"retry: 1\n\n" + event(1) + b"id: 2\ndata: half")
        elif n == 2:
            pass  # closed without an answer
        elif n == 3:
            conn.sendall(head() + event(2))
        elif n == 4:
            conn.sendall(head(b"404 Not Found"))
        else:
            conn.sendall(head() + event(3))
            conn.recv(1)  # until the client goes
    api.raw("GET", "/logs/secret", stream)
    p = cli.start("logs", "-t", "-a", "shop")
    try:
        got = [p.stdout.readline().decode().strip() for _ in range(3)]
    finally:
        p.kill()
        p.communicate()
    assert got == [LINE % 1, LINE % 2, LINE % 3]
    assert calls == [None, "1", "1", "2", "2"]
    assert len(api.seen("POST", "/apps/shop/log-sessions")) == 2


def test_tail_ends_with_its_reader(cli, api):
    session(api)

    def stream(req, conn):
        conn.sendall(head())
        try:
            for n in range(100000):
                conn.sendall(event(n))
        except OSError:
            pass
    api.raw("GET", "/logs/secret", stream)
    p = cli.start("logs", "-t", "-a", "shop")
    p.stdout.readline()
    p.stdout.close()
    assert p.wait(10) is not None
    assert p.stderr.read() == b""
    p.stderr.close()


def test_logs_as_json(cli, api):
    session(api)
    lines = ["2026-01-31T12:00:00.123456+00:00 app[web.1]: say \"[it]: \\ \t ünï", "no log line at all", ""]
    api.raw("GET", "/logs/secret", lambda req, conn: conn.sendall(
        head() + b"".join(f"data: {line}\n\n".encode() for line in lines)))
    r = cli("logs", "-a", "shop", "--json", "--force-colors")
    assert r.code == 0 and [json.loads(line) for line in r.out.splitlines()] == [
        {"at": "2026-01-31T12:00:00.123456+00:00", "source": "app", "dyno": "web.1", "message": "say \"[it]: \\ \t ünï"},
        {"message": "no log line at all"}, {"message": ""}]


def test_logs_colours(cli, api):
    session(api)
    api.raw("GET", "/logs/secret", lambda req, conn: conn.sendall(head() + event(1)))
    assert "\x1b" not in cli("logs", "-a", "shop").out
    coloured = cli("logs", "-a", "shop", "--force-colors").out
    assert coloured.startswith("\x1b[") and coloured.endswith("app[web.1]:\x1b[0m line 1\n")
    tty = cli.on_tty("logs", "-a", "shop", env={"NO_COLOR": "1"})
    try:
        assert tty.wait() == 0 and b"\x1b" not in tty.seen
    finally:
        tty.close()


# --- run ------------------------------------------------------------------------------------
class Run:
    """The platform's side of one attached run; script(Attached) runs in its thread."""

    def __init__(self, api, script):
        self.script, self.done, self.error = script, threading.Event(), None
        api.on("POST", "/apps/shop/dynos", (201, dyno(
            "run.4711", attach_url="rendezvous://elsewhere.example:5000/s3cret?x=1")))
        api.raw("GET", "/attach/s3cret", self.attach)

    def attach(self, req, conn):
        try:
            assert req.query == "x=1"
            assert req.headers["connection"] == "Upgrade" and req.headers["upgrade"] == "paas-attach"
            assert "authorization" not in req.headers
            self.script(Attached(conn))
        except Exception as e:  # noqa: BLE001 - shown by the test
            self.error = e
        finally:
            self.done.set()

    def check(self):
        assert self.done.wait(10)
        if self.error:
            raise self.error


def test_run_on_pipes(cli, api):
    frames = []

    def script(s):
        while True:
            frames.append(s.frame())
            if frames[-1][0] == STDIN_EOF:
                break
        s.send(OUTPUT, b"caf\xc3\xa9 \x1b[1m")
        s.send(OUTPUT, b"\x00raw\n")
        s.send(99, b"from a newer server")
        s.exit(7)
    run = Run(api, script)
    r = cli("run", "-a", "shop", "-e", "A=1;B=x=y", "--env", "C=3", "-s", "basic", "--type", "web",
            "rake", "-T", "two words", 'say "x"', stdin=b"in\x04put", text=False)
    run.check()
    assert (r.code, r.out) == (0, b"caf\xc3\xa9 \x1b[1m\x00raw\n")
    assert r.err == ("Running rake -T \"two words\" \"say \\\"x\\\"\" on shop... up, run.4711\n").encode()
    assert frames == [(STDIN, b"in\x04put"), (STDIN_EOF, b"")]
    assert api.seen("POST", "/apps/shop/dynos")[0].json == {
        "attach": True, "command": 'rake -T "two words" "say \\"x\\""', "force_no_tty": True,
        "env": {"A": "1", "B": "x=y", "C": "3"}, "size": "basic", "type": "web"}


def test_run_passes_the_exit_status_on_request(cli, api):
    for code, sent in ((7, 7), (0, 0), (143, 143)):
        run = Run(api, lambda s: s.exit(sent))  # noqa: B023 - run before the next turn
        assert cli("run", "-x", "-a", "shop", "false").code == code
        run.check()


def test_run_of_one_argument_is_sent_as_it_is(cli, api):
    Run(api, lambda s: s.exit(0))
    assert cli("run", "-a", "shop", "--", "echo 'a b' | wc").code == 0
    assert api.seen("POST", "/apps/shop/dynos")[0].json["command"] == "echo 'a b' | wc"
    assert cli("run", "-a", "shop").code == 2
    assert cli("run", "-a", "shop", "-e", "nonsense", "x").code == 2


def test_console(cli, api):
    Run(api, lambda s: s.exit(0))
    assert cli("console", "-a", "shop").code == 0
    assert api.seen("POST", "/apps/shop/dynos")[0].json["command"] == "console"


def test_run_errors(cli, api):
    Run(api, lambda s: s.send(ERROR, b"R13: attach error\x1b[2J"))
    r = cli("run", "-a", "shop", "x")
    assert r.code == 1 and r.err.endswith(" ›   Error: R13: attach error?[2J\n".replace("?", " ")), r
    Run(api, lambda s: s.send(OUTPUT, b"half"))
    r = cli("run", "-a", "shop", "x")
    assert (r.code, r.out) == (1, "half") and "connection was lost" in r.err
    Run(api, lambda s: s.conn.sendall(b"\x11\x00\x00\x00\x09"))
    assert "malformed frame" in cli("run", "-a", "shop", "x").err
    api.on("POST", "/apps/shop/dynos", (422, {"id": "invalid_params", "message": "No such size."}))
    assert cli("run", "-a", "shop", "x").code == 2
    for url in ("rendezvous://h:1/", "rendezvous://h:1", "", "rendezvous://h:1/a b", "rendezvous://h:1/a\r\nX: y"):
        api.on("POST", "/apps/shop/dynos", (201, dyno("run.1", attach_url=url)))
        r = cli("run", "-a", "shop", "x")
        assert r.code == 1 and "no usable attach_url" in r.err, r
    api.on("POST", "/apps/shop/dynos", (201, dyno("run.1", attach_url="rendezvous://h:1/gone")))
    api.raw("GET", "/attach/gone", lambda req, conn: conn.sendall(head(b"404 Not Found")))
    r = cli("run", "-a", "shop", "x")
    assert r.code == 4 and "not there any more" in r.err, r


def test_run_moves_much_data_both_ways(cli, api):
    """More than fits into any buffer, while neither side reads all the time."""
    size = 8 << 20
    got = bytearray()

    def script(s):
        def write():
            for _ in range(size // 32768):
                s.send(OUTPUT, b"o" * 32768)
        writer = threading.Thread(target=write)
        writer.start()
        while True:
            kind, data = s.frame()
            if kind == STDIN_EOF:
                break
            got.extend(data)
        writer.join()
        s.exit(0)
    run = Run(api, script)
    r = cli("run", "-a", "shop", "cat", stdin=b"i" * size, text=False, timeout=60)
    run.check()
    assert r.code == 0 and len(r.out) == size and len(got) == size


def test_run_detached(cli, api):
    api.on("POST", "/apps/shop/dynos", (201, dyno("run.7")))
    for args in (("run:detached",), ("run", "-d")):
        r = cli(*args, "-a", "shop", "rake", "x")
        assert (r.code, r.err) == (0, "Running rake x on shop... done, run.7\n")
        assert r.out == "Run paasctl logs --app shop --dyno-name run.7 to view the output.\n"
    assert api.seen("POST", "/apps/shop/dynos")[0].json == {"attach": False, "command": "rake x", "env": {}}
    assert cli("run", "-d", "-x", "-a", "shop", "x").code == 2


def test_run_detached_with_its_logs(cli, api):
    api.on("POST", "/apps/shop/dynos", (201, dyno("run.7")))
    session(api)

    def stream(req, conn):
        conn.sendall(head() + event(1))
        conn.recv(1)
    api.raw("GET", "/logs/secret", stream)
    p = cli.start("run:detached", "-t", "-a", "shop", "x")
    try:
        assert p.stdout.readline().decode().strip() == LINE % 1
    finally:
        p.kill()
        p.communicate()
    assert api.seen("POST", "/apps/shop/log-sessions")[0].json == {"lines": 100, "tail": True, "dyno": "run.7"}


# --- run on a terminal ----------------------------------------------------------------------
def echo_until(key, status=0, frames=None):
    def script(s):
        s.send(OUTPUT, b"ready$ ")
        while True:
            frame = s.frame()
            if frames is not None:
                frames.append(frame)
            if frame is None:
                return
            if frame[0] == STDIN:
                s.send(OUTPUT, b"<" + frame[1] + b">")
                if key in frame[1]:
                    s.exit(status)
                    return
            if frame[0] == RESIZE:
                s.send(OUTPUT, b"[%d]" % frame[1][1])
    return script


def test_run_on_a_terminal(cli, api):
    frames = []
    run = Run(api, echo_until(b"\x04", 3, frames))
    tty = cli.on_tty("run", "-x", "-a", "shop", "bash", rows=40, cols=100)
    try:
        tty.expect(rb"up, run.4711\r\n")
        tty.expect(rb"ready\$ ")
        tty.expect(rb"\[40\]")
        assert tty.raw()
        tty.write(b"ls\r")
        tty.expect(rb"<ls\r>")
        tty.write(b"\x03")
        tty.expect(rb"<\x03>")  # the command's, not ours
        tty.resize(50, 120)
        tty.expect(rb"\[50\]")
        tty.write(b"\x04")
        assert tty.wait() == 3
        assert tty.modes() == tty.before
    finally:
        tty.close()
    run.check()
    body = api.seen("POST", "/apps/shop/dynos")[0].json
    assert body["env"] == {"TERM": "xterm", "COLUMNS": 100, "LINES": 40}
    assert "force_no_tty" not in body
    assert (RESIZE, b"\x00\x32\x00\x78") in frames


def test_run_without_a_tty_on_a_terminal(cli, api):
    """--no-tty: lines as they are typed, Ctrl-C as a signal, Ctrl-D as the end of input."""
    frames = []

    def script(s):
        s.send(OUTPUT, b"ready\n")
        while True:
            frames.append(s.frame())
            if frames[-1] is None or frames[-1][0] == STDIN_EOF:
                s.exit(0)
                return
            s.send(OUTPUT, b"got %d\n" % frames[-1][0])
    run = Run(api, script)
    tty = cli.on_tty("run", "--no-tty", "-a", "shop", "cat")
    try:
        tty.expect(rb"ready")
        assert not tty.raw()
        tty.write(b"\x03")
        tty.expect(b"got %d" % SIGNAL)
        tty.write(b"line\n")
        tty.expect(b"got %d\r\n" % STDIN)
        tty.write(b"\x04")
        assert tty.wait() == 0
    finally:
        tty.close()
    run.check()
    assert frames == [(SIGNAL, b"\x02"), (STDIN, b"line\n"), (STDIN_EOF, b"")]
    assert api.seen("POST", "/apps/shop/dynos")[0].json["force_no_tty"] is True


def test_second_interrupt_ends_a_run_without_a_tty(cli, api):
    run = Run(api, echo_until(b"never"))
    p = cli.start("run", "-a", "shop", "sleep", stdin=-1)
    try:
        assert p.stdout.read(7) == b"ready$ "
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGINT)
        for _ in range(100):
            if p.poll() is not None:
                break
            p.send_signal(signal.SIGINT)  # two at once may have been one
            try:
                p.wait(0.1)
            except Exception:  # noqa: BLE001 - not yet
                pass
        assert p.wait(5) == 130
    finally:
        p.kill()
        p.communicate()
    run.check()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_leave_the_terminal_as_it_was(cli, api, sig):
    run = Run(api, echo_until(b"never"))
    tty = cli.on_tty("run", "-a", "shop", "bash")
    try:
        tty.expect(rb"\[40\]")
        assert tty.raw()
        tty.child.send_signal(sig)
        assert tty.wait() == 128 + sig
        assert tty.modes() == tty.before
    finally:
        tty.close()
    run.check()


def test_a_crash_leaves_the_terminal_as_it_was(cli, api):
    Run(api, echo_until(b"never"))
    tty = cli.on_tty("run", "-a", "shop", "bash")
    try:
        tty.expect(rb"\[40\]")
        tty.child.send_signal(signal.SIGABRT)
        tty.wait()
        assert tty.modes() == tty.before
    finally:
        tty.close()


def test_a_lost_connection_leaves_the_terminal_as_it_was(cli, api):
    conns = []

    def script(s):
        conns.append(s.conn)
        s.send(OUTPUT, b"ready")
        while s.frame():
            pass
    Run(api, script)
    tty = cli.on_tty("run", "-a", "shop", "bash")
    try:
        tty.expect(rb"ready")
        conns[0].shutdown(socket.SHUT_RDWR)
        assert tty.wait() == 1
        assert b"connection was lost" in tty.seen
        assert tty.modes() == tty.before
    finally:
        tty.close()


def test_stopping_and_going_on(cli, api):
    Run(api, echo_until(b"\x04"))
    tty = cli.on_tty("run", "-a", "shop", "bash")
    try:
        tty.expect(rb"\[40\]")
        tty.child.send_signal(signal.SIGTSTP)
        pid, status = os.waitpid(tty.child.pid, os.WUNTRACED)
        assert pid == tty.child.pid and os.WIFSTOPPED(status)
        assert tty.modes() == tty.before
        tty.seen = b""
        tty.child.send_signal(signal.SIGCONT)
        tty.expect(rb"\[40\]")  # the size is told again
        assert tty.raw()
        tty.write(b"\x04")
        assert tty.wait() == 0
    finally:
        tty.close()


def test_four_interrupts_in_a_second_end_it(cli, api):
    Run(api, echo_until(b"never"))
    tty = cli.on_tty("run", "-a", "shop", "bash")
    try:
        tty.expect(rb"\[40\]")
        for n in range(1, 5):
            tty.write(b"\x03")
            if n < 4:
                tty.expect(rb"(<\x03>.*){%d}" % n)
        assert tty.wait() == 1
    finally:
        tty.close()
