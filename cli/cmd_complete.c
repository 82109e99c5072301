/* Shell completion: a small script asks `paasctl completion:words -- WORDS...` for the candidates
 * of the last word. What they are comes from the command table, live values from the platform
 * within a second, remembered for half a minute. */
#include "cli/cli.h"
#include "cli/remotes.h"
#include "cli/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LIVE_MS	    1000
#define CACHE_S	    30
#define CACHE_MAX   (256 * 1024)
#define STATUS_FILE 3 /* exit status that asks the shell for file names */

static const char bash[] =
	"# completion of paasctl for bash\n"
	"_paasctl() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words cur out\n"
	"\tread -ra words <<< \"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && words+=('')\n"
	"\tcur=${words[-1]}\n"
	"\tCOMPREPLY=()\n"
	"\tout=$(\"${words[0]}\" completion:words -- \"${words[@]:1}\" 2>/dev/null)\n"
	"\tif (( $? == 3 )); then\n"
	"\t\tcompopt -o default\n"
	"\t\treturn\n"
	"\tfi\n"
	"\t[[ -n $out ]] && mapfile -t COMPREPLY <<< \"$out\"\n"
	"\t# readline breaks words at colons and equal signs: what stands before the last one is "
	"there already\n"
	"\tif [[ $cur == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"\t\tlocal done=${cur%\"${cur##*[:=]}\"} i\n"
	"\t\tfor i in \"${!COMPREPLY[@]}\"; do COMPREPLY[i]=${COMPREPLY[i]#\"$done\"}; done\n"
	"\tfi\n"
	"}\n"
	"complete -o nosort -F _paasctl paasctl\n";

static const char zsh[] =
	"#compdef paasctl\n"
	"# completion of paasctl for zsh\n"
	"_paasctl() {\n"
	"\tlocal out line tab=$'\\t'\n"
	"\tlocal -a values\n"
	"\tout=$(\"${words[1]}\" completion:words --describe -- \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)\n"
	"\tif (( $? == 3 )); then\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor line in \"${(@f)out}\"; do\n"
	"\t\t[[ -n $line ]] && values+=(\"${${line%%$tab*}//:/\\\\:}:${line#*$tab}\")\n"
	"\tdone\n"
	"\t(( $#values )) && _describe -V paasctl values\n"
	"}\n"
	"if [[ ${funcstack[1]} == _paasctl ]]; then\n"
	"\t_paasctl \"$@\"\n"
	"else\n"
	"\tcompdef _paasctl paasctl\n"
	"fi\n";

static const char fish[] =
	"# completion of paasctl for fish\n"
	"function __paasctl_words\n"
	"\tset -l line (commandline -opc)\n"
	"\tset -l cur (commandline -ct)\n"
	"\tset -l out ($line[1] completion:words --describe -- $line[2..-1] \"$cur\" 2>/dev/null)\n"
	"\tif test $status -eq 3\n"
	"\t\t__fish_complete_path \"$cur\"\n"
	"\telse\n"
	"\t\tprintf '%s\\n' $out\n"
	"\tend\n"
	"end\n"
	"complete -k -c paasctl -f -a '(__paasctl_words)'\n";

static int cmd_completion(struct cli *c, struct err *err)
{
	static const struct {
		const char *name, *text;
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
	const char *name = c->args.npos ? c->args.pos[0] : "bash";

	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (strcmp(shells[i].name, name) == 0) {
			fputs(shells[i].text, stdout);
			return 0;
		}
	return err_set(err, ERR_BAD_REQUEST, "There is completion for bash, zsh and fish");
}

struct asker {
	struct cli *c;
	const char *prefix; /* of the candidates */
	bool describe;
};

static void offer(const struct asker *a, const char *word, const char *help)
{
	if (!word[0] || strncmp(word, a->prefix, strlen(a->prefix)) != 0)
		return;
	if (a->describe && help)
		printf("%s\t%s\n", word, help);
	else
		cli_line("%s", word);
}

static void offer_commands(const struct asker *a)
{
	for (const struct cli_topic *t = cli_topics; t->name; t++)
		for (const struct cli_cmd *cmd = t->cmds; cmd->name; cmd++) {
			if (cmd->flags & CLI_HIDDEN)
				continue;
			offer(a, cmd->name, cmd->help);
			for (const char *p = cmd->aliases; a->prefix[0] && p && *p;
			     p += strspn(p, " ")) {
				AUTO(auto_str) char *alias = xstrndup(p, strcspn(p, " "));

				offer(a, alias, cmd->help);
				p += strlen(alias);
			}
		}
}

static void offer_options(const struct asker *a, const struct cli_cmd *cmd)
{
	const struct cli_opt *lists[5];

	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++) {
			AUTO(auto_str) char *word = xasprintf("--%s", o->name);

			if (o->help)
				offer(a, word, o->help);
		}
}

static void offer_remotes(const struct asker *a)
{
	AUTO(cli_remotes_clear) struct cli_remotes r = {0};

	cli_git_remotes(a->c, &r);
	for (int i = 0; i < r.n; i++)
		offer(a, r.v[i].name, r.v[i].app);
}

/* --- live values --- */

struct source {
	enum cli_complete kind;
	const char *path;  /* a %s is the app */
	const char *field; /* of each object; NULL: the keys of one object */
	const char *range;
};

static const struct source sources[] = {
	{COMPLETE_APP, "/apps", "name", NULL},
	{COMPLETE_CONFIG, "/apps/%s/config-vars", NULL, NULL},
	{COMPLETE_DYNO, "/apps/%s/dynos", "name", NULL},
	{COMPLETE_TYPE, "/apps/%s/formation", "type", NULL},
	{COMPLETE_RELEASE, "/apps/%s/releases", "version", "version ..; max=30, order=desc"},
	{COMPLETE_BUILD, "/apps/%s/builds", "id", "created_at ..; max=15, order=desc"},
	{COMPLETE_DOMAIN, "/apps/%s/domains", "hostname", NULL},
	{COMPLETE_CERT, "/apps/%s/sni-endpoints", "name", NULL},
	{COMPLETE_DRAIN, "/apps/%s/log-drains", "url", NULL},
	{COMPLETE_WEBHOOK, "/apps/%s/webhooks", "id", NULL},
	{COMPLETE_JOB, "/apps/%s/scheduler/jobs", "id", NULL},
	{COMPLETE_FEATURE, "/apps/%s/features", "name", NULL},
	{COMPLETE_LAB, "/account/features", "name", NULL},
	{COMPLETE_PERSON, "/apps/%s/collaborators", "user.email", NULL},
	{COMPLETE_KEY, "/account/keys", "comment", NULL},
	{COMPLETE_AUTHORIZATION, "/oauth/authorizations", "id", NULL},
	{COMPLETE_STACK, "/stacks", "name", NULL},
	{COMPLETE_SIZE, "/dyno-sizes", "name", NULL},
	{COMPLETE_REGION, "/regions", "name", NULL},
	{COMPLETE_PIPELINE, "/pipelines", "name", NULL},
	{COMPLETE_SERVICE, "/addon-services", "name", NULL},
	{COMPLETE_PLAN, "/addon-services", "name", NULL},
	{COMPLETE_ADDON, "/addons", "name", NULL},
	{COMPLETE_VOLUME, "/volumes", "name", NULL},
	{COMPLETE_ATTACHMENT, "/apps/%s/addon-attachments", "name", NULL},
};

static const struct {
	enum cli_complete kind;
	const char *words[6];
} fixed[] = {
	{COMPLETE_SHELL, {"bash", "zsh", "fish"}},
	{COMPLETE_PERMISSION, {"view", "deploy", "operate", "manage"}},
	{COMPLETE_LEVEL, {"notify", "sync"}},
	{COMPLETE_STAGE, {"review", "development", "staging", "production", "test"}},
};

/* Who asks what where: one file each, so that accounts do not see each other's names. */
static char *cache_name(struct cli *c, const char *path)
{
	AUTO(auto_str) char *dir = cli_xdg_dir("CACHE");
	const char *parts[] = {c->api_url, c->key ? c->key : "", path};
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (const char *p = parts[i];; p++) {
			h = (h ^ (unsigned char)*p) * 0x100000001b3u;
			if (!*p)
				break;
		}
	return dir ? xasprintf("%s/words-%016llx", dir, (unsigned long long)h) : NULL;
}

static bool cached(const char *name, struct buf *out)
{
	struct stat st;
	struct err e = {0};
	time_t now = time(NULL);

	return name && stat(name, &st) == 0 && st.st_mtime <= now && now - st.st_mtime < CACHE_S &&
	       cli_read_file(name, CACHE_MAX, out, &e) == 0;
}

static void remember(const char *name, const struct buf *words)
{
	AUTO(auto_str) char *dir = xstrdup(name);
	AUTO(auto_str) char *tmp = NULL;
	AUTO(auto_fd) int fd = -1;
	struct err e = {0};

	if (!name || words->len > CACHE_MAX)
		return;
	*strrchr(dir, '/') = 0;
	tmp = xasprintf("%s.%d", name, (int)getpid());
	if (cli_make_dir(dir, &e) < 0)
		return;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, buf_str(words), words->len) != (ssize_t)words->len || rename(tmp, name) < 0)
		unlink(tmp);
}

