"""Review apps of pull and merge requests, in the formats of GitHub, GitLab and Gitea: a request's life, what keeps an app from
being made, and what is left when the platform, the provider or a webhook fails."""
import http.client
import json
import os
import random
import re
import sqlite3
import subprocess
import time

import pytest

from api_client import Client
from git_provider import GitProvider
from platform_under_test import Platform, wait_for
from test_addons import Fake, make_service

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = ('github', 'gitlab', 'gitea')
APP_JSON = {
    'env': {'FROM_STAGE': {'description': 'of the stage'}, 'SECRET': {'generator': 'secret'}},
    'environments': {'review': {'addons': ['fake'], 'scripts': {'postdeploy': 'echo postdeploy-ran',
                                                                'pr-predestroy': 'echo predestroy of $HEROKU_PR_NUMBER'}}},
}
FILES = {'Procfile': 'web: exec python3 -m http.server $PORT\n', 'index.html': 'one\n', 'app.json': json.dumps(APP_JSON)}
FIRST = {'github': 'in_progress', 'gitlab': 'running', 'gitea': 'pending'}


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('fake'))


@pytest.fixture(scope='module')
def paas(here):
    make_service(here + '/services', here, 'fake', 'FAKE')
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8,::1', '--set', f'addons_dir={here}/services', '--set', 'addon.retry=1',
                 '--set', 'dyno.stop_timeout=2')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture
def fake(here):
    return Fake(here)


def db(paas, sql, *args):
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        return d.execute(sql, args).fetchall()


class Line:
    """A pipeline that is connected to a provider."""

    def __init__(self, paas, c, kind, folder, repo='acme/shop', **settings):
        self.paas, self.c, self.kind = paas, c, kind
        self.p = GitProvider(kind, folder, name=repo)
        self.p.commit('main', FILES)
        self.name = f'line-{os.path.basename(str(folder))}'
        self.id = c('POST', '/pipelines', {'name': self.name, 'owner': {'id': c('GET', '/account').json['id'], 'type': 'user'}}, want=201).json['id']
        c('PATCH', f'/pipelines/{self.name}/stage/review/config-vars', {'FROM_STAGE': 'stage'}, want=200)
        self.connect(self.p)
        self.set(automatic_review_apps=True, sleep_minutes=0, **settings)

    def connect(self, p):
        self.p = p
        self.paas.ctl('pipelines:connect', p.name, '-p', self.name, '--provider', self.kind, '--url', p.url,
                      env=self.paas.env(PAASCTL_PROVIDER_TOKEN=p.token))
        self.repo = self.c('GET', f'/pipelines/{self.name}/repo', want=200).json['id']

    def disconnect(self):
        self.paas.ctl('pipelines:disconnect', '-p', self.name)
        assert not self.p.hooks

    def set(self, **settings):
        self.c('PATCH', f'/pipelines/{self.name}/review-app-config', settings, want=200)

    def rows(self):
        return self.c('GET', f'/pipelines/{self.name}/review-apps', want=200).json

    def of(self, n):
        found = [r for r in self.rows() if r['pr_number'] == n]
        assert len(found) <= 1
        return found[0] if found else None

    def is_up(self, n, sha, timeout=30):
        """The app of a request that runs this commit."""
        def there():
            r = self.of(n)
            return r if r and r['status'] == 'created' and r['commit'] == sha else None
        try:
            return wait_for(f'request {n}', there, timeout)['app']['name']
        except AssertionError:
            raise AssertionError(f'request {n} at {sha}: {self.of(n)}\n{self.paas.tail_log(3000)}')

    def is_gone(self, n):
        try:
            wait_for(f'{n} to go', lambda: self.of(n) is None)
        except AssertionError:
            raise AssertionError(f'{self.of(n)}\n{self.paas.tail_log(3000)}')

    def look(self):
        self.c('POST', f'/pipelines/{self.name}/repo/actions/look', want=202)

    def quiet(self):
        """All looks have been made, all is told."""
        wait_for('all looks', lambda: not db(self.paas, 'SELECT 1 FROM repo_looks WHERE repo_id = ?', self.repo))
        wait_for('all to be told', lambda: not db(self.paas, 'SELECT 1 FROM repo_tells WHERE repo_id = ? AND told_seq < seq', self.repo))

    def states(self, sha):
        return [s['state'] for s in self.p.statuses if s['sha'] == sha]

    def comments(self, n):
        return [x for x in self.p.comments.values() if x['number'] == n]

    def postdeploys(self, app):
        return len(re.findall(r'app\[\S+\]: postdeploy-ran$', self.paas.logs(app), re.M))

    def builds(self, app):
        return [b['source_blob']['version'] for b in self.c('GET', f'/apps/{app}/builds', want=200).json if b['status'] == 'succeeded']

    def deploys(self, app):
        """Commits of the slugs that were released, in order."""
        rows = db(self.paas, "SELECT b.version FROM releases r JOIN apps a ON a.id = r.app_id JOIN builds b ON b.release_id = r.id "
                             "WHERE a.name = ? AND r.status = 'succeeded' ORDER BY r.version", app)
        return [v for v, in rows]

    def close(self):
        self.p.fault = None
        assert self.p.wrong == []
        self.paas.ctl('pipelines:destroy', self.name)
        assert not self.p.hooks
        self.p.close()


