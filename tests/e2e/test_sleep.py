"""Apps that sleep when nobody asks for them: nothing of them runs, the next request waits while they start, and
neither a restart of paasd nor of the router loses that."""
import json
import os
import threading
import time

import pytest

from platform_under_test import Platform, wait_for

APP = 'sleepy'
AFTER = 1


@pytest.fixture(scope='module')
def paas():
    from conftest import ROOT
    p = Platform(ROOT, '--set', 'dyno.stop_timeout=2', '--set', 'dyno.crash_backoff=60')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


SERVER = '''#!/usr/bin/python3 -u
import os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
if os.environ.get('BROKEN'):
    sys.exit(3)
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.headers.get('Upgrade'):
            self.send_response(101)
            self.send_header('Connection', 'Upgrade')
            self.send_header('Upgrade', 'websocket')
            self.end_headers()
            self.rfile.read()
            return
        if self.path.startswith('/slow'):
            time.sleep(float(self.path[6:]))
        body = b'pid %d' % os.getpid()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()
'''


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('sleep') / 'app')
    os.makedirs(folder)
    paas.git('init', '-q', '-b', 'main', folder)
    with open(os.path.join(folder, 'server'), 'w') as f:
        f.write(SERVER)
        os.fchmod(f.fileno(), 0o755)
    paas.commit(folder, Procfile='web: ./server\nworker: exec sleep 10000\n')
    paas.create(APP, folder)
    paas.push(folder)
    paas.ctl('ps:scale', 'worker=1', '-a', APP)
    return folder


def states(paas):
    return {d['name']: d['state'] for d in paas.api('GET', f'/apps/{APP}/dynos')[1]}


def asleep(paas):
    """Its dynos are idle, and no process of it is left."""
    wait_for('sleep', lambda: set(states(paas).values()) == {'idle'}, 20)
    wait_for('no processes', lambda: not os.listdir(os.path.join(paas.run_dir(), 'dynos')), 20)


def pid(paas, path='/', **kw):
    status, body, _ = paas.http(APP, path, **kw)
    assert status == 200, body
    return int(body.split()[1])


def sleep_of(paas):
    return paas.api('GET', f'/apps/{APP}/sleep')[1]


def test_sleep_and_wake(paas, app):
    assert sleep_of(paas)['after'] is None
    first = pid(paas)
    out = paas.ctl('ps:sleep', '--after', f'{AFTER}s', '-a', APP)
    assert 'done' in out.stdout + out.stderr
    # A long request is no idle time.
    assert pid(paas, '/slow?1.8') == first
    asleep(paas)
    assert sleep_of(paas)['asleep'] is True and sleep_of(paas)['since']
    assert 'web.1: idle' in paas.ctl('ps', '-a', APP).stdout
    assert 'asleep' in paas.ctl('ps:sleep', '-a', APP).stdout
    # Many at once start it once.
    got, errors = [], []

    def ask():
        try:
            got.append(pid(paas))
        except AssertionError as e:
            errors.append(e)
    start = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and len(set(got)) == 1 and time.monotonic() - start < 10
    assert sleep_of(paas)['asleep'] is False
    assert set(states(paas)) == {'web.1', 'worker.1'}
    log = paas.logs(APP)
    for text in ('heroku[web.1]: Idling', 'heroku[web.1]: State changed from up to down', 'heroku[worker.1]: Idling',
                 'heroku[web.1]: Unidling', 'heroku[web.1]: State changed from down to starting'):
        assert text in log, log
    assert log.count('heroku[web.1]: Unidling') == 1


def test_a_websocket_keeps_it_awake(paas, app):
    import socket
    pid(paas)
    with socket.create_connection(('127.0.0.1', paas.port), 10) as s:
        s.sendall(f'GET / HTTP/1.1\r\nHost: {APP}.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'.encode())
        assert b' 101 ' in s.recv(4096)
        time.sleep(1.8 * AFTER)
        assert set(states(paas).values()) == {'up'}
    asleep(paas)