static void gather(const json_t *answer, const struct source *s, struct buf *out)
{
	const char *key;
	size_t i;
	json_t *v;

	if (!s->field)
		json_object_foreach((json_t *)answer, key, v) buf_addf(out, "%s\n", key);
	json_array_foreach(answer, i, v)
	{
		if (json_is_integer(cli_at(v, s->field)))
			buf_addf(out, "v%lld\n", cli_jint(v, s->field));
		else if (!strpbrk(cli_js(v, s->field), "\n\t"))
			buf_addf(out, "%s\n", cli_js(v, s->field));
	}
}

static bool fetch(struct cli *c, const struct source *s, const char *path, struct buf *out)
{
	struct cli_req r = {.method = "GET", .path = path, .range = s->range, .partial = s->range};
	json_auto_t *answer = NULL;
	struct err e = {0};

	c->timeout_ms = LIVE_MS;
	if (cli_request(c, &r, &answer, &e) < 0)
		return false;
	gather(answer, s, out);
	return true;
}

static void offer_live(const struct asker *a, const struct source *s)
{
	AUTO(buf_clear) struct buf words = {0};
	AUTO(auto_str) char *path = NULL;
	AUTO(auto_str) char *name = NULL;
	struct err e = {0};

	if (strstr(s->path, "%s") && !a->c->app && cli_find_app(a->c, &e) < 0)
		return;
	path = cli_pathf(s->path, a->c->app);
	name = cache_name(a->c, path);
	if (!cached(name, &words)) {
		buf_reset(&words);
		if (!fetch(a->c, s, path, &words))
			return;
		remember(name, &words);
	}
	for (const char *p = buf_str(&words); *p; p += *p == '\n') {
		AUTO(auto_str) char *word = xstrndup(p, strcspn(p, "\n"));

		offer(a, word, NULL);
		p += strlen(word);
	}
}

