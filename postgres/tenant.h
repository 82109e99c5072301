/* tenant.h - one add-on's database and roles, and what each verb does with them
 * (docs/internals/pg.md).
 *
 * All names hold the add-on's tag, 14 hex digits that only who knows the server's password could
 * foresee: database dTAG, login uTAG and after the n-th rotation uTAG_n, of a named credential the
 * group NAME_TAG, which holds what it was granted, and its logins NAME_TAG_n. So what a killed verb
 * left is found by name, and every verb may run again. */
#ifndef POSTGRES_TENANT_H
#define POSTGRES_TENANT_H

#include "postgres/server.h"

#define TENANT_NAME 64
/* Roles of a tag (%L), whatever names other tenants gave their credentials. */
#define TENANT_ROLES "rolname ~ ('^(u|[a-z].*_)' || %L || '(_[0-9]{1,6})?$')"
/* How long a former password opens new connections after a rotation: dynos of all apps that have
 * it attached were restarted by then. */
#define GRACE_S 600

struct tenant {
	char uuid[64], tag[15];
	char db[TENANT_NAME];
	int generation; /* of its login */
	char login[TENANT_NAME];
};

struct request {
	struct pgs server;
	bool own_server; /* the platform's cluster, as opposed to an outside one */
	struct tenant t;
	const json_t *addon, *limits, *params, *service, *settings, *private; /* borrowed */
};

/* A verb: answers with *out (a new object, or NULL for {}). */
typedef int verb_fn(struct request *q, json_t **out, struct err *err);
verb_fn verb_provision, verb_deprovision, verb_change, verb_rotate, verb_reset, verb_sessions;
verb_fn verb_credentials, verb_repair, verb_extensions, verb_scratch;
verb_fn verb_info, verb_health, verb_watch, verb_settings, verb_statistics;
verb_fn verb_service, verb_snapshot;

long long limit_of(const struct request *q, const char *name, long long otherwise);
const char *param_of(const struct request *q, const char *name); /* NULL */
/* 64 hex digits with a p before them. */
#define PASSWORD_LEN 66
void new_password(char out[PASSWORD_LEN]);
void login_name(const struct tenant *t, int generation, char out[TENANT_NAME]);
/* URL of a login, in the words of config. */
json_t *url_config(const struct request *q, const char *login, const char *password);
/* A login of the tenant's: makes it or brings it to this. */
int login_make(struct request *q, PGconn *c, const char *login, const char *password,
	       struct err *err);
/* Ends its sessions, gives what it owns to heir, removes it. c: to the tenant's database. */
int login_end(PGconn *c, const char *login, const char *heir, struct err *err);
/* Its password opens no new connections after so many seconds; `watch` ends it then. */
int login_expires(PGconn *c, const char *login, int seconds, struct err *err);
int rotate_named(struct request *q, const char *name, bool forced, json_t **out, struct err *err);
/* Bytes of the database; -1 while there is none. */
int database_size(struct request *q, PGconn *c, long long *bytes, struct err *err);
/* Makes q->t.db, or brings it to what it should be; nothing is in it yet. */
int database_make(struct request *q, PGconn *c, struct err *err);
int database_furnish(struct request *q, struct err *err);
int scratch_drop_all(struct request *q, PGconn *c, struct err *err);

/* --- extensions.c --- */
#define SEARCH_PATH "\"$user\", public, heroku_ext, paas_ext"
bool extension_allowed(const char *name);
char *extensions_text(void); /* all of them, with commas; owned */
int extensions_check(const struct request *q, struct err *err); /* params.extensions */
/* The schema paas_ext, in a database that c is connected to. INVALID_PARAMS: a tenant has made it.
 */
int extensions_home(const struct request *q, PGconn *c, struct err *err);
/* Those in paas_ext of the database `from`, if there is one, into q->t.db. */
int extensions_inherit(struct request *q, const char *from, struct err *err);

#endif
