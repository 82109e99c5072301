"""The bundled buildpacks make, static, procfile, python and ruby, each run directly, twice, on the
sample apps; what they make is started and asked. (nodejs: test_buildpack_nodejs.py.)"""
import glob
import json
import os
import shutil
import subprocess

import pytest

import buildpack_lab
from buildpack_lab import APPS, BUILDPACKS, NAMES, PATH, Lab, make_app, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='mount and network namespaces need root')
MODES = ('app', 'plain')
HEAVY = ('plain',)  # as /app the platform builds these apps in tests/e2e


@pytest.fixture
def lab(tmp_path):
    labs = []

    def make(pack, mode='app', net=True):
        labs.append(Lab(tmp_path, pack, mode, net))
        return labs[-1]
    yield make
    for one in labs:
        one.close()


@pytest.fixture(scope='session')
def apps(tmp_path_factory):
    """Each sample app made once; apps('c') is its folder, not to be changed."""
    base, made = tmp_path_factory.mktemp('apps'), {}

    def get(kind, *args):
        key = (kind, *args)
        if key not in made:
            made[key] = make_app(kind, str(base / '-'.join(key)), *args)
        return made[key]
    return get


@pytest.fixture(scope='session')
def wheels(tmp_path_factory):
    out = str(tmp_path_factory.mktemp('wheels'))
    subprocess.run(['/usr/bin/python3', os.path.join(APPS, 'make-wheelhouse.py'), out, 'flask', 'gunicorn', 'django',
                    'whitenoise', 'dj-database-url', 'psycopg2'], check=True, stdout=subprocess.DEVNULL, timeout=300)
    return out


