/* Named credentials: a group that holds what was granted and owns what was made, and a login in it
 * that acts as the group from its first statement on. So a rotation changes nothing but the login.
 */
#include "postgres/tenant.h"
#include "proto/buf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_ 40

/* Lower case, digits, hyphens and underscores; what is left of 63 bytes is the tag's. */
static int check_name(const char *name, struct err *err)
{
	size_t n = name ? strlen(name) : 0;
	bool good = n >= 1 && n <= NAME_MAX_ && name[0] >= 'a' && name[0] <= 'z';

	for (size_t i = 0; good && i < n; i++)
		good = strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", name[i]) != NULL;
	if (!good || strcmp(name, "default") == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "A credential's name is a lower-case letter, then at most %d "
			       "letters, digits, - and _, and not \"default\".",
			       NAME_MAX_ - 1);
	return 0;
}

static void group_name(const struct tenant *t, const char *name, char out[TENANT_NAME])
{
	snprintf(out, TENANT_NAME, "%.*s_%s", NAME_MAX_, name, t->tag);
}

static void member_name(const char *group, int generation, char out[TENANT_NAME])
{
	assert(generation > 0 && generation < 1000000);
	snprintf(out, TENANT_NAME, "%.55s_%u", group, (unsigned)generation % 1000000);
}

static int make_member(struct request *q, PGconn *c, const char *group, int generation,
		       json_t **out, struct err *err)
{
	char login[TENANT_NAME], password[PASSWORD_LEN];

	member_name(group, generation, login);
	new_password(password);
	if (login_make(q, c, login, password, err) < 0 ||
	    pgs_exec(c, err, "GRANT %I TO %I", group, login) < 0 ||
	    pgs_exec(c, err, "ALTER ROLE %I IN DATABASE %I SET role = %L", login, q->t.db, group) <
		    0)
		return -1;
	*out = json_pack("{so s{ss si}}", "config", url_config(q, login, password), "private",
			 "group", group, "generation", generation);
	return 0;
}

static int create(struct request *q, PGconn *c, const char *name, json_t **out, struct err *err)
{
	char group[TENANT_NAME];
	long long n = 0;

	if (check_name(name, err) < 0)
		return -1;
	group_name(&q->t, name, group);
	if (pgs_number(c, &n, err, "SELECT count(*) FROM pg_roles WHERE rolname = %L", group) < 0 ||
	    (n == 0 && pgs_exec(c, err, "CREATE ROLE %I NOLOGIN", group) < 0) ||
	    pgs_exec(c, err, "GRANT CONNECT ON DATABASE %I TO %I", q->t.db, group) < 0 ||
	    pgs_exec(c, err, "GRANT %I TO %I", group, q->t.login) < 0)
		return -1;
	pgs_try(c, "GRANT %I TO CURRENT_USER", group);
	return make_member(q, c, group, 1, out, err);
}

/* Its logins, newest last; of all generations. */
static int members(PGconn *c, const char *group, PGresult **out, struct err *err)
{
	return pgs_query(c, out, err,
			 "SELECT r.rolname FROM pg_roles r WHERE r.rolcanlogin AND "
			 "r.rolname ~ ('^' || %L || '_[0-9]{1,6}$') ORDER BY r.oid",
			 group);
}

static int destroy(struct request *q, PGconn *c, const char *name, struct err *err)
{
	AUTO(PQclear) PGresult *list = NULL;
	char group[TENANT_NAME];
	long long n = 0;

	if (check_name(name, err) < 0)
		return -1;
	group_name(&q->t, name, group);
	if (members(c, group, &list, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(list); i++)
		if (login_end(c, PQgetvalue(list, i, 0), q->t.login, err) < 0)
			return -1;
	if (pgs_number(c, &n, err, "SELECT count(*) FROM pg_roles WHERE rolname = %L", group) < 0)
		return -1;
	return n ? login_end(c, group, q->t.login, err) : 0;
}

int verb_credentials(struct request *q, json_t **out, struct err *err)
{
	const char *action = param_of(q, "action"), *name = param_of(q, "credential");
	AUTO(PQfinish) PGconn *c = NULL;

	if (limit_of(q, "credentials", 0) == 0)
		return err_set(err, ERR_INVALID_PARAMS,
			       "This plan has no named credentials; standard plans do.");
	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0)
		return -1;
	if (action && strcmp(action, "create") == 0)
		return create(q, c, name, out, err);
	if (action && strcmp(action, "destroy") == 0)
		return destroy(q, c, name, err);
	return err_set(err, ERR_INVALID_PARAMS, "unknown action");
}

int rotate_named(struct request *q, const char *name, bool forced, json_t **out, struct err *err)
{
	const json_t *own = json_object_get(q->params, "private");
	int generation = (int)json_integer_value(json_object_get(own, "generation"));
	char group[TENANT_NAME], old[TENANT_NAME];
	AUTO(PQfinish) PGconn *c = NULL;
	long long n = 0;

	if (check_name(name, err) < 0)
		return -1;
	group_name(&q->t, name, group);
	member_name(group, generation, old);
	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0 ||
	    make_member(q, c, group, generation + 1, out, err) < 0 ||
	    pgs_number(c, &n, err, "SELECT count(*) FROM pg_roles WHERE rolname = %L", old) < 0)
		return -1;
	if (!n)
		return 0;
	return forced ? login_end(c, old, group, err) : login_expires(c, old, GRACE_S, err);
}

/* What other credentials own becomes the default one's, which may do with them what it likes. */
int verb_repair(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(PQclear) PGresult *groups = NULL;

	if (pgs_connect(&q->server, q->t.db, &c, err) < 0 || pgs_lock(c, q->t.uuid, err) < 0 ||
	    pgs_query(c, &groups, err,
		      "SELECT rolname FROM pg_roles WHERE NOT rolcanlogin AND "
		      "rolname ~ ('^[a-z].*_' || %L || '$')",
		      q->t.tag) < 0)
		return -1;
	for (int i = 0; i < PQntuples(groups); i++) {
		const char *g = PQgetvalue(groups, i, 0);

		if (pgs_exec(c, err, "REASSIGN OWNED BY %I TO %I", g, q->t.login) < 0 ||
		    pgs_exec(c, err, "GRANT %I TO %I WITH ADMIN OPTION", g, q->t.login) < 0)
			return -1;
	}
	return pgs_exec(c, err, "ALTER SCHEMA public OWNER TO %I", q->t.login);
}
