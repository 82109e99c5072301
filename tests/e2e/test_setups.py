"""App setups: apps made of code and its app.json, by the API as a button would, and by paasctl."""
import io
import json
import os
import re
import sqlite3
import tarfile

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, wait_for
from test_addons import Fake, make_service
from test_api_code import transfer, upload

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEB = 'web: exec python3 -m http.server $PORT\n'
SHOW = 'web: env > env.txt; exec python3 -m http.server $PORT\n'


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('fake'))


@pytest.fixture(scope='module')
def paas(here):
    """With a service whose provider does what it is told."""
    make_service(here + '/services', here, 'fake', 'FAKE')
    p = Platform(ROOT, '--set', f'addons_dir={here}/services', '--set', 'addon.retry=1', '--set', 'addon.provision_timeout=4')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture
def fake(here):
    return Fake(here)


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


def tarball(manifest, procfile=SHOW, **files):
    out = io.BytesIO()
    files = {'Procfile': procfile, **files}
    if manifest is not None:
        files['app.json'] = manifest if isinstance(manifest, str) else json.dumps(manifest)
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        for name, data in files.items():
            info = tarfile.TarInfo('top/' + name)
            info.size, info.mode = len(data), 0o644
            t.addfile(info, io.BytesIO(data.encode()))
    return out.getvalue()


def begin(paas, c, data, **body):
    """POST /app-setups of a tarball that is uploaded first."""
    url = upload(paas, c, data)
    return c('POST', '/app-setups', {'source_blob': {'url': url}, **body}, want=202).json


def end(c, setup):
    def ended():
        s = c('GET', '/app-setups/' + setup['id']).json
        return s if s['status'] != 'pending' else None
    return wait_for('the setup', ended, 60)


def is_gone(paas, setup):
    wait_for('the app to go', lambda: paas.api('GET', '/apps/' + setup['app']['name'])[0] == 404)
    left = [f for f in os.listdir(os.path.join(paas.state, 'setups'))]
    assert setup['id'] not in left


def failed(paas, c, setup, text):
    s = end(c, setup)
    assert s['status'] == 'failed' and re.search(text, s['failure_message']), s
    assert s['resolved_success_url'] is None
    is_gone(paas, s)
    return s


FULL = {
    'name': 'Demo', 'description': 'A demo', 'success_url': '/welcome', 'stack': 'heroku-24',
    'env': {
        'PLAIN': 'from app.json', 'OVER': {'value': 'from app.json', 'description': 'what it is'},
        'SECRET': {'generator': 'secret'}, 'GIVEN': {'required': True}, 'OPTIONAL': {'required': False},
        'REVIEWED': 'no',
    },
    'formation': {'web': {'quantity': 2, 'size': 'standard-2x'}, 'worker': {'quantity': 1}},
    'scripts': {'postdeploy': 'echo "seeding $OVER on $DYNO"; echo err >&2'},
    'environments': {'review': {'env': {'REVIEWED': 'yes', 'PLAIN': 'from review'},
                                'formation': {'web': {'quantity': 1}}}},
}
PROCFILE = SHOW + 'worker: sleep 1000\nrelease: echo "released with $OVER"\n'


def test_everything_of_the_file(paas, c):
    s = begin(paas, c, tarball(FULL, PROCFILE), app={'name': 'whole'},
              overrides={'env': {'OVER': 'from the request', 'GIVEN': 'given', 'EXTRA': 'more'}})
    assert s['status'] == 'pending' and s['app']['name'] == 'whole' and s['build'] is None
    s = end(c, s)
    assert s['status'] == 'succeeded', s
    assert s['resolved_success_url'].endswith('/welcome') and '//whole.' in s['resolved_success_url']
    assert s['postdeploy']['exit_code'] == 0
    assert re.search(r'seeding from the request on postdeploy\.\d+\n', s['postdeploy']['output'])
    assert 'err' in s['postdeploy']['output']
    assert s['build']['status'] == 'succeeded'
    status, text = transfer(paas, 'GET', s['build']['output_stream_url'])
    assert b'released with from the request' in text
    config = c('GET', '/apps/whole/config-vars').json
    assert config['PLAIN'] == 'from app.json' and config['OVER'] == 'from the request'
    assert config['GIVEN'] == 'given' and config['EXTRA'] == 'more' and config['REVIEWED'] == 'no'
    assert re.fullmatch('[0-9a-f]{64}', config['SECRET']) and 'OPTIONAL' not in config
    formation = {f['type']: (f['quantity'], f['size']) for f in c('GET', '/apps/whole/formation').json}
    assert formation['web'] == (2, 'Standard-2X') and formation['worker'][0] == 1
    # Deploys of later commits neither run postdeploy nor make the secret anew.
    b = c('POST', '/apps/whole/builds', {'source_blob': {'url': upload(paas, c, tarball(FULL, PROCFILE))}}, want=201).json
    wait_for('the release', lambda: c('GET', f'/apps/whole/builds/{b["id"]}').json['release'])
    wait_for('it to be live', lambda: c('GET', '/apps/whole/releases').json[-1]['status'] == 'succeeded')
    assert c('GET', '/apps/whole/config-vars').json['SECRET'] == config['SECRET']
    assert len(re.findall(r'app\[postdeploy\.\d+\]: seeding', paas.logs('whole'))) == 1


