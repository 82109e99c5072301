"""redis:*."""
import pytest


APP = 'redis-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def app(heroku):
    api = heroku.paas.api
    assert api('POST', '/apps', {'name': APP})[0] == 201
    for name in ('first-redis', 'second-redis'):
        status, a, _ = api('POST', f'/apps/{APP}/addons', {'plan': 'heroku-redis:mini', 'name': name})
        assert status == 201 and a['state'] == 'provisioned', a


def config(heroku):
    return heroku.paas.api('GET', f'/apps/{APP}/config-vars')[1]


def test_info_and_credentials(heroku):
    heroku('redis:info', 'first', *A).has('=== first-redis (REDIS_URL)', 'available', 'Maxmemory Policy:', 'noeviction')
    heroku('redis:wait', 'first', *A)
    was = config(heroku)['REDIS_URL']
    heroku('redis:credentials', 'first', *A).has(was)
    heroku('redis:credentials', 'first', '--reset', *A).has('Resetting credentials for first-redis')
    assert config(heroku)['REDIS_URL'] != was


def test_settings(heroku):
    heroku('redis:maxmemory', 'first', '--policy', 'allkeys-lru', *A).has('set to allkeys-lru', 'removes less recently used keys first')
    heroku('redis:timeout', 'first', '--seconds', '60', *A).has('set to 60 seconds')
    heroku('redis:keyspace-notifications', 'first', '--config', 'KEA', *A).has("set to 'AKE'")
    heroku('redis:stats-reset', 'first', '--confirm', APP, *A)
    heroku('redis:upgrade', 'first', '--version', '8.0', '--confirm', APP, *A, code=None).has('administrator')


def test_cli(heroku):
    heroku('redis:cli', 'first', '--confirm', APP, *A, input='SET a b\nGET a\n').has('Connecting to first-redis', 'b')


def test_promote(heroku):
    now = config(heroku)
    other = next(v for k, v in now.items() if k != 'REDIS_URL')
    heroku('redis:promote', 'second-redis', *A).has('Promoting second-redis to REDIS_URL')
    assert config(heroku)['REDIS_URL'] == other and now['REDIS_URL'] in config(heroku).values()
