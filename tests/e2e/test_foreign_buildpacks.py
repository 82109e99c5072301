"""What buildpacks that were not written for this platform count on: each test's buildpack does one thing that
the public ones do (apt packages, an app in a subfolder, buildpacks that run buildpacks, the app as its own buildpack)."""
import gzip
import os
import shutil
import subprocess

import pytest

from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = 'machine mirror.example login me password hunter2'
SERVER = '''import http.server, os, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = subprocess.run(['bash', 'answer.sh'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('', int(os.environ['PORT'])), Handler).serve_forever()
'''
WEB = 'web: python3 -u server.py\n'


def fill(folder, files):
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)
        if '/bin/' in '/' + name:
            os.chmod(path, 0o755)
    return str(folder)


@pytest.fixture(scope='module')
def etc_apt(tmp_path_factory):
    """A host whose package sources are in the one old file, as the installer leaves it."""
    d = tmp_path_factory.mktemp('apt')
    fill(d, {'sources.list': 'deb [trusted=yes] copy:/app/repo ./\n', 'apt.conf': 'Paas::Seen "yes";\n',
             'preferences': '', 'trusted.gpg': 'a key', 'keyrings/vendor.asc': 'another key', 'auth.conf': SECRET,
             'auth.conf.d/mirror.conf': SECRET, 'apt.conf.d/10empty': '', 'preferences.d/x': '',
             'sources.list.d/README': 'none', 'trusted.gpg.d/README': 'none'})
    os.chmod(d / 'preferences', 0o600)  # not for everyone: stays on the host
    for path, _, files in os.walk(d):
        os.chmod(path, 0o755)
    return str(d)


@pytest.fixture(scope='module')
def paas(etc_apt):
    p = Platform(ROOT, '--set', 'build.allow_local_buildpacks=true', '--set', 'allow_private_urls=true')
    # in a mount namespace of its own, so that this one keeps its /etc/apt
    p.prefix = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c',
                f'mount --bind {etc_apt} /etc/apt; exec "$@"', '-']
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture
def deploy(paas, tmp_path):
    """Pushes an app with buildpacks, each in a git repository of its own; returns the push."""
    def repository(name, files):
        folder = fill(tmp_path / name, files)
        paas.git('init', '-q', '-b', 'main', folder)
        paas.commit(folder, 'first')
        return folder

    def go(name, files, *packs, config=(), check=True):
        for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            os.chmod(path, 0o755)
        folder = repository(name, {'server.py': SERVER, **files})
        paas.create(name, folder)
        if config:
            paas.ctl('config:set', *config, cwd=folder)
        for i, pack in enumerate(packs):
            url = pack if isinstance(pack, str) else f"file://{repository(f'{name}-pack{i}', pack)}"
            paas.ctl('buildpacks:add' if i else 'buildpacks:set', url, cwd=folder)
        push = paas.push(folder, check=check)
        push.folder = folder
        push.lines = [line.removeprefix('remote: ').rstrip() for line in push.stderr.splitlines()]
        return push
    return go


def make_package(folder):
    """A package source with one small package."""
    tree, repo = folder / 'tree', folder / 'repo'
    fill(tree, {'DEBIAN/control': 'Package: paas-greet\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.com>\n'
                                  'Description: says hello\n',
                'usr/bin/paas-greet': '#!/bin/sh\necho hello from a package\n'})
    repo.mkdir()
    subprocess.run(['dpkg-deb', '--root-owner-group', '-b', str(tree), str(repo / 'paas-greet_1.0_all.deb')], check=True,
                   stdout=subprocess.DEVNULL)
    deb = (repo / 'paas-greet_1.0_all.deb').read_bytes()
    sums = subprocess.run(['sha256sum'], input=deb, stdout=subprocess.PIPE, check=True).stdout.split()[0].decode()
    index = (tree / 'DEBIAN/control').read_text() + f'Filename: ./paas-greet_1.0_all.deb\nSize: {len(deb)}\nSHA256: {sums}\n'
    (repo / 'Packages').write_text(index)
    (repo / 'Packages.gz').write_bytes(gzip.compress(index.encode()))
    return repo


