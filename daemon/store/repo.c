/* Repositories, what is to be looked at and told there, and branches that deploy themselves. */
#include "daemon/store/repo.h"
#include "daemon/store/row_int.h"

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void store_repo_clear(struct store_repo *r)
{
	free(r->base_url);
	free(r->full_name);
	wipe(r->token);
	wipe(r->deploy_key);
	wipe(r->hook_secret);
	free(r->hook_url);
	free(r->hook_id);
	free(r->failure);
	*r = (struct store_repo){0};
}

void store_repos_clear(struct store_repos *l)
{
	for (int i = 0; i < l->n; i++)
		store_repo_clear(&l->v[i]);
	free(l->v);
	*l = (struct store_repos){0};
}

/* --- reading --- */

static int open_box(struct tx *tx, struct stmt *s, int col, char **out, struct err *err)
{
	AUTO(buf_clear) struct buf text = {0};
	size_t n;
	const void *box;

	*out = NULL;
	if (stmt_col_null(s, col))
		return 0;
	box = stmt_col_blob(s, col, &n);
	if (secret_open(tx_key(tx), box, n, &text, err) < 0)
		return -1;
	*out = buf_steal(&text);
	return 0;
}

static int open_row(struct tx *tx, struct stmt *s, struct store_repo *out, struct err *err)
{
	struct store_repo r = {0};

	ROW_COPY(s, 0, r.id);
	ROW_COPY(s, 1, r.pipeline_id);
	r.num = stmt_col_int(s, 2);
	ROW_COPY(s, 3, r.provider);
	if (open_box(tx, s, 6, &r.token, err) < 0 || open_box(tx, s, 7, &r.deploy_key, err) < 0 ||
	    open_box(tx, s, 8, &r.hook_secret, err) < 0) {
		store_repo_clear(&r);
		return -1;
	}
	r.base_url = stmt_col_dup(s, 4);
	r.full_name = stmt_col_dup(s, 5);
	r.hook_url = stmt_col_dup(s, 9);
	r.hook_id = stmt_col_dup(s, 10);
	r.failure = stmt_col_dup(s, 11);
	r.reconciled_ms = stmt_col_int(s, 12);
	r.created_ms = stmt_col_int(s, 13);
	r.updated_ms = stmt_col_int(s, 14);
	r.ssh_port = (int)stmt_col_int(s, 15);
	*out = r;
	return 0;
}

static int read_one(struct tx *tx, enum sql_id id, const char *key, struct store_repo *out,
		    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, id);

	stmt_text(s, 1, key);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		return open_row(tx, s, out, err);
	case STMT_DONE:
		return err_not_found(err, "repo");
	default:
		return -1;
	}
}

int store_repo_get(struct tx *tx, const char *id, struct store_repo *out, struct err *err)
{
	return read_one(tx, SQL_REPO_GET, id, out, err);
}

int store_repo_of_pipeline(struct tx *tx, const char *pipeline_id, struct store_repo *out,
			   struct err *err)
{
	return read_one(tx, SQL_REPO_OF_PIPELINE, pipeline_id, out, err);
}

int store_repo_of_app(struct tx *tx, const char *app_id, struct store_repo *out, struct err *err)
{
	return read_one(tx, SQL_REPO_OF_APP, app_id, out, err);
}

int store_repos_all(struct tx *tx, struct store_repos *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_ALL);
	AUTO(store_repos_clear) struct store_repos l = {0};
	enum stmt_result r;

	while ((r = stmt_step(s, err)) == STMT_ROW) {
		l.v = xrealloc(l.v, ((size_t)l.n + 1) * sizeof *l.v);
		if (open_row(tx, s, &l.v[l.n], err) < 0)
			return -1;
		l.n++;
	}
	if (r == STMT_FAIL)
		return -1;
	*out = l;
	l = (struct store_repos){0};
	return 0;
}

/* --- writing --- */

static void bind_box(struct tx *tx, struct stmt *s, int i, const char *text)
{
	AUTO(buf_clear) struct buf box = {0};

	if (!text) {
		stmt_null(s, i);
		return;
	}
	secret_seal(tx_key(tx), text, strlen(text), &box);
	stmt_blob(s, i, box.data, box.len);
}

