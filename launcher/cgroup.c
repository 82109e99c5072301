#include "launcher/cgroup.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

static const char *const kind_names[] = {
	[CG_NONE] = "none",
	[CG_V2] = "cgroup2",
	[CG_V1] = "cgroup1",
	[CG_SYSTEMD] = "systemd",
};

const char *cg_kind_name(const struct cg *c)
{
	return kind_names[c->kind];
}

static bool put(const char *dir, const char *file, const char *text)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", dir, file);
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);

	return fd >= 0 && write(fd, text, n) == (ssize_t)n;
}

static bool put_u64(const char *dir, const char *file, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	return put(dir, file, text);
}

static bool get(const char *dir, const char *file, char *out, size_t cap)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", dir, file);
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : -1;

	out[n > 0 ? n : 0] = 0;
	return n >= 0;
}

/* --- what is there ------------------------------------------------------------------------------
 */

struct mounts {
	char *v2, *v1[3]; /* owned mount points */
};

static bool has_word(const char *list, const char *word, const char *separators)
{
	AUTO(auto_str) char *copy = xstrdup(list);
	char *save = NULL;

	for (char *w = strtok_r(copy, separators, &save); w; w = strtok_r(NULL, separators, &save))
		if (strcmp(w, word) == 0)
			return true;
	return false;
}

static void note_mount(struct mounts *m, const char *line)
{
	static const char *const names[] = {"memory", "pids", "cpu"};
	char where[256], type[32], options[256];
	const char *dash = strstr(line, " - ");

	if (!dash || sscanf(line, "%*d %*d %*s %*s %255s", where) != 1 ||
	    sscanf(dash, " - %31s %*s %255s", type, options) != 2)
		return;
	if (strcmp(type, "cgroup2") == 0 && !m->v2)
		m->v2 = xstrdup(where);
	for (int i = 0; strcmp(type, "cgroup") == 0 && i < 3; i++)
		if (!m->v1[i] && has_word(options, names[i], ","))
			m->v1[i] = xstrdup(where);
}

static void find_mounts(struct mounts *m)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[2048];

	while (f && fgets(line, sizeof line, f))
		note_mount(m, line);
	if (f)
		fclose(f);
}

static char *instance_dir(const char *mount_point, const char *name)
{
	char *path = mount_point ? xasprintf("%s/%s", mount_point, name) : NULL;

	if (path && mkdir(path, 0755) < 0 && errno != EEXIST) {
		free(path);
		return NULL;
	}
	return path;
}

static bool open_v2(struct cg *c, const struct mounts *m)
{
	char have[256];
	char *dir;

	if (!m->v2 || !get(m->v2, "cgroup.controllers", have, sizeof have) ||
	    !has_word(have, "memory", " \n") || !has_word(have, "pids", " \n"))
		return false;
	put(m->v2, "cgroup.subtree_control", "+memory +pids +cpu");
	dir = instance_dir(m->v2, c->name);
	if (!dir)
		return false;
	put(dir, "cgroup.subtree_control", "+cpu"); /* nice to have */
	if (!put(dir, "cgroup.subtree_control", "+memory +pids")) {
		rmdir(dir);
		free(dir);
		return false;
	}
	c->trees[CG_MEMORY] = dir;
	c->kind = CG_V2;
	return true;
}

static bool open_v1(struct cg *c, const struct mounts *m)
{
	for (int i = 0; i < 3; i++)
		c->trees[i] = instance_dir(m->v1[i], c->name);
	if (!c->trees[CG_MEMORY] || !c->trees[CG_PIDS]) {
		cg_close(c);
		return false;
	}
	/* cpu rides along where it is; a v2 tree without controllers still tracks and kills */
	c->trees[CG_TRACK] = instance_dir(m->v2, c->name);
	c->kind = CG_V1;
	return true;
}

/* systemd on a host whose controllers are in v1 sets limits too, but there the counters that we
 * read are elsewhere: by hand both work. */
static bool systemd_rules(const struct mounts *m)
{
	char have[256];

	return m->v2 && access("/run/systemd/system", F_OK) == 0 &&
	       get(m->v2, "cgroup.controllers", have, sizeof have) &&
	       has_word(have, "memory", " \n") && scope_available();
}

