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


def test_domains(heroku):
    heroku('domains', *A).has(f'=== {APP} Heroku Domain', f'{APP}.localhost')
    heroku('domains:add', 'www.example.com', *A).has('www.example.com')
    heroku('domains:add', '*.wild.example.com', '--wait', *A)
    heroku('domains:add', 'www.example.com', *A, code=2)
    heroku('domains:add', 'not_a_domain', *A, code=2).has('Error ID: invalid_params')
    heroku('domains', *A).has('Custom Domains', 'www.example.com')
    assert {d['hostname'] for d in heroku('domains', '--json', *A).json} == {f'{APP}.localhost', 'www.example.com', '*.wild.example.com'}
    heroku('domains', '--csv', *A).has('www.example.com')
    heroku('domains', '--filter', 'Domain Name=www', '--sort', 'Domain Name', *A).has('www.example.com')
    heroku('domains:info', 'www.example.com', *A).has('www.example.com')
    heroku('domains:wait', 'www.example.com', *A)
    heroku('domains:wait', *A)
    heroku('domains:remove', 'www.example.com', *A).has('done')
    heroku('domains:remove', 'www.example.com', *A, code=2).has('Error ID: not_found')
    heroku('domains:clear', *A).has('done')
    assert len(heroku('domains', '--json', *A).json) == 1


def test_certs(heroku, cert):
    heroku('certs', *A).has('has no SSL certificates')
    heroku('certs:add', cert / 'a.crt', cert / 'a.key', *A).has('done')
    r = heroku('certs', *A)
    name = re.search(r'^ ?(\w+-\d+)', r.stdout, re.M)[1]
    r.has('www.example.com')
    heroku('certs:info', *A).has('self signed')
    heroku('certs:info', '--name', name, '--show-domains', *A).has('Expires At')
    heroku('domains:add', 'www.example.com', '-c', name, *A)
    heroku('domains:update', 'www.example.com', '--cert', name, *A)
    heroku('certs:update', cert / 'b.crt', cert / 'b.key', '--name', name, '--confirm', APP, *A).has('done')
    heroku('certs:update', cert / 'b.crt', cert / 'a.key', '--name', name, '--confirm', APP, *A, code=2).has('key')
    heroku('certs:add', cert / 'a.key', cert / 'a.key', *A, code=2)
    heroku('domains:clear', *A)
    heroku('certs:remove', '--name', name, '--confirm', APP, *A).has('done')
    heroku('certs', *A).has('has no SSL certificates')


def test_certs_generate(heroku, tmp_path):
    heroku('certs:generate', 'www.example.com', '--now', '--selfsigned', *A, cwd=tmp_path)
    assert (tmp_path / 'www.example.com.crt').exists()
    heroku('certs:generate', 'www.example.org', '--now', *A, cwd=tmp_path)
    assert (tmp_path / 'www.example.org.csr').exists()


def test_certs_auto(heroku):
    heroku('certs:auto', *A).has(f'Automatic Certificate Management is disabled on {APP}')
    heroku('certs:auto:enable', *A, code=2).has('not available on this platform')
    heroku('certs:auto:refresh', *A, code=2).has('not available on this platform')
    heroku('certs:auto:disable', '--confirm', APP, *A).has('done')


def test_drains(heroku):
    heroku('drains', *A)
    heroku('drains:add', 'syslog+tls://logs.example.com:6514', *A).has('Successfully added drain')
    heroku('drains:add', 'https://user:secret@logs.example.com/in', *A)
    assert len(heroku('drains', '--json', *A).json) == 2
    r = heroku('drains', '--extended', *A)
    r.has('logs.example.com')
    heroku('drains:add', 'gopher://logs.example.com', *A, code=2).has('Error ID: invalid_params')
    heroku('drains:remove', 'syslog+tls://logs.example.com:6514', *A).has('Successfully removed drain')
    token = heroku('drains', '--json', *A).json[0]['token']
    heroku('drains:remove', token, *A)
    assert heroku('drains', '--json', *A).json == []


def test_webhooks(heroku):
    heroku('webhooks', *A).has('no webhooks')
    r = heroku('webhooks:add', '-i', 'api:release,api:build', '-l', 'notify', '-u', 'https://hooks.example.com/x', *A)
    assert re.search(r'[0-9a-f]{32,}', r.out), r  # the secret that the server made
    heroku('webhooks:add', '-i', 'api:app', '-l', 'sync', '-u', 'https://hooks.example.com/y', '-s', 'mysecret', '-t', 'Bearer x', *A)
    hooks = heroku.paas.api('GET', f'/apps/{APP}/webhooks')[1]
    heroku('webhooks', *A).has('https://hooks.example.com/x', 'api:release')
    ident = next(h['id'] for h in hooks if h['url'].endswith('/x'))
    heroku('webhooks:info', ident, *A).has(f'=== {ident}', 'Include: api:release,api:build', 'URL: https://hooks.example.com/x')
    heroku.paas.api('PATCH', f'/apps/{APP}/config-vars', {'A': '1'})
    delivery = wait_for('a delivery', lambda: heroku.paas.api('GET', f'/apps/{APP}/webhook-deliveries')[1])[0]
    heroku('webhooks:deliveries', *A).has(delivery['id'], 'api:release')
    heroku('webhooks:deliveries', '-s', 'succeeded', *A).has('no deliveries')
    heroku('webhooks:deliveries:info', delivery['id'], *A).has(f'=== {delivery["id"]}', 'Webhook:', ident, '=== Event Payload')
    heroku('webhooks:events', *A).has(delivery['event']['id'])
    event = delivery['event']['id']
    heroku('webhooks:events:info', event, *A).has(f'=== {event}', 'Set A config vars', '"resource": "release"')
    heroku('webhooks:update', ident, '-i', 'api:dyno', '-l', 'sync', '-u', 'https://hooks.example.com/z', *A).has('done')
    heroku('webhooks:info', ident, *A).has('api:dyno', 'sync')
    heroku('webhooks:add', '-i', 'api:nonsense', '-l', 'notify', '-u', 'https://hooks.example.com/x', *A,
           code=2).has('Error ID: invalid_params')
    heroku('webhooks:deliveries:info', ident, *A, code=2).has('Error ID: not_found')
    heroku('webhooks:remove', ident, *A).has('done')
    assert len(heroku.paas.api('GET', f'/apps/{APP}/webhooks')[1]) == 1


def test_telemetry(heroku):
    heroku('telemetry', *A).has('There are no telemetry drains')
    heroku('telemetry:add', 'https://otel.example.com', '--transport', 'http', *A, code=2).has('no telemetry drains')
    heroku('telemetry:info', '01234567-89ab-4def-8123-456789abcdef', code=2).has('Error ID: not_found')
