#include "cli/cli.h"

#include <string.h>

int cmd_access(struct cli *c, struct err *err)
{
	AUTO(cli_table_clear) struct cli_table t = {.cols = 2};
	json_auto_t *people = NULL;
	size_t i;
	json_t *p;

	if (cli_api(c, "GET", NULL, &people, err, "/apps/%s/collaborators", c->app) < 0)
		return -1;
	if (cli_opt(&c->args, "json")) {
		cli_print_json(c, people);
		return 0;
	}
	cli_header(c, "%s Access", c->app);
	json_array_foreach(people, i, p)
		cli_table_row(&t, (const char *[]){cli_js(p, "user.email"), cli_js(p, "role")});
	cli_table_print(&t, stdout);
	return 0;
}

int cmd_access_add(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{ss}", "user", c->args.pos[0]);

	cli_action(c, "Adding %s access to the app %s", c->args.pos[0], cli_label(c, c->app));
	if (cli_api(c, "POST", body, NULL, err, "/apps/%s/collaborators", c->app) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}

int cmd_access_remove(struct cli *c, struct err *err)
{
	cli_action(c, "Removing %s access from the app %s", c->args.pos[0], cli_label(c, c->app));
	if (cli_api(c, "DELETE", NULL, NULL, err, "/apps/%s/collaborators/%s", c->app,
		    c->args.pos[0]) < 0)
		return -1;
	cli_action_done(c, "%s", "");
	return 0;
}
