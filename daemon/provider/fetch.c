/* Fetching, by a git child in a closed environment into a bare mirror, STATE/repos/provider-ID.git.
 *
 * A child, and not libgit2: what comes may be anybody's (forks), and libgit2's reading of packs can
 * be made to go on for ever (docs/internals/git.md); a child has limits of memory, size and time,
 * and ends when it is told to. Besides, git can be held to the addresses that were checked.
 * Credentials go to it in files of a folder that is gone afterwards. */
#include "daemon/core/cidr.h"
#include "daemon/core/codec.h"
#include "daemon/core/fsx.h"
#include "daemon/core/netaddr.h"
#include "daemon/core/proc.h"
#include "daemon/core/xlog.h"
#include "daemon/provider/provider_int.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <git2.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/stat.h>

#define KEPT "refs/fetched/" /* the mirror's refs: a hash of the branch's name, or pull-N */

static inline void free_repo_p(git_repository **r)
{
	git_repository_free(*r);
}
static inline void free_object_p(git_object **o)
{
	git_object_free(*o);
}
static inline void free_commit_p(git_commit **c)
{
	git_commit_free(*c);
}

struct fetching {
	struct providers *p;
	const struct store_repo *r;
	const char *mirror;
	char *work; /* owned; STATE/repos/.new-... */
	char *url;  /* owned */
	char *host; /* owned; no brackets */
	char port[8];
	bool ssh;
	struct buf pin; /* addresses as git wants them */
	char ip[64];	/* the first */
	char *env[24];	/* owned */
	int nenv;
	mono_ms deadline;
	int cancel_fd;
};

static void fetching_clear(struct fetching *f)
{
	if (f->work)
		fs_rmtree(f->work, NULL);
	free(f->work);
	free(f->url);
	free(f->host);
	buf_clear(&f->pin);
	for (int i = 0; i < f->nenv; i++)
		free(f->env[i]);
}
#define fetching_clear_p fetching_clear

/* --- where it leads --- */

/* base_url is https://HOST[:PORT][/PATH], as it was checked when it was connected. */
static void split_url(struct fetching *f)
{
	const char *base = f->r->base_url, *at = strstr(base, "://") + 3;
	size_t n = strcspn(at, "/");
	const char *colon;

	if (*at == '[') {
		size_t close = strcspn(at, "]");

		f->host = xstrndup(at + 1, close - 1);
		colon = at[close] && at[close + 1] == ':' ? at + close + 1 : NULL;
	} else {
		colon = memchr(at, ':', n);
		f->host = xstrndup(at, colon ? (size_t)(colon - at) : n);
	}
	f->ssh = f->r->deploy_key != NULL;
	if (f->ssh) { /* the base URL's port is that of https */
		snprintf(f->port, sizeof f->port, "%d", f->r->ssh_port);
		f->url = xasprintf("ssh://git@%s%s%s:%s/%s.git", *at == '[' ? "[" : "", f->host,
				   *at == '[' ? "]" : "", f->port, f->r->full_name);
		return;
	}
	snprintf(f->port, sizeof f->port, "%.*s", colon ? (int)(n - (size_t)(colon + 1 - at)) : 3,
		 colon		  ? colon + 1
		 : base[4] == 's' ? "443"
				  : "80");
	f->url = xasprintf("%s/%s.git", base, f->r->full_name);
}

/* Looked up once, refused when an address is private and not allowed, and held to. */
static int pin_host(struct fetching *f, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char *const *allow = f->p->cfg->out_allow;
	int rc = getaddrinfo(f->host, f->port, &hints, &list);

	if (rc)
		return err_set(err, ERR_UNAVAILABLE, "%s: %s", f->host, gai_strerror(rc));
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		char ip[64];

		if (netaddr_is_private(a->ai_addr) && !cidr_has(allow, a->ai_addr)) {
			freeaddrinfo(list);
			return err_set(err, ERR_INVALID_PARAMS,
				       "%s has a private address, which outgoing.allow does not "
				       "name.",
				       f->host);
		}
		getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, NULL, 0, NI_NUMERICHOST);
		if (a == list)
			snprintf(f->ip, sizeof f->ip, "%s", ip);
		buf_addf(&f->pin, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s",
			 a == list ? "" : ",", ip);
	}
	freeaddrinfo(list);
	return 0;
}

