/* What apps write: how the bytes arrive must not matter to the lines; kernel texts and spools may
 * be cut anywhere. */
#include "shim/lines.h"
#include "shim/meter.h"
#include "shim/ports.h"
#include "shim/spool.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void note(const char *text, size_t len, void *arg)
{
	assert(len <= 16);
	buf_add(arg, text, len);
	buf_addc(arg, 0);
}

static void split(const char *p, size_t n, size_t step, struct buf *out)
{
	struct lines l = {.max = 16};

	for (size_t at = 0; at < n; at += step)
		lines_feed(&l, p + at, n - at < step ? n - at : step, note, out);
	lines_end(&l, note, out);
	lines_clear(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	struct buf whole = {0}, pieces = {0}, spool = {0};

	split(text, len, len + 1, &whole);
	split(text, len, len ? 1 + data[0] % 20 : 1, &pieces);
	assert(whole.len == pieces.len &&
	       (!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0));
	ports_find(text, len, 5000);
	buf_add(&spool, text, len);
	meter_field(buf_str(&spool), "oom_kill");
	spool_trim(&spool, len / 2);
	buf_clear(&whole);
	buf_clear(&pieces);
	buf_clear(&spool);
	return 0;
}
