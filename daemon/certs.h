/* certs.h - answers the router's questions for certificates; part of main. */
#ifndef CERTS_H
#define CERTS_H

#include "daemon/core/config.h"
#include "daemon/core/loop.h"
#include "daemon/route/route.h"
#include "daemon/store/store.h"
#include "daemon/tls/tls.h"

struct cert_desk;

/* Opens the source of certificates, gives the router its default (again every hour), answers what
 * it asks. All borrowed. Before the loop runs. */
int cert_desk_open(struct loop *l, const struct config *cfg, const struct master_key *key,
		   struct store *st, struct routes *ro, struct cert_desk **out, struct err *err);
struct tls_source *cert_desk_source(struct cert_desk *d);
void cert_desk_start(struct cert_desk *d); /* loop thread */
void cert_desk_stop(struct cert_desk *d);  /* loop thread: before the loop ends */
void cert_desk_free(struct cert_desk *d);  /* waits for what is under way; NULL is fine */
void cert_desk_tell(struct cert_desk *d);  /* how to trust the authority, on stdout */

#endif
