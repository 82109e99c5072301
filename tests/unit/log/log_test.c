#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/log/log_int.h"
#include "proto/limits.h"
#include "proto/logwire.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define APP   "11111111-2222-3333-4444-555555555555"
#define OTHER "66666666-2222-3333-4444-555555555555"
#define WAIT  20000 /* ms until a condition that should hold is given up */

struct fix {
	char *dir; /* owned */
	struct logd *d;
};

static void start(struct fix *f)
{
	AUTO(auto_str) char *logs = xasprintf("%s/logs", f->dir);
	AUTO(auto_str) char *sock = xasprintf("%s/log.sock", f->dir);
	struct err err = {0};

	if (logd_start(logs, sock, &f->d, &err) < 0)
		fail_msg("%s", err.msg);
}

static void restart(struct fix *f)
{
	logd_stop(f->d);
	start(f);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	signal(SIGPIPE, SIG_IGN);
	codec_init();
	if (tmp_setup((void **)&f->dir) < 0)
		return -1;
	start(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	logd_stop(f->d);
	if (tmp_teardown((void **)&f->dir) != 0)
		return -1;
	free(f);
	return 0;
}

static void say(struct fix *f, const char *app, const char *proc, const char *text)
{
	logd_append(f->d, app, "app", proc, 0, text, strlen(text));
}

struct got {
	struct buf text; /* "proc text\n" */
	int n;
	uint64_t seq;
	bool disorder;
};

static void collect(const struct log_line *l, void *arg)
{
	struct got *g = arg;

	g->disorder |= l->seq <= g->seq;
	g->seq = l->seq;
	g->n++;
	buf_addf(&g->text, "%s %.*s\n", l->proc, (int)l->len, l->text);
}

static void history(struct fix *f, const char *app, const char *source, const char *dyno, int n,
		    struct got *g)
{
	struct log_filter flt = {0};
	struct err err = {0};

	snprintf(flt.source, sizeof flt.source, "%s", source);
	snprintf(flt.dyno, sizeof flt.dyno, "%s", dyno);
	buf_clear(&g->text);
	*g = (struct got){0};
	assert_int_equal(logd_history(f->d, app, &flt, n, collect, g, &err), 0);
	assert_false(g->disorder);
}

static void expect(struct fix *f, const char *source, const char *dyno, int n, const char *want)
{
	struct got g = {0};

	history(f, APP, source, dyno, n, &g);
	assert_string_equal(buf_str(&g.text), want);
	buf_clear(&g.text);
}

/* --- lines and history --- */

static void lines_have_herokus_form(void **state)
{
	struct log_line l = {
		.ts = 1264947600123456, .source = "app", .proc = "web.1", .text = "hi"};
	AUTO(buf_clear) struct buf b = {0};

	l.len = 2;
	log_format(&l, &b);
	assert_string_equal(buf_str(&b), "2010-01-31T14:20:00.123456+00:00 app[web.1]: hi");
}

static void history_is_complete_and_in_order(void **state)
{
	struct fix *f = *state;

	expect(f, "", "", 100, "");
	say(f, APP, "web.1", "one");
	say(f, OTHER, "web.1", "not ours");
	logd_printf(f->d, APP, "heroku", "router", "at=%s", "info");
	say(f, APP, "web.2", "three");
	expect(f, "", "", 100, "web.1 one\nrouter at=info\nweb.2 three\n");
	expect(f, "", "", 2, "router at=info\nweb.2 three\n");
	expect(f, "", "", 0, "");
	restart(f);
	say(f, APP, "web.1", "four");
	expect(f, "", "", 100, "web.1 one\nrouter at=info\nweb.2 three\nweb.1 four\n");
}

static void filters_take_source_type_and_dyno(void **state)
{
	struct fix *f = *state;

	say(f, APP, "web.1", "a");
	say(f, APP, "web.12", "b");
	say(f, APP, "webhook.1", "c");
	logd_printf(f->d, APP, "heroku", "web.1", "d");
	say(f, APP, "web.x", "e");
	expect(f, "app", "", 9, "web.1 a\nweb.12 b\nwebhook.1 c\nweb.x e\n");
	expect(f, "heroku", "", 9, "web.1 d\n");
	expect(f, "", "web", 9, "web.1 a\nweb.12 b\nweb.1 d\n");
	expect(f, "", "web.1", 9, "web.1 a\nweb.1 d\n");
	expect(f, "app", "web", 1, "web.12 b\n");
}

static void long_lines_and_newlines_split(void **state)
{
	struct fix *f = *state;
	char *text = malloc(2 * LIM_LOG_LINE + 5);
	struct got g = {0};

	memset(text, 'x', 2 * LIM_LOG_LINE + 5);
	logd_append(f->d, APP, "app", "web.1", 0, text, 2 * LIM_LOG_LINE + 5);
	history(f, APP, "", "", 9, &g);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.text.len, 2 * LIM_LOG_LINE + 5 + 3 * strlen("web.1 \n"));
	buf_clear(&g.text);
	free(text);
	say(f, APP, "web.1", "a\n\nb\n");
	expect(f, "", "", 3, "web.1 a\nweb.1 \nweb.1 b\n");
}

