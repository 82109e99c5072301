"""paasctl: the commands of one resource each: what they ask the API and what they print. Against a fake API."""

import json
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fake_api import EMAIL, TIME, TOKEN, app, build, collaborator, formation, not_found, release, uid  # noqa: E402
from paasctl import api, cli, ok  # noqa: E402,F401

WHEN = "2026/01/31 12:00:00 +0000"


def sent(api, method, path):
    """The body of the only request of that kind."""
    (one,) = api.seen(method, path)
    return one.json


# --- tokens ---------------------------------------------------------------------------------
def authorization(n=1, **more):
    return {"id": uid(600 + n), "description": "laptop %d" % n, "scope": ["global"], "client": None, "grant": None,
            "access_token": {"id": uid(650), "token": "HRKU-secret%d" % n, "expires_in": None},
            "refresh_token": None, "session": None, "created_at": TIME, "updated_at": TIME,
            "user": {"id": uid(1), "email": EMAIL, "full_name": None}, **more}


def test_authorizations(cli, api):
    base, one = "/oauth/authorizations", "/oauth/authorizations/" + uid(601)
    api.on("GET", base, [authorization(2), authorization(1, scope=["read", "write"])])
    ok(cli("authorizations"), "laptop 1  %s  read, write\nlaptop 2  %s  global\n" % (uid(601), uid(602)))
    assert [a["description"] for a in json.loads(ok(cli("authorizations", "--json")).out)] == ["laptop 1", "laptop 2"]
    api.on("POST", base, (201, authorization()))
    r = ok(cli("authorizations:create", "-d", "x y", "-s", "read,write", "-e", "60"))
    assert sent(api, "POST", base) == {"description": "x y", "scope": ["read", "write"], "expires_in": 60}
    assert "Token:       HRKU-secret1\n" in r.out and r.err == "Creating OAuth Authorization... done\n"
    ok(cli("authorizations:create", "-S"), "HRKU-secret1\n")
    api.on("GET", one, authorization())
    assert "ID:          " + uid(601) in ok(cli("authorizations:info", uid(601))).out
    api.on("PATCH", one, authorization(description="new"))
    ok(cli("authorizations:update", uid(601), "-d", "new"))
    assert sent(api, "PATCH", one) == {"description": "new"}
    api.on("POST", one + "/actions/regenerate-tokens", authorization())
    ok(cli("authorizations:rotate", uid(601)), None, "Rotating OAuth Authorization... done\n")
    api.on("DELETE", one, authorization())
    assert json.loads(ok(cli("authorizations:revoke", uid(601), "--json")).out)["id"] == uid(601)
    assert cli("authorizations:create", "-e", "soon").code == 2


def test_sessions(cli, api):
    api.on("GET", "/oauth/sessions", [{"id": uid(1), "description": "Firefox"}])
    ok(cli("sessions"), "Firefox  %s\n" % uid(1))
    api.on("DELETE", "/oauth/sessions/" + uid(1), {"id": uid(1)})
    ok(cli("sessions:destroy", uid(1)), "", "Destroying %s session... done\n" % uid(1))


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk4ey8dvAmyL8u1kNtkCk2Tv6fQXOqbNq7lY5dk3hXX me@laptop"


def test_keys(cli, api):
    api.on("GET", "/account/keys", [{"id": uid(1), "public_key": KEY, "comment": "me@laptop", "fingerprint": "a",
                                     "email": EMAIL}])
    ok(cli("keys"), "=== %s keys\n\nssh-ed25519 AAAAC3NzaC...Y5dk3hXX me@laptop\n"
       .replace("Y5dk3hXX", KEY.split()[1][-10:]) % EMAIL)
    ok(cli("keys", "-l"), "=== %s keys\n\n%s\n" % (EMAIL, KEY))
    api.on("POST", "/account/keys", (201, {"id": uid(1)}))
    assert cli("keys:add").code == 2
    os.mkdir(cli.home + "/.ssh")
    with open(cli.home + "/.ssh/id_ed25519.pub", "w", encoding="utf-8") as f:
        f.write(KEY + "\n")
    ok(cli("keys:add"))
    assert sent(api, "POST", "/account/keys") == {"public_key": KEY}
    with open(cli.cwd + "/id", "w", encoding="utf-8") as f:
        f.write("-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n")
    assert "it is not sent anywhere" in cli("keys:add", "id").err
    assert len(api.seen("POST", "/account/keys")) == 1
    api.on("DELETE", "/account/keys/" + uid(1), {})
    ok(cli("keys:remove", "me@laptop"), "", "Removing me@laptop SSH key... done\n")
    assert cli("keys:remove", "other").code == 4
    ok(cli("keys:clear"))
    assert len(api.seen("DELETE", "/account/keys/" + uid(1))) == 2


