"""Formation and dynos by the API: quantities and sizes, many changes at a time, one-offs; releases and
what may be rolled back to."""
import random
import threading

import pytest

from api_client import Client
from platform_under_test import wait_for
from test_api_code import build, finish, tarball, upload


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


PROCFILE = 'web: exec python3 -m http.server $PORT\nworker: exec sleep 1000\nclock: exec sleep 1000\nrelease: true\n'


@pytest.fixture(scope='module')
def app(paas, c):
    c('POST', '/apps', {'name': 'runs'}, want=201)
    c('PUT', '/apps/runs/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    text, b = finish(paas, c, 'runs', build(c, 'runs', upload(paas, c, tarball({'Procfile': PROCFILE, 'index.html': 'hi\n'}))))
    assert b['status'] == 'succeeded' and 'Waiting for release.... done.' in text, text
    return 'runs'


def formation(c, app):
    return {f['type']: (f['quantity'], f['size']) for f in c('GET', f'/apps/{app}/formation', want=200).json}


def patch(c, app, *updates, want=200):
    return c('PATCH', f'/apps/{app}/formation', {'updates': list(updates)}, want=want)


def test_quantities_and_sizes_in_every_form(c, app):
    sizes = {s['name']: s for s in c('GET', '/dyno-sizes', want=200).json}
    assert {'Eco', 'Basic', 'Standard-1X', 'Standard-2X', 'Performance-M', 'Performance-L', 'Performance-L-RAM',
            'Performance-XL', 'Performance-2XL'} == set(sizes)
    p2x = sizes['Standard-2X']
    assert p2x['memory'] == 1 and c('GET', '/dyno-sizes/STANDARD-2x', want=200).json == p2x
    assert formation(c, app)['release'] == (0, 'Basic')
    for update, after in (
            ({'quantity': 2}, (2, 'Basic')), ({'quantity': '1'}, (1, 'Basic')), ({'quantity': '+2'}, (3, 'Basic')),
            ({'quantity': '-3'}, (0, 'Basic')), ({'size': 'standard-2x'}, (0, 'Standard-2X')),
            ({'dyno_size': 'eco'}, (0, 'Eco')), ({'dyno_size': {'name': 'BASIC'}}, (0, 'Basic')),
            ({'dyno_size': {'id': p2x['id']}}, (0, 'Standard-2X')), ({'size': p2x['id']}, (0, 'Standard-2X')),
            ({'quantity': None, 'size': 'Basic', 'dyno_size': None}, (0, 'Basic')), ({}, (0, 'Basic'))):
        patch(c, app, {'type': 'clock', **update})
        assert formation(c, app)['clock'] == after, update
        one = c('PATCH', f'/apps/{app}/formation/clock', {'size': after[1]}, want=200).json
        assert (one['quantity'], one['size'], one['dyno_size']['name']) == (*after, after[1])
    patch(c, app, {'type': 'release', 'size': 'Standard-1X'})
    assert formation(c, app)['release'] == (0, 'Standard-1X')


def test_what_is_refused_changes_nothing(c, app):
    before = formation(c, app)
    first = {'type': 'clock', 'quantity': 5}
    patch(c, app, first, {'type': 'nosuch', 'quantity': 1}, want=404)
    for bad in ({'type': 'clock', 'quantity': 101}, {'type': 'clock', 'quantity': -1.5}, {'type': 'clock', 'quantity': '-200'},
                {'type': 'clock', 'quantity': '+96'}, {'type': 'clock', 'size': 'huge'}, {'type': 'clock', 'size': 5},
                {'type': 'clock', 'dyno_size': {}}, {'quantity': 1}, {'type': 'clock', 'x': 1}, {'type': 'release', 'quantity': 1},
                {'type': 'clock', 'quantity': 'many'}, {'type': 'clock', 'quantity': ''}, 'clock'):
        patch(c, app, first, bad, want=422)
    patch(c, app, want=422)
    c('PATCH', f'/apps/{app}/formation', {}, want=422)
    c('PATCH', f'/apps/{app}/formation/nosuch', {'quantity': 1}, want=404)
    c('PATCH', f'/apps/{app}/formation/' + 'x' * 200, {'quantity': 1}, want=404)
    assert formation(c, app) == before


def test_of_many_changes_at_once_none_is_lost(paas, c, app):
    """Twenty +1 and -1 at the same time: the sum of them is what there is, in the record and running."""
    patch(c, app, {'type': 'worker', 'quantity': 3})
    seed = random.randrange(1 << 32)
    print('seed', seed)
    steps = ['+1'] * 8 + ['-1'] * 8
    random.Random(seed).shuffle(steps)
    steps = ['+1', '+1', '+1'] + steps  # never below 0 in any order: 3 - 8 could be; those are refused and told
    results = []

    def one(step):
        mine = Client(paas, paas.token)
        results.append((step, mine.send('PATCH', f'/apps/{app}/formation', {'updates': [{'type': 'worker', 'quantity': step}]}).status))
        mine.close()
    threads = [threading.Thread(target=one, args=(s,)) for s in steps]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert {status for _, status in results} <= {200, 422}
    want = 3 + sum(int(step) for step, status in results if status == 200)
    assert formation(c, app)['worker'][0] == want, results

    def running():
        names = sorted(d['name'] for d in c('GET', f'/apps/{app}/dynos', want=200).json
                       if d['type'] == 'worker' and d['state'] in ('starting', 'up'))
        return names == sorted(f'worker.{i + 1}' for i in range(want))
    wait_for('as many as the record says', running)
    patch(c, app, {'type': 'worker', 'quantity': 0})


def test_another_size_of_web_loses_no_request(paas, c, app):
    wait_for('the page', lambda: paas.http(app, '/index.html')[0] == 200)
    before = {d['id'] for d in c('GET', f'/apps/{app}/dynos', want=200).json if d['type'] == 'web'}
    bad, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            status = paas.http(app, '/index.html')[0]
            if status != 200:
                bad.append(status)
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        patch(c, app, {'type': 'web', 'size': 'standard-2x'})

        def replaced():
            web = [d for d in c('GET', f'/apps/{app}/dynos', want=200).json if d['type'] == 'web' and d['state'] == 'up']
            return len(web) == 1 and web[0]['size'] == 'Standard-2X' and web[0]['id'] not in before
        wait_for('the new size', replaced)
        mine = {d['id'] for d in c('GET', f'/apps/{app}/dynos', want=200).json}
        c('DELETE', f'/apps/{app}/dynos', want=202)  # and a restart of all
        wait_for('a restart', lambda: any(d['id'] not in mine and d['state'] == 'up' and d['type'] == 'web'
                                          for d in c('GET', f'/apps/{app}/dynos', want=200).json))
    finally:
        stop.set()
        asker.join()
    assert not bad, bad


def test_one_offs(paas, c, app):
    d = c('POST', f'/apps/{app}/dynos', {'command': 'echo "size $MEMORY_AVAILABLE"; sleep 300', 'attach': False, 'size': 'STANDARD-2X',
                                         'type': 'worker', 'env': {'COLUMNS': 99, 'X': 'y'}, 'time_to_live': '600'}, want=201).json
    assert d['size'] == 'Standard-2X' and d['type'] == 'run'
    wait_for('its line', lambda: 'size 1024' in paas.logs(app))
    listed = {x['id']: x for x in c('GET', f'/apps/{app}/dynos', want=200).json}
    assert listed[d['id']]['release']['version'] == d['release']['version'] and listed[d['id']]['state'] == 'up'
    c('POST', f'/apps/{app}/dynos/{d["id"]}/actions/stop', want=202)
    wait_for('its end', lambda: d['id'] not in {x['id'] for x in c('GET', f'/apps/{app}/dynos', want=200).json})
    d = c('POST', f'/apps/{app}/dynos', {'command': 'sleep 300', 'time_to_live': 1}, want=201).json
    wait_for('its time to be over', lambda: d['id'] not in {x['id'] for x in c('GET', f'/apps/{app}/dynos', want=200).json})


def test_a_one_off_sees_what_was_just_set(paas, c):
    """It does not wait for the new web dynos, but for a release command it does: what that refuses is never seen."""
    c('POST', '/apps', {'name': 'soon'}, want=201)
    c('PUT', '/apps/soon/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    web = 'web: sleep ${SLOW:-0}; exec python3 -m http.server $PORT\n'
    finish(paas, c, 'soon', build(c, 'soon', upload(paas, c, tarball({'Procfile': web}))))

    def seen(n):
        c('POST', '/apps/soon/dynos', {'command': f'echo "{n}: $SLOW, $BAD."'}, want=201)
        wait_for('its line', lambda: f']: {n}: ' in paas.logs('soon'))
        return next(line.split(f']: {n}: ')[1] for line in paas.logs('soon').splitlines() if f']: {n}: ' in line)
    c('PATCH', '/apps/soon/config-vars', {'SLOW': '2'}, want=200)
    assert seen(1) == '2, .'
    newest = c('GET', '/apps/soon/releases', want=200).json[-1]
    assert not newest['current'] and newest['status'] == 'pending'  # or this shows nothing
    wait_for('it', lambda: c('GET', '/apps/soon/releases', want=200).json[-1]['current'])
    finish(paas, c, 'soon', build(c, 'soon', upload(paas, c, tarball({'Procfile': web + 'release: test -z "$BAD"\n'}))))
    c('PATCH', '/apps/soon/config-vars', {'BAD': '1'}, want=200)
    assert seen(2) == '2, .'
    wait_for('its failure', lambda: c('GET', '/apps/soon/releases', want=200).json[-1]['status'] == 'failed')
    assert seen(3) == '2, .'


def test_rollback_retry_and_what_cannot_be(paas, c, app):
    p = f'/apps/{app}/releases'
    good = c('GET', p, want=200).json[-1]
    assert good['eligible_for_rollback']
    blank = c('GET', p, want=200).json[0]
    a = c('POST', p, {'release': blank['id']}, want=422)
    assert not blank['eligible_for_rollback'] and a.id == 'no_slug' and 'v1' in a.message
    for name in ('release', 'slug'):
        c('POST', p, {name: None}, want=422)
    back = c('POST', p, {'release': str(good['version'])}, want=201).json
    assert back['description'] == f'Rollback to v{good["version"]}' and back['slug'] == good['slug']
    retry = c('POST', p, {'description': f'Retry of v{back["version"]}: {back["description"]}', 'slug': good['slug']['id']}, want=201).json
    assert retry['description'] == f'Retry of v{back["version"]}: Rollback to v{good["version"]}'
    wait_for('the last to be current', lambda: c('GET', p, want=200).json[-1]['current'])
    listed = c('GET', p, want=200).json
    assert [r['current'] for r in listed].count(True) == 1
    page = c('GET', p, headers={'Range': 'version ..; max=2, order=desc'})
    assert page.status == 206 and [r['version'] for r in page.json] == [retry['version'], back['version']]
    failing = upload(paas, c, tarball({'Procfile': PROCFILE.replace('release: true', 'release: false')}))
    _, b = finish(paas, c, app, build(c, app, failing))
    failed = c('GET', f'{p}/{b["release"]["id"]}', want=200).json
    assert failed['status'] == 'failed' and not failed['current'] and not failed['eligible_for_rollback']
    a = c('POST', p, {'release': failed['version']}, want=422)
    assert 'failed' in a.message
    # config vars made after it build on the release that serves
    c('PATCH', f'/apps/{app}/config-vars', {'AFTER': 'x'}, want=200)
    assert c('GET', f'{p}/{failed["version"]}/config-vars', want=200).json == {}
