"""addons: with a service of a few lines of shell."""
import json
import os
import threading
import urllib.request
from urllib.parse import urlencode

import pytest

from heroku_cli import ROOT, Heroku
from partner import Partner
from platform_under_test import Platform

APP, OTHER = 'addon-app', 'addon-other'
A = ['-a', APP]

MANIFEST = '''name: shelf
aliases: [bookshelf]
human_name: A shelf
docs_url: https://docs.example.com/shelf
web_url: https://shelf.example.com/
prefix: SHELF
config_vars: [URL]
plans: [{name: mini}, {name: maxi, price: 500}]
abilities: [change, credentials]
'''


PARTNERS = '''name: acme
prefix: ACME
config_vars: [URL, KEY]
plans: [{{name: basic}}, {{name: premium}}]
partner: {{base_url: "{url}/heroku/resources", sso_url: "{url}/heroku/sso"}}
'''


@pytest.fixture(scope='module')
def partner():
    p = Partner()
    yield p
    p.close()
    assert p.wrong == [] and p.there == {}


@pytest.fixture(scope='module')
def paas(tmp_path_factory, partner):
    top = tmp_path_factory.mktemp('addons')
    (top / 'acme').mkdir()
    (top / 'acme' / 'addon.yml').write_text(PARTNERS.format(url=partner.url))
    (top / 'settings').mkdir()
    with open(top / 'settings' / 'acme.yml', 'w') as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(f'password: "{partner.password}"\nsso_salt: "{partner.salt}"\nclient_secret: "{partner.secret}"\n')
    bin = top / 'shelf' / 'bin'
    bin.mkdir(parents=True)
    (top / 'shelf' / 'addon.yml').write_text(MANIFEST)
    # the first call of each add-on says: not yet
    for verb, text in (('provision', 'in=$(cat); case $in in *slow-one*) if mkdir %s/asked 2>/dev/null; then echo "{}"; exit 75; fi;; esac\n' % top +
                        'echo \'{"config": {"URL": "shelf://one"}, "message": "Your shelf is empty"}\''),
                       ('change', 'cat >/dev/null; echo \'{"message": "More boards"}\''),
                       ('credentials', 'cat >/dev/null; echo \'{"config": {"URL": "shelf://reader"}}\''),
                       ('deprovision', 'cat >/dev/null')):
        (bin / verb).write_text(f'#!/bin/sh\n{text}\n')
        (bin / verb).chmod(0o755)
    p = Platform(ROOT, '--set', f'addons_dir={top}', '--set', 'addon.retry=2', '--set', f'addon.settings_dir={top}/settings',
                 '--set', 'outgoing.allow=127.0.0.0/8')
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def heroku(paas):
    for name in (APP, OTHER):
        assert paas.api('POST', '/apps', {'name': name})[0] == 201
    return Heroku(paas)


def test_what_there_is(session):
    session('addons', *A).has('No add-ons for app')
    session('addons:services').has('shelf')
    session('addons:plans', 'bookshelf').has('shelf:mini', 'free', 'shelf:maxi', '$5')
    session('addons:docs', 'shelf', '--show-url').has('https://')
    session('addons:create', 'nothing', *A, code=None).has("Couldn't find")


def test_a_life(heroku, session):
    r = heroku('addons:create', 'shelf:mini', '--name', 'my-shelf', *A, '--', '--boards', '5', '--deep')
    r.has('Created my-shelf as SHELF_URL', 'free')
    session('config:set', 'SHELF_URL=x', *A, code=2).has('SHELF_URL', 'my-shelf')
    session('addons', *A).has('my-shelf', 'mini', 'free')
    session('addons:open', 'SHELF', '--show-url', *A).has('https://shelf.example.com/')
    session('addons:upgrade', 'my-shelf', 'shelf:maxi', *A).has('done')
    session('addons:info', 'SHELF', *A).has('=== my-shelf', 'shelf:maxi')
    session('addons:rename', 'my-shelf', 'our-shelf').has('our-shelf')
    session('addons:attach', 'our-shelf', '--as', 'LENT', '-a', OTHER).has('Attaching our-shelf', 'done', 'v')
    assert session('addons', '--json', '-a', OTHER).json[0]['plan']['name'] == 'shelf:maxi'
    session('addons:destroy', 'our-shelf', '--confirm', APP, *A, code=1).has(OTHER)
    session('addons:detach', 'LENT', '-a', OTHER).has('Detaching LENT', 'done')
    session('addons:attach', f'{APP}::SHELF', '--credential', 'nobody', '-a', OTHER, code=None).has('nobody')
    session('addons:destroy', 'our-shelf', '--force', '--confirm', APP, *A).has('done')
    session('addons', '--all').has('No add-ons')
    session('releases', *A).has('Detach SHELF (@ref:our-shelf)', 'Attach SHELF (@ref:my-shelf)')


def test_waiting_and_names_that_are_taken(heroku, session):
    session('addons:create', 'shelf', '--as', 'BOOKS', *A)
    heroku('addons:create', 'shelf', '--as', 'BOOKS', *A, code=None).has('BOOKS')  # it would ask in a session
    session('addons:create', 'shelf', '--name', 'slow-one', '--wait', *A).has('slow-one')
    session('addons:wait', *A)
    session('addons:info', 'shelf', *A, code=None).has('Ambiguous identifier')
    session('apps:create', 'addon-third', '--addons', 'shelf,shelf:maxi', '--no-remote').has('done')
    session('apps:info', '-a', 'addon-third').has('Addons', 'shelf:maxi', 'shelf:mini')


def come_back(paas, partner, uuid):
    """What a partner does when it is done: tokens, config, done."""
    body = urlencode({'grant_type': 'authorization_code', 'code': partner.grants[uuid][-1], 'client_secret': partner.secret}).encode()
    with urllib.request.urlopen(urllib.request.Request(paas.url.replace('localhost', '127.0.0.1') + '/oauth/token', body), timeout=30) as r:
        token = json.load(r)['access_token']
    config = {'config': [{'name': k, 'value': v} for k, v in partner.config(uuid).items()]}
    assert paas.api('PATCH', f'/addons/{uuid}/config', config, token=token)[0] == 200
    assert paas.api('POST', f'/addons/{uuid}/actions/provision', token=token)[0] == 200


def test_a_partner(paas, partner, session):
    """Made in its own time, waited for, opened, moved, removed."""
    session('apps:create', 'addon-partner', '--no-remote')
    P = ['-a', 'addon-partner']
    partner.mode = {'provision': lambda r: threading.Timer(0.5, come_back, (paas, partner, r['uuid'])).start() or 'later'}
    session('addons:create', 'acme:basic', '--name', 'acme-db', '--wait', *P).has('acme-db', 'ACME_URL')
    uuid = next(iter(partner.there))
    session('config:get', 'ACME_KEY', *P).has('key-1')
    session('addons:open', 'ACME', '--show-url', *P).has(f'/sso/{uuid}')
    session('addons:upgrade', 'acme-db', 'acme:premium', *P).has('now premium')
    session('addons:destroy', 'acme-db', '--confirm', 'addon-partner', *P).has('done')
