/* Whatever bin/release and bin/report print. */
#include "daemon/build/manifest.h"
#include "proto/names.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct release_yaml r;
	struct buf json = {0};
	struct err err;

	if (release_yaml_parse((const char *)data, len, &r, NULL, NULL, &err) == 0) {
		for (int i = 0; i < r.types.n; i++)
			assert(name_is_proc_type(r.types.v[i].type));
		for (int i = 0; i < r.config.n; i++)
			assert(name_is_config_key(r.config.v[i].type));
		release_yaml_clear(&r);
	}
	if (report_parse((const char *)data, len, &json, &err) == 0)
		assert(json.len > 2 && json.data[0] == '{');
	buf_clear(&json);
	return 0;
}
