/* What a database is like, and what is watched: its size against the plan, logins whose time is
 * over, settings. */
#include "postgres/tenant.h"
#include "proto/buf.h"

#include <stdio.h>
#include <string.h>

/* --- info --- */

static json_t *available(PGconn *c)
{
	AUTO(PQclear) PGresult *r = NULL;
	json_t *out = json_array();
	struct err e = {0};

	if (pgs_query(c, &r, &e, "SELECT name FROM pg_available_extensions ORDER BY name") < 0)
		return out;
	for (int i = 0; i < PQntuples(r); i++)
		if (extension_allowed(PQgetvalue(r, i, 0)))
			json_array_append_new(out, json_string(PQgetvalue(r, i, 0)));
	return out;
}

/* Of each login: connections, and until when it opens new ones. */
static int logins(struct request *q, PGconn *c, json_t **out, struct err *err)
{
	AUTO(PQclear) PGresult *r = NULL;

	if (pgs_query(c, &r, err,
		      "SELECT r.rolname, count(a.pid), "
		      "coalesce(extract(epoch FROM nullif(r.rolvaliduntil, 'infinity'))::bigint, "
		      "0) FROM pg_roles r LEFT JOIN pg_stat_activity a ON a.usesysid = r.oid "
		      "WHERE r.rolcanlogin AND " TENANT_ROLES
		      " GROUP BY r.rolname, r.rolvaliduntil ORDER BY r.rolname",
		      q->t.tag) < 0)
		return -1;
	*out = json_object();
	for (int i = 0; i < PQntuples(r); i++)
		json_object_set_new(*out, PQgetvalue(r, i, 0),
				    json_pack("{sI sI}", "connections",
					      (json_int_t)strtoll(PQgetvalue(r, i, 1), NULL, 10),
					      "until",
					      (json_int_t)strtoll(PQgetvalue(r, i, 2), NULL, 10)));
	return 0;
}

static int read_only(struct request *q, PGconn *c, bool *out, struct err *err)
{
	long long n = 0;

	if (pgs_number(c, &n, err,
		       "SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = "
		       "s.setdatabase WHERE d.datname = %L AND s.setrole = 0 AND "
		       "'default_transaction_read_only=on' = ANY (s.setconfig)",
		       q->t.db) < 0)
		return -1;
	*out = n > 0;
	return 0;
}

int verb_info(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(auto_str) char *version = NULL;
	long long bytes = 0, tables = 0, connections = 0;
	json_t *who = NULL;
	bool ro = false;

	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 ||
	    pgs_text(c, &version, err, "SHOW server_version") < 0 ||
	    database_size(q, c, &bytes, err) < 0 || read_only(q, c, &ro, err) < 0 ||
	    pgs_number(c, &tables, err,
		       "SELECT count(*) FROM pg_class k JOIN pg_namespace n ON n.oid = "
		       "k.relnamespace WHERE k.relkind IN ('r', 'p') AND n.nspname NOT LIKE "
		       "'pg\\_%%' AND n.nspname NOT IN ('information_schema', 'heroku_ext', "
		       "'paas_ext')") < 0 ||
	    pgs_number(c, &connections, err,
		       "SELECT count(*) FROM pg_stat_activity WHERE datname = %L AND usename <> "
		       "current_user",
		       q->t.db) < 0 ||
	    logins(q, c, &who, err) < 0)
		return -1;
	version[strcspn(version, " ")] = 0; /* "15.20 (Debian ...)" */
	*out = json_pack("{ss ss sI sI sI sI sI sb so so}", "version", version, "database", q->t.db,
			 "bytes", (json_int_t)bytes, "limit_bytes",
			 (json_int_t)(limit_of(q, "disk_mb", 0) << 20), "connections",
			 (json_int_t)connections, "connection_limit",
			 (json_int_t)limit_of(q, "connections", 20), "tables", (json_int_t)tables,
			 "read_only", ro, "logins", who, "extensions", available(c));
	return 0;
}

int verb_health(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;

	return pgs_connect(&q->server, q->t.db, &c, err);
}

/* --- watch --- */

/* Logins whose time is over: what they own goes to the present one, of named credentials to their
 * group. */
