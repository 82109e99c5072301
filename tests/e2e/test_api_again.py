"""Requests that come twice because a connection broke, and requests that come too often."""
import json
import os
import socket
import threading
import uuid

import pytest

from api_client import Client
from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def c(paas):
    return Client(paas, paas.token)


def send_and_hang_up(paas, method, path, body, headers):
    """A request whose answer nobody waits for."""
    text = json.dumps(body).encode() if body is not None else b''
    head = {'Host': 'localhost', 'Authorization': 'Bearer ' + paas.token, 'Content-Length': str(len(text)),
            'Content-Type': 'application/json', **headers}
    with socket.create_connection(('127.0.0.1', paas.port)) as s:
        s.sendall(f'{method} {path} HTTP/1.1\r\n'.encode() +
                  b''.join(f'{k}: {v}\r\n'.encode() for k, v in head.items()) + b'\r\n' + text)


@pytest.mark.parametrize('header', ['Request-Id', 'Idempotency-Key'])
def test_an_app_is_made_once(paas, c, header):
    before = len(c('GET', '/apps', want=200).json)
    again = {header: str(uuid.uuid4())}
    send_and_hang_up(paas, 'POST', '/apps', {}, again)
    a = c('POST', '/apps', {}, headers=again, want=201)
    b = c('POST', '/apps', {}, headers=again, want=201)
    assert a.json == b.json and b.headers['Idempotency-Replayed'] == 'true'
    wait_for('the one app', lambda: len(c('GET', '/apps', want=200).json) == before + 1)
    # another id, another app
    assert c('POST', '/apps', {}, headers={header: str(uuid.uuid4())}, want=201).json['id'] != a.json['id']


def test_at_the_same_time(paas, c):
    again, ids = {'Request-Id': str(uuid.uuid4())}, []

    def post():
        mine = c.with_token(paas.token)
        ids.append(mine('POST', '/apps', {}, headers=again, want=201).json['id'])
        mine.close()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(ids) == 5 and len(set(ids)) == 1


def test_deleting_twice_answers_as_once(c):
    name = c('POST', '/apps', {}, want=201).json['name']
    again = {'Request-Id': str(uuid.uuid4())}
    a = c('DELETE', f'/apps/{name}', headers=again, want=200)
    assert c('DELETE', f'/apps/{name}', headers=again, want=200).json == a.json
    c('DELETE', f'/apps/{name}', headers={'Request-Id': str(uuid.uuid4())}, want=404)


def test_what_failed_is_tried_again(c):
    again = {'Idempotency-Key': 'k-' + str(uuid.uuid4())}
    c('PATCH', '/apps/twice-named', {'maintenance': True}, headers=again, want=404)
    c('POST', '/apps', {'name': 'twice-named'}, want=201)
    assert c('PATCH', '/apps/twice-named', {'maintenance': True}, headers=again, want=200).json['maintenance'] is True


def test_a_key_is_for_one_request(c):
    again = {'Idempotency-Key': str(uuid.uuid4())}
    c('POST', '/apps', {'name': 'keyed-one'}, headers=again, want=201)
    assert 'Idempotency-Key' in c('POST', '/apps', {'name': 'keyed-two'}, headers=again, want=422).message
    # an id that tells requests of one piece of work together is not one that tells them apart
    same = {'Request-Id': str(uuid.uuid4())}
    c('POST', '/apps', {'name': 'keyed-two'}, headers=same, want=201)
    c('POST', '/apps', {'name': 'keyed-three'}, headers=same, want=201)


def test_of_another_account_nothing_is_replayed(paas, c):
    again = {'Idempotency-Key': 'shared'}
    mine = c('POST', '/apps', {}, headers=again, want=201)
    other = c.with_token(paas.new_user('other@example.com'))
    assert other('POST', '/apps', {}, headers=again, want=201).json['id'] != mine.json['id']


def test_too_many_requests():
    p = Platform(ROOT, '--set', 'api.rate_limit=30')
    try:
        p.start()
        c = Client(p, p.token)
        left = [int(c('GET', '/account', want=200).headers['RateLimit-Remaining']) for _ in range(30)]
        assert left == sorted(left, reverse=True) and left[0] == 29 and left[-1] == 0
        a = c('GET', '/apps', want=429)
        assert a.id == 'rate_limit' and 0 < int(a.headers['Retry-After']) <= 120
        assert '404' in ask_git(p) or 'not found' in ask_git(p)  # git goes on
        c('GET', '/apps', want=429)
    finally:
        p.close()


def ask_git(p):
    p.write_netrc(p.home, p.token)
    return p.run('git', 'ls-remote', p.url + '/none.git', check=False).stderr
