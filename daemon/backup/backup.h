/* backup.h - the whole platform as one archive, and back (docs/internals/backup.md). The running
 * paasd makes it on behalf of the command (RUN/backup.sock); without one the command does, of a
 * state directory where nothing runs. All functions block: not on a loop. */
#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include "daemon/addon/addon.h"
#include "daemon/core/codec.h"
#include "daemon/core/config.h"
#include "daemon/git/git.h"
#include "daemon/sandbox/sandbox.h"
#include "daemon/slug/slug.h"
#include "daemon/store/store.h"

/* How far it is, and whether it goes on; called on the thread that works, some times a second. */
struct backup_watch { /* borrowed; members may be NULL */
	void *arg;
	bool (*stop)(void *arg);
	void (*tell)(void *arg, const char *stage, uint64_t bytes);
};

struct backup_options {
	bool with_key;	   /* master.key, too */
	bool without_logs; /* apps' logs, outputs of builds and releases */
	int frozen_s;	   /* how long a volume may take no writes */
};
enum { BACKUP_FROZEN_S = 20, BACKUP_FROZEN_MAX_S = 600 };

struct backup_report {
	char created[33], product[64];
	bool with_key, with_logs;
	bool trusted; /* the signature was checked, and is of this key */
	uint64_t members, files, bytes;
	char digest[65], signature[65];
	json_t *notes; /* owned; texts: what is not in it */
};
void backup_report_clear(struct backup_report *r);
#define backup_report_clear_p backup_report_clear

/* --- making one --- */

/* What it is made of. Without a running paasd (live false) only cfg and key are set. */
struct backup_platform { /* borrowed */
	const struct config *cfg;
	const struct master_key *key;
	bool live;
	struct store *store;
	struct slugs *slugs;
	struct git *git;
	struct svcs *svcs;
	struct addons *addons;
	struct launcher *launcher;
	/* Clean-ups that were put off while it was made may come now. */
	void (*done)(void *arg);
	void *arg;
};
/* Writes the archive to fd from where it is; does not sync. CANCELED, DISK_FULL, CONFLICT (live
 * false: something runs), TIMEOUT (a volume would have to stand still for too long), what a
 * provider says. */
int backup_write(const struct backup_platform *p, const struct backup_options *o, int fd,
		 const struct backup_watch *watch, struct backup_report *out, struct err *err);
/* What a process that was killed has left. At start; nobody makes one. */
void backup_sweep(const char *state_dir);

/* --- by the running paasd --- */
struct backup_desk;
/* Listens at RUN/backup.sock, for root and paasd's user. One at a time. */
int backup_desk_open(const struct backup_platform *p, struct backup_desk **out, struct err *err);
/* One that is being made ends as CANCELED. Any thread, does not wait. NULL is fine, here and there.
 */
void backup_desk_stop(struct backup_desk *d);
/* Waits. Before what the platform has is freed. */
void backup_desk_close(struct backup_desk *d);
/* Has the running paasd write to fd. NOT_FOUND: none runs. UNAVAILABLE: it ended meanwhile. */
int backup_ask(const char *run_dir, const struct backup_options *o, int fd,
	       const struct backup_watch *watch, struct backup_report *out, struct err *err);

/* --- using one --- */
/* Reads it to its end. key may be NULL: then nobody vouches for who made it. CORRUPT: damaged, cut
 * off, changed, or no backup; CONFIG: of another version; FORBIDDEN: not made with this key. */
int backup_check(int fd, const struct master_key *key, const struct backup_watch *watch,
		 struct backup_report *out, struct err *err);
/* Puts it into state_dir, where there must be nothing yet (CONFLICT); all or nothing. What it has
 * belongs to owner:group; volumes are root's. key_file NULL: the archive has it. */
int backup_restore(int fd, const char *state_dir, const char *key_file, uid_t owner, gid_t group,
		   const struct backup_watch *watch, struct backup_report *out, struct err *err);
/* CONFLICT: state_dir holds a restore that was cut short. At start. */
int backup_restore_pending(const char *state_dir, struct err *err);

#endif
