#include "daemon/store/identity.h"
#include "daemon/store/row_int.h"

static void store_feature_clear(struct store_feature *f)
{
	*f = (struct store_feature){0};
}
ROW_DEFINE_LIST(store_feature, store_features)

static void fill_feature(struct stmt *s, void *out)
{
	struct store_feature *f = out;

	ROW_COPY(s, 0, f->name);
	f->enabled = stmt_col_int(s, 1) != 0;
	f->updated_ms = stmt_col_int(s, 2);
}

int store_features_list(struct tx *tx, const char *owner_id, struct store_features *out,
			struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FEATURE_LIST);

	stmt_text(s, 1, owner_id);
	return store_feature_all(s, fill_feature, out, err);
}

int store_feature_set(struct tx *tx, const char *owner_id, const char *name, bool enabled,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_FEATURE_PUT);

	stmt_text(s, 1, owner_id);
	stmt_text(s, 2, name);
	stmt_int(s, 3, enabled);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

bool store_feature_on(struct tx *tx, const char *owner_id, const char *name, bool def)
{
	AUTO(store_features_clear) struct store_features l = {0};

	if (store_features_list(tx, owner_id, &l, NULL) < 0)
		return def;
	for (int i = 0; i < l.n; i++)
		if (strcmp(l.v[i].name, name) == 0)
			return l.v[i].enabled;
	return def;
}
