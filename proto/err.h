/* err.h - errors as values, from the one table in errors.def. A failing function returns -1 and
 * fills *err; success leaves it alone. Whoever handles an error logs it, once. Any thread. */
#ifndef PROTO_ERR_H
#define PROTO_ERR_H

#include "proto/auto.h"

enum err_id {
	ERR_NONE,
#define ERR(name, status, exit_status, id) ERR_##name,
#include "proto/errors.def"
#undef ERR
	ERR_COUNT
};

struct err {		      /* plain value: copy it across threads, never free it */
	int status;	      /* HTTP status; 0 = no error */
	int code;	      /* enum err_id */
	const char *id;	      /* wire id, static storage */
	char msg[400];	      /* one line for people, no secrets */
	const char *resource; /* "app", "build" ... for 404s, static storage; or NULL */
};

/* Fills *e and returns -1. e may be NULL (the error is dropped). */
int err_set(struct err *e, enum err_id id, const char *fmt, ...) PRINTF(3, 4);
/* 404 with the API's `resource` key: "Couldn't find that <resource>." */
int err_not_found(struct err *e, const char *resource);
/* As err_set(e, ERR_IO, ...) with ": strerror(errno)" added; ENOSPC and EDQUOT become DISK_FULL. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Prefixes msg with the formatted text and ": ". Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* CLI exit status of a wire id (paasctl gets ids from the API); 1 when unknown. */
int err_exit_status(const char *id);
const char *err_wire_id(enum err_id id);
int err_http_status(enum err_id id);

#endif
