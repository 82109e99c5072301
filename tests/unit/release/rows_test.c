/* What makes a release, and what a release is made of: rows.c against a store of its own. */
#include "tests/unit/test.h"
#include "daemon/release/release_int.h"
#include "daemon/store/app.h"
#include "daemon/store/build.h"
#include "daemon/store/release.h"
#include "daemon/store/user.h"

#include <string.h>

struct fixture {
	struct master_key *key;
	struct store *st;
	struct config cfg;
	char user[37], app[37];
	char *dir;
};

struct seed {
	struct fixture *f;
	const char *slug, *types;
};

static int seed_app(struct tx *tx, void *arg, struct err *err)
{
	struct fixture *f = arg;
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_app_clear) struct store_app a = {0};

	if (store_user_create(tx, "a@example.com", NULL, NULL, true, &u, err) < 0 ||
	    store_app_create(tx, "shop", u.id, "heroku-22", &a, err) < 0)
		return -1;
	memcpy(f->user, u.id, sizeof f->user);
	memcpy(f->app, a.id, sizeof f->app);
	return 0;
}

static int seed_slug(struct tx *tx, void *arg, struct err *err)
{
	struct seed *s = arg;
	struct store_slug_new in = {.id = s->slug,
				    .app_id = s->f->app,
				    .commit = "0123456789abcdef0123456789abcdef01234567",
				    .process_types = s->types,
				    .stack = "heroku-22",
				    .size = 10};

	return store_slug_insert(tx, &in, err);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	AUTO(auto_str) char *key = NULL;
	struct err err = {0};
	void *dir;

	codec_init();
	if (tmp_setup(&dir) < 0)
		return -1;
	f->dir = dir;
	key = xasprintf("%s/key", f->dir);
	config_init(&f->cfg);
	if (master_key_load(key, &f->key, &err) < 0 ||
	    store_open(":memory:", f->key, &f->st, &err) < 0 ||
	    store_tx(f->st, seed_app, f, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *dir = f->dir;

	store_close(f->st);
	master_key_free(f->key);
	config_clear(&f->cfg);
	free(f);
	return tmp_teardown(&dir);
}

#define SLUG1 "11111111-1111-4111-8111-111111111111"
#define SLUG2 "22222222-2222-4222-8222-222222222222"

static void add_slug(struct fixture *f, const char *id, const char *types)
{
	struct seed s = {f, id, types};
	struct err err = {0};

	assert_int_equal(store_tx(f->st, seed_slug, &s, &err), 0);
}

static int create(struct fixture *f, struct release_new in, struct release_out *out,
		  struct plan *plan, char description[300], struct err *err)
{
	struct rows_new n = {.in = &in, .cfg = &f->cfg, .out = out};
	int rc;

	in.app_id = f->app;
	in.user_id = f->user;
	in.user_email = "a@example.com";
	*out = (struct release_out){0};
	rc = store_tx(f->st, rows_create, &n, err);
	if (description)
		memcpy(description, n.description, 300);
	if (plan)
		*plan = n.plan;
	else
		plan_clear(&n.plan);
	return rc;
}

static int make_live(struct tx *tx, void *arg, struct err *err)
{
	return store_release_make_current(tx, arg, err) < 0 ? -1 : rows_formation(tx, arg, err);
}

static void live(struct fixture *f, const char *id)
{
	struct err err = {0};

	assert_int_equal(store_tx(f->st, make_live, (void *)id, &err), 0);
}

static const char *env_of(const struct plan *p, const char *name)
{
	size_t n = strlen(name);

	for (char **e = p->env; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

static struct release_new config_change(const char *const *names, const char *const *values, int n)
{
	return (struct release_new){.set_names = names, .set_values = values, .nset = n};
}

static void a_config_change_names_what_changed(void **state)
{
	static const char *const names[] = {"B", "A"}, *const values[] = {"2", "1"};
	static const char *const gone[] = {"A"}, *const none[] = {NULL};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};
	char text[300];

	assert_int_equal(create(f, config_change(names, values, 2), &out, NULL, text, &err), 0);
	assert_string_equal(text, "Set B, A config vars");
	assert_int_equal(out.version, 1);
	assert_false(out.has_command);
	assert_int_equal(create(f, config_change(names, values, 2), &out, NULL, text, &err), 0);
	assert_true(out.unchanged);
	assert_int_equal(create(f, config_change(gone, none, 1), &out, NULL, text, &err), 0);
	assert_string_equal(text, "Remove A config vars");
	assert_int_equal(out.version, 2);
}

static void bad_names_and_sizes_are_refused(void **state)
{
	static const char *const bad[] = {"1A"}, *const ok[] = {"A"};
	AUTO(auto_str) char *huge = xmalloc(40000);
	const char *values[] = {huge};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};

	memset(huge, 'x', 39999);
	huge[39999] = 0;
	assert_int_equal(create(f, config_change(bad, values, 1), &out, NULL, NULL, &err), -1);
	assert_string_equal(err.id, "invalid_params");
	assert_non_null(strstr(err.msg, "1A"));
	assert_int_equal(create(f, config_change(ok, values, 1), &out, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "limit"));
}

static void a_deploy_carries_types_env_and_command(void **state)
{
	static const char *const names[] = {"GREETING"}, *const values[] = {"hi"};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};
	struct plan p = {0};
	char text[300];

	add_slug(f, SLUG1, "{\"web\":\"./server\",\"worker\":\"./w\",\"release\":\"./migrate\"}");
	assert_int_equal(create(f, config_change(names, values, 1), &out, NULL, NULL, &err), 0);
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG1}, &out, &p, text, &err),
			 0);
	assert_string_equal(text, "Deploy 01234567");
	assert_true(out.has_command);
	assert_string_equal(p.command, "./migrate");
	assert_int_equal(p.nwant, 2); /* release is no formation type */
	assert_string_equal(p.want[0].type, "web");
	assert_int_equal(p.want[0].quantity, 1);
	assert_int_equal(p.want[1].quantity, 0);
	assert_string_equal(env_of(&p, "GREETING"), "hi");
	assert_string_equal(env_of(&p, "HEROKU_RELEASE_VERSION"), "v2");
	assert_string_equal(env_of(&p, "HEROKU_APP_NAME"), "shop");
	assert_string_equal(env_of(&p, "HEROKU_SLUG_COMMIT"),
			    "0123456789abcdef0123456789abcdef01234567");
	plan_clear(&p);
}

