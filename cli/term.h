/* term.h - modes of the terminal, put back on every way out: return, exit(), fatal signals. One at
 * a time. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "proto/auto.h"

bool cli_term_raw(int fd);   /* every key as it is; false when fd is no terminal */
bool cli_term_hide(int fd);  /* lines without echo */
bool cli_term_restore(void); /* false when there was nothing to put back */
bool cli_term_size(int fd, unsigned *rows, unsigned *cols);

#endif
