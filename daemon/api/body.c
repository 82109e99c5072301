/* Request bodies: JSON objects, and the fields in them. Complaints name the field. */
#include "daemon/api/api_int.h"

#include <string.h>

/* Text is UTF-8 without NUL: said apart from syntax, as it is about a value, not about the client.
 */
int api_body_parse(const char *data, size_t len, json_t **out, struct err *err)
{
	json_error_t je;

	*out = NULL;
	if (memchr(data, 0, len)) /* jansson passes over these */
		return err_set(err, ERR_INVALID_PARAMS,
			       "The body has a NUL byte: text is UTF-8 without NUL.");
	*out = json_loadb(data, len, JSON_REJECT_DUPLICATES, &je);
	if (*out && json_is_object(*out))
		return 0;
	if (*out) {
		json_decref(*out);
		*out = NULL;
		return err_set(err, ERR_BAD_REQUEST, "The body must be a JSON object.");
	}
	switch (json_error_code(&je)) {
	case json_error_invalid_utf8:
		return err_set(err, ERR_INVALID_PARAMS,
			       "The body has bytes that are not UTF-8 text (line %d, byte %d).",
			       je.line, je.position);
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return err_set(err, ERR_INVALID_PARAMS,
			       "The body has a NUL character (line %d, byte %d): text is UTF-8 "
			       "without NUL.",
			       je.line, je.position);
	default:
		return err_set(err, ERR_BAD_REQUEST, "The body is not valid JSON: %s (line %d).",
			       je.text, je.line);
	}
}

int api_number(const json_t *v, int64_t *out, bool *relative)
{
	const char *s = json_string_value(v);
	char *end;
	size_t sign;

	*relative = false;
	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return 0;
	}
	sign = s && (*s == '+' || *s == '-');
	if (!s || s[sign] < '0' || s[sign] > '9')
		return -1;
	*out = strtoll(s, &end, 10);
	*relative = sign;
	return *end ? -1 : 0;
}
