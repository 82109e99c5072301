/* Logins by a browser: those that wait, and the clients that hold on. */
#include "daemon/api/identity.h"
#include "daemon/api/login.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct login {
	char secret[41], id[33]; /* in the browser's address; in the client's */
	char token_hash[65];	 /* the client's, for its address */
	struct login_info info;
	char half_user[37], half_visit[65]; /* of login_half; visit's hash */
	char token[API_TOKEN];		    /* for the client, once approved */
	struct http_x *waiter;
	struct loop_timer *drip; /* of the loop */
	struct api *api;
};

struct api_logins {
	pthread_mutex_t lock; /* guards v and what is in it */
	struct login *v[LIM_BROWSER_LOGINS];
	int n;
};

struct api_logins *api_logins_new(void)
{
	struct api_logins *l = xcalloc(1, sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	return l;
}

static void login_free(struct login *g)
{
	explicit_bzero(g, sizeof *g);
	free(g);
}

void api_logins_free(struct api_logins *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->n; i++)
		login_free(l->v[i]);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool is_over(const struct login *g, mono_ms now)
{
	return now - g->info.made_ms > LIM_BROWSER_LOGIN_MS;
}

/* Under the lock. */
static struct login *by_secret(struct api_logins *l, const char *secret)
{
	mono_ms now = clock_mono_ms();

	for (int i = 0; i < l->n; i++)
		if (strlen(secret) == 40 && ct_equal(l->v[i]->secret, secret, 40) &&
		    !is_over(l->v[i], now))
			return l->v[i];
	return NULL;
}

/* Under the lock. */
static struct login *by_id(struct api_logins *l, const char *id)
{
	for (int i = 0; i < l->n; i++)
		if (strcmp(l->v[i]->id, id) == 0)
			return l->v[i];
	return NULL;
}

static void forget(struct api_logins *l, struct login *g)
{
	for (int i = 0; i < l->n; i++)
		if (l->v[i] == g) {
			l->v[i] = l->v[--l->n];
			login_free(g);
			return;
		}
}

bool login_find(struct api *a, const char *secret, struct login_info *out)
{
	struct login *g;

	pthread_mutex_lock(&a->logins->lock);
	g = by_secret(a->logins, secret);
	if (g)
		*out = g->info;
	pthread_mutex_unlock(&a->logins->lock);
	return g != NULL;
}

void login_half(struct api *a, const char *secret, const char *visit, const char *user_id)
{
	struct login *g;

	pthread_mutex_lock(&a->logins->lock);
	g = by_secret(a->logins, secret);
	if (g) {
		snprintf(g->half_user, sizeof g->half_user, "%s", user_id);
		sha256_hex(visit, strlen(visit), g->half_visit);
	}
	pthread_mutex_unlock(&a->logins->lock);
}

bool login_half_of(struct api *a, const char *secret, const char *visit, char user_id[37])
{
	struct login *g;
	char hash[65];
	bool ok;

	sha256_hex(visit, strlen(visit), hash);
	pthread_mutex_lock(&a->logins->lock);
	g = by_secret(a->logins, secret);
	ok = g && g->half_user[0] && ct_equal(g->half_visit, hash, 64);
	if (ok)
		memcpy(user_id, g->half_user, 37);
	pthread_mutex_unlock(&a->logins->lock);
	return ok;
}

/* --- the client's answer; loop thread --- */

static void push_json(struct http_x *x, const char *key, const char *value)
{
	AUTO(json_decref) json_t *j = json_pack("{s:s}", key, value);
	AUTO(auto_str) char *text = json_dumps(j, JSON_COMPACT);

	http_push(x, text, strlen(text));
	http_end(x);
	explicit_bzero(text, strlen(text));
}

static void let_go(struct login *g)
{
	loop_timer_stop(STEAL(g->drip));
	g->waiter = NULL;
}

/* Under the lock, with an answer to give and somebody to give it to. */
static void answer(struct api_logins *l, struct login *g)
{
	struct http_x *x = g->waiter;

	let_go(g);
	if (g->info.state == LOGIN_APPROVED)
		push_json(x, "access_token", g->token);
	else
		push_json(x, "error",
			  g->info.state == LOGIN_DENIED ? "The login was denied."
							: "Nobody approved the login in time.");
	forget(l, g);
}

struct settled {
	struct api *api;
	char id[33];
};

static void on_settled(void *arg)
{
	struct settled *s = arg;
	struct api_logins *l = s->api->logins;
	struct login *g;

	pthread_mutex_lock(&l->lock);
	g = by_id(l, s->id);
	if (g && g->waiter)
		answer(l, g);
	pthread_mutex_unlock(&l->lock);
	free(s);
}

bool login_settle(struct api *a, const char *secret, const char *token)
{
	struct settled *s = xcalloc(1, sizeof *s);
	struct login *g;
	bool ok;

	s->api = a;
	pthread_mutex_lock(&a->logins->lock);
	g = by_secret(a->logins, secret);
	ok = g && g->info.state == LOGIN_OPEN;
	if (ok) {
		g->info.state = token ? LOGIN_APPROVED : LOGIN_DENIED;
		snprintf(g->token, sizeof g->token, "%s", token ? token : "");
		memcpy(s->id, g->id, sizeof s->id);
	}
	pthread_mutex_unlock(&a->logins->lock);
	if (!ok || !loop_post(a->d.loop, on_settled, s))
		free(s);
	return ok;
}

static void on_gone(struct http_x *x, void *arg)
{
	struct login *g = arg;
	struct api_logins *l = g->api->logins;

	pthread_mutex_lock(&l->lock);
	let_go(g);
	pthread_mutex_unlock(&l->lock);
	http_end(x);
}

static void on_drip(void *arg)
{
	struct login *g = arg;
	struct api_logins *l = g->api->logins;

	g->drip = NULL;
	pthread_mutex_lock(&l->lock);
	if (is_over(g, clock_mono_ms())) {
		answer(l, g);
	} else {
		g->drip = loop_timer_start(g->api->d.loop, LIM_BROWSER_LOGIN_DRIP_MS, on_drip, g);
		http_push(g->waiter, " ", 1); /* blanks before JSON are none of it */
	}
	pthread_mutex_unlock(&l->lock);
}

/* Under the lock. */
static struct login *of_client(struct api_req *q)
{
	AUTO(auto_str) char *token = api_credentials(q->x, NULL);
	struct login *g = by_id(q->api->logins, q->params[0]);
	char hash[65];

