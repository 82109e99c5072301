#include "launcher/host.h"
#include "launcher/tree.h"
#include "daemon/core/proc.h"
#include "proto/names.h"
#include "shim/kin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* STATE/dynos/ID/record, the launcher's own notes, one "key value" a line:
 *   shim PID STARTTIME    init PID STARTTIME    ip A.B.C.D    own PATH (chown back at the end)
 *   user UID (of the app)    into ID (the dyno whose sandbox it is in)
 *   reach IP:PORT (a service that it may open connections to) */

enum { SHIM_GRACE_MS = 3000, KILL_MS = 10000 };

void ln_start_clear(struct start *s)
{
	launch_plan_clear(&s->plan);
	if (s->ctl >= 0)
		close(s->ctl);
	s->ctl = -1;
}

static void record(struct host *h, const char *id, const char *fmt, ...) PRINTF(3, 4);

static void record(struct host *h, const char *id, const char *fmt, ...)
{
	AUTO(auto_str) char *path = xasprintf("dynos/%s/record", id);
	AUTO(auto_fd)
	int fd = openat(h->state_fd, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			0600);
	va_list ap;

	va_start(ap, fmt);
	if (fd >= 0)
		vdprintf(fd, fmt, ap);
	va_end(ap);
}

/* --- paths ---------------------------------------------------------------------------------------
 */

/* The part of path below dir, or NULL when it is not below. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (strncmp(path, dir, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	path += n;
	return path + strspn(path, "/");
}

/* Finds the allowed folder that path lies in: its descriptor, and the rest in *rel. -1 = in none.
 */
static int allowed(const struct host *h, const char *path, bool ro, const char **rel)
{
	if ((*rel = below(path, h->state)) || (*rel = below(path, h->state_arg)))
		return h->state_fd;
	if ((*rel = below(path, h->run)) || (*rel = below(path, h->run_arg)))
		return h->run_fd;
	for (int i = 0; ro && i < h->nro; i++)
		if ((*rel = below(path, h->ro[i])))
			return h->ro_fd[i];
	return -1;
}

/* Opens path for mounting: below an allowed folder, through no link. -1 with err; ENOENT in errno.
 */
static int open_source(const struct host *h, const char *path, bool ro, struct err *err)
{
	const char *rel;
	int base = allowed(h, path, ro, &rel), fd;

	if (base < 0) {
		errno = EPERM;
		return err_set(err, ERR_FORBIDDEN,
			       "%s is outside of the folders that dynos may be given", path);
	}
	fd = tree_open(base, rel, O_PATH);
	return fd < 0 ? err_errno(err, "open %s", path) : fd;
}

static bool good_destination(const char *dst)
{
	if (dst[0] != '/' || !dst[1] || strlen(dst) > 1024)
		return false;
	for (const char *p = dst; p; p = strchr(p + 1, '/'))
		if (strncmp(p, "/..", 3) == 0 && (!p[3] || p[3] == '/'))
			return false;
	return true;
}

/* --- going up ------------------------------------------------------------------------------------
 */

struct fds { /* of slug and binds, to be inherited */
	int group, work, slug, binds[64];
	int n;
};

static void close_fds(struct fds *f)
{
	if (f->group >= 0)
		close(f->group);
	if (f->work >= 0)
		close(f->work);
	if (f->slug >= 0)
		close(f->slug);
	for (int i = 0; i < f->n; i++)
		if (f->binds[i] >= 0)
			close(f->binds[i]);
}

