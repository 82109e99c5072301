#include "launcher/host.h"
#include "launcher/nl.h"
#include "launcher/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* One file a slot; flocked while the instance's launcher lives, holding "state dir\nnetns\n" until
 * the instance is shut down: dynos may outlive their launcher, and their names are made of it. */
static const char slots_dir[] = LN_SLOTS;

enum { SLOTS = LAUNCH_SUBNETS };

void ln_slot_names(struct host *h, int slot)
{
	h->slot = slot;
	snprintf(h->bridge, sizeof h->bridge, "paas%d", slot);
	snprintf(h->name, sizeof h->name, "paasd%d", slot);
	h->subnet = launch_subnet((unsigned)slot);
	h->gateway = h->subnet + 1;
	ln_net_ip_text(h->gateway, h->gateway_text);
	h->uid_base = 1000000u + (unsigned)slot * HOST_UIDS;
}

static unsigned long long own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

static int remembered(const struct host *h)
{
	AUTO(auto_fd) int fd = tree_open(h->state_fd, "instance", O_RDONLY);
	char text[64] = "";
	int slot = -1;

	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && sscanf(text, "slot %d", &slot) == 1 &&
	    slot >= 0 && slot < SLOTS)
		return slot;
	return -1;
}

static void remember(const struct host *h)
{
	AUTO(auto_fd)
	int fd = openat(h->state_fd, "instance",
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd >= 0)
		dprintf(fd, "slot %d\n", h->slot);
}

static bool subnet_free(const struct host *h)
{
	AUTO(auto_fd) int nl = nl_open(NULL);
	bool taken = false;

	if (nl < 0 || nl_overlaps(nl, h->subnet, HOST_PREFIX, nl_index(nl, h->bridge, NULL), &taken,
				  NULL) < 0)
		return true;
	return !taken;
}

struct record {
	char state[4096];
	unsigned long long netns;
};

static bool read_record(int fd, struct record *r)
{
	char text[4200];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	*r = (struct record){0};
	if (n <= 0)
		return false;
	text[n] = 0;
	return sscanf(text, "%4095[^\n]\n%llu", r->state, &r->netns) >= 1;
}

/* Opens and locks a slot's file; -1 when somebody has it. A file that was unlinked meanwhile does
 * not count. */
static int lock_slot(int slot, bool patient)
{
	char path[64];
	int fd;
	struct stat st;

	snprintf(path, sizeof path, "%s/%d", slots_dir, slot);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if ((patient ? ln_lock(fd) : flock(fd, LOCK_EX | LOCK_NB)) == 0 && fstat(fd, &st) == 0 &&
	    st.st_nlink > 0)
		return fd;
	close(fd);
	return -1;
}

static void end_group(const char *id, void *arg)
{
	const struct cg *c = arg;

	if (cg_kill(c, id, 5000, NULL) == 0)
		cg_remove(c, id, NULL);
}

/* What an instance whose state is gone has left behind goes with its slot. Its folders went with
 * the state; its names tell the rest. */
static void clear_stale(struct host *h)
{
	struct cg dead;
	char why[200];

	cg_open(&dead, h->name, false, why);
	cg_list(&dead, end_group, &dead);
	cg_finish(&dead);
	cg_close(&dead);
	h->nft = true;
	ln_net_close(h);
	h->nft = false;
}

/* mine: the number that the state remembers. Without a record of it this is another host, or one
 * that was started anew: nothing lives under it, and somebody may have the subnet. */
static bool try_slot(struct host *h, int slot, bool mine)
{
	struct record r;
	int fd = lock_slot(slot, mine);
	bool had;

	if (fd < 0)
		return false;
	ln_slot_names(h, slot);
	had = read_record(fd, &r);
	if ((had && strcmp(r.state, h->state) != 0 && access(r.state, F_OK) == 0) ||
	    (!(mine && had) && !subnet_free(h))) {
		close(fd);
		return false;
	}
	if (had && strcmp(r.state, h->state) != 0)
		clear_stale(h);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%s\n%llu\n", h->state, own_netns()) < 0) {
		close(fd);
		return false;
	}
	h->slot_fd = fd;
	return true;
}

