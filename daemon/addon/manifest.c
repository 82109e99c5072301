#include "daemon/addon/manifest.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

DEFINE_AUTO(json_t *, json_decref)

struct manifest_piece {
	struct manifest_piece *next;
	max_align_t data[];
};

struct reader {
	yaml_document_t doc;
	const char *file;
	struct manifest *m;
	struct err *err;
};

/* Reads a node into dst; key: for messages. */
typedef int read_fn(struct reader *r, const yaml_node_t *n, const char *key, void *dst);

struct key {
	const char *name;
	read_fn *read;
	size_t offset;
	bool required;
};

/* --- helpers --- */

static void *keep(struct manifest *m, size_t n)
{
	struct manifest_piece *p = xcalloc(1, sizeof *p + n);

	p->next = m->pieces;
	m->pieces = p;
	return p->data;
}

static const char *keep_text(struct manifest *m, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(keep(m, n), s, n);
}

PRINTF(4, 5)
static int wrong(struct reader *r, const yaml_node_t *n, const char *key, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	return err_set(r->err, ERR_CONFIG, "%.150s:%zu: %.60s: %s", r->file, n->start_mark.line + 1,
		       key, buf_str(&b));
}

static bool name_is(const char *s, char lo, char hi, char sep, size_t max)
{
	size_t n = strlen(s);

	if (n < 1 || n > max || s[0] < lo || s[0] > hi)
		return false;
	for (const char *p = s; *p; p++)
		if (!((*p >= lo && *p <= hi) || (*p >= '0' && *p <= '9') || *p == sep))
			return false;
	return true;
}

bool addon_name_is_slug(const char *s)
{
	return name_is(s, 'a', 'z', '-', 40);
}

bool addon_name_is_attachment(const char *s)
{
	return name_is(s, 'A', 'Z', '_', 60);
}

/* --- single values --- */

/* One line of text, or NULL with the error set. Borrowed of the document. */
static const char *line(struct reader *r, const yaml_node_t *n, const char *key)
{
	const char *v;

	if (n->type != YAML_SCALAR_NODE) {
		wrong(r, n, key, "wants a text");
		return NULL;
	}
	v = (const char *)n->data.scalar.value;
	if (n->data.scalar.length > LIM_ADDON_TEXT) {
		wrong(r, n, key, "is longer than %d bytes", LIM_ADDON_TEXT);
		return NULL;
	}
	for (size_t i = 0; i < n->data.scalar.length; i++)
		if ((unsigned char)v[i] < 0x20 || v[i] == 0x7f) {
			wrong(r, n, key, "wants one line without control characters");
			return NULL;
		}
	return v;
}

static int read_text(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v)
		*(const char **)dst = keep_text(r->m, v);
	return v ? 0 : -1;
}

static int read_url(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && !*v)
		return 0;
	if (v && strncmp(v, "https://", 8) != 0 && strncmp(v, "http://", 7) != 0)
		return wrong(r, n, key, "wants a URL that starts with http:// or https://");
	return v ? read_text(r, n, key, dst) : -1;
}

/* What secrets are sent to: encrypted, unless it is this very host. */
static int read_safe_url(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	static const char *const here[] = {"http://localhost", "http://127.0.0.1", "http://[::1]"};
	const char *v = line(r, n, key);
	bool safe;

	if (!v)
		return -1;
	safe = strncmp(v, "https://", 8) == 0 && v[8] && v[8] != '/';
	for (size_t i = 0; i < ARRAY_LEN(here) && !safe; i++)
		safe = strncmp(v, here[i], strlen(here[i])) == 0 &&
		       strchr(":/", v[strlen(here[i])]);
	if (!safe)
		return wrong(r, n, key, "wants an https:// URL (http:// to localhost only)");
	if (strpbrk(v, " \"'<>\\^`{|}#?@"))
		return wrong(r, n, key, "wants a URL without query, user and blanks");
	return read_text(r, n, key, dst);
}