def one_line(request, paas, c, tmp_path_factory, kind, **settings):
    line = Line(paas, c, kind, tmp_path_factory.mktemp(kind), **settings)
    request.addfinalizer(line.close)
    return line


@pytest.fixture(scope='module')
def line(request, paas, c, tmp_path_factory):
    """For whatever is the same with all of them."""
    return one_line(request, paas, c, tmp_path_factory, 'gitea', base_name='shop')


def nothing_left(paas, fake, before):
    """No more than there was: apps with all that is theirs."""
    wait_for('add-ons to go', lambda: not fake.there())
    wait_for('all to be removed', lambda: left(paas) == before)


def left(paas):
    folders = {d: sorted(os.listdir(os.path.join(paas.state, d))) for d in ('slugs', 'setups', 'logs')
               if os.path.isdir(os.path.join(paas.state, d))}
    tables = ('apps', 'slugs', 'releases', 'builds', 'addons', 'pipeline_couplings', 'sleeping_apps', 'repo_looks')
    return {**folders, **{t: db(paas, f'SELECT count(*) FROM {t}')[0][0] for t in tables},
            'setups': db(paas, "SELECT count(*) FROM app_setups WHERE status = 'pending'")}


@pytest.mark.parametrize('kind', KINDS)
def test_a_request(request, paas, c, fake, tmp_path_factory, kind):
    line = one_line(request, paas, c, tmp_path_factory, kind, base_name=None if kind == 'gitlab' else kind)
    p = line.p
    before = left(paas)
    p.commit('feature/cart', {'index.html': 'cart\n'})
    n = p.open_pull('feature/cart')
    sha = p.branches()['feature/cart']
    app = line.is_up(n, sha)
    assert re.fullmatch(r'line-gitlab\d*-feature-c-[a-z0-9]{6}|line-gitlab\d*-\S+' if kind == 'gitlab' else f'{kind}-pr-{n}', app), app
    assert paas.http(app, '/index.html')[:2] == (200, 'cart\n')
    r = line.of(n)
    assert (r['branch'], r['pr_number'], r['wait_for_ci'], r['fork_repo']) == ('feature/cart', n, False, None)
    config = c('GET', f'/apps/{app}/config-vars', want=200).json
    assert config['HEROKU_APP_NAME'] == app and config['HEROKU_BRANCH'] == 'feature/cart' and config['HEROKU_PR_NUMBER'] == str(n)
    assert config['FROM_STAGE'] == 'stage' and config['FAKE_URL'] and len(config['SECRET']) == 64
    k = c('GET', f'/apps/{app}/pipeline-couplings', want=200).json
    assert (k['stage'], k['pipeline']['name']) == ('review', line.name)
    assert line.postdeploys(app) == 1 and len(fake.there()) == 1
    line.quiet()
    url = f'http://{app}.localhost:{paas.port}/'
    where = 'environment_url' if kind == 'github' else 'target_url'
    assert line.states(sha) in ([FIRST[kind], 'success'], ['success'])
    assert p.statuses[-1][where] == url
    comment, = line.comments(n)
    assert url in comment['body'] and app in comment['body'] and 'is up' in comment['body']
    # a push: another deploy of the same app
    more = p.commit('feature/cart', {'index.html': 'more\n'})
    assert line.is_up(n, more) == app
    assert paas.http(app, '/index.html')[1] == 'more\n'
    assert line.postdeploys(app) == 1 and c('GET', f'/apps/{app}/config-vars').json == config
    assert line.deploys(app) == [sha, more]
    line.quiet()
    assert line.states(more)[-1] == 'success' and (kind != 'github' or line.states(sha)[-1] == 'inactive')
    comment, = line.comments(n)
    assert more[:12] in comment['body'] and comment['edits'] >= 1
    # closed: pr-predestroy, and nothing is left
    tail = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'logs', '--tail', '-a', app], env=paas.env(), stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    p.close_pull(n, merged=True)
    line.is_gone(n)
    tail.terminate()
    assert f'predestroy of {n}' in tail.communicate(timeout=10)[0]
    assert c('GET', f'/review-apps/{r["id"]}').json['status'] == 'deleted'
    c('GET', f'/apps/{app}', want=404)
    nothing_left(paas, fake, before)
    line.quiet()
    last = p.statuses[-1]
    assert last['sha'] == more and last['state'] == {'github': 'inactive', 'gitlab': 'success', 'gitea': 'success'}.get(kind), last
    comment, = line.comments(n)
    assert f'`{app}`** is gone' in comment['body'] and url not in comment['body']
    assert not db(paas, 'SELECT 1 FROM repo_tells WHERE repo_id = ?', line.repo)
    # opened again: another app
    p.reopen_pull(n)
    again = line.is_up(n, more)
    assert line.of(n)['id'] != r['id'] and (again == app) == (kind != 'gitlab')
    assert line.postdeploys(again) == 1
    if kind != 'github':  # once is enough
        return
    # closed and opened in one go: ends open
    first = line.of(n)['id']
    p.close_pull(n)
    wait_for('its end', lambda: c('GET', f'/review-apps/{first}').json['status'] in ('deleting', 'deleted'))
    p.reopen_pull(n)
    wait_for('another', lambda: (line.of(n) or {'id': first})['id'] != first)
    line.is_up(n, more)
    p.close_pull(n)
    line.is_gone(n)
    nothing_left(paas, fake, before)


