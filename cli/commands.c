/* The one table of commands, by topic: parser, help, did-you-mean, completion, man page and
 * docs/cli.md come from it. The rows stand beside the functions that they name. */
#include "cli/cli.h"

const struct cli_opt cli_global_opts[] = {
	{0, "api-url", "URL", COMPLETE_NONE,
	 "address of the platform (default: PAASCTL_API_URL, then the one that login kept, "
	 "then " CLI_DEFAULT_URL ")"},
	{0, "debug", NULL, COMPLETE_NONE, "show requests, without secrets (also PAASCTL_DEBUG=1)"},
	{'h', "help", NULL, COMPLETE_NONE, "show help of the command"},
	{0},
};

const struct cli_opt cli_json_opts[] = {
	{'j', "json", NULL, COMPLETE_NONE, "output in json format"},
	{0},
};

const struct cli_opt cli_app_opts[] = {
	{'a', "app", "APP", COMPLETE_APP, "app to run command against"},
	{'r', "remote", "REMOTE", COMPLETE_REMOTE, "git remote of app to use"},
	{0},
};

/* Topic, what it is about. The rows are cli_cmds_TOPIC[]. */
#define CLI_TOPICS(X)                                                         \
	X(auth, "who you are: log in and out")                                \
	X(2fa, "the second factor of your account")                           \
	X(authorizations, "API tokens")                                       \
	X(sessions, "browser sessions")                                       \
	X(keys, "SSH keys")                                                   \
	X(apps, "make, open, rename and remove apps")                         \
	X(info, "look at apps")                                               \
	X(setup, "apps made of their app.json")                               \
	X(transfers, "give apps to somebody else")                            \
	X(maintenance, "maintenance mode")                                    \
	X(access, "who may work on an app")                                   \
	X(config, "environment variables of apps")                            \
	X(logs, "what apps and the platform say")                             \
	X(drains, "logs, sent elsewhere too")                                 \
	X(ps, "dynos: the processes of an app")                               \
	X(sleep, "apps that rest while nobody asks for them")                 \
	X(scheduler, "jobs that run at set times")                            \
	X(run, "one-off processes")                                           \
	X(releases, "versions of an app")                                     \
	X(builds, "how code becomes a release")                               \
	X(pipelines, "from staging to production")                            \
	X(autodeploy, "branches that deploy themselves")                      \
	X(reviewapps, "an app for each branch")                               \
	X(buildpacks, "what builds the code")                                 \
	X(domains, "host names of an app")                                    \
	X(certs, "certificates of an app")                                    \
	X(addons, "databases, caches and the like")                           \
	X(partners, "add-ons of outside providers, for administrators")       \
	X(storage, "volumes: folders that outlive dynos")                     \
	X(features, "switches of an app")                                     \
	X(labs, "experiments")                                                \
	X(webhooks, "tell other programs what happens")                       \
	X(pg, "PostgreSQL databases")                                         \
	X(pglocal, "programs of this machine on PostgreSQL databases")        \
	X(pgcredentials, "who may log in to PostgreSQL databases")            \
	X(pgcluster, "the PostgreSQL server of all apps, for administrators") \
	X(pgstats, "what PostgreSQL databases are doing")                     \
	X(redis, "Redis servers")                                             \
	X(git, "the repository around you")                                   \
	X(platform, "what the platform offers, how it is")                    \
	X(users, "accounts of the platform, for administrators")              \
	X(audit, "who did what")                                              \
	X(backups, "backups of databases")                                    \
	X(restores, "databases replaced by backups and copies")               \
	X(schedules, "daily backups of databases")                            \
	X(env, "the Heroku CLI and Parity on this platform")                  \
	X(completion, "completion of words in shells")                        \
	X(misc, "paasctl itself")

#define DECLARE(topic, help) extern const struct cli_cmd cli_cmds_##topic[];
CLI_TOPICS(DECLARE)

#define ROW(topic, help) {#topic, help, cli_cmds_##topic},
const struct cli_topic cli_topics[] = {CLI_TOPICS(ROW){0}};
