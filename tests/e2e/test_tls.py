"""TLS end to end: the development authority, https for API, apps and git; and the attach protocol of
Heroku's clients, by a client written after its description."""
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from platform_under_test import Failed, wait_for


@pytest.fixture(scope='module')
def ca(paas):
    return os.path.join(paas.state, 'certs', 'ca.pem')


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('t') / 'app')
    paas.login()
    paas.create('secure', folder)
    paas.push(folder)
    return folder


def connect(paas, ca, name='localhost', addr='127.0.0.1'):
    raw = socket.create_connection((addr, paas.port), 10)
    s = ssl.create_default_context(cafile=ca).wrap_socket(raw, server_hostname=name,
                                                          suppress_ragged_eofs=False)
    s.settimeout(60)
    return s


def curl(paas, ca, url, *args):
    r = paas.run('curl', '-sS', '--max-time', '20', '--cacert', ca, *args, url, check=False)
    return r.returncode, r.stdout, r.stderr


# --- certificates --------------------------------------------------------------------------------

def test_paasd_says_how_to_trust_it(paas, ca):
    assert paas.ready_line.split('\n')[0] == f'ready http://localhost:{paas.port}'
    assert f'NODE_EXTRA_CA_CERTS={ca}' in paas.ready_line and 'sslCAInfo' in paas.ready_line
    status, body, head = paas.api('GET', '/ca.pem', raw=True, headers={'Authorization': ''})
    with open(ca, 'rb') as f:
        assert (status, body) == (200, f.read())
    assert head['Content-Type'] == 'application/x-pem-file'
    assert os.stat(ca).st_mode & 0o777 == 0o644
    for name in os.listdir(os.path.dirname(ca)):
        path = os.path.join(os.path.dirname(ca), name)
        if name.endswith('.key'):
            assert os.stat(path).st_mode & 0o777 == 0o600
            with open(path, 'rb') as f:
                assert b'PRIVATE' not in f.read()


def test_https_for_the_platform_and_for_apps(paas, app, ca):
    for host in ('localhost', '127.0.0.1'):
        code, out, err = curl(paas, ca, f'https://{host}:{paas.port}/apps/secure', '-H',
                              'Accept: application/vnd.heroku+json; version=3', '-H', f'Authorization: Bearer {paas.token}')
        assert code == 0 and '"name": "secure"' in out, err
        assert f'"https://{host}:{paas.port}/secure.git"' in out
    # a leaf of its own: OpenSSL takes no *.localhost
    for _ in range(2):
        code, out, err = curl(paas, ca, f'https://secure.localhost:{paas.port}/')
        assert code == 0 and out, err
    cert = connect(paas, ca, 'secure.localhost').getpeercert()
    assert cert['subjectAltName'] == (('DNS', 'secure.localhost'),)
    # no app of that name: the default, which does not fit
    code, _, err = curl(paas, ca, f'https://nobody.localhost:{paas.port}/')
    assert code == 60, err
    assert curl(paas, ca, f'http://secure.localhost:{paas.port}/')[0] == 0
    wait_for('the line', lambda: 'protocol=https' in paas.logs('secure'), 15)


def test_an_app_that_is_made_and_renamed_has_its_certificate_at_once(paas, ca):
    paas.api('POST', '/apps', {'name': 'brand-new'})
    assert curl(paas, ca, f'https://brand-new.localhost:{paas.port}/')[0] == 0
    paas.api('PATCH', '/apps/brand-new', {'name': 'brand-newer'})
    assert curl(paas, ca, f'https://brand-newer.localhost:{paas.port}/')[0] == 0
    paas.api('DELETE', '/apps/brand-newer')


def test_a_certificate_that_an_app_brings_is_served(paas, app, tmp_path):
    def pair(name):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-keyout', name + '.key', '-out', name + '.pem', '-days', '9', '-subj', '/CN=' + name,
                        '-addext', 'subjectAltName=DNS:www.shop.test'], cwd=tmp_path, check=True, capture_output=True)
        return str(tmp_path / (name + '.pem')), (tmp_path / (name + '.pem')).read_text(), (tmp_path / (name + '.key')).read_text()
    a, b = pair("first"), pair("second")
    status, _, _ = paas.api('POST', '/apps/secure/domains', {'hostname': 'www.shop.test', 'sni_endpoint': None})
    assert status == 201

    def fits(ca_file):
        try:
            connect(paas, ca_file, 'www.shop.test').close()
            return True
        except ssl.SSLError:
            return False
    # until it brings one: the platform's own
    assert fits(os.path.join(paas.state, 'certs', 'ca.pem'))
    status, sni, _ = paas.api('POST', '/apps/secure/sni-endpoints', {'certificate_chain': a[1], 'private_key': a[2]})
    assert status == 201, sni
    status, _, _ = paas.api('PATCH', '/apps/secure/domains/www.shop.test', {'sni_endpoint': sni['name']})
    assert status == 200
    wait_for('the first', lambda: fits(a[0]), 10)
    status, _, _ = paas.api('PATCH', f'/apps/secure/sni-endpoints/{sni["name"]}', {'certificate_chain': b[1], 'private_key': b[2]})
    assert status == 200
    wait_for('the second', lambda: fits(b[0]), 10)
    assert not fits(a[0])


