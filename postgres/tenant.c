/* The add-on's own database and login: made, changed, rotated, emptied, removed. */
#include "postgres/tenant.h"
#include "daemon/core/codec.h"
#include "proto/buf.h"

#include <stdio.h>
#include <string.h>

long long limit_of(const struct request *q, const char *name, long long otherwise)
{
	const json_t *v = json_object_get(q->limits, name);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

const char *param_of(const struct request *q, const char *name)
{
	return json_string_value(json_object_get(q->params, name));
}

void new_password(char out[PASSWORD_LEN])
{
	out[0] = 'p';
	random_hex(out + 1, PASSWORD_LEN - 2);
}

void login_name(const struct tenant *t, int generation, char out[TENANT_NAME])
{
	if (generation)
		snprintf(out, TENANT_NAME, "u%s_%d", t->tag, generation);
	else
		snprintf(out, TENANT_NAME, "u%s", t->tag);
}

json_t *url_config(const struct request *q, const char *login, const char *password)
{
	AUTO(auto_str)
	char *url = xasprintf("postgres://%s:%s@%s:%s/%s", login, password, q->server.host,
			      q->server.port, q->t.db);

	return json_pack("{ss}", "URL", url);
}

static int role_exists(PGconn *c, const char *role, bool *out, struct err *err)
{
	long long n = 0;

	if (pgs_number(c, &n, err, "SELECT count(*) FROM pg_roles WHERE rolname = %L", role) < 0)
		return -1;
	*out = n > 0;
	return 0;
}

int login_make(struct request *q, PGconn *c, const char *login, const char *password,
	       struct err *err)
{
	bool there = false;

	if (role_exists(c, login, &there, err) < 0 ||
	    (!there && pgs_exec(c, err, "CREATE ROLE %I NOLOGIN INHERIT", login) < 0) ||
	    pgs_exec(c, err, "ALTER ROLE %I CONNECTION LIMIT %d", login,
		     limit_of(q, "connections", 20)) < 0)
		return -1;
	/* An administrator who is no superuser needs to be a member to give things to it. */
	pgs_try(c, "GRANT %I TO CURRENT_USER", login);
	return pgs_password(c, login, password, err);
}

/* --- the database --- */

static int database_exists(PGconn *c, const char *db, bool *out, struct err *err)
{
	long long n = 0;

	if (pgs_number(c, &n, err, "SELECT count(*) FROM pg_database WHERE datname = %L", db) < 0)
		return -1;
	*out = n > 0;
	return 0;
}

int database_size(struct request *q, PGconn *c, long long *bytes, struct err *err)
{
	AUTO(auto_str) char *text = NULL;

	if (pgs_text(c, &text, err,
		     "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %L",
		     q->t.db) < 0)
		return -1;
	*bytes = text ? strtoll(text, NULL, 10) : -1;
	return 0;
}

/* Nobody gets in until it is furnished. It belongs to the administrator, so that its limits are not
 * the tenant's to change. */
int database_make(struct request *q, PGconn *c, struct err *err)
{
	const char *db = q->t.db;
	bool there = false;

	if (database_exists(c, db, &there, err) < 0)
		return -1;
	if (!there && pgs_exec(c, err,
			       "CREATE DATABASE %I TEMPLATE template0 ENCODING 'UTF8' "
			       "ALLOW_CONNECTIONS false",
			       db) < 0)
		return -1;
	if (pgs_exec(c, err, "REVOKE ALL ON DATABASE %I FROM PUBLIC", db) < 0 ||
	    pgs_exec(c, err, "ALTER DATABASE %I CONNECTION LIMIT %d", db,
		     limit_of(q, "connections", 20)) < 0 ||
	    pgs_exec(c, err, "ALTER DATABASE %I SET search_path = " SEARCH_PATH, db) < 0)
		return -1;
	return pgs_exec(c, err, "ALTER DATABASE %I ALLOW_CONNECTIONS true", db);
}

/* Inside: the schema public is the login's; what tells of other databases is closed as far as that
 * leaves pg_dump and psql working. Only what it needs itself: an outside server may refuse the
 * rest. */
int database_furnish(struct request *q, struct err *err)
{
	static const char *const closed[] = {"pg_tablespace_size(oid)", "pg_tablespace_size(name)",
					     "pg_ls_tmpdir()", "pg_ls_tmpdir(oid)"};
	AUTO(PQfinish) PGconn *c = NULL;

	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 ||
	    pgs_exec(c, err, "CREATE SCHEMA IF NOT EXISTS public") < 0 ||
	    pgs_exec(c, err, "ALTER SCHEMA public OWNER TO %I", q->t.login) < 0 ||
	    pgs_exec(c, err, "CREATE SCHEMA IF NOT EXISTS heroku_ext") < 0 ||
	    pgs_exec(c, err, "GRANT USAGE, CREATE ON SCHEMA heroku_ext TO %I", q->t.login) < 0 ||
	    extensions_home(q, c, err) < 0)
		return -1;
	pgs_try(c, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA heroku_ext");
	for (size_t i = 0; i < ARRAY_LEN(closed); i++)
		pgs_try(c, "REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC", closed[i]);
	/* Counters of other databases: of their work, not of their data. */
	pgs_try(c, "REVOKE SELECT ON pg_stat_database, pg_stat_database_conflicts FROM PUBLIC");
	/* Last: what an administrator makes is made where no tenant has been before. */
	return pgs_exec(c, err, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO %I", q->t.db,
			q->t.login);
}

static json_t *private_of(const struct tenant *t, int generation)
{
	char login[TENANT_NAME];

	login_name(t, generation, login);
	return json_pack("{ss ss ss si}", "tag", t->tag, "database", t->db, "login", login,
			 "generation", generation);
}

/* What all databases of the cluster may have of connections, were they all to use what their plans
 * promise: more than there are is refused, or a tenant's limit would be another's outage. */
static int room_for(struct request *q, PGconn *c, long long more, struct err *err)
{
	long long promised = 0, all = 0;

	if (!q->own_server)
		return 0;
	if (pgs_number(c, &promised, err,
		       "SELECT coalesce(sum(datconnlimit), 0) FROM pg_database "
		       "WHERE datconnlimit > 0 AND datname <> %L",
		       q->t.db) < 0 ||
	    pgs_number(c, &all, err,
		       "SELECT current_setting('max_connections')::int "
		       "- current_setting('superuser_reserved_connections')::int") < 0)
		return -1;
	if (promised + more <= all)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "The database server has %lld connections, of which %lld are promised to "
		       "other databases: the plan's %lld are too many. An administrator can raise "
		       "max_connections (docs/postgres.md).",
		       all, promised, more);
}

