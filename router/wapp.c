#include "router/control.h"
#include "router/worker.h"

#include <assert.h>
#include <string.h>

/* --- dynos -------------------------------------------------------------------------------- */

void rt_wdyno_ref(struct rt_wdyno *d)
{
	d->refs++;
}

void rt_wdyno_unref(struct rt_wdyno *d)
{
	assert(d->refs > 0);
	if (--d->refs)
		return;
	assert(!d->app && !d->idle && !d->inflight);
	rt_timer_stop(&d->timer);
	if (d->prev)
		d->prev->next = d->next;
	else
		d->w->dynos = d->next;
	if (d->next)
		d->next->prev = d->prev;
	free(d->socket);
	free(d);
}

static struct rt_wdyno *wdyno_new(struct rt_wapp *a, const struct rt_dyno *def, const char *socket)
{
	struct rt_wdyno *d = xcalloc(1, sizeof *d);
	struct rt_worker *w = a->w;

	d->w = w;
	d->app = a;
	d->refs = 1; /* its place in the app */
	d->def = *def;
	d->socket = xstrdup(socket);
	d->next = w->dynos;
	if (w->dynos)
		w->dynos->prev = d;
	w->dynos = d;
	return d;
}

/* It gets no new request; those in flight keep it. */
static void wdyno_retire(struct rt_wdyno *d)
{
	if (d->quarantined)
		d->app->nquarantined--;
	d->quarantined = false;
	rt_timer_stop(&d->timer);
	d->app = NULL;
	rt_up_close_idle(d);
	rt_wdyno_unref(d);
}

void rt_wdyno_begin(struct rt_wdyno *d)
{
	d->inflight++;
}

void rt_wdyno_end(struct rt_wdyno *d)
{
	assert(d->inflight > 0);
	if (--d->inflight == 0 && d->watched) {
		d->watched = false;
		rt_control_drained(d->w, d->def.id);
	}
}

void rt_wdyno_failed(struct rt_wdyno *d)
{
	if (!d->app || d->quarantined)
		return;
	d->quarantined = true;
	d->app->nquarantined++;
	rt_timer_set(d->w, &d->timer, d->socket ? RT_T_PRETRY : RT_T_QUARANTINE);
	if (!d->socket)
		rt_control_dyno_fail(d->w, d->app->def->id, d->def.id);
}

void rt_wdyno_timeout(struct rt_worker *w, struct rt_timer *t)
{
	struct rt_wdyno *d = container_of(t, struct rt_wdyno, timer);

	d->quarantined = false;
	d->app->nquarantined--;
	d->app->refs++;
	rt_wapp_release(d->app);
}

/* --- apps --------------------------------------------------------------------------------- */

static void drop_dynos(struct rt_wapp *a)
{
	for (int i = 0; i < a->ndynos; i++)
		wdyno_retire(a->dynos[i]);
	free(a->dynos);
	a->dynos = NULL;
	a->ndynos = 0;
}

void rt_wapp_unref(struct rt_wapp *a)
{
	assert(a->refs > 0);
	if (--a->refs)
		return;
	assert(!a->waiting && !a->ndynos);
	rt_app_unref(a->def);
	free(a);
}

static bool same_dyno(const struct rt_wdyno *d, const struct rt_dyno *def)
{
	return strcmp(d->def.id, def->id) == 0 &&
	       memcmp(&d->def.addr, &def->addr, sizeof def->addr) == 0;
}

static struct rt_wdyno *take_same(struct rt_wapp *a, const struct rt_dyno *def, const char *socket)
{
	for (int i = 0; i < a->ndynos; i++) {
		struct rt_wdyno *d = a->dynos[i];

		if (!d || !same_dyno(d, def) || !d->socket != !socket ||
		    (socket && strcmp(d->socket, socket) != 0))
			continue;
		a->dynos[i] = NULL;
		return d;
	}
	return NULL;
}

/* Dynos that stay keep their connections and their quarantine. */
static void set_dynos(struct rt_wapp *a, const struct rt_app *def)
{
	static const struct rt_dyno platform = {.id = RT_PLATFORM_ID};
	const struct rt_dyno *list = def->platform ? &platform : def->dynos;
	int n = def->platform ? 1 : def->ndynos;
	struct rt_wdyno **now = xcalloc((size_t)n, sizeof(struct rt_wdyno *));

	for (int i = 0; i < n; i++) {
		now[i] = take_same(a, &list[i], def->socket);
		if (!now[i])
			now[i] = wdyno_new(a, &list[i], def->socket);
	}
	for (int i = 0; i < a->ndynos; i++)
		if (a->dynos[i])
			wdyno_retire(a->dynos[i]);
	free(a->dynos);
	a->dynos = now;
	a->ndynos = n;
}

