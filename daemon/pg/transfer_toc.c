#include "daemon/pg/transfer_toc.h"

#include <string.h>

const char toc_known_query[] =
	"SELECT 'EXTENSION - ' || name FROM pg_available_extension_versions\n"
	"WHERE trusted OR NOT superuser\n"
	"UNION SELECT 'EXTENSION - ' || extname FROM pg_extension\n"
	"UNION SELECT 'SCHEMA - ' || nspname FROM pg_namespace;\n";

/* "KIND SCHEMA NAME" of an entry, which its owner follows, is one of the lines. */
static bool has_line(const char *lines, const char *e)
{
	for (const char *s = lines; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		size_t n = strcspn(s, "\n");

		if (n && strncmp(e, s, n) == 0 && strchr(" \n", e[n]))
			return true;
	}
	return false;
}

/* What is never restored; each is matched against "KIND SCHEMA NAME OWNER". */
static const char *const never[] = {
	"EVENT TRIGGER ",      "COMMENT - EXTENSION ", "COMMENT - EVENT TRIGGER ",
	"COMMENT - DATABASE ", "DATABASE PROPERTIES ",
};
/* Not worth a word: every dump of some servers has it, and nothing is lost. */
static const char *const silent[] = {"COMMENT - EXTENSION ", "COMMENT - DATABASE ", "SCHEMA - ",
				     "COMMENT - SCHEMA "};

static bool begins(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(s, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* After "ID; TABLEOID OID ". NULL: a comment or something else. */
static const char *entry(const char *line)
{
	size_t n = strspn(line, "0123456789");
	const char *s = line + n;

	if (!n || *s != ';')
		return NULL;
	s++;
	for (int i = 0; i < 2; i++) {
		s += strspn(s, " ");
		n = strspn(s, "0123456789");
		if (!n)
			return NULL;
		s += n;
	}
	return *s == ' ' ? s + 1 : NULL;
}

/* An extension only if it may be made; a schema, or a comment on one, only if it is not there yet.
 */
static bool wanted(const char *e, const char *known)
{
	static const char comment[] = "COMMENT - SCHEMA ";
	AUTO(auto_str) char *schema = NULL;

	if (begins(e, never, ARRAY_LEN(never)))
		return false;
	if (strncmp(e, "EXTENSION - ", 12) == 0)
		return has_line(known, e);
	if (strncmp(e, "SCHEMA - ", 9) == 0)
		return !has_line(known, e);
	if (strncmp(e, comment, sizeof comment - 1) != 0)
		return true;
	schema = xasprintf("SCHEMA - %.300s", e + sizeof comment - 1);
	return !has_line(known, schema);
}

void toc_filter(const char *toc, const char *known, struct buf *list, struct buf *left)
{
	for (const char *line = toc; *line;) {
		size_t n = strcspn(line, "\n");
		const char *e = entry(line);

		if (e && e < line + n) {
			if (wanted(e, known)) {
				buf_add(list, line, n);
				buf_addc(list, '\n');
			} else if (!begins(e, silent, ARRAY_LEN(silent))) {
				buf_add(left, e, n - (size_t)(e - line));
				buf_addc(left, '\n');
			}
		}
		line += n + (line[n] == '\n');
	}
}

static const char word[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

int toc_extensions_sql(const char *list, struct buf *sql, struct err *err)
{
	for (const char *s = list; *s;) {
		size_t n = strspn(s, word), m = 0;

		if (n && s[n] == '.')
			m = strspn(s + n + 1, word);
		if (n == 0 || n > 63 || m > 63 || (s[n] == '.' && m == 0) ||
		    (s[n + m + (m > 0)] && s[n + m + (m > 0)] != ','))
			return err_set(err, ERR_INVALID_PARAMS,
				       "Extensions are named as hstore or myschema.hstore.");
		if (m) {
			buf_addf(sql, "CREATE SCHEMA IF NOT EXISTS \"%.*s\";\n", (int)n, s);
			buf_addf(sql,
				 "CREATE EXTENSION IF NOT EXISTS \"%.*s\" WITH SCHEMA \"%.*s\";\n",
				 (int)m, s + n + 1, (int)n, s);
			s += n + 1 + m;
		} else {
			buf_addf(sql, "CREATE EXTENSION IF NOT EXISTS \"%.*s\";\n", (int)n, s);
			s += n;
		}
		s += *s == ',';
	}
	return 0;
}
