#include "daemon/appjson/appjson.h"
#include "daemon/dyno/dyno.h"
#include "proto/buf.h"

#include <string.h>

#include "tests/unit/test.h"

/* Written with ' for ", as C would double every one of them. */
static char *quoted(const char *text)
{
	char *s = xstrdup(text);

	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
	return s;
}

/* What is wrong with a file, in order: line:column where text, one after another with | between. */
static char *wrong(const char *text, const char *environment)
{
	AUTO(auto_str) char *json = quoted(text);
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	AUTO(appjson_clear) struct appjson a = {0};
	struct err err = {0};
	struct buf b = {0};
	int rc = appjson_parse(json, strlen(json), environment, &a, &p, &err);

	assert_int_equal(rc<0, p.n> 0);
	for (int i = 0; i < p.n; i++)
		buf_addf(&b, "%s%d:%d %s: %s", i ? " | " : "", p.v[i].line, p.v[i].column,
			 p.v[i].where, p.v[i].text);
	return buf_steal(&b);
}

static const struct {
	const char *text, *problems;
} bad[] = {
	/* the file */
	{"", "1:1 : is no valid JSON: '[' or '{' expected near end of file"},
	{"[]", "1:1 : must be an object: {...}"},
	{"{'name': 'x',}", NULL},
	{"{\n 'name': 'a',\n 'name': 'b'\n}", NULL},
	{"{'nme': 'x'}", "1:2 nme: is no known key; did you mean name?"},
	{"{\n  'adons': []\n}", "2:3 adons: is no known key; did you mean addons?"},
	{"{'BUILDPACKS': []}", "1:2 BUILDPACKS: is no known key; did you mean buildpacks?"},
	{"{'something': 1}", "1:2 something: is no known key"},
	{"{'postdeploy': 'x'}", "1:2 postdeploy: belongs in scripts"},
	{"{'review': {}}", "1:2 review: belongs in environments"},
	/* plain texts */
	{"{'name': 1}", "1:10 name: must be a text, in quotes, not a number"},
	{"{'name': null}", "1:10 name: must be a text, not null"},
	{"{'name': '1app'}",
	 "1:10 name: must begin with a letter, -, _ or . and have at most 300 characters"},
	{"{'name': ''}", "1:10 name: must not be empty"},
	{"{'name': 'a\\nb'}", "1:10 name: must be one line without control characters"},
	{"{'description': []}", "1:17 description: must be a text, not a list"},
	{"{'website': 'example.com'}", "1:13 website: must be an address: https://..."},
	{"{'logo': 'javascript:x'}", "1:10 logo: must be an address: https://..."},
	{"{'success_url': '//evil'}",
	 "1:17 success_url: must be an address, or a path of the app as \"/welcome\""},
	{"{'stack': 'Heroku 24'}", "1:11 stack: must be the name of a stack, as \"heroku-24\""},
	{"{'keywords': 'a'}", "1:14 keywords: must be a list, not a text"},
	{"{'keywords': ['a', 2]}", "1:20 keywords[1]: must be a text, in quotes, not a number"},
	/* env */
	{"{'env': ['A']}", "1:9 env: must be an object, not a list"},
	{"{'env': {'A': 1}}", "1:15 env.A: must be a text, in quotes, or an object"},
	{"{'env': {'A': null}}", "1:15 env.A: must be a text, or an object"},
	{"{'env': {'lower': 'x'}}",
	 "1:10 env.lower: must be a name of capital letters, digits and _, as \"SECRET_KEY\""},
	{"{'env': {'A': {'value': true}}}",
	 "1:25 env.A.value: must be a text, in quotes, not true"},
	{"{'env': {'A': {'required': 'yes'}}}",
	 "1:28 env.A.required: must be true or false, not a text"},
	{"{\n 'env': {\n  'S': {'generator': 'uuid'}\n }\n}",
	 "3:22 env.S.generator: must be \"secret\", the only generator there is"},
	{"{'env': {'A': {'vaule': 'x'}}}",
	 "1:16 env.A.vaule: is no known key; did you mean value?"},
	/* formation */
	{"{'formation': {'web': 1}}", "1:23 formation.web: must be an object, not a number"},
	{"{'formation': {'web': {}}}",
	 "1:23 formation.web: has no \"quantity\", which it must have"},
	{"{'formation': {'web': {'quantity': -1}}}",
	 "1:36 formation.web.quantity: must be between 0 and 100"},
	{"{'formation': {'web': {'quantity': '1'}}}",
	 "1:36 formation.web.quantity: must be a whole number, not a text"},
	{"{'formation': {'a b': {'quantity': 1}}}",
	 "1:16 formation.a b: is no process type: letters, digits, - and _"},
	{"{'formation': {'release': {'quantity': 1}}}",
	 "1:16 formation.release: cannot be scaled: it runs once a release"},
	{"{'formation': [{'process': 'web'}]}", "1:15 formation: must be an object, not a list"},
	/* addons, buildpacks */
	{"{'addons': {'plan': 'x'}}", "1:12 addons: must be a list, not an object"},
	{"{'addons': [1]}", "1:13 addons[0]: must be a text, or an object with a \"plan\""},
	{"{'addons': [{'as': 'DB'}]}", "1:13 addons[0]: has no \"plan\", which it must have"},
	{"{'addons': ['a:b:c']}", "1:13 addons[0]: must be a service and a plan, as "
				  "\"heroku-postgresql:essential-0\""},
	{"{'addons': [{'plan': 'x', 'as': 'my db'}]}",
	 "1:33 addons[0].as: must be a name of capital letters, digits and _, as \"FOLLOWER\""},
	{"{'addons': [{'plan': 'x', 'options': {'v': 15}}]}",
	 "1:44 addons[0].options.v: must be a text, in quotes, not a number"},
	{"{'buildpacks': ['heroku/ruby']}", "1:17 buildpacks[0]: must be an object, not a text"},
	{"{'buildpacks': [{}]}", "1:17 buildpacks[0]: has no \"url\", which it must have"},
	/* scripts, environments */
	{"{'scripts': {'postdeploy': ''}}", "1:28 scripts.postdeploy: must not be empty"},
	{"{'scripts': {'test': 'x'}}", "1:14 scripts.test: belongs in environments.test.scripts"},
	{"{'scripts': {'post-deploy': 'x'}}",
	 "1:14 scripts.post-deploy: is no known key; did you mean postdeploy?"},
	{"{'environments': {'staging': {}}}", "1:19 environments.staging: is no known key"},
	{"{'environments': {'review': {'name': 'x'}}}",
	 "1:30 environments.review.name: is no known key"},
	{"{'environments': {'test': {'env': {'A': 1}}}}",
	 "1:41 environments.test.env.A: must be a text, in quotes, or an object"},
	/* extensions */
	{"{'healthchecks': {'worker': []}}", "1:19 healthchecks.worker: is no known key"},
	{"{'healthchecks': {'web': [{'path': 'up'}]}}",
	 "1:36 healthchecks.web[0].path: must be a path that begins with /, as \"/up\""},
	{"{'healthchecks': {'web': [{}]}}",
	 "1:27 healthchecks.web[0]: has no \"path\", which it must have"},
	{"{'healthchecks': {'web': [{'path': '/', 'timeout': 0}]}}",
	 "1:52 healthchecks.web[0].timeout: must be between 1 and 60"},
	{"{'healthchecks': {'web': [{'path': '/'}, {'path': '/b'}]}}",
	 "1:42 healthchecks.web[1]: is one too many: a dyno has one check"},
	{"{'healthchecks': {'web': {'path': '/', 'type': 'liveness'}}}",
	 "1:48 healthchecks.web.type: must be \"startup\": a check when a dyno starts is the only "
	 "one"},
	{"{'cron': [{'command': 'x'}]}", "1:11 cron[0]: has no \"schedule\", which it must have"},
	{"{'cron': [{'command': 'x', 'schedule': 'daily:06:30', 'overlap': 'queue'}]}",
	 "1:66 cron[0].overlap: must be \"skip\", \"allow\" or \"replace\""},
	{"{'cron': [{'command': 'x', 'schedule': 'daily:06:30', 'timezone': '../etc'}]}",
	 "1:67 cron[0].timezone: must be the name of a time zone, as \"Europe/Berlin\""},
	{"{'cron': [{'command': 'x', 'schedule': 'daily:06:30', 'size': 'huge'}]}", NULL},
	/* columns are characters; all at once, in the order of the file */
	{"{'description': '\xc3\xa4\xc3\xb6', 'x': 1}", "1:23 x: is no known key"},
	{"{'env': {'a': '1'}, 'name': 2,\n 'stack': 3}",
	 "1:10 env.a: must be a name of capital letters, digits and _, as \"SECRET_KEY\" | "
	 "1:29 name: must be a text, in quotes, not a number | "
	 "2:11 stack: must be a text, in quotes, not a number"},
	{"{'a\\u0065dons': 1, 'env': {'A\\u0042': 1}}",
	 "1:2 aedons: is no known key; did you mean addons? | "
	 "1:39 env.AB: must be a text, in quotes, or an object"},
};

