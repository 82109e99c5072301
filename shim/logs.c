#include "shim/logs.h"
#include "proto/limits.h"
#include "proto/logwire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	BATCH_BYTES = 64 * 1024, /* a batch is closed above this */
	BATCH_MS = 50,		 /* or at this age */
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 2000,
};

void logs_init(struct logs *l, const char *app_id, const char *proc, const char *spool,
	       size_t spool_limit)
{
	*l = (struct logs){.on = true,
			   .app_id = app_id,
			   .proc = proc,
			   .fd = -1,
			   .backoff_ms = BACKOFF_MIN_MS,
			   .lines = {.max = LIM_LOG_LINE}};
	spool_init(&l->spool, spool, spool_limit);
}

static void close_batch(struct logs *l)
{
	if (!l->batch.len)
		return;
	wire_end(&l->batch, l->mark);
	spool_push(&l->spool, &l->batch);
	buf_reset(&l->batch);
	if (l->batch.cap > BATCH_BYTES / 4)
		buf_clear(&l->batch); /* bursts are rare: give the memory back */
}

static void add_line(const char *text, size_t len, void *arg)
{
	struct logs *l = arg;

	if (!l->batch.len) {
		l->mark = wire_begin(&l->batch, LOG_BATCH);
		wire_u64(&l->batch, K_SEQ, ++l->seq);
		wire_str(&l->batch, K_APP, l->app_id);
		wire_str(&l->batch, K_SOURCE, "app");
		wire_str(&l->batch, K_PROC, l->proc);
		l->batch_since = clock_mono_ms();
	}
	wire_u64(&l->batch, K_TS_US, (uint64_t)l->stamp);
	wire_bytes(&l->batch, K_TEXT, text, len);
	if (l->batch.len >= BATCH_BYTES)
		close_batch(l);
}

void logs_feed(struct logs *l, const char *p, size_t n)
{
	if (!l->on)
		return;
	l->stamp = clock_wall_us();
	lines_feed(&l->lines, p, n, add_line, l);
}

void logs_end(struct logs *l)
{
	if (!l->on)
		return;
	l->stamp = clock_wall_us();
	lines_end(&l->lines, add_line, l);
	close_batch(l);
}

static void drop_connection(struct logs *l, mono_ms now)
{
	close(l->fd);
	l->fd = -1;
	buf_clear(&l->in);
	spool_rewind(&l->spool);
	l->retry_at = now + l->backoff_ms;
}

static void try_connect(struct logs *l, mono_ms now)
{
	/* relative to the dyno folder, RUN/dynos/ID: run directories may be deeper than sun_path is
	 * long, and /proc/self/fd is closed to a process that is not dumpable */
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "../../log.sock"};

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd >= 0 && connect(l->fd, (const struct sockaddr *)&a, sizeof a) == 0) {
		l->lost_touch = false;
		l->backoff_ms = BACKOFF_MIN_MS;
		return;
	}
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->lost_touch = true;
	l->retry_at = now + l->backoff_ms;
	l->backoff_ms = l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : l->backoff_ms * 2;
}

static void send_some(struct logs *l, mono_ms now)
{
	const char *p;
	size_t n;

	while ((p = spool_next(&l->spool, &n)) != NULL) {
		ssize_t k = send(l->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k > 0) {
			spool_sent(&l->spool, (size_t)k);
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN)
			return;
		drop_connection(l, now);
		return;
	}
}

int logs_tick(struct logs *l, mono_ms now)
{
	int wait = -1;

	if (!l->on)
		return -1;
	/* nothing under way: send at once; else gather until the answer or BATCH_MS */
	if (l->batch.len) {
		if (!spool_in_flight(&l->spool) || now - l->batch_since >= BATCH_MS)
			close_batch(l);
		else
			wait = (int)(BATCH_MS - (now - l->batch_since));
	}
	if (spool_empty(&l->spool))
		return wait;
	if (l->fd < 0 && now >= l->retry_at)
		try_connect(l, now);
	if (l->fd >= 0) {
		send_some(l, now);
		if (l->fd >= 0)
			return wait;
	}
	return wait >= 0 && wait < (int)(l->retry_at - now) ? wait : (int)(l->retry_at - now);
}

void logs_poll(const struct logs *l, struct pollfd *p)
{
	*p = (struct pollfd){.fd = l->on ? l->fd : -1, .events = POLLIN};
	if (l->on && l->fd >= 0 && l->spool.sent < l->spool.mem.len)
		p->events |= POLLOUT;
}

static void take_acks(struct logs *l)
{
	struct wire_frame f;
	struct wire_field field;
	ssize_t n;

	while ((n = wire_parse(buf_str(&l->in), l->in.len, &f)) > 0) {
		while (f.type == LOG_ACK && wire_next(&f, &field) == 1)
			if (field.key == K_SEQ)
				spool_acked(&l->spool, wire_get_u64(&field));
		buf_drop(&l->in, (size_t)n);
	}
	if (n < 0)
		buf_reset(&l->in);
}

void logs_ready(struct logs *l, short revents, mono_ms now)
{
	char page[512];
	ssize_t n;

	if (l->fd < 0 || !(revents & (POLLIN | POLLHUP | POLLERR)))
		return;
	n = recv(l->fd, page, sizeof page, MSG_DONTWAIT);
	if (n > 0) {
		buf_add(&l->in, page, (size_t)n);
		take_acks(l);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		drop_connection(l, now);
	}
}

void logs_retry(struct logs *l)
{
	l->retry_at = 0;
	l->lost_touch = false;
	l->backoff_ms = BACKOFF_MIN_MS;
}

bool logs_done(const struct logs *l)
{
	return !l->on || (l->batch.len == 0 && spool_empty(&l->spool));
}
