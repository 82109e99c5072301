/* From a spec to files on disk and to what the supervisor runs. */
#include "daemon/svc/svc_int.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

DEFINE_AUTO(json_t *, json_decref)

enum { PLAIN_PORTS = 21000, PLAIN_STEP = 2048, PLAIN_TRIES = 5, STOP_S = 60 };

/* --- spec --- */

static json_t *list_json(const char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++)
		json_array_append_new(a, json_string(*v));
	return a;
}

char *svc_spec_json(const struct svc_spec *spec)
{
	AUTO(json_decref)
	json_t *o = json_pack("{s:s, s:o, s:o, s:i, s:I, s:i}", "home", spec->home, "argv",
			      list_json(spec->argv), "env", list_json(spec->env), "port",
			      spec->port, "memory_mb", (json_int_t)spec->memory_mb, "stop_signal",
			      spec->stop_signal);

	return o ? json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
}

static bool good_file(const char *name)
{
	static const char fine[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *name && *name != '.' && strlen(name) < 100 && !name[strspn(name, fine)];
}

int svc_spec_check(const struct svc_spec *spec, struct err *err)
{
	for (int i = 0; i < spec->nfiles; i++)
		if (!good_file(spec->files[i].name))
			return err_set(err, ERR_INVALID_PARAMS,
				       "%.60s is no name for a service's file",
				       spec->files[i].name);
	if (!spec->argv || !spec->argv[0] || spec->argv[0][0] != '/')
		return err_set(err, ERR_INVALID_PARAMS,
			       "a service's program must be an absolute path");
	if (spec->port < 1024 || spec->port > 65535)
		return err_set(err, ERR_INVALID_PARAMS, "a service's port is 1024 to 65535, not %d",
			       spec->port);
	if (spec->memory_mb < 0 || spec->stop_signal < 0 || spec->stop_signal >= NSIG)
		return err_set(err, ERR_INVALID_PARAMS, "a service's limits cannot be so");
	for (const char *const *e = spec->env; e && *e; e++)
		if (**e == '=' || !strchr(*e, '='))
			return err_set(err, ERR_INVALID_PARAMS,
				       "a service's environment is NAME=value");
	return 0;
}

/* --- files --- */

static bool in_spec(const struct svc_spec *spec, const char *name)
{
	for (int i = 0; i < spec->nfiles; i++)
		if (strcmp(spec->files[i].name, name) == 0)
			return true;
	return false;
}

static void drop_others(const char *etc, const struct svc_spec *spec)
{
	DIR *d = opendir(etc);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !in_spec(spec, e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static int write_file(const char *etc, const struct svc_file *f, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", etc, f->name);
	AUTO(buf_clear) struct buf now = {0};
	size_t n = strlen(f->content);
	bool same = fs_read(path, n + 1, &now, NULL) == 0 && now.len == n &&
		    memcmp(buf_str(&now), f->content, n) == 0;

	if (now.len)
		explicit_bzero(now.data, now.len);
	return same ? 0 : fs_write_atomic(path, f->content, n, 0400, err);
}

int svc_write_files(const struct svcs *s, const char *id, const struct svc_spec *spec,
		    struct err *err)
{
	AUTO(auto_str) char *dir = xasprintf("%s/services/%s", s->cfg->state_dir, id);
	AUTO(auto_str) char *data = xasprintf("%s/data", dir);
	AUTO(auto_str) char *etc = xasprintf("%s/etc", dir);

	/* the way must be open to another user where there are no mounts; the folders are not */
	if (fs_mkdirs(dir, 0711, err) < 0 || fs_mkdirs(data, 0700, err) < 0 ||
	    fs_mkdirs(etc, 0700, err) < 0)
		return -1;
	drop_others(etc, spec);
	for (int i = 0; i < spec->nfiles; i++)
		if (write_file(etc, &spec->files[i], err) < 0)
			return -1;
	return 0;
}

/* --- release --- */

static int add_file(struct buf *all, const char *etc, const char *name, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", etc, name);
	AUTO(buf_clear) struct buf b = {0};
	char hash[65];

	if (fs_read(path, (size_t)MiB(1), &b, err) < 0)
		return -1;
	sha256_hex(buf_str(&b), b.len, hash);
	if (b.len)
		explicit_bzero(b.data, b.len);
	buf_addf(all, "\n%s %s", name, hash);
	return 0;
}

/* An id that is the same as long as spec and files are. */
static int fingerprint(const struct svcs *s, const struct store_service *row, char out[37],
		       struct err *err)
{
	AUTO(auto_str) char *etc = xasprintf("%s/services/%s/etc", s->cfg->state_dir, row->id);
	AUTO(buf_clear) struct buf all = {0};
	struct dirent **v = NULL;
	int n = scandir(etc, &v, NULL, alphasort), rc = 0;
	char h[65];

	buf_adds(&all, row->spec);
	for (int i = 0; i < n; i++) {
		if (v[i]->d_name[0] != '.' && rc == 0)
			rc = add_file(&all, etc, v[i]->d_name, err);
		free(v[i]);
	}
	free(v);
	sha256_hex(buf_str(&all), all.len, h);
	snprintf(out, 37, "%.8s-%.4s-8%.3s-8%.3s-%.12s", h, h + 8, h + 12, h + 15, h + 18);
	return rc;
}

static void add_bind(struct dyno_release *r, const char *src, const char *dst, unsigned flags)
{
	r->binds = xrealloc(r->binds, (size_t)(r->nbinds + 1) * sizeof *r->binds);
	r->binds[r->nbinds++] = (struct dyno_bind){xstrdup(src), xstrdup(dst), flags};
}

static void add_env(struct dyno_release *r, int *n, char *owned)
{
	r->env = xrealloc(r->env, (size_t)(*n + 2) * sizeof *r->env);
	r->env[(*n)++] = owned;
	r->env[*n] = NULL;
}

/* Where things are, as the service sees them. */
struct places {
	const char *data, *etc, *home, *ip;
	int port;
};

static void fill_env(struct dyno_release *r, const json_t *spec, const struct places *p)
{
	const json_t *e;
	size_t i;
	int n = 0;

	add_env(r, &n, xstrdup("PATH=/usr/local/bin:/usr/bin:/bin"));
	add_env(r, &n, xstrdup("LANG=C.UTF-8"));
	add_env(r, &n, xasprintf("HOME=%s", p->data));
	json_array_foreach(json_object_get(spec, "env"), i, e)
		add_env(r, &n, xstrdup(json_string_value(e)));
	/* last: nobody but us says where it is */
	add_env(r, &n, xasprintf("SERVICE_DATA=%s", p->data));
	add_env(r, &n, xasprintf("SERVICE_ETC=%s", p->etc));
	add_env(r, &n, xasprintf("SERVICE_HOME=%s", p->home));
	add_env(r, &n, xasprintf("SERVICE_ADDRESS=%s", p->ip));
	add_env(r, &n, xasprintf("SERVICE_PORT=%d", p->port));
}

/* A program below /service is found where that is. */
static char **fill_argv(const json_t *spec, const struct places *p)
{
	const json_t *list = json_object_get(spec, "argv"), *a;
	char **v = xcalloc(json_array_size(list) + 1, sizeof *v);
	size_t i;

	json_array_foreach(list, i, a) v[i] = xstrdup(json_string_value(a));
	if (v[0] && strncmp(v[0], "/service/", 9) == 0) {
		char *there = xasprintf("%s%s", p->home, v[0] + 8);

		free(v[0]);
		v[0] = there;
	}
	return v;
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static struct dyno_service *fill_service(const struct store_service *row, struct svc *v,
					 const json_t *spec, const struct places *p)
{
	struct dyno_service *sv = xcalloc(1, sizeof *sv);

	sv->argv = fill_argv(spec, p);
	sv->cwd = xstrdup(p->data);
	sv->address = row->address;
	sv->port = p->port;
	sv->memory_mb = number(spec, "memory_mb");
	sv->stop_signal = (int)number(spec, "stop_signal");
	sv->stop_s = STOP_S;
	sv->changed = svc_changed;
	sv->arg = v;
	return sv;
}

int svc_release(const struct svcs *s, const struct store_service *row, struct svc *v,
		struct dyno_release **out, struct err *err)
{
	AUTO(json_decref) json_t *spec = json_loads(row->spec, 0, NULL);
	AUTO(auto_str) char *data = xasprintf("%s/services/%s/data", s->cfg->state_dir, row->id);
	AUTO(auto_str) char *etc = xasprintf("%s/services/%s/etc", s->cfg->state_dir, row->id);
	const char *home = json_string_value(json_object_get(spec, "home"));
	struct places p = {"/data", "/etc/service", "/service", v->info.ip, row->port};
	struct dyno_release *r;
	char id[37];

	if (!home || json_array_size(json_object_get(spec, "argv")) == 0)
		return err_set(err, ERR_CORRUPT, "the spec of service %s is damaged", row->id);
	if (fingerprint(s, row, id, err) < 0)
		return err_wrap(err, "files of service %s", row->id);
	if (s->plain)
		p = (struct places){data, etc, home, v->info.ip, row->plain_port};
	r = xcalloc(1, sizeof *r);
	memcpy(r->app_id, row->id, sizeof r->app_id);
	snprintf(r->app_name, sizeof r->app_name, "%.31s", row->kind);
	memcpy(r->release_id, id, sizeof r->release_id);
	r->version = 1;
	r->app_uid = row->uid;
	r->refs = 1;
	add_bind(r, data, "/data", BIND_IDMAP | BIND_HOST);
	add_bind(r, etc, "/etc/service", BIND_IDMAP | BIND_HOST | BIND_RO);
	add_bind(r, home, "/service", BIND_RO);
	fill_env(r, spec, &p);
	r->service = fill_service(row, v, spec, &p);
	*out = r;
	return 0;
}

static bool free_now(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO(auto_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

int svc_plain_port(unsigned address)
{
	for (int i = 0; i < PLAIN_TRIES; i++) {
		int port = PLAIN_PORTS + i * PLAIN_STEP + (int)address;

		if (free_now(port))
			return port;
	}
	return 0;
}
