"""200 requests a second against an app during deploys, restarts, and kill -9 of paasd: none may fail."""
import re

from load import Load
from platform_under_test import Platform, wait_for


def version(p, app):
    return int(re.search(r'HEROKU_RELEASE_VERSION=v(\d+)', p.http(app)[1]).group(1))


def test_not_one_request_fails(paas, tmp_path):
    folder = paas.make_app('c', tmp_path / 'app')
    paas.login()
    paas.create('steady', folder)
    paas.push(folder)
    paas.ctl('ps:scale', 'web=2', cwd=folder)
    wait_for('two dynos', lambda: paas.ctl('ps', cwd=folder).stdout.count(': up') == 2)
    with Load(paas.port, f'steady.localhost:{paas.port}') as load:
        for i in range(10):
            paas.commit(folder, f'deploy {i}')
            paas.push(folder)
            if i in (2, 5, 8):
                paas.kill9()
                paas.start()
        for i in range(5):
            paas.ctl('ps:restart', 'web', cwd=folder)
            wait_for('restart', lambda: paas.ctl('ps', cwd=folder).stdout.count(': up') == 2)
        assert load.sent > 500
    assert load.failures == [], (len(load.failures), load.sent, load.failures[:10], paas.tail_log())


def test_killed_in_the_middle_of_a_cutover(paas, tmp_path):
    """The deploy is taken up where it was; the app serves all the while."""
    folder = paas.make_app('c', tmp_path / 'app')
    paas.login()
    paas.create('cutover', folder)
    paas.push(folder)
    before = version(paas, 'cutover')
    with Load(paas.port, f'cutover.localhost:{paas.port}', rate=50, threads=4) as load:
        paas.api('PATCH', '/apps/cutover/config-vars', {'GREETING': 'one'})
        paas.kill9()
        paas.start()
        wait_for('the release', lambda: version(paas, 'cutover') == before + 1)
    assert load.failures == []
    assert paas.ctl('ps', cwd=folder).stdout.count('web.1: up') == 1


def test_keep_dynos(tmp_path):
    """SIGTERM with --keep-dynos leaves apps and traffic for the next start; without it nothing is left."""
    import os
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    p = Platform(root)
    try:
        p.start('--keep-dynos')
        folder = p.make_app('c', tmp_path / 'app')
        p.login()
        p.create('kept', folder)
        p.push(folder)
        pid = re.search(r'pid=(\d+)', p.http('kept')[1]).group(1)
        assert p.stop() == 0
        assert f'pid={pid}\n' in p.http('kept')[1]
        p.start()
        assert f'pid={pid}\n' in p.http('kept')[1]
        wait_for('adoption', lambda: 'web.1: up' in p.ctl('ps', '-a', 'kept').stdout)
        assert p.stop() == 0
        assert not any('paas-shim' in open(f'/proc/{d}/cmdline').read() and p.state in open(f'/proc/{d}/cmdline').read()
                       for d in os.listdir('/proc') if d.isdigit() and os.path.exists(f'/proc/{d}/cmdline'))
    finally:
        p.close()
