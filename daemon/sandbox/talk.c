/* A sandbox whose stdin is fed while its output is read: neither waits for the other. */
#include "daemon/core/xlog.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/sandbox/sandbox_int.h"
#include "proto/limits.h"
#include "proto/shim.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_MAX (256 * 1024) /* of stdin, not sent yet */
#define PIECE	(32 * 1024)  /* of stdin, a frame */
#define GULP	(128 * 1024)

struct sandbox_talk {
	struct launcher *l;
	char id[37];
	struct sandbox_conn c;
	struct buf out;
	bool eof, ended;
	int code;
};

static void put_empty(struct buf *b, uint16_t type)
{
	size_t mark = wire_begin(b, type);

	if (type == SHIM_ATTACH)
		wire_u64(b, S_OFFSET, 0);
	wire_end(b, mark);
}

int sandbox_talk_open(struct launcher *l, const struct launch_spec *s, struct sandbox_talk **out,
		      struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/dynos/%s", launcher_run_dir(l), s->id);
	AUTO(sandbox_talk_close) struct sandbox_talk *t = NULL;
	struct launch_spec copy = *s; /* shallow: only numbers change */
	char ip[16];

	if (!copy.attach_ms)
		copy.attach_ms = LIM_ATTACH_MS; /* not a byte of output is missed */
	if (launcher_create(l, &copy, ip, err) < 0)
		return -1;
	t = xcalloc(1, sizeof *t);
	t->l = l;
	t->c.fd = -1;
	memcpy(t->id, s->id, sizeof t->id);
	if (sandbox_connect(dir, "sock", &t->c, err) < 0)
		return -1;
	put_empty(&t->out, SHIM_ATTACH);
	*out = STEAL(t);
	return 0;
}

void sandbox_talk_close(struct sandbox_talk *t)
{
	struct err err = {0};

	sandbox_conn_close(&t->c);
	if (launcher_remove(t->l, t->id, &err) < 0)
		xlog_err(XLOG_WARN, "sandbox", &err, "msg=\"a sandbox stays\" id=%s", t->id);
	buf_clear(&t->out);
	free(t);
}

size_t sandbox_talk_room(const struct sandbox_talk *t)
{
	return t->eof || t->out.len >= OUT_MAX ? 0 : OUT_MAX - t->out.len;
}

void sandbox_talk_say(struct sandbox_talk *t, const void *p, size_t n)
{
	const char *s = p;

	assert(n <= sandbox_talk_room(t));
	while (n > 0) {
		size_t k = n < PIECE ? n : PIECE, mark = wire_begin(&t->out, SHIM_STDIN);

		wire_bytes(&t->out, S_DATA, s, k);
		wire_end(&t->out, mark);
		s += k;
		n -= k;
	}
}

void sandbox_talk_eof(struct sandbox_talk *t)
{
	if (!t->eof)
		put_empty(&t->out, SHIM_STDIN_EOF);
	t->eof = true;
}

static void send_some(struct sandbox_talk *t)
{
	ssize_t n = send(t->c.fd, t->out.data, t->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0)
		buf_drop(&t->out, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_clear(&t->out); /* the shim has gone: reading tells */
}

/* Of what has come: 1 = there is output, or the end. */
static int take(struct sandbox_talk *t, const void **p, size_t *n, struct err *err)
{
	struct wire_frame f;
	struct wire_field v;
	ssize_t used;

	buf_drop(&t->c.in, t->c.used);
	t->c.used = 0;
	while ((used = wire_parse(buf_str(&t->c.in) + t->c.used, t->c.in.len - t->c.used, &f)) >
	       0) {
		t->c.used += (size_t)used;
		while (wire_next(&f, &v) == 1) {
			if (f.type == SHIM_OUTPUT && v.key == S_DATA) {
				*p = v.data;
				*n = v.len;
			} else if (f.type == SHIM_EXIT && v.key == S_EXIT_CODE) {
				t->code = (int)wire_get_u64(&v);
				t->ended = true;
			}
		}
		if (*n || t->ended)
			return 1;
	}
	return used < 0 ? err_set(err, ERR_CORRUPT, "a frame is too large") : 0;
}

static int receive(struct sandbox_talk *t, struct err *err)
{
	ssize_t n;

	buf_reserve(&t->c.in, GULP);
	n = recv(t->c.fd, t->c.in.data + t->c.in.len, GULP, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return err_set(err, ERR_INTERNAL, "the sandbox's shim died");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(err, "read from the sandbox");
	if (n > 0)
		t->c.in.len += (size_t)n;
	return 0;
}

int sandbox_talk_step(struct sandbox_talk *t, int ms, int cancel_fd, const void **p, size_t *n,
		      int *code, struct err *err)
{
	struct pollfd f[2] = {{.fd = t->c.fd, .events = POLLIN},
			      {.fd = cancel_fd, .events = POLLIN}};
	int some;

	*n = 0;
	*p = NULL;
	some = take(t, p, n, err);
	if (some < 0)
		return -1;
	if (t->out.len)
		f[0].events |= POLLOUT;
	if (poll(f, 2, some ? 0 : ms) < 0 && errno != EINTR)
		return err_errno(err, "wait for a sandbox");
	if (f[1].revents)
		return err_set(err, ERR_CANCELED, "canceled");
	if (f[0].revents & POLLOUT)
		send_some(t);
	if (!some && (f[0].revents & (POLLIN | POLLHUP | POLLERR)) &&
	    (receive(t, err) < 0 || take(t, p, n, err) < 0))
		return -1;
	*code = t->code;
	return t->ended && !*n;
}
