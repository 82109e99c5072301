#include "router/logline.h"
#include "proto/limits.h"

#include <string.h>

void rt_logbuf_add(struct rt_logbuf *l, const char *app_id, int64_t ts_us, const char *text,
		   size_t n)
{
	if (l->b.len == 0 || strcmp(l->app, app_id) != 0) {
		wire_str(&l->b, K_APP, app_id);
		rt_copy(l->app, sizeof l->app, app_id);
	}
	if (l->b.len == 0 || l->lines == 0) {
		wire_str(&l->b, K_SOURCE, "heroku");
		wire_str(&l->b, K_PROC, "router");
	}
	wire_u64(&l->b, K_TS_US, (uint64_t)ts_us);
	wire_bytes(&l->b, K_TEXT, text, n < LIM_LOG_LINE ? n : LIM_LOG_LINE);
	l->lines++;
}

void rt_log_quote(struct buf *out, const char *s, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\')
			continue;
		buf_add(out, s + from, i - from);
		if (c == '"' || c == '\\')
			buf_addc(out, '\\');
		buf_addc(out, c == '"' || c == '\\' ? (char)c : '?');
		from = i + 1;
	}
	buf_add(out, s + from, n - from);
}
