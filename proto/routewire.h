/* routewire.h - paasd <-> paas-router, wire frames over the unix stream socket RUN/router.sock,
 * which the router serves (it outlives paasd). On connect paasd sends the whole table between BEGIN
 * and END; apps not named in between are gone at END. Then deltas. Every frame with R_SEQ is
 * answered by ROUTE_ACK once ALL workers use the new table: after it no new request goes to a
 * removed dyno. The router keeps the table in RUN/routes.snapshot and starts from it. */
#ifndef PROTO_ROUTEWIRE_H
#define PROTO_ROUTEWIRE_H

#include "proto/wire.h"

enum route_frame {
	ROUTE_BEGIN = 1,    /* R_SEQ */
	ROUTE_END = 2,	    /* R_SEQ */
	ROUTE_PLATFORM = 3, /* R_SEQ, R_HOST*, R_SOCKET: hosts of the platform itself */
	ROUTE_APP = 4,	 /* R_SEQ and the app's whole entry: R_APP_ID, R_APP_NAME, R_STATE, R_HOST*,
			    pages,   then for each dyno R_DYNO_ID, R_DYNO_NAME, R_DYNO_IP, R_DYNO_PORT
			    (ends it) */
	ROUTE_DEL = 5,	 /* R_SEQ, R_APP_ID */
	ROUTE_DRAIN = 6, /* R_SEQ, R_DYNO_ID, R_TIMEOUT_MS -> ROUTE_DRAINED when no request is in
			    flight to it (tunnels not counted) or the time is over */
	ROUTE_STATS = 7, /* -> ROUTE_INFO */
	ROUTE_QUIT = 8,	 /* finish what is in flight (R_TIMEOUT_MS), then exit */
	ROUTE_CERT = 9,	 /* R_HOST* (none: the default), R_CERT, R_KEY; without R_CERT: there is
			    none for these hosts, use the default. Sent unasked too. No R_SEQ. */
	ROUTE_CERT_DROP = 10, /* R_HOST*, none = all but the default: ask again when needed */
	ROUTE_IDLE_ASK = 11,  /* R_SEQ, R_APP_ID: how long has it had no request? -> ROUTE_IDLE */
	ROUTE_ACK = 32,	      /* R_SEQ */
	ROUTE_DRAINED = 33,   /* R_SEQ, R_LEFT requests still open */
	ROUTE_INFO = 34,      /* R_PID, R_LISTEN*, R_REQUESTS, R_DROPPED log lines */
	ROUTE_DYNO_FAIL =
		35, /* R_APP_ID, R_DYNO_ID: connect refused or timed out (at most one a second) */
	ROUTE_CERT_ASK = 36, /* R_HOST: a TLS client wants this host, which has a route ->
				ROUTE_CERT. A router that gets no answer uses the default. */
	ROUTE_WAKE = 37, /* R_APP_ID: a request waits for an app that is ROUTE_ASLEEP. Once for all
			    that wait, and again with each END while some wait and it sleeps. */
	ROUTE_IDLE = 38, /* R_SEQ, R_IDLE_MS since the end of the last request or tunnel of the app,
			    or since the router knows it; 0: one is open. Without: no such app. */
};

enum route_key {
	R_SEQ = 1,
	R_HOST = 2,
	R_SOCKET = 3,
	R_APP_ID = 4,
	R_APP_NAME = 5,
	R_STATE = 6, /* u64 enum route_state */
	R_DYNO_ID = 7,
	R_DYNO_NAME = 8,
	R_DYNO_IP = 9,
	R_DYNO_PORT = 10,
	R_TIMEOUT_MS = 11,
	R_LEFT = 12,
	R_PID = 13,
	R_LISTEN = 14,
	R_REQUESTS = 15,
	R_DROPPED = 16,
	R_ERROR_PAGE = 17,	 /* str URL, of an app: shown in place of our page of an error */
	R_CERT = 18,		 /* str PEM chain, leaf first */
	R_KEY = 19,		 /* str PEM private key */
	R_MAINTENANCE_PAGE = 20, /* as R_ERROR_PAGE, of ROUTE_MAINTENANCE */
	R_IDLE_MS = 21,
};

/* What to do when the app has no dyno that is up. */
enum route_state {
	ROUTE_SERVING = 0,     /* dynos listed */
	ROUTE_BOOTING = 1,     /* hold requests up to LIM_ROUTE_QUEUE_MS, then H20 */
	ROUTE_CRASHED = 2,     /* H10 */
	ROUTE_NO_WEB = 3,      /* H14 */
	ROUTE_BLANK = 4,       /* H81: nothing deployed */
	ROUTE_MAINTENANCE = 5, /* H80, at=info */
	ROUTE_ASLEEP = 6,      /* as ROUTE_BOOTING, and paasd is told: ROUTE_WAKE */
};

#endif
