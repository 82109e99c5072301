/* pipelines.h - what the commands of pipelines share. */
#ifndef CLI_PIPELINES_H
#define CLI_PIPELINES_H

#include "cli/cli.h"

/* The coupling of c->app. -1 says how to make one when the app is in no pipeline. */
int cli_coupling(struct cli *c, json_t **out, struct err *err);
/* The apps with these ids that we may see; ids: an array of texts. */
int cli_apps_by_id(struct cli *c, const json_t *ids, json_t **out, struct err *err);

/* promote.c */
int cli_pipelines_promote(struct cli *c, struct err *err);
int cli_pipelines_diff(struct cli *c, struct err *err);

/* cmd_repos.c */
int cli_pipelines_connect(struct cli *c, struct err *err);
int cli_pipelines_disconnect(struct cli *c, struct err *err);
int cli_pipelines_repo(struct cli *c, struct err *err);

#endif
