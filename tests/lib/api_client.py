"""A client of the API that believes nothing: every answer is held against api_schema.json. Fields that
are missing, unknown, null where that is not allowed, or of another type, fail the test that asked; so
do answers without the headers that all have, and errors of another shape."""
import base64
import http.client
import json
import os
import re
import subprocess
from urllib.parse import urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, '..', '..', 'proto', 'api_schema.json')) as _f:
    SCHEMA = json.load(_f)

FORMS = {
    'time': r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ',
    'uuid': r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
    'email': r'[^@\s]+@[^@\s]+',
    'uri': r'https?://[^\s/]+/\S*',
    'app-name': r'[a-z][a-z0-9-]{1,28}[a-z0-9]',
    'process-type': r'[-\w]{1,128}',
    'dyno-name': r'[-\w]{1,128}\.\d+',
}
KINDS = {'boolean': bool, 'integer': int, 'number': (int, float), 'string': str}
MIME = 'application/vnd.heroku+json; version=3'


# Which test file makes each route answer as the schema says; test_api_resources.py takes the rest.
CLAIMS = {
    'sleep': re.compile(r'/apps/:app/(sleep|actions/wake)$'),
    'scheduler': re.compile(r'/apps/:app/scheduler/'),
    'setups': re.compile(r'/app-setups(/|$)'),
    'providers': re.compile(r'/pipelines/:pipeline/repo(/|$)|/hooks/|/apps/:app/auto-deploy$'),
    'backups': re.compile(r'/client/v11/(apps/:app/transfers|databases/:add_on/(backups|restores|transfers|transfer-schedules))(/|$)'),
    'redis': re.compile(r'/redis/v0/.*'),
    'postgres': re.compile(r'/client/v11/databases/:add_on(/(wait_status|reset|connection_reset|stats_reset|extensions|unfollow|links|upgrade|'
                           r'connection-pooling)(/.*)?)?$|/postgres/v0/.*'),
    'review': re.compile(r'.*/review-app(s|-config)?(/|$)'),
    'pipelines': re.compile(r'/pipelines(/:pipeline(/(stage|pipeline-couplings|latest-\w+)(/.*)?)?)?$|'
                            r'.*/pipeline-(couplings|transfers|promotions|diff)(/|$)'),
    'storage': re.compile(r'(/apps/:app)?/volumes(/|$)'),
    'partner': re.compile(r'/oauth/token$|/addons/:add_on/(config|sso|logs|log-drains(/.*)?|actions/.*)$|/apps/:app/addons/:add_on/sso$'),
    'addons': re.compile(r'.*/(addons|addon-[^/]+|plans|usage)(/|$)'),
    'front': re.compile(r'.*/(domains|sni-endpoints|acm|'
                        r'app-transfers|telemetry-drains|buildpacks|filters|current-status|available-[^/]+)(/|$)|/dyno-sizes/'),
    'identity': re.compile(r'/(account|users|oauth|auth|invitations|join|audit|teams|organizations|spaces|'
                           r'enterprise-accounts)(/(?!rate-limits|:account/apps|app-transfers)|$)|'
                           r'/apps/:app/(features|invitations|pre-authorizations|collaborators|audit)(/|$)'),
}


def claimed_by(name):
    """Routes ("GET /apps") that a file claims; with None those that no file does."""
    by = {r: next((k for k, p in CLAIMS.items() if p.match(r.split()[1])), None) for r in SCHEMA['answers']}
    return {r for r, k in by.items() if k == name}


class Wrong(AssertionError):
    """An answer that is not what the schema says."""


def check_scalar(kind, value, at):
    if kind.endswith('?'):
        if value is None:
            return
        kind = kind[:-1]
    if kind == 'any':
        return
    if kind == 'null':
        ok = value is None
    elif kind in KINDS:
        ok = isinstance(value, KINDS[kind]) and (kind == 'boolean' or not isinstance(value, bool))
    elif kind in FORMS:
        ok = isinstance(value, str) and re.fullmatch(FORMS[kind], value, re.ASCII)
    else:
        assert '|' in kind, f'the schema has an unknown kind {kind}'
        ok = value in kind.split('|')
    if not ok:
        raise Wrong(f'{at}: {value!r} is no {kind}')


