/* Formation and dynos. */
#include "daemon/api/api_int.h"
#include "daemon/api/attach.h"
#include "daemon/store/dyno.h"
#include "daemon/store/release.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- formation --- */

static json_t *formation_json(struct api_req *q, const struct store_formation *f)
{
	const struct dyno_size *s = dyno_size_find(f->size);
	const char *size = s ? s->name : f->size;

	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:i, s:s, s:s, s:o}", "app",
			 json_app_ref(&q->app), "command", json_text(f->command), "created_at",
			 json_time(f->created_ms), "dyno_size", json_named_ref("dyno-size", size),
			 "id", f->id, "quantity", f->quantity, "size", size, "type", f->type,
			 "updated_at", json_time(f->updated_ms));
}

struct formation_q {
	struct api_req *q;
	struct store_formations list;
	struct store_formation one;
	const char *type;
};

static int read_formation(struct tx *tx, void *arg, struct err *err)
{
	struct formation_q *t = arg;

	return store_formation_list(tx, t->q->app.id, &t->list, err);
}

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct formation_q *t = arg;

	return store_formation_get(tx, t->q->app.id, t->type, &t->one, err);
}

static json_t *formation_array(struct api_req *q, struct err *err)
{
	struct formation_q t = {.q = q};
	json_t *list;

	if (store_read(q->d->store, read_formation, &t, err) < 0)
		return NULL;
	list = json_array();
	for (int i = 0; i < t.list.n; i++)
		json_array_append_new(list, formation_json(q, &t.list.v[i]));
	store_formations_clear(&t.list);
	return list;
}

int api_formation_list(struct api_req *q, struct err *err)
{
	json_t *list = formation_array(q, err);

	return list ? api_list(q, list, "type id created_at updated_at", err) : -1;
}

int api_formation_info(struct api_req *q, struct err *err)
{
	struct formation_q t = {.q = q, .type = q->params[1]};

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	api_ok(q, 200, formation_json(q, &t.one));
	store_formation_clear(&t.one);
	return 0;
}

/* --- changed --- */

#define SIZE_FIELDS                                                                   \
	{"quantity", F_QUANTITY, .max = LIM_DYNOS_PER_TYPE},                          \
		{"size", F_REF, .text = "name of a dyno size"}, {"dyno_size", F_REF}, \
	{                                                                             \
		0                                                                     \
	}

const struct api_field api_fields_formation[] = {SIZE_FIELDS};
static const struct api_field update[] = {
	{"type", F_LINE, F_REQUIRED, .min = 1, .max = LIM_PROC_TYPE}, SIZE_FIELDS};
static const struct api_field update_item = {.type = F_OBJECT, .of = update};
const struct api_field api_fields_formation_batch[] = {
	{"updates", F_LIST, F_REQUIRED, .min = 1, .max = 100, .of = &update_item},
	{0},
};

/* By name in any case, or by id as in the answers. */
static const struct dyno_size *size_named(const char *name, struct err *err)
{
	for (const struct dyno_size *s = dyno_sizes; s->name; s++) {
		AUTO(json_decref) json_t *ref = json_named_ref("dyno-size", s->name);

		if (strcasecmp(s->name, name) == 0 || strcmp(api_get_str(ref, "id"), name) == 0)
			return s;
	}
	err_set(err, ERR_INVALID_PARAMS, "No such dyno size: %.40s. See GET /dyno-sizes.", name);
	return NULL;
}

/* type: where the path or the item says it, by name or id. */
static int read_change(const char *type, const json_t *u, struct formation_change *c,
		       struct err *err)
{
	const json_t *quantity = json_object_get(u, "quantity");
	const char *name = api_get_ref(u, "size");
	const struct dyno_size *size;
	int64_t n;

	if (!name)
		name = api_get_ref(u, "dyno_size");
	snprintf(c->type, sizeof c->type, "%s", type);
	c->quantity = -1;
	if (api_number(quantity, &n, &c->relative) == 0) {
		/* what it makes of the present quantity is checked with that */
		n = n > LIM_DYNOS_PER_TYPE ? LIM_DYNOS_PER_TYPE + 1 : n;
		c->quantity = (int)(n < -LIM_DYNOS_PER_TYPE ? -LIM_DYNOS_PER_TYPE - 1 : n);
	}
	if (!name)
		return 0;
	size = size_named(name, err);
	if (size)
		snprintf(c->size, sizeof c->size, "%s", size->name);
	return size ? 0 : -1;
}

