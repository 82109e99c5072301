/* When an app sleeps, and waking it. */
#include "daemon/api/sleep.h"
#include "daemon/store/sleep.h"
#include "proto/limits.h"

struct sleep_tx {
	struct api_req *q;
	struct store_sleep s;
};

static int read_sleep(struct tx *tx, void *arg, struct err *err)
{
	struct sleep_tx *t = arg;

	return store_sleep_get(tx, t->q->app.id, &t->s, err);
}

static int answer(struct api_req *q, const struct store_sleep *s)
{
	json_t *after = s->after_s ? json_integer(s->after_s) : json_null();

	return api_ok(q, 200,
		      json_pack("{s:o, s:o, s:b, s:o}", "after", after, "app",
				json_app_ref(&q->app), "asleep", s->asleep, "since",
				json_time(s->since_ms)));
}

int api_sleep_info(struct api_req *q, struct err *err)
{
	struct sleep_tx t = {.q = q};

	if (store_read(q->d->store, read_sleep, &t, err) < 0)
		return -1;
	return answer(q, &t.s);
}

/* Behind what the dynos have just been found to do, which is on its way to the store. */
static int now(struct api_req *q, struct err *err)
{
	struct sleep_tx t = {.q = q};

	if (store_tx(q->d->store, read_sleep, &t, err) < 0)
		return -1;
	return answer(q, &t.s);
}

const struct api_field api_fields_sleep[] = {
	{"after", F_INT, F_REQUIRED | F_NULL, .min = 1, .max = LIM_SLEEP_S,
	 .text = "seconds without a request; null: never"},
	{0},
};

int api_sleep_update(struct api_req *q, struct err *err)
{
	int64_t after = api_get_int(q->body, "after", 0);

	if (release_sleep_set_s(q->d->releases, q->app.id, after, err) < 0)
		return -1;
	if (after)
		api_audit(q, "sleep.set", "after %lld s", (long long)after);
	else
		api_audit(q, "sleep.set", "never");
	return now(q, err);
}

int api_sleep_wake(struct api_req *q, struct err *err)
{
	release_wake(q->d->releases, q->app.id);
	api_audit(q, "sleep.wake", "%s", q->app.name);
	return now(q, err);
}
