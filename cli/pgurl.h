/* pgurl.h - postgres:// URLs, and how programs of PostgreSQL get them without secrets in argv or
 * environment. Pure, but for the password file. */
#ifndef CLI_PGURL_H
#define CLI_PGURL_H

#include "proto/err.h"

struct cli_pgurl { /* all owned, decoded; "" when absent */
	char *user, *password, *host, *port, *database;
};
/* BAD_REQUEST when it is none. */
int cli_pgurl_parse(const char *url, struct cli_pgurl *out, struct err *err);
void cli_pgurl_clear(struct cli_pgurl *u);
#define cli_pgurl_clear_p cli_pgurl_clear
/* A password file (0600) in dir, owned path; dir is the caller's own. */
int cli_pgurl_passfile(const struct cli_pgurl *u, const char *dir, const char *name, char **path,
		       struct err *err);
/* The environment of a program that connects to u at host and port ("" = as u says), owned, with
 * its strings, NULL-terminated: ours, without what libpq would read besides. */
char **cli_pgurl_env(const struct cli_pgurl *u, const char *host, const char *port,
		     const char *passfile);
void cli_pgurl_env_free(char **env);

#endif
