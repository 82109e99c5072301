"""A small Platform API for tests of the command line: it records requests and gives canned answers.

    with FakeApi() as api:
        api.on("GET", "/account", ACCOUNT)
        api.on("POST", "/apps", lambda req: (201, app(req.json["name"])))

An answer is a JSON value (status 200), (status, value), (status, value, headers), or bytes through
`raw`. Several answers registered for one request are given in turn, the last one for ever.
"""

import base64
import json
import socket
import struct
import threading

TOKEN = "0123abcd-token"
EMAIL = "me@example.org"
TIME = "2026-01-31T12:00:00Z"
ACCOUNT = {"id": "11111111-1111-1111-1111-111111111111", "email": EMAIL, "name": None}


def uid(n):
    return "%08x-0000-4000-8000-000000000000" % n


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.target = target
        self.path, _, self.query = target.partition("?")

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    def __repr__(self):
        return "%s %s %s" % (self.method, self.target, self.body.decode("utf-8", "replace"))


class FakeApi:
    """One listening socket on a free port, a thread a connection."""

    def __init__(self):
        self.routes, self.requests = {}, []
        self.open = set()  # (method, path) of those that need no token
        self.lock = threading.Lock()
        self.new_request = threading.Condition(self.lock)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.conns = []
        self.on("GET", "/account", ACCOUNT)
        self.on_open("GET", "/ca.pem", not_found("certificate"))
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The thread must be gone before the descriptor is: the next fake may get its number.
        self.sock.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.sock.close()
        with self.lock:
            for c in self.conns:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    # --- what tests use -----------------------------------------------------------------
    def on(self, method, path, *answers):
        self.routes[(method, path)] = list(answers)

    def on_open(self, method, path, *answers):
        self.open.add((method, path))
        self.on(method, path, *answers)

    def raw(self, method, path, handler):
        """handler(request, socket) speaks for itself; the connection is closed after it."""
        self.routes[(method, path)] = [("raw", handler)]

    def seen(self, method, path):
        with self.lock:
            return [r for r in self.requests if (r.method, r.path) == (method, path)]

    def wait_for(self, method, path, count=1, timeout=10):
        """The requests once there are so many; fails after the timeout."""
        with self.new_request:
            def there():
                return [r for r in self.requests if (r.method, r.path) == (method, path)]
            assert self.new_request.wait_for(lambda: len(there()) >= count, timeout), self.requests
            return there()

    # --- the server ---------------------------------------------------------------------
    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with self.lock:
                self.conns.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            buf = b""
            while True:
                while b"\r\n\r\n" not in buf:
                    more = conn.recv(65536)
                    if not more:
                        return
                    buf += more
                head, _, buf = buf.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {}
                for line in lines[1:]:
                    k, _, v = line.partition(":")
                    headers[k.strip().lower()] = v.strip()
                n = int(headers.get("content-length", 0))
                while len(buf) < n:
                    buf += conn.recv(65536)
                body, buf = buf[:n], buf[n:]
                if not self._answer(conn, Request(method, target, headers, body)):
                    return
        except OSError:
            pass
        finally:
            conn.close()

    def _answer(self, conn, req):
        with self.new_request:
            self.requests.append(req)
            answers = self.routes.get((req.method, req.path))
            answer = None
            if answers:
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.new_request.notify_all()
        if isinstance(answer, tuple) and answer[0] == "raw":
            answer[1](req, conn)
            return False
        if (req.method, req.path) not in self.open and not self._allowed(req):
            answer = (401, {"id": "unauthorized", "message": "Invalid credentials provided."})
        elif answer is None:
            answer = (404, {"id": "not_found", "message":
                            "The requested API endpoint was not found. Are you using the right HTTP verb?"})
        elif callable(answer):
            answer = answer(req)
        status, value, extra = 200, answer, {}
        if isinstance(answer, tuple):
            status, value = answer[:2]
            extra = answer[2] if len(answer) > 2 else {}
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **extra}
        conn.sendall(("HTTP/1.1 %d X\r\n" % status +
                      "".join("%s: %s\r\n" % h for h in headers.items()) + "\r\n").encode() + data)
        return True

    @staticmethod
    def _allowed(req):
        if not req.headers.get("accept", "").startswith("application/vnd.heroku+json; version=3"):
            return False
        auth = req.headers.get("authorization", "")
        if auth.startswith("Basic "):
            return base64.b64decode(auth[6:]).decode() == EMAIL + ":secret"
        return auth == "Bearer " + TOKEN


