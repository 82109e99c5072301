"""The life of dynos: crash and back-off, stop, memory, one-offs, states seen by the router, parts of the
platform that die, network, environment, log."""
import datetime
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from platform_under_test import Platform, free_port, read_now, wait_for

BACKOFF = 4
APP = 'life'


class HostPort:
    """A TCP server of this host that says hello."""

    def __init__(self):
        self.sock = socket.create_server(('0.0.0.0', 0))
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            c.sendall(b'hello from the host\n')
            c.close()

    def close(self):
        self.sock.close()


@pytest.fixture(scope='module')
def host_ports():
    both = HostPort(), HostPort()
    yield both
    for p in both:
        p.close()


@pytest.fixture(scope='module')
def paas(host_ports):
    from conftest import ROOT
    settings = [f'dyno.crash_backoff={BACKOFF}', 'dyno.stop_timeout=2', 'dyno.memory=32', 'dyno.memory_sample=1',
                f'dyno.host_ports={host_ports[0].port}']
    p = Platform(ROOT, *(x for s in settings for x in ('--set', s)),
                 environ={'PAASD_CANARY': 'must not reach an app'})
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('life') / 'app')
    paas.login()
    paas.create(APP, folder)
    return folder


@pytest.fixture
def live(paas, app):
    """The app, pushed, with one web dyno up, whatever the test before left."""
    if paas.api('GET', f'/apps/{APP}')[1]['slug_size'] is None:
        paas.push(app)
    settled(paas)
    return app


def settled(paas):
    """Every release is live or failed, and web.1 is of the current one."""
    def there():
        all_of = paas.api('GET', f'/apps/{APP}/releases')[1]
        current = [r['version'] for r in all_of if r['current']]
        web = [d for d in dynos(paas).values() if d['name'] == 'web.1']
        return ('pending' not in [r['status'] for r in all_of] and len(web) == 1 and web[0]['state'] == 'up'
                and [web[0]['release']['version']] == current)
    wait_for('the current release', there, 30)


def dynos(paas):
    return {d['name']: d for d in paas.api('GET', f'/apps/{APP}/dynos')[1]}


def state(paas, name):
    return dynos(paas).get(name, {}).get('state')


class Since:
    """The app's log lines from now on."""

    def __init__(self, paas):
        self.paas = paas
        self.paas.ctl('config:get', 'X', '-a', APP, check=False)
        self.seen = len(self.lines())

    def lines(self):
        return self.paas.logs(APP, 1500).splitlines()

    def text(self):
        return '\n'.join(self.lines()[self.seen:])

    def wait(self, *texts, timeout=15):
        def there():
            now = self.text()
            return all(t in now for t in texts)
        try:
            wait_for(texts, there, timeout)
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.text()}')
        return self.text()

    def in_order(self, *texts, timeout=15):
        text, at = self.wait(*texts, timeout=timeout), 0
        for t in texts:
            at = text.find(t, at)
            assert at >= 0, f'{t!r} is not in its place in\n{text}'


def quit_web(paas):
    assert paas.http(APP, '/quit')[1] == 'bye\n'


def boot(paas):
    """The dyno id that serves."""
    return dynos(paas)['web.1']['id']


