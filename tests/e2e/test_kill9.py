"""kill -9 of paasd at random points of pushes: no half release, nothing orphaned, the next push works."""
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing

import pytest
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


def the_launcher(paas):
    """Its pid: children that it forked have the same command line."""
    def stat(pid):
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)
    named = {pid: stat(pid) for pid in paas.orphans() if '(paas-launcher' in stat(pid)[0]}
    return next(pid for pid, s in named.items() if int(s[1].split()[1]) not in named)


@pytest.fixture(scope='module')
def once(paas, tmp_path_factory):
    """An app whose release command says when it ran, and can take long."""
    folder = paas.make_app('procfile', tmp_path_factory.mktemp('once') / 'app')
    paas.commit(folder, 'a release command', Procfile='web: bin/server\nrelease: bin/migrate\n',
                **{'bin/migrate': '#!/bin/sh\necho "began at $(date +%s%N)"\nsleep ${RELEASE_SLEEP:-0}\n'})
    os.chmod(os.path.join(folder, 'bin', 'migrate'), 0o755)
    paas.commit(folder, 'executable')
    paas.login()
    paas.create('once', folder)
    paas.push(folder)
    paas.api('PATCH', '/apps/once/config-vars', {'RELEASE_SLEEP': '1'})
    settled(paas)
    return folder


def newest(paas):
    return paas.api('GET', '/apps/once/releases')[1][-1]


def settled(paas):
    return wait_for('the end of the release', lambda: newest(paas) if newest(paas)['status'] != 'pending' else None, 60)


def times_run(paas):
    """Lines that paasd had not acknowledged when it was killed come again: by what each says."""
    return len(set(re.findall(r'app\[release\.\d+\]: (began at \d+)', paas.logs('once'))))


def change(paas, folder):
    """A release, and its command, in the background."""
    paas.commit(folder, 'again')
    t = threading.Thread(target=lambda: paas.push(folder, check=False, timeout=120))
    t.start()
    return t


def phase(paas):
    with closing(sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20)) as db:
        return db.execute("SELECT phase, coalesce(command_dyno, '') FROM releases ORDER BY created_ms DESC, version DESC").fetchone()


def connections():
    """To the launcher, accepted or not."""
    with open('/proc/net/unix') as f:
        return f.read().count('/launcher.sock\n')


def restarted(paas, launcher):
    """paasd was killed while the launcher stood still; both go on."""
    before = connections()
    t = threading.Thread(target=paas.start)
    t.start()
    # It waits for the launcher, which has not read what the earlier paasd sent.
    wait_for('its question', lambda: connections() > before)
    os.kill(launcher, signal.SIGCONT)
    t.join()


def test_a_launch_in_the_launchers_hand(paas, once):
    """paasd is killed when the launcher has been asked, and has not answered: the command runs once, and its release goes on."""
    before, launcher = times_run(paas), the_launcher(paas)
    push = change(paas, once)
    wait_for('the release', lambda: newest(paas)['status'] == 'pending', step=0.002)
    os.kill(launcher, signal.SIGSTOP)
    try:
        dyno = wait_for('the phase', lambda: phase(paas)[0] == 'release_phase' and phase(paas)[1])
        wait_for('the request', lambda: os.path.exists(os.path.join(paas.run_dir(), 'meta', dyno)))
        paas.kill9()
        push.join()
        restarted(paas, launcher)
    finally:
        os.kill(launcher, signal.SIGCONT)
    assert settled(paas)['status'] == 'succeeded', paas.tail_log()
    assert times_run(paas) == before + 1


def test_a_removal_in_the_launchers_hand(paas, once):
    """The command has ended, nothing of that is in the database yet, and its dyno is being removed."""
    before, launcher = times_run(paas), the_launcher(paas)
    push = change(paas, once)
    dyno = wait_for('the command', lambda: phase(paas)[0] == 'release_phase' and phase(paas)[1])
    wait_for('its run', lambda: times_run(paas) == before + 1)
    with closing(sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20, isolation_level=None)) as db:
        db.execute('BEGIN IMMEDIATE')  # nothing is committed from here on
        os.kill(launcher, signal.SIGSTOP)
        try:
            wait_for('the note of its end', lambda: os.path.exists(os.path.join(paas.run_dir(), 'meta', dyno + '.end')))
            paas.kill9()
            db.execute('ROLLBACK')
            push.join()
            assert phase(paas) == ('release_phase', dyno)
            restarted(paas, launcher)
        finally:
            os.kill(launcher, signal.SIGCONT)
    assert settled(paas)['status'] == 'succeeded', paas.tail_log()
    assert times_run(paas) == before + 1
