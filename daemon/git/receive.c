/* A push, from its commands to its report: gitprotocol-pack(5), git-receive-pack(1). The order is
 * git's own: commands, pack into quarantine, connectivity, policy and build, migrate, refs, report.
 */
#include "daemon/git/git_int.h"

#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RESULT_TYPE "application/x-git-receive-pack-result"

/* Twice what a pack may have: a larger one is read on, so that its sender reads why it is refused,
 * but not for ever. */
#define BODY_MAX (2 * (uint64_t)LIM_GIT_PACK)

/* --- talking to the client --- */

static int push_sink(void *arg, const void *data, size_t n)
{
	struct git_push *p = arg;

	if (!p->responded) {
		p->responded = true;
		git_no_cache(p->rq->x);
		http_respond(p->rq->x, 200, RESULT_TYPE);
	}
	return http_write(p->rq->x, data, n);
}

void git_say(struct git_push *p, const char *text, size_t n)
{
	band_say(p->band, text, n);
}

void git_sayf(struct git_push *p, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	band_say(p->band, buf_str(&b), b.len);
}

/* Peers choose ref names: what is no text stays out of terminals and of the report's lines. */
static void add_clean(struct buf *out, const char *s)
{
	for (; *s; s++)
		buf_addc(out, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void add_report(const struct git_push *p, struct buf *out)
{
	pkt_addf(out, "unpack %s\n", p->unpack[0] ? p->unpack : "ok");
	for (size_t i = 0; i < p->cmds.n; i++) {
		const struct push_cmd *c = &p->cmds.cmd[i];
		AUTO(buf_clear) struct buf ref = {0};

		add_clean(&ref, c->ref);
		if (c->why)
			pkt_addf(out, "ng %s %s\n", buf_str(&ref), c->why);
		else
			pkt_addf(out, "ok %s\n", buf_str(&ref));
	}
	pkt_flush(out);
}

static void finish(struct git_push *p)
{
	AUTO(buf_clear) struct buf report = {0};

	if (p->cut) {
		http_abort(p->rq->x);
		return;
	}
	if (p->cmds.caps & CAP_REPORT)
		add_report(p, &report);
	band_report(p->band, buf_str(&report), report.len);
	if (!p->responded) /* neither bands nor report were asked for */
		push_sink(p, "0000", 4);
	http_end(p->rq->x);
}

/* --- the body --- */

/* Told in the report: the text of a 413 is not shown by git. */
static void too_large(struct git_push *p)
{
	snprintf(p->unpack, sizeof(p->unpack), "pack exceeds maximum allowed size");
	p->ended = true;
}

ssize_t git_push_body(struct git_push *p, void *to, size_t n)
{
	struct err err = {0};

	if (p->rest.len) {
		size_t take = p->rest.len < n ? p->rest.len : n;

		memcpy(to, p->rest.data, take);
		buf_drop(&p->rest, take);
		return (ssize_t)take;
	}
	if (p->ended)
		return 0;
	ssize_t got = http_read(p->rq->x, to, n, &err);

	if (got > 0)
		p->bytes += (uint64_t)got;
	if (p->bytes > BODY_MAX) {
		too_large(p);
		got = 0;
	}
	p->ended = got == 0;
	p->cut = got < 0;
	return got;
}

/* 0, or -1 when the request was answered already. */
static int read_commands(struct git_push *p)
{
	char tmp[16384];
	size_t used = 0;

	for (;;) {
		ssize_t n = git_push_body(p, tmp, sizeof(tmp));

		if (n < 0) {
			http_abort(p->rq->x);
			return -1;
		}
		if (n == 0) {
			git_reply_text(p->rq->x, 400, "The request ends before its commands do.");
			return -1;
		}
		switch (push_cmds_feed(&p->cmds, tmp, (size_t)n, &used)) {
		case CMDS_MORE:
			continue;
		case CMDS_BAD:
			git_reply_text(p->rq->x, 400, "protocol error: %s", p->cmds.why);
			return -1;
		case CMDS_DONE:
			buf_add(&p->rest, tmp + used, (size_t)n - used);
			return 0;
		}
	}
}

/* What is left of the body is read, so that the client reads our answer instead of failing to
 * write. */
static void drain(struct git_push *p)
{
	char tmp[65536];

	while (!p->cut && git_push_body(p, tmp, sizeof(tmp)) > 0)
		;
}

/* --- the steps --- */

static bool room_on_disk(struct git_push *p)
{
	uint64_t left = 0, reserve = (uint64_t)MiB(p->rq->g->cfg->disk_reserve_mb);

	if (fs_free_bytes(p->rq->repo, &left, NULL) < 0 || left > reserve)
		return true;
	git_sayf(p, " !     The server is short of disk space: nothing can be pushed now.\n");
	snprintf(p->unpack, sizeof(p->unpack), "not enough disk space");
	return false;
}

static uint64_t announced(struct git_push *p)
{
	const char *length = http_header(p->rq->x, "content-length");

	return length ? strtoull(length, NULL, 10) : 0;
}

static void take_pack(struct git_push *p)
{
	struct git *g = p->rq->g;

	if (!room_on_disk(p)) {
		drain(p);
		return;
	}
	if (announced(p) > BODY_MAX) {
		too_large(p);
		return;
	}
	if (!git_slot_try(g, &g->indexing, LIM_GIT_PUSHES)) {
		band_keepalive(p->band, g->keepalive_ms);
		git_sayf(p, "Waiting for %d other pushes to be received...\n", LIM_GIT_PUSHES);
		if (git_slot_take(g, &g->indexing, LIM_GIT_PUSHES, 0, p->rq->x) < 0) {
			p->cut = true;
			return;
		}
	}
	git_unpack(p);
	if (!p->cut && !p->unpack[0])
		git_connectivity(p);
	git_slot_give(g, &g->indexing);
}

static void mark_all(struct git_push *p, const char *why)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		if (!p->cmds.cmd[i].why)
			p->cmds.cmd[i].why = why;
	}
}

