"""How the API speaks: ranges, etags, errors, bodies, limits, log-ins, and two requests at once."""
import base64
import concurrent.futures
import gzip
import json
import os
import re
import socket
import time

import pytest

from api_client import Client
from platform_under_test import wait_for


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def user(paas, c):
    """An account of its own, with apps app-00 to app-24, the first of which has 40 releases and more."""
    u = c.with_token(paas.new_user('paging@example.com'))
    for i in range(25):
        u('POST', '/apps', {'name': f'app-{i:02}'}, want=201)
    for i in range(38):
        u('PATCH', '/apps/app-00/config-vars', {'N': str(i)}, want=200)
    return u


def raw(paas, data, timeout=20):
    """What the front door answers to bytes: status, head, body."""
    with socket.create_connection(('127.0.0.1', paas.port), timeout=timeout) as s:
        s.sendall(data)
        got = b''
        while b'\r\n\r\n' not in got:
            more = s.recv(65536)
            if not more:
                break
            got += more
        head, _, body = got.partition(b'\r\n\r\n')
        m = re.search(rb'(?i)^content-length: *(\d+)', head, re.M)
        while m and len(body) < int(m.group(1)):
            more = s.recv(65536)
            if not more:
                break
            body += more
    return int(head.split()[1]) if head else None, head.decode('latin-1'), body


def request(paas, token, method, path, *lines, body=b'', host=None):
    head = [f'{method} {path} HTTP/1.1', f'Host: {host or f"localhost:{paas.port}"}', f'Authorization: Bearer {token}', *lines]
    return raw(paas, '\r\n'.join(head).encode('latin-1') + b'\r\n\r\n' + body)


# --- ranges ---

@pytest.mark.parametrize('order', ['', 'asc', 'desc'])
@pytest.mark.parametrize('most', [1, 7, 24, 25, 26, 1000])
@pytest.mark.parametrize('field', ['name', 'id', 'created_at', 'updated_at'])
def test_all_pages_have_each_app_once(user, field, most, order):
    pages = user.pages('/apps', f'{field} ..; max={most}' + (f', order={order}' if order else ''))
    assert all(len(p) == most for p in pages[:-1]) and 1 <= len(pages[-1]) <= most
    apps = [a for p in pages for a in p]
    assert len(apps) == 25 and len({a['id'] for a in apps}) == 25
    values = [a[field] for a in apps]
    assert values == sorted(values, reverse=order == 'desc')


@pytest.mark.parametrize('order', ['asc', 'desc'])
@pytest.mark.parametrize('most', [1, 13, 40])
def test_all_pages_have_each_release_once(user, most, order):
    pages = user.pages('/apps/app-00/releases', f'version ..; order={order},max={most}')
    assert [r['version'] for p in pages for r in p] == sorted(range(1, 41), reverse=order == 'desc')


@pytest.mark.parametrize('header, versions, status, content, following', [
    ('version ..; max=15, order=desc', range(40, 25, -1), 206, 'version 40..26', ']version 26..; max=15, order=desc'),
    ('version ..; order=desc,max=1', [40], 206, 'version 40..40', ']version 40..; max=1, order=desc'),
    ('version ..; order=desc', range(40, 0, -1), 200, 'version 40..1', None),
    ('version 5..7', [5, 6, 7], 200, 'version 5..7', None),
    (']version 5..7; max=1', [6], 206, 'version 6..6', ']version 6..7; max=1'),
    ('version ]5..7', [6, 7], 200, 'version 6..7', None),
    ('version 7..5; order=desc; max=2', [7, 6], 206, 'version 7..6', ']version 6..5; max=2, order=desc'),
    ('version 5..7; order=desc; max=2', [7, 6], 206, 'version 7..6', ']version 6..5; max=2, order=desc'),
    ('version 39..; max=1000;', [39, 40], 200, 'version 39..40', None),
    ('version ..2', [1, 2], 200, 'version 1..2', None),
    ('version 41..', [], 200, None, None),
    ('; max=2', [1, 2], 206, 'version 1..2', ']version 2..; max=2'),
    ('..', range(1, 41), 200, 'version 1..40', None),
    ('', range(1, 41), 200, 'version 1..40', None),
    ('bytes=0-9', range(1, 41), 200, 'version 1..40', None),
    ('version ..; max=5000', range(1, 41), 200, 'version 1..40', None),
])
def test_each_form_of_range(user, header, versions, status, content, following):
    a = user('GET', '/apps/app-00/releases', headers={'Range': header}, want=status)
    assert [r['version'] for r in a.json] == list(versions)
    assert a.headers.get('Content-Range') == content and a.headers.get('Next-Range') == following
    assert 'version' in a.headers['Accept-Ranges'].split(', ')


