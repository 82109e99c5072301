"""Clients that send their bodies slowly: they hold nobody up, get their answer in the end, and may not be many."""
import json
import select
import socket
import time

import pytest

from api_client import Client

WAITING_ONE = 16  # proto/limits.h LIM_API_WAITING_ONE


@pytest.fixture(scope='module')
def c(paas):
    client = Client(paas, paas.token)
    client('POST', '/apps', {'name': 'slow-app'}, want=201)
    return client


class Slow:
    """A PATCH of config vars, of which the head and some of the body have been sent."""

    def __init__(self, paas, body, sent, token=None, extra=''):
        self.s = socket.create_connection(('127.0.0.1', paas.port), timeout=40)
        self.body, self.at = body, sent
        self.s.sendall(f'PATCH /apps/slow-app/config-vars HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token or paas.token}\r\n'
                       f'Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n'.encode() + body[:sent])

    def more(self, n):
        self.s.sendall(self.body[self.at:self.at + n])
        self.at += n

    def answer(self):
        data = b''
        while b'\r\n\r\n' not in data:
            got = self.s.recv(65536)
            assert got, data
            data += got
        return int(data.split()[1])

    def close(self):
        self.s.close()


def config(c):
    return c('GET', '/apps/slow-app/config-vars', want=200).json


def test_they_hold_nobody_up(paas, c):
    slow = [Slow(paas, json.dumps({f'S{i}': 'v'}).encode(), 3) for i in range(WAITING_ONE)]
    # all threads of the API are free: others' requests, with bodies too, are answered at once
    other = c.with_token(paas.new_user('quick@example.com'))
    start = time.monotonic()
    for _ in range(10):
        other('POST', '/apps', {}, want=201)
    assert time.monotonic() - start < 10
    # one more of the same account takes the place of the one that has waited longest
    c('PATCH', '/apps/slow-app/config-vars', {'QUICK': '1'}, want=200)
    more = Slow(paas, b'{"MORE": "1"}', 2)
    refused = select.select([s.s for s in slow], [], [], 10)[0]
    assert refused
    rest = [s for s in [more, *slow] if s.s not in refused]
    for s in slow:
        if s.s in refused:
            assert s.answer() == 503
            s.close()
    for s in rest:
        s.more(1)
    for s in rest:
        s.more(len(s.body))
        assert s.answer() == 200
        s.close()
    assert set(config(c)) == {'QUICK', 'MORE'} | {f'S{i}' for i, s in enumerate(slow) if s.s not in refused}
    assert len(rest) >= WAITING_ONE - 1


def test_who_may_not_is_told_before_the_body(paas, c):
    stranger = paas.new_user('stranger@example.com')
    s = Slow(paas, b'x' * 100, 1, token=stranger)
    assert s.answer() == 404
    s.close()
    s = Slow(paas, b'x' * 100, 1, token='nonsense')
    assert s.answer() == 401
    s.close()


def test_in_many_pieces(paas, c):
    body = json.dumps({'PIECES': 'x' * 30000}).encode()
    s = Slow(paas, body, 0)
    while s.at < len(body):
        s.more(1009)
    assert s.answer() == 200
    s.close()
    assert len(config(c)['PIECES']) == 30000


def test_continue(paas, c):
    s = Slow(paas, b'{"CONTINUED": "1"}', 0, extra='Expect: 100-continue\r\n')
    assert s.answer() == 100
    s.more(100)
    assert s.answer() == 200
    s.close()


def test_too_large(paas, c):
    s = Slow(paas, b'{"A": "' + b'x' * (1 << 21) + b'"}', 10)
    assert s.answer() == 413
    s.close()


def test_who_goes_away_has_changed_nothing(paas, c):
    before = config(c)
    slow = [Slow(paas, b'{"GONE": "1"}', 5) for _ in range(8)]
    for s in slow:
        s.close()
    # their places are free again
    slow = [Slow(paas, b'{"STAYED": "1"}', 5) for _ in range(8)]
    for s in slow:
        s.more(100)
        assert s.answer() == 200
        s.close()
    assert config(c) == {**before, 'STAYED': '1'}


def test_not_for_ever(paas, c):
    s = Slow(paas, b'{"NEVER": "1"}', 5)
    start = time.monotonic()
    assert s.answer() == 408
    assert time.monotonic() - start > 15
    s.close()
    assert 'NEVER' not in config(c)
