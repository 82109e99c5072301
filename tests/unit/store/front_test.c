/* Domains, certificates, transfers: each scenario inside one transaction on a fresh store. */
#include "daemon/store/app.h"
#include "daemon/store/domain.h"
#include "daemon/store/sni.h"
#include "daemon/store/transfer.h"
#include "daemon/store/user.h"
#include "proto/limits.h"
#include "tests/unit/store/scenario.h"

struct seed {
	struct store_user owner, other;
	struct store_app one, two, theirs; /* of owner, owner, other */
};

static void seed_clear(struct seed *s)
{
	store_user_clear(&s->owner);
	store_user_clear(&s->other);
	store_app_clear(&s->one);
	store_app_clear(&s->two);
	store_app_clear(&s->theirs);
}
#define seed_clear_p seed_clear

static int seed(struct tx *tx, struct seed *s, struct err *err)
{
	CHECK(store_user_create(tx, "a@x.test", NULL, NULL, false, &s->owner, err) == 0);
	CHECK(store_user_create(tx, "b@x.test", NULL, NULL, false, &s->other, err) == 0);
	CHECK(store_app_create(tx, "one", s->owner.id, "st", &s->one, err) == 0);
	CHECK(store_app_create(tx, "two", s->owner.id, "st", &s->two, err) == 0);
	CHECK(store_app_create(tx, "theirs", s->other.id, "st", &s->theirs, err) == 0);
	return 0;
}

static int add(struct tx *tx, const struct store_app *a, const char *host, struct err *err)
{
	AUTO(store_domain_clear) struct store_domain d = {0};

	return store_domain_create(tx, a->id, host, "", &d, err);
}

static int run_overlaps(struct tx *tx, void *arg, struct err *err)
{
	static const char *const covered[] = {"a.x.test", "b.a.x.test", "*.a.x.test"};
	static const char *const apart[] = {"x.test", "bx.test", "*.bx.test", "a.x.test.org"};
	AUTO(seed_clear) struct seed s = {0};

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	CHECK(add(tx, &s.one, "*.x.test", err) == 0);
	FAILS(add(tx, &s.one, "*.x.test", err), ERR_INVALID_PARAMS);
	FAILS(add(tx, &s.theirs, "*.x.test", err), ERR_INVALID_PARAMS);
	for (size_t i = 0; i < ARRAY_LEN(covered); i++)
		FAILS(add(tx, &s.theirs, covered[i], err), ERR_INVALID_PARAMS);
	for (size_t i = 0; i < ARRAY_LEN(covered); i++)
		CHECK(add(tx, &s.two, covered[i], err) == 0);
	for (size_t i = 0; i < ARRAY_LEN(apart); i++)
		CHECK(add(tx, &s.theirs, apart[i], err) == 0);
	FAILS(add(tx, &s.one, "*.test", err), ERR_INVALID_PARAMS);     /* above x.test of theirs */
	FAILS(add(tx, &s.one, "*.test.org", err), ERR_INVALID_PARAMS); /* above a.x.test.org */
	CHECK(add(tx, &s.theirs, "*.org", err) == 0);
	return 0;
}

static void overlaps(void **state)
{
	scenario(state, run_overlaps);
}

static int run_limits(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	char host[64];

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	for (int i = 0; i < LIM_DOMAINS; i++) {
		snprintf(host, sizeof host, "h%d.x.test", i);
		CHECK(add(tx, &s.one, host, err) == 0);
	}
	FAILS(add(tx, &s.one, "more.x.test", err), ERR_INVALID_PARAMS);
	CHECK(add(tx, &s.two, "more.x.test", err) == 0);
	for (int i = 0; i < LIM_SNI_ENDPOINTS; i++) {
		AUTO(store_sni_clear) struct store_sni n = {0};

		snprintf(host, sizeof host, "name-%d", i);
		CHECK(store_sni_create(tx, s.one.id, host, "C", "K", false, &n, err) == 0);
	}
	AUTO(store_sni_clear) struct store_sni n = {0};
	FAILS(store_sni_create(tx, s.one.id, "more", "C", "K", false, &n, err), ERR_INVALID_PARAMS);
	CHECK(store_sni_create(tx, s.two.id, "name-1", "C", "K", false, &n, err) == 0);
	return 0;
}

static void limits(void **state)
{
	scenario(state, run_limits);
}

