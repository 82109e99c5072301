"""Runs one buildpack as a builder does, and what it made as a dyno does.

Two places to build in, as the platform has them:
  app    a private root (mount namespace) in which the build tree is /app, and where it runs as /app
  plain  the build tree is somewhere, HOME elsewhere, and the app runs from a third place
Every process that serves is in a network namespace of its own: nothing binds on the host.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDPACKS = os.path.join(REPO, 'buildpacks')
APPS = os.path.join(REPO, 'tests', 'apps')
NAMES = ('nodejs', 'ruby', 'python', 'static', 'make', 'procfile')
PATH = '/usr/local/bin:/usr/bin:/bin'
PORT = 5000
PASSED = ('http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'SSL_CERT_FILE',
          'SSL_CERT_DIR', 'CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'npm_config_registry', 'npm_config_cafile')

# A root of the host's /usr and a few more, made in a mount namespace and gone with it.
# $1 root, $2 what becomes /app, $3 folder kept at its own path, then the command.
ENTER = r'''
set -eu
root=$1 app=$2 keep=$3; shift 3
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root"/{usr,etc,proc,dev,sys,app,tmp,root} "$root$keep"
for d in bin sbin lib lib64; do [ ! -L /$d ] || ln -s "$(readlink /$d)" "$root/$d"; done
chmod 1777 "$root/tmp"
mount --bind /usr "$root/usr"; mount -o remount,bind,ro "$root/usr"
mount --bind /etc "$root/etc"; mount -o remount,bind,ro "$root/etc"
mount --rbind /dev "$root/dev"; mount --rbind /proc "$root/proc"; mount --rbind /sys "$root/sys"
mount --bind "$app" "$root/app"
mount --bind "$keep" "$root$keep"
exec /usr/sbin/chroot "$root" "$@"
'''
# As a dyno starts: profile scripts in name order, then the command by bash, in HOME.
START = r'''
cd "$HOME" || exit 99
for f in .profile.d/*.sh; do [ -r "$f" ] && . "$f"; done
exec bash -c "$1"
'''


def host_env(**more):
    env = {k: os.environ[k] for k in PASSED if k in os.environ}
    env.update(PATH=PATH, LANG='C.UTF-8', HOME='/nonexistent', **more)
    return env


def make_app(kind, into, *args, **env):
    """A sample application of tests/apps, as a commit's files without .git."""
    subprocess.run([os.path.join(APPS, 'make-%s-app.sh' % kind), into, *args], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, PATH=PATH, **env), timeout=300)
    shutil.rmtree(os.path.join(into, '.git'))
    return into


def write(path, text, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text if isinstance(text, str) else json.dumps(text, indent=2))
    if mode:
        os.chmod(path, mode)
    return path


class Result:
    def __init__(self, status, text, seconds):
        self.status, self.text, self.seconds = status, text, seconds

    def ok(self):
        assert self.status == 0, self.text
        for line in self.text.splitlines():
            # steps, details and warnings in their columns; nothing else
            assert line == '' or line.startswith(('-----> ', '       ', ' !     ')), 'bare line %r in\n%s' % (line, self.text)
        return self.text

    def failed(self, *texts):
        assert self.status != 0, self.text
        for t in texts:
            assert t in self.text, 'no %r in\n%s' % (t, self.text)
        assert ' !     ' in self.text
        return self.text