static void ids_cannot_leave_the_folder(void **state)
{
	struct fix *f = *state;
	struct got g = {0};
	struct stat st;

	say(f, "../escape", "web.1", "x");
	say(f, "", "web.1", "x");
	history(f, "../escape", "", "", 9, &g);
	assert_int_equal(g.n, 0);
	AUTO(auto_str) char *path = xasprintf("%s/escape", f->dir);
	assert_int_equal(stat(path, &st), -1);
}

static void a_week_is_the_end(void **state)
{
	struct fix *f = *state;

	say(f, APP, "web.1", "old");
	clock_shift(6 * 24 * 3600 * 1000LL);
	expect(f, "", "", 9, "web.1 old\n");
	clock_shift(2 * 24 * 3600 * 1000LL);
	expect(f, "", "", 9, "");
	say(f, APP, "web.1", "new");
	expect(f, "", "", 9, "web.1 new\n");
	clock_shift(-8 * 24 * 3600 * 1000LL);
}

static uint64_t log_bytes(struct fix *f, const char *app, int *files)
{
	AUTO(auto_str) char *path = xasprintf("%s/logs/%s", f->dir, app);
	DIR *d = opendir(path);
	struct dirent *e;
	uint64_t sum = 0;

	for (*files = 0; d && (e = readdir(d));) {
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
			continue;
		sum += (uint64_t)st.st_size;
		++*files;
	}
	if (d)
		closedir(d);
	return sum;
}

static void old_segments_go_and_enough_stays(void **state)
{
	struct fix *f = *state;
	struct got g = {0};
	char text[1000], want[20];
	int files;

	memset(text, 'x', sizeof text);
	for (int i = 0; i < 40000; i++) {
		int n = snprintf(text, 20, "%08d", i);

		text[n] = ' ';
		logd_append(f->d, APP, "app", "web.1", 0, text, (size_t)(i % 500));
		if (i % 1000 == 999)
			history(f, APP, "", "", 1, &g); /* keep the queue from dropping */
	}
	history(f, APP, "", "", LIM_LOG_HISTORY, &g);
	assert_int_equal(g.n, LIM_LOG_HISTORY);
	snprintf(want, sizeof want, "%08d", 40000 - LIM_LOG_HISTORY + 10);
	assert_non_null(strstr(buf_str(&g.text), want));
	assert_true(log_bytes(f, APP, &files) <= (uint64_t)LIM_LOG_APP_BYTES);
	assert_in_range(files, 1, 4);
	/* Lines of full length: the bytes are the bound. */
	for (int i = 0; i < 300; i++) {
		AUTO(buf_clear) struct buf big = {0};

		buf_reserve(&big, 100000);
		memset(big.data, 'y', 100000);
		logd_append(f->d, APP, "app", "web.1", 0, big.data, 100000);
		history(f, APP, "", "", 1, &g);
	}
	assert_true(log_bytes(f, APP, &files) <= (uint64_t)LIM_LOG_APP_BYTES);
	history(f, APP, "", "", LIM_LOG_HISTORY, &g);
	assert_true(g.n >= 500);
	restart(f);
	history(f, APP, "", "", LIM_LOG_HISTORY, &g);
	assert_true(g.n >= 500);
	buf_clear(&g.text);
}

