#include "daemon/appjson/appjson_int.h"
#include "proto/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const environments[] = {"test", "review", "production", NULL};

/* --- freeing --- */

static void free_list(char ***list)
{
	for (char **p = *list; p && *p; p++)
		free(*p);
	free(*list);
	*list = NULL;
}

static void env_one_clear(struct appjson_env *e)
{
	free(e->name);
	free(e->description);
	free(e->value);
	*e = (struct appjson_env){0};
}

static void env_clear(struct appjson *a)
{
	for (int i = 0; i < a->nenv; i++)
		env_one_clear(&a->env[i]);
	free(a->env);
	a->env = NULL;
	a->nenv = 0;
}

static void addons_clear(struct appjson *a)
{
	for (int i = 0; i < a->naddons; i++) {
		free(a->addons[i].plan);
		free(a->addons[i].as);
		json_decref(a->addons[i].options);
	}
	free(a->addons);
	a->addons = NULL;
	a->naddons = 0;
}

static void formation_clear(struct appjson *a)
{
	for (int i = 0; i < a->nformation; i++) {
		free(a->formation[i].type);
		free(a->formation[i].size);
	}
	free(a->formation);
	a->formation = NULL;
	a->nformation = 0;
}

static void scripts_clear(struct appjson *a)
{
	free(a->postdeploy);
	free(a->pr_predestroy);
	free(a->test_setup);
	free(a->test);
	a->postdeploy = a->pr_predestroy = a->test_setup = a->test = NULL;
}

void appjson_clear(struct appjson *a)
{
	free(a->name);
	free(a->description);
	free(a->website);
	free(a->repository);
	free(a->logo);
	free(a->success_url);
	free(a->stack);
	free(a->image);
	free_list(&a->keywords);
	free_list(&a->buildpacks);
	scripts_clear(a);
	env_clear(a);
	addons_clear(a);
	formation_clear(a);
	aj_checks_clear(a);
	aj_cron_clear(a);
	*a = (struct appjson){0};
}

/* --- names and links --- */

static void read_name(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *s = NULL;

	aj_line(r, v, &s);
	if (!s)
		return;
	if (strlen(s) > 300 || !(isalpha((unsigned char)s[0]) || strchr("-_.", s[0])))
		aj_problem(r, "must begin with a letter, -, _ or . and have at most 300 "
			      "characters");
	else
		*(char **)field = STEAL(s);
}

/* An address, or a path of the new app. */
static void read_success_url(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);

	if (!s || s[0] != '/')
		aj_url(r, v, field);
	else if (strlen(s) > LIM_OUT_URL || strchr(s, ' ') || s[1] == '/')
		aj_problem(r, "must be an address, or a path of the app as \"/welcome\"");
	else
		aj_line(r, v, field);
}

