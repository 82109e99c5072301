"""ps:*, builds of sources by hand, and what the CLI shows of them."""
import re

import pytest

from platform_under_test import wait_for
from sample import dynos, pushed, up

APP = 'dyno-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def repo(heroku, tmp_path_factory):
    return pushed(heroku, APP, str(tmp_path_factory.mktemp('repo')))


def test_ps(heroku, session):
    r = heroku('ps', *A)
    assert re.search(r'=== web \(Basic\): exec python3 -u -m http.server \$PORT \(1\)', r.stdout)
    assert re.search(r'web\.1: up \d{4}/\d\d/\d\d', r.stdout)
    assert [d['name'] for d in session('ps', '--json', *A).json] == ['web.1']
    session('ps', 'web', *A).has('web.1: up')
    session('ps', 'nothing', *A, code=1).has('No nothing dynos on')


def test_scale(heroku, session):
    heroku('ps:scale', 'web=2', 'worker=1', *A).has('now running', 'web at 2:Basic', 'worker at 1:Basic')
    heroku('ps:wait', *A)
    assert dynos(heroku, APP) == {'web.1', 'web.2', 'worker.1'}
    assert session('ps:scale', *A).stdout == 'console=0:Basic release=0:Basic web=2:Basic worker=1:Basic\n'
    session('scale', 'web-1', 'worker+1', *A).has('web at 1:', 'worker at 2:')
    up(heroku, APP, 'web.1', 'worker.1', 'worker.2')
    session('ps:scale', 'nothing=1', *A, code=2).has('Error ID: not_found')
    session('ps:scale', 'web=100000', *A, code=2).has('Error ID: invalid_params')
    session('dyno:scale', 'worker=0', 'web=1:standard-1x', *A).has('web at 1:Standard-1X')
    up(heroku, APP, 'web.1')


def test_sizes(heroku, session):
    session('ps:type', *A).has('web Standard-1X 1', 'worker Basic 0')
    session('ps:type', 'web=basic', *A).has('web Basic 1')
    session('ps:resize', 'standard-2x', *A).has('web Standard-2X', 'worker Standard-2X')
    session('resize', 'web=nosuchsize', *A, code=2).has('No such dyno size: nosuchsize')
    session('dyno:type', 'basic', *A).has('web Basic')
    up(heroku, APP, 'web.1')
    session('ps:wait', '-t', 'web', *A)


def test_restart(heroku, session):
    def made():
        return [d['created_at'] + d['id'] for d in heroku.paas.api('GET', f'/apps/{APP}/dynos')[1]]
    for args in (['ps:restart'], ['ps:restart', 'web.1'], ['restart', '-d', 'web.1'], ['dyno:restart', '-p', 'web']):
        before = made()
        session(*args, *A).has('done')
        wait_for('another', lambda: made() != before)
        up(heroku, APP, 'web.1')
    heroku('ps:wait', '-R', *A)
    session('restart', '-d', 'web.9', *A, code=2).has('Error ID: not_found')


def test_stop(heroku, session):
    heroku.paas.api('PATCH', f'/apps/{APP}/formation', {'updates': [{'type': 'worker', 'quantity': 1}]})
    up(heroku, APP, 'web.1', 'worker.1')
    session('ps:stop', '-d', 'worker.1', *A).has('done')
    session('ps:stop', '-p', 'worker', *A).has('done')
    session('stop', 'nothing.1', *A, code=2).has('Error ID: not_found')
    heroku.paas.api('PATCH', f'/apps/{APP}/formation', {'updates': [{'type': 'worker', 'quantity': 0}]})
    up(heroku, APP, 'web.1')


def test_what_dynos_cannot(heroku, session):
    heroku('ps:autoscale:enable', '--min', '1', '--max', '2', *A, code=1).has('only available with Performance')
    heroku('ps:exec', *A, code=2).has('Could not connect to dyno')
    session('usage:addons', *A).has('No usage found')
