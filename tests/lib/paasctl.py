"""Runs paasctl in a home and a folder of its own."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import fcntl
import termios
import time

import pytest

from fake_api import TOKEN, FakeApi

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAASCTL = os.environ.get("PAASCTL", os.path.join(ROOT, "build", "paasctl"))


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return "exit %s\n--- out\n%s\n--- err\n%s" % (self.code, self.out, self.err)


def ok(r, out=None, err=None):
    """The result, which must be a success with that output."""
    assert r.code == 0, r
    if out is not None:
        assert r.out == out, r
    if err is not None:
        assert r.err == err, r
    return r


class Paasctl:
    def __init__(self, home, url, key):
        self.home, self.cwd = str(home), str(home / "work")
        os.makedirs(self.cwd)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "TZ": "UTC", "LC_ALL": "C.UTF-8",
                    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": self.home,
                    "TMPDIR": self.home, "PAASCTL_API_URL": url}
        if key:
            self.env["PAASCTL_API_KEY"] = key

    def __call__(self, *args, stdin=None, env=None, timeout=20, text=True):
        p = subprocess.run([PAASCTL, *args], cwd=self.cwd, env={**self.env, **(env or {})},
                           input=stdin if stdin is not None else ("" if text else b""),
                           capture_output=True, text=text, timeout=timeout)
        return Result(p.returncode, p.stdout, p.stderr)

    def start(self, *args, env=None, **more):
        return subprocess.Popen([PAASCTL, *args], cwd=self.cwd, env={**self.env, **(env or {})},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def git(self, *args):
        return subprocess.run(["git", *args], cwd=self.cwd, env=self.env, capture_output=True, text=True,
                              check=True).stdout

    def on_tty(self, *args, env=None, rows=40, cols=100):
        return Tty([PAASCTL, *args], self.cwd, {**self.env, "TERM": "xterm", **(env or {})}, rows, cols)


class Tty:
    """A child on a pseudo-terminal of which we hold the other end."""

    def __init__(self, argv, cwd, env, rows, cols):
        self.seen, self.code = b"", None
        # Our own copy of the slave keeps the terminal alive, so that its modes can be looked at after
        # the child has ended.
        self.master, self.slave = pty.openpty()
        self.resize(rows, cols)
        self.before = self.modes()

        def controlling():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, preexec_fn=controlling)

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.slave)

    def raw(self):
        return not self.modes()[3] & termios.ICANON

    def write(self, data):
        os.write(self.master, data)

    def expect(self, pattern, timeout=10):
        """Reads until the pattern was seen in what came so far."""
        until = time.monotonic() + timeout
        while not re.search(pattern, self.seen):
            left = until - time.monotonic()
            assert left > 0, "%r not in %r" % (pattern, self.seen)
            if select.select([self.master], [], [], min(left, 0.5))[0]:
                self.seen += os.read(self.master, 65536)
        return self.seen

    def wait(self, timeout=10):
        """The exit status; reads what is left meanwhile."""
        until = time.monotonic() + timeout
        while self.code is None:
            assert time.monotonic() < until, self.seen
            while select.select([self.master], [], [], 0.02)[0]:
                self.seen += os.read(self.master, 65536)
            self.code = self.child.poll()
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        return self.code

    def close(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)


# --- fixtures, for tests that import them -----------------------------------------------------
@pytest.fixture
def api():
    with FakeApi() as fake:
        yield fake


@pytest.fixture
def cli(api, tmp_path):
    return Paasctl(tmp_path, api.url, TOKEN)


@pytest.fixture
def anon(api, tmp_path):
    return Paasctl(tmp_path, api.url, None)
