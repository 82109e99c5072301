"""Add-ons of a partner, by the Add-on Partner API v3: what is sent, each kind of answer, what the partner does by its
token and what it may not, single sign-on, logs, and a paasd that is killed on the way."""
import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import urlencode

import pytest

from api_client import Client, claimed_by
from browser import Browser
from partner import Partner
from platform_under_test import Platform, wait_for
from receivers import Authority, SyslogReceiver
from test_addons import ROOT, bare, config, gone, releases
from test_api_access import UNKNOWN, target

MANIFEST = '''name: {name}
human_name: The {name} database
prefix: ACME
config_vars: [URL, KEY, SPARE]
plans:
  - {{name: basic, price: 700}}
  - {{name: premium}}
partner:
  id: acme
  base_url: {url}/heroku/resources/
  requires: [log_input, log_drain]
'''
SETTINGS = 'password: pass word+1\nsso_salt: 2f97bfa52ca102f8874716e2eb1d3b4920ad0be4\nclient_secret: client-secret-1\n'


def put(here, name, manifest, settings):
    os.makedirs(f'{here}/services/{name}')
    os.makedirs(f'{here}/settings', exist_ok=True)
    with open(f'{here}/services/{name}/addon.yml', 'w') as f:
        f.write(manifest)
    with open(f'{here}/settings/{name}.yml', 'w') as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(settings)


def heroku_manifest(partner):
    """As partners have it (addon-manifest.json)."""
    return {'id': 'acme', 'name': 'The acme "database"', 'api': {
        'config_vars_prefix': 'ACME', 'config_vars': ['ACME_URL', 'ACME_KEY', 'ACME_SPARE'], 'password': partner.password, 'sso_salt': partner.salt,
        'regions': ['us', 'eu'], 'requires': ['many_per_app', 'attachable'], 'version': '3',
        'production': {'base_url': partner.url + '/heroku/resources', 'sso_url': partner.url + '/heroku/sso'},
        'test': {'base_url': 'http://localhost:4567/heroku/resources', 'sso_url': 'http://localhost:4567/sso/login'}}}


def convert(here, manifest, *args):
    """What paasctl makes of it; its exit status and what it said when it made nothing."""
    with open(here + '/addon-manifest.json', 'w') as f:
        f.write(json.dumps(manifest) if not isinstance(manifest, str) else manifest)
    ctl = os.path.join(ROOT, 'build', os.environ.get('PAAS_FLAVOUR', ''), 'paasctl')
    r = subprocess.run([ctl, 'addons:manifest', here + '/addon-manifest.json', *args], capture_output=True, text=True, env={'HOME': here})
    return r.stdout if r.returncode == 0 else (r.returncode, r.stderr)


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('partner'))


@pytest.fixture(scope='module')
def ca(here):
    return Authority(here)


@pytest.fixture(scope='module')
def acme(ca):
    p = Partner(ca.context())
    yield p
    p.close()
    assert p.wrong == []


@pytest.fixture(scope='module')
def logger(ca):
    p = Partner(ca.context(), logs=True)
    yield p
    p.close()
    assert p.wrong == []


@pytest.fixture(scope='module')
def paas(here, ca, acme, logger):
    manifest = heroku_manifest(acme)
    settings = convert(here, manifest, '--settings')
    acme.secret = re.search(r'client_secret: "([0-9a-f]{64})"', settings).group(1)
    put(here, 'acme', convert(here, manifest, '--plans', 'basic,premium'), settings)
    put(here, 'logger', MANIFEST.format(name='logger', url=logger.url), SETTINGS)
    p = Platform(ROOT, '--set', f'addons_dir={here}/services', '--set', f'addon.settings_dir={here}/settings', '--set', 'addon.retry=1',
                 '--set', 'addon.provision_timeout=4', '--set', 'outgoing.allow=127.0.0.0/8', '--set', f'outgoing.ca_file={ca.ca}')
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(autouse=True)
def usual(acme):
    acme.mode, acme.more = {}, {}


