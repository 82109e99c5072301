"""The bundled nodejs buildpack: versions and failures against a small registry inside the tests, whose
node and npm are shell scripts; whole applications against the real npm registry, where there is one."""
import base64
import glob
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading

import pytest

import buildpack_lab
from buildpack_lab import BUILDPACKS, PATH, Lab, make_app, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='mount and network namespaces need root')
ARCH = {'x86_64': 'x64', 'aarch64': 'arm64'}.get(os.uname().machine)
SEMVER = os.path.join(BUILDPACKS, 'nodejs/lib/semver.jq')

# Stand-ins: they say what they were asked, and npm makes a node_modules.
NODE = '#!/bin/bash\nif [ "$1" = -p ]; then echo %s; else echo "node $*"; fi\n'
NPM = '''#!/bin/bash
echo "npm %s: $*"
echo "saw NODE_ENV=$NODE_ENV GREETING=$GREETING LINES=${LINES_VAR@Q} LD_PRELOAD=$LD_PRELOAD"
case $1 in
ci | install) [ ! -f fail-install ] || { cat fail-install >&2; exit 1; }; mkdir -p node_modules/dep ;;
run) [ "$2" != fails ] || exit 1; [ ! -f "fail-$2" ] || exit 1 ;;
esac
'''


def package(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        for name, text in files.items():
            info = tarfile.TarInfo('package/' + name)
            info.size, info.mode = len(text), 0o644
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Registry(http.server.ThreadingHTTPServer):
    """The part of an npm registry that is used: documents and archives."""
    daemon_threads = True

    def __init__(self):
        self.docs, self.archives, self.asked = {}, {}, []
        super().__init__(('127.0.0.1', 0), self.Handler)
        self.url = 'http://127.0.0.1:%d/' % self.server_address[1]
        node = 'node-linux-' + (ARCH or 'x64')
        for v in ('16.20.2', '18.1.0', '18.19.1', '20.3.1', '20.11.0', '22.9.0', '24.1.0'):
            self.add(node, v, {'bin/node': NODE % v, 'include/node/node.h': '', 'LICENSE': 'x'})
        for v in ('8.19.4', '10.2.0', '10.8.2', '11.0.0'):
            self.add('npm', v, {'bin/npm-cli.js': NPM % v, 'package.json': json.dumps(
                {'name': 'npm', 'version': v, 'bin': {'npm': 'bin/npm-cli.js'}})})
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def add(self, name, version, files, host=None):
        data, file = package(files), '%s-%s.tgz' % (name, version)
        self.archives['/%s/-/%s' % (name, file)] = data
        self.docs.setdefault('/' + name, {'name': name, 'dist-tags': {'latest': version}, 'versions': {}})
        self.docs['/' + name]['versions'][version] = {'dist': {
            'tarball': '%s%s/-/%s' % (host or self.url, name, file),
            'integrity': 'sha512-' + base64.b64encode(hashlib.sha512(data).digest()).decode()}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            s = self.server
            s.asked.append(self.path)
            data = s.archives.get(self.path)
            if self.path in s.docs:
                data = json.dumps(s.docs[self.path]).encode()
            self.send_response(200 if data is not None else 404)
            self.end_headers()
            self.wfile.write(data or b'')

        def log_message(self, *_):
            pass


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.shutdown()
    r.server_close()


@pytest.fixture
def lab(tmp_path):
    labs = []

    def make(mode='app', net=True, url=None):
        labs.append(Lab(tmp_path, 'nodejs', mode, net))
        if url:
            labs[-1].vars['npm_config_registry'] = url
        return labs[-1]
    yield make
    for one in labs:
        one.close()


def app(tmp_path, package_json=None, **files):
    d = str(tmp_path / 'app')
    p = {'name': 'x', 'version': '1.0.0', 'engines': {'node': '20.x'}, 'scripts': {'start': 'node x'}}
    p.update(package_json or {})
    write(d + '/package.json', {k: v for k, v in p.items() if v is not None})
    for name, text in ({'package-lock.json': {'lockfileVersion': 3, 'packages': {}}, **files}).items():
        if text is not None:
            write(os.path.join(d, name), text)
    return d


# --- ranges

VERSIONS = ['0.10.48', '0.12.1', '16.20.2', '18.0.0', '18.19.1', '20.3.1', '20.11.0', '21.0.0-rc.1', '22.9.0']


@pytest.mark.parametrize('asked,want', [
    ('20.x', '20.11.0'), ('20', '20.11.0'), ('20.3', '20.3.1'), ('v20.3.1', '20.3.1'), ('=18.0.0', '18.0.0'), ('*', '22.9.0'),
    ('', '22.9.0'), ('^18.0.0', '18.19.1'), ('~18.0.0', '18.0.0'), ('~18', '18.19.1'), ('^0.10.3', '0.10.48'), ('^0', '0.12.1'),
    ('>=18 <21', '20.11.0'), ('>= 18.0.0 < 20', '18.19.1'), ('>18', '22.9.0'), ('>18 <=20', '20.11.0'), ('<=20.5', '20.3.1'),
    ('<20', '18.19.1'), ('16 - 18', '18.19.1'), ('18.0.0 - 20.3.1', '20.3.1'), ('16 || 18', '18.19.1'), ('99 || ~16.20', '16.20.2'),
    ('21.0.0-rc.1', '21.0.0-rc.1'), ('21.x', None), ('21.0.0-rc.2', None), ('99.x', None), ('>22.9.0', None), ('>22', None),
    ('latest', '18.0.0'), ('twenty', 'error'), ('20..1', 'error'), ('>>20', 'error'), ('$(id)', 'error')])
def test_semver(asked, want):
    doc = {'dist-tags': {'latest': '18.0.0'}, 'versions': {v: {'dist': {'tarball': 'x'}} for v in VERSIONS}}
    doc['versions']['22.10.0'] = {}  # a version without an archive is none
    p = subprocess.run(['jq', '-r', '--arg', 'range', asked, '-f', SEMVER], input=json.dumps(doc).encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if want == 'error':
        assert p.returncode != 0 and b'not a version range' in p.stderr
    else:
        assert p.returncode == 0, p.stderr
        found = json.loads(p.stdout)
        assert (found and found['version']) == want


# --- which version, from where

@pytest.mark.parametrize('engine,files,want', [
    ('18.x', {}, '18.19.1'), ('>=16 <20', {}, '18.19.1'), (None, {'.nvmrc': 'v18.1.0\n'}, '18.1.0'), (None, {'.nvmrc': 'lts/iron'}, '20.11.0'),
    (None, {'.node-version': '# c\n22\n'}, '22.9.0'), ('16', {'.nvmrc': '18'}, '16.20.2'), (None, {}, '24.1.0'), (None, {'.nvmrc': 'node'}, '24.1.0')])
def test_version_of_node(lab, registry, tmp_path, engine, files, want):
    a = lab(url=registry.url)
    text = a.build(app(tmp_path, {'engines': {'node': engine} if engine else None}, **files)).ok()
    assert a.name == 'Node.js' and 'Downloading and installing Node.js %s...' % want in text
    assert a.report()['node_version'] == want
    npm = {'16': '8.19.4', '18': '10.8.2', '20': '10.8.2', '22': '10.8.2', '24': '11.0.0'}[want[:2]]
    assert 'npm %s: ci --include=dev' % npm in text
    assert ('No version of Node.js is asked for' in text) == (not engine and not files)
    assert not os.path.exists(a.file('.heroku/node/include'))


@pytest.mark.parametrize('change,files,says', [
    ({'engines': {'node': '99.x'}}, {}, ('No version of Node.js fits "99.x" (engines.node in package.json)', 'newest of each major: 24.1.0, 22.9.0, 20.11.0')),
    ({'engines': {'node': 'twenty'}}, {}, ('"twenty" (engines.node in package.json) is not a range',)),
    ({'engines': None}, {'.nvmrc': 'lts/nothing'}, ('"lts/nothing" (.nvmrc) is not a name',)),
    ({'engines': {'node': '20', 'npm': '55'}}, {}, ('No version of npm fits "55"', '11.0.0')),
    ({'packageManager': 'bun@1.0.0'}, {}, ('packageManager in package.json is "bun@1.0.0"',)),
    ({'packageManager': 'yarn@1.22.0'}, {}, ('but the lock file is package-lock.json (npm)',)),
    ({}, {'yarn.lock': ''}, ('different package managers: package-lock.json yarn.lock', 'git rm yarn.lock')),
    ({}, {'package.json': '{"name": '}, ('package.json is not a JSON object',)),
    ({}, {'package.json': '[1]'}, ('package.json is not a JSON object',)),
    ({'scripts': {'build': 'x'}}, {'fail-build': ''}, ('The script "build" of package.json failed',)),
    ({}, {'fail-install': 'npm ERR! code EUSAGE'}, ('package-lock.json does not fit package.json', 'npm install')),
    ({}, {'fail-install': 'npm ERR! 404 Not Found - nope'}, ('does not exist in the npm registry',)),
])
def test_failures_say_why(lab, registry, tmp_path, change, files, says):
    lab('plain', url=registry.url).build(app(tmp_path, change, **files)).failed(*says)


def test_a_range_without_an_end_is_warned_of(lab, registry, tmp_path):
    text = lab('plain', url=registry.url).build(app(tmp_path, {'engines': {'node': '>=18'}})).ok()
    assert 'The range ">=18" has no end' in text and 'Node.js 24.1.0' in text


def test_wrong_checksum_fails(lab, registry, tmp_path):
    (path,) = [p for p in registry.archives if '20.11.0' in p]
    registry.archives[path] += b'x'
    lab('plain', url=registry.url).build(app(tmp_path)).failed("not what the npm registry's checksum says")


def test_mirror_that_names_the_original_host(lab, registry, tmp_path):
    registry.add('node-linux-' + ARCH, '20.12.0', {'bin/node': NODE % '20.12.0'}, host='http://original.invalid/')
    assert 'installing Node.js 20.12.0' in lab('plain', url=registry.url).build(app(tmp_path)).ok()


def test_registry_from_npmrc_and_lock(lab, registry, tmp_path):
    a = lab('plain')
    a.build(app(tmp_path, **{'.npmrc': 'audit=false\nregistry = %s\n' % registry.url})).ok()
    check = '. "$1/registry.sh"; BUILD_DIR=$2; PATH=/nowhere:$3; type() { return 1; }; registry_find'
    for scope in ('', '@scope/'):
        os.remove(str(tmp_path / 'app/.npmrc')) if os.path.exists(str(tmp_path / 'app/.npmrc')) else None
        app(tmp_path, **{'package-lock.json': {'packages': {'a': {'resolved': 'https://r.invalid/npm/%sx/-/x-1.0.0.tgz' % scope}}}})
        out = subprocess.run(['bash', '-c', check, '-', os.path.join(BUILDPACKS, 'nodejs/lib'), str(tmp_path / 'app'), PATH],
                             env={'PATH': PATH}, stdout=subprocess.PIPE, check=True).stdout
        assert out == b'https://r.invalid/npm/'


def test_registry_away(lab, registry, tmp_path):
    a = lab('plain', url=registry.url)
    a.build(app(tmp_path)).ok()
    registry.shutdown()
    registry.server_close()
    text = a.build(app(tmp_path)).ok()
    assert 'does not answer: using Node.js 20.11.0 of an earlier build' in text and 'using npm 10.8.2 of an earlier' in text
    fresh = lab('plain', url=registry.url)
    fresh.build(app(tmp_path, {'engines': {'node': '17.x'}})).failed(
        'Node.js 17.x could not be looked up', 'npm_config_registry', 'runtimes/node')


def test_runtime_store(lab, registry, tmp_path):
    a = lab('plain', url=registry.url)
    write(a.path('store/node/20.77.0/bin/node'), NODE % '20.77.0', 0o755)
    text = a.build(app(tmp_path), BUILDPACK_RUNTIMES=a.path('store')).ok()
    assert 'Using Node.js 20.77.0 of the runtime store' in text and a.report()['node_version'] == '20.77.0'


# --- the steps

def test_second_build_takes_all_from_the_cache(lab, registry, tmp_path):
    a = lab(url=registry.url)
    a.build(app(tmp_path)).ok()
    registry.asked.clear()
    text = a.build(app(tmp_path)).ok()
    assert 'Using Node.js 20.11.0 from the build cache' in text and 'Using npm 10.8.2 from the build cache' in text
    assert 'Restored node_modules from the cache' in text and ': ci' not in text
    assert not [p for p in registry.asked if '/-/' in p]
    # another lock file, another Node.js, an install script of the app: each makes it install again
    text = a.build(app(tmp_path, **{'package-lock.json': {'lockfileVersion': 3, 'packages': {'x': {}}}})).ok()
    assert 'Not taking node_modules from the cache' in text and ': ci' in text
    assert ': ci' in a.build(app(tmp_path, {'engines': {'node': '18'}})).ok()
    assert len(glob.glob(a.path('cache/nodejs/node-*/*'))) == 1  # the other version is gone
    for _ in range(2):
        assert ': ci' in a.build(app(tmp_path, {'scripts': {'start': 'x', 'postinstall': 'y'}})).ok()
    native = {'lockfileVersion': 3, 'packages': {'node_modules/n': {'hasInstallScript': True}}}
    a.build(app(tmp_path, **{'package-lock.json': native})).ok()
    assert 'npm 10.8.2: rebuild' in a.build(app(tmp_path, **{'package-lock.json': native})).ok()
    a.config(NODE_MODULES_CACHE='false')
    assert ': ci' in a.build(app(tmp_path)).ok()


def test_config_vars_reach_scripts_and_the_dangerous_do_not(lab, registry, tmp_path):
    a = lab(url=registry.url)
    a.config(GREETING='hallo $x', LINES_VAR='a\nb\n', LD_PRELOAD='/nonexistent.so', PATH='/nowhere')
    text = a.build(app(tmp_path, {'scripts': {'build': 'x'}})).ok()
    assert "saw NODE_ENV=production GREETING=hallo $x LINES=$'a\\nb\\n' LD_PRELOAD=\n" in text


@pytest.mark.parametrize('scripts,want', [
    ({'build': 'x'}, ['run build --if-present']), ({}, []),
    ({'build': 'x', 'heroku-postbuild': 'y'}, ['run heroku-postbuild --if-present']),
    ({'heroku-prebuild': 'x', 'build': 'b', 'heroku-cleanup': 'y'},
     ['run heroku-prebuild --if-present', 'run build --if-present', 'run heroku-cleanup --if-present'])])
def test_scripts(lab, registry, tmp_path, scripts, want):
    text = lab('plain', url=registry.url).build(app(tmp_path, {'scripts': {'start': 'x', **scripts}})).ok()
    ran = [ln.split(': ', 1)[1] for ln in text.splitlines() if ln.startswith('       npm 10.8.2: ')]
    rest = [r for r in ran if r.startswith('run')]
    assert rest == want
    order = [r for r in ran if not r.startswith('run build') and not r.startswith('run heroku-post')]
    if 'heroku-prebuild' in scripts:
        assert order == ['run heroku-prebuild --if-present', 'ci --include=dev', 'prune --omit=dev --ignore-scripts',
                         'run heroku-cleanup --if-present']


@pytest.mark.parametrize('config,install,says', [
    ({}, 'ci --include=dev', 'prune --omit=dev'), ({'NPM_CONFIG_PRODUCTION': 'true'}, 'ci --omit=dev', 'NPM_CONFIG_PRODUCTION is true'),
    ({'NPM_CONFIG_PRODUCTION': 'false'}, 'ci --include=dev', 'NPM_CONFIG_PRODUCTION is false'),
    ({'NODE_ENV': 'staging'}, 'ci --include=dev', 'NODE_ENV is staging')])
def test_pruning(lab, registry, tmp_path, config, install, says):
    a = lab('plain', url=registry.url)
    a.config(**config)
    text = a.build(app(tmp_path)).ok()
    assert install in text and says in text


def test_warnings(lab, registry, tmp_path):
    a = lab('plain', url=registry.url)
    text = a.build(app(tmp_path, {'scripts': {}}, **{'package-lock.json': None, 'node_modules/x/index.js': ''})).ok()
    assert 'node_modules is in the repository' in text and 'npm 10.8.2: rebuild' in text and 'There is no lock file' in text
    assert 'Nothing says how the app is started' in text and a.release() == {}
    write(str(tmp_path / 'app/server.js'), '')
    assert 'Nothing says' not in a.build(str(tmp_path / 'app')).ok() and a.release() == {'web': 'npm start'}


def test_cache_directories(lab, registry, tmp_path):
    d = app(tmp_path, {'cacheDirectories': ['.next/cache', '../up', '/etc', 'node_modules']})
    a = lab('plain', url=registry.url)
    write(d + '/.next/cache/one', '1')
    assert 'Saved .next/cache' in a.build(d).ok()
    shutil.rmtree(d + '/.next')
    assert 'Restored .next/cache' in a.build(d).ok() and os.path.exists(a.file('.next/cache/one'))
    assert os.listdir(a.path('cache/nodejs/custom')) == ['.next']


def test_export_for_later_buildpacks(lab, registry, tmp_path):
    a = lab('plain', url=registry.url)
    a.build(app(tmp_path)).ok()
    out = subprocess.run(['bash', '-c', '. "$1"; node -p x; echo $NODE_ENV', '-', os.path.join(a.buildpack, 'export')],
                         env={'PATH': PATH}, stdout=subprocess.PIPE, check=True).stdout.decode()
    assert out == '20.11.0\nproduction\n'


def test_web_concurrency(tmp_path):
    profile = open(os.path.join(BUILDPACKS, 'nodejs/lib/profile.sh')).read()
    for limit, env, want in ((None, {}, '512,512,1'), (1 << 30, {}, '1024,512,2'), (14 << 30, {}, '14336,512,28'), (64 << 30, {}, '65536,2048,32'),
                             (9223372036854771712, {}, '512,512,1'), ('max', {}, '512,512,1'), (1 << 30, {'WEB_MEMORY': '256'}, '1024,256,4'),
                             (1 << 30, {'WEB_CONCURRENCY': '9'}, '1024,512,9'), (1 << 30, {'MEMORY_AVAILABLE': '2048'}, '2048,512,4'),
                             (500 << 30, {'WEB_MEMORY': '512'}, '512000,512,1'), (1 << 28, {}, '256,512,1')):
        if limit is not None:
            write(str(tmp_path / 'limit'), str(limit))
        p = write(str(tmp_path / 'p.sh'), profile.replace('/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max',
                                                          str(tmp_path / ('limit' if limit is not None else 'none'))))
        out = subprocess.run(['bash', '-euc', '. "$1"; echo "$MEMORY_AVAILABLE,$WEB_MEMORY,$WEB_CONCURRENCY"', '-', p],
                             env={'PATH': PATH, 'HOME': '/app', **env}, stdout=subprocess.PIPE, check=True).stdout.decode()
        assert out == want + '\n', (limit, env)


# --- whole applications, from the real registry

@pytest.fixture(scope='session')
def real():
    url = buildpack_lab.registry_url()
    if not url:
        pytest.skip('no npm registry answers')
    return url


@pytest.fixture(scope='session')
def node_app(real, tmp_path_factory):
    return make_app('node', str(tmp_path_factory.mktemp('apps') / 'node'))


CLIENT = r'''
const { WebSocket } = require('ws');
const ws = new WebSocket('ws://127.0.0.1:5000/ws'), seen = [];
ws.on('message', (m) => { seen.push(String(m)); if (seen.length === 1) ws.send('ping'); else { console.log(seen.join('|')); ws.close(); } });
ws.on('error', (e) => { console.error(e); process.exit(1); });
'''


@pytest.mark.parametrize('mode', ['plain'])  # as /app the platform builds it in tests/e2e
def test_node_app(lab, real, node_app, mode):
    a = lab(mode, url=real)
    first = a.build(node_app)
    text = first.ok()
    assert 'built public/bundle.js' in text and 'npm ci' in text
    second = a.build(node_app)
    text = second.ok()
    assert 'Restored node_modules from the cache' in text and 'npm ci' not in text and 'built public/bundle.js' in text
    assert second.seconds < first.seconds
    assert a.release() == {'web': 'npm start'} and a.report()['package_manager'] == 'npm'
    assert os.path.isdir(a.file('node_modules/express')) and not os.path.exists(a.file('node_modules/esbuild'))
    d = a.serve(a.procfile('web'), GREETING='moin')
    s = json.loads(d.get('/status'))
    assert s['env']['GREETING'] == 'moin' and s['env']['NODE_ENV'] == 'production' and s['cwd'] == a.slug()
    assert s['node'] == 'v' + a.report()['node_version'] and s['env']['WEB_CONCURRENCY']
    assert 'built by the' in d.get('/bundle.js')
    write(a.file('client.js'), CLIENT)
    ws = d.inside([a.file('.heroku/node/bin/node'), a.file('client.js')])
    assert ws.stdout == b'hello from web.1|ping\n', ws.stderr
    assert d.term() == 0 and 'SIGTERM: closing' in d.output()
    status, out = a.run(a.procfile('release'), RELEASE_FAILS='1')
    assert status == 3 and 'release: run.1' in out


def test_default_web_process(lab, real, node_app, tmp_path):
    shutil.copytree(node_app, str(tmp_path / 'app'))
    os.remove(str(tmp_path / 'app/Procfile'))
    a = lab(url=real)
    a.build(str(tmp_path / 'app')).ok()
    assert a.serve(a.release()['web']).get('/up') == 'OK\n'


def integrity(url, name, version):
    p = subprocess.run(['curl', '-fsS', '--max-time', '30', '%s/%s' % (url.rstrip('/'), name)], stdout=subprocess.PIPE, check=True)
    return json.loads(p.stdout)['versions'][version]['dist']


def small(tmp_path, package_json, **files):
    return app(tmp_path, {'dependencies': {'is-number': '7.0.0'}, 'devDependencies': {'is-odd': '1.0.0'},
                          'scripts': {'start': 'node -e "require(\'is-number\')"', 'build': 'node -e "require(\'is-odd\')"'},
                          **package_json}, **{'package-lock.json': None, **files})


def built_and_pruned(a, linker='node_modules'):
    status, out = a.run('npm start')
    assert status == 0, out
    if linker:
        assert os.path.exists(a.file('node_modules/is-number')) and not os.path.exists(a.file('node_modules/is-odd'))


def test_yarn_classic(lab, real, tmp_path):
    number, odd, three = (integrity(real, n, v) for n, v in (('is-number', '7.0.0'), ('is-odd', '1.0.0'), ('is-number', '3.0.0')))
    kind, buffer = integrity(real, 'kind-of', '3.2.2'), integrity(real, 'is-buffer', '1.1.6')
    entry = '\n%s:\n  version "%s"\n  resolved "%s"\n  integrity %s\n%s'
    lock = '# yarn lockfile v1\n\n' + ''.join(entry % e for e in (
        ('is-buffer@^1.1.5', '1.1.6', buffer['tarball'], buffer['integrity'], ''),
        ('is-number@7.0.0', '7.0.0', number['tarball'], number['integrity'], ''),
        ('is-number@^3.0.0', '3.0.0', three['tarball'], three['integrity'], '  dependencies:\n    kind-of "^3.0.2"\n'),
        ('is-odd@1.0.0', '1.0.0', odd['tarball'], odd['integrity'], '  dependencies:\n    is-number "^3.0.0"\n'),
        ('kind-of@^3.0.2', '3.2.2', kind['tarball'], kind['integrity'], '  dependencies:\n    is-buffer "^1.1.5"\n')))
    d = small(tmp_path, {}, **{'yarn.lock': lock})
    a = lab(url=real)
    text = a.build(d).ok()
    assert 'Installing yarn 1.' in text and 'yarn install' in text
    built_and_pruned(a)
    assert 'Restored node_modules from the cache' in a.build(d).ok()
    built_and_pruned(a)
    a.config(YARN_PRODUCTION='false')
    a.build(d).ok()
    assert os.path.exists(a.file('node_modules/is-odd'))
    write(d + '/yarn.lock', lock.replace('is-number@7.0.0', 'is-number@6.0.0'))
    a.build(d).failed('yarn.lock does not fit package.json', '`yarn install`')


@pytest.mark.parametrize('linker', ['node-modules', 'pnp'])
def test_yarn_berry(lab, real, tmp_path, linker):
    d = small(tmp_path, {'packageManager': 'yarn@4.5.0'}, **{'.yarnrc.yml': 'nodeLinker: %s\nnpmRegistryServer: "%s"\nunsafeHttpWhitelist: ["*"]\n' % (linker, real.rstrip('/'))})
    # yarn reads certificate authorities from no variable that the others do
    if os.environ.get('NODE_EXTRA_CA_CERTS') is None and os.environ.get('SSL_CERT_FILE'):
        write(d + '/.yarnrc.yml', open(d + '/.yarnrc.yml').read() + 'httpsCaFilePath: %s\n' % os.environ['SSL_CERT_FILE'])
    a = lab(url=real)
    text = a.build(d).ok()
    assert 'yarn 4.5.0' in text and 'There is no lock file' in text
    if linker == 'pnp':
        assert os.path.exists(a.file('.pnp.cjs'))
        assert a.run('yarn start')[0] == 0
    else:
        built_and_pruned(a)
    assert "Restored Yarn's cache" in a.build(d).ok()


def test_pnpm(lab, real, tmp_path):
    number, odd = integrity(real, 'is-number', '7.0.0')['integrity'], integrity(real, 'is-number', '6.0.0')['integrity']
    lock = '''lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
      is-number:
        specifier: 7.0.0
        version: 7.0.0
    devDependencies:
      is-odd:
        specifier: npm:is-number@6.0.0
        version: is-number@6.0.0

packages:

  is-number@6.0.0:
    resolution: {integrity: %s}
    engines: {node: '>=0.10.0'}

  is-number@7.0.0:
    resolution: {integrity: %s}
    engines: {node: '>=0.12.0'}

snapshots:

  is-number@6.0.0: {}

  is-number@7.0.0: {}
''' % (odd, number)
    d = small(tmp_path, {'devDependencies': {'is-odd': 'npm:is-number@6.0.0'}}, **{'pnpm-lock.yaml': lock})
    a = lab(url=real)
    text = a.build(d).ok()
    assert 'Installing pnpm 9.' in text and 'pnpm install' in text
    built_and_pruned(a)
    text = a.build(d).ok()
    assert 'Using pnpm 9.' in text and 'from the build cache' in text
    write(d + '/pnpm-lock.yaml', lock.replace('specifier: 7.0.0', 'specifier: 6.1.0'))
    a.build(d).failed('pnpm-lock.yaml does not fit package.json')
