/* data.h - what the commands on PostgreSQL and on Redis share: answers of the data API. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "cli/cli.h"

/* The rows of its "info". */
void cli_data_info(const json_t *db);
/* Until the database can be used: path tells. */
int cli_data_wait(struct cli *c, const char *path, const char *name, struct err *err);

#endif
