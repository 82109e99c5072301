"""Git providers: connections, webhooks that are forged, doubled, late or lost, what is told back, and
branches that deploy themselves; against a server that knows the providers' documented fields."""
import json
import os
import sqlite3
import time

import pytest

from api_client import Client, claimed_by
from git_provider import GitProvider
from platform_under_test import Platform, free_port, wait_for
from receivers import Authority
from ssh_server import SshServer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = ('github', 'gitlab', 'gitea')
SECRET_TOKEN = 'tok-0123456789abcdef'
WEB = {'Procfile': 'web: exec python3 -m http.server $PORT\n', 'index.html': 'one\n'}


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


@pytest.fixture(scope='module')
def paas(authority):
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8,::1', '--set', f'outgoing.ca_file={authority.ca}')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


def db(paas, sql, *args):
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        return d.execute(sql, args).fetchall()


def connect(c, pipeline, p, want=201, **more):
    return c('POST', f'/pipelines/{pipeline}/repo', {'provider': p.kind, 'repo': p.name, 'base_url': p.url, 'token': p.token, **more},
             want=want)


def pipeline(c, name):
    return c('POST', '/pipelines', {'name': name, 'owner': {'id': c('GET', '/account').json['id'], 'type': 'user'}}, want=201).json


@pytest.fixture(scope='module', params=KINDS)
def connected(request, paas, c, tmp_path_factory, authority):
    """A provider with a pipeline that is connected to it: GitHub by https."""
    kind = request.param
    p = GitProvider(kind, tmp_path_factory.mktemp(kind), tls=authority.context() if kind == 'github' else None)
    p.commit('main', WEB)
    p.pipeline = pipeline(c, f'line-{kind}')
    p.connected = connect(c, p.pipeline['name'], p).json
    yield p
    p.fault = None
    c('DELETE', f'/pipelines/line-{kind}/repo', want=200)
    assert not p.hooks  # it took its webhook with it
    p.close()
    assert p.wrong == []


def hook_of(p):
    return next(iter(p.hooks.values()))


def looks(paas, p):
    return db(paas, 'SELECT kind, subject FROM repo_looks WHERE repo_id = ?', p.connected['id'])


def settled(paas, p):
    wait_for('all looks', lambda: not looks(paas, p))


# --- connections ---

def test_a_connection(paas, c, connected):
    p = connected
    name = p.pipeline['name']
    repo = c('GET', f'/pipelines/{name}/repo', want=200).json
    assert repo['full_name'] == p.name and repo['provider'] == p.kind and repo['webhook']['created']
    assert p.connected['webhook']['secret'] is None  # the provider has it
    h = hook_of(p)
    assert h['url'] == repo['webhook']['url'] == f'{paas.url}/hooks/{p.kind}/{repo["id"]}'
    assert len(h['secret']) == 64
    p.commit('feature/x', {'a': '1'})
    assert c('GET', f'/pipelines/{name}/repo/branches/feature%2Fx', want=200).json['commit']['sha'] == p.branches()['feature/x']
    for bad in ('none', 'a..b', '%2e%2e', 'x%0ay'):
        assert c('GET', f'/pipelines/{name}/repo/branches/{bad}', want=404).json['resource'] == 'branch'
    connect(c, name, p, want=409)
    settled(paas, p)
    wait_for('the first look', lambda: c('GET', f'/pipelines/{name}/repo').json['looked_at'])
    assert c('GET', f'/pipelines/{name}/repo').json['failure'] is None
    stored = b''.join(open(os.path.join(paas.state, f), 'rb').read() for f in ('paasd.db', 'paasd.db-wal')
                      if os.path.exists(os.path.join(paas.state, f)))
    assert SECRET_TOKEN.encode() not in stored and h['secret'].encode() not in stored


