"""A paasd of the test's own: start, stop, kill, and the clients that users have.

PAAS_FLAVOUR=debug or tsan runs the programs that sanitizers watch; what they find fails the test."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request


class Failed(AssertionError):
    pass


# What the sanitizers write, in any program's log.
FINDING = re.compile(r'ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|: runtime error: ')


def wait_for(what, condition, timeout=30, step=0.05):
    """Awaits a condition with a deadline; returns its value."""
    until = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f'waited {timeout} s in vain for {what}')
        time.sleep(step)


def read_now(stream):
    """What a non-blocking pipe holds."""
    try:
        return os.read(stream.fileno(), 65536).decode(errors='replace')
    except BlockingIOError:
        return ''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


PROGRAMS = ('paasd', 'paas-launcher', 'paas-router', 'paas-shim', 'paas-static', 'paas-postgres', 'paasctl')


def copy_checkout(root, bin, to):
    """What a platform that runs as another user needs: the checkout itself may lie where only root can read.
    Returns the folder of its programs."""
    os.makedirs(os.path.join(to, 'build'))
    for name in PROGRAMS:
        shutil.copy(os.path.join(bin, name), os.path.join(to, 'build', name))
    shutil.copytree(os.path.join(root, 'buildpacks'), os.path.join(to, 'buildpacks'))
    return os.path.join(to, 'build')


class Platform:
    def __init__(self, root, *options, flavour=None, environ=None):
        flavour = os.environ.get('PAAS_FLAVOUR', '') if flavour is None else flavour
        self.root = root
        self.bin = os.path.join(root, 'build', flavour)
        self.dir = tempfile.mkdtemp(prefix='paas-e2e-', dir='/tmp')
        self.state = os.path.join(self.dir, 's')
        self.home = os.path.join(self.dir, 'home')
        os.mkdir(self.home)
        self.port = free_port()
        self.url = f'http://localhost:{self.port}'
        self.options = ['--set', 'api.rate_limit=0', *options]  # a module's tests share an account
        self.environ = {**os.environ, **(environ or {})}
        self.of_heroku = None
        self.prefix = []  # of paasd's command: setpriv and the like
        if flavour == 'tsan':
            supp = os.path.join(root, 'tests', 'tools', 'tsan.supp')
            self.environ.setdefault('TSAN_OPTIONS', f'suppressions={supp}:exitcode=0')
        self.proc = None
        self.keeps = False  # paasd leaves router and dynos running when it is told to stop
        self.log = open(os.path.join(self.dir, 'paasd.log'), 'ab')

    # --- life ---
    def start(self, *more, timeout=30):
        cmd = [*self.prefix, os.path.join(self.bin, 'paasd'), '--dev', '--state', self.state, '--listen', f'127.0.0.1:{self.port}',
               *self.options, *more]
        self.keeps = '--keep-dynos' in cmd
        self.proc = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=self.log, cwd=self.root,
                                     env=self.environ, start_new_session=True)
        os.set_blocking(self.proc.stdout.fileno(), False)
        said = ''

        def ready():
            nonlocal said
            said += read_now(self.proc.stdout)
            if self.proc.poll() is not None:
                raise Failed(f'paasd ended with {self.proc.returncode}:\n{self.tail_log()}')
            return 'ready ' in said and said.endswith('\n')

        wait_for('ready', ready, timeout)
        self.ready_line = said.strip()
        with open(os.path.join(self.state, 'admin-token')) as f:
            self.token = f.read().strip()
        return self

    def tail_log(self, n=6000):
        text = ''
        for name in self.log_names():
            if os.path.exists(name):
                with open(name, 'rb') as f:
                    text += f'--- {os.path.basename(name)}\n' + f.read()[-n:].decode(errors='replace')
        return text

    def stop(self, timeout=60):
        """SIGTERM: ends everything, dynos included."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(timeout)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                raise Failed('paasd did not stop:\n' + self.tail_log())
        self.check_findings()
        return self.proc.returncode if self.proc else None

    def log_names(self):
        return [self.log.name] + [os.path.join(self.state, n) for n in ('launcher.log', 'router.log')]

    def check_findings(self):
        for name in self.log_names():
            if not os.path.exists(name):
                continue
            with open(name, errors='replace') as f:
                text = f.read()
            found = FINDING.search(text)
            if found:
                raise Failed(f'{os.path.basename(name)}:\n' + text[max(0, found.start() - 200):][:12000])

    def kill9(self):
        self.proc.kill()
        self.proc.wait()

    def orphans(self):
        """Programs of this platform that are still there: a paasd that was killed, or that crashed, leaves its router."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    if self.run_dir().encode() in f.read().split(b'\0'):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def close(self):
        try:
            clean = self.stop() == 0
            if clean and not self.keeps:
                wait_for('what paasd started to end', lambda: not self.orphans(), 30)
        finally:
            for pid in self.orphans():
                os.kill(pid, signal.SIGKILL)
            launcher = os.path.join(self.bin, 'paas-launcher')
            subprocess.run([launcher, '--cleanup', '--run', self.run_dir(), '--state', self.state],
                           capture_output=True, timeout=60)
            self.log.close()
            if os.environ.get('KEEP'):
                print('kept', self.dir)
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    def run_dir(self):
        return os.path.join(self.state, 'run')

    # --- clients ---
    def env(self, token=None, **more):
        env = {'PATH': self.bin + ':/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': self.home,
               'LANG': 'C.UTF-8', 'PAASCTL_API_URL': self.url, 'PAASCTL_API_KEY': token or self.token,
               'GIT_CONFIG_NOSYSTEM': '1', 'GIT_TERMINAL_PROMPT': '0', 'TERM': 'xterm'}
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    def heroku_env(self):
        """What `eval "$(paasctl env)"` sets in a shell, so that the Heroku CLI speaks to this platform."""
        if not self.of_heroku:
            env = self.env(HOME=self.dir, PAASCTL_API_URL=f'http://127.0.0.1:{self.port}', PAASCTL_API_KEY=None)
            script = f'eval "$("{self.bin}/paasctl" env)" && exec env -0'
            after = dict(line.split('=', 1) for line in self.run('/bin/sh', '-c', script, env=env).stdout.split('\0') if line)
            self.of_heroku = {k: v for k, v in after.items() if k not in env and k not in ('PWD', 'OLDPWD', '_', 'SHLVL')}
        return self.of_heroku

    def run(self, *cmd, cwd=None, check=True, token=None, timeout=300, input=None, env=None):
        r = subprocess.run(cmd, cwd=cwd, env=env or self.env(token), capture_output=True, timeout=timeout, text=True,
                           errors='replace', input=input, stdin=None if input is not None else subprocess.DEVNULL)
        if check and r.returncode:
            raise Failed(f'{cmd} exited with {r.returncode}\n{r.stdout}\n{r.stderr}\n{self.tail_log(3000)}')
        return r

    def ctl(self, *args, **kw):
        return self.run(os.path.join(self.bin, 'paasctl'), *args, **kw)

    def git(self, *args, token=None, **kw):
        """git with the credentials that `paasctl login` writes."""
        home = self.home if token in (None, self.token) else self.login_home(token)
        return self.run('git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com', *args,
                        env=self.env(token, HOME=home), **kw)

    def spawn_git(self, *args, cwd=None):
        """The same without waiting for its end."""
        return subprocess.Popen(['git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com', *args], cwd=cwd, env=self.env(HOME=self.home),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def login_home(self, token):
        home = os.path.join(self.dir, 'home-' + token[-8:])
        os.makedirs(home, exist_ok=True)
        self.write_netrc(home, token)
        return home

    def write_netrc(self, home, token):
        path = os.path.join(home, '.netrc')
        with open(path, 'w') as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(f'machine localhost:{self.port}\n  login me\n  password {token}\n'
                    f'machine localhost\n  login me\n  password {token}\n')

    def login(self):
        self.ctl('login', '--token', input=self.token + '\n', env=self.env(PAASCTL_API_KEY=None))

    def api(self, method, path, body=None, token=None, headers=None, raw=False):
        req = urllib.request.Request(self.url + path, method=method,
                                     data=None if body is None else json.dumps(body).encode())
        req.add_header('Accept', 'application/vnd.heroku+json; version=3')
        req.add_header('Authorization', 'Bearer ' + (token or self.token))
        if body is not None:
            req.add_header('Content-Type', 'application/json')
        for k, v in (headers or {}).items():
            req.add_header(k, v)
        try:
            with urllib.request.urlopen(req, timeout=60) as r:
                data, status, head = r.read(), r.status, r.headers
        except urllib.error.HTTPError as e:
            data, status, head = e.read(), e.code, e.headers
        value = data if raw else (json.loads(data) if data else None)
        return status, value, head

    def http(self, app, path='/', method='GET', body=None, headers=None, timeout=60):
        """A request to an app through the router: status, body, headers."""
        req = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', method=method, data=body)
        req.add_header('Host', f'{app}.localhost:{self.port}')
        for k, v in (headers or {}).items():
            req.add_header(k, v)
        try:
            with urllib.request.urlopen(req, timeout=timeout) as r:
                return r.status, r.read().decode(errors='replace'), r.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors='replace'), e.headers

    # --- shortcuts ---
    def make_app(self, kind, folder, *args):
        """A sample app as a git repository in folder."""
        self.run('/bin/sh', os.path.join(self.root, 'tests', 'apps', f'make-{kind}-app.sh'), str(folder), *args,
                 env={**os.environ, 'HOME': self.home, 'npm_config_cache': os.path.join(self.dir, 'npm')})
        return str(folder)

    def create(self, name, folder, remote='paasd', **kw):
        self.ctl('apps:create', name, '-r', remote, cwd=folder, **kw)

    def push(self, folder, remote='paasd', spec='main', check=True, **kw):
        r = self.git('push', remote, spec, cwd=folder, check=False, **kw)
        if check and r.returncode:
            raise Failed(f'push failed\n{r.stdout}\n{r.stderr}\n{self.tail_log(3000)}')
        return r

    def logs(self, app, n=1500):
        return self.ctl('logs', '-a', app, '-n', str(n)).stdout

    def commit(self, folder, message='change', **files):
        for name, text in files.items():
            with open(os.path.join(folder, name), 'w') as f:
                f.write(text)
        self.git('add', '-A', cwd=folder)
        self.git('commit', '-q', '--allow-empty', '-m', message, cwd=folder)
        return self.git('rev-parse', 'HEAD', cwd=folder).stdout.strip()

    def new_user(self, email):
        status, _, _ = self.api('POST', '/users', {'email': email, 'password': 'correct horse'})
        assert status == 201
        import base64
        basic = 'Basic ' + base64.b64encode(f'{email}:correct horse'.encode()).decode()
        status, auth, _ = self.api('POST', '/oauth/authorizations', {'description': 'test', 'scope': ['global']},
                                   headers={'Authorization': basic})
        assert status == 201, auth
        return auth['access_token']['token']


def released(push):
    """Version number that a push's output announces."""
    m = re.search(r'Released v(\d+)', push.stderr)
    assert m, push.stderr
    return int(m.group(1))
