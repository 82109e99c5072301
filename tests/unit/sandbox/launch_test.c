#include "launcher/plan.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct launch_spec example(void)
{
	struct launch_spec s = {.stdio = LAUNCH_PTY,
				.app_uid = 7,
				.net = true,
				.log = true,
				.port = 5000,
				.address = LAUNCH_ADDRESSES,
				.mem_quota = 512 << 20,
				.mem_max = 1ull << 40,
				.pids_max = 256,
				.tmp_bytes = 1,
				.keep_output = 2,
				.cpu_weight = 100,
				.cpu_pct = 50,
				.rows = 24,
				.cols = 80,
				.metrics_ms = 20000,
				.on_detach = LAUNCH_HANGUP,
				.attach_ms = 30000,
				.ttl_s = 86400};

	snprintf(s.id, sizeof s.id, "00000000-0000-4000-8000-000000000001");
	snprintf(s.app_id, sizeof s.app_id, "00000000-0000-4000-8000-000000000002");
	snprintf(s.name, sizeof s.name, "web.1");
	launch_spec_arg(&s, "bash");
	launch_spec_arg(&s, "");
	launch_spec_env(&s, "A", "b=c\nd");
	launch_spec_env(&s, "EMPTY", "");
	launch_spec_bind(&s, "/s/rc", "/d/st", BIND_RO | BIND_IDMAP);
	launch_spec_bind(&s, "", "/x", BIND_HOST | BIND_OPTIONAL);
	launch_spec_reach(&s, "10.128.120.1", 5432);
	launch_spec_reach(&s, "10.128.127.254", 65535);
	s.cwd = xstrdup("/app/sub");
	s.slug = xstrdup("/slugs/1");
	s.stack = xstrdup("");
	return s;
}

static void assert_same(const struct launch_spec *a, const struct launch_spec *b)
{
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->app_id, b->app_id);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->argc, b->argc);
	assert_int_equal(a->envc, b->envc);
	assert_int_equal(a->nbinds, b->nbinds);
	for (int i = 0; i <= a->argc; i++)
		assert_true(i == a->argc ? !b->argv[i] : strcmp(a->argv[i], b->argv[i]) == 0);
	for (int i = 0; i <= a->envc; i++)
		assert_true(i == a->envc ? !b->env[i] : strcmp(a->env[i], b->env[i]) == 0);
	for (int i = 0; i < a->nbinds; i++) {
		assert_int_equal(a->binds[i].flags, b->binds[i].flags);
		assert_string_equal(a->binds[i].src, b->binds[i].src);
		assert_string_equal(a->binds[i].dst, b->binds[i].dst);
	}
	assert_int_equal(a->nreach, b->nreach);
	for (int i = 0; i < a->nreach; i++)
		assert_string_equal(a->reach[i], b->reach[i]);
	assert_int_equal(a->address, b->address);
	assert_string_equal(a->cwd, b->cwd);
	assert_string_equal(a->slug, b->slug);
	assert_string_equal(a->stack, b->stack);
	assert_null(b->release);
	assert_int_equal(a->stdio, b->stdio);
	assert_int_equal(a->app_uid, b->app_uid);
	assert_true(b->net && b->log);
	assert_int_equal(a->port, b->port);
	assert_true(a->mem_quota == b->mem_quota && a->mem_max == b->mem_max);
	assert_true(a->pids_max == b->pids_max && a->tmp_bytes == b->tmp_bytes);
	assert_true(a->keep_output == b->keep_output && a->cpu_weight == b->cpu_weight);
	assert_true(a->cpu_pct == b->cpu_pct && a->rows == b->rows && a->cols == b->cols);
	assert_true(a->metrics_ms == b->metrics_ms && a->on_detach == b->on_detach);
	assert_true(a->attach_ms == b->attach_ms && a->ttl_s == b->ttl_s);
}

static void fixed_addresses_are_the_last_of_the_subnet(void **state)
{
	char ip[16];

	assert_int_equal(launch_subnet(0), 10u << 24 | 128u << 16);
	assert_int_equal(launch_subnet(LAUNCH_SUBNETS - 1), 10u << 24 | 255u << 16 | 128u << 8);
	assert_true(launch_fixed_ip("10.128.0.1", 1, ip));
	assert_string_equal(ip, "10.128.120.1");
	assert_true(launch_fixed_ip("10.131.128.1", 256, ip));
	assert_string_equal(ip, "10.131.249.0");
	assert_true(launch_fixed_ip("10.131.128.1", LAUNCH_ADDRESSES, ip));
	assert_string_equal(ip, "10.131.255.254");
	assert_true(launch_fixed_ip("", 7, ip));
	assert_string_equal(ip, "127.0.0.1");
	assert_false(launch_fixed_ip("10.128.0.1", 0, ip));
	assert_false(launch_fixed_ip("10.128.0.1", LAUNCH_ADDRESSES + 1, ip));
	assert_false(launch_fixed_ip("nonsense", 1, ip));
}

