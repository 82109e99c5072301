/* Telling: what is due is read from the store, posted, and its outcome written. A delivery that is
 * under way when paasd dies is still due at the next start. */
#include "daemon/core/xlog.h"
#include "daemon/hook/hook_int.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE	   32 /* POSTs */
#define OF_ONE	   4  /* of them to one webhook: a slow one does not hold up the rest */
#define PRUNE_MS   (60 * 60 * 1000)
#define MAX_GAP_MS (4 * 3600 * 1000LL)

void attempt_free(struct attempt *a)
{
	store_delivery_clear(&a->d);
	store_hook_clear(&a->hook);
	store_event_clear(&a->event);
	free(a);
}

/* --- looking --- */

struct look {
	struct hooks *h;
	struct buf busy; /* of the deliveries under way: char[37] id, char[37] webhook */
	int room;
	struct attempt *found, **last;
	wall_ms next;
};

static int busy_with(const struct look *k, const char *id, bool hook)
{
	int n = 0;

	for (size_t at = hook ? 37 : 0; at < k->busy.len; at += 74)
		n += strcmp(k->busy.data + at, id) == 0;
	return n;
}

static void found_clear(struct look *k)
{
	while (k->found) {
		struct attempt *a = k->found;

		k->found = a->next;
		attempt_free(a);
	}
	k->last = &k->found;
}

static int take(struct tx *tx, struct look *k, struct store_delivery *d, struct err *err)
{
	struct attempt *a = xcalloc(1, sizeof *a);

	a->h = k->h;
	if (store_hook_get(tx, NULL, d->hook_id, &a->hook, err) < 0 ||
	    store_event_of(tx, d->event_id, &a->event, err) < 0) {
		attempt_free(a);
		return -1;
	}
	a->d = *d;
	*d = (struct store_delivery){0};
	uuid_new(a->id);
	*k->last = a;
	k->last = &a->next;
	k->room--;
	return 0;
}

