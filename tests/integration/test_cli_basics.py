"""paasctl: usage, login and netrc, errors, which app. Against a fake API."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fake_api import ACCOUNT, EMAIL, TOKEN, FakeApi, app, not_found, uid  # noqa: E402
from paasctl import ROOT, anon, api, cli, ok  # noqa: E402,F401


def netrc(cli):
    return os.path.join(cli.home, ".netrc")


# --- usage ----------------------------------------------------------------------------------
def test_docs_are_in_step_with_the_command_table(cli):
    with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as f:
        assert f.read() == cli("help", "--markdown").out, "run: build/paasctl help --markdown > docs/cli.md"


def test_help(cli, api):
    overview = cli("help")
    assert overview.code == 0 and "\n  releases " in overview.out
    assert "releases:rollback" in cli("help", "releases").out and "releases:rollback" in cli("commands").out
    assert cli().out == overview.out == cli("--help").out
    one = cli("rollback", "--help")
    assert one.code == 0 and "USAGE\n  $ paasctl releases:rollback [RELEASE]" in one.out
    assert cli("help", "rollback").out == one.out
    assert "$ paasctl rollback" in one.out
    assert api.requests == []


def commands(cli):
    return json.loads(cli("commands", "--json").out)


def test_every_command_has_help_with_an_example(cli):
    for c in commands(cli):
        r = cli(c["id"], "--help")
        assert r.code == 0 and r.out.startswith(c["summary"] + "\n"), r
        assert "EXAMPLES\n  $ paasctl " in r.out, c["id"]
        for alias in c["aliases"]:
            assert cli(alias, "--help").out == r.out


# Streams, scripts and conversations: their output is theirs.
WITHOUT_JSON = {"apps:errors", "builds:output", "certs:generate", "completion", "config:edit", "console",
                "git:clone", "git:credentials", "help", "logout", "parity:install", "pg:kill", "pg:psql", "pg:pull",
                "pg:push", "pg:tunnel", "rake", "redis:cli", "releases:output", "run", "run:inside"}


def test_json_is_everywhere_but_where_it_cannot_be(cli):
    without = {c["id"] for c in commands(cli) if "--json" not in cli(c["id"], "--help").out}
    assert without == WITHOUT_JSON


def test_help_of_topics_and_mistakes(cli):
    assert "webhooks:deliveries:info" in cli("help", "webhooks").out
    r = cli("help", "webhok")
    assert r.code == 2 and "webhok is not a paasctl command (did you mean webhooks?)" in r.err


def test_the_manual_page(cli, tmp_path):
    page = tmp_path / "paasctl.1"
    page.write_text(ok(cli("help", "--man")).out)
    r = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, timeout=60,
                       env={**cli.env, "MANWIDTH": "100"})
    assert r.returncode == 0 and r.stderr == ""
    for c in commands(cli):
        assert re.search(r"^ +%s$" % re.escape(c["id"]), r.stdout, re.M), c["id"]


def test_mistyped_command(cli):
    r = cli("aps")
    assert (r.code, r.out) == (2, "")
    assert r.err == " ›   Error: aps is not a paasctl command.\n ›   Did you mean apps?\n"


@pytest.mark.parametrize("name, why", [("usage:addons", "Nothing is metered"), ("data:pg:info", "paasctl pg"), ("teams", "no teams"),
                                       ("ci:run", "no CI"), ("clients", "paasctl authorizations"), ("production", "parity:install")])
def test_topics_of_the_heroku_cli_that_are_not_here(cli, name, why):
    r = cli(name)
    assert r.code == 2 and "%s is not a paasctl command." % name in r.err and why in r.err and "Did you mean" not in r.err


def test_mistyped_flag(cli):
    r = cli("logs", "--tial", "-a", "shop")
    assert r.code == 2
    assert " ›   Error: Nonexistent flag: --tial (did you mean --tail?)\n" in r.err


def test_version(cli):
    assert cli("version").out.startswith("paasctl/")
    assert cli("--version").out == cli("version").out


def test_options_before_the_command(api, anon):
    r = anon("--api-url", api.url, "-a", "shop", "maintenance",
             env={"PAASCTL_API_URL": "http://127.0.0.1:1", "PAASCTL_API_KEY": TOKEN})
    assert r.code == 4 and api.seen("GET", "/apps/shop")


# --- requests and errors --------------------------------------------------------------------
def test_request_headers(cli, api):
    assert cli("whoami").out == EMAIL + "\n"
    h = api.requests[0].headers
    assert h["accept"] == "application/vnd.heroku+json; version=3"
    assert h["authorization"] == "Bearer " + TOKEN
    assert h["user-agent"].startswith("paasctl/")


def test_api_errors(cli, api):
    api.on("GET", "/apps/shop", not_found())
    r = cli("apps:open", "-a", "shop")
    assert r.code == 4
    assert r.err == " ›   Error: Couldn't find that app.\n ›\n ›   Error ID: not_found\n"


@pytest.mark.parametrize("status, wire, code", [
    (422, "invalid_params", 2), (403, "forbidden", 3), (409, "conflict", 5), (429, "rate_limit", 7),
    (503, "service_unavailable", 7), (500, "internal_server_error", 1), (410, "something_new", 2),
    (503, "something_new", 7)])
def test_exit_status_of_api_errors(cli, api, status, wire, code):
    api.on("GET", "/apps/shop", (status, {"id": wire, "message": "No."}))
    assert cli("apps:open", "-a", "shop").code == code


def test_an_answer_that_is_not_the_apis(cli, api):
    api.on("GET", "/apps/shop", (502, b"<html>bad gateway</html>", {"Content-Type": "text/html"}))
    r = cli("apps:open", "-a", "shop")
    assert r.code == 7 and r.err == " ›   Error: HTTP Error 502 for GET %s/apps/shop\n" % api.url
    api.on("GET", "/apps/shop", (200, b"{broken"))
    assert cli("apps:open", "-a", "shop").code == 1


def test_unreachable(cli):
    r = cli("apps", env={"PAASCTL_API_URL": "http://127.0.0.1:1"})
    assert r.code == 7
    assert "could not reach http://127.0.0.1:1: is paasd running?" in r.err


def test_bad_address(cli):
    for url in ("ftp://x", "localhost:8080", "http://x/path", "http://x:99999"):
        r = cli("apps", env={"PAASCTL_API_URL": url})
        assert r.code == 2 and "is not an address of a platform" in r.err, r


def test_not_logged_in(anon, api):
    r = anon("apps")
    assert r.code == 3 and "Log in with: paasctl login" in r.err
    assert api.requests == []
    r = anon("whoami")
    assert (r.code, r.err) == (100, "not logged in\n")


def test_invalid_key(anon):
    r = anon("apps", env={"PAASCTL_API_KEY": "wrong"})
    assert r.code == 3
    assert "Invalid credentials provided." in r.err and "PAASCTL_API_KEY" in r.err


def test_warnings_are_shown_once_and_clean(cli, api):
    warn = {"X-Heroku-Warning": "Warning: no isolation\x1b[2J here"}
    api.on("GET", "/users/~/apps", (200, [app()], warn))
    api.on("GET", "/account", (200, ACCOUNT, warn))
    r = cli("apps")
    assert r.err == " ›   Warning: no isolation?[2J here\n"


def test_paging_joins_the_parts(cli, api):
    names = ["app-%d" % i for i in range(5)]

    def page(req):
        at = {None: 0, "]id 1..; max=2": 2, "]id 3..; max=2": 4}[req.headers.get("range")]
        part = [app(n) for n in names[at:at + 2]]
        more = {"Next-Range": "]id %d..; max=2" % (at + 1)} if at < 4 else {}
        return (206 if more else 200, part, more)
    api.on("GET", "/users/~/apps", page)
    assert cli("apps").out == "=== %s Apps\n\n%s\n\n" % (EMAIL, "\n".join(names))


def test_debug_shows_no_secrets(cli, api):
    api.on("PATCH", "/apps/shop/config-vars", {"KEY": "s3cret"})
    api.on("GET", "/apps/shop/releases", [])
    r = cli("config:set", "KEY=s3cret", "-a", "shop", "--debug")
    assert "PATCH /apps/shop/config-vars -> 200" in r.err
    assert TOKEN not in r.err and "s3cret" not in r.err
    assert "PATCH" in cli("config:set", "KEY=x", "-a", "shop", env={"PAASCTL_DEBUG": "1"}).err


def test_names_from_the_server_cannot_command_the_terminal(cli, api):
    evil = "sh\x1b]0;owned\x07op"
    api.on("GET", "/users/~/apps", [app(evil), app("x", owner={"id": uid(9), "email": "a\x9bb@c"})])
    api.on("GET", "/apps/shop", (422, {"id": "invalid_params", "message": "bad \x1b[31m name"}))
    for r in (cli("apps"), cli("apps:open", "-a", "shop")):
        for text in (r.out, r.err):
            assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text


def test_redirects_keep_the_method(cli, api):
    api.on("PATCH", "/apps/old", (307, {}, {"Location": "/apps/new"}))
    api.on("PATCH", "/apps/new", app("new"))
    assert cli("maintenance:on", "-a", "old").code == 0
    assert api.seen("PATCH", "/apps/new")[0].json == {"maintenance": True}


def test_the_token_does_not_follow_to_another_host(cli, api):
    with FakeApi() as other:
        other.on("GET", "/apps/shop", app())
        api.on("GET", "/apps/shop", (302, {}, {"Location": other.url + "/apps/shop"}))
        cli("apps:open", "-a", "shop")
        assert "authorization" not in other.requests[0].headers


# --- login ----------------------------------------------------------------------------------
AUTHORIZATION = {"id": uid(7), "access_token": {"id": uid(8), "token": TOKEN, "expires_in": 2592000},
                 "user": {"id": ACCOUNT["id"], "email": EMAIL}, "scope": ["global"]}


def entry(host):
    return "machine %s\n  login %s\n  password %s\n" % (host, EMAIL, TOKEN)


def all_entries(api):
    p = api.port
    return "".join(entry(h) for h in ("127.0.0.1:%d" % p, "127.0.0.1", "localhost:%d" % p, "localhost"))


def test_login_interactive(anon, api):
    api.on("POST", "/oauth/authorizations", (201, AUTHORIZATION))
    others = "# mine\nmachine code.example\n\tlogin a  password b\n\nmacdef x\n  machine 127.0.0.1\n\n"
    with open(netrc(anon), "w", encoding="utf-8") as f:
        f.write(others)
    os.chmod(netrc(anon), 0o644)
    r = anon("login", stdin=EMAIL + "\nsecret\n")
    assert (r.code, r.out) == (0, "Logged in as %s\n" % EMAIL)
    sent = api.seen("POST", "/oauth/authorizations")[0].json
    assert sent["expires_in"] == 2592000 and sent["scope"] == ["global"]
    assert sent["description"].startswith("paasctl login from ")
    with open(netrc(anon), encoding="utf-8") as f:
        assert f.read() == others + all_entries(api)
    assert stat.S_IMODE(os.stat(netrc(anon)).st_mode) == 0o600
    assert sorted(os.listdir(anon.home)) == [".netrc", "work"]
    assert anon("whoami").out == EMAIL + "\n"


def test_login_again_replaces_in_place(anon, api):
    for _ in range(2):
        assert anon("login", "--token", stdin=TOKEN + "\n").code == 0
    with open(netrc(anon), encoding="utf-8") as f:
        assert f.read() == all_entries(api)


def test_login_refused(anon, api):
    api.on("POST", "/oauth/authorizations", (201, AUTHORIZATION))
    r = anon("login", stdin=EMAIL + "\nwrong\n")
    assert r.code == 3 and "Invalid credentials provided." in r.err
    assert not os.path.exists(netrc(anon))


def test_login_with_a_wrong_token_keeps_nothing(anon):
    assert anon("login", "--token", stdin="nonsense\n").code == 3
    assert not os.path.exists(netrc(anon))


def test_login_with_the_environments_key(cli):
    assert cli("login").out == "Logged in as %s\n" % EMAIL
    assert os.path.exists(netrc(cli))


def test_login_keeps_the_address(anon, api):
    env = dict(anon.env)
    del env["PAASCTL_API_URL"]
    anon.env = env
    assert anon("login", "--api-url", api.url + "/", "--token", stdin=TOKEN).code == 0
    assert anon("whoami").out == EMAIL + "\n"
    conf = os.path.join(anon.home, ".config", "paasctl", "config.json")
    with open(conf, "w", encoding="utf-8") as f:
        f.write("{")
    r = anon("whoami")
    assert r.code == 78 and "config.json, line 1" in r.err


def test_password_is_not_echoed(anon, api):
    api.on("POST", "/oauth/authorizations", (201, AUTHORIZATION))
    tty = anon.on_tty("login")
    try:
        tty.expect(rb"Email: ")
        tty.write(EMAIL.encode() + b"\n")
        tty.expect(rb"Password: ")
        tty.write(b"secret\n")
        assert tty.wait() == 0
        assert b"secret" not in tty.seen
        assert tty.modes() == tty.before
    finally:
        tty.close()


def test_interrupted_password_leaves_the_terminal_as_it_was(anon):
    tty = anon.on_tty("login")
    try:
        tty.expect(rb"Email: ")
        tty.write(EMAIL.encode() + b"\n")
        tty.expect(rb"Password: ")
        assert tty.modes() != tty.before
        tty.write(b"\x03")
        assert tty.wait() == -2
        assert tty.modes() == tty.before
    finally:
        tty.close()


def test_git_uses_the_netrc(anon, api):
    api.on("GET", "/apps/shop", app("shop", api))
    anon("login", "--token", stdin=TOKEN)
    anon.git("init", "-q")
    anon("git:remote", "-a", "shop")
    api.raw("GET", "/shop.git/info/refs", lambda req, conn: conn.sendall(
        b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    with pytest.raises(Exception):
        anon.git("-c", "core.askPass=true", "ls-remote", "paasd")
    import base64
    want = "Basic " + base64.b64encode(("%s:%s" % (EMAIL, TOKEN)).encode()).decode()
    assert want in [r.headers.get("authorization") for r in api.seen("GET", "/shop.git/info/refs")]


def test_logout(anon, api):
    anon("login", "--token", stdin=TOKEN)
    with open(netrc(anon), "a", encoding="utf-8") as f:
        f.write("machine keep login a password b\n")
    api.on("DELETE", "/oauth/sessions/~", not_found("session"))
    api.on("GET", "/oauth/authorizations", [
        {"id": uid(7), "access_token": {"token": TOKEN[:2] + "*" * 10 + TOKEN[-3:]}},
        {"id": uid(8), "access_token": {"token": "another"}}, {"id": uid(9), "access_token": None}])
    api.on("GET", "/oauth/authorizations/~", not_found("authorization"))
    api.on("DELETE", "/oauth/authorizations/" + uid(7), {})
    r = anon("logout")
    assert (r.code, r.err) == (0, "Logging out... done\n")
    assert api.seen("DELETE", "/oauth/authorizations/" + uid(7))
    assert not api.seen("DELETE", "/oauth/authorizations/" + uid(8))
    with open(netrc(anon), encoding="utf-8") as f:
        assert f.read() == "machine keep login a password b\n"


def test_logout_spares_the_default_authorization(anon, api):
    anon("login", "--token", stdin=TOKEN)
    own = {"id": uid(7), "access_token": {"token": TOKEN}}
    api.on("DELETE", "/oauth/sessions/~", {})
    api.on("GET", "/oauth/authorizations", [own])
    api.on("GET", "/oauth/authorizations/~", own)
    assert anon("logout").code == 0
    assert not api.seen("DELETE", "/oauth/authorizations/" + uid(7))


def test_logout_without_the_platform_forgets_all_the_same(anon):
    anon("login", "--token", stdin=TOKEN)
    with open(netrc(anon), encoding="utf-8") as f:
        text = f.read().replace("127.0.0.1:", "127.0.0.1:1\nlogin x password y\nmachine 127.0.0.1:")
    with open(netrc(anon), "w", encoding="utf-8") as f:
        f.write(text)
    r = anon("logout", env={"PAASCTL_API_URL": "http://127.0.0.1:1"})
    assert r.code == 0 and "not revoked" in r.err
    with open(netrc(anon), encoding="utf-8") as f:
        assert "127.0.0.1:1\n" not in f.read()


def test_git_credentials(cli, api):
    ask = "protocol=http\nhost=localhost:%d\n\n" % api.port
    assert cli("git:credentials", "get", stdin=ask).out == "username=paasd\npassword=%s\n" % TOKEN
    assert cli("git:credentials", "get", stdin="protocol=http\nhost=evil.example\n\n").out == ""
    assert cli("git:credentials", "store", stdin=ask).out == ""


# --- which app ------------------------------------------------------------------------------
def two_remotes(cli, api):
    cli.git("init", "-q")
    cli.git("remote", "add", "origin", "https://code.example/x.git")
    cli.git("remote", "add", "production", api.url + "/pipeline-demo-production.git")
    cli.git("remote", "add", "staging", "http://localhost:%d/pipeline-demo-staging.git" % api.port)


def test_several_remotes(cli, api):
    two_remotes(cli, api)
    r = cli("config")
    assert (r.code, r.out) == (2, "")
    assert r.err == """\
 ›   Error: Multiple apps in git remotes
 ›     Usage: --remote staging
 ›        or: --app pipeline-demo-staging
 ›     Your local git repository has more than 1 app referenced in git remotes.
 ›     Because of this, we can't determine which app you want to run this command against.
 ›     Specify the app you want with --app or --remote.
 ›     paasd remotes in repo:
 ›   pipeline-demo-production (production)
 ›   pipeline-demo-staging (staging)
