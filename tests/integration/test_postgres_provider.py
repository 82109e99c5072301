"""The add-on service heroku-postgresql by itself: its verbs as paasd calls them, and its cluster as a service is run."""
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
from platform_under_test import free_port, wait_for  # noqa: E402

SERVICE = os.path.join(ROOT, 'addons', 'heroku-postgresql')
FLAVOUR = os.environ.get('PAAS_FLAVOUR', '')
PROGRAM = os.path.join(ROOT, 'build', FLAVOUR, 'paas-postgres')
ESSENTIAL = {'disk_mb': 1024, 'connections': 5}
STANDARD = {'disk_mb': 4096, 'connections': 10, 'credentials': 20}


class Refused(Exception):
    def __init__(self, status, answer):
        super().__init__(f'{status}: {answer}')
        self.status, self.message = status, answer.get('message', '')


class Cluster:
    """Runs bin/serve as the platform runs it without sandboxes."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='paas-pgp-', dir='/tmp')
        self.user = pwd.getpwnam('postgres')
        self.port = free_port()
        self.spec = self.raw('service', {'service': {'private': {}}, 'settings': {}})
        self.private = self.spec['private']
        self.write_files()
        shutil.copytree(SERVICE, self.dir + '/home', symlinks=True)
        os.mkdir(self.dir + '/data')
        for path in ('', '/data', '/etc', *('/etc/' + n for n in os.listdir(self.dir + '/etc'))):
            os.chown(self.dir + path, self.user.pw_uid, self.user.pw_gid)
        self.proc = None
        self.start()

    def raw(self, verb, request):
        r = subprocess.run([PROGRAM, verb], input=json.dumps(request), capture_output=True, text=True, timeout=60)
        if r.returncode:
            raise Refused(r.returncode, json.loads(r.stdout))
        assert r.stderr == ''
        return json.loads(r.stdout)

    def write_files(self):
        os.makedirs(self.dir + '/etc', exist_ok=True)
        for name, text in self.spec['service']['files'].items():
            if name == 'postgresql.conf':
                text += 'fsync = off\n'  # of the test alone
            with open(f'{self.dir}/etc/{name}', 'w') as f:
                f.write(text)

    def start(self):
        env = {'PATH': '/usr/bin:/bin', 'LANG': 'C.UTF-8', 'SERVICE_DATA': self.dir + '/data', 'SERVICE_ETC': self.dir + '/etc',
               'SERVICE_HOME': self.dir + '/home', 'SERVICE_ADDRESS': '127.0.0.1', 'SERVICE_PORT': str(self.port)}
        with open(self.dir + '/log', 'ab') as log:
            self.proc = subprocess.Popen(
                ['setpriv', '--reuid', str(self.user.pw_uid), '--regid', str(self.user.pw_gid), '--clear-groups', '--no-new-privs',
                 self.dir + '/home/bin/serve'], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True)

        def up():
            assert self.proc.poll() is None, self.log()
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
            except OSError:
                return False
            return self.psql(self.admin_url(), 'SELECT 1', check=False).returncode == 0
        wait_for('the cluster', up)

    def log(self):
        with open(self.dir + '/log') as f:
            return f.read()

    def admin_url(self, db='postgres'):
        return f'postgres://paas:{self.private["password"]}@127.0.0.1:{self.port}/{db}'

    def admin(self, sql, db='postgres'):
        return self.psql(self.admin_url(db), sql).stdout.strip()

    def psql(self, url, sql, check=True):
        r = subprocess.run(['psql', '-XqtA', '-v', 'ON_ERROR_STOP=1', url], input=sql, capture_output=True, text=True, timeout=30,
                           env={'PATH': '/usr/bin:/bin', 'HOME': '/nonexistent'})
        assert not check or r.returncode == 0, r.stderr
        return r

    def kill9(self):
        """The postmaster alone, as the kernel would when memory runs out."""
        with open(self.dir + '/data/cluster/postmaster.pid') as f:
            os.kill(int(f.readline()), signal.SIGKILL)
        self.proc.wait(10)

    def stop(self):
        self.proc.terminate()
        return self.proc.wait(20)

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.stop()
        shutil.rmtree(self.dir)


class Addon:
    def __init__(self, cluster, limits=None):
        self.cluster, self.uuid = cluster, str(uuid.uuid4())
        self.limits, self.config, self.private = dict(limits or ESSENTIAL), {}, {}

    def request(self, params=None):
        return {'addon': {'uuid': self.uuid, 'limits': self.limits, 'config': self.config, 'private': self.private},
                'service': {'id': 'x', 'address': '127.0.0.1', 'port': self.cluster.port, 'private': self.cluster.private},
                'settings': {}, 'params': params or {}}

    def call(self, verb, store=True, **params):
        answer = self.cluster.raw(verb, self.request(params))
        if store and 'config' in answer and 'credential' not in params:
            self.config, self.private = answer['config'], answer['private']
        return answer

    @property
    def url(self):
        return self.config['URL']

    def sql(self, sql, url=None, check=True):
        return self.cluster.psql(url or self.url, sql, check)

    def refused(self, sql, url=None):
        r = self.sql(sql, url, check=False)
        assert r.returncode, r.stdout
        return r.stderr


def database(url):
    return url.rsplit('/', 1)[1]


def login(url):
    return url.split('//')[1].split(':')[0]


@pytest.fixture(scope='module')
def cluster():
    c = Cluster()
    try:
        yield c
    finally:
        c.close()


@pytest.fixture(scope='module')
def db(cluster):
    a = Addon(cluster)
    a.call('provision')
    return a


def left(cluster):
    return cluster.admin("SELECT datname FROM pg_database WHERE datname ~ '^d[0-9a-f]{14}$' "
                         "UNION ALL SELECT rolname FROM pg_roles WHERE rolname !~ '^(paas$|pg_)'").split()


def test_the_service_is_the_same_when_it_is_asked_again(cluster):
    again = cluster.raw('service', {'service': {'private': cluster.private}, 'settings': {}})
    assert again == cluster.spec
    assert cluster.raw('service', {'service': {}, 'settings': {'url': 'postgres://a:b@db.example.com/postgres'}}) == {}


def test_use(db):
    assert db.url.startswith('postgres://u')
    db.sql('CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE EXTENSION hstore; CREATE EXTENSION IF NOT EXISTS pg_stat_statements;'
           'CREATE EXTENSION citext SCHEMA heroku_ext; CREATE SCHEMA other; CREATE TABLE other.x (c citext)')
    assert db.sql('SHOW ssl').stdout.strip() == 'on'
    assert 'permission denied' in db.refused('CREATE EXTENSION file_fdw')
    assert 'permission denied' in db.refused('CREATE ROLE x')
    info = db.call('info')
    assert info['version'].startswith('15') and info['tables'] == 2 and info['connection_limit'] == 5 and not info['read_only']
    assert 'citext,' in db.sql("SELECT current_setting('extwlist.extensions')").stdout
    assert info['bytes'] > 1 << 20 and 'hstore' in info['extensions'] and 'file_fdw' not in info['extensions']
    db.call('health')


def test_provision_again_is_the_same_database(cluster, db):
    before = dict(db.config)
    db.call('provision')
    assert database(db.url) == database(before['URL']) and db.sql('SELECT a FROM t').stdout == '1\n'
    assert 'password authentication failed' in db.refused('SELECT 1', before['URL'])


def test_a_tenant_knows_nothing_of_another(cluster, db):
    other = Addon(cluster)
    other.call('provision')
    other.sql("CREATE TABLE secret (word text); INSERT INTO secret VALUES ('swordfish')")
    theirs, mine = database(other.url), db.url
    for target in (theirs, 'postgres', 'template1'):
        assert 'permission denied for database' in db.refused('SELECT 1', mine.replace(database(mine), target))
    assert 'permission denied' in db.refused(f"SELECT pg_database_size('{theirs}')")
    assert 'permission denied' in db.refused("SELECT pg_tablespace_size('pg_default')")
    assert 'permission denied' in db.refused('SELECT * FROM pg_stat_database')
    assert 'permission denied' in db.refused('SELECT pg_read_file(\'PG_VERSION\')')
    assert 'permission denied' in db.refused('SELECT * FROM pg_ls_waldir()')
    db.sql(f'GRANT CONNECT ON DATABASE "{theirs}" TO PUBLIC', check=False)  # a warning that nothing was granted, at most
    assert 'permission denied for database' in db.refused('SELECT 1', mine.replace(database(mine), theirs))
    assert 'must be owner' in db.refused(f'ALTER DATABASE "{database(mine)}" CONNECTION LIMIT -1')
    assert 'permission denied' in db.refused(f'SET ROLE "{login(other.url)}"')
    assert 'must' in db.refused(f'GRANT "{login(mine)}" TO "{login(other.url)}"')
    assert 'must' in db.refused("COPY (SELECT 1) TO PROGRAM 'id'")
    # What another one runs is not shown.
    hold = subprocess.Popen(['psql', '-Xq', other.url], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        hold.stdin.write("SELECT 'swordfish', pg_sleep(20);\n")
        hold.stdin.flush()
        wait_for('the query', lambda: 'swordfish' in cluster.admin('SELECT query FROM pg_stat_activity WHERE query LIKE \'%pg_sleep%\' '
                                                                   'AND pid <> pg_backend_pid()'))
        seen = db.sql('SELECT * FROM pg_stat_activity; SELECT query FROM heroku_ext.pg_stat_statements; SELECT * FROM pg_locks').stdout
        assert 'swordfish' not in seen and '<insufficient privilege>' in seen
        assert 'must' in db.refused(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{theirs}'")
    finally:
        hold.kill()
        hold.communicate()
    other.call('deprovision')
    assert theirs not in left(cluster)


def superusers(cluster):
    return cluster.admin('SELECT rolname FROM pg_roles WHERE rolsuper').split()


def test_no_statement_of_a_tenant_is_run_by_the_administrator(cluster):
    """Verbs connect to tenants' databases as a superuser: what tenants make there is never called."""
    a = Addon(cluster)
    a.call('provision')
    trap = f"""LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE "{login(a.url)}" SUPERUSER'; RETURN {{}}; END $$;"""
    for args in ('int, oid, int', 'oid, oid, int', 'int, oid, bigint', 'bigint, oid, bigint'):
        a.sql(f'CREATE FUNCTION heroku_ext.pg_stat_statements_reset({args}) RETURNS void ' + trap.format(''))
    a.sql('CREATE FUNCTION public.pg_stat_reset() RETURNS void ' + trap.format('') + 'CREATE FUNCTION public.trap(name, name) RETURNS bool '
          + trap.format('true') + 'CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap)')
    for verb in ('statistics', 'info', 'watch', 'sessions', 'repair', 'rotate'):
        a.call(verb, forced=True)
        assert superusers(cluster) == ['paas'], verb
    assert 'ermission denied' in a.refused('CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION public.pg_stat_reset()')
    # Scripts of extensions find nothing of the tenant's: neither by the schema, nor by what they need.
    a.sql('CREATE EXTENSION cube')
    with pytest.raises(Refused) as e:
        a.call('extensions', extensions=['earthdistance'])
    assert 'drop that' in e.value.message
    a.sql('DROP EXTENSION cube')
    a.call('extensions', extensions=['earthdistance'])
    assert a.sql("SELECT DISTINCT extnamespace::regnamespace FROM pg_extension WHERE extname IN ('cube', 'earthdistance')").stdout == 'paas_ext\n'
    assert 'permission denied' in a.refused('CREATE FUNCTION paas_ext.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$')
    assert 'must be owner' in a.refused('ALTER SCHEMA paas_ext RENAME TO x') and 'must be owner' in a.refused('DROP SCHEMA paas_ext CASCADE')
    assert a.sql('SELECT earth() > 0').stdout == 't\n'
    name = a.call('scratch', store=False, action='create', name='x')['database']
    assert a.sql('SELECT earth() > 0', a.url.replace(database(a.url), name)).stdout == 't\n'
    a.call('scratch', store=False, action='swap', name='x')
    assert a.sql('SELECT earth() > 0').stdout == 't\n' and superusers(cluster) == ['paas']
    a.call('reset')
    assert 'does not exist' in a.refused('SELECT earth()')
    a.call('deprovision')


