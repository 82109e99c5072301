/* hook_int.h - inside daemon/hook. */
#ifndef HOOK_HOOK_INT_H
#define HOOK_HOOK_INT_H

#include "daemon/hook/hook.h"
#include "daemon/store/hook.h"

#include <pthread.h>
#include <stdatomic.h>

DEFINE_AUTO(json_t *, json_decref)

struct attempt { /* one POST */
	struct hooks *h;
	struct attempt *next;
	struct store_delivery d;
	struct store_hook hook;
	struct store_event event;
	char id[37];
	struct out_call *call;
};

struct hooks {
	struct store *st;
	struct out *o;
	hook_render_fn *render;
	void *render_arg;
	atomic_bool dynos; /* some app wants to hear of dynos */
	/* out's loop */
	struct attempt *under_way;
	struct loop_timer *timer, *pruning;
	bool looking, look_again, stopping;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	int pending; /* transactions whose end is still to come to the loop */
};

/* The loop must look what is due. Any thread. */
void hook_wake(struct hooks *h);
/* Around each asynchronous transaction; hooks_stop awaits them. Any thread. */
void hook_pending(struct hooks *h, int n);

/* deliver.c, out's loop */
void hook_look(void *hooks);
void hook_prune(void *hooks);
void attempt_free(struct attempt *a);

#endif
