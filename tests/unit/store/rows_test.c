/* The aggregates, one scenario a test, each inside one transaction on a fresh store. */
#include "daemon/store/app.h"
#include "daemon/store/dyno.h"
#include "daemon/store/release.h"
#include "daemon/store/session.h"
#include "daemon/store/user.h"
#include "proto/limits.h"
#include "proto/names.h"
#include "tests/unit/store/scenario.h"

struct seed {
	struct store_user owner, other, admin;
	struct store_app app;
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->owner);
	store_user_clear(&s->other);
	store_user_clear(&s->admin);
	store_app_clear(&s->app);
}
#define seed_clear_p seed_clear

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	CHECK(store_user_create(tx, "owner@example.com", "Owner", "hash", false, &s->owner, err) ==
	      0);
	CHECK(store_user_create(tx, "other@example.com", NULL, NULL, false, &s->other, err) == 0);
	CHECK(store_user_create(tx, "admin@example.com", NULL, NULL, true, &s->admin, err) == 0);
	CHECK(store_app_create(tx, "web-shop", s->owner.id, "heroku-22", &s->app, err) == 0);
	return 0;
}

static int users_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_user_clear) struct store_user u = {0};
	AUTO(store_users_clear) struct store_users l = {0};
	int n = 0;

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(name_is_uuid(s.owner.id) && s.owner.created_ms > 0 && !s.owner.last_login_ms);
	CHECK(IS(s.owner.email, "owner@example.com") && IS(s.owner.name, "Owner"));
	CHECK(!s.other.name && !s.other.password && !s.other.admin && s.admin.admin);
	CHECK(store_user_count(tx, &n, err) == 0 && n == 3);
	CHECK(store_user_find(tx, "OWNER@example.com", &u, err) == 0 && IS(u.id, s.owner.id));
	store_user_clear(&u);
	CHECK(store_user_set_name(tx, s.owner.id, "New", err) == 0);
	CHECK(store_user_set_password(tx, s.owner.id, "hash2", err) == 0);
	CHECK(store_user_touch_login(tx, s.owner.id, err) == 0);
	CHECK(store_user_find(tx, s.owner.id, &u, err) == 0);
	CHECK(IS(u.name, "New") && IS(u.password, "hash2") && u.last_login_ms > 0);
	FAILS(store_user_get(tx, "nobody", &u, err), ERR_NOT_FOUND);
	FAILS(store_user_set_name(tx, "nobody", "x", err), ERR_NOT_FOUND);
	FAILS(store_user_create(tx, "Other@Example.com", NULL, NULL, false, &u, err),
	      ERR_INVALID_PARAMS);
	CHECK(store_users_list(tx, &l, err) == 0 && l.n == 3);
	CHECK(IS(l.v[0].email, "admin@example.com"));
	return 0;
}

