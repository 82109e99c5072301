/* site.h - what paas-static serves: the rules of static.json and the answer to one request. Pure
 * but for opening files; single-threaded. */
#ifndef FILESERVER_SITE_H
#define FILESERVER_SITE_H

#include "daemon/http/http1.h"
#include "proto/buf.h"

#include <sys/types.h>

#define FSV_MAX_CONFIG	(1024 * 1024)
#define FSV_MAX_RULES	512 /* of each kind */
#define FSV_MAX_PATTERN 512

struct fsv_route {
	char *pattern, *file, *except; /* owned; except may be NULL */
};

struct fsv_redirect {
	char *pattern, *url; /* owned */
	int status;
};

struct fsv_header {
	char *pattern, *name, *value; /* owned */
};

struct fsv_site {    /* strings owned; zero-initialise */
	int root_fd; /* O_PATH; -1 until loaded */
	char *root;  /* for messages */
	bool clean_urls, https_only, access_log;
	char *error_page;     /* under the root; NULL = a built-in page */
	char *canonical_host; /* NULL = any */
	char *charset;
	char *credentials; /* what Authorization must be; NULL = no question */
	struct fsv_route *routes;
	struct fsv_redirect *redirects;
	struct fsv_header *headers;
	size_t nroutes, nredirects, nheaders;
};

/* Reads the settings and opens the root. config: path of static.json; NULL = "static.json" if there
 * is one. root: overrides its "root"; NULL = its word, "public_html/" when it has none, "." without
 * a file. -1 with CONFIG: the message names file and key. */
int fsv_site_load(struct fsv_site *s, const char *root, const char *config, struct err *err);
void fsv_site_clear(struct fsv_site *s);
#define fsv_site_clear_p fsv_site_clear

struct fsv_answer {
	int status;
	struct buf head; /* header lines but for Date and Connection, each with CRLF; owned */
	struct buf text; /* a small body; owned */
	int fd;		 /* owned; a file's body: n bytes from off. -1 = text */
	off_t off, n;
};

void fsv_answer(const struct fsv_site *s, const struct http1_head *h, struct fsv_answer *a);
/* For requests that the parser refused. */
void fsv_answer_status(const struct fsv_site *s, int status, struct fsv_answer *a);
void fsv_answer_clear(struct fsv_answer *a);
#define fsv_answer_clear_p fsv_answer_clear

/* '*' matches within a path segment, '**' across them; all else stands for itself. */
bool fsv_glob(const char *pattern, const char *path);
/* "text/html; charset=UTF-8" of a file name. compressible: worth a look for a .gz beside it. */
const char *fsv_content_type(const char *name, bool *is_text, bool *compressible);
/* A Range header for a file of `size` bytes. 1 = one range: *off, *n; 0 = to be ignored; -1 = 416.
 */
int fsv_range(struct http1_str v, off_t size, off_t *off, off_t *n);
void fsv_http_date(time_t t, char out[32]);
time_t fsv_parse_date(struct http1_str v); /* -1 when it is none */
/* path: decoded, begins with '/'. Opens a regular file or folder under the root, never a hidden one
 * nor one outside. -1 when there is none. */
int fsv_open(const struct fsv_site *s, const char *path);

#endif