def check(kind, value, at):
    """kind: a scalar's name, [kind of each], {field: kind}, {"*": kind of all}, {"?": true, ...} = may be null."""
    if isinstance(kind, str) and kind in SCHEMA['resources']:
        kind = SCHEMA['resources'][kind]
    if isinstance(kind, str):
        check_scalar(kind, value, at)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            raise Wrong(f'{at}: {value!r} is no list')
        for i, item in enumerate(value):
            check(kind[0], item, f'{at}[{i}]')
    else:
        if value is None and kind.get('?'):
            return
        if not isinstance(value, dict):
            raise Wrong(f'{at}: {value!r} is no object')
        if '*' in kind:
            kind = {k: kind['*'] for k in value}
        fields = set(kind) - {'?'}
        if fields != set(value):
            raise Wrong(f'{at}: missing {sorted(fields - set(value))}, unknown {sorted(set(value) - fields)}')
        for name in fields:
            check(kind[name], value[name], f'{at}.{name}')


def check_error(status, value, at):
    if not isinstance(value, dict) or not {'id', 'message'} <= set(value) <= {'id', 'message', 'resource'}:
        raise Wrong(f'{at}: {value!r} is no error')
    if not re.fullmatch(r'[a-z_]+', value['id']) or not value['message'].strip() or len(value['message']) > 400:
        raise Wrong(f'{at}: {value!r}')
    if (value['id'] == 'not_found') != (status == 404):
        raise Wrong(f'{at}: id {value["id"]} with {status}')


class Answer:
    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data
        self.json = None

    @property
    def id(self):
        return self.json.get('id') if isinstance(self.json, dict) else None

    @property
    def message(self):
        return self.json.get('message', '') if isinstance(self.json, dict) else ''

    def __repr__(self):
        return f'<{self.status} {self.data[:300]!r}>'


class Route:
    def __init__(self, row):
        self.method, self.path = row['method'], row['path']
        self.need, self.scope, self.stream = row['need'], row['scope'], row['stream']
        self.name = f'{self.method} {self.path}'
        self.pattern = re.compile('/'.join('[^/]+' if p.startswith(':') else re.escape(p)
                                           for p in self.path.split('/')) + '/?')


def routes(bin_dir):
    """The table of the paasd under test."""
    out = subprocess.run([os.path.join(bin_dir, 'paasd'), 'api:routes'], capture_output=True, check=True, text=True)
    return [Route(json.loads(line)) for line in out.stdout.splitlines()]


