"""run*, console, rake: programs of an app, at a terminal and without; logs."""
import re
import signal

import pytest

from platform_under_test import wait_for
from sample import pushed

APP = 'run-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def repo(heroku, tmp_path_factory):
    return pushed(heroku, APP, str(tmp_path_factory.mktemp('repo')))


def no_one_off(heroku):
    wait_for('the dyno to end', lambda: not [d for d in heroku.paas.api('GET', f'/apps/{APP}/dynos')[1] if d['name'].startswith('run.')],
             60)


def test_run_without_a_terminal(heroku):
    r = heroku('run', '--no-notify', 'echo one; echo two >&2; pwd', *A)
    assert r.stdout == 'one\ntwo\n/app\n'
    r.has('Running echo one', 'up, run.')
    # what is piped in comes to its end
    assert '70000' in heroku('run', '--no-tty', 'wc -c', *A, input='x' * 70000).stdout
    heroku('run', '-e', 'ONE=1;TWO=2', '-s', 'standard-1x', '--type', 'job', 'echo $ONE-$TWO-$GREETING', *A).has('1-2-hello')
    heroku('run', '-s', 'nosuchsize', 'true', *A, code=2).has('No such dyno size')


def test_the_status_of_what_ran(heroku):
    heroku('run', 'false', *A)  # without -x the CLI does not care
    heroku('run', '-x', '(exit 17)', *A, code=17)
    heroku('run', '--exit-code', '--no-launcher', 'true', *A)
    heroku('run', '-x', '--no-tty', *A, '--', 'sh', '-c', 'echo "in two words"; exit 3', code=3).has('in two words')


def test_rake(heroku):
    assert heroku('rake', 'db:migrate', 'VERSION=1', *A).stdout == 'rake ran db:migrate VERSION=1\n'


def test_run_at_a_terminal(heroku):
    t = heroku.at_terminal('run', 'bash', *A, size=(33, 77))
    try:
        t.expect(re.compile(r'\$ $'), timeout=60)
        t.send('stty size; tty\r')
        t.expect('33 77')
        t.expect('/dev/pts/')
        # The command speaks itself: only then has the shell given it the terminal. A Ctrl-C in between hits the shell while it forks: bash
        # loses it, or reads from a terminal that is its child's, takes that for the end, and exits. On any terminal, not only ours.
        t.send("sh -c 'echo be\"\"gun; exec sleep 1000'\r")
        t.expect('begun')
        t.send('\x03')
        t.expect(re.compile(r'\$ $'))
        t.send('echo still $((40 + 2))\r')
        t.expect('still 42')
        t.send('exit\r')
        assert t.wait() == 0
    finally:
        t.kill()


def test_console(heroku):
    """A process type of the Procfile."""
    t = heroku.at_terminal('console', *A)
    try:
        t.expect('hello from the console', timeout=60)
        t.send('back\r')
        t.expect(re.compile(r'back\s+back'))
        t.send('\x04')
        assert t.wait() == 0
    finally:
        t.kill()
    no_one_off(heroku)


def test_the_client_goes_away(heroku):
    """A one-off whose client has gone gets SIGHUP."""
    t = heroku.at_terminal('run', "trap 'echo got the hangup; exit' HUP; echo ready; while :; do sleep 0.2; done", *A)
    t.expect(re.compile(r'ready\r'), timeout=60)
    t.kill()
    no_one_off(heroku)
    wait_for('its last words', lambda: 'Process exited with status' in heroku.paas.logs(APP, 5), 10)


def test_run_detached(heroku):
    r = heroku('run:detached', 'echo from afar', *A)
    name = re.search(r'run\.\d+', r.has('to view the output').out)[0]
    wait_for('its line', lambda: 'from afar' in heroku.paas.logs(APP, 20), 30)
    assert 'from afar' in heroku('logs', '-d', name, *A).stdout
    t = heroku.start('run:detached', '-t', 'sleep 1; echo tailed $((6 * 7))', *A)
    try:
        t.expect('tailed 42', timeout=60)
    finally:
        t.end(signal.SIGINT)


def test_run_inside(heroku):
    assert heroku('run:inside', 'web.1', 'echo inside $DYNO of $GREETING', *A).stdout == 'inside web.1 of hello\n'
    heroku('run:inside', '-x', 'web.1', '(exit 4)', *A, code=4)
    heroku('run:inside', 'web.7', 'true', *A, code=2).has('Error ID: not_found')


def test_logs(heroku):
    heroku.paas.http(APP, '/for-the-log')
    wait_for('the line', lambda: 'path="/for-the-log"' in heroku.paas.logs(APP, 20), 30)
    r = heroku('logs', '-n', '500', *A)
    r.has('heroku[router]: at=info method=GET path="/for-the-log"')
    assert 'app[web.1]: ' in r.stdout and 'app[api]: ' in r.stdout
    assert len(heroku('logs', '-n', '3', *A).stdout.splitlines()) == 3
    assert set(re.findall(r' (\S+?)\[', heroku('logs', '-s', 'heroku', '-n', '50', *A).stdout)) == {'heroku'}
    assert set(re.findall(r'app\[(\S+)\]', heroku('logs', '-s', 'app', '-d', 'web.1', *A).stdout)) == {'web.1'}
    assert set(re.findall(r'app\[(\S+?)\.\d+\]', heroku('logs', '-p', 'web', '-n', '20', *A).stdout)) == {'web'}


def test_logs_tail(heroku):
    t = heroku.start('logs', '--tail', '-n', '1', *A)
    try:
        t.expect(re.compile(r'\n'), timeout=60)
        for i in range(3):
            heroku.paas.http(APP, f'/tailed-{i}')
            t.expect(f'/tailed-{i}', timeout=30)
    finally:
        t.end(signal.SIGINT)
