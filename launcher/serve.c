#include "launcher/host.h"
#include "launcher/remnants.h"
#include "launcher/volume.h"
#include "daemon/core/clock.h"
#include "daemon/core/fdpass.h"
#include "daemon/core/service.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MAX_CONNS = 64, MAX_JOBS = 256, START_MS = 120000, FROZEN_MAX_S = 600, STRAY_ROUNDS = 1000 };

/* Nothing here waits for a client or a dyno: a request that takes time becomes a job, its
 * connection is not read until the job is done. */
struct conn {
	int fd;
	unsigned serial; /* a job of a connection that went away must not answer its successor */
	bool busy, cut, listing;
	uint64_t list; /* listing: what was asked to be done with dyno so far, by number */
	struct buf in, out;
};

struct job {
	enum { JOB_FREE, JOB_START, JOB_CHILD } kind;
	int conn;
	unsigned serial;
	uint64_t number;
	bool of_dyno; /* makes or removes one */
	mono_ms deadline;
	struct start start; /* JOB_START */
	int fd;		    /* JOB_CHILD: its error text, then the end */
	pid_t child;
	bool volume;  /* JOB_CHILD: what it prints on success is the answer */
	bool answers; /* JOB_CHILD: on success it has answered by itself */
	uint32_t ip;  /* to be free again when the child has succeeded */
	struct buf text;
};

struct server {
	struct host *h;
	int listener, sigfd;
	struct conn conns[MAX_CONNS];
	struct job jobs[MAX_JOBS];
	unsigned serials;
	uint64_t numbers;
	bool stop;
	struct own own; /* plain runtime */
};

/* --- answers -------------------------------------------------------------------------------------
 */

static void flush(struct conn *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			buf_drop(&c->out, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (errno != EINTR) {
			c->cut = true;
			return;
		}
	}
}

static void answer_ok(struct conn *c)
{
	wire_end(&c->out, wire_begin(&c->out, LAUNCH_OK));
	c->busy = false;
	flush(c);
}

static void answer_err(struct conn *c, const char *id, const char *msg)
{
	size_t mark = wire_begin(&c->out, LAUNCH_ERR);

	wire_str(&c->out, L_ERR_ID, id);
	wire_str(&c->out, L_MSG, msg);
	wire_end(&c->out, mark);
	c->busy = false;
	flush(c);
}

static void answer_volume(struct conn *c, const char *text)
{
	size_t mark = wire_begin(&c->out, LAUNCH_OK);
	unsigned long long size = 0, used = 0;
	char quota[16] = "";

	sscanf(text, "%15s %llu %llu", quota, &size, &used);
	wire_str(&c->out, L_QUOTA, quota);
	wire_u64(&c->out, L_SIZE, size);
	wire_u64(&c->out, L_USED, used);
	wire_end(&c->out, mark);
	c->busy = false;
	flush(c);
}

static struct conn *conn_of(struct server *s, const struct job *j)
{
	struct conn *c = &s->conns[j->conn];

	return c->fd >= 0 && c->serial == j->serial ? c : NULL;
}

static struct job *new_job(struct server *s, struct conn *c)
{
	for (int i = 0; i < MAX_JOBS; i++)
		if (s->jobs[i].kind == JOB_FREE) {
			s->jobs[i] = (struct job){.conn = (int)(c - s->conns),
						  .serial = c->serial,
						  .number = ++s->numbers,
						  .fd = -1,
						  .start = {.ctl = -1}};
			c->busy = true;
			return &s->jobs[i];
		}
	return NULL;
}

/* --- work in a child
 * ------------------------------------------------------------------------------ */

/* What it writes to out before success is for the answer. */
typedef int child_fn(struct host *h, const char *arg, int out, struct err *err);

static int child_remove(struct host *h, const char *id, int out, struct err *err)
{
	return ln_dyno_remove(h, id, err);
}

static int child_rmtree(struct host *h, const char *path, int out, struct err *err)
{
	return ln_dyno_rmtree(h, path, err);
}

