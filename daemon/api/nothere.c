/* Paths of what this platform has none of, so that clients are told why in place of a missing
 * endpoint: teams, spaces and the like. Lists of them are empty (lists.c). */
#include "daemon/api/identity.h"

#include <string.h>

static const struct {
	const char *prefix; /* the first that fits; of whole parts of a path */
	const char *resource, *text;
} gone[] = {
	{"/teams/apps", "team_app",
	 "Apps belong to accounts here, not to teams: they are neither locked nor joined."},
	{"/teams", "team", "Couldn't find that team."},
	{"/organizations/apps", "organization_app",
	 "Apps belong to accounts here, not to organizations."},
	{"/organizations", "organization", "Couldn't find that organization."},
	{"/enterprise-accounts", "enterprise_account", "Couldn't find that enterprise account."},
	{"/spaces", "space", "Couldn't find that space."},
	{"/invoices", "invoice", "This platform writes no invoices."},
	{"/account/invoices", "invoice", "This platform writes no invoices."},
	{"/account/invoice-address", "invoice_address", "This platform writes no invoices."},
	{"/account/credits", "credit", "This platform has no credits."},
	{"/account/sms-number", "sms_number",
	 "This platform sends no text messages: second factors are authenticator apps."},
	{"/users/~/sms-number", "sms_number",
	 "This platform sends no text messages: second factors are authenticator apps."},
	{"/password-resets", "password_reset",
	 "No mail is sent here: an administrator sets a new password."},
	{"/oauth/tokens", "client",
	 "There are no OAuth clients here; make a token: POST /oauth/authorizations."},
	{"/test-runs", "test_run", "Couldn't find that test run."},
};

bool api_not_here(const char *path, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		size_t n = strlen(gone[i].prefix);

		if (strncmp(path, gone[i].prefix, n) != 0 || (path[n] && path[n] != '/'))
			continue;
		err_set(err, ERR_NOT_FOUND, "%s", gone[i].text);
		err->resource = gone[i].resource;
		return true;
	}
	return false;
}
