/* auto.h - scope-bound cleanup and small macros. Includes nothing of ours. */
#ifndef PROTO_AUTO_H
#define PROTO_AUTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn##_p)))
/* Defines fn_p for a pointer type, so that AUTO(fn) frees it at the end of the scope. */
#define DEFINE_AUTO(type, fn)                                       \
	__attribute__((unused)) static inline void fn##_p(type *p_) \
	{                                                           \
		if (*p_)                                            \
			fn(*p_);                                    \
	}
/* Takes the value out of an AUTO variable: the caller owns it from there. */
#define STEAL(p)                            \
	__extension__({                     \
		__typeof__(p) steal_ = (p); \
		(p) = NULL;                 \
		steal_;                     \
	})
#define ARRAY_LEN(a)	      (sizeof(a) / sizeof((a)[0]))
#define PRINTF(fmt_, args_)   __attribute__((format(printf, fmt_, args_)))
#define container_of(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

__attribute__((unused)) static inline void auto_str_p(char **p)
{
	free(*p);
}

/* AUTO(auto_fd) int fd = -1; */
__attribute__((unused)) static inline void auto_fd_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
