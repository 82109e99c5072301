/* The data API of Redis: information, settings, credentials. */
#include "daemon/api/data_redis.h"
#include "daemon/api/data_pg.h"
#include "daemon/pg/tunnel.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "heroku-redis"
/* Heroku's clients want TLS of every other plan; here connections are within the host, or in the
 * platform's own tunnel. */
#define PLAN "hobby"

static int find_ready(struct api_req *q, enum api_need need, bool any, struct store_addon *out,
		      struct err *err)
{
	return api_data_ready(q, SERVICE, need, any, out, err);
}

/* --- information --- */

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

static char *memory_text(const json_t *info)
{
	double is = (double)number(info, "bytes"), may = (double)number(info, "limit_bytes");

	return xasprintf("%.2f MB / %.0f MB (%.2f%%)", is / 1048576, may / 1048576,
			 may > 0 ? 100 * is / may : 0);
}

static char *hit_rate(const json_t *info)
{
	double hits = (double)number(info, "hits"), all = hits + (double)number(info, "misses");

	return all > 0 ? xasprintf("%.2f%%", 100 * hits / all) : xstrdup("None yet");
}

/* What people read, in this order. */
static json_t *info_rows(const struct store_addon *a, const json_t *info)
{
	const json_t *s = json_object_get(info, "settings");
	const char *notify = text(s, "notify_keyspace_events");
	json_auto_t *created = json_time(a->created_ms);
	json_t *list = json_array();

	api_data_row(list, "Plan", xstrdup(a->plan));
	api_data_row(list, "Status", xstrdup(info ? "available" : "unavailable"));
	api_data_row(list, "Created", xstrdup(json_string_value(created)));
	if (!info)
		return list;
	api_data_row(list, "Version", xstrdup(text(info, "version")));
	api_data_row(list, "Memory", memory_text(info));
	api_data_row(list, "Keys", xasprintf("%lld", (long long)number(info, "keys")));
	api_data_row(list, "Hit Rate", hit_rate(info));
	api_data_row(list, "Evicted Keys", xasprintf("%lld", (long long)number(info, "evicted")));
	api_data_row(list, "Connections",
		     xasprintf("%lld/%lld", (long long)number(info, "connections"),
			       (long long)number(info, "connection_limit")));
	api_data_row(list, "Timeout", xasprintf("%lld", (long long)number(s, "timeout")));
	api_data_row(list, "Maxmemory Policy", xstrdup(text(s, "maxmemory_policy")));
	api_data_row(list, "Keyspace Notifications", xstrdup(*notify ? notify : "Disabled"));
	api_data_row(list, "Persistence", xstrdup("AOF"));
	return list;
}

static int url_of(struct api_req *q, const struct store_addon *a, char **out, struct err *err)
{
	json_auto_t *config = NULL;
	const char *url;

	if (addon_config(q->d->addons, a->id, NULL, &config, err) < 0)
		return -1;
	url = json_string_value(json_object_get(config, "URL"));
	if (!url)
		return err_set(err, ERR_UNAVAILABLE, "%s has no URL yet.", a->name);
	*out = xstrdup(url);
	return 0;
}

/* redis://:password@host:port, as the provider writes it. host is owned. */
static int place_of(struct api_req *q, const struct store_addon *a, char **host, int *port,
		    struct err *err)
{
	AUTO(auto_str) char *url = NULL;
	const char *at, *colon;

	if (url_of(q, a, &url, err) < 0)
		return -1;
	at = strrchr(url, '@');
	colon = at ? strchr(at, ':') : NULL;
	if (!colon || sscanf(colon, ":%5d", port) != 1)
		return err_set(err, ERR_CORRUPT, "the URL of %s is damaged", a->name);
	*host = xstrndup(at + 1, (size_t)(colon - at - 1));
	return 0;
}

int api_redis_info(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(auto_str) char *url = NULL;
	AUTO(auto_str) char *host = NULL;
	json_auto_t *info = NULL;
	struct err e = {0};
	int port = 0;

	if (find_ready(q, NEED_VIEW, true, &a, err) < 0 || url_of(q, &a, &url, err) < 0 ||
	    place_of(q, &a, &host, &port, err) < 0)
		return -1;
	/* A server that is away is told, not an error. */
	if (api_data_ask(q, &a, "info", NULL, &info, &e) < 0)
		info = NULL;
	return api_ok(q, 200,
		      json_pack("{ss ss ss ss sb sn sn si so so}", "id", a.id, "name", a.name,
				"plan", PLAN, "resource_url", url, "prefer_native_tls", 0,
				"formation", "metaas_source", "port", port, "created_at",
				json_time(a.created_ms), "info", info_rows(&a, info)));
}

