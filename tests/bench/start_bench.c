/* How long it takes to start something and see its end, in ms.
 *   start_bench spawn N PROGRAM [ARG...]            fork + exec + wait
 *   start_bench dyno N RUN SLUG PROGRAM [ARG...]    a sandbox of the launcher that serves in RUN
 * Prints one line a measure:  NAME median_ms p10_ms p90_ms
 * "dyno" is from the request to the launcher until the shim says that the program has ended;
 * "created" is its part until the launcher has answered; "removed" is what clearing away takes
 * afterwards. */
#include "daemon/core/codec.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/sandbox/sandbox_int.h"
#include "proto/limits.h"
#include "proto/shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define APP_ID "00000000-0000-4000-8000-000000000001"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "start_bench: %s: %s\n", what, err ? err->msg : "failed");
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, double *ms, int n)
{
	qsort(ms, (size_t)n, sizeof *ms, by_size);
	printf("%s %.3f %.3f %.3f\n", name, ms[n / 2], ms[n / 10], ms[n - 1 - n / 10]);
}

static void spawn_once(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die(argv[0], NULL);
}

static void bench_spawn(int n, char **argv)
{
	double *ms = calloc((size_t)n, sizeof *ms);

	for (int i = 0; i < n; i++) {
		double start = now_ms();

		spawn_once(argv);
		ms[i] = now_ms() - start;
	}
	report("spawn", ms, n);
	free(ms);
}

/* A spec with all that a web dyno has, but for the log: nobody takes lines here. */
static void fill(struct launch_spec *s, const char *slug, char **argv)
{
	uuid_new(s->id);
	snprintf(s->app_id, sizeof s->app_id, "%s", APP_ID);
	snprintf(s->name, sizeof s->name, "web.1");
	s->slug = xstrdup(slug);
	s->net = true;
	s->mem_quota = MiB(512);
	s->mem_max = MiB(1024);
	s->pids_max = 256;
	s->cpu_weight = 100;
	s->on_detach = LAUNCH_KILL;
	s->attach_ms = 10000;
	for (int i = 0; argv[i]; i++)
		launch_spec_arg(s, argv[i]);
	launch_spec_env(s, "PATH", "/usr/bin:/bin");
}

static void await_exit(const char *dir, struct err *err)
{
	AUTO(sandbox_conn_close) struct sandbox_conn c;
	AUTO(buf_clear) struct buf b = {0};
	struct wire_frame f;
	size_t mark = wire_begin(&b, SHIM_ATTACH);

	wire_u64(&b, S_OFFSET, 0);
	wire_end(&b, mark);
	if (sandbox_connect(dir, "sock", &c, err) < 0 || sandbox_send(&c, &b, err) < 0)
		die("attach", err);
	while (sandbox_recv(&c, &f, clock_mono_ms() + 10000, -1, err) == 1)
		if (f.type == SHIM_EXIT)
			return;
	die("no exit", err);
}

static void bench_dyno(int n, const char *run, const char *slug, char **argv)
{
	double *made = calloc((size_t)n, sizeof *made), *ended = calloc((size_t)n, sizeof *ended);
	double *gone = calloc((size_t)n, sizeof *gone);
	struct launcher *l = NULL;
	struct err err = {0};

	if (launcher_open(run, &l, &err) < 0)
		die("launcher", &err);
	for (int i = 0; i < n; i++) {
		struct launch_spec s = {0};
		AUTO(auto_str) char *dir = NULL;
		double start;
		char ip[16];

		fill(&s, slug, argv);
		dir = xasprintf("%s/dynos/%s", run, s.id);
		start = now_ms();
		if (launcher_create(l, &s, ip, &err) < 0)
			die("create", &err);
		made[i] = now_ms() - start;
		await_exit(dir, &err);
		ended[i] = now_ms() - start;
		start = now_ms();
		if (launcher_remove(l, s.id, &err) < 0)
			die("remove", &err);
		gone[i] = now_ms() - start;
		launch_spec_clear(&s);
	}
	report("dyno", ended, n);
	report("created", made, n);
	report("removed", gone, n);
	launcher_close(l);
	free(made);
	free(ended);
	free(gone);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;

	codec_init();
	if (argc > 3 && n > 0 && strcmp(argv[1], "spawn") == 0)
		bench_spawn(n, argv + 3);
	else if (argc > 5 && n > 0 && strcmp(argv[1], "dyno") == 0)
		bench_dyno(n, argv[3], argv[4], argv + 5);
	else {
		fprintf(stderr,
			"usage: start_bench spawn N PROGRAM... | dyno N RUN SLUG PROGRAM...\n");
		return 2;
	}
	return 0;
}