static void numbers_are_never_used_again(void **state)
{
	struct fix *f = *state;
	struct got a = {0}, b = {0};

	say(f, APP, "web.1", "one");
	history(f, APP, "", "", 1, &a);
	restart(f);
	say(f, APP, "web.1", "two");
	history(f, APP, "", "", 1, &b);
	assert_true(b.seq > a.seq);
	buf_clear(&a.text);
	buf_clear(&b.text);
}

/* --- damage --- */

static void torn(struct fix *f, int cut, const char *junk)
{
	AUTO(auto_str) char *path = xasprintf("%s/logs/" APP "/0001.log", f->dir);
	struct stat st;
	int fd;

	logd_stop(f->d);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - cut), 0);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, junk, strlen(junk)), strlen(junk));
	close(fd);
	start(f);
}

static void a_torn_end_is_cut_off(void **state)
{
	struct fix *f = *state;

	for (int cut = 0; cut < 40; cut += 3) {
		say(f, APP, "web.1", "whole");
		say(f, APP, "web.1", "torn");
		expect(f, "", "", 2, "web.1 whole\nweb.1 torn\n");
		torn(f, cut,
		     cut % 2 ? "" : "\x30\1junk at the end of the file, longer than a head");
		say(f, APP, "web.1", "after");
		if (cut)
			expect(f, "", "", 2, "web.1 whole\nweb.1 after\n");
		else
			expect(f, "", "", 3, "web.1 whole\nweb.1 torn\nweb.1 after\n");
	}
}

