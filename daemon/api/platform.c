/* What the platform is: one stack, one region. */
#include "daemon/api/api_int.h"

#include <string.h>

static json_t *stack_json(struct api_req *q)
{
	json_t *j = json_named_ref("stack", q->d->cfg->stack);
	json_t *more = json_pack("{s:b, s:s, s:s, s:s}", "default", 1, "created_at",
				 "2022-06-01T00:00:00Z", "state", "public", "updated_at",
				 "2022-06-01T00:00:00Z");

	json_object_update(j, more);
	json_decref(more);
	return j;
}

static json_t *region_json(void)
{
	json_t *j = json_named_ref("region", "us");
	json_t *more =
		json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:s, s:s}, s:s}", "country", "This server",
			  "created_at", "2022-06-01T00:00:00Z", "description", "This server",
			  "locale", "Here", "private_capable", 0, "provider", "name", "self-hosted",
			  "region", "local", "updated_at", "2022-06-01T00:00:00Z");

	json_object_update(j, more);
	json_decref(more);
	return j;
}

static bool named(const json_t *j, const char *id_or_name)
{
	return strcmp(json_string_value(json_object_get(j, "id")), id_or_name) == 0 ||
	       strcmp(json_string_value(json_object_get(j, "name")), id_or_name) == 0;
}

static int one_of(struct api_req *q, json_t *j, const char *what, struct err *err)
{
	if (named(j, q->params[0]))
		return api_ok(q, 200, j);
	json_decref(j);
	return err_not_found(err, what);
}

bool api_is_stack(const struct api_req *q, const char *id_or_name)
{
	AUTO(json_decref) json_t *j = json_named_ref("stack", q->d->cfg->stack);

	return named(j, id_or_name);
}

bool api_is_region(const char *id_or_name)
{
	AUTO(json_decref) json_t *j = json_named_ref("region", "us");

	return named(j, id_or_name);
}

int api_stacks_list(struct api_req *q, struct err *err)
{
	return api_list(q, json_pack("[o]", stack_json(q)), "name id created_at updated_at", err);
}

int api_stacks_info(struct api_req *q, struct err *err)
{
	return one_of(q, stack_json(q), "stack", err);
}

int api_regions_list(struct api_req *q, struct err *err)
{
	return api_list(q, json_pack("[o]", region_json()), "name id created_at updated_at", err);
}

int api_regions_info(struct api_req *q, struct err *err)
{
	return one_of(q, region_json(), "region", err);
}

/* For status pages and `heroku status`. Who reads this has been answered, through the router. */
int api_current_status(struct api_req *q, struct err *err)
{
	(void)err;
	return api_ok(q, 200,
		      json_pack("{s:[{s:s, s:s}, {s:s, s:s}], s:[], s:[]}", "status", "system",
				"Apps", "status", "green", "system", "Tools", "status", "green",
				"incidents", "scheduled"));
}

int api_ca_pem(struct api_req *q, struct err *err)
{
	AUTO(auto_str) char *pem = tls_source_ca(q->d->tls);

	q->answered = true;
	http_set(q->x, "Content-Disposition", "attachment; filename=\"paasd-ca.pem\"");
	http_reply(q->x, 200, "application/x-pem-file", pem, strlen(pem));
	return 0;
}
