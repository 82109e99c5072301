"""Property tests, seeded: config vars of every text that JSON can carry arrive as they were set - in the
API's answer, in a build's ENV_DIR, in the environment of dynos, of one-offs, behind .profile.d - and
every name at its limit. A failure prints the seed; PAAS_SEED repeats it."""
import base64
import json
import os
import random
import string

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for
from test_api_code import build, finish, tarball, upload

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEED = int(os.environ.get('PAAS_SEED') or random.randrange(1 << 32))
COMPILE = '#!/bin/sh\nmkdir "$1/kept" && cp -R "$3" "$1/kept/env_dir"\n'
DUMP = ("import base64, hashlib, json, os, sys\n"
        "env = {k.decode(): base64.b64encode(v).decode() for k, v in os.environb.items() if k.startswith(b'V_')}\n"
        "text = json.dumps(env, sort_keys=True)\n"
        "open(sys.argv[1], 'w').write(text) if len(sys.argv) > 1 else print('sum ' + hashlib.sha256(text.encode()).hexdigest(), flush=True)\n")


@pytest.fixture(scope='module')
def rnd():
    print('PAAS_SEED', SEED)
    return random.Random(SEED)


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    """With a buildpack of the test's own, which keeps what it was given."""
    pack = tmp_path_factory.mktemp('keeps-env')
    os.mkdir(pack / 'bin')
    for name, text in (('detect', '#!/bin/sh\necho Keeps\n'), ('compile', COMPILE)):
        (pack / 'bin' / name).write_text(text)
        os.chmod(pack / 'bin' / name, 0o755)
    p = Platform(ROOT, '--set', 'build.allow_local_buildpacks=true')
    try:
        p.start()
        p.pack = str(pack)
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(own):
    return Client(own, own.token)


def character(rnd):
    """Any code point but NUL and surrogates; those that somebody might treat apart more often."""
    kind = rnd.randrange(5)
    if kind == 0:
        return chr(rnd.randrange(1, 0x20))
    if kind == 1:
        return rnd.choice('"\'\\$`!#&|;<>(){}[]*?~=%\n\r\t\x7f \x0b\x1b')
    if kind == 2:
        return rnd.choice('\x80\xa0\xad\u200b\u2028\u2029\ufeff\ufffd\ufffe\uffff\U0001f600\U0010ffff')
    if kind == 3:
        return chr(rnd.randrange(0x20, 0x7f))
    while True:
        n = rnd.randrange(1, 0x110000)
        if not 0xd800 <= n < 0xe000:
            return chr(n)


def values(rnd, n):
    out = {f'V_BYTE_{i:02X}': chr(i) for i in range(1, 0x100)}
    out.update(V_EMPTY='', V_BLANK=' ', V_NEWLINES='\n\n', V_TRAILING='x\n', V_PROFILE='$(touch kept/ran)`touch kept/ran`${HOME}',
               V_QUOTES='\'"\'"', V_FUNC='() { :; }; echo x', V_BACK='\\n\\', V_EQ='=a=b', V_LONG='ä' * 8000, V_DASH='-n')
    for i in range(n):
        out[f'V_R{i}'] = ''.join(character(rnd) for _ in range(rnd.randrange(40)))
    return out


def set_all(c, app, vars):
    """In a few requests: each of them one release."""
    items = list(vars.items())
    for i in range(0, len(items), 200):
        c('PATCH', f'/apps/{app}/config-vars', dict(items[i:i + 200]), want=200)