void cg_open(struct cg *c, const char *instance, bool lack, char why[200])
{
	struct mounts m = {0};

	*c = (struct cg){.kind = CG_NONE};
	why[0] = 0;
	snprintf(c->name, sizeof c->name, "%s", instance);
	if (!lack)
		find_mounts(&m);
	if (systemd_rules(&m)) {
		c->kind = CG_SYSTEMD;
		c->trees[CG_MEMORY] = xasprintf("%s/paasd.slice", m.v2);
	} else if (!open_v2(c, &m) && !open_v1(c, &m)) {
		snprintf(why, 200,
			 "no cgroup hierarchy with memory and pids is writable: dynos run without "
			 "memory, process and CPU limits");
	} else if (c->kind == CG_V1 && !c->trees[CG_CPU]) {
		snprintf(why, 200, "no cpu cgroup is writable: dynos run without CPU limits");
	}
	free(m.v2);
	for (int i = 0; i < 3; i++)
		free(m.v1[i]);
}

void cg_close(struct cg *c)
{
	for (int i = 0; i < CG_TREES; i++) {
		free(c->trees[i]);
		c->trees[i] = NULL;
	}
	c->kind = CG_NONE;
}

/* --- one dyno ------------------------------------------------------------------------------------
 */

static void unit_name(const struct cg *c, const char *id, char *out, size_t cap)
{
	if (c->kind == CG_SYSTEMD)
		snprintf(out, cap, "%s-%s.scope", c->name, id);
	else
		snprintf(out, cap, "%s", id);
}

static char *dyno_dir(const struct cg *c, int tree, const char *id)
{
	char unit[80];

	if (!c->trees[tree])
		return NULL;
	unit_name(c, id, unit, sizeof unit);
	return xasprintf("%s/%s", c->trees[tree], unit);
}

static int limit_failed(struct err *err, const char *what)
{
	return err_errno(err, "set the %s limit", what);
}

static int limits_v2(const char *dir, const struct launch_spec *s, struct err *err)
{
	char cpu[48];

	if (s->mem_max && !put_u64(dir, "memory.max", s->mem_max))
		return limit_failed(err, "memory");
	if (s->mem_max) {
		put(dir, "memory.swap.max", "0"); /* absent without swap accounting */
		put(dir, "memory.oom.group", "1");
	}
	if (s->pids_max && !put_u64(dir, "pids.max", s->pids_max))
		return limit_failed(err, "process");
	if (s->cpu_weight)
		put_u64(dir, "cpu.weight", s->cpu_weight);
	snprintf(cpu, sizeof cpu, "%u 100000", s->cpu_pct * 1000);
	if (s->cpu_pct)
		put(dir, "cpu.max", cpu);
	return 0;
}

static int limits_v1(char *const dirs[], const struct launch_spec *s, struct err *err)
{
	if (s->mem_max && !put_u64(dirs[CG_MEMORY], "memory.limit_in_bytes", s->mem_max))
		return limit_failed(err, "memory");
	if (s->mem_max)
		put_u64(dirs[CG_MEMORY], "memory.memsw.limit_in_bytes", s->mem_max);
	if (s->pids_max && !put_u64(dirs[CG_PIDS], "pids.max", s->pids_max))
		return limit_failed(err, "process");
	if (dirs[CG_CPU] && s->cpu_weight)
		put_u64(dirs[CG_CPU], "cpu.shares", (uint64_t)s->cpu_weight * 1024 / 100);
	if (dirs[CG_CPU] && s->cpu_pct) {
		put(dirs[CG_CPU], "cpu.cfs_period_us", "100000");
		put_u64(dirs[CG_CPU], "cpu.cfs_quota_us", (uint64_t)s->cpu_pct * 1000);
	}
	return 0;
}

int cg_create(const struct cg *c, const struct launch_spec *s, struct err *err)
{
	char *dirs[CG_TREES] = {0};
	int r = 0;

	if (c->kind == CG_NONE || c->kind == CG_SYSTEMD)
		return 0;
	for (int i = 0; i < CG_TREES && r == 0; i++) {
		dirs[i] = dyno_dir(c, i, s->id);
		if (dirs[i] && mkdir(dirs[i], 0755) < 0 && errno != EEXIST)
			r = err_errno(err, "create cgroup %s", dirs[i]);
	}
	if (r == 0)
		r = c->kind == CG_V2 ? limits_v2(dirs[CG_MEMORY], s, err) : limits_v1(dirs, s, err);
	for (int i = 0; i < CG_TREES; i++)
		free(dirs[i]);
	return r;
}

/* Which of the trees is a cgroup2 one; -1 = none that we make groups in. */
static int v2_tree(const struct cg *c)
{
	if (c->kind == CG_V2)
		return CG_MEMORY;
	return c->kind == CG_V1 && c->trees[CG_TRACK] ? CG_TRACK : -1;
}

