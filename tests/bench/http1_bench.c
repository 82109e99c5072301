/* ns a message of our HTTP/1.1 parser beside llhttp's, in one run: rounds of the two alternate and
 * the best of each counts, so that a busy machine bends both alike. Prints one line a sample:
 *   http1_bench NAME bytes=N ours=NS llhttp=NS ratio=R */
#include "daemon/http/http1.h"

#include <assert.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS	  30
#define PER_ROUND 20000

static const struct sample {
	const char *name;
	enum http1_kind kind;
	const char *text;
} samples[] = {
	{"small", HTTP1_REQUEST, "GET /hello HTTP/1.1\r\nHost: example.com:8080\r\n\r\n"},
	{"browser", HTTP1_REQUEST,
	 "GET /articles/2026/11/a-title-of-some-length?page=2&sort=date HTTP/1.1\r\n"
	 "Host: www.example.com\r\n"
	 "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
	 "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
	 "Accept-Language: en-GB,en;q=0.5\r\n"
	 "Accept-Encoding: gzip, deflate, br\r\n"
	 "Referer: https://www.example.com/articles/2026/11/another-title-of-some-length\r\n"
	 "Connection: keep-alive\r\n"
	 "Cookie: session=8601b5556a834c12826997c8e32cdb228601b5556a834c12826997c8e32c; "
	 "theme=dark; consent=yes\r\n"
	 "Upgrade-Insecure-Requests: 1\r\n"
	 "Sec-Fetch-Dest: document\r\n"
	 "Sec-Fetch-Mode: navigate\r\n"
	 "Sec-Fetch-Site: same-origin\r\n"
	 "Cache-Control: max-age=0\r\n\r\n"},
	{"post", HTTP1_REQUEST,
	 "POST /apps HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json; version=3\r\n"
	 "Content-Type: application/json\r\nContent-Length: 24\r\n"
	 "Authorization: Bearer 01234567-89ab-cdef-0123-456789abcdef\r\n\r\n"
	 "{\"name\":\"example-app-1\"}"},
	{"chunked", HTTP1_RESPONSE,
	 "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/html\r\n"
	 "Transfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n5\r\nhello\r\n0\r\n\r\n"},
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static volatile uint64_t sink;

static double round_ours(struct http1 *p, const char *in, size_t n)
{
	double start = now_ns();

	for (int i = 0; i < PER_ROUND; i++) {
		size_t at = 0, used, data_n;
		const char *data;
		enum http1_event ev;

		do {
			ev = http1_feed(p, in + at, n - at, &used, &data, &data_n);
			at += used;
			if (ev == HTTP1_HEAD)
				sink += (uint64_t)http1_head(p)->nfields;
			assert(ev != HTTP1_ERROR && ev != HTTP1_MORE);
		} while (ev != HTTP1_END);
		http1_next(p);
	}
	return (now_ns() - start) / PER_ROUND;
}

/* What any user of llhttp must do: note where each text lies. */
struct noted {
	struct http1_str url, fields[256];
	int n;
};

static int on_start(llhttp_t *l)
{
	((struct noted *)l->data)->n = 0;
	return 0;
}

static int on_url(llhttp_t *l, const char *p, size_t n)
{
	((struct noted *)l->data)->url = (struct http1_str){p, (uint32_t)n};
	return 0;
}

static int on_text(llhttp_t *l, const char *p, size_t n)
{
	struct noted *d = l->data;

	d->fields[d->n++ & 255] = (struct http1_str){p, (uint32_t)n};
	return 0;
}

static int on_done(llhttp_t *l)
{
	sink += (uint64_t)((struct noted *)l->data)->n;
	return 0;
}

static double round_llhttp(llhttp_t *l, const char *in, size_t n)
{
	double start = now_ns();

	for (int i = 0; i < PER_ROUND; i++)
		if (llhttp_execute(l, in, n) != HPE_OK)
			abort();
	return (now_ns() - start) / PER_ROUND;
}

static void bench(const struct sample *s)
{
	static struct noted noted;
	llhttp_settings_t set;
	llhttp_t l;
	struct http1 *p = http1_new(s->kind, LIM_HTTP_RESP_HEAD);
	double ours = 1e18, theirs = 1e18, t;
	size_t n = strlen(s->text);

	llhttp_settings_init(&set);
	set.on_message_begin = on_start;
	set.on_url = on_url;
	set.on_header_field = set.on_header_value = set.on_body = on_text;
	set.on_message_complete = on_done;
	llhttp_init(&l, s->kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &set);
	l.data = &noted;
	for (int i = 0; i < ROUNDS; i++) {
		t = round_ours(p, s->text, n);
		ours = t < ours ? t : ours;
		t = round_llhttp(&l, s->text, n);
		theirs = t < theirs ? t : theirs;
	}
	printf("http1_bench %s bytes=%zu ours=%.0f llhttp=%.0f ratio=%.2f\n", s->name, n, ours,
	       theirs, ours / theirs);
	http1_free(p);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		bench(&samples[i]);
	return 0;
}
