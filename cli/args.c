#include "cli/args.h"
#include "cli/cli.h"

#include <assert.h>
#include <string.h>

void cli_opt_lists(const struct cli_cmd *cmd, const struct cli_opt *lists[5])
{
	int n = 0;

	if (cmd->opts)
		lists[n++] = cmd->opts;
	if (!(cmd->flags & CLI_NO_JSON))
		lists[n++] = cli_json_opts;
	if (cmd->flags & (CLI_APP | CLI_APP_OPTIONAL))
		lists[n++] = cli_app_opts;
	lists[n++] = cli_global_opts;
	lists[n] = NULL;
}

static bool in_words(const char *words, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = words; p && *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (len == n && memcmp(p, name, n) == 0)
			return true;
		p += len;
	}
	return false;
}

const struct cli_cmd *cli_find_cmd(const char *name)
{
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		for (const struct cli_cmd *c = t->cmds; c->name; c++)
			if (strcmp(c->name, name) == 0 || in_words(c->aliases, name))
				return c;
	return NULL;
}

/* Edit distance with swaps of neighbours; texts longer than the table are far from all. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
	enum { MAX = 40 };
	int d[MAX + 1][MAX + 1];

	if (na > MAX || nb > MAX)
		return MAX;
	for (size_t i = 0; i <= na; i++)
		for (size_t j = 0; j <= nb; j++) {
			int best;

			if (i == 0 || j == 0) {
				d[i][j] = (int)(i + j);
				continue;
			}
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[na][nb];
}

struct nearest {
	const char *word;
	char best[64];
	int dist;
};

static void consider(struct nearest *n, const char *s, size_t len)
{
	int d = distance(n->word, strlen(n->word), s, len);

	if (d < n->dist && len < sizeof n->best) {
		n->dist = d;
		memcpy(n->best, s, len);
		n->best[len] = 0;
	}
}

static void consider_cmd(struct nearest *n, const struct cli_cmd *c)
{
	consider(n, c->name, strlen(c->name));
	for (const char *p = c->aliases; p && *p; p += strspn(p, " ")) {
		consider(n, p, strcspn(p, " "));
		p += strcspn(p, " ");
	}
}

/* More than a third of it mistyped is another word. */
static bool near_enough(const struct nearest *n)
{
	return n->dist <= 1 + (int)strlen(n->word) / 4;
}

const char *cli_suggest(const char *name)
{
	static struct nearest n;

	n = (struct nearest){.word = name, .dist = 100};
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		for (const struct cli_cmd *c = t->cmds; c->name; c++)
			if (!(c->flags & CLI_HIDDEN))
				consider_cmd(&n, c);
	return near_enough(&n) ? n.best : NULL;
}

const char *cli_suggest_opt(const struct cli_cmd *cmd, const char *name)
{
	static struct nearest n;
	const struct cli_opt *lists[5];

	n = (struct nearest){.word = name, .dist = 100};
	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++)
			if (o->help)
				consider(&n, o->name, strlen(o->name));
	return near_enough(&n) ? n.best : NULL;
}

static const struct cli_opt *find_opt(const struct cli_cmd *cmd, char letter, const char *name,
				      size_t len)
{
	const struct cli_opt *lists[5];

	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++)
			if (name ? strlen(o->name) == len && memcmp(o->name, name, len) == 0
				 : o->letter == letter)
				return o;
	return NULL;
}

static void keep(struct cli_args *a, const struct cli_opt *opt, const char *value)
{
	a->values = xrealloc(a->values, sizeof *a->values * (size_t)(a->nvalues + 1));
	a->values[a->nvalues++] = (struct cli_value){opt, value ? value : ""};
	if (strcmp(opt->name, "help") == 0)
		a->help = true;
}

static int unknown(const struct cli_cmd *cmd, const char *arg, size_t len, struct err *err)
{
	char name[64] = "";
	const char *near_name;

	if (len >= 2 && len - 2 < sizeof name && arg[1] == '-') {
		memcpy(name, arg + 2, len - 2);
		name[len - 2] = 0;
	}
	near_name = name[0] ? cli_suggest_opt(cmd, name) : NULL;
	return err_set(err, ERR_BAD_REQUEST, "Nonexistent flag: %.*s%s%s%s", (int)len, arg,
		       near_name ? " (did you mean --" : "", near_name ? near_name : "",
		       near_name ? "?)" : "");
}

static int missing_value(const struct cli_opt *o, struct err *err)
{
	return err_set(err, ERR_BAD_REQUEST, "Flag --%s expects a value", o->name);
}

struct reader {
	const struct cli_cmd *cmd;
	struct cli_args *out;
	char **argv;
	int argc, i; /* i: the word being read */
};

static void positional(struct reader *r, const char *word)
{
	struct cli_args *a = r->out;

	a->pos = xrealloc(a->pos, sizeof *a->pos * (size_t)(a->npos + 2));
	a->pos[a->npos++] = word;
	a->pos[a->npos] = NULL;
}

