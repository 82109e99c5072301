#include "daemon/store/build.h"
#include "daemon/store/row_int.h"
#include "daemon/store/status_int.h"
#include "proto/limits.h"

static const char *const status_names[] = {"pending", "succeeded", "failed", "expired"};

const char *store_status_name(enum store_status s)
{
	return status_names[s];
}

enum store_status store_status_parse(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(status_names); i++)
		if (strcmp(status_names[i], name) == 0)
			return (enum store_status)i;
	return STORE_FAILED; /* the schema's CHECK lets no other in */
}

void store_build_clear(struct store_build *b)
{
	free(b->user_email);
	free(b->source_url);
	free(b->ref);
	free(b->version);
	free(b->version_description);
	free(b->checksum);
	free(b->buildpacks);
	free(b->stack);
	free(b->failure);
	*b = (struct store_build){0};
}
ROW_DEFINE_LIST(store_build, store_builds)

static void fill_build(struct stmt *s, void *out)
{
	struct store_build *b = out;

	ROW_COPY(s, 0, b->id);
	ROW_COPY(s, 1, b->app_id);
	ROW_COPY(s, 2, b->user_id);
	b->user_email = stmt_col_dup(s, 3);
	b->status = store_status_parse(stmt_col_text(s, 4));
	ROW_COPY(s, 5, b->source);
	b->source_url = stmt_col_dup(s, 6);
	b->ref = stmt_col_dup(s, 7);
	b->version = stmt_col_dup(s, 8);
	b->version_description = stmt_col_dup(s, 9);
	b->checksum = stmt_col_dup(s, 10);
	b->buildpacks = stmt_col_dup(s, 11);
	b->stack = stmt_col_dup(s, 12);
	ROW_COPY(s, 13, b->slug_id);
	ROW_COPY(s, 14, b->release_id);
	b->failure = stmt_col_dup(s, 15);
	ROW_COPY(s, 16, b->output_secret);
	b->created_ms = stmt_col_int(s, 17);
	b->updated_ms = stmt_col_int(s, 18);
}

static int build_insert(struct tx *tx, const char *id, const struct store_build_new *in,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_INSERT);
	char secret[49];

	random_hex(secret, 48);
	stmt_text(s, 1, id);
	stmt_text(s, 2, in->app_id);
	stmt_text(s, 3, in->user_id);
	stmt_text(s, 4, in->source);
	stmt_text(s, 5, in->source_url ? in->source_url : "");
	stmt_text(s, 6, in->ref);
	stmt_text(s, 7, in->version);
	stmt_text(s, 8, in->version_description);
	stmt_text(s, 9, in->checksum);
	stmt_text(s, 10, in->buildpacks ? in->buildpacks : "[]");
	stmt_text(s, 11, in->stack);
	stmt_text(s, 12, secret);
	stmt_int(s, 13, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_build_insert(struct tx *tx, const struct store_build_new *in, struct store_build *out,
		       struct err *err)
{
	char id[37];

	uuid_new(id);
	if (build_insert(tx, id, in, err) < 0)
		return -1;
	return store_build_get(tx, in->app_id, id, out, err);
}

int store_build_get(struct tx *tx, const char *app_id, const char *id, struct store_build *out,
		    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	return row_one(s, fill_build, out, sizeof *out, "build", err);
}

int store_builds_list(struct tx *tx, const char *app_id, int limit, struct store_builds *out,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_LIST);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, limit > 0 ? limit : -1);
	return store_build_all(s, fill_build, out, err);
}

int store_builds_pending(struct tx *tx, struct store_builds *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_PENDING);

	return store_build_all(s, fill_build, out, err);
}

int store_build_set_buildpacks(struct tx *tx, const char *id, const char *json, struct err *err)
{
	return row_set(tx, SQL_BUILD_SET_BUILDPACKS, id, json, "build", err);
}

int store_build_set_release(struct tx *tx, const char *id, const char *release_id, struct err *err)
{
	return row_set(tx, SQL_BUILD_SET_RELEASE, id, release_id, "build", err);
}

