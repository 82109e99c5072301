"""The rules of proxying (RFC 9110, RFC 9112), each worker configuration, by raw sockets."""
import threading
import time

import pytest

from router_bed import App, Closed, Message, Router, always, once, rw, wait_until


@pytest.fixture(scope="module", params=[1, 3], ids=["1 worker", "3 workers"])
def router(request, tmp_path_factory):
    r = Router(tmp_path_factory.mktemp("run"), workers=request.param, first=1500, between=1500,
               head=800, linger=300)
    yield r
    assert r.stop() == 0


def req(line="GET / HTTP/1.1", host="web.localhost", fields="", body=""):
    return "%s\r\nHost: %s\r\n%s\r\n%s" % (line, host, fields, body)


# --- heads (rules 1-6) ---------------------------------------------------------------------------

@pytest.mark.parametrize("text,status", [
    ("GET / HTTP/1.1\nHost: web.localhost\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nX: a\rb\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nX: \rTransfer-Encoding: chunked\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nX: a\0b\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\nHost: web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1 \r\nHost: web.localhost\r\n\r\n", 400),
    ("GET / HTTP/2.0\r\nHost: web.localhost\r\n\r\n", 505),
    ("GET /a#b HTTP/1.1\r\nHost: web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.0\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nHost: web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost, other\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: user@web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost/x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n X: a\r\nHost: web.localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nnocolon\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\n: x\r\n\r\n", 400),
    ("CONNECT web.localhost:80 HTTP/1.1\r\nHost: web.localhost\r\n\r\n", 405),
    ("GET /%s HTTP/1.1\r\nHost: web.localhost\r\n\r\n" % ("a" * 9000), 414),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nX: %s\r\n\r\n" % ("a" * 9000), 431),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\n%s\r\n" % ("X: y\r\n" * 200), 431),
    ("GET / HTTP/1.1\r\nHost: web.localhost\r\nExpect: tea\r\n\r\n", 417),
])
def test_bad_heads_are_refused_and_the_connection_ends(router, text, status):
    app = router.app(None)
    c = router.client()
    c.send(text + "GET /second HTTP/1.1\r\nHost: web.localhost\r\n\r\n")
    m = Message(c)
    assert m.status == status
    assert m.get("Connection") == "close"
    assert c.at_end()
    assert app.connections == 0


def test_an_unknown_method_and_the_target_pass_unchanged(router):
    app = router.app(None)
    assert router.ask(req("FROB /a%2F../b//c?x=%zz&y HTTP/1.1")).body == b"FROB 0"
    assert app.requests[0].start == "FROB /a%2F../b//c?x=%zz&y HTTP/1.1"


def test_absolute_form_decides_the_host(router):
    app = router.app(None)
    m = router.ask(req("GET http://WEB.localhost:99/x?y HTTP/1.1", host="other.localhost"))
    assert m.status == 200
    assert app.requests[0].start == "GET /x?y HTTP/1.1"
    assert app.requests[0].all("Host") == ["WEB.localhost:99"]


def test_options_star_passes(router):
    app = router.app(None)
    assert router.ask(req("OPTIONS * HTTP/1.1")).status == 200
    assert app.requests[0].target == "*"


def test_version_above_1_1_is_1_1(router):
    app = router.app(None)
    assert router.ask(req("GET / HTTP/1.7")).status == 200
    assert app.requests[0].start == "GET / HTTP/1.1"


def test_hosts_are_compared_without_case_port_and_dot(router):
    router.app(None)
    for host in ("WEB.LocalHost", "web.localhost:8080", "web.localhost."):
        assert router.get(host=host).status == 200
    m = router.get(host="nobody.localhost")
    assert m.status == 404 and b"No such app" in m.body and b"nobody.localhost" in m.body


