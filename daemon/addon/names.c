#include "daemon/addon/names.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"

#include <ctype.h>
#include <stdio.h>

static const char *const moods[] = {
	"amiable",     "angular",   "asymmetric",  "calm",	"clean",     "clear",
	"concave",     "contoured", "cubed",	   "curved",	"defined",   "deep",
	"elliptical",  "fitted",    "flat",	   "gentle",	"globular",  "graceful",
	"horizontal",  "level",	    "metric",	   "octagonal", "opaque",    "parallel",
	"plain",       "polished",  "regular",	   "rigid",	"round",     "shallow",
	"shaped",      "silent",    "sinuous",	   "solid",	"spherical", "steady",
	"symmetrical", "tapered",   "trapezoidal", "vertical"};

static const char *const colours[] = {
	"AMBER",   "AQUA", "BLACK",  "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER",
	"CRIMSON", "CYAN", "GOLD",   "GRAY", "GREEN",  "IVORY", "JADE",	    "LIME",   "MAROON",
	"MAUVE",   "NAVY", "OLIVE",  "ONYX", "ORANGE", "PEACH", "PINK",	    "PUCE",   "PURPLE",
	"RED",	   "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE", "YELLOW"};

bool name_starts_with_letter(const char *s)
{
	return isalpha((unsigned char)*s) != 0;
}

void name_addon(const char *service, char out[80])
{
	const char *shorter = strncmp(service, "heroku-", 7) == 0 ? service + 7 : service;

	snprintf(out, 80, "%s-%s-%05u", shorter, moods[random_below(ARRAY_LEN(moods))],
		 10000 + random_below(90000));
}

/* --- attachments --- */

struct choosing {
	struct name_choice *c;
	struct store_attachments list;
	json_t *config;		      /* of the app; owned */
	struct store_addon_vars vars; /* of its attachments */
	char app_name[32];
};

static void choosing_clear(struct choosing *k)
{
	store_attachments_clear(&k->list);
	store_addon_vars_clear(&k->vars);
	json_decref(k->config);
}
#define choosing_clear_p choosing_clear

static int read_state(struct tx *tx, void *arg, struct err *err)
{
	struct choosing *k = arg;
	AUTO(store_app_clear) struct store_app app = {0};

	if (store_app_get(tx, k->c->app_id, &app, err) < 0 ||
	    store_attachments_list(tx, app.id, NULL, &k->list, err) < 0 ||
	    store_app_config(tx, app.id, &k->config, err) < 0)
		return -1;
	snprintf(k->app_name, sizeof k->app_name, "%s", app.name);
	return store_addon_vars(tx, app.id, &k->vars, err);
}

static const struct store_attachment *named(const struct choosing *k, const char *name)
{
	for (int i = 0; i < k->list.n; i++)
		if (strcmp(k->list.v[i].name, name) == 0)
			return &k->list.v[i];
	return NULL;
}

/* A config var that the name would give and that is there already, but for those of the attachment
 * of that name; owned, or NULL. */
static char *var_in_the_way(const struct choosing *k, const char *name)
{
	const struct store_attachment *same = named(k, name);

	for (int i = 0; k->c->service->vars[i]; i++) {
		AUTO(auto_str) char *var = store_addon_var(name, k->c->service->vars[i]);
		const char *owner = json_string_value(json_object_get(k->vars.owners, var));

		if (owner ? !same || strcmp(owner, same->addon_name) != 0
			  : json_object_get(k->config, var) != NULL)
			return STEAL(var);
	}
	return NULL;
}

static bool is_free(const struct choosing *k, const char *name)
{
	AUTO(auto_str) char *var = var_in_the_way(k, name);

	return !named(k, name) && !var;
}

/* HEROKU_POSTGRESQL_AMBER */
static char *coloured(const struct choosing *k)
{
	AUTO(auto_str) char *base = xstrdup(k->c->service->name);
	uint32_t start = random_below(ARRAY_LEN(colours));

	for (char *p = base; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	for (uint32_t i = 0; i < ARRAY_LEN(colours) * 100; i++) {
		const char *colour = colours[(start + i) % ARRAY_LEN(colours)];
		uint32_t round = i / (uint32_t)ARRAY_LEN(colours);
		char *name = round ? xasprintf("%s_%s%u", base, colour, round + 1)
				   : xasprintf("%s_%s", base, colour);

		if (is_free(k, name))
			return name;
		free(name);
	}
	return NULL; /* an app has fewer attachments than that */
}

struct last {
	const struct store_attachment *t;
	bool last;
};

static int read_last(struct tx *tx, void *arg, struct err *err)
{
	struct last *l = arg;
	AUTO(store_attachments_clear) struct store_attachments list = {0};

	if (store_attachments_list(tx, l->t->app_id, l->t->addon_id, &list, err) < 0)
		return -1;
	l->last = list.n == 1 && strcmp(l->t->app_id, l->t->addon_app_id) == 0;
	return 0;
}

int name_check_last(struct addons *a, const struct store_attachment *t, struct err *err)
{
	struct last l = {t, false};

	if (store_read(a->d.store, read_last, &l, err) < 0)
		return -1;
	if (!l.last)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS,
		       "Cannot destroy last attachment to billing app %s: give %s another name "
		       "first (addons:attach --as), or destroy it.",
		       t->app_name, t->addon_name);
}

static int take_wanted(struct addons *a, const struct choosing *k, const char *name,
		       struct err *err)
{
	const struct store_attachment *same = named(k, name);
	AUTO(auto_str) char *var = var_in_the_way(k, name);

	if (!addon_name_is_attachment(name))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Attachment name %.60s is no good: upper case letters, digits and "
			       "underscores, a letter first, at most 60.",
			       name);
	if (var)
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s is set already: unset that config var first, or choose another "
			       "name.",
			       var);
	if (!same)
		return 0;
	if (k->c->addon_id && strcmp(same->addon_id, k->c->addon_id) == 0 && !same->namespace)
		return err_set(err, ERR_INVALID_PARAMS, "%s is attached to %s as %s already.",
			       same->addon_name, k->app_name, name);
	if (!k->c->confirmed)
		return err_set(err, ERR_CONFIRMATION,
			       "Adding %s to app %s would overwrite existing attachment "
			       "%s of %s. To confirm, repeat with confirm set to %s.",
			       name, k->app_name, name, same->addon_name, k->app_name);
	if (name_check_last(a, same, err) < 0)
		return -1;
	snprintf(k->c->replaced_id, sizeof k->c->replaced_id, "%s", same->id);
	return 0;
}

int name_choose(struct addons *a, struct name_choice *c, struct err *err)
{
	AUTO(choosing_clear) struct choosing k = {.c = c};
	AUTO(auto_str) char *upper = NULL;

	if (store_read(a->d.store, read_state, &k, err) < 0)
		return -1;
	if (k.list.n >= LIM_ATTACHMENTS)
		return err_set(err, ERR_INVALID_PARAMS, "An app has at most %d attachments.",
			       LIM_ATTACHMENTS);
	if (!c->wanted) {
		c->name = c->usual && is_free(&k, c->service->prefix) ? xstrdup(c->service->prefix)
								      : coloured(&k);
		return 0;
	}
	upper = xstrdup(c->wanted);
	for (char *p = upper; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	if (take_wanted(a, &k, upper, err) < 0)
		return -1;
	c->name = STEAL(upper);
	return 0;
}
