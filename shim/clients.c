#include "shim/shim_int.h"
#include "proto/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int shim_listen(struct shim *s, struct err *err)
{
	/* relative: the dyno folder may be deeper than sun_path is long */
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};

	unlink("sock");
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 || bind(s->listener, (const struct sockaddr *)&a, sizeof a) < 0 ||
	    chmod("sock", 0600) < 0 || listen(s->listener, 16) < 0)
		return err_errno(err, "listen on the dyno's socket");
	return 0;
}

static bool may_connect(const struct shim *s, int fd)
{
	struct ucred who;
	socklen_t n = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       (who.uid == 0 || who.uid == s->plan.owner_uid);
}

void shim_accept(struct shim *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (int i = 0; i < MAX_CLIENTS && may_connect(s, fd); i++)
		if (s->clients[i].fd < 0) {
			s->clients[i] = (struct client){.fd = fd};
			return;
		}
	close(fd);
}

/* --- to clients --------------------------------------------------------------------------------
 */

void shim_client_write(struct shim *s, struct client *c)
{
	while (c->out.len && !c->cut) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			buf_drop(&c->out, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n < 0 && errno != EINTR)
			c->cut = true;
	}
	if (!c->out.len && c->out.cap > 4096)
		buf_clear(&c->out);
}

/* Events are small: a client that lets CLIENT_OUT of them pile up does not read at all. */
static void flush(struct shim *s, struct client *c)
{
	shim_client_write(s, c);
	if (c->out.len > 2 * CLIENT_OUT)
		c->cut = true;
}

static void put_state(const struct shim *s, struct buf *out)
{
	size_t mark = wire_begin(out, SHIM_STATE);

	wire_u64(out, S_PID, (uint64_t)s->init);
	wire_u64(out, S_STARTED_US, (uint64_t)s->started_us);
	wire_u64(out, S_BOUND, (uint64_t)s->bound);
	wire_u64(out, S_RUNNING, s->started && !s->exited);
	wire_end(out, mark);
}

static void put_exit(const struct shim *s, struct buf *out)
{
	size_t mark = wire_begin(out, SHIM_EXIT);

	wire_u64(out, S_EXIT_CODE, (uint64_t)s->exit_code);
	wire_u64(out, S_SIGNAL, (uint64_t)s->exit_signal);
	wire_u64(out, S_OOM, s->meter.killed);
	wire_end(out, mark);
}

static void put_u64(struct buf *out, uint16_t type, uint16_t key, uint64_t v)
{
	size_t mark = wire_begin(out, type);

	wire_u64(out, key, v);
	wire_end(out, mark);
}

/* Sends one event to supervisors, and to the attached client when it concerns it. */
static void tell(struct shim *s, const struct buf *event, bool attached_too)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0 || !(c->supervises || (attached_too && c->attached)))
			continue;
		buf_add(&c->out, event->data, event->len);
		flush(s, c);
	}
}

void shim_tell_state(struct shim *s)
{
	AUTO(buf_clear) struct buf b = {0};

	put_state(s, &b);
	tell(s, &b, false);
}

void shim_tell_bound(struct shim *s)
{
	AUTO(buf_clear) struct buf b = {0};

	put_u64(&b, SHIM_BOUND, S_BOUND, (uint64_t)s->bound);
	tell(s, &b, false);
}

void shim_tell_memory(struct shim *s, const struct meter_sample *m)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, SHIM_MEM);

	wire_u64(&b, S_MEM_TOTAL, m->total);
	wire_u64(&b, S_MEM_RSS, m->rss);
	wire_u64(&b, S_MEM_CACHE, m->cache);
	wire_u64(&b, S_MEM_SWAP, m->swap);
	wire_u64(&b, S_OOM, s->meter.killed);
	wire_end(&b, mark);
	tell(s, &b, false);
}

void shim_tell_exit(struct shim *s)
{
	AUTO(buf_clear) struct buf b = {0};

	put_exit(s, &b);
	tell(s, &b, true);
}

void shim_tell_detached(struct shim *s)
{
	AUTO(buf_clear) struct buf b = {0};

	put_u64(&b, SHIM_DETACHED, S_CODE, s->detach_code);
	tell(s, &b, true);
}

static void put_output(struct buf *out, const char *p, size_t n, uint64_t offset)
{
	size_t mark = wire_begin(out, SHIM_OUTPUT);

	wire_u64(out, S_OFFSET, offset);
	wire_bytes(out, S_DATA, p, n);
	wire_end(out, mark);
}

void shim_show(struct shim *s, const char *p, size_t n, uint64_t offset)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0 || !c->attached || c->cut)
			continue;
		put_output(&c->out, p, n, offset);
		shim_client_write(s, c);
	}
}

/* Fills the client's queue from DIR/output; ends when the client has all that is kept. */
void shim_replay(struct shim *s, struct client *c)
{
	char page[CHUNK];

	while (c->replaying && c->out.len < CLIENT_OUT && !c->cut) {
		uint64_t left = c->replay_at < s->kept ? s->kept - c->replay_at : 0;
		ssize_t n = 0;

		if (left)
			n = pread(s->keep_fd, page, left < sizeof page ? left : sizeof page,
				  (off_t)c->replay_at);
		if (n <= 0) {
			c->replaying = false;
			return;
		}
		put_output(&c->out, page, (size_t)n, c->replay_at);
		c->replay_at += (uint64_t)n;
		shim_client_write(s, c);
	}
}