def exchange(c, **form):
    """The status and the tokens, or the error."""
    a = c.with_token(None).send('POST', '/oauth/token', urlencode(form).encode(), {'Content-Type': 'application/x-www-form-urlencoded'})
    assert 'no-store' in ', '.join(a.headers.get_all('Cache-Control'))
    return a.status, json.loads(a.data)


def by_code(c, code, secret):
    return exchange(c, grant_type='authorization_code', code=code, client_secret=secret)


def partner_client(c, partner, uuid):
    status, tokens = by_code(c, partner.grants[uuid][-1], partner.secret)
    assert status == 200, tokens
    return c.with_token(tokens['access_token'])


def create(c, app, name, want=201, service='acme', **more):
    return c('POST', f'/apps/{app}/addons', {'plan': f'{service}:basic', 'name': name, **more}, want=want)


def state(c, ref):
    a = c.send('GET', f'/addons/{ref}')
    return json.loads(a.data)['state'] if a.status == 200 else a.status


def names(config):
    return {v['name']: v['value'] for v in config}


def test_manifests_that_are_refused(here, acme):
    for change, why in (({'version': '1'}, 'api.version'), ({'config_vars': ['DATABASE_URL']}, 'does not begin with ACME_'), ({'production': {}}, 'base_url'),
                        ({'config_vars_prefix': 'acme'}, 'config_vars_prefix'), ({'config_vars': []}, 'config_vars: is missing')):
        m = heroku_manifest(acme)
        m['api'].update(change)
        status, said = convert(here, m)
        assert status == 2 and why in said, said
    assert convert(here, '{"id": }')[0] == 2 and 'is missing' in convert(here, {'id': 'acme'})[1]
    assert 'lower case' in convert(here, heroku_manifest(acme), '--plans', 'Big')[1]
    made = json.loads(convert(here, heroku_manifest(acme), '--test', '--json'))
    assert made['file'] == 'addon.yml' and 'http://localhost:4567/heroku/resources' in made['text']