@pytest.fixture(scope='session')
def gems(tmp_path_factory, apps):
    out = str(tmp_path_factory.mktemp('gems'))
    subprocess.run(['/usr/bin/ruby', os.path.join(APPS, 'make-gemhouse.rb'), out, os.path.join(apps('rails'), 'Gemfile.lock')],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    return out


# --- all of them

def scripts():
    return sorted(glob.glob(BUILDPACKS + '/*/bin/*') + glob.glob(BUILDPACKS + '/*/lib/*.sh') + glob.glob(APPS + '/*.sh'))


def test_scripts_are_clean():
    assert len(scripts()) > 25
    for s in scripts():
        subprocess.run(['bash', '-n', s], check=True)
    p = subprocess.run(['shellcheck', '-x', *scripts()], stdout=subprocess.PIPE)
    assert p.returncode == 0, p.stdout.decode()


@pytest.mark.parametrize('name', NAMES)
def test_folder_is_whole(name):
    for script in ('detect', 'compile', 'release'):
        assert os.access(os.path.join(BUILDPACKS, name, 'bin', script), os.X_OK)
    assert os.path.getsize(os.path.join(BUILDPACKS, name, 'README.md')) > 200
    for base, _, files in os.walk(os.path.join(BUILDPACKS, name)):
        for f in files:  # a build gets a copy of this folder alone
            assert not os.path.islink(os.path.join(base, f))


def test_common_lib_is_the_same_everywhere():
    assert len({open(os.path.join(BUILDPACKS, n, 'lib', 'common.sh')).read() for n in NAMES}) == 1


@pytest.mark.parametrize('name', NAMES)
def test_detect_says_no_to_an_empty_app(name, tmp_path):
    p = subprocess.run([os.path.join(BUILDPACKS, name, 'bin', 'detect'), str(tmp_path)], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert p.returncode == 1 and p.stdout == b'' and b'there is no' in p.stderr


def test_config_vars_come_byte_for_byte_and_some_not_at_all(tmp_path):
    values = {'PLAIN': 'x', 'LINES': 'a\nb\n\n', 'QUOTES': '$HOME `id` "\' \\', 'EMPTY': '', 'UTF8': 'ä€'}
    refused = ('PATH', 'GIT_DIR', 'LD_PRELOAD', 'LD_AUDIT', 'CPATH', 'LIBRARY_PATH', 'BASH_ENV', 'IFS', 'PYTHONHOME',
               'a-b', '1X', 'HOME')
    for k in (*values, *refused):
        (tmp_path / k).write_bytes(values.get(k, 'refused').encode())
    p = subprocess.run(['bash', '-euc', '. "$1"; export_env_dir "$2"; exec env -0', '-',
                        os.path.join(BUILDPACKS, 'make/lib/common.sh'), str(tmp_path)],
                       env={'PATH': PATH}, stdout=subprocess.PIPE, check=True)
    env = dict(e.split('=', 1) for e in p.stdout.decode().split('\0') if e)
    assert {k: env.get(k) for k in values} == values
    assert 'refused' not in env.values()


# --- procfile

@pytest.mark.parametrize('mode', MODES)
def test_procfile(lab, apps, mode):
    a = lab('procfile', mode)
    a.build(apps('procfile')).ok()
    assert a.name == 'Procfile' and a.release() == {}
    d = a.serve(a.procfile('web'), GREETING='hi')
    assert 'GREETING=hi' in d.get('/') and 'cwd=%s\n' % a.slug() in d.get('/')
    assert d.term() == 0


def test_procfile_names_what_is_missing(lab, tmp_path):
    write(str(tmp_path / 'app/Procfile'), 'web: ./gone --port $PORT\r\n# c\njob: exec bin/job\nother: python3 -m x\n')
    write(str(tmp_path / 'app/bin/job'), '#!/bin/sh\n')
    text = lab('procfile').build(str(tmp_path / 'app')).ok()
    assert '"web" starts ./gone, which is not in the app' in text
    assert '"job" starts bin/job, which is not executable' in text and 'other' not in text


# --- make

@pytest.mark.parametrize('mode', MODES)
def test_make(lab, apps, mode):
    a = lab('make', mode)
    a.config(CFLAGS='-O1 -DFROM_CONFIG')
    for _ in range(2):
        text = a.build(apps('c')).ok()
        assert '-DFROM_CONFIG' in text and 'There is no Procfile' not in text
    assert a.name == 'Make' and a.report()['targets'] == 'default'
    d = a.serve(a.procfile('web'), GREETING='from the config')
    assert 'GREETING=from the config' in d.get('/')
    assert d.term() == 0


def test_make_targets_and_configure(lab, tmp_path):
    app = str(tmp_path / 'app')
    write(app + '/Makefile.in', 'all:\n\tfalse\none two:\n\techo made-$@-$(WHO)\n')
    write(app + '/Makefile', 'stale\n')
    write(app + '/configure', '#!/bin/sh\necho "configure $*"\ncp Makefile.in Makefile\n', 0o755)
    a = lab('make')
    a.config(MAKE_TARGETS='one two', CONFIGURE_FLAGS='--with x', WHO='me')
    text = a.build(app).ok()
    assert '       configure --with x' in text and 'made-one-me' in text and 'made-two-me' in text
    assert 'There is no Procfile' in text and 'web: ./server' in text
    a.config(MAKE_TARGETS='--eval=$(shell id)')
    a.build(app).failed('MAKE_TARGETS must name targets')
    a.config(MAKE_TARGETS='nothing')
    a.build(app).failed('No rule to make target', 'make failed')


# --- static

@pytest.fixture
def static(lab):
    """A lab with the platform's file server where the builder would have put it."""
    server = os.path.join(buildpack_lab.REPO, 'build', 'paas-static')
    if not os.path.exists(server):
        pytest.fail('build/paas-static is not built: run make')

    def make(mode='plain'):
        a = lab('static', mode)
        shutil.copy(server, a.path('paas-static'))
        a.vars['PAAS_LIBEXEC'] = a.dir
        return a
    return make


def test_static_prepares_the_slug(static, apps):
    a = static()
    for app, root in ((apps('static'), 'public'), (apps('static', 'plain'), '.')):
        text = a.build(app).ok()
        assert 'Serving ' in text and 'There is no' not in text
        assert os.access(a.file('.heroku/bin/paas-static'), os.X_OK)
        assert a.release() == {'web': '.heroku/bin/paas-static --port $PORT'}
        assert a.report() == {'root': root}


@pytest.mark.parametrize('text,says', [
    ('{"root": ', 'unexpected token'), ('[]', 'must hold an object'), ('{"root": 7}', 'root: must be a text'),
    ('{"root": "../x"}', 'must not point out of the app'), ('{"root": "dist"}', 'Folders in the app: public'),
    ('{}', 'the root public_html'), ('{"root": "public", "rot": 1}', 'unknown key'),
    ('{"root": "public", "clean_urls": "yes"}', 'clean_urls: must be true or false'),
    ('{"root": "public", "redirects": {"/a": {"url": "/b", "status": 200}}}', 'status must be'),
    ('{"root": "public", "canonical_host": "${SITE_HOST}"}', 'the config var SITE_HOST is not set'),
])
def test_static_json_mistakes_are_named(static, tmp_path, text, says):
    write(str(tmp_path / 'app/static.json'), text)
    write(str(tmp_path / 'app/public/index.html'), 'x')
    static().build(str(tmp_path / 'app')).failed(says)


def test_static_json_may_name_config_vars(static, tmp_path):
    write(str(tmp_path / 'app/static.json'), '{"root": "./public/", "canonical_host": "${SITE_HOST}"}')
    write(str(tmp_path / 'app/public/index.html'), 'x')
    a = static()
    a.config(SITE_HOST='www.example.com')
    a.build(str(tmp_path / 'app')).ok()
    assert a.report() == {'root': 'public'}


def test_static_without_the_server_says_so(lab, apps, tmp_path):
    lab('static', 'plain').build(apps('static'), PAAS_LIBEXEC=str(tmp_path)).failed('file server is not where it should be')


@pytest.mark.parametrize('mode', MODES)
def test_static_serves(static, apps, mode):
    a = static(mode)
    shutil.copytree(apps('static'), a.path('app'))
    write(a.path('app/public/up'), 'OK\n')
    a.build(a.path('app')).ok()
    d = a.serve(a.release()['web'])
    assert '<h1>home</h1>' in d.get('/') and '<h1>about</h1>' in d.get('/about')
    assert 'x-frame-options: deny' in d.head('/') and d.status_of('/old') == 301
    assert d.status_of('/missing') == 404 and d.status_of('/.hidden') in (403, 404)
    assert d.term() == 0


# --- python

def python_lab(lab, wheels, mode='app'):
    a = lab('python', mode)
    shutil.copytree(wheels, a.path('wheels'))  # within reach of the private root
    a.vars.update(PIP_NO_INDEX='1', PIP_FIND_LINKS=a.path('wheels'))
    return a


@pytest.mark.parametrize('mode', HEAVY)
def test_flask(lab, apps, wheels, mode):
    a = python_lab(lab, wheels, mode)
    first = a.build(apps('python', 'flask'))
    text = first.ok()
    assert a.name == 'Python' and "Using the system's Python 3." in text and 'Installing collected packages' in text
    second = a.build(apps('python', 'flask'))
    text = second.ok()
    assert 'Restored the packages from the cache' in text and 'Installing collected' not in text
    assert second.seconds < first.seconds
    assert a.report()['python_version'].startswith('3.')
    d = a.serve(a.procfile('web'), GREETING='good day')
    status = json.loads(d.get('/status'))
    assert status['prefix'] == a.slug() + '/.heroku/python' and status['env']['GREETING'] == 'good day'
    assert d.get('/') == '<h1>good day</h1>\n' and d.term() == 0
    status, out = a.run('python release.py', RELEASE_FAILS='1', PYTHONHOME='/nowhere')
    assert status == 1 and 'release: run.1' in out
    # the script pip wrote runs wherever the slug is, and by name alone
    assert a.run('cd /; gunicorn --version')[0] == 0


@pytest.mark.parametrize('mode', HEAVY)
def test_django(lab, apps, wheels, mode):
    a = python_lab(lab, wheels, mode)
    text = a.build(apps('python', 'django')).ok()
    assert '-----> $ python manage.py collectstatic --noinput' in text and '1 static file copied' in text
    assert a.release() == {'web': 'gunicorn demo.wsgi --bind 0.0.0.0:$PORT'}
    db = 'sqlite:///' + a.path('db.sqlite3')
    status, out = a.run(a.procfile('release') + ' && python manage.py sample_data', DATABASE_URL=db)
    assert status == 0 and 'sample_data: 25 notes' in out, out
    d = a.serve(a.procfile('web'), DATABASE_URL=db)
    assert '25 notes' in d.get('/') and '#336699' in d.get('/static/demo.css')
    a.config(DISABLE_COLLECTSTATIC='1')
    text = a.build(apps('python', 'django')).ok()
    assert 'Not collecting static files' in text and not os.path.exists(a.file('staticfiles'))


def test_django_collectstatic_failure_fails_the_build(lab, apps, wheels, tmp_path):
    app = str(tmp_path / 'app')
    shutil.copytree(apps('python', 'django'), app)
    with open(app + '/demo/settings.py', 'a') as f:
        f.write("\nNEEDED = os.environ['NEEDED']\n")
    a = python_lab(lab, wheels)
    a.build(app).failed('NEEDED', 'DISABLE_COLLECTSTATIC=1', 'config var')
    a.config(NEEDED='here')
    a.build(app).ok()


def test_python_changed_requirements_leave_nothing_behind(lab, apps, wheels, tmp_path):
    app = str(tmp_path / 'app')
    shutil.copytree(apps('python', 'flask'), app)
    a = python_lab(lab, wheels)
    a.build(app).ok()
    write(app + '/requirements.txt', 'gunicorn\n')
    assert 'Not taking packages from the cache' in a.build(app).ok()
    assert a.run('python -c "import flask"')[0] != 0 and a.run('gunicorn --version')[0] == 0


def test_python_hooks_see_the_config(lab, tmp_path):
    app = str(tmp_path / 'app')
    write(app + '/requirements.txt', '')
    write(app + '/Procfile', 'web: true\n')
    write(app + '/bin/pre_compile', '#!/bin/bash\necho "pre $WORD $(cat "$ENV_DIR/WORD")"\n')
    write(app + '/bin/post_compile', '#!/bin/bash\ncommand -v python > where\n')
    a = lab('python')
    a.config(WORD='said')
    text = a.build(app).ok()
    assert '       pre said said' in text and '-----> Running bin/post_compile' in text
    assert open(a.file('where')).read() == '/app/.heroku/python/bin/python\n'
    write(app + '/bin/post_compile', '#!/bin/bash\nexit 4\n')
    a.build(app).failed('bin/post_compile of the app failed')


def test_python_local_package_survives_a_move(lab, tmp_path):
    app = str(tmp_path / 'app')
    write(app + '/requirements.txt', '-e ./pkg\n')
    write(app + '/Procfile', 'web: true\n')
    write(app + '/pkg/setup.py', 'from setuptools import setup\nsetup(name="pkg", version="1", py_modules=["pkgmod"])\n')
    write(app + '/pkg/pkgmod.py', 'print("pkgmod runs")\n')
    for mode in MODES:
        a = lab('python', mode)
        # PIP_NO_BUILD_ISOLATION: setuptools of the environment, there is no index to fetch it from
        a.vars.update(PIP_NO_INDEX='1', PIP_NO_BUILD_ISOLATION='0')
        a.build(app).ok()
        status, out = a.run('cd / && python -m pkgmod')
        assert status == 0 and 'pkgmod runs' in out, out


@pytest.mark.parametrize('files,says', [
    ({'.python-version': '3.99'}, ('There is no Python 3.99 here (.python-version)', 'The system has: 3.', 'runtimes/python')),
    ({'runtime.txt': 'python-3.98.1'}, ('There is no Python 3.98.1 here (runtime.txt)',)),
    ({'.python-version': 'pypy3.9'}, ('.python-version holds "pypy3.9"', 'for example: 3.11')),
    ({'requirements.txt': 'no-such-distribution==1\n'}, ('No matching distribution', 'its name is above')),
])
def test_python_says_what_does_not_exist(lab, tmp_path, files, says):
    app = str(tmp_path / 'app')
    for name, text in {'requirements.txt': '', **files}.items():
        write(os.path.join(app, name), text)
    a = lab('python')
    a.vars['PIP_NO_INDEX'] = '1'
    a.build(app).failed(*says)


@pytest.mark.parametrize('name,how', [('Pipfile', 'pipenv requirements'), ('poetry.lock', 'poetry export'),
                                      ('uv.lock', 'uv export'), ('pyproject.toml', 'echo . >'), ('manage.py', 'touch')])
def test_python_needs_requirements(lab, tmp_path, name, how):
    write(str(tmp_path / 'app' / name), '')
    lab('python', 'plain').build(str(tmp_path / 'app')).failed('requirements.txt', how)


def test_python_of_the_runtime_store(lab, tmp_path):
    app = str(tmp_path / 'app')
    write(app + '/requirements.txt', '')
    write(app + '/.python-version', '3.77')
    write(app + '/Procfile', 'web: true\n')
    a = lab('python', 'plain')
    write(a.path('store/python/3.77.1/bin/python3'), '#!/bin/sh\nexec /usr/bin/python3 "$@"\n', 0o755)
    os.makedirs(a.path('store/python/3.77.1/lib'))
    a.vars['PIP_BREAK_SYSTEM_PACKAGES'] = '1'  # the stand-in is the system's Python after all
    text = a.build(app, BUILDPACK_RUNTIMES=a.path('store')).ok()
    assert 'Using Python 3.77.1 of the runtime store' in text
    assert os.path.exists(a.file('.heroku/python/bin/python'))


def test_python_web_concurrency(lab, tmp_path):
    script = 'nproc() { echo 4; }; export -f nproc; . "$1"; echo "$WEB_CONCURRENCY,$DYNO_RAM,$WEB_CONCURRENCY_SET_BY"'
    profile = open(os.path.join(BUILDPACKS, 'python/lib/profile.sh')).read()
    for limit, has, want in ((536870912, None, '2,512,heroku/python'), (8 << 30, None, '9,8192,heroku/python'),
                             (64 << 20, None, '1,64,heroku/python'), (536870912, '7', '7,512,'),
                             (9223372036854771712, None, ',,')):
        write(str(tmp_path / 'limit'), str(limit))
        p = write(str(tmp_path / 'p.sh'), profile.replace('/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max',
                                                          str(tmp_path / 'limit')))
        env = {'PATH': PATH, 'HOME': '/app', **({'WEB_CONCURRENCY': has} if has else {})}
        out = subprocess.run(['bash', '-c', script, '-', p], env=env, stdout=subprocess.PIPE, check=True).stdout.decode()
        assert out == want + '\n', limit


# --- ruby

def ruby_lab(lab, gems, mode='app', net=True):
    a = lab('ruby', mode, net)
    shutil.copytree(gems, a.path('gems'))
    a.vars['BUNDLE_MIRROR__ALL'] = 'file://' + a.path('gems')
    return a


def run_rails(a):
    db = 'sqlite3:' + a.path('production.sqlite3')
    status, out = a.run(a.procfile('release') + ' && bundle exec rails sample_data', DATABASE_URL=db)
    assert status == 0 and 'sample_data: 25 notes' in out, out
    d = a.serve(a.procfile('web'), DATABASE_URL=db, GREETING='hello')
    s = json.loads(d.get('/status'))
    assert s['notes'] == 25 and s['env']['RAILS_ENV'] == 'production' and s['env']['GREETING'] == 'hello'
    page = d.get('/')
    assert 'Sample 1' in page
    css = page.split('/assets/application-')[1].split('"')[0]
    assert d.status_of('/assets/application-' + css) == 200  # RAILS_SERVE_STATIC_FILES
    assert 'GET "/status"' in d.output() or 'Started GET' in d.output()  # RAILS_LOG_TO_STDOUT
    d.term()


@pytest.mark.parametrize('mode', HEAVY)
def test_rails(lab, apps, gems, mode):
    a = ruby_lab(lab, gems, mode)
    first = a.build(apps('rails'))
    text = first.ok()
    assert a.name == 'Ruby' and "Using the system's Ruby" in text and 'Installing rails 6.1' in text
    assert '-----> Precompiling assets' in text
    secret = [ln for ln in open(a.file('.profile.d/ruby.sh')) if 'SECRET_KEY_BASE' in ln]
    second = a.build(apps('rails'))
    text = second.ok()
    assert 'Restored the gems from the cache' in text and 'Installing rails' not in text
    assert second.seconds < first.seconds
    assert secret == [ln for ln in open(a.file('.profile.d/ruby.sh')) if 'SECRET_KEY_BASE' in ln] and len(secret[0]) > 128
    assert a.release() == {'web': 'bin/rails server -p ${PORT:-5000} -e $RAILS_ENV', 'console': 'bin/rails console',
                           'rake': 'bundle exec rake'}
    assert a.report()['gems_from'] == 'bundle' and a.report()['rails_version'].startswith('6.1')
    run_rails(a)


def test_rails_with_the_hosts_gems_when_nothing_answers(lab, apps):
    a = lab('ruby', net=False)
    text = a.build(apps('rails')).ok()
    assert 'Using the gems that are installed on the host' in text
    assert a.report()['gems_from'] == 'system' and not os.path.exists(a.file('vendor/bundle'))
    run_rails(a)


def test_rails_console_and_default_web(lab, apps, gems):
    a = ruby_lab(lab, gems)
    a.config(BUNDLE_WITHOUT='development', RAILS_LOG_TO_STDOUT='')
    text = a.build(apps('rails')).ok()
    assert 'without development)' in text
    db = 'sqlite3:' + a.path('d.sqlite3')
    a.run('bin/rails db:migrate', DATABASE_URL=db)
    d = a.serve(a.release()['web'], DATABASE_URL=db)
    assert d.get('/up') == 'OK\n'
    status, out = a.run('echo "puts Note.count + 41" | bin/rails console', DATABASE_URL=db)
    assert status == 0 and '41' in out, out


def test_rails_assets_in_the_repository_are_left_alone(lab, apps, gems, tmp_path):
    app = str(tmp_path / 'app')
    shutil.copytree(apps('rails'), app)
    write(app + '/public/assets/.sprockets-manifest-0.json', '{}')
    text = ruby_lab(lab, gems).build(app).ok()
    assert 'Not precompiling assets: public/assets/.sprockets-manifest-0.json' in text


def test_rails_failing_assets_fail_the_build(lab, apps, gems, tmp_path):
    app = str(tmp_path / 'app')
    shutil.copytree(apps('rails'), app)
    write(app + '/config/initializers/needs.rb', "ENV.fetch('NEEDED')\n")
    a = ruby_lab(lab, gems)
    a.build(app).failed('key not found', 'Precompiling assets failed')
    a.config(NEEDED='x')
    a.build(app).ok()


def bundle(app, gemfile, lock='', **files):
    write(app + '/Gemfile', "source 'https://gems.invalid'\n" + gemfile)
    if lock is not None:
        write(app + '/Gemfile.lock', lock or 'GEM\n  remote: https://gems.invalid/\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n')
    for name, text in files.items():
        write(os.path.join(app, name), text)
    return app


@pytest.mark.parametrize('gemfile,version,says', [
    ("ruby '9.9.9'\n", None, ('There is no Ruby 9.9.9 here (ruby in the Gemfile)', 'The system has: 3.', 'ruby "~> 3.')),
    ("ruby '>= 2.0', '< 2.5'\n", None, ('There is no Ruby >= 2.0, < 2.5 here',)),
    ("ruby file: '.ruby-version'\n", '8.8.8', ('There is no Ruby 8.8.8', '.ruby-version, which the Gemfile names')),
    ('', 'ruby-7.7.7\n', ('There is no Ruby 7.7.7 here (.ruby-version)', 'runtimes/ruby')),
])
def test_ruby_versions_that_do_not_exist(lab, tmp_path, gemfile, version, says):
    app = bundle(str(tmp_path / 'app'), gemfile, **({'.ruby-version': version} if version else {}))
    lab('ruby', 'plain').build(app).failed(*says)


def test_ruby_needs_its_lock(lab, tmp_path):
    lab('ruby', 'plain').build(bundle(str(tmp_path / 'app'), '', None)).failed('no Gemfile.lock', 'bundle install')


def test_ruby_other_patch_of_the_series_and_store(lab, tmp_path):
    host = subprocess.run(['/usr/bin/ruby', '-e', 'print RUBY_VERSION'], stdout=subprocess.PIPE, check=True).stdout.decode()
    series = host.rsplit('.', 1)[0]
    app = bundle(str(tmp_path / 'app'), '', **{'.ruby-version': series + '.99', 'Procfile': 'web: true\n'})
    a = lab('ruby', 'plain', net=False)
    assert 'another patch of the same series' in a.build(app).ok()
    write(a.path('store/ruby/%s.99/bin/ruby' % series), '#!/bin/sh\nexec /usr/bin/ruby "$@"\n', 0o755)
    assert 'Using Ruby %s.99 of the runtime store' % series in a.build(app, BUILDPACK_RUNTIMES=a.path('store')).ok()
    assert a.release() == {'rake': 'bundle exec rake', 'console': 'bundle exec irb'}


def test_ruby_lock_that_does_not_fit(lab, tmp_path):
    app = bundle(str(tmp_path / 'app'), "gem 'rake'\n")
    lab('ruby', 'plain', net=False).build(app).failed('Gemfile.lock does not fit the Gemfile')


def test_ruby_source_away(lab, tmp_path):
    lock = ('GEM\n  remote: https://gems.invalid/\n  specs:\n    nosuchgem (1.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  nosuchgem\n'
            '\nBUNDLED WITH\n   2.0.1\n')
    app = bundle(str(tmp_path / 'app'), "gem 'nosuchgem'\n", lock)
    lab('ruby', 'plain', net=False).build(app).failed('Gemfile.lock was written by Bundler 2.0.1', 'The gem source could not be reached',
                                                      'BUNDLE_MIRROR__ALL')


def test_rack_app(lab, gems, tmp_path):
    lock = ('GEM\n  remote: https://gems.invalid/\n  specs:\n    nio4r (%s)\n    puma (%s)\n      nio4r (~> 2.0)\n    rack (%s)\n\n'
            'PLATFORMS\n  ruby\n\nDEPENDENCIES\n  puma\n  rack\n')
    have = {os.path.basename(g)[:-4].rsplit('-', 1)[0]: os.path.basename(g)[:-4].rsplit('-', 1)[1] for g in glob.glob(gems + '/gems/*.gem')}
    app = bundle(str(tmp_path / 'app'), "gem 'rack'\ngem 'puma'\n", lock % (have['nio4r'], have['puma'], have['rack']),
                 **{'config.ru': "run ->(env) { [200, {}, [\"rack #{ENV['RACK_ENV']}\\n\"]] }\n"})
    for mode in MODES:
        a = ruby_lab(lab, gems, mode)
        a.build(app).ok()
        d = a.serve(a.release()['web'])
        assert d.get('/') == 'rack production\n'


def test_javascript_in_the_lock_asks_for_node(lab, tmp_path):
    lock = 'GEM\n  remote: https://gems.invalid/\n  specs:\n    execjs (2.8.1)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  execjs\n'
    app = bundle(str(tmp_path / 'app'), "gem 'execjs'\n", lock)
    check = '. "$1/common.sh"; . "$1/rails.sh"; BUILD_DIR=$2; type() { return 1; }; check_javascript'
    p = subprocess.run(['bash', '-c', check, '-', os.path.join(BUILDPACKS, 'ruby/lib'), app], stderr=subprocess.PIPE,
                       env={'PATH': PATH})
    assert b'execjs' in p.stderr and b'heroku/nodejs' in p.stderr
