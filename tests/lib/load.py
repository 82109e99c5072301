"""A bounded, steady load of small requests; every answer that is not 200 is kept."""
import http.client
import threading
import time


class Load:
    def __init__(self, port, host, rate=200, threads=8, path='/up', max_seconds=600):
        self.port, self.host, self.path = port, host, path
        self.interval = threads / rate
        self.until = time.monotonic() + max_seconds
        self.sent = 0
        self.failures = []
        self.slowest = 0.0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for t in self.threads:
            t.join(90)

    def one(self, conn):
        start = time.monotonic()
        try:
            conn.request('GET', self.path, headers={'Host': self.host})
            r = conn.getresponse()
            body = r.read()
            bad = None if r.status == 200 else f'{r.status} {body[:200]!r}'
        except (OSError, http.client.HTTPException) as e:
            bad = f'{type(e).__name__}: {e}'
            conn.close()
        took = time.monotonic() - start
        with self.lock:
            self.sent += 1
            self.slowest = max(self.slowest, took)
            if bad:
                self.failures.append((time.strftime('%H:%M:%S'), round(took, 3), bad))

    def work(self, i):
        conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=80)
        due = time.monotonic() + self.interval * i / len(self.threads)
        while not self.stopping.is_set() and time.monotonic() < self.until:
            wait = due - time.monotonic()
            if wait > 0 and self.stopping.wait(wait):
                break
            due += self.interval
            self.one(conn)
            if self.sent % 10 == 0:
                conn.close()  # new connections too, not only kept ones
        conn.close()
