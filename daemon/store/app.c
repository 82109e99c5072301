#include "daemon/store/app.h"
#include "daemon/store/row_int.h"

void store_app_clear(struct store_app *a)
{
	free(a->owner_email);
	free(a->stack);
	free(a->build_stack);
	free(a->language);
	*a = (struct store_app){0};
}
ROW_DEFINE_LIST(store_app, store_apps)

static void fill_app(struct stmt *s, void *out)
{
	struct store_app *a = out;
	const char *state = stmt_col_text(s, 8);

	ROW_COPY(s, 0, a->id);
	a->uid = (unsigned)stmt_col_int(s, 1);
	ROW_COPY(s, 2, a->name);
	ROW_COPY(s, 3, a->owner_id);
	a->owner_email = stmt_col_dup(s, 4);
	a->stack = stmt_col_dup(s, 5);
	a->build_stack = stmt_col_dup(s, 6);
	a->maintenance = stmt_col_int(s, 7) != 0;
	a->destroying = state && strcmp(state, "destroying") == 0;
	a->language = stmt_col_dup(s, 9);
	a->repo_size = row_int_or(s, 10, -1);
	a->slug_size = row_int_or(s, 11, -1);
	a->released_ms = stmt_col_int(s, 12);
	a->created_ms = stmt_col_int(s, 13);
	a->updated_ms = stmt_col_int(s, 14);
}

/* Names are unique: what the database says about a second one, said for people. */
static int name_taken(const char *name, const struct err *e, struct err *err)
{
	if (e->code == ERR_CONFLICT)
		return err_set(err, ERR_INVALID_PARAMS, "Name %s is already taken", name);
	if (err)
		*err = *e;
	return -1;
}

static int app_insert(struct tx *tx, const char *id, const char *name, const char *owner_id,
		      const char *stack, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_INSERT);
	struct err e = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, name);
	stmt_text(s, 3, owner_id);
	stmt_text(s, 4, stack);
	stmt_int(s, 5, clock_wall_ms());
	stmt_int(s, 6, STORE_APP_UID_MAX);
	switch (stmt_step(s, &e)) {
	case STMT_ROW:
		return 0;
	case STMT_DONE:
		return err_set(err, ERR_UNAVAILABLE, "There are %d apps; no more can be made.",
			       STORE_APP_UID_MAX + 1);
	default:
		return name_taken(name, &e, err);
	}
}

static int collab_insert(struct tx *tx, const char *id, const char *app_id, const char *user_id,
			 unsigned perms, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_INSERT);
	char text[64];

	store_perms_format(perms, text);
	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, user_id);
	stmt_text(s, 4, text);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_app_create(struct tx *tx, const char *name, const char *owner_id, const char *stack,
		     struct store_app *out, struct err *err)
{
	char id[37], collab[37];

	uuid_new(id);
	uuid_new(collab);
	if (app_insert(tx, id, name, owner_id, stack, err) < 0 ||
	    collab_insert(tx, collab, id, owner_id, STORE_PERMS_COLLABORATOR, err) < 0)
		return -1;
	return store_app_get(tx, id, out, err);
}

static int app_by(struct tx *tx, enum sql_id sql, const char *key, struct store_app *out,
		  struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, key);
	return row_one(s, fill_app, out, sizeof *out, "app", err);
}

int store_app_get(struct tx *tx, const char *id, struct store_app *out, struct err *err)
{
	return app_by(tx, SQL_APP_GET, id, out, err);
}

int store_app_find(struct tx *tx, const char *id_or_name, struct store_app *out, struct err *err)
{
	AUTO(store_app_clear) struct store_app a = {0};
	/* A name is at most 30 long, so it never looks like an id. */
	enum sql_id sql = strlen(id_or_name) == 36 ? SQL_APP_GET : SQL_APP_BY_NAME;

	if (app_by(tx, sql, id_or_name, &a, err) < 0)
		return -1;
	if (a.destroying)
		return err_not_found(err, "app");
	*out = a;
	a = (struct store_app){0};
	return 0;
}

static int is_admin(struct tx *tx, const char *user_id, bool *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_USER_GET);
	enum stmt_result r;

	stmt_text(s, 1, user_id);
	r = stmt_step(s, err);
	*out = r == STMT_ROW && stmt_col_int(s, 4);
	return r == STMT_FAIL ? -1 : 0;
}

