/* transfer_url.h - private to transfers: postgres:// URLs, and the environment by which the
 * programs of PostgreSQL are told of them: never by their arguments. */
#ifndef PG_TRANSFER_URL_H
#define PG_TRANSFER_URL_H

#include "daemon/core/config.h"
#include "proto/buf.h"

struct pgurl { /* owned */
	char *host, *user, *password, *dbname;
	char *hostaddr; /* NULL = host is looked up by the program */
	char sslmode[16];
	int port;
};
void pgurl_clear(struct pgurl *u);
#define pgurl_clear_p pgurl_clear

/* INVALID_PARAMS when it is not postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslmode=MODE]; other
 * parameters are passed over. */
int pgurl_parse(const char *text, struct pgurl *out, struct err *err);
/* The same host, port and database. */
bool pgurl_same(const struct pgurl *a, const struct pgurl *b);
/* "postgres://host:port/database". Owned. */
char *pgurl_shown(const struct pgurl *u);
/* A user's URL: its host is looked up, private addresses are refused unless the settings allow
 * them, and the address found is the one that is connected to. INVALID_PARAMS. Blocking. */
int pgurl_guard(struct pgurl *u, const struct config *cfg, struct err *err);
/* Owned, NULL-terminated; pgurl_env_free. */
char **pgurl_env(const struct pgurl *u);
void pgurl_env_free(char **env);

DEFINE_AUTO(char **, pgurl_env_free)

#endif
