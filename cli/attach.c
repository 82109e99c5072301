#include "proto/attach.h"
#include "cli/cli.h"
#include "cli/term.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#define HEAD_MAX    (16 * 1024)
#define ANSWER_MS   60000	/* a dyno may take its time to start */
#define PENDING_MAX (64 * 1024) /* stdin is not read while so much waits for the network */

enum end { GOING, EXITED, FAILED, LOST, INTERRUPTED };

struct session {
	struct cli *c;
	CURL *h;
	int fd, sigs;
	bool tty, raw, eof;
	struct buf in, out;
	enum end end;
	int status; /* of EXITED and INTERRUPTED */
	int interrupts;
	long long ctrl_c_ms[4]; /* times of the last lone Ctrl-C keys */
	struct err *err;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* 1 = got bytes, 0 = none now, -1 = closed or broken. */
static int receive(struct session *s)
{
	char chunk[16384];
	size_t n = 0;
	CURLcode rc = curl_easy_recv(s->h, chunk, sizeof chunk, &n);

	if (rc == CURLE_AGAIN)
		return 0;
	if (rc != CURLE_OK || n == 0)
		return -1;
	buf_add(&s->in, chunk, n);
	return 1;
}

/* Sends what the connection takes now. */
static int flush_out(struct session *s)
{
	while (s->out.len) {
		size_t n = 0;
		CURLcode rc = curl_easy_send(s->h, s->out.data, s->out.len, &n);

		if (rc == CURLE_AGAIN || (rc == CURLE_OK && n == 0))
			return 0;
		if (rc != CURLE_OK)
			return -1;
		buf_drop(&s->out, n);
	}
	return 0;
}

static int refused(struct session *s, int code)
{
	if (code == 404 || code == 410)
		return err_set(s->err, ERR_GONE, "the process is not there any more");
	if (code == 409)
		return err_set(s->err, ERR_CONFLICT, "somebody else is attached to the process");
	return err_set(s->err, ERR_UNAVAILABLE, "the platform answered %d to the attach request",
		       code);
}

/* Takes the answer's head off s->in. 1 = open, 0 = more bytes are needed. */
static int read_head(struct session *s)
{
	const char *text = buf_str(&s->in), *end = strstr(text, "\r\n\r\n");
	int code;

	if (!end)
		return s->in.len < HEAD_MAX
			       ? 0
			       : err_set(s->err, ERR_INTERNAL,
					 "the answer to the attach request is not HTTP");
	if (sscanf(text, "HTTP/1.%*1[01] %3d", &code) != 1)
		return err_set(s->err, ERR_INTERNAL,
			       "the answer to the attach request is not HTTP");
	if (code != 101)
		return refused(s, code);
	buf_drop(&s->in, (size_t)(end - text) + 4);
	return 1;
}

/* What follows the host in the attach_url is the secret. */
static const char *secret_of(const char *url)
{
	const char *p = strstr(url, "://");

	p = p ? strchr(p + 3, '/') : NULL;
	if (!p || !p[1])
		return NULL;
	for (const char *q = p; *q; q++)
		if (*q <= 0x20 || *q >= 0x7f)
			return NULL;
	return p + 1;
}

static int handshake(struct session *s, const char *url)
{
	const char *secret = secret_of(url);
	long long until = now_ms() + ANSWER_MS;
	char host[300];
	int rc;

	if (!secret)
		return err_set(s->err, ERR_INTERNAL, "the platform sent no usable attach_url");
	cli_url_hostport(&s->c->url, host);
	buf_addf(&s->out,
		 "GET " ATTACH_PATH "%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		 "Upgrade: " ATTACH_UPGRADE "\r\nUser-Agent: paasctl/" PAASD_VERSION "\r\n\r\n",
		 secret, host);
	while ((rc = read_head(s)) == 0) {
		struct pollfd p = {s->fd, (short)(POLLIN | (s->out.len ? POLLOUT : 0)), 0};

		if (flush_out(s) < 0 || receive(s) < 0)
			return err_set(s->err, ERR_UNAVAILABLE,
				       "the platform closed the connection before it answered");
		if (s->in.len == 0 && poll(&p, 1, 100) == 0)
			cli_spin(s->c);
		if (now_ms() > until)
			return err_set(s->err, ERR_TIMEOUT, "the process did not start in time");
	}
	return rc < 0 ? -1 : 0;
}

/* Bytes of the command to stdout, whole. */
static void write_out(struct session *s, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(STDOUT_FILENO, p, n);

		if (w < 0 && errno == EAGAIN) {
			struct pollfd f = {STDOUT_FILENO, POLLOUT, 0};

			poll(&f, 1, -1);
		} else if (w < 0 && errno != EINTR) {
			err_errno(s->err, "cannot write the output");
			s->end = FAILED;
			return;
		} else if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
}

static void take_frame(struct session *s, const struct attach_frame *f)
{
	AUTO(auto_str) char *text = NULL;

	switch (f->type) {
	case ATTACH_OUTPUT:
		write_out(s, f->data, f->len);
		break;
	case ATTACH_EXIT:
		s->status = (int)attach_get_exit(f);
		s->end = EXITED;
		break;
	case ATTACH_ERROR:
		text = xstrndup((const char *)f->data, f->len);
		err_set(s->err, ERR_INTERNAL, "%s", text);
		s->end = FAILED;
		break;
	default:
		break;
	}
}

static void take_frames(struct session *s)
{
	size_t used = 0;
	struct attach_frame f;
	ssize_t n;

	while (s->end == GOING &&
	       (n = attach_parse(buf_str(&s->in) + used, s->in.len - used, &f)) != 0) {
		if (n < 0) {
			err_set(s->err, ERR_INTERNAL, "the platform sent a malformed frame");
			s->end = FAILED;
			return;
		}
		take_frame(s, &f);
		used += (size_t)n;
	}
	buf_drop(&s->in, used);
}

/* Four lone Ctrl-C within a second: the person wants out, whatever the command does. */
static bool gives_up(struct session *s, const char *p, ssize_t n)
{
	if (!s->raw || n != 1 || p[0] != 3)
		return false;
	memmove(s->ctrl_c_ms, s->ctrl_c_ms + 1, sizeof s->ctrl_c_ms - sizeof s->ctrl_c_ms[0]);
	s->ctrl_c_ms[3] = now_ms();
	return s->ctrl_c_ms[0] && s->ctrl_c_ms[3] - s->ctrl_c_ms[0] < 1000;
}

static void read_stdin(struct session *s)
{
	char chunk[8192];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		s->eof = true;
		attach_put_eof(&s->out);
		return;
	}
	attach_put(&s->out, ATTACH_STDIN, chunk, (size_t)n);
	if (gives_up(s, chunk, n)) {
		s->end = INTERRUPTED;
		s->status = 1;
	}
}