def test_life_of_an_addon(paas, c, acme):
    """Made at once, used, moved to another plan, updated by its partner, removed."""
    app = bare(c, 'shop')
    two = bare(c, 'shop-two')
    a = create(c, app, 'acme-db', config={'colour': 'red', 'deep': True}).json
    asked = acme.calls('provision')[-1]['body']
    assert a['state'] == 'provisioned' and a['provision_message'] == 'it is made' and a['provider_id'] == a['id'] == asked['uuid']
    assert asked['name'] == 'acme-db' and asked['options'] == {'colour': 'red', 'deep': 'true'} and asked['callback_url'] == f'{paas.url}/addons/{a["id"]}'
    had = {'ACME_URL': f'acme://{a["id"][:8]}:1@h', 'ACME_KEY': 'key-1'}
    assert config(c, app) == had and releases(c, app)[0] == 'Attach ACME (@ref:acme-db)'
    c('POST', '/addon-attachments', {'addon': 'acme-db', 'app': two, 'name': 'CACHE'}, want=201)
    assert config(c, two) == {k.replace('ACME', 'CACHE'): v for k, v in had.items()}
    # another plan; refused, and moved
    acme.mode = {'change': 'refuse'}
    assert c('PATCH', f'/apps/{app}/addons/acme-db', {'plan': 'acme:premium'}, want=422).message == 'no more of these today'
    assert c('GET', '/addons/acme-db', want=200).json['plan']['name'] == 'acme:basic' and config(c, app) == had
    acme.mode = {}
    b = c('PATCH', f'/apps/{app}/addons/acme-db', {'plan': 'acme:premium'}, want=200).json
    assert b['plan']['name'] == 'acme:premium' and b['provision_message'] == 'now premium' and acme.there[a['id']]['plan'] == 'premium'
    assert config(c, app)['ACME_KEY'] == config(c, two)['CACHE_KEY'] == 'key-2' and releases(c, two)[0] == 'Update CACHE by acme'
    # the partner, later, by its token: a release for each app, once
    p = partner_client(c, acme, a['id'])
    path = f'/addons/{a["id"]}'
    assert p('GET', path, want=200).json['name'] == 'acme-db'
    assert names(p('GET', path + '/config', want=200).json)['ACME_KEY'] == 'key-2'
    before = len(releases(c, two))
    body = {'config': [{'name': 'ACME_KEY', 'value': 'key-3'}, {'name': 'SPARE', 'value': 'x'}]}
    for _ in range(2):
        assert names(p('PATCH', path + '/config', body, want=200).json)['ACME_SPARE'] == 'x'
    assert config(c, two)['CACHE_KEY'] == 'key-3' and config(c, app)['ACME_SPARE'] == 'x' and len(releases(c, two)) == before + 1
    p('PATCH', path + '/config', {'config': [{'name': 'ACME_SPARE', 'value': None}]}, want=200)
    assert 'CACHE_SPARE' not in config(c, two) and len(releases(c, two)) == before + 2
    for bad in ({'name': 'PATH', 'value': '/tmp'}, {'name': 'ACME_PATH', 'value': 'x'}, {'name': 'ACME_KEY', 'value': 'x' * 70000}, {'name': 'ACME_KEY'}, {'name': 'ACME_KEY', 'value': 5}):
        p('PATCH', path + '/config', {'config': [bad]}, want=422)
    # what is over: said again it is well, and only the owner removes it
    assert p('POST', path + '/actions/provision', want=200).json['state'] == 'provisioned'
    assert 'its owner removes it' in p('POST', path + '/actions/deprovision', want=422).message
    assert config(c, app)['ACME_KEY'] == 'key-3'
    c('DELETE', f'/addon-attachments/{c("GET", f"/apps/{two}/addon-attachments/CACHE").json["id"]}', want=200)
    c('DELETE', f'/apps/{app}/addons/acme-db', want=200)
    gone(c, 'acme-db')
    assert acme.there == {} and config(c, app) == {}
    assert p.send('GET', path).status == 401
    with open(paas.log.name) as f:
        log = f.read()
    assert 'acme://' not in log and acme.secret not in log and acme.password not in log and 'PAAP-' not in log
    for code in sum(acme.grants.values(), []):
        assert code not in log