static int auths_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_auth_clear) struct store_auth a = {0}, b = {0}, c = {0};
	AUTO(store_auths_clear) struct store_auths l = {0};
	AUTO(store_user_clear) struct store_user u = {0};
	wall_ms soon = clock_wall_ms() + 1000;

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_auth_create(tx, s.owner.id, "HRKU-token-one", "laptop", "global", 0, &a, err) ==
	      0);
	CHECK(IS(a.token_prefix, "HRKU-token-on") && IS(a.user_email, "owner@example.com"));
	CHECK(IS(a.scope, "global") && IS(a.description, "laptop") && a.expires_ms == 0);
	CHECK(store_auth_create(tx, s.owner.id, "HRKU-token-two", "ci", "read", soon, &b, err) ==
	      0);
	CHECK(store_auth_by_token(tx, "HRKU-token-one", &c, &u, err) == 0);
	CHECK(IS(c.id, a.id) && IS(u.id, s.owner.id));
	store_auth_clear(&c);
	FAILS(store_auth_by_token(tx, "HRKU-token", &c, NULL, err), ERR_UNAUTHORIZED);
	FAILS(store_auth_by_token(tx, "", &c, NULL, err), ERR_UNAUTHORIZED);
	CHECK(store_auth_by_token(tx, "HRKU-token-two", &c, NULL, err) == 0);
	store_auth_clear(&c);
	clock_shift(2000);
	FAILS(store_auth_by_token(tx, "HRKU-token-two", &c, NULL, err), ERR_UNAUTHORIZED);
	CHECK(store_auths_list(tx, s.owner.id, &l, err) == 0 && l.n == 2);
	CHECK(store_auths_expire(tx, err) == 0);
	store_auths_clear(&l);
	CHECK(store_auths_list(tx, s.owner.id, &l, err) == 0 && l.n == 1);
	/* Another user's token is not there. */
	FAILS(store_auth_get(tx, s.other.id, a.id, &c, err), ERR_NOT_FOUND);
	FAILS(store_auth_revoke(tx, s.other.id, a.id, err), ERR_NOT_FOUND);
	CHECK(store_auth_regenerate(tx, s.owner.id, a.id, "HRKU-token-new", err) == 0);
	FAILS(store_auth_by_token(tx, "HRKU-token-one", &c, NULL, err), ERR_UNAUTHORIZED);
	CHECK(store_auth_by_token(tx, "HRKU-token-new", &c, NULL, err) == 0);
	store_auth_clear(&c);
	CHECK(store_auth_revoke(tx, s.owner.id, a.id, err) == 0);
	FAILS(store_auth_by_token(tx, "HRKU-token-new", &c, NULL, err), ERR_UNAUTHORIZED);
	return 0;
}

static int apps_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_app_clear) struct store_app a = {0}, b = {0};
	AUTO(store_apps_clear) struct store_apps l = {0};
	int n = 0;

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(s.app.uid == 0 && s.app.repo_size == -1 && IS(s.app.stack, "heroku-22"));
	CHECK(IS(s.app.owner_email, "owner@example.com") && !s.app.maintenance);
	CHECK(store_app_create(tx, "second", s.other.id, "heroku-22", &a, err) == 0 && a.uid == 1);
	FAILS(store_app_create(tx, "second", s.other.id, "heroku-22", &b, err), ERR_INVALID_PARAMS);
	/* The smallest free uid is given again. */
	CHECK(store_app_delete(tx, s.app.id, err) == 0);
	FAILS(store_app_get(tx, s.app.id, &b, err), ERR_NOT_FOUND);
	CHECK(store_app_create(tx, "third", s.owner.id, "heroku-22", &b, err) == 0 && b.uid == 0);
	FAILS(store_app_rename(tx, b.id, "second", err), ERR_INVALID_PARAMS);
	CHECK(store_app_rename(tx, b.id, "fourth", err) == 0);
	CHECK(store_app_set_maintenance(tx, b.id, true, err) == 0);
	CHECK(store_app_set_language(tx, b.id, "Ruby", err) == 0);
	CHECK(store_app_set_build_stack(tx, b.id, "heroku-24", err) == 0);
	CHECK(store_app_set_sizes(tx, b.id, 1000, -1, err) == 0);
	CHECK(store_app_set_sizes(tx, b.id, -1, 2000, err) == 0);
	store_app_clear(&b);
	CHECK(store_app_find(tx, "fourth", &b, err) == 0);
	CHECK(b.maintenance && IS(b.language, "Ruby") && b.repo_size == 1000 &&
	      b.slug_size == 2000 && IS(b.build_stack, "heroku-24") && IS(b.stack, "heroku-22"));
	for (int i = 1000; i <= 9999; i++)
		CHECK(store_app_next_oneoff(tx, b.id, &n, err) == 0 && n == i);
	CHECK(store_app_next_oneoff(tx, b.id, &n, err) == 0 && n == 1000);

	CHECK(store_apps_visible(tx, s.other.id, &l, err) == 0 && l.n == 1);
	store_apps_clear(&l);
	CHECK(store_apps_visible(tx, s.admin.id, &l, err) == 0 && l.n == 2);
	store_apps_clear(&l);
	CHECK(IS(b.name, "fourth") && store_app_set_destroying(tx, b.id, err) == 0);
	CHECK(store_apps_visible(tx, s.admin.id, &l, err) == 0 && l.n == 1);
	store_apps_clear(&l);
	CHECK(store_apps_all(tx, &l, err) == 0 && l.n == 2 && l.v[0].destroying);
	store_app_clear(&a);
	FAILS(store_app_find(tx, b.id, &a, err), ERR_NOT_FOUND);
	CHECK(IS(b.id, l.v[0].id));
	return 0;
}

