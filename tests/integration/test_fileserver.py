"""paas-static over real sockets: http.client, raw sockets, and curl."""
import base64
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.path.join(os.environ.get("BUILD_DIR", os.path.join(REPO, "build")), "paas-static")
DEADLINE = 20

pytestmark = pytest.mark.skipif(not os.path.exists(SERVER), reason="paas-static is not built")


class Static:
    def __init__(self, cwd, *args, env=None):
        self.proc = subprocess.Popen([SERVER, "--host", "127.0.0.1", "--port", "0", *args], cwd=cwd, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     env={**os.environ, **(env or {})})
        line = self.proc.stdout.readline()
        if not line:
            raise RuntimeError(self.proc.stderr.read())
        self.port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line).group(1))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def request(self, path, method="GET", headers=(), body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            c.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers).items():
                c.putheader(name, value)
            if body is not None:
                c.putheader("Content-Length", str(len(body)))
            c.endheaders(body)
            r = c.getresponse()
            r.content = r.read()
            return r
        finally:
            c.close()

    def raw(self, data):
        with self.connect() as s:
            s.sendall(data)
            out = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    return out
                out += piece

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        out, err = self.proc.communicate(timeout=DEADLINE)
        return self.proc.returncode, out, err


@pytest.fixture
def site(tmp_path):
    """A function: files and settings in, a running server out."""
    running = []

    def write(path, content):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def start(files, settings=None, *args, env=None):
        for path, content in files.items():
            write(path, content)
        if settings is not None:
            write("static.json", json.dumps(settings))
        s = Static(str(tmp_path), *args, env=env)
        running.append(s)
        return s

    yield start
    for s in running:
        status, _, err = s.stop()
        assert status == 0 and err == ""


BIG = b"".join(b"line %07d of the large file..\n" % i for i in range(16384))
FILES = {
    "public/index.html": "<h1>home</h1>", "public/about.html": "<h1>about</h1>", "public/docs/index.html": "docs",
    "public/404.html": "not here", "public/sp ace/a b.html": "space", "public/style.css": "h1 {}",
    "public/assets/large.txt": BIG, "public/assets/box.svg": "<svg/>", "public/.hidden": "secret",
    "public/.git/config": "secret", "public/.well-known/x.txt": "known", "public/empty.txt": "", "outside.txt": "outside",
}
SETTINGS = {
    "root": "public/", "clean_urls": True, "error_page": "404.html",
    "routes": {"/app/**": "index.html", "/spa/**": {"path": "index.html", "except": "/spa/assets/"}},
    "redirects": {"/old": {"url": "/about", "status": 301}, "/tmp/*": {"url": "https://example.com/x y", "status": 302},
                  "/about": "/never"},
    "headers": {"/**": {"X-Frame-Options": "DENY", "Cache-Control": "no-cache"},
                "/assets/**": {"cache-control": "public, max-age=3600"}, "/assets/box.svg": {"Content-Type": "image/x-own"}},
}


def test_files_are_served(site):
    s = site(FILES, SETTINGS)
    r = s.request("/")
    assert (r.status, r.content) == (200, b"<h1>home</h1>")
    assert r.getheader("Content-Type") == "text/html; charset=UTF-8"
    assert r.getheader("Content-Length") == "13" and r.getheader("Date") and r.getheader("Last-Modified")
    assert s.request("/about").content == s.request("/about.html").content == b"<h1>about</h1>"
    assert s.request("/docs/").content == b"docs"
    r = s.request("/docs?a=1")
    assert r.status == 301 and r.getheader("Location") == "/docs/?a=1"
    assert s.request("/sp%20ace/a%20b?q").content == b"space"
    assert s.request("//docs//index.html").content == b"docs"
    assert s.request("//docs").getheader("Location") == "/docs/"
    assert s.request("/style.css").getheader("Content-Type") == "text/css; charset=UTF-8"
    assert s.request("/empty.txt").getheader("Content-Length") == "0"
    assert s.request("/assets/large.txt").content == BIG
    assert s.request("/.well-known/x.txt").content == b"known"


