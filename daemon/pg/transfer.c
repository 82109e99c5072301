/* The engine: who runs when, what is taken up, what is thrown away. What a transfer does is in
 * transfer_run.c. */
#include "daemon/pg/transfer.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/pg/transfer_file.h"
#include "daemon/pg/transfer_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define CLOCK_MS 15000
#define SWEEP_MS (10 * 60 * 1000)

char *pgt_path(const struct pg_transfers *t, const char *id, const char *suffix)
{
	return xasprintf("%s/backups/%s%s", t->d.cfg->state_dir, id, suffix);
}

/* --- transactions by id --- */

struct row_tx {
	const char *id;
	const struct store_pgt_new *in;
	struct store_pgt *row;
	enum store_pgt_state state;
	const char *failure;
	bool keep_file;
	const char *const *unlinked;
	struct store_pgt_keep keep;
	struct store_ids ids;
};

static int tx_insert(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	store_pgt_clear(r->row); /* the writer may run this twice */
	return store_pgt_insert(tx, r->in, r->row, err);
}

static int tx_get(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	return store_pgt_get(tx, r->id, r->row, err);
}

static int tx_finish(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	return store_pgt_finish(tx, r->id, r->state, r->failure, r->keep_file, err);
}

static int tx_begin(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	return store_pgt_begin(tx, r->id, err);
}

static int tx_delete(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	return store_pgt_delete(tx, r->id, err);
}

static int tx_again(struct tx *tx, void *arg, struct err *err)
{
	return store_pgts_again(tx, err);
}

static int tx_files(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	return store_pgt_files(tx, &r->ids, err);
}

/* --- files --- */

static void unlink_all(const struct pg_transfers *t, const char *id)
{
	static const char *const suffixes[] = {"", ".new", ".get"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		AUTO(auto_str) char *path = pgt_path(t, id, suffixes[i]);

		if (unlink(path) < 0 && errno != ENOENT) {
			struct err err = {0};

			err_errno(&err, "remove %s", path);
			xlog_err(XLOG_WARN, "pg", &err, "msg=\"a file of a transfer stays\"");
		}
	}
}

static void dir_close(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, dir_close)

/* Names first, rows then: a row is there before its files. */
static void sweep(struct pg_transfers *t)
{
	AUTO(auto_str) char *dir = pgt_path(t, "", "");
	AUTO(dir_close) DIR *d = opendir(dir);
	struct row_tx r = {0};
	struct err err = {0};
	char(*ids)[37] = NULL;
	const struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		if (strlen(de->d_name) < 36)
			continue;
		ids = xrealloc(ids, (size_t)(n + 1) * sizeof *ids);
		snprintf(ids[n++], sizeof *ids, "%.36s", de->d_name);
	}
	if (store_read(t->d.store, tx_files, &r, &err) < 0)
		xlog_err(XLOG_WARN, "pg", &err, "msg=\"backups not swept\"");
	for (int i = 0; i < n && !err.status; i++)
		if (!store_ids_has(&r.ids, ids[i]))
			unlink_all(t, ids[i]);
	store_ids_clear(&r.ids);
	free(ids);
}

/* --- retention --- */

struct addon_tx {
	const char *id;
	struct store_addon row;
};

static int tx_surplus(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;

	store_ids_clear(&r->ids);
	if (store_pgt_surplus(tx, r->row, &r->keep, &r->ids, err) < 0)
		return -1;
	for (int i = 0; i < r->ids.n; i++)
		if (store_pgt_delete(tx, r->ids.v[i], err) < 0)
			return -1;
	return store_pgt_forget(tx, r->row->app_id, LIM_TRANSFER_ROWS, err);
}

static int tx_addon(struct tx *tx, void *arg, struct err *err)
{
	struct addon_tx *a = arg;

	store_addon_clear(&a->row);
	return store_addon_find(tx, a->id, &a->row, err);
}

/* A number of the plan; `otherwise` where it says nothing. */
static int limit_of(const json_t *limits, const char *name, int otherwise)
{
	const json_t *v = json_object_get(limits, name);

	return json_is_integer(v) ? (int)json_integer_value(v) : otherwise;
}

