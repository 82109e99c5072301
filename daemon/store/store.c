#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/store/store_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define IDLE_READERS 4
#define BATCH	     128 /* transactions in one commit at most */

struct job {
	tx_fn *fn;
	void *arg;
	struct err err; /* status 0 = fine so far */
	struct job *next;
	/* a thread waits ... */
	pthread_cond_t *cond;
	bool done;
	/* ... or a loop is told */
	struct loop *loop;
	void (*cb)(void *arg, const struct err *err);
};

struct store {
	char *path, *tmp_dir; /* owned; tmp_dir of a test's store */
	const struct master_key *key;
	struct master_key *own_key; /* of a test's store; owned */
	struct conn *w;		    /* writer thread only */
	pthread_t writer;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	struct job *first, *last;
	bool stop;
	struct conn *idle;
	int idle_count;
};

const struct master_key *tx_key(struct tx *tx)
{
	assert(tx->s->key);
	return tx->s->key;
}

/* --- connections --- */

static int conn_pragmas(struct conn *c, bool fast, struct err *err)
{
	const char *sql =
		c->writable ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			      "PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -2000;"
			    : "PRAGMA query_only = ON; PRAGMA cache_size = -512;";

	sqlite3_busy_timeout(c->db, 5000);
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK ||
	    (fast && sqlite3_exec(c->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL)))
		return store_sql_err(c->db, "open", err);
	return 0;
}

