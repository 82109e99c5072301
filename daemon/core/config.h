/* config.h - the daemon's settings: one table of keys with type, default, unit and text, from which
 * the YAML reader, `paasd config:check`, and docs/config.md come. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "proto/err.h"

struct config {
	/* filled from the table in config.c; strings owned */
	char *state_dir, *run_dir;
	char *listen;		  /* "127.0.0.1:8080", comma-separated */
	char *platform_host;	  /* "localhost" */
	char *apps_domain;	  /* apps at NAME.<apps_domain> */
	char *dns_target;	  /* cname of custom domains; "" = the app's own host */
	char *tls_cert, *tls_key; /* files; "" = the development certificate */
	char *public_url;	  /* URL that users type; "" = made from platform_host and listen */
	char *log_level;
	char *admin_email;
	char *runtime; /* auto | sandbox | plain */
	char *stack;   /* stack name shown to buildpacks: heroku-22 */
	char *buildpacks_dir, *libexec_dir;
	char **build_env;     /* pass-through variables' names; NULL-terminated */
	char **buildpack_map; /* "heroku/ruby=ruby" */
	char **host_ports;    /* host ports dynos may reach: "5432" */
	char **out_allow;     /* networks that drains and webhooks may reach: "10.0.0.0/8" */
	char *out_ca_file;    /* further certificate authorities for them; "" = none */
	char *dns;	      /* resolver given to dynos; "" = the host's */
	int64_t build_concurrency, build_timeout_s, build_memory_mb, slugs_kept, router_workers;
	int64_t dyno_memory_mb, dyno_memory_factor_pct, dyno_pids, boot_timeout_s, stop_timeout_s;
	int64_t crash_backoff_s, log_history_lines, disk_reserve_mb, release_timeout_s,
		memory_sample_s, source_mb, source_user_mb;
	int64_t api_rate_limit, postgres_watch_s;
	int64_t backup_concurrency, backup_timeout_s, backup_mb, backups_scheduled, backups_manual;
	bool dev, keep_dynos, allow_private_urls, allow_local_buildpacks;
	bool log_runtime_metrics;
	bool password_keeps_token;
	int64_t audit_days, audit_rows;
	char **addons_dir;	  /* folders of services; later ones come first */
	char *addon_settings_dir; /* administrator's settings of services */
	int64_t addon_provision_timeout_s, addon_retry_s;
	bool addon_from_buildpacks;
	int64_t providers_period_s;
};

struct config_key {
	const char *name; /* "listen", "build.timeout" */
	enum { CFG_STR, CFG_INT, CFG_BOOL, CFG_LIST, CFG_MAP } type;
	size_t offset;
	const char *def, *unit, *text;
	int64_t min, max;
	const char *choices; /* "auto|sandbox|plain", or NULL */
	/* What is wrong with a value ("wants ..."), or NULL. Lists and maps: of each element;
	 * check_each: of each part of a comma-separated text. */
	const char *(*check)(const char *value);
	const char *(*check_each)(const char *value);
};

extern const struct config_key config_keys[]; /* ends with .name NULL */

/* Defaults. */
void config_init(struct config *c);
/* Merges a YAML file: lists replace, maps add. After an error the settings are half merged.
 * Mistakes name line and key: "paasd.yml:12: build.timout: unknown key; did you mean
 * build.timeout?" */
int config_load(struct config *c, const char *path, struct err *err);
/* As from the command line: lists and maps as a,b and k=v,l=w. */
int config_set(struct config *c, const char *key, const char *value, struct err *err);
/* Port of the first address in listen: the one in URLs that the settings give. */
int config_port(const struct config *c);
void config_clear(struct config *c);
void config_print_docs(void); /* docs/config.md on stdout */

#endif
