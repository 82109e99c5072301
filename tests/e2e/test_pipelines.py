"""Pipelines: who may what, promotions of one slug to several apps, what a crash leaves, diffs."""
import os
import random
import re
import sqlite3
import threading
import time
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from api_client import Client, claimed_by
from load import Load
from platform_under_test import wait_for

KILLS = int(os.environ.get('KILLS', '2'))
PROCFILE = '''web: bin/server
release: sleep ${RELEASE_SLEEP:-0}; echo "command of $DYNO at $(date +%s%N)"; exit 0
'''
STAGING, PROD, SECOND = 'line-staging', 'line', 'line-eu'


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def owner(paas, c):
    return c.with_token(paas.new_user('line-owner@example.com'))


@pytest.fixture(scope='module')
def mate(paas, c):
    return c.with_token(paas.new_user('line-mate@example.com'))


@pytest.fixture(scope='module')
def stranger(paas, c):
    return c.with_token(paas.new_user('line-stranger@example.com'))


def db(paas, sql, *args):
    with closing(sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20)) as d, d:
        return d.execute(sql, args).fetchall()


def couple(client, pipeline, app, stage, want=201):
    return client('POST', '/pipeline-couplings', {'app': app, 'pipeline': pipeline, 'stage': stage}, want=want)


def app_id(client, name):
    return client('GET', f'/apps/{name}', want=200).json['id']


# --- the resources ---

def test_a_pipeline_of_ones_own(c, owner, stranger):
    me = owner('GET', '/account').json
    p = owner('POST', '/pipelines', {'name': 'plain', 'owner': {'id': me['id'], 'type': 'user'}, 'generation': {'name': 'cedar'}}, want=201).json
    assert p['owner'] == {'id': me['id'], 'type': 'user'}
    for ref in (p['id'], 'plain'):
        assert owner('GET', f'/pipelines/{ref}', want=200).json == p
    assert owner('GET', '/pipelines?eq[name]=plain', want=200).json == [p] == owner('GET', '/pipelines?eq%5Bname%5D=plain', want=200).json
    assert owner('GET', '/pipelines?eq[name]=plai', want=200).json == []
    for name in ('ab', 'Plain', '1plain', 'a' * 31, 'pl ain', ''):
        owner('POST', '/pipelines', {'name': name}, want=422)
    assert 'taken' in owner('POST', '/pipelines', {'name': 'plain'}, want=422).message
    owner('POST', '/pipelines', {'name': 'teamwork', 'owner': {'id': me['id'], 'type': 'team'}}, want=422)
    stranger('POST', '/pipelines', {'name': 'for-others', 'owner': {'id': me['id']}}, want=403)
    # For others it is not there; administrators may all.
    assert stranger('GET', '/pipelines', want=200).json == [] == stranger('GET', '/pipelines?eq[name]=plain', want=200).json
    for method, body in (('GET', None), ('PATCH', {'name': 'mine-now'}), ('DELETE', None)):
        assert stranger(method, '/pipelines/plain', body, want=404).json['resource'] == 'pipeline'
    assert owner('PATCH', '/pipelines/plain', {'name': 'plain-2'}, want=200).json['name'] == 'plain-2'
    assert c('PATCH', '/pipelines/plain-2', {'name': 'plain-3'}, want=200).json['id'] == p['id']
    owner('DELETE', '/pipelines/plain-3', {'name': 'plain-3'}, want=200)
    owner('GET', '/pipelines/plain-3', want=404)
    actions = [r['action'] for r in c('GET', '/audit', want=200).json]
    assert {'pipeline.create', 'pipeline.rename', 'pipeline.destroy'} <= set(actions)


