#!/usr/bin/python3
"""All benchmarks, as one table of ratios to peers and floors that are measured in the same run.

  bench.py [--json] [--only NAME[,NAME]] [--check]

Names: """
import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from benchlib import BUILD, ROOT, NotMeasured, Row, median, medians, need, need_built, own_network, table

sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))


class TimeIsOver(Exception):
    pass


def run(*argv, timeout=60):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True, timeout=timeout).stdout


def in_turns(commands, rounds=3):
    """{name: {measure: median}} of start_bench commands that alternate, so that all see the same machine."""
    got = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            got[name].append(medians(run(*argv)))
    return {name: {k: median([r[k] for r in rs]) for k in rs[0]} for name, rs in got.items()}


# --- each benchmark returns rows ----------------------------------------------------------------

def bench_router():
    need('nginx', 'haproxy', 'wrk')
    import router_bench
    s = 'router, one worker each, 64 connections'
    rows = []
    for path, r in router_bench.compare(router_bench.arguments(['--seconds', '2'])):
        ours, size = r['paas-router'], {'small': '12 bytes', 'large': '100 KB', 'tls small': 'TLS, 12 bytes',
                                        'tls large': 'TLS, 100 KB'}[path]
        most = {'small': 0.80, 'tls small': 0.85}.get(path, 1.0)
        for peer in ('nginx', 'haproxy'):
            best_cpu = r[peer]['cpu_us'] == min(r[p]['cpu_us'] for p in ('nginx', 'haproxy'))
            best_rps = r[peer]['rps'] == max(r[p]['rps'] for p in ('nginx', 'haproxy'))
            rows += [Row(s, f'CPU per request, {size}', ours['cpu_us'], 'us', peer, r[peer]['cpu_us'],
                         limit=most if best_cpu else None),
                     Row(s, f'requests, {size}', ours['rps'], '/s', peer, r[peer]['rps'], more_is_better=True,
                         limit=1.0 if best_rps else None)]
    return sorted(rows, key=lambda r: r.what)


def bench_git():
    need('nginx', 'fcgiwrap')
    need_built('tests/gitd')
    import git_bench
    rows = []
    for kind, best in git_bench.compare(rounds=2):
        ours = best.pop(git_bench.Ours.name)
        for i, what in enumerate(('time', 'CPU')):
            rows += [Row('git receive, per push, behind nginx', f'{kind} pack, {what}', ours[i], 'ms', name, theirs[i])
                     for name, theirs in best.items()]
    return rows


def bench_dyno():
    import wire
    tool, launcher = need_built('bench/start_bench'), need_built('paas-launcher')
    d = tempfile.mkdtemp(prefix='paas-bench-')
    try:
        run_dir, state, slug = (os.path.join(d, x) for x in ('run', 'state', 'state/slugs/one'))
        os.mkdir(run_dir)
        os.makedirs(slug)
        process = wire.LauncherProcess(launcher, run_dir, state)
        try:
            dyno = in_turns({'dyno': [tool, 'dyno', 20, run_dir, slug, '/usr/bin/true'],
                             'floor': [tool, 'spawn', 60, '/usr/bin/true']})
            c = process.connect()
            info = c.info()
            c.close()
        finally:
            process.end()
    finally:
        shutil.rmtree(d, ignore_errors=True)
    s = f'dyno start ({info["runtime"]}, limits: {info["limits"]})'
    return [Row(s, 'CREATE of `true` to its exit', dyno['dyno']['dyno'], 'ms', 'fork + exec + wait',
                dyno['floor']['spawn']),
            Row(s, 'of which until CREATE is answered', dyno['dyno']['created'], 'ms'),
            Row(s, 'clearing away afterwards', dyno['dyno']['removed'], 'ms')]


def bench_http():
    path = os.path.join(BUILD, 'bench', 'http1_bench')
    if not os.path.exists(path):
        raise NotMeasured('install node-llhttp (make deps-test), then make bench')
    rows = []
    for line in run(path).splitlines():
        name, *pairs = line.split()[1:]
        v = dict(p.split('=') for p in pairs)
        rows.append(Row('HTTP parser, per message', f'{name} ({v["bytes"]} bytes)', float(v['ours']), 'ns', 'llhttp',
                        float(v['llhttp'])))
    return rows


