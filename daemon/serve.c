/* paasd itself: wires the modules together; the only file that knows them all. */
#include "daemon/api/api.h"
#include "daemon/backup/backup.h"
#include "daemon/certs.h"
#include "daemon/commands.h"
#include "daemon/core/clock.h"
#include "daemon/core/fsx.h"
#include "daemon/core/pool.h"
#include "daemon/core/service.h"
#include "daemon/core/xlog.h"
#include "daemon/cron/cron.h"
#include "daemon/dev.h"
#include "daemon/pg/transfer.h"
#include "daemon/pipeline/pipeline.h"
#include "daemon/provider/provider.h"
#include "daemon/release/autodeploy.h"
#include "daemon/pg/pg.h"
#include "daemon/pg/tunnel.h"
#include "daemon/review/review.h"
#include "daemon/release/push.h"
#include "daemon/release/tarballs.h"
#include "daemon/svc/svc.h"
#include "daemon/setup/setup.h"
#include "proto/limits.h"

#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct paasd {
	struct config cfg;
	struct loop *loop;
	int lock_fd;
	struct master_key *key;
	struct store *store;
	struct logd *log;
	struct dev_watch *watch;
	struct launcher *launcher;
	struct slugs *slugs;
	struct builds *builds;
	struct routes *routes;
	struct cert_desk *certs;
	struct releases *releases;
	struct svcs *svcs;
	struct cron *cron;
	struct addons *addons;
	struct pg_transfers *transfers;
	struct pg *pg;
	struct pg_tunnels *tunnels;
	struct git *git;
	struct out *out;
	struct drains *drains;
	struct hooks *hooks;
	struct providers *providers;
	struct autodeploys *autodeploys;
	struct api *api;
	struct http_server *http;
	struct pusher pusher;
	struct promoter promoter;
	struct tarballs *tarballs;
	struct setups *setups;
	struct reviews *reviews;
	struct backup_desk *desk;
	struct thread *tidier;
	uv_signal_t sigs[2];
	bool stopping;
	int exit_status;
};
static void raise_file_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* --- git callbacks --- */

static int op_login(void *arg, const char *token, char user_id[37], char email[256],
		    struct err *err)
{
	struct paasd *p = arg;

	return api_git_login(p->store, token, user_id, email, err);
}

static int op_app(void *arg, const char *user_id, const char *name, bool write, char app_id[37],
		  struct err *err)
{
	struct paasd *p = arg;

	return api_git_app(p->store, user_id, name, write, app_id, err);
}

static int op_build(void *arg, const struct git_update *u, struct git_push *gp, void **token,
		    struct err *err)
{
	struct paasd *p = arg;

	return push_build(&p->pusher, u, gp, token, err);
}

static void op_after(void *arg, const struct git_update *u, struct git_push *gp, void *token)
{
	struct paasd *p = arg;

	push_after(&p->pusher, u, gp, token);
}

static void op_undo(void *arg, void *token)
{
	struct paasd *p = arg;

	push_undo(&p->pusher, token);
}

static int repo_ref(void *arg, const char *app_id, const char *ref, char commit[41])
{
	struct paasd *p = arg;
	char path[4096];
	git_repository *repo = NULL;
	git_oid oid;
	int rc;

	git_repo_path(p->git, app_id, path);
	if (git_repository_open_bare(&repo, path) < 0)
		return -1;
	rc = git_reference_name_to_id(&oid, repo, ref);
	if (rc == 0)
		git_oid_tostr(commit, 41, &oid);
	git_repository_free(repo);
	return rc < 0 ? -1 : 0;
}

/* --- setups make and remove apps as the API does --- */

static int op_create_app(void *arg, const char *user_id, const char *name, api_app_also *also,
			 void *also_arg, struct err *err)
{
	struct paasd *p = arg;

	return api_app_create(p->api, user_id, name, also, also_arg, err);
}

static int op_destroy_app(void *arg, const char *user_id, const char *app_id, struct err *err)
{
	struct paasd *p = arg;

	return api_app_destroy(p->api, user_id, app_id, err);
}

