#include "launcher/host.h"
#include "launcher/nft.h"
#include "launcher/nl.h"
#include "shim/box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

void ln_net_ip_text(uint32_t ip, char out[16])
{
	struct in_addr a = {htonl(ip)};

	inet_ntop(AF_INET, &a, out, 16);
}

uint32_t ln_net_ip_parse(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1 ? ntohl(a.s_addr) : 0;
}

/* --- name servers --------------------------------------------------------------------------------
 */

static int read_resolvers(const char *path, char out[3][16], bool *loopback)
{
	FILE *f = fopen(path, "re");
	char line[256], addr[64];
	int n = 0;

	while (f && n < 3 && fgets(line, sizeof line, f)) {
		uint32_t ip =
			sscanf(line, "nameserver %63s", addr) == 1 ? ln_net_ip_parse(addr) : 0;

		if (ip >> 24 == 127)
			*loopback = true;
		else if (ip)
			ln_net_ip_text(ip, out[n++]);
	}
	if (f)
		fclose(f);
	return n;
}

void ln_net_resolvers(const struct host *h, char out[3][16])
{
	bool loopback = false;

	memset(out, 0, 3 * sizeof out[0]);
	if (h->dns && *h->dns) {
		snprintf(out[0], sizeof out[0], "%s", h->dns);
		return;
	}
	/* a stub on 127.0.0.53 is out of a dyno's reach: its upstream servers are not */
	if (read_resolvers("/etc/resolv.conf", out, &loopback) == 0)
		read_resolvers("/run/systemd/resolve/resolv.conf", out, &loopback);
}

/* --- the fence -----------------------------------------------------------------------------------
 */

static void one_reach(uint32_t from, const struct reach *to, void *arg)
{
	struct buf *b = arg;
	char src[16], dst[16];

	ln_net_ip_text(from, src);
	ln_net_ip_text(to->ip, dst);
	buf_addf(b, "%s%s . %s . %u", b->len ? ", " : "", src, dst, to->port);
}

/* Sandbox, service, port. What lives already comes back in the same transaction: its connections
 * go on while the fence is made anew. */
static void reach_text(struct host *h, struct buf *b)
{
	AUTO(buf_clear) struct buf elements = {0};

	ln_dyno_each_reach(h, one_reach, &elements);
	buf_adds(b, "set reach {\ntype ipv4_addr . ipv4_addr . inet_service;\n");
	if (elements.len)
		buf_addf(b, "elements = { %s }\n", elements.data);
	buf_adds(b, "}\n");
}

static void fence_text(struct host *h, struct buf *b)
{
	char subnet[16], dns[3][16];

	ln_net_ip_text(h->subnet, subnet);
	ln_net_resolvers(h, dns);
	/* a table of the same name may be there: (re)define it in one transaction */
	buf_addf(b, "table inet %s {}\ndelete table inet %s\ntable inet %s {\n", h->name, h->name,
		 h->name);
	reach_text(h, b);
	buf_addf(b,
		 "chain input {\ntype filter hook input priority -5; policy accept;\n"
		 "iifname \"%s\" jump host\n}\n",
		 h->bridge);
	/* ICMP and ICMPv6 by number: their names are in /etc/protocols, which a bare system lacks
	 */
	buf_adds(b, "chain host {\nct state established,related accept\n"
		    "meta l4proto { 1, 58 } accept\n");
	for (int i = 0; i < h->nports; i++)
		buf_addf(b, "ip daddr %s tcp dport %u accept\n", h->gateway_text, h->ports[i]);
	for (int i = 0; i < 3 && dns[i][0]; i++)
		buf_addf(b, "ip daddr %s meta l4proto { tcp, udp } th dport 53 accept\n", dns[i]);
	buf_adds(b, "meta l4proto tcp reject with tcp reset\nreject with icmpx type "
		    "admin-prohibited\n}\n");
	/* both ways by the set, so that taking an element out ends its connections too */
	buf_addf(b,
		 "chain forward {\ntype filter hook forward priority -5; policy accept;\n"
		 "iifname \"%s\" oifname \"%s\" ip saddr . ip daddr . tcp dport @reach accept\n"
		 "iifname \"%s\" oifname \"%s\" ip daddr . ip saddr . tcp sport @reach "
		 "ct direction reply accept\n",
		 h->bridge, h->bridge, h->bridge, h->bridge);
	buf_addf(b,
		 "iifname \"%s\" oifname \"%s\" meta l4proto tcp reject with tcp reset\n"
		 "iifname \"%s\" oifname \"%s\" reject with icmpx type admin-prohibited\n"
		 "iifname \"%s\" ip daddr 169.254.0.0/16 reject with icmpx type admin-prohibited\n"
		 "oifname \"%s\" ct state established,related accept\n"
		 "oifname \"%s\" drop\n}\n",
		 h->bridge, h->bridge, h->bridge, h->bridge, h->bridge, h->bridge, h->bridge);
	/* services are reached through the host, on the interface that one came in by: "go there
	 * directly" would be wrong advice between isolated ports */
	buf_addf(b,
		 "chain redirects {\ntype filter hook output priority -5; policy accept;\n"
		 "oifname \"%s\" icmp type 5 drop\n}\n",
		 h->bridge);
	buf_addf(b,
		 "chain out {\ntype nat hook postrouting priority 100; policy accept;\n"
		 "ip saddr %s/%d oifname != \"%s\" masquerade\n}\n}\n",
		 subnet, HOST_PREFIX, h->bridge);
}

