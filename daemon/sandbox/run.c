#include "daemon/sandbox/sandbox.h"
#include "daemon/sandbox/sandbox_int.h"
#include "proto/limits.h"
#include "proto/shim.h"

#include <stdio.h>
#include <string.h>

/* sandbox_run(): create, attach before anything runs, read to the exit, remove. */

static void put_attach(struct buf *b)
{
	size_t mark = wire_begin(b, SHIM_ATTACH);

	wire_u64(b, S_OFFSET, 0);
	wire_end(b, mark);
}

static bool take(struct wire_frame *f, void (*sink)(const char *p, size_t n, void *arg), void *arg,
		 int *code, bool *oom)
{
	struct wire_field v;

	if (f->type != SHIM_OUTPUT && f->type != SHIM_EXIT)
		return false;
	while (wire_next(f, &v) == 1) {
		if (f->type == SHIM_OUTPUT && v.key == S_DATA)
			sink((const char *)v.data, v.len, arg);
		else if (f->type == SHIM_EXIT && v.key == S_EXIT_CODE)
			*code = (int)wire_get_u64(&v);
		else if (f->type == SHIM_EXIT && v.key == S_OOM && oom)
			*oom = wire_get_u64(&v) > 0;
	}
	return f->type == SHIM_EXIT;
}

static int follow(const char *dir, mono_ms deadline, int cancel_fd,
		  void (*sink)(const char *p, size_t n, void *arg), void *arg, bool *oom,
		  struct err *err)
{
	AUTO(sandbox_conn_close) struct sandbox_conn c;
	AUTO(buf_clear) struct buf b = {0};
	struct wire_frame f;
	int code = -1, r;

	if (sandbox_connect(dir, "sock", &c, err) < 0)
		return -1;
	put_attach(&b);
	if (sandbox_send(&c, &b, err) < 0)
		return -1;
	while ((r = sandbox_recv(&c, &f, deadline, cancel_fd, err)) == 1)
		if (take(&f, sink, arg, &code, oom))
			return code;
	return r < 0 ? -1 : err_set(err, ERR_INTERNAL, "the sandbox's shim died");
}

int sandbox_run(struct launcher *l, const struct launch_spec *s, mono_ms deadline, int cancel_fd,
		void (*sink)(const char *p, size_t n, void *arg), void *arg, bool *oom,
		struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/dynos/%s", launcher_run_dir(l), s->id);
	struct launch_spec copy = *s; /* shallow: only numbers change */
	struct err ignored = {0};
	char ip[16];
	int code;

	if (oom)
		*oom = false;
	if (!copy.attach_ms)
		copy.attach_ms = LIM_ATTACH_MS; /* not a byte of output is missed */
	if (launcher_create(l, &copy, ip, err) < 0)
		return -1;
	code = follow(dir, deadline, cancel_fd, sink, arg, oom, err);
	if (launcher_remove(l, s->id, &ignored) < 0 && code >= 0) {
		*err = ignored;
		return -1;
	}
	return code;
}
