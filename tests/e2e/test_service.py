"""As a service: launcher as root, router and paasd as an ordinary user, each started on its own with the
settings file, as the systemd units do. Apps outlive each of the three."""
import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from platform_under_test import Failed, Platform, copy_checkout, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UID = 65534


class Service(Platform):
    def __init__(self):
        super().__init__(ROOT)
        shutil.rmtree(self.dir)
        self.dir = tempfile.mkdtemp(prefix='paas-svc-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.bin = copy_checkout(ROOT, self.bin, self.dir + '/checkout')
        self.state, self.run_folder = self.dir + '/state', self.dir + '/run'
        self.home = self.dir + '/home'
        for path in (self.state, self.run_folder, self.home):
            os.mkdir(path, 0o755)
            os.chown(path, UID, UID)
        self.log = open(self.dir + '/paasd.log', 'ab')
        self.config = self.dir + '/paasd.yml'
        with open(self.config, 'w') as f:
            f.write(f'listen: 127.0.0.1:{self.port}\nplatform_host: localhost\napps_domain: localhost\n'
                    f'state_dir: {self.state}\nrun_dir: {self.run_folder}\nlibexec_dir: {self.bin}\n'
                    f'buildpacks_dir: {self.dir}/checkout/buildpacks\n')
        self.parts = {}

    def spawn(self, name, argv, uid):
        log = open(f'{self.dir}/{name}.out', 'ab')
        prefix = ['setpriv', '--reuid', str(uid), '--regid', str(uid), '--clear-groups'] if uid else []
        self.parts[name] = subprocess.Popen(prefix + argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True, env={'PATH': '/usr/bin:/bin', 'LANG': 'C.UTF-8'})

    def start_part(self, name):
        paasd, config = self.bin + '/paasd', ['--config', self.config]
        argv = {'launcher': [paasd, 'exec:launcher', *config, '--', '--owner', 'nobody'],
                'router': [paasd, 'exec:router', *config],
                'paasd': [paasd, *config]}[name]
        self.spawn(name, argv, 0 if name == 'launcher' else UID)

    def output(self, name):
        with open(f'{self.dir}/{name}.out') as f:
            return f.read()

    def start(self):
        for name, sock in (('launcher', 'launcher.sock'), ('router', 'router.sock')):
            self.start_part(name)
            wait_for(sock, lambda: os.path.exists(f'{self.run_folder}/{sock}'))
        self.start_paasd()
        with open(self.state + '/admin-token') as f:
            self.token = f.read().strip()

    def start_paasd(self):
        seen = self.output('paasd').count('\nready') if 'paasd' in self.parts else 0
        self.start_part('paasd')

        def ready():
            if self.parts['paasd'].poll() is not None:
                raise Failed(self.output('paasd') + self.output('launcher'))
            return ('\n' + self.output('paasd')).count('\nready') > seen
        wait_for('ready', ready)

    def end(self, name, sig=signal.SIGTERM):
        p = self.parts.pop(name)
        p.send_signal(sig)
        p.wait(30)
        return p.returncode

    def close(self):
        for name in ('paasd', 'router', 'launcher'):
            if name in self.parts:
                self.end(name)
        r = subprocess.run([self.bin + '/paas-launcher', '--cleanup', '--run', self.run_folder, '--state', self.state],
                           capture_output=True, text=True)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert r.returncode == 0, r.stderr


@pytest.fixture(scope='module')
def paas():
    s = Service()
    try:
        s.start()
        s.login()
        yield s
    finally:
        s.close()


def pid_of(paas):
    return re.search(r'pid=(\d+)\ncwd=/app\nuid=(\d+)', paas.http('svc')[1]).groups()


def test_the_whole_path(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('svc') / 'app')
    paas.create('svc', folder)
    r = paas.push(folder)
    assert 'deployed' in r.stderr
    assert int(pid_of(paas)[1]) >= 1000000
    assert paas.ctl('run', '--no-tty', '-a', 'svc', 'id -u').stdout.strip().isdigit()
    # what builds and dynos wrote belongs to the service's user
    for base, dirs, files in os.walk(os.path.join(paas.state, 'slugs')):
        assert os.lstat(base).st_uid == UID


def test_paasd_stops_and_the_app_goes_on(paas):
    before = paas.http('svc')[1]
    assert paas.end('paasd') == 0
    assert paas.http('svc')[1] == before
    paas.start_paasd()
    assert paas.http('svc')[1] == before
    wait_for('adoption', lambda: 'web.1: up' in paas.ctl('ps', '-a', 'svc').stdout)


def test_router_and_launcher_come_back(paas):
    before = paas.http('svc')[1]
    paas.end('router', signal.SIGKILL)
    paas.start_part('router')
    wait_for('routes from the snapshot', lambda: try_http(paas) == before)
    paas.end('launcher', signal.SIGKILL)
    paas.start_part('launcher')
    assert paas.http('svc')[1] == before
    wait_for('a new dyno', lambda: paas.ctl('run', '--no-tty', '-x', '-a', 'svc', 'true', check=False).returncode == 0)


def try_http(paas):
    try:
        return paas.http('svc')[1]
    except OSError:
        return None


def paasd(paas, uid, *args):
    prefix = ['setpriv', '--reuid', str(uid), '--regid', str(uid), '--clear-groups'] if uid else []
    return subprocess.run([*prefix, paas.bin + '/paasd', *args], capture_output=True, text=True, timeout=60, cwd=paas.dir,
                          env={'PATH': '/usr/bin:/bin', 'TMPDIR': '/tmp'})


def owners(top):
    return {os.path.relpath(os.path.join(base, n), top): os.lstat(os.path.join(base, n)).st_uid
            for base, dirs, files in os.walk(top) for n in dirs + files}


def test_backups_by_root_and_by_paasds_user(paas):
    """Last: nothing runs any more at its end."""
    config = ('--config', paas.config)
    assert paas.api('POST', '/volumes', {'name': 'files', 'size_mb': 16})[0] == 201
    paas.ctl('storage:attach', 'files', '--path', '/data', '-a', 'svc')
    paas.ctl('run', '--no-tty', '-x', '-a', 'svc', '--', 'sh', '-c', 'echo kept > /data/file')
    secret = paas.dir + '/secret'  # where paasd's user may not go
    os.mkdir(secret, 0o700)
    for uid, path in ((UID, paas.home + '/a.tar'), (0, secret + '/a.tar')):
        r = paasd(paas, uid, 'backup', *config, path)
        assert r.returncode == 0, r.stderr + paas.output('paasd')
        assert (os.stat(path).st_uid, os.stat(path).st_mode & 0o777) == (uid, 0o600)
    assert paasd(paas, 1, 'backup', *config, '/tmp/not-mine.tar').returncode and not os.path.exists('/tmp/not-mine.tar')
    # paasd dies while it makes one
    cut = subprocess.Popen([paas.bin + '/paasd', 'backup', *config, '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    cut.stdout.read(1)
    paas.end('paasd', signal.SIGKILL)
    said = cut.communicate(timeout=20)[1]
    assert cut.returncode == 7 and b'paasd ended meanwhile' in said, said
    # the app has volumes, and goes on without paasd: files alone would not do
    r = paasd(paas, 0, 'backup', *config, secret + '/b.tar')
    assert r.returncode == 5 and 'but apps and services do' in r.stderr and os.listdir(secret) == ['a.tar']
    for name in ('router', 'launcher'):
        paas.end(name)
    assert subprocess.run([paas.bin + '/paas-launcher', '--cleanup', '--run', paas.run_folder, '--state', paas.state]).returncode == 0
    r = paasd(paas, UID, 'backup', *config, paas.home + '/b.tar')
    assert r.returncode == 3 and 'as root' in r.stderr
    r = paasd(paas, 0, 'backup', *config, secret + '/b.tar')
    assert r.returncode == 0, r.stderr
    assert os.stat(paas.state + '/paasd.lock').st_uid == UID
    for name in ('a', 'b'):
        to = f'{paas.dir}/{name}'
        os.mkdir(to)
        os.chown(to, UID, UID)
        args = ('restore', '--set', f'state_dir={to}', '--key', paas.state + '/master.key')
        shutil.copy(f'{secret}/{name}.tar', paas.home)
        os.chmod(f'{paas.home}/{name}.tar', 0o644)
        if name == 'a':
            r = paasd(paas, UID, *args, f'{paas.home}/{name}.tar')
            assert r.returncode == 3 and 'as root' in r.stderr, r.stderr
        r = paasd(paas, 0, *args, f'{paas.home}/{name}.tar')
        assert r.returncode == 0, r.stderr
        whose = owners(to)
        assert {u for n, u in whose.items() if n.split('/')[0] == 'volumes'} == {0}
        assert {u for n, u in whose.items() if n.split('/')[0] != 'volumes'} == {UID}
        (image,) = [n for n in whose if n.endswith('/image')]
        kept = subprocess.run(['/usr/sbin/debugfs', '-R', 'cat data/file', f'{to}/{image}'], capture_output=True, text=True).stdout
        assert kept == 'kept\n'
