"""TLS of the router: beside plain HTTP on one port, certificates by name, hostile handshakes, ends."""
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from router_bed import (OK, SANITIZED, App, Closed, Message, Peer, Router, always, once, rw,
                        wait_until)


class Certs:
    """A CA and certificates of it."""

    def __init__(self, folder):
        self.dir = str(folder)
        self.ca = self._make("ca", ["-x509", "-days", "3"], "Test CA", [
            "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"])
        self.ca_file = os.path.join(self.dir, "ca.pem")


    def _run(self, *argv):
        subprocess.run(["openssl"] + list(argv), check=True, cwd=self.dir, capture_output=True)

    def _read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def _make(self, name, args, cn, ext):
        self._run("req", *args, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", name + ".key", "-out", name + ".pem", "-subj", "/CN=" + cn,
                  *[x for e in ext for x in ("-addext", e)])
        return self._read(name + ".pem"), self._read(name + ".key")

    def leaf(self, *names):
        san = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
        self._make("leaf", ["-x509", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key"], names[0],
                   ["subjectAltName=" + san, "basicConstraints=critical,CA:FALSE"])
        return self._read("leaf.pem"), self._read("leaf.key")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def default(certs):
    return certs.leaf("localhost", "127.0.0.1")


@pytest.fixture
def make(tmp_path, default):
    made = []

    def make_router(workers=2, cert=default, **kw):
        made.append(Router(tmp_path / ("run%d" % len(made)), workers=workers, **kw))
        if cert:
            made[-1].ctl.cert(cert)
        return made[-1]
    yield make_router
    for r in made:
        if r.proc.poll() is None or r.proc.returncode == 0:
            assert r.stop() == 0
        else:
            r.stop()


def context(certs, **kw):
    ctx = ssl.create_default_context(cafile=certs.ca_file)
    for name, value in kw.items():
        setattr(ctx, name, value)
    return ctx


def connect(r, certs, name="localhost", ctx=None, session=None):
    raw = socket.create_connection(("127.0.0.1", r.port), 10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = Peer((ctx or context(certs)).wrap_socket(raw, server_hostname=name, session=session))
    r.peers.append(peer)
    return peer


def loose():
    """A client that takes any certificate: for tests of what is below that."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    return ctx


GET = "GET / HTTP/1.1\r\nHost: %s\r\n\r\n"


def name_of(peer):
    return dict(x[0] for x in peer.sock.getpeercert()["subject"])["commonName"]


# --- both on one port ----------------------------------------------------------------------------

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_https_beside_http(make, certs, version):
    r = make()
    app = r.app(App())
    c = connect(r, certs, ctx=context(certs, maximum_version=version))
    for i in range(3):
        c.send(GET % "web.localhost")
        assert Message(c).body == b"GET 0"
    plain = r.get()
    assert plain.status == 200
    over_tls, over_plain = app.requests[0], app.requests[-1]
    assert over_tls.get("X-Forwarded-Proto") == "https"
    assert over_plain.get("X-Forwarded-Proto") == "http"
    assert over_tls.get("X-Forwarded-Port") == over_plain.get("X-Forwarded-Port") == str(r.port)
    assert r.log.wait("protocol=https")[3].endswith("status=200 bytes=5 protocol=https")


def test_bodies_of_all_sizes_come_through(make, certs):
    r = make()

    def echo(peer, app):
        while True:
            m = app.take(peer)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(m.body) + m.body)
    r.app(App(echo))
    c = connect(r, certs)
    for n in (1, 2047, 2048, 16383, 16384, 16385, 65536, 1000003):
        body = os.urandom(n)
        c.send(b"POST / HTTP/1.1\r\nHost: web.localhost\r\nContent-Length: %d\r\n\r\n" % n + body)
        assert Message(c).body == body


def test_chunked_answers_and_a_slow_reader(make, certs):
    r = make()
    piece = os.urandom(50000)

    def stream(peer, app):
        app.take(peer)
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            peer.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        peer.send("0\r\n\r\n")
    r.app(App(stream))
    c = connect(r, certs)
    c.send(GET % "web.localhost")
    before = r.rss_kb()
    time.sleep(0.3)  # the reader is slow: nothing to wait for
    assert r.rss_kb() - before < 4000
    assert Message(c).body == piece * 200


def test_pipelined_requests(make, certs):
    r = make()
    r.app(App())
    c = connect(r, certs)
    c.send((GET % "web.localhost") * 20)
    for _ in range(20):
        assert Message(c).status == 200


def test_websocket_over_tls(make, certs):
    r = make()

    def upgrade(peer, app):
        app.take(peer)
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                  "early")
        while True:
            peer.send(peer.exactly(1))
    r.app(App(upgrade))
    c = connect(r, certs)
    c.send("GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc")
    assert Message(c).status == 101
    assert c.exactly(8) == b"earlyabc"
    data = os.urandom(20000)
    c.send(data)
    assert c.exactly(len(data)) == data
    c.close()
    assert "protocol=https" in r.log.wait("status=101")[3]


def test_curl_with_a_ca_and_names(make, certs):
    r = make()
    r.app(App())
    r.ctl.cert(certs.leaf("web.localhost"), ["web.localhost"])

    def curl(*args):
        return subprocess.run(["curl", "-sS", "--max-time", "10", "--cacert", certs.ca_file,
                               "--resolve", "web.localhost:%d:127.0.0.1" % r.port] + list(args),
                              capture_output=True, text=True)
    got = curl("https://web.localhost:%d/" % r.port)
    assert (got.returncode, got.stdout) == (0, "GET 0"), got.stderr
    got = curl("-H", "Host: web.localhost", "https://127.0.0.1:%d/" % r.port)
    assert (got.returncode, got.stdout) == (0, "GET 0"), got.stderr
    got = curl("-d", "x" * 30000, "http://web.localhost:%d/" % r.port)
    assert got.stdout == "POST 30000"


# --- the protocol --------------------------------------------------------------------------------

def s_client(r, *args, feed=b""):
    return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % r.port] + list(args),
                          input=feed, capture_output=True, timeout=20)


def test_versions_and_ciphers(make):
    r = make()
    for args, ok in ((["-tls1_3"], True), (["-tls1_2"], True),
                     (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
                     (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], False),
                     (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
                     (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], True),
                     (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"], False),
                     (["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"], False)):
        got = s_client(r, *args)
        assert (b"Cipher is (NONE)" not in got.stdout) == ok, (args, got.stdout, got.stderr)


def test_no_renegotiation(make):
    r = make()
    r.app(App())
    got = s_client(r, "-tls1_2", "-legacy_renegotiation", "-msg", feed=b"R\n")
    assert b"no_renegotiation" in got.stdout + got.stderr or got.returncode != 0
    assert r.get().status == 200


def test_alpn(make, certs):
    r = make()
    r.app(App())
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)):
        ctx = context(certs)
        if offered:
            ctx.set_alpn_protocols(offered)
        c = connect(r, certs, ctx=ctx)
        assert c.sock.selected_alpn_protocol() == chosen
    ctx = context(certs)
    ctx.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
        connect(r, certs, ctx=ctx)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_any_worker(make, certs, version):
    r = make(workers=2)
    r.app(App())
    ctx = context(certs, maximum_version=version)
    c = connect(r, certs, ctx=ctx)
    c.send(GET % "web.localhost")
    Message(c)
    session = c.sock.session
    assert session and not c.sock.session_reused
    reused = []
    for _ in range(8):  # the kernel spreads them over the workers
        c = connect(r, certs, ctx=ctx, session=session)
        c.send(GET % "web.localhost")
        assert Message(c).status == 200
        reused.append(c.sock.session_reused)
    assert all(reused)


# --- certificates --------------------------------------------------------------------------------

def test_without_any_certificate_there_is_no_tls(make, certs):
    r = make(cert=None)
    r.app(App())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(r, certs)
    assert r.get().status == 200


def answering(r, answers):
    """Answers the router's questions as paasd does; the names asked for."""
    asked = []

    def loop():
        try:
            while True:
                name = r.ctl.wait(rw.CERT_ASK, timeout=60)[rw.R_HOST]
                asked.append(name)
                if name in answers:
                    r.ctl.sock.sendall(rw.frame(rw.CERT, (rw.R_HOST, name), *(
                        [(rw.R_CERT, answers[name][0]), (rw.R_KEY, answers[name][1])]
                        if answers[name] else [])))
        except (OSError, EOFError, TimeoutError, ValueError):
            pass
    threading.Thread(target=loop, daemon=True).start()
    return asked


def test_names_with_a_route_are_asked_for_once(make, certs):
    r = make()
    r.app(App())
    r.app(App(), name="other")
    asked = answering(r, {"web.localhost": certs.leaf("web.localhost"), "other.localhost": None})
    cs = [None] * 6

    def one(i):
        cs[i] = connect(r, certs, "web.localhost")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for c in cs:
        assert name_of(c) == "web.localhost"
        c.send(GET % "web.localhost")
        assert Message(c).status == 200
    assert name_of(connect(r, certs, "WEB.localhost")) == "web.localhost"
    for _ in range(2):  # "there is none" is kept too: the default
        assert name_of(connect(r, certs, "other.localhost", ctx=context(certs, check_hostname=False))) \
            == "localhost"
    # names without a route cost nobody a question
    assert name_of(connect(r, certs, "no.such.app", ctx=context(certs, check_hostname=False))) \
        == "localhost"
    assert asked == ["web.localhost", "other.localhost"]


def test_a_request_may_come_with_the_handshake_that_waits(make, certs):
    r = make()
    r.app(App())
    got = []

    def client():
        c = connect(r, certs, "web.localhost")
        c.send(GET % "web.localhost")
        got.append(Message(c).status)
    t = threading.Thread(target=client)
    t.start()
    assert r.ctl.wait(rw.CERT_ASK)[rw.R_HOST] == "web.localhost"
    assert r.get().status == 200  # others are served meanwhile
    assert not got
    pair = certs.leaf("web.localhost")
    r.ctl.sock.sendall(rw.frame(rw.CERT, (rw.R_HOST, "web.localhost"), (rw.R_CERT, pair[0]),
                                (rw.R_KEY, pair[1])))
    t.join()
    assert got == [200]


def test_paasd_away_or_mute_means_the_default(make, certs):
    r = make()
    r.app(App())
    any_name = context(certs, check_hostname=False)
    start = time.monotonic()
    assert name_of(connect(r, certs, "web.localhost", ctx=any_name)) == "localhost"
    assert 1.5 < time.monotonic() - start < 8  # it did not answer
    r.ctl.close()
    wait_until(lambda: name_of(connect(r, certs, "web.localhost", ctx=any_name)) == "localhost")
    start = time.monotonic()
    assert name_of(connect(r, certs, "web.localhost", ctx=any_name)) == "localhost"
    assert time.monotonic() - start < 1.5
    r.connect()


def test_paasd_gone_while_asked(make, certs):
    r = make()
    r.app(App())
    got = []
    t = threading.Thread(target=lambda: got.append(name_of(connect(
        r, certs, "web.localhost", ctx=context(certs, check_hostname=False)))))
    t.start()
    r.ctl.wait(rw.CERT_ASK)
    r.ctl.close()
    start = time.monotonic()
    t.join(10)
    assert got == ["localhost"] and time.monotonic() - start < 1.5
    r.connect()


def test_a_new_certificate_takes_the_place_of_the_old(make, certs):
    r = make()
    r.app(App())
    r.ctl.cert(certs.leaf("web.localhost", "first.test"), ["web.localhost"])
    old = connect(r, certs, "web.localhost")
    r.ctl.cert(certs.leaf("web.localhost", "second.test"), ["web.localhost"])
    new = connect(r, certs, "web.localhost")
    assert ("DNS", "first.test") in old.sock.getpeercert()["subjectAltName"]
    assert ("DNS", "second.test") in new.sock.getpeercert()["subjectAltName"]
    for c in (old, new):
        c.send(GET % "web.localhost")
        assert Message(c).status == 200
    r.ctl.drop_certs("web.localhost")
    asked = answering(r, {"web.localhost": certs.leaf("web.localhost", "third.test")})
    c = connect(r, certs, "web.localhost")
    assert asked == ["web.localhost"]
    assert ("DNS", "third.test") in c.sock.getpeercert()["subjectAltName"]


def test_a_paasd_that_is_back_is_asked_again_and_the_old_serves_meanwhile(make, certs):
    r = make()
    app = dict(app_id="web", hosts=["web.localhost"], dynos=[r.app(App()).port])
    r.ctl.cert(certs.leaf("web.localhost", "first.test"), ["web.localhost"])
    r.connect()
    r.ctl.full([app])
    asked = answering(r, {"web.localhost": certs.leaf("web.localhost", "second.test")})

    def names():
        return [n for _, n in connect(r, certs, "web.localhost").sock.getpeercert()["subjectAltName"]]
    assert "first.test" in names()
    wait_until(lambda: "second.test" in names())
    assert asked == ["web.localhost"]


def test_certificates_survive_the_routers_death(make, certs):
    r = make()
    r.app(App())
    r.ctl.cert(certs.leaf("web.localhost"), ["web.localhost"])
    r.ctl.cert(certs.leaf("gone.localhost"), ["gone.localhost"])
    r.ctl.drop_certs("gone.localhost")
    r.kill()
    assert os.stat(os.path.join(r.run_dir, "routes.snapshot")).st_mode & 0o777 == 0o600
    r.ctl.close()
    r.ctl = None
    r.start()
    r.ctl.close()  # nobody to ask
    assert name_of(connect(r, certs, "web.localhost")) == "web.localhost"
    assert name_of(connect(r, certs, "localhost")) == "localhost"
    r.connect()


# --- hostile and unlucky clients -----------------------------------------------------------------

def client_hello(r, name="web.localhost"):
    """The octets of a real one."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    s = loose().wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        s.do_handshake()
    return s, into, out


def test_byte_by_byte(make):
    r = make()
    r.app(App())
    s, into, out = client_hello(r, "localhost")
    c = r.client()
    for b in out.read():
        c.send(bytes([b]))
    while True:
        c.more()
        into.write(c.buf)
        c.buf = b""
        try:
            s.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    s.write((GET % "web.localhost").encode())
    for b in out.read():
        c.send(bytes([b]))
    while True:
        c.more()
        into.write(c.buf)
        c.buf = b""
        try:
            assert s.read(100).startswith(b"HTTP/1.1 200 OK")
            break
        except ssl.SSLWantReadError:
            pass


def test_a_handshake_that_stalls_is_ended(make):
    r = make(handshake=300)
    r.app(App())
    hello = client_hello(r)[2].read()
    for part in (hello[:1], hello[:5], hello[:40], hello[:-1]):
        c = r.client()
        c.send(part)
        start = time.monotonic()
        assert c.rest() == b""
        assert 0.2 < time.monotonic() - start < 3
    # octets that drip do not buy more time
    c = r.client()
    start = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError, Closed)):
        for b in hello:
            c.send(bytes([b]))
            time.sleep(0.02)
        c.more()
    assert time.monotonic() - start < 3
    assert r.get().status == 200


@pytest.mark.parametrize("data", [
    b"\x16", b"\x16\x03\x01", b"\x16" + b"\0" * 200, b"\x16" + b"\xff" * 5000,
    b"\x16\x03\x01\x02\x00" + b"A" * 512, b"\x16GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x00\x00" * 3000,
])
def test_garbage_after_the_first_octet(make, data):
    r = make(handshake=500)
    r.app(App())
    c = r.client()
    c.send(data)
    try:
        got = c.rest()
        assert got == b"" or got[0] == 0x15, got  # an alert
    except ConnectionResetError:
        pass
    assert r.get().status == 200


def test_a_huge_client_hello_is_refused_at_its_head(make):
    r = make()
    r.app(App())
    c = r.client()
    c.send(b"\x16\x03\x01\x40\x00\x01" + struct.pack(">I", 100000)[1:] + b"\x03\x03")
    start = time.monotonic()
    assert c.rest() == b""
    assert time.monotonic() - start < 3
    # cut up into records it ends at the limit on octets
    c = r.client()
    try:
        c.send(b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x03" + struct.pack(">I", 100000)[1:])
        for _ in range(30):
            c.send(b"\x16\x03\x03\x08\x00" + b"\0" * 2048)
            time.sleep(0.005)
        c.rest()
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert r.get().status == 200


def test_many_handshakes_at_once_and_the_next_client(make, certs):
    r = make(workers=1)
    r.app(App())
    hello = client_hello(r)[2].read()
    stalled = []
    for _ in range(300):
        stalled.append(r.client())
        stalled[-1].send(hello[:50])
    c = connect(r, certs)
    c.send(GET % "web.localhost")
    assert Message(c).status == 200
    # the oldest gave way, the newest are still at it
    assert stalled[0].at_end()
    stalled[-1].sock.settimeout(0.1)
    with pytest.raises(socket.timeout):
        stalled[-1].more()


def test_clients_that_go_in_the_middle(make, certs):
    r = make()
    r.app(App())
    hello = client_hello(r)[2].read()
    for n in (1, 5, 100, len(hello)):
        for end in (Peer.close, Peer.reset):
            c = r.client()
            c.send(hello[:n])
            end(c)
    r.app(App(lambda peer, app: app.take(peer) and peer.rest()), name="slow")
    for end in (Peer.close, Peer.reset):
        c = connect(r, certs)
        c.send(GET % "slow.localhost")
        wait_until(lambda: r.apps[-1].requests)
        # without close_notify
        raw = socket.socket(fileno=c.sock.detach())
        end(Peer(raw))
    c = connect(r, certs)
    c.send(GET % "web.localhost")
    assert Message(c).status == 200


def test_broken_records_end_a_connection(make, certs):
    r = make()
    r.app(App())
    for junk in (b"\x17\x03\x03\x00\x20" + b"x" * 32, b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\xff\xff"):
        raw = socket.create_connection(("127.0.0.1", r.port), 10)
        s = loose().wrap_socket(raw)
        s.sendall((GET % "web.localhost").encode())
        assert s.recv(100).startswith(b"HTTP/1.1 200")
        below = socket.socket(fileno=s.detach())
        below.settimeout(10)
        below.sendall(junk)
        try:
            while below.recv(1000):
                pass
        except ConnectionResetError:
            pass
        below.close()
    assert r.get().status == 200


def test_close_notify_both_ways(make, certs):
    r = make()
    r.app(App())
    # ours: the end of the last answer is told within TLS
    c = connect(r, certs)
    c.sock.suppress_ragged_eofs = False
    c.send("GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n")
    assert Message(c).status == 200
    assert c.sock.recv(1) == b""  # an SSLError if it were only the socket's end
    # the client's: a request before it is still answered
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    s, raw = loose().wrap_bio(into, out), r.client()

    def step(fn):
        while True:
            try:
                got = fn()
                raw.send(out.read())
                return got
            except ssl.SSLWantReadError:
                raw.send(out.read())
                raw.more()
                into.write(raw.buf)
                raw.buf = b""
    step(s.do_handshake)
    s.write((GET % "web.localhost").encode())
    try:
        s.unwrap()
    except ssl.SSLWantReadError:
        pass
    raw.send(out.read())
    assert step(lambda: s.read(1000)).startswith(b"HTTP/1.1 200 OK")


def test_idle_connections_are_lean(make, certs):
    if SANITIZED:
        pytest.skip("memory of a sanitised program says nothing")
    r = make(workers=1)
    r.app(App())
    ctx = context(certs)

    def one():
        c = connect(r, certs, ctx=ctx)
        c.send(GET % "web.localhost")
        assert Message(c).status == 200
        return c
    warm = [one() for _ in range(50)]
    before = r.rss_kb()
    more = [one() for _ in range(400)]
    per = (r.rss_kb() - before) / len(more)
    assert per < 20, per  # KB each, all of it
    assert warm and more


def test_quitting_lets_tls_requests_finish(make, certs):
    r = make()
    gate = threading.Event()

    def slow(peer, app):
        app.take(peer)
        gate.wait(10)
        peer.send(OK)
    r.app(App(slow))
    busy, idle = connect(r, certs), connect(r, certs)
    busy.send(GET % "web.localhost")
    wait_until(lambda: r.apps[0].requests)
    r.proc.terminate()
    assert idle.at_end()
    gate.set()
    m = Message(busy)
    assert m.status == 200 and m.get("Connection") == "close"
    assert r.proc.wait(10) == 0


# --- rendezvous ----------------------------------------------------------------------------------

SECRET = "=" + "0123456789abcdef" * 4


class Platform(App):
    """paasd's side: answers the upgrade, then talk(peer)."""

    def __init__(self, r, talk, status="101 Switching Protocols"):
        def handler(peer, app):
            app.take(peer, body=False)
            if not status.startswith("101"):
                peer.send("HTTP/1.1 %s\r\nContent-Length: 3\r\n\r\nno\n" % status)
                return
            peer.send("HTTP/1.1 %s\r\nConnection: upgrade\r\nUpgrade: paas-rendezvous\r\n\r\n" % status)
            talk(peer)
        path = os.path.join(r.run_dir, "api.sock")
        super().__init__(handler, unix=path)
        r.apps.append(self)
        r.ctl.platform(["localhost"], path)


def test_a_rendezvous_line_becomes_a_tunnel(make, certs):
    r = make()

    def talk(peer):
        peer.send(b"rendezvous\r\n")
        assert peer.exactly(5) == b"hello"
        peer.send(b"bye\n")
    p = Platform(r, talk)
    for line in (SECRET + "\r\n", SECRET + "?a=b\r\n", SECRET + "\n"):
        c = connect(r, certs)
        c.sock.suppress_ragged_eofs = False
        for part in (line[:1], line[1:30], line[30:]):
            c.send(part)
        assert c.sock.recv(1000) == b"rendezvous\r\n"
        c.send("hello")
        assert c.rest() == b"bye\n"  # ended by close_notify
    m = p.requests[0]
    assert (m.method, m.target) == ("GET", "/attach/" + SECRET)
    assert m.get("Upgrade") == "paas-rendezvous" and m.get("X-Forwarded-Proto") == "https"
    assert m.get("X-Forwarded-For") == "127.0.0.1"


def test_input_may_come_with_the_line(make, certs):
    r = make()
    Platform(r, lambda peer: peer.send(b"rendezvous\r\n" + peer.exactly(3)))
    c = connect(r, certs)
    c.send(SECRET + "\r\nabc")
    assert c.rest() == b"rendezvous\r\nabc"


@pytest.mark.parametrize("line", [
    "=short\r\n", SECRET + "0\r\n", SECRET.upper() + "\r\n", SECRET + " GET\r\n", "=" * 2000, "=\r\n",
    SECRET[:-1] + "\n"])
def test_lines_that_are_no_secret(make, certs, line):
    r = make()
    p = Platform(r, lambda peer: None)
    c = connect(r, certs)
    c.send(line)
    assert c.rest() == b""
    assert not p.requests


def test_rendezvous_is_for_tls_only_and_first_only(make, certs):
    r = make()
    r.app(App())
    p = Platform(r, lambda peer: None)
    assert r.ask(SECRET + "\r\n\r\n").status == 400
    c = connect(r, certs)
    c.send(GET % "web.localhost")
    assert Message(c).status == 200
    c.send(SECRET + "\r\n\r\n")
    assert Message(c).status == 400
    assert not p.requests


def test_a_line_that_does_not_end(make, certs):
    r = make(head=300)
    Platform(r, lambda peer: None)
    c = connect(r, certs)
    c.send(SECRET)
    assert c.rest() == b""


def test_a_refused_secret_closes(make, certs):
    r = make()
    Platform(r, None, status="404 Not Found")
    c = connect(r, certs)
    c.send(SECRET + "\r\n")
    assert c.rest() == b""


def test_the_client_going_is_passed_on(make, certs):
    r = make()
    ended = threading.Event()

    def talk(peer):
        peer.send(b"rendezvous\r\n")
        peer.rest()
        ended.set()
    Platform(r, talk)
    for end in (lambda s: s.unwrap(), lambda s: s.close()):
        c = connect(r, certs)
        c.send(SECRET + "\r\n")
        assert c.sock.recv(100) == b"rendezvous\r\n"
        ended.clear()
        end(c.sock)
        assert ended.wait(5)


def test_the_status_line_is_never_cut(make, certs):
    r = make()
    line = "\uffff heroku-command-exit-status: 42\n".encode()

    def talk(peer):
        peer.send(b"rendezvous\r\n")
        peer.exactly(1)
        peer.send(b"x" * (16384 - 10) + line[:20])
        time.sleep(0.2)  # the rest comes in a read of its own
        peer.send(line[20:])
    Platform(r, talk)
    c = connect(r, certs)
    c.send(SECRET + "\r\n")
    assert c.sock.recv(100) == b"rendezvous\r\n"
    c.send("g")
    pieces = []
    while True:  # recv gives what one record holds
        got = c.sock.recv(100000)
        if not got:
            break
        pieces.append(got)
    assert b"".join(pieces) == b"x" * (16384 - 10) + line
    assert line in pieces


def test_a_mark_that_never_ends_is_passed_on_at_the_end(make, certs):
    r = make()

    def talk(peer):
        peer.send(b"rendezvous\r\n")
        peer.exactly(1)
        peer.send("what: \uffff no newline".encode())
    Platform(r, talk)
    c = connect(r, certs)
    c.send(SECRET + "\r\n")
    assert c.sock.recv(100) == b"rendezvous\r\n"
    c.send("g")
    assert c.rest() == "what: \uffff no newline".encode()