static void read_stack(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *s = NULL;

	aj_line(r, v, &s);
	if (s && (strlen(s) > 60 || s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.")]))
		aj_problem(r, "must be the name of a stack, as \"heroku-24\"");
	else if (s)
		*(char **)field = STEAL(s);
}

static void read_schema(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *unused = NULL;

	aj_line(r, v, &unused);
}

static void read_keywords(struct aj_reader *r, const json_t *v, void *field)
{
	char **list;
	size_t n = 0;

	if (!aj_is_list(r, v, LIM_APPJSON_ITEMS))
		return;
	list = xcalloc(json_array_size(v) + 1, sizeof *list);
	for (size_t i = 0; i < json_array_size(v); i++) {
		aj_in_index(r, i);
		aj_line(r, json_array_get(v, i), &list[n]);
		n += list[n] != NULL;
		aj_out(r);
	}
	*(char ***)field = list;
}

/* --- env --- */

static void env_value(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);

	if (!s)
		aj_text(r, v, field); /* complains */
	else if (json_string_length(v) > LIM_CONFIG_VALUE)
		aj_problem(r, "is longer than %lld bytes", LIM_CONFIG_VALUE);
	else
		aj_set(field, s);
}

static void env_generator(struct aj_reader *r, const json_t *v, void *field)
{
	if (json_is_string(v) && strcmp(json_string_value(v), "secret") == 0)
		*(bool *)field = true;
	else
		aj_problem(r, "must be \"secret\", the only generator there is");
}

static const struct aj_key env_keys[] = {
	{"description", aj_text, offsetof(struct appjson_env, description)},
	{"value", env_value, offsetof(struct appjson_env, value)},
	{"required", aj_bool, offsetof(struct appjson_env, required)},
	{"generator", env_generator, offsetof(struct appjson_env, generate)},
	{0},
};

/* ^[A-Z][A-Z0-9_]*$ */
static bool is_env_name(const char *s)
{
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	return isupper((unsigned char)s[0]) && s[strspn(s, all)] == 0 && strlen(s) <= 128;
}

static void env_one(struct aj_reader *r, const char *name, const json_t *v, struct appjson_env *e)
{
	e->name = xstrdup(name);
	e->required = true;
	if (!is_env_name(name))
		aj_problem_key(r, "must be a name of capital letters, digits and _, as "
				  "\"SECRET_KEY\"");
	if (json_is_object(v))
		aj_object(r, v, env_keys, NULL, e);
	else if (json_is_string(v))
		env_value(r, v, &e->value);
	else
		aj_problem(r, json_is_number(v) || json_is_boolean(v)
				      ? "must be a text, in quotes, or an object"
				      : "must be a text, or an object");
}

static void read_env(struct aj_reader *r, const json_t *v, void *appjson)
{
	struct appjson *a = appjson;

	if (!aj_is_object(r, v, LIM_APPJSON_ITEMS))
		return;
	a->env = xcalloc(json_object_size(v) + 1, sizeof *a->env);
	for (void *it = json_object_iter((json_t *)v); it;
	     it = json_object_iter_next((json_t *)v, it)) {
		const char *name = json_object_iter_key(it);

		aj_in_key(r, name);
		env_one(r, name, json_object_iter_value(it), &a->env[a->nenv++]);
		aj_out(r);
	}
}

/* --- formation --- */

static void read_quantity(struct aj_reader *r, const json_t *v, void *field)
{
	aj_int(r, v, 0, LIM_DYNOS_PER_TYPE, field);
}

static const struct aj_key formation_keys[] = {
	{"quantity", read_quantity, offsetof(struct appjson_formation, quantity), true},
	{"size", aj_size, offsetof(struct appjson_formation, size)},
	{0},
};

static void read_formation(struct aj_reader *r, const json_t *v, void *appjson)
{
	struct appjson *a = appjson;

	if (!aj_is_object(r, v, LIM_APPJSON_ITEMS))
		return;
	a->formation = xcalloc(json_object_size(v) + 1, sizeof *a->formation);
	for (void *it = json_object_iter((json_t *)v); it;
	     it = json_object_iter_next((json_t *)v, it)) {
		struct appjson_formation *f = &a->formation[a->nformation++];

		f->type = xstrdup(json_object_iter_key(it));
		aj_in_key(r, f->type);
		if (!name_is_proc_type(f->type))
			aj_problem_key(r, "is no process type: letters, digits, - and _");
		else if (strcmp(f->type, "release") == 0)
			aj_problem_key(r, "cannot be scaled: it runs once a release");
		aj_object(r, json_object_iter_value(it), formation_keys, NULL, f);
		aj_out(r);
	}
}

/* --- addons, buildpacks --- */

/* service or service:plan */
static void addon_plan(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *s = NULL;
	const char *colon;

	aj_line(r, v, &s);
	if (!s)
		return;
	colon = strchr(s, ':');
	if (strlen(s) > 200 || s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_:.@/")] ||
	    s[0] == ':' || (colon && (!colon[1] || strchr(colon + 1, ':'))))
		aj_problem(r, "must be a service and a plan, as \"heroku-postgresql:essential-0\"");
	else
		*(char **)field = STEAL(s);
}

static void addon_as(struct aj_reader *r, const json_t *v, void *field)
{
	const char *s = json_string_value(v);

	if (s && is_env_name(s) && strlen(s) <= 100)
		aj_set(field, s);
	else
		aj_problem(r, "must be a name of capital letters, digits and _, as \"FOLLOWER\"");
}

static void addon_options(struct aj_reader *r, const json_t *v, void *field)
{
	json_t *out;

	if (!aj_is_object(r, v, LIM_APPJSON_ITEMS))
		return;
	out = json_object();
	for (void *it = json_object_iter((json_t *)v); it;
	     it = json_object_iter_next((json_t *)v, it)) {
		AUTO(auto_str) char *s = NULL;

		aj_in_key(r, json_object_iter_key(it));
		aj_text(r, json_object_iter_value(it), &s);
		if (s)
			json_object_set_new(out, json_object_iter_key(it), json_string(s));
		aj_out(r);
	}
	*(json_t **)field = out;
}

static const struct aj_key addon_keys[] = {
	{"plan", addon_plan, offsetof(struct appjson_addon, plan), true},
	{"as", addon_as, offsetof(struct appjson_addon, as)},
	{"options", addon_options, offsetof(struct appjson_addon, options)},
	{0},
};

static void read_addons(struct aj_reader *r, const json_t *v, void *appjson)
{
	struct appjson *a = appjson;

	if (!aj_is_list(r, v, LIM_APPJSON_ITEMS))
		return;
	a->addons = xcalloc(json_array_size(v) + 1, sizeof *a->addons);
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *one = json_array_get(v, i);
		struct appjson_addon *out = &a->addons[a->naddons++];

		aj_in_index(r, i);
		if (json_is_string(one))
			addon_plan(r, one, &out->plan);
		else if (json_is_object(one))
			aj_object(r, one, addon_keys, NULL, out);
		else
			aj_problem(r, "must be a text, or an object with a \"plan\"");
		aj_out(r);
	}
}

