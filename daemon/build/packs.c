/* Which buildpacks, where they come from, and running them. */
#include "daemon/build/build_int.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define REPORT_S   30
#define DETECT_MAX 65536

/* Detection goes through these in order; procfile takes what nobody else wants. */
static const char *const bundled[] = {"ruby", "nodejs", "python", "static", "make", "procfile"};

/* paas-build's command: BUILD_DIR PACK...; prints the number of the first that fits, and its words.
 */
static const char detect_all[] = "b=$1 i=0; shift\n"
				 "for d; do\n"
				 "  if [[ -x $d/bin/detect ]] && cd -- \"$d\" &&\n"
				 "     n=$(\"$d/bin/detect\" \"$b\" 2>/dev/null </dev/null); then\n"
				 "    printf '%s\\n%s\\n' \"$i\" \"$n\"; exit 0\n"
				 "  fi\n"
				 "  i=$((i + 1))\n"
				 "done\n"
				 "exit 1\n";

char *pack_dir(const struct place *packs, const struct pack *p, bool inside)
{
	return xasprintf("%s/%d", inside ? packs->in : packs->host, p->dir);
}

bool pack_has(const struct build *c, const struct pack *p, const char *name)
{
	AUTO(auto_str) char *path = xasprintf("%s/%d/bin/%s", c->packs.host, p->dir, name);

	return access(path, F_OK) == 0;
}

static bool is_bundled(const char *name, void *arg)
{
	const struct config *cfg = arg;
	AUTO(auto_str) char *path = xasprintf("%s/%s/bin/detect", cfg->buildpacks_dir, name);

	return access(path, F_OK) == 0;
}

/* Archives and copies lose the x bits. */
static int make_executable(const char *dir, struct err *err)
{
	static const char *const names[] = {"detect", "compile", "release",
					    "report", "test",	 "test-compile"};
	AUTO(auto_str) char *bin = xasprintf("%s/bin", dir);
	AUTO(auto_fd) int fd = open(bin, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ARRAY_LEN(names); i++) {
		struct stat st;

		if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (fchmodat(fd, names[i], 0755, 0) < 0)
			return err_errno(err, "chmod bin/%s", names[i]);
	}
	return 0;
}

/* The text of what went wrong has been made for people by whoever failed; only the build's own ends
 * (time, cancel) come through as they are. */
static int fetch_failed(struct build *c, const struct pack *p, const struct err *e, struct err *err)
{
	if (e->code == ERR_CANCELED)
		return queue_stop_err(queue_why(c->b->queue, &c->job), err);
	say_warn(c, "Couldn't get buildpack %s:", p->shown);
	return say_fail(c, err, e->code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_BUILD_FAILED, "%s",
			e->msg);
}

static int fetch(struct build *c, struct pack *p, const char *text, struct err *err)
{
	AUTO(auto_str) char *dir = NULL;
	AUTO(source_clear) struct source s = {0};
	struct fetch f = {.cfg = c->b->cfg,
			  .work = c->work,
			  .deadline = c->deadline,
			  .cancel_fd = c->job.stop_fd};
	struct err e = {0};

	f.dir = dir = pack_dir(&c->packs, p, false);
	if (source_resolve(c->b->cfg, text, is_bundled, (void *)(uintptr_t)c->b->cfg, &s, &e) < 0 ||
	    source_fetch(&s, &f, &e) < 0)
		return fetch_failed(c, p, &e, err);
	/* copies keep the mode of their source, which need not let us write */
	if (chmod(dir, 0755) < 0)
		return err_errno(err, "%s", dir);
	return make_executable(dir, err);
}

static int choose_listed(struct build *c, char *const *list, struct err *err)
{
	for (char *const *t = list; *t; t++) {
		struct pack *p = &c->pack[c->npacks];

		if (c->npacks == LIM_BUILDPACKS)
			return say_fail(c, err, ERR_BUILD_FAILED, "More than %d buildpacks are set",
					LIM_BUILDPACKS);
		p->text = xstrdup(*t);
		p->shown = source_shown(*t);
		p->dir = c->npacks++;
	}
	if (c->npacks == 1)
		say_step(c, "Using buildpack: %s", c->pack[0].shown);
	else
		say_step(c, "Using buildpacks:");
	for (int i = 0; c->npacks > 1 && i < c->npacks; i++)
		say_detail(c, "%d. %s", i + 1, c->pack[i].shown);
	for (int i = 0; i < c->npacks; i++)
		if (fetch(c, &c->pack[i], c->pack[i].text, err) < 0)
			return -1;
	return 0;
}

