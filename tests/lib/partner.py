"""A partner of the test's own, who offers an add-on by the Add-on Partner API v3.

It believes nothing: every request is held against what the API documents (who, which headers, which members of which
types, the same for the same uuid). What is amiss is answered 400 and noted in `wrong`, which a test asserts to be
empty. `requests` has all of them in order; `there` is what it has made and not removed, by uuid.

`mode` says how it answers: {'provision': 'later'} or, for one add-on, {'provision NAME': 'refuse'}."""
import base64
import hashlib
import http.server
import json
import re
import threading
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs

UUID = r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
BASE = '/heroku/resources'
PLANS = {'basic', 'premium'}


class Partner:
    def __init__(self, tls=None, id='acme', password='pass word+1', salt='2f97bfa52ca102f8874716e2eb1d3b4920ad0be4', secret='client-secret-1', logs=False):
        self.id, self.password, self.salt, self.secret, self.logs = id, password, salt, secret, logs
        self.requests, self.wrong, self.there, self.grants, self.told, self.logins = [], [], {}, {}, {}, []
        self.mode, self.more = {}, {}
        self.lock = threading.Lock()
        self.gate = threading.Event()  # of mode 'hang'
        partner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                if self.path == '/favicon.ico':  # browsers ask for it
                    status, answer, head = 404, None, {}
                elif self.path == '/heroku/sso':
                    status, answer, head = partner.login(body)
                else:
                    status, answer, head = partner.serve(self.command, self.path, self.headers, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode() if answer is not None else b''
                self.send_response(status)
                for k, v in {'Content-Type': 'application/json', 'Content-Length': str(len(data)), **head}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def get_request(self):
                c, a = super().get_request()
                return (tls.wrap_socket(c, server_side=True, do_handshake_on_connect=False) if tls else c), a

            def handle_error(self, *args):
                pass

        self.server = Server(('127.0.0.1', 0), Handler)
        self.url = f'{"https" if tls else "http"}://localhost:{self.server.server_address[1]}'
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    # --- what it is asked ---
    def calls(self, verb, uuid=None):
        return [r for r in list(self.requests) if r['verb'] == verb and uuid in (None, r['uuid'])]

    def check(self, ok, what):
        if not ok:
            raise ValueError(what)

    def check_head(self, headers, body):
        want = 'Basic ' + base64.b64encode(f'{self.id}:{self.password}'.encode()).decode()
        self.check(headers.get('Authorization') == want, f'Authorization {headers.get("Authorization")}')
        self.check(headers.get('Accept') == 'application/vnd.heroku-addons+json; version=3', f'Accept {headers.get("Accept")}')
        self.check(not body or headers.get('Content-Type') == 'application/json', 'Content-Type')

    def check_provision(self, j):
        fields = {'callback_url': str, 'name': str, 'oauth_grant': dict, 'options': dict, 'plan': str, 'region': str, 'uuid': str}
        if self.logs:
            fields.update(log_input_url=str, log_drain_token=str)
        self.check(set(j) == set(fields), f'members {sorted(set(j) ^ set(fields))}')
        for name, kind in fields.items():
            self.check(isinstance(j[name], kind), f'{name} is {j[name]!r}')
        self.check(re.fullmatch(UUID, j['uuid']), 'uuid')
        self.check(re.fullmatch(r'https?://[^/]+/addons/' + j['uuid'], j['callback_url']), j['callback_url'])
        self.check(j['plan'] in PLANS and j['region'] == 'amazon-web-services::us-east-1', 'plan or region')
        self.check(all(isinstance(v, str) for v in j['options'].values()), 'options')
        g = j['oauth_grant']
        self.check(set(g) == {'code', 'expires_at', 'type'} and g['type'] == 'authorization_code' and len(g['code']) >= 32, 'oauth_grant')
        left = (datetime.strptime(g['expires_at'], '%Y-%m-%dT%H:%M:%SZ').replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)).total_seconds()
        self.check(280 < left <= 300, f'the grant lasts {left} s')
        # the same for the same, but for the grant
        same = {k: v for k, v in j.items() if k != 'oauth_grant'}
        self.check(self.told.setdefault(j['uuid'], same) == same, f'another provision of the same uuid: {same} after {self.told[j["uuid"]]}')

    def read(self, method, path, headers, body):
        self.check_head(headers, body)
        m = re.fullmatch(f'{BASE}(?:/({UUID}))?', path)
        self.check(m, f'path {path}')
        j = json.loads(body) if body else None
        if method == 'POST' and not m.group(1):
            self.check_provision(j)
            return {'verb': 'provision', 'uuid': j['uuid'], 'name': j['name'], 'body': j}
        self.check(m.group(1) in self.told, f'{method} of {m.group(1)}, which was never provisioned')
        name = self.told[m.group(1)]['name']
        if method == 'PUT':
            self.check(set(j) == {'plan'} and j['plan'] in PLANS, f'plan change {j}')
            return {'verb': 'change', 'uuid': m.group(1), 'name': name, 'body': j}
        self.check(method == 'DELETE' and not body, f'{method} {path} {body!r}')
        return {'verb': 'deprovision', 'uuid': m.group(1), 'name': name, 'body': None}

    def serve(self, method, path, headers, body):
        try:
            r = self.read(method, path, headers, body)
        except (ValueError, TypeError, KeyError) as e:
            self.wrong.append(f'{method} {path}: {e}')
            return 400, {'message': str(e)}, {}
        r['at'] = time.monotonic()
        self.requests.append(r)
        how = self.mode.get(f'{r["verb"]} {r["name"]}', self.mode.get(r['verb'], 'ok'))
        if callable(how):
            how = how(r)
        if how == 'hang':
            self.gate.wait(60)
            how = 'ok'
        return getattr(self, 'answer_' + r['verb'])(r, how)

    OTHERS = {
        'refuse': (422, {'message': 'no more of these today'}, {}),
        'gone': (410, {'message': 'somebody removed it'}, {}),
        'busy': (503, {'message': 'come back later'}, {}),
        'fails': (500, b'<h1>Internal Server Error</h1>', {}),
        'redirect': (302, None, {'Location': 'https://localhost:1/elsewhere'}),
        'forbidden': (403, {'message': 'who are you?'}, {}),
    }

    def config(self, uuid, n=1):
        return {'ACME_URL': f'acme://{uuid[:8]}:{n}@h', 'ACME_KEY': f'key-{n}'}

    def answer_provision(self, r, how):
        uuid = r['uuid']
        if how in self.OTHERS:
            return self.OTHERS[how]
        with self.lock:
            had = self.there.get(uuid)
            if had is None:
                self.there[uuid] = {'name': r['name'], 'plan': r['body']['plan'], 'n': 1, 'number': len(self.there) + 41}
            self.grants.setdefault(uuid, []).append(r['body']['oauth_grant']['code'])
        if how == 'later':
            return 202, {'id': uuid, 'message': 'it will take a while', 'unknown': [1]}, {}
        if how == 'garbage':
            return 200, b'{"id": "x", "config": {', {}
        if how == 'nothing':
            return 200, None, {}
        if how == 'other-var':
            return 201, {'id': uuid, 'config': {'PATH': '/tmp'}}, {}
        if how == 'huge':
            return 201, {'id': uuid, 'config': self.config(uuid), 'message': 'x' * 400000}, {}
        return 200 if had else 201, {'id': uuid, 'config': self.config(uuid), 'message': 'it is made', 'later_fields': {'a': None}, **self.more}, {}

    def answer_change(self, r, how):
        if how in self.OTHERS:
            return self.OTHERS[how]
        mine = self.there[r['uuid']]
        mine.update(plan=r['body']['plan'], n=mine['n'] + 1)
        if how == 'later':
            return 202, {'message': 'it is being moved'}, {}
        return 200, {'config': self.config(r['uuid'], mine['n']), 'message': f'now {mine["plan"]}'}, {}

    def answer_deprovision(self, r, how):
        if how in ('busy', 'fails'):
            return self.OTHERS[how]
        if how == 'later':
            return 202, {'message': 'it is being removed'}, {}
        had = self.there.pop(r['uuid'], None)
        if how == 'gone':
            return 410, None, {}
        return (204, None, {}) if had else (404, {'message': 'no such resource'}, {})

    # --- single sign-on, as its own page checks it ---
    def login(self, body):
        f = {k: v[0] for k, v in parse_qs(body.decode(), strict_parsing=True).items()}

        def token(*parts, by=hashlib.sha1):
            return by(':'.join(parts).encode()).hexdigest()
        try:
            self.check(set(f) == {'resource_id', 'resource_token', 'user_scoped_resource_token', 'timestamp', 'app', 'email', 'user_id',
                                  'nav-data', 'id', 'token'}, f'fields {sorted(f)}')
            self.check(f['resource_id'] in self.there, 'resource_id')
            self.check(abs(time.time() - int(f['timestamp'])) < 300, 'timestamp')
            self.check(f['resource_token'] == token(f['resource_id'], self.salt, f['timestamp']), 'resource_token')
            self.check(f['token'] == token(f['id'], self.salt, f['timestamp']), 'token')
            self.check(f['user_scoped_resource_token'] == token(f['resource_id'], self.salt, f['timestamp'], f['user_id'], f['email'],
                                                                by=hashlib.sha256), 'user_scoped_resource_token')
            nav = json.loads(base64.b64decode(f['nav-data']))
            self.check(nav['appname'] == f['app'] and nav['addon'] == self.there[f['resource_id']]['name'], 'nav-data')
        except (ValueError, KeyError) as e:
            self.wrong.append(f'sso: {e}')
            return 403, None, {}
        self.logins.append(f)
        return 200, b'<p>the dashboard of %s' % f['email'].encode(), {'Content-Type': 'text/html'}
