/* service.h - services: long-lived sandboxes of the platform's own (daemon/svc); see user.h for the
 * conventions. */
#ifndef STORE_SERVICE_H
#define STORE_SERVICE_H

#include "daemon/store/store.h"
#include "proto/launch.h"

struct store_service {
	char id[37], addon_id[37]; /* addon_id "" = shared; or nobody's, when shared is false */
	unsigned uid, address;
	char *kind, *provider, *spec; /* spec: JSON */
	bool shared, wanted;
	int port, plain_port;
	wall_ms created_ms, updated_ms;
};
struct store_services {
	struct store_service *v;
	int n;
};
void store_service_clear(struct store_service *s);
void store_services_clear(struct store_services *l);
#define store_service_clear_p  store_service_clear
#define store_services_clear_p store_services_clear

struct store_service_new { /* borrowed */
	const char *kind, *provider, *spec;
	const char *addon_id; /* NULL = shared */
	int port;
};
/* uid and address are the lowest that are free; max_address: the highest there is. UNAVAILABLE:
 * none is. CONFLICT: the add-on, or the kind, has its service. plain_port is 0 until it is set. */
int store_service_insert(struct tx *tx, const struct store_service_new *in, unsigned max_address,
			 struct store_service *out, struct err *err);
int store_service_set_plain_port(struct tx *tx, const char *id, int port, struct err *err);
int store_service_set(struct tx *tx, const char *id, const char *provider, int port,
		      const char *spec, struct err *err);
int store_service_unwant(struct tx *tx, const char *id, struct err *err);
int store_service_delete(struct tx *tx, const char *id, struct err *err); /* idempotent */
/* NOT_FOUND (resource "service"). */
int store_service_get(struct tx *tx, const char *id, struct store_service *out, struct err *err);
/* The add-on's own, or with addon_id NULL the shared one of the kind; wanted or not. NOT_FOUND. */
int store_service_find(struct tx *tx, const char *addon_id, const char *kind,
		       struct store_service *out, struct err *err);
int store_services_list(struct tx *tx, struct store_services *out, struct err *err);

/* Where the app's dynos may connect to: services of the add-ons attached to it. *out is owned:
 * free(). */
int store_service_ways(struct tx *tx, const char *app_id, struct launch_way **out, int *n,
		       struct err *err);

#endif
