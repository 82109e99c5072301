/* Persistent volumes: made, grown, attached to apps, destroyed. The row says what is meant to be,
 * the launcher has the files; docs/internals/storage.md. */
#include "daemon/api/storage.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/store/volume.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <string.h>

struct volumes_tx {
	struct api_req *q;
	const char *ref; /* id or name */
	bool owner;	 /* to be changed: it must be the caller's */
	const char *app_id, *path, *name;
	int64_t size_mb;
	bool read_only;
	struct store_volume one;
	struct store_volumes list;
};

static void volumes_tx_clear(struct volumes_tx *t)
{
	store_volume_clear(&t->one);
	store_volumes_clear(&t->list);
}
#define volumes_tx_clear_p volumes_tx_clear

/* --- as JSON --- */

static json_t *attachment_json(const struct store_volume *v)
{
	if (!v->attachment_id[0])
		return json_null();
	return json_pack("{s:{s:s, s:s}, s:o, s:s, s:s, s:b}", "app", "id", v->attached_id, "name",
			 v->attached_name, "created_at", json_time(v->attached_ms), "id",
			 v->attachment_id, "path", v->path, "read_only", v->read_only);
}

/* now: what the launcher says of it; NULL = nobody asked. */
static json_t *volume_json(const struct store_volume *v, const struct launcher_volume *now)
{
	bool enforced = now && strcmp(now->quota, "image") == 0;

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:I, s:s, s:o, s:o}", "attachment",
			 attachment_json(v), "created_at", json_time(v->created_ms), "enforcement",
			 now ? json_string(enforced ? "enforced" : "none") : json_null(), "id",
			 v->id, "name", v->name, "owner", json_user_ref(v->user_id, v->user_email),
			 "size_mb", (json_int_t)v->size_mb, "state",
			 store_volume_state_name(v->state), "updated_at", json_time(v->updated_ms),
			 "used_bytes",
			 enforced ? json_integer((json_int_t)now->used) : json_null());
}

static json_t *list_json(const struct store_volumes *l)
{
	json_t *list = json_array();

	for (int i = 0; i < l->n; i++)
		json_array_append_new(list, volume_json(&l->v[i], NULL));
	return list;
}

/* --- who may --- */

static bool app_seen(struct api_req *q, struct tx *tx, const char *app_id)
{
	unsigned perms = 0;
	struct err none = {0};

	return *app_id && store_app_access(tx, q->user.id, app_id, &perms, &none) == 0 && perms;
}

/* A volume is seen by its owner and by who works on the app that has it, changed by its owner. */
static int find_volume(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;
	bool own;

	store_volume_clear(&t->one);
	if (store_volume_find(tx, t->ref, &t->one, err) < 0)
		return -1;
	own = strcmp(t->one.user_id, t->q->user.id) == 0;
	if (!own && !app_seen(t->q, tx, t->one.attached_id)) /* names must not leak */
		return err_not_found(err, "volume");
	if (t->owner && !own)
		return err_set(err, ERR_FORBIDDEN,
			       "The volume %s is not yours: only its owner can do that.",
			       t->one.name);
	return 0;
}

/* Of the caller's own, one that is whole. */
static int find_ready(struct tx *tx, struct volumes_tx *t, struct err *err)
{
	if (find_volume(tx, t, err) < 0)
		return -1;
	if (t->one.state != VOLUME_AVAILABLE)
		return err_set(err, ERR_CONFLICT, "The volume %s is %s: try again in a moment.",
			       t->one.name,
			       t->one.state == VOLUME_CREATING ? "still being made"
							       : "being destroyed");
	return 0;
}

/* --- what is refused --- */

static int check_runtime(struct api_req *q, struct err *err)
{
	if (strcmp(launcher_info(q->d->launcher)->runtime, "sandbox") == 0)
		return 0;
	return err_set(
		err, ERR_INVALID_PARAMS,
		"This platform runs apps without sandboxes (runtime plain): there is nothing "
		"to mount volumes in. It takes a launcher that runs as root.");
}

