/* replay.h - requests that come twice. A client whose connection broke before the answer came sends
 * its request again, POSTs too (the Heroku CLI does so five times); what was done must not be done
 * twice. Requests that change something are known by their caller, method, path, body, and the
 * client's Idempotency-Key, or its Request-Id when that holds a UUID; for two minutes the second
 * one gets the answer of the first. In memory: a restart forgets. Any thread. */
#ifndef API_REPLAY_H
#define API_REPLAY_H

#include "daemon/core/clock.h"
#include "proto/err.h"

#include <stdbool.h>
#include <stddef.h>

struct api_replays;
struct api_replays *api_replays_new(void);
void api_replays_free(struct api_replays *rs);

struct replay_key {
	char hex[65]; /* "" = the request cannot be told from others */
};
/* idem, request_id: the headers; NULL = absent. */
void api_replay_key(const char *caller, const char *method, const char *target, const char *idem,
		    const char *request_id, struct replay_key *out);
bool api_replay_has(struct api_replays *rs, const struct replay_key *k, mono_ms now);

struct replay_answer {
	int status;
	char *text; /* owned */
};
/* 1: *out is the answer that it had. 0: it is new, and must be ended. While its first is being
 * carried out, waits at most wait_ms; then CONFLICT. Another body under the same key:
 * INVALID_PARAMS when the key was chosen (idem), else it is new and not remembered (k becomes "").
 */
int api_replay_begin(struct api_replays *rs, struct replay_key *k, bool chosen, const void *body,
		     size_t n, mono_ms now, int wait_ms, struct replay_answer *out,
		     struct err *err);
/* status 0: it failed, and may be tried again. */
void api_replay_end(struct api_replays *rs, const struct replay_key *k, int status,
		    const char *text, mono_ms now);

#endif
