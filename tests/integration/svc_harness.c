/* Services without the rest of paasd, for test_svc.py: --run DIR --state DIR, then one command a
 * line on stdin, one JSON answer a line on stdout. Killed, it is a paasd that was killed.
 *
 *   ensure ADDON|- KIND HOME PORT MEMORY FILE CONTENT PROGRAM [ARGUMENT]...
 *   find ADDON|- KIND     wait ID MS     restart ID     remove ID     usage ID
 *   addon NAME            makes an app, a user and an add-on: its id
 *   forget ADDON          drops that row
 *   stop keep|end         and exits */
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "daemon/log/log.h"
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/user.h"
#include "daemon/svc/svc.h"

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct harness {
	struct config cfg;
	struct loop *loop;
	struct store *store;
	struct master_key *key;
	struct logd *log;
	struct launcher *la;
	struct dynos *dynos;
	struct svcs *svcs;
	bool keep;
};

static void say(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(o);
}

static void say_err(const struct err *e)
{
	say(json_pack("{s:s, s:s}", "error", e->id, "message", e->msg));
}

static void say_info(int rc, const struct svc_info *i, const struct err *e)
{
	static const char *const states[] = {"starting", "up", "down"};

	if (rc < 0)
		say_err(e);
	else
		say(json_pack("{s:s, s:s, s:i, s:s, s:i}", "id", i->id, "ip", i->ip, "port",
			      i->port, "state", states[i->state], "restarts", i->restarts));
}

/* --- the supervisor around it --- */

static void publish(const char *app_id, void (*done)(void *arg), void *done_arg, void *arg)
{
	if (done)
		done(done_arg);
}

static void drain(const char *dyno_id, void (*done)(void *arg), void *done_arg, void *arg)
{
	done(done_arg);
}

static void new_dynos(void *arg)
{
	struct harness *h = arg;
	const struct dynos_ops ops = {.publish = publish, .drain = drain, .arg = h};

	h->dynos = dynos_new(h->loop, &h->cfg, h->store, h->log, h->la, &ops);
}

static struct dyno_release *release_of(const char *id, const char *release_id, void *arg)
{
	struct harness *h = arg;

	return svcs_release_of(h->svcs, id, release_id);
}

static void adopted(void *arg)
{
	struct harness *h = arg;

	svcs_start(h->svcs);
	say(json_pack("{s:b}", "ready", 1));
}

static void adopt(void *arg)
{
	struct harness *h = arg;

	dynos_adopt(h->dynos, release_of, adopted, h);
}

static void all_ended(void *arg)
{
	struct harness *h = arg;

	loop_stop(h->loop);
}

static void told(void *arg)
{
	struct harness *h = arg;

	dynos_stop_all(h->dynos, h->keep, all_ended, h);
}

static void stop(void *arg)
{
	struct harness *h = arg;

	svcs_stop(h->svcs, h->keep, told, h);
}

/* --- rows --- */

struct addon_tx {
	const char *name;
	char id[37];
};

static int make_addon(struct tx *tx, void *arg, struct err *err)
{
	struct addon_tx *t = arg;
	AUTO(auto_str) char *mail = xasprintf("%s@example.com", t->name);
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_app_clear) struct store_app a = {0};
	AUTO(store_addon_clear) struct store_addon row = {0};
	struct store_addon_new in = {.name = t->name, .service = "x", .plan = "y"};

	if (store_user_create(tx, mail, NULL, NULL, false, &u, err) < 0 ||
	    store_app_create(tx, t->name, u.id, "heroku-22", &a, err) < 0)
		return -1;
	in.app_id = a.id;
	in.user_id = u.id;
	if (store_addon_insert(tx, &in, &row, err) < 0)
		return -1;
	memcpy(t->id, row.id, sizeof t->id);
	return 0;
}

static int drop_addon(struct tx *tx, void *arg, struct err *err)
{
	return store_addon_delete(tx, arg, err);
}

/* --- commands --- */

enum { WORDS = 32 };

static void do_ensure(struct harness *h, char **w, int n, struct err *err)
{
	const struct svc_file file = {w[6], w[7]};
	const char *argv[WORDS + 1] = {0};
	const struct svc_spec spec = {.kind = w[2],
				      .home = w[3],
				      .argv = argv,
				      .files = &file,
				      .nfiles = 1,
				      .port = atoi(w[4]),
				      .memory_mb = atoi(w[5])};
	struct svc_info i;

	for (int k = 8; k < n; k++)
		argv[k - 8] = w[k];
	say_info(svc_ensure(h->svcs, strcmp(w[1], "-") ? w[1] : NULL, &spec, &i, err), &i, err);
}

