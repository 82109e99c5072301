/* The services that there are, and the module's beginning and end. */
#include "daemon/addon/addon_int.h"
#include "daemon/core/xlog.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

/* --- reading folders --- */

static void put_entry(struct addons *a, struct manifest *m, const struct provider *p)
{
	struct entry *e = entry_find(a, m->s.name);

	if (e) { /* a later folder counts */
		manifest_free(e->m);
	} else {
		a->entries = xrealloc(a->entries, (size_t)(a->n + 1) * sizeof *a->entries);
		e = &a->entries[a->n++];
	}
	e->m = m;
	e->provider = p;
}

static void make_ids(struct manifest *m)
{
	AUTO(auto_str) char *service = xasprintf("addon-service/%s", m->s.name);

	uuid_of(service, m->s.id);
	for (int i = 0; i < m->s.nplans; i++) {
		struct addon_plan *p = (struct addon_plan *)(uintptr_t)&m->s.plans[i];
		AUTO(auto_str) char *plan = xasprintf("plan/%s:%s", m->s.name, p->name);

		uuid_of(plan, p->id);
	}
}

static int read_service(struct addons *a, const char *dir, struct err *err)
{
	struct manifest *m = NULL;
	AUTO(json_decref) json_t *settings = NULL;
	struct err e = {0};

	if (manifest_load(dir, &m, &e) < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		*err = e;
		return -1;
	}
	if (manifest_settings_load(m, a->d.cfg->addon_settings_dir, &settings, err) < 0 ||
	    manifest_settings_check(m, a->d.cfg->addon_settings_dir, settings, err) < 0) {
		manifest_free(m);
		return -1;
	}
	make_ids(m);
	put_entry(a, m, m->s.http ? &provider_partner : &provider_exec);
	return 0;
}

