/* Connecting a pipeline to a repository, and taking in what its webhook brings. */
#include "daemon/core/codec.h"
#include "daemon/core/xlog.h"
#include "daemon/provider/provider_int.h"
#include "proto/limits.h"

#include <curl/curl.h>
#include <stdio.h>

/* --- base URLs --- */

static void url_free(CURLU *u)
{
	curl_url_cleanup(u);
}
DEFINE_AUTO(CURLU *, url_free)

/* https://HOST[:PORT][/PATH], with nothing else: it is shown, and put together with paths. http is
 * for servers inside, which the operator allows by `outgoing.allow`: a token goes there. */
static int normal_base(const struct config *cfg, const char *text, char **out, struct err *err)
{
	AUTO(url_free) CURLU *u = curl_url();
	bool inside = cfg->out_allow && cfg->out_allow[0];
	char *part = NULL, *host = NULL;
	size_t n = strlen(text);
	int bad = 0;

	while (n && text[n - 1] == '/')
		n--;
	*out = xstrndup(text, n);
	for (const char *p = *out; *p; p++)
		bad |= (unsigned char)*p <= 0x20 || *p == 0x7f || strchr("\"\\<>`{}|^", *p) != NULL;
	bad |= strncmp(*out, "https://", 8) != 0 && !(inside && strncmp(*out, "http://", 7) == 0);
	bad |= n > 500 || !u || curl_url_set(u, CURLUPART_URL, *out, 0) != CURLUE_OK;
	for (int i = 0; !bad && i < 4; i++) {
		static const CURLUPart none[] = {CURLUPART_USER, CURLUPART_PASSWORD,
						 CURLUPART_QUERY, CURLUPART_FRAGMENT};

		bad = curl_url_get(u, none[i], &part, 0) == CURLUE_OK;
		curl_free(STEAL(part));
	}
	bad |= !bad && (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host);
	curl_free(host);
	if (!bad)
		return 0;
	free(STEAL(*out));
	return err_set(err, ERR_INVALID_PARAMS,
		       "The provider's address has to be https://HOST[/PATH]%s.",
		       inside ? " or http://HOST[/PATH]" : "");
}

/* --- rows --- */

struct connect_tx {
	struct store_repo *in, *out;
	const char *id, *hook_id;
	const char *kind, *subject, *delivery;
	char sum[129];
	bool known;
};

static int write_repo(struct tx *tx, void *arg, struct err *err)
{
	struct connect_tx *t = arg;

	store_repo_clear(t->out);
	return store_repo_create(tx, t->in, t->out, err);
}

static int write_hook(struct tx *tx, void *arg, struct err *err)
{
	struct connect_tx *t = arg;

	return store_repo_set_hook(tx, t->id, t->hook_id, err);
}

static int delete_repo(struct tx *tx, void *arg, struct err *err)
{
	struct connect_tx *t = arg;

	return store_repo_delete(tx, t->id, err);
}

static int read_one(struct tx *tx, void *arg, struct err *err)
{
	struct connect_tx *t = arg;

	store_repo_clear(t->out);
	return store_repo_get(tx, t->id, t->out, err);
}

/* --- connecting --- */

/* The name as the provider writes it. */
static int check_repo(struct providers *p, struct store_repo *r, struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct provider_args a = {0};
	int retry_s;

	if (provider_ask(p, r, PROVIDER_ASK_REPO, &a, &out, &retry_s, err) < 0) {
		if (err->code == ERR_NOT_FOUND || err->code == ERR_FORBIDDEN)
			err_set(err, ERR_INVALID_PARAMS,
				"%s at %s was not found, or the token is not good for it.",
				r->full_name, r->base_url);
		return -1;
	}
	free(r->full_name);
	r->full_name = NULL;
	return provider_full_name(provider_codec_of(r), out.full_name, &r->full_name, err);
}

/* One that a crash left is taken over. */
static bool add_hook(struct providers *p, const struct store_repo *r, char id[64], struct err *err)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct provider_args a = {.url = r->hook_url, .secret = r->hook_secret};
	int retry_s;

	if (!*r->token)
		return false;
	if (provider_ask(p, r, PROVIDER_ADD_HOOK, &a, &out, &retry_s, err) < 0)
		return false;
	memcpy(id, out.id, 64);
	return true;
}

static void drop_hook(struct providers *p, const struct store_repo *r)
{
	AUTO(provider_answer_clear) struct provider_answer out = {0};
	struct provider_args a = {.id = r->hook_id, .url = r->hook_url};
	struct err err = {0};
	int retry_s;

	if (!*r->token)
		return;
	/* Made, but not written down any more before a crash: it is known by its URL. */
	if (!a.id && provider_ask(p, r, PROVIDER_ASK_HOOKS, &a, &out, &retry_s, &err) == 0)
		a.id = out.id[0] ? out.id : NULL;
	if (a.id && provider_ask(p, r, PROVIDER_DROP_HOOK, &a, &out, &retry_s, &err) < 0)
		xlog_err(XLOG_WARN, "provider", &err,
			 "msg=\"webhook not removed; remove it by hand\" repo=%s",
			 xlog_q(r->full_name));
}