static int retire(struct request *q, int *n, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(PQclear) PGresult *r = NULL;

	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 ||
	    pgs_query(c, &r, err,
		      "SELECT rolname FROM pg_roles WHERE rolvaliduntil < now() AND " TENANT_ROLES
		      " AND rolname <> %L ORDER BY oid",
		      q->t.tag, q->t.login) < 0)
		return -1;
	for (int i = 0; i < PQntuples(r); i++) {
		const char *old = PQgetvalue(r, i, 0);
		bool own = old[0] == 'u' && strncmp(old + 1, q->t.tag, strlen(q->t.tag)) == 0;
		AUTO(auto_str) char *group = own ? NULL : xstrdup(old);

		if (group)
			*strrchr(group, '_') = 0;
		if (login_end(c, old, own ? q->t.login : group, err) < 0)
			return -1;
		++*n;
	}
	return 0;
}

static int enforce(struct request *q, PGconn *c, bool full, struct err *err)
{
	bool ro = false;

	if (read_only(q, c, &ro, err) < 0 || ro == full)
		return ro == full ? 0 : -1;
	if (pgs_exec(c, err,
		     full ? "ALTER DATABASE %I SET default_transaction_read_only = on"
			  : "ALTER DATABASE %I RESET default_transaction_read_only",
		     q->t.db) < 0)
		return -1;
	/* Sessions have it from their start on. */
	return pgs_exec(c, err,
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
			"datname = %L AND usename <> current_user",
			q->t.db);
}

int verb_watch(struct request *q, json_t **out, struct err *err)
{
	long long limit = limit_of(q, "disk_mb", 0) << 20, bytes = 0;
	AUTO(PQfinish) PGconn *c = NULL;
	int retired = 0;
	bool full;

	if (pgs_connect(&q->server, NULL, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0 ||
	    database_size(q, c, &bytes, err) < 0)
		return -1;
	full = limit && bytes > limit;
	if (enforce(q, c, full, err) < 0 || retire(q, &retired, err) < 0)
		return -1;
	*out = json_pack("{sI sI sb si}", "bytes", (json_int_t)bytes, "limit_bytes",
			 (json_int_t)limit, "read_only", full, "retired", retired);
	return 0;
}

/* --- settings of standard plans --- */

static const struct setting {
	const char *name, *guc, *preset, *text;
	const char *choices;  /* NULL = a number of milliseconds, -1 = off; "bool" */
	const char *on, *off; /* of "bool": words of the server */
} settings[] = {
	{"auto_explain", "auto_explain.sample_rate", "0",
	 "Whether plans of slow statements are logged.", "bool", "1", "0"},
	{"auto_explain.log_analyze", "auto_explain.log_analyze", "off",
	 "Whether logged plans have real times.", "bool", "on", "off"},
	{"auto_explain.log_buffers", "auto_explain.log_buffers", "off",
	 "Whether logged plans have the use of buffers.", "bool", "on", "off"},
	{"auto_explain.log_format", "auto_explain.log_format", "text", "Form of logged plans.",
	 "text|xml|json|yaml"},
	{"auto_explain.log_min_duration", "auto_explain.log_min_duration", "-1",
	 "Plans of statements that take so many milliseconds are logged; -1: none.", NULL},
	{"auto_explain.log_nested_statements", "auto_explain.log_nested_statements", "off",
	 "Whether statements inside functions are logged.", "bool", "on", "off"},
	{"auto_explain.log_triggers", "auto_explain.log_triggers", "off",
	 "Whether logged plans have triggers.", "bool", "on", "off"},
	{"auto_explain.log_verbose", "auto_explain.log_verbose", "off",
	 "Whether logged plans are verbose.", "bool", "on", "off"},
	{"log_lock_waits", "log_lock_waits", "off",
	 "Whether waits for a lock that last longer than a second are logged.", "bool", "on",
	 "off"},
	{"log_min_duration_statement", "log_min_duration_statement", "-1",
	 "Statements that take at least so many milliseconds are logged; -1: none.", NULL},
	{"log_min_error_statement", "log_min_error_statement", "panic",
	 "Statements with errors of this level or a worse one are logged.",
	 "error|log|fatal|panic"},
	{"log_statement", "log_statement", "none", "Kinds of statements that are logged.",
	 "none|ddl|mod|all"},
	{"track_functions", "track_functions", "none", "Functions whose calls are counted.",
	 "none|pl|all"},
};

static bool is_bool(const struct setting *s)
{
	return s->choices && strcmp(s->choices, "bool") == 0;
}

static bool one_of(const char *choices, const char *v)
{
	size_t n = strlen(v);

	for (const char *p = choices; *p; p += *p == '|') {
		size_t len = strcspn(p, "|");

		if (len == n && memcmp(p, v, n) == 0)
			return true;
		p += len;
	}
	return false;
}

/* The text for the server of a value from outside; NULL when it is none. */
static const char *setting_text(const struct setting *s, const json_t *v, char number[24])
{
	if (is_bool(s))
		return json_is_boolean(v) ? (json_is_true(v) ? s->on : s->off) : NULL;
	if (s->choices)
		return json_is_string(v) && one_of(s->choices, json_string_value(v))
			       ? json_string_value(v)
			       : NULL;
	if (!json_is_integer(v) || json_integer_value(v) < -1 || json_integer_value(v) > 2147483647)
		return NULL;
	snprintf(number, 24, "%lld", (long long)json_integer_value(v));
	return number;
}

static json_t *setting_value(const struct setting *s, const char *text)
{
	if (is_bool(s))
		return json_boolean(strcmp(text, s->on) == 0);
	return s->choices ? json_string(text) : json_integer(strtoll(text, NULL, 10));
}

static json_t *choices_json(const struct setting *s)
{
	json_t *out = json_object();

	if (is_bool(s)) {
		json_object_set_new(out, "true", json_string("On."));
		json_object_set_new(out, "false", json_string("Off."));
		return out;
	}
	for (const char *p = s->choices ? s->choices : ""; *p; p += *p == '|') {
		size_t len = strcspn(p, "|");
		AUTO(auto_str) char *name = xstrndup(p, len);

		json_object_set_new(out, name, json_sprintf("%s: %s", name, s->text));
		p += len;
	}
	return out;
}

static int set_one(struct request *q, PGconn *c, const char *name, const json_t *v, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];
		char number[24];
		const char *text;

		if (strcmp(s->name, name) != 0)
			continue;
		text = setting_text(s, v, number);
		if (!text)
			return err_set(err, ERR_INVALID_PARAMS,
				       "%s cannot have this value: it takes %s.", name,
				       is_bool(s)   ? "true or false"
				       : s->choices ? s->choices
						    : "a number, -1 for none");
		return pgs_exec(c, err, "ALTER DATABASE %I SET %s = %L", q->t.db, s->guc, text);
	}
	return err_set(err, ERR_INVALID_PARAMS, "There is no setting %.60s here.", name);
}

