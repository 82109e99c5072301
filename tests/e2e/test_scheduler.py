"""The scheduler: each kind of job, by hand and by the clock, over restarts of paasd."""
import datetime
import json
import os
import re
import time

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for

APP = 'clockwork'


@pytest.fixture(scope='module')
def paas():
    from conftest import ROOT
    p = Platform(ROOT, '--set', 'dyno.stop_timeout=2')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('cron') / 'app')
    os.makedirs(folder)
    paas.git('init', '-q', '-b', 'main', folder)
    paas.commit(folder, Procfile='worker: sleep 10000\nreport: echo this is the report\n')
    paas.create(APP, folder)
    return folder


@pytest.fixture(scope='module')
def c(paas, app):
    client = Client(paas, paas.token)
    yield client
    client.close()


def jobs(paas):
    return {j['name']: j for j in paas.api('GET', f'/apps/{APP}/scheduler/jobs')[1]}


def runs(paas, job=None):
    path = f'/apps/{APP}/scheduler/jobs/{job}/runs' if job else f'/apps/{APP}/scheduler/runs'
    return paas.api('GET', path, headers={'Range': 'due_at ..; order=desc'})[1]


def ended(paas, job, state, n=1):
    """The job's last run, once n of them have ended so."""
    wait_for(f'{job} {state}', lambda: [r['state'] for r in runs(paas, job)].count(state) >= n, 20)
    return next(r for r in runs(paas, job) if r['state'] == state)


def test_without_a_release(paas, app, c):
    c('POST', f'/apps/{APP}/scheduler/jobs', {'command': 'true', 'schedule': 'every 10 minutes', 'name': 'early'}, want=201)
    e = c('POST', f'/apps/{APP}/scheduler/jobs/early/actions/run', want=422).json
    assert e['id'] == 'no_slug'
    c('DELETE', f'/apps/{APP}/scheduler/jobs/early', want=200)
    paas.push(app)


def test_jobs(paas, app, c):
    """Add, list, change, remove; what the API answers is checked against its schema by the client."""
    j = c('POST', f'/apps/{APP}/scheduler/jobs', {'command': 'echo daily', 'schedule': 'daily:06:30', 'timezone': 'Europe/Berlin',
                                                   'size': 'standard-2x', 'overlap': 'replace', 'missed': 'once'}, want=201).json
    assert j['name'] == 'echo daily' and j['size'] == 'Standard-2X' and j['last_run'] is None and not j['manifest']
    due = datetime.datetime.fromisoformat(j['next_run_at'].replace('Z', '+00:00'))
    assert due.minute == 30 and due.hour in (4, 5)
    assert c('GET', f'/apps/{APP}/scheduler/jobs/{j["id"]}', want=200).json == c('GET', f'/apps/{APP}/scheduler/jobs', want=200).json[0]
    off = c('PATCH', f'/apps/{APP}/scheduler/jobs/echo%20daily', {'enabled': False, 'size': None}, want=200).json
    assert off['next_run_at'] is None and off['size'] is None and not off['enabled']
    on = c('PATCH', f'/apps/{APP}/scheduler/jobs/{j["id"]}', {'enabled': True, 'schedule': '5 4 * * sun', 'command': 'echo weekly'}, want=200).json
    assert on['name'] == 'echo weekly' and on['next_run_at']
    assert c('DELETE', f'/apps/{APP}/scheduler/jobs/echo%20weekly', want=200).json['id'] == j['id']
    c('GET', f'/apps/{APP}/scheduler/jobs/{j["id"]}', want=404)
    for bad, word in [({'schedule': '61 * * * *'}, 'minute'), ({'schedule': 'daily:25:00'}, 'hour'), ({'timezone': 'Mars/Base'}, 'Mars/Base'),
                      ({'overlap': 'maybe'}, 'overlap'), ({'size': 'huge'}, 'huge'), ({'command': ''}, 'command'), ({'schedule': 'soon'}, 'soon')]:
        e = c('POST', f'/apps/{APP}/scheduler/jobs', {'command': 'true', 'schedule': '@daily', **bad}, want=422).json
        assert word in e['message'], e


