"""Add-ons when things go wrong, or change under them: passwords that rotate while several apps use them, credentials, a full disk,
a provider that is down when the app goes, a shared process whose service is another after a restart."""
import json
import os
import socket

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for
from test_addons import ROOT, Fake, bare, config, gone, make_service, newest, releases

SHARED = {
    'service': 'import json, sys\nHERE = %r\njson.load(sys.stdin)\n'
               "print(json.dumps({'service': {'argv': ['/service/bin/run'], 'env': ['SAYS=' + open(HERE + '/SAYS').read()], 'port': 7000},\n"
               "                  'private': {'k': 'v'}}))\n",
    'provision': 'import json, sys\nHERE = %r\ns = json.load(sys.stdin)["service"]\n'
                 "print(json.dumps({'config': {'URL': '%%s:%%d' %% (s['address'], s['port'])}, 'private': s['private']}))\n",
    'deprovision': 'HERE = %r\n',
    'run': 'import os, socket\nHERE = %r\ns = socket.create_server((os.environ["SERVICE_ADDRESS"], int(os.environ["SERVICE_PORT"])))\n'
           'while True:\n    c, _ = s.accept()\n    c.sendall(os.environ["SAYS"].encode())\n    c.close()\n',
}


def make_shared(folder, here):
    os.makedirs(os.path.join(folder, 'common', 'bin'))
    with open(os.path.join(folder, 'common', 'addon.yml'), 'w') as f:
        f.write('name: common\nprefix: COMMON\nconfig_vars: [URL]\nplans: [{name: only}]\nservice: shared\n')
    for verb, text in SHARED.items():
        path = os.path.join(folder, 'common', 'bin', verb)
        with open(path, 'w') as f:
            f.write('#!/usr/bin/python3 -I\n' + text % here)
        os.chmod(path, 0o755)


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('fake'))


@pytest.fixture(scope='module')
def paas(here):
    # whose credentials and rotation have routes, which know no more of it than its name
    make_service(here + '/services', here, 'heroku-postgresql', 'DATABASE')
    make_shared(here + '/services', here)
    p = Platform(ROOT, '--set', f'addons_dir={here}/services', '--set', 'addon.retry=1', '--set', 'addon.provision_timeout=8')
    try:
        p.start('--set', 'disk_reserve=1048576')
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


def says(url):
    host, port = url.rsplit(':', 1)
    try:
        with socket.create_connection((host, int(port)), 5) as s:
            return s.makefile().read()
    except OSError:
        return None


def set_says(here, text):
    with open(here + '/SAYS', 'w') as f:
        f.write(text)


def test_a_full_disk_and_another_shared_process(paas, c, here):
    """A process is not made when the disk is full, and is when there is room. What bin/service says after a restart holds."""
    app = bare(c, 'full')
    set_says(here, 'first')
    a = c.send('POST', f'/apps/{app}/addons', {'plan': 'common', 'name': 'com'})
    assert a.status >= 500 and 'disk is full' in a.data.decode(), a.data
    assert c('GET', f'/apps/{app}/addons', want=200).json == [] and config(c, app) == {}
    assert not os.path.isdir(paas.state + '/services') or os.listdir(paas.state + '/services') == []
    paas.stop()
    paas.start()
    c.close()
    a = c('POST', f'/apps/{app}/addons', {'plan': 'common', 'name': 'com-too'}, want=201).json
    assert a['state'] == 'provisioned'
    url = config(c, app)['COMMON_URL']
    assert says(url) == 'first'
    made = os.listdir(paas.state + '/services')
    set_says(here, 'second')
    paas.kill9()
    paas.start()
    c.close()
    wait_for('the other process', lambda: says(url) == 'second', 10)
    assert config(c, app)['COMMON_URL'] == url and os.listdir(paas.state + '/services') == made
    # the same is left alone
    paas.kill9()
    paas.start()
    c.close()
    wait_for('the process', lambda: says(url) == 'second')
    # one that cannot be asked goes on as it was
    with open(here + '/services/common/bin/service', 'w') as f:
        f.write('#!/bin/sh\nexit 1\n')
    paas.kill9()
    paas.start()
    c.close()
    bare(c, 'late')
    c('POST', '/apps/late/addons', {'plan': 'common', 'name': 'com-late'}, want=201)
    assert says(url) == 'second'
    for app in ('full', 'late'):
        c('DELETE', f'/apps/{app}', want=200)
    gone(c, 'com-too')
    gone(c, 'com-late')


PG = '/postgres/v0/databases/'


