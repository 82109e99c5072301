/* build.h - turns a source tree into a slug with buildpacks, in sandboxes (docs/internals/build.md,
 * Dev Center: Buildpack API, Slug Compiler). One build an app at a time, a global limit; later ones
 * queue, the newest wins. Blocking: the caller's thread does the work. */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "daemon/core/config.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/slug/slug.h"
#include "daemon/store/store.h"

struct builds;

/* A source that is a tarball (of any compression; a folder that holds all else is left out). */
struct build_tarball {	      /* borrowed */
	int fd;		      /* of a file of ours, or -1: */
	const char *url;      /* downloaded, under the rules for URLs of users */
	const char *checksum; /* "SHA256:HEX" or HEX; NULL = not checked */
};
/* Whether it has one of the two forms. */
bool build_checksum_ok(const char *checksum);

struct build_req {
	char build_id[37]; /* row exists in the store, status pending */
	char app_id[37], app_name[32];
	unsigned app_uid;
	const char *commit;	       /* full id, or the version text of a tarball */
	char **config;		       /* NAME=value config vars */
	const struct launch_way *ways; /* services that it may open connections to */
	int nways;
	char **buildpacks; /* explicit list of URLs or names, NULL-terminated; NULL = detect */
	bool first_deploy; /* bin/release config_vars count */
	/* Fills dir with the source (checkout or tarball). */
	int (*export_source)(const char *dir, void (*say)(const char *line, void *arg),
			     void *say_arg, void *arg, struct err *err);
	void *export_arg;
	const struct build_tarball *tarball; /* in place of export_source; NULL = that */
	/* The caller goes on printing (-----> Launching...) with build_output_add(), and says when
	 * that is over with build_output_end(), also after a failure: until then the output is not
	 * done. So who has read all of it finds the build's end recorded. */
	bool keep_output_open;
	/* Output as it comes, raw bytes (also kept in STATE/builds/ID/output). Build thread. */
	void (*out)(const char *p, size_t n, void *arg);
	void *out_arg;
};

struct build_result { /* owned content; build_result_clear */
	char slug_id[37];
	uint64_t slug_bytes;
	struct proc_types types;    /* Procfile + defaults */
	char **buildpacks;	    /* used, as URL or name; remembered for the app when detected */
	char *language;		    /* buildpack_provided_description */
	char **config;		    /* NAME=value defaults of bin/release, first deploy only */
	char *release_command_note; /* " !     Release command declared: ..." or NULL */
	char **addons;		    /* of bin/release, first deploy only; NULL when none */
};
void build_result_clear(struct build_result *r);

int builds_open(const struct config *cfg, struct launcher *la, struct slugs *sl,
		struct builds **out, struct err *err);
/* Cancels what runs and takes no more; does not wait: the first thing when paasd stops. */
void builds_stop(struct builds *b);
void builds_close(struct builds *b); /* cancels what runs and waits for it */
/* For a build_run that a thread yet to start will make: from now on build_cancel finds it, and of
 * several the one announced last is the newest. */
void build_announce(struct builds *b, const char *build_id);
void build_retract(struct builds *b, const char *build_id); /* build_run was not called */
/* Blocks for the queue, then builds. -1: BUILD_FAILED, CANCELED (also superseded), TIMEOUT,
 * DISK_FULL, SLUG_TOO_LARGE; the user has been told on out. */
int build_run(struct builds *b, const struct build_req *req, struct build_result *res,
	      struct err *err);
bool build_cancel(struct builds *b, const char *build_id); /* any thread */
/* Output so far; *done = the build has ended. NOT_FOUND while it has not begun: build_output_wait()
 * waits for that too. Any thread but a loop. */
int build_output(struct builds *b, const char *build_id, uint64_t offset, struct buf *out,
		 bool *done, struct err *err);
/* Blocks until there is output beyond offset or the end (1), at most ms (0). */
int build_output_wait(struct builds *b, const char *build_id, uint64_t offset, int ms);
/* After a build_run with keep_output_open. Any thread. */
void build_output_add(struct builds *b, const char *build_id, const char *p, size_t n);
void build_output_end(struct builds *b, const char *build_id);
/* Folders of this host that the passed-through variables name (build.env): what the launcher must
 * be allowed to show to builds (--ro). NULL-terminated; owned, as are its strings. */
char **build_passed_dirs(const struct config *cfg);
int build_cache_purge(struct builds *b, const char *app_id, struct err *err);
int build_forget_app(struct builds *b, const char *app_id, struct err *err);
/* At start: removes folders of builds that did not end. */
int builds_sweep(struct builds *b, struct err *err);

#endif
