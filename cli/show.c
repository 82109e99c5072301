#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

bool cli_json(const struct cli *c)
{
	return !(c->cmd->flags & CLI_NO_JSON) && cli_opt(&c->args, "json");
}

static void add_scalar(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		buf_adds(b, json_string_value(v));
	else if (json_is_integer(v))
		buf_addf(b, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_addf(b, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_adds(b, json_is_true(v) ? "true" : "false");
	else if (json_is_object(v))
		add_scalar(b, json_object_get(v, "name"));
}

static void add_list(struct buf *b, const json_t *list, const char *sep)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		buf_adds(b, i ? sep : "");
		add_scalar(b, v);
	}
}

char *cli_field_text(const json_t *o, const struct cli_field *f)
{
	AUTO(buf_clear) struct buf b = {0};
	const json_t *v = cli_at(o, f->path);

	switch (f->form) {
	case FORM_TEXT:
		add_scalar(&b, v);
		break;
	case FORM_WHEN:
		buf_adds(&b, cli_ago(cli_js(v, ""), time(NULL)));
		break;
	case FORM_LIST:
		add_list(&b, v, ", ");
		break;
	case FORM_LINES:
		add_list(&b, v, "\n");
		break;
	case FORM_ON:
		buf_adds(&b, json_is_true(v) ? "enabled" : "disabled");
		break;
	}
	return buf_steal(&b);
}

static int count(const struct cli_field *f)
{
	int n = 0;

	while (f[n].label)
		n++;
	return n;
}

static void print_table(const json_t *list, const struct cli_field *f)
{
	enum { MAX = 12 };
	AUTO(cli_table_clear) struct cli_table t = {.cols = count(f)};
	const char *heads[MAX] = {0};
	size_t i;
	json_t *o;

	for (int k = 0; k < t.cols && k < MAX; k++)
		heads[k] = f[k].label;
	if (f[0].label[0])
		t.heads = heads;
	json_array_foreach(list, i, o)
	{
		char *cells[MAX] = {0};

		for (int k = 0; k < t.cols && k < MAX; k++)
			cells[k] = cli_field_text(o, &f[k]);
		cli_table_row(&t, (const char *const *)cells);
		for (int k = 0; k < t.cols && k < MAX; k++)
			free(cells[k]);
	}
	cli_table_print(&t, stdout);
}

int cli_show_list(struct cli *c, const json_t *list, const struct cli_field *fields,
		  const char *title, const char *none)
{
	const char *app = c->app ? c->app : "";

	if (cli_json(c)) {
		cli_print_json(c, list);
	} else if (!json_array_size(list)) {
		cli_line(none, app);
	} else {
		if (title)
			cli_header(c, title, app);
		print_table(list, fields);
	}
	return 0;
}

int cli_show_fields(struct cli *c, const json_t *o, const struct cli_field *fields,
		    const char *title)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};

	if (cli_json(c)) {
		cli_print_json(c, o);
		return 0;
	}
	if (title)
		cli_header(c, "%s", title);
	for (const struct cli_field *f = fields; f->label; f++) {
		AUTO(auto_str) char *text = cli_field_text(o, f);

		if (text[0])
			cli_pairs_add(&p, f->label, text);
	}
	cli_pairs_print(&p, stdout);
	return 0;
}

struct keyed {
	const char *key;
	json_t *v;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

json_t *cli_sorted(const json_t *list, const char *path)
{
	size_t n = json_array_size(list);
	struct keyed *v = xcalloc(n, sizeof *v);
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++) {
		v[i].v = json_array_get(list, i);
		v[i].key = cli_js(v[i].v, path);
	}
	qsort(v, n, sizeof *v, by_key);
	for (size_t i = 0; i < n; i++)
		json_array_append(out, v[i].v);
	free(v);
	return out;
}

json_t *cli_find(const json_t *list, const char *path, const char *value)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (strcmp(cli_js(o, path), value) == 0) return o;
	return NULL;
}

int cli_num_opt(struct cli *c, const char *name, int preset, int *out, struct err *err)
{
	const char *num = cli_opt(&c->args, name);

	*out = preset;
	if (!num)
		return 0;
	if (!*num || strlen(num) > 8 || strspn(num, "0123456789") != strlen(num) || atoi(num) < 1)
		return err_set(err, ERR_BAD_REQUEST, "--%s expects a number", name);
	*out = atoi(num);
	return 0;
}

void cli_body_opt(struct cli *c, json_t *body, const char *opt, const char *key)
{
	const char *value = cli_opt(&c->args, opt);

	if (value)
		json_object_set_new(body, key, json_string(value));
}

json_t *cli_words(const char *text)
{
	json_t *out = json_array();

	for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
		size_t n = strcspn(text, ", ");

		json_array_append_new(out, json_stringn(text, n));
		text += n;
	}
	return out;
}

int cli_read_file(const char *path, size_t max, struct buf *out, struct err *err)
{
	bool in = strcmp(path, "-") == 0;
	AUTO(auto_fd) int fd = in ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return err_errno(err, "cannot read %s", path);
	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		buf_add(out, chunk, (size_t)n);
		if (out->len > max)
			return err_set(err, ERR_BAD_REQUEST, "%s is too long", path);
	}
	if (n < 0)
		return err_errno(err, "cannot read %s", path);
	if (strlen(buf_str(out)) != out->len)
		return err_set(err, ERR_BAD_REQUEST, "%s is not text", path);
	return 0;
}

char *cli_xdg_dir(const char *kind)
{
	AUTO(auto_str) char *var = xasprintf("XDG_%s_HOME", kind);
	const char *xdg = getenv(var), *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return xasprintf("%s/paasctl", xdg);
	if (!home || !home[0])
		return NULL;
	return xasprintf("%s/%s/paasctl", home, strcmp(kind, "CONFIG") == 0 ? ".config" : ".cache");
}

int cli_make_dir(const char *dir, struct err *err)
{
	AUTO(auto_str) char *path = xstrdup(dir);

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_errno(err, "cannot make %s", path);
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "cannot make %s", dir);
	return 0;
}
