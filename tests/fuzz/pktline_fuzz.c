/* The command list of a push and the filter of its text: chunking must not matter. First byte:
 * where to cut. */
#include "daemon/git/band.h"
#include "daemon/git/cmds.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum cmds_state feed(struct push_cmds *c, const char *p, size_t n, size_t *used)
{
	enum cmds_state st = push_cmds_feed(c, p, n, used);

	assert(*used <= n);
	assert(st != CMDS_MORE || *used == n);
	return st;
}

static void commands(const char *p, size_t n, size_t cut)
{
	struct push_cmds whole = {0}, split = {0};
	size_t used_w, used_s = 0, more = 0;
	enum cmds_state st = feed(&whole, p, n, &used_w), st2;

	st2 = feed(&split, p, cut, &used_s);
	if (st2 == CMDS_MORE) {
		st2 = feed(&split, p + cut, n - cut, &more);
		used_s += more;
	}
	assert(st == st2 && used_w == used_s);
	assert(whole.n == split.n && whole.nshallow == split.nshallow && whole.caps == split.caps);
	assert(whole.why == split.why);
	for (size_t i = 0; i < whole.n; i++) {
		assert(!strcmp(whole.cmd[i].ref, split.cmd[i].ref));
		assert(!strcmp(whole.cmd[i].new_id, split.cmd[i].new_id));
		if (git_ref_ok(whole.cmd[i].ref, false)) {
			assert(!strncmp(whole.cmd[i].ref, "refs/", 5));
			assert(!strstr(whole.cmd[i].ref, ".."));
			assert(!strpbrk(whole.cmd[i].ref, " \n\\:"));
		}
	}
	push_cmds_clear(&whole);
	push_cmds_clear(&split);
}

static void text(const char *p, size_t n, size_t cut)
{
	struct band_filter a = {0}, b = {0};
	char *whole = malloc(n + BAND_FILTER_SLACK), *one = malloc(cut + BAND_FILTER_SLACK),
	     *two = malloc(n - cut + BAND_FILTER_SLACK);

	assert(whole && one && two);
	size_t nw = band_filter(&a, p, n, whole);
	size_t n1 = band_filter(&b, p, cut, one), n2 = band_filter(&b, p + cut, n - cut, two);

	assert(nw == n1 + n2 && !memcmp(whole, one, n1) && !memcmp(whole + n1, two, n2));
	for (size_t i = 0; i < nw; i++)
		assert((unsigned char)whole[i] >= 0x20 || strchr("\t\n\r\x1b", whole[i]));
	free(whole);
	free(one);
	free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	size_t n = len - 1, cut = data[0] % n;

	commands((const char *)data + 1, n, cut);
	text((const char *)data + 1, n, cut);
	return 0;
}
