/* addon_int.h - inside daemon/addon. */
#ifndef ADDON_ADDON_INT_H
#define ADDON_ADDON_INT_H

#include "daemon/addon/manifest.h"
#include "daemon/core/pool.h"
#include "daemon/hook/hook.h"
#include "proto/limits.h"

#include <pthread.h>
#include <string.h>

DEFINE_AUTO(json_t *, json_decref)

/* What came of a provider's verb. All but DONE set err, which is for people. */
enum outcome {
	OUT_DONE,
	OUT_LATER,	/* asked again, until the task's time is over */
	OUT_CALLS_BACK, /* not asked again: the provider calls addons_answer */
	OUT_REFUSED,
	OUT_FAULT, /* asked again, a few times */
};

struct addons;
/* How a service is spoken to: executables (exec.c), or others. Blocks for at most ms; any thread
 * but a loop. *out: a new reference to an object, in every outcome; {} when there is none. */
struct provider {
	enum outcome (*call)(struct addons *a, const struct manifest *m, const char *verb,
			     const json_t *in, int64_t ms, json_t **out, struct err *err);
};
extern const struct provider provider_exec, provider_partner;
/* A verb whose stdout is no answer but a stream, to out_fd. Blocks; CANCELED when cancel_fd is
 * readable; UNAVAILABLE with the last line of stderr. */
int exec_stream(const struct manifest *m, const char *verb, const json_t *in, int64_t ms,
		int out_fd, int cancel_fd, struct err *err);

struct entry { /* a service; immutable after addons_open but for the lock */
	struct manifest *m;
	const struct provider *provider;
	pthread_mutex_t shared; /* held while its shared process is made, and guards: */
	bool asked;		/* bin/service, since paasd was started */
};

struct busy { /* add-ons that a worker is at */
	struct busy *next;
	char id[37];
};

struct addons {
	struct addons_deps d;
	struct entry *entries;
	int n;
	struct pool *workers;
	struct thread *clock;
	int cancel_fd; /* readable when closing */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a step has ended, something is due, or closing */
	bool closing, ready, wake;
	struct busy *busy;
	struct request *requests; /* that are under way */
};

/* request.c: a request by out's loop, awaited here. Until it is answered, or its time is over, or
 * paasd stops (CANCELED). UNAVAILABLE or TIMEOUT saying why when there is no answer. Any thread but
 * a loop. */
struct reply {
	int status;
	struct buf body; /* owned */
};
int request_await(struct addons *a, const struct out_request *r, struct reply *out,
		  struct err *err);
void requests_stop(struct addons *a); /* closing is set: cuts off what is under way */

struct entry *entry_find(struct addons *a, const char *service); /* by name; NULL */

/* machine.c */
void machine_start(struct addons *a);
void machine_wake(struct addons *a);  /* something may be due */
void machine_pause(struct addons *a); /* a while, unless paasd stops */
/* Until done(row) says so, or ms are over (TIMEOUT), or paasd stops (UNAVAILABLE), or the row is
 * gone (NOT_FOUND). out is cleared first. */
int machine_await(struct addons *a, const char *id, int ms,
		  bool (*done)(const struct store_addon *row), struct store_addon *out,
		  struct err *err);
bool machine_is_idle(const struct store_addon *row); /* nothing is under way */

/* What came of the task that the add-on is at: also for providers that call back. The answer is
 * checked here. Nothing happens when the row is at another task by now. */
void addons_answer(struct addons *a, const struct store_addon *row, enum outcome outcome,
		   const json_t *answer, const struct err *why);

/* task.c: one step of one task */
void task_step(struct addons *a, const struct store_addon *row);

/* input.c: what a verb is told */
struct verb_in {
	struct addons *a;
	struct entry *e;
	const struct store_addon *row; /* NULL: of bin/service */
	const json_t *params;	       /* NULL = {} */
};
/* Reads secrets, settings and the service's whereabouts; a new reference. */
int verb_input(const struct verb_in *v, const char *verb, json_t **out, struct err *err);
/* Input and call in one. */
enum outcome verb_call(const struct verb_in *v, const char *verb, int64_t ms, json_t **out,
		       struct err *err);

/* process.c: long-lived processes of services */
/* The shared one runs, when the service has one. */
int process_shared(struct addons *a, struct entry *e, struct err *err);
/* Those that exist are brought to what bin/service says now, on the workers. */
void process_start(struct addons *a);
/* Of an answer: starts what `service` asks for, puts its address into the values of config. */
int process_own(struct addons *a, struct entry *e, const struct store_addon *row,
		const json_t *answer, json_t *config, struct err *err);
int process_remove(struct addons *a, const char *addon_id, struct err *err);

/* moved.c: values that have a service's address of before get that of now, and apps a release.
 * Before the machine, and any dyno, is started. */
void moved_rewrite(struct addons *a);
/* Pure: puts `to` where `from`, an address with or without a port, stands as a whole. True: it did.
 */
bool moved_put(struct buf *b, const char *from, const char *to);

/* answer.c: of a verb; a new reference to what it has, or NULL. FAULT-like errors: INVALID_PARAMS.
 */
struct answer {
	json_t *config, *private;     /* owned; NULL = not given */
	char *id, *message, *web_url; /* owned; NULL = not given */
};
void answer_clear(struct answer *an);
#define answer_clear_p answer_clear
/* all: every config var must be there. */
int answer_read(const struct manifest *m, const json_t *j, bool all, struct answer *out,
		struct err *err);
bool answer_has_var(const struct manifest *m, const char *suffix);
/* The text for people in an answer of any outcome; NULL. */
char *answer_message(const json_t *j);

/* publish.c: releases for apps */
/* Each app that has the add-on attached gets a release if its newest one has other values. fmt has
 * the names of its attachments. */
int publish_values(struct addons *a, const struct store_addon *row, bool attach, struct err *err);
int publish_attach(struct addons *a, const struct addon_actor *by, const struct store_addon *row,
		   const char *app_id, const char *name, const char *namespace,
		   const char *replaced_id, struct store_attachment *out, struct err *err);
int publish_detach(struct addons *a, const struct addon_actor *by, const struct store_attachment *t,
		   struct err *err);

/* args of a task */
struct task_args { /* owned */
	char user_id[37];
	char *user_email, *credential, *attach_as;
	bool forced, attach, refused;
	bool gone; /* the provider has removed it: there is nothing to ask */
	int faults;
};
void task_args_clear(struct task_args *t);
#define task_args_clear_p task_args_clear
void task_args_read(const char *json, struct task_args *out);
char *task_args_write(const struct task_args *t); /* owned */

/* The row moves on, unless another task has begun since row was read: then CONFLICT. Inside a
 * transaction. */
int row_still(struct tx *tx, const struct store_addon *row, struct err *err);

#endif