static int offer_kind(const struct asker *a, enum cli_complete kind)
{
	switch (kind) {
	case COMPLETE_FILE:
		return STATUS_FILE;
	case COMPLETE_REMOTE:
		offer_remotes(a);
		return 0;
	case COMPLETE_COMMAND:
		offer_commands(a);
		return 0;
	default:
		break;
	}
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		for (size_t k = 0; fixed[i].kind == kind && fixed[i].words[k]; k++)
			offer(a, fixed[i].words[k], NULL);
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (sources[i].kind == kind)
			offer_live(a, &sources[i]);
	return 0;
}

/* --- which word it is --- */

static const struct cli_opt *opt_of_word(const struct cli_cmd *cmd, const char *word)
{
	const struct cli_opt *lists[5];

	cli_opt_lists(cmd, lists);
	for (int i = 0; lists[i]; i++)
		for (const struct cli_opt *o = lists[i]; o->name; o++)
			if ((strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0) ||
			    (o->letter && word[0] == '-' && word[1] == o->letter && !word[2]))
				return o;
	return NULL;
}

/* -a among the words says whose config vars, dynos ... are meant; -r through the repository. */
static void note_app(struct cli *c, const struct cli_cmd *cmd, const char *const *words, int n)
{
	AUTO(cli_remotes_clear) struct cli_remotes r = {0};

	for (int i = 1; i + 1 < n && !c->app; i++) {
		const struct cli_opt *o = opt_of_word(cmd, words[i]);

		if (o && strcmp(o->name, "app") == 0) {
			c->app = xstrdup(words[i + 1]);
		} else if (o && strcmp(o->name, "remote") == 0) {
			cli_git_remotes(c, &r);
			for (int k = 0; k < r.n; k++)
				if (strcmp(r.v[k].name, words[i + 1]) == 0 && !c->app)
					c->app = xstrdup(r.v[k].app);
		}
	}
}

