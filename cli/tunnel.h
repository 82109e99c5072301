/* tunnel.h - programs of this machine reach a database of the platform through the platform's own
 * port: each connection to a local socket becomes an upgraded one (proto/tunnel.h). */
#ifndef CLI_TUNNEL_H
#define CLI_TUNNEL_H

#include "cli/cli.h"

#include <sys/types.h>

struct cli_tunnel;
/* Asks for a first connection, so that a refusal is told before anything is started. */
int cli_tunnel_open(struct cli *c, const char *addon, struct cli_tunnel **out, struct err *err);
void cli_tunnel_close(struct cli_tunnel *t); /* NULL is fine */
/* A unix socket for libpq in a folder of its own (0700, of mkdtemp, removed at the end). */
int cli_tunnel_listen_unix(struct cli_tunnel *t, struct err *err);
const char *cli_tunnel_dir(const struct cli_tunnel *t); /* also PGHOST, with port 5432 */
int cli_tunnel_listen_port(struct cli_tunnel *t, int port, struct err *err); /* on 127.0.0.1 */
/* Starts a program while signals are kept from us: its pid, -1 when there is none such. in, out:
 * its stdin and stdout, -1 = ours. */
pid_t cli_tunnel_spawn(struct cli_tunnel *t, const char *const *argv, char *const *env, int in,
		       int out, struct err *err);
/* Carries bytes until all that were spawned have ended, or with none of them until a signal.
 * *status is the first that is not 0. */
int cli_tunnel_run(struct cli_tunnel *t, int *status, struct err *err);

#endif