/* arg: "ID SIZE" */
static int child_volume(struct host *h, const char *arg, int out, struct err *err)
{
	struct volume_info i;
	char id[37];

	snprintf(id, sizeof id, "%.36s", arg);
	if (ln_volume(h, id, strtoull(arg + 36, NULL, 10), &i, err) < 0)
		return -1;
	dprintf(out, "%s %llu %llu", i.quota, (unsigned long long)i.size,
		(unsigned long long)i.used);
	return 0;
}

/* arg: "ID SECONDS SPARE SOCKET". Descriptors cannot go by way of the parent's buffers. */
static int child_volume_copy(struct host *h, const char *arg, int out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct volume_copy v;
	unsigned long long spare = 0;
	unsigned seconds = 0;
	char id[37];
	size_t mark = wire_begin(&b, LAUNCH_OK);
	int sock = -1, rc;

	snprintf(id, sizeof id, "%.36s", arg);
	if (sscanf(arg + 36, "%u %llu %d", &seconds, &spare, &sock) != 3 ||
	    ln_volume_copy(h, id, seconds, spare, &v, err) < 0)
		return -1;
	wire_str(&b, L_QUOTA, v.image ? "image" : "none");
	wire_u64(&b, L_SIZE, v.size);
	wire_end(&b, mark);
	rc = fd_send(sock, b.data, b.len, v.fd);
	close(v.fd);
	return rc < 0 ? err_errno(err, "hand over a volume") : 0;
}

static int child_volume_remove(struct host *h, const char *id, int out, struct err *err)
{
	return ln_volume_remove(h, id, err);
}

static _Noreturn void child_main(struct host *h, child_fn *fn, const char *arg, int out)
{
	struct err err = {0};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a lock held by a copy would outlive the launcher */
	close(h->lock_fd);
	if (h->slot_fd >= 0)
		close(h->slot_fd);
	if (fn(h, arg, out, &err) == 0)
		_exit(0);
	dprintf(out, "%s %s", err.id, err.msg);
	_exit(1);
}

static void run_child(struct server *s, struct job *j, child_fn *fn, const char *arg)
{
	int p[2] = {-1, -1};

	if (pipe2(p, O_CLOEXEC) == 0)
		j->child = fork();
	else
		j->child = -1;
	if (j->child == 0) {
		close(p[0]);
		child_main(s->h, fn, arg, p[1]);
	}
	if (p[1] >= 0)
		close(p[1]);
	if (j->child > 0)
		ln_own_add(&s->own, j->child);
	j->fd = p[0];
	j->kind = JOB_CHILD;
	if (j->child < 0)
		buf_adds(&j->text, "service_unavailable no more processes");
}

static void end_child(struct server *s, struct job *j)
{
	struct conn *c = conn_of(s, j);
	int status = 0;
	char *msg;

	if (j->fd >= 0)
		close(j->fd);
	ln_own_drop(&s->own, j->child);
	if (j->child > 0 && waitpid(j->child, &status, 0) == j->child && status != 0 &&
	    !j->text.len)
		buf_adds(&j->text, "internal_server_error the helper process died");
	if (j->volume && status == 0 && j->child > 0) {
		if (c)
			answer_volume(c, buf_str(&j->text));
		buf_clear(&j->text);
		j->kind = JOB_FREE;
		return;
	}
	if (!j->text.len && j->ip)
		ln_net_ip_mark(s->h, j->ip, false);
	if (j->text.len)
		xlog(XLOG_WARN, "launcher", "msg=\"work failed\" err=%s", xlog_q(j->text.data));
	msg = j->text.len ? strchr(j->text.data, ' ') : NULL;
	if (msg)
		*msg++ = 0;
	if (c && j->text.len)
		answer_err(c, j->text.data, msg ? msg : "");
	else if (c && j->answers)
		c->busy = false;
	else if (c)
		answer_ok(c);
	buf_clear(&j->text);
	j->kind = JOB_FREE;
}

static void child_output(struct server *s, struct job *j)
{
	char page[1024];
	ssize_t n = j->fd >= 0 ? read(j->fd, page, sizeof page) : 0;

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0)
		buf_add(&j->text, page, (size_t)n);
	else
		end_child(s, j);
}

static void remove_dyno(struct server *s, struct job *j, const char *id)
{
	j->of_dyno = true;
	j->ip = ln_dyno_ip(s->h, id);
	run_child(s, j, child_remove, id);
}