static int read_requirement(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && strcmp(v, "log_drain") != 0 && strcmp(v, "log_input") != 0)
		return wrong(r, n, key, "%s is not known: log_drain and log_input are", v);
	return v ? read_text(r, n, key, dst) : -1;
}

static int read_slug(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && !addon_name_is_slug(v))
		return wrong(r, n, key,
			     "wants lower case letters, digits and hyphens, a letter first, at "
			     "most 40");
	return v ? read_text(r, n, key, dst) : -1;
}

static int read_prefix(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && !addon_name_is_attachment(v))
		return wrong(r, n, key,
			     "wants upper case letters, digits and underscores, a letter first, at "
			     "most 60");
	return v ? read_text(r, n, key, dst) : -1;
}

static int read_suffix(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && *v && !name_is(v, 'A', 'Z', '_', 60))
		return wrong(r, n, key,
			     "wants upper case letters, digits and underscores, or \"\"");
	return v ? read_text(r, n, key, dst) : -1;
}

static int read_bool(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (!v)
		return -1;
	if (strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
		return wrong(r, n, key, "wants true or false");
	*(bool *)dst = *v == 't';
	return 0;
}

/* A plain number, or false. */
static bool number(const yaml_node_t *n, int64_t *out)
{
	const char *v = (const char *)n->data.scalar.value;
	size_t len = strlen(v);

	if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || len < 1 || len > 15 ||
	    strspn(v, "0123456789") != len)
		return false;
	*out = strtoll(v, NULL, 10);
	return true;
}

static int read_cents(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	const char *v = line(r, n, key);

	if (v && !number(n, dst))
		return wrong(r, n, key, "wants a number of cents a month");
	return v ? 0 : -1;
}

static int read_process(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	static const char *const words[] = {"none", "own", "shared"};
	const char *v = line(r, n, key);

	if (!v)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i], v) == 0) {
			*(enum addon_process *)dst = (enum addon_process)i;
			return 0;
		}
	return wrong(r, n, key, "wants none, own or shared");
}

/* --- lists and mappings --- */

static size_t count(const yaml_node_t *n)
{
	return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
}

static int read_list(struct reader *r, const yaml_node_t *n, const char *key, read_fn *each,
		     const char *const **dst)
{
	const char **v;

	if (n->type != YAML_SEQUENCE_NODE)
		return wrong(r, n, key, "wants a list");
	if (count(n) > LIM_ADDON_ITEMS)
		return wrong(r, n, key, "has more than %d entries", LIM_ADDON_ITEMS);
	v = keep(r->m, (count(n) + 1) * sizeof *v);
	for (size_t i = 0; i < count(n); i++) {
		yaml_node_t *item =
			yaml_document_get_node(&r->doc, n->data.sequence.items.start[i]);

		if (each(r, item, key, &v[i]) < 0)
			return -1;
		for (size_t k = 0; k < i; k++)
			if (strcmp(v[k], v[i]) == 0)
				return wrong(r, item, key, "%s is there twice", v[i]);
	}
	*dst = v;
	return 0;
}

static int read_slugs(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	return read_list(r, n, key, read_slug, dst);
}

static int read_suffixes(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	return read_list(r, n, key, read_suffix, dst);
}

static int read_texts(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	return read_list(r, n, key, read_text, dst);
}

/* Calls each for every pair of a mapping. */
static int read_pairs(struct reader *r, const yaml_node_t *n, const char *key,
		      int (*each)(struct reader *r, const char *name, const yaml_node_t *at,
				  const yaml_node_t *value, void *arg),
		      void *arg)
{
	if (n->type != YAML_MAPPING_NODE)
		return wrong(r, n, key, "wants a mapping of names to values");
	if (n->data.mapping.pairs.top - n->data.mapping.pairs.start > LIM_ADDON_ITEMS)
		return wrong(r, n, key, "has more than %d entries", LIM_ADDON_ITEMS);
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *at = yaml_document_get_node(&r->doc, p->key);
		const char *name = line(r, at, key);

		if (!name || each(r, name, at, yaml_document_get_node(&r->doc, p->value), arg) < 0)
			return -1;
	}
	return 0;
}

