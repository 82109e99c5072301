/* The second factor: one-time codes of an authenticator (TOTP). */
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

#define TWO_FACTOR "/account/two-factor"

static int cmd_2fa(struct cli *c, struct err *err)
{
	json_auto_t *one = NULL;
	bool on;

	if (cli_api(c, "GET", NULL, &one, err, TWO_FACTOR) < 0)
		return -1;
	on = json_is_true(json_object_get(one, "enabled"));
	if (cli_json(c)) {
		cli_print_json(c, one);
		return 0;
	}
	cli_line("Two-factor authentication is %s", on ? "enabled" : "not enabled");
	if (on)
		cli_line("Recovery codes left: %lld", cli_jint(one, "recovery_codes_left"));
	return 0;
}

/* A token alone changes nothing here: the password is asked for, and the code where there is one.
 * An account without a password answers with an empty line. */
static json_t *ask(struct cli *c, bool code)
{
	AUTO(auto_str) char *password = cli_prompt(c, "Password: ", true);
	AUTO(auto_str)
	char *digits = code ? cli_prompt(c, "Two-factor code or recovery code: ", false) : NULL;
	json_t *body = json_object();

	if (password && password[0])
		json_object_set_new(body, "password", json_string(password));
	if (digits)
		json_object_set_new(body, "code", json_string(digits));
	if (password)
		explicit_bzero(password, strlen(password));
	return body;
}

static void print_codes(struct cli *c, const json_t *answer)
{
	size_t i;
	json_t *code;

	if (cli_json(c)) {
		cli_print_json(c, answer);
		return;
	}
	fprintf(stderr, "Recovery codes. Each is good once, in place of a code, when the "
			"authenticator is lost.\nKeep them safe: they are shown this once.\n");
	json_array_foreach(json_object_get(answer, "recovery_codes"), i, code)
		cli_line("%s", cli_js(code, ""));
}

static void show_secret(struct cli *c, const json_t *made)
{
	const char *url = cli_js(made, "otpauth_url");

	fprintf(stderr, "Add this account to your authenticator:\n\n");
	if (c->err_tty && cli_qr_print(stderr, url))
		fputc('\n', stderr);
	{
		AUTO(buf_clear) struct buf safe = {0};

		cli_clean(&safe, url, strlen(url), false);
		fprintf(stderr, "Secret: %s\nURL:    %s\n\n", cli_js(made, "secret"),
			buf_str(&safe));
	}
}

static int cmd_enable(struct cli *c, struct err *err)
{
	json_auto_t *who = ask(c, false), *made = NULL, *body = NULL, *answer = NULL;
	AUTO(auto_str) char *code = NULL;

	if (cli_api(c, "POST", who, &made, err, TWO_FACTOR) < 0)
		return -1;
	show_secret(c, made);
	code = cli_prompt(c, "Code that it shows: ", false);
	if (!code || !code[0])
		return err_set(err, ERR_BAD_REQUEST,
			       "Without a code the second factor stays off: run 2fa:enable again");
	body = json_pack("{ss}", "code", code);
	cli_action(c, "Enabling two-factor authentication");
	if (cli_api(c, "POST", body, &answer, err, TWO_FACTOR "/actions/confirm") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	print_codes(c, answer);
	return 0;
}

static int cmd_disable(struct cli *c, struct err *err)
{
	json_auto_t *body = ask(c, true);

	cli_action(c, "Disabling two-factor authentication");
	return cli_send(c, "DELETE", body, err, TWO_FACTOR);
}

static int cmd_codes(struct cli *c, struct err *err)
{
	json_auto_t *body = ask(c, true), *answer = NULL;

	cli_action(c, "Generating new recovery codes");
	if (cli_api(c, "POST", body, &answer, err, TWO_FACTOR "/recovery-codes") < 0)
		return -1;
	cli_action_done(c, "%s", "");
	print_codes(c, answer);
	return 0;
}

const struct cli_cmd cli_cmds_2fa[] = {
	{.name = "2fa",
	 .aliases = "auth:2fa twofactor",
	 .help = "show whether the second factor is on",
	 .run = cmd_2fa,
	 .examples = "2fa"},
	{.name = "2fa:enable",
	 .aliases = "auth:2fa:enable twofactor:enable",
	 .help = "turn the second factor on",
	 .more = "Shows a secret, its otpauth URL and, on a terminal, both as a QR code; takes the "
		 "first code "
		 "of your authenticator; then shows recovery codes.",
	 .run = cmd_enable,
	 .examples = "2fa:enable"},
	{.name = "2fa:disable",
	 .aliases = "auth:2fa:disable twofactor:disable",
	 .help = "turn the second factor off",
	 .run = cmd_disable,
	 .examples = "2fa:disable"},
	{.name = "2fa:recovery-codes",
	 .aliases = "2fa:generate-recovery-codes auth:2fa:gen-recovery-codes",
	 .help = "make new recovery codes; the old ones are void",
	 .run = cmd_codes,
	 .examples = "2fa:recovery-codes > codes"},
	{0},
};
