/* Runs one command by sandbox_run() and prints what came of it; the client library's test.
 *   sandbox_run RUN_DIR DEADLINE_MS COMMAND...      (a byte on stdin cancels) */
#include "daemon/sandbox/sandbox.h"
#include "daemon/core/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sink(const char *p, size_t n, void *arg)
{
	fwrite(p, 1, n, stdout);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct launcher *l = NULL;
	struct err err = {0};
	struct launch_spec s = {
		.stdio = LAUNCH_LINES, .on_detach = LAUNCH_KILL, .mem_max = 256 << 20};
	bool oom = false;
	int r, n = 0;
	char(*ids)[37] = NULL;

	if (argc < 4)
		return 2;
	codec_init();
	if (launcher_open(argv[1], &l, &err) < 0) {
		printf("open: %s\n", err.msg);
		return 3;
	}
	uuid_new(s.id);
	uuid_new(s.app_id);
	snprintf(s.name, sizeof s.name, "build.1");
	for (int i = 3; i < argc; i++)
		launch_spec_arg(&s, argv[i]);
	launch_spec_env(&s, "GREETING", "hello");
	r = sandbox_run(l, &s, clock_mono_ms() + atoi(argv[2]), 0, sink, NULL, &oom, &err);
	printf("\n--- result=%d oom=%d err=%s\n", r, oom, r < 0 ? err.id : "");
	if (launcher_list(l, &ids, &n, &err) == 0)
		printf("left=%d\n", n);
	free(ids);
	launch_spec_clear(&s);
	launcher_close(l);
	return 0;
}
