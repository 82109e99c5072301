/* reviews.h - inside daemon/api: review apps and their settings. */
#ifndef API_REVIEWS_H
#define API_REVIEWS_H

#include "daemon/api/api_int.h"
#include "daemon/store/review.h"

json_t *api_review_json(const struct store_review *v);

extern const struct api_field api_fields_review_create[], api_fields_review_config[];
api_fn api_reviews_create, api_reviews_info, api_reviews_delete, api_review_of_app,
	api_reviews_of_pipeline, api_review_config_info, api_review_config_create,
	api_review_config_update, api_review_config_delete;

#endif
