"""auth:*, authorizations, sessions, keys, access, accounts, transfers, what teams have."""
import re
import subprocess

import pytest

import totp
from browser import Browser
from heroku_cli import Heroku

PASSWORD = 'correct horse'
NOT_THERE = '01234567-89ab-4def-8123-456789abcdef'


@pytest.fixture(scope='module')
def app(heroku):
    heroku('apps:create', 'identity-app', '--no-remote')
    return 'identity-app'


@pytest.fixture(scope='module')
def mate(paas):
    return Heroku(paas, paas.new_user('mate@example.com'))


@pytest.fixture(scope='module')
def mates_session(mate):
    s = mate.session()
    yield s
    s.close()


def stranger(paas, name):
    """Somebody with an account and no token, at a computer of their own."""
    token = paas.new_user(f'{name}@example.com')
    person = Heroku(paas, '', home=f'{paas.dir}/home-of-{name}')
    person.for_api = token
    return person


def test_whoami_and_token(heroku, paas):
    assert heroku('auth:whoami').stdout == 'admin@localhost\n'
    assert heroku('whoami', HEROKU_API_KEY=paas.token).has('HEROKU_API_KEY').stdout == 'admin@localhost\n'
    assert heroku('auth:token').stdout.strip() == paas.token


def test_not_logged_in(paas):
    nobody = Heroku(paas, '', home=f'{paas.dir}/home-of-nobody')
    nobody('auth:whoami', code=100).has('not logged in')
    nobody('auth:whoami', code=2, HEROKU_API_KEY='PAAS-' + '0' * 48).has('Invalid credentials provided')
    nobody('apps', code=1, HEROKU_API_KEY='PAAS-' + '0' * 48).has('HEROKU_API_KEY is invalid')


def test_login_by_password(paas):
    person = stranger(paas, 'typist')
    t = person.at_terminal('auth:login', '-i')
    try:
        t.expect('Email')
        t.send('typist@example.com\r')
        t.expect('Password')
        t.send('wrong horse\r')
        t.expect('Invalid credentials')
        assert t.wait() != 0
    finally:
        t.kill()
    t = person.at_terminal('login', '-i', '-e', '3600')
    try:
        t.expect('Email')
        t.send('typist@example.com\r')
        t.expect('Password')
        t.send(PASSWORD + '\r')
        t.expect('Logged in as', timeout=60)
        t.expect('typist@example.com')
        assert t.wait() == 0
    finally:
        t.kill()
    assert person('whoami').stdout == 'typist@example.com\n'
    with open(person.home + '/.netrc') as f:
        netrc = f.read()
    assert f'machine {person.host}' in netrc and 'login typist@example.com' in netrc
    token = re.search(r'password (\S+)', netrc)[1]
    mine = [a for a in paas.api('GET', '/oauth/authorizations', token=token)[1] if a['access_token']['token'] == token]
    assert mine[0]['description'].startswith('Heroku CLI login from') and 3500 < mine[0]['access_token']['expires_in'] <= 3600
    person('auth:logout')  # revokes it
    with open(person.home + '/.netrc') as f:
        assert person.host not in f.read()
    assert paas.api('GET', '/account', token=token)[0] == 401
    person('logout')  # once more does no harm


def test_login_with_a_second_factor(paas):
    person = stranger(paas, 'careful')
    secret = paas.api('POST', '/account/two-factor', {'password': PASSWORD}, token=person.for_api)[1]['secret']
    status, answer, _ = paas.api('POST', '/account/two-factor/actions/confirm', {'code': totp.code(secret, totp.step() - 1)},
                                 token=person.for_api)
    assert status == 200, answer
    t = person.at_terminal('login', '-i')
    try:
        t.expect('Email')
        t.send('careful@example.com\r')
        t.expect('Password')
        t.send(PASSWORD + '\r')
        t.expect('Two-factor code')
        t.send(totp.code(secret) + '\r')
        t.expect('Logged in as', timeout=60)
        assert t.wait() == 0
    finally:
        t.kill()
    person('2fa').has('Two-factor authentication is enabled')
    person('2fa:disable', code=2).has('this command has been removed')


