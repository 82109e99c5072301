/* First line: a path. The rest: a .slugignore. Compared with a slow matcher that tries everything.
 */
#include "daemon/build/slugignore.h"
#include "proto/buf.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Whether pattern (only literals, "?" and "*", no slash) matches the whole of s. */
static bool slow(const char *p, const char *s)
{
	if (!*p)
		return !*s;
	if (*p == '*')
		return slow(p + 1, s) || (*s && slow(p, s + 1));
	return *s && (*p == '?' || *p == *s) && slow(p + 1, s + 1);
}

static bool is_plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr("[]\\/!# \t\r", p[i]) || (p[i] == '*' && i && p[i - 1] == '*'))
			return false;
	return n > 0 && n < 24 && (unsigned char)p[0] != 0xef;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *nl = memchr(data, '\n', len);
	size_t n = nl ? (size_t)(nl - data) : len;
	char *path = xstrndup((const char *)data, n);
	const char *file = nl ? (const char *)nl + 1 : "";
	size_t flen = nl ? len - n - 1 : 0;
	struct slugignore *ig = slugignore_parse(file, flen, NULL, NULL);
	bool hit = slugignore_match(ig, path, false), dir = slugignore_match(ig, path, true);

	assert(!hit || dir);
	if (*path && !strchr(path, '/') && strlen(path) < 24 && flen && !memchr(file, '\n', flen) &&
	    !memchr(file, 0, flen) && is_plain(file, flen)) {
		char *pat = xstrndup(file, flen);

		assert(hit == slow(pat, path));
		free(pat);
	}
	slugignore_free(ig);
	free(path);
	return 0;
}
