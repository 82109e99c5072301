/* transfer.h - backups, restores and copies of databases, and daily backups
 * (docs/postgres-backups.md, docs/internals/pg-transfers.md; Dev Center: Heroku PGBackups).
 *
 * Each is a row of the store that moves pending -> running -> verifying -> succeeded | failed |
 * canceled, run by one of a few threads; of one database one at a time. What a crash cuts off is
 * begun again at the next start. A dump is made in a snapshot, streamed into an encrypted file,
 * restored into a scratch database beside its source and compared with it before it counts.
 * Restores and copies fill a scratch database, too, which then takes the place of the target in one
 * step: a database is as it was, or wholly the new one.
 *
 * Any thread but a loop; all block. */
#ifndef PG_TRANSFER_H
#define PG_TRANSFER_H

#include "daemon/addon/addon.h"
#include "daemon/store/transfer_pg.h"
#include "daemon/svc/svc.h"

/* How the engine gets at databases: the add-ons, in tests something else. */
enum pg_scratch {
	PG_SCRATCH_CREATE, /* an empty database of the add-on's role, on the same server; one of
			      that name which exists already is dropped first. *url gets it. */
	PG_SCRATCH_DROP,   /* with its connections; nothing when there is none */
	PG_SCRATCH_SWAP,   /* it becomes the add-on's database, whose name and URL stay; the former
			      one is dropped. NOT_FOUND when there is no scratch database. */
};
struct pg_place {
	void *arg;
	/* The add-on's URL as this host reaches it; owned by the caller. */
	int (*url)(void *arg, const char *addon_id, char **url, struct err *err);
	/* name: lower case letters, digits and _, below 32. url: only of CREATE. UNAVAILABLE: the
	 * server does not answer now. */
	int (*scratch)(void *arg, const char *addon_id, enum pg_scratch what, const char *name,
		       char **url, struct err *err);
	/* What its plan says; borrowed, NULL when there is no such plan any more. */
	const json_t *(*limits)(void *arg, const struct store_addon *a);
};
struct pg_place pg_place_of_addons(struct addons *a); /* borrowed (transfer_place.c) */

struct pg_transfers;
struct pg_transfers_deps { /* borrowed */
	const struct config *cfg;
	struct store *store;
	struct pg_place place;
	struct launcher *launcher; /* of the sandboxes that dumps are made and read in */
	struct svcs *svcs;	   /* where the platform's own server is */
};
/* What a crash cut off waits again; files that belong to nothing go. */
int pg_transfers_open(const struct pg_transfers_deps *d, struct pg_transfers **out,
		      struct err *err);
void pg_transfers_start(struct pg_transfers *t); /* the threads: once add-ons can be called */
/* Cuts off what runs, to be taken up at the next start: before the databases go. Does not wait; any
 * thread. NULL is fine, here and there. */
void pg_transfers_stop(struct pg_transfers *t);
void pg_transfers_free(struct pg_transfers *t); /* stops it and waits; before addons_free */

int pg_transfer_new(struct pg_transfers *t, const struct store_pgt_new *in, struct store_pgt *out,
		    struct err *err);
/* INVALID_PARAMS when it is over. What runs ends a moment later. */
int pg_transfer_cancel(struct pg_transfers *t, const char *id, struct err *err);
/* The file goes, too. CONFLICT while it runs. */
int pg_transfer_delete(struct pg_transfers *t, const char *id, struct err *err);

/* Octets from to `to` (excluded) of a backup's dump, decrypted, to fn, which returns -1 to end it.
 * row: with its file_key. NOT_FOUND, CORRUPT. */
int pg_backup_read(struct pg_transfers *t, const struct store_pgt *row, uint64_t from, uint64_t to,
		   int (*fn)(const void *p, size_t n, void *arg), void *arg, struct err *err);

/* How many backups of a database are kept: as the settings say, or else its plan (limits
 * backups_manual; backups_daily, backups_weekly, backups_monthly of scheduled ones). */
void pg_backups_keep(struct pg_transfers *t, const char *addon_id, bool scheduled,
		     struct store_pgt_keep *out);

#define PGT_TIME 32
void pgt_time(wall_ms t, char out[PGT_TIME]); /* "2026-01-31 12:00:00 +0000", as this API has it */

/* --- schedules (schedule.c) --- */
/* INVALID_PARAMS: an hour or a time zone that is none; more than LIM_SCHEDULES. */
int pg_schedule_set(struct pg_transfers *t, const char *addon_id, const char *name, int hour,
		    const char *zone, struct store_pgt_schedule *out, struct err *err);
/* The first time after `after` at which clocks of the zone show HH:00: when the hour is skipped,
 * the moment at which they go on; when it comes twice, the first. INVALID_PARAMS. */
int pg_schedule_next(const char *zone, int hour, wall_ms after, wall_ms *out, struct err *err);
/* Begins the backups whose time has come: each once, however long ago that was. */
int pg_schedules_run(struct pg_transfers *t, wall_ms now, struct err *err);

#endif
