"""What drains and webhooks deliver to, in the tests: syslog over TCP and TLS, HTTP and HTTPS. Each
takes apart what it gets by code of its own and notes it."""
import http.server
import os
import re
import socket
import ssl
import subprocess
import threading
import time


class Authority:
    """A certificate authority made by openssl, and a server certificate for localhost and 127.0.0.1."""

    def __init__(self, folder, name='tests'):
        self.dir = str(folder)
        self.ca, self.cert, self.key = (os.path.join(self.dir, f'{name}-{n}.pem') for n in ('ca', 'cert', 'key'))
        cakey, csr, ext = (os.path.join(self.dir, f'{name}-{n}') for n in ('cakey', 'csr', 'ext'))
        with open(ext, 'w') as f:
            f.write('subjectAltName=DNS:localhost,IP:127.0.0.1\n')

        def openssl(*args):
            subprocess.run(['openssl', *args], check=True, capture_output=True)
        new = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
        openssl('req', '-x509', *new, '-days', '2', '-subj', f'/CN={name} CA', '-keyout', cakey, '-out', self.ca)
        openssl('req', *new, '-subj', '/CN=localhost', '-keyout', self.key, '-out', csr)
        openssl('x509', '-req', '-in', csr, '-CA', self.ca, '-CAkey', cakey, '-CAcreateserial', '-days', '2',
                '-extfile', ext, '-out', self.cert)

    def context(self):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.cert, self.key)
        return c


def take_frames(data):
    """Octet-counted frames (RFC 6587, 3.4.1) of the bytes, and what is left over."""
    frames, at = [], 0
    while True:
        blank = data.find(b' ', at, at + 12)
        if blank < 0:
            assert len(data) - at < 12, data[at:at + 40]
            return frames, data[at:]
        n = int(data[at:blank])
        if len(data) < blank + 1 + n:
            return frames, data[at:]
        frames.append(bytes(data[blank + 1:blank + 1 + n]))
        at = blank + 1 + n


class SyslogReceiver:
    """messages: every frame, connection after connection. While gate is shut nothing is read."""

    def __init__(self, tls=None, reads=True, port=0):
        self.tls, self.reads = tls, reads
        self.by_connection = []
        self.connections = 0
        self.conns, self.threads = [], []
        self.gate = threading.Event()
        self.gate.set()
        self.port = port
        self.up()

    def up(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', self.port))
        if not self.reads:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        s.listen(64)
        self.sock, self.port, self.closing = s, s.getsockname()[1], False
        self.start(self.accept, s)

    def start(self, fn, *args):
        t = threading.Thread(target=fn, args=args, daemon=True)
        t.start()
        self.threads.append(t)

    def accept(self, sock):
        while True:
            try:
                c, _ = sock.accept()
            except OSError:
                return
            self.connections += 1
            self.conns.append(c)
            if self.reads:
                self.by_connection.append([])
                self.start(self.read, c, self.by_connection[-1])

    @property
    def messages(self):
        return [m for got in list(self.by_connection) for m in list(got)]

    def read(self, c, got):
        rest = b''
        try:
            if self.tls:
                c = self.tls.wrap_socket(c, server_side=True)
                self.conns.append(c)
            while True:
                self.gate.wait()
                data = c.recv(262144)
                if not data:
                    return
                frames, rest = take_frames(rest + data)
                got += frames
        except OSError:
            return

    def down(self):
        """Goes away as a receiver that restarts does: what had come is read."""
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for c in self.conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()
        for t in self.threads:
            t.join(10)
        self.conns, self.threads = [], []

    close = down

    def texts(self):
        return [message(m)['text'] for m in self.messages]


FORM = re.compile(rb'<(?P<pri>\d+)>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00) (?P<host>\S+) '
                  rb'(?P<app>\S+) (?P<proc>\S+) - (?P<sd>- )?(?P<text>.*)\n', re.DOTALL)


def message(frame):
    m = FORM.fullmatch(frame)
    assert m, frame
    d = {k: v.decode(errors='replace') if v is not None else None for k, v in m.groupdict().items()}
    d['pri'] = int(d['pri'])
    return d


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.at = time.monotonic()


class HttpReceiver:
    """requests: each with path, headers, body. answer(request) -> status, or (status, headers)."""

    def __init__(self, tls=None, answer=None, port=0):
        self.requests = []
        self.answer = answer or (lambda r: 200)
        self.connections = 0
        self.tls, self.port = tls, port
        self.up()

    def up(self):
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True

            def setup(self):
                me.connections += 1
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                r = Request(self.path, self.headers, body)
                me.requests.append(r)
                got = me.answer(r)
                status, headers = got if isinstance(got, tuple) else (got, {})
                self.send_response(status)
                for k, v in {'Content-Length': '0', **headers}.items():
                    self.send_header(k, v)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def get_request(self):
                c, a = super().get_request()
                if me.tls:
                    c = me.tls.wrap_socket(c, server_side=True, do_handshake_on_connect=False)
                return c, a

            def handle_error(self, *args):
                pass

        self.server = Server(('127.0.0.1', self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def good(self):
        """Messages of the requests that were answered well: (request, frames)."""
        return [f for r in list(self.requests) if getattr(r, 'ok', True) for f in take_frames(r.body)[0]]