static void buildpack_url(struct aj_reader *r, const json_t *v, void *field)
{
	AUTO(auto_str) char *s = NULL;

	aj_line(r, v, &s);
	if (s && (strlen(s) > 1000 || strchr(s, ' ')))
		aj_problem(r, "must be the address or the name of a buildpack");
	else if (s)
		*(char **)field = STEAL(s);
}

struct buildpack {
	char *url;
};
static const struct aj_key buildpack_keys[] = {
	{"url", buildpack_url, offsetof(struct buildpack, url), true},
	{0},
};

static void read_buildpacks(struct aj_reader *r, const json_t *v, void *appjson)
{
	struct appjson *a = appjson;
	size_t n = 0;

	if (!aj_is_list(r, v, LIM_BUILDPACKS))
		return;
	a->buildpacks = xcalloc(json_array_size(v) + 1, sizeof *a->buildpacks);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct buildpack one = {NULL};

		aj_in_index(r, i);
		aj_object(r, json_array_get(v, i), buildpack_keys, NULL, &one);
		if (one.url)
			a->buildpacks[n++] = one.url;
		aj_out(r);
	}
}

/* --- scripts --- */

#define SCRIPT(key, field)                                       \
	{                                                        \
		key, aj_command, offsetof(struct appjson, field) \
	}

static void read_scripts(struct aj_reader *r, const json_t *v, void *appjson)
{
	static const struct aj_key keys[] = {
		SCRIPT("postdeploy", postdeploy), SCRIPT("pr-predestroy", pr_predestroy), {0}};
	static const struct aj_elsewhere elsewhere[] = {
		{"test", "environments.test.scripts"},
		{"test-setup", "environments.test.scripts"},
		{"release", "the Procfile, as process type release"},
		{0},
	};

	aj_object(r, v, keys, elsewhere, appjson);
}

static void read_test_scripts(struct aj_reader *r, const json_t *v, void *appjson)
{
	static const struct aj_key keys[] = {SCRIPT("postdeploy", postdeploy),
					     SCRIPT("pr-predestroy", pr_predestroy),
					     SCRIPT("test-setup", test_setup),
					     SCRIPT("test", test),
					     {0}};

	aj_object(r, v, keys, NULL, appjson);
}

/* --- environments --- */

#define SECTION_KEYS(scripts)                                                      \
	{"env", read_env}, {"formation", read_formation}, {"addons", read_addons}, \
		{"buildpacks", read_buildpacks}, {"scripts", scripts},             \
		{"healthchecks", aj_healthchecks},                                 \
	{                                                                          \
		"cron", aj_cron                                                    \
	}

static const struct aj_key section_keys[] = {SECTION_KEYS(read_scripts), {0}};
static const struct aj_key test_keys[] = {SECTION_KEYS(read_test_scripts), {0}};