"""
    assert api.requests == []


@pytest.mark.parametrize("args, env, config, want", [
    (("-r", "staging"), {}, None, "pipeline-demo-staging"),
    (("--remote=production",), {"HEROKU_APP": "envapp"}, None, "pipeline-demo-production"),
    (("-a", "flag", "-r", "staging"), {"PAASCTL_APP": "envapp"}, None, "flag"),
    ((), {"PAASCTL_APP": "envapp", "HEROKU_APP": "other"}, "staging", "envapp"),
    ((), {"HEROKU_APP": "envapp"}, None, "envapp"),
    ((), {}, "staging", "pipeline-demo-staging")])
def test_where_the_app_comes_from(cli, api, args, env, config, want):
    two_remotes(cli, api)
    if config:
        cli.git("config", "heroku.remote", config)
    api.on("GET", "/apps/%s/config-vars" % want, {"A": "1"})
    r = cli("config", *args, env=env)
    assert (r.code, r.out) == (0, "=== %s Config Vars\n\nA: 1\n" % want), r


def test_no_app(cli):
    r = cli("config")
    assert r.code == 2 and "Missing required flag app" in r.err and "--app NAME" in r.err
    r = cli("config", "-r", "nope")
    assert r.code == 2 and "remote nope not found" in r.err


def test_the_only_remote(cli, api):
    cli.git("init", "-q")
    cli.git("remote", "add", "prod", api.url + "/shop.git")
    api.on("GET", "/apps/shop/config-vars", {})
    assert cli("config").out == "=== shop Config Vars\n\n"
