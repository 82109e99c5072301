/* source.h - private to build: where a buildpack comes from. Resolving is pure. */
#ifndef BUILD_SOURCE_H
#define BUILD_SOURCE_H

#include "daemon/core/clock.h"
#include "daemon/core/config.h"

enum source_kind { SOURCE_BUNDLED, SOURCE_GIT, SOURCE_TARBALL, SOURCE_LOCAL };

struct source { /* owned content; source_clear */
	enum source_kind kind;
	char *what; /* bundled name, URL without #ref, absolute path */
	char *ref;  /* branch, tag or commit; NULL = the default branch */
};

/* has(name): whether a buildpack of that name is bundled. -1 INVALID_PARAMS with what would be
 * right. */
int source_resolve(const struct config *cfg, const char *text,
		   bool (*has)(const char *name, void *arg), void *arg, struct source *out,
		   struct err *err);
void source_clear(struct source *s);
#define source_clear_p source_clear

/* The name that a bundled buildpack is shown and remembered under: its key in the map
 * ("heroku/ruby"), else its own. Owned. */
char *source_public_name(const struct config *cfg, const char *bundled);
/* The text without the secrets of a URL's user part; a URL of the registry as its NS/NAME. Owned.
 */
char *source_shown(const char *text);

/* What fetching needs besides the source. */
struct fetch {
	const struct config *cfg;
	const char *dir;  /* where it goes; does not exist yet */
	const char *work; /* scratch of paasd's own, exists; not seen by scripts */
	mono_ms deadline;
	int cancel_fd;
	char *commit; /* of 65: out, what a git repository was at; NULL = of no interest */
};
/* Blocks. -1: BUILD_FAILED with what the tool said, TIMEOUT, CANCELED, TOO_LARGE, IO. */
int source_fetch(const struct source *s, const struct fetch *f, struct err *err);
int source_fetch_git(const struct source *s, const struct fetch *f, struct err *err);
int source_fetch_tarball(const struct source *s, const struct fetch *f, struct err *err);

#endif