def test_head_and_other_methods(site):
    s = site(FILES, SETTINGS)
    r = s.request("/", "HEAD")
    assert (r.status, r.content, r.getheader("Content-Length")) == (200, b"", "13")
    assert s.request("/nope", "HEAD").status == 404
    r = s.request("/", "POST", body=b"x" * 1000)
    assert r.status == 405 and r.getheader("Allow") == "GET, HEAD, OPTIONS"
    assert s.request("/", "OPTIONS").status == 204
    assert b"HTTP/1.1 204" in s.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert s.request("/", "GET", body=b"ignored").content == b"<h1>home</h1>"


@pytest.mark.parametrize("path", [
    "/.hidden", "/.git/config", "/../outside.txt", "/%2e%2e/outside.txt", "/docs/../../outside.txt", "/..%2foutside.txt",
    "/docs/..%2f..%2foutside.txt", "/./index.html", "/%2ehidden", "/.well-known/../.hidden", "/link.txt", "/linkdir/outside.txt",
    "/abs.txt", "/fifo", "/.well-known", "/index.html/", "/style.css/x", "/assets", "/assets/"])
def test_nothing_else_is_served(site, tmp_path, path):
    s = site(FILES, SETTINGS)
    os.symlink("../outside.txt", tmp_path / "public/link.txt")
    os.symlink("..", tmp_path / "public/linkdir")
    os.symlink(str(tmp_path / "outside.txt"), tmp_path / "public/abs.txt")
    os.mkfifo(tmp_path / "public/fifo")
    r = s.request(path)
    assert (r.status, r.content) == (404, b"not here")


def test_links_within_the_site_work(site, tmp_path):
    s = site(FILES, SETTINGS)
    os.symlink("docs/index.html", tmp_path / "public/in.html")
    assert s.request("/in").content == b"docs"


