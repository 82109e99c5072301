"""Volumes: made, attached, written to from every kind of dyno, kept over all that happens to apps and to paasd."""
import json
import os
import re
import shutil
import sqlite3

import pytest

from api_client import Client, claimed_by
from platform_under_test import Platform, wait_for

APP, OTHER = 'keeper', 'heir'
AT = '/app/storage'
MiB = 1 << 20


@pytest.fixture(scope='module')
def paas():
    from conftest import ROOT
    p = Platform(ROOT, '--set', 'dyno.stop_timeout=2')
    try:
        p.start('--keep-dynos')
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def c(paas):
    client = Client(paas, paas.token)
    yield client
    client.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    """Its web and release dynos each leave a line in the volume, when there is one."""
    folder = paas.make_app('procfile', tmp_path_factory.mktemp('keeper') / 'app')
    note = lambda what: f'test ! -d {AT} || echo "{what} of $HEROKU_RELEASE_VERSION" >> {AT}/notes'
    paas.commit(folder, Procfile=f'web: {note("web")}; exec bin/server\nrelease: {note("release")}\n')
    for name in (APP, OTHER):
        paas.create(name, folder, remote=name)
    paas.push(folder, APP)
    return folder


@pytest.fixture(scope='module')
def stranger(paas, c):
    return c.with_token(paas.new_user('stranger@example.com'))


def run(paas, script, app=APP, code=0):
    r = paas.ctl('run', '--exit-code', '--no-tty', '-a', app, '--', 'bash', '-c', script, check=False)
    assert r.returncode == code, (r.stdout, r.stderr)
    return r.stdout


def live(paas, c, version=None, app=APP):
    """The newest release is the one that serves."""
    want = version or max(r['version'] for r in c.get(f'/apps/{app}/releases', want=200).json)
    wait_for(f'v{want} to serve', lambda: f'HEROKU_RELEASE_VERSION=v{want}\n' in paas.http(app)[1])
    return want


def test_names_sizes_and_paths(paas, app, c, stranger):
    for body, word in [({'name': 'A b'}, 'name'), ({'name': 'x'}, 'name'), ({'name': 'data', 'size_mb': 1}, 'size_mb'),
                       ({'name': 'data', 'size_mb': 1 << 40}, 'size_mb')]:
        assert word in c('POST', '/volumes', body, want=422).message
    mb = shutil.disk_usage(paas.state).free // MiB
    if mb < 1 << 20:
        assert c.send('POST', '/volumes', {'name': 'data', 'size_mb': mb}).status == 507  # there is a reserve
    v = c('POST', '/volumes', {'name': 'data', 'size_mb': 16}, want=201).json
    assert (v['state'], v['size_mb'], v['attachment']) == ('available', 16, None)
    assert 'taken' in c('POST', '/volumes', {'name': 'data'}, want=422).message
    for path in ('/', '/app', '/app/', '/app/.profile.d', '/usr', '/usr/local/x', '/etc', '/proc/1', '/sys', '/dev/shm', '/tmp', '/run/x', '/bin',
                 '/sbin', '/lib', '/lib64/x', '/var/lib', '/home', '/root', 'data', '', '/app/../etc', '/app/..', '/app/./x', '/app//x', '/data/',
                 '/a b', '/ä', '/app/\n', '/' + 'x' * 300):
        a = c('POST', f'/apps/{APP}/volumes', {'volume': 'data', 'path': path}, want=422)
        assert 'path' in a.message, (path, a)
    assert 'size_mb' in c('PATCH', '/volumes/data', {'size_mb': 8000000}, want=422).message
    assert c.get(f'/apps/{APP}/volumes', want=200).json == [] and [x['name'] for x in c.get('/volumes', want=200).json] == ['data']
    # nobody else sees it, or can do anything with it
    assert stranger.get('/volumes', want=200).json == []
    stranger('POST', '/apps', {'name': 'strange'}, want=201)
    for method, path, body in [('GET', '/volumes/data', None), ('PATCH', f'/volumes/{v["id"]}', {'size_mb': 32}), ('DELETE', '/volumes/data', None),
                               ('POST', '/apps/strange/volumes', {'volume': 'data', 'path': '/data'}), ('DELETE', '/apps/strange/volumes/data', None),
                               ('POST', f'/apps/{APP}/volumes', {'volume': 'data', 'path': '/data'}), ('GET', f'/apps/{APP}/volumes', None)]:
        stranger(method, path, body, want=404)