static int app_access_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_collaborator_clear) struct store_collaborator c = {0};
	AUTO(store_collaborators_clear) struct store_collaborators l = {0};
	AUTO(store_apps_clear) struct store_apps apps = {0};
	unsigned p = 99;

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_app_access(tx, s.owner.id, s.app.id, &p, err) == 0 && p == STORE_PERMS_ALL);
	CHECK(store_app_access(tx, s.admin.id, s.app.id, &p, err) == 0 && p == STORE_PERMS_ALL);
	CHECK(store_app_access(tx, s.other.id, s.app.id, &p, err) == 0 && p == 0);
	CHECK(store_app_access(tx, "nobody", s.app.id, &p, err) == 0 && p == 0);
	FAILS(store_app_access(tx, s.owner.id, "no app", &p, err), ERR_NOT_FOUND);
	CHECK(store_collaborator_add(tx, s.app.id, s.other.id, STORE_VIEW | STORE_DEPLOY, &c,
				     err) == 0);
	CHECK(c.perms == (STORE_VIEW | STORE_DEPLOY) && !c.owner);
	FAILS(store_collaborator_add(tx, s.app.id, s.other.id, STORE_VIEW, &c, err),
	      ERR_INVALID_PARAMS);
	CHECK(store_app_access(tx, s.other.id, s.app.id, &p, err) == 0 && p == 3);
	CHECK(store_apps_visible(tx, s.other.id, &apps, err) == 0 && apps.n == 1);
	CHECK(store_collaborator_set(tx, c.id, STORE_PERMS_COLLABORATOR, err) == 0);
	CHECK(store_app_access(tx, s.other.id, s.app.id, &p, err) == 0 && p == 15);
	CHECK(store_collaborators_list(tx, s.app.id, &l, err) == 0 && l.n == 2);
	CHECK(!l.v[0].owner && l.v[1].owner && l.v[1].perms == STORE_PERMS_ALL);
	FAILS(store_collaborator_remove(tx, s.app.id, "owner@example.com", err),
	      ERR_INVALID_PARAMS);
	CHECK(store_collaborator_remove(tx, s.app.id, "Other@example.com", err) == 0);
	FAILS(store_collaborator_remove(tx, s.app.id, "other@example.com", err), ERR_NOT_FOUND);
	CHECK(store_app_access(tx, s.other.id, s.app.id, &p, err) == 0 && p == 0);
	return 0;
}

static int buildpacks_tx(struct tx *tx, void *arg, struct err *err)
{
	const char *const two[] = {"heroku/nodejs", "https://example.com/x.git#v1"};
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_buildpacks_clear) struct store_buildpacks b = {0};

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_buildpacks_get(tx, s.app.id, &b, err) == 0 && b.n == 0 && !b.url[0]);
	store_buildpacks_clear(&b);
	CHECK(store_buildpacks_replace(tx, s.app.id, two, 2, false, err) == 0);
	CHECK(store_buildpacks_get(tx, s.app.id, &b, err) == 0 && b.n == 2 && !b.detected);
	CHECK(IS(b.url[0], two[0]) && IS(b.url[1], two[1]) && !b.url[2]);
	store_buildpacks_clear(&b);
	CHECK(store_buildpacks_replace(tx, s.app.id, two, 1, true, err) == 0);
	CHECK(store_buildpacks_get(tx, s.app.id, &b, err) == 0 && b.n == 1 && b.detected);
	return 0;
}

