"""Services (daemon/svc) with a real server, redis-server, under both runtimes: through the real
launcher, in namespaces of the test's own, by svc_harness in the place of paasd."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from sandbox import BUILD, Box, alive, until, wire

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]

RUN = """#!/bin/sh
# The password never stands in the arguments.
exec redis-server - <<END
bind $SERVICE_ADDRESS
port $SERVICE_PORT
dir $SERVICE_DATA
requirepass $(cat "$SERVICE_ETC/password")
appendonly yes
appendfsync always
END
"""
# One exchange with a Redis server, and what became of it.
ASK = """
import socket, sys
ip, port, password = sys.argv[1:4]
try:
    s = socket.create_connection((ip, int(port)), 1.5)
    f = s.makefile('rb')
    for words in ['AUTH ' + password] + sys.argv[4:]:
        s.sendall(words.encode() + b'\\r\\n'); got = f.readline().decode().strip()
        if got.startswith('$') and got != '$-1': got = f.readline().decode().strip()
        print(got)
except OSError as e:
    print('failed')
"""


class Paasd:
    """svc_harness, in the namespaces of a Box."""

    def __init__(self, box, owner=0):
        self.box = box
        cmd = box.prefix[:]
        if owner:
            cmd += ["setpriv", "--reuid", str(owner), "--regid", str(owner), "--clear-groups"]
        self.p = subprocess.Popen(cmd + [BUILD + "/tests/svc_harness", "--run", box.run, "--state", box.state],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  stderr=open(box.dir + "/harness.log", "a"))
        assert self.answer() == {"ready": True}

    def answer(self):
        line = self.p.stdout.readline()
        assert line, open(self.box.dir + "/harness.log").read()
        return json.loads(line)

    def do(self, *words):
        self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.p.stdin.flush()
        return self.answer()

    def up(self, *words):
        """Ensures a service and waits until it is up."""
        i = self.do("ensure", *words)
        assert "error" not in i, i
        return self.wait(i["id"])

    def wait(self, id):
        i = self.do("wait", id, 20000)
        assert i.get("state") == "up", (i, open(self.box.dir + "/harness.log").read()[-3000:])
        return i

    def stop(self, how):
        self.p.stdin.write("stop %s\n" % how)
        self.p.stdin.flush()
        assert self.p.wait(30) == 0, open(self.box.dir + "/harness.log").read()[-3000:]

    def kill(self):
        self.p.kill()
        self.p.wait()


class Lab:
    def __init__(self, args=(), owner=0):
        self.home = "/tmp/paas-svc-home.%d/redis" % os.getpid()
        os.makedirs(self.home + "/bin")
        os.chmod(os.path.dirname(self.home), 0o755)
        with open(self.home + "/bin/run", "w") as f:
            f.write(RUN)
        os.chmod(self.home + "/bin/run", 0o755)
        self.box = Box(["--ro", os.path.dirname(self.home)] + list(args), owner)
        os.chmod(self.box.dir, 0o711)  # without mounts the service's user comes by here
        self.owner, self.slot = owner, self.box.slot()
        try:
            self.paasd = Paasd(self.box, owner)
        except BaseException:
            self.box.close()
            shutil.rmtree(os.path.dirname(self.home))
            raise

    def again(self):
        self.paasd = Paasd(self.box, self.owner)
        return self.paasd

    def redis(self, addon="-", password="secret", port=6379, memory=64):
        return addon, "redis", self.home, port, memory, "password", password, "/service/bin/run"

    def ask(self, i, *commands, password="secret"):
        out = self.box.inside("/usr/bin/python3", "-c", ASK, i["ip"], str(i["port"]), password, *commands).stdout
        return out.split("\n")[:-1]

    def ask_from_dyno(self, i, *commands, port=None, **spec):
        out = self.box.output(["/usr/bin/python3", "-c", ASK, i["ip"], str(port or i["port"]), "secret"] +
                              list(commands), net=1, **spec)[1]
        return out.split("\n")[:-1]

    def inits(self):
        return self.box.launcher.list()

    def processes(self):
        """All of the instance's users: apps' and services', in a sandbox or not."""
        base, found = 1000000 + 65536 * self.slot, []
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/status" % pid) as f:
                        uid = int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1))
                    if base <= uid < base + 65536 and alive(int(pid)):
                        found.append((int(pid), os.readlink("/proc/%s/exe" % pid).split("/")[-1]))
                except OSError:
                    continue
        return found

    def close(self):
        if self.paasd.p.poll() is None:
            self.paasd.kill()
        try:
            self.box.launcher.shutdown(True)
        except (wire.Closed, OSError):
            pass
        left = self.processes()
        for pid, _ in left:
            os.kill(pid, signal.SIGKILL)
        self.box.close()
        shutil.rmtree(os.path.dirname(self.home))
        assert left == []


