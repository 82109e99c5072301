"""paasctl's backups, and Parity's backup and restore words, against a fake API and fakes of PostgreSQL's programs."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
from fake_api import not_found, uid  # noqa: E402
from paasctl import api, cli, ok  # noqa: E402,F401

T = '2026-01-31 12:00:0%d +0000'


def transfer(num=1, kind='backup', **more):
    ends = {'backup': ('pg_dump', 'gof3r'), 'restore': ('gof3r', 'pg_restore'), 'copy': ('pg_dump', 'pg_restore')}[kind]
    return {'uuid': uid(700 + num), 'num': num, 'from_type': ends[0], 'to_type': ends[1], 'from_name': 'DATABASE',
            'to_name': 'BACKUP', 'from_url': None, 'to_url': f'https://x.example/blobs/backups/{uid(700 + num)}',
            'succeeded': True, 'state': 'succeeded', 'warnings': 0, 'source_bytes': 9000000, 'processed_bytes': 1536,
            'created_at': T % num, 'started_at': T % 2, 'finished_at': T % 3, 'verified_at': T % 3, 'canceled_at': None,
            'schedule': None, 'failure': None, 'checksum': 'ab' * 32, 'logs': [{'created_at': T % 2, 'level': 'info', 'message': 'Dumped.'}],
            **more}


def running(num=1, kind='backup', **more):
    return transfer(num, kind, succeeded=None, finished_at=None, state='running', **more)


def database(app='shop', name='DATABASE', n=1):
    return {'id': uid(800 + n), 'name': name, 'app': {'name': app}, 'namespace': None,
            'addon': {'id': uid(900 + n), 'name': f'postgresql-{n}', 'app': {'name': app}}}


RESOLVE, LIST = '/actions/addon-attachments/resolve', '/client/v11/apps/shop/transfers'
DB = '/client/v11/databases/' + uid(901)


def test_capture_waits(cli, api):
    api.on('POST', RESOLVE, [database()])
    api.on('POST', DB + '/backups', (201, running()))
    api.on('GET', f'{LIST}/{uid(701)}', running(), (503, {'id': 'service_unavailable', 'message': 'later'}), transfer())
    r = ok(cli('pg:backups:capture', '-a', 'shop'))
    assert r.err.endswith('Backing up DATABASE (b001)... done\n') and r.out == ''
    api.on('GET', f'{LIST}/{uid(701)}', transfer(succeeded=False, failure='The disk is full.', state='failed'))
    r = cli('pg:backups:capture', '-a', 'shop')
    assert r.code == 1 and 'b001 failed: The disk is full.' in r.err
    api.on('GET', f'{LIST}/{uid(701)}', transfer(succeeded=False, canceled_at=T % 3, state='canceled'))
    assert cli('pg:backups:capture', '-a', 'shop').code == 8
    r = ok(cli('pg:backups:capture', 'DATABASE', '--no-wait', '-a', 'shop'))
    assert r.out.startswith('Backing up DATABASE (b001) goes on by itself')
    api.on('POST', RESOLVE, not_found('add_on attachment'))
    r = cli('pg:backups:capture', 'PINK', '-a', 'shop')
    assert r.code == 4 and 'shop has no database PINK' in r.err


def test_lists_and_facts(cli, api):
    all_ = [transfer(1), transfer(2, schedule={'uuid': uid(1)}), transfer(3, 'restore', from_name='BACKUP b001'),
            running(4, 'copy', to_name='PINK')]
    api.on('GET', LIST, all_)
    r = ok(cli('pg:backups', '-a', 'shop'))
    assert [line.split()[0] for line in r.out.splitlines() if line[:1] in 'abcr' and line[1:4].isdigit()] == \
        ['a002', 'b001', 'r003', 'c004']
    assert 'Running (processed 1.50KB)' in r.out and 'Completed ' + T % 3 in r.out
    assert len(json.loads(ok(cli('pg:backups', '-a', 'shop', '--json')).out)) == 4
    api.on('GET', LIST + '/1', transfer(1))
    for args in (('b001',), ('1',)):
        r = ok(cli('pg:backups:info', *args, '-a', 'shop'))
        assert 'SHA-256:       ' + 'ab' * 32 in r.out and 'Dumped.' in r.out
    assert '=== a002' in ok(cli('pg:backups:info', '-a', 'shop')).out
    assert cli('pg:backups:info', 'x', '-a', 'shop').code == 2
    api.on('GET', LIST, [])
    r = cli('pg:backups:info', '-a', 'shop')
    assert r.code == 4 and 'paasctl pg:backups:capture' in r.err


def test_url_and_download(cli, api):
    api.on('GET', LIST, [transfer(1), transfer(2, succeeded=False, state='failed')])
    api.on('POST', f'{LIST}/{uid(701)}/actions/public-url',
           (201, {'url': 'https://elsewhere.example/blobs/backups/x/1/s', 'expires_at': T % 9}))
    ok(cli('pg:backups:url', '-a', 'shop'), 'https://elsewhere.example/blobs/backups/x/1/s\n')
    dump = b'PGDMP' + bytes(1531)

    def blob(req, conn):
        assert 'authorization' not in req.headers
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1536\r\n\r\n' + dump)
    api.raw('GET', '/blobs/backups/x/1/s', blob)
    for name in ('latest.dump', 'latest.dump.1'):
        ok(cli('pg:backups:download', '-a', 'shop'))
        with open(os.path.join(cli.cwd, name), 'rb') as f:
            assert f.read() == dump
    assert ok(cli('pg:backups:download', '-o', '-', '-a', 'shop', text=False)).out == dump

    def short(req, conn):
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n' + dump[:7])
    api.raw('GET', '/blobs/backups/x/1/s', short)
    r = cli('pg:backups:download', '-o', 'short.dump', '-a', 'shop')
    assert r.code == 1 and 'cut off' in r.err and not os.path.exists(os.path.join(cli.cwd, 'short.dump'))


def test_restore(cli, api):
    api.on('POST', RESOLVE, [database()])
    api.on('GET', LIST, [transfer(1), running(2)])
    api.on('GET', '/client/v11/apps/other/transfers', [transfer(5)])
    api.on('GET', '/client/v11/apps/other/transfers/5', transfer(5))
    api.on('POST', DB + '/restores', (201, running(6, 'restore')))
    api.on('GET', f'{LIST}/{uid(706)}', transfer(6, 'restore'))
    r = cli('pg:backups:restore', '-a', 'shop')
    assert r.code == 1 and 'All data of DATABASE of shop will be replaced by b001' in r.err
    assert not api.seen('POST', DB + '/restores')
    urls = []
    for args in ((), ('other::b005',), ('other::', 'DATABASE'), ('https://files.example/x.dump?a=1',)):
        ok(cli('pg:backups:restore', *args, '-a', 'shop', '--confirm', 'shop', '-e', 'hstore,geo.postgis'))
        body = api.seen('POST', DB + '/restores')[-1].json
        assert body.pop('extensions') == ['hstore', 'geo.postgis']
        urls.append(body.pop('backup_url'))
        assert body == {}
    assert urls == [transfer(1)['to_url'], transfer(5)['to_url'], transfer(5)['to_url'], 'https://files.example/x.dump?a=1']


def test_schedules(cli, api):
    mine = DB + '/transfer-schedules'
    api.on('POST', RESOLVE, [database()])
    api.on('POST', mine, (201, {'uuid': uid(5)}))
    ok(cli('pg:backups:schedule', 'DATABASE', '--at', '02:00 CET', '-a', 'shop'), '',
       'Scheduling daily backups of DATABASE at 02:00 Europe/Paris... done\n')
    assert api.seen('POST', mine)[0].json == {'hour': 2, 'timezone': 'Europe/Paris', 'schedule_name': 'DATABASE_URL'}
    ok(cli('pg:backups:schedule', '--at', '23:00', '-a', 'shop'))
    assert api.seen('POST', mine)[1].json['timezone'] == 'UTC'
    for bad in ('24:00', '2:30', 'noon', '-1:00', '02:00x', ''):
        assert cli('pg:backups:schedule', '--at', bad, '-a', 'shop').code == 2, bad
    assert cli('pg:backups:schedule', '-a', 'shop').code == 2
    api.on('GET', '/apps/shop/addons', [{'id': uid(901), 'addon_service': {'name': 'heroku-postgresql'}},
                                        {'id': uid(902), 'addon_service': {'name': 'heroku-redis'}}])
    api.on('GET', mine, [{'uuid': uid(5), 'name': 'DATABASE_URL', 'hour': '02', 'timezone': 'UTC', 'next_at': T % 1}])
    assert 'DATABASE_URL: daily at 02:00 UTC, next ' + T % 1 in ok(cli('pg:backups:schedules', '-a', 'shop')).out
    api.on('DELETE', f'{mine}/{uid(5)}', {})
    for args in ((), ('database',), ('DATABASE_URL',)):
        ok(cli('pg:backups:unschedule', *args, '-a', 'shop'))
    assert cli('pg:backups:unschedule', 'DATA', '-a', 'shop').code == 4


def test_cancel_delete_copy(cli, api):
    api.on('GET', LIST, [transfer(1), running(2)])
    api.on('POST', f'{LIST}/{uid(702)}/actions/cancel', {})
    ok(cli('pg:backups:cancel', '-a', 'shop'), '', 'Canceling b002... done\n')
    api.on('GET', LIST, [transfer(1)])
    assert cli('pg:backups:cancel', '-a', 'shop').code == 4
    api.on('GET', LIST + '/1', transfer(1))
    api.on('DELETE', f'{LIST}/{uid(701)}', transfer(1))
    assert cli('pg:backups:delete', 'b001', '-a', 'shop').code == 1 and not api.seen('DELETE', f'{LIST}/{uid(701)}')
    ok(cli('pg:backups:delete', 'b001', '-a', 'shop', '--confirm', 'shop'))
    api.on('POST', RESOLVE, [database('prod', n=2)], [database()])
    api.on('GET', '/apps/prod/config-vars', {'DATABASE_URL': 'postgres://a:secret@h:1/p'})
    api.on('GET', '/apps/shop/config-vars', {'DATABASE_URL': 'postgres://b:c@h:1/s'})
    api.on('POST', DB + '/transfers', (201, running(3, 'copy')))
    api.on('GET', f'{LIST}/{uid(703)}', transfer(3, 'copy'))
    r = ok(cli('pg:copy', 'prod::DATABASE', 'DATABASE', '-a', 'shop', '--confirm', 'shop'))
    assert api.seen('POST', DB + '/transfers')[0].json == {
        'from_name': 'DATABASE', 'from_url': 'postgres://a:secret@h:1/p', 'to_name': 'DATABASE', 'to_url': 'postgres://b:c@h:1/s'}
    assert 'secret' not in r.err + r.out


# --- Parity ---------------------------------------------------------------------------------
@pytest.fixture
def parity(cli, api, tmp_path):
    """The four commands, in a checkout with two remotes; dropdb and the like write down what they were called with."""
    links, fakes, log = str(tmp_path / 'links'), tmp_path / 'fakes', tmp_path / 'calls'
    os.mkdir(links)
    ok(cli('parity:install', links))
    fakes.mkdir()
    for tool in ('dropdb', 'createdb', 'psql', 'pg_restore'):
        (fakes / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >> {log}\n')
        (fakes / tool).chmod(0o755)
    cli.git('init', '-q', '-b', 'main')
    for env in ('staging', 'production'):
        cli.git('remote', 'add', env, f'{api.url}/shop-{env}.git')

    def run(*argv):
        log.write_text('')
        return subprocess.run([os.path.join(links, argv[0]), *argv[1:]], cwd=cli.cwd, input='', capture_output=True, text=True,
                              env={**cli.env, 'PATH': f'{fakes}:{cli.env["PATH"]}'}, timeout=60)
    run.calls = lambda: log.read_text().splitlines()
    return run


def of(app):
    return f'/client/v11/apps/{app}/transfers'


def test_parity_backup_and_restore_between(parity, api):
    api.on('POST', RESOLVE, [database('shop-production')])
    api.on('POST', DB + '/backups', (201, running()))
    api.on('GET', f'{of("shop-production")}/{uid(701)}', transfer())
    assert parity('production', 'backup').returncode == 0
    assert api.seen('POST', RESOLVE)[0].json['app'] == 'shop-production'
    api.on('POST', RESOLVE, [database('shop-staging')])
    api.on('GET', of('shop-production'), [transfer(1)])
    api.on('POST', DB + '/restores', (201, running(2, 'restore')))
    api.on('GET', f'{of("shop-staging")}/{uid(702)}', transfer(2, 'restore'))
    for word in ('restore', 'restore-from'):
        r = parity('staging', word, 'production')
        assert r.returncode == 0, r
    assert [q.json for q in api.seen('POST', DB + '/restores')] == 2 * [{'backup_url': transfer(1)['to_url']}]
    r = parity('production', 'restore', 'staging')
    assert r.returncode == 2 and '--force' in r.stderr and len(api.seen('POST', DB + '/restores')) == 2
    assert parity('staging', 'restore').returncode == 2
    assert parity('staging', 'restore', 'staging').returncode == 2
    assert parity('staging', 'restore', 'production', '--x').returncode == 2
    api.on('GET', of('shop-staging'), [transfer(1)])
    api.on('POST', RESOLVE, [database('shop-production')])
    api.on('GET', f'{of("shop-production")}/{uid(702)}', transfer(2, 'restore'))
    assert parity('production', 'restore', 'staging', '--force').returncode == 0


def test_parity_into_the_local_database(cli, parity, api):
    dump = b'PGDMP' + bytes(1531)
    api.on('GET', of('shop-production'), [transfer(1)])
    api.on('POST', f'{of("shop-production")}/{uid(701)}/actions/public-url',
           (201, {'url': 'https://x.example/blobs/backups/x/1/s', 'expires_at': T % 9}))
    api.raw('GET', '/blobs/backups/x/1/s',
            lambda req, conn: conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1536\r\n\r\n' + dump))
    os.mkdir(os.path.join(cli.cwd, 'config'))
    with open(os.path.join(cli.cwd, 'config', 'database.yml'), 'w') as f:
        f.write('default: &default\n  adapter: postgresql\n  pool: <%= ENV.fetch("N") { 5 } %>\n'
                'development:\n  <<: *default\n  database: shop_dev\n')
    r = parity('development', 'restore', 'production')
    assert r.returncode == 0, r
    calls = parity.calls()
    assert calls[:2] == ['dropdb --if-exists shop_dev', 'createdb shop_dev']
    assert calls[2] == 'pg_restore --no-acl --no-owner --dbname shop_dev --jobs=1 tmp/latest.backup'
    assert 'ar_internal_metadata' in calls[3] and not os.path.exists(os.path.join(cli.cwd, 'tmp', 'latest.backup'))
    r = parity('development', 'restore-from', 'production', '--parallelize', '--database', 'other')
    assert r.returncode == 0 and f'--dbname other --jobs={os.cpu_count()} ' in parity.calls()[2]
    with open(os.path.join(cli.cwd, 'config', 'database.yml'), 'w') as f:
        f.write('development:\n  database: <%= ENV["DB"] %>\n')
    r = parity('development', 'restore', 'production')
    assert r.returncode == 2 and '--database' in r.stderr and parity.calls() == []
    os.unlink(os.path.join(cli.cwd, 'config', 'database.yml'))
    assert parity('development', 'restore', 'production').returncode == 0
    assert parity.calls()[0] == 'dropdb --if-exists ' + os.path.basename(cli.cwd)
    api.on('GET', of('shop-production'), [])
    assert parity('development', 'restore', 'production').returncode == 4
    assert parity.calls() == []  # without a backup the local database stays


def test_parity_review_apps(cli, parity, api):
    api.on('GET', '/apps/shop-staging-pr-42/config-vars', {'A': '1'})
    r = parity('pr_app', '42', 'config', '--json')
    assert r.returncode == 0 and json.loads(r.stdout) == {'A': '1'}
    api.on('POST', RESOLVE, [database('shop-staging-pr-42')])
    api.on('GET', of('shop-production'), [transfer(1)])
    api.on('POST', DB + '/restores', (201, running(2, 'restore')))
    api.on('GET', f'{of("shop-staging-pr-42")}/{uid(702)}', transfer(2, 'restore'))
    assert parity('pr_app', '42', 'restore', 'production').returncode == 0
    assert api.seen('POST', RESOLVE)[0].json['app'] == 'shop-staging-pr-42'
    cli.git('remote', 'set-url', 'staging', api.url + '/a-very-long-name-of-an-app.git')
    api.on('GET', '/apps/a-very-long-name-of--pr-7/config-vars', {'B': '2'})
    assert json.loads(parity('pr_app', '7', 'config', '--json').stdout) == {'B': '2'}
    for args in ((), ('x', 'config'), ('42',), ('42', 'deploy')):
        assert parity('pr_app', *args).returncode == (0 if not args else 2)