static int check_disk(struct api_req *q, int64_t mb, struct err *err)
{
	const int64_t reserve = q->d->cfg->disk_reserve_mb;
	uint64_t unused;

	if (fs_free_bytes(q->d->cfg->state_dir, &unused, err) < 0)
		return -1;
	if (unused >= (uint64_t)(mb + reserve) * (uint64_t)MiB(1))
		return 0;
	return err_set(err, ERR_DISK_FULL,
		       "The platform's disk has no room for %lld MB more: %llu MB are free, and "
		       "%lld MB of them are kept in reserve.",
		       (long long)mb, (unsigned long long)(unused >> 20), (long long)reserve);
}

/* What a dyno's root has of its own (shim/box.c), and what is below. */
static const char *const system_trees[] = {
	"/bin",	 "/boot", "/dev",  "/etc",     "/lib", "/lib32", "/lib64", "/libx32", "/proc",
	"/root", "/run",  "/sbin", "/service", "/sys", "/tmp",	 "/usr",   "/var",
};
/* Themselves: a volume would hide what the app is, or what others need there. */
static const char *const system_places[] = {"/",     "/app", "/app/.profile.d",
					    "/home", "/mnt", "/opt"};

static bool normalised(const char *path)
{
	size_t n = strlen(path);

	for (const char *p = path; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("/._-", *p))
			return false;
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t part = strcspn(p + 1, "/");

		if (*p != '/' || part == 0 || (part == 1 && p[1] == '.') ||
		    (part == 2 && p[1] == '.' && p[2] == '.'))
			return n == 1 && *p == '/'; /* the root is refused by its name */
	}
	return n > 0;
}

int api_volume_path_check(const char *path, struct err *err)
{
	const char *why = NULL;

	if (strlen(path) > LIM_VOLUME_PATH || !normalised(path))
		return err_set(err, ERR_INVALID_PARAMS,
			       "path: an absolute path of at most %d letters, digits and . _ - /, "
			       "without empty parts, \".\" and \"..\", as /app/storage.",
			       LIM_VOLUME_PATH);
	for (size_t i = 0; i < ARRAY_LEN(system_trees); i++) {
		size_t n = strlen(system_trees[i]);

		if (strncmp(path, system_trees[i], n) == 0 && (!path[n] || path[n] == '/'))
			why = system_trees[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(system_places); i++)
		if (strcmp(path, system_places[i]) == 0)
			why = system_places[i];
	if (!why)
		return 0;
	return err_set(
		err, ERR_INVALID_PARAMS,
		"path: %.200s cannot be a volume: %s is the %s. Take a folder of its own, as "
		"/app/storage or /data.",
		path, why, strncmp(why, "/app", 4) == 0 ? "app's own code" : "system's");
}

/* --- looking --- */

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	/* Of an app: whoever sees the app sees what it has. */
	return store_volumes_list(tx, t->app_id ? NULL : t->q->user.id, t->app_id, &t->list, err);
}

static int answer_list(struct api_req *q, const char *app_id, struct err *err)
{
	AUTO(volumes_tx_clear) struct volumes_tx t = {.q = q, .app_id = app_id};

	if (store_read(q->d->store, read_list, &t, err) < 0)
		return -1;
	return api_list(q, list_json(&t.list), "name id created_at updated_at", err);
}

int api_volumes_list(struct api_req *q, struct err *err)
{
	return answer_list(q, NULL, err);
}

int api_volumes_of_app(struct api_req *q, struct err *err)
{
	return answer_list(q, q->app.id, err);
}

int api_volumes_info(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear) struct volumes_tx t = {.q = q, .ref = q->params[0]};
	struct launcher_volume now;
	struct err why = {0};
	bool known;

	if (store_read(q->d->store, find_volume, &t, err) < 0)
		return -1;
	known = t.one.state == VOLUME_AVAILABLE &&
		launcher_volume(q->d->launcher, t.one.id, 0, &now, &why) == 0;
	if (why.status)
		xlog_err(XLOG_WARN, "api", &why, "msg=\"no look at a volume\" volume=%s", t.one.id);
	return api_ok(q, 200, volume_json(&t.one, known ? &now : NULL));
}