static bool any_refused(const struct git_push *p)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		if (p->cmds.cmd[i].why)
			return true;
	}
	return false;
}

static void atomic_or_not(struct git_push *p)
{
	if ((p->cmds.caps & CAP_ATOMIC) && any_refused(p))
		mark_all(p, "atomic push failure");
}

/* One build a push: with both branches in it, that which HEAD names. */
static struct push_cmd *choose_deploy(struct git_push *p, git_repository *r)
{
	struct push_cmd *found = NULL;

	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];

		if (p->rq->review || c->why || push_cmd_deletes(c) || !git_ref_deploys(c->ref) ||
		    !strcmp(c->old_id, c->new_id))
			continue;
		if (!found || git_refs_head_is(r, c->ref))
			found = c;
	}
	if (found)
		found->deploy = true;
	return found;
}

/* Refs that are stored only: one line for one, one line for many. */
static void tell_stored(struct git_push *p)
{
	const struct push_cmd *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->cmds.n; i++) {
		const struct push_cmd *c = &p->cmds.cmd[i];

		if (c->why || c->deploy || push_cmd_deletes(c))
			continue;
		only = c;
		n++;
	}
	if (n == 1 && !strncmp(only->ref, "refs/heads/", 11))
		git_sayf(p,
			 " !     Pushed to non-main branch %s, skipping build.\n"
			 " !     Only main and master are deployed: git push <remote> %s:main\n",
			 only->ref + 11, only->ref + 11);
	else if (n == 1)
		git_sayf(p,
			 " !     Stored %s, skipping build: only main and master are deployed.\n",
			 only->ref);
	else if (n > 1)
		git_sayf(p,
			 " !     Stored %zu other refs without a build: only main and master are "
			 "deployed.\n",
			 n);
}

static struct git_update update_of(const struct git_push *p, const struct push_cmd *c)
{
	return (struct git_update){
		.app_id = p->rq->app_id,
		.app_name = p->rq->app_name,
		.user_id = p->rq->user_id,
		.user_email = p->rq->email,
		.ref = c->ref,
		.commit = push_cmd_deletes(c) ? NULL : c->new_id,
		.repo_dir = p->rq->repo,
		.quarantine_dir = p->quarantine[0] ? p->quarantine : NULL,
	};
}

static void build(struct git_push *p, struct push_cmd *c)
{
	struct git_ops *ops = &p->rq->g->ops;
	struct git_update u = update_of(p, c);
	struct err err = {0};

	if (ops->build(ops->arg, &u, p, &c->token, &err) < 0) {
		xlog_err(XLOG_INFO, "git", &err, "msg=\"build refused the push\" app=%s commit=%s",
			 p->rq->app_name, c->new_id);
		c->why = "pre-receive hook declined";
		return;
	}
	c->built = true;
}

static void move_refs(struct git_push *p)
{
	struct err err = {0};

	git_app_lock(p->rq->g, p->rq->app_id);
	if (git_migrate(p, &err) < 0) {
		xlog_err(XLOG_ERROR, "git", &err, "msg=\"cannot migrate objects\" app_id=%s",
			 p->rq->app_id);
		mark_all(p, "unable to migrate objects to permanent storage");
	} else {
		git_refs_update(p);
	}
	git_app_unlock(p->rq->g, p->rq->app_id);
}

