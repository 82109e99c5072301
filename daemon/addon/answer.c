/* What providers answer, and what a task remembers. */
#include "daemon/addon/addon_int.h"

#include <stdio.h>

void answer_clear(struct answer *an)
{
	json_decref(an->config);
	json_decref(an->private);
	free(an->id);
	free(an->message);
	free(an->web_url);
	*an = (struct answer){0};
}

/* Owned; at most max bytes of it. */
static char *cut(const char *s, size_t max)
{
	return xstrndup(s, strnlen(s, max));
}

char *answer_message(const json_t *j)
{
	const char *v = json_string_value(json_object_get(j, "message"));
	char *text = v && *v ? cut(v, LIM_ADDON_TEXT) : NULL;

	for (char *p = text; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return text;
}

bool answer_has_var(const struct manifest *m, const char *suffix)
{
	for (int i = 0; m->s.vars[i]; i++)
		if (strcmp(m->s.vars[i], suffix) == 0)
			return true;
	return false;
}

static int check_config(const struct manifest *m, const json_t *config, bool all, struct err *err)
{
	const char *suffix;
	json_t *v;

	if (!json_is_object(config))
		return err_set(err, ERR_UNAVAILABLE, "%s: its config is no object", m->s.name);
	json_object_foreach((json_t *)(uintptr_t)config, suffix, v)
	{
		if (!answer_has_var(m, suffix))
			return err_set(err, ERR_UNAVAILABLE,
				       "%s: its config has %.60s, which the manifest does not name",
				       m->s.name, suffix);
		if (!json_is_string(v) || json_string_length(v) > LIM_CONFIG_VALUE ||
		    strlen(json_string_value(v)) != json_string_length(v))
			return err_set(err, ERR_UNAVAILABLE,
				       "%s: its config's %.60s is no usable text", m->s.name,
				       suffix);
	}
	for (int i = 0; all && m->s.vars[i]; i++)
		if (!json_object_get(config, m->s.vars[i]))
			return err_set(err, ERR_UNAVAILABLE, "%s: its config lacks %.60s",
				       m->s.name, m->s.vars[i]);
	return 0;
}

static char *read_id(const json_t *v)
{
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	return json_is_string(v) ? cut(json_string_value(v), 255) : NULL;
}

int answer_read(const struct manifest *m, const json_t *j, bool all, struct answer *out,
		struct err *err)
{
	json_t *config = json_object_get(j, "config"), *private = json_object_get(j, "private");
	const char *url = json_string_value(json_object_get(j, "web_url"));

	if (json_is_null(config))
		config = NULL;
	if (json_is_null(private))
	private = NULL;
	if ((config || all) && check_config(m, config, all, err) < 0)
		return -1;
	if (private && !json_is_object(private))
		return err_set(err, ERR_UNAVAILABLE, "%s: its private is no object", m->s.name);
	if (url && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return err_set(err, ERR_UNAVAILABLE, "%s: its web_url is no URL", m->s.name);
	out->config = config ? json_deep_copy(config) : NULL;
	out->private = json_incref(private);
	out->id = read_id(json_object_get(j, "id"));
	out->message = answer_message(j);
	out->web_url = url ? cut(url, LIM_OUT_URL) : NULL;
	return 0;
}

/* --- args of tasks --- */

void task_args_clear(struct task_args *t)
{
	free(t->user_email);
	free(t->credential);
	free(t->attach_as);
	*t = (struct task_args){0};
}

void task_args_read(const char *json, struct task_args *out)
{
	AUTO(json_decref) json_t *j = json ? json_loads(json, 0, NULL) : NULL;
	const char *user = json_string_value(json_object_get(j, "user"));

	*out = (struct task_args){
		.user_email = xstrdup(json_string_value(json_object_get(j, "email"))),
		.credential = xstrdup(json_string_value(json_object_get(j, "credential"))),
		.attach_as = xstrdup(json_string_value(json_object_get(j, "attach_as"))),
		.forced = json_is_true(json_object_get(j, "forced")),
		.attach = json_is_true(json_object_get(j, "attach")),
		.refused = json_is_true(json_object_get(j, "refused")),
		.gone = json_is_true(json_object_get(j, "gone")),
		.faults = (int)json_integer_value(json_object_get(j, "faults")),
	};
	snprintf(out->user_id, sizeof out->user_id, "%s", user ? user : "");
}

char *task_args_write(const struct task_args *t)
{
	AUTO(json_decref)
	json_t *j =
		json_pack("{s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:b, s:b, s:i}", "user",
			  t->user_id[0] ? t->user_id : NULL, "email", t->user_email, "credential",
			  t->credential, "attach_as", t->attach_as, "forced", t->forced, "attach",
			  t->attach, "refused", t->refused, "gone", t->gone, "faults", t->faults);

	return json_dumps(j, JSON_COMPACT);
}
