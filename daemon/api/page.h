/* page.h - the few pages for people in a browser: forms, without scripts but for one. Handlers run
 * on the pool, as routes with API_HTML: answers are HTML, complaints too. */
#ifndef API_PAGE_H
#define API_PAGE_H

#include "daemon/api/api_int.h"

/* What a page sends was made by us and shown to this browser: the cookie `visit` says which. */
struct page {
	struct api_req *q;
	struct buf html;
	char nonce[33], visit[33];
	bool leaves; /* of page_leave */
};

/* Also makes the visit's cookie where there is none. title is text. */
void page_begin(struct page *p, struct api_req *q, const char *title);
void page_text(struct page *p, const char *text); /* escaped */
PRINTF(2, 3) void page_addf(struct page *p, const char *html_fmt, ...);
/* A form that posts to where the page is, with its token; close it with page_addf("</form>").
 * about: what the token is good for besides the visit. */
void page_form(struct page *p, const char *about);
/* label and name are ours; type: email, password, text; value may be NULL; more: attributes. */
void page_input(struct page *p, const char *label, const char *name, const char *type,
		const char *value, const char *more);
void page_button(struct page *p, const char *action, const char *label, bool plain);
int page_send(struct page *p, int status); /* 0, as handlers return; p is empty then */
/* Ends the page with a form of these fields (an object of texts) that the browser posts to another
 * site at once; without scripts the person does, by a button. */
int page_leave(struct page *p, const char *action, const json_t *fields);
/* A whole page that says one thing. */
int page_say(struct api_req *q, int status, const char *title, const char *fmt, ...) PRINTF(4, 5);

/* --- what comes back --- */
struct form {
	struct {
		char *name, *value;
	} v[16];
	int n;
};
void form_clear(struct form *f); /* wipes the values */
#define form_clear_p form_clear
/* The body; UNSUPPORTED_TYPE, TOO_LARGE, BAD_REQUEST. Values are UTF-8 text without control
 * characters. */
int form_read(struct api_req *q, struct form *f, struct err *err);
const char *form_get(const struct form *f, const char *name); /* "" when absent */
/* FORBIDDEN: not from a page that this browser was shown. */
int form_check(struct api_req *q, const struct form *f, const char *about, struct err *err);

/* --- cookies: of this site alone, out of reach of scripts --- */
/* NULL when absent; owned. */
char *page_cookie(struct api_req *q, const char *name);
void page_set_cookie(struct api_req *q, const char *name, const char *value, int64_t max_age_s);
/* 303 to path, so that reloading does not send a form again. */
int page_redirect(struct api_req *q, const char *path);

#endif