def processes(*texts):
    """Pids of processes whose command line holds every text."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                line = f.read().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            continue
        if all(t in line for t in texts):
            found.append(int(pid))
    return found


def parent(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return int(f.read().rsplit(')', 1)[1].split()[1])
    except OSError:
        return 0


def the_process(program, *texts):
    """Its pid: children that it forked have the same command line."""
    ours = processes(program, *texts)
    first = [p for p in ours if parent(p) not in ours]
    assert len(first) == 1, first
    return first[0]


def run(paas, command, **kw):
    return paas.ctl('run', '--no-tty', '-x', '-a', APP, '--', command, **kw)


# --- from nothing to the first dyno ---------------------------------------------------------------

def test_before_the_first_push(paas, app):
    log = Since(paas)
    assert paas.http(APP)[0] == 503
    log.wait('code=H81 desc="Blank app"')


def test_requests_wait_for_the_first_boot(paas, app):
    paas.ctl('config:set', 'BOOT_DELAY=2', '-a', APP)
    log = Since(paas)
    push = threading.Thread(target=lambda: paas.push(app))
    push.start()
    log.wait('heroku[web.1]: Starting process with command `./server`', timeout=60)
    start = time.monotonic()
    status, body, _ = paas.http(APP)
    took = time.monotonic() - start
    push.join()
    assert status == 200 and 'DYNO=web.1' in body
    assert took > 0.5, 'it did not wait'
    log.in_order('heroku[web.1]: State changed from down to starting', 'heroku[web.1]: Starting process with command',
                 'heroku[web.1]: State changed from starting to up')
    log.wait('app[web.1]: listening on ')
    paas.ctl('config:unset', 'BOOT_DELAY', '-a', APP)


def test_a_changed_config_reaches_the_dyno_without_a_gap(paas, live):
    before, start = boot(paas), time.monotonic()
    paas.ctl('config:set', 'BOOT_DELAY=1', '-a', APP)
    bad = []

    def moved():
        status = paas.http(APP, '/up')[0]
        if status != 200:
            bad.append(status)
        return boot(paas) != before and state(paas, 'web.1') == 'up'
    wait_for('the new dyno', moved, 30)
    assert not bad
    assert time.monotonic() - start > 1
    paas.ctl('config:unset', 'BOOT_DELAY', '-a', APP)


def test_environment(paas, live):
    lines = dict(x.split('=', 1) for x in run(paas, 'env').stdout.splitlines() if '=' in x)
    info = paas.api('GET', f'/apps/{APP}')[1]
    current = [r for r in paas.api('GET', f'/apps/{APP}/releases')[1] if r['current']][0]
    head = paas.git('rev-parse', 'HEAD', cwd=live).stdout.strip()
    assert lines['HOME'] == lines['PWD'] == '/app'
    assert re.fullmatch(r'run\.\d+', lines['DYNO'])
    assert lines['HEROKU_APP_ID'] == info['id'] and lines['HEROKU_APP_NAME'] == APP
    assert lines['HEROKU_RELEASE_VERSION'] == f'v{current["version"]}'
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', lines['HEROKU_RELEASE_CREATED_AT'])
    assert lines['HEROKU_SLUG_COMMIT'] == lines['HEROKU_BUILD_COMMIT'] == head
    assert head[:7] in lines['HEROKU_SLUG_DESCRIPTION']
    assert lines['HEROKU_APP_DEFAULT_DOMAIN_NAME'] == f'{APP}.localhost'
    assert re.fullmatch(r'[0-9a-f-]{36}', lines['HEROKU_DYNO_ID'])
    assert 'PAASD_CANARY' not in lines and 'SUDO_USER' not in lines and 'LD_LIBRARY_PATH' not in lines
    assert not [k for k in lines if k.startswith(('PYTEST', 'PAAS'))]
    body = paas.http(APP)[1]
    assert re.search(r'^PORT=\d+$', body, re.M) and 'DYNO=web.1' in body and 'HOME=/app' in body


# --- crash ----------------------------------------------------------------------------------------

def fresh_start(paas):
    """A web.1 that has just started, so that its next crash is one soon after the start."""
    before = boot(paas)
    paas.ctl('ps:restart', 'web.1', '-a', APP)
    wait_for('restart', lambda: boot(paas) != before and state(paas, 'web.1') == 'up')
    # until its routes are gone the one before may get a request that is meant for this one
    wait_for('the end of the one before', lambda: before not in os.listdir(os.path.join(paas.run_dir(), 'dynos')))


def crash_twice(paas):
    fresh_start(paas)
    for _ in range(2):
        before = boot(paas)
        quit_web(paas)
        wait_for('its end', lambda: dynos(paas)['web.1']['id'] != before)
        if _ == 0:
            wait_for('restart', lambda: state(paas, 'web.1') == 'up', 3)
    wait_for('crashed', lambda: state(paas, 'web.1') == 'crashed', 3)


def test_first_crash_restarts_at_once_the_second_waits(paas, live):
    log = Since(paas)
    crash_twice(paas)
    start = time.monotonic()
    log.in_order('heroku[web.1]: Process exited with status 9', 'heroku[web.1]: State changed from up to crashed',
                 'heroku[web.1]: State changed from crashed to starting', 'heroku[web.1]: State changed from starting to up',
                 'heroku[web.1]: Process exited with status 9', 'heroku[web.1]: State changed from up to crashed')
    assert paas.http(APP)[0] == 503
    log.wait('code=H10 desc="App crashed"')
    assert 'crashed' in paas.ctl('ps', '-a', APP).stdout
    assert state(paas, 'web.1') == 'crashed'
    wait_for('the end of the wait', lambda: state(paas, 'web.1') == 'up', BACKOFF + 10)
    assert time.monotonic() - start > BACKOFF / 3
    assert paas.http(APP)[0] == 200


def test_a_manual_restart_resets_the_wait(paas, live):
    crash_twice(paas)
    paas.ctl('ps:restart', 'web.1', '-a', APP)
    wait_for('restart', lambda: state(paas, 'web.1') == 'up', BACKOFF * 0.75)
    quit_web(paas)  # counts as a first crash again
    wait_for('restart', lambda: state(paas, 'web.1') == 'up', BACKOFF * 0.75)


def test_the_wait_survives_paasd_and_a_release_ends_it(paas, live):
    crash_twice(paas)
    paas.kill9()
    paas.start()
    assert state(paas, 'web.1') == 'crashed'
    assert paas.http(APP)[0] == 503
    paas.ctl('config:set', 'RESET=1', '-a', APP)
    wait_for('the new release', lambda: state(paas, 'web.1') == 'up', BACKOFF * 0.75)


# --- stop -----------------------------------------------------------------------------------------

def test_sigterm_is_enough(paas, live):
    log = Since(paas)
    fresh_start(paas)
    log.in_order('heroku[web.1]: Restarting', 'heroku[web.1]: Stopping all processes with SIGTERM',
                 'app[web.1]: SIGTERM: stopped', timeout=10)
    log.wait('heroku[web.1]: Process exited with status 0')
    assert 'R12' not in log.text() and 'SIGKILL' not in log.text()


def test_a_stubborn_one_is_killed(paas, live):
    paas.ctl('config:set', 'STUBBORN=1', '-a', APP)
    settled(paas)
    log = Since(paas)
    paas.ctl('config:unset', 'STUBBORN', '-a', APP)
    log.in_order('heroku[web.1]: Stopping all processes with SIGTERM',
                 'heroku[web.1]: Error R12 (Exit timeout) -> At least one process failed to exit within 2 seconds of '
                 'SIGTERM', 'heroku[web.1]: Stopping process with SIGKILL', 'heroku[web.1]: Process exited with status 137')


def test_ps_stop_of_a_formation_dyno_comes_back(paas, live):
    before = boot(paas)
    paas.ctl('ps:stop', 'web.1', '-a', APP)
    wait_for('its replacement', lambda: boot(paas) != before and state(paas, 'web.1') == 'up')
    assert paas.http(APP)[0] == 200


def test_worker(paas, live):
    paas.ctl('ps:scale', 'worker=1', '-a', APP)
    wait_for('worker', lambda: state(paas, 'worker.1') == 'up')
    before = dynos(paas)['worker.1']['id']
    log = Since(paas)
    paas.ctl('ps:restart', 'worker', '-a', APP)
    wait_for('a new one', lambda: state(paas, 'worker.1') == 'up' and dynos(paas)['worker.1']['id'] != before)
    log.wait('heroku[worker.1]: Stopping all processes with SIGTERM', 'app[worker.1]: worker: TERM',
             'app[worker.1]: tick 1')
    paas.ctl('ps:scale', 'worker=0', '-a', APP)
    wait_for('none', lambda: 'worker.1' not in dynos(paas))


def test_scaled_to_nothing_and_maintenance(paas, live):
    log = Since(paas)
    paas.ctl('ps:scale', 'web=0', '-a', APP)
    wait_for('none', lambda: 'web.1' not in dynos(paas))
    assert paas.http(APP)[0] == 503
    log.wait('code=H14 desc="No web processes running"')
    paas.ctl('ps:scale', 'web=1', '-a', APP)
    wait_for('web', lambda: state(paas, 'web.1') == 'up')
    assert paas.api('PATCH', f'/apps/{APP}', {'maintenance': True})[0] == 200
    assert paas.http(APP)[0] == 503
    log.wait('code=H80 desc="Maintenance mode"')
    assert state(paas, 'web.1') == 'up'
    assert 'still works' in run(paas, 'echo still works').stdout
    assert paas.api('PATCH', f'/apps/{APP}', {'maintenance': False})[0] == 200
    assert paas.http(APP)[0] == 200


# --- memory ---------------------------------------------------------------------------------------

def test_memory_quota(paas, live):
    with open(paas.log.name) as f:
        if 'limits=none' in f.read():
            pytest.skip('no cgroups: memory is not measured')
    fresh_start(paas)
    log = Since(paas)
    assert paas.http(APP, '/mem?40')[0] == 200
    text = log.wait('heroku[web.1]: Error R14 (Memory quota exceeded)')
    found = re.search(r'heroku\[web\.1\]: Process running mem=(\d+)M\((\d+\.\d)%\)', text)
    assert 40 <= int(found.group(1)) <= 60 and 125 <= float(found.group(2)) <= 190
    assert state(paas, 'web.1') == 'up'
    paas.http(APP, '/mem?60')
    log.in_order('heroku[web.1]: Error R15 (Memory quota vastly exceeded)', 'heroku[web.1]: Stopping process with SIGKILL',
                 'heroku[web.1]: Process exited with status 137', 'heroku[web.1]: State changed from up to crashed')


# --- one-offs -------------------------------------------------------------------------------------

def detached(paas, command, **more):
    status, d, _ = paas.api('POST', f'/apps/{APP}/dynos', {'command': command, **more})
    assert status == 201, d
    return d['name']


def test_detached_one_off(paas, live):
    log = Since(paas)
    name = detached(paas, 'echo out of $DYNO; exit 3')
    log.in_order(f'heroku[{name}]: Starting process with command `echo out of $DYNO; exit 3`',
                 f'heroku[{name}]: State changed from starting to up',
                 f'heroku[{name}]: Process exited with status 3', f'heroku[{name}]: State changed from up to complete')
    log.wait(f'app[{name}]: out of {name}')
    wait_for('its end', lambda: name not in dynos(paas))
    assert f'heroku[{name}]: Restarting' not in log.text()


def test_an_attached_one_off_writes_to_its_terminal_only(paas, live):
    log = Since(paas)
    assert 'for my eyes' in run(paas, 'echo for my eyes').stdout
    log.in_order('State changed from starting to up', 'Process exited with status 0', 'State changed from up to complete')
    assert not re.search(r'app\[run\.\d+\]', log.text())


def test_an_attached_one_off_is_up_while_it_runs(paas, live):
    p = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'run', '--no-tty', '-a', APP, '--', 'echo $DYNO; cat'],
                         env=paas.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        name = p.stdout.readline().decode().strip()
        wait_for('it', lambda: state(paas, name) == 'up', 5)
        p.stdin.close()
        assert p.wait(10) == 0
        wait_for('its end', lambda: name not in dynos(paas))
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_one_off_with_a_limited_life(paas, live):
    log = Since(paas)
    name = detached(paas, 'sleep 1000', time_to_live=2)
    wait_for('it', lambda: state(paas, name) == 'up')
    wait_for('its end', lambda: name not in dynos(paas), 15)
    log.wait(f'heroku[{name}]: Process exited with status 143')


def test_ps_stop_of_a_one_off_ends_it(paas, live):
    log = Since(paas)
    name = detached(paas, 'sleep 1000')
    wait_for('it', lambda: state(paas, name) == 'up')
    paas.ctl('ps:stop', name, '-a', APP)
    wait_for('its end', lambda: name not in dynos(paas), 15)
    log.in_order(f'heroku[{name}]: Stopping all processes with SIGTERM', f'heroku[{name}]: Process exited with status 143')


# --- parts that die -------------------------------------------------------------------------------

def test_a_dyno_whose_shim_is_killed_is_replaced(paas, live):
    before = boot(paas)
    with open(os.path.join(paas.state, 'dynos', before, 'record')) as f:
        record = f.read()
    ours = [p for p in processes('paas-shim') if re.search(rf'\b{p}\b', record)]
    shim = [p for p in ours if parent(p) not in ours]  # the other is the dyno's init
    assert len(shim) == 1
    os.kill(shim[0], signal.SIGKILL)
    wait_for('its replacement', lambda: boot(paas) != before and state(paas, 'web.1') == 'up', BACKOFF * 3)
    assert paas.http(APP)[0] == 200
    folder = os.path.join(paas.run_dir(), 'dynos')
    wait_for('the burial', lambda: before not in os.listdir(folder))


def test_a_killed_launcher_is_started_again(paas, live):
    old = the_process('paas-launcher', paas.state)
    before = boot(paas)
    os.kill(old, signal.SIGKILL)
    assert paas.http(APP)[0] == 200  # nobody needs it to serve
    paas.ctl('ps:restart', '-a', APP)  # at once, while it is away
    wait_for('a new dyno', lambda: boot(paas) != before and state(paas, 'web.1') == 'up')
    assert 'all well' in run(paas, 'echo all well').stdout
    assert the_process('paas-launcher', paas.state) != old


def test_a_build_survives_the_launcher(paas, live):
    with open(os.path.join(live, 'Makefile')) as f:
        makefile = f.read()
    paas.commit(live, 'a slow build', Makefile=makefile.replace('server: server.c\n', 'server: server.c\n\tsleep 2.0625\n'))
    outcome = []
    push = threading.Thread(target=lambda: outcome.append(paas.push(live, check=False).stderr))
    push.start()
    wait_for('the build', lambda: processes('sleep 2.0625'), 20)
    os.kill(the_process('paas-launcher', paas.state), signal.SIGKILL)
    push.join()
    assert 'deployed' in outcome[0], outcome
    web = boot(paas)
    wait_for('nothing left of it', lambda: os.listdir(os.path.join(paas.state, 'dynos')) == [web], 20)
    paas.commit(live, 'quick again', Makefile=makefile)
    paas.push(live)


def test_a_killed_router_is_started_again(paas, live):
    old = the_process('paas-router', paas.state)
    os.kill(old, signal.SIGKILL)
    start = time.monotonic()

    def serves():
        try:
            return paas.http(APP, '/up')[0] == 200
        except OSError:
            return False
    wait_for('traffic', serves, 5, 0.01)
    assert time.monotonic() - start < 1
    assert the_process('paas-router', paas.state) != old
    wait_for('the API', lambda: paas.api('GET', '/apps')[0] == 200, 5)
    fresh_start(paas)  # routes follow again
    assert paas.http(APP)[0] == 200
    log = Since(paas)
    paas.http(APP, '/up?after')
    log.wait('path="/up?after"')


# --- network --------------------------------------------------------------------------------------

CONNECT = ('if timeout 3 bash -c "exec 3<>/dev/tcp/{ip}/{port} && {read}" 2>/dev/null; '
           'then echo reached {port}; else echo no way to {port}; fi; ')
GATEWAY = ('while read -r i d g rest; do [ "$d" = 00000000 ] && '
           'gw=$(printf "%d.%d.%d.%d" 0x${g:6:2} 0x${g:4:2} 0x${g:2:2} 0x${g:0:2}); done < /proc/net/route; ')


def test_network(paas, live, host_ports):
    listed, other = host_ports
    body = paas.http(APP)[1]
    port = re.search(r'^PORT=(\d+)$', body, re.M).group(1)
    with open(os.path.join(paas.run_dir(), 'meta', boot(paas)), 'rb') as f:
        ip = re.search(rb'10\.\d+\.\d+\.\d+', f.read()).group(0).decode()
    with socket.create_connection((ip, int(port)), 5):
        pass  # the router's way
    out = run(paas, GATEWAY + CONNECT.format(ip='$gw', port=listed.port, read='cat <&3') +
              CONNECT.format(ip='$gw', port=other.port, read='cat <&3') +
              CONNECT.format(ip='127.0.0.1', port=listed.port, read='true') +
              CONNECT.format(ip='$gw', port=paas.port, read='true') +
              CONNECT.format(ip=ip, port=port, read='true')).stdout
    assert f'reached {listed.port}' in out and 'reached' not in out.replace(f'reached {listed.port}', '', 1), out
    assert f'no way to {other.port}' in out and f'no way to {port}' in out and f'no way to {paas.port}' in out


# --- log ------------------------------------------------------------------------------------------

def test_order_and_filters(paas, live):
    log = Since(paas)
    paas.http(APP, '/log?200')
    log.wait('log line 200 of 200')
    numbers = [int(n) for n in re.findall(r'app\[web\.1\]: log line (\d+) of 200', log.text())]
    assert numbers == list(range(1, 201))
    heroku = paas.ctl('logs', '-a', APP, '-n', '300', '-s', 'heroku').stdout.splitlines()
    assert heroku and all(' heroku[' in x for x in heroku)
    router = paas.ctl('logs', '-a', APP, '-n', '300', '-d', 'router').stdout.splitlines()
    assert router and all(' heroku[router]: ' in x for x in router)
    both = paas.ctl('logs', '-a', APP, '-n', '50', '-s', 'app', '-d', 'web.1').stdout.splitlines()
    assert len(both) == 50 and all(' app[web.1]: ' in x for x in both)
    assert both[-1].endswith('log line 200 of 200')
    assert paas.ctl('logs', '-a', APP, '-d', 'nothing.1').stdout == ''


def test_the_log_goes_on_over_a_death_of_paasd(paas, live):
    tail = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'logs', '--tail', '-n', '1', '-a', APP],
                            env=paas.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.set_blocking(tail.stdout.fileno(), False)
    seen = ''

    def shows(text):
        nonlocal seen
        seen += read_now(tail.stdout)
        return text in seen
    try:
        wait_for('the tail', lambda: shows('\n'))
        paas.http(APP, '/log?3')
        wait_for('live lines', lambda: shows('log line 3 of 3'))
        late = detached(paas, 'echo ready; read -t 1 < <(sleep 100); echo last words; exit 4')
        wait_for('the one-off', lambda: shows(f'app[{late}]: ready'))
        shim_of_late = dynos(paas)[late]['id']
        paas.kill9()
        assert paas.http(APP, '/log?7')[0] == 200
        folder = os.path.join(paas.run_dir(), 'dynos', shim_of_late)
        wait_for('its end', lambda: os.path.exists(folder + '/status') and not os.path.exists(folder + '/sock'))
        paas.start()
        wait_for('lines of meanwhile', lambda: shows('log line 7 of 7'))
        wait_for('lines of a dyno that ended', lambda: shows(f'app[{late}]: last words'))
        wait_for('its end', lambda: shows(f'heroku[{late}]: Process exited with status 4'))
        assert seen.index('last words') < seen.index(f'heroku[{late}]: Process exited')
        assert paas.http(APP, '/log?4')[0] == 200
        wait_for('live lines again', lambda: shows('log line 4 of 4'))
        for line in ('log line 3 of 3', 'log line 7 of 7', 'log line 4 of 4', 'last words'):
            assert seen.count(f']: {line}\n') == 1
    finally:
        tail.terminate()
        tail.wait(10)


def test_since_when_it_is_up(paas, live):
    """Not since paasd is back."""
    before = dynos(paas)['web.1']
    wait_for('a second that is another one', lambda: time.time() > iso(before['updated_at']) + 3)
    paas.kill9()
    paas.start()
    after = wait_for('web.1', lambda: dynos(paas).get('web.1'))
    assert after['id'] == before['id'] and after['state'] == 'up'
    assert abs(iso(after['updated_at']) - iso(before['updated_at'])) <= 2  # when it bound, when it was started


def iso(text):
    return datetime.datetime.strptime(text, '%Y-%m-%dT%H:%M:%S%z').timestamp()


def test_a_web_dyno_that_ended_while_paasd_was_away(paas, live):
    log = Since(paas)
    before = boot(paas)
    paas.kill9()
    quit_web(paas)
    wait_for('its end', lambda: os.path.exists(os.path.join(paas.run_dir(), 'dynos', before, 'status')))
    paas.start()
    wait_for('a new one', lambda: state(paas, 'web.1') == 'up' and boot(paas) != before)
    log.wait('heroku[web.1]: Process exited with status 9')
    assert paas.http(APP)[0] == 200
