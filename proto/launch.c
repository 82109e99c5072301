#include "proto/launch.h"
#include "proto/limits.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ARGS = 1024, MAX_ENV = 4096, MAX_BINDS = 64, MAX_REACH = 256 };

void launch_spec_clear(struct launch_spec *s)
{
	for (int i = 0; i < s->argc; i++)
		free(s->argv[i]);
	for (int i = 0; i < s->envc; i++) {
		/* values may be secrets: do not leave them in freed memory */
		explicit_bzero(s->env[i], strlen(s->env[i]));
		free(s->env[i]);
	}
	for (int i = 0; i < s->nbinds; i++) {
		free(s->binds[i].src);
		free(s->binds[i].dst);
	}
	for (int i = 0; i < s->nreach; i++)
		free(s->reach[i]);
	free(s->reach);
	free(s->argv);
	free(s->env);
	free(s->binds);
	free(s->cwd);
	free(s->slug);
	free(s->release);
	free(s->stack);
	*s = (struct launch_spec){0};
}

/* Appends an owned string to a NULL-terminated vector. */
static void push(char ***v, int *n, char *owned)
{
	*v = xrealloc(*v, (size_t)(*n + 2) * sizeof **v);
	(*v)[(*n)++] = owned;
	(*v)[*n] = NULL;
}

void launch_spec_arg(struct launch_spec *s, const char *arg)
{
	push(&s->argv, &s->argc, xstrdup(arg));
}

void launch_spec_env(struct launch_spec *s, const char *name, const char *value)
{
	push(&s->env, &s->envc, xasprintf("%s=%s", name, value));
}

void launch_spec_bind(struct launch_spec *s, const char *src, const char *dst, unsigned flags)
{
	s->binds = xrealloc(s->binds, (size_t)(s->nbinds + 1) * sizeof *s->binds);
	s->binds[s->nbinds++] = (struct launch_bind){
		.flags = flags,
		.src = xstrdup(src),
		.dst = xstrdup(dst),
	};
}

void launch_spec_reach(struct launch_spec *s, const char *ip, int port)
{
	push(&s->reach, &s->nreach, xasprintf("%s:%d", ip, port));
}

uint32_t launch_subnet(unsigned n)
{
	return 10u << 24 | (128 + n / 2) << 16 | (n % 2 * 128) << 8;
}

bool launch_fixed_ip(const char *gateway, unsigned index, char ip[16])
{
	struct in_addr a;
	uint32_t subnet;

	if (index < 1 || index > LAUNCH_ADDRESSES)
		return false;
	if (!*gateway) {
		snprintf(ip, 16, "127.0.0.1");
		return true;
	}
	if (inet_pton(AF_INET, gateway, &a) != 1)
		return false;
	subnet = ntohl(a.s_addr) & ~0U << (32 - LAUNCH_SUBNET_PREFIX);
	a.s_addr = htonl(subnet + (1U << (32 - LAUNCH_SUBNET_PREFIX)) -
			 (1U << (32 - LAUNCH_FIXED_PREFIX)) + index);
	return inet_ntop(AF_INET, &a, ip, 16) != NULL;
}

static void put_bind(struct buf *out, const struct launch_bind *b)
{
	AUTO(buf_clear) struct buf text = {0};

	buf_addf(&text, "%u", b->flags);
	buf_addc(&text, 0);
	buf_add(&text, b->src, strlen(b->src) + 1);
	buf_add(&text, b->dst, strlen(b->dst) + 1);
	wire_bytes(out, L_BIND, text.data, text.len);
}

/* The numbers of a spec, so that writing and reading cannot drift apart. */
#define NUMBERS(X)                    \
	X(L_APP_UID, app_uid)         \
	X(L_STDIO, stdio)             \
	X(L_NET, net)                 \
	X(L_PORT, port)               \
	X(L_MEM_QUOTA, mem_quota)     \
	X(L_MEM_MAX, mem_max)         \
	X(L_PIDS_MAX, pids_max)       \
	X(L_CPU_WEIGHT, cpu_weight)   \
	X(L_CPU_PCT, cpu_pct)         \
	X(L_ROWS, rows)               \
	X(L_COLS, cols)               \
	X(L_ON_DETACH, on_detach)     \
	X(L_ATTACH_MS, attach_ms)     \
	X(L_TTL_S, ttl_s)             \
	X(L_KEEP_OUTPUT, keep_output) \
	X(L_LOG, log)                 \
	X(L_METRICS_MS, metrics_ms)   \
	X(L_TMP_BYTES, tmp_bytes)     \
	X(L_ADDRESS, address)

void launch_spec_encode(struct buf *out, uint16_t frame_type, const struct launch_spec *s)
{
	size_t mark = wire_begin(out, frame_type);

	wire_str(out, L_ID, s->id);
	wire_str(out, L_APP_ID, s->app_id);
	wire_str(out, L_NAME, s->name);
	if (s->into[0])
		wire_str(out, L_INTO, s->into);
	for (int i = 0; i < s->argc; i++)
		wire_str(out, L_ARGV, s->argv[i]);
	for (int i = 0; i < s->envc; i++)
		wire_str(out, L_ENV, s->env[i]);
	wire_str(out, L_CWD, s->cwd);
	wire_str(out, L_SLUG, s->slug);
	wire_str(out, L_RELEASE, s->release);
	wire_str(out, L_STACK, s->stack);
	for (int i = 0; i < s->nbinds; i++)
		put_bind(out, &s->binds[i]);
	for (int i = 0; i < s->nreach; i++)
		wire_str(out, L_REACH, s->reach[i]);
#define X(key, member) wire_u64(out, key, (uint64_t)s->member);
	NUMBERS(X)
#undef X
	wire_end(out, mark);
}

