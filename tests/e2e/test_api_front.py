"""What an app shows to the world: host names, certificates, maintenance, its name and its owner. Against a
real router with apps that answer."""
import json
import os
import subprocess
import threading

import pytest

from api_client import Client, claimed_by
from load import Load
from platform_under_test import Platform, wait_for


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


def test_urls_and_targets_are_those_that_the_configuration_names():
    p = Platform(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), '--set', 'public_url=https://paas.example.com',
                 '--set', 'apps_domain=apps.example.com', '--set', 'platform_host=paas.example.com', '--set', 'dns_target=edge.example.com')
    try:
        p.start()
        me = Client(p, p.token)
        host = {'Host': 'paas.example.com'}

        def ask(method, path, body, want):
            a = me.send(method, path, body, headers=host)
            assert a.status == want, a
            return json.loads(a.data)
        a = ask('POST', '/apps', {'name': 'urls'}, 201)
        assert (a['web_url'], a['git_url']) == ('https://urls.apps.example.com/', 'https://paas.example.com/urls.git')
        for bad in ('paas.example.com', 'apps.example.com', 'x.apps.example.com', '*.apps.example.com', '*.example.com'):
            assert 'reserved' in ask('POST', '/apps/urls/domains', {'hostname': bad}, 422)['message']
        assert ask('POST', '/apps/urls/domains', {'hostname': 'www.example.com'}, 201)['cname'] == 'edge.example.com'
        assert p.http('x', headers={'Host': 'www.example.com'})[0] == 503  # routed: nothing is deployed
        assert p.http('x', headers={'Host': 'other.example.com'})[0] == 404
    finally:
        p.close()


# --- names, maintenance, pages ---

def test_maintenance(paas, owner, app):
    p = '/apps/' + app
    before = owner('GET', p + '/releases', want=200).json
    dyno = owner('GET', p + '/dynos', want=200).json[0]['id']
    assert owner('PATCH', p, {'maintenance': True}, want=200).json['maintenance'] is True
    status, body, _ = paas.http(app)
    assert status == 503 and 'maintenance' in body
    [d] = owner('GET', p + '/dynos', want=200).json  # goes on; one-offs run
    assert (d['id'], d['state']) == (dyno, 'up')
    owner('POST', p + '/dynos', {'command': 'echo one-off runs', 'attach': False}, want=201)
    wait_for('the one-off', lambda: 'one-off runs' in paas.logs(app))
    wait_for('the line', lambda: 'at=info code=H80 desc="Maintenance mode"' in paas.logs(app))
    # the app's own page, set while it is on
    owner('PATCH', p + '/config-vars', {'MAINTENANCE_PAGE_URL': 'https://pages.example/soon', 'ERROR_PAGE_URL': 'javascript:alert(1)'}, want=200)
    wait_for('its page', lambda: '<iframe src="https://pages.example/soon">' in paas.http(app)[1])
    assert paas.http(app)[0] == 503
    owner('PATCH', p, {'maintenance': False}, want=200)
    assert seen_at(paas, app + '.localhost') == app
    owner('PATCH', p + '/formation/web', {'quantity': 0}, want=200)
    wait_for('no dyno', lambda: paas.http(app)[0] == 503)
    assert 'iframe' not in paas.http(app)[1]  # what is no URL for visitors is as not set
    owner('PATCH', p + '/config-vars', {'ERROR_PAGE_URL': 'https://pages.example/sorry', 'MAINTENANCE_PAGE_URL': None}, want=200)
    wait_for('its page', lambda: '<iframe src="https://pages.example/sorry">' in paas.http(app)[1])
    owner('PATCH', p + '/config-vars', {'ERROR_PAGE_URL': None}, want=200)
    owner('PATCH', p + '/formation/web', {'quantity': 1}, want=200)
    wait_for('it serves again', lambda: seen_at(paas, app + '.localhost') == app)
    after = owner('GET', p + '/releases', want=200).json
    assert len(after) == len(before) + 3  # of the config vars alone


