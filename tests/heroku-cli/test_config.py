"""config:*"""
import os

import pytest

A = ['-a', 'config-app']
VALUES = ['', ' ', 'a=b=c', '"quoted" \'both\'', 'naïve 𝔘 ☃', '$HOME `id` $(id) \\',
          'line\nbreak\n', '\t', '-----BEGIN KEY-----\nx\n']


@pytest.fixture(scope='module', autouse=True)
def app(heroku):
    assert heroku.paas.api('POST', '/apps', {'name': 'config-app'})[0] == 201


def test_set_get_unset(heroku, session):
    r = heroku('config:set', 'A=1', 'B=two words', *A)
    r.has('A: 1', 'B: two words', 'Setting A, B and restarting config-app... done, v3')
    heroku('config', *A).has('=== config-app Config Vars', 'A: 1', 'B: two words')
    assert heroku('config:get', 'A', *A).stdout == '1\n'
    assert session('config', '-s', *A).stdout == "A=1\nB='two words'\n"
    assert session('config:get', 'A', 'B', '-s', *A).stdout == "A=1\nB='two words'\n"
    assert session('config:get', '--json', 'A', 'B', *A).json == [{'key': 'A', 'value': '1'}, {'key': 'B', 'value': 'two words'}]
    assert session('config:get', 'NONE', *A).stdout == '\n'
    session('config:unset', 'A', *A).has('Unsetting A and restarting config-app... done, v4')
    session('config:remove', 'B', *A)
    session('config:add', 'C=3', *A)
    assert session('config', '--json', *A).json == {'C': '3'}


def test_values(heroku, session):
    heroku('config:set', *(f'V{i}={value}' for i, value in enumerate(VALUES)), *A)
    got = session('config', '--json', *A).json
    assert {k: v for k, v in got.items() if k[0] == 'V'} == {f'V{i}': value for i, value in enumerate(VALUES)}
    session('config:unset', *(f'V{i}' for i in range(len(VALUES))), *A)


def test_bad_ones(session):
    session('config:set', '1BAD-NAME=x', *A, code=2).has('Error ID: invalid_params')
    session('config:set', 'NOVALUE', *A, code=1).has('NOVALUE is invalid')
    session('config:set', 'BIG=' + 'x' * 40000, *A, code=2).has('Error ID: invalid_params')


def test_edit(heroku, tmp_path):
    heroku.paas.api('PATCH', '/apps/config-app/config-vars', {'EDITED': 'before'})
    editor = tmp_path / 'editor'
    editor.write_text('#!/bin/sh\nsed -i s/before/after/ "$1"\n')
    os.chmod(editor, 0o755)
    for args in ([], ['EDITED']):
        t = heroku.at_terminal('config:edit', *args, *A, EDITOR=str(editor), VISUAL=str(editor))
        try:
            t.expect('Update config on')
            t.send('y\r')
            assert t.wait(60) == 0
        finally:
            t.kill()
        assert heroku.paas.api('GET', '/apps/config-app/config-vars')[1]['EDITED'] == 'after'
        editor.write_text('#!/bin/sh\necho -n after >"$1"\n')
        heroku.paas.api('PATCH', '/apps/config-app/config-vars', {'EDITED': 'before'})
