/* Pipelines: who may what, couplings, config of stages, promotions and the slugs that they share.
 */
#include "daemon/store/app.h"
#include "daemon/store/pipeline.h"
#include "daemon/store/release.h"
#include "daemon/store/user.h"
#include "proto/limits.h"
#include "tests/unit/store/scenario.h"

struct seed {
	struct store_user owner, mate, admin;
	struct store_app staging, prod;
	struct store_pipeline line;
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->owner);
	store_user_clear(&s->mate);
	store_user_clear(&s->admin);
	store_app_clear(&s->staging);
	store_app_clear(&s->prod);
	store_pipeline_clear(&s->line);
}
#define seed_clear_p seed_clear

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	CHECK(store_user_create(tx, "owner@example.com", NULL, NULL, false, &s->owner, err) == 0);
	CHECK(store_user_create(tx, "mate@example.com", NULL, NULL, false, &s->mate, err) == 0);
	CHECK(store_user_create(tx, "admin@example.com", NULL, NULL, true, &s->admin, err) == 0);
	CHECK(store_app_create(tx, "shop-staging", s->owner.id, "here", &s->staging, err) == 0);
	CHECK(store_app_create(tx, "shop", s->owner.id, "here", &s->prod, err) == 0);
	CHECK(store_pipeline_create(tx, "shop", s->owner.id, &s->line, err) == 0);
	CHECK(store_coupling_create(tx, s->line.id, s->staging.id, "staging", NULL, err) == 0);
	CHECK(store_coupling_create(tx, s->line.id, s->prod.id, "production", NULL, err) == 0);
	return 0;
}

static int names_tx(struct tx *tx, void *arg, struct err *err)
{
	static const char *const bad[] = {
		"", "ab", "Shop", "1shop", "-shop", "sh op", "a234567890123456789012345678901"};
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_pipeline_clear) struct store_pipeline p = {0};

	if (seed(tx, &s, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		FAILS(store_pipeline_create(tx, bad[i], s.owner.id, &p, err), ERR_INVALID_PARAMS);
	FAILS(store_pipeline_create(tx, "shop", s.mate.id, &p, err), ERR_INVALID_PARAMS);
	CHECK(store_pipeline_rename(tx, s.line.id, "shop-2-", err) == 0);
	FAILS(store_pipeline_find(tx, "shop", &p, err), ERR_NOT_FOUND);
	CHECK(store_pipeline_find(tx, "shop-2-", &p, err) == 0 && IS(p.id, s.line.id));
	CHECK(IS(p.owner_email, "owner@example.com"));
	store_pipeline_clear(&p);
	CHECK(store_pipeline_create(tx, "other", s.owner.id, &p, err) == 0);
	FAILS(store_pipeline_rename(tx, p.id, "shop-2-", err), ERR_INVALID_PARAMS);
	FAILS(store_pipeline_rename(tx, "none", "name", err), ERR_NOT_FOUND);
	return 0;
}

static int sees(struct tx *tx, const char *user, const struct seed *s, int couplings,
		unsigned rights, struct err *err)
{
	AUTO(store_pipelines_clear) struct store_pipelines l = {0};
	AUTO(store_couplings_clear) struct store_couplings k = {0};
	unsigned got = 99;

	CHECK(store_pipelines_visible(tx, user, NULL, &l, err) == 0 && l.n == (rights ? 1 : 0));
	store_pipelines_clear(&l);
	CHECK(store_pipelines_visible(tx, user, "none", &l, err) == 0 && l.n == 0);
	CHECK(store_couplings_visible(tx, user, s->line.id, &k, err) == 0 && k.n == couplings);
	CHECK(store_pipeline_access(tx, user, s->line.id, &got, err) == 0 && got == rights);
	return 0;
}

static int rights_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_collaborator_clear) struct store_collaborator c = {0};
	unsigned rights;

	if (seed(tx, &s, err) < 0 || sees(tx, s.owner.id, &s, 2, STORE_PIPELINE_ALL, err) < 0 ||
	    sees(tx, s.admin.id, &s, 2, STORE_PIPELINE_ALL, err) < 0 ||
	    sees(tx, s.mate.id, &s, 0, 0, err) < 0)
		return -1;
	CHECK(store_collaborator_add(tx, s.staging.id, s.mate.id, STORE_VIEW | STORE_DEPLOY, &c,
				     err) == 0);
	if (sees(tx, s.mate.id, &s, 1, STORE_PIPELINE_VIEW | STORE_PIPELINE_DEPLOY, err) < 0)
		return -1;
	CHECK(store_collaborator_set(tx, c.id, STORE_VIEW | STORE_MANAGE, err) == 0);
	if (sees(tx, s.mate.id, &s, 1, STORE_PIPELINE_VIEW | STORE_PIPELINE_MANAGE, err) < 0)
		return -1;
	CHECK(store_pipeline_set_owner(tx, s.line.id, s.mate.id, err) == 0);
	if (sees(tx, s.mate.id, &s, 2, STORE_PIPELINE_ALL, err) < 0)
		return -1;
	FAILS(store_pipeline_access(tx, s.mate.id, "none", &rights, err), ERR_NOT_FOUND);
	FAILS(store_user_delete(tx, s.mate.id, err), ERR_INVALID_PARAMS);
	return 0;
}

