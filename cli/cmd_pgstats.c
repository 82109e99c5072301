/* What databases say of themselves: a table of questions to the catalogs and statistics of
 * PostgreSQL, asked by the local psql through the tunnel. */
#include "cli/pg.h"
#include "cli/table.h"

#include <string.h>

#define USER_TABLES "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
/* pg_stat_statements is in the schema heroku_ext, which is on the search path. */
#define STATEMENTS                                                                        \
	"FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = " \
	"current_database() "

static const struct question {
	const char *command, *sql;
} questions[] = {
	{"pg:ps", "SELECT pid, state, application_name AS source, usename AS username, "
		  "age(clock_timestamp(), xact_start) AS running_for, xact_start AS "
		  "transaction_start, wait_event IS NOT NULL AS waiting, query "
		  "FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' "
		  "AND pid <> pg_backend_pid() ORDER BY query_start DESC"},
	{"pg:ps --verbose",
	 "SELECT pid, state, application_name AS source, usename AS username, "
	 "age(clock_timestamp(), xact_start) AS running_for, xact_start AS transaction_start, "
	 "wait_event IS NOT NULL AS waiting, query FROM pg_stat_activity WHERE datname = "
	 "current_database() AND pid <> pg_backend_pid() ORDER BY query_start DESC"},
	{"pg:locks",
	 "SELECT l.pid, c.relname, l.transactionid, l.mode, l.granted, left(a.query, 60) AS "
	 "query_snippet, age(clock_timestamp(), a.query_start) AS age FROM pg_locks l "
	 "JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation "
	 "WHERE a.datname = current_database() AND l.pid <> pg_backend_pid() AND l.mode IN "
	 "('ExclusiveLock', 'AccessExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock') "
	 "AND l.locktype <> 'virtualxid' ORDER BY a.query_start"},
	{"pg:blocking",
	 "SELECT waiting.pid AS blocked_pid, left(waiting.query, 60) AS blocked_statement, "
	 "age(clock_timestamp(), waiting.query_start) AS blocked_duration, holder.pid AS "
	 "blocking_pid, left(holder.query, 60) AS blocking_statement, age(clock_timestamp(), "
	 "holder.xact_start) AS blocking_duration FROM pg_stat_activity waiting "
	 "CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS b(pid) "
	 "JOIN pg_stat_activity holder ON holder.pid = b.pid "
	 "WHERE waiting.datname = current_database()"},
	{"pg:long-running-queries",
	 "SELECT pid, age(clock_timestamp(), query_start) AS duration, query FROM "
	 "pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND "
	 "pid <> pg_backend_pid() AND query_start < clock_timestamp() - interval '5 minutes' "
	 "ORDER BY query_start"},
	{"pg:cache-hit",
	 "SELECT 'index hit rate' AS name, sum(idx_blks_hit) / nullif(sum(idx_blks_hit + "
	 "idx_blks_read), 0) AS ratio FROM pg_statio_user_indexes UNION ALL SELECT 'table hit "
	 "rate', sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0) FROM "
	 "pg_statio_user_tables"},
	{"pg:index-size",
	 "SELECT c.relname AS name, pg_size_pretty(pg_relation_size(c.oid)) AS size FROM pg_class "
	 "c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'i' AND " USER_TABLES
	 " ORDER BY pg_relation_size(c.oid) DESC"},
	{"pg:total-index-size",
	 "SELECT pg_size_pretty(coalesce(sum(pg_relation_size(c.oid)), 0)::bigint) AS size FROM "
	 "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'i' "
	 "AND " USER_TABLES},
	{"pg:index-usage",
	 "SELECT relname, CASE WHEN coalesce(idx_scan, 0) + seq_scan = 0 THEN 'Insufficient data' "
	 "ELSE (100 * coalesce(idx_scan, 0) / (coalesce(idx_scan, 0) + seq_scan))::text END AS "
	 "percent_of_times_index_used, n_live_tup AS rows_in_table FROM pg_stat_user_tables "
	 "ORDER BY n_live_tup DESC"},
	{"pg:unused-indexes",
	 "SELECT s.schemaname || '.' || s.relname AS table, s.indexrelname AS index, "
	 "pg_size_pretty(pg_relation_size(s.indexrelid)) AS index_size, s.idx_scan AS index_scans "
	 "FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid WHERE NOT "
	 "i.indisunique AND s.idx_scan < 50 AND pg_relation_size(s.relid) > 5 * 8192 "
	 "ORDER BY pg_relation_size(s.indexrelid) / (s.idx_scan + 1) DESC"},
	{"pg:table-size",
	 "SELECT c.relname AS name, pg_size_pretty(pg_table_size(c.oid)) AS size FROM pg_class c "
	 "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND " USER_TABLES
	 " ORDER BY pg_table_size(c.oid) DESC"},
	{"pg:table-indexes-size",
	 "SELECT c.relname AS table, pg_size_pretty(pg_indexes_size(c.oid)) AS index_size FROM "
	 "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
	 "AND " USER_TABLES " ORDER BY pg_indexes_size(c.oid) DESC"},
	{"pg:total-table-size",
	 "SELECT c.relname AS name, pg_size_pretty(pg_total_relation_size(c.oid)) AS size FROM "
	 "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
	 "AND " USER_TABLES " ORDER BY pg_total_relation_size(c.oid) DESC"},
	{"pg:records-rank", "SELECT relname AS name, n_live_tup AS estimated_count FROM "
			    "pg_stat_user_tables ORDER BY n_live_tup DESC"},
	{"pg:seq-scans", "SELECT relname AS name, seq_scan AS count FROM pg_stat_user_tables ORDER "
			 "BY seq_scan DESC"},
	{"pg:vacuum-stats",
	 "SELECT s.schemaname AS schema, s.relname AS table, to_char(s.last_vacuum, 'YYYY-MM-DD "
	 "HH24:MI') AS last_vacuum, to_char(s.last_autovacuum, 'YYYY-MM-DD HH24:MI') AS "
	 "last_autovacuum, s.n_live_tup AS rowcount, s.n_dead_tup AS dead_rowcount, t.v AS "
	 "autovacuum_threshold, s.n_dead_tup > t.v AS expect_autovacuum FROM pg_stat_user_tables s "
	 "CROSS JOIN LATERAL (SELECT current_setting('autovacuum_vacuum_threshold')::bigint + "
	 "(current_setting('autovacuum_vacuum_scale_factor')::numeric * s.n_live_tup)::bigint AS "
	 "v) t ORDER BY 1, 2"},
	/* Pages there are against those that rows of the planner's average width would fill. */
	{"pg:bloat",
	 "SELECT 'table' AS type, n.nspname AS schemaname, c.relname AS object_name, "
	 "round(c.relpages / greatest(w.pages, 1), 1) AS bloat, pg_size_pretty(greatest("
	 "c.relpages - w.pages, 0)::bigint * 8192) AS waste FROM pg_class c JOIN pg_namespace n ON "
	 "n.oid = c.relnamespace CROSS JOIN LATERAL (SELECT ceil(greatest(c.reltuples, 0) * (28 + "
	 "coalesce(sum(a.avg_width * (1 - a.null_frac)), 0)) / 8168)::numeric AS pages FROM "
	 "pg_stats a WHERE a.schemaname = n.nspname AND a.tablename = c.relname) w WHERE c.relkind "
	 "= 'r' AND c.relpages > 0 AND " USER_TABLES
	 " ORDER BY greatest(c.relpages - w.pages, 0) DESC"},
	{"pg:outliers",
	 "SELECT interval '1 millisecond' * s.total_exec_time AS total_exec_time, "
	 "to_char(100 * s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0), "
	 "'FM990D0') || '%' AS prop_exec_time, s.calls, s.query " STATEMENTS
	 "ORDER BY s.total_exec_time DESC LIMIT 10"},
	{"pg:calls",
	 "SELECT s.calls, interval '1 millisecond' * s.total_exec_time AS total_exec_time, "
	 "to_char(100 * s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0), "
	 "'FM990D0') || '%' AS prop_exec_time, s.query " STATEMENTS
	 "ORDER BY s.calls DESC LIMIT 10"},
	{"pg:user-connections",
	 "SELECT usename AS credential, count(*) AS connections FROM pg_stat_activity WHERE "
	 "datname = current_database() GROUP BY usename ORDER BY 2 DESC"},
};

