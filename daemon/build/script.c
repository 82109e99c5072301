#include "daemon/build/build_int.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* paas-build STDERR N EXPORT... COMMAND...: export files hold bash, so only bash can read them, and
 * they may not end or change what comes after. No user text is part of the program. */
static const char wrapper[] =
	"umask 022\n"
	"set +eu\n"
	"__paas_err=$1 __paas_files=(\"${@:3:$2}\") __paas_cmd=(\"${@:3+$2}\")\n"
	"for __paas_f in \"${__paas_files[@]}\"; do . \"$__paas_f\"; set +eu; done\n"
	"[[ -z $__paas_err ]] || exec 2>\"$__paas_err\"\n"
	"exec \"${__paas_cmd[@]}\"\n";

#define BUILD_PIDS	 4096
#define BUILD_CPU_WEIGHT 50 /* apps come first */

struct sink {
	struct build *c;
	const struct script *s;
};

static void on_output(const char *p, size_t n, void *arg)
{
	const struct sink *k = arg;
	size_t room;

	if (!k->s->take) {
		say_raw(k->c, p, n);
		return;
	}
	room = k->s->max - k->s->take->len;
	buf_add(k->s->take, p, n < room ? n : room);
}

/* The locale that official buildpacks set, when the host has it. */
static const char *lang(void)
{
	locale_t l = newlocale(LC_ALL_MASK, "en_US.UTF-8", (locale_t)0);

	if (!l)
		return "C.UTF-8";
	freelocale(l);
	return "en_US.UTF-8";
}

/* Names that mean something here or to every program: not the operator's to pass. */
static bool may_pass(const char *name)
{
	static const char *const own[] = {
		"PATH",
		"HOME",
		"LANG",
		"STACK",
		"SOURCE_VERSION",
		"REQUEST_ID",
		"DYNO",
		"TMPDIR",
		"PWD",
		"SHELL",
		"BUILDPACK_RUNTIMES",
		"PAAS_LIBEXEC",
		"SHELLOPTS",
		"IFS",
		"BASH_ENV",
		"ENV",
		"BUILDPACK_LOG_FILE",
		"LD_PRELOAD",
		"LD_LIBRARY_PATH",
	};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(own[i], name))
			return false;
	return strncmp(name, "GIT_", 4) != 0 || !strncmp(name, "GIT_SSL_CA", 10);
}

/* The mount point of a path below /tmp: that is the build's own folder, where root may make nothing
 * once owners are mapped. */
static void make_mount_point(const struct build *c, const char *path, bool dir)
{
	AUTO(auto_str) char *here = xasprintf("%s%s", c->tmp, path + 4);
	AUTO(auto_fd) int fd = -1;

	if (!dir)
		*strrchr(here, '/') = 0;
	if (fs_mkdirs(here, 0755, NULL) < 0 || dir)
		return;
	here[strlen(here)] = '/';
	fd = open(here, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
}

/* What a value names on this host and scripts do not see anyway: its path, or NULL. */
static const char *passed_path(const struct config *cfg, const char *value, struct stat *st)
{
	static const char *const seen[] = {"/usr", "/etc/ssl"};
	size_t n;

	if (!strncmp(value, "file://", 7))
		value += 7;
	n = strlen(value);
	if (*value != '/' || n < 2 || stat(value, st) < 0)
		return NULL;
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		size_t len = strlen(seen[i]);

		if (!strncmp(value, seen[i], len) && (!value[len] || value[len] == '/'))
			return NULL;
	}
	/* never the daemon's own folder, nor one that holds it, nor what lies in it */
	if (!strncmp(cfg->state_dir, value, n) && (!cfg->state_dir[n] || cfg->state_dir[n] == '/'))
		return NULL;
	return value;
}

/* A folder comes along as a mount, which the launcher must have been told to allow; a file (a
 * certificate) as a copy. */
