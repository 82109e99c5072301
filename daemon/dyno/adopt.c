/* What a restarted paasd finds: dynos that still run are taken over, ended ones are buried and
 * their end is told. RUN/meta/ID holds what the supervisor must know; RUN/dynos/ID is the
 * launcher's. */
#include "daemon/dyno/dyno_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"
#include "proto/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A launcher that died is started again within moments. */
#define LAUNCHER_AWAY_MS  30000
#define LAUNCHER_AGAIN_MS 50
/* How long a shim whose dyno has ended may take to leave, and how often to look. */
#define SHIM_LEAVES_MS 5000
#define SHIM_STEP_MS   20

enum meta_key {
	M_APP = 1,
	M_RELEASE,
	M_NAME,
	M_COMMAND,
	M_SIZE,
	M_IP,
	M_PORT,
	M_VERSION,
	M_CREATED,
	M_ONEOFF,
	M_CHECKED
};

static void meta_path(const struct dynos *d, const char *id, char *out, size_t cap)
{
	snprintf(out, cap, "%s/meta/%s", launcher_run_dir(d->la), id);
}

int meta_write(const struct dynos *d, const struct dyno_info *i, const char *ip, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_fd) int fd = -1;
	char path[256], tmp[300];
	size_t m = wire_begin(&b, 1);

	wire_str(&b, M_APP, i->app_id);
	wire_str(&b, M_RELEASE, i->release_id);
	wire_str(&b, M_NAME, i->name);
	wire_str(&b, M_COMMAND, i->command);
	wire_str(&b, M_SIZE, i->size);
	wire_str(&b, M_IP, ip);
	wire_u64(&b, M_PORT, (uint64_t)i->port);
	wire_u64(&b, M_VERSION, (uint64_t)i->release_version);
	wire_u64(&b, M_CREATED, (uint64_t)i->created_ms);
	wire_u64(&b, M_CHECKED, i->checked);
	wire_end(&b, m);
	meta_path(d, i->id, path, sizeof path);
	snprintf(tmp, sizeof tmp, "%s.new", path);
	/* No fsync: the run directory does not outlive the machine's boot, and neither do dynos. */
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len || rename(tmp, path) < 0)
		return err_errno(err, "cannot write %s", path);
	return 0;
}

int meta_write_end(const struct dynos *d, const char *id, int exit_code, struct err *err)
{
	char path[256], text[16];

	snprintf(path, sizeof path, "%s/meta/%s.end", launcher_run_dir(d->la), id);
	snprintf(text, sizeof text, "%d", exit_code);
	return fs_write_atomic(path, text, strlen(text), 0600, err);
}

void meta_remove(const struct dynos *d, const char *id)
{
	char path[256];

	meta_path(d, id, path, sizeof path);
	unlink(path);
}

struct found {
	struct dyno_info info;
	bool known; /* meta could be read */
	bool ended; /* status file is there, or its end is noted */
	bool noted; /* an earlier paasd told its end, and noted it */
	bool spooled;
	int exit_code;
};

struct adoption {
	struct dynos *d;
	struct dyno_release *(*release_of)(const char *app_id, const char *release_id, void *arg);
	void (*done)(void *arg);
	void *arg;
	struct found *v; /* owned */
	int n;
};

static void meta_field(struct found *f, const struct wire_field *x)
{
	struct dyno_info *i = &f->info;

	switch (x->key) {
	case M_APP:
		wire_copy_str(x, i->app_id, sizeof i->app_id);
		break;
	case M_RELEASE:
		wire_copy_str(x, i->release_id, sizeof i->release_id);
		break;
	case M_NAME:
		wire_copy_str(x, i->name, sizeof i->name);
		break;
	case M_COMMAND:
		free(i->command);
		i->command = wire_get_str(x);
		break;
	case M_SIZE:
		wire_copy_str(x, i->size, sizeof i->size);
		break;
	case M_IP:
		wire_copy_str(x, i->ip, sizeof i->ip);
		break;
	case M_PORT:
		i->port = (int)wire_get_u64(x);
		break;
	case M_VERSION:
		i->release_version = (int)wire_get_u64(x);
		break;
	case M_CHECKED:
		i->checked = wire_get_u64(x) != 0;
		break;
	case M_CREATED:
		i->created_ms = (wall_ms)wire_get_u64(x);
		break;
	default:
		break;
	}
}