def test_checks_room_and_forks(paas, c, fake, line):
    p = line.p
    before = left(paas)
    line.set(wait_for_ci=True, max_apps=1)
    bad = p.commit('one', {'a': '1'})
    p.check(bad, 'ci/test', 'pending')
    one = p.open_pull('one')
    wait_for('it to wait', lambda: 'Waiting' in ((line.of(one) or {}).get('message') or ''))
    p.check(bad, 'ci/test', 'failure')
    wait_for('it to wait', lambda: 'have failed' in (line.of(one)['message'] or ''))
    assert line.of(one)['status'] == 'pending' and left(paas)['apps'] == before['apps']
    good = p.commit('one', {'a': '2'})
    p.check(good, 'ci/test', 'success')
    app = line.is_up(one, good)
    assert line.deploys(app) == [good] and line.of(one)['wait_for_ci']
    # no room
    two_sha = p.commit('two', {'b': '1'})
    p.check(two_sha, 'ci/test', 'success')
    two = p.open_pull('two')
    wait_for('it to wait', lambda: 'as many as it may' in ((line.of(two) or {}).get('message') or ''))
    r = paas.ctl('reviewapps:create', '-p', line.name, '-b', 'main', check=False)
    assert r.returncode and '--max' in r.stderr
    p.close_pull(one)
    line.is_up(two, two_sha)
    line.is_gone(one)
    # forks: by hand, and what they push later too
    line.set(max_apps=5, wait_for_ci=False)
    theirs = p.commit('theirs', {'t': '1'})
    n = p.open_pull('theirs', fork='stranger/shop')
    line.quiet()
    line.look()
    line.quiet()
    assert line.of(n) is None
    for args, text in ((['--pr', '99'], 'no request 99'), (['--pr', str(n), '-b', 'two'], 'is of branch theirs'), (['--pr', str(one)], 'not open'),
                       ([], '--pr N')):
        r = paas.ctl('reviewapps:create', '-p', line.name, *args, check=False)
        assert r.returncode and text in r.stderr, r.stderr
    out = paas.ctl('reviewapps:create', '-p', line.name, '--pr', str(n), '--wait').stdout
    app = line.of(n)['app']['name']
    assert f'http://{app}.localhost' in out and line.of(n)['fork_repo']['full_name'] == 'stranger/shop'
    assert 'stranger/shop' in paas.ctl('reviewapps:info', str(n), '-p', line.name).stdout
    p.set_head(p.pulls[n], p.commit('theirs', {'t': 'evil'}))
    p.send_pull(p.pulls[n], 'synchronized')
    line.quiet()
    line.look()
    line.quiet()
    assert line.deploys(app) == [theirs] and line.of(n)['commit'] == theirs
    paas.ctl('reviewapps:create', '-p', line.name, '--pr', str(n))
    line.is_up(n, p.pulls[n]['sha'])
    p.close_pull(n)
    line.is_gone(n)
    app = line.of(two)['app']['name']
    assert f'http://{app}.localhost' in paas.ctl('reviewapps:wait', '-a', app).stdout
    out = paas.ctl('reviewapps', '-p', line.name).stdout
    assert app in out and 'created' in out and str(two) in out
    # switched off: those that are there stay and are deployed, no other is made
    paas.ctl('reviewapps:disable', '-p', line.name, '--no-autodeploy')
    assert re.search(r'For each pull request: +(no|false)', paas.ctl('reviewapps:settings', '-p', line.name).stdout)
    three = p.open_pull('one')
    later = p.commit('two', {'b': 'off'})
    p.check(later, 'ci/test', 'success')  # it was made to wait for them
    line.is_up(two, later)
    line.quiet()
    assert line.of(three) is None
    p.close_pull(three)
    paas.ctl('reviewapps:enable', '-p', line.name, '--autodeploy')
    # it sleeps, and the next request wakes it
    c('PATCH', f'/apps/{app}/sleep', {'after': 1}, want=200)
    wait_for('it to sleep', lambda: c('GET', f'/apps/{app}/sleep', want=200).json['asleep'])
    wait_for('its dynos to end', lambda: not [d for d in c('GET', f'/apps/{app}/dynos', want=200).json if d['state'] != 'idle'])
    # no process of it is left
    wait_for('its processes to end', lambda: not os.listdir(os.path.join(paas.run_dir(), 'dynos')))
    assert paas.http(app, '/index.html')[0] == 200
    c('PATCH', f'/apps/{app}/sleep', {'after': None}, want=200)
    # by hand: not made again of the same commit
    paas.ctl('reviewapps:destroy', str(two), '-p', line.name)
    line.is_gone(two)
    line.look()
    line.quiet()
    assert line.of(two) is None
    more = p.commit('two', {'b': '2'})
    line.is_up(two, more)
    p.close_pull(two)
    line.is_gone(two)
    nothing_left(paas, fake, before)