static int op_pipeline(void *arg, const char *user_id, const char *name, bool write, char id[37],
		       struct err *err)
{
	struct paasd *p = arg;

	return api_git_pipeline(p->store, user_id, name, write, id, err);
}

static void op_review(void *arg, const struct git_update *u, struct git_push *gp)
{
	struct paasd *p = arg;

	review_pushed(p->reviews, u, gp);
}

static int open_setups(struct paasd *p, struct err *err)
{
	const struct setups_deps deps = {.cfg = &p->cfg,
					 .store = p->store,
					 .log = p->log,
					 .releases = p->releases,
					 .builds = p->builds,
					 .pusher = &p->pusher,
					 .addons = p->addons,
					 .ops = {p, op_create_app, op_destroy_app}};

	return setups_open(&deps, &p->setups, err);
}

static int open_reviews(struct paasd *p, struct err *err)
{
	const struct reviews_deps deps = {.cfg = &p->cfg,
					  .store = p->store,
					  .log = p->log,
					  .releases = p->releases,
					  .setups = p->setups,
					  .providers = p->providers,
					  .git = p->git};

	return reviews_open(&deps, &p->reviews, err);
}

/* --- start --- */

static int open_store(struct paasd *p, struct err *err)
{
	AUTO(auto_str) char *lock = xasprintf("%s/paasd.lock", p->cfg.state_dir);
	AUTO(auto_str) char *key = xasprintf("%s/master.key", p->cfg.state_dir);
	AUTO(auto_str) char *db = xasprintf("%s/paasd.db", p->cfg.state_dir);

	p->lock_fd = fs_lock(lock, err);
	if (p->lock_fd < 0)
		return err_wrap(err, "another paasd runs with this state directory");
	if (backup_restore_pending(p->cfg.state_dir, err) < 0)
		return -1;
	if (master_key_load(key, &p->key, err) < 0 || store_open(db, p->key, &p->store, err) < 0)
		return -1;
	return api_first_start(p->store, &p->cfg, err);
}
static int start_children(struct paasd *p, struct err *err)
{
	char **dirs = paasd_shown_dirs(&p->cfg);
	int rc = dev_start(&p->cfg, dirs, err);

	if (rc == 0)
		rc = dev_watch_start(&p->cfg, dirs, &p->watch, err);
	paasd_free_dirs(dirs);
	return rc;
}
static int op_add_addon(void *arg, const char *app_id, const char *user_id, const char *user_email,
			const char *plan, struct err *err)
{
	struct paasd *p = arg;
	struct addon_new in = {.by = {user_id, user_email}, .app_id = app_id, .plan = plan};
	struct store_addon made = {0};
	int rc = addon_create(p->addons, &in, &made, err);

	store_addon_clear(&made);
	return rc;
}

static int open_addons(struct paasd *p, struct err *err)
{
	const struct addons_deps deps = {.cfg = &p->cfg,
					 .store = p->store,
					 .log = p->log,
					 .releases = p->releases,
					 .svcs = p->svcs,
					 .out = p->out,
					 .drains = p->drains};

	return addons_open(&deps, &p->addons, err);
}

static int open_transfers(struct paasd *p, struct err *err)
{
	const struct pg_transfers_deps deps = {&p->cfg, p->store, pg_place_of_addons(p->addons),
					       p->launcher, p->svcs};

	return pg_transfers_open(&deps, &p->transfers, err);
}

static void open_pg(struct paasd *p)
{
	const struct pg_deps deps = {
		.cfg = &p->cfg, .store = p->store, .log = p->log, .addons = p->addons};

	p->pg = pg_new(&deps);
	p->tunnels = pg_tunnels_new(p->loop);
}