int store_conn_open(const char *path, bool writable, struct conn **out, struct err *err)
{
	struct conn *c = xcalloc(1, sizeof *c);
	int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;

	c->writable = writable;
	if (sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		if (c->db)
			store_sql_err(c->db, path, err);
		else
			err_set(err, ERR_INTERNAL, "database: no memory");
		store_conn_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

void store_conn_close(struct conn *c)
{
	if (!c)
		return;
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(c->stmts[i].st);
	sqlite3_close(c->db);
	free(c);
}

static struct conn *reader_take(struct store *s, struct err *err)
{
	struct conn *c;

	pthread_mutex_lock(&s->lock);
	c = s->idle;
	if (c) {
		s->idle = c->next;
		s->idle_count--;
	}
	pthread_mutex_unlock(&s->lock);
	if (c || store_conn_open(s->path, false, &c, err) < 0)
		return c;
	if (conn_pragmas(c, false, err) < 0) {
		store_conn_close(c);
		return NULL;
	}
	return c;
}

static void reader_give(struct store *s, struct conn *c)
{
	pthread_mutex_lock(&s->lock);
	if (s->idle_count < IDLE_READERS) {
		c->next = s->idle;
		s->idle = c;
		s->idle_count++;
		c = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	store_conn_close(c);
}

int store_read(struct store *s, tx_fn *fn, void *arg, struct err *err)
{
	struct conn *c = reader_take(s, err);
	struct tx tx = {s, c};
	int rc;

	if (!c)
		return -1;
	if (sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
		store_sql_err(c->db, "begin", err);
		store_conn_close(c);
		return -1;
	}
	rc = fn(&tx, arg, err);
	assert(store_conn_quiet(c));
	sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	reader_give(s, c);
	return rc;
}

/* --- the writer --- */

static void writer_exec(struct store *s, const char *sql, struct err *err)
{
	if (sqlite3_exec(s->w->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		store_sql_err(s->w->db, sql, err);
}

/* Each transaction in a savepoint of its own: one that fails takes nothing else with it. */
static void run_job(struct store *s, struct job *j)
{
	struct tx tx = {s, s->w};
	struct err err = {0};

	writer_exec(s, "SAVEPOINT t", &j->err);
	if (j->err.status)
		return;
	if (j->fn(&tx, j->arg, &err) == 0)
		err.status = 0;
	else if (!err.status) /* whoever fails says why; this is for those that forgot */
		err_set(&err, ERR_INTERNAL, "transaction failed");
	j->err = err;
	assert(store_conn_quiet(s->w));
	if (sqlite3_get_autocommit(s->w->db))
		return; /* a full disk rolls all of it back */
	if (j->err.status)
		writer_exec(s, "ROLLBACK TO t", &j->err);
	writer_exec(s, "RELEASE t", &j->err);
}

static void fail_all(struct job *j, const struct err *err)
{
	for (; j; j = j->next)
		if (!j->err.status)
			j->err = *err;
}

static void run_batch(struct store *s, struct job *batch)
{
	struct err err = {0};

	writer_exec(s, "BEGIN IMMEDIATE", &err);
	if (err.status) {
		fail_all(batch, &err);
		return;
	}
	for (struct job *j = batch; j; j = j->next) {
		run_job(s, j);
		if (sqlite3_get_autocommit(s->w->db)) {
			err = j->err;
			if (!err.status)
				err_set(&err, ERR_INTERNAL, "database: rolled back");
			fail_all(batch, &err);
			return;
		}
	}
	writer_exec(s, "COMMIT", &err);
	if (err.status) {
		sqlite3_exec(s->w->db, "ROLLBACK", NULL, NULL, NULL);
		fail_all(batch, &err);
	}
}

static void loop_done(void *arg)
{
	struct job *j = arg;

	j->cb(j->arg, &j->err);
	free(j);
}

static void tell_batch(struct store *s, struct job *j)
{
	while (j) {
		struct job *next = j->next;

		if (j->loop) {
			if (!loop_post(j->loop, loop_done, j))
				free(j);
		} else {
			pthread_mutex_lock(&s->lock);
			j->done = true;
			pthread_cond_signal(j->cond);
			pthread_mutex_unlock(&s->lock);
		}
		j = next;
	}
}

static struct job *next_batch(struct store *s)
{
	struct job *batch, *last;
	int n = 1;

	pthread_mutex_lock(&s->lock);
	while (!s->first && !s->stop)
		pthread_cond_wait(&s->more, &s->lock);
	batch = last = s->first;
	while (last && last->next && n++ < BATCH)
		last = last->next;
	if (last) {
		s->first = last->next;
		last->next = NULL;
	}
	if (!s->first)
		s->last = NULL;
	pthread_mutex_unlock(&s->lock);
	return batch;
}

static void *writer_main(void *arg)
{
	struct store *s = arg;
	struct job *batch;

	/* While a commit waits for its fsync the next batch gathers: that is the group commit. */
	while ((batch = next_batch(s)) != NULL) {
		run_batch(s, batch);
		tell_batch(s, batch);
	}
	return NULL;
}

static void enqueue(struct store *s, struct job *j)
{
	assert(!s->stop);
	if (s->last)
		s->last->next = j;
	else
		s->first = j;
	s->last = j;
	pthread_cond_signal(&s->more);
}

int store_tx(struct store *s, tx_fn *fn, void *arg, struct err *err)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct job j = {.fn = fn, .arg = arg, .cond = &cond};

	assert(!pthread_equal(pthread_self(), s->writer)); /* would wait for itself */
	pthread_mutex_lock(&s->lock);
	enqueue(s, &j);
	while (!j.done)
		pthread_cond_wait(&cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&cond);
	if (!j.err.status)
		return 0;
	if (err)
		*err = j.err;
	return -1;
}

void store_tx_async(struct store *s, tx_fn *fn, void *arg, struct loop *l,
		    void (*done)(void *arg, const struct err *err))
{
	struct job *j = xcalloc(1, sizeof *j);

	*j = (struct job){.fn = fn, .arg = arg, .loop = l, .cb = done};
	pthread_mutex_lock(&s->lock);
	enqueue(s, j);
	pthread_mutex_unlock(&s->lock);
}

/* --- open and close --- */

/* Tests: a real file in a folder of its own, so that WAL and readers are those of production. */
static int open_temporary(struct store *s, struct err *err)
{
	const char *base = getenv("TMPDIR");
	AUTO(auto_str) char *key = NULL;

	s->tmp_dir = xasprintf("%s/paas-store-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(s->tmp_dir)) {
		err_errno(err, "%s", s->tmp_dir);
		free(STEAL(s->tmp_dir));
		return -1;
	}
	s->path = xasprintf("%s/db", s->tmp_dir);
	if (s->key)
		return 0;
	key = xasprintf("%s/key", s->tmp_dir);
	if (master_key_load(key, &s->own_key, err) < 0)
		return -1;
	s->key = s->own_key;
	return 0;
}

static int quick_check(sqlite3 *db, const char *path, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		rc = store_sql_err(db, "quick_check", err);
	else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		rc = err_set(err, ERR_CORRUPT, "the database %s is damaged: %.200s", path,
			     (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return rc;
}

static int open_writer(struct store *s, struct err *err)
{
	/* Made by us, not by SQLite, which would ask the umask who may read it. */
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "cannot open the database %s", s->path);
	close(fd);
	if (store_conn_open(s->path, true, &s->w, err) < 0 ||
	    conn_pragmas(s->w, s->tmp_dir != NULL, err) < 0 ||
	    quick_check(s->w->db, s->path, err) < 0 || store_migrate(s->w->db, err) < 0)
		return -1;
	if (sqlite3_exec(s->w->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL) != SQLITE_OK)
		return store_sql_err(s->w->db, "open", err);
	return store_conn_check(s->w, err);
}

static void destroy(struct store *s)
{
	while (s->idle) {
		struct conn *next = s->idle->next;

		store_conn_close(s->idle);
		s->idle = next;
	}
	store_conn_close(s->w); /* the last one: checkpoints and removes the WAL */
	if (s->tmp_dir)
		fs_rmtree(s->tmp_dir, NULL);
	if (s->own_key)
		master_key_free(s->own_key);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s->tmp_dir);
	free(s->path);
	free(s);
}

int store_open(const char *path, const struct master_key *key, struct store **out, struct err *err)
{
	struct store *s = xcalloc(1, sizeof *s);

	s->key = key;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	if (strcmp(path, ":memory:") != 0)
		s->path = xstrdup(path);
	else if (open_temporary(s, err) < 0) {
		destroy(s);
		return -1;
	}
	if (open_writer(s, err) < 0) {
		destroy(s);
		return -1;
	}
	if (pthread_create(&s->writer, NULL, writer_main, s) != 0)
		abort();
	pthread_setname_np(s->writer, "store");
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->writer, NULL);
	destroy(s);
}
