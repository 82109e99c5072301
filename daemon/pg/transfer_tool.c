#include "daemon/pg/transfer_tool.h"
#include "daemon/core/codec.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

#define SAID_MAX 8192 /* kept of stderr: as the wrapper has it */
#define TAIL_MAX (2 * SAID_MAX)
#define TICK_MS	 500
#define TTL_S	 (24 * 3600) /* when paasd is gone; its own deadline is sooner */

/* stdout and stderr of a sandbox come as one stream, and a dump is on stdout: so stderr is kept in
 * a file without a name and follows a mark when the tool has failed. $1 octets of stdin are the
 * file TOOL_FILE. The programs of the newest version are called by themselves: those in /usr/bin
 * are scripts that look for them at length. */
static const char wrapper[] =
	"for d in /usr/lib/postgresql/*/bin; do PATH=$d:$PATH; done\n"
	"ulimit -f 131072\n"
	"f=$(mktemp) && exec 3<>\"$f\" && rm -f \"$f\" || exit 70\n"
	"if [ \"$1\" -gt 0 ]; then\n"
	"	f=$(mktemp) && exec 4<>\"$f\" && rm -f \"$f\" && head -c \"$1\" >&4 || exit 70\n"
	"fi\n"
	"mark=$2\n"
	"shift 2\n"
	"\"$@\" 2>&3 && exit 0\n"
	"s=$?\n"
	"printf '\\n%s\\n' \"$mark\"\n"
	"tail -c 8192 /proc/self/fd/3\n"
	"exit $s\n";

struct child {
	struct sandbox_talk *talk; /* NULL = it has ended */
	char mark[33];		   /* what it said on stderr follows */
	struct buf tail;	   /* the end of its output */
};

static void child_clear(struct child *c)
{
	if (c->talk)
		sandbox_talk_close(c->talk);
	buf_clear(&c->tail);
	*c = (struct child){0};
}
#define child_clear_p child_clear

static void add_env(struct launch_spec *spec, const struct pgurl *db)
{
	AUTO(pgurl_env_free) char **env = pgurl_env(db);

	for (char **e = env; *e; e++) {
		size_t n = strcspn(*e, "=");
		AUTO(auto_str) char *name = xstrndup(*e, n);

		launch_spec_env(spec, name, *e + n + 1);
	}
}

static void fill_spec(struct launch_spec *spec, const struct toolbox *box, const char *const *argv,
		      const struct pgurl *db, size_t file, const char *mark)
{
	char count[24];

	uuid_new(spec->id);
	memcpy(spec->app_id, box->app_id, sizeof spec->app_id);
	snprintf(spec->name, sizeof spec->name, "transfer.1");
	spec->app_uid = box->app_uid;
	spec->stdio = LAUNCH_PIPE;
	spec->on_detach = LAUNCH_KILL;
	spec->net = db != NULL;
	spec->mem_max = (uint64_t)LIM_TRANSFER_MEMORY;
	spec->pids_max = LIM_TRANSFER_PIDS;
	spec->ttl_s = TTL_S;
	spec->cwd = xstrdup("/tmp");
	launch_spec_arg(spec, "/bin/sh");
	launch_spec_arg(spec, "-c");
	launch_spec_arg(spec, wrapper);
	launch_spec_arg(spec, "transfer");
	snprintf(count, sizeof count, "%zu", file);
	launch_spec_arg(spec, count);
	launch_spec_arg(spec, mark);
	for (; *argv; argv++)
		launch_spec_arg(spec, *argv);
	if (!db) {
		launch_spec_env(spec, "PATH", "/usr/local/bin:/usr/bin:/bin");
		launch_spec_env(spec, "LANG", "C.UTF-8");
		return;
	}
	add_env(spec, db);
	if (box->port && !db->hostaddr && strcmp(db->host, box->ip) == 0 && db->port == box->port)
		launch_spec_reach(spec, box->ip, box->port);
}

static int child_start(struct child *c, const struct toolbox *box, const char *const *argv,
		       const struct pgurl *db, size_t file, struct err *err)
{
	struct launch_spec spec = {0};
	int rc;

	random_hex(c->mark, 32);
	fill_spec(&spec, box, argv, db, file, c->mark);
	rc = sandbox_talk_open(box->launcher, &spec, &c->talk, err);
	launch_spec_clear(&spec);
	return rc;
}