static void pass_path(struct build *c, struct launch_spec *spec, int i, const char *value)
{
	struct stat st;
	const char *path = passed_path(c->b->cfg, value, &st);
	AUTO(auto_str) char *copy = NULL;

	if (!path || (S_ISDIR(st.st_mode) && c->no_pass))
		return;
	if (!strncmp(path, "/tmp/", 5))
		make_mount_point(c, path, S_ISDIR(st.st_mode));
	if (S_ISDIR(st.st_mode)) {
		launch_spec_bind(spec, path, path, BIND_RO | BIND_OPTIONAL);
		return;
	}
	copy = xasprintf("%s/passed-%d", c->work, i);
	if (access(copy, F_OK) == 0 || place_copy_file(path, copy, 0644, NULL) == 0)
		launch_spec_bind(spec, copy, path, BIND_RO | BIND_OPTIONAL);
}

static void pass_through(struct build *c, struct launch_spec *spec)
{
	char **names = c->b->cfg->build_env;

	for (int i = 0; names && names[i]; i++) {
		const char *value = getenv(names[i]);

		if (!value || !may_pass(names[i]))
			continue;
		launch_spec_env(spec, names[i], value);
		if (!c->plain)
			pass_path(c, spec, i, value);
	}
}

char **build_passed_dirs(const struct config *cfg)
{
	char **out = xcalloc(1, sizeof(char *));
	int n = 0;

	for (char **name = cfg->build_env; name && *name; name++) {
		const char *value = may_pass(*name) ? getenv(*name) : NULL, *path;
		struct stat st;

		path = value ? passed_path(cfg, value, &st) : NULL;
		if (!path || !S_ISDIR(st.st_mode))
			continue;
		out = xrealloc(out, ((size_t)n + 2) * sizeof(char *));
		out[n++] = xstrdup(path);
		out[n] = NULL;
	}
	return out;
}

static void set_env(struct build *c, struct launch_spec *spec)
{
	struct stat st;

	launch_spec_env(spec, "PATH", "/usr/local/bin:/usr/bin:/bin");
	launch_spec_env(spec, "HOME", c->app.in);
	launch_spec_env(spec, "LANG", lang());
	launch_spec_env(spec, "STACK", c->b->cfg->stack);
	launch_spec_env(spec, "SOURCE_VERSION", c->req->commit ? c->req->commit : "");
	launch_spec_env(spec, "REQUEST_ID", c->req->build_id);
	launch_spec_env(spec, "DYNO", "build.1");
	launch_spec_env(spec, "BUILDPACK_LOG_FILE", "/dev/null");
	launch_spec_env(spec, "PAAS_LIBEXEC", c->libexec.in);
	if (c->plain)
		launch_spec_env(spec, "TMPDIR", c->tmp);
	if (stat(c->runtimes.host, &st) == 0 && S_ISDIR(st.st_mode))
		launch_spec_env(spec, "BUILDPACK_RUNTIMES", c->runtimes.in);
	pass_through(c, spec);
}

