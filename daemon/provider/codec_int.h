/* codec_int.h - what the three codecs are written with. */
#ifndef PROVIDER_CODEC_INT_H
#define PROVIDER_CODEC_INT_H

#include "daemon/provider/codec.h"

#include <string.h>

#define PROVIDER_PAGE 100 /* items asked for at a time */

DEFINE_AUTO(json_t *, json_decref)

extern const struct provider_codec provider_github, provider_gitlab, provider_gitea;

/* At a dotted path; NULL when it is not there, or null. Borrowed. */
const json_t *pj_at(const json_t *o, const char *path);
const char *pj_text(const json_t *o, const char *path); /* NULL when it is no text */
int64_t pj_int(const json_t *o, const char *path);	/* 0 when it is no integer */
bool pj_true(const json_t *o, const char *path);
bool pj_is(const json_t *o, const char *path, const char *text);
char *pj_dup(const json_t *o, const char *path); /* cut at 1000 bytes; NULL when not there */
char *provider_cut(const char *v, size_t max);	 /* at most max bytes, whole characters; owned */
/* A commit's id, or NULL when it is none or all zeros. */
char *pj_sha(const json_t *o, const char *path);
/* What comes after refs/heads/, or NULL. */
char *pj_branch_of_ref(const json_t *o, const char *path);
void pj_id(const json_t *o, const char *path, char out[64]); /* of text or a number */

bool provider_hmac_ok(const char *secret, const void *body, size_t n, const char *hex);
void provider_sum(const void *body, size_t n, char out[129]); /* "sha256:..." */
/* Fields of pull requests, which GitHub and Gitea name alike. */
void provider_pull_read(const json_t *pr, struct provider_pull *out);
/* ... as the event of a "pull_request" delivery; kind is set by the caller. */
void provider_pull_event(const json_t *body, struct provider_event *e);
struct provider_pull *provider_pulls_add(struct provider_pulls *l);
/* The comment with the mark, or the hook with the URL, of a page. */
void provider_find(const json_t *page, const char *field, const char *what, bool part,
		   struct provider_answer *out);
int provider_wrong(struct err *err, const char *title, const char *what);
/* Body of a request; takes j. */
void provider_body(struct provider_request *r, json_t *j);
/* The URL of a path with marks (codec.c) below the API's. Owned. */
char *provider_url(const char *fmt, const struct provider_args *a, const char *api,
		   const char *repo);

#endif
