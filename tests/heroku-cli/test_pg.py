"""pg:*, with the real psql, pg_dump and pg_restore. Backups and copies are in test_pg_backups.py."""
import subprocess

import pytest

from platform_under_test import wait_for
from postgres import Postgres
from sample import pushed

APP = 'pg-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def app(heroku, tmp_path_factory):
    """With a release phase, which pg:promote looks at, and two databases."""
    pushed(heroku, APP, str(tmp_path_factory.mktemp('repo')))
    for plan in ('standard-0', 'essential-0'):
        status, a, _ = heroku.paas.api('POST', f'/apps/{APP}/addons', {'plan': f'heroku-postgresql:{plan}'})
        assert status == 201, a
        heroku.paas.ctl('addons:wait', a['name'], *A)


@pytest.fixture(scope='module')
def local():
    p = Postgres(port=5499)
    try:
        yield p
    finally:
        p.close()


def other(heroku):
    config = heroku.paas.api('GET', f'/apps/{APP}/config-vars')[1]
    return next(k for k in config if k.startswith('HEROKU_POSTGRESQL_'))


def test_info_and_wait(session):
    session('pg', *A).has('=== DATABASE_URL', 'Plan: Standard 0', 'Status: Available', 'PG Version: 1', 'Continuous Protection: Off', 'Add-on: postgresql-')
    session('pg:info', 'DATABASE_URL', *A).has('Data Size:')
    session('pg:wait', *A)
    session('pg:links', *A).has('No data sources are linked')
    session('pg:unfollow', 'DATABASE_URL', *A, '--confirm', APP, code=None)
    session('pg:upgrade:run', 'DATABASE_URL', *A, '--confirm', APP, code=None)


def test_psql(heroku, tmp_path):
    heroku('pg:psql', '-c', 'CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000); CREATE INDEX ON t (a); ANALYZE', *A)
    heroku('pg:psql', 'DATABASE_URL', '-c', 'SELECT 40 + 2 AS x', *A).has('42', '--> Connecting to')
    (tmp_path / 'f.sql').write_text('SELECT count(*) FROM t;\n')
    heroku('pg:psql', '-f', str(tmp_path / 'f.sql'), *A).has('1000')


@pytest.mark.parametrize('command, text', [
    ('bloat', ''), ('blocking', 'blocked_pid'), ('cache-hit', 'index hit rate'), ('calls', 'ncalls'), ('extensions', 'citext'), ('index-size', 't_a_idx'),
    ('index-usage', 't '), ('locks', 'relname'), ('long-running-queries', 'duration'), ('mandelbrot', '@@@'), ('outliers', 'prop_exec_time'),
    ('records-rank', '1000'), ('seq-scans', 't '), ('table-indexes-size', 't '), ('table-size', 't '), ('total-index-size', 'kB'),
    ('total-table-size', 't '), ('unused-indexes', 'index_size'), ('user-connections', 'credential'), ('vacuum-stats', 't ')])
def test_statistics(session, command, text):
    session('pg:' + command, *A).has(text)


