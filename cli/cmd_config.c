#include "cli/cli.h"
#include "cli/table.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Text that a shell takes as one word as it stands. */
static bool plain_word(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_-+./:@%,=", *s))
			return false;
	return true;
}

static bool has_controls(const char *s)
{
	for (; *s; s++)
		if ((*s > 0 && *s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f)
			return true;
	return false;
}

void cli_shell_pair(struct buf *out, const char *key, const char *value)
{
	bool ansi = has_controls(value);

	cli_clean(out, key, strlen(key), false);
	buf_addc(out, '=');
	if (plain_word(value)) {
		buf_adds(out, value);
		return;
	}
	buf_adds(out, ansi ? "$'" : "'");
	for (; *value; value++) {
		unsigned char ch = (unsigned char)*value;

		if (*value == '\'')
			buf_adds(out, ansi ? "\\'" : "'\\''");
		else if (ansi && (ch < 0x20 || ch == 0x7f))
			buf_addf(out, "\\x%02x", ch);
		else if (ansi && *value == '\\')
			buf_adds(out, "\\\\");
		else
			buf_addc(out, *value);
	}
	buf_addc(out, '\'');
}

static void print_shell(const char *key, const char *value)
{
	AUTO(buf_clear) struct buf b = {0};

	cli_shell_pair(&b, key, value);
	printf("%s\n", buf_str(&b));
}

static int get_config(struct cli *c, json_t **out, struct err *err)
{
	return cli_api(c, "GET", NULL, out, err, "/apps/%s/config-vars", c->app);
}

static void print_pairs(const json_t *vars)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)vars, key, v) cli_pairs_add(&p, key, cli_js(v, ""));
	cli_pairs_print(&p, stdout);
}

static int cmd_config(struct cli *c, struct err *err)
{
	json_auto_t *vars = NULL;
	const char *key;
	json_t *v;

	if (get_config(c, &vars, err) < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, vars);
	} else if (cli_opt(&c->args, "shell")) {
		json_object_foreach(vars, key, v) print_shell(key, cli_js(v, ""));
	} else {
		cli_header(c, "%s Config Vars", c->app);
		print_pairs(vars);
	}
	return 0;
}

/* Scripts get the bytes; a terminal gets them cleaned. */
static void print_value(struct cli *c, const char *value)
{
	AUTO(buf_clear) struct buf b = {0};

	if (c->out_tty)
		cli_clean(&b, value, strlen(value), true);
	printf("%s\n", c->out_tty ? buf_str(&b) : value);
}

static int cmd_config_get(struct cli *c, struct err *err)
{
	json_auto_t *vars = NULL, *some = json_object();

	if (get_config(c, &vars, err) < 0)
		return -1;
	for (int i = 0; i < c->args.npos; i++) {
		const char *key = c->args.pos[i], *value = cli_js(json_object_get(vars, key), "");

		if (cli_json(c))
			json_object_set_new(some, key, json_incref(json_object_get(vars, key)));
		else if (cli_opt(&c->args, "shell"))
			print_shell(key, value);
		else
			print_value(c, value);
	}
	if (cli_json(c))
		cli_print_json(c, some);
	return 0;
}

/* Sets the vars (null = unset) and tells the version of the release that it made. */
static int patch_config(struct cli *c, const json_t *body, json_t **vars, struct err *err)
{
	json_auto_t *releases = NULL;

	if (cli_api(c, "PATCH", body, vars, err, "/apps/%s/config-vars", c->app) < 0)
		return -1;
	if (cli_api_part(c, "version ..; order=desc,max=1", &releases, err, "/apps/%s/releases",
			 c->app) < 0)
		return -1;
	if (json_array_size(releases))
		cli_action_done(c, "done, v%lld", cli_jint(json_array_get(releases, 0), "version"));
	else
		cli_action_done(c, "%s", "");
	return 0;
}

static void join_keys(const json_t *vars, struct buf *out)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)vars, key, v)
		buf_addf(out, "%s%s", out->len ? ", " : "", key);
}

static int parse_set(struct cli *c, json_t *body, struct err *err)
{
	for (int i = 0; i < c->args.npos; i++) {
		const char *word = c->args.pos[i], *eq = strchr(word, '=');
		AUTO(auto_str) char *key = NULL;
		json_t *value;

		if (!eq || eq == word)
			return err_set(err, ERR_BAD_REQUEST,
				       "%.60s is invalid. Must be in the format FOO=bar.", word);
		key = xstrndup(word, (size_t)(eq - word));
		if (name_check_config(key, eq + 1, strlen(eq + 1), err) < 0)
			return -1;
		value = json_string(eq + 1);
		if (!value)
			return err_set(err, ERR_BAD_REQUEST, "The value of %s is not UTF-8 text",
				       key);
		json_object_set_new(body, key, value);
	}
	return 0;
}

