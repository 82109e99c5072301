/* A second database of the add-on: made empty, filled by others (restores, checks of backups),
 * dropped, or put in the place of the first. Their names are sTAG_NAME, and oTAG of one that was
 * replaced and is about to go. */
#include "postgres/tenant.h"
#include "proto/buf.h"

#include <stdio.h>
#include <string.h>

#define NAME_LONGEST 32
#define CONNECTIONS  5 /* of what the server has: for pg_restore and a look at the result */
#define SWAP_TRIES   20

/* The request as it would be for that database. */
static int of_scratch(const struct request *q, struct request *s, struct err *err)
{
	const char *name = param_of(q, "name");
	size_t n = name ? strlen(name) : 0;

	if (n < 1 || n > NAME_LONGEST || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return err_set(err, ERR_INVALID_PARAMS, "params.name is not a name");
	*s = *q;
	snprintf(s->t.db, sizeof s->t.db, "s%s_%s", q->t.tag, name);
	return 0;
}

static int exists(PGconn *c, const char *db, bool *out, struct err *err)
{
	long long n = 0;

	if (pgs_number(c, &n, err, "SELECT count(*) FROM pg_database WHERE datname = %L", db) < 0)
		return -1;
	*out = n > 0;
	return 0;
}

static int drop(PGconn *c, const char *db, struct err *err)
{
	return pgs_exec(c, err, "DROP DATABASE IF EXISTS %I WITH (FORCE)", db);
}

int scratch_drop_all(struct request *q, PGconn *c, struct err *err)
{
	AUTO(PQclear) PGresult *all = NULL;

	if (pgs_query(c, &all, err,
		      "SELECT datname FROM pg_database WHERE datname ~ ('^(s' || %L || '_|o' || %L "
		      "|| '$)')",
		      q->t.tag, q->t.tag) < 0)
		return -1;
	for (int i = 0; i < PQntuples(all); i++)
		if (drop(c, PQgetvalue(all, i, 0), err) < 0)
			return -1;
	return 0;
}

/* There is one use of them at a time: others are what a crash left. */
static int create(const char *first, struct request *s, PGconn *c, json_t **out, struct err *err)
{
	if (scratch_drop_all(s, c, err) < 0 || database_make(s, c, err) < 0 ||
	    database_furnish(s, err) < 0 || extensions_inherit(s, first, err) < 0 ||
	    pgs_exec(c, err, "ALTER DATABASE %I CONNECTION LIMIT %d", s->t.db,
		     (long long)CONNECTIONS) < 0)
		return -1;
	*out = json_pack("{ss}", "database", s->t.db);
	return 0;
}

/* Who may connect, and what is set for the database, is not in a dump. */
static int inherit(PGconn *c, const char *from, const char *to, struct err *err)
{
	AUTO(PQclear) PGresult *acl = NULL;
	AUTO(PQclear) PGresult *sets = NULL;

	if (pgs_query(
		    c, &acl, err,
		    "SELECT r.rolname, a.privilege_type FROM pg_database d, aclexplode(d.datacl) a "
		    "JOIN pg_roles r ON r.oid = a.grantee "
		    "WHERE d.datname = %L AND a.privilege_type IN ('CONNECT', 'CREATE', "
		    "'TEMPORARY')",
		    from) < 0 ||
	    /* search_path is a list, which database_make has set */
	    pgs_query(c, &sets, err,
		      "SELECT r.rolname, split_part(v, '=', 1), substr(v, strpos(v, '=') + 1) "
		      "FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid "
		      "LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) v "
		      "WHERE d.datname = %L AND v NOT LIKE 'search\\_path=%%'",
		      from) < 0)
		return -1;
	for (int i = 0; i < PQntuples(acl); i++)
		if (pgs_exec(c, err, "GRANT %s ON DATABASE %I TO %I", PQgetvalue(acl, i, 1), to,
			     PQgetvalue(acl, i, 0)) < 0)
			return -1;
	for (int i = 0; i < PQntuples(sets); i++) {
		const char *name = PQgetvalue(sets, i, 1), *value = PQgetvalue(sets, i, 2);

		if (PQgetisnull(sets, i, 0)
			    ? pgs_exec(c, err, "ALTER DATABASE %I SET %I = %L", to, name, value) < 0
			    : pgs_exec(c, err, "ALTER ROLE %I IN DATABASE %I SET %I = %L",
				       PQgetvalue(sets, i, 0), to, name, value) < 0)
			return -1;
	}
	return 0;
}

static int end_sessions(PGconn *c, const char *db, struct err *err)
{
	if (pgs_exec(c, err, "ALTER DATABASE %I ALLOW_CONNECTIONS false", db) < 0)
		return -1;
	return pgs_exec(c, err,
			"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
			"WHERE datname = %L AND pid <> pg_backend_pid()",
			db);
}

/* Both names change in one transaction. */
static int exchange(PGconn *c, const char *db, const char *old, const char *scratch,
		    struct err *err)
{
	if (end_sessions(c, db, err) < 0 || end_sessions(c, scratch, err) < 0 ||
	    pgs_exec(c, err, "BEGIN") < 0)
		return -1;
	if (pgs_exec(c, err, "ALTER DATABASE %I RENAME TO %I", db, old) == 0 &&
	    pgs_exec(c, err, "ALTER DATABASE %I RENAME TO %I", scratch, db) == 0 &&
	    pgs_exec(c, err, "COMMIT") == 0)
		return 0;
	pgs_try(c, "ROLLBACK");
	pgs_try(c, "ALTER DATABASE %I ALLOW_CONNECTIONS true", db);
	return -1;
}

static int swap(struct request *q, struct request *s, PGconn *c, json_t **out, struct err *err)
{
	char old[TENANT_NAME];
	bool there = false, first = false;
	int rc = -1;

	snprintf(old, sizeof old, "o%s", q->t.tag);
	if (exists(c, s->t.db, &there, err) < 0 || exists(c, q->t.db, &first, err) < 0 ||
	    (first && drop(c, old, err) < 0))
		return -1;
	*out = json_pack("{sb}", "swapped", there);
	/* After the exchange, which was cut off then. */
	if (!there)
		return pgs_exec(c, err, "ALTER DATABASE %I ALLOW_CONNECTIONS true", q->t.db);
	if (inherit(c, q->t.db, s->t.db, err) < 0 ||
	    pgs_exec(c, err, "ALTER DATABASE %I CONNECTION LIMIT %d", s->t.db,
		     limit_of(q, "connections", 20)) < 0)
		return -1;
	/* The server's own workers may be in it for a moment. */
	for (int i = 0; i < SWAP_TRIES && rc < 0; i++) {
		rc = exchange(c, q->t.db, old, s->t.db, err);
		if (rc < 0)
			pgs_try(c, "SELECT pg_sleep(0.1)");
	}
	if (rc < 0)
		return -1;
	if (pgs_exec(c, err, "ALTER DATABASE %I ALLOW_CONNECTIONS true", q->t.db) < 0)
		return -1;
	return drop(c, old, err);
}

int verb_scratch(struct request *q, json_t **out, struct err *err)
{
	const char *action = param_of(q, "action");
	AUTO(PQfinish) PGconn *c = NULL;
	struct request s;

	if (of_scratch(q, &s, err) < 0 || pgs_connect(&q->server, NULL, &c, err) < 0 ||
	    pgs_lock(c, q->t.uuid, err) < 0)
		return -1;
	if (action && strcmp(action, "create") == 0)
		return create(q->t.db, &s, c, out, err);
	if (action && strcmp(action, "drop") == 0)
		return drop(c, s.t.db, err);
	if (action && strcmp(action, "swap") == 0)
		return swap(q, &s, c, out, err);
	return err_set(err, ERR_INVALID_PARAMS, "unknown action");
}
