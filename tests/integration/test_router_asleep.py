"""Apps that sleep: the request that wakes one waits for it, paasd is told once; how long an app has been idle."""
import time

import pytest

from router_bed import App, Closed, Message, Router, once, rw, wait_until

REQ = "GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n"


@pytest.fixture
def make(tmp_path):
    made = []

    def make_router(workers=2, **kw):
        r = Router(tmp_path / ("run%d" % len(made)), workers=workers, **kw)
        made.append(r)
        r.ctl.full([])  # who sends the table is paasd
        return r
    yield make_router
    for r in made:
        assert r.stop() == 0


def quiet(ctl):
    """True when paasd was not told to wake anybody: the answer to STATS comes behind it."""
    ctl.stats()
    return rw.WAKE not in [kind for kind, _ in ctl.pending]


def held(r, n=1):
    clients = [r.client() for _ in range(n)]
    for c in clients:
        c.send(REQ)
    return clients


def test_many_requests_wake_it_once(make):
    r = make()
    r.app(name="web", state=rw.ASLEEP)
    assert quiet(r.ctl)
    clients = held(r, 20)
    assert r.ctl.wait(rw.WAKE) == {rw.R_APP_ID: "web"}
    wait_until(lambda: r.read() == 20)
    assert quiet(r.ctl)
    r.app(name="web", state=rw.BOOTING)
    clients += held(r)
    app = r.app(None)
    for c in clients:
        assert Message(c).status == 200
    assert len(app.requests) == 21 and quiet(r.ctl)


def test_it_falls_asleep_again_and_is_woken_again(make):
    r = make()
    for _ in range(2):
        r.app(name="web", state=rw.ASLEEP)
        c = held(r)[0]
        r.ctl.wait(rw.WAKE)
        app = r.app(None)
        assert Message(c).status == 200 and len(app.requests) == 1
    # A cut-over that failed: those who waited wake it once more.
    r.app(name="web", state=rw.BOOTING)
    c = held(r)[0]
    r.app(name="web", state=rw.ASLEEP)
    r.ctl.wait(rw.WAKE)
    r.app(name="web", state=rw.CRASHED)
    assert Message(c).status == 503
    r.log.wait("code=H10")


def test_maintenance_wakes_nobody(make):
    r = make()
    r.app(name="web", state=rw.MAINTENANCE)
    assert r.get().status == 503 and quiet(r.ctl)


def test_it_does_not_come_up(make):
    r = make(queue=200)
    r.app(name="web", state=rw.ASLEEP)
    assert r.get().status == 503
    r.log.wait("code=H20")


def test_paasd_is_away(make):
    r = make()
    r.app(name="web", state=rw.ASLEEP)
    r.ctl.close()
    c = held(r)[0]
    r.connect()
    wait_until(lambda: r.read() == 1)
    assert quiet(r.ctl)  # who has sent no table is not told
    r.ctl.full([dict(app_id="web", hosts=["web.localhost"], dynos=[], state=rw.ASLEEP)])
    assert r.ctl.wait(rw.WAKE)[rw.R_APP_ID] == "web"
    # And it dies before it has done so.
    r.connect()
    r.ctl.full([dict(app_id="web", hosts=["web.localhost"], dynos=[], state=rw.ASLEEP)])
    r.ctl.wait(rw.WAKE)
    r.app(None)
    assert Message(c).status == 200
    r.connect()
    r.ctl.full([dict(app_id="web", hosts=["web.localhost"], dynos=[], state=rw.CRASHED)])
    assert quiet(r.ctl)


def test_the_snapshot_knows(make):
    r = make()
    r.app(name="web", state=rw.ASLEEP)
    r.kill()
    r.start()
    c = held(r)[0]
    wait_until(lambda: r.read() == 1)
    r.ctl.full([dict(app_id="web", hosts=["web.localhost"], dynos=[], state=rw.ASLEEP)])
    r.ctl.wait(rw.WAKE)
    r.app(None)
    assert Message(c).status == 200


def test_idle_time(make):
    r = make()
    gate = App(slow)
    r.app(gate)
    assert r.ctl.idle_ms("other") is None
    time.sleep(0.2)
    assert r.ctl.idle_ms("web") >= 190  # since it is known
    c = held(r)[0]
    wait_until(lambda: gate.requests)
    time.sleep(0.1)
    assert r.ctl.idle_ms("web") == 0
    gate.peers[-1].send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert Message(c).status == 200
    assert r.ctl.idle_ms("web") < 100
    time.sleep(0.2)
    assert 190 <= r.ctl.idle_ms("web") < 2000
    r.ctl.app("web", ["web.localhost", "more.localhost"], [("x", gate.port)])
    assert r.ctl.idle_ms("web") >= 190  # a new entry is no request


def slow(peer, app):
    app.take(peer)
    peer.sock.settimeout(30)
    try:
        peer.rest()
    except (Closed, OSError):
        pass


def test_an_open_tunnel_is_no_idle_time(make):
    r = make()
    r.app(once("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
               then=lambda peer: peer.rest()))
    c = r.client()
    c.send("GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert Message(c, body=False).status == 101
    time.sleep(0.2)
    assert r.ctl.idle_ms("web") == 0
    c.close()
    wait_until(lambda: r.ctl.idle_ms("web") > 0)
    assert r.ctl.idle_ms("web") < 5000
