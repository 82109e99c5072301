/* Add-ons in the database: rows, secrets, and the config vars that attachments give. */
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/release.h"
#include "daemon/store/user.h"
#include "tests/unit/store/scenario.h"

DEFINE_AUTO(json_t *, json_decref)

struct seed {
	struct store_user user;
	struct store_app app;
	struct store_addon addon;
	struct store_attachment att;
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->user);
	store_app_clear(&s->app);
	store_addon_clear(&s->addon);
	store_attachment_clear(&s->att);
}
#define seed_clear_p seed_clear

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	AUTO(json_decref) json_t *config = json_pack("{s:n}", "URL");
	struct store_addon_new in = {
		.name = "db-1", .service = "heroku-postgresql", .plan = "mini", .config = config};

	CHECK(store_user_create(tx, "o@example.com", NULL, NULL, false, &s->user, err) == 0);
	CHECK(store_app_create(tx, "web", s->user.id, "heroku-22", &s->app, err) == 0);
	in.app_id = s->app.id;
	in.user_id = s->user.id;
	CHECK(store_addon_insert(tx, &in, &s->addon, err) == 0);
	return store_attachment_insert(tx, s->addon.id, s->app.id, "DATABASE", NULL, &s->att, err);
}

static const char *text(const json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

/* A partner's codes and tokens: good once, as long as they may be, and few. */
static int tokens(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	wall_ms soon = clock_wall_ms() + 60000;
	struct err e = {0};
	char id[37], name[16];

	(void)arg;
	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_addon_grant_add(tx, s.addon.id, "code", soon, err) == 0);
	CHECK(store_addon_grant_add(tx, s.addon.id, "old", clock_wall_ms() - 1, err) == 0);
	CHECK(store_addon_grant_find(tx, "code", id, err) == 0 && strcmp(id, s.addon.id) == 0);
	CHECK(store_addon_grant_find(tx, "old", id, &e) < 0 && e.code == ERR_NOT_FOUND);
	CHECK(store_addon_grant_use(tx, "code", err) == 0);
	CHECK(store_addon_grant_use(tx, "code", &e) < 0 && e.code == ERR_NOT_FOUND);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "t%d", i);
		CHECK(store_addon_token_add(tx, s.addon.id, ADDON_TOKEN_ACCESS, name, soon, err) ==
		      0);
	}
	CHECK(store_addon_token_find(tx, "t1", ADDON_TOKEN_ACCESS, id, &e) < 0);
	CHECK(store_addon_token_find(tx, "t2", ADDON_TOKEN_ACCESS, id, err) == 0);
	CHECK(store_addon_token_find(tx, "t2", ADDON_TOKEN_REFRESH, id, &e) < 0);
	CHECK(store_addon_token_add(tx, s.addon.id, ADDON_TOKEN_REFRESH, "r", 0, err) == 0);
	CHECK(store_addon_token_find(tx, "r", ADDON_TOKEN_REFRESH, id, err) == 0);
	CHECK(store_addon_delete(tx, s.addon.id, err) == 0);
	CHECK(store_addon_token_find(tx, "r", ADDON_TOKEN_REFRESH, id, &e) < 0);
	return 0;
}

static int rows(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_addons_clear) struct store_addons due = {0};
	AUTO(store_addon_clear) struct store_addon other = {0};
	struct store_addon_new in = {.name = "db-1", .service = "x", .plan = "y"};
	wall_ms next = 0;

	(void)arg;
	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(s.addon.state == ADDON_PROVISIONING && strcmp(s.addon.task, "provision") == 0);
	CHECK(store_addons_next(tx, 0, &next, err) == 0 && next > 0);
	CHECK(store_addons_due(tx, next, &due, err) == 0 && due.n == 1);
	in.app_id = s.app.id;
	CHECK(store_addon_insert(tx, &in, &other, err) == -1 && err->code == ERR_INVALID_PARAMS);
	/* one that failed, and has nothing to clean up, makes room for its name */
	s.addon.state = ADDON_FAILED;
	snprintf(s.addon.task, sizeof s.addon.task, "none");
	CHECK(store_addon_save(tx, &s.addon, err) == 0);
	CHECK(store_addon_insert(tx, &in, &other, err) == 0);
	CHECK(store_addon_find(tx, s.addon.id, &s.addon, err) == -1 && err->code == ERR_NOT_FOUND);
	CHECK(store_addons_forget_app(tx, s.app.id, err) == 0);
	store_addon_clear(&other);
	CHECK(store_addon_find(tx, "db-1", &other, err) == 0);
	CHECK(other.state == ADDON_DEPROVISIONING && strcmp(other.task, "deprovision") == 0);
	CHECK(store_app_delete(tx, s.app.id, err) == 0);
	store_addon_clear(&other);
	CHECK(store_addon_find(tx, "db-1", &other, err) == 0 && !other.app_id[0]);
	CHECK(strcmp(other.app_name, "web") == 0);
	return 0;
}

