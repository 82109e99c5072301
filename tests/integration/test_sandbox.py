"""paas-launcher and paas-shim, driven over their sockets, in network and mount namespaces of the
test's own: the host's are never touched."""
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import wire  # noqa: E402
from wire import Shim, LaunchError  # noqa: E402

BUILD = os.environ.get("PAAS_BUILD", os.path.join(ROOT, "build"))
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")
MiB = 1 << 20


def until(what, why, timeout=20):
    end = time.monotonic() + timeout
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < end, why
        time.sleep(0.01)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Box:
    """A launcher in namespaces of its own, and what the tests need around it."""

    def __init__(self, args=(), owner=0):
        self.dir = tempfile.mkdtemp(prefix="paas-sbx.")
        self.run, self.state = self.dir + "/run", self.dir + "/state"
        for d in (self.run, self.state, self.state + "/slugs/one", self.state + "/builds/b1/app"):
            os.makedirs(d)
        self.slug = self.state + "/slugs/one"
        with open(self.slug + "/hello", "w") as f:
            f.write("hello\n")
        os.mkdir(self.slug + "/sub")
        if owner:
            os.chmod(self.dir, 0o755)
            subprocess.run(["chown", "-R", "%d:%d" % (owner, owner), self.run, self.state], check=True)
            args = list(args) + ["--owner", str(owner)]
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "sh", "-c",
                                        "ip link set lo up; echo; exec sleep infinity"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"]
        self.process = wire.LauncherProcess(BUILD + "/paas-launcher", self.run, self.state, args,
                                            self.prefix)
        self.launcher = self.process.connect()
        self.made = []

    def inside(self, *cmd, **kw):
        """Runs a command in the host's part of the test: the namespace of the launcher."""
        return subprocess.run(self.prefix + list(cmd), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, **kw)

    def create(self, argv, **spec):
        if isinstance(argv, str):
            argv = ["/bin/bash", "-c", argv]
        spec.setdefault("slug", self.slug)
        id, ip, pid = self.launcher.create(argv, **spec)
        self.made.append(id)
        self.last = (id, ip, pid)
        return id

    def attach(self, argv, **spec):
        """Starts a dyno that waits for us, and attaches: not a byte is missed."""
        spec.setdefault("attach_ms", 20000)
        id = self.create(argv, **spec)
        return id, Shim(self.run, id).attach()

    def output(self, argv, **spec):
        """(exit code, output) of a command."""
        id, s = self.attach(argv, **spec)
        code, out = s.finish(spec.pop("timeout", 30))
        self.launcher.remove(id)
        return code, out.decode()

    def init_pid(self, id):
        return struct.unpack(">Q", Shim(self.run, id).supervise().until("STATE")[wire.S["PID"]])[0]

    def restart(self):
        self.launcher.close()
        self.process.start()
        self.launcher = self.process.connect()

    def slot(self):
        with open(self.state + "/instance") as f:
            return int(f.read().split()[1])

    def leftovers(self, slot):
        """Everything on this machine that still carries the instance's names."""
        found = []
        links = self.inside("ip", "-o", "link").stdout
        found += ["link " + n for n in re.findall(r"^\d+: ([^:@]+)", links, re.M)
                  if n == "paas%d" % slot or n.startswith("pd%02x" % slot)]
        found += [t for t in self.inside("nft", "list", "tables").stdout.splitlines()
                  if t.endswith("paasd%d" % slot)]
        for top, dirs, _ in os.walk("/sys/fs/cgroup"):
            if top.count("/") > 4:
                dirs[:] = []
            found += ["cgroup %s/%s" % (top, d) for d in dirs if d == "paasd%d" % slot]
        for p in os.listdir("/proc"):
            if p.isdigit() and int(p) != self.holder.pid:
                try:
                    cwd = os.readlink("/proc/%s/cwd" % p)
                    exe = os.readlink("/proc/%s/exe" % p)
                except OSError:
                    continue
                if cwd.startswith(self.dir) or (exe.endswith("/paas-shim") and self.run in cwd):
                    found.append("process %s %s" % (p, exe))
        for mounts in ("/proc/self/mounts", "/proc/%d/mounts" % self.holder.pid):
            with open(mounts) as f:
                found += ["mount " + m for m in f if self.dir in m]
        for d in (self.run, self.state):
            found += ["folder %s/%s" % (d, n) for n in os.listdir(d)
                      if n in ("dynos", "box", "launcher.sock", "launcher.lock")]
        if os.path.exists("/run/paasd-slots/%d" % slot):
            found.append("slot file %d" % slot)
        return found

    def close(self):
        self.launcher.close()
        self.process.end()
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def shared():
    b = Box(["--host-port", "5999"])
    yield b
    b.close()


@pytest.fixture
def box(shared):
    """The module's launcher; the dynos that a test made go with it."""
    shared.made = []
    yield shared
    for id in shared.made:
        shared.launcher.remove(id)
    assert not set(shared.made) & set(shared.launcher.list())


@pytest.fixture
def own_box():
    b = Box()
    yield b
    b.close()


@pytest.fixture
def sink(box):
    s = wire.LogSink(box.run)
    yield s
    s.close()


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
    shell.stdin(b"(exit 9)\n")
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


# --- limits -------------------------------------------------------------------------------------------

@pytest.fixture
def limited(box):
    if box.launcher.info()["limits"] == "none":
        pytest.skip("no cgroup hierarchy is writable here")
    return box


def test_out_of_memory(limited):
    id, s = limited.attach(["/usr/bin/python3", "-c", "b = bytearray(200 << 20); print(len(b))"],
                           mem_max=64 * MiB)
    code, out = s.finish()
    assert (code, s.exit["signal"]) == (137, 9)
    assert s.exit["oom"] >= 1
    assert "oom %d\n" % s.exit["oom"] in open("%s/dynos/%s/status" % (limited.run, id)).read()


def test_a_worker_out_of_memory_ends_the_dyno(limited):
    id, s = limited.attach("echo up; python3 -c 'b = bytearray(200 << 20)'; echo alive; sleep 1000",
                           mem_max=64 * MiB)
    code, out = s.finish()
    assert code == 137 and out.startswith(b"up\n") and s.exit["oom"] >= 1


def test_memory_samples(limited):
    id, s = limited.attach(["/usr/bin/python3", "-c",
                            "import time; b = bytearray(50 << 20); print('up', flush=True); time.sleep(100)"],
                           metrics_ms=50)
    s.until(b"up")
    watch = Shim(limited.run, id).supervise()
    for _ in range(100):
        watch.events.clear()
        d = watch.until("MEM")
        if wire.number(d[wire.S["MEM_RSS"]]) > 50 * MiB:
            break
    assert 50 * MiB < wire.number(d[wire.S["MEM_RSS"]]) < 100 * MiB
    assert wire.number(d[wire.S["MEM_TOTAL"]]) >= wire.number(d[wire.S["MEM_RSS"]])


def test_too_many_processes(limited):
    code, out = limited.output("for i in {1..40}; do sleep 10 & done; echo all", pids_max=20)
    assert "Resource temporarily unavailable" in out


