/* Slugs: made elsewhere and uploaded, looked at, fetched. */
#include "daemon/api/uploads.h"
#include "daemon/build/tarball.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/build.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct slug_q {
	struct api_req *q;
	struct store_slug s;
	char url_end[160]; /* ID/EXPIRES/SIGNATURE */
};

/* --- URLs of blobs --- */

static void permit(char out[96], const char *what, const char *id, const char *expires)
{
	snprintf(out, 96, "%.3s slug %.36s %.20s", what, id, expires);
}

/* Rounded up to an hour, so that what is looked at twice looks the same. */
static void make_url(struct slug_q *t, struct tx *tx, const char *what, wall_ms good_for)
{
	char text[96], signature[65], expires[24];
	wall_ms hour = 3600 * 1000;

	snprintf(expires, sizeof expires, "%lld",
		 (long long)((clock_wall_ms() + good_for + hour - 1) / hour * hour));
	permit(text, what, t->s.id, expires);
	secret_sign(tx_key(tx), text, signature);
	snprintf(t->url_end, sizeof t->url_end, "%s/%s/%s", t->s.id, expires, signature);
}

/* The slug that /blobs/slugs/:slug/:expires/:secret is about. */
static int by_url(struct tx *tx, struct slug_q *t, const char *what, struct err *err)
{
	char **p = t->q->params, text[96];

	permit(text, what, p[0], p[1]);
	if (!name_is_uuid(p[0]) || strlen(p[1]) > 20 || !secret_signed(tx_key(tx), text, p[2]) ||
	    strtoll(p[1], NULL, 10) < clock_wall_ms())
		return err_not_found(err, "slug");
	return store_slug_get(tx, NULL, p[0], &t->s, err);
}

static json_t *slug_json(const struct slug_q *t, const char *method)
{
	AUTO(auto_str) char *url = api_public_url(t->q, "/blobs/slugs/%s", t->url_end);
	const struct store_slug *s = &t->s;
	json_t *types = json_loads(s->process_types, 0, NULL);

	return json_pack("{s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "blob",
			 "method", method, "url", url, "buildpack_provided_description",
			 json_str_or_null(s->language), "checksum", json_str_or_null(s->checksum),
			 "commit", json_str_or_null(s->commit), "commit_description",
			 json_str_or_null(s->commit_description), "created_at",
			 json_time(s->created_ms), "id", s->id, "process_types",
			 types ? types : json_object(), "size",
			 s->size < 0 ? json_null() : json_integer(s->size), "stack",
			 json_named_ref("stack", s->stack), "updated_at", json_time(s->updated_ms));
}

static int read_slug(struct tx *tx, void *arg, struct err *err)
{
	struct slug_q *t = arg;

	if (store_slug_get(tx, t->q->app.id, t->q->params[1], &t->s, err) < 0)
		return -1;
	make_url(t, tx, "get", LIM_SLUG_GET_MS);
	return 0;
}

int api_slugs_info(struct api_req *q, struct err *err)
{
	struct slug_q t = {.q = q};

	if (store_read(q->d->store, read_slug, &t, err) < 0)
		return -1;
	api_ok(q, 200, slug_json(&t, "get"));
	store_slug_clear(&t.s);
	return 0;
}

/* --- made --- */

static const struct api_field command = {
	.type = F_STRING, .min = 1, .max = LIM_COMMAND, .text = "its command"};
const struct api_field api_fields_slug_create[] = {
	{"process_types", F_MAP, F_REQUIRED, .max = 200, .of = &command,
	 .text = "as in a Procfile"},
	{"buildpack_provided_description", F_LINE, .max = LIM_ANNOTATION},
	{"checksum", F_LINE, .max = 80, .text = "SHA256:HEX of what will be uploaded"},
	{"commit", F_LINE, .max = LIM_ANNOTATION},
	{"commit_description", F_STRING, .max = 1000},
	{"stack", F_REF},
	{0},
};

