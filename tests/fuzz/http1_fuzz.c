/* HTTP/1.1 parser: how the input is cut into pieces must not matter.
 * First octet: bit 0 = response, bit 1 = answer to HEAD, the rest = how pieces are cut. */
#include "daemon/http/http1.h"
#include "proto/buf.h"

#include <assert.h>
#include <string.h>

static void add_str(struct buf *b, struct http1_str s)
{
	buf_addf(b, "<%u:", s.n);
	buf_add(b, s.p, s.n);
	buf_addc(b, '>');
}

static void add_head(struct buf *b, const struct http1_head *h)
{
	add_str(b, h->method);
	add_str(b, h->target);
	add_str(b, h->path);
	add_str(b, h->query);
	add_str(b, h->host);
	add_str(b, h->reason);
	buf_addf(b, "%s %d %d %d %d %llu %d%d%d%d%d\n", h->host_key, h->status, h->minor,
		 h->nfields, h->framing, (unsigned long long)h->length, h->keep_alive, h->upgrade,
		 h->expect_continue, h->connection_close, h->absolute_form);
	for (int i = 0; i < h->nfields; i++) {
		add_str(b, h->fields[i].name);
		add_str(b, h->fields[i].value);
		buf_addf(b, "%d\n", h->fields[i].id);
	}
}

/* false once nothing more may be fed */
static bool feed(struct http1 *p, const char *in, size_t n, struct buf *out)
{
	const char *data;
	size_t used, data_n;

	for (;;) {
		enum http1_event ev = http1_feed(p, in, n, &used, &data, &data_n);

		assert(used <= n);
		switch (ev) {
		case HTTP1_MORE:
			assert(used == n);
			return true;
		case HTTP1_HEAD:
			add_head(out, http1_head(p));
			break;
		case HTTP1_DATA:
			assert(data_n && data >= in && data + data_n == in + used);
			buf_add(out, data, data_n);
			break;
		case HTTP1_END:
			buf_adds(out, "END\n");
			http1_next(p);
			assert(http1_idle(p));
			break;
		case HTTP1_ERROR:
			buf_addf(out, "ERROR %s", http1_err(p)->msg);
			return false;
		}
		in += used;
		n -= used;
	}
}

static void run(const uint8_t *in, size_t n, uint8_t flags, bool pieces, struct buf *out)
{
	struct http1 *p = http1_new(flags & 1, flags & 4 ? 256 : LIM_HTTP_HEAD);
	uint32_t seed = flags;
	bool going = true;

	http1_response_to(p, flags & 2);
	for (size_t i = 0; i < n && going;) {
		size_t k = n;
		char *copy;

		if (pieces) {
			seed = seed * 1103515245 + 12345;
			k = flags & 8 ? 1 : 1 + (seed >> 16) % 23;
		}
		if (k > n - i)
			k = n - i;
		copy = xmalloc(k); /* exactly its size: a read past it is seen */
		memcpy(copy, in + i, k);
		going = feed(p, copy, k, out);
		free(copy);
		i += k;
	}
	if (going)
		buf_addf(out, "EOF %d", http1_eof(p));
	http1_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(buf_clear) struct buf whole = {0};
	AUTO(buf_clear) struct buf split = {0};

	if (len < 1)
		return 0;
	run(data + 1, len - 1, data[0], false, &whole);
	run(data + 1, len - 1, data[0], true, &split);
	assert(whole.len == split.len && memcmp(buf_str(&whole), buf_str(&split), whole.len) == 0);
	return 0;
}
