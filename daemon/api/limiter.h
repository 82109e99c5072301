/* limiter.h - how often a secret may be guessed: one allowance per key (an address, an account)
 * that fills up again with time. A fixed table: keys that collide or that a flood pushes out are
 * those with the least to their name. Any thread. */
#ifndef API_LIMITER_H
#define API_LIMITER_H

#include "daemon/core/clock.h"

#include <stdbool.h>

struct api_limiter;
/* burst guesses at once, then one every refill ms. */
struct api_limiter *api_limiter_new(unsigned burst, int64_t refill);
void api_limiter_free(struct api_limiter *l);
/* Takes one before the secret is looked at, so that guesses in parallel count too. False: none
 * left; *wait_s = seconds until there is one. */
bool api_limiter_take(struct api_limiter *l, const char *key, mono_ms now, unsigned *wait_s);
/* How many are left. */
unsigned api_limiter_left(struct api_limiter *l, const char *key, mono_ms now);
/* It was no wrong guess. */
void api_limiter_give(struct api_limiter *l, const char *key);
/* What stands for an address: all of it, but of IPv6 the network, as a host has 2^64 of those. */
void api_limiter_address(const char *peer, char out[64]);

#endif
