"""Who may do what: the whole route table with every kind of caller. What must happen is computed from
the table's own words (need, scope); that it is so is what the tests see to."""
import itertools
import subprocess

import pytest

from api_client import SCHEMA, Client, routes

PERMS = ['view', 'deploy', 'operate', 'manage']
SCOPES = ['identity', 'read', 'write', 'read-protected', 'write-protected', 'global']
GIVES = {
    'identity': {'any'},
    'read': {'any', 'read'},
    'write': {'any', 'read', 'write'},
    'read-protected': {'any', 'read', 'read-protected'},
    'write-protected': {'any', 'read', 'write', 'read-protected', 'write-protected'},
    'global': {'any', 'read', 'write', 'read-protected', 'write-protected', 'global'},
}
# Filled in for the parameters of paths; none of them exists, so that allowed requests change nothing.
PARAMS = {':account': '~', ':authorization': 'no-such', ':client': 'no-such', ':key': 'no-such', ':feature': 'no-such',
          ':invitation': 'no-such', ':login': 'no-such', ':session': 'no-such', ':collaborator': 'no@example.com',
          ':release': '99', ':formation': 'no-such', ':type': 'no-such', ':dyno': 'no.1', ':build': 'no-such',
          ':slug': 'no-such', ':source': 'no-such', ':expires': '1', ':secret': 'no-such', ':stack': 'no-such', ':region': 'no-such',
          ':domain': 'no-such', ':drain': 'no-such', ':webhook': 'no-such', ':event': 'no-such', ':delivery': 'no-such', ':sni_endpoint': 'no-such',
          ':add_on': 'no-such', ':transfer': '999', ':schedule': 'no-such', ':add_on_attachment': 'no-such', ':add_on_service': 'no-such', ':plan': 'no-such', ':pipeline': 'no-such',
          ':credential': 'no-such', ':link': 'no-such', ':step': 'no-such',
          ':pipeline_coupling': 'no-such', ':pipeline_promotion': 'no-such', ':stage': 'review',
          ':app_transfer': 'no-such', ':telemetry_drain': 'no-such', ':dyno_size': 'no-such', ':buildpack': 'no%2Fsuch'}
UNKNOWN = {'no_such_field': 1}


def target(route, app):
    return '/'.join({':app': app, **PARAMS}.get(p, p) for p in route.path.split('/'))


class People:
    """An owner with an app, tokens of each scope, a stranger, somebody to be made collaborator."""

    def __init__(self, paas):
        self.admin = Client(paas, paas.token)
        self.owner = self.admin.with_token(paas.new_user('owner@example.com'))
        self.stranger = self.admin.with_token(paas.new_user('stranger@example.com'))
        self.mate = self.admin.with_token(paas.new_user('mate@example.com'))
        self.scoped = {}
        for scope in SCOPES:
            a = self.owner('POST', '/oauth/authorizations', {'scope': [scope]}, want=201)
            self.scoped[scope] = self.admin.with_token(a.json['access_token']['token'])
        self.app = 'walked'
        self.owner('POST', '/apps', {'name': self.app}, want=201)

    def fresh_app(self):
        """DELETE of an app cannot be tried without doing it."""
        if not self.app_exists():
            self.owner('POST', '/apps', {'name': self.app}, want=201)

    def app_exists(self):
        return self.owner('GET', f'/apps/{self.app}').status == 200


@pytest.fixture(scope='module')
def people(paas):
    return People(paas)


def expected(route, *, user, perms=frozenset(), scope='global', admin=False):
    """401, 403, 404 (the app is hidden), or 'in' (the handler had it)."""
    if route.need in ('anyone', 'secret in the URL'):
        return 'in'
    if not user:
        return 401
    if route.scope not in GIVES[scope]:
        return 403
    if route.need in ('any account', 'e-mail and password, or token'):
        return 'in'
    if route.need == "the add-on's provider":
        return 403
    if route.need == 'administrator':
        return 'in' if admin else 403
    if not perms:
        return 404
    return 'in' if route.need in perms else 403


def outcome(a):
    if a.status in (401, 403):
        return a.status
    if a.status == 404 and a.json and a.json.get('resource') == 'app':  # pages have no JSON
        return 404
    assert a.status < 500 and a.status != 405, a
    return 'in'


def walk(people, client, **who):
    wrong = []
    for route in client.routes:
        if route.name == 'DELETE /apps/:app' and expected(route, **who) == 'in':
            continue  # tried apart
        body = None if route.method == 'GET' else UNKNOWN
        a = client(route.method, target(route, people.app), body)
        if outcome(a) != expected(route, **who):
            wrong.append((route.name, a.status, expected(route, **who)))
    assert not wrong, wrong


def test_the_schema_knows_every_route(paas):
    named = {r.name for r in routes(paas.bin) if not r.stream}
    assert named == set(SCHEMA['answers'])


