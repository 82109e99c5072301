#include "cli/cli.h"
#include "cli/table.h"
#include "cli/sse.h"
#include "proto/limits.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#define RETRY_MS  3000
#define RETRY_MAX 60000
#define IDLE_MS	  90000 /* the server sends a comment at least every 30 s */
#define TRIES_MAX 20	/* connections in a row that brought nothing */

struct reader {
	struct cli *c;
	struct cli_sse sse;
	bool json; /* a JSON object a line */
	bool colour, event_stream, lines_seen, closed;
	bool was_read; /* a connection was good once */
};

/* The same process always has the same colour. */
static const char *colour_of(const char *proc, size_t n)
{
	static const char *const codes[] = {"33", "32", "36", "35", "34",
					    "93", "92", "96", "95", "94"};
	unsigned h = 0;

	for (size_t i = 0; i < n && proc[i] != '.'; i++)
		h = h * 31 + (unsigned char)proc[i];
	return codes[h % ARRAY_LEN(codes)];
}

/* {"at", "source", "dyno", "message"}; a line of another form is all message. */
static void print_json_line(const char *line, size_t n)
{
	const char *end = line + n, *blank = memchr(line, ' ', n);
	const char *open = blank ? memchr(blank, '[', (size_t)(end - blank)) : NULL;
	const char *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL;
	json_auto_t *o = json_object();
	AUTO(auto_str) char *text = NULL;

	if (close && end - close >= 3 && close[1] == ':' && close[2] == ' ') {
		json_object_set_new(o, "at", json_stringn(line, (size_t)(blank - line)));
		json_object_set_new(o, "source",
				    json_stringn(blank + 1, (size_t)(open - blank) - 1));
		json_object_set_new(o, "dyno", json_stringn(open + 1, (size_t)(close - open) - 1));
		line = close + 3;
	}
	/* paasd sends UTF-8 only; if that is broken all the same, the line is still one. */
	json_object_set_new(o, "message", json_stringn(line, (size_t)(end - line)));
	if (!json_object_get(o, "message"))
		json_object_set_new(o, "message", json_null());
	text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	puts(text);
}

/* "TIME SOURCE[PROC]: TEXT" with all before TEXT coloured. The text is the app's own. */
static void print_line(struct reader *r, const char *line, size_t n)
{
	const char *open = memchr(line, '[', n),
		   *end = open ? memchr(open, ']', n - (size_t)(open - line)) : NULL;
	size_t head;

	if (r->json) {
		print_json_line(line, n);
		return;
	}
	if (r->colour && end && end + 1 < line + n && end[1] == ':') {
		head = (size_t)(end - line) + 2;
		printf("\033[%sm%.*s\033[0m", colour_of(open + 1, (size_t)(end - open) - 1),
		       (int)head, line);
		line += head;
		n -= head;
	}
	fwrite(line, 1, n, stdout);
	fputc('\n', stdout);
}

static bool on_event(void *arg, const char *event, const char *data, size_t n)
{
	struct reader *r = arg;

	if (event[0] && strcmp(event, "message") != 0)
		return true;
	r->lines_seen = true;
	while (true) {
		const char *nl = memchr(data, '\n', n);
		size_t len = nl ? (size_t)(nl - data) : n;

		print_line(r, data, len);
		if (!nl)
			break;
		data += len + 1;
		n -= len + 1;
	}
	return !ferror(stdout);
}

static bool on_head(void *arg, long status, const char *type)
{
	struct reader *r = arg;

	r->event_stream = strncasecmp(type, "text/event-stream", 17) == 0;
	r->was_read = r->was_read || (status == 200 && r->event_stream);
	return status != 200 || r->event_stream;
}

static bool on_data(void *arg, const char *data, size_t n)
{
	struct reader *r = arg;

	if (!cli_sse_feed(&r->sse, data, n) || fflush(stdout) != 0)
		r->closed = true;
	return !r->closed;
}

static int new_session(struct cli *c, const struct cli_logs *w, json_t **out, struct err *err)
{
	json_auto_t *body = json_pack("{si, sb}", "lines", w->lines, "tail", w->tail);

	if (w->source)
		json_object_set_new(body, "source", json_string(w->source));
	if (w->dyno)
		json_object_set_new(body, "dyno", json_string(w->dyno));
	return cli_api(c, "POST", body, out, err, "/apps/%s/log-sessions", c->app);
}

/* One connection. 0 = it ended, 1 = this session is over, -1 = trouble that may pass (*err). */
static int connect_once(struct reader *r, const char *url, struct err *err)
{
	AUTO(auto_str) char *last = xasprintf("Last-Event-ID: %s", r->sse.last_id);
	const char *headers[] = {"Accept: text/event-stream", r->sse.last_id[0] ? last : NULL,
				 NULL};
	struct cli_stream s = {.url = url,
			       .headers = headers,
			       .on_data = on_data,
			       .on_head = on_head,
			       .arg = r,
			       .idle_ms = IDLE_MS};
	long status = 0;

	cli_sse_restart(&r->sse);
	r->lines_seen = false;
	if (cli_stream(r->c, &s, &status, err) < 0 && !r->closed)
		return -1;
	if (r->closed)
		return 0;
	if (status == 204 || status == 403 || status == 404)
		return 1;
	if (status != 200)
		return err_set(err, ERR_UNAVAILABLE, "Logs eventsource failed with: %ld", status);
	if (!r->event_stream)
		return err_set(err, ERR_INTERNAL,
			       "Logs eventsource failed with: 200 Invalid content type");
	return 0;
}

