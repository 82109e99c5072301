"""heroku-postgresql on a whole platform: the cluster in its sandbox, apps with databases, the data API, the tunnel."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, free_port, wait_for
from postgres import postmasters

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICE = 'heroku-postgresql'
WEB = '''
import os, psycopg2
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class App(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            db = psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=5)
            with db, db.cursor() as c:
                c.execute('CREATE TABLE IF NOT EXISTS hits (id serial, path text)')
                if self.path == '/hit':
                    c.execute('INSERT INTO hits (path) VALUES (%s)', (self.path,))
                c.execute('SELECT count(*) FROM hits')
                status, text = 200, str(c.fetchone()[0])
            db.close()
        except Exception as e:
            status, text = 500, repr(e)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *a):
        pass

ThreadingHTTPServer(('', int(os.environ['PORT'])), App).serve_forever()
'''
TINY = '''
  - {name: essential-tiny, limits: {disk_mb: 9, connections: 20}}
'''


@pytest.fixture(scope='module')
def paas(tmp_path_factory):
    """With a plan that can be filled."""
    top = tmp_path_factory.mktemp('pg')
    os.symlink(os.path.join(ROOT, 'build'), top / 'build')
    shutil.copytree(os.path.join(ROOT, 'addons', SERVICE), top / 'addons' / SERVICE, symlinks=True)
    with open(top / 'addons' / SERVICE / 'addon.yml', 'a') as f:
        f.write(TINY)
    for folder in (top, top.parent, top.parent.parent):
        os.chmod(folder, 0o755)
    p = Platform(ROOT, '--set', f'addons_dir={top}/addons', '--set', 'postgres.watch=1', '--keep-dynos',
                 flavour=os.environ.get('PAAS_FLAVOUR', ''))
    try:
        p.start()
        yield p
    finally:
        p.options.remove('--keep-dynos')
        p.stop()
        p.start()
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


def addon(paas, app, plan='essential-0', **body):
    status, a, _ = paas.api('POST', f'/apps/{app}/addons', {'plan': f'{SERVICE}:{plan}', **body})
    assert status == 201, a
    paas.ctl('addons:wait', a['name'], '-a', app, timeout=60)
    return a


def url_of(paas, app, var='DATABASE_URL'):
    return paas.api('GET', f'/apps/{app}/config-vars')[1][var]


@pytest.fixture(scope='module')
def shop(paas, tmp_path_factory):
    """An app that has a database, and asks it with a connection of its own for each request."""
    folder = tmp_path_factory.mktemp('shop')
    paas.login()
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.create('shop', str(folder))
    paas.api('PUT', '/apps/shop/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]})
    a = addon(paas, 'shop', 'standard-0')
    paas.commit(str(folder), Procfile='web: exec python3 -u web.py\n', **{'web.py': WEB})
    paas.push(str(folder))
    assert hit(paas) == 1
    return a, str(folder)


def ask(paas, path='/'):
    status, text, _ = paas.http('shop', path)
    assert status == 200, text
    return int(text)


def hit(paas):
    return ask(paas, '/hit')


def hits_again(paas, n, what):
    def same():
        status, text, _ = paas.http('shop', '/')
        return status == 200 and int(text) == n
    wait_for(what, same)


def psql(paas, *args, app='shop', check=True, **kw):
    return paas.ctl('pg:psql', *args, '-a', app, check=check, **kw)


def one(paas, sql, app='shop'):
    """One value, as psql prints it."""
    return psql(paas, '-c', sql, app=app).stdout.split('\n')[2].strip()


def in_dyno(paas, app, *command):
    return paas.ctl('run', '-x', '-a', app, '--', *command, check=False, timeout=60)


def test_data_survive_deploys_and_restarts(paas, shop):
    _, folder = shop
    hit(paas)
    paas.commit(folder, version='2')
    paas.push(folder)
    assert ask(paas) == 2
    paas.ctl('ps:restart', '-a', 'shop')
    assert hit(paas) == 3
    r = in_dyno(paas, 'shop', 'sh', '-c', 'psql "$DATABASE_URL" -tAc "SELECT count(*) FROM hits"')
    assert r.stdout.strip() == '3', r.stdout + r.stderr


def test_paasd_killed_and_stopped(paas, shop):
    before = one(paas, 'SELECT pg_postmaster_start_time()')
    paas.kill9()
    assert ask(paas) == 3  # the app and its database never noticed
    paas.start()
    assert hit(paas) == 4
    assert one(paas, 'SELECT pg_postmaster_start_time()') == before
    assert paas.stop() == 0
    paas.start()
    assert hit(paas) == 5
    assert one(paas, 'SELECT pg_postmaster_start_time()') == before


def test_the_cluster_killed(paas, shop):
    (pid,) = postmasters(paas.state)
    os.kill(pid, signal.SIGKILL)
    hits_again(paas, 5, 'the cluster to recover')
    assert hit(paas) == 6


def test_an_administrator_restarts_the_cluster(paas, c, shop):
    before, count = one(paas, 'SELECT pg_postmaster_start_time()'), ask(paas)
    nobody = Client(paas, paas.new_user('nobody@example.com'))
    for method, path in (('GET', ''), ('POST', '/restart')):
        nobody(method, '/postgres/v0/cluster' + path, {} if method == 'POST' else None, want=403)
    seen = c('GET', '/postgres/v0/cluster', want=200).json
    assert seen['state'] == 'up' and f'@{seen["address"]}:{seen["port"]}/' in url_of(paas, 'shop')
    assert re.search(r'State: +up', paas.ctl('pg:cluster').stdout)
    paas.ctl('pg:cluster:restart', timeout=60)
    assert c('POST', '/postgres/v0/cluster/restart', {'force': True}, want=200).json['state'] == 'up'
    hits_again(paas, count, 'the app to connect again')
    assert one(paas, 'SELECT pg_postmaster_start_time()') != before


def test_rotation_without_a_failed_query(paas, shop):
    a, _ = shop
    old, results, over = url_of(paas, 'shop'), [], threading.Event()

    def load():
        while not over.is_set():
            results.append(paas.http('shop', '/hit')[:2])
    thread = threading.Thread(target=load)
    thread.start()
    try:
        paas.ctl('pg:credentials:rotate', '-a', 'shop', '--confirm', 'shop')
        release = paas.api('GET', '/apps/shop/releases')[1][-1]
        wait_for('the release', lambda: paas.api('GET', f'/apps/shop/releases/{release["id"]}')[1]['current'])
        wait_for('a few requests after it', lambda n=len(results): len(results) > n + 20)
    finally:
        over.set()
        thread.join()
    assert not [r for r in results if r[0] != 200]
    assert url_of(paas, 'shop') != old
    info = paas.api('GET', f'/postgres/v0/databases/{a["id"]}/credentials')[1]
    assert [x['state'] for x in info[0]['credentials']] == ['active', 'rotating']
    paas.ctl('pg:credentials:rotate', '-a', 'shop', '--force', '--confirm', 'shop')


@pytest.fixture(scope='module')
def rival(paas):
    """Another account's app, with a database of its own; and an app without any."""
    token = paas.new_user('rival@example.com')
    for name in ('rival', 'bare'):
        assert paas.api('POST', '/apps', {'name': name}, token=token)[0] == 201
    status, a, _ = paas.api('POST', '/apps/rival/addons', {'plan': SERVICE}, token=token)
    assert status == 201
    paas.ctl('addons:wait', a['name'], '-a', 'rival', token=token)
    folder = os.path.join(paas.dir, 'bare')
    os.mkdir(folder)
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.commit(folder, Procfile='idle: exec sleep 1000\n')
    for name in ('rival', 'bare'):
        paas.api('PUT', f'/apps/{name}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, token=token)
        paas.git('push', '-q', f'{paas.url}/{name}.git', 'main', cwd=folder, token=token)
    return token, a


def test_one_tenant_and_another(paas, shop, rival):
    """Cannot read, list sizes of, or connect to another's database; nor reach the port without an add-on."""
    token, theirs = rival
    mine = re.match(r'postgres://(?P<user>\w+):(?P<pw>\w+)@(?P<host>[\d.]+):(?P<port>\d+)/(?P<db>\w+)$', url_of(paas, 'shop'))
    assert mine, url_of(paas, 'shop')

    def tries(sql, database=''):
        script = f'psql -XtA "${{DATABASE_URL%/*}}/{database}" -c "{sql}" 2>&1' if database else f'psql -XtA "$DATABASE_URL" -c "{sql}" 2>&1'
        return paas.ctl('run', '-x', '-a', 'rival', '--', 'sh', '-c', script, check=False, token=token).stdout
    assert tries('SELECT 40 + 2').strip() == '42'
    assert 'permission denied' in tries('SELECT * FROM hits', mine['db'])
    assert 'permission denied' in tries(f"SELECT pg_database_size('{mine['db']}')")
    reach = f"import socket; socket.create_connection(('{mine['host']}', {mine['port']}), 3); print('reached')"
    r = paas.ctl('run', '-x', '-a', 'bare', '--', 'python3', '-c', reach, check=False, token=token)
    assert r.returncode and 'reached' not in r.stdout, r.stdout
    # Nor by the API.
    for method, path in (('GET', ''), ('GET', '/wait_status'), ('PUT', '/reset'), ('POST', '/connection_reset')):
        assert paas.api(method, f'/client/v11/databases/{shop[0]["id"]}{path}', token=token)[0] == 404
    assert paas.api('GET', f'/postgres/v0/databases/{shop[0]["name"]}/credentials', token=token)[0] == 404
    r = paas.ctl('pg:psql', shop[0]['name'], '-c', 'SELECT 1', '-a', 'rival', check=False, token=token)
    assert r.returncode
    head = tunnel_head(paas, shop[0]['id'], token)
    assert ' 404 ' in head.split('\r\n')[0], head


def tunnel_head(paas, ident, token, upgrade='paas-tunnel'):
    with socket.create_connection(('127.0.0.1', paas.port), 10) as s:
        s.sendall((f'GET /addons/{ident}/tunnel HTTP/1.1\r\nHost: localhost:{paas.port}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n'
                   f'Authorization: Bearer {token}\r\n\r\n').encode())
        return s.recv(4096).decode()


def test_who_may_tunnel(paas, c, shop):
    mate = paas.new_user('mate@example.com')
    c('POST', '/apps/shop/collaborators', {'user': 'mate@example.com', 'permissions': ['view', 'deploy']}, want=201)
    assert ' 403 ' in tunnel_head(paas, shop[0]['id'], mate)
    weak = c('POST', '/oauth/authorizations', {'scope': ['read']}, want=201).json['access_token']['token']
    assert ' 403 ' in tunnel_head(paas, shop[0]['id'], weak)
    assert ' 401 ' in tunnel_head(paas, shop[0]['id'], 'nonsense')
    assert ' 400 ' in tunnel_head(paas, shop[0]['id'], paas.token, 'websocket')
    assert ' 101 ' in tunnel_head(paas, shop[0]['id'], paas.token)
    assert any(r['action'] == 'pg.tunnel' for r in c('GET', '/apps/shop/audit', want=200).json)


def test_psql_over_https(paas, shop):
    """From a laptop: no port of the database, the platform's certificate checked, no secret in any argv or environment."""
    env = paas.env(PAASCTL_API_URL=f'https://localhost:{paas.port}', PAASCTL_CA_FILE=paas.state + '/certs/ca.pem')
    r = psql(paas, '-c', "SELECT 'x' || repeat('y', 300000) AS long", env=env)
    assert 'x' + 'y' * 300000 in r.stdout and '--> Connecting to' in r.stderr
    script = os.path.join(paas.dir, 'script.sql')
    with open(script, 'w') as f:
        f.write('CREATE TABLE notes (t text);\nINSERT INTO notes VALUES (\'a\');\nSELECT count(*) FROM notes;\nSELECT 1/0;\nSELECT 99;\n')
    r = psql(paas, '-f', script, env=env, check=False)
    assert r.returncode == 3 and 'division by zero' in r.stderr and '99' not in r.stdout
    password = re.search(r':(\w+)@', url_of(paas, 'shop'))[1]
    p = subprocess.Popen([paas.bin + '/paasctl', 'pg:psql', '-c', 'SELECT pg_sleep(30)', '-a', 'shop'], env=env, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        running = wait_for('psql', lambda: [x for x in os.listdir('/proc') if x.isdigit() and 'pg_sleep(30)' in proc(x, 'cmdline')
                                            and proc(x, 'comm') == 'psql\n' and proc(x, 'environ')])[0]
        for f in ('cmdline', 'environ'):
            assert password not in proc(running, f) and paas.token not in proc(running, 'cmdline')
        folder = re.search(r'PGHOST=([^\0]+)', proc(running, 'environ'))[1]
        assert os.stat(folder).st_mode & 0o777 == 0o700
    finally:
        p.terminate()
        p.wait(10)
    assert not os.path.exists(folder)


def proc(pid, name):
    try:
        with open(f'/proc/{pid}/{name}') as f:
            return f.read()
    except (OSError, UnicodeDecodeError):
        return ''


def test_a_port_for_other_programs(paas, shop):
    port = free_port()
    p = subprocess.Popen([paas.bin + '/paasctl', 'pg:tunnel', '-p', str(port), '-a', 'shop'], env=paas.env(), stdout=subprocess.PIPE, text=True)
    try:
        assert f'127.0.0.1:{port}' in p.stdout.readline()
        url = re.sub(r'@[\d.]+:\d+', f'@127.0.0.1:{port}', url_of(paas, 'shop'))
        for mode in ('require', 'disable'):
            r = paas.run('psql', '-XtAc', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', url + '?sslmode=' + mode)
            assert r.stdout.strip() == ('t' if mode == 'require' else 'f')
        p.send_signal(signal.SIGINT)
        assert p.wait(10) == 0
    finally:
        p.kill()
        p.wait()
    r = paas.ctl('pg:psql', '-c', 'SELECT 1', '-a', 'shop', check=False, env=paas.env(PATH=paas.bin))
    assert r.returncode == 4 and 'postgresql-client' in r.stderr


STATISTICS = ['ps', 'locks', 'blocking', 'long-running-queries', 'cache-hit', 'index-size', 'total-index-size', 'index-usage', 'unused-indexes',
              'table-size', 'table-indexes-size', 'total-table-size', 'records-rank', 'seq-scans', 'vacuum-stats', 'bloat', 'outliers', 'calls',
              'user-connections']


def test_statistics(paas, shop):
    psql(paas, '-c', "CREATE TABLE wide AS SELECT n, repeat('x', 100) AS x FROM generate_series(1, 1000) n; CREATE INDEX ON wide (x); ANALYZE")
    hold = subprocess.Popen([paas.bin + '/paasctl', 'pg:psql', '-a', 'shop', '-c',
                             'BEGIN; LOCK TABLE wide IN EXCLUSIVE MODE; SELECT pg_sleep(60)'], env=paas.env(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        row = wait_for('the sleeper', lambda: [r for r in ask_stats(paas, 'ps') if 'pg_sleep(60)' in r['query']])[0]
        for name in STATISTICS[1:]:
            rows = ask_stats(paas, name)
            if name == 'locks':
                assert any(r['relname'] == 'wide' and r['mode'] == 'ExclusiveLock' for r in rows)
            elif name in ('table-size', 'records-rank', 'vacuum-stats'):
                assert 'wide' in str(rows)
        assert 'ExclusiveLock' in paas.ctl('pg:locks', '-a', 'shop').stdout
        paas.ctl('pg:kill', str(row['pid']), '--force', '-a', 'shop')
        assert hold.wait(10) != 0 and 'terminat' in hold.stderr.read()
        assert paas.ctl('pg:kill', '1; DROP', '-a', 'shop', check=False).returncode == 2
    finally:
        hold.kill()
        hold.communicate()


def ask_stats(paas, name):
    return json.loads(paas.ctl('pg:' + name, '--json', '-a', 'shop').stdout)


def test_information_and_settings(paas, c, shop):
    a, _ = shop
    text = paas.ctl('pg', '-a', 'shop').stdout
    for part in ('=== DATABASE_URL', 'Plan:', 'Standard 0', 'Available', '/120', 'PG Version:', 'Data Size:', '/ 64.0 GB', 'Tables:'):
        assert part in text, text
    db = f'/client/v11/databases/{a["id"]}'
    seen = c('GET', db, want=200).json
    assert seen['resource_url'] == url_of(paas, 'shop') and seen['postgres_version'].startswith('1')
    assert c('GET', db + '/wait_status', want=200).json == {'waiting?': False, 'message': 'available', 'error?': False}
    paas.ctl('pg:wait', '-a', 'shop')
    assert {'name': 'hstore'} in c('GET', db + '/extensions', want=200).json
    c('PUT', db + '/stats_reset', want=200)
    paas.ctl('pg:extensions', '--add', 'earthdistance', '-a', 'shop')
    c('POST', db + '/extensions', {'extensions': ['bloom']}, want=200)
    c('POST', db + '/extensions', {'extensions': ['file_fdw']}, want=422)
    assert c('GET', db + '/links', want=200).json == []
    for method, path in (('PUT', '/unfollow'), ('POST', '/links'), ('DELETE', '/links/x'), ('POST', '/upgrade/run'), ('GET', '/upgrade/wait_status'),
                         ('POST', '/connection-pooling')):
        assert len(c(method, db + path, want=422).message) > 30
    v0 = f'/postgres/v0/databases/{a["name"]}'
    paas.ctl('pg:settings', 'DATABASE_URL', 'log_statement=ddl', 'log-lock-waits=on', '-a', 'shop')
    assert c('GET', v0 + '/config', want=200).json['log_lock_waits']['value'] is True
    c('PATCH', v0 + '/config', {'fsync': False}, want=422)
    c('PATCH', v0 + '/config', {'log_statement': 'none'}, want=200)
    assert one(paas, 'SHOW log_statement') == 'none'


def test_named_credentials(paas, c, shop):
    a, _ = shop
    v0 = f'/postgres/v0/databases/{a["name"]}'
    paas.ctl('pg:credentials:create', '--name', 'analyst', '-a', 'shop')
    c('POST', v0 + '/credentials', {'name': 'analyst'}, want=422)
    c('POST', v0 + '/credentials', {'name': 'second'}, want=200)
    cred = c('GET', v0 + '/credentials/analyst', want=200).json
    user = cred['credentials'][0]['user']
    assert [x['name'] for x in c('GET', v0 + '/credentials', want=200).json] == ['analyst', 'default', 'second']
    assert user in paas.ctl('pg:credentials', '-a', 'shop').stdout
    c('POST', '/addon-attachments', {'addon': a['name'], 'app': 'shop', 'name': 'REPORTS', 'namespace': 'credential:analyst'}, want=201)
    psql(paas, '-c', f'GRANT SELECT ON hits TO "{user.rsplit("_", 1)[0]}"')
    assert int(psql(paas, 'REPORTS_URL', '-c', 'SELECT count(*) FROM hits').stdout.split('\n')[2]) > 0
    assert 'permission denied' in psql(paas, 'REPORTS_URL', '-c', 'DELETE FROM hits', check=False).stderr
    before = url_of(paas, 'shop', 'REPORTS_URL')
    paas.ctl('pg:credentials:rotate', '--name', 'analyst', '-a', 'shop', '--confirm', 'shop')
    after = wait_for('the new URL', lambda: url_of(paas, 'shop', 'REPORTS_URL') != before and url_of(paas, 'shop', 'REPORTS_URL'))
    assert after in paas.ctl('pg:credentials:url', '--name', 'analyst', '-a', 'shop').stdout
    psql(paas, 'REPORTS_URL', '-c', 'SELECT count(*) FROM hits')
    r = paas.ctl('pg:credentials:destroy', '--name', 'analyst', '-a', 'shop', '--confirm', 'shop', check=False)
    assert r.returncode and 'REPORTS' in r.stderr or 'attached' in r.stderr, r.stderr
    attached = c('GET', '/apps/shop/addon-attachments/REPORTS', want=200).json
    c('DELETE', f'/addon-attachments/{attached["id"]}', want=200)
    paas.ctl('pg:credentials:destroy', '--name', 'analyst', '-a', 'shop', '--confirm', 'shop')
    c('POST', v0 + '/repair-default', want=200)
    c('POST', v0 + '/credentials/second/credentials_rotation', {'forced': True}, want=200)
    c('POST', v0 + '/credentials_rotation', {}, want=200)
    c('DELETE', v0 + '/credentials/second', want=200)
    c('DELETE', v0 + '/credentials/default', want=422)


def test_a_full_database_and_a_larger_plan(paas, c):
    c('POST', '/apps', {'name': 'hoard'}, want=201)
    a = addon(paas, 'hoard', 'essential-tiny')
    psql(paas, '-c', "CREATE TABLE big AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 3000)", app='hoard')
    wait_for('the announcement', lambda: 'new sessions are read-only' in paas.logs('hoard'))
    r = psql(paas, '-c', "INSERT INTO big VALUES ('y')", app='hoard', check=False)
    assert r.returncode and 'read-only transaction' in r.stderr
    assert 'Read-only: larger than its plan' in paas.ctl('pg:info', '-a', 'hoard').stdout
    c('PATCH', f'/apps/hoard/addons/{a["name"]}', {'plan': f'{SERVICE}:essential-1'}, want=200)
    wait_for('the end of it', lambda: 'it can be written to' in paas.logs('hoard'))
    psql(paas, '-c', "INSERT INTO big VALUES ('y')", app='hoard')
    r = paas.api('PATCH', f'/apps/hoard/addons/{a["name"]}', {'plan': f'{SERVICE}:essential-tiny'})
    assert r[0] == 422 and 'this plan holds 9 MB' in r[1]['message'], r[1]
    # Reset, promote, destroy.
    c('PUT', f'/client/v11/databases/{a["id"]}/reset', {'extensions': ['citext']}, want=200)
    assert 'does not exist' in psql(paas, '-c', 'SELECT * FROM big', app='hoard', check=False).stderr
    c('POST', f'/client/v11/databases/{a["id"]}/connection_reset', want=200)
    paas.ctl('pg:reset', '-a', 'hoard', '--confirm', 'hoard')
    paas.ctl('pg:killall', '-a', 'hoard')
    second = addon(paas, 'hoard')
    other = next(x['name'] for x in c('GET', '/apps/hoard/addon-attachments', want=200).json if x['addon']['name'] == second['name'])
    assert other.startswith('HEROKU_POSTGRESQL_')
    wanted = url_of(paas, 'hoard', other + '_URL')
    paas.ctl('pg:promote', other, '-a', 'hoard')
    assert url_of(paas, 'hoard') == wanted
    assert len([k for k in paas.api('GET', '/apps/hoard/config-vars')[1] if k.startswith('HEROKU_POSTGRESQL_')]) >= 1
    releases = [r['description'] for r in c('GET', '/apps/hoard/releases', want=200).json]
    assert any('Attach DATABASE' in d for d in releases) and any('Detach DATABASE' in d for d in releases)
    databases = one(paas, "SELECT count(*) FROM pg_database WHERE datname ~ '^d'", app='hoard')
    paas.ctl('apps:destroy', '-a', 'hoard', '--confirm', 'hoard')
    wait_for('both databases to go', lambda: int(one(paas, "SELECT count(*) FROM pg_database WHERE datname ~ '^d'")) == int(databases) - 2)


def test_every_route_has_answered(c, request):
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('postgres') - c.seen == set()