static int read_folder(struct addons *a, const char *path, struct err *err)
{
	AUTO(auto_str) char *real = realpath(path, NULL);
	struct dirent **names = NULL;
	int rc = 0, n;

	if (!real && errno == ENOENT)
		return 0;
	n = real ? scandir(real, &names, NULL, alphasort) : -1;
	if (n < 0)
		return err_errno(err, "addons_dir: %s", path);
	for (int i = 0; i < n; i++) {
		AUTO(auto_str) char *dir = xasprintf("%s/%s", real, names[i]->d_name);

		if (rc == 0 && names[i]->d_name[0] != '.')
			rc = read_service(a, dir, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* Two services must not answer to one name. */
static int check_aliases(const struct addons *a, struct err *err)
{
	for (int i = 0; i < a->n; i++)
		for (int k = 0; a->entries[i].m->s.aliases[k]; k++) {
			const char *alias = a->entries[i].m->s.aliases[k];

			for (int j = 0; j < a->n; j++) {
				const struct addon_service *o = &a->entries[j].m->s;
				bool same = j != i && strcmp(o->name, alias) == 0;

				for (int l = 0; j < i && o->aliases[l]; l++)
					same = same || strcmp(o->aliases[l], alias) == 0;
				if (same)
					return err_set(err, ERR_CONFIG,
						       "%s: aliases: %s is a name of %s already",
						       a->entries[i].m->file, alias, o->name);
			}
		}
	return 0;
}

int addons_open(const struct addons_deps *d, struct addons **out, struct err *err)
{
	struct addons *a = xcalloc(1, sizeof *a);

	a->d = *d;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->cancel_fd < 0)
		abort();
	for (char **dir = d->cfg->addons_dir; dir && *dir; dir++)
		if (read_folder(a, *dir, err) < 0) {
			addons_free(a);
			return -1;
		}
	if (check_aliases(a, err) < 0) {
		addons_free(a);
		return -1;
	}
	for (int i = 0; i < a->n; i++) {
		pthread_mutex_init(&a->entries[i].shared, NULL);
		a->entries[i].asked = false;
	}
	a->ready = true;
	moved_rewrite(a);
	xlog(XLOG_INFO, "addon", "msg=services n=%d", a->n);
	*out = a;
	return 0;
}

void addons_start(struct addons *a)
{
	machine_start(a);
	process_start(a);
}

void addons_stop(struct addons *a)
{
	bool again;

	pthread_mutex_lock(&a->lock);
	again = a->closing;
	a->closing = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	eventfd_write(a->cancel_fd, 1);
	if (!again) /* out is there as long as this is the first time */
		requests_stop(a);
}

void addons_free(struct addons *a)
{
	if (!a)
		return;
	addons_stop(a);
	thread_join(a->clock);
	if (a->workers)
		pool_free(a->workers);
	for (int i = 0; i < a->n; i++) {
		manifest_free(a->entries[i].m);
		if (a->ready)
			pthread_mutex_destroy(&a->entries[i].shared);
	}
	free(a->entries);
	close(a->cancel_fd);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* --- finding --- */

struct entry *entry_find(struct addons *a, const char *service)
{
	for (int i = 0; i < a->n; i++)
		if (strcmp(a->entries[i].m->s.name, service) == 0)
			return &a->entries[i];
	return NULL;
}

static bool is_named(const struct addon_service *s, const char *ref)
{
	if (strcmp(s->name, ref) == 0 || strcmp(s->id, ref) == 0)
		return true;
	for (int i = 0; s->aliases[i]; i++)
		if (strcmp(s->aliases[i], ref) == 0)
			return true;
	return false;
}

const struct addon_service *addon_service_find(struct addons *a, const char *ref)
{
	for (int i = 0; i < a->n; i++)
		if (is_named(&a->entries[i].m->s, ref))
			return &a->entries[i].m->s;
	return NULL;
}

const struct addon_service *addon_service_at(struct addons *a, int i)
{
	return i >= 0 && i < a->n ? &a->entries[i].m->s : NULL;
}

bool addon_service_can(const struct addon_service *s, const char *verb)
{
	for (int i = 0; s->abilities[i]; i++)
		if (strcmp(s->abilities[i], verb) == 0)
			return true;
	return false;
}

static int no_service(struct addons *a, const char *ref, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < a->n; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", a->entries[i].m->s.name);
	err_set(err, ERR_NOT_FOUND,
		"Couldn't find either the add-on service or the add-on plan of \"%.60s\". Services "
		"here: %.200s.",
		ref, b.len ? buf_str(&b) : "none");
	err->resource = "plan";
	return -1;
}

static int no_plan(const struct addon_service *s, const char *plan, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	for (int i = 0; i < s->nplans; i++)
		if (s->plans[i].visible)
			buf_addf(&b, "%s%s", b.len ? ", " : "", s->plans[i].name);
	err_set(err, ERR_NOT_FOUND,
		"Couldn't find that plan: %s has no plan \"%.60s\"; it has %.250s.", s->name, plan,
		buf_str(&b));
	err->resource = "plan";
	return -1;
}

static const struct addon_plan *plan_named(const struct addon_service *s, const char *name)
{
	for (int i = 0; i < s->nplans; i++)
		if (name ? strcmp(s->plans[i].name, name) == 0 || strcmp(s->plans[i].id, name) == 0
			 : s->plans[i].is_default)
			return &s->plans[i];
	return NULL;
}

int addon_plan_find(struct addons *a, const char *ref, const struct addon_service **s,
		    const struct addon_plan **p, struct err *err)
{
	const char *colon = strchr(ref, ':');
	AUTO(auto_str)
	char *service = xstrndup(ref, colon ? (size_t)(colon - ref) : strlen(ref));

	*s = addon_service_find(a, service);
	if (*s) {
		*p = plan_named(*s, colon ? colon + 1 : NULL);
		return *p ? 0 : no_plan(*s, colon + 1, err);
	}
	for (int i = 0; i < a->n && !colon; i++) {
		*s = &a->entries[i].m->s;
		*p = plan_named(*s, ref);
		if (*p && strcmp((*p)->id, ref) == 0)
			return 0;
	}
	return no_service(a, ref, err);
}
