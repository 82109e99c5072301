/* paasd's end of the control connection against the real router, in one process; and against one
 * that does not answer. */
#include "daemon/route/route.h"
#include "daemon/core/xlog.h"
#include "router/rt.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

struct fixture {
	void *dir; /* char *, as tmp_setup makes it */
	struct loop *loop;
	struct routes *routes;
	struct rt *rt;
	pthread_t rt_thread;
	_Atomic int done; /* callbacks so far */
	_Atomic int fails;
};

/* --- the router ------------------------------------------------------------------------------- */

static void *run_router(void *arg)
{
	rt_run(arg);
	return NULL;
}

static void start_router(struct fixture *f)
{
	struct err err = {0};

	f->rt = xcalloc(1, sizeof *f->rt);
	rt_opts_init(&f->rt->opts);
	f->rt->opts.run_dir = f->dir;
	f->rt->opts.workers = 2;
	assert_int_equal(rt_listen_parse(f->rt, "127.0.0.1:0", &err), 0);
	assert_int_equal(rt_start(f->rt, &err), 0);
	pthread_create(&f->rt_thread, NULL, run_router, f->rt);
}

static void quit_router(void *arg)
{
	rt_quit(arg, 0);
}

static void stop_router(struct fixture *f)
{
	if (!f->rt)
		return;
	loop_post(f->rt->main_loop, quit_router, f->rt);
	pthread_join(f->rt_thread, NULL);
	rt_stop(f->rt);
	free(f->rt);
	f->rt = NULL;
}

/* Status of a GET for the host, by a client of its own. */
static int status_of(struct fixture *f, const char *host)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)f->rt->listens[0].port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = -1;
	char text[256];
	ssize_t n;

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		     host);
	assert_int_equal(write(fd, text, (size_t)n), n);
	n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	sscanf(text, "HTTP/1.1 %d", &status);
	close(fd);
	return status;
}

/* --- routes, on their loop -------------------------------------------------------------------- */

static void count(void *arg)
{
	struct fixture *f = arg;

	f->done++;
}

static void on_fail(void *arg, const char *app_id, const char *dyno_id)
{
	struct fixture *f = arg;

	assert_string_equal(app_id, "app-web");
	assert_string_equal(dyno_id, "dead");
	f->fails++;
}

static void make_routes(void *arg)
{
	struct fixture *f = arg;

	f->routes = routes_new(f->loop, f->dir);
	routes_on_dyno_fail(f->routes, on_fail, f);
}

static void free_routes(void *arg)
{
	struct fixture *f = arg;

	routes_free(f->routes);
	f->routes = NULL;
}

static void ready(void *arg)
{
	struct fixture *f = arg;

	routes_ready(f->routes, count, f);
}

struct set {
	struct fixture *f;
	const char *name;
	enum route_state state;
	const struct route_dyno *dynos;
	int ndynos;
};

static void set_app(void *arg)
{
	struct set *s = arg;
	char id[64], host[64];
	const char *const hosts[] = {host, NULL};

	snprintf(id, sizeof id, "app-%s", s->name);
	snprintf(host, sizeof host, "%s.localhost", s->name);
	routes_set(s->f->routes,
		   &(struct route_app){.app_id = id,
				       .name = s->name,
				       .state = s->state,
				       .hosts = hosts,
				       .dynos = s->dynos,
				       .ndynos = s->ndynos},
		   count, s->f);
	/* never from within the call */
	assert_int_equal(s->f->done, 0);
}

static void del_web(void *arg)
{
	struct fixture *f = arg;

	routes_del(f->routes, "app-web", count, f);
}

static void drain(void *arg)
{
	struct fixture *f = arg;

	routes_drain(f->routes, "dead", 5000, count, f);
}

/* Waits for n callbacks, then forgets them. */
static void wait_done(struct fixture *f, int n)
{
	for (int i = 0; f->done < n && i < 5000; i++)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	assert_int_equal(f->done, n);
	f->done = 0;
}

static void set(struct fixture *f, const char *name, enum route_state state)
{
	struct set s = {f, name, state, NULL, 0};

	loop_call(f->loop, set_app, &s);
	wait_done(f, 1);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	xlog_setup("test", XLOG_ERROR, false);
	if (tmp_setup(&f->dir) < 0)
		return -1;
	f->loop = loop_new("routes");
	loop_start_thread(f->loop);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->routes)
		loop_call(f->loop, free_routes, f);
	stop_router(f);
	loop_stop(f->loop);
	loop_join(f->loop);
	loop_free(f->loop);
	tmp_teardown(&f->dir);
	free(f);
	return 0;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void routes_reach_the_router(void **state)
{
	struct fixture *f = *state;

	start_router(f);
	loop_call(f->loop, make_routes, f);
	set(f, "early", ROUTE_CRASHED); /* before the table is said to be complete */
	assert_int_equal(status_of(f, "early.localhost"), 404);
	loop_call(f->loop, ready, f);
	wait_done(f, 1);
	assert_int_equal(status_of(f, "early.localhost"), 503);
	set(f, "web", ROUTE_MAINTENANCE);
	assert_int_equal(status_of(f, "web.localhost"), 503);
	loop_call(f->loop, del_web, f);
	wait_done(f, 1);
	assert_int_equal(status_of(f, "web.localhost"), 404);
	loop_call(f->loop, drain, f);
	wait_done(f, 1);
}

static void a_router_that_comes_back_gets_everything(void **state)
{
	struct fixture *f = *state;

	start_router(f);
	loop_call(f->loop, make_routes, f);
	loop_call(f->loop, ready, f);
	wait_done(f, 1);
	set(f, "web", ROUTE_CRASHED);
	stop_router(f);
	set(f, "other", ROUTE_CRASHED); /* away: called all the same */
	loop_call(f->loop, del_web, f);
	wait_done(f, 1);
	loop_call(f->loop, drain, f);
	wait_done(f, 1);
	start_router(f);
	/* Whether it is away is found out at the moment of asking: this one finds it there. */
	set(f, "third", ROUTE_CRASHED);
	assert_int_equal(status_of(f, "third.localhost"), 503);
	assert_int_equal(status_of(f, "other.localhost"), 503);
	assert_int_equal(status_of(f, "web.localhost"), 404);
}

static void failing_dynos_are_reported(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd =
		socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: connections are refused */
	struct route_dyno dyno = {.id = "dead", .name = "web.1", .ip = "127.0.0.1"};
	struct set s = {f, "web", ROUTE_SERVING, &dyno, 1};

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	dyno.port = ntohs(a.sin_port);
	start_router(f);
	loop_call(f->loop, make_routes, f);
	loop_call(f->loop, ready, f);
	wait_done(f, 1);
	loop_call(f->loop, set_app, &s);
	wait_done(f, 1);
	assert_int_equal(status_of(f, "web.localhost"), 503);
	for (int i = 0; !f->fails && i < 5000; i++)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	assert_int_equal(f->fails, 1);
	close(fd);
}

/* Freed while a router that never answers holds the acknowledgements: each caller hears of it. */
static void nobody_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s/router.sock", (char *)f->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	loop_call(f->loop, make_routes, f);
	loop_call(f->loop, ready, f);
	loop_call(f->loop, del_web, f);
	loop_call(f->loop, drain, f);
	assert_int_equal(f->done, 0);
	loop_call(f->loop, free_routes, f);
	wait_done(f, 3);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(routes_reach_the_router, setup, teardown),
		cmocka_unit_test_setup_teardown(a_router_that_comes_back_gets_everything, setup,
						teardown),
		cmocka_unit_test_setup_teardown(failing_dynos_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_forgotten, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
