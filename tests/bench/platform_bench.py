"""What a whole paasd takes: from push to serving, logs, the API, memory."""
import datetime
import os
import re
import subprocess
import sys
import time

from benchlib import ROOT, Row, await_true, children, end, exe, free_port, get, median, memory_kb, need

sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
from platform_under_test import Platform  # noqa: E402

APP = 'bench'
GIT = ['git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com']
LINE = 'x' * 89  # with its number and the newline: 100 bytes


class Deployed:
    """A paasd with the procfile app on it, and that app's repository."""

    def __init__(self):
        self.p = Platform(ROOT)
        try:
            self.p.start()
            self.folder = self.p.make_app('procfile', os.path.join(self.p.dir, 'app'))
            self.p.login()
            self.fresh = platform_memory(self.p.proc.pid)
            self.p.create(APP, self.folder)
            self.p.push(self.folder)
            self.serving(self.p.git('rev-parse', 'HEAD', cwd=self.folder).stdout.strip())
        except BaseException:
            self.p.close()
            raise

    def serving(self, commit):
        await_true('the new release', lambda: commit.encode() in get(self.p.port, '/', f'{APP}.localhost'))

    def close(self):
        self.p.close()


def platform_memory(paasd):
    """{process: (PSS, written) in KB}."""
    names = {'paasd': memory_kb(paasd)}
    for pid in children(paasd):
        if exe(pid) in ('paas-router', 'paas-launcher'):
            names[exe(pid)] = memory_kb(pid)
    return names


def dyno_memory(paasd):
    """(PSS, written) in KB of shim and init of the one dyno that runs; the app's own processes are not ours."""
    shims = [s for launcher in children(paasd) for s in children(launcher) if exe(s) == 'paas-shim']
    inits = [i for s in shims for i in children(s) if exe(i) == 'paas-shim']
    if len(shims) != 1 or len(inits) != 1:
        raise RuntimeError(f'one dyno was expected: shims {shims}, inits {inits}')
    return memory_kb(shims[0]), memory_kb(inits[0])


# --- push to serving ---------------------------------------------------------------------------

def next_commit(folder, n):
    with open(os.path.join(folder, 'count'), 'w') as f:
        f.write(f'{n}\n')
    subprocess.run([*GIT, 'add', '-A'], cwd=folder, check=True)
    subprocess.run([*GIT, 'commit', '-q', '-m', f'commit {n}'], cwd=folder, check=True)
    return subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=folder, check=True, capture_output=True,
                          text=True).stdout.strip()


