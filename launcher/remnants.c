#include "launcher/remnants.h"
#include "launcher/record.h"
#include "shim/kin.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { ROUNDS = 200, MARK_MAX = 64, PIECE = 64 * 1024, STRAYS = 4096 };

/* One process, by a handle that never means another one. */
struct found {
	int pidfd;
	bool marked;
};

/* Environments can be larger than any buffer of ours: pieces that overlap by a mark. */
static bool has_mark(const char *pid, const char *mark)
{
	AUTO(auto_str) char *path = xasprintf("/proc/%s/environ", pid);
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[MARK_MAX + PIECE];
	size_t keep = 0, n = strlen(mark) + 1; /* with its end: no longer value */
	ssize_t got;

	while (fd >= 0 && (got = read(fd, text + keep, PIECE)) > 0) {
		size_t have = keep + (size_t)got;

		if (memmem(text, have, mark, n))
			return true;
		keep = have < n ? have : n;
		memmove(text, text + have - keep, keep);
	}
	return false;
}

/* The real user of a process; root's, which is nobody's here, when there is no such process. */
static unsigned user_of(const char *pid)
{
	AUTO(auto_str) char *path = xasprintf("/proc/%s/status", pid);
	FILE *f = fopen(path, "re");
	unsigned uid = 0;
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof line, f))
		found = sscanf(line, "Uid: %u", &uid) == 1;
	if (f)
		fclose(f);
	return found ? uid : 0;
}

/* Handle first, look second: if the number changes hands in between, the signal meets nobody. */
static int look(const char *pid, unsigned user, const char *mark, struct found *out)
{
	pid_t p = (pid_t)strtol(pid, NULL, 10);

	out->pidfd = p > 1 && p != getpid() ? (int)syscall(SYS_pidfd_open, p, 0) : -1;
	if (out->pidfd < 0)
		return -1;
	if (user && user_of(pid) == user) {
		out->marked = has_mark(pid, mark);
		return 0;
	}
	close(out->pidfd);
	return -1;
}

static struct found *all_of(unsigned user, const char *mark, int *count)
{
	struct found *v = NULL;
	DIR *d = opendir("/proc");

	*count = 0;
	for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		v = xrealloc(v, (size_t)(*count + 1) * sizeof *v);
		if (look(e->d_name, user, mark, &v[*count]) == 0)
			++*count;
	}
	if (d)
		closedir(d);
	return v;
}

static bool alone_of(struct host *h, const char *id, unsigned user)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids);
	bool alone = true;

	for (int i = 0; i < n && alone; i++) {
		struct record r;

		if (strcmp(ids[i], id) == 0)
			continue;
		ln_record_read(h, ids[i], &r);
		alone = r.user != user;
		ln_record_clear(&r);
	}
	free(ids);
	return alone;
}

/* Is this user one of those that are given to nobody but apps and services of this instance? */
static bool only_ours(const struct host *h, unsigned user)
{
	return h->root && user >= h->uid_base && user - h->uid_base < HOST_UIDS;
}

/* One pass. Returns how many there were. */
static int kill_round(struct host *h, const char *id, unsigned user, const char *mark)
{
	struct found *v;
	int n, killed = 0;
	bool all;

	v = all_of(user, mark, &n);
	/* after the look: whoever of this user came up meanwhile is in no handle of ours, and
	 * whoever was there before has its record, which is written first */
	all = n > 0 && only_ours(h, user) && alone_of(h, id, user);
	for (int i = 0; i < n; i++) {
		if (all || v[i].marked) {
			syscall(SYS_pidfd_send_signal, v[i].pidfd, SIGKILL, NULL, 0);
			killed++;
		}
		close(v[i].pidfd);
	}
	free(v);
	return killed;
}

void ln_remnants_end(struct host *h, const char *id, unsigned user)
{
	AUTO(auto_str) char *mark = xasprintf("PAAS_DYNO_ID=%s", id);

	/* what forks while we look is found by the next round */
	for (int i = 0; i < ROUNDS && kill_round(h, id, user, mark) > 0; i++)
		usleep(1000);
}

/* --- strays --- */

void ln_own_add(struct own *o, pid_t pid)
{
	o->v = xrealloc(o->v, (size_t)(o->n + 1) * sizeof *o->v);
	o->v[o->n++] = pid;
}

void ln_own_drop(struct own *o, pid_t pid)
{
	for (int i = 0; i < o->n; i++)
		if (o->v[i] == pid)
			o->v[i--] = o->v[--o->n];
}

void ln_own_begin(const struct host *h, struct own *o)
{
	pid_t kids[STRAYS];
	size_t n = kin_children(getpid(), kids, STRAYS);

	for (size_t i = 0; i < n && i < STRAYS; i++)
		ln_own_add(o, kids[i]);
	if (!h->sandbox)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static bool is_stray(const struct host *h, const struct own *o, pid_t pid)
{
	char text[16];

	for (int i = 0; i < o->n; i++)
		if (o->v[i] == pid)
			return false;
	if (!h->root) /* every shim began a session of its own */
		return getsid(pid) != getsid(0);
	snprintf(text, sizeof text, "%d", (int)pid);
	return only_ours(h, user_of(text));
}

int ln_strays_end(const struct host *h, const struct own *o)
{
	pid_t kids[STRAYS];
	size_t n = h->sandbox ? 0 : kin_children(getpid(), kids, STRAYS);
	int killed = 0;

	/* a child that nobody has waited for keeps its number: no handle is needed */
	for (size_t i = 0; i < n && i < STRAYS; i++)
		if (is_stray(h, o, kids[i])) {
			kill(kids[i], SIGKILL);
			killed++;
		}
	return killed;
}
