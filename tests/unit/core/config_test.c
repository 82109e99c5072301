#include "daemon/core/config.h"
#include "daemon/core/config_int.h"
#include "daemon/core/fsx.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct config));
	config_init(*state);
	return 0;
}

static int teardown(void **state)
{
	config_clear(*state);
	free(*state);
	return 0;
}

static void takes(struct config *c, const char *yaml)
{
	struct err err = {0};

	if (config_parse(c, "p.yml", yaml, strlen(yaml), &err) < 0)
		fail_msg("%s", err.msg);
}

static void refuses(struct config *c, const char *yaml, const char *message)
{
	struct err err = {0};

	assert_int_equal(config_parse(c, "p.yml", yaml, strlen(yaml), &err), -1);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.code, ERR_CONFIG);
}

static void defaults_are_set(void **state)
{
	struct config *c = *state;

	assert_string_equal(c->listen, "127.0.0.1:8080");
	assert_string_equal(c->runtime, "auto");
	assert_int_equal(c->build_timeout_s, 900);
	assert_int_equal(c->dyno_memory_factor_pct, 200);
	assert_false(c->dev);
	assert_string_equal(c->build_env[0], "http_proxy");
	assert_null(c->host_ports[0]);
	assert_string_equal(c->buildpack_map[0], "heroku/nodejs=nodejs");
}

static void keys_nest_and_override(void **state)
{
	struct config *c = *state;

	takes(c, "# comment\nlisten: \"0.0.0.0:80,[::1]:8080\"\nbuild: {timeout: 60}\n"
		 "dyno:\n  memory: 256\n  host_ports: [5432, 6379]\n  dns: ''\n"
		 "log.level: debug\nkeep_dynos: true\n");
	assert_string_equal(c->listen, "0.0.0.0:80,[::1]:8080");
	assert_int_equal(c->build_timeout_s, 60);
	assert_int_equal(c->dyno_memory_mb, 256);
	assert_string_equal(c->host_ports[0], "5432");
	assert_string_equal(c->host_ports[1], "6379");
	assert_null(c->host_ports[2]);
	assert_string_equal(c->log_level, "debug");
	assert_true(c->keep_dynos);
	takes(c, "");
	takes(c, "# nothing\n");
	takes(c, "---\nlisten: 127.0.0.1:1\n...\n");
}

static void lists_replace_and_maps_add(void **state)
{
	struct config *c = *state;
	int n = 0;

	takes(c, "build:\n  env: [ONE]\n  buildpacks:\n    heroku/ruby: my-ruby\n    x/y: z\n");
	assert_string_equal(c->build_env[0], "ONE");
	assert_null(c->build_env[1]);
	assert_string_equal(c->buildpack_map[1], "heroku/ruby=my-ruby");
	while (c->buildpack_map[n])
		n++;
	assert_string_equal(c->buildpack_map[n - 1], "x/y=z");
	takes(c, "build: {env: []}");
	assert_null(c->build_env[0]);
}