def test_deliveries(paas, c, connected):
    """Taken in once, only when signed, whatever their order; of other repositories not at all."""
    p = connected
    h = hook_of(p)
    settled(paas, p)
    n = p.open_pull('main')
    assert p.deliveries[-1][1] == 202
    settled(paas, p)
    asked = [q for q in p.requests if q.path.endswith(f'/{n}') and q.method == 'GET']
    assert asked, p.requests[-5:]
    body = json.dumps(p.pull_payload(p.pulls[n], 'open' if p.kind == 'gitlab' else 'opened')).encode()
    event = 'Merge Request Hook' if p.kind == 'gitlab' else 'pull_request'

    def count():
        settled(paas, p)
        return len([q for q in p.requests if q.path.endswith(f'/{n}')])
    before = count()
    # the same again: by id, then by content with another id
    assert p.post(h['url'], h['secret'], event, body, 'one') == 202
    p.post(h['url'], h['secret'], event, body, 'one')
    p.post(h['url'], h['secret'], event, body, 'two')
    assert count() <= before + 1
    body += b' '
    head = p.headers_of(event, body, h['secret'])
    assert c('POST', h['url'].split(str(paas.port))[1], body, headers={**head, 'Accept': '*/*'}, want=202).json == {'accepted': True}
    # forged, and what is no delivery
    assert p.post(h['url'], 'x' * 64, event, body + b' ') == 401
    name = {'github': 'X-Hub-Signature-256', 'gitlab': 'X-Gitlab-Token', 'gitea': 'X-Gitea-Signature'}[p.kind]
    assert p.post(h['url'], h['secret'], event, body + b'  ', headers={name: None}) == 401
    assert p.post(h['url'], h['secret'], event, b'{}   ') in (202, 400)
    assert p.post(h['url'], h['secret'], event, b'not json') == 400
    other = h['url'].replace(p.kind, next(k for k in KINDS if k != p.kind))
    assert p.post(other, h['secret'], event, body) == 404
    assert p.post(h['url'][:-1] + ('0' if h['url'][-1] != '0' else '1'), h['secret'], event, body) == 404
    assert p.post(h['url'], h['secret'], event, b'{"a": "' + b'x' * 2_000_000 + b'"}') == 413
    foreign = body.replace(p.name.encode(), b'acme/other')
    at = count()
    assert p.post(h['url'], h['secret'], event, foreign) == 202
    assert count() == at
    p.close_pull(n)
    settled(paas, p)


def test_25_megabytes_are_not_read(paas, c, connected):
    """The answer comes before the body, and nothing of it is kept."""
    import http.client
    p = connected
    h = hook_of(p)
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=20)
    conn.putrequest('POST', h['url'].split(str(paas.port))[1], skip_host=True)
    for k, v in {'Host': f'localhost:{paas.port}', 'Content-Type': 'application/json', 'Content-Length': str(25 << 20)}.items():
        conn.putheader(k, v)
    conn.endheaders()
    assert conn.getresponse().status == 413
    conn.close()


# --- what is told ---

def tell(paas, c, p, **more):
    row = {'repo_id': p.connected['id'], 'key': 'k1', 'number': 0, 'sha': p.branches()['main'], 'environment': 'line-pr-1',
           'state': 'pending', 'url': None, 'log_url': None, 'text': 'Being built.', 'comment': None, 'last': 0, **more}
    now = int(time.time() * 1000)
    cols = ', '.join(row)
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        d.execute(f'INSERT INTO repo_tells ({cols}, seq, first_ms, next_ms) VALUES ({", ".join("?" * len(row))}, 1, {now}, {now}) '
                  'ON CONFLICT DO UPDATE SET seq = seq + 1, tries = 0, failure = NULL, ' +
                  ', '.join(f'{k} = excluded.{k}' for k in row) + ', next_ms = excluded.next_ms, first_ms = excluded.first_ms',
                  list(row.values()))
    c('POST', f'/pipelines/{p.pipeline["name"]}/repo/actions/look', want=202)


def told(paas, p, key='k1'):
    return wait_for('it to be told', lambda: not db(paas, 'SELECT 1 FROM repo_tells WHERE repo_id = ? AND key = ? AND told_seq < seq',
                                                    p.connected['id'], key))


