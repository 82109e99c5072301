"""The commands of this version against the real platform: builds, releases, buildpacks, config, apps."""
import json
import os
import re
import subprocess
import threading

import pytest

from platform_under_test import Platform, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def paas():
    p = Platform(ROOT, '--set', 'allow_private_urls=true', '--set', 'build.allow_local_buildpacks=true')
    try:
        p.start()
        p.login()
        yield p
    finally:
        p.close()


@pytest.fixture(scope='module')
def app(paas, tmp_path_factory):
    folder = paas.make_app('c', tmp_path_factory.mktemp('cmd') / 'app')
    paas.create('cmds', folder)
    paas.push(folder)
    return folder


def test_builds(paas, app):
    text = paas.ctl('builds', cwd=app).stdout
    assert 'succeeded' in text
    build = json.loads(paas.ctl('builds', '--json', cwd=app).stdout)[0]
    info = paas.ctl('builds:info', build['id'], cwd=app).stdout
    assert 'succeeded' in info and build['source_blob']['version'] in info
    out = paas.ctl('builds:output', build['id'], cwd=app).stdout
    # the whole of it: what buildpacks wrote, and what followed
    for part in ('-----> Building on the', 'cc -O2', '-----> Launching...', 'Released v3', 'release of release.'):
        assert part in out, out
    r = paas.ctl('builds:cancel', build['id'], cwd=app, check=False)
    assert r.returncode != 0


def test_cancel_a_running_build(paas, app, tmp_path):
    good = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    paas.commit(app, 'slow', Makefile='all:\n\t@echo compiling for ever\n\t@sleep 600\n')
    result = {}
    t = threading.Thread(target=lambda: result.update(r=paas.push(app, check=False)))
    t.start()

    def pending():
        builds = [b for b in paas.api('GET', '/apps/cmds/builds')[1] if b['status'] == 'pending']
        return builds and builds[0]['id']
    build = wait_for('the build', pending)
    live = subprocess.Popen([os.path.join(paas.bin, 'paasctl'), 'builds:output', build, '-a', 'cmds'], env=paas.env(),
                            stdout=subprocess.PIPE)
    wait_for('compile to run', lambda: b'compiling for ever' in (live.stdout.readline() or b''))
    paas.ctl('builds:cancel', build, cwd=app)
    t.join(60)
    live.wait(30)
    assert result['r'].returncode != 0 and 'pre-receive hook declined' in result['r'].stderr
    assert paas.api('GET', f'/apps/cmds/builds/{build}')[1]['status'] == 'failed'
    assert paas.git('ls-remote', 'paasd', 'refs/heads/main', cwd=app).stdout.startswith(good)
    paas.git('reset', '-q', '--hard', good, cwd=app)


def test_a_newer_push_supersedes_a_waiting_one(paas, app):
    good = paas.git('rev-parse', 'HEAD', cwd=app).stdout.strip()
    marker = 'all:\n\t@echo first runs\n\t@sleep 600\n'
    first = paas.commit(app, 'first', Makefile=marker)
    results = {}

    def push(name, commit):
        results[name] = paas.git('push', '-f', 'paasd', f'{commit}:refs/heads/main', cwd=app, check=False)

    threads = [threading.Thread(target=push, args=('first', first))]
    threads[0].start()

    def pending():
        return [b for b in paas.api('GET', '/apps/cmds/builds')[1] if b['status'] == 'pending']
    wait_for('the first build', pending)
    paas.git('reset', '-q', '--hard', good, cwd=app)
    for name in ('second', 'third'):
        commit = paas.commit(app, name)
        threads.append(threading.Thread(target=push, args=(name, commit)))
        threads[-1].start()
        wait_for(name, lambda: len([b for b in paas.api('GET', '/apps/cmds/builds')[1]
                                    if b['source_blob']['version'] == commit]))
    threads[1].join(60)
    assert results['second'].returncode != 0 and 'supersede' in results['second'].stderr, results['second'].stderr
    for b in pending():
        if b['source_blob']['version'] == first:
            paas.ctl('builds:cancel', b['id'], cwd=app)
    for t in threads:
        t.join(120)
    assert results['first'].returncode != 0
    assert results['third'].returncode == 0, results['third'].stderr


def test_releases(paas, app):
    assert '=== cmds Releases - Current: v' in paas.ctl('releases', cwd=app).stdout
    assert 'Change:' in paas.ctl('releases:info', 'v3', cwd=app).stdout
    assert 'release of release.' in paas.ctl('releases:output', 'v3', cwd=app).stdout
    r = paas.ctl('rollback', 'v1', cwd=app, check=False)
    assert r.returncode != 0


def test_config_edit(paas, app, tmp_path):
    editor = tmp_path / 'editor'
    editor.write_text('#!/bin/sh\nprintf "EDITED=from an editor\\n" >> "$1"\n')
    editor.chmod(0o755)
    # it asks before it changes
    from test_interactive import Terminal
    t = Terminal([os.path.join(paas.bin, 'paasctl'), 'config:edit', '-a', 'cmds'], paas.env(EDITOR=str(editor)))
    t.expect('(y/N)')
    t.type('y\n')
    wait_for('the new value', lambda: paas.api('GET', '/apps/cmds/config-vars')[1].get('EDITED') == 'from an editor')
    t.close()


