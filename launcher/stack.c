#include "launcher/host.h"
#include "launcher/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

/* The template of a stack is a tmpfs in the launcher's own mount namespace: nothing of it is on
 * disk or in the host's mount table, and it ends with the last process that uses it. */

enum { COPY_MAX = 1 << 20 };

/* Never listed: shadow, gshadow, ssh, ssl/private, sudoers, the daemon's own configuration. */
static const char *const etc_files[] = {
	"protocols",	   "services",
	"localtime",	   "timezone",
	"os-release",	   "ld.so.cache",
	"ld.so.conf",	   "bash.bashrc",
	"inputrc",	   "profile",
	"mime.types",	   "debian_version",
	"lsb-release",	   "rpc",
	"gai.conf",	   "magic",
	"mailcap",	   "ca-certificates.conf",
	"locale.alias",	   "papersize",
	"host.conf",	   "ethertypes",
	"apt/apt.conf",	   "apt/preferences",
	"apt/trusted.gpg", "apt/sources.list",
};
static const char *const etc_dirs[] = {
	"ssl/certs",
	"alternatives",
	"php",
	"java-*-openjdk",
	"maven",
	"terminfo",
	"profile.d",
	"apt/sources.list.d",
	"apt/trusted.gpg.d",
	"apt/apt.conf.d",
	"apt/preferences.d",
	"apt/keyrings",
	"ld.so.conf.d",
	"fonts",
	"ImageMagick-*",
	"perl",
	"python3*",
	"dpkg",
	"mysql/conf.d",
	"ca-certificates",
	"X11",
};
static const char *const var_dirs[] = {"lib/dpkg", "lib/apt/lists", "cache/fontconfig"};