def test_ps_and_kill(heroku, session):
    hold = subprocess.Popen([heroku.paas.bin + '/paasctl', 'pg:psql', *A, '-c', "SELECT pg_sleep(60)"], env=heroku.paas.env(), stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    try:
        def sleeper():
            return [r for r in (line.split('|') for line in session('pg:ps', *A).stdout.split('\n')) if 'pg_sleep(60)' in r[-1]]
        row = wait_for('the sleeper', sleeper)[0]
        session('pg:kill', row[0].strip(), *A)
        assert hold.wait(10) and 'cancel' in hold.stderr.read()
    finally:
        hold.kill()
        hold.communicate()
    session('pg:killall', *A).has('done')
    session('pg:stats-reset', *A).has('begin again')
    session('pg:fdwsql', 'x', *A).has('CREATE SERVER x_db')


def test_credentials(heroku, session):
    session('pg:credentials', *A).has('default', 'active')
    session('pg:credentials:url', *A).has('Connection info string', 'sslmode=require', 'postgres://')
    session('pg:credentials:create', '--name', 'analyst', *A).has('done')
    session('pg:credentials:rotate', '--all', *A, '--confirm', APP).has('done')
    session('pg:credentials:rotate', '--name', 'analyst', '--force', *A, '--confirm', APP).has('done')
    session('pg:credentials:repair-default', *A, '--confirm', APP).has('done')
    session('pg:credentials:destroy', '--name', 'analyst', *A, '--confirm', APP).has('has been destroyed')
    session('pg:credentials:create', other(heroku), '--name', 'x', *A, code=1).has('Essential-tier')


@pytest.mark.parametrize('name, value, text', [
    ('log-lock-waits', 'on', 'has been set to true'), ('log-min-duration-statement', '500', 'at least 500 milliseconds'),
    ('log-min-error-statement', 'error', 'has been set to error'), ('log-statement', 'ddl', 'ddl:'), ('track-functions', 'all', 'all:'),
    ('auto-explain', 'on', 'will be logged'), ('auto-explain:log-analyze', 'on', ''), ('auto-explain:log-buffers', 'on', ''),
    ('auto-explain:log-format', 'json', 'json'), ('auto-explain:log-min-duration', '100', '100'), ('auto-explain:log-nested-statements', 'on', ''),
    ('auto-explain:log-triggers', 'on', ''), ('auto-explain:log-verbose', 'on', '')])
def test_settings(session, name, value, text):
    session('pg:settings:' + name, 'DATABASE_URL', value, *A).has(text)


def test_all_settings(heroku, session):
    session('pg:settings', *A).has('log-statement')
    session('pg:settings', other(heroku), *A, code=2).has('Essential-tier')


def test_push_and_pull(heroku, local, monkeypatch):
    """A local database into the one that is empty, and back into new ones; the same by paasctl."""
    admin = f'postgres://admin:{local.password}@localhost:{local.port}'
    local.database('source')
    for name, value in (('PGSSLMODE', 'prefer'), ('PGHOST', 'localhost'), ('PGPORT', str(local.port)), ('PGUSER', 'admin'), ('PGPASSWORD', local.password)):
        monkeypatch.setenv(name, value)

    def psql(db, sql):
        return subprocess.run(['psql', '-XqtAc', sql, f'{admin}/{db}'], check=True, capture_output=True, text=True).stdout.strip()
    psql('source', 'CREATE TABLE pushed (word text); INSERT INTO pushed VALUES (\'swordfish\')')
    heroku('pg:push', f'{admin}/source', other(heroku), *A).has('Pushing complete')
    heroku('pg:push', f'{admin}/source', other(heroku), *A, code=None).has('not empty')
    heroku('pg:pull', other(heroku), 'pulled', *A).has('Pulling complete')
    assert psql('pulled', 'SELECT word FROM pushed') == 'swordfish'
    paas = heroku.paas
    r = paas.ctl('pg:push', f'{admin}/source', other(heroku), *A, check=False)
    assert r.returncode == 5 and 'is not empty' in r.stderr
    paas.ctl('pg:reset', other(heroku), *A, '--confirm', APP)
    paas.ctl('pg:push', f'{admin}/source', other(heroku), *A)
    paas.ctl('pg:pull', other(heroku), f'{admin}/again', *A)
    assert psql('again', 'SELECT word FROM pushed') == 'swordfish'
    assert paas.ctl('pg:pull', other(heroku), f'{admin}/again', *A, check=False).returncode == 5


def test_promote_and_reset(heroku):
    name = other(heroku)
    wanted = heroku.paas.api('GET', f'/apps/{APP}/config-vars')[1][name]
    heroku('pg:promote', name, *A).has('pg:promote succeeded')
    assert heroku.paas.api('GET', f'/apps/{APP}/config-vars')[1]['DATABASE_URL'] == wanted
    heroku('pg:reset', 'DATABASE_URL', *A, '--confirm', APP).has('done')