int store_repo_create(struct tx *tx, const struct store_repo *in, struct store_repo *out,
		      struct err *err)
{
	char id[37];

	snprintf(id, sizeof id, "%s", in->id);
	if (!*id)
		uuid_new(id);
	{
		AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_INSERT);

		stmt_text(s, 1, id);
		stmt_text(s, 2, in->pipeline_id);
		stmt_text(s, 3, in->provider);
		stmt_text(s, 4, in->base_url);
		stmt_text(s, 5, in->full_name);
		bind_box(tx, s, 6, in->token ? in->token : "");
		bind_box(tx, s, 7, in->deploy_key);
		bind_box(tx, s, 8, in->hook_secret);
		stmt_text(s, 9, in->hook_url);
		stmt_int(s, 10, clock_wall_ms());
		stmt_int(s, 11, in->ssh_port ? in->ssh_port : 22);
		if (stmt_exec(s, err) < 0)
			return -1;
	}
	return store_repo_get(tx, id, out, err);
}

int store_repo_set_hook(struct tx *tx, const char *id, const char *hook_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_SET_HOOK);

	stmt_text(s, 1, id);
	stmt_text(s, 2, hook_id);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "repo", err);
}

int store_repo_looked(struct tx *tx, const char *id, const char *failure, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_LOOKED);

	stmt_text(s, 1, id);
	stmt_text(s, 2, failure);
	stmt_int(s, 3, clock_wall_ms());
	return row_change(tx, s, "repo", err);
}

int store_repo_delete(struct tx *tx, const char *id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_DELETE);

	stmt_text(s, 1, id);
	return row_change(tx, s, "repo", err);
}

/* --- deliveries --- */

static int add_delivery(struct tx *tx, const char *repo_id, const char *delivery, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_DELIVERY_INSERT);

	stmt_text(s, 1, repo_id);
	stmt_text(s, 2, delivery);
	stmt_int(s, 3, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_repo_delivery(struct tx *tx, const char *repo_id, const char *delivery, const char *sum,
			bool *known, struct err *err)
{
	{
		AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_DELIVERY_KNOWN);

		stmt_text(s, 1, repo_id);
		stmt_text(s, 2, delivery);
		stmt_text(s, 3, sum);
		switch (stmt_step(s, err)) {
		case STMT_ROW:
			*known = true;
			return 0;
		case STMT_DONE:
			break;
		default:
			return -1;
		}
	}
	*known = false;
	if (strcmp(delivery, sum) != 0 && add_delivery(tx, repo_id, delivery, err) < 0)
		return -1;
	return add_delivery(tx, repo_id, sum, err);
}

int store_repo_deliveries_prune(struct tx *tx, wall_ms before, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_DELIVERIES_PRUNE);

	stmt_int(s, 1, before);
	return stmt_exec(s, err);
}

/* --- looks --- */

void store_look_clear(struct store_look *l)
{
	free(l->subject);
	*l = (struct store_look){0};
}

ROW_DEFINE_LIST(store_look, store_looks)

int store_look_add(struct tx *tx, const char *repo_id, const char *kind, const char *subject,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_LOOK_ADD);

	stmt_text(s, 1, repo_id);
	stmt_text(s, 2, kind);
	stmt_text(s, 3, subject);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_exec(s, err);
}

static void fill_look(struct stmt *s, void *out)
{
	struct store_look *l = out;

	ROW_COPY(s, 0, l->repo_id);
	ROW_COPY(s, 1, l->kind);
	l->subject = stmt_col_dup(s, 2);
	l->seq = stmt_col_int(s, 3);
	l->tries = (int)stmt_col_int(s, 4);
}

int store_looks_due(struct tx *tx, const char *repo_id, wall_ms now, int max,
		    struct store_looks *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_LOOKS_DUE);

	stmt_text(s, 1, repo_id);
	stmt_int(s, 2, now);
	stmt_int(s, 3, max);
	return store_look_all(s, fill_look, out, err);
}

static void bind_look(struct stmt *s, const struct store_look *l)
{
	stmt_text(s, 1, l->repo_id);
	stmt_text(s, 2, l->kind);
	stmt_text(s, 3, l->subject);
	stmt_int(s, 4, l->seq);
}

