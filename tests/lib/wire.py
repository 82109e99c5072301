"""Client of the platform's own wire frames (proto/wire.h): launcher, shims, and a log sink.

Only the standard library; used by the integration tests, which drive paas-launcher and paas-shim
without paasd.
"""
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid

LAUNCH = dict(HELLO=1, CREATE=2, REMOVE=3, RMTREE=4, LIST=5, SHUTDOWN=6, ENTER=7, VOLUME=8, VOLUME_REMOVE=9, VOLUME_COPY=10,
              OK=64, ERR=65, INFO=66)
L = dict(ID=1, APP_ID=2, NAME=3, APP_UID=4, STDIO=5, ARGV=6, ENV=7, CWD=8, SLUG=9, BIND=10, NET=11,
         PORT=12, MEM_QUOTA=13, MEM_MAX=14, PIDS_MAX=15, CPU_WEIGHT=16, CPU_PCT=17, ROWS=18, COLS=19,
         ON_DETACH=20, ATTACH_MS=21, TTL_S=22, KEEP_OUTPUT=23, LOG=24, METRICS_MS=25, RELEASE=26,
         STACK=27, TMP_BYTES=28, INTO=29, REACH=30, ADDRESS=31, SIZE=32, USED=33, QUOTA=34, IP=40, PID=41, ERR_ID=42, MSG=43, PATH=44, FLAGS=45, RUNTIME=46,
         LIMITS=47, GATEWAY=48, NOTE=49)
LINES, PIPE, PTY = 0, 1, 2
KEEP, HANGUP, KILL = 0, 1, 2
BIND_RO, BIND_IDMAP, BIND_OPTIONAL, BIND_HOST, BIND_VOLUME = 1, 2, 4, 8, 16

SHIM = dict(SUPERVISE=1, ATTACH=2, STDIN=3, STDIN_EOF=4, RESIZE=5, SIGNAL=6, STATE=32, OUTPUT=33,
            BOUND=34, MEM=35, EXIT=36, DETACHED=37)
S = dict(DATA=1, OFFSET=2, ROWS=3, COLS=4, SIGNAL=5, PID=6, STARTED_US=7, BOUND=8, RUNNING=9,
         MEM_TOTAL=10, MEM_RSS=11, MEM_CACHE=12, MEM_SWAP=13, EXIT_CODE=14, OOM=15, CODE=16)
K = dict(SEQ=1, DROPPED=2, APP=3, SOURCE=4, PROC=5, TS_US=6, TEXT=7)
LOG_BATCH, LOG_ACK = 1, 2


def field(key, value):
    if isinstance(value, bool) or isinstance(value, int):
        value = struct.pack(">Q", int(value))
    elif isinstance(value, str):
        value = value.encode()
    return struct.pack(">HI", key, len(value)) + value


def frame(kind, fields=()):
    body = struct.pack(">H", kind) + b"".join(field(k, v) for k, v in fields)
    return struct.pack(">I", len(body)) + body


def parse(data):
    """Takes one frame off data: (type, [(key, bytes)], rest), or None when more is needed."""
    if len(data) < 6:
        return None
    size = struct.unpack(">I", data[:4])[0]
    if len(data) < 4 + size:
        return None
    kind = struct.unpack(">H", data[4:6])[0]
    body, fields = data[6:4 + size], []
    while body:
        key, n = struct.unpack(">HI", body[:6])
        fields.append((key, body[6:6 + n]))
        body = body[6 + n:]
    return kind, fields, data[4 + size:]


def number(raw):
    return struct.unpack(">Q", raw)[0]


class Closed(Exception):
    pass