static int add_limit(struct reader *r, const char *name, const yaml_node_t *at,
		     const yaml_node_t *value, void *arg)
{
	const char *v = line(r, value, name);
	int64_t i;
	json_t *j;

	if (!v)
		return -1;
	if (json_object_get(arg, name))
		return wrong(r, at, name, "is there twice");
	if (number(value, &i))
		j = json_integer(i);
	else if (value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		 (strcmp(v, "true") == 0 || strcmp(v, "false") == 0))
		j = json_boolean(*v == 't');
	else
		j = json_string(v);
	return json_object_set_new(arg, name, j) < 0 ? wrong(r, at, name, "is not UTF-8") : 0;
}

static int read_limits(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	json_t *o = json_object();

	json_array_append_new(r->m->limits, o);
	*(const json_t **)dst = o;
	return read_pairs(r, n, key, add_limit, o);
}

struct timeouts {
	struct addon_timeout *v;
	int n;
};

static int add_timeout(struct reader *r, const char *name, const yaml_node_t *at,
		       const yaml_node_t *value, void *arg)
{
	struct timeouts *t = arg;
	int64_t s = 0;

	if (!addon_name_is_slug(name))
		return wrong(r, at, name, "is no verb");
	if (value->type != YAML_SCALAR_NODE || !number(value, &s) || s < 1 || s > 86400)
		return wrong(r, value, name, "wants seconds, 1 to 86400");
	for (int i = 0; i < t->n; i++)
		if (strcmp(t->v[i].verb, name) == 0)
			return wrong(r, at, name, "is there twice");
	t->v[t->n++] = (struct addon_timeout){keep_text(r->m, name), s};
	return 0;
}

static int read_timeouts(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	struct timeouts t = {keep(r->m, (LIM_ADDON_ITEMS + 1) * sizeof *t.v), 0};

	*(const struct addon_timeout **)dst = t.v;
	return read_pairs(r, n, key, add_timeout, &t);
}

/* --- tables of keys --- */

struct fields {
	const struct key *keys;
	bool seen[32];
	void *into;
};

static int read_field(struct reader *r, const char *name, const yaml_node_t *at,
		      const yaml_node_t *value, void *arg)
{
	struct fields *f = arg;

	for (int i = 0; f->keys[i].name; i++) {
		const struct key *k = &f->keys[i];

		if (strcmp(k->name, name) != 0)
			continue;
		if (f->seen[i])
			return wrong(r, at, name, "is there twice");
		f->seen[i] = true;
		return k->read(r, value, name, (char *)f->into + k->offset);
	}
	return wrong(r, at, name, "unknown key");
}

static int read_fields(struct reader *r, const yaml_node_t *n, const char *what,
		       const struct key *keys, void *into)
{
	struct fields f = {.keys = keys, .into = into};

	if (read_pairs(r, n, what, read_field, &f) < 0)
		return -1;
	for (int i = 0; keys[i].name; i++)
		if (keys[i].required && !f.seen[i])
			return wrong(r, n, what, "%s is missing", keys[i].name);
	return 0;
}

static const struct key plan_keys[] = {
	{"name", read_slug, offsetof(struct addon_plan, name), true},
	{"human_name", read_text, offsetof(struct addon_plan, human_name)},
	{"description", read_text, offsetof(struct addon_plan, description)},
	{"price", read_cents, offsetof(struct addon_plan, cents)},
	{"visible", read_bool, offsetof(struct addon_plan, visible)},
	{"limits", read_limits, offsetof(struct addon_plan, limits)},
	{0},
};

