/* slugignore.h - private to build: .slugignore, the syntax of .gitignore without "!". Matching is
 * linear in pattern times path whatever the pattern. Pure; any thread. */
#ifndef BUILD_SLUGIGNORE_H
#define BUILD_SLUGIGNORE_H

#include "proto/err.h"

#define SLUGIGNORE_BYTES    65536
#define SLUGIGNORE_PATTERNS 2000

struct slugignore;

/* Reads a whole file. Lines that cannot be obeyed are left out; warn (may be NULL) is told, one
 * line for people. Never fails; the caller frees. */
struct slugignore *slugignore_parse(const char *p, size_t n,
				    void (*warn)(const char *line, void *arg), void *arg);
void slugignore_free(struct slugignore *ig);
/* rel: path from the root of the tree, no leading slash. Does not look at its parents: the caller
 * walks from the top and does not descend into what matched. */
bool slugignore_match(const struct slugignore *ig, const char *rel, bool is_dir);

DEFINE_AUTO(struct slugignore *, slugignore_free)

#endif