/* Runs `nft -f -` with the text on its stdin. */
static int nft(const char *text, size_t n, struct err *err)
{
	int in[2], status = 0;
	pid_t pid;
	ssize_t k;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	signal(SIGPIPE, SIG_IGN); /* without nft nobody reads */
	pid = fork();
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(in[0], 0);
		execl("/usr/sbin/nft", "nft", "-f", "-", (char *)NULL);
		execlp("nft", "nft", "-f", "-", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	k = pid > 0 ? write(in[1], text, n) : -1;
	close(in[1]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, "run nft");
	if (k != (ssize_t)n || status != 0)
		return err_set(err, ERR_IO,
			       WIFEXITED(status) && WEXITSTATUS(status) == 127
				       ? "nft is not installed"
				       : "nft refused the rules");
	return 0;
}

static int fence(struct host *h, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	if (h->lack & LACK_NFT)
		return err_set(err, ERR_UNAVAILABLE, "nft is not installed");
	fence_text(h, &b);
	return nft(b.data, b.len, err);
}

/* --- bridge --------------------------------------------------------------------------------------
 */

static int bridge(struct host *h, struct err *err)
{
	AUTO(auto_fd) int nl = nl_open(err);
	uint8_t mac[6];
	int index;

	if (nl < 0)
		return -1;
	box_mac(h->gateway, mac); /* fixed: else it changes as ports come and go */
	index = nl_index(nl, h->bridge, err);
	if (index == 0) {
		if (nl_bridge_add(nl, h->bridge, mac, err) < 0)
			return -1;
		index = nl_index(nl, h->bridge, err);
	}
	if (index <= 0)
		return err_set(err, ERR_IO, "the bridge %s cannot be made", h->bridge);
	if (nl_addr_add(nl, index, h->gateway, HOST_PREFIX, err) < 0)
		return -1;
	return nl_up(nl, index, err);
}

int ln_net_open(struct host *h, struct err *err)
{
	struct err why = {0};
	char dns[3][16];

	if (bridge(h, err) < 0)
		return err_wrap(err, "network for dynos");
	h->net = true;
	if (getrandom(&h->ip_next, sizeof h->ip_next, 0) < 0)
		h->ip_next = (unsigned)getpid();
	if (fence(h, &why) < 0) {
		ln_host_note(
			h,
			"%s: dynos cannot reach the internet nor the databases of this platform, "
			"and can reach every port that this host opens to its network",
			why.msg);
		return 0;
	}
	h->nft = true;
	/* only behind the fence: forwarding without it would let dynos at each other */
	if (ln_slot_forward_on(h, &why) < 0)
		ln_host_note(h, "%s: dynos cannot reach the internet", why.msg);
	ln_net_resolvers(h, dns);
	if (!dns[0][0])
		ln_host_note(
			h, "the host's name server listens on loopback only: dynos cannot resolve "
			   "names until the setting dns names one that they can reach");
	return 0;
}

static void note_veth(const char *name, void *arg)
{
	struct buf *b = arg;

	buf_add(b, name, strlen(name) + 1);
}

void ln_net_close(struct host *h)
{
	AUTO(auto_fd) int nl = nl_open(NULL);
	AUTO(buf_clear) struct buf names = {0};
	AUTO(auto_str) char *text = NULL;
	char prefix[8];

	snprintf(prefix, sizeof prefix, "pd%02x", (unsigned)h->slot);
	if (nl >= 0 && nl_links(nl, note_veth, &names, NULL) == 0)
		for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1)
			if (strncmp(names.data + at, prefix, 4) == 0)
				nl_del(nl, names.data + at, NULL);
	if (nl >= 0)
		nl_del(nl, h->bridge, NULL);
	if (h->nft) {
		text = xasprintf("table inet %s {}\ndelete table inet %s\n", h->name, h->name);
		nft(text, strlen(text), NULL);
	}
	ln_slot_forward_off(h);
}

