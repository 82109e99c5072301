/* Any text as a netrc: what was set is found, what was removed is gone, and no edit touches another
 * machine's entry. */
#include "cli/netrc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct entry {
	char *login, *password;
	bool there;
};

static struct entry look(const char *text, const char *machine)
{
	struct entry e = {0};

	e.there = cli_netrc_find(text, machine, &e.login, &e.password);
	return e;
}

static void same(struct entry a, struct entry b)
{
	assert(a.there == b.there);
	if (a.there)
		assert(strcmp(a.login, b.login) == 0 && strcmp(a.password, b.password) == 0);
	free(a.login);
	free(a.password);
	free(b.login);
	free(b.password);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(auto_str) char *text = xstrndup((const char *)data, len);
	AUTO(auto_str) char *with = NULL;
	AUTO(auto_str) char *without = NULL;
	struct entry e;

	if (strlen(text) != len || len > 4096)
		return 0;
	without = cli_netrc_without(text, "h:80");
	e = look(without, "h:80");
	assert(!e.there);
	same(look(text, "other"), look(without, "other"));
	with = cli_netrc_with(text, "h:80", "me@x", "token");
	if (!with)
		return 0;
	same(look(text, "other"), look(with, "other"));
	e = look(with, "h:80");
	assert(e.there && strcmp(e.login, "me@x") == 0 && strcmp(e.password, "token") == 0);
	free(e.login);
	free(e.password);
	return 0;
}
