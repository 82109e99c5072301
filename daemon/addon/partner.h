/* partner.h - inside daemon/addon: services of others, who are spoken to as the Add-on Partner API
 * v3 has it (Dev Center: Add-on Partner API Reference; Add-on Single Sign-on). What is here is
 * pure.
 */
#ifndef ADDON_PARTNER_H
#define ADDON_PARTNER_H

#include "daemon/addon/addon_int.h"

/* What an answer to a verb comes to. *out: a new object of what is known of it, as far as it is
 * well formed: id, message, config (by suffix), log_drain_url; {} when there is nothing. */
enum outcome partner_judge(const struct manifest *m, const char *verb, int status, const char *text,
			   size_t n, json_t **out, struct err *err);
/* What a config var is called without the prefix; NULL: the manifest does not have it. Both
 * MYADDON_URL and URL are understood. Borrowed of name. */
const char *partner_suffix(const struct manifest *m, const char *name);
/* config by suffix, as the partner calls it; a new reference. */
json_t *partner_names(const struct manifest *m, const json_t *config);

/* Tokens by which a partner knows who comes: hex of SHA-1 of "ID:SALT:TIME", and of SHA-256 of that
 * with the user's id and address. */
void partner_sso_token(const char *id, const char *salt, int64_t unix_s, char out[41]);
void partner_sso_user_token(const char *id, const char *salt, int64_t unix_s,
			    const struct addon_actor *by, char out[65]);
/* The fields of the form; app: its name; provider_id may be NULL. */
json_t *partner_sso_fields(const struct store_addon *row, const char *salt, int64_t unix_s,
			   const struct addon_actor *by);

/* What the partner sends lines for the app's log with: "t.UUID". Inside a transaction, for its key.
 */
void partner_input_token(struct tx *tx, const char *addon_id, char out[39]);

/* --- not pure --- */
/* As the platform is reached from outside; path begins with a slash. Owned. */
char *partner_own_url(const struct config *cfg, const char *path);
/* The drain that the answer asks for, if its service may have one and asks. */
int partner_drain(struct addons *a, const struct entry *e, const struct store_addon *row,
		  const char *url, struct err *err);
int partner_drain_drop(struct addons *a, const struct store_addon *row, struct err *err);

#endif