/* Detect's words as a name: its first line without blanks around. Owned; never empty. */
static char *first_line(const char *text)
{
	size_t n;
	char *name;

	while (isspace((unsigned char)*text))
		text++;
	n = strcspn(text, "\r\n");
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (n > 100)
		n = 100;
	name = n ? xstrndup(text, n) : xstrdup("Unknown");
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return name;
}

static int none_fits(struct build *c, struct err *err)
{
	say_fail(c, err, ERR_BUILD_FAILED, "No default language could be detected for this app.");
	say(c, "\t\t\tHINT: This occurs when no bundled buildpack knows the app by its files, and");
	say(c, "\t\t\tit has no Procfile. Set one with `buildpacks:set`.");
	return -1;
}

static int choose_detected(struct build *c, struct err *err)
{
	const char *names[ARRAY_LEN(bundled)];
	char *dirs[ARRAY_LEN(bundled)];
	AUTO(buf_clear) struct buf out = {0};
	struct script s = {.argv = {"/bin/bash", "-c", detect_all, "paas-detect", c->app.in},
			   .argc = 5,
			   .cwd = c->packs.in,
			   .take = &out,
			   .max = DETECT_MAX};
	struct pack *p = &c->pack[0];
	int n = 0, rc;
	long hit;
	char *rest;

	say_step(c, "Determining which buildpack to use for this app");
	for (size_t i = 0; i < ARRAY_LEN(bundled); i++) {
		if (!is_bundled(bundled[i], (void *)(uintptr_t)c->b->cfg))
			continue;
		p->dir = n;
		p->shown = source_shown(bundled[i]);
		if (fetch(c, p, bundled[i], err) < 0)
			return -1; /* p->shown is freed with the build */
		free(STEAL(p->shown));
		names[n++] = bundled[i];
	}
	for (int i = 0; i < n; i++)
		s.argv[s.argc++] = dirs[i] = xasprintf("%s/%d", c->packs.in, i);
	rc = script_run(c, &s, err);
	for (int i = 0; i < n; i++)
		free(dirs[i]);
	if (rc < 0)
		return -1;
	hit = rc == 0 ? strtol(buf_str(&out), &rest, 10) : -1;
	if (hit < 0 || hit >= n)
		return none_fits(c, err);
	p->dir = (int)hit;
	p->text = source_public_name(c->b->cfg, names[hit]);
	p->shown = xstrdup(p->text);
	p->name = first_line(rest);
	c->npacks = 1;
	return 0;
}

int step_choose(struct build *c, struct err *err)
{
	char *const *list = c->req->buildpacks;
	char *one[2] = {NULL, NULL};

	if (list && *list)
		return choose_listed(c, list, err);
	for (char **v = c->req->config; v && *v; v++)
		if (!strncmp(*v, "BUILDPACK_URL=", 14) && (*v)[14])
			one[0] = *v + 14;
	return one[0] ? choose_listed(c, one, err) : choose_detected(c, err);
}

/* Runs PACK/bin/NAME BUILD_DIR, and CACHE_DIR ENV_DIR when all. */
static int run_pack(struct build *c, const struct pack *p, const char *name, bool all,
		    struct script *s, struct err *err)
{
	AUTO(auto_str) char *dir = pack_dir(&c->packs, p, true);
	AUTO(auto_str) char *exe = xasprintf("%s/bin/%s", dir, name);

	s->argc = 0;
	s->argv[s->argc++] = exe;
	s->argv[s->argc++] = c->app.in;
	if (all) {
		s->argv[s->argc++] = c->cache.in;
		s->argv[s->argc++] = c->env.in;
	}
	s->cwd = dir;
	return script_run(c, s, err);
}

