/* Whatever a partner answers, or sends as lines for an app's log. First byte: bit 7 set = lines;
 * else which verb and status. What comes through is what the rest may rely on: known members only,
 * config vars of the manifest, texts without control characters; lines inside the body. */
#include "daemon/addon/loginput.h"
#include "daemon/addon/partner.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

static const char *const verbs[] = {"provision", "change", "deprovision"};
static const int statuses[] = {200, 201, 202, 204, 302, 410, 422, 503, 500, 404};

static struct manifest *acme(void)
{
	static const char text[] = "name: acme\nprefix: ACME\nconfig_vars: [URL, KEY, \"\"]\n"
				   "plans: [{name: basic}]\n"
				   "partner: {base_url: \"https://a.example/r\"}\n";
	static struct manifest *m;
	struct err err = {0};

	if (!m && manifest_parse("f.yml", text, strlen(text), &m, &err) < 0)
		abort();
	return m;
}

static void check_known(const struct manifest *m, const json_t *out)
{
	const json_t *message = json_object_get(out, "message");
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)out, name, v)
		assert(strcmp(name, "id") == 0 || strcmp(name, "message") == 0 ||
		       strcmp(name, "config") == 0 || strcmp(name, "log_drain_url") == 0);
	for (const char *c = json_string_value(message); c && *c; c++)
		assert((unsigned char)*c >= 0x20);
	json_object_foreach(json_object_get(out, "config"), name, v)
		assert(answer_has_var(m, name) && !json_is_null(v));
}

static void answers(unsigned which, const char *text, size_t n)
{
	const struct manifest *m = acme();
	AUTO(json_decref) json_t *out = NULL;
	AUTO(answer_clear) struct answer an = {0};
	struct err err = {0};
	enum outcome o = partner_judge(m, verbs[which % ARRAY_LEN(verbs)],
				       statuses[which / ARRAY_LEN(verbs) % ARRAY_LEN(statuses)],
				       text, n, &out, &err);

	assert(json_is_object(out));
	assert(o == OUT_DONE || err.msg[0]);
	check_known(m, out);
	if (o == OUT_DONE && answer_read(m, out, false, &an, &err) == 0 && an.id)
		assert(*an.id && strlen(an.id) <= 255);
}

static void lines(const char *body, size_t n)
{
	struct loginput l;
	size_t at = 0, before = 0;

	while (loginput_next(body, n, &at, &l) == 1) {
		assert(at > before && at <= n);
		assert(l.text >= body && l.text + l.len <= body + at);
		assert(strlen(l.proc) < sizeof l.proc && !strpbrk(l.proc, " \n\r\t<>"));
		before = at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(auto_str) char *text = NULL;

	if (size < 1)
		return 0;
	text = xcalloc(1, size); /* of the body and a NUL, as buffers have it */
	memcpy(text, data + 1, size - 1);
	if (data[0] & 0x80)
		lines(text, size - 1);
	else
		answers(data[0], text, size - 1);
	return 0;
}
