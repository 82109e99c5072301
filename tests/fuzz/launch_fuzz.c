/* What paasd sends to the launcher, which is root: any bytes are refused or understood, and what is
 * understood survives being written again. */
#include "launcher/plan.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_frame f = {.type = LAUNCH_CREATE, .body = data, .len = len};
	struct launch_spec s, again;
	struct buf one = {0}, two = {0};
	struct plan p;
	struct err err = {0};

	if (launch_spec_decode(&f, &s, &err) == 0) {
		launch_spec_encode(&one, LAUNCH_CREATE, &s);
		assert(wire_parse(one.data, one.len, &f) == (ssize_t)one.len);
		assert(launch_spec_decode(&f, &again, &err) == 0);
		launch_spec_encode(&two, LAUNCH_CREATE, &again);
		assert(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
		launch_spec_clear(&s);
		launch_spec_clear(&again);
	}
	if (launch_plan_decode(data, len, &p, &err) == 0)
		launch_plan_clear(&p);
	buf_clear(&one);
	buf_clear(&two);
	return 0;
}
