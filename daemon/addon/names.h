/* names.h - names of add-ons and attachments, made up or chosen. Inside daemon/addon. */
#ifndef ADDON_NAMES_H
#define ADDON_NAMES_H

#include "daemon/addon/addon_int.h"

bool name_starts_with_letter(const char *s);
/* memcached-calm-48211; of heroku-postgresql: postgresql-calm-48211 */
void name_addon(const char *service, char out[80]);

struct name_choice {
	const char *app_id;
	const struct addon_service *service;
	const char *wanted;   /* NULL = made up */
	const char *addon_id; /* that is to be attached; NULL = a new one */
	bool usual;	      /* the prefix itself, where it is free */
	bool confirmed;	      /* may take the place of another of this name */
	/* out */
	char *name;	      /* owned */
	char replaced_id[37]; /* "" = none */
};
/* INVALID_PARAMS: no name, or its config vars are set already, or the other attachment is its
 * add-on's last. CONFIRMATION: an attachment has this name. */
int name_choose(struct addons *a, struct name_choice *c, struct err *err);
/* An add-on must stay attached to its own app: nobody would find it any more. INVALID_PARAMS. */
int name_check_last(struct addons *a, const struct store_attachment *t, struct err *err);

#endif