def test_in_every_dyno(paas, app, c, stranger):
    v = c('POST', f'/apps/{APP}/volumes', {'volume': 'data', 'path': AT}, want=201).json
    assert v['attachment']['path'] == AT and v['attachment']['app']['name'] == APP and not v['attachment']['read_only']
    n = live(paas, c)
    assert c.get(f'/apps/{APP}/releases/{n}', want=200).json['description'] == f'Attach volume data at {AT}'
    assert run(paas, f'cat {AT}/notes; echo mine > {AT}/mine') == f'web of v{n}\n'
    # a deploy: its release dyno has it, the new web dyno too
    paas.commit(app)
    paas.push(app, APP)
    assert run(paas, f'cat {AT}/notes {AT}/mine') == f'web of v{n}\nrelease of v{n + 1}\nweb of v{n + 1}\nmine\n'
    # once only, at one place only
    for at, where in ((APP, '/data'), (OTHER, AT)):
        assert 'detach it there first' in c('POST', f'/apps/{at}/volumes', {'volume': 'data', 'path': where}, want=422).message
    c('POST', '/volumes', {'name': 'more', 'size_mb': 16}, want=201)
    for path in (AT, AT + '/more'):
        assert AT in c('POST', f'/apps/{APP}/volumes', {'volume': 'more', 'path': path}, want=422).message
    e = c('DELETE', '/volumes/data', want=409).json
    assert f'storage:detach data -a {APP}' in e['message']
    # who works on the app sees it, and no more
    c('POST', f'/apps/{APP}/collaborators', {'user': 'stranger@example.com', 'permissions': ['view', 'operate']}, want=201)
    assert [x['name'] for x in stranger.get('/volumes', want=200).json] == ['data']
    assert stranger.get('/volumes/data', want=200).json['owner']['email'] == v['owner']['email']
    assert stranger('DELETE', '/volumes/data', want=403).id == stranger('PATCH', '/volumes/data', {'size_mb': 32}, want=403).id == 'forbidden'
    stranger('POST', '/apps/strange/volumes', {'volume': 'data', 'path': AT}, want=403)
    c('DELETE', f'/apps/{APP}/collaborators/stranger@example.com', want=200)


def test_its_size_is_the_limit(paas, app, c):
    out = run(paas, f'head -c 40M /dev/zero > {AT}/big || echo refused; head -c 1M /dev/zero > /tmp/x && echo others go on')
    assert 'No space left' in out and out.endswith('refused\nothers go on\n')
    v = c.get('/volumes/data', want=200).json
    assert v['enforcement'] == 'enforced' and v['used_bytes'] > 14 * MiB
    assert paas.http(APP, '/up')[0] == 200
    # it grows while dynos use it only where root may do all that root may
    a = c('PATCH', '/volumes/data', {'size_mb': 32})
    if a.status == 409:
        assert 'scale the app to 0' in a.message
        paas.ctl('ps:scale', 'web=0', '-a', APP)
        wait_for('the end of web', lambda: c.get(f'/apps/{APP}/dynos', want=200).json == [])
        grown = wait_for('it to grow', lambda: c('PATCH', '/volumes/data', {'size_mb': 32}).status == 200)
        assert grown
        paas.ctl('ps:scale', 'web=1', '-a', APP)
    assert c.get('/volumes/data', want=200).json['size_mb'] == 32
    assert c('PATCH', '/volumes/data', {'size_mb': 16}, want=422).id == 'invalid_params'
    assert run(paas, f'rm {AT}/big; head -c 24M /dev/zero > {AT}/big && echo fits; rm {AT}/big') == 'fits\n'
    live(paas, c)


