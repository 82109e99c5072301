/* sources.h - what a dyno is made of, opened: the paths of a request are looked up once, below the
 * folders that dynos may be given and through no link, and what is mounted later is that
 * descriptor. Private to the launcher. */
#ifndef LAUNCHER_SOURCES_H
#define LAUNCHER_SOURCES_H

#include "launcher/host.h"

struct sources {   /* to be inherited by the shim */
	int group; /* the dyno's cgroup, put here by whoever makes it */
	int work, slug, binds[64];
	int n;
};

/* Opens slug, binds and the dyno's own folder (to enter one: its init), and settles plan.app. f is
 * to be closed also after a failure. */
int ln_sources_open(struct host *h, struct plan *p, struct sources *f, struct err *err);
void ln_sources_close(struct sources *f);

/* The part of path below dir, or NULL when it is not below. */
const char *ln_source_below(const char *path, const char *dir);
/* Finds the folder that dynos may be given in which path lies: its descriptor, borrowed, and the
 * rest in *rel. ro: as a read-only bind. -1 = in none. */
int ln_source_folder(const struct host *h, const char *path, bool ro, const char **rel);

#endif
