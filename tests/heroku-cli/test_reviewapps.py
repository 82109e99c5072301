"""reviewapps:*, of a pipeline whose branches are pushed to itself, and of one that is connected to a git provider."""
import json
import os
import subprocess

import pytest

from git_provider import GitProvider
from platform_under_test import Platform, wait_for
from sample import git

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OWN, LINE, STAGING = 'relay', 'line', 'line-of-business-staging'
FILES = {'Procfile': 'web: exec python3 -u -m http.server $PORT\n', 'index.html': 'one\n'}
BAD = {'app.json': json.dumps({'env': {'NEEDED': {'required': True}}})}


@pytest.fixture(scope='module')
def paas():
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8,::1')
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def api(paas):
    def call(method, path, body=None, want=200):
        status, answer, _ = paas.api(method, path, body)
        assert status == want, answer
        return answer
    return call


def settings(api, pipeline):
    told = api('GET', f'/pipelines/{pipeline}/review-app-config')
    return told['automatic_review_apps'], told['destroy_stale_apps'], told['wait_for_ci']


def of(api, pipeline, branch):
    return next((r for r in api('GET', f'/pipelines/{pipeline}/review-apps') if r['branch'] == branch), None)


# --- without any provider ---

def test_settings(heroku, api):
    me = api('GET', '/account')['id']
    api('POST', '/pipelines', {'name': OWN, 'owner': {'id': me, 'type': 'user'}}, 201)
    heroku('reviewapps:enable', '-p', OWN, '--autodeploy', '--autodestroy', '--wait-for-ci') \
        .has('Enabling auto deployment...', 'Enabling auto destroy...', 'Enabling wait for CI...', 'Configuring pipeline... done')
    assert settings(api, OWN) == (True, True, True)
    heroku('reviewapps:disable', '-p', OWN, '--no-autodeploy', '--no-wait-for-ci').has('Disabling auto deployment...', 'done')
    assert settings(api, OWN) == (False, True, False)
    heroku('reviewapps:disable', '-p', OWN, '--autodestroy').has('Disabling auto destroy...')  # the older form
    assert settings(api, OWN) == (False, False, False)
    heroku('reviewapps:disable', '-p', OWN).has('Configuring pipeline... done')
    api('GET', f'/pipelines/{OWN}/review-app-config', want=404)
    heroku('reviewapps:enable', '-p', OWN).has('Configuring pipeline... done')
    assert settings(api, OWN) == (False, False, False)


def test_a_branch_that_was_pushed(heroku, api, tmp_path):
    folder = str(tmp_path)
    git(heroku, folder, 'init', '-q', '-b', 'work/one')
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    git(heroku, folder, 'add', '-A')
    git(heroku, folder, 'commit', '-q', '-m', 'first')
    heroku('create', 'relay-staging', '-r', 'staging', cwd=folder)  # git's credentials for this host
    git(heroku, folder, 'remote', 'add', 'review', f'https://{heroku.host}/review/{OWN}')
    assert 'Review app relay-' in git(heroku, folder, 'push', 'review', 'work/one').stderr
    made = of(api, OWN, 'work/one')
    heroku('reviewapps:wait', made['app']['name'])
    assert heroku.paas.http(made['app']['name'])[1] == 'one\n'
    heroku('reviewapps:create', '-p', OWN, '-b', 'work/one', '--wait', '--wait-interval', '1')  # it is up
    assert of(api, OWN, 'work/one')['id'] == made['id']
    heroku('run', '-x', 'echo "$HEROKU_BRANCH of $(cat index.html)"; (exit 9)', '-a', made['app']['name'], code=9).has('work/one of one')


# --- connected ---

@pytest.fixture(scope='module')
def provider(heroku, api, tmp_path_factory):
    p = GitProvider('gitea', tmp_path_factory.mktemp('gitea'))
    p.commit('main', FILES)
    me = api('GET', '/account')['id']
    api('POST', '/pipelines', {'name': LINE, 'owner': {'id': me, 'type': 'user'}}, 201)
    api('POST', f'/pipelines/{LINE}/repo', {'provider': p.kind, 'repo': p.name, 'base_url': p.url, 'token': p.token}, 201)
    yield p
    p.close()
    assert p.wrong == []


def test_by_hand(heroku, api, provider):
    provider.commit('Feature/x', {'index.html': 'two\n'})
    provider.commit('bad', BAD)
    heroku('reviewapps:create', '-p', LINE, '-b', 'nowhere', code=1).has("The branch nowhere doesn't exist")
    heroku('reviewapps:create', '-p', LINE, '-b', 'Feature/x', '--wait-interval', '1').has('Run heroku reviewapps:wait line-feature-x')
    name = wait_for('its app', lambda: of(api, LINE, 'Feature/x')['app'])['name']
    heroku('reviewapps:wait', name, '--wait-interval', '1')
    assert of(api, LINE, 'Feature/x')['status'] == 'created' and heroku.paas.http(name)[1] == 'two\n'
    heroku('reviewapps:create', '-p', LINE, '-b', 'bad', '--wait', '--wait-interval', '1', code=1).has('NEEDED')


def test_of_a_pull_request(heroku, api, provider, tmp_path):
    """Called as Parity's pr_app calls it."""
    heroku('reviewapps:enable', '-p', LINE, '--autodeploy', '--autodestroy').has('done')
    api('PATCH', f'/pipelines/{LINE}/review-app-config', {'base_name': STAGING[:20]})
    provider.commit('topic', {'index.html': 'three\n'})
    n = provider.open_pull('topic')
    app = f'line-of-business-sta-pr-{n}'
    wait_for('its app', lambda: (of(api, LINE, 'topic') or {}).get('app'))
    heroku('reviewapps:wait', app, '--wait-interval', '1')
    git(heroku, str(tmp_path), 'init', '-q')
    git(heroku, str(tmp_path), 'remote', 'add', 'staging', f'https://{heroku.host}/{STAGING}.git')
    heroku('config:set', 'A=1', '--app', app, cwd=tmp_path)
    heroku.paas.ctl('parity:install', str(tmp_path))
    r = subprocess.run([str(tmp_path / 'pr_app'), str(n), 'config:get', 'A'], cwd=tmp_path, env=heroku.paas.env(), capture_output=True, text=True)
    assert r.stdout == '1\n', r.stderr