void pg_backups_keep(struct pg_transfers *t, const char *addon_id, bool scheduled,
		     struct store_pgt_keep *out)
{
	const struct config *cfg = t->d.cfg;
	int64_t fixed = scheduled ? cfg->backups_scheduled : cfg->backups_manual;
	struct addon_tx a = {.id = addon_id};
	const json_t *limits = NULL;
	struct err err = {0};

	*out = (struct store_pgt_keep){.newest = (int)fixed};
	if (fixed)
		return;
	if (*addon_id && store_read(t->d.store, tx_addon, &a, &err) == 0)
		limits = t->d.place.limits(t->d.place.arg, &a.row);
	if (scheduled)
		*out = (struct store_pgt_keep){.newest = limit_of(limits, "backups_daily", 7),
					       .weeks = limit_of(limits, "backups_weekly", 0),
					       .months = limit_of(limits, "backups_monthly", 0)};
	else
		out->newest = limit_of(limits, "backups_manual", 10);
	store_addon_clear(&a.row);
}

static void retain(struct pg_transfers *t, struct store_pgt *row)
{
	struct row_tx r = {.row = row};
	struct err err = {0};

	pg_backups_keep(t, row->addon_id, row->schedule_id[0] != 0, &r.keep);
	if (store_tx(t->d.store, tx_surplus, &r, &err) < 0)
		xlog_err(XLOG_WARN, "pg", &err, "msg=\"old backups not removed\"");
	for (int i = 0; i < r.ids.n && !err.status; i++)
		unlink_all(t, r.ids.v[i]);
	store_ids_clear(&r.ids);
}

/* --- one job --- */

static void job_free(struct job *j)
{
	if (j->cancel_fd >= 0)
		close(j->cancel_fd);
	json_decref(j->log);
	store_pgt_clear(&j->row);
	free(j);
}

/* Its end. When the engine stops the row stays as it is. */
static void job_end(struct job *j, int rc, const struct err *e)
{
	struct pg_transfers *t = j->t;
	bool backup = j->row.kind == PGT_BACKUP;
	struct row_tx r = {.id = j->row.id,
			   .state = rc == 0	  ? PGT_SUCCEEDED
				    : j->canceled ? PGT_CANCELED
						  : PGT_FAILED,
			   .failure = rc == 0 ? NULL : e->msg,
			   .keep_file = rc == 0 && backup};
	struct err err = {0};

	if (rc < 0)
		pgt_say(j, "error", "%s", r.state == PGT_CANCELED ? "Canceled." : e->msg);
	if (pgt_save(j, &err) < 0 || store_tx(t->d.store, tx_finish, &r, &err) < 0)
		xlog_err(XLOG_ERROR, "pg", &err, "msg=\"end of a transfer not recorded\" id=%s",
			 j->row.id);
	if (!r.keep_file)
		unlink_all(t, j->row.id);
	if (r.keep_file)
		retain(t, &j->row);
	xlog(rc == 0 ? XLOG_INFO : XLOG_WARN, "pg", "msg=transfer id=%s kind=%d state=%s why=%s",
	     j->row.id, (int)j->row.kind, store_pgt_state_name(r.state),
	     xlog_q(rc == 0 ? "" : e->msg));
}

static bool stopping(struct pg_transfers *t)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = t->stopping;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

static void run_job(struct job *j)
{
	struct row_tx r = {.id = j->row.id};
	struct err err = {0};
	int rc = 0;

	if (j->row.tries >= LIM_TRANSFER_TRIES)
		rc = err_set(&err, ERR_INTERNAL,
			     "It was cut off %d times by restarts of the platform.", j->row.tries);
	if (rc == 0)
		rc = store_tx(j->t->d.store, tx_begin, &r, &err);
	if (rc == 0)
		rc = pgt_run(j, &err);
	if (rc < 0 && !j->canceled && err.code == ERR_CANCELED && stopping(j->t))
		return;
	job_end(j, rc, &err);
}

/* --- workers --- */