static int open_modules(struct paasd *p, struct err *err)
{
	AUTO(auto_str) char *logs = xasprintf("%s/logs", p->cfg.state_dir);
	AUTO(auto_str) char *log_sock = xasprintf("%s/log.sock", p->cfg.run_dir);
	const struct git_ops ops = {p,	      op_login, op_app,	     op_build,
				    op_after, op_undo,	op_pipeline, op_review};

	if (fs_mkdirs(logs, 0700, err) < 0 || logd_start(logs, log_sock, &p->log, err) < 0)
		return -1;
	logd_keep(p->log, (int)p->cfg.log_history_lines);
	/* At once: from here on what they have not read yet is kept for them. */
	if (out_start(&p->cfg, &p->out, err) < 0 ||
	    drains_start(&p->cfg, p->out, p->store, p->log, &p->drains, err) < 0 ||
	    hooks_start(p->out, p->store, &p->hooks, err) < 0)
		return -1;
	if (p->cfg.dev && start_children(p, err) < 0)
		return -1;
	if (launcher_open(p->cfg.run_dir, &p->launcher, err) < 0)
		return err_wrap(err, "the launcher does not answer");
	p->slugs = slugs_open(p->cfg.state_dir);
	if (builds_open(&p->cfg, p->launcher, p->slugs, &p->builds, err) < 0 ||
	    builds_sweep(p->builds, err) < 0 || git_open(&p->cfg, &ops, &p->git, err) < 0 ||
	    git_sweep(p->git, err) < 0)
		return -1;
	p->routes = routes_new(p->loop, p->cfg.run_dir);
	if (cert_desk_open(p->loop, &p->cfg, p->key, p->store, p->routes, &p->certs, err) < 0)
		return -1;
	if (releases_new(p->loop, &p->cfg, p->store, p->log, p->routes, p->slugs, p->launcher,
			 &p->releases, err) < 0 ||
	    svcs_new(p->loop, &p->cfg, p->store, p->log, p->launcher, releases_dynos(p->releases),
		     &p->svcs, err) < 0)
		return -1;
	p->cron = cron_new_on(p->loop, p->store, p->log, p->releases);
	if (open_addons(p, err) < 0 || open_transfers(p, err) < 0)
		return -1;
	open_pg(p);
	p->pusher = (struct pusher){&p->cfg,   p->store, p->log,       p->releases,
				    p->builds, p->slugs, op_add_addon, p};
	if (providers_start(&p->cfg, p->out, p->store, &p->providers, err) < 0)
		return -1;
	p->autodeploys = autodeploys_new(&p->pusher, p->git, p->providers);
	p->tarballs = tarballs_new(&p->pusher);
	p->promoter = (struct promoter){p->store, p->releases, p->log};
	if (open_setups(p, err) < 0 || open_reviews(p, err) < 0)
		return -1;
	push_sweep_slugs(&p->pusher);
	return 0;
}

static void tell_runtime(const struct paasd *p)
{
	const struct launcher_info *i = launcher_info(p->launcher);

	xlog(XLOG_INFO, "main", "msg=runtime runtime=%s limits=%s", i->runtime, i->limits);
	for (int k = 0; k < i->nnotes; k++)
		xlog(XLOG_WARN, "main", "msg=%s", xlog_q(i->notes[k]));
	if (strcmp(i->runtime, "plain") == 0)
		xlog(XLOG_WARN, "main",
		     "msg=\"NO ISOLATION: apps run as this user, see each other's files and "
		     "processes. Run paasd as "
		     "root for sandboxes.\"");
}

/* --- stop --- */

static void all_ended(void *arg)
{
	struct paasd *p = arg;

	dev_watch_stop(STEAL(p->watch));
	cert_desk_stop(p->certs);
	if (p->cfg.dev && !p->cfg.keep_dynos)
		routes_quit(p->routes, 2000);
	loop_stop(p->loop);
}

/* As a service the apps outlive paasd; from a checkout they end with it unless told otherwise. */
static bool keeps(const struct paasd *p)
{
	return !p->cfg.dev || p->cfg.keep_dynos;
}

static void services_told(void *arg)
{
	struct paasd *p = arg;

	releases_stop(p->releases, keeps(p), all_ended, p);
}

static void cron_stopped(void *arg)
{
	struct paasd *p = arg;

	svcs_stop(p->svcs, keeps(p), services_told, p);
}

static void http_stopped(void *arg)
{
	struct paasd *p = arg;

	cron_stop(p->cron, cron_stopped, p);
}

