#include "daemon/api/limiter.h"
#include "daemon/core/codec.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SETS 256
#define WAYS 4

/* Generic cell rate: a key's state is the time at which its allowance is whole again. */
struct cell {
	uint64_t hash; /* 0 = free */
	mono_ms whole_at;
};

struct api_limiter {
	pthread_mutex_t lock; /* guards cells */
	int64_t burst_ms, refill;
	unsigned char key[crypto_shorthash_KEYBYTES]; /* nobody can choose keys that collide */
	struct cell cells[SETS][WAYS];
};

struct api_limiter *api_limiter_new(unsigned burst, int64_t refill)
{
	struct api_limiter *l = xcalloc(1, sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	l->refill = refill;
	l->burst_ms = refill * burst;
	random_bytes(l->key, sizeof l->key);
	return l;
}

void api_limiter_free(struct api_limiter *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static uint64_t hash_of(const struct api_limiter *l, const char *key)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t h;

	crypto_shorthash(out, (const unsigned char *)key, strlen(key), l->key);
	memcpy(&h, out, sizeof h);
	return h ? h : 1;
}

/* The key's cell; with make, that of whoever in its set has used least is taken over. */
static struct cell *cell_of(struct api_limiter *l, const char *key, bool make)
{
	uint64_t h = hash_of(l, key);
	struct cell *set = l->cells[h % SETS], *victim = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].hash == h)
			return &set[i];
		if (set[i].whole_at < victim->whole_at)
			victim = &set[i];
	}
	if (!make)
		return NULL;
	*victim = (struct cell){.hash = h};
	return victim;
}

bool api_limiter_take(struct api_limiter *l, const char *key, mono_ms now, unsigned *wait_s)
{
	struct cell *c;
	int64_t after;
	bool ok;

	pthread_mutex_lock(&l->lock);
	c = cell_of(l, key, true);
	after = (c->whole_at > now ? c->whole_at : now) + l->refill;
	ok = after - now <= l->burst_ms;
	if (ok)
		c->whole_at = after;
	pthread_mutex_unlock(&l->lock);
	*wait_s = ok ? 0 : (unsigned)((after - now - l->burst_ms + 999) / 1000);
	return ok;
}

unsigned api_limiter_left(struct api_limiter *l, const char *key, mono_ms now)
{
	const struct cell *c;
	int64_t used;

	pthread_mutex_lock(&l->lock);
	c = cell_of(l, key, false);
	used = c && c->whole_at > now ? c->whole_at - now : 0;
	pthread_mutex_unlock(&l->lock);
	return used >= l->burst_ms ? 0 : (unsigned)((l->burst_ms - used) / l->refill);
}

void api_limiter_give(struct api_limiter *l, const char *key)
{
	struct cell *c;

	pthread_mutex_lock(&l->lock);
	c = cell_of(l, key, false);
	if (c)
		c->whole_at -= l->refill;
	pthread_mutex_unlock(&l->lock);
}

void api_limiter_address(const char *peer, char out[64])
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, peer, &a) != 1)
		snprintf(out, 64, "%.63s", peer);
	else if (IN6_IS_ADDR_V4MAPPED(&a))
		inet_ntop(AF_INET, a.s6_addr + 12, out, 64);
	else {
		memset(a.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &a, out, 64);
	}
}
