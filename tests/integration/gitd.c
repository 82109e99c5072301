/* gitd - the real git module behind the real HTTP server, with builds that do what a script says.
 *   gitd STATE      prints "port N"; SIGTERM ends it
 * STATE/apps/NAME holds an app's id, STATE/script/NAME what its build does, line by line:
 *   say TEXT | chatty LINES | wait FIFO | export DIR | stale | fail TEXT | after TEXT | afterwait
 * FIFO Everything that happens is appended to STATE/events. Tokens: alice-token owns all apps,
 * bob-token none. */
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/git/git_int.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct gitd {
	struct config cfg;
	struct git *git;
	struct loop *loop;
	struct http_server *server;
	uv_signal_t term;
	char state[2048];
};

static void event(struct gitd *d, const char *fmt, ...) PRINTF(2, 3);
static void event(struct gitd *d, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_str) char *path = xasprintf("%s/events", d->state);
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	if (write(fd, b.data, b.len) != (ssize_t)b.len)
		abort();
}

static int login(void *arg, const char *token, char user_id[37], char email[256], struct err *err)
{
	bool alice = !strcmp(token, "alice-token");

	if (!alice && strcmp(token, "bob-token") != 0)
		return err_set(err, ERR_UNAUTHORIZED, "no such token");
	snprintf(user_id, 37, "%s",
		 alice ? "00000000-0000-4000-8000-00000000a11c"
		       : "00000000-0000-4000-8000-00000000b0b0");
	snprintf(email, 256, "%s@example.com", alice ? "alice" : "bob");
	return 0;
}

static int app(void *arg, const char *user_id, const char *name, bool writes, char app_id[37],
	       struct err *err)
{
	struct gitd *d = arg;
	AUTO(auto_str) char *path = xasprintf("%s/apps/%s", d->state, name);
	AUTO(buf_clear) struct buf id = {0};

	if (strstr(user_id, "b0b0") || fs_read(path, 36, &id, NULL) < 0)
		return err_not_found(err, "app");
	snprintf(app_id, 37, "%s", id.data);
	return 0;
}

/* Opening a fifo for reading blocks until the test opens it for writing. */
static void wait_fifo(const char *path)
{
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c;

	if (fd >= 0 && read(fd, &c, 1) < 0)
		abort();
}

struct step_ctx {
	struct gitd *d;
	const struct git_update *u;
	struct git_push *p;
};

static void say_line(const char *line, void *arg)
{
	struct step_ctx *c = arg;

	git_sayf(c->p, "%s\n", line);
}

/* -1 = the build fails. */
static int build_step(struct step_ctx *c, const char *verb, const char *arg, struct err *err)
{
	if (!strcmp(verb, "say"))
		git_sayf(c->p, "%s\n", arg);
	else if (!strcmp(verb, "wait"))
		wait_fifo(arg);
	else if (!strcmp(verb, "stale"))
		event(c->d, "stale %d", git_stale(c->p, c->u));
	else if (!strcmp(verb, "export"))
		return git_export(c->u->repo_dir, c->u->quarantine_dir, c->u->commit, arg,
				  &c->d->cfg, say_line, c, err);
	else if (!strcmp(verb, "fail"))
		return err_set(err, ERR_BUILD_FAILED, "%s", arg);
	else if (!strcmp(verb, "chatty"))
		for (int i = 0; i < atoi(arg); i++)
			git_sayf(c->p, "       %070d\n", i);
	return 0;
}

static int run_script(struct step_ctx *c, bool after, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/script/%s", c->d->state, c->u->app_name);
	AUTO(buf_clear) struct buf text = {0};
	char *save = NULL;

	if (fs_read(path, 65536, &text, NULL) < 0)
		return 0;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *arg = strchr(line, ' ');

		if (arg)
			*arg++ = 0;
		if (after && !strcmp(line, "after"))
			git_sayf(c->p, "%s\n", arg);
		else if (after && !strcmp(line, "afterwait"))
			wait_fifo(arg);
		else if (!after && build_step(c, line, arg ? arg : "", err) < 0)
			return -1;
	}
	return 0;
}

static int build(void *arg, const struct git_update *u, struct git_push *p, void **token,
		 struct err *err)
{
	struct gitd *d = arg;
	struct step_ctx c = {d, u, p};

	event(d, "build %s %s %s %s", u->app_name, u->ref, u->commit, u->user_email);
	git_sayf(p, "-----> Building %s\n", u->app_name);
	if (run_script(&c, false, err) < 0) {
		git_sayf(p, " !     %s\n", err->msg);
		event(d, "failed %s %s", u->app_name, u->commit);
		return -1;
	}
	event(d, "built %s %s", u->app_name, u->commit);
	*token = xstrdup(u->commit);
	return 0;
}

static void after(void *arg, const struct git_update *u, struct git_push *p, void *token)
{
	struct gitd *d = arg;
	struct step_ctx c = {d, u, p};

	run_script(&c, true, NULL);
	git_sayf(p, "       Released v1\n");
	event(d, "after %s %s", u->app_name, (char *)token);
	free(token);
}

static void undo(void *arg, void *token)
{
	event(arg, "undo %s", (char *)token);
	free(token);
}

static void handle(struct http_x *x, void *arg)
{
	struct gitd *d = arg;

	if (git_wants(http_path(x)))
		git_handle(d->git, x);
	else
		http_reply(x, 404, "text/plain", "not git\n", 8);
}

static void stopped(void *arg)
{
	struct gitd *d = arg;

	uv_close((uv_handle_t *)&d->term, NULL);
	loop_stop(d->loop);
}

static void terminate(uv_signal_t *s, int signum)
{
	struct gitd *d = s->data;

	http_server_stop(d->server, 2000, stopped, d);
}

static int env_int(const char *name, int def)
{
	const char *v = getenv(name);

	return v ? atoi(v) : def;
}

static int start(struct gitd *d, struct err *err)
{
	struct git_ops ops = {d, login, app, build, after, undo};
	int port = 0;

	d->cfg.state_dir = d->state;
	d->cfg.allow_private_urls = env_int("GITD_ALLOW_PRIVATE", 0);
	d->cfg.disk_reserve_mb = env_int("GITD_RESERVE_MB", 0);
	if (git_open(&d->cfg, &ops, &d->git, err) < 0 || git_sweep(d->git, err) < 0)
		return -1;
	git_tune(d->git, env_int("GITD_GC_PACKS", 20), env_int("GITD_GC_DELAY_MS", 30000),
		 env_int("GITD_KEEPALIVE_MS", LIM_GIT_KEEPALIVE_MS));
	d->loop = loop_new("main");
	d->server = http_server_new(d->loop, handle, d);
	if (http_server_listen(d->server, "127.0.0.1:0", &port, err) < 0)
		return -1;
	uv_signal_init(loop_uv(d->loop), &d->term);
	d->term.data = d;
	uv_signal_start(&d->term, terminate, SIGTERM);
	printf("port %d\n", port);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct gitd d = {0};
	struct err err = {0};

	if (argc != 2)
		return 2;
	xlog_setup("gitd", XLOG_DEBUG, true);
	codec_init();
	snprintf(d.state, sizeof(d.state), "%s", argv[1]);
	if (start(&d, &err) < 0) {
		fprintf(stderr, "gitd: %s\n", err.msg);
		return 1;
	}
	loop_run(d.loop);
	git_close(d.git);
	http_server_free(d.server);
	loop_free(d.loop);
	return 0;
}
