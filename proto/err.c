#include "proto/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int status, exit_status;
	const char *id;
} table[ERR_COUNT] = {
	[ERR_NONE] = {0, 0, ""},
#define ERR(name, status_, exit_, id_) [ERR_##name] = {status_, exit_, id_},
#include "proto/errors.def"
#undef ERR
};

/* Error texts reach terminals and HTTP answers: one line, no control bytes. */
static void tidy(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void fill(struct err *e, enum err_id id)
{
	e->status = table[id].status;
	e->code = id;
	e->id = table[id].id;
	e->resource = NULL;
}

int err_set(struct err *e, enum err_id id, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	fill(e, id);
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	tidy(e->msg);
	return -1;
}

int err_not_found(struct err *e, const char *resource)
{
	err_set(e, ERR_NOT_FOUND, "Couldn't find that %s.", resource);
	if (e)
		e->resource = resource;
	return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int no = errno;
	size_t n;
	va_list ap;

	if (!e)
		return -1;
	fill(e, no == ENOSPC || no == EDQUOT ? ERR_DISK_FULL : ERR_IO);
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerror(no));
	tidy(e->msg);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->msg];
	size_t n;
	va_list ap;

	if (!e)
		return -1;
	memcpy(old, e->msg, sizeof old);
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", old);
	tidy(e->msg);
	return -1;
}

int err_exit_status(const char *id)
{
	for (int i = 1; i < ERR_COUNT; i++)
		if (strcmp(table[i].id, id) == 0)
			return table[i].exit_status;
	return 1;
}

const char *err_wire_id(enum err_id id)
{
	return table[id].id;
}

int err_http_status(enum err_id id)
{
	return table[id].status;
}