@pytest.mark.parametrize('header', ['version', 'nonsense ..', 'slug ..', 'version x..', 'version ..y', 'id ..; max=0', 'id ..; max=-5',
                                    'id ..; max=many', 'id ..; order=sideways', 'id ' + 'x' * 1000 + '..'])
def test_what_no_range_can_be_is_416(user, header):
    a = user('GET', '/apps/app-00/releases', headers={'Range': header}, want=416)
    assert a.id == 'requested_range_not_satisfiable' and 'Range' in a.message


def test_lists_of_every_resource_can_be_sorted_by_what_they_say(user):
    for path in ['/apps', '/users/~/apps', '/oauth/authorizations', '/stacks', '/regions', '/dyno-sizes',
                 *('/apps/app-00/' + p for p in ('collaborators', 'releases', 'builds', 'formation', 'dynos', 'audit',
                                                 'buildpack-installations'))]:
        for field in user('GET', path, want=200).headers['Accept-Ranges'].split(', '):
            for order in ('asc', 'desc'):
                user('GET', path, headers={'Range': f'{field} ..; max=1000, order={order}'}, want=200)


def test_more_than_a_page_without_a_range(paas, c):
    u = c.with_token(paas.new_user('many@example.com'))
    for _ in range(205):
        u('POST', '/oauth/authorizations', {'scope': ['identity']}, want=201)
    first = u('GET', '/oauth/authorizations', want=206)
    assert len(first.json) == 200
    pages = u.pages('/oauth/authorizations', None)
    assert len({a['id'] for p in pages for a in p}) == 206  # and the one it logged in with
    assert len(u.pages('/oauth/authorizations', 'created_at ..; max=17')) == 13


# --- conditional requests, methods, headers ---

def test_etag(user):
    a = user('GET', '/apps/app-01', want=200)
    tag = a.headers['ETag']
    for known in (tag, f'W/{tag}', f'"other", {tag}', '*'):
        b = user('GET', '/apps/app-01', headers={'If-None-Match': known}, want=304)
        assert b.data == b'' and b.headers['ETag'] == tag
    user('GET', '/apps/app-01', headers={'If-None-Match': '"other"'}, want=200)
    user('PATCH', '/apps/app-01', {'maintenance': True}, headers={'If-None-Match': '*'}, want=200)
    assert user('GET', '/apps/app-01', headers={'If-None-Match': tag}, want=200).headers['ETag'] != tag
    user('PATCH', '/apps/app-01', {'maintenance': False}, want=200)


def test_head(user):
    a = user('GET', '/apps/app-01', want=200)
    b = user('HEAD', '/apps/app-01', want=200)
    assert b.data == b'' and b.headers['Content-Length'] == a.headers['Content-Length'] and b.headers['ETag'] == a.headers['ETag']
    assert user('HEAD', '/apps/none', want=404).data == b''
    user('GET', '/apps/app-01', want=200)  # the connection is still in step


def test_headers_of_every_answer(user):
    ids = {user('GET', '/account').headers['Request-Id'] for _ in range(5)}
    assert len(ids) == 5
    a = user('GET', '/account', headers={'Request-Id': 'aaaaaaaa,' * 700}, want=200)  # as the CLI's grows
    assert len(a.headers['Request-Id']) < 100
    assert a.headers['RateLimit-Remaining'].isdigit() and 'no-cache' in a.headers['Cache-Control']


@pytest.mark.parametrize('accept, status', [
    ('application/vnd.heroku+json; version=3', 200), ('application/vnd.heroku+json; version=3.sdk', 200),
    ('application/vnd.heroku+json; version=3.pipelines', 200), ('application/vnd.heroku+json;version=3', 200),
    ('*/*', 200), (None, 200), ('', 200), ('application/json', 200), ('text/html', 200),
    ('application/vnd.heroku+json; version=2', 406), ('application/vnd.heroku+json; version=31', 406)])
def test_accept(user, accept, status):
    user('GET', '/account', headers={'Accept': accept}, want=status)