static int read_plans(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	struct addon_plan *v;

	if (n->type != YAML_SEQUENCE_NODE || count(n) < 1)
		return wrong(r, n, key, "wants a list of plans");
	if (count(n) > LIM_ADDON_ITEMS)
		return wrong(r, n, key, "has more than %d entries", LIM_ADDON_ITEMS);
	v = keep(r->m, count(n) * sizeof *v);
	for (size_t i = 0; i < count(n); i++) {
		yaml_node_t *item =
			yaml_document_get_node(&r->doc, n->data.sequence.items.start[i]);

		v[i].visible = true;
		if (read_fields(r, item, "plan", plan_keys, &v[i]) < 0)
			return -1;
		for (size_t k = 0; k < i; k++)
			if (strcmp(v[k].name, v[i].name) == 0)
				return wrong(r, item, key, "plan %s is there twice", v[i].name);
		if (!v[i].human_name)
			v[i].human_name = v[i].name;
		if (!v[i].description)
			v[i].description = "";
		if (!v[i].limits) {
			json_t *o = json_object();

			json_array_append_new(r->m->limits, o);
			v[i].limits = o;
		}
	}
	*(const struct addon_plan **)dst = v;
	r->m->s.nplans = (int)count(n);
	return 0;
}

static int read_requires(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	return read_list(r, n, key, read_requirement, dst);
}

#define PARTNER(f) offsetof(struct manifest_partner, f)
static const struct key partner_keys[] = {
	{"id", read_text, PARTNER(id)},
	{"base_url", read_safe_url, PARTNER(base_url), true},
	{"sso_url", read_safe_url, PARTNER(sso_url)},
	{"region", read_text, PARTNER(region)},
	{"requires", read_requires, PARTNER(requires)},
	{0},
};

static int read_partner(struct reader *r, const yaml_node_t *n, const char *key, void *dst)
{
	struct manifest_partner *p = dst;
	char *url;

	if (read_fields(r, n, key, partner_keys, p) < 0)
		return -1;
	url = (char *)(uintptr_t)p->base_url;
	for (size_t len = strlen(url); url[len - 1] == '/';)
		url[--len] = 0;
	if (p->id && (!*p->id || strchr(p->id, ':')))
		return wrong(r, n, "id", "is no user's name");
	if (!p->region)
		p->region = "amazon-web-services::us-east-1";
	for (int i = 0; p->requires && p->requires[i]; i++)
		*(strcmp(p->requires[i], "log_drain") == 0 ? &p->log_drain : &p->log_input) = true;
	return 0;
}

#define S(f) offsetof(struct manifest, s.f)
#define M(f) offsetof(struct manifest, f)
static const struct key keys[] = {
	{"name", read_slug, S(name), true},	  {"aliases", read_slugs, S(aliases)},
	{"human_name", read_text, S(human_name)}, {"description", read_text, S(description)},
	{"docs_url", read_url, S(docs_url)},	  {"web_url", read_url, S(web_url)},
	{"prefix", read_prefix, S(prefix), true}, {"config_vars", read_suffixes, S(vars), true},
	{"plans", read_plans, S(plans), true},	  {"default_plan", read_slug, M(default_plan)},
	{"sharing", read_bool, S(sharing)},	  {"multiple", read_bool, S(multiple)},
	{"abilities", read_slugs, S(abilities)},  {"service", read_process, M(process)},
	{"settings", read_texts, M(settings)},	  {"timeouts", read_timeouts, M(timeouts)},
	{"partner", read_partner, M(partner)},	  {0},
};

/* What partners cannot have: the contract with them says it. */
static int finish_partner(struct reader *r, const yaml_node_t *root)
{
	static const char *const abilities[] = {"change", NULL};
	static const char *const settings[] = {"password", "sso_salt", "client_secret", NULL};
	struct manifest *m = r->m;
	const char *key = m->s.abilities[0]	? "abilities"
			  : m->settings[0]	? "settings"
			  : m->timeouts[0].verb ? "timeouts"
			  : m->process		? "service"
						: NULL;

	if (key)
		return wrong(r, root, key, "is not for partners");
	if (!m->partner.id)
		m->partner.id = m->s.name;
	m->s.http = true;
	m->s.abilities = abilities;
	m->settings = settings;
	return 0;
}

static int set_default(struct reader *r, const yaml_node_t *root)
{
	struct addon_plan *plans = (struct addon_plan *)(uintptr_t)r->m->s.plans;
	const char *name = r->m->default_plan ? r->m->default_plan : plans[0].name;

	for (int i = 0; i < r->m->s.nplans; i++)
		if (strcmp(plans[i].name, name) == 0) {
			plans[i].is_default = true;
			return 0;
		}
	return wrong(r, root, "default_plan", "there is no plan %s", name);
}

