"""apps:*, and what shows an app: info, stacks, regions, maintenance; git remotes choose it."""
import re
import subprocess

import pytest


@pytest.fixture
def repo(tmp_path):
    subprocess.run(['git', 'init', '-q', '-b', 'main', str(tmp_path)], check=True)
    return tmp_path


@pytest.fixture(scope='module', autouse=True)
def apps(heroku):
    for name in ('shop-production', 'shop-staging'):
        assert heroku.paas.api('POST', '/apps', {'name': name})[0] == 201


def remotes(repo):
    out = subprocess.run(['git', 'remote', '-v'], cwd=repo, capture_output=True, text=True, check=True).stdout
    return {line.split()[0]: line.split()[1] for line in out.splitlines()}


def remote(heroku, repo, name, app):
    subprocess.run(['git', 'remote', 'add', name, f'https://{heroku.host}/{app}.git'], cwd=repo, check=True)


def test_create(heroku, repo):
    r = heroku('apps:create', 'made-here', '-r', 'production', cwd=repo)
    r.has('Creating made-here... done')
    assert r.stdout == f'http://made-here.localhost:{heroku.paas.port}/ | https://{heroku.host}/made-here.git\n'
    assert remotes(repo) == {'production': f'https://{heroku.host}/made-here.git'}
    heroku('create', 'made-too', '-r', 'staging', '--stack', 'heroku-22', '--region', 'us', '-b', 'heroku/procfile', cwd=repo)
    assert set(remotes(repo)) == {'production', 'staging'}
    assert len(heroku.paas.api('GET', '/apps/made-too/buildpack-installations')[1]) == 1
    heroku('config', code=2, cwd=repo).has('Multiple apps in git remotes', 'staging')
    assert heroku('config', '-r', 'staging', cwd=repo).stdout.startswith('=== made-too Config Vars')
    heroku('config', code=2).has('Missing required flag')


def test_a_name_is_made_up(heroku, tmp_path):
    app = heroku('apps:create', '--json', '--no-remote', cwd=tmp_path).json
    assert app['generation']['name'] == 'cedar' and app['team'] is None and re.fullmatch(r'[a-z]+-[a-z]+-\d+', app['name'])
    heroku('apps:destroy', '-a', app['name'], '--confirm', app['name'])
    assert app['name'] not in heroku('apps').stdout


def test_bad_names(heroku, session):
    session('apps:create', 'shop-production', '--no-remote', code=2).has('Name shop-production is already taken',
                                                                        'Error ID: invalid_params')
    session('apps:create', '1shop', '--no-remote', code=2).has('Error ID: invalid_params')
    session('apps:create', 'otherstack', '--no-remote', '--stack', 'heroku-18', code=2).has('Stack heroku-18 does not exist')
    session('apps:create', 'other-region', '--no-remote', '--region', 'mars', code=2).has('Region mars does not exist')


def test_list(session):
    session('apps', '-A').has('=== admin@localhost Apps', 'shop-production', 'shop-staging')
    names = [a['name'] for a in session('apps', '--json').json]
    assert names == sorted(names) and 'shop-staging' in names
    session('list', '--personal').has('shop-production')


def test_info(heroku, session):
    r = session('apps:info', '-a', 'shop-production')
    assert r.stdout.splitlines()[0] == '=== shop-production'
    r.has('Auto Cert Mgmt: false', 'Git URL:', '/shop-production.git', 'Web URL:', f'http://shop-production.localhost:{heroku.paas.port}/',
          'Repo Size:', 'Slug Size:', 'Owner: admin@localhost', 'Region: us', 'Stack: heroku-22')
    shell = dict(line.split('=', 1) for line in session('apps:info', '-s', '-a', 'shop-production').stdout.splitlines())
    assert shell['git_url'].endswith('/shop-production.git') and shell['owner'] == 'admin@localhost' and shell['stack'] == 'heroku-22'
    assert session('info', '-j', '-a', 'shop-production').json['app']['name'] == 'shop-production'
    session('apps:info', '--extended', '-a', 'shop-production').has('--- Extended Information ---')
    session('apps:info', '-a', 'no-such-app', code=2).has("Couldn't find that app.", 'Error ID: not_found')


def test_open(heroku):
    heroku('apps:open', '/x', '-a', 'shop-production').has(f'Opening http://shop-production.localhost:{heroku.paas.port}/x...')


def test_rename(heroku, repo):
    remote(heroku, repo, 'staging', 'shop-staging')
    heroku('apps:rename', 'shop-stage', '-a', 'shop-staging', cwd=repo).has(f'https://{heroku.host}/shop-stage.git')
    assert remotes(repo)['staging'] == f'https://{heroku.host}/shop-stage.git'
    heroku('rename', 'shop-staging', cwd=repo)
    assert remotes(repo)['staging'].endswith('/shop-staging.git')
    heroku('apps:rename', 'shop-production', '-a', 'shop-staging', code=2).has('already taken')


def test_stacks(heroku, session):
    assert '* heroku-22' in session('apps:stacks', '-a', 'shop-production').stdout
    session('apps:stacks:set', 'heroku-22', '-a', 'shop-production').has('Setting stack to heroku-22... done')
    session('stack:set', 'heroku-1', '-a', 'shop-production', code=2).has('heroku-1')


def test_regions(session):
    assert session('regions', '--json').json[0]['name'] == 'us'
    session('regions', '--common').has('us', 'Common Runtime')


def test_maintenance(session):
    assert session('maintenance', '-a', 'shop-production').stdout == 'off\n'
    session('maintenance:on', '-a', 'shop-production').has('Enabling maintenance mode for shop-production... done')
    assert session('maintenance', '-a', 'shop-production').stdout == 'on\n'
    session('maintenance:off', '-a', 'shop-production').has('done')


def test_diff(heroku, session):
    heroku.paas.api('PATCH', '/apps/shop-staging/config-vars', {'ONLY_HERE': '1'})
    session('apps:diff', 'shop-production', 'shop-staging').has('config', 'ONLY_HERE')


def test_destroy(heroku, repo):
    heroku('apps:create', 'short-lived', cwd=repo)
    assert remotes(repo) == {'heroku': f'https://{heroku.host}/short-lived.git'}
    heroku('apps:destroy', '-a', 'short-lived', '--confirm', 'other', code=1).has('did not match')
    heroku('destroy', '-a', 'short-lived', '--confirm', 'short-lived', cwd=repo)
    assert remotes(repo) == {}
    assert heroku.paas.api('GET', '/apps/short-lived')[0] == 404
