/* data.h - what the parts of the data API share (data.c): a database is an add-on, named by its id
 * or name. */
#ifndef API_DATA_H
#define API_DATA_H

#include "daemon/api/api_int.h"
#include "daemon/store/addon.h"

/* The add-on of that service that the path's first parameter names, with what the caller may do
 * with it: by its owner, or, for need up to NEED_OPERATE with any = true, by an app that has it
 * attached. q->app becomes its owner, for the audit. NOT_FOUND (resource "add_on"), FORBIDDEN. */
int api_data_find(struct api_req *q, const char *service, enum api_need need, bool any,
		  struct store_addon *out, struct err *err);
/* One that can be asked. Heroku's clients take 404 as "not yet provisioned". */
int api_data_ready(struct api_req *q, const char *service, enum api_need need, bool any,
		   struct store_addon *out, struct err *err);
/* addon_call() with the time that a request has. */
int api_data_ask(struct api_req *q, const struct store_addon *a, const char *verb, const json_t *in,
		 json_t **out, struct err *err);

/* Answers with a message; fmt has one %s for the name. */
int api_data_said(struct api_req *q, const char *fmt, const char *name);
/* A row of what `info` prints. */
void api_data_row(json_t *list, const char *name, char *owned);

#endif