def test_without_credentials(people):
    walk(people, people.admin.with_token(None), user=None)


@pytest.mark.parametrize('header', [
    'Bearer', 'Bearer ', 'Bearer x', 'Bearer PAAS-' + '0' * 48, 'Basic', 'Basic ', 'Basic !!!', 'Basic Og==',
    'Basic eA==', 'Digest x', 'Bearer ' + 'x' * 7000, 'Basic AAAA', "Bearer ' OR 1=1 --"])
def test_with_garbage(people, header):
    c = people.admin.with_token(None)
    for route in c.routes:
        a = c(route.method, target(route, people.app), None if route.method == 'GET' else UNKNOWN,
              headers={'Authorization': header})
        assert outcome(a) == expected(route, user=None), (route.name, a)
    c.close()


def test_of_another_user(people):
    walk(people, people.stranger, user='stranger')


@pytest.mark.parametrize('scope', SCOPES)
def test_of_each_scope(people, scope):
    walk(people, people.scoped[scope], user='owner', scope=scope, perms={'view', 'deploy', 'operate', 'manage', 'owner'})
    assert people.app_exists()


def test_of_several_scopes(people):
    a = people.owner('POST', '/oauth/authorizations', {'scope': ['identity', 'write', 'read-protected']}, want=201)
    c = people.admin.with_token(a.json['access_token']['token'])
    both = GIVES['write'] | GIVES['read-protected']
    for route in c.routes:
        if route.name == 'DELETE /apps/:app':
            continue
        a = c(route.method, target(route, people.app), None if route.method == 'GET' else UNKNOWN)
        secret = route.need in ('anyone', 'secret in the URL')
        want = 'in' if (secret or route.scope in both) and route.need not in ('administrator', "the add-on's provider") else 403
        assert outcome(a) == want, (route.name, a)


@pytest.mark.parametrize('perms', [list(c) for n in range(0, 5) for c in itertools.combinations(PERMS, n)], ids='+'.join)
def test_of_each_set_of_permissions(people, perms):
    if perms:
        a = people.owner('POST', f'/apps/{people.app}/collaborators', {'user': 'mate@example.com', 'permissions': perms},
                         want=201)
        # whoever may do anything may see the app
        assert {p['name'] for p in a.json['permissions']} == set(perms) | {'view'}
    walk(people, people.mate, user='mate', perms=set(perms) | {'view'} if perms else set())
    if perms:
        people.owner('DELETE', f'/apps/{people.app}/collaborators/mate@example.com', want=200)
    assert people.mate('GET', f'/apps/{people.app}').status == 404


def test_of_an_administrator(people):
    walk(people, people.admin, user='admin', admin=True, perms={'view', 'deploy', 'operate', 'manage', 'owner'})


def test_only_owner_and_administrators_destroy(people):
    path = f'/apps/{people.app}'
    people.owner('POST', path + '/collaborators', {'user': 'mate@example.com'}, want=201)
    people.mate('DELETE', path, want=403)
    people.scoped['read']('DELETE', path, want=403)
    assert people.app_exists()
    for client in (people.scoped['write'], people.scoped['global'], people.admin):
        people.fresh_app()
        client('DELETE', path, want=200)
        assert not people.app_exists()
    people.fresh_app()


def test_what_the_table_does_not_have(people):
    """Every other method on every path is 405 with what there is; every other path is 404. No token needed."""
    paths = {}
    for r in people.admin.routes:
        paths.setdefault(r.path, set()).add(r.method)
    nobody = people.admin.with_token(None)
    for path, methods in paths.items():
        route = next(r for r in people.admin.routes if r.path == path)
        for method in {'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'} - methods:
            a = nobody.send(method, target(route, people.app))
            assert a.status == 405, (method, path, a)
            allowed = set(a.headers['Allow'].split(', '))
            assert allowed - {'HEAD'} == methods and ('HEAD' in allowed) == any(
                r.path == path and r.method == 'GET' and (not r.stream or path.startswith('/blobs/backups/')) for r in people.admin.routes)
    for path in ['/', '/x', '/apps/a/b', '/apps//', '//apps', '/Apps', '/apps/a/releases/1/config-vars/x', '/userz',
                 '/attach', '/apps/%00', '/apps/%zz', '/apps/a%', '/./apps']:
        for client in (nobody, people.admin):
            a = client.send('GET', path)
            assert a.status in (404, 400), (path, a)


def test_a_collaborator_may_leave_but_not_throw_out(people):
    path = f'/apps/{people.app}/collaborators'
    people.fresh_app()
    a = people.owner('POST', path, {'user': 'mate@example.com', 'permissions': ['view']}, want=201)
    people.owner('POST', path, {'user': 'stranger@example.com'}, want=201)
    people.mate('DELETE', path + '/stranger@example.com', want=403)
    people.mate('DELETE', path + '/owner@example.com', want=403)
    people.mate('DELETE', f'{path}/{a.json["id"]}', want=200)
    people.mate('GET', f'/apps/{people.app}', want=404)
    people.stranger('DELETE', path + '/owner@example.com', want=422)  # the owner stays
    people.stranger('DELETE', path + '/stranger%40example.com', want=200)


