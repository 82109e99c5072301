"""Review apps without any git provider: a branch that is pushed to the pipeline's own remote is an app, a second push
deploys it anew, a deletion destroys it. What kills and failures leave."""
import json
import os
import re
import sqlite3

import pytest

from api_client import Client, claimed_by
from platform_under_test import wait_for

PIPE, STAGING = 'shop', 'shop-staging'
APP_JSON = {
    'name': 'Shop',
    'env': {'SECRET': {'generator': 'secret'}, 'FROM_STAGE': {'description': 'of the stage'}, 'GREETING': 'hello'},
    'environments': {'review': {'env': {'GREETING': 'review'}}},
    'scripts': {'postdeploy': 'echo postdeploy-ran; echo "$GREETING" >&2', 'pr-predestroy': 'sleep 1; echo predestroy of $HEROKU_BRANCH'},
}
PROCFILE = '''web: bin/server
release: sleep ${RELEASE_SLEEP:-0}; if [ -e fails -a -z "$FIXED" ]; then echo "it fails"; exit 3; fi; echo "released $HEROKU_BRANCH"
'''


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def repo(paas, c):
    folder = paas.make_app('procfile', os.path.join(paas.dir, 'shop'))
    paas.commit(folder, **{'Procfile': PROCFILE, 'app.json': json.dumps(APP_JSON)})
    paas.login()
    paas.create(STAGING, folder, remote='staging')
    paas.ctl('pipelines:create', PIPE, '-a', STAGING, '-s', 'staging')
    c('PATCH', f'/pipelines/{PIPE}/stage/review/config-vars', {'FROM_STAGE': 'stage'}, want=200)
    paas.ctl('reviewapps:enable', '-p', PIPE, '--max', '2', '--sleep', '0')
    paas.ctl('reviewapps:remote', '-p', PIPE, cwd=folder)
    return folder


def reviews(c):
    return c('GET', f'/pipelines/{PIPE}/review-apps', want=200).json


def of(c, branch):
    found = [r for r in reviews(c) if r['branch'] == branch]
    assert len(found) <= 1
    return found[0] if found else None


def deploys(c, app, status='succeeded'):
    return [r['version'] for r in c('GET', f'/apps/{app}/releases', want=200).json if r['description'].startswith('Deploy') and r['status'] == status]


def branch(paas, repo, name, **files):
    paas.git('checkout', '-q', '-B', name, 'main', cwd=repo)
    return paas.commit(repo, f'work on {name}', **files)


def push(paas, repo, spec, **kw):
    return paas.push(repo, 'review', spec, **kw)


def test_a_branch_is_an_app(paas, c, repo):
    commit = branch(paas, repo, 'Feature/Cart')
    said = push(paas, repo, 'Feature/Cart').stderr
    r = of(c, 'Feature/Cart')
    app = r['app']['name']
    assert r['status'] == 'created' and r['commit'] == commit and r['pr_number'] is None
    assert re.fullmatch(r'shop-feature-c-[a-z0-9]{6}', app), app
    assert f'Review app {app} of Feature/Cart' in said and f'http://{app}.localhost:{paas.port}/' in said
    assert 'released Feature/Cart' in said and 'postdeploy-ran' in said
    assert paas.http(app, '/up')[0] == 200
    config = c('GET', f'/apps/{app}/config-vars', want=200).json
    assert config['HEROKU_BRANCH'] == 'Feature/Cart' and config['HEROKU_APP_NAME'] == app and 'HEROKU_PR_NUMBER' not in config
    assert config['FROM_STAGE'] == 'stage' and config['GREETING'] == 'review' and re.fullmatch('[0-9a-f]{64}', config['SECRET'])
    k = c('GET', f'/apps/{app}/pipeline-couplings', want=200).json
    assert k['stage'] == 'review' and k['pipeline']['name'] == PIPE
    assert c('GET', f'/apps/{app}/review-app', want=200).json['id'] == r['id']
    assert c('GET', f'/apps/{STAGING}/review-app', want=404).json['resource'] == 'review_app'
    # a second push: release phase yes, postdeploy no, config vars as they were
    more = branch(paas, repo, 'Feature/Cart', note='more')
    said = push(paas, repo, '+Feature/Cart').stderr
    assert 'released Feature/Cart' in said and 'postdeploy-ran' not in said
    assert of(c, 'Feature/Cart')['commit'] == more and of(c, 'Feature/Cart')['app']['name'] == app
    assert c('GET', f'/apps/{app}/config-vars', want=200).json['SECRET'] == config['SECRET']
    # the same again is nothing
    assert 'up-to-date' in push(paas, repo, 'Feature/Cart').stderr
    out = paas.ctl('reviewapps', '-p', PIPE).stdout
    assert app in out and 'created' in out
    # one-off dynos run in it, with its code and config vars
    out = paas.ctl('run', 'echo "$HEROKU_APP_NAME has $(cat note)"', '-a', app).stdout
    assert f'{app} has more' in out
    assert paas.ctl('run', '--exit-code', 'exit 5', '-a', app, check=False).returncode == 5


