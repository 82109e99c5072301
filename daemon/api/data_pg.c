/* The data API of PostgreSQL: information, reset, credentials, settings, the tunnel. */
#include "daemon/api/data_pg.h"
#include "daemon/api/data_redis.h"
#include "daemon/pg/pg.h"
#include "daemon/pg/tunnel.h"
#include "proto/tunnel.h"

#include <stdio.h>
#include <string.h>

int api_pg_find(struct api_req *q, enum api_need need, bool any, struct store_addon *out,
		struct err *err)
{
	return api_data_find(q, PG_SERVICE, need, any, out, err);
}

static int find_ready(struct api_req *q, enum api_need need, bool any, struct store_addon *out,
		      struct err *err)
{
	return api_data_ready(q, PG_SERVICE, need, any, out, err);
}

/* --- information --- */

static char *size_text(int64_t bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		u++;
	}
	return u ? xasprintf("%.*f %s", v < 10 ? 2 : 1, v, units[u])
		 : xasprintf("%lld %s", (long long)bytes, units[0]);
}

static char *status_text(const struct store_addon *a, const json_t *info)
{
	if (a->state == ADDON_PROVISIONING)
		return xstrdup("Preparing");
	if (!info)
		return xstrdup("Unavailable");
	return xstrdup(json_is_true(json_object_get(info, "read_only"))
			       ? "Read-only: larger than its plan"
			       : "Available");
}

static char *data_size(const json_t *info)
{
	int64_t bytes = json_integer_value(json_object_get(info, "bytes"));
	int64_t limit = json_integer_value(json_object_get(info, "limit_bytes"));
	AUTO(auto_str) char *is = size_text(bytes);
	AUTO(auto_str) char *may = size_text(limit);

	return limit ? xasprintf("%s / %s (%.2f%%)%s", is, may,
				 100.0 * (double)bytes / (double)limit,
				 bytes > limit ? " (over the plan: read-only)" : "")
		     : STEAL(is);
}

static char *plan_name(struct api_req *q, const struct store_addon *a)
{
	AUTO(auto_str) char *full = xasprintf("%s:%s", a->service, a->plan);
	const struct addon_service *s = NULL;
	const struct addon_plan *p = NULL;
	struct err err = {0};

	return xstrdup(addon_plan_find(q->d->addons, full, &s, &p, &err) == 0 && p->human_name
			       ? p->human_name
			       : a->plan);
}

/* What people read, in this order. */
static json_t *info_rows(struct api_req *q, const struct store_addon *a, const json_t *info)
{
	json_t *list = json_array();
	json_auto_t *created = json_time(a->created_ms);
	const json_t *n;

	api_data_row(list, "Plan", plan_name(q, a));
	api_data_row(list, "Status", status_text(a, info));
	if (info) {
		n = json_object_get(info, "connections");
		api_data_row(list, "Connections",
			     xasprintf("%lld/%lld", (long long)json_integer_value(n),
				       (long long)json_integer_value(
					       json_object_get(info, "connection_limit"))));
		api_data_row(list, "PG Version",
			     xstrdup(json_string_value(json_object_get(info, "version"))));
	}
	api_data_row(list, "Created", xstrdup(json_string_value(created)));
	if (info) {
		api_data_row(list, "Data Size", data_size(info));
		n = json_object_get(info, "tables");
		api_data_row(list, "Tables", xasprintf("%lld", (long long)json_integer_value(n)));
	}
	api_data_row(list, "Fork/Follow", xstrdup("Unsupported"));
	api_data_row(list, "Rollback", xstrdup("Unsupported"));
	api_data_row(list, "Continuous Protection", xstrdup("Off"));
	return list;
}

/* resource_url is matched against config vars by clients; who may not see those does not get it. */
static json_t *resource_url(struct api_req *q, const struct store_addon *a)
{
	json_auto_t *config = NULL;
	struct err err = {0};

	if (addon_config(q->d->addons, a->id, NULL, &config, &err) < 0)
		return json_null();
	return json_incref(json_object_get(config, "URL"));
}

