#include "daemon/store/transfer_pg.h"
#include "daemon/store/row_int.h"
#include "proto/limits.h"
#include "proto/names.h"

static const char *const kinds[] = {
	[PGT_BACKUP] = "backup", [PGT_RESTORE] = "restore", [PGT_COPY] = "copy"};
static const char *const states[] = {
	[PGT_PENDING] = "pending",     [PGT_RUNNING] = "running", [PGT_VERIFYING] = "verifying",
	[PGT_SUCCEEDED] = "succeeded", [PGT_FAILED] = "failed",	  [PGT_CANCELED] = "canceled"};

const char *store_pgt_state_name(enum store_pgt_state s)
{
	return states[s];
}

static int word_of(const char *const *words, size_t n, const char *word)
{
	size_t i = 0;

	while (i + 1 < n && strcmp(words[i], word) != 0)
		i++;
	return (int)i; /* the table's CHECK lets nothing else in */
}

void store_pgt_clear(struct store_pgt *t)
{
	if (t->from_url)
		explicit_bzero(t->from_url, strlen(t->from_url));
	if (t->file_key)
		explicit_bzero(t->file_key, PGT_KEY);
	free(t->from_name);
	free(t->to_name);
	free(t->extensions);
	free(t->from_url);
	free(t->file_key);
	free(t->failure);
	free(t->log);
	*t = (struct store_pgt){0};
}
ROW_DEFINE_LIST(store_pgt, store_pgts)

void store_pgt_schedule_clear(struct store_pgt_schedule *s)
{
	free(s->name);
	free(s->timezone);
	*s = (struct store_pgt_schedule){0};
}
ROW_DEFINE_LIST(store_pgt_schedule, store_pgt_schedules)

/* --- rows --- */

enum { COL_URL = 9, COL_KEY = 15 };

static void fill_pgt(struct stmt *s, void *out)
{
	struct store_pgt *t = out;

	ROW_COPY(s, 0, t->id);
	ROW_COPY(s, 1, t->app_id);
	ROW_COPY(s, 2, t->addon_id);
	t->num = (int)stmt_col_int(s, 3);
	t->kind = (enum store_pgt_kind)word_of(kinds, ARRAY_LEN(kinds), stmt_col_text(s, 4));
	t->from_name = stmt_col_dup(s, 5);
	t->to_name = stmt_col_dup(s, 6);
	ROW_COPY(s, 7, t->from_addon_id);
	ROW_COPY(s, 8, t->from_transfer_id);
	t->extensions = stmt_col_dup(s, 10);
	t->state = (enum store_pgt_state)word_of(states, ARRAY_LEN(states), stmt_col_text(s, 11));
	t->tries = (int)stmt_col_int(s, 12);
	ROW_COPY(s, 13, t->schedule_id);
	ROW_COPY(s, 14, t->user_id);
	ROW_COPY(s, 16, t->checksum);
	t->source_bytes = row_int_or(s, 17, -1);
	t->processed_bytes = row_int_or(s, 18, -1);
	t->verified_ms = row_int_or(s, 19, 0);
	t->failure = stmt_col_dup(s, 20);
	t->log = stmt_col_dup(s, 21);
	t->started_ms = row_int_or(s, 22, 0);
	t->finished_ms = row_int_or(s, 23, 0);
	t->canceled_ms = row_int_or(s, 24, 0);
	t->deleted_ms = row_int_or(s, 25, 0);
	t->created_ms = stmt_col_int(s, 26);
	t->updated_ms = stmt_col_int(s, 27);
}

static int open_box(struct tx *tx, struct stmt *s, int col, struct buf *out, struct err *err)
{
	size_t n;
	const void *box = stmt_col_blob(s, col, &n);

	return secret_open(tx_key(tx), box, n, out, err);
}

/* What is sealed in the row that s stands on. */
static int open_secrets(struct tx *tx, struct stmt *s, struct store_pgt *t, struct err *err)
{
	AUTO(buf_clear) struct buf key = {0};
	AUTO(buf_clear) struct buf url = {0};
	int rc = 0;

	if (!stmt_col_null(s, COL_KEY)) {
		if (open_box(tx, s, COL_KEY, &key, err) < 0)
			return -1;
		if (key.len != PGT_KEY)
			return err_set(err, ERR_CORRUPT, "the key of transfer %s", t->id);
		t->file_key = xmalloc(PGT_KEY);
		memcpy(t->file_key, key.data, PGT_KEY);
		explicit_bzero(key.data, key.len);
	}
	if (!stmt_col_null(s, COL_URL)) {
		rc = open_box(tx, s, COL_URL, &url, err);
		t->from_url = rc < 0 ? NULL : buf_steal(&url);
	}
	return rc;
}

static int one_pgt(struct tx *tx, struct stmt *s, struct store_pgt *out, struct err *err)
{
	if (row_one(s, fill_pgt, out, sizeof *out, "transfer", err) < 0)
		return -1;
	if (open_secrets(tx, s, out, err) == 0)
		return 0;
	store_pgt_clear(out);
	return -1;
}

