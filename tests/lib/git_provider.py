"""A git provider of the test's own: GitHub's, GitLab's or Gitea's API over one repository, real git over
smart HTTP, and webhooks in that provider's format.

It believes nothing: every request is held against the fields that the provider documents. One that is
unknown, missing, or of the wrong type is answered 422 and noted in `wrong`, which a test asserts to be
empty. `requests` has all of them in order; `fault` may answer in the API's place.

    p = GitProvider('github', folder)
    p.commit('main', {'Procfile': 'web: ...'})
    n = p.open_pull('feature')         # sends a webhook when one was made
    p.deployments, p.statuses, p.comments, p.hooks: what was told
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import itertools
import json
import os
import re
import socket
import subprocess
import threading
import time
import uuid
from urllib.parse import parse_qs, unquote, urlsplit

ZERO = '0' * 40
TOKEN = 'tok-0123456789abcdef'

# What the providers document of bodies: name -> type, a tuple of values, or {fields}; '*' in front: required.
GITHUB = {
    'hook': {'name': ('web',), '*config': {'*url': str, 'content_type': ('json', 'form'), 'secret': str,
                                          'insecure_ssl': ('0', '1', 0, 1)}, 'events': [str], 'active': bool},
    'deployment': {'*ref': str, 'task': str, 'auto_merge': bool, 'required_contexts': [str], 'payload': (dict, str),
                   'environment': str, 'description': str, 'transient_environment': bool, 'production_environment': bool},
    'status': {'*state': ('error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success'), 'target_url': str,
               'log_url': str, 'description': str, 'environment': str, 'environment_url': str, 'auto_inactive': bool},
    'comment': {'*body': str},
}
GITLAB = {
    'hook': {'*url': str, 'token': str, 'push_events': bool, 'push_events_branch_filter': str, 'merge_requests_events': bool,
             'pipeline_events': bool, 'job_events': bool, 'enable_ssl_verification': bool, 'name': str, 'description': str},
    'status': {'*state': ('pending', 'running', 'success', 'failed', 'canceled', 'skipped'), 'ref': str, 'name': str,
               'context': str, 'target_url': str, 'description': str, 'coverage': float, 'pipeline_id': int},
    'comment': {'*body': str, 'internal': bool, 'created_at': str},
}
GITEA = {
    'hook': {'*type': ('gitea', 'forgejo', 'gogs', 'slack', 'discord'), '*config': {'*url': str, '*content_type': ('json', 'form'),
             'secret': str}, 'events': [str], 'active': bool, 'branch_filter': str, 'authorization_header': str},
    'status': {'state': ('pending', 'success', 'error', 'failure', 'warning'), 'context': str, 'target_url': str,
               'description': str},
    'comment': {'*body': str},
}
GITEA_EVENTS = {'create', 'delete', 'fork', 'push', 'issues', 'issue_comment', 'pull_request', 'pull_request_sync', 'release', 'status'}


def faults_of(kind, value, at='body'):
    """What of value is not as documented."""
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            return [f'{at} is no object']
        known = {k.lstrip('*'): v for k, v in kind.items()}
        bad = [f'{at}.{k} is not documented' for k in value if k not in known]
        bad += [f'{at}.{k[1:]} is missing' for k in kind if k[0] == '*' and k[1:] not in value]
        return bad + [e for k in value if k in known for e in faults_of(known[k], value[k], f'{at}.{k}')]
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f'{at} is no list']
        return [e for i, v in enumerate(value) for e in faults_of(kind[0], v, f'{at}[{i}]')]
    if isinstance(kind, tuple) and not isinstance(kind[0], type):
        return [] if value in kind else [f'{at} is {value!r}']
    if isinstance(value, bool) and kind is not bool or not isinstance(value, kind):
        return [f'{at} is {value!r}']
    return []


class Request:
    def __init__(self, method, path, query, headers, body):
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body
        self.json = None

    def __repr__(self):
        return f'{self.method} {self.path} {self.json}'


class Refused(Exception):
    def __init__(self, status, message):
        self.status, self.message = status, message


class GitProvider:
    def __init__(self, kind, folder, name='acme/shop', token=TOKEN, tls=None, port=0):
        self.kind, self.name, self.token, self.tls = kind, name, token, tls
        self.folder = str(folder)
        self.repo = os.path.join(self.folder, name + '.git')
        self.work = os.path.join(self.folder, 'work')
        self.lock = threading.RLock()
        self.ids = itertools.count(1001)
        self.requests, self.wrong = [], []
        self.fault = None  # fn(request) -> None, or (status, headers)
        self.hooks_allowed = True
        self.quiet = False  # webhooks are lost
        self.hooks, self.pulls, self.deployments, self.comments = {}, {}, {}, {}
        self.statuses = []     # told by the platform: {'sha', 'id' (a deployment's), 'state', ...}
        self.checks = {}       # of CI: sha -> {name: state}
        self.deliveries = []   # of ours: (event, status)
        self.fetches = 0
        self.conns = []
        self.fields = {'github': GITHUB, 'gitlab': GITLAB, 'gitea': GITEA}[kind]
        self.port = port
        self.init_repo()
        self.up()

    # --- the repository ---
    def git(self, *args, cwd=None):
        env = {**os.environ, 'GIT_CONFIG_NOSYSTEM': '1', 'GIT_CONFIG_GLOBAL': '/dev/null', 'HOME': self.folder}
        r = subprocess.run(['git', '-c', 'user.name=Dev', '-c', 'user.email=dev@example.com', *args], cwd=cwd or self.work,
                           env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, f'git {args}: {r.stderr}'
        return r.stdout.strip()

    def init_repo(self):
        os.makedirs(self.repo)
        self.git('init', '-q', '--bare', '-b', 'main', cwd=self.repo)
        self.git('clone', '-q', self.repo, self.work, cwd=self.folder)

    def commit(self, branch, files, message='change', base='main', push=True):
        """A commit on a branch, made from base when it is new; pushed, with its webhooks. Its id."""
        with self.lock:
            known = self.branches()
            self.git('checkout', '-q', '-B', branch, *([known[branch]] if branch in known else [known[base]] if base in known else []))
            for name, text in files.items():
                path = os.path.join(self.work, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w') as f:
                    f.write(text)
            self.git('add', '-A')
            self.git('commit', '-q', '--allow-empty', '-m', message)
            sha = self.git('rev-parse', 'HEAD')
            if push:
                self.git('push', '-q', '-f', 'origin', f'HEAD:refs/heads/{branch}')
                self.moved(branch, known.get(branch, ZERO), sha)
        return sha

    def branches(self):
        out = self.git('for-each-ref', '--format=%(refname:lstrip=2) %(objectname)', 'refs/heads', cwd=self.repo)
        return dict(line.split() for line in out.splitlines())

    def delete_branch(self, branch):
        old = self.branches()[branch]
        self.git('update-ref', '-d', f'refs/heads/{branch}', cwd=self.repo)
        self.moved(branch, old, ZERO)

    def moved(self, branch, before, after):
        for p in self.pulls.values():
            if p['branch'] == branch and p['open'] and not p['fork'] and after != ZERO:
                self.set_head(p, after)
                self.send_pull(p, {'github': 'synchronize', 'gitlab': 'update', 'gitea': 'synchronized'}[self.kind])
        self.send_push(branch, before, after)

    def set_head(self, pull, sha):
        pull['sha'] = sha
        pull['moves'] = pull.get('moves', 0) + 1
        ref = 'merge-requests' if self.kind == 'gitlab' else 'pull'
        self.git('update-ref', f'refs/{ref}/{pull["number"]}/head', sha, cwd=self.repo)

    def open_pull(self, branch, fork=None, title='A change'):
        n = max(self.pulls, default=0) + 1
        p = {'number': n, 'branch': branch, 'base': 'main', 'open': True, 'merged': False, 'fork': fork, 'title': title}
        self.set_head(p, self.branches()[branch])
        self.pulls[n] = p
        self.send_pull(p, 'open' if self.kind == 'gitlab' else 'opened')
        return n

    def close_pull(self, n, merged=False):
        p = self.pulls[n]
        p.update(open=False, merged=merged, moves=p['moves'] + 1)
        self.send_pull(p, {'gitlab': 'merge' if merged else 'close'}.get(self.kind, 'closed'))

    def reopen_pull(self, n):
        self.pulls[n].update(open=True, moves=self.pulls[n]['moves'] + 1)
        self.send_pull(self.pulls[n], 'reopen' if self.kind == 'gitlab' else 'reopened')

    def check(self, sha, name, state):
        """CI says of a commit: pending, success or failure."""
        self.checks.setdefault(sha, {})[name] = state
        self.send_status(sha, name, state)

    # --- webhooks ---
    def repo_json(self, full_name=None):
        n = full_name or self.name
        if self.kind == 'gitlab':
            return {'id': 15 if n == self.name else 16, 'name': n.split('/')[1], 'path_with_namespace': n, 'default_branch': 'main',
                    'web_url': f'{self.url}/{n}', 'http_url_to_repo': f'{self.url}/{n}.git'}
        return {'id': 15 if n == self.name else 16, 'name': n.split('/')[1], 'full_name': n, 'private': True, 'default_branch': 'main',
                'fork': n != self.name, 'owner': {'login': n.split('/')[0]}, 'clone_url': f'{self.url}/{n}.git'}

    def pull_json(self, p):
        """As the API has it, and GitHub's and Gitea's webhooks."""
        at = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(1767225600 + p['moves']))
        return {**self.pull_fields(p), 'created_at': '2026-01-01T00:00:00Z', 'updated_at': at}

    def pull_fields(self, p):
        if self.kind == 'gitlab':
            return {'id': 900 + p['number'], 'iid': p['number'], 'project_id': 15, 'title': p['title'], 'description': '',
                    'state': 'opened' if p['open'] else 'merged' if p['merged'] else 'closed', 'source_branch': p['branch'],
                    'target_branch': p['base'], 'sha': p['sha'], 'source_project_id': 16 if p['fork'] else 15,
                    'target_project_id': 15, 'author': {'id': 1, 'username': 'dev'}, 'draft': False,
                    'web_url': f'{self.url}/{self.name}/-/merge_requests/{p["number"]}'}
        head = self.repo_json(p['fork'])
        return {'id': 900 + p['number'], 'number': p['number'], 'title': p['title'], 'state': 'open' if p['open'] else 'closed',
                'merged': p['merged'], 'merged_at': '2026-01-01T00:00:00Z' if p['merged'] else None, 'draft': False, 'body': None,
                'user': {'id': 1, 'login': 'dev'}, 'head': {'label': p['branch'], 'ref': p['branch'], 'sha': p['sha'], 'repo': head},
                'base': {'label': p['base'], 'ref': p['base'], 'sha': self.branches().get('main', ZERO), 'repo': self.repo_json()}}

    def pull_payload(self, p, action):
        if self.kind == 'gitlab':
            return {'object_kind': 'merge_request', 'event_type': 'merge_request', 'user': {'id': 1, 'username': 'dev'},
                    'project': self.repo_json(), 'object_attributes': {
                        **self.pull_json(p), 'action': action, 'source': self.repo_json(p['fork']), 'target': self.repo_json(),
                        'last_commit': {'id': p['sha'], 'message': 'change'}}, 'changes': {}}
        return {'action': action, 'number': p['number'], 'pull_request': self.pull_json(p), 'repository': self.repo_json(),
                'sender': {'login': 'dev'}}

    def send_pull(self, p, action):
        return self.send({'gitlab': 'Merge Request Hook'}.get(self.kind, 'pull_request'), self.pull_payload(p, action))

    def send_push(self, branch, before, after):
        if self.kind == 'gitea' and after == ZERO:
            return self.send('delete', {'ref': branch, 'ref_type': 'branch', 'pusher_type': 'user', 'repository': self.repo_json(),
                                        'sender': {'login': 'dev'}})
        body = {'ref': f'refs/heads/{branch}', 'before': before, 'after': after, 'commits': []}
        if self.kind == 'gitlab':
            body.update(object_kind='push', event_name='push', user_username='dev', project_id=15, project=self.repo_json())
        else:
            body.update(repository=self.repo_json(), pusher={'login': 'dev', 'name': 'dev'}, sender={'login': 'dev'})
        if self.kind == 'github':
            body.update(created=before == ZERO, deleted=after == ZERO, forced=False)
        return self.send('Push Hook' if self.kind == 'gitlab' else 'push', body)

    def send_status(self, sha, name, state):
        if self.kind == 'gitlab':
            state = {'failure': 'failed', 'pending': 'running'}.get(state, state)
            return self.send('Pipeline Hook', {'object_kind': 'pipeline', 'object_attributes': {
                'id': 31, 'ref': 'main', 'tag': False, 'sha': sha, 'status': state}, 'project': self.repo_json()})
        return self.send('status', {'id': next(self.ids), 'sha': sha, 'state': state, 'context': name, 'description': '',
                                    'target_url': None, 'repository': self.repo_json(), 'sender': {'login': 'dev'}})

    def send(self, event, body, delivery=None):
        """To every webhook that was made; the last answer's status."""
        status = None
        for h in [] if self.quiet else list(self.hooks.values()):
            status = self.post(h['url'], h['secret'], event, body, delivery)
        return status

    def headers_of(self, event, data, secret, delivery=None):
        delivery = delivery or str(uuid.uuid4())
        sign = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        return {'Content-Type': 'application/json', **{
            'github': {'User-Agent': 'GitHub-Hookshot/044aadd', 'Accept': '*/*', 'X-GitHub-Event': event,
                       'X-GitHub-Delivery': delivery, 'X-GitHub-Hook-ID': '1', 'X-Hub-Signature-256': 'sha256=' + sign},
            'gitlab': {'User-Agent': 'GitLab/17.8.0', 'X-Gitlab-Event': event, 'X-Gitlab-Token': secret,
                       'X-Gitlab-Instance': self.url, 'X-Gitlab-Event-UUID': str(uuid.uuid4()), 'Idempotency-Key': delivery},
            'gitea': {'X-Gitea-Event': event, 'X-Gitea-Delivery': delivery, 'X-Gitea-Signature': sign,
                      'X-GitHub-Event': event, 'X-Hub-Signature-256': 'sha256=' + sign},
        }[self.kind]}

    def post(self, url, secret, event, body, delivery=None, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        u = urlsplit(url)
        conn = http.client.HTTPConnection('127.0.0.1', u.port, timeout=30)
        try:
            head = {'Host': u.netloc, **self.headers_of(event, data, secret, delivery), **(headers or {})}
            conn.request('POST', u.path, data, {k: v for k, v in head.items() if v is not None})
            r = conn.getresponse()
            r.read()
        finally:
            conn.close()
        self.deliveries.append((event, r.status))
        return r.status

    # --- the API ---
    def api(self, q):
        """(status, answer) of a request below the API's path."""
        for pattern, fn in self.ROUTES[self.kind]:
            method, path = pattern.split(' ')
            m = re.fullmatch(path.replace('{repo}', re.escape(self.path_of_repo())), q.path)
            if m and method == q.method:
                return fn(self, q, *[unquote(g) for g in m.groups()])
        raise Refused(404, 'Not Found')

    def path_of_repo(self):
        return '/projects/' + self.name.replace('/', '%2F') if self.kind == 'gitlab' else '/repos/' + self.name

    def page(self, q, items):
        size, n = int(q.query.get('per_page', q.query.get('limit', ['30']))[0]), int(q.query.get('page', ['1'])[0])
        size = min(size, 50 if self.kind == 'gitea' else 100)
        return 200, items[(n - 1) * size:n * size]

    def body(self, q, kind):
        if q.headers['Content-Type'] != 'application/json':
            raise Refused(415, f'Content-Type {q.headers["Content-Type"]}')
        bad = faults_of(self.fields[kind], q.json)
        if bad:
            raise Refused(422, '; '.join(bad))
        return q.json

    def get_repo(self, q):
        return 200, self.repo_json()

    def get_pulls(self, q):
        assert q.query['state'] == ['opened' if self.kind == 'gitlab' else 'open'], q.query
        return self.page(q, [self.pull_json(p) for p in self.pulls.values() if p['open']])

    def get_pull(self, q, n):
        if int(n) not in self.pulls:
            raise Refused(404, 'Not Found')
        return 200, self.pull_json(self.pulls[int(n)])

    def get_branch(self, q, name):
        sha = self.branches().get(name)
        if not sha:
            raise Refused(404, 'Branch not found')
        return 200, {'name': name, 'protected': False, 'commit': {'sha': sha, 'id': sha, 'url': f'{self.url}/c/{sha}'}}

    def get_statuses(self, q, sha):
        ci = self.checks.get(sha, {})
        if self.kind == 'gitlab':
            ours = {s['name']: s['state'] for s in self.statuses if s['sha'] == sha}
            all_of = {k: {'failure': 'failed', 'pending': 'running'}.get(v, v) for k, v in ci.items()}
            return self.page(q, [{'id': i, 'sha': sha, 'name': k, 'status': v, 'allow_failure': False}
                                 for i, (k, v) in enumerate({**all_of, **ours}.items())])
        if self.kind == 'gitea':
            ours = {s['context']: s['state'] for s in self.statuses if s['sha'] == sha}
            rows = [{'id': i, 'context': k, 'status': v} for i, (k, v) in enumerate({**ci, **ours}.items())]
        else:
            rows = [{'id': i, 'context': k, 'state': v} for i, (k, v) in enumerate(ci.items()) if not k.startswith('run:')]
        _, rows = self.page(q, rows)
        return 200, {'state': 'pending', 'sha': sha, 'statuses': rows or None if self.kind == 'gitea' else rows,
                     'total_count': len(rows)}

    def get_check_runs(self, q, sha):
        rows = [{'id': i, 'name': k, 'head_sha': sha, 'status': 'in_progress' if v == 'pending' else 'completed',
                 'conclusion': None if v == 'pending' else v} for i, (k, v) in enumerate(self.checks.get(sha, {}).items())
                if k.startswith('run:')]
        _, rows = self.page(q, rows)
        return 200, {'total_count': len(rows), 'check_runs': rows}

    def get_deployments(self, q):
        rows = [d for d in self.deployments.values() if q.query.get('sha', [d['sha']]) == [d['sha']] and
                q.query.get('environment', [d['environment']]) == [d['environment']]]
        return self.page(q, rows[::-1])

    def add_deployment(self, q):
        b = self.body(q, 'deployment')
        d = {'id': next(self.ids), 'sha': b['ref'], **b}
        self.deployments[d['id']] = d
        return 201, d

    def add_deployment_status(self, q, n):
        b = self.body(q, 'status')
        if int(n) not in self.deployments:
            raise Refused(404, 'Not Found')
        if len(b.get('description', '')) > 140:
            raise Refused(422, 'description is too long (maximum is 140 characters)')
        self.statuses.append({'id': int(n), 'sha': self.deployments[int(n)]['sha'], **b})
        return 201, {'id': next(self.ids), **b}

    def get_deployment_statuses(self, q, n):
        rows = [{**s, 'id': i} for i, s in enumerate(self.statuses, 1) if s['id'] == int(n)]
        return self.page(q, rows[::-1])

    def add_status(self, q, sha):
        b = self.body(q, 'status')
        if self.kind == 'gitlab':
            name = b.get('name', b.get('context', 'default'))
            last = next((s for s in reversed(self.statuses) if s['sha'] == sha and s['name'] == name), None)
            if last and last['state'] == b['state']:
                raise Refused(400, f'Cannot transition status via :run from :{b["state"]} (Reason(s): Status cannot transition)')
        self.statuses.append({'sha': sha, **b})
        return 201, {'id': next(self.ids), 'sha': sha, 'status': b.get('state'), **b}

    def get_comments(self, q, n):
        rows = [c for c in self.comments.values() if c['number'] == int(n)]
        return (200, rows) if self.kind == 'gitea' else self.page(q, rows)

    def add_comment(self, q, n):
        if int(n) not in self.pulls:
            raise Refused(404, 'Not Found')
        c = {'id': next(self.ids), 'number': int(n), 'edits': 0, **self.body(q, 'comment')}
        self.comments[c['id']] = c
        return 201, c

    def edit_comment(self, q, *path):
        c = self.comments.get(int(path[-1]))
        if not c:
            raise Refused(404, 'Not Found')
        c.update(self.body(q, 'comment'), edits=c['edits'] + 1)
        return 200, c

    def hook_json(self, h):
        return {'id': h['id'], 'url': h['url']} if self.kind == 'gitlab' else {
            'id': h['id'], 'type': 'gitea', 'name': 'web', 'active': True, 'config': {'url': h['url'], 'content_type': 'json'}}

    def get_hooks(self, q):
        return self.page(q, [self.hook_json(h) for h in self.hooks.values()])

    def add_hook(self, q):
        if not self.hooks_allowed:
            raise Refused(403, 'Resource not accessible by personal access token')
        b = self.body(q, 'hook')
        unknown = set(b.get('events', [])) - GITEA_EVENTS if self.kind == 'gitea' else set()
        if unknown:
            raise Refused(422, f'events {unknown}')
        config = b if self.kind == 'gitlab' else b['config']
        h = {'id': next(self.ids), 'url': config['url'], 'secret': config.get('token' if self.kind == 'gitlab' else 'secret', ''), 'body': b}
        self.hooks[h['id']] = h
        return 201, self.hook_json(h)

    def drop_hook(self, q, n):
        if not self.hooks.pop(int(n), None):
            raise Refused(404, 'Not Found')
        return 204, None

    ROUTES = {
        'github': [
            ('GET {repo}', get_repo), ('GET {repo}/pulls', get_pulls), (r'GET {repo}/pulls/(\d+)', get_pull),
            ('GET {repo}/branches/([^/]+)', get_branch), ('GET {repo}/commits/(\\w+)/status', get_statuses),
            ('GET {repo}/commits/(\\w+)/check-runs', get_check_runs), ('GET {repo}/deployments', get_deployments),
            ('POST {repo}/deployments', add_deployment), (r'POST {repo}/deployments/(\d+)/statuses', add_deployment_status),
            (r'GET {repo}/deployments/(\d+)/statuses', get_deployment_statuses),
            (r'GET {repo}/issues/(\d+)/comments', get_comments), (r'POST {repo}/issues/(\d+)/comments', add_comment),
            (r'PATCH {repo}/issues/comments/(\d+)', edit_comment), ('GET {repo}/hooks', get_hooks), ('POST {repo}/hooks', add_hook),
            (r'DELETE {repo}/hooks/(\d+)', drop_hook)],
        'gitlab': [
            ('GET {repo}', get_repo), ('GET {repo}/merge_requests', get_pulls), (r'GET {repo}/merge_requests/(\d+)', get_pull),
            ('GET {repo}/repository/branches/([^/]+)', get_branch), ('GET {repo}/repository/commits/(\\w+)/statuses', get_statuses),
            ('POST {repo}/statuses/(\\w+)', add_status), (r'GET {repo}/merge_requests/(\d+)/notes', get_comments),
            (r'POST {repo}/merge_requests/(\d+)/notes', add_comment), (r'PUT {repo}/merge_requests/(\d+)/notes/(\d+)', edit_comment),
            ('GET {repo}/hooks', get_hooks), ('POST {repo}/hooks', add_hook), (r'DELETE {repo}/hooks/(\d+)', drop_hook)],
        'gitea': [
            ('GET {repo}', get_repo), ('GET {repo}/pulls', get_pulls), (r'GET {repo}/pulls/(\d+)', get_pull),
            ('GET {repo}/branches/(.+)', get_branch), ('GET {repo}/commits/(\\w+)/status', get_statuses),
            ('POST {repo}/statuses/(\\w+)', add_status), (r'GET {repo}/issues/(\d+)/comments', get_comments),
            (r'POST {repo}/issues/(\d+)/comments', add_comment), (r'PATCH {repo}/issues/comments/(\d+)', edit_comment),
            ('GET {repo}/hooks', get_hooks), ('POST {repo}/hooks', add_hook), (r'DELETE {repo}/hooks/(\d+)', drop_hook)],
    }
    API = {'github': '/api/v3', 'gitlab': '/api/v4', 'gitea': '/api/v1'}

    def authorised(self, headers):
        want = {'github': ('Authorization', f'Bearer {self.token}'), 'gitlab': ('PRIVATE-TOKEN', self.token),
                'gitea': ('Authorization', f'token {self.token}')}[self.kind]
        return headers.get(want[0]) == want[1]

    def answer(self, q):
        """(status, headers, bytes)"""
        self.requests.append(q)
        special = self.fault(q) if self.fault else None
        if special:
            return special[0], special[1], b'{"message": "out of order"}'
        try:
            if self.kind == 'github' and not (q.headers['User-Agent'] and q.headers['X-GitHub-Api-Version'] == '2022-11-28'):
                raise Refused(422, 'headers')
            if not self.authorised(q.headers):
                raise Refused(401, 'Bad credentials')
            if q.body:
                q.json = json.loads(q.body)
            with self.lock:
                status, j = self.api(q)
        except Refused as e:
            status, j = e.status, {'message': e.message}
            if status in (415, 422):
                self.wrong.append(f'{q}: {e.message}')
        return status, {}, b'' if j is None else json.dumps(j).encode()

    # --- git over smart HTTP ---
    def backend(self, h, q):
        login = base64.b64encode(f'{ {"github": "x-access-token"}.get(self.kind, "oauth2")}:{self.token}'.encode()).decode()
        if h.headers.get('Authorization') != 'Basic ' + login:
            return h.reply(401, {'WWW-Authenticate': 'Basic realm="git"'}, b'')
        self.fetches += '/git-upload-pack' in q.path
        env = {'PATH': os.environ['PATH'], 'GIT_PROJECT_ROOT': self.folder, 'GIT_HTTP_EXPORT_ALL': '1', 'PATH_INFO': q.path,
               'REQUEST_METHOD': q.method, 'QUERY_STRING': q.raw_query, 'CONTENT_TYPE': h.headers.get('Content-Type', ''),
               'GIT_PROTOCOL': h.headers.get('Git-Protocol', ''), 'REMOTE_USER': 'dev', 'REMOTE_ADDR': '127.0.0.1',
               'HTTP_CONTENT_ENCODING': h.headers.get('Content-Encoding', ''), 'GIT_CONFIG_GLOBAL': '/dev/null', 'HOME': self.folder}
        out = subprocess.run(['git', 'http-backend'], input=q.body, env=env, capture_output=True, check=True).stdout
        head, _, data = out.partition(b'\r\n\r\n')
        headers = dict(line.decode().split(': ', 1) for line in head.split(b'\r\n'))
        status = int(headers.pop('Status', '200 OK').split()[0])
        return h.reply(status, headers, data)

    # --- the server ---
    def up(self):
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def handle_any(self):
                u = urlsplit(self.path)
                n = int(self.headers.get('Content-Length') or 0)
                q = Request(self.command, u.path, parse_qs(u.query), self.headers, self.rfile.read(n) if n else b'')
                if self.headers.get('Transfer-Encoding') == 'chunked':
                    while (n := int(self.rfile.readline(), 16)):
                        q.body += self.rfile.read(n)
                        self.rfile.readline()
                    self.rfile.readline()
                q.raw_query = u.query
                if q.path.startswith(f'/{me.name}.git/'):
                    return me.backend(self, q)
                if not q.path.startswith(me.API[me.kind] + '/'):
                    return self.reply(404, {}, b'{}')
                q.path = q.path[len(me.API[me.kind]):]
                return self.reply(*me.answer(q))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def reply(self, status, headers, data):
                self.send_response(status)
                for k, v in {'Content-Type': 'application/json', **headers}.items():
                    self.send_header(k, v)
                if status != 204:
                    self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def process_request(self, request, address):
                me.conns.append(request)
                super().process_request(request, address)

            def handle_error(self, *args):
                pass

        self.server = Server(('127.0.0.1', self.port), Handler)
        self.port = self.server.server_address[1]
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f'{"https" if self.tls else "http"}://localhost:{self.port}'
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def down(self):
        """Goes away, with the connections that were kept; up() comes back at the same port."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
        for c in self.conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    close = down