/* --- the child's files --- */

static int put(struct fetching *f, const char *name, const char *text, struct err *err)
{
	AUTO(auto_str) char *path = xasprintf("%s/%s", f->work, name);

	return fs_write_atomic(path, text, strlen(text), 0600, err);
}

/* The system's authorities and the operator's own in one file, as git takes only one. */
static int put_authorities(struct fetching *f, struct err *err)
{
	static const char system[] = "/etc/ssl/certs/ca-certificates.crt";
	const char *named = getenv("SSL_CERT_FILE");
	AUTO(buf_clear) struct buf all = {0};
	AUTO(buf_clear) struct buf own = {0};

	fs_read(named && *named ? named : system, MiB(8), &all, NULL); /* it need not be there */
	if (fs_read(f->p->cfg->out_ca_file, MiB(8), &own, err) < 0)
		return -1;
	buf_addc(&all, '\n');
	buf_add(&all, own.data, own.len);
	return put(f, "ca.pem", buf_str(&all), err);
}

static int put_https(struct fetching *f, struct buf *b, struct err *err)
{
	const struct provider_codec *k = provider_codec_of(f->r);
	AUTO(auto_str) char *login = xasprintf("%s:%s", k->git_user, f->r->token);

	buf_adds(b, "[http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1000\n"
		    "\tlowSpeedTime = 60\n\tproxy =\n\tsslVerify = true\n");
	if (!strchr(f->host, ':') && strcmp(f->host, f->ip) != 0)
		buf_addf(b, "\tcurloptResolve = \"%s:%s:%s\"\n", f->host, f->port,
			 buf_str(&f->pin));
	if (f->p->cfg->out_ca_file[0]) {
		if (put_authorities(f, err) < 0)
			return -1;
		buf_addf(b, "\tsslCAInfo = \"%s/ca.pem\"\n", f->work);
	}
	if (*f->r->token) {
		buf_addf(b, "[http \"%s/\"]\n\textraHeader = \"Authorization: Basic ",
			 f->r->base_url);
		base64_encode(login, strlen(login), b);
		buf_adds(b, "\"\n");
	}
	explicit_bzero(login, strlen(login));
	return 0;
}

/* ssh takes its settings from a file in the child's folder; the host's key is learnt at the first
 * fetch and kept beside the mirror. */
static int put_ssh(struct fetching *f, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	AUTO(auto_str) char *key = xasprintf("%s\n", f->r->deploy_key);

	buf_addf(&b,
		 "Host *\n\tHostName %s\n\tHostKeyAlias %s\n\tUser git\n"
		 "\tIdentityFile \"%s/key\"\n\tIdentitiesOnly yes\n\tIdentityAgent none\n"
		 "\tBatchMode yes\n\tStrictHostKeyChecking accept-new\n"
		 "\tUserKnownHostsFile \"%s.hosts\"\n\tGlobalKnownHostsFile /dev/null\n"
		 "\tUpdateHostKeys no\n\tConnectTimeout 20\n\tServerAliveInterval 15\n"
		 "\tForwardAgent no\n\tPermitLocalCommand no\n\tProxyCommand none\n",
		 f->ip, f->host, f->work, f->mirror);
	return put(f, "key", key, err) < 0 || put(f, "sshconfig", buf_str(&b), err) < 0 ? -1 : 0;
}

