/* The settings that paasd's commands run with: file, command line, checkout; where its folders are.
 */
#include "daemon/commands.h"

#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct flag {
	const char *name, *key;
	const char *fixed; /* NULL: takes a value */
};

static const struct flag flags[] = {
	{"--dev", "dev", "true"},	{"--keep-dynos", "keep_dynos", "true"},
	{"--state", "state_dir", NULL}, {"--listen", "listen", NULL},
	{"--runtime", "runtime", NULL}, {"--log-level", "log.level", NULL},
};

static int set_pair(struct config *c, const char *pair, struct err *err)
{
	const char *eq = strchr(pair, '=');
	AUTO(auto_str) char *key = eq ? xstrndup(pair, (size_t)(eq - pair)) : NULL;

	if (!eq)
		return err_set(err, ERR_BAD_REQUEST, "--set takes KEY=VALUE, not %s", pair);
	return config_set(c, key, eq + 1, err);
}

static int one_flag(struct config *c, char **argv, int *i, struct err *err)
{
	const char *a = argv[*i];

	for (size_t k = 0; k < ARRAY_LEN(flags); k++) {
		if (strcmp(a, flags[k].name) != 0)
			continue;
		if (flags[k].fixed)
			return config_set(c, flags[k].key, flags[k].fixed, err);
		if (!argv[*i + 1])
			return err_set(err, ERR_BAD_REQUEST, "%s needs a value", a);
		return config_set(c, flags[k].key, argv[++*i], err);
	}
	if (strcmp(a, "--set") == 0 && argv[*i + 1])
		return set_pair(c, argv[++*i], err);
	return err_set(err, ERR_BAD_REQUEST, "unknown option %s; see paasd --help", a);
}

/* Of a checkout: a folder beside that of paasd, or above. NULL: none. Owned. */
static char *checkout_dir(const char *exe, const char *name)
{
	static const char *const up[] = {"..", "../.."};
	char *real = NULL;

	for (size_t i = 0; i < ARRAY_LEN(up) && !real; i++) {
		AUTO(auto_str) char *dir = xasprintf("%s/%s/%s", exe, up[i], name);

		real = realpath(dir, NULL);
	}
	return real;
}

/* From a checkout the programs lie beside paasd, buildpacks and add-ons above. */
static int use_checkout(struct config *c, struct err *err)
{
	AUTO(auto_str) char *packs = NULL;
	AUTO(auto_str) char *addons = NULL;
	char exe[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	if (n < 0)
		return err_errno(err, "cannot find the folder of paasd");
	exe[n] = 0;
	slash = strrchr(exe, '/');
	*slash = 0;
	packs = checkout_dir(exe, "buildpacks");
	addons = checkout_dir(exe, "addons");
	if (config_set(c, "libexec_dir", exe, err) < 0 ||
	    (packs && config_set(c, "buildpacks_dir", packs, err) < 0))
		return -1;
	return config_set(c, "addons_dir", addons ? addons : "", err);
}

int paasd_options(struct config *c, int argc, char **argv, struct err *err)
{
	const char *file = NULL;
	bool state_given = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && argv[i + 1])
			file = argv[i + 1];
		if (strcmp(argv[i], "--dev") == 0)
			c->dev = true;
		state_given = state_given || strcmp(argv[i], "--state") == 0;
	}
	if (!file && !c->dev && access("/etc/paasd/paasd.yml", F_OK) == 0)
		file = "/etc/paasd/paasd.yml";
	if (file && config_load(c, file, err) < 0)
		return -1;
	if (c->dev && (use_checkout(c, err) < 0 ||
		       (!state_given && config_set(c, "state_dir", "./var", err) < 0)))
		return -1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0)
			i++;
		else if (one_flag(c, argv, &i, err) < 0)
			return -1;
	}
	return 0;
}
/* --- directories --- */

static void set_str(char **p, char *owned)
{
	free(*p);
	*p = owned;
}

/* A unix socket's path has 107 bytes: RUN/dynos/<uuid>/sock must fit. */
#define RUN_DIR_MAX 60

int paasd_run_dir(struct config *c, struct err *err)
{
	char hash[65];

	if (c->dev || !c->run_dir[0]) {
		set_str(&c->run_dir, xasprintf("%s/run", c->state_dir));
		if (strlen(c->run_dir) > RUN_DIR_MAX) {
			sha256_hex(c->state_dir, strlen(c->state_dir), hash);
			set_str(&c->run_dir, xasprintf("/tmp/paasd-%.12s", hash));
		}
	}
	if (strlen(c->run_dir) <= RUN_DIR_MAX)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "run_dir is longer than %d characters: socket paths would not fit",
		       RUN_DIR_MAX);
}

int paasd_state_dir(struct config *c, struct err *err)
{
	char *real = realpath(c->state_dir, NULL);

	if (!real)
		return err_errno(err, "cannot use the state directory %s", c->state_dir);
	set_str(&c->state_dir, real);
	return 0;
}

int paasd_dirs(struct config *c, struct err *err)
{
	if (fs_mkdirs(c->state_dir, 0711, err) < 0 || paasd_state_dir(c, err) < 0 ||
	    paasd_run_dir(c, err) < 0 || fs_mkdirs(c->run_dir, 0711, err) < 0)
		return -1;
	set_str(&c->run_dir, realpath(c->run_dir, NULL));
	return c->run_dir ? 0 : err_errno(err, "cannot use the run directory");
}
