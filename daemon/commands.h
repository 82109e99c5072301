/* commands.h - what the command paasd can be asked for, and what these commands share. */
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include "daemon/core/config.h"

/* argv[0] is the command's own name. They answer the exit status. */
int cmd_serve(int argc, char **argv);  /* serve.c; argv[0] "paasd" */
int cmd_part(int argc, char **argv);   /* parts.c: exec:launcher, exec:router */
int cmd_backup(int argc, char **argv); /* backups.c: backup, backup:check, restore */

/* Tells it on stderr; the exit status for it. */
int paasd_fail(const struct err *e);
/* argv: options from argv[1] on. Settings of the file, then of the command line; with --dev those
 * of a checkout. c is initialised by the caller. */
int paasd_options(struct config *c, int argc, char **argv, struct err *err);
/* The state directory that is there: absolute from then on. */
int paasd_state_dir(struct config *c, struct err *err);
int paasd_run_dir(struct config *c, struct err *err); /* its name, after that */
/* Makes state_dir and run_dir; both are absolute then. */
int paasd_dirs(struct config *c, struct err *err);
/* Folders that the launcher may show read-only. NULL-terminated or NULL; owned: paasd_dirs_free. */
char **paasd_shown_dirs(const struct config *c);
void paasd_free_dirs(char **dirs);

#endif