def test_webhooks_and_a_provider_that_fail(paas, c, fake, line):
    p = line.p
    before = left(paas)
    line.set(max_apps=9, wait_for_ci=False)
    hook = next(iter(p.hooks.values()))
    # the provider is out of order when it is asked and when it is told: the app is made, and told of later
    asked = iter([(500, {}), (429, {'Retry-After': '1'})])
    p.fault = lambda q: next(asked, None) if q.method == 'GET' else (503, {})
    sha = p.commit('fails', {'f': '1', 'Procfile': FILES['Procfile'] + 'release: sleep 1\n'})
    n = p.open_pull('fails')

    def hurry():
        db(paas, 'UPDATE repo_looks SET next_ms = 1')
        db(paas, 'UPDATE repo_tells SET next_ms = 1')
        line.look()
        return line.of(n)
    wait_for('a look that goes well', hurry, step=0.3)
    p.send_pull(p.pulls[n], 'opened')
    app = line.is_up(n, sha)
    assert not line.comments(n) and not line.states(sha)
    p.fault = None
    hurry()
    line.quiet()
    assert line.states(sha) == ['success'] and len(line.comments(n)) == 1
    # twice, and forged
    body = json.dumps(p.pull_payload(p.pulls[n], 'opened')).encode()
    p.post(hook['url'], hook['secret'], 'pull_request', body)
    p.post(hook['url'], hook['secret'], 'pull_request', body + b' ')
    assert p.post(hook['url'], 'x' * 64, 'pull_request', body + b'  ') == 401
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=20)
    conn.putrequest('POST', hook['url'].split(str(paas.port))[1])
    conn.putheader('Content-Length', str(25 << 20))
    conn.endheaders()
    assert conn.getresponse().status == 413
    conn.close()
    line.quiet()
    assert line.builds(app) == [sha] and line.postdeploys(app) == 1
    # forced back to a commit that ran before: deployed again
    later = p.commit('fails', {'f': '2'})
    line.is_up(n, later)
    p.git('push', '-q', '-f', 'origin', f'{sha}:refs/heads/fails')
    p.moved('fails', later, sha)
    line.is_up(n, sha)
    assert line.deploys(app) == [sha, later, sha] and paas.http(app, '/f')[1] == '1'
    # a request that the list passed over stays
    p.ROUTES = {**p.ROUTES, 'gitea': [('GET {repo}/pulls', lambda self, q: (200, [])), *GitProvider.ROUTES['gitea']]}
    asked = len(p.requests)
    line.look()
    wait_for('it to be asked for', lambda: [q for q in p.requests[asked:] if q.path.endswith(f'/pulls/{n}')])
    del p.ROUTES
    assert line.of(n)['status'] == 'created'
    # webhooks that are lost
    p.quiet = True
    p.close_pull(n)
    m = p.open_pull('fails')
    line.look()
    line.is_gone(n)
    # of the same branch: it has its own app once the other's is gone; closed while it is built
    wait_for('its setup', lambda: (line.of(m) or {}).get('status') == 'creating')
    p.quiet = False
    p.close_pull(m)
    line.is_gone(m)
    nothing_left(paas, fake, before)
    # out of order: what came last is older
    p.quiet = True
    k = p.open_pull('fails')
    opened = p.pull_payload(p.pulls[k], 'opened')
    p.close_pull(k)
    p.quiet = False
    p.send_pull(p.pulls[k], 'closed')
    p.send('pull_request', opened)
    line.quiet()
    assert line.of(k) is None and left(paas) == before
    # a head that is rewritten before it was fetched
    p.commit('away', {'w': '1'})
    p.quiet = True
    k = p.open_pull('away')
    p.quiet = False
    p.pulls[k]['sha'] = 'd' * 40
    p.send_pull(p.pulls[k], 'opened')
    wait_for('its failure', lambda: (line.of(k) or {}).get('status') == 'errored')
    assert 'rewritten' in line.of(k)['message']
    line.is_up(k, p.commit('away', {'w': '2'}))
    # a connection that goes leaves them as they are
    line.disconnect()
    app = line.of(k)['app']['name']
    assert paas.http(app, '/index.html')[0] == 200
    paas.ctl('reviewapps:destroy', app, '-p', line.name)
    line.is_gone(k)
    nothing_left(paas, fake, before)
    line.connect(p)
    p.close_pull(k)
    line.quiet()


