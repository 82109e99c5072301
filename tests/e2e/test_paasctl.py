"""paasctl's commands against the real platform: what each says, and that it happened."""
import base64
import hashlib
import hmac
import json
import os
import re
import struct
import subprocess
import sys
import time

import pytest

from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def paas():
    p = Platform(ROOT, '--set', 'allow_private_urls=true')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    """A deployed app; its folder."""
    folder = paas.make_app('procfile', tmp_path_factory.mktemp('ctl') / 'app')
    paas.create('shop', folder)
    paas.push(folder)
    return folder


def js(paas, *args, **kw):
    return json.loads(paas.ctl(*args, '--json', **kw).stdout)


def code_of(secret):
    key = base64.b32decode(secret + '=' * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack('>Q', int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return '%06d' % ((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000)


# --- tokens, accounts -----------------------------------------------------------------------
def test_authorizations(paas):
    made = js(paas, 'authorizations:create', '-d', 'for ci', '-s', 'read,write', '-e', '3600')
    assert made['scope'] == ['read', 'write'] and made['access_token']['token'].startswith('PAAS-')
    assert re.search(r'^for ci +%s +read, write$' % made['id'], paas.ctl('authorizations').stdout, re.M)
    assert 'Expires in:  3' in paas.ctl('authorizations:info', made['id']).stdout
    assert js(paas, 'authorizations:update', made['id'], '-d', 'new')['description'] == 'new'
    fresh = js(paas, 'authorizations:rotate', made['id'])['access_token']['token']
    assert fresh != made['access_token']['token']
    token = paas.ctl('authorizations:create', '-S').stdout.strip()
    assert paas.ctl('whoami', token=token).stdout == paas.ctl('whoami').stdout
    paas.ctl('authorizations:revoke', made['id'])
    assert paas.ctl('authorizations:info', made['id'], check=False).returncode == 4
    assert paas.ctl('whoami', token=fresh, check=False).returncode == 3
    assert paas.ctl('sessions').stdout == 'No OAuth sessions.\n'


def test_users_and_passwords(paas):
    paas.ctl('users:add', 'u@example.com', input='correct horse\n')
    assert 'u@example.com' in paas.ctl('users').stdout
    home = os.path.join(paas.dir, 'u')
    os.makedirs(home)
    env = paas.env(HOME=home, PAASCTL_API_KEY=None)
    paas.ctl('login', '-i', input='u@example.com\ncorrect horse\n', env=env)
    assert paas.ctl('whoami', env=env).stdout == 'u@example.com\n'
    paas.ctl('auth:password', input='correct horse\nbattery staple\n', env=env)
    r = paas.ctl('login', '-i', input='u@example.com\ncorrect horse\n', env=env, check=False)
    assert r.returncode == 3
    assert paas.ctl('users', env=paas.env(paas.token, HOME=home), check=False).returncode == 0
    paas.ctl('login', '-i', input='u@example.com\nbattery staple\n', env=env)
    assert paas.ctl('users', env=env, check=False).returncode == 3
    assert js(paas, 'users:update', 'u@example.com', '--admin')['admin'] is True
    assert paas.ctl('users', env=env).returncode == 0
    paas.ctl('logout', env=env)
    assert paas.ctl('whoami', env=env, check=False).returncode == 100
    paas.ctl('users:remove', 'u@example.com', '--confirm', 'u@example.com')
    assert 'u@example.com' not in paas.ctl('users').stdout


def test_second_factor(paas):
    paas.ctl('users:add', 'f@example.com', input='correct horse\n')
    home = os.path.join(paas.dir, 'f')
    os.makedirs(home)
    env = paas.env(HOME=home, PAASCTL_API_KEY=None)
    paas.ctl('login', '-i', input='f@example.com\ncorrect horse\n', env=env)
    p = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), '2fa:enable'], env=env, text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        p.stdin.write('correct horse\n')
        p.stdin.flush()
        said = ''
        while 'URL:' not in said:
            line = p.stderr.readline()
            assert line, said
            said += line
        secret = re.search(r'Secret: (\w+)', said).group(1)
        assert 'otpauth://totp/' in said and secret in said
        codes = p.communicate(code_of(secret) + '\n', timeout=60)[0].split()
    finally:
        p.kill()
        p.wait()
    assert p.returncode == 0 and len(codes) >= 8
    assert paas.ctl('2fa', env=env).stdout == 'Two-factor authentication is enabled\nRecovery codes left: %d\n' % len(codes)
    r = paas.ctl('login', '-i', input='f@example.com\ncorrect horse\n000000\n', env=env, check=False)
    assert r.returncode == 3
    paas.ctl('login', '-i', input='f@example.com\ncorrect horse\n%s\n' % codes[0], env=env)
    fresh = paas.ctl('2fa:recovery-codes', input='correct horse\n%s\n' % codes[1], env=env).stdout.split()
    assert set(fresh).isdisjoint(codes)
    paas.ctl('2fa:disable', input='correct horse\n%s\n' % fresh[0], env=env)
    assert paas.ctl('2fa', env=env).stdout == 'Two-factor authentication is not enabled\n'


def test_login_in_a_browser(paas):
    from paasctl import Tty
    paas.ctl('users:add', 'b@example.com', input='correct horse\n')
    home = os.path.join(paas.dir, 'b')
    os.makedirs(home)
    tty = Tty([os.path.join(paas.bin, 'paasctl'), 'login', '--yes'], home, paas.env(HOME=home, PAASCTL_API_KEY=None), 40, 120)
    try:
        tty.expect(rb'(http://\S+/auth/browser/\S+)')
        url = re.search(rb'http://\S+/auth/browser/\S+', tty.seen).group(0).decode()
        browse = ['curl', '-sS', '-L', '-c', 'jar', '-b', 'jar', url]
        page = paas.run(*browse, cwd=home).stdout
        for fields in ({'email': 'b@example.com', 'password': 'correct horse', 'action': 'login'}, {'action': 'approve'}):
            fields['token'] = re.search('name="token" value="([^"]+)"', page).group(1)
            data = [a for k, v in fields.items() for a in ('--data-urlencode', f'{k}={v}')]
            page = paas.run(*browse, *data, cwd=home).stdout
        assert tty.wait(30) == 0, (tty.seen, page)
        assert b'Logged in as b@example.com' in tty.seen
    finally:
        tty.close()
    assert paas.ctl('whoami', env=paas.env(HOME=home, PAASCTL_API_KEY=None)).stdout == 'b@example.com\n'


# --- apps -----------------------------------------------------------------------------------
def test_looking_at_an_app(paas, app):
    out = paas.ctl('info', cwd=app).stdout
    assert out.startswith('=== shop\n') and 'Dynos:' in out
    assert '* heroku-2' in paas.ctl('stack', cwd=app).stdout
    assert paas.ctl('apps:diff', 'shop', 'shop', cwd=app).stdout == 'No differences\n'
    paas.ctl('apps:create', 'shop-two', '--no-remote', cwd=app)
    assert 'slug (' in paas.ctl('apps:diff', 'shop', 'shop-two', cwd=app).stdout
    paas.ctl('maintenance:on', '-a', 'shop-two')
    assert paas.ctl('maintenance', '-a', 'shop-two').stdout == 'on\n'
    paas.ctl('apps:rename', 'shop-three', '-a', 'shop-two')
    assert 'shop-three' in paas.ctl('apps').stdout
    paas.ctl('apps:destroy', 'shop-three', '--confirm', 'shop-three')
    assert paas.ctl('apps:errors', cwd=app, check=False).returncode == 1
    assert paas.ctl('open', cwd=app).stdout.startswith('http')


def test_the_platform(paas):
    assert 'heroku-2' in paas.ctl('stacks').stdout
    assert paas.ctl('regions').stdout.startswith('ID')
    assert re.fullmatch(r'\d+ requests left\n', paas.ctl('rate-limits').stdout)
    assert 'No known issues' in paas.ctl('status', env=paas.env(PAASCTL_API_KEY=None, HOME='/nonexistent')).stdout


def test_transfers(paas):
    token = paas.new_user('t@example.com')
    paas.ctl('apps:create', 'gift')
    paas.ctl('apps:transfer', 't@example.com', '-a', 'gift')
    assert re.search('gift.*t@example.com +pending', paas.ctl('apps:transfers').stdout)
    paas.ctl('apps:transfer:decline', 'gift', token=token)
    paas.ctl('apps:transfer', 't@example.com', '-a', 'gift')
    paas.ctl('apps:transfer:cancel', 'gift')
    assert paas.ctl('apps:transfer:accept', 'gift', token=token, check=False).returncode == 4
    paas.ctl('apps:transfer', 't@example.com', '-a', 'gift')
    paas.ctl('apps:transfer:accept', 'gift', token=token)
    assert js(paas, 'info', 'gift', token=token)['app']['owner']['email'] == 't@example.com'


def test_access(paas, app):
    token = paas.new_user('c@example.com')
    paas.ctl('access:add', 'c@example.com', '-p', 'view', cwd=app)
    assert re.search('c@example.com +collaborator +view$', paas.ctl('access', cwd=app).stdout, re.M)
    assert paas.ctl('maintenance:on', '-a', 'shop', token=token, check=False).returncode == 3
    paas.ctl('access:update', 'c@example.com', '-p', 'view,operate', cwd=app)
    paas.ctl('maintenance:on', '-a', 'shop', token=token)
    paas.ctl('maintenance:off', '-a', 'shop', token=token)
    paas.ctl('leave', '-a', 'shop', token=token)
    assert 'c@example.com' not in paas.ctl('access', cwd=app).stdout
    assert 'collaborator.add' in paas.ctl('audit', '-a', 'shop').stdout
    assert re.search('collaborator.add +shop +c@example.com: view', paas.ctl('audit', '-n', '500').stdout)
    rows = js(paas, 'audit', '--actor', 'admin@localhost', '--action', 'collaborator.add', '--since', '2026-01-31')
    assert rows and all(r['action'] == 'collaborator.add' for r in rows)
    assert paas.ctl('audit', token=token, check=False).returncode == 3


def test_invitations(paas, app):
    url = paas.ctl('users:invite', 'new@example.com', '--admin').stdout.strip()
    assert re.match(r'https?://localhost:\d+/join/', url)
    assert 'new@example.com' in paas.ctl('users:invitations').stdout
    paas.ctl('users:uninvite', 'new@example.com')
    assert 'new@example.com' not in paas.ctl('users:invitations').stdout
    r = paas.ctl('access:add', 'soon@example.com', '-p', 'view', cwd=app)
    assert 'has no account yet' in r.stderr and '/join/' in r.stderr
    assert 'soon@example.com' in paas.ctl('access:invitations', cwd=app).stdout
    paas.ctl('access:uninvite', 'soon@example.com', cwd=app)
    assert paas.ctl('access:invitations', cwd=app).stdout == 'Nobody is invited to shop.\n'


def test_keys(paas, tmp_path):
    paas.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'me@laptop', '-f', str(tmp_path / 'id'))
    paas.ctl('keys:add', str(tmp_path / 'id.pub'))
    assert (tmp_path / 'id.pub').read_text().split()[1] in paas.ctl('keys', '-l').stdout
    assert re.search(r'^ssh-ed25519 AAAA\S+\.\.\.\S+ me@laptop$', paas.ctl('keys').stdout, re.M)
    assert paas.ctl('keys:add', str(tmp_path / 'id'), check=False).returncode == 2
    paas.ctl('keys:remove', 'me@laptop')
    paas.ctl('keys:add', str(tmp_path / 'id.pub'))
    paas.ctl('keys:clear')
    assert 'You have no SSH keys.' in paas.ctl('keys').stderr


