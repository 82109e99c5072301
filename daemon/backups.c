/* paasd backup, backup:check, restore: the command line of daemon/backup. */
#include "daemon/backup/backup.h"
#include "daemon/commands.h"
#include "daemon/core/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char usage_backup[] =
	"Usage: paasd backup [options] FILE\n"
	"\n"
	"Writes the whole platform to FILE, a tar: apps, code, slugs, config, accounts, "
	"certificates,\n"
	"logs, volumes, databases. FILE must not exist yet; \"-\" is standard output. Run it as "
	"root or\n"
	"as paasd's user, on the server. Everything goes on meanwhile. Without a running paasd it\n"
	"works, too, if no apps and services run.\n"
	"\n"
	"The key that secrets are sealed with (STATE/master.key) is not in it: keep a copy of the "
	"key\n"
	"somewhere else, or nothing can be restored. The archive holds the data of all apps in "
	"the\n"
	"clear, with or without the key: keep it as safe as the server, or encrypt it.\n"
	"\n"
	"  --with-key         the key is in the archive, too\n"
	"  --without-logs     leaves out apps' logs and the output of builds and releases\n"
	"  --frozen-max SECS  how long a volume may take no writes while it is copied (20)\n"
	"  --json             a summary in JSON\n"
	"  --config, --state  and the like: as for paasd itself\n"
	"\n"
	"Examples:\n"
	"  paasd backup /backup/paasd-$(date +%F).tar\n"
	"  paasd backup - | ssh backups.example.com 'cat > paasd.tar'\n"
	"  paasd backup - | age -r age1... > /backup/paasd.tar.age\n"
	"  paasd backup - | restic backup --stdin --stdin-filename paasd.tar\n";

static const char usage_check[] =
	"Usage: paasd backup:check [options] FILE\n"
	"\n"
	"Reads a backup to its end and says whether it is whole (exit status 0). \"-\" is standard "
	"input.\n"
	"\n"
	"  --key FILE   also checks that it was made with this key, and was not changed since\n"
	"  --json       a summary in JSON\n"
	"\n"
	"Examples:\n"
	"  paasd backup:check /backup/paasd-2026-11-23.tar\n"
	"  paasd backup:check --key /root/master.key - < paasd.tar\n";

static const char usage_restore[] =
	"Usage: paasd restore [options] FILE\n"
	"\n"
	"Makes the platform of a backup out of an empty state directory, before its first start: "
	"all of\n"
	"it, or nothing. \"-\" is standard input. Run it as root. Files will belong to whom the "
	"state\n"
	"directory belongs to; if there is none yet, to the user paasd.\n"
	"\n"
	"  --key FILE   the master.key of that platform, unless the backup has it\n"
	"  --json       a summary in JSON\n"
	"  --config, --state  and the like: as for paasd itself\n"
	"\n"
	"Examples:\n"
	"  paasd restore --key /root/master.key /backup/paasd-2026-11-23.tar\n"
	"  ssh backups.example.com 'cat paasd.tar' | paasd restore --key /root/master.key -\n";

struct words {
	const char *file, *key;
	struct backup_options o;
	bool json, help;
	char **rest; /* owned; for paasd_options */
	int nrest;
};

static void words_clear(struct words *w)
{
	free(w->rest);
}
#define words_clear_p words_clear

static bool takes_value(const char *a)
{
	static const char *const names[] = {"--config",	 "--state",	"--listen",
					    "--runtime", "--log-level", "--set"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(a, names[i]) == 0)
			return true;
	return false;
}

static int read_seconds(const char *text, int *out, struct err *err)
{
	char *end = NULL;
	long v = text ? strtol(text, &end, 10) : -1;

	if (!text || !*text || *end || v < 1 || v > BACKUP_FROZEN_MAX_S)
		return err_set(err, ERR_BAD_REQUEST, "--frozen-max takes 1 to %d seconds",
			       BACKUP_FROZEN_MAX_S);
	*out = (int)v;
	return 0;
}

static int one_word(struct words *w, char **argv, int *i, struct err *err)
{
	const char *a = argv[*i];
	bool *flag = strcmp(a, "--with-key") == 0	? &w->o.with_key
		     : strcmp(a, "--without-logs") == 0 ? &w->o.without_logs
		     : strcmp(a, "--json") == 0		? &w->json
		     : strcmp(a, "--help") == 0		? &w->help
							: NULL;

	if (flag)
		return *flag = true, 0;
	if (strcmp(a, "--frozen-max") == 0)
		return read_seconds(argv[*i + 1] ? argv[++*i] : NULL, &w->o.frozen_s, err);
	if (strcmp(a, "--key") == 0 && argv[*i + 1])
		return w->key = argv[++*i], 0;
	if (a[0] == '-' && a[1]) {
		w->rest[w->nrest++] = argv[*i];
		if (takes_value(a) && argv[*i + 1])
			w->rest[w->nrest++] = argv[++*i];
		return 0;
	}
	if (w->file)
		return err_set(err, ERR_BAD_REQUEST, "One file is enough: %s, or %s?", w->file, a);
	w->file = a;
	return 0;
}

