#include "daemon/core/xlog.h"
#include "daemon/core/clock.h"
#include "daemon/core/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program = "paasd";
static enum xlog_level min_level = XLOG_INFO;
static bool with_time = true, journal;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void xlog_setup(const char *program_, enum xlog_level min, bool timestamps)
{
	journal = service_journal();
	program = program_;
	min_level = min;
	with_time = timestamps && !journal;
}

const char *xlog_q(const char *s)
{
	static _Thread_local char ring[8][512];
	static _Thread_local unsigned next;
	char *out = ring[next++ % 8];
	size_t n = 0;

	out[n++] = '"';
	for (; s && *s && n < 508; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			out[n++] = '\\';
		out[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
	out[n++] = '"';
	out[n] = 0;
	return out;
}

static void emit(enum xlog_level lv, const char *module, const char *text)
{
	static const int priorities[] = {7, 6, 4, 3}; /* of syslog */
	char line[2048], ts[CLOCK_ISO_LEN + 4] = "";
	int n;

	if (with_time) {
		char iso[CLOCK_ISO_LEN];

		clock_iso_us(clock_wall_us(), iso);
		snprintf(ts, sizeof ts, "ts=%s ", iso);
	} else if (journal) {
		snprintf(ts, sizeof ts, "<%d>", priorities[lv]);
	}
	n = snprintf(line, sizeof line - 1, "%slevel=%s program=%s module=%s %s", ts,
		     level_names[lv], program, module, text);
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	/* A full or closed stderr must not stop the daemon: the line is lost, that is all. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void xlog(enum xlog_level lv, const char *module, const char *fmt, ...)
{
	char text[1600];
	va_list ap;

	if (lv < min_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	emit(lv, module, text);
}

void xlog_err(enum xlog_level lv, const char *module, const struct err *e, const char *fmt, ...)
{
	char text[1600];
	size_t n;
	va_list ap;

	if (lv < min_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof text - n, " err_id=%s err=%s", e->id ? e->id : "none",
		 xlog_q(e->msg));
	emit(lv, module, text);
}
