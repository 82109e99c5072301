#include "daemon/release/tarballs.h"
#include "daemon/core/pool.h"
#include "daemon/release/built.h"
#include "proto/limits.h"

#include <pthread.h>
#include <string.h>

struct tarballs {
	struct pusher *ps;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	int under_way; /* under lock */
};

struct one { /* build on its way; owned by its thread */
	struct tarballs *all;
	struct built *t;      /* owned */
	int fd;		      /* owned; -1 = none */
	char *url, *checksum; /* owned */
};

struct tarballs *tarballs_new(struct pusher *ps)
{
	struct tarballs *t = xcalloc(1, sizeof *t);

	t->ps = ps;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->ended, NULL);
	return t;
}

void tarballs_free(struct tarballs *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	while (t->under_way)
		pthread_cond_wait(&t->ended, &t->lock);
	pthread_mutex_unlock(&t->lock);
	pthread_cond_destroy(&t->ended);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool enter(struct tarballs *t)
{
	bool ok;

	pthread_mutex_lock(&t->lock);
	ok = t->under_way < LIM_API_BUILDS;
	t->under_way += ok;
	pthread_mutex_unlock(&t->lock);
	return ok;
}

static void leave(struct tarballs *t)
{
	pthread_mutex_lock(&t->lock);
	t->under_way--;
	pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->lock);
}

static void one_free(struct one *o)
{
	if (o->fd >= 0)
		close(o->fd);
	built_free(o->t);
	free(o->url);
	free(o->checksum);
	free(o);
}
DEFINE_AUTO(struct one *, one_free)

/* What fails is in the output and in the build's record. */
static void go(void *arg)
{
	struct one *o = arg;
	struct tarballs *all = o->all;
	const struct build_tarball tar = {o->fd, o->url, o->checksum};
	struct build_req req = {.tarball = &tar};
	const struct built_ear nobody = {0};
	struct err err = {0};

	if (built_run(o->t, &req, &err) == 0)
		built_release(o->t, &nobody);
	one_free(o);
	leave(all);
}

static int start(struct one *o, const struct tarball_new *in, struct err *err)
{
	const struct built_new new = {
		.app_id = in->app_id,
		.user_id = in->user_id,
		.user_email = in->user_email,
		.row = {.source = "tarball",
			.source_url = in->url,
			.version = in->version,
			.version_description = in->version_description,
			.checksum = in->checksum,
			.buildpacks = in->buildpacks_json},
		.buildpacks = in->buildpacks,
	};

	return built_start(o->all->ps, &new, &o->t, err);
}

int tarball_build(struct tarballs *t, const struct tarball_new *in, char build_id[37],
		  struct err *err)
{
	AUTO(one_free) struct one *o = xcalloc(1, sizeof *o);

	*o = (struct one){t, NULL, in->fd, xstrdup(in->url), xstrdup(in->checksum)};
	if (!enter(t))
		return err_set(err, ERR_UNAVAILABLE,
			       "%d builds are under way already; try again in a few minutes.",
			       LIM_API_BUILDS);
	if (start(o, in, err) < 0) {
		leave(t);
		return -1;
	}
	memcpy(build_id, o->t->build_id, sizeof o->t->build_id);
	build_announce(t->ps->builds, build_id);
	thread_start("build", go, STEAL(o));
	return 0;
}
