/* test.h - what every unit test includes: cmocka with its prerequisites, a temporary folder. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Group or test set-up: *state becomes the path of a fresh folder; the tear-down removes it. */
__attribute__((unused)) static int tmp_setup(void **state)
{
	const char *base = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof path, "%s/paas-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(path))
		return -1;
	return asprintf((char **)state, "%s", path) < 0 ? -1 : 0;
}

__attribute__((unused)) static int tmp_teardown(void **state)
{
	char cmd[400];
	int rc;

	snprintf(cmd, sizeof cmd, "chmod -R u+rwx '%s' && rm -rf '%s'", (char *)*state,
		 (char *)*state);
	rc = system(cmd);
	free(*state);
	return rc;
}

#endif
