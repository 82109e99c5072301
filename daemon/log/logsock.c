/* RUN/log.sock: lines of shims and the router. A batch is acknowledged when it is written. */
#include "daemon/core/xlog.h"
#include "daemon/log/log_int.h"
#include "proto/limits.h"
#include "proto/logwire.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ACKS_UNREAD KiB(64) /* a sender that does not read its acknowledgements is cut off */
#define RETRY_MS    1000 /* after a failed write: senders come back at once with the same lines */

struct sender {
	uv_pipe_t pipe;
	struct logd *d;
	struct sender *next, **prev;
	struct buf in;	/* the start of a frame whose rest has not come */
	struct buf ack; /* for batches taken but not written yet */
	/* fields hold from line to line */
	char app_id[LOGD_ID], source[16], proc[160];
	wall_us ts;
	struct loop_timer *late; /* runs out: close */
};

static void sender_free(uv_handle_t *h)
{
	struct sender *s = h->data;

	buf_clear(&s->in);
	buf_clear(&s->ack);
	free(s);
}

static void sender_close(struct sender *s)
{
	if (uv_is_closing((uv_handle_t *)&s->pipe))
		return;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->d->sender_count--;
	loop_timer_stop(s->late);
	uv_close((uv_handle_t *)&s->pipe, sender_free);
}

/* --- frames --- */

static void take_line(struct sender *s, const struct wire_field *f)
{
	struct logapp *a = logd_app(s->d, s->app_id);

	if (a && s->source[0] && s->proc[0])
		logd_line(s->d, a, s->source, s->proc, s->ts ? s->ts : clock_wall_us(),
			  (const char *)f->data, f->len, false);
}

static void take_dropped(struct sender *s, uint64_t n)
{
	struct logapp *a = logd_app(s->d, s->app_id);

	if (a && n)
		logd_dropped(s->d, a, s->proc, n, s->ts ? s->ts : clock_wall_us());
}

static void take_ack(struct sender *s, uint64_t seq)
{
	size_t mark = wire_begin(&s->ack, LOG_ACK);

	wire_u64(&s->ack, K_SEQ, seq);
	wire_end(&s->ack, mark);
}

/* Control bytes have no place in the brackets of a line. */
static void copy_name(const struct wire_field *f, char *out, size_t cap)
{
	wire_copy_str(f, out, cap);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '[' || *p == ']')
			*p = '?';
}

static int take_batch(struct sender *s, struct wire_frame *frame)
{
	struct wire_field f;
	uint64_t seq = 0, dropped = 0;
	int rc;

	while ((rc = wire_next(frame, &f)) > 0) {
		switch (f.key) {
		case K_SEQ:
			seq = wire_get_u64(&f);
			break;
		case K_DROPPED:
			dropped = wire_get_u64(&f);
			break;
		case K_APP:
			wire_copy_str(&f, s->app_id, sizeof s->app_id);
			break;
		case K_SOURCE:
			copy_name(&f, s->source, sizeof s->source);
			break;
		case K_PROC:
			copy_name(&f, s->proc, sizeof s->proc);
			break;
		case K_TS_US:
			s->ts = (wall_us)wire_get_u64(&f);
			break;
		case K_TEXT:
			take_dropped(s, dropped);
			dropped = 0;
			take_line(s, &f);
			break;
		}
	}
	take_dropped(s, dropped);
	take_ack(s, seq);
	return rc;
}

/* Whole frames at p; returns bytes used, -1 when the sender talks nonsense. */
static ssize_t take_frames(struct sender *s, const char *p, size_t n)
{
	size_t used = 0;

	for (;;) {
		struct wire_frame f;
		ssize_t k = wire_parse(p + used, n - used, &f);

		if (k < 0 || (k > 0 && f.type == LOG_BATCH && take_batch(s, &f) < 0))
			return -1;
		if (k == 0)
			return (ssize_t)used;
		used += (size_t)k;
	}
}

static ssize_t take(struct sender *s, const char *p, size_t n)
{
	ssize_t used;

	if (!s->in.len) {
		used = take_frames(s, p, n);
		if (used >= 0 && (size_t)used < n)
			buf_add(&s->in, p + used, n - (size_t)used);
		return used;
	}
	buf_add(&s->in, p, n);
	used = take_frames(s, s->in.data, s->in.len);
	if (used <= 0)
		return used;
	buf_drop(&s->in, (size_t)used);
	if (!s->in.len && s->in.cap > 65536)
		buf_clear(&s->in);
	return used;
}

