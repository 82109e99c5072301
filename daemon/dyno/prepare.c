/* What the launcher is asked for: dynos of apps, and services. */
#include "daemon/dyno/dyno_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* .profile.d in name order, then .profile, then the command: a failing script does not stop the
 * start (Dev Center: Dynos). $1 is the command, so that no quoting is needed. */
#define START_SCRIPT                                      \
	"cd \"$HOME\" || exit 1; shopt -s nullglob; "     \
	"for f in .profile.d/*.sh; do . \"./$f\"; done; " \
	"[ -f .profile ] && . ./.profile; shopt -u nullglob; exec bash -c \"$1\""

/* Under the plain runtime all dynos share the host's loopback: take a port that is free now. */
static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	AUTO(auto_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	return ntohs(a.sin_port);
}

static bool is_plain(const struct dynos *d)
{
	return strcmp(launcher_info(d->la)->runtime, "plain") == 0;
}

static void add_env(struct run *r)
{
	for (char **e = r->rel->env; e && *e; e++) {
		char *eq = strchr(*e, '=');
		AUTO(auto_str) char *name = xstrndup(*e, (size_t)(eq - *e));

		launch_spec_env(&r->spec, name, eq + 1);
	}
}

/* What is the same for dynos and services: who it is, its folders and its ways out. */
static void prepare_common(struct run *r)
{
	struct launch_spec *s = &r->spec;
	const struct dyno_release *rel = r->rel;
	const char *gateway = launcher_info(r->d->la)->gateway;
	bool plain = is_plain(r->d);
	char ip[16];

	memcpy(s->id, r->info.id, sizeof s->id);
	memcpy(s->app_id, r->info.app_id, sizeof s->app_id);
	snprintf(s->name, sizeof s->name, "%s", r->info.name);
	s->app_uid = rel->app_uid;
	s->release = xstrdup(r->info.release_id);
	s->net = true;
	s->log = true;
	for (int i = 0; i < rel->nbinds; i++)
		if (!plain || (rel->binds[i].flags & BIND_HOST))
			launch_spec_bind(s, rel->binds[i].src, rel->binds[i].dst,
					 rel->binds[i].flags);
	for (int i = 0; i < rel->nways && !plain; i++)
		if (launch_fixed_ip(gateway, rel->ways[i].address, ip))
			launch_spec_reach(s, ip, rel->ways[i].port);
	add_env(r);
}

enum { SERVICE_PIDS = 4096 };

static void prepare_service(struct run *r)
{
	struct launch_spec *s = &r->spec;
	const struct dyno_service *sv = r->rel->service;

	prepare_common(r);
	s->cwd = xstrdup(sv->cwd);
	s->address = sv->address;
	s->port = r->info.port = sv->port;
	s->mem_quota = s->mem_max = (uint64_t)sv->memory_mb << 20;
	s->pids_max = SERVICE_PIDS;
	s->cpu_weight = 100;
	s->metrics_ms = (unsigned)r->d->cfg->memory_sample_s * 1000;
	for (char **a = sv->argv; *a; a++)
		launch_spec_arg(s, *a);
}

void run_prepare(struct run *r)
{
	struct launch_spec *s = &r->spec;
	const struct config *cfg = r->d->cfg;
	const struct dyno_size *sz = dyno_size_find(r->info.size);
	int64_t mb = dyno_size_memory(sz, cfg);
	char num[24];

	if (r->rel->service) {
		prepare_service(r);
		return;
	}
	prepare_common(r);
	s->slug = xstrdup(r->rel->slug_dir);
	s->mem_quota = (uint64_t)mb << 20;
	s->mem_max = s->mem_quota * (uint64_t)cfg->dyno_memory_factor_pct / 100;
	s->pids_max = (uint64_t)(sz == &dyno_sizes[0] ? cfg->dyno_pids : sz->pids);
	s->cpu_weight = (unsigned)sz->cpu_weight;
	s->metrics_ms = (unsigned)cfg->memory_sample_s * 1000;
	launch_spec_env(s, "DYNO", r->info.name);
	launch_spec_env(s, "HEROKU_DYNO_ID", r->info.id);
	snprintf(num, sizeof num, "%lld", (long long)mb);
	launch_spec_env(s, "MEMORY_AVAILABLE", num);
	if (!r->oneoff || r->web) {
		/* Each sandbox has its own network: any port will do, a random one finds apps that
		 * ignore $PORT. */
		r->info.port = is_plain(r->d) ? free_port() : 10000 + (int)random_below(50000);
		snprintf(num, sizeof num, "%d", r->info.port);
		launch_spec_env(s, "PORT", num);
		if (r->web)
			s->port = r->info.port;
	}
	launch_spec_arg(s, "/bin/bash");
	launch_spec_arg(s, "-c");
	launch_spec_arg(s, START_SCRIPT);
	launch_spec_arg(s, "dyno");
	launch_spec_arg(s, r->info.command);
}
