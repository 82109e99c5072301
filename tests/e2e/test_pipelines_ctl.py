"""The chapter with paasctl: two remotes, a pipeline, promotion, what differs; and what goes wrong on the way."""
import json
import os
import subprocess

import pytest

from platform_under_test import wait_for

PROCFILE = 'web: bin/server\nrelease: echo "migrating for $HEROKU_APP_NAME"; exit ${STATUS:-0}\n'


@pytest.fixture(scope='module')
def repo(paas, tmp_path_factory):
    paas.login()
    folder = paas.make_app('procfile', tmp_path_factory.mktemp('ctl') / 'src')
    paas.commit(folder, 'first', Procfile=PROCFILE)
    return folder


@pytest.fixture
def ctl(paas, repo):
    def run(*args, code=0, **kw):
        r = paas.ctl(*args, cwd=kw.pop('cwd', repo), check=False, **kw)
        assert r.returncode == code, (args, r)
        r.all = r.stdout + r.stderr
        return r
    return run



def test_two_remotes(paas, repo, ctl):
    """create -r, git remote rename, -r and -a, the default remote, several apps."""
    ctl('create', 'shop-staging', '-r', 'staging')
    ctl('create', 'shop')
    assert paas.git('remote', cwd=repo).stdout.split() == ['paasd', 'staging']
    paas.git('remote', 'rename', 'paasd', 'production', cwd=repo)
    r = ctl('config', code=2)
    for text in ('Error: Multiple apps in git remotes', 'Usage: --remote ', 'or: --app ', 'more than 1 app referenced in git remotes',
                 'Specify the app you want with --app or --remote', 'shop (production)', 'shop-staging (staging)'):
        assert text in r.stderr
    assert '=== shop Config Vars' in ctl('config', '-r', 'production').stdout
    assert '=== shop-staging Config Vars' in ctl('config', '--remote', 'staging').stdout
    assert '=== shop-staging Config Vars' in ctl('config', '-a', 'shop-staging').stdout
    assert 'remote nowhere not found' in ctl('config', '-r', 'nowhere', code=2).stderr
    for key in ('heroku.remote', 'paas.remote'):
        paas.git('config', key, 'staging', cwd=repo)
        assert '=== shop-staging Config Vars' in ctl('config').stdout
        paas.git('config', '--unset', key, cwd=repo)
    assert '=== shop Config Vars' in ctl('config', env=paas.env(HEROKU_APP='shop')).stdout
    for remote in ('staging', 'production'):
        os.symlink(os.path.join(paas.bin, 'paasctl'), os.path.join(paas.dir, remote))
        app = {'staging': 'shop-staging', 'production': 'shop'}[remote]
        assert f'=== {app} Config Vars' in paas.run(os.path.join(paas.dir, remote), 'config', cwd=repo).stdout


def test_a_pipeline(paas, repo, ctl):
    assert 'is in no pipeline' in ctl('pipelines:promote', '-r', 'staging', code=4).stderr
    assert ctl('pipelines').stdout.startswith('You have no pipelines.')
    assert 'does not say its stage' in ctl('pipelines:create', '-r', 'production', code=2).stderr
    r = ctl('pipelines:create', '-r', 'staging')
    assert r.stderr == 'Creating shop pipeline... done\nAdding shop-staging to shop pipeline as staging... done\n'
    assert 'does not say its stage' in ctl('pipelines:add', 'shop', '-r', 'production', code=2).stderr
    ctl('pipelines:add', 'shop', '-r', 'production', '-s', 'production')
    assert 'already in a pipeline' in ctl('pipelines:add', 'shop', '-r', 'production', '-s', 'staging', code=2).stderr
    info = ctl('pipelines:info', 'shop').stdout
    assert info.startswith('=== shop\n\nowner: admin') and info.index('shop-staging  staging') < info.index('production')
    assert 'shop - production' in ctl('info', '-r', 'production').stdout
    assert {a['coupling']['stage'] for a in json.loads(ctl('pipelines:info', 'shop', '--json').stdout)['apps']} == {'staging', 'production'}
    ctl('pipelines:update', '-s', 'development', '-r', 'staging')
    ctl('pipelines:update', '-s', 'staging', '-r', 'staging')
    ctl('pipelines:remove', '-r', 'production')
    assert 'paasctl pipelines:add' in ctl('pipelines:remove', '-r', 'production', code=4).stderr
    ctl('pipelines:add', 'shop', '-a', 'shop', '-s', 'production')
    ctl('pipelines:rename', 'shop', 'store')
    ctl('pipelines:rename', 'store', 'shop')
    assert ctl('pipelines').stdout == '=== My Pipelines\n\nshop\n'
    assert [p['name'] for p in json.loads(ctl('pipelines', '--json').stdout)] == ['shop']
    assert ctl('pipelines:open', 'shop').stdout == f'http://shop.localhost:{paas.port}/\n'
    assert 'no app in the stage review' in ctl('pipelines:open', 'shop', '-s', 'review', code=4).stderr
    assert 'no-such' not in ctl('pipelines:info', 'no-such', code=4).stdout


