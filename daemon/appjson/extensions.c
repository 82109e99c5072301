/* The keys that Heroku does not have, in Dokku's shape: health checks of web dynos, scheduled
 * commands; and the form in which they are kept with a slug. */
#include "daemon/appjson/appjson_int.h"
#include "daemon/core/cronexpr.h"

#include <ctype.h>
#include <string.h>

/* --- healthchecks --- */

#define CHECK_TIMEOUT_S 5
#define CHECK_ATTEMPTS	10
#define CHECK_WAIT_S	2

static void check_path(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);
	bool ok = s && s[0] == '/' && strlen(s) <= 1024;

	for (const char *p = s; ok && *p; p++)
		ok = *p > 0x20 && *p < 0x7f && *p != '#';
	if (ok)
		aj_set(field, s);
	else
		aj_problem(r, "must be a path that begins with /, as \"/up\"");
}

static void check_timeout(struct aj_reader *r, const json_t *v, void *field)
{
	aj_int(r, v, 1, LIM_CHECK_TIMEOUT_S, field);
}

static void check_attempts(struct aj_reader *r, const json_t *v, void *field)
{
	aj_int(r, v, 1, LIM_CHECK_ATTEMPTS, field);
}

static void check_wait(struct aj_reader *r, const json_t *v, void *field)
{
	aj_int(r, v, 0, LIM_CHECK_WAIT_S, field);
}

static void check_type(struct aj_reader *r, const json_t *v, void *field)
{
	if (!json_is_string(v) || strcmp(json_string_value(v), "startup") != 0)
		aj_problem(r, "must be \"startup\": a check when a dyno starts is the only one");
}

static void check_name(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *unused = NULL;

	aj_line(r, v, &unused);
}

static const struct aj_key check_keys[] = {
	{"path", check_path, offsetof(struct appjson_check, path), true},
	{"timeout", check_timeout, offsetof(struct appjson_check, timeout_s)},
	{"attempts", check_attempts, offsetof(struct appjson_check, attempts)},
	{"wait", check_wait, offsetof(struct appjson_check, wait_s)},
	{"type", check_type},
	{"name", check_name},
	{0},
};

static void one_check(struct aj_reader *r, const json_t *v, struct appjson *a)
{
	struct appjson_check c = {NULL, CHECK_TIMEOUT_S, CHECK_ATTEMPTS, CHECK_WAIT_S};

	aj_object(r, v, check_keys, NULL, &c);
	if (!c.path)
		return;
	a->checks = xrealloc(a->checks, (size_t)(a->nchecks + 1) * sizeof c);
	a->checks[a->nchecks++] = c;
}

/* An object, or a list of one. */
static void web_checks(struct aj_reader *r, const json_t *v, void *appjson)
{
	if (json_is_object(v)) {
		one_check(r, v, appjson);
		return;
	}
	if (!json_is_array(v)) {
		aj_problem(r, "must be an object, or a list with one");
		return;
	}
	for (size_t i = 0; i < json_array_size(v); i++) {
		aj_in_index(r, i);
		if (i == 0)
			one_check(r, json_array_get(v, i), appjson);
		else if (i == 1)
			aj_problem(r, "is one too many: a dyno has one check");
		aj_out(r);
	}
}

void aj_healthchecks(struct aj_reader *r, const json_t *v, void *appjson)
{
	static const struct aj_key types[] = {{"web", web_checks}, {0}};

	aj_object(r, v, types, NULL, appjson);
}

void aj_checks_clear(struct appjson *a)
{
	for (int i = 0; i < a->nchecks; i++)
		free(a->checks[i].path);
	free(a->checks);
	a->checks = NULL;
	a->nchecks = 0;
}

/* --- cron --- */

static void cron_schedule(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *s = NULL;
	struct cronexpr unused;
	struct err err = {0};

	aj_line(r, v, &s);
	if (!s)
		return;
	if (cronexpr_parse(s, &unused, &err) < 0)
		aj_problem(r, "is no schedule: %.230s", err.msg);
	else
		aj_set(field, s);
}

