#include "cli/cli.h"
#include "cli/netrc.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define ACCEPT_API   "Accept: application/vnd.heroku+json; version=3"
#define ANSWER_MAX   (64 * 1024 * 1024)
#define PAGES_MAX    1000
#define CONNECT_MS   10000L
#define REQUEST_MS   120000L
#define TICK_MS	     100
#define TEXT_IDLE_MS (60 * 60 * 1000L)

struct cli_http {
	CURL *easy;
	CURLM *multi;
	struct buf warned; /* texts of warnings that were printed, one a line */
	char error[CURL_ERROR_SIZE];
};

/* What one transfer gathers. */
struct transfer {
	struct cli *c;
	struct buf body;
	char next_range[1024];
	struct buf warning;
	const struct cli_stream *stream; /* NULL for an API request */
	long status;
	bool head_seen, stopped;
	long long last_ms;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static struct cli_http *http(struct cli *c)
{
	if (c->http)
		return c->http;
	c->http = xcalloc(1, sizeof *c->http);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->http->easy = curl_easy_init();
	c->http->multi = curl_multi_init();
	if (!c->http->easy || !c->http->multi)
		abort();
	return c->http;
}

void cli_http_free(struct cli_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	buf_clear(&h->warned);
	free(h);
}

static void first_status(struct transfer *t)
{
	char *type = NULL;

	t->head_seen = true;
	curl_easy_getinfo(t->c->http->easy, CURLINFO_RESPONSE_CODE, &t->status);
	curl_easy_getinfo(t->c->http->easy, CURLINFO_CONTENT_TYPE, &type);
	if (t->stream && t->stream->on_head &&
	    !t->stream->on_head(t->stream->arg, t->status, type ? type : ""))
		t->stopped = true;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	n *= size;
	t->last_ms = now_ms();
	if (!t->head_seen)
		first_status(t);
	if (t->stopped)
		return 0;
	if (!t->stream || t->status != 200) {
		if (t->body.len + n > ANSWER_MAX)
			return 0;
		buf_add(&t->body, data, n);
		return n;
	}
	if (t->stream->on_data(t->stream->arg, data, n))
		return n;
	t->stopped = true;
	return 0;
}

static bool header_is(const char *line, size_t n, const char *name, const char **value, size_t *len)
{
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return false;
	for (line += k + 1, n -= k + 1; n && isspace((unsigned char)*line); n--)
		line++;
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	*value = line;
	*len = n;
	return true;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	const char *v;
	size_t len;

	n *= size;
	t->last_ms = now_ms();
	if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		t->next_range[0] = 0; /* of an answer before a redirect */
	if (header_is(line, n, "Next-Range", &v, &len) && len < sizeof t->next_range) {
		memcpy(t->next_range, v, len);
		t->next_range[len] = 0;
	} else if (header_is(line, n, "Heroku-Webhook-Secret", &v, &len) &&
		   len < sizeof t->c->webhook_secret) {
		memcpy(t->c->webhook_secret, v, len);
		t->c->webhook_secret[len] = 0;
	} else if (header_is(line, n, "X-Heroku-Warning", &v, &len) ||
		   header_is(line, n, "Warning-Message", &v, &len)) {
		buf_reset(&t->warning);
		buf_add(&t->warning, v, len);
	}
	return n;
}

static void print_warning(struct cli *c, const struct buf *w)
{
	AUTO(auto_str) char *line = NULL;
	const char *text = buf_str(w);

	if (!w->len)
		return;
	line = xasprintf("\n%s\n", text);
	if (strstr(buf_str(&c->http->warned), line))
		return;
	buf_adds(&c->http->warned, line);
	if (strncasecmp(text, "Warning:", 8) == 0)
		for (text += 8; *text == ' '; text++)
			;
	cli_warn(c, "%s", text);
}

/* https platforms: the authority that was trusted for this one, else the system's. */
static void set_trust(struct cli *c, CURL *e)
{
	AUTO(auto_str) char *ca = cli_ca_file(c);

	if (c->trust_any) {
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
	} else if (ca) {
		curl_easy_setopt(e, CURLOPT_CAINFO, ca);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
}

/* Options that every transfer has. */
static CURL *prepare(struct cli *c, const char *url, struct transfer *t)
{
	struct cli_http *h = http(c);
	CURL *e = h->easy;
	struct cli_url u;

	curl_easy_reset(e);
	h->error[0] = 0;
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "paasctl/" PAASD_VERSION);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	if (cli_url_parse(url, &u) && strcmp(u.scheme, "https") == 0)
		set_trust(c, e);
	/* The platform on this machine is never behind the proxy of the environment. */
	if (cli_url_parse(url, &u) && cli_url_loopback(&u))
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	if (t) {
		curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
		curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
		curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
		curl_easy_setopt(e, CURLOPT_MAXREDIRS, 10L);
		curl_easy_setopt(e, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
	}
	return e;
}

/* Runs the transfer, spinning; ends it when nothing came for idle_ms. */
static CURLcode perform(struct transfer *t, long idle_ms)
{
	struct cli_http *h = t->c->http;
	CURLcode rc = CURLE_OK;
	int running = 1, left;
	CURLMsg *m;

	t->last_ms = now_ms();
	curl_multi_add_handle(h->multi, h->easy);
	while (running) {
		if (curl_multi_perform(h->multi, &running) != CURLM_OK) {
			rc = CURLE_FAILED_INIT;
			break;
		}
		if (!running)
			break;
		curl_multi_poll(h->multi, NULL, 0, TICK_MS, NULL);
		cli_spin(t->c);
		if (idle_ms && now_ms() - t->last_ms > idle_ms) {
			rc = CURLE_OPERATION_TIMEDOUT;
			break;
		}
	}
	while ((m = curl_multi_info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE)
			rc = m->data.result;
	curl_multi_remove_handle(h->multi, h->easy);
	if (!t->head_seen && rc == CURLE_OK)
		first_status(t);
	return rc;
}

static int unreachable(struct cli *c, const char *base, CURLcode rc, struct err *err)
{
	const char *why = c->http->error[0] ? c->http->error : curl_easy_strerror(rc);

	switch (rc) {
	case CURLE_COULDNT_CONNECT:
		return err_set(err, ERR_UNAVAILABLE, "could not reach %s: is paasd running? (%s)",
			       base, why);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(err, ERR_UNAVAILABLE, "could not reach %s: no such host name", base);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT, "%s did not answer in time", base);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return err_set(err, ERR_UNAVAILABLE, "%s closed the connection before it answered",
			       base);
	case CURLE_PEER_FAILED_VERIFICATION:
		c->untrusted = true;
		buf_reset(&c->detail);
		buf_addf(&c->detail,
			 "the certificate of %s is not trusted (%s)\n"
			 "If it is a development platform, trust it with: paasctl login",
			 base, why);
		return err_set(err, ERR_UNAVAILABLE, "the certificate of %s is not trusted (%s)",
			       base, why);
	default:
		return err_set(err, ERR_UNAVAILABLE, "could not speak to %s: %s", base, why);
	}
}

static void debug(struct cli *c, const char *method, const char *what, const struct transfer *t,
		  CURLcode rc, long long started)
{
	if (!c->debug)
		return;
	fprintf(stderr, "%s  paasctl %s %s -> %ld %s(%lld ms, %zu bytes)\n",
		c->err_tty ? "\r\033[K" : "", method, what, t->status,
		rc ? curl_easy_strerror(rc) : "", now_ms() - started, t->body.len);
}

static enum err_id status_err(long status)
{
	switch (status) {
	case 401:
		return ERR_UNAUTHORIZED;
	case 403:
		return ERR_FORBIDDEN;
	case 404:
		return ERR_NOT_FOUND;
	case 429:
		return ERR_RATE_LIMIT;
	case 502:
	case 503:
	case 504:
		return ERR_UNAVAILABLE;
	default:
		return status >= 400 && status < 500 ? ERR_BAD_REQUEST : ERR_INTERNAL;
	}
}

/* An answer that is no success: {id, message, app, url}, or something that is not the API's. */
static int refused(struct cli *c, const struct cli_req *r, struct transfer *t, struct err *err)
{
	json_auto_t *doc = json_loadb(buf_str(&t->body), t->body.len, 0, NULL);
	const char *id = cli_js(doc, "id"), *message = cli_js(doc, "message");

	if (!message[0])
		return err_set(err, status_err(t->status), "HTTP Error %ld for %s %s%s", t->status,
			       r->method, c->api_url, r->path);
	err_set(err, status_err(t->status), "%s", message);
	if (t->status == 401 && c->key) {
		buf_reset(&c->detail);
		buf_addf(&c->detail, "%s\n%s", message,
			 c->key_from_env ? "The key in PAASCTL_API_KEY is not valid here."
					 : "Log in again with: paasctl login");
	}
	if (!id[0])
		return -1;
	snprintf(c->wire_id, sizeof c->wire_id, "%s", id);
	snprintf(c->err_app, sizeof c->err_app, "%s", cli_js(doc, "app.name"));
	snprintf(c->err_url, sizeof c->err_url, "%s", cli_js(doc, "url"));
	err->id = c->wire_id;
	err->status = (int)t->status;
	return -1;
}

static struct curl_slist *api_headers(struct cli *c, const struct cli_req *r, const char *range,
				      const char *body)
{
	struct curl_slist *l = curl_slist_append(NULL, ACCEPT_API);
	const char *token = r->bearer ? r->bearer : c->key;

	if (!r->basic && token && token[0]) {
		AUTO(auto_str) char *auth = xasprintf("Authorization: Bearer %s", token);

		l = curl_slist_append(l, auth);
	}
	if (c->code) {
		AUTO(auto_str) char *line = xasprintf("Heroku-Two-Factor-Code: %s", c->code);

		l = curl_slist_append(l, line);
	}
	if (range) {
		AUTO(auto_str) char *line = xasprintf("Range: %s", range);

		l = curl_slist_append(l, line);
	}
	if (body)
		l = curl_slist_append(l, "Content-Type: application/json");
	return curl_slist_append(l, "Expect:");
}

static int send_once(struct cli *c, const struct cli_req *r, const char *range, struct transfer *t,
		     struct err *err)
{
	AUTO(auto_str) char *url = xasprintf("%s%s", c->api_url, r->path);
	AUTO(auto_str) char *body = r->body ? json_dumps(r->body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = api_headers(c, r, range, body);
	CURL *e = prepare(c, url, t);
	long long started = now_ms();
	CURLcode rc;

	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
			 r->timeout_ms	 ? r->timeout_ms
			 : c->timeout_ms ? c->timeout_ms
					 : REQUEST_MS);
	if (r->basic) {
		curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(e, CURLOPT_USERPWD, r->basic);
	}
	if (body || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, body ? body : "");
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	rc = perform(t, 0);
	curl_slist_free_all(headers);
	debug(c, r->method, r->path, t, rc, started);
	if (rc != CURLE_OK)
		return unreachable(c, c->api_url, rc, err);
	print_warning(c, &t->warning);
	return t->status >= 200 && t->status < 300 ? 0 : refused(c, r, t, err);
}

static void transfer_clear(struct transfer *t)
{
	buf_clear(&t->body);
	buf_clear(&t->warning);
}

static int parse_answer(struct cli *c, const struct cli_req *r, struct transfer *t, json_t **out,
			struct err *err)
{
	json_error_t why;

	*out = json_loadb(buf_str(&t->body), t->body.len, JSON_DECODE_ANY, &why);
	if (*out)
		return 0;
	return err_set(err, ERR_INTERNAL, "the answer to %s %s%s is not JSON (%s)", r->method,
		       c->api_url, r->path, why.text);
}

static int try_page(struct cli *c, const struct cli_req *r, char *range, size_t cap, json_t **out,
		    struct err *err)
{
	struct transfer t = {.c = c};
	int rc = send_once(c, r, range[0] ? range : NULL, &t, err);

	if (rc == 0)
		rc = parse_answer(c, r, &t, out, err);
	if (rc == 0)
		snprintf(range, cap, "%s", t.next_range);
	transfer_clear(&t);
	return rc;
}

/* When the platform wants the second factor and somebody is there to type it: true = try again. */
static bool second_factor(struct cli *c, const struct err *err)
{
	if (err->id != c->wire_id || strcmp(c->wire_id, "two_factor") != 0)
		return false;
	if (!isatty(STDIN_FILENO) && !c->asking)
		return false;
	if (c->action.len && c->err_tty)
		fputc('\n', stderr);
	c->code = cli_prompt(c, "Two-factor code: ", false);
	return c->code && c->code[0] && cli_netrc_word(c->code);
}

/* One page; range is set when Next-Range asks for another, else empty. */
static int page(struct cli *c, const struct cli_req *r, char *range, size_t cap, json_t **out,
		struct err *err)
{
	int rc = try_page(c, r, range, cap, out, err);

	if (rc < 0 && second_factor(c, err)) {
		*err = (struct err){0};
		rc = try_page(c, r, range, cap, out, err);
	}
	/* A code is good once. */
	free(c->code);
	c->code = NULL;
	return rc;
}

int cli_request(struct cli *c, const struct cli_req *r, json_t **out, struct err *err)
{
	json_auto_t *all = NULL;
	char range[1024];

	if (!(c->cmd->flags & CLI_NO_KEY) && cli_need_key(c, err) < 0)
		return -1;
	snprintf(range, sizeof range, "%s", r->range ? r->range : "");
	if (page(c, r, range, sizeof range, &all, err) < 0)
		return -1;
	for (int n = 1; range[0] && !r->partial && json_is_array(all); n++) {
		json_auto_t *more = NULL;

		if (n >= PAGES_MAX)
			return err_set(err, ERR_INTERNAL, "%s has no end", r->path);
		if (page(c, r, range, sizeof range, &more, err) < 0)
			return -1;
		json_array_extend(all, more);
	}
	if (out)
		*out = STEAL(all);
	return 0;
}

static void add_encoded(struct buf *b, const char *s)
{
	for (; *s; s++)
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", (unsigned)(unsigned char)*s);
}

static char *vpath(const char *fmt, va_list ap)
{
	AUTO(buf_clear) struct buf b = {0};

	for (; *fmt; fmt++) {
		if (*fmt != '%')
			buf_addc(&b, *fmt);
		else if (*++fmt == 's')
			add_encoded(&b, va_arg(ap, const char *));
		else if (*fmt == 'd')
			buf_addf(&b, "%d", va_arg(ap, int));
		else
			abort();
	}
	return buf_steal(&b);
}

char *cli_pathf(const char *fmt, ...)
{
	va_list ap;
	char *path;

	va_start(ap, fmt);
	path = vpath(fmt, ap);
	va_end(ap);
	return path;
}

int cli_api(struct cli *c, const char *method, const json_t *body, json_t **out, struct err *err,
	    const char *fmt, ...)
{
	AUTO(auto_str) char *path = NULL;
	struct cli_req r = {.method = method, .body = body};
	va_list ap;

	va_start(ap, fmt);
	path = vpath(fmt, ap);
	va_end(ap);
	r.path = path;
	return cli_request(c, &r, out, err);
}

int cli_api_part(struct cli *c, const char *range, json_t **out, struct err *err, const char *fmt,
		 ...)
{
	AUTO(auto_str) char *path = NULL;
	struct cli_req r = {.method = "GET", .range = range, .partial = true};
	va_list ap;

	va_start(ap, fmt);
	path = vpath(fmt, ap);
	va_end(ap);
	r.path = path;
	return cli_request(c, &r, out, err);
}

int cli_send_req(struct cli *c, const struct cli_req *r, struct err *err)
{
	json_auto_t *answer = NULL;

	if (cli_request(c, r, &answer, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if (cli_json(c))
		cli_print_json(c, answer);
	return 0;
}

int cli_send(struct cli *c, const char *method, const json_t *body, struct err *err,
	     const char *fmt, ...)
{
	AUTO(auto_str) char *path = NULL;
	struct cli_req r = {.method = method, .body = body};
	va_list ap;

	va_start(ap, fmt);
	path = vpath(fmt, ap);
	va_end(ap);
	r.path = path;
	return cli_send_req(c, &r, err);
}

int cli_stream(struct cli *c, const struct cli_stream *s, long *status, struct err *err)
{
	struct transfer t = {.c = c, .stream = s};
	struct curl_slist *headers = NULL;
	CURL *e = prepare(c, s->url, &t);
	long long started = now_ms();
	struct cli_url u;
	CURLcode rc;

	if (!cli_url_parse(s->url, &u))
		return err_set(err, ERR_INTERNAL,
			       "the platform sent a stream address that is no URL");
	for (int i = 0; s->headers && s->headers[i]; i++)
		headers = curl_slist_append(headers, s->headers[i]);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	rc = perform(&t, s->idle_ms);
	curl_slist_free_all(headers);
	/* The path of such a URL is its secret. */
	debug(c, "GET", "(stream)", &t, rc, started);
	transfer_clear(&t);
	*status = t.status;
	if (rc == CURLE_OK || t.stopped)
		return 0;
	return unreachable(c, c->api_url, rc, err);
}

static bool to_stdout(void *arg, const char *data, size_t n)
{
	return fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0;
}

int cli_stream_text(struct cli *c, const char *url, long *status, struct err *err)
{
	struct cli_stream s = {.url = url, .on_data = to_stdout, .idle_ms = TEXT_IDLE_MS};

	return cli_stream(c, &s, status, err);
}

static size_t read_more(char *out, size_t size, size_t n, void *arg)
{
	return fread(out, size, n, arg);
}

int cli_put_file(struct cli *c, const char *url, const char *file, struct err *err)
{
	struct transfer t = {.c = c};
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type:");
	FILE *in = fopen(file, "rbe");
	CURL *e = prepare(c, url, &t);
	long long started = now_ms();
	struct stat st;
	CURLcode rc;
	int done;

	if (!in || fstat(fileno(in), &st) < 0) {
		curl_slist_free_all(headers);
		return err_errno(err, "cannot read %s", file);
	}
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, read_more);
	curl_easy_setopt(e, CURLOPT_READDATA, in);
	curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	rc = perform(&t, TEXT_IDLE_MS);
	curl_slist_free_all(headers);
	fclose(in);
	debug(c, "PUT", "(source)", &t, rc, started);
	done = rc != CURLE_OK ? unreachable(c, c->api_url, rc, err)
	       : t.status >= 200 && t.status < 300
		       ? 0
		       : err_set(err, status_err(t.status), "HTTP Error %ld for the upload",
				 t.status);
	transfer_clear(&t);
	return done;
}

void *cli_connect(struct cli *c, int *fd, struct err *err)
{
	CURL *e = prepare(c, c->api_url, NULL);
	curl_socket_t sock = CURL_SOCKET_BAD;
	CURLcode rc;

	curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	rc = curl_easy_perform(e);
	if (rc == CURLE_OK)
		rc = curl_easy_getinfo(e, CURLINFO_ACTIVESOCKET, &sock);
	if (rc != CURLE_OK || sock == CURL_SOCKET_BAD) {
		unreachable(c, c->api_url, rc ? rc : CURLE_COULDNT_CONNECT, err);
		return NULL;
	}
	*fd = sock;
	return e;
}

void *cli_connect_own(struct cli *c, int *fd, struct err *err)
{
	CURL *e = curl_easy_duphandle(prepare(c, c->api_url, NULL));
	curl_socket_t sock = CURL_SOCKET_BAD;
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	if (e) {
		curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
		curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		rc = curl_easy_perform(e);
	}
	if (rc == CURLE_OK)
		rc = curl_easy_getinfo(e, CURLINFO_ACTIVESOCKET, &sock);
	if (rc == CURLE_OK && sock != CURL_SOCKET_BAD) {
		*fd = sock;
		return e;
	}
	unreachable(c, c->api_url, rc ? rc : CURLE_COULDNT_CONNECT, err);
	curl_easy_cleanup(e);
	return NULL;
}

const json_t *cli_at(const json_t *o, const char *path)
{
	while (o && *path) {
		size_t n = strcspn(path, ".");
		AUTO(auto_str) char *key = xstrndup(path, n);

		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return o;
}

const char *cli_js(const json_t *o, const char *path)
{
	const char *s = json_string_value(cli_at(o, path));

	return s ? s : "";
}

long long cli_jint(const json_t *o, const char *path)
{
	return json_integer_value(cli_at(o, path));
}
