"""End-to-end tests: a real paasd with real git, curl and paasctl, in a network namespace of the run's own
(with an uplink by slirp4netns for builds that install packages). Nothing of the host's network is
touched. Needs root; without it the tests are skipped, and say so."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))

from own_network import pytest_collection_modifyitems, pytest_configure, pytest_unconfigure, workdir  # noqa: E402,F401


@pytest.fixture(scope='module')
def paas(request):
    """A platform of the module's own, with what the module has in SETTINGS."""
    from platform_under_test import Platform
    settings = [word for s in getattr(request.module, 'SETTINGS', ()) for word in ('--set', s)]
    # PAAS_FLAVOUR=debug: with the address sanitiser
    p = Platform(ROOT, *settings, flavour=os.environ.get('PAAS_FLAVOUR', ''))
    try:
        p.start()
        yield p
    finally:
        p.close()
