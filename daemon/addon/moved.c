/* A service's address belongs to the instance's subnet, and that to the host: a state directory
 * that comes to another one may get another subnet. What config vars say is then rewritten. Which
 * addresses a service can have had is known, so nothing needs to be remembered. */
#include "daemon/addon/addon_int.h"
#include "daemon/core/xlog.h"
#include "daemon/store/service.h"
#include "proto/launch.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

struct place {
	char ip[16];
	int port;
};

struct move {
	const struct store_service *service; /* borrowed */
	struct place *were;		     /* owned */
	int n;
	struct place now;
};

struct moves {
	struct addons *a;
	struct store_services services;
	struct move *v; /* of each service that runs */
	int n;
	int changed; /* add-ons */
};

static void add_place(struct move *m, const char *ip, int port)
{
	if (!port || (strcmp(ip, m->now.ip) == 0 && port == m->now.port))
		return;
	m->were = xrealloc(m->were, (size_t)(m->n + 1) * sizeof *m->were);
	snprintf(m->were[m->n].ip, sizeof m->were[m->n].ip, "%s", ip);
	m->were[m->n++].port = port;
}

/* Its index in each subnet that an instance can have, and where it is without a sandbox. */
static void find_places(struct move *m)
{
	for (unsigned i = 0; i < LAUNCH_SUBNETS; i++) {
		struct in_addr gateway = {htonl(launch_subnet(i) + 1)};
		char text[16], ip[16];

		inet_ntop(AF_INET, &gateway, text, sizeof text);
		if (launch_fixed_ip(text, m->service->address, ip))
			add_place(m, ip, m->service->port);
	}
	add_place(m, "127.0.0.1", m->service->plain_port);
}

/* --- values --- */

static bool ends_there(const char *after)
{
	return !isdigit((unsigned char)after[0]) &&
	       !(after[0] == '.' && isdigit((unsigned char)after[1]));
}

bool moved_put(struct buf *b, const char *from, const char *to)
{
	struct buf out = {0};
	const char *text = buf_str(b), *p = text, *at;
	bool any = false;

	while ((at = strstr(p, from))) {
		bool whole = (at == text || (!isdigit((unsigned char)at[-1]) && at[-1] != '.')) &&
			     ends_there(at + strlen(from));

		buf_add(&out, p, (size_t)(at - p));
		buf_adds(&out, whole ? to : from);
		any |= whole;
		p = at + strlen(from);
	}
	buf_adds(&out, p);
	buf_clear(b);
	*b = out;
	return any;
}

static bool rewrite_text(struct buf *b, const struct move *m)
{
	bool any = false;

	for (int i = 0; i < m->n; i++) {
		const struct place *w = &m->were[i];
		AUTO(auto_str) char *from = xasprintf("%s:%d", w->ip, w->port);
		AUTO(auto_str) char *to = xasprintf("%s:%d", m->now.ip, m->now.port);

		any |= moved_put(b, from, to);
		/* loopback alone says nothing of whose it is */
		if (strcmp(w->ip, "127.0.0.1") != 0)
			any |= moved_put(b, w->ip, m->now.ip);
	}
	return any;
}

static bool rewrite(json_t *config, const struct move *m)
{
	const char *suffix;
	bool any = false;
	void *safe;
	json_t *v;

	json_object_foreach_safe(config, safe, suffix, v)
	{
		AUTO(buf_clear) struct buf b = {0};

		if (!json_is_string(v))
			continue;
		buf_adds(&b, json_string_value(v));
		if (!rewrite_text(&b, m))
			continue;
		json_object_set_new(config, suffix, json_string(buf_str(&b)));
		any = true;
	}
	return any;
}

/* --- rows --- */

