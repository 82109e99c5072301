/* fsx.h - file system helpers. Blocking: not on a loop. Trees are walked by descriptor and never
 * through symbolic links (openat, AT_SYMLINK_NOFOLLOW): their content comes from users. */
#ifndef CORE_FSX_H
#define CORE_FSX_H

#include "proto/buf.h"
#include "proto/err.h"
#include <sys/types.h>

int fs_mkdirs(const char *path, mode_t mode, struct err *err); /* all parents; existing is fine */
int fs_read(const char *path, size_t max, struct buf *out,
	    struct err *err); /* TOO_LARGE beyond max */
int fs_read_at(int dirfd, const char *name, size_t max, struct buf *out,
	       struct err *err); /* no symlinks */
/* Writes to a temporary name, fsyncs, renames, fsyncs the folder. */
int fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *err);
int fs_rmtree(const char *path,
	      struct err *err); /* missing is fine; makes folders writable as needed */
/* Copies a tree: modes, mtimes, symlinks as they are, hard links kept, reflinks where possible;
 * fifos, sockets, devices are left out. Stops with SLUG_TOO_LARGE beyond max_bytes (0 = no limit).
 */
int fs_copytree(const char *src, const char *dst, uint64_t max_bytes, struct err *err);
int fs_usage(const char *path, uint64_t *bytes, uint64_t *files, struct err *err);
int fs_free_bytes(const char *path, uint64_t *bytes, struct err *err);
int fs_fsync_tree(const char *path, struct err *err); /* syncfs of its file system */
int fs_lock(const char *path, struct err *err); /* flock LOCK_EX|LOCK_NB; fd, or -1 CONFLICT */

#endif