static void do_rows(struct harness *h, char **w, struct err *err)
{
	struct addon_tx t = {.name = w[1]};
	bool make = strcmp(w[0], "addon") == 0;
	int rc = make ? store_tx(h->store, make_addon, &t, err)
		      : store_tx(h->store, drop_addon, w[1], err);

	if (rc < 0)
		say_err(err);
	else
		say(json_pack("{s:s}", "id", make ? t.id : w[1]));
}

static void do_plain(struct harness *h, char **w, struct err *err)
{
	uint64_t bytes = 0;
	int rc = strcmp(w[0], "restart") == 0  ? svc_restart(h->svcs, w[1], err)
		 : strcmp(w[0], "remove") == 0 ? svc_remove(h->svcs, w[1], err)
					       : svc_disk_usage(h->svcs, w[1], &bytes, err);

	if (rc < 0)
		say_err(err);
	else
		say(json_pack("{s:I}", "bytes", (json_int_t)bytes));
}

/* False: the end. */
static bool command(struct harness *h, char **w, int n)
{
	struct err err = {0};
	struct svc_info i;

	if (n >= 9 && strcmp(w[0], "ensure") == 0) {
		do_ensure(h, w, n, &err);
	} else if (n == 3 && strcmp(w[0], "find") == 0) {
		say_info(svc_find(h->svcs, strcmp(w[1], "-") ? w[1] : NULL, w[2], &i, &err), &i,
			 &err);
	} else if (n == 3 && strcmp(w[0], "wait") == 0) {
		say_info(svc_wait(h->svcs, w[1], atoi(w[2]), &i, &err), &i, &err);
	} else if (n == 2 && (strcmp(w[0], "addon") == 0 || strcmp(w[0], "forget") == 0)) {
		do_rows(h, w, &err);
	} else if (n == 2 && strcmp(w[0], "stop") != 0) {
		do_plain(h, w, &err);
	} else {
		h->keep = n < 2 || strcmp(w[1], "keep") == 0;
		return false;
	}
	return true;
}

static void serve(struct harness *h)
{
	char line[8192], *w[WORDS];
	bool on = true;

	while (on && fgets(line, sizeof line, stdin)) {
		char *save = NULL;
		int n = 0;

		for (char *p = strtok_r(line, " \n", &save); p && n < WORDS;
		     p = strtok_r(NULL, " \n", &save))
			w[n++] = p;
		on = n > 0 && command(h, w, n);
	}
}

static int open_all(struct harness *h, struct err *err)
{
	AUTO(auto_str) char *db = xasprintf("%s/paasd.db", h->cfg.state_dir);
	AUTO(auto_str) char *key = xasprintf("%s/master.key", h->cfg.state_dir);
	AUTO(auto_str) char *logs = xasprintf("%s/logs", h->cfg.state_dir);
	AUTO(auto_str) char *sock = xasprintf("%s/log.sock", h->cfg.run_dir);

	if (fs_mkdirs(logs, 0700, err) < 0 || logd_start(logs, sock, &h->log, err) < 0 ||
	    master_key_load(key, &h->key, err) < 0 || store_open(db, h->key, &h->store, err) < 0 ||
	    launcher_open(h->cfg.run_dir, &h->la, err) < 0)
		return -1;
	h->loop = loop_new("control");
	loop_start_thread(h->loop);
	loop_call(h->loop, new_dynos, h);
	if (svcs_new(h->loop, &h->cfg, h->store, h->log, h->la, h->dynos, &h->svcs, err) < 0)
		return -1;
	loop_post(h->loop, adopt, h);
	return 0;
}

static int die(const struct err *e)
{
	fprintf(stderr, "svc_harness: %s\n", e->msg);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"run", 1, NULL, 'r'}, {"state", 1, NULL, 's'}, {0}};
	struct harness h = {0};
	struct err err = {0};
	int o;

	codec_init();
	xlog_setup("svc_harness", XLOG_INFO, true);
	signal(SIGPIPE, SIG_IGN);
	config_init(&h.cfg);
	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (config_set(&h.cfg, o == 'r' ? "run_dir" : "state_dir", optarg, &err) < 0)
			return die(&err);
	if (open_all(&h, &err) < 0)
		return die(&err);
	serve(&h);
	loop_post(h.loop, stop, &h);
	loop_join(h.loop);
	dynos_free(h.dynos);
	svcs_free(h.svcs);
	launcher_close(h.la);
	store_close(h.store);
	logd_stop(h.log);
	master_key_free(h.key);
	loop_free(h.loop);
	config_clear(&h.cfg);
	return 0;
}