static bool any_left(const struct git_push *p)
{
	for (size_t i = 0; i < p->cmds.n; i++) {
		if (!p->cmds.cmd[i].why)
			return true;
	}
	return false;
}

/* Checks that need no build. The repository is closed again before the build: that takes minutes.
 */
static struct push_cmd *check(struct git_push *p)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	struct push_cmd *deploy = NULL;
	struct err err = {0};

	if (git_repo_open(p->rq->repo, p->quarantine, &r, &err) < 0) {
		xlog_err(XLOG_ERROR, "git", &err, "msg=\"push failed\" app_id=%s", p->rq->app_id);
		mark_all(p, "failed to update ref");
		return NULL;
	}
	git_refs_check_objects(p, r);
	git_refs_check_old(p, r);
	atomic_or_not(p);
	deploy = choose_deploy(p, r);
	return deploy;
}

/* A pipeline's branches that have moved, or are gone. */
static void tell_review(struct git_push *p)
{
	struct git_ops *ops = &p->rq->g->ops;

	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];
		struct git_update u = update_of(p, c);

		if (!c->why && strncmp(c->ref, "refs/heads/", 11) == 0)
			ops->review(ops->arg, &u, p);
	}
}

static void decide(struct git_push *p)
{
	struct git_ops *ops = &p->rq->g->ops;
	struct push_cmd *deploy = check(p);

	if (!p->rq->review)
		tell_stored(p);
	if (deploy)
		build(p, deploy);
	atomic_or_not(p);
	if (any_left(p))
		move_refs(p);
	git_quarantine_drop(p);
	if (p->rq->review)
		tell_review(p);
	if (!deploy || !deploy->built)
		return;
	if (deploy->why) {
		ops->undo(ops->arg, deploy->token);
		return;
	}
	struct git_update u = update_of(p, deploy);

	ops->after(ops->arg, &u, p, deploy->token);
}

/* Names first: a push that can change nothing still sends its pack, which has to be read. */
static void check_names(struct git_push *p)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	struct err err = {0};

	if (git_repo_open(p->rq->repo, NULL, &r, &err) < 0) {
		xlog_err(XLOG_ERROR, "git", &err, "msg=\"push failed\" app_id=%s", p->rq->app_id);
		snprintf(p->unpack, sizeof(p->unpack), "internal error");
		return;
	}
	git_refs_check_names(p, r);
}

static void log_end(const struct git_push *p, mono_ms began)
{
	size_t ok = 0;

	for (size_t i = 0; i < p->cmds.n; i++)
		ok += !p->cmds.cmd[i].why;
	xlog(XLOG_INFO, "git",
	     "msg=\"push %s\" app=%s user=%s refs=%zu moved=%zu bytes=%llu ms=%lld unpack=%s "
	     "request_id=%s",
	     p->cut ? "cut short" : "done", p->rq->app_name, xlog_q(p->rq->email), p->cmds.n,
	     p->cut ? 0 : ok, (unsigned long long)p->bytes, (long long)(clock_mono_ms() - began),
	     xlog_q(p->unpack[0] ? p->unpack : "ok"), http_request_id(p->rq->x));
}

static void run_push(struct git_push *p)
{
	mono_ms began = clock_mono_ms();

	check_names(p);
	if (p->cmds.too_many)
		snprintf(p->unpack, sizeof(p->unpack), "too many refs in one push (at most %d)",
			 LIM_GIT_COMMANDS);
	if (!p->unpack[0] && push_cmds_pack_follows(&p->cmds))
		take_pack(p);
	else
		drain(p);
	if (p->unpack[0])
		mark_all(p, "unpacker error");
	if (!p->cut) {
		band_keepalive(p->band, p->rq->g->keepalive_ms);
		decide(p);
	}
	git_quarantine_drop(p);
	log_end(p, began);
}

void git_receive(struct git_req *rq)
{
	struct git_push p = {.rq = rq};

	http_set_max_body(rq->x, UINT64_MAX); /* BODY_MAX counts here */
	if (read_commands(&p) == 0) {
		if (p.cmds.n == 0) { /* the probe before a chunked push */
			drain(&p);
			git_no_cache(rq->x);
			http_reply(rq->x, 200, RESULT_TYPE, "", 0);
		} else {
			p.band = band_new(p.cmds.caps & CAP_SIDEBAND, push_sink, &p);
			git_app_push_begin(rq->g, rq->app_id);
			run_push(&p);
			finish(&p);
			git_app_push_end(rq->g, rq->app_id);
			git_gc_later(rq->g, rq->app_id);
			band_free(p.band);
		}
	}
	push_cmds_clear(&p.cmds);
	buf_clear(&p.rest);
}