def test_one_offs_leave_it_asleep(paas, app):
    asleep(paas)
    r = paas.ctl('run', '--no-tty', '-x', 'echo out of $DYNO; exit 4', '-a', APP, check=False)
    assert r.returncode == 4 and 'out of run.' in r.stdout
    assert set(states(paas).values()) == {'idle'}
    paas.ctl('maintenance:on', '-a', APP)
    assert paas.http(APP)[0] == 503
    assert set(states(paas).values()) == {'idle'}
    paas.ctl('maintenance:off', '-a', APP)
    assert set(states(paas).values()) == {'idle'}


def test_restarts_of_the_platform(paas, app):
    asleep(paas)
    router = [p for p in paas.orphans() if 'paas-router' in os.readlink(f'/proc/{p}/exe')]
    paas.kill9()
    os.kill(router[0], 9)
    paas.start()
    assert set(states(paas).values()) == {'idle'}
    paas.kill9()
    answer = []
    t = threading.Thread(target=lambda: answer.append(paas.http(APP)))
    t.start()
    time.sleep(0.5)
    assert not answer  # the router holds it until there is somebody to wake the app
    paas.start()
    t.join()
    assert answer[0][0] == 200


def test_deploys(paas, app):
    asleep(paas)
    # One that cannot come up: it sleeps on, with the old code.
    r = paas.api('PATCH', f'/apps/{APP}/config-vars', {'BROKEN': '1'})
    assert r[0] == 200
    wait_for('failure', lambda: 'failed' in [x['status'] for x in paas.api('GET', f'/apps/{APP}/releases')[1]])
    assert set(states(paas).values()) == {'idle'}
    paas.ctl('ps:scale', 'web=2', '-a', APP)
    assert states(paas) == {'web.1': 'idle', 'web.2': 'idle', 'worker.1': 'idle'}
    pid(paas)
    paas.ctl('ps:scale', 'web=1', '-a', APP)
    asleep(paas)
    # One that does: it comes up for the cut-over, and its clock begins.
    paas.api('PATCH', f'/apps/{APP}/config-vars', {'FINE': '1'})
    wait_for('up', lambda: states(paas).get('web.1') == 'up')


def test_wake_and_never(paas, app):
    asleep(paas)
    status, v, _ = paas.api('POST', f'/apps/{APP}/actions/wake')
    assert status == 200 and v['asleep'] is False
    wait_for('up', lambda: states(paas).get('web.1') == 'up')
    asleep(paas)
    paas.ctl('ps:restart', 'worker', '-a', APP)
    wait_for('up', lambda: set(states(paas).values()) == {'up'})
    asleep(paas)
    v = json.loads(paas.ctl('ps:sleep', '--never', '--json', '-a', APP).stdout)
    assert v['after'] is None and v['asleep'] is False
    wait_for('up', lambda: states(paas).get('web.1') == 'up')
    time.sleep(1.5 * AFTER)
    assert states(paas).get('web.1') == 'up'


@pytest.mark.parametrize('body', [{}, {'after': 0}, {'after': -5}, {'after': 'x'}, {'after': 10 ** 9}, {'minutes': 3}])
def test_bad_settings(paas, app, body):
    status, e, _ = paas.api('PATCH', f'/apps/{APP}/sleep', body)
    assert status in (400, 422), e
    assert paas.ctl('ps:sleep', '--after', 'soon', '-a', APP, check=False).returncode == 2


def test_a_crash_at_waking(paas, app):
    """Awake and crashed, as after any other start."""
    until = time.time() + 3
    paas.api('PATCH', f'/apps/{APP}/sleep', {'after': AFTER})
    paas.commit(app, server=SERVER.replace("os.environ.get('BROKEN')", f'time.time() > {until}'))
    paas.push(app)
    asleep(paas)
    wait_for('the time when it breaks', lambda: time.time() > until)
    status, body, _ = paas.http(APP)
    assert status == 503
    wait_for('H10', lambda: 'code=H10' in paas.logs(APP))
    wait_for('crashed', lambda: states(paas).get('web.1') == 'crashed')
    assert sleep_of(paas)['asleep'] is False