def bench_cli():
    """Programs that do next to nothing: what is measured is their start. `whoami` makes a request; what its
    server takes is in it, too."""
    from fake_api import TOKEN, FakeApi
    tool, git = need_built('bench/start_bench'), shutil.which('git')
    ours = need_built('paasctl')
    with FakeApi() as api, tempfile.TemporaryDirectory(prefix='paas-bench-') as home:
        env = ['/usr/bin/env', f'HOME={home}', f'PAASCTL_API_URL={api.url}', f'PAASCTL_API_KEY={TOKEN}']
        programs = {'version': [ours, 'version'], 'words': [ours, 'completion:words', '--', 'releases:r'],
                    'whoami': [*env, ours, 'whoami'], 'true': ['/usr/bin/true'], 'git version': [git, '--version']}
        took = in_turns({name: [tool, 'spawn', 40, *argv] for name, argv in programs.items()})
        if not api.seen('GET', '/account'):
            raise NotMeasured('paasctl whoami asked nothing')
    spawn = {name: t['spawn'] for name, t in took.items()}
    s = 'paasctl: start'
    return [Row(s, 'paasctl version', spawn['version'], 'ms', peer, spawn[peer]) for peer in ('true', 'git version')] + [
        Row(s, 'paasctl version, by itself', spawn['version'], 'ms', limit=10.0),
        Row(s, 'completion of a command', spawn['words'], 'ms', 'git version', spawn['git version']),
        Row(s, 'paasctl whoami, its request included', spawn['whoami'], 'ms', 'git version', spawn['git version'])]


def bench_platform(names):
    """Those that need a whole paasd share one."""
    import platform_bench
    d, rows = platform_bench.Deployed(), []
    try:
        for name in names:
            rows += guarded(name, lambda: platform_bench.BENCHES[name](d))
    finally:
        d.close()
    return rows


ON_PLATFORM = ('push', 'api', 'logs', 'memory', 'promote', 'sleep')
ALONE = {'router': bench_router, 'git': bench_git, 'dyno': bench_dyno, 'http': bench_http, 'cli': bench_cli}
NAMES = ON_PLATFORM + tuple(ALONE)


# --- all of them ----------------------------------------------------------------------------------

def guarded(name, bench):
    """A benchmark that cannot be done says why in its row; the others go on."""
    started = time.monotonic()
    try:
        rows = bench()
    except NotMeasured as e:
        return [Row(name, name, note=f'not measured: {e}')]
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as e:
        return [Row(name, name, note=f'not measured: {type(e).__name__}: {str(e)[:300]}')]
    print(f'{name}: {time.monotonic() - started:.0f} s', file=sys.stderr, flush=True)
    return rows


def on_alarm(*_):
    raise TimeIsOver


def main():
    ap = argparse.ArgumentParser(description=__doc__ + ', '.join(NAMES) + '.',
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--json', action='store_true', help='rows as JSON')
    ap.add_argument('--only', default=','.join(NAMES), help='names, with commas')
    ap.add_argument('--check', action='store_true', help='exit 1 when a target is missed')
    ap.add_argument('--limit', type=int, default=420, help='seconds after which the run is given up')
    args = ap.parse_args()
    wanted = args.only.split(',')
    if set(wanted) - set(NAMES):
        ap.error('no such benchmark: ' + ', '.join(sorted(set(wanted) - set(NAMES))))
    try:
        own_network()
    except NotMeasured as e:
        sys.exit(f'bench: {e}')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(args.limit)
    started, rows = time.monotonic(), []
    try:
        on_platform = [n for n in ON_PLATFORM if n in wanted]
        if on_platform:
            rows += guarded('paasd', lambda: bench_platform(on_platform))
        for name in ALONE:
            if name in wanted:
                rows += guarded(name, ALONE[name])
    except TimeIsOver:
        rows.append(Row('', 'the rest', note=f'not measured: the run took more than {args.limit} s'))
    signal.alarm(0)
    if args.json:
        print(json.dumps({'cores': os.cpu_count(), 'kernel': platform.release(), 'load': os.getloadavg(),
                          'rows': [r.json() for r in rows]}, indent=1))
    else:
        print(table(rows))
        print(f'\n{os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}; '
              f'{time.monotonic() - started:.0f} s')
    return 1 if args.check and any(r.met is False for r in rows) else 0


if __name__ == '__main__':
    sys.exit(main())
