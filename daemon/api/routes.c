/* The route tables: what exists, who may, what it does. docs/api.md and the test that walks every
 * route with every kind of caller are made from it. */
#include "daemon/api/api_int.h"
#include "daemon/api/identity.h"
#include "daemon/api/range.h"
#include "daemon/api/route_words.h"
#include "daemon/api/sleep.h"
#include "proto/limits.h"

#include <stdio.h>

/* clang-format off */
static const struct api_route core[] = {
	/* identity */
	{ G, "/account", NEED_USER, SCOPE_ANY, api_account_info, 0, "Account of the token" },
	{ T, "/account", NEED_USER, SCOPE_GLOBAL, api_account_update, API_BODY, "Change name or password", api_fields_account },
	{ D, "/account", NEED_USER, SCOPE_GLOBAL, api_account_delete, 0, "Delete the account; not while it owns apps", api_fields_account_delete },
	{ G, "/users/:account", NEED_USER, SCOPE_ANY, api_account_info, 0, "Account: `~`, one's own; of those whom one works with on an app id and address, of all for administrators" },
	{ T, "/users/:account", NEED_USER, SCOPE_GLOBAL, api_user_update, API_BODY, "Change an account: one's own, or any by administrators", api_fields_user },
	{ D, "/users/:account", NEED_USER, SCOPE_GLOBAL, api_user_delete, 0, "Delete an account: one's own, or any by administrators", api_fields_account_delete },
	{ G, "/account/rate-limits", NEED_USER, SCOPE_ANY, api_rate_limits, 0, "Requests left" },
	{ G, "/users", NEED_ADMIN, SCOPE_GLOBAL, api_users_list, 0, "All accounts (an extension)" },
	{ P, "/users", NEED_ADMIN, SCOPE_GLOBAL, api_user_create, API_BODY, "Make an account (an extension)", api_fields_user_create },
	{ G, "/account/two-factor", NEED_USER, SCOPE_ANY, api_2fa_info, 0, "Two-factor authentication (these five are an extension)" },
	{ P, "/account/two-factor", NEED_USER, SCOPE_GLOBAL, api_2fa_enrol, 0, "Enrol: the secret for an authenticator app; in force once confirmed", api_fields_2fa_enrol },
	{ P, "/account/two-factor/actions/confirm", NEED_USER, SCOPE_GLOBAL, api_2fa_confirm, API_BODY, "Switch it on with a first code; answers with recovery codes", api_fields_2fa_confirm },
	{ D, "/account/two-factor", NEED_USER, SCOPE_GLOBAL, api_2fa_disable, API_BODY, "Switch it off", api_fields_2fa_again },
	{ P, "/account/two-factor/recovery-codes", NEED_USER, SCOPE_GLOBAL, api_2fa_recovery, API_BODY, "New recovery codes in place of the old ones", api_fields_2fa_again },
	{ G, "/account/keys", NEED_USER, SCOPE_GLOBAL, api_keys_list, 0, "SSH keys" },
	{ P, "/account/keys", NEED_USER, SCOPE_GLOBAL, api_key_add, API_BODY, "Add an SSH key", api_fields_key },
	{ G, "/account/keys/:key", NEED_USER, SCOPE_GLOBAL, api_key_info, 0, "One SSH key, by id or fingerprint" },
	{ D, "/account/keys/:key", NEED_USER, SCOPE_GLOBAL, api_key_delete, 0, "Remove an SSH key" },
	{ G, "/account/features", NEED_USER, SCOPE_ANY, api_account_features, 0, "Switches of the account" },
	{ G, "/account/features/:feature", NEED_USER, SCOPE_ANY, api_account_feature, 0, "One of them" },
	{ T, "/account/features/:feature", NEED_USER, SCOPE_GLOBAL, api_account_feature_set, API_BODY, "Switch it", api_fields_feature },
	{ G, "/invitations", NEED_ADMIN, SCOPE_GLOBAL, api_invitations_list, 0, "Invitations (an extension)" },
	{ P, "/invitations", NEED_ADMIN, SCOPE_GLOBAL, api_invitation_create, API_BODY, "Invite somebody: an address to pass on, good for 7 days (an extension)", api_fields_invitation },
	{ D, "/invitations/:invitation", NEED_ADMIN, SCOPE_GLOBAL, api_invitation_delete, 0, "Take an invitation back (an extension)" },
	{ G, "/join/:secret", NEED_NONE, SCOPE_ANY, api_join_page, API_HTML | API_STREAM, "Page: accept an invitation" },
	{ P, "/join/:secret", NEED_NONE, SCOPE_ANY, api_join_post, API_HTML | API_STREAM | API_UPLOAD, "What that page sends" },
	{ G, "/audit", NEED_ADMIN, SCOPE_GLOBAL, api_audit_all, 0, "Who changed what, anywhere; `?app=`, `actor=`, `action=`, `since=` (an extension)" },
	{ G, "/teams", NEED_USER, SCOPE_ANY, api_none_list, 0, "Teams: none here" },
	{ G, "/organizations", NEED_USER, SCOPE_ANY, api_none_list, 0, "Organizations: none here" },
	{ G, "/enterprise-accounts", NEED_USER, SCOPE_ANY, api_none_list, 0, "Enterprise accounts: none here" },
	{ G, "/spaces", NEED_USER, SCOPE_ANY, api_none_list, 0, "Spaces: none here" },
	{ P, "/oauth/authorizations", NEED_BASIC, SCOPE_GLOBAL, api_auth_create, 0, "New API token, by e-mail and password or by a token", api_fields_auth_create },
	{ G, "/oauth/authorizations", NEED_USER, SCOPE_GLOBAL, api_auth_list, 0, "List API tokens" },
	{ G, "/oauth/authorizations/:authorization", NEED_USER, SCOPE_GLOBAL, api_auth_info, 0, "One API token" },
	{ T, "/oauth/authorizations/:authorization", NEED_USER, SCOPE_GLOBAL, api_auth_update, API_BODY, "Describe an API token", api_fields_auth_update },
	{ D, "/oauth/authorizations/:authorization", NEED_USER, SCOPE_GLOBAL, api_auth_delete, 0, "Revoke an API token" },
	{ P, "/oauth/authorizations/:authorization/actions/regenerate-tokens", NEED_USER, SCOPE_GLOBAL, api_auth_regenerate, 0, "A new token in place of the old; its expiry stays" },
	{ G, "/oauth/sessions", NEED_USER, SCOPE_GLOBAL, api_sessions_list, 0, "Sessions of browsers" },
	{ D, "/oauth/sessions/:session", NEED_USER, SCOPE_ANY, api_session_delete, 0, "End a browser's session; `~`: the one that approved the token" },
	{ P, "/auth", NEED_PUBLIC, SCOPE_ANY, api_login_ask, 0, "Log in by a browser: what to open there, where to wait meanwhile", api_fields_login },
	{ G, "/auth/cli/:login", NEED_NONE, SCOPE_ANY, api_login_wait, API_ON_LOOP | API_STREAM, "Waits, at most 10 minutes, until the login is approved: `{access_token}` or `{error}`" },
	{ G, "/auth/browser/:secret", NEED_NONE, SCOPE_ANY, api_login_page, API_HTML | API_STREAM, "Page: log in, approve" },
	{ P, "/auth/browser/:secret", NEED_NONE, SCOPE_ANY, api_login_post, API_HTML | API_STREAM | API_UPLOAD, "What that page sends" },
	{ G, "/oauth/clients", NEED_USER, SCOPE_GLOBAL, api_clients_list, 0, "None: there are no OAuth clients here" },
	{ P, "/oauth/clients", NEED_USER, SCOPE_GLOBAL, api_client_create, 0, "Refused" },
	{ G, "/oauth/clients/:client", NEED_USER, SCOPE_GLOBAL, api_client_missing, 0, "None" },
	{ T, "/oauth/clients/:client", NEED_USER, SCOPE_GLOBAL, api_client_missing, 0, "None" },
	{ D, "/oauth/clients/:client", NEED_USER, SCOPE_GLOBAL, api_client_missing, 0, "None" },
	{ P, "/oauth/clients/:client/actions/rotate-credentials", NEED_USER, SCOPE_GLOBAL, api_client_missing, 0, "None" },
	/* apps */
	{ G, "/apps", NEED_USER, SCOPE_READ, api_apps_list, 0, "List apps" },
	{ G, "/users/:account/apps", NEED_USER, SCOPE_READ, api_apps_list, 0, "List apps" },
	{ P, "/apps", NEED_USER, SCOPE_WRITE, api_apps_create, 0, "Make an app", api_fields_app_create },
	{ G, A, NEED_VIEW, SCOPE_READ, api_apps_info, 0, "One app" },
	{ T, A, NEED_OPERATE, SCOPE_WRITE, api_apps_update, API_BODY, "Rename, maintenance mode, build stack", api_fields_app_update },
	{ D, A, NEED_OWNER, SCOPE_WRITE, api_apps_destroy, 0, "Destroy an app and all it has" },
	{ G, A "/available-stacks", NEED_VIEW, SCOPE_READ, api_stacks_list, 0, "Stacks for an app" },
	{ G, A "/available-dyno-sizes", NEED_VIEW, SCOPE_READ, api_dyno_sizes, 0, "Limit classes for an app" },
	{ G, A "/usage", NEED_VIEW, SCOPE_READ, api_app_usage, 0, "Usage of add-ons: none" },
	{ G, "/account/app-transfers", NEED_USER, SCOPE_READ, api_transfers_list, 0, "Apps offered by the caller or to them" },
	{ P, "/account/app-transfers", NEED_USER, SCOPE_GLOBAL, api_transfers_create, 0, "Offer an app to another account (its owner)", api_fields_transfer_create },
	{ G, "/account/app-transfers/:app_transfer", NEED_USER, SCOPE_READ, api_transfers_info, 0, "One offer" },
	{ T, "/account/app-transfers/:app_transfer", NEED_USER, SCOPE_GLOBAL, api_transfers_update, 0, "Accept or decline (the recipient)", api_fields_transfer_update },
	{ D, "/account/app-transfers/:app_transfer", NEED_USER, SCOPE_GLOBAL, api_transfers_delete, 0, "Withdraw an offer" },
	{ P, "/filters/apps", NEED_USER, SCOPE_READ, api_filter_apps, 0, "Those of the named apps that the caller may see", api_fields_filter_apps },
	{ G, A "/collaborators", NEED_VIEW, SCOPE_READ, api_collab_list, 0, "List collaborators" },
	{ P, A "/collaborators", NEED_MANAGE, SCOPE_WRITE, api_collab_create, API_BODY, "Add a collaborator; who has no account is invited", api_fields_collab },
	{ G, A "/collaborators/:collaborator", NEED_VIEW, SCOPE_READ, api_collab_info, 0, "One collaborator" },
	{ T, A "/collaborators/:collaborator", NEED_MANAGE, SCOPE_WRITE, api_collab_update, API_BODY, "Change a collaborator's permissions (an extension)", api_fields_collab_update },
	{ D, A "/collaborators/:collaborator", NEED_VIEW, SCOPE_WRITE, api_collab_delete, 0, "Remove a collaborator (oneself, or any with manage)" },
	{ G, A "/invitations", NEED_MANAGE, SCOPE_READ, api_app_invitations, 0, "Collaborators to be (an extension)" },
	{ D, A "/invitations/:invitation", NEED_MANAGE, SCOPE_WRITE, api_app_invitation_delete, 0, "Take an invitation back (an extension)" },
	{ G, A "/features", NEED_VIEW, SCOPE_READ, api_app_features, 0, "Switches of an app" },
	{ G, A "/features/:feature", NEED_VIEW, SCOPE_READ, api_app_feature, 0, "One of them" },
	{ T, A "/features/:feature", NEED_OPERATE, SCOPE_WRITE, api_app_feature_set, API_BODY, "Switch it", api_fields_feature },
	{ U, A "/pre-authorizations", NEED_VIEW, SCOPE_ANY, api_pre_authorize, 0, "Checks Heroku-Two-Factor-Code; nothing here needs it" },
	{ G, A "/audit", NEED_MANAGE, SCOPE_READ, api_audit_list, 0, "Who changed what (an extension)" },
	/* config */
	{ G, A "/config-vars", NEED_VIEW, SCOPE_READ_PROTECTED, api_config_get, 0, "Config vars" },
	{ T, A "/config-vars", NEED_OPERATE, SCOPE_WRITE_PROTECTED, api_config_patch, API_BODY, "Set and unset config vars: a new release", api_fields_config },
	{ G, A "/releases/:release/config-vars", NEED_VIEW, SCOPE_READ_PROTECTED, api_release_config, 0, "Config vars frozen in a release" },
	/* running */
	{ G, A "/formation", NEED_VIEW, SCOPE_READ, api_formation_list, 0, "Process types and quantities" },
	{ T, A "/formation", NEED_OPERATE, SCOPE_WRITE, api_formation_batch, API_BODY, "Scale several process types", api_fields_formation_batch },
	{ G, A "/formation/:formation", NEED_VIEW, SCOPE_READ, api_formation_info, 0, "One process type" },
	{ T, A "/formation/:formation", NEED_OPERATE, SCOPE_WRITE, api_formation_patch, API_BODY, "Scale one process type", api_fields_formation },
	{ G, A "/dynos", NEED_VIEW, SCOPE_READ, api_dynos_list, 0, "List dynos" },
	{ P, A "/dynos", NEED_DEPLOY, SCOPE_WRITE, api_dynos_create, API_BODY, "Run a one-off dyno", api_fields_dyno_create },
	{ D, A "/dynos", NEED_OPERATE, SCOPE_WRITE, api_dynos_restart, 0, "Restart all dynos: web ones one after another, each once its replacement serves" },
	{ G, A "/dynos/:dyno", NEED_VIEW, SCOPE_READ, api_dynos_info, 0, "One dyno" },
	{ P, A "/dynos/:dyno", NEED_OPERATE, SCOPE_WRITE, api_dynos_run_inside, API_BODY, "Run a command inside a running dyno", api_fields_dyno_create },
	{ D, A "/dynos/:dyno", NEED_OPERATE, SCOPE_WRITE, api_dynos_restart, 0, "Restart a dyno" },
	{ P, A "/dynos/:dyno/actions/stop", NEED_OPERATE, SCOPE_WRITE, api_dynos_stop, 0, "Stop a dyno" },
	{ D, A "/formations/:type", NEED_OPERATE, SCOPE_WRITE, api_formation_restart, 0, "Restart the dynos of a type" },
	{ P, A "/formations/:type/actions/stop", NEED_OPERATE, SCOPE_WRITE, api_formation_stop, 0, "Stop the dynos of a type" },
	{ G, A "/sleep", NEED_VIEW, SCOPE_READ, api_sleep_info, 0, "When the app sleeps, and whether it does now (an extension, as the next two)" },
	{ T, A "/sleep", NEED_OPERATE, SCOPE_WRITE, api_sleep_update, API_BODY, "Let it sleep when it has had no request for so long; the next one wakes it", api_fields_sleep },
	{ P, A "/actions/wake", NEED_OPERATE, SCOPE_WRITE, api_sleep_wake, 0, "Wake it without a request" },
	{ G, "/dyno-sizes", NEED_USER, SCOPE_ANY, api_dyno_sizes, 0, "Limit classes" },
	{ G, "/dyno-sizes/:dyno_size", NEED_USER, SCOPE_ANY, api_dyno_size, 0, "One limit class" },
	{ G, "/attach/:secret", NEED_NONE, SCOPE_ANY, api_attach_open, API_ON_LOOP | API_STREAM, "Terminal of a one-off dyno (upgrade)" },
	/* releases, builds */
	{ G, A "/releases", NEED_VIEW, SCOPE_READ, api_releases_list, 0, "List releases" },
	{ P, A "/releases", NEED_DEPLOY, SCOPE_WRITE, api_releases_create, API_BODY, "Roll back, or release a slug again", api_fields_release_create },
	{ G, A "/releases/:release", NEED_VIEW, SCOPE_READ, api_releases_info, 0, "One release" },
	{ G, "/streams/releases/:release/:secret", NEED_NONE, SCOPE_ANY, api_release_stream, API_LONG | API_STREAM, "Output of a release command" },
	{ P, "/sources", NEED_USER, SCOPE_WRITE, api_sources_create, 0, "URLs to upload a source to, and to build it from" },
	{ P, A "/sources", NEED_DEPLOY, SCOPE_WRITE, api_sources_create, 0, "The same, of an app" },
	{ U, "/blobs/sources/:source/:secret", NEED_NONE, SCOPE_ANY, api_source_put, API_UPLOAD | API_FILE, "Upload a source: a .tar.gz" },
	{ G, "/blobs/sources/:source/:secret", NEED_NONE, SCOPE_ANY, api_source_get, API_FILE | API_STREAM, "The uploaded source" },
	{ P, A "/builds", NEED_DEPLOY, SCOPE_WRITE, api_builds_create, API_BODY, "Build a tarball and release it", api_fields_build_create },
	{ G, A "/builds", NEED_VIEW, SCOPE_READ, api_builds_list, 0, "List builds" },
	{ G, A "/builds/:build", NEED_VIEW, SCOPE_READ, api_builds_info, 0, "One build" },
	{ D, A "/builds/:build", NEED_DEPLOY, SCOPE_WRITE, api_builds_cancel, 0, "Cancel a build" },
	{ P, A "/builds/:build/cancel", NEED_DEPLOY, SCOPE_WRITE, api_builds_cancel, 0, "Cancel a build" },
	{ P, A "/builds/:build/actions/cancel", NEED_DEPLOY, SCOPE_WRITE, api_builds_cancel, 0, "Cancel a build" },
	{ D, A "/build-cache", NEED_DEPLOY, SCOPE_WRITE, api_build_cache_delete, 0, "Empty the build cache" },
	{ G, "/streams/builds/:build/:secret", NEED_NONE, SCOPE_ANY, api_build_stream, API_LONG | API_STREAM, "Output of a build" },
	{ P, A "/slugs", NEED_DEPLOY, SCOPE_WRITE, api_slugs_create, API_BODY, "Make a slug; its content is then uploaded to blob.url", api_fields_slug_create },
	{ U, "/blobs/slugs/:slug/:expires/:secret", NEED_NONE, SCOPE_ANY, api_slug_put, API_UPLOAD | API_FILE, "Upload a slug: a .tar.gz with all under ./app/" },
	{ G, "/blobs/slugs/:slug/:expires/:secret", NEED_NONE, SCOPE_ANY, api_slug_get, API_FILE | API_STREAM, "A slug as a .tar.gz" },
	{ G, A "/slugs/:slug", NEED_VIEW, SCOPE_READ, api_slugs_info, 0, "One slug" },
	{ G, A "/buildpack-installations", NEED_VIEW, SCOPE_READ, api_buildpacks_list, 0, "List buildpacks" },
	{ U, A "/buildpack-installations", NEED_OPERATE, SCOPE_WRITE, api_buildpacks_put, API_BODY, "Set the list of buildpacks", api_fields_buildpacks },
	/* to the world */
	{ G, A "/domains", NEED_VIEW, SCOPE_READ, api_domains_list, 0, "List domains" },
	{ P, A "/domains", NEED_OPERATE, SCOPE_WRITE, api_domains_create, 0, "Add a custom domain; `*.example.com` takes all below example.com", api_fields_domain_create },
	{ G, A "/domains/:domain", NEED_VIEW, SCOPE_READ, api_domains_info, 0, "One domain" },
	{ T, A "/domains/:domain", NEED_OPERATE, SCOPE_WRITE, api_domains_update, 0, "Choose the domain's certificate", api_fields_domain_update },
	{ D, A "/domains/:domain", NEED_OPERATE, SCOPE_WRITE, api_domains_delete, 0, "Remove a custom domain" },
	{ G, A "/sni-endpoints", NEED_VIEW, SCOPE_READ, api_sni_list, 0, "List certificates" },
	{ P, A "/sni-endpoints", NEED_OPERATE, SCOPE_WRITE, api_sni_create, 0, "Add a certificate with its private key", api_fields_sni },
	{ G, A "/sni-endpoints/:sni_endpoint", NEED_VIEW, SCOPE_READ, api_sni_info, 0, "One certificate; never its key" },
	{ T, A "/sni-endpoints/:sni_endpoint", NEED_OPERATE, SCOPE_WRITE, api_sni_update, 0, "Replace a certificate and its key", api_fields_sni },
	{ D, A "/sni-endpoints/:sni_endpoint", NEED_OPERATE, SCOPE_WRITE, api_sni_delete, 0, "Remove a certificate" },
	{ P, A "/acm", NEED_OPERATE, SCOPE_WRITE, api_acm_refuse, 0, "Automatic certificates: refused, as there are none here" },
	{ T, A "/acm", NEED_OPERATE, SCOPE_WRITE, api_acm_refuse, 0, "Automatic certificates: refused, as there are none here" },
	{ D, A "/acm", NEED_OPERATE, SCOPE_WRITE, api_acm_off, 0, "Automatic certificates off, as they are" },
	/* logs */
	{ P, A "/log-sessions", NEED_VIEW, SCOPE_READ, api_log_session_create, 0, "URL of a log stream", api_fields_log_session },
	{ G, "/streams/logs/:secret", NEED_NONE, SCOPE_ANY, api_log_stream, API_STREAM, "Log stream (server-sent events, or text)" },
	{ G, A "/log-drains", NEED_VIEW, SCOPE_READ, api_drains_list, 0, "List log drains" },
	{ P, A "/log-drains", NEED_OPERATE, SCOPE_WRITE, api_drains_create, API_BODY, "Send the log to a URL, too", api_fields_drain_create },
	{ G, A "/log-drains/:drain", NEED_VIEW, SCOPE_READ, api_drains_info, 0, "One log drain; id, token, or URL (encoded)" },
	{ G, A "/webhooks", NEED_VIEW, SCOPE_READ, api_webhooks_list, 0, "List webhooks" },
	{ P, A "/webhooks", NEED_OPERATE, SCOPE_WRITE, api_webhooks_create, API_BODY, "Tell a URL of changes; the secret is in Heroku-Webhook-Secret", api_fields_webhook_create },
	{ G, A "/webhooks/:webhook", NEED_VIEW, SCOPE_READ, api_webhooks_info, 0, "One webhook" },
	{ T, A "/webhooks/:webhook", NEED_OPERATE, SCOPE_WRITE, api_webhooks_update, API_BODY, "Change a webhook", api_fields_webhook_update },
	{ D, A "/webhooks/:webhook", NEED_OPERATE, SCOPE_WRITE, api_webhooks_delete, 0, "Remove a webhook" },
	{ G, A "/webhook-events", NEED_VIEW, SCOPE_READ, api_webhook_events_list, 0, "List changes that webhooks were told of" },
	{ G, A "/webhook-events/:event", NEED_VIEW, SCOPE_READ, api_webhook_events_info, 0, "One change" },
	{ G, A "/webhook-deliveries", NEED_VIEW, SCOPE_READ, api_webhook_deliveries_list, 0, "List deliveries; `?eq[status]=`" },
	{ G, A "/webhook-deliveries/:delivery", NEED_VIEW, SCOPE_READ, api_webhook_deliveries_info, 0, "One delivery" },
	{ P, A "/webhook-deliveries/:delivery/actions/retry", NEED_OPERATE, SCOPE_WRITE, api_webhook_deliveries_retry, 0, "Deliver once more (an extension)" },
	{ D, A "/log-drains/:drain", NEED_OPERATE, SCOPE_WRITE, api_drains_delete, 0, "Remove a log drain" },
	/* the platform */
	{ G, "/schema", NEED_PUBLIC, SCOPE_ANY, api_schema, 0, "This API as a JSON hyper-schema" },
	{ G, "/ca.pem", NEED_PUBLIC, SCOPE_ANY, api_ca_pem, API_STREAM, "Certificate of the development authority, for clients to trust (PEM, an extension)" },
	{ G, "/stacks", NEED_USER, SCOPE_ANY, api_stacks_list, 0, "List stacks" },
	{ G, "/stacks/:stack", NEED_USER, SCOPE_ANY, api_stacks_info, 0, "One stack" },
	{ G, "/regions", NEED_USER, SCOPE_ANY, api_regions_list, 0, "List regions" },
	{ G, "/regions/:region", NEED_USER, SCOPE_ANY, api_regions_info, 0, "One region" },
	{ G, "/api/v4/current-status", NEED_PUBLIC, SCOPE_ANY, api_current_status, 0, "State of the platform" },
	/* the buildpack registry */
	{ G, "/buildpacks", NEED_PUBLIC, SCOPE_ANY, api_registry_list, 0, "Buildpacks by name; `in[namespace][]`, `in[name][]`, `like[description]`" },
	{ G, "/buildpacks/:buildpack", NEED_PUBLIC, SCOPE_ANY, api_registry_info, 0, "One buildpack, `NAMESPACE%2FNAME`" },
	{ G, "/buildpacks/:buildpack/revisions", NEED_PUBLIC, SCOPE_ANY, api_registry_revisions, 0, "Its revisions" },
	{ G, "/buildpacks/:buildpack/readme", NEED_PUBLIC, SCOPE_ANY, api_registry_readme, 0, "Its text for people" },
	/* what there is none of */
	{ G, A "/telemetry-drains", NEED_VIEW, SCOPE_READ, api_none_list, 0, "Telemetry drains: none here" },
	{ P, "/telemetry-drains", NEED_USER, SCOPE_WRITE, api_none_made, 0, "Refused: there are no telemetry drains" },
	{ G, "/telemetry-drains/:telemetry_drain", NEED_USER, SCOPE_READ, api_none_found, 0, "One telemetry drain" },
	{ T, "/telemetry-drains/:telemetry_drain", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One telemetry drain" },
	{ D, "/telemetry-drains/:telemetry_drain", NEED_USER, SCOPE_WRITE, api_none_found, 0, "One telemetry drain" },
	{ 0 },
};
/* clang-format on */

const struct api_route *const api_route_tables[] = {
	core,
	api_routes_addons,
	api_routes_data,
	api_routes_storage,
	api_routes_scheduler,
	api_routes_pipelines,
	api_routes_setups,
	api_routes_review,
	NULL,
};

static const char *const need_names[] = {
	[NEED_PUBLIC] = "anyone",
	[NEED_NONE] = "secret in the URL",
	[NEED_BASIC] = "e-mail and password, or token",
	[NEED_USER] = "any account",
	[NEED_ADMIN] = "administrator",
	[NEED_PARTNER] = "the add-on's provider",
	[NEED_VIEW] = "view",
	[NEED_DEPLOY] = "deploy",
	[NEED_OPERATE] = "operate",
	[NEED_MANAGE] = "manage",
	[NEED_OWNER] = "owner",
};
static const char *const scope_names[] = {
	[SCOPE_ANY] = "any",
	[SCOPE_READ] = "read",
	[SCOPE_WRITE] = "write",
	[SCOPE_READ_PROTECTED] = "read-protected",
	[SCOPE_WRITE_PROTECTED] = "write-protected",
	[SCOPE_GLOBAL] = "global",
};

/* For tests: a route a line, as JSON. */
void api_print_routes(void)
{
	API_EACH_ROUTE (r)
		printf("{\"method\": \"%s\", \"path\": \"%s\", \"need\": \"%s\", \"scope\": "
		       "\"%s\", "
		       "\"body\": %s, \"stream\": %s}\n",
		       r->method, r->path, need_names[r->need], scope_names[r->scope],
		       r->flags & API_BODY ? "true" : "false",
		       r->flags & API_STREAM ? "true" : "false");
}

static const char intro[] =
	"# API\n"
	"\n"
	"The API is the Heroku Platform API v3: its paths, fields, errors and headers, so that its "
	"clients work.\n"
	"This page is generated from the route table by `paasd api:docs`.\n"
	"\n"
	"    curl -H 'Accept: application/vnd.heroku+json; version=3' -H \"Authorization: Bearer "
	"TOKEN\" URL/apps\n"
	"\n"
	"A token goes as `Bearer`, or as the password of `Basic`. Bodies are JSON objects in "
	"UTF-8, "
	"at most %lld MB.\n"
	"`:app` and the like take an id or a name. Deletions answer with what was deleted, actions "
	"on "
	"dynos 202 and\n"
	"`{}`.\n"
	"\n";

static const char outro[] =
	"\n"
	"## Who may\n"
	"Each token has scopes, each collaborator permissions; a request needs both that its row "
	"names. `global`\n"
	"includes all scopes; `write-protected` includes `write`, `read-protected` and `read`; "
	"`write` and\n"
	"`read-protected` include `read`; `identity` is enough for `any`. Config vars take a "
	"`-protected` scope.\n"
	"Owners and administrators have all permissions on an app; whoever has one may also "
	"`view`. "
	"An app on which the\n"
	"caller has none answers 404, as one that does not exist.\n"
	"\n"
	"Logging in is `POST /oauth/authorizations` with e-mail and password as `Basic`. Wrong "
	"passwords run out: %d of an\n"
	"account, %d from an address, one more every %d seconds; then the answer is 429 with "
	"`Retry-After`.\n"
	"`/oauth/authorizations/~` is the account's default token: the administrator's in "
	"STATE/admin-token; others have\n"
	"none. Of other tokens than the caller's own only the start is shown.\n"
	"\n"
	"## Lists\n"
	"`Range: FIELD START..END; max=N, order=desc` sorts and cuts; every part may be missing. "
	"`Accept-Ranges` names a\n"
	"list's fields, the first being the default. `]START` leaves START itself out. A page has "
	"%d items, or `max` up to\n"
	"%d; when there are more the status is 206 and `Next-Range` is the `Range` of the next "
	"page, to be sent as it is.\n"
	"\n"
	"## Errors\n"
	"`{\"id\", \"message\"}`, and `resource` where something was not found.\n"
	"\n"
	"| status | id | when |\n|---|---|---|\n"
	"| 400 | `bad_request` | the body is no JSON object, or missing |\n"
	"| 401 | `unauthorized` | no token, or not a good one |\n"
	"| 403 | `forbidden` | a scope or permission is missing |\n"
	"| 403 | `two_factor` | a login needs `Heroku-Two-Factor-Code`, or the code is wrong |\n"
	"| 403 | `suspended` | an administrator has suspended the account |\n"
	"| 404 | `not_found` | no such thing, or not for the caller |\n"
	"| 405 | `method_not_allowed` | `Allow` says what the path takes |\n"
	"| 406 | `not_acceptable` | `Accept` asks for another version than 3 |\n"
	"| 413 | `request_entity_too_large` | a body beyond %lld MB |\n"
	"| 416 | `requested_range_not_satisfiable` | a `Range` that cannot be meant |\n"
	"| 422 | `invalid_params` | a field is unknown, missing or wrong; text is not UTF-8, or "
	"has a "
	"NUL |\n"
	"| 429 | `rate_limit` | wrong passwords, or the account's requests of this hour, have run "
	"out: `Retry-After` |\n"
	"| 503 | `service_unavailable` | busy, or stopping |\n"
	"\n"
	"## Asking again\n"
	"A request that changes something and comes again within %d seconds, with the same body "
	"and "
	"the same `Request-Id`\n"
	"(a UUID, as clients make one for each request) or `Idempotency-Key`, is answered as the "
	"first time and not done\n"
	"again: `Idempotency-Replayed: true`. So a client whose connection broke may repeat a "
	"POST. "
	"What failed may be\n"
	"tried again. The daemon forgets this when it restarts.\n"
	"\n"
	"`RateLimit-Remaining` and `GET /account/rate-limits` tell how many requests the account "
	"has "
	"left: `api.rate_limit` of\n"
	"the configuration an hour, filling up again steadily.\n"
	"\n"
	"`GET /schema` is this page for programs: a JSON hyper-schema.\n"
	"\n"
	"GET answers have an `ETag`; `If-None-Match` makes them 304. Every answer has a "
	"`Request-Id`, which is also in the\n"
	"platform's log and in the audit trail.\n";

void api_print_docs(void)
{
	printf(intro, LIM_API_BODY >> 20);
	printf("| request | needs | scope | does |\n|---|---|---|---|\n");
	API_EACH_ROUTE (r) {
		AUTO(buf_clear) struct buf body = {0};

		if (r->body)
			api_fields_text(r->body, &body);
		printf("| `%s %s` | %s | %s | %s%s%s%s |\n", r->method, r->path,
		       need_names[r->need], scope_names[r->scope], r->text, body.len ? ": `" : "",
		       buf_str(&body), body.len ? "`" : "");
	}
	printf(outro, LIM_LOGIN_PER_ACCOUNT, LIM_LOGIN_PER_ADDRESS, LIM_LOGIN_REFILL_MS / 1000,
	       API_PAGE, API_PAGE_MAX, LIM_API_BODY >> 20, LIM_REPLAY_MS / 1000);
}