def test_in_its_own_time(paas, c, acme):
    """202, then the partner comes: tokens by a code that is good once, config, done; or it gives up; or says nothing for ever."""
    app = bare(c, 'slow')
    acme.mode = {'provision': 'later'}
    with ThreadPoolExecutor() as pool:  # its POSTs wait for the end, as there is one soon
        made = pool.submit(create, c.with_token(c.token), app, 'in-time')
        uuid = wait_for('the question', lambda: next((r['uuid'] for r in acme.calls('provision') if r['name'] == 'in-time'), None))
        wait_for('the message', lambda: c('GET', '/addons/in-time', want=200).json['provision_message'] == 'it will take a while')
        code = acme.grants[uuid][-1]
        # tokens
        assert by_code(c, code, 'wrong')[0] == 401 and by_code(c, 'x' * 40, acme.secret)[1]['error'] == 'invalid_grant'
        assert exchange(c, grant_type='password')[1]['error'] == 'unsupported_grant_type' and exchange(c, code=code)[1]['error'] == 'invalid_request'
        status, t = by_code(c, code, acme.secret)
        assert status == 200 and t['expires_in'] == 8 * 3600 and t['token_type'] == 'Bearer' and len(t['access_token']) > 40
        assert by_code(c, code, acme.secret)[1]['error'] == 'invalid_grant'
        p = c.with_token(t['access_token'])
        with sqlite3.connect(paas.state + '/paasd.db', timeout=10) as db:
            assert t['access_token'] not in str(db.execute('SELECT * FROM addon_tokens').fetchall())
            db.execute("UPDATE addon_tokens SET expires_ms = 1 WHERE kind = 'access'")
        db.close()
        p('GET', f'/addons/{uuid}', want=401)
        again = exchange(c, grant_type='refresh_token', refresh_token=t['refresh_token'], client_secret=acme.secret)
        assert again[0] == 200 and again[1]['access_token'] != t['access_token'] and again[1]['refresh_token'] == t['refresh_token']
        assert exchange(c, grant_type='refresh_token', refresh_token=t['refresh_token'], client_secret='')[0] == 401
        assert exchange(c, grant_type='refresh_token', refresh_token=again[1]['access_token'], client_secret=acme.secret)[0] == 400
        c.with_token(t['refresh_token'])('GET', f'/addons/{uuid}', want=401)
        p = c.with_token(again[1]['access_token'])
        assert p('GET', f'/addons/{uuid}', want=200).json['state'] == 'provisioning'
        assert state(c, 'in-time') == 'provisioning' and c('POST', f'/apps/{app}/addons', {'plan': 'acme:basic', 'name': 'in-time'}, want=422)
        # config before it is there: no release yet
        p('PATCH', f'/addons/{uuid}/config', {'config': [{'name': k, 'value': v} for k, v in acme.config(uuid).items()]}, want=200)
        assert config(c, app) == {} and not any('ACME' in d for d in releases(c, app))
        assert p('POST', f'/addons/{uuid}/actions/provision', want=200).json['state'] == 'provisioned'
        assert made.result().json['state'] == 'provisioned' and made.result().json['provider_id'] == uuid
        assert config(c, app) == acme.config(uuid) and releases(c, app)[0] == 'Attach ACME (@ref:in-time)'
        p('POST', f'/addons/{uuid}/actions/provision', want=200)
        # a plan that takes its time
        acme.mode = {'provision': 'later', 'change': 'later'}
        moved = pool.submit(lambda: c.with_token(c.token)('PATCH', f'/apps/{app}/addons/in-time', {'plan': 'acme:premium'}, want=200).json)
        wait_for('the change', lambda: acme.calls('change', uuid) and c('GET', '/addons/in-time').json['provision_message'] == 'it is being moved')
        p('POST', f'/addons/{uuid}/actions/provision', want=200)
        assert moved.result()['plan']['name'] == 'acme:premium'
        # one that is given up
        made = pool.submit(create, c.with_token(c.token), app, 'given-up', 422)
        lost = wait_for('the question', lambda: next((u for u, j in acme.told.items() if j['name'] == 'given-up' and u in acme.grants), None))
        q = partner_client(c, acme, lost)
        wait_for('its answer', lambda: c('GET', '/addons/given-up').json['task']['tries'] == 1)
        assert q('POST', f'/addons/{lost}/actions/deprovision', want=200).json['state'] == 'deprovisioned'
        assert 'gave up' in made.result().message
        acme.there.pop(lost)
        assert q.send('POST', f'/addons/{lost}/actions/provision').status in (401, 404, 410) and acme.calls('deprovision', lost) == []
        assert list(config(c, app)) == ['ACME_KEY', 'ACME_URL'] and len(c('GET', f'/apps/{app}/addons').json) == 1
        walk(c, p, q, uuid)
        # removal that takes its time
        acme.mode = {'deprovision': 'later'}
        c('DELETE', f'/apps/{app}/addons/in-time', want=200)
        wait_for('the question', lambda: acme.calls('deprovision', uuid))
        assert p.send('PATCH', f'/addons/{uuid}/config', {'config': []}).status == 410
        acme.there.pop(uuid)
        p('POST', f'/addons/{uuid}/actions/deprovision', want=200)
        gone(c, 'in-time')


