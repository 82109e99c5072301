#include "daemon/pg/transfer_digest.h"

#include <string.h>

/* clang-format off */
const char digest_settings[] =
	"SET client_min_messages = error;\n"
	"SET search_path = pg_catalog;\n"
	"SET statement_timeout = 0;\n"
	"SET lock_timeout = '60s';\n"
	"SET idle_in_transaction_session_timeout = 0;\n"
	"SET row_security = off;\n"
	"SET TimeZone = 'UTC';\n"
	"SET DateStyle = 'ISO, MDY';\n"
	"SET IntervalStyle = 'postgres';\n"
	"SET extra_float_digits = 3;\n"
	"SET bytea_output = 'hex';\n"
	"SET lc_monetary = 'C';\n"
	"SET xmloption = 'content';\n"
	"SET quote_all_identifiers = off;\n";

/* What users make: neither the system's, nor other sessions' temporary things, nor an extension's,
 * which comes with the extension. */
#define OWN(class_, oid_)                                                                       \
	"n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT"      \
	" FROM pg_depend e WHERE e.classid = '" class_ "'::regclass AND e.objid = " oid_        \
	" AND e.deptype = 'e')\n"
#define NAME(name_) "(quote_ident(n.nspname) || '.' || quote_ident(" name_ ")) COLLATE \"C\""
#define IDENT(name_) "quote_ident(" name_ ") COLLATE \"C\""
#define IN_SPACE(of_) "JOIN pg_namespace n ON n.oid = " of_ "\n"

const char digest_locks[] =
	"SELECT format('LOCK TABLE ONLY %I.%I IN ACCESS SHARE MODE', n.nspname, c.relname)\n"
	"FROM pg_class c " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid") " AND c.relkind IN ('r', 'p') ORDER BY c.oid\n"
	"\\gexec\n";

const char digest_query[] =
	"SELECT 'column', " NAME("c.relname") ", c.relkind, " IDENT("a.attname") ",\n"
	"	format_type(a.atttypid, a.atttypmod), a.attnotnull\n"
	"FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid")
	"	AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped\n"
	"ORDER BY 2, 4;\n"

	"SELECT 'constraint', " NAME("c.relname") ", " IDENT("k.conname") ", k.contype, k.convalidated\n"
	"FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid")
	"	AND k.conparentid = 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x')\n"
	"ORDER BY 2, 3;\n"

	"SELECT 'index', " NAME("c.relname") ", i.indisunique\n"
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid\n"
	"	JOIN pg_class t ON t.oid = i.indrelid " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "t.oid") " AND i.indisvalid AND t.relkind IN ('r', 'm')\n"
	"ORDER BY 2;\n"

	"SELECT 'trigger', " NAME("c.relname") ", " IDENT("g.tgname") ", g.tgenabled\n"
	"FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid") " AND NOT g.tgisinternal\n"
	"ORDER BY 2, 3;\n"

	/* Without those that come with a type, of a range. */
	"SELECT 'function', " NAME("p.proname") ",\n"
	"	pg_get_function_identity_arguments(p.oid) COLLATE \"C\", p.prokind, md5(p.prosrc)\n"
	"FROM pg_proc p " IN_SPACE("p.pronamespace")
	"WHERE " OWN("pg_proc", "p.oid")
	"	AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass\n"
	"		AND i.objid = p.oid AND i.deptype = 'i')\n"
	"ORDER BY 2, 3;\n"

	"SELECT 'sequence', " NAME("c.relname") "\n"
	"FROM pg_class c " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid") " AND c.relkind = 'S'\n"
	"ORDER BY 2;\n"

	"SELECT 'enum', " NAME("t.typname") ",\n"
	"	string_agg(quote_literal(v.enumlabel), ',' ORDER BY v.enumsortorder)\n"
	"FROM pg_enum v JOIN pg_type t ON t.oid = v.enumtypid " IN_SPACE("t.typnamespace")
	"WHERE " OWN("pg_type", "t.oid") "GROUP BY n.nspname, t.typname ORDER BY 2;\n"

	/* By the columns' names: an heir's order is another one after a restore. A sum does not know
	 * the order of rows. */
	"SELECT format('SELECT ''rows'', %L, count(*), coalesce(sum(hashtextextended('\n"
	"	'ROW(%s)::text COLLATE \"C\", 0)::numeric), 0) FROM ONLY %I.%I AS r_', " NAME("c.relname") ",\n"
	"	coalesce((SELECT string_agg(format('r_.%I', a.attname), ', ' ORDER BY a.attname COLLATE \"C\")\n"
	"		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), ''),\n"
	"	n.nspname, c.relname)\n"
	"FROM pg_class c " IN_SPACE("c.relnamespace")
	"WHERE " OWN("pg_class", "c.oid") " AND c.relkind = 'r'\n"
	"ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"\n"
	"\\gexec\n"

	"SELECT 'large objects', count(*),\n"
	"	coalesce(sum(hashtextextended(l.oid::text || md5(lo_get(l.oid)) COLLATE \"C\", 0)::numeric), 0)\n"
	"FROM pg_largeobject_metadata l;\n";
/* clang-format on */

static size_t line_len(const char *s)
{
	return strcspn(s, "\n");
}

void digest_difference(const char *want, const char *got, struct buf *out)
{
	size_t n = line_len(want), m = line_len(got);

	while (*want && n == m && memcmp(want, got, n) == 0) {
		want += n + (want[n] == '\n');
		got += n + (got[n] == '\n');
		n = line_len(want);
		m = line_len(got);
	}
	if (*want || *got)
		buf_addf(out, "expected \"%.*s\", found \"%.*s\"", (int)(n < 120 ? n : 120), want,
			 (int)(m < 120 ? m : 120), got);
}