/* What a script left in scratch/; it may have put anything there. */
static void read_scratch(struct build *c, const char *name, struct buf *out)
{
	AUTO(auto_fd) int dir = open(c->scratch.host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		fs_read_at(dir, name, DETECT_MAX, out, NULL);
}

static int does_not_fit(struct build *c, const struct pack *p, struct buf *words, struct err *err)
{
	say_fail(c, err, ERR_BUILD_FAILED, "App not compatible with buildpack: %s", p->shown);
	read_scratch(c, "detect", words);
	if (words->len) {
		say_raw(c, words->data, words->len);
		say_raw(c, "\n", words->data[words->len - 1] != '\n');
	}
	return -1;
}

static int detect(struct build *c, struct pack *p, struct err *err)
{
	AUTO(buf_clear) struct buf words = {0};
	struct script s = {.take = &words, .max = DETECT_MAX, .stderr_file = "detect"};
	int rc;

	if (!pack_has(c, p, "detect") || !pack_has(c, p, "compile"))
		return say_fail(c, err, ERR_BUILD_FAILED, "%s is no buildpack: it has no bin/%s",
				p->shown, pack_has(c, p, "detect") ? "compile" : "detect");
	rc = run_pack(c, p, "detect", false, &s, err);
	if (rc < 0)
		return -1;
	if (rc > 0)
		return does_not_fit(c, p, &words, err);
	p->name = first_line(buf_str(&words));
	return 0;
}

static int compile(struct build *c, struct pack *p, struct err *err)
{
	struct script s = {.exports = true, .exports_of = (int)(p - c->pack)};
	int rc = run_pack(c, p, "compile", true, &s, err);

	p->compiled = true; /* it has begun, so its report counts */
	if (rc == 0)
		return 0;
	if (rc < 0) /* time, cancel, the launcher: not the app's fault, said by what they are */
		return -1;
	c->told = true;
	say(c, "%s", "");
	say_warn(c, "Push rejected, failed to compile %s app.", p->name);
	return err_set(err, ERR_BUILD_FAILED, "failed to compile %s app", p->name);
}

static int check_size(struct build *c, struct err *err)
{
	uint64_t bytes, files;
	char is[16], max[16];

	if (fs_usage(c->app.host, &bytes, &files, err) < 0)
		return -1;
	if (bytes <= LIM_SLUG_TREE)
		return 0;
	say_sizes(bytes, is);
	say_sizes(LIM_SLUG_TREE, max);
	return say_fail(c, err, ERR_SLUG_TOO_LARGE, "Slug size: %s is too large (max is %s).", is,
			max);
}

int step_compile(struct build *c, struct err *err)
{
	for (int i = 0; i < c->npacks; i++) {
		struct pack *p = &c->pack[i];

		if (!p->name && detect(c, p, err) < 0)
			return -1;
		say_step(c, "%s app detected", p->name);
		if (compile(c, p, err) < 0 || check_size(c, err) < 0)
			return -1;
	}
	return 0;
}

/* bin/release of the last one. Whatever is wrong with it is a warning. */
static void read_release(struct build *c, struct release_yaml *out, struct err *err)
{
	const struct pack *p = &c->pack[c->npacks - 1];
	AUTO(buf_clear) struct buf yaml = {0};
	struct script s = {.take = &yaml, .max = LIM_RELEASE_YAML + 1, .stderr_file = "release"};
	struct err e = {0};
	int rc;

	memset(out, 0, sizeof(*out));
	if (!pack_has(c, p, "release"))
		return;
	rc = run_pack(c, p, "release", false, &s, err);
	if (rc < 0)
		return;
	if (rc > 0)
		say_warn(c, "bin/release of %s ended with status %d and is left out", p->shown, rc);
	else if (release_yaml_parse(buf_str(&yaml), yaml.len, out, say_warn_line, c, &e) < 0)
		say_warn(c, "bin/release of %s is left out: %s", p->shown, e.msg);
}

static bool is_set(const struct build_req *req, const char *name)
{
	size_t n = strlen(name);

	for (char **v = req->config; v && *v; v++)
		if (!strncmp(*v, name, n) && (*v)[n] == '=')
			return true;
	return false;
}

/* Defaults count on the first deploy, and only where nothing is set. */
static void take_first_deploy(struct build *c, struct release_yaml *y)
{
	int n = 0;

	if (!c->req->first_deploy)
		return;
	c->res->config = xcalloc((size_t)y->config.n + 1, sizeof(char *));
	for (int i = 0; i < y->config.n; i++)
		if (!is_set(c->req, y->config.v[i].type))
			c->res->config[n++] =
				xasprintf("%s=%s", y->config.v[i].type, y->config.v[i].command);
	c->res->addons = STEAL(y->addons);
	y->naddons = 0;
}

static char *type_names(const struct proc_types *t, const struct proc_types *but)
{
	struct buf b = {0};

	for (int i = 0; i < t->n; i++)
		if (!but || !proc_types_get(but, t->v[i].type))
			buf_addf(&b, "%s%s", b.len ? ", " : "", t->v[i].type);
	return buf_steal(&b);
}

/* A Procfile may be a link within the tree, never out of it. */
static int open_inside(int dir, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

static int read_procfile(struct build *c, struct proc_types *out, struct err *err)
{
	AUTO(auto_fd) int dir = open(c->app.host, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(auto_fd) int fd = -1;
	AUTO(buf_clear) struct buf text = {0};
	struct err e = {0};
	char self[40];

	if (dir < 0)
		return err_errno(err, "%s", c->app.host);
	fd = open_inside(dir, "Procfile");
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return say_fail(c, err, ERR_BUILD_FAILED, "Procfile cannot be read: %s",
				strerror(errno));
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fs_read(self, LIM_PROCFILE, &text, &e) < 0)
		return say_fail(c, err, ERR_BUILD_FAILED, "Procfile is %s",
				e.code == ERR_TOO_LARGE ? "too large" : "no readable file");
	if (procfile_parse_warn(buf_str(&text), text.len, out, say_warn_line, c, &e) < 0)
		return say_fail(c, err, ERR_BUILD_FAILED, "%s", e.msg);
	return 0;
}

int step_types(struct build *c, struct err *err)
{
	AUTO(release_yaml_clear) struct release_yaml y = {0};
	AUTO(auto_str) char *declared = NULL;
	AUTO(auto_str) char *defaults = NULL;
	struct proc_types *types = &c->res->types;
	struct err e = {0};

	read_release(c, &y, &e);
	if (e.code == ERR_CANCELED || e.code == ERR_TIMEOUT || e.code == ERR_DISK_FULL) {
		*err = e;
		return -1;
	}
	if (e.code)
		say_warn(c, "bin/release could not be run: %s", e.msg);
	say_step(c, "Discovering process types");
	if (read_procfile(c, types, err) < 0)
		return -1;
	declared = type_names(types, NULL);
	defaults = type_names(&y.types, types);
	say_detail(c, "Procfile declares types     -> %s", *declared ? declared : "(none)");
	if (*defaults)
		say_detail(c, "Default types for buildpack -> %s", defaults);
	for (int i = 0; i < y.types.n; i++)
		if (!proc_types_get(types, y.types.v[i].type))
			proc_types_set(types, y.types.v[i].type, y.types.v[i].command);
	take_first_deploy(c, &y);
	return 0;
}

/* bin/report of every one that was compiled, whatever came of it; never shown, never fatal. */
void step_reports(struct build *c)
{
	AUTO(auto_str) char *path = xasprintf("%s/report", c->dir);
	AUTO(buf_clear) struct buf lines = {0};

	for (int i = 0; i < c->npacks; i++) {
		const struct pack *p = &c->pack[i];
		AUTO(buf_clear) struct buf out = {0};
		AUTO(buf_clear) struct buf json = {0};
		struct script s = {.take = &out,
				   .max = LIM_RELEASE_YAML + 1,
				   .stderr_file = "report",
				   .limit_s = REPORT_S};
		struct err e = {0};

		if (!p->compiled || !pack_has(c, p, "report"))
			continue;
		if (run_pack(c, p, "report", true, &s, &e) != 0 ||
		    report_parse(buf_str(&out), out.len, &json, &e) < 0) {
			xlog_err(XLOG_DEBUG, "build", &e, "msg=\"no report\" buildpack=%s",
				 xlog_q(p->shown));
			continue;
		}
		buf_addf(&lines, "%s\n", buf_str(&json));
	}
	if (lines.len)
		fs_write_atomic(path, lines.data, lines.len, 0600, NULL);
}
