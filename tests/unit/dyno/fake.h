/* fake.h - a launcher whose dyno is a socket, a list of all that happens, and a supervisor on a
 * loop. One test program includes it: the definitions of launcher_*() here take the place of the
 * library's. */
#ifndef UNIT_DYNO_FAKE_H
#define UNIT_DYNO_FAKE_H

#include "tests/unit/test.h"
#include "daemon/core/codec.h"
#include "daemon/dyno/dyno.h"
#include "proto/shim.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define APP	 "11111111-1111-4111-8111-111111111111"
#define DEADLINE 10000

enum { MAX_FAKES = 64, MAX_EVENTS = 512, RELEASES = 4 };

struct fake {
	char id[37], name[160];
	int version, listener, conn;
	bool running, removed;
	pthread_t thread;
};

struct event {
	char text[200];
	mono_ms at;
};

static struct {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct fake fakes[MAX_FAKES];
	int nfakes;
	struct event events[MAX_EVENTS];
	int nevents, seen;
	bool refuse;	     /* the launcher makes nothing */
	bool deaf;	     /* dynos do not obey SIGTERM */
	bool hold;	     /* the router does not say that it is drained */
	bool dies;	     /* the launcher dies when it has made a dyno, once */
	struct err list_err; /* what it answers, list_fails times, when it is asked what there is */
	int list_fails;
	int ends_noted; /* removals of dynos whose end was noted by then */
	struct {
		void (*done)(void *arg);
		void *arg;
	} held[8]; /* answered when all is over, as the router's end of it does */
	int nheld;
	/* the fixture's own */
	char *dir;
	struct launcher_info info;
	struct config cfg;
	struct loop *loop;
	struct logd *log;
	struct store *store;
	struct dynos *dynos;
	struct dyno_release *rel[RELEASES + 1];
} fx = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(const char *fmt, ...) PRINTF(1, 2);
static void note(const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&fx.lock);
	assert_true(fx.nevents < MAX_EVENTS);
	va_start(ap, fmt);
	vsnprintf(fx.events[fx.nevents].text, sizeof fx.events[0].text, fmt, ap);
	va_end(ap);
	fx.events[fx.nevents++].at = clock_mono_ms();
	pthread_cond_broadcast(&fx.changed);
	pthread_mutex_unlock(&fx.lock);
}

/* --- waiting and looking -------------------------------------------------------------------- */

static int find_event(const char *text, int from)
{
	for (int i = from; i < fx.nevents; i++)
		if (strcmp(fx.events[i].text, text) == 0)
			return i;
	return -1;
}

static bool wait_change(mono_ms until)
{
	struct timespec t;
	mono_ms left = until - clock_mono_ms();

	if (left <= 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += left / 1000 + 1;
	pthread_cond_timedwait(&fx.changed, &fx.lock, &t);
	return true;
}

/* The event, at or after the last one awaited. Others may lie between. */
static mono_ms await_event(const char *text)
{
	mono_ms until = clock_mono_ms() + DEADLINE, at;
	int i;

	pthread_mutex_lock(&fx.lock);
	while ((i = find_event(text, fx.seen)) < 0)
		if (!wait_change(until)) {
			for (int k = 0; k < fx.nevents; k++)
				print_error("%s %s\n", k == fx.seen ? "->" : "  ",
					    fx.events[k].text);
			pthread_mutex_unlock(&fx.lock);
			fail_msg("waited in vain for \"%s\"", text);
		}
	fx.seen = i + 1;
	at = fx.events[i].at;
	pthread_mutex_unlock(&fx.lock);
	return at;
}

static int count_events(const char *text)
{
	int n = 0;

	pthread_mutex_lock(&fx.lock);
	for (int i = 0; (i = find_event(text, i)) >= 0; i++)
		n++;
	pthread_mutex_unlock(&fx.lock);
	return n;
}

/* That many so far, wherever they lie. */
__attribute__((unused)) static void await_count(const char *text, int n)
{
	mono_ms until = clock_mono_ms() + DEADLINE;
	bool more = true;

	while (count_events(text) < n && more) {
		pthread_mutex_lock(&fx.lock);
		more = wait_change(until);
		pthread_mutex_unlock(&fx.lock);
	}
	if (count_events(text) < n)
		fail_msg("\"%s\" came %d times, not %d", text, count_events(text), n);
}

/* --- the dynos ------------------------------------------------------------------------------- */

static struct fake *newest(const char *name, int version)
{
	struct fake *f = NULL;

	for (int i = 0; i < fx.nfakes; i++)
		if (strcmp(fx.fakes[i].name, name) == 0 && fx.fakes[i].version == version)
			f = &fx.fakes[i];
	return f;
}

static void send_numbers(int fd, uint16_t type, uint16_t k1, uint64_t v1, uint16_t k2, uint64_t v2)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, type);

	wire_u64(&b, k1, v1);
	wire_u64(&b, k2, v2);
	wire_end(&b, m);
	(void)!send(fd, b.data, b.len, MSG_NOSIGNAL);
}