def test_promote(paas, repo, ctl):
    assert 'no release with code' in ctl('pipelines:promote', '-r', 'staging', code=5).stderr
    assert 'has no release with code yet' in ctl('pipelines:diff', '-r', 'staging').stdout
    paas.push(repo, 'staging')
    r = ctl('pipelines:promote', '-r', 'staging')
    assert r.stdout == 'migrating for shop\nPromotion successful\n', r
    assert 'Promoting shop-staging in the pipeline shop... done\nRunning release command...\n' in r.stderr and 'shop: succeeded\n' in r.stderr
    assert 'Promote shop-staging v' in ctl('releases', '-r', 'production').stdout
    assert 'HEROKU_APP_NAME=shop\n' in paas.http('shop')[1]
    ctl('create', 'shop-eu', '--no-remote')
    ctl('pipelines:add', 'shop', '-a', 'shop-eu', '-s', 'production')
    r = ctl('pipelines:promote', '-r', 'staging', '--to', 'shop-eu')
    assert r.stdout == 'migrating for shop-eu\nPromotion successful\n'
    r = ctl('pipelines:promote', '-r', 'staging')
    assert 'shop: succeeded\n' in r.stderr and 'shop-eu: succeeded\n' in r.stderr and r.stdout == 'Promotion successful\n'
    assert 'to itself' in ctl('pipelines:promote', '-r', 'staging', '-t', 'shop,shop-staging', code=2).stderr
    ctl('pipelines:promote', '-r', 'staging', '-t', ',', code=2)


def test_one_fails(paas, repo, ctl):
    paas.commit(repo, 'breaks in the EU', Procfile=PROCFILE.replace('${STATUS:-0}', '$((EU))'))
    ctl('config:set', 'EU=4', '-a', 'shop-eu')
    paas.push(repo, 'staging')
    r = ctl('pipelines:promote', '-r', 'staging', code=1)
    assert 'shop: succeeded\n' in r.stderr and 'shop-eu: failed, Release command exited with status 4' in r.stderr
    assert 'Promotion to some apps failed' in r.stderr and 'successful' not in r.all
    r = ctl('pipelines:promote', '-r', 'staging', '--to', 'shop-eu', code=1)
    assert 'migrating for shop-eu\n' in r.stdout
    r = ctl('pipelines:promote', '-r', 'staging', '--json', code=1)
    told = json.loads(r.stdout)
    assert {t['status'] for t in told['targets']} == {'succeeded', 'failed'} and told['promotion']['status'] == 'completed'