static int rewrite_credentials(struct tx *tx, const struct store_addon *row, const struct move *m,
			       bool *any, struct err *err)
{
	AUTO(store_credentials_clear) struct store_credentials l = {0};

	if (store_credentials_list(tx, row->id, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++) {
		const struct store_credential *c = &l.v[i];
		AUTO(json_decref) json_t *config = NULL;
		AUTO(json_decref) json_t *private = NULL;

		if (store_credential_secrets(tx, row->id, c->name, &config, &private, err) < 0)
			return -1;
		if (!rewrite(config, m))
			continue;
		*any = true;
		if (store_credential_put(tx, row->id, c->name, config, private, c->state, err) < 0)
			return -1;
	}
	return 0;
}

/* Whatever the add-on is at publishes when it ends well; else it is at that now. Dynos that are
 * started have the values of now in any case. */
static int set_publish(struct tx *tx, struct store_addon *row, struct err *err)
{
	if (!machine_is_idle(row))
		return 0;
	snprintf(row->task, sizeof row->task, "publish");
	free(row->args);
	row->args = xstrdup("{}");
	row->tries = 0;
	row->task_ms = row->next_ms = clock_wall_ms();
	return store_addon_save(tx, row, err);
}

static int rewrite_addon(struct tx *tx, struct store_addon *row, const struct move *m, bool *any,
			 struct err *err)
{
	AUTO(json_decref) json_t *config = NULL;
	AUTO(json_decref) json_t *private = NULL;

	*any = false;
	if (store_addon_secrets(tx, row->id, &config, &private, err) < 0)
		return -1;
	if (rewrite(config, m)) {
		*any = true;
		if (store_addon_set_secrets(tx, row->id, config, NULL, err) < 0)
			return -1;
	}
	if (rewrite_credentials(tx, row, m, any, err) < 0)
		return -1;
	return *any ? set_publish(tx, row, err) : 0;
}

static bool is_of(const struct store_addon *row, const struct store_service *s)
{
	return s->shared ? strcmp(row->service, s->provider) == 0
			 : strcmp(row->id, s->addon_id) == 0;
}

static int rewrite_all(struct tx *tx, void *arg, struct err *err)
{
	struct moves *t = arg;
	AUTO(store_addons_clear) struct store_addons l = {0};

	t->changed = 0;
	if (store_addons_list(tx, NULL, &l, err) < 0)
		return -1;
	for (int i = 0; i < l.n; i++)
		for (int k = 0; k < t->n; k++) {
			bool any;

			if (!is_of(&l.v[i], t->v[k].service))
				continue;
			if (rewrite_addon(tx, &l.v[i], &t->v[k], &any, err) < 0)
				return -1;
			t->changed += any;
		}
	return 0;
}

static int read_services(struct tx *tx, void *arg, struct err *err)
{
	struct moves *t = arg;

	store_services_clear(&t->services);
	return store_services_list(tx, &t->services, err);
}

static void find_moves(struct moves *t)
{
	t->v = xcalloc((size_t)t->services.n + 1, sizeof *t->v);
	for (int i = 0; i < t->services.n; i++) {
		const struct store_service *s = &t->services.v[i];
		struct move *m = &t->v[t->n];
		struct svc_info info;
		struct err none = {0};

		if (!s->wanted || svc_find(t->a->d.svcs, s->shared ? NULL : s->addon_id, s->kind,
					   &info, &none) < 0)
			continue;
		m->service = s;
		m->now.port = info.port;
		snprintf(m->now.ip, sizeof m->now.ip, "%s", info.ip);
		find_places(m);
		t->n++;
	}
}

void moved_rewrite(struct addons *a)
{
	struct moves t = {.a = a};
	struct err err = {0};
	int rc = store_read(a->d.store, read_services, &t, &err);

	if (rc == 0) {
		find_moves(&t);
		rc = t.n ? store_tx(a->d.store, rewrite_all, &t, &err) : 0;
	}
	if (rc < 0)
		xlog_err(XLOG_ERROR, "addon", &err, "msg=\"addresses in config not checked\"");
	else if (t.changed)
		xlog(XLOG_INFO, "addon", "msg=\"services have other addresses\" addons=%d",
		     t.changed);
	for (int i = 0; i < t.n; i++)
		free(t.v[i].were);
	free(t.v);
	store_services_clear(&t.services);
}