def test_a_failing_release_keeps_what_ran(paas, c, repo):
    app = of(c, 'Feature/Cart')['app']['name']
    good = of(c, 'Feature/Cart')['commit']
    branch(paas, repo, 'Feature/Cart', fails='yes')
    said = push(paas, repo, '+Feature/Cart').stderr
    r = of(c, 'Feature/Cart')
    assert 'it fails' in said and 'not up to date' in said and 'reviewapps:create -b Feature/Cart' in said
    assert r['status'] == 'created' and r['error_status'] == 'deploy' and r['commit'] == good
    assert paas.http(app, '/up')[0] == 200
    # the same commit again: fails again, and once its reason has gone is deployed
    again = paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'Feature/Cart', '--wait', check=False)
    assert again.returncode and 'exited with status 3' in again.stderr and 'reviewapps:create -b Feature/Cart' in again.stderr
    assert len(deploys(c, app, 'failed')) == 2
    paas.ctl('config:set', 'FIXED=yes', '-a', app)
    refused = paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'Feature/Cart', '-e', 'FIXED=no', check=False)
    assert refused.returncode and f'config:set -a {app}' in refused.stderr
    paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'Feature/Cart', '--wait')
    r = of(c, 'Feature/Cart')
    assert r['error_status'] is None and r['message'] is None and r['pending_commit'] is None
    assert r['commit'] == paas.git('rev-parse', 'HEAD', cwd=repo).stdout.strip() and paas.http(app, '/up')[0] == 200
    done = deploys(c, app)
    paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'Feature/Cart', '--wait')  # it has it: nothing is to be done
    assert deploys(c, app) == done
    os.remove(os.path.join(repo, 'fails'))
    branch(paas, repo, 'Feature/Cart', note='better')
    push(paas, repo, '+Feature/Cart')
    assert of(c, 'Feature/Cart')['error_status'] is None


def test_as_many_as_it_may(paas, c, repo):
    branch(paas, repo, 'two')
    push(paas, repo, 'two')
    branch(paas, repo, 'three')
    said = push(paas, repo, 'three').stderr
    assert 'has 2 review apps, as many as it may' in said and of(c, 'three') is None
    m = c('POST', '/review-apps', {'branch': 'three', 'pipeline': PIPE, 'source_blob': {'url': 'resolve', 'version': None}}, want=422)
    assert '--max' in m.message
    c('PATCH', f'/pipelines/{PIPE}/review-app-config', {'max_apps': 3}, want=200)
    out = paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'three', '-e', 'EXTRA=1', '--wait')
    app = of(c, 'three')['app']['name']
    assert f'http://{app}.localhost' in out.stdout
    assert c('GET', f'/apps/{app}/config-vars', want=200).json['EXTRA'] == '1'
    none = c('POST', '/review-apps', {'branch': 'nowhere', 'pipeline': PIPE, 'source_blob': {'url': 'resolve'}}, want=422)
    assert 'no branch nowhere' in none.message