def test_diff(paas, repo, ctl):
    assert 'shop is up to date with shop-staging' in ctl('pipelines:diff', '-r', 'staging').stdout
    paas.commit(repo, 'a better title')
    paas.push(repo, 'staging')
    r = ctl('pipelines:diff', '-r', 'staging')
    assert '=== shop-staging (v' in r.stdout and 'compared to shop (v' in r.stdout and 'a better title' in r.stdout
    assert r.stdout.count('a better title') == 2 and 'breaks in the EU' in r.stdout  # shop-eu lacks both
    targets = {d['target']['app']['name']: d for d in json.loads(ctl('pipelines:diff', '-r', 'staging', '--json').stdout)['targets']}
    assert targets['shop']['status'] == 'ahead' and len(targets['shop-eu']['commits']) == 2
    assert 'no stage downstream' in ctl('pipelines:diff', '-r', 'production', code=2).stderr


def test_paasd_restarts_meanwhile(paas, repo, ctl):
    paas.commit(repo, 'takes its time', Procfile=PROCFILE.replace('exit', 'sleep ${NAP:-0}; exit'))
    ctl('config:set', 'NAP=1', '-a', 'shop')
    paas.push(repo, 'staging')
    p = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'pipelines:promote', '-r', 'staging', '--to', 'shop'], cwd=repo, env=paas.env(),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for('the release command', lambda: 'migrating for shop' in paas.logs('shop', 3))
    paas.kill9()
    paas.start()
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0 and out.endswith('Promotion successful\n') and 'shop: succeeded' in err, (out, err)


def test_config_of_a_stage(ctl):
    of = ('-p', 'shop')
    assert ctl('pipelines:config', *of).stdout == '=== shop review Config Vars\n\n'
    r = ctl('pipelines:config:set', 'A=1', 'B=two words', *of)
    assert r.stderr == 'Setting A, B for apps in the stage review of shop... done\n'
    assert ctl('pipelines:config', *of).stdout == '=== shop review Config Vars\n\nA: 1\nB: two words\n'
    assert ctl('pipelines:config', *of, '--shell').stdout == "A=1\nB='two words'\n"
    ctl('pipelines:config:unset', 'A', *of)
    assert json.loads(ctl('pipelines:config', *of, '--json').stdout) == {'B': 'two words'}
    assert json.loads(ctl('pipelines:config', *of, '-s', 'test', '--json').stdout) == {}
    ctl('pipelines:config:set', 'nothing', *of, code=2)
    ctl('pipelines:config', code=2)
    ctl('pipelines:config', *of, '-s', 'staging', code=2)


def test_setup(paas, tmp_path, ctl):
    paas.git('init', '-q', '-b', 'main', cwd=tmp_path)
    r = ctl('pipelines:setup', 'forum', cwd=tmp_path)
    assert 'git push staging main' in r.stdout
    assert paas.git('remote', cwd=tmp_path).stdout.split() == ['production', 'staging']
    apps = {a['name']: a['coupling']['stage'] for a in json.loads(ctl('pipelines:info', 'forum', '--json').stdout)['apps']}
    assert apps == {'forum': 'production', 'forum-staging': 'staging'}
    assert 'left as it is' in ctl('pipelines:setup', 'forum', cwd=tmp_path).stderr
    assert ctl('config', '-r', 'staging', cwd=tmp_path).stdout.startswith('=== forum-staging')
    assert 'is in the pipeline' in ctl('pipelines:setup', 'shop-staging', cwd=tmp_path, code=5).stderr
    ctl('pipelines:destroy', 'shop-staging')


def test_transfer(paas, ctl):
    paas.new_user('heir@example.com')
    r = ctl('pipelines:transfer', 'heir@example.com', '-p', 'forum', input='no\n', code=1)
    assert 'forum-staging' in r.stdout and 'did not match' in r.stderr
    ctl('pipelines:transfer', 'heir@example.com', '-p', 'forum', '--confirm', 'forum')
    assert paas.api('GET', '/apps/forum')[1]['owner']['email'] == 'heir@example.com'
    assert 'owner: heir@example.com' in ctl('pipelines:info', 'forum').stdout
    ctl('pipelines:transfer', 'nobody@example.com', '-p', 'forum', '--confirm', 'forum', code=4)
    ctl('pipelines:destroy', 'forum')
    ctl('pipelines:destroy', 'forum', code=4)
