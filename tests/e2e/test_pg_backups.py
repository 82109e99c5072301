"""Backups, restores and copies of databases with a real cluster: what is in them, that they are verified and encrypted, who may,
and what is left after faults."""
import contextlib
import glob
import hashlib
import http.server
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, wait_for
from postgres import postmasters

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPTIONS = ('--set', 'allow_private_urls=true', '--set', 'backups.keep_manual=3')


@pytest.fixture(scope='module')
def paas():
    p = Platform(ROOT, *OPTIONS, flavour=os.environ.get('PAAS_FLAVOUR', ''))
    try:
        p.start()
        yield p
    finally:
        p.close()


class Db:
    def __init__(self, c, app):
        self.c, self.app = c, app
        c('POST', '/apps', {'name': app}, want=201)
        self.addon = c('POST', f'/apps/{app}/addons', {'plan': 'heroku-postgresql:essential-0'}).json['name']
        wait_for('the database', lambda: c('GET', f'/apps/{app}/addons/{self.addon}').json['state'] == 'provisioned', 90)
        self.path, self.list = f'/client/v11/databases/{self.addon}', f'/client/v11/apps/{app}/transfers'

    @property
    def url(self):
        return self.c('GET', f'/apps/{self.app}/config-vars').json['DATABASE_URL']

    def sql(self, sql, check=True):
        r = subprocess.run(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', self.url], input=sql, text=True, capture_output=True, timeout=60)
        assert not check or r.returncode == 0, r.stderr
        return r.stdout.strip()

    @contextlib.contextmanager
    def held(self, table='items'):
        """Nothing can read the table: a dump of it is under way as long as this lasts."""
        p = subprocess.Popen(['psql', '-XqAt', self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            p.stdin.write(f'BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 1;\n')
            p.stdin.flush()
            assert p.stdout.readline() == '1\n'
            yield p
        finally:
            p.kill()
            p.wait()

    def begin(self, kind='backups', body=None, want=201):
        return self.c('POST', f'{self.path}/{kind}', body, want=want).json

    def get(self, t):
        return self.c('GET', f'{self.list}/{t["uuid"]}', want=200).json

    def state(self, t, *states, timeout=90):
        seen = {}

        def there():
            seen.update(self.get(t))
            return seen['state'] in states or (seen['finished_at'] and states != ('running',))
        wait_for(f'{states}', there, timeout)
        assert seen['state'] in states, seen
        return seen

    def done(self, t, state='succeeded'):
        return self.state(t, state)

    def capture(self):
        return self.done(self.begin())

    def scratch(self):
        return self.sql("SELECT count(*) FROM pg_database WHERE datname ~ ('^[so]' || substr(current_database(), 2))")


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def db(c):
    d = Db(c, 'shop')
    d.sql("""CREATE EXTENSION hstore; CREATE SCHEMA "Odd one";
        CREATE TYPE mood AS ENUM ('glad', 'sad');
        CREATE TABLE items (id serial PRIMARY KEY, name text, m mood, at timestamptz DEFAULT now(), f float8, h hstore);
        INSERT INTO items (name, m, f, h) SELECT 'secret-item ' || i, 'glad', random(), 'a=>1' FROM generate_series(1, 3000) i;
        CREATE TABLE "Odd one"."t t" ("a b" int REFERENCES items); INSERT INTO "Odd one"."t t" VALUES (7);
        CREATE VIEW glad AS SELECT * FROM items WHERE m = 'glad'; SELECT lo_from_bytea(0, 'a large object');""")
    return d


def files(paas):
    return {os.path.basename(f) for f in glob.glob(paas.state + '/backups/*')}


def content(db):
    return db.sql("SELECT md5(string_agg(i::text, '|' ORDER BY id)) FROM items i") + db.sql('SELECT * FROM "Odd one"."t t"')


@contextlib.contextmanager
def served(folder):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), lambda *a: http.server.SimpleHTTPRequestHandler(*a, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


def processes(name, role):
    """Of that name that log in as that role."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open(f'/proc/{pid}/comm') as f, open(f'/proc/{pid}/environ', 'rb') as env:
            if f.read() == name + '\n' and f'PGUSER={role}\0'.encode() in env.read():
                yield pid


def test_backup_destroy_restore(paas, c, db):
    before = content(db)
    t = db.capture()
    assert t['verified_at'] and t['num'] == 1 and t['from_name'] == 'DATABASE' and t['succeeded'] is True and t['schedule'] is None
    assert t['source_bytes'] > t['processed_bytes'] > 10000 and t['logs'][-1]['message'] == 'Backup completed and verified.'
    with open(f'{paas.state}/backups/{t["uuid"]}', 'rb') as f:
        assert os.fstat(f.fileno()).st_mode & 0o777 == 0o600
        data = f.read()
    assert b'secret-item' not in data and b'PGDMP' not in data and b'items' not in data
    db.sql('DROP TABLE items CASCADE; CREATE TABLE made_later (n int)')
    r = db.begin('restores', {'backup_url': t['to_url'], 'extensions': ['citext']})
    assert (r['from_type'], r['to_type'], r['from_name']) == ('gof3r', 'pg_restore', 'BACKUP b001')
    db.done(r)
    assert content(db) == before and db.sql("SELECT to_regclass('made_later')") == ''
    assert db.sql("SELECT string_agg(extname, ',' ORDER BY 1) FROM pg_extension WHERE extname IN ('citext', 'hstore')") == 'citext,hstore'
    assert db.sql("SELECT nextval('items_id_seq') || convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata") == '3001a large object'
    assert db.scratch() == '0' and files(paas) == {t['uuid']}


def curl(url, *args):
    r = subprocess.run(['curl', '-sk', '-o', '-', '-w', '\\n%{http_code}', *args, url], capture_output=True, timeout=60)
    body, _, code = r.stdout.rpartition(b'\n')
    return int(code), body


def test_public_url(paas, c, db):
    t = db.capture()
    a = c('POST', f'{db.list}/{t["num"]}/actions/public-url', want=201).json
    url = a['url']
    assert url.startswith('https://') and len(a['expires_at']) == 25
    code, dump = curl(url)
    assert code == 200 and dump.startswith(b'PGDMP') and len(dump) == t['processed_bytes']
    assert hashlib.sha256(dump).hexdigest() == t['checksum']
    path = os.path.join(paas.dir, 'x.dump')
    with open(path, 'wb') as f:
        f.write(dump)
    listed = subprocess.run(['pg_restore', '--list', path], capture_output=True, text=True, check=True).stdout
    assert 'TABLE DATA public items' in listed
    code, head = curl(url, '-I')
    assert code == 200 and f'content-length: {len(dump)}'.encode() in head.lower() and b'accept-ranges: bytes' in head.lower()
    n = len(dump)
    for given, want in ((f'0-4', dump[:5]), ('5-', dump[5:]), ('-7', dump[-7:]), (f'{n // 2}-{n * 2}', dump[n // 2:]), (f'{n - 1}-', dump[-1:])):
        assert curl(url, '-r', given) == (206, want), given
    assert curl(url, '-r', f'{n}-')[0] == 416
    base, expires, signature = url.rsplit('/', 2)
    later = str(int(expires) + 3600000)
    other = ('0' if signature[0] != '0' else '1') + signature[1:]
    for forged in (f'{base}/{later}/{signature}', f'{base}/{expires}/{other}', f'{base}/{expires}/', base,
                   f'{base.rsplit("/", 1)[0]}/{"0" * 36}/{expires}/{signature}'):
        assert curl(forged)[0] == 404, forged
    target = os.path.join(paas.dir, 'ctl.dump')
    paas.ctl('pg:backups:download', '-o', target, '-a', 'shop')
    with open(target, 'rb') as f:
        assert f.read() == dump
    assert paas.ctl('pg:backups:url', '-a', 'shop').stdout.startswith(base)


def test_schedules(c, db):
    path = db.path + '/transfer-schedules'
    s = c('POST', path, {'hour': '02', 'timezone': 'Europe/Berlin', 'schedule_name': 'DATABASE_URL'}, want=201).json
    assert (s['hour'], s['timezone'], s['name']) == ('02', 'Europe/Berlin', 'DATABASE_URL')
    again = c('POST', path, {'hour': 5}, want=201).json
    assert again['uuid'] == s['uuid'] and again['timezone'] == 'UTC'
    assert [x['uuid'] for x in c('GET', path, want=200).json] == [s['uuid']]
    for bad in ({'hour': 24}, {'hour': 2, 'timezone': 'Mars/Olympus'}, {'hour': 2, 'x': 1}, {}):
        assert c('POST', path, bad).status == 422
    c('DELETE', f'{path}/{s["uuid"]}', want=200)
    c('DELETE', f'{path}/{s["uuid"]}', want=404)


def test_copy_production_to_staging(paas, c, db):
    staging = Db(c, 'shop-staging')
    staging.sql('CREATE TABLE items (of_staging int); CREATE TABLE only_here (n int)')
    body = {'from_name': 'DATABASE', 'from_url': db.url, 'to_name': 'DATABASE', 'to_url': staging.url}
    t = staging.done(staging.begin('transfers', body))
    assert (t['from_type'], t['to_type']) == ('pg_dump', 'pg_restore')
    assert content(staging) == content(db) and staging.sql("SELECT to_regclass('only_here')") == ''
    assert db.url not in str(t) and staging.scratch() == '0'
    for wrong in ({'to_url': db.url}, {'to_url': 'postgres://u:p@127.0.0.1:1/x'}, {'from_url': 'mysql://x'}):
        assert c('POST', staging.path + '/transfers', {**body, **wrong}).status == 422
    # from another app's backup, by its name and by its URL
    staging.sql('DELETE FROM "Odd one"."t t"; DELETE FROM items')
    paas.ctl('pg:backups:restore', 'shop::', 'DATABASE', '-a', 'shop-staging', '--confirm', 'shop-staging')
    assert content(staging) == content(db)
    # with extensions that only an administrator may make, and with what is no dump
    bad = os.path.join(paas.dir, 'no.dump')
    with open(bad, 'w') as f:
        f.write('SELECT 1;')
    with served(paas.dir) as base:
        t = staging.done(staging.begin('restores', {'backup_url': base + '/no.dump'}), 'failed')
        assert 'custom format' in t['failure']
        t = staging.done(staging.begin('restores', {'backup_url': base + '/missing.dump'}), 'failed')
        assert 'was not touched' in t['failure']
        staging.sql('DELETE FROM "Odd one"."t t"')
        staging.done(staging.begin('restores', {'backup_url': base + '/x.dump'}))
        assert content(staging) == content(db)


def test_a_hostile_dump(paas, c, db):
    """What is in a dump runs as the add-on's role, and what reads it sees nothing of the platform."""
    victim = Db(c, 'victim')
    victim.sql("CREATE TABLE bait (n int); COMMENT ON TABLE bait IS '" + 'x' * 300 + "'; CREATE MATERIALIZED VIEW slow AS SELECT pg_sleep(1)::text;"
               "CREATE FUNCTION who() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user::text || session_user'")
    good = os.path.join(paas.dir, 'good.dump')
    subprocess.run(['pg_dump', '-Fc', '-f', good, victim.url], check=True)
    victim.sql('DROP MATERIALIZED VIEW slow')
    role, proof = re.search(r'//(\w+):', victim.url)[1], os.path.join(paas.dir, 'proof')
    with open(good, 'rb') as f:
        dump = f.read()
    begin = dump.index(b"COMMENT ON TABLE public.bait IS 'x")
    end = dump.index(b';', begin)
    hostile = {'super': (f'ALTER ROLE "{role}" SUPERUSER', 'must be superuser'), 'program': (f"COPY (SELECT 1) TO PROGRAM 'touch {proof}'", 'COPY'),
               'psql': (f'\\! touch {proof}\n', 'syntax error'), 'trigger': ('CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION who()', 'event trigger')}
    for name, (sql, _) in hostile.items():
        with open(os.path.join(paas.dir, name + '.dump'), 'wb') as f:
            f.write(dump[:begin] + sql.encode().ljust(end - begin) + dump[end:])
    hostile['garbage'] = ('', 'cannot be read')
    with open(os.path.join(paas.dir, 'garbage.dump'), 'wb') as f:
        f.write(dump[:300] + os.urandom(5000))
    with served(paas.dir) as base:
        for name, (_, why) in hostile.items():
            t = victim.done(victim.begin('restores', {'backup_url': f'{base}/{name}.dump'}), 'failed')
            assert why in t['failure'] and 'was not touched' in t['failure'], t
        r = victim.begin('restores', {'backup_url': base + '/good.dump'})
        (pid,) = wait_for('pg_restore', lambda: list(processes('pg_restore', role)))
        status = dict(line.split(':\t') for line in open(f'/proc/{pid}/status').read().splitlines() if ':\t' in line)
        assert status['CapEff'] == '0' * 16 and status['NoNewPrivs'] == '1' and status['Seccomp'] == '2'
        assert status['Uid'].split()[0] not in ('0', str(os.stat(paas.state + '/backups').st_uid))
        assert os.path.exists(f'/proc/{pid}/root/usr/bin/sh') and not os.path.exists(f'/proc/{pid}/root{paas.state}/backups')
        assert victim.url.split(':')[2].split('@')[0] not in open(f'/proc/{pid}/cmdline').read()
        victim.done(r)
    assert not os.path.exists(proof) and victim.sql('SELECT who()') == role * 2 and victim.scratch() == '0'
    assert victim.sql('SELECT count(*) FROM pg_roles WHERE rolsuper') == '1'
    c('DELETE', '/apps/victim', want=200)
    assert not list(processes('pg_restore', role))


def test_who_may(paas, c, db):
    stranger, mate = (Client(paas, paas.new_user(f'{n}@example.com')) for n in ('stranger', 'mate'))
    t = db.get({'uuid': c('GET', db.list, want=200).json[-1]['uuid']})
    c('POST', '/apps/shop/collaborators', {'user': 'mate@example.com', 'permissions': ['view']}, want=201)
    for path in (db.list, f'{db.list}/{t["num"]}', db.path + '/transfer-schedules'):
        stranger('GET', path, want=404)
        mate('GET', path, want=200)
    for method, path, body in (('POST', db.path + '/backups', None), ('POST', db.path + '/transfer-schedules', {'hour': 1}),
                               ('POST', db.path + '/restores', {'backup_url': t['to_url']}), ('DELETE', f'{db.list}/{t["num"]}', None),
                               ('POST', db.path + '/transfers', {'from_url': db.url, 'to_url': db.url + 'x'}),
                               ('POST', f'{db.list}/{t["num"]}/actions/cancel', None), ('DELETE', db.path + '/transfer-schedules/x', None)):
        stranger(method, path, body, want=404)
        mate(method, path, body, want=403)
    mine = Db(stranger, 'of-stranger')
    stranger('POST', mine.path + '/restores', {'backup_url': t['to_url']}, want=404)
    signed = mate('POST', f'{db.list}/{t["num"]}/actions/public-url', want=201).json['url']
    mine.done(mine.begin('restores', {'backup_url': signed}))
    assert content(mine) == content(db)
    assert stranger('POST', mine.path + '/restores', {'backup_url': signed[:-1] + ('0' if signed[-1] != '0' else '1')}).status == 422
    stranger('DELETE', '/apps/of-stranger', want=200)


def test_cancel_and_retention(paas, c, db):
    with db.held():
        running, waiting = db.begin(), db.begin()
        db.state(running, 'running')
        assert 'under way' in c('POST', '/postgres/v0/cluster/restart', {}, want=409).message
        assert db.get(waiting)['state'] == 'pending'
        c('DELETE', f'{db.list}/{running["uuid"]}', want=409)
        for t in (waiting, running):
            c('POST', f'{db.list}/{t["uuid"]}/actions/cancel', want=200)
        for t in (waiting, running):
            t = db.done(t, 'canceled')
            assert t['canceled_at'] and t['finished_at'] and t['succeeded'] is False
        wait_for('its sessions to end', lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'paasd' "
                                                       "AND datname = current_database()") == '0')
    assert c('POST', f'{db.list}/{running["uuid"]}/actions/cancel').status == 422
    assert running['uuid'] not in str(files(paas)) and db.scratch() == '0'
    for _ in range(2):
        last = db.capture()
    good = [t['uuid'] for t in c('GET', db.list, want=200).json if t['to_type'] == 'gof3r' and t['succeeded']]
    assert len(good) == 3 and good[-1] == last['uuid'] and files(paas) == set(good)
    c('DELETE', f'{db.list}/{last["num"]}', want=200)
    c('GET', f'{db.list}/{last["num"]}', want=404)
    assert files(paas) == set(good[:2])


def kill_cluster(paas):
    """That of this platform: other tests have clusters of their own, with the same pids in their namespaces."""
    (pid,) = postmasters(paas.state)
    os.kill(pid, signal.SIGKILL)


def up_again(db):
    wait_for('the cluster', lambda: db.sql('SELECT 1', check=False) == '1', 60)


def test_the_cluster_killed(paas, c, db):
    before, there = content(db), files(paas)
    with db.held():
        t = db.begin()
        wait_for('pg_dump at the lock', lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == '1')
        kill_cluster(paas)
        t = db.done(t, 'failed')
    assert t['failure'] and files(paas) == there
    up_again(db)
    assert content(db) == before
    db.sql('CREATE MATERIALIZED VIEW slow AS SELECT pg_sleep(1.5)::text')  # made again by each restore
    good = db.capture()
    r = db.begin('restores', {'backup_url': good['to_url']})
    wait_for('pg_restore', lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^REFRESH'") == '1', 30)
    kill_cluster(paas)
    r = db.done(r, 'failed')
    assert 'was not touched' in r['failure']
    up_again(db)
    assert content(db) == before and db.scratch() == '0'
    db.sql('DROP MATERIALIZED VIEW slow')


def test_paasd_killed_and_what_was_missed(paas, c, db):
    """A backup that was cut off is made again; a daily one that was missed is made once; with no disk left it fails, and says why."""
    c('POST', db.path + '/transfer-schedules', {'hour': 3, 'schedule_name': 'DATABASE_URL'}, want=201)
    there = files(paas)
    with db.held():
        t = db.begin()
        db.state(t, 'running')
        paas.kill9()
        c.close()
        with contextlib.closing(sqlite3.connect(paas.state + '/paasd.db')) as store:
            store.execute('UPDATE transfer_schedules SET next_ms = next_ms - 5 * 86400000')
            store.commit()
        paas.start('--set', 'disk_reserve=1048576')
        t = db.done(t, 'failed')
        assert 'disk is full' in t['failure']
    scheduled = []

    def made():
        scheduled[:] = [x for x in c('GET', db.list, want=200).json if x['schedule']]
        return scheduled and scheduled[0]['finished_at']
    wait_for('the daily backup', made, 60)
    assert len(scheduled) == 1 and scheduled[0]['succeeded'] is False and 'disk is full' in scheduled[0]['failure']
    assert files(paas) == there
    with db.held():
        paas.kill9()
        c.close()
        paas.start()
        t = db.begin()
        db.state(t, 'running')
        paas.kill9()
        c.close()
        paas.start()
        db.state(t, 'running')
    assert db.done(t)['verified_at']
    (s,) = c('GET', db.path + '/transfer-schedules', want=200).json
    assert s['next_at'] > time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())


def test_with_the_app_goes_all(paas, c, db):
    assert claimed_by('backups') - c.seen == set()
    mine = {t['uuid'] for t in c('GET', db.list, want=200).json} & files(paas)
    assert mine
    c('DELETE', '/apps/shop', want=200)
    paas.stop()
    c.close()
    paas.start()
    assert not mine & files(paas)
