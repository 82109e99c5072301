#include "daemon/pg/transfer_tool.h"
#include "daemon/core/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PIECE	 65536
#define SAID_MAX 8192 /* kept of stderr */
#define TICK_MS	 500
#define LAST_MS	 20000 /* for a child to end once its output has */

/* A child and our ends of its standard streams; -1 = closed. */
struct child {
	struct proc p;
	int in, out, err;
	bool running;
	struct buf said;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void child_clear(struct child *c)
{
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	if (c->running) {
		kill(-c->p.pid, SIGKILL); /* not reaped yet, so the group is still its own */
		proc_wait(&c->p, 0, -1, NULL, NULL);
	}
	c->running = false;
	buf_clear(&c->said);
}
#define child_clear_p child_clear

static void not_blocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int child_start(struct child *c, const char *const *argv, const struct pgurl *db, bool feed,
		       struct err *err)
{
	AUTO(pgurl_env_free) char **env = db ? pgurl_env(db) : NULL;
	/* A socket, as its writer can be spared SIGPIPE. */
	int in[2] = {-1, -1}, out[2], er[2], rc;

	c->in = c->out = c->err = -1;
	if (feed && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
		return err_errno(err, "socketpair");
	c->in = in[1];
	if (pipe2(out, O_CLOEXEC) < 0) {
		close_fd(&in[0]);
		return err_errno(err, "pipe");
	}
	c->out = out[0];
	if (pipe2(er, O_CLOEXEC) < 0) {
		close_fd(&in[0]);
		close(out[1]);
		return err_errno(err, "pipe");
	}
	c->err = er[0];
	const struct proc_spec s = {
		.argv = argv,
		.env = (const char *const *)env,
		.in_fd = in[0],
		.out_fd = out[1],
		.err_fd = er[1],
		.die_with_thread = true,
	};
	rc = proc_spawn(&s, &c->p, err);
	close_fd(&in[0]);
	close(out[1]);
	close(er[1]);
	if (rc < 0)
		return -1;
	c->running = true;
	if (c->in >= 0)
		not_blocking(c->in);
	not_blocking(c->out);
	not_blocking(c->err);
	return 0;
}

/* stderr, whose end counts. */
static void hear(struct child *c)
{
	char tmp[4096];
	ssize_t n;

	while ((n = read(c->err, tmp, sizeof tmp)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			buf_add(&c->said, tmp, (size_t)n);
		if (c->said.len > SAID_MAX)
			buf_drop(&c->said, c->said.len - SAID_MAX);
	}
	if (n == 0)
		close_fd(&c->err);
}

/* The last line that says something, without the program's name. */
static void last_words(const struct child *c, char *out, size_t cap)
{
	const char *s = buf_str(&c->said), *end = s + c->said.len, *p;

	for (;;) {
		while (end > s && (end[-1] == '\n' || end[-1] == ' '))
			end--;
		for (p = end; p > s && p[-1] != '\n'; p--)
			;
		/* what follows an error: where it was, what to do */
		if (p > s && (strncmp(p, "Command was", 11) == 0 || strncmp(p, "LINE ", 5) == 0 ||
			      *p == ' ' || *p == '\t' || strncmp(p, "DETAIL", 6) == 0 ||
			      strncmp(p, "HINT", 4) == 0 || strncmp(p, "CONTEXT", 7) == 0))
			end = p;
		else
			break;
	}
	snprintf(out, cap, "%.*s", (int)(end - p), p);
	for (char *q = out; *q; q++)
		if ((unsigned char)*q < ' ')
			*q = ' ';
}

static int verdict(const struct child *c, const char *name, int status, struct err *err)
{
	char words[300];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	const char *what;

	last_words(c, words, sizeof words);
	what = strstr(words, "ERROR:  "); /* behind psql's "psql:<stdin>:12: " */
	what = strncmp(words, "psql:", 5) == 0 && what ? what + strlen("ERROR:  ") : words;
	if (*words)
		return err_set(err, ERR_IO, "%s", what);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_IO, "%s was killed by signal %d", name, WTERMSIG(status));
	return err_set(err, ERR_IO, "%s ended with status %d", name, WEXITSTATUS(status));
}

/* --- one that runs to its end --- */

struct run {
	struct child c;
	const struct tool *t;
	const char *next; /* for stdin */
	size_t left;
	char *piece;
};

static int give(struct run *r, struct err *err)
{
	const void *p;
	ssize_t n;

	if (r->left == 0) {
		if (r->t->feed(r->t->arg, &p, &r->left, err) < 0)
			return -1;
		r->next = p;
	}
	if (r->left == 0) {
		close_fd(&r->c.in);
		return 0;
	}
	n = send(r->c.in, r->next, r->left, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		close_fd(&r->c.in); /* it has read enough, or has died, which its status says */
	if (n > 0) {
		r->next += n;
		r->left -= (size_t)n;
	}
	return 0;
}

static int take(struct run *r, struct err *err)
{
	ssize_t n = read(r->c.out, r->piece, PIECE);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close_fd(&r->c.out);
		return 0;
	}
	return r->t->sink ? r->t->sink(r->t->arg, r->piece, (size_t)n, err) : 0;
}

static int watched(const struct tool_watch *w, const struct pollfd *cancel, mono_ms *ticked,
		   struct err *err)
{
	mono_ms now = clock_mono_ms();

