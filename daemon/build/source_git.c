/* Clones by a git child that sees a closed environment and an own HOME: nothing of the daemon's git
 * settings, hooks or credentials; secrets of the URL go to it in a file, not on a command line. */
#include "daemon/build/source.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/netaddr.h"
#include "daemon/core/proc.h"
#include "proto/limits.h"

#include <ctype.h>
#include <git2.h>
#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <string.h>

/* Passed on when the daemon has them: how to reach the network and whom to trust there. */
static const char *const passed[] = {
	"http_proxy",	 "https_proxy",	 "no_proxy",	   "all_proxy",
	"HTTP_PROXY",	 "HTTPS_PROXY",	 "NO_PROXY",	   "ALL_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
};

struct url {
	char *clean; /* owned; without user part */
	char *user;  /* owned; "user:password" decoded, or NULL */
	char *host;  /* owned; no brackets; NULL for file:// */
	char port[8];
};

static void url_clear(struct url *u)
{
	free(u->clean);
	free(u->user);
	free(u->host);
}
#define url_clear_p url_clear

/* The host ends up in a file of git's: only what a host may hold. */
static int check_host(const struct url *u, struct err *err)
{
	static const char extra[] = ".-_:";

	for (const char *p = u->host; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(extra, *p))
			return err_set(err, ERR_INVALID_PARAMS,
				       "the host of the address is malformed");
	if (!*u->host || strspn(u->port, "0123456789") != strlen(u->port))
		return err_set(err, ERR_INVALID_PARAMS, "the address has no host, or a wrong port");
	return 0;
}

static int url_split(const char *text, struct url *u, struct err *err)
{
	const char *auth = strstr(text, "://") + 3, *end = auth + strcspn(auth, "/?#"), *at = NULL;
	const char *port;
	bool https = !strncmp(text, "https:", 6);

	for (const char *p = auth; p < end; p++)
		if (*p == '@')
			at = p;
	if (at) {
		struct buf b = {0};

		if (percent_decode(auth, (size_t)(at - auth), false, &b) < 0 ||
		    memchr(buf_str(&b), 0, b.len) || strpbrk(buf_str(&b), "\r\n")) {
			buf_clear(&b);
			return err_set(err, ERR_INVALID_PARAMS,
				       "the user part of the address is malformed");
		}
		u->user = buf_steal(&b);
	}
	u->clean = xasprintf("%.*s%s", (int)(auth - text), text, at ? at + 1 : auth);
	if (!strncmp(text, "file:", 5))
		return 0;
	auth = at ? at + 1 : auth;
	port = memchr(auth, ':', (size_t)(end - auth));
	if (*auth == '[') {
		const char *close = memchr(auth, ']', (size_t)(end - auth));

		if (!close)
			return err_set(err, ERR_INVALID_PARAMS, "the address has no host");
		u->host = xstrndup(auth + 1, (size_t)(close - auth - 1));
		port = close[1] == ':' ? close + 1 : NULL;
	} else {
		u->host = xstrndup(auth, (size_t)((port ? port : end) - auth));
	}
	snprintf(u->port, sizeof(u->port), "%.*s", port ? (int)(end - port - 1) : 3,
		 port ? port + 1 : (https ? "443" : "80"));
	return check_host(u, err);
}

/* Resolves the host once, refuses it when any of its addresses is private, and gives what git is to
 * pin it to: an answer that changes afterwards changes nothing. */
static int pin_host(const struct url *u, struct buf *pin, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int rc = getaddrinfo(u->host, u->port, &hints, &list);

	if (rc)
		return err_set(err, ERR_BUILD_FAILED, "%s: %s", u->host, gai_strerror(rc));
	buf_addf(pin, "%s:%s:", u->host, u->port);
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		char ip[64];

		if (netaddr_is_private(a->ai_addr)) {
			freeaddrinfo(list);
			return err_set(err, ERR_BUILD_FAILED, "%s is a private address", u->host);
		}
		getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
		buf_addf(pin, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", a == list ? "" : ",",
			 ip);
	}
	freeaddrinfo(list);
	return 0;
}

