/* Event streams: chunking must not matter. The first byte is the place of the cut. */
#include "cli/sse.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool note(void *arg, const char *event, const char *data, size_t n)
{
	struct buf *out = arg;

	assert(strlen(data) == n);
	buf_addf(out, "[%s|%s]", event, data);
	return out->len < 4096;
}

static void run(const uint8_t *data, size_t len, size_t cut, struct buf *out, char id[128],
		long *retry)
{
	AUTO(cli_sse_clear) struct cli_sse s = {.on_event = note, .arg = out};

	cli_sse_init(&s);
	if (cli_sse_feed(&s, (const char *)data, cut))
		cli_sse_feed(&s, (const char *)data + cut, len - cut);
	memcpy(id, s.last_id, 128);
	*retry = s.retry_ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(buf_clear) struct buf whole = {0};
	AUTO(buf_clear) struct buf split = {0};
	char id1[128], id2[128];
	long retry1, retry2;

	run(data, len, len, &whole, id1, &retry1);
	run(data, len, len ? data[0] % (len + 1) : 0, &split, id2, &retry2);
	assert(strcmp(buf_str(&whole), buf_str(&split)) == 0);
	assert(strcmp(id1, id2) == 0 && retry1 == retry2);
	return 0;
}
