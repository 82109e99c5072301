/* GET /attach/SECRET: a dyno's terminal over an upgraded connection, in one of two forms: frames of
 * proto/attach.h (paasctl), or raw octets (rendezvous: Heroku's clients, by way of the router). */
#include "daemon/api/attach.h"
#include "daemon/api/api_int.h"
#include "proto/attach.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

struct attach_ticket {
	struct attach_ticket *next;
	struct api *a;
	char hash[65]; /* of the secret */
	char dyno_id[37];
	bool tty;
	mono_ms until;
};

static void ticket_add(void *arg)
{
	struct attach_ticket *t = arg, **p = &t->a->tickets;

	while (*p) { /* the few that ran out go with each new one */
		if ((*p)->until < clock_mono_ms()) {
			struct attach_ticket *old = *p;

			*p = old->next;
			free(old);
		} else {
			p = &(*p)->next;
		}
	}
	*p = t;
}

static void ticket_new(struct api *a, const char *dyno_id, bool tty,
		       char secret[ATTACH_RDV_LEN + 1])
{
	struct attach_ticket *t = xcalloc(1, sizeof *t);

	secret[0] = ATTACH_RDV_MARK;
	random_hex(secret + 1, ATTACH_RDV_LEN - 1);
	t->tty = tty;
	t->a = a;
	t->until = clock_mono_ms() + LIM_ATTACH_MS;
	sha256_hex(secret, ATTACH_RDV_LEN, t->hash);
	snprintf(t->dyno_id, sizeof t->dyno_id, "%s", dyno_id);
	if (!loop_post(a->d.loop, ticket_add, t))
		free(t);
}

/* The host that the client used, with the port, which clients want to see. */
char *attach_url(struct api_req *q, const char *dyno_id, bool tty)
{
	const char *host = http_host(q->x), *port = http_header(q->x, "x-forwarded-port");
	const char *colon = host ? strrchr(host, ':') : NULL;
	char secret[ATTACH_RDV_LEN + 1];

	ticket_new(q->api, dyno_id, tty, secret);
	if (!host || !*host)
		host = q->d->cfg->platform_host;
	if (!port || (colon && !strchr(colon, ']')))
		return xasprintf("rendezvous://%s/%s", host, secret);
	return xasprintf("rendezvous://%s:%s/%s", host, port, secret);
}

void attach_tickets_free(struct api *a)
{
	while (a->tickets) {
		struct attach_ticket *t = a->tickets;

		a->tickets = t->next;
		free(t);
	}
}

static bool ticket_take(struct api *a, const char *secret, char dyno_id[37], bool *tty)
{
	char hash[65];

	sha256_hex(secret, strlen(secret), hash);
	for (struct attach_ticket **p = &a->tickets; *p; p = &(*p)->next) {
		struct attach_ticket *t = *p;

		if (!ct_equal(t->hash, hash, 64))
			continue;
		*p = t->next;
		memcpy(dyno_id, t->dyno_id, 37);
		*tty = t->tty;
		bool good = t->until >= clock_mono_ms();
		free(t);
		return good;
	}
	return false;
}

struct session {
	struct loop *l;
	struct http_x *x;
	struct dyno_tty *tty; /* NULL once the dyno is done */
	struct buf in;
	struct loop_timer *idle;
	bool paused;
	mono_ms last;
	/* raw octets */
	bool tty_wanted;
	bool ended, ended_in;	    /* the command; its input */
	bool said_all;		    /* the input so far ended with a 0x04 */
	bool eot;		    /* the input so far ended with a 0x04, which is held back */
	struct buf early;	    /* output before its time */
	struct loop_timer *opening; /* until output may flow */
	struct loop_timer *eot_timer;
	struct loop_timer *closing;
};

#define INPUT_HIGH (1 << 20)

static void session_free(struct session *s)
{
	loop_timer_stop(s->idle);
	loop_timer_stop(s->opening);
	loop_timer_stop(s->eot_timer);
	loop_timer_stop(s->closing);
	dyno_tty_close(s->tty);
	buf_clear(&s->in);
	buf_clear(&s->early);
	free(s);
}

static void push(struct session *s, struct buf *b)
{
	s->last = clock_mono_ms();
	if (http_push(s->x, b->data, b->len) > 256 * 1024 && s->tty)
		dyno_tty_pause(s->tty, true);
}

