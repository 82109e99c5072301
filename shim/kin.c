#include "shim/kin.h"
#include "daemon/core/proc.h"
#include "proto/buf.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct proc_row {
	pid_t pid, parent;
	uint64_t rss_pages, started;
	bool kin;
};

/* Reads "pid (comm) state ppid ... rss": comm may hold anything, so parse from the last ')'. */
static bool read_row(const char *pid, struct proc_row *out)
{
	char path[64], text[1024];
	const char *p;
	ssize_t n;
	unsigned long long rss = 0, started = 0;
	int parent = 0, fd;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %llu %*u %llu",
			 &parent, &started, &rss) < 3)
		return false;
	*out = (struct proc_row){
		.pid = atoi(pid), .parent = parent, .rss_pages = rss, .started = started};
	return true;
}

static struct proc_row *snapshot(size_t *count)
{
	struct proc_row *rows = NULL;
	size_t n = 0, cap = 0;
	DIR *d = opendir("/proc");

	for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		if (n == cap)
			rows = xrealloc(rows, (cap = cap ? cap * 2 : 64) * sizeof *rows);
		if (read_row(e->d_name, &rows[n]))
			n++;
	}
	if (d)
		closedir(d);
	*count = n;
	return rows;
}

/* Marks the descendants of pid: repeats until a pass finds no more. */
static void mark(struct proc_row *rows, size_t n, pid_t pid)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			bool below = rows[i].parent == pid;

			for (size_t k = 0; k < n && !below; k++)
				below = rows[k].kin && rows[k].pid == rows[i].parent;
			if (below && !rows[i].kin)
				more = rows[i].kin = true;
		}
	}
}

/* The process that was seen, never another one that has its number by now. */
static void signal_row(const struct proc_row *r, int sig)
{
	AUTO(auto_fd) int fd = (int)syscall(SYS_pidfd_open, r->pid, 0);

	if (fd >= 0 && proc_starttime(r->pid) == r->started)
		syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

int kin_signal(pid_t pid, int sig)
{
	size_t n;
	AUTO(auto_str) char *hold = NULL;
	struct proc_row *rows = snapshot(&n);
	int count = 0;

	hold = (char *)rows;
	mark(rows, n, pid);
	for (size_t i = 0; i < n; i++)
		if (rows[i].kin && rows[i].pid != getpid()) {
			signal_row(&rows[i], sig);
			count++;
		}
	return count;
}

void kin_end(pid_t pid)
{
	/* a process that forks while we look is found by the next round; bounded, for a fork bomb
	 * of the same user cannot be won against without a pid namespace */
	for (int round = 0; round < 200 && kin_signal(pid, SIGKILL) > 0; round++) {
		if (pid == getpid())
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		usleep(1000);
	}
}

size_t kin_children(pid_t pid, pid_t *out, size_t cap)
{
	size_t n, found = 0;
	struct proc_row *rows = snapshot(&n);

	for (size_t i = 0; i < n; i++)
		if (rows[i].parent == pid && found++ < cap)
			out[found - 1] = rows[i].pid;
	free(rows);
	return found;
}

uint64_t kin_rss(pid_t pid)
{
	size_t n;
	struct proc_row *rows = snapshot(&n);
	uint64_t pages = 0;

	mark(rows, n, pid);
	for (size_t i = 0; i < n; i++)
		if (rows[i].kin || rows[i].pid == pid)
			pages += rows[i].rss_pages;
	free(rows);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
