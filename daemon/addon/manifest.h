/* manifest.h - addon.yml, and the administrator's settings of a service (docs/addons.md). Strict:
 * mistakes name file, line and key. Inside daemon/addon; any thread. */
#ifndef ADDON_MANIFEST_H
#define ADDON_MANIFEST_H

#include "daemon/addon/addon.h"

enum addon_process { ADDON_NO_PROCESS, ADDON_OWN_PROCESS, ADDON_SHARED_PROCESS };

struct addon_timeout {
	const char *verb;
	int64_t s;
};

/* A service of others, by the Add-on Partner API v3; base_url NULL = there are executables. Its
 * secrets (password, sso_salt, client_secret) are the administrator's settings. */
struct manifest_partner {
	const char *id;	      /* of their manifest: the user of Basic; NULL = the service's name */
	const char *base_url; /* without a slash at its end */
	const char *sso_url;  /* NULL = no single sign-on */
	const char *region;   /* as they call it */
	const char *const *requires;
	bool log_input, log_drain;
};

struct manifest {
	struct addon_service s; /* all it points to is the manifest's */
	const char *file;	/* for messages; owned */
	struct manifest_partner partner;
	enum addon_process process;
	const char *default_plan;
	const char *const *settings;	      /* names that the administrator's file may have */
	const struct addon_timeout *timeouts; /* ends with verb NULL */
	json_t *limits;			      /* of all plans, owned */
	struct manifest_piece *pieces;	      /* every other allocation */
};

/* file: for messages. CONFIG. */
int manifest_parse(const char *file, const char *text, size_t n, struct manifest **out,
		   struct err *err);
/* dir/addon.yml; also checks that the executables are there. NOT_FOUND: no such file. */
int manifest_load(const char *dir, struct manifest **out, struct err *err);
void manifest_free(struct manifest *m);
DEFINE_AUTO(struct manifest *, manifest_free)

/* What a partner's settings must have, for this start to go on: CONFIG. dir: as below. */
int manifest_settings_check(const struct manifest *m, const char *dir, const json_t *settings,
			    struct err *err);

/* Seconds that a verb has. */
int64_t manifest_timeout(const struct manifest *m, const char *verb);

/* name: value pairs, as an object of texts; only names of `settings`. */
int manifest_settings_parse(const struct manifest *m, const char *file, const char *text, size_t n,
			    json_t **out, struct err *err);
/* dir/SERVICE.yml; {} when there is none. CONFIG when others than we may read it. */
int manifest_settings_load(const struct manifest *m, const char *dir, json_t **out,
			   struct err *err);

/* Grammar of names: lower case, digits, hyphens; a letter first; at most 40. Verbs are such. */
bool addon_name_is_slug(const char *s);
/* Of attachments: upper case, digits, underscores; a letter first; at most 60. */
bool addon_name_is_attachment(const char *s);

#endif