# --- second factor --------------------------------------------------------------------------
def test_2fa(cli, api):
    path = "/account/two-factor"
    api.on("GET", path, {"enabled": False, "pending": False, "recovery_codes_left": 0, "created_at": None})
    ok(cli("2fa"), "Two-factor authentication is not enabled\n")
    url = "otpauth://totp/paas:me?secret=ABCD&issuer=paas"
    api.on("POST", path, (201, {"secret": "ABCD", "otpauth_url": url}))
    api.on("POST", path + "/actions/confirm", {"recovery_codes": ["aaaa-bbbb", "cccc-dddd"]})
    r = ok(cli("2fa:enable", stdin="secret\n123456\n"), "aaaa-bbbb\ncccc-dddd\n")
    assert "Secret: ABCD\nURL:    %s\n" % url in r.err
    assert sent(api, "POST", path) == {"password": "secret"}
    assert sent(api, "POST", path + "/actions/confirm") == {"code": "123456"}
    api.on("POST", path + "/recovery-codes", (201, {"recovery_codes": ["x"]}))
    ok(cli("2fa:recovery-codes", stdin="secret\n654321\n"), "x\n")
    assert sent(api, "POST", path + "/recovery-codes") == {"password": "secret", "code": "654321"}
    api.on("DELETE", path, {"enabled": False})
    ok(cli("2fa:disable", stdin="secret\n654321\n"))
    assert sent(api, "DELETE", path) == {"password": "secret", "code": "654321"}


def read_qr(text):
    """What a reader sees in half blocks of light modules."""
    halves = {" ": (0, 0), "▄": (0, 1), "▀": (1, 0), "█": (1, 1)}
    rows = [[halves[ch][half] for ch in line] for line in text.rstrip("\n").split("\n") for half in (0, 1)]
    scale = 4
    image = b"P5 %d %d 255\n" % (len(rows[0]) * scale, len(rows) * scale)
    for row in rows:
        image += bytes(255 * dot for dot in row for _ in range(scale)) * scale
    r = subprocess.run(["zbarimg", "--raw", "-q", "-"], input=image, capture_output=True, timeout=60)
    return r.stdout.decode().rstrip("\n")


@pytest.mark.parametrize("length", [60, 110, 160, 271])
def test_2fa_draws_what_a_phone_reads(cli, api, length):
    url = ("otpauth://totp/paas:me@example.org?secret=" + "ABCDEFGHIJKLMNOP" * 20)[:length]
    api.on("POST", "/account/two-factor", (201, {"secret": "ABCD", "otpauth_url": url}))
    tty = cli.on_tty("2fa:enable")
    try:
        tty.expect(rb"Password: ")
        tty.write(b"secret\r")
        tty.expect(rb"Code that it shows: ")
        text = tty.seen.decode().replace("\r", "")
        lines = [ln for ln in text.split("\n") if ln and set(ln) <= set(" ▄▀█")]
        assert read_qr("\n".join(lines)) == url
    finally:
        tty.close()


def test_a_command_asks_for_the_second_factor_and_goes_on(cli, api):
    wants = (403, {"id": "two_factor", "message": "A second factor is required."})
    api.on("GET", "/apps/shop", lambda req: app() if req.headers.get("heroku-two-factor-code") == "123456" else wants)
    r = cli("maintenance", "-a", "shop")
    assert r.code == 3 and "A second factor is required." in r.err
    tty = cli.on_tty("maintenance", "-a", "shop")
    try:
        tty.expect(rb"Two-factor code: ")
        tty.write(b"123456\r")
        assert tty.wait() == 0 and b"off" in tty.seen
    finally:
        tty.close()


# --- access, transfers ----------------------------------------------------------------------
def test_access(cli, api):
    you = {**collaborator("you@example.org", "collaborator"),
           "permissions": [{"name": "view", "description": ""}, {"name": "deploy", "description": ""}]}
    api.on("GET", "/apps/shop/collaborators", [collaborator(), you])
    api.on("POST", "/apps/shop/collaborators", (201, you))
    one = "/apps/shop/collaborators/a%40b.c"
    api.on("PATCH", one, you)
    api.on("DELETE", one, you)
    ok(cli("access", "-a", "shop"),
       "=== shop Access\n\nme@example.org   owner\nyou@example.org  collaborator  view, deploy\n")
    ok(cli("access:add", "a@b.c", "-a", "shop", "-p", "view,deploy"), "",
       "Adding a@b.c access to the app shop with view,deploy permissions... done\n")
    assert sent(api, "POST", "/apps/shop/collaborators") == {"user": "a@b.c", "permissions": ["view", "deploy"]}
    ok(cli("access:update", "a@b.c", "-a", "shop", "-p", "view operate"))
    assert sent(api, "PATCH", one) == {"permissions": ["view", "operate"]}
    assert cli("access:update", "a@b.c", "-a", "shop").code == 2
    assert json.loads(ok(cli("access:remove", "a@b.c", "-a", "shop", "--json")).out)["role"] == "collaborator"


def test_invitations_to_an_app(cli, api):
    api.on("POST", "/apps/shop/collaborators", (201, collaborator("n@b.c"), {"X-Heroku-Warning": "Pass this on: http://x/join/1"}))
    assert "Warning: Pass this on: http://x/join/1\n" in ok(cli("access:add", "n@b.c", "-a", "shop")).err
    api.on("GET", "/apps/shop/invitations", [{"id": uid(1), "email": "n@b.c", "permissions": ["view", "deploy"],
                                              "inviter": {"email": EMAIL}, "expires_at": TIME}])
    assert "n@b.c  view, deploy  me@example.org" in ok(cli("access:invitations", "-a", "shop")).out
    api.on("DELETE", "/apps/shop/invitations/" + uid(1), {})
    ok(cli("access:uninvite", "n@b.c", "-a", "shop"))
    assert cli("access:uninvite", "x@b.c", "-a", "shop").code == 4


