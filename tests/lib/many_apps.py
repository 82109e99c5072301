"""A platform with many apps, made in a second: one app is made by the API, and its rows are copied in the
database while paasd is down."""
import os
import sqlite3
import uuid


def columns(db, table):
    return [r[1] for r in db.execute(f'PRAGMA table_info({table})')]


def copy_rows(db, table, where, app_id, new_ids, fresh):
    """Every row of the app once for each new app; fresh: columns that get a value of their own, by index of the copy."""
    names = columns(db, table)
    rows = db.execute(f'SELECT {", ".join(names)} FROM {table} WHERE {where} = ?', (app_id,)).fetchall()
    insert = f'INSERT INTO {table} ({", ".join(names)}) VALUES ({", ".join("?" * len(names))})'

    def copies():
        for row in rows:
            for i, new in enumerate(new_ids):
                one = dict(zip(names, row), **{where: new})
                one.update({k: make(i) for k, make in fresh.items()})
                yield [one[k] for k in names]
    db.executemany(insert, copies())


def multiply(paas, name, n, new_name):
    """n more apps like `name`, which must have been made only; new_name(i) is the name of each. Restarts paasd."""
    paas.stop()
    db = sqlite3.connect(os.path.join(paas.state, 'paasd.db'))
    try:
        app_id, uid = db.execute('SELECT id, uid FROM apps WHERE name = ?', (name,)).fetchone()
        top = db.execute('SELECT max(uid) FROM apps').fetchone()[0]
        ids = [str(uuid.uuid4()) for _ in range(n)]

        def new_id(i):
            return str(uuid.uuid4())
        with db:
            copy_rows(db, 'apps', 'id', app_id, ids, {'name': new_name, 'uid': lambda i: top + 1 + i})
            copy_rows(db, 'collaborators', 'app_id', app_id, ids, {'id': new_id})
            copy_rows(db, 'releases', 'app_id', app_id, ids, {'id': new_id})
            copy_rows(db, 'formation', 'app_id', app_id, ids, {'id': new_id})
    finally:
        db.close()
    paas.start(timeout=120)
    return ids
