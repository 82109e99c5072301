/* What a process in a dyno must not see or do. Static, so that it needs nothing of the root that it
 * examines. Prints one "name=value" a line; the test knows what each must be.
 *   isolation SLUG_FILE DATABASE ABSTRACT_NAME HOST_PORT GATEWAY OTHER_DYNO_IP OTHER_PORT HOST_PID
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, int yes)
{
	printf("%s=%s\n", name, yes ? "yes" : "no");
}

static int readable(const char *path)
{
	char b[16];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, b, sizeof b);

	if (fd >= 0)
		close(fd);
	return n > 0;
}

static int writable(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	if (fd < 0)
		return 0;
	close(fd);
	unlink(path);
	return 1;
}

/* Connects within a second. */
static int reaches(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), e = 0;
	struct pollfd p = {s, POLLOUT, 0};
	socklen_t n = sizeof e;

	inet_pton(AF_INET, ip, &a.sin_addr);
	if (connect(s, (const struct sockaddr *)&a, sizeof a) < 0 &&
	    (errno != EINPROGRESS || poll(&p, 1, 1000) != 1))
		e = ETIMEDOUT;
	else
		getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &n);
	close(s);
	return e == 0;
}

static int abstract_socket(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n = strlen(name);

	memcpy(a.sun_path + 1, name, n);
	return connect(s, (const struct sockaddr *)&a,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0;
}

/* Whether a system call does anything else than being refused by the filter. */
static int allowed(long r)
{
	return r >= 0 || (errno != EPERM && errno != ENOSYS && errno != EAFNOSUPPORT);
}

static int in_child(int (*fn)(void))
{
	int status = 0;
	pid_t p = fork();

	if (p == 0)
		_exit(fn() ? 1 : 0);
	waitpid(p, &status, 0);
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static int try_newuser(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static int try_clone_newuser(void)
{
	long r = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (r == 0)
		_exit(0);
	return r > 0;
}

static int try_setuid_root(void)
{
	return setuid(0) == 0 || setgid(0) == 0;
}

static void processes(pid_t host_pid)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	int others = 0;
	char path[64];

	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid() &&
		    atoi(e->d_name) != 1)
			others++;
	printf("other_processes=%d\n", others);
	snprintf(path, sizeof path, "/proc/%d/environ", host_pid);
	say("host_process", readable(path) || kill(host_pid, 0) == 0);
	say("init_memory", open("/proc/1/mem", O_RDWR) >= 0);
}

static void files(const char *slug, const char *db)
{
	say("slug_by_host_path", access(slug, F_OK) == 0);
	say("database", access(db, F_OK) == 0);
	say("shadow", access("/etc/shadow", F_OK) == 0);
	say("ssh", access("/etc/ssh", F_OK) == 0);
	say("root_home", writable("/root/x"));
	say("host_run", access("/run/paasd-slots", F_OK) == 0);
	say("usr_writable", writable("/usr/evil") || writable("/usr/local/evil"));
	say("etc_writable", writable("/etc/evil") || writable("/run/evil") || writable("/evil"));
	say("app_writable", writable("/app/file"));
	say("tmp_writable", writable("/tmp/file") && writable("/dev/shm/file"));
	say("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY) >= 0);
	say("sysrq", open("/proc/sysrq-trigger", O_WRONLY) >= 0 && readable("/proc/sysrq-trigger"));
	say("kmsg", readable("/dev/kmsg") || readable("/proc/kmsg"));
	say("kallsyms", readable("/proc/kallsyms"));
	say("cgroup_writable", writable("/sys/fs/cgroup/x") || writable("/sys/fs/cgroup/memory/x"));
	say("cgroup_path_hidden", access("/sys/fs/cgroup/cgroup.procs", F_OK) != 0);
	say("host_disk", readable("/dev/vda") || readable("/dev/sda"));
}

static void calls(void)
{
	char name[8] = {0};
	int fd;

	say("mknod", mknod("/tmp/paas-probe", S_IFBLK | 0600, makedev(254, 0)) == 0);
	unlink("/tmp/paas-probe");
	say("newuser", in_child(try_newuser) || in_child(try_clone_newuser));
	say("setuid", in_child(try_setuid_root));
	say("keyctl", allowed(syscall(SYS_keyctl, 0, -4, 0)));
	say("add_key", allowed(syscall(SYS_add_key, "user", "x", "y", 1, -1 /* this thread's */)));
	say("bpf", allowed(syscall(SYS_bpf, 0, name, sizeof name)));
	say("io_uring", allowed(syscall(SYS_io_uring_setup, 1, name)));
	say("userfaultfd", allowed(syscall(SYS_userfaultfd, 0)));
	say("perf", allowed(syscall(SYS_perf_event_open, name, 0, -1, -1, 0)));
	say("ptrace", allowed(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
	say("mount", mount("none", "/tmp", "tmpfs", 0, NULL) == 0);
	say("umount", umount("/proc/sys") == 0);
	say("setns", allowed(syscall(SYS_setns, -1, 0)));
	say("pivot_root", allowed(syscall(SYS_pivot_root, ".", ".")));
	say("open_by_handle", allowed(syscall(SYS_open_by_handle_at, -1, name, 0)));
	say("hostname", sethostname("x", 1) == 0);
	say("clone3", syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS);
	say("vsock", allowed(socket(40, SOCK_STREAM, 0)));
	say("vsock_high_bits", allowed(syscall(SYS_socket, 0x100000028UL, SOCK_STREAM, 0)));
	say("raw_socket", socket(AF_INET, SOCK_RAW, 1) >= 0);
	say("packet_socket", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	say("pty", fd >= 0);
	errno = 0;
	say("tiocsti", ioctl(fd, TIOCSTI, "x") == 0 || errno != EPERM);
	say("tiocsti_high_bits",
	    syscall(SYS_ioctl, fd, 0x100000000UL | TIOCSTI, "x") == 0 || errno != EPERM);
}

static void status(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256], *nl;

	while (f && fgets(line, sizeof line, f)) {
		nl = strchr(line, '\n');
		if (nl)
			*nl = 0;
		if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs:", 11) == 0 ||
		    strncmp(line, "Seccomp:", 8) == 0 || strncmp(line, "Groups:", 7) == 0) {
			char *colon = strchr(line, ':');

			*colon = 0;
			printf("%s=%s\n", line, colon + 1 + strspn(colon + 1, " \t"));
		}
	}
	printf("uid=%u\ngid=%u\n", getuid(), getgid());
}

int main(int argc, char **argv)
{
	if (argc != 9)
		return 2;
	processes(atoi(argv[8]));
	files(argv[1], argv[2]);
	say("abstract_socket", abstract_socket(argv[3]));
	say("host_loopback", reaches("127.0.0.1", atoi(argv[4])));
	say("host_by_gateway", reaches(argv[5], atoi(argv[4])));
	say("other_dyno", reaches(argv[6], atoi(argv[7])));
	say("metadata", reaches("169.254.169.254", 80));
	calls();
	status();
	return 0;
}