int cg_open_group(const struct cg *c, const char *id)
{
	int tree = v2_tree(c);
	AUTO(auto_str) char *dir = tree < 0 ? NULL : dyno_dir(c, tree, id);

	return dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

int cg_place(const struct cg *c, const struct launch_spec *s, pid_t pid, bool born, char *meter,
	     size_t cap, struct err *err)
{
	char unit[80];

	snprintf(meter, cap, "0");
	if (c->kind == CG_NONE)
		return 0;
	unit_name(c, s->id, unit, sizeof unit);
	if (c->kind == CG_SYSTEMD && scope_start(unit, s, pid, err) < 0)
		return -1;
	for (int i = 0; i < CG_TREES; i++) {
		AUTO(auto_str) char *dir = dyno_dir(c, i, s->id);

		if (dir && !(born && i == v2_tree(c)) && c->kind != CG_SYSTEMD &&
		    !put_u64(dir, "cgroup.procs", (uint64_t)pid))
			return err_errno(err, "enter cgroup %s", dir);
		if (dir && c->kind == CG_SYSTEMD && s->mem_max)
			put(dir, "memory.oom.group", "1");
		if (i == CG_MEMORY)
			snprintf(meter, cap, "%c%s", c->kind == CG_V1 ? '1' : '2', dir);
	}
	return 0;
}

int cg_join(const struct cg *c, const char *id, pid_t pid, bool born, struct err *err)
{
	for (int i = 0; i < CG_TREES; i++) {
		AUTO(auto_str) char *dir = dyno_dir(c, i, id);

		if (dir && !(born && i == v2_tree(c)) &&
		    !put_u64(dir, "cgroup.procs", (uint64_t)pid))
			return err_errno(err, "enter cgroup %s", dir);
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Kills what cgroup.procs lists and waits for each by its pidfd. False: nothing was listed. */
static bool kill_listed(const char *dir, int64_t deadline)
{
	AUTO(auto_str) char *path = xasprintf("%s/cgroup.procs", dir);
	FILE *f = fopen(path, "re");
	bool any = false;
	int pid;

	while (f && fscanf(f, "%d", &pid) == 1) {
		AUTO(auto_fd) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		struct pollfd p = {pidfd, POLLIN, 0};
		int64_t left = deadline - now_ms();

		any = true;
		if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
			continue;
		poll(&p, 1, left > 0 ? (int)left : 0);
	}
	if (f)
		fclose(f);
	return any;
}

int cg_kill(const struct cg *c, const char *id, int ms, struct err *err)
{
	int64_t deadline = now_ms() + ms;

	for (int i = 0; i < CG_TREES; i++) {
		AUTO(auto_str) char *dir = dyno_dir(c, i, id);

		if (!dir)
			continue;
		put(dir, "cgroup.kill", "1"); /* v2, 5.14 and newer */
		while (kill_listed(dir, deadline)) {
			if (now_ms() > deadline)
				return err_set(err, ERR_TIMEOUT, "processes of %s do not die", id);
			usleep(1000); /* zombies whose parent has yet to reap them */
		}
	}
	return 0;
}

int cg_remove(const struct cg *c, const char *id, struct err *err)
{
	for (int i = 0; i < CG_TREES; i++) {
		AUTO(auto_str) char *dir = dyno_dir(c, i, id);

		/* the last process is dead before its group is empty: EBUSY for a moment */
		for (int tries = 0; dir && rmdir(dir) < 0 && errno != ENOENT; tries++) {
			if (errno != EBUSY || tries > 1000)
				return err_errno(err, "remove cgroup %s", dir);
			usleep(1000);
		}
	}
	return 0;
}

void cg_list(const struct cg *c, void (*each)(const char *id, void *arg), void *arg)
{
	size_t skip = c->kind == CG_SYSTEMD ? strlen(c->name) + 1 : 0;

	for (int i = 0; i < CG_TREES; i++) {
		DIR *d = c->trees[i] ? opendir(c->trees[i]) : NULL;

		for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
			char id[37];

			if (strlen(e->d_name) < skip + 36 ||
			    (skip && (strncmp(e->d_name, c->name, skip - 1) != 0 ||
				      e->d_name[skip - 1] != '-')))
				continue;
			snprintf(id, sizeof id, "%s", e->d_name + skip);
			if (name_is_uuid(id))
				each(id, arg);
		}
		if (d)
			closedir(d);
	}
}

void cg_finish(const struct cg *c)
{
	for (int i = 0; i < CG_TREES && c->kind != CG_SYSTEMD; i++)
		if (c->trees[i])
			rmdir(c->trees[i]);
}