def test_features_and_labs(paas, app):
    assert '[+]  preboot' in paas.ctl('features', cwd=app).stdout
    assert 'Enabled:     true' in paas.ctl('features:info', 'preboot', cwd=app).stdout
    assert 'already enabled' in paas.ctl('features:enable', 'preboot', cwd=app, check=False).stderr
    r = paas.ctl('features:disable', 'preboot', cwd=app, check=False)
    assert r.returncode == 2 and 'cannot be switched off' in r.stderr
    name = next(f['name'] for f in js(paas, 'labs', cwd=app)['app'])
    assert paas.ctl('labs:enable', name, cwd=app).stderr.endswith('done\n')
    assert re.search(r'\[\+\]  %s' % re.escape(name), paas.ctl('labs', cwd=app).stdout)
    assert 'Enabled:     true' in paas.ctl('labs:info', name, cwd=app).stdout
    paas.ctl('labs:disable', name, cwd=app)
    assert js(paas, 'labs:info', name, cwd=app)['enabled'] is False


# --- code -----------------------------------------------------------------------------------
def test_builds_from_a_directory(paas, app, tmp_path):
    paas.ctl('apps:create', 'tarred', '--no-remote', cwd=app)
    out = paas.ctl('builds:create', app, '-a', 'tarred').stdout
    assert '-----> Launching' in out or 'Released v' in out, out
    build = js(paas, 'builds', '-a', 'tarred')[0]
    assert build['status'] == 'succeeded'
    assert build['source_blob']['version'] == paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    wait_for('the app', lambda: paas.http('tarred')[0] == 200)
    bad = tmp_path / 'bad'
    bad.mkdir()
    (bad / 'README').write_text('nothing to build')
    r = paas.ctl('builds:create', str(bad), '-a', 'tarred', check=False)
    assert r.returncode == 6, r
    paas.ctl('builds:cache:purge', '-a', 'tarred')
    paas.ctl('apps:destroy', 'tarred', '--confirm', 'tarred')


