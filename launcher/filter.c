#include "launcher/host.h"

#include <errno.h>
#include <linux/tiocl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* What no app needs and what has hurt before: keys, tracing, mounts, namespaces, kernel and clock
 * control, and the large new interfaces (bpf, io_uring, userfaultfd). */
static const char *const refused[] = {
	"acct",
	"add_key",
	"adjtimex",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_mempolicy",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mbind",
	"migrate_pages",
	"modify_ldt",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"name_to_handle_at",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pidfd_getfd",
	"pivot_root",
	"process_madvise",
	"process_vm_readv",
	"process_vm_writev",
	"ptrace",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"set_mempolicy",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"stime",
	"swapoff",
	"swapon",
	"syslog",
	"umount",
	"umount2",
	"unshare",
	"userfaultfd",
	"uselib",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
};

static int rules(scmp_filter_ctx c)
{
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
	/* sockets that no network namespace contains, or that nobody needs */
	static const int families[] = {AF_VSOCK, AF_ALG, AF_RDS, AF_TIPC, AF_CAN, AF_BLUETOOTH};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(refused) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(refused[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	/* flags of clone3 cannot be seen by a filter: ENOSYS makes libc fall back to clone */
	if (r == 0)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (uint64_t bit = 1; bit && r == 0; bit <<= 1)
		if (spaces & bit)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
	for (size_t i = 0; i < ARRAY_LEN(families) && r == 0; i++)
		r = seccomp_rule_add(
			c, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)families[i]));
	/* typing into the terminal of whoever attached; the kernel looks at 32 bits only */
	if (r == 0)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	if (r == 0)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCLINUX));
	return r;
}

int ln_filter_make(struct err *err)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int fd = memfd_create("paas-seccomp", MFD_CLOEXEC), r = -ENOMEM;

	if (c && fd >= 0) {
		/* other architectures' numbers would slip through a list of refusals */
		r = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
		if (r == 0)
			seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		if (r == 0)
			r = rules(c);
		if (r == 0)
			r = seccomp_export_bpf(c, fd);
	}
	if (c)
		seccomp_release(c);
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = -r;
	return err_errno(err, "make the system call filter");
}
