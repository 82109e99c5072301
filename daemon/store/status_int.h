/* status_int.h - private: the text of a status column as its enum. */
#ifndef STORE_STATUS_INT_H
#define STORE_STATUS_INT_H

#include "daemon/store/build.h"

enum store_status store_status_parse(const char *name);

#endif
