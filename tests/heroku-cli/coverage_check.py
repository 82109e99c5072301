#!/usr/bin/python3
"""The last step after the suite: which commands of the Heroku CLI ran, which cannot work here and why.

    coverage_check.py --docs > docs/heroku-cli.md

Every command of the CLI's own manifests either ran and ended well, or is in CANNOT; none is in both."""
import fnmatch
import glob
import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

from heroku_cli import SEEN, VERSION, manifest  # noqa: E402

FORMS_AT_LEAST = 120
DOC = os.path.join(ROOT, 'docs', 'heroku-cli.md')

CI = 'the platform runs no tests of its own: review apps wait for those of your git provider (`reviewapps:enable --wait-for-ci`)'
TEAMS = 'needs teams: here people work together as collaborators of apps'
VENDOR = 'asks a server of the vendor whose name is fixed in the CLI'
REGISTRY = "fetches programs from the vendor or the npm registry; nothing of the platform's"

# Patterns of command ids: the reason. `!` takes back what an earlier pattern took.
CANNOT = [
    ("is about the vendor's own maintenances and `advanced` databases; `pg` and `addons` are for those that are here", ['data:*']),
    ('databases have no replicas, links, pools or upgrades of their own here',
     ['pg:unfollow', 'pg:links:create', 'pg:links:destroy', 'pg:connection-pooling:attach', 'pg:upgrade:*', 'redis:upgrade']),
    ('is about the whole server, which apps share', ['pg:settings:log-connections', 'pg:settings:data-connector-details-logs']),
    (VENDOR + '; `pg:outliers`, `pg:bloat` and the like answer', ['pg:diagnose']),
    (CI, ['ci', 'ci:*']),
    (TEAMS, ['members', 'members:*', 'orgs:open', 'access:update', 'apps:join', 'apps:lock', 'apps:unlock']),
    ('needs private spaces, which this platform does not have', ['spaces', 'spaces:*']),
    ('takes apps of the `container` stack and a registry at a fixed name; apps here are built from source',
     ['container:*']),
    ('there are no OAuth clients: programs get tokens from `authorizations:create`', ['clients:*']),
    ('there are no telemetry drains; log drains carry metrics and logs', ['telemetry:*']),
    ('certificates are not made by the platform yet; `certs:add` brings your own',
     ['certs:auto:enable', 'certs:auto:refresh']),
    (VENDOR + '; `heroku logs` shows errors', ['apps:errors']),
    (VENDOR + '; `paasctl` has these commands', ['pipelines:connect', 'pipelines:diff', 'pipelines:setup']),
    ("opens the vendor's dashboard in a browser; `paasctl pipelines:open` opens the app", ['pipelines:open']),
    (VENDOR, ['apps:favorites', 'apps:favorites:*', 'dashboard', 'notifications']),
    (VENDOR + '; `ps:scale` scales', ['ps:autoscale:*']),
    ('reads or writes the login of the vendor\'s own host names', ['accounts:current', 'accounts:set']),
    ('needs an ssh server of the vendor; `heroku run` and `run:inside` open a shell',
     ['ps:exec', 'ps:copy', 'ps:forward', 'ps:socks']),
    ('the vendor took it out of the CLI; here it is `paasctl 2fa:disable`', ['auth:2fa:disable']),
    ("the CLI does not find its own server's file when npm has installed it", ['mcp:start']),
    (REGISTRY, ['update', 'plugins:install', 'plugins:update',
                'plugins:link', 'plugins:uninstall', 'plugins:reset', 'plugins:inspect']),
]

INTRO = f'''# The Heroku CLI's commands here

Made from the table with which the tests run the unmodified Heroku CLI ({VERSION}) against the platform
(`tests/heroku-cli/coverage_check.py --docs > docs/heroku-cli.md`): do not edit. How to set it up is in
[howto/use-the-heroku-cli.md](howto/use-the-heroku-cli.md).
'''


def reasons(commands):
    """Command -> why it cannot work."""
    why = {}
    for reason, patterns in CANNOT:
        for p in patterns:
            for command in commands:
                if p.startswith('!') and command == p[1:]:
                    why.pop(command, None)
                elif not p.startswith('!') and fnmatch.fnmatchcase(command, p):
                    why[command] = reason
    return why


def docs():
    commands = sorted(c for c in manifest() if not c.startswith('autocomplete:'))
    why = reasons(commands)
    out = [INTRO, '## Commands that work\n']
    topics = {}
    for c in commands:
        if c not in why:
            topics.setdefault(c.split(':')[0], []).append(c)
    out.append('| | |\n|---|---|')
    for topic, names in topics.items():
        out.append(f'| {topic} | {", ".join(f"`{n}`" for n in names)} |')
    out.append('\n`clients`, `teams`, `orgs` and `telemetry` answer that there are none.\n')
    out.append('## Commands that cannot work\n\nThey say so and change nothing.\n\n| command | why |\n|---|---|')
    for reason, patterns in CANNOT:
        names = [f'`{p}`' for p in patterns if not p.startswith('!')]
        out.append(f'| {", ".join(names)} | {reason} |')
    return '\n'.join(out) + '\n'


def seen():
    """[command, as it was typed, flags, number of arguments, exit status or null], of every command that was run."""
    for name in glob.glob(os.path.join(SEEN, '*.jsonl')):
        with open(name) as f:
            for line in f:
                yield json.loads(line)


@pytest.fixture(scope='module')
def ran():
    rows = list(seen())
    assert rows, 'run the suite first: pytest tests/heroku-cli'
    return rows


def test_every_command_is_accounted_for(ran):
    well = {command for command, _, _, _, code in ran if code == 0}
    commands = sorted(manifest())
    why = reasons(commands)
    for _, patterns in CANNOT:
        for p in patterns:
            assert fnmatch.filter(commands, p.lstrip('!')), f'{p}: the CLI has no such command'
    lost = [c for c in commands if c not in well and c not in why]
    assert not lost, f'neither ran well nor in CANNOT: {lost}'
    wrong = sorted(well & set(why))
    assert not wrong, f'in CANNOT, and yet they ended well: {wrong}'


def test_forms(ran):
    forms = {(command, tuple(flags), n) for command, _, flags, n, code in ran if code is not None}
    good = {(command, tuple(flags), n) for command, _, flags, n, code in ran if code == 0}
    commands = sorted(manifest())
    why = reasons(commands)
    refused = {r[0] for r in ran} & set(why)
    print(f'\n{len(ran)} calls of {len({r[0] for r in ran})} commands ({len({r[1] for r in ran})} names) in {len(forms)} forms, '
          f'{len(good)} of them with success; of {len(commands)} commands {len(commands) - len(why)} work, {len(why)} cannot, '
          f'{len(refused)} of which were seen to say so')
    assert len(good) >= FORMS_AT_LEAST


def test_the_page_is_in_step():
    with open(DOC) as f:
        assert f.read() == docs(), 'docs/heroku-cli.md is stale: tests/heroku-cli/coverage_check.py --docs > docs/heroku-cli.md'


if __name__ == '__main__' and sys.argv[1:] == ['--docs']:
    sys.stdout.write(docs())
