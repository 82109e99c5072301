/* paas-postgres - the verbs of the add-on service heroku-postgresql (docs/addons.md): JSON on
 * stdin, the answer on stdout. Secrets come and go there and over the connection to the server
 * alone. */
#include "postgres/tenant.h"
#include "daemon/core/codec.h"
#include "proto/buf.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define INPUT_MAX (1 << 20)

static const struct {
	const char *name;
	verb_fn *fn;
	bool addon; /* of an add-on, not of the service */
} verbs[] = {
	{"provision", verb_provision, true},
	{"deprovision", verb_deprovision, true},
	{"change", verb_change, true},
	{"rotate", verb_rotate, true},
	{"credentials", verb_credentials, true},
	{"repair", verb_repair, true},
	{"reset", verb_reset, true},
	{"extensions", verb_extensions, true},
	{"sessions", verb_sessions, true},
	{"settings", verb_settings, true},
	{"statistics", verb_statistics, true},
	{"scratch", verb_scratch, true},
	{"info", verb_info, true},
	{"health", verb_health, true},
	{"watch", verb_watch, true},
	{"service", verb_service, false},
	{"snapshot", verb_snapshot, false},
};

static const char *text_at(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int read_server(struct request *q, struct err *err)
{
	const char *address = text_at(q->service, "address");
	const json_t *port = json_object_get(q->service, "port");
	AUTO(PQconninfoFree) PQconninfoOption *parts = NULL;
	char *why = NULL;

	q->server.url = text_at(q->settings, "url");
	q->own_server = !q->server.url;
	if (!q->server.url) {
		snprintf(q->server.host, sizeof q->server.host, "%s", address ? address : "");
		snprintf(q->server.port, sizeof q->server.port, "%d",
			 (int)json_integer_value(port));
		q->server.password = text_at(json_object_get(q->service, "private"), "password");
		return 0;
	}
	parts = PQconninfoParse(q->server.url, &why);
	PQfreemem(why); /* may hold the URL: not shown */
	if (!parts)
		return err_set(err, ERR_INVALID_PARAMS,
			       "The setting url is not a URL of a PostgreSQL server.");
	snprintf(q->server.port, sizeof q->server.port, "5432");
	for (const PQconninfoOption *o = parts; o->keyword; o++) {
		if (strcmp(o->keyword, "host") == 0 && o->val)
			snprintf(q->server.host, sizeof q->server.host, "%s", o->val);
		else if (strcmp(o->keyword, "port") == 0 && o->val)
			snprintf(q->server.port, sizeof q->server.port, "%s", o->val);
	}
	if (!q->server.host[0] || q->server.host[0] == '/')
		return err_set(err, ERR_INVALID_PARAMS,
			       "The setting url needs a host that dynos can reach.");
	return 0;
}

/* Names nobody can foresee, and that come out the same when the verb runs again. */
static int make_tag(struct request *q, struct err *err)
{
	const char *known = text_at(q->private, "tag");
	const char *key = q->server.url ? q->server.url : q->server.password;
	unsigned char mac[32];
	unsigned n = sizeof mac;
	char hex[65];

	if (known && strlen(known) == sizeof q->t.tag - 1) {
		memcpy(q->t.tag, known, sizeof q->t.tag);
		return 0;
	}
	if (!key)
		return err_set(err, ERR_UNAVAILABLE, "There is no database server yet.");
	HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)q->t.uuid,
	     strlen(q->t.uuid), mac, &n);
	hex_encode(mac, sizeof mac, hex);
	memcpy(q->t.tag, hex, sizeof q->t.tag - 1);
	return 0;
}

static int read_tenant(struct request *q, struct err *err)
{
	const char *uuid = text_at(q->addon, "uuid");

	if (!uuid || !*uuid || strlen(uuid) >= sizeof q->t.uuid)
		return err_set(err, ERR_INVALID_PARAMS, "addon.uuid is missing");
	snprintf(q->t.uuid, sizeof q->t.uuid, "%s", uuid);
	if (make_tag(q, err) < 0)
		return -1;
	q->t.generation = (int)json_integer_value(json_object_get(q->private, "generation"));
	snprintf(q->t.db, sizeof q->t.db, "d%s", q->t.tag);
	login_name(&q->t, q->t.generation, q->t.login);
	return 0;
}

static int run(const char *verb, const json_t *in, json_t **out, struct err *err)
{
	struct request q = {.addon = json_object_get(in, "addon"),
			    .service = json_object_get(in, "service"),
			    .settings = json_object_get(in, "settings"),
			    .params = json_object_get(in, "params")};

	q.limits = json_object_get(q.addon, "limits");
	q.private = json_object_get(q.addon, "private");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (read_server(&q, err) < 0 || (verbs[i].addon && read_tenant(&q, err) < 0))
			return -1;
		return verbs[i].fn(&q, out, err);
	}
	return err_set(err, ERR_INVALID_PARAMS, "unknown verb %.40s", verb);
}

static int read_input(struct buf *in)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
		buf_add(in, chunk, n);
		if (in->len > INPUT_MAX)
			return -1;
	}
	return 0;
}

#define EXIT_LATER 75

int main(int argc, char **argv)
{
	AUTO(buf_clear) struct buf text = {0};
	json_auto_t *in = NULL, *out = NULL;
	struct err err = {0};
	int rc;

	if (argc != 2) {
		fputs("Usage: paas-postgres VERB, with JSON on stdin (docs/addons.md)\n", stderr);
		return 2;
	}
	codec_init();
	if (read_input(&text) < 0 || !(in = json_loadb(buf_str(&text), text.len, 0, NULL)))
		err_set(&err, ERR_INVALID_PARAMS, "stdin is not JSON");
	rc = in ? run(argv[1], in, &out, &err) : -1;
	if (strcmp(argv[1], "snapshot") == 0) { /* its stdout is the copy */
		if (rc < 0)
			fprintf(stderr, "%s\n", err.msg);
		return rc == 0 ? 0 : 1;
	}
	if (rc < 0) {
		json_decref(out);
		out = json_pack("{ss}", "message", err.msg);
	}
	if (!out)
		out = json_object();
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	if (rc == 0)
		return 0;
	return err.code == ERR_UNAVAILABLE ? EXIT_LATER : 1;
}
