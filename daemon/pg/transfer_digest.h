/* transfer_digest.h - private to transfers: SQL that describes what is in a database, so that two
 * can be compared: a dump's source in the snapshot that it was made from, and what came out of it.
 */
#ifndef PG_TRANSFER_DIGEST_H
#define PG_TRANSFER_DIGEST_H

#include "proto/buf.h"

/* Settings on which the text of values depends, and no limits of time. */
extern const char digest_settings[];
/* Holds the tables as they are: as pg_dump does, against being dropped meanwhile. Inside a
 * transaction. */
extern const char digest_locks[];
/* Lines: columns, constraints, indexes, triggers, functions, sequences, enumerations by name; of
 * each table and of the large objects the number of rows and a sum over their content. */
extern const char digest_query[];

/* The first thing in which they differ, for people; empty when they are the same. */
void digest_difference(const char *want, const char *got, struct buf *out);

#endif
