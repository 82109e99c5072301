/* The data API's transfers: backups, restores and copies of databases, daily backups. Fields and
 * forms are those of the service that the Heroku CLI's pg:backups commands speak to. */
#include "daemon/api/data_transfers.h"
#include "daemon/addon/addon.h"
#include "daemon/pg/transfer_url.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "heroku-postgresql"

/* --- whose --- */

static int add_perms(struct tx *tx, const char *user_id, const char *app_id, unsigned *perms,
		     struct err *err)
{
	unsigned p = 0;

	if (store_app_access(tx, user_id, app_id, &p, err) < 0)
		return -1;
	*perms |= p;
	return 0;
}

static int perms_on(struct api_req *q, struct tx *tx, const struct store_addon *a, bool attached,
		    unsigned *perms, struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};

	if (add_perms(tx, q->user.id, a->app_id, perms, err) < 0)
		return -1;
	if (!attached)
		return 0;
	if (store_attachments_list(tx, NULL, a->id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (add_perms(tx, q->user.id, l.v[i].app_id, perms, err) < 0)
			return -1;
	return 0;
}

int api_db_find(struct api_req *q, struct tx *tx, const char *ref, unsigned perm, bool attached,
		struct store_addon *out, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	unsigned perms = 0;

	if (store_addon_find(tx, ref, &a, err) < 0)
		return -1;
	if (!a.app_id[0] || strcmp(a.service, SERVICE) != 0 ||
	    perms_on(q, tx, &a, attached, &perms, NULL) < 0 || !perms)
		return err_not_found(err, "add_on");
	if (!(perms & perm))
		return err_set(err, ERR_FORBIDDEN, "You do not have the %s permission on %s.",
			       perm == STORE_VIEW ? "view" : "operate", a.app_name);
	store_app_clear(&q->app);
	if (store_app_get(tx, a.app_id, &q->app, err) < 0)
		return -1;
	*out = a;
	a = (struct store_addon){0};
	return 0;
}

/* What people call it: its attachment to its owner. Owned. */
static int name_of(struct tx *tx, const struct store_addon *a, char **out, struct err *err)
{
	AUTO(store_attachments_clear) struct store_attachments l = {0};
	const char *name = a->name;

	if (store_attachments_list(tx, a->app_id, a->id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		if (i == 0 || strcmp(l.v[i].name, "DATABASE") == 0)
			name = l.v[i].name;
	free(*out);
	*out = xstrdup(name);
	return 0;
}

/* --- as JSON --- */

static json_t *time_or_null(wall_ms t)
{
	char text[PGT_TIME];

	if (!t)
		return json_null();
	pgt_time(t, text);
	return json_string(text);
}

static json_t *bytes_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static int warnings(const json_t *log)
{
	const json_t *line;
	size_t i;
	int n = 0;

	json_array_foreach(log, i, line) n +=
		strcmp(json_string_value(json_object_get(line, "level")), "warn") == 0;
	return n;
}

static json_t *url_or_null(const char *addon_id)
{
	char text[64];

	if (!*addon_id)
		return json_null();
	snprintf(text, sizeof text, "postgres://%s", addon_id); /* names it; opens nothing */
	return json_string(text);
}

static json_t *backup_url(struct api_req *q, const char *id)
{
	AUTO(auto_str) char *url = *id ? api_public_url(q, "/blobs/backups/%s", id) : NULL;

	return json_str_or_null(url);
}

/* from and to: what the lists are told apart by, and where a restore finds a backup. */
static void add_ends(struct api_req *q, json_t *j, const struct store_pgt *r)
{
	bool restore = r->kind == PGT_RESTORE, backup = r->kind == PGT_BACKUP;

	json_object_set_new(j, "from_name", json_text(r->from_name));
	json_object_set_new(j, "to_name", json_text(r->to_name));
	json_object_set_new(j, "from_type", json_string(restore ? "gof3r" : "pg_dump"));
	json_object_set_new(j, "to_type", json_string(backup ? "gof3r" : "pg_restore"));
	json_object_set_new(j, "from_url",
			    restore ? backup_url(q, r->from_transfer_id)
				    : url_or_null(backup ? r->addon_id : r->from_addon_id));
	json_object_set_new(j, "to_url", backup ? backup_url(q, r->id) : url_or_null(r->addon_id));
}

static json_t *transfer_json(struct api_req *q, const struct store_pgt *r)
{
	bool over = store_pgt_over(r->state), scheduled = r->schedule_id[0] != 0;
	json_t *log = json_loads(r->log, 0, NULL), *j;
	struct store_pgt_keep keep = {0};

	log = log ? log : json_array();
	j = json_pack(
		"{s:s, s:i, s:o, s:i, s:o, s:o, s:s, s:{}, s:o, s:o}", "uuid", r->id, "num", r->num,
		"succeeded", over ? json_boolean(r->state == PGT_SUCCEEDED) : json_null(),
		"warnings", warnings(log), "source_bytes", bytes_or_null(r->source_bytes),
		"processed_bytes", bytes_or_null(r->processed_bytes), "state",
		store_pgt_state_name(r->state), "options", "schedule",
		scheduled ? json_pack("{s:s}", "uuid", r->schedule_id) : json_null(), "logs", log);
	if (r->kind == PGT_BACKUP)
		pg_backups_keep(q->d->transfers, r->addon_id, scheduled, &keep);
	json_object_set_new(j, "num_keep", keep.newest ? json_integer(keep.newest) : json_null());
	json_object_set_new(j, "failure", json_str_or_null(r->failure));
	json_object_set_new(j, "checksum", json_str_or_null(r->checksum[0] ? r->checksum : NULL));
	json_object_set_new(j, "created_at", time_or_null(r->created_ms));
	json_object_set_new(j, "started_at", time_or_null(r->started_ms));
	json_object_set_new(j, "verified_at", time_or_null(r->verified_ms));
	json_object_set_new(j, "finished_at", time_or_null(r->finished_ms));
	json_object_set_new(j, "canceled_at", time_or_null(r->canceled_ms));
	json_object_set_new(j, "updated_at", time_or_null(r->updated_ms));
	json_object_set_new(j, "deleted_at", time_or_null(r->deleted_ms));
	json_object_set_new(j, "purged_at", time_or_null(r->deleted_ms));
	add_ends(q, j, r);
	return j;
}

/* --- those that there are --- */

struct rows_tx {
	struct api_req *q;
	struct store_pgts list;
	struct store_pgt one;
};

static int read_list(struct tx *tx, void *arg, struct err *err)
{
	struct rows_tx *t = arg;

	return store_pgts_list(tx, t->q->app.id, &t->list, err);
}

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct rows_tx *t = arg;

	return store_pgt_find(tx, t->q->app.id, t->q->params[1], &t->one, err);
}

/* All at once: clients look for the newest, and do not page. */
static int whole_list(struct api_req *q, json_t *list)
{
	http_set(q->x, "Accept-Ranges", "none");
	return api_ok(q, 200, list);
}

int api_dbtransfers_list(struct api_req *q, struct err *err)
{
	struct rows_tx t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_list, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, transfer_json(q, &t.list.v[i]));
	store_pgts_clear(&t.list);
	return whole_list(q, list);
}

int api_dbtransfers_info(struct api_req *q, struct err *err)
{
	struct rows_tx t = {.q = q};

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	api_ok(q, 200, transfer_json(q, &t.one));
	store_pgt_clear(&t.one);
	return 0;
}

int api_dbtransfers_delete(struct api_req *q, struct err *err)
{
	struct rows_tx t = {.q = q};
	int rc;

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	rc = pg_transfer_delete(q->d->transfers, t.one.id, err);
	if (rc == 0) {
		api_audit(q, "pg.transfer-delete", "%d", t.one.num);
		api_ok(q, 200, transfer_json(q, &t.one));
	}
	store_pgt_clear(&t.one);
	return rc;
}

int api_dbtransfers_cancel(struct api_req *q, struct err *err)
{
	struct rows_tx t = {.q = q};
	int rc;

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	rc = pg_transfer_cancel(q->d->transfers, t.one.id, err);
	if (rc == 0) {
		api_audit(q, "pg.transfer-cancel", "%d", t.one.num);
		api_ok(q, 200, json_object());
	}
	store_pgt_clear(&t.one);
	return rc;
}

/* --- new ones --- */

struct new_tx {
	struct api_req *q;
	struct store_addon db; /* of :add_on */
	char *name;
	const char *url;  /* backup_url */
	char from_id[37]; /* the backup */
	char *from_name;
};

static void new_clear(struct new_tx *t)
{
	store_addon_clear(&t->db);
	free(t->name);
	free(t->from_name);
}
#define new_clear_p new_clear

static int find_db(struct tx *tx, void *arg, struct err *err)
{
	struct new_tx *t = arg;

	if (api_db_find(t->q, tx, t->q->params[0], STORE_OPERATE, false, &t->db, err) < 0)
		return -1;
	if (t->db.state != ADDON_PROVISIONED)
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s is not provisioned yet: wait for it with addons:wait.",
			       t->db.name);
	return name_of(tx, &t->db, &t->name, err);
}

