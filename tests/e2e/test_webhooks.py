"""Webhooks, with receivers that check the signature by code of their own, fail, and are slow; and a paasd that is
killed before it has told."""
import base64
import hashlib
import hmac
import json
import os

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for
from receivers import Authority, HttpReceiver

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP = 'hooked'


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


@pytest.fixture(scope='module')
def paas(authority, tmp_path_factory):
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8', '--set', f'outgoing.ca_file={authority.ca}')
    try:
        p.start()
        p.login()
        c = Client(p, p.token)
        c('POST', '/apps', {'name': APP}, want=201)
        c.close()
        yield p
    finally:
        p.close()


@pytest.fixture
def c(paas):
    client = Client(paas, paas.token)
    yield client
    for w in client('GET', f'/apps/{APP}/webhooks', want=200).json:
        client('DELETE', f'/apps/{APP}/webhooks/{w["id"]}', want=200)
    client.close()


def add(c, url, *include, level='sync', **more):
    a = c('POST', f'/apps/{APP}/webhooks', {'url': url, 'include': list(include), 'level': level, **more}, want=201)
    return a.json, a.headers['Heroku-Webhook-Secret']


def told(r):
    return [json.loads(q.body) for q in list(r.requests)]


def signed(q, secret):
    return q.headers['Heroku-Webhook-Hmac-SHA256'] == base64.b64encode(
        hmac.new(secret.encode(), q.body, hashlib.sha256).digest()).decode()


def set_var(c, value):
    c('PATCH', f'/apps/{APP}/config-vars', {'A': value}, want=200)


