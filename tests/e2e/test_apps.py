"""The sample apps go live by git push: static, Node (build step, WebSocket, worker, release, a queue in Redis), Flask,
Django, and a site with nothing but a Procfile."""
import base64
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from platform_under_test import Platform, released, wait_for
from postgres import Postgres

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def pg():
    p = Postgres()
    yield p
    p.close()


@pytest.fixture(scope='module')
def wheels(tmp_path_factory):
    """A local source of wheels made of the distribution's Python packages."""
    out = tmp_path_factory.mktemp('wheels')
    subprocess.run(['/usr/bin/python3', os.path.join(ROOT, 'tests/apps/make-wheelhouse.py'), str(out), 'flask', 'gunicorn',
                    'django', 'whitenoise', 'dj-database-url', 'psycopg2'], check=True, capture_output=True)
    for base, dirs, files in os.walk(out):
        os.chmod(base, 0o755)
    return str(out)


@pytest.fixture(scope='module')
def paas(pg, wheels):
    open_tmp(wheels)
    p = Platform(ROOT, '--set', f'dyno.host_ports={pg.port}', environ={'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': wheels})
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


def open_tmp(path):
    """pytest's folders are closed to others; builds run as another user."""
    while path not in ('/', '/tmp'):
        os.chmod(path, 0o755)
        path = os.path.dirname(path)


def test_static(paas, tmp_path):
    folder = paas.make_app('static', tmp_path / 'app')
    paas.create('site', folder)
    r = paas.push(folder)
    assert 'Static' in r.stderr or 'static' in r.stderr
    status, body, headers = paas.http('site')
    assert status == 200 and '<h1>home</h1>' in body and headers['X-Frame-Options'] == 'DENY'
    assert '<h1>about</h1>' in paas.http('site', '/about')[1]
    assert paas.http('site', '/.hidden')[0] == 404
    assert paas.http('site', '/assets/data.json')[2]['Cache-Control'] == 'public, max-age=3600'


def test_plain_static(paas, tmp_path):
    folder = paas.make_app('static', tmp_path / 'app', 'plain')
    paas.create('plain-site', folder)
    paas.push(folder)
    assert '<h1>plain site</h1>' in paas.http('plain-site')[1]


def test_procfile_only(paas, tmp_path):
    folder = paas.make_app('procfile', tmp_path / 'app')
    paas.create('bare', folder)
    paas.push(folder)
    assert paas.http('bare')[0] == 200


