#include "daemon/drain/drain_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/drain.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIRST_WAIT_MS 250
#define SAY_AGAIN_MS  (60 * 60 * 1000)
#define SETTLE_MS     1500 /* of stopping */
#define LINES	      64   /* taken from the log at once */

static const struct drain_transport *transport(const struct drain *d)
{
	return d->url.kind == DRAIN_TCP || d->url.kind == DRAIN_TLS ? &drain_syslog : &drain_post;
}

/* --- how far it is: one small file a drain, written at every step and never synced. It survives
 * the end of paasd; after a power failure some lines come twice. --- */

struct place {
	char magic[8];
	uint64_t seq, lost, since, sum;
};
static const char magic[8] = "drain 1";

static uint64_t sum_of(const struct place *p)
{
	return (p->seq * 0x9e3779b97f4a7c15ull) ^ (p->lost * 0xc2b2ae3d27d4eb4full) ^ p->since ^
	       0x5bd1e995;
}

static void save(struct drain *d)
{
	struct place p = {.seq = d->acked, .lost = d->lost.n + d->telling.n};

	p.since = (uint64_t)(d->telling.n ? d->telling.since : d->lost.since);
	memcpy(p.magic, magic, sizeof p.magic);
	p.sum = sum_of(&p);
	if (d->fd >= 0 && d->acked && pwrite(d->fd, &p, sizeof p, 0) != (ssize_t)sizeof p)
		xlog(XLOG_WARN, "drain", "msg=\"place not kept\" drain=%s", d->id);
}

static void load(struct drain *d)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", d->ds->dir, d->id);
	struct place p = {0};

	d->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->fd < 0 || pread(d->fd, &p, sizeof p, 0) != (ssize_t)sizeof p ||
	    memcmp(p.magic, magic, sizeof magic) != 0 || p.sum != sum_of(&p))
		return;
	d->acked = d->sent = p.seq;
	d->lost = (struct log_lost){p.lost, (wall_us)p.since};
}

static void forget_place(struct drain *d)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", d->ds->dir, d->id);

	unlink(path);
}

/* --- lines --- */

static void add_lost(struct log_lost *to, const struct log_lost *more)
{
	if (more->n)
		to->since = to->n && to->since < more->since ? to->since : more->since;
	to->n += more->n;
}

static void put(struct drain *d, const struct log_line *l, struct buf *out)
{
	if (transport(d) == &drain_syslog)
		frame_syslog(l, d->token, out);
	else
		frame_logplex(l, out);
}

static int tell_lost(struct drain *d, uint64_t with_seq, struct buf *out)
{
	struct log_line l;
	char text[160];

	if (!d->lost.n)
		return 0;
	l = frame_lost(&d->lost, text);
	put(d, &l, out);
	add_lost(&d->telling, &d->lost);
	d->lost = (struct log_lost){0};
	d->telling_seq = with_seq;
	return 1;
}

int drain_fill(struct drain *d, int max, size_t max_bytes, struct buf *out)
{
	struct log_line lines[LINES];
	int total = 0, n;

	while (total < max && out->len < max_bytes) {
		n = log_reader_next(d->r, lines, max - total < LINES ? max - total : LINES,
				    max_bytes - out->len, &d->lost);
		if (!n)
			break;
		total += tell_lost(d, lines[0].seq, out);
		if (!d->first)
			d->first = lines[0].seq;
		for (int i = 0; i < n; i++)
			put(d, &lines[i], out);
		total += n;
		d->sent = lines[n - 1].seq;
	}
	return total;
}

void drain_arrived(struct drain *d, uint64_t seq)
{
	if (seq <= d->acked)
		return;
	d->acked = seq;
	if (d->telling.n && seq >= d->telling_seq)
		d->telling = (struct log_lost){0};
	save(d);
}

void drain_rewind(struct drain *d)
{
	add_lost(&d->lost, &d->telling);
	d->telling = (struct log_lost){0};
	d->first = 0;
	if (d->sent != d->acked)
		log_reader_seek(d->r, d->acked);
	d->sent = d->acked;
}

/* --- trying again --- */

