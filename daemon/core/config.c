#include "daemon/core/config.h"
#include "daemon/core/cidr.h"
#include "daemon/core/config_int.h"
#include "proto/buf.h"
#include "proto/names.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- checks of single values --- */

static int check_port_text(const char *s, size_t n)
{
	long v = 0;

	if (n < 1 || n > 5)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v >= 0 && v <= 65535 ? (int)v : -1;
}

static const char *check_listen(const char *v)
{
	const char *colon = strrchr(v, ':');

	if (!colon || colon == v || check_port_text(colon + 1, strlen(colon + 1)) < 0 ||
	    (v[0] == '[' && colon[-1] != ']'))
		return "wants ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080";
	return NULL;
}

static const char *check_port(const char *v)
{
	return check_port_text(v, strlen(v)) > 0 ? NULL : "wants ports between 1 and 65535";
}

static const char *check_host(const char *v)
{
	size_t n = strlen(v);

	if (n < 1 || n > 253 || v[0] == '.' || v[0] == '-' || v[n - 1] == '.')
		return "wants a host name";
	for (size_t i = 0; i < n; i++)
		if (!((v[i] >= 'a' && v[i] <= 'z') || (v[i] >= '0' && v[i] <= '9') || v[i] == '.' ||
		      v[i] == '-'))
			return "wants a host name in lower case, without scheme or port";
	return NULL;
}

static const char *check_url(const char *v)
{
	if (!*v)
		return NULL;
	return (strncmp(v, "http://", 7) == 0 && v[7]) || (strncmp(v, "https://", 8) == 0 && v[8])
		       ? NULL
		       : "wants a URL that starts with http:// or https://";
}

static const char *check_target(const char *v)
{
	return *v ? check_host(v) : NULL;
}

static const char *check_email(const char *v)
{
	return name_is_email(v) ? NULL : "wants an e-mail address";
}

static const char *check_variable(const char *v)
{
	return name_is_config_key(v) ? NULL : "wants names of environment variables";
}

static const char *check_network(const char *v)
{
	return cidr_ok(v) ? NULL : "wants networks, as 10.0.0.0/8, fd00::/8 or 192.0.2.7";
}

static const char *check_path(const char *v)
{
	return *v == '/' ? NULL : "wants absolute paths";
}

static const char *check_mapping(const char *v)
{
	const char *eq = strchr(v, '=');

	return eq && eq != v && eq[1] ? NULL : "wants NAME=BUILDPACK pairs";
}

/* --- the table --- */

#define STR(n, f, d, t, ...)                                                                \
	{                                                                                   \
		.name = n, .type = CFG_STR, .offset = offsetof(struct config, f), .def = d, \
		.text = t, __VA_ARGS__                                                      \
	}
#define INT(n, f, d, u, lo, hi, t)                                                          \
	{                                                                                   \
		.name = n, .type = CFG_INT, .offset = offsetof(struct config, f), .def = d, \
		.unit = u, .text = t, .min = lo, .max = hi                                  \
	}
#define FLAG(n, f, d, t)                                                                     \
	{                                                                                    \
		.name = n, .type = CFG_BOOL, .offset = offsetof(struct config, f), .def = d, \
		.text = t                                                                    \
	}
#define LIST(n, f, d, c, t)                                                                  \
	{                                                                                    \
		.name = n, .type = CFG_LIST, .offset = offsetof(struct config, f), .def = d, \
		.text = t, .check = c                                                        \
	}
#define MAP(n, f, d, c, t)                                                                  \
	{                                                                                   \
		.name = n, .type = CFG_MAP, .offset = offsetof(struct config, f), .def = d, \
		.text = t, .check = c                                                       \
	}

#define GITHUB "https://github.com/heroku/heroku-buildpack-"