def test_events_of_a_push_and_of_scaling(paas, c, authority, tmp_path):
    r = HttpReceiver(tls=authority.context())
    w, secret = add(c, f'https://localhost:{r.port}/hook', 'api:build', 'api:release', 'api:formation', 'dyno',
                    authorization='Bearer hunter2')
    assert w['include'] == ['api:build', 'api:release', 'api:formation', 'dyno'] and w['level'] == 'sync'
    c('PUT', f'/apps/{APP}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    paas.git('init', '-q', '-b', 'main', cwd=tmp_path)
    paas.commit(tmp_path, Procfile='web: exec python3 -m http.server $PORT\n')
    paas.git('push', '-q', f'{paas.url}/{APP}.git', 'main', cwd=tmp_path)
    c('PATCH', f'/apps/{APP}/formation/web', {'quantity': 2}, want=200)
    wait_for('the scaling', lambda: any(e['resource'] == 'formation' for e in told(r)))
    got = [(e['resource'], e['action'], e['data'].get('status')) for e in told(r)]
    assert got.index(('build', 'create', 'pending')) >= 0
    for want in (('build', 'update', 'succeeded'), ('release', 'create', 'pending'), ('release', 'update', 'succeeded')):
        assert want in got, got
    wait_for('a dyno', lambda: any(e['resource'] == 'dyno' and e['data']['state'] == 'up' for e in told(r)))
    for q in r.requests:
        assert signed(q, secret) and q.headers['Authorization'] == 'Bearer hunter2' and q.path == '/hook'
        assert q.headers['Content-Type'] == 'application/json'
        e = json.loads(q.body)
        meta = e['webhook_metadata']
        assert meta['webhook']['id'] == w['id'] and meta['event']['id'] == e['id'] and meta['attempt']['id']
        assert e['actor']['email'] == 'admin@localhost' and e['version'] == 'application/vnd.heroku+json; version=3'
    scaled = next(e for e in told(r) if e['resource'] == 'formation')
    assert scaled['previous_data']['quantity'] == 1 and scaled['data']['quantity'] == 2
    # the resource is as the API gives it
    release = c('GET', f'/apps/{APP}/releases', headers={'Range': 'version ..; order=desc, max=1'}).json[0]
    last = [e for e in told(r) if e['resource'] == 'release'][-1]['data']
    assert {k: v for k, v in last.items() if 'url' not in k} == {k: v for k, v in release.items() if 'url' not in k}
    deliveries = wait_for('deliveries', lambda: (lambda l: l if l and all(d['status'] == 'succeeded' for d in l) else 0)(
        c('GET', f'/apps/{APP}/webhook-deliveries', headers={'Range': 'seq ..; order=desc,max=1000'}, want=200).json))
    assert len(deliveries) == len(r.requests) and all(d['num_attempts'] == 1 for d in deliveries)
    events = c('GET', f'/apps/{APP}/webhook-events', want=200).json
    assert {e['id'] for e in events} == {e['id'] for e in told(r)}
    assert c('GET', f'/apps/{APP}/webhook-events/{events[0]["id"]}', want=200).json == events[0]
    r.close()


def test_levels_retries_and_status(paas, c):
    tries = {}

    def answer(q):
        """Each delivery fails twice."""
        ids = json.loads(q.body)['webhook_metadata']
        mine = tries.setdefault(ids['delivery']['id'], set())
        mine.add(ids['attempt']['id'])
        return {1: 500, 2: 503}.get(len(mine), 200)
    r = HttpReceiver(answer=answer)
    once = HttpReceiver(answer=lambda q: 500)
    add(c, f'http://127.0.0.1:{r.port}/', 'api:release')
    w, _ = add(c, f'http://127.0.0.1:{once.port}/', 'api:release', level='notify')
    path = f'/apps/{APP}/webhook-deliveries'
    set_var(c, 'levels')
    wait_for('three tries of each', lambda: tries and all(len(t) == 3 for t in tries.values()), 60)
    failed = wait_for('failures', lambda: [d for d in c('GET', path + '?eq[status]=failed', want=200).json
                                           if d['webhook']['id'] == w['id']])
    n = len(failed)
    assert failed[0]['num_attempts'] == 1 and failed[0]['last_attempt']['code'] == 500
    assert failed[0]['next_attempt_at'] is None and len(once.requests) == n
    one = failed[0]['id']
    assert c('GET', f'{path}/{one}', want=200).json == failed[0]
    c('POST', f'{path}/{one}/actions/retry', want=202)
    wait_for('it once more', lambda: len(once.requests) == n + 1)
    c('GET', path + '?eq%5Bstatus%5D=no', want=422)
    r.close()
    once.close()


def test_none_is_lost_by_a_kill(paas, c):
    r = HttpReceiver()
    port = r.port
    w, secret = add(c, f'http://127.0.0.1:{port}/', 'api:release')
    r.close()
    for i in range(10):
        set_var(c, f'kill{i}')
    versions = [x['version'] for x in c('GET', f'/apps/{APP}/releases').json][-10:]
    paas.kill9()
    r.up()
    paas.start('--keep-dynos')
    wait_for('all of them', lambda: {e['data']['version'] for e in told(r)} >= set(versions), 90)
    assert all(signed(q, secret) for q in r.requests)
    r.close()


def test_the_end_of_an_app_is_told(paas, c):
    r = HttpReceiver()
    c('POST', '/apps', {'name': 'ending'}, want=201)
    c('POST', '/apps/ending/webhooks', {'url': f'http://127.0.0.1:{r.port}/', 'include': ['api:app', 'api:collaborator'],
                                        'level': 'sync'}, want=201)
    c('PATCH', '/apps/ending', {'maintenance': True}, want=200)
    c('DELETE', '/apps/ending', want=200)
    wait_for('it', lambda: len(r.requests) == 2)
    up, end = sorted(told(r), key=lambda e: e['action'], reverse=True)
    assert (up['action'], up['previous_data']['maintenance'], up['data']['maintenance']) == ('update', False, True)
    assert (end['action'], end['resource'], end['data']['name']) == ('destroy', 'app', 'ending')
    r.close()


def test_what_is_refused(paas, c):
    p = f'/apps/{APP}/webhooks'
    good = {'url': 'https://hooks.example.com/x', 'include': ['api:release'], 'level': 'notify'}
    for change in ({'url': 'ftp://x/'}, {'url': 'https://a:b@x/'}, {'include': []}, {'include': ['api:no']}, {'level': 'all'},
                   {'include': 'api:release'}, {'secret': ''}, {'authorization': 'a\nb'}, {'x': 1}):
        c('POST', p, {**good, **change}, want=422)
    w = c('POST', p, {**good, 'secret': 'of my own'}, want=201)
    assert w.headers['Heroku-Webhook-Secret'] == 'of my own'
    one = f'{p}/{w.json["id"]}'
    assert c('GET', one, want=200).json == w.json
    assert c('PATCH', one, {'level': 'sync', 'include': ['api:addon', 'dyno']}, want=200).json['include'] == ['api:addon', 'dyno']
    c('PATCH', one, {'include': ['x']}, want=422)
    assert len(c('PATCH', one, {'secret': None}, want=200).headers['Heroku-Webhook-Secret']) == 64
    for i in range(29):
        c('POST', p, good, want=201)
    assert 'at most 30' in c('POST', p, good, want=422).message


def test_private_addresses_and_redirects(paas, c):
    r = HttpReceiver()
    h = HttpReceiver(answer=lambda q: (302, {'Location': f'http://127.0.0.1:{r.port}/'}))
    add(c, f'http://127.0.0.1:{h.port}/', 'api:release', level='notify')
    add(c, 'http://10.255.255.1/', 'api:release', level='notify')
    set_var(c, 'away')
    got = wait_for('failures', lambda: (lambda l: l if len(l) >= 2 else 0)(
        [d for d in c('GET', f'/apps/{APP}/webhook-deliveries?eq[status]=failed').json if d['last_attempt']]))
    assert {d['last_attempt']['code'] for d in got} >= {302, None}
    assert any(d['last_attempt']['error_class'] == 'forbidden_address' for d in got)
    assert not r.requests
    r.close()
    h.close()
