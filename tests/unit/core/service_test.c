/* What is said to the service manager. */
#include "tests/unit/test.h"
#include "daemon/core/service.h"
#include "daemon/core/xlog.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void ready_is_told(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(auto_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char got[64] = "", name[108];
	socklen_t len = sizeof a;

	/* a name that the kernel picks, in the abstract space: systemd's may begin with @ */
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a.sun_family), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(name, sizeof name, "@%.*s", (int)(len - sizeof a.sun_family - 1), a.sun_path + 1);
	service_ready();
	assert_int_equal(recv(fd, got, sizeof got, 0), -1);
	setenv("NOTIFY_SOCKET", name, 1);
	service_ready();
	assert_int_equal(recv(fd, got, sizeof got, 0), 7);
	assert_string_equal(got, "READY=1");
	unsetenv("NOTIFY_SOCKET");
}

/* What xlog writes when JOURNAL_STREAM names the file (or another). */
static void log_to(bool ours, char out[512])
{
	char path[] = "/tmp/paas-service-XXXXXX", stream[64];
	AUTO(auto_fd) int fd = mkostemp(path, O_CLOEXEC);
	AUTO(auto_fd) int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct stat st;
	ssize_t n;

	assert_int_equal(fstat(fd, &st), 0);
	unlink(path);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + !ours);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fd, STDERR_FILENO);
	xlog_setup("test", XLOG_INFO, true);
	xlog(XLOG_WARN, "mod", "msg=hello");
	dup2(old, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	xlog_setup("test", XLOG_INFO, true);
	n = pread(fd, out, 511, 0);
	assert_true(n > 0);
	out[n] = 0;
}

static void the_journal_gets_priorities(void **state)
{
	char line[512];

	log_to(true, line);
	assert_string_equal(line, "<4>level=warn program=test module=mod msg=hello\n");
	log_to(false, line);
	assert_memory_equal(line, "ts=2", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_is_told),
		cmocka_unit_test(the_journal_gets_priorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