def test_each_request_is_routed_by_its_own_host(router):
    one, two = router.app(None, name="one"), router.app(None, name="two")
    c = router.client()
    for host in ("one", "two", "nope", "one"):
        c.send(req(host=host + ".localhost"))
        assert Message(c).status == (404 if host == "nope" else 200)
    assert (len(one.requests), len(two.requests)) == (2, 1)


def test_a_head_octet_by_octet(router):
    app = router.app(None)
    c = router.client()
    for ch in req("POST /slow HTTP/1.1", fields="Content-Length: 3\r\n", body="abc"):
        c.send(ch)
    assert Message(c).body == b"POST 3"
    assert app.requests[0].body == b"abc"


def test_a_head_that_does_not_come_is_408(router):
    router.app(None)
    c = router.client()
    c.send("GET / HTTP/1.1\r\nHos")
    assert Message(c).status == 408
    assert c.at_end()


# --- framing (rules 7-13) ------------------------------------------------------------------------

@pytest.mark.parametrize("fields,body,status", [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
    ("Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef", 400),
    ("Content-Length: 5, 5\r\n", "abcde", 400),
    ("Content-Length: +5\r\n", "abcde", 400),
    ("Content-Length: 5a\r\n", "abcde", 400),
    ("Content-Length: 99999999999999999999\r\n", "", 400),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", 501),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 501),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", 501),
])
def test_ambiguous_framing_is_refused(router, fields, body, status):
    app = router.app(None)
    c = router.client()
    c.send(req("POST / HTTP/1.1", fields=fields, body=body + req("GET /smuggled HTTP/1.1")))
    assert Message(c).status == status
    assert c.at_end()
    assert app.requests == []


@pytest.mark.parametrize("body", [
    "5 \r\nabcde\r\n0\r\n\r\n", "0x5\r\nabcde\r\n0\r\n\r\n", "+5\r\nabcde\r\n0\r\n\r\n",
    "5\nabcde\r\n0\r\n\r\n", "5\r\nabcdeX\r\n0\r\n\r\n", "5\r\nabcde\n0\r\n\r\n",
    "fffffffffffffffff\r\nabc", "\r\n0\r\n\r\n", "5;a=\"\x01\"\r\nabcde\r\n0\r\n\r\n",
    "5\r\nabcde\r\n0\r\nBad Trailer: x\r\n\r\n",
])
def test_bad_chunks_are_refused_and_never_completed(router, body):
    ended = []

    def handler(peer, app):
        try:
            ended.append(peer.rest())
        except OSError:
            ended.append(peer.buf)
    router.app(handler)
    c = router.client()
    c.send(req("POST /bad HTTP/1.1", fields="Transfer-Encoding: chunked\r\n", body=body))
    m = Message(c)
    assert m.status == 400 and m.get("Connection") == "close"
    assert c.at_end()
    wait_until(lambda: ended or not router.apps[-1].connections)
    assert not ended or not ended[0].endswith(b"\r\n0\r\n\r\n")
    assert "code=H26" in router.log.wait('path="/bad"')[3]


def test_bodies_are_framed_anew(router):
    app = router.app(None)
    c = router.client()
    c.send(req("POST / HTTP/1.1", fields="Transfer-Encoding: chunked\r\n",
               body="1;ext=1\r\na\r\n2\r\nbc\r\n0\r\nTrailer: dropped\r\n\r\n"))
    assert Message(c).body == b"POST 3"
    got = app.requests[0]
    assert got.body == b"abc" and got.get("Transfer-Encoding") == "chunked"
    assert got.get("Content-Length") is None and "railer" not in got.raw
    c.send(req("GET /get HTTP/1.1", fields="Content-Length: 4\r\n", body="body"))
    assert Message(c).body == b"GET 4"
    c.send(req("DELETE /d HTTP/1.1", fields="Content-Length: 0\r\n"))
    assert Message(c).body == b"DELETE 0"
    assert app.requests[2].get("Content-Length") == "0"


