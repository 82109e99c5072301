"""Add-ons: a service whose provider does what the test tells it, and memcached, which runs. Right states, nothing
left over, clear errors; config vars that belong to attachments; who may what."""
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MANIFEST = '''name: {name}
aliases: [{name}-too]
human_name: Fake {name}
prefix: {prefix}
config_vars: [URL]
plans:
  - {{name: mini, limits: {{size: 1}}}}
  - {{name: maxi, price: 500, limits: {{size: 2}}}}
  - {{name: hidden, visible: false}}
abilities: [change, rotate, info, credentials]
settings: [secret]
timeouts: {{provision: 3, deprovision: 3}}
{more}
'''

# What it does is in the file MODE of the test's folder: {verb: how}; each call is a line of the file CALLS.
VERB = r'''#!/usr/bin/python3 -I
import json, os, sys, time
HERE = %r
told = json.load(sys.stdin)
verb, addon = told['verb'], told['addon']
with open(HERE + '/MODE') as f:
    modes = json.load(f)
    how = modes.get(verb + ' ' + addon['name'], modes.get(verb, 'ok'))
with open(HERE + '/CALLS', 'a') as f:
    f.write(json.dumps({'how': how, 'env': dict(os.environ), **told}) + '\n')
print('a line of', verb, file=sys.stderr)
n = addon['private'].get('n', 0) + 1
where = HERE + '/there-' + addon['uuid']
if verb == 'provision' and how in ('garbage', 'nothing', 'wrong'):
    open(where, 'w').close()
if how == 'later':
    print(json.dumps({'message': 'the machine is warming up'}))
    sys.exit(75)
if how == 'refuse':
    print(json.dumps({'message': 'no more of these today'}))
    sys.exit(1)
if how == 'garbage':
    print('{"config": ')
    sys.exit(0)
if how == 'nothing':
    sys.exit(0)
if how == 'hang':
    time.sleep(60)
if how == 'wrong':
    print(json.dumps({'config': {'PATH': '/tmp'}}))
    sys.exit(0)
if how == 'slow':
    time.sleep(1)
if verb == 'provision':
    open(where, 'w').close()
if verb == 'deprovision':
    if os.path.exists(where):
        os.unlink(where)
    sys.exit(0)
if verb == 'info':
    print(json.dumps({'rows': 5, 'secret': told['settings'].get('secret')}))
elif verb == 'credentials':
    who = told['params']['credential']
    print(json.dumps({'config': {'URL': f'fake://{who}@h'}} if told['params']['action'] == 'create' else {}))
else:
    who = told['params'].get('credential') or 'own'
    size = told['params'].get('limits', addon['limits'])['size']
    print(json.dumps({'id': addon['uuid'], 'config': {'URL': f'fake://{who}:{n}@h/{size}'}, 'private': {'n': n},
                      'message': f'{verb} is done'}))
'''


def make_service(folder, here, name, prefix, more=''):
    bin = os.path.join(folder, name, 'bin')
    os.makedirs(bin)
    with open(os.path.join(folder, name, 'addon.yml'), 'w') as f:
        f.write(MANIFEST.format(name=name, prefix=prefix, more=more))
    for verb in ('provision', 'deprovision', 'change', 'rotate', 'info', 'credentials'):
        path = os.path.join(bin, verb)
        with open(path, 'w') as f:
            f.write(VERB % here)
        os.chmod(path, 0o755)


class Fake:
    def __init__(self, here):
        self.here = here
        self.mode()
        self.before = self.all()

    def mode(self, **how):
        with open(self.here + '/MODE.new', 'w') as f:
            json.dump(how, f)
        os.rename(self.here + '/MODE.new', self.here + '/MODE')

    def calls(self, verb=None):
        if not os.path.exists(self.here + '/CALLS'):
            return []
        with open(self.here + '/CALLS') as f:
            all_ = [json.loads(line) for line in f]
        return [c for c in all_ if verb in (None, c['verb'])]

    def all(self):
        return {n[6:] for n in os.listdir(self.here) if n.startswith('there-')}

    def there(self):
        """What the provider has since the test began."""
        return self.all() - self.before


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('fake'))


@pytest.fixture(scope='module')
def paas(here):
    make_service(here + '/services', here, 'fake', 'FAKE')
    make_service(here + '/services', here, 'single', 'SINGLE', 'multiple: false\nsharing: false')
    os.mkdir(here + '/settings')
    with open(here + '/settings/fake.yml', 'w') as f:
        os.fchmod(f.fileno(), 0o600)
        f.write('secret: of the administrator\n')
    # memcached from the checkout, as a sysadmin would copy it
    shutil.copytree(os.path.join(ROOT, 'addons', 'memcached'), here + '/services/memcached')
    p = Platform(ROOT, '--set', f'addons_dir={here}/services,{here}/none', '--set', f'addon.settings_dir={here}/settings',
                 '--set', 'addon.retry=1', '--set', 'addon.from_buildpacks=true', '--set', 'build.allow_local_buildpacks=true', '--set', 'addon.provision_timeout=4')
    try:
        p.start()
        p.write_netrc(p.home, p.token)
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture
def fake(here):
    f = Fake(here)
    f.mode()
    return f


