/* What has had its time: tokens, browsers' sessions, invitations, old rows of the audit trail. None
 * of it is good any more before it is swept; this only keeps the tables small. */
#include "daemon/api/identity.h"
#include "daemon/core/xlog.h"
#include "daemon/store/identity.h"
#include "daemon/store/session.h"

static int expire(struct tx *tx, void *arg, struct err *err)
{
	const struct config *cfg = arg;

	if (store_auths_expire(tx, err) < 0 || store_sessions_expire(tx, err) < 0 ||
	    store_invitations_expire(tx, err) < 0)
		return -1;
	return store_audit_prune(tx, cfg->audit_days, cfg->audit_rows, err);
}

void api_identity_sweep(struct api *a)
{
	struct err err = {0};

	if (store_tx(a->d.store, expire, (void *)a->d.cfg, &err) < 0)
		xlog_err(XLOG_WARN, "api", &err, "msg=\"expired rows not swept\"");
}