def test_restart_and_death_of_paasd(paas, app, c):
    paas.ctl('ps:restart', '-a', APP)
    live(paas, c)
    c.close()
    paas.stop()  # dynos go on
    paas.start('--keep-dynos')
    assert run(paas, f'cat {AT}/mine; echo again > {AT}/mine') == 'mine\n'
    # killed while one volume is half made and another half destroyed
    for name in ('half', 'gone'):
        c('POST', '/volumes', {'name': name, 'size_mb': 16}, want=201)
    ids = {x['name']: x['id'] for x in c.get('/volumes', want=200).json}
    c.close()
    paas.kill9()
    with sqlite3.connect(paas.state + '/paasd.db') as db:
        db.execute("UPDATE volumes SET state = 'creating' WHERE name = 'half'")
        db.execute("UPDATE volumes SET state = 'destroying' WHERE name = 'gone'")
    db.close()
    os.rename(f'{paas.state}/volumes/{ids["half"]}', f'{paas.dir}/half')
    paas.start('--keep-dynos')
    wait_for('both', lambda: {x['name']: x['state'] for x in c.get('/volumes', want=200).json} ==
             {'data': 'available', 'more': 'available', 'half': 'available'})
    assert sorted(os.listdir(paas.state + '/volumes')) == sorted(i for n, i in ids.items() if n != 'gone')
    c('DELETE', '/volumes/half', want=200)
    assert run(paas, f'cat {AT}/mine') == 'again\n'


def test_read_only_and_the_command_line(paas, app, c):
    json_of = lambda *args: json.loads(paas.ctl(*args, '--json').stdout)
    r = paas.ctl('storage:attach', 'more', '--path', '/data', '--read-only', '-a', APP)
    version = int(re.search(r'done, v(\d+)', r.stdout + r.stderr)[1])
    live(paas, c, version)
    out = run(paas, 'touch /data/x; ls -A /data', code=0)
    assert 'x' not in out.split('\n') and 'Read-only' in out + paas.logs(APP)
    rows = paas.ctl('storage', '-a', APP).stdout
    assert re.search(r'data +32 MB +keeper +/app/storage', rows) and re.search(r'more +16 MB +keeper +/data +read-only', rows)
    assert {v['name'] for v in json_of('storage')} == {'data', 'more'}
    info = paas.ctl('storage:info', 'data').stdout
    assert 'Attached to: keeper at /app/storage' in info and 'enforced' in info and 'Used:' in info
    r = paas.ctl('storage:destroy', 'more', '--confirm', 'more', check=False)
    assert r.returncode == 5 and 'storage:detach more' in r.stderr
    assert json_of('storage:detach', 'more')['attachment'] is None
    assert c.get(f'/apps/{APP}/releases/{live(paas, c)}', want=200).json['description'] == 'Detach volume more'
    assert 'not attached' in paas.ctl('storage:detach', 'more', check=False).stderr
    # the dynos that had it end first, where it cannot grow while it is used
    wait_for('it to grow', lambda: paas.ctl('storage:resize', 'more', '0.03 GB', check=False).returncode == 0)
    assert json_of('storage:info', 'more')['size_mb'] == 31
    assert 'cannot become smaller' in paas.ctl('storage:resize', 'more', '16MB', check=False).stderr
    assert paas.ctl('storage:resize', 'more', 'big', check=False).returncode == 2
    assert paas.ctl('storage:destroy', 'more', '--confirm', 'other', check=False).returncode != 0
    paas.ctl('storage:destroy', 'more', '--confirm', 'more')
    assert paas.ctl('storage:create', 'x-1', '-a', APP, check=False).returncode == 2
    assert paas.ctl('storage:info', 'more', check=False).returncode == 4
    assert 'data' in paas.ctl('completion:words', '--', 'storage:info', '').stdout.split()
    log = [e for e in paas.api('GET', '/audit')[1] if e['action'].startswith('volume.')]
    assert {e['action'] for e in log} == {'volume.create', 'volume.attach', 'volume.detach', 'volume.resize', 'volume.destroy'}


def test_an_app_goes_its_volume_stays(paas, app, c):
    c('DELETE', f'/apps/{APP}', want=200)
    v = c.get('/volumes/data', want=200).json
    assert v['attachment'] is None and v['size_mb'] == 32
    paas.ctl('storage:attach', 'data', '--path', AT, '-a', OTHER)  # nothing is deployed there yet
    paas.push(app, OTHER)
    out = run(paas, f'cat {AT}/mine; stat -c %U {AT}/mine; echo heir > {AT}/mine; cat {AT}/mine', app=OTHER)
    assert out == 'again\napp\nheir\n'
    c('DELETE', f'/apps/{OTHER}/volumes/data', want=200)
    c('DELETE', '/volumes/data', want=200)
    assert os.listdir(paas.state + '/volumes') == []


def test_every_route_was_seen(c):
    assert claimed_by('storage') - c.seen == set()
