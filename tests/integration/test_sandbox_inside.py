"""paas-launcher and paas-shim: what a dyno is given and kept from: limits, files, network, the host. See lib/sandbox.py."""
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from sandbox import alive, box, CLIENT, LaunchError, MiB, ROOT, shared, Shim, until, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")


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
