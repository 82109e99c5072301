/* answer.c - from a request to an answer: files first, then redirects, then routes, then 404. */
#include "fileserver/site.h"
#include "proto/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct request {
	const struct fsv_site *s;
	const struct http1_head *h;
	struct fsv_answer *a;
	struct buf path; /* decoded, begins with '/' */
	bool head;
};

void fsv_answer_clear(struct fsv_answer *a)
{
	buf_clear(&a->head);
	buf_clear(&a->text);
	if (a->fd >= 0)
		close(a->fd);
	*a = (struct fsv_answer){.fd = -1};
}

static struct http1_str field(const struct http1_head *h, const char *name)
{
	const struct http1_field *f = http1_find(h, name);

	return f ? f->value : (struct http1_str){0};
}

static void header(struct fsv_answer *a, const char *name, const char *value)
{
	buf_addf(&a->head, "%s: %s\r\n", name, value);
}

/* --- opening -----------------------------------------------------------------------------------
 */

/* Hidden files are not served, but for those that the web knows (RFC 8615). This covers "." and
 * "..". */
static bool is_hidden(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/.")); p++)
		if (p != path || strncmp(p, "/.well-known/", 13) != 0)
			return true;
	return false;
}

/* Where openat2 is not allowed: step by step, following no link. */
static int open_by_steps(int root, const char *path)
{
	int fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && *path) {
		size_t n = strcspn(path, "/");
		bool last = !path[n + strspn(path + n, "/")];
		char name[NAME_MAX + 1];
		int next;

		if (n > NAME_MAX) {
			close(fd);
			return -1;
		}
		memcpy(name, path, n);
		name[n] = 0;
		next = openat(fd, name,
			      O_NOFOLLOW | O_CLOEXEC |
				      (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY));
		close(fd);
		fd = next;
		path += n + strspn(path + n, "/");
	}
	return fd;
}

static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, /* a fifo must not hold us up */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof how);

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_by_steps(root, path);
	return (int)fd;
}

