/* uploads.h - inside daemon/api: bodies that go to disk, and the sweeping of what stays there. */
#ifndef API_UPLOADS_H
#define API_UPLOADS_H

#include "daemon/api/api_int.h"

/* The request's body into path, which is made. An open descriptor of it, at its end; -1: TOO_LARGE
 * beyond max, DISK_FULL, BAD_REQUEST (cut short, empty), REQUEST_TIMEOUT; path is gone then. */
int api_upload(struct api_req *q, const char *path, uint64_t max, uint64_t *size, struct err *err);
/* url is a get_url of ours: *fd is its file. *fd -1 when it is not ours. INVALID_PARAMS when it has
 * expired, or was not uploaded. */
int api_source_open(struct api_req *q, const char *url, int *fd, struct err *err);

void api_uploads_stop(struct api *a);

#endif