static void config_vars_win_over_platform_variables(void **state)
{
	static const char *const names[] = {"LANG"}, *const values[] = {"de_DE.UTF-8"};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};
	struct plan p = {0};
	int seen = 0;

	add_slug(f, SLUG1, "{\"web\":\"./server\"}");
	assert_int_equal(create(f, config_change(names, values, 1), &out, NULL, NULL, &err), 0);
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG1}, &out, &p, NULL, &err),
			 0);
	for (char **e = p.env; *e; e++)
		seen += strncmp(*e, "LANG=", 5) == 0;
	assert_int_equal(seen, 1);
	assert_string_equal(env_of(&p, "LANG"), "de_DE.UTF-8");
	plan_clear(&p);
}

static void rollback_takes_slug_and_config_of_the_old_one(void **state)
{
	static const char *const names[] = {"A"}, *const one[] = {"1"}, *const two[] = {"2"};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};
	struct plan p = {0};
	char text[300];
	int first;

	add_slug(f, SLUG1, "{\"web\":\"./one\"}");
	add_slug(f, SLUG2, "{\"web\":\"./two\"}");
	assert_int_equal(create(f, config_change(names, one, 1), &out, NULL, NULL, &err), 0);
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG1}, &out, NULL, NULL, &err),
			 0);
	live(f, out.id);
	first = out.version;
	assert_int_equal(create(f, config_change(names, two, 1), &out, NULL, NULL, &err), 0);
	live(f, out.id);
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG2}, &out, NULL, NULL, &err),
			 0);
	live(f, out.id);
	assert_int_equal(
		create(f, (struct release_new){.rollback_to = first}, &out, &p, text, &err), 0);
	assert_string_equal(text, "Rollback to v2");
	assert_string_equal(p.slug_id, SLUG1);
	assert_string_equal(p.want[0].command, "./one");
	assert_string_equal(env_of(&p, "A"), "1");
	plan_clear(&p);
}

static void rollback_to_a_release_without_slug_is_refused(void **state)
{
	static const char *const names[] = {"A"}, *const one[] = {"1"};
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};

	assert_int_equal(create(f, config_change(names, one, 1), &out, NULL, NULL, &err), 0);
	assert_int_equal(create(f, (struct release_new){.rollback_to = 1}, &out, NULL, NULL, &err),
			 -1);
	assert_string_equal(err.id, "no_slug");
	assert_int_equal(create(f, (struct release_new){.rollback_to = 9}, &out, NULL, NULL, &err),
			 -1);
	assert_string_equal(err.id, "not_found");
}

static void quantities_stay_and_gone_types_go(void **state)
{
	struct fixture *f = *state;
	struct release_out out;
	struct err err = {0};
	struct plan p = {0};

	add_slug(f, SLUG1, "{\"web\":\"./one\",\"clock\":\"./c\"}");
	add_slug(f, SLUG2, "{\"web\":\"./two\",\"worker\":\"./w\"}");
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG1}, &out, NULL, NULL, &err),
			 0);
	live(f, out.id);
	assert_int_equal(create(f, (struct release_new){.slug_id = SLUG2}, &out, &p, NULL, &err),
			 0);
	assert_int_equal(p.nwant, 2);
	assert_string_equal(p.want[0].type, "web");
	assert_int_equal(p.want[0].quantity, 1);
	assert_string_equal(p.want[1].type, "worker");
	assert_int_equal(p.want[1].quantity, 0);
	plan_clear(&p);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_config_change_names_what_changed),
		T(bad_names_and_sizes_are_refused),
		T(a_deploy_carries_types_env_and_command),
		T(config_vars_win_over_platform_variables),
		T(rollback_takes_slug_and_config_of_the_old_one),
		T(rollback_to_a_release_without_slug_is_refused),
		T(quantities_stay_and_gone_types_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
