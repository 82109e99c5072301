#include "daemon/pg/pg.h"
#include "daemon/core/clock.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "proto/buf.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define VERB_MS	  60000
#define REMIND_MS (24 * 3600 * 1000LL)

/* What was said last of a database, so that its app's log has it once, and again after a day. */
struct said {
	char addon_id[37];
	int level;
	wall_ms at;
	bool seen; /* in this round */
};

struct pg {
	struct pg_deps d;
	struct thread *thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	struct said *said; /* of the thread */
	int nsaid;
};

/* --- URLs --- */

void pg_url_clear(struct pg_url *u)
{
	if (u->password)
		explicit_bzero(u->password, strlen(u->password));
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->database);
	*u = (struct pg_url){0};
}

int pg_url_parse(const char *url, struct pg_url *out, struct err *err)
{
	const char *user = strncmp(url, "postgres://", 11) == 0 ? url + 11 : "";
	const char *colon = strchr(user, ':'), *at = colon ? strchr(colon, '@') : NULL;
	const char *slash = at ? strchr(at, '/') : NULL;
	const char *port = slash ? memrchr(at, ':', (size_t)(slash - at)) : NULL;

	*out = (struct pg_url){0};
	if (!port || port == at + 1 || !slash[1])
		return err_set(err, ERR_CORRUPT, "The database's URL is malformed.");
	out->user = xstrndup(user, (size_t)(colon - user));
	out->password = xstrndup(colon + 1, (size_t)(at - colon) - 1);
	out->host = xstrndup(at + 1, (size_t)(port - at) - 1);
	out->port = atoi(port + 1);
	out->database = xstrndup(slash + 1, strcspn(slash + 1, "?"));
	return 0;
}

int pg_url_of(struct addons *a, const char *addon_id, const char *credential, struct pg_url *out,
	      struct err *err)
{
	json_auto_t *config = NULL;
	const char *url;

	if (addon_config(a, addon_id, credential, &config, err) < 0)
		return -1;
	url = json_string_value(json_object_get(config, "URL"));
	return url ? pg_url_parse(url, out, err)
		   : err_set(err, ERR_UNAVAILABLE, "The database is not ready yet.");
}

/* --- the watch --- */

static struct said *said_of(struct pg *p, const char *addon_id)
{
	struct said *s;

	for (int i = 0; i < p->nsaid; i++)
		if (strcmp(p->said[i].addon_id, addon_id) == 0)
			return &p->said[i];
	p->said = xrealloc(p->said, (size_t)(p->nsaid + 1) * sizeof *p->said);
	s = &p->said[p->nsaid++];
	*s = (struct said){0};
	snprintf(s->addon_id, sizeof s->addon_id, "%s", addon_id);
	return s;
}

/* Those of databases that are gone. */
static void forget(struct pg *p)
{
	int n = 0;

	for (int i = 0; i < p->nsaid; i++)
		if (p->said[i].seen)
			p->said[n++] = p->said[i];
	p->nsaid = n;
}

static void tell(struct pg *p, const struct store_addon *a, struct said *s, int64_t bytes,
		 int64_t limit)
{
	int percent = limit ? (int)(bytes * 100 / limit) : 0;
	int level = percent > 100 ? 3 : percent >= 90 ? 2 : percent >= 80 ? 1 : 0;
	wall_ms now = clock_wall_ms();
	int was = s->level;

	if (level == was && (level == 0 || now - s->at < REMIND_MS))
		return;
	s->level = level;
	s->at = now;
	if (level == 3)
		logd_printf(
			p->d.log, a->app_id, "app", "heroku-postgres",
			"source=%s The database has %lld MB, %d%% of its plan: new sessions are "
			"read-only until it is smaller. Delete data (docs/postgres.md), or "
			"change to a larger plan.",
			a->name, (long long)(bytes >> 20), percent);
	else if (level)
		logd_printf(p->d.log, a->app_id, "app", "heroku-postgres",
			    "source=%s The database has %lld MB, %d%% of its plan. Beyond it, "
			    "sessions are read-only.",
			    a->name, (long long)(bytes >> 20), percent);
	else if (was == 3)
		logd_printf(
			p->d.log, a->app_id, "app", "heroku-postgres",
			"source=%s The database is within its plan again; it can be written to.",
			a->name);
}

static void watch_one(struct pg *p, const struct store_addon *a)
{
	struct said *s = said_of(p, a->id);
	json_auto_t *answer = NULL;
	struct err err = {0};
	int64_t bytes;

	s->seen = true;
	if (addon_call(p->d.addons, a->id, "watch", NULL, VERB_MS, &answer, &err) < 0) {
		xlog_err(XLOG_WARN, "pg", &err, "msg=\"a database was not looked at\" addon=%s",
			 a->name);
		return;
	}
	bytes = json_integer_value(json_object_get(answer, "bytes"));
	if (bytes >= 0 && a->app_id[0])
		tell(p, a, s, bytes, json_integer_value(json_object_get(answer, "limit_bytes")));
}

static bool stopping(struct pg *p)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	yes = p->stopping;
	pthread_mutex_unlock(&p->lock);
	return yes;
}

static int read_all(struct tx *tx, void *arg, struct err *err)
{
	return store_addons_list(tx, NULL, arg, err);
}

static void watch_all(struct pg *p)
{
	AUTO(store_addons_clear) struct store_addons list = {0};
	struct err err = {0};

	if (store_read(p->d.store, read_all, &list, &err) < 0) {
		xlog_err(XLOG_WARN, "pg", &err, "msg=\"databases cannot be listed\"");
		return;
	}
	for (int i = 0; i < p->nsaid; i++)
		p->said[i].seen = false;
	for (int i = 0; i < list.n && !stopping(p); i++)
		if (strcmp(list.v[i].service, PG_SERVICE) == 0 &&
		    list.v[i].state == ADDON_PROVISIONED)
			watch_one(p, &list.v[i]);
	forget(p);
}

/* True: the time is over; false: it all ends. */
static bool rest(struct pg *p)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += p->d.cfg->postgres_watch_s;
	pthread_mutex_lock(&p->lock);
	while (!p->stopping && rc == 0)
		rc = pthread_cond_timedwait(&p->wake, &p->lock, &until);
	bool go = !p->stopping;
	pthread_mutex_unlock(&p->lock);
	return go;
}

static void watch(void *arg)
{
	while (rest(arg))
		watch_all(arg);
}

struct pg *pg_new(const struct pg_deps *d)
{
	struct pg *p = xcalloc(1, sizeof *p);
	pthread_condattr_t attr;

	p->d = *d;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	p->thread = thread_new("pg-watch", watch, p);
	return p;
}

void pg_stop(struct pg *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void pg_free(struct pg *p)
{
	if (!p)
		return;
	pg_stop(p);
	thread_join(p->thread);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->said);
	free(p);
}
