/* What goes into an archive, and in which order (docs/internals/backup.md): refs of git, the
 * database, then what it refers to, of which nothing is cleaned up meanwhile, and git's objects. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/clock.h"
#include "daemon/core/fsx.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"
#include "daemon/store/service.h"
#include "daemon/store/volume.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TMP   "backup.tmp"
#define UP_MS 60000

struct collect {
	const struct backup_platform *f;
	const struct backup_options *o;
	struct backup_pack p;
	int state;
	json_t *repos; /* object: names of repositories whose refs are in */
	json_t *notes;
	/* as the copy of the database has them */
	struct store_services services;
	struct store_volumes volumes;
	struct store_addons addons;
};

static void collect_clear(struct collect *c)
{
	backup_pack_clear(&c->p);
	if (c->state >= 0)
		close(c->state);
	json_decref(c->repos);
	json_decref(c->notes);
	store_services_clear(&c->services);
	store_volumes_clear(&c->volumes);
	store_addons_clear(&c->addons);
}
#define collect_clear_p collect_clear

static void note(struct collect *c, const char *fmt, ...) PRINTF(2, 3);

static void note(struct collect *c, const char *fmt, ...)
{
	AUTO(buf_clear) struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	json_array_append_new(c->notes, json_string(buf_str(&b)));
}

static int open_dir(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* The folder itself and what is in it; none is fine. */
static int pack_folder(struct collect *c, int dir, const char *name, const char *path,
		       backup_skip *skip, void *arg, struct err *err)
{
	AUTO(auto_fd) int fd = open_dir(dir, name);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "read %s", path);
	if (fstat(fd, &st) < 0 || backup_pack_dir(&c->p, path, st.st_mode, err) < 0)
		return -1;
	return backup_pack_tree(&c->p, path, fd, skip, arg, err);
}

/* --- about.json --- */

static int pack_about(struct collect *c, struct err *err)
{
	AUTO(json_decref) json_t *j = NULL;
	AUTO(auto_str) char *text = NULL;
	char now[CLOCK_ISO_LEN], id[65];

	clock_iso(clock_wall_ms(), now);
	secret_sign(c->f->key, "backup", id);
	j = json_pack("{s:i, s:i, s:s, s:s, s:s, s:b, s:b, s:s}", "format", BACKUP_FORMAT, "schema",
		      sql_migration_count, "product", PAASD_VERSION, "created", now, "host",
		      c->f->cfg->platform_host, "with_key", (int)c->o->with_key, "with_logs",
		      (int)!c->o->without_logs, "key", id);
	text = json_dumps(j, JSON_INDENT(2));
	return backup_pack_bytes(&c->p, BACKUP_ABOUT, text, strlen(text), 0600, err);
}