static void wapp_set(struct rt_wapp *a, struct rt_app *def)
{
	set_dynos(a, def);
	rt_app_ref(def);
	rt_app_unref(a->def);
	a->def = def;
	a->waking = false;
}

struct rt_wapp *rt_wapp_of(struct rt_worker *w, struct rt_app *def)
{
	struct rt_wapp *a;

	if (def->slot >= w->nwapps) {
		uint32_t n = (def->slot + 64) & ~63u;

		w->wapps = xrealloc(w->wapps, n * sizeof(struct rt_wapp *));
		memset(w->wapps + w->nwapps, 0, (n - w->nwapps) * sizeof(struct rt_wapp *));
		w->nwapps = n;
	}
	a = w->wapps[def->slot];
	if (!a) {
		a = xcalloc(1, sizeof *a);
		a->w = w;
		a->refs = 1;
		wapp_set(a, def);
		w->wapps[def->slot] = a;
	}
	assert(a->def == def);
	return a;
}

static void wapp_drop(struct rt_worker *w, uint32_t slot)
{
	struct rt_wapp *a = w->wapps[slot];

	w->wapps[slot] = NULL;
	a->gone = true;
	drop_dynos(a);
}

struct rt_wapp *rt_wapp_update(struct rt_worker *w, uint32_t slot, struct rt_app *def)
{
	struct rt_wapp *a = slot < w->nwapps ? w->wapps[slot] : NULL;

	if (!a)
		return NULL;
	/* A slot that was freed may have been given to another app between two tables. */
	if (!def || strcmp(a->def->id, def->id) != 0) {
		wapp_drop(w, slot); /* what was the slot's reference is the caller's now */
		return a;
	}
	wapp_set(a, def);
	a->refs++;
	return a;
}

void rt_wapps_free(struct rt_worker *w)
{
	for (uint32_t i = 0; i < w->nwapps; i++)
		if (w->wapps[i]) {
			struct rt_wapp *a = w->wapps[i];

			wapp_drop(w, i);
			rt_wapp_release(a);
		}
	free(w->wapps);
	w->wapps = NULL;
	w->nwapps = 0;
}

struct rt_wdyno *rt_wapp_pick(struct rt_wapp *a)
{
	int up = a->ndynos - a->nquarantined, at;

	if (up <= 0)
		return NULL;
	at = up > 1 ? (int)(rt_random(a->w) % (unsigned)up) : 0;
	if (!a->nquarantined)
		return a->dynos[at];
	for (int i = 0;; i++)
		if (!a->dynos[i]->quarantined && at-- == 0)
			return a->dynos[i];
}

/* --- requests that wait for a dyno ---------------------------------------------------------- */

void rt_wapp_wait(struct rt_wapp *a, struct rt_conn *c)
{
	assert(!c->x.waiting);
	c->x.waiting = true;
	a->nwaiting++;
	c->x.wait_next = NULL;
	c->x.wait_prev = a->waiting_last;
	if (a->waiting_last)
		a->waiting_last->x.wait_next = c;
	else
		a->waiting = c;
	a->waiting_last = c;
}

void rt_wapp_unwait(struct rt_wapp *a, struct rt_conn *c)
{
	if (!c->x.waiting)
		return;
	c->x.waiting = false;
	a->nwaiting--;
	if (c->x.wait_prev)
		c->x.wait_prev->x.wait_next = c->x.wait_next;
	else
		a->waiting = c->x.wait_next;
	if (c->x.wait_next)
		c->x.wait_next->x.wait_prev = c->x.wait_prev;
	else
		a->waiting_last = c->x.wait_prev;
	c->x.wait_prev = c->x.wait_next = NULL;
}

void rt_wapp_release(struct rt_wapp *a)
{
	for (int n = a->nwaiting; n > 0 && a->waiting; n--) {
		struct rt_conn *c = a->waiting;

		rt_wapp_unwait(a, c);
		if (a->gone)
			rt_xchg_route_gone(c);
		else
			rt_xchg_dispatch(c);
		rt_conn_pump(c);
	}
	rt_wapp_unref(a);
}
