"""paas-launcher and paas-shim: how a dyno starts, speaks and ends. See lib/sandbox.py."""
import os
import re
import signal
import time

import pytest

from sandbox import alive, box, MiB, shared, Shim, sink, until, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")


# --- start, end, signals ---------------------------------------------------------------------------

def test_the_launcher_says_what_the_host_offers(box):
    info = box.launcher.info()
    assert info["runtime"] == "sandbox"
    assert info["limits"] in ("cgroup2", "cgroup1", "systemd", "none")
    assert (info["limits"] == "none") == any("limits" in n for n in info["notes"])
    assert re.match(r"10\.\d+\.\d+\.1$", info["gateway"])


@pytest.mark.parametrize("status", [0, 3, 255])
def test_exit_status(box, status):
    assert box.output("exit %d" % status)[0] == status


def test_a_command_that_does_not_exist(box):
    code, out = box.output(["no-such-command"])
    assert (code, out) == (127, "paas: cannot run no-such-command: No such file or directory\n")


def test_what_the_process_gets(box):
    code, out = box.output('pwd; echo "$HOME $A"; id -un; id -u; cat hello; hostname; umask; env | wc -l; '
                           'cat /sys/fs/cgroup/memory/memory.limit_in_bytes; ulimit -c; ls -A /proc/self/fd | wc -l',
                           env={"A": "b c"}, app_uid=7, mem_quota=512 * MiB, name="web.12")
    lines = out.split("\n")
    assert code == 0
    assert lines[:3] == ["/app", "/app b c", "app"]
    assert int(lines[3]) % 65536 == (1000000 + 7) % 65536
    assert lines[4:7] == ["hello", "web.12", "0022"]
    assert int(lines[7]) <= 7  # A, HOME, PATH, and what bash adds: nothing of the host's
    assert lines[8:11] == [str(512 * MiB), "0", "4"]


def test_status_file(box):
    id = box.create("exit 5")
    path = "%s/dynos/%s/status" % (box.run, id)
    until(lambda: os.path.exists(path), "no status file")
    text = open(path).read()
    assert re.match(r"exit 5\noom 0\nended_us \d{16}\n$", text)


def test_sigterm_reaches_every_process(box):
    id, s = box.attach('trap "echo first; exit 0" TERM; '
                       '(trap "echo second; exit 0" TERM; echo up; while :; do sleep 0.05; done) & '
                       'while :; do sleep 0.05; done; wait')
    s.until(b"up")
    s.signal(signal.SIGTERM)
    code, out = s.finish()
    assert code == 0 and b"first" in out
    assert b"second" in out or s.exit["code"] == 0  # may die with the init before it can speak
    assert s.exit["signal"] == 0


def test_a_process_that_dies_of_sigterm(box):
    id, s = box.attach(["sleep", "100"])
    s.signal(signal.SIGTERM)
    assert s.finish()[0] == 143 and s.exit["signal"] == 15
    path = "%s/dynos/%s/status" % (box.run, id)
    assert open(path).read().startswith("signal 15\n")


def test_sigkill_takes_everything(box):
    id, s = box.attach('trap "" TERM; setsid sleep 1000 & sleep 1000 & echo up; wait')
    s.until(b"up")
    init = box.init_pid(id)
    s.signal(signal.SIGKILL)
    assert s.finish()[0] == 137 and s.exit["signal"] == 9
    assert not alive(init)


def test_orphans_are_reaped(box):
    code, out = box.output('(sleep 0.05 & ) ; sleep 0.3; ps -eo stat= | grep -c Z')
    assert out.strip() == "0"


def test_ends_when_the_first_process_ends(box):
    start = time.monotonic()
    code, _ = box.output("sleep 1000 & exit 4")
    assert code == 4 and time.monotonic() - start < 5


# --- output ----------------------------------------------------------------------------------------