class Conn:
    """One connection. Every wait has a deadline."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        # test directories may be deeper than a socket address is long
        fd = os.open(os.path.dirname(path), os.O_PATH)
        try:
            self.sock.connect("/proc/self/fd/%d/%s" % (fd, os.path.basename(path)))
        finally:
            os.close(fd)
        self.data, self.fds = b"", []

    def send(self, kind, fields=()):
        self.sock.sendall(frame(kind, fields))

    def recv(self, timeout=10):
        end = time.monotonic() + timeout
        while True:
            got = parse(self.data)
            if got:
                kind, fields, self.data = got
                return kind, fields
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame within %s s" % timeout)
            self.sock.settimeout(left)
            try:
                more, fds, _, _ = socket.recv_fds(self.sock, 65536, 4)
                self.fds += fds
            except socket.timeout:
                raise TimeoutError("no frame within %s s" % timeout)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed()
            self.data += more

    def close(self):
        self.sock.close()


class LaunchError(Exception):
    def __init__(self, id, msg):
        super().__init__("%s: %s" % (id, msg))
        self.id, self.msg = id, msg


def spec_fields(id, argv, name="web.1", env=None, binds=(), reach=(), **more):
    fields = [(L["ID"], id), (L["APP_ID"], more.pop("app_id", str(uuid.UUID(int=1)))),
              (L["NAME"], name)]
    fields += [(L["ARGV"], a) for a in argv]
    fields += [(L["ENV"], "%s=%s" % kv) for kv in (env or {}).items()]
    for src, dst, flags in binds:
        fields.append((L["BIND"], ("%d\0%s\0%s\0" % (flags, src, dst)).encode()))
    fields += [(L["REACH"], r) for r in reach]
    fields += [(L[k.upper()], v) for k, v in more.items()]
    return fields


class Launcher(Conn):
    def ask(self, kind, fields=(), timeout=60):
        self.send(LAUNCH[kind], fields)
        got, out = self.recv(timeout)
        if got == LAUNCH["ERR"]:
            d = dict(out)
            raise LaunchError(d[L["ERR_ID"]].decode(), d[L["MSG"]].decode())
        return out

    def info(self):
        out = self.ask("HELLO")
        d = {k: v.decode() for k, v in out if k != L["NOTE"]}
        return dict(runtime=d[L["RUNTIME"]], limits=d[L["LIMITS"]], gateway=d[L["GATEWAY"]],
                    notes=[v.decode() for k, v in out if k == L["NOTE"]])

    def create(self, argv, id=None, **spec):
        """Returns (id, ip, pid of the shim)."""
        id = id or str(uuid.uuid4())
        d = dict(self.ask("ENTER" if "into" in spec else "CREATE", spec_fields(id, argv, **spec)))
        return id, d[L["IP"]].decode(), number(d[L["PID"]])

    def remove(self, id):
        self.ask("REMOVE", [(L["ID"], id)])

    def rmtree(self, path):
        self.ask("RMTREE", [(L["PATH"], path)])

    def volume(self, id, size=0):
        """(what enforces its size, size, bytes used)."""
        d = dict(self.ask("VOLUME", [(L["ID"], id), (L["SIZE"], size)]))
        return d[L["QUOTA"]].decode(), number(d[L["SIZE"]]), number(d[L["USED"]])

    def volume_copy(self, id, seconds, spare=0):
        """(quota, size, descriptor)."""
        d = dict(self.ask("VOLUME_COPY", [(L["ID"], id), (L["TTL_S"], seconds), (L["SIZE"], spare)]))
        return d[L["QUOTA"]].decode(), number(d[L["SIZE"]]), self.fds.pop()

    def volume_remove(self, id):
        self.ask("VOLUME_REMOVE", [(L["ID"], id)])

    def list(self):
        return sorted(v.decode() for k, v in self.ask("LIST") if k == L["ID"])

    def shutdown(self, everything=True):
        self.ask("SHUTDOWN", [(L["FLAGS"], int(everything))])


class Shim(Conn):
    """A client of RUN/dynos/ID/sock."""

    def __init__(self, run, id):
        super().__init__(os.path.join(run, "dynos", id, "sock"))
        self.output, self.events, self.exit = b"", [], None

    def supervise(self):
        self.send(SHIM["SUPERVISE"])
        return self

    def attach(self, offset=0):
        self.send(SHIM["ATTACH"], [(S["OFFSET"], offset)])
        return self

    def stdin(self, data):
        self.send(SHIM["STDIN"], [(S["DATA"], data)])

    def eof(self):
        self.send(SHIM["STDIN_EOF"])

    def resize(self, rows, cols):
        self.send(SHIM["RESIZE"], [(S["ROWS"], rows), (S["COLS"], cols)])

    def signal(self, number_):
        self.send(SHIM["SIGNAL"], [(S["SIGNAL"], int(number_))])

    def step(self, timeout=10):
        kind, fields = self.recv(timeout)
        d = dict(fields)
        if kind == SHIM["OUTPUT"]:
            self.output += d[S["DATA"]]
        elif kind == SHIM["EXIT"]:
            self.exit = dict(code=number(d[S["EXIT_CODE"]]), signal=number(d[S["SIGNAL"]]),
                             oom=number(d[S["OOM"]]))
        self.events.append((kind, d))
        return kind, d

    def until(self, what, timeout=20):
        """Waits for bytes in the output, or for an event by name; returns the event's fields."""
        end = time.monotonic() + timeout
        if isinstance(what, bytes):
            while what not in self.output:
                self.step(max(0.01, end - time.monotonic()))
            return self.output
        for kind, d in self.events:
            if kind == SHIM[what]:
                return d
        while True:
            kind, d = self.step(max(0.01, end - time.monotonic()))
            if kind == SHIM[what]:
                return d

    def finish(self, timeout=20):
        """Reads to the exit; returns (code, output)."""
        self.until("EXIT", timeout)
        return self.exit["code"], self.output


