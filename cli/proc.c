#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#define RUN_OUTPUT_MAX (4 * 1024 * 1024)

extern char **environ;

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cli_run(const char *const *argv, struct buf *out)
{
	posix_spawn_file_actions_t acts;
	int fds[2] = {-1, -1}, rc;
	char chunk[4096];
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_addopen(&acts, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&acts, fds[1], 1);
	posix_spawn_file_actions_addopen(&acts, 2, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(&pid, argv[0], &acts, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	close(fds[1]);
	while (rc == 0 && (n = read(fds[0], chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if (out && out->len < RUN_OUTPUT_MAX)
			buf_add(out, chunk, (size_t)n);
	}
	close(fds[0]);
	return rc == 0 ? wait_for(pid) : -1;
}

int cli_run_tty(const char *const *argv)
{
	pid_t pid;

	fflush(NULL);
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0)
		return -1;
	return wait_for(pid);
}
