#include "daemon/build/build_int.h"

#include <stdio.h>
#include <string.h>

void say_raw(struct build *c, const char *p, size_t n)
{
	if (n == 0)
		return;
	c->last = p[n - 1];
	if (c->out)
		output_write(c->out, p, n);
	if (c->req->out)
		c->req->out(p, n, c->req->out_arg);
}

/* A script's last line may have no end. */
static void say_prefixed(struct build *c, const char *prefix, const char *fmt, va_list ap)
{
	AUTO(buf_clear) struct buf line = {0};

	if (c->last && c->last != '\n')
		buf_addc(&line, '\n');
	buf_adds(&line, prefix);
	buf_vaddf(&line, fmt, ap);
	buf_addc(&line, '\n');
	say_raw(c, line.data, line.len);
}

#define SAY(name_, prefix_)                               \
	void name_(struct build *c, const char *fmt, ...) \
	{                                                 \
		va_list ap;                               \
                                                          \
		va_start(ap, fmt);                        \
		say_prefixed(c, prefix_, fmt, ap);        \
		va_end(ap);                               \
	}

SAY(say, "")
SAY(say_step, "-----> ")
SAY(say_detail, "       ")
SAY(say_warn, " !     ")

void say_line(const char *line, void *build)
{
	say(build, "%s", line);
}

void say_warn_line(const char *line, void *build)
{
	say_warn(build, "%s", line);
}

int say_fail(struct build *c, struct err *err, enum err_id id, const char *fmt, ...)
{
	va_list ap;
	struct err e;
	char msg[sizeof(e.msg)];

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (!c->told)
		say_warn(c, "%s", msg);
	c->told = true;
	return err_set(err, id, "%s", msg);
}

void say_sizes(uint64_t bytes, char out[16])
{
	double k = (double)bytes / 1024;

	if (k < 1024)
		snprintf(out, 16, "%.1fK", k);
	else if (k < 1024 * 1024)
		snprintf(out, 16, "%.1fM", k / 1024);
	else
		snprintf(out, 16, "%.1fG", k / 1024 / 1024);
}