def test_what_a_tenant_may_ask_the_server_for(cluster, db):
    """Neither files, programs, nor connections from its place; nor what others are doing."""
    other = Addon(cluster)
    other.call('provision')
    theirs = database(other.url)
    asked = ("COPY (SELECT 1) TO '/tmp/x'", "CREATE TABLE f (t text); COPY f FROM '/etc/passwd'", "COPY (SELECT 1) TO PROGRAM 'id'",
             "SELECT lo_import('/etc/passwd')", "SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/x')", "SELECT pg_read_file('/etc/passwd')",
             "SELECT pg_read_binary_file('postgresql.conf')", "SELECT * FROM pg_ls_dir('.')", 'SELECT * FROM pg_ls_logdir()',
             "SELECT * FROM pg_stat_file('PG_VERSION')", 'SELECT * FROM pg_hba_file_rules', 'SELECT * FROM pg_file_settings',
             'SELECT * FROM pg_authid', 'SELECT * FROM pg_shadow', "SELECT pg_tablespace_size('pg_global')", 'SELECT * FROM pg_ls_tmpdir()',
             f"SELECT pg_database_size('{theirs}')", "SELECT pg_database_size('postgres')", 'SELECT * FROM pg_stat_database',
             'CREATE EXTENSION dblink', 'CREATE EXTENSION postgres_fdw', 'CREATE EXTENSION file_fdw', 'CREATE EXTENSION adminpack',
             'CREATE EXTENSION plpython3u', "LOAD '/tmp/x.so'", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system'",
             "CREATE FUNCTION f() RETURNS text LANGUAGE internal AS 'pg_read_file_all'", 'ALTER SYSTEM SET log_statement = 1',
             "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)", 'CREATE TABLESPACE t LOCATION \'/tmp\'',
             "SELECT pg_create_physical_replication_slot('x')", 'SELECT pg_switch_wal()', 'SELECT pg_reload_conf()', 'CHECKPOINT',
             'SET session_preload_libraries = x', 'SET log_statement = none', 'SELECT pg_promote()', 'CREATE DATABASE x',
             f'DROP DATABASE "{theirs}"', f'ALTER ROLE "{login(other.url)}" PASSWORD \'x\'', 'SET SESSION AUTHORIZATION paas', 'SET ROLE paas',
             f'GRANT pg_read_server_files TO "{login(db.url)}"', f'REASSIGN OWNED BY "{login(other.url)}" TO "{login(db.url)}"')
    said = subprocess.run(['psql', '-XqtA', db.url], input=''.join(f'{s};\n\\echo @@\n' for s in asked), stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=60, env={'PATH': '/usr/bin:/bin', 'HOME': '/nonexistent'}).stdout.split('@@\n')
    assert len(said) == len(asked) + 1
    for sql, answer in zip(asked, said):
        assert re.search('ERROR:.*(ermission denied|must |not available|is not allowed|not trusted|access to)', answer), (sql, answer)
    # \l+ of psql, which tells sizes where it may
    listed = subprocess.run(['psql', '-XqtA', '-R', '@@', db.url, '-c', r'\l+'], capture_output=True, text=True, timeout=30).stdout
    (row,) = [row for row in listed.split('@@') if row.startswith(theirs + '|')]
    assert 'No Access' in row, row
    other.call('deprovision')


