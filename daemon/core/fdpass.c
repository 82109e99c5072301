#include "daemon/core/fdpass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union room {
	struct cmsghdr h;
	char bytes[CMSG_SPACE(4 * sizeof(int))];
};

static ssize_t send_first(int sock, const void *p, size_t n, int fd)
{
	union room ctl = {0};
	struct iovec io = {(void *)(uintptr_t)p, n};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = ctl.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof fd);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL);
}

int fd_send(int sock, const void *p, size_t n, int fd)
{
	const char *at = p;

	while (n) {
		ssize_t sent = send_first(sock, at, n, fd);

		if (sent < 0 && errno != EINTR)
			return -1;
		if (sent <= 0)
			continue;
		fd = -1;
		at += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* Takes the first descriptor, closes what is more than one. */
static void take(const struct cmsghdr *h, int *fd)
{
	size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int got;

		memcpy(&got, CMSG_DATA(h) + i * sizeof got, sizeof got);
		if (*fd >= 0)
			close(got);
		else
			*fd = got;
	}
}

ssize_t fd_recv(int sock, void *p, size_t cap, int *fd)
{
	union room ctl = {0};
	struct iovec io = {p, cap};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = ctl.bytes,
			   .msg_controllen = sizeof ctl.bytes};
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	int got = -1;

	if (n < 0)
		return -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			take(h, &got);
	if (got >= 0)
		*fd = got;
	return n;
}
