/* What partners say, and what is said of people to them. */
#include "daemon/addon/partner.h"

#include <openssl/evp.h>
#include <stdio.h>

/* --- config vars --- */

const char *partner_suffix(const struct manifest *m, const char *name)
{
	size_t n = strlen(m->s.prefix);
	const char *suffix = NULL;

	if (strncmp(name, m->s.prefix, n) == 0 && (!name[n] || name[n] == '_'))
		suffix = name[n] ? name + n + 1 : name + n;
	if (suffix && answer_has_var(m, suffix))
		return suffix;
	return answer_has_var(m, name) ? name : NULL;
}

json_t *partner_names(const struct manifest *m, const json_t *config)
{
	json_t *out = json_object(), *v;
	const char *suffix;

	json_object_foreach((json_t *)(uintptr_t)config, suffix, v)
	{
		AUTO(auto_str) char *name = store_addon_var(m->s.prefix, suffix);

		json_object_set(out, name, v);
	}
	return out;
}

static int take_config(const struct manifest *m, const json_t *from, json_t *out, struct err *err)
{
	AUTO(json_decref) json_t *config = json_object();
	const char *name, *suffix;
	json_t *v;

	if (!from || json_is_null(from))
		return 0;
	if (!json_is_object(from))
		return err_set(err, ERR_UNAVAILABLE, "%s: its config is no object", m->s.name);
	json_object_foreach((json_t *)(uintptr_t)from, name, v)
	{
		if (json_is_null(v))
			continue;
		suffix = partner_suffix(m, name);
		if (!suffix)
			return err_set(err, ERR_UNAVAILABLE,
				       "%s: its config has %.60s, which the manifest does not name",
				       m->s.name, name);
		json_object_set(config, suffix, v);
	}
	json_object_set(out, "config", config);
	return 0;
}

/* --- answers --- */

static int take_id(const struct manifest *m, json_t *id, json_t *out, struct err *err)
{
	if (!id || json_is_null(id))
		return 0;
	if (!json_is_integer(id) &&
	    !(json_is_string(id) && json_string_length(id) > 0 && json_string_length(id) <= 255 &&
	      strlen(json_string_value(id)) == json_string_length(id)))
		return err_set(err, ERR_UNAVAILABLE, "%s: its id is no number and no usable text",
			       m->s.name);
	return json_object_set(out, "id", id);
}

/* Whatever else an answer has is passed over: partners may say more than we know. */
static int take_known(const struct manifest *m, const json_t *j, json_t *out, struct err *err)
{
	AUTO(auto_str) char *message = answer_message(j);
	json_t *url = json_object_get(j, "log_drain_url");

	if (message)
		json_object_set_new(out, "message", json_string(message));
	if (json_is_string(url) && *json_string_value(url))
		json_object_set(out, "log_drain_url", url);
	if (take_id(m, json_object_get(j, "id"), out, err) < 0)
		return -1;
	return take_config(m, json_object_get(j, "config"), out, err);
}

static const char *message_of(const json_t *j, const char *usual)
{
	const char *text = json_string_value(json_object_get(j, "message"));

	return text ? text : usual;
}

/* Deprovision has no 422 and no way back: it is asked again until it is done. */
static enum outcome judge_removal(const struct manifest *m, int status, const json_t *j,
				  struct err *err)
{
	if (status == 404 || status == 410 || (status >= 200 && status < 300 && status != 202))
		return OUT_DONE;
	err_set(err, ERR_UNAVAILABLE, "%s: deprovision was answered %d: %.200s", m->s.name, status,
		message_of(j, status == 202 ? "it is under way" : "no reason given"));
	return status == 202 ? OUT_LATER : OUT_FAULT;
}

static enum outcome judge_status(const struct manifest *m, const char *verb, int status,
				 const json_t *j, struct err *err)
{
	switch (status) {
	case 200:
	case 201:
	case 204:
		return OUT_DONE;
	case 202:
		err_set(err, ERR_UNAVAILABLE, "%.300s",
			message_of(j, "The provider works on it, and will say when it is done."));
		return OUT_CALLS_BACK;
	case 410:
		err_set(err, ERR_INVALID_PARAMS, "%.300s",
			message_of(j, "The provider says that it was removed meanwhile."));
		return OUT_REFUSED;
	case 422:
		err_set(err, ERR_INVALID_PARAMS, "%.300s",
			message_of(j, "The add-on's provider refused without saying why."));
		return OUT_REFUSED;
	case 429:
	case 503:
		err_set(err, ERR_UNAVAILABLE, "%.300s",
			message_of(j, "The provider cannot do it just now."));
		return OUT_LATER;
	default:
		err_set(err, ERR_UNAVAILABLE, "%s: %s was answered %d%s%.200s", m->s.name, verb,
			status,
			status >= 300 && status < 400 ? " (redirects are not followed)" : "",
			message_of(j, ""));
		return OUT_FAULT;
	}
}