def test_credentials_come_in_each_form(paas, user):
    for name in ('', 'heroku', 'me@example.com'):
        basic = 'Basic ' + base64.b64encode(f'{name}:{user.token}'.encode()).decode()
        for form in (basic, basic.replace('Basic', 'basic'), 'bearer  ' + user.token):
            user('GET', '/account', headers={'Authorization': form}, want=200)
    user('GET', '/account', headers={'Authorization': user.token}, want=401)
    user('GET', '/account', headers={'Authorization': 'Bearer ' + user.token + ' x'}, want=401)
    user('GET', '/account?access_token=' + user.token, headers={'Authorization': None}, want=401)


def test_trailing_slash_and_query(user):
    user('GET', '/apps/app-01/', want=200)
    user('GET', '/apps/app-01?extended=true', want=200)
    user('GET', '/apps/app%2D01', want=200)
    user('GET', '/apps/app-01%2Freleases', want=404)
    user('GET', '/apps/app-01%00', want=404)
    user('GET', '/apps/%ff%fe', want=404)
    user('GET', '/apps/' + 'x' * 5000, want=404)


# --- bodies ---

@pytest.mark.parametrize('body, status', [
    (b'{', 400), (b'{"name": "x",}', 400), (b'nonsense', 400), (b'[]', 400), (b'"x"', 400), (b'7', 400), (b'null', 400),
    (b'{"name": "xxx"} {"name": "yyy"}', 400), (b'{"name": "xxx", "name": "yyy"}', 400), (b"{'name': 'xxx'}", 400),
    (b'[' * 100000, 400), (b'{"name":' * 100000, 400), (b'{"name": ' + b'[' * 5000 + b']' * 5000 + b'}', 400),
    (b'{"name": 1e999}', 400), (b'{"name": 123456789012345678901234567890}', 400), (b'\xef\xbb\xbf{}', 400),
    (b'{"name": "\\ud800"}', 400), (b'{"name": "\xff"}', 422), (b'{"name": "x\\u0000y"}', 422), (b'{"name": "x\x00y"}', 422),
    (b'{"name": "\xc0\xaf"}', 422), (b'{"\xff": 1}', 422), (b'\x00', 422), (b'\xfe\xff\x00{\x00}', 422),
    (b'{"name": 7}', 422), (b'{"name": []}', 422), (b'{"name": {}}', 422), (b'{"name": true}', 422), (b'{"name": ""}', 422)])
def test_bodies_that_are_wrong(user, body, status):
    for method, path in (('POST', '/apps'), ('PATCH', '/apps/app-01')):
        a = user(method, path, body, want=status)
        assert a.id == ('bad_request' if status == 400 else 'invalid_params')


def test_bodies_that_are_missing(user):
    for headers in ({'Content-Length': '0'}, {'Content-Length': '0', 'Content-Type': 'application/json'}):
        a = user('POST', '/apps', headers=headers, want=201)
        user('DELETE', '/apps/' + a.json['name'], want=200)
    assert user('PATCH', '/apps/app-01', headers={'Content-Length': '0'}, want=400).id == 'bad_request'
    user('PATCH', '/apps/app-01', {}, want=200)
    assert user('PATCH', '/apps/app-01/config-vars', {}, want=200).json == {}


def test_bodies_where_none_is_needed(user):
    user('POST', '/apps', {'name': 'with-body'}, want=201)
    user('DELETE', '/apps/with-body', b'{', want=400)
    user('DELETE', '/apps/with-body', {'confirm': 'with-body'}, want=200)
    user('GET', '/account', b'not even json', want=200)
    user('GET', '/account', want=200)


def test_who_may_not_is_told_before_the_body(paas, user):
    """So that nobody without an account can make the API wait for bodies that never come."""
    for path, line in (('/apps', 'Authorization: Bearer nonsense'), ('/oauth/authorizations', 'X: y'),
                       ('/oauth/authorizations', 'Authorization: Bearer nonsense')):
        status, _, body = raw(paas, f'POST {path} HTTP/1.1\r\nHost: localhost:{paas.port}\r\n{line}\r\n'
                                    'Content-Length: 1000\r\n\r\n{'.encode())
        assert status == 401, body


