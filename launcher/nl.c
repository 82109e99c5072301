#include "launcher/nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

struct msg {
	struct nlmsghdr h;
	char body[1024];
};

int nl_open(struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct timeval patience = {.tv_sec = 5};

	if (fd < 0)
		return err_errno(err, "netlink socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void *room(struct msg *m, size_t n)
{
	size_t at = NLMSG_ALIGN(m->h.nlmsg_len);

	if (at + NLMSG_ALIGN(n) > sizeof *m)
		abort();
	m->h.nlmsg_len = (uint32_t)(at + NLMSG_ALIGN(n)); /* a nest never ends beyond it */
	return (char *)m + at;
}

static void *begin(struct msg *m, uint16_t type, uint16_t flags, size_t body)
{
	*m = (struct msg){.h = {.nlmsg_len = sizeof m->h,
				.nlmsg_type = type,
				.nlmsg_flags = NLM_F_REQUEST | flags,
				.nlmsg_seq = 1}};
	return room(m, body);
}

static struct rtattr *attr(struct msg *m, unsigned type, const void *data, size_t n)
{
	struct rtattr *a = room(m, RTA_LENGTH(n));

	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), data, n);
	return a;
}

static void attr_str(struct msg *m, unsigned type, const char *s)
{
	attr(m, type, s, strlen(s) + 1);
}

static void attr_u32(struct msg *m, unsigned type, uint32_t v)
{
	attr(m, type, &v, sizeof v);
}

static void nest_end(struct msg *m, struct rtattr *a)
{
	a->rta_len = (uint16_t)((char *)m + m->h.nlmsg_len - (char *)a);
}

/* Sends and waits for the kernel's verdict. errno is the kernel's on failure. */
static int transact(int nl, struct msg *m, struct err *err, const char *what)
{
	char answer[4096] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (const void *)answer;
	ssize_t n;

	m->h.nlmsg_flags |= NLM_F_ACK;
	if (send(nl, m, m->h.nlmsg_len, 0) < 0)
		return err_errno(err, "%s", what);
	n = recv(nl, answer, sizeof answer, 0);
	if (n < 0)
		return err_errno(err, "%s", what);
	errno = EPROTO;
	if ((size_t)n >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && h->nlmsg_type == NLMSG_ERROR)
		errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	return errno ? err_errno(err, "%s", what) : 0;
}

/* Runs a dump request and hands each message of type `type` to each(). */
static int dump(int nl, struct msg *m, uint16_t type,
		void (*each)(const struct nlmsghdr *h, void *arg), void *arg, struct err *err)
{
	char page[16384] __attribute__((aligned(8)));

	m->h.nlmsg_flags |= NLM_F_DUMP;
	if (send(nl, m, m->h.nlmsg_len, 0) < 0)
		return err_errno(err, "netlink dump");
	for (;;) {
		ssize_t n = recv(nl, page, sizeof page, 0);

		if (n < 0)
			return err_errno(err, "netlink dump");
		for (const struct nlmsghdr *h = (const void *)page; NLMSG_OK(h, (uint32_t)n);
		     h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return err_set(err, ERR_IO, "netlink dump failed");
			if (h->nlmsg_type == type)
				each(h, arg);
		}
	}
}

