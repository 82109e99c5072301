#include "daemon/core/fdpass.h"
#include "daemon/sandbox/sandbox_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int sandbox_connect(const char *dir, const char *name, struct sandbox_conn *out, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(auto_fd) int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	*out = (struct sandbox_conn){.fd = -1, .came = -1};
	/* by descriptor: folders may be deeper than sun_path is long */
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", at, name);
	fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
		int no = errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, ERR_UNAVAILABLE, "connect to %s/%s: %s", dir, name,
			       strerror(no));
	}
	out->fd = fd;
	return 0;
}

void sandbox_conn_close(struct sandbox_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->came >= 0)
		close(c->came);
	buf_clear(&c->in);
	*c = (struct sandbox_conn){.fd = -1, .came = -1};
}

int sandbox_send(struct sandbox_conn *c, const struct buf *frames, struct err *err)
{
	for (size_t at = 0; at < frames->len;) {
		ssize_t n = send(c->fd, frames->data + at, frames->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "send a request");
		if (n > 0)
			at += (size_t)n;
	}
	return 0;
}

/* Waits until there are bytes: 1, or -1 with err. */
static int wait_bytes(const struct sandbox_conn *c, mono_ms deadline, int cancel_fd,
		      struct err *err)
{
	for (;;) {
		struct pollfd p[2] = {{c->fd, POLLIN, 0}, {cancel_fd, POLLIN, 0}};
		mono_ms left = deadline ? deadline - clock_mono_ms() : -1;
		int n = deadline && left <= 0 ? 0
					      : poll(p, 2, left > 1000000 ? 1000000 : (int)left);

		if (n < 0 && errno != EINTR)
			return err_errno(err, "wait for an answer");
		if (n > 0 && p[1].revents)
			return err_set(err, ERR_CANCELED, "canceled");
		if (n > 0)
			return 1;
		if (n == 0 && deadline && clock_mono_ms() >= deadline)
			return err_set(err, ERR_TIMEOUT, "it took too long");
	}
}

/* Into the room that is there. */
static ssize_t receive(struct sandbox_conn *c)
{
	int came = -1;
	ssize_t n = fd_recv(c->fd, c->in.data + c->in.len, 65536, &came);

	if (came >= 0) {
		if (c->came >= 0)
			close(c->came);
		c->came = came;
	}
	return n;
}

int sandbox_recv(struct sandbox_conn *c, struct wire_frame *out, mono_ms deadline, int cancel_fd,
		 struct err *err)
{
	buf_drop(&c->in, c->used);
	c->used = 0;
	for (;;) {
		ssize_t n = wire_parse(buf_str(&c->in), c->in.len, out);

		if (n > 0) {
			c->used = (size_t)n;
			return 1;
		}
		if (n < 0)
			return err_set(err, ERR_CORRUPT, "a frame is too large");
		if (wait_bytes(c, deadline, cancel_fd, err) < 0)
			return -1;
		buf_reserve(&c->in, 65536);
		n = receive(c);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EINTR)
			return err_errno(err, "read an answer");
		if (n > 0)
			c->in.len += (size_t)n;
	}
}
