"""Launchers on hosts unlike this one: with a systemd (a stand-in for it and its bus), and bare ones."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import wire  # noqa: E402
from fake_systemd import FakeSystemd  # noqa: E402

BUILD = os.environ.get("PAAS_BUILD", os.path.join(ROOT, "build"))
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")
MiB = 1 << 20


def cgroup2():
    with open("/proc/self/mountinfo") as f:
        found = [line.split()[4] for line in f if " - cgroup2 " in line]
    return found[0] if found else None


class Host:
    """Namespaces in which a shell script has made the host look as wanted, and a launcher there."""

    def __init__(self, script, env=()):
        self.dir = tempfile.mkdtemp(prefix="paas-host.")
        self.run, self.state = self.dir + "/run", self.dir + "/state"
        for d in (self.run, self.state, self.dir + "/oldrun", self.state + "/slugs/one"):
            os.makedirs(d)
        self.holder = subprocess.Popen(
            ["unshare", "-n", "-m", "--propagation", "private", "sh", "-euc",
             "ip link set lo up; %s; echo; exec sleep infinity" % script.format(dir=self.dir)],
            stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"\n", "the host could not be made up"
        self.process = wire.LauncherProcess(
            BUILD + "/paas-launcher", self.run, self.state,
            prefix=["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--", "env", *env])
        self.launcher = self.process.connect()

    def create(self, *argv, **spec):
        return self.launcher.create(list(argv), slug=self.state + "/slugs/one", **spec)

    def close(self):
        try:
            self.launcher.shutdown(True)
            self.launcher.close()
            self.process.end()
        finally:
            self.holder.kill()
            self.holder.wait()
        assert os.listdir(self.run) == []
        shutil.rmtree(self.dir)


# The slots stay the real ones: bridges and cgroups are named after them.
WITH_SYSTEMD = """
mkdir -p /run/paasd-slots
mount --bind /run {dir}/oldrun; mount -t tmpfs run /run
mkdir -p /run/systemd/system /run/paasd-slots; mount --bind {dir}/oldrun/paasd-slots /run/paasd-slots
printf 'cpu memory pids\\n' >{dir}/controllers; mount --bind {dir}/controllers %s/cgroup.controllers"""


@pytest.fixture
def systemd():
    v2 = cgroup2()
    if not v2:
        pytest.skip("no cgroup2 is mounted: a stand-in for systemd has nowhere to make scopes")
    here = tempfile.mkdtemp(prefix="paas-bus.")
    s = FakeSystemd(here + "/bus", v2 + "/paasd.slice")
    had_slice = os.path.isdir(s.slice_dir)
    host = None
    try:
        host = s.host = Host(WITH_SYSTEMD % v2, ["DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + s.path])
        yield s
    finally:
        if host:
            host.close()
        s.close()
        if os.path.isdir(s.slice_dir) and not had_slice:
            os.rmdir(s.slice_dir)
        shutil.rmtree(here)


def test_each_dyno_is_a_scope(systemd):
    host = systemd.host
    assert host.launcher.info()["limits"] == "systemd"
    # The bus hangs up on who leaves the handshake unfinished, and the first dyno may come much later.
    assert systemd.hellos == 1
    id, _, _ = host.create("/bin/sleep", "1000", mem_max=64 * MiB, pids_max=32, cpu_weight=200, cpu_pct=50)
    (unit, p), = systemd.units
    assert unit.startswith("paasd") and unit.endswith("-" + id + ".scope")
    pid, = p.pop("PIDs")
    with open("/proc/%d/cgroup" % pid) as f:
        assert unit in f.read()
    assert p == {"Slice": "paasd.slice", "Before": ["paas-dynos.target"], "CollectMode": "inactive-or-failed", "MemoryMax": 64 * MiB,
                 "MemorySwapMax": 0, "TasksMax": 32, "CPUWeight": 200, "CPUQuotaPerSecUSec": 500000}
    host.launcher.remove(id)
    assert os.listdir(systemd.slice_dir).count(unit) == 0 and not os.path.exists("/proc/%d" % pid)


def test_a_bus_that_was_restarted_is_called_again(systemd):
    systemd.host.create("/bin/sleep", "1000")
    systemd.close()
    with pytest.raises(wire.LaunchError) as e:
        systemd.host.create("/bin/sleep", "1000")
    assert "systemd made no scope" in e.value.msg
    systemd.open()
    systemd.host.create("/bin/sleep", "1000")
    systemd.close()
    systemd.open()
    systemd.host.create("/bin/sleep", "1000")
    assert systemd.hellos == 3 and len(systemd.units) == 3


def test_systemd_refuses(systemd):
    systemd.refuse = "org.freedesktop.systemd1.UnitExists"
    with pytest.raises(wire.LaunchError) as e:
        systemd.host.create("/bin/sleep", "1000")
    assert e.value.id == "service_unavailable" and "systemd made no scope" in e.value.msg
    until = time.monotonic() + 20  # it is taken away in the background
    while systemd.host.launcher.list():
        assert time.monotonic() < until
        time.sleep(0.01)
    systemd.refuse = None
    systemd.host.create("/bin/true")


def test_the_fence_needs_no_names_of_protocols():
    """/etc/protocols and /etc/services come with a package that a minimal system does not have."""
    host = Host("for f in /etc/protocols /etc/services; do [ ! -e $f ] || mount --bind /dev/null $f; done")
    try:
        assert not any("nft" in n for n in host.launcher.info()["notes"])
    finally:
        host.close()
