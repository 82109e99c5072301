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
struct provider_pull *provider_pulls_add(struct provider_pulls *l);

/* --- deliveries: tables end with {0} --- */
struct provider_handler {
	const char *name;
	int (*fn)(const json_t *body, struct provider_event *e, struct err *err);
};
/* By name; of no interest when there is none of that name. */
int provider_handle(const struct provider_handler *list, const char *name, const json_t *body,
		    struct provider_event *e, struct err *err);
struct provider_action {
	const char *action;
	enum provider_event_kind kind;
};
enum provider_event_kind provider_action_kind(const struct provider_action *list, const json_t *o);
struct provider_ci_name {
	const char *name;
	enum provider_ci ci;
};
enum provider_ci provider_ci_of(const struct provider_ci_name *list, const char *name,
				enum provider_ci other);
/* What tells a delivery from others: its id, else its content. */
void provider_delivery_id(const char *id, const void *body, size_t n, char delivery[129]);
/* "pull_request" of GitHub and Gitea. */
int provider_pull_event(const char *title, const struct provider_action *actions,
			const json_t *body, struct provider_event *e, struct err *err);
int provider_push_event(const char *title, const char *repo_at, const char *author_at,
			const json_t *body, struct provider_event *e, struct err *err);
int provider_checks_event(const char *title, const char *repo_at, const json_t *body,
			  const json_t *check, const char *sha_at, enum provider_ci ci,
			  struct provider_event *e, struct err *err);
int provider_wrong(struct err *err, const char *title, const char *what);

/* --- requests and answers: what differs is in a table --- */
struct provider_form {		   /* of a request; path NULL = there is no such thing */
	const char *method, *path; /* marks as in common.c */
	json_t *(*body)(const struct provider_args *a);
};
struct provider_items {
	const char *at;				   /* of the list; "" = the answer is the list */
	enum provider_ci (*ci)(const json_t *one); /* NONE: it does not count */
};
struct provider_dialect {
	const struct provider_form *forms;  /* PROVIDER_ASKS of them */
	char *(*api)(const char *base_url); /* owned */
	bool encodes_repo;		    /* as one part of the path */
	bool keeps_ended;  /* a commit keeps its last status: what is gone is said by the comment */
	bool short_pages;  /* a page may have less than it was asked for: lists end with an empty
			    * one; and may be null */
	bool all_comments; /* that list has no pages */
	const char *name_at, *sha_at, *hook_url_at;
	void (*pull)(const json_t *pr, struct provider_pull *out);
	struct provider_items statuses, runs;
	bool (*stands)(const struct provider_args *a, const json_t *answer);
};
json_t *provider_comment_body(const struct provider_args *a);
bool provider_hook_gone(enum provider_ask ask, int status, const char *body); /* done_already */

#endif