static int begin(struct api_req *q, struct store_pgt_new *in, const char *action, struct err *err)
{
	AUTO(store_pgt_clear) struct store_pgt row = {0};

	in->user_id = q->user.id;
	if (pg_transfer_new(q->d->transfers, in, &row, err) < 0)
		return -1;
	api_audit(q, action, "%s to %s", row.from_name, row.to_name);
	return api_ok(q, 201, transfer_json(q, &row));
}

int api_backups_create(struct api_req *q, struct err *err)
{
	AUTO(new_clear) struct new_tx t = {.q = q};
	struct store_pgt_new in = {.kind = PGT_BACKUP, .to_name = "BACKUP"};

	if (store_read(q->d->store, find_db, &t, err) < 0)
		return -1;
	in.app_id = t.db.app_id;
	in.addon_id = t.db.id;
	in.from_name = t.name;
	return begin(q, &in, "pg.backup", err);
}

static const struct api_field extension = {
	.type = F_LINE, .min = 1, .max = 130, .text = "hstore or myschema.hstore"};
const struct api_field api_fields_restore[] = {
	{"backup_url", F_URI, F_REQUIRED, .text = "to_url of a backup, or any URL of a dump"},
	{"extensions", F_LIST, .max = 50, .of = &extension, .text = "made first"},
	{0},
};