static int couplings_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_pipeline_clear) struct store_pipeline p = {0};
	AUTO(store_couplings_clear) struct store_couplings l = {0};
	struct store_coupling k = {0};

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_pipeline_create(tx, "other", s.owner.id, &p, err) == 0);
	FAILS(store_coupling_create(tx, p.id, s.prod.id, "review", &k, err), ERR_INVALID_PARAMS);
	CHECK(store_coupling_of_app(tx, s.prod.id, &k, err) == 0 && IS(k.pipeline_name, "shop"));
	CHECK(IS(k.stage, "production") && IS(k.app_name, "shop"));
	CHECK(store_coupling_set_stage(tx, k.id, "staging", err) == 0);
	CHECK(store_couplings_list(tx, s.line.id, "staging", &l, err) == 0 && l.n == 2);
	CHECK(IS(l.v[0].app_name, "shop") && IS(l.v[1].app_name, "shop-staging"));
	CHECK(store_coupling_delete(tx, k.id, err) == 0);
	FAILS(store_coupling_get(tx, k.id, &k, err), ERR_NOT_FOUND);
	CHECK(store_app_set_destroying(tx, s.staging.id, err) == 0);
	FAILS(store_coupling_of_app(tx, s.staging.id, &k, err), ERR_NOT_FOUND);
	CHECK(store_pipeline_delete(tx, s.line.id, err) == 0);
	FAILS(store_pipeline_delete(tx, s.line.id, err), ERR_NOT_FOUND);
	CHECK(!store_stage_downstream("production") && !store_stage_downstream("test"));
	CHECK(IS(store_stage_downstream("review"), "production"));
	CHECK(IS(store_stage_downstream("development"), "staging"));
	return 0;
}

static int config_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	json_auto_t *in = json_pack("{s:s}", "KEY", "v\xc3\xa9");
	json_auto_t *a = NULL, *b = NULL, *c = NULL;

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(store_stage_config(tx, s.line.id, "review", &a, err) == 0);
	CHECK(json_object_size(a) == 0);
	CHECK(store_stage_config_set(tx, s.line.id, "review", a, err) == 0);
	CHECK(store_stage_config_set(tx, s.line.id, "review", in, err) == 0);
	CHECK(store_stage_config(tx, s.line.id, "review", &b, err) == 0 && json_equal(b, in));
	CHECK(store_stage_config(tx, s.line.id, "test", &c, err) == 0 && !json_object_size(c));
	return 0;
}

/* --- promotions --- */

static int add_slug(struct tx *tx, const char *app_id, char id[37], struct err *err)
{
	const struct store_slug_new n = {.id = id,
					 .app_id = app_id,
					 .commit = "1a2b3c4d",
					 .process_types = "{}",
					 .stack = "here",
					 .size = 1};

	uuid_new(id);
	return store_slug_insert(tx, &n, err);
}

