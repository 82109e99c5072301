/* appjson.h - app.json: strict reading of every key (Dev Center: app.json Schema), overrides of an
 * environment, and our own keys that Heroku ignores: healthchecks, cron (docs/app-json.md). Pure,
 * and so is what it uses of core: paasctl checks files with it. Any thread. */
#ifndef APPJSON_APPJSON_H
#define APPJSON_APPJSON_H

#include "proto/err.h"
#include "proto/limits.h"

#include <jansson.h>

#define APPJSON_BYTES LIM_APPJSON

struct appjson_problem {
	int line, column; /* from 1; 0 = of the whole file */
	char where[128];  /* "env.SECRET.generator"; "" = the file */
	char text[256];	  /* "must be \"secret\"" */
};
struct appjson_problems { /* owned content; in the order of the file */
	struct appjson_problem *v;
	int n;
};
void appjson_problems_clear(struct appjson_problems *p);
#define appjson_problems_clear_p appjson_problems_clear
/* "app.json:12:5: env.SECRET.generator must be \"secret\"" */
void appjson_problem_line(const struct appjson_problem *p, const char *file, char out[512]);

struct appjson_env {
	char *name, *description, *value; /* owned; value NULL = none */
	bool required, generate;	  /* generate: a secret of 64 hexadecimal digits */
};
struct appjson_addon {
	char *plan, *as; /* owned; as NULL = none */
	json_t *options; /* object of texts; NULL = none */
};
struct appjson_formation {
	char *type, *size; /* owned; size NULL = none */
	int quantity;
};
struct appjson_check { /* an extension: GET path, answered below 400 */
	char *path;    /* owned; "/up" */
	int timeout_s; /* of one attempt */
	int attempts, wait_s;
};
struct appjson_cron {				    /* an extension */
	char *command, *schedule, *timezone, *size; /* owned; timezone, size NULL = default */
	char *overlap, *missed;			    /* owned; as the scheduler's; NULL = default */
};
struct appjson { /* owned content; appjson_clear */
	char *name, *description, *website, *repository, *logo, *success_url, *stack, *image;
	char **keywords;				      /* NULL-terminated; NULL = none */
	char *postdeploy, *pr_predestroy, *test_setup, *test; /* scripts; NULL = none */
	struct appjson_env *env;
	struct appjson_addon *addons;
	struct appjson_formation *formation;
	struct appjson_check *checks; /* at most one, of type web */
	struct appjson_cron *cron;
	char **buildpacks; /* NULL-terminated; NULL = not given */
	int nenv, naddons, nformation, nchecks, ncron;
};
void appjson_clear(struct appjson *a);
#define appjson_clear_p appjson_clear

/* Reads the text as it counts in an environment ("review", "test", "production", NULL = none): its
 * keys take the place of those at the top, env is merged by name. The other environments are
 * checked, too. -1: *problems (may be NULL) has all that is wrong, at most LIM_APPJSON_PROBLEMS,
 * err the first. */
int appjson_parse(const char *text, size_t n, const char *environment, struct appjson *out,
		  struct appjson_problems *problems, struct err *err);

/* What is kept with a slug: {"healthchecks": [{path, timeout, attempts, wait}],
 * "cron": [{command, schedule, timezone, size, overlap, missed}]}, keys without a value left out.
 * Owned; NULL when there is neither. */
char *appjson_manifest(const struct appjson *a);
/* The way back: checks and cron of out, the rest stays empty. NULL and "" are fine. CORRUPT. */
int appjson_manifest_read(const char *manifest, struct appjson *out, struct err *err);
/* A push reads the extensions alone: what is wrong elsewhere in the file is not its concern.
 * *manifest as appjson_manifest; -1 when they cannot be used, as appjson_parse has it. */
int appjson_extensions(const char *text, size_t n, const char *environment, char **manifest,
		       struct appjson_problems *problems, struct err *err);

#endif
