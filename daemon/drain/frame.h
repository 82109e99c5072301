/* frame.h - log lines as drains get them: RFC 5424 messages, octet-counted (RFC 6587, 3.4.1); and
 * the URLs of drains. Pure; any thread. */
#ifndef DRAIN_FRAME_H
#define DRAIN_FRAME_H

#include "daemon/log/log.h"

/* "LEN <PRI>1 TIME TOKEN SOURCE PROC - - TEXT\n": streams of syslog. */
void frame_syslog(const struct log_line *l, const char *token, struct buf *out);
/* "LEN <PRI>1 TIME host SOURCE PROC - TEXT\n": bodies of application/logplex-1, which have no field
 * for structured data. */
void frame_logplex(const struct log_line *l, struct buf *out);
/* Facility and severity by where the line is from. */
int frame_pri(const struct log_line *l);
/* In place of lines that were dropped: text is for the caller to keep while the line is used. */
struct log_line frame_lost(const struct log_lost *lost, char text[160]);

enum drain_kind { DRAIN_TCP, DRAIN_TLS, DRAIN_HTTP, DRAIN_HTTPS };
struct drain_url {
	enum drain_kind kind;
	char *host; /* owned; no brackets */
	int port;
	char *user, *password; /* owned, decoded; NULL = none */
	char *bare;	       /* owned: without user and password */
};
void drain_url_clear(struct drain_url *u);
#define drain_url_clear_p drain_url_clear
/* INVALID_PARAMS saying what is wrong. */
int drain_url_parse(const char *text, struct drain_url *out, struct err *err);
/* What those see who may not see it all: "https://logs.example.com:8443/[hidden]". Owned. */
char *drain_url_hide(const char *text);

#endif