static void a_spec_comes_back_as_it_was(void **state)
{
	struct launch_spec in = example(), out;
	struct buf b = {0};
	struct wire_frame f;
	struct err err = {0};

	launch_spec_encode(&b, LAUNCH_CREATE, &in);
	assert_int_equal(wire_parse(b.data, b.len, &f), (ssize_t)b.len);
	assert_int_equal(f.type, LAUNCH_CREATE);
	assert_int_equal(launch_spec_decode(&f, &out, &err), 0);
	assert_same(&in, &out);
	launch_spec_clear(&in);
	launch_spec_clear(&out);
	buf_clear(&b);
}

static void a_plan_comes_back_as_it_was(void **state)
{
	struct plan in = {.spec = example(),
			  .sandbox = true,
			  .upper_tmpfs = true,
			  .has_net = true,
			  .app = PLAN_APP_OVERLAY,
			  .app_uid = 1000007,
			  .app_gid = 1000008,
			  .owner_uid = 5,
			  .owner_gid = 6,
			  .prefix = 17,
			  .ip = "10.128.0.2",
			  .gateway = "10.128.0.1"};
	struct plan out;
	struct buf b = {0};
	struct err err = {0};

	in.dir = xstrdup("/run/dynos/1");
	in.run = xstrdup("/run");
	in.root = xstrdup("/run/box/root");
	in.tmpl = xstrdup("/run/box/host");
	in.work = xstrdup("/state/dynos/1");
	launch_plan_encode(&b, &in);
	assert_int_equal(launch_plan_decode(b.data, b.len, &out, &err), 0);
	assert_same(&in.spec, &out.spec);
	assert_string_equal(in.dir, out.dir);
	assert_string_equal(in.run, out.run);
	assert_string_equal(in.root, out.root);
	assert_string_equal(in.tmpl, out.tmpl);
	assert_string_equal(in.work, out.work);
	assert_string_equal(in.ip, out.ip);
	assert_string_equal(in.gateway, out.gateway);
	assert_true(out.sandbox && out.upper_tmpfs && out.has_net && out.app == PLAN_APP_OVERLAY);
	assert_true(out.app_uid == 1000007 && out.app_gid == 1000008 && out.owner_uid == 5 &&
		    out.owner_gid == 6 && out.prefix == 17);
	launch_plan_clear(&out);
	for (size_t n = 0; n < b.len; n++) /* every cut is noticed, none leaks or crashes */
		assert_int_equal(launch_plan_decode(b.data, n, &out, &err), -1);
	launch_plan_clear(&in);
	buf_clear(&b);
}

static int decode(struct buf *b, struct err *err)
{
	struct launch_spec out;
	struct wire_frame f;
	int r;

	assert_true(wire_parse(b->data, b->len, &f) > 0);
	r = launch_spec_decode(&f, &out, err);
	if (r == 0)
		launch_spec_clear(&out);
	buf_clear(b);
	return r;
}

static void refuse(uint16_t key, const void *data, size_t n)
{
	struct buf b = {0};
	struct err err = {0};
	size_t mark = wire_begin(&b, LAUNCH_CREATE);

	wire_str(&b, L_ARGV, "true");
	wire_bytes(&b, key, data, n);
	wire_end(&b, mark);
	assert_int_equal(decode(&b, &err), -1);
	assert_string_equal(err.id, "bad_request");
}

static void bad_fields_are_refused(void **state)
{
	static const uint8_t port[] = {0, 0, 0, 0, 0, 1, 0, 0};
	static const uint8_t nine[] = {0, 0, 0, 0, 0, 0, 0, 9};
	static const uint8_t huge[] = {0, 0, 0, 0, 0x80, 0, 0, 0};
	char longer[200];

	memset(longer, 'a', sizeof longer);
	refuse(L_ID, longer, 37);
	refuse(L_NAME, longer, 160);
	refuse(L_NAME, "a\0b", 3);
	refuse(L_ARGV, "a\0b", 3);
	refuse(L_ENV, "A=\0", 3);
	refuse(L_BIND, "1\0/a\0", 5);
	refuse(L_BIND, "1\0/a\0/b", 7);
	refuse(L_BIND, "1\0/a\0/b\0c", 9);
	refuse(L_BIND, "x\0/a\0/b\0", 8);
	refuse(L_BIND, "32\0/a\0/b\0", 9);
	refuse(L_BIND, "", 0);
	refuse(L_PORT, port, sizeof port);
	refuse(L_PORT, huge, sizeof huge);
	refuse(L_STDIO, nine, sizeof nine);
	refuse(L_ON_DETACH, nine, sizeof nine);
	refuse(L_ROWS, port, sizeof port);
}

static void a_spec_needs_a_command_and_ignores_what_it_does_not_know(void **state)
{
	struct buf b = {0};
	struct err err = {0};
	size_t mark = wire_begin(&b, LAUNCH_CREATE);

	wire_end(&b, mark);
	assert_int_equal(decode(&b, &err), -1);
	mark = wire_begin(&b, LAUNCH_CREATE);
	wire_str(&b, 999, "of a newer peer");
	wire_str(&b, L_ARGV, "true");
	wire_end(&b, mark);
	assert_int_equal(decode(&b, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_comes_back_as_it_was),
		cmocka_unit_test(fixed_addresses_are_the_last_of_the_subnet),
		cmocka_unit_test(a_plan_comes_back_as_it_was),
		cmocka_unit_test(bad_fields_are_refused),
		cmocka_unit_test(a_spec_needs_a_command_and_ignores_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
