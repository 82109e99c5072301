"""Answers that never come, and a platform that goes away for a while."""
import re
import select
import signal
import socket
import threading

import pytest


class Cutter(threading.Thread):
    """A TCP proxy in front of the platform. The first answers to requests that begin as said are dropped, and their connections
    with them: the platform has done what was asked, and the client never hears of it."""

    def __init__(self, port, start, times):
        super().__init__(daemon=True)
        self.port, self.begin, self.times, self.requests = port, start, times, []
        self.lock, self.ends = threading.Lock(), []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.ends.append(client)
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.create_connection(('127.0.0.1', self.port)) as server:
            drop = False
            while True:
                for s in select.select([client, server], [], [])[0]:
                    data = s.recv(65536)
                    if not data or (drop and s is server):
                        return
                    if s is client and data.startswith(self.begin):
                        with self.lock:
                            self.requests.append(data)
                            drop = len(self.requests) <= self.times
                    (server if s is client else client).sendall(data)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def cutter(paas):
    made = []

    def make(*args):
        made.append(Cutter(paas.port, *args))
        return made[-1]
    yield make
    for c in made:
        c.close()


@pytest.mark.parametrize('times', [1, 3])
def test_a_post_is_repeated_and_done_once(heroku, cutter, times):
    before = {a['name'] for a in heroku.paas.api('GET', '/apps')[1]}
    c = cutter(b'POST /apps ', times)
    app = heroku('apps:create', '--json', '--no-remote', HEROKU_HOST=c.url, HEROKU_PARTICLEBOARD_URL=c.url,
                 HEROKU_API_KEY=heroku.token).json
    assert len(c.requests) == times + 1, 'the CLI repeats'
    assert len({re.search(rb'(?mi)^request-id: *(.+?)\r$', r)[1] for r in c.requests}) == 1, 'it is known by its Request-Id'
    assert {a['name'] for a in heroku.paas.api('GET', '/apps')[1]} - before == {app['name']}


def test_config_is_set_once(heroku, cutter):
    name = heroku.paas.api('POST', '/apps', {})[1]['name']
    c = cutter(b'PATCH /apps/', 1)
    heroku('config:set', 'A=1', '-a', name, HEROKU_HOST=c.url, HEROKU_API_KEY=heroku.token).has('done, v3')
    assert len(c.requests) == 2
    assert [r['version'] for r in heroku.paas.api('GET', f'/apps/{name}/releases')[1]] in ([1, 2, 3], [3, 2, 1])


def test_logs_go_on_after_a_restart(heroku, paas):
    """The log session is kept, and `Last-Event-ID` says what the client has."""
    name = paas.api('POST', '/apps', {})[1]['name']
    t = heroku.start('logs', '--tail', '-a', name)
    try:
        paas.api('PATCH', f'/apps/{name}/config-vars', {'BEFORE': '1'})
        t.expect('Set BEFORE config vars', timeout=60)
        paas.stop()
        paas.start()
        paas.api('PATCH', f'/apps/{name}/config-vars', {'AFTER': '1'})
        t.expect('Set AFTER config vars', timeout=60)
        assert 'BEFORE' not in t.text
        paas.api('PATCH', f'/apps/{name}/config-vars', {'LATER': '1'})
        t.expect('Set LATER config vars', timeout=60)
    finally:
        t.end(signal.SIGINT)


def test_a_platform_that_is_away_is_waited_for(heroku, paas):
    """Refused connections are tried again, at last after 3.2 s: a short restart fails no command."""
    paas.stop()
    t = heroku.start('apps', '--json', HEROKU_DEBUG='1')
    try:
        t.expect('/users/~/apps ERROR', timeout=60)
        paas.start()
        t.expect('"maintenance"', timeout=60)
        assert t.proc.wait(30) == 0
    finally:
        t.end()