def test_values_survive_to_the_process(paas, app):
    value = 'a"b\'c$d`e\\f\n\tg=h;i&j|k é \x01\x7f'
    status, vars_, _ = paas.api('PATCH', '/apps/cmds/config-vars', {'ODD': value})
    assert status == 200 and vars_['ODD'] == value
    wait_for('the release', lambda: paas.api('GET', '/apps/cmds/releases')[1][-1]['status'] == 'succeeded')
    r = paas.ctl('run', '--no-tty', '-a', 'cmds', 'printf %s "$ODD" | od -An -tx1 -v')
    assert bytes.fromhex(''.join(r.stdout.split())) == value.encode()


def test_buildpack_from_a_git_url_with_ref(paas, tmp_path):
    bp = tmp_path / 'bp'
    (bp / 'bin').mkdir(parents=True)
    for name, text in (('detect', 'echo Custom'),
                       ('compile', 'cat "$3/GREETING"; n=$(cat "$2/n" 2>/dev/null || echo 0); n=$((n+1)); mkdir -p "$2"; '
                        'echo $n > "$2/n"; echo "-----> build $n"; mkdir -p "$1/.profile.d"; '
                        'echo "export FROM_PROFILE=$n" > "$1/.profile.d/x.sh"'),
                       ('release', 'printf -- "---\\nconfig_vars:\\n  FROM_RELEASE: once\\ndefault_process_types:\\n'
                        '  console: bash\\n"')):
        (bp / 'bin' / name).write_text('#!/bin/sh\nset -e\n' + text + '\n')
        (bp / 'bin' / name).chmod(0o755)
    paas.git('init', '-q', '-b', 'main', str(bp))
    paas.commit(str(bp), 'v1')
    paas.git('tag', 'good', cwd=str(bp))
    paas.commit(str(bp), 'broken', **{'bin/compile': '#!/bin/sh\nexit 9\n'})
    folder = paas.make_app('procfile', tmp_path / 'app')
    paas.create('custom', folder)
    paas.ctl('config:set', 'GREETING=hello from ENV_DIR', cwd=folder)
    paas.ctl('buildpacks:set', f'file://{bp}#good', cwd=folder)
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(path, 0o755)
    r = paas.push(folder)
    assert 'Custom app detected' in r.stderr and 'hello from ENV_DIR' in r.stderr and 'build 1' in r.stderr, r.stderr
    assert paas.http('custom')[0] == 200
    assert paas.ctl('config:get', 'FROM_RELEASE', cwd=folder).stdout == 'once\n'
    r = paas.ctl('run', '--no-tty', 'echo profile=$FROM_PROFILE', cwd=folder)
    assert 'profile=1' in r.stdout
    paas.commit(folder, 'again')
    r = paas.push(folder)
    assert 'build 2' in r.stderr
    paas.ctl('buildpacks:set', f'file://{bp}', cwd=folder)  # the branch's tip is broken
    paas.commit(folder, 'and again')
    r = paas.push(folder, check=False)
    assert r.returncode != 0 and 'Push rejected' in r.stderr
    paas.ctl('buildpacks:set', f'file://{bp}#good', cwd=folder)
    r = paas.push(folder)
    assert 'build 3' in r.stderr  # the failed build left the cache as it was


def test_slugignore_and_submodule_notice(paas, tmp_path):
    folder = paas.make_app('procfile', tmp_path / 'app')
    paas.commit(folder, 'ignore', **{'.slugignore': '/secret*\n*.bak\n', 'secret.txt': 'x', 'a.bak': 'x', 'kept.txt': 'x'})
    paas.create('ignores', folder)
    paas.push(folder)
    out = paas.ctl('run', '--no-tty', 'ls -A', cwd=folder).stdout
    assert 'kept.txt' in out and 'secret.txt' not in out and 'a.bak' not in out and '.git' not in out.split()


def test_rename_moves_the_routes(paas, app):
    paas.ctl('apps:rename', 'renamed', '-a', 'cmds', cwd=app)
    assert paas.http('renamed')[0] == 200
    assert paas.http('cmds')[0] == 404
    assert 'renamed.git' in paas.git('remote', '-v', cwd=app).stdout
    paas.ctl('apps:rename', 'cmds', '-a', 'renamed', cwd=app)


def test_generated_name_and_no_remote(paas, tmp_path):
    paas.git('init', '-q', '-b', 'main', str(tmp_path))
    r = paas.ctl('create', '--no-remote', cwd=str(tmp_path))
    name = re.search(r'http://([a-z][a-z0-9-]+)\.localhost', r.stdout).group(1)
    assert paas.git('remote', cwd=str(tmp_path)).stdout == ''
    paas.ctl('git:remote', '-a', name, '-r', 'here', cwd=str(tmp_path))
    assert f'{name}.git' in paas.git('remote', '-v', cwd=str(tmp_path)).stdout


def test_two_creations_of_one_name(paas):
    status = []
    threads = [threading.Thread(target=lambda: status.append(paas.api('POST', '/apps', {'name': 'just-one'})[0]))
               for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(status) == [201] + [422] * 7