static void begin_stop(struct paasd *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	reviews_stop(p->reviews);
	setups_stop(p->setups);
	autodeploys_stop(p->autodeploys);
	builds_stop(p->builds); /* so that pushes end */
	pg_transfers_stop(p->transfers);
	pg_stop(p->pg);
	addons_stop(p->addons);
	api_logs_stop(p->api);
	backup_desk_stop(p->desk);
	http_server_stop(p->http, 5000, http_stopped, p);
}

static void on_signal(uv_signal_t *h, int signum)
{
	xlog(XLOG_INFO, "main", "msg=stopping signal=%d", signum);
	begin_stop(h->data);
}

/* --- ready --- */

static void open_api(struct paasd *p)
{
	const struct api_deps deps = {
		.loop = p->loop,
		.cfg = &p->cfg,
		.store = p->store,
		.log = p->log,
		.launcher = p->launcher,
		.releases = p->releases,
		.cron = p->cron,
		.addons = p->addons,
		.svcs = p->svcs,
		.transfers = p->transfers,
		.tunnels = p->tunnels,
		.builds = p->builds,
		.slugs = p->slugs,
		.git = p->git,
		.drains = p->drains,
		.hooks = p->hooks,
		.providers = p->providers,
		.autodeploys = p->autodeploys,
		.pusher = &p->pusher,
		.promoter = &p->promoter,
		.tarballs = p->tarballs,
		.setups = p->setups,
		.reviews = p->reviews,
		.tls = cert_desk_source(p->certs),
	};

	p->api = api_new(&deps);
	p->http = http_server_new(p->loop, api_handle, p->api);
}

static void print_ready(struct paasd *p)
{
	const struct config *c = &p->cfg;

	if (c->dev)
		printf("ready http://%s:%d\n", c->platform_host, config_port(c));
	else
		printf("ready\n");
	if (c->dev)
		cert_desk_tell(p->certs);
	fflush(stdout);
}

static void sweep_slugs(void *arg)
{
	struct paasd *p = arg;

	push_sweep_slugs(&p->pusher);
}

static int open_desk(struct paasd *p, struct err *err)
{
	const struct backup_platform f = {.cfg = &p->cfg,
					  .key = p->key,
					  .live = true,
					  .store = p->store,
					  .slugs = p->slugs,
					  .git = p->git,
					  .svcs = p->svcs,
					  .addons = p->addons,
					  .launcher = p->launcher,
					  .done = sweep_slugs,
					  .arg = p};

	return backup_desk_open(&f, &p->desk, err);
}

static void listen_api(void *arg)
{
	struct paasd *p = arg;
	AUTO(auto_str) char *sock = xasprintf("%s/api.sock", p->cfg.run_dir);
	AUTO(auto_str) char *where = xasprintf("unix:%s", sock);
	struct err err = {0};

	if (p->stopping)
		return;
	if (http_server_listen(p->http, where, NULL, &err) < 0 || open_desk(p, &err) < 0) {
		p->exit_status = paasd_fail(&err);
		begin_stop(p);
		return;
	}
	xlog(XLOG_INFO, "main", "msg=ready");
	print_ready(p);
	service_ready();
}

/* Interrupted pushes and destroys, before the API takes new ones; apps are served meanwhile. */
static void tidy(void *arg)
{
	struct paasd *p = arg;
	struct err err = {0};

	if (push_recover(&p->pusher, repo_ref, p, &err) < 0 ||
	    promotions_recover(&p->promoter, &err) < 0 || api_finish_destroys(p->api, &err) < 0 ||
	    api_uploads_start(p->api, &err) < 0)
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"not everything could be taken up\"");
	addons_start(p->addons);
	pg_transfers_start(p->transfers);
	err = (struct err){0};
	if (setups_start(p->setups, &err) < 0)
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"not all setups could be taken up\"");
	err = (struct err){0};
	if (reviews_start(p->reviews, &err) < 0)
		xlog_err(XLOG_ERROR, "main", &err, "msg=\"review apps could not be taken up\"");
	providers_run(p->providers); /* what they find goes on from what was taken up */
	loop_post(p->loop, listen_api, p);
}

static void on_recovered(void *arg)
{
	struct paasd *p = arg;

	cron_start(p->cron);
	p->tidier = thread_new("tidy", tidy, p);
}

