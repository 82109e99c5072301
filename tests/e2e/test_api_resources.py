"""Every resource with every field, from an app that really was pushed: each route of the table answers
once, and the client holds each answer against the schema."""
import re
import io
import socket
import subprocess
import tarfile
from urllib.parse import quote

import jsonschema
import pytest

from api_client import Client, claimed_by
from platform_under_test import wait_for

PROCFILE = 'web: exec python3 -m http.server $PORT\nworker: exec sleep 1000\nrelease: echo released $GREETING\n'


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def pushed(paas, c, tmp_path_factory):
    """The name of an app with a build, a slug, a release command, running dynos."""
    folder = tmp_path_factory.mktemp('pushed')
    paas.login()
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    (folder / 'Procfile').write_text(PROCFILE)
    paas.git('add', '-A', cwd=folder)
    (folder / 'message').write_bytes(b'gr\xfc\xdf\n')  # which is not UTF-8
    paas.git('commit', '-q', '-F', 'message', cwd=folder)
    c('POST', '/apps', {'name': 'pushed-app'}, want=201)
    c('PUT', '/apps/pushed-app/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    c('PATCH', '/apps/pushed-app/config-vars', {'GREETING': 'hello'}, want=200)
    r = paas.git('push', f'{paas.url}/pushed-app.git', 'main', cwd=folder)
    assert 'released hello' in r.stderr, r.stderr
    return 'pushed-app'


def stream(paas, url, headers=None, until=None):
    """The text of a stream: all of it, or up to what until says."""
    s = socket.create_connection(('127.0.0.1', paas.port), timeout=20)
    path = url.split('/', 3)[3]
    lines = [f'GET /{path} HTTP/1.0', f'Host: localhost:{paas.port}', *[f'{k}: {v}' for k, v in (headers or {}).items()]]
    s.sendall(('\r\n'.join(lines) + '\r\n\r\n').encode())
    got = b''
    while not (until and until in got.partition(b'\r\n\r\n')[2]):
        more = s.recv(65536)
        if not more:
            break
        got += more
    s.close()
    head, _, body = got.partition(b'\r\n\r\n')
    return int(head.split()[1]), head.decode(), body.decode(errors='replace')


def test_account_and_tokens(paas, c):
    me = c('GET', '/account', want=200).json
    assert me['email'] == 'admin@localhost' or '@' in me['email']
    for path in ('/users/~', '/users/' + me['id'], '/users/' + me['email']):
        assert c('GET', path, want=200).json == me
    assert c('PATCH', '/account', {'name': 'The Äditor'}, want=200).json['name'] == 'The Äditor'
    c('PATCH', '/account', {'allow_tracking': False, 'beta': True}, want=200)
    assert c('GET', '/account/rate-limits', want=200).json['remaining'] > 0
    u = c('POST', '/users', {'email': 'New.User@example.com', 'password': 'correct horse', 'name': 'New'}, want=201).json
    assert u['email'] == 'New.User@example.com' and u['last_login'] is None
    c('POST', '/users', {'email': 'new.user@EXAMPLE.com', 'password': 'correct horse'}, want=422)
    c('DELETE', '/oauth/sessions/~', want=404)


def test_tokens(paas, c):
    a = c('POST', '/oauth/authorizations', {'description': 'ci', 'scope': ['read', 'write'], 'expires_in': '3600'},
          want=201).json
    assert a['scope'] == ['read', 'write'] and 3590 <= a['access_token']['expires_in'] <= 3600
    token = a['access_token']['token']
    assert c.with_token(token)('GET', '/account').status == 200
    # the caller's own token is shown, others only by how they start
    listed = {x['id']: x['access_token']['token'] for x in c('GET', '/oauth/authorizations', want=200).json}
    assert listed[a['id']] == token[:13] + '*' * 10
    assert c.token in listed.values()
    assert c('GET', f'/oauth/authorizations/{a["id"]}', want=200).json['access_token']['token'] == token[:13] + '*' * 10
    c('DELETE', f'/oauth/authorizations/{a["id"]}', want=200)
    c.with_token(token)('GET', '/account', want=401)
    c('GET', f'/oauth/authorizations/{a["id"]}', want=404)


def test_the_default_authorization_is_the_one_in_the_file(paas, c):
    own = c('GET', '/oauth/authorizations/~', want=200).json
    assert own['access_token']['token'] == c.token
    other = c('POST', '/oauth/authorizations', {}, want=201).json
    mine = c.with_token(other['access_token']['token'])
    assert mine('GET', '/oauth/authorizations/~', want=200).json['id'] == own['id']
    a = mine('GET', '/oauth/authorizations/' + other['id'], want=200)
    assert a.json['access_token']['token'] == mine.token
    user = c.with_token(paas.new_user('nodefault@example.com'))
    assert user('GET', '/oauth/authorizations/~', want=404).json['resource'] == 'authorization'
    user('DELETE', '/oauth/authorizations/~', want=404)


def test_logging_out_revokes_the_token(paas, c):
    user = c.with_token(paas.new_user('leaving@example.com'))
    paas.ctl('logout', token=user.token)
    user('GET', '/account', want=401)
    paas.ctl('logout')  # the administrator's own token in the file stays good
    c('GET', '/account', want=200)


def test_app(paas, c):
    a = c('POST', '/apps', {}, want=201).json
    assert a['web_url'] == f'http://{a["name"]}.localhost:{paas.port}/'
    assert a['git_url'] == f'http://localhost:{paas.port}/{a["name"]}.git'
    assert c('GET', '/apps/' + a['id'], want=200).json['id'] == a['id']
    rel = c('GET', f'/apps/{a["name"]}/releases', want=200).json
    assert [(r['version'], r['description'], r['status'], r['current']) for r in rel] == [
        (1, 'Initial release', 'succeeded', False), (2, 'Enable Logplex', 'succeeded', True)]
    b = c('PATCH', f'/apps/{a["name"]}', {'name': 'other-name', 'maintenance': True, 'build_stack': a['stack']['name']},
          want=200).json
    assert (b['name'], b['maintenance'], b['id']) == ('other-name', True, a['id'])
    c('GET', f'/apps/{a["name"]}', want=404)
    assert any(x['name'] == 'other-name' for x in c('GET', '/apps', want=200).json)
    assert any(x['name'] == 'other-name' for x in c('GET', '/users/~/apps', want=200).json)
    c('GET', '/apps/other-name/formation', want=200)
    c('DELETE', '/apps/other-name', want=200)
    c('GET', '/apps/other-name', want=404)
    c('POST', '/apps', {'name': 'other-name'}, want=201)
    c('DELETE', '/apps/other-name', want=200)


def test_a_pushed_app(paas, c, pushed):
    p = f'/apps/{pushed}'
    app = c('GET', p, want=200).json
    assert app['slug_size'] is not None and app['repo_size'] > 0 and app['released_at']
    build = c('GET', p + '/builds', want=200).json[-1]
    assert build['status'] == 'succeeded' and build['release']['id'] and build['slug']['id']
    assert c('GET', f'{p}/builds/{build["id"]}', want=200).json == build
    c('DELETE', f'{p}/builds/{build["id"]}', want=422)
    slug = c('GET', f'{p}/slugs/{build["slug"]["id"]}', want=200).json
    assert slug['process_types']['web'].startswith('exec python3')
    c('GET', p + '/slugs/no-such', want=404)
    rel = c('GET', p + '/releases', want=200).json[-1]
    assert rel['current'] and rel['slug'] == build['slug'] and rel['output_stream_url']
    for ref in (rel['id'], rel['version'], f'v{rel["version"]}'):
        assert c('GET', f'{p}/releases/{ref}', want=200).json == rel
        assert c('GET', f'{p}/releases/{ref}/config-vars', want=200).json == {'GREETING': 'hello'}
    assert c('GET', p + '/config-vars', want=200).json == {'GREETING': 'hello'}
    c('DELETE', p + '/build-cache', want=200)


def test_streams(paas, c, pushed):
    p = f'/apps/{pushed}'
    build = c('GET', p + '/builds', want=200).json[-1]
    rel = c('GET', p + '/releases', want=200).json[-1]
    status, head, text = stream(paas, build['output_stream_url'])
    assert status == 200 and 'text/plain' in head and '-----> ' in text
    status, _, text = stream(paas, rel['output_stream_url'])
    assert status == 200 and text == 'released hello\n'
    for url in (build['output_stream_url'], rel['output_stream_url']):
        assert stream(paas, url[:-1] + ('0' if url[-1] != '0' else '1'))[0] == 404
        assert stream(paas, url.rsplit('/', 1)[0] + '/')[0] == 404
        assert stream(paas, url + '0')[0] == 404
    assert c.send('HEAD', '/' + build['output_stream_url'].split('/', 3)[3]).status == 405


def test_log_sessions(paas, c, pushed):
    p = f'/apps/{pushed}/log-sessions'
    s = c('POST', p, {'lines': 100, 'tail': False}, want=201).json
    status, head, text = stream(paas, s['logplex_url'])
    assert status == 200 and 'text/plain' in head and ' app[api]: ' in text
    s = c('POST', p, {'lines': '5', 'dyno': 'release', 'source': 'app'}, want=201).json
    status, head, text = stream(paas, s['logplex_url'], {'Accept': 'text/event-stream'})
    assert 'text/event-stream' in head and 'released hello' in text and text.startswith('retry: ')
    s = c('POST', p, {'lines': 5, 'tail': True, 'source': 'app', 'dyno_name': 'api'}, want=201).json
    _, _, text = stream(paas, s['logplex_url'], {'Accept': 'text/event-stream'}, until=b'\n\n')
    last = int(text.split('id: ')[1].split('\n')[0])
    # a tail comes back to where it was
    c('PATCH', f'/apps/{pushed}', {'maintenance': True}, want=200)
    c('PATCH', f'/apps/{pushed}', {'maintenance': False}, want=200)
    _, _, text = stream(paas, s['logplex_url'], {'Accept': 'text/event-stream', 'Last-Event-ID': str(last)}, until=b'\n\n')
    assert int(text.split('id: ')[1].split('\n')[0]) > last
    assert stream(paas, s['logplex_url'] + 'x')[0] == 404
    for body in ({'lines': -1}, {'lines': 'many'}, {'tail': 'yes'}, {'source': 'x' * 16}, {'dyno': 'x' * 151}, {'line': 1}):
        c('POST', p, body, want=422)
    c('POST', p, want=201)


def test_formation_and_dynos(paas, c, pushed):
    p = f'/apps/{pushed}'
    types = {f['type']: f for f in c('GET', p + '/formation', want=200).json}
    assert set(types) == {'web', 'worker', 'release'}
    assert types['web']['quantity'] == 1 and types['worker']['quantity'] == 0
    size = types['web']['dyno_size']
    got = c('PATCH', p + '/formation', {'updates': [{'type': 'worker', 'quantity': '+1', 'size': size['name'].upper()},
                                                    {'type': 'web', 'dyno_size': {'id': size['id']}}]}, want=200).json
    assert {f['type']: f['quantity'] for f in got}['worker'] == 1
    one = c('PATCH', p + '/formation/worker', {'quantity': '-1'}, want=200).json
    assert one['quantity'] == 0
    assert c('PATCH', f'{p}/formation/{one["id"]}', {'quantity': 1}, want=200).json['quantity'] == 1
    assert c('GET', f'{p}/formation/{one["id"]}', want=200).json['type'] == 'worker'

    def up():
        dynos = c('GET', p + '/dynos', want=200).json
        return {d['name']: d for d in dynos} if [d['state'] for d in dynos] == ['up', 'up'] else None
    dynos = wait_for('both dynos up', up)
    assert set(dynos) == {'web.1', 'worker.1'}
    d = dynos['worker.1']
    for ref in ('worker.1', d['id']):
        assert c('GET', f'{p}/dynos/{ref}', want=200).json['id'] == d['id']
    c('DELETE', p + '/dynos/worker.1', want=202)
    wait_for('worker.1 restarted', lambda: (up() or {}).get('worker.1', d)['id'] != d['id'])
    c('DELETE', p + '/formations/worker', want=202)
    c('POST', p + '/formations/worker/actions/stop', want=202)
    c('POST', p + '/dynos/web.1/actions/stop', want=202)
    c('DELETE', p + '/dynos', want=202)
    wait_for('all up again', up)
    for bad in ('no-such', 'web.9'):
        c('GET', f'{p}/dynos/{bad}', want=404)
        c('DELETE', f'{p}/dynos/{bad}', want=404)
        c('POST', f'{p}/dynos/{bad}/actions/stop', want=404)
        c('DELETE', f'{p}/formations/{bad}', want=404)
        c('PATCH', f'{p}/formation/{bad}', {'quantity': 1}, want=404)
    sizes = {s['name'] for s in c('GET', '/dyno-sizes', want=200).json}
    assert size['name'] in sizes


def test_one_off_dyno(paas, c, pushed):
    p = f'/apps/{pushed}/dynos'
    d = c('POST', p, {'command': 'echo one-off $X $COLUMNS', 'attach': False, 'env': {'X': 'y', 'COLUMNS': 99}}, want=201).json
    assert d['attach_url'] is None and d['type'] == 'run' and d['name'].startswith('run.')
    wait_for('its output in the log', lambda: 'one-off y 99' in paas.logs(pushed))
    d = c('POST', p, {'command': 'true', 'attach': True, 'force_no_tty': None}, want=201).json
    assert d['attach_url'].startswith('rendezvous://')
    d = c('POST', p + '/web.1', {'command': 'true', 'env': {'X': 'y', 'LINES': 9}}, want=201).json
    assert d['attach_url'].startswith('rendezvous://') and d['type'] == 'run'
    c('POST', p + '/web.9', {'command': 'true'}, want=404)
    for body in ({'command': ''}, {'command': 'x' * 33000}, {'command': 'true', 'size': 'huge'}, {'command': 7}, {},
                 {'command': 'true', 'env': {'A B': 'x'}}, {'command': 'true', 'env': {'A': ['x']}}, {'command': 'true', 'env': 'x'},
                 {'command': 'true', 'time_to_live': 0}, {'command': 'true', 'time_to_live': 90000},
                 {'command': 'true', 'type': 'a b'}, {'command': 'true', 'tty': True}, {'command': 'true', 'attach': 'yes'}):
        assert c('POST', p, body).status == (400 if body is None else 422), body


def test_rollback_and_release_of_a_slug(paas, c, pushed):
    p = f'/apps/{pushed}/releases'
    before = c('GET', p, want=200).json[-1]
    back = c('POST', p, {'release': before['id']}, want=201).json
    assert back['version'] == before['version'] + 1 and back['description'] == f'Rollback to v{before["version"]}'
    again = c('POST', p, {'slug': before['slug']['id'], 'description': 'Retry'}, want=201).json
    assert again['description'] == 'Retry' and again['version'] == back['version'] + 1
    c('POST', p, {'release': before['version']}, want=201)
    c('POST', p, {'release': f'v{before["version"]}'}, want=201)
    wait_for('the last of them to be live', lambda: c('GET', p, want=200).json[-1]['current'], timeout=60)
    for body, status in (({'release': 99}, 404), ({'release': 'v0'}, 404), ({'slug': 'no-such'}, 404), ({}, 422),
                         ({'release': 1.5}, 422), ({'release': None}, 422), ({'release': 1, 'slug': 'x'}, 422),
                         ({'slug': before['slug']['id'], 'description': 'two\nlines'}, 422),
                         ({'slug': before['slug']['id'], 'description': 'x' * 251}, 422)):
        assert c('POST', p, body).status == status, body


def test_cancel_a_build(paas, c, tmp_path):
    """One that runs: the only kind that can be canceled."""
    paas.git('init', '-q', '-b', 'main', cwd=tmp_path)
    (tmp_path / 'Makefile').write_text('all:\n\tsleep 600\n')
    (tmp_path / 'Procfile').write_text('web: true\n')
    paas.commit(str(tmp_path))
    c('POST', '/apps', {'name': 'cancel-me'}, want=201)
    c('PUT', '/apps/cancel-me/buildpack-installations', {'updates': [{'buildpack': 'make'}]}, want=200)
    push = subprocess.Popen(['git', 'push', '-q', f'{paas.url}/cancel-me.git', 'main'], cwd=tmp_path, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env=paas.env(HOME=paas.login_home(paas.token)))
    try:
        def pending():
            b = c('GET', '/apps/cancel-me/builds', want=200).json
            return b and b[0]['status'] == 'pending' and 'sleep' in stream(paas, b[0]['output_stream_url'], until=b'sleep')[2] and b[0]
        b = wait_for('the build to run', pending)
        assert b['release'] is None and b['slug'] is None
        assert c('DELETE', f'/apps/cancel-me/builds/{b["id"]}', want=200).json['id'] == b['id']
        assert push.wait(30) != 0
    finally:
        if push.poll() is None:
            push.kill()
        push.stderr.close()
        push.wait()
    wait_for('the record of it', lambda: c('GET', f'/apps/cancel-me/builds/{b["id"]}').json['status'] == 'failed')


def test_sources_and_builds(paas, c):
    """One of each; what they do is in test_api_code.py."""
    c('POST', '/apps', {'name': 'of-tarballs'}, want=201)
    c('POST', '/apps/of-tarballs/sources', want=201)
    blob = c('POST', '/sources', want=201).json['source_blob']
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        info = tarfile.TarInfo('Makefile')
        info.size = len(b'all:\n\tsleep 600\n')
        t.addfile(info, io.BytesIO(b'all:\n\tsleep 600\n'))
    c('PUT', '/' + blob['put_url'].split('/', 3)[3], out.getvalue(), want=200)
    for end in ('/cancel', '/actions/cancel'):
        b = c('POST', '/apps/of-tarballs/builds', {'source_blob': {'url': blob['get_url']}, 'buildpacks': [{'url': 'make'}]},
              want=201).json
        c('POST', f'/apps/of-tarballs/builds/{b["id"]}{end}', want=200)
    text = stream(paas, b['output_stream_url'])[2]
    assert text.endswith('Push failed\n'), text
    s = c('POST', '/apps/of-tarballs/slugs', {'process_types': {'web': 'true'}}, want=201).json
    c('PUT', '/' + s['blob']['url'].split('/', 3)[3], b'no tar', want=422)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        t.addfile(tarfile.TarInfo('./app/x'))
    c('PUT', '/' + s['blob']['url'].split('/', 3)[3], out.getvalue(), want=200)


def test_the_rest(paas, c):
    stack = c('GET', '/stacks', want=200).json[0]
    for ref in (stack['id'], stack['name']):
        assert c('GET', f'/stacks/{ref}', want=200).json == stack
    region = c('GET', '/regions', want=200).json[0]
    assert c('GET', f'/regions/{region["id"]}', want=200).json == region
    c('GET', '/stacks/none', want=404)
    c('GET', '/regions/none', want=404)
    c('POST', '/apps', {'name': 'the-rest'}, want=201)
    p = '/apps/the-rest'
    paas.new_user('helper@example.com')
    one = c('POST', p + '/collaborators', {'user': 'helper@example.com', 'silent': True}, want=201).json
    c('POST', p + '/collaborators', {'user': 'helper@example.com'}, want=422)
    assert c('POST', p + '/collaborators', {'user': 'nobody@example.com'}, want=201).json['invitation']  # no account yet
    for ref in (one['id'], one['user']['id'], 'HELPER@example.com'):
        assert c('GET', f'{p}/collaborators/{ref}', want=200).json == one
    roles = {x['user']['email']: x['role'] for x in c('GET', p + '/collaborators', want=200).json}
    assert roles['helper@example.com'] == 'collaborator' and 'owner' in roles.values()
    c('DELETE', f'{p}/collaborators/{one["id"]}', want=200)
    c('GET', p + '/audit', want=200)
    packs = ['heroku/ruby', 'https://example.com/x.git#main']
    put = c('PUT', p + '/buildpack-installations', {'updates': [{'buildpack': b} for b in packs]}, headers={'Range': ''}, want=200)
    assert [x['buildpack']['url'] for x in put.json] == packs and [x['ordinal'] for x in put.json] == [0, 1]
    assert c('GET', p + '/buildpack-installations', want=200).json == put.json
    assert c('PUT', p + '/buildpack-installations', {'updates': []}, want=200).json == []


def test_the_authority(paas, c):
    status, head, text = stream(paas, paas.url + '/ca.pem')
    assert status == 200 and 'x-pem-file' in head and text.startswith('-----BEGIN CERTIFICATE-----')


def test_drains(paas, c):
    c('POST', '/apps', {'name': 'drained'}, want=201)
    p = '/apps/drained/log-drains'
    url = 'https://me:pass%20word@logs.example.com/in?key=1'
    one = c('POST', p, {'url': url}, want=201).json
    assert one['url'] == url and one['token'].startswith('d.') and one['addon'] is None
    two = c('POST', p, {'url': 'syslog+tls://logs.example.com:40841'}, want=201).json
    assert c('GET', p, want=200).json == sorted([one, two], key=lambda d: d['id'])
    for ref in (one['id'], one['token'], quote(url, safe='')):
        assert c('GET', f'{p}/{ref}', want=200).json == one
    a = c('POST', p, {'url': url}, want=422)
    assert a.message == 'Url has already been taken'
    for bad in ('ftp://x/', 'https://', 'syslog://u@x:1', '/var/log', 'x' * 3000, 'https://a b/', 'udp://x:1'):
        c('POST', p, {'url': bad}, want=422)
    for body in ({}, {'url': None}, {'url': 1}, {'url': url + '1', 'token': 'd.x'}):
        c('POST', p, body, want=422)
    # each app may have six
    for i in range(4):
        c('POST', p, {'url': f'syslog://logs{i}.example.com:514'}, want=201)
    assert 'at most 6' in c('POST', p, {'url': 'syslog://logs9.example.com:514'}, want=422).message
    # those who may not change the app see where the log goes, not with which credentials
    mate = c.with_token(paas.new_user('viewer@example.com'))
    c('POST', '/apps/drained/collaborators', {'user': 'viewer@example.com', 'permissions': ['view']}, want=201)
    seen = mate('GET', f'{p}/{one["id"]}', want=200).json
    assert seen == {**one, 'url': 'https://logs.example.com/[hidden]'}
    assert 'pass' not in str(mate('GET', p, want=200).json)
    assert mate('GET', f'{p}/{quote(url, safe="")}').status == 404  # nor may they guess
    audit = c('GET', '/apps/drained/audit', want=200).json
    assert 'word' not in str(audit) and any(r['action'] == 'drain.add' and one['token'] in r['detail'] for r in audit)
    assert c('DELETE', f'{p}/{quote(url, safe="")}', want=200).json == one
    assert c('DELETE', f'{p}/{two["token"]}', want=200).json == two
    c('GET', f'{p}/{one["id"]}', want=404)
    c('DELETE', '/apps/drained', want=200)


def test_webhooks(paas, c):
    c('POST', '/apps', {'name': 'told'}, want=201)
    p = '/apps/told/webhooks'
    w = c('POST', p, {'url': 'https://nowhere.invalid/', 'include': ['api:release'], 'level': 'notify'}, want=201)
    assert len(w.headers['Heroku-Webhook-Secret']) == 64
    assert c('GET', p, want=200).json == [w.json] and c('GET', f'{p}/{w.json["id"]}', want=200).json == w.json
    c('PATCH', f'{p}/{w.json["id"]}', {'authorization': 'Bearer x'}, want=200)
    c('PATCH', '/apps/told/config-vars', {'A': '1'}, want=200)
    events = c('GET', '/apps/told/webhook-events', want=200).json
    c('GET', f'/apps/told/webhook-events/{events[0]["id"]}', want=200)
    d = '/apps/told/webhook-deliveries'
    one = wait_for('a failure', lambda: [x for x in c('GET', d, want=200).json if x['status'] == 'failed'])[0]
    assert c('GET', f'{d}/{one["id"]}', want=200).json['last_attempt']['error_class'] == 'unknown_host'
    c('POST', f'{d}/{one["id"]}/actions/retry', want=202)
    c('DELETE', f'{p}/{w.json["id"]}', want=200)
    assert c('GET', d, want=200).json == []
    c('DELETE', '/apps/told', want=200)


def test_the_hyper_schema(paas, c):
    """Somebody else's implementation of JSON Schema holds the answers against what /schema says."""
    schema = c.with_token(None)('GET', '/schema', want=200).json
    c.seen.add('GET /schema')
    jsonschema.Draft4Validator.check_schema(schema)
    links = {(x['method'], x['href']): x for d in schema['definitions'].values() for x in d['links']}
    assert set(links) == {(r.method, re.sub(r':([^/]+)', r'{\1}', r.path)) for r in c.routes}
    apps = c('GET', '/apps', want=200).json or [c('POST', '/apps', {}, want=201).json]

    def valid(value, part):
        jsonschema.Draft4Validator({**schema, **part}, format_checker=jsonschema.draft4_format_checker).validate(value)
    valid(apps, links['GET', '/apps']['targetSchema'])
    for field, value in (('maintenance', None), ('id', 5), ('released_at', {})):
        with pytest.raises(jsonschema.ValidationError):
            valid([{**apps[0], field: value}], links['GET', '/apps']['targetSchema'])
    update = links['PATCH', '/apps/{app}']['schema']
    valid({'maintenance': True}, update)
    with pytest.raises(jsonschema.ValidationError):
        valid({'maintenance': 'yes'}, update)


def test_every_route_has_answered(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by(None) - c.seen == set()
