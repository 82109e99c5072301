#!/usr/bin/python3
"""Runs the steps of `make check`, counts what they ran, ends with "N passed, N failed".

    check.py [STEP...]     names of steps; all when none is given

A step is a name, a command and a way to count. A step that fails counts as one failure at least, and
the others still run, so that one run shows everything that is wrong."""
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PY = '/usr/bin/python3'
JOBS = str(os.cpu_count() or 1)
WAITERS = str(2 * int(JOBS))  # workers of tests that wait much


def make(*args):
    return ['make', '--no-print-directory', '-s', '-j' + JOBS, *args]


def pytest(*paths, jobs=JOBS):
    fast = ['-x'] if os.environ.get('FAIL_FAST') else []
    return [PY, '-m', 'pytest', '-q', *fast, '--color=no', '-p', 'no:cacheprovider', '--durations=15', '-n', jobs,
            '--dist', 'loadfile', *paths]


# name, command, counter: 'one' = the step is one test; 'cmocka', 'pytest' = read its output
STEPS = [
    ('build', make('all'), 'one'),
    ('layers', ['tests/tools/check-layers.sh'], 'one'),
    ('headers', make('check-headers'), 'one'),
    ('banned', ['tests/tools/check-banned.sh'], 'one'),
    ('format', make('check-fmt'), 'one'),
    ('shellcheck', make('check-shell'), 'one'),
    ('cppcheck', make('check-cppcheck'), 'one'),
    ('docs', make('check-docs'), 'one'),
    ('unit-build', make('FLAVOUR=debug', 'G=-g1', 'unit-bins', 'all'), 'one'),
    ('unit', make('-j1', 'run-unit'), 'cmocka'),
    ('tsan-build', make('FLAVOUR=tsan', 'G=-g1', 'tsan-bins'), 'one'),
    ('tsan', make('-j1', 'run-tsan'), 'cmocka'),
    ('clang-and-fuzz-build', make('FLAVOUR=replay', 'fuzz-bins'), 'one'),  # all of the library by clang, whose warnings are errors
    ('fuzz', make('-j1', 'FLAVOUR=replay', 'run-fuzz-corpus'), 'one'),
    ('harness', make('harnesses'), 'one'),
    ('integration', pytest('tests/integration', jobs=WAITERS), 'pytest'),
    ('e2e-asan', ['env', 'PAAS_FLAVOUR=debug', *pytest('tests/e2e/test_c_app.py')], 'pytest'),
    ('e2e', pytest('tests/e2e', jobs=WAITERS), 'pytest'),
    ('heroku-cli', pytest('tests/heroku-cli', jobs=WAITERS), 'pytest'),
    ('heroku-cli-coverage', [PY, '-m', 'pytest', '-q', '-s', '--color=no', '-p', 'no:cacheprovider', 'tests/heroku-cli/coverage_check.py'],
     'pytest'),
]


def count(kind, text, code):
    if kind == 'one':
        return (0, 1, 0) if code else (1, 0, 0)
    if kind == 'cmocka':
        passed = sum(int(n) for n in re.findall(r'\[  PASSED  \] (\d+) test', text))
        failed = sum(int(n) for n in re.findall(r'\[  FAILED  \] (\d+) test', text))
        skipped = sum(int(n) for n in re.findall(r'\[  SKIPPED \] (\d+) test', text))
    else:
        last = [ln for ln in text.splitlines() if re.search(r'\d+ (passed|failed|error)', ln)][-1:]
        tally = {w: int(n) for n, w in re.findall(r'(\d+) (passed|failed|error|skipped)', ' '.join(last))}
        passed = tally.get('passed', 0)
        failed = tally.get('failed', 0) + tally.get('error', 0)
        skipped = tally.get('skipped', 0)
    if code and not failed:
        failed = 1
    if not passed and not failed:
        print('check: the step ran no test', flush=True)
        failed = 1
    return passed, failed, skipped


def run(name, cmd):
    print(f'=== {name}: {" ".join(cmd)}', flush=True)
    start = time.monotonic()
    proc = subprocess.Popen(cmd, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors='replace')
    text = []
    for line in proc.stdout:
        text.append(line)
        print(line, end='', flush=True)
    code = proc.wait()
    print(f'=== {name}: exit {code}, {time.monotonic() - start:.1f} s', flush=True)
    return ''.join(text), code


def main():
    # Background jobs of a shell ignore these, and so would every program under test.
    for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(s) == signal.SIG_IGN:
            signal.signal(s, signal.SIG_DFL)
    wanted = sys.argv[1:]
    unknown = set(wanted) - {s[0] for s in STEPS}
    if unknown:
        sys.exit('check: no such step: ' + ' '.join(sorted(unknown)))
    total = [0, 0, 0]
    bad = []
    for name, cmd, kind in STEPS:
        if wanted and name not in wanted:
            continue
        text, code = run(name, cmd)
        got = count(kind, text, code)
        if got[1]:
            bad.append(name)
        total = [a + b for a, b in zip(total, got)]
    if bad:
        print('check: failed: ' + ' '.join(bad))
    print(f'{total[0]} passed, {total[1]} failed' + (f', {total[2]} skipped' if total[2] else ''))
    sys.exit(1 if total[1] else 0)


main()
