/* transfer_pg.h - dumps, restores and copies of databases, and their daily schedules; see user.h
 * for the conventions. (transfer.h has transfers of apps.) */
#ifndef STORE_TRANSFER_PG_H
#define STORE_TRANSFER_PG_H

#include "daemon/store/build.h"

enum store_pgt_kind { PGT_BACKUP, PGT_RESTORE, PGT_COPY };
enum store_pgt_state {
	PGT_PENDING,
	PGT_RUNNING,
	PGT_VERIFYING,
	PGT_SUCCEEDED,
	PGT_FAILED,
	PGT_CANCELED
};
static inline bool store_pgt_over(enum store_pgt_state s)
{
	return s >= PGT_SUCCEEDED;
}

struct store_pgt {
	char id[37], app_id[37];
	char addon_id[37]; /* a backup's source, else the target; "" = the add-on is gone */
	char from_addon_id[37], from_transfer_id[37]; /* "" = none */
	char schedule_id[37], user_id[37];	      /* "" = none */
	int num;
	enum store_pgt_kind kind;
	enum store_pgt_state state;
	int tries;
	char *from_name, *to_name, *extensions;
	char *from_url;		 /* opened; NULL = none. A secret. */
	unsigned char *file_key; /* opened, PGT_KEY bytes; NULL = there is no file. A secret. */
	char checksum[65];	 /* "" = none yet */
	int64_t source_bytes, processed_bytes; /* -1 = not known yet */
	char *failure, *log;		       /* failure may be NULL; log: JSON */
	wall_ms verified_ms, started_ms, finished_ms, canceled_ms, deleted_ms; /* 0 = not */
	wall_ms created_ms, updated_ms;
};
#define PGT_KEY 32
struct store_pgts {
	struct store_pgt *v;
	int n;
};
void store_pgt_clear(struct store_pgt *t);
void store_pgts_clear(struct store_pgts *l);
#define store_pgt_clear_p  store_pgt_clear
#define store_pgts_clear_p store_pgts_clear

struct store_pgt_new { /* borrowed; NULL = none where the row may have none */
	const char *app_id, *addon_id;
	enum store_pgt_kind kind;
	const char *from_name, *to_name;
	const char *from_addon_id, *from_transfer_id, *from_url;
	const char *extensions, *schedule_id, *user_id;
};
/* RATE_LIMIT when the database has LIM_TRANSFERS_OPEN that are not over. */
int store_pgt_insert(struct tx *tx, const struct store_pgt_new *in, struct store_pgt *out,
		     struct err *err);
int store_pgt_get(struct tx *tx, const char *id, struct store_pgt *out, struct err *err);
/* Of the app, by id or number; deleted ones are not found. NOT_FOUND (resource "transfer"). */
int store_pgt_find(struct tx *tx, const char *app_id, const char *ref, struct store_pgt *out,
		   struct err *err);
int store_pgts_list(struct tx *tx, const char *app_id, struct store_pgts *out, struct err *err);
int store_pgts_open(struct tx *tx, struct store_pgts *out, struct err *err);
int store_pgt_begin(struct tx *tx, const char *id, struct err *err);
int store_pgts_again(struct tx *tx, struct err *err);
int store_pgt_progress(struct tx *tx, const char *id, int64_t source, int64_t processed,
		       const char *log, struct err *err);
int store_pgt_set_key(struct tx *tx, const char *id, const unsigned char key[PGT_KEY],
		      struct err *err);
int store_pgt_verifying(struct tx *tx, const char *id, const char *checksum, struct err *err);
int store_pgt_verified(struct tx *tx, const char *id, struct err *err);
int store_pgt_finish(struct tx *tx, const char *id, enum store_pgt_state state, const char *failure,
		     bool keep_file, struct err *err);
int store_pgt_delete(struct tx *tx, const char *id, struct err *err);
int store_pgt_files(struct tx *tx, struct store_ids *out, struct err *err);
/* Which backups stay, each for any of these reasons. */
struct store_pgt_keep {
	int newest;	   /* so many */
	int weeks, months; /* the newest of each of the last so many that have one (UTC) */
};
/* The other good backups of the database and the sort (scheduled or not) of `like`. */
int store_pgt_surplus(struct tx *tx, const struct store_pgt *like,
		      const struct store_pgt_keep *keep, struct store_ids *out, struct err *err);
/* Forgets old rows of the app that have no file, but for the newest `keep`. */
int store_pgt_forget(struct tx *tx, const char *app_id, int keep, struct err *err);
/* Words of the API and of the rows. */
const char *store_pgt_state_name(enum store_pgt_state s);

struct store_pgt_schedule {
	char id[37], addon_id[37];
	char *name, *timezone;
	int hour;
	wall_ms next_ms, created_ms, updated_ms;
};
struct store_pgt_schedules {
	struct store_pgt_schedule *v;
	int n;
};
void store_pgt_schedule_clear(struct store_pgt_schedule *s);
void store_pgt_schedules_clear(struct store_pgt_schedules *l);
#define store_pgt_schedule_clear_p  store_pgt_schedule_clear
#define store_pgt_schedules_clear_p store_pgt_schedules_clear

/* in: addon_id, name, hour, timezone, next_ms; takes the place of one with that name. */
int store_pgt_schedule_set(struct tx *tx, const struct store_pgt_schedule *in,
			   struct store_pgt_schedule *out, struct err *err);
int store_pgt_schedules_list(struct tx *tx, const char *addon_id, struct store_pgt_schedules *out,
			     struct err *err);
int store_pgt_schedules_due(struct tx *tx, wall_ms now, struct store_pgt_schedules *out,
			    struct err *err);
/* Makes the backup of a schedule, unless one of it is still under way, and sets its next time. */
int store_pgt_schedule_fire(struct tx *tx, const struct store_pgt_schedule *s, wall_ms next,
			    struct err *err);
/* By id or name. NOT_FOUND (resource "schedule"). */
int store_pgt_schedule_delete(struct tx *tx, const char *addon_id, const char *ref,
			      struct err *err);

#endif
