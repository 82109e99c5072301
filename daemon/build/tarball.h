/* tarball.h - downloads and unpacks tarballs from strangers: buildpacks here, and what the builds
 * API is given as source. Blocking; any thread but a loop. */
#ifndef BUILD_TARBALL_H
#define BUILD_TARBALL_H

#include "daemon/core/clock.h"
#include "daemon/core/config.h"

/* GET url into path (0600, made or emptied). https; http with plain_http or when
 * cfg->allow_private_urls, which also lets private addresses; file when
 * cfg->allow_local_buildpacks; at most 5 redirects, each held to the same rules. deadline: 0 =
 * LIM_BUILDPACK_MS from now. cancel_fd: -1 = none. -1: BUILD_FAILED with why, TOO_LARGE, TIMEOUT,
 * CANCELED, IO. */
int tarball_download(const struct config *cfg, const char *url, bool plain_http, const char *path,
		     uint64_t max_bytes, mono_ms deadline, int cancel_fd, struct err *err);

/* Unpacks path (tar, compressed or not) into dir, which exists and is empty. Regular files, folders
 * and links only; entries that would lie outside dir, or are reached through a link, are refused;
 * no set-id bits, no owners. -1: BUILD_FAILED what is wrong with it, TOO_LARGE beyond max_bytes of
 * content or LIM_TAR_ENTRIES, TIMEOUT, CANCELED, IO. */
int tarball_unpack(const char *path, const char *dir, uint64_t max_bytes, mono_ms deadline,
		   int cancel_fd, struct err *err);
int tarball_unpack_fd(int fd, const char *dir, uint64_t max_bytes, mono_ms deadline, int cancel_fd,
		      struct err *err); /* from the file's first byte; moves its offset */
/* BUILD_FAILED when the file's SHA-256 is not this one ("SHA256:HEX" or HEX). */
int tarball_check(int fd, const char *checksum, struct err *err);

/* When dir holds one folder and nothing else, its content takes its place. */
int tarball_lift(const char *dir, struct err *err);

#endif