/* The parent reads how far the child came, kills it in the middle, and looks. */
static void lines_outlive_kill_9(void **state)
{
	struct fix *f = *state;
	struct got g = {0};
	int p[2], acked = 0, status;
	pid_t pid;
	char want[40];

	logd_stop(f->d);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		start(f);
		for (int i = 0;; i++) {
			logd_printf(f->d, APP, "app", "web.1", "line %d", i);
			/* What a history shows is written. */
			if (i % 50 == 49) {
				history(f, APP, "", "", 1, &g);
				if (write(p[1], "x", 1) != 1)
					_exit(1);
			}
		}
	}
	close(p[1]);
	for (char c; acked < 20; acked++)
		assert_int_equal(read(p[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (char c; read(p[0], &c, 1) == 1;)
		acked++;
	close(p[0]);
	start(f);
	say(f, APP, "web.1", "after");
	history(f, APP, "", "", 1500, &g);
	snprintf(want, sizeof want, "web.1 line %d\n", acked * 50 - 1);
	assert_non_null(strstr(buf_str(&g.text), want));
	assert_non_null(strstr(buf_str(&g.text), "\nweb.1 after\n"));
	buf_clear(&g.text);
}

static void a_full_disk_loses_lines_and_says_so(void **state)
{
	struct fix *f = *state;
	struct rlimit old, tight;
	struct got g = {0};

	signal(SIGXFSZ, SIG_IGN);
	say(f, APP, "web.1", "before");
	expect(f, "", "", 9, "web.1 before\n");
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = 100; /* one record and a part: writes are cut short, then fail */
	setrlimit(RLIMIT_FSIZE, &tight);
	say(f, APP, "web.1", "lost 1");
	say(f, APP, "web.1", "lost 2");
	history(f, APP, "", "", 9, &g);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_string_equal(buf_str(&g.text), "web.1 before\n");
	say(f, APP, "web.1", "again");
	history(f, APP, "", "", 9, &g);
	assert_non_null(strstr(buf_str(&g.text), "web.1 before\nweb.1 again\nlogplex Error L13 "
						 "(local delivery error): 2 messages lost since "));
	restart(f);
	history(f, APP, "", "", 9, &g);
	assert_int_equal(g.n, 3);
	buf_clear(&g.text);
}

/* --- bounds --- */

static void hold(void *arg)
{
	sem_wait(arg);
}

static void a_full_queue_drops_and_tells(void **state)
{
	struct fix *f = *state;
	struct got g = {0};
	char want[80];
	sem_t go;

	sem_init(&go, 0, 0);
	loop_post(f->d->loop, hold, &go); /* the log thread is busy */
	for (int i = 0; i < LOGD_QUEUE_LINES + 123; i++)
		say(f, APP, "web.1", "x");
	sem_post(&go);
	history(f, APP, "heroku", "", 5, &g);
	snprintf(want, sizeof want,
		 "logplex Error L12 (local buffer overflow): 123 messages dropped since 20");
	assert_non_null(strstr(buf_str(&g.text), want));
	assert_int_equal(g.n, 1);
	buf_clear(&g.text);
	sem_destroy(&go);
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void open_files_are_bounded(void **state)
{
	struct fix *f = *state;
	int before = open_fds();
	struct got g = {0};
	char app[40];

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 300; i++) {
			snprintf(app, sizeof app, "app-%d", i);
			say(f, app, "web.1", "x");
		}
	for (int i = 0; i < 300; i += 37) {
		snprintf(app, sizeof app, "app-%d", i);
		history(f, app, "", "", 10, &g);
		assert_int_equal(g.n, 3);
	}
	assert_true(open_fds() - before <= LOGD_OPEN_FILES);
	buf_clear(&g.text);
}

static void forgetting_is_for_good(void **state)
{
	struct fix *f = *state;
	AUTO(auto_str) char *path = xasprintf("%s/logs/" APP, f->dir);
	struct stat st;

	say(f, APP, "web.1", "x");
	expect(f, "", "", 9, "web.1 x\n");
	assert_int_equal(stat(path, &st), 0);
	logd_forget(f->d, APP);
	say(f, APP, "web.1", "from a dying dyno");
	expect(f, "", "", 9, "");
	assert_int_equal(stat(path, &st), -1);
	logd_forget(f->d, OTHER); /* nothing there */
}

/* --- the socket --- */

static int dial(struct fix *f)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s/log.sock", f->dir);
	assert_int_equal(connect(fd, (const struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static void add_head(struct buf *b, uint64_t seq, const char *proc)
{
	wire_u64(b, K_SEQ, seq);
	wire_str(b, K_APP, APP);
	wire_str(b, K_SOURCE, strcmp(proc, "router") == 0 ? "heroku" : "app");
	wire_str(b, K_PROC, proc);
}

static void add_text(struct buf *b, uint64_t ts, const char *text)
{
	wire_u64(b, K_TS_US, ts);
	wire_str(b, K_TEXT, text);
}

static void send_all(int fd, const struct buf *b, size_t step)
{
	for (size_t at = 0; at < b->len; at += step) {
		size_t n = b->len - at < step ? b->len - at : step;

		assert_int_equal(write(fd, b->data + at, n), n);
	}
}

/* The sequence number of the next acknowledgement; 0 = the connection was closed. */
static uint64_t ack(int fd)
{
	uint8_t raw[20];
	size_t have = 0;
	struct wire_frame fr;
	struct wire_field fi;

	while (have < sizeof raw) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT), 1);
		n = read(fd, raw + have, sizeof raw - have);
		if (n <= 0)
			return 0;
		have += (size_t)n;
	}
	assert_int_equal(wire_parse(raw, have, &fr), sizeof raw);
	assert_int_equal(fr.type, LOG_ACK);
	assert_int_equal(wire_next(&fr, &fi), 1);
	assert_int_equal(fi.key, K_SEQ);
	return wire_get_u64(&fi);
}

static void batches_are_acknowledged_once_written(void **state)
{
	struct fix *f = *state;
	uint64_t now = (uint64_t)clock_wall_us();
	AUTO(buf_clear) struct buf b = {0};
	int fd = dial(f);
	size_t m;

	m = wire_begin(&b, LOG_BATCH);
	add_head(&b, 7, "web.1");
	add_text(&b, now, "one");
	add_text(&b, now + 1, "two");
	wire_end(&b, m);
	m = wire_begin(&b, 99); /* a frame of the future */
	wire_str(&b, 1234, "x");
	wire_end(&b, m);
	m = wire_begin(&b, LOG_BATCH);
	add_head(&b, 8, "router");
	wire_str(&b, 4321, "a field of the future");
	add_text(&b, now + 2, "at=info");
	wire_u64(&b, K_DROPPED, 5);
	add_text(&b, now + 3, "at=info 2");
	wire_end(&b, m);
	for (size_t step = 1; step < 2000; step *= 30) { /* chunks must not matter */
		send_all(fd, &b, step);
		assert_int_equal(ack(fd), 7);
		assert_int_equal(ack(fd), 8);
	}
	close(fd);
	struct got g = {0};
	history(f, APP, "", "", 100, &g);
	assert_int_equal(g.n, 15);
	history(f, APP, "", "", 5, &g);
	assert_non_null(strstr(buf_str(&g.text), "web.1 one\nweb.1 two\nrouter at=info\nlogplex "
						 "Error L10 (output buffer overflow): 5 messages "
						 "dropped since "));
	assert_non_null(strstr(buf_str(&g.text), "\nrouter at=info 2\n"));
	buf_clear(&g.text);
}

/* A sender that heard no acknowledgement before paasd died says it again. */
static void what_comes_again_is_not_kept_twice(void **state)
{
	struct fix *f = *state;
	uint64_t now = (uint64_t)clock_wall_us();
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, LOG_BATCH);
	int fd;

	add_head(&b, 1, "web.1");
	add_text(&b, now, "same");
	add_text(&b, now, "same"); /* two equal lines are two lines */
	wire_end(&b, m);
	fd = dial(f);
	send_all(fd, &b, b.len);
	assert_int_equal(ack(fd), 1);
	close(fd);
	restart(f);
	m = wire_begin(&b, LOG_BATCH);
	add_head(&b, 2, "web.1");
	add_text(&b, now, "same"); /* and a third one, new */
	add_text(&b, now + 5, "next");
	wire_end(&b, m);
	fd = dial(f);
	send_all(fd, &b, b.len);
	assert_int_equal(ack(fd), 1);
	assert_int_equal(ack(fd), 2);
	close(fd);
	expect(f, "", "", 9, "web.1 same\nweb.1 same\nweb.1 same\nweb.1 next\n");
}

static void nonsense_is_cut_off(void **state)
{
	struct fix *f = *state;
	const char *bad[] = {"\xff\xff\xff\xff\xff\xff\xff\xff",
			     "\0\0\0\x0a\0\1\0\1\0\0\0\x63zzzz"};
	size_t len[] = {8, 14};

	for (int i = 0; i < 2; i++) {
		int fd = dial(f);

		assert_int_equal(write(fd, bad[i], len[i]), len[i]);
		assert_int_equal(ack(fd), 0);
		close(fd);
	}
	say(f, APP, "web.1", "alive");
	expect(f, "", "", 9, "web.1 alive\n");
}

static void an_unwritten_batch_is_not_acknowledged(void **state)
{
	struct fix *f = *state;
	struct rlimit old, tight;
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, LOG_BATCH);
	int fd = dial(f);

	add_head(&b, 1, "web.1");
	add_text(&b, (uint64_t)clock_wall_us(), "line");
	wire_end(&b, m);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = 10;
	setrlimit(RLIMIT_FSIZE, &tight);
	send_all(fd, &b, b.len);
	assert_int_equal(ack(fd), 0);
	setrlimit(RLIMIT_FSIZE, &old);
	close(fd);
	fd = dial(f);
	send_all(fd, &b, b.len);
	assert_int_equal(ack(fd), 1);
	close(fd);
	expect(f, "", "", 9, "web.1 line\n");
}

