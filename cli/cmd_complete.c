/* Shell completion: a small script that asks `paasctl autocomplete:words -- WORDS...`. */
#include "cli/cli.h"
#include "cli/remotes.h"

#include <string.h>

static const char script[] =
	"# completion of paasctl for bash\n"
	"_paasctl() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words cur\n"
	"\tread -ra words <<< \"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && words+=('')\n"
	"\tcur=${words[-1]}\n"
	"\tmapfile -t COMPREPLY < <(\"${words[0]}\" autocomplete:words -- \"${words[@]:1}\" "
	"2>/dev/null)\n"
	"\t# readline breaks words at colons: what stands before the last one is there already\n"
	"\tif [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"\t\tlocal done=${cur%\"${cur##*:}\"} i\n"
	"\t\tfor i in \"${!COMPREPLY[@]}\"; do COMPREPLY[i]=${COMPREPLY[i]#\"$done\"}; done\n"
	"\tfi\n"
	"}\n"
	"complete -o default -F _paasctl paasctl\n";

int cmd_autocomplete(struct cli *c, struct err *err)
{
	if (c->args.npos && strcmp(c->args.pos[0], "bash") != 0)
		return err_set(err, ERR_BAD_REQUEST, "There is completion for bash only");
	fputs(script, stdout);
	return 0;
}

static void offer(const char *word, const char *prefix)
{
	if (word[0] && strncmp(word, prefix, strlen(prefix)) == 0)
		cli_line("%s", word);
}

static void offer_commands(const char *prefix)
{
	for (const struct cli_cmd *cmd = cli_commands; cmd->name; cmd++)
		if (!(cmd->flags & CLI_HIDDEN))
			offer(cmd->name, prefix);
}

static void offer_options(const struct cli_cmd *cmd, const char *prefix)
{
	const struct cli_opt *lists[4];

	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++) {
			AUTO(auto_str) char *word = xasprintf("--%s", o->name);

			if (o->help)
				offer(word, prefix);
		}
}

/* Values of a field in a list of the platform; nothing when it cannot be had. */
static void offer_list(struct cli *c, const char *what, const char *field, const char *prefix)
{
	json_auto_t *list = NULL;
	struct err e = {0};
	size_t i;
	json_t *v;

	if (!c->app && cli_find_app(c, &e) < 0)
		return;
	if (cli_api(c, "GET", NULL, &list, &e, "/apps/%s/%s", c->app, what) < 0)
		return;
	json_array_foreach(list, i, v)
	{
		AUTO(auto_str) char *version = xasprintf("v%lld", cli_jint(v, field));

		offer(cli_js(v, field)[0] ? cli_js(v, field) : version, prefix);
	}
}

static void offer_apps(struct cli *c, const char *prefix)
{
	json_auto_t *list = NULL;
	struct err e = {0};
	size_t i;
	json_t *v;

	if (cli_api(c, "GET", NULL, &list, &e, "/apps") < 0)
		return;
	json_array_foreach(list, i, v) offer(cli_js(v, "name"), prefix);
}

static void offer_remotes(struct cli *c, const char *prefix)
{
	AUTO(cli_remotes_clear) struct cli_remotes r = {0};

	cli_git_remotes(c, &r);
	for (int i = 0; i < r.n; i++)
		offer(r.v[i].name, prefix);
}

static void offer_config(struct cli *c, const char *prefix)
{
	json_auto_t *vars = NULL;
	struct err e = {0};
	const char *key;
	json_t *v;

	if (!c->app && cli_find_app(c, &e) < 0)
		return;
	if (cli_api(c, "GET", NULL, &vars, &e, "/apps/%s/config-vars", c->app) < 0)
		return;
	json_object_foreach(vars, key, v) offer(key, prefix);
}

static void offer_kind(struct cli *c, enum cli_complete kind, const char *prefix)
{
	switch (kind) {
	case COMPLETE_APP:
		offer_apps(c, prefix);
		break;
	case COMPLETE_REMOTE:
		offer_remotes(c, prefix);
		break;
	case COMPLETE_COMMAND:
		offer_commands(prefix);
		break;
	case COMPLETE_CONFIG:
		offer_config(c, prefix);
		break;
	case COMPLETE_DYNO:
		offer_list(c, "dynos", "name", prefix);
		break;
	case COMPLETE_TYPE:
		offer_list(c, "formation", "type", prefix);
		break;
	case COMPLETE_RELEASE:
		offer_list(c, "releases", "version", prefix);
		break;
	case COMPLETE_NONE:
	case COMPLETE_FILE:
		break;
	}
}

static const struct cli_opt *opt_of_word(const struct cli_cmd *cmd, const char *word)
{
	const struct cli_opt *lists[4];

	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++)
			if ((strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0) ||
			    (o->letter && word[0] == '-' && word[1] == o->letter && !word[2]))
				return o;
	return NULL;
}

/* -a and -r among the words say whose config vars, dynos ... are meant. */
static void note_app(struct cli *c, const struct cli_cmd *cmd, const char *const *words, int n)
{
	for (int i = 1; i + 1 < n; i++) {
		const struct cli_opt *o = opt_of_word(cmd, words[i]);

		if (o && strcmp(o->name, "app") == 0 && !c->app)
			c->app = xstrdup(words[i + 1]);
	}
}

int cmd_complete(struct cli *c, struct err *err)
{
	const char *const *words = c->args.pos;
	int n = c->args.npos, place = 0;
	const struct cli_cmd *cmd = n > 1 ? cli_find_cmd(words[0]) : NULL;
	const struct cli_opt *before;

	if (n == 1)
		offer_commands(words[0]);
	if (!cmd)
		return 0;
	note_app(c, cmd, words, n);
	before = n > 2 ? opt_of_word(cmd, words[n - 2]) : NULL;
	if (before && before->value) {
		offer_kind(c, before->complete, words[n - 1]);
		return 0;
	}
	if (words[n - 1][0] == '-') {
		offer_options(cmd, words[n - 1]);
		return 0;
	}
	for (int i = 1; i < n - 1; i++) {
		const struct cli_opt *o = opt_of_word(cmd, words[i]);

		if (o && o->value)
			i++;
		else if (!o)
			place++;
	}
	for (const struct cli_arg *a = cmd->args; a && a->name; a++)
		if (place-- == 0 || a->many) {
			offer_kind(c, a->complete, words[n - 1]);
			break;
		}
	return 0;
}
