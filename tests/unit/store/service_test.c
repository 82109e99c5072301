/* Services and volumes in the database, and what an app's dynos get of them. */
#include "daemon/store/addon.h"
#include "daemon/store/app.h"
#include "daemon/store/service.h"
#include "daemon/store/user.h"
#include "daemon/store/volume.h"
#include "tests/unit/store/scenario.h"

struct seed {
	struct store_user user;
	struct store_app web, jobs;
	struct store_addon pg, redis;
	struct store_attachment att;
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->user);
	store_app_clear(&s->web);
	store_app_clear(&s->jobs);
	store_addon_clear(&s->pg);
	store_addon_clear(&s->redis);
	store_attachment_clear(&s->att);
}
#define seed_clear_p seed_clear

static int attach(struct tx *tx, struct seed *s, const struct store_addon *a,
		  const struct store_app *app, const char *name, struct err *err)
{
	store_attachment_clear(&s->att);
	return store_attachment_insert(tx, a->id, app->id, name, NULL, &s->att, err);
}

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	struct store_addon_new pg = {
		.name = "pg-1", .service = "heroku-postgresql", .plan = "mini"};
	struct store_addon_new redis = {.name = "r-1", .service = "heroku-redis", .plan = "mini"};

	CHECK(store_user_create(tx, "o@example.com", NULL, NULL, false, &s->user, err) == 0);
	CHECK(store_app_create(tx, "web", s->user.id, "heroku-22", &s->web, err) == 0);
	CHECK(store_app_create(tx, "jobs", s->user.id, "heroku-22", &s->jobs, err) == 0);
	pg.app_id = redis.app_id = s->web.id;
	pg.user_id = redis.user_id = s->user.id;
	CHECK(store_addon_insert(tx, &pg, &s->pg, err) == 0);
	CHECK(store_addon_insert(tx, &redis, &s->redis, err) == 0);
	CHECK(attach(tx, s, &s->pg, &s->web, "DATABASE", err) == 0);
	return attach(tx, s, &s->redis, &s->jobs, "REDIS", err);
}

static int ways(struct tx *tx, const struct store_app *app, struct launch_way *first, int *n,
		struct err *err)
{
	struct launch_way *w = NULL;

	if (store_service_ways(tx, app->id, &w, n, err) < 0)
		return -1;
	*first = *n ? w[0] : (struct launch_way){0};
	free(w);
	return 0;
}

static int services(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_service_clear) struct store_service pg = {0};
	AUTO(store_service_clear) struct store_service redis = {0};
	AUTO(store_service_clear) struct store_service again = {0};
	AUTO(store_app_clear) struct store_app third = {0};
	struct store_service_new shared = {
		.kind = "postgresql", .provider = "heroku-postgresql", .spec = "{}", .port = 5432};
	struct store_service_new own = {
		.kind = "redis", .provider = "heroku-redis", .spec = "{}", .port = 6379};
	struct launch_way w;
	struct err e = {0};
	int n;

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	own.addon_id = s.redis.id;
	CHECK(store_service_insert(tx, &shared, 3, &pg, err) == 0);
	CHECK(pg.shared && pg.wanted && !pg.addon_id[0] && pg.address == 1 && pg.uid == 2);
	CHECK(store_service_insert(tx, &own, 3, &redis, err) == 0);
	CHECK(!redis.shared && redis.address == 2 && redis.uid == 3);
	/* a user is an app's or a service's */
	CHECK(store_app_create(tx, "third", s.user.id, "heroku-22", &third, err) == 0);
	CHECK(third.uid == 4);
	CHECK(store_service_insert(tx, &shared, 3, &again, &e) == -1 && e.code == ERR_CONFLICT);
	CHECK(store_service_insert(tx, &own, 3, &again, &e) == -1 && e.code == ERR_CONFLICT);
	CHECK(store_service_find(tx, NULL, "postgresql", &again, err) == 0);
	CHECK(strcmp(again.id, pg.id) == 0);
	store_service_clear(&again);
	CHECK(store_service_find(tx, s.pg.id, NULL, &again, &e) == -1 && e.code == ERR_NOT_FOUND);
	/* what dynos may reach: by attachment, not by owner */
	CHECK(ways(tx, &s.web, &w, &n, err) == 0 && n == 1 && w.address == 1 && w.port == 5432);
	CHECK(ways(tx, &s.jobs, &w, &n, err) == 0 && n == 1 && w.address == 2 && w.port == 6379);
	CHECK(attach(tx, &s, &s.redis, &s.web, "REDIS", err) == 0);
	CHECK(attach(tx, &s, &s.redis, &s.web, "CACHE", err) == 0);
	CHECK(ways(tx, &s.web, &w, &n, err) == 0 && n == 2);
	CHECK(ways(tx, &third, &w, &n, err) == 0 && n == 0);
	CHECK(store_service_unwant(tx, pg.id, err) == 0);
	CHECK(ways(tx, &s.web, &w, &n, err) == 0 && n == 1 && w.address == 2);
	/* the address is free again, the highest one is the highest */
	CHECK(store_service_delete(tx, pg.id, err) == 0);
	CHECK(store_service_insert(tx, &shared, 1, &again, err) == 0 && again.address == 1);
	CHECK(store_service_delete(tx, again.id, err) == 0);
	store_service_clear(&again);
	shared.kind = "other";
	CHECK(store_service_insert(tx, &shared, 0, &again, &e) == -1 && e.code == ERR_UNAVAILABLE);
	return 0;
}