enum outcome partner_judge(const struct manifest *m, const char *verb, int status, const char *text,
			   size_t n, json_t **out, struct err *err)
{
	AUTO(json_decref) json_t *j = n ? json_loadb(text, n, 0, NULL) : NULL;
	AUTO(json_decref) json_t *known = json_object();
	bool provision = strcmp(verb, "provision") == 0, whole = true;
	struct err wrong = {0};
	enum outcome o;

	if (json_is_object(j))
		whole = take_known(m, j, known, &wrong) == 0;
	else if (n && strspn(text, " \t\r\n") < n)
		whole = err_set(&wrong, ERR_UNAVAILABLE,
				"%s: %s was answered something that is no JSON object", m->s.name,
				verb) == 0;
	else if (provision)
		whole = err_set(&wrong, ERR_UNAVAILABLE, "%s: %s was answered nothing", m->s.name,
				verb) == 0;
	o = strcmp(verb, "deprovision") == 0 ? judge_removal(m, status, known, err)
					     : judge_status(m, verb, status, known, err);
	/* What says yes must be understood; a refusal is one without words, too. */
	if (o == OUT_DONE && !whole && strcmp(verb, "deprovision") != 0) {
		*err = wrong;
		o = OUT_FAULT;
	}
	*out = STEAL(known);
	return o;
}

/* --- single sign-on --- */

static void digest(const EVP_MD *md, const char *text, char *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(text, strlen(text), sum, &len, md, NULL) != 1)
		abort();
	hex_encode(sum, len, out);
}

void partner_sso_token(const char *id, const char *salt, int64_t unix_s, char out[41])
{
	AUTO(auto_str) char *text = xasprintf("%s:%s:%lld", id, salt, (long long)unix_s);

	digest(EVP_sha1(), text, out);
	explicit_bzero(text, strlen(text));
}

void partner_sso_user_token(const char *id, const char *salt, int64_t unix_s,
			    const struct addon_actor *by, char out[65])
{
	AUTO(auto_str)
	char *text = xasprintf("%s:%s:%lld:%s:%s", id, salt, (long long)unix_s, by->user_id,
			       by->user_email);

	digest(EVP_sha256(), text, out);
	explicit_bzero(text, strlen(text));
}

static json_t *nav_data(const struct store_addon *row)
{
	AUTO(json_decref)
	json_t *j = json_pack("{s:s, s:s}", "addon", row->name, "appname", row->app_name);
	AUTO(auto_str) char *text = json_dumps(j, JSON_COMPACT);
	AUTO(buf_clear) struct buf b = {0};

	base64_encode(text, strlen(text), &b);
	return json_string(buf_str(&b));
}

json_t *partner_sso_fields(const struct store_addon *row, const char *salt, int64_t unix_s,
			   const struct addon_actor *by)
{
	const char *id = row->provider_id ? row->provider_id : row->id;
	char token[41], old[41], user[65], when[24];

	partner_sso_token(row->id, salt, unix_s, token);
	partner_sso_token(id, salt, unix_s, old);
	partner_sso_user_token(row->id, salt, unix_s, by, user);
	snprintf(when, sizeof when, "%lld", (long long)unix_s);
	/* id and token are of the API before v3, which many have gone on reading */
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "resource_id",
			 row->id, "resource_token", token, "user_scoped_resource_token", user,
			 "timestamp", when, "app", row->app_name, "email", by->user_email,
			 "user_id", by->user_id, "nav-data", nav_data(row), "id", id, "token", old);
}

/* --- log tokens --- */

void addon_partner_drain_token(const char *addon_id, char out[39])
{
	AUTO(auto_str) char *text = xasprintf("drain of add-on %s", addon_id);

	memcpy(out, "d.", 2);
	uuid_of(text, out + 2);
}

void partner_input_token(struct tx *tx, const char *addon_id, char out[39])
{
	AUTO(auto_str) char *text = xasprintf("log input %s", addon_id);
	char signature[65];

	secret_sign(tx_key(tx), text, signature);
	memcpy(out, "t.", 2);
	uuid_of(signature, out + 2);
}
