/* hostname.h - host names as people type them. Pure; any thread. */
#ifndef CORE_HOSTNAME_H
#define CORE_HOSTNAME_H

#include "proto/err.h"

/* A name in any script and case to what DNS and HTTP carry: "*.Bücher.example" to
 * "*.xn--bcher-kva.example" (IDNA 2008). INVALID_PARAMS: not a domain by name_domain, or not valid
 * IDNA; s is UTF-8. */
int hostname_normal(const char *s, char out[254], struct err *err);

#endif