def test_apps_in_a_pipeline(c, owner, mate, stranger):
    for name in ('seat-a', 'seat-b'):
        owner('POST', '/apps', {'name': name}, want=201)
    mate('POST', '/apps', {'name': 'seat-mate'}, want=201)
    owner('POST', '/pipelines', {'name': 'seats'}, want=201)
    owner('POST', '/pipelines', {'name': 'seats-2'}, want=201)
    k = couple(owner, 'seats', 'seat-a', 'staging').json
    assert k['pipeline']['name'] == 'seats' and k['stage'] == 'staging'
    assert 'already in a pipeline' in couple(owner, 'seats-2', 'seat-a', 'staging', want=422).message
    couple(owner, 'seats', 'seat-b', 'nonsense', want=422)
    couple(owner, 'seats', 'seat-mate', 'staging', want=404)
    couple(mate, 'seats', 'seat-mate', 'staging', want=404)
    path = '/pipeline-couplings/' + k['id']
    assert owner('GET', path, want=200).json == owner('GET', '/apps/seat-a/pipeline-couplings', want=200).json == k
    assert owner('GET', '/apps/seat-b/pipeline-couplings', want=404).json['resource'] == 'pipeline_coupling'
    # Whoever may look at the app sees where it is; only those who manage it take it out.
    owner('POST', '/apps/seat-a/collaborators', {'user': 'line-mate@example.com', 'permissions': ['view', 'deploy']}, want=201)
    couple(owner, 'seats', 'seat-b', 'production')
    assert [x['id'] for x in mate('GET', '/pipelines/seats/pipeline-couplings', want=200).json] == [k['id']]
    assert len(owner('GET', '/pipelines/seats/pipeline-couplings', want=200).json) == 2
    for listed in ('/pipeline-couplings', '/users/~/pipeline-couplings'):
        assert [x['id'] for x in mate('GET', listed, want=200).json] == [k['id']]
        assert stranger('GET', listed, want=200).json == []
    assert [p['name'] for p in mate('GET', '/pipelines', want=200).json] == ['seats']
    assert mate('GET', path, want=200).json == k
    stranger('GET', path, want=404)
    for client, status in ((mate, 403), (stranger, 404)):
        client('PATCH', path, {'stage': 'review'}, want=status)
        client('DELETE', path, want=status)
    couple(mate, 'seats', 'seat-mate', 'development', want=403)
    owner('DELETE', '/apps/seat-a/collaborators/line-mate@example.com', want=200)
    owner('POST', '/apps/seat-a/collaborators', {'user': 'line-mate@example.com', 'permissions': ['view', 'manage']}, want=201)
    other = couple(mate, 'seats', 'seat-mate', 'development').json
    assert mate('PATCH', path, {'stage': 'review'}, want=200).json['stage'] == 'review'
    for method, body in (('PATCH', {'name': 'mine'}), ('DELETE', None)):
        mate(method, '/pipelines/seats', body, want=403)
    # The pipeline's owner may take out what is not the owner's; an app that is destroyed goes by itself.
    owner('DELETE', '/pipeline-couplings/' + other['id'], want=200)
    mate('GET', '/apps/seat-mate/pipeline-couplings', want=404)
    owner('DELETE', '/apps/seat-a', want=200)
    owner('GET', path, want=404)
    owner('DELETE', '/pipelines/seats', want=200)
    owner('GET', '/apps/seat-b', want=200)