static int read_words(struct words *w, int argc, char **argv, struct err *err)
{
	*w = (struct words){.o = {.frozen_s = BACKUP_FROZEN_S}};
	w->rest = xcalloc((size_t)argc + 1, sizeof *w->rest);
	w->rest[w->nrest++] = argv[0];
	for (int i = 1; i < argc; i++)
		if (one_word(w, argv, &i, err) < 0)
			return -1;
	if (!w->file && !w->help)
		return err_set(err, ERR_BAD_REQUEST, "Which file? See paasd %s --help", argv[0]);
	return 0;
}

/* --- while it works --- */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

static bool is_stopped(void *arg)
{
	return stopped;
}

static void tell(void *arg, const char *stage, uint64_t bytes)
{
	fprintf(stderr, "\r\033[K%-10s %llu MB", stage, (unsigned long long)(bytes >> 20));
	fflush(stderr);
}

static struct backup_watch watch_it(void)
{
	const struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
	return (struct backup_watch){NULL, is_stopped, isatty(2) ? tell : NULL};
}

static void end_line(void)
{
	if (isatty(2))
		fputs("\r\033[K", stderr);
}

/* --- what came of it --- */

static void print_json(FILE *f, const struct backup_report *r)
{
	json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:O}", "created",
			      r->created, "product", r->product, "with_key", (int)r->with_key,
			      "with_logs", (int)r->with_logs, "signed", (int)r->trusted, "members",
			      (json_int_t)r->members, "files", (json_int_t)r->files, "bytes",
			      (json_int_t)r->bytes, "notes", r->notes);

	json_dumpf(j, f, JSON_INDENT(2));
	fputc('\n', f);
	json_decref(j);
}

static void print_report(const struct words *w, const char *what, const struct backup_report *r,
			 FILE *f)
{
	size_t i;
	json_t *n;

	if (w->json) {
		print_json(f, r);
		return;
	}
	fprintf(f, "%s: %llu files, %llu MB.\n", what, (unsigned long long)r->files,
		(unsigned long long)(r->bytes >> 20));
	json_array_foreach(r->notes, i, n) fprintf(f, "Note: %s.\n", json_string_value(n));
}

/* --- paasd backup --- */

struct target {
	int fd;
	char *dir, *part; /* owned; part: its name meanwhile, NULL = it has none */
	const char *file; /* NULL = standard output */
};

static void target_clear(struct target *t)
{
	if (t->part)
		unlink(t->part);
	if (t->fd >= 0 && t->file)
		close(t->fd);
	free(t->dir);
	free(t->part);
}
#define target_clear_p target_clear