def websocket_echo(paas, app, text):
    with socket.create_connection(('127.0.0.1', paas.port), timeout=20) as s:
        key = base64.b64encode(os.urandom(16)).decode()
        s.sendall((f'GET /ws HTTP/1.1\r\nHost: {app}.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                   f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n').encode())
        f = s.makefile('rb')
        assert b' 101 ' in f.readline()
        while f.readline() not in (b'\r\n', b''):
            pass

        def frame():
            head = f.read(2)
            return f.read(head[1] & 0x7f).decode()

        hello = frame()
        data, mask = text.encode(), os.urandom(4)
        s.sendall(bytes([0x81, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        return hello, frame()


@pytest.fixture(scope='module')
def nodeapp(paas, tmp_path_factory):
    """Its folder, and what its first push said. The Redis server comes first: no release more than needed."""
    folder = paas.make_app('node', tmp_path_factory.mktemp('node') / 'app')
    paas.create('nodeapp', folder)
    paas.ctl('config:set', 'GREETING=hello', cwd=folder)
    paas.ctl('addons:create', 'heroku-redis', cwd=folder)
    yield folder, paas.push(folder, timeout=600)
    paas.ctl('apps:destroy', '--confirm', 'nodeapp', '-a', 'nodeapp')


def test_node(paas, nodeapp):
    folder, r = nodeapp
    assert 'built public/bundle.js' in r.stderr and 'release: release.' in r.stderr, r.stderr
    state = json.loads(paas.http('nodeapp', '/status')[1])
    assert state['env']['GREETING'] == 'hello' and state['env']['NODE_ENV'] == 'production'
    assert state['env']['DYNO'] == 'web.1' and state['cwd'] == '/app'
    assert 'built by the' in paas.http('nodeapp', '/bundle.js')[1]
    assert websocket_echo(paas, 'nodeapp', 'over the wire') == ('hello from web.1', 'over the wire')
    assert paas.http('nodeapp', '/echo', 'POST', b'x' * 300000, {'Content-Type': 'text/plain'})[1] == 'x' * 300000
    paas.ctl('ps:scale', 'worker=1', cwd=folder)
    wait_for('worker', lambda: 'app[worker.1]: worker tick' in paas.logs('nodeapp'))
    paas.commit(folder, 'again')
    again = paas.push(folder, timeout=600)
    assert released(again) > released(r)


def processes(word):
    """pid by the word in the arguments, of the sandboxes of apps and services."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline') as f:
                line = f.read()
            if os.stat(f'/proc/{pid}').st_uid >= 1000000 and word in line:
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_a_queue_between_web_and_worker(paas, nodeapp):
    """Every job is done, whoever is killed meanwhile: the worker in the middle of one, the Redis server, the daemon."""
    def give(text, ms=0):
        status, body, _ = paas.http('nodeapp', f'/jobs?ms={ms}', 'POST', text.encode(), {'Content-Type': 'text/plain'})
        assert status == 201, body
        return json.loads(body)['id']

    def look(job):
        status, body, _ = paas.http('nodeapp', f'/jobs/{job}')
        return json.loads(body) if status == 200 else {'state': body}

    def done(job, text, tries=('1',)):
        wait_for(f'{text} to be done', lambda: look(job)['state'] == 'done')
        was = look(job)
        assert was.pop('tries') in tries and was == {'state': 'done', 'by': 'worker.1', 'result': text.upper()}

    def begun(text, ms):
        job = give(text, ms)
        wait_for(f'{text} to be begun', lambda: look(job)['state'] == 'begun')
        return job

    paas.ctl('ps:scale', 'worker=1', '-a', 'nodeapp')
    done(give('one'), 'one')
    # the worker, with one job begun and one behind it
    [worker] = processes('worker.js')
    two, three = begun('two', 600), give('three')
    os.kill(worker, signal.SIGKILL)
    done(two, 'two', '2')  # again, from the beginning
    done(three, 'three')
    # the server: what it has said yes to is in its file, and it may be back before the job needs it
    url = paas.api('GET', '/apps/nodeapp/config-vars')[1]['REDIS_URL']
    address = re.search(r'@([\d.]+:\d+)', url)[1]
    four, five = begun('four', 600), give('five')
    [server] = processes(f'redis-server\0{address}') or processes(f'redis-server {address}')
    os.kill(server, signal.SIGKILL)
    done(four, 'four', '12')
    done(five, 'five')
    # the daemon: nobody notices
    before = processes('worker.js'), processes('server.js')
    six = begun('six', 600)
    paas.kill9()
    seven = give('seven')
    paas.start()
    done(six, 'six')
    done(seven, 'seven')
    assert before == (processes('worker.js'), processes('server.js'))


def test_flask(paas, tmp_path):
    folder = paas.make_app('python', tmp_path / 'app', 'flask')
    paas.create('flaskapp', folder)
    r = paas.push(folder, timeout=600)
    assert 'release: release.' in r.stderr
    state = json.loads(paas.http('flaskapp', '/status')[1])
    assert state['prefix'].startswith('/app') and state['env']['DYNO'] == 'web.1'
    assert paas.http('flaskapp', '/stream?n=3')[1] == 'line 0\nline 1\nline 2\n'


def test_django(paas, pg, tmp_path):
    folder = paas.make_app('python', tmp_path / 'app', 'django')
    paas.create('djangoapp', folder)
    paas.ctl('config:set', 'DATABASE_URL=' + pg.database('django'), 'SECRET_KEY=x', cwd=folder)
    r = paas.push(folder, timeout=600)
    assert 'Applying notes.0001_initial' in r.stderr, r.stderr
    assert json.loads(paas.http('djangoapp', '/status')[1])['database'] == 'postgresql'
    assert paas.http('djangoapp', '/notes', 'POST', b'title=first')[0] == 201
    assert paas.http('djangoapp', '/static/demo.css')[0] == 200
    paas.ctl('run', '--no-tty', 'python manage.py sample_data', cwd=folder)
    assert json.loads(paas.http('djangoapp', '/status')[1])['notes'] == 26