def test_bodies_that_are_too_large(paas, user):
    big = b'{"A": "' + b'x' * (1 << 20) + b'"}'
    assert user('PATCH', '/apps/app-01/config-vars', big, want=413).id == 'request_entity_too_large'
    user('GET', '/account', want=200)
    # without a length, and small on the wire
    bomb = gzip.compress(b'{"A": "' + b'x' * (64 << 20) + b'"}')
    assert len(bomb) < 100000
    user('PATCH', '/apps/app-01/config-vars', bomb, headers={'Content-Encoding': 'gzip'}, want=413)
    chunks = b''.join(b'10000\r\n' + b'x' * 0x10000 + b'\r\n' for _ in range(20)) + b'0\r\n\r\n'
    status, _, _ = request(paas, user.token, 'PATCH', '/apps/app-01/config-vars', 'Transfer-Encoding: chunked', body=chunks)
    assert status == 413
    small = gzip.compress(b'{"ZIPPED": "yes"}')
    assert user('PATCH', '/apps/app-01/config-vars', small, headers={'Content-Encoding': 'gzip'}, want=200).json['ZIPPED'] == 'yes'
    user('PATCH', '/apps/app-01/config-vars', {'ZIPPED': None}, want=200)


@pytest.mark.parametrize('method, path, body, field', [
    ('POST', '/apps', {'nmae': 'x'}, 'nmae'),
    ('POST', '/apps', {'stack': 'no-such-stack'}, 'no-such-stack'),
    ('POST', '/apps', {'region': 'mars'}, 'mars'),
    ('PATCH', '/apps/app-01', {'maintenance': 'on'}, 'maintenance'),
    ('PATCH', '/apps/app-01', {'maintenance': 1}, 'maintenance'),
    ('PATCH', '/apps/app-01', {'owner': 'x'}, 'owner'),
    ('PATCH', '/account', {'email': 'x@example.com'}, 'email'),
    ('PATCH', '/account', {'name': 7}, 'name'),
    ('PATCH', '/account', {'name': 'x' * 256}, 'name'),
    ('PATCH', '/account', {'name': 'a\nb'}, 'name'),
    ('POST', '/oauth/authorizations', {'descripton': 'x'}, 'descripton'),
    ('POST', '/oauth/authorizations', {'description': 7}, 'description'),
    ('POST', '/oauth/authorizations', {'description': 'a\x1b[2Jb'}, 'description'),
    ('POST', '/oauth/authorizations', {'description': 'x' * 301}, 'description'),
    ('POST', '/oauth/authorizations', {'expires_in': 0}, 'expires_in'),
    ('POST', '/oauth/authorizations', {'expires_in': '1h'}, 'expires_in'),
    ('POST', '/oauth/authorizations', {'expires_in': '99999999999999999999'}, 'expires_in'),
    ('POST', '/oauth/authorizations', {'scope': 'global'}, 'scope'),
    ('POST', '/oauth/authorizations', {'scope': []}, 'scope'),
    ('POST', '/oauth/authorizations', {'scope': ['root']}, 'scope'),
    ('POST', '/oauth/authorizations', {'scope': [7]}, 'scope'),
    ('POST', '/apps/app-01/collaborators', {}, 'user'),
    ('POST', '/apps/app-01/collaborators', {'user': 7}, 'user'),
    ('POST', '/apps/app-01/collaborators', {'user': 'x@example.com', 'permissions': 'view'}, 'permissions'),
    ('POST', '/apps/app-01/collaborators', {'user': 'x@example.com', 'permissions': []}, 'permissions'),
    ('POST', '/apps/app-01/collaborators', {'user': 'x@example.com', 'permissions': ['owner']}, 'permissions'),
    ('POST', '/apps/app-01/collaborators', {'user': 'x@example.com', 'permissions': [None]}, 'permissions'),
    ('POST', '/apps/app-01/collaborators', {'user': 'x@example.com', 'role': 'admin'}, 'role'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': 'x'}, 'updates'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': ['x']}, 'updates[0]'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': 'a'}, {'buildpack': 7}]}, 'updates[1]'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': 'a', 'ordinal': 1}]}, 'ordinal'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': '-x'}]}, 'buildpack'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': 'a b'}]}, 'buildpack'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': 'a' * 1001}]}, 'buildpack'),
    ('PUT', '/apps/app-01/buildpack-installations', {'updates': [{'buildpack': 'a'}] * 21}, 'updates'),
    ('PATCH', '/apps/app-01/formation', {'updates': []}, 'updates'),
    ('PATCH', '/apps/app-01/formation', {'updates': {}}, 'updates'),
    ('PATCH', '/apps/app-01/formation', {'updates': [7]}, 'updates'),
    ('PATCH', '/apps/app-01/formation', {'updates': [{'quantity': 1}]}, 'type'),
    ('PATCH', '/apps/app-01/formation', {'updates': [{'type': 'web'}], 'x': 1}, 'x'),
    ('PATCH', '/apps/app-01/formation', {'updates': [{'type': 'web', 'qty': 1}]}, 'qty'),
    ('POST', '/apps/app-01/releases', {}, 'slug'),
    ('POST', '/apps/app-01/releases', {'slug': 7}, 'slug'),
    ('POST', '/apps/app-01/releases', {'oci_image': 'x'}, 'oci_image'),
    ('POST', '/apps/app-01/dynos', {'attach': True}, 'command'),
    ('POST', '/apps/app-01/log-sessions', {'num': 1}, 'num'),
    ('PATCH', '/apps/app-01/config-vars', {'A': 7}, 'A'),
    ('PATCH', '/apps/app-01/config-vars', {'A': True}, 'A'),
    ('PATCH', '/apps/app-01/config-vars', {'A': {'b': 'c'}}, 'A'),
    ('PATCH', '/apps/app-01/config-vars', {'1A': 'x'}, '1A'),
    ('PATCH', '/apps/app-01/config-vars', {'A-B': 'x'}, 'A-B'),
    ('PATCH', '/apps/app-01/config-vars', {'': 'x'}, 'name'),
    ('PATCH', '/apps/app-01/config-vars', {'A=B': 'x'}, 'A=B'),
    ('PATCH', '/apps/app-01/config-vars', {'Ä': 'x'}, 'Ä'),
])
def test_fields_that_are_wrong_are_named(user, method, path, body, field):
    a = user(method, path, body, want=422)
    assert a.id == 'invalid_params' and field in a.message, a


