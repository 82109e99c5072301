/* Apps that sleep: nothing of them runs until somebody asks for them. The slots stay, empty. */
#include "daemon/dyno/dyno_int.h"

#include <stdio.h>
#include <string.h>

/* Of a dyno that has no run. Texts: Dev Center, Dynos. */
static void slot_log(const struct slot *s, const char *text)
{
	char proc[160];

	snprintf(proc, sizeof proc, "%s.%d", s->type, s->num);
	logd_append(s->app->d->log, s->app->id, "heroku", proc, 0, text, strlen(text));
}

static bool has_web(const struct app *a)
{
	LIST_FOREACH (struct slot, s, a->slots)
		if (strcmp(s->type, "web") == 0)
			return true;
	return false;
}

static void rest(struct slot *s)
{
	slot_log(s, "Idling");
	uuid_new(s->wait_id);
	s->restarting = s->restart_queued = false;
	loop_timer_stop(s->retry);
	s->retry = NULL;
	slot_forgive(s);
	if (s->fresh)
		run_stop(s->fresh);
	if (s->cur) {
		if (s->cur->info.state == DYNO_UP)
			slot_log(s, "State changed from up to down");
		run_stop(s->cur);
	}
}

bool dynos_sleep(struct dynos *d, const char *app_id)
{
	struct app *a = dynos_app(d, app_id, false);

	if (!a || a->asleep || a->deploy || d->closing || !has_web(a))
		return false;
	a->asleep = true;
	a->asleep_ms = clock_wall_ms();
	LIST_FOREACH (struct slot, s, a->slots)
		rest(s);
	app_publish(a, NULL, NULL);
	return true;
}

bool dynos_wake(struct dynos *d, const char *app_id)
{
	struct app *a = dynos_app(d, app_id, false);

	if (!a || !a->asleep || a->deploy || d->closing)
		return false;
	a->asleep = false;
	LIST_FOREACH (struct slot, s, a->slots)
		if (!s->cur && !s->fresh && slot_known(s)) {
			slot_log(s, "Unidling");
			slot_start(s);
		}
	app_publish(a, NULL, NULL);
	return true;
}

bool dynos_asleep(struct dynos *d, const char *app_id)
{
	struct app *a = dynos_app(d, app_id, false);

	return a && a->asleep;
}

bool dynos_sleep_restore(struct dynos *d, const char *app_id, wall_ms since_ms)
{
	struct app *a = dynos_app(d, app_id, true);

	LIST_FOREACH (struct slot, s, a->slots)
		if (s->cur || s->fresh)
			return false;
	a->asleep = true;
	a->asleep_ms = since_ms;
	return true;
}
