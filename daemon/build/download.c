#include "daemon/build/source.h"
#include "daemon/build/tarball.h"
#include "daemon/core/fsx.h"
#include "daemon/core/netaddr.h"
#include "proto/buf.h"
#include "proto/limits.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void easy_free(CURL *c)
{
	curl_easy_cleanup(c);
}
DEFINE_AUTO(CURL *, easy_free)

static void multi_free(CURLM *m)
{
	curl_multi_cleanup(m);
}
DEFINE_AUTO(CURLM *, multi_free)

struct download {
	int fd;
	uint64_t left;
	bool too_large, no_disk;
	struct netaddr_guard guard;
	char msg[CURL_ERROR_SIZE];
};

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct download *d = arg;
	size_t total = size * n;

	if (total > d->left) {
		d->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	d->left -= total;
	for (size_t done = 0; done < total;) {
		ssize_t w = write(d->fd, p + done, total - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			d->no_disk = true;
			return CURL_WRITEFUNC_ERROR;
		}
		done += (size_t)w;
	}
	return total;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct download *d = arg;

	return netaddr_socket(&d->guard, &a->addr, a->socktype, a->protocol);
}

static void set_options(CURL *c, const struct config *cfg, const char *url, bool plain_http,
			struct download *d, uint64_t max_bytes)
{
	const char *web = plain_http || cfg->allow_private_urls ? "https,http" : "https";
	AUTO(auto_str)
	char *protocols = xasprintf("%s%s", web, cfg->allow_local_buildpacks ? ",file" : "");

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, web);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 20000L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1000L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
	curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)max_bytes);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "paasd/" PAASD_VERSION);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, d);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, d->msg);
}

/* Runs the transfer to its end, the deadline, or cancel_fd. */
static int perform(CURLM *m, CURLcode *result, mono_ms deadline, int cancel_fd, struct err *err)
{
	int running = 1;

	for (;;) {
		struct curl_waitfd extra = {.fd = cancel_fd, .events = CURL_WAIT_POLLIN};
		mono_ms left = deadline - clock_mono_ms();
		const CURLMsg *msg;
		int n;

		if (curl_multi_perform(m, &running) != CURLM_OK)
			return err_set(err, ERR_IO, "curl failed");
		while ((msg = curl_multi_info_read(m, &n)))
			if (msg->msg == CURLMSG_DONE)
				*result = msg->data.result;
		if (!running)
			return 0;
		if (left <= 0)
			return err_set(err, ERR_TIMEOUT, "out of time while downloading");
		if (curl_multi_poll(m, &extra, cancel_fd >= 0, left < 1000 ? (int)left : 1000,
				    NULL) != CURLM_OK)
			return err_set(err, ERR_IO, "curl failed");
		if (cancel_fd >= 0 && extra.revents)
			return err_set(err, ERR_CANCELED, "canceled");
	}
}

static int verdict(const struct download *d, CURLcode rc, uint64_t max_bytes, struct err *err)
{
	if (d->too_large || rc == CURLE_FILESIZE_EXCEEDED)
		return err_set(err, ERR_TOO_LARGE, "it is larger than %llu MB",
			       (unsigned long long)(max_bytes / (uint64_t)MiB(1)));
	if (d->no_disk)
		return err_set(err, ERR_DISK_FULL, "no space left for the download");
	if (d->guard.refused && rc != CURLE_OK)
		return err_set(err, ERR_BUILD_FAILED, "its host has a private address");
	if (rc != CURLE_OK)
		return err_set(err, ERR_BUILD_FAILED, "%s",
			       *d->msg ? d->msg : curl_easy_strerror(rc));
	return 0;
}

int tarball_download(const struct config *cfg, const char *url, bool plain_http, const char *path,
		     uint64_t max_bytes, mono_ms deadline, int cancel_fd, struct err *err)
{
	AUTO(auto_fd)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct download d = {.fd = fd,
			     .left = max_bytes,
			     .guard.any = cfg->allow_private_urls || netaddr_behind_proxy()};
	AUTO(multi_free) CURLM *m = NULL; /* freed last */
	AUTO(easy_free) CURL *c = NULL;
	CURLcode result = CURLE_OK;
	int rc;

	if (fd < 0)
		return err_errno(err, "%s", path);
	pthread_once(&once, global_init);
	m = curl_multi_init();
	c = curl_easy_init();
	if (!m || !c)
		abort(); /* out of memory */
	set_options(c, cfg, url, plain_http, &d, max_bytes);
	curl_multi_add_handle(m, c);
	rc = perform(m, &result, deadline ? deadline : clock_mono_ms() + LIM_BUILDPACK_MS,
		     cancel_fd, err);
	curl_multi_remove_handle(m, c);
	return rc < 0 ? -1 : verdict(&d, result, max_bytes, err);
}

int source_fetch_tarball(const struct source *s, const struct fetch *f, struct err *err)
{
	AUTO(auto_str) char *file = xasprintf("%s/download", f->work);
	AUTO(auto_str) char *bin = xasprintf("%s/bin", f->dir);
	mono_ms latest = clock_mono_ms() + LIM_BUILDPACK_MS;
	mono_ms deadline = f->deadline < latest ? f->deadline : latest;

	if (tarball_download(f->cfg, s->what, false, file, LIM_BUILDPACK, deadline, f->cancel_fd,
			     err) < 0)
		return -1;
	if (mkdir(f->dir, 0755) < 0)
		return err_errno(err, "%s", f->dir);
	if (tarball_unpack(file, f->dir, LIM_BUILDPACK, deadline, f->cancel_fd, err) < 0)
		return -1;
	unlink(file);
	return access(bin, F_OK) == 0 ? 0 : tarball_lift(f->dir, err);
}
