#include "daemon/sandbox/sandbox.h"
#include "proto/limits.h"
#include "proto/logwire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* What a dyno's folder says, for dynos that paasd finds at its start. */

static int read_file(const char *run_dir, const char *id, const char *name, size_t max,
		     struct buf *out, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/dynos/%s/%s", run_dir, id, name);
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? err_not_found(err, "dyno")
				       : err_errno(err, "open %s", path);
	while (out->len < max && n > 0) {
		buf_reserve(out, 65536);
		n = read(fd, out->data + out->len, 65536);
		if (n < 0)
			return err_errno(err, "read %s", path);
		out->len += (size_t)n;
	}
	buf_addc(out, 0);
	out->len--;
	return 0;
}

int sandbox_spec(const char *run_dir, const char *id, struct launch_spec *out, char ip[16],
		 struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct wire_frame f;
	struct wire_field v;
	ssize_t n;

	ip[0] = 0;
	if (read_file(run_dir, id, "spec", LIM_WIRE_FRAME, &b, err) < 0)
		return -1;
	n = wire_parse(b.data, b.len, &f);
	if (n <= 0)
		return err_set(err, ERR_CORRUPT, "the spec of dyno %s is damaged", id);
	if (launch_spec_decode(&f, out, err) < 0)
		return -1;
	if (wire_parse(b.data + n, b.len - (size_t)n, &f) > 0)
		while (wire_next(&f, &v) == 1)
			if (v.key == L_IP)
				wire_copy_str(&v, ip, 16);
	return 0;
}

int sandbox_status(const char *run_dir, const char *id, struct sandbox_status *out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	unsigned long long oom = 0;
	long long ended = 0;
	int n = 0;
	char how[8];

	if (read_file(run_dir, id, "status", 4096, &b, err) < 0)
		return -1;
	if (sscanf(b.data, "%7s %d\noom %llu\nended_us %lld", how, &n, &oom, &ended) < 2 ||
	    (strcmp(how, "exit") != 0 && strcmp(how, "signal") != 0))
		return err_set(err, ERR_CORRUPT, "the status of dyno %s is damaged", id);
	*out = (struct sandbox_status){.signal = how[0] == 's' ? n : 0,
				       .exit_code = how[0] == 's' ? 128 + n : n,
				       .oom = oom,
				       .ended_us = ended};
	return 0;
}

/* Fields of a line hold until the next; see proto/logwire.h. */
static void batch(struct wire_frame *f, struct sandbox_line *line,
		  void (*each)(const struct sandbox_line *l, void *arg), void *arg)
{
	struct wire_field v;

	while (wire_next(f, &v) == 1) {
		if (v.key == K_APP)
			wire_copy_str(&v, line->app_id, sizeof line->app_id);
		else if (v.key == K_SOURCE)
			wire_copy_str(&v, line->source, sizeof line->source);
		else if (v.key == K_PROC)
			wire_copy_str(&v, line->proc, sizeof line->proc);
		else if (v.key == K_TS_US)
			line->ts = (wall_us)wire_get_u64(&v);
		else if (v.key == K_DROPPED)
			line->dropped = wire_get_u64(&v);
		if (v.key != K_TEXT)
			continue;
		line->text = (const char *)v.data;
		line->len = v.len;
		each(line, arg);
		line->dropped = 0;
	}
}

int sandbox_spool(const char *run_dir, const char *id,
		  void (*each)(const struct sandbox_line *l, void *arg), void *arg, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	struct sandbox_line line = {0};
	struct err why = {0};
	struct wire_frame f;
	size_t at = 0;
	ssize_t n;

	if (read_file(run_dir, id, "spool", 2 * LIM_LOG_SPOOL, &b, &why) < 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		*err = why;
		return -1;
	}
	while ((n = wire_parse(b.data + at, b.len - at, &f)) > 0) {
		if (f.type == LOG_BATCH)
			batch(&f, &line, each, arg);
		at += (size_t)n;
	}
	return 0;
}