/* `run COMMAND --help` asks the command. */
static bool not_ours(const struct reader *r, const struct cli_opt *o)
{
	return r->cmd->flags & CLI_PASS && r->out->npos > 0 && strcmp(o->name, "help") == 0;
}

static int read_long(struct reader *r, struct err *err)
{
	const char *word = r->argv[r->i], *name = word + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct cli_opt *o = find_opt(r->cmd, 0, name, len);

	if (!o || not_ours(r, o)) {
		if (!(r->cmd->flags & CLI_PASS))
			return unknown(r->cmd, word, len + 2, err);
		positional(r, word);
		return 0;
	}
	if (!o->value) {
		if (eq)
			return err_set(err, ERR_BAD_REQUEST, "Flag --%s takes no value", o->name);
		keep(r->out, o, NULL);
		return 0;
	}
	if (eq) {
		keep(r->out, o, eq + 1);
		return 0;
	}
	if (r->i + 1 >= r->argc)
		return missing_value(o, err);
	keep(r->out, o, r->argv[++r->i]);
	return 0;
}

/* "-a", "-aNAME", "-a=NAME", "-tx". */
static int read_short(struct reader *r, struct err *err)
{
	const char *word = r->argv[r->i];

	/* A word of letters of which one is unknown belongs to the command that is run, whole. */
	if (r->cmd->flags & CLI_PASS) {
		const struct cli_opt *first = find_opt(r->cmd, word[1], NULL, 0);

		if (!first || not_ours(r, first)) {
			positional(r, word);
			return 0;
		}
	}
	for (const char *p = word + 1; *p; p++) {
		const struct cli_opt *o = find_opt(r->cmd, *p, NULL, 0);

		if (!o)
			return unknown(r->cmd, word, strlen(word), err);
		if (!o->value) {
			keep(r->out, o, NULL);
			continue;
		}
		if (p[1]) {
			keep(r->out, o, p + 1 + (p[1] == '='));
			return 0;
		}
		if (r->i + 1 >= r->argc)
			return missing_value(o, err);
		keep(r->out, o, r->argv[++r->i]);
	}
	return 0;
}

static int check_count(const struct cli_cmd *cmd, const struct cli_args *a, struct err *err)
{
	int max = 0;
	bool many = false;

	for (const struct cli_arg *p = cmd->args; p && p->name; p++, max++) {
		many = many || p->many;
		if (p->required && a->npos <= max)
			return err_set(err, ERR_BAD_REQUEST, "Missing required arg: %s", p->name);
	}
	if (many || a->npos <= max)
		return 0;
	if (max == 0 && a->npos == 1) {
		AUTO(auto_str) char *sub = xasprintf("%s:%s", cmd->name, a->pos[0]);

		if (cli_find_cmd(sub))
			return err_set(err, ERR_BAD_REQUEST,
				       "Unexpected argument: %s (did you mean %s?)", a->pos[0],
				       sub);
	}
	return err_set(err, ERR_BAD_REQUEST, "Unexpected argument: %s", a->pos[max]);
}

int cli_args_parse(const struct cli_cmd *cmd, int argc, char **argv, struct cli_args *out,
		   struct err *err)
{
	struct reader r = {cmd, out, argv, argc, 0};

	*out = (struct cli_args){.cmd = cmd};
	for (; r.i < argc; r.i++) {
		const char *word = argv[r.i];

		if (strcmp(word, "--") == 0) {
			while (++r.i < argc)
				positional(&r, argv[r.i]);
			break;
		}
		if (word[0] != '-' || !word[1])
			positional(&r, word);
		else if (word[1] == '-' ? read_long(&r, err) < 0 : read_short(&r, err) < 0)
			return out->help ? 0 : -1;
	}
	return out->help ? 0 : check_count(cmd, out, err);
}

void cli_args_clear(struct cli_args *a)
{
	free(a->values);
	free(a->pos);
	*a = (struct cli_args){0};
}

static bool table_has(const struct cli_cmd *cmd, const char *name)
{
	return find_opt(cmd, 0, name, strlen(name)) != NULL;
}

const char *cli_opt_nth(const struct cli_args *a, const char *name, int n)
{
	assert(table_has(a->cmd, name));
	for (int i = 0; i < a->nvalues; i++)
		if (strcmp(a->values[i].opt->name, name) == 0 && n-- == 0)
			return a->values[i].value;
	return NULL;
}

const char *cli_opt_any(const struct cli_args *a, const char *name)
{
	return table_has(a->cmd, name) ? cli_opt(a, name) : NULL;
}

const char *cli_opt(const struct cli_args *a, const char *name)
{
	const char *found = NULL, *v;

	for (int n = 0; (v = cli_opt_nth(a, name, n)); n++)
		found = v;
	return found;
}
