/* domain.h - custom host names of apps; NAME.<apps domain> has no row. See user.h for the
 * conventions. Host names are as name_domain makes them. */
#ifndef STORE_DOMAIN_H
#define STORE_DOMAIN_H

#include "daemon/store/store.h"

struct store_domain {
	char id[37], app_id[37];
	char *hostname;
	char sni_id[37]; /* "" = none */
	char *sni_name;	 /* NULL = none */
	wall_ms created_ms, updated_ms;
};
struct store_domains {
	struct store_domain *v;
	int n;
};
void store_domain_clear(struct store_domain *d);
void store_domains_clear(struct store_domains *l);
#define store_domain_clear_p  store_domain_clear
#define store_domains_clear_p store_domains_clear

/* INVALID_PARAMS when an app has it already, when an app of another owner has a name that it would
 * cover or be covered by, or when the app has LIM_DOMAINS. sni_id may be "". */
int store_domain_create(struct tx *tx, const char *app_id, const char *hostname, const char *sni_id,
			struct store_domain *out, struct err *err);
/* Of the app, by id or host name. NOT_FOUND (resource "domain"). */
int store_domain_find(struct tx *tx, const char *app_id, const char *id_or_hostname,
		      struct store_domain *out, struct err *err);
int store_domains_list(struct tx *tx, const char *app_id, struct store_domains *out,
		       struct err *err); /* by host name */
int store_domain_set_sni(struct tx *tx, const char *id, const char *sni_id, struct err *err);
int store_domain_delete(struct tx *tx, const char *id, struct err *err);

#endif
