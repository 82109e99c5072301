"""An SSH server of the test's own at a port of loopback, in the test's own network, that serves one git repository to
user git: real sshd, with its own host key and list of keys."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess

from platform_under_test import wait_for

MS_BIND, MNT_DETACH = 0x1000, 2


class SshServer:
    """repo: NAME of a bare repository at path, as OWNER/NAME."""

    def __init__(self, folder, name, path, port):
        self.folder, self.port, self.proc = str(folder), port, None
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.made_run = not os.path.isdir('/run/sshd')
        if self.made_run:
            os.mkdir('/run/sshd', 0o755)  # sshd insists on it
        # User git exists in this mount namespace alone. '*': no password, which is not locked.
        with open('/etc/passwd') as f:
            users = f.read()
        passwd = self.write('passwd', users + f'git:*:0:0::{self.folder}:/bin/sh\n', 0o644)
        if self.libc.mount(passwd.encode(), b'/etc/passwd', None, MS_BIND, None):
            raise OSError(ctypes.get_errno(), 'mount')
        self.only = self.write('only', f"""#!/bin/sh
[ "$SSH_ORIGINAL_COMMAND" = "git-upload-pack '/{name}.git'" ] || {{ echo "no: $SSH_ORIGINAL_COMMAND" >&2; exit 1; }}
exec git -c safe.directory='*' upload-pack '{path}'
""", 0o755)
        self.write('keys', '', 0o600)

    def write(self, name, text, mode):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def key(self, name):
        """A new pair: its private part."""
        path = os.path.join(self.folder, name)
        for old in (path, path + '.pub'):
            if os.path.exists(old):
                os.unlink(old)
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path], check=True)
        with open(path) as f:
            return f.read()

    def public(self, name):
        with open(os.path.join(self.folder, name + '.pub')) as f:
            return f.read()

    def allow(self, *names):
        self.write('keys', ''.join(map(self.public, names)), 0o600)

    def start(self, host_key):
        config = self.write('config', f"""Port {self.port}
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey {self.folder}/{host_key}
AuthorizedKeysFile {self.folder}/keys
ForceCommand {self.only}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
""", 0o600)
        log = open(os.path.join(self.folder, 'sshd.log'), 'ab')
        self.proc = subprocess.Popen([shutil.which('sshd', path='/usr/sbin'), '-D', '-e', '-f', config], stdout=log, stderr=log,
                                     stdin=subprocess.DEVNULL, start_new_session=True)
        log.close()

        def up():
            assert self.proc.poll() is None, self.log()
            with socket.socket() as s:
                return s.connect_ex(('127.0.0.1', self.port)) == 0
        wait_for('sshd', up)

    def log(self):
        with open(os.path.join(self.folder, 'sshd.log')) as f:
            return f.read()

    def stop(self):
        if self.proc:
            os.killpg(self.proc.pid, signal.SIGTERM)
            self.proc.wait(10)
            self.proc = None

    def close(self):
        self.stop()
        self.libc.umount2(b'/etc/passwd', MNT_DETACH)
        if self.made_run:
            os.rmdir('/run/sshd')
