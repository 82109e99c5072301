#include "daemon/sandbox/sandbox.h"
#include "daemon/sandbox/sandbox_int.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { IDLE = 8 };

struct launcher {
	char *run_dir; /* owned */
	struct launcher_info info;
	pthread_mutex_t lock; /* guards idle */
	struct sandbox_conn idle[IDLE];
	int nidle;
};

/* --- connections: one request at a time each, so every caller has its own ------------------------
 */

static int take_conn(struct launcher *l, struct sandbox_conn *out, bool *reused, struct err *err)
{
	pthread_mutex_lock(&l->lock);
	*reused = l->nidle > 0;
	if (*reused)
		*out = l->idle[--l->nidle];
	pthread_mutex_unlock(&l->lock);
	return *reused ? 0 : sandbox_connect(l->run_dir, "launcher.sock", out, err);
}

static void give_conn(struct launcher *l, struct sandbox_conn *c)
{
	bool kept;

	pthread_mutex_lock(&l->lock);
	kept = l->nidle < IDLE;
	if (kept)
		l->idle[l->nidle++] = *c;
	pthread_mutex_unlock(&l->lock);
	if (!kept)
		sandbox_conn_close(c);
}

static enum err_id id_of(const char *wire)
{
	for (int i = 1; i < ERR_COUNT; i++)
		if (strcmp(err_wire_id((enum err_id)i), wire) == 0)
			return (enum err_id)i;
	return ERR_INTERNAL;
}

static int refused(struct wire_frame f, struct err *err)
{
	struct wire_field v;
	char id[64] = "", msg[400] = "the launcher refused";

	while (wire_next(&f, &v) == 1) {
		if (v.key == L_ERR_ID)
			wire_copy_str(&v, id, sizeof id);
		if (v.key == L_MSG)
			wire_copy_str(&v, msg, sizeof msg);
	}
	return err_set(err, id_of(id), "%s", msg);
}

/* One request and its answer; fd (may be NULL): what comes along, -1 = nothing. An idle connection
 * may belong to a launcher that is gone: then, and only when nothing was answered, a new one is
 * tried once. */
static int ask_fd(struct launcher *l, const struct buf *req, uint16_t want,
		  void (*take)(struct wire_frame *f, void *arg), void *arg, int *fd,
		  struct err *err)
{
	for (;;) {
		struct sandbox_conn c;
		struct wire_frame f;
		struct err why = {0}; /* of this try alone: success leaves *err as it was */
		bool reused;
		int r;

		if (take_conn(l, &c, &reused, err) < 0)
			return -1;
		r = sandbox_send(&c, req, &why) < 0 ? 0 : sandbox_recv(&c, &f, 0, -1, &why);
		if (r == 1 && f.type == want) {
			if (take)
				take(&f, arg);
			if (fd) {
				*fd = c.came;
				c.came = -1;
			}
			give_conn(l, &c);
			return 0;
		}
		if (r == 1) {
			refused(f, err);
			give_conn(l, &c);
			return -1;
		}
		sandbox_conn_close(&c);
		if (reused)
			continue;
		return r < 0 ? err_set(err, (enum err_id)why.code, "%s", why.msg)
			     : err_set(err, ERR_UNAVAILABLE, "the launcher has gone away");
	}
}

static int ask(struct launcher *l, const struct buf *req, uint16_t want,
	       void (*take)(struct wire_frame *f, void *arg), void *arg, struct err *err)
{
	return ask_fd(l, req, want, take, arg, NULL, err);
}

static void simple(struct buf *b, uint16_t type, uint16_t key, const char *text, uint64_t number)
{
	size_t mark = wire_begin(b, type);

	if (text)
		wire_str(b, key, text);
	else if (key)
		wire_u64(b, key, number);
	wire_end(b, mark);
}

static void take_info(struct wire_frame *f, void *arg)
{
	struct launcher_info *i = arg;
	struct wire_field v;

	while (wire_next(f, &v) == 1) {
		if (v.key == L_RUNTIME)
			wire_copy_str(&v, i->runtime, sizeof i->runtime);
		else if (v.key == L_LIMITS)
			wire_copy_str(&v, i->limits, sizeof i->limits);
		else if (v.key == L_GATEWAY)
			wire_copy_str(&v, i->gateway, sizeof i->gateway);
		else if (v.key == L_NOTE && i->nnotes < (int)ARRAY_LEN(i->notes))
			wire_copy_str(&v, i->notes[i->nnotes++], sizeof i->notes[0]);
	}
}