/* paasd may have been killed before it wrote down what the launcher answered: the launcher has a
 * record of its own. A web dyno without address is of no use, and its route would be none. */
static void read_address(const char *run_dir, struct found *f)
{
	struct launch_spec spec = {0};

	if (!f->known || f->info.ip[0])
		return;
	if (sandbox_spec(run_dir, f->info.id, &spec, f->info.ip, NULL) == 0)
		launch_spec_clear(&spec);
	if (!f->info.ip[0] && strcmp(f->info.type, "web") == 0)
		f->known = false;
}

static void read_found(const char *run_dir, struct found *f)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(buf_clear) struct buf st = {0};
	char path[256];
	struct wire_frame fr;
	struct wire_field x;
	int code = 0;

	snprintf(path, sizeof path, "%s/meta/%s", run_dir, f->info.id);
	if (fs_read(path, 1 << 20, &b, NULL) == 0 && wire_parse(b.data, b.len, &fr) > 0) {
		while (wire_next(&fr, &x) > 0)
			meta_field(f, &x);
		f->known = name_split_dyno(f->info.name, f->info.type, &f->info.num);
	}
	read_address(run_dir, f);
	snprintf(path, sizeof path, "%s/dynos/%s/status", run_dir, f->info.id);
	if (fs_read(path, 4096, &st, NULL) < 0)
		return;
	f->ended = true;
	if (sscanf(buf_str(&st), "exit %d", &code) == 1)
		f->exit_code = code;
	else if (sscanf(buf_str(&st), "signal %d", &code) == 1)
		f->exit_code = 128 + code;
	else
		f->exit_code = -1;
}

static void spooled(const struct sandbox_line *l, void *arg)
{
	const struct dynos *d = arg;

	if (l->dropped)
		logd_printf(d->log, l->app_id, "heroku", "logplex",
			    "Error L12 (Local buffer overflow): %llu lines of %s were lost",
			    (unsigned long long)l->dropped, l->proc);
	logd_append(d->log, l->app_id, l->source, l->proc, l->ts, l->text, l->len);
}

void dyno_log_spool(const struct dynos *d, const char *id)
{
	struct err err = {0};

	if (sandbox_spool(launcher_run_dir(d->la), id, spooled, (void *)d, &err) < 0)
		xlog_err(XLOG_WARN, "dyno", &err, "msg=\"cannot read the spool\" dyno_id=%s", id);
}

static bool shim_left(const struct dynos *d, const char *id)
{
	char path[256];

	snprintf(path, sizeof path, "%s/dynos/%s/sock", launcher_run_dir(d->la), id);
	return access(path, F_OK) < 0;
}

/* Of a dyno that ended while paasd was away: its last lines, ahead of the line that tells its end.
 */
static void take_spool(const struct dynos *d, struct found *f, int ms)
{
	mono_ms until = clock_mono_ms() + ms;

	while (!shim_left(d, f->info.id)) {
		if (clock_mono_ms() >= until)
			return;
		poll(NULL, 0, SHIM_STEP_MS);
	}
	dyno_log_spool(d, f->info.id);
	f->spooled = true;
}

static void found_all(void *arg);

static bool is_found(const struct adoption *ad, const char *id)
{
	for (int i = 0; i < ad->n; i++)
		if (strcmp(ad->v[i].info.id, id) == 0)
			return true;
	return false;
}

static const struct gone *end_of(const struct dynos *d, const char *id)
{
	for (int i = 0; i < d->ngone; i++)
		if (strcmp(d->gone[i].id, id) == 0)
			return &d->gone[i];
	return NULL;
}