@pytest.fixture(scope='module')
def app(paas, c, tmp_path_factory):
    """An app with code, so that releases start dynos, and a release phase."""
    folder = tmp_path_factory.mktemp('app')
    c('POST', '/apps', {'name': 'shop'}, want=201)
    c('PUT', '/apps/shop/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    (folder / 'Procfile').write_text('web: exec python3 -m http.server $PORT\nrelease: echo "phase ${FAKE_URL:-none}"\n')
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.commit(str(folder))
    paas.git('push', '-q', f'{paas.url}/shop.git', 'main', cwd=folder, token=c.token)
    return 'shop'


def bare(c, name):
    c('POST', '/apps', {'name': name}, want=201)
    return name


def config(c, app):
    return c('GET', f'/apps/{app}/config-vars', want=200).json


def releases(c, app):
    return [r['description'] for r in c('GET', f'/apps/{app}/releases', want=200).json][::-1]  # newest first


def newest(c, app):
    return c('GET', f'/apps/{app}/releases', headers={'Range': 'version ..; max=1, order=desc'}).json[0]


def settled(c, app):
    return wait_for('the release', lambda: (lambda r: r['status'] != 'pending' and r)(newest(c, app)))


def gone(c, ref):
    wait_for(f'{ref} to be gone', lambda: c.send('GET', f'/addons/{ref}').status == 404, 20)


def test_services_and_plans(c):
    services = {s['name']: s for s in c('GET', '/addon-services', want=200).json}
    assert set(services) == {'fake', 'memcached', 'single'}
    one = services['fake']
    for ref in ('fake', 'fake-too', one['id']):
        assert c('GET', f'/addon-services/{ref}', want=200).json == one
    plans = c('GET', '/addon-services/fake-too/plans', want=200).json
    assert [p['name'] for p in plans] == ['fake:maxi', 'fake:mini'] and plans[1]['default'] and plans[0]['price']['cents'] == 500
    for ref in ('fake:mini', plans[1]['id'], 'fake'):
        assert c('GET', f'/plans/{ref}', want=200).json == plans[1]
    assert c('GET', '/addon-services/fake/plans/mini', want=200).json == plans[1]
    assert c('GET', '/addon-services/single/plans/fake:mini').status == 404
    for path, resource in (('/addon-services/x', 'addon_service'), ('/addon-services/x/plans', 'addon_service'),
                           ('/plans/x', 'plan'), ('/addon-services/fake/plans/x', 'plan')):
        assert c('GET', path, want=404).json['resource'] == resource
    assert 'it has mini, maxi' in c('GET', '/plans/fake:tiny', want=404).message


def test_life_of_an_addon(paas, c, fake, app):
    """Made, used, changed, rotated, rolled back, destroyed: each change is a release, release phase for new ones only."""
    a = c('POST', f'/apps/{app}/addons', {'plan': {'name': 'fake-too:mini'}, 'attachment': {}, 'config': {'k': 'v', 'deep': True, 'n': 5}}, want=201).json
    assert a['state'] == 'provisioned' and a['config_vars'] == ['FAKE_URL'] and a['provision_message'] == 'provision is done'
    told = fake.calls('provision')[-1]
    assert told['addon']['options'] == {'k': 'v', 'deep': 'true', 'n': '5'} and told['addon']['app']['name'] == app and told['addon']['limits'] == {'size': 1}
    assert told['settings'] == {'secret': 'of the administrator'} and set(told['env']) == {'PATH', 'LANG', 'HOME', 'ADDON_VERB', 'LC_CTYPE'} - {'LC_CTYPE'} | (set(told['env']) & {'LC_CTYPE'})
    assert config(c, app)['FAKE_URL'] == 'fake://own:1@h/1'
    r = settled(c, app)
    assert r['description'] == f'Attach FAKE (@ref:{a["name"]})' and r['status'] == 'succeeded' and r['addon_plan_names'] == ['fake:mini']
    assert r['output_stream_url'], 'the release phase runs for a new add-on'
    attached = r['version']
    for ref in (a['id'], a['name'], 'FAKE', 'FAKE_URL'):
        assert c('GET', f'/apps/{app}/addons/{ref}', want=200).json['id'] == a['id']
    assert c('GET', f'/addons/{a["name"]}', want=200).json == a
    assert [x['id'] for x in c('GET', '/addons', want=200).json] == [a['id']]
    assert [x['id'] for x in c('GET', '/users/~/addons', want=200).json] == [a['id']]
    assert c('GET', f'/apps/{app}/usage', want=200).json['addons'] == [{'id': a['id'], 'meters': {}}]
    assert c('GET', f'/addons/{a["id"]}/config', want=200).json == [{'name': 'URL', 'value': 'fake://own:1@h/1'}]
    assert c('GET', f'/addons/{a["id"]}/config/credential:x', want=200).json == []
    # its config vars are nobody's to set, though to say what they are is fine
    for v in ({'FAKE_URL': 'x'}, {'FAKE_URL': None, 'OTHER': '1'}):
        m = c('PATCH', f'/apps/{app}/config-vars', v, want=422).message
        assert 'FAKE_URL' in m and a['name'] in m
    c('PATCH', f'/apps/{app}/config-vars', {'OTHER': '1', 'FAKE_URL': 'fake://own:1@h/1'}, want=200)
    # another plan
    b = c('PATCH', f'/apps/{app}/addons/{a["name"]}', {'plan': {'name': 'fake:maxi'}}, want=200).json
    assert b['plan']['name'] == 'fake:maxi' and b['billed_price']['cents'] == 500 and b['provision_message'] == 'change is done'
    r = settled(c, app)
    assert r['description'] == 'Update FAKE by fake' and r['output_stream_url'] is None, 'no release phase for changed values'
    assert config(c, app)['FAKE_URL'] == 'fake://own:2@h/2'
    for plan, why in (('fake:maxi', 'already'), ('single:mini', 'cannot become'), ('maxi', 'already')):
        assert why in c('PATCH', f'/apps/{app}/addons/{a["name"]}', {'plan': plan}, want=422).message
    assert c('PATCH', f'/apps/{app}/addons/{a["name"]}', {'plan': 'fake:nosuch'}).status == 404
    # back to the release of then: the add-on's values are of now
    c('POST', f'/apps/{app}/releases', {'release': attached}, want=201)
    settled(c, app)
    assert config(c, app) == {'FAKE_URL': 'fake://own:2@h/2'}
    assert c('GET', f'/apps/{app}/releases/{attached}/config-vars', want=200).json['FAKE_URL'] == 'fake://own:1@h/1'
    # a new name
    assert c('PATCH', f'/apps/{app}/addons/{a["name"]}', {'name': 'my-fake'}, want=200).json['name'] == 'my-fake'
    d = c('DELETE', f'/apps/{app}/addons/my-fake', {'force': None}, want=200).json
    assert d['state'] == 'deprovisioned'
    gone(c, 'my-fake')
    assert config(c, app) == {} and fake.there() == set()
    r = settled(c, app)
    assert r['description'] == 'Detach FAKE (@ref:my-fake)' and r['addon_plan_names'] == []
    audit = c('GET', f'/apps/{app}/audit', want=200).json
    assert {'addon.create', 'addon.plan', 'addon.rename', 'addon.destroy'} <= {x['action'] for x in audit}
    with open(paas.log.name) as f:
        log = f.read()
    assert 'a line of provision' in log and 'fake://' not in log and 'of the administrator' not in log


def test_attachments(paas, c, fake):
    one, two = bare(c, 'att-one'), bare(c, 'att-two')
    a = c('POST', f'/apps/{one}/addons', {'plan': 'fake', 'name': 'db-a'}, want=201).json
    # a second one is given a colour
    b = c('POST', f'/apps/{one}/addons', {'plan': 'fake', 'name': 'db-b'}, want=201).json
    assert len(b['config_vars']) == 1 and b['config_vars'][0].startswith('FAKE_') and b['config_vars'][0] != 'FAKE_URL'
    # to another app
    t = c('POST', '/addon-attachments', {'addon': {'name': 'db-a'}, 'app': {'name': two}, 'name': 'cache'}, want=201).json
    assert t['name'] == 'CACHE' and t['config_vars'] == ['CACHE_URL'] and t['addon']['plan']['name'] == 'fake:mini'
    assert config(c, two) == {'CACHE_URL': 'fake://own:1@h/1'} and releases(c, two)[0] == 'Attach CACHE (@ref:db-a)'
    assert c('GET', f'/apps/{two}/addons', want=200).json[0]['id'] == a['id']
    for ref in (t['id'], 'CACHE', 'CACHE_URL'):
        assert c('GET', f'/apps/{two}/addon-attachments/{ref}', want=200).json == t
    assert c('GET', f'/addon-attachments/{t["id"]}', want=200).json == t
    assert c('GET', f'/addons/{two}::CACHE', want=200).json['name'] == 'db-a'
    assert t in c('GET', '/addon-attachments', want=200).json
    assert [x['app']['name'] for x in c('GET', '/addons/db-a/addon-attachments', want=200).json] == [two, one]
    assert [x['name'] for x in c('GET', f'/apps/{two}/addon-attachments', want=200).json] == ['CACHE']
    # taken names: asked first, then replaced, and there is never a release without a value
    body = {'addon': 'db-b', 'app': one, 'name': 'FAKE'}
    refused = c('POST', '/addon-attachments', body, want=423)
    assert refused.id == 'confirmation_required' and 'db-a' in refused.message
    assert 'last attachment' in c('POST', '/addon-attachments', {**body, 'confirm': one}, want=422).message
    other = c('POST', '/addon-attachments', {'addon': 'db-a', 'app': one}, want=201).json  # as pg:promote does
    assert other['name'].startswith('FAKE_')
    before = newest(c, one)['version']
    new = c('POST', '/addon-attachments', {**body, 'confirm': one}, want=201).json
    assert new['name'] == 'FAKE' and new['addon']['name'] == 'db-b'
    assert releases(c, one)[:2] == ['Attach FAKE (@ref:db-b)', 'Detach FAKE (@ref:db-a)']
    for v in (before + 1, before + 2):
        assert c('GET', f'/apps/{one}/releases/{v}/config-vars', want=200).json['FAKE_URL']
    assert 'already' in c('POST', '/addon-attachments', body, want=422).message
    for bad in ({'addon': 'db-b', 'app': one, 'name': '1x'}, {'addon': 'db-b', 'app': one, 'namespace': 'pool:x'}):
        c('POST', '/addon-attachments', bad, want=422)
    assert c('POST', '/addon-attachments', {'addon': 'nosuch', 'app': one}, want=404).json['resource'] == 'add_on'
    # a config var that is there already is not overwritten
    c('PATCH', f'/apps/{two}/config-vars', {'MINE_URL': 'x'}, want=200)
    assert 'MINE_URL is set already' in c('POST', '/addon-attachments', {'addon': 'db-b', 'app': two, 'name': 'MINE'}, want=422).message
    # resolve
    def resolve(**body):
        return {x['name'] for x in c('POST', '/actions/addons/resolve', body, want=200).json}
    assert resolve(addon='db-a') == resolve(addon=a['id'], app=two) == resolve(addon='CACHE_URL', app=two) == {'db-a'}
    assert resolve(addon=f'{two}::CACHE') == {'db-a'} and resolve(addon='fake', app=one) == {'db-a', 'db-b'}
    assert resolve(addon='fake:mini', app=None) == {'db-a', 'db-b'} and resolve(addon='fake', app=one, addon_service='fake-too') == {'db-a', 'db-b'}
    for body in ({'addon': 'nosuch'}, {'addon': 'db-b', 'app': two}, {'addon': 'db-a', 'addon_service': 'single'}):
        assert c('POST', '/actions/addons/resolve', body, want=404).json['resource'] == 'add_on'

    def attachment(**body):
        return [x['name'] for x in c('POST', '/actions/addon-attachments/resolve', body, want=200).json]
    assert attachment(addon_attachment='FAKE_URL', app=one) == ['FAKE'] and attachment(addon_attachment=f'{two}::CACHE') == ['CACHE']
    assert attachment(addon_attachment='db-a', app=two) == ['CACHE'] and attachment(addon_attachment=t['id']) == ['CACHE']
    assert c('POST', '/actions/addon-attachments/resolve', {'addon_attachment': 'X', 'app': one}, want=404).json['resource'] == 'add_on attachment'
    # destroy while attached elsewhere; then all of it goes, with a release there
    assert two in c('DELETE', f'/apps/{one}/addons/db-a', want=422).message
    assert 'belongs to the app' in c('DELETE', f'/apps/{two}/addons/db-a', want=422).message
    c('DELETE', f'/apps/{one}/addons/db-a', {'force': True}, want=200)
    gone(c, 'db-a')
    assert config(c, two) == {'MINE_URL': 'x'} and releases(c, two)[0] == 'Detach CACHE (@ref:db-a)'
    # detach
    assert 'last attachment' not in c('DELETE', f'/addon-attachments/{new["id"]}', want=200).message
    last = c('GET', f'/apps/{one}/addon-attachments', want=200).json
    assert [x['addon']['name'] for x in last] == ['db-b']
    assert 'last attachment' in c('DELETE', f'/addon-attachments/{last[0]["id"]}', want=422).message
    # the app goes, and its add-on with it
    c('DELETE', f'/apps/{one}', want=200)
    c('DELETE', f'/apps/{two}', want=200)
    wait_for('the provider to be rid of all', lambda: fake.there() == set())
    gone(c, 'db-b')


def test_two_apps_in_one_name_space_and_limits(c, fake):
    app = bare(c, 'lim-one')
    c('POST', f'/apps/{app}/addons', {'plan': 'single', 'name': 'only'}, want=201)
    assert 'once only' in c('POST', f'/apps/{app}/addons', {'plan': 'single'}, want=422).message
    other = bare(c, 'lim-two')
    assert 'another app' in c('POST', '/addon-attachments', {'addon': 'only', 'app': other}, want=422).message
    assert 'already taken' in c('POST', f'/apps/{other}/addons', {'plan': 'single', 'name': 'only'}, want=422).message
    for bad in ({}, {'plan': ''}, {'plan': 5}, {'plan': 'fake', 'name': '-x'}, {'plan': 'fake', 'config': {'a': [1]}},
                {'plan': 'fake', 'attachment': {'name': 'a b'}}, {'plan': 'fake', 'attachment': {'colour': 'x'}}, {'plan': 'fake', 'x': 1}):
        c('POST', f'/apps/{app}/addons', bad, want=422)
    a = c('POST', f'/apps/{app}/addons', {'plan': 'nosuch'}, want=404)
    assert a.json['resource'] == 'plan' and 'fake, memcached, single' in a.message
    # app setup and hands alike: a name that is in use is asked for
    b = c('POST', f'/apps/{app}/addons', {'plan': 'fake', 'attachment': {'name': 'SINGLE'}}, want=423)
    assert b.id == 'confirmation_required'
    for name in (app, other):
        c('DELETE', f'/apps/{name}', want=200)
    wait_for('the provider to be rid of all', lambda: fake.there() == set())


def test_who_may_what(paas, c, fake):
    app = bare(c, 'perm-own')
    c('POST', f'/apps/{app}/addons', {'plan': 'fake', 'name': 'perm-db'}, want=201)
    viewer = c.with_token(paas.new_user('addon-viewer@example.com'))
    stranger = c.with_token(paas.new_user('addon-stranger@example.com'))
    c('POST', f'/apps/{app}/collaborators', {'user': 'addon-viewer@example.com', 'permissions': ['view']}, want=201)
    mine = 'perm-mine'
    stranger('POST', '/apps', {'name': mine}, want=201)
    viewer('POST', '/apps', {'name': 'perm-viewers'}, want=201)
    assert [a['name'] for a in viewer('GET', '/addons', want=200).json] == ['perm-db'] and stranger('GET', '/addons', want=200).json == []
    viewer('GET', '/addons/perm-db', want=200)
    viewer('GET', '/addons/perm-db/config', want=403)
    viewer('PATCH', f'/apps/{app}/addons/perm-db', {'name': 'x1'}, want=403)
    viewer('DELETE', f'/apps/{app}/addons/perm-db', want=403)
    viewer('POST', '/addon-attachments', {'addon': 'perm-db', 'app': 'perm-viewers'}, want=403)
    stranger('GET', '/addons/perm-db', want=404)
    stranger('GET', '/addons/perm-db/addon-attachments', want=404)
    stranger('POST', '/addon-attachments', {'addon': 'perm-db', 'app': mine}, want=404)
    stranger('POST', '/actions/addons/resolve', {'addon': 'perm-db'}, want=404)
    stranger('POST', '/actions/addon-attachments/resolve', {'addon_attachment': 'FAKE', 'app': app}, want=404)
    c('POST', '/addon-attachments', {'addon': 'perm-db', 'app': mine, 'name': 'LENT'}, want=201)
    # whoever has it attached sees it, and no more
    t = stranger('GET', f'/apps/{mine}/addon-attachments', want=200).json[0]
    stranger('GET', '/addons/perm-db', want=200)
    stranger('GET', '/addons/perm-db/config', want=403)
    assert [x['app']['name'] for x in stranger('GET', '/addons/perm-db/addon-attachments', want=200).json] == [mine]
    stranger('DELETE', f'/addon-attachments/{t["id"]}', want=200)
    stranger('GET', '/addons/perm-db', want=404)
    for a in (app, mine, 'perm-viewers'):
        c('DELETE', f'/apps/{a}', want=200)


def test_providers_that_do_not_provide(c, fake):
    """All at once, as each is tried a few times with waits between."""
    cases = {'refuse': (422, 'no more of these today', 1), 'garbage': (503, 'not JSON', 3),
             'nothing': (503, 'its config is no object', 3), 'wrong': (503, 'which the manifest does not name', 3),
             'later': (503, 'not done within 4 seconds; it said: the machine is warming up', None)}
    fake.mode(**{f'provision bad-{how}': how for how in cases})
    with ThreadPoolExecutor() as pool:
        def make(how):
            mine = c.with_token(c.token)
            bare(mine, f'bad-{how}')
            return mine.send('POST', f'/apps/bad-{how}/addons', {'plan': 'fake', 'name': f'bad-{how}'})
        answers = dict(zip(cases, pool.map(make, cases)))
    for how, (status, why, calls) in cases.items():
        app, a = f'bad-{how}', answers[how]
        assert a.status == status and why in a.data.decode(), (how, a)
        assert calls is None or len([x for x in fake.calls('provision') if x['how'] == how]) == calls
        assert c('GET', f'/apps/{app}/addons', want=200).json == [] and c('GET', f'/apps/{app}/addon-attachments', want=200).json == []
        assert config(c, app) == {} and not [d for d in releases(c, app) if 'ttach' in d]
    wait_for('the provider to be rid of all', lambda: fake.there() == set(), 15)
    # whoever asks later learns why; of the refusal nothing is left: the name is free at once
    assert c('GET', '/addons/bad-garbage', want=200).json['task']['failure'] == 'fake: provision answered something that is not JSON'
    fake.mode()
    c('POST', '/apps/bad-refuse/addons', {'plan': 'fake', 'name': 'bad-refuse'}, want=201)
    for how in cases:
        c('DELETE', f'/apps/bad-{how}', want=200)


def test_faults_of_change_and_rotation_leave_it_as_it_was(c, fake):
    app = bare(c, 'bad-change')
    c('POST', f'/apps/{app}/addons', {'plan': 'fake', 'name': 'steady'}, want=201)
    was = config(c, app)
    for how, status in (('refuse', 422),):
        fake.mode(change=how)
        a = c.send('PATCH', f'/apps/{app}/addons/steady', {'plan': 'fake:maxi'})
        assert a.status == status
        now = c('GET', '/addons/steady', want=200).json
        assert now['plan']['name'] == 'fake:mini' and now['state'] == 'provisioned' and now['task']['failure'] and config(c, app) == was
    fake.mode()
    assert c('PATCH', f'/apps/{app}/addons/steady', {'plan': 'fake:maxi'}, want=200).json['task'] is None
    # removal is tried until it succeeds
    fake.mode(deprovision='refuse')
    c('DELETE', f'/apps/{app}/addons/steady', want=200)
    a = wait_for('a second try', lambda: (lambda j: j['task']['tries'] >= 2 and j)(c('GET', '/addons/steady', want=200).json))
    assert a['state'] == 'deprovisioned' and a['task']['failure'] == 'no more of these today' and fake.there() == {a['id']}
    assert config(c, app) == {}
    fake.mode()
    gone(c, 'steady')
    assert fake.there() == set()
    c('DELETE', f'/apps/{app}', want=200)


def test_two_at_once_and_kill(paas, c, fake):
    """kill -9 while provisioning, while changing a plan, while removing: taken up where it was."""
    apps = [bare(c, f'twice-{i}') for i in range(2)]
    fake.mode(provision='hang')
    posts = [subprocess.Popen(['curl', '-s', '-m', '20', '-H', f'Authorization: Bearer {c.token}', '-H', 'Accept: application/vnd.heroku+json; version=3',
                               '-H', 'Content-Type: application/json', '-d', json.dumps({'plan': 'fake', 'name': f'pair-{i}'}),
                               f'http://127.0.0.1:{paas.port}/apps/{a}/addons', '-H', f'Host: localhost:{paas.port}'],
                              stdout=subprocess.DEVNULL) for i, a in enumerate(apps)]
    wait_for('both to be asked for', lambda: {x['addon']['name'] for x in fake.calls('provision') if x['how'] == 'hang'} >= {'pair-0', 'pair-1'})
    paas.kill9()
    for p in posts:
        p.wait()
    fake.mode(change='slow', deprovision='slow')
    paas.start()
    for i, a in enumerate(apps):
        wait_for('it is provisioned', lambda: c('GET', f'/addons/pair-{i}', want=200).json['state'] == 'provisioned')
        wait_for('its release', lambda: releases(c, a)[0] == f'Attach FAKE (@ref:pair-{i})')
        assert config(c, a)['FAKE_URL'] == 'fake://own:1@h/1'
    n = len(fake.calls('change'))
    p = subprocess.Popen(['curl', '-s', '-m', '20', '-X', 'PATCH', '-H', f'Authorization: Bearer {c.token}', '-H', 'Content-Type: application/json',
                          '-H', 'Accept: application/vnd.heroku+json; version=3',
                          '-d', '{"plan": "fake:maxi"}', f'http://127.0.0.1:{paas.port}/apps/{apps[0]}/addons/pair-0', '-H', f'Host: localhost:{paas.port}'],
                         stdout=subprocess.DEVNULL)
    wait_for('the change', lambda: len(fake.calls('change')) > n)
    paas.kill9()
    p.wait()
    paas.start()
    wait_for('the plan', lambda: c('GET', '/addons/pair-0', want=200).json['plan']['name'] == 'fake:maxi')
    wait_for('its release', lambda: releases(c, apps[0])[0] == 'Update FAKE by fake')
    n = len(fake.calls('deprovision'))
    c('DELETE', f'/apps/{apps[0]}', want=200)
    wait_for('the removal', lambda: len(fake.calls('deprovision')) > n)
    paas.kill9()
    paas.start()
    gone(c, 'pair-0')
    c('DELETE', f'/apps/{apps[1]}/addons/pair-1', want=200)
    gone(c, 'pair-1')
    assert fake.there() == set()
    # while it is being provisioned
    fake.mode(provision='later')
    p = subprocess.Popen(['curl', '-s', '-m', '20', '-H', f'Authorization: Bearer {c.token}', '-H', 'Content-Type: application/json',
                          '-H', 'Accept: application/vnd.heroku+json; version=3', '-d', json.dumps({'plan': 'fake', 'name': 'unborn'}),
                          f'http://127.0.0.1:{paas.port}/apps/{apps[1]}/addons', '-H', f'Host: localhost:{paas.port}'], stdout=subprocess.DEVNULL)
    wait_for('it is asked for', lambda: c.send('GET', '/addons/unborn').status == 200)
    a = c('GET', '/addons/unborn', want=200).json
    assert a['state'] == 'provisioning' and a['config_vars'] == ['FAKE_URL']
    assert 'unborn' in c('PATCH', f'/apps/{apps[1]}/config-vars', {'FAKE_URL': 'x'}, want=422).message
    assert c('PATCH', f'/apps/{apps[1]}/addons/unborn', {'plan': 'fake:maxi'}).status == 409
    c('DELETE', f'/apps/{apps[1]}/addons/unborn', want=200)
    gone(c, 'unborn')
    p.wait()
    left = [d for d in releases(c, apps[1]) if 'unborn' in d]
    assert left in ([], ['Detach FAKE (@ref:unborn)'])
    c('DELETE', f'/apps/{apps[1]}', want=200)


def test_a_buildpack_asks_for_addons(paas, c, fake, tmp_path_factory):
    """bin/release's addons, on the first deploy; one that cannot be had does not fail it."""
    top = tmp_path_factory.mktemp('asks')
    pack, code = top / 'pack', top / 'code'
    (pack / 'bin').mkdir(parents=True)
    code.mkdir()
    for name, text in (('detect', 'echo Asks'), ('compile', 'true'),
                       ('release', "printf 'addons: [fake:maxi, nosuch]\\nconfig_vars: {FAKE_URL: of-the-buildpack}\\n'")):
        (pack / 'bin' / name).write_text(f'#!/bin/sh\n{text}\n')
        (pack / 'bin' / name).chmod(0o755)
    bare(c, 'asks')
    c('PUT', '/apps/asks/buildpack-installations', {'updates': [{'buildpack': str(pack)}]}, want=200)
    (code / 'Procfile').write_text('worker: sleep 60\n')
    paas.git('init', '-q', '-b', 'main', cwd=code)
    paas.commit(str(code))
    said = paas.git('push', f'{paas.url}/asks.git', 'main', cwd=code, token=c.token).stderr
    assert 'Adding fake:maxi' in said and 'Could not add it: ' in said and '"nosuch"' in said, said
    assert config(c, 'asks') == {'FAKE_URL': 'fake://own:1@h/2'}
    assert [d.split()[0] for d in releases(c, 'asks')[:2]] == ['Deploy', 'Attach']
    c('DELETE', '/apps/asks', want=200)
    wait_for('the provider to be rid of all', lambda: fake.there() == set())


def test_memcached(paas, c, app):
    """The worked example: a process of its own for each add-on, which the app reaches; restarts; another plan."""
    a = c('POST', f'/apps/{app}/addons', {'plan': 'memcached', 'name': 'the-cache'}, want=201).json
    assert a['state'] == 'provisioned' and a['config_vars'] == ['MEMCACHED_SERVERS'] and a['provision_message'] == 'A cache of 64 MB'
    where = config(c, app)['MEMCACHED_SERVERS']
    settled(c, app)
    talk = ('import os, socket\n'
            'h, p = os.environ["MEMCACHED_SERVERS"].rsplit(":", 1)\n'
            's = socket.create_connection((h, int(p)), 5)\n'
            's.sendall(b"set a 0 0 5\\r\\nhello\\r\\nget a\\r\\nstats settings\\r\\nquit\\r\\n")\n'
            'print(s.makefile().read())\n')
    said = paas.ctl('run', '-a', app, '--', 'python3', '-c', talk, token=c.token).stdout
    assert 'hello' in said and f'STAT maxbytes {64 << 20}' in said
    c('PATCH', f'/apps/{app}/addons/the-cache', {'plan': 'large'}, want=200)
    assert config(c, app)['MEMCACHED_SERVERS'] == where and releases(c, app)[0].startswith('Attach'), 'its place is the same: no release'
    said = wait_for('the larger one', lambda: (lambda t: 'maxbytes' in t and t)(paas.ctl('run', '-a', app, '--', 'python3', '-c', talk, token=c.token).stdout))
    assert f'STAT maxbytes {512 << 20}' in said
    c('DELETE', f'/apps/{app}/addons/the-cache', want=200)
    gone(c, 'the-cache')
    assert not os.listdir(os.path.join(paas.state, 'services')), 'nothing of it is left'


def test_webhooks_and_no_pending(c, fake):
    app = bare(c, 'hooked')
    c('POST', f'/apps/{app}/webhooks', {'url': 'https://nowhere.invalid/', 'include': ['api:addon', 'api:addon-attachment'], 'level': 'notify'}, want=201)
    c('POST', f'/apps/{app}/addons', {'plan': 'fake', 'name': 'told-of'}, want=201)
    c('DELETE', f'/apps/{app}/addons/told-of', want=200)
    gone(c, 'told-of')
    events = [e['payload'] for e in c('GET', f'/apps/{app}/webhook-events', want=200).json]
    told = {(e['resource'], e['action']) for e in events}
    assert told == {('addon', 'create'), ('addon', 'update'), ('addon', 'destroy'),
                    ('addon-attachment', 'create'), ('addon-attachment', 'destroy')}
    assert all(e['data']['name'] in ('told-of', 'FAKE') for e in events) and 'fake://' not in json.dumps(events)
    c('DELETE', f'/apps/{app}', want=200)


def test_paasctl(paas, c, fake):
    def ctl(*args, check=True):
        return paas.ctl(*args, token=c.token, check=check)
    ctl('apps:create', 'by-ctl', '--addons', 'fake', '--no-remote')
    assert 'fake:mini' in ctl('apps:info', '-a', 'by-ctl').stdout
    bare(c, 'by-ctl-two')
    assert 'memcached' in ctl('addons:services').stdout and 'size=2' in ctl('addons:plans', 'fake').stdout
    r = ctl('addons:create', 'fake:maxi', '--as', 'SECOND', '--name', 'ctl-db', '--wait', '-a', 'by-ctl', '--', '--colour', 'red', '--deep')
    assert 'Created ctl-db as SECOND_URL' in r.stdout and '$5/month' in r.stderr
    assert fake.calls('provision')[-1]['addon']['options'] == {'colour': 'red', 'deep': 'true'}
    r = ctl('addons:create', 'fake', '--as', 'SECOND', '-a', 'by-ctl', '--confirm', 'wrong', check=False)
    assert r.returncode == 5 and 'overwrite' in r.stderr
    info = ctl('addons:info', 'SECOND', '-a', 'by-ctl').stdout
    assert '=== ctl-db' in info and 'SECOND_URL' in info and 'size=2' in info
    assert 'as CACHE (CACHE_URL)' in ctl('addons:attach', 'ctl-db', '--as', 'CACHE', '-a', 'by-ctl-two').stderr
    listed = ctl('addons', '-a', 'by-ctl').stdout
    assert 'by-ctl-two::CACHE' in listed and 'ctl-db' in listed and 'ctl-db' in ctl('addons', '--all').stdout
    ctl('addons:upgrade', 'ctl-db', 'mini')
    assert ctl('addons:info', 'nosuch', check=False).returncode == 4
    r = ctl('addons:destroy', 'ctl-db', '-a', 'by-ctl', '--confirm', 'by-ctl', check=False)
    assert r.returncode == 2 and '--force' in r.stderr
    ctl('addons:rename', 'ctl-db', 'ctl-new')
    ctl('addons:wait', 'ctl-new')
    ctl('addons:detach', 'CACHE', '-a', 'by-ctl-two')
    assert ctl('addons:docs', 'memcached', '--show-url').stdout.strip() == 'https://docs.memcached.org/'
    assert ctl('addons:open', 'ctl-new', '--show-url', check=False).returncode == 4
    ctl('addons:destroy', 'ctl-new', '-a', 'by-ctl', '--confirm', 'by-ctl')
    for a in ('by-ctl', 'by-ctl-two'):
        c('DELETE', f'/apps/{a}', want=200)
    wait_for('the provider to be rid of all', lambda: fake.there() == set())


def test_every_route_of_addons_has_answered(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('addons') - c.seen == set()
