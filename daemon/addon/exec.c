/* Providers that are executables: bin/VERB, JSON on stdin and stdout (docs/addons.md). */
#include "daemon/addon/addon_int.h"
#include "daemon/core/clock.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define EXIT_LATER 75
#define MAX_LINE   400

/* --- stderr, line by line into the platform's log --- */

struct ear {
	int fd, stop_fd; /* stop: the verb has ended; what it left behind may hold the pipe open */
	const char *service, *verb;
	struct buf text;
	int lines;
	char last[200]; /* the last line, for verbs that say so why */
};

static void say_line(struct ear *e, const char *text)
{
	snprintf(e->last, sizeof e->last, "%s", text);
	if (e->lines++ < LIM_ADDON_STDERR)
		xlog(XLOG_INFO, "addon", "service=%s verb=%s stderr=%s", e->service, e->verb,
		     xlog_q(text));
	else if (e->lines == LIM_ADDON_STDERR + 1)
		xlog(XLOG_INFO, "addon", "service=%s verb=%s msg=\"more lines are left out\"",
		     e->service, e->verb);
}

static void say_lines(struct ear *e, bool all)
{
	char *end;

	while (e->text.len &&
	       ((end = memchr(e->text.data, '\n', e->text.len)) || e->text.len > MAX_LINE || all)) {
		size_t n = end ? (size_t)(end - e->text.data) : e->text.len;
		AUTO(auto_str) char *text = xstrndup(e->text.data, n < MAX_LINE ? n : MAX_LINE);

		say_line(e, text);
		buf_drop(&e->text, n + (end != NULL));
	}
}