APT = '''#!/usr/bin/env bash
set -eo pipefail
mkdir -p "$2"/{cache/archives/partial,state/lists/partial,sources}
cat /etc/apt/sources.list >"$2/sources/sources.list"
cp -R /etc/apt/sources.list.d "$2/sources/parts"
opts=(-o debug::nolocking=true -o "dir::cache=$2/cache" -o "dir::state=$2/state"
      -o "dir::etc::sourcelist=$2/sources/sources.list" -o "dir::etc::sourceparts=$2/sources/parts")
apt-get "${opts[@]}" update 2>&1 | sed -u 's/^/       /'
apt-get "${opts[@]}" -y -d install --reinstall paas-greet 2>&1 | sed -u 's/^/       /'
for deb in "$2"/cache/archives/*.deb; do dpkg -x "$deb" "$1/.apt"; done
mkdir -p "$1/.profile.d"
echo 'export PATH="$HOME/.apt/usr/bin:$PATH"' >"$1/.profile.d/000_apt.sh"
echo "export PATH=\\"$1/.apt/usr/bin:\\$PATH\\"" >"$(dirname "$0")/../export"
apt-config dump Paas::Seen | sed 's/^/       /'
(cd /etc/apt && find . -type f | LC_ALL=C sort | sed 's/^/       in: /')
'''


def test_packages_by_apt(paas, deploy, tmp_path):
    files = {'Aptfile': 'paas-greet\n', 'answer.sh': 'paas-greet; cat built', 'Procfile': WEB}
    repo = make_package(tmp_path)
    shutil.copytree(repo, tmp_path / 'packaged' / 'repo')
    push = deploy('packaged', files,
                  {'bin/detect': '#!/bin/sh\n[ -f "$1/Aptfile" ] && echo Packages\n', 'bin/compile': APT},
                  {'bin/detect': '#!/bin/sh\necho Later\n', 'bin/compile': '#!/bin/sh\npaas-greet >"$1/built"\n'})
    assert paas.http('packaged')[1] == 'hello from a package\n' * 2, push.stderr
    there = [line.split('in: ')[1] for line in push.lines if ' in: ' in line]
    assert {'./sources.list', './apt.conf', './trusted.gpg', './keyrings/vendor.asc'} <= set(there), there
    # passwords of mirrors are the host's
    assert not [name for name in there if 'auth' in name] and './preferences' not in there
    assert '       Paas::Seen "yes";' in push.lines


def test_an_app_in_a_subfolder(paas, deploy):
    mover = '''#!/usr/bin/env bash
shopt -s dotglob
sub=$(cat "$3/SUBFOLDER") && [[ -d $1/$sub ]] || exit 1
kept=$(mktemp -d "$2/moveXXXXX")
cp -R "$1/$sub/." "$kept/" && rm -rf "$1"/* && cp -R "$kept/." "$1/" && rm -rf "$kept"
'''
    push = deploy('nested', {'top': 'x', '.hidden-top': 'x', 'deep/er/.hidden': 'h', 'deep/er/Procfile': WEB,
                             'deep/er/server.py': SERVER, 'deep/er/answer.sh': 'ls -A'},
                  {'bin/detect': '#!/bin/sh\necho Mover\n', 'bin/compile': mover}, 'procfile',
                  config=['SUBFOLDER=deep/er'])
    assert '-----> Procfile app detected' in push.lines
    assert paas.http('nested')[1].split() == ['.hidden', 'Procfile', 'answer.sh', 'server.py']