/* --- one dyno ------------------------------------------------------------------------------------
 */

void ln_net_veth_name(const struct host *h, const char *id, char out[16])
{
	int n = snprintf(out, 16, "pd%02x", (unsigned)h->slot);

	for (const char *p = id; *p && n < 14; p++)
		if (*p != '-')
			out[n++] = *p;
	out[n] = 0;
}

int ln_net_attach(struct host *h, const char *id, pid_t init, uint32_t ip, struct err *err)
{
	AUTO(auto_fd) int nl = nl_open(err);
	char name[16];
	uint8_t mac[6];
	int br, port;

	if (nl < 0)
		return -1;
	ln_net_veth_name(h, id, name);
	box_mac(ip, mac);
	br = nl_index(nl, h->bridge, err);
	if (br <= 0)
		return err_set(err, ERR_IO, "the bridge %s is gone", h->bridge);
	if (nl_veth_add(nl, name, br, init, mac, err) < 0)
		return -1;
	port = nl_index(nl, name, err);
	if (port <= 0)
		return err_set(err, ERR_IO, "the veth pair %s is gone", name);
	return nl_port_isolate(nl, port, err);
}

int ln_net_detach(struct host *h, const char *id, struct err *err)
{
	AUTO(auto_fd) int nl = nl_open(err);
	char name[16];

	ln_net_veth_name(h, id, name);
	return nl < 0 ? -1 : nl_del(nl, name, err);
}

void ln_net_ip_mark(struct host *h, uint32_t ip, bool taken)
{
	uint32_t at = ip - h->subnet;

	if (ip < h->subnet || at >= HOST_IPS)
		return;
	if (taken)
		h->ips[at / 8] |= (uint8_t)(1u << at % 8);
	else
		h->ips[at / 8] &= (uint8_t) ~(1u << at % 8);
}

/* Goes round, so that an address is used again as late as possible: a stale connection or route
 * must not meet another app's dyno. */
uint32_t ln_net_ip_take(struct host *h)
{
	for (unsigned i = 0; i < HOST_IPS; i++) {
		unsigned at = h->ip_next++ % HOST_IPS;

		if (at < 2 || at >= HOST_FIXED || h->ips[at / 8] & 1u << at % 8)
			continue;
		ln_net_ip_mark(h, h->subnet + at, true);
		return h->subnet + at;
	}
	return 0;
}

uint32_t ln_net_ip_fixed(struct host *h, unsigned index)
{
	unsigned at = HOST_FIXED + index;

	if (index < 1 || index > LAUNCH_ADDRESSES || h->ips[at / 8] & 1u << at % 8)
		return 0;
	ln_net_ip_mark(h, h->subnet + at, true);
	return h->subnet + at;
}

/* --- ways to services ----------------------------------------------------------------------------
 */

bool ln_net_reach_parse(const struct host *h, const char *text, struct reach *out)
{
	const char *colon = strchr(text, ':');
	char ip[16], *end;
	unsigned long port;

	if (!colon || colon - text >= (ptrdiff_t)sizeof ip || colon[1] < '1' || colon[1] > '9')
		return false;
	snprintf(ip, sizeof ip, "%.*s", (int)(colon - text), text);
	port = strtoul(colon + 1, &end, 10);
	*out = (struct reach){ln_net_ip_parse(ip), (unsigned)port};
	return !*end && port <= 65535 && out->ip > h->subnet + HOST_FIXED &&
	       out->ip < h->subnet + HOST_IPS - 1;
}

int ln_net_reach(struct host *h, uint32_t ip, const struct reach *to, int n, bool open,
		 struct err *err)
{
	struct err why = {0};

	if (!h->nft || n == 0)
		return 0;
	if (nft_reach(h->name, ip, to, n, open, &why) == 0)
		return 0;
	/* somebody flushed the host's rules, and ours with them */
	if (errno == ENOENT && open && fence(h, &why) == 0 &&
	    nft_reach(h->name, ip, to, n, open, &why) == 0)
		return 0;
	*err = why;
	return -1;
}
