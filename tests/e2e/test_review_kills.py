"""paasd killed between each pair of steps of a review app's life: it is made, deployed anew and destroyed as if nothing
had been, nothing is left over, and nothing is done twice.

Triggers of the test's own make each transaction take some milliseconds. So what has been committed is seen, and paasd
killed, before the next step is."""
import http.client
import json
import os
import re
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from api_client import Client
from platform_under_test import Failed, Platform
from test_addons import Fake, make_service
from test_reviews import FIRST, Line, db, left, nothing_left

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP_JSON = {
    'env': {'SECRET': {'generator': 'secret'}},
    'formation': {'web': {'quantity': 1}},
    'environments': {'review': {'addons': ['fake'], 'scripts': {'postdeploy': 'echo postdeploy-ran $(date +%s%N)',
                                                                'pr-predestroy': 'echo predestroy-ran $(date +%s%N)'}}},
}
FILES = {'Procfile': 'web: exec python3 -m http.server $PORT\nrelease: echo release-ran $(date +%s%N)\n', 'index.html': 'one\n',
         'app.json': json.dumps(APP_JSON)}

ROW = 'SELECT 1 FROM review_apps r WHERE r.pr_number = :n'
SETUP = 'SELECT 1 FROM review_apps r JOIN app_setups s ON s.id = r.setup_id WHERE r.pr_number = :n'
ADDON = 'SELECT 1 FROM review_apps r JOIN addons a ON a.app_id = r.app_id WHERE r.pr_number = :n'
BUILD = 'SELECT 1 FROM review_apps r JOIN builds b ON b.app_id = r.app_id WHERE r.pr_number = :n AND b.version = :sha'
RELEASE = BUILD.replace('WHERE', 'JOIN releases l ON l.build_id = b.id WHERE')
TELL = 'SELECT 1 FROM review_apps r JOIN repo_tells t ON t.key = r.id WHERE r.pr_number = :n AND t.sha = :sha'

RELEASED = {
    'a release': RELEASE,
    'release command': RELEASE + " AND l.phase = 'release_phase'",
    'cut-over': RELEASE + " AND l.phase = 'cutover'",
    'released': RELEASE + " AND l.status = 'succeeded'",
}
TOLD = {
    'status told': TELL + " AND t.state = 'success' AND t.status_seq = t.seq",
    'all told': TELL + " AND t.state = 'success' AND t.told_seq = t.seq",
}
# What has been committed last before paasd is killed, in this order.
MADE = {
    'webhook taken': "SELECT 1 FROM repo_looks WHERE kind = 'pull' AND subject = CAST(:n AS TEXT)",
    'row': ROW,
    'beginning to be told': ROW + " AND r.status = 'creating'",  # in one with the app, its coupling, its setup
    'source fetched': SETUP + " AND s.step = 'manifest'",
    'app.json checked': SETUP + " AND s.step = 'config'",
    'config vars set': SETUP + " AND s.step = 'addons'",
    'add-on asked for': ADDON,
    'add-on there': ADDON + " AND a.state = 'provisioned'",
    'add-ons made': SETUP + " AND s.step = 'build'",
    'build noted': SETUP + ' AND s.build_id IS NOT NULL',
    **RELEASED,
    'build made': SETUP + " AND s.step = 'scale'",
    'scaled': SETUP + " AND s.step = 'postdeploy'",
    'postdeploy started': SETUP + " AND s.postdeploy_state = 'running'",
    'postdeploy ended': SETUP + " AND s.postdeploy_state = 'done'",
    'set up': SETUP + " AND s.status = 'succeeded'",
    'created, and its end to be told': ROW + " AND r.status = 'created'",
    **TOLD,
}
UPDATED = {
    'another commit wanted': ROW + ' AND r.commit_id = :sha',
    'beginning to be told': TELL,
    'a build': BUILD,
    **RELEASED,
    'deploy noted, and its end to be told': ROW + ' AND r.tried_commit = :sha',
    **TOLD,
}
DESTROYED = {
    'not wanted': ROW + ' AND NOT r.wanted',
    'deleting': ROW + " AND r.status = 'deleting'",
    'predestroy': ROW + ' AND r.predestroyed',
    'app to go': "SELECT 1 FROM review_apps r JOIN apps a ON a.id = r.app_id WHERE r.pr_number = :n AND a.state = 'destroying'",
    'app gone': ROW + ' AND r.predestroyed AND r.app_id IS NULL',
    'deleted': ROW + " AND r.status = 'deleted'",
    'its end told': ROW + " AND r.status = 'deleted' AND NOT EXISTS (SELECT 1 FROM repo_tells t WHERE t.key = r.id)",
}


@pytest.fixture(scope='module')
def here(tmp_path_factory):
    return str(tmp_path_factory.mktemp('fake'))


@pytest.fixture(scope='module')
def paas(here):
    make_service(here + '/services', here, 'fake', 'FAKE')
    p = Platform(ROOT, '--set', 'outgoing.allow=127.0.0.0/8,::1', '--set', f'addons_dir={here}/services', '--set', 'addon.retry=1',
                 '--set', 'dyno.stop_timeout=1')
    try:
        p.start()
        p.login()
        slow_down(p)
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


TABLES = ('repo_looks', 'repo_tells', 'review_apps', 'app_setups', 'apps', 'addons', 'builds', 'releases')


def slow_down(paas):
    db(paas, 'CREATE TABLE slow (n INTEGER)')
    db(paas, 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 400) INSERT INTO slow SELECT n FROM c')
    for table in TABLES:
        for what in ('INSERT', 'UPDATE', 'DELETE'):
            db(paas, f'CREATE TRIGGER slow_{table}_{what} BEFORE {what} ON {table} BEGIN SELECT count(*) FROM slow a, slow b WHERE a.n <> b.n; END')


