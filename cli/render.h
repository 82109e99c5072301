/* render.h - text for terminals: cleaning, widths, tables. Pure, but for the FILE it prints to. */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include "proto/buf.h"
#include <stdio.h>

/* Appends text with every byte that a terminal could take for a command replaced by "?": C0 and C1
 * controls, DEL, broken UTF-8, direction overrides. keep_lines lets newline and tab pass. */
void cli_clean(struct buf *out, const char *s, size_t n, bool keep_lines);
/* Columns of UTF-8 text, one for each code point. */
size_t cli_width(const char *s);

struct cli_table {
	int cols, rows;
	char **cells;		  /* owned, cols * rows */
	const char *const *heads; /* borrowed, cols; or NULL */
};
/* cells: cols strings, copied and cleaned; NULL = "". */
void cli_table_row(struct cli_table *t, const char *const *cells);
void cli_table_print(const struct cli_table *t, FILE *out);
void cli_table_clear(struct cli_table *t);
#define cli_table_clear_p cli_table_clear

/* "Key:   value" lines with values in one column; values of several lines are indented. */
struct cli_pairs {
	int n;
	struct {
		char *key, *value; /* owned */
	} * v;
};
void cli_pairs_add(struct cli_pairs *p, const char *key, const char *value);
void cli_pairs_print(const struct cli_pairs *p, FILE *out);
void cli_pairs_clear(struct cli_pairs *p);
#define cli_pairs_clear_p cli_pairs_clear

#endif
