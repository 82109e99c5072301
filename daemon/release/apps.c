/* What the control loop knows of each app, and the routes made of it. Loop thread. */
#include "daemon/release/release_int.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct rapp *rapp_get(struct releases *r, const char *app_id, bool make)
{
	struct rapp *a;

	ASSERT_ON(r->l);
	for (a = r->apps; a; a = a->next)
		if (strcmp(a->id, app_id) == 0)
			return a;
	if (!make)
		return NULL;
	a = xcalloc(1, sizeof *a);
	a->r = r;
	snprintf(a->id, sizeof a->id, "%s", app_id);
	a->next = r->apps;
	r->apps = a;
	return a;
}

void rapp_set_release(struct rapp *a, struct dyno_release *rel)
{
	if (rel)
		dyno_release_ref(rel);
	dyno_release_unref(a->rel);
	a->rel = rel;
}

/* One whose release command has passed, or that has none and will not be held up by another's. */
static bool is_on_its_way(const struct dep *d)
{
	if (d->canceled || d->err.status)
		return false;
	return d->sm.state == D_CUTOVER || (d->sm.state == D_QUEUED && !d->plan.command);
}

struct dyno_release *rapp_newest(struct rapp *a)
{
	struct dyno_release *newest = a->rel;

	pthread_mutex_lock(&a->r->lock);
	for (const struct dep *d = a->r->deps; d; d = d->next) {
		if (strcmp(d->plan.app_id, a->id) != 0 || d->sm.state == D_LIVE)
			continue;
		if (!is_on_its_way(d))
			break;
		newest = d->rel;
	}
	pthread_mutex_unlock(&a->r->lock);
	return newest;
}

void rapp_set_hosts(struct rapp *a, char **hosts)
{
	rows_hosts_free(a->hosts);
	a->hosts = hosts;
}

void rapp_free(struct rapp *a)
{
	loop_timer_stop(a->look);
	dyno_release_unref(a->rel);
	rows_hosts_free(a->hosts);
	free(a);
}

static enum route_state state_of(struct releases *r, const struct rapp *a, int up)
{
	static const enum route_state of_web[] = {
		[WEB_UP] = ROUTE_SERVING,      [WEB_BOOTING] = ROUTE_BOOTING,
		[WEB_CRASHED] = ROUTE_CRASHED, [WEB_NONE] = ROUTE_NO_WEB,
		[WEB_ASLEEP] = ROUTE_ASLEEP,
	};
	enum dyno_web w;

	if (a->maintenance)
		return ROUTE_MAINTENANCE;
	if (up)
		return ROUTE_SERVING;
	w = dynos_web_state(r->dy, a->id);
	if (w == WEB_NONE && !a->rel)
		return a->failed_first ? ROUTE_CRASHED : ROUTE_BLANK;
	return of_web[w];
}

/* NAME.<apps domain> and the custom ones. free() the list only. */
static const char **all_hosts(const struct rapp *a, const char *own)
{
	size_t n = 0;
	const char **list;

	while (a->hosts && a->hosts[n])
		n++;
	list = xcalloc(n + 2, sizeof *list);
	list[0] = own;
	for (size_t i = 0; i < n; i++)
		list[i + 1] = a->hosts[i];
	return list;
}

/* A URL that the app has for its visitors in a config var, or NULL: what is no http(s) URL of plain
 * characters is as not set. */
static const char *page_of(const struct rapp *a, const char *name)
{
	size_t n = strlen(name);
	const char *url = NULL;

	for (char **e = a->rel ? a->rel->env : NULL; e && *e && !url; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			url = *e + n + 1;
	if (!url || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) ||
	    strlen(url) > LIM_PAGE_URL)
		return NULL;
	for (const char *p = url; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return NULL;
	return url;
}

void rapp_publish(struct releases *r, struct rapp *a, void (*done)(void *arg), void *arg)
{
	AUTO(auto_str) char *host = xasprintf("%s.%s", a->name, r->cfg->apps_domain);
	const char **hosts = all_hosts(a, host);
	struct dyno_info *up = NULL;
	int n = dynos_web_up(r->dy, a->id, &up);
	AUTO(auto_str) char *mem = xcalloc((size_t)n, sizeof(struct route_dyno));
	struct route_dyno *dynos = (void *)mem;
	struct route_app ra = {.app_id = a->id, .name = a->name, .hosts = hosts};

	for (int i = 0; i < n; i++)
		dynos[i] = (struct route_dyno){up[i].id, up[i].name, up[i].ip, up[i].port};
	ra.dynos = dynos;
	ra.ndynos = n;
	ra.state = state_of(r, a, n);
	ra.error_page = page_of(a, "ERROR_PAGE_URL");
	ra.maintenance_page = page_of(a, "MAINTENANCE_PAGE_URL");
	routes_set(r->ro, &ra, done, arg);
	sleep_follow(a);
	dyno_infos_free(up, n);
	free(hosts);
}

void apps_publish_op(const char *app_id, void (*done)(void *done_arg), void *done_arg, void *arg)
{
	struct releases *r = arg;
	struct rapp *a = rapp_get(r, app_id, false);

	if (a)
		rapp_publish(r, a, done, done_arg);
	else if (done)
		done(done_arg);
}

void apps_drain_op(const char *dyno_id, void (*done)(void *done_arg), void *done_arg, void *arg)
{
	struct releases *r = arg;

	/* Longer than the router's own limit for the first byte: what is in flight ends one way or
	 * another. */
	routes_drain(r->ro, dyno_id, (uint64_t)r->cfg->stop_timeout_s * 1000, done, done_arg);
}

void apps_free(struct releases *r)
{
	while (r->apps) {
		struct rapp *a = r->apps;

		r->apps = a->next;
		rapp_free(a);
	}
}

/* --- webhooks of dynos, which have no row --- */

static json_t *iso(wall_ms t)
{
	char text[CLOCK_ISO_LEN];

	clock_iso(t, text);
	return json_string(text);
}

static const char *state_name(enum dyno_state s)
{
	static const char *const names[] = {
		[DYNO_STARTING] = "starting", [DYNO_UP] = "up",	    [DYNO_STOPPING] = "down",
		[DYNO_CRASHED] = "crashed",   [DYNO_DOWN] = "down", [DYNO_IDLE] = "idle",
	};

	return names[s];
}

/* As the API has it. */
static json_t *dyno_json(const struct dyno_info *i, const char *app_name)
{
	return json_pack("{s:n, s:s*, s:o, s:s, s:s, s:{s:s, s:i}, s:{s:s, s:s}, s:s, s:s, s:s, "
			 "s:o}",
			 "attach_url", "command", i->command, "created_at", iso(i->created_ms),
			 "id", i->id, "name", i->name, "release", "id", i->release_id, "version",
			 i->release_version, "app", "id", i->app_id, "name", app_name, "size",
			 i->size, "state", state_name(i->state), "type", i->type, "updated_at",
			 iso(i->state_ms));
}

void apps_changed_op(const struct dyno_info *i, enum dyno_state was, void *arg)
{
	struct rapp *a = rapp_get(arg, i->app_id, false);
	enum hook_action action = i->state == DYNO_DOWN ? HOOK_DESTROY : HOOK_UPDATE;
	json_t *data;

	if (!a || !hook_later_wanted() || !(data = dyno_json(i, a->name)))
		return;
	hook_later(i->app_id, "api:dyno", action, json_deep_copy(data),
		   json_pack("{s:s}", "state", state_name(was)));
	hook_later(i->app_id, "dyno", action, data, json_pack("{s:s}", "state", state_name(was)));
}
