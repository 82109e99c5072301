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

int api_known(const json_t *of, const char *const *fields, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)of, key, v)
	{
		bool ok = false;

		for (const char *const *f = fields; *f && !ok; f++)
			ok = strcmp(*f, key) == 0;
		if (!ok)
			return err_set(err, ERR_INVALID_PARAMS, "Unknown parameter: %.80s.", key);
	}
	return 0;
}

int api_str(struct api_req *q, const char *field, bool required, const char **out, struct err *err)
{
	json_t *v = json_object_get(q->body, field);

	*out = NULL;
	if (!v || json_is_null(v))
		return required ? err_set(err, ERR_INVALID_PARAMS,
					  "Missing required parameter: %s.", field)
				: 0;
	if (!json_is_string(v))
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be a string.", field);
	*out = json_string_value(v);
	return 0;
}

int api_line(struct api_req *q, const char *field, bool required, size_t max, const char **out,
	     struct err *err)
{
	if (api_str(q, field, required, out, err) < 0)
		return -1;
	if (!*out)
		return 0;
	if (strlen(*out) > max)
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s has at most %zu characters.",
			       field, max);
	for (const unsigned char *s = (const unsigned char *)*out; *s; s++)
		if (*s < 0x20 || *s == 0x7f)
			return err_set(err, ERR_INVALID_PARAMS,
				       "Parameter %s must be one line without control characters.",
				       field);
	return 0;
}

int api_bool(struct api_req *q, const char *field, int *out, struct err *err)
{
	json_t *v = json_object_get(q->body, field);

	*out = -1;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_boolean(v))
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be true or false.",
			       field);
	*out = json_is_true(v);
	return 0;
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

int api_int(struct api_req *q, const char *field, int64_t min, int64_t max, int64_t *out,
	    bool *given, struct err *err)
{
	json_t *v = json_object_get(q->body, field);
	bool relative;
	int64_t n;

	*given = false;
	if (!v || json_is_null(v))
		return 0;
	if (api_number(v, &n, &relative) < 0)
		return err_set(err, ERR_INVALID_PARAMS, "Parameter %s must be an integer.", field);
	if (n < min || n > max)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Parameter %s must be between %lld and %lld.", field, (long long)min,
			       (long long)max);
	*out = n;
	*given = true;
	return 0;
}