def test_leave(cli, api):
    api.on("DELETE", "/apps/shop/collaborators/me%40example.org", collaborator())
    ok(cli("leave", "-a", "shop"), "", "Leaving shop... done\n")


def transfer(state="pending"):
    return {"id": uid(700), "app": {"id": uid(1), "name": "shop"}, "owner": {"id": uid(9), "email": "you@example.org"},
            "recipient": {"id": uid(1), "email": EMAIL}, "state": state, "created_at": TIME, "updated_at": TIME}


def test_transfers(cli, api):
    base, one = "/account/app-transfers", "/account/app-transfers/" + uid(700)
    api.on("GET", "/apps/shop", app())
    api.on("POST", base, (201, transfer()))
    r = ok(cli("apps:transfer", "you@example.org", "-a", "shop"), "")
    assert r.err.startswith("Initiating transfer of shop to you@example.org... done, they accept it")
    assert sent(api, "POST", base) == {"app": "shop", "recipient": "you@example.org"}
    assert "there are no teams" in cli("apps:transfer", "a-team", "-a", "shop").err
    api.on("GET", base, [transfer()])
    assert "shop  you@example.org  me@example.org  pending" in ok(cli("apps:transfers")).out
    api.on("PATCH", one, transfer("accepted"))
    api.on("DELETE", one, transfer())
    ok(cli("apps:transfer:accept", "shop"), "", "Accepting transfer of shop... done\n")
    ok(cli("apps:transfer:decline", "-a", "shop"))
    assert [r.json["state"] for r in api.seen("PATCH", one)] == ["accepted", "declined"]
    ok(cli("apps:transfer:cancel", uid(700)))
    assert cli("apps:transfer:accept", "other").code == 4


# --- looking at apps ------------------------------------------------------------------------
def test_diff(cli, api):
    for name, commit, lang in (("a", "1", "de"), ("b", "2", "fr")):
        api.on("GET", "/apps/" + name, app(name))
        api.on("GET", "/apps/%s/releases" % name, [release(2, slug={"id": uid(5)})])
        api.on("GET", "/apps/%s/slugs/%s" % (name, uid(5)), {"checksum": "SHA256:" + commit})
        api.on("GET", "/apps/%s/config-vars" % name, {"SAME": "1", "LANG": lang, "ONLY_" + name.upper(): "secret"})
        api.on("GET", "/apps/%s/buildpack-installations" % name, [{"buildpack": {"url": "ruby"}, "ordinal": 0}])
        api.on("GET", "/apps/%s/features" % name, [{"name": "preboot", "enabled": name == "a"}])
    r = ok(cli("apps:diff", "a", "b"))
    assert [ln.split("  ")[0] for ln in r.out.splitlines()] == [
        "property", "slug (checksum)", "config (LANG)", "config (ONLY_A)", "config (ONLY_B)", "features"]
    assert "secret" not in r.out and "SHA256:1  SHA256:2" in r.out
    assert json.loads(ok(cli("apps:diff", "a", "b", "--json")).out)[0]["property"] == "slug (checksum)"
    ok(cli("apps:diff", "a", "a"), "No differences\n")


def test_stacks(cli, api):
    stacks = [{"name": "heroku-24", "state": "public", "default": True}, {"name": "heroku-22", "state": "public",
                                                                       "default": False}]
    api.on("GET", "/stacks", stacks)
    api.on("GET", "/apps/shop", app(build_stack={"id": uid(2), "name": "heroku-22"}))
    ok(cli("stack", "-a", "shop"),
       "=== shop Available Stacks\n\n  heroku-22 (active on next deploy)\n* heroku-24\n")
    api.on("PATCH", "/apps/shop", app(build_stack={"id": uid(2), "name": "heroku-22"}))
    assert "You will need to redeploy shop" in ok(cli("stack:set", "heroku-22", "-a", "shop")).out
    assert sent(api, "PATCH", "/apps/shop") == {"build_stack": "heroku-22"}
    ok(cli("stacks"), "Name       State   Default\nheroku-24  public  true\nheroku-22  public  false\n")


def test_errors_are_in_the_log(cli):
    r = cli("apps:errors", "-a", "shop")
    assert r.code == 1 and "paasctl logs --app shop --source heroku" in r.err


def test_open_and_maintenance_as_json(cli, api):
    api.on("GET", "/apps/shop", app())
    assert json.loads(ok(cli("open", "-a", "shop", "login", "--json")).out) == {
        "web_url": "http://shop.localhost:8080/login"}
    assert json.loads(ok(cli("maintenance", "-a", "shop", "--json")).out) == {"maintenance": False}


# --- the platform ---------------------------------------------------------------------------
def test_platform(cli, api):
    api.on("GET", "/regions", [{"name": "us", "description": "Here", "country": "-"}])
    ok(cli("regions"), "ID  Location  Country\nus  Here      -\n")
    api.on("GET", "/account/rate-limits", {"remaining": 4400})
    ok(cli("rate-limits"), "4400 requests left\n")
    state = {"status": [{"system": "Apps", "status": "green"}, {"system": "Data", "status": "red"}], "incidents": [],
             "scheduled": []}
    api.on("GET", "/api/v4/current-status", state)
    ok(cli("status"), "Apps  No known issues at this time.\nData  red\n")
    assert json.loads(ok(cli("status", "--json")).out) == state


