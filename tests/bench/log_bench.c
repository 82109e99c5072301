/* Lines a second through the log: from paasd's own modules, and from senders over the socket with
 * every batch acknowledged. Prints one "name value unit" line each. */
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/log/log.h"
#include "proto/limits.h"
#include "proto/logwire.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define APP   "11111111-2222-3333-4444-55555555555%d"
#define BATCH 200
#define SHIMS 4

static char dir[] = "/tmp/paas-log-bench-XXXXXX";
static char text[100];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void nothing(const struct log_line *l, void *arg)
{
	++*(int *)arg;
}

static double seconds_since(wall_us t)
{
	return (double)(clock_wall_us() - t) / 1e6;
}

static void own_lines(struct logd *d, int n)
{
	wall_us t = clock_wall_us();
	char app[40];
	int seen = 0;

	snprintf(app, sizeof app, APP, 9);
	for (int i = 0; i < n; i++) {
		logd_append(d, app, "app", "web.1", 0, text, sizeof text);
		if (i % 10000 == 9999) /* waits until the queue is written */
			logd_history(d, app, NULL, 1, nothing, &seen, NULL);
	}
	logd_history(d, app, NULL, 1, nothing, &seen, NULL);
	printf("log_own_lines %.0f lines/s\n", n / seconds_since(t));
}

struct shim {
	int id, batches;
};

static void *shim_main(void *arg)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct shim *s = arg;
	struct buf b = {0};
	char app[40], ack[20];

	snprintf(un.sun_path, sizeof un.sun_path, "%s/log.sock", dir);
	snprintf(app, sizeof app, APP, s->id);
	if (connect(fd, (const struct sockaddr *)&un, sizeof un) < 0)
		die("connect");
	for (int i = 0; i < s->batches; i++) {
		size_t m = wire_begin(&b, LOG_BATCH);

		wire_u64(&b, K_SEQ, (uint64_t)i);
		wire_str(&b, K_APP, app);
		wire_str(&b, K_SOURCE, "app");
		wire_str(&b, K_PROC, "web.1");
		for (int j = 0; j < BATCH; j++) {
			wire_u64(&b, K_TS_US, (uint64_t)clock_wall_us());
			wire_bytes(&b, K_TEXT, text, sizeof text);
		}
		wire_end(&b, m);
		if (send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
			die("send");
		buf_reset(&b);
		if (recv(fd, ack, sizeof ack, MSG_WAITALL) != sizeof ack)
			die("acknowledgement");
	}
	close(fd);
	buf_clear(&b);
	return NULL;
}

static void socket_lines(int batches)
{
	struct shim s[SHIMS];
	pthread_t t[SHIMS];
	wall_us start = clock_wall_us();

	for (int i = 0; i < SHIMS; i++) {
		s[i] = (struct shim){i, batches};
		if (pthread_create(&t[i], NULL, shim_main, &s[i]) != 0)
			die("thread");
	}
	for (int i = 0; i < SHIMS; i++)
		pthread_join(t[i], NULL);
	printf("log_socket_lines %.0f lines/s\n",
	       (double)SHIMS * batches * BATCH / seconds_since(start));
}

static void histories(struct logd *d, int n)
{
	wall_us t = clock_wall_us();
	char app[40];
	int seen = 0;

	snprintf(app, sizeof app, APP, 9);
	for (int i = 0; i < n; i++)
		logd_history(d, app, NULL, LIM_LOG_HISTORY, nothing, &seen, NULL);
	printf("log_history_1500 %.2f ms\n", seconds_since(t) * 1000 / n);
}

int main(void)
{
	AUTO(auto_str) char *logs = NULL, *sock = NULL;
	struct logd *d = NULL;
	struct err err = {0};

	signal(SIGPIPE, SIG_IGN);
	codec_init();
	memset(text, 'x', sizeof text);
	if (!mkdtemp(dir))
		die(dir);
	logs = xasprintf("%s/logs", dir);
	sock = xasprintf("%s/log.sock", dir);
	if (logd_start(logs, sock, &d, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	own_lines(d, 500000);
	histories(d, 100);
	socket_lines(500);
	logd_stop(d);
	fs_rmtree(dir, NULL);
	return 0;
}
