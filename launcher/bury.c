#include "launcher/record.h"
#include "launcher/remnants.h"
#include "launcher/sources.h"
#include "launcher/tree.h"
#include "proto/names.h"
#include "shim/kin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

enum { SHIM_GRACE_MS = 3000, KILL_MS = 10000 };

static bool gone(int pidfd, int ms)
{
	struct pollfd p = {pidfd, POLLIN, 0};

	return pidfd < 0 || poll(&p, 1, ms) == 1;
}

static void kill_fd(int pidfd)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* The init dies first; its shim then has a moment to send the last lines and leave by itself. */
static int end_processes(struct host *h, const char *id, const struct record *r, struct err *err)
{
	AUTO(auto_fd) int shim = ln_record_process(r->shim, r->shim_at);
	AUTO(auto_fd) int init = ln_record_process(r->init, r->init_at);

	/* no namespace of its own: what it started would live on. Without its shim it is just about
	 * to end all that by itself */
	if (init >= 0 && (r->entered || !h->sandbox) && !(shim < 0 && gone(init, SHIM_GRACE_MS)))
		kin_signal(r->init, SIGKILL);
	kill_fd(init);
	if (cg_kill(&h->cg, id, KILL_MS, err) < 0)
		return -1;
	if (!gone(init, KILL_MS))
		return err_set(err, ERR_TIMEOUT, "the init of %s does not die", id);
	if (!h->sandbox)
		ln_remnants_end(h, id, r->user);
	if (!gone(shim, SHIM_GRACE_MS)) {
		kill_fd(shim);
		if (!gone(shim, KILL_MS))
			return err_set(err, ERR_TIMEOUT, "the shim of %s does not die", id);
		if (!h->sandbox)
			ln_remnants_end(h, id, r->user);
	}
	return 0;
}

/* Dynos of an app share its volumes: the last one hands them back. */
static bool owned_by_another(struct host *h, const char *path, const char *id)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids);
	bool any = false;

	for (int i = 0; i < n && !any; i++) {
		struct record r;

		if (strcmp(ids[i], id) == 0)
			continue;
		ln_record_read(h, ids[i], &r);
		for (int k = 0; k < r.nown; k++)
			any |= strcmp(r.own[k], path) == 0;
		ln_record_clear(&r);
	}
	free(ids);
	return any;
}

static void own_back(struct host *h, const char *path)
{
	const char *rel;
	int base = ln_source_folder(h, path, false, &rel);
	AUTO(auto_fd) int fd = base < 0 ? -1 : tree_open(base, rel, O_RDONLY | O_DIRECTORY);

	/* whatever the app's user made: everything there belongs to paasd in the end */
	if (fd >= 0)
		tree_own(fd, (uid_t)-1, h->owner, h->owner_gid, NULL);
}

int ln_dyno_remove(struct host *h, const char *id, struct err *err)
{
	AUTO(auto_str) char *name = xasprintf("dynos/%s", id);
	struct record r;
	int done;

	if (!name_is_uuid(id))
		return err_set(err, ERR_BAD_REQUEST, "a dyno's id must be a uuid");
	ln_record_read(h, id, &r);
	done = end_processes(h, id, &r, err);
	if (done == 0)
		done = cg_remove(&h->cg, id, err);
	if (done == 0 && h->net)
		done = ln_net_detach(h, id, err);
	if (done == 0 && r.ip[0])
		done = ln_net_reach(h, ln_record_ip(&r), r.reach, r.nreach, false, err);
	for (int i = 0; i < r.nown && done == 0; i++)
		if (!owned_by_another(h, r.own[i], id))
			own_back(h, r.own[i]);
	ln_record_clear(&r);
	if (done < 0)
		return -1;
	/* the record goes last: until then a second try knows as much as this one */
	if (tree_remove(h->run_fd, name, err) < 0)
		return -1;
	return tree_remove(h->dynos_fd, id, err);
}

int ln_dyno_rmtree(struct host *h, const char *path, struct err *err)
{
	const char *rel;
	int base = ln_source_folder(h, path, false, &rel);
	AUTO(auto_str) char *copy = base < 0 ? NULL : xstrdup(rel);
	char *slash;
	AUTO(auto_fd) int parent = -1;

	if (!copy || !*copy || ln_source_below(copy, "dynos") || ln_source_below(copy, "volumes"))
		return err_set(err, ERR_FORBIDDEN, "%s may not be deleted", path);
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = tree_open(base, slash ? copy : ".", O_RDONLY | O_DIRECTORY);
	if (parent < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open the folder of %s", path);
	if (strcmp(slash ? slash + 1 : copy, "..") == 0 ||
	    strcmp(slash ? slash + 1 : copy, ".") == 0)
		return err_set(err, ERR_FORBIDDEN, "%s may not be deleted", path);
	return tree_remove(parent, slash ? slash + 1 : copy, err);
}

int ln_dyno_remove_all(struct host *h, struct err *err)
{
	char(*ids)[37];
	int n = ln_dyno_list(h, &ids), r = 0;

	/* all at once: their shims' last moments then run side by side */
	for (int i = 0; i < n; i++) {
		struct record rec;
		AUTO(auto_fd) int init = -1;

		ln_record_read(h, ids[i], &rec);
		ln_record_clear(&rec);
		init = ln_record_process(rec.init, rec.init_at);
		kill_fd(init);
	}
	for (int i = 0; i < n; i++)
		if (ln_dyno_remove(h, ids[i], err) < 0)
			r = -1;
	free(ids);
	return r;
}