/* The backup is one of the caller's, or the URL says that it may be read. */
static int find_restore(struct tx *tx, void *arg, struct err *err)
{
	struct new_tx *t = arg;
	AUTO(store_pgt_clear) struct store_pgt row = {0};
	bool is_signed = false;
	unsigned perms = 0;
	int rc;

	t->from_id[0] = 0;
	if (find_db(tx, t, err) < 0)
		return -1;
	rc = api_backup_of_url(tx, t->url, t->from_id, &is_signed, err);
	if (rc <= 0) {
		t->from_id[0] = 0;
		return rc;
	}
	if (store_pgt_get(tx, t->from_id, &row, err) < 0)
		return -1;
	if (!is_signed && (store_app_access(tx, t->q->user.id, row.app_id, &perms, NULL) < 0 ||
			   !(perms & STORE_VIEW)))
		return err_not_found(err, "backup");
	if (row.kind != PGT_BACKUP || row.state != PGT_SUCCEEDED || !row.file_key)
		return err_set(err, ERR_INVALID_PARAMS,
			       "That backup did not succeed, or was deleted.");
	free(t->from_name);
	t->from_name = xasprintf("BACKUP b%03d", row.num);
	return 0;
}

static int join_extensions(const json_t *list, struct buf *out, struct err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != strlen(s))
			return err_set(err, ERR_INVALID_PARAMS,
				       "Extensions are named as hstore or myschema.hstore.");
		buf_addf(out, "%s%s", i ? "," : "", s);
	}
	return 0;
}

int api_restores_create(struct api_req *q, struct err *err)
{
	AUTO(new_clear)
	struct new_tx t = {.q = q, .url = api_get_str(q->body, "backup_url")};
	AUTO(buf_clear) struct buf extensions = {0};
	struct store_pgt_new in = {.kind = PGT_RESTORE};

	if (join_extensions(json_object_get(q->body, "extensions"), &extensions, err) < 0 ||
	    store_read(q->d->store, find_restore, &t, err) < 0)
		return -1;
	in.app_id = t.db.app_id;
	in.addon_id = t.db.id;
	in.to_name = t.name;
	in.from_name = t.from_name ? t.from_name : "URL";
	in.from_transfer_id = t.from_id;
	in.from_url = t.from_id[0] ? NULL : t.url;
	in.extensions = buf_str(&extensions);
	return begin(q, &in, "pg.restore", err);
}