def test_registry(paas):
    assert 'heroku' in paas.ctl('buildpacks:search', 'ruby').stdout
    assert 'Address:' in paas.ctl('buildpacks:info', 'heroku/ruby').stdout
    assert 'Version' in paas.ctl('buildpacks:versions', 'heroku/ruby').stdout
    paas.ctl('apps:create', 'packs')
    paas.ctl('buildpacks:add', 'heroku/ruby', '-a', 'packs')
    assert 'heroku/ruby' in paas.ctl('buildpacks', '-a', 'packs').stdout
    paas.ctl('buildpacks:remove', 'heroku/ruby', '-a', 'packs')
    assert 'no Buildpack' in paas.ctl('buildpacks', '-a', 'packs').stdout


def test_releases(paas, app):
    assert paas.ctl('releases', cwd=app).stdout.startswith('=== shop Releases - Current: v')
    assert paas.ctl('releases:info', cwd=app).stdout.startswith('=== Release v')
    n = js(paas, 'config:set', 'A=1', cwd=app)
    assert n['A'] == '1'
    wait_for('the release', lambda: js(paas, 'releases', '-n', '1', cwd=app)[0]['current'])
    made = js(paas, 'rollback', cwd=app)
    assert made['description'].startswith('Rollback to v')
    paas.ctl('config:unset', 'A', cwd=app)


