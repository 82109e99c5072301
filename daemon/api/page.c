/* Pages, forms and cookies. */
#include "daemon/api/page.h"
#include "proto/limits.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char style[] =
	"*{box-sizing:border-box}"
	"body{font:1.05rem/1.5 system-ui,sans-serif;margin:0;color:#1c1c28;background:#f3f3f8}"
	"main{max-width:26rem;margin:8vh auto 2rem;padding:1.5rem;background:#fff;"
	"border:1px solid #c9c9d8;border-radius:.6rem}"
	"h1{font-size:1.35rem;margin:0 0 1rem}"
	"label{display:block;margin:.8rem 0 .2rem;font-weight:600}"
	"input{width:100%;font:inherit;padding:.55rem .6rem;border:1px solid #6a6a80;"
	"border-radius:.35rem;background:#fff;color:inherit}"
	"button{font:inherit;font-weight:600;padding:.6rem 1.1rem;margin:1.1rem .5rem 0 0;"
	"border:1px solid "
	"#4a3aa8;border-radius:.35rem;background:#4a3aa8;color:#fff;cursor:pointer}"
	"button.plain{background:#fff;color:#4a3aa8}"
	":focus-visible{outline:3px solid #e08a00;outline-offset:2px}"
	"dl{margin:0}dt{font-weight:600;margin-top:.7rem}dd{margin:0;overflow-wrap:anywhere}"
	".code{font:700 1.5rem ui-monospace,monospace;letter-spacing:.08em}"
	".wrong{margin:0 0 1rem;padding:.6rem .8rem;border-left:.3rem solid #b3261e;"
	"background:#fdeceb}"
	"@media(max-width:30rem){main{margin:0;border:0;border-radius:0;min-height:100vh}}"
	"@media(prefers-color-scheme:dark){body{color:#ececf4;background:#15151c}"
	"main{background:#20202b;border-color:#45455a}input{background:#15151c;"
	"border-color:#8a8aa2}button{background:#b9aeff;border-color:#b9aeff;color:#15151c}"
	"button.plain{background:#20202b;color:#b9aeff}.wrong{background:#4a1f1d}}";

void page_text(struct page *p, const char *text)
{
	static const char *const as[128] = {['<'] = "&lt;",
					    ['>'] = "&gt;",
					    ['&'] = "&amp;",
					    ['"'] = "&quot;",
					    ['\''] = "&#39;"};
	AUTO(json_decref) json_t *clean = json_text(text); /* UTF-8, whatever came */

	for (const unsigned char *s = (const unsigned char *)json_string_value(clean); *s; s++) {
		if (*s < 128 && as[*s])
			buf_adds(&p->html, as[*s]);
		else
			buf_addc(&p->html, (char)*s);
	}
}

void page_addf(struct page *p, const char *html_fmt, ...)
{
	va_list ap;

	va_start(ap, html_fmt);
	buf_vaddf(&p->html, html_fmt, ap);
	va_end(ap);
}

/* --- cookies --- */

static bool is_https(struct api_req *q)
{
	return strcmp(http_scheme(q->x), "https") == 0;
}

/* Under https the prefix keeps sites of the same domain (apps are such) from setting it. */
static char *cookie_name(struct api_req *q, const char *name)
{
	return xasprintf("%spaas_%s", is_https(q) ? "__Host-" : "", name);
}

char *page_cookie(struct api_req *q, const char *name)
{
	AUTO(auto_str) char *full = cookie_name(q, name);
	const char *h = http_header(q->x, "cookie");
	size_t n = strlen(full);

	while (h && *h) {
		size_t len = strcspn(h, ";");

		if (len > n && strncmp(h, full, n) == 0 && h[n] == '=')
			return xstrndup(h + n + 1, len - n - 1);
		h += len;
		h += strspn(h, "; ");
	}
	return NULL;
}

