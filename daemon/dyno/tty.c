/* The terminal of an attached one-off: frames to and from its shim. */
#include "daemon/dyno/dyno_int.h"
#include "proto/shim.h"

struct dyno_tty {
	struct shimconn *conn;
	struct dyno_tty_ops ops;
	void *arg;
};

static void on_frame(struct wire_frame *f, void *arg)
{
	struct dyno_tty *t = arg;
	struct wire_field x;
	int status = 0;

	if (f->type == SHIM_OUTPUT) {
		while (wire_next(f, &x) > 0)
			if (x.key == S_DATA)
				t->ops.output((const char *)x.data, x.len, t->arg);
		return;
	}
	if (f->type != SHIM_EXIT)
		return;
	while (wire_next(f, &x) > 0)
		if (x.key == S_EXIT_CODE)
			status = (int)wire_get_u64(&x);
	shimconn_close(t->conn);
	t->ops.exit(status, t->arg);
	free(t);
}

static void on_lost(void *arg)
{
	struct dyno_tty *t = arg;

	t->ops.lost(t->arg);
	free(t);
}

static void on_written(void *arg)
{
	struct dyno_tty *t = arg;

	if (t->ops.written)
		t->ops.written(t->arg);
}

struct dyno_tty *dyno_tty_open(struct dynos *d, const char *dyno_id, const struct dyno_tty_ops *ops,
			       void *arg)
{
	static const struct shimconn_ops conn_ops = {on_frame, on_lost, on_written};
	struct dyno_tty *t = xcalloc(1, sizeof *t);
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, SHIM_ATTACH);

	wire_u64(&b, S_OFFSET, 0);
	wire_end(&b, m);
	t->ops = *ops;
	t->arg = arg;
	t->conn = shimconn_open(d->l, launcher_run_dir(d->la), dyno_id, &b, &conn_ops, t);
	return t;
}

static void finish_frame(struct dyno_tty *t, struct buf *b, size_t mark)
{
	wire_end(b, mark);
	shimconn_send(t->conn, b);
}

void dyno_tty_input(struct dyno_tty *t, const void *p, size_t n)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, SHIM_STDIN);

	wire_bytes(&b, S_DATA, p, n);
	finish_frame(t, &b, m);
}

void dyno_tty_eof(struct dyno_tty *t)
{
	AUTO(buf_clear) struct buf b = {0};

	finish_frame(t, &b, wire_begin(&b, SHIM_STDIN_EOF));
}

void dyno_tty_resize(struct dyno_tty *t, unsigned rows, unsigned cols)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, SHIM_RESIZE);

	wire_u64(&b, S_ROWS, rows);
	wire_u64(&b, S_COLS, cols);
	finish_frame(t, &b, m);
}

void dyno_tty_signal(struct dyno_tty *t, int sig)
{
	AUTO(buf_clear) struct buf b = {0};
	size_t m = wire_begin(&b, SHIM_SIGNAL);

	wire_u64(&b, S_SIGNAL, (uint64_t)sig);
	finish_frame(t, &b, m);
}

void dyno_tty_pause(struct dyno_tty *t, bool paused)
{
	shimconn_pause(t->conn, paused);
}

size_t dyno_tty_queued(const struct dyno_tty *t)
{
	return shimconn_queued(t->conn);
}

void dyno_tty_close(struct dyno_tty *t)
{
	if (!t)
		return;
	shimconn_close(t->conn);
	free(t);
}
