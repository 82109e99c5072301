"""heroku-redis on a whole platform: what an app may do, kill -9, rotation, who reaches it, the data API. A queue between
web and worker is in test_apps.py."""
import os
import re
import signal
import subprocess

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESP = r'''
import os, socket
from urllib.parse import urlsplit

class Redis:
    def __init__(self, url, timeout=10):
        u = urlsplit(url)
        self.s = socket.create_connection((u.hostname, u.port), timeout)
        self.f = self.s.makefile('rb')
        self('AUTH', u.password)

    def __call__(self, *words):
        self.s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w.encode()), w.encode()) for w in words))
        return self.answer()

    def answer(self):
        line = self.f.readline().decode()
        kind, rest = line[:1], line[1:-2]
        if kind in '-':
            raise RuntimeError(rest or 'cut off')
        if kind == '*':
            return None if rest == '-1' else [self.answer() for _ in range(int(rest))]
        if kind == '$':
            return None if rest == '-1' else self.f.read(int(rest) + 2)[:-2].decode()
        return rest
'''
WEB = '''
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from resp import Redis, os

class App(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, Redis(os.environ['REDIS_URL'])('GET', self.path[1:]) or ''
        except Exception as e:
            status, text = 500, repr(e)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

ThreadingHTTPServer(('', int(os.environ['PORT'])), App).serve_forever()
'''