@pytest.mark.parametrize('kind', ['github', 'gitlab'])
def test_faults(request, paas, c, fake, tmp_path_factory, kind):
    """What test_webhooks_and_a_provider_that_fail does with Gitea's format, where formats and APIs differ."""
    line = one_line(request, paas, c, tmp_path_factory, kind)
    p = line.p
    before = left(paas)
    hook = next(iter(p.hooks.values()))
    event, opened = ('Merge Request Hook', 'open') if kind == 'gitlab' else ('pull_request', 'opened')

    def hurry():
        db(paas, 'UPDATE repo_looks SET next_ms = 1')
        db(paas, 'UPDATE repo_tells SET next_ms = 1')
        line.look()
        return line.of(n)
    # a fork's
    p.commit('theirs', {'t': '1'})
    n = p.open_pull('theirs', fork='stranger/shop')
    hurry()
    line.quiet()
    assert line.of(n) is None and p.deliveries[-1][1] == 202
    # the API is out of order: 500, 429, gone altogether
    answers = iter([(500, {}), (429, {'Retry-After': '1'})])
    p.fault = lambda q: next(answers, None)
    sha = p.commit('work', {'w': '1', 'Procfile': FILES['Procfile'] + 'release: sleep 0.7\n'})
    n = p.open_pull('work')
    wait_for('a look that goes well', hurry, step=0.2)
    wait_for('its setup', lambda: line.of(n)['status'] == 'creating')
    wait_for('its source', lambda: db(paas, "SELECT 1 FROM app_setups WHERE status = 'pending' AND step = 'build'"))
    p.down()
    wait_for('it to be up', lambda: line.of(n)['status'] == 'created')
    p.up()
    hurry()
    line.quiet()
    assert line.states(sha)[-1] == 'success' and len(line.states(sha)) == len(set(line.states(sha)))
    comment, = line.comments(n)
    app = line.of(n)['app']['name']
    # twice, forged, and too large
    body = json.dumps(p.pull_payload(p.pulls[n], opened)).encode()
    assert p.post(hook['url'], hook['secret'], event, body) in (200, 202) and p.post(hook['url'], hook['secret'], event, body) in (200, 202)
    assert p.post(hook['url'], 'x' * 64, event, body + b' ') == 401
    try:
        assert p.post(hook['url'], hook['secret'], event, b'{"a": "' + b'x' * (25 << 20) + b'"}') == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the answer did not wait for the rest
    line.quiet()
    assert line.builds(app) == [sha] and line.postdeploys(app) == 1
    p.close_pull(n)
    line.is_gone(n)
    # closed during its build
    m = p.open_pull('work')
    wait_for('its build', lambda: db(paas, "SELECT 1 FROM builds WHERE status = 'pending'"), step=0.01)
    p.close_pull(m)
    line.is_gone(m)
    # out of order: what came last is older
    p.quiet = True
    k = p.open_pull('work')
    late = p.pull_payload(p.pulls[k], opened)
    p.close_pull(k)
    p.quiet = False
    p.send_pull(p.pulls[k], 'close' if kind == 'gitlab' else 'closed')
    p.send(event, late)
    line.quiet()
    line.is_gone(k)  # at once, or after a look while it was open
    nothing_left(paas, fake, before)


