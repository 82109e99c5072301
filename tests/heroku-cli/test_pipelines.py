"""pipelines:*, and which of several apps a command is about."""
import os

import pytest

from platform_under_test import wait_for
from sample import git

STAGING, PROD, EU = 'relay-staging', 'relay-live', 'relay-eu'
FILES = {'Procfile': 'web: exec python3 -u -m http.server $PORT\nrelease: echo "migrated $WHERE"; exit $((STATUS))\n'}


@pytest.fixture(scope='module')
def repo(heroku, tmp_path_factory):
    """A checkout with the remotes staging and production; code on staging; one app without a remote."""
    folder = str(tmp_path_factory.mktemp('relay'))
    git(heroku, folder, 'init', '-q', '-b', 'main')
    for name, text in FILES.items():
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    git(heroku, folder, 'add', '-A')
    git(heroku, folder, 'commit', '-q', '-m', 'first')
    heroku('create', STAGING, '-r', 'staging', cwd=folder)
    heroku('create', PROD, cwd=folder)
    git(heroku, folder, 'remote', 'rename', 'heroku', 'production')
    assert heroku.paas.api('POST', '/apps', {'name': EU})[0] == 201
    git(heroku, folder, 'push', '-q', 'staging', 'main')
    return folder


def config(heroku, app, **values):
    heroku.paas.api('PATCH', f'/apps/{app}/config-vars', values)
    wait_for('releases', lambda: not [r for r in heroku.paas.api('GET', f'/apps/{app}/releases')[1] if r['status'] == 'pending'])


def test_which_of_several_apps(heroku, repo):
    heroku('config', code=2, cwd=repo).has(
        'Error: Multiple apps in git remotes', 'Usage: --remote staging', f'or: --app {STAGING}',
        'Your local git repository has more than 1 app referenced in git remotes.',
        "Because of this, we can't determine which app you want to run this command against.",
        'Specify the app you want with --app or --remote.', 'Heroku remotes in repo:', f'{PROD} (production)', f'{STAGING} (staging)')
    git(heroku, repo, 'config', 'heroku.remote', 'staging')
    heroku('config', cwd=repo).has(f'=== {STAGING} Config Vars')
    heroku('config', '-r', 'production', cwd=repo).has(f'=== {PROD} Config Vars')
    git(heroku, repo, 'config', '--unset', 'heroku.remote')


def test_a_pipeline(heroku, session, repo):
    heroku('pipelines:create', 'relay', '-r', 'staging', '-s', 'staging', cwd=repo).has('Creating relay pipeline... done', f'Adding {STAGING} to relay pipeline as staging... done')
    heroku('pipelines:add', 'relay', '-r', 'production', '-s', 'production', cwd=repo).has('done')
    session('pipelines:add', 'relay', '-a', PROD, '-s', 'staging', code=2).has('already in a pipeline')
    session('pipelines').has('My Pipelines', 'relay')
    heroku('pipelines:info', 'relay').has('=== relay', 'owner: admin@localhost', STAGING, 'staging', PROD, 'production')
    told = session('pipelines:info', 'relay', '--json').json
    assert {a['name']: a['pipelineCoupling']['stage'] for a in told['apps']} == {STAGING: 'staging', PROD: 'production'}
    session('pipelines:update', '-s', 'development', '-a', PROD).has('done')
    session('pipelines:remove', '-a', PROD).has(f'Removing {PROD}', 'done')
    session('pipelines:add', 'relay', '-a', PROD, '-s', 'production')
    session('pipelines:rename', 'relay', 'relay-race').has('done')


def test_promote(heroku, session, repo):
    config(heroku, PROD, WHERE='live')
    heroku('pipelines:promote', '-r', 'staging', cwd=repo).has('Running release command', 'migrated live', 'Promotion successful', f'{PROD}: succeeded')
    newest = max(heroku.paas.api('GET', f'/apps/{PROD}/releases')[1], key=lambda r: r['version'])
    commit = git(heroku, repo, 'rev-parse', 'HEAD').stdout[:8]
    assert newest['current'] and newest['description'].startswith(f'Promote {STAGING} v') and newest['description'].endswith(commit)
    session('pipelines:diff', '-a', STAGING, code=2).has('does not seem to be connected to GitHub')


def test_one_of_two_fails(heroku, session, repo):
    session('pipelines:add', 'relay-race', '-a', EU, '-s', 'production')
    config(heroku, EU, STATUS='5')
    r = heroku('pipelines:promote', '-a', STAGING, code=1).has(f'{EU}: failed', 'Release command exited with status 5', 'Promotion to some apps failed')
    r.has(f'{PROD}: succeeded')  # either may come first
    heroku('pipelines:promote', '-a', STAGING, '-t', EU, code=1).has('migrated', f'{EU}: failed', 'Promotion to some apps failed')
    assert [r['status'] for r in heroku.paas.api('GET', f'/apps/{PROD}/releases')[1]].count('failed') == 0


def test_the_end(heroku, session):
    heroku.paas.new_user('heir@example.com')
    heroku('pipelines:transfer', 'heir@example.com', '-p', 'relay-race', '-c', 'relay-race').has('Transferring relay-race pipeline', 'done')
    assert heroku.paas.api('GET', f'/apps/{STAGING}')[1]['owner']['email'] == 'heir@example.com'
    session('pipelines:destroy', 'relay-race').has('Destroying relay-race pipeline... done')
    session('pipelines:info', 'relay-race', code=None).has('Pipeline not found')
