/* Fetch and clone: `git upload-pack --stateless-rpc`, one limited child a request
 * (git-upload-pack(1), gitprotocol-v2(5)). The request's body goes through an unlinked file, so
 * that no order of reading and writing can make child and client wait for each other. */
#include "daemon/git/git_int.h"

#include "daemon/core/xlog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { LOOK_MS = 1000 }; /* how often a silent child's client is looked for */

struct server {
	struct proc proc;
	int out, err;
	struct buf said; /* its stderr */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The highest version that the header asks for, of those we know: "version=2", or several with ':'.
 * Other words are not passed on. */
static int asked_version(struct http_x *x)
{
	const char *h = http_header(x, "git-protocol");
	int best = 0;

	if (!h || strlen(h) > 64 ||
	    strspn(h, "abcdefghijklmnopqrstuvwxyz0123456789=:.-") != strlen(h))
		return 0;
	for (;;) {
		size_t n = strcspn(h, ":");

		if (n == 9 && !memcmp(h, "version=", 8) && h[8] >= '0' && h[8] <= '2' &&
		    h[8] - '0' > best)
			best = h[8] - '0';
		if (!h[n])
			return best;
		h += n + 1;
	}
}

static int spawn(struct git_req *rq, int version, bool advertise, int in_fd, struct server *sv,
		 struct err *err)
{
	const char *argv[] = {"git",
			      "upload-pack",
			      "--stateless-rpc",
			      advertise ? "--http-backend-info-refs" : rq->repo,
			      advertise ? rq->repo : NULL,
			      NULL};
	AUTO(genv_clear) struct genv env;
	char protocol[16];
	int out[2], er[2];

