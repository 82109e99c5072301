#include "cli/remotes.h"
#include "proto/limits.h"

#include <string.h>

static void add(struct cli_remotes *r, const char *name, size_t n, const char *app)
{
	r->v = xrealloc(r->v, sizeof *r->v * (size_t)(r->n + 1));
	r->v[r->n++] = (struct cli_remote){xstrndup(name, n), xstrdup(app)};
}

static void take(struct cli_remotes *out, const char *key, const char *value,
		 const struct cli_url *platform)
{
	static const char head[] = "remote.", tail[] = ".url";
	char app[LIM_APP_NAME + 1];
	size_t n = strlen(key);

	if (strcmp(key, "paas.remote") == 0 ||
	    (strcmp(key, "heroku.remote") == 0 && !out->preferred)) {
		free(out->preferred);
		out->preferred = xstrdup(value);
		return;
	}
	if (n <= sizeof head + sizeof tail - 2 || strncmp(key, head, sizeof head - 1) != 0 ||
	    strcmp(key + n - (sizeof tail - 1), tail) != 0)
		return;
	if (cli_url_app(value, platform, app))
		add(out, key + sizeof head - 1, n - (sizeof head - 1) - (sizeof tail - 1), app);
}

void cli_remotes_parse(const char *text, size_t len, const struct cli_url *platform,
		       struct cli_remotes *out)
{
	*out = (struct cli_remotes){0};
	while (len > 0) {
		const char *end = memchr(text, 0, len);
		const char *nl;

		if (!end)
			return;
		nl = strchr(text, '\n');
		if (nl) {
			AUTO(auto_str) char *key = xstrndup(text, (size_t)(nl - text));

			take(out, key, nl + 1, platform);
		}
		len -= (size_t)(end - text) + 1;
		text = end + 1;
	}
}

void cli_remotes_clear(struct cli_remotes *r)
{
	for (int i = 0; i < r->n; i++) {
		free(r->v[i].name);
		free(r->v[i].app);
	}
	free(r->v);
	free(r->preferred);
	*r = (struct cli_remotes){0};
}

static const struct cli_remote *by_name(const struct cli_remotes *r, const char *name)
{
	for (int i = 0; i < r->n; i++)
		if (strcmp(r->v[i].name, name) == 0)
			return &r->v[i];
	return NULL;
}

static bool one_app(const struct cli_remotes *r)
{
	for (int i = 1; i < r->n; i++)
		if (strcmp(r->v[i].app, r->v[0].app) != 0)
			return false;
	return r->n > 0;
}

/* The Heroku CLI's words, which people and scripts know. */
static void several(const struct cli_remotes *r, struct buf *out)
{
	buf_addf(out,
		 "Multiple apps in git remotes\n"
		 "  Usage: --remote %s\n"
		 "     or: --app %s\n"
		 "  Your local git repository has more than 1 app referenced in git remotes.\n"
		 "  Because of this, we can't determine which app you want to run this command "
		 "against.\n"
		 "  Specify the app you want with --app or --remote.\n"
		 "  paasd remotes in repo:\n",
		 r->v[1].name, r->v[1].app);
	for (int i = 0; i < r->n; i++)
		buf_addf(out, "%s (%s)%s", r->v[i].app, r->v[i].name, i + 1 < r->n ? "\n" : "");
}

char *cli_choose_app(const char *app, const char *remote, const char *env,
		     const struct cli_remotes *remotes, struct buf *detail, struct err *err)
{
	const struct cli_remote *found;

	if (app)
		return xstrdup(app);
	if (remote) {
		found = by_name(remotes, remote);
		if (found)
			return xstrdup(found->app);
		err_set(err, ERR_BAD_REQUEST,
			"remote %s not found in git remotes, or it is not an app of this platform",
			remote);
		return NULL;
	}
	if (env && env[0])
		return xstrdup(env);
	found = remotes->preferred ? by_name(remotes, remotes->preferred) : NULL;
	if (found)
		return xstrdup(found->app);
	if (one_app(remotes))
		return xstrdup(remotes->v[0].app);
	if (remotes->n > 1) {
		err_set(err, ERR_BAD_REQUEST, "Multiple apps in git remotes");
		several(remotes, detail);
		return NULL;
	}
	err_set(err, ERR_BAD_REQUEST, "Missing required flag app");
	buf_adds(detail,
		 "Missing required flag app\n"
		 "  Use --app NAME, or --remote NAME in a repository with a git remote of an "
		 "app.\n"
		 "See more help with --help");
	return NULL;
}
