#include "launcher/record.h"
#include "launcher/tree.h"
#include "daemon/core/proc.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void ln_record_note(struct host *h, const char *id, const char *fmt, ...)
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

void ln_record_read(struct host *h, const char *id, struct record *r)
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

void ln_record_clear(struct record *r)
{
	for (int i = 0; i < r->nown; i++)
		free(r->own[i]);
	r->nown = 0;
}

uint32_t ln_record_ip(const struct record *r)
{
	return r->ip[0] ? ln_net_ip_parse(r->ip) : 0;
}

uint32_t ln_dyno_ip(struct host *h, const char *id)
{
	struct record r;

	ln_record_read(h, id, &r);
	ln_record_clear(&r);
	return ln_record_ip(&r);
}

int ln_record_process(pid_t pid, unsigned long long at)
{
	int fd = pid > 1 && at ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd >= 0 && proc_starttime(pid) != at) {
		close(fd);
		return -1;
	}
	return fd;
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

		ln_record_read(h, ids[i], &r);
		for (int k = 0; k < r.nreach && r.ip[0]; k++)
			each(ln_record_ip(&r), &r.reach[k], arg);
		ln_record_clear(&r);
	}
	free(ids);
}
