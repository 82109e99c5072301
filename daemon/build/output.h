/* output.h - private to build: what builds print, kept in STATE/builds/ID/output and read while it
 * grows. The file only ever grows: its first OUTPUT_HEAD bytes come at once, of the rest the last
 * OUTPUT_TAIL are added at the end, after a line that says how much is missing. Any thread; reading
 * and waiting block. */
#ifndef BUILD_OUTPUT_H
#define BUILD_OUTPUT_H

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/limits.h"

#define OUTPUT_TAIL MiB(2)
#define OUTPUT_HEAD (LIM_BUILD_OUTPUT - OUTPUT_TAIL)

struct outputs; /* those being written */
struct output;	/* one of them */

struct outputs *outputs_new(const char *builds_dir);
void outputs_free(struct outputs *os);

/* Opens BUILDS/ID/output for appending; the folder exists. One writer a build. */
int output_begin(struct outputs *os, const char *build_id, struct output **out, struct err *err);
/* Takes part for good: a full disk loses output, it does not fail the build. */
void output_write(struct output *o, const char *p, size_t n);
void output_end(struct output *o); /* frees */
/* As output_write and output_end by id; false when it is not being written. */
bool outputs_write_id(struct outputs *os, const char *build_id, const char *p, size_t n);
bool outputs_end_id(struct outputs *os, const char *build_id);

bool outputs_live(struct outputs *os, const char *build_id);

/* From offset to the present end. *done: nothing will be added. NOT_FOUND: no such build yet. */
int outputs_read(struct outputs *os, const char *build_id, uint64_t offset, struct buf *out,
		 bool *done, struct err *err);
/* Until there is more than offset, or the end: 1. 0 = ms are over. Also waits for a build that has
 * not begun. */
int outputs_wait(struct outputs *os, const char *build_id, uint64_t offset, int ms);

#endif