def test_users_are_checked(c):
    good = {'email': 'checked@example.com', 'password': 'correct horse'}
    for change, field in (({'email': 'nobody'}, 'email'), ({'email': 'a@b@c'}, 'email'), ({'email': 'a b@c'}, 'email'),
                          ({'email': '@c'}, 'email'), ({'email': 'x' * 251 + '@c.d'}, 'email'), ({'email': None}, 'email'),
                          ({'password': 'short'}, 'password'), ({'password': 'x' * 1025}, 'password'), ({'password': None}, 'password'),
                          ({'admin': 'yes'}, 'admin'), ({'name': 'x' * 256}, 'name'), ({'roles': []}, 'roles')):
        a = c('POST', '/users', {**good, **change}, want=422)
        assert field in a.message, a


# --- names and config at their limits ---

@pytest.mark.parametrize('name, ok', [
    ('abc', True), ('a1b', True), ('a--b', True), ('a' + 'b' * 29, True), ('ab', False), ('a' + 'b' * 30, False), ('1ab', False),
    ('-ab', False), ('ab-', False), ('aBc', False), ('a_b', False), ('a.b', False), ('a b', False), ('äbc', False), ('abc\n', False),
    ('localhost', False), ('a/b', False), ('../x', False), ('abc%00', False)])
def test_app_names(user, name, ok):
    a = user('POST', '/apps', {'name': name}, want=201 if ok else 422)
    if ok:
        assert user('PATCH', f'/apps/{name}', {'name': name}, want=200).json['name'] == name
        assert 'taken' in user('POST', '/apps', {'name': name}, want=422).message
        assert 'taken' in user('PATCH', '/apps/app-01', {'name': name}, want=422).message
        user('DELETE', f'/apps/{name}', want=200)
    else:
        assert 'ame' in a.message
        user('PATCH', '/apps/app-01', {'name': name}, want=422)


def test_config_values_are_kept_byte_for_byte(user):
    path = '/apps/app-02/config-vars'
    values = {'ASCII': ''.join(map(chr, range(1, 128))), 'LATIN': ''.join(map(chr, range(128, 256))),
              'WIDE': '\ud7ff\ue000\uffff\U00010000\U0010ffff €', 'EMPTY': '', 'NEWLINES': '\n\r\n\t', 'QUOTES': '"\'`$(x)\\${y}',
              'COMBINING': 'e\u0301', 'LONG': 'x' * 32768, '_': 'underscore', 'A' * 128: 'long name', 'lower': 'case'}
    assert user('PATCH', path, values, want=200).json == values
    assert user('GET', path, want=200).json == values
    # the same as raw UTF-8 rather than escapes
    values = {k: v for k, v in values.items() if k in ('LATIN', 'WIDE', 'COMBINING')}
    body = json.dumps({k: v + '!' for k, v in values.items()}, ensure_ascii=False).encode()
    got = user('PATCH', path, body, want=200).json
    assert all(got[k] == v + '!' for k, v in values.items())


