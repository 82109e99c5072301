/* session.h - log sessions (capability URLs) and the audit trail. See user.h for the conventions.
 */
#ifndef STORE_SESSION_H
#define STORE_SESSION_H

#include "daemon/store/store.h"

#define STORE_LOG_SESSION_OPEN_MS (360 * 1000LL)       /* to be opened within, as on Heroku */
#define STORE_LOG_SESSION_TAIL_MS (24 * 3600 * 1000LL) /* a tail may reconnect so long */

struct store_log_session {
	char id[37], app_id[37];
	char *source, *dyno; /* filters; may be NULL */
	int lines;
	bool tail;
	wall_ms created_ms;
};
void store_log_session_clear(struct store_log_session *s);
#define store_log_session_clear_p store_log_session_clear

/* secret: the caller's random text in the URL; only its hash is kept. in->id, created_ms are made.
 */
int store_log_session_create(struct tx *tx, const char *secret, const struct store_log_session *in,
			     char id[37], struct err *err);
/* First use within 360 s; a tail that was opened then may come back for 24 h. Otherwise NOT_FOUND
 * (resource "log session"). Writes: store_tx. */
int store_log_session_open(struct tx *tx, const char *secret, struct store_log_session *out,
			   struct err *err);
int store_log_sessions_expire(struct tx *tx, struct err *err);

struct store_audit_new {	      /* borrowed; all but action may be NULL */
	const char *actor_id, *actor; /* user id, email */
	const char *app_id, *app;     /* id, name */
	const char *action;	      /* "config.set" */
	const char *detail;	      /* keys, never values */
	const char *request_id, *peer;
};
struct store_audit {
	int64_t seq;
	wall_ms at_ms;
	char *actor_id, *actor, *app_id, *app, *action, *detail, *request_id, *peer;
};
struct store_audits {
	struct store_audit *v;
	int n;
};
void store_audits_clear(struct store_audits *l);
#define store_audits_clear_p store_audits_clear
int store_audit_add(struct tx *tx, const struct store_audit_new *in, struct err *err);
/* Newest first; app_id NULL = all; before 0 = from the newest. */
int store_audit_list(struct tx *tx, const char *app_id, int64_t before, int limit,
		     struct store_audits *out, struct err *err);

struct store_audit_query {
	int64_t from, to; /* numbers, both part of it */
	bool desc;
	int limit;
	const char *app;    /* id or name; NULL = any, as below */
	const char *actor;  /* id or address */
	const char *action; /* "config.update", or its start: "config" */
	wall_ms since;
};
int store_audit_page(struct tx *tx, const struct store_audit_query *q, struct store_audits *out,
		     struct err *err);
/* Those older than days, and all but the newest rows. */
int store_audit_prune(struct tx *tx, int64_t days, int64_t rows, struct err *err);

#endif
