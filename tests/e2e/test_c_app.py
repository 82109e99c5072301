"""The whole path with the cheapest real app: push, build, release phase, sandboxed dyno, route, log line."""
import re
import subprocess

import pytest

from platform_under_test import Failed, released, wait_for


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('c') / 'app')
    paas.login()
    paas.create('capp', folder)
    return folder


def test_push_goes_live(paas, app):
    r = paas.push(app)
    out = r.stderr
    for text in ('-----> Building on the', '-----> Discovering process types', 'Procfile declares types',
                 'Released v3', 'Running release command', 'release of release.', 'deployed'):
        assert text in out, out
    status, body, headers = paas.http('capp')
    assert status == 200
    assert 'DYNO=web.1' in body and 'HEROKU_RELEASE_VERSION=v3' in body and 'cwd=/app' in body
    head = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    assert f'HEROKU_SLUG_COMMIT={head}' in body
    assert re.search(r'uid=[1-9]\d{5,}', body)
    assert 'Via' in headers


def test_headers_reach_the_app(paas, app):
    status, body, _ = paas.http('capp', '/headers', headers={'X-Request-Id': 'a' * 24})
    assert status == 200
    assert 'X-Forwarded-For: 127.0.0.1' in body
    assert 'X-Request-Id: ' + 'a' * 24 in body


def test_log_lines(paas, app):
    paas.http('capp', '/log?3')

    def seen():
        text = paas.logs('capp')
        return all(t in text for t in (
            'app[api]: Release v3 created by user', 'heroku[web.1]: Starting process with command `./server`',
            'heroku[web.1]: State changed from starting to up', 'app[web.1]: log line 3 of 3',
            'app[release.', 'heroku[router]: at=info method=GET path="/log?3" host=capp.localhost'))
    wait_for('log lines', seen)
    only = paas.ctl('logs', '-a', 'capp', '-s', 'app', '-d', 'web').stdout
    assert 'log line 1 of 3' in only and 'heroku[' not in only


def test_ps_and_info(paas, app):
    assert 'web.1: up' in paas.ctl('ps', cwd=app).stdout
    info = paas.ctl('apps:info', cwd=app).stdout
    assert info.startswith('=== capp')


def test_run_and_exit_status(paas, app):
    r = paas.ctl('run', '--no-tty', '-x', '-a', 'capp', '--', 'echo hello from $DYNO; exit 7', check=False)
    assert 'hello from run.' in r.stdout
    assert r.returncode == 7


def test_run_reads_stdin(paas, app):
    r = paas.ctl('run', '--no-tty', '-a', 'capp', 'cat', input='one\ntwo\n')
    assert r.stdout.endswith('one\ntwo\n')


def test_detached_run_logs(paas, app):
    paas.ctl('run:detached', '-a', 'capp', 'echo detached $((40 + 2))')
    wait_for('output in the log', lambda: 'detached 42' in paas.logs('capp'))


def test_scale_and_restart(paas, app):
    paas.ctl('ps:scale', 'web=2', 'worker=1', cwd=app)
    wait_for('dynos', lambda: all(t in paas.ctl('ps', cwd=app).stdout for t in ('web.1: up', 'web.2: up', 'worker.1: up')))
    pids = {paas.http('capp')[1] for _ in range(30)}
    assert len({re.search(r'DYNO=(\S+)', p).group(1) for p in pids}) == 2
    wait_for('ticks', lambda: 'app[worker.1]: tick' in paas.logs('capp'))
    paas.ctl('ps:restart', cwd=app)
    assert paas.http('capp')[0] == 200
    paas.ctl('ps:scale', 'web=1', 'worker=0', cwd=app)
    wait_for('fewer dynos', lambda: 'web.2' not in paas.ctl('ps', cwd=app).stdout)


def test_config_makes_a_release(paas, app):
    r = paas.ctl('config:set', 'GREETING=hi there', cwd=app)
    assert 'GREETING' in r.stdout + r.stderr
    wait_for('new value', lambda: 'GREETING=hi there' in paas.http('capp')[1])
    assert paas.ctl('config:get', 'GREETING', cwd=app).stdout == 'hi there\n'
    assert 'Set GREETING config vars' in paas.ctl('releases', cwd=app).stdout