int fsv_open(const struct fsv_site *s, const char *path)
{
	struct stat st;
	int fd;

	if (is_hidden(path))
		return -1;
	path += strspn(path, "/");
	fd = open_beneath(s->root_fd, *path ? path : ".");
	if (fd >= 0 && (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool fd_is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A regular file, or -1. */
static int open_file(const struct fsv_site *s, const char *path)
{
	int fd = fsv_open(s, path);

	if (fd >= 0 && fd_is_dir(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* --- answers without a file of their own -------------------------------------------------------
 */

static void built_in_page(struct fsv_answer *a)
{
	const char *reason = http1_reason(a->status);

	header(a, "Content-Type", "text/html; charset=UTF-8");
	buf_addf(&a->text,
		 "<!doctype html>\n<meta charset=\"utf-8\">\n<title>%d %s</title>\n"
		 "<h1>%d %s</h1>\n",
		 a->status, reason, a->status, reason);
}

static void content_type(const struct fsv_site *s, struct fsv_answer *a, const char *name,
			 bool *compressible)
{
	bool is_text;
	const char *type = fsv_content_type(name, &is_text, compressible);

	if (is_text)
		buf_addf(&a->head, "Content-Type: %s; charset=%s\r\n", type, s->charset);
	else
		header(a, "Content-Type", type);
}

void fsv_answer_status(const struct fsv_site *s, int status, struct fsv_answer *a)
{
	AUTO(auto_str) char *page = NULL;
	bool compressible;
	struct stat st;

	a->status = status;
	if (s->error_page && (status == 404 || status >= 500)) {
		page = xasprintf("/%s", s->error_page);
		a->fd = open_file(s, page);
	}
	if (a->fd < 0 || fstat(a->fd, &st) < 0) {
		built_in_page(a);
		return;
	}
	a->n = st.st_size;
	content_type(s, a, page, &compressible);
}

/* Text into a URL: what cannot stand there is escaped. */
static void add_url(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if ((uint8_t)*s <= 0x20 || (uint8_t)*s >= 0x7f || strchr("\"<>\\^`{|}", *s))
			buf_addf(b, "%%%02X", (uint8_t)*s);
		else
			buf_addc(b, *s);
	}
}

static void redirect(struct fsv_answer *a, int status, const char *url)
{
	a->status = status;
	buf_adds(&a->head, "Location: ");
	add_url(&a->head, url);
	buf_adds(&a->head, "\r\n");
	built_in_page(a);
}

/* To the same path elsewhere: of scheme and host (NULL = a path alone), with something appended. */
static void redirect_self(struct request *r, const char *origin, const char *append)
{
	AUTO(buf_clear) struct buf url = {0};
	const char *p = r->h->path.p;
	uint32_t n = r->h->path.n;

	if (origin)
		buf_adds(&url, origin);
	while (!origin && n > 1 && p[1] == '/') { /* "//host" would be another host */
		p++;
		n--;
	}
	buf_add(&url, p, n);
	buf_adds(&url, append);
	if (r->h->query.n) {
		buf_addc(&url, '?');
		buf_add(&url, r->h->query.p, r->h->query.n);
	}
	redirect(r->a, 301, buf_str(&url));
}

/* --- files -------------------------------------------------------------------------------------
 */

/* Does a list of entity tags hold this one? Weak comparison. */
static bool etag_listed(struct http1_str list, const char *tag)
{
	const char *p = list.p, *end = list.p + list.n;
	size_t n = strlen(tag);

	if (http1_is(list, "*"))
		return true;
	while (p < end) {
		while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
			p++;
		if (end - p > 2 && p[0] == 'W' && p[1] == '/')
			p += 2;
		if ((size_t)(end - p) >= n && memcmp(p, tag, n) == 0 &&
		    (p + n == end || strchr(", \t", p[n])))
			return true;
		while (p < end && *p != ',')
			p++;
	}
	return false;
}

static bool not_modified(const struct http1_head *h, const char *etag, time_t mtime)
{
	struct http1_str none = field(h, "if-none-match"), since;
	time_t t;

	if (none.p)
		return etag_listed(none, etag);
	since = field(h, "if-modified-since");
	t = since.p ? fsv_parse_date(since) : -1;
	return t >= 0 && mtime <= t;
}

static bool accepts_gzip(const struct http1_head *h)
{
	struct http1_str v = field(h, "accept-encoding");
	const char *p = v.p, *end = v.p + v.n;

	while (p && p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;
		size_t n;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		n = (size_t)(stop - p);
		if (n >= 4 && strncasecmp(p, "gzip", 4) == 0) {
			const char *q = memmem(p, n, "q=0", 3);

			if (n == 4 || strchr("; \t", p[4]))
				return !q || (q + 3 < stop && strchr(".123456789", q[3]) &&
					      q + 3 + strspn(q + 3, ".0") < stop &&
					      strchr("123456789", q[3 + strspn(q + 3, ".0")]));
		}
		p = stop + 1;
	}
	return false;
}

/* Range counts only while what the client has is still the same (RFC 9110 13.1.5). */
static bool range_applies(const struct http1_head *h, const char *etag, time_t mtime)
{
	struct http1_str v = field(h, "if-range");

	if (!v.p)
		return true;
	if (v.n && v.p[0] == '"')
		return http1_is(v, etag);
	return fsv_parse_date(v) == mtime;
}

static void apply_range(struct request *r, const char *etag, time_t mtime)
{
	struct fsv_answer *a = r->a;
	struct http1_str v = field(r->h, "range");
	off_t size = a->n;
	int k;

	if (!v.p || r->head || !range_applies(r->h, etag, mtime))
		return;
	k = fsv_range(v, size, &a->off, &a->n);
	if (k > 0) {
		a->status = 206;
		buf_addf(&a->head, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)a->off,
			 (long long)(a->off + a->n - 1), (long long)size);
	} else if (k < 0) {
		close(a->fd);
		a->fd = -1;
		a->status = 416;
		buf_addf(&a->head, "Content-Range: bytes */%lld\r\n", (long long)size);
	}
}

/* A file NAME.gz beside NAME is what a client that can read it gets. */
static bool use_gzip(struct request *r, const char *name, struct stat *st)
{
	AUTO(auto_str) char *gz = xasprintf("%s.gz", name);
	struct stat gz_st;
	int fd = open_file(r->s, gz);

	if (fd < 0)
		return false;
	header(r->a, "Vary", "Accept-Encoding");
	if (!accepts_gzip(r->h) || field(r->h, "range").p || fstat(fd, &gz_st) < 0) {
		close(fd);
		return false;
	}
	close(r->a->fd);
	r->a->fd = fd;
	*st = gz_st;
	header(r->a, "Content-Encoding", "gzip");
	return true;
}

/* a->fd is the file called name. */
static void serve_file(struct request *r, const char *name)
{
	struct fsv_answer *a = r->a;
	bool compressible, gz = false;
	char etag[64], date[32];
	struct stat st;

	if (fstat(a->fd, &st) < 0) {
		fsv_answer_clear(a);
		fsv_answer_status(r->s, 500, a);
		return;
	}
	a->status = 200;
	content_type(r->s, a, name, &compressible);
	if (compressible)
		gz = use_gzip(r, name, &st);
	snprintf(etag, sizeof etag, "\"%llx.%lx-%llx%s\"", (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec, (long long)st.st_size, gz ? "-gz" : "");
	fsv_http_date(st.st_mtim.tv_sec, date);
	header(a, "ETag", etag);
	header(a, "Last-Modified", date);
	header(a, "Accept-Ranges", "bytes");
	a->n = st.st_size;
	if (not_modified(r->h, etag, st.st_mtim.tv_sec)) {
		a->status = 304;
		close(a->fd);
		a->fd = -1;
		return;
	}
	apply_range(r, etag, st.st_mtim.tv_sec);
}

static bool try_file(struct request *r, const char *name)
{
	r->a->fd = open_file(r->s, name);
	if (r->a->fd < 0)
		return false;
	serve_file(r, name);
	return true;
}

/* The file of a path itself: as it is, with .html, or the index of a folder. */
static bool try_path(struct request *r)
{
	const char *path = r->path.data;
	bool slash = path[r->path.len - 1] == '/';
	AUTO(auto_str) char *html = xasprintf("%s.html", path);
	AUTO(auto_str) char *index = xasprintf("%s%sindex.html", path, slash ? "" : "/");
	AUTO(auto_fd) int dir = -1;

	if (!slash && try_file(r, path))
		return true;
	if (!slash && r->s->clean_urls && try_file(r, html))
		return true;
	if (slash)
		return try_file(r, index);
	dir = open_file(r->s, index);
	if (dir < 0)
		return false;
	redirect_self(r, NULL, "/"); /* relative links of the page need the slash */
	return true;
}

/* --- rules -------------------------------------------------------------------------------------
 */

static bool try_redirects(struct request *r)
{
	for (size_t i = 0; i < r->s->nredirects; i++) {
		const struct fsv_redirect *t = &r->s->redirects[i];

		if (fsv_glob(t->pattern, r->path.data)) {
			redirect(r->a, t->status, t->url);
			return true;
		}
	}
	return false;
}

static bool excepted(const char *except, const char *path)
{
	return except && (strchr(except, '*') ? fsv_glob(except, path)
					      : strncmp(path, except, strlen(except)) == 0);
}

static bool try_routes(struct request *r)
{
	for (size_t i = 0; i < r->s->nroutes; i++) {
		const struct fsv_route *t = &r->s->routes[i];
		AUTO(auto_str) char *name = NULL;

		if (!fsv_glob(t->pattern, r->path.data) || excepted(t->except, r->path.data))
			continue;
		name = xasprintf("/%s", t->file);
		if (try_file(r, name))
			return true;
	}
	return false;
}

/* Later rules win over earlier ones of the same name, and over our own header. */
static void apply_headers(struct request *r)
{
	const struct fsv_site *s = r->s;

	for (size_t i = 0; i < s->nheaders; i++) {
		const struct fsv_header *t = &s->headers[i];
		bool later = false;
		char *line;

		if (!fsv_glob(t->pattern, r->path.data))
			continue;
		for (size_t k = i + 1; k < s->nheaders && !later; k++)
			later = strcasecmp(s->headers[k].name, t->name) == 0 &&
				fsv_glob(s->headers[k].pattern, r->path.data);
		if (later)
			continue;
		/* drop our own of that name */
		for (line = r->a->head.data; line && *line; line = strchr(line, '\n') + 1) {
			size_t n = strlen(t->name);

			if (strncasecmp(line, t->name, n) == 0 && line[n] == ':') {
				char *next = strchr(line, '\n') + 1;
				size_t left = r->a->head.len - (size_t)(next - r->a->head.data);

				memmove(line, next, left + 1);
				r->a->head.len -= (size_t)(next - line);
				break;
			}
		}
		header(r->a, t->name, t->value);
	}
}

/* --- the request -------------------------------------------------------------------------------
 */

static int decode(struct http1_str in, struct buf *out)
{
	for (uint32_t i = 0; i < in.n; i++) {
		int c = (uint8_t)in.p[i];

		if (c == '%') {
			if (i + 2 >= in.n || hex_digit(in.p[i + 1]) < 0 ||
			    hex_digit(in.p[i + 2]) < 0)
				return -1;
			c = hex_digit(in.p[i + 1]) << 4 | hex_digit(in.p[i + 2]);
			i += 2;
		}
		if (c == 0)
			return -1;
		buf_addc(out, (char)c);
	}
	return 0;
}

/* In constant time but for the length, which the right text does not keep secret. */
static bool equal(const char *a, const char *b, size_t n)
{
	unsigned diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (unsigned)(a[i] ^ b[i]);
	return diff == 0;
}

static bool authorized(struct request *r)
{
	struct http1_str v = field(r->h, "authorization");
	const char *want = r->s->credentials;
	size_t n = want ? strlen(want) : 0;

	if (!want)
		return true;
	if (v.n == 6 + n && strncasecmp(v.p, "Basic ", 6) == 0 && equal(v.p + 6, want, n))
		return true;
	header(r->a, "WWW-Authenticate", "Basic realm=\"Restricted\", charset=\"UTF-8\"");
	fsv_answer_status(r->s, 401, r->a);
	return false;
}

/* Other origins than the one that the site wants: true when that was the answer. */
static bool try_origin(struct request *r)
{
	const struct fsv_site *s = r->s;
	bool https = http1_is_ci(field(r->h, "x-forwarded-proto"), "https");
	AUTO(auto_str) char *origin = NULL;

	if ((!s->https_only || https) &&
	    (!s->canonical_host || strcasecmp(r->h->host_key, s->canonical_host) == 0))
		return false;
	if (!s->canonical_host && !r->h->host_key[0]) { /* HTTP/1.0 without Host: where to? */
		fsv_answer_status(s, 400, r->a);
		return true;
	}
	if (s->canonical_host)
		origin = xasprintf("%s://%s", https || s->https_only ? "https" : "http",
				   s->canonical_host);
	else
		origin = xasprintf("https://%s", r->h->host_key);
	redirect_self(r, origin, "");
	return true;
}

static bool method_served(struct request *r)
{
	if (http1_is(r->h->method, "GET") || r->head)
		return true;
	header(r->a, "Allow", "GET, HEAD, OPTIONS");
	if (http1_is(r->h->method, "OPTIONS"))
		r->a->status = 204;
	else
		fsv_answer_status(r->s, 405, r->a);
	return false;
}

static void decide(struct request *r)
{
	if (try_origin(r) || !authorized(r) || !method_served(r))
		return;
	if (try_path(r) || try_redirects(r) || try_routes(r))
		return;
	fsv_answer_status(r->s, 404, r->a);
}

void fsv_answer(const struct fsv_site *s, const struct http1_head *h, struct fsv_answer *a)
{
	struct request r = {.s = s, .h = h, .a = a, .head = http1_is(h->method, "HEAD")};

	*a = (struct fsv_answer){.fd = -1};
	if (decode(h->path, &r.path) < 0)
		fsv_answer_status(s, 400, a);
	else if (r.path.data[0] != '/') /* OPTIONS * */
		a->status = 204;
	else
		decide(&r);
	if (r.path.len)
		apply_headers(&r);
	buf_clear(&r.path);
}
