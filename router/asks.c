#include "router/asks.h"
#include "router/certs.h"
#include "router/logline.h"
#include "router/publish.h"
#include "router/worker.h"

#include <string.h>

/* An app that sleeps and has had a request; goes when its entry changes. */
struct waking {
	struct waking *next;
	char app_id[64];
};

struct rt_asks {
	struct rt *rt;
	bool (*send)(struct buf *frame, void *arg);
	void *arg;
	struct loop_timer *cert_timer; /* answers are waited for */
	struct waking *waking;
	bool stopped;
};

/* --- certificates ----------------------------------------------------------------------------- */

void rt_asks_answered(struct rt_asks *a)
{
	for (int i = 0; i < a->rt->opts.workers; i++)
		rt_tls_wake(a->rt->workers[i]);
}

static bool send_cert_ask(void *arg, const char *name)
{
	struct rt_asks *a = arg;
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_CERT_ASK);

	wire_str(&b, R_HOST, name);
	wire_end(&b, mark);
	return a->send(&b, a->arg);
}

static void on_cert_timer(void *arg);

static void await_certs(struct rt_asks *a)
{
	if (!a->cert_timer)
		a->cert_timer =
			loop_timer_start(a->rt->main_loop, LIM_TLS_ASK_MS, on_cert_timer, a);
}

static void on_cert_timer(void *arg)
{
	struct rt_asks *a = arg;

	a->cert_timer = NULL;
	rt_certs_give_up(a->rt->certs, clock_mono_ms() - LIM_TLS_ASK_MS);
	rt_asks_answered(a);
	if (rt_certs_waiting(a->rt->certs))
		await_certs(a);
}

void rt_asks_cert(struct rt_asks *a)
{
	if (a->stopped)
		return;
	rt_certs_ask(a->rt->certs, send_cert_ask, a);
	if (rt_certs_waiting(a->rt->certs))
		await_certs(a);
	else
		rt_asks_answered(a); /* nobody to ask, or answered already */
}

/* --- apps that sleep -------------------------------------------------------------------------- */

static void send_wake(struct rt_asks *a, const char *app_id)
{
	struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_WAKE);

	wire_str(&b, R_APP_ID, app_id);
	wire_end(&b, mark);
	a->send(&b, a->arg);
}

void rt_asks_wake(struct rt_asks *a, const struct rt_routes *r, const char *app_id)
{
	const struct rt_app *app = rt_routes_get(r, app_id);
	struct waking *w = a->waking;

	while (w && strcmp(w->app_id, app_id) != 0)
		w = w->next;
	/* Not one that paasd has woken meanwhile: that entry is on its way to the worker. */
	if (w || !app || app->state != ROUTE_ASLEEP || a->stopped)
		return;
	w = xcalloc(1, sizeof *w);
	rt_copy(w->app_id, sizeof w->app_id, app_id);
	w->next = a->waking;
	a->waking = w;
	send_wake(a, w->app_id);
}

void rt_asks_app_changed(struct rt_asks *a, const char *app_id)
{
	for (struct waking **p = &a->waking, *w; (w = *p); p = &w->next)
		if (strcmp(w->app_id, app_id) == 0) {
			*p = w->next;
			free(w);
			return;
		}
}

/* --- paasd comes and goes --------------------------------------------------------------------- */

void rt_asks_paasd_came(struct rt_asks *a)
{
	rt_certs_stale(a->rt->certs);
	for (struct waking *w = a->waking; w; w = w->next)
		send_wake(a, w->app_id); /* it was away, or is another one than was asked */
}

void rt_asks_paasd_went(struct rt_asks *a)
{
	rt_certs_give_up(a->rt->certs, INT64_MAX);
	rt_asks_answered(a);
}

struct rt_asks *rt_asks_new(struct rt *rt, bool (*send)(struct buf *frame, void *arg), void *arg)
{
	struct rt_asks *a = xcalloc(1, sizeof *a);

	a->rt = rt;
	a->send = send;
	a->arg = arg;
	return a;
}

void rt_asks_stop(struct rt_asks *a)
{
	a->stopped = true;
	loop_timer_stop(a->cert_timer);
	a->cert_timer = NULL;
}

void rt_asks_free(struct rt_asks *a)
{
	while (a && a->waking)
		rt_asks_app_changed(a, a->waking->app_id);
	free(a);
}