def test_connections_are_limited(cluster, db):
    held = [subprocess.Popen(['psql', '-Xq', db.url], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(5)]
    try:
        wait_for('five', lambda: cluster.admin(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database(db.url)}'") == '5')
        assert 'too many connections' in db.refused('SELECT 1')
        assert db.call('sessions')['ended'] == 5
    finally:
        for p in held:
            p.kill()
            p.communicate()
    db.sql('SELECT 1')


def test_rotation_keeps_both_passwords_for_a_while(cluster, db):
    old = db.url
    db.call('rotate', forced=False)
    new = db.url
    assert login(new) != login(old) and database(new) == database(old)
    db.sql('INSERT INTO t VALUES (2)', old)
    db.sql('CREATE TABLE made_new (a int); ALTER TABLE t ADD b int; INSERT INTO t VALUES (3)', new)
    db.sql('CREATE TABLE made_old (a int); INSERT INTO made_new VALUES (1)', old)
    db.sql('DROP TABLE made_old; SELECT count(*) FROM made_new', new)
    assert db.call('watch')['retired'] == 0
    cluster.admin(f"ALTER ROLE {login(old)} VALID UNTIL '2020-01-01'")  # the grace is over
    assert 'password authentication failed' in db.refused('SELECT 1', old)
    assert db.call('watch')['retired'] == 1
    assert login(old) not in left(cluster)
    assert db.sql('SELECT count(*) FROM t', new).stdout == '3\n'
    db.sql('ALTER TABLE t DROP b; DROP TABLE made_new; CREATE TABLE public.y (a int); DROP TABLE public.y', new)
    # At once, and again as after a kill whose answer was lost.
    before = db.url
    db.call('rotate', store=False, forced=True)
    db.call('rotate', forced=True)
    assert 'password authentication failed' in db.refused('SELECT 1', before)
    db.sql('DROP SCHEMA other CASCADE')
    # Three at a time, the middle one ended.
    db.call('rotate', forced=False)
    db.call('rotate', forced=True)
    db.sql('CREATE TABLE third (a int); ALTER TABLE t ADD c int; DROP TABLE third; ALTER TABLE t DROP c')


def test_named_credentials(cluster):
    essential, a = Addon(cluster), Addon(cluster, STANDARD)
    essential.call('provision')
    with pytest.raises(Refused) as e:
        essential.call('credentials', action='create', credential='analyst')
    assert e.value.status == 1 and 'no named credentials' in e.value.message
    essential.call('deprovision')
    a.call('provision')
    a.sql('CREATE TABLE t (a int); INSERT INTO t VALUES (7)')
    made = a.call('credentials', action='create', credential='analyst')
    url, group = made['config']['URL'], made['private']['group']
    assert 'permission denied' in a.refused('SELECT * FROM t', url)
    a.sql(f'GRANT SELECT ON t TO "{group}"; GRANT CREATE ON SCHEMA public TO "{group}"')
    assert a.sql('SELECT a FROM t', url).stdout == '7\n'
    assert 'permission denied' in a.refused('INSERT INTO t VALUES (1)', url)
    a.sql('CREATE TABLE theirs (a int)', url)
    # Both rotate; what was granted stays.
    again = a.call('rotate', credential='analyst', private=made['private'], forced=True)
    assert a.sql('SELECT a FROM t', again['config']['URL']).stdout == '7\n'
    assert 'password authentication failed' in a.refused('SELECT 1', url)
    a.call('rotate', forced=True)
    a.sql('SELECT * FROM theirs')
    a.call('repair')
    a.sql('ALTER TABLE theirs ADD b int')
    for bad in ('default', 'x y', 'A', '', 'a' * 41, 'x";drop'):
        with pytest.raises(Refused):
            a.call('credentials', action='create', credential=bad)
    a.call('credentials', action='destroy', credential='analyst')
    a.call('credentials', action='destroy', credential='analyst')
    assert group not in left(cluster)
    settings = a.call('settings', set={'log_statement': 'ddl', 'log_min_duration_statement': 200, 'log_lock_waits': True})
    assert settings['log_statement']['value'] == 'ddl' and settings['log_lock_waits']['value'] is True
    assert a.sql('SHOW log_min_duration_statement').stdout == '200ms\n'
    assert settings['auto_explain'] == {**settings['auto_explain'], 'value': False, 'default': False}
    assert a.call('settings', set={'auto_explain': True, 'auto_explain.log_format': 'json'})['auto_explain']['value'] is True
    assert a.sql('SHOW auto_explain.sample_rate').stdout == '1\n'
    a.call('statistics')
    for bad in ({'log_statement': "x'"}, {'fsync': False}, {'log_lock_waits': 1}, {'track_functions': 3}):
        with pytest.raises(Refused):
            a.call('settings', set=bad)
    a.call('deprovision')
    a.call('deprovision')


def test_plan_and_size(cluster):
    a = Addon(cluster)
    a.call('provision')
    a.sql("CREATE TABLE big AS SELECT repeat('x', 1000) AS x, n FROM generate_series(1, 4000) n")
    with pytest.raises(Refused) as e:
        a.call('change', limits={'disk_mb': 8, 'connections': 10})
    assert 'this plan holds 8 MB' in e.value.message
    a.call('change', limits={'disk_mb': 64, 'connections': 1})
    assert cluster.admin(f"SELECT datconnlimit FROM pg_database WHERE datname = '{database(a.url)}'") == '1'
    with pytest.raises(Refused) as e:
        a.call('change', limits={'disk_mb': 64, 'connections': 1000})
    assert 'max_connections' in e.value.message
    assert not a.call('watch')['read_only']
    a.limits['disk_mb'] = 8
    watched = a.call('watch')
    assert watched['read_only'] and watched['bytes'] > 8 << 20
    assert 'read-only transaction' in a.refused('CREATE TABLE more (a int)')
    a.sql('SET default_transaction_read_only = off; TRUNCATE big')
    assert not a.call('watch')['read_only'] or a.call('info')['bytes'] > 8 << 20
    a.limits['disk_mb'] = 64
    assert not a.call('watch')['read_only']
    a.sql('CREATE TABLE more (a int)')
    a.call('deprovision')


def test_reset(cluster):
    a = Addon(cluster)
    a.call('provision')
    a.sql('CREATE TABLE t (a int); CREATE SCHEMA s')
    with pytest.raises(Refused) as e:
        a.call('reset', extensions=['file_fdw'])
    assert 'not available' in e.value.message
    a.sql('SELECT * FROM t')
    a.call('reset', extensions=['earthdistance', 'uuid-ossp'])
    assert 'does not exist' in a.refused('SELECT * FROM t')
    assert a.sql("SELECT extname FROM pg_extension WHERE extname ~ 'earth|uuid' ORDER BY 1").stdout == 'earthdistance\nuuid-ossp\n'
    a.sql('CREATE TABLE t (a uuid DEFAULT uuid_generate_v4())')
    a.call('deprovision')


def test_a_scratch_database_takes_the_place(cluster):
    a = Addon(cluster, STANDARD)
    a.call('provision')
    a.call('credentials', store=False, action='create', credential='reports')
    a.sql('CREATE TABLE t (n int); INSERT INTO t VALUES (1)')
    name = a.call('scratch', store=False, action='create', name='x1')['database']
    scratch = a.url.rsplit('/', 1)[0] + '/' + name
    assert a.sql("SELECT to_regclass('t')", scratch).stdout.strip() == ''
    a.sql('CREATE TABLE t (n int); INSERT INTO t VALUES (2)', scratch)
    def value():
        return a.sql('SELECT n FROM t').stdout.strip()
    assert value() == '1'
    a.call('scratch', store=False, action='create', name='x1')  # again: an empty one
    a.sql('CREATE TABLE t (n int); INSERT INTO t VALUES (3)', scratch)
    acl = "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = current_database()"
    before = a.sql(acl).stdout
    assert a.call('scratch', store=False, action='swap', name='x1') == {'swapped': True}
    assert value() == '3' and a.sql(acl).stdout == before
    assert a.call('scratch', store=False, action='swap', name='x1') == {'swapped': False}
    a.call('scratch', store=False, action='create', name='x2')
    a.call('scratch', store=False, action='drop', name='x2')
    a.call('scratch', store=False, action='drop', name='x2')
    a.call('scratch', store=False, action='create', name='x3')
    with pytest.raises(Refused):
        a.call('scratch', store=False, action='create', name='../x')
    tag = a.private['tag']
    left = f"SELECT count(*) FROM pg_database WHERE datname LIKE '%{tag}%'"
    assert a.sql(left).stdout.strip() == '2'
    a.call('deprovision')
    other = Addon(cluster)
    other.call('provision')
    assert other.sql(left).stdout.strip() == '0'
    other.call('deprovision')


def test_provision_killed_at_any_point(cluster):
    """Whatever was done by then: the next one finishes it, and a deprovision after it leaves nothing."""
    before = sorted(left(cluster))
    took = time.monotonic()
    a = Addon(cluster)
    a.call('provision')
    took = time.monotonic() - took
    a.call('deprovision')
    for i in range(6):
        a = Addon(cluster)
        p = subprocess.Popen([PROGRAM, 'provision'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        p.stdin.write(json.dumps(a.request()).encode())
        p.stdin.close()
        try:
            p.wait(took * (i + 1) / 6)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        if i % 2:
            a.call('provision')
            a.sql('CREATE TABLE t (a int)')
        a.call('deprovision')
    assert sorted(left(cluster)) == before


def test_the_cluster_killed_during_provisions(cluster, db):
    addons, errors = [Addon(cluster) for _ in range(3)], []

    def provision(a):
        until = time.monotonic() + 30
        while True:  # as the machine does: 75 is "not yet"
            try:
                a.call('provision')
                return
            except Refused as e:
                if e.status != 75 or time.monotonic() > until:
                    errors.append(e)
                    return
                time.sleep(0.05)
    threads = [threading.Thread(target=provision, args=(a,)) for a in addons]
    for t in threads:
        t.start()
    cluster.kill9()
    with pytest.raises(Refused) as e:
        db.call('health')
    assert e.value.status == 75 and 'does not answer' in e.value.message
    cluster.start()
    for t in threads:
        t.join()
    assert not errors
    for a in addons:
        a.sql('CREATE TABLE t (a int)')
        a.call('deprovision')
    assert db.sql('SELECT count(*) FROM t').stdout == '3\n'


def test_a_new_password_of_the_platform_counts(cluster, db):
    assert cluster.stop() == 0
    cluster.private = {**cluster.private, 'password': 'p' + secrets.token_hex(16)}
    with open(cluster.dir + '/etc/password', 'w') as f:
        f.write(cluster.private['password'])
    cluster.start()
    db.call('health')
    assert cluster.private['password'] not in cluster.log()


def test_an_outside_server(cluster):
    """By an administrator who is no superuser, as companies that rent databases out give."""
    cluster.admin("CREATE ROLE landlord LOGIN CREATEDB CREATEROLE PASSWORD 'l4ndlord'")
    a = Addon(cluster, STANDARD)
    url = f'postgres://landlord:l4ndlord@127.0.0.1:{cluster.port}/postgres'
    cluster.admin('GRANT CONNECT ON DATABASE postgres TO landlord')
    request = a.request
    a.request = lambda params=None: {**request(params), 'service': None, 'settings': {'url': url}}
    a.call('provision')
    a.sql('CREATE TABLE t (a int)')
    a.call('rotate', forced=True)
    a.sql('ALTER TABLE t ADD b int')
    a.call('credentials', action='create', credential='x')
    a.call('info')
    a.call('watch')
    a.call('deprovision')
    assert left(cluster).count('landlord') == 1 and not [n for n in left(cluster) if a.private['tag'] in n]
    cluster.admin('REVOKE CONNECT ON DATABASE postgres FROM landlord; DROP ROLE landlord')