/* --- tails --- */

struct reader {
	struct loop *l;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct got g;
	int calls, close_at, pause_at;
	struct log_tail *t;
};

static void reader_start(struct reader *r)
{
	*r = (struct reader){.l = loop_new("reader")};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	loop_start_thread(r->l);
}

static void on_lines(const struct log_line *lines, int count, void *arg)
{
	struct reader *r = arg;

	assert_true(loop_is_here(r->l));
	pthread_mutex_lock(&r->lock);
	for (int i = 0; i < count; i++)
		collect(&lines[i], &r->g);
	r->calls++;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	if (r->pause_at && r->g.n >= r->pause_at) {
		r->pause_at = 0;
		log_tail_pause(r->t, true);
	}
	if (r->close_at && r->g.n >= r->close_at) {
		r->close_at = 0;
		log_tail_close(r->t);
		r->t = NULL;
	}
}

static void wait_lines(struct reader *r, int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT / 1000;
	pthread_mutex_lock(&r->lock);
	while (r->g.n < n)
		if (pthread_cond_timedwait(&r->more, &r->lock, &until) != 0)
			break;
	pthread_mutex_unlock(&r->lock);
	assert_true(r->g.n >= n);
}

static void do_close(void *arg)
{
	struct reader *r = arg;

	log_tail_close(r->t);
	r->t = NULL;
}

