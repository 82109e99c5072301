"""What Parity's `staging` and `production` run, by the Heroku CLI and git in a checkout with these two remotes."""
import re
import signal

import pytest

from sample import git, make_repo, up


@pytest.fixture(scope='module')
def repo(heroku, tmp_path_factory):
    folder = make_repo(heroku, str(tmp_path_factory.mktemp('repo')))
    heroku('create', 'shop-staging', '--remote', 'staging', cwd=folder)
    heroku('create', 'shop-production', '--remote', 'production', cwd=folder)
    return folder


def test_deploy(heroku, repo):
    r = git(heroku, repo, 'push', 'staging', 'HEAD:main', '--force')
    assert 'Released v3' in r.stderr
    up(heroku, 'shop-staging', 'web.1')
    git(heroku, repo, 'commit', '-q', '--amend', '-m', 'another history')
    assert 'Released v4' in git(heroku, repo, 'push', 'staging', 'HEAD:main', '--force').stderr
    assert 'Released v3' in git(heroku, repo, 'push', 'production', 'main').stderr
    up(heroku, 'shop-production', 'web.1')


def test_which_app(heroku, repo):
    """`staging restore production` takes the name from the first line."""
    first = heroku('info', '--remote', 'staging', cwd=repo).stdout.splitlines()[0]
    assert first.replace('=', '').replace(' ', '') == 'shop-staging'
    heroku('config', code=2, cwd=repo).has('Multiple apps in git remotes', 'production', 'staging')


def test_console(heroku, repo):
    t = heroku.at_terminal('run', 'bundle', 'exec', 'rails', 'console', '--remote', 'staging', cwd=repo)
    try:
        t.expect('bundle ran exec rails console', timeout=60)
        t.send('User.count\r')
        assert t.wait() == 0
    finally:
        t.kill()


def test_migrate(heroku, repo):
    assert heroku('run', 'rake', 'db:migrate', '--remote', 'production', cwd=repo).stdout == 'rake ran db:migrate\n'
    heroku('restart', '--remote', 'production', cwd=repo).has('done')
    up(heroku, 'shop-production', 'web.1')


def test_tail(heroku, repo):
    t = heroku.start('logs', '--tail', '--remote', 'staging', cwd=repo)
    try:
        t.expect(re.compile(r'app\[api\]: Release v4 created'), timeout=60)
        heroku.paas.http('shop-staging', '/seen')
        t.expect('path="/seen"')
    finally:
        t.end(signal.SIGINT)


def test_open_and_others(heroku, repo):
    heroku('open', '--remote', 'production', cwd=repo).has('Opening http://shop-production.localhost')
    heroku('config:set', 'A=1', '--remote', 'staging', cwd=repo).has('A: 1')
    heroku('ps', '--remote', 'production', cwd=repo).has('web.1: up')
    heroku('maintenance:on', '--app', 'shop-production')  # pr_app: by name
    assert heroku.paas.http('shop-production')[0] == 503
