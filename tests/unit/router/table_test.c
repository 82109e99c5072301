#include "router/certs.h"
#include "router/snapshot.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct rt_certs *certs; /* none in them */

/* An app with `dynos` dynos on ports from `port` and the hosts of a comma list. */
static struct rt_app *make(const char *id, const char *hosts, int dynos, int port)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, ROUTE_APP);
	struct wire_frame f;
	struct rt_app *a = NULL;
	struct err err = {0};

	wire_u64(&b, R_SEQ, (uint64_t)rand());
	wire_str(&b, R_APP_ID, id);
	wire_u64(&b, R_STATE, ROUTE_SERVING);
	while (*hosts) {
		size_t n = strcspn(hosts, ",");

		wire_bytes(&b, R_HOST, hosts, n);
		hosts += n + (hosts[n] == ',');
	}
	for (int i = 0; i < dynos; i++) {
		char name[32];

		snprintf(name, sizeof name, "web.%d", i + 1);
		wire_str(&b, R_DYNO_ID, name);
		wire_str(&b, R_DYNO_NAME, name);
		wire_str(&b, R_DYNO_IP, "10.1.2.3");
		wire_u64(&b, R_DYNO_PORT, (uint64_t)(port + i));
	}
	wire_end(&b, mark);
	assert_int_equal(wire_parse(b.data, b.len, &f), (ssize_t)b.len);
	assert_int_equal(rt_app_parse(&f, &a, &err), 0);
	return a;
}

static const char *find(const struct rt_master *m, const char *host)
{
	struct rt_app *a = rt_table_find(m->table, host, strlen(host));

	return a ? a->id : NULL;
}

static void set(struct rt_master *m, struct rt_app *a)
{
	bool changed;

	rt_app_unref(rt_master_set(m, a, &changed));
}

static void entries_are_parsed(void **state)
{
	struct rt_app *a = make("a", "Web.Example.COM,b.example.com", 2, 5000);

	assert_int_equal(a->nhosts, 2);
	assert_string_equal(a->hosts[0].name, "web.example.com");
	assert_int_equal(a->ndynos, 2);
	assert_string_equal(a->dynos[1].name, "web.2");
	assert_int_equal(ntohs(a->dynos[1].addr.in.sin_port), 5001);
	rt_app_unref(a);
}

static int parse_with(uint16_t type, uint16_t key, const char *text, uint64_t port)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, type);
	struct wire_frame f;
	struct rt_app *a = NULL;
	struct err err = {0};
	int r;

	if (key != R_APP_ID)
		wire_str(&b, R_APP_ID, "a");
	wire_str(&b, key, text);
	if (key == R_DYNO_IP) {
		wire_str(&b, R_DYNO_ID, "d");
		wire_u64(&b, R_DYNO_PORT, port);
	}
	wire_end(&b, mark);
	wire_parse(b.data, b.len, &f);
	r = rt_app_parse(&f, &a, &err);
	rt_app_unref(a);
	return r;
}

static void bad_entries_are_refused(void **state)
{
	char sock[200];

	memset(sock, 'x', sizeof sock);
	sock[sizeof sock - 1] = 0;
	assert_int_equal(parse_with(ROUTE_APP, R_APP_ID, "", 0), -1);
	assert_int_equal(parse_with(ROUTE_APP, R_APP_ID, RT_PLATFORM_ID, 0), -1);
	assert_int_equal(parse_with(ROUTE_APP, R_HOST, "", 0), -1);
	assert_int_equal(parse_with(ROUTE_APP, R_DYNO_IP, "localhost", 80), -1);
	assert_int_equal(parse_with(ROUTE_APP, R_DYNO_IP, "127.0.0.1", 0), -1);
	assert_int_equal(parse_with(ROUTE_APP, R_DYNO_IP, "127.0.0.1", 65536), -1);
	assert_int_equal(parse_with(ROUTE_PLATFORM, R_HOST, "localhost", 0), -1);
	assert_int_equal(parse_with(ROUTE_PLATFORM, R_SOCKET, sock, 0), -1);
	assert_int_equal(parse_with(ROUTE_PLATFORM, R_SOCKET, "/run/api.sock", 0), 0);
	assert_int_equal(parse_with(ROUTE_APP, R_DYNO_IP, "fe80::1", 80), 0);
}

static void equal_entries_change_nothing(void **state)
{
	struct rt_master m;
	struct rt_app *before;
	bool changed;

	rt_master_init(&m);
	set(&m, make("a", "a.x", 1, 5000));
	before = rt_master_get(&m, "a");
	assert_null(rt_master_set(&m, make("a", "a.x", 1, 5000), &changed));
	assert_false(changed);
	assert_ptr_equal(rt_master_get(&m, "a"), before);
	set(&m, make("a", "b.x", 1, 5000));
	assert_null(find(&m, "a.x"));
	assert_string_equal(find(&m, "b.x"), "a");
	rt_master_clear(&m);
}

