/* sni.h - certificates that apps bring for their domains. See user.h for the conventions. */
#ifndef STORE_SNI_H
#define STORE_SNI_H

#include "daemon/store/store.h"

struct store_sni { /* the private key stays in the store: store_sni_of_host */
	char id[37], app_id[37];
	char *name;
	char *chain; /* PEM, leaf first */
	bool ca_signed;
	wall_ms created_ms, updated_ms;
};
struct store_snis {
	struct store_sni *v;
	int n;
};
void store_sni_clear(struct store_sni *s);
void store_snis_clear(struct store_snis *l);
#define store_sni_clear_p  store_sni_clear
#define store_snis_clear_p store_snis_clear

/* The pair must have passed tls_cert_parse; the key is sealed. CONFLICT when the app has the name;
 * INVALID_PARAMS when it has LIM_SNI_ENDPOINTS. */
int store_sni_create(struct tx *tx, const char *app_id, const char *name, const char *chain,
		     const char *key, bool ca_signed, struct store_sni *out, struct err *err);
/* Of the app, by id or name. NOT_FOUND (resource "sni_endpoint"). */
int store_sni_find(struct tx *tx, const char *app_id, const char *id_or_name, struct store_sni *out,
		   struct err *err);
int store_snis_list(struct tx *tx, const char *app_id, struct store_snis *out,
		    struct err *err); /* by name */
int store_sni_update(struct tx *tx, const char *id, const char *chain, const char *key,
		     bool ca_signed, struct err *err);
/* Domains that use it lose it. */
int store_sni_delete(struct tx *tx, const char *id, struct err *err);

/* Domains that use it: ids and host names, in pairs, then NULL; owned, store_sni_domains_free. */
int store_sni_domains(struct tx *tx, const char *id, char ***out, struct err *err);
void store_sni_domains_free(char **pairs);

/* The certificate and key for a TLS client that asks for host (as name_domain makes it): of the
 * exact domain, else of the longest wildcard. NOT_FOUND: none. Both owned; free the key with
 * explicit_bzero. */
int store_sni_of_host(struct tx *tx, const char *host, char **chain, char **key, struct err *err);

#endif