int store_build_finish(struct tx *tx, const char *id, enum store_status status, const char *slug_id,
		       const char *failure, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_FINISH);

	stmt_text(s, 1, id);
	stmt_text(s, 2, store_status_name(status));
	bind_id(s, 3, slug_id);
	stmt_text(s, 4, failure);
	stmt_int(s, 5, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "The build has ended already.");
}

int store_build_unfinish(struct tx *tx, const char *id, const char *failure, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_BUILD_UNFINISH);

	stmt_text(s, 1, id);
	stmt_text(s, 2, failure);
	stmt_int(s, 3, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "The build is released already.");
}

/* --- slugs --- */

void store_slug_clear(struct store_slug *g)
{
	free(g->commit);
	free(g->commit_description);
	free(g->process_types);
	free(g->language);
	free(g->checksum);
	free(g->stack);
	free(g->manifest);
	*g = (struct store_slug){0};
}

static void fill_slug(struct stmt *s, void *out)
{
	struct store_slug *g = out;

	ROW_COPY(s, 0, g->id);
	ROW_COPY(s, 1, g->app_id);
	g->commit = stmt_col_dup(s, 2);
	g->commit_description = stmt_col_dup(s, 3);
	g->process_types = stmt_col_dup(s, 4);
	g->language = stmt_col_dup(s, 5);
	g->size = row_int_or(s, 6, -1);
	g->checksum = stmt_col_dup(s, 7);
	g->stack = stmt_col_dup(s, 8);
	g->created_ms = stmt_col_int(s, 9);
	g->updated_ms = stmt_col_int(s, 10);
	g->waiting = strcmp(stmt_col_text(s, 11), "waiting") == 0;
	g->manifest = stmt_col_dup(s, 12);
}

int store_slug_insert(struct tx *tx, const struct store_slug_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_INSERT);

	stmt_text(s, 1, in->id);
	stmt_text(s, 2, in->app_id);
	stmt_text(s, 3, in->commit);
	stmt_text(s, 4, in->commit_description);
	stmt_text(s, 5, in->process_types);
	stmt_text(s, 6, in->language);
	bind_int_or_null(s, 7, in->size, -1);
	stmt_text(s, 8, in->checksum);
	stmt_text(s, 9, in->stack);
	stmt_text(s, 10, in->waiting ? "waiting" : "ready");
	stmt_int(s, 11, clock_wall_ms());
	stmt_text(s, 12, in->manifest);
	return stmt_exec(s, err);
}

int store_slug_uploaded(struct tx *tx, const char *id, int64_t size, const char *checksum,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_UPLOADED);

	stmt_text(s, 1, id);
	stmt_int(s, 2, size);
	stmt_text(s, 3, checksum);
	stmt_int(s, 4, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return tx_changes(tx) ? 0 : err_set(err, ERR_CONFLICT, "The slug has its blob already.");
}

int store_slug_get(struct tx *tx, const char *app_id, const char *id, struct store_slug *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_GET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	return row_one(s, fill_slug, out, sizeof *out, "slug", err);
}

void store_ids_clear(struct store_ids *l)
{
	free(l->v);
	*l = (struct store_ids){0};
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool store_ids_has(const struct store_ids *l, const char *id)
{
	return l->n && bsearch(id, l->v, (size_t)l->n, sizeof *l->v, by_text);
}

static void fill_id(struct stmt *s, void *out)
{
	row_copy(s, 0, out, 37);
}

static void clear_id(void *p)
{
}

int store_ids_read(struct stmt *s, struct store_ids *out, struct err *err)
{
	void *v = NULL;
	int n = 0;

	if (row_all(s, fill_id, clear_id, &v, &n, sizeof *out->v, err) < 0)
		return -1;
	*out = (struct store_ids){v, n};
	if (n)
		qsort(v, (size_t)n, sizeof *out->v, by_text);
	return 0;
}

int store_slugs_in_use(struct tx *tx, int keep, struct store_ids *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_IN_USE);

	stmt_int(s, 1, keep);
	stmt_int(s, 2, clock_wall_ms() - LIM_SLUG_WAIT_MS);
	return store_ids_read(s, out, err);
}

int store_slugs_all(struct tx *tx, struct store_ids *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_LIST);

	return store_ids_read(s, out, err);
}

int store_slug_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SLUG_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "slug", err);
}