def test_renaming_moves_everything_at_once(paas, owner, tmp_path):
    deploy(paas, owner, 'front-old', tmp_path / 'app')
    owner('POST', '/apps/front-old/domains', {'hostname': 'renamed.example.com'}, want=201)
    ids = [d['id'] for d in owner('GET', '/apps/front-old/domains', want=200).json]
    dyno = owner('GET', '/apps/front-old/dynos', want=200).json[0]['id']
    for bad in ('front-one', 'x', 'Front-New', 'localhost'):
        if bad != 'front-one' or owner('GET', '/apps/front-one').status == 200:
            owner('PATCH', '/apps/front-old', {'name': bad}, want=422)
    names = ['front-old', 'front-new'] * 30
    with Load(paas.port, 'renamed.example.com', rate=100, threads=4, path='/') as load:
        for before, after in zip(names, names[1:]):
            a = owner('PATCH', '/apps/' + before, {'name': after}, want=200).json
            assert a['web_url'] == f'http://{after}.localhost:{paas.port}/' and a['git_url'].endswith(f'/{after}.git')
            assert seen_at(paas, after + '.localhost') == 'front-old' and seen_at(paas, before + '.localhost') == 404
            owner('GET', '/apps/' + before, want=404)
    assert load.failures == [] and load.sent > 10, load.failures[:5]
    assert names[-1] == 'front-new'
    domains = owner('GET', '/apps/front-new/domains', want=200).json
    assert [d['id'] for d in domains] == ids and domains[0]['hostname'] == 'front-new.localhost'
    assert domains[1]['cname'] == 'front-new.localhost'
    assert owner('GET', '/apps/front-new/dynos', want=200).json[0]['id'] == dyno
    git = paas.git('ls-remote', f'{paas.url}/front-old.git', token=owner.token, check=False)
    assert git.returncode and 'not found' in git.stderr.lower(), git.stderr
    assert paas.git('ls-remote', f'{paas.url}/front-new.git', token=owner.token).stdout
    # somebody else may have the old name now
    owner('POST', '/apps', {'name': 'front-old'}, want=201)
    assert seen_at(paas, 'front-old.localhost') == 503 and seen_at(paas, 'front-new.localhost') == 'front-old'
    for a in ('front-old', 'front-new'):
        owner('DELETE', '/apps/' + a, want=200)


