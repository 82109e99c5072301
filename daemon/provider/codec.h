/* codec.h - what GitHub, GitLab and Gitea (also Forgejo) say and want to be told, turned into and
 * made from one neutral form. Pure: bytes in, structs out; no I/O. Any thread. One table
 * (provider_codecs) holds the three.
 *
 * Documents: docs.github.com "Webhook events and payloads", "Validating webhook deliveries", REST:
 * repos, pulls, commits/statuses, checks/runs, deployments, issues/comments, repos/webhooks;
 * docs.gitlab.com "Webhooks", "Webhook events", REST: projects, merge_requests, branches, commits,
 * notes, project_webhooks; docs.gitea.com "Webhooks" and its API description (/swagger.v1.json). */
#ifndef PROVIDER_CODEC_H
#define PROVIDER_CODEC_H

#include "proto/buf.h"
#include "proto/err.h"

#include <jansson.h>

enum provider_kind { PROVIDER_GITHUB, PROVIDER_GITLAB, PROVIDER_GITEA, PROVIDER_KINDS };

/* --- what a delivery says --- */
enum provider_event_kind {
	PROVIDER_NOTHING,    /* of no interest: a label, a star, a ping */
	PROVIDER_PR_OPENED,  /* or reopened */
	PROVIDER_PR_UPDATED, /* new commits, another base or title */
	PROVIDER_PR_CLOSED,  /* or merged */
	PROVIDER_PUSH,	     /* a branch has moved, or is new */
	PROVIDER_BRANCH_DELETED,
	PROVIDER_CHECKS, /* the checks of a commit have moved */
};
/* NONE: a commit that nothing checks, or not yet. */
enum provider_ci {
	PROVIDER_CI_NONE,
	PROVIDER_CI_PENDING,
	PROVIDER_CI_SUCCESS,
	PROVIDER_CI_FAILURE
};

struct provider_event { /* owned content; provider_event_clear */
	enum provider_event_kind kind;
	int64_t number; /* of the pull or merge request; 0 = none */
	char *repo;	/* OWNER/NAME that the event is of; may be NULL */
	char *branch;	/* of the head; may be NULL for CHECKS */
	char *sha;	/* of the head, 40 lower hex; NULL when unknown (a deletion) */
	char *base;	/* branch that it is to be merged into; PR_* only */
	char *fork; /* OWNER/NAME of the head's repository when that is another; "" = one that is
		       gone */
	char *title, *author;
	bool merged;
	enum provider_ci ci; /* CHECKS: of this one check. What counts is PROVIDER_ASK_CHECKS. */
};
void provider_event_clear(struct provider_event *e);
#define provider_event_clear_p provider_event_clear

/* The value of a request's header by its lower-case name, or NULL. */
typedef const char *provider_header_fn(void *arg, const char *lower_name);

/* --- what is asked and told through the API --- */
enum provider_state {			/* of a deployment */
		      PROVIDER_PENDING, /* under way */
		      PROVIDER_SUCCESS,
		      PROVIDER_FAILURE,
		      PROVIDER_INACTIVE, /* it is gone */
};
extern const char *const provider_state_names[];

enum provider_ask {
	PROVIDER_ASK_REPO,	  /* -> full_name: exists, and the token is good for it */
	PROVIDER_ASK_PULLS,	  /* page -> pulls: open ones */
	PROVIDER_ASK_PULL,	  /* number -> pulls: that one, in any state */
	PROVIDER_ASK_BRANCH,	  /* branch -> sha */
	PROVIDER_ASK_STATUSES,	  /* sha, page -> checks */
	PROVIDER_ASK_CHECKS,	  /* sha, page -> checks; GitHub only: its other kind of checks */
	PROVIDER_ASK_DEPLOYMENTS, /* sha, environment -> id of the newest; GitHub only */
	PROVIDER_TELL_DEPLOYMENT, /* sha, environment, text -> id; GitHub only */
	PROVIDER_TELL_STATUS,	  /* id (GitHub) or sha; state, url, log_url, text, environment */
	PROVIDER_ASK_STATUS,   /* the same -> stands: that state is what was told last; not GitLab,
				* which refuses what it knows (done_already) */
	PROVIDER_ASK_COMMENTS, /* number, page, text: a mark in it -> id of the one that has it */
	PROVIDER_TELL_COMMENT, /* number, text -> id */
	PROVIDER_EDIT_COMMENT, /* number, id, text */
	PROVIDER_ASK_HOOKS,    /* page, url -> id of the one for that URL */
	PROVIDER_ADD_HOOK,     /* url, secret -> id */
	PROVIDER_DROP_HOOK,    /* id */
	PROVIDER_ASKS
};