def push_ours(d, n):
    """(seconds until the new code answers, seconds that git push takes)."""
    commit = next_commit(d.folder, n)
    start = time.monotonic()
    push = subprocess.Popen(['git', 'push', '-q', 'paasd', 'main'], cwd=d.folder, env=d.p.env(),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        d.serving(commit)
        served = time.monotonic() - start
        if push.wait(60) != 0:
            raise RuntimeError('the push failed\n' + d.p.tail_log())
        return served, time.monotonic() - start
    finally:
        end(push)


def push_by_hand(d, bare, n):
    """The same commit to a bare repository, checked out, the process started. Seconds, in the same two parts."""
    work, port = f'{bare}.work{n}', free_port()
    os.mkdir(work)
    env = {**d.p.env(), 'PORT': str(port)}
    start = time.monotonic()
    subprocess.run(['git', 'push', '-q', bare, 'main'], cwd=d.folder, env=env, check=True)
    pushed = time.monotonic() - start
    subprocess.run(['git', f'--git-dir={bare}', f'--work-tree={work}', 'checkout', '-q', '-f', 'main'], env=env, check=True)
    app = subprocess.Popen([os.path.join(work, 'bin', 'server')], cwd=work, env=env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    try:
        await_true('the process', lambda: get(port))
        return time.monotonic() - start, pushed
    finally:
        end(app)


def bench_push(d, pushes=8):
    bare = os.path.join(d.p.dir, 'bare.git')
    subprocess.run(['git', 'init', '-q', '--bare', '-b', 'main', bare], check=True)
    ours, hand = [], []
    for n in range(pushes):
        ours.append(push_ours(d, n))
        hand.append(push_by_hand(d, bare, n))
    served, pushed = (median([1000 * t[i] for t in ours]) for i in (0, 1))
    by_hand, bare_push = (median([1000 * t[i] for t in hand]) for i in (0, 1))
    s = 'push to serving (procfile app, release command included)'
    return [Row(s, 'until the new code answers', served, 'ms', 'git push to a bare repository + start by hand', by_hand),
            Row(s, 'until git push returns', pushed, 'ms', 'git push to a bare repository', bare_push)]


# --- promotion against a push of the same commit ------------------------------------------------

def server_by_hand(d, folder):
    """ms until the app's own server, started by hand, answers."""
    port = free_port()
    start = time.monotonic()
    app = subprocess.Popen([os.path.join(folder, 'bin', 'server')], cwd=folder, env={**d.p.env(), 'PORT': str(port)},
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_true('the process', lambda: get(port))
        return 1000 * (time.monotonic() - start)
    finally:
        end(app)


def answers_as(d, app, version):
    await_true('the new release', lambda: f'HEROKU_RELEASE_VERSION=v{version}\n'.encode() in get(d.p.port, '/', f'{app}.localhost'))


def next_version(d, app):
    return 1 + max(r['version'] for r in d.p.api('GET', f'/apps/{app}/releases')[1])


def promote_once(d, source, target):
    version = next_version(d, target)
    body = {'pipeline': 'bench-line', 'source': {'app': source}, 'targets': [{'app': target}]}
    start = time.monotonic()
    status, made, _ = d.p.api('POST', '/pipeline-promotions', body)
    if status != 201:
        raise RuntimeError(f'not promoted: {made}')
    recorded = 1000 * (time.monotonic() - start)
    answers_as(d, target, version)
    return 1000 * (time.monotonic() - start), recorded


def push_once(d, folder, app):
    version = next_version(d, app)
    start = time.monotonic()
    push = subprocess.Popen(['git', 'push', '-q', app, 'main'], cwd=folder, env=d.p.env(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answers_as(d, app, version)
        took = 1000 * (time.monotonic() - start)
        if push.wait(60) != 0:
            raise RuntimeError('the push failed\n' + d.p.tail_log())
        return took
    finally:
        end(push)


def bench_promote(d, rounds=8):
    """The app has no release command. What its own server takes to start is taken off: medians of all three, in turns."""
    folder = d.p.make_app('procfile', os.path.join(d.p.dir, 'promoted'))
    d.p.api('POST', '/pipelines', {'name': 'bench-line'})
    for app, stage in (('promo-staging', 'staging'), ('promo', 'production'), ('promo-pushed', 'production')):
        d.p.create(app, folder, app)
        d.p.api('POST', '/pipeline-couplings', {'app': app, 'pipeline': 'bench-line', 'stage': stage})
    promoted, recorded, pushed, by_hand = [], [], [], []
    for n in range(rounds):
        with open(os.path.join(folder, 'Procfile'), 'w') as f:
            f.write(f'web: bin/server\n# {n}\n')
        next_commit(folder, n)
        d.p.push(folder, 'promo-staging')
        pushed.append(push_once(d, folder, 'promo-pushed'))
        took, made = promote_once(d, 'promo-staging', 'promo')
        promoted.append(took)
        recorded.append(made)
        by_hand.append(server_by_hand(d, folder))
    own = median(by_hand)
    for app in ('promo-staging', 'promo', 'promo-pushed'):
        d.p.api('DELETE', f'/apps/{app}')
    d.p.api('DELETE', '/pipelines/bench-line')
    s = f'promotion until the new release answers, less the {own:.0f} ms that the server takes to start'
    return [Row(s, 'overhead', median(promoted) - own, 'ms', 'git push of the same commit', median(pushed) - own, limit=0.5),
            Row(s, 'until it is recorded', median(recorded), 'ms')]


# --- logs ----------------------------------------------------------------------------------------

def newest(d, lines=1):
    """[(number in the stream, text)] of the newest lines of the app's log."""
    _, session, _ = d.p.api('POST', f'/apps/{APP}/log-sessions', {'lines': lines})
    path = '/' + session['logplex_url'].split('/', 3)[3]
    _, text, _ = d.p.api('GET', path, headers={'Accept': 'text/event-stream'}, raw=True)
    return [(int(m[1]), m[2]) for m in re.finditer(r'^id: (\d+)\ndata: (.*)$', text.decode(), re.M)]


def writer(lines):
    return f'seq -f "%09.0f {LINE}" 1 {lines}; echo all-written'


def flood(d, lines):
    """A one-off dyno writes lines. (seconds until the last is in the history, numbers given meanwhile)"""
    before = newest(d)[-1][0]
    start = time.monotonic()
    d.p.api('POST', f'/apps/{APP}/dynos', {'command': writer(lines), 'attach': False})

    def last():
        return [i for i, t in newest(d, 5) if i > before and t.endswith(']: all-written')]

    number = await_true('the last line', last, timeout=60)[0]
    took = time.monotonic() - start
    await_true('the end of the dyno', lambda: len(d.p.api('GET', f'/apps/{APP}/dynos')[1]) == 1)
    return took, number - before


def bench_logs(d):
    """A run of one line tells what the dyno's start, the question and the platform's own lines take."""
    rows = []
    for lines, rounds in ((20000, 5), (200000, 3)):
        rates, lost, floor = [], [], []
        for _ in range(rounds):
            idle, frame = flood(d, 1)
            took, numbers = flood(d, lines)
            lost.append(max(0, lines - 1 - (numbers - frame)))
            rates.append((lines - lost[-1]) / max(took - idle, 0.001))
            start = time.monotonic()
            with open(os.path.join(d.p.dir, 'lines'), 'w') as f:
                subprocess.run(['/bin/sh', '-c', writer(lines)], stdout=f, check=True)
            floor.append(lines / (time.monotonic() - start))
        rows.append(Row('logs, lines of 100 bytes written at full speed by one dyno',
                        f'{lines:,} lines until the last is in the history', median(rates), 'lines/s',
                        'the same lines to a file', median(floor), more_is_better=True,
                        note=f'lost, because the shim keeps a bounded number: {100 * median(lost) / lines:.1f} %'))
    return rows


# --- memory --------------------------------------------------------------------------------------

def bench_memory(d):
    s = 'memory when idle: PSS'
    used = platform_memory(d.p.proc.pid)
    dyno = dyno_memory(d.p.proc.pid)

    def row(what, parts, limit=None):
        pss, written = (sum(p[i] for p in parts) / 1024 for i in (0, 1))
        return Row(s, what, pss, 'MB', limit=limit, note=f'of that written {written:.2f} MB')

    return [row('paasd + router + launcher, just started', d.fresh.values(), 20),
            row('paasd + router + launcher, after pushes and logs', used.values(), 20),
            row('paasd', [used['paasd']]), row('paas-router', [used['paas-router']], 5.5),
            row('paas-launcher', [used['paas-launcher']]), row('shim + init of a dyno', dyno)]


# --- the API -------------------------------------------------------------------------------------

MANY = 10000
ASK_FOR_ANY = """
math.randomseed(1)
request = function()
    return wrk.format("GET", string.format("PATH", math.random(0, COUNT - 1)))
end
"""


def wrk(folder, port, path, seconds, headers=()):
    """(p50, p99) in ms of one connection that asks at once for another of MANY things; path: of the i-th, as %05d."""
    script = os.path.join(folder, 'ask.lua')
    with open(script, 'w') as f:
        f.write(ASK_FOR_ANY.replace('PATH', path).replace('COUNT', str(MANY)))
    out = subprocess.run(['wrk', '-t1', '-c1', f'-d{seconds}s', '--latency', '-s', script,
                          *[a for h in headers for a in ('-H', h)], f'http://127.0.0.1:{port}'],
                         capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    if 'Non-2xx' in out or 'Socket errors' in out:
        raise RuntimeError(out)
    to_ms = {'us': 1e-3, 'ms': 1, 's': 1e3}
    found = dict(re.findall(r'(50|99)%\s+([\d.]+\w+)', out))
    return [float(re.match(r'[\d.]+', found[k])[0]) * to_ms[re.search(r'[a-z]+', found[k])[0]] for k in ('50', '99')]


def bench_api(d, seconds=2, rounds=3):
    """One of ten thousand apps, against a static file of as many."""
    need('nginx', 'wrk')
    import router_bench
    from many_apps import multiply
    p = Platform(ROOT)
    nginx = None
    try:
        p.start()
        p.api('POST', '/apps', {'name': 'many-first'})
        multiply(p, 'many-first', MANY, lambda i: f'many-{i:05d}')
        _, body, _ = p.api('GET', '/apps/many-00000', raw=True)
        web, port = os.path.join(p.dir, 'web'), free_port()
        os.makedirs(web)
        for i in range(MANY):
            with open(os.path.join(web, f'many-{i:05d}'), 'wb') as f:
                f.write(body)
        nginx = subprocess.Popen(router_bench.nginx(p.dir, 'static', f'access_log off; server {{ listen 127.0.0.1:{port}; root {web}; }}'))
        headers = ['Host: localhost', f'Authorization: Bearer {p.token}', 'Accept: application/vnd.heroku+json; version=3']
        await_true('nginx', lambda: get(port, '/many-00000'))
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(wrk(p.dir, p.port, '/apps/many-%05d', seconds, headers))
            theirs.append(wrk(p.dir, port, '/many-%05d', seconds))
    finally:
        if nginx:
            end(nginx)
        p.close()
    return [Row('API, 10,000 apps', f'GET /apps/:app through the router, {q}', median([t[i] for t in ours]), 'ms',
                f'static file of nginx ({len(body)} bytes)', median([t[i] for t in theirs])) for i, q in enumerate(('p50', 'p99'))]


# --- apps that sleep -----------------------------------------------------------------------------

SLEEPERS = 40


def in_dynos(paasd):
    """All processes below the launcher: shims, inits, apps."""
    def below(pid):
        return [p for c in children(pid) for p in [c, *below(c)]]

    return [p for launcher in children(paasd) if exe(launcher) == 'paas-launcher' for p in below(launcher)]


def boot_ms(d, name):
    """From "starting" to "up" of the newest web dyno, as the app's log has them."""
    def last_up():
        lines = re.findall(r'^(\S+) heroku\[web\.1\]: State changed from \w+ to (starting|up|down)$', d.p.logs(name), re.M)
        return lines[-2:] if [to for _, to in lines[-2:]] == ['starting', 'up'] else None

    begin, up = (datetime.datetime.fromisoformat(t) for t, _ in await_true('the line that says up', last_up, step=0.05))
    return 1000 * (up - begin).total_seconds()


def asleep(d, name):
    await_true(f'{name} to sleep', lambda: {x['state'] for x in d.p.api('GET', f'/apps/{name}/dynos')[1]} == {'idle'})


def wake(d, name):
    """(until the answer, the web dyno's boot) in ms, of a request to an app that sleeps."""
    asleep(d, name)
    start = time.monotonic()
    if not get(d.p.port, '/up', f'{name}.localhost', timeout=30):
        raise RuntimeError('the request that wakes had no answer')
    return 1000 * (time.monotonic() - start), boot_ms(d, name)


def bench_sleep(d, rounds=10):
    """What a request that wakes takes, and what many apps take that sleep."""
    alone, names = in_dynos(d.p.proc.pid), [f'sleeper-{i:02d}' for i in range(SLEEPERS)]
    for name in names:
        d.p.create(name, d.folder, remote=name)
        d.p.push(d.folder, remote=name, spec='HEAD:refs/heads/main')
        d.p.api('PATCH', f'/apps/{name}/sleep', {'after': 1})
    for name in names:
        asleep(d, name)
    await_true('the last process to end', lambda: len(in_dynos(d.p.proc.pid)) <= len(alone))
    left = [p for p in in_dynos(d.p.proc.pid) if p not in alone]
    pss = sum(memory_kb(p)[0] for p in left)
    took = [wake(d, names[0]) for _ in range(rounds)]
    more = [answer - boot for answer, boot in took]
    s = 'apps that sleep'
    return [Row(s, 'the request that wakes one, until its answer', median([t[0] for t in took]), 'ms', 'boot of the web dyno',
                median([t[1] for t in took])),
            Row(s, 'the same, beyond the boot', median(more), 'ms', limit=50, note=f'at most {max(more):.1f} ms'),
            Row(s, f'processes of {SLEEPERS} that sleep', len(left), '', limit=0),
            Row(s, f'memory of {SLEEPERS} that sleep: PSS of their processes', pss / 1024, 'MB', limit=0.5)]


BENCHES = {'push': bench_push, 'promote': bench_promote, 'api': bench_api, 'logs': bench_logs, 'memory': bench_memory,
           'sleep': bench_sleep}