class Killer:
    def __init__(self, paas, c):
        self.paas, self.c = paas, c
        self.ran = {}      # what scripts have said: their names and stamps, of each app
        self.missed = []   # steps that were over before they were seen

    def read_logs(self):
        """Before an app's logs go with it; a line that paasd had not acknowledged may come twice."""
        for folder, _, files in os.walk(os.path.join(self.paas.state, 'logs')):
            for name in files:
                try:
                    with open(os.path.join(folder, name), 'rb') as f:
                        text = f.read()
                except FileNotFoundError:
                    continue
                for what, stamp in re.findall(rb'(\w+)-ran (\d+)', text):
                    self.ran.setdefault((os.path.basename(folder), what.decode()), set()).add(stamp)

    def times(self, app_id, what):
        self.read_logs()
        return len(self.ran.get((app_id, what), ()))

    def at(self, d, steps, i, args):
        """Index of the furthest step that has been reached, if that is i or more."""
        return next((k for k in range(len(steps) - 1, i - 1, -1) if d.execute(steps[k], args).fetchone()), None)

    def run_to(self, d, steps, i, args):
        """Until the i-th step."""
        until = time.monotonic() + 30
        while True:
            at = self.at(d, steps, i, args)
            if at is not None:
                return at
            seen = d.execute('PRAGMA data_version').fetchone()
            while d.execute('PRAGMA data_version').fetchone() == seen:
                assert time.monotonic() < until, f'{steps[i]}: {d.execute("SELECT * FROM review_rows").fetchall()}\n{self.paas.tail_log(3000)}'
                time.sleep(0.0003)

    def walk(self, steps, act, **args):
        """Kills paasd after each step of what act begins."""
        t = threading.Thread(target=self.quietly, args=(act,))
        names, sql = list(steps), list(steps.values())
        for i, name in enumerate(names):
            # this is at hand before paasd is: the machine goes on as soon as it is there
            with closing(sqlite3.connect(os.path.join(self.paas.state, 'paasd.db'), timeout=30, isolation_level=None)) as d:
                t.start()
                try:
                    at = self.run_to(d, sql, i, args)
                    self.paas.kill9()
                finally:
                    t.join()
                self.paas.kill9()  # one that was not there yet
            if at != i:
                self.missed.append(f'{name}: {names[at]}')
            self.read_logs()
            self.c.close()
            t = threading.Thread(target=self.quietly, args=(self.paas.start, '--keep-dynos'))
        t.start()
        t.join()

    @staticmethod
    def quietly(act, *args):
        try:
            act(*args)
        except (OSError, ValueError, Failed, http.client.HTTPException):
            pass  # cut off


# What differs between providers is how they are told: of the others there are only these.
TELLING = {'webhook taken', 'beginning to be told', 'created, and its end to be told', 'status told', 'all told', 'its end told'}


@pytest.mark.parametrize('kind', ['gitea', 'github', 'gitlab'])
def test_killed_after_each_step(request, paas, c, here, tmp_path_factory, kind):
    fake = Fake(here)
    line = Line(paas, c, kind, tmp_path_factory.mktemp(kind), base_name=kind)
    request.addfinalizer(line.close)
    p = line.p
    before = left(paas)
    killer = Killer(paas, c)
    made, updated, destroyed = ({k: v for k, v in steps.items() if kind == 'gitea' or k in TELLING} for steps in (MADE, UPDATED, DESTROYED))

    def told_once(n, *shas):
        line.quiet()
        for sha in shas:
            states = line.states(sha)
            assert len(set(states)) == len(states), states
        assert line.states(shas[-1])[:2] in ([FIRST[kind], 'success'], ['success'])
        comment, = line.comments(n)
        return comment['body']

    sha = p.commit('work', FILES)
    killer.walk(made, lambda: p.open_pull('work'), n=1, sha=sha)
    app = line.is_up(1, sha, 60)
    aid = c('GET', f'/apps/{app}', want=200).json['id']
    assert app == f'{kind}-pr-1' and line.deploys(app) == [sha] and line.builds(app) == [sha] and len(fake.there()) == 1
    assert killer.times(aid, 'postdeploy') == killer.times(aid, 'release') == 1
    assert 'is up' in told_once(1, sha)
    config = c('GET', f'/apps/{app}/config-vars').json

    more = p.commit('work', {'index.html': 'more\n'}, push=False)

    def push():
        p.git('push', '-q', '-f', 'origin', 'HEAD:refs/heads/work')
        p.moved('work', sha, more)
    killer.walk(updated, push, n=1, sha=more)
    assert line.is_up(1, more, 60) == app and paas.http(app, '/index.html')[1] == 'more\n'
    assert line.deploys(app) == [sha, more] and sorted(line.builds(app)) == sorted([sha, more])
    assert c('GET', f'/apps/{app}/config-vars').json == config and len(fake.there()) == 1
    assert killer.times(aid, 'postdeploy') == 1 and killer.times(aid, 'release') == 2
    assert more[:12] in told_once(1, sha, more)

    killer.walk(destroyed, lambda: p.close_pull(1), n=1, sha=more)
    line.is_gone(1)
    # noted before it is started: one that is cut off is not run again
    assert killer.times(aid, 'predestroy') <= 1 and killer.times(aid, 'postdeploy') == 1
    nothing_left(paas, fake, before)
    assert 'is gone' in told_once(1, sha, more) and not db(paas, 'SELECT 1 FROM repo_tells')
    assert not [n for n in os.listdir(os.path.join(paas.state, 'repos')) if n.startswith('.new-')]
    print('over before they were seen:', killer.missed)
    assert len(killer.missed) <= len([*made, *updated, *destroyed]) // 3, killer.missed