def test_gone_with_the_branch(paas, c, repo):
    r = of(c, 'two')
    slugs = os.listdir(os.path.join(paas.state, 'slugs'))
    said = push(paas, repo, ':two').stderr
    assert 'The review app of two is gone' in said
    assert of(c, 'two') is None and c('GET', f'/review-apps/{r["id"]}', want=200).json['status'] == 'deleted'
    c('GET', f'/apps/{r["app"]["name"]}', want=404)
    assert paas.http(r['app']['name'])[0] == 404
    assert len(os.listdir(os.path.join(paas.state, 'slugs'))) < len(slugs)
    # and back
    push(paas, repo, 'two')
    assert of(c, 'two')['status'] == 'created' and of(c, 'two')['id'] != r['id']
    # by hand; the branch goes with it, so that it can be pushed again
    paas.ctl('reviewapps:destroy', 'two', '-p', PIPE)
    wait_for('two to go', lambda: of(c, 'two') is None)
    push(paas, repo, 'two')
    assert of(c, 'two')['status'] == 'created'
    push(paas, repo, ':two')


def test_a_setup_that_fails_leaves_no_app(paas, c, repo):
    apps = len(c('GET', '/apps', want=200).json)
    branch(paas, repo, 'bad', **{'app.json': json.dumps({'env': {'NEEDED': {'required': True}}})})
    said = push(paas, repo, 'bad').stderr
    r = of(c, 'bad')
    assert r['status'] == 'errored' and 'NEEDED' in said and 'NEEDED' in r['message']
    wait_for('the app to go', lambda: len(c('GET', '/apps', want=200).json) == apps)
    # the same commit with what it lacked
    paas.ctl('reviewapps:create', '-p', PIPE, '-b', 'bad', '-e', 'NEEDED=there', '--wait')
    r = of(c, 'bad')
    assert r['status'] == 'created' and c('GET', f'/apps/{r["app"]["name"]}/config-vars', want=200).json['NEEDED'] == 'there'
    branch(paas, repo, 'bad', **{'app.json': json.dumps(APP_JSON)})
    push(paas, repo, '+bad')
    assert of(c, 'bad')['id'] == r['id'] and of(c, 'bad')['commit'] != r['commit']
    push(paas, repo, ':bad')


def test_who_may(paas, c, repo):
    stranger, mate = paas.new_user('stranger@example.com'), paas.new_user('mate@example.com')
    branch(paas, repo, 'theirs')
    r = paas.git('push', 'review', 'theirs', cwd=repo, check=False, token=stranger)
    assert r.returncode and 'No such pipeline' in r.stderr
    c('POST', f'/apps/{STAGING}/collaborators', {'user': 'mate@example.com', 'permissions': ['view']}, want=201)
    r = paas.git('push', 'review', 'theirs', cwd=repo, check=False, token=mate)
    assert r.returncode and 'permission' in r.stderr
    c('PATCH', f'/apps/{STAGING}/collaborators/mate@example.com', {'permissions': ['view', 'deploy']}, want=200)
    paas.git('push', 'review', 'theirs', cwd=repo, token=mate)
    app = of(c, 'theirs')['app']['name']
    m = c.with_token(mate)
    assert m('GET', f'/apps/{app}', want=200).json['owner']['email'] != 'mate@example.com'
    s = c.with_token(stranger)
    s('GET', f'/review-apps/{of(c, "theirs")["id"]}', want=404)
    s('GET', f'/pipelines/{PIPE}/review-apps', want=404)
    s('DELETE', f'/review-apps/{of(c, "theirs")["id"]}', want=404)
    paas.git('push', 'review', ':theirs', cwd=repo, token=mate)


def db(paas, sql, *args):
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        return d.execute(sql, args).fetchall()


