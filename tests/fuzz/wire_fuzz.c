/* Frames from any bytes: never read outside, chunking does not matter, and what was parsed is
 * encoded again to the same bytes. */
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Appends what the frame holds, as a new frame. False when it is malformed. */
static bool copy_frame(struct wire_frame *f, struct buf *out)
{
	size_t mark = wire_begin(out, f->type);
	struct wire_field w;
	char text[16];
	int rc;

	while ((rc = wire_next(f, &w)) > 0) {
		char *s = wire_get_str(&w);

		assert(w.len == 0 || s[w.len - 1] == (char)w.data[w.len - 1]);
		wire_copy_str(&w, text, sizeof text);
		assert(strlen(text) < sizeof text);
		(void)wire_get_u64(&w);
		wire_bytes(out, w.key, w.data, w.len);
		free(s);
	}
	wire_end(out, mark);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t pos = 0;

	while (pos < len) {
		struct wire_frame f, again;
		ssize_t n = wire_parse(data + pos, len - pos, &f);
		struct buf copy = {0};

		if (n <= 0)
			break;
		assert((size_t)n <= len - pos);
		/* Every proper prefix asks for more. */
		for (size_t cut = 0; cut < (size_t)n && cut < 64; cut++)
			assert(wire_parse(data + pos, cut, &again) == 0);
		if (copy_frame(&f, &copy)) {
			assert(copy.len == (size_t)n);
			assert(memcmp(copy.data, data + pos, copy.len) == 0);
		}
		buf_clear(&copy);
		pos += (size_t)n;
	}
	return 0;
}
