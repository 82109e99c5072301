#include "daemon/core/cidr.h"
#include "daemon/core/netaddr.h"
#include "daemon/core/xlog.h"
#include "daemon/out/out_int.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

const char *out_fault_name(enum out_fault f)
{
	static const char *const names[] = {
		[OUT_FINE] = "none",
		[OUT_FORBIDDEN] = "forbidden_address",
		[OUT_NO_HOST] = "unknown_host",
		[OUT_NO_CONNECTION] = "connection",
		[OUT_BAD_CERTIFICATE] = "certificate",
		[OUT_TOO_SLOW] = "timeout",
		[OUT_BROKEN] = "broken",
	};

	return names[f];
}

X509_STORE *out_trust(struct out *o)
{
	if (o->trust)
		return o->trust;
	o->trust = X509_STORE_new();
	if (!o->trust)
		abort(); /* out of memory */
	X509_STORE_set_default_paths(o->trust);
	if (o->ca_file && !X509_STORE_load_file(o->trust, o->ca_file))
		xlog(XLOG_ERROR, "out", "msg=\"outgoing.ca_file cannot be read any more\" file=%s",
		     xlog_q(o->ca_file));
	ERR_clear_error();
	return o->trust;
}

int out_socket(struct out *o, const struct sockaddr *sa, int type, int protocol, bool *forbidden)
{
	struct netaddr_guard g = {.any = cidr_has(o->cfg->out_allow, sa)};
	int fd = netaddr_socket(&g, sa, type, protocol);

	*forbidden = *forbidden || g.refused;
	return fd;
}

static int check_ca_file(const char *path, struct err *err)
{
	X509_STORE *s = X509_STORE_new();
	int ok = s && X509_STORE_load_file(s, path);

	X509_STORE_free(s);
	ERR_clear_error();
	return ok ? 0 : err_set(err, ERR_CONFIG, "outgoing.ca_file: no certificates in %s", path);
}

int out_start(const struct config *cfg, struct out **out, struct err *err)
{
	struct out *o;

	pthread_once(&once, global_init);
	if (cfg->out_ca_file[0] && check_ca_file(cfg->out_ca_file, err) < 0)
		return -1;
	o = xcalloc(1, sizeof *o);
	o->cfg = cfg;
	o->ca_file = cfg->out_ca_file[0] ? xstrdup(cfg->out_ca_file) : NULL;
	o->l = loop_new("out");
	o->resolver = out_resolver_new(o->l);
	loop_start_thread(o->l);
	*out = o;
	return 0;
}

struct loop *out_loop(struct out *o)
{
	return o->l;
}

static void do_stop(void *arg)
{
	struct out *o = arg;

	o->stopped = true;
	out_http_stop(o);
	out_streams_stop(o);
	out_resolver_close(o->resolver);
}

void out_stop(struct out *o)
{
	if (!o)
		return;
	loop_call(o->l, do_stop, o);
	loop_stop(o->l);
	loop_join(o->l);
}

void out_free(struct out *o)
{
	if (!o)
		return;
	loop_free(o->l);
	SSL_CTX_free(o->tls);
	X509_STORE_free(o->trust);
	free(o->ca_file);
	free(o);
}
