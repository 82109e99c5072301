"""Config vars and tokens are nowhere but where they belong; paasd's own environment reaches no app and no build."""
import os

import pytest

from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VALUE, OPERATOR = 'canary-of-a-config-var', 'canary-of-the-operator'


@pytest.fixture(scope='module')
def paas():
    p = Platform(ROOT, environ={'OPERATORS_SECRET': OPERATOR})
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('c') / 'app')
    with open(os.path.join(folder, 'Makefile')) as f:
        makefile = f.read()
    paas.commit(folder, Makefile='$(shell env > build-env)\n' + makefile)
    paas.login()
    paas.create('keeper', folder)
    paas.ctl('config:set', f'A_SECRET={VALUE}', cwd=folder)
    paas.push(folder)
    return folder


def files(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, 'rb') as f:
                    yield path, f.read()


def command_lines():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                yield f'/proc/{pid}/cmdline', f.read()
            with open(f'/proc/{pid}/comm', 'rb') as f:
                yield f'/proc/{pid}/comm', f.read()
        except OSError:
            pass  # it has ended


def test_the_app_has_its_config_vars_and_nothing_of_the_operator(paas, app):
    env = paas.ctl('run', '-a', 'keeper', 'env').stdout
    assert VALUE in env and OPERATOR not in env
    build = paas.ctl('run', '-a', 'keeper', 'cat build-env').stdout
    assert 'PATH=' in build and OPERATOR not in build


def test_no_secret_on_disk_in_logs_or_command_lines(paas, app):
    paas.ctl('run:detached', '-a', 'keeper', 'sleep 5')
    wait_for('the one-off', lambda: 'run.' in paas.ctl('ps', cwd=app).stdout)
    # The dynos' own files (the app writes what it likes there) are no part of this.
    seen = [(path, text) for path, text in files(paas.state) if '/slugs/' not in path and '/cache/' not in path]
    assert len(seen) > 20
    with open(paas.log.name, 'rb') as f:
        seen.append((paas.log.name, f.read()))
    seen += command_lines()
    token = paas.token.encode()
    for path, text in seen:
        assert VALUE.encode() not in text, path
        assert OPERATOR.encode() not in text, path
        assert token not in text or path.endswith('/admin-token'), path
