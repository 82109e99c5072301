#!/usr/bin/python3
"""paas-router against nginx and haproxy: same upstream, same client, same run, one worker each.

Prints CPU per request (user + system of all processes of the proxy, from /proc/PID/stat), requests
a second, and the ratios to the better of the two peers. Rounds are interleaved, medians printed.
The proxies run on one core, client and upstream on the other where there are two.

  router_bench.py [--seconds 4] [--rounds 3] [--connections 64] [--router PATH]

What each does for a request: ours adds its fields and ships a log line to a sink that acknowledges;
nginx adds the same fields and writes a buffered access log; haproxy adds them and does not log.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import routewire as rw  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = CORES[-1], CORES[0]


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def cpu_s(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def family(pid):
    """pid and its descendants."""
    out = [pid]
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open("/proc/%s/stat" % p) as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                        out += family(int(p))
            except OSError:
                pass
    return out


def pss_kb(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
    return total


class Sink(threading.Thread):
    """Takes log batches without looking into them."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.bytes = 0
        self.start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        f = s.makefile("rb")
        while True:
            head = f.read(4)
            if len(head) < 4:
                return
            body = f.read(struct.unpack(">I", head)[0])
            self.bytes += len(body)
            seq = struct.unpack(">Q", body[8:16])[0]  # K_SEQ comes first
            s.sendall(rw.frame(rw.LOG_ACK, (rw.K_SEQ, seq)))


def nginx(tmp, name, http):
    conf = write(os.path.join(tmp, name + ".conf"), """
%s
worker_processes 1; daemon off; pid %s/%s.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u;
  scgi_temp_path %s/s;
  keepalive_requests 100000000; sendfile on; tcp_nodelay on;
  %s
}""" % ("user root;" if os.geteuid() == 0 else "", tmp, name, tmp, tmp, tmp, tmp, tmp, http))
    return ["nginx", "-p", tmp, "-e", "stderr", "-c", conf]


def start_upstream(tmp):
    port = free_port()
    web = os.path.join(tmp, "web")
    os.mkdir(web)
    with open(os.path.join(web, "large"), "wb") as f:
        f.write(b"x" * 102400)
    argv = nginx(tmp, "upstream", """
  access_log off;
  server { listen 127.0.0.1:%d backlog=4096; root %s; open_file_cache max=10;
    location = /small { default_type text/plain; return 200 "hello world\\n"; } }""" % (port, web))
    p = subprocess.Popen(argv, preexec_fn=pinned(OTHER_CORE))
    wait_port(port)
    return p, port


