#include "tests/unit/test.h"
#include "daemon/sandbox/sandbox.h"
#include "proto/logwire.h"

#include <string.h>
#include <sys/stat.h>

static const char id[] = "00000000-0000-4000-8000-000000000001";

static void put(const char *run, const char *name, const void *data, size_t n)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/dynos", run);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/dynos/%s", run, id);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/dynos/%s/%s", run, id, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	fclose(f);
}

static void nothing_there_is_not_found(void **state)
{
	struct launch_spec spec;
	struct sandbox_status st;
	struct err err = {0};
	char ip[16];

	assert_int_equal(sandbox_status(*state, id, &st, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	err = (struct err){0};
	assert_int_equal(sandbox_spec(*state, id, &spec, ip, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(sandbox_spool(*state, id, NULL, NULL, &err), 0);
}

static void status_is_read(void **state)
{
	static const char exited[] = "exit 3\noom 0\nended_us 1700000000123456\n";
	static const char killed[] = "signal 9\noom 2\nended_us 5\n";
	static const char *const bad[] = {"", "exit", "exit x", "gone 3\n", "\n"};
	struct sandbox_status st;
	struct err err = {0};

	put(*state, "status", exited, strlen(exited));
	assert_int_equal(sandbox_status(*state, id, &st, &err), 0);
	assert_true(st.exit_code == 3 && st.signal == 0 && st.oom == 0 &&
		    st.ended_us == 1700000000123456);
	put(*state, "status", killed, strlen(killed));
	assert_int_equal(sandbox_status(*state, id, &st, &err), 0);
	assert_true(st.exit_code == 137 && st.signal == 9 && st.oom == 2);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put(*state, "status", bad[i], strlen(bad[i]));
		assert_int_equal(sandbox_status(*state, id, &st, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
	}
}

static void spec_and_address_are_read(void **state)
{
	struct launch_spec spec = {.port = 5000, .log = true}, out;
	struct buf b = {0};
	struct err err = {0};
	size_t mark;
	char ip[16];

	snprintf(spec.id, sizeof spec.id, "%s", id);
	launch_spec_arg(&spec, "true");
	launch_spec_encode(&b, LAUNCH_CREATE, &spec);
	mark = wire_begin(&b, LAUNCH_OK);
	wire_str(&b, L_IP, "10.128.3.4");
	wire_end(&b, mark);
	put(*state, "spec", b.data, b.len);
	assert_int_equal(sandbox_spec(*state, id, &out, ip, &err), 0);
	assert_string_equal(ip, "10.128.3.4");
	assert_string_equal(out.id, id);
	assert_true(out.port == 5000 && out.log);
	launch_spec_clear(&out);
	for (size_t n = 0; n < 40; n++) {
		put(*state, "spec", b.data, n);
		assert_int_equal(sandbox_spec(*state, id, &out, ip, &err), -1);
	}
	launch_spec_clear(&spec);
	buf_clear(&b);
}

static void note(const struct sandbox_line *l, void *arg)
{
	buf_addf(arg, "%s %s[%s] %lld %llu %.*s\n", l->app_id, l->source, l->proc, (long long)l->ts,
		 (unsigned long long)l->dropped, (int)l->len, l->text);
}

static void spooled_lines_are_read_in_order(void **state)
{
	struct buf b = {0}, got = {0};
	struct err err = {0};
	size_t mark = wire_begin(&b, LOG_BATCH);

	wire_u64(&b, K_SEQ, 1);
	wire_str(&b, K_APP, "app-1");
	wire_str(&b, K_SOURCE, "app");
	wire_str(&b, K_PROC, "web.1");
	wire_u64(&b, K_DROPPED, 7);
	wire_u64(&b, K_TS_US, 10);
	wire_str(&b, K_TEXT, "first");
	wire_u64(&b, K_TS_US, 11);
	wire_str(&b, K_TEXT, "");
	wire_end(&b, mark);
	mark = wire_begin(&b, LOG_BATCH);
	wire_u64(&b, K_SEQ, 2);
	wire_str(&b, K_PROC, "web.2");
	wire_u64(&b, K_TS_US, 12);
	wire_str(&b, K_TEXT, "third");
	wire_end(&b, mark);
	buf_adds(&b, "cut off");
	put(*state, "spool", b.data, b.len);
	assert_int_equal(sandbox_spool(*state, id, note, &got, &err), 0);
	assert_string_equal(got.data, "app-1 app[web.1] 10 7 first\n"
				      "app-1 app[web.1] 11 0 \n"
				      "app-1 app[web.2] 12 0 third\n");
	buf_clear(&b);
	buf_clear(&got);
}

static void a_link_in_place_of_a_file_is_not_followed(void **state)
{
	char path[300], to[300];
	struct sandbox_status st;
	struct err err = {0};

	put(*state, "real", "exit 1\n", 7);
	snprintf(path, sizeof path, "%s/dynos/%s/status", (char *)*state, id);
	snprintf(to, sizeof to, "%s/dynos/%s/real", (char *)*state, id);
	assert_int_equal(symlink(to, path), 0);
	assert_int_equal(sandbox_status(*state, id, &st, &err), -1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, tmp_setup, tmp_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_there_is_not_found),
		T(status_is_read),
		T(spec_and_address_are_read),
		T(spooled_lines_are_read_in_order),
		T(a_link_in_place_of_a_file_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