/* Shims are children until we go; jobs' children are reaped by their job. */
static void reap(struct server *s)
{
	siginfo_t w = {0};

	while (waitid(P_ALL, 0, &w, WEXITED | WNOHANG | WNOWAIT) == 0 && w.si_pid) {
		for (int i = 0; i < MAX_JOBS; i++)
			if (s->jobs[i].kind == JOB_CHILD && s->jobs[i].child == w.si_pid)
				return; /* its pipe wakes us as well; the next SIGCHLD or tick reaps
					   the rest */
		ln_own_drop(&s->own, w.si_pid);
		waitpid(w.si_pid, NULL, 0);
		w = (siginfo_t){0};
	}
}

/* --- starting
 * ------------------------------------------------------------------------------------- */

/* What was begun is undone; the caller hears why at once. */
static void start_failed(struct server *s, struct job *j, const char *err_id, const char *msg)
{
	struct conn *c = conn_of(s, j);
	char id[37];

	xlog(XLOG_WARN, "launcher", "msg=\"dyno did not start\" dyno=%s name=%s err=%s",
	     j->start.plan.spec.id, j->start.plan.spec.name, xlog_q(msg));
	memcpy(id, j->start.plan.spec.id, sizeof id);
	if (c)
		answer_err(c, err_id, msg);
	ln_start_clear(&j->start);
	j->serial = 0; /* the removal answers nobody */
	remove_dyno(s, j, id);
}

static void start_done(struct server *s, struct job *j)
{
	struct conn *c = conn_of(s, j);

	if (c) {
		size_t mark = wire_begin(&c->out, LAUNCH_OK);

		wire_str(&c->out, L_IP, j->start.plan.ip);
		wire_u64(&c->out, L_PID, (uint64_t)j->start.shim);
		wire_end(&c->out, mark);
		c->busy = false;
		flush(c);
	}
	ln_start_clear(&j->start);
	j->kind = JOB_FREE;
}

static void shim_message(struct server *s, struct job *j)
{
	char msg[PLAN_MSG];
	struct err err = {0};
	ssize_t n = recv(j->start.ctl, msg, sizeof msg - 1, MSG_DONTWAIT);
	char *text;
	int pid = 0, born = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		start_failed(s, j, "internal_server_error", "the shim died during setup");
		return;
	}
	msg[n] = 0;
	switch (msg[0]) {
	case 'I':
		if (sscanf(msg + 1, "%d %d", &pid, &born) != 2)
			start_failed(s, j, "internal_server_error", "the shim spoke nonsense");
		else if (ln_dyno_place(s->h, &j->start, pid, born, &err) < 0)
			start_failed(s, j, err.id, err.msg);
		return;
	case 'R':
		start_done(s, j);
		return;
	default:
		text = strchr(msg, ' ');
		if (text)
			*text++ = 0;
		start_failed(s, j, msg + 1, text ? text : "setup failed");
	}
}

static void create(struct server *s, struct conn *c, struct wire_frame *f)
{
	struct launch_spec spec;
	struct err err = {0};
	struct job *j;

	if (launch_spec_decode(f, &spec, &err) < 0) {
		answer_err(c, err.id, err.msg);
		return;
	}
	if ((f->type == LAUNCH_ENTER) != (spec.into[0] != 0)) {
		launch_spec_clear(&spec);
		answer_err(c, "bad_request", "which dyno is to be entered?");
		return;
	}
	j = new_job(s, c);
	if (!j) {
		launch_spec_clear(&spec);
		answer_err(c, "service_unavailable", "too many dynos start at once");
		return;
	}
	j->of_dyno = true;
	j->deadline = clock_mono_ms() + START_MS;
	if (ln_dyno_start(s->h, &spec, &j->start, &err) == 0) {
		j->kind = JOB_START;
		ln_own_add(&s->own, j->start.shim);
	} else if (!j->start.made) {
		/* what has that id, if anything, is not ours to undo */
		answer_err(c, err.id, err.msg);
		if (j->start.ip)
			ln_net_ip_mark(s->h, j->start.ip, false);
		ln_start_clear(&j->start);
	} else {
		start_failed(s, j, err.id, err.msg);
	}
}

