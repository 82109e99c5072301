#!/bin/sh
# make-procfile-app.sh DIR
#
# Creates, in DIR, a git repository (branch main, one commit) with an application that
# needs no build: a web server in one Python file that the system's own python3 runs, and
# a Procfile.  For the buildpack that takes an app as it is.  Writes files only; needs git.
set -eu

dir=${1:?usage: make-procfile-app.sh DIR}
command -v git >/dev/null || { echo "make-procfile-app: git not found" >&2; exit 2; }
if [ -e "$dir" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
    echo "make-procfile-app: $dir is not empty" >&2; exit 2
fi
mkdir -p "$dir"
cd "$dir"
dir=$(pwd)

mkdir bin
cat > bin/server <<'PY'
#!/usr/bin/python3 -u
"""A web server for the tests of a platform.
   GET /up      OK
   GET /        the environment variables named in SHOWN, pid, cwd, one a line
   GET /slow?N  answers after N seconds
SIGTERM ends it with status 0."""
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHOWN = ('DYNO', 'PORT', 'SOURCE_VERSION', 'GREETING', 'HOME', 'HEROKU_APP_NAME', 'HEROKU_PR_NUMBER',
         'HEROKU_RELEASE_VERSION', 'HEROKU_SLUG_COMMIT')


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        path, _, query = self.path.partition('?')
        if path == '/slow':
            time.sleep(min(60.0, max(0.0, float(query or 0))))
        lines = {'/up': 'OK\n', '/slow': 'slept\n', '/': self.page()}
        body = lines.get(path, 'not found\n').encode()
        self.send_response(200 if path in lines else 404)
        self.send_header('Content-Type', 'text/plain; charset=utf-8')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self):
        env = ['%s=%s' % (k, os.environ[k]) for k in SHOWN if k in os.environ]
        return '\n'.join(env + ['pid=%d' % os.getpid(), 'cwd=' + os.getcwd()]) + '\n'

    def log_message(self, text, *args):
        print('%s %s' % (self.address_string(), text % args))


def stop(*_):
    print('SIGTERM: stopped')
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
if 'PORT' not in os.environ:
    sys.exit('PORT is not set')
server = ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler)
server.daemon_threads = True
print('listening on ' + os.environ['PORT'])
server.serve_forever()
PY
chmod +x bin/server
cat > Procfile <<'PF'
web: bin/server
worker: bash -c 'trap "echo worker: TERM; exit 0" TERM; i=0; while :; do i=$((i+1)); echo "tick $i"; sleep 1; done'
release: echo "release of $DYNO" && exit ${RELEASE_STATUS:-0}
PF

git init --quiet
git symbolic-ref HEAD refs/heads/main
git add -A
GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' \
    git -c user.name=Example -c user.email=dev@example.com -c commit.gpgsign=false \
    commit --quiet -m 'A web server that needs no build'
echo "$dir: $(git ls-files | wc -l | tr -d ' ') files, $(git rev-parse --short HEAD)"
