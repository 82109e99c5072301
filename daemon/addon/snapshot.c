/* The folder of a service's process as a stream, for backups. */
#include "daemon/addon/addon_int.h"

/* However long who reads it takes: it may be a slow line. */
#define SNAPSHOT_S 86400

struct find_tx {
	const char *id;
	struct store_addon row;
};

static int find_row(struct tx *tx, void *arg, struct err *err)
{
	struct find_tx *t = arg;

	return store_addon_find(tx, t->id, &t->row, err);
}

int addon_snapshot(struct addons *a, const char *service, const char *addon_id, int out_fd,
		   int cancel_fd, struct err *err)
{
	struct entry *e = entry_find(a, service);
	struct find_tx t = {.id = addon_id};
	struct verb_in v = {.a = a, .e = e, .row = addon_id ? &t.row : NULL};
	AUTO(json_decref) json_t *in = NULL;
	int rc;

	if (!e || !addon_service_can(&e->m->s, "snapshot"))
		return err_set(err, ERR_UNAVAILABLE, "%s gives no copies", service);
	if (addon_id && store_read(a->d.store, find_row, &t, err) < 0)
		return -1;
	rc = verb_input(&v, "snapshot", &in, err);
	if (rc == 0)
		rc = exec_stream(e->m, "snapshot", in, SNAPSHOT_S * INT64_C(1000), out_fd,
				 cancel_fd, err);
	store_addon_clear(&t.row);
	return rc;
}