def test_config_limits(user):
    path = '/apps/app-03/config-vars'
    user('PATCH', path, {'A': 'x' * 32768}, want=200)
    a = user('PATCH', path, {'A': 'x' * 32769}, want=422)
    assert 'A' in a.message and '32768' in a.message
    user('PATCH', path, {'A': 'é' * 16384}, want=200)
    user('PATCH', path, {'A': 'é' * 16384 + 'x'}, want=422)
    user('PATCH', path, {'B': 'x' * 32700}, want=200)
    user('PATCH', path, {'C': 'x' * 1000}, want=422)  # 64 KB in all
    user('PATCH', path, {'A' * 129: 'x'}, want=422)
    user('PATCH', path, {'A': None, 'B': None, 'NEVER_WAS': None}, want=200)
    assert user('GET', path, want=200).json == {}


def test_config_makes_releases(user):
    path = '/apps/app-04/config-vars'

    def newest():
        a = user('GET', '/apps/app-04/releases', headers={'Range': 'version ..; order=desc,max=1'}, want=206)
        return a.json[0]
    user('PATCH', path, {'A': '1', 'B': '2'}, want=200)
    assert (newest()['version'], newest()['description']) == (3, 'Set A, B config vars')
    user('PATCH', path, {'A': '1'}, want=200)
    assert newest()['version'] == 3
    user('PATCH', path, {'A': None}, want=200)
    assert (newest()['version'], newest()['description']) == (4, 'Remove A config vars')
    assert user('GET', '/apps/app-04/releases/3/config-vars', want=200).json == {'A': '1', 'B': '2'}
    # one bad name, and nothing happens
    user('PATCH', path, {'OK': 'x', 'not ok': 'x'}, want=422)
    assert user('GET', path, want=200).json == {'B': '2'} and newest()['version'] == 4


# --- two at once ---

def test_one_name_goes_to_one_of_many(paas, user):
    def create(i):
        c = user.with_token(user.token)
        a = c('POST', '/apps', {'name': 'wanted-by-all'})
        c.close()
        return a.status
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = sorted(pool.map(create, range(8)))
    assert got == [201] + [422] * 7
    user('GET', '/apps/wanted-by-all/releases', want=200)
    user('DELETE', '/apps/wanted-by-all', want=200)


def test_config_changes_at_once_lose_nothing(user):
    def change(i):
        c = user.with_token(user.token)
        a = c('PATCH', '/apps/app-05/config-vars', {f'K{i}': str(i)})
        c.close()
        return a.status
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, range(24))) == {200}
    assert user('GET', '/apps/app-05/config-vars', want=200).json == {f'K{i}': str(i) for i in range(24)}
    versions = [r['version'] for r in user('GET', '/apps/app-05/releases', want=200).json]
    assert versions == list(range(1, 27))


def test_destroying_at_once(user):
    for _ in range(5):
        user('POST', '/apps', {'name': 'going-going'}, want=201)

        def destroy(i):
            c = user.with_token(user.token)
            a = c('DELETE', '/apps/going-going')
            c.close()
            return a.status
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            got = sorted(pool.map(destroy, range(4)))
        assert got[0] == 200 and set(got[1:]) <= {200, 404}, got
        user('GET', '/apps/going-going', want=404)


# --- failures ---

def test_a_creation_that_fails_leaves_nothing(paas, user):
    """The repository cannot be made: the name is free again, and no half app is listed."""
    repos = f'{paas.state}/repos'
    before = [a['name'] for a in user('GET', '/apps', want=200).json]
    os.rename(repos, repos + '.away')
    try:
        open(repos, 'w').close()
        a = user.send('POST', '/apps', {'name': 'half-made'})
        assert a.status == 500 and json.loads(a.data)['id'], a
    finally:
        os.unlink(repos)
        os.rename(repos + '.away', repos)
    user('GET', '/apps/half-made', want=404)
    assert [a['name'] for a in user('GET', '/apps', want=200).json] == before
    a = user('POST', '/apps', {'name': 'half-made'})
    assert a.status in (201, 422), a
    if a.status == 422:  # its repository's folder was away when it was to go: the next start finishes that
        paas.stop()
        paas.start()
        user.close()
        user('POST', '/apps', {'name': 'half-made'}, want=201)
    user('DELETE', '/apps/half-made', want=200)


