/* table.h - routes: the immutable table that workers look hosts up in, and the control side's
 * master from which tables are made. Entries are shared by reference between tables; a change
 * copies the slots (16 bytes a host), never the entries. */
#ifndef ROUTER_TABLE_H
#define ROUTER_TABLE_H

#include "proto/routewire.h"
#include "router/rt.h"

#define RT_PLATFORM_ID "platform" /* id of the entry made by ROUTE_PLATFORM */
#define RT_MAX_HOSTS   (LIM_DOMAINS + 1)
#define RT_MAX_DYNOS   1000

struct rt_dyno {
	char id[64], name[LIM_PROC_TYPE + 12];
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
};

struct rt_host {
	uint32_t hash;
	char *name; /* owned; lower case, no port */
};

/* Lives as long as any version of its app's entry. */
struct rt_stat {
	_Atomic int refs;
	_Atomic int open;    /* requests of the app, over all workers */
	_Atomic int tunnels; /* which are not among them */
	_Atomic int64_t
		ended; /* mono_ms when the last of either ended; at first when it was made */
};

/* How long the app has had no request; 0: one is open. Any thread. */
int64_t rt_stat_idle_ms(const struct rt_stat *s);

/* One app's route. Immutable once published; refs are atomic. */
struct rt_app {
	_Atomic int refs;
	struct rt_stat *stat;
	uint32_t slot; /* small number of the app: index of each worker's own state */
	enum route_state state;
	bool platform;
	char id[64];
	char *socket;			     /* owned; of the platform */
	char *error_page, *maintenance_page; /* owned URLs, or NULL */
	struct rt_host *hosts;		     /* owned */
	struct rt_dyno *dynos;		     /* owned */
	int nhosts, ndynos;
	struct buf raw; /* canonical frame: for the snapshot, and to see what did not change */
};

struct rt_slot {
	uint32_t hash, pos; /* pos: index into app->hosts */
	struct rt_app *app; /* borrowed; NULL = free */
};

struct rt_table {
	uint32_t mask, used, wildcards;
	struct rt_app *platform; /* borrowed; NULL = none */
	struct rt_slot slots[];
};

/* Any thread that holds the table. host is a host_key. An exact name wins over wildcards, and among
 * "*.b.c" and "*.c" the longer one; a wildcard stands for one label or more. NULL: no such host. */
struct rt_app *rt_table_find(const struct rt_table *t, const char *host, size_t n);

struct rt_app *rt_app_ref(struct rt_app *a);
void rt_app_unref(struct rt_app *a); /* NULL is fine */
/* From a ROUTE_APP or ROUTE_PLATFORM frame; slot and stat are not set. Hosts are lower-cased. */
int rt_app_parse(const struct wire_frame *f, struct rt_app **out, struct err *err);
DEFINE_AUTO(struct rt_app *, rt_app_unref)

/* --- master: control thread only --- */
struct rt_master {
	struct rt_table *table; /* owned, mutable working copy */
	struct rt_app **apps;	/* owned refs, by slot; NULL = free */
	uint32_t nslots;	/* allocated */
	uint32_t napps;
	uint32_t *index, index_mask; /* id -> slot + 1, open addressing */
};

void rt_master_init(struct rt_master *m);
void rt_master_clear(struct rt_master *m);
struct rt_app *rt_master_get(const struct rt_master *m, const char *id);
/* Takes the caller's reference to a. Returns the entry that it replaces (the caller drops it once
 * all workers use a later table), NULL when there was none. *changed is false when a equals what is
 * there: then a is dropped. */
struct rt_app *rt_master_set(struct rt_master *m, struct rt_app *a, bool *changed);
struct rt_app *rt_master_del(struct rt_master *m, const char *id); /* the caller drops it */
struct rt_table *rt_master_copy(const struct rt_master *m);	   /* free() it */

#endif