void end_remember(struct dynos *d, const char *id, int exit_code)
{
	if (end_of(d, id))
		return;
	d->gone = xrealloc(d->gone, (size_t)(d->ngone + 1) * sizeof *d->gone);
	snprintf(d->gone[d->ngone].id, sizeof d->gone->id, "%.36s", id);
	d->gone[d->ngone++].exit_code = exit_code;
}

/* RUN/meta/ID without a dyno: its launch was not even begun, for the launcher makes the folder
 * first and paasd notes the end before it has it removed. RUN/meta/ID.end: how a release command
 * ended. */
static void scan_meta(struct adoption *ad, const char *meta_dir)
{
	DIR *dir = opendir(meta_dir);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		AUTO(auto_str) char *path = xasprintf("%s/%s", meta_dir, e->d_name);
		AUTO(buf_clear) struct buf b = {0};

		if (strlen(e->d_name) == 40 && strcmp(e->d_name + 36, ".end") == 0 &&
		    fs_read(path, 16, &b, NULL) == 0) {
			end_remember(ad->d, e->d_name, atoi(buf_str(&b)));
		} else if (name_is_uuid(e->d_name) && !is_found(ad, e->d_name) && !ad->d->blind) {
			unlink(path);
		}
	}
	if (dir)
		closedir(dir);
}

static int list_dynos(const struct dynos *d, char (**ids)[37], int *n)
{
	mono_ms until = clock_mono_ms() + LAUNCHER_AWAY_MS;
	struct err err = {0};

	while (launcher_list(d->la, ids, n, &err) < 0) {
		if (err.code != ERR_UNAVAILABLE || clock_mono_ms() > until) {
			xlog_err(XLOG_ERROR, "dyno", &err, "msg=\"cannot list dynos\"");
			return -1;
		}
		err = (struct err){0};
		poll(NULL, 0, LAUNCHER_AGAIN_MS);
	}
	return 0;
}

static void scan_job(void *arg)
{
	struct adoption *ad = arg;
	const char *run_dir = launcher_run_dir(ad->d->la);
	AUTO(auto_str) char *meta_dir = xasprintf("%s/meta", run_dir);
	char(*ids)[37] = NULL;
	int n = 0;

	if (mkdir(meta_dir, 0700) < 0 && errno != EEXIST)
		xlog(XLOG_ERROR, "dyno", "msg=\"cannot make %s\"", meta_dir);
	ad->d->blind = list_dynos(ad->d, &ids, &n) < 0;
	ad->v = xcalloc((size_t)n, sizeof *ad->v);
	ad->n = n;
	for (int i = 0; i < n; i++) {
		memcpy(ad->v[i].info.id, ids[i], 37);
		read_found(run_dir, &ad->v[i]);
		if (ad->v[i].ended)
			take_spool(ad->d, &ad->v[i], 0);
	}
	free(ids);
	scan_meta(ad, meta_dir);
	loop_post(ad->d->l, found_all, ad);
}

static void bury_found(struct dynos *d, struct found *f)
{
	struct err err = {0};

	/* These ends outlive one more restart, or it would be run again. */
	if (f->known && !f->noted && end_is_kept(f->info.type) &&
	    meta_write_end(d, f->info.id, f->exit_code, &err) < 0)
		xlog_err(XLOG_ERROR, "dyno", &err, "msg=\"end not kept\" dyno_id=%s", f->info.id);
	if (f->known && !f->spooled)
		take_spool(d, f, SHIM_LEAVES_MS);
	if (dyno_remove_job(d, f->info.id, &err) < 0)
		xlog_err(XLOG_ERROR, "dyno", &err, "msg=\"cannot remove\" dyno_id=%s", f->info.id);
	meta_remove(d, f->info.id);
}

static void bury_found_job(void *arg)
{
	struct adoption *ad = arg;

	for (int i = 0; i < ad->n; i++)
		if (ad->v[i].ended)
			bury_found(ad->d, &ad->v[i]);
	for (int i = 0; i < ad->n; i++)
		dyno_info_clear(&ad->v[i].info);
	free(ad->v);
	free(ad);
}

