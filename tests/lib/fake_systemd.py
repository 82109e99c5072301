"""Stands in for the system bus and for systemd on it, as far as a launcher needs them: the handshake, Hello and
StartTransientUnit, which makes a cgroup and moves the given process there."""
import os
import socket
import struct
import threading

METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)


class Reader:
    """The part of D-Bus's marshalling that comes up, little-endian."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def align(self, n):
        self.at = -(-self.at // n) * n

    def fixed(self, fmt, size):
        self.align(size)
        value, = struct.unpack_from("<" + fmt, self.data, self.at)
        self.at += size
        return value

    def text(self, n):
        value = self.data[self.at:self.at + n].decode()
        self.at += n + 1
        return value

    def read(self, sig):
        """Values of a signature that has no nested structs beside (sv) and (sa(sv))."""
        out = []
        while sig:
            one, sig = first_type(sig)
            out.append(self.one(one))
        return out

    def one(self, sig):
        c = sig[0]
        if c == "y":
            return self.fixed("B", 1)
        if c in "ut":
            return self.fixed("I", 4) if c == "u" else self.fixed("Q", 8)
        if c == "b":
            return bool(self.fixed("I", 4))
        if c in "so":
            return self.text(self.fixed("I", 4))
        if c == "g":
            return self.text(self.fixed("B", 1))
        if c == "v":
            return self.one(self.one("g"))
        if c == "(":
            self.align(8)
            return self.read(sig[1:-1])
        assert c == "a", sig
        n = self.fixed("I", 4)
        self.align(8 if sig[1] in "(t" else 4)
        end, items = self.at + n, []
        while self.at < end:
            items.append(self.one(sig[1:]))
        return items


def first_type(sig):
    n = 0
    while sig[n] == "a":
        n += 1
    depth = 0
    while True:
        depth += {"(": 1, ")": -1}.get(sig[n], 0)
        n += 1
        if depth == 0:
            return sig[:n], sig[n:]


def text(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


def pad(data, n=8):
    return data + b"\0" * (-len(data) % n)


def message(kind, serial, reply_to, body_sig="", body=b"", error=None):
    fields = b""

    def field(code, sig, value):
        return pad(fields) + struct.pack("<BB", code, 1) + sig.encode() + b"\0" + value
    fields = field(REPLY_SERIAL, "u", struct.pack("<I", reply_to))
    fields = field(DESTINATION, "s", text(":1.7"))
    fields = field(SENDER, "s", text("org.freedesktop.DBus"))
    if error:
        fields = field(ERROR_NAME, "s", text(error))
    if body_sig:
        fields = field(SIGNATURE, "g", struct.pack("<B", len(body_sig)) + body_sig.encode() + b"\0")
    head = struct.pack("<cBBBIII", b"l", kind, 1, 1, len(body), serial, len(fields)) + fields
    return pad(head) + body


class FakeSystemd:
    """slice_dir: the cgroup2 folder in which scopes are made."""

    def __init__(self, path, slice_dir):
        self.path, self.slice_dir = path, slice_dir
        self.hellos, self.units, self.refuse = 0, [], None
        self.conns = []
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def close(self):
        """Everybody is hung up on, as when the bus is restarted."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for c, t in self.conns:
            c.shutdown(socket.SHUT_RDWR)
            t.join(10)
            c.close()
        self.conns = []
        os.unlink(self.path)

    def accept(self, listener):
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            t = threading.Thread(target=self.serve, args=(c,), daemon=True)
            self.conns.append((c, t))
            t.start()

    def serve(self, c):
        f = c.makefile("rb")
        try:
            assert f.read(1) == b"\0"
            while True:
                line = f.readline()
                if line.startswith(b"AUTH EXTERNAL"):
                    c.sendall(b"DATA\r\n" if line == b"AUTH EXTERNAL\r\n" else b"OK " + b"0" * 32 + b"\r\n")
                elif line.startswith(b"DATA"):
                    c.sendall(b"OK " + b"0" * 32 + b"\r\n")
                elif line.startswith(b"NEGOTIATE_UNIX_FD"):
                    c.sendall(b"AGREE_UNIX_FD\r\n")
                elif line.startswith(b"BEGIN"):
                    break
                else:
                    return
            while self.one(c, f):
                pass
        except (OSError, struct.error):
            pass

    def one(self, c, f):
        head = f.read(16)
        if len(head) < 16:
            return False
        body_len, serial, fields_len = struct.unpack_from("<III", head, 4)
        rest = f.read(-(-fields_len // 8) * 8)
        fields = dict(self.fields(rest, fields_len))
        body = f.read(body_len)
        if fields[MEMBER] == "Hello":
            self.hellos += 1
            c.sendall(message(METHOD_RETURN, serial, serial, "s", text(":1.7")))
        elif fields[MEMBER] == "StartTransientUnit" and self.refuse:
            c.sendall(message(ERROR, serial, serial, "s", text("no"), error=self.refuse))
        elif fields[MEMBER] == "StartTransientUnit":
            self.start_unit(*Reader(body).read(fields[SIGNATURE]))
            c.sendall(message(METHOD_RETURN, serial, serial, "o", text("/org/freedesktop/systemd1/job/1")))
        return True

    @staticmethod
    def fields(data, n):
        r, out = Reader(data), []
        while r.at < n:
            r.align(8)
            out.append((r.one("y"), r.one("v")))
        return out

    def start_unit(self, name, mode, properties, aux):
        assert mode == "fail" and aux == []
        properties = dict(properties)
        self.units.append((name, properties))
        folder = os.path.join(self.slice_dir, name)
        os.makedirs(folder)
        for pid in properties["PIDs"]:
            with open(folder + "/cgroup.procs", "w") as f:
                f.write(str(pid))
