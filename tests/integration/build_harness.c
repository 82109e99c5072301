/* One build through the real launcher, for test_build.py. Settings and the request are arguments,
 * the output goes to stdout as it comes, the result as JSON to the file --result. Exit status: 0 =
 * built, 1 = failed (the result says why), 2 = usage.
 *
 *   build_harness --run DIR --state DIR --result FILE --app UUID --uid N --src DIR
 *       [--set KEY=VALUE]... [--pack TEXT]... [--config NAME=VALUE]... [--first] [--cancel-on TEXT]
 *       [--buildpacks DIR] [--libexec DIR] */
#include "daemon/build/build.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/buf.h"

#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MAX_LIST 64

struct harness {
	struct config cfg;
	struct build_req req;
	struct builds *builds;
	const char *result, *src, *cancel_on;
	char *packs[MAX_LIST + 1], *config[MAX_LIST + 1];
	int npacks, nconfig;
	struct buf seen; /* for --cancel-on */
};

static int export_source(const char *dir, void (*tell)(const char *line, void *arg), void *tell_arg,
			 void *arg, struct err *err)
{
	return fs_copytree(((struct harness *)arg)->src, dir, 0, err);
}

static void on_output(const char *p, size_t n, void *arg)
{
	struct harness *h = arg;

	fwrite(p, 1, n, stdout);
	fflush(stdout);
	if (!h->cancel_on)
		return;
	buf_add(&h->seen, p, n);
	if (memmem(buf_str(&h->seen), h->seen.len, h->cancel_on, strlen(h->cancel_on))) {
		h->cancel_on = NULL;
		build_cancel(h->builds, h->req.build_id);
	}
}

static json_t *types_json(const struct proc_types *t)
{
	json_t *o = json_object();

	for (int i = 0; i < t->n; i++)
		json_object_set_new(o, t->v[i].type, json_string(t->v[i].command));
	return o;
}

static json_t *list_json(char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++)
		json_array_append_new(a, json_string(*v));
	return a;
}

static void write_result(const struct harness *h, int rc, const struct build_result *r,
			 const struct slugs *sl, const struct launcher *la, const struct err *err)
{
	char path[PATH_MAX] = "";
	json_t *o;

	if (rc == 0)
		slug_path(sl, r->slug_id, path);
	o = json_pack("{s:b, s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:s}", "ok", rc == 0,
		      "error", rc == 0 ? "" : err->id, "message", rc == 0 ? "" : err->msg,
		      "build_id", h->req.build_id, "slug", path, "size", (json_int_t)r->slug_bytes,
		      "language", r->language ? r->language : "", "types", types_json(&r->types),
		      "buildpacks", list_json(r->buildpacks), "config", list_json(r->config),
		      "runtime", launcher_info(la)->runtime);
	if (!o || json_dump_file(o, h->result, JSON_INDENT(1)) < 0)
		abort();
	json_decref(o);
}

static int die(const struct err *err)
{
	fprintf(stderr, "build_harness: %s\n", err->msg);
	return 2;
}

static int set(struct harness *h, char *pair, struct err *err)
{
	char *eq = strchr(pair, '=');

	if (!eq)
		return err_set(err, ERR_INVALID_PARAMS, "--set KEY=VALUE");
	*eq = 0;
	return config_set(&h->cfg, pair, eq + 1, err);
}

static const struct option options[] = {
	{"run", 1, NULL, 'r'},	   {"state", 1, NULL, 's'},	{"result", 1, NULL, 'o'},
	{"app", 1, NULL, 'a'},	   {"uid", 1, NULL, 'u'},	{"src", 1, NULL, 'd'},
	{"set", 1, NULL, 'S'},	   {"pack", 1, NULL, 'p'},	{"config", 1, NULL, 'c'},
	{"first", 0, NULL, 'f'},   {"cancel-on", 1, NULL, 'x'}, {"buildpacks", 1, NULL, 'b'},
	{"libexec", 1, NULL, 'l'}, {NULL, 0, NULL, 0},
};

static int take_option(struct harness *h, int o, struct err *err)
{
	switch (o) {
	case 'r':
		return config_set(&h->cfg, "run_dir", optarg, err);
	case 's':
		return config_set(&h->cfg, "state_dir", optarg, err);
	case 'b':
		return config_set(&h->cfg, "buildpacks_dir", optarg, err);
	case 'l':
		return config_set(&h->cfg, "libexec_dir", optarg, err);
	case 'S':
		return set(h, optarg, err);
	case 'o':
		h->result = optarg;
		return 0;
	case 'a':
		snprintf(h->req.app_id, sizeof(h->req.app_id), "%s", optarg);
		return 0;
	case 'u':
		h->req.app_uid = (unsigned)atoi(optarg);
		return 0;
	case 'd':
		h->src = optarg;
		return 0;
	case 'p':
		h->packs[h->npacks++ % MAX_LIST] = optarg;
		return 0;
	case 'c':
		h->config[h->nconfig++ % MAX_LIST] = optarg;
		return 0;
	case 'f':
		h->req.first_deploy = true;
		return 0;
	case 'x':
		h->cancel_on = optarg;
		return 0;
	default:
		return err_set(err, ERR_INVALID_PARAMS, "unknown option");
	}
}

static int build(struct harness *h, struct err *err)
{
	struct launcher *la = NULL;
	struct slugs *sl = slugs_open(h->cfg.state_dir);
	struct build_result res = {0};
	int rc;

	if (launcher_open(h->cfg.run_dir, &la, err) < 0 ||
	    builds_open(&h->cfg, la, sl, &h->builds, err) < 0)
		return -1;
	if (builds_sweep(h->builds, err) < 0)
		return -1;
	rc = build_run(h->builds, &h->req, &res, err);
	write_result(h, rc, &res, sl, la, err);
	build_result_clear(&res);
	builds_close(h->builds);
	slugs_free(sl);
	launcher_close(la);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct harness h = {0};
	struct err err = {0};
	int o, rc;

	codec_init();
	xlog_setup("build_harness", XLOG_WARN, false);
	signal(SIGPIPE, SIG_IGN);
	config_init(&h.cfg);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (take_option(&h, o, &err) < 0)
			return die(&err);
	if (!h.result || !h.src || !h.req.app_id[0])
		return 2;
	uuid_new(h.req.build_id);
	snprintf(h.req.app_name, sizeof(h.req.app_name), "test-app");
	h.req.commit = "0123456789abcdef0123456789abcdef01234567";
	h.req.config = h.config;
	h.req.buildpacks = h.npacks ? h.packs : NULL;
	h.req.export_source = export_source;
	h.req.export_arg = &h;
	h.req.out = on_output;
	h.req.out_arg = &h;
	rc = build(&h, &err);
	buf_clear(&h.seen);
	config_clear(&h.cfg);
	return rc < 0 ? die(&err) : rc;
}
