#include "router/worker.h"

static void (*const on_timeout[RT_T_COUNT])(struct rt_worker *w, struct rt_timer *t) = {
	[RT_T_HEAD] = rt_conn_timeout,	   [RT_T_IDLE] = rt_conn_timeout,
	[RT_T_TLS] = rt_conn_timeout,	   [RT_T_FIRST] = rt_conn_timeout,
	[RT_T_BETWEEN] = rt_conn_timeout,  [RT_T_QUEUE] = rt_conn_timeout,
	[RT_T_LINGER] = rt_conn_timeout,   [RT_T_PQUEUE] = rt_conn_timeout,
	[RT_T_PBETWEEN] = rt_conn_timeout, [RT_T_CONNECT] = rt_up_timeout,
	[RT_T_UPIDLE] = rt_up_timeout,	   [RT_T_QUARANTINE] = rt_wdyno_timeout,
	[RT_T_PRETRY] = rt_wdyno_timeout,
};

static void on_clock(uv_timer_t *h);

static void arm(struct rt_worker *w, uint64_t at)
{
	uint64_t now = rt_now(w);

	w->clock_at = at;
	uv_timer_start(&w->clock, on_clock, at > now ? at - now : 0, 0);
}

static void on_clock(uv_timer_t *h)
{
	struct rt_worker *w = h->data;
	uint64_t now = rt_now(w), next = 0;

	w->clock_at = 0;
	for (int c = 0; c < RT_T_COUNT; c++) {
		struct rt_timer *list = &w->lists[c];

		/* A handler may set or stop others: always look at the head anew. What it sets in
		 * this class lies in the future. */
		while (list->next != list && list->next->at <= now) {
			struct rt_timer *t = list->next;

			rt_timer_stop(t);
			on_timeout[c](w, t);
		}
	}
	for (int c = 0; c < RT_T_COUNT; c++) {
		struct rt_timer *first = w->lists[c].next;

		if (first != &w->lists[c] && (!next || first->at < next))
			next = first->at;
	}
	if (next && (!w->clock_at || next < w->clock_at))
		arm(w, next);
}

void rt_timers_init(struct rt_worker *w)
{
	for (int c = 0; c < RT_T_COUNT; c++)
		w->lists[c].prev = w->lists[c].next = &w->lists[c];
	uv_timer_init(w->uv, &w->clock);
	w->clock.data = w;
}

void rt_timers_close(struct rt_worker *w)
{
	uv_close((uv_handle_t *)&w->clock, NULL);
}

void rt_timer_stop(struct rt_timer *t)
{
	if (!t->next)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

void rt_timer_set(struct rt_worker *w, struct rt_timer *t, enum rt_class cls)
{
	struct rt_timer *list = &w->lists[cls];

	rt_timer_stop(t);
	t->cls = cls;
	/* At least 1 ms, so that a handler that sets its timer again cannot hold the clock up. */
	t->at = rt_now(w) + (w->rt->opts.ms[cls] ? w->rt->opts.ms[cls] : 1);
	t->prev = list->prev;
	t->next = list;
	list->prev->next = t;
	list->prev = t;
	if (!w->clock_at || t->at < w->clock_at)
		arm(w, t->at);
}