def test_rotation_reaches_every_app(c, fake):
    one, two = bare(c, 'rot-one'), bare(c, 'rot-two')
    c('POST', f'/apps/{one}/addons', {'plan': 'heroku-postgresql', 'name': 'pg'}, want=201)
    c('POST', '/addon-attachments', {'addon': 'pg', 'app': two, 'name': 'OTHER'}, want=201)
    old = config(c, one)['DATABASE_URL']
    assert old == config(c, two)['OTHER_URL'] == 'fake://own:1@h/1'
    before = {app: newest(c, app)['version'] for app in (one, two)}
    c('POST', PG + 'pg/credentials/default/credentials_rotation', want=200)
    new = wait_for('the new password', lambda: (lambda v: v != old and v)(config(c, one)['DATABASE_URL']))
    assert new == 'fake://own:2@h/1' and wait_for('the other app', lambda: config(c, two)['OTHER_URL'] == new)
    for app in (one, two):
        assert newest(c, app)['version'] == before[app] + 1 and releases(c, app)[0].startswith('Update '), releases(c, app)
    # the release of then keeps what it was; going back to it does not bring the old password back
    key = {one: 'DATABASE_URL', two: 'OTHER_URL'}
    for app in (one, two):
        assert c('GET', f'/apps/{app}/releases/{before[app]}/config-vars', want=200).json[key[app]] == old
    c('PATCH', f'/apps/{one}/config-vars', {'MINE': '1'}, want=200)
    c.send('POST', f'/apps/{one}/releases', {'release': before[one]})
    assert config(c, one)['DATABASE_URL'] == new
    # a provider that refuses: all stays as it was
    fake.mode(rotate='refuse')
    assert 'no more of these today' in c.send('POST', PG + 'pg/credentials/default/credentials_rotation').data.decode()
    assert config(c, one)['DATABASE_URL'] == new == config(c, two)['OTHER_URL']


def test_credentials_have_names_of_their_own(c, fake):
    """A credential is attached by its name space, rotates alone, and cannot go while it is attached."""
    one, two = 'rot-one', 'rot-two'
    own = config(c, one)['DATABASE_URL']
    c('POST', PG + 'pg/credentials', {'name': 'reader'}, want=200)
    t = c('POST', '/addon-attachments', {'addon': 'pg', 'app': two, 'name': 'READER', 'namespace': 'credential:reader'}, want=201).json
    assert t['namespace'] == 'credential:reader' and config(c, two)['READER_URL'] == 'fake://reader@h'
    assert c('GET', '/addons/pg/config/credential:reader', want=200).json == [{'name': 'URL', 'value': 'fake://reader@h'}]
    for bad in ('credential:nobody', 'nonsense'):
        assert c.send('POST', '/addon-attachments', {'addon': 'pg', 'app': two, 'name': 'BAD', 'namespace': bad}).status in (404, 422)
    c('POST', PG + 'pg/credentials/reader/credentials_rotation', want=200)
    wait_for('its password', lambda: config(c, two)['READER_URL'] != 'fake://reader@h')
    assert config(c, two)['READER_URL'].startswith('fake://reader:') and config(c, two)['OTHER_URL'] == own == config(c, one)['DATABASE_URL']
    assert c.send('DELETE', PG + 'pg/credentials/reader').status == 409
    c('DELETE', f'/addon-attachments/{t["id"]}', want=200)
    c('DELETE', PG + 'pg/credentials/reader', want=200)
    assert c('GET', '/addons/pg/config/credential:reader', want=200).json == []
    assert set(config(c, two)) == {'OTHER_URL'}


def test_the_app_goes_while_the_provider_is_down(paas, c, fake):
    """Its add-on is taken off at once, and removed when the provider is back, over a restart too."""
    app = bare(c, 'leaving')
    a = c('POST', f'/apps/{app}/addons', {'plan': 'heroku-postgresql', 'name': 'orphan'}, want=201).json
    fake.mode(deprovision='refuse')
    c('DELETE', f'/apps/{app}', want=200)
    wait_for('two tries', lambda: len([x for x in fake.calls('deprovision') if x['addon']['uuid'] == a['id']]) >= 2, 20)
    assert fake.there() == {a['id']}
    paas.kill9()
    paas.start()
    c.close()
    assert fake.there() == {a['id']}
    fake.mode()
    wait_for('the provider to be rid of it', lambda: fake.there() == set(), 20)
    gone(c, 'orphan')
    for app in ('rot-one', 'rot-two'):
        c('DELETE', f'/apps/{app}', want=200)