def test_a_body_cut_short_aborts_the_app(router):
    seen = []

    def handler(peer, app):
        peer.until(b"\r\n\r\n")
        seen.append(peer.exactly(3))
        try:
            peer.exactly(7)
        except (Closed, OSError):
            seen.append(peer.buf)
    router.app(handler)
    c = router.client()
    c.send(req("POST /cut HTTP/1.1", fields="Content-Length: 10\r\n", body="abc"))
    wait_until(lambda: seen == [b"abc"], what="the beginning")
    c.sock.shutdown(1)
    wait_until(lambda: seen == [b"abc", b""], what="abort")
    line = router.log.wait('path="/cut"')[3]
    assert "code=H27" in line and "status=499" in line and "sock=client" in line


# --- what is forwarded (rules 14-16) -------------------------------------------------------------

def test_fields_of_the_request(router):
    app = router.app(None)
    before = int(time.time() * 1000)
    router.get(fields="Connection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nProxy: x\r\n"
               "Proxy-Authorization: y\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Port: 1\r\n"
               "X-Request-Start: 5\r\nX_Request_Id: fake\r\nCookie: a=b\r\nAccept-Encoding: br\r\n"
               "X-Request-Id: too short\r\n")
    m = app.requests[0]
    assert m.get("X-Forwarded-For") == "1.2.3.4, 127.0.0.1"
    assert m.get("X-Forwarded-Proto") == "http"
    assert m.get("X-Forwarded-Port") == str(router.port)
    assert before <= int(m.get("X-Request-Start")) <= before + 10000
    assert len(m.get("X-Request-Id")) == 36
    assert m.get("Via") == "1.1 paas-router"
    assert m.get("Cookie") == "a=b" and m.get("Accept-Encoding") == "br"
    for gone in ("X-Hop", "TE", "Proxy", "Proxy-Authorization", "X_Request_Id", "Connection"):
        assert m.get(gone) is None


def test_a_good_request_id_is_kept(router):
    app = router.app(None)
    router.get(fields="X-Request-Id: abcdefghij0123456789\r\n")
    assert app.requests[0].get("X-Request-Id") == "abcdefghij0123456789"
    assert "request_id=abcdefghij0123456789" in router.log.wait("abcdefghij0123456789")[3]


def test_fields_of_the_answer(router):
    router.app(always("HTTP/1.1 200 Very OK\r\nServer: app\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                      "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nContent-Length: 2\r\n\r\nok"))
    m = router.get()
    assert m.start == "HTTP/1.1 200 Very OK"
    assert m.all("Set-Cookie") == ["a", "b"] and m.get("Server") == "app"
    assert m.get("Via") == "1.1 paas-router" and m.get("Date")
    assert m.get("X-Hop") is None and m.get("Keep-Alive") is None and m.get("Connection") is None


# --- connections (rules 17-23) -------------------------------------------------------------------

def test_keep_alive_and_close(router):
    router.app(None)
    c = router.client()
    for _ in range(3):
        c.send(req())
        assert Message(c).get("Connection") is None
    c.send(req(fields="Connection: foo, Close\r\n"))
    assert Message(c).get("Connection") == "close"
    assert c.at_end()


def test_http_1_0(router):
    router.app(None)
    c = router.client()
    c.send(req("GET / HTTP/1.0"))
    m = Message(c)
    assert m.get("Connection") == "close" and m.body == b"GET 0"
    assert c.at_end()
    c = router.client()
    c.send(req("GET / HTTP/1.0", fields="Connection: keep-alive\r\n"))
    assert Message(c).get("Connection") == "keep-alive"
    c.send(req("GET / HTTP/1.0"))
    assert Message(c).status == 200
    assert c.at_end()


def test_pipelined_requests_are_answered_in_order(router):
    def handler(peer, app):
        while True:
            m = app.take(peer)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(m.target), m.target))
    app = router.app(handler)
    c = router.client()
    c.send("".join(req("POST /%d HTTP/1.1" % i, fields="Content-Length: 2\r\n", body="xy") + "\r\n"
                   for i in range(50)))
    for i in range(50):
        assert Message(c).body == b"/%d" % i
    assert len(app.requests) == 50


