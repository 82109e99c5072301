/* paas-static - the platform's file server: what the static buildpack puts into a slug. */
#include "fileserver/serve.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define GRACE_MS 25000 /* the platform sends SIGKILL after 30 s */

static const char usage[] =
	"Usage: paas-static [--root DIR] [--config FILE] [--port PORT] [--host ADDRESS]\n"
	"                   [--access-log] [--check]\n"
	"\n"
	"Serves the files of a folder over HTTP.\n"
	"\n"
	"  --root DIR      the folder (default: \"root\" of the config; \".\" without one)\n"
	"  --config FILE   settings (default: static.json, if there is one)\n"
	"  --port PORT     default: $PORT, else 5000; 0 = any free one\n"
	"  --host ADDRESS  IPv4 address to listen on (default: 0.0.0.0)\n"
	"  --access-log    a line for each request on stdout\n"
	"  --check         read the settings, say what is wrong with them, and exit\n";

struct options {
	const char *root, *config, *port, *host;
	bool access_log, check;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"root", required_argument, NULL, 'r'}, {"config", required_argument, NULL, 'c'},
		{"port", required_argument, NULL, 'p'}, {"host", required_argument, NULL, 'h'},
		{"access-log", no_argument, NULL, 'a'}, {"check", no_argument, NULL, 'k'},
		{"help", no_argument, NULL, '?'},	{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 'c':
			o->config = optarg;
			break;
		case 'p':
			o->port = optarg;
			break;
		case 'h':
			o->host = optarg;
			break;
		case 'a':
			o->access_log = true;
			break;
		case 'k':
			o->check = true;
			break;
		default:
			return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

static int listen_on(const struct options *o, struct err *err)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t n = sizeof sa;
	AUTO(auto_fd) int fd = -1;
	char *end;
	long port = strtol(o->port, &end, 10);
	int on = 1, rc;

	if (end == o->port || *end || port < 0 || port > 65535)
		return err_set(err, ERR_CONFIG, "not a port: %s", o->port);
	if (inet_pton(AF_INET, o->host, &sa.sin_addr) != 1)
		return err_set(err, ERR_CONFIG, "not an IPv4 address: %s", o->host);
	sa.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 512) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return err_errno(err, "listening on %s:%s", o->host, o->port);
	printf("listening on %s:%d\n", o->host, ntohs(sa.sin_port));
	fflush(stdout);
	rc = fd;
	fd = -1;
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {.host = "0.0.0.0", .port = getenv("PORT")};
	AUTO(fsv_site_clear) struct fsv_site site = {.root_fd = -1};
	struct err err = {0};
	sigset_t set;
	int fd, rc;

	if (!o.port || !*o.port)
		o.port = "5000";
	if (parse_options(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* sendfile knows no MSG_NOSIGNAL */
	rc = fsv_site_load(&site, o.root, o.config, &err);
	if (rc == 0 && o.check)
		return 0;
	site.access_log |= o.access_log;
	fd = rc == 0 ? listen_on(&o, &err) : -1;
	if (fd >= 0)
		rc = fsv_serve(&site, fd, GRACE_MS, &err);
	if (rc == 0 && fd >= 0)
		return 0;
	fprintf(stderr, "paas-static: %s\n", err.msg);
	return 1;
}
