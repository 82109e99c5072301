/* Request bodies against their tables: what is let through, and how complaints name the place. */
#include "daemon/api/api_int.h"
#include "tests/unit/test.h"

#include <string.h>

static const struct api_field update[] = {
	{"type", F_LINE, F_REQUIRED, .min = 1, .max = 8},
	{"quantity", F_QUANTITY, .min = 0, .max = 100},
	{0},
};
static const struct api_field update_item = {NULL, F_OBJECT, .of = update};
static const struct api_field text_or_null = {NULL, F_STRING, F_NULL, .max = 4};
static const struct api_field table[] = {
	{"name", F_LINE, .min = 1, .max = 5},
	{"level", F_LINE, .choice = "notify|sync"},
	{"on", F_BOOL},
	{"n", F_INT, .min = 1, .max = 9},
	{"updates", F_LIST, .min = 1, .max = 3, .of = &update_item},
	{"env", F_MAP, .max = 2, .of = &text_or_null},
	{"app", F_REF},
	{"url", F_URI},
	{"cert", F_STRING, F_NULL},
	{0},
};
static const struct api_field needed[] = {{"url", F_URI, F_REQUIRED}, {0}};
static const struct api_field nullable[] = {{"cert", F_REF, F_REQUIRED | F_NULL}, {0}};

static const struct {
	const char *body, *complaint; /* NULL: good */
} cases[] = {
	{"{}", NULL},
	{"{\"name\": null}", NULL},
	{"{\"name\": \"\"}", "Parameter name must not be empty."},
	{"{\"name\": \"abcdef\"}", "Parameter name has at most 5 characters."},
	{"{\"name\": \"a\\nb\"}", "Parameter name must be one line without control characters."},
	{"{\"name\": 1}", "Parameter name must be a string."},
	{"{\"nmae\": 1}", "Unknown parameter: nmae."},
	{"{\"level\": \"sync\"}", NULL},
	{"{\"level\": \"notify|sync\"}", "Parameter level must be one of notify|sync."},
	{"{\"level\": \"\"}", "Parameter level must be one of notify|sync."},
	{"{\"on\": 1}", "Parameter on must be true or false."},
	{"{\"n\": \"7\"}", NULL},
	{"{\"n\": 0}", "Parameter n must be between 1 and 9."},
	{"{\"n\": \"+7\"}", "Parameter n must be an integer."},
	{"{\"n\": 1.5}", "Parameter n must be an integer."},
	{"{\"updates\": []}", "Parameter updates has 1 to 3 items."},
	{"{\"updates\": [{\"type\": \"web\", \"quantity\": \"+1\"}]}", NULL},
	{"{\"updates\": [{\"type\": \"web\"}, {}]}",
	 "Missing required parameter: updates[1].type."},
	{"{\"updates\": [{\"type\": \"web\", \"quantity\": 101}]}",
	 "Parameter updates[0].quantity must be between 0 and 100."},
	{"{\"updates\": [{\"type\": \"web\", \"x\": 1}]}", "Unknown parameter: updates[0].x."},
	{"{\"updates\": [null]}", "Parameter updates[0] must not be null."},
	{"{\"env\": {\"A\": null, \"B\": \"1234\"}}", NULL},
	{"{\"env\": {\"A\": \"12345\"}}", "Parameter env.A has at most 4 characters."},
	{"{\"env\": {\"A\": \"\", \"B\": \"\", \"C\": \"\"}}",
	 "Parameter env has at most 2 names."},
	{"{\"env\": []}", "Parameter env must be an object."},
	{"{\"app\": \"x\"}", NULL},
	{"{\"app\": {\"name\": \"x\"}}", NULL},
	{"{\"app\": {}}", "Parameter app must have an id or a name."},
	{"{\"app\": 5}", "Parameter app must be an id or a name."},
	{"{\"url\": \"https://h:1/p?q\"}", NULL},
	{"{\"url\": \"ftp://h\"}", "Parameter url must be an http:// or https:// URL."},
	{"{\"url\": \"http:///p\"}", "Parameter url must be an http:// or https:// URL."},
	{"{\"cert\": null}", NULL},
};

