/* Durable transactions a second (a commit with fsync before each returns), by 1, 8 and 32 threads
 * that each wait for theirs, and reads a second. Prints one "name value unit" line each. */
#include "daemon/core/fsx.h"
#include "daemon/store/app.h"
#include "daemon/store/session.h"
#include "daemon/store/user.h"

#include <pthread.h>
#include <stdio.h>

struct work {
	struct store *s;
	int n;
	bool read;
};

static int audit(struct tx *tx, void *arg, struct err *err)
{
	struct store_audit_new a = {.action = "bench", .detail = "one row"};

	return store_audit_add(tx, &a, err);
}

static int count(struct tx *tx, void *arg, struct err *err)
{
	int n;

	return store_user_count(tx, &n, err);
}

static void *work_main(void *arg)
{
	struct work *w = arg;
	struct err err = {0};

	for (int i = 0; i < w->n; i++)
		if ((w->read ? store_read(w->s, count, NULL, &err)
			     : store_tx(w->s, audit, NULL, &err)) < 0) {
			fprintf(stderr, "%s\n", err.msg);
			exit(1);
		}
	return NULL;
}

static void run(struct store *s, const char *name, int threads, int n, bool read)
{
	struct work w = {s, n, read};
	pthread_t t[32];
	wall_us start = clock_wall_us();

	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work_main, &w) != 0)
			exit(1);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("%s_%d %.0f tx/s\n", name, threads,
	       (double)threads * n * 1e6 / (double)(clock_wall_us() - start));
}

int main(void)
{
	char dir[] = "/tmp/paas-store-bench-XXXXXX";
	AUTO(auto_str) char *path = NULL;
	struct store *s = NULL;
	struct err err = {0};

	codec_init();
	if (!mkdtemp(dir))
		return 1;
	path = xasprintf("%s/db", dir);
	if (store_open(path, NULL, &s, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	run(s, "store_write", 1, 2000, false);
	run(s, "store_write", 8, 2000, false);
	run(s, "store_write", 32, 1000, false);
	run(s, "store_read", 1, 20000, true);
	run(s, "store_read", 8, 5000, true);
	store_close(s);
	fs_rmtree(dir, NULL);
	return 0;
}
