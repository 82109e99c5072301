"""Control client of paas-router (proto/routewire.h) and sink of its log lines (proto/logwire.h)."""
import os
import select
import socket
import struct
import threading
import time

BEGIN, END, PLATFORM, APP, DEL, DRAIN, STATS, QUIT = range(1, 9)
ACK, DRAINED, INFO, DYNO_FAIL = 32, 33, 34, 35
(R_SEQ, R_HOST, R_SOCKET, R_APP_ID, R_APP_NAME, R_STATE, R_DYNO_ID, R_DYNO_NAME, R_DYNO_IP,
 R_DYNO_PORT, R_TIMEOUT_MS, R_LEFT, R_PID, R_LISTEN, R_REQUESTS, R_DROPPED) = range(1, 17)
R_ERROR_PAGE, R_CERT, R_KEY, R_MAINTENANCE_PAGE = 17, 18, 19, 20
CERT, CERT_DROP, CERT_ASK = 9, 10, 36
IDLE_ASK, WAKE, IDLE = 11, 37, 38
R_IDLE_MS = 21
SERVING, BOOTING, CRASHED, NO_WEB, BLANK, MAINTENANCE, ASLEEP = range(7)
K_SEQ, K_DROPPED, K_APP, K_SOURCE, K_PROC, K_TS_US, K_TEXT = range(1, 8)
LOG_BATCH, LOG_ACK = 1, 2

NUMBERS = {R_SEQ, R_STATE, R_DYNO_PORT, R_TIMEOUT_MS, R_LEFT, R_PID, R_REQUESTS, R_DROPPED, R_IDLE_MS}
LOG_NUMBERS = {K_SEQ, K_DROPPED, K_TS_US}


def frame(kind, *fields):
    body = struct.pack(">H", kind)
    for key, value in fields:
        if isinstance(value, int):
            value = struct.pack(">Q", value)
        elif isinstance(value, str):
            value = value.encode()
        body += struct.pack(">HI", key, len(value)) + value
    return struct.pack(">I", len(body)) + body


def parse(buf, numbers):
    """One frame off buf: (kind, [(key, value)], rest) or None."""
    if len(buf) < 6:
        return None
    size, kind = struct.unpack(">IH", buf[:6])
    if len(buf) < size + 4:
        return None
    body, at, fields = buf[6:4 + size], 0, []
    while at < len(body):
        key, n = struct.unpack(">HI", body[at:at + 6])
        raw = body[at + 6:at + 6 + n]
        fields.append((key, struct.unpack(">Q", raw)[0] if key in numbers else raw.decode("latin-1")))
        at += 6 + n
    return kind, fields, buf[4 + size:]