def test_rollback(paas, app):
    paas.ctl('rollback', 'v3', cwd=app)
    wait_for('old config', lambda: 'GREETING=' not in paas.http('capp')[1])
    assert 'Rollback to v3' in paas.ctl('releases', cwd=app).stdout


def test_second_push(paas, app):
    paas.commit(app, 'second')
    before = paas.http('capp')[1]
    r = paas.push(app)
    assert released(r) >= 6
    assert paas.http('capp')[1] != before


def test_failed_build_is_rejected(paas, app):
    good = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    paas.commit(app, 'broken', **{'broken.c': 'x', 'Makefile': 'all:\n\techo no way; exit 3\n'})
    r = paas.push(app, check=False)
    assert r.returncode != 0
    assert 'no way' in r.stderr and 'Push rejected' in r.stderr and 'pre-receive hook declined' in r.stderr
    assert paas.git('ls-remote', 'paasd', 'refs/heads/main', cwd=app).stdout.startswith(good)
    assert paas.http('capp')[0] == 200
    assert 'Build failed' in paas.logs('capp')
    paas.git('reset', '-q', '--hard', good, cwd=app)


def newest(paas, app='capp'):
    return str(max(r['version'] for r in paas.api('GET', f'/apps/{app}/releases')[1]))


def test_failed_release_command_keeps_the_old(paas, app):
    paas.ctl('config:set', 'RELEASE_STATUS=0', cwd=app)
    wait_for('release', lambda: paas.api('GET', '/apps/capp/releases/' + newest(paas))[1]['current'])
    before = re.search(r'HEROKU_RELEASE_VERSION=(\S+)', paas.http('capp')[1])
    with open(app + '/Procfile') as f:
        procfile = f.read()
    paas.commit(app, 'bad release', Procfile=procfile.replace('exit ${RELEASE_STATUS:-0}', 'exit 5'))
    r = paas.push(app)  # the push itself succeeds: the build did
    assert 'Release command failed' in r.stderr and 'status 5' in r.stderr
    assert re.search(r'HEROKU_RELEASE_VERSION=(\S+)', paas.http('capp')[1]).group(1) == before.group(1)
    assert 'release command failed' in paas.ctl('releases', cwd=app).stdout.lower()
    assert 'failed' in paas.logs('capp')
    paas.commit(app, 'good again', Procfile=procfile)
    paas.push(app)


def test_never_binding_its_port_keeps_the_old(paas, tmp_path_factory):
    from platform_under_test import Platform
    folder = paas.make_app('c', tmp_path_factory.mktemp('c2') / 'app')
    p = Platform(paas.root, '--set', 'dyno.boot_timeout=3')
    try:
        p.start()
        p.login()
        p.create('slowboot', folder)
        p.push(folder)
        assert p.http('slowboot')[0] == 200, p.logs('slowboot')
        with open(folder + '/Procfile') as f:
            procfile = f.read()
        p.commit(folder, 'sleeps', Procfile=procfile.replace('web: ./server', 'web: sleep 1000'))
        r = p.push(folder)
        assert 'failed to bind to $PORT within 3 seconds' in r.stderr, r.stderr
        assert 'HEROKU_RELEASE_VERSION=v3' in p.http('slowboot')[1]
        assert 'Error R10 (Boot timeout)' in p.logs('slowboot')
    finally:
        p.close()


def test_other_branches_are_stored(paas, app):
    r = paas.push(app, spec='main:feature')
    assert 'main' in r.stderr and 'Released' not in r.stderr


def test_clone(paas, app, tmp_path):
    paas.git('clone', '-q', f'{paas.url}/capp.git', str(tmp_path / 'clone'))
    subprocess.run(['git', 'fsck', '--strict'], cwd=tmp_path / 'clone', check=True, capture_output=True)


def test_destroy_leaves_nothing(paas, app):
    paas.ctl('apps:destroy', '-a', 'capp', '--confirm', 'capp')
    assert paas.http('capp')[0] == 404
    r = paas.git('ls-remote', f'{paas.url}/capp.git', check=False)
    assert r.returncode != 0