static void send_size(struct session *s)
{
	unsigned rows, cols;

	if (s->tty && cli_term_size(STDOUT_FILENO, &rows, &cols))
		attach_put_resize(&s->out, rows, cols);
}

/* Stops like any program: with the terminal as it was. */
static void suspend(struct session *s)
{
	if (s->raw)
		cli_term_restore();
	raise(SIGSTOP);
	if (s->raw)
		cli_term_raw(STDIN_FILENO);
	send_size(s);
}

static void read_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->sigs, &info, sizeof info) != sizeof info)
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		send_size(s);
		break;
	case SIGTSTP:
		suspend(s);
		break;
	case SIGINT:
		/* Without a raw terminal the key made a signal of it: pass it on, once. */
		if (s->interrupts++ == 0) {
			attach_put_signal(&s->out, SIGINT);
			break;
		}
		/* fall through */
	default:
		s->end = INTERRUPTED;
		s->status = 128 + (int)info.ssi_signo;
	}
}

static int watch_signals(void)
{
	static const int sigs[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		/* nohup and the like stay respected */
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, sigs[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One round: everything that is ready, then a wait. */
static void pump(struct session *s)
{
	int got = 1;

	for (int i = 0; i < 16 && got > 0; i++)
		got = receive(s);
	take_frames(s);
	if (s->end != GOING)
		return;
	if (got < 0 || flush_out(s) < 0) {
		s->end = LOST;
		return;
	}
	struct pollfd p[] = {
		{s->fd, (short)(POLLIN | (s->out.len ? POLLOUT : 0)), 0},
		{s->sigs, POLLIN, 0},
		{s->eof || s->out.len > PENDING_MAX ? -1 : STDIN_FILENO, POLLIN, 0},
	};
	if (poll(p, 3, got > 0 ? 0 : -1) < 0)
		return;
	if (p[1].revents)
		read_signal(s);
	if (p[2].revents)
		read_stdin(s);
}

static int finish(struct session *s, int *status)
{
	switch (s->end) {
	case EXITED:
	case INTERRUPTED:
		*status = s->status;
		return s->end == INTERRUPTED;
	case FAILED:
		return -1;
	default:
		return err_set(s->err, ERR_INTERNAL,
			       "the connection was lost before the process ended");
	}
}

int cli_attach(struct cli *c, const char *attach_url, bool tty,
	       void (*on_up)(struct cli *c, void *arg), void *arg, int *status, struct err *err)
{
	struct session s = {.c = c, .tty = tty, .sigs = -1, .err = err};
	int rc;

	s.h = cli_connect(c, &s.fd, err);
	rc = s.h ? handshake(&s, attach_url) : -1;
	if (rc == 0) {
		on_up(c, arg);
		fflush(NULL);
		s.sigs = watch_signals();
		s.raw = tty && cli_term_raw(STDIN_FILENO);
		send_size(&s);
		while (s.end == GOING)
			pump(&s);
		if (s.raw)
			cli_term_restore();
		rc = finish(&s, status);
	}
	if (s.sigs >= 0)
		close(s.sigs);
	buf_clear(&s.in);
	buf_clear(&s.out);
	return rc;
}