struct provider_args {	      /* borrowed; what the ask above names */
	const char *base_url; /* https://github.com, without a slash at its end */
	const char *repo;     /* OWNER/NAME; a GitLab project may be in subgroups */
	int64_t number;
	int page; /* 1 ... */
	const char *branch, *sha, *environment, *id, *url, *log_url, *text, *secret;
	enum provider_state state;
};
struct provider_request { /* owned content; provider_request_clear */
	const char *method;
	char *url;
	char *body; /* JSON; NULL = none */
};
void provider_request_clear(struct provider_request *r);
#define provider_request_clear_p provider_request_clear

struct provider_pull { /* as provider_event has them; a fork of GitLab's is "projects/NUMBER" */
	int64_t number;
	bool open, merged;
	char *branch, *sha, *base, *fork, *title, *author;
};
struct provider_pulls {
	struct provider_pull *v; /* owned */
	int n;
};
void provider_pulls_clear(struct provider_pulls *l);
#define provider_pulls_clear_p provider_pulls_clear

/* Checks of a commit, counted; filled page by page. */
struct provider_checks {
	int pending, good, bad;
};
enum provider_ci provider_checks_result(const struct provider_checks *c);

struct provider_answer { /* owned content; provider_answer_clear */
	struct provider_pulls pulls;
	struct provider_checks checks;
	char *full_name, *sha;
	char id[64]; /* "" = none */
	bool stands; /* of ASK_STATUS */
	bool more;   /* the page was full: there may be another */
};
void provider_answer_clear(struct provider_answer *a);
#define provider_answer_clear_p provider_answer_clear

struct provider_dialect; /* codec_int.h */
struct provider_codec {
	const char *name;	 /* "github" */
	const char *title;	 /* "GitHub": for people */
	const char *default_url; /* NULL: there is none, the user says where */
	const char *pull_ref;	 /* "refs/pull/%lld/head" */
	const char *git_user;	 /* user name of https git that goes with a token */
	/* Is it signed with the secret (constant time)? delivery gets what tells it from others. */
	bool (*verify)(provider_header_fn *get, void *arg, const char *secret, const void *body,
		       size_t n, char delivery[129]);
	/* BAD_REQUEST: not what it says it is. */
	int (*parse)(provider_header_fn *get, void *arg, const json_t *body,
		     struct provider_event *out, struct err *err);
	/* The header with the token. */
	void (*authorise)(const char *token, struct buf *out);
	const char *accept; /* header line */
	/* A refusal that says that what was to be done has been. */
	bool (*done_already)(enum provider_ask ask, int status, const char *body);
	const struct provider_dialect *d;
};
extern const struct provider_codec *const provider_codecs[PROVIDER_KINDS];

/* By name, "forgejo" being gitea; NULL when there is none. */
const struct provider_codec *provider_codec_find(const char *name);
/* verify and parse, body being what was sent. UNAUTHORIZED: not signed; BAD_REQUEST;
 * UNSUPPORTED_TYPE: not JSON. e may be NOTHING. */
int provider_delivery_read(const struct provider_codec *c, provider_header_fn *get, void *arg,
			   const char *secret, const void *body, size_t n, char delivery[129],
			   struct provider_event *e, struct err *err);

/* False: there is no such thing at this provider, and nothing need be done. */
bool provider_request_make(const struct provider_codec *c, enum provider_ask ask,
			   const struct provider_args *a, struct provider_request *out);
/* Adds to out, so that pages come together. BAD_REQUEST: not what is documented. */
int provider_answer_read(const struct provider_codec *c, enum provider_ask ask,
			 const struct provider_args *a, const json_t *body,
			 struct provider_answer *out, struct err *err);

/* OWNER/NAME as providers allow it (GitLab: GROUP/SUBGROUP/NAME); URLs of a repository's page and
 * git are taken too: *out gets the plain form, owned. INVALID_PARAMS. */
int provider_full_name(const struct provider_codec *c, const char *text, char **out,
		       struct err *err);
/* A branch that git and URLs can take: INVALID_PARAMS. */
int provider_branch_ok(const char *branch, struct err *err);

#endif