def test_changes_at_the_same_time_end_as_the_rows_are(paas, owner, app):
    """What the router knows is what was committed last, however the answers crossed."""
    def switch(i):
        me = owner.with_token(owner.token)
        for k in range(15):
            me('PATCH', '/apps/' + app, {'maintenance': (i + k) % 2 == 0}, want=200)
            me('POST', f'/apps/{app}/domains', {'hostname': f'w{i}k{k}.crossing.example.com'}, want=201)
        me.close()
    threads = [threading.Thread(target=switch, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    on = owner('GET', '/apps/' + app, want=200).json['maintenance']
    hosts = [f'w{i}k{k}.crossing.example.com' for i in range(6) for k in range(15)]
    assert {seen_at(paas, h) for h in hosts} == ({503} if on else {app})
    owner('PATCH', '/apps/' + app, {'maintenance': False}, want=200)
    assert {seen_at(paas, h) for h in hosts} == {app}
    for h in hosts:
        owner('DELETE', f'/apps/{app}/domains/{h}', want=200)
    assert {seen_at(paas, h) for h in hosts} == {404}


# --- owners ---

def test_transfers(c, owner, stranger):
    owner('POST', '/apps', {'name': 'front-moves'}, want=201)
    me, them = (x('GET', '/account', want=200).json for x in (owner, stranger))
    t = '/account/app-transfers'
    offer = {'app': 'front-moves', 'recipient': them['email'], 'silent': True}
    assert 'owner of front-moves already' in owner('POST', t, {'app': 'front-moves', 'recipient': '~'}, want=422).message
    owner('POST', t, {'app': 'front-moves', 'recipient': me['email'].upper()}, want=422)
    owner('POST', t, {'app': 'front-moves', 'recipient': 'nobody@example.com'}, want=404)
    stranger('POST', t, {'app': 'front-moves', 'recipient': '~'}, want=404)
    for bad in ({}, {'app': 'front-moves'}, {'recipient': 'x'}, {**offer, 'silent': 'yes'}, {**offer, 'x': 1}, {**offer, 'app': 5}):
        owner('POST', t, bad, want=422)
    one = owner('POST', t, offer, want=201).json
    assert (one['app']['name'], one['owner']['id'], one['recipient']['id'], one['state']) == ('front-moves', me['id'], them['id'], 'pending')
    assert 'already' in owner('POST', t, offer, headers={'Request-Id': 'another'}, want=422).message
    # nothing has changed yet, but the recipient sees the offer
    stranger('GET', '/apps/front-moves', want=404)
    for x in (owner, stranger):
        assert one in x('GET', t, want=200).json
        for ref in (one['id'], 'front-moves'):
            assert x('GET', f'{t}/{ref}', want=200).json == one
    c('GET', f'{t}/{one["id"]}', want=404)
    c('PATCH', f'{t}/{one["id"]}', {'state': 'accepted'}, want=404)
    owner('PATCH', f'{t}/{one["id"]}', {'state': 'accepted'}, want=403)
    stranger('DELETE', f'{t}/{one["id"]}', want=403)
    for bad in ({}, {'state': 'taken'}, {'state': None}):
        stranger('PATCH', f'{t}/{one["id"]}', bad, want=422)
    assert stranger('PATCH', f'{t}/{one["id"]}', {'state': 'pending'}, want=200).json == one
    # declined, offered again, withdrawn, offered again, accepted
    assert stranger('PATCH', f'{t}/{one["id"]}', {'state': 'declined'}, want=200).json['state'] == 'declined'
    assert 'no longer' in stranger('PATCH', f'{t}/{one["id"]}', {'state': 'accepted'}, want=422).message
    stranger('PATCH', f'{t}/{one["id"]}', {'state': 'pending'}, want=422)
    two = owner('POST', t, {**offer, 'app': {'id': one['app']['id']}, 'recipient': them['id']}, want=201).json
    owner('DELETE', f'{t}/{two["id"]}', want=200)
    stranger('PATCH', f'{t}/{two["id"]}', {'state': 'accepted'}, want=404)
    three = owner('POST', t, offer, want=201).json
    assert stranger('PATCH', f'{t}/front-moves', {'state': 'accepted'}, want=200).json['id'] == three['id']
    assert stranger('GET', '/apps/front-moves', want=200).json['owner']['email'] == them['email']
    roles = {x['user']['email']: x['role'] for x in stranger('GET', '/apps/front-moves/collaborators', want=200).json}
    assert roles == {them['email']: 'owner', me['email']: 'collaborator'}
    assert {r['user']['email'] for r in stranger('GET', '/apps/front-moves/releases', want=200).json} == {me['email']}
    owner('POST', t, offer, want=403)  # not theirs any more
    owner('DELETE', '/apps/front-moves', want=403)
    rows = stranger('GET', '/apps/front-moves/audit', headers={'Range': 'id ..; order=desc'}, want=200).json
    assert [r['action'] for r in rows if r['action'].startswith('transfer.')] == [
        'transfer.accept', 'transfer.offer', 'transfer.withdraw', 'transfer.offer', 'transfer.decline', 'transfer.offer']
    owner('DELETE', f'/apps/front-moves/collaborators/{me["email"]}', want=200)  # leaves
    owner('GET', '/apps/front-moves', want=404)
    # an administrator may give away anybody's app
    back = c('POST', t, {'app': 'front-moves', 'recipient': me['email']}, want=201).json
    assert back['owner']['email'] == them['email']
    owner('PATCH', f'{t}/{back["id"]}', {'state': 'accepted'}, want=200)
    assert len(stranger.pages(t, 'created_at ..; max=1')) == 3
    owner('DELETE', '/apps/front-moves', want=200)
    assert not [x for x in stranger('GET', t, want=200).json if x['app']['name'] == 'front-moves']


# --- lists of what there is, and of what there is not ---

def test_filters(c, owner, stranger, app, second):
    stranger('POST', '/apps', {'name': 'front-hidden'}, want=201)
    hidden = stranger('GET', '/apps/front-hidden', want=200).json['id']
    ids = {a: owner('GET', '/apps/' + a, want=200).json['id'] for a in (app, second)}
    ask = {'in': {'id': [*ids.values(), hidden, ids[app], '00000000-0000-4000-8000-000000000000']}}
    got = owner('POST', '/filters/apps', ask, headers={'Range': 'id ..; max=1000;'}, want=200).json
    assert sorted(a['id'] for a in got) == sorted(ids.values())
    assert len(owner('POST', '/filters/apps', ask, headers={'Range': 'name ..; max=1'}, want=206).json) == 1
    assert {a['name'] for a in stranger('POST', '/filters/apps', ask, want=200).json} == {'front-hidden'}
    assert len(c('POST', '/filters/apps', ask, want=200).json) == 3
    assert owner('POST', '/filters/apps', {'in': {'id': []}}, want=200).json == []
    for body in ({}, {'in': {}}, {'in': {'id': ['x']}}, {'in': {'id': [5]}}, {'in': {'name': ['x']}}, {'in': {'id': [hidden] * 1001}}):
        owner('POST', '/filters/apps', body, want=422)
    stranger('DELETE', '/apps/front-hidden', want=200)


def test_stacks_regions_and_sizes(owner, app):
    assert owner('GET', f'/apps/{app}/available-stacks', want=200).json == owner('GET', '/stacks', want=200).json
    sizes = owner('GET', '/dyno-sizes', want=200).json
    assert owner('GET', f'/apps/{app}/available-dyno-sizes', want=200).json == sizes
    for ref in (sizes[0]['id'], sizes[0]['name'], sizes[0]['name'].lower()):
        assert owner('GET', '/dyno-sizes/' + ref, want=200).json == sizes[0]
    assert owner('GET', '/dyno-sizes/none', want=404).json['resource'] == 'dyno_size'
    stack, region = owner('GET', '/stacks').json[0], owner('GET', '/regions').json[0]
    for s_, r in ((stack['id'], region['id']), ({'name': stack['name']}, {'id': region['id']})):
        a = owner('POST', '/apps', {'stack': s_, 'region': r, 'feature_flags': ['x'], 'kernel': 'y'}, want=201).json
        assert (a['stack'], a['build_stack']['id'], a['region']['id']) == ({k: stack[k] for k in ('id', 'name')}, stack['id'], region['id'])
        b = owner('PATCH', f'/apps/{a["id"]}', {'build_stack': s_}, want=200).json
        assert b['build_stack'] == a['build_stack']
        for bad in ({'build_stack': 'heroku-18'}, {'build_stack': 'container'}):
            owner('PATCH', f'/apps/{a["id"]}', bad, want=422)
        owner('DELETE', '/apps/' + a['id'], want=200)
    for bad in ({'stack': 'cnb'}, {'region': 'eu'}, {'stack': None, 'region': 5}, {'team': 'x'}):
        owner('POST', '/apps', bad, want=422)


def test_what_there_is_none_of(owner, app):
    assert owner('GET', f'/apps/{app}/telemetry-drains', want=200).json == []
    owner('GET', '/users/someone@example.com/addons', want=404)
    found = {
        'telemetry_drain': [('GET', '/telemetry-drains/x'), ('PATCH', '/telemetry-drains/x'), ('DELETE', '/telemetry-drains/x')],
    }
    for resource, requests in found.items():
        for method, path in requests:
            a = owner(method, path, None if method == 'GET' else {'a': 1}, want=404)
            assert a.json['resource'] == resource and a.message.startswith("Couldn't find that "), (method, path)
    assert 'This platform has no ' in owner('POST', '/telemetry-drains', {'plan': 'x'}, want=422).message


def test_current_status(c):
    a = c.with_token(None)('GET', '/api/v4/current-status', want=200)
    assert {x['status'] for x in a.json['status']} == {'green'}


# --- the buildpack registry ---

BLOBS = 'https://buildpack-registry.s3.amazonaws.com/buildpacks/'


def test_the_buildpack_registry(c):
    r = c.with_token(None)
    packs = {f'{b["namespace"]}/{b["name"]}': b for b in r('GET', '/buildpacks', want=200).json}
    assert {'heroku/nodejs', 'heroku/ruby', 'heroku/python', 'heroku/go'} <= set(packs)
    for name, b in packs.items():
        assert b['blob_url'] == f'{BLOBS}{name}.tgz' and b['description']
        assert r('GET', '/buildpacks/' + name.replace('/', '%2F'), want=200).json == b
    assert packs['heroku/go']['source'] == {'type': 'github', 'owner': 'heroku', 'repo': 'heroku-buildpack-go'}

    def search(query):
        return {f'{b["namespace"]}/{b["name"]}' for b in r('GET', '/buildpacks?' + query, want=200).json}
    assert search('in[name][]=nodejs') == search('in%5Bname%5D%5B%5D=nodejs') == {'heroku/nodejs'}
    assert search('in[namespace][]=paas') == {'paas/make'}
    assert search('in[name][]=nodejs&in[name][]=ruby&in[namespace][]=heroku') == {'heroku/nodejs', 'heroku/ruby'}
    assert search('in[name][]=make&in[namespace][]=heroku') == set()
    assert 'heroku/python' in search('like[description]=PYTHON+apps') and search('like[description]=no%20such%20text') == set()
    [rev] = r('GET', '/buildpacks/heroku%2Fnodejs/revisions', want=200).json
    assert rev['release'] == 1 and rev['status'] == 'published'
    import base64
    readme = r('GET', '/buildpacks/heroku%2Fnodejs/readme', want=200).json
    assert readme['encoding'] == 'base64' and b'package.json' in base64.b64decode(readme['content'])
    assert r('GET', '/buildpacks/heroku%2Fgo/readme', want=200).json == {}
    for path in ('no%2Fsuch', 'heroku', '..%2F..', 'heroku%2Fnodejs%2Fx'):
        for tail in ('', '/revisions', '/readme'):
            assert r('GET', f'/buildpacks/{path}{tail}', want=404).json['resource'] == 'buildpack'


def test_a_build_with_a_registry_url(paas, owner, tmp_path):
    owner('POST', '/apps', {'name': 'front-registry'}, want=201)
    p = '/apps/front-registry/buildpack-installations'
    url = owner('GET', '/buildpacks/heroku%2Fprocfile', want=200).json['blob_url']
    got = owner('PUT', p, {'updates': [{'buildpack': url}]}, headers={'Range': ''}, want=200).json
    assert got == [{'ordinal': 0, 'buildpack': {'url': url, 'name': 'heroku/procfile'}}] == owner('GET', p, want=200).json
    paas.git('init', '-q', '-b', 'main', cwd=tmp_path)
    paas.commit(str(tmp_path), Procfile='web: exec python3 -m http.server $PORT\n')
    r = paas.git('push', f'{paas.url}/front-registry.git', 'main', cwd=tmp_path, token=owner.token)
    assert 'Using buildpack: heroku/procfile' in r.stderr, r.stderr
    owner('PUT', p, {'updates': [{'buildpack': BLOBS + 'acme/unknown.tgz'}]}, want=200)
    paas.commit(str(tmp_path), x='y')
    r = paas.git('push', f'{paas.url}/front-registry.git', 'main', cwd=tmp_path, token=owner.token, check=False)
    assert r.returncode and 'acme/unknown' in r.stderr and 'no buildpack of this name here' in r.stderr, r.stderr
    owner('DELETE', '/apps/front-registry', want=200)


# --- the end ---

def test_every_claimed_route_has_answered(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('front') - c.seen == set()
