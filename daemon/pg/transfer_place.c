/* Databases of the engine: those of the add-ons. */
#include "daemon/pg/transfer.h"

#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

#define CALL_MS 120000

static int place_url(void *arg, const char *addon_id, char **url, struct err *err)
{
	AUTO(json_decref) json_t *config = NULL;
	const char *text;

	if (addon_config(arg, addon_id, NULL, &config, err) < 0)
		return -1;
	text = json_string_value(json_object_get(config, "URL"));
	if (!text)
		return err_set(err, ERR_UNAVAILABLE, "The database is not provisioned yet.");
	*url = xstrdup(text);
	return 0;
}

/* The add-on's URL with another database: the part after the last '/' before any '?'. */
static int replace_database(void *arg, const char *addon_id, const char *database, char **url,
			    struct err *err)
{
	AUTO(auto_str) char *own = NULL;
	const char *query, *slash;

	if (place_url(arg, addon_id, &own, err) < 0)
		return -1;
	query = strchr(own, '?');
	query = query ? query : own + strlen(own);
	for (slash = query; slash > own && *slash != '/'; slash--)
		;
	*url = xasprintf("%.*s/%s%s", (int)(slash - own), own, database, query);
	explicit_bzero(own, strlen(own));
	return 0;
}

static int place_scratch(void *arg, const char *addon_id, enum pg_scratch what, const char *name,
			 char **url, struct err *err)
{
	static const char *const actions[] = {[PG_SCRATCH_CREATE] = "create",
					      [PG_SCRATCH_DROP] = "drop",
					      [PG_SCRATCH_SWAP] = "swap"};
	AUTO(json_decref)
	json_t *in = json_pack("{s:s, s:s}", "action", actions[what], "name", name);
	AUTO(json_decref) json_t *out = NULL;
	const char *database;

	if (addon_call(arg, addon_id, "scratch", in, CALL_MS, &out, err) < 0)
		return -1;
	if (what == PG_SCRATCH_SWAP && !json_is_true(json_object_get(out, "swapped")))
		return err_not_found(err, "scratch database");
	if (what != PG_SCRATCH_CREATE)
		return 0;
	database = json_string_value(json_object_get(out, "database"));
	if (!database)
		return err_set(err, ERR_INTERNAL, "the provider named no scratch database");
	return replace_database(arg, addon_id, database, url, err);
}

static const json_t *place_limits(void *arg, const struct store_addon *a)
{
	AUTO(auto_str) char *name = xasprintf("%s:%s", a->service, a->plan);
	const struct addon_service *s = NULL;
	const struct addon_plan *p = NULL;
	struct err none = {0};

	return addon_plan_find(arg, name, &s, &p, &none) < 0 ? NULL : p->limits;
}

struct pg_place pg_place_of_addons(struct addons *a)
{
	return (struct pg_place){a, place_url, place_scratch, place_limits};
}
