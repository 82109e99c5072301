"""A network of the tests' own, with an uplink by slirp4netns for builds that install packages; what the suites
that need a whole platform share. Nothing of the host's network is touched."""
import ctypes
import os
import shutil
import signal
import subprocess
import time

import pytest

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 1 << 18, 0x1000
uplink = None


def own_network():
    """Moves this process, and all that it starts, into namespaces of its own."""
    global uplink
    libc = ctypes.CDLL(None, use_errno=True)
    read_end, write_end = os.pipe()
    me = os.getpid()
    # The uplink runs in the namespace that we leave; it waits until we have.
    uplink = subprocess.Popen(
        ['/bin/sh', '-c', f'read go; exec slirp4netns --configure --mtu=1500 --disable-host-loopback {me} tap0'],
        stdin=read_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(read_end)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    resolv = f'/tmp/paas-e2e-resolv-{me}'
    with open(resolv, 'w') as f:
        f.write('nameserver 10.0.2.3\n')
    target = os.path.realpath('/etc/resolv.conf')
    libc.mount(resolv.encode(), target.encode(), None, MS_BIND, None)
    os.unlink(resolv)
    os.write(write_end, b'go\n')
    os.close(write_end)
    until = time.monotonic() + 10
    while b'default' not in subprocess.run(['ip', 'route'], capture_output=True).stdout:
        if time.monotonic() > until or uplink.poll() is not None:
            break  # tests that need the uplink will say so
        time.sleep(0.02)


def pytest_configure(config):
    # With workers each has a network of its own, and the process that hands out the tests needs none.
    hands_out = getattr(config.option, 'numprocesses', None) and not hasattr(config, 'workerinput')
    if os.geteuid() == 0 and not hands_out:
        own_network()


def pytest_unconfigure(config):
    if uplink and uplink.poll() is None:
        os.killpg(uplink.pid, signal.SIGTERM)
        uplink.wait(10)


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason='needs root: network namespaces and sandboxes'))


@pytest.fixture
def workdir(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)
