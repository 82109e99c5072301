#include "cli/tunnel.h"
#include "proto/tunnel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define SESSIONS   32
#define CHILDREN   4
#define HIGH	   (256 * 1024) /* waiting for one side: the other is not read */
#define HEAD_MAX   (16 * 1024)
#define ANSWER_MS  30000
#define REFUSAL_MS 5000
#define FIRST_MS   20000

struct session {
	CURL *h; /* NULL = free */
	int net, local;
	struct buf to_net, to_local;
	bool net_over, local_over; /* nothing more comes from there */
};

struct cli_tunnel {
	struct cli *c;
	char *addon;
	int listener;
	char dir[64]; /* "" = none */
	struct session s[SESSIONS];
	CURL *first; /* asked for, nobody's yet */
	int first_fd;
	long long first_ms;  /* since when; the server hangs up on those who say nothing */
	struct buf first_in; /* that came after its head */
	pid_t children[CHILDREN];
	int nchildren, status, sigs;
	sigset_t old;
	struct err refused; /* of a later connection */
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* --- asking the platform --- */

/* 1 = something came, 0 = nothing now, -1 = over. */
static int receive(CURL *h, struct buf *in)
{
	char chunk[16384];
	size_t n = 0;
	CURLcode rc = curl_easy_recv(h, chunk, sizeof chunk, &n);

	if (rc == CURLE_AGAIN)
		return 0;
	if (rc != CURLE_OK || n == 0)
		return -1;
	buf_add(in, chunk, n);
	return 1;
}

static int transmit(CURL *h, struct buf *out)
{
	while (out->len) {
		size_t n = 0;
		CURLcode rc = curl_easy_send(h, out->data, out->len, &n);

		if (rc == CURLE_AGAIN || (rc == CURLE_OK && n == 0))
			return 0;
		if (rc != CURLE_OK)
			return -1;
		buf_drop(out, n);
	}
	return 0;
}

/* What the platform says in its JSON, once that is here. */
static int refusal(CURL *h, int fd, int code, struct buf *in, struct err *err)
{
	static const struct {
		int code;
		enum err_id id;
	} known[] = {{401, ERR_UNAUTHORIZED},	{403, ERR_FORBIDDEN},	{404, ERR_NOT_FOUND},
		     {422, ERR_INVALID_PARAMS}, {426, ERR_BAD_REQUEST}, {429, ERR_RATE_LIMIT}};
	long long until = now_ms() + REFUSAL_MS;
	enum err_id id = ERR_UNAVAILABLE;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].code == code)
			id = known[i].id;
	for (;;) {
		const char *body = strstr(buf_str(in), "\r\n\r\n");
		json_auto_t *v = body ? json_loads(body + 4, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
		struct pollfd p = {fd, POLLIN, 0};

		if (v && *cli_js(v, "message"))
			return err_set(err, id, "%s", cli_js(v, "message"));
		if (now_ms() > until || in->len > HEAD_MAX || receive(h, in) < 0)
			return err_set(err, id, "the platform answered %d to the tunnel", code);
		poll(&p, 1, 100);
	}
}

static int handshake(struct cli_tunnel *t, CURL *h, int fd, struct buf *in, struct err *err)
{
	AUTO(buf_clear) struct buf out = {0};
	AUTO(auto_str) char *path = cli_pathf("/addons/%s/tunnel", t->addon);
	long long until = now_ms() + ANSWER_MS;
	char host[300];
	const char *end;
	int code;

	cli_url_hostport(&t->c->url, host);
	buf_addf(
		&out,
		"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: " TUNNEL_UPGRADE
		"\r\nAuthorization: Bearer %s\r\nAccept: application/vnd.heroku+json; version=3\r\n"
		"User-Agent: paasctl/" PAASD_VERSION "\r\n\r\n",
		path, host, t->c->key);
	while (!(end = strstr(buf_str(in), "\r\n\r\n"))) {
		struct pollfd p = {fd, (short)(POLLIN | (out.len ? POLLOUT : 0)), 0};

		if (transmit(h, &out) < 0 || receive(h, in) < 0 || in->len > HEAD_MAX)
			return err_set(err, ERR_UNAVAILABLE,
				       "the platform closed the connection before it answered");
		if (now_ms() > until)
			return err_set(err, ERR_TIMEOUT, "the platform does not answer");
		if (!strstr(buf_str(in), "\r\n\r\n"))
			poll(&p, 1, 100);
	}
	if (sscanf(buf_str(in), "HTTP/1.%*1[01] %3d", &code) != 1)
		return err_set(err, ERR_INTERNAL, "the answer to the tunnel is not HTTP");
	if (code != 101)
		return refusal(h, fd, code, in, err);
	buf_drop(in, (size_t)(end - buf_str(in)) + 4);
	return 0;
}

