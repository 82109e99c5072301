/* tunnel.h - a client's upgraded connection to the platform, joined with a TCP connection to a
 * database (proto/tunnel.h). What may be reached is the caller's to check. */
#ifndef PG_TUNNEL_H
#define PG_TUNNEL_H

#include "daemon/core/loop.h"
#include "daemon/http/server.h"

struct pg_tunnels;
struct pg_tunnels *pg_tunnels_new(struct loop *l);
void pg_tunnels_free(struct pg_tunnels *t); /* after the loop has ended; NULL is fine */

/* Takes the exchange over when it returns 0: answers 101 once the database is connected to, else an
 * error. Any thread but the loop; looks the host up, blocking. UNAVAILABLE. */
int pg_tunnel_open(struct pg_tunnels *t, struct http_x *x, const char *user_id, const char *host,
		   int port, struct err *err);

#endif
