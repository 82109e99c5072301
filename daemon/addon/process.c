/* Long-lived processes of services: one for all add-ons, or one of each (daemon/svc). */
#include "daemon/addon/addon_int.h"
#include "daemon/core/xlog.h"

#include <signal.h>
#include <stdio.h>

#define UP_MS 60000

/* --- a spec out of JSON --- */

struct spec {
	struct svc_spec s;
	const char **argv, **env;
	struct svc_file *files;
};

static void spec_clear(struct spec *s)
{
	free(s->argv);
	free(s->env);
	free(s->files);
	*s = (struct spec){0};
}
#define spec_clear_p spec_clear

static const char **texts(const json_t *list)
{
	const char **v = xcalloc(json_array_size(list) + 1, sizeof *v);
	size_t i;
	json_t *t;

	json_array_foreach(list, i, t)
	{
		v[i] = json_string_value(t);
		if (!v[i] || strlen(v[i]) != json_string_length(t)) {
			free(v);
			return NULL;
		}
	}
	return v;
}

static bool read_files(const json_t *files, struct spec *out)
{
	const char *name;
	json_t *v;

	out->files = xcalloc(json_object_size(files) + 1, sizeof *out->files);
	json_object_foreach((json_t *)(uintptr_t)files, name, v)
	{
		if (!*name || strchr(name, '/') || *name == '.' || strlen(name) > 100 ||
		    !json_is_string(v))
			return false;
		out->files[out->s.nfiles++] = (struct svc_file){name, json_string_value(v)};
	}
	return true;
}

static bool read_env(const json_t *env, struct spec *out)
{
	out->env = texts(env);
	for (int i = 0; out->env && out->env[i]; i++)
		if (!strchr(out->env[i], '=') || out->env[i][0] == '=')
			return false;
	return out->env != NULL;
}

/* "INT"; 0 when there is none, -1 when it is not known. */
static int read_signal(const json_t *j)
{
	static const struct {
		const char *name;
		int num;
	} signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"HUP", SIGHUP}};

	if (!j || json_is_null(j))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(signals) && json_is_string(j); i++)
		if (strcmp(signals[i].name, json_string_value(j)) == 0)
			return signals[i].num;
	return -1;
}

static int read_spec(const struct manifest *m, const json_t *j, struct spec *out, struct err *err)
{
	json_t *argv = json_object_get(j, "argv");
	json_int_t port = json_integer_value(json_object_get(j, "port"));
	json_int_t memory = json_integer_value(json_object_get(j, "memory_mb"));

	out->argv = texts(argv);
	out->s = (struct svc_spec){.kind = m->s.name,
				   .home = m->s.dir,
				   .port = (int)port,
				   .memory_mb = memory,
				   .stop_signal = read_signal(json_object_get(j, "stop_signal"))};
	if (out->s.stop_signal < 0 || !json_is_object(j) || !out->argv ||
	    json_array_size(argv) < 1 || json_array_size(argv) > LIM_ADDON_ITEMS || port < 1 ||
	    port > 65535 || memory < 0 || memory > 1048576 ||
	    !read_env(json_object_get(j, "env"), out) ||
	    !read_files(json_object_get(j, "files"), out))
		return err_set(err, ERR_UNAVAILABLE,
			       "%s: the service that it asks for is not as docs/addons.md has it",
			       m->s.name);
	out->s.argv = out->argv;
	out->s.env = out->env;
	out->s.files = out->files;
	return 0;
}

/* Started, or as it should be, and listening. */
static int bring_up(struct addons *a, const struct manifest *m, const char *addon_id,
		    const json_t *spec, struct svc_info *out, struct err *err)
{
	AUTO(spec_clear) struct spec s = {0};

	if (read_spec(m, spec, &s, err) < 0 || svc_ensure(a->d.svcs, addon_id, &s.s, out, err) < 0)
		return -1;
	if (svc_wait(a->d.svcs, out->id, UP_MS, out, err) < 0)
		return err_wrap(err, "the process of %s did not come up", m->s.name);
	return 0;
}

/* --- shared --- */

struct shared_tx {
	const char *service;
	const json_t *private;
};

static int write_shared(struct tx *tx, void *arg, struct err *err)
{
	struct shared_tx *t = arg;

	return store_addon_shared_put(tx, t->service, t->private, err);
}

