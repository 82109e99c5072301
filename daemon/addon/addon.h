/* addon.h - add-ons: manifests of addons/ and the machine that provisions, changes, rotates and
 * removes them; attachments; config vars that belong to them; a release for each change
 * (docs/addons.md, docs/internals/addon.md; Dev Center: Add-ons, Add-on Partner API v3).
 *
 * The machine is persisted (table addons: state, task, tries, next_ms) and runs on a thread of its
 * own with a few workers; providers are executables of a manifest (argument vectors, JSON on stdin
 * and stdout, a time limit) or HTTP partners. Each step is idempotent and is taken up again after a
 * crash. All functions block and may be called on any thread but a loop, unless said otherwise. */
#ifndef ADDON_ADDON_H
#define ADDON_ADDON_H

#include "daemon/core/config.h"
#include "daemon/drain/drain.h"
#include "daemon/out/out.h"
#include "daemon/release/release.h"
#include "daemon/store/addon.h"
#include "daemon/svc/svc.h"

#include <jansson.h>

struct addons;
struct addons_deps { /* borrowed */
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct releases *releases;
	struct svcs *svcs;
	struct out *out;
	struct drains *drains;
};
/* Reads the manifests of cfg->addons_dir (CONFIG names file, line and key). */
int addons_open(const struct addons_deps *d, struct addons **out, struct err *err);
/* Takes up what is under way: once releases are recovered. */
void addons_start(struct addons *a);
/* No new steps; those under way are ended. Any thread, does not wait. */
void addons_stop(struct addons *a);
void addons_free(struct addons *a); /* waits; before releases_free and svcs_free. NULL is fine */

/* --- what there is (from manifests; immutable after addons_open) --- */
struct addon_plan {
	char id[37];				     /* made of the name */
	const char *name, *human_name, *description; /* name: "essential-0" */
	bool is_default, visible;
	int64_t cents; /* a month; 0 = free */
	const json_t
		*limits; /* object: connections, disk_mb, memory_mb ...; the service's own words */
};
struct addon_service {
	char id[37];				      /* made of the name */
	const char *name, *human_name;		      /* "heroku-postgresql" */
	const char *description, *docs_url, *web_url; /* may be NULL */
	const char *const *aliases;		      /* NULL-terminated */
	const char *prefix;			      /* attachment's usual name: DATABASE */
	const char *const *vars; /* suffixes of config vars: "URL"; "" = the name itself */
	const struct addon_plan *plans;
	int nplans;
	const char *const *abilities; /* verbs besides provision and deprovision; NULL-terminated */
	bool sharing, multiple, http; /* http: a partner's */
	const char *dir;	      /* its folder; NULL for partners */
};
/* Borrowed; NULL when there is none. By name, alias, or id (json_named_ref's). */
const struct addon_service *addon_service_find(struct addons *a, const char *ref);
const struct addon_service *addon_service_at(struct addons *a, int i); /* NULL at the end */
bool addon_service_can(const struct addon_service *s, const char *verb);
/* "service:plan", "service" (its default), or a plan's id. NOT_FOUND with suggestions. */
int addon_plan_find(struct addons *a, const char *ref, const struct addon_service **s,
		    const struct addon_plan **p, struct err *err);

/* --- add-ons --- */
struct addon_actor { /* borrowed */
	const char *user_id, *user_email;
};
struct addon_new { /* borrowed */
	struct addon_actor by;
	const char *app_id;
	const char *plan;	/* as addon_plan_find has it */
	const char *name;	/* NULL = made up */
	const char *attachment; /* NULL = the prefix, or when that is taken PREFIX_COLOUR */
	const json_t *options;	/* object of texts, or NULL */
	bool confirmed;		/* may take the place of an attachment of that name */
};
/* Makes the rows and starts provisioning; waits a few seconds for its end, so that what is quick is
 * provisioned in the answer. INVALID_PARAMS, NOT_FOUND, CONFIRMATION,
 * the provider's refusal as INVALID_PARAMS (nothing is left then). */
int addon_create(struct addons *a, const struct addon_new *in, struct store_addon *out,
		 struct err *err);
/* Until it is provisioned (0), or has failed or gone (-1 with why); TIMEOUT. */
int addon_wait(struct addons *a, const char *addon_id, int ms, struct err *err);
/* force: although other apps have it attached. Removes attachments with a release for each app,
 * then the provider's side, which is tried until it succeeds. */
int addon_destroy(struct addons *a, const struct addon_actor *by, const char *addon_id, bool force,
		  struct err *err);
int addon_change_plan(struct addons *a, const struct addon_actor *by, const char *addon_id,
		      const char *plan, struct store_addon *out, struct err *err);
int addon_rename(struct addons *a, const struct addon_actor *by, const char *addon_id,
		 const char *name, struct err *err);
/* New secrets for the add-on's own credential (NULL) or a named one; every app that has it attached
 * gets a release. The old ones go on for the provider's grace, or not at all when forced. */