/* The argument of the table that the last word is; NULL when there are enough already. */
static const struct cli_arg *arg_of_word(const struct cli_cmd *cmd, const char *const *words, int n)
{
	int place = 0;

	for (int i = 1; i < n - 1; i++) {
		const struct cli_opt *o = opt_of_word(cmd, words[i]);

		if (o && o->value)
			i++;
		else if (!o)
			place++;
	}
	for (const struct cli_arg *arg = cmd->args; arg && arg->name; arg++)
		if (place-- == 0 || arg->many)
			return arg;
	return NULL;
}

static int cmd_words(struct cli *c, struct err *err)
{
	const char *const *words = c->args.pos;
	int n = c->args.npos;
	const struct cli_cmd *cmd = n > 1 ? cli_find_cmd(words[0]) : NULL;
	struct asker a = {c, n ? words[n - 1] : "", cli_opt(&c->args, "describe") != NULL};
	const struct cli_opt *before;
	const struct cli_arg *arg;

	c->err_tty = false;
	if (n == 1)
		offer_commands(&a);
	if (!cmd)
		return 0;
	note_app(c, cmd, words, n);
	before = n > 2 ? opt_of_word(cmd, words[n - 2]) : NULL;
	if (before && before->value)
		return offer_kind(&a, before->complete);
	if (a.prefix[0] == '-') {
		offer_options(&a, cmd);
		return 0;
	}
	arg = arg_of_word(cmd, words, n);
	return arg ? offer_kind(&a, arg->complete) : 0;
}

const struct cli_cmd cli_cmds_completion[] = {
	{.name = "completion",
	 .aliases = "autocomplete",
	 .help = "print the completion script for a shell",
	 .more = "make install puts all three where the shells look for them. Names of apps, "
		 "dynos, "
		 "process types, releases, config vars and the like are asked from the platform, "
		 "for a second at most, and kept for half a minute in ~/.cache/paasctl.",
	 .args = ARGS({"SHELL", COMPLETE_SHELL, "bash (the default), zsh or fish", false, false}),
	 .flags = CLI_OFFLINE | CLI_NO_KEY | CLI_NO_JSON,
	 .run = cmd_completion,
	 .examples = "completion bash >> ~/.bashrc\n"
		     "completion zsh > \"${fpath[1]}/_paasctl\"\n"
		     "completion fish > ~/.config/fish/completions/paasctl.fish"},
	{.name = "completion:words",
	 .aliases = "autocomplete:words",
	 .help = "candidates for the last of the words",
	 .args = ARGS({"WORD", COMPLETE_NONE, "the command line so far", false, true}),
	 .opts = OPTS(SWITCH(0, "describe", "with what they are, after a tab")),
	 .flags = CLI_HIDDEN | CLI_NO_KEY | CLI_NO_JSON | CLI_PASS,
	 .run = cmd_words},
	{0},
};