static int add_slug(struct tx *tx, const struct seed *s, char id[37], struct err *err)
{
	struct store_slug_new n = {.id = id,
				   .app_id = s->app.id,
				   .commit = "1a2b3c4d",
				   .process_types = "{\"web\":\"run\"}",
				   .stack = "heroku-24",
				   .size = 1234};

	uuid_new(id);
	return store_slug_insert(tx, &n, err);
}

static int builds_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_build_clear) struct store_build a = {0}, b = {0};
	AUTO(store_builds_clear) struct store_builds l = {0};
	struct store_build_new n = {
		.source = "git", .ref = "refs/heads/main", .stack = "heroku-22"};
	char slug[37];

	if (seed(tx, &s, err) < 0 || add_slug(tx, &s, slug, err) < 0)
		return -1;
	n.app_id = s.app.id;
	n.user_id = s.owner.id;
	CHECK(store_build_insert(tx, &n, &a, err) == 0);
	CHECK(a.status == STORE_PENDING && strlen(a.output_secret) == 48 && !a.slug_id[0]);
	CHECK(IS(a.buildpacks, "[]") && IS(a.source_url, "") && !a.version);
	CHECK(store_build_insert(tx, &n, &b, err) == 0 && !IS(a.id, b.id));
	CHECK(store_builds_pending(tx, &l, err) == 0 && l.n == 2 && IS(l.v[0].id, a.id));
	store_builds_clear(&l);
	CHECK(store_builds_list(tx, s.app.id, 1, &l, err) == 0 && l.n == 1 && IS(l.v[0].id, b.id));
	store_builds_clear(&l);
	CHECK(store_build_set_buildpacks(tx, a.id, "[{\"url\":\"x\"}]", err) == 0);
	CHECK(store_build_finish(tx, a.id, STORE_SUCCEEDED, slug, NULL, err) == 0);
	FAILS(store_build_finish(tx, a.id, STORE_FAILED, NULL, "late", err), ERR_CONFLICT);
	CHECK(store_build_finish(tx, b.id, STORE_FAILED, NULL, "why", err) == 0);
	CHECK(store_builds_pending(tx, &l, err) == 0 && l.n == 0);
	store_build_clear(&b);
	CHECK(store_build_get(tx, s.app.id, a.id, &b, err) == 0 && b.status == STORE_SUCCEEDED);
	CHECK(IS(b.slug_id, slug) && IS(b.buildpacks, "[{\"url\":\"x\"}]"));
	FAILS(store_build_get(tx, "another app", a.id, &b, err), ERR_NOT_FOUND);
	CHECK(store_build_unfinish(tx, a.id, "the ref did not move", err) == 0);
	store_build_clear(&b);
	CHECK(store_build_get(tx, NULL, a.id, &b, err) == 0 && b.status == STORE_FAILED);
	CHECK(!b.slug_id[0] && IS(b.failure, "the ref did not move"));
	return 0;
}

static int new_release(struct tx *tx, const struct seed *s, const char *slug, const char *config,
		       struct store_release *out, struct err *err)
{
	json_t *c = json_loads(config, 0, NULL);
	struct store_release_new n = {.app_id = s->app.id,
				      .user_id = s->owner.id,
				      .slug_id = slug,
				      .config = c,
				      .description = "Deploy 1a2b3c4d"};
	int rc;

	store_release_clear(out);
	rc = store_release_insert(tx, &n, out, err);
	json_decref(c);
	return rc;
}

static bool config_is(struct tx *tx, const char *app_id, const char *text, struct err *err)
{
	json_t *got = NULL, *want = json_loads(text, 0, NULL);
	bool same = store_app_config(tx, app_id, &got, err) == 0 && json_equal(got, want);

	json_decref(got);
	json_decref(want);
	return same;
}