/* --- making, growing, destroying: one at a time (struct api, volumes), so that the sweep does not
 * meet what is under way --- */

struct state_tx {
	const char *id;
	enum store_volume_state to;
};

static int write_state(struct tx *tx, void *arg, struct err *err)
{
	struct state_tx *s = arg;

	return store_volume_set_state(tx, s->id, s->to, err);
}

static int set_state(struct store *st, const char *id, enum store_volume_state to, struct err *err)
{
	struct state_tx s = {id, to};

	return store_tx(st, write_state, &s, err);
}

static int delete_row(struct tx *tx, void *arg, struct err *err)
{
	return store_volume_delete(tx, arg, err);
}

/* The row goes last, so that what is cut short is done again. */
static int remove_volume(const struct api_deps *d, const char *id, struct err *err)
{
	if (launcher_volume_remove(d->launcher, id, err) < 0)
		return -1;
	return store_tx(d->store, delete_row, (void *)id, err);
}

const struct api_field api_fields_volume_create[] = {
	{"name", F_LINE, F_REQUIRED, .min = 1, .max = 100},
	{"size_mb", F_INT, .min = LIM_VOLUME_MIN_MB, .max = LIM_VOLUME_MAX_MB,
	 .text = "1024 when absent"},
	{0},
};

static int insert_volume(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	store_volume_clear(&t->one);
	return store_volume_insert(tx, t->name, t->q->user.id, t->size_mb, &t->one, err);
}

/* Without an answer there is no volume: half of one is taken away, now or by the sweep. */
static void undo_create(struct api_req *q, const char *id)
{
	struct err why = {0};

	if (set_state(q->d->store, id, VOLUME_DESTROYING, &why) < 0 ||
	    remove_volume(q->d, id, &why) < 0)
		xlog_err(XLOG_WARN, "api", &why, "msg=\"volume not removed yet\" volume=%s", id);
}

static int make_volume(struct volumes_tx *t, struct launcher_volume *now, struct err *err)
{
	struct api_req *q = t->q;

	if (store_tx(q->d->store, insert_volume, t, err) < 0)
		return -1;
	if (launcher_volume(q->d->launcher, t->one.id, (uint64_t)t->size_mb * (uint64_t)MiB(1), now,
			    err) == 0 &&
	    set_state(q->d->store, t->one.id, VOLUME_AVAILABLE, err) == 0) {
		t->one.state = VOLUME_AVAILABLE;
		return 0;
	}
	undo_create(q, t->one.id);
	return -1;
}

int api_volumes_create(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear)
	struct volumes_tx t = {.q = q,
			       .name = api_get_str(q->body, "name"),
			       .size_mb = api_get_int(q->body, "size_mb", 1024)};
	struct launcher_volume now;
	int rc;

	if (!name_is_app(t.name))
		return err_set(err, ERR_INVALID_PARAMS,
			       "name: 3 to 30 lowercase letters, digits and hyphens, beginning "
			       "with a letter, as my-files.");
	if (check_runtime(q, err) < 0 || check_disk(q, t.size_mb, err) < 0)
		return -1;
	pthread_mutex_lock(&q->api->volumes);
	rc = make_volume(&t, &now, err);
	pthread_mutex_unlock(&q->api->volumes);
	if (rc < 0)
		return -1;
	api_audit(q, "volume.create", "%s of %lld MB", t.one.name, (long long)t.one.size_mb);
	return api_ok(q, 201, volume_json(&t.one, &now));
}

const struct api_field api_fields_volume_resize[] = {
	{"size_mb", F_INT, F_REQUIRED, .min = LIM_VOLUME_MIN_MB, .max = LIM_VOLUME_MAX_MB},
	{0},
};

