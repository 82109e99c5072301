/* Routes of add-ons, their attachments, services and plans. Which rights the add-on's app, or those
 * that have it attached, must give is checked by handlers of the routes without :app
 * (api_addon_get). */
#include "daemon/api/addons.h"
#include "daemon/api/partner.h"
#include "daemon/api/route_words.h"

#define O "/addons/:add_on"
#define N "/addon-attachments/:add_on_attachment"
#define S "/addon-services/:add_on_service"

/* clang-format off */
const struct api_route api_routes_addons[] = {
	{ G, "/addons", NEED_USER, SCOPE_READ, api_addons_list, 0, "List add-ons of the apps that one has a right to" },
	{ G, O, NEED_USER, SCOPE_READ, api_addons_info, API_PARTNER, "One add-on; also for its provider" },
	{ G, O "/addon-attachments", NEED_USER, SCOPE_READ, api_addon_attachments, 0, "Attachments of an add-on" },
	{ G, O "/config", NEED_USER, SCOPE_READ_PROTECTED, api_addon_config_get, API_PARTNER, "Config of an add-on, without an attachment's name; takes operate on its app. Its provider gets its own names" },
	{ T, O "/config", NEED_PARTNER, SCOPE_ANY, api_partner_config, API_PARTNER | API_BODY, "Its provider sets config vars (null: removes): a release for each app", api_fields_partner_config },
	{ P, O "/actions/provision", NEED_PARTNER, SCOPE_ANY, api_partner_done, API_PARTNER, "Its provider has made it, or changed its plan" },
	{ P, O "/actions/deprovision", NEED_PARTNER, SCOPE_ANY, api_partner_gone, API_PARTNER, "Its provider gives up making or changing it, or has removed it" },
	{ G, O "/log-drains", NEED_USER, SCOPE_READ, api_partner_drains, API_PARTNER, "The log drain of an add-on" },
	{ U, O "/log-drains/:drain", NEED_PARTNER, SCOPE_ANY, api_partner_drain_put, API_PARTNER | API_BODY, "Its provider says where the app's log goes; `:drain` is the `log_drain_token`", api_fields_partner_drain },
	{ P, O "/logs", NEED_NONE, SCOPE_ANY, api_partner_logs, API_UPLOAD, "`log_input_url`: lines of its provider for the app's log, `application/logplex-1`, with its token as `Basic`" },
	{ G, O "/sso", NEED_USER, SCOPE_READ, api_addon_sso, 0, "A link to the provider's own page for the caller, good for 5 minutes; takes operate on its app" },
	{ G, O "/config/:name", NEED_USER, SCOPE_READ_PROTECTED, api_addon_config_part, 0, "The same of a credential: `credential:NAME`; an unknown one has nothing" },
	{ G, "/users/:account/addons", NEED_USER, SCOPE_READ, api_addons_list, 0, "List add-ons" },
	{ G, A "/addons", NEED_VIEW, SCOPE_READ, api_addons_of_app, 0, "Add-ons of an app, and those of others that it has attached" },
	{ G, A O "/sso", NEED_OPERATE, SCOPE_READ, api_addon_sso_of_app, 0, "The same" },
	{ P, A "/addons", NEED_OPERATE, SCOPE_WRITE, api_addons_create, API_BODY | API_LONG, "Make an add-on; what its provider has within 20 seconds is provisioned in the answer", api_fields_addon_create },
	{ G, A O, NEED_VIEW, SCOPE_READ, api_addons_of_app_info, 0, "One add-on of an app" },
	{ T, A O, NEED_OPERATE, SCOPE_WRITE, api_addons_update, API_BODY | API_LONG, "Change an add-on's plan, or name", api_fields_addon_update },
	{ D, A O, NEED_OPERATE, SCOPE_WRITE, api_addons_delete, API_LONG, "Remove an add-on with all that is in it", api_fields_addon_delete },
	{ P, "/actions/addons/resolve", NEED_USER, SCOPE_READ, api_addons_resolve, API_BODY, "Look up add-ons", api_fields_addon_resolve },
	{ P, "/actions/addon-attachments/resolve", NEED_USER, SCOPE_READ, api_attachments_resolve, API_BODY, "Look up attachments", api_fields_attachment_resolve },
	{ G, "/addon-attachments", NEED_USER, SCOPE_READ, api_attachments_list, 0, "Attachments of the apps that one has a right to" },
	{ P, "/addon-attachments", NEED_USER, SCOPE_WRITE, api_attachments_create, API_BODY, "Attach an add-on to an app: a release; takes operate on both apps", api_fields_attachment_create },
	{ G, N, NEED_USER, SCOPE_READ, api_attachments_info, 0, "One attachment" },
	{ D, N, NEED_USER, SCOPE_WRITE, api_attachments_delete, 0, "Detach: a release; takes operate on the app" },
	{ G, A "/addon-attachments", NEED_VIEW, SCOPE_READ, api_attachments_of_app, 0, "Attachments of an app" },
	{ G, A N, NEED_VIEW, SCOPE_READ, api_attachments_of_app_info, 0, "One attachment of an app, by id, name or config var" },
	{ P, "/oauth/token", NEED_PUBLIC, SCOPE_ANY, api_partner_token, API_UPLOAD, "Tokens for an add-on's provider: a form with `grant_type` (`authorization_code`, `refresh_token`), `code` or `refresh_token`, `client_secret`" },
	{ G, "/sso/:add_on", NEED_NONE, SCOPE_ANY, api_sso_page, API_HTML | API_STREAM, "Page: log in, and go on to the provider's own page of an add-on" },
	{ P, "/sso/:add_on", NEED_NONE, SCOPE_ANY, api_sso_post, API_HTML | API_STREAM | API_UPLOAD, "What that page sends" },
	{ G, "/sso/:add_on/:secret", NEED_NONE, SCOPE_ANY, api_sso_link, API_HTML | API_STREAM, "Page: the same for who has a link" },
	{ G, "/addon-services", NEED_USER, SCOPE_READ, api_addon_services, 0, "Add-on services" },
	{ G, S, NEED_USER, SCOPE_READ, api_addon_service, 0, "One add-on service" },
	{ G, S "/plans", NEED_USER, SCOPE_READ, api_addon_plans, 0, "Plans of an add-on service" },
	{ G, S "/plans/:plan", NEED_USER, SCOPE_READ, api_addon_plan, 0, "One plan" },
	{ G, "/plans/:plan", NEED_USER, SCOPE_READ, api_plan, 0, "One plan" },
	{ 0 },
};
