"""The chapter's workflow on a real Rails app with a real PostgreSQL: production and staging, migrations in
the release phase, sample data, logs, config, rollback."""
import json
import os
import subprocess

import pytest

from platform_under_test import Platform, read_now, wait_for
from postgres import Postgres

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def pg():
    p = Postgres(5434)
    yield p
    p.close()


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rails') / 'app'
    r = subprocess.run(['/bin/sh', os.path.join(ROOT, 'tests/apps/make-rails-app.sh'), str(folder)], capture_output=True,
                       text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stderr
    return str(folder)


@pytest.fixture(scope='module')
def paas(pg, source, tmp_path_factory):
    gems = str(tmp_path_factory.mktemp('gems'))
    subprocess.run(['/usr/bin/ruby', os.path.join(ROOT, 'tests/apps/make-gemhouse.rb'), gems, source + '/Gemfile.lock'],
                   check=True, capture_output=True)
    path = gems
    while path not in ('/', '/tmp'):
        os.chmod(path, 0o755)
        path = os.path.dirname(path)
    p = Platform(ROOT, '--set', f'dyno.host_ports={pg.port}', environ={'BUNDLE_MIRROR__ALL': 'file://' + gems})
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


def status(paas, app):
    return json.loads(paas.http(app, '/status')[1])


def test_the_chapter(paas, pg, source):
    for name in ('production', 'staging'):
        r = paas.ctl('apps:create', f'pipeline-demo-{name}', '-r', name, cwd=source)
        assert f'pipeline-demo-{name}' in r.stdout + r.stderr
    # two remotes and no flag: the error says how to choose
    r = paas.ctl('config', cwd=source, check=False)
    assert r.returncode == 2
    for text in ('Multiple apps in git remotes', '--remote', '--app', 'pipeline-demo-production (production)',
                 'pipeline-demo-staging (staging)'):
        assert text in r.stderr, r.stderr
    for name in ('production', 'staging'):
        paas.ctl('config:set', 'DATABASE_URL=' + pg.database(name), 'SECRET_KEY_BASE=' + 'a1' * 32, '-r', name, cwd=source)

    r = paas.push(source, 'production', timeout=900)
    assert 'CreateNotes' in r.stderr and 'migrated' in r.stderr, r.stderr
    assert 'Procfile declares types' in r.stderr
    answer = paas.http('pipeline-demo-production')
    assert answer[0] == 200, answer[1] + r.stderr + paas.logs("pipeline-demo-production")
    first = status(paas, 'pipeline-demo-production')
    assert first['database'] == 'PostgreSQL' and first['notes'] == 0 and first['env']['RAILS_ENV'] == 'production'

    paas.push(source, 'staging', timeout=900)
    paas.ctl('run', '--no-tty', 'rails', 'sample_data', '-r', 'staging', cwd=source)
    assert status(paas, 'pipeline-demo-staging')['notes'] == 25
    assert status(paas, 'pipeline-demo-production')['notes'] == 0

    tail = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'logs', '--tail', '-r', 'production'], cwd=source,
                            env=paas.env(), stdout=subprocess.PIPE)
    try:
        os.set_blocking(tail.stdout.fileno(), False)
        seen = ''

        def routed():
            nonlocal seen
            paas.http('pipeline-demo-production', '/notes')
            seen += read_now(tail.stdout)
            return 'heroku[router]: at=info method=GET path="/notes"' in seen and 'app[web.1]:' in seen
        wait_for('live log lines', routed, 30, 0.3)
    finally:
        tail.terminate()
        tail.wait(10)

    r = paas.ctl('config:set', 'GREETING=hi', '-r', 'production', cwd=source)
    wait_for('config', lambda: status(paas, 'pipeline-demo-production')['env']['GREETING'] == 'hi', 60)
    releases = paas.ctl('releases', '-r', 'production', cwd=source).stdout
    assert 'Set GREETING config vars' in releases and 'Deploy ' in releases
    version = json.loads(paas.ctl('releases', '--json', '-r', 'production', cwd=source).stdout)[0]['version']
    paas.ctl('rollback', f'v{version - 1}', '-r', 'production', cwd=source)
    wait_for('rollback', lambda: status(paas, 'pipeline-demo-production')['env']['GREETING'] is None, 60)
    assert status(paas, 'pipeline-demo-production')['env']['HEROKU_RELEASE_VERSION'] == f'v{version + 1}'
    assert 'pipeline-demo-production.localhost' in paas.ctl('open', '-r', 'production', cwd=source).stdout
