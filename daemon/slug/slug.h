/* slug.h - built trees under STATE/slugs/SLUG-ID/ (app/ = the tree). A build's tree is renamed in and
 * is read-only from then on. Blocking: any thread but a loop. */
#ifndef SLUG_SLUG_H
#define SLUG_SLUG_H

#include "proto/err.h"

struct slugs;
struct slugs *slugs_open(const char *state_dir);
void slugs_free(struct slugs *s);
/* Path of a slug's tree; out has room for PATH_MAX. */
void slug_path(const struct slugs *s, const char *slug_id, char *out);
/* Renames build_tree (same file system) to slug slug_id after dropping set-id bits, syncing it.
 * size_bytes: the size a compressed slug would have is not computed; bytes on disk are. */
int slug_seal(struct slugs *s, const char *build_tree, const char *slug_id, uint64_t *size_bytes, struct err *err);
bool slug_exists(const struct slugs *s, const char *slug_id);
int slug_remove(struct slugs *s, const char *slug_id, struct err *err);
/* Removes slug folders that keep() does not want, and half-made ones. */
int slugs_collect(struct slugs *s, bool (*keep)(const char *slug_id, void *arg), void *arg, struct err *err);

/* Procfile and bin/release parsing: pure. */
struct proc_type {
	char *type, *command; /* owned */
};
struct proc_types {
	struct proc_type *v; /* owned */
	int n;
};
void proc_types_clear(struct proc_types *t);
const char *proc_types_get(const struct proc_types *t, const char *type);
void proc_types_set(struct proc_types *t, const char *type, const char *command); /* sorted by type */
/* platform-semantics part 5. Bad lines are an error that names the line. warn: duplicate types. */
int procfile_parse(const char *p, size_t n, struct proc_types *out, struct err *err);

#endif
