"""Volumes, through the launcher. Namespaces of the test's own, as in lib/sandbox.py."""
import fcntl
import os
import subprocess
import uuid

import pytest

from sandbox import Box, LaunchError, MiB, poor_box, until, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")


@pytest.fixture(params=[0, 65534], ids=["root", "service mode"])
def box(request):
    b = Box(owner=request.param)
    yield b
    b.launcher.shutdown(True)
    b.close()


def run(box, id, script, at="/app/storage", ro=False, uid=3, code=0):
    src = "%s/volumes/%s" % (box.state, id)
    got, out = box.output("exec 2>&1; " + script, app_uid=uid, binds=[(src, at, wire.BIND_VOLUME | ro)])
    assert got == code, out
    return out


def loops(box):
    """Loop devices of this machine that have an image of the test's."""
    found = []
    for n in os.listdir("/sys/block"):
        try:
            with open("/sys/block/%s/loop/backing_file" % n) as f:
                found += [n] if box.dir in f.read() else []
        except OSError:
            pass
    return found


def test_a_volume_keeps_its_data_and_its_size(box):
    id, other = str(uuid.uuid4()), str(uuid.uuid4())
    with pytest.raises(LaunchError) as e:
        box.launcher.volume(id)
    assert e.value.id == "not_found"
    assert box.launcher.volume(id, 16 * MiB)[:2] == ("image", 16 * MiB)
    assert box.launcher.volume(id, 16 * MiB) == box.launcher.volume(id)  # idempotent
    assert loops(box) == []
    # the app's own inside, at a path below /app, and nothing else in it
    assert run(box, id, "stat -c %U /app/storage; ls -A storage; mkdir storage/d; echo 1 > storage/d/f") == "app\n"
    # somebody who shares it, while it is in use; and after the death of the launcher
    a, s = box.attach("echo up; read x; cat storage/g", stdio=wire.PIPE, app_uid=3,
                      binds=[("%s/volumes/%s" % (box.state, id), "/app/storage", wire.BIND_VOLUME)])
    s.until(b"up")
    box.process.kill()
    box.restart()
    assert run(box, id, "cat storage/d/f; echo shared > storage/g") == "1\n"
    assert len(loops(box)) == 1  # one device, however many have it
    s.stdin(b"\n")
    assert s.finish()[1] == b"up\nshared\n"
    box.launcher.remove(a)
    # its size is the limit, whatever it is written with
    assert "No space left" in run(box, id, "head -c 30M /dev/zero > storage/big; stat -c %s storage/big; exit 7",
                                  code=7)
    quota, size, used = box.launcher.volume(id)
    assert used >= size * 9 // 10
    assert int(run(box, id, "stat -c %s storage/big")) >= 16 * MiB
    with pytest.raises(LaunchError) as e:
        box.launcher.volume(id, 8 * MiB)
    assert e.value.id == "invalid_params"
    # it grows and keeps what it has; while it is used only where root may do all that root may
    a, s = box.attach("echo up; read x; head -c 30M /dev/zero > storage/more && echo fits", stdio=wire.PIPE, app_uid=3,
                      binds=[("%s/volumes/%s" % (box.state, id), "/app/storage", wire.BIND_VOLUME)])
    s.until(b"up")
    try:
        assert box.launcher.volume(id, 64 * MiB)[1] == 64 * MiB
        s.stdin(b"\n")
        assert s.finish()[1] == b"up\nfits\n"
    except LaunchError as e:
        assert e.id == "conflict" and "while no dyno uses it" in e.msg
        assert box.launcher.volume(id)[1] == 16 * MiB
    box.launcher.remove(a)
    until(lambda: loops(box) == [], "the device stays")
    assert box.launcher.volume(id, 96 * MiB)[1] == 96 * MiB
    assert run(box, id, "head -c 60M /dev/zero > storage/more && echo fits") == "fits\n"
    image = "%s/volumes/%s/image" % (box.state, id)
    assert run(box, id, "cat storage/d/f; rm storage/big storage/more; sync -f storage") == "1\n"
    # read-only; of another app later; somebody else's place is not shown
    assert "Read-only" in run(box, id, "cat storage/d/f; touch storage/x", ro=True, code=1)
    assert run(box, id, "stat -c %U /data /data/d/f; echo 2 > /data/d/f", at="/data", uid=4) == "app\napp\n"
    box.launcher.volume(other, 16 * MiB)
    assert run(box, other, "ls -A storage") == ""
    # no devices, no setuid, nothing of paasd's to write to
    assert "nosuid" in run(box, id, "grep ' /app/storage ' /proc/self/mounts")
    st = os.stat(image)
    assert (st.st_uid, st.st_mode & 0o777) == (0, 0o600) and os.stat(box.state + "/volumes").st_mode & 0o77 == 0
    for bad in ("..", id + "/../" + other, "x"):
        with pytest.raises(LaunchError):
            run(box, bad, "true")
    with pytest.raises(LaunchError) as e:
        box.launcher.rmtree(box.state + "/volumes/" + id)
    assert e.value.id == "forbidden"
    box.launcher.volume_remove(id)
    box.launcher.volume_remove(id)
    assert os.listdir(box.state + "/volumes") == [other] and loops(box) == []