static int releases_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_release_clear) struct store_release r1 = {0}, r2 = {0}, r3 = {0}, got = {0};
	AUTO(store_releases_clear) struct store_releases l = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	json_t *config = NULL;
	char slug[37];

	if (seed(tx, &s, err) < 0 || add_slug(tx, &s, slug, err) < 0)
		return -1;
	CHECK(config_is(tx, s.app.id, "{}", err));
	FAILS(store_release_current(tx, s.app.id, &got, err), ERR_NOT_FOUND);
	CHECK(new_release(tx, &s, NULL, "{}", &r1, err) == 0 && r1.version == 1);
	CHECK(r1.status == STORE_PENDING && IS(r1.phase, "queued") && !r1.current);
	CHECK(!r1.slug_id[0] && IS(r1.process_types, "{}") && IS(r1.user_email, s.owner.email));
	CHECK(store_release_make_current(tx, r1.id, err) == 0);

	/* A pending release's config is the app's; a failed one's is not. */
	CHECK(new_release(tx, &s, slug, "{\"A\":\"1\\n\\\"x\"}", &r2, err) == 0 && r2.version == 2);
	CHECK(config_is(tx, s.app.id, "{\"A\":\"1\\n\\\"x\"}", err));
	CHECK(store_release_set_phase(tx, r2.id, "release_phase", err) == 0);
	CHECK(store_release_set_command_dyno(tx, r2.id, "some-dyno", err) == 0);
	CHECK(store_release_get(tx, NULL, r2.id, &got, err) == 0);
	CHECK(IS(got.phase, "release_phase") && IS(got.command_dyno, "some-dyno"));
	store_release_clear(&got);
	CHECK(store_release_fail(tx, r2.id, STORE_FAILED, "exit 1", err) == 0);
	FAILS(store_release_fail(tx, r2.id, STORE_FAILED, "again", err), ERR_CONFLICT);
	FAILS(store_release_fail(tx, r1.id, STORE_FAILED, "serving", err), ERR_CONFLICT);
	CHECK(config_is(tx, s.app.id, "{}", err));
	CHECK(store_release_base(tx, s.app.id, &got, err) == 0 && got.version == 1);
	store_release_clear(&got);
	CHECK(store_release_newest(tx, s.app.id, &got, err) == 0 && got.version == 2);
	CHECK(got.status == STORE_FAILED && IS(got.failure, "exit 1") && !got.command_dyno[0]);
	CHECK(IS(got.phase, "failed") && !got.eligible_for_rollback);
	store_release_clear(&got);

	CHECK(new_release(tx, &s, slug, "{\"B\":\"2\"}", &r3, err) == 0 && r3.version == 3);
	CHECK(store_releases_pending(tx, &l, err) == 0 && l.n == 1 && l.v[0].version == 3);
	store_releases_clear(&l);
	CHECK(store_release_make_current(tx, r3.id, err) == 0);
	CHECK(store_release_current(tx, s.app.id, &got, err) == 0 && got.version == 3);
	CHECK(got.status == STORE_SUCCEEDED && IS(got.phase, "live") && got.eligible_for_rollback);
	store_release_clear(&got);
	CHECK(store_release_by_version(tx, s.app.id, 1, &got, err) == 0 && !got.current);
	CHECK(got.status == STORE_SUCCEEDED && !got.eligible_for_rollback); /* no slug */
	store_release_clear(&got);
	CHECK(store_app_get(tx, s.app.id, &app, err) == 0);
	CHECK(app.released_ms > 0 && app.slug_size == 1234 && IS(app.stack, "heroku-24"));

	CHECK(store_release_find(tx, s.app.id, "v2", &got, err) == 0 && got.version == 2);
	store_release_clear(&got);
	CHECK(store_release_find(tx, s.app.id, "3", &got, err) == 0 && got.version == 3);
	store_release_clear(&got);
	CHECK(store_release_find(tx, s.app.id, r1.id, &got, err) == 0 && got.version == 1);
	store_release_clear(&got);
	FAILS(store_release_find(tx, s.app.id, "v9", &got, err), ERR_NOT_FOUND);
	FAILS(store_release_find(tx, s.app.id, "9999999999999", &got, err), ERR_NOT_FOUND);
	FAILS(store_release_find(tx, s.app.id, "", &got, err), ERR_NOT_FOUND);
	FAILS(store_release_get(tx, "another app", r1.id, &got, err), ERR_NOT_FOUND);

	CHECK(store_releases_list(tx, s.app.id, 0, 0, true, 2, &l, err) == 0 && l.n == 2);
	CHECK(l.v[0].version == 3 && l.v[1].version == 2);
	store_releases_clear(&l);
	CHECK(store_releases_list(tx, s.app.id, 2, 2, false, 0, &l, err) == 0 && l.n == 1);
	store_releases_clear(&l);
	CHECK(store_releases_list(tx, s.app.id, 0, 0, false, 0, &l, err) == 0 && l.n == 3);
	CHECK(l.v[0].version == 1);

	CHECK(store_release_config(tx, r2.id, &config, err) == 0);
	CHECK(IS(json_string_value(json_object_get(config, "A")), "1\n\"x"));
	json_decref(config);
	CHECK(store_slug_delete(tx, slug, err) == 0);
	CHECK(store_release_get(tx, NULL, r3.id, &got, err) == 0 && !got.eligible_for_rollback);
	return 0;
}