static int provision(struct request *q, PGconn *c, const char *password, struct err *err)
{
	/* Databases of the cluster itself, which PostgreSQL opens to all; two at once may clash,
	 * then the other one has done it. */
	if (q->own_server)
		pgs_try(c, "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC");
	if (room_for(q, c, limit_of(q, "connections", 20), err) < 0 ||
	    login_make(q, c, q->t.login, password, err) < 0 || database_make(q, c, err) < 0 ||
	    database_furnish(q, err) < 0)
		return -1;
	return 0;
}

/* Under the lock. Roles are dropped before their sessions end: to change them first would need room
 * on the disk. */
static int deprovision(struct request *q, PGconn *c, struct err *err)
{
	AUTO(PQclear) PGresult *roles = NULL;

	if (scratch_drop_all(q, c, err) < 0 ||
	    pgs_exec(c, err, "DROP DATABASE IF EXISTS %I WITH (FORCE)", q->t.db) < 0 ||
	    pgs_query(c, &roles, err, "SELECT rolname, oid FROM pg_roles WHERE " TENANT_ROLES,
		      q->t.tag) < 0)
		return -1;
	for (int i = 0; i < PQntuples(roles); i++)
		if (pgs_exec(c, err, "DROP ROLE %I", PQgetvalue(roles, i, 0)) < 0 ||
		    pgs_exec(c, err,
			     "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
			     "WHERE usesysid = %L::oid",
			     PQgetvalue(roles, i, 1)) < 0)
			return -1;
	return 0;
}