static long wait_before(const struct reader *r, int tries)
{
	long ms = r->sse.retry_ms >= 0 ? r->sse.retry_ms : RETRY_MS;

	for (int i = 1; i < tries && ms < RETRY_MAX; i++)
		ms = ms ? ms * 2 : 100;
	return ms < RETRY_MAX ? ms : RETRY_MAX;
}

/* Follows the log over lost connections, restarts of the platform and ends of sessions. */
static int follow(struct reader *r, const struct cli_logs *w, json_t **session, struct err *err)
{
	int tries = 0;

	for (;;) {
		struct err e = {0};
		bool first = !r->sse.last_id[0] && tries == 0;
		int rc = connect_once(r, cli_js(*session, "logplex_url"), &e);

		if (r->closed)
			return 0;
		tries = r->lines_seen ? 1 : tries + 1;
		/* Refused at once; one that was being read and broke is taken up again. */
		if (rc < 0 &&
		    ((first && !r->was_read) || e.code == ERR_INTERNAL || tries > TRIES_MAX)) {
			*err = e;
			return -1;
		}
		if (rc == 1) {
			json_t *next = NULL;

			if (tries > 2 || new_session(r->c, w, &next, &e) < 0)
				return err_set(err, ERR_INTERNAL, "Log stream timed out");
			json_decref(*session);
			*session = next;
			continue;
		}
		if (tries > TRIES_MAX)
			return err_set(err, ERR_INTERNAL, "Log stream timed out");
		poll(NULL, 0, (int)wait_before(r, tries));
	}
}

int cli_logs_show(struct cli *c, const struct cli_logs *w, struct err *err)
{
	struct reader r = {.c = c, .colour = c->out_colour, .json = cli_json(c)};
	json_auto_t *session = NULL;
	int rc;

	r.colour = (r.colour || cli_opt_any(&c->args, "force-colors")) &&
		   !cli_opt_any(&c->args, "no-color");
	r.sse.on_event = on_event;
	r.sse.arg = &r;
	cli_sse_init(&r.sse);
	rc = new_session(c, w, &session, err);
	if (rc == 0 && w->tail)
		rc = follow(&r, w, &session, err);
	else if (rc == 0)
		rc = connect_once(&r, cli_js(session, "logplex_url"), err);
	cli_sse_clear(&r.sse);
	if (rc == 1)
		return err_set(err, ERR_INTERNAL, "Log stream timed out");
	return rc;
}

static int cmd_logs(struct cli *c, struct err *err)
{
	const char *num = cli_opt(&c->args, "num"), *type = cli_opt(&c->args, "process-type");
	const char *dyno = cli_opt(&c->args, "dyno-name");
	struct cli_logs w = {.source = cli_opt(&c->args, "source"),
			     .tail = cli_opt(&c->args, "tail") != NULL,
			     .lines = 100};

	if (!dyno)
		dyno = cli_opt(&c->args, "dyno");
	if (!type)
		type = cli_opt(&c->args, "ps");
	if (dyno && type)
		return err_set(err, ERR_BAD_REQUEST, "Give a dyno or a process type, not both");
	w.dyno = dyno ? dyno : type;
	if (num) {
		if (!*num || strlen(num) > 6 || strspn(num, "0123456789") != strlen(num))
			return err_set(err, ERR_BAD_REQUEST, "--num expects a number");
		w.lines = atoi(num);
	}
	if (w.lines > LIM_LOG_HISTORY)
		w.lines = LIM_LOG_HISTORY;
	return cli_logs_show(c, &w, err);
}

const struct cli_cmd cli_cmds_logs[] = {
	{.name = "logs",
	 .help = "display recent log output",
	 .more = "With --json each line is an object: at, source, dyno, message.",
	 .opts = OPTS(
		 SWITCH('t', "tail", "continually stream logs"),
		 VALUE('n', "num", "LINES", NONE, "number of lines to display (default: 100)"),
		 VALUE('s', "source", "SOURCE", NONE, "only of this source: app or heroku"),
		 VALUE('d', "dyno-name", "DYNO", DYNO, "only of this dyno, like web.1 or router"),
		 VALUE(0, "dyno", "DYNO", DYNO, NULL),
		 VALUE('p', "process-type", "TYPE", TYPE, "only of this process type"),
		 VALUE(0, "ps", "TYPE", TYPE, NULL),
		 SWITCH(0, "force-colors", "colours also when standard output is no terminal"),
		 SWITCH(0, "no-color", "no colours")),
	 .flags = CLI_APP,
	 .run = cmd_logs,
	 .examples = "logs --tail\nlogs -n 500 --source app --process-type web\nlogs -t --json | "
		     "jq .message"},
	{0},
};
