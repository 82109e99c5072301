/* paas-router - takes all public connections and hands requests to dynos or to paasd. */
#include "router/rt.h"
#include "daemon/core/service.h"
#include "daemon/core/xlog.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static struct rt rt; /* 'static' for its size */

static void usage(FILE *to)
{
	fputs("usage: paas-router --run DIR --listen ADDR:PORT[,ADDR:PORT] [--workers N]\n"
	      "                   [--error-pages DIR] [--log-level debug|info|warn|error]\n",
	      to);
}

static int parse_args(int argc, char **argv, struct rt *r, enum xlog_level *level, struct err *err)
{
	enum { RUN, LISTEN, WORKERS, PAGES, TIMEOUT, PER_DYNO, QUIT_MS, LOG_LEVEL, HELP, VERSION };
	static const struct option options[] = {
		{"run", required_argument, NULL, RUN},
		{"listen", required_argument, NULL, LISTEN},
		{"workers", required_argument, NULL, WORKERS},
		{"error-pages", required_argument, NULL, PAGES},
		{"log-level", required_argument, NULL, LOG_LEVEL},
		{"timeout", required_argument, NULL, TIMEOUT},	 /* tests: first=300 */
		{"per-dyno", required_argument, NULL, PER_DYNO}, /* tests */
		{"quit-ms", required_argument, NULL, QUIT_MS},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{0},
	};
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case RUN:
			r->opts.run_dir = optarg;
			break;
		case LISTEN:
			if (rt_listen_parse(r, optarg, err) < 0)
				return -1;
			break;
		case WORKERS:
			if (atoi(optarg) > 0)
				r->opts.workers = atoi(optarg);
			break;
		case PAGES:
			r->opts.error_pages = optarg;
			break;
		case TIMEOUT:
			if (rt_opts_timeout(&r->opts, optarg, err) < 0)
				return -1;
			break;
		case PER_DYNO:
			r->opts.per_dyno = atoi(optarg);
			break;
		case QUIT_MS:
			r->opts.quit_ms = strtoul(optarg, NULL, 10);
			break;
		case LOG_LEVEL:
			for (int i = 0; i < 4; i++)
				if (strcmp(optarg, levels[i]) == 0)
					*level = (enum xlog_level)i;
			break;
		case HELP:
			usage(stdout);
			exit(0);
		case VERSION:
			puts("paas-router " PAASD_VERSION);
			exit(0);
		default:
			return err_set(err, ERR_CONFIG, "bad arguments");
		}
	}
	if (rt_listen_inherit(r, err) < 0)
		return -1;
	if (!r->opts.run_dir || !r->nlistens || optind < argc)
		return err_set(err, ERR_CONFIG, "--run and --listen are needed");
	if (r->opts.workers > RT_MAX_WORKERS)
		r->opts.workers = RT_MAX_WORKERS;
	return 0;
}

/* Held until the process ends; the kernel lets go of it however that happens. */
static int take_lock(const char *run_dir, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/router.lock", run_dir);
	int fd;

	if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make %s", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_CONFLICT, "another router runs in %s", run_dir);
		return err_errno(err, "lock %s", path);
	}
	return 0;
}

static void on_signal(uv_signal_t *h, int sig)
{
	rt_quit(h->data, rt.opts.quit_ms);
}

static void watch(uv_signal_t *h, int sig)
{
	uv_signal_init(loop_uv(rt.main_loop), h);
	h->data = &rt;
	uv_signal_start(h, on_signal, sig);
	uv_unref((uv_handle_t *)h);
}

int main(int argc, char **argv)
{
	enum xlog_level level = XLOG_INFO;
	struct err err = {0};
	uv_signal_t term, interrupt;

	signal(SIGPIPE, SIG_IGN);
	rt_opts_init(&rt.opts);
	xlog_setup("paas-router", level, true);
	if (parse_args(argc, argv, &rt, &level, &err) < 0) {
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"cannot start\"");
		usage(stderr);
		return 2;
	}
	xlog_setup("paas-router", level, true);
	if (take_lock(rt.opts.run_dir, &err) < 0 || rt_start(&rt, &err) < 0) {
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"cannot start\"");
		return 1;
	}
	watch(&term, SIGTERM);
	watch(&interrupt, SIGINT);
	service_ready();
	rt_run(&rt);
	rt_stop(&rt);
	xlog(XLOG_INFO, "router", "msg=stopped");
	return 0;
}