/* --- copies --- */

const struct api_field api_fields_copy[] = {
	{"from_name", F_LINE, .max = 300},
	{"from_url", F_LINE, F_REQUIRED, .min = 1, .max = 2048, .text = "postgres://..."},
	{"to_name", F_LINE, .max = 300},
	{"to_url", F_LINE, F_REQUIRED, .min = 1, .max = 2048, .text = "of an add-on"},
	{0},
};

struct side { /* of a copy: a URL, and the add-on whose it is */
	struct pgurl url;
	struct store_addon addon;
	bool found;
};

struct copy_tx {
	struct api_req *q;
	struct store_addons all;
};

/* Databases of which the caller may read the URL. */
static int read_dbs(struct tx *tx, void *arg, struct err *err)
{
	struct copy_tx *t = arg;
	int n = 0;

	if (store_addons_list(tx, NULL, &t->all, err) < 0)
		return -1;
	for (int i = 0; i < t->all.n; i++) {
		struct store_addon *a = &t->all.v[i], keep = *a;
		unsigned perms = 0;

		if (a->app_id[0] && a->state == ADDON_PROVISIONED &&
		    strcmp(a->service, SERVICE) == 0 &&
		    perms_on(t->q, tx, a, true, &perms, NULL) == 0 && (perms & STORE_VIEW)) {
			*a = (struct store_addon){0};
			t->all.v[n++] = keep;
		} else {
			store_addon_clear(a);
		}
	}
	t->all.n = n;
	return 0;
}

static void side_clear(struct side *s)
{
	pgurl_clear(&s->url);
	store_addon_clear(&s->addon);
}
#define side_clear_p side_clear

static int match_side(struct api_req *q, struct store_addons *all, struct side *s, struct err *err)
{
	for (int i = 0; i < all->n && !s->found; i++) {
		AUTO(json_decref) json_t *config = NULL;
		AUTO(pgurl_clear) struct pgurl u = {0};
		const char *url;

		if (!all->v[i].id[0])
			continue;
		if (addon_config(q->d->addons, all->v[i].id, NULL, &config, err) < 0)
			return -1;
		url = json_string_value(json_object_get(config, "URL"));
		if (!url || pgurl_parse(url, &u, NULL) < 0 || !pgurl_same(&u, &s->url))
			continue;
		s->found = true;
		s->addon = all->v[i];
		all->v[i] = (struct store_addon){0};
	}
	return 0;
}

static int match_sides(struct api_req *q, struct side *from, struct side *to, struct err *err)
{
	struct copy_tx t = {.q = q};
	int rc;

	if (pgurl_parse(api_get_str(q->body, "from_url"), &from->url, err) < 0 ||
	    pgurl_parse(api_get_str(q->body, "to_url"), &to->url, err) < 0)
		return -1;
	if (pgurl_same(&from->url, &to->url))
		return err_set(err, ERR_INVALID_PARAMS, "Cannot copy a database onto itself.");
	if (store_read(q->d->store, read_dbs, &t, err) < 0)
		return -1;
	rc = match_side(q, &t.all, from, err);
	if (rc == 0)
		rc = match_side(q, &t.all, to, err);
	store_addons_clear(&t.all);
	if (rc == 0 && !to->found)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The target is no database of this platform that you can reach: a "
			       "database elsewhere is filled with pg:pull, or pg_dump and "
			       "pg_restore.");
	return rc;
}

struct target_tx {
	struct api_req *q;
	const char *id;
	struct store_addon db;
};

static int check_target(struct tx *tx, void *arg, struct err *err)
{
	struct target_tx *t = arg;

	store_addon_clear(&t->db);
	return api_db_find(t->q, tx, t->id, STORE_OPERATE, false, &t->db, err);
}