# --- hosts ---

@pytest.mark.parametrize('host', ['localhost', 'LOCALHOST', '127.0.0.1'])
def test_urls_are_made_of_the_host_that_was_used(paas, user, host):
    status, _, body = request(paas, user.token, 'GET', '/apps/app-01', 'Connection: close', host=f'{host}:{paas.port}')
    assert status == 200
    assert json.loads(body)['git_url'].lower() == f'http://{host.lower()}:{paas.port}/app-01.git'


@pytest.mark.parametrize('host', ['local\xffhost', 'localhost\x01', 'localhost:99999', 'local host', '', 'evil.example.com', 'localhost@x',
                                  'localhost/x', "localhost:1'", '[::1', 'localhost:'])
def test_strange_hosts_do_no_harm(paas, user, host):
    status, _, body = request(paas, user.token, 'GET', '/apps/app-01', 'Connection: close', host=host)
    assert status in (200, 400, 404, 421, None), (status, body)
    user('GET', '/account', want=200)


# --- log-in ---

def basic(email, password):
    return {'Authorization': 'Basic ' + base64.b64encode(f'{email}:{password}'.encode()).decode()}


def test_log_in_by_password(paas, c):
    paas.new_user('login@example.com')
    nobody = c.with_token(None, '127.0.0.2')
    body = {'description': 'Heroku CLI login from host', 'expires_in': 2592000, 'scope': ['global']}
    a = nobody('POST', '/oauth/authorizations', body, headers=basic('LOGIN@example.com', 'correct horse'), want=201).json
    assert a['user']['email'] == 'login@example.com' and a['scope'] == ['global'] and 2591990 <= a['access_token']['expires_in'] <= 2592000
    me = c.with_token(a['access_token']['token'])
    assert me('GET', '/account', want=200).json['last_login']
    # a password is no token anywhere else
    nobody('GET', '/account', headers=basic('login@example.com', 'correct horse'), want=401)
    nobody('GET', '/oauth/authorizations', headers=basic('login@example.com', 'correct horse'), want=401)
    for headers in (basic('login@example.com', 'wrong'), basic('login@example.com', ''), basic('', 'correct horse'),
                    basic('nobody@example.com', 'correct horse'), {}):
        nobody('POST', '/oauth/authorizations', body, headers=headers, want=401)
    me('POST', '/oauth/authorizations', body, want=201)
    identity = me('POST', '/oauth/authorizations', {'scope': ['identity']}, want=201).json
    c.with_token(identity['access_token']['token'])('POST', '/oauth/authorizations', body, want=403)


def test_tokens_end(paas, c):
    u = c.with_token(paas.new_user('ending@example.com'))
    a = u('POST', '/oauth/authorizations', {'expires_in': 1}, want=201).json
    short = c.with_token(a['access_token']['token'])
    wait_for('the token to expire', lambda: short('GET', '/account').status == 401, timeout=5)
    assert a['id'] not in [x['id'] for x in u('GET', '/oauth/authorizations', want=200).json]
    short('POST', '/oauth/authorizations', {}, want=401)
    own = u('GET', '/oauth/authorizations', want=200).json[0]['id']
    u('DELETE', f'/oauth/authorizations/{own}', want=200)
    u('GET', '/account', want=401)


def test_passwords_change_by_the_present_one(paas, c):
    u = c.with_token(paas.new_user('change@example.com'))
    nobody = c.with_token(None)
    assert 'password' in u('PATCH', '/account', {'new_password': 'battery staple'}, want=422).message
    u('PATCH', '/account', {'password': 'wrong', 'new_password': 'battery staple'}, want=403)
    u('PATCH', '/account', {'password': 'correct horse', 'new_password': 'short'}, want=422)
    u('PATCH', '/account', {'password': 'correct horse', 'new_password': 'x' * 1025}, want=422)
    u('PATCH', '/account', {'password': 'correct horse', 'new_password': 7}, want=422)
    u('PATCH', '/account', {'password': 'correct horse', 'new_password': 'battery stäple'}, want=200)
    nobody('POST', '/oauth/authorizations', {}, headers=basic('change@example.com', 'correct horse'), want=401)
    nobody('POST', '/oauth/authorizations', {}, headers=basic('change@example.com', 'battery stäple'), want=201)