/* WORK/gitconfig. */
static int write_config(const struct fetch *f, const struct url *u, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(buf_clear) struct buf pin = {0};
	AUTO(auto_str) char *path = xasprintf("%s/gitconfig", f->work);

	buf_adds(&b, "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n"
		     "[safe]\n\tdirectory = *\n"
		     "[advice]\n\tdetachedHead = false\n"
		     "[gc]\n\tauto = 0\n[credential]\n\thelper =\n"
		     "[http]\n\tlowSpeedLimit = 1000\n\tlowSpeedTime = 60\n");
	if (u->host && !f->cfg->allow_private_urls && !netaddr_behind_proxy()) {
		if (pin_host(u, &pin, err) < 0)
			return -1;
		buf_addf(&b, "\tcurloptResolve = \"%s\"\n", buf_str(&pin));
	}
	if (u->user) {
		size_t site = strcspn(strstr(u->clean, "://") + 3, "/") +
			      (size_t)(strstr(u->clean, "://") + 3 - u->clean);

		buf_addf(&b, "[http \"%.*s/\"]\n\textraHeader = \"Authorization: Basic ", (int)site,
			 u->clean);
		base64_encode(u->user, strlen(u->user), &b);
		buf_adds(&b, "\"\n");
	}
	return fs_write_atomic(path, buf_str(&b), b.len, 0600, err);
}

struct git {
	const struct fetch *f;
	char *env[ARRAY_LEN(passed) + 16]; /* owned, NULL-terminated */
	int n;
	mono_ms deadline;
};

static void git_clear(struct git *g)
{
	for (int i = 0; i < g->n; i++)
		free(g->env[i]);
}
#define git_clear_p git_clear

static void git_init(struct git *g, const struct fetch *f)
{
	const struct config *cfg = f->cfg;
	mono_ms latest = clock_mono_ms() + LIM_BUILDPACK_MS;

	g->f = f;
	g->deadline = f->deadline < latest ? f->deadline : latest;
	g->env[g->n++] = xstrdup("PATH=/usr/local/bin:/usr/bin:/bin");
	g->env[g->n++] = xstrdup("LANG=C.UTF-8");
	g->env[g->n++] = xasprintf("HOME=%s", f->work);
	g->env[g->n++] = xstrdup("GIT_TERMINAL_PROMPT=0");
	g->env[g->n++] = xstrdup("GIT_ASKPASS=/bin/false");
	g->env[g->n++] = xstrdup("GIT_CONFIG_NOSYSTEM=1");
	g->env[g->n++] = xasprintf("GIT_CONFIG_GLOBAL=%s/gitconfig", f->work);
	g->env[g->n++] =
		xasprintf("GIT_ALLOW_PROTOCOL=https%s%s", cfg->allow_private_urls ? ":http" : "",
			  cfg->allow_local_buildpacks ? ":file" : "");
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *v = getenv(passed[i]);

		if (v)
			g->env[g->n++] = xasprintf("%s=%s", passed[i], v);
	}
	g->env[g->n] = NULL;
}

/* The last line that git printed, for people. */
static void last_line(struct buf *out, char *line, size_t cap)
{
	const char *text = buf_str(out), *p;

	while (out->len && isspace((unsigned char)out->data[out->len - 1]))
		out->data[--out->len] = 0;
	p = strrchr(text, '\n');
	p = p ? p + 1 : text;
	snprintf(line, cap, "%s", *p ? p : "git failed and said nothing");
	for (char *q = line; *q; q++)
		if ((unsigned char)*q < 0x20)
			*q = ' ';
}