	genv_init(&env);
	snprintf(protocol, sizeof(protocol), "version=%d", version);
	if (version)
		genv_set(&env, "GIT_PROTOCOL", protocol);
	genv_config(&env, "uploadpack.allowFilter", "true");
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	if (pipe2(er, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return err_errno(err, "pipe");
	}
	struct proc_spec s = {
		.argv = argv,
		.env = genv_done(&env),
		.in_fd = in_fd,
		.out_fd = out[1],
		.err_fd = er[1],
		.lim = {.as_bytes = LIM_GIT_FETCH_AS},
		.die_with_thread = true,
	};
	int rc = proc_spawn(&s, &sv->proc, err);

	close(out[1]);
	close(er[1]);
	sv->out = out[0];
	sv->err = er[0];
	fcntl(sv->err, F_SETFL, O_NONBLOCK);
	if (rc < 0) {
		close_fd(&sv->out);
		close_fd(&sv->err);
	}
	return rc;
}

static void hear(struct server *sv)
{
	char tmp[1024];
	ssize_t n = read(sv->err, tmp, sizeof(tmp));

	if (n > 0 && sv->said.len < 1024)
		buf_add(&sv->said, tmp, (size_t)n);
	if (n == 0)
		close_fd(&sv->err);
}

/* Next output; 0 at its end, -1 when the client has gone or the time is over. */
static ssize_t next_output(struct git_req *rq, struct server *sv, mono_ms deadline, char *to,
			   size_t n)
{
	for (;;) {
		struct pollfd f[2] = {{.fd = sv->out, .events = POLLIN},
				      {.fd = sv->err, .events = POLLIN}};
		int ready = poll(f, 2, LOOK_MS);

		if (http_client_gone(rq->x) || clock_mono_ms() > deadline)
			return -1;
		if (ready > 0 && f[1].revents)
			hear(sv);
		if (ready <= 0 || !f[0].revents)
			continue;
		ssize_t got = read(sv->out, to, n);

		if (got >= 0 || errno != EINTR)
			return got;
	}
}

static void done(struct git_req *rq, struct server *sv, bool kill, int *status)
{
	close_fd(&sv->out);
	close_fd(&sv->err);
	/* A deadline that is over kills the group: pack-objects goes with its parent. */
	proc_wait(&sv->proc, kill ? 1 : clock_mono_ms() + LIM_GIT_FETCH_MS, -1, status, NULL);
	if (!kill && *status != 0)
		xlog(XLOG_INFO, "git", "msg=\"upload-pack failed\" app=%s status=%d said=%s",
		     rq->app_name, *status, xlog_q(buf_str(&sv->said)));
	buf_clear(&sv->said);
}

/* Streams the child's output. first: what goes before it. Ends the exchange. */
static void stream(struct git_req *rq, struct server *sv, const char *type, const char *first)
{
	mono_ms deadline = clock_mono_ms() + LIM_GIT_FETCH_MS;
	char *tmp = xmalloc(65536);
	bool started = false, gone = false;
	int status = 0;
	ssize_t n;

	while (!gone && (n = next_output(rq, sv, deadline, tmp, 65536)) != 0) {
		gone = n < 0;
		if (!gone && !started) {
			started = true;
			git_no_cache(rq->x);
			http_respond(rq->x, 200, type);
			http_write(rq->x, first, strlen(first));
		}
		if (!gone)
			gone = http_write(rq->x, tmp, (size_t)n) < 0;
	}
	free(tmp);
	done(rq, sv, gone, &status);
	if (!started && !gone)
		git_reply_text(rq->x, 500, "The repository cannot be read.");
	else if (gone ||
		 WIFSIGNALED(status)) /* cut, so that a partial answer cannot pass for whole */
		http_abort(rq->x);
	else
		http_end(rq->x);
}

static int take_turn(struct git_req *rq)
{
	struct git *g = rq->g;

	if (git_slot_take(g, &g->fetching, LIM_GIT_FETCHES, clock_mono_ms() + LIM_GIT_WAIT_MS,
			  rq->x) == 0)
		return 0;
	http_set(rq->x, "Retry-After", "30");
	git_reply_text(rq->x, 503, "Too many fetches at once. Please try again in a moment.");
	return -1;
}

static void serve(struct git_req *rq, int version, bool advertise, int in_fd, const char *type,
		  const char *first)
{
	struct server sv = {.out = -1, .err = -1};
	struct err err = {0};

	if (take_turn(rq) < 0)
		return;
	if (spawn(rq, version, advertise, in_fd, &sv, &err) < 0)
		git_reply_error(rq, &err);
	else
		stream(rq, &sv, type, first);
	git_slot_give(rq->g, &rq->g->fetching);
}

void git_advertise_fetch(struct git_req *rq)
{
	int version = asked_version(rq->x);

	serve(rq, version, true, -1, "application/x-git-upload-pack-advertisement",
	      version == 2 ? "" : "001e# service=git-upload-pack\n0000");
}

static int spool_file(const char *dir, struct err *err)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		AUTO(auto_str) char *path = xasprintf("%s/.fetch-XXXXXX", dir);

		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	return fd < 0 ? err_errno(err, "cannot spool the request") : fd;
}

static int spool_body(struct git_req *rq, int fd, struct err *err)
{
	char tmp[16384];
	ssize_t n;

	while ((n = http_read(rq->x, tmp, sizeof(tmp), err)) > 0) {
		for (ssize_t at = 0; at < n;) {
			ssize_t w = write(fd, tmp + at, (size_t)(n - at));

			if (w < 0 && errno != EINTR)
				return err_errno(err, "cannot spool the request");
			at += w > 0 ? w : 0;
		}
	}
	if (n < 0)
		return -1;
	return lseek(fd, 0, SEEK_SET) < 0 ? err_errno(err, "cannot spool the request") : 0;
}

void git_fetch(struct git_req *rq)
{
	struct err err = {0};
	AUTO(auto_fd) int fd = spool_file(rq->g->repos_dir, &err);

	http_set_max_body(rq->x, LIM_GIT_FETCH_BODY);
	if (fd < 0 || spool_body(rq, fd, &err) < 0) {
		git_reply_error(rq, &err);
		return;
	}
	serve(rq, asked_version(rq->x), false, fd, "application/x-git-upload-pack-result", "");
}
