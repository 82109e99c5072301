"""kill -9 of paasd at random points of pushes: no half release, nothing orphaned, the next push works."""
import os
import random
import subprocess
import threading
import time

from platform_under_test import wait_for

PUSHES = int(os.environ.get('PUSHES', '20'))


def left_behind(paas):
    """Temporary things of builds and pushes that should be gone when nothing runs."""
    bad = []
    for base, dirs, files in os.walk(paas.state):
        for name in dirs + files:
            if name.startswith(('tmp_objdir', 'tmp_pack', 'quarantine')) or name.endswith('.lock') and '/repos/' in base:
                bad.append(os.path.join(base, name))
    builds = os.path.join(paas.state, 'builds')
    for b in os.listdir(builds) if os.path.isdir(builds) else []:
        if os.path.isdir(os.path.join(builds, b, 'app')):
            bad.append(os.path.join(builds, b, 'app'))
    return bad


def test_random_kills(paas, tmp_path):
    seed = int(os.environ.get('SEED', '0')) or random.randrange(1 << 30)
    rnd = random.Random(seed)
    print('SEED', seed)
    folder = paas.make_app('c', tmp_path / 'app')
    paas.login()
    paas.create('killed', folder)
    start = time.monotonic()
    paas.push(folder)
    whole = time.monotonic() - start
    for i in range(PUSHES):
        head = paas.commit(folder, f'push {i}')
        done = threading.Event()

        def push():
            paas.push(folder, check=False, timeout=120)
            done.set()

        t = threading.Thread(target=push)
        t.start()
        done.wait(rnd.uniform(0, whole * 1.2))  # the moment of the kill, not a wait for something
        paas.kill9()
        t.join(120)
        paas.start()
        status, releases, _ = paas.api('GET', '/apps/killed/releases')
        wait_for('no pending release', lambda: not [
            r for r in paas.api('GET', '/apps/killed/releases')[1] if r['status'] == 'pending'], 60)
        assert not [b for b in paas.api('GET', '/apps/killed/builds')[1] if b['status'] == 'pending'], seed
        assert [r['current'] for r in paas.api('GET', '/apps/killed/releases')[1]].count(True) == 1
        wait_for('serving', lambda: paas.http('killed')[0] == 200, 60)
    paas.commit(folder, 'last')
    r = paas.push(folder)
    assert 'deployed' in r.stderr
    head = paas.git('rev-parse', 'HEAD', cwd=folder).stdout.strip()
    assert f'HEROKU_SLUG_COMMIT={head}' in paas.http('killed')[1]
    wait_for('nothing left behind', lambda: left_behind(paas) == [], 20)
    # one web dyno, one shim
    wait_for('one dyno', lambda: len(os.listdir(os.path.join(paas.run_dir(), 'dynos'))) == 1, 60)
    subprocess.run(['git', 'fsck', '--strict'], check=True, capture_output=True, cwd=os.path.join(
        paas.state, 'repos', next(d for d in os.listdir(os.path.join(paas.state, 'repos')) if d.endswith('.git'))))