/* It becomes the host name and stands in /etc/hosts. */
static bool good_name(const char *s)
{
	static const char fine[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *s && s[strspn(s, fine)] == 0;
}

static int check_net(const struct host *h, const struct launch_spec *s, struct err *err)
{
	struct reach to;

	if (s->address && (!s->net || s->nreach))
		return err_set(err, ERR_BAD_REQUEST,
			       "a service has a network, and reaches no other service");
	for (int i = 0; i < s->nreach && h->net; i++)
		if (!ln_net_reach_parse(h, s->reach[i], &to))
			return err_set(err, ERR_BAD_REQUEST, "%.60s is no service's address",
				       s->reach[i]);
	return 0;
}

static int check_spec(const struct host *h, const struct launch_spec *s, struct err *err)
{
	if (!name_is_uuid(s->id))
		return err_set(err, ERR_BAD_REQUEST, "a dyno's id must be a uuid");
	if (s->app_uid >= HOST_UIDS)
		return err_set(err, ERR_BAD_REQUEST, "user index %u is out of range", s->app_uid);
	if (!good_name(s->name))
		return err_set(err, ERR_BAD_REQUEST,
			       "a dyno needs a name of letters, digits, . _ -");
	for (int i = 0; i < s->nbinds; i++)
		if (!good_destination(s->binds[i].dst))
			return err_set(err, ERR_BAD_REQUEST, "%s is no place for a bind",
				       s->binds[i].dst);
	if (s->into[0] && (!name_is_uuid(s->into) || s->slug || s->nbinds || s->port))
		return err_set(err, ERR_BAD_REQUEST,
			       "what enters a dyno brings neither slug nor binds nor a port");
	for (int i = 0; i < s->nbinds && !h->sandbox; i++)
		if (!(s->binds[i].flags & BIND_HOST))
			return err_set(err, ERR_UNAVAILABLE,
				       "the plain runtime cannot bind folders: builds and volumes "
				       "need the sandbox");
	return check_net(h, s, err);
}

static int open_folder(struct host *h, const struct plan *p, const struct launch_bind *b,
		       struct err *err)
{
	AUTO(auto_fd) int fd = open_source(h, b->src, b->flags & BIND_RO, err);
	bool map = (b->flags & BIND_IDMAP) && h->idmap && h->sandbox;

	if (fd < 0)
		return -1;
	if ((b->flags & BIND_IDMAP) && !map && h->root) {
		/* the slow way: the app owns the files until the end */
		AUTO(auto_fd) int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir >= 0) {
			record(h, p->spec.id, "own %s\n", b->src);
			if (tree_own(dir, h->owner, p->app_uid, p->app_gid, err) < 0)
				return -1;
		}
	}
	return h->sandbox ? ln_idmap_tree(h, fd, b->flags & BIND_RO, map ? p->app_uid : 0, err)
			  : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_bind(struct host *h, const struct plan *p, const struct launch_bind *b,
		     struct err *err)
{
	const char *rel = NULL;

	if (!(b->flags & BIND_VOLUME))
		return open_folder(h, p, b, err);
	if (allowed(h, b->src, false, &rel) != h->state_fd || strncmp(rel, "volumes/", 8) != 0)
		return err_set(err, ERR_FORBIDDEN, "%s is no volume", b->src);
	return ln_volume_tree(h, rel + 8, b->flags & BIND_RO, p->app_uid, p->app_gid, err);
}

/* The dyno's own folder, for the copy or the changes of /app. */
static int open_work(struct host *h, const struct plan *p, struct fds *f, struct err *err)
{
	AUTO(auto_fd) int fd = tree_open(h->dynos_fd, p->spec.id, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return err_errno(err, "open %s", p->work);
	f->work = h->sandbox ? ln_idmap_tree(h, fd, false, 0, err) : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return f->work < 0 ? -1 : 0;
}

static int open_inside(struct host *h, struct plan *p, struct fds *f, struct err *err);

static int open_sources(struct host *h, struct plan *p, struct fds *f, struct err *err)
{
	const struct launch_spec *s = &p->spec;

	*f = (struct fds){.group = -1, .work = -1, .slug = -1};
	if (p->enter)
		return open_inside(h, p, f, err);
	if (open_work(h, p, f, err) < 0)
		return -1;
	if (s->slug) {
		f->slug = open_source(h, s->slug, true, err);
		if (f->slug < 0)
			return err_wrap(err, "slug");
		p->app = h->sandbox && h->idmap ? PLAN_APP_OVERLAY : PLAN_APP_COPY;
	}
	if (p->app == PLAN_APP_OVERLAY) {
		int tree = ln_idmap_tree(h, f->slug, true, p->app_uid, err);

		if (tree < 0)
			return -1;
		close(f->slug);
		f->slug = tree;
	}
	for (int i = 0; i < s->nbinds && i < (int)ARRAY_LEN(f->binds); i++) {
		int fd = open_bind(h, p, &s->binds[i], err);

		if (fd < 0 && !((s->binds[i].flags & BIND_OPTIONAL) && errno == ENOENT))
			return err_wrap(err, "bind %s", s->binds[i].dst);
		f->binds[f->n++] = fd;
	}
	return 0;
}

static int make_folders(struct host *h, struct start *s, struct err *err)
{
	const struct plan *p = &s->plan;
	const char *id = p->spec.id;
	AUTO(auto_str) char *name = xasprintf("dynos/%s", id);
	AUTO(auto_fd) int fd = -1;

	if (mkdirat(h->dynos_fd, id, 0711) < 0)
		return errno == EEXIST ? err_set(err, ERR_CONFLICT, "dyno %s exists", id)
				       : err_errno(err, "create %s", p->work);
	s->made = true;
	if (mkdirat(h->run_fd, name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create %s", p->dir);
	fd = tree_open(h->run_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || (h->root && fchown(fd, h->owner, h->owner_gid) < 0))
		return err_errno(err, "chown %s", p->dir);
	return 0;
}

static void put_owned(struct host *h, const char *id, const char *name, const void *data, size_t n)
{
	AUTO(auto_str) char *dir = xasprintf("dynos/%s", id);
	AUTO(auto_fd) int at = tree_open(h->run_fd, dir, O_RDONLY | O_DIRECTORY);
	AUTO(auto_fd)
	int fd = at < 0 ? -1
			: openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
				 0600);

	if (fd >= 0 && write(fd, data, n) == (ssize_t)n && h->root &&
	    fchown(fd, h->owner, h->owner_gid) < 0)
		unlinkat(at, name, 0);
}

/* DIR/spec: the request without its environment, then what the launcher answered. */
static void write_spec(struct host *h, struct plan *p)
{
	AUTO(buf_clear) struct buf b = {0};
	char **env = p->spec.env;
	int envc = p->spec.envc;
	size_t mark;

	p->spec.env = NULL;
	p->spec.envc = 0;
	launch_spec_encode(&b, p->enter ? LAUNCH_ENTER : LAUNCH_CREATE, &p->spec);
	p->spec.env = env;
	p->spec.envc = envc;
	mark = wire_begin(&b, LAUNCH_OK);
	wire_str(&b, L_IP, p->ip);
	wire_end(&b, mark);
	put_owned(h, p->spec.id, "spec", b.data, b.len);
}

static int fill_plan(struct host *h, struct start *s, struct err *err)
{
	struct plan *p = &s->plan;

	p->sandbox = h->sandbox;
	p->upper_tmpfs = h->upper_tmpfs;
	p->owner_uid = h->owner;
	p->owner_gid = h->owner_gid;
	p->app_uid = p->app_gid = h->root ? h->uid_base + p->spec.app_uid : geteuid();
	p->prefix = HOST_PREFIX;
	p->enter = p->spec.into[0];
	p->run = xstrdup(h->run);
	p->dir = xasprintf("%s/dynos/%s", h->run, p->spec.id);
	p->work = xasprintf("%s/dynos/%s", h->state, p->enter ? p->spec.into : p->spec.id);
	if (!h->sandbox) {
		snprintf(p->ip, sizeof p->ip, "127.0.0.1");
		return 0;
	}
	p->root = xstrdup(LN_BOX "/root");
	p->tmpl = ln_stack_path(h, p->spec.stack, err);
	if (!p->tmpl)
		return -1;
	p->has_net = p->spec.net && h->net && !p->enter;
	if (!p->has_net)
		return 0;
	s->ip = p->spec.address ? ln_net_ip_fixed(h, p->spec.address) : ln_net_ip_take(h);
	if (!s->ip)
		return p->spec.address
			       ? err_set(err, ERR_CONFLICT, "address %u of the instance is taken",
					 p->spec.address)
			       : err_set(err, ERR_UNAVAILABLE,
					 "every address of the instance is taken");
	ln_net_ip_text(s->ip, p->ip);
	snprintf(p->gateway, sizeof p->gateway, "%s", h->gateway_text);
	return 0;
}

static int plan_fd(const struct plan *p, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	int fd = memfd_create("paas-plan", MFD_CLOEXEC);

	launch_plan_encode(&b, p);
	if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len) {
		if (fd >= 0)
			close(fd);
		fd = err_errno(err, "hand over the plan");
	}
	explicit_bzero(b.data, b.len);
	return fd;
}

/* Child: puts each descriptor at its number. First out of the way of all numbers, then down. */
static _Noreturn void exec_shim(const struct host *h, int plan, int ctl, const struct fds *f)
{
	int from[PLAN_FD_BINDS + 64], n = PLAN_FD_BINDS + f->n;
	char *const argv[] = {(char *)(uintptr_t) "paas-shim", NULL};
	char *const env[] = {NULL};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	for (int i = 0; i < PLAN_FD_PLAN; i++)
		from[i] = i;
	from[PLAN_FD_PLAN] = plan;
	from[PLAN_FD_CTL] = ctl;
	from[PLAN_FD_SECCOMP] = h->filter_fd;
	from[PLAN_FD_CGROUP] = f->group;
	from[PLAN_FD_WORK] = f->work;
	from[PLAN_FD_SLUG] = f->slug;
	memcpy(from + PLAN_FD_BINDS, f->binds, (size_t)f->n * sizeof f->binds[0]);
	/* what is absent gets a placeholder: a free number below n would be taken by the next open
	 */
	for (int i = PLAN_FD_PLAN; i < n; i++)
		from[i] = fcntl(from[i] < 0 ? null : from[i], F_DUPFD_CLOEXEC, 128);
	for (int i = PLAN_FD_PLAN; i < n; i++)
		dup2(from[i], i);
	syscall(SYS_close_range, (unsigned)n, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	execve(h->shim, argv, env);
	dprintf(2, "paas-launcher: cannot run %s: %s\n", h->shim, strerror(errno));
	_exit(127);
}

static int spawn_shim(struct host *h, struct start *s, const struct fds *f, struct err *err)
{
	AUTO(auto_fd) int plan = plan_fd(&s->plan, err);
	int ctl[2];

	if (plan < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) < 0)
		return err_errno(err, "socketpair");
	s->shim = fork();
	if (s->shim == 0)
		exec_shim(h, plan, ctl[1], f);
	close(ctl[1]);
	s->ctl = ctl[0];
	return s->shim < 0 ? err_errno(err, "fork") : 0;
}

static void write_pid(struct host *h, const struct start *s)
{
	unsigned long long at = proc_starttime(s->shim);
	char text[64];
	int n = snprintf(text, sizeof text, "%d %llu\n", s->shim, at);

	record(h, s->plan.spec.id, "shim %d %llu\n", s->shim, at);
	put_owned(h, s->plan.spec.id, "pid", text, (size_t)n);
}

int ln_dyno_start(struct host *h, struct launch_spec *spec, struct start *out, struct err *err)
{
	struct fds f = {.group = -1, .work = -1, .slug = -1};
	int r = -1;

	*out = (struct start){.ctl = -1};
	out->plan.spec = *spec;
	*spec = (struct launch_spec){0};
	if (check_spec(h, &out->plan.spec, err) < 0)
		return -1;
	if (fill_plan(h, out, err) == 0 && make_folders(h, out, err) == 0) {
		const struct plan *p = &out->plan;

		if (out->ip)
			record(h, p->spec.id, "ip %s\n", p->ip);
		record(h, p->spec.id, "user %u\n", p->app_uid);
		if (p->enter)
			record(h, p->spec.id, "into %s\n", p->spec.into);
		for (int i = 0; i < p->spec.nreach && p->has_net; i++)
			record(h, p->spec.id, "reach %s\n", p->spec.reach[i]);
		r = open_sources(h, &out->plan, &f, err);
		if (r == 0 && !p->enter)
			r = cg_create(&h->cg, &p->spec, err);
		if (r == 0)
			f.group = cg_open_group(&h->cg, p->enter ? p->spec.into : p->spec.id);
		if (r == 0)
			write_spec(h, &out->plan);
		if (r == 0)
			r = spawn_shim(h, out, &f, err);
		if (r == 0)
			write_pid(h, out);
		close_fds(&f);
	}
	return r;
}

static int open_ways(struct host *h, const struct start *s, struct err *err)
{
	const struct launch_spec *spec = &s->plan.spec;
	struct reach to[HOST_REACH];
	int n = 0;

	while (n < spec->nreach && n < HOST_REACH) {
		if (!ln_net_reach_parse(h, spec->reach[n], &to[n]))
			abort(); /* checked */
		n++;
	}
	return ln_net_reach(h, s->ip, to, n, true, err);
}

int ln_dyno_place(struct host *h, struct start *s, pid_t pid, bool born, struct err *err)
{
	const struct launch_spec *spec = &s->plan.spec;
	char msg[PLAN_MSG] = "G";

	/* the one thing a shim says that we act on as root: it must be its own child */
	record(h, spec->id, "init %d %llu\n", pid, (unsigned long long)proc_starttime(pid));
	if (s->plan.enter) {
		if (cg_join(&h->cg, spec->into, pid, born, err) < 0)
			return -1;
		snprintf(msg, sizeof msg, "G0"); /* counted with the dyno */
	} else if (cg_place(&h->cg, spec, pid, born, msg + 1, sizeof msg - 1, err) < 0)
		return -1;
	if (s->plan.has_net &&
	    (ln_net_attach(h, spec->id, pid, s->ip, err) < 0 || open_ways(h, s, err) < 0))
		return -1;
	if (send(s->ctl, msg, strlen(msg), MSG_NOSIGNAL) < 0)
		return err_errno(err, "the shim is gone");
	return 0;
}

/* --- going away ----------------------------------------------------------------------------------
 */

struct record {
	pid_t shim, init;
	unsigned long long shim_at, init_at;
	unsigned user;
	bool entered;
	char ip[16];
	char *own[64];
	int nown;
	struct reach reach[HOST_REACH];
	int nreach;
};

static void read_record(struct host *h, const char *id, struct record *r)
{
	AUTO(auto_str) char *path = xasprintf("%s/record", id);
	int fd = tree_open(h->dynos_fd, path, O_RDONLY);
	struct stat st;
	FILE *f = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() ? fdopen(fd, "r") : NULL;
	char line[4200], text[4100];

	*r = (struct record){0};
	if (!f && fd >= 0)
		close(fd);
	while (f && fgets(line, sizeof line, f)) {
		sscanf(line, "shim %d %llu", &r->shim, &r->shim_at);
		sscanf(line, "init %d %llu", &r->init, &r->init_at);
		sscanf(line, "ip %15s", r->ip);
		sscanf(line, "user %u", &r->user);
		r->entered |= strncmp(line, "into ", 5) == 0;
		if (r->nreach < HOST_REACH && sscanf(line, "reach %4095s", text) == 1 &&
		    ln_net_reach_parse(h, text, &r->reach[r->nreach]))
			r->nreach++;
		if (r->nown < 64 && sscanf(line, "own %4095[^\n]", text) == 1)
			r->own[r->nown++] = xstrdup(text);
	}
	if (f)
		fclose(f);
}

static void clear_record(struct record *r)
{
	for (int i = 0; i < r->nown; i++)
		free(r->own[i]);
	r->nown = 0;
}

static uint32_t record_ip(const struct record *r)
{
	return r->ip[0] ? ln_net_ip_parse(r->ip) : 0;
}

uint32_t ln_dyno_ip(struct host *h, const char *id)
{
	struct record r;

	read_record(h, id, &r);
	clear_record(&r);
	return record_ip(&r);
}

/* A handle on the process that was recorded, never on another that has its pid now. */
static int open_process(pid_t pid, unsigned long long at)
{
	int fd = pid > 1 && at ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd >= 0 && proc_starttime(pid) != at) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The dyno to be entered: it runs, and it is the same app's, both by what we noted ourselves. */
static int open_inside(struct host *h, struct plan *p, struct fds *f, struct err *err)
{
	struct record r;

	read_record(h, p->spec.into, &r);
	clear_record(&r);
	f->work = open_process(r.init, r.init_at);
	if (f->work < 0)
		return err_set(err, ERR_NOT_FOUND, "the dyno does not run");
	if (r.user != p->app_uid)
		return err_set(err, ERR_FORBIDDEN, "the dyno belongs to another app");
	if (!h->sandbox)
		p->app = PLAN_APP_COPY; /* made already; its folder is the working directory */
	return 0;
}

static bool gone(int pidfd, int ms)
{
	struct pollfd p = {pidfd, POLLIN, 0};

	return pidfd < 0 || poll(&p, 1, ms) == 1;
}

static void kill_fd(int pidfd)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* Without a pid namespace: whatever carries the dyno's mark in its environment. */
static void kill_marked(const char *id)
{
	AUTO(auto_str) char *mark = xasprintf("PAAS_DYNO_ID=%s", id);
	DIR *d = opendir("/proc");

	for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		AUTO(auto_str) char *path = xasprintf("/proc/%.20s/environ", e->d_name);
		AUTO(auto_fd)
		int fd = e->d_name[0] >= '1' && e->d_name[0] <= '9'
				 ? open(path, O_RDONLY | O_CLOEXEC)
				 : -1;
		char text[131072];
		ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;

		if (n > 0 && memmem(text, (size_t)n, mark, strlen(mark) + 1) &&
		    atoi(e->d_name) != getpid())
			kill(atoi(e->d_name), SIGKILL);
	}
	if (d)
		closedir(d);
}

/* The init dies first; its shim then has a moment to send the last lines and leave by itself. */
static int end_processes(struct host *h, const char *id, const struct record *r, struct err *err)
{
	AUTO(auto_fd) int shim = open_process(r->shim, r->shim_at);
	AUTO(auto_fd) int init = open_process(r->init, r->init_at);

	/* what it started inside would live on: the dyno's own init takes care of it from then */
	if (init >= 0 && r->entered)
		kin_signal(r->init, SIGKILL);
	kill_fd(init);
	if (cg_kill(&h->cg, id, KILL_MS, err) < 0)
		return -1;
	if (!gone(init, KILL_MS))
		return err_set(err, ERR_TIMEOUT, "the init of %s does not die", id);
	if (!h->sandbox)
		kill_marked(id);
	if (!gone(shim, SHIM_GRACE_MS)) {
		kill_fd(shim);
		if (!gone(shim, KILL_MS))
			return err_set(err, ERR_TIMEOUT, "the shim of %s does not die", id);
		if (!h->sandbox)
			kill_marked(id);
	}
	return 0;
}

/* Dynos of an app share its volumes: the last one hands them back. */
static bool owned_by_another(struct host *h, const char *path, const char *id)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids);
	bool any = false;

	for (int i = 0; i < n && !any; i++) {
		struct record r;

		if (strcmp(ids[i], id) == 0)
			continue;
		read_record(h, ids[i], &r);
		for (int k = 0; k < r.nown; k++)
			any |= strcmp(r.own[k], path) == 0;
		clear_record(&r);
	}
	free(ids);
	return any;
}

