"""Two apps of two users: neither token can read, push to, run in or tail the other's app."""
import pytest

from platform_under_test import wait_for


@pytest.fixture(scope='module')
def two(paas, tmp_path_factory):
    a, b = paas.new_user('a@example.com'), paas.new_user('b@example.com')
    folder = paas.make_app('c', tmp_path_factory.mktemp('two') / 'app')
    paas.ctl('apps:create', 'app-of-a', '-r', 'a', cwd=folder, token=a)
    paas.ctl('apps:create', 'app-of-b', '-r', 'b', cwd=folder, token=b)
    paas.push(folder, 'a', token=a)
    return folder, a, b


READS = ['', '/config-vars', '/formation', '/dynos', '/releases', '/builds', '/collaborators', '/audit',
         '/buildpack-installations', '/releases/1', '/releases/1/config-vars', '/formation/web', '/dynos/web.1']
WRITES = [('PATCH', '/config-vars', {'X': 'y'}), ('POST', '/dynos', {'command': 'id'}), ('DELETE', '/dynos', None),
          ('PATCH', '/formation', {'updates': [{'type': 'web', 'quantity': 0}]}), ('DELETE', '', None),
          ('POST', '/releases', {'release': 1}), ('PATCH', '', {'maintenance': True}), ('DELETE', '/build-cache', None),
          ('POST', '/log-sessions', {'tail': True}), ('PUT', '/buildpack-installations', {'updates': []}),
          ('POST', '/collaborators', {'user': 'b@example.com'})]


def test_the_api_hides_the_other_app(paas, two):
    _, a, b = two
    for path in READS:
        status, body, _ = paas.api('GET', '/apps/app-of-a' + path, token=b)
        assert status == 404 and body['id'] == 'not_found', path
    for method, path, body in WRITES:
        status, answer, _ = paas.api(method, '/apps/app-of-a' + path, body, token=b)
        assert status == 404 and answer['id'] == 'not_found', (method, path, answer)
    assert [x['name'] for x in paas.api('GET', '/apps', token=b)[1]] == ['app-of-b']
    assert paas.http('app-of-a')[0] == 200


def test_git_hides_the_other_app(paas, two):
    folder, a, b = two
    for args in (['ls-remote', f'{paas.url}/app-of-a.git'], ['push', f'{paas.url}/app-of-a.git', 'main']):
        r = paas.git(*args, cwd=folder, token=b, check=False)
        assert r.returncode != 0
        assert 'not found' in r.stderr or '403' in r.stderr, r.stderr
    r = paas.run('git', 'ls-remote', f'{paas.url}/app-of-a.git', check=False, env=paas.env(HOME='/nonexistent'))
    assert r.returncode != 0 and 'could not read Username' in r.stderr


def test_no_token(paas, two):
    import http.client
    for path in ['/account', '/apps', '/apps/app-of-a', '/apps/app-of-a/config-vars']:
        c = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=20)
        c.request('GET', path)
        r = c.getresponse()
        assert r.status == 401 and r.getheader('WWW-Authenticate'), path
        r.read()
        c.close()


def test_a_collaborator_may(paas, two):
    folder, a, b = two
    status, _, _ = paas.api('POST', '/apps/app-of-a/collaborators', {'user': 'b@example.com', 'permissions': ['view']},
                            token=a)
    assert status == 201
    assert paas.api('GET', '/apps/app-of-a', token=b)[0] == 200
    status, body, _ = paas.api('PATCH', '/apps/app-of-a/formation', {'updates': [{'type': 'web', 'quantity': 0}]}, token=b)
    assert status == 403 and body['id'] == 'forbidden'
    assert paas.api('DELETE', '/apps/app-of-a/collaborators/b@example.com', token=b)[0] == 200
    assert paas.api('GET', '/apps/app-of-a', token=b)[0] == 404


def test_login_by_password_and_logout(paas, two, tmp_path):
    """As a user does it: address and password at the terminal, then git without being asked, then logout."""
    import os
    from test_interactive import Terminal
    env = paas.env(PAASCTL_API_KEY=None, HOME=str(tmp_path))
    t = Terminal([os.path.join(paas.bin, 'paasctl'), 'login', '-i'], env)
    t.expect('Trust it for this platform?')  # its certificates are its own
    t.type('y\r')
    t.expect('Email')
    t.type('b@example.com\n')
    t.expect('Password')
    t.type('correct horse\n')
    t.expect('Logged in as b@example.com')
    assert t.end() == 0
    assert os.stat(tmp_path / '.netrc').st_mode & 0o777 == 0o600
    assert paas.ctl('whoami', env=env).stdout == 'b@example.com\n'
    assert paas.run('git', 'ls-remote', f'{paas.url}/app-of-b.git', env=env).returncode == 0
    with open(tmp_path / '.netrc') as f:
        token = f.read().split('password ')[1].split()[0]
    paas.ctl('logout', env=env)
    assert paas.ctl('whoami', env=env, check=False).returncode == 100
    assert paas.api('GET', '/account', token=token)[0] == 401  # revoked, not only forgotten
    t = Terminal([os.path.join(paas.bin, 'paasctl'), 'login', '-i'], env)
    t.expect('Email')
    t.type('b@example.com\n')
    t.expect('Password')
    t.type('wrong\n')
    t.expect('Invalid credentials')
    assert t.end() != 0