static int put_files(struct fetching *f, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};
	int rc;

	buf_adds(&b, "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tfsync = all\n"
		     "[safe]\n\tdirectory = *\n[credential]\n\thelper =\n"
		     "[gc]\n\tauto = 0\n\tautoDetach = false\n[maintenance]\n\tauto = false\n"
		     "[pack]\n\tthreads = 1\n\twindowMemory = 64m\n"
		     "[fetch]\n\twriteCommitGraph = false\n\trecurseSubmodules = false\n");
	/* As strict as a push, and as mild: what git itself has long written is taken. */
	buf_adds(&b, "[fetch]\n\tfsckObjects = true\n[fetch \"fsck\"]\n"
		     "\tzeroPaddedFilemode = ignore\n\tmissingSpaceBeforeDate = ignore\n"
		     "\tbadTimezone = ignore\n\tmissingEmail = ignore\n"
		     "\tmissingNameBeforeEmail = ignore\n\tmissingSpaceBeforeEmail = ignore\n"
		     "\tzeroPaddedDate = ignore\n\tmissingTaggerEntry = ignore\n"
		     "\tbadTagName = ignore\n");
	if ((f->ssh ? put_ssh(f, err) : put_https(f, &b, err)) < 0)
		return -1;
	rc = put(f, "gitconfig", buf_str(&b), err);
	explicit_bzero(b.data, b.len);
	return rc;
}

static void add_env(struct fetching *f, char *owned)
{
	f->env[f->nenv++] = owned;
}

static void set_env(struct fetching *f)
{
	add_env(f, xstrdup("PATH=/usr/local/bin:/usr/bin:/bin"));
	add_env(f, xstrdup("LC_ALL=C"));
	add_env(f, xasprintf("HOME=%s", f->work));
	add_env(f, xasprintf("GIT_DIR=%s", f->mirror));
	add_env(f, xstrdup("GIT_TERMINAL_PROMPT=0"));
	add_env(f, xstrdup("GIT_ASKPASS=/bin/false"));
	add_env(f, xstrdup("GIT_CONFIG_NOSYSTEM=1"));
	add_env(f, xasprintf("GIT_CONFIG_GLOBAL=%s/gitconfig", f->work));
	add_env(f, xstrdup("GIT_NO_REPLACE_OBJECTS=1"));
	add_env(f,
		xasprintf("GIT_ALLOW_PROTOCOL=%s", f->ssh			      ? "ssh"
						   : strncmp(f->url, "http:", 5) == 0 ? "http"
										      : "https"));
	add_env(f,
		xstrdup("GIT_SSH_COMMAND=ssh -F sshconfig")); /* a shell's words: none of others' */
	add_env(f, xstrdup("GIT_SSH_VARIANT=ssh"));
	f->env[f->nenv] = NULL;
}

/* --- the child --- */