static const char *sql_of(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (strcmp(questions[i].command, command) == 0)
			return questions[i].sql;
	abort();
}

static int ask(struct cli *c, const char *sql, struct err *err)
{
	const char *database = c->args.npos ? c->args.pos[0] : NULL;
	AUTO(auto_str)
	char *as_json =
		xasprintf("SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (%s) q", sql);
	const char *text[] = {"-X", "-q", "-c", sql, NULL};
	const char *json[] = {"-X", "-q", "-t", "-A", "-c", as_json, NULL};

	return cli_pg_psql(c, database, cli_json(c) ? json : text, true, err);
}

static int cmd_ask(struct cli *c, struct err *err)
{
	return ask(c, sql_of(c->cmd->name), err);
}

static int cmd_ps(struct cli *c, struct err *err)
{
	return ask(c, sql_of(cli_opt(&c->args, "verbose") ? "pg:ps --verbose" : "pg:ps"), err);
}

static int cmd_kill(struct cli *c, struct err *err)
{
	const char *pid = c->args.pos[0];
	AUTO(auto_str) char *sql = NULL;
	const char *args[] = {"-X", "-q", "-c", NULL, NULL};

	if (strspn(pid, "0123456789") != strlen(pid) || strlen(pid) > 9)
		return err_set(err, ERR_BAD_REQUEST, "PID is a number: paasctl pg:ps shows them");
	sql = xasprintf("SELECT %s(%s) AS ended",
			cli_opt(&c->args, "force") ? "pg_terminate_backend" : "pg_cancel_backend",
			pid);
	args[3] = sql;
	return cli_pg_psql(c, c->args.npos > 1 ? c->args.pos[1] : NULL, args, true, err);
}

