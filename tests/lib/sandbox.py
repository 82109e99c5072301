"""A launcher, driven over its socket, in network and mount namespaces of the test's own: the host's are never touched."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time

import pytest

import wire
from wire import LaunchError, Shim  # noqa: F401 (tests have it from here)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PAAS_BUILD", os.path.join(ROOT, "build"))
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


CLIENT = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); print(s.recv(100).decode())
except OSError as e:
    print('failed', type(e).__name__)
"""


@pytest.fixture
def poor_box(request):
    b = Box([x for lack in request.param for x in ("--without", lack)])
    yield b
    b.close()