static int release_of_build_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_release_clear) struct store_release r = {0};
	AUTO(store_build_clear) struct store_build b = {0};
	struct store_build_new bn = {.source = "git", .stack = "heroku-22"};
	struct store_release_new rn = {.description = "Deploy"};

	if (seed(tx, &s, err) < 0)
		return -1;
	bn.app_id = rn.app_id = s.app.id;
	bn.user_id = rn.user_id = s.owner.id;
	CHECK(store_build_insert(tx, &bn, &b, err) == 0);
	rn.build_id = b.id;
	CHECK(store_release_insert(tx, &rn, &r, err) == 0 && IS(r.build_id, b.id));
	FAILS(store_build_unfinish(tx, b.id, "too late", err), ERR_CONFLICT);
	store_build_clear(&b);
	CHECK(store_build_get(tx, NULL, r.build_id, &b, err) == 0 && IS(b.release_id, r.id));
	rn.app_id = "no app";
	store_release_clear(&r);
	FAILS(store_release_insert(tx, &rn, &r, err), ERR_NOT_FOUND);
	return 0;
}

static int slugs_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_ids_clear) struct store_ids ids = {0};
	AUTO(store_release_clear) struct store_release r = {0};
	AUTO(store_slug_clear) struct store_slug g = {0};
	char id[6][37];

	if (seed(tx, &s, err) < 0)
		return -1;
	for (int i = 0; i < 6; i++)
		CHECK(add_slug(tx, &s, id[i], err) == 0);
	CHECK(store_slug_get(tx, s.app.id, id[0], &g, err) == 0 && g.size == 1234);
	CHECK(IS(g.commit, "1a2b3c4d") && !g.language && IS(g.process_types, "{\"web\":\"run\"}"));
	/* 0 serves, 1 is pending, 2 failed; the newest two are kept for rollback. */
	CHECK(new_release(tx, &s, id[0], "{}", &r, err) == 0);
	CHECK(store_release_make_current(tx, r.id, err) == 0);
	CHECK(new_release(tx, &s, id[1], "{}", &r, err) == 0);
	CHECK(new_release(tx, &s, id[2], "{}", &r, err) == 0);
	CHECK(store_release_fail(tx, r.id, STORE_FAILED, "x", err) == 0);
	CHECK(store_slugs_in_use(tx, 2, &ids, err) == 0 && ids.n == 4);
	for (int i = 0; i < 6; i++)
		CHECK(store_ids_has(&ids, id[i]) == (i == 0 || i == 1 || i >= 4));
	store_ids_clear(&ids);
	CHECK(store_slugs_all(tx, &ids, err) == 0 && ids.n == 6);
	CHECK(!store_ids_has(&ids, "nothing"));
	return 0;
}

static int plan(struct tx *tx, const char *app, const char *json, struct store_formations *out,
		struct err *err)
{
	json_t *t = json_loads(json, 0, NULL);
	int rc;

