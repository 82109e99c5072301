#include "daemon/git/cmds.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B	     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define Z	     GIT_ZERO_ID
#define ADD_LIT(lit) pkt_add(&in, lit, sizeof(lit) - 1)

static enum cmds_state feed(struct push_cmds *c, const struct buf *in, size_t *used)
{
	return push_cmds_feed(c, buf_str(in), in->len, used);
}

static void first_command_carries_capabilities(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	ADD_LIT(A " " B
		  " refs/heads/main\0 report-status-v2 side-band-64k quiet atomic agent=x/1 what");
	pkt_addf(&in, "%s %s refs/tags/v1\n", Z, A);
	pkt_flush(&in);
	buf_adds(&in, "PACK");
	assert_int_equal(feed(&c, &in, &used), CMDS_DONE);
	assert_int_equal(used, in.len - 4);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.caps, CAP_REPORT | CAP_SIDEBAND | CAP_QUIET | CAP_ATOMIC);
	assert_string_equal(c.cmd[0].ref, "refs/heads/main");
	assert_string_equal(c.cmd[0].old_id, A);
	assert_string_equal(c.cmd[0].new_id, B);
	assert_string_equal(c.cmd[1].ref, "refs/tags/v1");
	assert_true(push_cmd_creates(&c.cmd[1]));
	assert_false(push_cmd_creates(&c.cmd[0]));
	assert_true(push_cmds_pack_follows(&c));
	push_cmds_clear(&c);
}

static void capabilities_without_the_space(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	ADD_LIT(A " " Z " refs/heads/x\0report-status");
	pkt_flush(&in);
	assert_int_equal(feed(&c, &in, &used), CMDS_DONE);
	assert_int_equal(c.caps, CAP_REPORT);
	assert_true(push_cmd_deletes(&c.cmd[0]));
	assert_false(push_cmds_pack_follows(&c));
	push_cmds_clear(&c);
}

static void the_probe_has_no_commands(void **state)
{
	struct push_cmds c = {0};
	size_t used;

	assert_int_equal(push_cmds_feed(&c, "0000", 4, &used), CMDS_DONE);
	assert_int_equal(c.n, 0);
	assert_false(push_cmds_pack_follows(&c));
	push_cmds_clear(&c);
}

static void shallow_lines(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	pkt_addf(&in, "shallow %s\n", A);
	pkt_addf(&in, "shallow %s", B);
	pkt_addf(&in, "%s %s refs/heads/x", Z, A);
	pkt_flush(&in);
	assert_int_equal(feed(&c, &in, &used), CMDS_DONE);
	assert_int_equal(c.nshallow, 2);
	assert_string_equal(c.shallow[1], B);
	push_cmds_clear(&c);
}

static void upper_case_ids_become_lower(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	pkt_addf(&in, "%s AAAAAAAAAAaaaaaaaaaaAAAAAAAAAAaaaaaaaaaa refs/heads/x", Z);
	pkt_flush(&in);
	assert_int_equal(feed(&c, &in, &used), CMDS_DONE);
	assert_string_equal(c.cmd[0].new_id, A);
	push_cmds_clear(&c);
}

static void junk_is_refused(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "expected old/new/ref"},
		{A " " B, "expected old/new/ref"},
		{A " " B " ", "expected old/new/ref"},
		{A "  " B " refs/x", "expected old/new/ref"},
		{"g" A " " B " refs/heads/x", "expected old/new/ref"},
		{"shallow " A "0", "bad shallow line"},
		{"shallow x", "bad shallow line"},
		{"push-cert-end", "signed pushes are not supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_clear) struct buf in = {0};
		struct push_cmds c = {0};
		size_t used;

		pkt_addf(&in, "%s", cases[i].line);
		pkt_flush(&in);
		assert_int_equal(feed(&c, &in, &used), CMDS_BAD);
		assert_string_equal(c.why, cases[i].why);
		push_cmds_clear(&c);
	}
}

static void sha256_is_refused(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	ADD_LIT(Z " " A " refs/heads/x\0 object-format=sha256");
	assert_int_equal(feed(&c, &in, &used), CMDS_BAD);
	assert_non_null(strstr(c.why, "object format"));
	push_cmds_clear(&c);
}

static void commands_beyond_the_limit_are_dropped(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	for (int i = 0; i <= LIM_GIT_COMMANDS; i++)
		pkt_addf(&in, "%s %s refs/heads/b%d", Z, A, i);
	pkt_flush(&in);
	assert_int_equal(feed(&c, &in, &used), CMDS_DONE);
	assert_true(c.too_many);
	assert_int_equal(c.n, LIM_GIT_COMMANDS);
	push_cmds_clear(&c);
}

static void long_names_are_refused(void **state)
{
	AUTO(buf_clear) struct buf in = {0};
	struct push_cmds c = {0};
	size_t used;

	pkt_addf(&in, "%s %s refs/heads/%0*d", Z, A, LIM_GIT_REF_NAME, 7);
	assert_int_equal(feed(&c, &in, &used), CMDS_BAD);
	assert_string_equal(c.why, "reference name too long");
	push_cmds_clear(&c);
}

static void ref_names(void **state)
{
	static const char *const good[] = {
		"refs/heads/main", "refs/heads/a/b/c", "refs/tags/v1.0",
		"refs/heads/-x",   "refs/heads/é",     "refs/notes/commits",
		"refs/heads/@",	   "refs/heads/a@b",   "refs/heads/x{y"};
	static const char *const bad[] = {
		"HEAD",
		"refs",
		"refs/",
		"refs/main",
		"main",
		"refs/heads/",
		"refs/heads//x",
		"refs/heads/../x",
		"refs/heads/.x",
		"refs/heads/x.lock",
		"refs/heads/x.",
		"refs/heads/a..b",
		"refs/heads/a b",
		"refs/heads/a\nb",
		"refs/heads/a~1",
		"refs/heads/a^",
		"refs/heads/a:b",
		"refs/heads/a?",
		"refs/heads/a*",
		"refs/heads/a[b",
		"refs/heads/a\\b",
		"refs/heads/a@{b",
		"refs/heads/x\x7f",
		"/refs/heads/x",
		"refs/heads/x.lock/y",
		"Refs/heads/x",
		"refs/heads/x/",
		"",
		"refs/heads/x\1",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(git_ref_ok(good[i], false));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(git_ref_ok(bad[i], false));
	assert_true(git_ref_ok("refs/stash", true));
	assert_true(git_ref_deploys("refs/heads/main"));
	assert_true(git_ref_deploys("refs/heads/master"));
	assert_false(git_ref_deploys("refs/heads/main2"));
	assert_false(git_ref_deploys("refs/tags/main"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_command_carries_capabilities),
		cmocka_unit_test(capabilities_without_the_space),
		cmocka_unit_test(the_probe_has_no_commands),
		cmocka_unit_test(shallow_lines),
		cmocka_unit_test(upper_case_ids_become_lower),
		cmocka_unit_test(junk_is_refused),
		cmocka_unit_test(sha256_is_refused),
		cmocka_unit_test(commands_beyond_the_limit_are_dropped),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(ref_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
