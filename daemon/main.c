/* paasd: which command it is. */
#include "daemon/api/api.h"
#include "daemon/commands.h"
#include "daemon/core/codec.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- command line --- */

static const char usage[] =
	"paasd - a self-hosted Heroku\n"
	"\n"
	"Usage: paasd [--config FILE] [options]\n"
	"       paasd --dev [--state DIR] [--listen ADDR:PORT]   everything from a checkout\n"
	"       paasd exec:launcher | exec:router [--config FILE] [-- ARGUMENTS]\n"
	"                                    becomes that program, as the settings say\n"
	"       paasd backup | backup:check | restore [options] FILE\n"
	"                                    the whole platform as a file; each has --help\n"
	"       paasd config:check FILE      says what is wrong in a settings file\n"
	"       paasd config:docs | api:docs prints docs/config.md or docs/api.md\n"
	"       paasd version\n"
	"\n"
	"Options:\n"
	"  --config FILE   settings (default /etc/paasd/paasd.yml when it exists)\n"
	"  --dev           run the router and the launcher as children\n"
	"  --state DIR     where everything is kept (default ./var with --dev)\n"
	"  --listen A:P    address of the one public port\n"
	"  --keep-dynos    with --dev: leave apps running when paasd ends\n"
	"  --runtime R     auto, sandbox or plain\n"
	"  --set KEY=VALUE any setting of docs/config.md\n"
	"\n"
	"Example:\n"
	"  paasd --dev --state /tmp/paas --listen 127.0.0.1:8080\n";

int paasd_fail(const struct err *e)
{
	fprintf(stderr, "paasd: %s\n", e->msg);
	return err_exit_status(e->id);
}

static int run_help(int argc, char **argv)
{
	fputs(usage, stdout);
	return 0;
}

static int run_version(int argc, char **argv)
{
	puts("paasd " PAASD_VERSION);
	return 0;
}

static int run_config_check(int argc, char **argv)
{
	struct config c;
	struct err err = {0};
	int rc = 0;

	config_init(&c);
	if (config_load(&c, argv[1], &err) < 0)
		rc = paasd_fail(&err);
	else
		printf("%s: ok\n", argv[1]);
	config_clear(&c);
	return rc;
}

static int run_config_docs(int argc, char **argv)
{
	config_print_docs();
	return 0;
}

static int run_api_docs(int argc, char **argv)
{
	api_print_docs();
	return 0;
}

static int run_api_routes(int argc, char **argv)
{
	api_print_routes();
	return 0;
}

#define ANY INT_MAX

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	int min, max; /* arguments after the name */
} commands[] = {
	{"--help", run_help, 0, ANY},
	{"help", run_help, 0, ANY},
	{"--version", run_version, 0, 0},
	{"version", run_version, 0, 0},
	{"config:check", run_config_check, 1, 1},
	{"config:docs", run_config_docs, 0, 0},
	{"api:docs", run_api_docs, 0, 0},
	{"api:routes", run_api_routes, 0, 0},
	{"backup", cmd_backup, 0, ANY},
	{"backup:check", cmd_backup, 0, ANY},
	{"restore", cmd_backup, 0, ANY},
	{"exec:launcher", cmd_part, 0, ANY},
	{"exec:router", cmd_part, 0, ANY},
};

int main(int argc, char **argv)
{
	codec_init();
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(argv[1], c->name) == 0 && argc - 2 >= c->min && argc - 2 <= c->max)
			return c->run(argc - 1, argv + 1);
	}
	return cmd_serve(argc, argv); /* which knows no other words, and says so */
}