static int read_manifest(struct reader *r)
{
	static const char *const none[] = {NULL};
	static const struct addon_timeout usual[] = {{0}};
	yaml_node_t *root = yaml_document_get_root_node(&r->doc);
	struct manifest *m = r->m;

	m->limits = json_array();
	m->s.sharing = m->s.multiple = true;
	m->s.aliases = m->s.abilities = m->settings = none;
	m->timeouts = usual;
	if (!root)
		return err_set(r->err, ERR_CONFIG, "%.150s:1: is empty", r->file);
	if (read_fields(r, root, "addon.yml", keys, m) < 0)
		return -1;
	if (!m->s.human_name)
		m->s.human_name = m->s.name;
	m->file = keep_text(m, r->file);
	if (m->partner.base_url && finish_partner(r, root) < 0)
		return -1;
	return set_default(r, root);
}

/* --- documents --- */

/* One document, read by fn. */
static int parse(struct reader *r, const char *text, size_t n, int (*fn)(struct reader *r))
{
	yaml_parser_t p;
	int rc;

	if (n > LIM_ADDON_MANIFEST)
		return err_set(r->err, ERR_CONFIG, "%.150s: is larger than %lld bytes", r->file,
			       LIM_ADDON_MANIFEST);
	if (!yaml_parser_initialize(&p))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	if (!yaml_parser_load(&p, &r->doc)) {
		rc = err_set(r->err, ERR_CONFIG, "%.150s:%zu: %s", r->file, p.problem_mark.line + 1,
			     p.problem ? p.problem : "not YAML");
		yaml_parser_delete(&p);
		return rc;
	}
	rc = fn(r);
	yaml_document_delete(&r->doc);
	yaml_parser_delete(&p);
	return rc;
}

int manifest_parse(const char *file, const char *text, size_t n, struct manifest **out,
		   struct err *err)
{
	AUTO(manifest_free) struct manifest *m = xcalloc(1, sizeof *m);
	struct err unused = {0};
	struct reader r = {.file = file, .m = m, .err = err ? err : &unused};

	if (parse(&r, text, n, read_manifest) < 0)
		return -1;
	*out = STEAL(m);
	return 0;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	while (m->pieces) {
		struct manifest_piece *p = m->pieces;

		m->pieces = p->next;
		free(p);
	}
	json_decref(m->limits);
	free(m);
}

static int check_program(const char *file, const char *dir, const char *verb, const char *key,
			 struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/bin/%s", dir, verb);

	if (access(path, X_OK) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "%.150s: %s: bin/%s is missing or not executable", file,
		       key, verb);
}

static int check_programs(const char *file, const char *dir, const struct manifest *m,
			  struct err *err)
{
	if (check_program(file, dir, "provision", "name", err) < 0 ||
	    check_program(file, dir, "deprovision", "name", err) < 0)
		return -1;
	if (m->process == ADDON_SHARED_PROCESS &&
	    check_program(file, dir, "service", "service", err) < 0)
		return -1;
	for (int i = 0; m->s.abilities[i]; i++)
		if (check_program(file, dir, m->s.abilities[i], "abilities", err) < 0)
			return -1;
	return 0;
}

int manifest_load(const char *dir, struct manifest **out, struct err *err)
{
	AUTO(auto_str) char *file = xasprintf("%s/addon.yml", dir);
	AUTO(buf_clear) struct buf text = {0};
	AUTO(manifest_free) struct manifest *m = NULL;
	const char *base = strrchr(dir, '/');

	if (access(file, F_OK) < 0)
		return err_not_found(err, "addon.yml");
	if (fs_read(file, LIM_ADDON_MANIFEST, &text, err) < 0 ||
	    manifest_parse(file, buf_str(&text), text.len, &m, err) < 0)
		return -1;
	if (base && strcmp(base + 1, m->s.name) != 0)
		return err_set(err, ERR_CONFIG, "%.150s: name: is %s, but the folder is %.60s",
			       file, m->s.name, base + 1);
	if (!m->s.http) {
		if (check_programs(file, dir, m, err) < 0)
			return -1;
		m->s.dir = keep_text(m, dir);
	}
	*out = STEAL(m);
	return 0;
}

