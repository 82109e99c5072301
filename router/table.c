#include "router/table.h"
#include "daemon/core/clock.h"

#include <assert.h>
#include <string.h>

/* --- entries ------------------------------------------------------------------------------ */

struct rt_app *rt_app_ref(struct rt_app *a)
{
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

static void stat_unref(struct rt_stat *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		free(s);
}

int64_t rt_stat_idle_ms(const struct rt_stat *s)
{
	/* Acquire: whoever made one of them 0 has set the time before. */
	if (atomic_load_explicit(&s->open, memory_order_acquire) > 0 ||
	    atomic_load_explicit(&s->tunnels, memory_order_acquire) > 0)
		return 0;
	return clock_mono_ms() - atomic_load_explicit(&s->ended, memory_order_relaxed);
}

void rt_app_unref(struct rt_app *a)
{
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	stat_unref(a->stat);
	for (int i = 0; i < a->nhosts; i++)
		free(a->hosts[i].name);
	free(a->hosts);
	free(a->dynos);
	free(a->socket);
	free(a->error_page);
	free(a->maintenance_page);
	buf_clear(&a->raw);
	free(a);
}

/* Doubles when n is a power of two, so that the array needs no capacity field. */
static void *grow(void *p, int n, size_t size)
{
	return (n & (n - 1)) == 0 ? xrealloc(p, (size_t)(n ? 2 * n : 1) * size) : p;
}

static int add_host(struct rt_app *a, const struct wire_field *f, struct err *err)
{
	struct rt_host h;

	if (f->len == 0 || f->len > 255 || a->nhosts >= RT_MAX_HOSTS)
		return err_set(err, ERR_BAD_REQUEST, "bad host, or too many");
	h.name = wire_get_str(f);
	for (char *p = h.name; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	h.hash = rt_hash(h.name, f->len);
	a->hosts = grow(a->hosts, a->nhosts, sizeof h);
	a->hosts[a->nhosts++] = h;
	return 0;
}

static int add_dyno(struct rt_app *a, struct rt_dyno *d, const char *ip, uint64_t port,
		    struct err *err)
{
	if (port == 0 || port > 65535 || a->ndynos >= RT_MAX_DYNOS || !d->id[0])
		return err_set(err, ERR_BAD_REQUEST, "bad dyno, or too many");
	if (uv_ip4_addr(ip, (int)port, &d->addr.in) != 0 &&
	    uv_ip6_addr(ip, (int)port, &d->addr.in6) != 0)
		return err_set(err, ERR_BAD_REQUEST, "bad address of dyno %s", d->id);
	a->dynos = grow(a->dynos, a->ndynos, sizeof *d);
	a->dynos[a->ndynos++] = *d;
	memset(d, 0, sizeof *d);
	return 0;
}

static int set_page(char **at, const struct wire_field *f, struct err *err)
{
	if (f->len > LIM_PAGE_URL)
		return err_set(err, ERR_BAD_REQUEST, "the URL of a page is too long");
	free(*at);
	*at = wire_get_str(f);
	return 0;
}

static int parse_fields(struct rt_app *a, struct wire_frame f, struct err *err)
{
	struct wire_field w;
	struct rt_dyno d = {0};
	char ip[64] = "";
	int r;

	while ((r = wire_next(&f, &w)) == 1) {
		switch (w.key) {
		case R_APP_ID:
			wire_copy_str(&w, a->id, sizeof a->id);
			break;
		case R_STATE:
			a->state = (enum route_state)wire_get_u64(&w);
			break;
		case R_SOCKET:
			free(a->socket);
			a->socket = wire_get_str(&w);
			break;
		case R_HOST:
			if (add_host(a, &w, err) < 0)
				return -1;
			break;
		case R_ERROR_PAGE:
		case R_MAINTENANCE_PAGE:
			if (set_page(w.key == R_ERROR_PAGE ? &a->error_page : &a->maintenance_page,
				     &w, err) < 0)
				return -1;
			break;
		case R_DYNO_ID:
			wire_copy_str(&w, d.id, sizeof d.id);
			break;
		case R_DYNO_NAME:
			wire_copy_str(&w, d.name, sizeof d.name);
			break;
		case R_DYNO_IP:
			wire_copy_str(&w, ip, sizeof ip);
			break;
		case R_DYNO_PORT:
			if (add_dyno(a, &d, ip, wire_get_u64(&w), err) < 0)
				return -1;
			break;
		default:
			break;
		}
		/* R_SEQ differs each time: without it, equal entries have equal bytes. */
		if (w.key != R_SEQ)
			wire_bytes(&a->raw, w.key, w.data, w.len);
	}
	return r < 0 ? err_set(err, ERR_BAD_REQUEST, "malformed frame") : 0;
}

int rt_app_parse(const struct wire_frame *f, struct rt_app **out, struct err *err)
{
	AUTO(rt_app_unref) struct rt_app *a = xcalloc(1, sizeof *a);
	size_t mark;

	a->refs = 1;
	a->platform = f->type == ROUTE_PLATFORM;
	mark = wire_begin(&a->raw, f->type);
	if (parse_fields(a, *f, err) < 0)
		return -1;
	wire_end(&a->raw, mark);
	if (a->platform)
		memcpy(a->id, RT_PLATFORM_ID, sizeof RT_PLATFORM_ID);
	else if (!a->id[0] || strcmp(a->id, RT_PLATFORM_ID) == 0)
		return err_set(err, ERR_BAD_REQUEST, "a route needs an app id");
	if (a->platform && (!a->socket || strlen(a->socket) > 107))
		return err_set(err, ERR_BAD_REQUEST, "the platform's route needs a socket path");
	*out = STEAL(a);
	return 0;
}

/* --- table -------------------------------------------------------------------------------- */

static struct rt_table *table_new(uint32_t slots)
{
	struct rt_table *t = xcalloc(1, sizeof *t + slots * sizeof t->slots[0]);

	t->mask = slots - 1;
	return t;
}

static struct rt_app *find_exact(const struct rt_table *t, const char *host, size_t n)
{
	uint32_t hash = rt_hash(host, n);

	for (uint32_t i = hash & t->mask; t->slots[i].app; i = (i + 1) & t->mask) {
		const struct rt_slot *s = &t->slots[i];
		const char *name;

		if (s->hash != hash)
			continue;
		name = s->app->hosts[s->pos].name;
		if (strlen(name) == n && memcmp(name, host, n) == 0)
			return s->app;
	}
	return NULL;
}

struct rt_app *rt_table_find(const struct rt_table *t, const char *host, size_t n)
{
	struct rt_app *a = find_exact(t, host, n);
	char wild[256];

	if (a || !t->wildcards || n >= sizeof wild)
		return a;
	memcpy(wild, host, n);
	for (size_t i = 1; !a && i + 1 < n; i++)
		if (host[i] == '.') {
			wild[i - 1] = '*';
			a = find_exact(t, wild + i - 1, n - i + 1);
		}
	return a;
}

static void table_put(struct rt_table *t, struct rt_slot s)
{
	uint32_t i = s.hash & t->mask;

	while (t->slots[i].app)
		i = (i + 1) & t->mask;
	t->slots[i] = s;
	t->used++;
}

static void table_insert(struct rt_table **tp, struct rt_app *a)
{
	struct rt_table *t = *tp;

	if ((t->used + (uint32_t)a->nhosts) * 2 > t->mask) {
		uint32_t n = (t->mask + 1) * 2;
		struct rt_table *bigger;

		while ((t->used + (uint32_t)a->nhosts) * 2 >= n)
			n *= 2;
		bigger = table_new(n);
		bigger->wildcards = t->wildcards;
		bigger->platform = t->platform;
		for (uint32_t i = 0; i <= t->mask; i++)
			if (t->slots[i].app)
				table_put(bigger, t->slots[i]);
		free(t);
		*tp = t = bigger;
	}
	if (a->platform)
		t->platform = a;
	for (int i = 0; i < a->nhosts; i++) {
		t->wildcards += a->hosts[i].name[0] == '*';
		table_put(t, (struct rt_slot){a->hosts[i].hash, (uint32_t)i, a});
	}
}

/* Linear probing without tombstones: what follows the hole moves up when its home allows. */
static void table_close_gap(struct rt_table *t, uint32_t hole)
{
	uint32_t i = hole;

	for (;;) {
		uint32_t home;

		i = (i + 1) & t->mask;
		if (!t->slots[i].app)
			break;
		home = t->slots[i].hash & t->mask;
		if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole].app = NULL;
	t->used--;
}

static void table_remove(struct rt_table *t, const struct rt_app *a)
{
	if (t->platform == a)
		t->platform = NULL;
	for (int h = 0; h < a->nhosts; h++) {
		uint32_t i = a->hosts[h].hash & t->mask;

		while (t->slots[i].app != a || t->slots[i].pos != (uint32_t)h) {
			assert(t->slots[i].app);
			i = (i + 1) & t->mask;
		}
		t->wildcards -= a->hosts[h].name[0] == '*';
		table_close_gap(t, i);
	}
}

/* --- master ------------------------------------------------------------------------------- */

void rt_master_init(struct rt_master *m)
{
	*m = (struct rt_master){.table = table_new(16), .index_mask = 15};
	m->index = xcalloc(16, sizeof *m->index);
}

void rt_master_clear(struct rt_master *m)
{
	for (uint32_t i = 0; i < m->nslots; i++)
		rt_app_unref(m->apps[i]);
	free(m->apps);
	free(m->index);
	free(m->table);
	*m = (struct rt_master){0};
}

/* Position of id in the index, or of the free place where it belongs. */
static uint32_t index_at(const struct rt_master *m, const char *id)
{
	uint32_t i = rt_hash(id, strlen(id)) & m->index_mask;

	while (m->index[i] && strcmp(m->apps[m->index[i] - 1]->id, id) != 0)
		i = (i + 1) & m->index_mask;
	return i;
}

static void index_rebuild(struct rt_master *m, uint32_t size)
{
	free(m->index);
	m->index = xcalloc(size, sizeof *m->index);
	m->index_mask = size - 1;
	for (uint32_t s = 0; s < m->nslots; s++)
		if (m->apps[s])
			m->index[index_at(m, m->apps[s]->id)] = s + 1;
}

struct rt_app *rt_master_get(const struct rt_master *m, const char *id)
{
	uint32_t at = m->index[index_at(m, id)];

	return at ? m->apps[at - 1] : NULL;
}

static uint32_t free_slot(struct rt_master *m)
{
	for (uint32_t s = 0; s < m->nslots; s++)
		if (!m->apps[s])
			return s;
	m->apps = xrealloc(m->apps, (m->nslots + 64) * sizeof *m->apps);
	memset(m->apps + m->nslots, 0, 64 * sizeof *m->apps);
	m->nslots += 64;
	return m->nslots - 64;
}

struct rt_app *rt_master_set(struct rt_master *m, struct rt_app *a, bool *changed)
{
	struct rt_app *old = rt_master_get(m, a->id);

	*changed = true;
	if (old && old->raw.len == a->raw.len && !memcmp(old->raw.data, a->raw.data, a->raw.len)) {
		rt_app_unref(a);
		*changed = false;
		return NULL;
	}
	if (old) {
		a->slot = old->slot;
		a->stat = old->stat;
		atomic_fetch_add(&a->stat->refs, 1);
		table_remove(m->table, old);
	} else {
		a->slot = free_slot(m);
		a->stat = xcalloc(1, sizeof *a->stat);
		a->stat->refs = 1;
		a->stat->ended = clock_mono_ms();
		if (++m->napps * 2 > m->index_mask)
			index_rebuild(m, (m->index_mask + 1) * 2);
	}
	m->index[index_at(m, a->id)] = a->slot + 1;
	m->apps[a->slot] = a;
	table_insert(&m->table, a);
	return old;
}

struct rt_app *rt_master_del(struct rt_master *m, const char *id)
{
	struct rt_app *old = rt_master_get(m, id);

	if (!old)
		return NULL;
	table_remove(m->table, old);
	m->apps[old->slot] = NULL;
	m->napps--;
	index_rebuild(m, m->index_mask + 1);
	return old;
}

struct rt_table *rt_master_copy(const struct rt_master *m)
{
	size_t n = sizeof *m->table + (m->table->mask + 1) * sizeof m->table->slots[0];
	struct rt_table *t = xmalloc(n);

	memcpy(t, m->table, n);
	return t;
}