class LogSink:
    """Stands in for paasd's log thread: takes batches, acknowledges them, keeps the lines."""

    def __init__(self, run, ack=True):
        self.path, self.ack, self.lines, self.dropped = os.path.join(run, "log.sock"), ack, [], 0
        self.batches = 0
        self.lock = threading.Lock()
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        fd = os.open(run, os.O_PATH)
        self.listener.bind("/proc/self/fd/%d/log.sock" % fd)
        os.close(fd)
        self.listener.listen(64)
        self.stop_r, self.stop_w = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _take(self, conn, fields):
        seq, proc, source, ts = None, None, None, None
        with self.lock:
            self.batches += 1
            for k, v in fields:
                if k == K["SEQ"]:
                    seq = number(v)
                elif k == K["PROC"]:
                    proc = v.decode()
                elif k == K["SOURCE"]:
                    source = v.decode()
                elif k == K["TS_US"]:
                    ts = number(v)
                elif k == K["DROPPED"]:
                    self.dropped += number(v)
                elif k == K["TEXT"]:
                    self.lines.append((source, proc, ts, v))
        if self.ack:
            conn.sendall(frame(LOG_ACK, [(K["SEQ"], seq)]))

    def _serve(self):
        conns = {}
        while True:
            ready, _, _ = select.select([self.listener, self.stop_r] + list(conns), [], [])
            if self.stop_r in ready:
                break
            for r in ready:
                if r is self.listener:
                    c, _ = r.accept()
                    conns[c] = b""
                    continue
                try:
                    more = r.recv(65536)
                except OSError:
                    more = b""
                if not more:
                    r.close()
                    del conns[r]
                    continue
                conns[r] += more
                while True:
                    got = parse(conns[r])
                    if not got:
                        break
                    kind, fields, conns[r] = got
                    if kind == LOG_BATCH:
                        try:
                            self._take(r, fields)
                        except OSError:
                            break
        for c in conns:
            c.close()

    def texts(self):
        with self.lock:
            return [t for _, _, _, t in self.lines]

    def wait(self, predicate, timeout=15):
        end = time.monotonic() + timeout
        while not predicate(self):
            assert time.monotonic() < end, "log lines so far: %r" % self.texts()[-5:]
            time.sleep(0.01)

    def close(self):
        os.write(self.stop_w, b"x")
        self.thread.join()
        self.listener.close()
        os.close(self.stop_r)
        os.close(self.stop_w)
        if os.path.exists(self.path):
            os.unlink(self.path)


class LauncherProcess:
    """A paas-launcher of the test's own. args: extra command line; prefix: e.g. nsenter."""

    def __init__(self, binary, run, state, args=(), prefix=(), user=None):
        self.run, self.state, self.binary, self.prefix = run, state, binary, list(prefix)
        self.args, self.user, self.proc = list(args), user, None
        self.start()

    def start(self, timeout=20):
        cmd = self.prefix + [self.binary, "--run", self.run, "--state", self.state] + self.args
        self.log = open(os.path.join(os.path.dirname(self.run.rstrip("/")), "launcher.log"), "ab")
        self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     user=self.user, group=self.user,
                                     extra_groups=[] if self.user else None)
        end = time.monotonic() + timeout
        while True:
            try:
                # an answer, not just a connection: a child that a killed launcher had just forked
                # holds its listening socket until it execs
                c = self.connect()
                c.info()
                return c.close()
            except (OSError, Closed):
                assert self.proc.poll() is None, "launcher ended: " + self.logged()
                assert time.monotonic() < end, "launcher does not serve: " + self.logged()
                time.sleep(0.01)

    def logged(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def connect(self):
        return Launcher(os.path.join(self.run, "launcher.sock"))

    def kill(self):
        """kill -9"""
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()

    def end(self):
        """Everything goes, whatever state it is in."""
        if self.proc.poll() is None:
            try:
                self.connect().shutdown(True)
                self.proc.wait(30)
            except (OSError, LaunchError, Closed, TimeoutError, subprocess.TimeoutExpired):
                self.proc.kill()
        self.proc.wait()
        subprocess.run(self.prefix + [self.binary, "--cleanup", "--run", self.run, "--state",
                                      self.state], user=self.user, group=self.user,
                       extra_groups=[] if self.user else None, stdout=self.log, stderr=self.log,
                       timeout=60)
        self.log.close()