@pytest.fixture(scope='module')
def paas(tmp_path_factory):
    """With a grace of seconds for old passwords."""
    top = tmp_path_factory.mktemp('settings')
    (top / 'heroku-redis.yml').write_text('grace_s: 3\n')
    (top / 'heroku-redis.yml').chmod(0o600)
    p = Platform(ROOT, '--set', f'addon.settings_dir={top}')
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def shop(paas, tmp_path_factory):
    """An app whose web process tells what a key holds."""
    folder = tmp_path_factory.mktemp('shop')
    paas.login()
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.create('shop', str(folder))
    paas.api('PUT', '/apps/shop/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]})
    status, a, _ = paas.api('POST', '/apps/shop/addons', {'plan': 'redis'})
    assert status == 201 and a['state'] == 'provisioned' and a['config_vars'] == ['REDIS_URL'], a
    paas.commit(str(folder), Procfile='web: exec python3 -u web.py\n', **{'web.py': WEB, 'resp.py': RESP})
    paas.push(str(folder))
    return a


def url_of(paas, app='shop'):
    return paas.api('GET', f'/apps/{app}/config-vars')[1]['REDIS_URL']


def direct(url):
    """From the host."""
    code = {}
    exec(RESP, code)
    return code['Redis'](url)


def refused(url, why='WRONGPASS'):
    try:
        direct(url)
    except (RuntimeError, OSError) as e:
        return why in str(e)
    return False


def cut_off(redis):
    try:
        return redis('PING') != 'PONG'
    except (RuntimeError, OSError):
        return True


def server_of(url):
    """The pid of the server that listens there."""
    port = re.search(r'@([\d.]+):(\d+)', url)
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline') as f:
                line = f.read()
        except OSError:
            continue
        if line.startswith('/usr/bin/redis-server ') and f'{port[1]}:{port[2]}' in line:
            return int(pid), line
    return None


def test_commands_and_kill9(paas, shop):
    url = url_of(paas)
    assert re.fullmatch(r'redis://:p[0-9a-f]{64}@[\d.]+:6379', url), url
    redis = direct(url)
    for command in (('CONFIG', 'GET', '*'), ('SHUTDOWN',), ('ACL', 'LIST'), ('REPLICAOF', 'NO', 'ONE'), ('SAVE',)):
        with pytest.raises(RuntimeError, match='NOPERM'):
            redis(*command)
    with pytest.raises(RuntimeError, match='WRONGPASS'):
        direct(url.replace(re.search(':p[^@]+@', url)[0], ':wrong@'))
    assert 'maxmemory:26214400' in redis('INFO') and 'maxmemory_policy:noeviction' in redis('INFO')
    redis('SET', 'kept', 'yes')
    # what has been written is on disk within a second: appendfsync everysec
    pid, line = server_of(url)
    assert url.split('@')[0][9:] not in line
    os.kill(pid, signal.SIGKILL)
    wait_for('it to be back', lambda: not refused(url, ''))
    assert direct(url)('GET', 'kept') == 'yes'
    assert paas.http('shop', '/kept')[:2] == (200, 'yes')


def test_no_reach_from_another_tenant(paas, shop):
    """Not even from an app that has a Redis server of its own, on the same port, which it does reach."""
    token = paas.new_user('rival@example.com')
    assert paas.api('POST', '/apps', {'name': 'rival'}, token=token)[0] == 201
    assert paas.api('POST', '/apps/rival/addons', {'plan': 'redis'}, token=token)[1]['state'] == 'provisioned'
    mine, theirs = (re.search('@([^:]+):6379', paas.api('GET', f'/apps/{app}/config-vars', token=t)[1]['REDIS_URL'])[1]
                    for app, t in (('shop', None), ('rival', token)))
    folder = os.path.join(paas.dir, 'rival')
    os.mkdir(folder)
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.api('PUT', '/apps/rival/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, token=token)
    paas.commit(folder, Procfile='worker: sleep 60\n')
    paas.git('push', '-q', f'{paas.url}/rival.git', 'main', cwd=folder, token=token)
    code = f"""
import socket
for ip in ({mine!r}, {theirs!r}):
    try:
        socket.create_connection((ip, 6379), 2)
        print('reached')
    except OSError:
        print('kept out')
"""

    def seen_from(app, t):
        r = paas.ctl('run', '-x', '-a', app, '--', 'python3', '-c', code, token=t, timeout=60)
        return r.stdout.split('\n')[:2]

    assert seen_from('shop', None) == ['reached', 'kept out']
    assert seen_from('rival', token) == ['kept out', 'reached']
    # nor by way of the platform: the tunnel, the data API
    name = shop['name']
    assert paas.api('GET', f'/redis/v0/databases/{name}', token=token)[0] in (403, 404)
    r = paas.ctl('redis:cli', name, 'ping', '-a', 'rival', token=token, check=False)
    assert r.returncode and 'PONG' not in r.stdout
    paas.api('DELETE', '/apps/rival', token=token)


def test_data_api(paas, c, shop):
    db = f'/redis/v0/databases/{shop["name"]}'
    i = c('GET', db, want=200).json
    rows = {r['name']: r['values'] for r in i['info']}
    assert i['resource_url'] == url_of(paas) and i['plan'] == 'hobby' and i['port'] == 6379
    assert rows['Status'] == ['available'] and rows['Maxmemory Policy'] == ['noeviction'] and rows['Timeout'] == ['300']
    assert c('GET', db + '/wait', want=200).json == {'waiting?': False, 'message': 'available'}
    a = c('PATCH', db + '/config', {'maxmemory_policy': 'allkeys-lru', 'timeout': 60, 'notify_keyspace_events': 'KEA'}, want=200).json
    assert a['maxmemory_policy']['value'] == 'allkeys-lru' and a['timeout']['value'] == 60
    for bad in ({'maxmemory_policy': 'sometimes'}, {'timeout': -1}, {'notify_keyspace_events': 'KQ'}, {'dir': '/tmp'}):
        c('PATCH', db + '/config', bad, want=422)
    c('POST', db + '/stats/reset', want=200)
    assert 'that the host has' in c('POST', db + '/upgrade', {'version': '9'}, want=422).message
    # another plan; settings and data stay
    assert c('PATCH', f'/apps/shop/addons/{shop["name"]}', {'plan': 'heroku-redis:premium-0'}, want=200).json['plan']['name'] == 'heroku-redis:premium-0'
    info = direct(url_of(paas))('INFO')
    assert 'maxmemory:52428800' in info and 'maxmemory_policy:allkeys-lru' in info
    assert c('GET', db + '/config', want=200).json['timeout']['value'] == 60
    assert direct(url_of(paas))('GET', 'kept') == 'yes'
    assert c('GET', '/redis/v0/databases/nosuch', want=404).json['resource'] == 'add_on'


def test_rotation(paas, c, shop):
    was = url_of(paas)
    before = direct(was)
    crowd = [direct(was) for i in range(39)]  # all that the plan has
    rows = {r['name']: r['values'] for r in c('GET', f'/redis/v0/databases/{shop["name"]}', want=200).json['info']}
    assert rows['Status'] == ['available'] and rows['Connections'][0].startswith('4'), rows
    c('POST', f'/redis/v0/databases/{shop["name"]}/credentials_rotation', {}, want=200)
    now = url_of(paas)
    assert now != was
    within = direct(was)
    assert within('PING') == before('PING') == direct(now)('PING') == 'PONG', 'both are good'
    wait_for('the app to have the new one', lambda: paas.http('shop', '/kept')[:2] == (200, 'yes'))
    wait_for('the old password to end', lambda: refused(was))
    wait_for('what was opened with it to end', lambda: cut_off(before) and cut_off(within))
    assert paas.http('shop', '/kept')[:2] == (200, 'yes')
    assert all(cut_off(r) for r in crowd)
    later = direct(now)
    acl = os.path.join(paas.state, 'services', os.listdir(os.path.join(paas.state, 'services'))[0], 'data', 'users.acl')
    wait_for('its note to go', lambda: 'until-' not in open(acl).read())
    assert later('PING') == 'PONG', 'closed once'
    c('POST', f'/redis/v0/databases/{shop["id"]}/credentials_rotation', {'forced': True}, want=200)
    assert refused(now), 'at once'
    assert cut_off(later)
    newest = url_of(paas)
    os.kill(server_of(newest)[0], signal.SIGKILL)
    wait_for('it to be back', lambda: not refused(newest, ''))
    assert refused(was) and refused(now) and direct(newest)('GET', 'kept') == 'yes', 'the passwords of now are kept'
    with open(paas.log.name) as f:
        log = f.read()
    assert not any(u.split('@')[0][9:] in log for u in (was, now, newest))


def test_paasctl(paas, shop):
    def ctl(*args, **kw):
        return paas.ctl(*args, '-a', 'shop', **kw)
    assert 'REDIS_URL' in ctl('redis').stdout and 'Maxmemory Policy' in ctl('redis:info', 'REDIS').stdout
    ctl('redis:wait')
    assert ctl('redis:credentials').stdout.strip() == url_of(paas)
    assert ctl('redis:cli', 'REDIS', 'get', 'kept').stdout.strip() in ('yes', '"yes"')
    assert 'volatile-ttl only' in ctl('redis:maxmemory', '--policy', 'volatile-ttl').stdout
    assert '7 seconds' in ctl('redis:timeout', '-s', '7').stdout
    assert "'AKE'" in ctl('redis:keyspace-notifications', '-c', 'KEA').stdout
    ctl('redis:stats-reset')
    r = ctl('redis:maxmemory', '-p', 'sometimes', check=False)
    assert r.returncode and 'noeviction' in r.stderr
    r = ctl('redis:promote', 'REDIS', check=False)
    assert r.returncode and 'already' in r.stderr
    paas.ctl('apps:create', 'bare', '--no-remote')
    r = paas.ctl('redis:credentials', '-a', 'bare', check=False)
    assert r.returncode and 'addons:create heroku-redis' in r.stderr
    was = url_of(paas)
    ctl('redis:credentials', '--reset', '--force')
    assert url_of(paas) != was and refused(was)


def test_the_subnet_is_taken(paas, shop):
    """As on another host, or when something else was up first after a restart of this one: the addresses are others, and
    config vars follow, with a release."""
    was, data = url_of(paas), direct(url_of(paas))('GET', 'kept')
    version = max(r['version'] for r in paas.api('GET', '/apps/shop/releases')[1])
    first, second, third = re.search(r'@(\d+)\.(\d+)\.(\d+)\.', was).groups()
    subnet = f'{first}.{second}.{int(third) // 128 * 128}.0/17'
    paas.stop()
    subprocess.run(['ip', 'route', 'add', 'blackhole', subnet], check=True)
    try:
        paas.start()
        now = url_of(paas)
        assert now != was
        assert now.split('@')[0] == was.split('@')[0] and now.split('.')[-1] == was.split('.')[-1]
        wait_for('it to be back', lambda: not refused(now, ''))
        assert direct(now)('GET', 'kept') == data == 'yes'
        wait_for('its release', lambda: paas.api('GET', '/apps/shop/releases')[1][-1]['version'] > version)
        last = paas.api('GET', '/apps/shop/releases')[1][-1]
        assert (last['version'], last['description']) == (version + 1, 'Update REDIS by heroku-redis')
        wait_for('the app to reach it', lambda: paas.http('shop', '/kept')[:2] == (200, 'yes'))
        paas.stop()
        paas.start()
        assert url_of(paas) == now and len(paas.api('GET', '/apps/shop/releases')[1]) == last['version'], 'once'
    finally:
        subprocess.run(['ip', 'route', 'del', 'blackhole', subnet], check=True)


def test_every_route_has_answered(paas, c, shop, request):
    """Last: and nothing is left when the add-on is gone."""
    c('DELETE', f'/apps/shop/addons/{shop["name"]}', want=200)
    wait_for('its removal', lambda: not os.listdir(os.path.join(paas.state, 'services')))
    if len([i for i in request.session.items if i.fspath == request.fspath]) == len([n for n in globals() if n.startswith('test_')]):
        assert claimed_by('redis') - c.seen == set()
