"""Log drains, with receivers that are real: syslog over TCP and TLS, POSTs; that fail, that are slow, that never
read; and a paasd that is restarted and killed meanwhile."""
import base64
import os
import re
import time

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for
from receivers import Authority, HttpReceiver, SyslogReceiver, message, take_frames

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP = 'drained'
# One-off dynos that write numbered lines, some 50,000 a second: faster ones are cut off before the log (L12).
SAY = ('python3 -uc "import time; [(print(chr(10).join(%r + str(i) for i in range(k, min(k + 500, %d)))), time.sleep(.01))'
       ' for k in range(0, %d, 500)]"')


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


@pytest.fixture(scope='module')
def paas(authority, tmp_path_factory):
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8', '--set', f'outgoing.ca_file={authority.ca}')
    try:
        p.start()
        p.login()
        c = Client(p, p.token)
        folder = tmp_path_factory.mktemp('app')
        c('POST', '/apps', {'name': APP}, want=201)
        c('PUT', f'/apps/{APP}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
        p.git('init', '-q', '-b', 'main', cwd=folder)
        p.commit(folder, Procfile='web: exec python3 -m http.server $PORT\nidle: sleep 1000\n')
        p.git('push', '-q', f'{p.url}/{APP}.git', 'main', cwd=folder)
        c.close()
        yield p
    finally:
        p.close()


@pytest.fixture
def c(paas):
    client = Client(paas, paas.token)
    yield client
    for d in client('GET', f'/apps/{APP}/log-drains', want=200).json:
        client('DELETE', f'/apps/{APP}/log-drains/{d["id"]}', want=200)
    client.close()


def add(c, url):
    return c('POST', f'/apps/{APP}/log-drains', {'url': url}, want=201).json


def say(c, word, n):
    """n lines 'word0', 'word1' ... of a one-off dyno, soon."""
    return c('POST', f'/apps/{APP}/dynos', {'command': SAY % (word, n, n)}, want=201).json['name']


def numbers(texts, word):
    return [int(t[len(word):]) for t in texts if re.fullmatch(word + r'\d+', t)]


def all_of(texts, word, n):
    return len(set(numbers(texts, word))) == n


def in_order(texts, word, n):
    """Each once, in order."""
    assert numbers(texts, word) == list(range(n))


def once_at_least(texts, word, n):
    """In order but for what was sent again."""
    seen, top = set(), -1
    for i in numbers(texts, word):
        assert i <= top + 1, (i, top)
        top = max(top, i)
        seen.add(i)
    assert seen == set(range(n))


def test_syslog_frames(paas, c):
    r = SyslogReceiver()
    d = add(c, f'syslog://127.0.0.1:{r.port}')
    name = say(c, 'hello', 3)
    wait_for('a request', lambda: paas.http(APP)[0] == 200)
    wait_for('the lines', lambda: all_of(r.texts(), 'hello', 3) and any('status=200' in t for t in r.texts()))
    in_order(r.texts(), 'hello', 3)
    got = [message(f) for f in r.messages]
    assert all(m['host'] == d['token'] and m['sd'] == '- ' for m in got)
    mine = [m for m in got if m['text'].startswith('hello')]
    assert {(m['app'], m['proc'], m['pri']) for m in mine} == {('app', name, 190)}
    assert {(m['app'], m['proc'], m['pri']) for m in got if 'status=200' in m['text']} == {('heroku', 'router', 158)}
    assert any((m['app'], m['pri']) == ('heroku', 134) for m in got)  # states of the dyno
    # what was logged before the drain came is not for it
    assert not any('Initial release' in m['text'] for m in got)
    r.close()


def test_tls(paas, c, authority, tmp_path):
    r = SyslogReceiver(tls=authority.context())
    add(c, f'syslog+tls://localhost:{r.port}')
    say(c, 'sealed', 2000)
    wait_for('the lines', lambda: all_of(r.texts(), 'sealed', 2000))
    in_order(r.texts(), 'sealed', 2000)
    r.close()


def test_a_certificate_that_nobody_vouches_for(paas, c, tmp_path):
    r = SyslogReceiver(tls=Authority(tmp_path, 'stranger').context())
    h = HttpReceiver(tls=Authority(tmp_path, 'other').context())
    add(c, f'syslog+tls://127.0.0.1:{r.port}')
    add(c, f'https://me:hunter2@127.0.0.1:{h.port}/x')
    say(c, 'secret', 5)
    wait_for('L14', lambda: paas.logs(APP).count('Error L14 (certificate validation)') == 2)
    assert not r.messages and not h.requests and r.connections > 0
    assert 'hunter2' not in paas.logs(APP) + paas.tail_log(100000)
    r.close()
    h.close()


@pytest.mark.parametrize('secure', [False, True], ids=['http', 'https'])
def test_posts(paas, c, authority, secure):
    h = HttpReceiver(tls=authority.context() if secure else None)
    d = add(c, f'http{"s" if secure else ""}://me:p%40ss@localhost:{h.port}/in/x?key=1')
    say(c, 'post', 5000)
    wait_for('the lines', lambda: all_of([message(f)['text'] for f in h.good()], 'post', 5000))
    in_order([message(f)['text'] for f in h.good()], 'post', 5000)
    for q in h.requests:
        frames, rest = take_frames(q.body)
        assert not rest and int(q.headers['Logplex-Msg-Count']) == len(frames)
        assert q.headers['Content-Type'] == 'application/logplex-1' and q.path == '/in/x?key=1'
        assert q.headers['Logplex-Drain-Token'] == d['token'] and q.headers['User-Agent'].startswith('Logplex/')
        assert q.headers['Authorization'] == 'Basic ' + base64.b64encode(b'me:p@ss').decode()
        assert len(q.body) < 130000
        assert all(message(f)['host'] == 'host' and message(f)['sd'] is None for f in frames)
    assert len({q.headers['Logplex-Frame-Id'] for q in h.requests}) == len(h.requests)
    assert h.connections == 1
    h.close()


def test_posts_that_fail_come_again_as_they_were(paas, c):
    fails = [500, 503, 429, 302]

    def answer(r):
        r.ok = not fails
        return (fails.pop(0), {'Location': '/elsewhere'}) if fails else 200
    h = HttpReceiver(answer=answer)
    add(c, f'http://127.0.0.1:{h.port}/')
    say(c, 'again', 100)
    wait_for('the lines', lambda: all_of([message(f)['text'] for f in h.good()], 'again', 100), 60)
    in_order([message(f)['text'] for f in h.good()], 'again', 100)
    first = h.requests[:4]
    assert len({q.headers['Logplex-Frame-Id'] for q in first}) == 1 and len({q.body for q in first}) == 1
    assert all(q.path == '/' for q in h.requests)  # redirects are not followed
    assert first[3].at - first[0].at > 0.5
    h.close()


def test_a_batch_that_the_receiver_will_not_have(paas, c):
    bad = []

    def answer(r):
        r.ok = b'poison' not in r.body
        bad.append(r) if not r.ok else None
        return 200 if r.ok else 400
    h = HttpReceiver(answer=answer)
    add(c, f'http://127.0.0.1:{h.port}/')
    say(c, 'poison', 20)

    def tried(word, n):
        frames = [f for r in list(bad) for f in take_frames(r.body)[0]]
        return all(sum(f.endswith(b'- %s%d\n' % (word, i)) for f in frames) == 3 for i in range(n))
    wait_for('refusals', lambda: tried(b'poison', 20), 60)
    say(c, 'fine', 20)
    wait_for('what follows', lambda: all_of([message(f)['text'] for f in h.good()], 'fine', 20), 60)
    texts = [message(f)['text'] for f in h.good()]
    lost = sum(int(m[1]) for m in (re.match(r'Error L10 \(output buffer overflow\): (\d+) messages dropped since ', t)
                                   for t in texts) if m)
    refused = {f for r in bad for f in take_frames(r.body)[0] if b'L10' not in f}
    assert lost == len(refused) >= 20
    h.close()


@pytest.mark.parametrize('kind', ['tcp', 'tls', 'http'])
def test_a_receiver_that_restarts_misses_nothing(paas, c, authority, kind):
    if kind == 'http':
        r = HttpReceiver()
        texts = lambda: [message(f)['text'] for f in r.good()]  # noqa: E731
        add(c, f'http://127.0.0.1:{r.port}/')
    else:
        r = SyslogReceiver(tls=authority.context() if kind == 'tls' else None)
        texts = r.texts
        add(c, f'{"syslog+tls" if kind == "tls" else "syslog"}://127.0.0.1:{r.port}')
    say(c, 'before', 500)
    wait_for('the first', lambda: all_of(texts(), 'before', 500))
    r.close()
    say(c, 'during', 3000)
    wait_for('them in the log', lambda: 'during2999' in paas.logs(APP, 50))
    r.up()
    say(c, 'after', 500)
    for word, n in (('before', 500), ('during', 3000), ('after', 500)):
        wait_for(word, lambda: all_of(texts(), word, n), 60)
        in_order(texts(), word, n)
    assert not any('L10' in t for t in texts())
    r.close()


def test_100k_lines_through_a_restart_and_a_kill(paas, c, authority):
    # The receivers are slow, so that what they have not read is still to come when paasd dies: what dynos write
    # while it is dead has a place of its own, which is small.
    r = SyslogReceiver()
    h = HttpReceiver(answer=lambda q: r.gate.wait() and 200)
    add(c, f'syslog://127.0.0.1:{r.port}')
    add(c, f'http://127.0.0.1:{h.port}/')
    posts = lambda: [message(f)['text'] for f in h.good()]  # noqa: E731
    say(c, 'first', 1)
    wait_for('the first', lambda: 'first0' in r.texts() and 'first0' in posts())
    r.gate.clear()
    say(c, 'long', 100000)
    wait_for('them in the log', lambda: 'long99999' in paas.logs(APP, 20), 60)
    paas.kill9()
    paas.start('--keep-dynos')
    r.gate.set()
    wait_for('all by syslog', lambda: all_of(r.texts(), 'long', 100000), 120, step=0.5)
    once_at_least(r.texts(), 'long', 100000)
    r.gate.clear()
    say(c, 'more', 20000)
    wait_for('them in the log', lambda: 'more19999' in paas.logs(APP, 20), 60)
    paas.stop()
    r.gate.set()
    paas.start()
    for texts in (r.texts, posts):
        wait_for('all', lambda: all_of(texts(), 'long', 100000) and all_of(texts(), 'more', 20000), 120, step=0.5)
        once_at_least(texts(), 'long', 100000)
        once_at_least(texts(), 'more', 20000)
        assert not any('L10' in t for t in texts())
    r.close()
    h.close()


def rss(paas):
    with open(f'/proc/{paas.proc.pid}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read())[1]) * 1024


def test_one_that_never_reads_costs_nobody_else_anything(paas, c):
    deaf = SyslogReceiver(reads=False)
    slow = HttpReceiver(answer=lambda r: time.sleep(60) or 200)
    good = SyslogReceiver()
    say(c, 'alone', 50000)
    start = time.monotonic()
    wait_for('them', lambda: 'alone49999' in paas.logs(APP, 20), 60)
    alone = time.monotonic() - start
    add(c, f'syslog://127.0.0.1:{deaf.port}')
    add(c, f'http://127.0.0.1:{slow.port}/')
    add(c, f'syslog://127.0.0.1:{good.port}')
    before = rss(paas)
    say(c, 'beside', 50000)
    start = time.monotonic()
    wait_for('them', lambda: 'beside49999' in paas.logs(APP, 20), 60)
    beside = time.monotonic() - start
    assert beside < alone * 3 + 2, (alone, beside)
    wait_for('them at the one that reads', lambda: all_of(good.texts(), 'beside', 50000), 60, step=0.5)
    in_order(good.texts(), 'beside', 50000)
    assert rss(paas) - before < 24 << 20
    for r in (deaf, slow, good):
        r.close()


def test_what_does_not_fit_is_counted(paas, c):
    """A receiver that is away for longer than lines are kept."""
    r = SyslogReceiver()
    add(c, f'syslog://127.0.0.1:{r.port}')
    say(c, 'x', 1)
    wait_for('the first', lambda: 'x0' in r.texts())
    r.close()
    wide = ('python3 -uc "import time; [(print(chr(10).join(chr(119) + str(i) + chr(32) * 900 for i in '
            'range(k, k + 100))), time.sleep(.005)) for k in range(0, 60000, 100)]"')
    c('POST', f'/apps/{APP}/dynos', {'command': wide}, want=201)
    wait_for('the last', lambda: 'w59999 ' in paas.logs(APP, 20), 120)
    r.up()
    wait_for('the rest', lambda: any(t.startswith('w59999 ') for t in r.texts()[-200:]), 120, step=0.5)
    texts = r.texts()
    lost = sum(int(m[1]) for m in (re.match(r'Error L10 .*: (\d+) messages dropped since ', t) for t in texts) if m)
    came = [int(t[1:].split()[0]) for t in texts if re.match(r'w\d+ ', t)]
    told = sum(int(m[1]) for m in (re.match(r'Error L12 .*: (\d+) messages dropped since ', t) for t in texts) if m)
    assert came == sorted(came) and lost > 1000 and len(came) > 10000
    # other lines of the app may be among those that were dropped
    assert 60000 - told <= len(came) + lost <= 60000 + 40, (len(came), lost, told)
    r.close()


def test_removal_and_destruction_end_it(paas, c):
    r, other = SyslogReceiver(), SyslogReceiver()
    d = add(c, f'syslog://127.0.0.1:{r.port}')
    say(c, 'one', 1)
    wait_for('a line', lambda: 'one0' in r.texts())
    assert os.listdir(os.path.join(paas.state, 'drains')) == [d['id']]
    c('DELETE', f'/apps/{APP}/log-drains/{d["token"]}', want=200)
    assert os.listdir(os.path.join(paas.state, 'drains')) == []
    n = len(r.messages)
    c('POST', '/apps', {'name': 'doomed'}, want=201)
    c('POST', '/apps/doomed/log-drains', {'url': f'syslog://127.0.0.1:{other.port}'}, want=201)
    c('PATCH', '/apps/doomed/config-vars', {'A': '1'}, want=200)
    wait_for('a line', lambda: any('Set A config vars' in t for t in other.texts()))
    c('DELETE', '/apps/doomed', want=200)
    assert os.listdir(os.path.join(paas.state, 'drains')) == []
    say(c, 'two', 1)
    wait_for('it in the log', lambda: 'two0' in paas.logs(APP, 20))
    assert len(r.messages) == n
    r.close()
    other.close()


def test_private_addresses_are_out_of_reach(authority):
    r, h = SyslogReceiver(), HttpReceiver()
    p = Platform(ROOT)
    try:
        p.start()
        c = Client(p, p.token)
        c('POST', '/apps', {'name': 'sealed'}, want=201)
        for url in (f'syslog://127.0.0.1:{r.port}', f'syslog://localhost:{r.port}', f'syslog://[::1]:{r.port}',
                    f'http://127.0.0.1:{h.port}/', f'http://[::ffff:127.0.0.1]:{h.port}/'):
            c('POST', '/apps/sealed/log-drains', {'url': url}, want=201)
        c('PATCH', '/apps/sealed/config-vars', {'A': '1'}, want=200)
        wait_for('words about it', lambda: p.logs('sealed').count('the address is private') >= 4)
        assert not r.connections and not h.connections
        c.close()
    finally:
        p.close()
        r.close()
        h.close()