def test_stdout_and_stderr_keep_their_order(box, sink):
    id, s = box.attach("for i in {1..500}; do echo o$i; echo e$i >&2; done", log=1)
    want = "".join("o%d\ne%d\n" % (i, i) for i in range(1, 501))
    assert s.finish()[1].decode() == want
    sink.wait(lambda k: len(k.lines) >= 1000)
    assert [t.decode() for t in sink.texts()] == want.split()
    assert all(source == "app" and proc == "web.1" for source, proc, _, _ in sink.lines)
    stamps = [ts for _, _, ts, _ in sink.lines]
    assert stamps == sorted(stamps) and abs(stamps[0] / 1e6 - time.time()) < 60


def test_output_can_be_opened_by_its_name(box):
    """Programs that log to /dev/stdout and scripts that redirect to /dev/stderr open it anew."""
    code, out = box.output("echo one >/dev/stdout; echo two >>/dev/stderr; echo three | tee /dev/stderr >/dev/null")
    assert (code, out) == (0, "one\ntwo\nthree\n")


def test_lines_are_cut_and_trimmed(box, sink):
    box.create(r"""printf 'crlf\r\n\nmiddle\rstays\n'; printf 'x%.0s' {1..25000}; printf '\nlast'""", log=1)
    sink.wait(lambda k: b"last" in k.texts())
    assert sink.texts() == [b"crlf", b"", b"middle\rstays", b"x" * 10000, b"x" * 10000, b"x" * 5000,
                            b"last"]


def test_a_line_comes_at_once(box, sink):
    id, s = box.attach("echo now; sleep 100", log=1)
    s.until(b"now")
    start = time.monotonic()
    sink.wait(lambda k: k.texts() == [b"now"])
    assert time.monotonic() - start < 1


def test_logs_wait_while_paasd_is_away(box):
    id = box.create("for i in {1..3000}; do echo line $i; done; echo done; sleep 100", log=1,
                    keep_output=MiB)
    until(lambda: b"done" in open("%s/dynos/%s/output" % (box.run, id), "rb").read(), "no output")
    sink = wire.LogSink(box.run)
    try:
        sink.wait(lambda k: b"done" in k.texts())
        assert sink.texts() == [b"line %d" % i for i in range(1, 3001)] + [b"done"]
    finally:
        sink.close()


def test_unacknowledged_logs_come_again(box):
    deaf = wire.LogSink(box.run, ack=False)
    id, s = box.attach("echo one; read -t 100 < <(sleep 100)", log=1)
    deaf.wait(lambda k: k.texts() == [b"one"])
    deaf.close()
    sink = wire.LogSink(box.run)
    try:
        sink.wait(lambda k: k.texts() == [b"one"])
    finally:
        sink.close()


def test_logs_of_a_dyno_that_ended_while_paasd_was_away(box):
    """Status and spool stay; the spool is bounded and says what it lost."""
    id = box.create("for i in {1..40000}; do echo line number $i of many; done", log=1)
    pid = box.last[2]
    until(lambda: not alive(pid), "the shim does not leave")
    path = "%s/dynos/%s/" % (box.run, id)
    assert open(path + "status").read().startswith("exit 0\n")
    data, last, kept = open(path + "spool", "rb").read(), 0, 0
    assert 300000 < len(data) <= MiB
    while data:
        kind, fields, data = wire.parse(data)
        assert kind == wire.LOG_BATCH
        for k, v in fields:
            if k == wire.K["DROPPED"]:
                last += wire.number(v)  # every gap is accounted for, where it is
            elif k == wire.K["TEXT"]:
                last, kept = last + 1, kept + 1
                assert v == b"line number %d of many" % last
    assert last == 40000 and kept > 7000  # what 300000 bytes hold


def test_a_late_attach_sees_what_was_kept(box):
    id = box.create("echo early; read x; echo late", stdio=wire.PIPE, keep_output=1000)
    until(lambda: os.path.getsize("%s/dynos/%s/output" % (box.run, id)) == 6, "no output")
    s = Shim(box.run, id).attach(2)
    s.until(b"rly\n")
    s.stdin(b"\n")
    assert s.finish() == (0, b"rly\nlate\n")


