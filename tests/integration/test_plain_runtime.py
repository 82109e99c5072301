"""The launcher without root or namespaces. See lib/sandbox.py."""
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading

import pytest

from sandbox import alive, Box, BUILD, LaunchError, MiB, Shim, until, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")


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
