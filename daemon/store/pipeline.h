/* pipeline.h - pipelines, the apps in their stages, config vars of stages, promotions. See user.h
 * for the conventions. */
#ifndef STORE_PIPELINE_H
#define STORE_PIPELINE_H

#include "daemon/store/store.h"

#include <jansson.h>

struct store_pipeline {
	char id[37], owner_id[37];
	char name[32];
	char *owner_email;
	wall_ms created_ms, updated_ms;
};
struct store_pipelines {
	struct store_pipeline *v;
	int n;
};
void store_pipeline_clear(struct store_pipeline *p);
void store_pipelines_clear(struct store_pipelines *l);
#define store_pipeline_clear_p	store_pipeline_clear
#define store_pipelines_clear_p store_pipelines_clear

/* ^[a-z][a-z0-9-]{2,29}$; INVALID_PARAMS says what is right. */
int store_pipeline_check_name(const char *name, struct err *err);
/* INVALID_PARAMS when the name is not one, or is taken. */
int store_pipeline_create(struct tx *tx, const char *name, const char *owner_id,
			  struct store_pipeline *out, struct err *err);
/* NOT_FOUND (resource "pipeline"). */
int store_pipeline_find(struct tx *tx, const char *id_or_name, struct store_pipeline *out,
			struct err *err);
/* By name: those that the user owns or has a right on an app of; all for admins. name NULL = all
 * of them, else at most one. */
int store_pipelines_visible(struct tx *tx, const char *user_id, const char *name,
			    struct store_pipelines *out, struct err *err);
int store_pipeline_rename(struct tx *tx, const char *id, const char *name, struct err *err);
int store_pipeline_set_owner(struct tx *tx, const char *id, const char *user_id, struct err *err);
/* With its couplings, stage config and promotions; the apps stay. */
int store_pipeline_delete(struct tx *tx, const char *id, struct err *err);

/* --- access --- */
enum store_pipeline_right {
	STORE_PIPELINE_VIEW = 1,   /* any right on one of its apps */
	STORE_PIPELINE_MANAGE = 2, /* manage on one of its apps: add apps, config of stages */
	STORE_PIPELINE_OWNER = 4,  /* rename, transfer, destroy, take out any app */
	STORE_PIPELINE_DEPLOY = 8, /* deploy on one of its apps: make review apps */
	STORE_PIPELINE_ALL = 15,
};
/* The one source of what a user may do with a pipeline. Owner and admins: all. 0 = no right at
 * all, which the caller must answer like a pipeline that does not exist. NOT_FOUND. */
int store_pipeline_access(struct tx *tx, const char *user_id, const char *pipeline_id,
			  unsigned *rights, struct err *err);

/* --- couplings: an app is in one pipeline at most, in one stage --- */
struct store_coupling {
	char id[37], app_id[37], pipeline_id[37];
	char app_name[32], pipeline_name[32];
	char stage[16]; /* review, development, staging, production; test */
	wall_ms created_ms, updated_ms;
};
struct store_couplings {
	struct store_coupling *v;
	int n;
};
void store_coupling_clear(struct store_coupling *k);
void store_couplings_clear(struct store_couplings *l);
#define store_coupling_clear_p	store_coupling_clear
#define store_couplings_clear_p store_couplings_clear

/* INVALID_PARAMS when the app is in a pipeline already, or the pipeline has
 * LIM_PIPELINE_APPS. out may be NULL. */
int store_coupling_create(struct tx *tx, const char *pipeline_id, const char *app_id,
			  const char *stage, struct store_coupling *out, struct err *err);
/* NOT_FOUND (resource "pipeline_coupling"); apps that are being destroyed are in none. */
int store_coupling_get(struct tx *tx, const char *id, struct store_coupling *out, struct err *err);
int store_coupling_of_app(struct tx *tx, const char *app_id, struct store_coupling *out,
			  struct err *err);
/* Of a pipeline, by the apps' names; stage NULL = all. */
int store_couplings_list(struct tx *tx, const char *pipeline_id, const char *stage,
			 struct store_couplings *out, struct err *err);