/* --- the connection --- */

static void ack_written(uv_write_t *w, int status)
{
	free(w->data);
	free(w);
}

static void send_acks(struct sender *s)
{
	uv_buf_t b = uv_buf_init(s->ack.data, (unsigned)s->ack.len);
	int n = uv_try_write((uv_stream_t *)&s->pipe, &b, 1);
	uv_write_t *w;

	if (n == (int)s->ack.len) {
		buf_reset(&s->ack);
		return;
	}
	if ((n < 0 && n != UV_EAGAIN) ||
	    uv_stream_get_write_queue_size((uv_stream_t *)&s->pipe) > ACKS_UNREAD) {
		sender_close(s);
		return;
	}
	buf_drop(&s->ack, n > 0 ? (size_t)n : 0);
	w = xcalloc(1, sizeof *w);
	b = uv_buf_init(NULL, (unsigned)s->ack.len);
	w->data = b.base = buf_steal(&s->ack);
	if (uv_write(w, (uv_stream_t *)&s->pipe, &b, 1, ack_written) != 0) {
		ack_written(w, 0);
		sender_close(s);
	}
}

static void close_late(void *arg)
{
	struct sender *s = arg;

	s->late = NULL;
	sender_close(s);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct sender *s = h->data;

	*b = uv_buf_init(s->d->read_buf, sizeof s->d->read_buf);
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *b)
{
	struct sender *s = st->data;
	ssize_t used;

	if (n == 0)
		return;
	if (n < 0) {
		sender_close(s);
		return;
	}
	used = take(s, b->base, (size_t)n);
	/* What is not written is not acknowledged: the sender comes again with it. */
	if (!logd_flush(s->d)) {
		uv_read_stop(st);
		s->late = loop_timer_start(s->d->loop, RETRY_MS, close_late, s);
		return;
	}
	if (used < 0) {
		xlog(XLOG_WARN, "log", "msg=\"a sender of lines was cut off: bad frame\"");
		sender_close(s);
		return;
	}
	if (s->ack.len)
		send_acks(s);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct logd *d = server->data;
	struct sender *s;

	if (status < 0)
		return;
	s = xcalloc(1, sizeof *s);
	s->d = d;
	uv_pipe_init(server->loop, &s->pipe, 0);
	s->pipe.data = s;
	s->next = d->senders;
	s->prev = &d->senders;
	if (s->next)
		s->next->prev = &s->next;
	d->senders = s;
	d->sender_count++;
	if (uv_accept(server, (uv_stream_t *)&s->pipe) != 0 || d->sender_count > LOGD_SENDERS ||
	    uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read) != 0)
		sender_close(s);
}

/* Through the folder's descriptor: run directories may be deeper than sun_path is long. */
static int bind_socket(const char *path, struct err *err)
{
	AUTO(auto_str) char *a = xstrdup(path), *b = xstrdup(path);
	const char *name = basename(a);
	AUTO(auto_fd) int dir = open(dirname(b), O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(auto_fd) int fd = -1;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int n;

	if (dir < 0)
		return err_errno(err, "cannot listen on %s", path);
	n = snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof un.sun_path)
		return err_set(err, ERR_CONFIG, "%s: the name is too long", path);
	unlinkat(dir, name, 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof un) < 0 ||
	    fchmodat(dir, name, 0660, 0) < 0)
		return err_errno(err, "cannot listen on %s", path);
	n = fd;
	fd = -1;
	return n;
}

int logsock_listen(struct logd *d, struct err *err)
{
	int fd = bind_socket(d->sock_path, err), rc;

	if (fd < 0)
		return -1;
	uv_pipe_init(loop_uv(d->loop), &d->server, 0);
	d->server.data = d;
	rc = uv_pipe_open(&d->server, fd);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&d->server, 128, on_connection);
	else
		close(fd);
	return rc ? err_set(err, ERR_IO, "cannot listen on %s: %s", d->sock_path, uv_strerror(rc))
		  : 0;
}

void logsock_close(struct logd *d)
{
	uv_close((uv_handle_t *)&d->server, NULL);
	unlink(d->sock_path);
	while (d->senders)
		sender_close(d->senders);
}