/* Waits until the supervisor is connected. Under no lock. */
static int conn_of(const char *name, int version)
{
	mono_ms until = clock_mono_ms() + DEADLINE;
	struct fake *f;
	int fd;

	pthread_mutex_lock(&fx.lock);
	while (!(f = newest(name, version)) || f->conn < 0)
		if (!wait_change(until)) {
			pthread_mutex_unlock(&fx.lock);
			fail_msg("%s of v%d is not supervised", name, version);
		}
	fd = f->conn;
	pthread_mutex_unlock(&fx.lock);
	return fd;
}

__attribute__((unused)) static void dyno_binds(const char *name, int version)
{
	int fd = conn_of(name, version);

	pthread_mutex_lock(&fx.lock);
	newest(name, version)->running = true;
	pthread_mutex_unlock(&fx.lock);
	send_numbers(fd, SHIM_BOUND, S_BOUND, 1, S_RUNNING, 1);
}

static void dyno_exits(const char *name, int version, int code)
{
	int fd = conn_of(name, version);

	send_numbers(fd, SHIM_EXIT, S_EXIT_CODE, (uint64_t)code, S_SIGNAL, 0);
	shutdown(fd, SHUT_RDWR);
}

static void on_signal(struct fake *f, int fd, uint64_t sig)
{
	note("%s %s v%d", sig == SIGKILL ? "KILL" : "TERM", f->name, f->version);
	if (fx.deaf && sig != SIGKILL)
		return;
	send_numbers(fd, SHIM_EXIT, S_EXIT_CODE, 128 + sig, S_SIGNAL, sig);
	shutdown(fd, SHUT_RDWR);
}

static void on_request(struct fake *f, int fd, struct wire_frame *w)
{
	struct wire_field x;
	uint64_t sig = 0;

	while (wire_next(w, &x) > 0)
		if (x.key == S_SIGNAL)
			sig = wire_get_u64(&x);
	if (w->type == SHIM_SIGNAL)
		on_signal(f, fd, sig);
	if (w->type != SHIM_SUPERVISE)
		return;
	send_numbers(fd, SHIM_STATE, S_RUNNING, 1, S_BOUND, f->running);
	pthread_mutex_lock(&fx.lock);
	f->conn = fd;
	pthread_cond_broadcast(&fx.changed);
	pthread_mutex_unlock(&fx.lock);
}