def test_users(cli, api):
    api.on("GET", "/users", [{"email": "z@b.c", "admin": False, "two_factor_authentication": True, "last_login": None},
                             {"email": "a@b.c", "admin": True, "two_factor_authentication": False, "last_login": TIME}])
    out = ok(cli("users")).out.splitlines()
    assert out[1].startswith("a@b.c  administrator  false  " + WHEN) and out[2] == "z@b.c  member         true"
    api.on("POST", "/users", (201, {"email": "n@b.c"}))
    ok(cli("users:add", "n@b.c", "--admin", stdin="a long password\n"))
    assert sent(api, "POST", "/users") == {"email": "n@b.c", "password": "a long password", "admin": True}
    api.on("PATCH", "/users/n%40b.c", {"email": "n@b.c"})
    ok(cli("users:update", "n@b.c", "--no-admin", "--suspend", "--reset-2fa"))
    assert sent(api, "PATCH", "/users/n%40b.c") == {"admin": False, "suspended": True,
                                                    "two_factor_authentication": False}
    assert cli("users:update", "n@b.c").code == 2
    api.on("DELETE", "/users/n%40b.c", {})
    assert cli("users:remove", "n@b.c", "--confirm", "other").code == 1
    ok(cli("users:remove", "n@b.c", stdin="n@b.c\n"))
    assert sent(api, "DELETE", "/users/n%40b.c") == {"confirm": "n@b.c"}


def test_invitations(cli, api):
    api.on("POST", "/invitations", (201, {"id": uid(1), "email": "n@b.c", "url": "http://x/accept/SECRET"}))
    r = ok(cli("users:invite", "n@b.c"), "http://x/accept/SECRET\n")
    assert "Give this address to n@b.c" in r.err
    assert sent(api, "POST", "/invitations") == {"email": "n@b.c", "admin": False}
    api.on("GET", "/invitations", [{"id": uid(1), "email": "n@b.c", "expires_at": TIME,
                                    "inviter": {"id": uid(2), "email": "boss@b.c"}}])
    assert re.search("^n@b.c .*boss@b.c", ok(cli("users:invitations")).out, re.M)
    api.on("DELETE", "/invitations/" + uid(1), {})
    ok(cli("users:uninvite", "n@b.c"))


def test_audit(cli, api):
    rows = [{"id": 2, "created_at": TIME, "actor": EMAIL, "action": "app.create", "app": "shop", "detail": "x=y"}]
    api.on("GET", "/audit", rows)
    api.on("GET", "/apps/shop/audit", rows)
    assert "me@example.org  app.create  shop  x=y" in ok(cli("audit")).out
    assert api.seen("GET", "/audit")[0].headers["range"] == "id ..; max=50, order=desc"
    ok(cli("audit", "--actor", "a@b.c", "--since", "2026-01-31"))
    assert api.seen("GET", "/audit")[1].query == "actor=a%40b.c&since=2026-01-31"
    assert cli("audit", "-a", "shop", "--action", "x").code == 2
    ok(cli("audit", "-a", "shop", "-n", "7"))
    assert api.seen("GET", "/apps/shop/audit")[0].headers["range"] == "id ..; max=7, order=desc"


def test_password(cli, api):
    api.on("PATCH", "/account", {"email": EMAIL})
    r = ok(cli("auth:password", stdin="old\nnew and long\n"))
    assert sent(api, "PATCH", "/account") == {"password": "old", "new_password": "new and long"}
    assert "new and long" not in r.out + r.err


# --- features, labs -------------------------------------------------------------------------
def feature(name="preboot", enabled=False, state="general"):
    return {"id": uid(1), "name": name, "enabled": enabled, "state": state, "description": "About " + name, "doc_url": "",
            "created_at": TIME, "updated_at": TIME, "display_name": name, "feedback_email": ""}


def test_features(cli, api):
    one = "/apps/shop/features/preboot"
    api.on("GET", "/apps/shop/features", [feature(), feature("lab", state="beta"), feature("abc", True)])
    ok(cli("features", "-a", "shop"),
       "=== App Features shop\n\n[+]  abc      About abc\n[ ]  preboot  About preboot\n")
    api.on("GET", one, feature())
    ok(cli("features:info", "preboot", "-a", "shop"),
       "=== preboot\n\nDescription: About preboot\nEnabled:     false\nState:       general\n")
    api.on("PATCH", one, feature(enabled=True))
    ok(cli("features:enable", "preboot", "-a", "shop"), "", "Enabling preboot for shop... done\n")
    assert sent(api, "PATCH", one) == {"enabled": True}
    r = cli("features:disable", "preboot", "-a", "shop")
    assert r.code == 2 and "preboot is already disabled." in r.err


def test_labs(cli, api):
    api.on("GET", "/account/features", [feature("mine", True, "beta")])
    api.on("GET", "/apps/shop/features", [feature("theirs", state="beta"), feature()])
    assert ok(cli("labs")).out == "=== User Features me@example.org\n\n[+]  mine  About mine\n"
    out = ok(cli("labs", "-a", "shop")).out
    assert "=== App Features shop\n\n[ ]  theirs  About theirs\n" in out and "preboot" not in out
    assert [f["name"] for f in json.loads(ok(cli("labs", "-a", "shop", "--json")).out)["app"]] == ["theirs"]
    api.on("GET", "/account/features/mine", feature("mine", state="beta"))
    api.on("PATCH", "/account/features/mine", feature("mine", True, "beta"))
    ok(cli("labs:enable", "mine"), "", "Enabling mine... done\n")
    # not the account's: the app's
    api.on("GET", "/apps/shop/features/theirs", feature("theirs", state="beta"))
    api.on("PATCH", "/apps/shop/features/theirs", feature("theirs", state="beta"))
    ok(cli("labs:disable", "theirs", "-a", "shop"), "", "Disabling theirs for shop... done\n")
    assert sent(api, "PATCH", "/apps/shop/features/theirs") == {"enabled": False}
    assert cli("labs:info", "nothing").code == 4


