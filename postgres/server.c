#include "postgres/server.h"
#include "proto/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_S "10"
/* Statements of ours are short; what waits for a lock of a tenant's gives way. */
#define SESSION                                                                             \
	"-c statement_timeout=45s -c lock_timeout=5s -c default_transaction_read_only=off " \
	"-c client_min_messages=error -c search_path=pg_catalog"

/* One line of what the server said, without its "ERROR:  ". */
static void first_line(const char *text, char *out, size_t n)
{
	const char *p = text ? text : "";
	const char *after = strstr(p, ":  ");
	size_t len;

	if (after && after < p + strcspn(p, "\n"))
		p = after + 3;
	len = strcspn(p, "\n");
	snprintf(out, n, "%.*s", (int)(len < n ? len : n - 1), p);
}

static int conn_error(PGconn *c, struct err *err)
{
	char text[200];

	first_line(PQerrorMessage(c), text, sizeof text);
	return err_set(err, ERR_UNAVAILABLE, "The database server does not answer: %s", text);
}

int pgs_connect(const struct pgs *s, const char *database, PGconn **out, struct err *err)
{
	const char *keys[12], *values[12];
	PGconn *c;
	int n = 0;

#define ADD(k, v) (keys[n] = (k), values[n++] = (v))
	/* A later one wins over the URL's. */
	if (s->url) {
		ADD("dbname", s->url);
		if (database)
			ADD("dbname", database);
	} else {
		ADD("host", s->host);
		ADD("port", s->port);
		ADD("user", PGS_ADMIN);
		ADD("password", s->password);
		ADD("dbname", database ? database : "postgres");
	}
	ADD("connect_timeout", CONNECT_S);
	ADD("application_name", "paasd");
	ADD("options", SESSION);
	ADD("client_encoding", "UTF8");
#undef ADD
	keys[n] = values[n] = NULL;
	c = PQconnectdbParams(keys, values, 1);
	if (!c)
		return err_set(err, ERR_UNAVAILABLE, "out of memory");
	if (PQstatus(c) != CONNECTION_OK) {
		conn_error(c, err);
		PQfinish(c);
		return -1;
	}
	*out = c;
	return 0;
}

static int build(PGconn *c, struct buf *out, struct err *err, const char *fmt, va_list ap)
{
	for (const char *p = fmt; *p; p++) {
		const char *v;
		char *quoted;

		if (*p != '%') {
			buf_addc(out, *p);
			continue;
		}
		switch (*++p) {
		case 'd':
			buf_addf(out, "%lld", va_arg(ap, long long));
			break;
		case 's':
			buf_adds(out, va_arg(ap, const char *));
			break;
		case '%':
			buf_addc(out, '%');
			break;
		case 'I':
		case 'L':
			v = va_arg(ap, const char *);
			quoted = *p == 'I' ? PQescapeIdentifier(c, v, strlen(v))
					   : PQescapeLiteral(c, v, strlen(v));
			if (!quoted)
				return conn_error(c, err);
			buf_adds(out, quoted);
			PQfreemem(quoted);
			break;
		default:
			abort();
		}
	}
	return 0;
}

/* By SQLSTATE. */
static int sql_error(PGconn *c, const PGresult *r, struct err *err)
{
	static const char *const passing[] = {"08", "40", "53", "55", "57", "58"};
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	char text[200];

	if (PQstatus(c) != CONNECTION_OK || !state)
		return conn_error(c, err);
	first_line(PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY), text, sizeof text);
	if (strcmp(state, "53100") == 0)
		return err_set(err, ERR_DISK_FULL, "The disk of the database server is full.");
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (strncmp(state, passing[i], 2) == 0)
			return err_set(err, ERR_UNAVAILABLE, "The database server says: %s", text);
	return err_set(err, ERR_INVALID_PARAMS, "The database server refuses: %s", text);
}

static int vquery(PGconn *c, PGresult **out, struct err *err, const char *fmt, va_list ap)
{
	AUTO(buf_clear) struct buf sql = {0};
	AUTO(PQclear) PGresult *r = NULL;

	if (build(c, &sql, err, fmt, ap) < 0)
		return -1;
	r = PQexec(c, buf_str(&sql));
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		*out = STEAL(r);
		return 0;
	default:
		return sql_error(c, r, err);
	}
}

int pgs_query(PGconn *c, PGresult **out, struct err *err, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vquery(c, out, err, fmt, ap);
	va_end(ap);
	return rc;
}

int pgs_exec(PGconn *c, struct err *err, const char *fmt, ...)
{
	AUTO(PQclear) PGresult *r = NULL;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vquery(c, &r, err, fmt, ap);
	va_end(ap);
	return rc;
}

void pgs_try(PGconn *c, const char *fmt, ...)
{
	AUTO(PQclear) PGresult *r = NULL;
	struct err e = {0};
	va_list ap;

	va_start(ap, fmt);
	vquery(c, &r, &e, fmt, ap);
	va_end(ap);
}

/* The first column of the first row into *r, which keeps it; NULL when there is none. */
static int first_value(PGconn *c, PGresult **r, const char **out, struct err *err, const char *fmt,
		       va_list ap)
{
	if (vquery(c, r, err, fmt, ap) < 0)
		return -1;
	*out = PQntuples(*r) && !PQgetisnull(*r, 0, 0) ? PQgetvalue(*r, 0, 0) : NULL;
	return 0;
}

int pgs_text(PGconn *c, char **out, struct err *err, const char *fmt, ...)
{
	AUTO(PQclear) PGresult *r = NULL;
	const char *v = NULL;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = first_value(c, &r, &v, err, fmt, ap);
	va_end(ap);
	*out = v ? xstrdup(v) : NULL;
	return rc;
}

int pgs_number(PGconn *c, long long *out, struct err *err, const char *fmt, ...)
{
	AUTO(PQclear) PGresult *r = NULL;
	const char *v = NULL;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = first_value(c, &r, &v, err, fmt, ap);
	va_end(ap);
	*out = v ? strtoll(v, NULL, 10) : 0;
	return rc;
}

int pgs_password(PGconn *c, const char *role, const char *password, struct err *err)
{
	char *verifier = PQencryptPasswordConn(c, password, role, "scram-sha-256");
	int rc;

	if (!verifier)
		return conn_error(c, err);
	rc = pgs_exec(c, err, "ALTER ROLE %I LOGIN PASSWORD %L VALID UNTIL 'infinity'", role,
		      verifier);
	PQfreemem(verifier);
	return rc;
}

int pgs_lock(PGconn *c, const char *what, struct err *err)
{
	return pgs_exec(c, err, "SELECT pg_advisory_lock(hashtextextended(%L, 0))", what);
}
