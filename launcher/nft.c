#include "launcher/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* One batch: begin, one message with elements, end. */
struct batch {
	_Alignas(8) char data[16384];
	size_t len;
};

enum { SEQ_ELEMENTS = 2, PER_BATCH = 128 };

static void *room(struct batch *b, size_t n)
{
	void *at = b->data + b->len;

	if (b->len + NLMSG_ALIGN(n) > sizeof b->data)
		abort();
	memset(at, 0, NLMSG_ALIGN(n));
	b->len += NLMSG_ALIGN(n);
	return at;
}

static struct nlmsghdr *message(struct batch *b, unsigned type, unsigned flags, uint32_t seq,
				uint8_t family, uint16_t res)
{
	struct nlmsghdr *h = room(b, sizeof *h);
	struct nfgenmsg *g = room(b, sizeof *g);

	*h = (struct nlmsghdr){.nlmsg_type = (uint16_t)type,
			       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			       .nlmsg_seq = seq};
	*g = (struct nfgenmsg){
		.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(res)};
	return h;
}

static void message_end(struct batch *b, struct nlmsghdr *h)
{
	h->nlmsg_len = (uint32_t)(b->data + b->len - (char *)h);
}

static struct nlattr *attr(struct batch *b, unsigned type, const void *data, size_t n)
{
	struct nlattr *a = room(b, NLA_HDRLEN + n);

	*a = (struct nlattr){.nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = (uint16_t)type};
	if (n)
		memcpy((char *)a + NLA_HDRLEN, data, n);
	return a;
}

static struct nlattr *nest(struct batch *b, unsigned type)
{
	return attr(b, type | NLA_F_NESTED, NULL, 0);
}

static void nest_end(struct batch *b, struct nlattr *a)
{
	a->nla_len = (uint16_t)(b->data + b->len - (char *)a);
}

static void element(struct batch *b, uint32_t ip, const struct reach *to)
{
	/* a concatenation: each part fills whole words, in network order */
	struct {
		uint32_t from, to;
		uint16_t port, pad;
	} key = {htonl(ip), htonl(to->ip), htons((uint16_t)to->port), 0};
	struct nlattr *e = nest(b, NFTA_LIST_ELEM), *k = nest(b, NFTA_SET_ELEM_KEY);

	attr(b, NFTA_DATA_VALUE, &key, sizeof key);
	nest_end(b, k);
	nest_end(b, e);
}

static void fill(struct batch *b, const char *table, uint32_t ip, const struct reach *to, int n,
		 bool add)
{
	unsigned verb = NFNL_SUBSYS_NFTABLES << 8 | (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
	struct nlmsghdr *h =
		message(b, NFNL_MSG_BATCH_BEGIN, 0, 1, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	struct nlattr *list;

	message_end(b, h);
	h = message(b, verb, NLM_F_ACK | (add ? NLM_F_CREATE : 0), SEQ_ELEMENTS, NFPROTO_INET, 0);
	attr(b, NFTA_SET_ELEM_LIST_TABLE, table, strlen(table) + 1);
	attr(b, NFTA_SET_ELEM_LIST_SET, "reach", sizeof "reach");
	list = nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (int i = 0; i < n; i++)
		element(b, ip, &to[i]);
	nest_end(b, list);
	message_end(b, h);
	h = message(b, NFNL_MSG_BATCH_END, 0, SEQ_ELEMENTS + 1, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	message_end(b, h);
}

/* The first verdict is the one that counts: of the elements, or of the batch as a whole. */
static int verdict(int nl)
{
	_Alignas(8) char page[8192];
	const struct nlmsghdr *h = (const void *)page;
	ssize_t n;

	do
		n = recv(nl, page, sizeof page, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	errno = EPROTO;
	if (NLMSG_OK(h, (uint32_t)n) && h->nlmsg_type == NLMSG_ERROR)
		errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	return errno ? -1 : 0;
}

static int transact(const struct batch *b)
{
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct timeval patience = {.tv_sec = 5};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int r, no;

	if (nl < 0)
		return -1;
	setsockopt(nl, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	r = sendto(nl, b->data, b->len, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0
		    ? -1
		    : verdict(nl);
	no = errno;
	close(nl);
	errno = no;
	return r;
}

int nft_reach(const char *table, uint32_t ip, const struct reach *to, int n, bool add,
	      struct err *err)
{
	/* one that is out already fails its whole batch: then each has its own */
	int step = add ? PER_BATCH : 1;

	for (int i = 0; i < n; i += step) {
		struct batch b = {.len = 0};

		fill(&b, table, ip, to + i, n - i < step ? n - i : step, add);
		if (transact(&b) < 0 && (add || errno != ENOENT))
			return err_errno(err, "ways to services");
	}
	return 0;
}
