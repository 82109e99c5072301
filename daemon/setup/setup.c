#include "daemon/setup/setup_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- life --- */

int setups_open(const struct setups_deps *d, struct setups **out, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/setups", d->cfg->state_dir);
	struct setups *s;

	if (fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	s = xcalloc(1, sizeof *s);
	s->d = *d;
	s->dir = STEAL(dir);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	setup_sources_init(s);
	s->pool = pool_new("setup", LIM_SETUPS, LIM_SETUPS_WAITING * 2);
	*out = s;
	return 0;
}

void setups_on_end(struct setups *s, void (*fn)(const struct store_setup *ended, void *arg),
		   void *arg)
{
	s->on_end = fn;
	s->on_end_arg = arg;
}

static int read_pending(struct tx *tx, void *arg, struct err *err)
{
	return store_setups_pending(tx, arg, err);
}

static int expire(struct tx *tx, void *arg, struct err *err)
{
	return store_setups_expire(tx, err);
}

static bool is_pending(const struct store_setups *list, const char *id)
{
	for (int i = 0; i < list->n; i++)
		if (strcmp(list->v[i].id, id) == 0)
			return true;
	return false;
}

/* Folders of setups that are over, or were being deployed from. */
static void sweep(struct setups *s, const struct store_setups *pending)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		AUTO(auto_str) char *path = xasprintf("%s/%s", s->dir, e->d_name);

		if (e->d_name[0] != '.' && !is_pending(pending, e->d_name))
			fs_rmtree(path, NULL);
	}
	if (d)
		closedir(d);
}

int setups_start(struct setups *s, struct err *err)
{
	AUTO(store_setups_clear) struct store_setups list = {0};

	if (store_tx(s->d.store, expire, NULL, err) < 0 ||
	    store_read(s->d.store, read_pending, &list, err) < 0)
		return -1;
	sweep(s, &list);
	for (int i = 0; i < list.n; i++) {
		xlog(XLOG_INFO, "setup", "msg=\"taken up\" app=%s step=%s", list.v[i].app_name,
		     list.v[i].step);
		if (!setup_enqueue(s, setup_live_new(s, list.v[i].id), true))
			return err_set(err, ERR_UNAVAILABLE, "too many setups are pending");
	}
	return 0;
}

static void wake(struct live *l)
{
	static const uint64_t one = 1;

	if (write(l->cancel_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd takes eight octets */
}

void setups_stop(struct setups *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	for (struct live *l = s->live; l; l = l->next)
		wake(l);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void setups_free(struct setups *s)
{
	if (!s)
		return;
	setups_stop(s);
	pool_free(s->pool);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
}

/* --- start --- */

struct start {
	struct setups *s;
	const struct setup_new *in;
	char id[37];
	const char *source;	 /* JSON */
	const json_t *overrides; /* borrowed */
	int (*also)(struct tx *tx, const char *app_id, const char *setup_id, void *arg,
		    struct err *err);
};

/* With the app's row: neither is there without the other. */
static int write_setup(struct tx *tx, const struct store_app *a, void *arg, struct err *err)
{
	struct start *st = arg;
	const struct store_setup_new row = {.id = st->id,
					    .app_id = a->id,
					    .app_name = a->name,
					    .user_id = st->in->user_id,
					    .environment = st->in->environment,
					    .stack = st->in->stack,
					    .version = st->in->version,
					    .source = st->source,
					    .overrides = st->overrides,
					    .keep = st->in->keep_failed};

	if (store_setup_insert(tx, &row, err) < 0)
		return -1;
	return st->in->also ? st->in->also(tx, a->id, st->id, st->in->also_arg, err) : 0;
}

static int check_vars(const json_t *vars, struct err *err)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)vars, name, v)
	{
		const char *text = json_string_value(v);

		if (text && name_check_config(name, text, strlen(text), err) < 0)
			return -1;
	}
	return 0;
}

/* The source, too: its address may have a password in it. */
static json_t *overrides_of(const struct setup_new *in, const json_t *source)
{
	json_t *o = json_pack("{s:O}", "source", source);

	if (in->fixed)
		json_object_set_new(o, "fixed", json_deep_copy(in->fixed));
	if (in->env)
		json_object_set_new(o, "env", json_deep_copy(in->env));
	if (in->stage_env)
		json_object_set_new(o, "stage", json_deep_copy(in->stage_env));
	if (in->buildpacks) {
		json_t *list = json_array();

		for (const char *const *b = in->buildpacks; *b; b++)
			json_array_append_new(list, json_string(*b));
		json_object_set_new(o, "buildpacks", list);
	}
	return o;
}

static int copy_file(int from, const char *path, struct err *err)
{
	AUTO(auto_fd)
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	AUTO(auto_str) char *piece = xcalloc(1, 65536);
	off_t at = 0;
	ssize_t n;

	if (to < 0)
		return err_errno(err, "%s", path);
	while ((n = pread(from, piece, 65536, at)) > 0) {
		if (write(to, piece, (size_t)n) != n)
			return err_errno(err, "keep the source");
		at += n;
	}
	return n < 0 || fsync(to) < 0 ? err_errno(err, "keep the source") : 0;
}

/* The source as it is kept; an uploaded file expires, so it gets a copy of its own. */
static json_t *keep_source(struct setups *s, const struct setup_new *in, const char *id,
			   struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/%s", s->dir, id);
	AUTO(auto_str) char *path = xasprintf("%s/upload", dir);
	json_t *out = json_deep_copy(in->source);

	if (in->file < 0)
		return out;
	json_object_set_new(out, "path", json_string(path));
	if (fs_mkdirs(dir, 0700, err) == 0 && copy_file(in->file, path, err) == 0)
		return out;
	fs_rmtree(dir, NULL);
	json_decref(out);
	return NULL;
}

