"""What the benchmarks share: rows of the table, medians, a network of their own."""
import ctypes
import dataclasses
import os
import re
import shutil
import socket
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, 'build')
PACKAGES = {'nginx': 'nginx-light', 'haproxy': 'haproxy', 'wrk': 'wrk', 'fcgiwrap': 'fcgiwrap'}
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18


class NotMeasured(Exception):
    """Says what is missing."""


@dataclasses.dataclass
class Row:
    section: str
    what: str
    ours: float = None
    unit: str = ''
    peer: str = ''
    theirs: float = None
    limit: float = None  # on the ratio where there is a peer, else on our value
    more_is_better: bool = False
    note: str = ''

    @property
    def ratio(self):
        return None if self.ours is None or not self.theirs else self.ours / self.theirs

    @property
    def met(self):
        value = self.ratio if self.peer else self.ours
        if self.limit is None or value is None:
            return None
        return value >= self.limit if self.more_is_better else value <= self.limit

    def json(self):
        return {**dataclasses.asdict(self), 'ratio': self.ratio, 'met': self.met}


def number(v):
    if v is None:
        return ''
    return f'{v:,.0f}' if abs(v) >= 1000 else f'{v:.1f}' if abs(v) >= 10 else f'{v:.2f}'


HEAD = ('', 'ours', 'peer', '', 'ratio', 'target')


def cells(r):
    if r.ours is None:
        return (r.what, r.note, '', '', '', '')
    target = '' if r.limit is None else \
        f'{">=" if r.more_is_better else "<="} {number(r.limit)} {"met" if r.met else "MISSED"}'
    return (r.what, f'{number(r.ours)} {r.unit}', r.peer, f'{number(r.theirs)} {r.unit}' if r.theirs else '',
            number(r.ratio), target)


def table(rows):
    """The rows as lines of text; a section's name stands above its rows."""
    all_cells = [cells(r) for r in rows]
    measured = [c for c, r in zip(all_cells, rows) if r.ours is not None] + [HEAD]
    width = [max(len(c[i]) for c in measured) for i in range(len(HEAD))]
    width[0] = max(len(c[0]) for c in all_cells)
    right = (False, True, False, True, True, False)

    def line(c):
        return '  ' + '  '.join(f'{t:>{w}}' if r else f'{t:<{w}}' for t, w, r in zip(c, width, right)).rstrip()

    out, section = [line(HEAD)], None
    for r, c in zip(rows, all_cells):
        if r.section != section:
            section = r.section
            out += ['', section]
        if r.ours is None:
            out.append(f'  {c[0]:<{width[0]}}  {c[1]}')
            continue
        out.append(line(c))
        if r.note:
            out.append(f'      {r.note}')
    return '\n'.join(out)


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise NotMeasured('install ' + ' '.join(PACKAGES.get(p, p) for p in missing) + ' (make deps-bench)')


def need_built(path):
    path = os.path.join(BUILD, path)
    if not os.path.exists(path):
        raise NotMeasured(f'build it: make {os.path.relpath(path, ROOT)}')
    return path


def own_network():
    """Moves this process, and all that it starts, into network and mount namespaces of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise NotMeasured('run it as root: ' + os.strerror(ctypes.get_errno()))
    libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def await_true(what, condition, timeout=30, step=0.003):
    until = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise RuntimeError(f'waited {timeout} s in vain for {what}')
        time.sleep(step)


def get(port, path='/', host='localhost', timeout=5):
    """Body of a GET, b'' when nothing (or an error) is there."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout) as s:
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n'.encode())
            data = b''
            while piece := s.recv(65536):
                data += piece
    except OSError:
        return b''
    head, _, body = data.partition(b'\r\n\r\n')
    return body if b' 200 ' in head.split(b'\r\n')[0] else b''


def end(proc, timeout=10):
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(timeout)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def medians(text):
    """{name: median} of what start_bench prints."""
    return {m[1]: float(m[2]) for m in re.finditer(r'^(\w+) ([\d.]+) ', text, re.M)}


def median(values):
    return statistics.median(values)


def memory_kb(pid):
    """(PSS, written pages): PSS is less the more others map the same libraries, written pages are ours alone."""
    with open(f'/proc/{pid}/smaps_rollup') as f:
        of = {k: int(v) for k, v in re.findall(r'^(\w+):\s+(\d+)', f.read(), re.M)}
    return of['Pss'], of['Private_Dirty']


def children(pid):
    out = []
    for p in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{p}/stat') as f:
                if int(f.read().rsplit(')', 1)[1].split()[1]) == pid:
                    out.append(int(p))
        except OSError:
            pass
    return out


def exe(pid):
    try:
        return os.path.basename(os.readlink(f'/proc/{pid}/exe'))
    except OSError:
        return ''
