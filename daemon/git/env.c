#include "daemon/git/git_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Nothing is inherited: neither the operator's ~/.gitconfig nor /etc/gitconfig may change what a
 * push is checked for. Replace refs can be pushed, so they must not change what git sees. */
static const char *const base_env[] = {
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"HOME=/nonexistent",
	"LC_ALL=C",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_ATTR_NOSYSTEM=1",
	"GIT_TERMINAL_PROMPT=0",
	"GIT_ASKPASS=",
	"GIT_NO_REPLACE_OBJECTS=1",
	"GIT_NO_LAZY_FETCH=1",
};

static const char *const base_config[][2] = {
	{"safe.directory", "*"},
	{"core.fsync", "all"},
	{"core.hooksPath", "/dev/null"},
	{"core.fsmonitor", "false"},
	{"core.packedGitWindowSize", "16m"}, /* windows, not whole packs, count towards RLIMIT_AS */
	{"core.packedGitLimit", "128m"},
	{"core.bigFileThreshold", "32m"},
	{"pack.threads", "1"},
	{"pack.windowMemory", "64m"},
	{"gc.auto", "0"},
};

static void add(struct genv *e, char *owned)
{
	assert(e->n < (int)ARRAY_LEN(e->v) - 1);
	e->v[e->n++] = owned;
	e->v[e->n] = NULL;
}

void genv_init(struct genv *e)
{
	*e = (struct genv){0};
	for (size_t i = 0; i < ARRAY_LEN(base_env); i++)
		add(e, xstrdup(base_env[i]));
	for (size_t i = 0; i < ARRAY_LEN(base_config); i++)
		genv_config(e, base_config[i][0], base_config[i][1]);
}

void genv_set(struct genv *e, const char *name, const char *value)
{
	add(e, xasprintf("%s=%s", name, value));
}

void genv_config(struct genv *e, const char *key, const char *value)
{
	add(e, xasprintf("GIT_CONFIG_KEY_%d=%s", e->configs, key));
	add(e, xasprintf("GIT_CONFIG_VALUE_%d=%s", e->configs, value));
	e->configs++;
}

/* The list is colon-separated unless quoted as in C. */
static char *quote_path(const char *path)
{
	struct buf b = {0};

	buf_addc(&b, '"');
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, *path);
	}
	buf_addc(&b, '"');
	return buf_steal(&b);
}

void genv_repo(struct genv *e, const char *repo, const char *quarantine)
{
	genv_set(e, "GIT_DIR", repo);
	if (!quarantine || !*quarantine)
		return;
	AUTO(auto_str) char *objects = xasprintf("%s/objects", repo);
	AUTO(auto_str) char *quoted = quote_path(objects);

	genv_set(e, "GIT_OBJECT_DIRECTORY", quarantine);
	genv_set(e, "GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted);
	genv_set(e, "GIT_QUARANTINE_PATH", quarantine);
}

const char *const *genv_done(struct genv *e)
{
	add(e, xasprintf("GIT_CONFIG_COUNT=%d", e->configs));
	return (const char *const *)e->v;
}

void genv_clear(struct genv *e)
{
	for (int i = 0; i < e->n; i++)
		free(e->v[i]);
	*e = (struct genv){0};
}