static bool busy(struct pg_transfers *t, const char *addon_id)
{
	const struct job *j;

	LIST_FOREACH (j, &t->jobs, link)
		if (*addon_id && (strcmp(j->row.addon_id, addon_id) == 0 ||
				  strcmp(j->row.from_addon_id, addon_id) == 0))
			return true;
	return false;
}

static struct job *job_new(struct pg_transfers *t, const char *id)
{
	struct job *j = xcalloc(1, sizeof *j);
	struct row_tx r = {.id = id, .row = &j->row};
	struct err err = {0};

	j->t = t;
	j->log = json_array();
	j->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->cancel_fd < 0 || store_read(t->d.store, tx_get, &r, &err) < 0) {
		xlog_err(XLOG_ERROR, "pg", &err, "msg=\"a transfer cannot begin\" id=%s", id);
		job_free(j);
		return NULL;
	}
	j->deadline = clock_mono_ms() + t->d.cfg->backup_timeout_s * 1000;
	j->source_bytes = -1;
	j->processed_bytes = -1;
	return j;
}

static int tx_open_rows(struct tx *tx, void *arg, struct err *err)
{
	return store_pgts_open(tx, arg, err);
}

/* The oldest that waits and whose databases are free. Under the lock, so that a cancel sees it as
 * waiting or as running. */
static struct job *take_locked(struct pg_transfers *t)
{
	struct store_pgts open = {0};
	struct job *j = NULL;
	struct err err = {0};

	if (store_read(t->d.store, tx_open_rows, &open, &err) < 0)
		xlog_err(XLOG_ERROR, "pg", &err, "msg=\"transfers cannot be read\"");
	for (int i = 0; i < open.n && !j; i++) {
		const struct store_pgt *row = &open.v[i];

		if (row->state == PGT_PENDING && !busy(t, row->addon_id) &&
		    !busy(t, row->from_addon_id))
			j = job_new(t, row->id);
	}
	store_pgts_clear(&open);
	if (j)
		LIST_INSERT_HEAD(&t->jobs, j, link);
	return j;
}

static void worker(void *arg)
{
	struct pg_transfers *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		struct job *j = take_locked(t);

		if (!j) {
			pthread_cond_wait(&t->work, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		run_job(j);
		pthread_mutex_lock(&t->lock);
		LIST_REMOVE(j, link);
		job_free(j);
		pthread_cond_broadcast(&t->work); /* its databases are free */
	}
	pthread_mutex_unlock(&t->lock);
}

/* --- the clock: schedules, sweeping --- */

static void wake(struct pg_transfers *t)
{
	pthread_mutex_lock(&t->lock);
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
}

static void clock_round(struct pg_transfers *t, mono_ms *swept)
{
	struct err err = {0};

	if (pg_schedules_run(t, clock_wall_ms(), &err) < 0)
		xlog_err(XLOG_ERROR, "pg", &err, "msg=\"scheduled backups not begun\"");
	if (clock_mono_ms() - *swept > SWEEP_MS) {
		sweep(t);
		*swept = clock_mono_ms();
	}
	wake(t);
}

static void clock_thread(void *arg)
{
	struct pg_transfers *t = arg;
	mono_ms swept = clock_mono_ms();
	struct timespec until;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		pthread_mutex_unlock(&t->lock);
		clock_round(t, &swept);
		pthread_mutex_lock(&t->lock);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += CLOCK_MS / 1000;
		if (!t->stopping)
			pthread_cond_timedwait(&t->clock_wake, &t->lock, &until);
	}
	pthread_mutex_unlock(&t->lock);
}

/* --- life --- */

int pg_transfers_open(const struct pg_transfers_deps *d, struct pg_transfers **out, struct err *err)
{
	struct pg_transfers *t = xcalloc(1, sizeof *t);
	AUTO(auto_str) char *dir = NULL;

	t->d = *d;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->clock_wake, NULL);
	dir = pgt_path(t, "", "");
	if (fs_mkdirs(dir, 0700, err) < 0 || store_tx(d->store, tx_again, NULL, err) < 0) {
		pg_transfers_free(t);
		return -1;
	}
	sweep(t);
	*out = t;
	return 0;
}

