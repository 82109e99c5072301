/* fdpass.h - descriptors that travel over unix stream sockets beside bytes. Blocking, unless the
 * socket is not. Any thread. */
#ifndef CORE_FDPASS_H
#define CORE_FDPASS_H

#include <sys/types.h>

/* All of p, and with its first byte the descriptor (-1 = none), which stays the caller's. -1 with
 * errno. */
int fd_send(int sock, const void *p, size_t n, int fd);
/* As recv(). *fd: the descriptor that came along (close-on-exec), owned; else untouched. Further
 * ones are closed. */
ssize_t fd_recv(int sock, void *p, size_t cap, int *fd);

#endif