const struct config_key config_keys[] = {
	STR("listen", listen, "127.0.0.1:8080",
	    "Addresses that the router listens on, comma-separated. One port takes HTTP and TLS.",
	    .check_each = check_listen),
	STR("platform_host", platform_host, "localhost",
	    "Host name of the API, the dashboard and git.", .check = check_host),
	STR("apps_domain", apps_domain, "localhost",
	    "Apps answer at NAME.DOMAIN, with this domain.", .check = check_host),
	STR("dns_target", dns_target, "",
	    "Host name that custom domains are to point at by CNAME, told to users. Empty: the "
	    "app's "
	    "own, NAME.DOMAIN.",
	    .check = check_target),
	STR("public_url", public_url, "",
	    "URL of the platform as users type it, for links and git remotes. Empty: made from "
	    "platform_host and listen.",
	    .check = check_url),
	STR("tls.cert", tls_cert, "",
	    "File with the certificate chain of platform_host, and of the apps' domain when it "
	    "covers "
	    "that too (PEM). Read again every hour. Empty: one of the platform's own authority, "
	    "STATE/certs/ca.pem."),
	STR("tls.key", tls_key, "", "File with the private key of tls.cert (PEM)."),
	STR("admin_email", admin_email, "admin@localhost",
	    "Address of the account that the first start makes.", .check = check_email),
	STR("state_dir", state_dir, "/var/lib/paasd",
	    "Folder of everything that is kept: database, repositories, slugs, logs."),
	STR("run_dir", run_dir, "/run/paasd",
	    "Folder of sockets, the route snapshot and running dynos."),
	STR("libexec_dir", libexec_dir, "/usr/local/libexec/paasd",
	    "Folder of the helper programs: paas-router, paas-launcher, paas-shim, paas-static."),
	STR("buildpacks_dir", buildpacks_dir, "/usr/local/share/paasd/buildpacks",
	    "Folder of the bundled buildpacks."),
	LIST("addons_dir", addons_dir, "/usr/local/share/paasd/addons,/etc/paasd/addons",
	     check_path,
	     "Folders of add-on services, as docs/addons.md has them. Of two services with one "
	     "name, "
	     "the one in the later folder counts. Folders that are not there are passed over."),
	STR("addon.settings_dir", addon_settings_dir, "/etc/paasd/addons.d",
	    "Folder of files SERVICE.yml with the administrator's settings of services; only "
	    "paasd's "
	    "user may read them."),
	INT("addon.provision_timeout", addon_provision_timeout_s, "1200", "s", 1, 86400,
	    "Longest time in which an add-on is provisioned, or its plan changed; then that has "
	    "failed."),
	INT("addon.retry", addon_retry_s, "5", "s", 1, 600,
	    "First wait before a provider is asked again; it doubles each time."),
	FLAG("addon.from_buildpacks", addon_from_buildpacks, "false",
	     "Provision the add-ons that buildpacks ask for on an app's first deploy."),
	STR("runtime", runtime, "auto",
	    "How dynos run: sandbox needs root, plain has no isolation, auto takes the better.",
	    .choices = "auto|sandbox|plain"),
	STR("stack", stack, "heroku-22", "Stack name that apps and buildpacks see.",
	    .check = check_host),
	FLAG("dev", dev, "false",
	     "Start router and launcher as children and serve from a checkout (--dev)."),
	FLAG("keep_dynos", keep_dynos, "false",
	     "In development: leave dynos running at the end, for the next start (--keep-dynos)."),
	FLAG("allow_private_urls", allow_private_urls, "false",
	     "Let users name URLs (buildpacks, tarballs, submodules) on loopback and private "
	     "addresses."),
	INT("slugs_kept", slugs_kept, "10", "slugs", 1, 1000,
	    "Newest slugs kept of each app, as rollback targets. Those in use are always kept."),
	INT("disk_reserve", disk_reserve_mb, "512", "MB", 0, 1048576,
	    "Builds are refused when less than this would be left on the disk."),

	FLAG("password_keeps_token", password_keeps_token, "true",
	     "A change of password ends the account's other tokens; true: not the one that it came "
	     "with."),
	INT("audit.days", audit_days, "400", "days", 1, 36500,
	    "How long rows of the audit trail are kept."),
	INT("audit.rows", audit_rows, "200000", "rows", 1000, 100000000,
	    "Newest rows of the audit trail that are kept."),

	INT("providers.interval", providers_period_s, "600", "s", 1, 86400,
	    "How often repositories at git providers are looked at for what their webhooks did not "
	    "tell."),

	STR("log.level", log_level, "info", "Least level of the daemon's own log.",
	    .choices = "debug|info|warn|error"),
	INT("log.history", log_history_lines, "1500", "lines", 100, 100000,
	    "Newest lines kept of each app's log, for a week at most."),
	FLAG("log.runtime_metrics", log_runtime_metrics, "false",
	     "Write load and memory of each dyno to its app's log."),

	INT("api.rate_limit", api_rate_limit, "4500", "requests/h", 0, 3600000,
	    "API requests of an account in an hour, git and streams aside. 0: no limit."),

	INT("build.concurrency", build_concurrency, "1", "builds", 1, 64,
	    "Builds that run at the same time; others wait."),
	INT("build.timeout", build_timeout_s, "900", "s", 10, 86400, "Longest build."),
	INT("build.memory", build_memory_mb, "2048", "MB", 0, 1048576,
	    "Memory of a build. 0: no limit."),
	INT("build.source", source_mb, "512", "MB", 1, 1048576,
	    "Largest tarball that is built: uploaded, or downloaded from a URL."),
	INT("build.source_quota", source_user_mb, "2048", "MB", 1, 1048576,
	    "Tarballs that one user may have uploaded at a time; each goes after an hour."),
	LIST("build.env", build_env,
	     "http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,SSL_CERT_FILE,"
	     "SSL_CERT_DIR,CURL_CA_BUNDLE,GIT_SSL_CAINFO,NODE_EXTRA_CA_CERTS,PIP_CERT,"
	     "REQUESTS_CA_BUNDLE,PIP_INDEX_URL,PIP_NO_INDEX,PIP_FIND_LINKS,BUNDLE_MIRROR__ALL,"
	     "npm_config_registry,GOPROXY,GOFLAGS,GOSUMDB",
	     check_variable,
	     "Variables of the daemon's own environment that every build gets when they are set: "
	     "proxies, certificate authorities, mirrors."),
	MAP("build.buildpacks", buildpack_map,
	    "heroku/nodejs=nodejs,heroku/ruby=ruby,heroku/python=python,heroku/procfile=procfile,"
	    "heroku/static=static,heroku-community/static=static,paas/make=make,"
	    "heroku/go=" GITHUB "go.git,heroku/php=" GITHUB "php.git,heroku/java=" GITHUB
	    "java.git,heroku/gradle=" GITHUB "gradle.git,heroku/scala=" GITHUB
	    "scala.git,heroku/clojure=" GITHUB "clojure.git,heroku-community/apt=" GITHUB
	    "apt.git,heroku-community/nginx=" GITHUB "nginx.git,heroku-community/inline=" GITHUB
	    "inline.git,heroku-community/multi-procfile=" GITHUB "multi-procfile.git",
	    check_mapping,
	    "Short names of buildpacks: a bundled one's folder, or an address. Entries are added "
	    "to these, or take the place of one with the same name."),
	FLAG("build.allow_local_buildpacks", allow_local_buildpacks, "false",
	     "Let apps name buildpacks by a folder of this host."),

	INT("release.timeout", release_timeout_s, "3600", "s", 10, 86400,
	    "Longest release command."),

	INT("dyno.memory", dyno_memory_mb, "512", "MB", 16, 1048576,
	    "Memory quota of a dyno: above it an R14 line is logged."),
	INT("dyno.memory_factor", dyno_memory_factor_pct, "200", "%", 100, 1000,
	    "A dyno is killed (R15) at this percentage of its quota."),
	INT("dyno.pids", dyno_pids, "256", "processes", 8, 100000,
	    "Processes and threads of a dyno."),
	INT("dyno.boot_timeout", boot_timeout_s, "60", "s", 1, 3600,
	    "A web dyno must listen on $PORT within this time (R10)."),
	INT("dyno.stop_timeout", stop_timeout_s, "30", "s", 1, 3600,
	    "From SIGTERM to SIGKILL (R12)."),
	INT("dyno.crash_backoff", crash_backoff_s, "600", "s", 1, 86400,
	    "First wait before a dyno that crashes again is restarted; it doubles each time."),
	INT("dyno.memory_sample", memory_sample_s, "20", "s", 1, 3600,
	    "How often a dyno's memory is measured."),
	LIST("dyno.host_ports", host_ports, "", check_port,
	     "Ports of this host that dynos may connect to, at the bridge's address: a database, "
	     "say."),
	STR("dyno.dns", dns, "", "Resolver given to dynos. Empty: the host's."),

	LIST("outgoing.allow", out_allow, "", check_network,
	     "Networks that log drains and webhooks may reach although they are private: users "
	     "name those addresses, paasd connects to them. Loopback counts as private."),
	STR("outgoing.ca_file", out_ca_file, "",
	    "Certificate authorities (PEM) that log drains and webhooks are checked with, besides "
	    "the system's."),

	INT("backups.concurrency", backup_concurrency, "2", "transfers", 1, 32,
	    "Backups, restores and copies of databases that run at once; of one database always "
	    "one."),
	INT("backups.timeout", backup_timeout_s, "14400", "s", 10, 604800,
	    "Longest time that one of them may take."),
	INT("backups.max_size", backup_mb, "20480", "MB", 1, 10000000,
	    "Largest dump of a database; also of one that is restored from a URL."),
	INT("backups.keep_scheduled", backups_scheduled, "0", "backups", 0, 1000,
	    "Scheduled backups that are kept of a database; older ones go. 0: as its plan says."),
	INT("backups.keep_manual", backups_manual, "0", "backups", 0, 1000,
	    "The same for backups that were made by hand."),

	INT("postgres.watch", postgres_watch_s, "300", "s", 1, 86400,
	    "How often sizes of databases are looked at, and former passwords ended."),

	INT("router.workers", router_workers, "0", "threads", 0, 256,
	    "Router threads. 0: one a core."),
	{0},
};

