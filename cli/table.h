/* table.h - words that the rows of the command table are written with, for the files that have
 * rows. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cli.h"

#define ARGS(...)                \
	(const struct cli_arg[]) \
	{                        \
		__VA_ARGS__,     \
		{                \
			0        \
		}                \
	}
#define OPTS(...)                \
	(const struct cli_opt[]) \
	{                        \
		__VA_ARGS__,     \
		{                \
			0        \
		}                \
	}
#define SWITCH(letter, name, help)                      \
	{                                               \
		letter, name, NULL, COMPLETE_NONE, help \
	}
#define VALUE(letter, name, val, kind, help)             \
	{                                                \
		letter, name, val, COMPLETE_##kind, help \
	}
#define CONFIRM VALUE('c', "confirm", "APP", APP, "name of the app, instead of being asked for it")
#define RELEASE                                                                                \
	{                                                                                      \
		"RELEASE", COMPLETE_RELEASE,                                                   \
			"number of the release, like v12; the newest by default", false, false \
	}
#define BUILD                                                                                   \
	{                                                                                       \
		"BUILD", COMPLETE_BUILD, "id of the build; the newest by default", false, false \
	}
#define RUN_OPTS                                                                        \
	VALUE('s', "size", "SIZE", SIZE, "dyno size"),                                  \
		VALUE(0, "type", "TYPE", TYPE, "process type that the dyno counts as"), \
		VALUE('e', "env", "VARS", NONE,                                         \
		      "environment variables for this run: \"A=1;B=2\" (may be repeated)")

#endif