def test_values_arrive_as_they_were_set(own, c, rnd, tmp_path):
    c('POST', '/apps', {'name': 'exact'}, want=201)
    c('PUT', '/apps/exact/buildpack-installations', {'updates': [{'buildpack': own.pack}, {'buildpack': 'procfile'}]}, want=200)
    vars = values(rnd, 300)
    set_all(c, 'exact', vars)
    assert c('GET', '/apps/exact/config-vars', want=200).json == vars
    files = {'Procfile': 'web: python3 dump.py kept/env && cd kept && exec python3 -m http.server $PORT\n', 'dump.py': DUMP,
             '.profile.d/a.sh': 'python3 dump.py kept/profile\nfor v in $V_PROFILE; do :; done\n'}
    text, b = finish(own, c, 'exact', build(c, 'exact', upload(own, c, tarball(files))))
    assert b['status'] == 'succeeded', text
    rel = c('GET', f'/apps/exact/releases/{b["release"]["id"]}/config-vars', want=200).json
    assert rel == vars
    wait_for('the page', lambda: own.http('exact', '/env')[0] == 200)
    want = {k: base64.b64encode(v.encode()).decode() for k, v in vars.items()}
    for place in ('/env', '/profile'):
        assert json.loads(own.http('exact', place)[1]) == want, place
    assert own.http('exact', '/ran')[0] == 404
    slug = os.path.join(own.state, 'slugs', b['slug']['id'], 'app', 'kept', 'env_dir')
    assert sorted(n for n in os.listdir(slug)) == sorted(vars)
    for name, value in vars.items():
        with open(os.path.join(slug, name), 'rb') as f:
            assert f.read() == value.encode(), name
    import hashlib
    total = hashlib.sha256(json.dumps(want, sort_keys=True).encode()).hexdigest()
    c('POST', '/apps/exact/dynos', {'command': 'python3 dump.py'}, want=201)
    wait_for('the one-off', lambda: f'sum {total}' in own.logs('exact'))
    # unset, all of them, and set again to the same: the same
    c('PATCH', '/apps/exact/config-vars', {k: None for k in vars}, want=200)
    assert c('GET', '/apps/exact/config-vars', want=200).json == {}


@pytest.mark.parametrize('body', [
    b'{"A": "\xff"}', b'{"A": "\xc0\x80"}', b'{"A": "\xed\xa0\x80"}', b'{"A": "\xf4\x90\x80\x80"}', b'{"A": "a\x00b"}',
    b'{"A": "\\u0000"}', b'{"A": "\\ud800"}', b'{"\xff": "a"}', b'{"A": "\xe2\x82"}'])
def test_text_that_is_none_is_refused(c, body):
    if c.send('GET', '/apps/refuses').status == 404:
        c('POST', '/apps', {'name': 'refuses'}, want=201)
    # half a surrogate pair is an escape that means nothing: no JSON, rather than no text
    c('PATCH', '/apps/refuses/config-vars', body, want=400 if b'ud800' in body else 422)
    assert c('GET', '/apps/refuses/config-vars', want=200).json == {}


def test_names_of_config_vars(c, rnd):
    c('POST', '/apps', {'name': 'names'}, want=201)
    word = string.ascii_letters + string.digits + '_'
    good = ['A', '_', 'a', '_0', 'A' * 128, 'x9_'] + [
        rnd.choice(string.ascii_letters + '_') + ''.join(rnd.choice(word) for _ in range(rnd.randrange(127))) for _ in range(30)]
    bad = ['', '0', '9A', 'A' * 129, 'A-B', 'A B', ' A', 'A\n', 'A=B', 'A.B', 'Ä', '\u0661', 'A/B', '../A', 'A\x7f', '$A'] + [
        rnd.choice(string.ascii_letters) + chr(rnd.choice([n for n in range(1, 0x250) if chr(n) not in word])) for _ in range(30)]
    for name in good:
        assert c('PATCH', '/apps/names/config-vars', {name: 'x'}, want=200).json == {name: 'x'}
        c('PATCH', '/apps/names/config-vars', {name: None}, want=200)
    for name in bad:
        c('PATCH', '/apps/names/config-vars', {'FINE': 'x', name: 'x'}, want=422)
    for value in (5, True, [], {}, 1.5):
        c('PATCH', '/apps/names/config-vars', {'A': value}, want=422)
    assert c('GET', '/apps/names/config-vars', want=200).json == {}