int nl_index(int nl, const char *name, struct err *err)
{
	struct msg m;
	char answer[8192] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (const void *)answer;
	ssize_t n;

	begin(&m, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	attr_str(&m, IFLA_IFNAME, name);
	if (send(nl, &m, m.h.nlmsg_len, 0) < 0 || (n = recv(nl, answer, sizeof answer, 0)) < 0)
		return err_errno(err, "look up interface %s", name);
	if (NLMSG_OK(h, (uint32_t)n) && h->nlmsg_type == RTM_NEWLINK)
		return ((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;
	return 0;
}

int nl_up(int nl, int index, struct err *err)
{
	struct msg m;
	struct ifinfomsg *i = begin(&m, RTM_NEWLINK, 0, sizeof *i);

	*i = (struct ifinfomsg){.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	return transact(nl, &m, err, "bring interface up");
}

int nl_addr_add(int nl, int index, uint32_t ip, unsigned prefix, struct err *err)
{
	struct msg m;
	struct ifaddrmsg *a = begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *a);
	uint32_t wire = htonl(ip);

	*a = (struct ifaddrmsg){.ifa_family = AF_INET,
				.ifa_prefixlen = (uint8_t)prefix,
				.ifa_index = (uint32_t)index};
	attr(&m, IFA_LOCAL, &wire, sizeof wire);
	attr(&m, IFA_ADDRESS, &wire, sizeof wire);
	return transact(nl, &m, err, "set address");
}

int nl_route_add(int nl, uint32_t dst, unsigned prefix, uint32_t gateway, int index,
		 struct err *err)
{
	struct msg m;
	struct rtmsg *r = begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *r);
	uint32_t to = htonl(dst), via = htonl(gateway);

	*r = (struct rtmsg){.rtm_family = AF_INET,
			    .rtm_dst_len = (uint8_t)prefix,
			    .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = RTPROT_BOOT,
			    .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			    .rtm_type = RTN_UNICAST};
	attr(&m, RTA_DST, &to, sizeof to);
	attr_u32(&m, RTA_OIF, (uint32_t)index);
	if (gateway)
		attr(&m, RTA_GATEWAY, &via, sizeof via);
	return transact(nl, &m, err, "set a route");
}

int nl_bridge_add(int nl, const char *name, const uint8_t mac[6], struct err *err)
{
	struct msg m;
	struct ifinfomsg *i = begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *i);
	struct rtattr *info;

	*i = (struct ifinfomsg){.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	attr_str(&m, IFLA_IFNAME, name);
	attr(&m, IFLA_ADDRESS, mac, 6);
	info = attr(&m, IFLA_LINKINFO, NULL, 0);
	attr_str(&m, IFLA_INFO_KIND, "bridge");
	nest_end(&m, info);
	return transact(nl, &m, err, "create bridge");
}

int nl_veth_add(int nl, const char *name, int bridge, pid_t pid, const uint8_t mac[6],
		struct err *err)
{
	struct msg m;
	struct ifinfomsg *i = begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *i);
	struct rtattr *info, *data, *peer;

	*i = (struct ifinfomsg){.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	attr_str(&m, IFLA_IFNAME, name);
	attr_u32(&m, IFLA_MASTER, (uint32_t)bridge);
	info = attr(&m, IFLA_LINKINFO, NULL, 0);
	attr_str(&m, IFLA_INFO_KIND, "veth");
	data = attr(&m, IFLA_INFO_DATA, NULL, 0);
	peer = attr(&m, VETH_INFO_PEER, NULL, 0);
	memset(room(&m, sizeof(struct ifinfomsg)), 0, sizeof(struct ifinfomsg));
	attr_str(&m, IFLA_IFNAME, "eth0");
	attr(&m, IFLA_ADDRESS, mac, 6);
	attr_u32(&m, IFLA_NET_NS_PID, (uint32_t)pid);
	nest_end(&m, peer);
	nest_end(&m, data);
	nest_end(&m, info);
	return transact(nl, &m, err, "create veth pair");
}

int nl_port_isolate(int nl, int index, struct err *err)
{
	struct msg m;
	struct ifinfomsg *i = begin(&m, RTM_SETLINK, 0, sizeof *i);
	struct rtattr *prot;
	uint8_t on = 1;

	*i = (struct ifinfomsg){.ifi_family = PF_BRIDGE, .ifi_index = index};
	prot = attr(&m, IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
	attr(&m, IFLA_BRPORT_ISOLATED, &on, sizeof on);
	nest_end(&m, prot);
	return transact(nl, &m, err, "isolate bridge port");
}

int nl_del(int nl, const char *name, struct err *err)
{
	struct msg m;
	struct ifinfomsg *i = begin(&m, RTM_DELLINK, 0, sizeof *i);
	struct err why = {0};

	*i = (struct ifinfomsg){0};
	attr_str(&m, IFLA_IFNAME, name);
	if (transact(nl, &m, &why, "remove interface") == 0 || errno == ENODEV)
		return 0;
	if (err)
		*err = why;
	return -1;
}

struct link_walk {
	void (*each)(const char *name, void *arg);
	void *arg;
};

static void one_link(const struct nlmsghdr *h, void *arg)
{
	struct link_walk *w = arg;
	const struct ifinfomsg *i = NLMSG_DATA(h);
	int left = (int)IFLA_PAYLOAD(h);

	for (const struct rtattr *a = IFLA_RTA(i); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_IFNAME)
			w->each(RTA_DATA(a), w->arg);
}

int nl_links(int nl, void (*each)(const char *name, void *arg), void *arg, struct err *err)
{
	struct msg m;
	struct link_walk w = {each, arg};

	begin(&m, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	return dump(nl, &m, RTM_NEWLINK, one_link, &w, err);
}

struct route_walk {
	uint32_t ip;
	unsigned prefix;
	int except;
	bool hit;
};

static void one_route(const struct nlmsghdr *h, void *arg)
{
	struct route_walk *w = arg;
	const struct rtmsg *r = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h), oif = 0;
	unsigned shared = r->rtm_dst_len < w->prefix ? r->rtm_dst_len : w->prefix;
	uint32_t dst = 0;

	for (const struct rtattr *a = RTM_RTA(r); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_DST)
			memcpy(&dst, RTA_DATA(a), sizeof dst);
		if (a->rta_type == RTA_OIF)
			memcpy(&oif, RTA_DATA(a), sizeof oif);
	}
	if (shared == 0 || (w->except && oif == w->except))
		return;
	if ((ntohl(dst) ^ w->ip) >> (32 - shared) == 0)
		w->hit = true;
}

int nl_overlaps(int nl, uint32_t ip, unsigned prefix, int except, bool *yes, struct err *err)
{
	struct msg m;
	struct rtmsg *r = begin(&m, RTM_GETROUTE, 0, sizeof *r);
	struct route_walk w = {.ip = ip, .prefix = prefix, .except = except};

	*r = (struct rtmsg){.rtm_family = AF_INET};
	if (dump(nl, &m, RTM_NEWROUTE, one_route, &w, err) < 0)
		return -1;
	*yes = w.hit;
	return 0;
}