def test_kept_output_is_bounded(box):
    id, s = box.attach("head -c 100000 /dev/zero | tr '\\0' a", keep_output=5000)
    assert len(s.finish()[1]) == 100000
    assert os.path.getsize("%s/dynos/%s/output" % (box.run, id)) == 5000


def test_a_client_that_does_not_read_holds_the_app_up_and_loses_nothing(box):
    id, s = box.attach("seq 1 2500000; echo end")
    shim = box.last[2]

    def ticks():
        with open("/proc/%d/stat" % shim) as f:
            return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])

    until(lambda: ticks() == (time.sleep(0.3), ticks())[1], "the shim goes on")
    with open("/proc/%d/status" % shim) as f:
        assert int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) < 14000  # KiB: nothing piles up
    assert s.finish(60)[0] == 0
    assert s.output == b"".join(b"%d\n" % i for i in range(1, 2500001)) + b"end\n"
    at = 0
    for kind, d in s.events:
        if kind == wire.SHIM["OUTPUT"]:
            assert wire.number(d[wire.S["OFFSET"]]) == at
            at += len(d[wire.S["DATA"]])


def test_stdin(box):
    id, s = box.attach(["cat"], stdio=wire.PIPE)
    big = os.urandom(300000)
    s.stdin(b"first\n")
    for at in range(0, len(big), 50000):
        s.stdin(big[at:at + 50000])
        s.until(b"first\n" + big[:at])
    s.eof()
    assert s.finish() == (0, b"first\n" + big)


def test_stdin_can_be_opened_by_its_name(box):
    id, s = box.attach(["cat", "/dev/stdin"], stdio=wire.PIPE)
    s.stdin(b"by name\n")
    s.eof()
    assert s.finish() == (0, b"by name\n")


# --- terminals ---------------------------------------------------------------------------------------

@pytest.fixture
def shell(box):
    id, s = box.attach(["/bin/bash", "--norc", "-i"], stdio=wire.PTY, rows=30, cols=100,
                       env={"TERM": "xterm", "PS1": "$ "})
    s.until(b"$ ")
    return s


def expect(s, command, want, timeout=10):
    before = len(s.output)
    s.stdin(command)
    until_re(s, want, before, timeout)


def until_re(s, want, start, timeout=10):
    end = time.monotonic() + timeout
    while not re.search(want, s.output[start:]):
        assert time.monotonic() < end, s.output[start:]
        try:
            s.step(max(0.01, end - time.monotonic()))
        except TimeoutError:
            raise AssertionError("%r is not in %r" % (want, s.output[start:]))


def test_terminal_is_one(shell):
    expect(shell, b"tty; test -t 0 -a -t 1 -a -t 2 && echo is''atty\n", rb"/dev/pts/0\r\nisatty")
    expect(shell, b"stty size\n", rb"[\r\n]30 100\r")
    assert b"no job control" not in shell.output and b"ioctl" not in shell.output


def test_resize(shell):
    expect(shell, b"trap 'echo winch $(stty size)' WINCH; echo re''ady\n", rb"ready")
    before = len(shell.output)
    shell.resize(50, 132)
    shell.stdin(b"\n")
    until_re(shell, rb"winch 50 132", before)


def test_job_control(shell):
    # the job speaks itself: only then is it sure to be in the foreground
    job = ("/usr/bin/python3 -uc 'import signal as s, time; "
           "s.signal(s.SIGCONT, lambda *_: print(\"ag\" + \"ain\")); print(\"in\" + \"side\"); time.sleep(100)'\n")
    expect(shell, job.encode(), rb"inside\r\n")
    expect(shell, b"\x1a", rb"\[1\]\+\s+Stopped\s+/usr/bin/python3")
    expect(shell, b"fg\n", rb"again\r\n")
    # bash may still be handing the terminal over: ask as a person would, again
    before = len(shell.output)
    for _ in range(10):
        shell.stdin(b"\x03")
        try:
            until_re(shell, rb"KeyboardInterrupt[^$]*\$ ", before, 2)
            break
        except AssertionError:
            pass
    expect(shell, b"echo status $?\n", rb"status 130\r")
    expect(shell, b"sleep 1000 &\n", rb"\[1\] \d+\r\n")
    expect(shell, b"jobs\n", rb"\[1\]\+\s+Running\s+sleep 1000")
    expect(shell, b"kill %1; wait %1; echo status $?\n", rb"status 143\r")  # whether bash also reports the job is a matter of timing


