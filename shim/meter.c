#include "shim/meter.h"
#include "shim/kin.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

uint64_t meter_field(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (strncmp(p, name, n) == 0 && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
	}
	return 0;
}

static int open_in(const char *dir, const char *name)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", dir, name);

	return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_text(int fd, char *out, size_t cap)
{
	ssize_t n = fd >= 0 ? pread(fd, out, cap - 1, 0) : 0;

	out[n > 0 ? n : 0] = 0;
}

/* v1 tells of an OOM through an eventfd that is registered with the group. */
static int v1_notify(const char *dir, int oom_fd)
{
	AUTO(auto_str) char *path = xasprintf("%s/cgroup.event_control", dir);
	AUTO(auto_fd) int ctl = open(path, O_WRONLY | O_CLOEXEC);
	int ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char text[64];
	int n = snprintf(text, sizeof text, "%d %d", ev, oom_fd);

	if (ev >= 0 && ctl >= 0 && oom_fd >= 0 && write(ctl, text, (size_t)n) == n)
		return ev;
	if (ev >= 0)
		close(ev);
	return -1;
}

void meter_open(struct meter *m, enum meter_kind kind, const char *dir)
{
	*m = (struct meter){.kind = kind, -1, -1, -1, -1, 0};
	if (kind == METER_NONE)
		return;
	m->stat_fd = open_in(dir, "memory.stat");
	if (kind == METER_V2) {
		m->swap_fd = open_in(dir, "memory.swap.current");
		m->oom_fd = open_in(dir, "memory.events");
		m->notify_fd = m->oom_fd;
	} else {
		m->oom_fd = open_in(dir, "memory.oom_control");
		m->notify_fd = v1_notify(dir, m->oom_fd);
	}
	if (m->stat_fd < 0)
		m->kind = METER_NONE;
	meter_oom(m);
}

void meter_read(const struct meter *m, pid_t pid, struct meter_sample *out)
{
	char text[8192], swap[32];

	*out = (struct meter_sample){0};
	read_text(m->stat_fd, text, sizeof text);
	switch (m->kind) {
	case METER_NONE:
		out->total = out->rss = kin_rss(pid);
		return;
	case METER_V1:
		out->rss = meter_field(text, "total_rss");
		out->cache = meter_field(text, "total_cache");
		out->swap = meter_field(text, "total_swap");
		out->total = out->rss + out->swap + meter_field(text, "total_shmem");
		return;
	case METER_V2:
		read_text(m->swap_fd, swap, sizeof swap);
		out->rss = meter_field(text, "anon");
		out->cache = meter_field(text, "file");
		out->swap = strtoull(swap, NULL, 10);
		out->total = out->rss + out->swap + meter_field(text, "shmem");
		return;
	}
}

bool meter_oom(struct meter *m)
{
	char text[1024];
	uint64_t now, before = m->killed, tick;

	if (m->kind == METER_V1 && m->notify_fd >= 0 && read(m->notify_fd, &tick, sizeof tick) < 0)
		tick = 0;
	read_text(m->oom_fd, text, sizeof text);
	now = meter_field(text, "oom_kill");
	if (now > before)
		m->killed = now;
	return m->killed > before;
}

short meter_events(const struct meter *m)
{
	return m->kind == METER_V2 ? POLLPRI : POLLIN;
}
