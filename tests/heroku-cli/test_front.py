"""domains, certs, drains, webhooks, telemetry, status, and what does not exist here."""
import re
import subprocess

import pytest

from platform_under_test import wait_for

APP = 'front-app'
A = ['-a', APP]


@pytest.fixture(scope='module', autouse=True)
def app(heroku):
    assert heroku.paas.api('POST', '/apps', {'name': APP})[0] == 201


@pytest.fixture(scope='module')
def cert(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cert')
    for name, days in (('a', '90'), ('b', '80')):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', days,
                        '-subj', '/CN=www.example.com', '-addext', 'subjectAltName=DNS:www.example.com,DNS:example.com',
                        '-keyout', str(folder / f'{name}.key'), '-out', str(folder / f'{name}.crt')], check=True, capture_output=True)
    return folder


def test_domains(session):
    session('domains', *A).has(f'=== {APP} Heroku Domain', f'{APP}.localhost')
    session('domains:add', 'www.example.com', *A).has('www.example.com')
    session('domains:add', '*.wild.example.com', '--wait', *A)
    session('domains:add', 'www.example.com', *A, code=2)
    session('domains:add', 'not_a_domain', *A, code=2).has('Error ID: invalid_params')
    session('domains', *A).has('Custom Domains', 'www.example.com')
    assert {d['hostname'] for d in session('domains', '--json', *A).json} == {f'{APP}.localhost', 'www.example.com', '*.wild.example.com'}
    session('domains', '--csv', *A).has('www.example.com')
    session('domains', '--filter', 'Domain Name=www', '--sort', 'Domain Name', *A).has('www.example.com')
    session('domains:info', 'www.example.com', *A).has('www.example.com')
    session('domains:wait', 'www.example.com', *A)
    session('domains:wait', *A)
    session('domains:remove', 'www.example.com', *A).has('done')
    session('domains:remove', 'www.example.com', *A, code=2).has('Error ID: not_found')
    session('domains:clear', *A).has('done')
    assert len(session('domains', '--json', *A).json) == 1


def test_certs(session, cert):
    session('certs', *A).has('has no SSL certificates')
    session('certs:add', cert / 'a.crt', cert / 'a.key', *A).has('done')
    r = session('certs', *A)
    name = re.search(r'^ ?(\w+-\d+)', r.stdout, re.M)[1]
    r.has('www.example.com')
    session('certs:info', *A).has('self signed')
    session('certs:info', '--name', name, '--show-domains', *A).has('Expires At')
    session('domains:add', 'www.example.com', '-c', name, *A)
    session('domains:update', 'www.example.com', '--cert', name, *A)
    session('certs:update', cert / 'b.crt', cert / 'b.key', '--name', name, '--confirm', APP, *A).has('done')
    session('certs:update', cert / 'b.crt', cert / 'a.key', '--name', name, '--confirm', APP, *A, code=2).has('key')
    session('certs:add', cert / 'a.key', cert / 'a.key', *A, code=2)
    session('domains:clear', *A)
    session('certs:remove', '--name', name, '--confirm', APP, *A).has('done')
    session('certs', *A).has('has no SSL certificates')


def test_certs_generate(heroku, tmp_path):
    heroku('certs:generate', 'www.example.com', '--now', '--selfsigned', *A, cwd=tmp_path)
    assert (tmp_path / 'www.example.com.crt').exists()
    heroku('certs:generate', 'www.example.org', '--now', *A, cwd=tmp_path)
    assert (tmp_path / 'www.example.org.csr').exists()


def test_certs_auto(session):
    session('certs:auto', *A).has(f'Automatic Certificate Management is disabled on {APP}')
    session('certs:auto:enable', *A, code=2).has('not available on this platform')
    session('certs:auto:refresh', *A, code=2).has('not available on this platform')
    session('certs:auto:disable', '--confirm', APP, *A).has('done')


def test_drains(session):
    session('drains', *A)
    session('drains:add', 'syslog+tls://logs.example.com:6514', *A).has('Successfully added drain')
    session('drains:add', 'https://user:secret@logs.example.com/in', *A)
    assert len(session('drains', '--json', *A).json) == 2
    r = session('drains', '--extended', *A)
    r.has('logs.example.com')
    session('drains:add', 'gopher://logs.example.com', *A, code=2).has('Error ID: invalid_params')
    session('drains:remove', 'syslog+tls://logs.example.com:6514', *A).has('Successfully removed drain')
    token = session('drains', '--json', *A).json[0]['token']
    session('drains:remove', token, *A)
    assert session('drains', '--json', *A).json == []


def test_webhooks(heroku, session):
    session('webhooks', *A).has('no webhooks')
    r = session('webhooks:add', '-i', 'api:release,api:build', '-l', 'notify', '-u', 'https://hooks.example.com/x', *A)
    assert re.search(r'[0-9a-f]{32,}', r.out), r  # the secret that the server made
    session('webhooks:add', '-i', 'api:app', '-l', 'sync', '-u', 'https://hooks.example.com/y', '-s', 'mysecret', '-t', 'Bearer x', *A)
    hooks = heroku.paas.api('GET', f'/apps/{APP}/webhooks')[1]
    session('webhooks', *A).has('https://hooks.example.com/x', 'api:release')
    ident = next(h['id'] for h in hooks if h['url'].endswith('/x'))
    session('webhooks:info', ident, *A).has(f'=== {ident}', 'Include: api:release,api:build', 'URL: https://hooks.example.com/x')
    heroku.paas.api('PATCH', f'/apps/{APP}/config-vars', {'A': '1'})
    delivery = wait_for('a delivery', lambda: heroku.paas.api('GET', f'/apps/{APP}/webhook-deliveries')[1])[0]
    session('webhooks:deliveries', *A).has(delivery['id'], 'api:release')
    session('webhooks:deliveries', '-s', 'succeeded', *A).has('no deliveries')
    session('webhooks:deliveries:info', delivery['id'], *A).has(f'=== {delivery["id"]}', 'Webhook:', ident, '=== Event Payload')
    session('webhooks:events', *A).has(delivery['event']['id'])
    event = delivery['event']['id']
    session('webhooks:events:info', event, *A).has(f'=== {event}', 'Set A config vars', '"resource": "release"')
    session('webhooks:update', ident, '-i', 'api:dyno', '-l', 'sync', '-u', 'https://hooks.example.com/z', *A).has('done')
    session('webhooks:info', ident, *A).has('api:dyno', 'sync')
    session('webhooks:add', '-i', 'api:nonsense', '-l', 'notify', '-u', 'https://hooks.example.com/x', *A,
           code=2).has('Error ID: invalid_params')
    session('webhooks:deliveries:info', ident, *A, code=2).has('Error ID: not_found')
    session('webhooks:remove', ident, *A).has('done')
    assert len(heroku.paas.api('GET', f'/apps/{APP}/webhooks')[1]) == 1


def test_telemetry(session):
    session('telemetry', *A).has('There are no telemetry drains')
    session('telemetry:add', 'https://otel.example.com', '--transport', 'http', *A, code=2).has('no telemetry drains')
    session('telemetry:info', '01234567-89ab-4def-8123-456789abcdef', code=2).has('Error ID: not_found')
