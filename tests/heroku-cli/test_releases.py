"""releases:*, git:*, buildpacks:*."""
import json
import os
import re
import subprocess

import pytest

from sample import git, push, pushed

APP = 'release-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def repo(heroku, tmp_path_factory):
    return pushed(heroku, APP, str(tmp_path_factory.mktemp('repo')))


def test_push_by_https(heroku, repo):
    r = push(heroku, repo, message='second')
    assert 'remote: -----> Building on the heroku-22 stack' in r.stderr and 'remote: released hello' in r.stderr
    assert 'Released v5' in r.stderr
    assert heroku.paas.http(APP)[0] == 200
    with open(os.path.join(heroku.home, '.gitconfig')) as f:
        assert 'heroku git:credentials' in f.read()
    with open(os.path.join(repo, '.git', 'config')) as f:
        assert f'url = https://{heroku.host}/{APP}.git' in f.read()
    git(heroku, repo, 'fetch', 'heroku')
    assert git(heroku, repo, 'rev-parse', 'heroku/main').stdout == git(heroku, repo, 'rev-parse', 'main').stdout


def test_git_remote_and_clone(heroku, tmp_path):
    subprocess.run(['git', 'init', '-q', str(tmp_path / 'x')], check=True)
    heroku('git:remote', *A, '-r', 'prod', cwd=tmp_path / 'x').has('set git remote prod to')
    heroku('git:clone', *A, str(tmp_path / 'copy'), cwd=tmp_path)
    assert (tmp_path / 'copy' / 'Procfile').exists()
    heroku('git:clone', *A, '-r', 'prod', cwd=tmp_path)
    assert (tmp_path / APP / 'Procfile').exists()
    r = heroku('git:credentials', 'get', input=f'protocol=https\nhost={heroku.host}\n\n')
    assert f'password={heroku.token}' in r.stdout
    assert heroku('git:credentials', 'get', input='protocol=https\nhost=git.example.com\n\n').stdout == ''


def test_releases(heroku, session):
    r = heroku('releases', *A)
    r.has(f'=== {APP} Releases - Current: v5', 'v5 Deploy', 'admin@localhost', 'v4 Deploy', 'v3 Set GREETING config vars',
          'v1 Initial release')
    assert [r['version'] for r in heroku('releases', '-n', '2', '--json', *A).json] == [5, 4]
    session('releases:info', *A).has('=== Release v5', 'By:', 'admin@localhost', 'Change:', 'Deploy', 'GREETING: hello')
    assert session('releases:info', '3', '--json', *A).json['version'] == 3
    session('releases:info', 'v4', '-s', *A).has('=== Release v4', 'GREETING=hello')
    session('releases:info', 'v9999', *A, code=2).has('Error ID: not_found')
    assert session('releases:output', 'v4', *A).stdout == 'released hello\n'
    session('releases:output', 'v1', *A).has('Release v1 has no release output available')


def test_rollback_and_retry(heroku, session):
    heroku.paas.api('PATCH', f'/apps/{APP}/config-vars', {'GREETING': 'changed'})  # v6
    heroku('releases:rollback', 'v4', *A).has(f'Rolling back {APP} to v4', 'done, v7')
    assert heroku.paas.api('GET', f'/apps/{APP}/config-vars')[1]['GREETING'] == 'hello'
    session('rollback', *A).has(f'Rolling back {APP} to v6', 'done, v8')
    session('releases:rollback', 'v1', *A, code=2).has('Error ID:')
    heroku('releases:retry', *A).has('Running release command...', 'released changed', 'Retrying v8', 'done, v9')
    assert re.match(r'Retry of v8', heroku.paas.api('GET', f'/apps/{APP}/releases/9')[1]['description'])


def test_buildpacks(heroku, session):
    session('buildpacks', *A).has(f'{APP} has no Buildpacks')
    session('buildpacks:set', 'heroku/procfile', *A).has('Buildpack set')
    heroku('buildpacks:add', '-i', '1', 'https://example.com/one.git#main', *A).has('1. https://example.com/one.git#main',
                                                                                    '2. heroku/procfile')
    assert len(json.loads(session('buildpacks', '--json', *A).stdout)) == 2
    heroku('buildpacks:remove', '-i', '1', *A).has('Buildpack removed')
    session('buildpacks:add', 'heroku/nodejs', *A).has('1. heroku/procfile', '2. heroku/nodejs')
    session('buildpacks:remove', 'heroku/nodejs', *A)
    session('buildpacks', *A).has('heroku/procfile')
    session('buildpacks:set', 'heroku/nosuch', *A, code=2).has('Error ID: invalid_params')


def test_the_registry(heroku, session):
    session('buildpacks:search', 'node').has('heroku/nodejs', '1 buildpack found')
    session('buildpacks:search', '--namespace', 'heroku', '--name', 'ruby').has('heroku/ruby')
    session('buildpacks:search', '--description', 'Rails').has('heroku/ruby')
    session('buildpacks:info', 'heroku/ruby').has('=== heroku/ruby', 'description:', 'Gemfile')
    session('buildpacks:versions', 'heroku/ruby').has('Version', 'published')


def test_a_push_with_a_registry_buildpack(heroku, repo):
    assert 'Using buildpack: heroku/procfile' in push(heroku, repo, message='by registry').stderr
    heroku('buildpacks:clear', *A).has('Buildpacks cleared')


def test_a_build_that_fails_fails_the_push(heroku, repo):
    heroku.paas.api('PUT', f'/apps/{APP}/buildpack-installations', {'updates': [{'buildpack': 'heroku/nodejs'}]})
    git(heroku, repo, 'commit', '-q', '--allow-empty', '-m', 'no package.json')
    r = subprocess.run(['git', 'push', 'heroku', 'main'], cwd=repo, env=heroku.env(), capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    assert r.returncode == 1 and '! [remote rejected] main -> main (pre-receive hook declined)' in r.stderr