static int git_run(const struct git *g, const char *const *argv, struct err *err)
{
	AUTO(buf_clear) struct buf out = {0};
	struct proc_spec s = {.argv = argv,
			      .env = (const char *const *)g->env,
			      .cwd = g->f->work,
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .lim = {.as_bytes = (uint64_t)MiB(4096), .file_bytes = LIM_BUILDPACK},
			      .new_session = true,
			      .die_with_thread = true};
	int status = proc_run(&s, NULL, 0, &out, 65536, g->deadline, g->f->cancel_fd, err);
	char line[300];

	if (status <= 0)
		return status;
	last_line(&out, line, sizeof(line));
	return err_set(err, ERR_BUILD_FAILED, "%s", line);
}

static bool final(const struct err *err)
{
	return err->code == ERR_CANCELED || err->code == ERR_TIMEOUT;
}

/* A ref may be a branch or tag, which can be had alone, or a commit, which needs the history. */
static int clone_ref(const struct git *g, const char *url, const char *ref, struct err *err)
{
	const char *dir = g->f->dir;
	const char *const named[] = {"git", "clone", "--quiet", "--depth", "1", "--branch",
				     ref,   "--",    url,	dir,	   NULL};
	const char *const whole[] = {"git", "clone", "--quiet", "--no-checkout",
				     "--",  url,     dir,	NULL};
	const char *const checkout[] = {"git",	   "-C",       dir, "checkout",
					"--quiet", "--detach", ref, NULL};
	struct err first = {0};

	if (git_run(g, named, &first) == 0)
		return 0;
	if (final(&first)) {
		*err = first;
		return -1;
	}
	if (fs_rmtree(dir, err) < 0 || git_run(g, whole, err) < 0)
		return -1;
	if (git_run(g, checkout, err) == 0)
		return 0;
	return final(err)
		       ? -1
		       : err_set(err, ERR_BUILD_FAILED, "it has no branch, tag or commit %s", ref);
}

static int clone(const struct git *g, const char *url, const char *ref, struct err *err)
{
	const char *dir = g->f->dir;
	const char *const plain[] = {"git", "clone", "--quiet", "--depth", "1",
				     "--",  url,     dir,	NULL};
	const char *const modules[] = {"git",	  "-C",	    dir,      "submodule",
				       "--quiet", "update", "--init", "--recursive",
				       "--depth", "1",	    NULL};
	AUTO(auto_str) char *file = xasprintf("%s/.gitmodules", dir);

	if ((ref ? clone_ref(g, url, ref, err) : git_run(g, plain, err)) < 0)
		return -1;
	return access(file, F_OK) == 0 ? git_run(g, modules, err) : 0;
}

/* Of the clone, before its repository goes; what cannot be learned stays as it was. */
static void learn_commit(const char *dir, char commit[65])
{
	git_repository *repo = NULL;
	git_oid oid;

	if (git_repository_open(&repo, dir) < 0)
		return;
	if (git_reference_name_to_id(&oid, repo, "HEAD") == 0)
		git_oid_tostr(commit, GIT_OID_HEXSZ + 1, &oid);
	git_repository_free(repo);
}

int source_fetch_git(const struct source *s, const struct fetch *f, struct err *err)
{
	AUTO(url_clear) struct url u = {0};
	AUTO(git_clear) struct git g = {0};
	AUTO(auto_str) char *meta = xasprintf("%s/.git", f->dir);
	uint64_t bytes, files;

	if (url_split(s->what, &u, err) < 0 || write_config(f, &u, err) < 0)
		return -1;
	git_init(&g, f);
	if (clone(&g, u.clean, s->ref, err) < 0)
		return -1;
	if (f->commit)
		learn_commit(f->dir, f->commit);
	if (fs_rmtree(meta, err) < 0 || fs_usage(f->dir, &bytes, &files, err) < 0)
		return -1;
	if (bytes > LIM_BUILDPACK)
		return err_set(err, ERR_TOO_LARGE, "it is larger than %lld MB",
			       LIM_BUILDPACK / MiB(1));
	return 0;
}