def test_an_environment_and_buildpacks_of_the_request(paas, c):
    s = begin(paas, c, tarball(FULL, PROCFILE), app={'name': 'reviewed'}, environment='review',
              overrides={'env': {'GIVEN': 'x'}, 'buildpacks': [{'url': 'heroku-community/procfile'}]})
    s = end(c, s)
    assert s['status'] == 'succeeded', s
    config = c('GET', '/apps/reviewed/config-vars').json
    assert config['PLAIN'] == 'from review' and config['REVIEWED'] == 'yes' and config['OVER'] == 'from app.json'
    assert {f['type']: f['quantity'] for f in c('GET', '/apps/reviewed/formation').json} == {
        'web': 1, 'worker': 0, 'release': 0}


def test_manifest_errors(paas, c):
    """All of them, each with its place; the app goes."""
    s = failed(paas, c, begin(paas, c, tarball('{"nme": 1,\n "env": {"A": 1}}')), '^app.json has errors$')
    assert s['manifest_errors'] == ['app.json:1:2: nme is no known key; did you mean name?',
                                    'app.json:2:15: env.A must be a text, in quotes, or an object']
    assert s['build'] is None and s['postdeploy'] is None
    s = failed(paas, c, begin(paas, c, tarball({'env': {'A': {'description': 'the key'}, 'B': {}}, 'stack': 'windows'})), 'errors')
    assert [e.split(':')[0] for e in s['manifest_errors']] == ['stack', 'env.A', 'env.B']
    assert s['manifest_errors'][1] == 'env.A: a value is required (the key)'
    s = failed(paas, c, begin(paas, c, tarball(None)), '^app.json not found$')
    s = failed(paas, c, begin(paas, c, tarball({'addons': ['fke:plan']})), 'errors')
    assert s['manifest_errors'][0].startswith('addons')


def test_what_fails_takes_its_app_along(paas, c):
    failed(paas, c, begin(paas, c, b'no tarball at all'), 'The source could not be fetched')
    failed(paas, c, begin(paas, c, tarball({}, 'web: exit 1\n')), r'Release v\d+ failed: web.1 exited with status 1')
    failed(paas, c, begin(paas, c, tarball({}, WEB + 'release: exit 3\n')), r'Release v\d+ failed: Release command exited with status 3')
    failed(paas, c, begin(paas, c, tarball({}, 'no process types\n')), '.')
    failed(paas, c, begin(paas, c, tarball({'formation': {'clock': {'quantity': 1}}}, WEB)), 'process type .clock')
    s = failed(paas, c, begin(paas, c, tarball({'scripts': {'postdeploy': 'echo bye; exit 7'}}, WEB)),
               '^The postdeploy script exited with status 7$')
    assert s['postdeploy'] == {'output': 'bye\n', 'exit_code': 7}


def test_requests_that_are_refused(paas, c):
    blob = {'url': 'https://example.com/x.tar.gz'}
    def no(body, text):
        assert re.search(text, c('POST', '/app-setups', body, want=422).json['message'])
    no({}, 'source_blob')
    no({'source_blob': {'url': 'example.com/x'}}, 'must be an address')
    no({'source_blob': {**blob, 'checksum': 'abc'}}, 'SHA256')
    no({'source_blob': blob, 'environment': 'preview'}, 'no environment preview')
    no({'source_blob': blob, 'app': {'name': 'whole'}}, 'whole')
    no({'source_blob': blob, 'app': {'name': 'Not A Name'}}, '[Nn]ame')
    no({'source_blob': blob, 'overrides': {'env': {'1X': 'a'}}}, '1X')
    no({'source_blob': {'url': 'https://example.com/a.git#-x'}}, 'branch, tag or commit')
    # Like tarballs of the builds API: a user's URL does not lead into the operator's network.
    s = c('POST', '/app-setups', {'source_blob': {'url': f'http://127.0.0.1:{paas.port}/x.tar.gz'}}, want=202).json
    failed(paas, c, s, 'private address')