def test_bad_paths_are_refused(site):
    s = site(FILES, SETTINGS)
    for path in ("/%00", "/%zz", "/%4", "/a%"):
        assert s.request(path).status == 400, path
    assert b"HTTP/1.1 400 " in s.raw(b"GET / HTTP/1.1\r\n\r\n")
    assert b"HTTP/1.1 414 " in s.raw(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert s.request("/" + "a" * 300).status == 404
    assert s.request("/" + "a/" * 3000).status == 404


def test_rules(site):
    s = site(FILES, SETTINGS)
    for path in ("/app/", "/app/x/y", "/spa/x"):
        assert s.request(path).content == b"<h1>home</h1>", path
    assert s.request("/spa/assets/x").status == 404
    r = s.request("/old")
    assert (r.status, r.getheader("Location")) == (301, "/about")
    r = s.request("/tmp/x")
    assert (r.status, r.getheader("Location")) == (302, "https://example.com/x%20y")
    assert s.request("/tmp/x/y").status == 404
    assert s.request("/about").status == 200  # files come before redirects
    r = s.request("/assets/large.txt")
    assert r.getheader("X-Frame-Options") == "DENY" and r.headers.get_all("Cache-Control") == ["public, max-age=3600"]
    assert s.request("/assets/box.svg").headers.get_all("Content-Type") == ["image/x-own"]
    r = s.request("/nowhere")
    assert (r.status, r.content) == (404, b"not here") and r.getheader("X-Frame-Options") == "DENY"


def test_without_settings_the_folder_is_served(site):
    s = site({"index.html": "plain", "page.html": "p", ".env": "secret"})
    assert s.request("/").content == b"plain"
    assert s.request("/page").status == 404 and s.request("/page.html").content == b"p"
    r = s.request("/none")
    assert r.status == 404 and b"404 Not Found" in r.content
    assert s.request("/.env").status == 404


def test_root_option_wins(site):
    s = site({"a/index.html": "a", "b/index.html": "b"}, {"root": "a"}, "--root", "b")
    assert s.request("/").content == b"b"


def test_conditional_requests(site):
    s = site(FILES, SETTINGS)
    r = s.request("/")
    etag, modified = r.getheader("ETag"), r.getheader("Last-Modified")
    for headers in ({"If-None-Match": etag}, {"If-None-Match": "*"}, {"If-None-Match": '"a", W/%s' % etag},
                    {"If-Modified-Since": modified}, {"If-None-Match": etag, "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}):
        r = s.request("/", headers=headers)
        assert (r.status, r.content, r.getheader("ETag")) == (304, b"", etag), headers
        assert r.getheader("Content-Length") is None and r.getheader("X-Frame-Options") == "DENY"
    for headers in ({"If-None-Match": '"a"'}, {"If-None-Match": etag[:-1]}, {"If-None-Match": ""},
                    {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-Modified-Since": "rubbish"},
                    {"If-None-Match": '"a"', "If-Modified-Since": modified}):
        assert s.request("/", headers=headers).status == 200, headers


def test_ranges(site):
    s = site(FILES, SETTINGS)
    url = "/assets/large.txt"
    size = len(BIG)
    for text, first, last in (("0-9", 0, 9), ("100-", 100, size - 1), ("-7", size - 7, size - 1),
                              ("%d-%d" % (size - 5, size + 5), size - 5, size - 1)):
        r = s.request(url, headers={"Range": "bytes=" + text})
        assert r.status == 206 and r.content == BIG[first:last + 1]
        assert r.getheader("Content-Range") == "bytes %d-%d/%d" % (first, last, size)
    r = s.request(url, headers={"Range": "bytes=%d-" % size})
    assert (r.status, r.content, r.getheader("Content-Range")) == (416, b"", "bytes */%d" % size)
    for text in ("", "bytes=0-1,4-5", "bytes=9-1", "chars=0-1"):
        r = s.request(url, headers={"Range": text})
        assert r.status == 200 and len(r.content) == size
    etag, modified = r.getheader("ETag"), r.getheader("Last-Modified")
    for condition, status in ((etag, 206), (modified, 206), ('"x"', 200), ("W/" + etag, 200),
                              ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
        assert s.request(url, headers={"Range": "bytes=0-1", "If-Range": condition}).status == status, condition


def test_precompressed_files(site):
    packed = gzip.compress(BIG)
    s = site({**FILES, "public/assets/large.txt.gz": packed, "public/about.html.gz": gzip.compress(b"about")}, SETTINGS)
    plain = s.request("/assets/large.txt")
    assert plain.content == BIG and plain.getheader("Vary") == "Accept-Encoding"
    for accept in ("gzip", "deflate, GZIP;q=0.5, br", "gzip;q=1.0"):
        r = s.request("/assets/large.txt", headers={"Accept-Encoding": accept})
        assert r.content == packed and r.getheader("Content-Encoding") == "gzip", accept
        assert r.getheader("Content-Type") == "text/plain; charset=UTF-8" and r.getheader("ETag") != plain.getheader("ETag")
    for accept in ("", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"):
        assert s.request("/assets/large.txt", headers={"Accept-Encoding": accept}).content == BIG, accept
    assert gzip.decompress(s.request("/about", headers={"Accept-Encoding": "gzip"}).content) == b"about"
    r = s.request("/assets/large.txt", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert r.status == 206 and r.content == BIG[:10] and r.getheader("Content-Encoding") is None


def test_https_only_and_canonical_host(site):
    s = site(FILES, {**SETTINGS, "https_only": True})
    r = s.request("/about?x=1", headers={"X-Forwarded-Proto": "http"})
    assert r.status == 301 and r.getheader("Location") == "https://127.0.0.1/about?x=1"
    assert s.request("/about").status == 301
    assert s.request("/about", headers={"X-Forwarded-Proto": "https"}).status == 200
    assert b" 400 " in s.raw(b"GET / HTTP/1.0\r\n\r\n")
    s = site(FILES, {**SETTINGS, "canonical_host": "${SITE}"}, env={"SITE": "www.example.com"})
    r = s.request("//evil.com/%2e", headers={"X-Forwarded-Proto": "https"})
    assert r.getheader("Location") == "https://www.example.com//evil.com/%2e"
    assert b" 200 OK" in s.raw(b"GET / HTTP/1.1\r\nHost: WWW.example.com:80\r\nConnection: close\r\n\r\n")


def test_basic_auth(site):
    s = site(FILES, {**SETTINGS, "basic_auth": True}, env={"BASIC_AUTH_USERNAME": "me", "BASIC_AUTH_PASSWORD": "s3:cret"})

    def auth(text):
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    r = s.request("/")
    assert r.status == 401 and r.getheader("WWW-Authenticate").startswith("Basic ")
    assert s.request("/", headers=auth("me:s3:cret")).status == 200
    assert s.request("/", headers=auth("me:s3:creT")).status == 401
    assert s.request("/", headers={"Authorization": "Bearer x"}).status == 401


def test_mistakes_are_told_at_the_start(tmp_path):
    (tmp_path / "static.json").write_text('{"root": ".", "proxies": {"/api": {}}}')
    for args in ((), ("--check",)):
        p = subprocess.run([SERVER, "--port", "0", *args], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)
        assert p.returncode == 1 and "static.json: proxies: " in p.stderr
    (tmp_path / "static.json").write_text('{"root": "."}')
    assert subprocess.run([SERVER, "--check"], cwd=tmp_path, timeout=DEADLINE).returncode == 0
    assert subprocess.run([SERVER, "--nonsense"], cwd=tmp_path, capture_output=True, timeout=DEADLINE).returncode == 2


def test_connections_persist_and_pipeline(site):
    s = site(FILES, SETTINGS)
    one = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    out = s.raw(b"".join(one % p for p in (b"about", b"nowhere", b"style.css") * 200)
                + b"\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert out.count(b"HTTP/1.1 200 OK\r\n") == 401 and out.count(b"HTTP/1.1 404 ") == 200
    assert out.endswith(b"<h1>home</h1>")
    out = s.raw(b"GET /about HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n")
    assert out.count(b"Connection: keep-alive") == 1 and out.endswith(b"<h1>home</h1>")
    with s.connect() as c:  # half-closed, and octet by octet
        for octet in one % b"docs/":
            c.sendall(bytes([octet]))
        c.shutdown(socket.SHUT_WR)
        assert c.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_early_answers_arrive(site):
    s = site(FILES, SETTINGS)
    with s.connect() as c:
        c.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 3000000)
        c.shutdown(socket.SHUT_WR)
        out = b""
        while True:
            piece = c.recv(65536)
            if not piece:
                break
            out += piece
    assert out.startswith(b"HTTP/1.1 405 ") and b"Connection: close" in out


def test_slow_readers_do_not_hold_up_others(site):
    huge = os.urandom(1 << 20) * 16
    s = site({**FILES, "public/huge.bin": huge}, SETTINGS)
    with s.connect() as slow:
        slow.sendall(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for _ in range(20):
            assert s.request("/").status == 200
        out = b""
        while True:
            piece = slow.recv(1 << 20)
            if not piece:
                break
            out += piece
    assert out.partition(b"\r\n\r\n")[2] == huge


def test_sigterm_finishes_what_is_going_out(site):
    huge = os.urandom(1 << 20) * 16
    s = site({**FILES, "public/huge.bin": huge}, SETTINGS)
    idle = s.connect()
    busy = s.connect()
    busy.sendall(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    out = busy.recv(1000)
    s.proc.send_signal(signal.SIGTERM)
    assert idle.recv(1) == b""  # told at once
    with pytest.raises(ConnectionRefusedError):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:  # refused once the listener is closed
            s.connect().close()
    while len(out) < len(huge):
        piece = busy.recv(1 << 20)
        assert piece
        out += piece
    busy.close()
    idle.close()
    assert s.proc.wait(timeout=DEADLINE) == 0
    assert out.partition(b"\r\n\r\n")[2] == huge


def test_access_log(site):
    s = site(FILES, SETTINGS, "--access-log")
    s.request("/about?x")
    s.request("/nowhere")
    status, out, _ = s.stop()
    assert status == 0 and out == "GET /about?x 200 14\nGET /nowhere 404 8\n"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(site, tmp_path):
    s = site(FILES, SETTINGS)
    url = "http://127.0.0.1:%d" % s.port
    out = subprocess.run(["curl", "-sS", "-L", "-w", "%{http_code} %{num_redirects}", url + "/old"], timeout=DEADLINE,
                         capture_output=True, check=True, text=True).stdout
    assert out == "<h1>about</h1>200 1"
    target = tmp_path / "got"
    target.write_bytes(BIG[:1000])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", str(target), url + "/assets/large.txt"], timeout=DEADLINE, check=True)
    assert target.read_bytes() == BIG
