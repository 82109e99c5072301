/* The verb `snapshot`: the cluster's folder as a tar on stdout, out of the running server, for the
 * platform's backup. pg_basebackup makes it, with the log that it takes to become consistent. */
#include "postgres/tenant.h"
#include "proto/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Below the service's folder (addons/heroku-postgresql/bin/serve). */
#define IN_DATA "cluster"

static void reader_free(struct archive *a)
{
	archive_read_free(a);
}
DEFINE_AUTO(struct archive *, reader_free)

static void writer_free(struct archive *a)
{
	archive_write_free(a);
}
DEFINE_AUTO(struct archive *, writer_free)

/* --- pg_basebackup --- */

/* Of the server's version: the package of that server brings it. */
static char *program_of(PGconn *c)
{
	return xasprintf("/usr/lib/postgresql/%d/bin/pg_basebackup", PQserverVersion(c) / 10000);
}

static _Noreturn void become(const struct pgs *s, const char *program, int out)
{
	const char *const argv[] = {program,
				    "-h",
				    s->host,
				    "-p",
				    s->port,
				    "-U",
				    PGS_ADMIN,
				    "-D",
				    "-",
				    "-F",
				    "tar",
				    "-X",
				    "fetch",
				    "-c",
				    "fast",
				    "-l",
				    "paasd",
				    "--no-password",
				    "--no-estimate-size",
				    NULL};

	setenv("PGPASSWORD", s->password ? s->password : "", 1);
	if (dup2(out, STDOUT_FILENO) >= 0)
		execv(program, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", program, strerror(errno));
	_exit(126);
}

/* Its output; *pid is to be waited for. */
static int start(const struct pgs *s, const char *program, pid_t *pid, struct err *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(err, "a pipe");
	*pid = fork();
	if (*pid == 0)
		become(s, program, p[1]);
	close(p[1]);
	if (*pid > 0)
		return p[0];
	close(p[0]);
	return err_errno(err, "a process");
}

/* --- its tar becomes ours: the same, one folder further down --- */

static int tar_error(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_UNAVAILABLE, "The copy of the cluster was cut off: %.150s",
		       why ? why : "unknown");
}

static int put_top(struct archive *out, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	int rc;

	archive_entry_set_pathname(e, IN_DATA);
	archive_entry_set_filetype(e, AE_IFDIR);
	archive_entry_set_perm(e, 0700);
	rc = archive_write_header(out, e);
	archive_entry_free(e);
	return rc == ARCHIVE_OK ? 0 : tar_error(out, err);
}

static int copy_data(struct archive *in, struct archive *out, struct err *err)
{
	static char piece[1 << 18];
	la_ssize_t n;

	while ((n = archive_read_data(in, piece, sizeof piece)) > 0)
		if (archive_write_data(out, piece, (size_t)n) != n)
			return tar_error(out, err);
	return n < 0 ? tar_error(in, err) : 0;
}

static int copy_entries(struct archive *in, struct archive *out, struct err *err)
{
	struct archive_entry *e;
	int rc;

	while ((rc = archive_read_next_header(in, &e)) == ARCHIVE_OK) {
		const char *rel = archive_entry_pathname(e);
		AUTO(auto_str)
		char *path = xasprintf(IN_DATA "/%s", strncmp(rel, "./", 2) ? rel : rel + 2);

		archive_entry_set_pathname(e, path);
		if (archive_write_header(out, e) != ARCHIVE_OK)
			return tar_error(out, err);
		if (copy_data(in, out, err) < 0)
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : tar_error(in, err);
}

static int pour(int fd, struct err *err)
{
	AUTO(reader_free) struct archive *in = archive_read_new();
	AUTO(writer_free) struct archive *out = archive_write_new();

	archive_read_support_format_tar(in);
	archive_write_set_format_pax_restricted(out);
	if (archive_read_open_fd(in, fd, 1 << 16) != ARCHIVE_OK)
		return tar_error(in, err);
	if (archive_write_open_fd(out, STDOUT_FILENO) != ARCHIVE_OK)
		return tar_error(out, err);
	if (put_top(out, err) < 0 || copy_entries(in, out, err) < 0)
		return -1;
	return archive_write_close(out) == ARCHIVE_OK ? 0 : tar_error(out, err);
}

int verb_snapshot(struct request *q, json_t **out, struct err *err)
{
	AUTO(PQfinish) PGconn *c = NULL;
	AUTO(auto_str) char *program = NULL;
	AUTO(auto_str) char *slot = xasprintf("paasd_%d", (int)getpid());
	pid_t pid = 0;
	int fd, rc, status = 0;

	if (!q->own_server)
		return err_set(err, ERR_INVALID_PARAMS, "It is an outside server.");
	if (pgs_connect(&q->server, NULL, &c, err) < 0)
		return -1;
	/* what the copy needs of the log stays until we have ended */
	if (pgs_exec(c, err, "SELECT pg_create_physical_replication_slot(%L, true, true)", slot) <
	    0)
		return -1;
	program = program_of(c);
	fd = start(&q->server, program, &pid, err);
	if (fd < 0)
		return -1;
	rc = pour(fd, err);
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc == 0 && status != 0)
		rc = err_set(err, ERR_UNAVAILABLE, "pg_basebackup ended with status %d",
			     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return rc;
}
