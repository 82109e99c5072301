/* Daily backups at an hour of a time zone. The next time is kept in the row, so one that was missed
 * is seen as due at the next look, once. */
#include "daemon/core/tz.h"
#include "daemon/core/xlog.h"
#include "daemon/pg/transfer_int.h"

#include <stdio.h>
#include <string.h>

#define DAY_S 86400

/* The first time after `after` at which clocks show HH:00. In a night whose hour is skipped it is
 * when the clocks go on; of an hour that comes twice, the first one. */
static wall_ms next_time(const struct tz *z, int hour, wall_ms after)
{
	int64_t now = after / 1000, at[2], gap_end;
	struct civil c;

	civil_of(now + tz_offset(z, now), &c);
	for (int d = 0;; d++) { /* ends within three days */
		int64_t local = civil_days(c.year, c.month, c.day + d) * DAY_S + hour * 3600;
		int64_t t = tz_instants(z, local, at, &gap_end) > 0 ? at[0] : gap_end;

		if (t > now)
			return t * 1000;
	}
}

int pg_schedule_next(const char *zone, int hour, wall_ms after, wall_ms *out, struct err *err)
{
	AUTO(tz_free) struct tz *z = NULL;

	if (hour < 0 || hour > 23)
		return err_set(err, ERR_INVALID_PARAMS, "The hour is one of 0 to 23.");
	if (tz_load(zone, &z, err) < 0)
		return -1;
	*out = next_time(z, hour, after);
	return 0;
}

struct schedule_tx {
	struct store_pgt_schedule in;
	struct store_pgt_schedule *out;
	struct store_pgt_schedules due;
	wall_ms now;
};

static int tx_set(struct tx *tx, void *arg, struct err *err)
{
	struct schedule_tx *s = arg;
	AUTO(store_pgt_schedules_clear) struct store_pgt_schedules all = {0};
	bool known = false;

	store_pgt_schedule_clear(s->out);
	if (store_pgt_schedules_list(tx, s->in.addon_id, &all, err) < 0)
		return -1;
	for (int i = 0; i < all.n; i++)
		known = known || strcmp(all.v[i].name, s->in.name) == 0;
	if (!known && all.n >= LIM_SCHEDULES)
		return err_set(err, ERR_INVALID_PARAMS, "A database has at most %d schedules.",
			       LIM_SCHEDULES);
	return store_pgt_schedule_set(tx, &s->in, s->out, err);
}

int pg_schedule_set(struct pg_transfers *t, const char *addon_id, const char *name, int hour,
		    const char *zone, struct store_pgt_schedule *out, struct err *err)
{
	AUTO(auto_str) char *own_name = xstrdup(name);
	AUTO(auto_str) char *own_zone = xstrdup(zone);
	struct schedule_tx s = {.in = {.name = own_name, .timezone = own_zone, .hour = hour},
				.out = out};

	snprintf(s.in.addon_id, sizeof s.in.addon_id, "%.36s", addon_id);
	if (pg_schedule_next(zone, hour, clock_wall_ms(), &s.in.next_ms, err) < 0)
		return -1;
	return store_tx(t->d.store, tx_set, &s, err);
}

static int tx_due(struct tx *tx, void *arg, struct err *err)
{
	struct schedule_tx *s = arg;

	return store_pgt_schedules_due(tx, s->now, &s->due, err);
}

struct fire {
	const struct store_pgt_schedule *s;
	wall_ms next;
};

static int tx_fire(struct tx *tx, void *arg, struct err *err)
{
	const struct fire *f = arg;

	return store_pgt_schedule_fire(tx, f->s, f->next, err);
}

/* A database with too much under way misses its turn, and is told of in the log. */
static int fire(struct pg_transfers *t, const struct store_pgt_schedule *s, wall_ms now)
{
	struct fire f = {.s = s, .next = now + DAY_S * 1000};
	struct err err = {0};

	if (pg_schedule_next(s->timezone, s->hour, now, &f.next, &err) == 0 &&
	    store_tx(t->d.store, tx_fire, &f, &err) == 0)
		return 0;
	xlog_err(XLOG_ERROR, "pg", &err, "msg=\"scheduled backup not begun\" addon_id=%s",
		 s->addon_id);
	return -1;
}

int pg_schedules_run(struct pg_transfers *t, wall_ms now, struct err *err)
{
	struct schedule_tx s = {.now = now};

	if (store_read(t->d.store, tx_due, &s, err) < 0)
		return -1;
	for (int i = 0; i < s.due.n; i++)
		fire(t, &s.due.v[i], now);
	store_pgt_schedules_clear(&s.due);
	return 0;
}