static void say_in_log(struct drain *d, enum out_fault f, const char *why)
{
	mono_ms now = clock_mono_ms();

	if (d->said && now - d->said < SAY_AGAIN_MS)
		return;
	d->said = now;
	xlog(XLOG_INFO, "drain", "msg=\"cannot deliver\" drain=%s app_id=%s why=%s", d->id,
	     d->app_id, xlog_q(why));
	if (f == OUT_BAD_CERTIFICATE)
		logd_printf(d->ds->log, d->app_id, "heroku", "logplex",
			    "Error L14 (certificate validation): error=\"%s\" uri=\"%s\"", why,
			    d->shown);
	else
		logd_printf(d->ds->log, d->app_id, "heroku", "logplex",
			    "Drain %s to %s cannot deliver, and goes on trying: %s", d->token,
			    d->shown, why);
}

static void on_waited(void *arg)
{
	struct drain *d = arg;

	d->wait = NULL;
	drain_pump(d);
}

void drain_failed(struct drain *d, enum out_fault f, const char *why, uint64_t least_ms)
{
	uint64_t ms = FIRST_WAIT_MS;

	for (int i = 0; i < d->failures && ms < LIM_DRAIN_BACKOFF_MS; i++)
		ms *= 2;
	ms = ms < LIM_DRAIN_BACKOFF_MS ? ms : LIM_DRAIN_BACKOFF_MS;
	ms = ms * 3 / 4 + random_below((uint32_t)(ms / 2)); /* many drains, one receiver */
	ms = ms > least_ms ? ms : least_ms;
	/* Once is not worth a word: receivers restart. */
	if (d->failures++)
		say_in_log(d, f, why);
	if (!d->wait && !d->ds->stopping)
		d->wait = loop_timer_start(out_loop(d->ds->o), ms, on_waited, d);
	if (ms > 2000)
		log_reader_rest(d->r);
}

void drain_worked(struct drain *d)
{
	d->failures = 0;
}

void drain_pump(struct drain *d)
{
	if (d->ds->stopping)
		drain_rested(d->ds);
	else if (!d->wait && d->acked)
		transport(d)->pump(d);
}

static void on_more(void *arg)
{
	struct drain *d = arg;
	struct log_lost lost = {0};
	uint64_t seq;

	if (!log_reader_place(d->r, &seq, &lost))
		return;
	add_lost(&d->lost, &lost);
	/* New, or fallen out of what is kept while nothing was on its way. */
	if (!d->acked || (lost.n && d->sent == d->acked && transport(d)->at_rest(d))) {
		d->acked = d->sent = seq;
		save(d);
	}
	drain_pump(d);
}

/* --- one drain --- */

static void drain_free(struct drain *d)
{
	loop_timer_stop(d->wait);
	transport(d)->close(d);
	log_reader_close(d->r);
	if (d->fd >= 0)
		close(d->fd);
	buf_clear(&d->chunk);
	buf_clear(&d->body);
	drain_url_clear(&d->url);
	free(d->shown);
	free(d);
}

struct adding {
	struct drains *ds;
	const char *id, *app_id, *token, *url;
};

static struct drain **find(struct drains *ds, const char *id)
{
	struct drain **p = &ds->first;

	while (*p && strcmp((*p)->id, id) != 0)
		p = &(*p)->next;
	return p;
}

static void do_add(void *arg)
{
	struct adding *a = arg;
	struct drains *ds = a->ds;
	struct drain *d;
	struct err err = {0};

	if (ds->stopping || *find(ds, a->id))
		return;
	d = xcalloc(1, sizeof *d);
	if (drain_url_parse(a->url, &d->url, &err) < 0) {
		xlog_err(XLOG_ERROR, "drain", &err, "drain=%s", a->id);
		free(d);
		return;
	}
	d->ds = ds;
	snprintf(d->id, sizeof d->id, "%s", a->id);
	snprintf(d->app_id, sizeof d->app_id, "%s", a->app_id);
	snprintf(d->token, sizeof d->token, "%s", a->token);
	d->shown = drain_url_hide(a->url);
	load(d);
	d->r = logd_read(ds->log, d->app_id, d->acked, out_loop(ds->o), on_more, d);
	d->next = ds->first;
	ds->first = d;
}