def walk(c, p, gone, uuid):
    """A partner's token reaches its own add-on by these routes, and nothing else by any; users reach none of its routes."""
    own = {'GET /addons/:add_on', 'GET /addons/:add_on/config', 'PATCH /addons/:add_on/config', 'POST /addons/:add_on/actions/provision',
           'POST /addons/:add_on/actions/deprovision', 'GET /addons/:add_on/log-drains', 'PUT /addons/:add_on/log-drains/:drain'}
    for client, where in ((p, 'no-such'), (p, 'slow'), (gone, uuid), (c, uuid)):
        for r in c.routes:
            if r.need in ('anyone', 'secret in the URL') or (client is c and r.need != "the add-on's provider"):
                continue
            path = target(r, 'slow').replace('/addons/no-such', f'/addons/{where}')
            a = client(r.method, path, None if r.method == 'GET' else UNKNOWN)
            if client is c:
                want = 403
            elif client is gone and a.status == 401:  # its add-on is no more, so its token is none
                continue
            else:
                want = 404 if r.name in own else 403
            assert a.status == want, (r.name, where, a)
    assert {r.name for r in c.routes if r.need == "the add-on's provider"} == {n for n in own if n.startswith('P')}


def test_many_at_once(c, acme):
    """Names of attachments that are made up do not meet."""
    app = bare(c, 'at-once')
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: c.with_token(c.token).send('POST', f'/apps/{app}/addons', {'plan': 'acme'}), range(8)))
    assert [a.status for a in made] == [201] * 8, [a.data for a in made]
    assert len(config(c, app)) == 16
    c('DELETE', f'/apps/{app}', want=200)
    wait_for('all of it to be gone', lambda: acme.there == {})


def test_answers(c, acme):
    """Each kind of answer: what the user is told, what is asked again, and that nothing is left at either side."""
    quick = {'refuse': ('no more of these today', 422), 'gone': ('somebody removed it', 422)}
    # asked three times, then undone
    faulty = {'garbage': 'no JSON object', 'nothing': 'answered nothing', 'other-var': 'PATH', 'huge': 'too long', 'redirect': 'redirects are not followed',
              'fails': 'answered 500', 'forbidden': 'who are you?'}
    for_ever = {'later': 'it will take a while', 'busy': 'come back later'}
    acme.mode = {f'provision ans-{how}': how for how in [*quick, *faulty, *for_ever]}
    waits = {'n': 0}

    def once(r):
        waits['n'] += 1
        return 'busy' if waits['n'] == 1 else 'ok'
    acme.mode['provision ans-once'] = once
    hows = [*quick, *faulty, *for_ever]
    apps = {how: bare(c, f'ans-{how}') for how in [*hows, 'once']}
    with ThreadPoolExecutor(len(hows) + 1) as pool:
        fine = pool.submit(create, c.with_token(c.token), apps['once'], 'ans-once')
        got = dict(zip(hows, pool.map(lambda how: c.with_token(c.token).send('POST', f'/apps/{apps[how]}/addons', {'plan': 'acme', 'name': f'ans-{how}'}), hows)))
        assert fine.result().json['state'] == 'provisioned' and waits['n'] == 2
    for how, a in got.items():
        said = json.loads(a.data)['message']
        uuid = next(u for u, j in acme.told.items() if j['name'] == f'ans-{how}')
        if how in quick:
            assert (a.status, said) == (quick[how][1], quick[how][0]), how
            assert len(acme.calls('provision', uuid)) == 1 and acme.calls('deprovision', uuid) == []
            continue
        assert a.status in (503, 504) and {**faulty, **for_ever}[how] in said, (how, said)
        assert len(acme.calls('provision', uuid)) == 3 or how in for_ever, how
        if how == 'later':
            assert len(acme.calls('provision', uuid)) == 1, 'who calls back is not asked again'
        wait_for('its removal', lambda: acme.calls('deprovision', uuid))
        assert state(c, f'ans-{how}') in (404, 'deprovisioned')
    for how, app in apps.items():
        there = {'ACME_URL', 'ACME_KEY'} if how == 'once' else set()
        assert set(config(c, app)) == there and len(c('GET', f'/apps/{app}/addons', want=200).json) == (how == 'once')
    wait_for('all of it to be gone', lambda: {r['name'] for r in acme.there.values()} == {'ans-once'})
    # a removal that fails is tried until it is done, also when the partner does not know it any more
    acme.mode = {'deprovision': lambda r: 'fails' if len(acme.calls('deprovision', r['uuid'])) == 1 else 'gone'}
    c('DELETE', f'/apps/{apps["once"]}', want=200)
    wait_for('all of it to be gone', lambda: acme.there == {})


