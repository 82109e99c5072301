/* buf.h - a growable byte buffer, always NUL-terminated after len. Not thread-safe. Allocation
 * failure aborts; sizes that come from outside are capped by the caller (proto/limits.h). */
#ifndef PROTO_BUF_H
#define PROTO_BUF_H

#include "proto/auto.h"
#include <stdarg.h>

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len, cap;
};

void buf_clear(struct buf *b);		      /* frees; usable again */
#define buf_clear_p buf_clear		      /* AUTO(buf_clear) struct buf b = { 0 }; */
void buf_reset(struct buf *b);		      /* len = 0, keeps the memory */
void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after len */
void buf_add(struct buf *b, const void *data, size_t n);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addu(struct buf *b, uint64_t v); /* in decimal */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap);
void buf_drop(struct buf *b, size_t n);	  /* removes n bytes from the front */
char *buf_steal(struct buf *b);		  /* the caller frees; "" when empty, never NULL */
const char *buf_str(const struct buf *b); /* "" when empty */

/* malloc and friends that abort. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);		 /* NULL in, NULL out */
char *xstrndup(const char *s, size_t n); /* at most n bytes */
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

#endif
