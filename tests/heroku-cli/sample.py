"""An app that is pushed as the CLI's users do: to the https remote, with the CLI as credential helper."""
import os
import subprocess

from heroku_cli import Failed
from platform_under_test import wait_for

FILES = {
    'Procfile': 'web: exec python3 -u -m http.server $PORT\nworker: while :; do echo tick; sleep 1; done\n'
                'release: echo "released $GREETING"\nconsole: echo hello from the console; cat\n',
    'bin/rake': '#!/bin/sh\necho "rake ran $*"\n',
    'bin/bundle': '#!/bin/sh\necho "bundle ran $*"\nhead -n 1\n',
    '.profile.d/bin.sh': 'export PATH="$HOME/bin:$PATH"\n',
}


def git(heroku, folder, *args):
    r = subprocess.run(['git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com', *args], cwd=folder, env=heroku.env(),
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    if r.returncode:
        raise Failed(f'git {args}: {r.stdout}{r.stderr}{heroku.paas.tail_log(2000)}')
    return r


def make_repo(heroku, folder):
    for name, text in FILES.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)
        if name.startswith('bin/'):
            os.chmod(path, 0o755)
    git(heroku, folder, 'init', '-q', '-b', 'main')
    git(heroku, folder, 'add', '-A')
    git(heroku, folder, 'commit', '-q', '-m', 'first')
    return folder


def push(heroku, folder, remote='heroku', message=None):
    if message:
        git(heroku, folder, 'commit', '-q', '--allow-empty', '-m', message)
    return git(heroku, folder, 'push', remote, 'main')


def dynos(heroku, app):
    """Their names, of those that are up."""
    return {d['name'] for d in heroku.paas.api('GET', f'/apps/{app}/dynos')[1] if d['state'] == 'up'}


def up(heroku, app, *names):
    wait_for(f'{names} and no other to be up', lambda: dynos(heroku, app) == set(names), 60)


def pushed(heroku, app, folder):
    """The app with GREETING=hello, released as v4, its web.1 up."""
    make_repo(heroku, folder)
    heroku('apps:create', app, cwd=folder)
    heroku.paas.api('PATCH', f'/apps/{app}/config-vars', {'GREETING': 'hello'})
    push(heroku, folder)
    up(heroku, app, 'web.1')
    return folder