int api_copies_create(struct api_req *q, struct err *err)
{
	AUTO(new_clear) struct new_tx t = {.q = q};
	AUTO(side_clear) struct side from = {0}, to = {0};
	struct target_tx target = {.q = q};
	const char *from_name = api_get_str(q->body, "from_name"),
		   *to_name = api_get_str(q->body, "to_name");
	AUTO(auto_str) char *shown = NULL;
	struct store_pgt_new in = {.kind = PGT_COPY};

	if (store_read(q->d->store, find_db, &t, err) < 0 || match_sides(q, &from, &to, err) < 0)
		return -1;
	target.id = to.addon.id;
	if (store_read(q->d->store, check_target, &target, err) < 0)
		return -1;
	store_addon_clear(&target.db);
	if (!from.found) {
		if (pgurl_guard(&from.url, q->d->cfg, err) < 0)
			return -1;
		shown = pgurl_shown(&from.url);
		in.from_url = api_get_str(q->body, "from_url");
	}
	in.from_addon_id = from.addon.id;
	in.app_id = to.addon.app_id;
	in.addon_id = to.addon.id;
	in.from_name = from_name ? from_name : shown ? shown : from.addon.name;
	in.to_name = to_name ? to_name : to.addon.name;
	return begin(q, &in, "pg.copy", err);
}

/* --- schedules --- */

const struct api_field api_fields_schedule[] = {
	{"hour", F_INT, F_REQUIRED, .min = 0, .max = 23},
	{"timezone", F_LINE, .min = 1, .max = 63, .text = "Europe/Berlin; UTC by default"},
	{"schedule_name", F_LINE, .min = 1, .max = 200, .text = "DATABASE_URL"},
	{0},
};

static json_t *schedule_json(const struct store_pgt_schedule *s)
{
	char hour[8];

	snprintf(hour, sizeof hour, "%02d", s->hour);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "uuid", s->id, "name", s->name,
			 "hour", hour, "timezone", s->timezone, "next_at", time_or_null(s->next_ms),
			 "created_at", time_or_null(s->created_ms), "updated_at",
			 time_or_null(s->updated_ms));
}

struct schedules_tx {
	struct new_tx t;
	struct store_pgt_schedules list;
	unsigned perm;
};

static int read_schedules(struct tx *tx, void *arg, struct err *err)
{
	struct schedules_tx *s = arg;
	struct api_req *q = s->t.q;

	if (api_db_find(q, tx, q->params[0], STORE_VIEW, true, &s->t.db, err) < 0)
		return -1;
	return store_pgt_schedules_list(tx, s->t.db.id, &s->list, err);
}

int api_schedules_list(struct api_req *q, struct err *err)
{
	struct schedules_tx s = {.t = {.q = q}};
	json_t *list;

	if (store_read(q->d->store, read_schedules, &s, err) < 0) {
		new_clear(&s.t);
		return -1;
	}
	list = json_array();
	for (int i = 0; i < s.list.n; i++)
		json_array_append_new(list, schedule_json(&s.list.v[i]));
	store_pgt_schedules_clear(&s.list);
	new_clear(&s.t);
	return whole_list(q, list);
}

int api_schedules_create(struct api_req *q, struct err *err)
{
	AUTO(new_clear) struct new_tx t = {.q = q};
	AUTO(store_pgt_schedule_clear) struct store_pgt_schedule s = {0};
	const char *zone = api_get_str(q->body, "timezone"),
		   *name = api_get_str(q->body, "schedule_name");
	AUTO(auto_str) char *usual = NULL;

	if (store_read(q->d->store, find_db, &t, err) < 0)
		return -1;
	usual = xasprintf("%s_URL", t.name);
	if (pg_schedule_set(q->d->transfers, t.db.id, name ? name : usual,
			    (int)api_get_int(q->body, "hour", 0), zone ? zone : "UTC", &s, err) < 0)
		return -1;
	api_audit(q, "pg.schedule", "%s at %02d:00 %s", s.name, s.hour, s.timezone);
	return api_ok(q, 201, schedule_json(&s));
}

static int delete_schedule(struct tx *tx, void *arg, struct err *err)
{
	struct new_tx *t = arg;

	store_addon_clear(&t->db);
	if (api_db_find(t->q, tx, t->q->params[0], STORE_OPERATE, false, &t->db, err) < 0)
		return -1;
	return store_pgt_schedule_delete(tx, t->db.id, t->q->params[1], err);
}

int api_schedules_delete(struct api_req *q, struct err *err)
{
	AUTO(new_clear) struct new_tx t = {.q = q};

	if (store_tx(q->d->store, delete_schedule, &t, err) < 0)
		return -1;
	api_audit(q, "pg.unschedule", "%s", t.db.name);
	return api_ok(q, 200, json_object());
}
