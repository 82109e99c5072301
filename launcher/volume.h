/* volume.h - a volume's file system while the launcher looks into it. Blocking; in a child. */
#ifndef LAUNCHER_VOLUME_H
#define LAUNCHER_VOLUME_H

#include "launcher/host.h"

struct mounted {
	int dir;   /* of the volume, locked */
	int image; /* -1: a folder */
	int data;  /* what it holds */
	int loop;
	char at[96]; /* where it is mounted, a place of its own; "" = nowhere */
};
#define MOUNTED_NOT                \
	{                          \
		-1, -1, -1, -1, "" \
	}
/* Under the volume's lock until ln_volume_leave(). NOT_FOUND. */
int ln_volume_enter(struct host *h, const char *id, struct mounted *m, struct err *err);
void ln_volume_leave(struct mounted *m);
#define ln_volume_leave_p ln_volume_leave
uint64_t ln_volume_size(int dir); /* that was asked for */

/* What a backup reads: a copy of the image as of one moment, without a name, or the folder itself.
 * The file system takes no writes for at most frozen_s seconds; longer is TIMEOUT. spare: bytes of
 * disk that the copy must leave (DISK_FULL). */
struct volume_copy {
	int fd; /* owned */
	bool image;
	uint64_t size;
};
int ln_volume_copy(struct host *h, const char *id, unsigned frozen_s, uint64_t spare,
		   struct volume_copy *out, struct err *err);
/* Those that a killed copy left frozen. At start. */
void ln_volumes_thaw(struct host *h);

#endif