@pytest.fixture(params=["sandbox", "service mode", "plain"])
def lab(request):
    args = ["--runtime", "plain"] if request.param == "plain" else []
    x = Lab(args, owner=65534 if request.param == "service mode" else 0)
    x.kind = request.param
    yield x
    x.close()


def shim_of(lab):
    with open(lab.box.run + "/dynos/%s/pid" % lab.inits()[0]) as f:
        return int(f.read().split()[0])


def test_the_life_of_a_service(lab):
    p, box = lab.paasd, lab.box
    i = p.up(*lab.redis())
    assert lab.ask(i, "SET a 1", "GET a") == ["+OK", "+OK", "1"]
    assert i["ip"] == "127.0.0.1" if lab.kind == "plain" else i["ip"].startswith("10.")
    assert p.do("find", "-", "redis")["id"] == i["id"] and p.do("find", "-", "x")["error"] == "not_found"
    assert p.up(*lab.redis())["restarts"] == 0  # as it is: nothing happens
    assert p.do("usage", i["id"])["bytes"] > 0
    # its secrets are its own
    etc = box.state + "/services/%s/etc/password" % i["id"]
    assert os.stat(etc).st_mode & 0o777 == 0o400 and os.stat(os.path.dirname(etc)).st_mode & 0o77 == 0
    if lab.kind != "plain":
        assert os.stat(etc).st_uid == lab.owner
        me = ["%s:%d" % (i["ip"], i["port"])]
        assert lab.ask_from_dyno(i, "GET a", reach=me) == ["+OK", "1"]
        assert lab.ask_from_dyno(i, "GET a", port=6380, reach=me) == ["failed"]
        assert lab.ask_from_dyno(i, "GET a") == ["failed"]
        assert box.output("ls -A /etc/service; ls -d /data 2>&1", net=1)[1].startswith("ls: cannot access '/data'")
    # a crash: it comes back by itself, with what it had
    sandbox = lab.inits()[0]
    os.kill(shim_of(lab), signal.SIGKILL)
    until(lambda: [x for x in lab.inits() if x != sandbox], "it is not started again")
    j = p.wait(i["id"])
    assert j["restarts"] == 1 and (j["ip"], j["port"]) == (i["ip"], i["port"])
    assert lab.ask(i, "GET a") == ["+OK", "1"]
    # paasd dies: the service does not notice, and is taken over
    sandbox = lab.inits()
    p.kill()
    assert lab.ask(i, "SET b 2") == ["+OK", "+OK"]
    p = lab.again()
    assert p.wait(i["id"])["restarts"] == 0 and lab.inits() == sandbox
    # another spec is another process with the same data
    j = p.up(*lab.redis(password="other"))
    assert j["id"] == i["id"] and lab.inits() != sandbox and len(lab.inits()) == 1
    assert lab.ask(i, "GET b", password="other") == ["+OK", "2"]
    # and so when it was changed behind the back of what runs
    sandbox = lab.inits()
    p.kill()
    os.unlink(etc)
    with open(etc, "w") as f:
        f.write("third")
    os.chmod(etc, 0o400)
    if lab.kind != "plain":
        os.chown(etc, lab.owner, lab.owner)
    p = lab.again()
    until(lambda: lab.ask(i, "GET b", password="third") == ["+OK", "2"], "the new password does not hold")
    assert lab.inits() != sandbox
    # let go of, ended, started again
    p.stop("keep")
    assert len(lab.inits()) == 1
    p = lab.again()
    p.wait(i["id"])
    p.stop("end")
    assert lab.inits() == [] and lab.ask(i, "PING") == ["failed"]
    p = lab.again()
    p.wait(i["id"])
    assert lab.ask(i, "GET b", password="third") == ["+OK", "2"]
    # gone without a trace
    assert p.do("remove", i["id"]) == {"bytes": 0} and p.do("remove", i["id"]) == {"bytes": 0}
    assert lab.inits() == [] and os.listdir(box.state + "/services") == []
    until(lambda: not os.path.exists(box.state + "/logs/" + i["id"]), "its log stays")  # the log thread's to do
    assert p.do("wait", i["id"], 100)["error"] == "not_found"
    if lab.kind != "plain":
        slot = "pd%02x" % box.slot()
        assert slot not in box.inside("ip", "-o", "link").stdout
    p.stop("end")