def test_killed_on_the_way(paas, c, acme):
    """While the partner is asked, and while it works: the same uuid is asked again, and there is one of it."""
    app = bare(c, 'killed')
    for how, name, end in (('hang', 'kill-asked', paas.kill9), ('hang', 'kill-stopped', paas.stop), ('later', 'kill-202', paas.kill9)):
        acme.mode = {'provision': how}
        with ThreadPoolExecutor() as pool:
            cut = pool.submit(lambda: c.with_token(c.token).send('POST', f'/apps/{app}/addons', {'plan': 'acme', 'name': name}))
            wait_for('the question', lambda: any(r['name'] == name for r in acme.calls('provision')))
            if how == 'later':
                wait_for('its answer', lambda: c('GET', f'/addons/{name}').json['task']['tries'] == 1)
            end()
            assert cut.exception() or cut.result().status >= 500 or json.loads(cut.result().data)['state'] == 'provisioning'
        acme.mode = {} if how == 'hang' else {'provision': how}
        c.close()
        paas.start()
        if how == 'later':
            uuid = next(u for u, j in acme.told.items() if j['name'] == name)
            wait_for('the question again', lambda: len(acme.calls('provision', uuid)) == 2)
            p = partner_client(c, acme, uuid)
            p('PATCH', f'/addons/{uuid}/config', {'config': [{'name': 'URL', 'value': 'acme://late'}]}, want=200)
            p('POST', f'/addons/{uuid}/actions/provision', want=200)
        wait_for('it', lambda: state(c, name) == 'provisioned')
        acme.gate.set()
        acme.gate.clear()
    assert [r['name'] for r in acme.there.values()] == ['kill-asked', 'kill-stopped', 'kill-202']
    assert 'acme://late' in wait_for('the release', lambda: (lambda v: len(v) == 5 and v)(config(c, app))).values()
    # killed while it is removed; one that takes its time says so although the app is gone
    acme.mode = {'deprovision': 'busy', 'deprovision kill-202': 'later'}
    c('DELETE', f'/apps/{app}', want=200)
    wait_for('the questions', lambda: len(acme.calls('deprovision')) >= 2)
    paas.kill9()
    acme.mode = {'deprovision kill-202': 'later'}
    c.close()
    paas.start()
    wait_for('the others to be gone', lambda: list(acme.there) == [uuid])
    p.close()
    assert p.send('POST', f'/addons/{uuid}/actions/deprovision').status == 200
    wait_for('it to be gone', lambda: p.send('GET', f'/addons/{uuid}').status == 401, 10)
    acme.there.pop(uuid)


def post_there(ca, text):
    """What a browser does with the page: its form, posted; the answer."""
    action = unescape(re.search(r'<form method="post" action="([^"]*)"', text).group(1))
    fields = {unescape(n): unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)}
    r = urllib.request.Request(action, urlencode(fields).encode())
    with urllib.request.urlopen(r, timeout=10, context=ssl.create_default_context(cafile=ca.ca)) as f:
        return f.read().decode()


class Leaving(Browser):
    """Sees the page before it is left, which has a script."""
    def load(self, method, body=None):
        try:
            return super().load(method, body)
        except AssertionError:
            assert self.status == 200 and 'submit()' in self.text
            return self