void page_set_cookie(struct api_req *q, const char *name, const char *value, int64_t max_age_s)
{
	AUTO(auto_str) char *full = cookie_name(q, name);

	http_setf(q->x, "Set-Cookie", "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s", full,
		  value, (long long)max_age_s, is_https(q) ? "; Secure" : "");
}

/* --- which browser --- */

static bool is_hex(const char *s, size_t n)
{
	return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static void form_token(struct api_req *q, const char *visit, const char *about, char out[65])
{
	AUTO(auto_str) char *text = xasprintf("%s\n%s", visit, about);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), q->api->page_key, sizeof q->api->page_key,
		  (const unsigned char *)text, strlen(text), mac, &len) ||
	    len != 32)
		abort();
	hex_encode(mac, 32, out);
}

/* --- pages --- */

void page_begin(struct page *p, struct api_req *q, const char *title)
{
	AUTO(auto_str) char *visit = page_cookie(q, "visit");

	*p = (struct page){.q = q};
	random_hex(p->nonce, 32);
	if (is_hex(visit, 32)) {
		memcpy(p->visit, visit, sizeof p->visit);
	} else {
		random_hex(p->visit, 32);
		page_set_cookie(q, "visit", p->visit, LIM_BROWSER_SESSION_MS / 1000);
	}
	page_addf(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		     "<title>");
	page_text(p, title);
	page_addf(p, "</title>\n<style nonce=\"%s\">%s</style>\n</head>\n<body>\n<main>\n<h1>",
		  p->nonce, style);
	page_text(p, title);
	page_addf(p, "</h1>\n");
}

void page_form(struct page *p, const char *about)
{
	char token[65];

	form_token(p->q, p->visit, about, token);
	page_addf(p,
		  "<form method=\"post\">\n<input type=\"hidden\" name=\"token\" value=\"%s\">\n",
		  token);
}

void page_input(struct page *p, const char *label, const char *name, const char *type,
		const char *value, const char *more)
{
	page_addf(p,
		  "<label for=\"%s\">%s</label>\n<input id=\"%s\" name=\"%s\" type=\"%s\" %s "
		  "value=\"",
		  name, label, name, name, type, more);
	page_text(p, value ? value : "");
	page_addf(p, "\">\n");
}

void page_button(struct page *p, const char *action, const char *label, bool plain)
{
	page_addf(p, "<button name=\"action\" value=\"%s\"%s>%s</button>\n", action,
		  plain ? " class=\"plain\" formnovalidate" : "", label);
}

int page_send(struct page *p, int status)
{
	struct http_x *x = p->q->x;

	page_addf(p, "</main>\n</body>\n</html>\n");
	if (p->leaves) /* where to: the form is ours; that site may send the browser on to others */
		http_setf(x, "Content-Security-Policy",
			  "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; "
			  "form-action https: http://localhost:* http://127.0.0.1:*; "
			  "frame-ancestors 'none'; base-uri 'none'",
			  p->nonce, p->nonce);
	else
		http_setf(x, "Content-Security-Policy",
			  "default-src 'none'; style-src 'nonce-%s'; form-action 'self'; "
			  "frame-ancestors 'none'; base-uri 'none'",
			  p->nonce);
	http_set(x, "X-Frame-Options", "DENY");
	http_set(x, "Referrer-Policy", "same-origin"); /* the address has a secret */
	http_set(x, "Cache-Control", "no-store");
	p->q->answered = true;
	http_reply(x, status, "text/html; charset=utf-8", p->html.data, p->html.len);
	buf_clear(&p->html);
	return 0;
}

int page_leave(struct page *p, const char *action, const json_t *fields)
{
	const char *name;
	json_t *v;

	p->leaves = true;
	page_addf(p, "<form method=\"post\" action=\"");
	page_text(p, action);
	page_addf(p, "\">\n");
	json_object_foreach((json_t *)(uintptr_t)fields, name, v)
	{
		page_addf(p, "<input type=\"hidden\" name=\"");
		page_text(p, name);
		page_addf(p, "\" value=\"");
		page_text(p, json_string_value(v));
		page_addf(p, "\">\n");
	}
	page_addf(p,
		  "<button>Continue</button>\n</form>\n"
		  "<script nonce=\"%s\">document.forms[0].submit()</script>\n",
		  p->nonce);
	return page_send(p, 200);
}

