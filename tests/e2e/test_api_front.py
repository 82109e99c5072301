"""What an app shows to the world: host names, certificates, maintenance, its name and its owner. Against a
real router with apps that answer."""
import subprocess

import pytest

from api_client import Client, claimed_by
from platform_under_test import wait_for


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def owner(paas, c):
    return c.with_token(paas.new_user('front-owner@example.com'))


@pytest.fixture(scope='module')
def stranger(paas, c):
    return c.with_token(paas.new_user('front-stranger@example.com'))


def deploy(paas, client, name, folder):
    """An app of the client's that answers its name."""
    folder.mkdir()
    client('POST', '/apps', {'name': name}, want=201)
    client('PUT', f'/apps/{name}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    (folder / 'Procfile').write_text('web: exec python3 -m http.server $PORT\n')
    (folder / 'index.html').write_text(f'this is {name}\n')
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.commit(str(folder))
    paas.git('push', '-q', f'{paas.url}/{name}.git', 'main', cwd=folder, token=client.token)
    return name


@pytest.fixture(scope='module')
def app(paas, owner, tmp_path_factory):
    return deploy(paas, owner, 'front-one', tmp_path_factory.mktemp('front') / 'one')


@pytest.fixture(scope='module')
def second(paas, owner, tmp_path_factory):
    return deploy(paas, owner, 'front-two', tmp_path_factory.mktemp('front') / 'two')


def seen_at(paas, host):
    """Which app answers to a host name; or the status."""
    status, body, _ = paas.http('ignored', headers={'Host': host})
    return body.split()[-1] if status == 200 and body.startswith('this is') else status


# --- domains ---

def test_the_built_in_domain(paas, owner, app):
    p = f'/apps/{app}/domains'
    [d] = owner('GET', p, want=200).json
    assert (d['hostname'], d['kind'], d['cname'], d['status']) == ('front-one.localhost', 'heroku', None, 'none')
    for ref in (d['id'], d['hostname'], 'FRONT-ONE.localhost'):
        assert owner('GET', f'{p}/{ref}', want=200).json == d
        assert 'built-in' in owner('DELETE', f'{p}/{ref}', want=422).message
        owner('PATCH', f'{p}/{ref}', {'sni_endpoint': None}, want=422)


def test_custom_domains_are_routed(paas, owner, app, second):
    p = f'/apps/{app}/domains'
    assert seen_at(paas, 'shop.example.com') == 404
    d = owner('POST', p, {'hostname': 'Shop.Example.COM.', 'sni_endpoint': None}, want=201).json
    assert (d['hostname'], d['kind'], d['cname'], d['status'], d['sni_endpoint']) == (
        'shop.example.com', 'custom', 'front-one.localhost', 'none', None)
    assert seen_at(paas, 'shop.example.com') == app and seen_at(paas, 'SHOP.example.com:80') == app
    for ref in (d['id'], 'shop.example.com', 'SHOP.Example.com', 'shop%2Eexample.com'):
        assert owner('GET', f'{p}/{ref}', want=200).json == d
    wild = owner('POST', f'/apps/{second}/domains', {'hostname': '*.example.com'}, want=201).json
    assert seen_at(paas, 'shop.example.com') == app  # the exact one wins
    assert seen_at(paas, 'www.example.com') == second and seen_at(paas, 'a.b.example.com') == second
    assert seen_at(paas, 'example.com') == 404
    uni = owner('POST', p, {'hostname': 'Bücher.example.net'}, want=201).json
    assert uni['hostname'] == 'xn--bcher-kva.example.net' and seen_at(paas, 'xn--bcher-kva.example.net') == app
    assert owner('GET', p + '/b%C3%BCcher.example.net', want=200).json == uni
    names = [x['hostname'] for x in owner('GET', p, want=200).json]
    assert names == ['front-one.localhost', 'shop.example.com', 'xn--bcher-kva.example.net']
    # what the router knows outlives paasd, and paasd tells it again
    paas.kill9()
    assert seen_at(paas, 'shop.example.com') == app and seen_at(paas, 'www.example.com') == second
    paas.start()
    assert seen_at(paas, 'shop.example.com') == app and seen_at(paas, 'www.example.com') == second
    # gone at once
    assert owner('DELETE', p + '/shop.example.com', want=200).json['id'] == d['id']
    assert seen_at(paas, 'shop.example.com') == second
    owner('DELETE', f'/apps/{second}/domains/%2A.example.com', want=200)
    assert seen_at(paas, 'www.example.com') == 404 and wild['hostname'] == '*.example.com'
    owner('DELETE', f'{p}/{uni["id"]}', want=200)
    owner('GET', f'{p}/{uni["id"]}', want=404)
    owner('DELETE', p + '/no.example.com', want=404)
    # moves from one app to another
    for a in (app, second):
        owner('POST', f'/apps/{a}/domains', {'hostname': 'moves.example.com'}, want=201)
        assert seen_at(paas, 'moves.example.com') == a
        owner('DELETE', f'/apps/{a}/domains/moves.example.com', want=200)


def test_domains_that_are_refused(paas, owner, stranger, app, second):
    p = f'/apps/{app}/domains'
    for bad in ('', ' ', 'localhost', 'x.localhost', '*.localhost', 'a.front-one.localhost', 'com', '*', '*.com', '*.*.com',
                '127.0.0.1', '[::1]', '::1', 'a_b.example.com', 'a..b.com', '-a.com', 'a b.com', 'http://a.com', 'a.com/x',
                'a.com:80', 'x' * 64 + '.com', 'a.' * 130 + 'com', 'xn--a.com\n', 'a\u200db.com', None, 5, [], {}):
        owner('POST', p, {'hostname': bad}, want=422)
    for body in ({}, {'host': 'a.com'}, {'hostname': 'a.com', 'x': 1}, {'hostname': 'a.com', 'sni_endpoint': 5}):
        owner('POST', p, body, want=422)
    owner('POST', p, {'hostname': 'a.com', 'sni_endpoint': 'no-such'}, want=404)
    owner('POST', p, {'hostname': 'taken.test.org'}, want=201)
    assert owner('POST', p, {'hostname': 'taken.test.org'}, want=422).message == 'Domain already added to this app.'
    assert owner('POST', f'/apps/{second}/domains', {'hostname': 'TAKEN.test.org'}, want=422).message == \
        'taken.test.org is currently in use by another app.'
    # wildcards do not reach into what others have, nor others into wildcards; one's own apps may share
    stranger('POST', '/apps', {'name': 'front-strange'}, want=201)
    s = '/apps/front-strange/domains'
    assert 'overlaps with taken.test.org' in stranger('POST', s, {'hostname': '*.test.org'}, want=422).message
    owner('POST', f'/apps/{second}/domains', {'hostname': '*.test.org'}, want=201)
    for taken in ('www.test.org', 'a.b.test.org', '*.deep.test.org'):
        stranger('POST', s, {'hostname': taken}, want=422)
    owner('POST', p, {'hostname': 'www.test.org'}, want=201)
    stranger('POST', s, {'hostname': 'test.org'}, want=201)  # which the wildcard does not cover
    stranger('POST', s, {'hostname': 'nottest.org'}, want=201)
    for path in (p + '/taken.test.org', p + '/www.test.org', f'/apps/{second}/domains/*.test.org'):
        owner('DELETE', path, want=200)
    # an id of another app's domain leads nowhere
    d = stranger('GET', s + '/test.org', want=200).json
    owner('GET', f'{p}/{d["id"]}', want=404)
    owner('DELETE', f'{p}/{d["id"]}', want=404)
    stranger('DELETE', '/apps/front-strange', want=200)
    assert owner('POST', p, {'hostname': 'test.org'}, want=201)  # free again with its app
    owner('DELETE', p + '/test.org', want=200)


def test_a_thousand_domains_and_pages_of_them(paas, owner):
    owner('POST', '/apps', {'name': 'front-many'}, want=201)
    p = '/apps/front-many/domains'
    for i in range(1000):
        owner('POST', p, {'hostname': f'd{i:04}.many.example.com'}, want=201)
    assert 'at most 1000' in owner('POST', p, {'hostname': 'one.more.example.com'}, want=422).message
    pages = owner.pages(p, 'id ..; max=1000;')
    assert [len(x) for x in pages] == [1000, 1]
    assert len({d['id'] for page in pages for d in page}) == 1001
    assert [len(x) for x in owner.pages(p, 'hostname ..; max=400')] == [400, 400, 201]
    owner('DELETE', '/apps/front-many', want=200)


# --- certificates ---

def make_cert(folder, name, names, days=30, key=('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')):
    """A self-signed certificate and its key, as text."""
    crt, pem = folder / f'{name}.crt', folder / f'{name}.key'
    alt = ','.join('DNS:' + n for n in names)
    subprocess.run(['openssl', 'req', '-x509', *key, '-nodes', '-keyout', str(pem), '-out', str(crt), '-days', str(days),
                    '-subj', f'/CN={names[0]}/O=Front', '-addext', f'subjectAltName={alt}'], check=True, capture_output=True)
    return crt.read_text(), pem.read_text()


def test_certificates(owner, app, second, tmp_path):
    p = f'/apps/{app}/sni-endpoints'
    crt, key = make_cert(tmp_path, 'one', ['cert.example.com', '*.cert.example.com'])
    assert owner('GET', p, want=200).json == []
    s = owner('POST', p, {'certificate_chain': crt, 'private_key': key}, want=201).json
    assert s['ssl_cert']['cert_domains'] == ['cert.example.com', '*.cert.example.com'] and s['domains'] == []
    assert s['ssl_cert']['self_signed?'] is True and s['ssl_cert']['ca_signed?'] is False
    assert s['ssl_cert']['issuer'] == s['ssl_cert']['subject'] and 'CN=cert.example.com' in s['ssl_cert']['subject']
    assert s['certificate_chain'].strip() == crt.strip()
    for ref in (s['id'], s['name']):
        a = owner('GET', f'{p}/{ref}', want=200)
        assert a.json == s and b'PRIVATE' not in a.data
    assert owner('GET', p, want=200).json == [s]
    # domains that use it
    d = f'/apps/{app}/domains'
    one = owner('POST', d, {'hostname': 'cert.example.com', 'sni_endpoint': s['name']}, want=201).json
    assert one['sni_endpoint'] == {'id': s['id'], 'name': s['name']}
    owner('POST', d, {'hostname': 'www.cert.example.com'}, want=201)
    two = owner('PATCH', d + '/www.cert.example.com', {'sni_endpoint': s['id']}, want=200).json
    assert two['sni_endpoint'] == one['sni_endpoint']
    owner('POST', d, {'hostname': 'other.example.com'}, want=201)
    assert 'does not cover' in owner('PATCH', d + '/other.example.com', {'sni_endpoint': s['name']}, want=422).message
    owner('PATCH', d + '/other.example.com', {'sni_endpoint': 'no-such'}, want=404)
    owner('PATCH', d + '/other.example.com', {}, want=422)
    owner('PATCH', d + '/no.example.com', {'sni_endpoint': None}, want=404)
    assert set(owner('GET', f'{p}/{s["name"]}', want=200).json['domains']) == {one['id'], two['id']}
    assert owner('PATCH', d + '/www.cert.example.com', {'sni_endpoint': None}, want=200).json['sni_endpoint'] is None
    # another one in its place
    crt2, key2 = make_cert(tmp_path, 'two', ['cert.example.com'], key=('-newkey', 'rsa:2048'))
    t = owner('PATCH', f'{p}/{s["name"]}', {'certificate_chain': crt2, 'private_key': key2}, want=200).json
    assert (t['id'], t['name'], t['domains']) == (s['id'], s['name'], [one['id']])
    assert t['ssl_cert']['id'] != s['ssl_cert']['id'] and t['ssl_cert']['cert_domains'] == ['cert.example.com']
    crt3, key3 = make_cert(tmp_path, 'three', ['elsewhere.example.com'])
    assert 'cert.example.com' in owner('PATCH', f'{p}/{s["name"]}', {'certificate_chain': crt3, 'private_key': key3}, want=422).message
    owner('PATCH', p + '/no-such', {'certificate_chain': crt3, 'private_key': key3}, want=404)
    # another app's is not to be had
    owner('PATCH', f'/apps/{second}/domains/front-two.localhost', {'sni_endpoint': s['name']}, want=422)
    owner('POST', f'/apps/{second}/domains', {'hostname': 'x.cert.example.com', 'sni_endpoint': s['id']}, want=404)
    # pieces that the chain does not need are left out, and said
    a = owner('POST', p, {'certificate_chain': crt3 + crt2, 'private_key': key3}, want=201)
    assert a.headers['Warning-Message'].startswith('1 certificate') and a.json['certificate_chain'].strip() == crt3.strip()
    owner('DELETE', f'{p}/{a.json["id"]}', want=200)
    assert owner('DELETE', f'{p}/{s["name"]}', want=200).json['domains'] == [one['id']]
    owner('GET', f'{p}/{s["name"]}', want=404)
    assert owner('GET', d + '/cert.example.com', want=200).json['sni_endpoint'] is None
    for h in ('cert', 'www.cert', 'other'):
        owner('DELETE', f'{d}/{h}.example.com', want=200)


def test_certificates_that_are_refused(paas, owner, app, tmp_path):
    p = f'/apps/{app}/sni-endpoints'
    crt, key = make_cert(tmp_path, 'good', ['a.example.com'])
    _, other = make_cert(tmp_path, 'other', ['a.example.com'])
    _, old_key = make_cert(tmp_path, 'old', ['a.example.com'])
    old = subprocess.run(['openssl', 'x509', '-in', tmp_path / 'old.crt', '-signkey', tmp_path / 'old.key', '-days', '-1'], check=True,
                         capture_output=True, text=True).stdout
    weak, weak_key = make_cert(tmp_path, 'weak', ['a.example.com'], key=('-newkey', 'rsa:1024'))
    for c_, k in ((crt, other), (old, old_key), (weak, weak_key), (key, key), (crt, crt), ('', key), (crt, ''), ('x', 'y'),
                  (crt, None), (5, key), (crt * 60, key), (crt[:300], key), (crt, key[:60])):
        a = owner('POST', p, {'certificate_chain': c_, 'private_key': k}, want=422)
        assert 'PRIVATE' not in a.message
    for body in ({}, {'certificate_chain': crt}, {'private_key': key}, {'certificate_chain': crt, 'private_key': key, 'x': 1}):
        owner('POST', p, body, want=422)
    assert owner('GET', p, want=200).json == []
    with open(paas.log.name, errors='replace') as f:
        assert 'PRIVATE KEY' not in f.read()


def test_automatic_certificates_are_said_not_to_be(owner, app):
    for method in ('POST', 'PATCH'):
        assert 'certs:add' in owner(method, f'/apps/{app}/acm', {'acm_refresh': True}, want=422).message
    assert owner('DELETE', f'/apps/{app}/acm', want=200).json['acm'] is False


# --- the end ---

def test_every_claimed_route_has_answered(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('front') - c.seen == set()