def test_status_and_comment(paas, c, connected):
    p = connected
    p.statuses.clear()
    n = p.open_pull('main', title='Told')
    tell(paas, c, p, number=n, comment='Review app: being built')
    told(paas, p)
    # GitHub's limit of a description is kept
    tell(paas, c, p, number=n, state='success', url='http://line-pr-1.localhost/', text='It runs. ' * 40,
         comment='Review app: http://line-pr-1.localhost/')
    told(paas, p)
    states = [s['state'] for s in p.statuses]
    assert states == {'github': ['in_progress', 'success'], 'gitlab': ['running', 'success'], 'gitea': ['pending', 'success']}[p.kind]
    url = p.statuses[-1]['environment_url' if p.kind == 'github' else 'target_url']
    assert url == 'http://line-pr-1.localhost/'
    assert len(p.deployments) == (p.kind == 'github')
    mine = [x for x in p.comments.values() if x['number'] == n]
    assert len(mine) == 1 and mine[0]['edits'] == 1 and 'http://line-pr-1.localhost/' in mine[0]['body']
    # another commit: another deployment, the old one is ended
    sha = p.commit('main', {'b': '2'})
    tell(paas, c, p, number=n, sha=sha, state='failure')
    told(paas, p)
    if p.kind == 'github':
        first, second = sorted(p.deployments)
        assert [(s['id'], s['state']) for s in p.statuses[-2:]] == [(first, 'inactive'), (second, 'failure')]
    # a crash between asking for a comment and noting its id: it is found
    db(paas, "UPDATE repo_tells SET comment_id = NULL, comment_sum = NULL, begun = 'comment', deployment_id = NULL WHERE key = 'k1'")
    if p.kind == 'github':
        db(paas, "UPDATE repo_tells SET begun = 'deployment' WHERE key = 'k1'")
    deployments = len(p.deployments)
    tell(paas, c, p, number=n, sha=sha, state='inactive', last=1)
    told(paas, p)
    assert len(p.deployments) == deployments
    if p.kind != 'github':
        assert len([x for x in p.comments.values() if x['number'] == n]) == 1
    assert not db(paas, "SELECT 1 FROM repo_tells WHERE key = 'k1'")  # it was the last
    p.close_pull(n)
    settled(paas, p)


def test_a_provider_that_is_out_of_order(paas, c, connected):
    p = connected
    faults = iter([(500, {}), (429, {'Retry-After': '1'}), (503, {})])
    seen = []

    def fault(q):
        if q.method != 'POST' or 'status' not in q.path:
            return None
        seen.append(time.monotonic())
        return next(faults, None)
    p.statuses.clear()
    p.fault = fault
    tell(paas, c, p, key='k2', state='success', sha=p.branches()['main'], environment='other')
    wait_for('the first try', lambda: seen)
    # not to wait for minutes: what is due later is due now
    for n in (1, 2, 3):
        wait_for('a try', lambda: db(paas, "SELECT 1 FROM repo_tells WHERE key = 'k2' AND tries = ?", n))
        db(paas, "UPDATE repo_tells SET next_ms = 1 WHERE key = 'k2'")
        c('POST', f'/pipelines/{p.pipeline["name"]}/repo/actions/look', want=202)
    told(paas, p, 'k2')
    p.fault = None
    assert len(seen) == 4 and len(p.statuses) == 1  # once, in the end
    assert len([d for d in p.deployments.values() if d['environment'] == 'other']) == (p.kind == 'github')
    # refused for good: given up, and said
    p.fault = lambda q: (403, {}) if q.method == 'POST' else None
    tell(paas, c, p, key='k3', environment='third')
    told(paas, p, 'k3')
    assert 'token' in db(paas, "SELECT failure FROM repo_tells WHERE key = 'k3'")[0][0]
    p.fault = None
    db(paas, 'DELETE FROM repo_tells')


# --- branches that deploy themselves ---

def served(paas, app, want, timeout=20):
    wait_for(f'{want!r} at {app}', lambda: paas.http(app, '/index.html')[:2] == (200, want + '\n'), timeout)


def auto(c, app):
    return c('GET', f'/apps/{app}/auto-deploy', want=200).json


