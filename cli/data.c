#include "cli/data.h"
#include "cli/table.h"

#include <poll.h>

#define WAIT_MS 1000

void cli_data_info(const json_t *db)
{
	AUTO(cli_pairs_clear) struct cli_pairs pairs = {0};
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(db, "info"), i, row)
	{
		static const struct cli_field values = {"", "values", FORM_LIST};
		AUTO(auto_str) char *text = cli_field_text(row, &values);

		cli_pairs_add(&pairs, cli_js(row, "name"), text);
	}
	cli_pairs_print(&pairs, stdout);
}

int cli_data_wait(struct cli *c, const char *path, const char *name, struct err *err)
{
	const struct cli_req r = {.method = "GET", .path = path};
	bool said = false;

	for (;;) {
		json_auto_t *s = NULL;

		if (cli_request(c, &r, &s, err) < 0)
			return -1;
		if (json_is_true(json_object_get(s, "error?")))
			return err_set(err, ERR_UNAVAILABLE, "%s: %s", name, cli_js(s, "message"));
		if (!json_is_true(json_object_get(s, "waiting?"))) {
			if (said)
				cli_action_done(c, "%s", cli_js(s, "message"));
			if (cli_json(c))
				cli_print_json(c, s);
			return 0;
		}
		if (!said)
			cli_action(c, "Waiting for %s", name);
		said = true;
		cli_action_status(c, "%s", cli_js(s, "message"));
		for (int i = 0; i < WAIT_MS / 100; i++) {
			poll(NULL, 0, 100);
			cli_spin(c);
		}
	}
}