int64_t manifest_timeout(const struct manifest *m, const char *verb)
{
	static const struct addon_timeout usual[] = {
		{"info", 10}, {"health", 10}, {"backup", 3600}, {"restore", 3600}, {0}};

	for (const struct addon_timeout *t = m->timeouts; t->verb; t++)
		if (strcmp(t->verb, verb) == 0)
			return t->s;
	for (const struct addon_timeout *t = usual; t->verb; t++)
		if (strcmp(t->verb, verb) == 0)
			return t->s;
	return 60;
}

/* --- settings --- */

struct settings {
	const struct manifest *m;
	json_t *out;
};

/* Values are secrets: messages name keys only. */
static int add_setting(struct reader *r, const char *name, const yaml_node_t *at,
		       const yaml_node_t *value, void *arg)
{
	struct settings *s = arg;
	bool known = false;

	for (int i = 0; s->m->settings[i]; i++)
		known = known || strcmp(s->m->settings[i], name) == 0;
	if (!known)
		return wrong(r, at, name, "unknown key");
	if (json_object_get(s->out, name))
		return wrong(r, at, name, "is there twice");
	if (value->type != YAML_SCALAR_NODE ||
	    strlen((const char *)value->data.scalar.value) != value->data.scalar.length)
		return wrong(r, value, name, "wants a text");
	json_object_set_new(s->out, name, json_string((const char *)value->data.scalar.value));
	return 0;
}

struct settings_reader {
	struct reader r;
	struct settings s;
};

static int read_settings(struct reader *r)
{
	struct settings_reader *s = container_of(r, struct settings_reader, r);
	yaml_node_t *root = yaml_document_get_root_node(&r->doc);

	return root ? read_pairs(r, root, "settings", add_setting, &s->s) : 0;
}

int manifest_settings_parse(const struct manifest *m, const char *file, const char *text, size_t n,
			    json_t **out, struct err *err)
{
	AUTO(json_decref) json_t *o = json_object();
	struct err unused = {0};
	struct settings_reader s = {.r = {.file = file, .err = err ? err : &unused}, .s = {m, o}};

	if (parse(&s.r, text, n, read_settings) < 0)
		return -1;
	*out = STEAL(o);
	return 0;
}

int manifest_settings_load(const struct manifest *m, const char *dir, json_t **out, struct err *err)
{
	AUTO(auto_str) char *file = xasprintf("%s/%s.yml", dir, m->s.name);
	AUTO(auto_fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	AUTO(buf_clear) struct buf text = {0};
	struct stat st;
	int rc;

	if (fd < 0 && errno == ENOENT) {
		*out = json_object();
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "%s", file);
	if (st.st_mode & 077)
		return err_set(err, ERR_CONFIG,
			       "%.200s: others may read it, and it holds secrets: chmod 600", file);
	if (fs_read(file, LIM_ADDON_MANIFEST, &text, err) < 0)
		return -1;
	rc = manifest_settings_parse(m, file, buf_str(&text), text.len, out, err);
	if (text.len)
		explicit_bzero(text.data, text.len);
	return rc;
}

int manifest_settings_check(const struct manifest *m, const char *dir, const json_t *settings,
			    struct err *err)
{
	const struct {
		const char *name;
		bool needed;
	} wanted[] = {{"password", m->s.http}, {"sso_salt", m->partner.sso_url != NULL}};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		const char *v = json_string_value(json_object_get(settings, wanted[i].name));

		if (wanted[i].needed && (!v || !*v))
			return err_set(err, ERR_CONFIG,
				       "%.150s/%s.yml: %s is missing, which the partner's manifest "
				       "%.150s needs",
				       dir, m->s.name, wanted[i].name, m->file);
	}
	return 0;
}