static void listen_stderr(void *arg)
{
	struct ear *e = arg;
	bool stopping = false;

	for (;;) {
		struct pollfd p[] = {{e->fd, POLLIN, 0}, {e->stop_fd, POLLIN, 0}};
		char chunk[4096];
		ssize_t n;

		if (!stopping && poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		stopping = stopping || p[1].revents;
		n = read(e->fd, chunk, sizeof chunk);
		if (n == 0 || (n < 0 && errno == EAGAIN && stopping))
			break;
		if (n > 0)
			buf_add(&e->text, chunk, (size_t)n);
		say_lines(e, false);
	}
	say_lines(e, true);
	buf_clear(&e->text);
}

/* --- one call --- */

struct run {
	struct addons *a;
	const struct manifest *m;
	const char *verb;
	struct buf out;
};

struct listening {
	struct ear ear;
	struct thread *thread;
	int fds[2];
};

static int listen_begin(struct listening *l, const struct manifest *m, const char *verb,
			struct err *err)
{
	*l = (struct listening){.ear = {.service = m->s.name, .verb = verb}};
	l->ear.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (l->ear.stop_fd < 0 || pipe2(l->fds, O_CLOEXEC) < 0) {
		err_errno(err, "pipe");
		if (l->ear.stop_fd >= 0)
			close(l->ear.stop_fd);
		return -1;
	}
	if (fcntl(l->fds[0], F_SETFL, O_NONBLOCK) < 0)
		abort();
	l->ear.fd = l->fds[0];
	l->thread = thread_new("addon-log", listen_stderr, &l->ear);
	return 0;
}

static void listen_end(struct listening *l)
{
	close(l->fds[1]);
	eventfd_write(l->ear.stop_fd, 1);
	thread_join(l->thread);
	close(l->fds[0]);
	close(l->ear.stop_fd);
}

/* How a verb is run. */
struct program {
	char *path, *verb; /* owned */
	const char *argv[2], *env[5];
	struct proc_spec spec;
};

static void program_init(struct program *g, const struct manifest *m, const char *verb)
{
	*g = (struct program){.path = xasprintf("%s/bin/%s", m->s.dir, verb),
			      .verb = xasprintf("ADDON_VERB=%s", verb)};
	g->argv[0] = g->path;
	g->env[0] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	g->env[1] = "LANG=C.UTF-8";
	g->env[2] = "HOME=/";
	g->env[3] = g->verb;
	g->spec = (struct proc_spec){.argv = g->argv,
				     .env = g->env,
				     .cwd = m->s.dir,
				     .in_fd = -1,
				     .out_fd = -1,
				     .die_with_thread = true};
}

static void program_clear(struct program *g)
{
	free(g->path);
	free(g->verb);
}
#define program_clear_p program_clear

static int run_program(struct run *r, const char *text, int64_t ms, struct err *err)
{
	AUTO(program_clear) struct program g = {0};
	struct listening l;
	int rc;

	if (listen_begin(&l, r->m, r->verb, err) < 0)
		return -1;
	program_init(&g, r->m, r->verb);
	g.spec.err_fd = l.fds[1];
	rc = proc_run(&g.spec, text, strlen(text), &r->out, LIM_ADDON_ANSWER + 1,
		      clock_mono_ms() + ms, r->a->cancel_fd, err);
	listen_end(&l);
	return rc;
}

/* What it is told, to be read from the beginning: a file without a name. */
static int input_file(const json_t *in, struct err *err)
{
	AUTO(auto_str) char *text = json_dumps(in, JSON_COMPACT);
	int fd = memfd_create("addon-input", MFD_CLOEXEC);
	size_t n = strlen(text);
	bool good = fd >= 0 && write(fd, text, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0;

	explicit_bzero(text, n);
	if (good)
		return fd;
	err_errno(err, "a temporary file");
	if (fd >= 0)
		close(fd);
	return -1;
}

int exec_stream(const struct manifest *m, const char *verb, const json_t *in, int64_t ms,
		int out_fd, int cancel_fd, struct err *err)
{
	AUTO(program_clear) struct program g = {0};
	AUTO(auto_fd) int input = input_file(in, err);
	struct listening l;
	struct proc p;
	int rc, status = 0;

	if (input < 0 || listen_begin(&l, m, verb, err) < 0)
		return -1;
	program_init(&g, m, verb);
	g.spec.in_fd = input;
	g.spec.out_fd = out_fd;
	g.spec.err_fd = l.fds[1];
	rc = proc_spawn(&g.spec, &p, err);
	if (rc == 0)
		rc = proc_wait(&p, clock_mono_ms() + ms, cancel_fd, &status, err);
	listen_end(&l);
	if (rc == 0 && status != 0)
		rc = err_set(err, ERR_UNAVAILABLE, "%s: %s", m->s.name,
			     l.ear.last[0] ? l.ear.last : "it failed without saying why");
	return rc;
}

/* The first line of what was printed, where it is no JSON; owned. */
static char *first_line(const struct buf *out)
{
	size_t n = strcspn(buf_str(out), "\r\n");
	char *text = xstrndup(buf_str(out), n < 300 ? n : 300);

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

/* Why a verb did not do it, for people. */
static void say_why(const struct run *r, const json_t *j, const char *usual, enum err_id id,
		    struct err *err)
{
	AUTO(auto_str) char *text = j ? answer_message(j) : first_line(&r->out);

	err_set(err, id, "%.300s", text && *text ? text : usual);
}

static enum outcome judge(const struct run *r, int status, const json_t *j, struct err *err)
{
	if (r->out.len > LIM_ADDON_ANSWER) {
		err_set(err, ERR_UNAVAILABLE, "%s: %s answered more than %lld bytes", r->m->s.name,
			r->verb, LIM_ADDON_ANSWER);
		return OUT_FAULT;
	}
	if (status == 0 && (j || r->out.len == 0))
		return OUT_DONE;
	if (status == 0) {
		err_set(err, ERR_UNAVAILABLE, "%s: %s answered something that is not JSON",
			r->m->s.name, r->verb);
		return OUT_FAULT;
	}
	if (status == EXIT_LATER) {
		say_why(r, j, "It is not done yet.", ERR_UNAVAILABLE, err);
		return OUT_LATER;
	}
	if (status >= 126) { /* not executable, not found, or killed */
		err_set(err, ERR_UNAVAILABLE, "%s: %s ended with status %d", r->m->s.name, r->verb,
			status);
		return OUT_FAULT;
	}
	say_why(r, j, "The add-on's provider refused without saying why.", ERR_INVALID_PARAMS, err);
	return OUT_REFUSED;
}

static enum outcome exec_call(struct addons *a, const struct manifest *m, const char *verb,
			      const json_t *in, int64_t ms, json_t **out, struct err *err)
{
	AUTO(auto_str) char *text = json_dumps(in, JSON_COMPACT);
	AUTO(json_decref) json_t *j = NULL;
	struct run r = {.a = a, .m = m, .verb = verb};
	enum outcome o = OUT_FAULT;
	int status = run_program(&r, text, ms, err);

	if (status >= 0) {
		j = json_loadb(buf_str(&r.out), r.out.len, JSON_REJECT_DUPLICATES, NULL);
		if (j && !json_is_object(j)) {
			json_decref(j);
			j = NULL;
		}
		o = judge(&r, status, j, err);
	} else if (err->code == ERR_TIMEOUT) {
		err_set(err, ERR_TIMEOUT, "%s: %s did not end within %lld seconds", m->s.name, verb,
			(long long)(ms / 1000));
	}
	*out = j ? STEAL(j) : json_object();
	explicit_bzero(text, strlen(text));
	if (r.out.data)
		explicit_bzero(r.out.data, r.out.len);
	buf_clear(&r.out);
	return o;
}

const struct provider provider_exec = {exec_call};