/* Sets and deletes at random; after each the table must say what a plain list says. */
static void table_agrees_with_a_list(void **state)
{
	enum { APPS = 60 };
	bool there[APPS] = {0};
	int version[APPS] = {0};
	struct rt_master m;

	srand(7);
	rt_master_init(&m);
	for (int step = 0; step < 3000; step++) {
		int i = rand() % APPS;
		char id[16], hosts[64], host[32];

		snprintf(id, sizeof id, "app%d", i);
		if (rand() % 3) {
			version[i] = rand() % 4;
			snprintf(hosts, sizeof hosts, "h%d-%d,same%d", i, version[i], i);
			set(&m, make(id, hosts, 1, 5000));
			there[i] = true;
		} else {
			struct rt_app *gone = rt_master_del(&m, id);

			assert_int_equal(gone != NULL, there[i]);
			rt_app_unref(gone);
			there[i] = false;
		}
		for (int k = 0; k < APPS; k++) {
			snprintf(host, sizeof host, "same%d", k);
			assert_int_equal(find(&m, host) != NULL, there[k]);
			for (int v = 0; v < 4; v++) {
				snprintf(host, sizeof host, "h%d-%d", k, v);
				assert_int_equal(find(&m, host) != NULL,
						 there[k] && version[k] == v);
			}
		}
	}
	rt_master_clear(&m);
}

static void wildcards_stand_back(void **state)
{
	struct rt_master m;

	rt_master_init(&m);
	set(&m, make("exact", "www.example.com,example.com", 0, 0));
	assert_null(find(&m, "shop.example.com"));
	set(&m, make("wild", "*.example.com", 0, 0));
	set(&m, make("deep", "*.eu.example.com", 0, 0));
	for (int i = 0; i < 40; i++) { /* so that the table grows around them */
		char id[16], host[32];

		snprintf(id, sizeof id, "app-%d", i);
		snprintf(host, sizeof host, "h%d.test", i);
		set(&m, make(id, host, 0, 0));
	}
	assert_string_equal(find(&m, "www.example.com"), "exact");
	assert_string_equal(find(&m, "example.com"), "exact");
	assert_string_equal(find(&m, "shop.example.com"), "wild");
	assert_string_equal(find(&m, "a.shop.example.com"), "wild");
	assert_string_equal(find(&m, "eu.example.com"), "wild");
	assert_string_equal(find(&m, "de.eu.example.com"), "deep");
	assert_null(find(&m, "badexample.com"));
	assert_null(find(&m, ".example.com."));
	assert_null(find(&m, "."));
	assert_null(find(&m, ""));
	rt_app_unref(rt_master_del(&m, "deep"));
	assert_string_equal(find(&m, "de.eu.example.com"), "wild");
	set(&m, make("wild", "other.test", 0, 0));
	assert_null(find(&m, "shop.example.com"));
	assert_int_equal(m.table->wildcards, 0);
	rt_master_clear(&m);
}

static void copies_do_not_follow_the_master(void **state)
{
	struct rt_master m;
	struct rt_table *t;
	struct rt_app *gone;

	rt_master_init(&m);
	set(&m, make("a", "a.x", 1, 5000));
	t = rt_master_copy(&m);
	gone = rt_master_del(&m, "a");
	assert_non_null(rt_table_find(t, "a.x", 3));
	assert_null(find(&m, "a.x"));
	rt_app_unref(gone);
	free(t);
	rt_master_clear(&m);
}

/* --- snapshot --------------------------------------------------------------------------------- */

static int reload(const char *dir, struct rt_master *m, struct err *err)
{
	struct rt_snapshot s;
	int n;

	rt_master_init(m);
	n = rt_snapshot_open(&s, dir, m, certs, err);
	rt_snapshot_close(&s);
	return n;
}

static void append(struct rt_snapshot *s, struct rt_master *m, const char *id, const char *hosts)
{
	struct rt_app *a = make(id, hosts, 1, 5000);
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};

	buf_add(&b, a->raw.data, a->raw.len);
	set(m, a);
	assert_int_equal(rt_snapshot_append(s, &b, m, &err), 0);
}

static void append_del(struct rt_snapshot *s, struct rt_master *m, const char *id)
{
	AUTO(buf_clear) struct buf b = {0};
	struct err err = {0};
	size_t mark = wire_begin(&b, ROUTE_DEL);

	wire_str(&b, R_APP_ID, id);
	wire_end(&b, mark);
	rt_app_unref(rt_master_del(m, id));
	assert_int_equal(rt_snapshot_append(s, &b, m, &err), 0);
}

