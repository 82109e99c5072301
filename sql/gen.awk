# Turns sql/migrations/NNNN_name.sql and sql/queries/*.sql into sql_table.h (out=h) and
# sql_table.c (out=c): an enum of statement ids, the statements' texts, the migrations' texts.
# A query file holds statements, each after a line "-- name: some_name"; other "--" lines are prose.
function cstr(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return "\"" s "\\n\"" }
FNR == 1 {
	is_mig = (FILENAME ~ /\/migrations\//)
	if (is_mig) { f = FILENAME; sub(/.*\//, "", f); mig[++nm] = f; cur = "" }
	else cur = ""
}
is_mig { mtext[nm] = mtext[nm] "\t" cstr($0) "\n"; next }
/^-- name:/ {
	cur = $3
	if (cur in seen) { print FILENAME ": statement " cur " twice" > "/dev/stderr"; exit 1 }
	seen[cur] = 1; name[++nq] = cur; next
}
/^[ \t]*--/ || /^[ \t]*$/ { next }
cur != "" { qtext[nq] = qtext[nq] "\t\t" cstr($0) "\n" }
END {
	print "/* Generated from sql/. */"
	if (out == "h") {
		print "#ifndef SQL_TABLE_H\n#define SQL_TABLE_H\n"
		print "enum sql_id {"
		for (i = 1; i <= nq; i++) print "\tSQL_" toupper(name[i]) ","
		print "\tSQL_COUNT\n};\n"
		print "struct sql_migration {\n\tconst char *name; /* file name */\n\tconst char *text;\n};\n"
		print "extern const char *const sql_names[];\nextern const char *const sql_texts[];"
		print "extern const struct sql_migration sql_migrations[];\nextern const int sql_migration_count;\n"
		print "#endif"
	} else {
		print "#include \"sql_table.h\"\n"
		print "const char *const sql_names[SQL_COUNT + 1] = {"
		for (i = 1; i <= nq; i++) print "\t\"" name[i] "\","
		print "\t0,\n};\n"
		print "const char *const sql_texts[SQL_COUNT + 1] = {"
		for (i = 1; i <= nq; i++) print qtext[i] "\t\t,"
		print "\t0,\n};\n"
		print "const struct sql_migration sql_migrations[] = {"
		for (i = 1; i <= nm; i++) print "\t{ \"" mig[i] "\",\n" mtext[i] "\t},"
		print "};\nconst int sql_migration_count = " nm ";"
	}
}
