"""Two platforms on one machine: nothing of one meets the other, and ending one leaves nothing of it."""
import os
import re
import signal
import subprocess

import pytest

from platform_under_test import Platform, wait_for


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    from conftest import ROOT
    made = []
    try:
        for name in ('one', 'two'):
            p = Platform(ROOT)
            made.append(p)
            p.start()
            p.login()
            p.name = name
            p.folder = p.make_app('c', tmp_path_factory.mktemp(name) / 'app')
            p.create(name, p.folder)
            p.push(p.folder)
        yield made
    finally:
        for p in made:
            p.close()


def slot(paas):
    with open(os.path.join(paas.state, 'instance')) as f:
        return int(f.read().split()[1])


def bridge(paas):
    return f'paas{slot(paas)}'


def links():
    return re.findall(r'^\d+: ([^:@]+)', subprocess.run(['ip', '-o', 'link'], capture_output=True, text=True).stdout, re.M)


def tables():
    return subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True).stdout.split('\n')


def leftovers(number, state, run):
    """All that carries an instance's names."""
    found = [f'link {n}' for n in links() if n == f'paas{number}' or n.startswith('pd%02x' % number)]
    found += [t for t in tables() if t.endswith(f'paasd{number}')]
    for top, dirs, _ in os.walk('/sys/fs/cgroup'):
        if top.count('/') > 4:
            dirs[:] = []
        found += [f'cgroup {top}/{d}' for d in dirs if d == f'paasd{number}']
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                line = f.read()
            cwd = os.readlink(f'/proc/{pid}/cwd')
        except OSError:
            continue
        if state.encode() in line or cwd.startswith(state):
            found.append(f'process {pid} {line!r} in {cwd}')
    with open('/proc/self/mounts') as f:
        found += ['mount ' + m for m in f if state in m]
    for d in (run, state):
        if os.path.isdir(d):
            found += [f'{d}/{n}' for n in os.listdir(d)
                      if n in ('dynos', 'box', 'launcher.lock') or n.endswith('.sock')]
    if os.path.exists(f'/run/paasd-slots/{number}'):
        found.append(f'slot file {number}')
    return found


def test_different_names(both):
    one, two = both
    assert slot(one) != slot(two)
    assert {bridge(one), bridge(two)} <= set(links())
    uids = [int(re.search(r'uid=(\d+)', p.http(p.name)[1]).group(1)) for p in both]
    assert uids[0] // 65536 != uids[1] // 65536
    for p in both:
        assert any(t.endswith(f'paasd{slot(p)}') for t in tables())


def test_each_serves_its_own(both):
    one, two = both
    assert one.http('one')[0] == two.http('two')[0] == 200
    assert one.http('two')[0] == two.http('one')[0] == 404
    assert one.api('GET', '/apps', token=two.token)[0] == 401


def test_their_dynos_do_not_meet(both):
    one, two = both
    port = re.search(r'^PORT=(\d+)$', two.http('two')[1], re.M).group(1)
    meta = os.path.join(two.run_dir(), 'meta')
    with open(os.path.join(meta, two.api('GET', '/apps/two/dynos')[1][0]['id']), 'rb') as f:
        ip = re.search(rb'10\.\d+\.\d+\.\d+', f.read()).group(0).decode()
    r = one.ctl('run', '--no-tty', '-x', '-a', 'one', '--',
                f'timeout 2 bash -c "exec 3<>/dev/tcp/{ip}/{port}" 2>/dev/null && echo reached || echo no way')
    assert r.stdout.endswith('no way\n'), r.stdout


def test_ending_one_leaves_the_other_and_nothing_of_itself(both):
    one, two = both
    number = slot(one)
    two_before = re.search('pid=.*', two.http('two')[1]).group(0)
    one.ctl('ps:scale', 'worker=2', '-a', 'one')
    wait_for('workers', lambda: one.ctl('ps', '-a', 'one').stdout.count(': up') == 3)
    one.proc.send_signal(signal.SIGTERM)
    bad = []

    def ended():
        if two.http('two', '/up')[0] != 200:
            bad.append('two')
        return one.proc.poll() is not None
    wait_for('its end', ended, 60)
    assert one.proc.returncode == 0 and not bad
    assert leftovers(number, one.state, one.run_dir()) == []
    assert re.search('pid=.*', two.http('two')[1]).group(0) == two_before
    assert two.ctl('run', '--no-tty', '-x', '-a', 'two', '--', 'echo well').stdout.endswith('well\n')
    assert bridge(two) in links() and leftovers(slot(two), two.state, two.run_dir())
    one.start()  # and it comes back as it was
    wait_for('its dynos', lambda: one.ctl('ps', '-a', 'one').stdout.count(': up') == 3)
    assert one.http('one')[0] == 200