int store_apps_visible(struct tx *tx, const char *user_id, struct store_apps *out, struct err *err)
{
	bool admin = false;

	if (is_admin(tx, user_id, &admin, err) < 0)
		return -1;
	AUTO(stmt_done)
	struct stmt *s = stmt_use(tx, admin ? SQL_APP_LIST_LIVE : SQL_APP_LIST_VISIBLE);
	if (!admin)
		stmt_text(s, 1, user_id);
	return store_app_all(s, fill_app, out, err);
}

int store_apps_all(struct tx *tx, struct store_apps *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_LIST_ALL);

	return store_app_all(s, fill_app, out, err);
}

int store_app_rename(struct tx *tx, const char *id, const char *name, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_RENAME);
	struct err e = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, name);
	stmt_int(s, 3, clock_wall_ms());
	if (row_change(tx, s, "app", &e) < 0)
		return name_taken(name, &e, err);
	return 0;
}

int store_app_set_maintenance(struct tx *tx, const char *id, bool on, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_MAINTENANCE);

	stmt_text(s, 1, id);
	stmt_int(s, 2, on);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "app", err);
}

int store_app_set_build_stack(struct tx *tx, const char *id, const char *stack, struct err *err)
{
	return row_set(tx, SQL_APP_SET_BUILD_STACK, id, stack, "app", err);
}

int store_app_set_language(struct tx *tx, const char *id, const char *language, struct err *err)
{
	return row_set(tx, SQL_APP_SET_LANGUAGE, id, language, "app", err);
}

int store_app_set_sizes(struct tx *tx, const char *id, int64_t repo, int64_t slug, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_SIZES);

	stmt_text(s, 1, id);
	bind_int_or_null(s, 2, repo, -1);
	bind_int_or_null(s, 3, slug, -1);
	return row_change(tx, s, "app", err);
}

int store_app_set_destroying(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SET_DESTROYING);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_change(tx, s, "app", err);
}

/* Promotions release a slug of another app as it is: who still has it takes it over. */
static int slugs_take_over(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_TAKE_OVER);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}

int store_app_delete(struct tx *tx, const char *id, struct err *err)
{
	if (slugs_take_over(tx, id, err) < 0)
		return -1;
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "app", err);
}

int store_app_next_oneoff(struct tx *tx, const char *id, int *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_NEXT_ONEOFF);

	stmt_text(s, 1, id);
	if (row_need(s, "app", err) < 0)
		return -1;
	*out = (int)stmt_col_int(s, 0);
	return 0;
}

/* --- buildpacks --- */

void store_buildpacks_clear(struct store_buildpacks *b)
{
	for (int i = 0; i < b->n; i++)
		free(b->url[i]);
	free(b->url);
	*b = (struct store_buildpacks){0};
}

int store_buildpacks_get(struct tx *tx, const char *app_id, struct store_buildpacks *out,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILDPACK_LIST);
	struct store_buildpacks b = {.url = xcalloc(1, sizeof *b.url)};
	enum stmt_result r;

	stmt_text(s, 1, app_id);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		b.url = xrealloc(b.url, ((size_t)b.n + 2) * sizeof *b.url);
		b.url[b.n++] = stmt_col_dup(s, 0);
		b.url[b.n] = NULL;
		b.detected = stmt_col_int(s, 1) != 0;
	}
	if (r == STMT_FAIL) {
		store_buildpacks_clear(&b);
		return -1;
	}
	*out = b;
	return 0;
}

static int buildpacks_clear(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILDPACK_CLEAR);

	stmt_text(s, 1, app_id);
	return stmt_exec(s, err);
}

static int buildpack_insert(struct tx *tx, const char *app_id, int ordinal, const char *url,
			    bool detected, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILDPACK_INSERT);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, ordinal);
	stmt_text(s, 3, url);
	stmt_int(s, 4, detected);
	return stmt_exec(s, err);
}