static void keep_tail(struct child *c, const void *p, size_t n)
{
	const char *s = p;

	if (n > TAIL_MAX) {
		s += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	buf_add(&c->tail, s, n);
	if (c->tail.len > TAIL_MAX)
		buf_drop(&c->tail, c->tail.len - TAIL_MAX);
}

/* The last line that says something, without the program's name. */
static void last_words(const char *s, size_t n, char *out, size_t cap)
{
	const char *end = s + n, *p;

	for (;;) {
		while (end > s && (end[-1] == '\n' || end[-1] == ' '))
			end--;
		for (p = end; p > s && p[-1] != '\n'; p--)
			;
		/* what follows an error: where it was, what to do */
		if (p > s && (strncmp(p, "Command was", 11) == 0 || strncmp(p, "LINE ", 5) == 0 ||
			      *p == ' ' || *p == '\t' || strncmp(p, "DETAIL", 6) == 0 ||
			      strncmp(p, "HINT", 4) == 0 || strncmp(p, "CONTEXT", 7) == 0))
			end = p;
		else
			break;
	}
	snprintf(out, cap, "%.*s", (int)(end - p), p);
	for (char *q = out; *q; q++)
		if ((unsigned char)*q < ' ')
			*q = ' ';
}

/* Of its end. */
static int verdict(const struct child *c, const char *name, int code, struct err *err)
{
	const char *hit, *what;
	char words[300];

	if (code == 0)
		return 0;
	words[0] = 0;
	hit = c->tail.len ? memmem(c->tail.data, c->tail.len, c->mark, 32) : NULL;
	if (hit)
		last_words(hit + 32, (size_t)(c->tail.data + c->tail.len - hit - 32), words,
			   sizeof words);
	what = strstr(words, "ERROR:  "); /* behind psql's "psql:<stdin>:12: " */
	what = strncmp(words, "psql:", 5) == 0 && what ? what + strlen("ERROR:  ") : words;
	if (*words)
		return err_set(err, ERR_IO, "%s", what);
	if (code > 128)
		return err_set(err, ERR_IO, "%s was killed by signal %d", name, code - 128);
	return err_set(err, ERR_IO, "%s ended with status %d", name, code);
}

static int watched(const struct tool_watch *w, mono_ms *ticked, struct err *err)
{
	mono_ms now = clock_mono_ms();

	if (w->deadline && now >= w->deadline)
		return err_set(err, ERR_TIMEOUT, "took too long");
	if (!w->tick || now - *ticked < TICK_MS)
		return 0;
	*ticked = now;
	return w->tick(w->arg, err);
}

/* --- one that runs to its end --- */

struct run {
	struct child c;
	const struct tool *t;
	const char *next; /* for stdin */
	size_t left;
};

static int give(struct run *r, struct err *err)
{
	size_t room;

	while ((room = sandbox_talk_room(r->c.talk)) > 0) {
		const void *p;

		if (r->left == 0) {
			if (r->t->feed && r->t->feed(r->t->arg, &p, &r->left, err) < 0)
				return -1;
			if (r->left == 0) {
				sandbox_talk_eof(r->c.talk);
				return 0;
			}
			r->next = p;
		}
		room = room < r->left ? room : r->left;
		sandbox_talk_say(r->c.talk, r->next, room);
		r->next += room;
		r->left -= room;
	}
	return 0;
}

static int pump(struct run *r, const struct tool_watch *w, int *code, struct err *err)
{
	mono_ms ticked = clock_mono_ms();
	const void *p;
	size_t n;
	int rc;

	while (give(r, err) == 0) {
		rc = sandbox_talk_step(r->c.talk, TICK_MS, w->cancel_fd, &p, &n, code, err);
		if (rc != 0)
			return rc;
		if (watched(w, &ticked, err) < 0)
			return -1;
		if (n == 0)
			continue;
		keep_tail(&r->c, p, n);
		if (r->t->sink && r->t->sink(r->t->arg, p, n, err) < 0)
			return -1;
	}
	return -1;
}

int tool_run(const struct toolbox *box, const struct tool *t, const struct tool_watch *w,
	     struct err *err)
{
	struct run r = {.t = t};
	int code = 0, rc;

	if (t->file && t->file->len) {
		r.next = t->file->data;
		r.left = t->file->len;
	}
	rc = child_start(&r.c, box, t->argv, t->db, r.left, err);
	if (rc == 0)
		rc = pump(&r, w, &code, err) < 0 ? -1 : verdict(&r.c, t->argv[0], code, err);
	child_clear(&r.c);
	return rc;
}

/* --- a session --- */

struct tool_session {
	struct child c;
	char mark[40]; /* printed after each answer */
};

int tool_session_open(const struct toolbox *box, const struct pgurl *db, struct tool_session **out,
		      struct err *err)
{
	/* --no-psqlrc: nothing of a home; --no-password: never asks */
	static const char *const argv[] = {
		"psql",	      "--no-psqlrc",	 "--no-password", "--quiet",
		"--no-align", "--tuples-only",	 "--set",	  "ON_ERROR_STOP=1",
		"--set",      "VERBOSITY=terse", "--file",	  "-",
		NULL};
	struct tool_session *s = xcalloc(1, sizeof *s);

	memcpy(s->mark, "\nend-", 5);
	random_hex(s->mark + 5, 32);
	memcpy(s->mark + 37, "\n", 2);
	if (child_start(&s->c, box, argv, db, 0, err) < 0) {
		tool_session_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

/* Octets of the answer before the mark; -1 = it is not complete. */
static ssize_t answer_len(const struct tool_session *s, const struct buf *b, size_t from)
{
	size_t n = strlen(s->mark), back = from > n ? from - n : 0;
	const char *hit = b->len > back ? memmem(b->data + back, b->len - back, s->mark, n) : NULL;

	return hit ? hit - b->data : -1;
}

/* 1: the answer is complete. 0: go on. */
static int add_answer(struct tool_session *s, struct buf *b, const void *p, size_t n, size_t max,
		      struct err *err)
{
	size_t from = b->len;
	ssize_t len;

	keep_tail(&s->c, p, n);
	buf_add(b, p, n);
	len = answer_len(s, b, from);
	if (len >= 0) {
		b->len = (size_t)len;
		b->data[b->len] = 0;
		return 1;
	}
	return b->len > max ? err_set(err, ERR_TOO_LARGE, "the answer is too long") : 0;
}

int tool_session_ask(struct tool_session *s, const char *sql, const struct tool_watch *w,
		     struct buf *out, size_t max, struct err *err)
{
	AUTO(auto_str) char *script = xasprintf("%s\n\\echo\n\\echo '%.36s'\n", sql, s->mark + 1);
	AUTO(buf_clear) struct buf answer = {0};
	const char *next = script;
	size_t left = strlen(script);
	mono_ms ticked = clock_mono_ms();
	int rc = 0;

	/* mark without its newlines: 36 octets */
	buf_addc(&answer, '\n');
	while (rc == 0) {
		size_t k = sandbox_talk_room(s->c.talk), n;
		const void *p;
		int code = 0;

		k = k < left ? k : left;
		sandbox_talk_say(s->c.talk, next, k);
		next += k;
		left -= k;
		rc = sandbox_talk_step(s->c.talk, TICK_MS, w->cancel_fd, &p, &n, &code, err);
		if (rc == 1 && verdict(&s->c, "psql", code, err) == 0)
			err_set(err, ERR_IO, "psql ended too early");
		rc = rc == 0 ? watched(w, &ticked, err) : -1;
		if (rc == 0 && n > 0)
			rc = add_answer(s, &answer, p, n, max, err);
	}
	if (rc < 0)
		return -1;
	if (out)
		buf_add(out, answer.data + 1, answer.len - 1);
	return 0;
}

void tool_session_close(struct tool_session *s)
{
	child_clear(&s->c);
	free(s);
}

int tool_psql(const struct toolbox *box, const struct pgurl *db, const char *sql,
	      const struct tool_watch *w, struct buf *out, size_t max, struct err *err)
{
	AUTO(tool_session_close) struct tool_session *s = NULL;

	if (tool_session_open(box, db, &s, err) < 0)
		return -1;
	return tool_session_ask(s, sql, w, out, max, err);
}
