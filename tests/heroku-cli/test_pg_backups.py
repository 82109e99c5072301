"""Backups, restores and copies by the Heroku CLI with curl and PostgreSQL's own programs, as users and Parity's scripts call them."""
import os
import re
import subprocess

import pytest

from platform_under_test import wait_for
from postgres import Postgres
from sample import git


def run(heroku, *argv, cwd=None, **env):
    r = subprocess.run(argv, cwd=cwd, env=heroku.env(**env), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    assert r.returncode == 0, (argv, r.stdout, r.stderr)
    return r.stdout


class Apps:
    def __init__(self, heroku):
        self.heroku = heroku
        for app in ('shop-production', 'shop-staging'):
            assert heroku.paas.api('POST', '/apps', {'name': app})[0] == 201
            assert heroku.paas.api('POST', f'/apps/{app}/addons', {'plan': 'heroku-postgresql:essential-0'})[0] in (201, 202)
        for app in ('shop-production', 'shop-staging'):
            wait_for('the database', lambda a=app: 'DATABASE_URL' in heroku.paas.api('GET', f'/apps/{a}/config-vars')[1], 90)
        self.sql('shop-production', "CREATE TABLE ar_internal_metadata (key text, value text); "
                 "INSERT INTO ar_internal_metadata VALUES ('environment', 'production'); "
                 "CREATE TABLE items (n int PRIMARY KEY, name text); INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i")

    def sql(self, app, sql):
        url = self.heroku.paas.api('GET', f'/apps/{app}/config-vars')[1]['DATABASE_URL']
        return run(self.heroku, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', sql, url).strip()

    def count(self, app):
        return self.sql(app, 'SELECT count(*) FROM items')


@pytest.fixture(scope='module')
def apps(heroku):
    return Apps(heroku)


@pytest.fixture(scope='module')
def repo(heroku, apps, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('shop_development'))
    git(heroku, folder, 'init', '-q', '-b', 'main')
    for env in ('staging', 'production'):
        git(heroku, folder, 'remote', 'add', env, f'https://{heroku.host}/shop-{env}.git')
    return folder


@pytest.fixture(scope='module')
def session(heroku, repo):
    """One process of the CLI, in the folder whose remotes are the apps."""
    s = heroku.session(repo)
    yield s
    s.close()


def test_backups(heroku, apps, session, tmp_path):
    app = ('-a', 'shop-production')
    session('pg:backups:capture', '--remote', 'production').has('Starting backup of', 'done', 'Backing up', 'to b001... done')
    session('pg:backups', *app).has('=== Backups', 'b001', 'Completed 20', 'DATABASE', '=== Restores', 'No restores', '=== Copies', 'No copies')
    session('pg:backups:info', *app).has('=== Backup b001', 'Database: DATABASE', 'Status: Completed', 'Type: Manual', 'Original DB Size:',
                                        'compression', '=== Backup Logs', 'Backup completed and verified.')
    url = session('pg:backups:url', 'b001', *app).stdout
    assert re.fullmatch(r'https://\S+\n\n', url)
    by_curl, by_cli = str(tmp_path / 'curl.dump'), str(tmp_path / 'cli.dump')
    run(heroku, 'curl', '-sf', '-o', by_curl, url.strip())
    session('pg:backups:download', '-o', by_cli, *app).has('done, #1')
    with open(by_curl, 'rb') as a, open(by_cli, 'rb') as b:
        assert a.read() == b.read()
    assert 'TABLE DATA public items' in run(heroku, 'pg_restore', '--list', by_curl)
    apps.sql('shop-production', 'DELETE FROM items')
    session('pg:backups:restore', 'b001', 'DATABASE_URL', '--confirm', 'shop-production', '-e', 'hstore', *app) \
        .has('Starting restore of b001', 'Restoring... done')
    assert apps.count('shop-production') == '100'
    session('pg:backups', *app).has('=== Restores', 'r002', 'Completed 20')
    session('pg:backups:cancel', *app, code=2).has('No active backups/transfers')


def test_schedules(apps, session):
    app = ('-a', 'shop-production')
    session('pg:backups:schedules', *app).has('No backup schedules found')
    session('pg:backups:schedule', 'DATABASE', '--at', '02:00 CET', *app).has('at 02:00 Europe/Paris... done')
    session('pg:backups:schedules', *app).has('=== Backup Schedules', 'DATABASE_URL: daily at 02:00 Europe/Paris')
    session('pg:backups:unschedule', 'DATABASE', *app).has('Unscheduling', 'done')


def test_cancel(heroku, apps, session):
    paas, path = heroku.paas, '/client/v11/apps/shop-production/transfers'
    url = paas.api('GET', '/apps/shop-production/config-vars')[1]['DATABASE_URL']
    addon = paas.api('GET', '/apps/shop-production/addons')[1][0]['id']
    holder = subprocess.Popen(['psql', '-XqAt', url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:  # nothing can be dumped meanwhile
        holder.stdin.write('BEGIN; LOCK TABLE items; SELECT 1;\n')
        holder.stdin.flush()
        assert holder.stdout.readline() == '1\n'
        t = paas.api('POST', f'/client/v11/databases/{addon}/backups')[1]
        session('pg:backups:cancel', '-a', 'shop-production').has(f'Cancelling b{t["num"]:03d}', 'done')
        wait_for('its end', lambda: paas.api('GET', f'{path}/{t["num"]}')[1]['canceled_at'], 30)
    finally:
        holder.kill()
        holder.wait()


def test_copy(apps, session):
    session('pg:copy', 'shop-production::DATABASE', 'DATABASE', '-a', 'shop-staging', '--confirm', 'DATABASE') \
        .has('Starting copy of DATABASE to DATABASE', 'Copying... done')
    assert apps.count('shop-staging') == '100'
    session('pg:backups', '-a', 'shop-staging').has('=== Copies', 'c001', 'Completed 20')


def test_parity(heroku, apps, repo, session):
    """`production backup`, `staging restore production`, `development restore production`, by Parity's own command lines."""
    apps.sql('shop-staging', 'DROP TABLE items; CREATE TABLE of_staging (n int)')
    session('pg:reset', '--remote', 'staging', '--confirm', 'shop-staging')
    assert apps.sql('shop-staging', "SELECT to_regclass('of_staging')") == ''
    url = session('pg:backups:url', '--remote', 'production').stdout.strip()
    session('pg:backups:restore', url, 'DATABASE', '--remote', 'staging', '--confirm', 'shop-staging').has('Restoring... done')
    assert apps.count('shop-staging') == '100'
    local = Postgres(port=5432)
    try:
        env = {'PGHOST': local.dir, 'PGUSER': 'admin', 'PGPASSWORD': local.password, 'PGPORT': '5432'}
        os.makedirs(repo + '/tmp')
        run(heroku, '/bin/sh', '-ec', 'curl -sfo tmp/latest.backup "$(heroku pg:backups:url --remote production)"; dropdb --if-exists shop; '
            'createdb shop; psql shop -qc "CREATE SCHEMA IF NOT EXISTS heroku_ext"; '
            'pg_restore tmp/latest.backup --no-acl --no-owner --dbname shop --jobs=2 || true', cwd=repo, **env)
        assert run(heroku, 'psql', '-XAtc', 'SELECT count(*) FROM items', 'shop', **env) == '100\n'
        # and by our own names for it
        links = os.path.join(heroku.paas.dir, 'links')
        os.makedirs(links)
        heroku.paas.ctl('parity:install', links)
        os.makedirs(repo + '/config')
        with open(repo + '/config/database.yml', 'w') as f:
            f.write('development:\n  database: ours\n')
        mine = {**heroku.paas.env(), **env}
        for word, *more in (('production', 'backup'), ('development', 'restore', 'production', '--parallelize'), ('staging', 'restore', 'production')):
            r = subprocess.run([os.path.join(links, word), *more], cwd=repo, env=mine, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert r.returncode == 0, (word, r.stdout, r.stderr)
        assert run(heroku, 'psql', '-XAtc', "SELECT count(*) FROM items, ar_internal_metadata WHERE value = 'development'", 'ours', **env) == '100\n'
        apps.sql('shop-staging', 'DELETE FROM items')
        r = subprocess.run([os.path.join(links, 'staging'), 'restore', 'development'], cwd=repo, env=mine, capture_output=True, text=True,
                           stdin=subprocess.DEVNULL)
        assert r.returncode == 0, r.stderr
        assert apps.count('shop-staging') == '100'
        r = subprocess.run([os.path.join(links, 'production'), 'restore', 'staging'], cwd=repo, env=mine, capture_output=True, text=True)
        assert r.returncode == 2 and '--force' in r.stderr
    finally:
        local.close()


def test_delete(apps, session):
    session('pg:backups:delete', 'b001', '-a', 'shop-production', '--confirm', 'shop-production').has('Deleting backup b001', 'done')
    session('pg:backups:info', 'b001', '-a', 'shop-production', code=2).has("Couldn't find that transfer")