def test_nobody_hands_out_more_than_they_have(people):
    path = f'/apps/{people.app}/collaborators'
    people.fresh_app()
    people.owner('POST', path, {'user': 'mate@example.com', 'permissions': ['manage']}, want=201)
    for body in ({'user': 'stranger@example.com'},
                 {'user': 'stranger@example.com', 'permissions': ['view', 'deploy']},
                 {'user': 'stranger@example.com', 'permissions': ['operate']}):
        a = people.mate('POST', path, body, want=403)
        assert 'deploy' in a.message or 'operate' in a.message
    people.mate('POST', path, {'user': 'stranger@example.com', 'permissions': ['manage']}, want=201)
    for who in ('stranger', 'mate'):
        people.owner('DELETE', f'{path}/{who}@example.com', want=200)


def test_sub_resources_of_other_apps_are_not_reached_through_ones_own(people):
    """An id that exists, under an app that it does not belong to."""
    people.fresh_app()
    people.stranger('POST', '/apps', {'name': 'of-stranger'}, want=201)
    rel = people.owner('GET', f'/apps/{people.app}/releases', want=200).json[0]['id']
    collab = people.owner('GET', f'/apps/{people.app}/collaborators', want=200).json[0]['id']
    auth = people.owner('GET', '/oauth/authorizations', want=200).json[0]['id']
    s = people.stranger
    s('GET', f'/apps/of-stranger/releases/{rel}', want=404)
    s('GET', f'/apps/of-stranger/releases/{rel}/config-vars', want=404)
    s('POST', '/apps/of-stranger/releases', {'release': rel}, want=404)
    s('GET', f'/apps/of-stranger/collaborators/{collab}', want=404)
    s('DELETE', f'/apps/of-stranger/collaborators/{collab}', want=404)
    s('GET', f'/oauth/authorizations/{auth}', want=404)
    s('DELETE', f'/oauth/authorizations/{auth}', want=404)
    s('GET', '/users/owner@example.com', want=404)
    s('GET', '/users/owner@example.com/apps', want=404)
    s('GET', '/users/STRANGER@example.com', want=200)


def test_names_of_others_apps_do_not_leak(people):
    """The app of somebody else and one that does not exist look the same."""
    people.fresh_app()
    a = people.stranger('GET', f'/apps/{people.app}')
    b = people.stranger('GET', '/apps/no-such-app-at-all')
    assert (a.status, a.json) == (b.status, b.json)


def test_pages_of_other_sites_cannot_write(people):
    people.fresh_app()
    path = f'/apps/{people.app}'
    for site in ('cross-site', 'same-site'):
        people.owner('PATCH', path, {'maintenance': True}, headers={'Sec-Fetch-Site': site}, want=403)
        people.owner('GET', path, headers={'Sec-Fetch-Site': site}, want=200)
    people.owner('PATCH', path, {'maintenance': False}, headers={'Sec-Fetch-Site': 'same-origin'}, want=200)


def test_every_change_is_in_the_audit_trail(people):
    people.fresh_app()
    path = f'/apps/{people.app}'
    people.owner('PATCH', path + '/config-vars', {'SECRET_KEY': 'hunter2hunter2'}, want=200)
    people.owner('PATCH', path, {'maintenance': True}, want=200)
    people.owner('PATCH', path, {'maintenance': False}, want=200)
    people.owner('POST', path + '/collaborators', {'user': 'mate@example.com', 'permissions': ['view']}, want=201)
    people.owner('DELETE', path + '/collaborators/mate@example.com', want=200)
    people.owner('PUT', path + '/buildpack-installations', {'updates': [{'buildpack': 'heroku/ruby'}]}, want=200)
    rows = people.owner('GET', path + '/audit', headers={'Range': 'id ..; max=6, order=desc'}).json
    got = [(r['action'], r['detail'].strip()) for r in rows]
    assert got == [('buildpacks.set', '1'), ('collaborator.remove', 'mate@example.com'),
                   ('collaborator.add', 'mate@example.com: view'), ('app.update', 'maintenance=off'),
                   ('app.update', 'maintenance=on'), ('config.update', 'SECRET_KEY')]
    assert all(r['actor'] == 'owner@example.com' and r['peer'] == '127.0.0.1' and r['request_id'] for r in rows)
    assert not any('hunter2' in str(r) for r in rows)


def test_api_routes_is_json(paas):
    out = subprocess.run([paas.bin + '/paasd', 'api:routes'], capture_output=True, text=True, check=True).stdout
    assert len(out.splitlines()) > 50