def test_single_sign_on(paas, c, ca, acme):
    app = bare(c, 'sso<app'.replace('<', '-'))
    a = create(c, app, 'sso-db').json
    assert a['web_url'] == f'{paas.url}/sso/{a["id"]}'
    # by a link that needs no login
    for path in (f'/addons/{a["id"]}/sso', f'/apps/{app}/addons/sso-db/sso'):
        link = c('GET', path, want=200).json
        assert link['method'] == 'get' and link['action'].startswith(a['web_url'] + '/')
    url = link['action'].removeprefix(paas.url)
    page = c.with_token(None)('GET', url, want=200)
    csp = page.headers['Content-Security-Policy']
    nonce = re.search(r"script-src 'nonce-(\w+)'", csp).group(1)
    assert "default-src 'none'" in csp and "'unsafe" not in csp and f'<script nonce="{nonce}">' in page.data.decode()
    assert 'no-store' in ', '.join(page.headers.get_all('Cache-Control')) and page.headers['Referrer-Policy'] == 'same-origin'
    me = c('GET', '/account', want=200).json
    assert me['email'] in post_there(ca, page.data.decode())
    assert acme.logins[-1]['email'] == me['email'] and acme.logins[-1]['user_id'] == me['id'] and acme.logins[-1]['app'] == app
    # others' links, changed ones, old ones
    who, until, signature = url.rsplit('/', 1)[1].split('.')
    old = int(until) - 3600
    for bad in (f'{who}.{int(until) + 1}.{signature}', f'{who}.{old}.{signature}', f'{a["id"]}.{until}.{signature}', f'{who}.{until}.{"1" if signature[0] == "0" else "0"}{signature[1:]}',
                f'{who}.{until}', 'x', f'{who}..', f'{who}.{until}.'):
        assert c.with_token(None)('GET', f'/sso/{a["id"]}/{bad}').status == 404
    # who may not
    other = c.with_token(paas.new_user('other@example.com'))
    other('GET', f'/addons/{a["id"]}/sso', want=404)
    c('POST', f'/apps/{app}/collaborators', {'user': 'other@example.com', 'permissions': ['view']}, want=201)
    other('GET', f'/addons/{a["id"]}/sso', want=403)
    c('DELETE', f'/apps/{app}/collaborators/other@example.com', want=200)
    # by web_url, as the Heroku CLI opens it: who is not logged in does so, and comes there
    c('POST', f'/apps/{app}/collaborators', {'user': 'other@example.com', 'permissions': ['view', 'operate']}, want=201)
    b = Leaving(paas, f'/sso/{a["id"]}')
    assert b.title == 'Log in' and b.submit('login', email='other@example.com', password='wrong').status == 422
    b.submit('login', email='other@example.com', password='correct horse')
    assert b.title == 'To The acme &quot;database&quot;' and 'other@example.com' in post_there(ca, b.text)
    assert 'other@example.com' in post_there(ca, Leaving.load(b, 'GET').text)  # the session holds
    c('DELETE', f'/apps/{app}/collaborators/other@example.com', want=200)
    b.path = f'/sso/{a["id"]}'
    assert b.load('GET').status == 404
    assert c.with_token(None).send('POST', f'/sso/{a["id"]}', b'action=login', {'Content-Type': 'application/x-www-form-urlencoded'}).status == 403
    said = paas.ctl('addons:open', 'sso-db', '--show-url', token=c.token).stdout.strip()
    assert said.startswith(a['web_url'] + '/') and 'sso-db' in c.with_token(None)('GET', said.removeprefix(paas.url), want=200).data.decode()
    assert 'addon.sso' in {r['action'] for r in c('GET', f'/apps/{app}/audit', want=200).json}
    c('DELETE', f'/apps/{app}/addons/sso-db', want=200)
    gone(c, 'sso-db')
    assert c.with_token(None)('GET', url).status == 404


