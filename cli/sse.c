#include "cli/sse.h"

#include <string.h>

void cli_sse_init(struct cli_sse *s)
{
	s->retry_ms = -1;
	s->last_id[0] = s->id[0] = 0;
	s->stopped = false;
	cli_sse_restart(s);
}

void cli_sse_restart(struct cli_sse *s)
{
	buf_reset(&s->line);
	buf_reset(&s->data);
	buf_reset(&s->event);
	memcpy(s->id, s->last_id, sizeof s->id);
	s->cr = s->has_data = false;
}

void cli_sse_clear(struct cli_sse *s)
{
	buf_clear(&s->line);
	buf_clear(&s->data);
	buf_clear(&s->event);
}

static void field(struct cli_sse *s, const char *name, size_t n, const char *value)
{
	if (n == 4 && memcmp(name, "data", 4) == 0) {
		if (s->has_data)
			buf_addc(&s->data, '\n');
		s->has_data = true;
		if (s->data.len + strlen(value) <= CLI_SSE_DATA)
			buf_adds(&s->data, value);
	} else if (n == 5 && memcmp(name, "event", 5) == 0) {
		buf_reset(&s->event);
		buf_adds(&s->event, value);
	} else if (n == 2 && memcmp(name, "id", 2) == 0) {
		if (strlen(value) < sizeof s->id)
			memcpy(s->id, value, strlen(value) + 1);
	} else if (n == 5 && memcmp(name, "retry", 5) == 0) {
		if (*value && strlen(value) < 8 && strspn(value, "0123456789") == strlen(value))
			s->retry_ms = atol(value);
	}
}

static void end_of_event(struct cli_sse *s)
{
	memcpy(s->last_id, s->id, sizeof s->last_id);
	if (s->has_data && !s->on_event(s->arg, buf_str(&s->event), buf_str(&s->data), s->data.len))
		s->stopped = true;
	buf_reset(&s->data);
	buf_reset(&s->event);
	s->has_data = false;
}

static void end_of_line(struct cli_sse *s)
{
	const char *line = buf_str(&s->line), *colon = strchr(line, ':');
	size_t n = colon ? (size_t)(colon - line) : strlen(line);

	if (s->line.len == 0)
		end_of_event(s);
	else if (n > 0)
		field(s, line, n, colon ? colon + 1 + (colon[1] == ' ') : "");
	buf_reset(&s->line);
}

bool cli_sse_feed(struct cli_sse *s, const char *data, size_t n)
{
	for (size_t i = 0; i < n && !s->stopped; i++) {
		char c = data[i];
		bool after_cr = s->cr;

		s->cr = c == '\r';
		if (c == '\n' && after_cr)
			continue;
		if (c == '\n' || c == '\r')
			end_of_line(s);
		else if (s->line.len < CLI_SSE_LINE)
			buf_addc(&s->line, c ? c : '?');
	}
	return !s->stopped;
}