def test_another_owner(c, owner, mate):
    owner('POST', '/pipelines', {'name': 'gift'}, want=201)
    owner('POST', '/apps', {'name': 'gift-app'}, want=201)
    mate('POST', '/apps', {'name': 'gift-guest'}, want=201)
    mate('POST', '/apps/gift-guest/collaborators', {'user': 'line-owner@example.com', 'permissions': ['manage']}, want=201)
    couple(owner, 'gift', 'gift-app', 'production')
    couple(owner, 'gift', 'gift-guest', 'staging')
    p = owner('GET', '/pipelines/gift').json['id']
    to = mate('GET', '/account').json['id']
    admin = c('GET', '/account').json['id']

    # The Heroku CLI asks for the new owner's id: those who work on an app together see no more of each other than that.
    who = owner('GET', '/users/line-mate@example.com', want=200).json
    assert who['id'] == to and who['last_login'] is None and who['name'] is None
    owner('GET', '/users/nobody@example.com', want=404)
    assert c('GET', '/users/line-mate@example.com', want=200).json == mate('GET', '/account').json

    def give(client, who, want, kind='user'):
        return client('POST', '/pipeline-transfers', {'pipeline': {'id': p}, 'new_owner': {'id': who, 'type': kind}}, want=want)
    give(mate, to, 403)
    give(owner, to, 422, 'team')
    give(owner, str(uuid.uuid4()), 404)
    give(owner, owner('GET', '/account').json['id'], 422)
    t = give(owner, admin, 201).json
    assert t['new_owner'] == {'id': admin, 'type': 'user'} and t['previous_owner']['id'] == owner('GET', '/account').json['id']
    assert c('GET', '/apps/gift-app').json['owner']['id'] == admin
    assert c('GET', '/apps/gift-guest').json['owner']['id'] == to
    owner('DELETE', '/pipelines/gift', want=403)  # manages an app of it
    c('DELETE', '/pipelines/gift', want=200)


def test_config_vars_of_a_stage(paas, c, owner, mate, stranger):
    owner('POST', '/pipelines', {'name': 'vars'}, want=201)
    path = '/pipelines/vars/stage/review/config-vars'
    assert owner('GET', path, want=200).json == {}
    assert owner('PATCH', path, {'A': '1', 'SECRET': 'stage-secret-value'}, want=200).json == {'A': '1', 'SECRET': 'stage-secret-value'}
    assert owner('PATCH', path, {'A': None, 'B': ''}, want=200).json == {'B': '', 'SECRET': 'stage-secret-value'}
    assert owner('GET', '/pipelines/vars/stage/test/config-vars', want=200).json == {}
    assert 'review and test' in owner('PATCH', '/pipelines/vars/stage/staging/config-vars', {'A': '1'}, want=422).message
    owner('PATCH', path, {'not-a-name': '1'}, want=422)
    owner('PATCH', path, {'A': 5}, want=422)
    owner('PATCH', path, {'BIG': 'x' * 70000}, want=422)
    stranger('GET', path, want=404)
    mate('POST', '/apps', {'name': 'vars-app'}, want=201)
    mate('POST', '/apps/vars-app/collaborators', {'user': 'line-owner@example.com', 'permissions': ['manage']}, want=201)
    couple(owner, 'vars', 'vars-app', 'staging')
    assert mate('GET', path, want=200).json['SECRET'] == 'stage-secret-value'  # manages an app of it
    mate('POST', '/apps/vars-app/collaborators', {'user': 'line-stranger@example.com', 'permissions': ['view', 'deploy', 'operate']}, want=201)
    stranger('GET', path, want=403)
    stranger('PATCH', path, {'X': '1'}, want=403)
    rows = [r for r in c('GET', '/audit').json if r['action'] == 'pipeline.config']
    assert rows and not [r for r in rows if 'stage-secret' in str(r)]
    for name in ('paasd.db', 'paasd.db-wal'):
        with open(os.path.join(paas.state, name), 'rb') as f:
            assert b'stage-secret-value' not in f.read()
    owner('DELETE', '/pipelines/vars', want=200)


# --- promotions ---