def test_git_by_https(paas, app, ca, tmp_path):
    url = f'https://localhost:{paas.port}/secure.git'
    env = paas.env(GIT_SSL_CAINFO=ca)
    git = ['git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com']
    paas.run(*git, 'clone', '-q', url, str(tmp_path / 'copy'), env=env)
    copy = str(tmp_path / 'copy')
    with open(os.path.join(copy, 'big'), 'wb') as f:
        f.write(os.urandom(3 << 20))  # chunked: beyond http.postBuffer
    paas.run(*git, 'add', '-A', cwd=copy, env=env)
    paas.run(*git, 'commit', '-qm', 'by https', cwd=copy, env=env)
    r = paas.run(*git, 'push', url, 'HEAD:main', cwd=copy, env=env)
    assert 'Released v' in r.stderr
    r = paas.run(*git, 'push', url, 'HEAD:main', cwd=copy, env=paas.env(), check=False)
    assert r.returncode and 'certificate' in r.stderr  # nobody else is trusted


def test_paasctl_by_https(paas, app, ca):
    url = f'https://localhost:{paas.port}'
    env = paas.env(PAASCTL_API_URL=url, PAASCTL_CA_FILE=ca)
    r = paas.ctl('run', '-a', 'secure', '--exit-code', 'echo by $0; exit 7', env=env, check=False)
    assert r.returncode == 7 and 'by ' in r.stdout, r.stderr


def test_certificates_stay_over_restarts_of_both(paas, app, ca):
    def leaf():
        return connect(paas, ca, 'secure.localhost').getpeercert()['serialNumber']
    default = connect(paas, ca).getpeercert()['serialNumber']
    before = leaf()
    paas.kill9()
    # paasd is away: the router has what it had
    assert leaf() == before
    paas.start()
    assert connect(paas, ca).getpeercert()['serialNumber'] == default
    assert curl(paas, ca, f'https://secure.localhost:{paas.port}/')[0] == 0


# --- rendezvous ------------------------------------------------------------------------------------

class Run:
    """`run`, as the official client does it."""

    def __init__(self, paas, ca, command, tty=True, addr='127.0.0.1', path='/apps/secure/dynos', **env):
        body = {'attach': True, 'command': command, 'env': {'TERM': 'xterm', **env}}
        if not tty:
            body['force_no_tty'] = True
        status, dyno, _ = paas.api('POST', path, body)
        assert status == 201, dyno
        self.name = dyno['name']
        m = re.fullmatch(r'rendezvous://(localhost):(\d+)/(=[0-9a-f]{64})', dyno['attach_url'])
        assert m, dyno
        assert int(m.group(2)) == paas.port
        self.secret = m.group(3)
        self.sock = connect(paas, ca)
        self.sock.sendall(self.secret.encode() + b'\r\n')
        assert self.sock.recv(65536) == b'rendezvous\r\n'
        self.greeted = time.monotonic()
        self.buf = b''
        self.pieces = []

    def more(self):
        got = self.sock.recv(65536)
        if got:
            self.pieces.append(got)
            self.buf += got
        return got

    def expect(self, what):
        while what not in self.buf:
            if not self.more():
                raise Failed(f'ended before {what!r}: {self.buf[-500:]!r}')
        before, _, self.buf = self.buf.partition(what)
        return before

    def rest(self):
        while self.more():
            pass
        out, self.buf = self.buf, b''
        return out

    def type(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())


def test_a_terminal(paas, app, ca):
    r = Run(paas, ca, 'bash --norc', COLUMNS=117, LINES=33)
    r.type('echo size $(stty size) $(tty) $TERM\n')
    r.expect(b'size 33 117 /dev/pts/')
    r.type("sh -c 'echo be\"\"gun; exec sleep 1000'\n")
    r.expect(b'begun')  # said by the job: it has the terminal
    r.type(b'\x03')
    r.expect(b'^C')
    r.type('echo $?\n')
    r.expect(b'130')
    r.type(b'\x04')  # the terminal's affair
    assert b'exit' in r.rest()  # and the end comes by close_notify