def test_how_much_config_there_may_be(c):
    c('POST', '/apps', {'name': 'much'}, want=201)
    p = '/apps/much/config-vars'
    c('PATCH', p, {'A': 'x' * 32768}, want=200)
    c('PATCH', p, {'B': 'x' * 32769}, want=422)
    c('PATCH', p, {'B': 'ä' * 16385}, want=422)
    c('PATCH', p, {'B': 'x' * (65536 - 32768 - 2)}, want=200)
    a = c('PATCH', p, {'C': ''}, want=422)
    assert '65536' in a.message
    c('PATCH', p, {'B': None, 'C': ''}, want=200)
    c('PATCH', p, {'A': None, 'C': None}, want=200)
    c('PATCH', p, {f'N{i}': 'x' for i in range(1000)}, want=200)
    a = c('PATCH', p, {'ONE_MORE': 'x'}, want=422)
    assert '1000' in a.message
    assert len(c('GET', p, want=200).json) == 1000
    before = len(c('GET', '/apps/much/releases', want=200).json)
    c('PATCH', p, {'N0': 'x', 'NONE': None}, want=200)  # nothing changes: no release
    assert len(c('GET', '/apps/much/releases', want=200).json) == before
    a = c('PATCH', p, {'PORT': '1', 'N1': None}, want=200)
    assert 'PORT' in a.headers['X-Heroku-Warning']


def test_names_of_apps(c, rnd):
    inner = string.ascii_lowercase + string.digits + '-'
    good = ['abc', 'a-b', 'a' * 30, 'a0' + '9' * 28, 'x--y'] + [
        rnd.choice(string.ascii_lowercase) + ''.join(rnd.choice(inner) for _ in range(rnd.randrange(1, 28))) + rnd.choice(inner[:-1])
        for _ in range(6)]
    bad = ['', 'a', 'ab', 'a' * 31, '0ab', '-ab', 'ab-', 'aBc', 'a_b', 'a.b', 'a b', 'äbc', 'abc\n', 'localhost', '~ab']
    for name in good:
        c('POST', '/apps', {'name': name}, want=201)
        c('GET', f'/apps/{name}', want=200)
        c('DELETE', f'/apps/{name}', want=200)
    for name in bad:
        c('POST', '/apps', {'name': name}, want=422)


def test_names_of_process_types(own, c, rnd):
    word = string.ascii_letters + string.digits + '-_'
    c('POST', '/apps', {'name': 'types'}, want=201)
    good = ['web', '-', '_', '0', 'x' * 128] + [''.join(rnd.choice(word) for _ in range(rnd.randrange(1, 129))) for _ in range(20)]
    bad = ['', 'x' * 129, 'a b', 'a.b', 'a:b', 'ä', 'a\n', '#a', 'a/b']
    s = c('POST', '/apps/types/slugs', {'process_types': {t: 'true' for t in good}}, want=201).json
    assert set(s['process_types']) == set(good)
    for t in bad:
        c('POST', '/apps/types/slugs', {'process_types': {'web': 'true', t: 'true'}}, want=422)


def test_addresses_of_collaborators(c):
    c('POST', '/apps', {'name': 'addresses'}, want=201)
    p = '/apps/addresses/collaborators'
    for bad in ('', 'x', '@x', 'x@', 'a@b@c', 'a b@c', 'a@b\n', 'a' * 250 + '@b.cd', 'a,b@c', '<a@b>', 'ä@b'):
        assert c('POST', p, {'user': bad}).status in (404, 422), bad
    longest = 'a' * (254 - len('@example.com')) + '@example.com'
    assert c('POST', '/users', {'email': longest, 'password': 'correct horse'}).status == 201
    c('POST', p, {'user': longest}, want=201)
    c('DELETE', f'{p}/{longest}', want=200)
    c('POST', '/users', {'email': 'a' + longest, 'password': 'correct horse'}, want=422)
