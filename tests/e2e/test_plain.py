"""Without root: the runtime `plain`. Everything works, nothing is isolated, and that is said loudly."""
import os
import re

import pytest

from platform_under_test import Platform, copy_checkout, wait_for

NOBODY = 65534


@pytest.fixture(scope='module')
def paas():
    from conftest import ROOT
    p = Platform(ROOT)
    p.bin = copy_checkout(ROOT, p.bin, os.path.join(p.dir, 'checkout'))
    p.prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--inh-caps=-all',
                '--bounding-set=-all']
    p.environ = {**p.environ, 'HOME': p.home}
    os.chown(p.dir, NOBODY, NOBODY)
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('plain') / 'app')
    paas.login()
    paas.create('plainapp', folder)
    paas.pushed = paas.push(folder).stderr
    return folder


def ours():
    """Processes of the unprivileged user in our network namespace: (pid, command line)."""
    here, found = os.readlink('/proc/self/ns/net'), []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.stat(f'/proc/{pid}').st_uid == NOBODY and os.readlink(f'/proc/{pid}/ns/net') == here:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    line = f.read().replace(b'\0', b' ').decode(errors='replace').strip()
                if line:
                    found.append((int(pid), line))
        except OSError:
            continue
    return found


def test_it_is_said_loudly(paas, app):
    with open(paas.log.name) as f:
        assert 'NO ISOLATION' in f.read()
    info = paas.ctl('apps:info', '-a', 'plainapp').stdout
    assert re.search(r'^Runtime: +plain \(no isolation\)$', info, re.M), info
    assert paas.api('GET', '/apps/plainapp')[1]['runtime'] == 'plain'


def test_push_serve_log(paas, app):
    assert 'release of release.' in paas.pushed and 'deployed' in paas.pushed
    status, body, _ = paas.http('plainapp')
    assert status == 200 and 'DYNO=web.1' in body and f'uid={NOBODY}' in body
    head = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    assert f'HEROKU_SLUG_COMMIT={head}' in body
    paas.http('plainapp', '/log?3')
    wait_for('log', lambda: 'app[web.1]: log line 3 of 3' in paas.logs('plainapp'))


def test_run(paas, app):
    r = paas.ctl('run', '--no-tty', '-x', '-a', 'plainapp', '--', 'ls; echo in $DYNO; exit 6', check=False)
    assert r.returncode == 6 and 'server.c' in r.stdout and 'in run.' in r.stdout


def test_second_release_scale_and_restart(paas, app):
    paas.commit(app, 'second')
    paas.push(app)
    head = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    assert f'HEROKU_SLUG_COMMIT={head}' in paas.http('plainapp')[1]
    paas.ctl('ps:scale', 'web=2', 'worker=1', '-a', 'plainapp')
    wait_for('dynos', lambda: all(
        f'{n}: up' in paas.ctl('ps', '-a', 'plainapp').stdout for n in ('web.1', 'web.2', 'worker.1')))
    assert len({re.search('DYNO=(.*)', paas.http('plainapp')[1]).group(1) for _ in range(30)}) == 2
    paas.ctl('ps:restart', '-a', 'plainapp')
    paas.ctl('ps:scale', 'web=1', 'worker=0', '-a', 'plainapp')
    wait_for('fewer', lambda: [d['name'] for d in paas.api('GET', '/apps/plainapp/dynos')[1]] == ['web.1'])
    assert paas.http('plainapp')[0] == 200
    wait_for('no process of those that were stopped', lambda: len(
        [1 for _, line in ours() if line.endswith('./server')]) == 1, 40)


def test_a_killed_paasd_finds_its_dynos_again(paas, app):
    def pid():
        return re.search(r'^pid=(\d+)', paas.http('plainapp')[1], re.M).group(1)
    wait_for('one dyno', lambda: len(paas.api('GET', '/apps/plainapp/dynos')[1]) == 1)
    before = pid()
    paas.kill9()
    assert pid() == before
    paas.start()
    assert pid() == before
    dynos = paas.api('GET', '/apps/plainapp/dynos')[1]
    assert [(d['name'], d['state']) for d in dynos] == [('web.1', 'up')]
    paas.http('plainapp', '/log?9')
    wait_for('log', lambda: 'log line 9 of 9' in paas.logs('plainapp'))


def test_the_end_leaves_no_process(paas, app):
    assert ours()
    paas.stop()
    wait_for('no process', lambda: not ours(), 20)
    dynos = os.path.join(paas.run_dir(), 'dynos')
    assert not os.path.isdir(dynos) or os.listdir(dynos) == []
