/* Any bytes as a settings file: an error or valid settings, no leak; a text that is taken is taken
 * again with the same result. */
#include "daemon/core/config_int.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config a, b;
	struct err err = {0};

	config_init(&a);
	config_init(&b);
	if (config_parse(&a, "f", data, len, &err) == 0) {
		assert(config_parse(&b, "f", data, len, &err) == 0);
		assert(strcmp(a.listen, b.listen) == 0 && a.build_timeout_s == b.build_timeout_s);
		assert(a.build_timeout_s >= 10 && a.build_timeout_s <= 86400);
	} else {
		assert(err.code == ERR_CONFIG && strncmp(err.msg, "f:", 2) == 0);
	}
	config_clear(&a);
	config_clear(&b);
	return 0;
}
