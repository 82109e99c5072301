/* A Heroku partner's own manifest, turned into the files of a service here. */
#include "cli/cli.h"
#include "cli/table.h"
#include "proto/limits.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

#define JSON_MAX KiB(256)

/* What is known of a manifest; texts are borrowed of json. */
struct partner {
	json_t *json; /* owned */
	const json_t *api, *where;
	const char *id, *prefix;
	char *made_up; /* owned: the prefix where there is none */
};

static void partner_clear(struct partner *p)
{
	json_decref(p->json);
	free(p->made_up);
}
#define partner_clear_p partner_clear

static int wrong(struct err *err, const char *key, const char *what)
{
	return err_set(err, ERR_BAD_REQUEST, "%s: %s", key, what);
}

static bool is_word(const char *s, char lo, char hi, char sep)
{
	if (!s || *s < lo || *s > hi)
		return false;
	for (; *s; s++)
		if (!((*s >= lo && *s <= hi) || (*s >= '0' && *s <= '9') || *s == sep))
			return false;
	return true;
}

static int find_prefix(struct partner *p, struct err *err)
{
	p->prefix = json_string_value(json_object_get(p->api, "config_vars_prefix"));
	if (!p->prefix) {
		p->made_up = xstrdup(p->id);
		for (char *s = p->made_up; *s; s++)
			*s = *s == '-' ? '_' : (char)toupper((unsigned char)*s);
		p->prefix = p->made_up;
	}
	return is_word(p->prefix, 'A', 'Z', '_')
		       ? 0
		       : wrong(err, "api.config_vars_prefix",
			       "wants upper case letters, digits, underscores");
}

static int read_partner(const char *file, bool test, struct partner *p, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	json_error_t at;
	const json_t *version;

	if (cli_read_file(file, JSON_MAX, &text, err) < 0)
		return -1;
	p->json = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &at);
	if (!p->json)
		return err_set(err, ERR_BAD_REQUEST, "%s:%d: %s", file, at.line, at.text);
	p->api = json_object_get(p->json, "api");
	p->id = json_string_value(json_object_get(p->json, "id"));
	if (!is_word(p->id, 'a', 'z', '-') || strlen(p->id) > 40)
		return wrong(err, "id", "wants lower case letters, digits, hyphens, at most 40");
	if (!json_is_object(p->api))
		return wrong(err, "api", "is missing");
	version = json_object_get(p->api, "version");
	if (!(json_is_integer(version) && json_integer_value(version) == 3) &&
	    !(json_is_string(version) && strcmp(json_string_value(version), "3") == 0))
		return wrong(err, "api.version", "is not 3, the only one that is spoken here");
	p->where = json_object_get(p->api, test ? "test" : "production");
	if (!json_is_object(p->where) || !json_string_value(json_object_get(p->where, "base_url")))
		return wrong(err, test ? "api.test.base_url" : "api.production.base_url",
			     "is missing");
	return find_prefix(p, err);
}