# --- drains, webhooks -----------------------------------------------------------------------
def test_drains(cli, api):
    drain = {"id": uid(1), "url": "syslog://l.example:514", "token": "d.1", "addon": None}
    api.on("GET", "/apps/shop/log-drains", [])
    ok(cli("drains", "-a", "shop"), "shop has no drains.\n")
    api.on("GET", "/apps/shop/log-drains", [drain])
    ok(cli("drains", "-a", "shop"), "=== Drains\n\nsyslog://l.example:514  d.1\n")
    api.on("POST", "/apps/shop/log-drains", (201, drain))
    ok(cli("drains:add", drain["url"], "-a", "shop"), "Successfully added drain syslog://l.example:514\n")
    assert sent(api, "POST", "/apps/shop/log-drains") == {"url": drain["url"]}
    api.on("DELETE", "/apps/shop/log-drains/syslog%3A%2F%2Fl.example%3A514", drain)
    ok(cli("drains:remove", drain["url"], "-a", "shop"), "Successfully removed drain syslog://l.example:514\n")


def webhook():
    return {"id": uid(800), "url": "https://h.example/x", "include": ["api:release", "dyno"], "level": "notify",
            "app": {"id": uid(1), "name": "shop"}, "created_at": TIME, "updated_at": TIME}


def test_webhooks(cli, api):
    base, one = "/apps/shop/webhooks", "/apps/shop/webhooks/" + uid(800)
    api.on("GET", base, [webhook()])
    assert ok(cli("webhooks", "-a", "shop")).out.splitlines()[1].startswith(
        "%s  https://h.example/x  api:release, dyno  notify  " % uid(800))
    api.on("POST", base, (201, webhook(), {"Heroku-Webhook-Secret": "hush"}))
    ok(cli("webhooks:add", "-a", "shop", "-i", "api:release,dyno", "-l", "notify", "-u", "https://h.example/x", "-t", "Bearer z"),
       "=== Webhooks Signing Secret\n\nhush\n", "Adding webhook to shop... done\n")
    assert sent(api, "POST", base) == {"include": ["api:release", "dyno"], "level": "notify",
                                       "url": "https://h.example/x", "authorization": "Bearer z"}
    assert json.loads(ok(cli("webhooks:add", "-a", "shop", "-i", "dyno", "-l", "sync", "-u", "https://h.example/x",
                             "--json")).out)["secret"] == "hush"
    assert "Missing required flag url" in cli("webhooks:add", "-a", "shop", "-i", "dyno", "-l", "sync").err
    api.on("GET", one, webhook())
    assert "Include:    api:release, dyno\n" in ok(cli("webhooks:info", uid(800), "-a", "shop")).out
    api.on("PATCH", one, webhook())
    ok(cli("webhooks:update", uid(800), "-a", "shop", "-i", "dyno", "-l", "sync", "-u", "https://h.example/y"))
    api.on("DELETE", one, webhook())
    ok(cli("webhooks:remove", uid(800), "-a", "shop"), "", "Removing webhook %s from shop... done\n" % uid(800))


def test_webhook_deliveries_and_events(cli, api):
    delivery = {"id": uid(810), "created_at": TIME, "status": "failed", "num_attempts": 3, "next_attempt_at": None,
                "event": {"id": uid(820), "include": "dyno"}, "webhook": {"id": uid(800), "level": "sync"},
                "last_attempt": {"code": 500, "error_class": None, "status": "failed"}}
    event = {"id": uid(820), "include": "dyno", "created_at": TIME,
             "payload": {"action": "update", "resource": "dyno", "data": {"name": "web.1"}}}
    api.on("GET", "/apps/shop/webhook-deliveries", [delivery])
    api.on("GET", "/apps/shop/webhook-deliveries/" + uid(810), delivery)
    api.on("GET", "/apps/shop/webhook-events", [event])
    api.on("GET", "/apps/shop/webhook-events/" + uid(820), event)
    assert re.search("failed +dyno +sync +3 +500", ok(cli("webhooks:deliveries", "-a", "shop", "-s", "failed")).out)
    (req,) = api.seen("GET", "/apps/shop/webhook-deliveries")
    assert req.query == "eq[status]=failed" and req.headers["range"] == "seq ..; order=desc,max=1000"
    out = ok(cli("webhooks:deliveries:info", uid(810), "-a", "shop")).out
    assert re.search("^Code: +500$", out, re.M) and '"web.1"' in out
    assert "dyno" in ok(cli("webhooks:events", "-a", "shop")).out
    assert '"web.1"' in ok(cli("webhooks:events:info", uid(820), "-a", "shop")).out