int page_say(struct api_req *q, int status, const char *title, const char *fmt, ...)
{
	struct page p;
	char text[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	page_begin(&p, q, title);
	page_addf(&p, "<p>");
	page_text(&p, text);
	page_addf(&p, "</p>\n");
	return page_send(&p, status);
}

int page_redirect(struct api_req *q, const char *path)
{
	http_set(q->x, "Location", path);
	http_set(q->x, "Cache-Control", "no-store");
	q->answered = true;
	http_reply(q->x, 303, NULL, NULL, 0);
	return 0;
}

/* --- forms --- */

void form_clear(struct form *f)
{
	for (int i = 0; i < f->n; i++) {
		explicit_bzero(f->v[i].value, strlen(f->v[i].value));
		free(f->v[i].value);
		free(f->v[i].name);
	}
	f->n = 0;
}

static char *form_part(const char *s, size_t n, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(json_decref) json_t *text = NULL;

	if (percent_decode(s, n, true, &b) == 0 && !memchr(buf_str(&b), 0, b.len))
		text = json_string(buf_str(&b)); /* NULL: not UTF-8 */
	for (const char *c = buf_str(&b); text && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			json_decref(text);
			text = NULL;
		}
	if (text)
		return buf_steal(&b);
	err_set(err, ERR_BAD_REQUEST, "The form has bytes that are not text.");
	return NULL;
}

static int form_parse(const char *s, struct form *f, struct err *err)
{
	while (*s && f->n < (int)ARRAY_LEN(f->v)) {
		size_t len = strcspn(s, "&"), eq = strcspn(s, "=&");
		AUTO(auto_str) char *name = form_part(s, eq, err);
		char *value =
			name ? form_part(s + eq + (eq < len), len - eq - (eq < len), err) : NULL;

		if (!value)
			return -1;
		f->v[f->n].value = value;
		f->v[f->n++].name = STEAL(name);
		s += len;
		s += *s == '&';
	}
	return *s ? err_set(err, ERR_BAD_REQUEST, "The form has too many fields.") : 0;
}

int form_read(struct api_req *q, struct form *f, struct err *err)
{
	static const char type[] = "application/x-www-form-urlencoded";
	const char *h = http_header(q->x, "content-type");
	AUTO(buf_clear) struct buf b = {0};
	int rc;

	if (!h || strncasecmp(h, type, sizeof type - 1) != 0)
		return err_set(err, ERR_UNSUPPORTED_TYPE, "This address takes a form.");
	http_set_max_body(q->x, LIM_FORM);
	if (http_read_all(q->x, &b, err) < 0)
		return -1;
	if (memchr(buf_str(&b), 0, b.len))
		return err_set(err, ERR_BAD_REQUEST, "The form has bytes that are not text.");
	rc = form_parse(buf_str(&b), f, err);
	if (b.data)
		explicit_bzero(b.data, b.len);
	return rc;
}

const char *form_get(const struct form *f, const char *name)
{
	for (int i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return f->v[i].value;
	return "";
}

int form_check(struct api_req *q, const struct form *f, const char *about, struct err *err)
{
	AUTO(auto_str) char *visit = page_cookie(q, "visit");
	const char *got = form_get(f, "token");
	char good[65];

	if (is_hex(visit, 32)) {
		form_token(q, visit, about, good);
		if (strlen(got) == 64 && ct_equal(got, good, 64))
			return 0;
	}
	return err_set(err, ERR_FORBIDDEN,
		       "This form is not one that your browser was shown. Cookies must be allowed; "
		       "go back and load the page again.");
}
