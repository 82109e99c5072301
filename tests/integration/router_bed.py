"""A paas-router in a temporary folder, scripted apps behind it, raw clients in front of it."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import routewire as rw  # noqa: E402

BINARY = os.environ.get("PAAS_ROUTER", os.path.join(ROOT, "build", "paas-router"))
SANITIZED = os.path.basename(os.path.dirname(BINARY)) in ("debug", "tsan")


def wait_until(test, timeout=10, what="condition"):
    deadline = time.monotonic() + timeout
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


class Closed(Exception):
    pass


class Peer:
    """A socket read with a buffer, either side."""

    def __init__(self, sock, timeout=10):
        self.sock = sock
        self.buf = b""
        sock.settimeout(timeout)

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed()
        self.buf += data

    def exactly(self, n):
        while len(self.buf) < n:
            self.more()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def until(self, mark):
        while mark not in self.buf:
            self.more()
        at = self.buf.index(mark) + len(mark)
        out, self.buf = self.buf[:at], self.buf[at:]
        return out

    def rest(self):
        """Everything until the end of the connection."""
        try:
            while True:
                self.more()
        except Closed:
            pass
        out, self.buf = self.buf, b""
        return out

    def at_end(self, timeout=5):
        """True when the peer closes (or resets) without sending more."""
        self.sock.settimeout(timeout)
        try:
            return not self.buf and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def chunked(self):
        out, self.chunks = b"", 0
        while True:
            size = int(self.until(b"\r\n")[:-2], 16)
            if size == 0:
                assert self.until(b"\r\n") == b"\r\n"
                return out
            self.chunks += 1
            out += self.exactly(size)
            assert self.exactly(2) == b"\r\n"

    def close(self):
        self.sock.close()

    def reset(self):
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Message:
    """Head and body of a request or an answer."""

    def __init__(self, peer, head_request=False, body=True):
        head = peer.until(b"\r\n\r\n").decode("latin-1")
        lines = head[:-4].split("\r\n")
        self.start = lines[0]
        self.raw = head
        self.fields = [tuple(x.split(": ", 1)) for x in lines[1:]]
        self.body = b""
        parts = self.start.split(" ", 2)
        self.is_answer = parts[0].startswith("HTTP/")
        self.status = int(parts[1]) if self.is_answer else 0
        if not self.is_answer:
            self.method, self.target = parts[0], parts[1]
        if not body or head_request or (self.is_answer and
                                        (self.status < 200 or self.status in (204, 304))):
            return
        if (self.get("Transfer-Encoding") or "").lower() == "chunked":
            self.body = peer.chunked()
        elif self.get("Content-Length"):
            self.body = peer.exactly(int(self.get("Content-Length")))
        elif self.is_answer:
            self.body = peer.rest()

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name.lower()]

    def get(self, name):
        got = self.all(name)
        assert len(got) <= 1, (name, got)
        return got[0] if got else None


OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class App:
    """A scripted dyno: each connection is given to handler(peer, app) in a thread. Without a handler
    it answers each request by its number of bytes and keeps the requests."""

    def __init__(self, handler=None, backlog=64, unix=None):
        self.handler = handler or App.serve
        self.requests, self.connections, self.peers = [], 0, []
        self.lock = threading.Lock()
        if unix:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(backlog)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                peer = Peer(sock, 30)
                self.peers.append(peer)
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            self.handler(peer, self)
        except (Closed, OSError, ValueError):
            pass
        try:
            peer.close()
        except OSError:
            pass

    def take(self, peer, **kw):
        m = Message(peer, **kw)
        with self.lock:
            self.requests.append(m)
        return m

    @staticmethod
    def serve(peer, app):
        while True:
            m = app.take(peer)
            body = b"%s %d" % (m.method.encode(), len(m.body))
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" %
                      (len(body), b"" if m.method == "HEAD" else body))

    def close(self):
        """No new connections; those that are open stay. (shutdown wakes the accepting thread.)"""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def kill(self):
        self.close()
        for p in self.peers:
            try:
                p.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def always(text):
    """A handler that answers each request with the same octets."""
    data = text.encode("latin-1") if isinstance(text, str) else text

    def handler(peer, app):
        while True:
            app.take(peer)
            peer.send(data)
    return handler


def once(text, then=None):
    """A handler that answers one request and closes (or calls then(peer))."""
    data = text.encode("latin-1") if isinstance(text, str) else text

    def handler(peer, app):
        app.take(peer)
        peer.send(data)
        if then:
            then(peer)
    return handler


def dead_port():
    """A port on which nothing listens, kept so for the life of the socket that is returned too."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1], s


class Router:
    def __init__(self, run_dir, workers=1, args=(), log=True, **timeouts):
        self.run_dir, self.workers = str(run_dir), workers
        self.args = list(args)
        for name, ms in timeouts.items():
            self.args += ["--timeout", "%s=%d" % (name.replace("_", "-"), ms)]
        os.makedirs(self.run_dir, exist_ok=True)
        self.log = rw.LogSink(self.run_dir) if log else None
        self.port = 0
        self.proc = self.ctl = None
        self.apps, self.peers = [], []
        self.start()

    def start(self):
        self.err_path = os.path.join(self.run_dir, "stderr")
        # ASan would keep what was freed, and memory would look as if it grew
        env = dict({"ASAN_OPTIONS": "quarantine_size_mb=1"}, **os.environ)
        with open(self.err_path, "ab") as err:
            self.proc = subprocess.Popen(
                [BINARY, "--run", self.run_dir, "--listen", "127.0.0.1:%d" % self.port,
                 "--workers", str(self.workers)] + self.args, stderr=err, stdin=subprocess.DEVNULL,
                env=env)
        self.connect()
        self.port = int(self.ctl.stats()[rw.R_LISTEN].rsplit(":", 1)[1])

    def connect(self):
        if self.ctl:
            self.ctl.close()
        self.ctl = rw.Control(self.run_dir)

    def app(self, *handlers, name="web", state=rw.SERVING, hosts=None, pages=()):
        """Starts scripted dynos and routes NAME.localhost to them."""
        dynos = [h if isinstance(h, App) else App(h) for h in handlers]
        self.apps += dynos
        self.ctl.app(name, hosts or [name + ".localhost"],
                     [("%s-%d" % (name, d.port), d.port) for d in dynos], state=state, pages=pages)
        return dynos[0] if len(dynos) == 1 else dynos

    def client(self, timeout=10):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, timeout)
        self.peers.append(peer)
        return peer

    def ask(self, text, head_request=False):
        """One request on a connection of its own."""
        peer = self.client()
        peer.send(text)
        return Message(peer, head_request=head_request)

    def read(self):
        """How many requests it has read: each gets its dyno, its answer or its place in the queue at once."""
        return self.ctl.stats()[rw.R_REQUESTS]

    def get(self, path="/", host="web.localhost", fields=""):
        return self.ask("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path, host, fields))

    def rss_kb(self):
        with open("/proc/%d/status" % self.proc.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        for p in self.peers:
            p.close()
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(40)  # requests under way have 25 s to end
            except subprocess.TimeoutExpired:
                self.kill()
        for a in self.apps:
            a.kill()
        if self.ctl:
            self.ctl.close()
        if self.log:
            self.log.close()
        with open(self.err_path) as f:
            err = f.read()
        assert "Sanitizer" not in err and "Assertion" not in err, err
        return self.proc.returncode
