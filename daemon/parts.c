/* paasd exec:launcher and exec:router: becomes that program, as the settings say. */
#include "daemon/build/build.h"
#include "daemon/commands.h"
#include "daemon/dev.h"

#include <stdlib.h>
#include <string.h>

/* Folders that the launcher may show read-only: what the administrator names for builds, and the
 * providers of add-ons, whose services run programs of theirs. */
char **paasd_shown_dirs(const struct config *cfg)
{
	char **dirs = build_passed_dirs(cfg);
	size_t n = 0;

	while (dirs && dirs[n])
		n++;
	for (char **a = cfg->addons_dir; a && *a; a++) {
		char *real = realpath(*a, NULL);

		if (!real)
			continue; /* not there: neither are its services */
		dirs = xrealloc(dirs, (n + 2) * sizeof *dirs);
		dirs[n++] = real;
		dirs[n] = NULL;
	}
	return dirs;
}

void paasd_free_dirs(char **dirs)
{
	for (char **d = dirs; d && *d; d++)
		free(*d);
	free(dirs);
}

/* argv: exec:PART [options] [-- arguments of the part] */
static void become(struct config *c, int argc, char **argv, struct err *err)
{
	static const struct {
		const char *name;
		enum dev_part part;
	} parts[] = {{"exec:launcher", DEV_LAUNCHER}, {"exec:router", DEV_ROUTER}};
	char **dirs;
	int own = 0;

	while (own < argc && strcmp(argv[own], "--") != 0)
		own++;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char **more = own < argc ? argv + own + 1 : NULL;

		if (strcmp(argv[0], parts[i].name) != 0)
			continue;
		if (paasd_options(c, own, argv, err) < 0)
			return;
		dirs = paasd_shown_dirs(c);
		dev_exec(c, parts[i].part, dirs, more, err);
		paasd_free_dirs(dirs);
	}
}

int cmd_part(int argc, char **argv)
{
	struct config c;
	struct err err = {0};

	config_init(&c);
	become(&c, argc, argv, &err);
	config_clear(&c);
	return paasd_fail(&err);
}
