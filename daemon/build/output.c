#include "daemon/build/output.h"
#include "proto/names.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct output {
	struct output *next;
	struct outputs *all; /* borrowed */
	char id[37];
	int fd;		/* owned */
	uint64_t size;	/* of the file */
	char *ring;	/* owned; OUTPUT_TAIL bytes once the head is full */
	uint64_t after; /* bytes that came after the head */
};

struct outputs {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	char *dir;	     /* owned */
	struct output *list; /* under mtx, as is all that hangs on it */
};

struct outputs *outputs_new(const char *builds_dir)
{
	struct outputs *os = xcalloc(1, sizeof(*os));
	pthread_condattr_t attr;

	pthread_mutex_init(&os->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&os->changed, &attr);
	pthread_condattr_destroy(&attr);
	os->dir = xstrdup(builds_dir);
	return os;
}

void outputs_free(struct outputs *os)
{
	if (!os)
		return;
	while (os->list)
		output_end(os->list);
	pthread_cond_destroy(&os->changed);
	pthread_mutex_destroy(&os->mtx);
	free(os->dir);
	free(os);
}

/* Under mtx. */
static struct output *find(struct outputs *os, const char *id)
{
	struct output *o = os->list;

	while (o && strcmp(o->id, id) != 0)
		o = o->next;
	return o;
}

int output_begin(struct outputs *os, const char *build_id, struct output **out, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s/output", os->dir, build_id);
	struct output *o;
	struct stat st;
	int fd;

	/* The file and its place in the list come at once: a file alone is one that has ended. */
	pthread_mutex_lock(&os->mtx);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err_errno(err, "%s", path);
		pthread_mutex_unlock(&os->mtx);
		return -1;
	}
	fstat(fd, &st);
	o = xcalloc(1, sizeof(*o));
	o->all = os;
	o->fd = fd;
	o->size = (uint64_t)st.st_size;
	memcpy(o->id, build_id, sizeof(o->id) - 1);
	o->next = os->list;
	os->list = o;
	pthread_cond_broadcast(&os->changed);
	pthread_mutex_unlock(&os->mtx);
	*out = o;
	return 0;
}

/* Under mtx. */
static void put_file(struct output *o, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(o->fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return;
		o->size += (uint64_t)w;
		p += w;
		n -= (size_t)w;
	}
}

/* Under mtx. */
static void put_ring(struct output *o, const char *p, size_t n)
{
	if (!o->ring)
		o->ring = xmalloc(OUTPUT_TAIL);
	while (n) {
		size_t at = o->after % OUTPUT_TAIL;
		size_t part = (size_t)OUTPUT_TAIL - at < n ? (size_t)OUTPUT_TAIL - at : n;

		memcpy(o->ring + at, p, part);
		o->after += part;
		p += part;
		n -= part;
	}
}

/* Under mtx. */
static void put(struct output *o, const char *p, size_t n)
{
	size_t head = o->after || o->size >= OUTPUT_HEAD ? 0 : (size_t)(OUTPUT_HEAD - o->size);

	if (head > n)
		head = n;
	put_file(o, p, head);
	if (head < n)
		put_ring(o, p + head, n - head);
	if (head)
		pthread_cond_broadcast(&o->all->changed);
}

void output_write(struct output *o, const char *p, size_t n)
{
	struct outputs *os = o->all;

	pthread_mutex_lock(&os->mtx);
	put(o, p, n);
	pthread_mutex_unlock(&os->mtx);
}

/* Under mtx. What is kept of the tail starts with a whole line if there is one. */
static void put_tail(struct output *o)
{
	size_t have = o->after < OUTPUT_TAIL ? (size_t)o->after : (size_t)OUTPUT_TAIL;
	size_t at = o->after < OUTPUT_TAIL ? 0 : (size_t)(o->after % OUTPUT_TAIL), skip = 0;
	uint64_t lost = o->after - have;

	if (have == 0)
		return;
	if (lost) {
		char note[120];

		while (skip < have && o->ring[(at + skip) % OUTPUT_TAIL] != '\n')
			skip++;
		skip = skip < have ? skip + 1 : 0;
		snprintf(note, sizeof(note),
			 "\n\n !     %llu bytes of the output are left out here\n\n",
			 (unsigned long long)(lost + skip));
		put_file(o, note, strlen(note));
	}
	for (size_t i = skip; i < have;) {
		size_t from = (at + i) % OUTPUT_TAIL;
		size_t part = (size_t)OUTPUT_TAIL - from < have - i ? (size_t)OUTPUT_TAIL - from
								    : have - i;

		put_file(o, o->ring + from, part);
		i += part;
	}
}

/* Under mtx. */
static void end(struct output *o)
{
	struct output **at = &o->all->list;

	put_tail(o);
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	pthread_cond_broadcast(&o->all->changed);
	close(o->fd);
	free(o->ring);
	free(o);
}

void output_end(struct output *o)
{
	struct outputs *os = o->all;

	pthread_mutex_lock(&os->mtx);
	end(o);
	pthread_mutex_unlock(&os->mtx);
}

bool outputs_write_id(struct outputs *os, const char *build_id, const char *p, size_t n)
{
	struct output *o;

	pthread_mutex_lock(&os->mtx);
	o = find(os, build_id);
	if (o)
		put(o, p, n);
	pthread_mutex_unlock(&os->mtx);
	return o != NULL;
}

bool outputs_end_id(struct outputs *os, const char *build_id)
{
	struct output *o;

	pthread_mutex_lock(&os->mtx);
	o = find(os, build_id);
	if (o)
		end(o);
	pthread_mutex_unlock(&os->mtx);
	return o != NULL;
}

bool outputs_live(struct outputs *os, const char *build_id)
{
	bool live;

	pthread_mutex_lock(&os->mtx);
	live = find(os, build_id) != NULL;
	pthread_mutex_unlock(&os->mtx);
	return live;
}

static int open_kept(struct outputs *os, const char *build_id, struct err *err)
{
	AUTO(auto_str) char *path = NULL;
	int fd;

	if (!name_is_uuid(build_id))
		return err_not_found(err, "build");
	path = xasprintf("%s/%s/output", os->dir, build_id);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_not_found(err, "build");
	return fd < 0 ? err_errno(err, "%s", path) : fd;
}

int outputs_read(struct outputs *os, const char *build_id, uint64_t offset, struct buf *out,
		 bool *done, struct err *err)
{
	AUTO(auto_fd) int fd = -1;
	bool live;

	*done = false;
	pthread_mutex_lock(&os->mtx);
	live = find(os, build_id) != NULL; /* asked first: the end that is seen then is the end */
	fd = open_kept(os, build_id, err);
	pthread_mutex_unlock(&os->mtx);
	if (fd < 0)
		return -1;
	*done = !live;
	for (;;) {
		ssize_t n;

		buf_reserve(out, 65536);
		n = pread(fd, out->data + out->len, 65536, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read the output of build %s", build_id);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->data[out->len] = 0;
		offset += (uint64_t)n;
	}
}

int outputs_wait(struct outputs *os, const char *build_id, uint64_t offset, int ms)
{
	struct timespec until;
	int rc = 0, ready = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&os->mtx);
	while (!ready && rc == 0) {
		const struct output *o = find(os, build_id);

		if (o) {
			ready = o->size > offset;
		} else {
			int fd = open_kept(os, build_id, NULL);

			ready = fd >= 0;
			if (fd >= 0)
				close(fd);
		}
		if (!ready)
			rc = pthread_cond_timedwait(&os->changed, &os->mtx, &until);
	}
	pthread_mutex_unlock(&os->mtx);
	return ready;
}