/* What a line of a Procfile could say, and nothing else. */
static int read_types(const json_t *given, char **out, struct err *err)
{
	AUTO(json_decref) json_t *types = json_object();
	const char *type;
	json_t *v;

	json_object_foreach((json_t *)given, type, v)
	{
		AUTO(proc_types_clear) struct proc_types one = {0};
		AUTO(auto_str) char *line = xasprintf("%s: %s", type, json_string_value(v));
		struct err why = {0};

		if (strpbrk(line, "\r\n") || procfile_parse(line, strlen(line), &one, &why) < 0 ||
		    one.n != 1 || strcmp(one.v[0].type, type) != 0)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter process_types.%.60s must be a process type "
				       "(letters, digits, - and _) with a command of one line.",
				       type);
		json_object_set_new(types, type, json_string(one.v[0].command));
	}
	*out = json_dumps(types, JSON_COMPACT | JSON_SORT_KEYS);
	return 0;
}

static int check_stack(const struct api_req *q, struct err *err)
{
	const char *stack = api_get_ref(q->body, "stack"), *ours = q->d->cfg->stack;
	AUTO(json_decref) json_t *ref = json_named_ref("stack", ours);

	if (!stack || strcmp(stack, ours) == 0 || strcmp(stack, api_get_str(ref, "id")) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Stack %.40s does not exist here; this platform has %s.", stack, ours);
}

struct make_tx {
	struct slug_q t; /* first: the writer's argument */
	struct store_slug_new row;
};

static int make_slug(struct tx *tx, void *arg, struct err *err)
{
	struct make_tx *m = arg;

	store_slug_clear(&m->t.s);
	if (store_slug_insert(tx, &m->row, err) < 0 ||
	    store_slug_get(tx, m->row.app_id, m->row.id, &m->t.s, err) < 0)
		return -1;
	make_url(&m->t, tx, "put", LIM_SLUG_WAIT_MS);
	return 0;
}

int api_slugs_create(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *types = NULL;
	char id[37];
	struct make_tx m = {
		.t = {.q = q},
		.row = {.id = id,
			.app_id = q->app.id,
			.commit = api_get_str(q->body, "commit"),
			.commit_description = api_get_str(q->body, "commit_description"),
			.language = api_get_str(q->body, "buildpack_provided_description"),
			.checksum = api_get_str(q->body, "checksum"),
			.stack = q->d->cfg->stack,
			.size = -1,
			.waiting = true},
	};

	if (m.row.checksum && !build_checksum_ok(m.row.checksum))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter checksum must be SHA256: and 64 hex digits.");
	if (check_stack(q, err) < 0 ||
	    read_types(json_object_get(q->body, "process_types"), &types, err) < 0)
		return -1;
	m.row.process_types = types;
	uuid_new(id);
	if (store_tx(q->d->store, make_slug, &m, err) < 0)
		return -1;
	api_audit(q, "slug.create", "%s", id);
	api_ok(q, 201, slug_json(&m.t, "put"));
	store_slug_clear(&m.t.s);
	return 0;
}

/* --- uploaded --- */

struct upload {		   /* on its way into a slug */
	struct slug_q t;   /* first: the writer's argument */
	char *file, *tree; /* owned; removed at the end */
	int fd;		   /* owned */
	uint64_t size;	   /* of the slug on disk */
	char checksum[80];
};

static void upload_clear(struct upload *u)
{
	if (u->fd >= 0)
		close(u->fd);
	if (u->file) {
		unlink(u->file);
		fs_rmtree(u->tree, NULL);
	}
	free(u->file);
	free(u->tree);
	store_slug_clear(&u->t.s);
}
#define upload_clear_p upload_clear

static int waiting_slug(struct tx *tx, void *arg, struct err *err)
{
	struct slug_q *t = arg;

	if (by_url(tx, t, "put", err) < 0)
		return -1;
	if (t->s.waiting)
		return 0;
	store_slug_clear(&t->s);
	return err_set(err, ERR_CONFLICT, "The slug has been uploaded already.");
}

static int write_uploaded(struct tx *tx, void *arg, struct err *err)
{
	struct upload *u = arg;

	return store_slug_uploaded(tx, u->t.s.id, (int64_t)u->size, u->checksum, err);
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

/* All of it lies under ./app/. */
static int check_form(const char *tree, struct err *err)
{
	AUTO(auto_str) char *app = xasprintf("%s/app", tree);
	AUTO(dir_close) DIR *d = opendir(tree);
	const struct dirent *de;
	struct stat st;

	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 &&
		    strcmp(de->d_name, "app") != 0)
			return err_set(err, ERR_INVALID_PARAMS,
				       "A slug holds everything under ./app/; this one also has "
				       "%.100s.",
				       de->d_name);
	if (lstat(app, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(
			err, ERR_INVALID_PARAMS,
			"A slug holds everything under ./app/; this one has no such folder.");
	return 0;
}

static int unpack(struct upload *u, struct err *err)
{
	mono_ms until = clock_mono_ms() + LIM_BUILDPACK_MS;
	char hex[65];

	if (u->t.s.checksum && tarball_check(u->fd, u->t.s.checksum, err) < 0)
		return -1;
	if (sha256_fd(u->fd, hex, err) < 0)
		return -1;
	snprintf(u->checksum, sizeof u->checksum, "SHA256:%s", hex);
	if (fs_mkdirs(u->tree, 0700, err) < 0 ||
	    tarball_unpack_fd(u->fd, u->tree, (uint64_t)LIM_SLUG_TREE, until, -1, err) < 0)
		return -1;
	return check_form(u->tree, err);
}

/* One at a time: of two uploads to a slug one is its content, and its folder agrees with its row.
 */
static pthread_mutex_t sealing = PTHREAD_MUTEX_INITIALIZER;

static int seal_locked(struct upload *u, struct err *err)
{
	const struct api_deps *d = u->t.q->d;
	AUTO(auto_str) char *app = xasprintf("%s/app", u->tree);
	struct slug_q now = {.q = u->t.q};
	struct err e = {0};

	if (store_read(d->store, waiting_slug, &now, err) < 0)
		return -1;
	store_slug_clear(&now.s);
	if (slug_seal(d->slugs, app, u->t.s.id, &u->size, err) < 0)
		return -1;
	if (store_tx(d->store, write_uploaded, u, err) == 0)
		return 0;
	if (slug_remove(d->slugs, u->t.s.id, &e) < 0)
		xlog_err(XLOG_WARN, "api", &e, "msg=\"slug not removed\" slug_id=%s", u->t.s.id);
	return -1;
}

static int seal(struct upload *u, struct err *err)
{
	int rc;

	pthread_mutex_lock(&sealing);
	rc = seal_locked(u, err);
	pthread_mutex_unlock(&sealing);
	return rc;
}

int api_slug_put(struct api_req *q, struct err *err)
{
	AUTO(upload_clear) struct upload u = {.t = {.q = q}, .fd = -1};
	struct err why = {0};
	char nonce[33];
	uint64_t sent;

	if (store_read(q->d->store, waiting_slug, &u.t, err) < 0)
		return -1;
	random_hex(nonce, 32);
	u.file = xasprintf("%s/uploads/%s", q->d->cfg->state_dir, nonce);
	u.tree = xasprintf("%s.tree", u.file);
	u.fd = api_upload(q, u.file, (uint64_t)LIM_SLUG, &sent, err);
	if (u.fd < 0)
		return -1;
	if (unpack(&u, &why) < 0)
		return err_set(err, why.code == ERR_BUILD_FAILED ? ERR_INVALID_PARAMS : why.code,
			       "The slug is refused: %.300s", why.msg);
	return seal(&u, err) < 0 ? -1 : api_ok(q, 200, json_object());
}

/* --- fetched --- */

static int slug_by_url(struct tx *tx, void *arg, struct err *err)
{
	return by_url(tx, arg, "get", err);
}

static int send_piece(const void *p, size_t n, void *arg)
{
	struct api_req *q = arg;

	if (!q->answered) { /* only now it is known that there is something to read */
		q->answered = true;
		http_respond(q->x, 200, "application/gzip");
	}
	return http_write(q->x, p, n);
}

int api_slug_get(struct api_req *q, struct err *err)
{
	struct slug_q t = {.q = q};
	int rc;

	if (store_read(q->d->store, slug_by_url, &t, err) < 0)
		return -1;
	rc = t.s.waiting ? err_not_found(err, "slug")
			 : slug_pack(q->d->slugs, t.s.id, send_piece, q, err);
	store_slug_clear(&t.s);
	if (rc < 0 && q->answered)
		http_abort(q->x); /* not to be taken for the whole */
	else if (rc == 0)
		http_end(q->x);
	return rc;
}