static int take_bind(const struct wire_field *f, struct launch_spec *out, struct err *err)
{
	const char *p = (const char *)f->data, *end = p + f->len;
	const char *part[3];
	char *stop;
	unsigned long flags;

	if (out->nbinds >= MAX_BINDS)
		return err_set(err, ERR_BAD_REQUEST, "more than %d binds", MAX_BINDS);
	for (int i = 0; i < 3; i++) {
		const char *nul = memchr(p, 0, (size_t)(end - p));

		if (!nul)
			return err_set(err, ERR_BAD_REQUEST, "malformed bind");
		part[i] = p;
		p = nul + 1;
	}
	flags = strtoul(part[0], &stop, 10);
	if (p != end || *stop || flags > BIND_FLAGS)
		return err_set(err, ERR_BAD_REQUEST, "malformed bind");
	launch_spec_bind(out, part[1], part[2], (unsigned)flags);
	return 0;
}

static int take_list(const struct wire_field *f, char ***v, int *n, int max, struct err *err)
{
	if (*n >= max)
		return err_set(err, ERR_BAD_REQUEST,
			       "more than %d arguments, variables or services", max);
	if (memchr(f->data, 0, f->len))
		return err_set(err, ERR_BAD_REQUEST, "NUL byte in an argument or variable");
	push(v, n, wire_get_str(f));
	return 0;
}

static int take_text(const struct wire_field *f, char *out, size_t cap, struct err *err)
{
	if (f->len >= cap || memchr(f->data, 0, f->len))
		return err_set(err, ERR_BAD_REQUEST, "field %u of the launch spec is too long",
			       f->key);
	wire_copy_str(f, out, cap);
	return 0;
}

static void take_owned(const struct wire_field *f, char **out)
{
	free(*out);
	*out = wire_get_str(f);
}

static int take(const struct wire_field *f, struct launch_spec *s, struct err *err)
{
	switch (f->key) {
	case L_ID:
		return take_text(f, s->id, sizeof s->id, err);
	case L_APP_ID:
		return take_text(f, s->app_id, sizeof s->app_id, err);
	case L_INTO:
		return take_text(f, s->into, sizeof s->into, err);
	case L_NAME:
		return take_text(f, s->name, sizeof s->name, err);
	case L_ARGV:
		return take_list(f, &s->argv, &s->argc, MAX_ARGS, err);
	case L_ENV:
		return take_list(f, &s->env, &s->envc, MAX_ENV, err);
	case L_CWD:
		take_owned(f, &s->cwd);
		return 0;
	case L_SLUG:
		take_owned(f, &s->slug);
		return 0;
	case L_RELEASE:
		take_owned(f, &s->release);
		return 0;
	case L_STACK:
		take_owned(f, &s->stack);
		return 0;
	case L_BIND:
		return take_bind(f, s, err);
	case L_REACH:
		return take_list(f, &s->reach, &s->nreach, MAX_REACH, err);
#define X(key, member)                                              \
	case key:                                                   \
		s->member = (__typeof__(s->member))wire_get_u64(f); \
		return 0;
		NUMBERS(X)
#undef X
	default:
		return 0; /* of a newer peer */
	}
}

static int check(const struct launch_spec *s, struct err *err)
{
	if (s->argc < 1)
		return err_set(err, ERR_BAD_REQUEST, "no command");
	if (s->port < 0 || s->port > 65535)
		return err_set(err, ERR_BAD_REQUEST, "port %d is out of range", s->port);
	if (s->address > LAUNCH_ADDRESSES)
		return err_set(err, ERR_BAD_REQUEST, "address %u is out of range", s->address);
	if ((unsigned)s->stdio > LAUNCH_PTY || (unsigned)s->on_detach > LAUNCH_KILL)
		return err_set(err, ERR_BAD_REQUEST, "unknown stdio or detach mode");
	if (s->rows > 4096 || s->cols > 4096)
		return err_set(err, ERR_BAD_REQUEST, "a terminal of %ux%u is too large", s->cols,
			       s->rows);
	return 0;
}

int launch_spec_decode(struct wire_frame *f, struct launch_spec *out, struct err *err)
{
	struct wire_field field;
	int r;

	*out = (struct launch_spec){0};
	while ((r = wire_next(f, &field)) == 1) {
		if (take(&field, out, err) < 0) {
			launch_spec_clear(out);
			return -1;
		}
	}
	if (r < 0)
		err_set(err, ERR_BAD_REQUEST, "malformed launch spec");
	if (r < 0 || check(out, err) < 0) {
		launch_spec_clear(out);
		return -1;
	}
	return 0;
}