static void watch_signals(struct paasd *p)
{
	static const int nums[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < ARRAY_LEN(nums); i++) {
		uv_signal_init(loop_uv(p->loop), &p->sigs[i]);
		p->sigs[i].data = p;
		uv_signal_start(&p->sigs[i], on_signal, nums[i]);
	}
}

static struct dyno_release *service_release(const char *id, const char *release_id, void *arg)
{
	struct paasd *p = arg;

	return svcs_release_of(p->svcs, id, release_id);
}

static void start_services(void *arg)
{
	struct paasd *p = arg;

	svcs_start(p->svcs);
}

static void boot(void *arg)
{
	struct paasd *p = arg;
	AUTO(auto_str) char *sock = xasprintf("%s/api.sock", p->cfg.run_dir);
	const char *hosts[] = {p->cfg.platform_host, "127.0.0.1", "[::1]", NULL};
	const struct release_services services = {service_release, start_services, p};

	watch_signals(p);
	/* Part of the first table: the router holds requests to a socket that is not there yet, but
	 * answers 404 to hosts that it does not know. */
	routes_platform(p->routes, hosts, sock);
	cert_desk_start(p->certs);
	releases_with_services(p->releases, &services);
	releases_recover(p->releases, on_recovered, p);
}

static void close_all(struct paasd *p)
{
	dev_watch_stop(STEAL(p->watch));
	thread_join(p->tidier);
	backup_desk_close(p->desk);
	if (p->http)
		http_server_free(p->http);
	providers_stop(p->providers);
	autodeploys_free(p->autodeploys);
	git_close(p->git);
	reviews_wait(p->reviews); /* they use setups, whose ends they are told of */
	setups_free(p->setups);
	reviews_free(p->reviews);
	api_free(p->api);
	tarballs_free(p->tarballs);
	cron_free(p->cron);
	pg_transfers_free(p->transfers);
	pg_free(p->pg);
	pg_tunnels_free(p->tunnels);
	addons_free(p->addons);
	releases_free(p->releases);
	svcs_free(p->svcs);
	cert_desk_free(p->certs);
	routes_free(p->routes);
	builds_close(p->builds);
	if (p->launcher && p->cfg.dev && !p->cfg.keep_dynos) {
		struct err err = {0};

		if (launcher_shutdown(p->launcher, true, &err) < 0)
			xlog_err(XLOG_ERROR, "main", &err,
				 "msg=\"the launcher did not shut down\"");
		dev_wait_gone(&p->cfg);
	}
	launcher_close(p->launcher);
	slugs_free(p->slugs);
	drains_stop(p->drains);
	hooks_stop(p->hooks);
	out_stop(p->out);
	logd_stop(p->log);
	drains_free(p->drains);
	hooks_free(p->hooks);
	providers_free(p->providers);
	out_free(p->out);
	store_close(p->store);
	master_key_free(p->key);
	loop_free(p->loop);
}

static int serve(struct paasd *p)
{
	struct err err = {0};

	p->loop = loop_new("control");
	if (paasd_dirs(&p->cfg, &err) < 0 || open_store(p, &err) < 0 || open_modules(p, &err) < 0)
		return paasd_fail(&err);
	tell_runtime(p);
	open_api(p);
	loop_post(p->loop, boot, p);
	loop_run(p->loop);
	close_all(p);
	return p->exit_status;
}

static enum xlog_level level_of(const char *name)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum xlog_level)i;
	return XLOG_INFO;
}

int cmd_serve(int argc, char **argv)
{
	static struct paasd p;
	struct err err = {0};
	int rc;

	config_init(&p.cfg);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (paasd_options(&p.cfg, argc, argv, &err) < 0)
		return paasd_fail(&err);
	xlog_setup("paasd", level_of(p.cfg.log_level), true);
	if (p.cfg.dev && getenv("PAASD_CLOCK_AHEAD_MS")) /* of tests: the next minute is near */
		clock_shift(atoll(getenv("PAASD_CLOCK_AHEAD_MS")));
	raise_file_limit();
	rc = serve(&p);
	config_clear(&p.cfg);
	return rc;
}