	if (cancel->revents)
		return err_set(err, ERR_CANCELED, "canceled");
	if (w->deadline && now >= w->deadline)
		return err_set(err, ERR_TIMEOUT, "took too long");
	if (!w->tick || now - *ticked < TICK_MS)
		return 0;
	*ticked = now;
	return w->tick(w->arg, err);
}

static int pump(struct run *r, const struct tool_watch *w, struct err *err)
{
	mono_ms ticked = clock_mono_ms();

	while (r->c.out >= 0 || r->c.err >= 0) {
		struct pollfd f[4] = {{.fd = w->cancel_fd, .events = POLLIN},
				      {.fd = r->c.in, .events = POLLOUT},
				      {.fd = r->c.out, .events = POLLIN},
				      {.fd = r->c.err, .events = POLLIN}};
		int n = poll(f, 4, TICK_MS);

		if (n < 0 && errno != EINTR)
			abort();
		if (n <= 0)
			memset(f, 0, sizeof f);
		if (watched(w, &f[0], &ticked, err) < 0)
			return -1;
		if (f[3].revents)
			hear(&r->c);
		if (f[2].revents && take(r, err) < 0)
			return -1;
		if (f[1].revents && give(r, err) < 0)
			return -1;
	}
	return 0;
}

int tool_run(const struct tool *t, const struct tool_watch *w, struct buf *said, struct err *err)
{
	AUTO(auto_str) char *piece = xmalloc(PIECE);
	AUTO(child_clear) struct child c = {.in = -1, .out = -1, .err = -1};
	struct run r = {.t = t, .piece = piece};
	int status = 0, rc;

	if (child_start(&c, t->argv, t->db, t->feed != NULL, err) < 0)
		return -1;
	r.c = c;
	c = (struct child){.in = -1, .out = -1, .err = -1};
	rc = pump(&r, w, err);
	close_fd(&r.c.in);
	if (rc == 0) {
		rc = proc_wait(&r.c.p, clock_mono_ms() + LAST_MS, w->cancel_fd, &status, err);
		r.c.running = false;
	}
	if (rc == 0)
		rc = verdict(&r.c, t->argv[0], status, err);
	if (said)
		buf_add(said, buf_str(&r.c.said), r.c.said.len);
	child_clear(&r.c);
	return rc;
}

/* --- a session --- */

struct tool_session {
	struct child c;
	char mark[40]; /* printed after each answer */
};

int tool_session_open(const struct pgurl *db, struct tool_session **out, struct err *err)
{
	/* --no-psqlrc: nothing of a home; --no-password: never asks */
	static const char *const argv[] = {
		"psql",	      "--no-psqlrc",	 "--no-password", "--quiet",
		"--no-align", "--tuples-only",	 "--set",	  "ON_ERROR_STOP=1",
		"--set",      "VERBOSITY=terse", "--file",	  "-",
		NULL};
	struct tool_session *s = xcalloc(1, sizeof *s);

	memcpy(s->mark, "\nend-", 5);
	random_hex(s->mark + 5, 32);
	memcpy(s->mark + 37, "\n", 2);
	if (child_start(&s->c, argv, db, true, err) < 0) {
		tool_session_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

/* Octets of the answer before the mark; -1 = it is not complete. */
static ssize_t answer_len(const struct tool_session *s, const struct buf *b, size_t from)
{
	size_t n = strlen(s->mark), back = from > n ? from - n : 0;
	const char *hit = b->len > back ? memmem(b->data + back, b->len - back, s->mark, n) : NULL;

	return hit ? hit - b->data : -1;
}

static int session_died(struct tool_session *s, struct err *err)
{
	int status = 0;

	while (s->c.err >= 0 &&
	       poll(&(struct pollfd){.fd = s->c.err, .events = POLLIN}, 1, 5000) > 0)
		hear(&s->c);
	if (proc_wait(&s->c.p, clock_mono_ms() + LAST_MS, -1, &status, err) < 0)
		return -1;
	s->c.running = false;
	if (verdict(&s->c, "psql", status, err) == 0)
		return err_set(err, ERR_IO, "psql ended too early");
	return -1;
}

/* 1: the answer is complete. 0: go on. */
static int read_answer(struct tool_session *s, struct buf *b, size_t max, struct err *err)
{
	size_t from = b->len;
	ssize_t n, len;

	buf_reserve(b, PIECE);
	n = read(s->c.out, b->data + b->len, PIECE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return session_died(s, err);
	b->len += (size_t)n;
	b->data[b->len] = 0;
	len = answer_len(s, b, from);
	if (len >= 0) {
		b->len = (size_t)len;
		b->data[b->len] = 0;
		return 1;
	}
	return b->len > max ? err_set(err, ERR_TOO_LARGE, "the answer is too long") : 0;
}

int tool_session_ask(struct tool_session *s, const char *sql, const struct tool_watch *w,
		     struct buf *out, size_t max, struct err *err)
{
	AUTO(auto_str) char *script = xasprintf("%s\n\\echo\n\\echo '%.36s'\n", sql, s->mark + 1);
	AUTO(buf_clear) struct buf answer = {0};
	const char *next = script;
	size_t left = strlen(script);
	mono_ms ticked = clock_mono_ms();
	int rc = 0;

	/* mark without its newlines: 36 octets */
	buf_addc(&answer, '\n');
	while (rc == 0) {
		struct pollfd f[4] = {{.fd = w->cancel_fd, .events = POLLIN},
				      {.fd = left ? s->c.in : -1, .events = POLLOUT},
				      {.fd = s->c.out, .events = POLLIN},
				      {.fd = s->c.err, .events = POLLIN}};
		int n = poll(f, 4, TICK_MS);

		if (n < 0 && errno != EINTR)
			abort();
		if (n <= 0)
			memset(f, 0, sizeof f);
		rc = watched(w, &f[0], &ticked, err);
		if (rc == 0 && f[3].revents)
			hear(&s->c);
		if (rc == 0 && f[1].revents) {
			ssize_t k = send(s->c.in, next, left, MSG_NOSIGNAL);

			left = k < 0 && errno != EAGAIN && errno != EINTR ? 0 : left;
			next += k > 0 ? k : 0;
			left -= k > 0 ? (size_t)k : 0;
		}
		if (rc == 0 && f[2].revents)
			rc = read_answer(s, &answer, max, err);
	}
	if (rc < 0)
		return -1;
	if (out)
		buf_add(out, answer.data + 1, answer.len - 1);
	return 0;
}

void tool_session_close(struct tool_session *s)
{
	child_clear(&s->c);
	free(s);
}

int tool_psql(const struct pgurl *db, const char *sql, const struct tool_watch *w, struct buf *out,
	      size_t max, struct err *err)
{
	AUTO(tool_session_close) struct tool_session *s = NULL;

	if (tool_session_open(db, &s, err) < 0)
		return -1;
	return tool_session_ask(s, sql, w, out, max, err);
}
