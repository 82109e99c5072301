#include "cli/netrc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <stdio.h>

#define NETRC_MAX (1024 * 1024)

struct token {
	const char *start, *end; /* quotes included */
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Next word; "#" where a keyword may stand begins a comment. */
static bool next(const char **p, struct token *t, bool keyword)
{
	for (;;) {
		while (blank(**p))
			(*p)++;
		if (!keyword || **p != '#')
			break;
		*p += strcspn(*p, "\n");
	}
	if (!**p)
		return false;
	t->start = *p;
	if (**p == '"') {
		for ((*p)++; **p && **p != '"' && **p != '\n'; (*p)++)
			if (**p == '\\' && (*p)[1])
				(*p)++;
		if (**p == '"')
			(*p)++;
	} else {
		while (**p && !blank(**p))
			(*p)++;
	}
	t->end = *p;
	return true;
}

static bool is(const struct token *t, const char *word)
{
	size_t n = (size_t)(t->end - t->start);

	return n == strlen(word) && memcmp(t->start, word, n) == 0;
}

static char *value(const struct token *t)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *p = t->start, *end = t->end;

	if (*p != '"')
		return xstrndup(p, (size_t)(end - p));
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		buf_addc(&b, *p);
	}
	return buf_steal(&b);
}

struct entry {
	const char *start, *end;      /* from the word "machine" to the end of its last word */
	struct token login, password; /* start NULL when not there */
};

/* The macro's text ends at the first empty line. */
static void skip_macro(const char **p)
{
	const char *end = strstr(*p, "\n\n");

	*p = end ? end + 1 : *p + strlen(*p);
}

static void read_entry(const char **p, struct entry *e)
{
	struct token t, v;
	const char *save;

	for (;;) {
		save = *p;
		if (!next(p, &t, true))
			return;
		if (!is(&t, "login") && !is(&t, "password") && !is(&t, "account")) {
			*p = save;
			return;
		}
		if (!next(p, &v, false))
			return;
		e->end = v.end;
		if (is(&t, "login"))
			e->login = v;
		else if (is(&t, "password"))
			e->password = v;
	}
}

static bool find(const char *text, const char *machine, struct entry *e)
{
	const char *p = text;
	struct token t, name;

	while (next(&p, &t, true)) {
		if (is(&t, "macdef")) {
			skip_macro(&p);
			continue;
		}
		if (!is(&t, "machine") || !next(&p, &name, false))
			continue;
		*e = (struct entry){.start = t.start, .end = name.end};
		read_entry(&p, e);
		if (is(&name, machine))
			return true;
	}
	return false;
}

bool cli_netrc_find(const char *text, const char *machine, char **login, char **password)
{
	struct entry e;

	if (!find(text, machine, &e) || !e.password.start)
		return false;
	*login = e.login.start ? value(&e.login) : xstrdup("");
	*password = value(&e.password);
	return true;
}

static bool says(const char *text, const char *machine, const char *login, const char *password)
{
	AUTO(auto_str) char *l = NULL;
	AUTO(auto_str) char *p = NULL;

	return cli_netrc_find(text, machine, &l, &p) && strcmp(l, login) == 0 &&
	       strcmp(p, password) == 0;
}

/* Text after which an entry can be added: not in the middle of one, nor in a macro. */
static bool ends_whole(const char *text)
{
	const char *p = text;
	struct token t, v;

	while (next(&p, &t, true)) {
		if (is(&t, "macdef") && !strstr(p, "\n\n"))
			return false;
		if (is(&t, "macdef"))
			skip_macro(&p);
		else if (!is(&t, "default") && !next(&p, &v, false))
			return false;
	}
	return true;
}

static void add_entry(struct buf *b, const char *machine, const char *login, const char *password)
{
	buf_addf(b, "machine %s\n  login %s\n  password %s", machine, login, password);
}

char *cli_netrc_with(const char *text, const char *machine, const char *login, const char *password)
{
	AUTO(buf_clear) struct buf b = {0};
	struct entry e;

	if (find(text, machine, &e)) {
		buf_add(&b, text, (size_t)(e.start - text));
		add_entry(&b, machine, login, password);
		buf_adds(&b, *e.end ? e.end : "\n");
	} else if (ends_whole(text)) {
		buf_adds(&b, text);
		if (b.len && b.data[b.len - 1] != '\n')
			buf_addc(&b, '\n');
		add_entry(&b, machine, login, password);
		buf_addc(&b, '\n');
	} else {
		add_entry(&b, machine, login, password);
		buf_addf(&b, "\n%s", text);
	}
	return says(buf_str(&b), machine, login, password) ? buf_steal(&b) : NULL;
}

/* Takes the entry out, and the rest of its lines when nothing else stands on them. */
static char *cut(const char *text, const struct entry *e)
{
	AUTO(buf_clear) struct buf b = {0};
	const char *start = e->start, *end = e->end;
	bool whole_line;

	while (start > text && (start[-1] == ' ' || start[-1] == '\t'))
		start--;
	whole_line = start == text || start[-1] == '\n';
	if (!whole_line)
		start = e->start; /* the blanks part it from what stands before */
	while (*end == ' ' || *end == '\t' || *end == '\r')
		end++;
	if (*end == '\n' && whole_line)
		end++;
	buf_add(&b, text, (size_t)(start - text));
	buf_adds(&b, end);
	return buf_steal(&b);
}

char *cli_netrc_without(const char *text, const char *machine)
{
	char *now = xstrdup(text);
	struct entry e;

	while (find(now, machine, &e)) {
		char *after = cut(now, &e);

		free(now);
		now = after;
	}
	return now;
}

bool cli_netrc_word(const char *s)
{
	if (!*s || *s == '#')
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || *s == '"' || *s == '\\')
			return false;
	return true;
}

static char *file_name(struct err *err)
{
	const char *named = getenv("NETRC"), *home = getenv("HOME");

	if (named && named[0])
		return xstrdup(named);
	if (!home || !home[0]) {
		err_set(err, ERR_IO, "HOME is not set: there is no place for ~/.netrc");
		return NULL;
	}
	return xasprintf("%s/.netrc", home);
}

int cli_netrc_read(char **text, struct err *err)
{
	AUTO(auto_str) char *name = file_name(err);
	AUTO(auto_fd) int fd = -1;
	AUTO(buf_clear) struct buf b = {0};
	char chunk[4096];
	ssize_t n;

	if (!name)
		return -1;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_errno(err, "cannot read %s", name);
	while (fd >= 0 && (n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0)
			return err_errno(err, "cannot read %s", name);
		buf_add(&b, chunk, (size_t)n);
		if (b.len > NETRC_MAX)
			return err_set(err, ERR_IO, "%s is over %d bytes", name, NETRC_MAX);
	}
	if (b.len != strlen(buf_str(&b)))
		return err_set(err, ERR_IO, "%s has a NUL byte: left alone", name);
	*text = buf_steal(&b);
	return 0;
}

static int write_all(int fd, const char *s, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

int cli_netrc_write(const char *text, struct err *err)
{
	AUTO(auto_str) char *name = file_name(err);
	AUTO(auto_str) char *real = name ? realpath(name, NULL) : NULL;
	AUTO(auto_str) char *tmp = NULL;
	AUTO(auto_fd) int fd = -1;

	if (!name)
		return -1;
	tmp = xasprintf("%s.XXXXXX", real ? real : name);
	fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return err_errno(err, "cannot write %s", tmp);
	if (write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0 ||
	    rename(tmp, real ? real : name) < 0) {
		err_errno(err, "cannot write %s", name);
		unlink(tmp);
		return -1;
	}
	return 0;
}
