"""paasctl run with a terminal: a real bash with job control, window size, Ctrl-C."""
import fcntl
import os
import pty
import select
import struct
import termios
import time

import pytest

from platform_under_test import Failed, wait_for


class Terminal:
    def __init__(self, argv, env, rows=30, cols=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        self.resize(rows, cols)
        self.text = ''

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def type(self, s):
        os.write(self.fd, s.encode())

    def expect(self, what, timeout=30):
        until = time.monotonic() + timeout
        while what not in self.text:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Failed(f'waited for {what!r} in:\n{self.text[-2000:]}')
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b''
            if not data:
                raise Failed(f'ended before {what!r}:\n{self.text[-2000:]}')
            self.text += data.decode(errors='replace')
        before, _, self.text = self.text.partition(what)
        return before

    def end(self, timeout=30):
        """Waits until the program has ended by itself; its exit status."""
        until = time.monotonic() + timeout
        while select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        os.close(self.fd)
        return os.waitpid(self.pid, 0)[1]


def in_foreground(cmdline):
    """Is a process with this command line the foreground job of its terminal? Seen from outside the dyno."""
    for d in os.listdir('/proc'):
        try:
            with open(f'/proc/{d}/cmdline', 'rb') as f:
                if f.read() != cmdline:
                    continue
            with open(f'/proc/{d}/stat') as f:
                fields = f.read().rpartition(')')[2].split()
        except OSError:
            continue
        if fields[2] == fields[5]:  # pgrp, tpgid
            return True
    return False


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('i') / 'app')
    paas.login()
    paas.create('tty', folder)
    paas.push(folder)
    return folder


def test_bash(paas, app):
    t = Terminal([os.path.join(paas.bin, 'paasctl'), 'run', '-a', 'tty', 'bash --norc'], paas.env())
    t.type('echo size $(stty size) tty $(tty)\n')
    t.expect('size 30 100 tty /dev/pts/')
    t.type('sleep 1000 & jobs; fg\n')
    t.expect('Running')
    wait_for('the foreground job', lambda: in_foreground(b'sleep\x001000\x00'))
    t.type('\x1a')  # Ctrl-Z: job control
    t.expect('Stopped')
    t.type('kill -9 %1; sleep 2000\n')
    wait_for('the foreground job', lambda: in_foreground(b'sleep\x002000\x00'))
    t.type('\x03')  # Ctrl-C
    t.expect('^C')
    t.expect('bash-')
    t.type('echo "status" $?\n')
    t.expect('status 130')
    t.resize(40, 120)
    t.type('stty size\n')
    t.expect('40 120')
    t.type('exit 3\n')
    t.expect('exit')
    t.close()


def test_hangup_ends_the_dyno(paas, app):
    t = Terminal([os.path.join(paas.bin, 'paasctl'), 'run', '-a', 'tty', 'bash --norc'], paas.env())
    t.type('echo he""re\n')  # what is typed is echoed before anything has begun
    t.expect('here')
    assert 'run.' in paas.ctl('ps', cwd=app).stdout
    os.kill(t.pid, 9)
    t.close()
    wait_for('its end', lambda: 'run.' not in paas.ctl('ps', cwd=app).stdout, 15)  # sooner than SIGKILL would come