	store_formations_clear(out);
	rc = store_formation_apply(tx, app, t, "basic", out, err);
	json_decref(t);
	return rc;
}

static int formation_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_formations_clear) struct store_formations l = {0};
	AUTO(store_formation_clear) struct store_formation f = {0}, g = {0};
	const char *app;
	json_t *t;

	if (seed(tx, &s, err) < 0)
		return -1;
	app = s.app.id;
	/* A deploy without types is not the first. */
	CHECK(plan(tx, app, "{}", &l, err) == 0 && l.n == 0);
	CHECK(plan(tx, app, "{\"worker\":\"w\",\"web\":\"x\",\"release\":\"r\"}", &l, err) == 0);
	CHECK(l.n == 3 && IS(l.v[0].type, "release") && l.v[0].quantity == 0);
	CHECK(IS(l.v[1].type, "web") && l.v[1].quantity == 1 && IS(l.v[1].size, "basic"));
	CHECK(l.v[2].quantity == 0 && IS(l.v[2].command, "w"));
	CHECK(store_formation_set(tx, app, "worker", 3, "standard-1x", err) == 0);
	CHECK(store_formation_set(tx, app, "web", 0, NULL, err) == 0);
	FAILS(store_formation_set(tx, app, "release", 1, NULL, err), ERR_INVALID_PARAMS);
	CHECK(store_formation_set(tx, app, "release", -1, "standard-2x", err) == 0);
	FAILS(store_formation_set(tx, app, "clock", 1, NULL, err), ERR_NOT_FOUND);
	FAILS(store_formation_set(tx, app, "web", LIM_DYNOS_PER_TYPE + 1, NULL, err),
	      ERR_INVALID_PARAMS);
	FAILS(store_formation_set(tx, app, "web", -2, NULL, err), ERR_INVALID_PARAMS);
	CHECK(store_formation_get(tx, app, "worker", &f, err) == 0 && f.quantity == 3);
	CHECK(store_formation_get(tx, app, f.id, &g, err) == 0 && IS(g.type, "worker"));

	/* Planning changes nothing. */
	t = json_loads("{\"clock\":\"c\"}", 0, NULL);
	store_formations_clear(&l);
	CHECK(store_formation_plan(tx, app, t, "basic", &l, err) == 0 && l.n == 1);
	json_decref(t);
	store_formations_clear(&l);
	CHECK(store_formation_list(tx, app, &l, err) == 0 && l.n == 3);

	/* Quantities stay by type, commands follow, web at 0 stays at 0, gone types go. */
	CHECK(plan(tx, app, "{\"worker\":\"w2\",\"web\":\"x\",\"clock\":\"c\"}", &l, err) == 0);
	CHECK(l.n == 3 && l.v[0].quantity == 0 && l.v[1].quantity == 0 && l.v[2].quantity == 3);
	CHECK(IS(l.v[2].command, "w2") && IS(l.v[2].size, "standard-1x") && IS(l.v[2].id, f.id));
	CHECK(plan(tx, app, "{\"clock\":\"c\"}", &l, err) == 0 && l.n == 1);
	/* What comes back starts at 0, web too. */
	CHECK(plan(tx, app, "{\"worker\":\"w\",\"web\":\"x\"}", &l, err) == 0 && l.n == 2);
	CHECK(l.v[0].quantity == 0 && l.v[1].quantity == 0);
	return 0;
}

static int crashes_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_crashes_clear) struct store_crashes l = {0};
	struct store_crash c = {.count = 9};

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_crash_get(tx, s.app.id, "web.1", &c, err) == 0 && c.count == 0);
	CHECK(store_crash_set(tx, s.app.id, "web.1", 1, 100, err) == 0);
	CHECK(store_crash_set(tx, s.app.id, "web.1", 2, 200, err) == 0);
	CHECK(store_crash_set(tx, s.app.id, "web.2", 1, 100, err) == 0);
	CHECK(store_crash_get(tx, s.app.id, "web.1", &c, err) == 0 && c.count == 2);
	CHECK(c.restart_ms == 200 && IS(c.name, "web.1"));
	CHECK(store_crash_clear(tx, s.app.id, "web.1", err) == 0);
	CHECK(store_crash_list(tx, s.app.id, &l, err) == 0 && l.n == 1 && IS(l.v[0].name, "web.2"));
	store_crashes_clear(&l);
	CHECK(store_crash_clear(tx, s.app.id, NULL, err) == 0);
	CHECK(store_crash_list(tx, s.app.id, &l, err) == 0 && l.n == 0);
	return 0;
}

