/* Frames of an attached run: any bytes, and chunking must not matter. */
#include "proto/attach.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Reads frames until one is bad or unfinished, and writes the known ones again. */
static size_t replay(const uint8_t *data, size_t len, struct buf *out)
{
	struct attach_frame f;
	size_t at = 0;
	ssize_t n;
	unsigned rows, cols;

	while ((n = attach_parse(data + at, len - at, &f)) > 0) {
		assert((size_t)n <= len - at && f.len == (size_t)n - ATTACH_HEAD);
		switch (f.type) {
		case ATTACH_STDIN:
		case ATTACH_OUTPUT:
		case ATTACH_ERROR:
			attach_put(out, f.type, f.data, f.len);
			break;
		case ATTACH_STDIN_EOF:
			attach_put_eof(out);
			break;
		case ATTACH_RESIZE:
			attach_get_resize(&f, &rows, &cols);
			attach_put_resize(out, rows, cols);
			break;
		case ATTACH_SIGNAL:
			attach_put_signal(out, attach_get_signal(&f));
			break;
		case ATTACH_EXIT:
			attach_put_exit(out, attach_get_exit(&f));
			break;
		default:
			break;
		}
		at += (size_t)n;
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(buf_clear) struct buf once = {0};
	AUTO(buf_clear) struct buf twice = {0};
	size_t used = replay(data, len, &once);

	assert(replay((const uint8_t *)buf_str(&once), once.len, &twice) == once.len);
	assert(once.len == twice.len && memcmp(buf_str(&once), buf_str(&twice), once.len) == 0);
	/* a frame is not there before its last byte is */
	if (used > 0 && used == len)
		assert(replay(data, len - 1, &twice) < used);
	return 0;
}