def test_many_pipelined_bytes_are_held_back(router):
    app = router.app(None)
    c = router.client()
    c.sock.settimeout(20)
    text = req("GET /%s HTTP/1.1" % ("x" * 4000)) * 100
    import threading
    t = threading.Thread(target=c.send, args=(text,))
    t.start()
    for _ in range(100):
        assert Message(c).status == 200
    t.join()
    assert len(app.requests) == 100


def test_an_error_answer_is_not_lost_to_a_reset(router):
    c = router.client()
    c.send(req("POST / HTTP/1.1", host="nobody.localhost", fields="Content-Length: 300000\r\n"))
    c.send("x" * 200000)
    m = Message(c)
    assert m.status == 404 and m.get("Connection") == "close"


def test_a_half_closed_client_gets_its_answer(router):
    def handler(peer, app):
        app.take(peer)
        time.sleep(0.2)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
    router.app(handler)
    c = router.client()
    c.send(req())
    c.sock.shutdown(1)
    assert Message(c).body == b"late"
    assert c.at_end()


def test_expect_100_continue(router):
    app = router.app(None)
    c = router.client()
    c.send(req("POST / HTTP/1.1", fields="Content-Length: 3\r\nExpect: 100-Continue\r\n"))
    assert Message(c).status == 100
    c.send("abc")
    assert Message(c).body == b"POST 3"
    assert app.requests[0].get("Expect") is None
    c = router.client()
    c.send(req("POST / HTTP/1.0", fields="Content-Length: 3\r\nExpect: 100-continue\r\n", body="abc"))
    assert Message(c).status == 200


def test_an_answer_before_the_request_ends(router):
    def handler(peer, app):
        app.take(peer, body=False)
        peer.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        peer.rest()
    router.app(handler)
    c = router.client()
    c.send(req("POST / HTTP/1.1", fields="Content-Length: 1000000\r\n", body="x" * 1000))
    m = Message(c)
    assert (m.status, m.body) == (413, b"no")
    assert m.get("Connection") == "close"
    assert c.at_end()


def test_a_stale_kept_connection_is_retried_for_get_only(router):
    """The app answers once and closes when the next request has come: a race by design."""
    def handler(peer, app):
        app.take(peer)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer.until(b"\r\n\r\n")
        app.lost += 1
    app = App(handler)
    app.lost = 0
    router.app(app)
    c = router.client()
    c.send(req())
    assert Message(c).status == 200
    c.send(req())
    assert Message(c).status == 200
    assert app.lost == 1
    c.send(req("POST /post HTTP/1.1", fields="Content-Length: 2\r\n", body="xy"))
    assert Message(c).status == 503
    assert app.lost == 2
    assert "code=H13" in router.log.wait('path="/post"')[3]


def test_upstream_connections_are_kept(router):
    app = router.app(None)
    c = router.client()
    for _ in range(20):
        c.send(req())
        assert Message(c).status == 200
    assert app.connections == 1


# --- answers (rules 24-30) -----------------------------------------------------------------------