static CURL *ask(struct cli_tunnel *t, int *fd, struct buf *in, struct err *err)
{
	CURL *h = cli_connect_own(t->c, fd, err);

	if (h && handshake(t, h, *fd, in, err) < 0) {
		curl_easy_cleanup(h);
		return NULL;
	}
	return h;
}

int cli_tunnel_open(struct cli *c, const char *addon, struct cli_tunnel **out, struct err *err)
{
	struct cli_tunnel *t = xcalloc(1, sizeof *t);
	static const int sigs[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	t->c = c;
	t->addon = xstrdup(addon);
	t->listener = t->sigs = -1;
	t->first = ask(t, &t->first_fd, &t->first_in, err);
	t->first_ms = now_ms();
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		sigaddset(&set, sigs[i]);
	sigprocmask(SIG_BLOCK, &set, &t->old);
	if (!t->first) {
		cli_tunnel_close(t);
		return -1;
	}
	t->sigs = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	*out = t;
	return 0;
}

/* --- the local side --- */

static int listen_on(struct cli_tunnel *t, int fd, const struct sockaddr *sa, socklen_t n,
		     struct err *err)
{
	if (fd < 0 || bind(fd, sa, n) < 0 || listen(fd, SESSIONS) < 0) {
		err_errno(err, "cannot listen");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	t->listener = fd;
	return 0;
}

int cli_tunnel_listen_unix(struct cli_tunnel *t, struct err *err)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	/* A socket's path is short. */
	if (!base || base[0] != '/' || strlen(base) > 30 || access(base, W_OK) < 0)
		base = "/tmp";
	snprintf(t->dir, sizeof t->dir, "%s/paasctl-XXXXXX", base);
	if (!mkdtemp(t->dir)) {
		err_errno(err, "cannot make a folder in %s", base);
		t->dir[0] = 0;
		return -1;
	}
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/.s.PGSQL.5432", t->dir);
	return listen_on(t, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
			 (struct sockaddr *)&sa, sizeof sa, err);
}

const char *cli_tunnel_dir(const struct cli_tunnel *t)
{
	return t->dir;
}

int cli_tunnel_listen_port(struct cli_tunnel *t, int port, struct err *err)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listen_on(t, fd, (struct sockaddr *)&sa, sizeof sa, err) < 0)
		return err_wrap(err, "port %d", port);
	return 0;
}

static void session_end(struct session *s)
{
	if (!s->h)
		return;
	curl_easy_cleanup(s->h);
	close(s->local);
	buf_clear(&s->to_net);
	buf_clear(&s->to_local);
	*s = (struct session){0};
}

static void take_first(struct cli_tunnel *t, struct session *s)
{
	s->h = STEAL(t->first);
	s->net = t->first_fd;
	s->to_local = t->first_in;
	t->first_in = (struct buf){0};
}

static void accept_one(struct cli_tunnel *t)
{
	int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct session *s = NULL;

	if (fd < 0)
		return;
	for (int i = 0; i < SESSIONS && !s; i++)
		s = t->s[i].h ? NULL : &t->s[i];
	if (!s) {
		close(fd);
		return;
	}
	if (t->first && now_ms() - t->first_ms > FIRST_MS) {
		curl_easy_cleanup(STEAL(t->first));
		buf_clear(&t->first_in);
	}
	if (t->first)
		take_first(t, s);
	else
		s->h = ask(t, &s->net, &s->to_local, &t->refused);
	s->local = fd;
	if (!s->h) {
		buf_clear(&s->to_local);
		close(fd);
		*s = (struct session){0};
	}
}