def test_login_in_a_browser(paas):
    person = stranger(paas, 'surfer')
    t = person.at_terminal('login')
    try:
        t.expect('Press any key')
        t.send('x')
        url = t.expect(re.compile(r'Opening browser to (http://\S+)'))[1]
        assert url.startswith(person.url)
        browser = Browser(paas, url[len(person.url):])
        assert browser.title == 'Log in'
        browser.submit('login', email='surfer@example.com', password=PASSWORD)
        assert 'Heroku CLI login from' in browser.text and 'surfer@example.com' in browser.text
        browser.submit('approve')
        t.expect('Logged in as', timeout=60)
        t.expect('surfer@example.com')
        assert t.wait() == 0
    finally:
        t.kill()
    ident = re.search(r'[0-9a-f]{8}-[0-9a-f-]{27}', person('sessions').stdout)[0]  # of the browser that approved
    person('sessions:destroy', ident).has('done')
    # and one that is denied
    t = person.at_terminal('login')
    try:
        t.expect('Press any key')
        t.send('x')
        url = t.expect(re.compile(r'Opening browser to (http://\S+)'))[1]
        Browser(paas, url[len(person.url):]).submit('login', email='surfer@example.com', password=PASSWORD).submit('deny')
        t.expect(re.compile('denied|Denied'), timeout=60)
        assert t.wait() != 0
    finally:
        t.kill()


def test_login_by_paasctl(paas):
    """Its entry in the netrc is the CLI's, too."""
    person = stranger(paas, 'regular')
    paas.ctl('login', '--token', input=person.for_api + '\n',
             env=paas.env(HOME=person.home, PAASCTL_API_URL=person.url, PAASCTL_API_KEY=None))
    assert person('whoami').stdout == 'regular@example.com\n'


def test_sessions(session):
    session('sessions').has('No OAuth sessions')
    session('sessions:destroy', NOT_THERE, code=2).has('Error ID: not_found')


def test_authorizations(heroku, session):
    r = heroku('authorizations:create', '-d', 'for the robot', '-s', 'read,write', '-e', '3600')
    r.has('for the robot')
    ident = re.search(r'ID: +(\S+)', r.stdout)[1]
    token = re.search(r'Token: +(\S+)', r.stdout)[1]
    assert re.search(r'Scope: +read, ?write', r.stdout)
    session('authorizations').has('for the robot')
    assert any(a['id'] == ident for a in session('authorizations', '--json').json)
    assert session('authorizations:info', ident, '--json').json['scope'] == ['read', 'write']
    session('authorizations:update', ident, '-d', 'for two robots').has('for two robots')
    new = re.search(r'Token: +(\S+)', session('authorizations:rotate', ident).stdout)[1]
    assert heroku.paas.api('GET', '/apps', token=token)[0] == 401
    assert heroku.paas.api('GET', '/apps', token=new)[0] == 200
    session('authorizations:revoke', ident).has('done')
    assert heroku.paas.api('GET', '/apps', token=new)[0] == 401
    assert session('authorizations:create', '-j', '-d', 'as json').json['access_token']['token']
    session('authorizations:destroy', ident, code=2).has('Error ID: not_found')


def test_a_scope_is_kept(heroku, app):
    token = heroku('authorizations:create', '-S', '-s', 'read', '-d', 'reader').stdout.strip()
    reader = Heroku(heroku.paas, token)
    reader('apps:info', '-a', app)
    reader('config:set', 'A=1', '-a', app, code=2).has('Error ID: forbidden')


def test_keys(session, tmp_path):
    for kind in ('ed25519', 'ecdsa'):
        subprocess.run(['ssh-keygen', '-q', '-t', kind, '-N', '', '-C', f'me@{kind}', '-f', str(tmp_path / kind)], check=True)
    session('keys').has('You have no SSH keys')
    session('keys:add', tmp_path / 'ed25519.pub').has('done')
    session('keys:add', tmp_path / 'ecdsa.pub', '--yes').has('done')
    session('keys').has('me@ed25519')
    session('keys', '-l').has('ecdsa-sha2-nistp256')
    assert {k['comment'] for k in session('keys', '--json').json} == {'me@ed25519', 'me@ecdsa'}
    session('keys:add', tmp_path / 'ed25519.pub', code=2)
    session('keys:add', tmp_path / 'ed25519', code=None).has('rror')  # the private half, which stays here
    session('keys:remove', 'me@ed25519').has('done')
    session('keys:clear').has('done')
    session('keys').has('You have no SSH keys')


