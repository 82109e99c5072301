/* Apps that sleep when nobody asks for them. */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>
#include <time.h>

/* "30m", "90s", "2h", "1d" or a number of minutes; 0 when it is none. */
static long long seconds_of(const char *text)
{
	static const struct {
		const char *unit;
		int s;
	} units[] = {{"", 60}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	size_t n = strspn(text, "0123456789");

	for (size_t i = 0; i < ARRAY_LEN(units) && n > 0 && n < 8; i++)
		if (strcmp(text + n, units[i].unit) == 0)
			return atoll(text) * units[i].s;
	return 0;
}

/* "30m" of 1800. */
static char *span(long long s)
{
	if (s % 86400 == 0)
		return xasprintf("%lldd", s / 86400);
	if (s % 3600 == 0)
		return xasprintf("%lldh", s / 3600);
	return s % 60 ? xasprintf("%llds", s) : xasprintf("%lldm", s / 60);
}

static void print_sleep(struct cli *c, const json_t *v)
{
	AUTO(cli_pairs_clear) struct cli_pairs p = {0};
	AUTO(auto_str) char *after = span(cli_jint(v, "after"));
	AUTO(auto_str) char *text = xasprintf("%s without a request", after);
	bool asleep = json_is_true(json_object_get(v, "asleep"));
	bool never = json_is_null(json_object_get(v, "after"));

	cli_header(c, "%s", c->app);
	cli_pairs_add(&p, "Sleeps after", never ? "never" : text);
	cli_pairs_add(&p, "Now", asleep ? "asleep" : "awake");
	if (asleep)
		cli_pairs_add(&p, "Since", cli_ago(cli_js(v, "since"), time(NULL)));
	cli_pairs_print(&p, stdout);
}

static int cmd_ps_sleep(struct cli *c, struct err *err)
{
	json_auto_t *v = NULL, *body = NULL;
	const char *after = cli_opt(&c->args, "after");
	bool never = cli_opt(&c->args, "never") != NULL;
	long long s = after ? seconds_of(after) : 0;
	AUTO(auto_str) char *text = NULL;

	if (after && never)
		return err_set(err, ERR_BAD_REQUEST, "Give --after or --never, not both");
	if (after && !s)
		return err_set(err, ERR_BAD_REQUEST,
			       "--after takes a time like 30m, 90s or 2h, not %.40s", after);
	if (!after && !never) {
		if (cli_api(c, "GET", NULL, &v, err, "/apps/%s/sleep", c->app) < 0)
			return -1;
		if (cli_json(c))
			cli_print_json(c, v);
		else
			print_sleep(c, v);
		return 0;
	}
	text = span(s);
	body = never ? json_pack("{sn}", "after") : json_pack("{sI}", "after", (json_int_t)s);
	if (never)
		cli_action(c, "Keeping %s awake", cli_label(c, c->app));
	else
		cli_action(c, "Letting %s sleep after %s without a request", cli_label(c, c->app),
			   text);
	return cli_send(c, "PATCH", body, err, "/apps/%s/sleep", c->app);
}

static int cmd_ps_wake(struct cli *c, struct err *err)
{
	cli_action(c, "Waking %s", cli_label(c, c->app));
	return cli_send(c, "POST", NULL, err, "/apps/%s/actions/wake", c->app);
}

const struct cli_cmd cli_cmds_sleep[] = {
	{.name = "ps:sleep",
	 .help = "show or change when an app sleeps",
	 .more = "An app that sleeps has no process. The next request waits while it starts.",
	 .opts = OPTS(VALUE(0, "after", "TIME", NONE,
			    "sleep after so long without a request: 30m, 90s, 2h"),
		      SWITCH(0, "never", "stay awake")),
	 .flags = CLI_APP,
	 .run = cmd_ps_sleep,
	 .examples = "ps:sleep -a my-app\nps:sleep --after 30m -a my-app\nps:sleep --never"},
	{.name = "ps:wake",
	 .help = "wake an app that sleeps",
	 .flags = CLI_APP,
	 .run = cmd_ps_wake,
	 .examples = "ps:wake -a my-app"},
	{0},
};
