"""The disk of the database server is full: clear errors, everything as it was, nothing left, and all works once there is room."""
import glob
import os
import subprocess

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for
from test_pg_backups import Db, files

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FULL = 'The disk of the database server is full.'


@pytest.fixture(scope='module')
def paas():
    """Services have a file system of their own, of 700 MB."""
    p = Platform(ROOT, flavour=os.environ.get('PAAS_FLAVOUR', ''))
    p.services = p.state + '/services'
    image = p.dir + '/image'
    os.makedirs(p.services)
    for folder in (p.state, p.services):
        os.chmod(folder, 0o711)
    with open(image, 'wb') as f:
        f.truncate(700 << 20)
    subprocess.run(['mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal', image], check=True)
    subprocess.run(['mount', '-o', 'loop', image, p.services], check=True)
    os.chmod(p.services, 0o711)
    try:
        p.start()
        yield p
    finally:
        try:
            p.stop()
        finally:
            subprocess.run(['umount', '-l', p.services], check=True)
            p.close()


def room(paas):
    s = os.statvfs(paas.services)
    return s.f_bavail * s.f_frsize


def fill(paas):
    with open(paas.services + '/filler', 'ab') as f:
        while room(paas) > 256 << 10:
            os.posix_fallocate(f.fileno(), f.seek(0, 2), room(paas) - (192 << 10))


def on_the_server(db):
    return db.sql("SELECT string_agg(n, ' ' ORDER BY n) FROM (SELECT datname::text FROM pg_database UNION ALL SELECT rolname::text FROM pg_roles) AS x(n)")


def test_a_full_disk(paas):
    c = Client(paas, paas.token)
    db = Db(c, 'shop')
    c('POST', '/apps', {'name': 'later'}, want=201)
    db.sql("CREATE TABLE items AS SELECT n, repeat(md5(n::text), 10) AS t FROM generate_series(1, 5000) n")
    good = db.capture()
    before, kept = on_the_server(db), files(paas)
    fill(paas)
    said = subprocess.run(['psql', '-XqAt', db.url], input='INSERT INTO items SELECT n, t || t FROM items; SELECT count(*) FROM items', text=True,
                          capture_output=True, timeout=60)
    assert 'No space left on device' in said.stderr and said.stdout == '5000\n'
    t = db.done(db.begin(), 'failed')
    assert FULL in t['failure'], t
    t = db.done(db.begin('restores', {'backup_url': good['to_url']}), 'failed')
    assert FULL in t['failure'] and 'was not touched' in t['failure'], t
    r = c('POST', '/apps/later/addons', {'plan': 'heroku-postgresql'}, want=422)
    assert r.message == FULL
    assert c('GET', '/apps/later/addons', want=200).json == [] and c('GET', '/apps/later/config-vars', want=200).json == {}
    assert on_the_server(db) == before and files(paas) == kept and db.sql('SELECT count(*) FROM items') == '5000'

    # No room for the server's own log, either: it ends, and comes back with what was put by for that.
    subprocess.run(['psql', '-XqAt', db.url], input="SELECT count(pg_logical_emit_message(true, 'x', repeat('y', 100000))) FROM generate_series(1, 1000);" * 4,
                   text=True, capture_output=True, timeout=60)
    wait_for('the server again', lambda: db.sql('SELECT count(*) FROM items', check=False) == '5000', 60)
    assert any(b'The reserve of 64 MB is given up' in open(f, 'rb').read() for f in glob.glob(paas.state + '/logs/*/*'))

    os.unlink(paas.services + '/filler')
    db.sql('DELETE FROM items WHERE n > 10')
    db.done(db.begin('restores', {'backup_url': good['to_url']}))
    assert db.sql('SELECT count(*) FROM items') == '5000' and db.scratch() == '0'
    c('POST', '/apps/later/addons', {'plan': 'heroku-postgresql'}, want=201)
    paas.ctl('addons:wait', '-a', 'later', timeout=60)
    assert 'DATABASE_URL' in c('GET', '/apps/later/config-vars', want=200).json