static void do_pause(void *arg)
{
	log_tail_pause(((struct reader *)arg)->t, true);
}

static void do_resume(void *arg)
{
	log_tail_pause(((struct reader *)arg)->t, false);
}

static void reader_stop(struct reader *r)
{
	loop_call(r->l, do_close, r);
	loop_stop(r->l);
	loop_join(r->l);
	loop_free(r->l);
	buf_clear(&r->g.text);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->more);
}

/* The tail opens in the middle of a stream of lines: it must show the last ones and all that
 * follow. */
static void a_tail_has_no_gap_and_no_repeat(void **state)
{
	struct fix *f = *state;

	for (int round = 0; round < 20; round++) {
		struct reader r;
		char app[20], want[32];
		const char *p;
		int first;

		snprintf(app, sizeof app, "app-%d", round);
		reader_start(&r);
		for (int i = 0; i < 300; i++) {
			logd_printf(f->d, app, "app", "web.1", "%d", i);
			if (i == 100 + round)
				r.t = logd_tail(f->d, app, NULL, 10, 0, r.l, on_lines, &r);
		}
		wait_lines(&r, 10 + 300 - 101 - round);
		pthread_mutex_lock(&r.lock);
		p = buf_str(&r.g.text);
		assert_int_equal(sscanf(p, "web.1 %d\n", &first), 1);
		assert_int_equal(first, 101 + round - 10);
		for (int i = first; i < 300; i++) {
			int n = snprintf(want, sizeof want, "web.1 %d\n", i);

			assert_memory_equal(p, want, (size_t)n);
			p += n;
		}
		assert_string_equal(p, "");
		assert_false(r.g.disorder);
		pthread_mutex_unlock(&r.lock);
		reader_stop(&r);
	}
}

static void a_tail_resumes_after_a_number(void **state)
{
	struct fix *f = *state;
	struct log_filter web2 = {.dyno = "web.2"};
	struct reader r;
	struct got g = {0};

	say(f, APP, "web.1", "seen");
	say(f, APP, "web.2", "seen");
	history(f, APP, "", "", 1, &g);
	for (int i = 0; i < 5; i++) {
		say(f, APP, "web.1", "other");
		logd_printf(f->d, APP, "app", "web.2", "%d", i);
	}
	reader_start(&r);
	r.t = logd_tail(f->d, APP, &web2, 2, g.seq, r.l, on_lines, &r);
	wait_lines(&r, 5);
	say(f, APP, "web.1", "other");
	say(f, APP, "web.2", "live");
	wait_lines(&r, 6);
	assert_string_equal(buf_str(&r.g.text),
			    "web.2 0\nweb.2 1\nweb.2 2\nweb.2 3\nweb.2 4\nweb.2 live\n");
	reader_stop(&r);
	buf_clear(&g.text);
}