/* The chain that a client asking for host gets, or "" */
static int served(struct tx *tx, const char *host, const char *want, struct err *err)
{
	AUTO(auto_str) char *chain = NULL;
	AUTO(auto_str) char *key = NULL;
	int rc = store_sni_of_host(tx, host, &chain, &key, err);

	if (rc < 0)
		return err->code == ERR_NOT_FOUND && !*want ? (*err = (struct err){0}, 0) : -1;
	return strcmp(chain, want) == 0 && key[0] == 'k' && strcmp(key + 1, want) == 0 ? 0 : -1;
}

static int run_certificates(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_sni_clear) struct store_sni a = {0}, b = {0}, dup = {0};
	AUTO(store_domain_clear) struct store_domain exact = {0}, wild = {0}, after = {0};

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	CHECK(store_sni_create(tx, s.one.id, "aa", "A", "kA", true, &a, err) == 0);
	CHECK(store_sni_create(tx, s.one.id, "bb", "B", "kB", false, &b, err) == 0);
	CHECK(a.ca_signed && !b.ca_signed);
	FAILS(store_sni_create(tx, s.one.id, "aa", "A", "kA", true, &dup, err), ERR_CONFLICT);
	CHECK(store_domain_create(tx, s.one.id, "www.x.test", a.id, &exact, err) == 0);
	CHECK(store_domain_create(tx, s.one.id, "*.x.test", b.id, &wild, err) == 0);
	CHECK(served(tx, "www.x.test", "A", err) == 0);
	CHECK(served(tx, "shop.x.test", "B", err) == 0);
	CHECK(served(tx, "x.test", "", err) == 0);
	CHECK(served(tx, "", "", err) == 0);
	CHECK(store_sni_update(tx, a.id, "C", "kC", false, err) == 0);
	CHECK(served(tx, "www.x.test", "C", err) == 0);
	CHECK(store_sni_delete(tx, a.id, err) == 0);
	CHECK(store_domain_find(tx, s.one.id, "www.x.test", &after, err) == 0);
	CHECK(!after.sni_id[0] && !after.sni_name);
	CHECK(served(tx, "www.x.test", "B", err) == 0); /* the wildcard's is good for it */
	CHECK(store_app_set_destroying(tx, s.one.id, err) == 0);
	CHECK(served(tx, "shop.x.test", "", err) == 0);
	CHECK(store_app_delete(tx, s.one.id, err) == 0);
	CHECK(add(tx, &s.theirs, "www.x.test", err) == 0); /* free again */
	return 0;
}

static void certificates(void **state)
{
	scenario(state, run_certificates);
}

static int run_transfers(struct tx *tx, void *arg, struct err *err)
{
	AUTO(seed_clear) struct seed s = {0};
	AUTO(store_transfer_clear) struct store_transfer t = {0}, u = {0};
	AUTO(store_app_clear) struct store_app app = {0};
	unsigned perms;

	(void)arg;
	CHECK(seed(tx, &s, err) == 0);
	CHECK(store_transfer_create(tx, s.one.id, s.owner.id, s.other.id, &t, err) == 0);
	FAILS(store_transfer_create(tx, s.one.id, s.owner.id, s.other.id, &u, err),
	      ERR_INVALID_PARAMS);
	CHECK(store_transfer_settle(tx, &t, false, err) == 0);
	FAILS(store_transfer_settle(tx, &t, true, err), ERR_INVALID_PARAMS);
	CHECK(store_transfer_create(tx, s.one.id, s.owner.id, s.other.id, &u, err) == 0);
	CHECK(store_transfer_settle(tx, &u, true, err) == 0);
	CHECK(store_app_get(tx, s.one.id, &app, err) == 0);
	CHECK(strcmp(app.owner_id, s.other.id) == 0);
	CHECK(store_app_access(tx, s.owner.id, s.one.id, &perms, err) == 0);
	CHECK(perms == STORE_PERMS_COLLABORATOR);
	/* an offer by who is no longer the owner comes to nothing */
	store_transfer_clear(&u);
	CHECK(store_transfer_create(tx, s.one.id, s.owner.id, s.owner.id, &u, err) == 0);
	FAILS(store_transfer_settle(tx, &u, true, err), ERR_INVALID_PARAMS);
	return 0;
}

static void transfers(void **state)
{
	scenario(state, run_transfers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO_TEST(overlaps),
		SCENARIO_TEST(limits),
		SCENARIO_TEST(certificates),
		SCENARIO_TEST(transfers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
