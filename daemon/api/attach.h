/* attach.h - tickets for attaching to a one-off dyno: a secret in the URL, good once, for 30 s. */
#ifndef API_ATTACH_H
#define API_ATTACH_H

struct api;
/* Any thread but the loop. secret gets 64 hex digits. */
void attach_ticket_new(struct api *a, const char *dyno_id, char secret[65]);
void attach_tickets_free(struct api *a); /* after the loop has ended */

#endif
