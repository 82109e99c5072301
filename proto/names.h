/* names.h - the one grammar of names, checked at the edge. Rules are those of the Platform API
 * schema (app, formation) and of Dev Center: Config Vars. Pure; any thread. */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include "proto/err.h"

bool name_is_app(const char *s);	/* ^[a-z][a-z0-9-]{1,28}[a-z0-9]$ */
bool name_is_proc_type(const char *s);	/* ^[-\w]{1,128}$ */
bool name_is_config_key(const char *s); /* ^\w+$, not starting with a digit, at most 128 */
bool name_is_uuid(const char *s);
bool name_is_email(const char *s); /* plain check: one @, printable, at most 254 */
/* A host name that an app may have as a domain: letters, digits and hyphens, two labels or more,
 * the last one no number; "*." may lead. out gets it in lower case and without a dot at the end.
 * Names in other scripts must be A-labels already (daemon/core/hostname.h). INVALID_PARAMS says
 * what is wrong. */
int name_domain(const char *s, char out[254], struct err *err);
/* NS/NAME of a buildpack, as "heroku/nodejs": each of letters, digits, - and _, at most 64. */
bool name_is_registry(const char *s);
/* The URL under which clients know buildpacks of the registry: what they PUT for NS/NAME, and show
 * as NS/NAME. Owned. */
char *name_registry_url(const char *ns_name);
/* The way back: true, and NS/NAME in out, when url is such a URL. */
bool name_of_registry_url(const char *url, char out[130]);
/* host is parent, or below it: "a.b.c" of "b.c". Both normalised. */
bool name_is_below(const char *host, const char *parent);
/* "web.1" -> type, number. False when it is not TYPE.N. type has room for LIM_PROC_TYPE + 1. */
bool name_split_dyno(const char *s, char *type, int *num);
/* As name_is_*, with a message that says what is wrong and what is right. */
int name_check_app(const char *s, struct err *err);
int name_check_config(const char *key, const char *value, size_t value_len, struct err *err);

#endif
