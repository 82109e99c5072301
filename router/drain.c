#include "router/drain.h"
#include "router/logline.h"
#include "router/worker.h"

#include <string.h>

struct drain {
	struct rt_drains *all;
	void *client; /* NULL once it is gone */
	uint64_t seq;
	uint32_t id, round; /* answers of an older round are late */
	char dyno_id[64];
	int asked, left;
	bool last_round;
	struct loop_timer *timer;
	struct drain *prev, *next;
};

struct rt_drains {
	struct rt *rt;
	void (*done)(void *client, uint64_t seq, int left);
	struct drain *first;
	uint32_t last_id;
};

static void on_drain_answer(void *arg);

static void ask_workers(struct drain *d, bool now)
{
	struct rt *rt = d->all->rt;

	d->round++;
	d->asked = rt->opts.workers;
	d->left = 0;
	for (int i = 0; i < rt->opts.workers; i++) {
		struct rt_drain_ask *ask = xcalloc(1, sizeof *ask);

		rt_copy(ask->dyno_id, sizeof ask->dyno_id, d->dyno_id);
		ask->now = now;
		ask->answer = on_drain_answer;
		ask->arg = d->all;
		ask->worker = i;
		ask->drain = d->id;
		ask->round = d->round;
		rt_worker_drain(rt->workers[i], ask);
	}
}

static void drain_finish(struct drain *d)
{
	d->all->done(d->client, d->seq, d->left);
	loop_timer_stop(d->timer);
	if (d->prev)
		d->prev->next = d->next;
	else
		d->all->first = d->next;
	if (d->next)
		d->next->prev = d->prev;
	free(d);
}

static struct drain *drain_find(struct rt_drains *all, uint32_t id)
{
	struct drain *d = all->first;

	while (d && d->id != id)
		d = d->next;
	return d;
}

static void on_drain_answer(void *arg)
{
	struct rt_drain_ask *ask = arg;
	struct drain *d = drain_find(ask->arg, ask->drain);

	if (d && d->round == ask->round) {
		d->left += ask->left;
		if (--d->asked == 0 && (d->left == 0 || d->last_round))
			drain_finish(d);
	}
	free(ask);
}

static void on_drain_timeout(void *arg)
{
	struct drain *d = arg;

	d->timer = NULL;
	d->last_round = true;
	ask_workers(d, true);
}

void rt_drains_start(struct rt_drains *all, void *client, uint64_t seq, const char *dyno_id,
		     uint64_t timeout_ms)
{
	struct drain *d = xcalloc(1, sizeof *d);

	d->all = all;
	d->client = client;
	d->seq = seq;
	d->id = ++all->last_id;
	rt_copy(d->dyno_id, sizeof d->dyno_id, dyno_id);
	d->next = all->first;
	if (all->first)
		all->first->prev = d;
	all->first = d;
	d->timer = loop_timer_start(all->rt->main_loop, timeout_ms, on_drain_timeout, d);
	ask_workers(d, false);
}

void rt_drains_recount(struct rt_drains *all, const char *dyno_id)
{
	/* over all workers: another may have begun since */
	for (struct drain *d = all->first; d; d = d->next)
		if (!d->last_round && strcmp(d->dyno_id, dyno_id) == 0)
			ask_workers(d, false);
}

void rt_drains_orphan(struct rt_drains *all, const void *client)
{
	for (struct drain *d = all->first; d; d = d->next)
		if (d->client == client)
			d->client = NULL;
}

void rt_drains_end(struct rt_drains *all)
{
	while (all->first)
		drain_finish(all->first);
}

struct rt_drains *rt_drains_new(struct rt *rt, void (*done)(void *client, uint64_t seq, int left))
{
	struct rt_drains *all = xcalloc(1, sizeof *all);

	all->rt = rt;
	all->done = done;
	return all;
}

void rt_drains_free(struct rt_drains *all)
{
	free(all);
}
