/* The PostgreSQL server that all databases share, for administrators. */
#include "daemon/api/data_pg.h"
#include "daemon/pg/pg.h"
#include "daemon/store/transfer_pg.h"
#include "daemon/svc/svc.h"

#include <string.h>

#define UP_MS 60000

const struct api_field api_fields_pg_cluster[] = {
	{"force", F_BOOL, F_NULL, 0, 0, NULL, NULL, "although backups, restores or copies run"},
	{0},
};

static int find(struct api_req *q, struct svc_info *out, struct err *err)
{
	if (svc_find(q->d->svcs, NULL, PG_SERVICE, out, err) == 0)
		return 0;
	return err_set(err, ERR_NOT_FOUND,
		       "The platform runs no PostgreSQL server: the first database makes it, "
		       "unless one of your own is set (docs/postgres.md).");
}

static int read_open(struct tx *tx, void *arg, struct err *err)
{
	return store_pgts_open(tx, arg, err);
}

/* What a restart would cut off. */
static int count_running(struct api_req *q, int *n, struct err *err)
{
	AUTO(store_pgts_clear) struct store_pgts open = {0};

	if (store_read(q->d->store, read_open, &open, err) < 0)
		return -1;
	*n = 0;
	for (int i = 0; i < open.n; i++)
		*n += open.v[i].state != PGT_PENDING;
	return 0;
}

static int answer(struct api_req *q, const struct svc_info *s, int running)
{
	static const char *const states[] = {
		[SVC_STARTING] = "starting", [SVC_UP] = "up", [SVC_DOWN] = "down"};

	return api_ok(q, 200,
		      json_pack("{ss ss si si si}", "state", states[s->state], "address", s->ip,
				"port", s->port, "restarts", s->restarts, "transfers", running));
}

int api_pg_cluster(struct api_req *q, struct err *err)
{
	struct svc_info s;
	int running = 0;

	if (find(q, &s, err) < 0 || count_running(q, &running, err) < 0)
		return -1;
	return answer(q, &s, running);
}

int api_pg_cluster_restart(struct api_req *q, struct err *err)
{
	bool force = json_is_true(json_object_get(q->body, "force"));
	struct svc_info s;
	int running = 0;

	if (find(q, &s, err) < 0 || count_running(q, &running, err) < 0)
		return -1;
	if (running && !force)
		return err_set(err, ERR_CONFLICT,
			       "%d backups, restores or copies are under way and would fail: wait "
			       "for them, or force it.",
			       running);
	api_audit(q, "pg.cluster.restart", "%s", force ? "forced" : "");
	if (svc_restart(q->d->svcs, s.id, err) < 0 ||
	    svc_wait(q->d->svcs, s.id, UP_MS, &s, err) < 0)
		return -1;
	return answer(q, &s, running);
}