#define DATABASE                                                                              \
	{                                                                                     \
		"DATABASE", COMPLETE_CONFIG, "attachment or add-on; DATABASE_URL by default", \
			false, false                                                          \
	}
#define QUESTION(name_, help_)                                                               \
	{                                                                                    \
		.name = name_, .help = help_, .args = ARGS(DATABASE), .flags = CLI_APP,      \
		.run = cmd_ask, .examples = name_ " -a my-app\n" name_ " REPORTS_URL --json" \
	}

const struct cli_cmd cli_cmds_pgstats[] = {
	{.name = "pg:ps",
	 .help = "show what a database is doing",
	 .args = ARGS(DATABASE),
	 .opts = OPTS(SWITCH('v', "verbose", "idle connections, too")),
	 .flags = CLI_APP,
	 .run = cmd_ps,
	 .examples = "pg:ps -a my-app"},
	{.name = "pg:kill",
	 .help = "cancel a query",
	 .args = ARGS({"PID", COMPLETE_NONE, "its process id, as pg:ps shows it", true, false},
		      DATABASE),
	 .opts = OPTS(SWITCH('f', "force", "end the connection instead")),
	 .flags = CLI_APP | CLI_NO_JSON,
	 .run = cmd_kill,
	 .examples = "pg:kill 4711 -a my-app\npg:kill 4711 --force"},
	QUESTION("pg:locks", "show queries that hold locks"),
	QUESTION("pg:blocking", "show queries that keep others waiting"),
	QUESTION("pg:long-running-queries", "show queries that run for more than five minutes"),
	QUESTION("pg:cache-hit", "show how much is read from memory"),
	QUESTION("pg:index-size", "show the size of indexes"),
	QUESTION("pg:total-index-size", "show the size of all indexes together"),
	QUESTION("pg:index-usage", "show how often tables are read by index"),
	QUESTION("pg:unused-indexes", "show indexes that are hardly used"),
	QUESTION("pg:table-size", "show the size of tables, without indexes"),
	QUESTION("pg:table-indexes-size", "show the size of each table's indexes"),
	QUESTION("pg:total-table-size", "show the size of tables with their indexes"),
	QUESTION("pg:records-rank", "show tables by their number of rows"),
	QUESTION("pg:seq-scans", "show how often tables are read from end to end"),
	QUESTION("pg:vacuum-stats", "show dead rows and when they were cleaned up"),
	QUESTION("pg:bloat", "show space that tables take beyond their rows, by estimate"),
	QUESTION("pg:outliers", "show queries that take the most time in all"),
	QUESTION("pg:calls", "show queries that run the most often"),
	QUESTION("pg:user-connections", "show the number of connections of each credential"),
	{0},
};