def test_tmp_is_bounded(box):
    code, out = box.output("head -c 3000000 /dev/zero > /tmp/x; stat -c %s /tmp/x", tmp_bytes=MiB)
    assert "No space left" in out and out.endswith("%d\n" % MiB)


# --- files ----------------------------------------------------------------------------------------------

def test_app_is_a_private_copy(box):
    code, out = box.output("echo mine > hello; rm -r sub; mkdir new; touch new/x; ls; cat hello")
    assert out == "hello\nnew\nmine\n"
    assert sorted(os.listdir(box.slug)) == ["hello", "sub"]
    assert open(box.slug + "/hello").read() == "hello\n"
    assert box.output("ls; cat hello")[1] == "hello\nsub\nhello\n"


def test_binds_belong_to_the_app_inside_and_to_paasd_on_disk(box):
    app = box.state + "/builds/b1/app"
    with open(app + "/given", "w") as f:
        f.write("x")
    fields = dict(binds=[(app, "/app", wire.BIND_IDMAP),
                         (box.slug, "/env", wire.BIND_RO | wire.BIND_IDMAP),
                         (box.state + "/builds/b1", "/cache", wire.BIND_IDMAP),
                         (box.slug + "/hello", "/tmp/deep/down/file", wire.BIND_RO | wire.BIND_IDMAP),
                         (box.slug, "/app/in/side", wire.BIND_RO | wire.BIND_IDMAP),
                         (box.state + "/none", "/none", wire.BIND_OPTIONAL)])
    id, ip, pid = box.launcher.create(
        ["/bin/bash", "-c", "stat -c %U /app /app/given; echo y > /app/made; mkdir -p /app/d/e; "
         "touch /cache/seen; echo no > /env/hello; cat /env/hello /tmp/deep/down/file; ls /none; "
         "stat -c %U /app/in /app/in/side/hello"],
        attach_ms=20000, **fields)
    box.made.append(id)
    code, out = Shim(box.run, id).attach().finish()
    lines = out.decode().splitlines()
    assert lines[:2] == ["app", "app"]
    assert "Read-only file system" in lines[2]
    assert lines[3:5] == ["hello", "hello"]
    assert "/none" in lines[5] and lines[6:] == ["app", "app"]
    for name in ("made", "in", "in/side", "d", "d/e", "../seen"):
        st = os.lstat(os.path.join(app, name))
        assert (st.st_uid, st.st_gid) == (0, 0)


@pytest.mark.parametrize("src", ["/etc", "/", "/root", "STATE/../..", "STATE/builds/link", "STATE/dynos/../.."])
def test_nothing_outside_of_the_platforms_folders_is_bound(box, src):
    link = box.state + "/builds/link"
    if not os.path.lexists(link):
        os.symlink("/etc", link)
    with pytest.raises(LaunchError) as e:
        box.create(["true"], binds=[(src.replace("STATE", box.state), "/x", wire.BIND_RO)])
    assert e.value.id in ("forbidden", "io_error")
    with pytest.raises(LaunchError):
        box.create(["true"], slug=src.replace("STATE", box.state))
    until(lambda: not box.launcher.list(), "what was begun is not undone")


@pytest.mark.parametrize("dst", ["relative", "/", "/a/../b", "/.."])
def test_bad_destinations(box, dst):
    with pytest.raises(LaunchError) as e:
        box.create(["true"], binds=[(box.slug, dst, wire.BIND_RO)])
    assert e.value.id == "bad_request"


def test_rmtree(box):
    victim = box.state + "/builds/gone"
    os.makedirs(victim + "/a/b")
    outside = box.dir + "/outside"
    os.mkdir(outside)
    open(outside + "/keep", "w").close()
    os.symlink(outside, victim + "/a/link")
    os.chmod(victim + "/a", 0)
    os.chown(victim + "/a/b", 1234567, 1234567)
    box.launcher.rmtree(victim)
    box.launcher.rmtree(victim)
    assert not os.path.exists(victim) and os.path.exists(outside + "/keep")
    os.symlink(outside, box.state + "/builds/out")
    for bad in ("/etc", box.state, box.state + "/builds/out/keep", box.state + "/dynos", outside,
                box.state + "/builds/../../outside"):
        with pytest.raises(LaunchError):
            box.launcher.rmtree(bad)
    assert os.path.exists(outside + "/keep")
    box.launcher.rmtree(box.state + "/builds/out")  # the link itself
    assert not os.path.lexists(box.state + "/builds/out") and os.path.exists(outside + "/keep")


# --- network ----------------------------------------------------------------------------------------------

SERVER = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(); print('up', flush=True)
while True:
    c, peer = s.accept(); c.sendall(('seen %s' % peer[0]).encode()); c.close()
"""
CLIENT = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); print(s.recv(100).decode())
except OSError as e:
    print('failed', type(e).__name__)
"""


@pytest.fixture
def internet(box):
    """A second namespace, reached by the launcher's over a veth pair; a server in each."""
    far = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
                           stdout=subprocess.PIPE)
    far.stdout.readline()
    n = ["nsenter", "-t", str(far.pid), "-n", "--"]
    box.inside("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", str(far.pid))
    box.inside("ip", "addr", "add", "203.0.113.1/24", "dev", "up0")
    box.inside("ip", "link", "set", "up0", "up")
    subprocess.run(n + ["ip", "addr", "add", "203.0.113.2/24", "dev", "up1"], check=True)
    subprocess.run(n + ["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"], check=True)
    subprocess.run(n + ["ip", "link", "set", "up1", "up"], check=True)
    box.inside("ip", "route", "add", "169.254.169.254/32", "via", "203.0.113.2")
    servers = [subprocess.Popen(p + ["/usr/bin/python3", "-c", SERVER, addr, port], stdout=subprocess.PIPE)
               for p, addr, port in ((n, "0.0.0.0", "80"), (box.prefix, "0.0.0.0", "5999"),
                                     (box.prefix, "0.0.0.0", "6000"), (box.prefix, "127.0.0.1", "6001"))]
    for s in servers:
        s.stdout.readline()
    class Far(str):
        prefix = n

    yield Far("203.0.113.2")
    for s in servers:
        s.kill()
        s.wait()
    box.inside("ip", "link", "del", "up0")
    far.kill()
    far.wait()


def client(box, ip, port, **spec):
    return box.output(["/usr/bin/python3", "-c", CLIENT, ip, str(port)], **spec)[1].strip()


def test_egress_and_the_hosts_ports(box, internet):
    gateway = box.launcher.info()["gateway"]
    assert client(box, internet, 80, net=1) == "seen 203.0.113.1"  # masqueraded
    assert client(box, gateway, 5999, net=1).startswith("seen 10.")  # listed
    assert client(box, "paas-host", 5999, net=1).startswith("seen 10.")
    assert client(box, gateway, 6000, net=1) == "failed ConnectionRefusedError"
    assert client(box, "203.0.113.1", 5999, net=1).startswith("failed")  # by no other address
    assert client(box, "127.0.0.1", 6001, net=1) == "failed ConnectionRefusedError"
    assert client(box, "169.254.169.254", 80, net=1).startswith("failed")
    assert box.inside("/usr/bin/python3", "-c", CLIENT, "169.254.169.254", "80").stdout.startswith("seen")
    assert client(box, internet, 80, net=0).startswith("failed")