def test_command_line(paas, app):
    add = paas.ctl('scheduler:add', 'report --all', '--hourly', ':30', '--name', 'rep', '-a', APP)
    assert re.search(r'Next run: \d{4}-\d\d-\d\d \d\d:30Z \(hourly:30\)', add.stdout)
    for options in (['--every', '10m'], ['--daily', '06:30', '--tz', 'Europe/Berlin'], ['--cron', '*/5 * * * mon-fri']):
        job = json.loads(paas.ctl('scheduler:add', 'exit 3', *options, '--json', '-a', APP).stdout)
        assert job['command'] == 'exit 3' and job['next_run_at']
    assert paas.ctl('scheduler:run', 'exit 3', '-a', APP, check=False).returncode == 5  # several have that name
    assert paas.ctl('scheduler:add', 'x', '-a', APP, check=False).returncode == 2
    assert 'minute: 99' in paas.ctl('scheduler:add', 'x', '--cron', '99 * * * *', '-a', APP, check=False).stderr
    run = paas.ctl('scheduler:run', 'rep', '-a', APP)
    dyno = re.search(r'scheduler\.\d+', run.stdout + run.stderr)[0]
    r = ended(paas, 'rep', 'succeeded')
    assert r['dyno'] == dyno and r['exit_code'] == 0 and r['started_at'] and r['ended_at']
    wait_for('its output', lambda: f'app[{dyno}]: this is the report --all' in paas.logs(APP))
    paas.ctl('scheduler:run', job['id'], '-a', APP)
    assert ended(paas, job['id'], 'failed')['exit_code'] == 3
    out = paas.ctl('scheduler:results', '-a', APP).stdout
    assert 'failed (3)' in out and 'succeeded' in out
    out = paas.ctl('scheduler', '-a', APP).stdout
    assert 'rep' in out and 'hourly:30' in out and 'Europe/Berlin' in out
    paas.ctl('scheduler:update', 'rep', '--disable', '-a', APP)
    assert ' off ' in paas.ctl('scheduler', '-a', APP).stdout
    for j in jobs(paas).values():
        paas.ctl('scheduler:remove', j['id'], '-a', APP)
    for j in paas.api('GET', f'/apps/{APP}/scheduler/jobs')[1]:
        paas.api('DELETE', f'/apps/{APP}/scheduler/jobs/{j["id"]}')
    assert 'no scheduled jobs' in paas.ctl('scheduler', '-a', APP).stdout


def test_app_json(paas, app, c):
    """Jobs of app.json follow the release, also back to one that has none."""
    paas.commit(app, **{'app.json': json.dumps({'cron': [{'command': 'echo of app.json', 'schedule': 'daily:06:30', 'timezone': 'Asia/Tokyo'}]})})
    paas.push(app)
    j = wait_for('the job', lambda: jobs(paas).get('echo of app.json'))
    assert j['manifest'] and j['next_run_at'].endswith('T21:30:00Z')
    c('PATCH', f'/apps/{APP}/scheduler/jobs/{j["id"]}', {'schedule': '@daily'}, want=422)
    c('DELETE', f'/apps/{APP}/scheduler/jobs/{j["id"]}', want=422)
    assert c('PATCH', f'/apps/{APP}/scheduler/jobs/{j["id"]}', {'enabled': False}, want=200).json['next_run_at'] is None
    paas.ctl('scheduler:run', j['id'], '-a', APP)
    ended(paas, j['id'], 'succeeded')
    paas.ctl('rollback', '-a', APP)
    wait_for('its end', lambda: not jobs(paas))


def test_the_add_on_of_that_name(paas, app):
    """What people know from elsewhere works, and tells how jobs are added here."""
    out = paas.ctl('addons:create', 'scheduler', '-a', APP)
    assert 'paasctl scheduler:add' in out.stdout + out.stderr
    paas.ctl('addons:destroy', 'scheduler', '-a', APP, '--confirm', APP)


