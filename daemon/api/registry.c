/* The buildpack registry, of which clients ask without credentials: what NS/NAME stands for here.
 */
#include "daemon/api/api_int.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MADE_AT "2022-06-01T00:00:00Z"

/* What bundled ones are for, by folder. */
static const struct {
	const char *folder, *text;
} texts[] = {
	{"ruby", "Ruby apps: Gemfile, Rails, Rack; bundled with this platform"},
	{"nodejs", "Node.js apps: package.json with npm, Yarn or pnpm; bundled with this platform"},
	{"python", "Python apps: pip, Poetry, uv; bundled with this platform"},
	{"static", "Static sites: static.json or index.html; bundled with this platform"},
	{"make", "Programs built by a Makefile; bundled with this platform"},
	{"procfile", "Apps that need no build, by their Procfile; bundled with this platform"},
};

struct pack {
	char ns[66], name[66], full[130];
	const char *to; /* folder of a bundled one, or its address */
};

/* "heroku/ruby=ruby": false when the name is not of the registry's form. */
static bool pack_of(const char *mapping, struct pack *p)
{
	const char *eq = strchr(mapping, '=');
	size_t n = eq ? (size_t)(eq - mapping) : 0, slash;

	if (n == 0 || n >= sizeof p->full)
		return false;
	memcpy(p->full, mapping, n);
	p->full[n] = 0;
	if (!name_is_registry(p->full))
		return false;
	slash = strcspn(p->full, "/");
	snprintf(p->ns, sizeof p->ns, "%.*s", (int)slash, p->full);
	snprintf(p->name, sizeof p->name, "%s", p->full + slash + 1);
	p->to = eq + 1;
	return true;
}

static bool is_bundled(const struct pack *p)
{
	return !strpbrk(p->to, ":/");
}

static const char *text_of(const struct pack *p)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].folder, p->to) == 0)
			return texts[i].text;
	return p->to; /* an address says best what it is */
}

/* OWNER and REPO of https://github.com/OWNER/REPO.git */
static bool on_github(const char *url, char owner[64], char repo[128])
{
	size_t n;

	if (sscanf(url, "https://github.com/%63[^/]/%127[^/#?]", owner, repo) != 2)
		return false;
	n = strlen(repo);
	if (n > 4 && strcmp(repo + n - 4, ".git") == 0)
		repo[n - 4] = 0;
	return true;
}

static json_t *pack_json(const struct pack *p)
{
	AUTO(auto_str) char *blob = name_registry_url(p->full);
	char owner[64] = "paasd", repo[128];
	json_t *j = json_named_ref("buildpack", p->full);
	bool github = on_github(p->to, owner, repo);
	json_t *more;

	if (!github)
		snprintf(repo, sizeof repo, "%s", p->to);
	more = json_pack("{s:s, s:s, s:s, s:o, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s}}", "namespace",
			 p->ns, "name", p->name, "category", "languages", "description",
			 json_text(text_of(p)), "blob_url", blob, "support", "method",
			 github ? "github" : "unsupported", "address", github ? p->to : "",
			 "source", "type",
			 github		 ? "github"
			 : is_bundled(p) ? "bundled"
					 : "url",
			 "owner", owner, "repo", repo);
	json_object_update(j, more);
	json_decref(more);
	return j;
}

static int find_pack(struct api_req *q, struct pack *p, struct err *err)
{
	for (char **m = q->d->cfg->buildpack_map; m && *m; m++)
		if (pack_of(*m, p) && strcmp(p->full, q->params[0]) == 0)
			return 0;
	return err_not_found(err, "buildpack");
}

/* --- searching: ?in[namespace][]=X, ?in[name][]=X, ?like[description]=X; of one kind any fits ---
 */

static void note(const char *key, const char *value, const struct pack *p, unsigned *asked,
		 unsigned *met)
{
	static const char *const keys[] = {"in[namespace][]", "in[name][]", "like[description]"};
	const bool hits[] = {strcmp(value, p->ns) == 0, strcmp(value, p->name) == 0,
			     strcasestr(text_of(p), value) != NULL};

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i]) == 0) {
			*asked |= 1u << i;
			*met |= hits[i] ? 1u << i : 0;
		}
}

static bool is_asked_for(const char *query, const struct pack *p)
{
	unsigned asked = 0, met = 0;

	for (size_t n; *query; query += n + (query[n] == '&')) {
		AUTO(buf_clear) struct buf key = {0};
		AUTO(buf_clear) struct buf value = {0};
		size_t k;

		n = strcspn(query, "&");
		k = strcspn(query, "=&");
		if (percent_decode(query, k, true, &key) < 0 ||
		    percent_decode(query + k + (query[k] == '='), n - k - (query[k] == '='), true,
				   &value) < 0)
			return false;
		note(buf_str(&key), buf_str(&value), p, &asked, &met);
	}
	return asked == met;
}

int api_registry_list(struct api_req *q, struct err *err)
{
	json_t *list = json_array();
	struct pack p;

	for (char **m = q->d->cfg->buildpack_map; m && *m; m++)
		if (pack_of(*m, &p) && is_asked_for(http_query(q->x), &p))
			json_array_append_new(list, pack_json(&p));
	return api_list(q, list, "name namespace id", err);
}

int api_registry_info(struct api_req *q, struct err *err)
{
	struct pack p;

	return find_pack(q, &p, err) < 0 ? -1 : api_ok(q, 200, pack_json(&p));
}

/* There is one of each: the one that builds use now. */
int api_registry_revisions(struct api_req *q, struct err *err)
{
	struct pack p;

	if (find_pack(q, &p, err) < 0)
		return -1;
	return api_list(q,
			json_pack("[{s:i, s:s, s:s, s:s}]", "release", 1, "created_at", MADE_AT,
				  "status", "published", "license",
				  is_bundled(&p) ? "MIT" : "unknown"),
			"release", err);
}

int api_registry_readme(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *path = NULL;
	AUTO(buf_clear) struct buf text = {0};
	AUTO(buf_clear) struct buf b64 = {0};
	struct pack p;

	if (find_pack(q, &p, err) < 0)
		return -1;
	path = xasprintf("%s/%s/README.md", q->d->cfg->buildpacks_dir, p.to);
	if (!is_bundled(&p) || fs_read(path, LIM_BUILDPACK_README, &text, NULL) < 0)
		return api_ok(q, 200, json_object());
	base64_encode(text.data, text.len, &b64);
	return api_ok(q, 200,
		      json_pack("{s:s, s:s}", "content", buf_str(&b64), "encoding", "base64"));
}