EXAMPLES = os.path.join(ROOT, 'build', 'octokit', 'node_modules', '@octokit', 'webhooks-examples', 'api.github.com', 'index.json')


def example(event, **fields):
    """The first of GitHub's own examples of an event that has these fields."""
    with open(EXAMPLES) as f:
        found = next(e['examples'] for e in json.load(f) if e['name'] == event)
    return next(x for x in found if all(x[k] == v for k, v in fields.items()))


def test_githubs_own_deliveries(request, paas, c, fake, tmp_path_factory):
    """As GitHub publishes them, to the letter but for commits: the repository and the request are those of the examples."""
    opened = example('pull_request', action='opened')
    repo, number, branch = opened['repository']['full_name'], opened['number'], opened['pull_request']['head']['ref']
    line = Line(paas, c, 'github', tmp_path_factory.mktemp('octokit'), repo=repo, base_name='octo')
    request.addfinalizer(line.close)
    before, p = left(paas), line.p
    hook = next(iter(p.hooks.values()))

    def deliver(event, body):
        data = json.dumps(body, separators=(',', ':')).encode()
        assert p.post(hook['url'], hook['secret'], event, data) == 202
        line.quiet()

    def of_commit(x, sha):
        old = x['pull_request']['head']['sha']
        return json.loads(json.dumps(x).replace(old, sha))
    p.quiet = True  # what the server would send by itself
    sha = p.commit(branch, {'index.html': 'octo\n'})
    for _ in range(1, number):
        p.close_pull(p.open_pull('main'))
    assert p.open_pull(branch) == number
    deliver('pull_request', of_commit(opened, sha))
    app = line.is_up(number, sha)
    assert app == f'octo-pr-{number}' and line.of(number)['branch'] == branch
    more = p.commit(branch, {'index.html': 'octocat\n'})
    deliver('pull_request', of_commit(example('pull_request', action='synchronize'), more))
    assert line.is_up(number, more) == app and paas.http(app, '/index.html')[1] == 'octocat\n'
    # pushes of a branch and of a tag change nothing here
    deliver('push', example('push', ref='refs/heads/master'))
    deliver('push', example('push', ref='refs/tags/simple-tag'))
    deliver('ping', example('ping'))
    assert [r['app']['name'] for r in line.rows()] == [app] and line.deploys(app) == [sha, more]
    p.close_pull(number, merged=True)
    deliver('pull_request', of_commit(example('pull_request', action='closed'), more))
    line.is_gone(number)
    # and a branch that is made by hand is deployed when it is pushed
    push = example('push', ref='refs/heads/master')
    first = p.commit('master', {'index.html': 'by hand\n'})
    paas.ctl('reviewapps:create', '-p', line.name, '-b', 'master', '--wait')
    row, = line.rows()
    assert row['commit'] == first
    second = p.commit('master', {'index.html': 'pushed\n'})
    deliver('push', {**push, 'before': first, 'after': second})
    wait_for('its deploy', lambda: c('GET', f'/review-apps/{row["id"]}').json['commit'] == second)
    paas.ctl('reviewapps:destroy', 'master', '-p', line.name)
    wait_for('its end', lambda: not line.rows())
    nothing_left(paas, fake, before)