static void set_binds(const struct build *c, struct launch_spec *spec)
{
	const struct {
		const char *host, *in;
		unsigned flags;
	} binds[] = {
		{c->tmp, "/tmp", BIND_IDMAP},
		{c->app.host, c->app.in, BIND_IDMAP},
		{c->cache.host, c->cache.in, BIND_IDMAP},
		{c->env.host, c->env.in, BIND_IDMAP | BIND_RO},
		{c->packs.host, c->packs.in, BIND_IDMAP},
		{c->scratch.host, c->scratch.in, BIND_IDMAP},
		{c->libexec.host, c->libexec.in, BIND_IDMAP | BIND_RO},
		{c->runtimes.host, c->runtimes.in, BIND_RO | BIND_OPTIONAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(binds); i++)
		if (!(binds[i].flags & BIND_OPTIONAL) || access(binds[i].host, F_OK) == 0)
			launch_spec_bind(spec, binds[i].host, binds[i].in, binds[i].flags);
}

/* The app's databases: `assets:precompile` and its like may ask them. */
static void set_ways(const struct build *c, struct launch_spec *spec)
{
	char ip[16];

	for (int i = 0; i < c->req->nways; i++)
		if (launch_fixed_ip(launcher_info(c->b->la)->gateway, c->req->ways[i].address, ip))
			launch_spec_reach(spec, ip, c->req->ways[i].port);
}

static void add_exports(const struct build *c, const struct script *s, struct launch_spec *spec)
{
	AUTO(auto_str) char *count = NULL;
	char *files[LIM_BUILDPACKS];
	int n = 0;

	for (int i = 0; s->exports && i < s->exports_of; i++) {
		AUTO(auto_str) char *host = pack_dir(&c->packs, &c->pack[i], false);
		AUTO(auto_str) char *in = pack_dir(&c->packs, &c->pack[i], true);
		AUTO(auto_str) char *path = xasprintf("%s/export", host);
		struct stat st;

		if (c->pack[i].compiled && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			files[n++] = xasprintf("%s/export", in);
	}
	count = xasprintf("%d", n);
	launch_spec_arg(spec, count);
	for (int i = 0; i < n; i++) {
		launch_spec_arg(spec, files[i]);
		free(files[i]);
	}
}

static void fill_spec(struct build *c, const struct script *s, struct launch_spec *spec)
{
	AUTO(auto_str)
	char *err_in =
		s->stderr_file ? xasprintf("%s/%s", c->scratch.in, s->stderr_file) : xstrdup("");
	int64_t left_ms = c->deadline - clock_mono_ms();

	uuid_new(spec->id);
	memcpy(spec->app_id, c->req->app_id, sizeof(spec->app_id));
	snprintf(spec->name, sizeof(spec->name), "build.1");
	spec->app_uid = c->req->app_uid;
	spec->stdio = LAUNCH_LINES;
	spec->on_detach = LAUNCH_KILL;
	spec->attach_ms = LIM_ATTACH_MS;
	spec->net = true;
	spec->mem_max = (uint64_t)c->b->cfg->build_memory_mb * (uint64_t)MiB(1);
	spec->pids_max = BUILD_PIDS;
	spec->cpu_weight = BUILD_CPU_WEIGHT;
	/* the launcher's own limit, should paasd be gone */
	spec->ttl_s = (unsigned)(left_ms > 0 ? left_ms / 1000 : 0) + 60;
	spec->cwd = xstrdup(s->cwd);
	launch_spec_arg(spec, "/bin/bash");
	launch_spec_arg(spec, "-c");
	launch_spec_arg(spec, wrapper);
	launch_spec_arg(spec, "paas-build");
	launch_spec_arg(spec, err_in);
	add_exports(c, s, spec);
	for (int i = 0; i < s->argc; i++)
		launch_spec_arg(spec, s->argv[i]);
	if (!c->plain) {
		set_binds(c, spec);
		set_ways(c, spec);
	}
	set_env(c, spec); /* its mounts may lie in /tmp, so after that */
}

static int timed_out(struct build *c, const struct script *s, struct err *err)
{
	if (s->limit_s)
		return err_set(err, ERR_TIMEOUT, "timed out");
	return say_fail(c, err, ERR_TIMEOUT,
			"The build took longer than %lld seconds and was stopped",
			(long long)c->b->cfg->build_timeout_s);
}

/* Once: without the folders of passed variables, when those are what the launcher does not allow.
 */
static bool retry_without_folders(struct build *c, const struct err *err)
{
	if (err->code != ERR_FORBIDDEN || c->no_pass || c->plain)
		return false;
	c->no_pass = true;
	say_warn(c, "Left out: %s (allow it with paas-launcher --ro)", err->msg);
	return true;
}

int script_run(struct build *c, const struct script *s, struct err *err)
{
	struct sink sink = {.c = c, .s = s};
	mono_ms deadline = c->deadline;
	bool oom = false;
	int rc;

	if (s->limit_s && clock_mono_ms() + s->limit_s * 1000 < deadline)
		deadline = clock_mono_ms() + s->limit_s * 1000;
	do {
		struct launch_spec spec = {0};

		fill_spec(c, s, &spec);
		rc = sandbox_run(c->b->la, &spec, deadline, c->job.stop_fd, on_output, &sink, &oom,
				 err);
		launch_spec_clear(&spec);
	} while (rc < 0 && retry_without_folders(c, err));
	if (oom && !s->limit_s)
		say_warn(c, "The build ran out of memory (%lld MB)",
			 (long long)c->b->cfg->build_memory_mb);
	if (rc >= 0)
		return rc;
	if (err->code == ERR_TIMEOUT)
		return timed_out(c, s, err);
	if (err->code == ERR_CANCELED)
		return queue_stop_err(queue_why(c->b->queue, &c->job), err);
	return -1;
}
