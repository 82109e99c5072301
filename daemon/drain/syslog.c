/* Streams: TCP, or TLS. What the other side's kernel has acknowledged has arrived; the rest is sent
 * again on the next connection. */
#include "daemon/drain/drain_int.h"

#define CHUNK	16384
#define CHUNKS	16 /* written before the loop has a look at others */
#define LIFE_MS (5 * 3600 * 1000LL)

static void close_stream(struct drain *d)
{
	loop_timer_stop(STEAL(d->idle));
	out_stream_close(STEAL(d->stream));
	d->born = 0;
	buf_clear(&d->chunk);
	drain_rewind(d);
}

static void note_arrived(struct drain *d)
{
	uint64_t seq = out_stream_arrived(d->stream);

	if (seq <= d->acked)
		return;
	drain_arrived(d, seq);
	drain_worked(d);
}

static void on_idle(void *arg)
{
	struct drain *d = arg;

	d->idle = NULL;
	note_arrived(d);
	close_stream(d);
	drain_pump(d); /* what had not arrived */
}

static void on_up(void *arg)
{
	struct drain *d = arg;

	d->born = clock_mono_ms();
	drain_pump(d);
}

static void on_moved(void *arg)
{
	struct drain *d = arg;

	note_arrived(d);
	drain_pump(d);
}

static void on_down(enum out_fault f, const char *why, void *arg)
{
	struct drain *d = arg;
	bool idle;

	if (d->born)
		note_arrived(d);
	/* Receivers may close what is not used. */
	idle = d->born && d->acked == d->sent && !d->chunk.len && f == OUT_BROKEN;
	close_stream(d);
	if (!idle)
		drain_failed(d, f, why, 0);
	if (d->ds->stopping || idle)
		drain_pump(d);
}

static const struct out_stream_ops ops = {.up = on_up, .moved = on_moved, .down = on_down};

static bool have_chunk(struct drain *d)
{
	return d->chunk.len || drain_fill(d, CHUNK / 16, CHUNK, &d->chunk) > 0;
}

static void pump(struct drain *d)
{
	for (int i = 0; i < CHUNKS && have_chunk(d); i++) {
		if (!d->stream)
			d->stream = out_connect(d->ds->o, d->url.host, d->url.port,
						d->url.kind == DRAIN_TLS, &ops, d);
		if (!d->born || out_stream_full(d->stream))
			return;
		out_stream_write(d->stream, d->chunk.data, d->chunk.len, d->sent);
		buf_reset(&d->chunk);
	}
	if (!d->stream || !d->born)
		return;
	/* Load balancers want new connections now and then. */
	if (clock_mono_ms() - d->born > LIFE_MS && out_stream_settled(d->stream)) {
		on_idle(d);
		return;
	}
	loop_timer_stop(d->idle);
	d->idle = loop_timer_start(out_loop(d->ds->o), LIM_OUT_IDLE_MS, on_idle, d);
}

static bool at_rest(struct drain *d)
{
	if (!d->stream)
		return true;
	if (!d->born)
		return false;
	note_arrived(d);
	return out_stream_settled(d->stream);
}

const struct drain_transport drain_syslog = {pump, close_stream, at_rest};