int api_redis_wait(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *answer = NULL;
	struct err e = {0};
	const char *message = "available";
	bool waiting = false;

	if (api_data_find(q, SERVICE, NEED_VIEW, true, &a, err) < 0)
		return -1;
	if (a.state == ADDON_PROVISIONING) {
		waiting = true;
		message = a.message && *a.message ? a.message : "preparing";
	} else if (a.state != ADDON_PROVISIONED) {
		return err_set(err, ERR_INVALID_PARAMS, "%s: %s", a.name,
			       a.failure && *a.failure ? a.failure : "it is being removed");
	} else if (api_data_ask(q, &a, "health", NULL, &answer, &e) < 0) {
		waiting = true;
		message = "the server does not answer";
	}
	return api_ok(q, 200, json_pack("{sb ss}", "waiting?", waiting, "message", message));
}

/* --- settings --- */

const struct api_field api_fields_redis_config[] = {
	{"maxmemory_policy", F_LINE, 0, 1, 40, NULL, NULL, "what happens when it is full"},
	{"notify_keyspace_events", F_LINE, 0, 0, 20, NULL, NULL, "letters of AKEg$lshzxetdmn"},
	{"timeout", F_INT, 0, 0, 31536000, NULL, NULL, "seconds; ends idle connections, 0 = never"},
	{0},
};

static int config(struct api_req *q, const json_t *set, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *in = set ? json_pack("{sO}", "set", set) : json_object();
	json_auto_t *out = NULL;
	json_t *all;

	if (find_ready(q, set ? NEED_OPERATE : NEED_VIEW, !set, &a, err) < 0 ||
	    api_data_ask(q, &a, "settings", in, &out, err) < 0)
		return -1;
	if (set)
		api_audit(q, "redis.settings", "%s", a.name);
	all = json_object_get(out, "settings");
	return api_ok(q, 200, json_is_object(all) ? json_incref(all) : json_object());
}

int api_redis_config(struct api_req *q, struct err *err)
{
	return config(q, NULL, err);
}

int api_redis_config_set(struct api_req *q, struct err *err)
{
	return config(q, q->body, err);
}

/* --- changes --- */

const struct api_field api_fields_redis_rotate[] = {
	{"forced", F_BOOL, F_NULL, 0, 0, NULL, NULL, "the old password ends at once"},
	{0},
};

int api_redis_rotate(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	struct addon_actor by = {.user_id = q->user.id, .user_email = q->user.email};
	bool forced = api_get_bool(q->body, "forced", 0) > 0;

	if (find_ready(q, NEED_OPERATE, false, &a, err) < 0 ||
	    addon_rotate(q->d->addons, &by, a.id, NULL, forced, err) < 0)
		return -1;
	api_audit(q, "redis.rotate", "%s%s", a.name, forced ? " forced" : "");
	return api_data_said(q, "%s has a new password.", a.name);
}

int api_redis_stats_reset(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	json_auto_t *out = NULL;

	if (find_ready(q, NEED_OPERATE, true, &a, err) < 0 ||
	    api_data_ask(q, &a, "stats-reset", NULL, &out, err) < 0)
		return -1;
	api_audit(q, "redis.stats-reset", "%s", a.name);
	return api_data_said(q, "The statistics of %s begin again.", a.name);
}

const struct api_field api_fields_redis_upgrade[] = {
	{"version", F_LINE, F_NULL, 1, 20, NULL, NULL, "ignored"},
	{0},
};

int api_redis_upgrade(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};

	if (api_data_find(q, SERVICE, NEED_VIEW, true, &a, err) < 0)
		return -1;
	return err_set(err, ERR_INVALID_PARAMS,
		       "All servers are of the version that the host has: the administrator "
		       "upgrades the package, and restarts them.");
}

int api_redis_tunnel(struct api_req *q, struct err *err)
{
	AUTO(store_addon_clear) struct store_addon a = {0};
	AUTO(auto_str) char *host = NULL;
	int port = 0;

	if (find_ready(q, NEED_OPERATE, true, &a, err) < 0 ||
	    place_of(q, &a, &host, &port, err) < 0)
		return -1;
	api_audit(q, "redis.tunnel", "%s", a.name);
	return pg_tunnel_open(q->d->tunnels, q->x, q->user.id, host, port, err);
}