/* Of apps that the user may see, and all in the user's own pipelines; pipeline_id NULL = all. */
int store_couplings_visible(struct tx *tx, const char *user_id, const char *pipeline_id,
			    struct store_couplings *out, struct err *err);
int store_coupling_set_stage(struct tx *tx, const char *id, const char *stage, struct err *err);
int store_coupling_delete(struct tx *tx, const char *id, struct err *err);
/* The stage that promotions from a stage go to: development -> staging, review and staging ->
 * production; NULL = none. */
const char *store_stage_downstream(const char *stage);

/* --- config vars of a stage: what review apps and test runs start from. Sealed. --- */
/* An object of strings, {} when there is none; the caller owns *out. */
int store_stage_config(struct tx *tx, const char *pipeline_id, const char *stage, json_t **out,
		       struct err *err);
/* The whole of it. */
int store_stage_config_set(struct tx *tx, const char *pipeline_id, const char *stage,
			   const json_t *config, struct err *err);

/* --- promotions (daemon/pipeline/pipeline.h makes them) --- */
struct store_promotion {
	char id[37], pipeline_id[37], source_app_id[37], source_release_id[37], slug_id[37];
	char user_id[37];
	char *user_email;
	bool completed; /* no target is pending */
	wall_ms created_ms, updated_ms;
};
struct store_promotions {
	struct store_promotion *v;
	int n;
};
void store_promotion_clear(struct store_promotion *p);
void store_promotions_clear(struct store_promotions *l);
#define store_promotion_clear_p	 store_promotion_clear
#define store_promotions_clear_p store_promotions_clear

struct store_target {
	char id[37], promotion_id[37], app_id[37];
	char release_id[37]; /* "" = not made yet, or it never could */
	char status[16];     /* pending, succeeded, failed */
	char *error_message; /* may be NULL */
	wall_ms created_ms, updated_ms;
};
struct store_targets {
	struct store_target *v;
	int n;
};
void store_target_clear(struct store_target *t);
void store_targets_clear(struct store_targets *l);
#define store_target_clear_p  store_target_clear
#define store_targets_clear_p store_targets_clear

struct store_promotion_new { /* borrowed */
	const char *pipeline_id, *source_app_id, *source_release_id, *slug_id, *user_id;
	const char *const *target_apps; /* ids */
	int ntargets;
};
/* With its targets, all pending. id is made here. */
int store_promotion_insert(struct tx *tx, const struct store_promotion_new *in, char id[37],
			   struct err *err);
/* NOT_FOUND (resource "pipeline_promotion"). */
int store_promotion_get(struct tx *tx, const char *id, struct store_promotion *out,
			struct err *err);
/* Those with targets whose release was not made yet: what a crash cut off. */
int store_promotions_cut_off(struct tx *tx, struct store_promotions *out, struct err *err);
/* In the order in which they were asked for. */
int store_targets_list(struct tx *tx, const char *promotion_id, struct store_targets *out,
		       struct err *err);
/* In the transaction that makes the release; from here on the target ends when the release does
 * (triggers of 0007_pipelines.sql). CONFLICT when the target has a release or has ended. */
int store_target_released(struct tx *tx, const char *id, const char *release_id, struct err *err);
/* Its release could not be made. Nothing happens when it has one or has ended. */
int store_target_fail(struct tx *tx, const char *id, const char *why, struct err *err);

/* --- views over all apps of a pipeline: ids, one an app at most, by the apps' names --- */
struct store_app_item {
	char id[37], app_id[37];
};
struct store_app_items {
	struct store_app_item *v;
	int n;
};
void store_app_item_clear(struct store_app_item *i);
void store_app_items_clear(struct store_app_items *l);
#define store_app_item_clear_p	store_app_item_clear
#define store_app_items_clear_p store_app_items_clear
enum store_latest {
	STORE_LATEST_BUILDS,
	STORE_LATEST_RELEASES,
	STORE_LATEST_DEPLOYMENTS, /* releases that brought other code */
};
int store_pipeline_latest(struct tx *tx, const char *pipeline_id, enum store_latest what,
			  struct store_app_items *out, struct err *err);

#endif