class Lab:
    """One app's folders: config vars, cache, and a build tree anew for every build."""

    def __init__(self, tmp, pack, mode='app', net=True):
        self.pack, self.mode, self.net = pack, mode, net
        self.dir = tempfile.mkdtemp(prefix=pack + '-', dir=str(tmp))
        self.cache, self.envdir, self.count = self.path('cache'), self.path('env'), 0
        os.mkdir(self.envdir)
        self.tree = self.buildpack = None
        self.vars = {}  # the platform's pass-through
        self.running = []

    def path(self, *p):
        return os.path.join(self.dir, *p)

    def config(self, **values):
        for k, v in values.items():
            with open(os.path.join(self.envdir, k), 'wb') as f:
                f.write(v if isinstance(v, bytes) else v.encode())

    @property
    def build_dir(self):
        return '/app' if self.mode == 'app' else self.tree

    def _command(self, argv, new_net):
        unshare = ['unshare', '--mount', '--propagation', 'private'] + (['--net'] if new_net else [])
        up = ['bash', '-c', '/sbin/ip link set lo up; exec "$@"', '-'] if new_net else []
        if self.mode == 'plain':
            return (['unshare', '--net'] + up if new_net else []) + argv
        root = self.path('root')
        os.makedirs(root, exist_ok=True)
        return unshare + up + ['bash', '-c', ENTER, '-', root, self.tree, self.dir] + argv

    def _env(self, home, **more):
        env = host_env(**more)
        env['HOME'] = home
        return env

    def script(self, name, *args, **env):
        """One script of the buildpack's copy: (status, output)."""
        e = self._env(self.build_dir, STACK='heroku-22', SOURCE_VERSION='0' * 40, REQUEST_ID='test', DYNO='build.1',
                      **self.vars)
        e.update(env)
        p = subprocess.run(self._command(['env', '-C', self.buildpack, os.path.join(self.buildpack, 'bin', name), *args],
                                         not self.net),
                           env=e, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
        return p.returncode, p.stdout.decode('utf-8', 'replace')

    def build(self, app, **env):
        """detect, compile, release as a builder runs them, on a fresh copy of the app's files."""
        self.count += 1
        self.tree = self.path('build%d' % self.count)
        shutil.copytree(app, self.tree, symlinks=True)
        self.buildpack = self.path('pack%d' % self.count)
        shutil.copytree(os.path.join(BUILDPACKS, self.pack), self.buildpack)
        status, text = self.script('detect', self.build_dir)
        assert status == 0, text
        self.name = text.strip()
        begin = time.monotonic()
        status, text = self.script('compile', self.build_dir, self.cache, self.envdir, **env)
        return Result(status, text, time.monotonic() - begin)

    def release(self):
        """Process types of bin/release, its small YAML read by hand."""
        status, text = self.script('release', self.build_dir)
        assert status == 0, text
        lines = text.splitlines()
        assert lines[0].startswith('---')
        if 'default_process_types:' not in lines:
            return {}
        return dict(ln.strip().split(': ', 1) for ln in lines[lines.index('default_process_types:') + 1:])

    def report(self):
        status, text = self.script('report', self.build_dir, self.cache, self.envdir)
        assert status == 0, text
        return json.loads(text)

    def file(self, *p):
        return os.path.join(self.tree, *p)

    # --- running what was built

    def slug(self):
        """In plain mode the slug runs from another place than it was built at."""
        if self.mode == 'app':
            return '/app'
        if not self.tree.endswith('.moved'):
            os.rename(self.tree, self.tree + '.moved')
            self.tree += '.moved'
        return self.tree

    def dyno_env(self, **env):
        return self._env(self.slug(), **dict({'DYNO': 'run.1', 'PORT': str(PORT)}, **env))

    def run(self, command, timeout=120, **env):
        e = self.dyno_env(**env)
        p = subprocess.run(self._command(['bash', '-c', START, '-', command], True), env=e, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        return p.returncode, p.stdout.decode('utf-8', 'replace')

    def serve(self, command, **env):
        d = Dyno(self, command, self.dyno_env(**dict({'DYNO': 'web.1'}, **env)))
        self.running.append(d)
        return d

    def procfile(self, kind):
        with open(self.file('Procfile')) as f:
            return dict(ln.strip().split(': ', 1) for ln in f if ': ' in ln and not ln.startswith('#'))[kind]

    def close(self):
        for d in self.running:
            d.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


class Dyno:
    """A running process of the app, in its own network namespace."""

    def __init__(self, lab, command, env):
        self.lab = lab
        self.log = open(lab.path('log%d' % len(lab.running)), 'w+b')
        self.p = subprocess.Popen(lab._command(['bash', '-c', START, '-', command], True), env=env,
                                  stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                  start_new_session=True)
        deadline = time.monotonic() + 60
        while True:
            if self.p.poll() is not None or time.monotonic() > deadline:
                raise AssertionError('did not come up (status %s):\n%s' % (self.p.poll(), self.output()))
            if self._curl('/up', '--max-time', '5').returncode == 0:
                return
            time.sleep(0.05)

    def output(self):
        with open(self.log.name, 'rb') as f:
            return f.read().decode('utf-8', 'replace')

    def inside(self, argv, **kw):
        return subprocess.run(['nsenter', '--net', '-t', str(self.p.pid), '--'] + argv, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **kw)

    def _curl(self, path, *args):
        return self.inside(['curl', '-sS', '--noproxy', '*', *args, 'http://127.0.0.1:%d%s' % (PORT, path)])

    def get(self, path, *args):
        p = self._curl(path, '--max-time', '30', '-f', *args)
        assert p.returncode == 0, p.stderr.decode() + self.output()
        return p.stdout.decode()

    def status_of(self, path, *args):
        return int(self._curl(path, '--max-time', '30', '-o', os.devnull, '-w', '%{http_code}', *args).stdout)

    def head(self, path):
        return self._curl(path, '--max-time', '30', '-D', '-', '-o', os.devnull).stdout.decode().lower()

    def term(self):
        """SIGTERM to every process, as the platform stops a dyno: the first one's status."""
        os.killpg(self.p.pid, signal.SIGTERM)
        return self.p.wait(30)

    def kill(self):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGKILL)
            self.p.wait()
        self.log.close()


def registry_url():
    """The npm registry that this machine's own npm uses; None when there is none to be reached."""
    url = os.environ.get('npm_config_registry', '')
    if not url and shutil.which('npm', path=PATH):
        p = subprocess.run(['npm', 'config', 'get', 'registry'], cwd='/', env=dict(os.environ, PATH=PATH),
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        url = p.stdout.decode().strip()
    if not url.startswith('http'):
        return None
    probe = subprocess.run(['curl', '-fsS', '--max-time', '20', '-o', os.devnull, urllib.parse.urljoin(url, 'is-number')],
                           stderr=subprocess.DEVNULL)
    return url if probe.returncode == 0 else None


if __name__ == '__main__':
    sys.exit('a module of the tests')