static void audit_scale(struct api_req *q, const struct formation_change *c, int n)
{
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < n; i++)
		buf_addf(&b, "%s%s=%d%s%s", i ? " " : "", c[i].type, c[i].quantity,
			 c[i].size[0] ? ":" : "", c[i].size);
	api_audit(q, "formation.update", "%s", buf_str(&b));
}

int api_formation_batch(struct api_req *q, struct err *err)
{
	json_t *updates = json_object_get(q->body, "updates"), *u, *list;
	size_t n = json_array_size(updates), i;
	struct formation_change *c = http_alloc(q->x, n * sizeof *c);

	json_array_foreach(updates, i, u)
	{
		c[i] = (struct formation_change){.quantity = -1};
		if (read_change(api_get_str(u, "type"), u, &c[i], err) < 0)
			return -1;
	}
	if (formation_update(q->d->releases, q->app.id, q->user.email, c, (int)n, err) < 0)
		return -1;
	audit_scale(q, c, (int)n);
	list = formation_array(q, err);
	return list ? api_ok(q, 200, list) : -1;
}

int api_formation_patch(struct api_req *q, struct err *err)
{
	struct formation_change c = {.quantity = -1};

	if (strlen(q->params[1]) >= sizeof c.type)
		return err_not_found(err, "formation");
	if (read_change(q->params[1], q->body, &c, err) < 0 ||
	    formation_update(q->d->releases, q->app.id, q->user.email, &c, 1, err) < 0)
		return -1;
	audit_scale(q, &c, 1);
	return api_formation_info(q, err);
}

static json_t *size_json(const struct api_req *q, const struct dyno_size *s)
{
	json_t *one = json_named_ref("dyno-size", s->name);
	json_t *more = json_pack(
		"{s:s, s:i, s:n, s:b, s:f, s:o, s:f, s:b}", "architecture", "x86_64", "compute",
		s->compute, "cost", "dedicated", 0, "precise_dyno_units", (double)s->compute,
		"generation", json_named_ref("generation", "cedar"), "memory",
		(double)dyno_size_memory(s, q->d->cfg) / 1024.0, "private_space_only", 0);

	json_object_update(one, more);
	json_decref(more);
	return one;
}

int api_dyno_sizes(struct api_req *q, struct err *err)
{
	json_t *list = json_array();

	for (const struct dyno_size *s = dyno_sizes; s->name; s++)
		json_array_append_new(list, size_json(q, s));
	return api_list(q, list, "name id", err);
}

int api_dyno_size(struct api_req *q, struct err *err)
{
	for (const struct dyno_size *s = dyno_sizes; s->name; s++) {
		AUTO(json_decref) json_t *j = size_json(q, s);

		if (strcasecmp(s->name, q->params[0]) == 0 ||
		    strcmp(json_string_value(json_object_get(j, "id")), q->params[0]) == 0)
			return api_ok(q, 200, STEAL(j));
	}
	return err_not_found(err, "dyno_size");
}

/* --- dynos --- */

static json_t *dyno_json(struct api_req *q, const struct dyno_info *i, const char *attach_url)
{
	static const char *const states[] = {
		[DYNO_STARTING] = "starting", [DYNO_UP] = "up",	    [DYNO_STOPPING] = "down",
		[DYNO_CRASHED] = "crashed",   [DYNO_DOWN] = "down", [DYNO_IDLE] = "idle",
	};

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:{s:s, s:i}, s:o, s:s, s:s, s:s, s:o}",
			 "attach_url", json_str_or_null(attach_url), "command",
			 json_text(i->command), "created_at", json_time(i->created_ms), "id", i->id,
			 "name", i->name, "release", "id", i->release_id, "version",
			 i->release_version, "app", json_app_ref(&q->app), "size", i->size, "state",
			 states[i->state], "type", i->type, "updated_at", json_time(i->state_ms));
}

int api_dynos_list(struct api_req *q, struct err *err)
{
	struct dyno_info *v = NULL;
	int n = dynos_list(releases_dynos(q->d->releases), q->app.id, &v);
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, dyno_json(q, &v[i], NULL));
	dyno_infos_free(v, n);
	return api_list(q, list, "name id created_at updated_at", err);
}

int api_dynos_info(struct api_req *q, struct err *err)
{
	struct dyno_info *v = NULL;
	int n = dynos_list(releases_dynos(q->d->releases), q->app.id, &v);
	json_t *found = NULL;

	for (int i = 0; i < n && !found; i++)
		if (strcmp(v[i].id, q->params[1]) == 0 || strcmp(v[i].name, q->params[1]) == 0)
			found = dyno_json(q, &v[i], NULL);
	dyno_infos_free(v, n);
	return found ? api_ok(q, 200, found) : err_not_found(err, "dyno");
}

