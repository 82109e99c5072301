/* route.h - publishes routes to paas-router and waits for its acknowledgements. Loop thread. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "daemon/core/loop.h"
#include "proto/routewire.h"

struct routes;

struct route_dyno {
	const char *id, *name, *ip;
	int port;
};
struct route_app {
	const char *app_id, *name;
	enum route_state state;
	const char *const *hosts;		   /* NULL-terminated */
	const char *error_page, *maintenance_page; /* URLs, or NULL */
	const struct route_dyno *dynos;
	int ndynos;
};

/* Connects to RUN/router.sock and stays connected (reconnects, resends all). done callbacks are
 * never called from within the call that names them, always on the loop, and always once, also by
 * routes_free. Nothing is sent before routes_ready. */
struct routes *routes_new(struct loop *l, const char *run_dir); /* also before the loop runs */
void routes_free(struct routes *r);
/* The router could not connect to a dyno (at most one call a second). */
void routes_on_dyno_fail(struct routes *r,
			 void (*fn)(void *arg, const char *app_id, const char *dyno_id), void *arg);
/* A request waits for an app that was set ROUTE_ASLEEP: to be set anew. */
void routes_on_wake(struct routes *r, void (*fn)(void *arg, const char *app_id), void *arg);
/* How long the app has had no request, into *idle_ms before done: 0 while one is open, -1 when
 * nobody can tell now. */
void routes_idle(struct routes *r, const char *app_id, int64_t *idle_ms, void (*done)(void *arg),
		 void *arg);
/* A TLS client wants a name that has a route: answer with routes_cert, soon. */
void routes_on_cert_ask(struct routes *r, void (*fn)(void *arg, const char *host), void *arg);
/* The certificate of host, PEM; NULL: it has none, the default it is. Lost when the router is away:
 * it asks again. */
void routes_cert(struct routes *r, const char *host, const char *cert, const char *key);
/* What TLS clients get that name no host, or one without a certificate; kept, and sent with the
 * table. */
void routes_default_cert(struct routes *r, const char *cert, const char *key);
/* Certificates of hosts have changed: the router shall ask anew for each. */
void routes_certs_changed(struct routes *r);
void routes_platform(struct routes *r, const char *const *hosts, const char *api_sock);
/* Keeps its own copy. done(arg) once all workers use it; also when the router is away (it will get
 * the table when it is back). NULL is fine. */
void routes_set(struct routes *r, const struct route_app *a, void (*done)(void *arg), void *arg);
void routes_del(struct routes *r, const char *app_id, void (*done)(void *arg), void *arg);
/* done(arg) when no request is in flight to the dyno, or after timeout_ms, or the router is away.
 */
void routes_drain(struct routes *r, const char *dyno_id, uint64_t timeout_ms,
		  void (*done)(void *arg), void *arg);
/* The initial table is complete: sent as BEGIN..END. Call once at start. */
void routes_ready(struct routes *r, void (*done)(void *arg), void *arg);
void routes_quit(struct routes *r, uint64_t timeout_ms);

#endif