	if (!g || !token)
		return NULL;
	sha256_hex(token, strlen(token), hash);
	return ct_equal(hash, g->token_hash, 64) ? g : NULL;
}

int api_login_wait(struct api_req *q, struct err *err)
{
	struct api_logins *l = q->api->logins;
	struct login *g;

	pthread_mutex_lock(&l->lock);
	g = of_client(q);
	if (!g) {
		pthread_mutex_unlock(&l->lock);
		return err_not_found(err, "login");
	}
	if (g->waiter) { /* it came back: its last connection may be dead */
		struct http_x *old = g->waiter;

		let_go(g);
		http_abort(old);
	}
	http_set(q->x, "Cache-Control", "no-store");
	http_respond(q->x, 200, "application/json");
	q->answered = true;
	g->waiter = q->x;
	http_on_gone(q->x, on_gone, g);
	if (g->info.state != LOGIN_OPEN || is_over(g, clock_mono_ms()))
		answer(l, g);
	else
		g->drip = loop_timer_start(q->d->loop, LIM_BROWSER_LOGIN_DRIP_MS, on_drip, g);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

/* --- asking --- */

const struct api_field api_fields_login[] = {
	{"description", F_LINE, .max = 300, .text = "what asks"},
	{0},
};

/* Under the lock. Those whose time is over; the ones with a client that waits are ended by their
 * timer, on the loop. */
static void sweep(struct api_logins *l)
{
	mono_ms now = clock_mono_ms();

	for (int i = l->n - 1; i >= 0; i--)
		if (is_over(l->v[i], now) && !l->v[i]->waiter)
			forget(l, l->v[i]);
}

/* Under the lock: an address has a few, of which those that no client waits for make room first. */
static int make_room(struct api_logins *l, const char *peer, struct err *err)
{
	struct login *oldest = NULL;
	int same = 0;

	sweep(l);
	for (int i = 0; i < l->n; i++) {
		struct login *g = l->v[i];

		if (strcmp(g->info.peer, peer) != 0)
			continue;
		same++;
		if (!g->waiter && (!oldest || g->info.made_ms < oldest->info.made_ms))
			oldest = g;
	}
	if (same >= LIM_BROWSER_LOGINS_ADDR && oldest)
		forget(l, oldest);
	else if (same >= LIM_BROWSER_LOGINS_ADDR)
		return err_set(err, ERR_RATE_LIMIT,
			       "%d logins of this address wait to be approved already.", same);
	if (l->n == LIM_BROWSER_LOGINS)
		return err_set(err, ERR_UNAVAILABLE,
			       "Many logins wait to be approved; try again in some minutes.");
	return 0;
}

static struct login *new_login(struct api_req *q, const char *peer, char token[49])
{
	struct login *g = xcalloc(1, sizeof *g);
	const char *what = api_get_str(q->body, "description");

	random_hex(g->secret, 40);
	random_hex(g->id, 32);
	random_hex(token, 48);
	sha256_hex(token, 48, g->token_hash);
	snprintf(g->info.description, sizeof g->info.description, "%s",
		 what && *what ? what : "A client that says nothing about itself");
	snprintf(g->info.peer, sizeof g->info.peer, "%s", peer);
	/* The end of the address, so that clients which only print that show it too. */
	snprintf(g->info.code, sizeof g->info.code, "%.4s-%.4s", g->secret + 32, g->secret + 36);
	g->info.made_ms = clock_mono_ms();
	g->api = q->api;
	return g;
}

int api_login_ask(struct api_req *q, struct err *err)
{
	struct api_logins *l = q->api->logins;
	AUTO(auto_str) char *browser = NULL;
	AUTO(auto_str) char *cli = NULL;
	struct login *g;
	char peer[64], token[49], code[10];

	api_limiter_address(http_peer(q->x), peer);
	pthread_mutex_lock(&l->lock);
	if (make_room(l, peer, err) < 0) {
		pthread_mutex_unlock(&l->lock);
		return -1;
	}
	l->v[l->n++] = g = new_login(q, peer, token);
	browser = xasprintf("/auth/browser/%s", g->secret);
	cli = xasprintf("/auth/cli/%s", g->id);
	memcpy(code, g->info.code, sizeof code);
	pthread_mutex_unlock(&l->lock);
	return api_ok(q, 201,
		      json_pack("{s:s, s:s, s:s, s:s}", "browser_url", browser, "cli_url", cli,
				"code", code, "token", token));
}