static void swap_env(struct appjson *a, struct appjson *over, int i)
{
	struct appjson_env *e = &over->env[i];

	for (int k = 0; k < a->nenv; k++)
		if (strcmp(a->env[k].name, e->name) == 0) {
			struct appjson_env old = a->env[k];

			a->env[k] = *e;
			*e = old;
			return;
		}
	a->env = xrealloc(a->env, (size_t)(a->nenv + 1) * sizeof *a->env);
	a->env[a->nenv++] = *e;
	*e = (struct appjson_env){0};
}

#define SWAP(field)                                   \
	do {                                          \
		__typeof__(a->field) was_ = a->field; \
		a->field = over->field;               \
		over->field = was_;                   \
	} while (0)

/* What the environment has takes the place of what is at the top, which goes with over. */
static void apply(struct appjson *a, struct appjson *over, const json_t *given)
{
	for (int i = 0; i < over->nenv; i++)
		swap_env(a, over, i);
	if (json_object_get(given, "formation")) {
		SWAP(formation);
		SWAP(nformation);
	}
	if (json_object_get(given, "addons")) {
		SWAP(addons);
		SWAP(naddons);
	}
	if (json_object_get(given, "buildpacks"))
		SWAP(buildpacks);
	if (json_object_get(given, "scripts")) {
		SWAP(postdeploy);
		SWAP(pr_predestroy);
		SWAP(test_setup);
		SWAP(test);
	}
	if (json_object_get(given, "healthchecks")) {
		SWAP(checks);
		SWAP(nchecks);
	}
	if (json_object_get(given, "cron")) {
		SWAP(cron);
		SWAP(ncron);
	}
}

static void read_section(struct aj_reader *r, const json_t *v, const char *name)
{
	AUTO(appjson_clear) struct appjson over = {0};

	aj_object(r, v, strcmp(name, "test") == 0 ? test_keys : section_keys, NULL, &over);
}

static void read_test(struct aj_reader *r, const json_t *v, void *field)
{
	read_section(r, v, "test");
}

static void read_other(struct aj_reader *r, const json_t *v, void *field)
{
	read_section(r, v, "");
}

/* All are checked here; the one that counts is applied when the whole file has been read. */
static void read_environments(struct aj_reader *r, const json_t *v, void *field)
{
	static const struct aj_key keys[] = {
		{"test", read_test}, {"review", read_other}, {"production", read_other}, {0}};

	aj_object(r, v, keys, NULL, field);
}

/* --- the file --- */

#define TOP(key, fn, field)                              \
	{                                                \
		key, fn, offsetof(struct appjson, field) \
	}

static const struct aj_key top_keys[] = {
	TOP("name", read_name, name),
	TOP("description", aj_text, description),
	TOP("keywords", read_keywords, keywords),
	TOP("website", aj_url, website),
	TOP("repository", aj_url, repository),
	TOP("logo", aj_url, logo),
	TOP("success_url", read_success_url, success_url),
	TOP("stack", read_stack, stack),
	TOP("image", aj_line, image),
	{"scripts", read_scripts},
	{"env", read_env},
	{"formation", read_formation},
	{"addons", read_addons},
	{"buildpacks", read_buildpacks},
	{"environments", read_environments},
	{"healthchecks", aj_healthchecks},
	{"cron", aj_cron},
	{"$schema", read_schema},
	{0},
};

static const struct aj_elsewhere not_at_top[] = {
	{"postdeploy", "scripts"}, {"pr-predestroy", "scripts"},   {"review", "environments"},
	{"test", "environments"},  {"production", "environments"}, {0},
};

static void problem_at(struct aj_reader *r, int line, int column, const char *fmt, ...)
	PRINTF(4, 5);
static void problem_at(struct aj_reader *r, int line, int column, const char *fmt, ...)
{
	struct appjson_problem p = {.line = line, .column = column};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p.text, sizeof p.text, fmt, ap);
	va_end(ap);
	for (char *c = p.text; *c; c++) /* jansson quotes the file */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	r->problems.v = xrealloc(r->problems.v, (size_t)(r->problems.n + 1) * sizeof p);
	r->problems.v[r->problems.n++] = p;
}

