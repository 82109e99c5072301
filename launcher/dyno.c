#include "launcher/record.h"
#include "launcher/sources.h"
#include "launcher/tree.h"
#include "daemon/core/proc.h"
#include "proto/names.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void ln_start_clear(struct start *s)
{
	launch_plan_clear(&s->plan);
	if (s->ctl >= 0)
		close(s->ctl);
	s->ctl = -1;
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
static _Noreturn void exec_shim(const struct host *h, int plan, int ctl, const struct sources *f)
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

static int spawn_shim(struct host *h, struct start *s, const struct sources *f, struct err *err)
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

	ln_record_note(h, s->plan.spec.id, "shim %d %llu\n", s->shim, at);
	put_owned(h, s->plan.spec.id, "pid", text, (size_t)n);
}

int ln_dyno_start(struct host *h, struct launch_spec *spec, struct start *out, struct err *err)
{
	struct sources f = {.group = -1, .work = -1, .slug = -1};
	int r = -1;

	*out = (struct start){.ctl = -1};
	out->plan.spec = *spec;
	*spec = (struct launch_spec){0};
	if (check_spec(h, &out->plan.spec, err) < 0)
		return -1;
	if (fill_plan(h, out, err) == 0 && make_folders(h, out, err) == 0) {
		const struct plan *p = &out->plan;

		if (out->ip)
			ln_record_note(h, p->spec.id, "ip %s\n", p->ip);
		ln_record_note(h, p->spec.id, "user %u\n", p->app_uid);
		if (p->enter)
			ln_record_note(h, p->spec.id, "into %s\n", p->spec.into);
		for (int i = 0; i < p->spec.nreach && p->has_net; i++)
			ln_record_note(h, p->spec.id, "reach %s\n", p->spec.reach[i]);
		r = ln_sources_open(h, &out->plan, &f, err);
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
		ln_sources_close(&f);
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
	ln_record_note(h, spec->id, "init %d %llu\n", pid, (unsigned long long)proc_starttime(pid));
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