def test_single_sign_on_in_chromium(paas, c, acme, tmp_path):
    """A real browser is taken there without a click: the content policy lets it."""
    if not (shutil.which('chromium') and shutil.which('chromedriver')):
        pytest.skip('needs chromium and chromium-driver')
    webdriver = pytest.importorskip('selenium.webdriver', reason='needs python3-selenium')
    from selenium.webdriver.chrome.service import Service
    bare(c, 'sso-real')
    a = create(c, 'sso-real', 'real-db').json
    options = webdriver.ChromeOptions()
    for flag in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--ignore-certificate-errors', '--no-first-run',
                 '--disable-background-networking', '--disable-component-update', f'--user-data-dir={tmp_path}/profile'):
        options.add_argument(flag)
    driver = webdriver.Chrome(service=Service(shutil.which('chromedriver')), options=options)
    try:
        driver.set_page_load_timeout(30)
        driver.get(c('GET', f'/addons/{a["id"]}/sso', want=200).json['action'])
        wait_for('the dashboard', lambda: driver.current_url == acme.url + '/heroku/sso' and 'the dashboard of' in driver.page_source)
    finally:
        driver.quit()
        shutil.rmtree(tmp_path / 'profile', ignore_errors=True)
    c('DELETE', '/apps/sso-real', want=200)
    wait_for('it to be gone', lambda: acme.there == {})


def test_logs(paas, c, logger):
    """The app's log goes to the partner, marked with the token that it was told; its own lines come into the app's log."""
    app = bare(c, 'logged')
    first, second = SyslogReceiver(), SyslogReceiver()
    try:
        logger.more = {'log_drain_url': f'syslog://127.0.0.1:{first.port}'}
        a = create(c, app, 'log-in', service='logger').json
        told = logger.calls('provision')[-1]['body']
        d = c('GET', f'/apps/{app}/log-drains', want=200).json[0]
        assert d['token'] == told['log_drain_token'] and d['addon']['id'] == a['id']
        assert c('GET', f'/addons/{a["id"]}/log-drains', want=200).json == [d]
        assert 'goes with it' in c('DELETE', f'/apps/{app}/log-drains/{d["id"]}', want=422).message
        url = told['log_input_url']
        user, _, rest = url.removeprefix('http://').partition('@')
        assert user.startswith('token:t.') and rest == paas.url.removeprefix('http://') + f'/addons/{a["id"]}/logs'

        def send(text, who=user, where=a['id'], want=204):
            n = c.with_token(None)
            n.basic = who
            got = n.send('POST', f'/addons/{where}/logs', text, {'Content-Type': 'application/logplex-1'})
            assert got.status == want, got

        def frame(text, proc='acme-1'):
            m = f'<190>1 2026-01-01T00:00:00+00:00 host t.x {proc} - - {text}\n'.encode()
            return str(len(m)).encode() + b' ' + m
        send(frame('of the partner') + frame('and more', proc='-'))
        send(frame('not this'), who='token:t.' + a['id'], want=404)
        send(frame('nor this'), where='no-such', want=404)
        for bad in (b'x', b'5 <1>1', b'99999999999 <', frame('a')[:-3], b'3 <1>', b'0 '):
            send(bad, want=400)
        wait_for('the line at the partner', lambda: any('of the partner' in t for t in first.texts()))
        assert told['log_drain_token'].encode() in first.messages[-1]
        log = paas.logs(app)
        assert 'app[acme-1]: of the partner' in log and 'app[logger]: and more' in log and 'not this' not in log
        # elsewhere, by its token; then it goes with the add-on
        p = partner_client(c, logger, a['id'])
        for which in (told['log_drain_token'], d['id']):
            got = p('PUT', f'/addons/{a["id"]}/log-drains/{which}', {'url': f'syslog://127.0.0.1:{second.port}'}, want=200 if which != d['id'] else 404)
        p('PUT', f'/addons/{a["id"]}/log-drains/{told["log_drain_token"]}', {'url': 'gopher://x'}, want=422)
        send(frame('to the second'))
        wait_for('the line there', lambda: any('to the second' in t for t in second.texts()))
        c('DELETE', f'/apps/{app}/addons/log-in', want=200)
        gone(c, 'log-in')
        assert c('GET', f'/apps/{app}/log-drains', want=200).json == [] and logger.there == {}
    finally:
        first.close()
        second.close()


def test_every_route_of_partners_has_answered(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('partner') - c.seen <= {'POST /addons/:add_on/logs', 'POST /oauth/token'}  # sent without the schema