CHAIN = '''#!/usr/bin/env bash
set -e
for pack in $(cat "$1/.chain"); do
  dir=$(mktemp -t chainXXXXX); rm -rf "$dir"; mkdir "$dir"
  tar -xzf "$pack.tgz" -C "$dir"
  cd "$dir"
  chmod -f +x "$dir"/bin/{detect,compile,release} || true
  name=$("$dir/bin/detect" "$1") && echo "=====> $name"
  "$dir/bin/compile" "$1" "$2" "$3"
  [ ! -e "$dir/export" ] || source "$dir/export"
  [ ! -x "$dir/bin/release" ] || "$dir/bin/release" "$1" >"$1/last_release"
  cd - >/dev/null
done
'''


def test_buildpacks_run_by_a_buildpack(paas, deploy, tmp_path):
    """It unpacks what lies beside it by a name without a folder, in /tmp, and runs from there."""
    outer = {'bin/detect': '#!/bin/sh\n[ -f "$1/.chain" ] && echo Chain\n', 'bin/compile': CHAIN,
             'bin/release': '#!/bin/sh\ncat "$1/last_release"; rm "$1/last_release"\n'}
    inner = {'first': {'bin/detect': '#!/bin/sh\necho First\n',
                       'bin/compile': '#!/bin/sh\necho "export FROM_FIRST=$(cat "$3/WORD")" >"$(dirname "$0")/../export"\n'},
             'second': {'bin/detect': '#!/bin/sh\necho Second\n', 'bin/compile': '#!/bin/sh\necho "$FROM_FIRST" >"$1/said"\n',
                        'bin/release': '#!/bin/sh\nprintf -- "---\\ndefault_process_types:\\n  web: python3 -u server.py\\n"\n'}}
    pack = tmp_path / 'chained-pack0'
    for name, files in inner.items():
        folder = fill(tmp_path / name, files)
        os.chmod(tmp_path / name / 'bin' / 'compile', 0o644)  # archives lose the x bits
        pack.mkdir(exist_ok=True)
        subprocess.run(['tar', '-C', folder, '-czf', str(pack / f'{name}.tgz'), 'bin'], check=True)
    push = deploy('chained', {'.chain': 'first second\n', 'answer.sh': 'cat said; ls -A'}, outer, config=['WORD=passed-on'])
    assert [x for x in push.lines if x.startswith('=====>')] == ['=====> First', '=====> Second']
    said, *listed = paas.http('chained')[1].split()
    assert said == 'passed-on' and 'last_release' not in listed


def test_the_app_is_its_own_buildpack(paas, deploy):
    runner = {f'bin/{name}': f'#!/bin/sh\nexec "$1/bin/{name}" "$@"\n' for name in ('detect', 'compile', 'release')}
    push = deploy('own', {'bin/detect': '#!/usr/bin/env bash\necho Own\n', 'answer.sh': 'cat made',
                          'bin/compile': '#!/usr/bin/env bash\necho "$# $PWD" >"$1/made"; echo "-----> Made"\n',
                          'bin/release': '#!/bin/sh\nprintf "default_process_types:\\n  web: python3 -u server.py\\n"\n'}, runner)
    assert '-----> Own app detected' in push.lines and '-----> Made' in push.lines
    assert paas.http('own')[1] == '3 /build/buildpacks/0\n'


def test_output_by_the_names_of_devices(paas, deploy):
    """Scripts redirect to /dev/stderr, and servers are told to log to /dev/stdout."""
    push = deploy('devices', {'Procfile': 'web: exec 3>>/dev/stdout; echo "opened by name" >&3; exec python3 -u server.py\n',
                              'answer.sh': 'echo up'},
                  {'bin/detect': '#!/bin/sh\necho Devices >/dev/stdout\n',
                   'bin/compile': '#!/bin/sh\nset -e\necho " !     careful" >/dev/stderr\necho "-----> step" | tee /dev/stderr\n'})
    assert '-----> Devices app detected' in push.lines
    assert ' !     careful' in push.lines and push.lines.count('-----> step') == 2, push.stderr
    assert paas.http('devices')[1] == 'up\n'
    wait_for('the line', lambda: 'app[web.1]: opened by name' in paas.logs('devices'))