def test_a_branch_deploys_itself(paas, c, connected, tmp_path):
    p = connected
    app = f'auto-{p.kind}'
    c('POST', '/apps', {'name': app}, want=201)
    c('PUT', f'/apps/{app}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    c('PUT', f'/apps/{app}/auto-deploy', {'branch': 'main'}, want=422)  # in no pipeline
    c('POST', '/pipeline-couplings', {'app': app, 'pipeline': p.pipeline['id'], 'stage': 'staging'}, want=201)
    c('GET', f'/apps/{app}/auto-deploy', want=404)
    c('PUT', f'/apps/{app}/auto-deploy', {'branch': 'none'}, want=422)
    p.statuses.clear()
    c('PUT', f'/apps/{app}/auto-deploy', {'branch': 'main'}, want=200)
    served(paas, app, 'one')
    two = p.commit('main', {'index.html': 'two\n'})
    served(paas, app, 'two')
    wait_for('its end', lambda: auto(c, app)['status'] == 'deployed')
    assert auto(c, app)['deployed_commit'] == two and auto(c, app)['pending_commit'] is None
    told(paas, p, c('GET', f'/apps/{app}').json['id'])
    assert {s['sha'] for s in p.statuses} == {p.git('rev-parse', 'main~1'), two}
    assert p.statuses[-1]['state'] == 'success'
    # the app's own repository has it
    paas.git('clone', '-q', f'{paas.url}/{app}.git', str(tmp_path / 'clone'))
    assert paas.git('rev-parse', 'HEAD', cwd=tmp_path / 'clone').stdout.strip() == two
    builds = c('GET', f'/apps/{app}/builds').json
    # told again, looked at again: not built again
    p.send_push('main', two, two)
    c('POST', f'/pipelines/{p.pipeline["name"]}/repo/actions/look', want=202)
    settled(paas, p)
    assert c('GET', f'/apps/{app}/builds').json == builds and len(builds) == 2
    assert f'Deployed {two[:8]} from branch main of {p.name}' in paas.logs(app)
    if p.kind != 'github':
        c('DELETE', f'/apps/{app}', want=200)
        return
    # a webhook that was lost: the look finds it
    p.quiet = True
    p.commit('main', {'index.html': 'three\n'})
    p.quiet = False
    c('POST', f'/pipelines/{p.pipeline["name"]}/repo/actions/look', want=202)
    served(paas, app, 'three')
    # after its checks
    assert c('PUT', f'/apps/{app}/auto-deploy', {'branch': 'main', 'wait_for_ci': True}, want=200).json['wait_for_ci']
    four = p.commit('main', {'index.html': 'four\n'})
    wait_for('it to wait', lambda: auto(c, app)['message'] == 'nothing has checked it yet')
    p.check(four, 'ci/lint', 'pending')
    wait_for('it to wait', lambda: auto(c, app)['message'] == 'its checks are running')
    p.check(four, 'run:test', 'failure')
    p.check(four, 'ci/lint', 'success')
    wait_for('it to wait', lambda: auto(c, app)['message'] == 'its checks have failed')
    assert auto(c, app)['pending_commit'] == four
    p.check(four, 'run:test', 'success')
    served(paas, app, 'four')
    # one that cannot be built fails, once
    p.git('rm', '-q', 'Procfile')
    five = p.commit('main', {'index.html': 'five\n'})
    p.check(five, 'ci/lint', 'success')
    wait_for('its end', lambda: auto(c, app)['deployed_commit'] == five and auto(c, app)['status'] == 'failed')
    assert paas.http(app, '/index.html')[1] == 'four\n'
    c('DELETE', f'/apps/{app}/auto-deploy', want=200)
    c('DELETE', f'/apps/{app}/auto-deploy', want=404)
    c('DELETE', f'/apps/{app}', want=200)


def test_nothing_is_lost_by_a_kill(paas, c, connected):
    """Killed right after the answer to a webhook, and while it deploys: ends deployed, once."""
    p = connected
    if p.kind != 'gitea':
        pytest.skip('once is enough')
    app = 'killed'
    c('POST', '/apps', {'name': app}, want=201)
    c('PUT', f'/apps/{app}/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    c('POST', '/pipeline-couplings', {'app': app, 'pipeline': p.pipeline['id'], 'stage': 'staging'}, want=201)
    c('PUT', f'/apps/{app}/auto-deploy', {'branch': 'main'}, want=200)
    served(paas, app, 'two')
    for text, when in (('k1', 'looked'), ('k2', 'deploying')):
        sha = p.commit('main', {'index.html': text + '\n'})
        assert p.deliveries[-1][1] == 202
        if when == 'deploying':
            wait_for('it to begin', lambda: auto(c, app)['pending_commit'] == sha)
        paas.kill9()
        c.close()
        paas.start('--keep-dynos')
        served(paas, app, text)
        wait_for('its end', lambda: auto(c, app)['status'] == 'deployed')
        good = [b for b in c('GET', f'/apps/{app}/builds').json if b['status'] == 'succeeded' and b['source_blob']['version'] == sha]
        assert len(good) == 1
    c('DELETE', f'/apps/{app}', want=200)


# --- by hand ---

def test_a_token_that_may_not_make_webhooks(paas, c, tmp_path):
    p = GitProvider('gitea', tmp_path)
    p.commit('main', WEB)
    p.hooks_allowed = False
    pipeline(c, 'by-hand')
    r = paas.ctl('pipelines:connect', p.name, '-p', 'by-hand', '--provider', 'forgejo', '--url', p.url, '--token', '-',
                 input=p.token + '\n')
    assert 'Secret ' in r.stdout and '/hooks/gitea/' in r.stdout and p.token not in r.stdout + r.stderr
    url, secret = (next(line.split()[-1] for line in r.stdout.splitlines() if line.strip().startswith(k)) for k in ('URL', 'Secret'))
    p.hooks[1] = {'id': 1, 'url': url, 'secret': secret}
    p.commit('main', {'c': '3'})
    assert p.deliveries[-1][1] == 202
    out = paas.ctl('pipelines:repo', '-p', 'by-hand').stdout
    assert p.name in out and p.url in out
    for args, text in ((['--token', p.token], 'seen by others'), ([], 'already')):
        r = paas.ctl('pipelines:connect', p.name, '-p', 'by-hand', '--provider', 'gitea', '--url', p.url, *args, check=False,
                     env=paas.env(PAASCTL_PROVIDER_TOKEN=p.token))
        assert r.returncode and text in r.stderr, r.stderr
    paas.ctl('pipelines:disconnect', '-p', 'by-hand')
    r = paas.ctl('pipelines:repo', '-p', 'by-hand')
    assert 'review/by-hand' in r.stdout and 'pipelines:connect' in r.stderr
    r = paas.ctl('pipelines:repo', '-p', 'by-hand', '--look', check=False)
    assert r.returncode == 4 and 'not connected' in r.stderr
    # what is refused
    good = {'provider': 'gitea', 'repo': p.name, 'base_url': p.url, 'token': p.token}
    for change, text in (({'repo': 'noslash'}, 'OWNER/NAME'), ({'repo': 'acme/none'}, 'not found'), ({'token': 'wrong'}, 'token'),
                         ({'base_url': None}, 'address'), ({'base_url': 'ftp://x'}, 'https'), ({'base_url': 'http://u:p@localhost'}, 'https'),
                         ({'base_url': 'http://10.255.255.1'}, 'private'), ({'deploy_key': 'x'}, 'SSH key'),
                         ({'token': 'a\nb'}, 'token'), ({'provider': 'svn'}, 'provider')):
        assert text in c('POST', '/pipelines/by-hand/repo', {**good, **change}, want=422).message, change
    p.down()
    assert c.send('POST', '/pipelines/by-hand/repo', good).status == 503
    # a pipeline takes its webhook with it
    p.up()
    p.hooks.clear()
    p.hooks_allowed = True
    c('POST', '/pipelines/by-hand/repo', {**good, 'base_url': p.url}, want=201)
    assert len(p.hooks) == 1
    c('DELETE', '/pipelines/by-hand', want=200)
    assert not p.hooks and p.wrong == []
    p.close()


def test_by_ssh(request, paas, c, tmp_path):
    """Fetched with a deploy key; the server's key is the one of the first fetch, and no other."""
    p = GitProvider('gitea', tmp_path)
    request.addfinalizer(p.close)
    p.commit('main', WEB)
    server = SshServer(tmp_path, p.name, p.repo, free_port())
    request.addfinalizer(server.close)
    secret = server.key('deploy')
    for name in ('host', 'another-host', 'stranger'):
        server.key(name)
    server.allow('deploy')
    server.start('host')
    pipeline(c, 'by-ssh')
    paas.ctl('pipelines:connect', p.name, '-p', 'by-ssh', '--provider', 'gitea', '--url', p.url,
             '--deploy-key', str(tmp_path / 'deploy'), '--ssh-port', str(server.port), env=paas.env(PAASCTL_PROVIDER_TOKEN=p.token))
    repo = c('GET', '/pipelines/by-ssh/repo', want=200).json
    assert repo['deploy_key'] is True
    c('POST', '/apps', {'name': 'ssh-app'}, want=201)
    c('PUT', '/apps/ssh-app/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]}, want=200)
    c('POST', '/pipeline-couplings', {'app': 'ssh-app', 'pipeline': 'by-ssh', 'stage': 'staging'}, want=201)
    c('PUT', '/apps/ssh-app/auto-deploy', {'branch': 'main'}, want=200)
    served(paas, 'ssh-app', 'one')
    assert p.fetches == 0 and 'Accepted publickey for git' in server.log()
    hosts = os.path.join(paas.state, 'repos', f'provider-{repo["id"]}.git.hosts')
    with open(hosts) as f:
        assert server.public('host').split()[1] in f.read()

    def fails(text, message):
        was = len(c('GET', '/apps/ssh-app/builds').json)
        sha = p.commit('main', {'index.html': text + '\n'})
        wait_for('its end', lambda: auto(c, 'ssh-app')['deployed_commit'] == sha and auto(c, 'ssh-app')['status'] == 'failed')
        assert message in auto(c, 'ssh-app')['message'], auto(c, 'ssh-app')
        assert len(c('GET', '/apps/ssh-app/builds').json) == was and paas.http('ssh-app', '/index.html')[1] == 'one\n'
    # another server that says it is this one: nothing is asked of it
    server.stop()
    server.start('another-host')
    logins = server.log().count('Accepted')
    fails('of another', 'SSH key is not the one of the first fetch')
    assert server.log().count('Accepted') == logins
    # the key is not good any more
    server.stop()
    server.start('host')
    server.allow('stranger')
    fails('refused', 'does not take the deploy key')
    server.allow('stranger', 'deploy')
    p.commit('main', {'index.html': 'again\n'})
    served(paas, 'ssh-app', 'again')
    # the key is kept sealed, and in a file only while it is used
    line = secret.splitlines()[2].encode()
    for folder, _, files in os.walk(paas.state):
        for path in (os.path.join(folder, name) for name in files):
            if os.path.isfile(path):  # neither socket nor pipe
                with open(path, 'rb') as f:
                    assert line not in f.read(), path
    assert secret.splitlines()[2] not in paas.tail_log(1 << 20)
    paas.ctl('pipelines:disconnect', '-p', 'by-ssh')
    assert not os.path.exists(hosts)
    c('DELETE', '/apps/ssh-app', want=200)
    c('DELETE', '/pipelines/by-ssh', want=200)


def test_who_may(paas, c):
    pipeline(c, 'mine')
    stranger = c.with_token(paas.new_user('provider-stranger@example.com'))
    for method, path, body in (('GET', 'repo', None), ('DELETE', 'repo', None), ('POST', 'repo/actions/look', {}),
                               ('GET', 'repo/branches/main', None), ('POST', 'repo', {'provider': 'github', 'repo': 'a/b'})):
        r = stranger(method, f'/pipelines/mine/{path}', body, want=404)
        assert r.json['resource'] == 'pipeline' and 'mine' not in r.message  # as one that is not there
    own = c('GET', '/pipelines/mine/repo', want=200).json
    assert own['full_name'] == 'review/mine' and own['provider'] == 'paasd' and own['webhook'] is None and own['number'] == 0
    for method, path in (('DELETE', 'repo'), ('POST', 'repo/actions/look')):
        assert c(method, f'/pipelines/mine/{path}', want=404).json['resource'] == 'repo'
    c('DELETE', '/pipelines/mine', want=200)


def test_every_route_answered_as_the_schema_says(c):
    assert claimed_by('providers') <= c.seen, claimed_by('providers') - c.seen
