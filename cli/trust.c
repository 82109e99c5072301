/* The certificate authority of a development platform: fetched once, shown, kept by platform. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define CA_MAX	   (256 * 1024)
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

/* One file for each platform: what signs one has no say about another. */
static char *kept_name(struct cli *c, const char *suffix)
{
	AUTO(auto_str) char *dir = cli_xdg_dir("CONFIG");
	char host[300];

	if (!dir)
		return NULL;
	cli_url_hostport(&c->url, host);
	for (char *p = host; *p; p++)
		if (*p == ':' || *p == '/' || *p == '[' || *p == ']')
			*p = '_';
	return xasprintf("%s/ca/%s%s", dir, host, suffix);
}

char *cli_ca_file(struct cli *c)
{
	const char *env = getenv("PAASCTL_CA_FILE");
	AUTO(auto_str) char *name = env && env[0] ? xstrdup(env) : kept_name(c, ".pem");

	return name && access(name, R_OK) == 0 ? STEAL(name) : NULL;
}

static bool add_pem(void *arg, const char *data, size_t n)
{
	struct buf *b = arg;

	buf_add(b, data, n);
	return b->len <= CA_MAX;
}

int cli_ca_fetch(struct cli *c, struct buf *pem, struct err *err)
{
	AUTO(auto_str) char *url = xasprintf("%s/ca.pem", c->api_url);
	struct cli_stream s = {.url = url, .on_data = add_pem, .arg = pem, .idle_ms = 10000};
	long status = 0;
	int rc;

	c->trust_any = true;
	rc = cli_stream(c, &s, &status, err);
	c->trust_any = false;
	if (rc < 0)
		return -1;
	if (status == 404)
		return 1;
	if (status != 200 || pem->len > CA_MAX)
		return err_set(err, ERR_UNAVAILABLE, "HTTP Error %ld for GET %s", status, url);
	return 0;
}

int cli_ca_fingerprint(const char *pem, char out[96])
{
	static const char head[] = "-----BEGIN CERTIFICATE-----",
			  tail[] = "-----END CERTIFICATE-----";
	const char *p = strstr(pem, head), *end = p ? strstr(p, tail) : NULL;
	unsigned char der[16 * 1024], hash[crypto_hash_sha256_BYTES];
	size_t n = 0;

	if (!end)
		return -1;
	p += sizeof head - 1;
	if (sodium_base642bin(der, sizeof der, p, (size_t)(end - p), " \t\r\n", &n, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return -1;
	crypto_hash_sha256(hash, der, n);
	for (size_t i = 0; i < sizeof hash; i++)
		snprintf(out + i * 3, 4, "%02X%s", hash[i], i + 1 < sizeof hash ? ":" : "");
	return 0;
}

static int write_file(const char *name, const char *const *texts, struct err *err)
{
	AUTO(auto_str) char *tmp = xasprintf("%s.new", name);
	AUTO(auto_fd)
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return err_errno(err, "cannot write %s", name);
	for (; *texts; texts++)
		if (write(fd, *texts, strlen(*texts)) != (ssize_t)strlen(*texts))
			return err_errno(err, "cannot write %s", name);
	return rename(tmp, name) < 0 ? err_errno(err, "cannot write %s", name) : 0;
}

int cli_ca_keep(struct cli *c, const struct buf *pem, char **path, struct err *err)
{
	AUTO(auto_str) char *name = kept_name(c, ".pem");
	AUTO(auto_str) char *dir = name ? xstrdup(name) : NULL;
	char hash[96];

	if (!name)
		return err_set(err, ERR_IO, "HOME is not set: the certificate cannot be kept");
	if (cli_ca_fingerprint(buf_str(pem), hash) < 0)
		return err_set(err, ERR_INTERNAL, "%s/ca.pem is no certificate", c->api_url);
	*strrchr(dir, '/') = 0;
	if (cli_make_dir(dir, err) < 0 ||
	    write_file(name, (const char *const[]){buf_str(pem), NULL}, err) < 0)
		return -1;
	*path = STEAL(name);
	return 0;
}

char *cli_ca_bundle(struct cli *c, const char *ca_file)
{
	AUTO(auto_str) char *name = kept_name(c, "-bundle.pem");
	AUTO(buf_clear) struct buf own = {0};
	AUTO(buf_clear) struct buf all = {0};
	struct stat made, system = {0}, ca = {0};
	struct err e = {0};
	bool fresh;

	if (!name || stat(ca_file, &ca) < 0)
		return NULL;
	stat(SYSTEM_CAS, &system);
	fresh = stat(name, &made) == 0 && made.st_mtime > ca.st_mtime &&
		made.st_mtime > system.st_mtime;
	if (fresh)
		return STEAL(name);
	if (cli_read_file(ca_file, CA_MAX, &own, &e) < 0)
		return NULL;
	cli_read_file(SYSTEM_CAS, 16 * 1024 * 1024, &all, &e);
	if (write_file(name, (const char *const[]){buf_str(&all), "\n", buf_str(&own), NULL}, &e) <
	    0)
		return NULL;
	return STEAL(name);
}

/* Whether the person, or --yes, says so. Without either: no. */
static bool agreed(struct cli *c)
{
	if (cli_opt_any(&c->args, "yes"))
		return true;
	return isatty(STDIN_FILENO) && cli_yes(c, "Trust it for this platform?");
}

int cli_ca_offer(struct cli *c, bool required, struct err *err)
{
	AUTO(auto_str) char *kept = cli_ca_file(c);
	AUTO(auto_str) char *path = NULL;
	AUTO(buf_clear) struct buf pem = {0};
	struct err e = {0};
	char hash[96];

	if (kept && !required)
		return 0;
	if (cli_ca_fetch(c, &pem, &e) != 0 || cli_ca_fingerprint(buf_str(&pem), hash) < 0) {
		buf_reset(&c->detail);
		return required ? err_set(err, ERR_UNAVAILABLE,
					  "the certificate of %s is not trusted, and it has no "
					  "authority of its own to offer",
					  c->api_url)
				: 0;
	}
	fprintf(stderr,
		"%s signs its own certificates. SHA-256 fingerprint of its authority:\n  %s\n",
		c->api_url, hash);
	if (!agreed(c)) {
		if (required)
			return err_set(err, ERR_UNAVAILABLE,
				       "not trusted: compare the fingerprint with the platform's, "
				       "then log in with --yes");
		cli_warn(c, "not trusted: https to it will fail. To trust it, log in with --yes");
		return 0;
	}
	if (cli_ca_keep(c, &pem, &path, err) < 0)
		return -1;
	fprintf(stderr, "Kept in %s\n", path);
	return 0;
}
