/* Extensions that an administrator makes for a tenant, who may not make them himself. Their scripts
 * run as the administrator, so nothing that a tenant has made may be found by them: they go into
 * the schema paas_ext, where nobody else makes anything, and so does what they need. heroku_ext is
 * open to tenants: dumps from elsewhere put trusted extensions there. */
#include "postgres/tenant.h"
#include "proto/buf.h"

#include <string.h>

/* Besides those that the server itself lets owners of databases make. Left out: what reads files or
 * shared memory of all tenants, and what opens connections from the server's own place (dblink,
 * postgres_fdw). */
static const char *const extra[] = {"pg_stat_statements",
				    "earthdistance",
				    "bloom",
				    "dict_xsyn",
				    "intagg",
				    "xml2",
				    "sslinfo",
				    "autoinc",
				    "refint",
				    "moddatetime",
				    "insert_username",
				    "pgstattuple",
				    "pgrowlocks",
				    "vector",
				    "postgis",
				    "postgis_topology",
				    "hypopg",
				    "pg_partman",
				    NULL};
static const char *const trusted[] = {
	"btree_gin",	   "btree_gist", "citext",    "cube",	   "dict_int", "fuzzystrmatch",
	"hstore",	   "intarray",	 "isn",	      "lo",	   "ltree",    "pg_trgm",
	"pgcrypto",	   "plpgsql",	 "seg",	      "tablefunc", "tcn",      "tsm_system_rows",
	"tsm_system_time", "unaccent",	 "uuid-ossp", NULL};

static bool among(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

bool extension_allowed(const char *name)
{
	return name && (among(trusted, name) || among(extra, name));
}

char *extensions_text(void)
{
	AUTO(buf_clear) struct buf b = {0};

	for (const char *const *e = trusted; *e; e++)
		buf_addf(&b, "%s%s", b.len ? "," : "", *e);
	for (const char *const *e = extra; *e; e++)
		buf_addf(&b, ",%s", *e);
	return buf_steal(&b);
}

int extensions_check(const struct request *q, struct err *err)
{
	const json_t *list = json_object_get(q->params, "extensions"), *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *name = json_string_value(v);

		if (!extension_allowed(name))
			return err_set(err, ERR_INVALID_PARAMS,
				       "The extension %.60s is not available here.",
				       name ? name : "?");
	}
	return 0;
}

int extensions_home(const struct request *q, PGconn *c, struct err *err)
{
	long long n = 0;

	if (pgs_exec(c, err, "CREATE SCHEMA IF NOT EXISTS paas_ext") < 0 ||
	    pgs_number(c, &n, err,
		       "SELECT count(*) FROM pg_namespace WHERE nspname = 'paas_ext' AND "
		       "nspowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)") < 0)
		return -1;
	if (n > 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The schema paas_ext is the platform's: rename the one that is "
			       "there.");
	return pgs_exec(c, err, "GRANT USAGE ON SCHEMA paas_ext TO %I", q->t.login);
}

/* What it needs and is there already must be the administrator's, too. */
static int check_needs(PGconn *c, const char *name, struct err *err)
{
	AUTO(PQclear) PGresult *r = NULL;

	if (pgs_query(c, &r, err,
		      "SELECT e.extname FROM pg_available_extensions a "
		      "JOIN pg_available_extension_versions v ON v.name = a.name AND "
		      "v.version = a.default_version "
		      "JOIN pg_extension e ON e.extname = ANY (v.requires) "
		      "JOIN pg_namespace n ON n.oid = e.extnamespace "
		      "WHERE a.name = %L AND n.nspname NOT IN ('paas_ext', 'pg_catalog')",
		      name) < 0)
		return -1;
	if (PQntuples(r) == 0)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "%s needs %s in the schema paas_ext: drop that, then add both.", name,
		       PQgetvalue(r, 0, 0));
}

static int install(PGconn *c, const char *name, struct err *err)
{
	if (check_needs(c, name, err) < 0)
		return -1;
	return pgs_exec(c, err, "CREATE EXTENSION IF NOT EXISTS %I SCHEMA paas_ext CASCADE", name);
}

int verb_extensions(struct request *q, json_t **out, struct err *err)
{
	const json_t *list = json_object_get(q->params, "extensions"), *v;
	AUTO(PQfinish) PGconn *c = NULL;
	size_t i;

	if (!json_array_size(list))
		return 0;
	if (extensions_check(q, err) < 0 || pgs_connect(&q->server, q->t.db, &c, err) < 0 ||
	    pgs_lock(c, q->t.uuid, err) < 0 || extensions_home(q, c, err) < 0 ||
	    /* databases of before this schema */
	    pgs_exec(c, err, "ALTER DATABASE %I SET search_path = " SEARCH_PATH, q->t.db) < 0)
		return -1;
	json_array_foreach(list, i, v)
	{
		if (install(c, json_string_value(v), err) < 0)
			return -1;
	}
	return 0;
}

int extensions_inherit(struct request *q, const char *from, struct err *err)
{
	AUTO(PQfinish) PGconn *old = NULL;
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(PQclear) PGresult *r = NULL;
	struct err none = {0};

	if (pgs_connect(&q->server, from, &old, &none) < 0)
		return 0;
	if (pgs_query(old, &r, err,
		      "SELECT e.extname FROM pg_extension e JOIN pg_namespace n ON n.oid = "
		      "e.extnamespace WHERE n.nspname = 'paas_ext' ORDER BY e.oid") < 0 ||
	    (PQntuples(r) && pgs_connect(&q->server, q->t.db, &c, err) < 0))
		return -1;
	for (int i = 0; i < PQntuples(r); i++)
		if (extension_allowed(PQgetvalue(r, i, 0)) &&
		    install(c, PQgetvalue(r, i, 0), err) < 0)
			return -1;
	return 0;
}

/* Counters of the database begin again. Functions in heroku_ext may be the tenant's: it is the
 * extension's own that is called. */
int verb_statistics(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(auto_str) char *schema = NULL;

	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 ||
	    pgs_exec(c, err, "SELECT pg_stat_reset()") < 0 ||
	    pgs_text(c, &schema, err,
		     "SELECT n.nspname FROM pg_extension e "
		     "JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND "
		     "d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass "
		     "JOIN pg_proc p ON p.oid = d.objid "
		     "JOIN pg_namespace n ON n.oid = p.pronamespace "
		     "WHERE e.extname = 'pg_stat_statements' AND "
		     "p.proname = 'pg_stat_statements_reset' AND "
		     "oidvectortypes(p.proargtypes) = 'oid, oid, bigint'") < 0)
		return -1;
	if (schema)
		pgs_try(c,
			"SELECT %I.pg_stat_statements_reset(0::oid, oid, 0::bigint) "
			"FROM pg_database WHERE datname = current_database()",
			schema);
	return 0;
}
