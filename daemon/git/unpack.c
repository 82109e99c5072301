/* The pack's way into a quarantine: `git index-pack --strict` reads it, because libgit2's indexer
 * never ends on some packs and checks too little. The child is limited in memory, processor time,
 * file size and wall time, and dies with a body that ends early. */
#include "daemon/git/git_int.h"

#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/xlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ERRTEXT_MAX 8192

/* Mistakes that old, real repositories have and that hurt nobody; those about paths, submodules and
 * links stay errors. */
#define STRICT                                                                                 \
	"--strict=zeroPaddedFilemode=ignore,missingSpaceBeforeDate=ignore,badTimezone=ignore," \
	"missingEmail=ignore,missingNameBeforeEmail=ignore,missingSpaceBeforeEmail=ignore,"    \
	"zeroPaddedDate=ignore,missingTaggerEntry=ignore,badTagName=ignore"

struct indexer {
	struct proc proc;
	int in, err;	       /* our ends of its pipes */
	bool running, refused; /* refused: it reads no more */
	struct buf text;       /* of stderr while the body comes; then it flows */
	size_t told;
	mono_ms deadline;
};

static void fail(struct git_push *p, const char *why)
{
	snprintf(p->unpack, sizeof(p->unpack), "%s", why);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int quarantine_new(struct git_push *p, struct err *err)
{
	char rnd[17], pack[PATH_MAX + 8];

	random_hex(rnd, 16);
	if (snprintf(p->quarantine, sizeof(p->quarantine), "%s/objects/tmp_objdir-incoming-%s",
		     p->rq->repo, rnd) >= (int)sizeof(p->quarantine))
		return err_set(err, ERR_IO, "path too long");
	snprintf(pack, sizeof(pack), "%s/pack", p->quarantine);
	return fs_mkdirs(pack, 0700, err);
}

void git_quarantine_drop(struct git_push *p)
{
	if (!p->quarantine[0])
		return;
	fs_rmtree(p->quarantine, NULL);
	p->quarantine[0] = 0;
}

/* The client's history is cut at these commits: index-pack must not look for their parents. */
static int write_shallow(struct git_push *p, char path[PATH_MAX + 16], struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	for (size_t i = 0; i < p->cmds.nshallow; i++)
		buf_addf(&b, "%s\n", p->cmds.shallow[i]);
	snprintf(path, PATH_MAX + 16, "%s/shallow", p->quarantine);
	return fs_write_atomic(path, buf_str(&b), b.len, 0600, err);
}

static int spawn(struct git_push *p, struct indexer *ix, struct err *err)
{
	AUTO(genv_clear) struct genv env;
	char max[48], shallow[PATH_MAX + 16];
	const char *argv[12] = {"git"};
	int n = 1, in[2], er[2];

	if (p->cmds.nshallow) {
		if (write_shallow(p, shallow, err) < 0)
			return -1;
		argv[n++] = "--shallow-file";
		argv[n++] = shallow;
	}
	snprintf(max, sizeof(max), "--max-input-size=%lld", (long long)LIM_GIT_PACK);
	argv[n++] = "index-pack";
	argv[n++] = "--stdin";
	argv[n++] = STRICT;
	argv[n++] = "--fix-thin";
	argv[n++] = max;
	if (!(p->cmds.caps & CAP_QUIET) && band_sideband(p->band))
		argv[n++] = "--show-resolving-progress";
	argv[n] = NULL;
	genv_init(&env);
	genv_repo(&env, p->rq->repo, p->quarantine);
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	if (pipe2(er, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_errno(err, "pipe");
	}
	struct proc_spec s = {
		.argv = argv,
		.env = genv_done(&env),
		.in_fd = in[0],
		.out_fd = -1,
		.err_fd = er[1],
		.lim = {.as_bytes = LIM_GIT_INDEX_AS,
			.cpu_s = LIM_GIT_INDEX_CPU_S,
			.file_bytes = (uint64_t)LIM_GIT_PACK * 5 / 4}, /* thin packs grow */
		.die_with_thread = true,
	};
	int rc = proc_spawn(&s, &ix->proc, err);

	close(in[0]);
	close(er[1]);
	ix->in = in[1];
	ix->err = er[0];
	if (rc < 0) {
		close_fd(&ix->in);
		close_fd(&ix->err);
		return -1;
	}
	fcntl(ix->in, F_SETFL, O_NONBLOCK);
	fcntl(ix->err, F_SETFL, O_NONBLOCK);
	ix->running = true;
	ix->deadline = clock_mono_ms() + LIM_GIT_UPLOAD_MS;
	return 0;
}

/* Reads what the child says; kept, up to a limit. False at its end. */
static bool hear(struct indexer *ix)
{
	char tmp[4096];

	for (;;) {
		ssize_t n = read(ix->err, tmp, sizeof(tmp));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		if (ix->text.len < ERRTEXT_MAX)
			buf_add(&ix->text, tmp, (size_t)n);
	}
}

/* Passes on what was heard since. Progress lines overwrite each other, so the cap is on what is
 * kept. */
static void tell(struct git_push *p, struct indexer *ix)
{
	git_say(p, buf_str(&ix->text) + ix->told, ix->text.len - ix->told);
	ix->told = ix->text.len;
	if (ix->text.len >= ERRTEXT_MAX)
		return;
	buf_reset(&ix->text);
	ix->told = 0;
}

static int left_ms(mono_ms deadline)
{
	mono_ms left = deadline - clock_mono_ms();

	return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

/* Gives it all bytes; false when it takes no more (it has seen enough to refuse, or is too slow).
 */
static bool feed(struct indexer *ix, const char *data, size_t n)
{
	while (n) {
		struct pollfd f[2] = {{.fd = ix->in, .events = POLLOUT},
				      {.fd = ix->err, .events = POLLIN}};
		int ready = poll(f, 2, left_ms(ix->deadline));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return false;
		if (f[1].revents && !hear(ix))
			return false;
		if (!f[0].revents)
			continue;
		ssize_t w = write(ix->in, data, n);

		if (w < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (w < 0)
			return false;
		data += w;
		n -= (size_t)w;
	}
	return true;
}

static void stop(struct indexer *ix)
{
	close_fd(&ix->in);
	close_fd(&ix->err);
	if (ix->running) /* a deadline that is over kills */
		proc_wait(&ix->proc, 1, -1, NULL, NULL);
	ix->running = false;
	buf_clear(&ix->text);
}

/* The body is whole: lets it finish, with its words on their way to the user. */
static int conclude(struct git_push *p, struct indexer *ix)
{
	struct err err = {0};
	int status = 0;

	close_fd(&ix->in);
	ix->deadline = clock_mono_ms() + LIM_GIT_INDEX_MS;
	for (;;) {
		struct pollfd f = {.fd = ix->err, .events = POLLIN};
		int ready = poll(&f, 1, left_ms(ix->deadline));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			break;
		bool more = hear(ix);

		tell(p, ix);
		if (!more)
			break;
	}
	ix->running = false;
	if (proc_wait(&ix->proc, ix->deadline, -1, &status, &err) < 0)
		return err_set(&err, ERR_TIMEOUT, "too slow");
	return status;
}

/* Reads the body to its end into the child. False when the body was cut, or is too large. */
static bool pour(struct git_push *p, struct indexer *ix, const char head[12])
{
	char tmp[65536];
	ssize_t n;

	ix->refused = !feed(ix, head, 12);
	while ((n = git_push_body(p, tmp, sizeof(tmp))) > 0) {
		if (!ix->refused)
			ix->refused = !feed(ix, tmp, (size_t)n);
	}
	return n == 0 && !p->unpack[0];
}

static void index_pack(struct git_push *p, const char head[12])
{
	struct indexer ix = {.in = -1, .err = -1};
	struct err err = {0};

	if (quarantine_new(p, &err) < 0 || spawn(p, &ix, &err) < 0) {
		xlog_err(XLOG_ERROR, "git", &err, "msg=\"cannot index\" app_id=%s", p->rq->app_id);
		fail(p, "index-pack abnormal exit");
		return;
	}
	if (!pour(p, &ix, head)) { /* never let it see a clean end of a cut body */
		stop(&ix);
		return;
	}
	band_keepalive(p->band, p->rq->g->keepalive_ms);
	int status = conclude(p, &ix);

	if (status != 0) {
		fail(p, "index-pack abnormal exit");
		if (status < 0 || WIFSIGNALED(status))
			git_sayf(p, "error: the pack takes too much time or memory to unpack\n");
	}
	stop(&ix);
}

/* 0 = head is full. */
static int read_head(struct git_push *p, char head[12])
{
	size_t have = 0;

	while (have < 12) {
		ssize_t n = git_push_body(p, head + have, 12 - have);

		if (n < 0)
			return -1;
		if (n == 0 && p->unpack[0])
			return -1;
		if (n == 0) {
			fail(p, "eof before pack header was fully read");
			return -1;
		}
		have += (size_t)n;
	}
	return 0;
}

static uint32_t be32(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void drop_body(struct git_push *p)
{
	char tmp[65536];

	while (git_push_body(p, tmp, sizeof(tmp)) > 0)
		;
}

/* A pack of nothing comes with refs to what is here already: only its hash can be wrong. */
static void empty_pack(struct git_push *p)
{
	static const unsigned char hash[20] = {0x02, 0x9d, 0x08, 0x82, 0x3b, 0xd8, 0xa8,
					       0xea, 0xb5, 0x10, 0xad, 0x6a, 0xc7, 0x5c,
					       0x82, 0x3c, 0xfd, 0x3e, 0xd3, 0x1e};
	char tail[20];
	size_t have = 0;
	ssize_t n;

	while (have < sizeof(tail) && (n = git_push_body(p, tail + have, sizeof(tail) - have)) > 0)
		have += (size_t)n;
	if (!p->cut && (have < sizeof(tail) || memcmp(tail, hash, sizeof(hash)) != 0))
		fail(p, "index-pack abnormal exit");
	drop_body(p);
}

void git_unpack(struct git_push *p)
{
	char head[12];

	if (read_head(p, head) < 0)
		return;
	uint32_t version = be32(head + 4), count = be32(head + 8);

	if (memcmp(head, "PACK", 4) != 0)
		fail(p, "protocol error (pack signature mismatch detected)");
	else if (version != 2 && version != 3)
		fail(p, "protocol error (pack version unsupported)");
	else if (count > LIM_GIT_OBJECTS)
		snprintf(p->unpack, sizeof(p->unpack), "pack has too many objects (at most %d)",
			 LIM_GIT_OBJECTS);
	if (p->unpack[0])
		drop_body(p);
	else if (count == 0 && version == 2)
		empty_pack(p);
	else
		index_pack(p, head);
}

/* --- connectivity --- */

/* Does everything that these ids lead to exist? What refs reach already is taken as whole. */
static bool connected(struct git_push *p, const struct buf *ids)
{
	static const char *const argv[] = {"git",   "rev-list", "--objects", "--stdin",
					   "--not", "--all",	"--quiet",   NULL};
	AUTO(genv_clear) struct genv env;
	AUTO(buf_clear) struct buf out = {0};
	struct err err = {0};

	genv_init(&env);
	genv_repo(&env, p->rq->repo, p->quarantine);
	struct proc_spec s = {
		.argv = argv,
		.env = genv_done(&env),
		.in_fd = -1,
		.out_fd = -1,
		.err_fd = -1,
		.lim = {.as_bytes = LIM_GIT_INDEX_AS, .cpu_s = LIM_GIT_INDEX_CPU_S},
		.die_with_thread = true,
	};
	int rc = proc_run(&s, buf_str(ids), ids->len, &out, 2000,
			  clock_mono_ms() + LIM_GIT_INDEX_MS, -1, &err);

	if (rc != 0)
		xlog(XLOG_INFO, "git", "msg=\"not connected\" app_id=%s status=%d said=%s",
		     p->rq->app_id, rc, xlog_q(buf_str(&out)));
	return rc == 0;
}

static bool wants_check(const struct push_cmd *c)
{
	return !c->why && !push_cmd_deletes(c);
}

/* All at once; only when that fails, one by one to name the guilty. */
void git_connectivity(struct git_push *p)
{
	AUTO(buf_clear) struct buf ids = {0};

	for (size_t i = 0; i < p->cmds.n; i++) {
		if (wants_check(&p->cmds.cmd[i]))
			buf_addf(&ids, "%s\n", p->cmds.cmd[i].new_id);
	}
	if (ids.len == 0 || connected(p, &ids))
		return;
	bool one = ids.len == 41;

	for (size_t i = 0; i < p->cmds.n; i++) {
		struct push_cmd *c = &p->cmds.cmd[i];

		if (!wants_check(c))
			continue;
		buf_reset(&ids);
		buf_addf(&ids, "%s\n", c->new_id);
		if (one || !connected(p, &ids))
			c->why = p->cmds.nshallow ? "shallow update not allowed"
						  : "missing necessary objects";
	}
}

/* --- migrating --- */

static int rank(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (!dot)
		return -1;
	return !strcmp(dot, ".pack") ? 0 : !strcmp(dot, ".idx") ? 2 : 1;
}

/* Existing names hold the same content: pack names are hashes of it. */
static int move_file(int from, int to, const char *name, struct err *err)
{
	if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return 0; /* ours goes with the quarantine */
	if (errno == EINVAL && renameat(from, name, to, name) == 0)
		return 0; /* a file system without RENAME_NOREPLACE */
	return err_errno(err, "cannot move %s", name);
}

static int move_ranked(DIR *d, int to, int want, struct err *err)
{
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (strncmp(e->d_name, "pack-", 5) == 0 && rank(e->d_name) == want &&
		    move_file(dirfd(d), to, e->d_name, err) < 0)
			return -1;
	}
	return 0;
}

int git_migrate(struct git_push *p, struct err *err)
{
	char path[PATH_MAX + 16];
	AUTO(auto_fd) int to = -1;
	int rc = 0;

	if (!p->quarantine[0])
		return 0;
	snprintf(path, sizeof(path), "%s/objects/pack", p->rq->repo);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "%s", path);
	to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/pack", p->quarantine);
	DIR *d = opendir(path);

	if (to < 0 || !d) {
		rc = err_errno(err, "cannot open the pack folder");
	} else {
		for (int r = 0; r <= 2 && rc == 0; r++) /* a reader never sees .idx without .pack */
			rc = move_ranked(d, to, r, err);
		if (rc == 0 && fsync(to) < 0)
			rc = err_errno(err, "fsync");
	}
	if (d)
		closedir(d);
	return rc;
}