static void on_output(const char *p, size_t n, void *arg)
{
	struct session *s = arg;
	AUTO(buf_clear) struct buf b = {0};

	attach_put(&b, ATTACH_OUTPUT, p, n);
	push(s, &b);
}

static void on_written(void *arg)
{
	struct session *s = arg;

	if (s->paused && dyno_tty_queued(s->tty) < INPUT_HIGH / 2) {
		s->paused = false;
		http_pause(s->x, false);
	}
}

static void finish(struct session *s)
{
	struct http_x *x = s->x;

	s->tty = NULL;
	session_free(s);
	http_end(x);
}

static void on_exit_(int status, void *arg)
{
	struct session *s = arg;
	AUTO(buf_clear) struct buf b = {0};

	s->tty = NULL;
	attach_put_exit(&b, (uint32_t)status);
	push(s, &b);
	finish(s);
}

static void on_lost(void *arg)
{
	static const char text[] =
		"The dyno has ended or could not be started: see the app's logs.";
	struct session *s = arg;
	AUTO(buf_clear) struct buf b = {0};

	s->tty = NULL;
	attach_put(&b, ATTACH_ERROR, text, sizeof text - 1);
	push(s, &b);
	finish(s);
}

static void on_drain(struct http_x *x, void *arg)
{
	struct session *s = arg;

	if (s->tty && !s->opening)
		dyno_tty_pause(s->tty, false);
}

static void on_gone(struct http_x *x, void *arg)
{
	struct session *s = arg;

	session_free(s); /* closing the tty hangs up: the shim sends SIGHUP */
	http_end(x);
}

static void on_idle(void *arg)
{
	struct session *s = arg;
	mono_ms left = s->last + LIM_ONEOFF_IDLE_MS - clock_mono_ms();

	s->idle = NULL;
	if (left > 0) {
		s->idle = loop_timer_start(s->l, (uint64_t)left, on_idle, s);
		return;
	}
	on_gone(s->x, s);
}

static void client_frame(struct session *s, const struct attach_frame *f)
{
	unsigned rows, cols;

	switch (f->type) {
	case ATTACH_STDIN:
		dyno_tty_input(s->tty, f->data, f->len);
		break;
	case ATTACH_STDIN_EOF:
		dyno_tty_eof(s->tty);
		break;
	case ATTACH_RESIZE:
		attach_get_resize(f, &rows, &cols);
		dyno_tty_resize(s->tty, rows, cols);
		break;
	case ATTACH_SIGNAL:
		dyno_tty_signal(s->tty, attach_get_signal(f));
		break;
	default:
		break;
	}
}

static void on_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	struct session *s = arg;
	struct attach_frame f;
	size_t used = 0;
	ssize_t got;

	s->last = clock_mono_ms();
	if (n == 0) { /* the client's end of stream: it has hung up */
		on_gone(x, s);
		return;
	}
	buf_add(&s->in, p, n);
	while ((got = attach_parse(s->in.data + used, s->in.len - used, &f)) > 0) {
		used += (size_t)got;
		client_frame(s, &f);
	}
	if (got < 0) {
		on_gone(x, s);
		return;
	}
	buf_drop(&s->in, used);
	if (dyno_tty_queued(s->tty) > INPUT_HIGH && !s->paused) {
		s->paused = true;
		http_pause(x, true);
	}
}

/* --- raw octets --------------------------------------------------------------------------------
 */

#define EARLY_MAX (64 * 1024)

static void push_raw(struct session *s, const char *p, size_t n)
{
	s->last = clock_mono_ms();
	if (n && http_push(s->x, p, n) > 256 * 1024 && s->tty)
		dyno_tty_pause(s->tty, true);
}

static void on_closing(void *arg)
{
	struct session *s = arg;

	s->closing = NULL;
	finish(s);
}

/* The Heroku CLI crashes when it cannot write the 0x04 at the end of a piped input any more, and it
 * comes to that only after the greeting: a quick command has ended by then. */
static void raw_finish(struct session *s)
{
	if (s->said_all)
		finish(s);
	else
		s->closing = loop_timer_start(s->l, LIM_RENDEZVOUS_CLOSE_MS, on_closing, s);
}

static void on_open(void *arg)
{
	struct session *s = arg;

	s->opening = NULL;
	push_raw(s, s->early.data, s->early.len);
	buf_clear(&s->early);
	if (s->tty)
		dyno_tty_pause(s->tty, false);
	if (s->ended)
		raw_finish(s);
}