static int mkdirs(const char *path)
{
	AUTO(auto_str) char *copy = xstrdup(path);

	for (char *p = copy + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			if (mkdir(copy, 0755) < 0 && errno != EEXIST)
				return -1;
			*p = '/';
		}
	return mkdir(copy, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int put_text(const char *dir, const char *name, const char *text, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", dir, name);
	AUTO(auto_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		return err_errno(err, "write %s", path);
	return 0;
}

/* Copies a file, or a link into /usr as a link. What is missing is left out, and so is what not
 * everyone may read on the host: a proxy's or a mirror's password may be in it. */
static void copy_file(const char *src, const char *dst)
{
	char text[65536], link[512];
	struct stat st;
	ssize_t n = readlink(src, link, sizeof link - 1);
	size_t total = 0;
	AUTO(auto_fd) int in = -1;
	AUTO(auto_fd) int out = -1;

	if (n > 0) {
		link[n] = 0;
		if ((strncmp(link, "/usr/", 5) == 0 || strncmp(link, "../usr/", 7) == 0) &&
		    symlink(link, dst) == 0)
			return;
	}
	in = open(src, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
		return;
	out = open(dst, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	while (out >= 0 && total < COPY_MAX && (n = read(in, text, sizeof text)) > 0 &&
	       write(out, text, (size_t)n) == n)
		total += (size_t)n;
}

/* Read-only, recursive; the flags stay with it when a dyno's root takes it over. */
static int bind_ro(const char *src, const char *dst, struct err *err)
{
	struct mount_attr a = {.attr_set =
				       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	AUTO(auto_fd)
	int tree = open_tree(AT_FDCWD, src, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return errno == ENOENT ? 0 : err_errno(err, "clone %s", src);
	if (mkdirs(dst) < 0)
		return err_errno(err, "create %s", dst);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof a) < 0 ||
	    move_mount(tree, "", AT_FDCWD, dst, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "bind %s", src);
	return 0;
}

/* A name with a pattern in its last part stands for all that match. */
static int bind_matching(const char *src_dir, const char *dst_dir, const char *name,
			 struct err *err)
{
	AUTO(auto_str) char *src = xasprintf("%s/%s", src_dir, name);
	AUTO(auto_str) char *dst = xasprintf("%s/%s", dst_dir, name);
	DIR *d;
	int r = 0;

	if (!strchr(name, '*'))
		return bind_ro(src, dst, err);
	d = opendir(src_dir);
	for (const struct dirent *e = d ? readdir(d) : NULL; e && r == 0; e = readdir(d)) {
		AUTO(auto_str) char *from = xasprintf("%s/%s", src_dir, e->d_name);
		AUTO(auto_str) char *to = xasprintf("%s/%s", dst_dir, e->d_name);
		struct stat st;

		if (fnmatch(name, e->d_name, 0) == 0 && stat(from, &st) == 0 && S_ISDIR(st.st_mode))
			r = bind_ro(from, to, err);
	}
	if (d)
		closedir(d);
	return r;
}

static int resolv_conf(const struct host *h, const char *etc, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	char dns[3][16];

	ln_net_resolvers(h, dns);
	for (int i = 0; i < 3 && dns[i][0]; i++)
		buf_addf(&b, "nameserver %s\n", dns[i]);
	buf_adds(&b, "options timeout:2 attempts:3\n");
	return put_text(etc, "resolv.conf", b.data, err);
}

static int etc_generated(const struct host *h, const char *etc, struct err *err)
{
	static const char *const links[][2] = {
		{"../run/passwd", "passwd"},	 {"../run/group", "group"},
		{"../run/hosts", "hosts"},	 {"../run/hostname", "hostname"},
		{"../proc/self/mounts", "mtab"},
	};
	unsigned char raw[16] = {0};
	char id[34];

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		AUTO(auto_str) char *at = xasprintf("%s/%s", etc, links[i][1]);

		if (symlink(links[i][0], at) < 0)
			return err_errno(err, "link %s", at);
	}
	if (getrandom(raw, sizeof raw, 0) != sizeof raw)
		return err_errno(err, "random bytes");
	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
	id[32] = '\n';
	id[33] = 0;
	if (put_text(etc, "machine-id", id, err) < 0 || resolv_conf(h, etc, err) < 0)
		return -1;
	return put_text(
		etc, "nsswitch.conf",
		"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
		"networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n",
		err);
}

static int make_etc(const struct host *h, const char *from, const char *tmpl, struct err *err)
{
	AUTO(auto_str) char *etc = xasprintf("%s/etc", tmpl);
	AUTO(auto_str) char *host = xasprintf("%s/etc", from);
	AUTO(auto_str) char *apt = xasprintf("%s/apt", etc);
	AUTO(auto_str) char *ssl = xasprintf("%s/ssl", etc);
	AUTO(auto_str) char *service = xasprintf("%s/service", etc); /* services' files go here */
	AUTO(auto_str) char *conf = xasprintf("%s/ssl/openssl.cnf", host);
	AUTO(auto_str) char *conf_to = xasprintf("%s/openssl.cnf", ssl);

	if (mkdirs(apt) < 0 || mkdirs(ssl) < 0 || mkdirs(service) < 0)
		return err_errno(err, "create %s", etc);
	/* the host may have none (all of it in sources.list.d), yet buildpacks copy it unasked */
	if (etc_generated(h, etc, err) < 0 || put_text(apt, "sources.list", "", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(etc_files); i++) {
		AUTO(auto_str) char *src = xasprintf("%s/%s", host, etc_files[i]);
		AUTO(auto_str) char *dst = xasprintf("%s/%s", etc, etc_files[i]);

		copy_file(src, dst);
	}
	copy_file(conf, conf_to);
	for (size_t i = 0; i < ARRAY_LEN(etc_dirs); i++)
		if (bind_matching(host, etc, etc_dirs[i], err) < 0)
			return -1;
	return 0;
}

static int make_var(const char *from, const char *tmpl, struct err *err)
{
	static const char *const dirs[] = {"lib/php", "cache", "log", "lib/misc",
					   "local",   "mail",  "opt", "spool"};
	static const char *const links[][2] = {{"/tmp", "tmp"},
					       {"/run", "run"},
					       {"/run/lock", "lock"},
					       {"/tmp", "lib/php/sessions"}};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO(auto_str) char *path = xasprintf("%s/var/%s", tmpl, dirs[i]);

		if (mkdirs(path) < 0)
			return err_errno(err, "create %s", path);
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		AUTO(auto_str) char *path = xasprintf("%s/var/%s", tmpl, links[i][1]);

		if (symlink(links[i][0], path) < 0)
			return err_errno(err, "link %s", path);
	}
	for (size_t i = 0; i < ARRAY_LEN(var_dirs); i++) {
		AUTO(auto_str) char *src = xasprintf("%s/var/%s", from, var_dirs[i]);
		AUTO(auto_str) char *dst = xasprintf("%s/var/%s", tmpl, var_dirs[i]);

		if (bind_ro(src, dst, err) < 0)
			return -1;
	}
	return 0;
}

/* Not a sysfs: only what run times look for. The memory limit is where v1 hosts have it, because
 * that is where buildpacks' scripts read it. */
static int make_sys(const char *tmpl, struct err *err)
{
	AUTO(auto_str) char *cpu = xasprintf("%s/sys/devices/system/cpu", tmpl);
	AUTO(auto_str) char *memory = xasprintf("%s/sys/fs/cgroup/memory", tmpl);
	AUTO(auto_str) char *limit = xasprintf("%s/memory.limit_in_bytes", memory);

	if (mkdirs(memory) < 0 || symlink("/run/memory.limit_in_bytes", limit) < 0)
		return err_errno(err, "create %s", memory);
	return bind_ro("/sys/devices/system/cpu", cpu, err);
}

static int make(const struct host *h, const char *from, const char *tmpl, struct err *err)
{
	AUTO(auto_str) char *usr_from = xasprintf("%s/usr", from);
	AUTO(auto_str) char *usr = xasprintf("%s/usr", tmpl);

	if (mkdirs(tmpl) < 0)
		return err_errno(err, "create %s", tmpl);
	if (mount("template", tmpl, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m") < 0)
		return err_errno(err, "mount %s", tmpl);
	if (bind_ro(usr_from, usr, err) < 0 || make_etc(h, from, tmpl, err) < 0 ||
	    make_var(from, tmpl, err) < 0 || make_sys(tmpl, err) < 0)
		return -1;
	if (mount(NULL, tmpl, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
	    0)
		return err_errno(err, "seal %s", tmpl);
	return 0;
}

/* Mounts can only be cloned in the namespace that they belong to: the folders that were opened
 * before it was ours are opened again. */
static int reopen(const char *path, int *fd, struct err *err)
{
	int again = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (again < 0)
		return err_errno(err, "open %s", path);
	close(*fd);
	*fd = again;
	return 0;
}

int ln_stack_open(struct host *h, struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(err, "own mount namespace");
	/* slave: disks that the host mounts later appear here too, nothing of ours leaves */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(err, "separate mount namespace");
	if (reopen(h->run, &h->run_fd, err) < 0 || reopen(h->state, &h->state_fd, err) < 0 ||
	    ln_open_dynos(h, err) < 0)
		return -1;
	for (int i = 0; i < h->nro; i++)
		if (h->ro_fd[i] >= 0 && reopen(h->ro[i], &h->ro_fd[i], err) < 0)
			return -1;
	if (mount("box", LN_BOX, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=64k") < 0)
		return err_errno(err, "mount %s", LN_BOX);
	if (mkdir(LN_BOX "/root", 0755) < 0 || mkdir(LN_BOX "/volume", 0700) < 0)
		return err_errno(err, "create folders in %s", LN_BOX);
	return make(h, "", LN_BOX "/host", err);
}

static bool good_name(const char *s)
{
	if (*s == '.' || strlen(s) > 64 || strcmp(s, "root") == 0 || strcmp(s, "host") == 0)
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || strchr("._-", *s)))
			return false;
	return true;
}

char *ln_stack_path(struct host *h, const char *stack, struct err *err)
{
	AUTO(auto_str) char *from = NULL;
	AUTO(auto_str) char *tmpl = NULL;
	AUTO(auto_str) char *made = NULL;
	AUTO(auto_fd) int fd = -1;

	if (!stack || !*stack)
		return xstrdup(LN_BOX "/host");
	from = good_name(stack) ? xasprintf("stacks/%s", stack) : NULL;
	fd = from ? tree_open(h->state_fd, from, O_PATH | O_DIRECTORY) : -1;
	if (fd < 0) {
		err_set(err, ERR_INVALID_PARAMS, "there is no stack %s", stack);
		return NULL;
	}
	tmpl = xasprintf("%s/%s", LN_BOX, stack);
	made = xasprintf("%s/usr", tmpl);
	free(from);
	from = xasprintf("/proc/self/fd/%d", fd);
	if (access(made, F_OK) < 0 && make(h, from, tmpl, err) < 0) {
		umount2(tmpl, MNT_DETACH);
		return NULL;
	}
	return STEAL(tmpl);
}