static void wrong_files_say_what_and_where(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(auto_str) char *got = wrong(bad[i].text, NULL);
		AUTO(auto_str) char *review = wrong(bad[i].text, "review");

		if (bad[i].problems && strcmp(got, bad[i].problems) != 0)
			print_message("%s\n  got  %s\n  want %s\n", bad[i].text, got,
				      bad[i].problems);
		if (bad[i].problems)
			assert_string_equal(got, bad[i].problems);
		assert_string_not_equal(got, "");
		assert_string_equal(got, review); /* whichever environment counts */
	}
}

static const struct {
	const char *schedule;
	bool ok;
} schedules[] = {
	{"* * * * *", true},
	{"*/5 0-6,12 1 jan,JUL mon-fri", true},
	{"30 6 * * 1-5", true},
	{"0 0 * * 7", true},
	{"every 10 minutes", true},
	{"hourly:30", true},
	{"daily:06:30", true},
	{"0 0 1-31/2 * *", true},
	{"* * * *", false},
	{"* * * * * *", false},
	{"60 * * * *", false},
	{"* 24 * * *", false},
	{"* * 0 * *", false},
	{"* * * 13 *", false},
	{"* * * * 8", false},
	{"5-1 * * * *", false},
	{"*/0 * * * *", false},
	{"1,,2 * * * *", false},
	{"1, * * * *", false},
	{"5/2 * * * *", false},
	{"hourly:60", false},
	{"daily:24:00", false},
	{"daily:6", false},
	{"every minute", false},
	{"99999999999 * * * *", false},
	{"daily:06:30x", false},
	{"hourly:-1", false},
};