@pytest.fixture(scope='module')
def line(paas, owner, tmp_path_factory):
    """A pipeline with code on staging; its working copy."""
    folder = paas.make_app('procfile', tmp_path_factory.mktemp('line') / 'src')
    for name in (STAGING, PROD, SECOND):
        owner('POST', '/apps', {'name': name}, want=201)
    owner('PUT', f'/apps/{STAGING}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    owner('POST', '/pipelines', {'name': 'line'}, want=201)
    for name, stage in ((STAGING, 'staging'), (PROD, 'production'), (SECOND, 'production')):
        couple(owner, 'line', name, stage)
    paas.commit(folder, 'first', Procfile=PROCFILE)
    push(paas, owner, folder)
    return folder


def push(paas, owner, folder, app=STAGING):
    return paas.git('push', '-q', f'{paas.url}/{app}.git', 'main', cwd=folder, token=owner.token)


def promote(client, *targets, want=201, **source):
    body = {'pipeline': {'id': client('GET', '/pipelines/line').json['id']}, 'source': {'app': {'id': app_id(client, STAGING)}, **source}}
    if targets:
        body['targets'] = [{'app': {'id': app_id(client, t)}} for t in targets]
    return client('POST', '/pipeline-promotions', body, want=want)


def ended(client, promotion, timeout=60):
    """Targets by app id once none is pending."""
    path = f'/pipeline-promotions/{promotion["id"]}'
    wait_for('the promotion', lambda: client('GET', path, want=200).json['status'] == 'completed', timeout)
    return {t['app']['id']: t for t in client('GET', path + '/promotion-targets', want=200).json}


def settled(client, app):
    wait_for('releases', lambda: not [r for r in client('GET', f'/apps/{app}/releases').json if r['status'] == 'pending'])


def current(client, app):
    return next(r for r in client('GET', f'/apps/{app}/releases', headers={'Range': 'version ..; order=desc'}, want=200).json if r['current'])


def test_one_slug_on_every_app(paas, owner, line):
    source = current(owner, STAGING)
    commit = paas.git('rev-parse', 'HEAD', cwd=line).stdout.strip()
    owner('PATCH', f'/apps/{PROD}/config-vars', {'GREETING': 'production'}, want=200)
    slugs = os.listdir(os.path.join(paas.state, 'slugs'))
    p = promote(owner).json
    assert p['source'] == {'app': {'id': source['app']['id']}, 'release': {'id': source['id']}}
    targets = ended(owner, p)
    assert set(targets) == {app_id(owner, PROD), app_id(owner, SECOND)}
    for app in (PROD, SECOND):
        r = current(owner, app)
        assert targets[r['app']['id']]['status'] == 'succeeded' and targets[r['app']['id']]['release'] == {'id': r['id']}
        assert r['slug'] == source['slug'] and r['description'] == f'Promote {STAGING} v{source["version"]} {commit[:8]}'
        assert f'HEROKU_SLUG_COMMIT={commit}' in paas.http(app)[1]
        assert 'command of' in paas.logs(app)
        assert owner('GET', f'/apps/{app}/builds').json == []
        assert owner('GET', f'/apps/{app}/slugs/{r["slug"]["id"]}', want=200).json['commit'] == commit
    assert 'GREETING=production' in paas.http(PROD)[1] and 'GREETING' not in paas.http(SECOND)[1]
    assert os.listdir(os.path.join(paas.state, 'slugs')) == slugs
    assert owner('GET', f'/apps/{PROD}').json['buildpack_provided_description'] == owner('GET', f'/apps/{STAGING}').json['buildpack_provided_description']


def test_refusals(paas, c, owner, mate, stranger, line):
    pid = owner('GET', '/pipelines/line').json['id']
    ids = {n: app_id(owner, n) for n in (STAGING, PROD, SECOND)}
    owner('POST', '/apps', {'name': 'outside'}, want=201)
    before = db(paas, 'SELECT count(*) FROM promotions')

    def ask(client, want, source=STAGING, targets=(PROD,), **more):
        body = {'pipeline': {'id': pid}, 'source': {'app': source, **more}, 'targets': [{'app': t} for t in targets]}
        return client('POST', '/pipeline-promotions', body, want=want)
    assert 'not in the pipeline' in ask(owner, 422, targets=(PROD, 'outside')).message
    assert 'not in the pipeline' in ask(owner, 422, source='outside').message
    assert 'to itself' in ask(owner, 422, targets=(STAGING,)).message
    assert "'production' stage" in ask(owner, 422, source=PROD, targets=()).message
    ask(owner, 404, targets=('no-such-app',))
    ask(owner, 404, release={'id': str(uuid.uuid4())})
    assert ask(stranger, 404).json['resource'] == 'pipeline'
    owner('POST', f'/apps/{STAGING}/collaborators', {'user': 'line-mate@example.com', 'permissions': ['view']}, want=201)
    assert ask(mate, 404).json['resource'] == 'app'
    owner('POST', f'/apps/{PROD}/collaborators', {'user': 'line-mate@example.com', 'permissions': ['view', 'operate']}, want=201)
    assert 'deploy permission' in ask(mate, 403).message
    owner('POST', '/apps', {'name': 'empty-dev'}, want=201)
    couple(owner, 'line', 'empty-dev', 'development')
    assert 'no release with code' in ask(owner, 422, source='empty-dev', targets=()).message
    owner('DELETE', '/apps/empty-dev', want=200)
    assert db(paas, 'SELECT count(*) FROM promotions') == before
    # deploy on the target and a look at the source are enough
    owner('DELETE', f'/apps/{PROD}/collaborators/line-mate@example.com', want=200)
    owner('POST', f'/apps/{PROD}/collaborators', {'user': 'line-mate@example.com', 'permissions': ['view', 'deploy']}, want=201)
    p = ask(mate, 201).json
    assert ended(mate, p)[ids[PROD]]['status'] == 'succeeded'
    stranger('GET', f'/pipeline-promotions/{p["id"]}', want=404)
    stranger('GET', f'/pipeline-promotions/{p["id"]}/promotion-targets', want=404)
    rows = [r for r in c('GET', f'/apps/{PROD}/audit').json if r['action'] == 'pipeline.promote']
    assert {r['actor'] for r in rows} == {'line-owner@example.com', 'line-mate@example.com'}
    assert all(r['detail'].startswith(f'Promote {STAGING} v') for r in rows)


def test_one_failing_target_leaves_the_others_alone(paas, owner, line):
    owner('PATCH', f'/apps/{SECOND}/config-vars', {'STATUS': '7'}, want=200)
    settled(owner, SECOND)
    was = current(owner, SECOND)
    paas.commit(line, 'fails where STATUS is set', Procfile=PROCFILE.replace('exit 0', 'exit $((STATUS))'))
    push(paas, owner, line)
    with Load(paas.port, f'{PROD}.localhost') as load:
        p = promote(owner, PROD, SECOND).json
        targets = ended(owner, p)
    assert load.failures == []
    good, bad = targets[app_id(owner, PROD)], targets[app_id(owner, SECOND)]
    assert good['status'] == 'succeeded' and good['error_message'] is None
    assert bad['status'] == 'failed' and 'exited with status 7' in bad['error_message']
    assert owner('GET', f'/apps/{SECOND}/releases/{bad["release"]["id"]}').json['status'] == 'failed'
    assert current(owner, SECOND)['id'] == was['id'] and paas.http(SECOND, '/up')[0] == 200
    assert current(owner, PROD)['slug'] == current(owner, STAGING)['slug']
    # It may be tried again on the target alone, as releases:retry does.
    again = owner('POST', f'/apps/{SECOND}/releases', {'slug': current(owner, STAGING)['slug']['id']}, want=201).json
    settled(owner, SECOND)
    assert owner('GET', f'/apps/{SECOND}/releases/{again["id"]}').json['status'] == 'failed'


def test_older_releases_and_rollback(paas, owner, line):
    first = next(r for r in owner('GET', f'/apps/{STAGING}/releases').json if r['slug'])
    p = promote(owner, PROD, release={'id': first['id']}).json
    assert ended(owner, p)[app_id(owner, PROD)]['status'] == 'succeeded'
    assert current(owner, PROD)['slug'] == first['slug'] != current(owner, STAGING)['slug']
    back = owner('GET', f'/apps/{PROD}/releases', headers={'Range': 'version ..; order=desc'}).json[1]
    r = owner('POST', f'/apps/{PROD}/releases', {'release': back['id']}, want=201).json
    wait_for('rollback', lambda: current(owner, PROD)['id'] == r['id'])
    assert r['slug'] == back['slug']
    # An app's API gives slugs that it has released, no others.
    owner('GET', f'/apps/outside/slugs/{back["slug"]["id"]}', want=404)
    owner('POST', '/apps/outside/releases', {'slug': back['slug']['id']}, want=404)
    blob = owner('GET', f'/apps/{PROD}/slugs/{back["slug"]["id"]}').json['blob']['url']
    assert paas.api('GET', urlsplit(blob).path, raw=True)[1][:2] == b'\x1f\x8b'


@pytest.mark.parametrize('stage, target', [('review', SECOND), ('development', STAGING)])
def test_where_promotions_go_by_themselves(owner, line, stage, target):
    coupling = '/pipeline-couplings/' + owner('GET', f'/apps/{PROD}/pipeline-couplings').json['id']
    owner('PATCH', coupling, {'stage': stage}, want=200)
    slug = current(owner, PROD)['slug']
    body = {'pipeline': 'line', 'source': {'app': PROD}}
    owner('PATCH', f'/apps/{SECOND}/config-vars', {'STATUS': None}, want=200)
    assert {t['status'] for t in ended(owner, owner('POST', '/pipeline-promotions', body, want=201).json).values()} == {'succeeded'}
    assert current(owner, target)['slug'] == slug
    owner('PATCH', coupling, {'stage': 'production'}, want=200)


def test_latest_of_each_app(owner, stranger, line):
    latest = {r['app']['name']: r for r in owner('GET', '/pipelines/line/latest-releases', want=200).json}
    deployments = {r['app']['name']: r for r in owner('GET', '/pipelines/line/latest-deployments', want=200).json}
    assert set(latest) == set(deployments) == {STAGING, PROD, SECOND}
    for app in latest:
        assert latest[app] == max(owner('GET', f'/apps/{app}/releases').json, key=lambda r: r['version'])
        assert deployments[app]['description'].startswith(('Deploy', 'Promote', 'Rollback'))
    builds = owner('GET', '/pipelines/line/latest-builds', want=200).json
    assert [b['app']['id'] for b in builds] == [app_id(owner, STAGING)]
    for what in ('builds', 'releases', 'deployments'):
        stranger('GET', f'/pipelines/line/latest-{what}', want=404)


def diff(client, to=PROD, want=200):
    a = client('GET', f'/apps/{STAGING}/pipeline-diff', want=want)
    return next(d for d in a.json['targets'] if d['target']['app']['name'] == to)


def test_diff(paas, owner, mate, line):
    ended(owner, promote(owner, PROD).json)
    d = diff(owner)
    assert d['status'] == 'identical' and d['commits'] == []
    # The target's repository is empty: its commit is the source's.
    new = [paas.commit(line, 'one more\n\nwith a body'), paas.commit(line, 'and another')]
    push(paas, owner, line)
    d = diff(owner)
    assert d['status'] == 'ahead' and [x['sha'] for x in d['commits']] == new[::-1] and d['behind'] == 0
    assert [x['message'] for x in d['commits']] == ['and another', 'one more'] and d['commits'][0]['author']['name'] == 'Dev'
    # A commit that only the target's repository has.
    owner('PUT', f'/apps/{PROD}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    paas.git('checkout', '-q', '-b', 'side', 'HEAD~1', cwd=line)
    paas.commit(line, 'hotfix')
    paas.git('push', '-q', f'{paas.url}/{PROD}.git', 'side:main', cwd=line, token=owner.token)
    paas.git('checkout', '-q', 'main', cwd=line)
    d = diff(owner)
    assert d['status'] == 'diverged' and [x['message'] for x in d['commits']] == ['and another'] and d['behind'] == 1
    assert {x['target']['app']['name'] for x in mate('GET', f'/apps/{STAGING}/pipeline-diff', want=200).json['targets']} == {PROD}
    assert "no stage downstream" in owner('GET', f'/apps/{PROD}/pipeline-diff', want=422).message
    owner('GET', '/apps/outside/pipeline-diff', want=404)


# --- crashes ---

def consistent(paas):
    """No promotion hangs; no target without an end; no release of a target that another has."""
    wait_for('promotions to end', lambda: db(paas, "SELECT count(*) FROM promotions WHERE status = 'pending'") == [(0,)], 60)
    assert db(paas, "SELECT * FROM promotion_targets WHERE status = 'pending'") == []
    assert db(paas, 'SELECT release_id FROM promotion_targets WHERE release_id IS NOT NULL GROUP BY release_id HAVING count(*) > 1') == []
    promoted = db(paas, "SELECT id FROM releases WHERE description LIKE 'Promote %'")
    assert sorted(promoted) == sorted(db(paas, 'SELECT release_id FROM promotion_targets WHERE release_id IS NOT NULL'))


def test_cut_off_between_record_and_releases(paas, owner, line):
    """As a crash leaves it: one target without its release, one whose app has gone, one that has ended."""
    source, prod = current(owner, STAGING), current(owner, PROD)
    user, pipeline = prod['user']['id'], owner('GET', '/pipelines/line').json['id']
    versions = {a: len(owner('GET', f'/apps/{a}/releases').json) for a in (PROD, SECOND)}
    paas.kill9()
    pid, now = str(uuid.uuid4()), int(time.time() * 1000)
    db(paas, "INSERT INTO promotions VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
       pid, pipeline, source['app']['id'], source['id'], source['slug']['id'], user, now, now)
    rows = [(prod['app']['id'], 'pending'), (str(uuid.uuid4()), 'pending'), (app_id_of(paas, SECOND), 'failed')]
    for app, status in rows:
        db(paas, 'INSERT INTO promotion_targets VALUES (?, ?, ?, NULL, ?, NULL, ?, ?)', str(uuid.uuid4()), pid, app, status, now, now)
    paas.start()
    owner.close()
    targets = ended(owner, {'id': pid})
    assert targets[prod['app']['id']]['status'] == 'succeeded' and current(owner, PROD)['id'] == targets[prod['app']['id']]['release']['id']
    assert targets[rows[1][0]]['status'] == 'failed' and targets[rows[1][0]]['error_message'] == 'The app was destroyed.'
    assert {a: len(owner('GET', f'/apps/{a}/releases').json) for a in versions} == {PROD: versions[PROD] + 1, SECOND: versions[SECOND]}


def app_id_of(paas, name):
    return db(paas, 'SELECT id FROM apps WHERE name = ?', name)[0][0]


SEEN = set()  # the log keeps so many lines; older ones have been seen


def commands_run(paas):
    """By what each says of itself: a line that paasd had not acknowledged when it was killed comes again."""
    SEEN.update(re.findall(r'app\[(release\.\d+)\]: command of \S+ at (\d+)', paas.logs(PROD)))
    return len(SEEN)


def promoted(app):
    return "SELECT count(*) FROM releases r JOIN apps a ON a.id = r.app_id WHERE a.name = '%s' AND r.description LIKE 'Promote %%'" % app


# What is committed last before paasd is killed: a query that then gives more than before.
STEPS = {
    'recorded': 'SELECT count(*) FROM promotions',
    'first release made': promoted(PROD),
    'second release made': promoted(SECOND),
    'release command': promoted(PROD) + " AND r.phase = 'release_phase'",
    'cut-over': promoted(PROD) + " AND r.phase = 'cutover'",
    'one target done': promoted(SECOND) + " AND r.status = 'succeeded'",
    'other target done': promoted(PROD) + " AND r.status = 'succeeded'",
}


@pytest.fixture(scope='module')
def slow_line(paas, owner, line):
    """The release command of one target takes a while."""
    paas.commit(line, 'quick again', Procfile=PROCFILE)
    push(paas, owner, line)
    ended(owner, promote(owner).json)
    owner('PATCH', f'/apps/{PROD}/config-vars', {'RELEASE_SLEEP': '0.3'}, want=200)
    settled(owner, PROD)
    return line


def killed(paas, owner, wait):
    """A promotion during which paasd is killed, once wait() returns; then all is as it should be."""
    def ask():
        try:
            promote(owner.with_token(owner.token), PROD, SECOND)
        except (OSError, AssertionError, ValueError):
            pass  # cut off
    before = {app: (db(paas, promoted(app))[0][0], commands_run(paas)) for app in (PROD, SECOND)}
    recorded = db(paas, STEPS['recorded'])[0][0]
    t = threading.Thread(target=ask)
    t.start()
    wait()
    paas.kill9()
    t.join()
    paas.start()
    consistent(paas)
    recorded = db(paas, STEPS['recorded'])[0][0] - recorded
    for app in (PROD, SECOND):
        assert db(paas, promoted(app))[0][0] - before[app][0] == recorded  # all of it, or nothing
        wait_for('serving', lambda app=app: paas.http(app, '/up')[0] == 200, 30)
    # Lines come from the dynos' side, some after the end is known.
    wait_for('the release commands', lambda: commands_run(paas) - before[PROD][1] >= recorded)
    assert commands_run(paas) - before[PROD][1] == recorded
    owner.close()


@pytest.mark.parametrize('step', STEPS)
def test_killed_after(paas, owner, slow_line, step):
    was = db(paas, STEPS[step])[0][0]

    def wait():
        until = time.monotonic() + 30
        with closing(sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20, isolation_level=None)) as d:
            while d.execute(STEPS[step]).fetchone()[0] <= was:
                assert time.monotonic() < until, step
    killed(paas, owner, wait)


def test_random_kills(paas, owner, slow_line):
    seed = int(os.environ.get('SEED', '0')) or random.randrange(1 << 30)
    rnd = random.Random(seed)
    print('SEED', seed)
    for _ in range(KILLS):
        moment = rnd.choice((rnd.uniform(0, 0.03), rnd.uniform(0, 1.2)))
        killed(paas, owner, lambda moment=moment: time.sleep(moment))  # the moment of the kill, not a wait for something
    ended(owner, promote(owner).json)
    consistent(paas)


def test_an_app_whose_slug_is_in_use_goes(paas, owner, line):
    """Last: the maker of the slug is destroyed; those that have it keep it."""
    wait_for('same slug', lambda: current(owner, PROD)['slug'] == current(owner, STAGING)['slug'])
    slug = current(owner, PROD)['slug']['id']
    owner('DELETE', f'/apps/{STAGING}', want=200)
    assert current(owner, PROD)['slug']['id'] == slug and os.path.isdir(os.path.join(paas.state, 'slugs', slug))
    assert owner('GET', f'/apps/{PROD}/slugs/{slug}', want=200)
    owner('DELETE', f'/apps/{PROD}/dynos', want=202)
    wait_for('serving', lambda: paas.http(PROD, '/up')[0] == 200)
    r = owner('PATCH', f'/apps/{PROD}/config-vars', {'AFTER': 'life'}, want=200)
    wait_for('a release of the slug', lambda: 'life' == owner('GET', f'/apps/{PROD}/config-vars').json.get('AFTER') and current(owner, PROD)['slug']['id'] == slug)
    assert r.json['AFTER'] == 'life'
    owner('DELETE', f'/apps/{SECOND}', want=200)
    owner('DELETE', f'/apps/{PROD}', want=200)
    wait_for('the slug to go', lambda: not os.path.isdir(os.path.join(paas.state, 'slugs', slug)))


def test_every_route_was_seen(c, request):
    """Last: what the tests above have seen, against the table."""
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('pipelines') - c.seen == set()