# --- domains --------------------------------------------------------------------------------
def domain(name="www.example.com", kind="custom", **more):
    return {"id": uid(900), "hostname": name, "kind": kind, "cname": "t.example", "sni_endpoint": None,
            "acm_status": None, "acm_status_reason": None, "app": {"id": uid(1), "name": "shop"}, "created_at": TIME,
            "updated_at": TIME, "status": "none", **more}


def test_domains(cli, api):
    base, one = "/apps/shop/domains", "/apps/shop/domains/www.example.com"
    api.on("GET", base, [domain(), domain("shop.localhost", "heroku", cname=None)])
    ok(cli("domains", "-a", "shop"),
       "=== shop Heroku Domain\n\nshop.localhost\n\n=== shop Custom Domains\n\n"
       "Domain Name      DNS Target  SNI Endpoint  ACM\nwww.example.com  t.example\n")
    ok(cli("domains", "-a", "shop", "--csv"),
       "Domain Name,DNS Target,SNI Endpoint,ACM\nwww.example.com,t.example,,\n")
    assert api.seen("GET", base)[0].headers["range"] == "id ..; max=1000;"
    api.on("GET", "/apps/shop/sni-endpoints", [])
    api.on("POST", base, (201, domain()))
    r = ok(cli("domains:add", "www.example.com", "-a", "shop"))
    assert "DNS Target t.example.\n" in r.out and r.err == "Adding www.example.com to shop... done\n"
    assert sent(api, "POST", base) == {"hostname": "www.example.com", "sni_endpoint": None}
    api.on("GET", one, domain())
    assert "hostname:   www.example.com\n" in ok(cli("domains:info", "www.example.com", "-a", "shop")).out
    api.on("PATCH", one, domain())
    ok(cli("domains:update", "www.example.com", "--cert", "tokyo-1050", "-a", "shop"))
    assert sent(api, "PATCH", one) == {"sni_endpoint": "tokyo-1050"}
    api.on("DELETE", one, domain())
    ok(cli("domains:remove", "www.example.com", "-a", "shop"))
    ok(cli("domains:clear", "-a", "shop"))
    assert len(api.seen("DELETE", one)) == 2 and not api.seen("DELETE", "/apps/shop/domains/shop.localhost")


def test_domains_wait(cli, api):
    api.on("GET", "/apps/shop/domains/www.example.com", domain(status="succeeded"))
    api.on("GET", "/apps/shop/domains/" + uid(900), domain(status="succeeded"))
    ok(cli("domains:wait", "www.example.com", "-a", "shop"), "", "Waiting for www.example.com... done\n")
    api.on("GET", "/apps/shop/domains/" + uid(900), domain(status="failed"))
    r = cli("domains:wait", "www.example.com", "-a", "shop")
    assert r.code == 1 and "finished with status failed" in r.err


# --- certificates ---------------------------------------------------------------------------
def endpoint(name="tokyo-1050", **more):
    return {"id": uid(950), "name": name, "display_name": None, "domains": [uid(900)], "certificate_chain": "PEM",
            "app": {"id": uid(1), "name": "shop"}, "created_at": TIME, "updated_at": TIME,
            "ssl_cert": {"ca_signed?": True, "self_signed?": False, "cert_domains": ["www.example.com", "*.example.org"],
                         "expires_at": TIME, "starts_at": TIME, "issuer": "/CN=CA", "subject": "/CN=www", "id": uid(951)},
            **more}


@pytest.fixture
def pem(cli):
    for name, text in (("a.crt", "-----BEGIN CERTIFICATE-----\nx\n"), ("a.key", "-----BEGIN PRIVATE KEY-----\ny\n")):
        with open(os.path.join(cli.cwd, name), "w", encoding="utf-8") as f:
            f.write(text)
    return {"certificate_chain": "-----BEGIN CERTIFICATE-----\nx\n", "private_key": "-----BEGIN PRIVATE KEY-----\ny\n"}


def test_certs(cli, api, pem):
    base, one = "/apps/shop/sni-endpoints", "/apps/shop/sni-endpoints/tokyo-1050"
    api.on("GET", base, [endpoint()])
    assert re.split("  +", ok(cli("certs", "-a", "shop")).out.splitlines()[1]) == [
        "tokyo-1050", "www.example.com, *.example.org", TIME, "true", "1"]
    api.on("GET", "/apps/shop/domains", [domain(), domain("a.example.org"), domain("x.y.example.org"),
                                         domain("shop.localhost", "heroku")])
    for host in ("www.example.com", "a.example.org"):
        api.on("PATCH", "/apps/shop/domains/" + host, domain(host))
    api.on("POST", base, (201, endpoint()))
    r = ok(cli("certs:add", "a.crt", "a.key", "-a", "shop"))
    assert sent(api, "POST", base) == pem
    assert "Serving www.example.com with tokyo-1050... done\nServing a.example.org" in r.err
    assert "SSL certificate is verified by a root authority.\n" in r.out and "PRIVATE" not in r.out + r.err
    assert "give the certificate first" in cli("certs:add", "a.key", "a.crt", "-a", "shop").err
    api.on("GET", one, endpoint())
    api.on("GET", "/apps/shop/domains/" + uid(900), domain())
    assert "Domain: www.example.com\n" in ok(cli("certs:info", "--show-domains", "-a", "shop")).out
    api.on("PATCH", one, endpoint())
    ok(cli("certs:update", "a.crt", "a.key", "-a", "shop", "--confirm", "shop"))
    api.on("DELETE", one, endpoint())
    assert cli("certs:remove", "-a", "shop", "--confirm", "other").code == 1
    ok(cli("certs:remove", "-a", "shop", "--confirm", "shop"))
    api.on("GET", base, [endpoint(), endpoint("oslo-1")])
    assert "say which with --name" in cli("certs:info", "-a", "shop").err
    api.on("GET", base, [])
    assert cli("certs:info", "-a", "shop").code == 4