static int add_release(struct tx *tx, const struct seed *s, const char *app_id, const char *slug_id,
		       char id[37], struct err *err)
{
	AUTO(store_release_clear) struct store_release r = {0};
	const struct store_release_new n = {.app_id = app_id,
					    .user_id = s->owner.id,
					    .slug_id = slug_id,
					    .description = "Deploy"};

	if (store_release_insert(tx, &n, &r, err) < 0)
		return -1;
	memcpy(id, r.id, 37);
	return 0;
}

static int promote(struct tx *tx, const struct seed *s, const char *slug_id, char id[37],
		   struct store_targets *t, struct err *err)
{
	const char *apps[] = {s->prod.id, s->staging.id};
	const struct store_promotion_new n = {.pipeline_id = s->line.id,
					      .source_app_id = s->staging.id,
					      .source_release_id = "release",
					      .slug_id = slug_id,
					      .user_id = s->owner.id,
					      .target_apps = apps,
					      .ntargets = 2};

	CHECK(store_promotion_insert(tx, &n, id, err) == 0);
	CHECK(store_targets_list(tx, id, t, err) == 0 && t->n == 2);
	CHECK(IS(t->v[0].app_id, s->prod.id) && IS(t->v[1].status, "pending"));
	return 0;
}

static int is(struct tx *tx, const char *promotion, bool completed, const char *first,
	      const char *second, struct err *err)
{
	AUTO(store_promotion_clear) struct store_promotion p = {0};
	AUTO(store_targets_clear) struct store_targets t = {0};

	CHECK(store_promotion_get(tx, promotion, &p, err) == 0 && p.completed == completed);
	CHECK(store_targets_list(tx, promotion, &t, err) == 0 && t.n == 2);
	CHECK(IS(t.v[0].status, first) && IS(t.v[1].status, second));
	return 0;
}

/* A target ends with its release, whatever ends that; the last one ends the promotion. */
static int targets_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_targets_clear) struct store_targets t = {0}, u = {0};
	AUTO(store_promotions_clear) struct store_promotions cut = {0};
	char slug[37], id[37], other[37], r[3][37];

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(add_slug(tx, s.staging.id, slug, err) == 0);
	if (promote(tx, &s, slug, id, &t, err) < 0)
		return -1;
	CHECK(store_promotions_cut_off(tx, &cut, err) == 0 && cut.n == 1);
	store_promotions_clear(&cut);
	CHECK(add_release(tx, &s, s.prod.id, slug, r[0], err) == 0);
	CHECK(store_target_released(tx, t.v[0].id, r[0], err) == 0);
	FAILS(store_target_released(tx, t.v[0].id, "another", err), ERR_CONFLICT);
	CHECK(store_target_fail(tx, t.v[0].id, "it has a release", err) == 0);
	CHECK(store_promotions_cut_off(tx, &cut, err) == 0 && cut.n == 1);
	store_promotions_clear(&cut);
	CHECK(add_release(tx, &s, s.staging.id, slug, r[1], err) == 0);
	CHECK(store_target_released(tx, t.v[1].id, r[1], err) == 0);
	CHECK(store_promotions_cut_off(tx, &cut, err) == 0 && cut.n == 0);
	if (is(tx, id, false, "pending", "pending", err) < 0)
		return -1;
	CHECK(store_release_fail(tx, r[0], STORE_FAILED, "exit 1", err) == 0);
	if (is(tx, id, false, "failed", "pending", err) < 0)
		return -1;
	CHECK(store_release_make_current(tx, r[1], err) == 0);
	if (is(tx, id, true, "failed", "succeeded", err) < 0)
		return -1;
	CHECK(store_targets_list(tx, id, &u, err) == 0 && IS(u.v[0].error_message, "exit 1"));
	store_targets_clear(&t);
	if (promote(tx, &s, slug, other, &t, err) < 0)
		return -1;
	CHECK(add_release(tx, &s, s.prod.id, slug, r[2], err) == 0);
	CHECK(store_target_released(tx, t.v[0].id, r[2], err) == 0);
	CHECK(store_target_fail(tx, t.v[1].id, "gone", err) == 0);
	CHECK(store_app_delete(tx, s.prod.id, err) == 0); /* with its pending release */
	return is(tx, other, true, "failed", "failed", err);
}

