#include "daemon/store/service.h"
#include "daemon/store/app.h"
#include "daemon/store/row_int.h"

void store_service_clear(struct store_service *s)
{
	free(s->kind);
	free(s->provider);
	free(s->spec);
	*s = (struct store_service){0};
}
ROW_DEFINE_LIST(store_service, store_services)

static void fill_service(struct stmt *s, void *out)
{
	struct store_service *v = out;

	ROW_COPY(s, 0, v->id);
	v->uid = (unsigned)stmt_col_int(s, 1);
	v->kind = stmt_col_dup(s, 2);
	v->provider = stmt_col_dup(s, 3);
	v->shared = stmt_col_int(s, 4);
	ROW_COPY(s, 5, v->addon_id);
	v->address = (unsigned)stmt_col_int(s, 6);
	v->port = (int)stmt_col_int(s, 7);
	v->plain_port = (int)stmt_col_int(s, 8);
	v->wanted = stmt_col_int(s, 9);
	v->spec = stmt_col_dup(s, 10);
	v->created_ms = stmt_col_int(s, 11);
	v->updated_ms = stmt_col_int(s, 12);
}

static int insert(struct tx *tx, const char *id, const struct store_service_new *in,
		  unsigned max_address, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_INSERT);

	stmt_text(s, 1, id);
	stmt_text(s, 2, in->kind);
	stmt_text(s, 3, in->provider);
	stmt_text(s, 4, in->addon_id);
	stmt_int(s, 5, in->port);
	stmt_text(s, 6, in->spec);
	stmt_int(s, 7, clock_wall_ms());
	stmt_int(s, 8, STORE_APP_UID_MAX);
	stmt_int(s, 9, max_address);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		return 0;
	case STMT_DONE:
		return err_set(err, ERR_UNAVAILABLE, "No more services can be made here.");
	default:
		return -1;
	}
}

int store_service_insert(struct tx *tx, const struct store_service_new *in, unsigned max_address,
			 struct store_service *out, struct err *err)
{
	char id[37];

	uuid_new(id);
	return insert(tx, id, in, max_address, err) < 0 ? -1 : store_service_get(tx, id, out, err);
}

int store_service_set_plain_port(struct tx *tx, const char *id, int port, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_PLAIN_PORT);

	stmt_text(s, 1, id);
	stmt_int(s, 2, port);
	return row_change(tx, s, "service", err);
}

int store_service_set(struct tx *tx, const char *id, const char *provider, int port,
		      const char *spec, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_SET);

	stmt_text(s, 1, id);
	stmt_text(s, 2, provider);
	stmt_int(s, 3, port);
	stmt_text(s, 4, spec);
	stmt_int(s, 5, clock_wall_ms());
	return row_change(tx, s, "service", err);
}

int store_service_unwant(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_UNWANT);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_change(tx, s, "service", err);
}

int store_service_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_DELETE);

	stmt_text(s, 1, id);
	return stmt_exec(s, err);
}

static int service_by(struct tx *tx, enum sql_id sql, const char *key, struct store_service *out,
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, key);
	return row_one(s, fill_service, out, sizeof *out, "service", err);
}

int store_service_get(struct tx *tx, const char *id, struct store_service *out, struct err *err)
{
	return service_by(tx, SQL_SERVICE_GET, id, out, err);
}

int store_service_find(struct tx *tx, const char *addon_id, const char *kind,
		       struct store_service *out, struct err *err)
{
	return addon_id ? service_by(tx, SQL_SERVICE_OF_ADDON, addon_id, out, err)
			: service_by(tx, SQL_SERVICE_SHARED, kind, out, err);
}

int store_services_list(struct tx *tx, struct store_services *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_LIST);

	return store_service_all(s, fill_service, out, err);
}

static void fill_way(struct stmt *s, void *out)
{
	struct launch_way *w = out;

	w->address = (unsigned)stmt_col_int(s, 0);
	w->port = (int)stmt_col_int(s, 1);
}

static void clear_way(void *p)
{
	(void)p;
}

int store_service_ways(struct tx *tx, const char *app_id, struct launch_way **out, int *n,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_SERVICE_WAYS);
	void *v = NULL;

	stmt_text(s, 1, app_id);
	if (row_all(s, fill_way, clear_way, &v, n, sizeof **out, err) < 0)
		return -1;
	*out = v;
	return 0;
}
