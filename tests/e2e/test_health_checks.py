"""Health checks of app.json: a new web dyno takes traffic when its path is answered below 400, not before;
one that never is leaves the old release serving."""
import json
import os
import re

import pytest

from load import Load
from platform_under_test import released, wait_for

SERVER = '''#!/usr/bin/python3 -u
"""GET /up: HEALTH, or 503 for the first SLOW seconds; what it was asked with is printed once."""
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
START = time.monotonic()
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        status = 200
        if self.path == '/up':
            status = int(os.environ.get('HEALTH', '200'))
            if time.monotonic() - START < float(os.environ.get('SLOW', '0')):
                status = 503
            print('asked host=%s proto=%s' % (self.headers['Host'], self.headers['X-Forwarded-Proto']))
        body = ('%s %s\\n' % (os.environ.get('HEROKU_RELEASE_VERSION'), status)).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()
'''
CHECK = {'healthchecks': {'web': [{'type': 'startup', 'path': '/up', 'attempts': 3, 'wait': 0, 'timeout': 5}]}}


def manifest(**check):
    return json.dumps({**CHECK, 'healthchecks': {'web': [{**CHECK['healthchecks']['web'][0], **check}]}})


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('checked'))
    os.mkdir(os.path.join(folder, 'bin'))
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.login()
    paas.create('checked', folder)
    paas.commit(folder, **{'bin/server': SERVER, 'Procfile': 'web: python3 -u bin/server\n', 'app.json': manifest()})
    paas.push(folder)
    return folder


def version(paas):
    return paas.http('checked')[1].split()[0]


def test_it_is_asked_as_the_router_would(paas, app):
    wait_for('the log', lambda: re.search(r'asked host=checked\.localhost proto=https', paas.logs('checked')))


def test_a_failing_check_leaves_the_old_release_serving(paas, app):
    before = version(paas)
    with Load(paas.port, f'checked.localhost:{paas.port}', rate=50, threads=2) as load:
        push = paas.commit(app, **{'Procfile': 'web: HEALTH=500 python3 -u bin/server\n'}) and paas.push(app)
        assert 'Release v%d failed: Health check GET /up answered 500' % released(push) in push.stderr
        assert 'was not made current' in push.stderr
    assert load.failures == []
    assert version(paas) == before
    log = paas.logs('checked')
    assert 'heroku[web.1]: Error R10 (Boot timeout) -> Health check GET /up answered 500' in log
    assert 'Health check GET /up answered 500 (attempt 1 of 3)' in log
    # Config changes are cut over by the same rule: the failed release's slug is not the app's.
    paas.ctl('config:set', 'A=1', '-a', 'checked')
    wait_for('the next release', lambda: version(paas) not in ('', before))


def test_a_slow_start_passes_with_attempts(paas, app):
    paas.commit(app, **{'Procfile': 'web: SLOW=1.5 python3 -u bin/server\n', 'app.json': manifest(attempts=8, wait=1)})
    before = version(paas)
    push = paas.push(app)
    assert version(paas) == 'v%d' % released(push) != before
    assert 'Health check GET /up answered 503 (attempt 1 of 8)' in paas.logs('checked')


def test_a_killed_paasd_goes_on_with_it(paas, app):
    """Serving dynos that have passed are up at once; one that was being checked is checked again."""
    before = version(paas)
    with Load(paas.port, f'checked.localhost:{paas.port}', rate=50, threads=2) as load:
        paas.api('PATCH', '/apps/checked/config-vars', {'SLOW': '1.5'})
        wait_for('its check', lambda: len(re.findall('asked', paas.logs('checked'))) > 0 and
                 'starting' in paas.ctl('ps', '-a', 'checked').stdout or version(paas) != before)
        paas.kill9()
        paas.start()
        wait_for('the release', lambda: version(paas) != before)
    assert load.failures == []


def test_a_promoted_or_rolled_back_slug_takes_it_along(paas, app):
    """It is the slug's, not the app's: a release of the first slug is checked as that slug says."""
    first = next(r['version'] for r in paas.api('GET', '/apps/checked/releases')[1] if r['slug'])
    asked = len(re.findall('asked', paas.logs('checked')))
    paas.ctl('rollback', f'v{first}', '-a', 'checked')
    wait_for('its check', lambda: len(re.findall('asked', paas.logs('checked'))) > asked)


def test_a_wrong_one_is_said_and_not_used(paas, app):
    paas.commit(app, **{'Procfile': 'web: HEALTH=500 python3 -u bin/server\n', 'app.json':
                        '{"name": 7,\n "healthchecks": {"web": {"path": "up"}}}\n'})
    push = paas.push(app)
    assert 'app.json:2:35: healthchecks.web.path must be a path that begins with /' in push.stderr
    assert 'The health check and the cron entries of app.json are not used.' in push.stderr
    assert '"name"' not in push.stderr
    released(push)