/* --- values --- */

static void *field(struct config *c, const struct config_key *k)
{
	return (char *)c + k->offset;
}

static void list_free(char **v)
{
	for (char **p = v; p && *p; p++)
		free(*p);
	free(v);
}

static size_t list_len(char **v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static void list_add(char ***v, char *item)
{
	size_t n = list_len(*v);

	*v = xrealloc(*v, (n + 2) * sizeof **v);
	(*v)[n] = item;
	(*v)[n + 1] = NULL;
}

/* A map is a list of KEY=VALUE; a later key takes the place of an earlier one. */
static void map_put(char ***v, char *item)
{
	size_t n = strcspn(item, "=") + 1;

	for (char **p = *v; p && *p; p++)
		if (strncmp(*p, item, n) == 0) {
			free(*p);
			*p = item;
			return;
		}
	list_add(v, item);
}

static bool is_choice(const char *choices, const char *v)
{
	size_t n = strlen(v);

	for (const char *p = choices; n && *p;) {
		size_t m = strcspn(p, "|");

		if (m == n && memcmp(p, v, n) == 0)
			return true;
		p += m + (p[m] == '|');
	}
	return false;
}

/* What is wrong with the value, or NULL. */
static const char *each_wrong(const struct config_key *k, const char *v)
{
	AUTO(auto_str) char *copy = xstrdup(v);
	char *save = NULL;
	const char *bad = *v ? NULL : k->check_each(v);

	for (char *p = strtok_r(copy, ", ", &save); p && !bad; p = strtok_r(NULL, ", ", &save))
		bad = k->check_each(p);
	return bad;
}

static int text_ok(const struct config_key *k, const char *v, struct err *err)
{
	const char *bad = NULL;

	for (const char *p = v; *p; p++)
		if ((unsigned char)*p < 0x20)
			return err_set(err, ERR_CONFIG, "%s: has a control character", k->name);
	if (strlen(v) > 4096)
		return err_set(err, ERR_CONFIG, "%s: is too long", k->name);
	if (k->choices && !is_choice(k->choices, v))
		return err_set(err, ERR_CONFIG, "%s: must be one of %s, not %.60s", k->name,
			       k->choices, v);
	if (k->check)
		bad = k->check(v);
	if (!bad && k->check_each)
		bad = each_wrong(k, v);
	return bad ? err_set(err, ERR_CONFIG, "%s: %s, not %.60s", k->name, bad, v) : 0;
}

static int set_int(struct config *c, const struct config_key *k, const char *v, struct err *err)
{
	const char *unit = k->unit ? k->unit : "";
	char *end;
	long long n;

	errno = 0;
	n = strtoll(v, &end, 10);
	if (end == v || *end || errno || v[0] == ' ' || v[0] == '+')
		return err_set(err, ERR_CONFIG, "%s: must be a whole number (%s), not %.60s",
			       k->name, unit, v);
	if (n < k->min || n > k->max)
		return err_set(err, ERR_CONFIG, "%s: must be between %lld and %lld %s, not %lld",
			       k->name, (long long)k->min, (long long)k->max, unit, n);
	*(int64_t *)field(c, k) = n;
	return 0;
}

static int set_bool(struct config *c, const struct config_key *k, const char *v, struct err *err)
{
	bool yes = strcmp(v, "true") == 0;

	if (!yes && strcmp(v, "false") != 0)
		return err_set(err, ERR_CONFIG, "%s: must be true or false, not %.60s", k->name, v);
	*(bool *)field(c, k) = yes;
	return 0;
}

int config_set_scalar(struct config *c, const struct config_key *k, const char *v, struct err *err)
{
	char **s = field(c, k);

	switch (k->type) {
	case CFG_INT:
		return set_int(c, k, v, err);
	case CFG_BOOL:
		return set_bool(c, k, v, err);
	default:
		assert(k->type == CFG_STR);
		if (text_ok(k, v, err) < 0)
			return -1;
		free(*s);
		*s = xstrdup(v);
		return 0;
	}
}

int config_add_item(struct config *c, const struct config_key *k, const char *item, struct err *err)
{
	char ***list = field(c, k);

	if (text_ok(k, item, err) < 0)
		return -1;
	if (list_len(*list) >= CONFIG_ITEMS)
		return err_set(err, ERR_CONFIG, "%s: has more than %d entries", k->name,
			       CONFIG_ITEMS);
	if (k->type == CFG_MAP)
		map_put(list, xstrdup(item));
	else
		list_add(list, xstrdup(item));
	return 0;
}

void config_clear_items(struct config *c, const struct config_key *k)
{
	char ***list = field(c, k);

	list_free(*list);
	*list = xcalloc(1, sizeof **list);
}

static int set_items(struct config *c, const struct config_key *k, const char *v, struct err *err)
{
	AUTO(auto_str) char *copy = xstrdup(v);
	char *save = NULL;

	if (k->type == CFG_LIST)
		config_clear_items(c, k);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (config_add_item(c, k, p, err) < 0)
			return -1;
	return 0;
}

static int set_key(struct config *c, const struct config_key *k, const char *v, struct err *err)
{
	if (k->type == CFG_LIST || k->type == CFG_MAP)
		return set_items(c, k, v, err);
	return config_set_scalar(c, k, v, err);
}

void config_init(struct config *c)
{
	struct err err = {0};

	*c = (struct config){0};
	for (const struct config_key *k = config_keys; k->name; k++) {
		if (k->type == CFG_LIST || k->type == CFG_MAP)
			config_clear_items(c, k);
		if (set_key(c, k, k->def, &err) < 0)
			abort(); /* a default that its own check refuses */
	}
}

int config_port(const struct config *c)
{
	size_t n = strcspn(c->listen, ",");

	while (n && c->listen[n - 1] != ':')
		n--;
	return check_port_text(c->listen + n, strcspn(c->listen + n, ","));
}

void config_clear(struct config *c)
{
	for (const struct config_key *k = config_keys; k->name; k++) {
		if (k->type == CFG_STR)
			free(*(char **)field(c, k));
		else if (k->type == CFG_LIST || k->type == CFG_MAP)
			list_free(*(char ***)field(c, k));
	}
	*c = (struct config){0};
}

/* --- names --- */

const struct config_key *config_find(const char *name)
{
	for (const struct config_key *k = config_keys; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

bool config_is_group(const char *name)
{
	size_t n = strlen(name);

	for (const struct config_key *k = config_keys; k->name; k++)
		if (strncmp(k->name, name, n) == 0 && k->name[n] == '.')
			return true;
	return false;
}

#define NAME_MAX_ 64

static int distance(const char *a, const char *b)
{
	int row[NAME_MAX_ + 1], n = (int)strlen(a), m = (int)strlen(b);

	if (n > NAME_MAX_ || m > NAME_MAX_)
		return NAME_MAX_;
	for (int j = 0; j <= m; j++)
		row[j] = j;
	for (int i = 1; i <= n; i++) {
		int diag = row[0];

		row[0] = i;
		for (int j = 1; j <= m; j++) {
			int best = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

int config_unknown(const char *name, struct err *err)
{
	const char *best = NULL;
	int least = 4;

	for (const struct config_key *k = config_keys; k->name; k++) {
		const char *last = strrchr(k->name, '.');
		int d = distance(name, k->name);

		/* "timeout" for build.timeout: right name, wrong place. */
		if (last && d > 1 && strcmp(last + 1, name) == 0)
			d = 1;
		if (d < least && d * 2 <= (int)strlen(k->name)) {
			least = d;
			best = k->name;
		}
	}
	if (best)
		return err_set(err, ERR_CONFIG, "%.100s: unknown key; did you mean %s?", name,
			       best);
	return err_set(err, ERR_CONFIG, "%.100s: unknown key", name);
}

int config_set(struct config *c, const char *key, const char *value, struct err *err)
{
	const struct config_key *k = config_find(key);

	return k ? set_key(c, k, value, err) : config_unknown(key, err);
}

/* --- docs/config.md --- */

static const char *type_name(const struct config_key *k)
{
	static const char *const names[] = {"text", "number", "true/false", "list", "map"};

	return k->choices ? k->choices : names[k->type];
}

static void print_default(const struct config_key *k)
{
	bool many = k->type == CFG_LIST || k->type == CFG_MAP;

	if (!k->def[0])
		printf("empty");
	else if (!many)
		printf("`%s`%s%s", k->def, k->unit ? " " : "", k->unit ? k->unit : "");
	for (const char *p = k->def; many && *p;) {
		size_t n = strcspn(p, ",");

		printf("%s`%.*s`", p == k->def ? "" : ", ", (int)n, p);
		p += n + (p[n] == ',');
	}
}

void config_print_docs(void)
{
	printf("# Configuration\n\n"
	       "`/etc/paasd/paasd.yml`, or the file given with `--config`. Printed by `paasd "
	       "config:docs`;\n`paasd config:check FILE` names line and key of a mistake. Keys "
	       "with a dot may be nested:\n\n"
	       "```yaml\nlisten: 0.0.0.0:80\nplatform_host: paas.example.com\n"
	       "apps_domain: apps.example.com\nbuild:\n  timeout: 1800\n  env: [https_proxy]\n"
	       "dyno:\n  host_ports: [5432, 6379]\n```\n\n"
	       "A list that is given takes the place of its default; entries of a map are added "
	       "to it.\n");
	for (const struct config_key *k = config_keys; k->name; k++) {
		AUTO(auto_str) char *type = xstrdup(type_name(k));

		for (char *p = type; *p; p++)
			if (*p == '|')
				*p = ' ';
		printf("\n## %s\n\n%s\n\n%s", k->name, k->text, type);
		if (k->type == CFG_INT)
			printf(" (%s), %lld to %lld", k->unit, (long long)k->min,
			       (long long)k->max);
		printf("; default ");
		print_default(k);
		printf("\n");
	}
}