static int volumes(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_volume_clear) struct store_volume v = {0};
	AUTO(store_volume_clear) struct store_volume w = {0};
	AUTO(store_volumes_clear) struct store_volumes list = {0};
	AUTO(store_mounts_clear) struct store_mounts m = {0};
	AUTO(store_user_clear) struct store_user other = {0};
	struct err e = {0};

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	CHECK(store_user_create(tx, "p@example.com", NULL, NULL, false, &other, err) == 0);
	CHECK(store_volume_insert(tx, "data", s.user.id, 100, &v, err) == 0);
	CHECK(v.state == VOLUME_CREATING && v.size_mb == 100);
	CHECK(store_volume_insert(tx, "data", s.user.id, 1, &w, &e) == -1);
	CHECK(e.code == ERR_INVALID_PARAMS);
	CHECK(store_volume_insert(tx, "more", s.user.id, 1, &w, err) == 0);
	CHECK(!w.attachment_id[0]);
	CHECK(store_volume_attach(tx, v.id, s.jobs.id, "/app/d", true, err) == 0);
	CHECK(store_volume_attach(tx, w.id, s.jobs.id, "/app/d", false, &e) == -1);
	CHECK(e.code == ERR_INVALID_PARAMS);
	CHECK(store_volume_attach(tx, w.id, s.jobs.id, "/app/d/e", false, &e) == -1);
	CHECK(store_volume_attach(tx, w.id, s.jobs.id, "/app", false, &e) == -1);
	CHECK(store_volume_attach(tx, v.id, s.web.id, "/x", false, &e) == -1);
	CHECK(store_volumes_give(tx, s.jobs.id, s.user.id, other.id, err) == 0);
	CHECK(store_volumes_list(tx, other.id, NULL, &list, err) == 0 && list.n == 1);
	store_volumes_clear(&list);
	CHECK(store_volumes_give(tx, s.jobs.id, other.id, s.user.id, err) == 0);
	store_volume_clear(&v);
	CHECK(store_volume_find(tx, "data", &v, err) == 0 && v.read_only);
	CHECK(strcmp(v.attached_name, "jobs") == 0);
	CHECK(store_volume_mounts(tx, s.jobs.id, &m, err) == 0 && m.n == 1 && m.v[0].read_only);
	CHECK(strcmp(m.v[0].path, "/app/d") == 0 && strcmp(m.v[0].volume_id, v.id) == 0);
	CHECK(store_volumes_list(tx, s.user.id, NULL, &list, err) == 0 && list.n == 2);
	store_volumes_clear(&list);
	CHECK(store_volumes_list(tx, s.user.id, s.jobs.id, &list, err) == 0);
	CHECK(list.n >= 1 && strcmp(list.v[0].name, "data") == 0);
	store_volumes_clear(&list);
	CHECK(store_volumes_list(tx, other.id, NULL, &list, err) == 0 && list.n == 0);
	CHECK(store_volumes_list(tx, NULL, NULL, &list, err) == 0 && list.n == 2);
	/* an app that goes leaves the volume to its user */
	CHECK(store_app_delete(tx, s.jobs.id, err) == 0);
	store_volume_clear(&v);
	CHECK(store_volume_find(tx, "data", &v, err) == 0);
	CHECK(!v.attachment_id[0] && v.size_mb == 100);
	CHECK(store_volume_resize(tx, v.id, 200, err) == 0);
	CHECK(store_volume_detach(tx, v.id, &e) == -1 && e.code == ERR_NOT_FOUND);
	CHECK(store_volume_delete(tx, v.id, err) == 0);
	store_volume_clear(&v);
	CHECK(store_volume_find(tx, "data", &v, &e) == -1 && e.code == ERR_NOT_FOUND);
	return 0;
}

static void services_and_ways(void **state)
{
	scenario(state, services);
}

static void volumes_and_mounts(void **state)
{
	scenario(state, volumes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO_TEST(services_and_ways),
		SCENARIO_TEST(volumes_and_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
