/* Whatever people call app.json. */
#include "daemon/appjson/appjson.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_problems(const struct appjson_problems *p, int rc, size_t len)
{
	char line[512];

	assert((rc < 0) == (p->n > 0));
	assert(p->n <= LIM_APPJSON_PROBLEMS + 1);
	for (int i = 0; i < p->n; i++) {
		assert(p->v[i].line >= 0 && (size_t)p->v[i].line <= len + 2);
		assert(p->v[i].text[0]);
		appjson_problem_line(&p->v[i], "app.json", line);
		for (const char *c = line; *c; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
}

/* What was read is within the limits, and what is kept of it comes back. */
static void check_content(const struct appjson *a)
{
	struct appjson back;
	struct err err = {0};
	char *kept = appjson_manifest(a);

	for (int i = 0; i < a->nenv; i++)
		assert(a->env[i].name && strlen(a->env[i].name) <= 128);
	for (int i = 0; i < a->nformation; i++)
		assert(a->formation[i].quantity >= 0);
	for (int i = 0; i < a->naddons; i++)
		assert(a->addons[i].plan);
	assert(a->nchecks <= 1 && a->ncron <= LIM_CRON);
	assert(!kept == (!a->nchecks && !a->ncron));
	assert(appjson_manifest_read(kept, &back, &err) == 0);
	assert(back.ncron == a->ncron && back.nchecks == a->nchecks);
	appjson_clear(&back);
	free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const environments[] = {NULL, "review", "test"};
	const char *text = (const char *)data;
	char *manifest;

	for (size_t i = 0; i < ARRAY_LEN(environments); i++) {
		struct appjson_problems p;
		struct appjson a;
		struct err err = {0};
		int rc = appjson_parse(text, len, environments[i], &a, &p, &err);

		check_problems(&p, rc, len);
		if (rc == 0)
			check_content(&a);
		appjson_clear(&a);
		appjson_problems_clear(&p);
		rc = appjson_extensions(text, len, environments[i], &manifest, &p, &err);
		check_problems(&p, rc, len);
		appjson_problems_clear(&p);
		free(manifest);
	}
	return 0;
}
