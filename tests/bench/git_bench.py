#!/usr/bin/env python3
"""Receiving packs: the git module against `git http-backend` behind nginx and fcgiwrap, in the same run.

Each push is discovery and POST on one connection, sent by hand so that no client's time is measured; both
servers check objects (receive.fsckObjects). Prints wall and processor time per push and the ratios; with
--check LIMIT fails when a wall-time ratio is above it. Needs nginx and fcgiwrap, and the release gitd.
"""
import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
os.environ.setdefault("GITD_FLAVOUR", "release")
from git_support import (Gitd, ZERO, auth, bands, bare, build_binary, commands, commit_data, entry, oid, pack,
                         read_answer, tree_data)

NGINX = """
daemon off; master_process off; worker_processes 1; pid {d}/nginx.pid; error_log {d}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {d}/body; fastcgi_temp_path {d}/fcgi;
  proxy_temp_path {d}/p; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      fastcgi_pass unix:{d}/fcgi.sock;
      fastcgi_request_buffering off; fastcgi_buffering off;
      fastcgi_param SCRIPT_FILENAME {backend}; fastcgi_param GIT_PROJECT_ROOT {d}/root;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_USER bench; fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
    }}
  }}
}}
"""


class Cpu:
    """Processor time of some processes and all that they start, waited for or not: a control group of their own.
    Without one (no root, no cgroup file system) the time is not known."""

    def __init__(self, name, pids):
        self.dir = None
        for base, usage in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
            d = Path(base) / f"git-bench-{os.getpid()}-{name}"
            try:
                d.mkdir()
                for pid in pids:
                    (d / "cgroup.procs").write_text(str(pid))
                (d / usage).read_text()
                self.dir, self.usage = d, d / usage
                return
            except OSError:
                with contextlib.suppress(OSError):
                    d.rmdir()

    def seconds(self):
        if not self.dir:
            return float("nan")
        text = self.usage.read_text()
        return int(text.split()[1]) / 1e6 if self.usage.name == "cpu.stat" else int(text) / 1e9

    def close(self):
        if self.dir:
            self.dir.rmdir()


class Ours:
    name = "paasd"

    def __init__(self, d):
        self.gitd = Gitd(d / "state")
        self.port, self.n = self.gitd.port, 0
        self.cpu = Cpu(self.name, [self.gitd.proc.pid])

    def new_repo(self):
        self.n += 1
        self.app = self.gitd.app(f"bench-{self.n}")
        return f"/{self.app.name}.git"

    def count(self):
        return len(self.app.refs())

    def stop(self):
        self.gitd.stop()
        self.cpu.close()


class Backend:
    """As git comes: packs of less than 100 objects become loose objects."""
    name = "http-backend"
    config = ()

    def __init__(self, d):
        self.d, self.n, self.cpu = d, 0, None
        (d / "root").mkdir()
        backend = subprocess.run(["git", "--exec-path"], capture_output=True, text=True).stdout.strip() + "/git-http-backend"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        (d / "nginx.conf").write_text(NGINX.format(d=d, port=self.port, backend=backend))
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        self.procs = [
            subprocess.Popen(["fcgiwrap", "-c", "1", "-f", "-s", f"unix:{d}/fcgi.sock"], env=env, stderr=subprocess.DEVNULL),
            subprocess.Popen(["nginx", "-c", d / "nginx.conf", "-p", d], stderr=subprocess.DEVNULL),
        ]
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                if time.monotonic() > end:
                    self.stop()
                    raise RuntimeError("nginx does not listen")
                time.sleep(0.02)
        self.cpu = Cpu(type(self).__name__, [p.pid for p in self.procs])

    def new_repo(self):
        self.n += 1
        self.repo = self.d / "root" / f"r{self.n}.git"
        subprocess.run(["git", "init", "-q", "--bare", self.repo], check=True)
        for key, value in (("http.receivepack", "true"), ("receive.fsckObjects", "true"), ("gc.auto", "0"),
                           ("receive.autogc", "false"), *self.config):
            bare(self.repo, "config", key, value)
        return f"/r{self.n}.git"

    def count(self):
        return bare(self.repo, "for-each-ref").count("\n")

    def stop(self):
        for p in reversed(self.procs):
            p.terminate()
            p.wait()
        if self.cpu:
            self.cpu.close()


