/* URLs that users write into .gitmodules. They are fetched from inside the operator's network, so:
 * https only, public addresses only (unless the configuration allows others), and the address that
 * was checked is the one that is used. libcurl parses them, as it does for git itself. */
#include "daemon/core/netaddr.h"
#include "daemon/git/git_int.h"

#include <curl/curl.h>

#include <stdio.h>
#include <string.h>

enum { URL_MAX = 2048, PROBE_MAX = 4096 };

#define TAIL "/info/refs?service=git-upload-pack"

DEFINE_AUTO(CURLU *, curl_url_cleanup)
DEFINE_AUTO(CURL *, curl_easy_cleanup)

/* --- what was written --- */

static bool odd_bytes(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s <= 0x20 || *s == 0x7f || *s == '\\')
			return true;
	}
	return false;
}

/* Drops the last part of the path, as git-submodule does for "../". Never the host. */
static int up_one(struct buf *b, struct err *err)
{
	const char *host = b->data + strlen("https://");
	char *slash = strrchr(b->data, '/');

	if (slash < host)
		return err_set(err, ERR_INVALID_PARAMS, "its relative URL leaves the server");
	buf_reserve(b, 0);
	b->len = (size_t)(slash - b->data);
	b->data[b->len] = 0;
	return 0;
}

static int resolve_relative(const char *url, const char *base, struct buf *out, struct err *err)
{
	if (!base)
		return err_set(err, ERR_INVALID_PARAMS,
			       "its URL is relative, which only works below another submodule");
	buf_adds(out, base);
	while (out->len && out->data[out->len - 1] == '/')
		out->data[--out->len] = 0;
	for (;;) {
		if (!strncmp(url, "./", 2)) {
			url += 2;
		} else if (!strncmp(url, "../", 3)) {
			url += 3;
			if (up_one(out, err) < 0)
				return -1;
		} else {
			break;
		}
	}
	buf_addf(out, "/%s", url);
	return 0;
}

int git_url_resolve(const char *url, const char *base, struct buf *out, struct err *err)
{
	AUTO(curl_url_cleanup) CURLU *u = NULL;

	buf_reset(out);
	if (!strncmp(url, "./", 2) || !strncmp(url, "../", 3)) {
		if (resolve_relative(url, base, out, err) < 0)
			return -1;
	} else {
		buf_adds(out, url);
	}
	while (out->len && out->data[out->len - 1] == '/')
		out->data[--out->len] = 0;
	if (strncmp(buf_str(out), "https://", 8) != 0)
		return err_set(err, ERR_INVALID_PARAMS, "only https URLs are fetched");
	if (out->len > URL_MAX || odd_bytes(out->data) || strpbrk(out->data, "?#") ||
	    out->data[8] == '/')
		return err_set(err, ERR_INVALID_PARAMS, "its URL is not valid");
	u = curl_url();
	if (!u || curl_url_set(u, CURLUPART_URL, out->data, 0) != CURLUE_OK)
		return err_set(err, ERR_INVALID_PARAMS, "its URL is not valid");
	return 0;
}

/* --- where it leads --- */

struct probe {
	struct netaddr_guard guard;
	size_t got;
};

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct probe *p = arg;

	return netaddr_socket(&p->guard, &a->addr, a->socktype, a->protocol);
}

/* The answer itself does not matter; a large one ends the transfer. */
static size_t drop_body(char *data, size_t size, size_t n, void *arg)
{
	struct probe *p = arg;

	p->got += size * n;
	return p->got > PROBE_MAX ? 0 : size * n;
}

static void set_options(CURL *c, const char *url, struct probe *p, mono_ms deadline)
{
	mono_ms left = deadline - clock_mono_ms();
	const char *ca = getenv("GIT_SSL_CAINFO"); /* the operator's own authority, as git has it */

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left < 1 ? 1L : left > 30000 ? 30000L : (long)left);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "git/2.0 (paasd)"); /* some servers look for git */
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, p);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, p);
	if (ca && *ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, ca);
}

static int make_pin(const char *url, const char *ip, struct buf *pin, struct err *err)
{
	AUTO(curl_url_cleanup) CURLU *u = curl_url();
	char *host = NULL, *port = NULL;
	bool v6 = strchr(ip, ':') != NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
		curl_free(host);
		return err_set(err, ERR_INVALID_PARAMS, "its URL is not valid");
	}
	buf_reset(pin);
	if (host[0] != '[') /* a literal address needs no pin, and has no form for one */
		buf_addf(pin, "%s:%s:%s%s%s", host, port, v6 ? "[" : "", ip, v6 ? "]" : "");
	curl_free(host);
	curl_free(port);
	return 0;
}

static int read_result(CURL *c, struct buf *final, struct buf *pin, struct err *err)
{
	const char *where = NULL, *ip = NULL;
	long status = 0;
	size_t n, tail = strlen(TAIL);

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &where);
	curl_easy_getinfo(c, CURLINFO_PRIMARY_IP, &ip);
	if (status != 200)
		return err_set(err, ERR_IO, "its server answered %ld", status);
	n = where ? strlen(where) : 0;
	if (n < tail || strcmp(where + n - tail, TAIL) != 0 || !ip)
		return err_set(err, ERR_IO, "its server redirects to no repository");
	buf_reset(final);
	buf_add(final, where, n - tail);
	return make_pin(final->data, ip, pin, err);
}

static void curl_once(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int git_url_probe(const char *url, bool allow_private, mono_ms deadline, struct buf *final,
		  struct buf *pin, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	AUTO(auto_str) char *full = xasprintf("%s" TAIL, url);
	struct probe p = {.guard.any = allow_private};

	pthread_once(&once, curl_once);
	AUTO(curl_easy_cleanup) CURL *c = curl_easy_init();

	if (!c)
		return err_set(err, ERR_IO, "cannot start a transfer");
	set_options(c, full, &p, deadline);
	CURLcode rc = curl_easy_perform(c);

	if (p.guard.refused)
		return err_set(err, ERR_INVALID_PARAMS, "its server has a private address");
	if (rc != CURLE_OK && !(rc == CURLE_WRITE_ERROR && p.got > PROBE_MAX))
		return err_set(err, ERR_IO, "%s", curl_easy_strerror(rc));
	return read_result(c, final, pin, err);
}
