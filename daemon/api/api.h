/* api.h - the Platform API v3 over HTTP: one route table (routes.c), handlers per resource.
 * Requests are matched on the control loop and handled, blocking, on a pool of 8; log tails and
 * attached dynos stay on the loop. Heroku: Platform API reference; resources and errors as its
 * schema has them. */
#ifndef API_API_H
#define API_API_H

#include "daemon/addon/addon.h"
#include "daemon/build/build.h"
#include "daemon/drain/drain.h"
#include "daemon/git/git.h"
#include "daemon/hook/hook.h"
#include "daemon/http/server.h"
#include "daemon/log/log.h"
#include "daemon/release/release.h"
#include "daemon/store/app.h"
#include "daemon/review/review.h"
#include "daemon/tls/tls.h"

struct api_deps { /* all borrowed */
	struct loop *loop;
	const struct config *cfg;
	struct store *store;
	struct logd *log;
	struct launcher *launcher;
	struct releases *releases;
	struct cron *cron;
	struct addons *addons;
	struct builds *builds;
	struct slugs *slugs;
	struct git *git;
	struct pusher *pusher;
	struct promoter *promoter;
	struct tarballs *tarballs;
	struct reviews *reviews;
	struct tls_source *tls;
	struct drains *drains;
	struct hooks *hooks;
	struct svcs *svcs;
	struct pg_transfers *transfers;
	struct setups *setups;
	struct providers *providers;
	struct autodeploys *autodeploys;
	struct pg_tunnels *tunnels;
};

struct api;
struct api *api_new(const struct api_deps *deps);
void api_free(struct api *a); /* waits for running handlers */
/* Ends live tails of logs, which know no end of their own. Loop thread, before the server stops. */
void api_logs_stop(struct api *a);
/* The http_handler: git paths go to git, the rest to the route table. arg is the struct api. */
void api_handle(struct http_x *x, void *arg);
/* Files of uploads: swept now, and now and then. Blocking; before requests. */
int api_uploads_start(struct api *a, struct err *err);
/* First start: admin account, token in STATE/admin-token (0600). Blocking. */
int api_first_start(struct store *st, const struct config *cfg, struct err *err);
/* Who may push: the git module's login and app callbacks. */
int api_git_login(struct store *st, const char *token, char user_id[37], char email[256],
		  struct err *err);
int api_git_app(struct store *st, const char *user_id, const char *name, bool write,
		char app_id[37], struct err *err);
/* An app as POST /apps makes it (name NULL = made up) and DELETE destroys it, for parts of the
 * platform that do so by themselves. also: part of the transaction that makes its row; may run more
 * than once. Blocking. An app that is gone already is destroyed. */
typedef int api_app_also(struct tx *tx, const struct store_app *app, void *arg, struct err *err);
int api_app_create(struct api *a, const char *user_id, const char *name, api_app_also *also,
		   void *also_arg, struct err *err);
int api_app_destroy(struct api *a, const char *user_id, const char *app_id, struct err *err);
/* The same for a pipeline's own repository; write: who may deploy one of its apps. */
int api_git_pipeline(struct store *st, const char *user_id, const char *name, bool write,
		     char id[37], struct err *err);
/* Finishes destroying the apps that a crash left marked. Idempotent; blocking. */
int api_finish_destroys(struct api *a, struct err *err);
void api_print_docs(void);   /* docs/api.md on stdout, from the route table */
void api_print_routes(void); /* the table for tests, on stdout */

#endif
