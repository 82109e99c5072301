/* Partners: what an answer comes to, what config vars are called, tokens of single sign-on, lines
 * of logs that come in. */
#include "daemon/addon/loginput.h"
#include "daemon/addon/partner.h"
#include "tests/unit/test.h"

#include <string.h>

static struct manifest *acme(void)
{
	static const char text[] = "name: acme\n"
				   "prefix: ACME\n"
				   "config_vars: [URL, KEY, ACME_X, \"\"]\n"
				   "plans: [{name: basic}]\n"
				   "partner: {base_url: \"https://a.example/r\"}\n";
	struct manifest *m = NULL;
	struct err err = {0};

	assert_int_equal(manifest_parse("f.yml", text, strlen(text), &m, &err), 0);
	return m;
}

static void what_answers_come_to(void **state)
{
	static const struct {
		const char *verb;
		int status;
		const char *body;
		enum outcome o;
		const char *said; /* in the error, or of out when done */
	} t[] = {
		{"provision", 201, "{\"id\": \"x\", \"config\": {\"ACME_URL\": \"u\"}}", OUT_DONE,
		 "{\"config\": {\"URL\": \"u\"}, \"id\": \"x\"}"},
		{"provision", 200,
		 "{\"id\": 5, \"new\": [1], \"config\": {\"ACME\": \"\", \"KEY\": null}}", OUT_DONE,
		 "{\"config\": {\"\": \"\"}, \"id\": 5}"},
		{"provision", 200, "{}", OUT_DONE, "{}"},
		{"provision", 200,
		 "{\"config\": null, \"message\": \"a\\u0001b\", \"log_drain_url\": 5}", OUT_DONE,
		 "{\"message\": \"a b\"}"},
		{"provision", 200, "", OUT_FAULT, "answered nothing"},
		{"provision", 204, "", OUT_FAULT, "answered nothing"},
		{"provision", 201, "[]", OUT_FAULT, "no JSON object"},
		{"provision", 201, "{\"id\"", OUT_FAULT, "no JSON object"},
		{"provision", 201, "{\"config\": [1]}", OUT_FAULT, "config is no object"},
		{"provision", 201, "{\"config\": {\"ACMEURL\": \"u\"}}", OUT_FAULT, "has ACMEURL"},
		{"provision", 201, "{\"id\": {}}", OUT_FAULT, "its id"},
		{"provision", 201, "{\"id\": \"a\\u0000b\"}", OUT_FAULT, "no JSON object"},
		{"provision", 202, "", OUT_CALLS_BACK, "works on it"},
		{"provision", 202, "{\"message\": \"soon\"}", OUT_CALLS_BACK, "soon"},
		{"provision", 410, "", OUT_REFUSED, "removed meanwhile"},
		{"provision", 422, "<html>", OUT_REFUSED, "without saying why"},
		{"provision", 422, "{\"message\": \"no\"}", OUT_REFUSED, "no"},
		{"provision", 503, "{\"message\": \"later\"}", OUT_LATER, "later"},
		{"provision", 429, "", OUT_LATER, "just now"},
		{"provision", 302, "", OUT_FAULT, "redirects are not followed"},
		{"provision", 401, "", OUT_FAULT, "answered 401"},
		{"provision", 500, "x", OUT_FAULT, "answered 500"},
		{"change", 200, "", OUT_DONE, "{}"},
		{"change", 204, "", OUT_DONE, "{}"},
		{"change", 200, "oops", OUT_FAULT, "no JSON object"},
		{"change", 422, "{}", OUT_REFUSED, "without saying why"},
		{"deprovision", 204, "", OUT_DONE, "{}"},
		{"deprovision", 200, "gone!", OUT_DONE, "{}"},
		{"deprovision", 404, "", OUT_DONE, "{}"},
		{"deprovision", 410, "", OUT_DONE, "{}"},
		{"deprovision", 202, "", OUT_LATER, "under way"},
		{"deprovision", 422, "{\"message\": \"no\"}", OUT_FAULT, "422: no"},
		{"deprovision", 503, "", OUT_FAULT, "503"},
	};
	AUTO(manifest_free) struct manifest *m = acme();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(json_decref) json_t *out = NULL;
		struct err err = {0};
		enum outcome o = partner_judge(m, t[i].verb, t[i].status, t[i].body,
					       strlen(t[i].body), &out, &err);
		AUTO(auto_str) char *text = json_dumps(out, JSON_SORT_KEYS);

		if (o != t[i].o || (o != OUT_DONE && !strstr(err.msg, t[i].said)) ||
		    (o == OUT_DONE && strcmp(text, t[i].said) != 0))
			fail_msg("%s %d %s: %d %s %s", t[i].verb, t[i].status, t[i].body, o,
				 err.msg, text);
	}
}