# --- resources, with every field of the reference ------------------------------------------
def app(name="shop", api=None, **more):
    base = api.url if api else "http://localhost:8080"
    return {"id": uid(1), "name": name, "acm": False, "archived_at": None,
            "buildpack_provided_description": None,
            "build_stack": {"id": uid(2), "name": "heroku-24"}, "stack": {"id": uid(2), "name": "heroku-24"},
            "created_at": TIME, "updated_at": TIME, "released_at": None,
            "generation": {"id": uid(3), "name": "cedar"}, "git_url": "%s/%s.git" % (base, name),
            "internal_routing": None, "maintenance": False, "owner": {"id": ACCOUNT["id"], "email": EMAIL},
            "organization": None, "team": None, "region": {"id": uid(4), "name": "us"},
            "repo_size": None, "slug_size": 2048, "space": None,
            "web_url": "http://%s.localhost:8080/" % name, **more}


def release(version=1, **more):
    return {"id": uid(100 + version), "version": version, "addon_plan_names": [], "artifacts": [],
            "app": {"id": uid(1), "name": "shop"}, "created_at": TIME, "updated_at": TIME,
            "description": "Deploy 1a2b3c4d", "slug": None, "status": "succeeded",
            "user": {"id": ACCOUNT["id"], "email": EMAIL}, "current": False,
            "output_stream_url": None, "eligible_for_rollback": True, **more}


def dyno(name="web.1", **more):
    return {"id": uid(200), "name": name, "type": name.split(".")[0], "attach_url": None,
            "command": "bin/web", "created_at": TIME, "updated_at": TIME,
            "release": {"id": uid(101), "version": 1}, "app": {"id": uid(1), "name": "shop"},
            "size": "Basic", "state": "up", **more}


def formation(kind="web", quantity=1, **more):
    return {"id": uid(300), "type": kind, "quantity": quantity, "size": "Basic", "command": "bin/web",
            "app": {"id": uid(1), "name": "shop"}, "created_at": TIME, "updated_at": TIME,
            "dyno_size": {"id": uid(301), "name": "Basic"}, **more}


def build(n=1, status="succeeded", **more):
    return {"id": uid(400 + n), "app": {"id": uid(1)}, "status": status, "stack": "heroku-24",
            "buildpacks": [{"url": "ruby", "name": "ruby"}], "created_at": TIME, "updated_at": TIME,
            "output_stream_url": None, "release": None, "slug": None,
            "source_blob": {"checksum": None, "url": "git", "version": "a" * 40, "version_description": None},
            "user": {"id": ACCOUNT["id"], "email": EMAIL}, **more}


def collaborator(email=EMAIL, role="owner"):
    return {"id": uid(500), "app": {"id": uid(1), "name": "shop"}, "created_at": TIME, "updated_at": TIME,
            "permissions": [], "role": role, "user": {"id": uid(501), "email": email, "federated": False}}


def not_found(resource="app"):
    return (404, {"id": "not_found", "message": "Couldn't find that %s." % resource, "resource": resource})


# --- the frames of an attached run ----------------------------------------------------------
STDIN, STDIN_EOF, RESIZE, SIGNAL, OUTPUT, EXIT, ERROR = 1, 2, 3, 4, 16, 17, 18


class Attached:
    """The server's end of GET /attach/SECRET."""

    def __init__(self, conn):
        self.conn, self.buf = conn, b""
        conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: paas-attach\r\n\r\n")

    def send(self, kind, data=b""):
        self.conn.sendall(struct.pack(">BI", kind, len(data)) + data)

    def exit(self, status):
        self.send(EXIT, struct.pack(">I", status))

    def frame(self):
        """(type, bytes), or None when the client is gone."""
        while True:
            if len(self.buf) >= 5:
                kind, n = struct.unpack(">BI", self.buf[:5])
                if len(self.buf) >= 5 + n:
                    data, self.buf = self.buf[5:5 + n], self.buf[5 + n:]
                    return kind, data
            try:
                more = self.conn.recv(65536)
            except OSError:
                return None
            if not more:
                return None
            self.buf += more