static int make_row(struct providers *p, const struct provider_connect *in, struct store_repo *row,
		    struct err *err)
{
	const struct provider_codec *k = provider_codecs[in->kind];
	const char *base = in->base_url ? in->base_url : k->default_url;
	char secret[65];

	if (!base)
		return err_set(err, ERR_INVALID_PARAMS, "%s needs the address of the server.",
			       k->title);
	if (strpbrk(in->token, "\r\n"))
		return err_set(err, ERR_INVALID_PARAMS, "The token has to be one line.");
	if (normal_base(p->cfg, base, &row->base_url, err) < 0 ||
	    provider_full_name(k, in->full_name, &row->full_name, err) < 0)
		return -1;
	uuid_new(row->id);
	snprintf(row->pipeline_id, sizeof row->pipeline_id, "%s", in->pipeline_id);
	snprintf(row->provider, sizeof row->provider, "%s", k->name);
	row->token = xstrdup(in->token);
	row->deploy_key = in->deploy_key ? xstrdup(in->deploy_key) : NULL;
	row->ssh_port = in->ssh_port;
	random_hex(secret, 64);
	row->hook_secret = xstrdup(secret);
	row->hook_url = xasprintf("%s/%s/%s", in->hook_base, k->name, row->id);
	return 0;
}

int provider_connect(struct providers *p, const struct provider_connect *in, struct store_repo *out,
		     bool *hooked, struct err *err)
{
	AUTO(store_repo_clear) struct store_repo row = {0};
	struct connect_tx t = {.in = &row, .out = out};
	struct err why = {0};
	char hook_id[64];

	*hooked = false;
	if (make_row(p, in, &row, err) < 0 || check_repo(p, &row, err) < 0)
		return -1;
	if (store_tx(p->st, write_repo, &t, err) < 0)
		return err->code == ERR_CONFLICT
			       ? err_set(err, ERR_CONFLICT,
					 "The pipeline is connected to a repository already.")
			       : -1;
	if (add_hook(p, out, hook_id, &why)) {
		t.id = out->id;
		t.hook_id = hook_id;
		if (store_tx(p->st, write_hook, &t, err) < 0)
			return -1;
		out->hook_id = xstrdup(hook_id);
		*hooked = true;
	} else if (why.status) {
		xlog_err(XLOG_INFO, "provider", &why, "msg=\"webhook to be made by hand\" repo=%s",
			 xlog_q(out->full_name));
	}
	provider_look(p, out->id);
	return 0;
}

int provider_disconnect(struct providers *p, const struct store_repo *r, struct err *err)
{
	struct connect_tx t = {.id = r->id};

	drop_hook(p, r);
	if (store_tx(p->st, delete_repo, &t, err) < 0)
		return -1;
	provider_mirror_drop(p, r->id);
	return 0;
}

/* --- deliveries --- */

static int write_delivery(struct tx *tx, void *arg, struct err *err)
{
	struct connect_tx *t = arg;

	if (store_repo_delivery(tx, t->id, t->delivery, t->sum, &t->known, err) < 0)
		return -1;
	return t->known || !t->kind ? 0 : store_look_add(tx, t->id, t->kind, t->subject, err);
}

/* What is to be looked at; NULL = nothing. */
static const char *subject_of(const struct provider_event *e, char number[24], const char **subject)
{
	switch (e->kind) {
	case PROVIDER_PR_OPENED:
	case PROVIDER_PR_UPDATED:
	case PROVIDER_PR_CLOSED:
		snprintf(number, 24, "%lld", (long long)e->number);
		*subject = number;
		return "pull";
	case PROVIDER_PUSH:
	case PROVIDER_BRANCH_DELETED:
		*subject = e->branch;
		return "branch";
	case PROVIDER_CHECKS:
		*subject = e->sha;
		return "checks";
	default:
		return NULL;
	}
}

int provider_receive(struct providers *p, enum provider_kind kind, const char *repo_id,
		     provider_header_fn *get, void *arg, const void *body, size_t n,
		     struct err *err)
{
	const struct provider_codec *k = provider_codecs[kind];
	AUTO(store_repo_clear) struct store_repo r = {0};
	AUTO(provider_event_clear) struct provider_event e = {0};
	char delivery[129], number[24];
	struct connect_tx t = {.id = repo_id, .out = &r, .delivery = delivery};

	if (store_read(p->st, read_one, &t, err) < 0)
		return -1;
	if (strcmp(r.provider, k->name) != 0)
		return err_not_found(err, "repo");
	if (provider_delivery_read(k, get, arg, r.hook_secret, body, n, delivery, &e, err) < 0)
		return -1;
	/* The id is not signed: the content is what a replay cannot change. */
	provider_sum(body, n, t.sum);
	t.kind = subject_of(&e, number, &t.subject);
	if (e.repo && strcasecmp(e.repo, r.full_name) != 0)
		t.kind = NULL; /* of another repository, by a hook of the whole organisation */
	if (t.kind && strcmp(t.kind, "branch") == 0 && provider_branch_ok(e.branch, NULL) < 0)
		t.kind = NULL;
	if (store_tx(p->st, write_delivery, &t, err) < 0)
		return -1;
	if (t.known || !t.kind)
		return 0;
	provider_wake(p);
	return 1;
}
