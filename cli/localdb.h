/* localdb.h - the name of a checkout's development database. */
#ifndef CLI_LOCALDB_H
#define CLI_LOCALDB_H

#include "proto/err.h"

#include <stddef.h>

/* development.database of a config/database.yml, with YAML's aliases and merges; of several
 * databases the first. ERB is not run: where the name itself is ERB, or when there is none, *out is
 * NULL. Owned. BAD_REQUEST: the text is no YAML. Pure. */
int cli_localdb_parse(const char *text, size_t n, char **out, struct err *err);
/* By config/database.yml of the current folder; without that file, the folder's name. BAD_REQUEST
 * when the file does not tell. Owned. */
int cli_localdb_name(char **out, struct err *err);

#endif