int store_look_done(struct tx *tx, const struct store_look *l, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_LOOK_DONE);

	bind_look(s, l);
	return stmt_exec(s, err);
}

int store_look_again(struct tx *tx, const struct store_look *l, wall_ms next, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_LOOK_AGAIN);

	bind_look(s, l);
	stmt_int(s, 5, next);
	return stmt_exec(s, err);
}

/* --- tells --- */

void store_tell_clear(struct store_tell *t)
{
	free(t->environment);
	free(t->url);
	free(t->log_url);
	free(t->text);
	free(t->comment);
	free(t->failure);
	*t = (struct store_tell){0};
}

ROW_DEFINE_LIST(store_tell, store_tells)

int store_tell_want(struct tx *tx, const struct store_tell *in, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_TELL_WANT);

	stmt_text(s, 1, in->repo_id);
	stmt_text(s, 2, in->key);
	stmt_int(s, 3, in->number);
	stmt_text(s, 4, in->sha);
	stmt_text(s, 5, in->environment);
	stmt_text(s, 6, in->state);
	stmt_text(s, 7, in->url);
	stmt_text(s, 8, in->log_url);
	stmt_text(s, 9, in->text);
	stmt_text(s, 10, in->comment);
	stmt_int(s, 11, in->last);
	stmt_int(s, 12, clock_wall_ms());
	return stmt_exec(s, err);
}

static void fill_tell(struct stmt *s, void *out)
{
	struct store_tell *t = out;

	ROW_COPY(s, 0, t->repo_id);
	ROW_COPY(s, 1, t->key);
	t->number = stmt_col_int(s, 2);
	ROW_COPY(s, 3, t->sha);
	t->environment = stmt_col_dup(s, 4);
	ROW_COPY(s, 5, t->state);
	t->url = stmt_col_dup(s, 6);
	t->log_url = stmt_col_dup(s, 7);
	t->text = stmt_col_dup(s, 8);
	t->comment = stmt_col_dup(s, 9);
	t->last = stmt_col_int(s, 10) != 0;
	t->seq = stmt_col_int(s, 11);
	t->told_seq = stmt_col_int(s, 12);
	t->status_seq = stmt_col_int(s, 13);
	ROW_COPY(s, 14, t->deployment_id);
	ROW_COPY(s, 15, t->deployment_sha);
	ROW_COPY(s, 16, t->comment_id);
	ROW_COPY(s, 17, t->comment_sum);
	ROW_COPY(s, 18, t->begun);
	t->tries = (int)stmt_col_int(s, 19);
	t->first_ms = stmt_col_int(s, 20);
	t->next_ms = stmt_col_int(s, 21);
	t->failure = stmt_col_dup(s, 22);
}

int store_tells_due(struct tx *tx, const char *repo_id, wall_ms now, int max,
		    struct store_tells *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_TELLS_DUE);

	stmt_text(s, 1, repo_id);
	stmt_int(s, 2, now);
	stmt_int(s, 3, max);
	return store_tell_all(s, fill_tell, out, err);
}

int store_tell_get(struct tx *tx, const char *repo_id, const char *key, struct store_tell *out,
		   struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_TELL_GET);

	stmt_text(s, 1, repo_id);
	stmt_text(s, 2, key);
	return row_one(s, fill_tell, out, sizeof *out, "tell", err);
}

static int drop_last(struct tx *tx, const struct store_tell *t, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_TELL_DROP_LAST);

	stmt_text(s, 1, t->repo_id);
	stmt_text(s, 2, t->key);
	return stmt_exec(s, err);
}

int store_tell_update(struct tx *tx, const struct store_tell *t, struct err *err)
{
	{
		AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPO_TELL_UPDATE);

		stmt_text(s, 1, t->repo_id);
		stmt_text(s, 2, t->key);
		bind_id(s, 3, t->deployment_id);
		bind_id(s, 4, t->deployment_sha);
		bind_id(s, 5, t->comment_id);
		bind_id(s, 6, t->comment_sum);
		stmt_text(s, 7, t->begun);
		stmt_int(s, 8, t->told_seq);
		stmt_int(s, 9, t->status_seq);
		stmt_int(s, 10, t->tries);
		stmt_int(s, 11, t->next_ms);
		stmt_text(s, 12, t->failure);
		stmt_int(s, 13, t->seq);
		if (row_change(tx, s, "tell", err) < 0)
			return -1;
	}
	return drop_last(tx, t, err);
}