static void own_back(struct host *h, const char *path)
{
	const char *rel;
	int base = allowed(h, path, false, &rel);
	AUTO(auto_fd) int fd = base < 0 ? -1 : tree_open(base, rel, O_RDONLY | O_DIRECTORY);

	/* whatever the app's user made: everything there belongs to paasd in the end */
	if (fd >= 0)
		tree_own(fd, (uid_t)-1, h->owner, h->owner_gid, NULL);
}

int ln_dyno_remove(struct host *h, const char *id, struct err *err)
{
	AUTO(auto_str) char *name = xasprintf("dynos/%s", id);
	struct record r;
	int done;

	if (!name_is_uuid(id))
		return err_set(err, ERR_BAD_REQUEST, "a dyno's id must be a uuid");
	read_record(h, id, &r);
	done = end_processes(h, id, &r, err);
	if (done == 0)
		done = cg_remove(&h->cg, id, err);
	if (done == 0 && h->net)
		done = ln_net_detach(h, id, err);
	if (done == 0 && r.ip[0])
		done = ln_net_reach(h, record_ip(&r), r.reach, r.nreach, false, err);
	for (int i = 0; i < r.nown && done == 0; i++)
		if (!owned_by_another(h, r.own[i], id))
			own_back(h, r.own[i]);
	clear_record(&r);
	if (done < 0)
		return -1;
	/* the record goes last: until then a second try knows as much as this one */
	if (tree_remove(h->run_fd, name, err) < 0)
		return -1;
	return tree_remove(h->dynos_fd, id, err);
}

