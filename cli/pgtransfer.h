/* pgtransfer.h - what the commands on backups, restores and copies of databases share
 * (pgtransfer.c). */
#ifndef CLI_PGTRANSFER_H
#define CLI_PGTRANSFER_H

#include "cli/pg.h"

#define CLI_PGT_NONE "%s has no backups. Make one with paasctl pg:backups:capture"

/* --- one, as the API has it --- */
void cli_pgt_name(const json_t *t, char out[16]); /* "b001" */
bool cli_pgt_is_backup(const json_t *t);
bool cli_pgt_is_good(const json_t *t);				   /* a backup that succeeded */
bool cli_pgt_is_open(const json_t *t);				   /* waits or runs */
void cli_pgt_size(const json_t *t, const char *key, char out[32]); /* "1.44MB"; "" = none */
void cli_pgt_status(const json_t *t, char out[120]);

/* --- found: *out is a new reference --- */
int cli_pgt_list(struct cli *c, const char *app, json_t **out, struct err *err);
int cli_pgt_named(struct cli *c, const char *app, const char *name, json_t **out, struct err *err);
/* By name; with NULL the newest that counts. none: the message when there is none, with %s for the
 * app. */
int cli_pgt_pick(struct cli *c, const char *app, const char *name, bool (*counts)(const json_t *t),
		 const char *none, json_t **out, struct err *err);

/* Begins one of the kind (the last part of the API's path), and waits unless --no-wait. what: the
 * words of the action's line. */
int cli_pgt_run(struct cli *c, const struct cli_pgdb *d, const char *kind, const json_t *body,
		const char *what, struct err *err);

#endif