/* As a YAML text: what JSON writes is one. */
static void put_text(struct buf *out, const char *indent, const char *key, const json_t *v)
{
	AUTO(auto_str) char *text = json_is_string(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

	if (text)
		buf_addf(out, "%s%s: %s\n", indent, key, text);
}

static int put_vars(struct buf *out, const struct partner *p, struct err *err)
{
	const json_t *list = json_object_get(p->api, "config_vars");
	size_t n = strlen(p->prefix), i;
	const json_t *v;

	buf_adds(out, "config_vars: [");
	for (i = 0; (v = json_array_get(list, i)); i++) {
		const char *name = json_string_value(v);

		if (!is_word(name, 'A', 'Z', '_') || strncmp(name, p->prefix, n) != 0 ||
		    (name[n] && name[n] != '_'))
			return err_set(err, ERR_BAD_REQUEST,
				       "api.config_vars: %.60s does not begin with %s_",
				       name ? name : "one of them", p->prefix);
		buf_addf(out, "%s\"%s\"", i ? ", " : "", name[n] ? name + n + 1 : "");
	}
	buf_adds(out, "]\n");
	return i ? 0 : wrong(err, "api.config_vars", "is missing");
}

static bool requires(const struct partner *p, const char *what)
{
	const json_t *list = json_object_get(p->api, "requires"), *v;

	for (size_t i = 0; (v = json_array_get(list, i)); i++)
		if (json_is_string(v) && strcmp(json_string_value(v), what) == 0)
			return true;
	return false;
}

static int put_plans(struct buf *out, const char *plans, struct err *err)
{
	AUTO(auto_str) char *copy = xstrdup(plans);
	char *save = NULL;

	buf_adds(out, "plans:\n");
	for (char *s = strtok_r(copy, ", ", &save); s; s = strtok_r(NULL, ", ", &save)) {
		if (!is_word(s, 'a', 'z', '-'))
			return err_set(err, ERR_BAD_REQUEST,
				       "--plans: %s is no name: lower case letters, digits, "
				       "hyphens",
				       s);
		buf_addf(out, "  - {name: %s}\n", s);
	}
	return 0;
}

static void put_place(struct buf *out, const struct partner *p)
{
	bool drain = requires(p, "log_drain") || requires(p, "syslog_drain");
	bool input = requires(p, "log_input");

	buf_addf(out, "partner:\n  id: %s\n", p->id);
	put_text(out, "  ", "base_url", json_object_get(p->where, "base_url"));
	put_text(out, "  ", "sso_url", json_object_get(p->where, "sso_url"));
	if (drain || input)
		buf_addf(out, "  requires: [%s%s%s]\n", drain ? "log_drain" : "",
			 drain && input ? ", " : "", input ? "log_input" : "");
}

static void print(struct cli *c, const char *name, const struct buf *text)
{
	json_auto_t *j = NULL;

	if (!cli_json(c)) {
		fputs(text->data, stdout);
		return;
	}
	j = json_pack("{ss ss}", "file", name, "text", text->data);
	cli_print_json(c, j);
}

static int print_manifest(struct cli *c, const struct partner *p, const char *plans,
			  struct err *err)
{
	AUTO(buf_clear) struct buf out = {0};

	buf_addf(&out, "name: %s\n", p->id);
	put_text(&out, "", "human_name", json_object_get(p->json, "name"));
	buf_addf(&out, "prefix: %s\n", p->prefix);
	if (put_vars(&out, p, err) < 0 || put_plans(&out, plans, err) < 0)
		return -1;
	buf_addf(&out, "sharing: %s\nmultiple: %s\n", requires(p, "attachable") ? "true" : "false",
		 requires(p, "many_per_app") ? "true" : "false");
	put_place(&out, p);
	print(c, "addon.yml", &out);
	return 0;
}

static int print_settings(struct cli *c, const struct partner *p, struct err *err)
{
	AUTO(buf_clear) struct buf out = {0};
	AUTO(auto_str) char *name = xasprintf("%s.yml", p->id);
	unsigned char secret[32];

	if (!json_string_value(json_object_get(p->api, "password")))
		return wrong(err, "api.password", "is missing");
	if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
		return err_errno(err, "getrandom");
	put_text(&out, "", "password", json_object_get(p->api, "password"));
	put_text(&out, "", "sso_salt", json_object_get(p->api, "sso_salt"));
	buf_adds(&out, "client_secret: \"");
	for (size_t i = 0; i < sizeof secret; i++)
		buf_addf(&out, "%02x", secret[i]);
	buf_adds(&out, "\"\n");
	print(c, name, &out);
	explicit_bzero(out.data, out.len);
	return 0;
}

static int cmd_manifest(struct cli *c, struct err *err)
{
	AUTO(partner_clear) struct partner p = {0};
	const char *plans = cli_opt(&c->args, "plans");

	if (read_partner(c->args.pos[0], cli_opt(&c->args, "test") != NULL, &p, err) < 0)
		return -1;
	if (cli_opt(&c->args, "settings"))
		return print_settings(c, &p, err);
	return print_manifest(c, &p, plans ? plans : "test", err);
}

const struct cli_cmd cli_cmds_partners[] = {
	{.name = "addons:manifest",
	 .help = "turn a Heroku partner's addon-manifest.json into addon.yml",
	 .more = "Prints addon.yml; with --settings the secrets, for the administrator's settings "
		 "of the service, with a client secret made up for the partner to be told. Both "
		 "are of files on the platform's host: see docs/addons.md, Partners. Asks the "
		 "platform nothing.",
	 .args = ARGS({"FILE", COMPLETE_FILE, "the partner's manifest, JSON", true, false}),
	 .opts = OPTS(VALUE(0, "plans", "NAMES", NONE,
			    "plans of the service, with commas between; the manifest has none"),
		      SWITCH(0, "settings", "print the secrets"),
		      SWITCH(0, "test", "speak to its test servers")),
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_manifest,
	 .examples = "addons:manifest addon-manifest.json --plans basic,premium\n"
		     "addons:manifest addon-manifest.json --settings"},
	{0},
};