# --- dynos, logs ----------------------------------------------------------------------------
def test_dynos(paas, app):
    paas.ctl('ps:wait', cwd=app)
    assert '=== web (' in paas.ctl('ps', cwd=app).stdout and js(paas, 'ps', cwd=app)[0]['state'] == 'up'
    assert re.search(r'^web +\S+ +1$', paas.ctl('ps:type', cwd=app).stdout, re.M)
    size = js(paas, 'ps:type', cwd=app)[0]['size']
    assert js(paas, 'ps:type', 'web=' + size, cwd=app)
    assert 'web=1:' + size in paas.ctl('ps:scale', cwd=app).stdout
    r = paas.ctl('run:detached', 'echo', 'detached words', cwd=app)
    name = re.search(r'done, (run\.\d+)', r.stderr).group(1)
    wait_for('its output', lambda: 'detached words' in paas.ctl('logs', '-d', name, cwd=app).stdout)
    assert paas.ctl('rake', '-x', 'nothing', cwd=app, check=False).returncode != 0
    assert paas.ctl('ps:restart', 'web.1', cwd=app).stderr.endswith('done\n')
    paas.ctl('ps:wait', cwd=app)


def test_run_inside(paas, app):
    paas.ctl('ps:wait', cwd=app)
    dyno = js(paas, 'ps', 'web', cwd=app)[0]['name']
    r = paas.ctl('run:inside', dyno, 'echo inside $DYNO', cwd=app)
    assert r.stdout == 'inside %s\n' % dyno, r
    assert paas.ctl('run:inside', '-x', dyno, 'exit 3', cwd=app, check=False).returncode == 3
    assert paas.ctl('run:inside', 'web.99', 'true', cwd=app, check=False).returncode == 4