def test_certs_generate(cli):
    ok(cli("certs:generate", "www.example.com", "--selfsigned"))
    text = subprocess.run(["openssl", "x509", "-in", cli.cwd + "/www.example.com.crt", "-noout", "-subject", "-ext",
                           "subjectAltName"], capture_output=True, text=True, check=True).stdout
    assert "www.example.com" in text and "DNS:www.example.com" in text
    assert os.stat(cli.cwd + "/www.example.com.key").st_mode & 0o077 == 0
    ok(cli("certs:generate", "*.example.com"))
    assert os.path.exists(cli.cwd + "/_.example.com.csr")
    assert cli("certs:generate", "www.example.com").code == 5
    for bad in ("a/CN=b", "-x509", "a b", "../x"):
        assert cli("certs:generate", "--", bad).code == 2


def test_certs_auto(cli, api):
    api.on("GET", "/apps/shop", app())
    ok(cli("certs:auto", "-a", "shop"), "=== Automatic Certificate Management is disabled on shop\n\n")
    api.on("GET", "/apps/shop", app(acm=True))
    api.on("GET", "/apps/shop/domains", [domain(acm_status="cert issued")])
    assert "cert issued" in ok(cli("certs:auto", "-a", "shop")).out
    for method in ("POST", "PATCH", "DELETE"):
        api.on(method, "/apps/shop/acm", app())
    ok(cli("certs:auto:enable", "-a", "shop"))
    ok(cli("certs:auto:refresh", "-a", "shop"))
    ok(cli("certs:auto:disable", "-a", "shop", "--confirm", "shop"))
    assert sent(api, "PATCH", "/apps/shop/acm") == {"acm_refresh": True}


# --- builds, releases, buildpacks -----------------------------------------------------------
class Uploads:
    """POST /sources and the PUT that follows, which carries no token."""

    def __init__(self, api):
        self.body = None
        url = api.url + "/up/secret"
        api.on("POST", "/sources", (201, {"source_blob": {"put_url": url, "get_url": api.url + "/down/secret"}}))
        api.on_open("PUT", "/up/secret", self.put)
        api.on("POST", "/apps/shop/builds", lambda req: (201, build(1, "pending", output_stream_url=api.url + "/out")))
        api.on_open("GET", "/out", b"-----> Building\n")
        api.on("GET", "/apps/shop/builds/" + uid(401), build(1))

    def put(self, req):
        assert "authorization" not in req.headers
        self.body = req.body
        return (200, b"")


def names_in(tarball, tmp_path):
    path = tmp_path / "got.tar.gz"
    path.write_bytes(tarball)
    return sorted(subprocess.run(["tar", "-tzf", str(path)], capture_output=True, text=True,
                                 check=True).stdout.split())


def test_builds_create(cli, api, tmp_path):
    up = Uploads(api)
    os.makedirs(cli.cwd + "/sub")
    for name in ("Procfile", "sub/a", "ignored.o"):
        with open(os.path.join(cli.cwd, name), "w", encoding="utf-8") as f:
            f.write(name)
    ok(cli("builds:create", "-a", "shop"), "-----> Building\n", "Uploading .... done\n")
    assert names_in(up.body, tmp_path) == ["./", "./Procfile", "./ignored.o", "./sub/", "./sub/a"]
    assert api.seen("POST", "/apps/shop/builds")[0].json == {"source_blob": {"url": api.url + "/down/secret"}}
    # a checkout: what git sees, and its commit
    cli.git("init", "-q")
    with open(cli.cwd + "/.gitignore", "w", encoding="utf-8") as f:
        f.write("*.o\n")
    cli.git("add", "-A")
    cli.git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x")
    head = cli.git("rev-parse", "HEAD").strip()
    r = ok(cli("builds:create", cli.cwd, "-a", "shop", "--json"))
    assert json.loads(r.out)["status"] == "pending"
    assert names_in(up.body, tmp_path) == [".gitignore", "Procfile", "sub/a"]
    assert api.seen("POST", "/apps/shop/builds")[1].json["source_blob"]["version"] == head
    # a tarball, and a URL
    with open(cli.cwd + "/x.tgz", "wb") as f:
        f.write(b"bytes")
    ok(cli("builds:create", "x.tgz", "--version", "1.2", "-a", "shop"))
    assert up.body == b"bytes"
    ok(cli("builds:create", "--source-url", "https://e.example/x.tgz", "-a", "shop"))
    assert api.seen("POST", "/apps/shop/builds")[3].json["source_blob"] == {"url": "https://e.example/x.tgz"}
    assert [n for n in os.listdir(cli.home) if n.startswith("paasctl-")] == []
    api.on("GET", "/apps/shop/builds/" + uid(401), build(1, "failed"))
    assert cli("builds:create", "x.tgz", "-a", "shop").code == 6