static int cmd_config_set(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object(), *vars = NULL, *shown = json_object();
	AUTO(buf_clear) struct buf keys = {0};
	const char *key;
	json_t *v;

	if (parse_set(c, body, err) < 0)
		return -1;
	join_keys(body, &keys);
	cli_action(c, "Setting %s and restarting %s", buf_str(&keys), cli_label(c, c->app));
	if (patch_config(c, body, &vars, err) < 0)
		return -1;
	json_object_foreach(body, key, v) json_object_set(shown, key, json_object_get(vars, key));
	if (cli_json(c))
		cli_print_json(c, vars);
	else
		print_pairs(shown);
	return 0;
}

static int cmd_config_unset(struct cli *c, struct err *err)
{
	json_auto_t *body = json_object(), *vars = NULL;
	AUTO(buf_clear) struct buf keys = {0};

	for (int i = 0; i < c->args.npos; i++)
		json_object_set_new(body, c->args.pos[i], json_null());
	join_keys(body, &keys);
	cli_action(c, "Unsetting %s and restarting %s", buf_str(&keys), cli_label(c, c->app));
	if (patch_config(c, body, &vars, err) < 0)
		return -1;
	if (cli_json(c))
		cli_print_json(c, vars);
	return 0;
}

/* --- config:edit --- */

/* One "KEY=value" a line; values that would not survive that are in double quotes with \n, \" and
 * \\. */
static void write_vars(const json_t *vars, struct buf *out)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)vars, key, v)
	{
		const char *s = cli_js(v, "");
		bool quote =
			strpbrk(s, "\n\r\"\\") || s[0] == ' ' || (s[0] && s[strlen(s) - 1] == ' ');

		buf_addf(out, "%s=%s", key, quote ? "\"" : "");
		for (; *s; s++) {
			if (*s == '\n')
				buf_adds(out, "\\n");
			else if (*s == '\r')
				buf_adds(out, "\\r");
			else if (quote && (*s == '"' || *s == '\\'))
				buf_addf(out, "\\%c", *s);
			else
				buf_addc(out, *s);
		}
		buf_adds(out, quote ? "\"\n" : "\n");
	}
}

static char *unquote(const char *s)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t n = strlen(s);

	if (n < 2 || s[0] != '"' || s[n - 1] != '"')
		return xstrdup(s);
	for (const char *p = s + 1; p < s + n - 1; p++) {
		if (*p == '\\' && p + 1 < s + n - 1) {
			p++;
			buf_addc(&b, *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p);
		} else {
			buf_addc(&b, *p);
		}
	}
	return buf_steal(&b);
}

static int read_vars(const char *text, json_t *out, struct err *err)
{
	for (int line = 1; *text; line++) {
		size_t n = strcspn(text, "\n");
		AUTO(auto_str) char *word = xstrndup(text, n);
		AUTO(auto_str) char *value = NULL;
		char *eq = strchr(word, '=');
		json_t *v;

		text += n + (text[n] == '\n');
		if (n && word[n - 1] == '\r')
			word[n - 1] = 0;
		if (!word[0] || word[0] == '#')
			continue;
		if (!eq)
			return err_set(err, ERR_BAD_REQUEST,
				       "line %d is not KEY=value: nothing was set", line);
		*eq = 0;
		value = unquote(eq + 1);
		if (name_check_config(word, value, strlen(value), err) < 0)
			return err_wrap(err, "line %d", line);
		v = json_string(value);
		if (!v)
			return err_set(err, ERR_BAD_REQUEST, "line %d is not UTF-8 text", line);
		json_object_set_new(out, word, v);
	}
	return 0;
}

static int write_file(const char *path, const struct buf *text, struct err *err)
{
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, buf_str(text), text->len) != (ssize_t)text->len)
		return err_errno(err, "cannot write %s", path);
	return 0;
}

/* EDITOR is the user's own command line ("code --wait"), so a shell splits it; the file name is not
 * part of the script. */
static int run_editor(const char *path, struct err *err)
{
	const char *editor = getenv("VISUAL");
	AUTO(auto_str) char *script = NULL;
	int rc;

	if (!editor || !editor[0])
		editor = getenv("EDITOR");
	if (!editor || !editor[0])
		editor = "vi";
	script = xasprintf("%s \"$1\"", editor);
	rc = cli_run_tty((const char *const[]){"sh", "-c", script, editor, path, NULL});
	if (rc == 0)
		return 0;
	return err_set(err, ERR_INTERNAL, "the editor %s ended with status %d: nothing was set",
		       editor, rc);
}

/* Text through the editor, in a folder that only we can read and that goes away. */
static int edit_text(struct buf *text, const char *suffix, struct err *err)
{
	const char *base = getenv("TMPDIR");
	AUTO(auto_str) char *dir = xasprintf("%s/paasctl-XXXXXX", base && base[0] ? base : "/tmp");
	AUTO(auto_str) char *path = NULL;
	int rc;

	if (!mkdtemp(dir))
		return err_errno(err, "cannot make %s", dir);
	path = xasprintf("%s/config%s", dir, suffix);
	rc = write_file(path, text, err);
	if (rc == 0)
		rc = run_editor(path, err);
	buf_reset(text);
	if (rc == 0)
		rc = cli_read_file(path, LIM_API_BODY, text, err);
	unlink(path);
	/* Editors leave backups; what is left keeps the folder, and it is private. */
	rmdir(dir);
	return rc;
}

