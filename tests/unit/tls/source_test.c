#include "daemon/tls/tls.h"
#include "daemon/core/fsx.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DAY 86400000LL

struct fix {
	char dir[64];
	struct config cfg;
	struct master_key *key;
	struct tls_source *s;
};

static int setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof *f);
	struct err err = {0};
	char path[128];

	codec_init();
	snprintf(f->dir, sizeof f->dir, "/tmp/paas-tls-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	config_init(&f->cfg);
	config_set(&f->cfg, "state_dir", f->dir, &err);
	config_set(&f->cfg, "listen", "127.0.0.1:8080,10.1.2.3:80,[::]:443,0.0.0.0:81", &err);
	config_set(&f->cfg, "public_url", "https://paas.example.org:8443/", &err);
	snprintf(path, sizeof path, "%s/master.key", f->dir);
	assert_int_equal(master_key_load(path, &f->key, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	tls_source_free(f->s);
	master_key_free(f->key);
	fs_rmtree(f->dir, NULL);
	config_clear(&f->cfg);
	clock_shift(0);
	free(f);
	return 0;
}

static void open_source(struct fix *f)
{
	struct err err = {0};

	tls_source_free(f->s);
	f->s = NULL;
	if (tls_source_open(&f->cfg, f->key, &f->s, &err) < 0)
		fail_msg("%s", err.msg);
}

/* What clients would get: info and chain to the authority. */
static void read_pair(struct fix *f, const struct tls_pair *p, struct tls_cert_info *i)
{
	AUTO(auto_str) char *ca = tls_source_ca(f->s);
	AUTO(auto_str) char *both = xasprintf("%s%s", p->cert, ca);
	struct err err = {0};

	if (tls_cert_parse(both, p->key, clock_wall_ms(), i, &err) < 0)
		fail_msg("%s", err.msg);
}

static void get_default(struct fix *f, struct tls_cert_info *i)
{
	AUTO(tls_pair_clear) struct tls_pair p = {0};
	struct err err = {0};

	assert_int_equal(tls_source_default(f->s, &p, &err), 0);
	read_pair(f, &p, i);
}

static mode_t mode_of(struct fix *f, const char *name)
{
	AUTO(auto_str) char *path = xasprintf("%s/certs/%s", f->dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void the_first_start_makes_authority_and_leaf(void **state)
{
	static const char *const hosts[] = {"localhost", "web.localhost", "127.0.0.1",
					    "[::1]",	 "10.1.2.3",	  "paas.example.org"};
	struct fix *f = *state;
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	AUTO(buf_clear) struct buf key = {0};
	AUTO(auto_str) char *path = xasprintf("%s/certs/ca.key", f->dir);

	open_source(f);
	get_default(f, &i);
	assert_int_equal(i.chain_len, 2);
	for (size_t k = 0; k < ARRAY_LEN(hosts); k++)
		if (!tls_cert_covers(&i, hosts[k]))
			fail_msg("%s", hosts[k]);
	assert_false(tls_cert_covers(&i, "0.0.0.0"));
	assert_false(tls_cert_covers(&i, "::"));
	assert_true(i.expires_ms > clock_wall_ms() + 396 * DAY);
	assert_true(i.expires_ms < clock_wall_ms() + 398 * DAY);
	assert_int_equal(mode_of(f, "ca.pem"), 0644);
	assert_int_equal(mode_of(f, "ca.key"), 0600);
	assert_int_equal(mode_of(f, "leaf.key"), 0600);
	assert_int_equal(fs_read(path, 65536, &key, NULL), 0);
	assert_null(memmem(key.data, key.len, "PRIVATE", 7)); /* sealed */
}

static void a_restart_keeps_them(void **state)
{
	struct fix *f = *state;
	AUTO(tls_cert_info_clear) struct tls_cert_info a = {0}, b = {0}, c = {0};

	open_source(f);
	get_default(f, &a);
	open_source(f);
	get_default(f, &b);
	assert_string_equal(a.sha256, b.sha256);
	/* another host name: another leaf, of the same authority */
	config_set(&f->cfg, "platform_host", "paas.test", NULL);
	open_source(f);
	get_default(f, &c);
	assert_string_not_equal(a.sha256, c.sha256);
	assert_true(tls_cert_covers(&c, "paas.test"));
	assert_string_equal(a.issuer, c.issuer);
}

static void each_name_has_a_leaf_that_stays(void **state)
{
	struct fix *f = *state;
	AUTO(tls_pair_clear) struct tls_pair p = {0}, q = {0}, none = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info i = {0};
	struct err err = {0};

	open_source(f);
	assert_int_equal(tls_source_host(f->s, "web.localhost", &p, &err), 1);
	assert_int_equal(tls_source_host(f->s, "web.localhost", &q, &err), 1);
	assert_string_equal(p.cert, q.cert);
	read_pair(f, &p, &i);
	assert_int_equal(i.nnames, 1);
	assert_string_equal(i.names[0], "web.localhost");
	assert_int_equal(i.chain_len, 2);
	assert_int_equal(tls_source_host(f->s, "localhost", &none, &err), 0);
	assert_int_equal(tls_source_host(f->s, "a\nb", &none, &err), 0);
	assert_int_equal(tls_source_host(f->s, "", &none, &err), 0);
	assert_null(none.cert);
}

static void leaves_are_made_anew_before_they_end(void **state)
{
	struct fix *f = *state;
	AUTO(tls_pair_clear) struct tls_pair p = {0}, q = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info a = {0}, b = {0};
	struct err err = {0};

	open_source(f);
	get_default(f, &a);
	assert_int_equal(tls_source_host(f->s, "web.localhost", &p, &err), 1);
	clock_shift(370 * DAY);
	get_default(f, &b);
	assert_int_equal(tls_source_host(f->s, "web.localhost", &q, &err), 1);
	clock_shift(-370 * DAY);
	assert_string_not_equal(a.sha256, b.sha256);
	assert_string_not_equal(p.cert, q.cert);
	assert_string_equal(a.issuer, b.issuer);
}

static void the_authority_is_made_anew_before_it_ends(void **state)
{
	struct fix *f = *state;
	AUTO(tls_cert_info_clear) struct tls_cert_info a = {0}, b = {0};

	open_source(f);
	get_default(f, &a);
	clock_shift(3630 * DAY);
	get_default(f, &b);
	clock_shift(-3630 * DAY);
	assert_string_not_equal(a.issuer, b.issuer);
	assert_int_equal(b.chain_len, 2);
}

static void another_master_key_is_said(void **state)
{
	struct fix *f = *state;
	AUTO(auto_str) char *path = xasprintf("%s/master.key", f->dir);
	struct err err = {0};

	open_source(f);
	tls_source_free(f->s);
	f->s = NULL;
	master_key_free(f->key);
	unlink(path);
	assert_int_equal(master_key_load(path, &f->key, &err), 0);
	assert_int_equal(tls_source_open(&f->cfg, f->key, &f->s, &err), -1);
	assert_non_null(strstr(err.msg, "master.key"));
}

static int mine(void *arg, const char *host, struct tls_pair *out, struct err *err)
{
	if (strcmp(host, "broken.test") == 0)
		return err_set(err, ERR_IO, "no");
	if (strcmp(host, "own.test") != 0)
		return 0;
	*out = (struct tls_pair){xstrdup("cert"), xstrdup("key")};
	return 1;
}

static void sources_come_first(void **state)
{
	struct fix *f = *state;
	AUTO(tls_pair_clear) struct tls_pair p = {0}, q = {0};
	struct err err = {0};

	open_source(f);
	tls_source_add(f->s, mine, NULL);
	assert_int_equal(tls_source_host(f->s, "own.test", &p, &err), 1);
	assert_string_equal(p.cert, "cert");
	assert_int_equal(tls_source_host(f->s, "broken.test", &q, &err), -1);
	assert_int_equal(tls_source_host(f->s, "other.test", &q, &err), 1);
	assert_non_null(strstr(q.cert, "BEGIN CERTIFICATE"));
}

static void write_file(struct fix *f, const char *name, const char *text, const char *key)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", f->dir, name);
	struct err err = {0};

	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, &err), 0);
	if (key)
		assert_int_equal(config_set(&f->cfg, key, path, &err), 0);
}

static void the_configured_certificate_is_the_default(void **state)
{
	static const char *const names[] = {"localhost", "*.apps.test", NULL};
	struct fix *f = *state;
	AUTO(tls_pair_clear) struct tls_pair ca = {0}, own = {0}, p = {0};
	AUTO(tls_cert_info_clear) struct tls_cert_info a = {0}, b = {0}, c = {0};
	struct err err = {0};

	assert_int_equal(tls_ca_make("Other CA", clock_wall_ms(), 100, &ca, &err), 0);
	assert_int_equal(tls_leaf_make(&ca, names, clock_wall_ms(), 50, &own, &err), 0);
	write_file(f, "own.pem", own.cert, "tls.cert");
	write_file(f, "own.key", own.key, "tls.key");
	open_source(f);
	get_default(f, &a);
	assert_string_equal(a.issuer, "CN=Other CA,O=paasd");
	/* it covers some names; the others have the authority's */
	assert_int_equal(tls_source_host(f->s, "web.apps.test", &p, &err), 0);
	assert_int_equal(tls_source_host(f->s, "web.localhost", &p, &err), 1);
	/* replaced by junk: the last good one stays */
	write_file(f, "own.pem", "junk", NULL);
	get_default(f, &b);
	assert_string_equal(a.sha256, b.sha256);
	/* and from the start: the development leaf */
	open_source(f);
	get_default(f, &c);
	assert_string_not_equal(a.issuer, c.issuer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_start_makes_authority_and_leaf, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_restart_keeps_them, setup, teardown),
		cmocka_unit_test_setup_teardown(each_name_has_a_leaf_that_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_are_made_anew_before_they_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_authority_is_made_anew_before_it_ends, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_master_key_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(sources_come_first, setup, teardown),
		cmocka_unit_test_setup_teardown(the_configured_certificate_is_the_default, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