def test_end_of_file_ends_the_shell(shell):
    # at the prompt: an end of file that is typed before it is lost when the shell changes the terminal's mode
    expect(shell, b"(exit 9)\n", rb"\$ $")
    shell.eof()
    assert shell.finish()[0] == 9


def test_ctrl_c(box):
    id, s = box.attach("echo up; exec sleep 1000", stdio=wire.PTY)
    s.until(b"up")
    s.stdin(b"\x03")
    assert s.finish()[0] == 130


# --- attach and detach -------------------------------------------------------------------------------

def test_nothing_runs_before_the_attach_and_r13_after_its_time(box):
    start = time.monotonic()
    id = box.create("touch /tmp/ran; echo ran", attach_ms=700, keep_output=100)
    s = Shim(box.run, id).supervise()
    assert wire.number(s.until("STATE")[wire.S["RUNNING"]]) == 0
    assert wire.number(s.until("DETACHED")[wire.S["CODE"]]) == 13
    s.until("EXIT")
    assert 0.6 < time.monotonic() - start < 10
    assert s.exit["signal"] == 9
    assert os.path.getsize("%s/dynos/%s/output" % (box.run, id)) == 0


def test_detach_kill(box):
    id, s = box.attach("echo up; sleep 1000", on_detach=wire.KILL)
    s.until(b"up")
    watch = Shim(box.run, id).supervise()
    watch.until("STATE")
    s.close()
    watch.until("EXIT", 5)
    assert watch.exit["signal"] == 9


def test_detach_keep_and_attach_again(box):
    id, s = box.attach("echo up; read x; echo got $x", stdio=wire.PIPE, keep_output=100)
    s.until(b"up")
    s.close()
    again = Shim(box.run, id).attach(0)
    again.until(b"up")
    again.stdin(b"it\n")
    assert again.finish() == (0, b"up\ngot it\n")


def test_a_new_attach_replaces_the_old(box):
    id, s = box.attach("echo up; sleep 1000", on_detach=wire.KILL)
    s.until(b"up")
    other = Shim(box.run, id).attach(3)
    with pytest.raises(wire.Closed):
        while True:
            s.step(5)
    other.signal(signal.SIGTERM)
    assert other.finish()[0] == 143  # not the KILL of a detach


def test_detach_hangs_up(box):
    id, s = box.attach('trap "exit 33" HUP; echo up; while :; do sleep 0.1; done', on_detach=wire.HANGUP)
    s.until(b"up")
    watch = Shim(box.run, id).supervise()
    s.close()
    watch.until("EXIT", 5)
    assert watch.exit["code"] == 33


def test_r16_for_one_that_does_not_obey(box):
    id, s = box.attach('trap "" HUP; echo up; while :; do sleep 0.1; done', on_detach=wire.HANGUP)
    s.until(b"up")
    watch = Shim(box.run, id).supervise()
    s.close()
    start = time.monotonic()
    assert wire.number(watch.until("DETACHED", 25)[wire.S["CODE"]]) == 16
    assert 13 < time.monotonic() - start < 20
    watch.until("EXIT", 25)
    assert watch.exit["signal"] == 9


def test_time_to_live(box):
    id, s = box.attach('trap "exit 7" TERM; echo up; while :; do sleep 0.1; done', ttl_s=1)
    start = time.monotonic()
    assert s.finish()[0] == 7
    assert 0.8 < time.monotonic() - start < 10