static void a_slow_tail_is_told_what_it_missed(void **state)
{
	struct fix *f = *state;
	int more = LIM_LOG_TAIL_QUEUE + 500;
	struct got g = {0};
	struct reader r;
	char last[32];

	reader_start(&r);
	r.t = logd_tail(f->d, APP, NULL, 0, 0, r.l, on_lines, &r);
	say(f, APP, "web.1", "first");
	wait_lines(&r, 1);
	loop_call(r.l, do_pause, &r);
	for (int i = 0; i < more; i++)
		logd_printf(f->d, APP, "app", "web.1", "%d", i);
	history(f, APP, "", "", 1, &g); /* all are written and fed */
	assert_int_equal(r.g.n, 1);
	loop_call(r.l, do_resume, &r);
	wait_lines(&r, 2 + LIM_LOG_TAIL_QUEUE);
	assert_non_null(strstr(buf_str(&r.g.text), "web.1 first\nlogplex Error L11 (tail buffer "
						   "overflow): 500 messages dropped since "));
	assert_non_null(strstr(buf_str(&r.g.text), ".\nweb.1 500\nweb.1 501\n"));
	snprintf(last, sizeof last, "\nweb.1 %d\n", more - 1);
	assert_non_null(strstr(buf_str(&r.g.text), last));
	assert_int_equal(r.g.n, 2 + LIM_LOG_TAIL_QUEUE);
	assert_false(r.g.disorder);
	reader_stop(&r);
	buf_clear(&g.text);
}

static void a_tail_may_pause_or_close_itself(void **state)
{
	struct fix *f = *state;
	struct got g = {0};
	struct reader r;

	reader_start(&r);
	for (int i = 0; i < 600; i++)
		logd_printf(f->d, APP, "app", "web.1", "%d", i);
	r.pause_at = 100;
	r.close_at = 200;
	r.t = logd_tail(f->d, APP, NULL, 600, 0, r.l, on_lines, &r);
	wait_lines(&r, 100);
	history(f, APP, "", "", 1, &g);
	assert_true(r.g.n < 200);
	loop_call(r.l, do_resume, &r);
	wait_lines(&r, 200);
	say(f, APP, "web.1", "after the close");
	history(f, APP, "", "", 1, &g);
	assert_true(r.g.n < 600);
	assert_null(strstr(buf_str(&r.g.text), "after"));
	reader_stop(&r);
	buf_clear(&g.text);
}

static void tails_and_stops_come_in_any_order(void **state)
{
	struct fix *f = *state;
	struct reader r;

	reader_start(&r);
	for (int i = 0; i < 30; i++) {
		for (int j = 0; j < 20; j++)
			logd_printf(f->d, APP, "app", "web.1", "%d", j);
		r.t = logd_tail(f->d, APP, NULL, 10, 0, r.l, on_lines, &r);
		if (i % 3 == 0)
			loop_call(r.l, do_close, &r);
		restart(f); /* the tail outlives its log thread */
		if (i % 3 == 1)
			logd_forget(f->d, APP);
		loop_call(r.l, do_close, &r);
	}
	reader_stop(&r);
}

/* --- many writers --- */

static void *writer_main(void *arg)
{
	struct fix *f = arg;

	for (int i = 0; i < 500; i++)
		logd_printf(f->d, i % 2 ? APP : OTHER, "app", "web.1", "%p %d", (void *)&f, i);
	return NULL;
}

static void many_threads_may_write(void **state)
{
	struct fix *f = *state;
	struct got a = {0}, b = {0};
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, writer_main, f), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	history(f, APP, "", "", 5000, &a);
	history(f, OTHER, "", "", 5000, &b);
	assert_int_equal(a.n + b.n, 2000);
	buf_clear(&a.text);
	buf_clear(&b.text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_herokus_form),
		T(history_is_complete_and_in_order),
		T(filters_take_source_type_and_dyno),
		T(long_lines_and_newlines_split),
		T(ids_cannot_leave_the_folder),
		T(a_week_is_the_end),
		T(old_segments_go_and_enough_stays),
		T(numbers_are_never_used_again),
		T(a_torn_end_is_cut_off),
		T(lines_outlive_kill_9),
		T(a_full_disk_loses_lines_and_says_so),
		T(a_full_queue_drops_and_tells),
		T(open_files_are_bounded),
		T(forgetting_is_for_good),
		T(batches_are_acknowledged_once_written),
		T(what_comes_again_is_not_kept_twice),
		T(nonsense_is_cut_off),
		T(an_unwritten_batch_is_not_acknowledged),
		T(a_tail_has_no_gap_and_no_repeat),
		T(a_tail_resumes_after_a_number),
		T(a_slow_tail_is_told_what_it_missed),
		T(a_tail_may_pause_or_close_itself),
		T(tails_and_stops_come_in_any_order),
		T(many_threads_may_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
