"""The chapter on a real Rails app, from its first command to its last: production and staging with databases of the
platform's own cluster, migrations in the release phase, backups and copies, a promotion, and review apps for pull requests."""
import glob
import html
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
from urllib.parse import urlencode

import pytest

from api_client import Client
from git_provider import GitProvider
from load import Load
from platform_under_test import Platform, read_now, wait_for
from postgres import postmasters

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PIPE, PRODUCTION, STAGING = 'pipeline-demo', 'pipeline-demo-production', 'pipeline-demo-staging'
REVIEW, BRANCH = 'pipeline-demo-stagin-pr-1', 'feature/colours'
NOTES, COLOURS, INDEX = 20240101000000, 20240202000000, 20240303000000  # migrations
ADD_COLOUR = '''class AddColourToNotes < ActiveRecord::Migration[6.1]
  def change
    add_column :notes, :colour, :string, default: 'yellow', null: false
  end
end
'''
ADD_INDEX = '''class AddIndexToNotes < ActiveRecord::Migration[6.1]
  def change
    add_index :notes, :colour
  end
end
'''

APP_JSON = {
    'name': 'Pipeline demo',
    'env': {'SECRET_KEY_BASE': {'generator': 'secret'}, 'GREETING': 'hello', 'COLOUR': 'of any app'},
    'addons': ['heroku-postgresql'],
    'scripts': {'postdeploy': 'exit 1'},
    'environments': {'review': {
        'env': {'GREETING': 'review', 'COLOUR': 'of a review app'},
        'addons': [{'plan': 'heroku-postgresql:essential-1', 'as': 'DATABASE'}],
        'scripts': {'postdeploy': 'bundle exec rails db:seed sample_data', 'pr-predestroy': 'echo good bye'},
    }},
}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rails') / 'app'
    r = subprocess.run(['/bin/sh', os.path.join(ROOT, 'tests/apps/make-rails-app.sh'), str(folder)], capture_output=True,
                       text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stderr
    return str(folder)


@pytest.fixture(scope='module')
def paas(source, tmp_path_factory):
    gems = str(tmp_path_factory.mktemp('gems'))
    subprocess.run(['/usr/bin/ruby', os.path.join(ROOT, 'tests/apps/make-gemhouse.rb'), gems, source + '/Gemfile.lock'],
                   check=True, capture_output=True)
    path = gems
    while path not in ('/', '/tmp'):
        os.chmod(path, 0o755)
        path = os.path.dirname(path)
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8,::1', environ={'BUNDLE_MIRROR__ALL': 'file://' + gems})
    try:
        p.start()
        p.login()
        p.ctl('parity:install', os.path.join(p.dir, 'parity'))
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


@pytest.fixture(scope='module')
def on(paas, source):
    """`staging WORD`, `production WORD`, `pr_app N WORD` in the checkout."""
    def run(*words, **kw):
        return paas.run(os.path.join(paas.dir, 'parity', words[0]), *words[1:], cwd=source, **kw)
    return run


# --- what the app says ---

def status(paas, app):
    code, text, _ = paas.http(app, '/status')
    assert code == 200, text[:500] + paas.logs(app)
    return json.loads(text)


def notes(paas, app):
    """Titles by id, of the app's own pages."""
    code, text, _ = paas.http(app, '/notes.json')
    assert code == 200, text[:500] + paas.logs(app)
    return {n['id']: n['title'] for n in json.loads(text)}


def write(paas, app, title):
    """As a browser does: the form, with its token and cookie, sent."""
    code, page, head = paas.http(app, '/notes/new')
    assert code == 200, page[:500]
    token = html.unescape(re.search(r'name="authenticity_token" value="([^"]+)"', page)[1])
    cookie = '; '.join(v.split(';')[0] for v in head.get_all('Set-Cookie'))
    conn = http.client.HTTPConnection('127.0.0.1', paas.port, timeout=60)
    try:
        conn.request('POST', '/notes', urlencode({'authenticity_token': token, 'note[title]': title, 'note[stars]': 3}),
                     {'Host': f'{app}.localhost:{paas.port}', 'Cookie': cookie, 'Content-Type': 'application/x-www-form-urlencoded'})
        r = conn.getresponse()
        text = r.read().decode(errors='replace')
    finally:
        conn.close()
    assert r.status == 302, text[:500] + paas.logs(app)
    return int(r.headers['Location'].rsplit('/', 1)[1])


def sql(on, env, text, **kw):
    """One value of the environment's database, by pg:psql."""
    return on(*env.split(), 'pg:psql', '-c', text, **kw).stdout.split('\n')[2].strip()


def releases(c, app):
    return c('GET', f'/apps/{app}/releases', want=200).json


def restart(c, on, env, app):
    def web():
        return {d['id']: d['state'] for d in c('GET', f'/apps/{app}/dynos', want=200).json if d['type'] == 'web'}
    before = web()
    on(env, 'ps:restart')
    wait_for('new dynos alone', lambda: set(web().values()) == {'up'} and not set(web()) & set(before), 60)


def current(c, app):
    (r,) = [r for r in releases(c, app) if r['current']]
    return r


def url_of(c, app):
    return c('GET', f'/apps/{app}/config-vars', want=200).json['DATABASE_URL']


def addons(paas, app):
    code, found, _ = paas.api('GET', f'/apps/{app}/addons')
    assert code == 200
    return found


# --- what the platform keeps ---

def slugs_of(paas):
    return set(os.listdir(os.path.join(paas.state, 'slugs')))


def of_app(paas, app):
    """Files and folders of an app: its repository, cache, logs, builds, dynos."""
    return glob.glob(f'{paas.state}/**/*{app}*', recursive=True)


def rows_of(paas, app):
    """Tables that know the app, and how many rows."""
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        tables = [t for (t,) in d.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        keyed = [t for t in tables if 'app_id' in [row[1] for row in d.execute(f'PRAGMA table_info({t})')]]
        counts = {t: d.execute(f'SELECT count(*) FROM {t} WHERE app_id = ?', [app]).fetchone()[0] for t in keyed}
    return {t: n for t, n in counts.items() if n}


# --- production and staging ---

def test_two_apps_with_databases(paas, c, on, source):
    paas.ctl('create', STAGING, '-r', 'staging', cwd=source)
    paas.ctl('create', PRODUCTION, cwd=source)
    paas.git('remote', 'rename', 'paasd', 'production', cwd=source)
    # two remotes and no flag: the error says how to choose
    r = paas.ctl('config', cwd=source, check=False)
    assert r.returncode == 2
    for text in ('Multiple apps in git remotes', '--remote', '--app', f'{PRODUCTION} (production)', f'{STAGING} (staging)'):
        assert text in r.stderr, r.stderr
    for env in ('production', 'staging'):
        on(env, 'addons:create', 'heroku-postgresql', '--wait')
        on(env, 'config:set', 'SECRET_KEY_BASE=' + 'a1' * 32)
    (a,) = addons(paas, PRODUCTION)
    assert a['state'] == 'provisioned' and a['plan']['name'] == 'heroku-postgresql:essential-0' and a['config_vars'] == ['DATABASE_URL']

    r = paas.push(source, 'production', timeout=900)
    assert 'CreateNotes' in r.stderr and 'migrated' in r.stderr and 'Procfile declares types' in r.stderr, r.stderr
    first = status(paas, PRODUCTION)
    assert first['database'] == 'PostgreSQL' and first['notes'] == 0 and first['schema'] == NOTES
    assert first['env']['RAILS_ENV'] == 'production'
    deployed = current(c, PRODUCTION)
    assert deployed['status'] == 'succeeded' and deployed['description'].startswith('Deploy ')
    assert 'CreateNotes' in on('production', 'releases:output').stdout
    for app, hostile in ((PRODUCTION, STAGING), (STAGING, PRODUCTION)):
        assert re.fullmatch(r'postgres://\w+:\w+@[\d.]+:5432/\w+', url_of(c, app))
        assert url_of(c, app).split('@')[0] != url_of(c, hostile).split('@')[0]
    paas.push(source, 'staging', timeout=900)
    on('staging', 'run', '--no-tty', 'rails', 'sample_data')
    assert status(paas, STAGING)['notes'] == 25 and status(paas, PRODUCTION)['notes'] == 0


def test_logs_config_and_rollback(paas, c, on, source):
    tail = subprocess.Popen([os.path.join(paas.dir, 'parity', 'production'), 'tail'], cwd=source, env=paas.env(), stdout=subprocess.PIPE)
    try:
        os.set_blocking(tail.stdout.fileno(), False)
        seen = ''

        def routed():
            nonlocal seen
            paas.http(PRODUCTION, '/notes')
            seen += read_now(tail.stdout)
            return 'heroku[router]: at=info method=GET path="/notes"' in seen and 'app[web.1]:' in seen
        wait_for('live log lines', routed, 30, 0.3)
    finally:
        tail.terminate()
        tail.wait(10)

    on('production', 'config:set', 'GREETING=hi')
    wait_for('config', lambda: status(paas, PRODUCTION)['env']['GREETING'] == 'hi', 60)
    told = on('production', 'releases').stdout
    assert 'Set GREETING config vars' in told and 'Deploy ' in told and 'Attach DATABASE' in told, told
    version = current(c, PRODUCTION)['version']
    on('production', 'rollback', f'v{version - 1}')
    wait_for('rollback', lambda: status(paas, PRODUCTION)['env']['GREETING'] is None, 60)
    assert status(paas, PRODUCTION)['env']['HEROKU_RELEASE_VERSION'] == f'v{version + 1}'
    assert f'{PRODUCTION}.localhost' in on('production', 'open').stdout


def test_data_survive(paas, c, on):
    """A restart of the app, kill -9 of paasd, kill -9 of the cluster; a deploy: below."""
    kept = {write(paas, PRODUCTION, 'before all'): 'before all'}

    def add(title):
        kept[write(paas, PRODUCTION, title)] = title
        assert notes(paas, PRODUCTION) == kept
    restart(c, on, 'production', PRODUCTION)
    add('after a restart')
    paas.kill9()
    assert notes(paas, PRODUCTION) == kept  # the app and its database never noticed
    paas.start()
    add('after a kill of paasd')
    (cluster,) = postmasters(paas.state)
    os.kill(cluster, signal.SIGKILL)
    # first another one: backends of the old one answer for a moment after it
    wait_for('another cluster', lambda: [p for p in postmasters(paas.state) if p != cluster])
    wait_for('it to answer', lambda: paas.http(PRODUCTION, '/status')[0] == 200)
    add('after a kill of the cluster')


def test_backup_restore_and_copy(paas, c, on):
    before = notes(paas, PRODUCTION)
    assert len(before) == 4
    on('production', 'backup')
    write(paas, PRODUCTION, 'not in the backup')
    on('production', 'pg:psql', '-c', 'DROP TABLE notes CASCADE')
    assert paas.http(PRODUCTION, '/notes.json')[0] == 500
    on('production', 'pg:backups:restore', '--confirm', PRODUCTION)
    wait_for('the app to see it', lambda: paas.http(PRODUCTION, '/notes.json')[0] == 200)
    assert notes(paas, PRODUCTION) == before
    assert write(paas, PRODUCTION, 'after the restore') > max(before)  # the sequence too

    r = on('production', 'restore', 'staging', check=False)
    assert r.returncode and '--force' in r.stderr
    mine = url_of(c, STAGING)
    on('staging', 'restore', 'production')
    wait_for('the copy', lambda: paas.http(STAGING, '/status')[0] == 200 and notes(paas, STAGING) == before)
    assert url_of(c, STAGING) == mine  # its own, with production's data in it
    write(paas, STAGING, "staging's own")
    assert 'after the restore' in notes(paas, PRODUCTION).values() and "staging's own" not in notes(paas, PRODUCTION).values()


# --- the pipeline ---

def test_promotion(paas, c, on, source):
    paas.ctl('pipelines:create', PIPE, '-r', 'staging', cwd=source)
    on('production', 'pipelines:add', PIPE, '-s', 'production')
    stages = {k['app']['id']: k['stage'] for k in c('GET', f'/pipelines/{PIPE}/pipeline-couplings', want=200).json}
    assert stages == {c('GET', f'/apps/{a}', want=200).json['id']: s for a, s in ((STAGING, 'staging'), (PRODUCTION, 'production'))}

    commit = paas.commit(source, 'Notes have a colour', **{f'db/migrate/{COLOURS}_add_colour_to_notes.rb': ADD_COLOUR})
    data = {app: notes(paas, app) for app in (STAGING, PRODUCTION)}
    r = on('staging', 'deploy', timeout=900)
    assert 'AddColourToNotes: migrated' in r.stderr, r.stderr
    assert status(paas, STAGING)['schema'] == COLOURS and status(paas, PRODUCTION)['schema'] == NOTES
    assert notes(paas, STAGING) == data[STAGING]  # they survive a deploy
    assert sql(on, 'staging', "SELECT count(*) FROM notes WHERE colour = 'yellow'") == str(len(data[STAGING]))
    assert 'Notes have a colour' in on('staging', 'pipelines:diff').stdout

    from_, before, slugs = current(c, STAGING), current(c, PRODUCTION), slugs_of(paas)
    config = c('GET', f'/apps/{PRODUCTION}/config-vars', want=200).json
    assert from_['slug']['id'] != before['slug']['id']
    with Load(paas.port, f'{PRODUCTION}.localhost', rate=20, threads=2, path='/status') as load:
        wait_for('load', lambda: load.sent > 5)
        r = on('staging', 'pipelines:promote')
        sent = load.sent
        wait_for('load after it', lambda: load.sent > sent + 20)
    assert load.failures == [] and load.sent > 40
    assert 'AddColourToNotes: migrated' in r.stdout and 'Promotion successful' in r.stdout, r
    now = current(c, PRODUCTION)
    assert now['slug']['id'] == from_['slug']['id'] and now['version'] == before['version'] + 1 and now['status'] == 'succeeded'
    assert now['description'].startswith(f'Promote {STAGING} v{from_["version"]}'), now['description']
    assert slugs_of(paas) == slugs  # nothing was built or copied
    seen = status(paas, PRODUCTION)
    assert seen['schema'] == COLOURS and seen['env']['HEROKU_SLUG_COMMIT'] == commit
    assert seen['env']['HEROKU_RELEASE_VERSION'] == f'v{now["version"]}'
    assert notes(paas, PRODUCTION) == data[PRODUCTION]
    assert c('GET', f'/apps/{PRODUCTION}/config-vars', want=200).json == config
    assert 'AddColourToNotes' in on('production', 'releases:output').stdout
    assert 'up to date' in on('staging', 'pipelines:diff').stdout


# --- review apps ---

@pytest.fixture(scope='module')
def hub(paas, source, tmp_path_factory):
    """GitHub, of the test's own, with the app's repository."""
    p = GitProvider('github', tmp_path_factory.mktemp('hub'), name='acme/pipeline-demo')
    p.git('push', '-q', p.repo, 'main', cwd=source)
    p.git('fetch', '-q')
    yield p
    p.close()


def reviews(c):
    return c('GET', f'/pipelines/{PIPE}/review-apps', want=200).json


def deployed(c, commit):
    """The review app once it has the commit."""
    def there():
        found = reviews(c)
        assert not found or found[0]['status'] != 'errored' and found[0]['error_status'] is None, found
        return found and found[0]['status'] == 'created' and found[0]['commit'] == commit
    wait_for(f'{commit} to be deployed', there, 240, 0.3)
    (r,) = reviews(c)
    return r


def told(hub, sha, *states):
    """What the provider shows of a commit."""
    def heard():
        return [s for s in hub.statuses if s['sha'] == sha]
    wait_for(f'{states}', lambda: [s['state'] for s in heard()] == list(states), 30)
    return heard()[-1]


def test_a_pull_request(paas, c, on, hub):
    paas.ctl('pipelines:connect', hub.name, '-p', PIPE, '--url', hub.url, '--token', '-', input=hub.token + '\n')
    paas.ctl('pipelines:config:set', 'GREETING=of the stage', 'FROM_STAGE=yes', '-p', PIPE)
    on('staging', 'reviewapps:enable', '--autodeploy', '--autodestroy', '--predictable')
    (h,) = hub.hooks.values()
    assert set(h['body']['events']) >= {'push', 'pull_request'} and h['body']['config']['content_type'] == 'json'

    first = hub.commit(BRANCH, {'app.json': json.dumps(APP_JSON), 'public/colours.txt': 'red\n'}, 'Colours')
    assert reviews(c) == [] and hub.open_pull(BRANCH, title='Colours') == 1
    r = deployed(c, first)
    assert r['app']['name'] == REVIEW and r['pr_number'] == 1 and r['branch'] == BRANCH
    assert c('GET', f'/apps/{REVIEW}/pipeline-couplings', want=200).json['stage'] == 'review'
    setup = c('GET', f'/app-setups/{r["app_setup"]["id"]}', want=200).json
    assert setup['status'] == 'succeeded' and setup['postdeploy']['exit_code'] == 0
    assert 'sample_data: 26 notes' in setup['postdeploy']['output'], setup
    # app.json's add-on, config vars, migrations and data
    (a,) = addons(paas, REVIEW)
    assert a['plan']['name'] == 'heroku-postgresql:essential-1' and a['state'] == 'provisioned'
    config = c('GET', f'/apps/{REVIEW}/config-vars', want=200).json
    assert (config['HEROKU_APP_NAME'], config['HEROKU_BRANCH'], config['HEROKU_PR_NUMBER']) == (REVIEW, BRANCH, '1')
    assert config['GREETING'] == 'of the stage' and config['FROM_STAGE'] == 'yes' and config['COLOUR'] == 'of a review app'
    assert re.fullmatch('[0-9a-f]{64}', config['SECRET_KEY_BASE'])
    seen = status(paas, REVIEW)
    assert seen['schema'] == COLOURS and seen['notes'] == 26 and seen['database'] == 'PostgreSQL'
    assert seen['env']['HEROKU_PR_NUMBER'] == '1' and seen['env']['HEROKU_SLUG_COMMIT'] == first
    assert paas.http(REVIEW, '/colours.txt')[1] == 'red\n'
    assert notes(paas, REVIEW)[1] == 'Welcome' and status(paas, STAGING)['notes'] == 5

    # what the provider shows
    url = f'http://{REVIEW}.localhost:{paas.port}/'
    last = told(hub, first, 'in_progress', 'success')
    (d,) = hub.deployments.values()
    assert d['ref'] == first and d['environment'] == 'review/' + BRANCH and d['transient_environment'] and not d['production_environment']
    assert last['environment_url'] == url and last['id'] == d['id']
    comment = wait_for('the comment', lambda: [x for x in hub.comments.values() if 'is up' in x['body']])[0]
    assert comment['number'] == 1 and url in comment['body'] and first[:12] in comment['body']


def test_a_second_push(paas, c, on, hub):
    kept = write(paas, REVIEW, "a reviewer's")
    (before,) = reviews(c)
    first, config = current(c, REVIEW), c('GET', f'/apps/{REVIEW}/config-vars', want=200).json
    second = hub.commit(BRANCH, {f'db/migrate/{INDEX}_add_index_to_notes.rb': ADD_INDEX, 'public/colours.txt': 'blue\n'}, 'An index')
    r = deployed(c, second)
    assert r['app']['name'] == REVIEW and len(reviews(c)) == 1
    now = current(c, REVIEW)
    assert now['version'] == first['version'] + 1 and now['status'] == 'succeeded' and now['slug']['id'] != first['slug']['id']
    assert 'AddIndexToNotes: migrated' in on('pr_app', '1', 'releases:output').stdout
    seen = status(paas, REVIEW)
    assert seen['schema'] == INDEX and seen['notes'] == 27 and seen['env']['HEROKU_SLUG_COMMIT'] == second  # no postdeploy
    assert kept in notes(paas, REVIEW) and paas.http(REVIEW, '/colours.txt')[1] == 'blue\n'
    assert len(re.findall(r'app\[\S+\]: sample_data: \d+ notes', paas.logs(REVIEW))) == 1
    assert c('GET', f'/apps/{REVIEW}/config-vars', want=200).json == config
    told(hub, before['commit'], 'in_progress', 'success', 'inactive')
    last = told(hub, second, 'in_progress', 'success')
    assert last['id'] == max(hub.deployments) and len(hub.deployments) == 2
    (comment,) = [x for x in hub.comments.values() if x['number'] == 1]
    wait_for('the comment to be edited', lambda: second[:12] in comment['body'] and 'is up' in comment['body'])
    # the request's app, by Parity's name
    assert sql(on, 'pr_app 1', 'SELECT count(*) FROM notes') == '27'
    assert 'of the stage' in on('pr_app', '1', 'config:get', 'GREETING').stdout
    on('staging', 'backup')
    on('pr_app', '1', 'restore', 'staging')
    wait_for("staging's notes", lambda: paas.http(REVIEW, '/notes.json')[0] == 200 and notes(paas, REVIEW) == notes(paas, STAGING))
    assert kept not in notes(paas, REVIEW)


def test_merged(paas, c, on, hub):
    """What was the review app's alone is gone; the slug that staging runs is not."""
    app = c('GET', f'/apps/{REVIEW}', want=200).json['id']
    url = url_of(c, REVIEW)
    role, database = re.fullmatch(r'postgres://(\w+):\w+@[\d.]+:5432/(\w+)', url).groups()
    role = role.rsplit('_', 1)[0]
    exist = f"SELECT (SELECT count(*) FROM pg_database WHERE datname = '{database}') + (SELECT count(*) FROM pg_roles WHERE rolname ~ '^{role}')"
    assert int(sql(on, 'staging', exist)) >= 2
    outputs = [f'{paas.state}/releases/{r["id"]}' for r in releases(c, REVIEW)]
    assert len([f for f in outputs if os.path.exists(f)]) == 2
    slugs = [r['slug']['id'] for r in releases(c, REVIEW) if r['slug']]
    first, second = slugs[0], slugs[-1]
    assert first != second and {first, second} <= slugs_of(paas) and of_app(paas, app)
    on('pr_app', '1', 'pipelines:promote', '--to', STAGING)
    assert current(c, STAGING)['slug']['id'] == second and status(paas, STAGING)['schema'] == INDEX
    hub.close_pull(1, merged=True)
    wait_for('the review app to go', lambda: reviews(c) == [], 60)
    c('GET', f'/apps/{REVIEW}', want=404)
    assert paas.http(REVIEW)[0] == 404
    wait_for('its database to go', lambda: sql(on, 'staging', exist) == '0', 60)
    wait_for('its files to go', lambda: not of_app(paas, app) and not [f for f in outputs if os.path.exists(f)], 30)
    assert set(rows_of(paas, app)) == {'audit', 'app_setups'}  # what was done, and how its setup went
    with sqlite3.connect(os.path.join(paas.state, 'paasd.db'), timeout=20) as d:
        assert d.execute('SELECT length(overrides) FROM app_setups').fetchall() == [(0,)]  # without its config vars
    wait_for('its slug to go', lambda: first not in slugs_of(paas), 30)
    assert second in slugs_of(paas)
    restart(c, on, 'staging', STAGING)
    assert status(paas, STAGING)['schema'] == INDEX
    assert sorted(a['name'] for a in c('GET', '/apps', want=200).json) == [PRODUCTION, STAGING]
    assert len(paas.api('GET', '/addons')[1]) == 2
    sha = hub.pulls[1]['sha']
    told(hub, sha, 'in_progress', 'success', 'inactive')
    (comment,) = [x for x in hub.comments.values() if x['number'] == 1]
    wait_for('the comment', lambda: 'is gone' in comment['body'])
    assert comment['edits'] >= 3 and len(hub.deployments) == 2
    paas.ctl('pipelines:disconnect', '-p', PIPE)
    assert not hub.hooks and hub.wrong == [] and {s for _, s in hub.deliveries} == {202}
