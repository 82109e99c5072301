/* Rows of review apps: what is wanted, what is due, what goes. */
#include "daemon/store/app.h"
#include "daemon/store/pipeline.h"
#include "daemon/store/repo.h"
#include "daemon/store/review.h"
#include "daemon/store/user.h"
#include "tests/unit/store/scenario.h"

DEFINE_AUTO(json_t *, json_decref)

struct seed {
	struct store_user user;
	struct store_pipeline pipe;
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->user);
	store_pipeline_clear(&s->pipe);
}
#define seed_clear_p seed_clear

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	CHECK(store_user_create(tx, "a@x.test", NULL, NULL, false, &s->user, err) == 0);
	CHECK(store_pipeline_create(tx, "pipe", s->user.id, &s->pipe, err) == 0);
	return 0;
}

static int connect_repo(struct tx *tx, const struct seed *s, const char *name, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo out = {0};
	struct store_repo in = {.base_url = (char *)"https://Git.example.com",
				.full_name = (char *)name,
				.token = (char *)"t",
				.hook_secret = (char *)"s",
				.hook_url = (char *)"https://x/hooks"};

	uuid_new(in.id);
	memcpy(in.pipeline_id, s->pipe.id, sizeof in.pipeline_id);
	strcpy(in.provider, "gitea");
	return store_repo_create(tx, &in, &out, err);
}

static int disconnect_repo(struct tx *tx, const struct seed *s, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo r = {0};

	return store_repo_of_pipeline(tx, s->pipe.id, &r, err) < 0
		       ? -1
		       : store_repo_delete(tx, r.id, err);
}

static int due(struct tx *tx, wall_ms at, struct err *err)
{
	AUTO(store_reviews_clear) struct store_reviews l = {0};
	wall_ms next;

	return store_reviews_due(tx, at, 10, &l, &next, err) < 0 ? -1 : l.n;
}

static int a_life(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_review_clear) struct store_review v = {0};
	AUTO(store_review_clear) struct store_review two = {0};
	AUTO(json_decref) json_t *env = json_pack("{ss}", "A", "secret");
	AUTO(json_decref) json_t *back = NULL;
	AUTO(auto_str) char *url = NULL;
	struct store_review_new in = {.branch = "feat", .source = REVIEW_PROVIDER, .pr_number = 4};
	bool yes;
	int n;

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	in.pipeline_id = s.pipe.id;
	in.environment = env;
	CHECK(connect_repo(tx, &s, "Me/App", err) == 0);
	CHECK(store_review_insert(tx, &in, &v, err) == 0);
	FAILS(store_review_insert(tx, &in, &two, err), ERR_CONFLICT);
	in.fork = "other/repo"; /* has a branch of the same name */
	CHECK(store_review_insert(tx, &in, &two, err) == 0);
	CHECK(store_review_secrets(tx, v.id, &back, &url, err) == 0 && !url);
	CHECK(json_equal(env, back));
	CHECK(due(tx, clock_wall_ms(), err) == 2);
	/* resting ends with a kick, and a rest after a kick that it did not see is none */
	CHECK(store_review_rest(tx, &v, 0, false, err) == 0);
	CHECK(due(tx, clock_wall_ms(), err) == 1);
	CHECK(store_review_kick(tx, v.id, err) == 0);
	CHECK(store_review_rest(tx, &v, 0, false, err) == 0);
	CHECK(due(tx, clock_wall_ms(), err) == 2);
	/* the same wish twice is one */
	CHECK(store_review_want(tx, v.id, "c1", 4, err) == 0);
	store_review_clear(&v);
	CHECK(store_review_of_branch(tx, s.pipe.id, "feat", NULL, &v, err) == 0);
	CHECK(strcmp(v.commit, "c1") == 0 && v.pr_number == 4);
	CHECK(store_review_rest(tx, &v, 0, true, err) == 0);
	CHECK(store_review_want(tx, v.id, "c1", 4, err) == 0);
	CHECK(due(tx, clock_wall_ms(), err) == 1);
	/* not wanted: nothing is wanted of it any more */
	CHECK(store_review_end(tx, v.id, err) == 0);
	CHECK(store_review_want(tx, v.id, "c2", 0, err) == 0);
	FAILS(store_review_made(tx, v.id, "x", "y", err), ERR_CONFLICT);
	CHECK(store_review_say(tx, v.id, REVIEW_DELETED, NULL, NULL, err) == 0);
	FAILS(store_review_of_branch(tx, s.pipe.id, "feat", NULL, &two, err), ERR_NOT_FOUND);
	/* by itself: of another commit, or when the request has been closed in between */
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c1", &yes, err) == 0 && !yes);
	in.fork = NULL; /* the branch may have another now */
	store_review_clear(&two);
	CHECK(store_review_insert(tx, &in, &two, err) == 0);
	CHECK(store_reviews_count(tx, s.pipe.id, &n, err) == 0 && n == 0);
	CHECK(store_review_want(tx, two.id, "c1", 0, err) == 0);
	CHECK(store_review_dismiss(tx, two.id, err) == 0);
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c1", &yes, err) == 0 && yes);
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c2", &yes, err) == 0 && !yes);
	CHECK(store_review_dismissed(tx, s.pipe.id, 5, "c1", &yes, err) == 0 && !yes);
	CHECK(store_review_recall(tx, s.pipe.id, 4, err) == 0);
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c1", &yes, err) == 0 && !yes);
	return 0;
}

