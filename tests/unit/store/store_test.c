#include "daemon/core/fsx.h"
#include "daemon/store/app.h"
#include "daemon/store/dyno.h"
#include "daemon/store/session.h"
#include "daemon/store/store_int.h"
#include "daemon/store/user.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int open_setup(void **state)
{
	struct err err = {0};

	codec_init();
	if (store_open(":memory:", NULL, (struct store **)state, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	return 0;
}

static int open_teardown(void **state)
{
	store_close(*state);
	return 0;
}

#define ADDR(s) ((char[]){s})

static int add_user(struct tx *tx, void *arg, struct err *err)
{
	AUTO(store_user_clear) struct store_user u = {0};

	return store_user_create(tx, arg, NULL, NULL, false, &u, err);
}

static int add_then_fail(struct tx *tx, void *arg, struct err *err)
{
	if (add_user(tx, arg, err) < 0)
		return -1;
	return err_set(err, ERR_CANCELED, "on purpose");
}

static int count(struct tx *tx, void *arg, struct err *err)
{
	return store_user_count(tx, arg, err);
}

static int users(struct store *s)
{
	struct err err = {0};
	int n = -1;

	assert_int_equal(store_read(s, count, &n, &err), 0);
	return n;
}

static void a_commit_is_seen_by_readers(void **state)
{
	struct err err = {0};

	assert_int_equal(users(*state), 0);
	assert_int_equal(store_tx(*state, add_user, ADDR("a@example.com"), &err), 0);
	assert_int_equal(users(*state), 1);
}

static void a_failed_transaction_leaves_nothing(void **state)
{
	struct err err = {0};

	assert_int_equal(store_tx(*state, add_then_fail, ADDR("a@example.com"), &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	assert_int_equal(users(*state), 0);
	assert_int_equal(store_tx(*state, add_user, ADDR("a@example.com"), &err), 0);
	assert_int_equal(store_tx(*state, add_user, ADDR("A@example.com"), &err), -1);
	assert_int_equal(err.code, ERR_INVALID_PARAMS);
	assert_int_equal(users(*state), 1);
}

static void readers_cannot_write(void **state)
{
	struct err err = {0};

	assert_int_equal(store_read(*state, add_user, ADDR("a@example.com"), &err), -1);
	assert_int_equal(err.status, 500);
	assert_int_equal(users(*state), 0);
}

static int count_twice(struct tx *tx, void *arg, struct err *err)
{
	int before = -1, after = -1;

	if (store_user_count(tx, &before, err) < 0 ||
	    store_tx(tx->s, add_user, ADDR("new@example.com"), err) < 0 ||
	    store_user_count(tx, &after, err) < 0)
		return -1;
	*(bool *)arg = before == after;
	return 0;
}

static void a_reader_keeps_its_snapshot(void **state)
{
	struct err err = {0};
	bool same = false;

	assert_int_equal(store_read(*state, count_twice, &same, &err), 0);
	assert_true(same);
	assert_int_equal(users(*state), 1);
}

/* Failing and good transactions at once: they share commits, and none takes another with it. */
struct load {
	struct store *s;
	int id, bad;
};

static void *load_main(void *arg)
{
	struct load *l = arg;

	for (int i = 0; i < 100; i++) {
		struct err err = {0};
		char email[64];
		bool fail = i % 3 == 0;
		int rc;

		snprintf(email, sizeof email, "u%d-%d@example.com", l->id, i);
		rc = store_tx(l->s, fail ? add_then_fail : add_user, email, &err);
		l->bad += fail ? rc == 0 : rc != 0;
		if (i % 10 == 0)
			l->bad += users(l->s) <= 0 && i > 10;
	}
	return NULL;
}

static void concurrent_transactions_are_separate(void **state)
{
	struct load l[8];
	pthread_t t[8];

	for (int i = 0; i < 8; i++) {
		l[i] = (struct load){*state, i, 0};
		assert_int_equal(pthread_create(&t[i], NULL, load_main, &l[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(l[i].bad, 0);
	}
	assert_int_equal(users(*state), 8 * 66);
}

struct async {
	struct loop *l;
	struct store *s;
	int done, failed;
};

static void async_done(void *arg, const struct err *err)
{
	struct async *a = *(struct async **)arg;

	a->failed += err->status != 0;
	if (++a->done == 20)
		loop_stop(a->l);
}

struct async_job {
	struct async *a;
	int i;
};

static int async_tx(struct tx *tx, void *arg, struct err *err)
{
	struct async_job *j = arg;
	char email[64];

	snprintf(email, sizeof email, "async%d@example.com", j->i / 2);
	return add_user(tx, email, err);
}

static void a_loop_is_told_after_the_commit(void **state)
{
	struct async a = {loop_new("test"), *state, 0, 0};
	struct async_job jobs[20];

	for (int i = 0; i < 20; i++) {
		jobs[i] = (struct async_job){&a, i};
		store_tx_async(*state, async_tx, &jobs[i], a.l, async_done);
	}
	loop_run(a.l);
	loop_free(a.l);
	assert_int_equal(a.done, 20);
	assert_int_equal(a.failed, 10); /* each address twice */
	assert_int_equal(users(*state), 10);
}

static int dangling(struct tx *tx, void *arg, struct err *err)
{
	return store_crash_set(tx, "no-such-app", "web.1", 1, 0, err);
}

static void broken_references_are_conflicts(void **state)
{
	struct err err = {0};

	assert_int_equal(store_tx(*state, dangling, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
}

/* --- files --- */

static const char *db_path(void **state)
{
	static char path[300];

	snprintf(path, sizeof path, "%s/paasd.db", (char *)*state);
	return path;
}

static void exec_sql(void **state, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(db_path(state), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void data_outlives_a_close_and_files_are_private(void **state)
{
	struct err err = {0};
	struct store *s;
	struct stat st;

	assert_int_equal(store_open(db_path(state), NULL, &s, &err), 0);
	assert_int_equal(store_tx(s, add_user, ADDR("a@example.com"), &err), 0);
	assert_int_equal(stat(db_path(state), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_close(s);
	assert_int_equal(store_open(db_path(state), NULL, &s, &err), 0);
	assert_int_equal(users(s), 1);
	store_close(s);
}

static void a_newer_or_foreign_or_damaged_database_is_refused(void **state)
{
	struct err err = {0};
	struct store *s;
	int fd;

	assert_int_equal(store_open(db_path(state), NULL, &s, &err), 0);
	store_close(s);
	exec_sql(state, "PRAGMA user_version = 9999");
	assert_int_equal(store_open(db_path(state), NULL, &s, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "newer"));

	assert_int_equal(unlink(db_path(state)), 0);
	exec_sql(state, "CREATE TABLE t (x)");
	assert_int_equal(store_open(db_path(state), NULL, &s, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);

	fd = open(db_path(state), O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is not a database, not at all", 34), 34);
	close(fd);
	assert_int_equal(store_open(db_path(state), NULL, &s, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
}

/* What store_tx has returned from must be there after a kill -9. */
static void a_commit_outlives_kill_9(void **state)
{
	struct err err = {0};
	struct store *s;
	int p[2], acked = 0, status, n;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		if (store_open(db_path(state), NULL, &s, &err) < 0)
			_exit(1);
		for (int i = 0;; i++) {
			char email[64];

			snprintf(email, sizeof email, "u%d@example.com", i);
			if (store_tx(s, add_user, email, &err) < 0 || write(p[1], "x", 1) != 1)
				_exit(1);
		}
	}
	close(p[1]);
	for (char c; acked < 50; acked++)
		assert_int_equal(read(p[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (char c; read(p[0], &c, 1) == 1;)
		acked++;
	close(p[0]);
	assert_int_equal(store_open(db_path(state), NULL, &s, &err), 0);
	n = users(s);
	assert_true(n == acked || n == acked + 1); /* committed, not yet told */
	store_close(s);
}

/* A full disk: the transaction fails as such, and the store works again when there is room. */
static int fill_up(struct tx *tx, void *arg, struct err *err)
{
	static char text[100000];
	struct store_audit_new a = {.action = "test", .detail = text};

	memset(text, 'x', sizeof text - 1);
	for (int i = 0; i < 100; i++)
		if (store_audit_add(tx, &a, err) < 0)
			return -1;
	return 0;
}

static int limit_pages(struct tx *tx, void *arg, struct err *err)
{
	char sql[64];

	snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", *(int *)arg);
	return sqlite3_exec(tx->c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static void a_full_disk_is_an_error_not_an_end(void **state)
{
	int few = 200, many = 1000000;
	struct err err = {0};

	assert_int_equal(store_tx(*state, limit_pages, &few, &err), 0);
	assert_int_equal(store_tx(*state, fill_up, NULL, &err), -1);
	assert_int_equal(err.code, ERR_DISK_FULL);
	assert_int_equal(err.status, 507);
	assert_int_equal(store_tx(*state, limit_pages, &many, &err), 0);
	assert_int_equal(store_tx(*state, add_user, ADDR("a@example.com"), &err), 0);
	assert_int_equal(users(*state), 1);
}

#define M(f) cmocka_unit_test_setup_teardown(f, open_setup, open_teardown)
#define F(f) cmocka_unit_test_setup_teardown(f, tmp_setup, tmp_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		M(a_commit_is_seen_by_readers),
		M(a_failed_transaction_leaves_nothing),
		M(readers_cannot_write),
		M(a_reader_keeps_its_snapshot),
		M(concurrent_transactions_are_separate),
		M(a_loop_is_told_after_the_commit),
		M(broken_references_are_conflicts),
		M(a_full_disk_is_an_error_not_an_end),
		F(data_outlives_a_close_and_files_are_private),
		F(a_newer_or_foreign_or_damaged_database_is_refused),
		F(a_commit_outlives_kill_9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
