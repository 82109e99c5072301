/* autodeploy.h - a branch at a git provider that is deployed to an app whenever it has moved, after
 * its checks when that is wanted (docs/git-providers.md; Dev Center: GitHub Integration). The rows
 * are store/repo.h's auto_deploys. */
#ifndef RELEASE_AUTODEPLOY_H
#define RELEASE_AUTODEPLOY_H

#include "daemon/git/git.h"
#include "daemon/provider/provider.h"
#include "daemon/release/push.h"

struct autodeploys;

/* Reacts to what providers find; all borrowed. Before providers_run. */
struct autodeploys *autodeploys_new(struct pusher *ps, struct git *g, struct providers *p);
/* Looks at the app's branch, soon: after its row was written. Any thread. */
void autodeploys_look(struct autodeploys *a, const char *repo_id);
/* No new ones; those under way end by builds_stop. After providers_stop. */
void autodeploys_stop(struct autodeploys *a);
void autodeploys_free(struct autodeploys *a); /* waits; NULL is fine */

#endif
