/* The running paasd makes the backup: it knows how to keep clean-ups away, how to ask providers,
 *and the launcher. The command hands over where to write to as a descriptor, so paasd needs no
 *right to the place, and hears how far it is. One JSON object a line, on RUN/backup.sock:
 *
 *	-> {"with_key": false, "without_logs": false, "frozen_s": 20}	and a descriptor
 *	<- {"stage": "slugs", "bytes": 123}				some times a second
 *	<- {"done": {...}} or {"error": {"id": "...", "message": "..."}}
 *
 * Whoever closes the connection has canceled it. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/fdpass.h"
#include "daemon/core/pool.h"
#include "daemon/core/xlog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define REQUEST_MAX 1024
#define REQUEST_MS  5000

struct backup_desk {
	struct backup_platform f;
	int listener, stop_fd;
	struct thread *door;
	struct thread *worker; /* the door's; the last one */
	atomic_bool busy, closing;
};

struct job { /* owned by its thread */
	struct backup_desk *d;
	int conn, out;
	struct backup_options o;
};

static int address(const char *run_dir, struct sockaddr_un *a, struct err *err)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(a->sun_path, sizeof a->sun_path, "%s/backup.sock", run_dir) >=
	    (int)sizeof a->sun_path)
		return err_set(err, ERR_CONFIG, "run_dir is too long");
	return 0;
}

/* --- answers --- */

static void say(int conn, json_t *line, int flags)
{
	AUTO(auto_str) char *text = json_dumps(line, JSON_COMPACT);
	AUTO(auto_str) char *out = xasprintf("%s\n", text);

	send(conn, out, strlen(out), MSG_NOSIGNAL | flags);
	json_decref(line);
}

static void say_error(int conn, const struct err *e)
{
	say(conn, json_pack("{s:{s:s, s:s}}", "error", "id", e->id, "message", e->msg), 0);
}

static json_t *report_json(const struct backup_report *r)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:O}", "created", r->created,
			 "product", r->product, "with_key", (int)r->with_key, "with_logs",
			 (int)r->with_logs, "members", (json_int_t)r->members, "files",
			 (json_int_t)r->files, "bytes", (json_int_t)r->bytes, "notes", r->notes);
}

/* --- one backup --- */

static bool unwanted(void *arg)
{
	const struct job *j = arg;
	struct pollfd p = {j->conn, POLLIN | POLLRDHUP, 0};

	return j->d->closing || (poll(&p, 1, 0) > 0 && p.revents);
}

static void tell(void *arg, const char *stage, uint64_t bytes)
{
	const struct job *j = arg;

	say(j->conn, json_pack("{s:s, s:I}", "stage", stage, "bytes", (json_int_t)bytes),
	    MSG_DONTWAIT);
}

static void work(void *arg)
{
	struct job *j = arg;
	const struct backup_watch watch = {j, unwanted, tell};
	AUTO(backup_report_clear) struct backup_report r = {0};
	struct err err = {0};

	xlog(XLOG_INFO, "backup", "msg=begins with_key=%d", j->o.with_key);
	if (backup_write(&j->d->f, &j->o, j->out, &watch, &r, &err) < 0) {
		xlog_err(XLOG_WARN, "backup", &err, "msg=\"no backup was made\"");
		say_error(j->conn, &err);
	} else {
		xlog(XLOG_INFO, "backup", "msg=done files=%llu bytes=%llu",
		     (unsigned long long)r.files, (unsigned long long)r.bytes);
		say(j->conn, json_pack("{s:o}", "done", report_json(&r)), 0);
	}
	j->d->busy = false;
	close(j->out);
	close(j->conn);
	free(j);
}

/* --- the door --- */