int api_pg_info(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *info = NULL;
	json_t *n;
	struct err e = {0};

	if (find_ready(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	/* A server that is away is told, not an error. */
	if (api_data_ask(q, &a, "info", NULL, &info, &e) < 0)
		info = NULL;
	n = json_object_get(info, "bytes");
	return api_ok(
		q, 200,
		json_pack("{ss ss ss so so? sn sn sn so so so sb so}", "id", a.id, "name", a.name,
			  "plan", a.plan, "resource_url", resource_url(q, &a), "postgres_version",
			  json_deep_copy(json_object_get(info, "version")), "following", "leader",
			  "forked_from", "created_at", json_time(a.created_ms), "num_bytes",
			  n ? json_deep_copy(n) : json_integer(0), "num_connections",
			  json_integer(json_integer_value(json_object_get(info, "connections"))),
			  "available", info != NULL, "info", info_rows(q, &a, info)));
}

int api_pg_wait(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *answer = NULL;
	struct err e = {0};
	const char *message = "available";
	bool waiting = false, error = false;

	if (api_pg_find(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	if (a.state == ADDON_PROVISIONING) {
		waiting = true;
		message = a.message && *a.message ? a.message : "preparing";
	} else if (a.state != ADDON_PROVISIONED) {
		error = true;
		message = a.failure && *a.failure ? a.failure : "being removed";
	} else if (api_data_ask(q, &a, "health", NULL, &answer, &e) < 0) {
		waiting = true;
		message = "the server does not answer";
	}
	return api_ok(
		q, 200,
		json_pack("{sb ss sb}", "waiting?", waiting, "message", message, "error?", error));
}

/* --- the whole database --- */

static const struct api_field extension = {.type = F_LINE, .min = 1, .max = 63};
const struct api_field api_fields_pg_reset[] = {
	{"extensions", F_LIST, F_NULL, 0, 50, NULL, &extension, "to have from the start"},
	{0},
};
const struct api_field api_fields_pg_extensions[] = {
	{"extensions", F_LIST, F_REQUIRED, 1, 50, NULL, &extension, "names"},
	{0},
};

static json_t *extensions_of(struct api_req *q)
{
	json_t *list = json_object_get(q->body, "extensions");

	return json_is_array(list) ? json_pack("{sO}", "extensions", list) : json_object();
}

int api_pg_reset(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *in = extensions_of(q), *out = NULL;

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0)
		return -1;
	api_audit(q, "pg.reset", "%s", a.name);
	if (api_data_ask(q, &a, "reset", in, &out, err) < 0)
		return -1;
	return api_data_said(q, "Reset of %s is done.", a.name);
}

int api_pg_sessions(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *out = NULL;

	if (find_ready(q, NEED_OPERATE, true, &a, err) < 0 ||
	    api_data_ask(q, &a, "sessions", NULL, &out, err) < 0)
		return -1;
	api_audit(q, "pg.connection_reset", "%s", a.name);
	return api_data_said(q, "All connections of %s were ended.", a.name);
}

int api_pg_statistics(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *out = NULL;

	if (find_ready(q, NEED_OPERATE, true, &a, err) < 0 ||
	    api_data_ask(q, &a, "statistics", NULL, &out, err) < 0)
		return -1;
	return api_data_said(q, "The statistics of %s begin again.", a.name);
}

int api_pg_extensions(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *info = NULL;
	json_t *list, *name;
	size_t i;

	if (find_ready(q, NEED_VIEW, true, &a, err) < 0 ||
	    api_data_ask(q, &a, "info", NULL, &info, err) < 0)
		return -1;
	list = json_array();
	json_array_foreach(json_object_get(info, "extensions"), i, name)
		json_array_append_new(list, json_pack("{sO}", "name", name));
	return api_list(q, list, "name", err);
}

int api_pg_extensions_add(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *in = extensions_of(q), *out = NULL;

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0 ||
	    api_data_ask(q, &a, "extensions", in, &out, err) < 0)
		return -1;
	api_audit(q, "pg.extensions", "%s", a.name);
	return api_data_said(q, "The extensions are in %s.", a.name);
}

/* --- credentials --- */

struct creds {
	const char *addon_id;
	struct store_credentials list;
};

static int read_creds(struct tx *tx, void *arg, struct err *err)
{
	struct creds *c = arg;

	return store_credentials_list(tx, c->addon_id, &c->list, err);
}

static int64_t connections_of(const json_t *info, const char *user)
{
	const json_t *login = json_object_get(json_object_get(info, "logins"), user);

	return json_integer_value(json_object_get(login, "connections"));
}

/* One that is being rotated has its former login, too, while that goes on. */
static json_t *logins_json(const struct pg_url *u, const json_t *info)
{
	json_t *list =
		json_pack("[{ss ss ss sI}]", "user", u->user, "password", u->password, "state",
			  "active", "connections", (json_int_t)connections_of(info, u->user));
	const char *name;
	json_t *login;
	size_t stem = strcspn(u->user, "_");

	if (u->user[0] != 'u' || stem != 15)
		return list;
	json_object_foreach(json_object_get(info, "logins"), name, login)
	{
		if (strcmp(name, u->user) == 0 || strncmp(name, u->user, stem) != 0 ||
		    (name[stem] && name[stem] != '_'))
			continue;
		json_array_append_new(list,
				      json_pack("{ss sn ss sI}", "user", name, "password", "state",
						"rotating", "connections",
						(json_int_t)json_integer_value(
							json_object_get(login, "connections"))));
	}
	return list;
}

static int credential_json(struct api_req *q, const struct store_addon *a, const char *id,
			   const char *name, const char *state, const json_t *info, json_t **out,
			   struct err *err)
{
	AUTO(pg_url_clear) struct pg_url u = {0};

	if (pg_url_of(q->d->addons, a->id, strcmp(name, "default") == 0 ? NULL : name, &u, err) < 0)
		return -1;
	*out = json_pack("{ss ss ss ss ss si so}", "uuid", id, "name", name, "state", state,
			 "database", u.database, "host", u.host, "port", u.port, "credentials",
			 logins_json(&u, info));
	return 0;
}

int api_pg_credentials(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct creds c = {0};
	json_auto_t *info = NULL, *list = json_array();
	json_t *one = NULL;
	struct err e = {0};
	int rc = -1;

	if (find_ready(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	c.addon_id = a.id;
	if (store_read(q->d->store, read_creds, &c, err) == 0) {
		api_data_ask(q, &a, "info", NULL, &info, &e); /* only for numbers of connections */
		rc = credential_json(q, &a, a.id, "default", "active", info, &one, err);
	}
	if (rc == 0)
		json_array_append_new(list, one);
	for (int i = 0; i < c.list.n && rc == 0; i++) {
		const struct store_credential *k = &c.list.v[i];

		rc = credential_json(q, &a, k->id, k->name, k->state, info, &one, err);
		if (rc == 0)
			json_array_append_new(list, one);
	}
	store_credentials_clear(&c.list);
	return rc < 0 ? -1 : api_list(q, json_incref(list), "name", err);
}

struct one_cred {
	const char *addon_id, *name;
	struct store_credential c;
};

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct one_cred *o = arg;

	return store_credential_find(tx, o->addon_id, o->name, &o->c, err);
}

int api_pg_credential(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *info = NULL;
	struct one_cred o = {.name = q->params[1]};
	json_t *out = NULL;
	struct err e = {0};
	int rc;

	if (find_ready(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	o.addon_id = a.id;
	api_data_ask(q, &a, "info", NULL, &info, &e);
	if (strcmp(o.name, "default") == 0)
		rc = credential_json(q, &a, a.id, "default", "active", info, &out, err);
	else if (store_read(q->d->store, read_one, &o, err) < 0)
		rc = -1;
	else
		rc = credential_json(q, &a, o.c.id, o.c.name, o.c.state, info, &out, err);
	store_credential_clear(&o.c);
	return rc < 0 ? -1 : api_ok(q, 200, out);
}

const struct api_field api_fields_pg_credential[] = {
	{"name", F_LINE, F_REQUIRED, 1, 63, NULL, NULL, "of the new one"},
	{0},
};

static struct addon_actor actor(const struct api_req *q)
{
	return (struct addon_actor){.user_id = q->user.id, .user_email = q->user.email};
}

int api_pg_credential_create(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct addon_actor by = actor(q);
	const char *name = api_get_str(q->body, "name");

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0 ||
	    addon_credential_create(q->d->addons, &by, a.id, name, NULL, err) < 0)
		return -1;
	api_audit(q, "pg.credential.create", "%s %s", a.name, name);
	return api_data_said(q, "The credential %s is there.", name);
}

int api_pg_credential_destroy(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct addon_actor by = actor(q);
	const char *name = q->params[1];

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0)
		return -1;
	if (strcmp(name, "default") == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The default credential cannot be destroyed.");
	if (addon_credential_destroy(q->d->addons, &by, a.id, name, err) < 0)
		return -1;
	api_audit(q, "pg.credential.destroy", "%s %s", a.name, name);
	return api_data_said(q, "The credential %s is gone.", name);
}

const struct api_field api_fields_pg_rotate[] = {
	{"forced", F_BOOL, F_NULL, 0, 0, NULL, NULL, "the old password ends at once"},
	{0},
};

static int rotate_one(struct api_req *q, const struct store_addon *a, const char *name,
		      struct err *err)
{
	struct addon_actor by = actor(q);
	bool forced = api_get_bool(q->body, "forced", 0) > 0;

	if (addon_rotate(q->d->addons, &by, a->id, strcmp(name, "default") == 0 ? NULL : name,
			 forced, err) < 0)
		return -1;
	api_audit(q, "pg.credential.rotate", "%s %s%s", a->name, name, forced ? " forced" : "");
	return 0;
}

int api_pg_rotate(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0 ||
	    rotate_one(q, &a, q->params[1], err) < 0)
		return -1;
	return api_data_said(q, "The credential %s has a new password.", q->params[1]);
}

int api_pg_rotate_all(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct creds c = {0};
	int rc;

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0)
		return -1;
	c.addon_id = a.id;
	rc = store_read(q->d->store, read_creds, &c, err);
	if (rc == 0)
		rc = rotate_one(q, &a, "default", err);
	for (int i = 0; i < c.list.n && rc == 0; i++)
		rc = rotate_one(q, &a, c.list.v[i].name, err);
	store_credentials_clear(&c.list);
	return rc < 0 ? -1 : api_data_said(q, "All credentials of %s have new passwords.", a.name);
}

int api_pg_repair(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *out = NULL;

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0 ||
	    api_data_ask(q, &a, "repair", NULL, &out, err) < 0)
		return -1;
	api_audit(q, "pg.credential.repair", "%s", a.name);
	return api_data_said(q, "The default credential of %s owns everything.", a.name);
}

/* --- settings --- */

const struct api_field api_fields_pg_settings[] = {
	{"*", F_ANY, F_NULL, 0, 0, NULL, NULL, "settings by name"},
	{0},
};

static int settings(struct api_req *q, const json_t *set, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *in = json_pack("{sO?}", "set", set);
	json_t *out = NULL;

	if (find_ready(q, set ? NEED_OPERATE : NEED_VIEW, !set, &a, err) < 0 ||
	    api_data_ask(q, &a, "settings", in, &out, err) < 0)
		return -1;
	if (set)
		api_audit(q, "pg.settings", "%s", a.name);
	return api_ok(q, 200, out);
}

int api_pg_settings(struct api_req *q, struct err *err)
{
	return settings(q, NULL, err);
}

int api_pg_settings_set(struct api_req *q, struct err *err)
{
	return settings(q, q->body, err);
}

/* --- the tunnel --- */

static int to_postgres(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(pg_url_clear) struct pg_url u = {0};

	if (find_ready(q, NEED_OPERATE, true, &a, err) < 0 ||
	    pg_url_of(q->d->addons, a.id, NULL, &u, err) < 0)
		return -1;
	api_audit(q, "pg.tunnel", "%s", a.name);
	return pg_tunnel_open(q->d->tunnels, q->x, q->user.id, u.host, u.port, err);
}

int api_pg_tunnel(struct api_req *q, struct err *err)
{
	const char *up = http_header(q->x, "upgrade");
	struct err e = {0};

	if (!up || strcmp(up, TUNNEL_UPGRADE) != 0)
		return err_set(err, ERR_BAD_REQUEST, "This URL is for an upgrade to %s.",
			       TUNNEL_UPGRADE);
	if (to_postgres(q, &e) < 0 && (e.code != ERR_NOT_FOUND || api_redis_tunnel(q, &e) < 0)) {
		*err = e;
		return -1;
	}
	q->answered = true;
	return 0;
}

/* --- what there is not --- */

static int none(struct api_req *q, const char *why, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_pg_find(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	return err_set(err, ERR_INVALID_PARAMS, "%s", why);
}

int api_pg_none_listed(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_pg_find(q, NEED_VIEW, true, &a, err) < 0)
		return -1;
	return api_list(q, json_array(), "name", err);
}

int api_pg_no_follower(struct api_req *q, struct err *err)
{
	return none(q, "This database follows no other one; there are no replicas here.", err);
}

int api_pg_no_links(struct api_req *q, struct err *err)
{
	return none(q, "Databases here are not linked to each other; pg:copy copies one.", err);
}

int api_pg_no_upgrade(struct api_req *q, struct err *err)
{
	return none(q,
		    "All databases are of the version that the host has: the administrator "
		    "upgrades it, as docs/postgres.md says.",
		    err);
}

int api_pg_no_pooling(struct api_req *q, struct err *err)
{
	return none(q, "There is no connection pooling on the server; pools in apps work.", err);
}