int store_pgt_get(struct tx *tx, const char *id, struct store_pgt *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_GET);

	stmt_text(s, 1, id);
	return one_pgt(tx, s, out, err);
}

int store_pgt_find(struct tx *tx, const char *app_id, const char *ref, struct store_pgt *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_FIND);
	size_t n = strspn(ref, "0123456789");

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, ref);
	stmt_int(s, 3, n && n < 10 && !ref[n] ? strtol(ref, NULL, 10) : -1);
	return one_pgt(tx, s, out, err);
}

/* Without secrets. */
int store_pgts_list(struct tx *tx, const char *app_id, struct store_pgts *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_LIST);

	stmt_text(s, 1, app_id);
	return store_pgt_all(s, fill_pgt, out, err);
}

int store_pgts_open(struct tx *tx, struct store_pgts *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_OPEN);

	return store_pgt_all(s, fill_pgt, out, err);
}

/* --- made --- */

static int check_open(struct tx *tx, const char *addon_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_OPEN_COUNT);

	stmt_text(s, 1, addon_id);
	if (stmt_step(s, err) != STMT_ROW)
		return -1;
	if (stmt_col_int(s, 0) < LIM_TRANSFERS_OPEN)
		return 0;
	return err_set(
		err, ERR_RATE_LIMIT,
		"%d transfers of this database are under way or waiting; cancel one, or wait "
		"for one to end.",
		LIM_TRANSFERS_OPEN);
}

static int insert(struct tx *tx, const char *id, const struct store_pgt_new *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_INSERT);
	AUTO(buf_clear) struct buf box = {0};

	stmt_text(s, 1, id);
	stmt_text(s, 2, in->app_id);
	stmt_text(s, 3, in->addon_id);
	stmt_text(s, 4, kinds[in->kind]);
	stmt_text(s, 5, in->from_name);
	stmt_text(s, 6, in->to_name);
	bind_id(s, 7, in->from_addon_id);
	bind_id(s, 8, in->from_transfer_id);
	if (in->from_url) {
		secret_seal(tx_key(tx), in->from_url, strlen(in->from_url), &box);
		stmt_blob(s, 9, box.data, box.len);
	}
	stmt_text(s, 10, in->extensions ? in->extensions : "");
	bind_id(s, 11, in->schedule_id);
	bind_id(s, 12, in->user_id);
	stmt_int(s, 13, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_pgt_insert(struct tx *tx, const struct store_pgt_new *in, struct store_pgt *out,
		     struct err *err)
{
	char id[37];

	uuid_new(id);
	if (check_open(tx, in->addon_id, err) < 0 || insert(tx, id, in, err) < 0)
		return -1;
	return store_pgt_get(tx, id, out, err);
}

/* --- moved on --- */

static int touch(struct tx *tx, enum sql_id sql, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, sql);

	stmt_text(s, 1, id);
	stmt_int(s, 2, clock_wall_ms());
	return row_change(tx, s, "transfer", err);
}

int store_pgt_begin(struct tx *tx, const char *id, struct err *err)
{
	return touch(tx, SQL_PGT_BEGIN, id, err);
}

int store_pgt_verified(struct tx *tx, const char *id, struct err *err)
{
	return touch(tx, SQL_PGT_VERIFIED, id, err);
}

int store_pgt_delete(struct tx *tx, const char *id, struct err *err)
{
	return touch(tx, SQL_PGT_DELETE, id, err);
}

int store_pgts_again(struct tx *tx, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_AGAIN);

	stmt_int(s, 1, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_pgt_progress(struct tx *tx, const char *id, int64_t source, int64_t processed,
		       const char *log, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_PROGRESS);

	stmt_text(s, 1, id);
	bind_int_or_null(s, 2, source, -1);
	bind_int_or_null(s, 3, processed, -1);
	stmt_text(s, 4, log);
	stmt_int(s, 5, clock_wall_ms());
	return row_change(tx, s, "transfer", err);
}

int store_pgt_set_key(struct tx *tx, const char *id, const unsigned char key[PGT_KEY],
		      struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_KEY);
	AUTO(buf_clear) struct buf box = {0};

	secret_seal(tx_key(tx), key, PGT_KEY, &box);
	stmt_text(s, 1, id);
	stmt_blob(s, 2, box.data, box.len);
	return row_change(tx, s, "transfer", err);
}

int store_pgt_verifying(struct tx *tx, const char *id, const char *checksum, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_VERIFYING);

	stmt_text(s, 1, id);
	bind_id(s, 2, checksum);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "transfer", err);
}

int store_pgt_finish(struct tx *tx, const char *id, enum store_pgt_state state, const char *failure,
		     bool keep_file, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_FINISH);
	wall_ms now = clock_wall_ms();

	stmt_text(s, 1, id);
	stmt_text(s, 2, states[state]);
	stmt_text(s, 3, failure);
	stmt_int(s, 4, now);
	bind_int_or_null(s, 5, state == PGT_CANCELED ? now : 0, 0);
	stmt_int(s, 6, keep_file);
	return row_change(tx, s, "transfer", err);
}