static bool is_type(struct api_req *q, const char *name)
{
	struct formation_q t = {.q = q, .type = name};
	bool yes =
		store_read(q->d->store, read_one, &t, NULL) == 0 && strcmp(t.one.type, name) == 0;

	store_formation_clear(&t.one);
	return yes;
}

/* A dyno's id in a path stands for its name. */
static int dyno_name(struct api_req *q, char out[160], struct err *err)
{
	struct dyno_info *v = NULL;
	int n = dynos_list(releases_dynos(q->d->releases), q->app.id, &v);
	bool found = false;

	for (int i = 0; i < n && !found; i++) {
		found = strcmp(v[i].id, q->params[1]) == 0 || strcmp(v[i].name, q->params[1]) == 0;
		if (found)
			snprintf(out, 160, "%s", v[i].name);
	}
	dyno_infos_free(v, n);
	/* `ps:restart web` names a type where a dyno is expected. */
	if (!found && is_type(q, q->params[1])) {
		snprintf(out, 160, "%s", q->params[1]);
		found = true;
	}
	return found ? 0 : err_not_found(err, "dyno");
}

int api_dynos_restart(struct api_req *q, struct err *err)
{
	char name[160];

	if (q->params[1] && dyno_name(q, name, err) < 0)
		return -1;
	if (release_restart(q->d->releases, q->app.id, q->params[1] ? name : NULL, err) < 0)
		return -1;
	api_audit(q, "dyno.restart", "%s", q->params[1] ? name : "all");
	return api_ok(q, 202, json_object());
}

int api_dynos_stop(struct api_req *q, struct err *err)
{
	char name[160];

	if (dyno_name(q, name, err) < 0 || release_stop(q->d->releases, q->app.id, name, err) < 0)
		return -1;
	api_audit(q, "dyno.stop", "%s", name);
	return api_ok(q, 202, json_object());
}

static int type_verb(struct api_req *q, const char *action,
		     int (*fn)(struct releases *r, const char *app_id, const char *name,
			       struct err *err),
		     struct err *err)
{
	struct formation_q t = {.q = q, .type = q->params[1]};
	int rc;

	if (store_read(q->d->store, read_one, &t, err) < 0)
		return -1;
	rc = fn(q->d->releases, q->app.id, t.one.type, err);
	/* A type at quantity 0 has nothing to act on, which is no mistake. */
	if (rc < 0 && err->code == ERR_NOT_FOUND)
		rc = 0;
	if (rc == 0) {
		api_audit(q, action, "%s", t.one.type);
		api_ok(q, 202, json_object());
	}
	store_formation_clear(&t.one);
	return rc;
}

int api_formation_restart(struct api_req *q, struct err *err)
{
	return type_verb(q, "dyno.restart", release_restart, err);
}

int api_formation_stop(struct api_req *q, struct err *err)
{
	return type_verb(q, "dyno.stop", release_stop, err);
}

/* --- one-offs --- */

struct run_req {
	struct api_req *q;
	struct oneoff_req req;
	const char *command;
	char *full_command; /* in the arena; what runs */
	char **env;	    /* in the arena */
	int num;
};

static int read_run(struct tx *tx, void *arg, struct err *err)
{
	struct run_req *t = arg;
	AUTO(auto_str) char *command = NULL;

	if (store_app_next_oneoff(tx, t->q->app.id, &t->num, err) < 0)
		return -1;
	command = store_release_command(tx, t->q->app.id, t->command);
	t->full_command = http_alloc(t->q->x, strlen(command) + 1);
	memcpy(t->full_command, command, strlen(command) + 1);
	return 0;
}

/* Text, or a number: COLUMNS and LINES come as such. */
static const struct api_field env_value = {.type = F_ANY};

static int read_env(struct run_req *t, struct err *err)
{
	json_t *env = json_object_get(t->q->body, "env"), *v;
	size_t n = json_object_size(env), total = 0;
	const char *key;
	int i = 0;

	t->env = http_alloc(t->q->x, (n + 2) * sizeof *t->env);
	json_object_foreach(env, key, v)
	{
		char num[32];
		const char *value = json_string_value(v);
		size_t len;

		if (json_is_integer(v)) { /* COLUMNS and LINES come as numbers */
			snprintf(num, sizeof num, "%lld", (long long)json_integer_value(v));
			value = num;
		}
		if (!value)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter env.%.80s must be a string.", key);
		if (name_check_config(key, value, strlen(value), err) < 0)
			return -1;
		len = strlen(key) + strlen(value) + 2;
		total += len;
		if (total > LIM_CONFIG_BYTES)
			return err_set(err, ERR_INVALID_PARAMS, "Parameter env is too large.");
		t->env[i] = http_alloc(t->q->x, len);
		snprintf(t->env[i++], len, "%s=%s", key, value);
	}
	t->env[i] = NULL;
	t->req.env = t->env;
	return 0;
}