def test_volumes_that_the_owner_put_there_are_not_mounted():
    box = Box(owner=65534)
    try:
        id = str(uuid.uuid4())
        os.makedirs("%s/volumes/%s/data" % (box.state, id))
        os.chown(box.state + "/volumes", 65534, 65534)
        for what in (lambda: run(box, id, "true"), lambda: box.launcher.volume(id, MiB)):
            with pytest.raises(LaunchError) as e:
                what()
            assert e.value.id == "forbidden"
    finally:
        box.launcher.shutdown(True)
        box.close()


@pytest.mark.parametrize("poor_box", [["loop"]], indirect=True)
def test_without_loop_devices_nothing_is_promised(poor_box):  # noqa: F811
    id = str(uuid.uuid4())
    assert poor_box.launcher.volume(id, MiB) == ("none", MiB, 0)
    assert run(poor_box, id, "head -c 2M /dev/zero > storage/f; stat -c %U storage") == "app\n"
    assert run(poor_box, id, "stat -c %s storage/f") == "2097152\n"


def in_image(path, command):
    return subprocess.run(["/usr/sbin/debugfs", "-R", command, path], capture_output=True, text=True, check=True).stdout


FIFREEZE = 0xC0045877


def test_a_copy_is_of_one_moment_and_nothing_stays_frozen(box, tmp_path):
    """While a dyno writes: a before b, so in a copy of one moment b is never ahead."""
    id = str(uuid.uuid4())
    box.launcher.volume(id, 64 * MiB)
    writer = ("i=0; echo up; while [ ! -e storage/stop ]; do i=$((i+1)); echo $i > storage/a; sync storage/a; echo $i > storage/b; done;"
              "rm storage/stop; echo stopped; read x; echo through > storage/c; echo end")
    a, s = box.attach(writer, stdio=wire.PIPE, app_uid=3, binds=[("%s/volumes/%s" % (box.state, id), "/app/storage", wire.BIND_VOLUME)])
    s.until(b"up")
    copies = []
    for i in range(3):
        quota, size, fd = box.launcher.volume_copy(id, 10)
        assert (quota, size) == ("image", 64 * MiB)
        st = os.fstat(fd)
        assert st.st_nlink == 0 and st.st_blocks * 512 < st.st_size / 4  # no name, and sparse
        with pytest.raises(OSError):
            os.write(fd, b"x")
        path = "/proc/%d/fd/%d" % (os.getpid(), fd)
        check = subprocess.run(["/usr/sbin/e2fsck", "-fn", path], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout
        first, second = (int(in_image(path, "cat data/" + name) or 0) for name in "ab")
        assert first - 1 <= second <= first
        copies.append(first)
        os.close(fd)
    assert copies == sorted(copies)
    # time is over at once: it says so, and the dyno goes on; no room for a copy
    with pytest.raises(LaunchError) as e:
        box.launcher.volume_copy(id, 0)
    assert e.value.id == "timeout" and "stand still" in e.value.msg
    with pytest.raises(LaunchError) as e:
        box.launcher.volume_copy(id, 10, 1 << 60)
    assert e.value.id == "insufficient_storage"
    with pytest.raises(LaunchError) as e:
        box.launcher.volume_copy(str(uuid.uuid4()), 10)
    assert e.value.id == "not_found"
    assert run(box, id, "touch storage/stop; until ! [ -e storage/stop ]; do sleep 0.05; done; echo on") == "on\n"
    s.until(b"stopped")
    # what killed helpers left frozen, the next launcher thaws
    box.process.kill()
    shim = next(int(p) for p in filter(str.isdigit, os.listdir("/proc")) if has_volume(p, id))
    root = os.open("/proc/%d/root/app/storage" % shim, os.O_RDONLY)
    fcntl.ioctl(root, FIFREEZE, 0)
    os.close(root)
    s.stdin(b"\n")
    box.restart()
    s.until(b"end")
    box.launcher.remove(a)
    until(lambda: loops(box) == [], "the device stays")


def has_volume(pid, id):
    """A process of a dyno that has the volume: of its mounts, one is a loop device at /app/storage."""
    try:
        with open("/proc/%s/mounts" % pid) as f:
            return any(line.split()[1] == "/app/storage" and line.startswith("/dev/loop") for line in f)
    except OSError:
        return False


@pytest.mark.parametrize("poor_box", [["loop"]], indirect=True)
def test_a_copy_of_a_folder_is_the_folder(poor_box):  # noqa: F811
    id = str(uuid.uuid4())
    poor_box.launcher.volume(id, MiB)
    run(poor_box, id, "echo 1 > storage/f")
    quota, size, fd = poor_box.launcher.volume_copy(id, 10)
    assert (quota, size, os.listdir(fd)) == ("none", MiB, ["f"])
    os.close(fd)
