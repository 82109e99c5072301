"""Schedules against Python's own time zones, minute by minute, around changes of the clocks."""
import datetime
import os
import random
import subprocess
import zoneinfo

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAVOUR = os.environ.get('PAAS_FLAVOUR', '')
HARNESS = os.path.join(ROOT, 'build', FLAVOUR, 'tests', 'cron_harness')

# Zones, and years whose changes are looked at: ordinary, half an hour, at midnight, without summer time, far
# ahead (after the file's last change, by its rule), more than one change a year, a day left out.
ZONES = [('Europe/Berlin', 2026), ('America/New_York', 2026), ('America/New_York', 2101), ('Australia/Lord_Howe', 2027),
         ('America/Santiago', 2026), ('Asia/Kathmandu', 2026), ('UTC', 2026), ('Africa/Casablanca', 2026), ('Europe/Dublin', 2045),
         ('Pacific/Apia', 2011), ('Asia/Beirut', 2026), ('America/Nuuk', 2030)]
SCHEDULES = ['*/10 * * * *', '30 * * * *', '* * * * *', '0 0 * * *', '30 2 * * *', '15,45 1-3 * * *', '*/20 2 * * *', '0 3 * * *',
             '5 0-23/2 * * *', '0 0 29 2 *', '59 23 * * sun', '30 1 1,15 * mon', '0 2,3 * * *', '45 23 * * *', '10 0 * oct *',
             '0 */3 * mar-may,sep-nov *']
NAMES = {n: i + 1 for i, n in enumerate('jan feb mar apr may jun jul aug sep oct nov dec'.split())}
NAMES.update({n: i for i, n in enumerate('sun mon tue wed thu fri sat'.split())})


def values(text, low, high):
    out = set()
    for part in text.split(','):
        part, _, step = part.partition('/')
        a, _, b = ('%d-%d' % (low, high) if part == '*' else part).partition('-')
        number = [NAMES.get(x, None) if not x.isdigit() else int(x) for x in (a, b or a)]
        out |= set(range(number[0], number[1] + 1, int(step or 1)))
    return out


class Expected:
    def __init__(self, text):
        m, h, d, mon, w = text.split()
        self.m, self.h, self.d = values(m, 0, 59), values(h, 0, 23), values(d, 1, 31)
        self.mon, self.w = values(mon, 1, 12), {x % 7 for x in values(w, 0, 6)}
        self.either = d[0] != '*' and w[0] != '*'
        self.fixed = len(self.h) < 24

    def matches(self, t):
        day, week = t.day in self.d, t.isoweekday() % 7 in self.w
        return (t.minute in self.m and t.hour in self.h and t.month in self.mon and
                (day or week if self.either else day and week))

    def times(self, clocks):
        """clocks: (instant, local time) of each minute."""
        out, before = [], None
        for t, local in clocks:
            plain = local.replace(tzinfo=None)
            due = self.matches(plain) and not (self.fixed and local.fold)
            while self.fixed and before and before + MINUTE < plain and not due:
                before += MINUTE
                due = before < plain and self.matches(before)
            before = plain
            if due:
                out.append(t)
        return out


MINUTE = datetime.timedelta(minutes=1)


def changes(zone, year):
    """Instants of a year at which the offset is another than a minute before."""
    z = zoneinfo.ZoneInfo(zone)
    start = int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    at = [start + 3600 * i for i in range(24 * 366)]
    offset = [datetime.datetime.fromtimestamp(t, z).utcoffset() for t in at]
    return [t for t, a, b in zip(at[1:], offset, offset[1:]) if a != b] or [start + 86400 * 60]


def ask(lines):
    r = subprocess.run([HARNESS], input='\n'.join(lines) + '\n', capture_output=True, text=True, timeout=60, check=True)
    return r.stdout.splitlines()