def test_output_comes_after_the_greeting(paas, app, ca):
    r = Run(paas, ca, 'echo at once')
    assert r.rest() == b'at once\r\n'
    assert time.monotonic() - r.greeted > 0.1


def test_without_a_terminal(paas, app, ca):
    r = Run(paas, ca, 'cat; echo done; echo err >&2; test -t 0 || echo no tty', tty=False)
    r.type(b'one\x04two\n')
    r.expect(b'one\x04two\n')
    r.type(b'ends so\x04')
    time.sleep(0.05)  # more comes before it can have been the end
    r.type(b' and goes on\n')
    r.expect(b'ends so\x04 and goes on\n')
    r.type(b'last\x04')
    assert r.rest() == b'lastdone\nerr\nno tty\n'


def test_much_input_without_a_terminal(paas, app, ca):
    r = Run(paas, ca, 'sha256sum', tty=False)
    import hashlib
    data = os.urandom(3 << 20)
    if data.endswith(b'\x04'):
        data += b'x'
    r.type(data)
    r.type(b'\x04')
    assert r.rest().split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_much_output_is_whole_and_the_status_in_one_piece(paas, app, ca):
    mark = '\uffff heroku-command-exit-status: '
    r = Run(paas, ca, f'(seq 1 200000; exit 42) ; echo "{mark}$?"', tty=False)
    out = r.rest().decode()
    want = ''.join(f'{i}\n' for i in range(1, 200001)) + mark + '42\n'
    assert out == want
    assert any((mark + '42').encode() in p for p in r.pieces)


def test_a_secret_is_good_once(paas, app, ca):
    r = Run(paas, ca, 'cat', tty=False)
    for secret in (r.secret, '=' + '0' * 64):
        s = connect(paas, ca)
        s.sendall(secret.encode() + b'\r\n')
        assert s.recv(100) == b''
    r.type(b'still here\n')
    r.expect(b'still here\n')
    r.type(b'\x04')
    assert r.rest() == b''


def test_the_client_goes_away(paas, app, ca):
    r = Run(paas, ca, "trap 'echo hung up > /tmp/h; exit' HUP; echo ready; while :; do sleep 0.1; done")
    r.expect(b'ready')
    r.sock.close()
    wait_for('its end', lambda: r.name not in paas.ctl('ps', '-a', 'secure').stdout, 40)


def test_process_types_and_variables(paas, app, ca):
    r = Run(paas, ca, 'echo "[$GREETING]"; exit 3', tty=False, GREETING='good day')
    assert r.rest() == b'[good day]\n'


def test_paasctl_has_its_own_way_in(paas, app):
    r = paas.ctl('run', '-a', 'secure', '--exit-code', '--no-tty', 'cat; exit 5', input='some text', check=False)
    assert (r.returncode, r.stdout) == (5, 'some text'), r.stderr


# --- run:inside ------------------------------------------------------------------------------------

def test_inside_a_running_dyno(paas, app, ca):
    wait_for('web.1', lambda: 'web.1: up' in paas.ctl('ps', '-a', 'secure').stdout)
    outside = Run(paas, ca, 'hostname; readlink /proc/self/ns/pid', tty=False).rest().split()
    inside = '/apps/secure/dynos/web.1'
    r = Run(paas, ca, 'hostname; readlink /proc/self/ns/pid; echo $DYNO $GREETING; ls -d /proc/[0-9]* | wc -l; '
            'touch /tmp/was-here', tty=False, path=inside, GREETING='hello')
    got = r.rest().decode().split('\n')
    assert got[0] == 'web.1' and got[2] == 'web.1 hello' and int(got[3]) > 2
    assert outside[0] != b'web.1' and got[1].encode() != outside[1]
    r = Run(paas, ca, 'ls /tmp; stty size; cat', path=inside, COLUMNS=99, LINES=9)
    assert b'was-here' in r.expect(b'9 99\r\n')
    name = r.name
    assert name in paas.ctl('ps', '-a', 'secure').stdout
    r.sock.close()
    wait_for('its end', lambda: name not in paas.ctl('ps', '-a', 'secure').stdout, 40)
    assert 'web.1: up' in paas.ctl('ps', '-a', 'secure').stdout  # the dyno goes on
    assert curl(paas, ca, f'https://secure.localhost:{paas.port}/')[0] == 0


def test_inside_which_dyno(paas, app):
    for dyno, status in (('web.9', 404), ('nope', 404)):
        got = paas.api('POST', f'/apps/secure/dynos/{dyno}', {'command': 'id'})
        assert got[0] == status, got
    assert paas.api('POST', '/apps/secure/dynos/web.1', {'env': {}})[0] == 422