def test_drains(paas, app):
    url = 'syslog://127.0.0.1:5140'
    assert paas.ctl('drains', cwd=app).stdout == 'shop has no drains.\n'
    paas.ctl('drains:add', url, cwd=app)
    assert re.search(r'^%s +d\.' % url, paas.ctl('drains', cwd=app).stdout, re.M)
    assert paas.ctl('drains:remove', url, cwd=app).stdout == 'Successfully removed drain %s\n' % url
    assert js(paas, 'drains', cwd=app) == []


# --- domains, certificates ------------------------------------------------------------------
def test_domains_and_certificates(paas, app, tmp_path):
    paas.ctl('domains:add', 'www.example.com', cwd=app)
    assert 'www.example.com' in paas.ctl('domains', cwd=app).stdout
    assert 'hostname:' in paas.ctl('domains:info', 'www.example.com', cwd=app).stdout
    paas.ctl('domains:wait', 'www.example.com', cwd=app)
    paas.ctl('certs:generate', 'www.example.com', '--selfsigned', cwd=tmp_path)
    r = paas.ctl('certs:add', 'www.example.com.crt', 'www.example.com.key', '-a', 'shop', cwd=tmp_path)
    assert 'SSL certificate is self signed.' in r.stdout and 'Serving www.example.com' in r.stderr
    name = js(paas, 'certs', cwd=app)[0]['name']
    assert name in paas.ctl('certs', cwd=app).stdout
    assert 'Domain: www.example.com' in paas.ctl('certs:info', '--show-domains', cwd=app).stdout
    os.rename(tmp_path / 'www.example.com.crt', tmp_path / 'old.crt')
    os.rename(tmp_path / 'www.example.com.key', tmp_path / 'old.key')
    paas.ctl('certs:generate', 'www.example.com', '--selfsigned', cwd=tmp_path)
    paas.ctl('certs:update', 'www.example.com.crt', 'www.example.com.key', '-a', 'shop', '--confirm', 'shop', cwd=tmp_path)
    paas.ctl('domains:update', 'www.example.com', '--cert', name, cwd=app)
    paas.ctl('certs:remove', '--confirm', 'shop', cwd=app)
    assert 'no SSL certificates' in paas.ctl('certs', cwd=app).stdout
    assert 'disabled' in paas.ctl('certs:auto', cwd=app).stdout
    paas.ctl('domains:add', '*.example.org', cwd=app)
    paas.ctl('domains:remove', 'www.example.com', cwd=app)
    paas.ctl('domains:clear', cwd=app)
    assert js(paas, 'domains', cwd=app) and 'example.org' not in paas.ctl('domains', cwd=app).stdout