def test_cache_purge(cli, api):
    api.on("DELETE", "/apps/shop/build-cache", {})
    ok(cli("builds:cache:purge", "-a", "shop"), "", "Purging the build cache of shop... done\n")


def test_retry(cli, api):
    api.on("GET", "/apps/shop/releases", [release(3, slug={"id": uid(5)}, description="Deploy abc", status="failed")])
    api.on("GET", "/apps/shop/formation", [formation()])
    assert "must have a release-phase command" in cli("releases:retry", "-a", "shop").err
    api.on("GET", "/apps/shop/formation", [formation(), formation("release", 0)])
    api.on("POST", "/apps/shop/releases", (201, release(4)))
    ok(cli("releases:retry", "-a", "shop"), "", "Retrying v3 on shop... done, v4\n")
    assert sent(api, "POST", "/apps/shop/releases") == {"description": "Retry of v3: Deploy abc", "slug": uid(5)}


PACK = {"namespace": "heroku", "name": "ruby", "description": "Ruby", "category": "languages",
        "blob_url": "https://r.example/buildpacks/heroku/ruby.tgz", "support": {"method": "x", "address": "y"},
        "source": {"type": "git", "owner": "heroku", "repo": "ruby"}}


def test_buildpack_registry(cli, api):
    api.on_open("GET", "/buildpacks", [PACK])
    api.on_open("GET", "/buildpacks/heroku%2Fruby", PACK)
    api.on_open("GET", "/buildpacks/heroku%2Fruby/revisions",
                [{"release": 3, "created_at": TIME, "status": "published", "license": "MIT"}])
    assert ok(cli("buildpacks:search", "ruby")).out.splitlines()[1:] == ["heroku     ruby  languages  Ruby"]
    assert [r.query for r in api.seen("GET", "/buildpacks")] == [
        "in[namespace][]=ruby", "in[name][]=ruby", "like[description]=ruby"]
    assert all("authorization" not in r.headers for r in api.seen("GET", "/buildpacks"))
    assert "Description: Ruby\n" in ok(cli("buildpacks:info", "heroku/ruby")).out
    assert "published" in ok(cli("buildpacks:versions", "heroku/ruby")).out
    api.on("GET", "/apps/shop/buildpack-installations", [])
    api.on("PUT", "/apps/shop/buildpack-installations", [])
    ok(cli("buildpacks:add", "heroku/ruby", "-a", "shop"))
    assert sent(api, "PUT", "/apps/shop/buildpack-installations") == {"updates": [{"buildpack": PACK["blob_url"]}]}
    api.on_open("GET", "/buildpacks/no%2Fsuch", not_found("buildpack"))
    r = cli("buildpacks:add", "no/such", "-a", "shop")
    assert r.code == 4 and "no/such is not in the buildpack registry." in r.err


# --- --json of what changes things ----------------------------------------------------------
@pytest.mark.parametrize("method, path, args", [
    ("POST", "/apps", ["apps:create", "shop"]),
    ("PATCH", "/apps/shop", ["maintenance:on", "-a", "shop"]),
    ("DELETE", "/apps/shop/dynos", ["ps:restart", "-a", "shop"]),
    ("POST", "/apps/shop/dynos/web.1/actions/stop", ["ps:stop", "web.1", "-a", "shop"]),
    ("DELETE", "/apps/shop/builds/" + uid(401), ["builds:cancel", uid(401), "-a", "shop"]),
    ("POST", "/apps/shop/collaborators", ["access:add", "a@b.c", "-a", "shop"]),
    ("POST", "/apps/shop/log-drains", ["drains:add", "https://x.example", "-a", "shop"]),
])
def test_changes_as_json(cli, api, method, path, args):
    answer = {"id": uid(1), "name": "shop", "mark": "of this answer"}
    api.on("GET", "/apps/shop/builds/" + uid(401), build(1, "pending"))
    api.on(method, path, answer)
    r = ok(cli(*args, "--json"))
    assert json.loads(r.out) == answer


def test_more_changes_as_json(cli, api):
    api.on("PATCH", "/apps/shop/config-vars", {"A": "1"})
    api.on("GET", "/apps/shop/releases", [release(2)])
    assert json.loads(ok(cli("config:set", "A=1", "-a", "shop", "--json")).out) == {"A": "1"}
    assert json.loads(ok(cli("config:unset", "B", "-a", "shop", "--json")).out) == {"A": "1"}
    api.on("PATCH", "/apps/shop/formation", [formation()])
    api.on("GET", "/apps/shop/formation", [formation()])
    for args in (["ps:scale", "web=1"], ["ps:scale"], ["ps:type"], ["ps:type", "basic"]):
        assert json.loads(ok(cli(*args, "-a", "shop", "--json")).out)[0]["type"] == "web"
    api.on("POST", "/apps/shop/releases", (201, release(3)))
    api.on("GET", "/apps/shop/releases/1", release(1))
    assert json.loads(ok(cli("rollback", "v1", "-a", "shop", "--json")).out)["version"] == 3
    api.on("POST", "/apps/shop/dynos", (201, {"name": "run.1"}))
    assert json.loads(ok(cli("run:detached", "ls", "-a", "shop", "--json")).out) == {"name": "run.1"}
    assert json.loads(ok(cli("whoami", "--json")).out)["email"] == EMAIL
    assert json.loads(ok(cli("auth:token", "--json")).out) == {"token": TOKEN}
