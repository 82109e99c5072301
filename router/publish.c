#include "router/publish.h"
#include "router/snapshot.h"
#include "router/worker.h"
#include "daemon/core/xlog.h"

#include <string.h>

/* A table on its way to the workers, with what must live until all of them have it. */
struct publication {
	struct rt_pub pub;
	struct rt_routes *routes;
	struct rt_table *table;	   /* owned; becomes routes->current */
	struct rt_change *changes; /* owned */
	struct rt_app **retired;   /* owned refs: entries that the table before still names */
	int nretired;
	struct publication *next; /* in order of publishing; done in that order too */
	struct rt_told *told;
	bool done;
};

struct rt_routes {
	struct rt *rt;
	void (*changed)(const char *app_id, void *arg);
	void *arg;
	struct rt_master master;
	struct rt_snapshot snapshot;
	struct rt_table *current;	  /* owned: the newest that all workers have */
	struct publication *first, *last; /* not yet taken by all */
	/* being gathered for the next publication */
	struct rt_change *changes;
	int nchanges;
	struct rt_app **retired;
	int nretired;
	struct buf journal; /* frames for the snapshot */
	bool rewrite;	    /* write it anew instead */
};

static void save(struct rt_routes *r)
{
	struct err err = {0};
	int done;

	done = r->rewrite ? rt_snapshot_write(&r->snapshot, &r->master, &err)
			  : rt_snapshot_append(&r->snapshot, &r->journal, &r->master, &err);
	if (done <
	    0) /* traffic goes on; a restart would begin with older routes until paasd comes */
		xlog_err(XLOG_ERROR, "control", &err, "msg=\"route snapshot not saved\"");
	r->rewrite = done < 0;
	buf_reset(&r->journal);
}

static void publication_free(struct publication *p)
{
	for (int i = 0; i < p->nretired; i++)
		rt_app_unref(p->retired[i]);
	free(p->retired);
	free(p->changes);
	free(p);
}

/* All workers have the table: the one before has no reader left. */
static void on_taken(void *arg)
{
	struct publication *p = container_of(arg, struct publication, pub);
	struct rt_routes *r = p->routes;

	p->done = true;
	while ((p = r->first) && p->done) {
		r->first = p->next;
		if (!r->first)
			r->last = NULL;
		free(r->current);
		r->current = p->table;
		if (p->told)
			p->told->fn(p->told);
		publication_free(p);
	}
}

/* Hands the changes gathered so far to the workers. Without changes there is only to acknowledge;
 * that too waits for its turn behind tables that are still on their way. */
void rt_routes_publish(struct rt_routes *r, struct rt_told *told)
{
	struct publication *p = xcalloc(1, sizeof *p);
	struct rt *rt = r->rt;

	if (r->nchanges || r->journal.len)
		save(r);
	if (!r->nchanges && !told) {
		free(p);
		return;
	}
	p->routes = r;
	p->told = told;
	p->table = rt_master_copy(&r->master);
	p->changes = r->changes;
	p->retired = r->retired;
	p->nretired = r->nretired;
	p->pub = (struct rt_pub){.table = p->table,
				 .changes = p->changes,
				 .nchanges = r->nchanges,
				 .left = rt->opts.workers,
				 .taken = on_taken,
				 .main_loop = rt->main_loop};
	r->changes = NULL;
	r->retired = NULL;
	r->nchanges = r->nretired = 0;
	if (r->last)
		r->last->next = p;
	else
		r->first = p;
	r->last = p;
	for (int i = 0; i < rt->opts.workers; i++)
		rt_worker_publish(rt->workers[i], &p->pub);
}

static void note_change(struct rt_routes *r, uint32_t slot, struct rt_app *now,
			struct rt_app *before)
{
	r->changes = rt_grow(r->changes, r->nchanges, sizeof *r->changes);
	r->changes[r->nchanges++] = (struct rt_change){slot, now};
	if (!before)
		return;
	/* Also an entry that lived within one batch only: an earlier change of it names it. */
	r->retired = rt_grow(r->retired, r->nretired, sizeof *r->retired);
	r->retired[r->nretired++] = before;
}

void rt_routes_set(struct rt_routes *r, struct rt_app *a)
{
	bool changed;
	struct rt_app *before = rt_master_set(&r->master, a, &changed);

	if (!changed)
		return;
	r->changed(a->id, r->arg);
	buf_add(&r->journal, a->raw.data, a->raw.len);
	note_change(r, a->slot, a, before);
}

void rt_routes_del(struct rt_routes *r, const char *id)
{
	struct rt_app *before = rt_master_del(&r->master, id);
	size_t mark;

	if (!before)
		return;
	r->changed(id, r->arg);
	mark = wire_begin(&r->journal, ROUTE_DEL);
	wire_str(&r->journal, R_APP_ID, id);
	wire_end(&r->journal, mark);
	note_change(r, before->slot, NULL, before);
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct rt_app *const *)a)->id, (*(struct rt_app *const *)b)->id);
}

void rt_routes_replace(struct rt_routes *r, struct rt_app **apps, int n)
{
	const struct rt_master *m = &r->master;
	struct rt_app **sorted = xmalloc((size_t)(n + 1) * sizeof(struct rt_app *));

	for (int i = 0; i < n; i++)
		sorted[i] = apps[i];
	qsort(sorted, (size_t)n, sizeof *sorted, by_id);
	for (uint32_t i = 0; i < m->nslots; i++)
		if (m->apps[i] && !bsearch(&m->apps[i], sorted, (size_t)n, sizeof *sorted, by_id)) {
			char id[sizeof m->apps[i]->id];

			memcpy(id, m->apps[i]->id, sizeof id);
			rt_routes_del(r, id);
		}
	free(sorted);
	for (int i = 0; i < n; i++)
		rt_routes_set(r, apps[i]);
	r->rewrite |= r->nchanges > 0;
}

struct rt_app *rt_routes_get(const struct rt_routes *r, const char *app_id)
{
	return rt_master_get(&r->master, app_id);
}

struct buf *rt_routes_journal(struct rt_routes *r)
{
	return &r->journal;
}

const struct rt_table *rt_routes_table(const struct rt_routes *r)
{
	return r->current;
}

struct rt_routes *rt_routes_open(struct rt *rt, void (*changed)(const char *app_id, void *arg),
				 void *arg)
{
	struct rt_routes *r = xcalloc(1, sizeof *r);
	struct err bad = {0};
	int n;

	r->rt = rt;
	r->changed = changed;
	r->arg = arg;
	rt_master_init(&r->master);
	n = rt_snapshot_open(&r->snapshot, rt->opts.run_dir, &r->master, rt->certs, &bad);
	if (n < 0) /* serve what could be read; paasd sends the rest */
		xlog_err(XLOG_WARN, "control", &bad, "msg=\"route snapshot is damaged\" apps=%u",
			 r->master.napps);
	else
		xlog(XLOG_INFO, "control", "msg=\"routes loaded\" apps=%d", n);
	r->rewrite = true;
	r->current = rt_master_copy(&r->master);
	return r;
}

void rt_routes_free(struct rt_routes *r)
{
	if (!r)
		return;
	while (r->first) {
		struct publication *p = r->first;

		r->first = p->next;
		free(p->table);
		publication_free(p);
	}
	for (int i = 0; i < r->nretired; i++)
		rt_app_unref(r->retired[i]);
	free(r->retired);
	free(r->changes);
	free(r->current);
	buf_clear(&r->journal);
	rt_snapshot_close(&r->snapshot);
	rt_master_clear(&r->master);
	free(r);
}
