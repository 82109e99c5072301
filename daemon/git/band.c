#include "daemon/git/band.h"

#include "daemon/core/clock.h"
#include "daemon/git/pktline.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { BAND_REPORT = 1, BAND_TEXT = 2 };

struct band {
	pthread_mutex_t lock; /* the sink, gone, last, stop, filter */
	pthread_cond_t stopped;
	bool sideband; /* constant */
	bool gone, stop, ticking, open_line;
	int keepalive_ms;
	mono_ms last;	     /* when something was last sent */
	struct timespec due; /* the keepalive's next look */
	pthread_t ticker;
	band_sink *sink;
	void *arg;
	struct band_filter filter;
};

struct band *band_new(bool sideband, band_sink *sink, void *arg)
{
	struct band *b = xcalloc(1, sizeof(*b));
	pthread_condattr_t attr;

	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->stopped, &attr);
	pthread_condattr_destroy(&attr);
	b->sideband = sideband;
	b->sink = sink;
	b->arg = arg;
	b->last = clock_mono_ms();
	return b;
}

static void stop_ticker(struct band *b)
{
	if (!b->ticking)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->stopped);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->ticker, NULL);
	b->ticking = false;
}

void band_free(struct band *b)
{
	if (!b)
		return;
	stop_ticker(b);
	pthread_cond_destroy(&b->stopped);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* With the lock. */
static void emit(struct band *b, const void *p, size_t n)
{
	if (b->gone)
		return;
	if (b->sink(b->arg, p, n) < 0)
		b->gone = true;
	b->last = clock_mono_ms();
}

/* With the lock. */
static void emit_band(struct band *b, int band, const char *p, size_t n)
{
	AUTO(buf_clear) struct buf out = {0};

	while (n) {
		size_t take = n < BAND_DATA_MAX ? n : BAND_DATA_MAX;
		char head[5];

		pkt_head(head, take + 5);
		head[4] = (char)band;
		buf_add(&out, head, sizeof(head));
		buf_add(&out, p, take);
		p += take;
		n -= take;
	}
	if (out.len)
		emit(b, out.data, out.len);
}

static struct timespec after_ms(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/* While a slow client blocks the sink, the lock is held and the keepalive simply waits its turn:
 * such a client has bytes on their way. */
static void *tick(void *arg)
{
	struct band *b = arg;

	pthread_mutex_lock(&b->lock);
	while (!b->stop && !b->gone) {
		mono_ms idle = clock_mono_ms() - b->last;

		if (idle >= b->keepalive_ms) {
			emit(b, "0005\2", 5);
			continue;
		}
		b->due = after_ms((int)(b->keepalive_ms - idle));
		pthread_cond_timedwait(&b->stopped, &b->lock, &b->due);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

void band_keepalive(struct band *b, int ms)
{
	if (!b->sideband || b->ticking)
		return;
	assert(ms > 0);
	b->keepalive_ms = ms;
	if (pthread_create(&b->ticker, NULL, tick, b) == 0)
		b->ticking = true;
}

void band_say(struct band *b, const char *text, size_t n)
{
	if (!b->sideband || !n)
		return;
	char *out = xmalloc(n + BAND_FILTER_SLACK);

	pthread_mutex_lock(&b->lock);
	n = band_filter(&b->filter, text, n, out);
	if (n)
		b->open_line = out[n - 1] != '\n';
	emit_band(b, BAND_TEXT, out, n);
	pthread_mutex_unlock(&b->lock);
	free(out);
}

void band_report(struct band *b, const void *report, size_t n)
{
	stop_ticker(b);
	pthread_mutex_lock(&b->lock);
	if (b->sideband) {
		if (b->open_line)
			emit_band(b, BAND_TEXT, "\n", 1);
		emit_band(b, BAND_REPORT, report, n);
		emit(b, "0000", 4);
	} else if (n) {
		emit(b, report, n);
	}
	pthread_mutex_unlock(&b->lock);
}

bool band_gone(struct band *b)
{
	pthread_mutex_lock(&b->lock);
	bool gone = b->gone;
	pthread_mutex_unlock(&b->lock);
	return gone;
}

bool band_sideband(const struct band *b)
{
	return b->sideband;
}

enum { F_TEXT, F_ESC, F_CSI, F_STRING };

static bool plain(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r';
}

static size_t in_text(struct band_filter *f, unsigned char c, char *out)
{
	if (c == 0x1b) {
		f->state = F_ESC;
		return 0;
	}
	f->state = F_TEXT;
	if (!plain(c))
		return 0;
	out[0] = (char)c;
	return 1;
}

/* After ESC: CSI may become a colour; titles and the like run to their end; other pairs go whole.
 */
static size_t in_escape(struct band_filter *f, unsigned char c, char *out)
{
	if (c < 0x20)
		return in_text(f, c, out);
	f->n = 0;
	f->too_long = false;
	f->state = c == '[' ? F_CSI : strchr("]PX^_", c) ? F_STRING : F_TEXT;
	return 0;
}

/* Parameters and intermediates are 0x20-3f, the end is 0x40-7e (ECMA-48 5.4). Colours end in m and
 * have digits, ';' and ':' only. */
static size_t in_csi(struct band_filter *f, unsigned char c, char *out)
{
	size_t n = 0;

	if (c < 0x20 || c > 0x7e)
		return in_text(f, c, out);
	if (c <= 0x3f) {
		if (f->n == sizeof(f->held) || !(c >= '0' && c <= ';'))
			f->too_long = true;
		else
			f->held[f->n++] = (char)c;
		return 0;
	}
	f->state = F_TEXT;
	if (c != 'm' || f->too_long)
		return 0;
	out[n++] = 0x1b;
	out[n++] = '[';
	memcpy(out + n, f->held, f->n);
	n += f->n;
	out[n++] = 'm';
	return n;
}

static size_t in_string(struct band_filter *f, unsigned char c, char *out)
{
	if (c == 0x1b ||
	    c == '\n') /* ESC \ ends it; a line's end does too, lest a stray one eats all */
		return in_text(f, c, out);
	if (c == 0x07)
		f->state = F_TEXT;
	return 0;
}

size_t band_filter(struct band_filter *f, const char *in, size_t n, char *out)
{
	static size_t (*const step[])(struct band_filter *, unsigned char, char *) = {
		[F_TEXT] = in_text,
		[F_ESC] = in_escape,
		[F_CSI] = in_csi,
		[F_STRING] = in_string,
	};
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += step[f->state](f, (unsigned char)in[i], out + len);
	return len;
}