# --- https, the environment of other programs -----------------------------------------------
def test_https_env_and_git(paas, app):
    home = os.path.join(paas.dir, 'https')
    os.makedirs(home)
    url = f'https://localhost:{paas.port}'
    env = paas.env(HOME=home, PAASCTL_API_URL=url, PAASCTL_API_KEY=None)
    r = paas.ctl('login', '--token', input=paas.token + '\n', env=env, check=False)
    assert r.returncode == 7 and 'fingerprint' in r.stderr
    paas.ctl('login', '--token', '--yes', input=paas.token + '\n', env=env)
    assert paas.ctl('whoami', env=env).stdout
    paas.ctl('git:clone', '-a', 'shop', 'cloned', cwd=home, env=env)
    folder = os.path.join(home, 'cloned')
    remote = paas.git('remote', 'get-url', 'paasd', cwd=folder).stdout
    assert remote == f'https://localhost:{paas.port}/shop.git\n'
    # git alone: the authority is in the repository's configuration, the token in the netrc
    r = paas.run('git', 'fetch', 'paasd', cwd=folder, env=env)
    r = paas.run('bash', '-c', 'eval "$(paasctl env)"; env; curl -sS "$HEROKU_HOST/account" '
                 '-H "Accept: application/vnd.heroku+json; version=3" --netrc-file /dev/null -u ":$T"',
                 env={**env, 'T': paas.token})
    assert f'HEROKU_HOST={url}\n' in r.stdout and '"email":' in r.stdout
    assert 'NODE_EXTRA_CA_CERTS=' in r.stdout
    assert paas.ctl('run', '-x', '-a', 'shop', 'exit 7', env=env, cwd=folder, check=False).returncode == 7


def test_parity(paas, app, tmp_path):
    links = str(tmp_path / 'bin')
    os.mkdir(links)
    paas.ctl('parity:install', links)
    folder = paas.make_app('procfile', tmp_path / 'two')
    for env in ('staging', 'production'):
        paas.create('two-' + env, folder, remote=env)
    env = {**paas.env(), 'PATH': links + ':' + paas.env()['PATH']}

    def run(*argv, **kw):
        return paas.run(*argv, cwd=folder, env=env, **kw)
    paas.git('checkout', '-q', '-b', 'feature', cwd=folder)
    assert 'Released v' in run('staging', 'deploy').stderr
    assert 'Released v' in run('production', 'deploy').stderr
    wait_for('both', lambda: paas.http('two-staging')[0] == paas.http('two-production')[0] == 200)
    run('staging', 'config:set', 'A=1')
    assert run('staging', 'config:get', 'A').stdout == '1\n'
    assert run('production', 'config:get', 'A').stdout == '\n'
    assert run('production', 'open').stdout.startswith(f'http://two-production.localhost:{paas.port}')
    assert run('staging', 'run', 'echo', 'from the dyno').stdout == 'from the dyno\n'
    r = run('staging', 'migrate', check=False)  # no Rakefile in it, which `run` does not mind
    assert r.returncode == 0 and 'Restarting all dynos on two-staging' in r.stderr
    tail = subprocess.Popen([links + '/production', 'tail'], cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert tail.stdout.readline()
    finally:
        tail.kill()
        tail.wait()
    r = run('staging', 'backup', check=False)
    assert r.returncode == 4 and 'has no database' in r.stderr


def test_completion_knows_the_real_things(paas, app):
    def words(*line):
        return paas.ctl('completion:words', '--', *line, cwd=app).stdout.split()
    assert 'shop' in words('logs', '-a', 'sh')
    assert words('ps:scale', 'we') == ['web']
    assert 'v1' in words('releases:info', '')
    assert 'web.1' in words('ps:restart', 'web')
    assert words('stack:set', 'heroku-2') == [s['name'] for s in js(paas, 'stacks')]
