/* paas-launcher: the only part of the platform that is root. See docs/internals/sandbox.md. */
#include "launcher/volume.h"
#include "launcher/host.h"
#include "daemon/core/xlog.h"

#include <pwd.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static const char usage[] =
	"usage: paas-launcher --run DIR --state DIR [--runtime auto|sandbox|plain] [--owner USER]\n"
	"                     [--shim PATH] [--host-port N]... [--ro DIR]... [--dns IP]\n"
	"                     [--without idmap|upper|nft|limits|loop]...\n"
	"       paas-launcher --cleanup --run DIR --state DIR\n"
	"Creates and removes sandboxes for paasd. --cleanup ends every dyno of the instance and\n"
	"removes all that it has on this host. --ro names a folder\n"
	"besides state and run that dynos may be shown read-only. --without pretends that the "
	"host\n"
	"lacks something, for tests.\n";

static char *default_shim(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n <= 0)
		return xstrdup("paas-shim");
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	return xasprintf("%s/paas-shim", self);
}

struct options {
	struct host *h;
	bool cleanup, owner_given;
};

static int take_lack(struct host *h, const char *what, struct err *err)
{
	static const struct {
		const char *name;
		unsigned bit;
	} lacks[] = {{"idmap", LACK_IDMAP},
		     {"upper", LACK_UPPER},
		     {"nft", LACK_NFT},
		     {"limits", LACK_LIMITS},
		     {"loop", LACK_LOOP}};

	for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
		if (strcmp(what, lacks[i].name) == 0) {
			h->lack |= lacks[i].bit;
			return 0;
		}
	return err_set(err, ERR_CONFIG, "--without does not know %s", what);
}

/* A user's name, as units have it, or a number. */
static int take_owner(struct host *h, const char *who, struct err *err)
{
	const struct passwd *pw = getpwnam(who);
	char *end;
	unsigned long n = strtoul(who, &end, 10);

	if (pw)
		h->owner = pw->pw_uid;
	else if (*who && !*end && n <= 0x7fffffff)
		h->owner = (uid_t)n;
	else
		return err_set(err, ERR_CONFIG, "there is no user %s", who);
	return 0;
}

static int take_option(struct options *o, int opt, struct err *err)
{
	struct host *h = o->h;
	unsigned long n;
	char *end;

	switch (opt) {
	case 'o':
		o->owner_given = true;
		return take_owner(h, optarg, err);
	case 'p':
		n = strtoul(optarg, &end, 10);
		if (!*optarg || *end || n < 1 || n > 65535)
			return err_set(err, ERR_CONFIG, "%s is not a port", optarg);
		if (h->nports < HOST_PORTS)
			h->ports[h->nports++] = (unsigned)n;
		return 0;
	case 'b':
		if (h->nro < HOST_RO)
			h->ro[h->nro++] = optarg;
		return 0;
	case 'd':
		if (*optarg && !ln_net_ip_parse(optarg))
			return err_set(err, ERR_CONFIG, "%s is not an IPv4 address", optarg);
		h->dns = optarg;
		return 0;
	case 'w':
		return take_lack(h, optarg, err);
	case 't':
		if (strcmp(optarg, "auto") != 0 && strcmp(optarg, "sandbox") != 0 &&
		    strcmp(optarg, "plain") != 0)
			return err_set(err, ERR_CONFIG, "there is no runtime %s", optarg);
		h->runtime = optarg;
		return 0;
	default:
		return err_set(err, ERR_CONFIG, "unknown option");
	}
}

static int parse(struct options *o, int argc, char **argv, struct err *err)
{
	static const struct option longs[] = {
		{"run", required_argument, NULL, 'r'},
		{"state", required_argument, NULL, 's'},
		{"runtime", required_argument, NULL, 't'},
		{"owner", required_argument, NULL, 'o'},
		{"shim", required_argument, NULL, 'x'},
		{"host-port", required_argument, NULL, 'p'},
		{"ro", required_argument, NULL, 'b'},
		{"dns", required_argument, NULL, 'd'},
		{"cleanup", no_argument, NULL, 'c'},
		{"without", required_argument, NULL, 'w'},
		{0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'r')
			o->h->run_arg = optarg;
		else if (opt == 's')
			o->h->state_arg = optarg;
		else if (opt == 'x')
			o->h->shim = optarg;
		else if (opt == 'c')
			o->cleanup = true;
		else if (take_option(o, opt, err) < 0)
			return -1;
	}
	if (!o->h->run_arg || !o->h->state_arg || optind != argc)
		return err_set(err, ERR_CONFIG, "--run and --state are needed");
	return 0;
}

/* Asks a living launcher to remove everything. False: there is none. */
static bool ask_living(const struct host *h)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(auto_fd) int dir = open(h->run_arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO(buf_clear) struct buf b = {0};
	size_t mark = wire_begin(&b, LAUNCH_SHUTDOWN);
	char page[4096];

	wire_u64(&b, L_FLAGS, 1);
	wire_end(&b, mark);
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/launcher.sock", dir);
	if (dir < 0 || fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0 ||
	    send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		return false;
	while (recv(fd, page, sizeof page, 0) > 0)
		;
	return true;
}

static int cleanup(struct host *h, struct err *err)
{
	if (ask_living(h) || access(h->state_arg, F_OK) < 0)
		return 0;
	if (ln_host_open(h, err) < 0)
		return -1;
	if (ln_dyno_remove_all(h, err) < 0)
		return -1;
	ln_host_erase(h);
	return 0;
}

static int run(struct options *o, struct err *err)
{
	struct host *h = o->h;

	if (o->cleanup)
		return cleanup(h, err);
	if (ln_host_open(h, err) < 0)
		return -1;
	ln_volumes_thaw(h);
	xlog(XLOG_INFO, "launcher", "msg=ready runtime=%s limits=%s bridge=%s",
	     h->sandbox ? "sandbox" : "plain", cg_kind_name(&h->cg), h->net ? h->bridge : "none");
	for (int i = 0; i < h->nnotes; i++)
		xlog(XLOG_WARN, "launcher", "note=%s", xlog_q(h->notes[i]));
	return launcher_serve(h, err);
}

int main(int argc, char **argv)
{
	static struct host h = {.runtime = "auto",
				.run_fd = -1,
				.dynos_fd = -1,
				.state_fd = -1,
				.lock_fd = -1,
				.slot_fd = -1,
				.filter_fd = -1};
	struct options o = {.h = &h};
	struct err err = {0};
	AUTO(auto_str) char *shim = default_shim();
	int r;

	umask(022);
	setsid(); /* fails for a job of a shell, whose Ctrl-C then means us */
	xlog_setup("paas-launcher", XLOG_INFO, true);
	h.shim = shim;
	h.owner = geteuid();
	if (parse(&o, argc, argv, &err) < 0) {
		fprintf(stderr, "paas-launcher: %s\n%s", err.msg, usage);
		return 2;
	}
	r = run(&o, &err);
	if (r < 0)
		xlog_err(XLOG_ERROR, "launcher", &err, "msg=\"cannot go on\"");
	ln_host_close(&h);
	return r < 0 ? 1 : 0;
}
