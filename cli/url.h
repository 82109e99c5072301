/* url.h - the parts of http(s) URLs, and which of them belong to the platform. Pure. */
#ifndef CLI_URL_H
#define CLI_URL_H

#include "proto/auto.h"

struct cli_url {
	char scheme[8];
	char host[256]; /* lower case, without brackets */
	int port;	/* the scheme's own when none is written */
	bool port_given;
	char path[1024]; /* with its slash; "" when none */
};

bool cli_url_parse(const char *s, struct cli_url *out); /* http and https only */
bool cli_url_loopback(const struct cli_url *u);		/* localhost, *.localhost, 127.x, ::1 */
/* "host:port" as the netrc names it, brackets around IPv6. */
void cli_url_hostport(const struct cli_url *u, char out[300]);
/* App of a git remote's URL (http(s)://PLATFORM[:PORT]/NAME.git), in out (LIM_APP_NAME + 1 bytes).
 * Any loopback name is the same platform as any other. */
bool cli_url_app(const char *url, const struct cli_url *platform, char *out);

#endif