static void one_client(struct fake *f, int fd)
{
	AUTO(buf_clear) struct buf in = {0};
	struct wire_frame w;
	ssize_t n;

	for (;;) {
		buf_reserve(&in, 4096);
		n = recv(fd, in.data + in.len, 4096, 0);
		if (n <= 0)
			break;
		in.len += (size_t)n;
		while ((n = wire_parse(in.data, in.len, &w)) > 0) {
			on_request(f, fd, &w);
			buf_drop(&in, (size_t)n);
		}
	}
	pthread_mutex_lock(&fx.lock);
	f->conn = -1;
	pthread_mutex_unlock(&fx.lock);
	close(fd);
}

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	int fd;

	while ((fd = accept(f->listener, NULL, NULL)) >= 0)
		one_client(f, fd);
	return NULL;
}

/* --- the launcher ---------------------------------------------------------------------------- */

static int listen_at(const char *id)
{
	AUTO(auto_str) char *dir = xasprintf("%s/dynos/%s", fx.dir, id);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static struct fake *by_id(const char *id)
{
	struct fake *f = NULL;

	pthread_mutex_lock(&fx.lock);
	for (int i = 0; i < fx.nfakes && !f; i++)
		if (strcmp(fx.fakes[i].id, id) == 0)
			f = &fx.fakes[i];
	pthread_mutex_unlock(&fx.lock);
	return f;
}

int launcher_create(struct launcher *l, const struct launch_spec *s, char ip[16], struct err *err)
{
	struct fake *f;
	int version = 0, fd;

	if (fx.refuse)
		return err_set(err, ERR_INTERNAL, "no sandbox today");
	if (by_id(s->id))
		return err_set(err, ERR_CONFLICT, "dyno %s exists", s->id);
	for (int v = 1; v <= RELEASES; v++)
		if (strcmp(fx.rel[v]->release_id, s->release) == 0)
			version = v;
	fd = listen_at(s->id);
	pthread_mutex_lock(&fx.lock);
	assert_true(fx.nfakes < MAX_FAKES);
	f = &fx.fakes[fx.nfakes++];
	*f = (struct fake){.conn = -1, .listener = fd, .version = version};
	memcpy(f->id, s->id, sizeof f->id);
	snprintf(f->name, sizeof f->name, "%s", s->name);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
	pthread_mutex_unlock(&fx.lock);
	snprintf(ip, 16, "10.0.0.1");
	note("launch %s v%d", s->name, version);
	if (!fx.dies)
		return 0;
	fx.dies = false;
	return err_set(err, ERR_UNAVAILABLE, "the launcher has gone away");
}

int launcher_remove(struct launcher *l, const char *id, struct err *err)
{
	struct fake *f = by_id(id);
	AUTO(auto_str) char *end = xasprintf("%s/meta/%s.end", fx.dir, id);
	bool again;

	if (!f)
		return 0;
	pthread_mutex_lock(&fx.lock);
	again = f->removed;
	f->removed = true;
	if (!again)
		fx.ends_noted += access(end, F_OK) == 0;
	pthread_mutex_unlock(&fx.lock);
	if (again)
		return 0;
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	note("removed %s v%d", f->name, f->version);
	return 0;
}

int launcher_list(struct launcher *l, char (**ids)[37], int *n, struct err *err)
{
	if (fx.list_fails > 0) {
		fx.list_fails--;
		*err = fx.list_err;
		return -1;
	}
	*ids = xcalloc(MAX_FAKES, sizeof **ids);
	*n = 0;
	for (int i = 0; i < fx.nfakes; i++)
		if (!fx.fakes[i].removed)
			memcpy((*ids)[(*n)++], fx.fakes[i].id, 37);
	return 0;
}

const struct launcher_info *launcher_info(const struct launcher *l)
{
	return &fx.info;
}

const char *launcher_run_dir(const struct launcher *l)
{
	return fx.dir;
}

/* --- the router ------------------------------------------------------------------------------ */

static void publish(const char *app_id, void (*done)(void *arg), void *done_arg, void *arg)
{
	AUTO(buf_clear) struct buf b = {0};
	struct dyno_info *v = NULL;
	int n = dynos_web_up(fx.dynos, app_id, &v);

	for (int i = 0; i < n; i++)
		buf_addf(&b, " %s/v%d", v[i].name, v[i].release_version);
	dyno_infos_free(v, n);
	note("routes%s", buf_str(&b));
	if (done)
		loop_post(fx.loop, done, done_arg);
}

static void drain(const char *dyno_id, void (*done)(void *arg), void *done_arg, void *arg)
{
	struct fake *f = by_id(dyno_id);

	if (f)
		note("drain %s v%d", f->name, f->version);
	if (!fx.hold) {
		loop_post(fx.loop, done, done_arg);
		return;
	}
	assert_true(fx.nheld < (int)ARRAY_LEN(fx.held));
	fx.held[fx.nheld].done = done;
	fx.held[fx.nheld++].arg = done_arg;
}

/* --- the supervisor -------------------------------------------------------------------------- */

static void new_dynos(void *arg)
{
	const struct dynos_ops ops = {.publish = publish, .drain = drain};

	fx.dynos = dynos_new(fx.loop, &fx.cfg, fx.store, fx.log, NULL, &ops);
}

static int fake_setup(void **state)
{
	AUTO(auto_str) char *sub = NULL, *meta = NULL, *logs = NULL, *sock = NULL;
	struct err err = {0};
	void *dir;

	codec_init();
	if (tmp_setup(&dir) < 0)
		return -1;
	fx.dir = dir;
	*state = dir;
	sub = xasprintf("%s/dynos", fx.dir);
	meta = xasprintf("%s/meta", fx.dir);
	logs = xasprintf("%s/logs", fx.dir);
	sock = xasprintf("%s/log.sock", fx.dir);
	if (mkdir(sub, 0700) < 0 || mkdir(meta, 0700) < 0 || mkdir(logs, 0700) < 0)
		return -1;
	snprintf(fx.info.runtime, sizeof fx.info.runtime, "sandbox");
	config_init(&fx.cfg);
	fx.nfakes = fx.nevents = fx.seen = 0;
	fx.refuse = fx.deaf = fx.hold = fx.dies = false;
	fx.list_fails = fx.ends_noted = 0;
	if (logd_start(logs, sock, &fx.log, &err) < 0 ||
	    store_open(":memory:", NULL, &fx.store, &err) < 0)
		return -1;
	for (int v = 1; v <= RELEASES; v++) {
		struct dyno_release *r = xcalloc(1, sizeof *r);

		r->refs = 1;
		r->version = v;
		snprintf(r->app_id, sizeof r->app_id, "%s", APP);
		snprintf(r->slug_id, sizeof r->slug_id, "slug%d", v);
		uuid_new(r->release_id);
		r->slug_dir = xstrdup("/nowhere");
		fx.rel[v] = r;
	}
	fx.loop = loop_new("test");
	loop_start_thread(fx.loop);
	loop_call(fx.loop, new_dynos, NULL);
	return 0;
}

static void stopped(void *arg)
{
	note("stopped");
}

static void stop_dynos(void *keep)
{
	dynos_stop_all(fx.dynos, keep != NULL, stopped, NULL);
}

static int fake_teardown(void **state)
{
	loop_call(fx.loop, stop_dynos, NULL);
	await_event("stopped");
	loop_stop(fx.loop);
	loop_join(fx.loop);
	dynos_free(fx.dynos);
	while (fx.nheld > 0) {
		fx.nheld--;
		fx.held[fx.nheld].done(fx.held[fx.nheld].arg);
	}
	for (int i = 0; i < fx.nfakes; i++)
		launcher_remove(NULL, fx.fakes[i].id, NULL);
	store_close(fx.store);
	logd_stop(fx.log);
	loop_free(fx.loop);
	for (int v = 1; v <= RELEASES; v++)
		dyno_release_unref(fx.rel[v]);
	config_clear(&fx.cfg);
	return tmp_teardown(state);
}

#endif
