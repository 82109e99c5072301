#include "router/pages.h"
#include "daemon/http/http1.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_PAGE (64 * 1024)

const struct rt_code_info rt_codes[RT_CODES] = {
#define H(code, status_, at_, desc_, text_) \
	[RT_##code] = {.name = #code,       \
		       .desc = (desc_),     \
		       .text = (text_),     \
		       .status = (status_), \
		       .at = (at_)},
#include "router/codes.def"
#undef H
};

/* Statuses that mistakes of the client get; for overriding their pages by <status>.html. */
static const int plain_statuses[] = {400, 404, 405, 408, 414, 417, 431, 501, 505};

struct rt_pages {
	char *coded[RT_CODES];			/* owned; whole HTML of each code */
	char *plain[ARRAY_LEN(plain_statuses)]; /* owned; NULL = plain text */
};

static char *read_page(const char *dir, const char *name)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s.html", dir, name);
	AUTO(auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	size_t n = 0;
	ssize_t r;

	if (fd < 0)
		return NULL;
	text = xmalloc(MAX_PAGE + 1);
	while (n < MAX_PAGE && (r = read(fd, text + n, MAX_PAGE - n)) > 0)
		n += (size_t)r;
	text[n] = 0;
	return text;
}

static char *read_status_page(const char *dir, int status)
{
	char name[8];

	snprintf(name, sizeof name, "%d", status);
	return read_page(dir, name);
}

static const char *title_of(const struct rt_code_info *c)
{
	return strcmp(c->name, "H80") == 0 ? "Offline for maintenance" : "Application error";
}

static char *default_page(const struct rt_code_info *c)
{

	return xasprintf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			 "<meta name=\"viewport\" content=\"width=device-width\">\n"
			 "<title>%s</title>\n<style>body{font:16px/1.5 sans-serif;max-width:36em;"
			 "margin:15vh auto;padding:0 1em}</style>\n</head>\n<body>\n<h1>%s</h1>\n"
			 "<p>%s</p>\n<p>If this is your app, its log says more: <code>paasctl logs"
			 "</code> (%s).</p>\n</body>\n</html>\n",
			 title_of(c), title_of(c), c->text, c->name);
}

struct rt_pages *rt_pages_new(const char *dir)
{
	struct rt_pages *p = xcalloc(1, sizeof *p);

	for (int i = 1; i < RT_CODES; i++) {
		if (dir)
			p->coded[i] = read_page(dir, rt_codes[i].name);
		if (dir && !p->coded[i])
			p->coded[i] = read_status_page(dir, rt_codes[i].status);
		if (!p->coded[i])
			p->coded[i] = default_page(&rt_codes[i]);
	}
	for (size_t i = 0; dir && i < ARRAY_LEN(plain_statuses); i++)
		p->plain[i] = read_status_page(dir, plain_statuses[i]);
	return p;
}

void rt_pages_free(struct rt_pages *p)
{
	if (!p)
		return;
	for (int i = 0; i < RT_CODES; i++)
		free(p->coded[i]);
	for (size_t i = 0; i < ARRAY_LEN(plain_statuses); i++)
		free(p->plain[i]);
	free(p);
}

void rt_http_date(char out[30])
{
	static _Thread_local time_t cached_at = -1;
	static _Thread_local char cached[30];
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	if (ts.tv_sec != cached_at) {
		struct tm tm;

		gmtime_r(&ts.tv_sec, &tm);
		strftime(cached, sizeof cached, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		cached_at = ts.tv_sec;
	}
	memcpy(out, cached, sizeof cached);
}

static void answer(struct buf *out, int status, const char *type, const char *body, bool head_only,
		   bool close)
{
	char date[30];

	rt_http_date(date);
	buf_addf(out,
		 "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
		 status, http1_reason(status), date, type, strlen(body),
		 close ? "Connection: close\r\n" : "");
	if (!head_only)
		buf_adds(out, body);
}

void rt_page_coded(const struct rt_pages *p, struct buf *out, enum rt_code code, bool head_only,
		   bool close)
{
	answer(out, rt_codes[code].status, "text/html; charset=utf-8", p->coded[code], head_only,
	       close);
}

/* The URL is an attribute's value; paasd has seen to it that it is http or https. */
static void add_escaped(struct buf *out, const char *url)
{
	for (; *url; url++)
		if (strchr("\"'<>&", *url))
			buf_addf(out, "&#%d;", *url);
		else
			buf_add(out, url, 1);
}

void rt_page_framed(struct buf *out, enum rt_code code, const char *url, bool head_only, bool close)
{
	AUTO(buf_clear) struct buf page = {0};
	const struct rt_code_info *c = &rt_codes[code];

	buf_addf(&page,
		 "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n"
		 "<style>html,body,iframe{margin:0;border:0;padding:0;display:block;width:100vw;"
		 "height:100vh;overflow:hidden}</style>\n</head>\n<body>\n<iframe src=\"",
		 title_of(c));
	add_escaped(&page, url);
	buf_addf(&page, "\"><p>%s</p></iframe>\n</body>\n</html>\n", c->text);
	answer(out, c->status, "text/html; charset=utf-8", buf_str(&page), head_only, close);
}

void rt_page_plain(const struct rt_pages *p, struct buf *out, int status, const char *text,
		   bool head_only, bool close)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_statuses); i++)
		if (plain_statuses[i] == status && p->plain[i]) {
			answer(out, status, "text/html; charset=utf-8", p->plain[i], head_only,
			       close);
			return;
		}
	answer(out, status, "text/plain; charset=utf-8", text, head_only, close);
}

void rt_page_json(struct buf *out, int status, const char *id, const char *message, bool head_only,
		  bool close)
{
	AUTO(auto_str)
	char *body = xasprintf("{\"id\":\"%s\",\"message\":\"%s\"}\n", id, message);

	answer(out, status, "application/json;charset=utf-8", body, head_only, close);
}
