/* netrc.h - editing ~/.netrc: what is not ours stays as it is, byte for byte. */
#ifndef CLI_NETRC_H
#define CLI_NETRC_H

#include "proto/buf.h"
#include "proto/err.h"

/* Pure, on the text of the file. */
bool cli_netrc_find(const char *text, const char *machine, char **login, char **password);
/* The entry is replaced in place, or added at the end (at the front when the text ends in the
 * middle of something). NULL when the text is so malformed that the entry would not be read back.
 */
char *cli_netrc_with(const char *text, const char *machine, const char *login,
		     const char *password);
char *cli_netrc_without(const char *text, const char *machine);
/* Text that can stand in a netrc without quotes. */
bool cli_netrc_word(const char *s);

/* The file: $NETRC or ~/.netrc; "" when there is none. Writing is atomic, mode 0600; a link is
 * followed, so that its target is what changes. */
int cli_netrc_read(char **text, struct err *err);
int cli_netrc_write(const char *text, struct err *err);

#endif
