/* built.h - private to release: a build and the release that comes of it, whoever asked for them: a
 * push, or the builds API. Blocking throughout; one thread at a time. */
#ifndef RELEASE_BUILT_H
#define RELEASE_BUILT_H

#include "daemon/release/push.h"
#include "daemon/store/build.h"

/* Text for who waits, besides what is kept of the output; NULL = nobody does. */
struct built_ear {
	void (*say)(const char *p, size_t n, void *arg);
	void *arg;
};

struct built_new { /* borrowed */
	const char *app_id, *user_id, *user_email;
	struct store_build_new row; /* but for app, user, stack, buildpacks */
	/* in place of the app's own; not remembered as detected. NULL = the app's. */
	const char *const *buildpacks;
};

struct built {
	struct pusher *ps;
	struct build_result res;
	char build_id[37], app_id[37], user_id[37], app_name[32], stack[64];
	unsigned app_uid;
	char *user_email, *version; /* owned; version may be NULL */
	char **config;		    /* owned; NAME=value */
	char **buildpacks;	    /* owned; NULL = detect */
	struct launch_way *ways;    /* owned: services of its add-ons */
	int nways;
	char environment[16]; /* of app.json; "" = none */
	char *manifest;	      /* owned; of the slug's app.json; NULL = none */
	bool first;	      /* no slug has been released yet */
};
void built_free(struct built *t);
DEFINE_AUTO(struct built *, built_free)

/* The row, pending, and all that its build must know. */
int built_start(struct pusher *ps, const struct built_new *in, struct built **out, struct err *err);
/* req: source and the like; the rest is filled in here. The build's end is recorded; -1 with why,
 * which has been told. After 0 built_release or built_undo must follow. */
int built_run(struct built *t, struct build_req *req, struct err *err);
/* Releases it and waits until that is live (0) or has failed (-1 with why); ends the output. */
int built_release_live(struct built *t, const struct built_ear *ear, struct err *err);
/* The same, for whom the ear has heard enough. */
void built_release(struct built *t, const struct built_ear *ear);
/* Gives up what the build made. */
void built_undo(struct built *t, const char *why);
/* http://NAME.localhost:8080/ as users reach an app. */
void built_web_url(const struct config *cfg, const char *name, char *out, size_t cap);
/* As built_release, for a build of before a crash, without waiting: only ids need be set. */
int built_release_again(struct built *t, struct release_out *out, struct err *err);

#endif