/* --- the other verbs
 * ------------------------------------------------------------------------------ */

static void hello(struct server *s, struct conn *c)
{
	const struct host *h = s->h;
	size_t mark = wire_begin(&c->out, LAUNCH_INFO);

	wire_str(&c->out, L_RUNTIME, h->sandbox ? "sandbox" : "plain");
	wire_str(&c->out, L_LIMITS, cg_kind_name(&h->cg));
	wire_str(&c->out, L_GATEWAY, h->net ? h->gateway_text : "");
	for (int i = 0; i < h->nnotes; i++)
		wire_str(&c->out, L_NOTE, h->notes[i]);
	wire_end(&c->out, mark);
	flush(c);
}

static bool read_conn(struct server *s, struct conn *c);

static bool may_list(const struct server *s, const struct conn *c)
{
	for (int i = 0; i < MAX_JOBS; i++)
		if (s->jobs[i].kind != JOB_FREE && s->jobs[i].of_dyno &&
		    s->jobs[i].number <= c->list)
			return false;
	return true;
}

static void answer_list(struct server *s, struct conn *c)
{
	char(*ids)[37];
	int n = ln_dyno_list(s->h, &ids);
	size_t mark = wire_begin(&c->out, LAUNCH_OK);

	for (int i = 0; i < n; i++)
		wire_str(&c->out, L_ID, ids[i]);
	wire_end(&c->out, mark);
	free(ids);
	c->listing = c->busy = false;
	flush(c);
}

/* Who asks may follow a paasd that was killed, and takes what is not listed for what was never
 * made. So what was sent before the question, on any connection, comes before the answer, and what
 * is under way is done by then. */
static void list(struct server *s, struct conn *c)
{
	c->listing = c->busy = true;
	for (int i = 0; i < MAX_CONNS; i++) {
		struct conn *o = &s->conns[i];

		while (o->fd >= 0 && !o->busy && !o->cut && !s->stop && read_conn(s, o))
			continue;
	}
	c->list = s->numbers;
	if (may_list(s, c))
		answer_list(s, c);
}

static void run_lists(struct server *s)
{
	for (int i = 0; i < MAX_CONNS; i++)
		if (s->conns[i].fd >= 0 && s->conns[i].listing && may_list(s, &s->conns[i]))
			answer_list(s, &s->conns[i]);
}

static void in_child(struct server *s, struct conn *c, child_fn *fn, const char *arg)
{
	struct job *j = new_job(s, c);

	if (!j)
		answer_err(c, "service_unavailable", "too much to do at once");
	else if (fn == child_remove)
		remove_dyno(s, j, arg);
	else {
		j->volume = fn == child_volume;
		j->answers = fn == child_volume_copy;
		run_child(s, j, fn, arg);
	}
}

static void shut_down(struct server *s, struct conn *c, bool everything)
{
	struct err err = {0};

	s->stop = true;
	if (!everything) {
		answer_ok(c);
		return;
	}
	for (int i = 0; i < MAX_JOBS; i++)
		if (s->jobs[i].kind == JOB_START)
			ln_start_clear(
				&s->jobs[i].start); /* the shim sees its socket close, and ends */
	if (ln_dyno_remove_all(s->h, &err) < 0) {
		s->stop = false;
		answer_err(c, err.id, err.msg);
		return;
	}
	for (int i = 0; i < STRAY_ROUNDS && ln_strays_end(s->h, &s->own) > 0; i++) {
		usleep(1000);
		reap(s);
	}
	ln_host_erase(s->h);
	answer_ok(c);
}

