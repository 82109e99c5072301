/* fsx_int.h - private to fsx.c and fsx_tree.c: opening by descriptor without following links. */
#ifndef CORE_FSX_INT_H
#define CORE_FSX_INT_H

#include "proto/auto.h"
#include <sys/types.h>

/* Trees deeper than this are refused (copy, usage) or flattened (removal): each level costs
 * descriptors and stack, and the depth is the user's choice. */
#define FSX_DEPTH 128

/* openat2 below dirfd, no symbolic or magic links; more RESOLVE_ flags in resolve. */
int fsx_open_beneath(int dirfd, const char *name, uint64_t flags, uint64_t resolve);
int fsx_fchmod_path(int pathfd, mode_t mode);
/* Opens a folder for reading. A folder of ours that lacks the rights gets u+rx (u+rwx). */
int fsx_open_dir(int parent, const char *name, bool make_writable, uint64_t resolve);

#endif