@pytest.mark.parametrize("text,code", [
    ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "H17"),
    ("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "H17"),
    ("HTTP/1.1  200 OK\r\n\r\n", "H17"),
    ("HTTP/1.1 20 OK\r\n\r\n", "H17"),
    ("hello world\r\n\r\n", "H17"),
    ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "H17"),
    ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "H17"),
    ("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "H17"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "H25"),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "H25"),
    ("HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % ("a" * 70000), "H25"),
    ("HTTP/1.1 200 OK\r\nSet-Cookie: %s\r\nContent-Length: 0\r\n\r\n" % ("a" * 9000), "H25"),
    ("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "H17"),
])
def test_bad_answers_are_502(router, text, code):
    router.app(always(text))
    m = router.get("/" + code)
    assert m.status == 502 and m.get("Content-Type") == "text/html; charset=utf-8"
    line = router.log.wait(lambda t: "status=502" in t and 'path="/%s"' % code in t)[3]
    assert "code=" + code in line
    router.log.lines.clear()


def test_no_body_after_head_204_304(router):
    def handler(peer, app):
        while True:
            m = app.take(peer)
            status = m.target[1:]
            peer.send("HTTP/1.1 %s X\r\nContent-Length: 5\r\n\r\n" % status)
    app = router.app(handler)
    c = router.client()
    for status in ("204", "304"):
        c.send(req("GET /%s HTTP/1.1" % status))
        assert Message(c).status == int(status)
    c.send(req("HEAD /200 HTTP/1.1"))
    m = Message(c, head_request=True)
    assert m.status == 200 and m.get("Content-Length") == "5"
    c.send(req("GET /204 HTTP/1.1"))
    assert Message(c).status == 204
    assert app.connections == 1


def test_octets_after_an_answer_do_not_reach_the_next(router):
    app = router.app(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    c = router.client()
    for _ in range(3):
        c.send(req())
        assert Message(c).body == b"ok"
    assert app.connections == 3


def test_an_idle_connection_that_speaks_is_dropped(router):
    answered, dropped = threading.Event(), threading.Event()

    def handler(peer, app):
        first = app.connections == 1
        app.take(peer)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if first:
            assert answered.wait(10)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            if peer.at_end():
                dropped.set()
    app = router.app(handler)
    c = router.client()
    c.send(req())
    assert Message(c).body == b"ok"
    answered.set()
    assert dropped.wait(10)
    c.send(req())
    assert Message(c).body == b"ok"
    assert app.connections == 2


def test_chunked_and_until_close_answers(router):
    router.app(always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n"), name="chunks")
    router.app(once("HTTP/1.1 200 OK\r\n\r\nuntil close"), name="close")
    for name, body in (("chunks", b"abcde"), ("close", b"until close")):
        host = name + ".localhost"
        c = router.client()
        c.send(req(host=host) + req(host=host))
        for _ in range(2):
            m = Message(c)
            assert m.get("Transfer-Encoding") == "chunked" and m.body == body
        c = router.client()
        c.send(req("GET / HTTP/1.0", host=host, fields="Connection: keep-alive\r\n"))
        m = Message(c)
        assert m.get("Transfer-Encoding") is None and m.get("Connection") == "close"
        assert m.body == body


def test_te_over_cl_in_answers_is_502(router):
    router.app(always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
                      "0\r\n\r\n"))
    assert router.get().status == 502


@pytest.mark.parametrize("text", [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n",
])
def test_a_cut_answer_is_seen_as_cut(router, text):
    router.app(once(text))
    c = router.client()
    c.send(req("GET /short HTTP/1.1"))
    assert c.until(b"abc")
    rest = c.rest()
    assert not rest.endswith(b"0\r\n\r\n")
    line = router.log.wait('path="/short"')[3]
    assert "code=H18" in line and "sock=backend" in line and "status=200" in line
    router.log.lines.clear()


def test_a_cut_answer_to_http_1_0_is_a_reset(router):
    router.app(once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"))
    c = router.client()
    c.send(req("GET / HTTP/1.0"))
    with pytest.raises(ConnectionResetError):
        c.rest()


def test_interim_answers(router):
    router.app(always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: <x>\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    c = router.client()
    c.send(req())
    m = Message(c)
    assert m.status == 103 and m.get("Link") == "<x>"
    assert Message(c).body == b"ok"
    assert router.ask(req("GET / HTTP/1.0")).status == 200


def test_endless_interim_answers_are_refused(router):
    router.app(always("HTTP/1.1 102 Wait\r\n\r\n" * 40))
    c = router.client()
    c.send(req())
    while True:
        m = Message(c)
        if m.status != 102:
            break
    assert m.status == 502


def test_event_streams_leave_at_once(router):
    go = []

    def handler(peer, app):
        app.take(peer)
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        wait_until(lambda: go)
        peer.send("data: 2\n\n")
    router.app(handler)
    c = router.client()
    c.send(req())
    c.until(b"data: 1\n\n\r\n")
    go.append(1)
    c.until(b"data: 2\n\n\r\n")
    c.until(b"0\r\n\r\n")


def test_request_bodies_leave_at_once(router):
    got = []

    def handler(peer, app):
        app.take(peer, body=False)
        got.append(peer.exactly(3))
        got.append(peer.exactly(3))
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer.rest()
    router.app(handler)
    c = router.client()
    c.send(req("POST / HTTP/1.1", fields="Content-Length: 6\r\n", body="abc"))
    wait_until(lambda: got == [b"abc"])
    c.send("def")
    assert Message(c).body == b"ok"


# --- tunnels (rule 20) ---------------------------------------------------------------------------

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def echo(peer, app):
    app.take(peer)
    peer.send(SWITCH + "early")
    try:
        while True:
            if not peer.buf:
                peer.more()
            data, peer.buf = peer.buf, b""
            peer.send(data)
    except Closed:
        peer.send("bye")


def test_a_tunnel_carries_octets_and_half_closes(router):
    app = router.app(echo)
    c = router.client()
    c.send(req("GET /ws?a HTTP/1.1", fields=UPGRADE) + "first")
    m = Message(c)
    assert m.status == 101 and m.get("Upgrade") == "websocket"
    assert m.get("Connection").lower() == "upgrade"
    assert c.exactly(10) == b"earlyfirst"
    assert app.requests[0].get("Upgrade") == "websocket"
    for i in range(20):
        c.send(b"\x00\xff" * 1000)
        assert c.exactly(2000) == b"\x00\xff" * 1000
    c.sock.shutdown(1)
    assert c.rest() == b"bye"
    line = router.log.wait('path="/ws?a"')[3]
    assert "status=101" in line and "at=info" in line and "bytes=40013" in line


def test_a_declined_upgrade_is_a_normal_answer(router):
    router.app(None)
    c = router.client()
    for _ in range(2):
        c.send(req(fields=UPGRADE))
        assert Message(c).status == 200


def test_a_silent_tunnel_ends(router):
    router.app(echo)
    c = router.client()
    c.send(req("GET /quiet HTTP/1.1", fields=UPGRADE))
    Message(c)
    assert c.exactly(5) == b"early"
    assert c.at_end(timeout=8)
    assert "code=H15" in router.log.wait('path="/quiet"')[3]


def test_tunnels_push_back(router):
    """An app that does not read stops the client; nothing is lost when it goes on."""
    go = []

    def handler(peer, app):
        app.take(peer)
        peer.send(SWITCH)
        wait_until(lambda: go, 20)
        total = len(peer.buf)
        while total < 30_000_000:
            total += len(peer.sock.recv(1 << 20))
        peer.send("%d" % total)
    router.app(handler)
    c = router.client()
    c.send(req(fields=UPGRADE))
    Message(c)
    before = router.rss_kb()
    c.sock.settimeout(0.5)
    sent = 0
    try:
        while sent < 30_000_000:
            sent += c.sock.send(b"x" * 100_000)
    except TimeoutError:
        pass
    assert sent < 30_000_000, "no back-pressure"
    assert router.rss_kb() - before < 3000
    go.append(1)
    c.sock.settimeout(20)
    while sent < 30_000_000:
        sent += c.sock.send(b"x" * min(100_000, 30_000_000 - sent))
    assert c.exactly(8) == b"30000000"