static void snapshot_survives(void **state)
{
	struct rt_master m, back;
	struct rt_snapshot s;
	struct err err = {0};

	rt_master_init(&m);
	assert_int_equal(rt_snapshot_open(&s, *state, &m, certs, &err), 0);
	append(&s, &m, "a", "a.x");
	append(&s, &m, "b", "b.x");
	append(&s, &m, "a", "a2.x");
	append_del(&s, &m, "b");
	append(&s, &m, "c", "c.x");
	assert_int_equal(reload(*state, &back, &err), 2);
	assert_string_equal(find(&back, "a2.x"), "a");
	assert_string_equal(find(&back, "c.x"), "c");
	assert_null(find(&back, "a.x"));
	assert_null(find(&back, "b.x"));
	rt_master_clear(&back);
	rt_snapshot_close(&s);
	rt_master_clear(&m);
}

static void snapshot_does_not_grow_for_ever(void **state)
{
	struct rt_master m, back;
	struct rt_snapshot s;
	struct err err = {0};
	char path[300], host[32];
	struct stat st;

	rt_master_init(&m);
	assert_int_equal(rt_snapshot_open(&s, *state, &m, certs, &err), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(host, sizeof host, "a%d.x", i);
		append(&s, &m, "a", host);
	}
	snprintf(path, sizeof path, "%s/routes.snapshot", (char *)*state);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 100 * 1024);
	assert_int_equal(reload(*state, &back, &err), 1);
	assert_non_null(find(&back, "a4999.x"));
	rt_master_clear(&back);
	rt_snapshot_close(&s);
	rt_master_clear(&m);
}

/* Cut at every length and with each byte changed: never more than a shorter table, never a crash.
 */
static void damage_is_noticed(void **state)
{
	struct rt_master m, back;
	struct rt_snapshot s;
	struct err err = {0};
	char path[300], data[4096];
	ssize_t n;
	int fd;

	rt_master_init(&m);
	assert_int_equal(rt_snapshot_open(&s, *state, &m, certs, &err), 0);
	append(&s, &m, "a", "a.x");
	append(&s, &m, "b", "b.x");
	rt_snapshot_close(&s);
	rt_master_clear(&m);
	snprintf(path, sizeof path, "%s/routes.snapshot", (char *)*state);
	fd = open(path, O_RDWR);
	n = read(fd, data, sizeof data);
	assert_true(n > 100 && n < (ssize_t)sizeof data);
	for (ssize_t i = 0; i < n; i++) {
		char c = (char)(data[i] ^ 0x41);

		assert_int_equal(pwrite(fd, &c, 1, i), 1);
		assert_int_equal(reload(*state, &back, &err), -1);
		assert_true(back.napps < 2);
		rt_master_clear(&back);
		assert_int_equal(pwrite(fd, &data[i], 1, i), 1);
	}
	for (ssize_t len = n - 1; len >= 0; len--) {
		int r;

		assert_int_equal(ftruncate(fd, len), 0);
		r = reload(*state, &back, &err);
		/* A cut between two records looks whole: it is an older table. */
		assert_true(r == -1 || r < 2);
		rt_master_clear(&back);
	}
	close(fd);
}

static void a_change_among_1000_apps_is_cheap(void **state)
{
	struct rt_master m;
	struct rt_snapshot s;
	struct err err = {0};
	struct timespec t0, t1;
	char id[32], host[64];
	double us;

	rt_master_init(&m);
	assert_int_equal(rt_snapshot_open(&s, *state, &m, certs, &err), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof id, "id-%d", i);
		snprintf(host, sizeof host, "app-%d.example.com,www.app-%d.example.com", i, i);
		set(&m, make(id, host, 3, 5000));
	}
	assert_int_equal(rt_snapshot_write(&s, &m, &err), 0);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < 100; i++) {
		snprintf(host, sizeof host, "app-500.example.com,v%d.example.com", i);
		append(&s, &m, "id-500", host);
		free(rt_master_copy(&m));
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	us = ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / 1e5;
	print_message("change of one of 1000 apps: %.0f us (table, copy, snapshot)\n", us);
	assert_true(us < 5000);
	rt_snapshot_close(&s);
	rt_master_clear(&m);
}

static int certs_setup(void **state)
{
	certs = rt_certs_new();
	return 0;
}

static int certs_teardown(void **state)
{
	rt_certs_free(certs);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_parsed),
		cmocka_unit_test(bad_entries_are_refused),
		cmocka_unit_test(equal_entries_change_nothing),
		cmocka_unit_test(table_agrees_with_a_list),
		cmocka_unit_test(wildcards_stand_back),
		cmocka_unit_test(copies_do_not_follow_the_master),
		cmocka_unit_test_setup_teardown(snapshot_survives, tmp_setup, tmp_teardown),
		cmocka_unit_test_setup_teardown(snapshot_does_not_grow_for_ever, tmp_setup,
						tmp_teardown),
		cmocka_unit_test_setup_teardown(damage_is_noticed, tmp_setup, tmp_teardown),
		cmocka_unit_test_setup_teardown(a_change_among_1000_apps_is_cheap, tmp_setup,
						tmp_teardown),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