def test_no_server_outlives_its_shim_without_namespaces(request):
    """One with a session of its own below its script, and a title in the place of its environment: two of them would
    write one file."""
    lab = Lab(["--runtime", "plain"])
    request.addfinalizer(lab.close)
    with open(lab.home + "/bin/run", "w") as f:
        f.write(RUN.replace("exec redis-server", "setsid redis-server").replace("\nEND", "\nEND\nwait"))
    p = lab.paasd
    i = p.up(*lab.redis())

    def servers():
        return [pid for pid, program in lab.processes() if program.startswith("redis")]

    assert lab.ask(i, "SET a 1") == ["+OK", "+OK"]
    for restarts, both in ((1, False), (2, True)):
        [server] = servers()
        shim, sandbox = shim_of(lab), lab.inits()[0]
        inits = subprocess.run(["pgrep", "-P", str(shim)], stdout=subprocess.PIPE, text=True).stdout.split()
        if both:
            os.kill(shim, signal.SIGSTOP)
            os.kill(int(inits[0]), signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        until(lambda: [x for x in lab.inits() if x != sandbox], "it is not started again")
        assert not alive(server)
        assert p.wait(i["id"])["restarts"] == restarts
        assert lab.ask(i, "GET a") == ["+OK", "1"]
    p.stop("end")
    assert lab.processes() == []


def test_services_of_add_ons_and_what_a_crash_leaves(request):
    lab = Lab()
    request.addfinalizer(lab.close)
    p = lab.paasd
    one, two = (p.do("addon", n)["id"] for n in ("one", "two"))
    a, b = p.up(*lab.redis(one)), p.up(*lab.redis(two))
    assert a["id"] != b["id"] and a["ip"] != b["ip"]
    assert p.do("find", one, "redis")["ip"] == a["ip"]
    # neither reaches the other
    lab.ask(a, "CONFIG SET protected-mode no")
    assert lab.ask(a, "REPLICAOF %s 6379" % b["ip"], "INFO replication")[1] == "+OK"
    assert lab.ask(b, "SET x 1") == ["+OK", "+OK"]
    assert lab.ask(a, "GET x") == ["+OK", "$-1"]
    # an add-on whose row has gone takes its service along at the next start
    assert p.do("forget", two)["id"] == two
    p.kill()
    p = lab.again()
    p.wait(a["id"])
    until(lambda: len(lab.inits()) == 1 and os.listdir(lab.box.state + "/services") == [a["id"]],
          "the orphan is still there")
    assert p.do("find", two, "redis")["error"] == "not_found"
    # what cannot be
    bad = p.do("ensure", "-", "redis", lab.home, 80, 0, "password", "x", "/service/bin/run")
    assert bad["error"] == "invalid_params"
    assert p.do("ensure", "-", "redis", lab.home, 6379, 0, "../x", "x", "/bin/true")["error"] == "invalid_params"
    assert "error" in p.do("ensure", "-", "redis", lab.home + "/not-there", 6379, 0, "x", "x", "/bin/true")
    # one that does not come up is tried again, later and later, and stays removable
    c = p.do("ensure", "-", "nothing", lab.home, 6379, 0, "password", "x", "/bin/false")
    until(lambda: p.do("find", "-", "nothing")["restarts"] >= 1, "it is not tried again")
    assert p.do("wait", c["id"], 50)["error"] == "timeout"
    assert p.do("remove", c["id"]) == {"bytes": 0}
    p.stop("end")