static void test_checks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *j = json_loads(cases[i].body, 0, NULL);
		struct err err = {0};
		int rc = api_fields_check(table, j, &err);

		if (cases[i].complaint) {
			assert_int_equal(rc, -1);
			assert_string_equal(err.msg, cases[i].complaint);
			assert_int_equal(err.status, 422);
		} else {
			assert_int_equal(rc, 0);
		}
		json_decref(j);
	}
}

static void test_required(void **state)
{
	json_t *j = json_pack("{s:n}", "cert");
	struct err err = {0};

	(void)state;
	assert_int_equal(api_fields_check(needed, NULL, &err), -1);
	assert_string_equal(err.msg, "Missing required parameter: url.");
	assert_int_equal(api_fields_check(nullable, j, &err), 0);
	json_decref(j);
}

static void test_reading(void **state)
{
	json_t *j = json_loads("{\"a\": {\"id\": null, \"name\": \"n\"}, \"b\": \"5\", \"c\": "
			       "true, \"d\": null}",
			       0, NULL);

	(void)state;
	assert_string_equal(api_get_ref(j, "a"), "n");
	assert_int_equal(api_get_int(j, "b", 1), 5);
	assert_int_equal(api_get_bool(j, "c", -1), 1);
	assert_int_equal(api_get_bool(j, "d", -1), -1);
	assert_null(api_get_str(j, "d"));
	assert_int_equal(api_get_int(j, "none", 7), 7);
	json_decref(j);
}

static void test_described(void **state)
{
	AUTO(buf_clear) struct buf b = {0};
	json_t *s = api_fields_schema(table);

	(void)state;
	api_fields_text(table, &b);
	assert_non_null(strstr(buf_str(&b), "level: notify/sync"));
	assert_non_null(strstr(buf_str(&b), "updates: [{*type: text, quantity: quantity}]"));
	assert_non_null(strstr(buf_str(&b), "env: {NAME: text or null}"));
	assert_int_equal(
		json_array_size(json_object_get(
			json_object_get(json_object_get(s, "properties"), "level"), "enum")),
		2);
	json_decref(s);
}

static void free_keys(void **state)
{
	static const struct api_field open_table[] = {
		{"known", F_INT, F_REQUIRED, .min = 1},
		{"*", F_STRING, F_NULL, .max = 3},
		{0},
	};
	static const struct {
		const char *body, *wrong; /* NULL = fine */
	} bodies[] = {
		{"{\"known\": 1}", NULL},
		{"{\"known\": 1, \"A\": \"abc\", \"B\": null}", NULL},
		{"{\"A\": \"abc\"}", "known"},
		{"{\"known\": \"x\"}", "known"},
		{"{\"known\": 1, \"A\": \"abcd\"}", "A"},
		{"{\"known\": 1, \"A\": 5}", "A"},
	};
	AUTO(buf_clear) struct buf text = {0};
	json_t *schema = api_fields_schema(open_table);

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		json_t *body = json_loads(bodies[i].body, 0, NULL);
		struct err err = {0};
		int rc = api_fields_check(open_table, body, &err);

		if ((rc == 0) != !bodies[i].wrong)
			fail_msg("%s", bodies[i].body);
		if (rc < 0 && !strstr(err.msg, bodies[i].wrong))
			fail_msg("%s: %s", bodies[i].body, err.msg);
		json_decref(body);
	}
	assert_true(json_is_object(json_object_get(schema, "additionalProperties")));
	assert_int_equal(json_object_size(json_object_get(schema, "properties")), 1);
	api_fields_text(open_table, &text);
	assert_string_equal(buf_str(&text), "*known: integer, NAME: text or null");
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),	cmocka_unit_test(test_required),
		cmocka_unit_test(test_reading), cmocka_unit_test(test_described),
		cmocka_unit_test(free_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