void drains_add(struct drains *ds, const char *id, const char *app_id, const char *token,
		const char *url)
{
	struct adding a = {ds, id, app_id, token, url};

	loop_call(out_loop(ds->o), do_add, &a);
}

struct removing {
	struct drains *ds;
	const char *id, *app_id;
};

static void do_remove(void *arg)
{
	struct removing *r = arg;

	for (struct drain **p = &r->ds->first; *p;) {
		struct drain *d = *p;

		if (strcmp(r->id ? d->id : d->app_id, r->id ? r->id : r->app_id) != 0) {
			p = &d->next;
			continue;
		}
		*p = d->next;
		forget_place(d);
		drain_free(d);
	}
}

void drains_remove(struct drains *ds, const char *id)
{
	struct removing r = {ds, id, NULL};

	loop_call(out_loop(ds->o), do_remove, &r);
}

void drains_remove_app(struct drains *ds, const char *app_id)
{
	struct removing r = {ds, NULL, app_id};

	loop_call(out_loop(ds->o), do_remove, &r);
}

/* --- start --- */

struct start_tx {
	struct store_drains list;
};

static int read_all(struct tx *tx, void *arg, struct err *err)
{
	struct start_tx *t = arg;

	return store_drains_list(tx, NULL, &t->list, err);
}

/* Places of drains that are no more: a crash came between the two. */
static void sweep(struct drains *ds, const struct store_drains *l)
{
	DIR *dir = opendir(ds->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		bool known = e->d_name[0] == '.';

		for (int i = 0; i < l->n && !known; i++)
			known = strcmp(l->v[i].id, e->d_name) == 0;
		if (!known)
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int drains_start(const struct config *cfg, struct out *o, struct store *st, struct logd *log,
		 struct drains **out, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/drains", cfg->state_dir);
	struct start_tx t = {0};
	struct drains *ds;

	if (fs_mkdirs(dir, 0700, err) < 0 || store_read(st, read_all, &t, err) < 0)
		return -1;
	ds = xcalloc(1, sizeof *ds);
	ds->cfg = cfg;
	ds->o = o;
	ds->log = log;
	ds->dir = STEAL(dir);
	pthread_mutex_init(&ds->lock, NULL);
	pthread_cond_init(&ds->changed, NULL);
	sweep(ds, &t.list);
	for (int i = 0; i < t.list.n; i++)
		drains_add(ds, t.list.v[i].id, t.list.v[i].app_id, t.list.v[i].token,
			   t.list.v[i].url);
	store_drains_clear(&t.list);
	*out = ds;
	return 0;
}

/* --- stop --- */

void drain_rested(struct drains *ds)
{
	for (struct drain *d = ds->first; d; d = d->next)
		if (!transport(d)->at_rest(d))
			return;
	pthread_mutex_lock(&ds->lock);
	ds->settled = true;
	pthread_cond_signal(&ds->changed);
	pthread_mutex_unlock(&ds->lock);
}

static void begin_stop(void *arg)
{
	struct drains *ds = arg;

	ds->stopping = true;
	drain_rested(ds);
}

static void do_stop(void *arg)
{
	struct drains *ds = arg;

	while (ds->first) {
		struct drain *d = ds->first;

		ds->first = d->next;
		drain_free(d);
	}
}

void drains_stop(struct drains *ds)
{
	struct timespec until;
	int rc = 0;

	if (!ds)
		return;
	loop_call(out_loop(ds->o), begin_stop, ds);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (until.tv_nsec / 1000000 + SETTLE_MS) / 1000;
	until.tv_nsec = (until.tv_nsec / 1000000 + SETTLE_MS) % 1000 * 1000000;
	pthread_mutex_lock(&ds->lock);
	while (!ds->settled && rc == 0)
		rc = pthread_cond_timedwait(&ds->changed, &ds->lock, &until);
	pthread_mutex_unlock(&ds->lock);
	loop_call(out_loop(ds->o), do_stop, ds);
}

void drains_free(struct drains *ds)
{
	if (!ds)
		return;
	pthread_cond_destroy(&ds->changed);
	pthread_mutex_destroy(&ds->lock);
	free(ds->dir);
	free(ds);
}