def test_access(session, app, mates_session):
    mate = mates_session
    mate('apps:info', '-a', app, code=2).has("Couldn't find that app.")
    session('access:add', 'mate@example.com', '-a', app).has('done')
    r = session('access', '-a', app)
    assert re.search(r'mate@example.com +collaborator', r.stdout) and re.search(r'admin@localhost +owner', r.stdout)
    assert {c['role'] for c in session('access', '-a', app, '--json').json} == {'owner', 'collaborator'}
    mate('apps').has('Collaborated Apps', f'{app} admin@localhost')
    mate('apps:destroy', '-a', app, '--confirm', app, code=2).has('Error ID: forbidden')
    session('access:update', 'mate@example.com', '-p', 'view', '-a', app, code=2).has('not owned by a team')
    session('access:remove', 'mate@example.com', '-a', app).has('done')
    mate('config', '-a', app, code=2).has("Couldn't find that app.")


def test_transfer_and_leave(session, paas, mate, mates_session):
    name = paas.api('POST', '/apps', {})[1]['name']
    session('apps:transfer', 'mate@example.com', '-a', name).has('email sent')
    transfer = paas.api('GET', '/account/app-transfers', token=mate.token)[1][0]
    assert paas.api('PATCH', f'/account/app-transfers/{transfer["id"]}', {'state': 'accepted'}, token=mate.token)[0] == 200
    mates_session('apps:info', '-a', name).has('Owner: mate@example.com')
    session('apps:leave', '-a', name).has('done')  # until now a collaborator
    assert [c['role'] for c in paas.api('GET', f'/apps/{name}/collaborators', token=mate.token)[1]] == ['owner']


def test_labs(session, app):
    session('labs').has('=== User Features admin@localhost')
    session('labs', '-a', app).has(f'=== App Features {app}', '[ ] log-runtime-metrics')
    assert {f['name'] for f in session('labs', '-a', app, '--json').json['app']} >= {'log-runtime-metrics'}
    session('labs:enable', 'log-runtime-metrics', '-a', app).has('Enabling log-runtime-metrics for identity-app... done')
    session('labs', '-a', app).has('[+] log-runtime-metrics')
    session('labs:info', 'log-runtime-metrics', '-a', app).has('=== log-runtime-metrics', 'Enabled: true')
    session('labs:disable', 'log-runtime-metrics', '-a', app).has('done')
    session('labs:info', 'log-runtime-metrics', '-a', app, '--json').has('"enabled": false')
    session('labs:info', 'no-such-feature', '-a', app, code=2).has('Error ID: not_found')


def test_features(session, app):
    session('features', '-a', app).has(f'=== App Features {app}', '[+] preboot')
    assert any(f['name'] == 'preboot' for f in session('features', '-a', app, '--json').json)
    session('features:info', 'preboot', '-a', app).has('=== preboot', 'Enabled: true')
    session('features:enable', 'log-runtime-metrics', '-a', app).has('Enabling log-runtime-metrics for identity-app... done')
    session('features:disable', 'log-runtime-metrics', '-a', app).has('done')
    session('features:disable', 'preboot', '-a', app, code=2).has('always cut over without downtime')
    session('features:enable', 'preboot', '-a', app, code=1).has('preboot is already enabled')
    session('features:enable', 'no-such-feature', '-a', app, code=2).has('Error ID: not_found')


def test_aliases_of_accounts(session):
    """Names for accounts, kept by the CLI itself."""
    session('accounts', code=2).has("don't have any accounts")
    session('accounts:add', 'me')
    session('accounts').has('me')
    session('accounts:remove', 'me')


def test_teams(session, app):
    session('teams')
    session('orgs')
    session('members', '-t', 'nobodys', code=2).has("Couldn't find that team")
    session('members:add', 'a@example.com', '-t', 'nobodys', '-r', 'member', code=2).has("Couldn't find that team")
    session('apps', '-t', 'nobodys', code=2).has("Couldn't find that team")
    session('apps:create', 'for-a-team', '-t', 'nobodys', '--no-remote', code=2).has('team')
    session('apps:lock', '-a', app, code=2).has('team')
    session('apps:join', '-a', app, code=2).has('team')


def test_clients(session):
    session('clients').has('No OAuth clients')
    session('clients:create', 'x', 'https://example.com/cb', code=2)
    session('clients:info', NOT_THERE, code=2).has('Error ID: not_found')
