"""Services on fixed addresses, and the ways from dynos to them, through the launcher. Namespaces of
the test's own, as in lib/sandbox.py."""
import os
import re

import pytest

from sandbox import CLIENT, Box, LaunchError, poor_box, wire  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox runtime needs root")

# Answers on two ports, and counts what one connection says.
SERVICE = """
import selectors, socket, sys
sel = selectors.DefaultSelector()
for port in (5432, 5433):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', port)); s.listen(); sel.register(s, 1, True)
print('up', flush=True)
while True:
    for k, _ in sel.select():
        if k.data:
            c, peer = k.fileobj.accept(); c.sendall(('seen %s\\n' % peer[0]).encode()); sel.register(c, 1, False)
        else:
            d = k.fileobj.recv(100)
            if d: k.fileobj.sendall(b'again ' + d)
            else: sel.unregister(k.fileobj); k.fileobj.close()
"""
# Talks over one connection whenever it is told to.
TALK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
s.settimeout(2); print(s.recv(100).decode(), end='', flush=True)
for line in sys.stdin:
    try:
        s.sendall(line.encode()); print(s.recv(100).decode(), end='', flush=True)
    except OSError as e:
        print('failed', type(e).__name__, flush=True)
"""
# The kernel's own verdict, and at once.
PROBE = """
import errno, socket, sys, time
t = time.monotonic()
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5); print(s.recv(100).decode().strip())
except OSError as e:
    print('failed', 'late' if time.monotonic() - t > 1 else 'at once')
"""


@pytest.fixture(scope="module")
def shared():
    b = Box()
    yield b
    b.close()


@pytest.fixture
def box(shared):
    shared.made = []
    yield shared
    for id in shared.made:
        shared.launcher.remove(id)


def python(box, code, *args, **spec):
    return box.output(["/usr/bin/python3", "-c", code] + [str(a) for a in args], net=1, **spec)[1].strip()


def service(box, index, **spec):
    """(id, address) of one that answers on 5432 and 5433."""
    id, s = box.attach(["/usr/bin/python3", "-c", SERVICE], name="postgresql.1", net=1, address=index,
                       app_uid=40, **spec)
    s.until(b"up")
    s.close()  # the default is to go on
    return id, box.last[1]


def elements(box):
    text = box.inside("nft", "list", "set", "inet", "paasd%d" % box.slot(), "reach").stdout
    return sorted(re.findall(r"(\d+\.\d+\.\d+\.\d+ \. \d+\.\d+\.\d+\.\d+ \. \d+)", text))


def test_a_service_is_reached_by_those_who_may_and_by_the_host(box):
    a, ip = service(box, 1)
    b, other = service(box, 2046)
    net = box.launcher.info()["gateway"].rsplit(".", 2)
    third = int(net[1])
    assert ip == "%s.%d.1" % (net[0], third + 120) and other == "%s.%d.254" % (net[0], third + 127)
    way = ["%s:5432" % ip]
    # the service sees the dyno itself, not a masquerade
    got = python(box, PROBE, ip, 5432, reach=way)
    assert got == "seen " + box.last[1]
    assert python(box, PROBE, ip, 5433, reach=way) == "failed at once"  # no other port
    assert python(box, PROBE, other, 5432, reach=way) == "failed at once"  # no other service
    assert python(box, PROBE, other, 5432, reach=way + ["%s:5432" % other]).startswith("seen")
    assert python(box, PROBE, ip, 5432) == "failed late"  # not even a route
    assert box.inside("/usr/bin/python3", "-c", CLIENT, ip, "5433").stdout.startswith("seen")
    # nor back: a service opens nothing to a dyno, from whatever port
    dyno, s = box.attach(["/usr/bin/python3", "-c", SERVICE], net=1, reach=way)
    s.until(b"up")
    back = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.settimeout(1.5); s.bind(('0.0.0.0', int(sys.argv[3])))
try:
    s.connect((sys.argv[1], int(sys.argv[2]))); print('through')
except OSError: print('failed')
"""
    dyno_ip = box.last[1]
    box.launcher.remove(b)
    for port in (5432, 6000):
        assert python(box, back, dyno_ip, 5433, port, address=2046, app_uid=40) == "failed"
    assert box.inside("/usr/bin/python3", "-c", CLIENT, dyno_ip, "5433").stdout.startswith("seen")