@pytest.mark.parametrize('zone, year', ZONES)
def test_against_python(zone, year):
    rng = random.Random(f'{zone} {year}')
    z = zoneinfo.ZoneInfo(zone)
    lines, want = [], []
    for change in changes(zone, year)[:3]:
        first = change - 86400 - change % 60
        clocks = [(t, datetime.datetime.fromtimestamp(t, z)) for t in range(first, first + 3 * 86400, 60)]
        for text in SCHEDULES:
            times = Expected(text).times(clocks)
            for after in [first + rng.randrange(2 * 86400) for _ in range(5)] + [change, change - 1, change - 3600]:
                lines.append(f'{text}\t{zone}\t{after}')
                want.append((next((t for t in times if t > after), None), first + 3 * 86400))
    for line, got, (t, end) in zip(lines, ask(lines), want, strict=True):
        assert int(got) == t if t else int(got) >= end, (line, got, t)


def test_every_zone_can_be_read():
    names = sorted(n for n in zoneinfo.available_timezones() if not n.startswith(('right/', 'posix/')))
    at = [1_000_000_000, 1_700_000_000, 1_790_000_000, 4_000_000_000]
    lines = [f'0 12 * * *\t{n}\t{t}' for n in names for t in at]
    for line, got in zip(lines, ask(lines), strict=True):
        _, n, t = line.split('\t')
        local = datetime.datetime.fromtimestamp(int(got), zoneinfo.ZoneInfo(n))
        assert (local.hour, local.minute) == (12, 0) and 0 < int(got) - int(t) <= 2 * 86400, (line, got, local)


@pytest.mark.parametrize('text, message', [
    ('', 'five fields'), ('* * * *', 'five fields'), ('* * * * * *', 'more than the five'), ('60 * * * *', 'minute: 60 is not within 0 to 59'),
    ('* 24 * * *', 'hour: 24'), ('* * 0 * *', 'day of the month: 0'), ('* * * 13 *', 'month: 13'), ('* * * * 8', 'day of the week: 8'),
    ('* * * foo *', 'month: foo'), ('5-1 * * * *', 'minute: 5-1 ends before'), ('1,,2 * * * *', 'minute: a part of the list is empty'),
    ('*/0 * * * *', 'minute: */0 has a step'), ('5/10 * * * *', 'minute: 5/10 has a step, which needs a range'), ('@reboot', 'five fields'),
    ('0 0 30 2 *', 'never comes'), ('hourly:60', 'minute'), ('daily:24:00', 'hour'), ('daily:6:30', 'daily:HH:MM'),
    ('every 7 minutes', 'divide'), ('? * * * *', 'minute: ?'), ('-1 * * * *', 'minute'), ('1- * * * *', 'minute'), ('99999999999 * * * *', 'minute'),
    ('* * L * *', 'day of the month: L'), ('*' * 300, 'too long')])
def test_what_is_refused(text, message):
    got = ask([f'{text}\tUTC\t0'])[0]
    assert got.startswith('error: ') and message in got, got


@pytest.mark.parametrize('zone', ['Europe/Nowhere', '../etc/passwd', '/etc/localtime', 'Europe', '', 'x' * 100, 'tzdata.zi', 'Europe/../UTC'])
def test_no_such_zone(zone):
    assert 'There is no time zone' in ask([f'@daily\t{zone}\t0'])[0]


@pytest.mark.parametrize('text, same', [
    ('every 10 minutes', '*/10 * * * *'), ('hourly:30', '30 * * * *'), ('daily:06:30', '30 6 * * *'), ('@daily', '0 0 * * *'),
    ('@weekly', '0 0 * * 7'), ('every 2 hours', '0 */2 * * *'), ('  0   5 *\t* MON-FRI ', '0 5 * * 1-5'), ('0 0 * * 5-7', '0 0 * * fri,sat,0')])
def test_words(text, same):
    lines = [f'{s}\tEurope/Berlin\t{t}' for t in (1_790_000_000, 1_795_000_000) for s in (text.replace('\t', ' '), same)]
    got = ask(lines)
    assert got[0] == got[1] and got[2] == got[3] and not got[0].startswith('error')
