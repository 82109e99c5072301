# Turns a text file into a C string:  awk -v name=api_schema_text -f proto/embed.awk FILE
BEGIN { print "/* Generated. */\nextern const char " name "[];\nconst char " name "[] =" }
{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); print "\t\"" $0 "\\n\"" }
END { print "\t\"\";" }