static int target_open(struct target *t, const char *file, struct err *err)
{
	AUTO(auto_str) char *copy = xstrdup(file);

	*t = (struct target){.fd = 1};
	if (strcmp(file, "-") == 0)
		return isatty(1) ? err_set(err, ERR_BAD_REQUEST, "An archive is not for terminals.")
				 : 0;
	t->file = file;
	t->fd = -1;
	if (access(file, F_OK) == 0)
		return err_set(err, ERR_CONFLICT, "%s exists already.", file);
	t->dir = xstrdup(dirname(copy));
	/* without a name: nothing of it is left whatever happens */
	t->fd = open(t->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (t->fd >= 0)
		return 0;
	t->part = xasprintf("%s.part-%d", file, (int)getpid());
	t->fd = open(t->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t->fd >= 0)
		return 0;
	free(STEAL(t->part));
	return err_errno(err, "%s", file);
}

static int target_name(struct target *t, struct err *err)
{
	char from[40];

	if (t->part)
		return renameat2(AT_FDCWD, t->part, AT_FDCWD, t->file, RENAME_NOREPLACE);
	snprintf(from, sizeof from, "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, from, AT_FDCWD, t->file, AT_SYMLINK_FOLLOW);
}

static int target_done(struct target *t, struct err *err)
{
	AUTO(auto_fd) int dir = -1;

	if (!t->file)
		return 0;
	if (fsync(t->fd) < 0 || target_name(t, err) < 0)
		return err_errno(err, "%s", t->file);
	free(STEAL(t->part));
	dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || fsync(dir) < 0 ? err_errno(err, "%s", t->dir) : 0;
}

/* Nobody else starts a platform here meanwhile. The lock is left to whose directory it is. */
static int lock_state(const struct config *c, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/paasd.lock", c->state_dir);
	struct err why = {0};
	struct stat st;
	int fd = fs_lock(path, &why);

	if (fd < 0)
		return why.code == ERR_CONFLICT
			       ? err_set(err, ERR_CONFLICT,
					 "paasd runs with %s, but does not answer at "
					 "%s/backup.sock: is it still starting, or was it "
					 "started with --dev, or another --run?",
					 c->state_dir, c->run_dir)
			       : err_set(err, (enum err_id)why.code, "%s", why.msg);
	if (stat(c->state_dir, &st) == 0 && geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		return err_errno(err, "%s", path);
	return fd;
}

/* Without a running paasd. */
static int write_still(const struct config *c, const struct words *w, int fd,
		       const struct backup_watch *watch, struct backup_report *r, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/master.key", c->state_dir);
	AUTO(auto_fd) int lock = lock_state(c, err);
	AUTO(master_key_free) struct master_key *key = NULL;
	struct backup_platform f = {.cfg = c};

	if (lock < 0)
		return -1;
	if (access(path, F_OK) < 0)
		return err_set(err, ERR_NOT_FOUND, "There is no platform in %s.", c->state_dir);
	if (master_key_load(path, &key, err) < 0)
		return -1;
	f.key = key;
	return backup_write(&f, &w->o, fd, watch, r, err);
}

static int run_backup(struct config *c, const struct words *w, struct err *err)
{
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(target_clear) struct target t = {.fd = -1};
	const struct backup_watch watch = watch_it();
	int rc;

	if (paasd_options(c, w->nrest, w->rest, err) < 0 || paasd_state_dir(c, err) < 0 ||
	    paasd_run_dir(c, err) < 0 || target_open(&t, w->file, err) < 0)
		return -1;
	rc = backup_ask(c->run_dir, &w->o, t.fd, &watch, &r, err);
	if (rc < 0 && err->code == ERR_NOT_FOUND && !r.members)
		rc = write_still(c, w, t.fd, &watch, &r, err);
	end_line();
	if (rc < 0 || target_done(&t, err) < 0)
		return -1;
	print_report(w, t.file ? t.file : "Done", &r, t.file ? stdout : stderr);
	return 0;
}

/* --- paasd backup:check, restore --- */

static int source_open(const char *file, struct err *err)
{
	int fd = strcmp(file, "-") == 0 ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_errno(err, "%s", file) : fd;
}

static int run_check(struct config *c, const struct words *w, struct err *err)
{
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(master_key_free) struct master_key *key = NULL;
	AUTO(auto_fd) int fd = source_open(w->file, err);
	const struct backup_watch watch = watch_it();
	int rc;

	if (fd < 0 || (w->key && access(w->key, R_OK) < 0 && err_errno(err, "%s", w->key) < 0) ||
	    (w->key && master_key_load(w->key, &key, err) < 0))
		return -1;
	rc = backup_check(fd, key, &watch, &r, err);
	end_line();
	if (rc < 0)
		return -1;
	if (!w->json)
		printf("A whole backup of %s, made by paasd %s%s%s.\n", r.created, r.product,
		       r.with_key ? ", with its key" : "",
		       r.trusted ? ", signed with this key" : "");
	print_report(w, w->file, &r, stdout);
	return 0;
}

/* Whose what is restored will be. */
static int find_owner(const struct config *c, uid_t *uid, gid_t *gid, struct err *err)
{
	struct stat st;
	const struct passwd *pw;

	if (stat(c->state_dir, &st) == 0) {
		*uid = st.st_uid;
		*gid = st.st_gid;
		return 0;
	}
	if (fs_mkdirs(c->state_dir, 0711, err) < 0)
		return -1;
	pw = geteuid() == 0 && !c->dev ? getpwnam("paasd") : NULL;
	*uid = pw ? pw->pw_uid : geteuid();
	*gid = pw ? pw->pw_gid : getegid();
	return pw && chown(c->state_dir, *uid, *gid) < 0 ? err_errno(err, "%s", c->state_dir) : 0;
}

static int run_restore(struct config *c, const struct words *w, struct err *err)
{
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int fd = source_open(w->file, err);
	AUTO(auto_fd) int lock = -1;
	const struct backup_watch watch = watch_it();
	uid_t uid;
	gid_t gid;
	int rc;

	if (fd < 0 || paasd_options(c, w->nrest, w->rest, err) < 0 ||
	    find_owner(c, &uid, &gid, err) < 0 || paasd_state_dir(c, err) < 0)
		return -1;
	lock = lock_state(c, err);
	if (lock < 0)
		return -1;
	rc = backup_restore(fd, c->state_dir, w->key, uid, gid, &watch, &r, err);
	end_line();
	if (rc < 0)
		return -1;
	print_report(w, c->state_dir, &r, stdout);
	if (!w->json && !c->dev)
		printf("It is the platform of %s. Start it: systemctl start paas-launcher "
		       "paas-router.socket paas-router paasd\n",
		       r.created);
	return 0;
}

static const struct verb {
	const char *name, *usage;
	int (*run)(struct config *c, const struct words *w, struct err *err);
} verbs[] = {
	{"backup", usage_backup, run_backup},
	{"backup:check", usage_check, run_check},
	{"restore", usage_restore, run_restore},
};

int cmd_backup(int argc, char **argv)
{
	AUTO(words_clear) struct words w = {0};
	const struct verb *v = verbs;
	struct config c;
	struct err err = {0};
	int rc;

	while (strcmp(v->name, argv[0]) != 0)
		v++;
	if (read_words(&w, argc, argv, &err) < 0)
		return paasd_fail(&err);
	if (w.help) {
		fputs(v->usage, stdout);
		return 0;
	}
	config_init(&c);
	rc = v->run(&c, &w, &err);
	config_clear(&c);
	return rc < 0 ? paasd_fail(&err) : 0;
}
