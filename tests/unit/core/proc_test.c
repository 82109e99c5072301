#include "daemon/core/proc.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define ARGV(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static int run(const char *const *argv, struct buf *out)
{
	struct proc_spec s = {.argv = argv, .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct err err = {0};
	int rc = proc_run(&s, NULL, 0, out, 1 << 20, clock_mono_ms() + 20000, -1, &err);

	if (rc < 0)
		print_message("%s\n", err.msg);
	return rc;
}

static void output_and_status_are_gathered(void **state)
{
	AUTO(buf_clear) struct buf out = {0};

	assert_int_equal(run(ARGV("sh", "-c", "echo out; echo err >&2; exit 7"), &out), 7);
	assert_string_equal(buf_str(&out), "out\nerr\n");
	assert_int_equal(run(ARGV("sh", "-c", "kill -9 $$"), &out), 128 + SIGKILL);
}

static void input_is_fed_and_output_capped(void **state)
{
	AUTO(buf_clear) struct buf in = {0}, out = {0};
	struct proc_spec s = {.argv = ARGV("cat"), .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct err err = {0};

	for (int i = 0; i < 300000; i++)
		buf_addc(&in, (char)('a' + i % 26));
	assert_int_equal(proc_run(&s, in.data, in.len, &out, 1 << 20, 0, -1, &err), 0);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
	buf_reset(&out);
	assert_int_equal(proc_run(&s, in.data, in.len, &out, 1000, 0, -1, &err), 0);
	assert_int_equal(out.len, 1000);
	/* A program that does not read must not kill us by SIGPIPE. */
	s.argv = ARGV("true");
	assert_int_equal(proc_run(&s, in.data, in.len, &out, 1000, 0, -1, &err), 0);
}

static void a_missing_program_is_an_error_here(void **state)
{
	struct proc_spec s = {.in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct proc p;
	struct err err = {0};

	s.argv = ARGV("no-such-program-here");
	assert_int_equal(proc_spawn(&s, &p, &err), -1);
	assert_string_equal(err.msg, "no-such-program-here: No such file or directory");
	s.argv = ARGV("/etc/passwd");
	assert_int_equal(proc_spawn(&s, &p, &err), -1);
	assert_non_null(strstr(err.msg, "Permission denied"));
	s.argv = ARGV("true");
	s.cwd = "/no/such/folder";
	assert_int_equal(proc_spawn(&s, &p, &err), -1);
	assert_int_equal(err.code, ERR_IO);
}

static void the_environment_is_only_what_is_given(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	struct proc_spec s = {.argv = ARGV("env"), .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct err err = {0};

	setenv("LEAK", "secret", 1);
	assert_int_equal(run(ARGV("env"), &out), 0);
	assert_null(strstr(buf_str(&out), "LEAK"));
	assert_non_null(strstr(buf_str(&out), "PATH="));
	buf_reset(&out);
	s.env = ARGV("PATH=/usr/bin:/bin", "A=b c");
	assert_int_equal(proc_run(&s, NULL, 0, &out, 4096, 0, -1, &err), 0);
	assert_string_equal(buf_str(&out), "PATH=/usr/bin:/bin\nA=b c\n");
	/* Relative PATH entries are not searched. */
	s.env = ARGV("PATH=.:bin");
	assert_int_equal(proc_run(&s, NULL, 0, &out, 4096, 0, -1, &err), -1);
}

static void descriptors_and_signals_do_not_leak(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	AUTO(auto_fd) int a = open("/dev/null", O_RDONLY), b = dup2(a, 77);
	sigset_t set, old;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	assert_int_equal(run(ARGV("sh", "-c",
				  "ls /proc/self/fd | tr '\\n' ' ';"
				  "grep -E 'Sig(Blk|Ign)' /proc/self/status | tr '\\n\\t' '  '"),
			     &out),
			 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(b);
	/* 3 is ls's own. */
	assert_string_equal(buf_str(&out), "0 1 2 3 SigBlk: 0000000000000000 "
					   "SigIgn: 0000000000000000 ");
}

static void closed_stdio_does_not_confuse_the_child(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	int keep0 = dup(0), keep1 = dup(1), keep2 = dup(2), rc;

	close(0);
	close(1);
	close(2);
	rc = run(ARGV("sh", "-c", "cat; echo one; echo two >&2"), &out);
	dup2(keep0, 0);
	dup2(keep1, 1);
	dup2(keep2, 2);
	close(keep0);
	close(keep1);
	close(keep2);
	assert_int_equal(rc, 0);
	assert_string_equal(buf_str(&out), "one\ntwo\n");
}

/* The grandchild keeps the pipe: when all of the group is dead we read end of file. */
static void the_deadline_kills_the_whole_group(void **state)
{
	int p[2];
	struct proc_spec s = {.argv = ARGV("sh", "-c", "sleep 1000 & sleep 1000"), .in_fd = -1};
	struct proc pr;
	struct err err = {0};
	int status = 0;
	char c;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s.out_fd = s.err_fd = p[1];
	assert_int_equal(proc_spawn(&s, &pr, &err), 0);
	close(p[1]);
	assert_int_equal(proc_wait(&pr, clock_mono_ms() + 100, -1, &status, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(poll(&(struct pollfd){.fd = p[0], .events = POLLIN}, 1, 10000), 1);
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);
	proc_kill(&pr, SIGKILL); /* harmless afterwards */
}

static void a_cancel_descriptor_stops_it(void **state)
{
	struct proc_spec s = {
		.argv = ARGV("sleep", "1000"), .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct err err = {0};
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(proc_run(&s, NULL, 0, NULL, 0, 0, p[0], &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	close(p[0]);
	close(p[1]);
}

static void a_left_over_grandchild_does_not_hold_proc_run(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	mono_ms t = clock_mono_ms();

	assert_int_equal(run(ARGV("sh", "-c", "sleep 1000 & echo done"), &out), 0);
	assert_string_equal(buf_str(&out), "done\n");
	assert_true(clock_mono_ms() - t < 15000);
}

static void limits_hold(void **state)
{
	AUTO(buf_clear) struct buf out = {0};
	struct proc_spec s = {
		.argv = ARGV("sh", "-c", "ulimit -v; ulimit -f; ulimit -t; ulimit -c"),
		.in_fd = -1,
		.out_fd = -1,
		.err_fd = -1,
		.lim = {.as_bytes = 1 << 30, .file_bytes = 1 << 20, .cpu_s = 5}};
	struct err err = {0};

	assert_int_equal(proc_run(&s, NULL, 0, &out, 4096, 0, -1, &err), 0);
	assert_string_equal(buf_str(&out), "1048576\n2048\n5\n0\n");
}

static void *spawn_and_end(void *arg)
{
	struct proc_spec s = {.argv = ARGV("sleep", "1000"),
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .die_with_thread = true};
	struct err err = {0};

	assert_int_equal(proc_spawn(&s, arg, &err), 0);
	return NULL;
}

static void die_with_thread_ends_the_child(void **state)
{
	struct err err = {0};
	struct proc p;
	pthread_t t;
	int status = 0;

	assert_int_equal(pthread_create(&t, NULL, spawn_and_end, &p), 0);
	pthread_join(t, NULL);
	assert_int_equal(proc_wait(&p, clock_mono_ms() + 20000, -1, &status, &err), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void starttime_tells_processes_apart(void **state)
{
	struct proc_spec s = {
		.argv = ARGV("sleep", "1000"), .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct err err = {0};
	struct proc p;

	assert_int_not_equal(proc_starttime(getpid()), 0);
	assert_int_equal(proc_starttime(getpid()), proc_starttime(getpid()));
	assert_int_equal(proc_spawn(&s, &p, &err), 0);
	assert_int_not_equal(proc_starttime(p.pid), 0);
	proc_kill(&p, SIGTERM);
	/* Dead but not reaped: a zombie has no start time. */
	assert_int_equal(poll(&(struct pollfd){.fd = p.pidfd, .events = POLLIN}, 1, 10000), 1);
	assert_int_equal(proc_starttime(p.pid), 0);
	assert_int_equal(proc_wait(&p, 0, -1, NULL, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_are_gathered),
		cmocka_unit_test(input_is_fed_and_output_capped),
		cmocka_unit_test(a_missing_program_is_an_error_here),
		cmocka_unit_test(the_environment_is_only_what_is_given),
		cmocka_unit_test(descriptors_and_signals_do_not_leak),
		cmocka_unit_test(closed_stdio_does_not_confuse_the_child),
		cmocka_unit_test(the_deadline_kills_the_whole_group),
		cmocka_unit_test(a_cancel_descriptor_stops_it),
		cmocka_unit_test(a_left_over_grandchild_does_not_hold_proc_run),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(die_with_thread_ends_the_child),
		cmocka_unit_test(starttime_tells_processes_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
