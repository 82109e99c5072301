#include "daemon/git/cmds.h"

#include "proto/limits.h"

#include <string.h>

static const struct {
	const char *word;
	unsigned cap;
} cap_words[] = {
	{"report-status", CAP_REPORT},	 {"report-status-v2", CAP_REPORT},
	{"side-band-64k", CAP_SIDEBAND}, {"quiet", CAP_QUIET},
	{"atomic", CAP_ATOMIC},
};

static const char object_format[] = "object-format=";

/* Hex of either case to lower; false when it is not 40 digits. */
static bool take_id(const char *s, char out[41])
{
	for (int i = 0; i < 40; i++) {
		char c = s[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		out[i] = c;
	}
	out[40] = 0;
	return true;
}

static const char *take_cap(struct push_cmds *c, const char *word, size_t n)
{
	size_t fmt = sizeof(object_format) - 1;

	for (size_t i = 0; i < ARRAY_LEN(cap_words); i++) {
		if (strlen(cap_words[i].word) == n && !memcmp(cap_words[i].word, word, n))
			c->caps |= cap_words[i].cap;
	}
	if (n > fmt && !memcmp(word, object_format, fmt) &&
	    !(n == fmt + 4 && !memcmp(word + fmt, "sha1", 4)))
		return "unsupported object format: this repository uses sha1";
	return NULL;
}

static const char *take_caps(struct push_cmds *c, const char *p, size_t n)
{
	while (n) {
		const char *sp = memchr(p, ' ', n);
		size_t len = sp ? (size_t)(sp - p) : n;
		const char *why = len ? take_cap(c, p, len) : NULL;

		if (why)
			return why;
		p += len + (sp ? 1 : 0);
		n -= len + (sp ? 1 : 0);
	}
	return NULL;
}

static const char *take_shallow(struct push_cmds *c, const char *p, size_t n)
{
	if (n != 40)
		return "bad shallow line";
	if (c->nshallow >= LIM_GIT_SHALLOW)
		return "too many shallow lines";
	if (c->nshallow == c->shallow_cap) {
		c->shallow_cap = c->shallow_cap ? c->shallow_cap * 2 : 16;
		c->shallow = xrealloc(c->shallow, c->shallow_cap * sizeof(*c->shallow));
	}
	if (!take_id(p, c->shallow[c->nshallow]))
		return "bad shallow line";
	c->nshallow++;
	return NULL;
}

static const char *take_command(struct push_cmds *c, const char *p, size_t n)
{
	const char *nul = memchr(p, 0, n);
	size_t len = nul ? (size_t)(nul - p) : n;
	struct push_cmd cmd = {0};

	if (len < 83 || p[40] != ' ' || p[81] != ' ' || !take_id(p, cmd.old_id) ||
	    !take_id(p + 41, cmd.new_id))
		return "expected old/new/ref";
	if (len - 82 > LIM_GIT_REF_NAME)
		return "reference name too long";
	if (nul && c->n == 0 && !c->too_many) {
		const char *why = take_caps(c, nul + 1, n - len - 1);

		if (why)
			return why;
	}
	if (c->n == LIM_GIT_COMMANDS) {
		c->too_many = true;
		return NULL;
	}
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 4;
		c->cmd = xrealloc(c->cmd, c->cap * sizeof(*c->cmd));
	}
	cmd.ref = xstrndup(p + 82, len - 82);
	c->cmd[c->n++] = cmd;
	return NULL;
}

static const char *take_line(struct push_cmds *c, const char *p, size_t n)
{
	if (n && p[n - 1] == '\n')
		n--;
	if (n >= 8 && !memcmp(p, "shallow ", 8))
		return take_shallow(c, p + 8, n - 8);
	if (n >= 9 && !memcmp(p, "push-cert", 9))
		return "signed pushes are not supported";
	return take_command(c, p, n);
}

enum cmds_state push_cmds_feed(struct push_cmds *c, const char *in, size_t n, size_t *used)
{
	*used = 0;
	while (!c->why && !c->done) {
		size_t took = 0;

		switch (pkt_feed(&c->rd, in + *used, n - *used, &took)) {
		case PKT_MORE:
			*used += took;
			return CMDS_MORE;
		case PKT_LINE:
			c->why = take_line(c, buf_str(&c->rd.line), c->rd.line.len);
			break;
		case PKT_FLUSH:
			c->done = true;
			break;
		case PKT_BAD:
			c->why = c->rd.why;
			break;
		}
		*used += took;
	}
	return c->why ? CMDS_BAD : CMDS_DONE;
}

void push_cmds_clear(struct push_cmds *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->cmd[i].ref);
	free(c->cmd);
	free(c->shallow);
	pkt_reader_clear(&c->rd);
	*c = (struct push_cmds){0};
}

bool push_cmd_deletes(const struct push_cmd *c)
{
	return !strcmp(c->new_id, GIT_ZERO_ID);
}

bool push_cmd_creates(const struct push_cmd *c)
{
	return !strcmp(c->old_id, GIT_ZERO_ID) && !push_cmd_deletes(c);
}

bool push_cmds_pack_follows(const struct push_cmds *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!push_cmd_deletes(&c->cmd[i]))
			return true;
	}
	return false;
}

/* One part between slashes. */
static bool part_ok(const char *p, size_t n)
{
	if (n == 0 || p[0] == '.' || (n >= 5 && !memcmp(p + n - 5, ".lock", 5)))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < 0x20 || c == 0x7f || strchr(" ~^:?*[\\", c))
			return false;
		if (i + 1 < n && ((c == '.' && p[i + 1] == '.') || (c == '@' && p[i + 1] == '{')))
			return false;
	}
	return true;
}

bool git_ref_ok(const char *ref, bool deletes)
{
	size_t n = strlen(ref), parts = 0;

	if (strncmp(ref, "refs/", 5) != 0 || n > LIM_GIT_REF_NAME || ref[n - 1] == '.')
		return false;
	for (const char *p = ref + 5;; parts++) {
		const char *slash = strchr(p, '/');
		size_t len = slash ? (size_t)(slash - p) : strlen(p);

		if (!part_ok(p, len))
			return false;
		if (!slash)
			break;
		p = slash + 1;
	}
	return deletes || parts >= 1;
}

bool git_ref_deploys(const char *ref)
{
	return !strcmp(ref, "refs/heads/main") || !strcmp(ref, "refs/heads/master");
}