static void request(struct server *s, struct conn *c, struct wire_frame *f)
{
	struct wire_frame again = *f;
	struct wire_field v;
	char id[37] = "", path[4096] = "", volume[120];
	uint64_t flags = 0, size = 0, seconds = 0;

	while (f->type != LAUNCH_CREATE && f->type != LAUNCH_ENTER && wire_next(&again, &v) == 1) {
		if (v.key == L_ID)
			wire_copy_str(&v, id, sizeof id);
		else if (v.key == L_PATH)
			wire_copy_str(&v, path, sizeof path);
		else if (v.key == L_FLAGS)
			flags = wire_get_u64(&v);
		else if (v.key == L_SIZE)
			size = wire_get_u64(&v);
		else if (v.key == L_TTL_S)
			seconds = wire_get_u64(&v);
	}
	switch (f->type) {
	case LAUNCH_HELLO:
		hello(s, c);
		return;
	case LAUNCH_CREATE:
	case LAUNCH_ENTER:
		create(s, c, f);
		return;
	case LAUNCH_REMOVE:
		in_child(s, c, child_remove, id);
		return;
	case LAUNCH_RMTREE:
		in_child(s, c, child_rmtree, path);
		return;
	case LAUNCH_VOLUME:
		snprintf(volume, sizeof volume, "%-36s %llu", id, (unsigned long long)size);
		in_child(s, c, child_volume, volume);
		return;
	case LAUNCH_VOLUME_REMOVE:
		in_child(s, c, child_volume_remove, id);
		return;
	case LAUNCH_VOLUME_COPY:
		seconds = seconds < FROZEN_MAX_S ? seconds : FROZEN_MAX_S;
		snprintf(volume, sizeof volume, "%-36s %llu %llu %d", id,
			 (unsigned long long)seconds, (unsigned long long)size, c->fd);
		in_child(s, c, child_volume_copy, volume);
		return;
	case LAUNCH_LIST:
		list(s, c);
		return;
	case LAUNCH_SHUTDOWN:
		shut_down(s, c, flags & 1);
		return;
	default:
		answer_err(c, "bad_request", "unknown request");
	}
}

/* --- connections
 * ----------------------------------------------------------------------------------- */

static void accept_one(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who = {0};
	socklen_t n = sizeof who;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    (who.uid != 0 && who.uid != s->h->owner)) {
		xlog(XLOG_WARN, "launcher", "msg=\"refused a stranger\" uid=%u", who.uid);
		close(fd);
		return;
	}
	for (int i = 0; i < MAX_CONNS; i++)
		if (s->conns[i].fd < 0) {
			s->conns[i] = (struct conn){.fd = fd, .serial = ++s->serials};
			return;
		}
	close(fd);
}

static void serve_input(struct server *s, struct conn *c)
{
	struct wire_frame f;
	ssize_t n = 0;

	while (!c->busy && !c->cut && !s->stop &&
	       (n = wire_parse(buf_str(&c->in), c->in.len, &f)) > 0) {
		request(s, c, &f);
		/* the frame may hold config vars */
		explicit_bzero(c->in.data, (size_t)n);
		buf_drop(&c->in, (size_t)n);
	}
	if (n < 0)
		c->cut = true;
	if (!c->in.len)
		buf_clear(&c->in);
}

/* False: there was nothing, for now or for good. */
static bool read_conn(struct server *s, struct conn *c)
{
	ssize_t n;

	buf_reserve(&c->in, 65536);
	n = recv(c->fd, c->in.data + c->in.len, 65536, MSG_DONTWAIT);
	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->cut = true;
	serve_input(s, c);
	return n > 0;
}

static void close_conn(struct conn *c)
{
	close(c->fd);
	buf_clear(&c->in);
	buf_clear(&c->out);
	*c = (struct conn){.fd = -1};
}

static int listen_on(struct server *s, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(auto_str) char *path = xasprintf("/proc/self/fd/%d/launcher.sock", s->h->run_fd);
	mode_t old = umask(0177);
	int r;

	/* by descriptor: run directories may be deeper than sun_path is long */
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	unlinkat(s->h->run_fd, "launcher.sock", 0); /* stale: we hold the lock */
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = s->listener < 0 ? -1 : bind(s->listener, (const struct sockaddr *)&a, sizeof a);
	umask(old);
	if (r < 0 ||
	    (s->h->root && fchownat(s->h->run_fd, "launcher.sock", s->h->owner, s->h->owner_gid,
				    AT_SYMLINK_NOFOLLOW) < 0) ||
	    listen(s->listener, 64) < 0)
		return err_errno(err, "listen on %s/launcher.sock", s->h->run);
	return 0;
}