void pg_transfers_start(struct pg_transfers *t)
{
	t->nworkers = (int)t->d.cfg->backup_concurrency;
	t->workers = xcalloc((size_t)t->nworkers, sizeof(struct thread *));
	for (int i = 0; i < t->nworkers; i++)
		t->workers[i] = thread_new("transfer", worker, t);
	t->clock = thread_new("backups", clock_thread, t);
}

void pg_transfers_stop(struct pg_transfers *t)
{
	struct job *j;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	LIST_FOREACH (j, &t->jobs, link)
		eventfd_write(j->cancel_fd, 1);
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->clock_wake);
	pthread_mutex_unlock(&t->lock);
}

void pg_transfers_free(struct pg_transfers *t)
{
	if (!t)
		return;
	pg_transfers_stop(t);
	for (int i = 0; i < t->nworkers; i++)
		thread_join(t->workers[i]);
	thread_join(t->clock);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->clock_wake);
	free(t->workers);
	free(t);
}

/* --- what people ask for --- */

int pg_transfer_new(struct pg_transfers *t, const struct store_pgt_new *in, struct store_pgt *out,
		    struct err *err)
{
	struct row_tx r = {.in = in, .row = out};

	if (store_tx(t->d.store, tx_insert, &r, err) < 0) {
		store_pgt_clear(out);
		return -1;
	}
	wake(t);
	return 0;
}

static int tx_cancel(struct tx *tx, void *arg, struct err *err)
{
	const struct row_tx *r = arg;
	AUTO(store_pgt_clear) struct store_pgt row = {0};

	if (store_pgt_get(tx, r->id, &row, err) < 0)
		return -1;
	if (store_pgt_over(row.state))
		return err_set(err, ERR_INVALID_PARAMS, "The transfer is over: it %s.",
			       row.state == PGT_CANCELED ? "was canceled"
							 : store_pgt_state_name(row.state));
	return store_pgt_finish(tx, r->id, PGT_CANCELED, "Canceled.", false, err);
}

int pg_transfer_cancel(struct pg_transfers *t, const char *id, struct err *err)
{
	struct row_tx r = {.id = id};
	struct job *j;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	LIST_FOREACH (j, &t->jobs, link)
		if (strcmp(j->row.id, id) == 0)
			break;
	if (j) {
		j->canceled = true;
		eventfd_write(j->cancel_fd, 1);
	} else {
		rc = store_tx(t->d.store, tx_cancel, &r, err);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

static int tx_remove(struct tx *tx, void *arg, struct err *err)
{
	struct row_tx *r = arg;
	AUTO(store_pgt_clear) struct store_pgt row = {0};

	if (store_pgt_get(tx, r->id, &row, err) < 0)
		return -1;
	if (!store_pgt_over(row.state))
		return err_set(err, ERR_CONFLICT,
			       "It is still under way: cancel it first (pg:backups:cancel).");
	return tx_delete(tx, r, err);
}

int pg_transfer_delete(struct pg_transfers *t, const char *id, struct err *err)
{
	struct row_tx r = {.id = id};

	if (store_tx(t->d.store, tx_remove, &r, err) < 0)
		return -1;
	unlink_all(t, id);
	return 0;
}

int pg_backup_read(struct pg_transfers *t, const struct store_pgt *row, uint64_t from, uint64_t to,
		   int (*fn)(const void *p, size_t n, void *arg), void *arg, struct err *err)
{
	AUTO(auto_str) char *path = pgt_path(t, row->id, "");
	AUTO(tfile_reader_free) struct tfile_reader *f = NULL;
	uint64_t at = 0;
	const void *p;
	size_t n;

	if (!row->file_key)
		return err_not_found(err, "backup");
	if (tfile_open(path, row->file_key, &f, err) < 0)
		return -1;
	while (at < to) {
		uint64_t skip, end;

		if (tfile_next(f, &p, &n, err) < 0)
			return -1;
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "The backup's file is too short.");
		skip = from > at ? from - at : 0;
		end = at + n > to ? to - at : n;
		if (skip < end && fn((const char *)p + skip, end - skip, arg) < 0)
			return err_set(err, ERR_CANCELED, "nobody reads on");
		at += n;
	}
	return 0;
}