int ln_dyno_rmtree(struct host *h, const char *path, struct err *err)
{
	const char *rel;
	int base = allowed(h, path, false, &rel);
	AUTO(auto_str) char *copy = base < 0 ? NULL : xstrdup(rel);
	char *slash;
	AUTO(auto_fd) int parent = -1;

	if (!copy || !*copy || below(copy, "dynos") || below(copy, "volumes"))
		return err_set(err, ERR_FORBIDDEN, "%s may not be deleted", path);
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = tree_open(base, slash ? copy : ".", O_RDONLY | O_DIRECTORY);
	if (parent < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open the folder of %s", path);
	if (strcmp(slash ? slash + 1 : copy, "..") == 0 ||
	    strcmp(slash ? slash + 1 : copy, ".") == 0)
		return err_set(err, ERR_FORBIDDEN, "%s may not be deleted", path);
	return tree_remove(parent, slash ? slash + 1 : copy, err);
}

/* --- what there is -------------------------------------------------------------------------------
 */

struct ids {
	char (*list)[37];
	int n;
};

static void add_id(const char *id, void *arg)
{
	struct ids *l = arg;

	for (int i = 0; i < l->n; i++)
		if (strcmp(l->list[i], id) == 0)
			return;
	l->list = xrealloc(l->list, (size_t)(l->n + 1) * sizeof *l->list);
	snprintf(l->list[l->n++], sizeof *l->list, "%s", id);
}

/* Takes fd. */
static void add_folders(int fd, struct ids *l)
{
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		if (name_is_uuid(e->d_name))
			add_id(e->d_name, l);
	if (d)
		closedir(d);
}

int ln_dyno_list(struct host *h, char (**ids)[37])
{
	struct ids l = {0};

	add_folders(tree_open(h->run_fd, "dynos", O_RDONLY | O_DIRECTORY), &l);
	if (h->dynos_fd >= 0)
		add_folders(openat(h->dynos_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &l);
	cg_list(&h->cg, add_id, &l);
	*ids = l.list;
	return l.n;
}

void ln_dyno_load_ips(struct host *h)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids);

	for (int i = 0; i < n; i++)
		ln_net_ip_mark(h, ln_dyno_ip(h, ids[i]), true);
	free(ids);
}

void ln_dyno_each_reach(struct host *h,
			void (*each)(uint32_t from, const struct reach *to, void *arg), void *arg)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids);

	for (int i = 0; i < n; i++) {
		struct record r;

		read_record(h, ids[i], &r);
		for (int k = 0; k < r.nreach && r.ip[0]; k++)
			each(record_ip(&r), &r.reach[k], arg);
		clear_record(&r);
	}
	free(ids);
}

int ln_dyno_remove_all(struct host *h, struct err *err)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids), r = 0;

	/* all at once: their shims' last moments then run side by side */
	for (int i = 0; i < n; i++) {
		struct record rec;
		AUTO(auto_fd) int init = -1;

		read_record(h, ids[i], &rec);
		clear_record(&rec);
		init = open_process(rec.init, rec.init_at);
		kill_fd(init);
	}
	for (int i = 0; i < n; i++)
		if (ln_dyno_remove(h, ids[i], err) < 0)
			r = -1;
	free(ids);
	return r;
}