def start_at(paas, second, minutes=0):
    """paasd with its clock ahead, at that second of a minute."""
    paas.ahead = getattr(paas, 'ahead', 0)
    now = round(time.time() * 1000) + paas.ahead
    paas.ahead += (second * 1000 - now) % 60000 + minutes * 60000
    paas.environ['PAASD_CLOCK_AHEAD_MS'] = str(paas.ahead)
    paas.start()


def test_restart_in_the_middle(paas, app, c):
    """A run that goes on while paasd restarts is one run, and its end is recorded; so is that of one that ended meanwhile."""
    for name, command in (('on', 'echo begun; sleep 2.5; exit 7'), ('over', 'sleep 0.7; exit 6')):
        c('POST', f'/apps/{APP}/scheduler/jobs', {'command': command, 'schedule': '@yearly', 'name': name}, want=201)
        c('POST', f'/apps/{APP}/scheduler/jobs/{name}/actions/run', want=201)
    wait_for('both', lambda: [r['state'] for r in runs(paas)[:2]] == ['running', 'running'])
    c.close()
    paas.kill9()
    dynos = os.path.join(paas.run_dir(), 'dynos')
    wait_for('the end of one', lambda: any(os.path.exists(os.path.join(dynos, d, 'status')) for d in os.listdir(dynos)))
    start_at(paas, 5)
    assert ended(paas, 'over', 'failed')['exit_code'] == 6
    assert ended(paas, 'on', 'failed')['exit_code'] == 7
    assert len(runs(paas, 'on')) == len(runs(paas, 'over')) == 1
    assert paas.logs(APP).count(': begun') == 1


def test_by_the_clock(paas, app):
    """paasd's clock is set so that the next minute comes soon after its start: the due job runs, once; one that was
    missed meanwhile as it was wished."""
    post = lambda **j: paas.api('POST', f'/apps/{APP}/scheduler/jobs', j)[1]
    for name, more in (('tick', {}), ('skipped', {'missed': 'skip'}), ('caught', {'missed': 'once'}),
                       ('long', {'overlap': 'skip', 'command': 'sleep 1000'}), ('again', {'overlap': 'replace', 'command': 'sleep 1000'})):
        assert 'id' in post(**{'name': name, 'command': 'echo ' + name, 'schedule': '* * * * *', **more})
    for name in ('long', 'again'):
        paas.api('POST', f'/apps/{APP}/scheduler/jobs/{name}/actions/run')
    wait_for('they run', lambda: [r['state'] for r in runs(paas, 'long') + runs(paas, 'again')] == ['running', 'running'])
    paas.api('PATCH', f'/apps/{APP}/scheduler/jobs/tick', {'schedule': '@yearly'})
    paas.kill9()
    start_at(paas, 5, minutes=3)  # those of every minute were missed
    assert 'missed' in ended(paas, 'skipped', 'skipped')['failure']
    ended(paas, 'caught', 'succeeded')
    assert len(runs(paas, 'caught')) == 1
    for name in ('caught', 'skipped', 'long', 'again'):
        paas.api('PATCH', f'/apps/{APP}/scheduler/jobs/{name}', {'enabled': name in ('long', 'again')})
    paas.api('PATCH', f'/apps/{APP}/scheduler/jobs/tick', {'schedule': '* * * * *'})
    paas.kill9()
    start_at(paas, 57)
    r = ended(paas, 'tick', 'succeeded')
    assert r['due_at'].endswith(':00Z')
    wait_for('its output', lambda: re.search(r'app\[scheduler\.\d+\]: tick', paas.logs(APP)))
    assert len(runs(paas, 'tick')) == 1
    assert [x['failure'] for x in runs(paas, 'long')] == ['the run before still goes',
                                                          'missed: the platform was not running when it was due', None]
    replaced = ended(paas, 'again', 'failed')
    assert replaced['failure'] == 'stopped: the next run took its place' and replaced['exit_code'] == 143
    assert runs(paas, 'again')[0]['state'] == 'running'
    assert 'Skipped `long`' in paas.logs(APP)
    for j in jobs(paas).values():
        paas.api('DELETE', f'/apps/{APP}/scheduler/jobs/{j["id"]}')
    paas.ctl('ps:stop', 'scheduler', '-a', APP, check=False)