class BackendKeeping(Backend):
    """Keeps every pack as a pack, as paasd does."""
    name = "http-backend, packs kept"
    config = (("receive.unpackLimit", "1"),)


def bodies(kind, n):
    """n request bodies, each a new branch with objects of its own."""
    files, size = {"small": (1, 100), "medium": (500, 2000), "large": (40, 2 << 20)}[kind]
    for i in range(n):
        entries, names = [], []
        for f in range(files):
            data = os.urandom(size)
            entries.append(entry("blob", data, level=0 if kind == "large" else 1))
            names.append(("100644", f"f{f:05d}", oid("blob", data)))
        tree = tree_data(*names)
        commit = commit_data(oid("tree", tree))
        entries += [entry("tree", tree), entry("commit", commit)]
        yield commands((ZERO, oid("commit", commit), f"refs/heads/b{i}")) + pack(*entries)


def push(sock, path, body):
    head = f"Host: localhost\r\n{auth()}\r\n"
    sock.sendall(f"GET {path}/info/refs?service=git-receive-pack HTTP/1.1\r\n{head}\r\n".encode())
    assert read_answer(sock).status == 200
    sock.sendall(f"POST {path}/git-receive-pack HTTP/1.1\r\n{head}Content-Type: application/x-git-receive-pack-request\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode())
    sock.sendall(body)
    answer = read_answer(sock)
    report, text = bands(answer.body)
    assert report[0] == "unpack ok\n" and report[1].startswith("ok "), (report, text)


def measure(server, kind, n):
    path = server.new_repo()
    wall = 0
    before = server.cpu.seconds()
    for body in bodies(kind, n):
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start = time.monotonic()
            push(s, path, body)
            wall += time.monotonic() - start
    assert server.count() == n
    return wall / n * 1000, (server.cpu.seconds() - before) / n * 1000


KINDS = (("small", 40), ("medium", 15), ("large", 1))


def compare(rounds):
    """Yields (kind, {server: (wall ms, processor ms) per push, the best of the rounds})."""
    with tempfile.TemporaryDirectory(prefix="git-bench-") as d:
        servers = []
        try:
            for make in (Ours, Backend, BackendKeeping):
                folder = Path(d) / make.__name__
                folder.mkdir()
                servers.append(make(folder))
            for kind, n in KINDS:
                best = {}
                for _ in range(rounds):  # alternating, so that all see the same machine
                    for s in servers:
                        got = measure(s, kind, n)
                        best[s.name] = min(best.get(s.name, got), got)
                yield kind, best
        finally:
            for s in servers:
                s.stop()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--check", type=float, help="fail when paasd takes more than this times http-backend's wall time")
    ap.add_argument("--rounds", type=int, default=3)
    args = ap.parse_args()
    if not shutil.which("nginx") or not shutil.which("fcgiwrap"):
        print("git_bench: nginx and fcgiwrap are needed", file=sys.stderr)
        return 77
    build_binary()
    worst = 0
    for kind, best in compare(args.rounds):
        ours = best[Ours.name]
        for name, theirs in best.items():
            ratio = ours[0] / theirs[0]
            worst = max(worst, ratio)
            print(f"git receive {kind:6}  {name:26} {theirs[0]:8.1f} ms (cpu {theirs[1]:7.1f})   "
                  f"ratio of paasd {ratio:.2f} (cpu {ours[1] / theirs[1]:.2f})", flush=True)
    return 1 if args.check and worst > args.check else 0


if __name__ == "__main__":
    sys.exit(main())
