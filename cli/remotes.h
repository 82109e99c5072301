/* remotes.h - which app a command is about. Pure. */
#ifndef CLI_REMOTES_H
#define CLI_REMOTES_H

#include "cli/url.h"
#include "proto/buf.h"
#include "proto/err.h"

struct cli_remote {
	char *name, *app; /* owned */
};

struct cli_remotes {
	struct cli_remote *v; /* owned; those of the platform, in git's order */
	int n;
	char *preferred; /* owned; git config paas.remote, or heroku.remote; NULL */
};

/* text: output of `git config -z --get-regexp` (key, newline, value, NUL). */
void cli_remotes_parse(const char *text, size_t len, const struct cli_url *platform,
		       struct cli_remotes *out);
void cli_remotes_clear(struct cli_remotes *r);
#define cli_remotes_clear_p cli_remotes_clear

/* --app, then --remote, then the environment, then the preferred remote, then the only app among
 * the remotes. Any of them may be NULL. Returns an owned name, or NULL with *err and, for several
 * lines, *detail. */
char *cli_choose_app(const char *app, const char *remote, const char *env,
		     const struct cli_remotes *remotes, struct buf *detail, struct err *err);

#endif
