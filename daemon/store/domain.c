#include "daemon/store/domain.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"

void store_domain_clear(struct store_domain *d)
{
	free(d->hostname);
	free(d->sni_name);
	*d = (struct store_domain){0};
}
ROW_DEFINE_LIST(store_domain, store_domains)

static void fill_domain(struct stmt *s, void *out)
{
	struct store_domain *d = out;

	ROW_COPY(s, 0, d->id);
	ROW_COPY(s, 1, d->app_id);
	d->hostname = stmt_col_dup(s, 2);
	ROW_COPY(s, 3, d->sni_id);
	d->sni_name = stmt_col_dup(s, 4);
	d->created_ms = stmt_col_int(s, 5);
	d->updated_ms = stmt_col_int(s, 6);
}

static int check_count(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_COUNT);

	stmt_text(s, 1, app_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	if (stmt_col_int(s, 0) < LIM_DOMAINS)
		return 0;
	return err_set(err, ERR_INVALID_PARAMS, "An app has at most %d custom domains.",
		       LIM_DOMAINS);
}

static int check_taken(struct tx *tx, const char *app_id, const char *hostname, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_OWNER);

	stmt_text(s, 1, hostname);
	switch (stmt_step(s, err)) {
	case STMT_DONE:
		return 0;
	case STMT_ROW:
		if (strcmp(stmt_col_text(s, 0), app_id) == 0)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Domain already added to this app.");
		return err_set(err, ERR_INVALID_PARAMS, "%s is currently in use by another app.",
			       hostname);
	default:
		return -1;
	}
}

/* A wildcard must not take the visitors of somebody else's app, nor lose its own to one. */
static int check_overlap(struct tx *tx, const char *app_id, const char *hostname, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_OVERLAP);

	stmt_text(s, 1, hostname);
	stmt_text(s, 2, app_id);
	switch (stmt_step(s, err)) {
	case STMT_DONE:
		return 0;
	case STMT_ROW:
		return err_set(err, ERR_INVALID_PARAMS,
			       "%s overlaps with %s, which is currently in use by another app.",
			       hostname, stmt_col_text(s, 0));
	default:
		return -1;
	}
}

int store_domain_create(struct tx *tx, const char *app_id, const char *hostname, const char *sni_id,
			struct store_domain *out, struct err *err)
{
	char id[37];

	if (check_taken(tx, app_id, hostname, err) < 0 ||
	    check_overlap(tx, app_id, hostname, err) < 0 || check_count(tx, app_id, err) < 0)
		return -1;
	uuid_new(id);
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_INSERT);
	stmt_text(s, 1, id);
	stmt_text(s, 2, app_id);
	stmt_text(s, 3, hostname);
	bind_id(s, 4, sni_id);
	stmt_int(s, 5, clock_wall_ms());
	if (stmt_exec(s, err) < 0)
		return -1;
	return store_domain_find(tx, app_id, id, out, err);
}

int store_domain_find(struct tx *tx, const char *app_id, const char *id_or_hostname,
		      struct store_domain *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_FIND);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, id_or_hostname);
	return row_one(s, fill_domain, out, sizeof *out, "domain", err);
}

int store_domains_list(struct tx *tx, const char *app_id, struct store_domains *out,
		       struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_LIST);

	stmt_text(s, 1, app_id);
	return store_domain_all(s, fill_domain, out, err);
}

int store_domain_set_sni(struct tx *tx, const char *id, const char *sni_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_SET_SNI);

	stmt_text(s, 1, id);
	bind_id(s, 2, sni_id);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "domain", err);
}

int store_domain_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_DOMAIN_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "domain", err);
}