/* --- collected --- */

int store_pgt_files(struct tx *tx, struct store_ids *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_FILES);

	return store_ids_read(s, out, err);
}

int store_pgt_surplus(struct tx *tx, const struct store_pgt *like,
		      const struct store_pgt_keep *keep, struct store_ids *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SURPLUS);

	stmt_text(s, 1, like->app_id);
	bind_id(s, 2, like->addon_id);
	stmt_int(s, 3, like->schedule_id[0] != 0);
	stmt_int(s, 4, keep->newest);
	stmt_int(s, 5, keep->weeks);
	stmt_int(s, 6, keep->months);
	return store_ids_read(s, out, err);
}

int store_pgt_forget(struct tx *tx, const char *app_id, int keep, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_FORGET);

	stmt_text(s, 1, app_id);
	stmt_int(s, 2, keep);
	return stmt_exec(s, err);
}

/* --- schedules --- */

static void fill_schedule(struct stmt *s, void *out)
{
	struct store_pgt_schedule *r = out;

	ROW_COPY(s, 0, r->id);
	ROW_COPY(s, 1, r->addon_id);
	r->name = stmt_col_dup(s, 2);
	r->hour = (int)stmt_col_int(s, 3);
	r->timezone = stmt_col_dup(s, 4);
	r->next_ms = stmt_col_int(s, 5);
	r->created_ms = stmt_col_int(s, 6);
	r->updated_ms = stmt_col_int(s, 7);
}

int store_pgt_schedules_list(struct tx *tx, const char *addon_id, struct store_pgt_schedules *out,
			     struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_LIST);

	stmt_text(s, 1, addon_id);
	return store_pgt_schedule_all(s, fill_schedule, out, err);
}

int store_pgt_schedules_due(struct tx *tx, wall_ms now, struct store_pgt_schedules *out,
			    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_DUE);

	stmt_int(s, 1, now);
	return store_pgt_schedule_all(s, fill_schedule, out, err);
}

static int set_schedule(struct tx *tx, const struct store_pgt_schedule *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_SET);
	char id[37];

	uuid_new(id);
	stmt_text(s, 1, id);
	stmt_text(s, 2, in->addon_id);
	stmt_text(s, 3, in->name);
	stmt_int(s, 4, in->hour);
	stmt_text(s, 5, in->timezone);
	stmt_int(s, 6, in->next_ms);
	stmt_int(s, 7, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_pgt_schedule_set(struct tx *tx, const struct store_pgt_schedule *in,
			   struct store_pgt_schedule *out, struct err *err)
{
	struct store_pgt_schedules all = {0};

	if (set_schedule(tx, in, err) < 0 ||
	    store_pgt_schedules_list(tx, in->addon_id, &all, err) < 0)
		return -1;
	for (int i = 0; i < all.n; i++)
		if (strcmp(all.v[i].name, in->name) == 0) {
			*out = all.v[i];
			all.v[i] = (struct store_pgt_schedule){0};
		}
	store_pgt_schedules_clear(&all);
	return 0;
}

static bool under_way(struct tx *tx, const char *schedule_id)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_OPEN_SCHEDULE);

	stmt_text(s, 1, schedule_id);
	return stmt_step(s, NULL) == STMT_ROW && stmt_col_int(s, 0) > 0;
}

static int owner_of(struct tx *tx, const char *addon_id, char app_id[37], struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_OWNER);

	stmt_text(s, 1, addon_id);
	if (stmt_step(s, err) != STMT_ROW || stmt_col_null(s, 0))
		return err_not_found(err, "add_on");
	row_copy(s, 0, app_id, 37);
	return 0;
}

static int set_next(struct tx *tx, const char *id, wall_ms next, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_NEXT);

	stmt_text(s, 1, id);
	stmt_int(s, 2, next);
	return stmt_exec(s, err);
}

int store_pgt_schedule_fire(struct tx *tx, const struct store_pgt_schedule *s, wall_ms next,
			    struct err *err)
{
	AUTO(store_pgt_clear) struct store_pgt row = {0};
	AUTO(auto_str) char *name = xstrdup(s->name);
	size_t n = strlen(name);
	char app_id[37];
	const struct store_pgt_new in = {
		.app_id = app_id,
		.addon_id = s->addon_id,
		.kind = PGT_BACKUP,
		.from_name = name,
		.to_name = "SCHEDULED BACKUP",
		.schedule_id = s->id,
	};

	if (n > 4 && strcmp(name + n - 4, "_URL") == 0)
		name[n - 4] = 0;
	if (set_next(tx, s->id, next, err) < 0 || owner_of(tx, s->addon_id, app_id, err) < 0)
		return -1;
	return under_way(tx, s->id) ? 0 : store_pgt_insert(tx, &in, &row, err);
}

int store_pgt_schedule_delete(struct tx *tx, const char *addon_id, const char *ref, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_PGT_SCHEDULE_DELETE);

	stmt_text(s, 1, addon_id);
	stmt_text(s, 2, ref);
	return row_change(tx, s, "schedule", err);
}
