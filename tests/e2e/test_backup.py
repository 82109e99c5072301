"""The whole platform as one file, made under load, and another platform out of it: apps, code, databases, volumes."""
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from platform_under_test import Platform, released, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Counts in a volume (a before b), a database and a Redis, for as long as it lives.
WEB = '''
import json, os, threading, time, psycopg2, redis_lite
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AT = '/data'
def read(name):
    try:
        with open(f'{AT}/{name}') as f:
            return int(f.read() or 0)
    except FileNotFoundError:
        return 0

def write(name, n):
    with open(f'{AT}/{name}.new', 'w') as f:
        f.write(str(n))
        f.flush()
        os.fsync(f.fileno())
    os.rename(f'{AT}/{name}.new', f'{AT}/{name}')

def rows(sql):
    db = psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=5)
    with db, db.cursor() as c:
        c.execute(sql)
        got = c.fetchall() if c.description else None
    db.close()
    return got

failure = None
def load():
    global failure
    while True:
        try:
            rows('CREATE TABLE IF NOT EXISTS counts (n serial PRIMARY KEY, pad text)')
            db = psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=5)
            redis = redis_lite.Redis(os.environ['REDIS_URL'])
            n = read('a')
            while True:
                n += 1
                write('a', n)
                with db, db.cursor() as c:
                    c.execute("INSERT INTO counts (pad) VALUES (repeat('x', 2000))")
                redis('INCR', 'count')
                write('b', n)
        except Exception as e:
            failure = repr(e)
            time.sleep(0.2)

class App(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            count, last = rows('SELECT count(*), coalesce(max(n), 0) FROM counts')[0]
            out = {'b': read('b'), 'a': read('a'), 'load': os.environ.get('LOAD'), 'count': count, 'last': last, 'greeting': os.environ.get('GREETING'),
                   'redis': int(redis_lite.Redis(os.environ['REDIS_URL'])('GET', 'count') or 0)}
            status = 200
        except Exception as e:
            status, out = 500, {'error': repr(e), 'load': failure}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(out).encode())

    def log_message(self, *a):
        pass

if os.environ.get('LOAD') == 'on':
    threading.Thread(target=load, daemon=True).start()
ThreadingHTTPServer(('', int(os.environ['PORT'])), App).serve_forever()
'''


def state_of(paas):
    status, body, _ = paas.http('shop')
    return json.loads(body) if status == 200 else {}


def command(paas, *args, **kw):
    return subprocess.run([os.path.join(paas.bin, 'paasd'), args[0], '--dev', '--state', paas.state, *args[1:]],
                          capture_output=True, text=True, timeout=60, env={**os.environ, 'TMPDIR': paas.dir}, **kw)


@pytest.fixture(scope='module')
def paas(tmp_path_factory):
    from test_redis import RESP
    folder = tmp_path_factory.mktemp('shop')
    p = Platform(ROOT)
    try:
        p.start()
        p.login()
        p.git('init', '-q', '-b', 'main', cwd=folder)
        p.create('shop', str(folder))
        p.api('PUT', '/apps/shop/buildpack-installations', {'updates': [{'buildpack': 'procfile'}]})
        p.api('PATCH', '/apps/shop/config-vars', {'GREETING': 'hello', 'LOAD': 'on'})
        for plan in ('heroku-postgresql', 'heroku-redis'):
            status, a, _ = p.api('POST', '/apps/shop/addons', {'plan': plan})
            assert status == 201, a
        assert p.api('POST', '/volumes', {'name': 'files', 'size_mb': 64})[0] == 201
        assert p.api('POST', '/apps/shop/volumes', {'volume': 'files', 'path': '/data'})[0] == 201
        p.commit(str(folder), Procfile='web: exec python3 -u web.py\n', **{'web.py': WEB, 'redis_lite.py': RESP})
        p.push(str(folder))
        p.folder = str(folder)
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def archive(paas):
    """Made while the app writes to all that it has."""
    path = os.path.join(paas.dir, 'paasd.tar')
    wait_for('the load', lambda: state_of(paas).get('redis', 0) > 20)
    before = state_of(paas)
    r = command(paas, 'backup', '--json', path)
    assert r.returncode == 0, r.stderr + paas.tail_log()
    after = state_of(paas)
    assert after['a'] > before['a'] and after['redis'] > before['redis']  # it went on
    told = json.loads(r.stdout)
    assert told['files'] > 100 and told['notes'] == [] and not told['with_key'] and os.stat(path).st_mode & 0o777 == 0o600
    assert sorted(n for n in os.listdir(paas.dir) if 'tar' in n) == ['paasd.tar'] and 'backup.tmp' not in os.listdir(paas.state)
    return path, before, after