int store_buildpacks_replace(struct tx *tx, const char *app_id, const char *const *urls, int n,
			     bool detected, struct err *err)
{
	if (buildpacks_clear(tx, app_id, err) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (buildpack_insert(tx, app_id, i, urls[i], detected, err) < 0)
			return -1;
	return 0;
}

/* --- access --- */

static const struct {
	unsigned bit;
	const char *name;
} perm_names[] = {
	{STORE_VIEW, "view"},
	{STORE_DEPLOY, "deploy"},
	{STORE_OPERATE, "operate"},
	{STORE_MANAGE, "manage"},
};

unsigned store_perms_parse(const char *names)
{
	unsigned perms = 0;

	while (*names) {
		size_t n = strcspn(names, " ");

		for (size_t i = 0; i < ARRAY_LEN(perm_names); i++)
			if (strlen(perm_names[i].name) == n &&
			    memcmp(perm_names[i].name, names, n) == 0)
				perms |= perm_names[i].bit;
		names += n + (names[n] == ' ');
	}
	return perms;
}

void store_perms_format(unsigned perms, char out[64])
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < ARRAY_LEN(perm_names); i++)
		if (perms & perm_names[i].bit)
			n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? " " : "",
					      perm_names[i].name);
}

int store_app_access(struct tx *tx, const char *user_id, const char *app_id, unsigned *perms,
		     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_ACCESS);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, app_id);
	if (row_need(s, "app", err) < 0)
		return -1;
	if (stmt_col_int(s, 0) || stmt_col_int(s, 1))
		*perms = STORE_PERMS_ALL;
	else
		*perms = stmt_col_null(s, 2) ? 0 : store_perms_parse(stmt_col_text(s, 2));
	return 0;
}

int store_app_shared(struct tx *tx, const char *user_id, const char *other_id, bool *out,
		     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_APP_SHARED);

	stmt_text(s, 1, user_id);
	stmt_text(s, 2, other_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	*out = stmt_col_int(s, 0) != 0;
	return 0;
}

/* --- collaborators --- */

void store_collaborator_clear(struct store_collaborator *c)
{
	free(c->email);
	*c = (struct store_collaborator){0};
}
ROW_DEFINE_LIST(store_collaborator, store_collaborators)

static void fill_collab(struct stmt *s, void *out)
{
	struct store_collaborator *c = out;

	ROW_COPY(s, 0, c->id);
	ROW_COPY(s, 1, c->app_id);
	ROW_COPY(s, 2, c->user_id);
	c->email = stmt_col_dup(s, 3);
	c->perms = store_perms_parse(stmt_col_text(s, 4));
	c->owner = stmt_col_int(s, 5) != 0;
	if (c->owner)
		c->perms = STORE_PERMS_ALL;
	c->created_ms = stmt_col_int(s, 6);
	c->updated_ms = stmt_col_int(s, 7);
}

int store_collaborator_add(struct tx *tx, const char *app_id, const char *user_id, unsigned perms,
			   struct store_collaborator *out, struct err *err)
{
	struct err e = {0};
	char id[37];

	uuid_new(id);
	if (collab_insert(tx, id, app_id, user_id, perms, &e) < 0) {
		if (e.code == ERR_CONFLICT)
			return err_set(err, ERR_INVALID_PARAMS, "User is already a collaborator");
		if (err)
			*err = e;
		return -1;
	}
	return store_collaborator_find(tx, app_id, id, out, err);
}

int store_collaborator_find(struct tx *tx, const char *app_id, const char *who,
			    struct store_collaborator *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_FIND);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, who);
	return row_one(s, fill_collab, out, sizeof *out, "collaborator", err);
}

int store_collaborators_list(struct tx *tx, const char *app_id, struct store_collaborators *out,
			     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_LIST);

	stmt_text(s, 1, app_id);
	return store_collaborator_all(s, fill_collab, out, err);
}

int store_collaborator_set(struct tx *tx, const char *id, unsigned perms, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_SET_PERMISSIONS);
	char text[64];

	store_perms_format(perms, text);
	stmt_text(s, 1, id);
	stmt_text(s, 2, text);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "collaborator", err);
}

int store_collaborator_remove(struct tx *tx, const char *app_id, const char *who, struct err *err)
{
	AUTO(store_collaborator_clear) struct store_collaborator c = {0};

	if (store_collaborator_find(tx, app_id, who, &c, err) < 0)
		return -1;
	if (c.owner)
		return err_set(err, ERR_INVALID_PARAMS, "The owner cannot be removed");
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_COLLAB_DELETE);
	stmt_text(s, 1, c.id);
	return row_change(tx, s, "collaborator", err);
}
