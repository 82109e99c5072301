"""Code that comes by the API: sources and their builds, slugs made elsewhere, releases of them."""
import gzip
import hashlib
import http.client
import io
import os
import re
import sqlite3
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEB = 'web: exec python3 -m http.server $PORT\n'


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


def tarball(files, top='', mode='w:gz'):
    """A tar archive: {name: text or bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in files.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(top + name)
            info.size, info.mode = len(data), 0o755 if name.startswith('bin/') else 0o644
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def transfer(paas, method, url, data=None, headers=None, chunked=False):
    """A request without credentials to a URL of ours: status, body."""
    u = urlsplit(url)
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=60)
    try:
        body = iter([data[i:i + 7000] for i in range(0, len(data), 7000)]) if chunked else data
        conn.request(method, u.path, body, {'Host': u.netloc, **(headers or {})}, encode_chunked=chunked)
        r = conn.getresponse()
        return r.status, r.read()
    finally:
        conn.close()


def put(paas, url, data, want=200, **kw):
    status, text = transfer(paas, 'PUT', url, data, **kw)
    assert status == want, (status, text[:500])
    return text.decode()


def upload(paas, c, data, path='/sources'):
    blob = c('POST', path, want=201).json['source_blob']
    put(paas, blob['put_url'], data)
    return blob['get_url']


def output(paas, build):
    status, text = transfer(paas, 'GET', build['output_stream_url'])
    assert status == 200
    return text.decode(errors='replace')


def build(c, app, url, **more):
    blob = {'url': url, **{k: v for k, v in more.items() if k != 'buildpacks'}}
    body = {'source_blob': blob, **({'buildpacks': more['buildpacks']} if 'buildpacks' in more else {})}
    b = c('POST', f'/apps/{app}/builds', body, want=201).json
    assert b['status'] == 'pending' and b['release'] is None and b['slug'] is None
    return b


def finish(paas, c, app, b):
    """The output to its end, and the build then."""
    text = output(paas, b)
    return text, c('GET', f'/apps/{app}/builds/{b["id"]}', want=200).json


@pytest.fixture
def app(c, request):
    name = re.sub('[^a-z]', '', request.node.name.lower())[:24].rstrip('-') + 'app'
    c('POST', '/apps', {'name': name}, want=201)
    c('PUT', f'/apps/{name}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    yield name
    c('DELETE', f'/apps/{name}', want=200)


# --- sources ---

def test_a_source_is_uploaded_in_any_manner(paas, c):
    data = os.urandom(300_000)
    for headers, chunked in (({}, False), ({'Content-Type': ''}, False), ({'Content-Type': 'text/plain; odd'}, False),
                             ({'Accept': 'text/html'}, False), ({}, True), ({'Content-Encoding': 'gzip'}, False),
                             ({'Sec-Fetch-Site': 'cross-site'}, False), ({'Expect': '100-continue'}, False)):
        blob = c('POST', '/sources', want=201).json['source_blob']
        assert transfer(paas, 'GET', blob['get_url'])[0] == 404
        put(paas, blob['put_url'], data, headers=headers, chunked=chunked)
        assert transfer(paas, 'GET', blob['get_url']) == (200, data)
        put(paas, blob['put_url'], b'other')
        assert transfer(paas, 'GET', blob['get_url']) == (200, b'other')


def test_a_sources_urls_permit_what_they_say(paas, c):
    blob = c('POST', '/sources', want=201).json['source_blob']
    other = c('POST', '/sources', want=201).json['source_blob']
    put(paas, blob['put_url'], b'data')
    assert transfer(paas, 'GET', blob['put_url'])[0] == 404
    assert transfer(paas, 'PUT', blob['get_url'], b'x')[0] == 404
    cut = blob['get_url'][:-1]
    assert transfer(paas, 'GET', cut)[0] == 404
    mixed = blob['get_url'].rsplit('/', 1)[0] + '/' + other['get_url'].rsplit('/', 1)[1]
    assert transfer(paas, 'GET', mixed)[0] == 404
    assert transfer(paas, 'PUT', blob['put_url'], b'')[0] == 400
    assert transfer(paas, 'GET', blob['get_url']) == (200, b'data')


def test_an_upload_that_is_cut_short_leaves_nothing(paas, c):
    blob = c('POST', '/sources', want=201).json['source_blob']
    u = urlsplit(blob['put_url'])
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=20)
    conn.putrequest('PUT', u.path)
    conn.putheader('Content-Length', '1000000')
    conn.endheaders(b'x' * 5000)
    folder = os.path.join(paas.state, 'sources')
    wait_for('the upload to begin', lambda: [n for n in os.listdir(folder) if n.startswith('.')])
    conn.close()
    wait_for('it to be gone', lambda: not [n for n in os.listdir(folder) if n.startswith('.')])
    assert transfer(paas, 'GET', blob['get_url'])[0] == 404


# --- builds ---

def test_a_source_is_built_and_released(paas, c, app):
    files = {'Procfile': WEB + 'release: echo released $GREETING\n', 'index.html': 'from a tarball\n', 'tmp/x': 'swept'}
    c('PATCH', f'/apps/{app}/config-vars', {'GREETING': 'hello'}, want=200)
    url = upload(paas, c, tarball(files), f'/apps/{app}/sources')
    sha = 'SHA256:' + hashlib.sha256(tarball(files)).hexdigest() if False else None
    b = build(c, app, url, version='0123456789abcdef0123456789abcdef01234567', version_description='the second try')
    assert b['source_blob'] == {'url': url, 'checksum': sha, 'version': '0123456789abcdef0123456789abcdef01234567',
                                'version_description': 'the second try'}
    text, b = finish(paas, c, app, b)
    for line in ('-----> Building on the ', 'Procfile declares types', '-----> Launching...', 'Released v', 'released hello\n',
                 'Waiting for release.... done.'):
        assert line in text, text
    assert b['status'] == 'succeeded' and b['release'] and b['slug']
    assert [x['url'] for x in b['buildpacks']] == ['procfile'] or b['buildpacks']
    rel = c('GET', f'/apps/{app}/releases/{b["release"]["id"]}', want=200).json
    assert rel['current'] and rel['description'] == 'Deploy 01234567' and rel['slug'] == b['slug']
    wait_for('the page', lambda: paas.http(app, '/index.html')[1] == 'from a tarball\n')
    assert paas.http(app, '/tmp/x')[0] == 404
    slug = c('GET', f'/apps/{app}/slugs/{b["slug"]["id"]}', want=200).json
    assert slug['commit'] == '0123456789abcdef0123456789abcdef01234567'
    listed = c('GET', f'/apps/{app}/builds', headers={'Range': 'created_at ..; max=15, order=desc'}).json
    assert [x['id'] for x in listed] == [b['id']]


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz'])
def test_tarballs_of_each_kind(paas, c, app, mode):
    url = upload(paas, c, tarball({'Procfile': 'worker: true\n'}, top='repo-main/', mode=mode))
    text, b = finish(paas, c, app, build(c, app, url, version='any text'))
    assert b['status'] == 'succeeded', text
    assert [f['type'] for f in c('GET', f'/apps/{app}/formation', want=200).json] == ['worker']
    assert c('GET', f'/apps/{app}/releases/{b["release"]["id"]}', want=200).json['description'] == 'Deploy any text'


def test_checksums_are_held(paas, c, app):
    data = tarball({'Procfile': 'worker: true\n'})
    sha = hashlib.sha256(data).hexdigest()
    url = upload(paas, c, data)
    for good in (f'SHA256:{sha}', f'sha256:{sha.upper()}', sha):
        text, b = finish(paas, c, app, build(c, app, url, checksum=good))
        assert b['status'] == 'succeeded' and b['source_blob']['checksum'] == good, text
    text, b = finish(paas, c, app, build(c, app, url, checksum='SHA256:' + '0' * 64))
    assert b['status'] == 'failed' and b['release'] is None and f'its checksum is SHA256:{sha}, not' in text
    for bad in ('SHA256:' + '0' * 63, 'MD5:' + '0' * 32, 'x' * 64, ''):
        c('POST', f'/apps/{app}/builds', {'source_blob': {'url': url, 'checksum': bad}}, want=422)


@pytest.mark.parametrize('data, why', [
    (b'no tar at all', 'not a usable tar archive'),
    (gzip.compress(b''), 'archive'),
    (tarball({'x': 'y'})[:60], 'archive'),
    (tarball({'../outside': 'x'}), 'has no acceptable name'),
    (tarball({'/etc/passwd': 'x'}), 'has no acceptable name'),
    (tarball({'Procfile': 'no colon\n'}), 'is not of the form TYPE: COMMAND'),
], ids=['text', 'empty', 'cut', 'upwards', 'absolute', 'procfile'])
def test_a_build_that_fails_says_why(paas, c, app, data, why):
    text, b = finish(paas, c, app, build(c, app, upload(paas, c, data)))
    assert b['status'] == 'failed' and b['slug'] is None and why in text, text
    assert not any(r['slug'] for r in c('GET', f'/apps/{app}/releases', want=200).json)
    wait_for('the log', lambda: 'Build failed -- ' in paas.logs(app))


def test_bodies_of_builds(paas, c, app):
    url = 'https://example.com/x.tar.gz'
    for body in ({'source_blob': {}}, {'source_blob': {'url': 'ftp://x/y'}}, {'source_blob': {'url': 'file:///etc/passwd'}},
                 {'source_blob': url}, {'source_blob': {'url': url, 'x': 1}}, {'source_blob': {'url': url}, 'buildpacks': 'x'},
                 {'source_blob': {'url': url}, 'buildpacks': [{'name': 'x'}]}, {'source_blob': {'url': url}, 'buildpacks': [{'url': '-x'}]},
                 {'source_blob': {'url': url}, 'buildpacks': [{'url': 'a b'}]}, {'source_blob': {'url': url, 'version': 'two\nlines'}},
                 {'source_blob': {'url': url, 'version': 'x' * 251}}, {'source_blob': {'url': url}, 'y': 1}, {}):
        c('POST', f'/apps/{app}/builds', body, want=422)
    blob = c('POST', '/sources', want=201).json['source_blob']
    a = c('POST', f'/apps/{app}/builds', {'source_blob': {'url': blob['get_url']}}, want=422)
    assert 'uploaded' in a.message
    c('POST', f'/apps/{app}/builds', {'source_blob': {'url': blob['put_url']}}, want=422)
    assert c('GET', f'/apps/{app}/builds', want=200).json == []


def test_buildpacks_of_one_build(paas, c, app):
    url = upload(paas, c, tarball({'index.html': 'x', 'Makefile': 'all:\n\ttouch made\n', 'Procfile': 'web: true\n'}))
    packs = [{'url': 'make', 'name': 'Make'}, {'url': 'procfile'}]
    b = build(c, app, url, buildpacks=packs)
    assert [x['url'] for x in b['buildpacks']] == ['make', 'procfile'] and b['buildpacks'][0]['name'] == 'Make'
    text, b = finish(paas, c, app, b)
    assert b['status'] == 'succeeded' and 'touch made' in text, text
    assert [x['buildpack']['url'] for x in c('GET', f'/apps/{app}/buildpack-installations', want=200).json] == ['procfile']


SLOW = {'Makefile': 'all:\n\tsleep 600\n', 'Procfile': 'web: true\n'}
MAKE = [{'url': 'make'}]


@pytest.mark.parametrize('how', [('DELETE', ''), ('POST', '/cancel'), ('POST', '/actions/cancel')])
def test_a_build_is_canceled(paas, c, app, how):
    url = upload(paas, c, tarball(SLOW))
    at_once = build(c, app, url, buildpacks=MAKE)
    assert c(how[0], f'/apps/{app}/builds/{at_once["id"]}{how[1]}', headers={
        'Accept': 'application/vnd.heroku+json; version=3.cancel-build'}, want=200).json['id'] == at_once['id']
    text, b = finish(paas, c, app, at_once)
    assert b['status'] == 'failed' and 'Build canceled' in text
    c(how[0], f'/apps/{app}/builds/{b["id"]}{how[1]}', want=422)


def test_of_several_builds_the_newest_wins(paas, c, app):
    url = upload(paas, c, tarball(SLOW))
    fast = upload(paas, c, tarball({'Procfile': 'worker: true\n'}))
    first = build(c, app, url, buildpacks=MAKE)
    wait_for('it to run', lambda: 'sleep 600' in head_of(paas, first))
    more = [build(c, app, fast, version=f'n{i}') for i in range(5)]
    c('DELETE', f'/apps/{app}/builds/{first["id"]}', want=200)
    ends = [finish(paas, c, app, b) for b in more]
    assert [b['status'] for _, b in ends] == ['failed'] * 4 + ['succeeded'], ends
    assert all('superseded' in text for text, _ in ends[:4])


def head_of(paas, b):
    u = urlsplit(b['output_stream_url'])
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=5)
    got = b''
    try:
        conn.request('GET', u.path, headers={'Host': u.netloc})
        r = conn.getresponse()
        while b'sleep 600' not in got:
            piece = r.read1(65536)
            if not piece:
                break
            got += piece
    except TimeoutError:
        pass
    finally:
        conn.close()
    return got.decode(errors='replace')


def test_a_failed_release_command_leaves_what_ran(paas, c, app):
    ok = upload(paas, c, tarball({'Procfile': 'worker: sleep 1000\n'}))
    assert finish(paas, c, app, build(c, app, ok))[1]['status'] == 'succeeded'
    bad = upload(paas, c, tarball({'Procfile': 'worker: sleep 1000\nrelease: echo oh no; exit 3\n'}))
    text, b = finish(paas, c, app, build(c, app, bad))
    assert 'oh no\n' in text and 'Release command failed' in text and b['status'] == 'succeeded'
    rel = c('GET', f'/apps/{app}/releases/{b["release"]["id"]}', want=200).json
    assert rel['status'] == 'failed' and not rel['current'] and not rel['eligible_for_rollback']


def test_private_addresses_are_not_fetched(paas, c, app):
    for url in ('http://127.0.0.1:1/x.tgz', f'http://localhost:{paas.port}/x.tgz', 'https://169.254.169.254/x.tgz',
                'http://[::1]/x.tgz', 'http://10.0.0.1/x.tgz', 'http://0x7f000001/x.tgz', 'http://[::ffff:127.0.0.1]/x.tgz'):
        text, b = finish(paas, c, app, build(c, app, url))
        assert b['status'] == 'failed' and 'its host has a private address' in text, text


# --- slugs ---

def slug_of(c, app, types=None, **more):
    return c('POST', f'/apps/{app}/slugs', {'process_types': types or {'web': 'exec python3 -m http.server $PORT'}, **more},
             want=201).json


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:gz') as t:
        return {m.name: (m, t.extractfile(m).read() if m.isreg() else None) for m in t.getmembers()}


def test_a_slug_is_made_elsewhere_and_released(paas, c, app):
    data = tarball({'index.html': 'from a slug\n', 'bin/tool': '#!/bin/sh\n'}, top='./app/')
    sha = 'SHA256:' + hashlib.sha256(data).hexdigest()
    s = slug_of(c, app, {'web': ' exec python3 -m http.server $PORT ', 'worker': 'true'}, checksum=sha, commit='abc',
                commit_description='what', buildpack_provided_description='Elsewhere')
    assert s['blob']['method'] == 'put' and s['size'] is None and s['checksum'] == sha
    assert s['process_types'] == {'web': 'exec python3 -m http.server $PORT', 'worker': 'true'}
    a = c('POST', f'/apps/{app}/releases', {'slug': s['id']}, want=422)
    assert a.id == 'no_slug'
    info = c('GET', f'/apps/{app}/slugs/{s["id"]}', want=200).json
    assert info['blob']['method'] == 'get' and transfer(paas, 'GET', info['blob']['url'])[0] == 404
    assert transfer(paas, 'PUT', info['blob']['url'], data)[0] == 404
    put(paas, s['blob']['url'], data, headers={'Content-Type': ''})
    assert transfer(paas, 'PUT', s['blob']['url'], data)[0] == 409
    info = c('GET', f'/apps/{app}/slugs/{s["id"]}', want=200).json
    assert info['size'] > 0 and info['commit'] == 'abc' and info['buildpack_provided_description'] == 'Elsewhere'
    got = members(transfer(paas, 'GET', info['blob']['url'])[1])
    assert got['./app/index.html'][1] == b'from a slug\n' and got['./app/bin/tool'][0].mode == 0o755
    rel = c('POST', f'/apps/{app}/releases', {'slug': s['id']}, want=201).json
    assert rel['description'] == 'Deploy abc'
    wait_for('the page', lambda: paas.http(app, '/index.html')[1] == 'from a slug\n')
    # what is fetched can be uploaded again
    again = slug_of(c, app)
    put(paas, again['blob']['url'], transfer(paas, 'GET', info['blob']['url'])[1], chunked=True)
    c('POST', f'/apps/{app}/releases', {'slug': again['id'], 'description': 'once more'}, want=201)
    wait_for('it', lambda: c('GET', f'/apps/{app}/releases', want=200).json[-1]['current'])


def test_a_built_slug_is_fetched(paas, c, app):
    url = upload(paas, c, tarball({'Procfile': 'worker: true\n', 'a/b.txt': b'\xff\x00bytes'}))
    _, b = finish(paas, c, app, build(c, app, url))
    blob = c('GET', f'/apps/{app}/slugs/{b["slug"]["id"]}', want=200).json['blob']
    assert blob == c('GET', f'/apps/{app}/slugs/{b["slug"]["id"]}', want=200).json['blob']
    got = members(transfer(paas, 'GET', blob['url'])[1])
    assert got['./app/a/b.txt'][1] == b'\xff\x00bytes' and all(n == './app' or n.startswith('./app/') for n in got)
    for wrong in (blob['url'][:-1], blob['url'] + '0', re.sub(r'/\d+/', '/99999999999999/', blob['url'])):
        assert transfer(paas, 'GET', wrong)[0] == 404


@pytest.mark.parametrize('data, why', [
    (tarball({'index.html': 'x'}), './app/'),
    (tarball({'app/x': 'x', 'other/y': 'y'}), 'other'),
    (tarball({'app': 'a file'}), 'no such folder'),
    (b'junk', 'not a usable tar archive'),
    (tarball({'app/../../x': 'x'}), 'acceptable name'),
], ids=['no-app', 'beside-app', 'file', 'text', 'upwards'])
def test_slugs_that_are_refused_can_be_tried_again(paas, c, app, data, why):
    s = slug_of(c, app)
    assert why in put(paas, s['blob']['url'], data, want=422)
    assert os.listdir(os.path.join(paas.state, 'uploads')) == []
    put(paas, s['blob']['url'], tarball({'app/x': 'x'}))


def test_the_checksum_of_a_slug(paas, c, app):
    data = tarball({'app/x': 'x'})
    s = slug_of(c, app, checksum='SHA256:' + '0' * 64)
    assert 'checksum' in put(paas, s['blob']['url'], data, want=422)
    s = slug_of(c, app)
    put(paas, s['blob']['url'], data)
    info = c('GET', f'/apps/{app}/slugs/{s["id"]}', want=200).json
    assert info['checksum'] == 'SHA256:' + hashlib.sha256(data).hexdigest()


def test_two_uploads_of_one_slug(paas, c, app):
    s = slug_of(c, app)
    data = [tarball({'app/x': str(i) * 200_000}) for i in range(4)]
    got = [None] * 4

    def one(i):
        got[i] = transfer(paas, 'PUT', s['blob']['url'], data[i])[0]
    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(got) == [200, 409, 409, 409], got
    info = c('GET', f'/apps/{app}/slugs/{s["id"]}', want=200).json
    winner = got.index(200)
    assert info['checksum'] == 'SHA256:' + hashlib.sha256(data[winner]).hexdigest()
    assert members(transfer(paas, 'GET', info['blob']['url'])[1])['./app/x'][1] == (str(winner) * 200_000).encode()


def test_bodies_of_slugs(paas, c, app):
    ok = {'web': 'true'}
    for body in ({}, {'process_types': None}, {'process_types': []}, {'process_types': {'web': ''}}, {'process_types': {'web': 5}},
                 {'process_types': {'we b': 'x'}}, {'process_types': {'#web': 'x'}}, {'process_types': {'web': 'a\nb: c'}},
                 {'process_types': {'a:b': 'x'}}, {'process_types': {'web': '   '}}, {'process_types': {'': 'x'}},
                 {'process_types': {'x' * 129: 'x'}}, {'process_types': {'web': 'x' * 32769}},
                 {'process_types': ok, 'checksum': 'md5'}, {'process_types': ok, 'stack': 'heroku-16'},
                 {'process_types': ok, 'commit': 'a\nb'}, {'process_types': ok, 'x': 1}):
        c('POST', f'/apps/{app}/slugs', body, want=422)
    stack = c('GET', '/stacks', want=200).json[0]
    for ref in (stack['name'], stack['id'], {'id': stack['id']}, None):
        s = slug_of(c, app, {'x' * 128: 'true'}, stack=ref)
        assert s['stack'] == {'id': stack['id'], 'name': stack['name']}


def test_slugs_of_other_apps(paas, c, app):
    url = upload(paas, c, tarball({'Procfile': 'worker: true\n'}))
    _, b = finish(paas, c, app, build(c, app, url))
    c('POST', '/apps', {'name': 'not-its-slug'}, want=201)
    c('POST', '/apps/not-its-slug/releases', {'slug': b['slug']['id']}, want=404)
    c('GET', f'/apps/not-its-slug/slugs/{b["slug"]["id"]}', want=404)
    c('DELETE', '/apps/not-its-slug', want=200)


# --- what limits and time do to them: a platform of its own ---

@pytest.fixture(scope='module')
def small():
    p = Platform(ROOT, '--set', 'build.source=1', '--set', 'build.source_quota=2', '--set', 'allow_private_urls=true')
    try:
        p.start()
        yield p
    finally:
        p.close()


def test_sources_have_a_limit_and_a_quota(small):
    c = Client(small, small.token)
    urls = [c('POST', '/sources', want=201).json['source_blob'] for _ in range(4)]
    put(small, urls[0]['put_url'], b'x' * (1 << 20))
    put(small, urls[0]['put_url'], b'x' * (1 << 20))  # in its own place
    for chunked in (False, True):
        put(small, urls[1]['put_url'], b'x' * ((1 << 20) + 1), want=413, chunked=chunked)
    put(small, urls[1]['put_url'], b'x' * (1 << 20))
    assert 'go' in put(small, urls[2]['put_url'], b'x', want=413)
    other = c.with_token(small.new_user('other@example.com'))
    blob = other('POST', '/sources', want=201).json['source_blob']
    put(small, blob['put_url'], b'x')
    put(small, urls[1]['put_url'], b'x')
    put(small, urls[2]['put_url'], b'x')
    assert len([n for n in os.listdir(small.state + '/sources')]) == 4


def test_a_source_from_elsewhere(small):
    c = Client(small, small.token)
    c('POST', '/apps', {'name': 'elsewhere'}, want=201)
    c('PUT', '/apps/elsewhere/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    data = {'/ok.tgz': tarball({'Procfile': 'worker: true\n'}), '/big.tgz': os.urandom((1 << 20) + 1)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == '/moved.tgz':
                self.send_response(302)
                self.send_header('Location', '/ok.tgz')
                self.end_headers()
                return
            body = data.get(self.path)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body or b'')

        def log_message(self, *args):
            pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f'http://127.0.0.1:{server.server_port}'
        for path, why in (('/ok.tgz', None), ('/moved.tgz', None), ('/none.tgz', '404'), ('/big.tgz', 'larger than 1 MB')):
            text, b = finish(small, c, 'elsewhere', build(c, 'elsewhere', base + path))
            assert (b['status'] == 'succeeded') == (why is None) and (why or 'Downloading') in text, text
        sha = hashlib.sha256(data['/ok.tgz']).hexdigest()
        text, b = finish(small, c, 'elsewhere', build(c, 'elsewhere', base + '/ok.tgz', checksum='0' * 64))
        assert b['status'] == 'failed' and sha in text
    finally:
        server.shutdown()
        server.server_close()


def test_what_expires_is_swept_at_start(small):
    c = Client(small, small.token)
    c('POST', '/apps', {'name': 'sweeping'}, want=201)
    c('PUT', '/apps/sweeping/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    other = c.with_token(small.new_user('sweeps@example.com'))
    blobs = [other('POST', '/sources', want=201).json['source_blob'] for _ in range(2)]
    for blob in blobs:
        put(small, blob['put_url'], b'data')
    old, young = (b['get_url'].split('/')[-2] for b in blobs)
    s = slug_of(c, 'sweeping')
    url = upload(small, c, tarball({'Procfile': 'worker: true\n'}))
    _, built = finish(small, c, 'sweeping', build(c, 'sweeping', url))
    small.stop()
    for junk in (f'.{old}-0123456789abcdef', '00000000-0000-4000-8000-000000000000'):
        open(f'{small.state}/sources/{junk}', 'w').close()
    open(f'{small.state}/uploads/half', 'w').close()
    db = sqlite3.connect(small.state + '/paasd.db')
    with db:
        db.execute('UPDATE sources SET expires_ms = 1 WHERE id = ?', (old,))
        db.execute('UPDATE slugs SET created_ms = 1 WHERE id = ?', (s['id'],))
        # as if it had been killed between the build and its release
        db.execute('UPDATE releases SET current = 0 WHERE id = ?', (built['release']['id'],))
        db.execute('DELETE FROM releases WHERE id = ?', (built['release']['id'],))
        db.execute('UPDATE builds SET release_id = NULL WHERE id = ?', (built['id'],))
    db.close()
    small.start()
    here = os.listdir(small.state + '/sources')
    assert old not in here and young in here and not any(n.startswith(('.', '0000')) for n in here)
    assert os.listdir(small.state + '/uploads') == []
    assert transfer(small, 'GET', blobs[0]['get_url'])[0] == 404
    assert transfer(small, 'GET', blobs[1]['get_url']) == (200, b'data')
    again = c('GET', f'/apps/sweeping/builds/{built["id"]}', want=200).json
    assert again['release'] and again['release']['id'] != built['release']['id']
    # slugs go with the next collection, which a deploy makes
    finish(small, c, 'sweeping', build(c, 'sweeping', upload(small, c, tarball({'Procfile': 'worker: false\n'}))))
    wait_for('the collection', lambda: c('GET', f'/apps/sweeping/slugs/{s["id"]}').status == 404, 10)


def test_a_build_under_way_fails_with_a_restart(small):
    c = Client(small, small.token)
    c('POST', '/apps', {'name': 'restarted'}, want=201)
    b = build(c, 'restarted', upload(small, c, tarball(SLOW)), buildpacks=MAKE)
    wait_for('it to run', lambda: 'sleep 600' in head_of(small, b))
    small.stop()
    small.start()
    assert c('GET', f'/apps/restarted/builds/{b["id"]}', want=200).json['status'] == 'failed'
    assert 'shutting down' in output(small, b) or 'restarted' in output(small, b)