static int edit_all(const json_t *before, json_t *after, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};

	write_vars(before, &text);
	return edit_text(&text, ".env", err) < 0 ? -1 : read_vars(buf_str(&text), after, err);
}

static int edit_one(const json_t *before, const char *key, json_t *after, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	json_t *v;

	buf_addf(&text, "%s\n", cli_js(json_object_get(before, key), ""));
	json_object_update(after, (json_t *)before);
	if (edit_text(&text, ".txt", err) < 0)
		return -1;
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	if (name_check_config(key, buf_str(&text), text.len, err) < 0)
		return -1;
	v = json_string(buf_str(&text));
	if (!v)
		return err_set(err, ERR_BAD_REQUEST, "the edited text is not UTF-8");
	if (text.len)
		json_object_set_new(after, key, v);
	else {
		json_decref(v);
		json_object_del(after, key);
	}
	return 0;
}

/* What to send: changed values, null for those that are gone. Prints it as a diff. */
static json_t *diff(const json_t *before, const json_t *after)
{
	json_t *body = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)before, key, v)
	{
		if (json_equal(v, json_object_get(after, key)))
			continue;
		cli_line("- %s=%s", key, cli_js(v, ""));
		if (!json_object_get(after, key))
			json_object_set_new(body, key, json_null());
	}
	json_object_foreach((json_t *)after, key, v)
	{
		if (json_equal(v, json_object_get(before, key)))
			continue;
		cli_line("+ %s=%s", key, cli_js(v, ""));
		json_object_set(body, key, v);
	}
	return body;
}

/* Nobody else may have changed them while the editor was open. */
static int unchanged(struct cli *c, const json_t *before, struct err *err)
{
	json_auto_t *now = NULL;

	cli_action(c, "Verifying new config");
	if (get_config(c, &now, err) < 0)
		return -1;
	if (!json_equal(before, now))
		return err_set(err, ERR_CONFLICT,
			       "Config changed on the server during the edit: nothing was set");
	cli_action_done(c, "%s", "");
	return 0;
}

static int cmd_config_edit(struct cli *c, struct err *err)
{
	const char *key = c->args.npos ? c->args.pos[0] : NULL;
	json_auto_t *before = NULL, *after = json_object(), *body = NULL;
	AUTO(auto_str) char *ask = NULL;

	if (key && name_check_config(key, NULL, 0, err) < 0)
		return -1;
	cli_action(c, "Fetching config");
	if (get_config(c, &before, err) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	if ((key ? edit_one(before, key, after, err) : edit_all(before, after, err)) < 0)
		return -1;
	if (json_equal(before, after)) {
		cli_warn(c, "no changes to config");
		return 0;
	}
	printf("\nConfig Diff:\n");
	body = diff(before, after);
	printf("\n");
	fflush(stdout);
	ask = xasprintf("Update config on %s with these values?", c->app);
	if (!cli_yes(c, ask))
		return 1;
	if (unchanged(c, before, err) < 0)
		return -1;
	cli_action(c, "Updating config");
	return patch_config(c, body, NULL, err);
}

const struct cli_cmd cli_cmds_config[] = {
	{.name = "config",
	 .help = "display the config vars for an app",
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format")),
	 .flags = CLI_APP,
	 .run = cmd_config,
	 .examples = "config -a my-app\nconfig --shell\nconfig --json"},
	{.name = "config:get",
	 .help = "display config values of an app",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "name of the config var", true, true}),
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format")),
	 .flags = CLI_APP,
	 .run = cmd_config_get,
	 .examples = "config:get RAILS_ENV"},
	{.name = "config:set",
	 .aliases = "config:add",
	 .help = "set one or more config vars",
	 .args = ARGS({"KEY=VALUE", COMPLETE_CONFIG, "name and value", true, true}),
	 .flags = CLI_APP,
	 .run = cmd_config_set,
	 .examples = "config:set RAILS_ENV=staging RACK_ENV=staging"},
	{.name = "config:unset",
	 .aliases = "config:remove",
	 .help = "unset one or more config vars",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "name of the config var", true, true}),
	 .flags = CLI_APP,
	 .run = cmd_config_unset,
	 .examples = "config:unset RAILS_ENV RACK_ENV"},
	{.name = "config:edit",
	 .help = "interactively edit config vars",
	 .more = "Opens VISUAL or EDITOR on the config vars, or on the value of KEY alone; shows "
		 "what "
		 "changed and asks before it is set. Nothing is set when somebody else changed "
		 "them meanwhile.",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "edit the value of this key only", false, false}),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_config_edit,
	 .examples = "config:edit -a my-app\nconfig:edit RAILS_ENV"},
	{0},
};
