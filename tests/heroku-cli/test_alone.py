"""Commands that ask for nothing, or for what there is none of here; those that cannot work say so and end."""
import re

import pytest

from heroku_cli import VERSION

APP = 'alone-app'
A = ['-a', APP]
NOT_THERE = '01234567-89ab-4def-8123-456789abcdef'


@pytest.fixture(scope='module', autouse=True)
def app(heroku):
    assert heroku.paas.api('POST', '/apps', {'name': APP})[0] == 201


def test_status(heroku):
    heroku('status').has('No known issues at this time')
    assert heroku('status', '--json').json['status']


def test_itself(heroku):
    heroku('version').has(f'heroku/{VERSION}')
    heroku('version:info').has(f'## {VERSION}')
    heroku('help', 'apps').has('apps:create')
    assert 'apps:create' in heroku('commands').stdout
    heroku('which', 'apps').has('plugin: heroku')
    heroku('plugins').has('No plugins installed')


def test_search(heroku):
    t = heroku.at_terminal('search')
    try:
        t.expect('Search for a command')
        t.send('regio')
        t.expect('❯ regions')
        t.send('\r')
        t.expect('list available regions')
        t.wait()
    finally:
        t.kill()


def test_repl(session):
    session('maintenance', '--app', APP).has('off')
    session('regions', '--common').has('us')
    session('pipelines').has('My Pipelines')
    session('clients').has('No OAuth clients')


def test_local(heroku, tmp_path):
    (tmp_path / 'Procfile').write_text('web: echo local $PORT\n')
    heroku('local:version').has('3.')
    t = heroku.start('local', 'web', '-f', 'Procfile', cwd=tmp_path)
    try:
        t.expect('local 5', timeout=60)
        t.rest(30)
        t.proc.wait(30)
    finally:
        t.end()
    heroku('local:run', 'echo', 'here', cwd=tmp_path).has('here')


def test_completion(heroku):
    heroku('autocomplete', 'bash').has('Setup Instructions')
    heroku('autocomplete:create')
    heroku('autocomplete:doctor').has('bash commands cache present')
    heroku('autocomplete:script', 'bash').has('HEROKU_AC_BASH_SETUP_PATH')
    assert APP in heroku('autocomplete:options', 'heroku apps:info --app=').stdout


@pytest.mark.parametrize('command, says', [
    (['pg:psql', '--app', APP], f'{APP} has no databases'),
    (['pipelines:info', 'nothing'], 'Pipeline not found'), (['ci', '--pipeline', 'nothing'], 'Pipeline not found'),
    (['reviewapps:enable', '--pipeline', 'nothing'], "Couldn't find that pipeline"),
    (['spaces'], 'You do not have access to any spaces'), (['spaces:info', '--space', 'x'], "Couldn't find that space"),
    (['apps', '--space', 'x'], "Couldn't find that space"), (['container:push', 'web', '--app', APP], 'for Docker apps only')],
    ids=lambda v: v[0] if isinstance(v, list) else '')
def test_what_cannot_work_says_so(session, command, says):
    r = session(*command, code=1).has(says)
    assert not re.search(r'\n    at ', r.out), r  # no stack of the CLI's
