/* App setups: started, looked at. */
#include "daemon/api/setups.h"
#include "daemon/api/uploads.h"
#include "daemon/appjson/appjson.h"
#include "daemon/setup/setup.h"
#include "daemon/store/build.h"
#include "proto/limits.h"

#include <string.h>

static const struct api_field source_blob[] = {
	{"url", F_LINE, F_REQUIRED, .min = 1, .max = LIM_OUT_URL,
	 .text = "of a .tar.gz; of a git repository when it ends in .git or has a #ref"},
	{"checksum", F_LINE, .max = 80, .text = "SHA256:HEX"},
	{"version", F_LINE, .max = LIM_ANNOTATION, .text = "a commit, or any text"},
	{0},
};
/* locked, organization, personal, space: clients send them; there is nothing to choose. */
static const struct api_field app[] = {
	{"name", F_LINE, .min = 1, .text = "made up when absent"},
	{"region", F_REF},
	{"stack", F_REF},
	{"locked", F_ANY},
	{"organization", F_ANY},
	{"personal", F_ANY},
	{"space", F_ANY},
	{0},
};
static const struct api_field env_value = {.type = F_STRING, .max = LIM_CONFIG_VALUE};
static const struct api_field buildpack[] = {
	{"url", F_LINE, F_REQUIRED, .min = 1, .max = 1000},
	{"name", F_LINE, .max = 1000},
	{0},
};
static const struct api_field buildpack_item = {.type = F_OBJECT, .of = buildpack};
static const struct api_field overrides[] = {
	{"env", F_MAP, .max = LIM_CONFIG_VARS, .of = &env_value, .text = "over app.json's"},
	{"buildpacks", F_LIST, .max = LIM_BUILDPACKS, .of = &buildpack_item,
	 .text = "in place of app.json's"},
	{0},
};
const struct api_field api_fields_setup_create[] = {
	{"source_blob", F_OBJECT, F_REQUIRED, .of = source_blob},
	{"app", F_OBJECT, .of = app},
	{"overrides", F_OBJECT, .of = overrides},
	{"environment", F_LINE, .min = 1, .max = 20,
	 .text = "of app.json: review, test, production (an extension)"},
	{0},
};

struct setup_tx {
	struct api_req *q;
	const char *id;
	struct store_setup s;
	struct store_build b; /* id "" = none yet, or gone */
	unsigned perms;
};

static void setup_tx_clear(struct setup_tx *t)
{
	store_setup_clear(&t->s);
	store_build_clear(&t->b);
}

static int read_setup(struct tx *tx, void *arg, struct err *err)
{
	struct setup_tx *t = arg;
	struct err none = {0};

	setup_tx_clear(t);
	if (store_setup_get(tx, t->id, &t->s, err) < 0)
		return -1;
	if (t->s.build_id[0])
		store_build_get(tx, NULL, t->s.build_id, &t->b, &none);
	/* An app that is gone gives nobody a right. */
	if (store_app_access(tx, t->q->user.id, t->s.app_id, &t->perms, &none) < 0)
		t->perms = 0;
	return 0;
}

static json_t *build_ref(struct api_req *q, const struct store_build *b)
{
	AUTO(auto_str) char *url = NULL;

	if (!b->id[0])
		return json_null();
	url = api_public_url(q, "/streams/builds/%s/%s", b->id, b->output_secret);
	return json_pack("{s:s, s:s, s:s}", "id", b->id, "status", store_status_name(b->status),
			 "output_stream_url", url);
}

static json_t *postdeploy(const struct store_setup *s)
{
	if (!s->postdeploy_done || s->postdeploy_exit < 0)
		return json_null();
	return json_pack("{s:o, s:i}", "output", json_text(s->postdeploy_output), "exit_code",
			 s->postdeploy_exit);
}

static json_t *setup_json(struct api_req *q, const struct setup_tx *t)
{
	const struct store_setup *s = &t->s;
	json_t *errors = json_loads(s->manifest_errors, 0, NULL);

	return json_pack("{s:{s:s, s:s}, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:s, s:o}", "app", "id",
			 s->app_id, "name", s->app_name, "build", build_ref(q, &t->b), "created_at",
			 json_time(s->created_ms), "failure_message", json_str_or_null(s->failure),
			 "id", s->id, "manifest_errors", errors ? errors : json_array(),
			 "postdeploy", postdeploy(s), "resolved_success_url",
			 json_str_or_null(s->success_url), "status", store_status_name(s->status),
			 "updated_at", json_time(s->updated_ms));
}