int verb_deprovision(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;

	if (pgs_connect(&q->server, NULL, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0)
		return -1;
	return deprovision(q, c, err);
}

int verb_provision(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	char password[PASSWORD_LEN];

	if (pgs_connect(&q->server, NULL, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0)
		return -1;
	new_password(password);
	if (provision(q, c, password, err) < 0) {
		struct err e = {0};

		/* What is refused leaves nothing; the rest is tried again, also when what there is
		 * cannot be removed now. */
		if (err->code != ERR_UNAVAILABLE && deprovision(q, c, &e) < 0)
			err->code = ERR_UNAVAILABLE;
		return -1;
	}
	*out = json_pack("{so so ss ss}", "config", url_config(q, q->t.login, password), "private",
			 private_of(&q->t, q->t.generation), "id", q->t.db, "message",
			 "The database is ready.");
	return 0;
}

int verb_change(struct request *q, json_t **out, struct err *err)
{
	const json_t *to = json_object_get(q->params, "limits");
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(PQclear) PGresult *roles = NULL;
	long long bytes = 0, connections, disk;

	q->limits = to;
	connections = limit_of(q, "connections", 20);
	disk = limit_of(q, "disk_mb", 0) << 20;
	if (pgs_connect(&q->server, NULL, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0 ||
	    room_for(q, c, connections, err) < 0 || database_size(q, c, &bytes, err) < 0)
		return -1;
	if (disk && bytes > disk)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The database has %lld MB; this plan holds %lld MB.", bytes >> 20,
			       disk >> 20);
	if (pgs_exec(c, err, "ALTER DATABASE %I CONNECTION LIMIT %d", q->t.db, connections) < 0 ||
	    pgs_query(c, &roles, err,
		      "SELECT rolname FROM pg_roles WHERE rolcanlogin AND " TENANT_ROLES,
		      q->t.tag) < 0)
		return -1;
	for (int i = 0; i < PQntuples(roles); i++)
		if (pgs_exec(c, err, "ALTER ROLE %I CONNECTION LIMIT %d", PQgetvalue(roles, i, 0),
			     connections) < 0)
			return -1;
	return 0;
}

/* --- rotation ---
 * Two logins for a while. The new one is a member of the old one, so it may do all that that may,
 * and what it makes itself is open to the old one, too. The old password opens connections until
 * VALID UNTIL, which the server minds by itself; then `watch` gives its things to the new one. */

static int succeed(struct request *q, PGconn *c, const char *old, const char *new,
		   const char *password, struct err *err)
{
	static const char *const kinds[] = {"TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS"};
	AUTO(PQclear) PGresult *groups = NULL;

	if (login_make(q, c, new, password, err) < 0 ||
	    pgs_exec(c, err, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO %I", q->t.db,
		     new) < 0 ||
	    pgs_exec(c, err, "GRANT USAGE, CREATE ON SCHEMA heroku_ext TO %I", new) < 0 ||
	    pgs_exec(c, err, "GRANT %I TO %I", old, new) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (pgs_exec(c, err, "ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I",
			     new, kinds[i], old) < 0)
			return -1;
	/* Whatever the old one is a member of: groups of named credentials, and logins from before
	 * it whose things it has not got yet. */
	if (pgs_query(c, &groups, err,
		      "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid "
		      "JOIN pg_roles r ON r.oid = m.member "
		      "WHERE r.rolname = %L",
		      old) < 0)
		return -1;
	for (int i = 0; i < PQntuples(groups); i++)
		if (pgs_exec(c, err, "GRANT %I TO %I", PQgetvalue(groups, i, 0), new) < 0)
			return -1;
	return 0;
}

int login_end(PGconn *c, const char *login, const char *heir, struct err *err)
{
	if (pgs_exec(c, err, "ALTER ROLE %I NOLOGIN", login) < 0 ||
	    pgs_exec(c, err,
		     "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
		     "WHERE usename = %L",
		     login) < 0)
		return -1;
	/* An owner changes under a lock that all readers of the table wait behind: not for long. */
	if (pgs_exec(c, err, "SET lock_timeout = '1s'") < 0 || pgs_exec(c, err, "BEGIN") < 0)
		return -1;
	if (pgs_exec(c, err, "REASSIGN OWNED BY %I TO %I", login, heir) < 0 ||
	    pgs_exec(c, err, "DROP OWNED BY %I", login) < 0 ||
	    pgs_exec(c, err, "DROP ROLE %I", login) < 0) {
		pgs_try(c, "ROLLBACK");
		return -1;
	}
	return pgs_exec(c, err, "COMMIT");
}

int login_expires(PGconn *c, const char *login, int seconds, struct err *err)
{
	AUTO(auto_str) char *until = NULL;

	if (pgs_text(c, &until, err, "SELECT now() + make_interval(secs => %d)",
		     (long long)seconds) < 0)
		return -1;
	return pgs_exec(c, err, "ALTER ROLE %I VALID UNTIL %L", login, until);
}

static int rotate_own(struct request *q, bool forced, json_t **out, struct err *err)
{
	int next = q->t.generation + 1;
	char login[TENANT_NAME], password[PASSWORD_LEN];
	AUTO(PQfinish) PGconn *c = NULL;
	bool there = false;

	login_name(&q->t, next, login);
	new_password(password);
	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0 ||
	    role_exists(c, q->t.login, &there, err) < 0)
		return -1;
	/* Not there: a forced rotation was cut off before its answer was stored. */
	if (!there ? login_make(q, c, login, password, err) < 0
		   : succeed(q, c, q->t.login, login, password, err) < 0)
		return -1;
	if (!there)
		;
	else if (forced ? login_end(c, q->t.login, login, err) < 0
			: login_expires(c, q->t.login, GRACE_S, err) < 0)
		return -1;
	*out = json_pack("{so so}", "config", url_config(q, login, password), "private",
			 private_of(&q->t, next));
	return 0;
}

int verb_rotate(struct request *q, json_t **out, struct err *err)
{
	const char *name = param_of(q, "credential");
	bool forced = json_is_true(json_object_get(q->params, "forced"));

	return name && strcmp(name, "default") != 0 ? rotate_named(q, name, forced, out, err)
						    : rotate_own(q, forced, out, err);
}

/* --- whole-database acts --- */

int verb_reset(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;

	if (extensions_check(q, err) < 0) /* before anything is lost */
		return -1;
	if (pgs_connect(&q->server, NULL, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0)
		return -1;
	if (pgs_exec(c, err, "DROP DATABASE IF EXISTS %I WITH (FORCE)", q->t.db) < 0 ||
	    database_make(q, c, err) < 0 || database_furnish(q, err) < 0)
		return -1;
	return verb_extensions(q, out, err);
}

/* Ends all sessions of the tenant's. */
int verb_sessions(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	long long n = 0;

	if (pgs_connect(&q->server, NULL, &c, err) < 0 ||
	    pgs_number(c, &n, err,
		       "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) "
		       "FROM pg_stat_activity WHERE datname = %L AND usename <> current_user",
		       q->t.db) < 0)
		return -1;
	*out = json_pack("{sI}", "ended", (json_int_t)n);
	return 0;
}