def certificate(tmp):
    """The same for all: ECDSA P-256."""
    crt, key = os.path.join(tmp, "tls.crt"), os.path.join(tmp, "tls.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", key, "-out", crt, "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)
    return crt, key


# Each start_* returns the process, its port for HTTP, and its port for TLS.

def start_router(tmp, args, upstream):
    run, port = os.path.join(tmp, "run"), free_port()
    os.mkdir(run)
    Sink(os.path.join(run, "log.sock"))
    p = subprocess.Popen([args.router, "--run", run, "--listen", "127.0.0.1:%d" % port, "--workers",
                          "1", "--log-level", "error"], preexec_fn=pinned(PROXY_CORE))
    ctl = rw.Control(run)
    ctl.app("web", ["web.localhost"], [("d1", upstream)])
    ctl.cert([open(f).read() for f in args.pair])
    return p, port, port


def start_nginx(tmp, args, upstream):
    port, tls = free_port(), free_port()
    argv = nginx(tmp, "proxy", """
  log_format l '$time_iso8601 $request_method "$request_uri" $host $request_id $remote_addr $upstream_connect_time $request_time $status $body_bytes_sent';
  access_log %s/access.log l buffer=32k flush=1s;
  upstream app { server 127.0.0.1:%d; keepalive 128; keepalive_requests 100000000; }
  server { listen 127.0.0.1:%d backlog=4096; listen 127.0.0.1:%d ssl backlog=4096;
    ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3; ssl_buffer_size 16k;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id; proxy_set_header X-Request-Start $msec;
      proxy_set_header Via "1.1 nginx";
      proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 4 64k;
      proxy_busy_buffers_size 64k; } }""" % (tmp, upstream, port, tls, *args.pair))
    p = subprocess.Popen(argv, preexec_fn=pinned(PROXY_CORE))
    wait_port(port)
    return p, port, tls


def start_haproxy(tmp, args, upstream):
    port, tls = free_port(), free_port()
    pem = write(os.path.join(tmp, "haproxy.pem"), "".join(open(f).read() for f in args.pair))
    conf = write(os.path.join(tmp, "haproxy.cfg"), """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 30s
  http-reuse always
  option forwardfor
  unique-id-format %%[uuid()]
frontend f
  bind 127.0.0.1:%d backlog 4096
  bind 127.0.0.1:%d backlog 4096 ssl crt %s ssl-min-ver TLSv1.2 alpn http/1.1
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Request-Start %%[date(0,ms)]
  http-request set-header Via "1.1 haproxy"
  default_backend b
backend b
  server s 127.0.0.1:%d
""" % (port, tls, pem, upstream))
    p = subprocess.Popen(["haproxy", "-db", "-f", conf], preexec_fn=pinned(PROXY_CORE),
                         stderr=subprocess.DEVNULL)
    wait_port(port)
    return p, port, tls


def wrk(port, path, args, scheme):
    out = subprocess.run(["wrk", "-t1", "-c%d" % args.connections, "-d%ds" % args.seconds,
                          "-H", "Host: web.localhost", "%s://127.0.0.1:%d%s" % (scheme, port, path)],
                         capture_output=True, text=True, preexec_fn=pinned(OTHER_CORE),
                         timeout=args.seconds + 30, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    n, sec = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
    return int(n), float(sec)


PROXIES = {"paas-router": start_router, "nginx": start_nginx, "haproxy": start_haproxy}


def end(procs):
    for p in procs:
        p.send_signal(signal.SIGTERM)
    for p in procs:
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def rounds(proxies, path, args, scheme="http"):
    """{proxy: {cpu_us, rps: median, ..._span: (least, most)}} of interleaved rounds."""
    cpu, rps = {n: [] for n in proxies}, {n: [] for n in proxies}
    for _ in range(args.rounds):
        for name, (pids, *ports) in proxies.items():
            before = cpu_s(pids)
            n, sec = wrk(ports[scheme == "https"], path, args, scheme)
            cpu[name].append((cpu_s(pids) - before) / n * 1e6)
            rps[name].append(n / sec)
    return {n: {"cpu_us": statistics.median(cpu[n]), "cpu_span": (min(cpu[n]), max(cpu[n])),
                "rps": statistics.median(rps[n]), "rps_span": (min(rps[n]), max(rps[n]))}
            for n in proxies}


def compare(args, note=lambda text: None):
    """Yields (what, what rounds() returns) for each size of answer: small, large, and over TLS."""
    tmp = tempfile.mkdtemp(prefix="router-bench-")
    procs = []
    try:
        up, upstream = start_upstream(tmp)
        procs.append(up)
        args.pair = certificate(tmp)
        proxies = {}
        for name, start in PROXIES.items():
            p, *ports = start(tmp, args, upstream)
            procs.append(p)
            time.sleep(0.2)  # workers are forked after the listener is there
            proxies[name] = (family(p.pid), *ports)
            note("%-12s idle PSS %6d KB" % (name, pss_kb(proxies[name][0])))
        for path in ("small", "large"):
            yield path, rounds(proxies, "/" + path, args)
        for path in ("small", "large"):
            yield "tls " + path, rounds(proxies, "/" + path, args, "https")
        for name, (pids, *_) in proxies.items():
            note("%-12s PSS after it all %6d KB" % (name, pss_kb(pids)))
    finally:
        end(procs)
        shutil.rmtree(tmp, ignore_errors=True)


def arguments(argv=None):
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--seconds", type=int, default=4)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--connections", type=int, default=64)
    ap.add_argument("--router", default=os.path.join(ROOT, "build", "paas-router"))
    return ap.parse_args(argv)


def main():
    args = arguments()
    for tool in ("wrk", "nginx", "haproxy"):
        if not shutil.which(tool):
            sys.exit("router_bench: %s is not installed" % tool)
    for path, got in compare(args, print):
        print("\n%s, %d connections, %d x %d s, medians (least..most)" %
              (path, args.connections, args.rounds, args.seconds))
        for n, r in got.items():
            print("  %-12s %6.2f us CPU/request (%.2f..%.2f)   %7.0f requests/s (%.0f..%.0f)" %
                  (n, r["cpu_us"], *r["cpu_span"], r["rps"], *r["rps_span"]))
        ours, peers = got["paas-router"], [got["nginx"], got["haproxy"]]
        print("  ratio to the better peer: CPU %.2f, requests/s %.2f" %
              (ours["cpu_us"] / min(p["cpu_us"] for p in peers), ours["rps"] / max(p["rps"] for p in peers)))


if __name__ == "__main__":
    main()
