/* sleep.h - apps that sleep when nobody asks for them. See user.h for the conventions. */
#ifndef STORE_SLEEP_H
#define STORE_SLEEP_H

#include "daemon/store/store.h"

struct store_sleep {
	int64_t after_s; /* without a request; 0 = never */
	bool asleep;
	wall_ms since_ms; /* asleep or awake; 0 = it never slept */
};

/* Zeroes for an app that never sleeps. */
int store_sleep_get(struct tx *tx, const char *app_id, struct store_sleep *out, struct err *err);
/* 0: never. Whether it sleeps now stays as it is. CONFLICT: no such app. */
int store_sleep_set(struct tx *tx, const char *app_id, int64_t after_s, struct err *err);
int store_sleep_mark(struct tx *tx, const char *app_id, bool asleep, struct err *err);

#endif
