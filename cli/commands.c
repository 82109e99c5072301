/* The one table of commands: parser, help, did-you-mean, completion and docs/cli.md come from it.
 */
#include "cli/cli.h"

const struct cli_opt cli_global_opts[] = {
	{0, "api-url", "URL", COMPLETE_NONE,
	 "address of the platform (default: PAASCTL_API_URL, then the one that login kept, "
	 "then " CLI_DEFAULT_URL ")"},
	{0, "debug", NULL, COMPLETE_NONE, "show requests, without secrets (also PAASCTL_DEBUG=1)"},
	{'h', "help", NULL, COMPLETE_NONE, "show help of the command"},
	{0},
};

const struct cli_opt cli_app_opts[] = {
	{'a', "app", "APP", COMPLETE_APP, "app to run command against"},
	{'r', "remote", "REMOTE", COMPLETE_REMOTE, "git remote of app to use"},
	{0},
};

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
#define JSON	SWITCH('j', "json", "output in json format")
#define CONFIRM VALUE('c', "confirm", "APP", APP, "name of the app, instead of being asked for it")
#define RELEASE                                                                                \
	{                                                                                      \
		"RELEASE", COMPLETE_RELEASE,                                                   \
			"number of the release, like v12; the newest by default", false, false \
	}
#define BUILD                                                                                  \
	{                                                                                      \
		"BUILD", COMPLETE_NONE, "id of the build; the newest by default", false, false \
	}
#define RUN_OPTS                                                                        \
	VALUE('s', "size", "SIZE", NONE, "dyno size"),                                  \
		VALUE(0, "type", "TYPE", TYPE, "process type that the dyno counts as"), \
		VALUE('e', "env", "VARS", NONE,                                         \
		      "environment variables for this run: \"A=1;B=2\" (may be repeated)")