static void schedules_are_checked(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(schedules); i++) {
		AUTO(auto_str)
		char *text = xasprintf("{'cron': [{'command': 'x', 'schedule': '%s'}]}",
				       schedules[i].schedule);
		AUTO(auto_str) char *got = wrong(text, NULL);

		if (!got[0] != schedules[i].ok)
			print_message("%s: %s\n", schedules[i].schedule, got);
		assert_int_equal(!got[0], schedules[i].ok);
	}
}

static const char whole[] =
	"{'$schema': 'https://example.com/schema.json', 'name': 'demo', 'description': 'A\\nB',"
	" 'keywords': ['a', 'b'], 'website': 'https://example.com', 'repository': "
	"'https://example.com/r', 'logo': 'https://example.com/l.svg', 'success_url': '/welcome',"
	" 'stack': 'heroku-24', 'image': 'heroku/nodejs',"
	" 'scripts': {'postdeploy': 'bin/seed', 'pr-predestroy': 'bin/bye'},"
	" 'env': {'PLAIN': 'x', 'S': {'generator': 'secret'}, 'OPT': {'required': false},"
	"  'D': {'description': 'd', 'value': ''}},"
	" 'formation': {'web': {'quantity': 2, 'size': 'Standard-1X'}, 'worker': {'quantity': 0}},"
	" 'addons': ['heroku-postgresql', {'plan': 'heroku-redis:mini', 'as': 'CACHE',"
	"  'options': {'version': '7'}}],"
	" 'buildpacks': [{'url': 'heroku/ruby'}, {'url': 'https://example.com/b.git#v1'}],"
	" 'healthchecks': {'web': [{'type': 'startup', 'name': 'up', 'path': '/up', 'attempts': "
	"3}]},"
	" 'cron': [{'command': 'bin/tick', 'schedule': 'hourly:30', 'timezone': 'Europe/Berlin',"
	"  'size': 'basic', 'overlap': 'allow', 'missed': 'once'}],"
	" 'environments': {'review': {'env': {'PLAIN': 'y', 'NEW': 'z'},"
	"   'formation': {'web': {'quantity': 1}}, 'addons': [], 'buildpacks': [],"
	"   'scripts': {'postdeploy': 'bin/review'}, 'cron': []},"
	"  'test': {'scripts': {'test-setup': 's', 'test': 't'}}}}";

