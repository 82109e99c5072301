/* The PostgreSQL server that all databases share, for administrators. */
#include "cli/cli.h"
#include "cli/table.h"

static int cmd_cluster(struct cli *c, struct err *err)
{
	static const struct cli_field fields[] = {
		{"State", "state", FORM_TEXT},	       {"Address", "address", FORM_TEXT},
		{"Port", "port", FORM_TEXT},	       {"Restarts", "restarts", FORM_TEXT},
		{"Transfers", "transfers", FORM_TEXT}, {0}};
	json_auto_t *s = NULL;

	if (cli_api(c, "GET", NULL, &s, err, "/postgres/v0/cluster") < 0)
		return -1;
	if (cli_json(c)) {
		cli_print_json(c, s);
		return 0;
	}
	cli_show_fields(c, s, fields, "PostgreSQL");
	return 0;
}

static int cmd_restart(struct cli *c, struct err *err)
{
	json_auto_t *body = json_pack("{sb}", "force", cli_opt(&c->args, "force") != NULL);

	cli_action(c, "Restarting the PostgreSQL server of all apps");
	return cli_send(c, "POST", body, err, "/postgres/v0/cluster/restart");
}

const struct cli_cmd cli_cmds_pgcluster[] = {
	{.name = "pg:cluster",
	 .help = "show the PostgreSQL server that all databases share",
	 .run = cmd_cluster,
	 .examples = "pg:cluster"},
	{.name = "pg:cluster:restart",
	 .help = "restart the PostgreSQL server that all databases share",
	 .more = "After an update of its package. All connections end, and apps connect again. "
		 "Refused while backups, restores or copies are under way.",
	 .opts = OPTS(SWITCH(0, "force", "although backups, restores or copies run: they fail")),
	 .run = cmd_restart,
	 .examples = "pg:cluster:restart"},
	{0},
};
