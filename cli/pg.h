/* pg.h - what the commands on PostgreSQL share (pg.c). */
#ifndef CLI_PG_H
#define CLI_PG_H

#include "cli/pgurl.h"
#include "cli/tunnel.h"

struct cli_pgdb { /* owned */
	json_t *attachment;
	char *addon, *addon_id; /* the name, the id */
	char *addon_app;	/* whose add-on it is: that has its backups */
	char *name;		/* of the attachment */
	char *app;		/* whose attachment it is */
};
void cli_pgdb_clear(struct cli_pgdb *d);
#define cli_pgdb_clear_p cli_pgdb_clear

/* The database that a name stands for: an attachment (DATABASE, DATABASE_URL), an add-on,
 * APP::NAME; NULL = DATABASE_URL. */
int cli_pg_find(struct cli *c, const char *name, struct cli_pgdb *out, struct err *err);
/* Its URL, from the app's config vars. */
int cli_pg_url(struct cli *c, const struct cli_pgdb *d, struct cli_pgurl *out, struct err *err);
/* A tunnel on a unix socket, and the environment of libpq's programs (cli_pgurl_env_free). */
int cli_pg_open(struct cli *c, const struct cli_pgdb *d, struct cli_tunnel **t, char ***env,
		struct err *err);
/* psql with these arguments on the database; its status. */
int cli_pg_psql(struct cli *c, const char *name, const char *const *args, bool quiet,
		struct err *err);

/* Arguments of many commands. */
#define CLI_PG_DATABASE                                                                       \
	{                                                                                     \
		"DATABASE", COMPLETE_CONFIG, "attachment or add-on; DATABASE_URL by default", \
			false, false                                                          \
	}
#define CLI_PG_DATABASE_REQUIRED                                                              \
	{                                                                                     \
		"DATABASE", COMPLETE_CONFIG, "attachment or add-on, like DATABASE_URL", true, \
			false                                                                 \
	}

#endif