static int read_ready(struct tx *tx, void *arg, struct err *err)
{
	return find_ready(tx, arg, err);
}

static int write_size(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	return store_volume_resize(tx, t->one.id, t->size_mb, err) < 0 ? -1
								       : find_volume(tx, t, err);
}

/* First the file system, which is none the worse for being asked twice, then the row. */
static int grow_volume(struct volumes_tx *t, struct launcher_volume *now, struct err *err)
{
	struct api_req *q = t->q;

	if (store_read(q->d->store, read_ready, t, err) < 0)
		return -1;
	if (t->size_mb < t->one.size_mb)
		return err_set(err, ERR_INVALID_PARAMS,
			       "size_mb: the volume %s has %lld MB and cannot become smaller. Make "
			       "another one and copy what is in it.",
			       t->one.name, (long long)t->one.size_mb);
	if (check_disk(q, t->size_mb - t->one.size_mb, err) < 0 ||
	    launcher_volume(q->d->launcher, t->one.id, (uint64_t)t->size_mb * (uint64_t)MiB(1), now,
			    err) < 0)
		return -1;
	return store_tx(q->d->store, write_size, t, err);
}

int api_volumes_resize(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear)
	struct volumes_tx t = {.q = q,
			       .ref = q->params[0],
			       .owner = true,
			       .size_mb = api_get_int(q->body, "size_mb", 0)};
	struct launcher_volume now;
	int rc;

	pthread_mutex_lock(&q->api->volumes);
	rc = grow_volume(&t, &now, err);
	pthread_mutex_unlock(&q->api->volumes);
	if (rc < 0)
		return -1;
	api_audit(q, "volume.resize", "%s to %lld MB", t.one.name, (long long)t.one.size_mb);
	return api_ok(q, 200, volume_json(&t.one, &now));
}

static int mark_destroyed(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	if (find_volume(tx, t, err) < 0)
		return -1;
	if (t->one.attachment_id[0])
		return err_set(err, ERR_CONFLICT,
			       "The app %s has the volume %s at %s: detach it first (paasctl "
			       "storage:detach %s -a %s).",
			       t->one.attached_name, t->one.name, t->one.path, t->one.name,
			       t->one.attached_name);
	if (store_volume_set_state(tx, t->one.id, VOLUME_DESTROYING, err) < 0)
		return -1;
	t->one.state = VOLUME_DESTROYING;
	return 0;
}

int api_volumes_destroy(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear)
	struct volumes_tx t = {.q = q, .ref = q->params[0], .owner = true};
	int rc;

	pthread_mutex_lock(&q->api->volumes);
	rc = store_tx(q->d->store, mark_destroyed, &t, err);
	if (rc == 0)
		rc = remove_volume(q->d, t.one.id, err);
	pthread_mutex_unlock(&q->api->volumes);
	if (rc < 0)
		return -1;
	api_audit(q, "volume.destroy", "%s", t.one.name);
	return api_ok(q, 200, volume_json(&t.one, NULL));
}

/* --- after a crash --- */

static int read_all(struct tx *tx, void *arg, struct err *err)
{
	return store_volumes_list(tx, NULL, NULL, arg, err);
}

/* Whoever asked for one that was being made got no answer, and asks again: it is made to its end.
 */
static int finish(struct api *a, const struct store_volume *v, struct err *err)
{
	struct launcher_volume now;

	if (v->state == VOLUME_DESTROYING)
		return remove_volume(&a->d, v->id, err);
	if (launcher_volume(a->d.launcher, v->id, (uint64_t)v->size_mb * (uint64_t)MiB(1), &now,
			    err) < 0)
		return -1;
	return set_state(a->d.store, v->id, VOLUME_AVAILABLE, err);
}

