"""A PostgreSQL cluster of the test's own, of the distribution's packages, in a temporary folder; and a platform's own cluster."""
import glob
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile


class Postgres:
    def __init__(self, port=5433):
        found = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'))
        assert found, 'PostgreSQL is not installed'
        self.bin = os.path.dirname(found[-1])
        self.port = port
        self.password = secrets.token_hex(8)
        self.dir = tempfile.mkdtemp(prefix='paas-pg-', dir='/tmp')
        self.user = pwd.getpwnam('postgres')
        os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        pwfile = os.path.join(self.dir, 'pw')
        with open(pwfile, 'w') as f:
            f.write(self.password)
        os.chown(pwfile, self.user.pw_uid, self.user.pw_gid)
        self.as_postgres('initdb', '-D', self.dir + '/data', '-U', 'admin', '--pwfile', pwfile, '-A', 'scram-sha-256',
                         '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8')
        self.as_postgres('pg_ctl', '-D', self.dir + '/data', '-l', self.dir + '/log', '-w', '-o',
                         f"-p {port} -c listen_addresses='*' -c unix_socket_directories={self.dir} -c fsync=off", 'start')
        with open(self.dir + '/data/pg_hba.conf', 'a') as f:
            f.write('host all all 0.0.0.0/0 scram-sha-256\n')
        self.as_postgres('pg_ctl', '-D', self.dir + '/data', 'reload')

    def as_postgres(self, tool, *args):
        r = subprocess.run(['setpriv', '--reuid', str(self.user.pw_uid), '--regid', str(self.user.pw_gid),
                            '--clear-groups', os.path.join(self.bin, tool), *args], cwd=self.dir, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert r.returncode == 0, r.stdout

    def database(self, name):
        """Makes a database; the URL is for dynos, which know this host as paas-host."""
        subprocess.run(['psql', '-h', self.dir, '-p', str(self.port), '-U', 'admin', '-d', 'postgres', '-qc',
                        f'CREATE DATABASE "{name}"'], check=True, env={**os.environ, 'PGPASSWORD': self.password})
        return f'postgres://admin:{self.password}@paas-host:{self.port}/{name}'

    def close(self):
        try:
            self.as_postgres('pg_ctl', '-D', self.dir + '/data', '-m', 'immediate', 'stop')
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)


def postmasters(state):
    """Of the cluster of the platform with this state folder: the file that they see as theirs is in it."""
    (version,) = glob.glob(state + '/services/*/data/cluster/PG_VERSION')
    ours, found = os.stat(version), []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                args = f.read().split(b'\0')
            if args[0].endswith(b'/bin/postgres') and b'-D' in args:
                seen = os.stat(f'/proc/{pid}/cwd/PG_VERSION')
                if (seen.st_ino, seen.st_dev) == (ours.st_ino, ours.st_dev):
                    found.append(int(pid))
        except OSError:
            continue
    return found