def test_who_may_look(paas, c):
    token = paas.new_user('setup-other@example.com')
    other = Client(paas, token)
    s = begin(paas, c, tarball({}, WEB))
    other('GET', '/app-setups/' + s['id'], want=404)
    other('GET', '/app-setups/01234567-89ab-cdef-0123-456789abcdef', want=404)
    end(c, s)
    mine = begin(paas, other, tarball({'scripts': {'postdeploy': 'exit 0'}}, WEB))
    assert end(other, mine)['status'] == 'succeeded'
    assert other('GET', '/apps/' + mine['app']['id']).json['owner']['email'] == 'setup-other@example.com'


ADDONS = {'addons': ['fake', {'plan': 'fake:maxi', 'as': 'SECOND', 'options': {'color': 'red'}}],
          'scripts': {'postdeploy': 'echo "$FAKE_URL and $SECOND_URL"'}}


def test_add_ons(paas, c, fake):
    """Each with its plan, name and options, before the build; a refusal takes all along, its add-ons too."""
    s = end(c, begin(paas, c, tarball(ADDONS, WEB + 'release: test -n "$SECOND_URL"\n')))
    assert s['status'] == 'succeeded', s
    assert re.fullmatch(r'fake://own:1@h/1 and fake://own:1@h/2\n', s['postdeploy']['output'])
    assert fake.calls('provision')[-1]['addon']['options'] == {'color': 'red'}
    c('DELETE', '/apps/' + s['app']['name'], want=200)
    wait_for('its add-ons to go', lambda: not fake.there())
    fake.mode(provision='refuse')
    failed(paas, c, begin(paas, c, tarball(ADDONS, WEB)), '^Add-on fake: .*no more of these today')
    assert not fake.there()
    s = begin(paas, c, tarball({'addons': ['fake:none']}, WEB))
    assert failed(paas, c, s, 'errors')['manifest_errors'][0].startswith('addons[0]: ')


def test_killed_while_add_ons_are_made(paas, c, fake):
    """None is made twice."""
    fake.mode(provision='slow')
    s = begin(paas, c, tarball(ADDONS, WEB))
    wait_for('the first', lambda: fake.calls('provision') and fake.calls('provision')[-1]['how'] == 'slow')
    paas.kill9()
    paas.start()
    assert end(c, s)['status'] == 'succeeded'
    assert len(fake.there()) == 2
    assert len(c('GET', f'/apps/{s["app"]["name"]}/addons').json) == 2
    c('DELETE', '/apps/' + s['app']['name'], want=200)
    wait_for('its add-ons to go', lambda: not fake.there())


@pytest.mark.parametrize('where', ['build', 'release', 'postdeploy'])
def test_killed(paas, c, where):
    """Taken up where it was; postdeploy has one line in the log, whatever happened."""
    slow = 'sleep 1; '
    script = (slow if where == 'postdeploy' else '') + 'echo run-once'
    procfile = WEB + ('release: sleep 1; echo released\n' if where == 'release' else '')
    s = begin(paas, c, tarball({'env': {'S': {'generator': 'secret'}}, 'scripts': {'postdeploy': script}}, procfile))
    app = s['app']['name']

    def there():
        now = c('GET', '/app-setups/' + s['id']).json
        dynos = [d['type'] for d in paas.api('GET', f'/apps/{app}/dynos')[1]]
        return {'build': now['build'], 'release': 'release' in dynos, 'postdeploy': 'postdeploy' in dynos}[where]
    wait_for(where, there)
    paas.kill9()
    paas.start()
    s = end(c, s)
    assert s['status'] == 'succeeded', s
    assert s['postdeploy']['exit_code'] == 0
    wait_for('its line', lambda: 'run-once' in paas.logs(app))
    assert len(re.findall(r'app\[postdeploy\.\d+\]: run-once', paas.logs(app))) == 1
    assert len([r for r in c('GET', f'/apps/{app}/releases').json if 'Set S' in r['description']]) == 1
    assert s['id'] not in os.listdir(os.path.join(paas.state, 'setups'))