static unsigned env_number(const json_t *body, const char *name, unsigned def)
{
	const json_t *v = json_object_get(json_object_get(body, "env"), name);
	long long n = json_is_integer(v)  ? json_integer_value(v)
		      : json_is_string(v) ? atoll(json_string_value(v))
					  : 0;

	return n > 0 && n < 10000 ? (unsigned)n : def;
}

const struct api_field api_fields_dyno_create[] = {
	{"command", F_STRING, F_REQUIRED, .min = 1, .max = LIM_COMMAND - 1},
	{"attach", F_BOOL, .text = "wait for a terminal"},
	{"force_no_tty", F_BOOL},
	{"env", F_MAP, .of = &env_value},
	{"size", F_REF, .text = "name of a dyno size"},
	{"type", F_LINE, .max = LIM_PROC_TYPE},
	{"time_to_live", F_INT, .min = 1, .max = LIM_ONEOFF_TTL_S, .text = "seconds"},
	{0},
};

static int read_run_request(struct run_req *t, struct err *err)
{
	const json_t *body = t->q->body;
	const char *size = api_get_ref(body, "size"), *type = api_get_str(body, "type");
	const struct dyno_size *found = size ? size_named(size, err) : NULL;

	if ((size && !found) || read_env(t, err) < 0)
		return -1;
	if (type && !name_is_proc_type(type))
		return err_set(err, ERR_INVALID_PARAMS, "Parameter type is no process type.");
	t->command = api_get_str(body, "command");
	t->req.attach = api_get_bool(body, "attach", 0);
	t->req.tty = t->req.attach && !api_get_bool(body, "force_no_tty", 0);
	t->req.ttl_s = (unsigned)api_get_int(body, "time_to_live", LIM_ONEOFF_TTL_S);
	t->req.cols = env_number(body, "COLUMNS", 80);
	t->req.rows = env_number(body, "LINES", 24);
	t->req.size = found ? found->name : NULL;
	return 0;
}

/* The id of a dyno that runs, by id or name. */
static int dyno_id(struct api_req *q, const char *id_or_name, char out[37], struct err *err)
{
	struct dyno_info *v = NULL;
	int n = dynos_list(releases_dynos(q->d->releases), q->app.id, &v);
	bool found = false;

	for (int i = 0; i < n && !found; i++) {
		found = strcmp(v[i].id, id_or_name) == 0 || strcmp(v[i].name, id_or_name) == 0;
		if (found)
			memcpy(out, v[i].id, 37);
	}
	dyno_infos_free(v, n);
	return found ? 0 : err_not_found(err, "dyno");
}

static int run_oneoff(struct api_req *q, const char *into, struct err *err)
{
	struct run_req t = {.q = q};
	struct dyno_info info = {0};
	AUTO(auto_str) char *url = NULL;
	json_t *answer;

	if (read_run_request(&t, err) < 0 || store_tx(q->d->store, read_run, &t, err) < 0)
		return -1;
	t.req.into = into;
	if (into) { /* there is no other way to run something inside */
		t.req.tty |= !t.req.attach && api_get_bool(q->body, "force_no_tty", 0) != 1;
		t.req.attach = true;
	}
	t.req.type = "run";
	t.req.num = t.num;
	t.req.command = t.full_command;
	if (release_run_oneoff(q->d->releases, q->app.id, &t.req, &info, err) < 0)
		return -1;
	if (t.req.attach)
		url = attach_url(q, info.id, t.req.tty);
	api_audit(q, "dyno.run", "%s%s%s", info.name, into ? " inside " : "",
		  into ? q->params[1] : "");
	answer = dyno_json(q, &info, url);
	dyno_info_clear(&info);
	return api_ok(q, 201, answer);
}

int api_dynos_create(struct api_req *q, struct err *err)
{
	return run_oneoff(q, NULL, err);
}

int api_dynos_run_inside(struct api_req *q, struct err *err)
{
	char id[37];

	return dyno_id(q, q->params[1], id, err) < 0 ? -1 : run_oneoff(q, id, err);
}

json_t *api_render_formation(struct api_req *q, struct tx *tx, const char *id)
{
	struct store_formation v = {0};
	struct err none = {0};
	json_t *j;

	if (store_formation_get(tx, q->app.id, id, &v, &none) < 0)
		return NULL;
	j = formation_json(q, &v);
	store_formation_clear(&v);
	return j;
}
