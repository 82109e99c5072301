/* transfer_toc.h - private to transfers: which of a dump's entries are restored, by the table of
 * contents that pg_restore --list prints. Pure. */
#ifndef PG_TRANSFER_TOC_H
#define PG_TRANSFER_TOC_H

#include "proto/buf.h"
#include "proto/err.h"

/* Lines as "SCHEMA - public": the schemas that are there; "EXTENSION - hstore": extensions that are
 * there, or that the role may make. */
extern const char toc_known_query[];
/* list: the entries that pg_restore --use-list is to take; left: a line for each of the others. An
 * ordinary role may neither comment on extensions, make those that are not trusted, nor event
 * triggers. known: what toc_known_query gives; schemas that are there are left out quietly. */
void toc_filter(const char *toc, const char *known, struct buf *list, struct buf *left);
/* "hstore,geo.postgis" as statements that make them, and the schemas. INVALID_PARAMS. */
int toc_extensions_sql(const char *wanted, struct buf *sql, struct err *err);

#endif