static int answer(struct api_req *q, const char *id, int status, struct err *err)
{
	struct setup_tx t = {.q = q, .id = id};
	int rc = store_read(q->d->store, read_setup, &t, err);

	/* Whoever may not see it is told what those are who name one that is not there. */
	if (rc == 0 && strcmp(t.s.user_id, q->user.id) != 0 && !q->user.admin &&
	    !(t.perms & STORE_VIEW))
		rc = err_not_found(err, "app setup");
	if (rc == 0)
		api_ok(q, status, setup_json(q, &t));
	setup_tx_clear(&t);
	return rc;
}

int api_setups_info(struct api_req *q, struct err *err)
{
	return answer(q, q->params[0], 200, err);
}

/* --- started --- */

static int read_app(struct api_req *q, struct setup_new *in, struct err *err)
{
	const json_t *a = json_object_get(q->body, "app");
	const char *region = api_get_ref(a, "region"), *stack = api_get_ref(a, "stack");

	in->name = api_get_str(a, "name");
	if (region && !api_is_region(region))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Region %.40s does not exist here; this platform has us.", region);
	if (stack && !api_is_stack(q, stack))
		return err_set(err, ERR_INVALID_PARAMS,
			       "Stack %.40s does not exist here; this platform has %s.", stack,
			       q->d->cfg->stack);
	in->stack = stack ? q->d->cfg->stack : NULL;
	return 0;
}

static int read_overrides(struct api_req *q, struct setup_new *in, const char **urls,
			  struct err *err)
{
	const json_t *o = json_object_get(q->body, "overrides");
	const json_t *packs = json_object_get(o, "buildpacks");

	in->env = json_object_get(o, "env");
	for (size_t i = 0; i < json_array_size(packs); i++) {
		urls[i] = api_get_str(json_array_get(packs, i), "url");
		if (api_buildpack_check(urls[i], err) < 0)
			return -1;
	}
	in->buildpacks = packs ? urls : NULL;
	return 0;
}

static int check_environment(const char *environment, struct err *err)
{
	struct appjson none;

	if (appjson_parse("{}", 2, environment, &none, NULL, err) < 0)
		return -1;
	appjson_clear(&none);
	return 0;
}

/* An upload of ours by its file, anything else by its address. */
static json_t *read_source(struct api_req *q, struct setup_new *in, int *fd, struct err *err)
{
	const json_t *blob = json_object_get(q->body, "source_blob");
	const char *url = api_get_str(blob, "url"), *checksum = api_get_str(blob, "checksum");

	in->version = api_get_str(blob, "version");
	if (checksum && !build_checksum_ok(checksum)) {
		err_set(err, ERR_INVALID_PARAMS,
			"Parameter source_blob.checksum must be SHA256: and 64 hex digits.");
		return NULL;
	}
	if (api_source_open(q, url, fd, err) < 0)
		return NULL;
	in->file = *fd;
	if (*fd >= 0)
		return json_pack("{s:s, s:s*}", "kind", "file", "checksum", checksum);
	return setup_source_url(url, checksum, err);
}

int api_setups_create(struct api_req *q, struct err *err)
{
	const char *urls[LIM_BUILDPACKS + 1] = {NULL};
	struct setup_new in = {.user_id = q->user.id,
			       .user_email = q->user.email,
			       .environment = api_get_str(q->body, "environment"),
			       .file = -1};
	AUTO(json_decref) json_t *source = NULL;
	AUTO(auto_fd) int fd = -1;
	char id[37];

	if (read_app(q, &in, err) < 0 || read_overrides(q, &in, urls, err) < 0 ||
	    check_environment(in.environment, err) < 0)
		return -1;
	in.source = source = read_source(q, &in, &fd, err);
	if (!source || setup_start(q->d->setups, &in, id, err) < 0)
		return -1;
	api_audit(q, "app.setup", "%s", id);
	return answer(q, id, 202, err);
}