def test_dynos_cannot_reach_each_other_and_the_router_reaches_both(box):
    ips = []
    for i in range(2):
        id, s = box.attach(["/usr/bin/python3", "-c", SERVER, "0.0.0.0", "7000"], net=1, port=7000)
        watch = Shim(box.run, id).supervise()
        ips.append(box.last[1])
        s.until(b"up")
        if not wire.number(watch.until("STATE")[wire.S["BOUND"]]):
            assert wire.number(watch.until("BOUND")[wire.S["BOUND"]]) == 1
    for ip in ips:
        assert box.inside("/usr/bin/python3", "-c", CLIENT, ip, "7000").stdout.startswith("seen")
        assert client(box, ip, 7000, net=1).startswith("failed")
    assert ips[0] != ips[1]


def test_from_outside_nobody_reaches_a_dyno(box, internet):
    id, s = box.attach(["/usr/bin/python3", "-c", SERVER, "0.0.0.0", "7000"], net=1)
    s.until(b"up")
    ip = box.last[1]
    # a neighbour that routes the dynos' subnet to us
    subprocess.run(internet.prefix + ["ip", "route", "add", "10.0.0.0/8", "via", "203.0.113.1"], check=True)

    def far():
        return subprocess.run(internet.prefix + ["/usr/bin/python3", "-c", CLIENT, ip, "7000"],
                              stdout=subprocess.PIPE, text=True, timeout=30).stdout

    assert far().startswith("failed")
    # the fence it is that holds: without it the same request arrives
    name = "paasd%d" % box.slot()
    rules = box.inside("nft", "list", "table", "inet", name).stdout
    box.inside("nft", "flush", "chain", "inet", name, "forward")
    assert far().startswith("seen 203.0.113.2")
    box.inside("nft", "delete", "table", "inet", name)
    subprocess.run(box.prefix + ["nft", "-f", "-"], input=rules, text=True, check=True)
    assert far().startswith("failed")


@pytest.mark.parametrize("bind,want", [("0.0.0.0", 1), ("127.0.0.1", 2), ("::", 1), ("::1", 2)])
def test_the_port_is_seen_when_it_is_bound(box, bind, want):
    code = ("import socket, time\n"
            "s = socket.socket(socket.AF_INET6 if ':' in '%s' else socket.AF_INET)\n"
            "time.sleep(0.1); s.bind(('%s', 5000)); s.listen(); time.sleep(100)" % (bind, bind))
    id = box.create(["/usr/bin/python3", "-c", code], net=1, port=5000)
    s = Shim(box.run, id).supervise()
    assert wire.number(s.until("BOUND", 10)[wire.S["BOUND"]]) == want


def test_an_app_that_moves_off_loopback_is_seen(box):
    code = ("import socket, time\na = socket.socket(); a.bind(('127.0.0.1', 5000)); a.listen()\n"
            "time.sleep(0.3); a.close(); b = socket.socket()\n"
            "b.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
            "b.bind(('0.0.0.0', 5000)); b.listen(); time.sleep(100)")
    id = box.create(["/usr/bin/python3", "-c", code], net=1, port=5000)
    s = Shim(box.run, id).supervise()
    seen = []
    while 1 not in seen:
        kind, d = s.step()
        if kind == wire.SHIM["BOUND"]:
            seen.append(wire.number(d[wire.S["BOUND"]]))
    assert seen in ([2, 1], [1])


# --- isolation ---------------------------------------------------------------------------------------------

FORBIDDEN = """host_process init_memory slug_by_host_path database shadow ssh root_home host_run usr_writable
    etc_writable core_pattern sysrq kmsg kallsyms cgroup_writable host_disk abstract_socket host_loopback
    host_by_gateway other_dyno metadata mknod newuser setuid keyctl add_key bpf io_uring userfaultfd perf ptrace
    mount umount setns pivot_root open_by_handle hostname clone3 vsock vsock_high_bits raw_socket packet_socket
    tiocsti tiocsti_high_bits""".split()
ALLOWED = "app_writable tmp_writable cgroup_path_hidden pty".split()


