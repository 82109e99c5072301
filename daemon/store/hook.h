/* hook.h - webhooks, what they tell (events), and the telling of it to each (deliveries). See
 * user.h for the conventions. */
#ifndef STORE_HOOK_H
#define STORE_HOOK_H

#include "daemon/store/store.h"

struct store_hook {
	char id[37];
	char app_id[37];     /* "" = of an app that is gone: what is due is still delivered */
	char *url, *include; /* include: JSON array of entities */
	bool sync;	     /* level */
	char *secret;
	char *authorization; /* may be NULL */
	wall_ms created_ms, updated_ms;
};
struct store_hooks {
	struct store_hook *v; /* oldest first */
	int n;
};
void store_hook_clear(struct store_hook *h);
void store_hooks_clear(struct store_hooks *l);
#define store_hook_clear_p  store_hook_clear
#define store_hooks_clear_p store_hooks_clear

struct store_hook_new { /* borrowed; in an update NULL, and level -1, is as it was */
	const char *url, *include, *secret;
	const char *authorization; /* "" = none */
	int sync;
};
/* INVALID_PARAMS when the app has LIM_HOOKS_PER_APP. */
int store_hook_create(struct tx *tx, const char *app_id, const struct store_hook_new *in,
		      struct store_hook *out, struct err *err);
/* These: NOT_FOUND (resource "app_webhook"). app_id NULL = of any, in these two. */
int store_hook_get(struct tx *tx, const char *app_id, const char *id, struct store_hook *out,
		   struct err *err);
int store_hooks_list(struct tx *tx, const char *app_id, struct store_hooks *out, struct err *err);
int store_hook_update(struct tx *tx, const char *app_id, const char *id,
		      const struct store_hook_new *in, struct store_hook *out, struct err *err);
int store_hook_delete(struct tx *tx, const char *id, struct err *err); /* with its deliveries */
/* Whether the app has a webhook for it. */
int store_hook_wanted(struct tx *tx, const char *app_id, const char *entity, bool *out,
		      struct err *err);
/* Whether any app has one for either. */
int store_hook_anywhere(struct tx *tx, const char *entity, const char *or_entity, bool *out,
			struct err *err);

struct store_event {
	int64_t seq;
	char id[37];
	char *include, *action;
	char *payload; /* JSON object */
	wall_ms created_ms;
};
struct store_events {
	struct store_event *v;
	int n;
};
void store_event_clear(struct store_event *e);
void store_events_clear(struct store_events *l);
#define store_event_clear_p  store_event_clear
#define store_events_clear_p store_events_clear

/* Adds the event and a delivery to each of the app's webhooks that want it, due at once; the app's
 * oldest events beyond LIM_HOOK_EVENTS go. */
int store_event_add(struct tx *tx, const char *app_id, const char *entity, const char *action,
		    const char *payload, struct err *err);
/* NOT_FOUND (resource "app_webhook_event"). */
int store_event_get(struct tx *tx, const char *app_id, const char *id, struct store_event *out,
		    struct err *err);
int store_events_list(struct tx *tx, const char *app_id, struct store_events *out, struct err *err);

struct store_delivery {
	int64_t seq;
	char id[37], hook_id[37], event_id[37];
	char *include;
	bool sync;
	char status[12]; /* pending, retrying, failed, succeeded */
	int attempts;
	wall_ms next_ms;  /* 0 = no further attempt */
	char last_id[37]; /* "" = none yet */
	char last_status[12];
	int last_code;	  /* 0 = no answer */
	char *last_error; /* class; may be NULL */
	wall_ms last_ms, last_done_ms;
	wall_ms created_ms, updated_ms;
};
struct store_deliveries {
	struct store_delivery *v;
	int n;
};
void store_delivery_clear(struct store_delivery *d);
void store_deliveries_clear(struct store_deliveries *l);
#define store_delivery_clear_p	 store_delivery_clear
#define store_deliveries_clear_p store_deliveries_clear

/* status NULL = any. Newest first, LIM_HOOK_EVENTS at most. */
int store_deliveries_list(struct tx *tx, const char *app_id, const char *status,
			  struct store_deliveries *out, struct err *err);
/* NOT_FOUND (resource "app_webhook_delivery"). */
int store_delivery_get(struct tx *tx, const char *app_id, const char *id,
		       struct store_delivery *out, struct err *err);
/* Due now, whatever became of it. */
int store_delivery_again(struct tx *tx, const char *id, struct err *err);
/* Webhooks that have something due, as char[37]. */
int store_hooks_due(struct tx *tx, wall_ms now, struct buf *ids, struct err *err);
/* Of one: the next after this seq, oldest first. */
int store_deliveries_due(struct tx *tx, const char *hook_id, wall_ms now, int64_t after, int limit,
			 struct store_deliveries *out, struct err *err);
int store_event_of(struct tx *tx, const char *event_id, struct store_event *out, struct err *err);
/* When the next one is due after now; 0 = none. */
int store_delivery_next(struct tx *tx, wall_ms now, wall_ms *out, struct err *err);
/* An attempt was made. Nothing when the delivery is gone. */
int store_delivery_tried(struct tx *tx, const struct store_delivery *d, struct err *err);
/* Events before this one, deliveries with them; webhooks of apps that are gone and have none. */
int store_hooks_prune(struct tx *tx, wall_ms before, struct err *err);

#endif