static int sessions_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_log_session_clear) struct store_log_session got = {0};
	struct store_log_session in = {.dyno = xstrdup("web.1"), .lines = 100, .tail = true};
	AUTO(store_log_session_clear) struct store_log_session own = in;
	char id[37];

	if (seed(tx, &s, err) < 0)
		return -1;
	memcpy(in.app_id, s.app.id, sizeof in.app_id);
	CHECK(store_log_session_create(tx, "late", &in, id, err) == 0);
	CHECK(store_log_session_create(tx, "tail", &in, id, err) == 0);
	in.tail = false;
	CHECK(store_log_session_create(tx, "once", &in, id, err) == 0);
	FAILS(store_log_session_open(tx, "other", &got, err), ERR_NOT_FOUND);
	CHECK(store_log_session_open(tx, "tail", &got, err) == 0 && got.tail && got.lines == 100);
	CHECK(IS(got.dyno, "web.1") && !got.source && IS(got.app_id, s.app.id));
	store_log_session_clear(&got);
	CHECK(store_log_session_open(tx, "once", &got, err) == 0 && !got.tail);
	store_log_session_clear(&got);
	clock_shift(361000);
	FAILS(store_log_session_open(tx, "late", &got, err), ERR_NOT_FOUND);
	FAILS(store_log_session_open(tx, "once", &got, err), ERR_NOT_FOUND);
	CHECK(store_log_sessions_expire(tx, err) == 0);
	CHECK(store_log_session_open(tx, "tail", &got, err) == 0);
	store_log_session_clear(&got);
	clock_shift(24 * 3600 * 1000);
	FAILS(store_log_session_open(tx, "tail", &got, err), ERR_NOT_FOUND);
	return 0;
}

static int audit_tx(struct tx *tx, void *arg, struct err *err)
{
	struct store_audit_new n = {.action = "config.set", .detail = "A, B", .app_id = "one"};
	AUTO(store_audits_clear) struct store_audits l = {0};

	CHECK(store_audit_add(tx, &n, err) == 0);
	n.app_id = "two";
	CHECK(store_audit_add(tx, &n, err) == 0 && store_audit_add(tx, &n, err) == 0);
	CHECK(store_audit_list(tx, NULL, 0, 2, &l, err) == 0 && l.n == 2 && l.v[0].seq == 3);
	store_audits_clear(&l);
	CHECK(store_audit_list(tx, "one", 0, 0, &l, err) == 0 && l.n == 1 && !l.v[0].actor);
	CHECK(IS(l.v[0].detail, "A, B") && l.v[0].at_ms > 0);
	store_audits_clear(&l);
	CHECK(store_audit_list(tx, NULL, 3, 0, &l, err) == 0 && l.n == 2);
	return 0;
}

#define SCENARIO(name)                      \
	static void name(void **state)      \
	{                                   \
		scenario(state, name##_tx); \
	}
SCENARIO(users)
SCENARIO(auths)
SCENARIO(apps)
SCENARIO(app_access)
SCENARIO(buildpacks)
SCENARIO(builds)
SCENARIO(releases)
SCENARIO(release_of_build)
SCENARIO(slugs)
SCENARIO(formation)
SCENARIO(crashes)
SCENARIO(sessions)
SCENARIO(audit)

#define T(f) SCENARIO_TEST(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(users),      T(auths),     T(apps),	  T(app_access),
		T(buildpacks), T(builds),    T(releases), T(release_of_build),
		T(slugs),      T(formation), T(crashes),  T(sessions),
		T(audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