def test_the_archive_is_a_tar_that_others_read(paas, archive, tmp_path):
    path, _, _ = archive
    r = command(paas, 'backup:check', '--key', paas.state + '/master.key', path)
    assert r.returncode == 0 and 'signed with this key' in r.stdout, r.stderr
    names = subprocess.run(['tar', '-xf', path, '-C', tmp_path], capture_output=True, text=True)
    assert names.returncode == 0 and names.stderr == '', names.stderr
    sums = subprocess.run(['sha256sum', '-c', '--quiet', '--strict', 'paasd-backup/SHA256SUMS'], cwd=tmp_path, capture_output=True, text=True)
    assert sums.returncode == 0, sums.stdout[-2000:] + sums.stderr[-2000:]
    (image,) = (tmp_path / 'paasd-backup/state/volumes').glob('*/image')
    assert image.stat().st_blocks * 512 < image.stat().st_size / 2 and os.path.getsize(path) < 150 << 20
    assert not (tmp_path / 'paasd-backup/state/master.key').exists()
    shutil.rmtree(tmp_path / 'paasd-backup')
    # one at a time; one whose reader does not read, and goes
    slow = subprocess.Popen([os.path.join(paas.bin, 'paasd'), 'backup', '--dev', '--state', paas.state, '-'], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    slow.stdout.read(1)
    other = tmp_path / 'other.tar'
    r = command(paas, 'backup', str(other))
    assert r.returncode == 5 and 'Another backup' in r.stderr and not other.exists(), r.stderr
    r = command(paas, 'backup', path)
    assert r.returncode == 5 and 'exists already' in r.stderr
    slow.terminate()
    assert slow.wait(20) == 8
    slow.stdout.close()
    slow.stderr.close()

    with open('/dev/full', 'w') as full:
        argv = [os.path.join(paas.bin, 'paasd'), 'backup', '--dev', '--state', paas.state, '-']
        tell = lambda: subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60).stderr
        wait_for('the desk to be free', lambda: 'does not fit' in tell())
    # what is destroyed meanwhile is told of, and no reason to have none
    assert paas.api('POST', '/volumes', {'name': 'spare', 'size_mb': 16})[0] == 201
    slow = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    first = slow.stdout.read(1)
    paas.ctl('storage:destroy', 'spare', '--confirm', 'spare')
    rest, said = slow.communicate(timeout=60)
    assert slow.returncode == 0 and b'the volume spare was destroyed meanwhile' in said, said
    other.write_bytes(first + rest)
    r = command(paas, 'backup:check', str(other))
    assert r.returncode == 0 and 'spare' in r.stdout, r.stderr
    other.unlink()


def test_another_platform_comes_of_it(paas, archive):
    path, before, after = archive
    head = paas.git('rev-parse', 'HEAD', cwd=paas.folder).stdout.strip()
    key = os.path.join(paas.dir, 'master.key')
    shutil.copy(paas.state + '/master.key', key)
    assert paas.stop() == 0
    p = Platform(ROOT)
    try:
        restored(paas, p, path, key, before, after, head)
    finally:
        p.close()


def damaged(path, to):
    """A byte of a file's content is another, in the middle."""
    with tarfile.open(path) as t:
        m = next(m for m in t if m.name.endswith('/cluster/PG_VERSION'))
    shutil.copy(path, to)
    with open(to, 'r+b') as f:
        f.seek(m.offset_data)
        f.write(b'9')


def refused(p, words, *args):
    r = command(p, 'restore', *args)
    assert r.returncode and words in r.stderr, (r.returncode, r.stdout, r.stderr)
    assert [n for n in os.listdir(p.state) if n != 'paasd.lock'] == []


def restored(paas, p, path, key, before, after, head):
    os.mkdir(p.state)
    bad, short, wrong = (os.path.join(p.dir, n) for n in ('bad', 'short', 'wrong'))
    damaged(path, bad)
    with open(path, 'rb') as f, open(short, 'wb') as g:
        g.write(f.read(os.path.getsize(path) * 2 // 3))
    with open(wrong, 'wb') as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(bytes(32))
    refused(p, '--key FILE', path)
    refused(p, 'not made with this key', '--key', wrong, path)
    refused(p, 'cluster/PG_VERSION is damaged', '--key', key, bad)
    refused(p, 'not a whole backup', '--key', key, short)
    r = command(p, 'restore', '--key', key, path)
    assert r.returncode == 0, r.stderr
    r = command(p, 'restore', '--key', key, path)
    assert r.returncode == 5 and 'not empty' in r.stderr
    p.start()
    wait_for('the app to serve', lambda: state_of(p).get('count'), 30)
    p.api('PATCH', '/apps/shop/config-vars', {'LOAD': 'off'})
    wait_for('the load to end', lambda: stands_still(p), 30)
    now = state_of(p)
    # nothing from before the backup is missing, and what is there is whole
    assert now['greeting'] == 'hello' and now['b'] <= now['a'] <= now['b'] + 1
    assert now['a'] >= before['a'] and now['count'] >= before['count'] and now['redis'] >= before['redis']
    clone = os.path.join(p.dir, 'clone')
    p.login()
    p.git('clone', '-q', f'{p.url}/shop.git', clone)
    assert p.git('rev-parse', 'HEAD', cwd=clone).stdout.strip() == head
    p.git('fsck', '--full', '--strict', cwd=clone)
    p.git('remote', 'rename', 'origin', 'paasd', cwd=clone)
    p.commit(clone, note='more')
    assert released(p.push(clone)) > 3
    assert state_of(p)['greeting'] == 'hello'


def stands_still(p):
    """The dyno that writes has ended."""
    first = state_of(p)
    return first.get('load') == 'off' and first == state_of(p)