static void mistakes_name_line_and_key(void **state)
{
	struct config *c = *state;

	refuses(c, "listen: 127.0.0.1:80\n\nbuild:\n  timout: 5\n",
		"p.yml:4: build.timout: unknown key; did you mean build.timeout?");
	refuses(c, "boot_timeout: 5\n",
		"p.yml:1: boot_timeout: unknown key; did you mean dyno.boot_timeout?");
	refuses(c, "zebra_crossing: 5\n", "p.yml:1: zebra_crossing: unknown key");
	refuses(c, "build: {timeout: fast}\n",
		"p.yml:1: build.timeout: must be a whole number (s), not fast");
	refuses(c, "build: {timeout: 5}\n",
		"p.yml:1: build.timeout: must be between 10 and 86400 s, not 5");
	refuses(c, "build: {timeout: 99999999999999999999}\n",
		"p.yml:1: build.timeout: must be a whole number (s), not 99999999999999999999");
	refuses(c, "build: {timeout: '60'}\n",
		"p.yml:1: build.timeout: must be a number, not text in quotes");
	refuses(c, "dev: yes\n", "p.yml:1: dev: must be true or false, not yes");
	refuses(c, "listen:\n", "p.yml:1: listen: has no value");
	refuses(c, "build: 5\n", "p.yml:1: build: is a group: wants keys below it");
	refuses(c, "listen: [a]\n", "p.yml:1: listen: wants a single value here");
	refuses(c, "build:\n  env: x\n", "p.yml:2: build.env: wants a list, as [a, b]");
	refuses(c, "build:\n  env: [a, [b]]\n", "p.yml:2: build.env: wants a single value here");
	refuses(c, "build:\n  buildpacks: [x]\n",
		"p.yml:2: build.buildpacks: wants a map, as {a: b}");
	refuses(c, "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "p.yml:2: listen: is given twice");
	refuses(c, "build: {timeout: 60}\nbuild.timeout: 60\n",
		"p.yml:2: build.timeout: is given twice");
	refuses(c, "runtime: docker\n",
		"p.yml:1: runtime: must be one of auto|sandbox|plain, not docker");
	refuses(c, "listen: 8080\n",
		"p.yml:1: listen: wants ADDRESS:PORT, as 127.0.0.1:8080 or "
		"[::1]:8080, not 8080");
	refuses(c, "dyno:\n  host_ports: [5432, 70000]\n",
		"p.yml:2: dyno.host_ports: wants ports between 1 and 65535, not 70000");
	refuses(c, "platform_host: https://x\n",
		"p.yml:1: platform_host: wants a host name in "
		"lower case, without scheme or port, not "
		"https://x");
	refuses(c, "- a\n", "p.yml:1: wants keys and values, as listen: ...");
	refuses(c, "a\n", "p.yml:1: wants keys and values, as listen: ...");
	refuses(c, "dev: true\n---\ndev: true\n", "p.yml:2: a second document starts here");
	refuses(c, "listen: &a 1\n", "p.yml:1: listen: tags and anchors are not known here");
	refuses(c, "listen: *a\n", "p.yml:1: listen: wants a single value here");
	refuses(c, "listen: \"a\\nb\"\n", "p.yml:1: listen: has a control character");
}

static void yaml_mistakes_name_the_line(void **state)
{
	struct err err = {0};
	const char *yaml = "dev: true\nbuild: {timeout: 60\n";

	assert_int_equal(config_parse(*state, "p.yml", yaml, strlen(yaml), &err), -1);
	assert_non_null(strstr(err.msg, "p.yml:"));
	assert_int_equal(config_load(*state, "/no/such/file", &err), -1);
}

static void the_command_line_sets_the_same_keys(void **state)
{
	struct config *c = *state;
	struct err err = {0};

	assert_int_equal(config_set(c, "dyno.host_ports", "1,2", &err), 0);
	assert_string_equal(c->host_ports[1], "2");
	assert_int_equal(config_set(c, "listen", "127.0.0.1:0", &err), 0);
	assert_int_equal(config_set(c, "build.buildpacks", "a=b,c=d", &err), 0);
	assert_int_equal(config_set(c, "build.buildpacks", "a", &err), -1);
	assert_int_equal(config_set(c, "dev", "true", &err), 0);
	assert_int_equal(config_set(c, "deev", "true", &err), -1);
	assert_string_equal(err.msg, "deev: unknown key; did you mean dev?");
}

/* docs/config.md is what config_print_docs prints: `paasd config:docs > docs/config.md`. */
static void the_documentation_is_in_step(void **state)
{
	AUTO(buf_clear) struct buf want = {0}, have = {0};
	char path[] = "/tmp/paas-config-XXXXXX";
	int fd = mkstemp(path), keep = dup(1);
	struct err err = {0};

	assert_true(fd >= 0 && keep >= 0);
	fflush(stdout);
	dup2(fd, 1);
	config_print_docs();
	fflush(stdout);
	dup2(keep, 1);
	close(keep);
	close(fd);
	assert_int_equal(fs_read(path, 1 << 20, &want, &err), 0);
	unlink(path);
	if (fs_read("docs/config.md", 1 << 20, &have, &err) < 0)
		fail_msg("%s (tests run from the top folder)", err.msg);
	if (strcmp(buf_str(&want), buf_str(&have)) != 0)
		fail_msg("docs/config.md is old: write it with `paasd config:docs`");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void the_first_port_is_the_one_of_urls(void **state)
{
	static const struct {
		const char *listen;
		int port;
	} t[] = {{"127.0.0.1:8080", 8080},
		 {"0.0.0.0:80,0.0.0.0:443", 80},
		 {"[::1]:5000,1.2.3.4:6", 5000}};
	struct config c;
	struct err err = {0};

	(void)state;
	config_init(&c);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		assert_int_equal(config_set(&c, "listen", t[i].listen, &err), 0);
		assert_int_equal(config_port(&c), t[i].port);
	}
	config_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_port_is_the_one_of_urls),
		T(defaults_are_set),
		T(keys_nest_and_override),
		T(lists_replace_and_maps_add),
		T(mistakes_name_line_and_key),
		T(yaml_mistakes_name_the_line),
		T(the_command_line_sets_the_same_keys),
		T(the_documentation_is_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