/* The line in which git says what is wrong: the last with "fatal" or "error", else the last. */
static void what_it_said(struct buf *out, char line[240])
{
	char *save = NULL;

	snprintf(line, 240, "git failed and said nothing");
	for (char *l = strtok_r((char *)buf_str(out), "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, "fatal: ", 7) == 0 || strncmp(l, "error: ", 7) == 0)
			snprintf(line, 240, "%.230s", l + 7);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
}

static int fault_of(struct buf *said, struct err *err)
{
	static const struct {
		const char *says;
		enum err_id id;
		const char *words; /* NULL: git's own */
	} known[] = {
		{"couldn't find remote ref", ERR_NOT_FOUND},
		{"repository not found", ERR_NOT_FOUND},
		{"Authentication failed", ERR_FORBIDDEN},
		{"could not read Username", ERR_FORBIDDEN},
		{"Host key verification failed", ERR_FORBIDDEN,
		 "the server's SSH key is not the one of the first fetch; if it is meant to be "
		 "another one now, disconnect the pipeline and connect it again"},
		{"Permission denied", ERR_FORBIDDEN, "the server does not take the deploy key"},
		{"error: 403", ERR_FORBIDDEN},
		{"exceeds maximum allowed size", ERR_TOO_LARGE},
		{"File too large", ERR_TOO_LARGE},
		{"fsck error", ERR_INVALID_PARAMS},
		{"not a git repository", ERR_CORRUPT}, /* the mirror */
		{".lock': File exists", ERR_CORRUPT},
		{"object file", ERR_CORRUPT},
		{"is corrupt", ERR_CORRUPT},
	};
	enum err_id id = ERR_UNAVAILABLE;
	const char *words = NULL;
	char line[240];

	for (size_t i = 0; i < ARRAY_LEN(known) && id == ERR_UNAVAILABLE; i++) {
		if (!strstr(buf_str(said), known[i].says))
			continue;
		id = known[i].id;
		words = known[i].words;
	}
	what_it_said(said, line);
	return err_set(err, id, "fetching failed: %s", words ? words : line);
}

static int run_git(struct fetching *f, const char *const *argv, struct err *err)
{
	AUTO(buf_clear) struct buf said = {0};
	struct proc_spec s = {.argv = argv,
			      .env = (const char *const *)f->env,
			      .cwd = f->work,
			      .in_fd = -1,
			      .out_fd = -1,
			      .err_fd = -1,
			      .lim = {.as_bytes = (uint64_t)LIM_GIT_FETCH_AS,
				      .file_bytes = (uint64_t)LIM_GIT_PACK,
				      .cpu_s = LIM_GIT_INDEX_CPU_S},
			      .new_session = true,
			      .die_with_thread = true};
	int rc = proc_run(&s, NULL, 0, &said, 65536, f->deadline, f->cancel_fd, err);

	return rc <= 0 ? rc : fault_of(&said, err);
}

/* --- the mirror --- */

void provider_mirror_path(struct providers *p, const struct store_repo *r, char *mirror)
{
	assert(name_is_uuid(r->id));
	snprintf(mirror, PATH_MAX, "%s/repos/provider-%s.git", p->cfg->state_dir, r->id);
}

static int lib_err(struct err *err, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_IO, "%s: %s", what, e ? e->message : "unknown");
}

/* Whoever builds takes single commits out of it (git fetch of an id). Made aside: a kill leaves a
 * whole one, or none. */
static int make_mirror(const struct fetching *f, struct err *err)
{
	AUTO(auto_str) char *aside = xasprintf("%s/mirror", f->work);
	AUTO(free_repo) git_repository *r = NULL;
	git_config *cfg = NULL;
	int rc;

	if (access(f->mirror, F_OK) == 0)
		return 0;
	if (git_repository_init(&r, aside, 1) < 0 || chmod(aside, 0700) < 0 ||
	    git_repository_config(&cfg, r) < 0)
		return lib_err(err, "cannot make the mirror");
	rc = git_config_set_bool(cfg, "uploadpack.allowAnySHA1InWant", 1);
	git_config_free(cfg);
	if (rc < 0)
		return lib_err(err, "cannot configure the mirror");
	return rename(aside, f->mirror) < 0 ? err_errno(err, "cannot make the mirror") : 0;
}

static int read_commit(const char *mirror, const char *ref, char commit[65], struct err *err)
{
	AUTO(free_repo) git_repository *r = NULL;
	AUTO(free_object) git_object *o = NULL;
	AUTO(free_object) git_object *c = NULL;

	if (git_repository_open_bare(&r, mirror) < 0 || git_revparse_single(&o, r, ref) < 0 ||
	    git_object_peel(&c, o, GIT_OBJECT_COMMIT) < 0)
		return lib_err(err, "what was fetched is no commit");
	git_oid_tostr(commit, 65, git_object_id(c));
	return 0;
}

bool provider_mirror_has(struct providers *p, const struct store_repo *r, const char *commit)
{
	AUTO(free_repo) git_repository *repo = NULL;
	AUTO(free_commit) git_commit *c = NULL;
	char mirror[PATH_MAX];
	git_oid id;

	provider_mirror_path(p, r, mirror);
	return strlen(commit) == 40 && git_oid_fromstr(&id, commit) == 0 &&
	       git_repository_open_bare(&repo, mirror) == 0 &&
	       git_commit_lookup(&c, repo, &id) == 0;
}

/* --- one at a time --- */

static void take_mirror(struct providers *p, const char *id)
{
	char row[37];

	snprintf(row, sizeof row, "%s", id);
	pthread_mutex_lock(&p->lock);
	while (provider_ids_has(&p->fetching, row))
		pthread_cond_wait(&p->changed, &p->lock);
	buf_add(&p->fetching, row, sizeof row);
	pthread_mutex_unlock(&p->lock);
}

static void give_mirror(struct providers *p, const char *id)
{
	pthread_mutex_lock(&p->lock);
	provider_ids_drop(&p->fetching, id);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* --- fetching --- */

static int check_size(struct fetching *f, struct err *err)
{
	uint64_t bytes = 0, files;

	if (fs_usage(f->mirror, &bytes, &files, err) < 0)
		return -1;
	if (bytes <= (uint64_t)LIM_PROVIDER_MIRROR)
		return 0;
	fs_rmtree(f->mirror, NULL);
	return err_set(err, ERR_TOO_LARGE, "%s is larger than %lld MB.", f->r->full_name,
		       LIM_PROVIDER_MIRROR / MiB(1));
}

/* Does nothing most times; packs that many fetches left become one. */
static void tidy(struct fetching *f)
{
	static const char *const gc[] = {
		"git", "-c",	 "gc.auto=1000", "-c",		"gc.autoPackLimit=30",
		"gc",  "--auto", "--quiet",	 "--prune=now", NULL};
	struct err err = {0};

	if (run_git(f, gc, &err) < 0 && err.code != ERR_CANCELED)
		xlog_err(XLOG_WARN, "provider", &err, "msg=\"mirror not tidied\" repo=%s",
			 xlog_q(f->r->full_name));
}

/* A git that was killed, with paasd or by it, may leave locks and half-written files in the mirror:
 * it holds nothing that cannot be fetched again. */
static int fetch_into(struct fetching *f, const char *const *argv, struct err *err)
{
	if (make_mirror(f, err) < 0)
		return -1;
	if (run_git(f, argv, err) == 0)
		return 0;
	if (err->code != ERR_CORRUPT)
		return -1;
	xlog_err(XLOG_WARN, "provider", err, "msg=\"mirror made anew\" repo=%s",
		 xlog_q(f->r->full_name));
	*err = (struct err){0};
	if (fs_rmtree(f->mirror, err) < 0 || make_mirror(f, err) < 0)
		return -1;
	return run_git(f, argv, err) < 0
		       ? (err->code == ERR_CORRUPT ? err_set(err, ERR_UNAVAILABLE, "%s", err->msg)
						   : -1)
		       : 0;
}

static int fetch(struct fetching *f, const char *ref, const char *local, char commit[65],
		 struct err *err)
{
	AUTO(auto_str) char *spec = xasprintf("+%s:%s", ref, local);
	char rnd[17];

	random_hex(rnd, 16);
	f->work = xasprintf("%s/repos/.new-fetch-%s", f->p->cfg->state_dir, rnd);
	split_url(f);
	if (pin_host(f, err) < 0 || fs_mkdirs(f->work, 0700, err) < 0 || put_files(f, err) < 0)
		return -1;
	set_env(f);
	const char *const argv[] = {"git",
				    "fetch",
				    "--quiet",
				    "--no-tags",
				    "--no-write-fetch-head",
				    "--no-auto-maintenance",
				    "--",
				    f->url,
				    spec,
				    NULL};

	if (fetch_into(f, argv, err) < 0 || read_commit(f->mirror, local, commit, err) < 0)
		return -1;
	tidy(f);
	return check_size(f, err);
}

static int fetch_as(struct providers *p, const struct store_repo *r, const char *ref,
		    const char *local, int cancel_fd, char *mirror, char commit[65],
		    struct err *err)
{
	AUTO(fetching_clear)
	struct fetching f = {.p = p,
			     .r = r,
			     .mirror = mirror,
			     .deadline = clock_mono_ms() + LIM_PROVIDER_FETCH_MS,
			     .cancel_fd = cancel_fd >= 0 ? cancel_fd : p->cancel_fd};
	int rc;

	git_libgit2_init(); /* counted; the first one counts */
	provider_mirror_path(p, r, mirror);
	take_mirror(p, r->id);
	rc = fetch(&f, ref, local, commit, err);
	if (rc < 0 && err->code == ERR_TIMEOUT)
		fs_rmtree(mirror, NULL); /* killed with its locks held */
	give_mirror(p, r->id);
	return rc;
}

int provider_fetch_branch(struct providers *p, const struct store_repo *r, const char *branch,
			  int cancel_fd, char *mirror, char commit[65], struct err *err)
{
	AUTO(auto_str) char *ref = xasprintf("refs/heads/%s", branch);
	char hash[65], local[128];

	if (provider_branch_ok(branch, err) < 0)
		return -1;
	/* a and a/b may follow each other: as refs of the mirror they would be in each other's way
	 */
	sha256_hex(branch, strlen(branch), hash);
	snprintf(local, sizeof local, KEPT "branch-%.32s", hash);
	return fetch_as(p, r, ref, local, cancel_fd, mirror, commit, err);
}

int provider_fetch_pull(struct providers *p, const struct store_repo *r, int64_t number,
			int cancel_fd, char *mirror, char commit[65], struct err *err)
{
	AUTO(auto_str)
	char *ref = xasprintf(provider_codec_of(r)->pull_ref, (long long)number);
	char local[128];

	snprintf(local, sizeof local, KEPT "pull-%lld", (long long)number);
	return fetch_as(p, r, ref, local, cancel_fd, mirror, commit, err);
}

/* --- what is not needed any more --- */

static bool is_open(const struct provider_pulls *open, long long number)
{
	for (int i = 0; i < open->n; i++)
		if (open->v[i].number == number)
			return true;
	return false;
}

static void drop_closed(git_repository *repo, const struct provider_pulls *open)
{
	git_reference_iterator *it = NULL;
	const char *name;
	struct buf names = {0};

	if (git_reference_iterator_glob_new(&it, repo, KEPT "pull-*") < 0)
		return;
	while (git_reference_next_name(&name, it) == 0)
		if (!is_open(open, strtoll(name + strlen(KEPT "pull-"), NULL, 10)))
			buf_add(&names, name, strlen(name) + 1);
	git_reference_iterator_free(it);
	for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1)
		git_reference_remove(repo, names.data + at);
	buf_clear(&names);
}

void provider_mirror_prune(struct providers *p, const struct store_repo *r,
			   const struct provider_pulls *open)
{
	AUTO(free_repo) git_repository *repo = NULL;
	char mirror[PATH_MAX];

	git_libgit2_init();
	provider_mirror_path(p, r, mirror);
	take_mirror(p, r->id);
	if (access(mirror, F_OK) == 0 && git_repository_open_bare(&repo, mirror) == 0)
		drop_closed(repo, open);
	give_mirror(p, r->id);
}

void provider_mirror_drop(struct providers *p, const char *repo_id)
{
	struct store_repo r = {0};
	AUTO(auto_str) char *hosts = NULL;
	char mirror[PATH_MAX];

	snprintf(r.id, sizeof r.id, "%s", repo_id);
	provider_mirror_path(p, &r, mirror);
	hosts = xasprintf("%s.hosts", mirror);
	take_mirror(p, repo_id);
	fs_rmtree(mirror, NULL);
	unlink(hosts);
	give_mirror(p, repo_id);
}

static int read_repos(struct tx *tx, void *arg, struct err *err)
{
	store_repos_clear(arg);
	return store_repos_all(tx, arg, err);
}

/* Of repositories that went with their pipeline. */
void provider_mirrors_sweep(struct providers *p)
{
	AUTO(auto_str) char *dir = xasprintf("%s/repos", p->cfg->state_dir);
	AUTO(store_repos_clear) struct store_repos known = {0};
	DIR *d = opendir(dir);
	struct buf gone = {0};

	/* Folders first, rows then: a row is there before its folder. */
	for (const struct dirent *e; d && (e = readdir(d));) {
		char id[37];

		if (strncmp(e->d_name, "provider-", 9) != 0 || strlen(e->d_name) < 9 + 36)
			continue;
		snprintf(id, sizeof id, "%.36s", e->d_name + 9);
		if (name_is_uuid(id))
			buf_add(&gone, id, sizeof id);
	}
	if (d)
		closedir(d);
	if (gone.len && store_read(p->st, read_repos, &known, NULL) < 0)
		buf_reset(&gone);
	for (int i = 0; i < known.n; i++)
		provider_ids_drop(&gone, known.v[i].id);
	for (size_t at = 0; at < gone.len; at += 37)
		provider_mirror_drop(p, gone.data + at);
	buf_clear(&gone);
}
