#include "daemon/addon/loginput.h"

#include <string.h>

#define HEADER_FIELDS 5 /* <PRI>VERSION TIME HOST APP-NAME PROCID, then MSGID and the rest */

/* "123 ": how long the message is; 0 when it is no such number. */
static size_t count(const char *body, size_t n, size_t *at)
{
	size_t v = 0, i = *at;

	while (i < n && i - *at < 8 && body[i] >= '0' && body[i] <= '9')
		v = v * 10 + (size_t)(body[i++] - '0');
	if (i == *at || i >= n || body[i] != ' ')
		return 0;
	*at = i + 1;
	return v;
}

static void take_proc(struct loginput *out, const char *p, size_t n)
{
	static const char fine[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	out->proc[0] = 0;
	if (n < 1 || n >= sizeof out->proc || (n == 1 && *p == '-'))
		return;
	for (size_t i = 0; i < n; i++)
		if (!memchr(fine, p[i], sizeof fine - 1))
			return;
	memcpy(out->proc, p, n);
	out->proc[n] = 0;
}

/* Behind the header's fields; NULL when there are fewer. */
static const char *skip_fields(const char *p, const char *end, struct loginput *out)
{
	for (int i = 0; i < HEADER_FIELDS + 1; i++) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));

		if (!blank || blank == p)
			return NULL;
		if (i == HEADER_FIELDS - 1)
			take_proc(out, p, (size_t)(blank - p));
		p = blank + 1;
	}
	return p;
}

/* "- " in place of structured data, which many leave out here. */
static const char *skip_data(const char *p, const char *end)
{
	return end - p >= 2 && p[0] == '-' && p[1] == ' ' ? p + 2 : p;
}

int loginput_next(const char *body, size_t n, size_t *at, struct loginput *out)
{
	const char *p, *end;
	size_t len;

	if (*at >= n)
		return 0;
	len = count(body, n, at);
	if (!len || len > n - *at || body[*at] != '<')
		return -1;
	p = body + *at;
	end = p + len;
	*at += len;
	p = skip_fields(p, end, out);
	if (!p)
		return -1;
	p = skip_data(p, end);
	while (end > p && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	out->text = p;
	out->len = (size_t)(end - p);
	return 1;
}
