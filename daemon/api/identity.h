/* identity.h - inside daemon/api: handlers of accounts, tokens, second factors, keys, features,
 * invitations, the audit trail; and what their bodies hold. */
#ifndef API_IDENTITY_H
#define API_IDENTITY_H

#include "daemon/api/api_int.h"

extern const struct api_field api_fields_account[], api_fields_account_delete[], api_fields_user[],
	api_fields_user_create[], api_fields_auth_create[], api_fields_auth_update[],
	api_fields_2fa_enrol[], api_fields_2fa_confirm[], api_fields_2fa_again[],
	api_fields_login[], api_fields_key[], api_fields_feature[], api_fields_invitation[],
	api_fields_collab[], api_fields_collab_update[];
api_fn api_account_delete, api_user_update, api_user_delete, api_users_list, api_auth_update,
	api_auth_regenerate, api_sessions_list, api_clients_list, api_client_missing,
	api_client_create, api_2fa_info, api_2fa_enrol, api_2fa_confirm, api_2fa_disable,
	api_2fa_recovery, api_pre_authorize, api_login_ask, api_login_wait, api_login_page,
	api_login_post, api_keys_list, api_key_add, api_key_info, api_key_delete,
	api_account_features, api_account_feature, api_account_feature_set, api_app_features,
	api_app_feature, api_app_feature_set, api_invitations_list, api_invitation_create,
	api_invitation_delete, api_app_invitations, api_app_invitation_delete, api_join_page,
	api_join_post, api_collab_update, api_audit_all;

void api_identity_sweep(struct api *a); /* expire.c; blocking */
/* Paths of things that do not exist here (nothere.c): fills err with a 404 that says so. */
bool api_not_here(const char *path, struct err *err);

#endif
