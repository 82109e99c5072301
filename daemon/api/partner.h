/* partner.h - inside daemon/api: what providers of add-ons do by their tokens, and the way of
 * people to the providers' own pages. */
#ifndef API_PARTNER_H
#define API_PARTNER_H

#include "daemon/api/addons.h"

extern const struct api_field api_fields_partner_config[], api_fields_partner_drain[];
api_fn api_partner_token, api_partner_config, api_partner_done, api_partner_gone,
	api_partner_drains, api_partner_drain_put, api_partner_logs, api_addon_sso,
	api_addon_sso_of_app, api_sso_page, api_sso_post, api_sso_link;

#endif
