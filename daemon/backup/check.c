/* Reading an archive for its own sake. */
#include "daemon/backup/backup_int.h"

static int on_data(void *arg, uint64_t at, const void *p, size_t n, struct err *err)
{
	return 0;
}

int backup_check(int fd, const struct master_key *key, const struct backup_watch *watch,
		 struct backup_report *out, struct err *err)
{
	static const struct backup_sink nowhere = {.data = on_data};

	return backup_read(fd, key, &nowhere, watch, out, err);
}