class Control:
    """What paasd is to the router."""

    def __init__(self, run_dir, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.path = os.path.join(run_dir, "router.sock")
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.sock.connect(self.path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.seq = 0
        self.buf = b""
        self.pending = []

    def close(self):
        self.sock.close()

    def next_seq(self):
        self.seq += 1
        return self.seq

    def recv(self, timeout=10):
        deadline = time.monotonic() + timeout
        while True:
            got = parse(self.buf, NUMBERS)
            if got:
                self.buf = got[2]
                return got[0], got[1]
            if not select.select([self.sock], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("no frame from the router")
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the router closed the control connection")
            self.buf += data

    def wait(self, kind, seq=None, timeout=10):
        """The next frame of that kind (and R_SEQ); others are kept for later."""
        for i, (k, fields) in enumerate(self.pending):
            if k == kind and (seq is None or dict(fields).get(R_SEQ) == seq):
                return dict(self.pending.pop(i)[1])
        deadline = time.monotonic() + timeout
        while True:
            k, fields = self.recv(max(0.01, deadline - time.monotonic()))
            if k == kind and (seq is None or dict(fields).get(R_SEQ) == seq):
                return dict(fields)
            self.pending.append((k, fields))

    @staticmethod
    def app_fields(app_id, hosts, dynos, state=SERVING, name=None, pages=()):
        fields = [(R_APP_ID, app_id), (R_APP_NAME, name or app_id), (R_STATE, state), *pages]
        fields += [(R_HOST, h) for h in hosts]
        for i, d in enumerate(dynos):
            dyno_id, port = d if isinstance(d, tuple) else ("dyno-%d" % d, d)
            fields += [(R_DYNO_ID, dyno_id), (R_DYNO_NAME, "web.%d" % (i + 1)),
                       (R_DYNO_IP, "127.0.0.1"), (R_DYNO_PORT, port)]
        return fields

    def send_app(self, *args, **kw):
        seq = self.next_seq()
        self.sock.sendall(frame(APP, (R_SEQ, seq), *self.app_fields(*args, **kw)))
        return seq

    def app(self, *args, **kw):
        self.wait(ACK, self.send_app(*args, **kw))

    def delete(self, app_id):
        seq = self.next_seq()
        self.sock.sendall(frame(DEL, (R_SEQ, seq), (R_APP_ID, app_id)))
        self.wait(ACK, seq)

    def platform(self, hosts, path):
        seq = self.next_seq()
        self.sock.sendall(frame(PLATFORM, (R_SEQ, seq), *[(R_HOST, h) for h in hosts],
                                (R_SOCKET, path)))
        self.wait(ACK, seq)

    def cert(self, pair, hosts=()):
        """pair: (certificate, key) in PEM, or None. No host: the default. It has no answer: STATS
        behind it does."""
        fields = [(R_HOST, h) for h in hosts]
        if pair:
            fields += [(R_CERT, pair[0]), (R_KEY, pair[1])]
        self.sock.sendall(frame(CERT, *fields))
        self.stats()

    def drop_certs(self, *hosts):
        self.sock.sendall(frame(CERT_DROP, *[(R_HOST, h) for h in hosts]))
        self.stats()

    def full(self, apps, platform=None):
        """apps: list of argument dicts of app_fields."""
        out = frame(BEGIN, (R_SEQ, self.next_seq()))
        if platform:
            out += frame(PLATFORM, *[(R_HOST, h) for h in platform[0]], (R_SOCKET, platform[1]))
        for a in apps:
            out += frame(APP, *self.app_fields(**a))
        seq = self.next_seq()
        self.sock.sendall(out + frame(END, (R_SEQ, seq)))
        self.wait(ACK, seq)

    def send_drain(self, dyno_id, ms):
        seq = self.next_seq()
        self.sock.sendall(frame(DRAIN, (R_SEQ, seq), (R_DYNO_ID, dyno_id), (R_TIMEOUT_MS, ms)))
        return seq

    def drain(self, dyno_id, ms, timeout=20):
        return self.wait(DRAINED, self.send_drain(dyno_id, ms), timeout)[R_LEFT]

    def idle_ms(self, app_id):
        """None: no such app."""
        seq = self.next_seq()
        self.sock.sendall(frame(IDLE_ASK, (R_SEQ, seq), (R_APP_ID, app_id)))
        return self.wait(IDLE, seq).get(R_IDLE_MS)

    def stats(self):
        self.sock.sendall(frame(STATS))
        return self.wait(INFO)

    def quit(self, ms):
        seq = self.next_seq()
        self.sock.sendall(frame(QUIT, (R_SEQ, seq), (R_TIMEOUT_MS, ms)))
        self.wait(ACK, seq)


class LogSink:
    """paasd's log socket: keeps (app, source, proc, text) and counts of dropped lines."""

    def __init__(self, run_dir):
        self.path = os.path.join(run_dir, "log.sock")
        self.lines, self.dropped = [], {}
        self.cond = threading.Condition()
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.socks = []
        self.seen = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.socks.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        buf = b""
        while True:
            try:
                data = s.recv(65536)
            except OSError:
                return
            if not data:
                return
            buf += data
            while True:
                got = parse(buf, LOG_NUMBERS)
                if not got:
                    break
                buf = got[2]
                if got[0] == LOG_BATCH:
                    self._batch(s, got[1])

    def _batch(self, s, fields):
        app = source = proc = None
        seq = dict(fields)[K_SEQ]
        with self.cond:
            for key, value in fields:
                if key == K_APP:
                    app = value
                elif key == K_SOURCE:
                    source = value
                elif key == K_PROC:
                    proc = value
                elif key == K_DROPPED:
                    self.dropped[app] = self.dropped.get(app, 0) + value
                elif key == K_TEXT and seq not in self.seen:
                    self.lines.append((app, source, proc, value))
            self.seen.add(seq)
            self.cond.notify_all()
        try:
            s.sendall(frame(LOG_ACK, (K_SEQ, seq)))
        except OSError:
            pass

    def wait(self, want, timeout=5):
        """The first line whose text holds `want` (a string or a predicate)."""
        test = want if callable(want) else lambda text: want in text
        deadline = time.monotonic() + timeout
        with self.cond:
            while True:
                for line in self.lines:
                    if test(line[3]):
                        return line
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no log line with %r; have %r" % (want, self.lines[-5:]))
                self.cond.wait(left)

    def close(self):
        # shutdown wakes the threads that are blocked in accept and recv; close alone does not
        for s in [self.listener] + self.socks:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