@pytest.mark.parametrize('when', ['creating', 'deploying'])
def test_killed(paas, c, repo, when):
    """kill -9 while one waits for its push; test_review_kills.py does it after each step."""
    name = 'killed-' + when
    c('PATCH', f'/pipelines/{PIPE}/review-app-config', {'max_apps': 10}, want=200)
    if when == 'deploying':
        branch(paas, repo, name)
        push(paas, repo, name)
    commit = branch(paas, repo, name, note=when)
    c('PATCH', f'/pipelines/{PIPE}/stage/review/config-vars', {'RELEASE_SLEEP': '1'}, want=200)
    p = paas.spawn_git('push', 'review', '+' + name, cwd=repo)
    awaited = {
        'creating': lambda: (of(c, name) or {}).get('status') == 'creating',
        'deploying': lambda: db(paas, "SELECT 1 FROM builds b JOIN review_apps v ON v.app_id = b.app_id "
                                      "WHERE v.branch = ? AND b.status = 'pending'", name),
    }[when]
    wait_for(when, awaited)
    paas.kill9()
    p.wait()
    paas.start('--keep-dynos')
    wait_for('it to be up', lambda: of(c, name)['status'] in ('created', 'errored') and of(c, name)['commit'] == commit, timeout=60)
    app = of(c, name)['app']['name']
    assert paas.http(app, '/up')[0] == 200
    done = [r for r in c('GET', f'/apps/{app}/releases', want=200).json if r['description'].startswith('Deploy') and r['status'] == 'succeeded']
    assert len({r['slug']['id'] for r in done}) == len(done)
    assert len(re.findall(r'app\[\S+\]: postdeploy-ran$', paas.logs(app), re.M)) <= 1
    push(paas, repo, ':' + name)


def test_the_pipeline_takes_them_along(paas, c, repo):
    assert reviews(c)
    paas.ctl('pipelines:destroy', PIPE)
    assert not [a for a in c('GET', '/apps', want=200).json if a['name'] != STAGING]
    assert paas.git('push', 'review', 'two', cwd=repo, check=False).returncode


def test_settings(c):
    c('POST', '/pipelines', {'name': 'other'}, want=201)
    path = '/pipelines/other/review-app-config'
    c('GET', path, want=404)
    made = c('POST', path, {'pipeline': 'other', 'automatic_review_apps': True, 'stale_days': 7, 'destroy_stale_apps': True}, want=201).json
    assert made['automatic_review_apps'] and made['stale_days'] == 7 and made['repo'] == {'id': 0}
    assert c('GET', path, want=200).json == made
    assert c('PATCH', path, {'base_name': 'abc'}, want=200).json['base_name'] == 'abc'
    own = c('GET', '/pipelines/other/repo', want=200).json['full_name']  # as some clients do, to send it along
    c('PATCH', path, {'repo': own}, want=200)
    assert own in c('PATCH', path, {'repo': 'acme/shop'}, want=422).message
    for bad in ({'stale_days': 31}, {'base_name': '9x'}, {'max_apps': 0}, {'sleep_minutes': -1}):
        c('PATCH', path, bad, want=422)
    c('DELETE', path, want=200)
    c('GET', path, want=404)


def test_from_a_url(paas, c, repo, tmp_path):
    """A source that is in no repository: made once, by the API."""
    c('POST', '/pipelines', {'name': 'by-url'}, want=201)
    refused = c('POST', '/review-apps', {'branch': 'x', 'pipeline': 'by-url', 'source_blob': {'url': 'http://127.0.0.1:9/a.tar.gz', 'version': 'v1'}},
                want=201).json
    def ended():
        r = c('GET', f'/review-apps/{refused["id"]}', want=200).json
        return r['status'] == 'errored' and r['message']
    first = wait_for('its end', ended)
    # again, with another address
    new = c('POST', '/review-apps', {'branch': 'x', 'pipeline': 'by-url', 'source_blob': {'url': 'http://nowhere.invalid/a.tar.gz', 'version': 'v1'}},
            want=201).json
    assert new['id'] == refused['id'] and new['status'] == 'pending' and new['message'] is None
    assert 'nowhere.invalid' in wait_for('its end', ended) and 'nowhere' not in first
    c('DELETE', f'/review-apps/{refused["id"]}', want=200)
    wait_for('it to go', lambda: c('GET', f'/review-apps/{refused["id"]}', want=200).json['status'] == 'deleted')


def test_every_route_has_answered(c, request):
    if len([i for i in request.session.items if i.fspath == request.fspath]) < len([n for n in globals() if n.startswith('test_')]):
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('review') - c.seen == set()
