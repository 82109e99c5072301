/* Who may do what to an app's repository at once. Entries exist only while somebody uses them. */
#include "daemon/git/git_int.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>

struct git_app {
	char id[ID_LEN];
	int users;  /* of this entry */
	int pushes; /* running */
	bool held;  /* git_app_lock */
	bool cleaning;
	int cancel_fd; /* eventfd while cleaning */
	struct git_app *next;
};

/* All with g->lock. */
static struct git_app *use(struct git *g, const char *id)
{
	struct git_app *a = g->apps;

	while (a && strcmp(a->id, id) != 0)
		a = a->next;
	if (!a) {
		a = xcalloc(1, sizeof(*a));
		memcpy(a->id, id, strlen(id) + 1);
		a->cancel_fd = -1;
		a->next = g->apps;
		g->apps = a;
	}
	a->users++;
	return a;
}

static void unuse(struct git *g, struct git_app *a, int times)
{
	assert(a->users >= times);
	a->users -= times;
	if (a->users > 0)
		return;
	for (struct git_app **p = &g->apps; *p; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			break;
		}
	}
	free(a);
}

static void stop_cleaning(struct git *g, struct git_app *a)
{
	if (a->cleaning)
		eventfd_write(a->cancel_fd, 1);
	while (a->cleaning)
		pthread_cond_wait(&g->changed, &g->lock);
}

void git_app_push_begin(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);

	a->pushes++; /* first: no new clean-up begins while we wait for this one */
	stop_cleaning(g, a);
	pthread_mutex_unlock(&g->lock);
}

void git_app_push_end(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);

	assert(a->pushes > 0);
	a->pushes--;
	unuse(g, a, 2); /* ours now, and push_begin's */
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void git_app_lock(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);

	while (a->held)
		pthread_cond_wait(&g->changed, &g->lock);
	a->held = true;
	pthread_mutex_unlock(&g->lock);
}

void git_app_unlock(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);

	assert(a->held);
	a->held = false;
	unuse(g, a, 2);
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

bool git_app_gc_begin(struct git *g, const char *app_id, int *cancel_fd)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);
	bool ok = !a->pushes && !a->held && !a->cleaning && !g->closing && !g->holds;

	if (ok)
		a->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ok = ok && a->cancel_fd >= 0;
	if (ok) {
		a->cleaning = true;
		*cancel_fd = a->cancel_fd;
	} else {
		unuse(g, a, 1);
	}
	pthread_mutex_unlock(&g->lock);
	return ok;
}

void git_app_gc_end(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	struct git_app *a = use(g, app_id);

	assert(a->cleaning);
	a->cleaning = false;
	close(a->cancel_fd);
	a->cancel_fd = -1;
	unuse(g, a, 2);
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void git_app_gc_stop(struct git *g, const char *app_id)
{
	pthread_mutex_lock(&g->lock);
	if (app_id) {
		struct git_app *a = use(g, app_id);

		stop_cleaning(g, a);
		unuse(g, a, 1);
	} else {
		for (struct git_app *a = g->apps; a; a = a->next) {
			if (a->cleaning)
				eventfd_write(a->cancel_fd, 1);
		}
	}
	pthread_mutex_unlock(&g->lock);
}

static struct git_app *one_cleaning(struct git *g)
{
	struct git_app *a = g->apps;

	while (a && !a->cleaning)
		a = a->next;
	return a;
}

void git_hold(struct git *g, bool hold)
{
	struct git_app *a;

	pthread_mutex_lock(&g->lock);
	g->holds += hold ? 1 : -1;
	assert(g->holds >= 0);
	while (hold && (a = one_cleaning(g))) {
		eventfd_write(a->cancel_fd, 1);
		pthread_cond_wait(&g->changed, &g->lock);
	}
	pthread_mutex_unlock(&g->lock);
}
