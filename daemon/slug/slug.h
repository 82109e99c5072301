/* slug.h - built trees under STATE/slugs/SLUG-ID/ (app/ = the tree). A build's tree is renamed in
 * and is read-only from then on. Blocking: any thread but a loop. */
#ifndef SLUG_SLUG_H
#define SLUG_SLUG_H

#include "proto/err.h"

struct slugs;
struct slugs *slugs_open(const char *state_dir);
/* Waits for a removal under way; those that wait are left to the next slugs_collect. */
void slugs_free(struct slugs *s);
/* Path of a slug's tree; out has room for PATH_MAX. */
void slug_path(const struct slugs *s, const char *slug_id, char *out);
/* Renames build_tree (same file system) to slug slug_id after dropping set-id bits, removing
 * sockets, fifos and devices, and making what the owner cannot read readable to it; syncs it.
 * size_bytes: bytes on disk (the size a compressed slug would have is not computed). A failure
 * leaves build_tree where it was. */
int slug_seal(struct slugs *s, const char *build_tree, const char *slug_id, uint64_t *size_bytes,
	      struct err *err);
/* The slug as a tar.gz, its tree under ./app/, piece by piece; out returns -1 to stop (CANCELED).
 */
int slug_pack(const struct slugs *s, const char *slug_id,
	      int (*out)(const void *p, size_t n, void *arg), void *arg, struct err *err);
/* While held, nothing is removed: slug_remove only says so. What was asked for meanwhile goes with
 * the next slugs_collect. Nests. */
void slugs_hold(struct slugs *s, bool hold);
bool slug_exists(const struct slugs *s, const char *slug_id);
/* It is no slug any more when this returns; its files go behind the caller's back. */
int slug_remove(struct slugs *s, const char *slug_id, struct err *err);
/* Removes slug folders that keep() does not want, and half-made ones. What this process sealed in
 * the last 15 minutes stays: its row may not be written yet. */
int slugs_collect(struct slugs *s, bool (*keep)(const char *slug_id, void *arg), void *arg,
		  struct err *err);

/* Procfile and bin/release parsing: pure. */
struct proc_type {
	char *type, *command; /* owned */
};
struct proc_types {
	struct proc_type *v; /* owned */
	int n;
};
void proc_types_clear(struct proc_types *t);
#define proc_types_clear_p proc_types_clear
const char *proc_types_get(const struct proc_types *t, const char *type);
void proc_types_set(struct proc_types *t, const char *type,
		    const char *command); /* sorted by type */
/* Dev Center: The Procfile. Bad lines are an error that names the line. A type that is there twice
 * keeps its last command; warn (may be NULL) is told so, one line for people. out is added to. */
int procfile_parse(const char *p, size_t n, struct proc_types *out, struct err *err);
int procfile_parse_warn(const char *p, size_t n, struct proc_types *out,
			void (*warn)(const char *line, void *arg), void *arg, struct err *err);

/* Walks a tree of unknown origin by descriptor, parents before children, links not followed.
 * Folders that their owner cannot read are opened up (u+rwx). visit returns 0 to go on, 1 to not
 * descend (it may have removed the entry), -1 to stop. rel: path below the root. More than
 * SLUG_TREE_DEPTH levels: TOO_LARGE. */
#define SLUG_TREE_DEPTH 500
struct stat;
struct slug_entry {
	int dirfd; /* of the folder that holds it */
	const char *name, *rel;
	const struct stat *st;
};
int slug_tree_walk(const char *root,
		   int (*visit)(const struct slug_entry *e, void *arg, struct err *err), void *arg,
		   struct err *err);

#endif