def guess(client, email, password='wrong'):
    return client('POST', '/oauth/authorizations', {}, headers=basic(email, password))


def run_out(attempt, most):
    """Guesses until the first 429; there are `most`, and one more for each 30 s that it took. The last answer."""
    started = time.monotonic()
    for n in range(200):
        a = attempt(n)
        if a.status == 429:
            break
        assert a.status in (401, 403)
    assert most <= n <= most + (time.monotonic() - started) // 30 + 1, n
    assert a.id == 'rate_limit' and 1 <= int(a.headers['Retry-After']) <= 30
    return a


def test_wrong_passwords_of_an_account_run_out(paas, c):
    """Ten, from wherever; then even the right one has to wait. Others do not feel it."""
    paas.new_user('guessed@example.com')
    paas.new_user('bystander@example.com')
    clients = [c.with_token(None, f'127.0.1.{i}') for i in (1, 2, 3)]
    run_out(lambda i: guess(clients[i % 3], 'guessed@example.com', f'guess {i}'), 10)
    assert guess(clients[0], 'GUESSED@example.com', 'correct horse').status == 429
    assert guess(clients[0], 'bystander@example.com', 'correct horse').status == 201
    log = open(paas.log.name).read()
    assert 'wrong password' in log and 'guess 1' not in log


def test_wrong_passwords_from_an_address_run_out(paas, c):
    """Thirty, whatever accounts they are for, those that do not exist too."""
    paas.new_user('fromhome@example.com')
    bad, good = c.with_token(None, '127.0.2.1'), c.with_token(None, '127.0.2.2')
    run_out(lambda i: guess(bad, f'nobody{i}@example.com'), 30)
    assert guess(bad, 'fromhome@example.com', 'correct horse').status == 429
    assert guess(good, 'fromhome@example.com', 'correct horse').status == 201


def test_a_token_does_not_help_to_guess_the_password(paas, c):
    u = c.with_token(paas.new_user('stolen@example.com'), '127.0.3.1')
    run_out(lambda i: u('PATCH', '/account', {'password': f'guess {i}', 'new_password': 'battery staple'}), 10)


def test_right_passwords_cost_nothing(paas, c):
    paas.new_user('often@example.com')
    client = c.with_token(None, '127.0.4.1')
    assert {guess(client, 'often@example.com', 'correct horse').status for _ in range(15)} == {201}


def test_wrong_password_and_wrong_address_take_as_long(paas, c):
    """Both check a password. On a busy machine times scatter; the floor of each is what they share."""
    paas.new_user('timed@example.com')
    client = c.with_token(None, '127.0.5.1')
    took = {'timed@example.com': [], 'untimed@example.com': []}
    for _ in range(6):
        for email, times in took.items():
            t = time.perf_counter()
            assert guess(client, email).status == 401
            times.append(time.perf_counter() - t)
    floors = [min(t) for t in took.values()]
    assert max(floors) < 1.7 * min(floors), took


def test_many_log_ins_at_once_are_kept_in_check(paas, c):
    """Each takes 64 MB while it is checked: one at a time, some wait, the rest are told to come back."""
    paas.new_user('crowd@example.com')

    def login(_):
        n = c.with_token(None, '127.0.6.1')
        a = n.send('POST', '/oauth/authorizations', {}, headers=basic('crowd@example.com', 'correct horse'))
        n.close()
        return a.status
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        got = list(pool.map(login, range(24)))
    assert set(got) <= {201, 503} and got.count(201) >= 4, got
    assert login(0) == 201


def test_tokens_are_not_kept_in_clear(paas, c):
    u = c.with_token(paas.new_user('clear@example.com'))
    u('GET', '/account', want=200)
    for name in ('paasd.db', 'paasd.db-wal'):
        with open(f'{paas.state}/{name}', 'rb') as f:
            data = f.read()
        assert u.token.encode() not in data and b'correct horse' not in data
        assert u.token[13:].encode() not in data
    log = open(paas.log.name).read()
    assert u.token not in log and 'correct horse' not in log