bool shim_may_read(const struct shim *s)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		const struct client *c = &s->clients[i];

		if (c->fd >= 0 && c->attached && !c->cut &&
		    (c->replaying || c->out.len >= CLIENT_OUT))
			return false;
	}
	return true;
}

bool shim_clients_idle(const struct shim *s)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (s->clients[i].fd >= 0 && (s->clients[i].out.len || s->clients[i].replaying))
			return false;
	return true;
}

/* --- from clients ------------------------------------------------------------------------------
 */

static void attach(struct shim *s, struct client *c, uint64_t offset, mono_ms now)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (&s->clients[i] != c && s->clients[i].fd >= 0 && s->clients[i].attached) {
			s->clients[i].attached = false; /* replaced: that is no detaching */
			s->clients[i].cut = true;
		}
	c->attached = true;
	c->replay_at = offset;
	c->replaying = offset < s->kept;
	s->t_hangup = s->t_r16 = s->t_hangup_kill = 0;
	shim_replay(s, c);
	if (s->exited) {
		put_exit(s, &c->out);
		return;
	}
	shim_start_app(s, now);
}

static void supervise(struct shim *s, struct client *c)
{
	c->supervises = true;
	logs_retry(&s->logs);
	put_state(s, &c->out);
	if (s->detach_code)
		put_u64(&c->out, SHIM_DETACHED, S_CODE, s->detach_code);
	if (s->exited)
		put_exit(s, &c->out);
	flush(s, c);
}

static void resize(struct shim *s, uint64_t rows, uint64_t cols)
{
	struct winsize ws = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};

	if (s->plan.spec.stdio == LAUNCH_PTY && s->in_fd >= 0 && rows && cols && rows <= 4096 &&
	    cols <= 4096)
		ioctl(s->in_fd, TIOCSWINSZ, &ws);
}

static void stdin_bytes(struct shim *s, const void *p, size_t n)
{
	if (s->in_fd >= 0 && !s->in_eof && !s->exited)
		buf_add(&s->in, p, n);
}

static void stdin_eof(struct shim *s)
{
	if (s->plan.spec.stdio == LAUNCH_PTY)
		stdin_bytes(s, "\004", 1); /* what the terminal calls end of file */
	else
		s->in_eof = true;
}

static void take(struct shim *s, struct client *c, struct wire_frame *f, mono_ms now)
{
	uint64_t offset = 0, rows = 0, cols = 0, sig = 0;
	struct wire_field data = {0}, v;

	while (wire_next(f, &v) == 1) {
		if (v.key == S_DATA)
			data = v;
		else if (v.key == S_OFFSET)
			offset = wire_get_u64(&v);
		else if (v.key == S_ROWS)
			rows = wire_get_u64(&v);
		else if (v.key == S_COLS)
			cols = wire_get_u64(&v);
		else if (v.key == S_SIGNAL)
			sig = wire_get_u64(&v);
	}
	switch (f->type) {
	case SHIM_SUPERVISE:
		supervise(s, c);
		return;
	case SHIM_ATTACH:
		attach(s, c, offset, now);
		return;
	case SHIM_STDIN:
		if (c->attached)
			stdin_bytes(s, data.data, data.len);
		return;
	case SHIM_STDIN_EOF:
		if (c->attached)
			stdin_eof(s);
		return;
	case SHIM_RESIZE:
		resize(s, rows, cols);
		return;
	case SHIM_SIGNAL:
		shim_signal(s, sig < 32 ? (int)sig : 0);
		return;
	default:
		return; /* of a newer paasd */
	}
}

void shim_client_read(struct shim *s, struct client *c, mono_ms now)
{
	struct wire_frame f;
	ssize_t n;
	size_t at = 0;

	buf_reserve(&c->in, 16384);
	n = recv(c->fd, c->in.data + c->in.len, 16384, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->cut = true;
		return;
	}
	c->in.len += (size_t)n;
	while ((n = wire_parse(c->in.data + at, c->in.len - at, &f)) > 0) {
		take(s, c, &f, now);
		at += (size_t)n;
	}
	if (n < 0)
		c->cut = true;
	buf_drop(&c->in, at);
	if (!c->in.len)
		buf_clear(&c->in);
}

static void detached(struct shim *s, mono_ms now)
{
	if (s->exited || !s->started)
		return;
	switch (s->plan.spec.on_detach) {
	case LAUNCH_KEEP:
		return;
	case LAUNCH_KILL:
		shim_signal(s, 9);
		return;
	case LAUNCH_HANGUP:
		s->t_hangup = now;
		s->t_r16 = now + 15000;
		s->t_hangup_kill = now + 30000;
		return;
	}
}

void shim_client_close(struct shim *s, struct client *c, mono_ms now)
{
	bool was_attached = c->attached;

	close(c->fd);
	buf_clear(&c->in);
	buf_clear(&c->out);
	*c = (struct client){.fd = -1};
	if (was_attached)
		detached(s, now);
}
