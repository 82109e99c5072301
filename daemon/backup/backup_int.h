/* backup_int.h - inside daemon/backup. The archive is a tar (pax) that GNU tar reads, too:
 *
 *	paasd-backup/about.json		format, version, what is in it; first
 *	paasd-backup/state/...		the state directory
 *	paasd-backup/SHA256SUMS		as sha256sum writes them
 *	paasd-backup/seal.json		counts, a digest of all that is before it, signed; last */
#ifndef BACKUP_BACKUP_INT_H
#define BACKUP_BACKUP_INT_H

#include "daemon/backup/backup.h"
#include "daemon/core/codec.h"
#include "proto/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <jansson.h>
#include <sodium.h>
#include <sys/stat.h>

#define BACKUP_FORMAT 1
#define BACKUP_TOP    "paasd-backup/"
#define BACKUP_STATE  BACKUP_TOP "state/"
#define BACKUP_ABOUT  BACKUP_TOP "about.json"
#define BACKUP_SUMS   BACKUP_TOP "SHA256SUMS"
#define BACKUP_SEAL   BACKUP_TOP "seal.json"
enum {
	BACKUP_PIECE = 1 << 20,
	BACKUP_PATH = 4096,  /* of a member; also of what a link leads to */
	BACKUP_DEPTH = 500,  /* of folders */
	BACKUP_JSON = 65536, /* of about.json and seal.json */
};

DEFINE_AUTO(json_t *, json_decref)

/* --- sum.c: what is noted of each member --- */

struct backup_member { /* borrowed */
	char type;     /* f, d, l (symbolic link), h (another name of a member before it) */
	mode_t mode;
	uint64_t size;
	const char *path, *link; /* link "" = none */
	int64_t mtime;		 /* seconds: compiled files are compared with their sources by it */
};

/* The sum of a file: of its bytes, and when it has holes of where they are, too, as zeros by the
 * terabyte are not worth reading. */
struct backup_file_sum {
	crypto_hash_sha256_state sha;
	struct buf map;	    /* extents; owned */
	uint64_t from, end; /* of the extent under way */
};
void backup_file_begin(struct backup_file_sum *s);
/* n bytes at that offset, which never goes back. */
void backup_file_data(struct backup_file_sum *s, uint64_t at, const void *p, size_t n);
/* True: it has holes. */
bool backup_file_end(struct backup_file_sum *s, uint64_t size, char hex[65]);

/* Of a whole archive. */
struct backup_sums {
	crypto_hash_sha256_state sha;
	int lines; /* a file without a name: what SHA256SUMS has; owned */
	struct buf late;
	uint64_t members, files, bytes;
};
int backup_sums_open(struct backup_sums *s, struct err *err);
void backup_sums_clear(struct backup_sums *s);
#define backup_sums_clear_p backup_sums_clear
int backup_sums_add(struct backup_sums *s, const struct backup_member *m, bool holes,
		    const char *hex, struct err *err);
int backup_sums_flush(struct backup_sums *s, struct err *err); /* lines has all */
void backup_sums_digest(struct backup_sums *s, char hex[65]);
/* What the seal's signature is of. Owned. */
char *backup_signed_text(const char *digest);

/* --- pack.c: writing --- */

struct backup_pack {
	int fd; /* borrowed */
	bool pipe, over;
	struct archive *a;
	struct backup_sums sums;
	struct backup_links *links; /* files with several names; owned */
	const char *owner;	    /* of members from here on, for those who unpack by hand */
	char *piece, *zeros;	    /* BACKUP_PIECE each; owned */
	const struct backup_watch *watch;
	const char *stage;
	mono_ms told;
};
int backup_pack_open(struct backup_pack *p, int fd, const struct backup_watch *watch,
		     struct err *err);
void backup_pack_clear(struct backup_pack *p);
#define backup_pack_clear_p backup_pack_clear
int backup_pack_bytes(struct backup_pack *p, const char *path, const void *data, size_t n,
		      mode_t mode, struct err *err);
/* The file is read from its beginning to the size that st has: what is missing by then is zeros. */
int backup_pack_file(struct backup_pack *p, const char *path, int fd, const struct stat *st,
		     struct err *err);
int backup_pack_dir(struct backup_pack *p, const char *path, mode_t mode, struct err *err);
/* A member of another tar that is being read. */
int backup_pack_entry(struct backup_pack *p, const char *path, struct archive *from,
		      struct archive_entry *e, struct err *err);
/* A tree below path, by descriptor and never through links. skip (may be NULL): rel is left out.
 * What goes away meanwhile is passed over; what is no file, folder or link is left out. */
typedef bool backup_skip(const char *rel, bool is_dir, void *arg);
int backup_pack_tree(struct backup_pack *p, const char *path, int dirfd, backup_skip *skip,
		     void *arg, struct err *err);
int backup_pack_close(struct backup_pack *p, const struct master_key *key, const json_t *notes,
		      struct err *err);
/* CANCELED when it is not wanted any more; tells how far it is, now and then. */
int backup_pack_tick(struct backup_pack *p, struct err *err);

/* --- unpack.c: reading --- */

/* What is done with a member that may be there. data is called with each extent of a file. */
struct backup_sink {
	void *arg;
	int (*about)(void *arg, const json_t *about, struct err *err);
	int (*begin)(void *arg, const struct backup_member *m, struct err *err);
	int (*data)(void *arg, uint64_t at, const void *p, size_t n, struct err *err);
	int (*end)(void *arg, const struct backup_member *m, struct err *err);
};
/* Reads an archive to its end: CORRUPT (damaged, cut off, or not ours), CONFIG (of another
 * version). key may be NULL: then the signature is not looked at; *keyed: the archive has its own
 * key. */
int backup_read(int fd, const struct master_key *key, const struct backup_sink *sink,
		const struct backup_watch *watch, struct backup_report *out, struct err *err);

#endif