def test_a_postdeploy_that_is_lost_is_a_failure(paas, c):
    """Its dyno ends with the platform: it is not run again."""
    s = begin(paas, c, tarball({'scripts': {'postdeploy': 'echo started; sleep 60'}}, WEB))
    app = s['app']['name']
    wait_for('postdeploy', lambda: 'postdeploy' in [d['type'] for d in paas.api('GET', f'/apps/{app}/dynos')[1]])
    paas.stop()
    paas.start()
    failed(paas, c, s, 'The postdeploy script (exited with status|was lost)')


def test_paasctl_sets_up_a_directory(paas, tmp_path):
    folder = str(tmp_path / 'site')
    os.mkdir(folder)
    paas.git('init', '-q', '-b', 'main', cwd=folder)
    paas.commit(folder, **{'Procfile': WEB, 'app.json': '{"name": "site"}'})
    r = paas.ctl('apps:setup', folder, '--app', 'by-dir', '--env', 'A=1')
    assert 'by-dir' in r.stdout and 'http://by-dir.' in r.stdout and '-----> ' in r.stdout
    assert paas.http('by-dir')[0] == 200
    assert paas.ctl('config:get', 'A', '-a', 'by-dir').stdout == '1\n'
    commit = paas.git('rev-parse', 'HEAD', cwd=folder).stdout.strip()
    assert any(f'Deploy {commit[:8]}' == r['description'] for r in paas.api('GET', '/apps/by-dir/releases')[1])
    paas.commit(folder, **{'app.json': '{"nme": 1}'})
    r = paas.ctl('apps:setup', '--source', folder, check=False)
    assert r.returncode == 2 and 'did you mean name?' in r.stderr
    assert paas.ctl('apps:setup', str(tmp_path), check=False).returncode == 4
    r = paas.ctl('app.json:check', '.', cwd=folder, check=False)
    assert r.returncode == 2 and r.stdout == './app.json:1:2: nme is no known key; did you mean name?\n'


def test_of_a_git_repository(tmp_path):
    """By branch, tag or commit; the commit is the release's. From where it comes is logged without its password."""
    p = Platform(ROOT, '--set', 'allow_private_urls=true')
    try:
        p.start()
        folder = str(tmp_path / 'code')
        os.mkdir(folder)
        p.git('init', '-q', '-b', 'main', cwd=folder)
        p.login()
        p.create('origin', folder)
        first = p.commit(folder, **{'Procfile': WEB, 'app.json': '{"scripts": {"postdeploy": "echo first"}}'})
        p.commit(folder, **{'app.json': '{"scripts": {"postdeploy": "echo second; exit 4"}}'})
        p.git('push', '-q', 'paasd', 'main:topic', cwd=folder)
        url = f'http://me:{p.token}@localhost:{p.port}/origin.git'
        r = p.ctl('apps:setup', f'{url}#{first}', '--app', 'by-commit', '--json')
        assert json.loads(r.stdout)['postdeploy'] == {'output': 'first\n', 'exit_code': 0}
        assert any(f'Deploy {first[:8]}' == x['description'] for x in p.api('GET', '/apps/by-commit/releases')[1])
        r = p.ctl('apps:setup', f'{url}#topic', check=False)
        assert r.returncode == 6 and 'The postdeploy script exited with status 4' in r.stderr and 'second' in r.stdout
        r = p.ctl('apps:setup', f'{url}#nowhere', check=False)
        assert r.returncode == 6 and 'no branch, tag or commit nowhere' in r.stderr
        assert p.token not in p.tail_log(10 ** 6) and p.token not in json.dumps(p.api('GET', '/apps/by-commit/builds')[1])
        for row in sqlite3.connect(os.path.join(p.state, 'paasd.db')).execute('SELECT * FROM app_setups'):
            assert not any(p.token in str(v) for v in row)
        assert [a['name'] for a in p.api('GET', '/apps')[1]] == ['by-commit', 'origin']
    finally:
        p.close()


def test_every_route_has_answered(c, request):
    if len(request.session.items) < 8:
        pytest.skip('only some of the tests were asked for')
    assert claimed_by('setups') - c.seen == set()