static bool may(int conn)
{
	struct ucred who = {0};
	socklen_t n = sizeof who;

	return getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

/* The line, whole, and the descriptor. */
static int read_request(int conn, struct backup_options *o, int *out, struct err *err)
{
	AUTO(json_decref) json_t *j = NULL;
	char text[REQUEST_MAX] = "";
	struct timeval limit = {.tv_sec = REQUEST_MS / 1000};
	size_t len = 0;
	json_int_t frozen;

	setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(conn, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	while (len < sizeof text && !memchr(text, '\n', len)) {
		ssize_t n = fd_recv(conn, text + len, sizeof text - len, out);

		if (n <= 0)
			return err_set(err, ERR_BAD_REQUEST, "no request came");
		len += (size_t)n;
	}
	j = json_loadb(text, len, 0, NULL);
	frozen = json_integer_value(json_object_get(j, "frozen_s"));
	if (!j || *out < 0 || frozen < 0 || frozen > BACKUP_FROZEN_MAX_S)
		return err_set(err, ERR_BAD_REQUEST, "the request cannot be read");
	*o = (struct backup_options){
		.with_key = json_is_true(json_object_get(j, "with_key")),
		.without_logs = json_is_true(json_object_get(j, "without_logs")),
		.frozen_s = (int)frozen,
	};
	return 0;
}

static void begin(struct backup_desk *d, int conn, int out, const struct backup_options *o)
{
	struct job *j = xmalloc(sizeof *j);

	*j = (struct job){d, conn, out, *o};
	thread_join(STEAL(d->worker)); /* it has ended, or will at once */
	d->busy = true;
	d->worker = thread_new("backup", work, j);
}

static void serve_one(struct backup_desk *d)
{
	int conn = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC), out = -1;
	struct backup_options o = {0};
	struct err err = {0};

	if (conn < 0)
		return;
	if (!may(conn))
		err_set(&err, ERR_FORBIDDEN, "Backups are root's, and paasd's user's.");
	else if (read_request(conn, &o, &out, &err) == 0 && d->busy)
		err_set(&err, ERR_CONFLICT, "Another backup is being made.");
	if (!err.status) {
		begin(d, conn, out, &o);
		return;
	}
	say_error(conn, &err);
	close(conn);
	if (out >= 0)
		close(out);
}

static void door(void *arg)
{
	struct backup_desk *d = arg;

	while (!d->closing) {
		struct pollfd p[] = {{d->listener, POLLIN, 0}, {d->stop_fd, POLLIN, 0}};

		if (poll(p, 2, -1) > 0 && p[0].revents && !p[1].revents)
			serve_one(d);
	}
}

int backup_desk_open(const struct backup_platform *f, struct backup_desk **out, struct err *err)
{
	struct sockaddr_un a;
	struct backup_desk *d;
	int fd;

	backup_sweep(f->cfg->state_dir);
	if (address(f->cfg->run_dir, &a, err) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(a.sun_path); /* stale: the state directory's lock is ours */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ||
	    chmod(a.sun_path, 0600) < 0 || listen(fd, 4) < 0) {
		err_errno(err, "listen at %s", a.sun_path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	d = xcalloc(1, sizeof *d);
	d->f = *f;
	d->listener = fd;
	d->stop_fd = eventfd(0, EFD_CLOEXEC);
	d->door = thread_new("backup-desk", door, d);
	*out = d;
	return 0;
}

void backup_desk_stop(struct backup_desk *d)
{
	if (!d)
		return;
	d->closing = true;
	eventfd_write(d->stop_fd, 1);
}

void backup_desk_close(struct backup_desk *d)
{
	struct sockaddr_un a;

	if (!d)
		return;
	backup_desk_stop(d);
	thread_join(d->door);
	thread_join(d->worker);
	if (address(d->f.cfg->run_dir, &a, NULL) == 0)
		unlink(a.sun_path);
	close(d->listener);
	close(d->stop_fd);
	free(d);
}

/* --- the other side --- */

static int ask(const char *run_dir, const struct backup_options *o, int fd, struct err *err)
{
	AUTO(json_decref)
	json_t *j = json_pack("{s:b, s:b, s:i}", "with_key", (int)o->with_key, "without_logs",
			      (int)o->without_logs, "frozen_s", o->frozen_s);
	AUTO(auto_str) char *text = json_dumps(j, JSON_COMPACT);
	AUTO(auto_str) char *line = xasprintf("%s\n", text);
	AUTO(auto_fd) int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	int out;

	if (address(run_dir, &a, err) < 0)
		return -1;
	if (s < 0 || connect(s, (const struct sockaddr *)&a, sizeof a) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			       ? err_set(err, ERR_NOT_FOUND, "paasd does not run")
			       : err_errno(err, "%s", a.sun_path);
	/* a refusal may come before all of it is sent */
	fd_send(s, line, strlen(line), fd);
	out = s;
	s = -1;
	return out;
}

static enum err_id id_of(const char *wire)
{
	for (int i = 1; wire && i < ERR_COUNT; i++)
		if (strcmp(err_wire_id((enum err_id)i), wire) == 0)
			return (enum err_id)i;
	return ERR_INTERNAL;
}

static void read_report(const json_t *j, struct backup_report *r)
{
	const char *created = json_string_value(json_object_get(j, "created"));
	const char *product = json_string_value(json_object_get(j, "product"));
	json_t *notes = json_object_get(j, "notes");

	snprintf(r->created, sizeof r->created, "%s", created ? created : "");
	snprintf(r->product, sizeof r->product, "%s", product ? product : "");
	r->with_key = json_is_true(json_object_get(j, "with_key"));
	r->with_logs = json_is_true(json_object_get(j, "with_logs"));
	r->trusted = true;
	r->members = (uint64_t)json_integer_value(json_object_get(j, "members"));
	r->files = (uint64_t)json_integer_value(json_object_get(j, "files"));
	r->bytes = (uint64_t)json_integer_value(json_object_get(j, "bytes"));
	r->notes = notes ? json_incref(notes) : json_array();
}

/* 1: there is more to come. */
static int take_line(const char *text, size_t n, const struct backup_watch *watch,
		     struct backup_report *out, struct err *err)
{
	AUTO(json_decref) json_t *j = json_loadb(text, n, 0, NULL);
	const json_t *done = json_object_get(j, "done"), *e = json_object_get(j, "error");
	const char *stage = json_string_value(json_object_get(j, "stage"));
	const char *why = json_string_value(json_object_get(e, "message"));

	if (done) {
		read_report(done, out);
		return 0;
	}
	if (e)
		return err_set(err, id_of(json_string_value(json_object_get(e, "id"))), "%s",
			       why ? why : "paasd refused");
	if (stage && watch && watch->tell)
		watch->tell(watch->arg, stage,
			    (uint64_t)json_integer_value(json_object_get(j, "bytes")));
	return 1;
}

static int follow(int s, const struct backup_watch *watch, struct backup_report *out,
		  struct buf *in, struct err *err)
{
	for (;;) {
		struct pollfd p = {s, POLLIN, 0};
		char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
		char piece[4096];
		ssize_t n;

		if (end) {
			int rc = take_line(in->data, (size_t)(end - in->data), watch, out, err);

			buf_drop(in, (size_t)(end - in->data) + 1);
			if (rc <= 0)
				return rc;
			continue;
		}
		if (watch && watch->stop && watch->stop(watch->arg))
			return err_set(err, ERR_CANCELED, "canceled");
		if (poll(&p, 1, 200) <= 0)
			continue;
		n = read(s, piece, sizeof piece);
		if (n <= 0)
			return err_set(err, ERR_UNAVAILABLE, "paasd ended meanwhile");
		buf_add(in, piece, (size_t)n);
		if (in->len > BACKUP_JSON)
			return err_set(err, ERR_INTERNAL, "paasd spoke nonsense");
	}
}

int backup_ask(const char *run_dir, const struct backup_options *o, int fd,
	       const struct backup_watch *watch, struct backup_report *out, struct err *err)
{
	AUTO(buf_clear) struct buf in = {0};
	AUTO(auto_fd) int s = ask(run_dir, o, fd, err);

	*out = (struct backup_report){0};
	return s < 0 ? -1 : follow(s, watch, out, &in, err);
}