static int take_of(struct tx *tx, struct look *k, const char *hook_id, wall_ms now, struct err *err)
{
	AUTO(store_deliveries_clear) struct store_deliveries l = {0};
	int room = OF_ONE - busy_with(k, hook_id, true);

	if (room <= 0)
		return 0;
	if (store_deliveries_due(tx, hook_id, now, 0, OF_ONE * 2, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n && room > 0 && k->room > 0; i++) {
		if (busy_with(k, l.v[i].id, false))
			continue;
		if (take(tx, k, &l.v[i], err) < 0)
			return -1;
		room--;
	}
	return 0;
}

static int read_due(struct tx *tx, void *arg, struct err *err)
{
	struct look *k = arg;
	AUTO(buf_clear) struct buf ids = {0};
	wall_ms now = clock_wall_ms();

	/* The writer may run this again. */
	found_clear(k);
	if (store_hooks_due(tx, now, &ids, err) < 0 ||
	    store_delivery_next(tx, now, &k->next, err) < 0)
		return -1;
	for (size_t at = 0; at < ids.len && k->room > 0; at += 37)
		if (take_of(tx, k, ids.data + at, now, err) < 0)
			return -1;
	return 0;
}

static void start(struct attempt *a);

static void on_timer(void *arg)
{
	struct hooks *h = arg;

	h->timer = NULL;
	hook_look(h);
}

static void looked(void *arg, const struct err *err)
{
	struct look *k = arg;
	struct hooks *h = k->h;
	wall_ms now = clock_wall_ms(), wait = k->next ? k->next - now : 0;
	bool again = h->look_again;

	h->looking = h->look_again = false;
	if (err->status)
		xlog_err(XLOG_ERROR, "hook", err, "msg=\"deliveries cannot be read\"");
	while (k->found && !h->stopping && !err->status) {
		struct attempt *a = k->found;

		k->found = a->next;
		a->next = h->under_way;
		h->under_way = a;
		start(a);
	}
	found_clear(k);
	if (err->status)
		wait = 10000;
	if (!h->stopping && wait) {
		loop_timer_stop(STEAL(h->timer));
		h->timer = loop_timer_start(
			out_loop(h->o), wait < 0 ? 0 : (uint64_t)(wait < 3600000 ? wait : 3600000),
			on_timer, h);
	}
	buf_clear(&k->busy);
	free(k);
	if (again && !h->stopping)
		hook_look(h);
	hook_pending(h, -1);
}

void hook_look(void *arg)
{
	struct hooks *h = arg;
	struct look *k;

	if (h->stopping)
		return;
	if (h->looking) {
		h->look_again = true;
		return;
	}
	h->looking = true;
	k = xcalloc(1, sizeof *k);
	k->h = h;
	k->last = &k->found;
	k->room = AT_ONCE;
	for (struct attempt *a = h->under_way; a; a = a->next) {
		buf_add(&k->busy, a->d.id, 37);
		buf_add(&k->busy, a->d.hook_id, 37);
		k->room--;
	}
	hook_pending(h, 1);
	store_tx_async(h->st, read_due, k, out_loop(h->o), looked);
}

/* --- an attempt --- */

static json_t *time_text(wall_ms t)
{
	char iso[CLOCK_ISO_LEN];

	clock_iso(t, iso);
	return json_string(iso);
}

static char *body_of(const struct attempt *a)
{
	AUTO(json_decref) json_t *j = json_loads(a->event.payload, 0, NULL);
	AUTO(json_decref)
	json_t *more =
		json_pack("{s:s, s:o, s:o, s:o, s:n, s:{s:{s:s}, s:{s:s}, s:{s:s, s:s}, s:{s:s}}}",
			  "id", a->event.id, "created_at", time_text(a->event.created_ms),
			  "updated_at", time_text(a->event.created_ms), "published_at",
			  time_text(clock_wall_ms()), "sequence", "webhook_metadata", "attempt",
			  "id", a->id, "delivery", "id", a->d.id, "event", "id", a->event.id,
			  "include", a->event.include, "webhook", "id", a->hook.id);

	if (!j)
		return xstrdup("{}");
	json_object_update(j, more);
	return json_dumps(j, JSON_COMPACT);
}

static void written(void *arg, const struct err *err)
{
	struct attempt *a = arg;
	struct hooks *h = a->h;

	if (err->status)
		xlog_err(XLOG_ERROR, "hook", err, "msg=\"outcome not written\" delivery=%s",
			 a->d.id);
	for (struct attempt **p = &h->under_way; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			break;
		}
	attempt_free(a);
	/* What could not be written is still due; not at once, if the disk is full. */
	if (!err->status)
		hook_look(h);
	hook_pending(h, -1);
}

static int write_outcome(struct tx *tx, void *arg, struct err *err)
{
	struct attempt *a = arg;

	return store_delivery_tried(tx, &a->d, err);
}

/* After n attempts: 1 s, 4 s, 16 s ... 4 h; 16 of them take a day and a half. */
static wall_ms gap(int n, int retry_after_s)
{
	wall_ms ms = 1000;

	for (int i = 1; i < n && ms < MAX_GAP_MS; i++)
		ms *= 4;
	ms = ms < MAX_GAP_MS ? ms : MAX_GAP_MS;
	ms += random_below((uint32_t)(ms / 4));
	return ms > retry_after_s * 1000LL ? ms : retry_after_s * 1000LL;
}

static void on_answer(const struct out_answer *r, void *arg)
{
	struct attempt *a = arg;
	struct store_delivery *d = &a->d;
	bool ok = r->status >= 200 && r->status < 300;
	/* 410: nobody wants it any more. */
	bool more = !ok && d->sync && d->attempts + 1 < LIM_HOOK_TRIES && r->status != 410;

	a->call = NULL;
	d->attempts++;
	d->last_done_ms = clock_wall_ms();
	d->next_ms = more ? d->last_done_ms + gap(d->attempts, r->retry_after_s) : 0;
	snprintf(d->status, sizeof d->status, "%s",
		 ok	? "succeeded"
		 : more ? "retrying"
			: "failed");
	snprintf(d->last_status, sizeof d->last_status, "%s", ok ? "succeeded" : "failed");
	memcpy(d->last_id, a->id, sizeof d->last_id);
	d->last_code = r->status;
	free(d->last_error);
	d->last_error = r->status ? NULL : xstrdup(out_fault_name(r->fault));
	hook_pending(a->h, 1);
	store_tx_async(a->h->st, write_outcome, a, out_loop(a->h->o), written);
}

static void start(struct attempt *a)
{
	AUTO(auto_str) char *body = body_of(a);
	AUTO(auto_str) char *auth = NULL;
	AUTO(buf_clear) struct buf sign = {0};
	const char *headers[] = {"Content-Type: application/json",
				 "User-Agent: paasd-webhooks/" PAASD_VERSION, NULL, NULL, NULL};
	struct out_request r = {.url = a->hook.url,
				.headers = headers,
				.body = body,
				.len = strlen(body),
				.timeout_ms = LIM_HOOK_POST_MS};

	buf_adds(&sign, "Heroku-Webhook-Hmac-SHA256: ");
	hook_sign(a->hook.secret ? a->hook.secret : "", body, strlen(body), &sign);
	headers[2] = buf_str(&sign);
	if (a->hook.authorization)
		headers[3] = auth = xasprintf("Authorization: %s", a->hook.authorization);
	a->d.last_ms = clock_wall_ms();
	a->call = out_post(a->h->o, &r, on_answer, a);
	if (auth)
		explicit_bzero(auth, strlen(auth));
}

/* --- housekeeping --- */

static int write_prune(struct tx *tx, void *arg, struct err *err)
{
	return store_hooks_prune(tx, clock_wall_ms() - LIM_HOOK_KEEP_MS, err);
}

static void on_prune(void *arg)
{
	struct hooks *h = arg;

	h->pruning = NULL;
	hook_prune(h);
}

static void pruned(void *arg, const struct err *err)
{
	struct hooks *h = arg;

	if (err->status)
		xlog_err(XLOG_WARN, "hook", err, "msg=\"old events stay\"");
	if (!h->stopping)
		h->pruning = loop_timer_start(out_loop(h->o), PRUNE_MS, on_prune, h);
	hook_pending(h, -1);
}

void hook_prune(void *arg)
{
	struct hooks *h = arg;

	if (h->stopping)
		return;
	hook_pending(h, 1);
	store_tx_async(h->st, write_prune, h, out_loop(h->o), pruned);
}