static void raw_output(const char *p, size_t n, void *arg)
{
	struct session *s = arg;

	if (!s->opening) {
		push_raw(s, p, n);
		return;
	}
	buf_add(&s->early, p, n);
	if (s->early.len > EARLY_MAX && s->tty)
		dyno_tty_pause(s->tty, true);
}

static void raw_exit(int status, void *arg)
{
	struct session *s = arg;

	s->tty = NULL;
	s->ended = true;
	if (!s->opening)
		raw_finish(s);
}

static void raw_lost(void *arg)
{
	static const char text[] =
		"The dyno has ended or could not be started: see the app's logs.\r\n";
	struct session *s = arg;

	s->tty = NULL;
	raw_output(text, sizeof text - 1, arg);
	raw_exit(0, arg);
}

static void input_ends(void *arg)
{
	struct session *s = arg;

	s->eot_timer = NULL;
	s->eot = false;
	s->ended_in = true;
	if (s->tty)
		dyno_tty_eof(s->tty);
}

/* Clients end their input with a 0x04. With a terminal that is the terminal's affair; without one
 * it means that the command's input ends, unless more follows: then it was data. */
static void hold_eot(struct session *s, const char *p, size_t *n)
{
	if (s->eot) {
		loop_timer_stop(s->eot_timer);
		s->eot_timer = NULL;
		s->eot = false;
		dyno_tty_input(s->tty, "\x04", 1);
	}
	if (p[*n - 1] != 4)
		return;
	--*n;
	s->eot = true;
	s->eot_timer = loop_timer_start(s->l, LIM_RENDEZVOUS_EOT_MS, input_ends, s);
}

static void raw_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	struct session *s = arg;

	s->last = clock_mono_ms();
	if (n == 0) {
		on_gone(x, s);
		return;
	}
	s->said_all = p[n - 1] == 4;
	if (s->said_all && s->closing) {
		finish(s);
		return;
	}
	if (!s->tty || s->ended_in)
		return;
	if (!s->tty_wanted)
		hold_eot(s, p, &n);
	if (n)
		dyno_tty_input(s->tty, p, n);
	if (dyno_tty_queued(s->tty) > INPUT_HIGH && !s->paused) {
		s->paused = true;
		http_pause(x, true);
	}
}

/* Clients throw the first piece away that they receive, whatever is in it: so it must have gone out
 * alone before there is any output. */
static void open_raw(struct session *s)
{
	static const char hello[] = "rendezvous\r\n";

	http_upgrade(s->x, ATTACH_RDV_UPGRADE, raw_data, s);
	http_push(s->x, hello, sizeof hello - 1);
	s->opening = loop_timer_start(s->l, LIM_RENDEZVOUS_OPEN_MS, on_open, s);
}

/* --- opening ------------------------------------------------------------------------------------
 */

int api_attach_open(struct api_req *q, struct err *err)
{
	static const struct dyno_tty_ops framed = {on_output, on_exit_, on_lost, on_written},
					 raw = {raw_output, raw_exit, raw_lost, on_written};
	const char *up = http_header(q->x, "upgrade");
	char dyno_id[37];
	struct session *s;
	bool is_raw = up && strcmp(up, ATTACH_RDV_UPGRADE) == 0, tty;

	if (!is_raw && (!up || strcmp(up, ATTACH_UPGRADE) != 0))
		return err_set(err, ERR_BAD_REQUEST, "This URL is for an upgrade to %s.",
			       ATTACH_UPGRADE);
	if (!ticket_take(q->api, q->params[0], dyno_id, &tty))
		return err_not_found(err, "session");
	q->answered = true;
	s = xcalloc(1, sizeof *s);
	s->l = q->d->loop;
	s->x = q->x;
	s->last = clock_mono_ms();
	s->tty_wanted = tty;
	http_on_gone(q->x, on_gone, s);
	http_on_drain(q->x, on_drain, s);
	if (is_raw)
		open_raw(s);
	else
		http_upgrade(q->x, ATTACH_UPGRADE, on_data, s);
	s->idle = loop_timer_start(s->l, LIM_ONEOFF_IDLE_MS, on_idle, s);
	s->tty = dyno_tty_open(releases_dynos(q->d->releases), dyno_id, is_raw ? &raw : &framed, s);
	return 0;
}