int addon_rotate(struct addons *a, const struct addon_actor *by, const char *addon_id,
		 const char *credential, bool forced, struct err *err);
/* An app is being destroyed: its attachments go without releases, its own add-ons are deprovisioned
 * in the background. */
int addons_forget_app(struct addons *a, const char *app_id, struct err *err);

/* --- attachments: each change makes a release "Attach NAME (@ref:ADDON)" / "Detach ..." --- */
struct attachment_new { /* borrowed */
	struct addon_actor by;
	const char *addon_id, *app_id;
	const char *name;      /* NULL = made up: HEROKU_POSTGRESQL_COLOUR, or the like */
	const char *namespace; /* "credential:NAME" or NULL */
	bool confirmed;	       /* the attachment that has this name is replaced: two releases */
};
int addon_attach(struct addons *a, const struct attachment_new *in, struct store_attachment *out,
		 struct err *err);
int addon_detach(struct addons *a, const struct addon_actor *by, const char *attachment_id,
		 struct err *err);

/* --- for the parts that know more of a service (pg, redis) --- */
/* Runs a verb of its manifest: "info", "rotate", "credentials" ... in: what the verb is told beside
 * the add-on itself (docs/addons.md); *out: its answer, a new reference. TIMEOUT, UNAVAILABLE (no
 * such ability; the provider says so), INVALID_PARAMS (it refuses). An answer with config or
 * private is stored, and apps get their releases, before this returns. */
int addon_call(struct addons *a, const char *addon_id, const char *verb, const json_t *in, int ms,
	       json_t **out, struct err *err);
/* Of a service with the ability "snapshot": the folder of its process, consistent, as a tar to
 * out_fd, while it goes on. addon_id NULL = the shared process. CANCELED: cancel_fd is readable. */
int addon_snapshot(struct addons *a, const char *service, const char *addon_id, int out_fd,
		   int cancel_fd, struct err *err);
/* Further credentials than the add-on's own, by the verb "credentials"; params: what it is told
 * beside action and credential (may be NULL). INVALID_PARAMS: the name is taken or no good.
 * CONFLICT: apps have it attached. */
int addon_credential_create(struct addons *a, const struct addon_actor *by, const char *addon_id,
			    const char *name, const json_t *params, struct err *err);
int addon_credential_destroy(struct addons *a, const struct addon_actor *by, const char *addon_id,
			     const char *name, struct err *err);
/* The add-on's config by suffix: {"URL": "postgres://..."}; of a named credential. Secrets. */
int addon_config(struct addons *a, const char *addon_id, const char *credential, json_t **out,
		 struct err *err);
/* --- partners: services of others, by HTTP (docs/addons.md) --- */
/* What a partner's token begins with; 48 digits follow. */
#define ADDON_TOKEN_PREFIX "PAAP-"
/* given: a code, which is good once, or a refresh token. *out: {access_token, expires_in,
 * refresh_token, token_type}. NOT_FOUND: given is no good; UNAUTHORIZED: the client secret is not.
 */
int addon_partner_exchange(struct addons *a, bool by_code, const char *given,
			   const char *client_secret, json_t **out, struct err *err);
/* Config vars by name, as the partner calls them or without the prefix; null = gone. Each app gets
 * its release. INVALID_PARAMS: a name or value is no good; GONE: it is being removed. */
int addon_partner_config(struct addons *a, const char *addon_id, const json_t *by_name,
			 struct err *err);
/* As the partner calls them. Secrets. */
int addon_partner_config_names(struct addons *a, const char *addon_id, json_t **out,
			       struct err *err);
/* The partner is done with making or changing it, which may be known already; GONE. */
int addon_partner_done(struct addons *a, const char *addon_id, struct err *err);
/* The partner gives up making or changing it, or has removed it. INVALID_PARAMS: neither is asked
 * of it. */
int addon_partner_gone(struct addons *a, const char *addon_id, struct err *err);
/* The app's log goes there from now on. INVALID_PARAMS, GONE. */
int addon_partner_drain(struct addons *a, const char *addon_id, const char *url, struct err *err);
/* "d.UUID": what that drain's messages are marked with. */
void addon_partner_drain_token(const char *addon_id, char out[39]);
/* Lines for the app's log (application/logplex-1); body NULL: the token is looked at only.
 * NOT_FOUND for a wrong token, too; BAD_REQUEST. */
int addon_partner_log(struct addons *a, const char *addon_id, const char *token, const char *body,
		      size_t n, struct err *err);
/* The way to its own page: {method: "post", action, params}. INVALID_PARAMS: it has none; CONFLICT:
 * not while it is being made or removed. */
int addon_sso(struct addons *a, const struct addon_actor *by, const char *addon_id, json_t **out,
	      struct err *err);
bool addon_has_sso(struct addons *a, const char *service);

#endif