/* Rows are of the repository that was connected when they were made. */
static int repositories(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_review_clear) struct store_review v = {0};
	AUTO(store_review_clear) struct store_review two = {0};
	AUTO(store_review_clear) struct store_review now = {0};
	struct store_review_new in = {
		.branch = "feat", .source = REVIEW_PROVIDER, .pr_number = 4, .commit = "c1"};
	bool yes;

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	in.pipeline_id = s.pipe.id;
	CHECK(connect_repo(tx, &s, "Me/App", err) == 0);
	CHECK(store_review_insert(tx, &in, &v, err) == 0);
	CHECK(!v.foreign && strcmp(v.repo, "https://git.example.com/me/app") == 0);
	CHECK(store_review_dismiss(tx, v.id, err) == 0);
	CHECK(disconnect_repo(tx, &s, err) == 0);
	CHECK(store_review_get(tx, v.id, &now, err) == 0 && now.foreign);
	CHECK(connect_repo(tx, &s, "me/other", err) == 0);
	store_review_clear(&now);
	CHECK(store_review_get(tx, v.id, &now, err) == 0 && now.foreign);
	FAILS(store_review_of_branch(tx, s.pipe.id, "feat", NULL, &two, err), ERR_NOT_FOUND);
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c1", &yes, err) == 0 && !yes);
	CHECK(store_review_insert(tx, &in, &two, err) == 0);
	CHECK(!two.foreign && strcmp(two.repo, "https://git.example.com/me/other") == 0);
	CHECK(store_review_recall(tx, s.pipe.id, 4, err) == 0); /* of the other one */
	CHECK(disconnect_repo(tx, &s, err) == 0);
	CHECK(connect_repo(tx, &s, "ME/APP", err) == 0);
	store_review_clear(&now);
	CHECK(store_review_get(tx, v.id, &now, err) == 0 && !now.foreign);
	CHECK(store_review_dismissed(tx, s.pipe.id, 4, "c1", &yes, err) == 0 && yes);
	/* made anew from elsewhere: of no repository */
	in.source = REVIEW_PUSH;
	CHECK(store_review_again(tx, two.id, &in, err) == 0);
	store_review_clear(&now);
	CHECK(store_review_get(tx, two.id, &now, err) == 0 && !now.foreign && !*now.repo);
	return 0;
}

static int staleness(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_review_clear) struct store_review v = {0};
	AUTO(store_review_config_clear) struct store_review_config c = {0};
	struct store_review_new in = {.branch = "feat", .source = REVIEW_PUSH};
	const wall_ms day = 86400000;
	int n;

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	in.pipeline_id = s.pipe.id;
	store_review_config_preset(&c, s.pipe.id);
	c.destroy_stale = true;
	CHECK(store_review_config_set(tx, &c, err) == 0);
	CHECK(store_review_insert(tx, &in, &v, err) == 0);
	CHECK(store_reviews_end_stale(tx, clock_wall_ms() + 9 * day, &n, err) == 0 && n == 0);
	CHECK(store_review_say(tx, v.id, REVIEW_CREATED, NULL, NULL, err) == 0);
	CHECK(store_reviews_end_stale(tx, clock_wall_ms() + 4 * day, &n, err) == 0 && n == 0);
	c.destroy_stale = false;
	CHECK(store_review_config_set(tx, &c, err) == 0);
	CHECK(store_reviews_end_stale(tx, clock_wall_ms() + 9 * day, &n, err) == 0 && n == 0);
	c.destroy_stale = true;
	CHECK(store_review_config_set(tx, &c, err) == 0);
	CHECK(store_reviews_end_stale(tx, clock_wall_ms() + 6 * day, &n, err) == 0 && n == 1);
	CHECK(store_reviews_end_stale(tx, clock_wall_ms() + 6 * day, &n, err) == 0 && n == 0);
	return 0;
}

static void test_a_life(void **state)
{
	scenario(state, a_life);
}

static void test_repositories(void **state)
{
	scenario(state, repositories);
}

static void test_staleness(void **state)
{
	scenario(state, staleness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO_TEST(test_a_life),
		SCENARIO_TEST(test_repositories),
		SCENARIO_TEST(test_staleness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
