/* Any bytes as a file of a time zone: what is accepted can be asked for anything, and answers end.
 */
#include "daemon/core/tz.h"
#include "proto/auto.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int64_t at[] = {-5000000000, 0, 1774000000, 4000000000, 60000000000};
	AUTO(tz_free) struct tz *z = NULL;
	struct err err = {0};

	if (tz_parse(data, len, &z, &err) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		int64_t t = at[i], next, two[2], gap;
		struct civil c;
		int n = tz_instants(z, t, two, &gap);

		assert(n >= 0 && n <= 2);
		for (int k = 0; k < n; k++)
			assert(two[k] + tz_offset(z, two[k]) == t);
		for (int k = 0; k < 20 && tz_next_change(z, t, &next); k++) {
			assert(next > t);
			t = next;
		}
		civil_of(t, &c);
		assert(civil_days(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 +
			       c.second ==
		       t);
	}
	return 0;
}