def test_another_repository(request, paas, c, fake, tmp_path_factory):
    """A request is of its repository: the same number and branch of another one are another's."""
    line = one_line(request, paas, c, tmp_path_factory, 'gitea')
    before = left(paas)
    p, other = line.p, GitProvider('gitea', tmp_path_factory.mktemp('other'), name='acme/other')
    request.addfinalizer(other.close)
    sha = p.commit('topic', {'index.html': 'of shop\n'})
    n = p.open_pull('topic')
    app = line.is_up(n, sha)
    first = line.of(n)
    line.quiet()
    line.disconnect()
    assert f'Of {p.url.lower()}/acme/shop, which' in line.of(n)['message']
    line.connect(other)
    other.commit('main', FILES)
    theirs = other.commit('topic', {'index.html': 'of other\n'})
    assert other.open_pull('topic') == n
    new = wait_for('its app', lambda: next((r for r in line.rows() if r['status'] == 'created' and r['commit'] == theirs), None))
    assert new['id'] != first['id'] and len(line.rows()) == 2
    assert paas.http(new['app']['name'], '/index.html')[1] == 'of other\n' and paas.http(app, '/index.html')[1] == 'of shop\n'
    later = other.commit('topic', {'index.html': 'of other, later\n'})
    wait_for('its deploy', lambda: c('GET', f'/review-apps/{new["id"]}').json['commit'] == later)
    assert line.deploys(app) == [sha]
    line.quiet()
    other.close_pull(n)
    wait_for('its end', lambda: c('GET', f'/review-apps/{new["id"]}').json['status'] == 'deleted')
    assert [r['id'] for r in line.rows()] == [first['id']] and paas.http(app, '/index.html')[0] == 200
    line.quiet()
    # connected again: it is followed as before, in the same comment
    line.disconnect()
    more = p.commit('topic', {'index.html': 'more\n'})
    line.connect(p)
    assert line.is_up(n, more) == app and line.of(n)['id'] == first['id'] and line.of(n)['message'] is None
    line.quiet()
    comment, = line.comments(n)
    assert more[:12] in comment['body'] and other.wrong == []
    line.disconnect()
    p.close_pull(n)
    line.connect(p)
    line.is_gone(n)
    nothing_left(paas, fake, before)


def test_killed(paas, c, fake, line):
    """kill -9 anywhere in a review app's life: it ends as it should, and nothing was done twice."""
    p = line.p
    before = left(paas)
    seed = random.randrange(1 << 32)
    print(f'seed {seed}')
    rnd = random.Random(seed)

    def again(most):
        after = rnd.uniform(0, most)
        print(f'killed after {after:.3f} s')
        time.sleep(after)
        paas.kill9()
        c.close()
        paas.start('--keep-dynos')
    for turn in range(2):
        sha = p.commit('killed', {'turn': str(turn)})
        n = p.open_pull('killed')
        again(1.2)
        app = line.is_up(n, sha, 60)
        more = p.commit('killed', {'turn': f'{turn} more'})
        again(0.8)
        assert line.is_up(n, more, 60) == app
        assert line.deploys(app) == [sha, more] and sorted(line.builds(app)) == sorted([sha, more])
        assert line.postdeploys(app) == 1 and len(fake.there()) == 1
        assert paas.http(app, '/turn')[1] == f'{turn} more'
        if turn == 1:  # it goes because nobody has deployed it for long, and only a commit brings it back
            line.set(destroy_stale_apps=True, stale_days=1)
            db(paas, 'UPDATE review_apps SET active_ms = 1 WHERE pr_number = ?', n)
        else:
            p.close_pull(n)
        again(0.6)
        line.is_gone(n)
        nothing_left(paas, fake, before)
        line.quiet()
        comment, = line.comments(n)
        assert 'is gone' in comment['body']
    line.look()
    line.quiet()
    assert line.of(n) is None
    p.close_pull(n)