static void names_of_config_vars(void **state)
{
	AUTO(manifest_free) struct manifest *m = acme();
	AUTO(json_decref) json_t *config = json_pack("{s:s, s:s}", "URL", "u", "", "e");
	AUTO(json_decref) json_t *names = partner_names(m, config);

	(void)state;
	assert_string_equal(partner_suffix(m, "ACME_URL"), "URL");
	assert_string_equal(partner_suffix(m, "URL"), "URL");
	assert_string_equal(partner_suffix(m, "ACME"), "");
	assert_string_equal(partner_suffix(m, "ACME_ACME_X"), "ACME_X");
	assert_string_equal(partner_suffix(m, "ACME_X"), "ACME_X");
	assert_null(partner_suffix(m, "ACME_PATH"));
	assert_null(partner_suffix(m, "PATH"));
	assert_null(partner_suffix(m, "ACMEURL"));
	assert_string_equal(json_string_value(json_object_get(names, "ACME_URL")), "u");
	assert_string_equal(json_string_value(json_object_get(names, "ACME")), "e");
}

/* The example of Dev Center: Add-on Single Sign-on. */
static void sso_tokens(void **state)
{
	static const char salt[] = "2f97bfa52ca102f8874716e2eb1d3b4920ad0be4";
	char name[] = "acme-db", app[] = "shop";
	struct store_addon row = {.id = "0a1", .name = name, .app_name = app};
	struct addon_actor by = {"u-1", "dev@example.com"};
	char token[41];

	(void)state;
	partner_sso_token("123", salt, 1267597772, token);
	assert_string_equal(token, "bb466eb1d6bc345d11072c3cd25c311f21be130d");
	for (int i = 0; i < 2; i++) {
		AUTO(json_decref) json_t *f = NULL;

		row.provider_id = i ? xstrdup("123") : NULL;
		f = partner_sso_fields(&row, salt, 1267597772, &by);
		assert_int_equal(json_object_size(f), 10);
		assert_string_equal(json_string_value(json_object_get(f, "resource_id")), "0a1");
		assert_string_equal(json_string_value(json_object_get(f, "id")), i ? "123" : "0a1");
		if (i)
			assert_string_equal(json_string_value(json_object_get(f, "token")), token);
		free(row.provider_id);
	}
}

static void lines_that_come_in(void **state)
{
	static const char body[] = "44 <190>1 2026-01-01T00:00:00Z h t.x p-1 - a b\n"
				   "42 <190>1 2026-01-01T00:00:00Z h t.x ; - - c\n";
	struct loginput l;
	size_t at = 0, n = strlen(body);

	(void)state;
	assert_int_equal(loginput_next(body, n, &at, &l), 1);
	assert_string_equal(l.proc, "p-1");
	assert_memory_equal(l.text, "a b", l.len);
	assert_int_equal(l.len, 3);
	assert_int_equal(loginput_next(body, n, &at, &l), 1);
	assert_string_equal(l.proc, "");
	assert_int_equal(l.len, 1);
	assert_int_equal(loginput_next(body, n, &at, &l), 0);
	for (size_t cut = 1; cut < 44; cut++) {
		at = 0;
		assert_int_equal(loginput_next(body, cut, &at, &l), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_answers_come_to),
		cmocka_unit_test(names_of_config_vars),
		cmocka_unit_test(sso_tokens),
		cmocka_unit_test(lines_that_come_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