static void load(struct aj_reader *r)
{
	json_error_t e;

	if (r->n > APPJSON_BYTES) {
		problem_at(r, 0, 0, "is larger than %lld KB", APPJSON_BYTES / KiB(1));
		return;
	}
	if (r->n >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0) {
		r->text += 3;
		r->n -= 3;
	}
	r->root = json_loadb(r->text, r->n, JSON_REJECT_DUPLICATES, &e);
	if (!r->root)
		problem_at(r, e.line > 0 ? e.line : 0, e.column > 0 ? e.column : 1,
			   "is no valid JSON: %s", e.text);
	else if (!json_is_object(r->root))
		problem_at(r, 1, 1, "must be an object: {...}");
	if (r->problems.n)
		json_decref(STEAL(r->root));
}

static int by_place(const void *a, const void *b)
{
	const struct appjson_problem *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->column > y->column) - (x->column < y->column);
}

/* Hands the problems over; -1 when there are any. */
static int verdict(struct aj_reader *r, struct appjson *out, struct appjson_problems *problems,
		   struct err *err)
{
	char line[512];
	int bad = r->problems.n;

	json_decref(r->root);
	if (bad) {
		qsort(r->problems.v, (size_t)bad, sizeof *r->problems.v, by_place);
		appjson_problem_line(&r->problems.v[0], "app.json", line);
		err_set(err, ERR_INVALID_PARAMS, "%.390s", line);
		appjson_clear(out);
	}
	if (problems)
		*problems = r->problems;
	else
		appjson_problems_clear(&r->problems);
	return bad ? -1 : 0;
}

static int known_environment(const char *environment, struct err *err)
{
	for (int i = 0; environment && environments[i]; i++)
		if (strcmp(environments[i], environment) == 0)
			return 0;
	return environment ? err_set(err, ERR_INVALID_PARAMS,
				     "app.json knows no environment %.40s; there are review, test "
				     "and production.",
				     environment)
			   : 0;
}

/* The keys of the environment over those at the top: their problems have been told already. */
static void overlay(struct aj_reader *r, const char *environment, const struct aj_key *keys,
		    struct appjson *out)
{
	const json_t *v = json_object_get(json_object_get(r->root, "environments"),
					  environment ? environment : "");
	AUTO(appjson_clear) struct appjson over = {0};

	if (!v)
		return;
	r->quiet = true;
	aj_object(r, v, keys, NULL, &over);
	r->quiet = false;
	apply(out, &over, v);
}

int appjson_parse(const char *text, size_t n, const char *environment, struct appjson *out,
		  struct appjson_problems *problems, struct err *err)
{
	struct aj_reader r = {.text = text, .n = n};
	bool test = environment && strcmp(environment, "test") == 0;

	*out = (struct appjson){0};
	if (problems)
		*problems = (struct appjson_problems){0};
	if (known_environment(environment, err) < 0)
		return -1;
	load(&r);
	if (r.root)
		aj_object(&r, r.root, top_keys, not_at_top, out);
	if (r.root && !r.problems.n)
		overlay(&r, environment, test ? test_keys : section_keys, out);
	return verdict(&r, out, problems, err);
}

/* Only those keys of an object that the extensions have, each where it stands. */
static void read_extensions(struct aj_reader *r, const json_t *v, struct appjson *out)
{
	static const struct aj_key keys[] = {
		{"healthchecks", aj_healthchecks}, {"cron", aj_cron}, {0}};

	for (const struct aj_key *k = keys; k->name; k++) {
		const json_t *one = json_object_get(v, k->name);

		if (!one)
			continue;
		aj_in_key(r, k->name);
		k->fn(r, one, out);
		aj_out(r);
	}
}

int appjson_extensions(const char *text, size_t n, const char *environment, char **manifest,
		       struct appjson_problems *problems, struct err *err)
{
	AUTO(appjson_clear) struct appjson out = {0};
	struct appjson over = {0};
	struct aj_reader r = {.text = text, .n = n};
	const json_t *v;

	*manifest = NULL;
	if (problems)
		*problems = (struct appjson_problems){0};
	if (known_environment(environment, err) < 0)
		return -1;
	load(&r);
	read_extensions(&r, r.root, &out);
	v = json_object_get(json_object_get(r.root, "environments"),
			    environment ? environment : "");
	if (v) {
		aj_in_key(&r, "environments");
		aj_in_key(&r, environment);
		read_extensions(&r, v, &over);
		apply(&out, &over, v);
	}
	appjson_clear(&over);
	if (verdict(&r, &out, problems, err) < 0)
		return -1;
	*manifest = appjson_manifest(&out);
	return 0;
}
