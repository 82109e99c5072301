/* Whatever is called a backup. Members go nowhere; what the sink hears of is within what was
 * promised. */
#include "daemon/backup/backup_int.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	bool open;
	uint64_t size, end;
};

static void check_path(const char *path)
{
	assert(*path && *path != '/' && strlen(path) < BACKUP_PATH);
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		assert(*p && *p != '/' && strncmp(p, "../", 3) != 0 && strcmp(p, "..") != 0 &&
		       strncmp(p, "./", 2) != 0 && strcmp(p, ".") != 0);
	}
}

static int on_begin(void *arg, const struct backup_member *m, struct err *err)
{
	struct seen *s = arg;

	assert(strchr("fdlh", m->type) && !s->open && !(m->mode & 04000));
	check_path(m->path);
	if (m->type == 'h')
		check_path(m->link);
	*s = (struct seen){true, m->size, 0};
	return 0;
}

static int on_data(void *arg, uint64_t at, const void *p, size_t n, struct err *err)
{
	struct seen *s = arg;

	assert(s->open && n && at >= s->end && at + n <= s->size);
	s->end = at + n;
	return 0;
}

static int on_end(void *arg, const struct backup_member *m, struct err *err)
{
	struct seen *s = arg;

	s->open = false;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen seen = {0};
	const struct backup_sink sink = {&seen, NULL, on_begin, on_data, on_end};
	AUTO(backup_report_clear) struct backup_report r = {0};
	AUTO(auto_fd) int fd = memfd_create("backup", MFD_CLOEXEC);
	struct err err = {0};

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
		return 0;
	codec_init();
	if (backup_read(fd, NULL, &sink, NULL, &r, &err) == 0)
		assert(json_is_array(r.notes) && strlen(r.digest) == 64);
	else
		assert(err.status && err.msg[0]);
	return 0;
}