static void cron_timezone(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);
	bool ok = s && *s && *s != '/' && strlen(s) <= 64 && !strstr(s, "..");

	for (const char *p = s; ok && *p; p++)
		ok = isalnum((unsigned char)*p) || strchr("_+-/", *p);
	if (ok)
		aj_set(field, s);
	else
		aj_problem(r, "must be the name of a time zone, as \"Europe/Berlin\"");
}

static void cron_overlap(struct aj_reader *r, const json_t *v, void *field)
{
	static const char *const words[] = {"skip", "allow", "replace", NULL};

	aj_word(r, v, words, field);
}

static void cron_missed(struct aj_reader *r, const json_t *v, void *field)
{
	static const char *const words[] = {"skip", "once", NULL};

	aj_word(r, v, words, field);
}

static const struct aj_key cron_keys[] = {
	{"command", aj_command, offsetof(struct appjson_cron, command), true},
	{"schedule", cron_schedule, offsetof(struct appjson_cron, schedule), true},
	{"timezone", cron_timezone, offsetof(struct appjson_cron, timezone)},
	{"size", aj_size, offsetof(struct appjson_cron, size)},
	{"overlap", cron_overlap, offsetof(struct appjson_cron, overlap)},
	{"missed", cron_missed, offsetof(struct appjson_cron, missed)},
	{0},
};

void aj_cron(struct aj_reader *r, const json_t *v, void *appjson)
{
	struct appjson *a = appjson;

	if (!aj_is_list(r, v, LIM_CRON))
		return;
	a->cron = xcalloc(json_array_size(v) + 1, sizeof *a->cron);
	for (size_t i = 0; i < json_array_size(v); i++) {
		aj_in_index(r, i);
		aj_object(r, json_array_get(v, i), cron_keys, NULL, &a->cron[a->ncron++]);
		aj_out(r);
	}
}

void aj_cron_clear(struct appjson *a)
{
	for (int i = 0; i < a->ncron; i++) {
		struct appjson_cron *c = &a->cron[i];

		free(c->command);
		free(c->schedule);
		free(c->timezone);
		free(c->size);
		free(c->overlap);
		free(c->missed);
	}
	free(a->cron);
	a->cron = NULL;
	a->ncron = 0;
}

/* --- with a slug --- */

static json_t *checks_json(const struct appjson *a)
{
	json_t *list = json_array();

	for (int i = 0; i < a->nchecks; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:i, s:i}", "path", a->checks[i].path,
					"timeout", a->checks[i].timeout_s, "attempts",
					a->checks[i].attempts, "wait", a->checks[i].wait_s));
	return list;
}

static json_t *cron_json(const struct appjson *a)
{
	json_t *list = json_array();

	for (int i = 0; i < a->ncron; i++) {
		const struct appjson_cron *c = &a->cron[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "command", c->command,
					"schedule", c->schedule, "timezone", c->timezone, "size",
					c->size, "overlap", c->overlap, "missed", c->missed));
	}
	return list;
}

char *appjson_manifest(const struct appjson *a)
{
	json_t *j;
	char *text;

	if (!a->nchecks && !a->ncron)
		return NULL;
	j = json_pack("{s:o, s:o}", "healthchecks", checks_json(a), "cron", cron_json(a));
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

/* As it is kept: a list, under the keys of a file's own. */
static void kept_checks(struct aj_reader *r, const json_t *v, void *appjson)
{
	web_checks(r, v, appjson);
}

int appjson_manifest_read(const char *manifest, struct appjson *out, struct err *err)
{
	static const struct aj_key keys[] = {{"healthchecks", kept_checks}, {"cron", aj_cron}, {0}};
	struct aj_reader r = {.text = manifest ? manifest : ""};
	int bad;

	*out = (struct appjson){0};
	r.n = strlen(r.text);
	if (!r.n)
		return 0;
	r.root = json_loadb(r.text, r.n, JSON_REJECT_DUPLICATES, NULL);
	if (r.root)
		aj_object(&r, r.root, keys, NULL, out);
	bad = !r.root || r.problems.n;
	json_decref(r.root);
	appjson_problems_clear(&r.problems);
	if (!bad)
		return 0;
	appjson_clear(out);
	return err_set(err, ERR_CORRUPT, "the slug's manifest cannot be read");
}
