/* Passwords: slow to check on purpose, so they are checked one at a time, and wrong ones run out.
 */
#include "daemon/api/api_int.h"
#include "daemon/core/xlog.h"
#include "proto/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* argon2id with the parameters of password_hash(), of a password that nobody has: its digest is
 * made up. A unit test sees to it that the parameters are the same. */
const char api_password_none[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA"
				 "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

void api_passwords_init(struct api *a)
{
	a->by_address = api_limiter_new(LIM_LOGIN_PER_ADDRESS, LIM_LOGIN_REFILL_MS);
	a->by_account = api_limiter_new(LIM_LOGIN_PER_ACCOUNT, LIM_LOGIN_REFILL_MS);
	a->by_code = api_limiter_new(LIM_CODE_PER_ACCOUNT, LIM_CODE_REFILL_MS);
	pthread_mutex_init(&a->hashing, NULL);
	atomic_init(&a->hash_waiting, 0);
}

void api_passwords_free(struct api *a)
{
	api_limiter_free(a->by_address);
	api_limiter_free(a->by_account);
	api_limiter_free(a->by_code);
	pthread_mutex_destroy(&a->hashing);
}

/* Each hash takes 64 MiB and a core for a while. Those who wait hold a thread of the API's: few
 * may. */
static int hash_begin(struct api *a, struct err *err)
{
	if (atomic_fetch_add(&a->hash_waiting, 1) >= LIM_LOGIN_WAITING) {
		atomic_fetch_sub(&a->hash_waiting, 1);
		return err_set(err, ERR_UNAVAILABLE,
			       "Many people are logging in; try again in a moment.");
	}
	pthread_mutex_lock(&a->hashing);
	return 0;
}

static void hash_end(struct api *a)
{
	pthread_mutex_unlock(&a->hashing);
	atomic_fetch_sub(&a->hash_waiting, 1);
}

int api_password_hash(struct api_req *q, const char *password, char out[128], struct err *err)
{
	if (hash_begin(q->api, err) < 0)
		return -1;
	password_hash(password, out);
	hash_end(q->api);
	return 0;
}

struct keys {
	char address[64], account[256];
};

static void keys_of(struct api_req *q, const char *email, struct keys *k)
{
	api_limiter_address(http_peer(q->x), k->address);
	snprintf(k->account, sizeof k->account, "%s", email);
	for (char *c = k->account; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

static int take(struct api_req *q, const struct keys *k, struct err *err)
{
	mono_ms now = clock_mono_ms();
	unsigned wait;

	if (api_limiter_take(q->api->by_address, k->address, now, &wait)) {
		if (api_limiter_take(q->api->by_account, k->account, now, &wait))
			return 0;
		api_limiter_give(q->api->by_address, k->address);
	}
	http_setf(q->x, "Retry-After", "%u", wait);
	return err_set(err, ERR_RATE_LIMIT,
		       "Too many wrong passwords. Try again in %u seconds, or use an API token.",
		       wait);
}

static void give(struct api_req *q, const struct keys *k)
{
	api_limiter_give(q->api->by_address, k->address);
	api_limiter_give(q->api->by_account, k->account);
}

int api_password_check(struct api_req *q, const char *email, const char *hash, const char *password,
		       struct err *err)
{
	struct keys k;
	bool ok;

	keys_of(q, email, &k);
	if (take(q, &k, err) < 0)
		return -1;
	if (hash_begin(q->api, err) < 0) {
		give(q, &k);
		return -1;
	}
	ok = password_ok(hash ? hash : api_password_none, password) && hash;
	hash_end(q->api);
	if (ok) {
		give(q, &k);
		return 0;
	}
	xlog(XLOG_WARN, "api", "msg=\"wrong password\" peer=%s", xlog_q(http_peer(q->x)));
	return err_set(err, ERR_UNAUTHORIZED, "Invalid credentials provided.");
}