const struct cli_cmd cli_commands[] = {
	/* --- who --- */
	{.name = "login",
	 .aliases = "auth:login",
	 .help = "log in and keep an API token in the netrc",
	 .more = "Asks for email and password, or takes a token from PAASCTL_API_KEY or, with "
		 "--token, from "
		 "standard input. The token goes to ~/.netrc (mode 0600), for paasctl and for git, "
		 "so that "
		 "git push asks for nothing. With --api-url that address is kept for later runs.",
	 .opts = OPTS(SWITCH('i', "interactive", "ask for email and password (the default)"),
		      SWITCH(0, "token", "read an API token from standard input"),
		      VALUE('e', "expires-in", "SECONDS", NONE,
			    "duration of the new token (default: 30 days)")),
	 .flags = CLI_NO_KEY,
	 .run = cmd_login,
	 .examples =
		 "login\nlogin --api-url https://paas.example.com\nlogin --token < admin-token"},
	{.name = "logout",
	 .aliases = "auth:logout",
	 .help = "revoke the token and remove it from the netrc",
	 .flags = CLI_NO_KEY,
	 .run = cmd_logout},
	{.name = "whoami",
	 .aliases = "auth:whoami",
	 .help = "display the current logged in user",
	 .more = "Exits with 100 when nobody is logged in.",
	 .flags = CLI_NO_KEY,
	 .run = cmd_whoami},
	{.name = "auth:token", .help = "print the current API token", .run = cmd_token},

	/* --- apps --- */
	{.name = "apps",
	 .aliases = "list apps:list",
	 .help = "list your apps",
	 .opts = OPTS(SWITCH('A', "all", "include apps that you collaborate on, of anybody"), JSON),
	 .run = cmd_apps},
	{.name = "apps:create",
	 .aliases = "create",
	 .help = "create a new app",
	 .more = "In a git repository a remote for the app is added, unless there is one of that "
		 "name. Without "
		 "NAME the platform makes one up.",
	 .args = ARGS({"NAME", COMPLETE_NONE, "name of app to create", false, false}),
	 .opts = OPTS(VALUE('a', "app", "NAME", NONE, NULL),
		      VALUE('r', "remote", "REMOTE", NONE,
			    "the git remote to create (default: " CLI_DEFAULT_REMOTE ")"),
		      VALUE('b', "buildpack", "BUILDPACK", NONE,
			    "buildpack name or URL to use for this app"),
		      SWITCH('n', "no-remote", "do not create a git remote"),
		      VALUE('s', "stack", "STACK", NONE, "the stack to create the app on"),
		      VALUE(0, "region", "REGION", NONE, "region for the app to run in"), JSON),
	 .run = cmd_apps_create,
	 .examples =
		 "apps:create\napps:create my-app\napps:create my-app-staging --remote staging"},
	{.name = "apps:info",
	 .aliases = "info",
	 .help = "show detailed app information",
	 .args = ARGS({"APP", COMPLETE_APP, "name of the app (also -a)", false, false}),
	 .opts = OPTS(SWITCH('s', "shell", "output in shell format"), JSON),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_apps_info},
	{.name = "apps:destroy",
	 .aliases = "destroy apps:delete",
	 .help = "permanently destroy an app",
	 .more = "Removes the app's releases, logs and config vars, and its remotes in this "
		 "repository.",
	 .args = ARGS({"APP", COMPLETE_APP, "name of the app (also -a)", false, false}),
	 .opts = OPTS(CONFIRM),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_apps_destroy},
	{.name = "apps:rename",
	 .aliases = "rename",
	 .help = "rename an app",
	 .more = "Remotes in this repository that point at the app follow.",
	 .args = ARGS({"NEWNAME", COMPLETE_NONE, "new name of the app", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_apps_rename},
	{.name = "apps:open",
	 .aliases = "open",
	 .help = "open the app in a web browser",
	 .more = "Prints the address when there is no browser or standard output is no terminal.",
	 .args = ARGS({"PATH", COMPLETE_NONE, "path on the app", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_apps_open},
	{.name = "maintenance",
	 .help = "display the current maintenance status of app",
	 .flags = CLI_APP,
	 .run = cmd_maintenance},
	{.name = "maintenance:on",
	 .help = "put the app into maintenance mode",
	 .flags = CLI_APP,
	 .run = cmd_maintenance_on},
	{.name = "maintenance:off",
	 .help = "take the app out of maintenance mode",
	 .flags = CLI_APP,
	 .run = cmd_maintenance_off},
	{.name = "git:remote",
	 .help = "add a git remote of an app to this repository, or point one at it",
	 .args = ARGS({"URL", COMPLETE_NONE, NULL, false, false}),
	 .flags = CLI_APP_OPTIONAL,
	 .run = cmd_git_remote,
	 .examples = "git:remote -a my-app\ngit:remote -a my-app -r staging"},
	{.name = "git:credentials",
	 .help = "credential helper for git",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "get, store or erase", true, false}),
	 .flags = CLI_HIDDEN | CLI_NO_KEY,
	 .run = cmd_git_credentials},

	/* --- config --- */
	{.name = "config",
	 .help = "display the config vars for an app",
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format"), JSON),
	 .flags = CLI_APP,
	 .run = cmd_config},
	{.name = "config:get",
	 .help = "display config values of an app",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "name of the config var", true, true}),
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format"), JSON),
	 .flags = CLI_APP,
	 .run = cmd_config_get,
	 .examples = "config:get RAILS_ENV"},
	{.name = "config:set",
	 .aliases = "config:add",
	 .help = "set one or more config vars",
	 .args = ARGS({"KEY=VALUE", COMPLETE_CONFIG, "name and value", true, true}),
	 .flags = CLI_APP,
	 .run = cmd_config_set,
	 .examples = "config:set RAILS_ENV=staging RACK_ENV=staging"},
	{.name = "config:unset",
	 .aliases = "config:remove",
	 .help = "unset one or more config vars",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "name of the config var", true, true}),
	 .flags = CLI_APP,
	 .run = cmd_config_unset},
	{.name = "config:edit",
	 .help = "interactively edit config vars",
	 .more = "Opens VISUAL or EDITOR on the config vars, or on the value of KEY alone; shows "
		 "what "
		 "changed and asks before it is set. Nothing is set when somebody else changed "
		 "them meanwhile.",
	 .args = ARGS({"KEY", COMPLETE_CONFIG, "edit the value of this key only", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_config_edit},

	/* --- logs and dynos --- */
	{.name = "logs",
	 .help = "display recent log output",
	 .opts = OPTS(
		 SWITCH('t', "tail", "continually stream logs"),
		 VALUE('n', "num", "LINES", NONE, "number of lines to display (default: 100)"),
		 VALUE('s', "source", "SOURCE", NONE, "only of this source: app or heroku"),
		 VALUE('d', "dyno-name", "DYNO", DYNO, "only of this dyno, like web.1 or router"),
		 VALUE(0, "dyno", "DYNO", DYNO, NULL),
		 VALUE('p', "process-type", "TYPE", TYPE, "only of this process type"),
		 VALUE(0, "ps", "TYPE", TYPE, NULL),
		 SWITCH(0, "force-colors", "colours also when standard output is no terminal"),
		 SWITCH(0, "no-color", "no colours")),
	 .flags = CLI_APP,
	 .run = cmd_logs,
	 .examples = "logs --tail\nlogs -n 500 --source app --process-type web"},
	{.name = "ps",
	 .help = "list dynos for an app",
	 .args = ARGS({"TYPE", COMPLETE_TYPE, "only of this process type", false, true}),
	 .opts = OPTS(JSON),
	 .flags = CLI_APP,
	 .run = cmd_ps},
	{.name = "ps:scale",
	 .aliases = "scale dyno:scale",
	 .help = "scale dyno quantity up or down",
	 .more = "Without arguments the present formation is shown.",
	 .args = ARGS(
		 {"TYPE=QTY", COMPLETE_TYPE, "web=2, worker+1, web=2:standard-1x", false, true}),
	 .flags = CLI_APP,
	 .run = cmd_ps_scale,
	 .examples = "ps:scale web=3\nps:scale web=2 worker+1"},
	{.name = "ps:restart",
	 .aliases = "restart dyno:restart",
	 .help = "restart an app's dynos",
	 .args = ARGS({"DYNO", COMPLETE_DYNO, "name of the dyno (also -d)", false, false}),
	 .opts = OPTS(VALUE('d', "dyno-name", "DYNO", DYNO, "only this dyno"),
		      VALUE('p', "process-type", "TYPE", TYPE, "only dynos of this process type")),
	 .flags = CLI_APP,
	 .run = cmd_ps_restart,
	 .examples = "ps:restart\nps:restart -d web.1\nps:restart -p web"},
	{.name = "ps:stop",
	 .aliases = "stop kill ps:kill dyno:stop dyno:kill",
	 .help = "stop an app's dyno or process type",
	 .args = ARGS({"DYNO", COMPLETE_DYNO, "name of the dyno (also -d)", false, false}),
	 .opts = OPTS(VALUE('d', "dyno-name", "DYNO", DYNO, "this dyno"),
		      VALUE('p', "process-type", "TYPE", TYPE, "all dynos of this process type")),
	 .flags = CLI_APP,
	 .run = cmd_ps_stop,
	 .examples = "ps:stop -d run.1828\nps:stop -p run"},
	{.name = "ps:type",
	 .aliases = "resize ps:resize dyno:type dyno:resize",
	 .help = "show or change the dyno size of process types",
	 .args = ARGS({"SIZE", COMPLETE_TYPE, "SIZE for all types, or TYPE=SIZE", false, true}),
	 .flags = CLI_APP,
	 .run = cmd_ps_type},
	{.name = "ps:wait",
	 .help = "wait for all dynos to be running the latest version",
	 .opts = OPTS(
		 VALUE('t', "type", "TYPE", TYPE, "wait for one process type only"),
		 SWITCH('R', "with-run", "one-off dynos too"),
		 VALUE('w', "wait-interval", "SECONDS", NONE, "how often to look (default: 2)")),
	 .flags = CLI_APP,
	 .run = cmd_ps_wait},
	{.name = "run",
	 .help = "run a one-off process inside a dyno",
	 .more = "Options are recognised before and after the command; put -- before a command "
		 "whose own options "
		 "look like them. Without -x the exit status is 0, as with the Heroku CLI.",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "command, or a process type of the Procfile", true,
		       true}),
	 .opts = OPTS(RUN_OPTS, SWITCH('x', "exit-code", "pass the exit status of the command on"),
		      SWITCH(0, "no-tty", "no pseudo-terminal for the command"),
		      SWITCH('d', "detached", "do not attach: as run:detached"),
		      SWITCH(0, "no-notify", NULL), SWITCH(0, "no-launcher", NULL)),
	 .flags = CLI_APP | CLI_PASS,
	 .run = cmd_run,
	 .examples = "run bash\nrun -x -- rails runner 'puts User.count'\nrun -e \"A=1;B=2\" env"},
	{.name = "run:detached",
	 .help = "run a detached dyno, where output is sent to your logs",
	 .args = ARGS({"COMMAND", COMPLETE_NONE, "command, or a process type of the Procfile", true,
		       true}),
	 .opts = OPTS(RUN_OPTS, SWITCH('t', "tail", "continually stream the logs of the dyno")),
	 .flags = CLI_APP | CLI_PASS,
	 .run = cmd_run_detached,
	 .examples = "run:detached rake db:migrate"},
	{.name = "console",
	 .help = "run the app's process type \"console\"",
	 .opts = OPTS(VALUE('s', "size", "SIZE", NONE, "dyno size")),
	 .flags = CLI_APP,
	 .run = cmd_console},

	/* --- releases and builds --- */
	{.name = "releases",
	 .help = "display the releases for an app",
	 .opts = OPTS(VALUE('n', "num", "N", NONE, "number of releases to show (default: 15)"),
		      JSON),
	 .flags = CLI_APP,
	 .run = cmd_releases},
	{.name = "releases:info",
	 .help = "view detailed information for a release",
	 .args = ARGS(RELEASE),
	 .opts = OPTS(SWITCH('s', "shell", "output config vars in shell format"), JSON),
	 .flags = CLI_APP,
	 .run = cmd_releases_info},
	{.name = "releases:output",
	 .help = "view the release command output",
	 .args = ARGS(RELEASE),
	 .flags = CLI_APP,
	 .run = cmd_releases_output},
	{.name = "releases:rollback",
	 .aliases = "rollback",
	 .help = "roll back to a previous release",
	 .more = "Makes a new release with the code and config vars of an older one, by default "
		 "the last "
		 "eligible one before the current.",
	 .args = ARGS(
		 {"RELEASE", COMPLETE_RELEASE, "number of the release, like v12", false, false}),
	 .flags = CLI_APP,
	 .run = cmd_releases_rollback,
	 .examples = "rollback\nreleases:rollback v12"},
	{.name = "builds",
	 .help = "list the builds of an app",
	 .opts = OPTS(VALUE('n', "num", "N", NONE, "number of builds to show (default: 15)"), JSON),
	 .flags = CLI_APP,
	 .run = cmd_builds},
	{.name = "builds:info",
	 .help = "view detailed information for a build",
	 .args = ARGS(BUILD),
	 .opts = OPTS(JSON),
	 .flags = CLI_APP,
	 .run = cmd_builds_info},
	{.name = "builds:output",
	 .help = "show the output of a build, live while it runs",
	 .args = ARGS(BUILD),
	 .flags = CLI_APP,
	 .run = cmd_builds_output},
	{.name = "builds:cancel",
	 .help = "cancel a running build",
	 .args = ARGS({"BUILD", COMPLETE_NONE, "id of the build; the running one by default", false,
		       false}),
	 .flags = CLI_APP,
	 .run = cmd_builds_cancel},
	{.name = "buildpacks",
	 .help = "list the buildpacks on an app",
	 .opts = OPTS(JSON),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks},
	{.name = "buildpacks:set",
	 .help = "set new app buildpack, overwriting the one at that place",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", true, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE, "the 1-based place in the list (default: 1)")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_set},
	{.name = "buildpacks:add",
	 .help = "add new app buildpack, inserting it at that place",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", true, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE,
			    "the 1-based place in the list (default: the end)")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_add},
	{.name = "buildpacks:remove",
	 .help = "remove a buildpack of the app",
	 .args = ARGS({"BUILDPACK", COMPLETE_NONE, "name or URL", false, false}),
	 .opts = OPTS(VALUE('i', "index", "N", NONE, "the 1-based place in the list")),
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_remove},
	{.name = "buildpacks:clear",
	 .help = "clear all buildpacks on the app",
	 .flags = CLI_APP,
	 .run = cmd_buildpacks_clear},

	/* --- access --- */
	{.name = "access",
	 .help = "list who has access to an app",
	 .opts = OPTS(JSON),
	 .flags = CLI_APP,
	 .run = cmd_access},
	{.name = "access:add",
	 .help = "add a user to an app",
	 .args = ARGS({"EMAIL", COMPLETE_NONE, "email address of the user", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_access_add},
	{.name = "access:remove",
	 .help = "remove a user from an app",
	 .args = ARGS({"EMAIL", COMPLETE_NONE, "email address of the user", true, false}),
	 .flags = CLI_APP,
	 .run = cmd_access_remove},

	/* --- itself --- */
	{.name = "help",
	 .help = "display help for paasctl",
	 .args = ARGS({"COMMAND", COMPLETE_COMMAND, "command to show help for", false, false}),
	 .opts = OPTS(SWITCH(0, "markdown", NULL)),
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cli_cmd_help},
	{.name = "version",
	 .help = "display the version of paasctl",
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_version},
	{.name = "autocomplete",
	 .help = "print the completion script for a shell",
	 .args = ARGS({"SHELL", COMPLETE_NONE, "bash (the default)", false, false}),
	 .flags = CLI_OFFLINE | CLI_NO_KEY,
	 .run = cmd_autocomplete,
	 .examples = "autocomplete bash >> ~/.bashrc"},
	{.name = "autocomplete:words",
	 .help = "candidates for the last of the words",
	 .args = ARGS({"WORD", COMPLETE_NONE, "the command line so far", false, true}),
	 .flags = CLI_HIDDEN | CLI_NO_KEY | CLI_PASS,
	 .run = cmd_complete},
	{0},
};
