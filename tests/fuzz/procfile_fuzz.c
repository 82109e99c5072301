/* Whatever is in a Procfile: types that come out are valid, a CRLF file means what its LF form
 * means. */
#include "daemon/slug/slug.h"
#include "proto/buf.h"
#include "proto/names.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proc_types a = {0}, b = {0};
	struct buf crlf = {0};
	struct err err;
	int ra = procfile_parse((const char *)data, len, &a, &err), rb;

	for (int i = 0; i < a.n; i++) {
		assert(name_is_proc_type(a.v[i].type) && a.v[i].command[0]);
		assert(i == 0 || strcmp(a.v[i - 1].type, a.v[i].type) < 0);
	}
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			buf_addc(&crlf, '\r');
		buf_addc(&crlf, (char)data[i]);
	}
	rb = procfile_parse(buf_str(&crlf), crlf.len, &b, &err);
	if (crlf.len <= 65536 && ra == 0) {
		assert(rb == 0 && a.n == b.n);
		for (int i = 0; i < a.n; i++)
			assert(!strcmp(a.v[i].type, b.v[i].type) &&
			       !strcmp(a.v[i].command, b.v[i].command));
	}
	proc_types_clear(&a);
	proc_types_clear(&b);
	buf_clear(&crlf);
	return 0;
}