static int vars(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(json_decref) json_t *config = json_pack("{s:s}", "URL", "postgres://one");
	AUTO(json_decref) json_t *own = json_pack("{s:s}", "URL", "postgres://reader");
	AUTO(json_decref) json_t *app = NULL;
	AUTO(store_addon_vars_clear) struct store_addon_vars v = {0};
	AUTO(store_attachment_clear) struct store_attachment ro = {0};
	AUTO(store_release_clear) struct store_release r = {0};
	AUTO(auto_str) char *note = NULL;
	struct store_release_new in = {.description = "x"};

	(void)arg;
	if (seed(tx, &s, err) < 0)
		return -1;
	/* known before there is a value: nobody else may take it */
	CHECK(store_addon_vars(tx, s.app.id, &v, err) == 0);
	CHECK(strcmp(text(v.owners, "DATABASE_URL"), "db-1") == 0);
	CHECK(json_object_size(v.values) == 0);
	CHECK(store_addon_set_secrets(tx, s.addon.id, config, NULL, err) == 0);
	CHECK(store_credential_put(tx, s.addon.id, "ro", own, NULL, "active", err) == 0);
	CHECK(store_attachment_insert(tx, s.addon.id, s.app.id, "READER", "credential:ro", &ro,
				      err) == 0);
	/* nor are the values of one that is still being made an app's */
	CHECK(store_addon_vars(tx, s.app.id, &v, err) == 0);
	CHECK(json_object_size(v.values) == 0);
	s.addon.state = ADDON_PROVISIONED;
	CHECK(store_addon_save(tx, &s.addon, err) == 0);
	CHECK(store_addon_vars(tx, s.app.id, &v, err) == 0);
	CHECK(strcmp(text(v.values, "DATABASE_URL"), "postgres://one") == 0);
	CHECK(strcmp(text(v.values, "READER_URL"), "postgres://reader") == 0);
	CHECK(json_array_size(v.plans) == 1);
	store_attachment_clear(&ro);
	CHECK(store_attachment_find(tx, s.app.id, "READER_URL", &ro, err) == 0);
	CHECK(strcmp(ro.namespace, "credential:ro") == 0);
	/* a release keeps the values of its time; the app has those of now */
	in.app_id = s.app.id;
	in.user_id = s.user.id;
	in.config = v.values;
	in.addons = note = store_addon_vars_note(&v);
	CHECK(store_release_insert(tx, &in, &r, err) == 0);
	CHECK(store_attachment_delete(tx, ro.id, err) == 0);
	json_object_set_new(config, "URL", json_string("postgres://two"));
	CHECK(store_addon_set_secrets(tx, s.addon.id, config, NULL, err) == 0);
	CHECK(store_app_config(tx, s.app.id, &app, err) == 0);
	CHECK(strcmp(text(app, "DATABASE_URL"), "postgres://two") == 0);
	CHECK(!json_object_get(app, "READER_URL"));
	json_decref(app);
	CHECK(store_release_config(tx, r.id, &app, err) == 0);
	CHECK(strcmp(text(app, "DATABASE_URL"), "postgres://one") == 0);
	return 0;
}

static void addon_rows(void **state)
{
	scenario(state, rows);
}

static void addon_tokens(void **state)
{
	scenario(state, tokens);
}

static void addon_vars(void **state)
{
	scenario(state, vars);
}

int main(void)
{
	const struct CMUnitTest tests[] = {SCENARIO_TEST(addon_rows), SCENARIO_TEST(addon_tokens),
					   SCENARIO_TEST(addon_vars)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