static int shared_slugs_tx(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_slug_clear) struct store_slug g = {0};
	AUTO(store_ids_clear) struct store_ids ids = {0};
	char slug[5][37], r[37];

	if (seed(tx, &s, err) < 0)
		return -1;
	for (int i = 0; i < 5; i++)
		CHECK(add_slug(tx, s.staging.id, slug[i], err) == 0);
	FAILS(store_slug_get(tx, s.prod.id, slug[0], &g, err), ERR_NOT_FOUND);
	/* On prod 0 was, 1 serves; 2 never. */
	for (int i = 0; i < 2; i++) {
		CHECK(add_release(tx, &s, s.prod.id, slug[i], r, err) == 0);
		CHECK(store_release_make_current(tx, r, err) == 0);
	}
	CHECK(store_slug_get(tx, s.prod.id, slug[0], &g, err) == 0);
	FAILS(store_slug_get(tx, s.prod.id, slug[2], &g, err), ERR_NOT_FOUND);
	/* The maker keeps its newest two, the user what it may roll back to. */
	CHECK(store_slugs_in_use(tx, 2, &ids, err) == 0 && ids.n == 4);
	CHECK(!store_ids_has(&ids, slug[2]));
	store_ids_clear(&ids);
	CHECK(store_slugs_in_use(tx, 1, &ids, err) == 0 && ids.n == 2);
	CHECK(store_ids_has(&ids, slug[1]) && store_ids_has(&ids, slug[4]));
	store_ids_clear(&ids);
	store_slug_clear(&g);
	CHECK(store_app_delete(tx, s.staging.id, err) == 0);
	CHECK(store_slugs_all(tx, &ids, err) == 0 && ids.n == 2);
	CHECK(store_slug_get(tx, NULL, slug[0], &g, err) == 0 && IS(g.app_id, s.prod.id));
	return 0;
}

static int latest_tx(struct tx *tx, void *arg, struct err *err)
{
	static const enum store_latest kinds[] = {STORE_LATEST_RELEASES, STORE_LATEST_DEPLOYMENTS,
						  STORE_LATEST_BUILDS};
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_build_clear) struct store_build b = {0}, b2 = {0};
	const struct store_build_new bn = {
		.app_id = s.staging.id, .user_id = s.owner.id, .source = "git", .stack = "here"};
	char slug[37], r[2][37];

	if (seed(tx, &s, err) < 0)
		return -1;
	CHECK(add_slug(tx, s.staging.id, slug, err) == 0);
	CHECK(store_build_insert(tx, &bn, &b, err) == 0 &&
	      store_build_insert(tx, &bn, &b2, err) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(add_release(tx, &s, s.staging.id, slug, r[i], err) == 0);
	const char *want[] = {r[1], r[0], b2.id};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO(store_app_items_clear) struct store_app_items l = {0};

		CHECK(store_pipeline_latest(tx, s.line.id, kinds[i], &l, err) == 0 && l.n == 1);
		CHECK(IS(l.v[0].id, want[i]) && IS(l.v[0].app_id, s.staging.id));
	}
	return 0;
}

#define SCENARIO(name)                      \
	static void name(void **state)      \
	{                                   \
		scenario(state, name##_tx); \
	}
SCENARIO(names)
SCENARIO(rights)
SCENARIO(couplings)
SCENARIO(config)
SCENARIO(targets)
SCENARIO(shared_slugs)
SCENARIO(latest)
#define TEST(name) SCENARIO_TEST(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names),   TEST(rights),	   TEST(couplings), TEST(config),
		TEST(targets), TEST(shared_slugs), TEST(latest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