/* Two runs in one slot: a deploy or restart was under way. The newer release is the replacement;
 * what becomes of the two is dynos_scale's and dynos_deploy's to say. */
static void adopt_into(struct slot *s, struct run *r)
{
	struct run *old = s->cur, *extra;

	if (!s->command)
		s->command = xstrdup(r->info.command);
	snprintf(s->size, sizeof s->size, "%s", r->info.size);
	r->slot = s;
	if (!old) {
		s->cur = r;
		return;
	}
	extra = s->fresh;
	if (old->info.release_version > r->info.release_version) {
		s->cur = r;
		s->fresh = old;
	} else {
		s->fresh = r;
	}
	if (extra)
		run_stop(extra);
}

static void adopt_one(struct dynos *d, struct found *f, struct dyno_release *rel)
{
	struct app *a = dynos_app(d, f->info.app_id, true);
	struct run *r = run_new(a, rel, f->info.type, f->info.num, f->info.command, f->info.size);

	memcpy(r->info.id, f->info.id, sizeof r->info.id);
	memcpy(r->info.ip, f->info.ip, sizeof r->info.ip);
	r->info.port = f->info.port;
	r->info.checked = f->info.checked;
	r->info.created_ms = f->info.created_ms;
	r->oneoff = dyno_is_oneoff(r->info.type);
	if (!r->oneoff) {
		adopt_into(slot_get(a, r->info.type, r->info.num, true), r);
	}
	r->adopting = true;
	d->adopting++;
	run_supervise(r);
}

static void adoption_done(struct dynos *d)
{
	void (*fn)(void *arg) = d->adopted;

	d->adopted = NULL;
	if (fn)
		fn(d->adopted_arg);
}

void adopted_one(struct run *r)
{
	r->adopting = false;
	if (--r->d->adopting == 0)
		adoption_done(r->d);
}

static void found_all(void *arg)
{
	struct adoption *ad = arg;
	struct dynos *d = ad->d;
	int adopted = 0;

	for (int i = 0; i < ad->n; i++) {
		struct found *f = &ad->v[i];
		const struct gone *noted = end_of(d, f->info.id);
		struct dyno_release *rel = NULL;

		/* Its removal was under way: what is left in its folder tells nothing. */
		if (noted) {
			f->ended = f->noted = true;
			f->exit_code = noted->exit_code;
		} else if (f->known && f->ended) {
			logd_printf(d->log, f->info.app_id, "heroku", f->info.name,
				    "Process exited with status %d", f->exit_code);
			end_remember(d, f->info.id, f->exit_code);
		}
		if (f->known && !f->ended)
			rel = ad->release_of(f->info.app_id, f->info.release_id, ad->arg);
		if (f->known && !f->ended && !rel) {
			f->exit_code = DYNO_LOST;
			end_remember(d, f->info.id, f->exit_code);
		}
		/* It was begun all the same, perhaps before the host was started anew. */
		if (!f->known)
			end_remember(d, f->info.id, DYNO_LOST);
		if (rel) {
			adopt_one(d, f, rel);
			adopted++;
		} else {
			f->ended = true; /* nobody wants it: bury */
		}
	}
	xlog(XLOG_INFO, "dyno", "msg=adopted dynos=%d buried=%d", adopted, ad->n - adopted);
	d->adopted = ad->done;
	d->adopted_arg = ad->arg;
	if (d->adopting == 0)
		adoption_done(d);
	if (!pool_submit(d->jobs, bury_found_job, ad))
		abort();
}

void dynos_adopt(struct dynos *d,
		 struct dyno_release *(*release_of)(const char *app_id, const char *release_id,
						    void *arg),
		 void (*done)(void *arg), void *arg)
{
	struct adoption *ad = xcalloc(1, sizeof *ad);

	*ad = (struct adoption){.d = d, .release_of = release_of, .done = done, .arg = arg};
	if (!pool_submit(d->jobs, scan_job, ad))
		abort();
}