static bool is_full(struct setups *s)
{
	bool full;

	pthread_mutex_lock(&s->lock);
	full = s->waiting >= LIM_SETUPS_WAITING || s->stopping;
	pthread_mutex_unlock(&s->lock);
	return full;
}

struct undo_tx {
	const char *id, *failure;
};

static int write_undo(struct tx *tx, void *arg, struct err *err)
{
	const struct undo_tx *u = arg;

	return store_setup_finish(tx, u->id, u->failure, NULL, NULL, err);
}

int setup_start(struct setups *s, const struct setup_new *in, char id[37], struct err *err)
{
	struct start st = {.s = s, .in = in};
	AUTO(json_decref) json_t *overrides = NULL;
	AUTO(json_decref) json_t *source = NULL;
	AUTO(json_decref) json_t *shown = NULL;
	AUTO(auto_str) char *text = NULL;
	AUTO(auto_str) char *dir = NULL;
	struct live *l;

	if (check_vars(in->fixed, err) < 0 || check_vars(in->env, err) < 0 ||
	    check_vars(in->stage_env, err) < 0 || !setup_source_find(s, in->source, err))
		return -1;
	if (is_full(s))
		return err_set(err, ERR_UNAVAILABLE,
			       "%d setups are waiting already; try again in a few minutes.",
			       LIM_SETUPS_WAITING);
	uuid_new(st.id);
	dir = xasprintf("%s/%s", s->dir, st.id);
	source = keep_source(s, in, st.id, err);
	if (!source)
		return -1;
	shown = setup_source_shown(source);
	st.source = text = json_dumps(shown, JSON_COMPACT);
	st.overrides = overrides = overrides_of(in, source);
	if (s->d.ops.create_app(s->d.ops.arg, in->user_id, in->name, write_setup, &st, err) < 0) {
		struct undo_tx u = {st.id, err->msg};

		store_tx(s->d.store, write_undo, &u, NULL); /* there may be no row */
		fs_rmtree(dir, NULL);
		return -1;
	}
	l = setup_live_new(s, st.id);
	memcpy(id, st.id, sizeof st.id);
	if (!setup_enqueue(s, l, false)) /* the next start takes it up */
		xlog(XLOG_WARN, "setup", "msg=\"no room to begin\" setup_id=%s", st.id);
	return 0;
}

/* --- waiting --- */

struct read_tx {
	const char *id;
	struct store_setup row;
};

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct read_tx *t = arg;

	store_setup_clear(&t->row);
	return store_setup_get(tx, t->id, &t->row, err);
}

/* As the row has it. */
static int verdict(struct setups *s, const char *id, struct err *err)
{
	struct read_tx t = {.id = id};
	int rc;

	if (store_read(s->d.store, read_one, &t, err) < 0)
		return -1;
	rc = t.row.status == STORE_SUCCEEDED ? 0
	     : t.row.status == STORE_PENDING
		     ? err_set(err, ERR_TIMEOUT, "the setup is still under way")
		     : err_set(err, ERR_BUILD_FAILED, "%s",
			       t.row.failure ? t.row.failure : "The setup failed");
	store_setup_clear(&t.row);
	return rc;
}

static void wait_until(struct setups *s, int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += (long)(ms % 1000) * 1000000L;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

int setup_follow(struct setups *s, const char *id, void (*out)(const char *p, size_t n, void *arg),
		 void *arg, bool (*gone)(void *arg), struct err *err)
{
	struct live *l = setup_live_find(s, id);
	bool ended = !l, away = false;
	size_t pos = 0;

	while (!ended && !away) {
		AUTO(buf_clear) struct buf chunk = {0};

		pthread_mutex_lock(&s->lock);
		if (l->said.len == pos && !l->ended && !s->stopping)
			wait_until(s, 500);
		buf_add(&chunk, buf_str(&l->said) + pos, l->said.len - pos);
		ended = l->ended || s->stopping;
		pthread_mutex_unlock(&s->lock);
		pos += chunk.len;
		if (chunk.len)
			out(chunk.data, chunk.len, arg); /* may block: not under the lock */
		away = gone && gone(arg);
	}
	if (l)
		setup_live_unref(s, l);
	return away ? err_set(err, ERR_CANCELED, "nobody watches") : verdict(s, id, err);
}

/* --- cancel --- */

static int write_cancel(struct tx *tx, void *arg, struct err *err)
{
	struct read_tx *t = arg;

	if (read_one(tx, t, err) < 0)
		return -1;
	return store_setup_cancel(tx, t->id, err);
}

int setup_cancel(struct setups *s, const char *id, struct err *err)
{
	struct read_tx t = {.id = id};
	struct live *l = setup_live_find(s, id);
	char build_id[37] = "";
	int rc = store_tx(s->d.store, write_cancel, &t, err);

	store_setup_clear(&t.row);
	if (l) {
		pthread_mutex_lock(&s->lock);
		l->canceled = l->canceled || rc == 0;
		memcpy(build_id, l->build_id, sizeof build_id);
		if (rc == 0)
			wake(l);
		pthread_mutex_unlock(&s->lock);
		setup_live_unref(s, l);
	}
	if (rc == 0 && build_id[0])
		build_cancel(s->d.builds, build_id);
	return rc;
}

int setup_destroy_app(struct setups *s, const char *user_id, const char *app_id, struct err *err)
{
	return s->d.ops.destroy_app(s->d.ops.arg, user_id, app_id, err);
}