def test_isolation(box):
    shutil.rmtree(box.state + "/slugs/probe", ignore_errors=True)
    os.mkdir(box.state + "/slugs/probe")
    subprocess.run(["gcc", "-O1", "-static", "-D_GNU_SOURCE", "-o", box.state + "/slugs/probe/isolation",
                    ROOT + "/tests/probe/isolation.c"], check=True)
    open(box.state + "/paasd.db", "w").write("secret")
    other, s = box.attach(["/usr/bin/python3", "-c", SERVER, "0.0.0.0", "7000"], net=1, app_uid=1)
    s.until(b"up")
    other_ip = box.last[1]
    servers = subprocess.Popen(box.prefix + ["/usr/bin/python3", "-c", """
import socket, time
a = socket.socket(socket.AF_UNIX); a.bind('\\0paas-probe'); a.listen()
b = socket.socket(); b.bind(('0.0.0.0', 6002)); b.listen()
print('up', flush=True); time.sleep(1000)"""], stdout=subprocess.PIPE)
    servers.stdout.readline()
    try:
        id, s = box.attach(["/app/isolation", box.slug + "/hello", box.state + "/paasd.db", "paas-probe",
                            "6002", box.launcher.info()["gateway"], other_ip, "7000",
                            str(box.init_pid(other))], slug=box.state + "/slugs/probe", net=1, app_uid=2)
        code, out = s.finish(60)
    finally:
        servers.kill()
        servers.wait()
    got = dict(line.split("=", 1) for line in out.decode().splitlines())
    assert code == 0
    assert {k: got[k] for k in FORBIDDEN} == {k: "no" for k in FORBIDDEN}
    assert {k: got[k] for k in ALLOWED} == {k: "yes" for k in ALLOWED}
    assert got["other_processes"] == "0"
    assert {got[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (got["NoNewPrivs"], got["Seccomp"], got["Groups"]) == ("1", "2", "")
    assert got["uid"] == got["gid"] and int(got["uid"]) >= 1000000


# --- entering a dyno that runs ---------------------------------------------------------------------

def inside(box, into, argv, **spec):
    spec.setdefault("slug", None)
    spec.setdefault("attach_ms", 20000)
    spec.setdefault("name", "run.1")
    spec.setdefault("stdio", wire.PIPE)
    if isinstance(argv, str):
        argv = ["/bin/bash", "-c", argv]
    slug = spec.pop("slug")
    if slug:
        spec["slug"] = slug
    id, _, _ = box.launcher.create(argv, into=into, **spec)
    box.made.insert(0, id)
    return id, Shim(box.run, id).attach()


def test_inside_is_the_dynos_own_world(box):
    web = box.create("echo of web > /tmp/mark; echo changed > hello; exec sleep 500", app_uid=7, pids_max=50,
                     mem_max=200 * MiB)
    until(lambda: os.path.exists("/proc/%d/root/tmp/mark" % box.init_pid(web)), "the mark")
    id, s = inside(box, web, "pwd; hostname; cat /tmp/mark hello; id -u; echo $A; ps -eo args= | grep -c '^sleep 500'; "
                   "cat /proc/self/cgroup | sort; readlink /proc/self/ns/{pid,mnt,net,ipc,uts,cgroup}; "
                   "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ls -A /proc/self/fd | wc -l; ulimit -n",
                   app_uid=7, env={"A": "b c"})
    code, out = s.finish(30)
    other = box.output("id -u; cat /proc/self/cgroup | sort; readlink /proc/self/ns/{pid,mnt,net,ipc,uts,cgroup}; "
                       "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ls -A /proc/self/fd | wc -l; ulimit -n",
                       app_uid=7, name="run.2")[1].split("\n")
    got = out.decode().split("\n")
    assert code == 0, out
    assert got[:4] == ["/app", "web.1", "of web", "changed"]
    assert got[4] == other[0] and got[5:7] == ["b c", "1"]
    ns = [x for x in got if "[" in x]
    init = box.init_pid(web)
    assert ns == [os.readlink("/proc/%d/ns/%s" % (init, n)) for n in ("pid", "mnt", "net", "ipc", "uts", "cgroup")]
    assert not set(ns) & set(other)
    # no privilege more than any process of a dyno has
    mine, theirs = ([x for x in lines if ":\t" in x] for lines in (got, other))
    assert mine == theirs and "Seccomp:\t2" in mine and "NoNewPrivs:\t1" in mine
    assert got[-3:] == other[-3:]  # descriptors, limits
    assert box.launcher.remove(id) is None


def test_inside_counts_for_the_dynos_limits(box, limited):
    web = limited.create("exec sleep 500", pids_max=20)
    id, s = inside(limited, web, "for i in $(seq 40); do sleep 300 & done; echo not reached")
    code, out = s.finish(30)
    assert b"fork" in out or b"Resource temporarily unavailable" in out, out
    assert code != 0 or b"not reached" in out


def test_a_terminal_inside(box):
    web = box.create("exec sleep 500")
    id, s = inside(box, web, "tty; stty size; test -t 0 && echo yes; read x; echo got $x; kill -INT $$; sleep 5",
                   stdio=wire.PTY, rows=33, cols=111)
    s.stdin(b"hello\n")
    code, out = s.finish(30)
    text = out.decode()
    assert "/dev/pts/" in text and "33 111" in text and "yes" in text and "got hello" in text
    assert code == 130


def test_inside_ends_with_the_dyno(box):
    web = box.create("exec sleep 500")
    id, s = inside(box, web, "echo here; exec sleep 600")
    s.until("OUTPUT")
    Shim(box.run, web).signal(signal.SIGKILL)
    code, _ = s.finish(20)
    assert code == 128 + 9


def test_the_dyno_does_not_end_with_what_is_inside(box):
    web = box.create("exec sleep 500")
    init = box.init_pid(web)

    def sleepers(n):
        got = subprocess.run(["pgrep", "-fx", "sleep %d" % n], capture_output=True, text=True)
        return got.stdout.split()
    for how in ("exit", "hangup", "remove", "kill", "kill the shim"):
        id, s = inside(box, web, "(setsid sleep 701 &); sleep 702 & echo up; " +
                       ("exit 4" if how == "exit" else "wait"), on_detach=wire.HANGUP)
        s.until("OUTPUT")
        if how == "exit":
            assert s.finish(20)[0] == 4
        elif how == "hangup":
            s.close()
        elif how == "kill":
            Shim(box.run, id).signal(signal.SIGKILL)
        elif how == "kill the shim":
            with open("%s/dynos/%s/pid" % (box.run, id)) as f:
                os.kill(int(f.read().split()[0]), signal.SIGKILL)
        if how == "remove":
            box.launcher.remove(id)
        until(lambda: not sleepers(701) and not sleepers(702), how, 40)
        assert alive(init) and sleepers(500)
    # signals to it are for its own processes
    id, s = inside(box, web, "trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    s.until("OUTPUT")
    Shim(box.run, id).signal(signal.SIGTERM)
    assert s.finish(20)[0] == 5
    assert alive(init) and sleepers(500)


def test_who_may_be_entered(box):
    web = box.create("exec sleep 500", app_uid=7)
    gone = box.create("exit")
    Shim(box.run, gone).supervise().until("EXIT")
    until(lambda: not os.path.exists(box.run + "/dynos/%s/sock" % gone), "its end")
    for into, spec, why in ((web, dict(app_uid=8), "forbidden"), (gone, {}, "not_found"),
                            ("00000000-0000-4000-8000-000000000000", {}, "not_found"),
                            ("../" + web, {}, "bad_request"), ("x", {}, "bad_request"),
                            (web, dict(app_uid=7, slug=box.slug), "bad_request"),
                            (web, dict(app_uid=7, port=80), "bad_request"),
                            (web, dict(app_uid=7, binds=[(box.state + "/builds/b1", "/mnt", 0)]), "bad_request")):
        with pytest.raises(LaunchError) as e:
            inside(box, into, "id", **spec)
        assert e.value.id == why, (into, spec, e.value)
    with pytest.raises(LaunchError):  # the verbs are not taken for each other
        box.launcher.ask("CREATE", wire.spec_fields("00000000-0000-4000-8000-00000000000a", ["id"], into=web, app_uid=7))
    with pytest.raises(LaunchError):
        box.launcher.ask("ENTER", wire.spec_fields("00000000-0000-4000-8000-00000000000a", ["id"], app_uid=7))


def test_inside_outlives_the_launcher(box):
    web = box.create("exec sleep 500")
    id, s = inside(box, web, "read x; echo got $x")
    box.restart()
    s.stdin(b"it\n")  # it ends with that line
    assert s.finish(20)[1] == b"got it\n"
    id, s = inside(box, web, "echo again")
    assert s.finish(20)[1] == b"again\n"


def test_the_probe_can_fail(box):
    """Outside of a dyno the same program finds nearly all of it: the list above means something."""
    probe = box.dir + "/isolation"
    subprocess.run(["gcc", "-O1", "-static", "-D_GNU_SOURCE", "-o", probe, ROOT + "/tests/probe/isolation.c"],
                   check=True)
    out = subprocess.run(["unshare", "-n", "-m", "-p", "-u", "--fork", probe, box.slug + "/hello",
                          box.slug, "x", "1", "127.0.0.1", "127.0.0.1", "1", "1"],
                         stdout=subprocess.PIPE, text=True, timeout=60, cwd=box.dir).stdout
    got = dict(line.split("=", 1) for line in out.splitlines())
    for name in ("slug_by_host_path", "database", "shadow", "newuser", "ptrace", "mount", "mknod", "setns"):
        assert got[name] == "yes", name
    assert got["Seccomp"] == "0"


def test_the_shim_keeps_no_privilege_but_to_kill(box):
    id = box.create(["sleep", "100"])
    text = open("/proc/%d/status" % box.last[2]).read()
    assert re.search(r"CapEff:\s+0000000000000020\n", text) and re.search(r"NoNewPrivs:\s+1\n", text)
    cmdline = open("/proc/%d/cmdline" % box.last[2], "rb").read()
    assert cmdline == b"paas-shim\0"
    assert b"secret" not in open("/proc/%d/environ" % box.last[2], "rb").read()


# --- who may ask, and nonsense ---------------------------------------------------------------------------------

def test_strangers_are_refused(box):
    os.chmod(box.dir, 0o711)
    os.chmod(box.run, 0o711)
    os.chmod(box.run + "/launcher.sock", 0o666)
    code = ("import sys; sys.path.insert(0, %r); import wire\n"
            "try: print(wire.Launcher(%r).info())\nexcept (wire.Closed, OSError): print('refused')"
            % (ROOT + "/tests/lib", box.run + "/launcher.sock"))
    lib = box.dir + "/lib"
    shutil.copytree(ROOT + "/tests/lib", lib, dirs_exist_ok=True)
    out = subprocess.run(["/usr/bin/python3", "-c", code.replace(ROOT + "/tests/lib", lib)], user=65534,
                         group=65534, extra_groups=[], stdout=subprocess.PIPE, text=True)
    assert out.stdout.strip() == "refused"
    os.chmod(box.run + "/launcher.sock", 0o600)


def test_nonsense_is_answered_and_harms_nobody(box):
    c = box.process.connect()
    for kind, fields in ((999, []), (2, []), (2, [(wire.L["ID"], "x")]), (3, [(wire.L["ID"], "../..")]),
                         (3, []), (4, []), (2, [(wire.L["BIND"], b"1\0x")])):
        c.send(kind, fields)
        got, _ = c.recv()
        assert got == wire.LAUNCH["ERR"]
    c.sock.sendall(b"\xff" * 64)
    with pytest.raises((wire.Closed, OSError)):
        c.recv()
    c.close()
    assert box.output("echo fine")[1] == "fine\n"


def test_an_id_is_used_once(box):
    id = box.create(["sleep", "100"])
    with pytest.raises(LaunchError) as e:
        box.launcher.create(["true"], id=id)
    assert e.value.id == "conflict"
    assert alive(box.init_pid(id))


def test_many_at_once(box):
    """Several connections, each with a request under way."""
    conns = [box.process.connect() for _ in range(8)]
    ids = []
    for c in conns:
        id = str(wire.uuid.uuid4())
        ids.append(id)
        c.send(wire.LAUNCH["CREATE"], wire.spec_fields(id, ["sleep", "100"], slug=box.slug, net=1))
    ips = set()
    for c in conns:
        kind, fields = c.recv(30)
        assert kind == wire.LAUNCH["OK"]
        ips.add(dict(fields)[wire.L["IP"]])
    assert len(ips) == 8 and set(ids) <= set(box.launcher.list())
    for c, id in zip(conns, ids):
        c.send(wire.LAUNCH["REMOVE"], [(wire.L["ID"], id)])
    for c in conns:
        assert c.recv(30)[0] == wire.LAUNCH["OK"]
        c.close()
    assert not set(ids) & set(box.launcher.list())


# --- death of each part ---------------------------------------------------------------------------------------

def test_dynos_live_through_the_launchers_death(own_box):
    box = own_box
    id, s = box.attach("echo up; read x; echo got $x; exit 6", stdio=wire.PIPE, net=1)
    s.until(b"up")
    ip = box.last[1]
    box.process.kill()
    s.stdin(b"still\n")
    s.until(b"got still")
    box.restart()
    assert box.launcher.list() == [id]
    code, _ = s.finish()
    assert code == 6
    # its address stays taken until it is removed
    others = [box.launcher.create(["true"], net=1, slug=box.slug)[1] for _ in range(5)]
    assert ip not in others
    box.launcher.remove(id)
    assert id not in box.launcher.list()


def test_two_launchers_do_not_serve_one_folder(own_box):
    r = subprocess.run(own_box.prefix + [BUILD + "/paas-launcher", "--run", own_box.run, "--state", own_box.state],
                       stderr=subprocess.PIPE, text=True, timeout=20)
    assert r.returncode == 1 and "another launcher serves" in r.stderr
    assert own_box.launcher.info()["runtime"] == "sandbox"


def test_death_of_a_shim_ends_its_dyno(own_box):
    box = own_box
    id = box.create("sleep 1000 & sleep 1000", net=1)
    init, shim = box.init_pid(id), box.last[2]
    os.kill(shim, signal.SIGKILL)
    until(lambda: not alive(init), "the dyno outlives its shim")
    assert box.launcher.list() == [id]
    box.launcher.remove(id)
    assert box.launcher.list() == []


def test_shutdown_leaves_nothing(own_box):
    box, slot = own_box, own_box.slot()
    before = box.inside("cat", "/proc/sys/net/ipv4/ip_forward").stdout
    for i in range(3):
        box.create("trap '' TERM; sleep 1000", net=1)
    assert box.leftovers(slot)
    box.launcher.shutdown(True)
    box.process.proc.wait(20)
    assert box.leftovers(slot) == []
    assert before == "1\n"


def test_shutdown_that_keeps_dynos(own_box):
    box = own_box
    id = box.create(["sleep", "1000"])
    init = box.init_pid(id)
    box.launcher.shutdown(False)
    box.process.proc.wait(20)
    assert alive(init)
    box.restart()
    assert box.launcher.list() == [id]


@pytest.mark.parametrize("kill_shims", [False, True])
def test_cleanup_after_kill_9_of_everything(own_box, kill_shims):
    box, slot = own_box, own_box.slot()
    shims = []
    for i in range(3):
        box.create("sleep 1000 & sleep 1000", net=i % 2)
        shims.append(box.last[2])
    inits = [box.init_pid(id) for id in box.made]
    box.process.kill()
    for pid in shims if kill_shims else []:
        os.kill(pid, signal.SIGKILL)
    r = subprocess.run(box.prefix + [BUILD + "/paas-launcher", "--cleanup", "--run", box.run, "--state", box.state],
                       timeout=60)
    assert r.returncode == 0
    assert not any(alive(p) for p in inits + shims)
    assert box.leftovers(slot) == []


def test_kill_9_of_the_launcher_in_the_middle_of_starts(own_box):
    box, slot = own_box, own_box.slot()
    for round_ in range(6):
        c = box.process.connect()
        for i in range(3):
            c.send(wire.LAUNCH["CREATE"], wire.spec_fields(str(wire.uuid.uuid4()), ["sleep", "1000"],
                                                           slug=box.slug, net=1))
        time.sleep(0.004 * round_)
        box.process.kill()
        c.close()
        box.restart()
        for id in box.launcher.list():
            box.launcher.remove(id)
        assert box.launcher.list() == []
    box.launcher.shutdown(True)
    box.process.proc.wait(20)
    assert box.leftovers(slot) == []


def test_instances_side_by_side(own_box):
    other = Box()
    try:
        assert own_box.slot() != other.slot()
        assert own_box.launcher.info()["gateway"] != other.launcher.info()["gateway"]
        a, b = own_box.create(["sleep", "1000"], net=1), other.create(["sleep", "1000"], net=1)
        other.launcher.remove(b)
        assert own_box.launcher.list() == [a]
    finally:
        other.close()
    assert own_box.output("echo on")[1] == "on\n"


def test_a_subnet_that_was_taken_before_the_host_was_up_again(own_box):
    """The state remembers its number, the host does not, and somebody has the addresses."""
    box, slot = own_box, own_box.slot()
    gateway = box.launcher.info()["gateway"]

    def after_boot():
        box.launcher.close()
        box.process.kill()
        box.inside("ip", "link", "delete", "paas%d" % slot)
        for top in os.listdir("/sys/fs/cgroup"):
            d = "/sys/fs/cgroup/%s/paasd%d" % (top, slot)
            if os.path.isdir(d) and not os.path.islink("/sys/fs/cgroup/" + top):
                os.rmdir(d)
        os.unlink("/run/paasd-slots/%d" % slot)
        box.process.start()
        box.launcher = box.process.connect()

    after_boot()
    assert box.slot() == slot
    box.inside("ip", "route", "add", "blackhole", gateway[:-1] + "0/24")
    after_boot()
    assert box.slot() != slot and box.launcher.info()["gateway"] != gateway
    assert box.output("cat hello") == (0, "hello\n")


# --- paasd as a user of its own -----------------------------------------------------------------------------------

def test_an_owner_that_is_not_root(request):
    """As in production: paasd has no privilege, the launcher is root for it."""
    box = Box(owner=65534)
    request.addfinalizer(box.close)
    sink = wire.LogSink(box.run)
    request.addfinalizer(sink.close)
    os.chown(sink.path, 65534, 65534)
    os.chmod(sink.path, 0o600)
    assert os.stat(box.run + "/launcher.sock").st_uid == 65534
    id, s = box.attach("stat -c %U /app /app/hello; echo y > /app/hello; mkdir /app/sub/x; id -u; echo end",
                       log=1, net=1, keep_output=1000, stdio=wire.PIPE, port=5000)
    code, out = s.finish()
    lines = out.decode().split()
    assert code == 0 and lines[:2] == ["app", "app"] and int(lines[2]) >= 1000000 and lines[3] == "end"
    sink.wait(lambda k: b"end" in k.texts())
    until(lambda: not alive(box.last[2]), "the shim does not leave")
    folder = "%s/dynos/%s" % (box.run, id)
    assert {os.lstat(folder + "/" + n).st_uid for n in os.listdir(folder)} == {65534}
    assert os.stat(folder).st_uid == 65534 and "status" in os.listdir(folder)
    # what root believes is out of the owner's reach
    assert os.stat(box.state + "/dynos").st_uid == 0
    app = box.state + "/builds/b1/app"
    id, ip, pid = box.launcher.create(["/bin/bash", "-c", "echo x > /app/made; stat -c %U /app/made"],
                                      attach_ms=20000, binds=[(app, "/app", wire.BIND_IDMAP)])
    s = Shim(box.run, id)
    caps = open("/proc/%d/status" % pid).read()
    assert re.search(r"Uid:\s+65534\s+65534\s+65534\s+65534\n", caps)
    assert re.search(r"CapPrm:\s+0000000000000020\nCapEff:\s+0000000000000020\n", caps)
    assert s.attach().finish() == (0, b"app\n")
    assert (os.stat(app + "/made").st_uid, os.stat(app + "/made").st_gid) == (65534, 65534)
    id, s = box.attach("trap '' TERM; sleep 1000 & echo up; wait; sleep 1000")
    s.until(b"up")
    s.signal(signal.SIGKILL)
    assert s.finish()[0] == 137
    slot = box.slot()
    box.launcher.shutdown(True)
    box.process.proc.wait(20)
    assert box.leftovers(slot) == []


def test_a_folder_that_the_owner_made_is_not_believed(request):
    box = Box(owner=65534)
    request.addfinalizer(box.close)
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        id = box.create(["sleep", "1000"])
        with open("/proc/%d/stat" % victim.pid) as f:
            start = f.read().rsplit(")", 1)[1].split()[19]
        os.rename(box.state + "/dynos", box.state + "/away")
        os.makedirs(box.state + "/dynos/" + id)
        with open(box.state + "/dynos/%s/record" % id, "w") as f:
            f.write("shim %d %s\ninit %d %s\n" % (victim.pid, start, victim.pid, start))
        subprocess.run(["chown", "-R", "65534", box.state + "/dynos"], check=True)
        with pytest.raises((LaunchError, wire.Closed)):
            box.launcher.remove(id)
            raise wire.Closed()
        assert victim.poll() is None
        shutil.rmtree(box.state + "/dynos", ignore_errors=True)
        os.rename(box.state + "/away", box.state + "/dynos")
        box.launcher.remove(id)
        assert not alive(box.last[2])
    finally:
        victim.kill()
        victim.wait()


# --- hosts that lack something ---------------------------------------------------------------------------------

@pytest.fixture
def poor_box(request):
    b = Box([x for lack in request.param for x in ("--without", lack)])
    yield b
    b.close()


@pytest.mark.parametrize("poor_box", [["idmap"]], indirect=True)
def test_without_idmapped_mounts_each_dyno_gets_a_copy(poor_box):
    box = poor_box
    assert any("copy of its slug" in n for n in box.launcher.info()["notes"])
    os.symlink("hello", box.slug + "/link")
    os.chmod(box.slug + "/hello", 0o600)
    code, out = box.output("stat -c '%U %a' /app /app/hello /app/sub; cat link; echo x >> hello; touch sub/new; ls sub")
    assert (code, out) == (0, "app 755\napp 600\napp 755\nhello\nnew\n")
    assert open(box.slug + "/hello").read() == "hello\n" and os.listdir(box.slug + "/sub") == []
    # binds belong to the app while it runs, and to paasd again after
    app = box.state + "/builds/b1/app"
    open(app + "/given", "w").close()
    id, ip, pid = box.launcher.create(
        ["/bin/bash", "-c", "stat -c %U /app/given; mkdir /app/d; touch /app/d/made; echo done"],
        attach_ms=20000, binds=[(app, "/app", wire.BIND_IDMAP)])
    assert Shim(box.run, id).attach().finish() == (0, b"app\ndone\n")
    assert os.lstat(app + "/d/made").st_uid >= 1000000
    box.launcher.remove(id)
    for name in (".", "given", "d", "d/made"):
        assert os.lstat(os.path.join(app, name)).st_uid == 0


@pytest.mark.parametrize("poor_box", [["upper"]], indirect=True)
def test_an_upper_layer_in_memory(poor_box):
    box = poor_box
    assert any("counts as their memory" in n for n in box.launcher.info()["notes"])
    assert box.output("echo x > hello; mkdir -p a/b; cat hello; ls -a /tmp")[1] == "x\n.\n..\n"
    assert open(box.slug + "/hello").read() == "hello\n"


@pytest.mark.parametrize("poor_box", [["limits", "nft"]], indirect=True)
def test_without_limits_and_nft(poor_box):
    box = poor_box
    info = box.launcher.info()
    assert info["limits"] == "none"
    assert any("without memory, process and CPU limits" in n for n in info["notes"])
    assert any("nft is not installed" in n and "internet" in n for n in info["notes"])
    id, s = box.attach(["/usr/bin/python3", "-c",
                        "import time; b = bytearray(50 << 20); print('up', flush=True); time.sleep(100)"],
                       metrics_ms=50, net=1, mem_max=MiB)
    s.until(b"up")
    watch = Shim(box.run, id).supervise()
    assert wire.number(watch.until("MEM")[wire.S["MEM_RSS"]]) > 50 * MiB
    init = box.init_pid(id)
    box.launcher.remove(id)
    assert not alive(init) and box.launcher.list() == []


@pytest.mark.parametrize("poor_box", [[]], indirect=True)
def test_a_state_on_an_overlay(poor_box):
    """As in a container: neither idmapping nor an upper layer is possible there."""
    box, slot = poor_box, poor_box.slot()
    box.launcher.shutdown(True)
    box.process.proc.wait(20)
    over = box.dir + "/over"
    for d in ("", "/l", "/u", "/w", "/m"):
        os.mkdir(over + d)
    assert box.inside("mount", "-t", "overlay", "overlay", "-o",
                      "lowerdir=%s/l,upperdir=%s/u,workdir=%s/w" % (over, over, over), over + "/m").returncode == 0
    box.inside("mkdir", "-p", over + "/m/state/slugs/one")
    box.inside("sh", "-c", "echo hello > %s/m/state/slugs/one/hello" % over)
    old, box.process.state = box.process.state, over + "/m/state"
    try:
        box.restart()
        assert any("copy of its slug" in n for n in box.launcher.info()["notes"])
        assert box.output("cat hello; echo y > hello; cat hello", slug=over + "/m/state/slugs/one")[1] == "hello\ny\n"
        box.launcher.shutdown(True)
        box.process.proc.wait(20)
    finally:
        box.inside("umount", over + "/m")
        box.process.state = old


# --- the C client -------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def client_program(shared):
    path = shared.dir + "/sandbox_run"
    lib = os.path.join(ROOT, "build/obj/release/libpaas.a")
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-I" + ROOT, "-o", path, ROOT + "/tests/probe/sandbox_run.c",
                    lib, "-Wl,--as-needed", "-lsodium", "-luv", "-lpthread"], check=True)
    return path


def run_client(box, program, *args, **kw):
    return subprocess.run([program, box.run] + list(args), stdin=kw.pop("stdin", subprocess.PIPE),
                          stdout=subprocess.PIPE, text=True, timeout=60, **kw).stdout


def test_sandbox_run(box, client_program):
    r, w = os.pipe()
    try:
        out = run_client(box, client_program, "20000", "/bin/bash", "-c", "echo $GREETING; seq 1 20000 | tail -1; exit 3",
                         stdin=r)
        assert out == "hello\n20000\n\n--- result=3 oom=0 err=\nleft=0\n"
        out = run_client(box, client_program, "700", "/bin/bash", "-c", "echo up; sleep 1000", stdin=r)
        assert out == "up\n\n--- result=-1 oom=0 err=timeout\nleft=0\n"
        os.write(w, b"x")
        out = run_client(box, client_program, "20000", "sleep", "1000", stdin=r)
        assert out.endswith("--- result=-1 oom=0 err=canceled\nleft=0\n")
    finally:
        os.close(r)
        os.close(w)


def test_a_build_ends_with_its_paasd(box, client_program):
    r, w = os.pipe()
    p = subprocess.Popen([client_program, box.run, "60000", "/bin/bash", "-c", "echo up; sleep 1000"], stdin=r,
                         stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    (id,) = box.launcher.list()
    box.made.append(id)
    init = box.init_pid(id)
    p.kill()
    p.wait()
    until(lambda: not alive(init), "the build goes on without paasd")
    os.close(r)
    os.close(w)


# --- plain -------------------------------------------------------------------------------------------------------

@pytest.fixture
def plain():
    """The plain runtime as a user without any privilege."""
    d = tempfile.mkdtemp(prefix="paas-plain.")
    os.chmod(d, 0o755)
    shutil.copy(BUILD + "/paas-launcher", d)
    shutil.copy(BUILD + "/paas-shim", d)
    for sub in ("run", "state", "state/slugs", "state/slugs/one"):
        os.mkdir("%s/%s" % (d, sub))
    with open(d + "/state/slugs/one/hello", "w") as f:
        f.write("hello\n")
    subprocess.run(["chown", "-R", "65534:65534", d + "/run", d + "/state"], check=True)
    open(d + "/launcher.log", "w").close()
    p = wire.LauncherProcess(d + "/paas-launcher", d + "/run", d + "/state", user=65534)
    p.slug = d + "/state/slugs/one"
    yield p
    p.end()
    assert os.listdir(d + "/run") == []
    shutil.rmtree(d)


def test_plain_runtime(plain):
    l = plain.connect()
    info = l.info()
    assert info["runtime"] == "plain" and info["limits"] == "none" and info["gateway"] == ""
    assert any("WITHOUT isolation" in n for n in info["notes"])
    id, ip, pid = l.create(["/bin/bash", "-c", "id -u; cat hello; echo new > hello; pwd; echo $HOME; exit 4"],
                           slug=plain.slug, attach_ms=10000, env={"HOME": "/app"})
    assert ip == "127.0.0.1"
    code, out = Shim(plain.run, id).attach().finish()
    lines = out.decode().splitlines()
    assert code == 4 and lines[:2] == ["65534", "hello"]
    assert lines[2] == lines[3] and lines[2].endswith("/%s/app" % id)
    assert open(plain.slug + "/hello").read() == "hello\n"
    l.remove(id)
    assert l.list() == []


def test_plain_runtime_as_root_gives_apps_their_own_user(request):
    box = Box(["--runtime", "plain"])
    request.addfinalizer(box.close)
    os.chmod(box.dir, 0o711)
    assert any("WITHOUT isolation" in n for n in box.launcher.info()["notes"])
    code, out = box.output("id -u; cat hello; echo x > hello; stat -c %u hello; cat /etc/shadow", app_uid=3)
    lines = out.splitlines()
    assert lines[0] == lines[2] == str(1000003 + 65536 * box.slot()) and lines[1] == "hello"
    assert "Permission denied" in lines[3]
    id = box.create("setsid sleep 1000 & sleep 1000")
    init = box.init_pid(id)
    box.launcher.remove(id)
    assert not alive(init) and box.launcher.list() == []


def test_plain_runtime_ends_what_it_began(plain):
    l = plain.connect()
    id, ip, pid = l.create(["/bin/bash", "-c", "setsid sleep 4321 & (setsid sleep 4322 &) ; echo up; sleep 4323"],
                           slug=plain.slug, attach_ms=10000)
    s = Shim(plain.run, id).attach()
    s.until(b"up")

    def sleepers():
        out = subprocess.run(["pgrep", "-u", "65534", "-x", "-f", "sleep 432[123]"], stdout=subprocess.PIPE, text=True)
        return out.stdout.split()

    until(lambda: len(sleepers()) == 3, "not all run")
    s.signal(signal.SIGTERM)
    assert s.finish()[0] == 143
    until(lambda: not sleepers(), "processes are left")
    id, ip, pid = l.create(["/bin/bash", "-c", "setsid sleep 4321 & sleep 4322"], slug=plain.slug)
    until(lambda: len(sleepers()) == 2, "not all run")
    os.kill(pid, signal.SIGKILL)
    l.remove(id)
    assert not sleepers()


class Hidden:
    """A dyno under the plain runtime with children of own sessions, one of them an orphan, without the mark in their
    environment, as servers are that write their title over it."""

    def __init__(self, launcher, run, n, **spec):
        self.name = "sleep %d" % (10000 * os.getpid() + n)
        script = "env -i setsid {0} & (env -i setsid {0} &) ; {0} & echo up; wait".format(self.name)
        self.id, _, self.shim = launcher.create(["/bin/sh", "-c", script], attach_ms=10000, **spec)
        s = Shim(run, self.id).attach()
        s.until(b"up")
        self.init = struct.unpack(">Q", Shim(run, self.id).supervise().until("STATE")[wire.S["PID"]])[0]
        until(lambda: len(self.sleepers()) == 3, "not all run")

    def sleepers(self):
        return subprocess.run(["pgrep", "-x", "-f", self.name], stdout=subprocess.PIPE, text=True).stdout.split()

    def kill_both(self):
        """Neither has the time to end what is below it."""
        os.kill(self.shim, signal.SIGSTOP)
        os.kill(self.init, signal.SIGKILL)
        until(lambda: not alive(self.init), "the init does not die")
        os.kill(self.shim, signal.SIGKILL)

    def kill_all(self):
        for pid in self.sleepers():
            os.kill(int(pid), signal.SIGKILL)


def test_plain_runtime_nothing_outlives_its_shim(plain):
    """With no launcher either: the init does it."""
    d = Hidden(plain.connect(), plain.run, 1, slug=plain.slug)
    try:
        plain.kill()
        os.kill(d.shim, signal.SIGKILL)
        until(lambda: not d.sleepers() and not alive(d.init), "processes are left")
        plain.start()
        l = plain.connect()
        assert l.list() == [d.id]
        l.remove(d.id)
    finally:
        d.kill_all()


def test_plain_runtime_nothing_outlives_shim_and_init(plain):
    """The launcher is the one to whom such orphans come."""
    l = plain.connect()
    a, b = (Hidden(l, plain.run, n, slug=plain.slug) for n in (1, 2))
    try:
        a.kill_both()
        until(lambda: not a.sleepers(), "processes are left")
        l.remove(a.id)
        assert len(b.sleepers()) == 3 and alive(b.init)
        l.remove(b.id)
        assert not b.sleepers()
    finally:
        a.kill_all()
        b.kill_all()


def test_plain_runtime_as_root_finds_what_is_left_by_its_user(request):
    """Shim, init and launcher were killed: a new launcher is nobody's parent. Dynos of one app share a user, so what
    is left without a mark can be told apart once the last of them goes."""
    box = Box(["--runtime", "plain"])
    request.addfinalizer(box.close)
    os.chmod(box.dir, 0o711)
    dynos = [Hidden(box.launcher, box.run, n, slug=box.slug, app_uid=u) for n, u in ((1, 3), (2, 3), (3, 4), (4, 5))]
    one, same, lone, other = dynos
    try:
        box.launcher.close()
        box.process.kill()
        one.kill_both()
        lone.kill_both()
        assert len(one.sleepers()) == len(lone.sleepers()) == 3
        box.process.start()
        box.launcher = box.process.connect()
        box.launcher.remove(lone.id)
        assert not lone.sleepers()
        box.launcher.remove(one.id)
        assert (len(one.sleepers()), len(same.sleepers()), len(other.sleepers())) == (2, 3, 3)
        box.launcher.remove(same.id)
        assert not one.sleepers() and not same.sleepers() and len(other.sleepers()) == 3
        box.launcher.remove(other.id)
        assert not other.sleepers()
    finally:
        for d in dynos:
            d.kill_all()


def test_plain_runtime_the_copy_ends_with_the_shim(request):
    box = Box(["--runtime", "plain"])
    request.addfinalizer(box.close)
    with open(box.slug + "/large", "wb") as f:
        for i in range(200):
            f.write(b"x" * MiB)
    copies = []

    def stop_copy():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if open("/proc/%s/comm" % pid).read() == "cp\n" and box.state in os.readlink("/proc/%s/fd/7" % pid):
                    os.kill(int(pid), signal.SIGSTOP)
                    copies.append(int(pid))
            except OSError:
                continue
        return copies

    def create():
        with pytest.raises(LaunchError, match="died during setup"):
            box.create(["true"])

    t = threading.Thread(target=create)
    t.start()
    until(stop_copy, "no copy is made")
    with open("/proc/%d/stat" % copies[0]) as f:
        os.kill(int(f.read().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)
    try:
        until(lambda: not alive(copies[0]), "the copy goes on")
    finally:
        if alive(copies[0]):
            os.kill(copies[0], signal.SIGKILL)
        t.join(30)
    until(lambda: box.launcher.list() == [] and os.listdir(box.state + "/dynos") == [], "something is left")


def test_plain_runtime_terminal_and_port(plain):
    l = plain.connect()
    id, ip, pid = l.create(["/bin/bash", "--norc", "-i"], slug=plain.slug, stdio=wire.PTY, attach_ms=10000,
                           env={"PS1": "$ "})
    s = Shim(plain.run, id).attach()
    s.until(b"$ ")
    s.stdin(b"sh -c 'echo in''side; exec sleep 100'\n")
    s.until(b"inside\r\n")
    s.stdin(b"\x03")
    s.stdin(b"echo status $?; exit 2\n")
    assert s.finish()[0] == 2 and b"status 130" in s.output


def test_the_sandbox_cannot_be_had_without_root():
    d = tempfile.mkdtemp(prefix="paas-plain.")
    try:
        os.chmod(d, 0o777)
        shutil.copy(BUILD + "/paas-launcher", d)
        r = subprocess.run([d + "/paas-launcher", "--run", d + "/r", "--state", d + "/s", "--runtime", "sandbox"],
                           user=65534, group=65534, extra_groups=[], stderr=subprocess.PIPE, text=True, timeout=20)
        assert r.returncode == 1 and "needs root" in r.stderr
    finally:
        shutil.rmtree(d)
