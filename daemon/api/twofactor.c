/* Second factors: codes of an authenticator app (totp.h), or recovery codes. */
#include "daemon/api/api_int.h"
#include "daemon/api/identity.h"
#include "daemon/core/totp.h"
#include "daemon/store/identity.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define RECOVERY_DIGITS 16 /* of base 32: 80 bits */

/* --- checking a code --- */

struct code_tx {
	struct api_req *q;
	const char *user_id, *code;
	bool pending; /* of one that is not in force yet; else of one that is */
	bool good, recovery;
};

/* As it was shown or typed: blanks, dashes and case do not matter. False: it is none. */
static bool recovery_plain(const char *code, char out[RECOVERY_DIGITS + 1])
{
	size_t n = 0;

	for (; *code; code++) {
		int c = tolower((unsigned char)*code);

		if (c == '-' || c == ' ')
			continue;
		if (n == RECOVERY_DIGITS || !strchr("abcdefghijklmnopqrstuvwxyz234567", c))
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return n == RECOVERY_DIGITS;
}

static int take_code(struct tx *tx, void *arg, struct err *err)
{
	struct code_tx *t = arg;
	AUTO(store_two_factor_clear) struct store_two_factor f = {0};
	char plain[RECOVERY_DIGITS + 1];
	int64_t step;

	t->good = t->recovery = false;
	if (store_two_factor_get(tx, t->user_id, &f, err) < 0)
		return -1;
	if (!f.enrolled || f.confirmed == t->pending)
		return err_set(err, ERR_INVALID_PARAMS,
			       t->pending ? "There is nothing to confirm."
					  : "Two-factor authentication is not on.");
	step = totp_match(f.secret.data, f.secret.len, t->code, clock_wall_ms(), f.last_step);
	if (step) {
		t->good = store_two_factor_take_step(tx, t->user_id, step);
	} else if (f.confirmed && recovery_plain(t->code, plain)) {
		t->good = t->recovery = store_recovery_use(tx, t->user_id, plain);
		explicit_bzero(plain, sizeof plain);
	}
	return 0;
}

/* One is taken before the code is looked at, so that guesses in parallel count. */
static int check_code(struct code_tx *t, struct err *err)
{
	struct api_limiter *l = t->q->api->by_code;
	unsigned wait = 0;

	if (!api_limiter_take(l, t->user_id, clock_mono_ms(), &wait)) {
		http_setf(t->q->x, "Retry-After", "%u", wait);
		return err_set(err, ERR_RATE_LIMIT,
			       "Too many wrong codes. Try again in %u seconds.", wait);
	}
	if (store_tx(t->q->d->store, take_code, t, err) < 0) {
		api_limiter_give(l, t->user_id);
		return -1;
	}
	if (!t->good)
		return err_set(err, ERR_TWO_FACTOR, "The code is wrong, or was used before.");
	api_limiter_give(l, t->user_id);
	if (t->recovery)
		api_audit(t->q, "two_factor.recovery_code_used", "%s", "");
	return 0;
}

int api_second_factor(struct api_req *q, const struct store_user *u, const char *code,
		      struct err *err)
{
	struct code_tx t = {.q = q, .user_id = u->id, .code = code};

	if (!u->two_factor)
		return 0;
	if (!code || !*code)
		return err_set(
			err, ERR_TWO_FACTOR,
			"A second factor is required: a code of your authenticator app, or a "
			"recovery code, as Heroku-Two-Factor-Code.");
	if (check_code(&t, err) == 0)
		return 0;
	if (err->code == ERR_TWO_FACTOR)
		api_audit(q, "login.failed", "second factor");
	return -1;
}

/* --- switching it on and off --- */

const struct api_field api_fields_2fa_enrol[] = {
	{"password", F_STRING, .max = 1024, .text = "the present one"},
	{0},
};
const struct api_field api_fields_2fa_confirm[] = {
	{"code", F_LINE, .flags = F_REQUIRED, .max = 64, .text = "of the app"},
	{0},
};
const struct api_field api_fields_2fa_again[] = {
	{"password", F_STRING, .max = 1024, .text = "the present one"},
	{"code", F_LINE, .flags = F_REQUIRED, .max = 64, .text = "of the app, or a recovery code"},
	{0},
};

struct factor_tx {
	struct api_req *q;
	struct store_two_factor f;
	unsigned char secret[TOTP_SECRET];
	char plain[STORE_RECOVERY_CODES][RECOVERY_DIGITS + 1];
};

static void factor_clear(struct factor_tx *t)
{
	store_two_factor_clear(&t->f);
	explicit_bzero(t->secret, sizeof t->secret);
	explicit_bzero(t->plain, sizeof t->plain);
}
#define factor_clear_p factor_clear

static int read_factor(struct tx *tx, void *arg, struct err *err)
{
	struct factor_tx *t = arg;

	store_two_factor_clear(&t->f);
	return store_two_factor_get(tx, t->q->user.id, &t->f, err);
}

static json_t *factor_json(const struct store_two_factor *f)
{
	return json_pack("{s:o, s:b, s:b, s:i}", "created_at", json_time(f->created_ms), "enabled",
			 f->confirmed, "pending", f->enrolled && !f->confirmed,
			 "recovery_codes_left", f->codes_left);
}

int api_2fa_info(struct api_req *q, struct err *err)
{
	AUTO(factor_clear) struct factor_tx t = {.q = q};

	if (store_read(q->d->store, read_factor, &t, err) < 0)
		return -1;
	return api_ok(q, 200, factor_json(&t.f));
}

static int write_factor(struct tx *tx, void *arg, struct err *err)
{
	struct factor_tx *t = arg;

	if (read_factor(tx, t, err) < 0)
		return -1;
	if (t->f.confirmed)
		return err_set(err, ERR_INVALID_PARAMS,
			       "Two-factor authentication is on already; switch it off first to "
			       "enrol another device.");
	return store_two_factor_enrol(tx, t->q->user.id, t->secret, sizeof t->secret, err);
}

/* What authenticator apps read from a QR code. */
static char *otpauth_url(struct api_req *q, const char *base32)
{
	AUTO(buf_clear) struct buf b = {0};

	buf_adds(&b, "otpauth://totp/");
	percent_encode(q->d->cfg->platform_host, &b);
	buf_addc(&b, ':');
	percent_encode(q->user.email, &b);
	buf_addf(&b, "?secret=%s&issuer=", base32);
	percent_encode(q->d->cfg->platform_host, &b);
	buf_addf(&b, "&algorithm=SHA1&digits=%d&period=%d", TOTP_DIGITS, TOTP_STEP_S);
	return buf_steal(&b);
}

int api_2fa_enrol(struct api_req *q, struct err *err)
{
	AUTO(factor_clear) struct factor_tx t = {.q = q};
	AUTO(buf_clear) struct buf base32 = {0};
	AUTO(auto_str) char *url = NULL;

	random_bytes(t.secret, sizeof t.secret);
	if (api_check_present(q, api_get_str(q->body, "password"), err) < 0 ||
	    store_tx(q->d->store, write_factor, &t, err) < 0)
		return -1;
	base32_encode(t.secret, sizeof t.secret, &base32);
	url = otpauth_url(q, buf_str(&base32));
	api_audit(q, "two_factor.enrol", "%s", "");
	return api_ok(q, 201,
		      json_pack("{s:s, s:s}", "otpauth_url", url, "secret", buf_str(&base32)));
}

static int write_codes(struct tx *tx, void *arg, struct err *err)
{
	struct factor_tx *t = arg;
	const char *codes[STORE_RECOVERY_CODES];

	for (int i = 0; i < STORE_RECOVERY_CODES; i++)
		codes[i] = t->plain[i];
	return store_recovery_set(tx, t->q->user.id, codes, STORE_RECOVERY_CODES, err);
}

/* Shown once: only hashes stay here. */
static int answer_codes(struct api_req *q, int status, struct err *err)
{
	AUTO(factor_clear) struct factor_tx t = {.q = q};
	json_t *list;

	for (int i = 0; i < STORE_RECOVERY_CODES; i++)
		for (int k = 0; k < RECOVERY_DIGITS; k++)
			t.plain[i][k] = "abcdefghijklmnopqrstuvwxyz234567"[random_below(32)];
	if (store_tx(q->d->store, write_codes, &t, err) < 0)
		return -1;
	list = json_array();
	for (int i = 0; i < STORE_RECOVERY_CODES; i++) {
		const char *c = t.plain[i];

		json_array_append_new(list,
				      json_sprintf("%.4s-%.4s-%.4s-%.4s", c, c + 4, c + 8, c + 12));
	}
	return api_ok(q, status, json_pack("{s:o}", "recovery_codes", list));
}

int api_2fa_confirm(struct api_req *q, struct err *err)
{
	struct code_tx t = {.q = q,
			    .user_id = q->user.id,
			    .code = api_get_str(q->body, "code"),
			    .pending = true};

	if (check_code(&t, err) < 0)
		return err->code == ERR_TWO_FACTOR
			       ? err_set(err, ERR_INVALID_PARAMS,
					 "The code is wrong: compare the clocks, or enrol again.")
			       : -1;
	api_audit(q, "two_factor.on", "%s", "");
	return answer_codes(q, 200, err);
}

/* A stolen token must neither switch it off nor make codes. */
static int check_again(struct api_req *q, struct err *err)
{
	struct code_tx t = {.q = q, .user_id = q->user.id, .code = api_get_str(q->body, "code")};

	if (api_check_present(q, api_get_str(q->body, "password"), err) < 0)
		return -1;
	return check_code(&t, err);
}

static int remove_factor(struct tx *tx, void *arg, struct err *err)
{
	struct factor_tx *t = arg;

	return store_two_factor_remove(tx, t->q->user.id, err);
}

int api_2fa_disable(struct api_req *q, struct err *err)
{
	AUTO(factor_clear) struct factor_tx t = {.q = q};

	if (check_again(q, err) < 0 || store_tx(q->d->store, remove_factor, &t, err) < 0)
		return -1;
	api_audit(q, "two_factor.off", "%s", "");
	return api_ok(q, 200, factor_json(&t.f));
}

int api_2fa_recovery(struct api_req *q, struct err *err)
{
	if (check_again(q, err) < 0)
		return -1;
	api_audit(q, "two_factor.recovery_codes", "%s", "");
	return answer_codes(q, 201, err);
}

/* Clients send this after a 403 `two_factor` that names an app. We never answer so, as a login's
 * code is good for all apps; one that is sent all the same is checked. */
int api_pre_authorize(struct api_req *q, struct err *err)
{
	if (api_second_factor(q, &q->user, http_header(q->x, "heroku-two-factor-code"), err) < 0)
		return -1;
	return api_ok(q, 200, json_object());
}