static int pack_key(struct collect *c, struct err *err)
{
	AUTO(auto_fd) int fd = openat(c->state, "master.key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (!c->o->with_key)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "master.key");
	return backup_pack_file(&c->p, BACKUP_STATE "master.key", fd, &st, err);
}

/* --- git: refs before the database, objects at the end --- */

/* rel is of repos/: NAME.git/... Names with a dot are on their way in or out. */
static bool skip_objects(const char *rel, bool is_dir, void *arg)
{
	struct collect *c = arg;
	const char *slash = strchr(rel, '/');

	if (!slash && (rel[0] == '.' || !is_dir || !ends_in(rel, ".git")))
		return true;
	if (!slash)
		json_object_set_new(c->repos, rel, json_true());
	return slash && ((is_dir && strcmp(slash, "/objects") == 0) || ends_in(rel, ".lock"));
}

static bool skip_temporary(const char *rel, bool is_dir, void *arg)
{
	const char *base = strrchr(rel, '/');

	base = base ? base + 1 : rel;
	return strncmp(base, "tmp_", 4) == 0 || strncmp(base, "incoming-", 9) == 0 ||
	       ends_in(rel, ".lock");
}

static int pack_refs(struct collect *c, struct err *err)
{
	return pack_folder(c, c->state, "repos", BACKUP_STATE "repos", skip_objects, c, err);
}

static int pack_repo(struct collect *c, int repos, const char *name, struct err *err)
{
	bool known = json_object_get(c->repos, name) != NULL;
	AUTO(auto_str) char *from = xasprintf("%s%s", name, known ? "/objects" : "");
	AUTO(auto_str) char *path = xasprintf(BACKUP_STATE "repos/%s", from);

	return pack_folder(c, repos, from, path, skip_temporary, NULL, err);
}

static int pack_objects(struct collect *c, struct err *err)
{
	AUTO(auto_fd) int repos = open_dir(c->state, "repos");
	int copy = repos < 0 ? -1 : openat(repos, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (d && rc == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && ends_in(e->d_name, ".git"))
			rc = pack_repo(c, repos, e->d_name, err);
	if (d)
		closedir(d);
	return rc;
}

/* --- the database --- */

struct db_tx {
	struct collect *c;
	const char *path;
};

static int read_db(struct tx *tx, void *arg, struct err *err)
{
	struct db_tx *t = arg;

	if (store_services_list(tx, &t->c->services, err) < 0 ||
	    store_volumes_list(tx, NULL, NULL, &t->c->volumes, err) < 0 ||
	    store_addons_list(tx, NULL, &t->c->addons, err) < 0)
		return -1;
	return store_copy(tx, t->path, err);
}

static int copy_db(struct collect *c, const char *path, struct err *err)
{
	AUTO(auto_str) char *db = xasprintf("%s/paasd.db", c->f->cfg->state_dir);
	struct db_tx t = {c, path};

	return c->f->live ? store_read(c->f->store, read_db, &t, err)
			  : store_copy_file(db, path, err);
}

static int pack_db(struct collect *c, struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/" TMP, c->f->cfg->state_dir);
	AUTO(auto_str) char *path = xasprintf("%s/paasd.db", dir);
	AUTO(auto_fd) int fd = -1;
	struct stat st;
	int rc;

	if (fs_rmtree(dir, err) < 0 || fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	rc = copy_db(c, path, err);
	fd = rc < 0 ? -1 : open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	fs_rmtree(dir, NULL); /* the open file is enough */
	if (rc < 0)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	return backup_pack_file(&c->p, BACKUP_STATE "paasd.db", fd, &st, err);
}

void backup_sweep(const char *state_dir)
{
	AUTO(auto_str) char *dir = xasprintf("%s/" TMP, state_dir);

	fs_rmtree(dir, NULL);
}

/* --- folders that are as they are --- */

struct left_out {
	const char *name;
	bool logs; /* only without logs */
};

/* Of the state directory: what is packed elsewhere, can be had again, or is of this run. */
static const struct left_out left_out[] = {
	{"master.key", false},	 {"paasd.db", false},	{"paasd.db-wal", false},
	{"paasd.db-shm", false}, {"paasd.lock", false}, {"repos", false},
	{"slugs", false},	 {"services", false},	{"volumes", false},
	{"cache", false},	 {"sources", false},	{"uploads", false},
	{"runtimes", false},	 {"setups", false},	{"dynos", false},
	{"run", false},		 {TMP, false},		{"restore.tmp", false},
	{"launcher.log", false}, {"router.log", false}, {"lost+found", false},
	{"logs", true},		 {"releases", true},	{"builds", true},
	{"drains", true},
};

/* Of builds only what they have said; those under way have trees. */
static bool is_of_build(const char *rel)
{
	const char *base = strrchr(rel, '/');

	return strncmp(rel, "builds/", 7) == 0 && base > rel + 7 &&
	       strncmp(rel, "builds/by-app/", 14) != 0 && strcmp(base, "/output") != 0 &&
	       strcmp(base, "/report") != 0;
}

static bool skip_state(const char *rel, bool is_dir, void *arg)
{
	const struct collect *c = arg;

	for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
		if (strcmp(rel, left_out[i].name) == 0)
			return !left_out[i].logs || c->o->without_logs;
	return is_of_build(rel);
}

static int pack_state(struct collect *c, struct err *err)
{
	return backup_pack_tree(&c->p, BACKUP_TOP "state", c->state, skip_state, c, err);
}

static bool skip_no_slug(const char *rel, bool is_dir, void *arg)
{
	return !strchr(rel, '/') && !name_is_uuid(rel);
}

static int pack_slugs(struct collect *c, struct err *err)
{
	return pack_folder(c, c->state, "slugs", BACKUP_STATE "slugs", skip_no_slug, NULL, err);
}

/* --- what people destroy meanwhile: the copy of the database still has it --- */

struct gone_tx {
	const char *id;
	bool volume, gone;
};

static int look_volume(struct tx *tx, struct gone_tx *t)
{
	AUTO(store_volume_clear) struct store_volume v = {0};
	struct err why = {0};

	if (store_volume_find(tx, t->id, &v, &why) < 0)
		t->gone = why.code == ERR_NOT_FOUND;
	else
		t->gone = v.state == VOLUME_DESTROYING;
	return 0;
}

static int look(struct tx *tx, void *arg, struct err *err)
{
	struct gone_tx *t = arg;
	AUTO(store_service_clear) struct store_service s = {0};
	struct err why = {0};

	if (t->volume)
		return look_volume(tx, t);
	if (store_service_get(tx, t->id, &s, &why) < 0)
		t->gone = why.code == ERR_NOT_FOUND;
	else
		t->gone = !s.wanted;
	return 0;
}

static bool is_gone(const struct collect *c, const char *id, bool volume)
{
	struct gone_tx t = {.id = id, .volume = volume};
	struct err none = {0};

	return store_read(c->f->store, look, &t, &none) == 0 && t.gone;
}

/* --- services --- */

struct stream {
	struct collect *c;
	const struct store_service *row;
	int out, in, cancel; /* of the pipe; an eventfd */
	struct err err;
	int rc;
	char block[65536];
};

static void run_snapshot(void *arg)
{
	struct stream *s = arg;

	s->rc = addon_snapshot(s->c->f->addons, s->row->kind,
			       s->row->shared ? NULL : s->row->addon_id, s->out, s->cancel,
			       &s->err);
	close(s->out);
}

/* Watches whether the backup is still wanted while the provider thinks. */
static la_ssize_t on_stream(struct archive *a, void *arg, const void **p)
{
	struct stream *s = arg;
	struct pollfd f = {s->in, POLLIN, 0};
	struct err err = {0};

	while (poll(&f, 1, 200) <= 0)
		if (backup_pack_tick(&s->c->p, &err) < 0) {
			archive_set_error(a, ECANCELED, "canceled");
			return -1;
		}
	*p = s->block;
	return read(s->in, s->block, sizeof s->block);
}

static bool is_normal(const char *path)
{
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

static int pack_stream_entry(struct stream *s, struct archive *a, struct archive_entry *e,
			     struct err *err)
{
	const char *rel = archive_entry_pathname(e);
	AUTO(auto_str) char *trimmed = NULL;
	AUTO(auto_str) char *path = NULL;
	size_t n;

	while (rel && strncmp(rel, "./", 2) == 0)
		rel += 2;
	n = rel ? strlen(rel) : 0;
	while (n && rel[n - 1] == '/')
		n--;
	trimmed = xstrndup(rel ? rel : "", n);
	if (!n || strcmp(trimmed, ".") == 0)
		return 0;
	if (!is_normal(trimmed))
		return err_set(err, ERR_UNAVAILABLE, "its copy has a member %.100s", trimmed);
	path = xasprintf(BACKUP_STATE "services/%s/data/%s", s->row->id, trimmed);
	return backup_pack_entry(&s->c->p, path, a, e, err);
}

static void stream_reader_free(struct archive *a)
{
	archive_read_free(a);
}
DEFINE_AUTO(struct archive *, stream_reader_free)

static int read_stream(struct stream *s, struct err *err)
{
	AUTO(stream_reader_free) struct archive *a = archive_read_new();
	struct archive_entry *e;
	const void *rest;
	int rc;

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (archive_read_open(a, s, NULL, on_stream, NULL) != ARCHIVE_OK)
		return err_set(err, ERR_UNAVAILABLE, "%s", archive_error_string(a));
	while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK)
		if (pack_stream_entry(s, a, e, err) < 0)
			return -1;
	if (rc != ARCHIVE_EOF)
		return archive_errno(a) == ECANCELED
			       ? err_set(err, ERR_CANCELED, "canceled")
			       : err_set(err, ERR_UNAVAILABLE, "its copy cannot be read: %s",
					 archive_error_string(a));
	while (on_stream(a, s, &rest) > 0)
		continue; /* what pads it */
	return 0;
}

static int pack_snapshot(struct collect *c, const struct store_service *row, struct err *err)
{
	struct stream *s = xcalloc(1, sizeof *s);
	struct thread *t;
	int fds[2], rc = -1;

	*s = (struct stream){.c = c, .row = row, .cancel = eventfd(0, EFD_CLOEXEC)};
	if (s->cancel >= 0 && pipe2(fds, O_CLOEXEC) == 0) {
		s->in = fds[0];
		s->out = fds[1];
		t = thread_new("snapshot", run_snapshot, s);
		rc = read_stream(s, err);
		if (rc < 0)
			eventfd_write(s->cancel, 1);
		close(s->in);
		thread_join(t);
		if (s->rc < 0 && (rc == 0 || s->err.code != ERR_CANCELED)) {
			rc = -1;
			*err = s->err;
		}
	} else {
		err_errno(err, "a pipe");
	}
	if (s->cancel >= 0)
		close(s->cancel);
	free(s);
	return rc;
}

static bool gives_copies(const struct collect *c, const struct store_service *row)
{
	const struct addon_service *s = addon_service_find(c->f->addons, row->kind);

	return s && addon_service_can(s, "snapshot");
}

static bool skip_data(const char *rel, bool is_dir, void *arg)
{
	return strcmp(rel, "data") == 0;
}

/* Up, or on its way: one that starts is waited for. */
static int await_service(struct collect *c, const struct store_service *row, struct err *err)
{
	struct svc_info info;

	return svc_wait(c->f->svcs, row->id, UP_MS, &info, err) < 0
		       ? err_wrap(err, "the process of %s %s", row->kind, row->addon_id)
		       : 0;
}

static int pack_service(struct collect *c, int services, const struct store_service *row,
			struct err *err)
{
	AUTO(auto_str) char *path = xasprintf(BACKUP_STATE "services/%s", row->id);
	AUTO(auto_str) char *data = xasprintf("%s/data", path);

	if (!row->wanted)
		return 0;
	if (!gives_copies(c, row))
		return pack_folder(c, services, row->id, path, NULL, NULL, err);
	if (await_service(c, row, err) < 0) {
		if (!is_gone(c, row->id, false))
			return -1;
		note(c, "an add-on of %s was destroyed meanwhile: its data are not here",
		     row->kind);
		return 0;
	}
	if (pack_folder(c, services, row->id, path, skip_data, NULL, err) < 0 ||
	    backup_pack_dir(&c->p, data, 0700, err) < 0 || pack_snapshot(c, row, err) < 0)
		return err_wrap(err, "the data of a service");
	return 0;
}

static int pack_services(struct collect *c, struct err *err)
{
	AUTO(auto_fd) int fd = open_dir(c->state, "services");

	if (!c->f->live)
		return pack_folder(c, c->state, "services", BACKUP_STATE "services", NULL, NULL,
				   err);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "services");
	if (backup_pack_dir(&c->p, BACKUP_STATE "services", 0711, err) < 0)
		return -1;
	for (int i = 0; i < c->services.n; i++)
		if (pack_service(c, fd, &c->services.v[i], err) < 0)
			return -1;
	return 0;
}

/* Add-ons whose data are not on this machine. */
static bool has_process(const struct collect *c, const struct store_addon *a)
{
	for (int i = 0; i < c->services.n; i++)
		if (strcmp(c->services.v[i].addon_id, a->id) == 0 ||
		    (c->services.v[i].shared && strcmp(c->services.v[i].kind, a->service) == 0))
			return true;
	return false;
}

static void note_outside(struct collect *c)
{
	for (int i = 0; i < c->addons.n; i++) {
		const struct store_addon *a = &c->addons.v[i];
		const struct addon_service *s = addon_service_find(c->f->addons, a->service);

		if (s && !has_process(c, a) && (s->http || addon_service_can(s, "snapshot")))
			note(c, "%s (%s) is kept by an outside server: its data are not here",
			     a->name, a->service);
	}
}

/* --- volumes --- */

static int pack_volume(struct collect *c, const struct store_volume *row, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf(BACKUP_STATE "volumes/%s", row->id);
	AUTO(auto_str) char *image = xasprintf("%s/image", path);
	AUTO(auto_str) char *data = xasprintf("%s/data", path);
	AUTO(auto_str) char *size = xasprintf("%s/size", path);
	AUTO(auto_fd) int fd = -1;
	struct launcher_volume v;
	char text[32];
	struct stat st;
	int rc;

	if (row->state != VOLUME_AVAILABLE)
		return 0;
	if (launcher_volume_copy(c->f->launcher, row->id, (unsigned)c->o->frozen_s,
				 (uint64_t)MiB(c->f->cfg->disk_reserve_mb), &v, &fd, err) < 0) {
		if (!is_gone(c, row->id, true))
			return err_wrap(err, "volume %s", row->name);
		note(c, "the volume %s was destroyed meanwhile: its files are not here", row->name);
		return 0;
	}
	if (fstat(fd, &st) < 0 || backup_pack_dir(&c->p, path, 0700, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		rc = backup_pack_dir(&c->p, data, st.st_mode, err) < 0 ||
				     backup_pack_tree(&c->p, data, fd, NULL, NULL, err) < 0
			     ? -1
			     : 0;
	else
		rc = backup_pack_file(&c->p, image, fd, &st, err);
	snprintf(text, sizeof text, "%llu\n", (unsigned long long)v.size);
	return rc < 0 ? err_wrap(err, "volume %s", row->name)
		      : backup_pack_bytes(&c->p, size, text, strlen(text), 0600, err);
}

static int pack_volumes(struct collect *c, struct err *err)
{
	struct stat st;
	int rc = 0;

	c->p.owner = "root";
	if (!c->f->live) {
		if (fstatat(c->state, "volumes", &st, AT_SYMLINK_NOFOLLOW) == 0 && geteuid() != 0)
			return err_set(
				err, ERR_FORBIDDEN,
				"Volumes are root's: run this as root, or while paasd runs.");
		rc = pack_folder(c, c->state, "volumes", BACKUP_STATE "volumes", NULL, NULL, err);
	} else if (c->volumes.n) {
		rc = backup_pack_dir(&c->p, BACKUP_STATE "volumes", 0700, err);
	}
	for (int i = 0; i < c->volumes.n && rc == 0; i++)
		rc = pack_volume(c, &c->volumes.v[i], err);
	c->p.owner = "paasd";
	return rc;
}

/* --- without a running paasd: nothing else may run --- */

static bool answers(int dir, const char *id)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(auto_fd) int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%.36s/sock", dir, id);
	return s >= 0 && connect(s, (const struct sockaddr *)&a, sizeof a) == 0;
}

static int is_quiet(const struct collect *c, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/dynos", c->f->cfg->run_dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool busy = false;

	while (d && !busy && (e = readdir(d)))
		busy = e->d_name[0] != '.' && answers(fd, e->d_name);
	if (d)
		closedir(d);
	if (!busy)
		return 0;
	return err_set(err, ERR_CONFLICT,
		       "paasd does not run, but apps and services do: start paasd, or end them "
		       "(paas-launcher --cleanup --run %s --state %s).",
		       c->f->cfg->run_dir, c->f->cfg->state_dir);
}

/* --- all of it --- */

static const struct step {
	const char *name;
	int (*run)(struct collect *c, struct err *err);
} steps[] = {
	{"start", pack_about},	     {"key", pack_key},		{"code", pack_refs},
	{"database", pack_db},	     {"files", pack_state},	{"slugs", pack_slugs},
	{"services", pack_services}, {"volumes", pack_volumes}, {"code", pack_objects},
};

static int run_steps(struct collect *c, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		c->p.stage = steps[i].name;
		c->p.told = 0;
		if (backup_pack_tick(&c->p, err) < 0 || steps[i].run(c, err) < 0)
			return -1;
	}
	if (c->f->live)
		note_outside(c);
	c->p.stage = "end";
	return backup_pack_close(&c->p, c->f->key, c->notes, err);
}

static void hold(const struct backup_platform *f, bool on)
{
	if (!f->live)
		return;
	slugs_hold(f->slugs, on);
	git_hold(f->git, on);
	if (!on && f->done)
		f->done(f->arg);
}

static void report(const struct collect *c, struct backup_report *out)
{
	snprintf(out->product, sizeof out->product, "%s", PAASD_VERSION);
	clock_iso(clock_wall_ms(), out->created);
	out->with_key = c->o->with_key;
	out->with_logs = !c->o->without_logs;
	out->trusted = true;
	out->members = c->p.sums.members;
	out->files = c->p.sums.files;
	out->bytes = c->p.sums.bytes;
	out->notes = json_incref(c->notes);
}

int backup_write(const struct backup_platform *f, const struct backup_options *o, int fd,
		 const struct backup_watch *watch, struct backup_report *out, struct err *err)
{
	AUTO(collect_clear)
	struct collect c = {.f = f,
			    .o = o,
			    .repos = json_object(),
			    .notes = json_array(),
			    .state = open(f->cfg->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int rc;

	*out = (struct backup_report){0};
	c.p.sums.lines = -1;
	if (c.state < 0)
		return err_errno(err, "open %s", f->cfg->state_dir);
	if ((!f->live && is_quiet(&c, err) < 0) || backup_pack_open(&c.p, fd, watch, err) < 0)
		return -1;
	hold(f, true);
	rc = run_steps(&c, err);
	hold(f, false);
	if (rc == 0)
		report(&c, out);
	return rc;
}
