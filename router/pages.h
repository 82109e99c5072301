/* pages.h - what the router answers by itself: the table of H codes and their pages. Immutable
 * after rt_pages_new; any thread. */
#ifndef ROUTER_PAGES_H
#define ROUTER_PAGES_H

#include "proto/buf.h"

enum rt_code {
	RT_OK,
#define H(code, status, at, desc, text) RT_##code,
#include "router/codes.def"
#undef H
	RT_CODES
};

struct rt_code_info {
	const char *name, *desc; /* "H12", "Request timeout" */
	const char *text;	 /* one sentence for the visitor */
	int status;
	const char *at; /* "error", "warning", "info" */
};

extern const struct rt_code_info rt_codes[RT_CODES];

struct rt_pages;
/* dir (or NULL) may hold H12.html, 503.html, ... which replace ours; the more exact name wins. */
struct rt_pages *rt_pages_new(const char *dir);
void rt_pages_free(struct rt_pages *p);
/* Appends a whole answer: status line, fields, body unless head_only. close adds Connection: close.
 */
void rt_page_coded(const struct rt_pages *p, struct buf *out, enum rt_code code, bool head_only,
		   bool close);
/* As rt_page_coded, with the app's own page at url in a frame. */
void rt_page_framed(struct buf *out, enum rt_code code, const char *url, bool head_only,
		    bool close);
/* For mistakes of the client or the platform, where no app is to blame. text is plain text. */
void rt_page_plain(const struct rt_pages *p, struct buf *out, int status, const char *text,
		   bool head_only, bool close);
/* As the platform's API answers errors, for its own hosts. */
void rt_page_json(struct buf *out, int status, const char *id, const char *message, bool head_only,
		  bool close);
void rt_http_date(char out[30]); /* IMF-fixdate of now; cached for a second per thread */

#endif