void api_volumes_sweep(struct api *a)
{
	AUTO(store_volumes_clear) struct store_volumes all = {0};
	struct err err = {0};

	pthread_mutex_lock(&a->volumes);
	if (store_read(a->d.store, read_all, &all, &err) < 0)
		xlog_err(XLOG_WARN, "api", &err, "msg=\"volumes not looked at\"");
	for (int i = 0; i < all.n; i++) {
		err = (struct err){0};
		if (all.v[i].state != VOLUME_AVAILABLE && finish(a, &all.v[i], &err) < 0)
			xlog_err(XLOG_WARN, "api", &err, "msg=\"volume left as it is\" volume=%s",
				 all.v[i].id);
	}
	pthread_mutex_unlock(&a->volumes);
}

/* --- in apps. No release phase runs: the code is the same. --- */

const struct api_field api_fields_volume_attach[] = {
	{"volume", F_REF, F_REQUIRED, .text = "id or name"},
	{"path", F_LINE, F_REQUIRED, .min = 1, .max = LIM_VOLUME_PATH, .text = "as /app/storage"},
	{"read_only", F_BOOL},
	{0},
};

static int attach(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	if (find_ready(tx, t, err) < 0)
		return -1;
	if (t->one.attachment_id[0])
		return err_set(err, ERR_INVALID_PARAMS,
			       "The app %s has the volume %s at %s: detach it there first.",
			       t->one.attached_name, t->one.name, t->one.path);
	return store_volume_attach(tx, t->one.id, t->app_id, t->path, t->read_only, err);
}

static int detach(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	if (find_volume(tx, t, err) < 0)
		return -1;
	if (strcmp(t->one.attached_id, t->app_id) != 0)
		return err_not_found(err, "volume");
	return store_volume_detach(tx, t->one.id, err);
}

static int look_again(struct tx *tx, void *arg, struct err *err)
{
	struct volumes_tx *t = arg;

	store_volume_clear(&t->one);
	return store_volume_find(tx, t->ref, &t->one, err);
}

/* The change and the release are one transaction. t->one becomes the volume as it is then. */
static int change_app(struct volumes_tx *t, tx_fn *fn, const char *description, struct err *err)
{
	struct api_req *q = t->q;
	struct release_new in = {.app_id = q->app.id,
				 .user_id = q->user.id,
				 .user_email = q->user.email,
				 .description = description,
				 .first = fn,
				 .first_arg = t,
				 .values_only = true};
	struct release_out out;

	if (release_create(q->d->releases, &in, &out, err) < 0)
		return -1;
	t->ref = http_strdup(q->x, t->one.id);
	return store_read(q->d->store, look_again, t, err);
}

int api_volumes_attach(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear)
	struct volumes_tx t = {.q = q,
			       .ref = api_get_ref(q->body, "volume"),
			       .owner = true,
			       .app_id = q->app.id,
			       .path = api_get_str(q->body, "path"),
			       .read_only = api_get_bool(q->body, "read_only", 0) == 1};
	AUTO(auto_str) char *description = NULL;

	if (check_runtime(q, err) < 0 || api_volume_path_check(t.path, err) < 0 ||
	    store_read(q->d->store, find_volume, &t, err) < 0)
		return -1;
	description = xasprintf("Attach volume %s at %s", t.one.name, t.path);
	if (change_app(&t, attach, description, err) < 0)
		return -1;
	api_audit(q, "volume.attach", "%s at %s%s", t.one.name, t.path,
		  t.read_only ? ", read-only" : "");
	return api_ok(q, 201, volume_json(&t.one, NULL));
}

int api_volumes_detach(struct api_req *q, struct err *err)
{
	AUTO(volumes_tx_clear)
	struct volumes_tx t = {.q = q, .ref = q->params[1], .app_id = q->app.id};
	AUTO(auto_str) char *description = NULL;

	if (store_read(q->d->store, find_volume, &t, err) < 0)
		return -1;
	description = xasprintf("Detach volume %s", t.one.name);
	if (change_app(&t, detach, description, err) < 0)
		return -1;
	api_audit(q, "volume.detach", "%s", t.one.name);
	return api_ok(q, 200, volume_json(&t.one, NULL));
}