static int signals(struct server *s, struct err *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->sigfd < 0 ? err_errno(err, "signalfd") : 0;
}

static void on_signal(struct server *s)
{
	struct signalfd_siginfo si;

	while (read(s->sigfd, &si, sizeof si) == sizeof si)
		if (si.ssi_signo != SIGCHLD)
			s->stop = true;
	reap(s);
	ln_strays_end(s->h, &s->own);
}

enum {
	AT_LISTEN,
	AT_SIGNAL,
	AT_CONNS,
	AT_JOBS = AT_CONNS + MAX_CONNS,
	AT_END = AT_JOBS + MAX_JOBS
};

static int arm(struct server *s, struct pollfd *p)
{
	int wait = -1;

	p[AT_LISTEN] = (struct pollfd){s->listener, POLLIN, 0};
	p[AT_SIGNAL] = (struct pollfd){s->sigfd, POLLIN, 0};
	for (int i = 0; i < MAX_CONNS; i++) {
		const struct conn *c = &s->conns[i];

		p[AT_CONNS + i] = (struct pollfd){
			c->fd, (short)((c->busy ? 0 : POLLIN) | (c->out.len ? POLLOUT : 0)), 0};
	}
	for (int i = 0; i < MAX_JOBS; i++) {
		const struct job *j = &s->jobs[i];
		int fd = j->kind == JOB_START ? j->start.ctl : j->kind == JOB_CHILD ? j->fd : -1;

		p[AT_JOBS + i] = (struct pollfd){fd, POLLIN, 0};
		if (j->kind == JOB_START)
			wait = 1000;
		if (j->kind == JOB_CHILD && j->fd < 0)
			wait = 0;
	}
	return wait;
}

static void run_jobs(struct server *s, const struct pollfd *p)
{
	mono_ms now = clock_mono_ms();

	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *j = &s->jobs[i];

		if (j->kind == JOB_START && p[i].fd == j->start.ctl && p[i].revents)
			shim_message(s, j);
		else if (j->kind == JOB_START && now > j->deadline)
			start_failed(s, j, "timeout", "the sandbox was not set up in time");
		else if (j->kind == JOB_CHILD && ((p[i].fd == j->fd && p[i].revents) || j->fd < 0))
			child_output(s, j);
	}
}

static void run_conns(struct server *s, const struct pollfd *p)
{
	for (int i = 0; i < MAX_CONNS; i++) {
		struct conn *c = &s->conns[i];

		if (c->fd < 0)
			continue;
		if (p[i].fd == c->fd && (p[i].revents & (POLLIN | POLLHUP | POLLERR)))
			read_conn(s, c);
		else
			serve_input(s, c); /* a job is done: the next request may be here already */
		if (c->out.len)
			flush(c);
		if (c->cut)
			close_conn(c);
	}
}

int launcher_serve(struct host *h, struct err *err)
{
	struct server *s = xcalloc(1, sizeof *s);
	struct pollfd *p = xcalloc(AT_END, sizeof *p);

	*s = (struct server){.h = h, .listener = -1, .sigfd = -1};
	for (int i = 0; i < MAX_CONNS; i++)
		s->conns[i].fd = -1;
	if (listen_on(s, err) < 0 || signals(s, err) < 0) {
		free(s);
		free(p);
		return -1;
	}
	ln_own_begin(h, &s->own);
	service_ready();
	while (!s->stop) {
		int wait = arm(s, p);

		if (poll(p, AT_END, wait) < 0 && errno != EINTR)
			break;
		if (p[AT_SIGNAL].revents)
			on_signal(s);
		run_jobs(s, p + AT_JOBS);
		run_lists(s);
		run_conns(s, p + AT_CONNS);
		if (p[AT_LISTEN].revents)
			accept_one(s);
	}
	for (int i = 0; i < MAX_CONNS; i++)
		if (s->conns[i].fd >= 0)
			close_conn(&s->conns[i]);
	for (int i = 0; i < MAX_JOBS; i++)
		if (s->jobs[i].kind == JOB_START)
			ln_start_clear(&s->jobs[i].start);
	close(s->listener);
	close(s->sigfd);
	free(s->own.v);
	free(s);
	free(p);
	return 0;
}