static int make_shared(struct addons *a, struct entry *e, struct err *err)
{
	struct verb_in v = {.a = a, .e = e};
	AUTO(json_decref) json_t *answer = NULL;
	struct svc_info info;
	enum outcome o =
		verb_call(&v, "service", manifest_timeout(e->m, "service") * 1000, &answer, err);
	json_t *spec = json_object_get(answer, "service"),
	       *private = json_object_get(answer, "private");
	struct shared_tx t = {e->m->s.name, private};

	if (o != OUT_DONE)
		return -1;
	if (private && !json_is_object(private))
		return err_set(err, ERR_UNAVAILABLE, "%s: its private is no object", e->m->s.name);
	/* First what it knows, then the process that was made with it. */
	if (private && store_tx(a->d.store, write_shared, &t, err) < 0)
		return -1;
	if (!spec || json_is_null(spec))
		return 0; /* an outside one */
	return bring_up(a, e->m, NULL, spec, &info, err);
}

static bool is_made(struct addons *a, struct entry *e, struct svc_info *info)
{
	struct err none = {0};

	return svc_find(a->d.svcs, NULL, e->m->s.name, info, &none) == 0;
}

/* The service or its settings may be others than when paasd ended. One that runs is used as it is
 * when that cannot be had. */
static void ask_again(struct addons *a, struct entry *e)
{
	struct err err = {0};

	e->asked = true;
	if (make_shared(a, e, &err) < 0)
		xlog_err(XLOG_WARN, "addon", &err, "msg=\"left as it was\" service=%s",
			 e->m->s.name);
}

int process_shared(struct addons *a, struct entry *e, struct err *err)
{
	struct svc_info info;
	int rc = 0;

	if (e->m->process != ADDON_SHARED_PROCESS)
		return 0;
	pthread_mutex_lock(&e->shared);
	if (is_made(a, e, &info) && !e->asked)
		ask_again(a, e);
	if (!is_made(a, e, &info)) {
		rc = make_shared(a, e, err);
		e->asked = rc == 0;
	} else if (info.state != SVC_UP) {
		rc = svc_wait(a->d.svcs, info.id, UP_MS, &info, err);
	}
	pthread_mutex_unlock(&e->shared);
	return rc;
}

struct start_job {
	struct addons *a;
	struct entry *e;
};

static void start_job(void *arg)
{
	struct start_job *j = arg;
	struct svc_info info;

	pthread_mutex_lock(&j->e->shared);
	if (!j->e->asked && is_made(j->a, j->e, &info))
		ask_again(j->a, j->e);
	pthread_mutex_unlock(&j->e->shared);
	free(j);
}

void process_start(struct addons *a)
{
	for (int i = 0; i < a->n; i++) {
		struct start_job *j;

		if (a->entries[i].m->process != ADDON_SHARED_PROCESS)
			continue;
		j = xcalloc(1, sizeof *j);
		*j = (struct start_job){a, &a->entries[i]};
		if (!pool_submit(a->workers, start_job, j))
			free(j);
	}
}

/* --- own --- */

static void replace(struct buf *b, const char *mark, const char *with)
{
	char *at;

	while ((at = b->data ? strstr(b->data, mark) : NULL)) {
		struct buf out = {0};

		buf_add(&out, b->data, (size_t)(at - b->data));
		buf_adds(&out, with);
		buf_adds(&out, at + strlen(mark));
		buf_clear(b);
		*b = out;
	}
}

static void fill_in(json_t *config, const struct svc_info *info)
{
	char port[8];
	const char *suffix;
	void *safe;
	json_t *v;

	snprintf(port, sizeof port, "%d", info->port);
	json_object_foreach_safe(config, safe, suffix, v)
	{
		AUTO(buf_clear) struct buf b = {0};

		buf_adds(&b, json_string_value(v));
		replace(&b, "{address}", info->ip);
		replace(&b, "{port}", port);
		json_object_set_new(config, suffix, json_string(buf_str(&b)));
	}
}

int process_own(struct addons *a, struct entry *e, const struct store_addon *row,
		const json_t *answer, json_t *config, struct err *err)
{
	json_t *spec = json_object_get(answer, "service");
	struct svc_info info;
	struct err none = {0};

	if (e->m->process != ADDON_OWN_PROCESS)
		return 0;
	if (spec && !json_is_null(spec)) {
		if (bring_up(a, e->m, row->id, spec, &info, err) < 0)
			return -1;
	} else if (svc_find(a->d.svcs, row->id, NULL, &info, &none) < 0) {
		return 0; /* it needs none: an outside one */
	}
	if (config)
		fill_in(config, &info);
	return 0;
}

int process_remove(struct addons *a, const char *addon_id, struct err *err)
{
	struct svc_info info;
	struct err e = {0};

	if (svc_find(a->d.svcs, addon_id, NULL, &info, &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		*err = e;
		return -1;
	}
	return svc_remove(a->d.svcs, info.id, err);
}
