/* storage.h - inside daemon/api: persistent volumes (docs/internals/storage.md). */
#ifndef API_STORAGE_H
#define API_STORAGE_H

#include "daemon/api/api_int.h"

/* Where a volume may be in a dyno: normalised, and no folder of the system's. INVALID_PARAMS. */
int api_volume_path_check(const char *path, struct err *err);
/* Finishes what a crash left half done: volumes that were being made or destroyed. Blocking; any
 * thread. */
void api_volumes_sweep(struct api *a);

extern const struct api_field api_fields_volume_create[], api_fields_volume_resize[],
	api_fields_volume_attach[];
api_fn api_volumes_list, api_volumes_create, api_volumes_info, api_volumes_resize,
	api_volumes_destroy, api_volumes_of_app, api_volumes_attach, api_volumes_detach;

#endif