/* A repository has up to three rows here, one after another. */
int store_repos_due(struct tx *tx, wall_ms now, wall_ms period_ms, struct buf *ids, wall_ms *next,
		    struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_REPOS_DUE);
	enum stmt_result r;
	char id[37], last[37] = "";

	*next = 0;
	buf_reset(ids);
	stmt_int(s, 1, now);
	stmt_int(s, 2, period_ms);
	while ((r = stmt_step(s, err)) == STMT_ROW) {
		wall_ms t = stmt_col_int(s, 1);

		ROW_COPY(s, 0, id);
		if (t > now) {
			*next = *next && *next < t ? *next : t;
		} else if (strcmp(id, last) != 0) {
			buf_add(ids, id, sizeof id);
			memcpy(last, id, sizeof last);
		}
	}
	return r == STMT_FAIL ? -1 : 0;
}

/* --- branches that deploy themselves --- */

void store_auto_clear(struct store_auto *a)
{
	free(a->branch);
	free(a->message);
	*a = (struct store_auto){0};
}

ROW_DEFINE_LIST(store_auto, store_autos)

static void fill_auto(struct stmt *s, void *out)
{
	struct store_auto *a = out;

	ROW_COPY(s, 0, a->app_id);
	ROW_COPY(s, 1, a->app_name);
	ROW_COPY(s, 2, a->owner_id);
	ROW_COPY(s, 3, a->user_id);
	a->branch = stmt_col_dup(s, 4);
	a->wait_for_ci = stmt_col_int(s, 5) != 0;
	ROW_COPY(s, 6, a->pending);
	ROW_COPY(s, 7, a->deployed);
	ROW_COPY(s, 8, a->status);
	a->message = stmt_col_dup(s, 9);
	a->created_ms = stmt_col_int(s, 10);
	a->updated_ms = stmt_col_int(s, 11);
}

int store_auto_set(struct tx *tx, const char *app_id, const char *branch, bool wait_for_ci,
		   const char *user_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_SET);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, branch);
	stmt_int(s, 3, wait_for_ci);
	stmt_text(s, 4, user_id);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_auto_get(struct tx *tx, const char *app_id, struct store_auto *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_GET);

	stmt_text(s, 1, app_id);
	return row_one(s, fill_auto, out, sizeof *out, "auto_deploy", err);
}

int store_auto_delete(struct tx *tx, const char *app_id, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_DELETE);

	stmt_text(s, 1, app_id);
	return row_change(tx, s, "auto_deploy", err);
}

int store_autos_of_repo(struct tx *tx, const char *repo_id, const char *branch,
			struct store_autos *out, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTOS_OF_REPO);

	stmt_text(s, 1, repo_id);
	stmt_text(s, 2, branch);
	return store_auto_all(s, fill_auto, out, err);
}

int store_auto_want(struct tx *tx, const char *app_id, const char *commit, const char *status,
		    const char *message, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_WANT);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, commit);
	stmt_text(s, 3, status);
	stmt_text(s, 4, message);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_auto_tried(struct tx *tx, const char *app_id, const char *commit, bool ok,
		     const char *message, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_TRIED);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, commit);
	stmt_text(s, 3, ok ? "deployed" : "failed");
	stmt_text(s, 4, message);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_auto_status(struct tx *tx, const char *app_id, const char *commit, const char *status,
		      const char *message, struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_STATUS);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, commit);
	stmt_text(s, 3, status);
	stmt_text(s, 4, message);
	stmt_int(s, 5, clock_wall_ms());
	return stmt_exec(s, err);
}

int store_auto_was_built(struct tx *tx, const char *app_id, const char *commit, bool *out,
			 struct err *err)
{
	AUTO(stmt_done) struct stmt *s = stmt_use(tx, SQL_AUTO_WAS_BUILT);

	stmt_text(s, 1, app_id);
	stmt_text(s, 2, commit);
	switch (stmt_step(s, err)) {
	case STMT_ROW:
		*out = true;
		return 0;
	case STMT_DONE:
		*out = false;
		return 0;
	default:
		return -1;
	}
}
