/* One-offs whose end somebody awaits: their output and exit status come from the loop to a blocked
 * thread. */
#include "daemon/release/release_int.h"
#include "proto/limits.h"

#include <string.h>
#include <time.h>

#define LOOK_MS 500 /* how long gone() may go unasked */

/* Shared by the waiting thread and the dyno's callbacks, which may never come when paasd stops. */
struct command {
	struct command *next; /* in releases->commands */
	struct releases *r;
	struct release_command in; /* app_id, id, type, command: owned copies */
	bool again;
	/* guarded by r->lock */
	int refs;
	bool ended;
	struct err err;
	int code;
	struct buf output; /* not taken yet */
};

static void command_free(struct command *c)
{
	free((char *)c->in.app_id);
	free((char *)c->in.id);
	free((char *)c->in.type);
	free((char *)c->in.command);
	buf_clear(&c->output);
	free(c);
}

static void command_unref(struct command *c)
{
	struct releases *r = c->r;
	bool last;

	pthread_mutex_lock(&r->lock);
	last = --c->refs == 0;
	for (struct command **p = &r->commands; last && *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	pthread_mutex_unlock(&r->lock);
	if (last)
		command_free(c);
}

void commands_free(struct releases *r)
{
	while (r->commands) {
		struct command *c = r->commands;

		r->commands = c->next;
		command_free(c);
	}
}

/* --- loop thread --- */

static void end_with(struct command *c, int code, const struct err *err)
{
	pthread_mutex_lock(&c->r->lock);
	c->ended = true;
	c->code = code;
	if (err)
		c->err = *err;
	pthread_cond_broadcast(&c->r->changed);
	pthread_mutex_unlock(&c->r->lock);
	command_unref(c);
}

static void on_output(const char *p, size_t n, void *arg)
{
	struct command *c = arg;

	pthread_mutex_lock(&c->r->lock);
	if (c->output.len + n <= LIM_RELEASE_OUTPUT) /* taken meanwhile, unless the thread hangs */
		buf_add(&c->output, p, n);
	pthread_cond_broadcast(&c->r->changed);
	pthread_mutex_unlock(&c->r->lock);
}

static void on_started(const struct dyno_info *i, const struct err *err, void *arg)
{
	if (err)
		end_with(arg, -1, err);
}

static void on_ended(const struct dyno_info *i, void *arg)
{
	end_with(arg, i->exit_code, NULL);
}

static void start_fresh(struct command *c)
{
	const struct oneoff_ops ops = {
		.started = on_started, .output = on_output, .ended = on_ended, .arg = c};
	struct rapp *a = rapp_get(c->r, c->in.app_id, false);
	struct oneoff_req req = {.type = c->in.type,
				 .num = 1000 + (int)random_below(9000),
				 .id = c->in.id,
				 .command = c->in.command,
				 .ttl_s = c->in.ttl_s,
				 .keep_output = LIM_RELEASE_OUTPUT};
	struct dyno_release *rel = a ? rapp_newest(a) : NULL;
	struct err e = {0};

	if (rel) {
		dynos_oneoff(c->r->dy, rel, &req, &ops);
		return;
	}
	err_set(&e, ERR_NO_SLUG, "The app has no release that a command could run in.");
	end_with(c, -1, &e);
}

static void start(void *arg)
{
	struct command *c = arg;
	const struct oneoff_ops ops = {.output = on_output, .ended = on_ended, .arg = c};
	int code;

	if (c->r->closing) {
		command_unref(c); /* who waits sees it, too */
		return;
	}
	if (!c->again)
		start_fresh(c);
	else if (!dynos_watch(c->r->dy, c->in.id, &ops, &code))
		end_with(c, code < 0 ? -1 : code, NULL);
}

/* --- the waiting thread --- */

static void wait_a_while(struct releases *r)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += LOOK_MS * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&r->changed, &r->lock, &t);
}

/* Hands output over as it comes; the lock is not held meanwhile. */
static int await(struct command *c, const struct release_command *in, int *exit_code,
		 struct err *err)
{
	struct releases *r = c->r;
	bool ended = false, closing = false;

	while (!ended) {
		AUTO(buf_clear) struct buf chunk = {0};

		if (in->gone && in->gone(in->arg))
			return err_set(err, ERR_CANCELED, "Canceled");
		pthread_mutex_lock(&r->lock);
		if (!c->ended && !c->output.len && !r->closing)
			wait_a_while(r);
		chunk = c->output;
		c->output = (struct buf){0};
		ended = c->ended;
		closing = r->closing;
		pthread_mutex_unlock(&r->lock);
		if (chunk.len && in->out)
			in->out(chunk.data, chunk.len, in->arg);
		if (closing)
			return err_set(err, ERR_UNAVAILABLE, "paasd is stopping");
	}
	if (c->err.status) {
		*err = c->err;
		return -1;
	}
	*exit_code = c->code;
	return 0;
}

static int run(struct releases *r, const struct release_command *in, bool again, int *exit_code,
	       struct err *err)
{
	struct command *c = xcalloc(1, sizeof *c);
	int rc;

	c->r = r;
	c->again = again;
	c->refs = 2;
	c->in = *in;
	c->in.app_id = xstrdup(in->app_id);
	c->in.id = xstrdup(in->id);
	c->in.type = xstrdup(in->type);
	c->in.command = xstrdup(in->command);
	pthread_mutex_lock(&r->lock);
	c->next = r->commands;
	r->commands = c;
	pthread_mutex_unlock(&r->lock);
	if (!loop_post(r->l, start, c)) {
		command_unref(c);
		command_unref(c);
		return err_set(err, ERR_UNAVAILABLE, "paasd is stopping");
	}
	rc = await(c, in, exit_code, err);
	command_unref(c);
	return rc;
}

int release_command_run(struct releases *r, const struct release_command *in, int *exit_code,
			struct err *err)
{
	return run(r, in, false, exit_code, err);
}

int release_command_again(struct releases *r, const struct release_command *in, int *exit_code,
			  struct err *err)
{
	return run(r, in, true, exit_code, err);
}

struct forget {
	struct releases *r;
	char id[37];
};

static void forget(void *arg)
{
	struct forget *f = arg;

	dynos_forget_end(f->r->dy, f->id);
	free(f);
}

void release_command_forget(struct releases *r, const char *id)
{
	struct forget *f = xcalloc(1, sizeof *f);

	f->r = r;
	memcpy(f->id, id, sizeof f->id);
	if (!loop_post(r->l, forget, f))
		free(f);
}
