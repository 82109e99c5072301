/* tree.h - deleting and re-owning trees that users wrote into, as root: by descriptor, never
 * through a symbolic link. Blocking. */
#ifndef LAUNCHER_TREE_H
#define LAUNCHER_TREE_H

#include "proto/err.h"
#include <sys/types.h>

/* Opens rel below dirfd without following any link; flags as of open(2). -1 with errno. */
int tree_open(int dirfd, const char *rel, int flags);
/* Deletes name in dirfd and all below. Nothing there is success. */
int tree_remove(int dirfd, const char *name, struct err *err);
/* Gives everything below fd (and fd itself) that belongs to `from` to uid:gid; (uid_t)-1 = whoever.
 */
int tree_own(int fd, uid_t from, uid_t uid, gid_t gid, struct err *err);

#endif
