"""paas-launcher: who may ask it, the death of each part, hosts that lack something, its client in C. See lib/sandbox.py."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sandbox import alive, Box, box, BUILD, LaunchError, MiB, own_box, poor_box, ROOT, shared, Shim, sink, until, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")


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
