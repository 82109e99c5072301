"""The git module's test server (tests/integration/gitd.c), a git client with a home of its own, and raw HTTP."""
import base64
import contextlib
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLAVOUR = os.environ.get("GITD_FLAVOUR", "debug")
BINARY = ROOT / "build" / ("" if FLAVOUR == "release" else FLAVOUR) / "tests" / "gitd"
ZERO = "0" * 40
DEADLINE = 60


def build_binary():
    subprocess.run(["make", "-s", f"FLAVOUR={FLAVOUR}", str(BINARY.relative_to(ROOT))], cwd=ROOT, check=True)


def wait_for(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Gitd:
    """One server with its own state directory."""

    def __init__(self, state, **env):
        self.state = Path(state)
        for sub in ("apps", "script"):
            (self.state / sub).mkdir(parents=True, exist_ok=True)
        self.env = env
        self.start()

    def start(self):
        env = {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=1", **self.env}
        env["LSAN_OPTIONS"] = "suppressions=" + str(ROOT / "tests/integration/gitd.supp")
        # libuv closes descriptors past the interceptors, so that reused numbers would look like races
        env["TSAN_OPTIONS"] = "ignore_noninstrumented_modules=1"
        self.log = open(self.state / "log", "ab")
        self.proc = subprocess.Popen([BINARY, self.state], stdout=subprocess.PIPE, stderr=self.log, env=env)
        line = self.proc.stdout.readline().decode()
        assert line.startswith("port "), (line, self.log_text())
        self.port = int(line.split()[1])

    def log_text(self):
        return (self.state / "log").read_text(errors="replace")

    def stop(self):
        """Ends it and lets the sanitizers speak."""
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("gitd does not end:\n" + self.log_text()[-4000:])
        text = self.log_text()
        assert code == 0 and "Sanitizer" not in text, f"gitd ended with {code}:\n{text[-6000:]}"

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def app(self, name, script=""):
        app_id = str(uuid.uuid4())
        (self.state / "apps" / name).write_text(app_id)
        self.script(name, script)
        return App(self, name, app_id)

    def script(self, name, text):
        (self.state / "script" / name).write_text(text)

    def events(self):
        path = self.state / "events"
        return path.read_text().splitlines() if path.exists() else []


class App:
    def __init__(self, server, name, app_id):
        self.server, self.name, self.id = server, name, app_id
        self.repo = server.state / "repos" / f"{app_id}.git"

    def url(self, token="alice-token", user="x"):
        return f"http://{user}:{token}@127.0.0.1:{self.server.port}/{self.name}.git"

    def script(self, text):
        self.server.script(self.name, text)

    def events(self):
        return [e for e in self.server.events() if f" {self.name} " in e or e.startswith("undo")]

    def refs(self):
        out = bare(self.repo, "for-each-ref", "--format=%(objectname) %(refname)")
        return dict(reversed(line.split(" ", 1)) for line in out.splitlines())

    def leftovers(self):
        """Files that no finished push may leave."""
        found = []
        for base, dirs, files in os.walk(self.repo):
            for n in dirs + files:
                if n.startswith("tmp_") or n.endswith((".lock", ".keep")):
                    found.append(os.path.join(base, n))
        return found

    def snapshot(self):
        """What a refused push must leave as it was."""
        if not self.repo.exists():
            return ({}, 0, [])
        counts = bare(self.repo, "count-objects", "-v")
        n = sum(int(v) for k, v in (line.split(": ") for line in counts.splitlines()) if k in ("count", "in-pack"))
        return (self.refs(), n, self.leftovers())

    def fsck(self):
        bare(self.repo, "fsck", "--full", "--strict", "--no-dangling")


def client_env(home):
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com",
    }


def bare(repo, *args):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C"}
    r = subprocess.run(["git", "-c", "safe.directory=*", f"--git-dir={repo}", *args], env=env, capture_output=True,
                       text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Work:
    """A working copy of the git client."""

    def __init__(self, path, init=True):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.env = client_env(self.path.parent)
        self.n = 0
        if init:
            self.git("init", "-q", "-b", "main")

    def run(self, *args, **kw):
        env = {**self.env, **kw.pop("env", {})}
        return subprocess.run(["git", *args], cwd=self.path, env=env, capture_output=True, text=True,
                              timeout=180, **kw)

    def git(self, *args, **kw):
        r = self.run(*args, **kw)
        assert r.returncode == 0, f"git {args}: {r.stdout}{r.stderr}"
        return r.stdout.strip()

    def commit(self, text=None, name="file", data=None):
        self.n += 1
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data if data is not None else f"{text or 'x'} {self.n}\n".encode())
        self.git("add", "-A")
        self.git("commit", "-q", "-m", text or f"commit {self.n}")
        return self.git("rev-parse", "HEAD")

    def push(self, app, *args, **kw):
        """Output (both streams) and exit status."""
        r = self.run("push", app.url() if not isinstance(app, str) else app, *args, **kw)
        return r.returncode, r.stdout + r.stderr


# --- raw HTTP -----------------------------------------------------------------------------------

def auth(token="alice-token", user="x"):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


class Answer:
    def __init__(self, status, headers, body, complete):
        self.status, self.headers, self.body, self.complete = status, headers, body, complete


def read_answer(sock, head_only=False):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
        while data.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in data:
            data = data.split(b"\r\n\r\n", 1)[1]
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    if head_only:
        return Answer(status, headers, rest, True)

    def more():
        nonlocal rest
        piece = sock.recv(65536)
        rest += piece
        return bool(piece)

    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while True:
            while b"\r\n" not in rest:
                if not more():
                    return Answer(status, headers, body, False)
            size, tail = rest.split(b"\r\n", 1)
            n = int(size, 16)
            while len(tail) < n + 2:
                before = len(rest)
                if not more():
                    return Answer(status, headers, body + tail, False)
                tail += rest[before:]
            body += tail[:n]
            rest = tail[n + 2:]
            if n == 0:
                return Answer(status, headers, body, True)
    if "content-length" in headers:
        n = int(headers["content-length"])
        while len(rest) < n and more():
            pass
        return Answer(status, headers, rest[:n], len(rest) >= n)
    while more():
        pass
    return Answer(status, headers, rest, True)


def connect(server):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def raw(server, data):
    """Sends bytes as they are; the first answer, or None when the connection just ended."""
    with connect(server) as s:
        try:
            s.sendall(data)
            return read_answer(s, head_only=data.startswith(b"HEAD "))
        except (ConnectionResetError, BrokenPipeError):
            return None


def request(server, method, target, *headers, body=None, token="alice-token", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost"]
    if token:
        lines.append(auth(token))
    lines += headers
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return raw(server, "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))


PUSH_TYPE = "Content-Type: application/x-git-receive-pack-request"


def push_raw(app, body, *headers, **kw):
    return request(app.server, "POST", f"/{app.name}.git/git-receive-pack", PUSH_TYPE, *headers, body=body, **kw)


def pkt(data):
    data = data.encode() if isinstance(data, str) else data
    return b"%04x" % (len(data) + 4) + data


def pkts(data):
    """Parses pkt-lines: list of bytes, None for a flush."""
    out = []
    while data:
        n = int(data[:4], 16)
        if n == 0:
            out.append(None)
            data = data[4:]
        else:
            assert 4 < n <= len(data), (n, data[:80])
            out.append(data[4:n])
            data = data[n:]
    return out


def bands(body):
    """(report lines, text) of an answer in bands; checks the framing on the way."""
    lines = pkts(body)
    assert lines and lines[-1] is None and None not in lines[:-1], lines[-3:]
    report = b"".join(p[1:] for p in lines[:-1] if p[0] == 1)
    text = b"".join(p[1:] for p in lines[:-1] if p[0] == 2)
    assert all(p[0] in (1, 2) for p in lines[:-1])
    inner = pkts(report)
    assert inner and inner[-1] is None
    return [p.decode() for p in inner[:-1]], text.decode(errors="replace")


def commands(*cmds, caps=" report-status side-band-64k"):
    out = b""
    for i, (old, new, ref) in enumerate(cmds):
        line = f"{old} {new} {ref}".encode()
        out += pkt(line + (b"\0" + caps.encode() if i == 0 else b""))
    return out + b"0000"


# --- objects and packs made by hand ---------------------------------------------------------------

TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


def oid(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


def entry_head(kind, size):
    first, size = (kind << 4) | (size & 15), size >> 4
    out = b""
    while size:
        out += bytes([first | 0x80])
        first, size = size & 0x7f, size >> 7
    return out + bytes([first])


def entry(kind, data, size=None, level=1):
    n = TYPES[kind] if isinstance(kind, str) else kind
    return entry_head(n, len(data) if size is None else size) + zlib.compress(data, level)


def ref_delta(base, delta):
    return entry_head(7, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def varint(n):
    out = b""
    while True:
        b = n & 0x7f
        n >>= 7
        if not n:
            return out + bytes([b])
        out += bytes([b | 0x80])


def pack(*entries, count=None, version=2):
    data = b"PACK" + struct.pack(">II", version, len(entries) if count is None else count) + b"".join(entries)
    return data + hashlib.sha1(data).digest()


EMPTY_PACK = pack()


def tree_data(*entries):
    return b"".join(b"%s %s\0" % (m.encode(), n if isinstance(n, bytes) else n.encode()) + bytes.fromhex(i)
                    for m, n, i in entries)


def commit_data(tree, *parents, message="x"):
    lines = [f"tree {tree}"] + [f"parent {p}" for p in parents]
    lines += ["author a <a@example.com> 1700000000 +0000", "committer a <a@example.com> 1700000000 +0000"]
    return ("\n".join(lines) + f"\n\n{message}\n").encode()


def simple_commit(content=b"hello\n", name="f", message="x", parents=()):
    """(commit id, pack) of one file."""
    blob = oid("blob", content)
    tree = tree_data(("100644", name, blob))
    commit = commit_data(oid("tree", tree), *parents, message=message)
    return oid("commit", commit), pack(entry("blob", content), entry("tree", tree), entry("commit", commit))
