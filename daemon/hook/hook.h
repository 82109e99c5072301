/* hook.h - webhooks: changes are noted in the transaction that makes them, and told to whoever
 * asked (docs/internals/hook.md; Dev Center: App Webhooks). One set of hooks a process: the
 * functions that note do nothing before hooks_start and after hooks_stop. */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H

#include "daemon/out/out.h"
#include "daemon/store/store.h"

#include <jansson.h>

enum hook_action { HOOK_CREATE, HOOK_UPDATE, HOOK_DESTROY };

/* Entities that webhooks can include; ends with NULL. */
extern const char *const hook_entities[];
bool hook_entity_known(const char *entity);

/*
 * Notes a change. Costs one look-up when no webhook of the app wants it.
 *
 * tx      the transaction of the change: after it, but before a deletion, as the resource is
 *         rendered here; what it was before an update comes from the last committed state
 * actor   id or address of who did it; NULL: the resource's own user, else the app's owner
 * id      of the resource
 * Thread: the store's writer.
 */
int hook_event(struct tx *tx, const char *app_id, const char *entity, enum hook_action action,
	       const char *actor, const char *id, struct err *err);
/* The same for what has no row; takes data, and previous (NULL = none). Any thread; never blocks;
 * what paasd has not committed when it dies is not told. */
void hook_later(const char *app_id, const char *entity, enum hook_action action, json_t *data,
		json_t *previous);
bool hook_later_wanted(void); /* whether any app has a webhook for dynos */

/* A resource as the API has it, or NULL when it is not there. Inside a transaction. */
typedef json_t *hook_render_fn(struct tx *tx, const char *app_id, const char *entity,
			       const char *id, void *arg);

struct hooks;
/* Takes up what is due; blocking. */
int hooks_start(struct out *o, struct store *st, struct hooks **out, struct err *err);
/* Once, before anything is noted. */
void hooks_render(struct hooks *h, hook_render_fn *fn, void *arg);
/* Webhooks or deliveries were changed by hand. Any thread but a loop. */
void hooks_changed(struct hooks *h);
/* Attempts under way are cut off, and made again at the next start. Before out_stop and
 * store_close. */
void hooks_stop(struct hooks *h);
void hooks_free(struct hooks *h); /* after out_stop; NULL is fine */

/* base64(HMAC-SHA256(secret, body)) */
void hook_sign(const char *secret, const void *body, size_t n, struct buf *out);

#endif