int launcher_open(const char *run_dir, struct launcher **out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct launcher *l = xcalloc(1, sizeof *l);

	l->run_dir = xstrdup(run_dir);
	pthread_mutex_init(&l->lock, NULL);
	simple(&b, LAUNCH_HELLO, 0, NULL, 0);
	if (ask(l, &b, LAUNCH_INFO, take_info, &l->info, err) < 0) {
		launcher_close(l);
		return -1;
	}
	*out = l;
	return 0;
}

void launcher_close(struct launcher *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->nidle; i++)
		sandbox_conn_close(&l->idle[i]);
	pthread_mutex_destroy(&l->lock);
	free(l->run_dir);
	free(l);
}

const struct launcher_info *launcher_info(const struct launcher *l)
{
	return &l->info;
}

const char *launcher_run_dir(const struct launcher *l)
{
	return l->run_dir;
}

static void take_ip(struct wire_frame *f, void *arg)
{
	struct wire_field v;

	while (wire_next(f, &v) == 1)
		if (v.key == L_IP)
			wire_copy_str(&v, arg, 16);
}

int launcher_create(struct launcher *l, const struct launch_spec *s, char ip[16], struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	int r;

	launch_spec_encode(&b, s->into[0] ? LAUNCH_ENTER : LAUNCH_CREATE, s);
	ip[0] = 0;
	r = ask(l, &b, LAUNCH_OK, take_ip, ip, err);
	explicit_bzero(b.data, b.len); /* config vars */
	return r;
}

int launcher_remove(struct launcher *l, const char *id, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	simple(&b, LAUNCH_REMOVE, L_ID, id, 0);
	return ask(l, &b, LAUNCH_OK, NULL, NULL, err);
}

int launcher_rmtree(struct launcher *l, const char *path, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	simple(&b, LAUNCH_RMTREE, L_PATH, path, 0);
	return ask(l, &b, LAUNCH_OK, NULL, NULL, err);
}

static void take_volume(struct wire_frame *f, void *arg)
{
	struct launcher_volume *o = arg;
	struct wire_field v;

	while (wire_next(f, &v) == 1) {
		if (v.key == L_QUOTA)
			wire_copy_str(&v, o->quota, sizeof o->quota);
		else if (v.key == L_SIZE)
			o->size = wire_get_u64(&v);
		else if (v.key == L_USED)
			o->used = wire_get_u64(&v);
	}
}

int launcher_volume(struct launcher *l, const char *id, uint64_t bytes, struct launcher_volume *out,
		    struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, LAUNCH_VOLUME);

	wire_str(&b, L_ID, id);
	wire_u64(&b, L_SIZE, bytes);
	wire_end(&b, mark);
	*out = (struct launcher_volume){0};
	return ask(l, &b, LAUNCH_OK, take_volume, out, err);
}

int launcher_volume_copy(struct launcher *l, const char *id, unsigned frozen_s, uint64_t spare,
			 struct launcher_volume *out, int *fd, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, LAUNCH_VOLUME_COPY);

	wire_str(&b, L_ID, id);
	wire_u64(&b, L_TTL_S, frozen_s);
	wire_u64(&b, L_SIZE, spare);
	wire_end(&b, mark);
	*out = (struct launcher_volume){0};
	*fd = -1;
	if (ask_fd(l, &b, LAUNCH_OK, take_volume, out, fd, err) < 0)
		return -1;
	return *fd >= 0 ? 0 : err_set(err, ERR_INTERNAL, "the launcher sent no volume");
}

int launcher_volume_remove(struct launcher *l, const char *id, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	simple(&b, LAUNCH_VOLUME_REMOVE, L_ID, id, 0);
	return ask(l, &b, LAUNCH_OK, NULL, NULL, err);
}

struct id_list {
	char (*ids)[37];
	int n;
};

static void take_ids(struct wire_frame *f, void *arg)
{
	struct id_list *l = arg;
	struct wire_field v;

	while (wire_next(f, &v) == 1)
		if (v.key == L_ID) {
			l->ids = xrealloc(l->ids, (size_t)(l->n + 1) * sizeof *l->ids);
			wire_copy_str(&v, l->ids[l->n++], sizeof *l->ids);
		}
}

int launcher_list(struct launcher *l, char (**ids)[37], int *n, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct id_list list = {0};

	simple(&b, LAUNCH_LIST, 0, NULL, 0);
	if (ask(l, &b, LAUNCH_OK, take_ids, &list, err) < 0)
		return -1;
	*ids = list.ids;
	*n = list.n;
	return 0;
}

int launcher_shutdown(struct launcher *l, bool everything, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	simple(&b, LAUNCH_SHUTDOWN, L_FLAGS, NULL, everything);
	return ask(l, &b, LAUNCH_OK, NULL, NULL, err);
}
