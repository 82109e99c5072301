/* loginput.h - bodies of application/logplex-1 that come in: octet-counted syslog messages (RFC
 * 6587, 3.4.1; RFC 5424). Pure; any thread. */
#ifndef ADDON_LOGINPUT_H
#define ADDON_LOGINPUT_H

#include "daemon/core/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct loginput {	  /* borrowed of the body */
	char proc[61];	  /* PROCID; "" = none that can be shown */
	const char *text; /* without newlines at its end */
	size_t len;
};
/* The next message at *at of the body, which moves behind it. 1; 0 = the end; -1: it is none. */
int loginput_next(const char *body, size_t n, size_t *at, struct loginput *out);

#endif
