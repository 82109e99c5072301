/* attach.h - tickets for attaching to a dyno: a secret in the URL, good once, for 30 s. */
#ifndef API_ATTACH_H
#define API_ATTACH_H

#include <stdbool.h>

struct api;
struct api_req;
/* rendezvous://HOST:PORT/SECRET for the dyno's terminal, by the host that the client used; owned.
 * tty: the dyno has a terminal (else a last 0x04 ends its input). Any thread but the loop. */
char *attach_url(struct api_req *q, const char *dyno_id, bool tty);
void attach_tickets_free(struct api *a); /* after the loop has ended */

#endif