static int read_settings(struct request *q, PGconn *c, json_t **out, struct err *err)
{
	AUTO(PQclear) PGresult *r = NULL;
	json_auto_t *own = json_object();

	if (pgs_query(c, &r, err,
		      "SELECT split_part(x, '=', 1), substr(x, strpos(x, '=') + 1) FROM "
		      "pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, "
		      "unnest(s.setconfig) x WHERE d.datname = %L AND s.setrole = 0",
		      q->t.db) < 0)
		return -1;
	for (int i = 0; i < PQntuples(r); i++)
		json_object_set_new(own, PQgetvalue(r, i, 0), json_string(PQgetvalue(r, i, 1)));
	*out = json_object();
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];
		const char *now = json_string_value(json_object_get(own, s->guc));

		json_object_set_new(*out, s->name,
				    json_pack("{so so ss so}", "value",
					      setting_value(s, now ? now : s->preset), "default",
					      setting_value(s, s->preset), "desc", s->text,
					      "values", choices_json(s)));
	}
	return 0;
}

/* params.set: what to change; answers with all. */
int verb_settings(struct request *q, json_t **out, struct err *err)
{
	json_t *set = json_object_get(q->params, "set"), *v;
	AUTO(PQfinish) PGconn *c = NULL;
	const char *name;

	if (limit_of(q, "credentials", 0) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "This plan has no settings of its own; standard plans do.");
	if (pgs_connect(&q->server, q->t.db, &c, err) < 0)
		return -1;
	json_object_foreach(set, name, v)
	{
		if (set_one(q, c, name, v, err) < 0)
			return -1;
	}
	return read_settings(q, c, out, err);
}