static void read_local(struct session *s)
{
	char chunk[16384];
	ssize_t n = read(s->local, chunk, sizeof chunk);

	if (n > 0)
		buf_add(&s->to_net, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->local_over = true;
}

static void write_local(struct session *s)
{
	while (s->to_local.len) {
		ssize_t n = send(s->local, s->to_local.data, s->to_local.len, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				s->local_over = s->net_over = true;
			return;
		}
		buf_drop(&s->to_local, (size_t)n);
	}
}

/* Everything that can move now. True: more may be waiting inside libcurl. */
static bool move(struct session *s)
{
	int got = s->net_over ? -1 : 0;

	for (int i = 0; i < 8 && got >= 0 && s->to_local.len < HIGH; i++) {
		got = receive(s->h, &s->to_local);
		if (got == 0)
			break;
	}
	if (got < 0)
		s->net_over = true;
	write_local(s);
	if (!s->local_over && s->to_net.len < HIGH)
		read_local(s);
	if (transmit(s->h, &s->to_net) < 0)
		s->net_over = true;
	if ((s->net_over && !s->to_local.len) || (s->local_over && !s->to_net.len)) {
		session_end(s);
		return false;
	}
	return got > 0;
}

/* --- children and signals --- */

pid_t cli_tunnel_spawn(struct cli_tunnel *t, const char *const *argv, char *const *env, int in,
		       int out, struct err *err)
{
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	pid_t pid;
	int rc;

	assert(t->nchildren < CHILDREN);
	fflush(NULL);
	posix_spawn_file_actions_init(&acts);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &t->old);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&acts, in, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&acts, out, 1);
	rc = posix_spawnp(&pid, argv[0], &acts, &attr, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&acts);
	posix_spawnattr_destroy(&attr);
	if (rc == ENOENT)
		return err_set(err, ERR_NOT_FOUND,
			       "%s is not installed: install PostgreSQL's client programs "
			       "(postgresql-client on Debian and Ubuntu, libpq in Homebrew)",
			       argv[0]);
	if (rc != 0) {
		errno = rc;
		return err_errno(err, "cannot start %s", argv[0]);
	}
	t->children[t->nchildren++] = pid;
	return pid;
}

static void reap(struct cli_tunnel *t)
{
	for (int i = 0; i < t->nchildren; i++) {
		int status = 0;

		if (waitpid(t->children[i], &status, WNOHANG) != t->children[i])
			continue;
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (!t->status)
			t->status = status;
		t->children[i--] = t->children[--t->nchildren];
	}
}

/* False: it is over. The terminal's own keys reach our children, too, which know what they mean. */
static bool take_signals(struct cli_tunnel *t)
{
	struct signalfd_siginfo info;
	bool had = t->nchildren > 0;

	while (read(t->sigs, &info, sizeof info) == sizeof info) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGCHLD) {
			reap(t);
		} else if (!had) {
			t->status = sig == SIGINT ? 0 : 128 + sig;
			return false;
		} else if (sig == SIGTERM || sig == SIGHUP) {
			for (int i = 0; i < t->nchildren; i++)
				kill(t->children[i], sig);
		}
	}
	return !had || t->nchildren > 0;
}

/* --- running --- */

static int wait_for_more(struct cli_tunnel *t, bool at_once)
{
	struct pollfd p[2 + 2 * SESSIONS] = {{t->sigs, POLLIN, 0}, {t->listener, POLLIN, 0}};
	nfds_t n = 2;

	for (int i = 0; i < SESSIONS; i++) {
		const struct session *s = &t->s[i];
		short net = 0, local = 0;

		if (!s->h)
			continue;
		if (!s->net_over)
			net = (short)((s->to_local.len < HIGH ? POLLIN : 0) |
				      (s->to_net.len ? POLLOUT : 0));
		local = (short)((!s->local_over && s->to_net.len < HIGH ? POLLIN : 0) |
				(s->to_local.len ? POLLOUT : 0));
		p[n++] = (struct pollfd){net ? s->net : -1, net, 0};
		p[n++] = (struct pollfd){local ? s->local : -1, local, 0};
	}
	if (poll(p, n, at_once ? 0 : -1) < 0 && errno != EINTR)
		return -1;
	if (p[1].revents)
		accept_one(t);
	return 0;
}

int cli_tunnel_run(struct cli_tunnel *t, int *status, struct err *err)
{
	bool more = false;

	while (take_signals(t)) {
		if (wait_for_more(t, more) < 0)
			return err_errno(err, "poll");
		more = false;
		for (int i = 0; i < SESSIONS; i++)
			if (t->s[i].h && move(&t->s[i]))
				more = true;
	}
	*status = t->status;
	if (t->status && t->refused.status) {
		*err = t->refused;
		return -1;
	}
	return 0;
}

static void remove_dir(const char *dir)
{
	static const char *const names[] = {".s.PGSQL.5432", "pass", "pass-local"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(auto_str) char *path = xasprintf("%s/%s", dir, names[i]);

		unlink(path);
	}
	rmdir(dir);
}

void cli_tunnel_close(struct cli_tunnel *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->nchildren; i++)
		kill(t->children[i], SIGTERM);
	for (int i = 0; i < SESSIONS; i++)
		session_end(&t->s[i]);
	if (t->first)
		curl_easy_cleanup(t->first);
	buf_clear(&t->first_in);
	if (t->listener >= 0)
		close(t->listener);
	if (t->sigs >= 0)
		close(t->sigs);
	if (t->dir[0])
		remove_dir(t->dir);
	sigprocmask(SIG_SETMASK, &t->old, NULL);
	free(t->addon);
	free(t);
}