def test_the_way_ends_with_the_dyno_and_outlives_the_launcher(box):
    id, ip = service(box, 7)
    dyno, s = box.attach(["/usr/bin/python3", "-c", TALK, ip, "5432"], net=1, stdio=wire.PIPE,
                         reach=["%s:5432" % ip, "%s:6379" % ip])
    s.until(b"seen")
    mine = box.last[1]
    assert elements(box) == ["%s . %s . %d" % (mine, ip, p) for p in (5432, 6379)]
    box.process.kill()
    s.stdin(b"one\n")
    s.until(b"again one")
    box.restart()
    assert elements(box) == ["%s . %s . %d" % (mine, ip, p) for p in (5432, 6379)]
    s.stdin(b"two\n")
    s.until(b"again two")
    # the address stays the service's, in life and in death
    with pytest.raises(LaunchError) as e:
        box.launcher.create(["true"], net=1, address=7, slug=box.slug)
    assert e.value.id == "conflict"
    assert service_again(box, id, 7) == ip
    # somebody who flushes the host's rules: the next dyno brings ours back
    box.inside("nft", "delete", "table", "inet", "paasd%d" % box.slot())
    assert python(box, PROBE, ip, 5432, reach=["%s:5432" % ip]).startswith("seen")
    assert elements(box) == ["%s . %s . %d" % (mine, ip, p) for p in (5432, 6379)]
    box.launcher.remove(dyno)
    assert elements(box) == []


def service_again(box, id, index):
    box.launcher.remove(id)
    return service(box, index)[1]


def test_taking_the_way_away_cuts_connections(box):
    id, ip = service(box, 8)
    dyno, s = box.attach(["/usr/bin/python3", "-c", TALK, ip, "5432"], net=1, stdio=wire.PIPE,
                         reach=["%s:5432" % ip])
    s.until(b"seen")
    box.inside("nft", "delete", "element", "inet", "paasd%d" % box.slot(), "reach",
               "{ %s . %s . 5432 }" % (box.last[1], ip))
    s.stdin(b"one\n")
    s.until(b"failed", 10)


def test_the_host_gives_no_wrong_advice(box):
    """Hairpin without ICMP redirects, counted where packets leave the host."""
    id, ip = service(box, 9)
    box.inside("nft", "add table inet spy; add chain inet spy p { type filter hook postrouting priority 300; };"
               "add rule inet spy p icmp type redirect counter")

    def redirects():
        for i in range(3):
            assert python(box, PROBE, ip, 5432, reach=["%s:5432" % ip]).startswith("seen")
        return int(re.search(r"counter packets (\d+)", box.inside("nft", "list", "table", "inet", "spy").stdout)[1])

    assert redirects() == 0
    box.inside("nft", "flush", "chain", "inet", "paasd%d" % box.slot(), "redirects")
    assert redirects() > 0  # the rule it is that holds
    box.inside("nft", "delete", "table", "inet", "spy")
    box.process.kill()
    box.restart()  # makes the fence whole again


@pytest.mark.parametrize("way", ["10.0.0.1:5432", "127.0.0.1:22", "1.2.3.4", "OWN:0", "OWN:65536", "OWN:5432x",
                                 "GATEWAY:5432", "DYNO:80"])
def test_only_services_of_the_instance_can_be_reached(box, way):
    gateway = box.launcher.info()["gateway"]
    first, third = gateway.rsplit(".", 2)[:2]
    way = way.replace("OWN", "%s.%d.5" % (first, int(third) + 120)).replace("GATEWAY", gateway)
    with pytest.raises(LaunchError) as e:
        box.create("true", net=1, reach=[way.replace("DYNO", gateway[:-1] + "7")])
    assert e.value.id == "bad_request"


def test_addresses_out_of_range(box):
    for bad in (2047, 1 << 31):
        with pytest.raises(LaunchError) as e:
            box.create("true", net=1, address=bad)
        assert e.value.id == "bad_request"


@pytest.mark.parametrize("poor_box", [["idmap"]], indirect=True)
def test_the_last_dyno_hands_a_shared_folder_back(poor_box):  # noqa: F811
    box = poor_box
    shared_dir = box.state + "/builds/b1"
    ids = []
    for i in range(2):
        id, s = box.attach("touch /data/%d; echo up; sleep 100" % i,
                           binds=[(shared_dir, "/data", wire.BIND_IDMAP)])
        s.until(b"up")
        s.close()
        ids.append(id)
    box.launcher.remove(ids[0])
    assert os.lstat(shared_dir + "/0").st_uid >= 1000000  # the other one still runs
    box.launcher.remove(ids[1])
    assert os.lstat(shared_dir + "/0").st_uid == 0
