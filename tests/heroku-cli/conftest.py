"""Needs root and build/heroku-cli (`make deps-test` installs the CLI there from the npm registry)."""
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
sys.path.insert(0, HERE)

import own_network  # noqa: E402
from heroku_cli import PACKAGE, SEEN, Heroku  # noqa: E402
from own_network import pytest_collection_modifyitems, pytest_unconfigure, workdir  # noqa: E402,F401


def pytest_configure(config):
    if not os.path.exists(PACKAGE):
        pytest.exit('the Heroku CLI is not installed: make deps-test', 1)
    if any('coverage_check' in a for a in config.args):
        return  # it reads what the others noted
    own_network.pytest_configure(config)
    if not hasattr(config, 'workerinput'):
        shutil.rmtree(SEEN, ignore_errors=True)


@pytest.fixture(scope='module')
def paas():
    from platform_under_test import Platform
    p = Platform(ROOT)
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def heroku(paas):
    return Heroku(paas)


@pytest.fixture(scope='module')
def session(heroku):
    s = heroku.session()
    yield s
    s.close()