class Client:
    """One user of the API. Keeps its connection; `seen` collects which routes answered as the schema says."""

    def __init__(self, paas, token=None, basic=None, seen=None):
        self.paas, self.token, self.basic = paas, token, basic
        self.seen = set() if seen is None else seen
        self.routes = [r for r in routes(paas.bin)]
        self.conn = None
        self.source = None

    def with_token(self, token, source=None):
        """Another caller; source: another loopback address, to come from elsewhere."""
        c = Client.__new__(Client)
        c.__dict__.update(self.__dict__, token=token, basic=None, conn=None, source=source)
        return c

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def head(self, headers):
        h = {'Accept': MIME}
        if self.token:
            h['Authorization'] = 'Bearer ' + self.token
        if self.basic:
            h['Authorization'] = 'Basic ' + base64.b64encode(self.basic.encode()).decode()
        h.update(headers or {})
        return {k: v for k, v in h.items() if v is not None}

    def send(self, method, target, body=None, headers=None):
        """The answer, unchecked."""
        head = self.head(headers)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None and 'Content-Type' not in head:
            head['Content-Type'] = 'application/json'
        for attempt in (1, 2):
            if not self.conn:
                self.conn = http.client.HTTPConnection('127.0.0.1', self.paas.port, timeout=60,
                                                       source_address=(self.source, 0) if self.source else None)
                fresh = True
            else:
                fresh = False
            try:
                self.conn.request(method, target, body, {'Host': f'localhost:{self.paas.port}', **head})
                r = self.conn.getresponse()
                a = Answer(r.status, r.headers, r.read())
                if r.will_close:
                    self.close()
                return a
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # an idle connection may end just now; a new one may not
                self.close()
                if fresh:
                    raise
        raise AssertionError('unreachable')

    def route(self, method, target):
        path = urlsplit(target).path
        method = 'GET' if method == 'HEAD' else method
        return next((r for r in self.routes if r.method == method and r.pattern.fullmatch(path)), None)

    def __call__(self, method, target, body=None, headers=None, want=None):
        """The answer, held against the schema; want: the status that it must have."""
        a = self.send(method, target, body, headers)
        at = f'{method} {target}'
        route = self.route(method, target)
        if not a.headers.get('Request-Id'):
            raise Wrong(f'{at}: no Request-Id')
        if a.headers.get('X-Content-Type-Options') != 'nosniff':
            raise Wrong(f'{at}: no X-Content-Type-Options')
        if route and a.headers.get('Content-Type', '').startswith('text/html'):
            # a page for people
            assert route.stream and "default-src 'none'" in a.headers['Content-Security-Policy']
            if want is not None and a.status != want:
                raise Wrong(f'{at}: {a.status} in place of {want}: {a.data[:500]!r}')
            return a
        if route and a.status == 200 and a.headers.get('Content-Type') == 'application/x-pem-file':
            assert route.stream and a.data.startswith(b'-----BEGIN CERTIFICATE-----')
            return a
        if a.data:
            if not a.headers.get('Content-Type', '').startswith('application/json'):
                raise Wrong(f'{at}: {a.headers.get("Content-Type")}')
            a.json = json.loads(a.data)
        if want is not None and a.status != want:
            raise Wrong(f'{at}: {a.status} in place of {want}: {a.data[:500]!r}')
        if a.status >= 500:
            raise Wrong(f'{at}: {a!r}')
        if a.status >= 400:
            if a.data or method != 'HEAD':
                check_error(a.status, a.json, at)
            if a.status == 401 and not a.headers.get('WWW-Authenticate'):
                raise Wrong(f'{at}: 401 without WWW-Authenticate')
        elif a.status != 304 and method != 'HEAD':
            self.check_success(route, a, at)
        if route:
            status, _ = SCHEMA['answers'].get(route.name, [None, None])
            if status == a.status:
                self.seen.add(route.name)
        return a

    def check_success(self, route, a, at):
        if route is None:
            raise Wrong(f'{at}: {a.status} by a route that the table does not have')
        status, kind = SCHEMA['answers'][route.name]
        if a.status != status and (a.status, status) != (206, 200):
            raise Wrong(f'{at}: {a.status} in place of {status}')
        check(kind, a.json, at)
        if isinstance(kind, list) and route.method == 'GET':
            if not a.headers.get('Accept-Ranges'):
                raise Wrong(f'{at}: a list without Accept-Ranges')
            if (a.status == 206) != bool(a.headers.get('Next-Range')):
                raise Wrong(f'{at}: {a.status} with Next-Range {a.headers.get("Next-Range")}')

    def get(self, target, **kw):
        return self('GET', target, **kw)

    def pages(self, target, first_range):
        """Every page of a list, followed by Next-Range as clients do."""
        out, header = [], first_range
        for _ in range(2000):
            a = self('GET', target, headers={'Range': header} if header is not None else None)
            out.append(a.json)
            header = a.headers.get('Next-Range')
            if not header:
                return out
        raise Wrong(f'{target}: Next-Range without end')