static bool recorded_as_ours(const struct host *h, int slot)
{
	char path[64];
	struct record r;
	AUTO(auto_fd) int fd = -1;

	snprintf(path, sizeof path, "%s/%d", slots_dir, slot);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && read_record(fd, &r) && strcmp(r.state, h->state) == 0;
}

int ln_slot_claim(struct host *h, struct err *err)
{
	unsigned hash = 2166136261u;
	int mine = remembered(h);

	if ((mkdir(slots_dir, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(LN_BOX, 0700) < 0 && errno != EEXIST))
		return err_errno(err, "create %s", slots_dir);
	if (mine >= 0 && try_slot(h, mine, true))
		return 0;
	/* another number would mean other names: what lives under the old ones would be lost */
	if (mine >= 0 && recorded_as_ours(h, mine))
		return err_set(err, ERR_CONFLICT, "instance %d of %s cannot be had again", mine,
			       h->state);
	for (const char *p = h->state; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (unsigned i = 0; i < SLOTS; i++)
		if (try_slot(h, (int)((hash + i) % SLOTS), false)) {
			remember(h);
			return 0;
		}
	return err_set(err, ERR_CONFLICT, "all %d instance numbers of this machine are taken",
		       SLOTS);
}

static bool any_slot(void)
{
	DIR *d = opendir(slots_dir);
	bool any = false;

	for (const struct dirent *e = d ? readdir(d) : NULL; e && !any; e = readdir(d))
		any = e->d_name[0] >= '0' && e->d_name[0] <= '9';
	if (d)
		closedir(d);
	return any;
}

void ln_slot_release(struct host *h)
{
	char path[64];

	if (h->slot_fd < 0)
		return;
	snprintf(path, sizeof path, "%s/%d", slots_dir, h->slot);
	unlink(path);
	close(h->slot_fd);
	h->slot_fd = -1;
	/* removing the folder would take the others' mounts along */
	if (!any_slot())
		rmdir(LN_BOX);
	rmdir(slots_dir);
}

/* --- forwarding ----------------------------------------------------------------------------------
 */

static const char forward_file[] = "/proc/sys/net/ipv4/ip_forward";

static void mark_path(char *out, size_t cap)
{
	snprintf(out, cap, "%s/forward.%llu", slots_dir, own_netns());
}

int ln_slot_forward_on(struct host *h, struct err *err)
{
	AUTO(auto_fd) int fd = open(forward_file, O_RDWR | O_CLOEXEC);
	char now = '1', path[96];

	if (fd < 0 || read(fd, &now, 1) != 1)
		return err_errno(err, "read %s", forward_file);
	if (now == '1')
		return 0;
	mark_path(path, sizeof path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (pwrite(fd, "1\n", 2, 0) != 2)
		return err_errno(err, "write %s", forward_file);
	return 0;
}

/* True when another instance of this network namespace is registered. */
static bool others_here(const struct host *h)
{
	DIR *d = opendir(slots_dir);
	bool any = false;

	for (const struct dirent *e = d ? readdir(d) : NULL; e && !any; e = readdir(d)) {
		AUTO(auto_fd)
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		struct record r;

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || atoi(e->d_name) == h->slot)
			continue;
		any = fd >= 0 && read_record(fd, &r) && r.netns == own_netns() &&
		      access(r.state, F_OK) == 0;
	}
	if (d)
		closedir(d);
	return any;
}

void ln_slot_forward_off(struct host *h)
{
	char path[96];
	AUTO(auto_fd) int fd = -1;

	mark_path(path, sizeof path);
	if (access(path, F_OK) < 0 || others_here(h))
		return;
	fd = open(forward_file, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0\n", 2) == 2)
		unlink(path);
}
