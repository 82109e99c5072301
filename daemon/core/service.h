/* service.h - what a program says to the service manager that started it: systemd, or nobody. */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include "proto/auto.h"
#include <stdbool.h>

/* Type=notify: tells that requests are served. Nothing happens without NOTIFY_SOCKET. */
void service_ready(void);
/* Stderr is the journal: lines need no time of their own and may begin with a priority. */
bool service_journal(void);

#endif