static void parse(const char *text, const char *environment, struct appjson *a)
{
	AUTO(auto_str) char *json = quoted(text);
	struct err err = {0};

	if (appjson_parse(json, strlen(json), environment, a, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct appjson_env *var(const struct appjson *a, const char *name)
{
	for (int i = 0; i < a->nenv; i++)
		if (strcmp(a->env[i].name, name) == 0)
			return &a->env[i];
	return NULL;
}

static void every_key_is_read(void **state)
{
	AUTO(appjson_clear) struct appjson a = {0};

	parse(whole, NULL, &a);
	assert_string_equal(a.name, "demo");
	assert_string_equal(a.description, "A\nB");
	assert_string_equal(a.keywords[1], "b");
	assert_null(a.keywords[2]);
	assert_string_equal(a.success_url, "/welcome");
	assert_string_equal(a.stack, "heroku-24");
	assert_string_equal(a.image, "heroku/nodejs");
	assert_string_equal(a.postdeploy, "bin/seed");
	assert_string_equal(a.pr_predestroy, "bin/bye");
	assert_null(a.test);
	assert_int_equal(a.nenv, 4);
	assert_true(var(&a, "S")->generate && var(&a, "S")->required);
	assert_null(var(&a, "S")->value);
	assert_false(var(&a, "OPT")->required);
	assert_string_equal(var(&a, "D")->value, "");
	assert_int_equal(a.nformation, 2);
	assert_string_equal(a.formation[0].size, "Standard-1X");
	assert_int_equal(a.formation[1].quantity, 0);
	assert_int_equal(a.naddons, 2);
	assert_string_equal(a.addons[0].plan, "heroku-postgresql");
	assert_string_equal(a.addons[1].as, "CACHE");
	assert_string_equal(json_string_value(json_object_get(a.addons[1].options, "version")),
			    "7");
	assert_string_equal(a.buildpacks[1], "https://example.com/b.git#v1");
	assert_int_equal(a.nchecks, 1);
	assert_string_equal(a.checks[0].path, "/up");
	assert_int_equal(a.checks[0].attempts, 3);
	assert_int_equal(a.checks[0].timeout_s, 5);
	assert_int_equal(a.ncron, 1);
	assert_string_equal(a.cron[0].missed, "once");
}

static void an_environment_takes_the_place_of_what_it_has(void **state)
{
	AUTO(appjson_clear) struct appjson a = {0};

	parse(whole, "review", &a);
	assert_int_equal(a.nenv, 5);
	assert_string_equal(var(&a, "PLAIN")->value, "y");
	assert_string_equal(var(&a, "NEW")->value, "z");
	assert_true(var(&a, "S")->generate);
	assert_int_equal(a.nformation, 1);
	assert_int_equal(a.naddons, 0);
	assert_non_null(a.buildpacks); /* given, and empty: detect */
	assert_null(a.buildpacks[0]);
	assert_string_equal(a.postdeploy, "bin/review");
	assert_null(a.pr_predestroy); /* scripts is one key */
	assert_int_equal(a.nchecks, 1);
	assert_int_equal(a.ncron, 0);
	assert_string_equal(a.name, "demo");
	appjson_clear(&a);
	parse(whole, "test", &a);
	assert_string_equal(a.test, "t");
	assert_string_equal(a.test_setup, "s");
	assert_null(a.postdeploy);
	assert_int_equal(a.nenv, 4);
	appjson_clear(&a);
	parse(whole, "production", &a);
	assert_int_equal(a.naddons, 2);
}

static void an_unknown_environment_is_refused(void **state)
{
	struct appjson a;
	struct err err = {0};

	assert_int_equal(appjson_parse("{}", 2, "preview", &a, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "review"));
}

static void the_manifest_of_a_slug_comes_back(void **state)
{
	AUTO(appjson_clear) struct appjson a = {0};
	AUTO(appjson_clear) struct appjson b = {0};
	AUTO(auto_str) char *kept = NULL;
	AUTO(auto_str) char *again = NULL;
	struct err err = {0};

	parse(whole, NULL, &a);
	kept = appjson_manifest(&a);
	assert_string_equal(
		kept, "{\"healthchecks\":[{\"path\":\"/up\",\"timeout\":5,\"attempts\":3,\"wait\":"
		      "2}],\"cron\":[{\"command\":\"bin/tick\",\"schedule\":\"hourly:30\","
		      "\"timezone\":\"Europe/Berlin\",\"size\":\"basic\",\"overlap\":\"allow\","
		      "\"missed\":\"once\"}]}");
	assert_int_equal(appjson_manifest_read(kept, &b, &err), 0);
	again = appjson_manifest(&b);
	assert_string_equal(kept, again);
	appjson_clear(&b);
	assert_int_equal(appjson_manifest_read(NULL, &b, &err), 0);
	assert_null(appjson_manifest(&b));
	assert_int_equal(appjson_manifest_read("{\"cron\":7}", &b, &err), -1);
}

/* A push minds nothing but the extensions. */
static void a_push_reads_the_extensions_alone(void **state)
{
	AUTO(auto_str)
	char *text = quoted("{'name': 7, 'x': 1, 'healthchecks': {'web': {'path': '/up'}},"
			    " 'cron': [], 'environments': {'review': {'healthchecks': {}}}}");
	AUTO(auto_str)
	char *wrong_one = quoted("{'name': 7,\n 'healthchecks': {'web': {'path': 1}}}");
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	char *m = NULL;
	struct err err = {0};

	assert_int_equal(appjson_extensions(text, strlen(text), NULL, &m, &p, &err), 0);
	assert_non_null(strstr(m, "\"/up\""));
	free(m);
	assert_int_equal(appjson_extensions(text, strlen(text), "review", &m, &p, &err), 0);
	assert_null(m);
	assert_int_equal(appjson_extensions("{}", 2, NULL, &m, &p, &err), 0);
	assert_null(m);
	assert_int_equal(appjson_extensions(wrong_one, strlen(wrong_one), NULL, &m, &p, &err), -1);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.v[0].line, 2);
	assert_string_equal(err.msg, "app.json:2:35: healthchecks.web.path must be a path that "
				     "begins with /, as \"/up\"");
}

static void byte_order_mark_and_size(void **state)
{
	static const char bom[] = "\xef\xbb\xbf{\"name\": 1}";
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	AUTO(buf_clear) struct buf big = {0};
	struct appjson a;
	struct err err = {0};

	assert_int_equal(appjson_parse(bom, sizeof bom - 1, NULL, &a, &p, &err), -1);
	assert_int_equal(p.v[0].column, 10);
	appjson_problems_clear(&p);
	buf_adds(&big, "{\"description\": \"");
	while (big.len < APPJSON_BYTES)
		buf_adds(&big, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	buf_adds(&big, "\"}");
	assert_int_equal(appjson_parse(big.data, big.len, NULL, &a, &p, &err), -1);
	assert_string_equal(err.msg, "app.json: is larger than 256 KB");
}

static void many_problems_are_cut(void **state)
{
	AUTO(appjson_problems_clear) struct appjson_problems p = {0};
	AUTO(buf_clear) struct buf b = {0};
	struct appjson a;
	struct err err = {0};

	buf_adds(&b, "{\"env\": {");
	for (int i = 0; i < 150; i++)
		buf_addf(&b, "%s\"a%d\": 1", i ? "," : "", i);
	buf_adds(&b, "}}");
	assert_int_equal(appjson_parse(b.data, b.len, NULL, &a, &p, &err), -1);
	assert_int_equal(p.n, LIM_APPJSON_PROBLEMS);
}

/* The parser may not include the dynos' table: here it is seen that it knows every size. */
static void every_dyno_size_is_known(void **state)
{
	for (const struct dyno_size *s = dyno_sizes; s->name; s++) {
		AUTO(auto_str)
		char *text =
			xasprintf("{'formation': {'web': {'quantity': 1, 'size': '%s'}}}", s->name);
		AUTO(auto_str) char *got = wrong(text, NULL);

		assert_string_equal(got, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_files_say_what_and_where),
		cmocka_unit_test(schedules_are_checked),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(an_environment_takes_the_place_of_what_it_has),
		cmocka_unit_test(an_unknown_environment_is_refused),
		cmocka_unit_test(the_manifest_of_a_slug_comes_back),
		cmocka_unit_test(a_push_reads_the_extensions_alone),
		cmocka_unit_test(byte_order_mark_and_size),
		cmocka_unit_test(many_problems_are_cut),
		cmocka_unit_test(every_dyno_size_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
