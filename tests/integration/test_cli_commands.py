"""paasctl: what each command asks the API and what it prints. Against a fake API."""

import json
import os
import sys


sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fake_api import EMAIL, app, build, collaborator, dyno, formation, not_found, release, uid  # noqa: E402
from paasctl import api, cli, ok  # noqa: E402,F401

WHEN = "2026/01/31 12:00:00 +0000"


# --- apps -----------------------------------------------------------------------------------
def test_apps(cli, api):
    api.on("GET", "/users/~/apps", [])
    ok(cli("apps"), "You have no apps.\n")
    theirs = app("theirs", owner={"id": uid(9), "email": "you@example.org"})
    api.on("GET", "/users/~/apps", [app("zoo"), theirs, app("abc", region={"id": uid(4), "name": "eu"})])
    ok(cli("list"), "=== %s Apps\n\nabc (eu)\nzoo\n\n=== Collaborated Apps\n\n"
                    "theirs  you@example.org\n\n" % EMAIL)
    assert [a["name"] for a in json.loads(ok(cli("apps", "--json")).out)] == ["abc", "theirs", "zoo"]
    api.on("GET", "/apps", [app("any")])
    assert "any" in ok(cli("apps", "--all")).out


def test_create_generates_a_name_outside_a_repository(cli, api):
    api.on("POST", "/apps", (201, app("calm-river-1234")))
    ok(cli("create"), "http://calm-river-1234.localhost:8080/ | http://localhost:8080/calm-river-1234.git\n",
       "Creating app... done, calm-river-1234\n")
    assert api.seen("POST", "/apps")[0].json == {}


def test_create_adds_the_remote(cli, api):
    cli.git("init", "-q")
    api.on("POST", "/apps", lambda req: (201, app(req.json["name"], api)))
    ok(cli("apps:create", "shop-production", "-r", "production"), None, "Creating shop-production... done\n")
    ok(cli("apps:create", "shop-two"))
    ok(cli("apps:create", "shop-three", "--no-remote"))
    r = ok(cli("apps:create", "shop-four"))
    assert "there is a git remote paasd already" in r.err
    assert cli.git("remote", "-v").split("\n")[0::2] == [
        "paasd\t%s/shop-two.git (fetch)" % api.url, "production\t%s/shop-production.git (fetch)" % api.url, ""]


def test_create_with_everything(cli, api):
    api.on("POST", "/apps", (201, app("shop")))
    api.on("PUT", "/apps/shop/buildpack-installations", [])
    r = ok(cli("apps:create", "shop", "--region", "us", "--stack", "heroku-24", "-b", "ruby", "--json"))
    assert r.err == ("Creating shop... done, region is us, stack is heroku-24\n"
                     "Setting buildpack to ruby... done\n")
    assert json.loads(r.out)["name"] == "shop"
    assert api.seen("POST", "/apps")[0].json == {"name": "shop", "region": "us", "stack": "heroku-24"}
    assert api.seen("PUT", "/apps/shop/buildpack-installations")[0].json == {"updates": [{"buildpack": "ruby"}]}


def test_create_refused(cli, api):
    cli.git("init", "-q")
    api.on("POST", "/apps", (422, {"id": "invalid_params", "message": "Name shop is already taken"}))
    r = cli("create", "shop")
    assert (r.code, r.out) == (2, "")
    assert r.err == ("Creating shop... !\n ›   Error: Name shop is already taken\n ›\n"
                     " ›   Error ID: invalid_params\n")
    assert cli.git("remote") == ""


INFO = """\
=== shop

Addons:         heroku-postgresql:mini
Auto Cert Mgmt: false
Collaborators:  you@example.org
Dynos:          web: 2
                worker: 1
Git URL:        http://localhost:8080/shop.git
Owner:          me@example.org
Pipelines:      shops - production
Region:         us
Repo Size:      0 B
Slug Size:      2.0 KB
Stack:          heroku-24
Web URL:        http://shop.localhost:8080/
"""


def test_info(cli, api):
    api.on("GET", "/apps/shop", app())
    api.on("GET", "/apps/shop/addons", [{"plan": {"name": "heroku-postgresql:mini"}}])
    api.on("GET", "/apps/shop/dynos", [dyno("web.1"), dyno("web.2"), dyno("worker.1")])
    api.on("GET", "/apps/shop/collaborators", [collaborator(), collaborator("you@example.org", "collaborator")])
    api.on("GET", "/apps/shop/pipeline-couplings", {"pipeline": {"name": "shops"}, "stage": "production"})
    ok(cli("apps:info", "-a", "shop"), INFO)
    ok(cli("info", "shop"), INFO)
    shell = ok(cli("info", "shop", "-s")).out.splitlines()
    assert "git_url=http://localhost:8080/shop.git" in shell and "dynos='web: 2, worker: 1'" in shell
    assert json.loads(ok(cli("info", "shop", "--json")).out)["app"]["name"] == "shop"


def test_info_without_the_parts(cli, api):
    api.on("GET", "/apps/shop", app())
    out = ok(cli("info", "shop")).out
    assert out.startswith("=== shop\n\nAddons:         \n") and "Pipelines" not in out


def test_destroy(cli, api):
    cli.git("init", "-q")
    cli.git("remote", "add", "a", api.url + "/shop.git")
    cli.git("remote", "add", "b", api.url + "/other.git")
    api.on("GET", "/apps/shop", app())
    api.on("DELETE", "/apps/" + uid(1), app())
    r = cli("destroy", "-a", "shop", stdin="shopp\n")
    assert r.code == 1 and "Confirmation shopp did not match shop. Aborted." in r.err
    assert "To proceed, type shop or re-run this command with --confirm shop" in r.err
    r = cli("destroy", "-a", "shop", "--confirm", "other")
    assert r.code == 1 and not api.seen("DELETE", "/apps/" + uid(1))
    r = ok(cli("destroy", "-a", "shop", stdin="shop\n"))
    assert r.err.endswith("Destroying shop (including all add-ons)... done\n")
    assert cli.git("remote") == "b\n"
    ok(cli("apps:destroy", "--confirm", "shop"))
    ok(cli("apps:destroy", "shop", "--confirm", "shop"))
    assert len(api.seen("DELETE", "/apps/" + uid(1))) == 3


def test_rename_moves_the_remotes(cli, api):
    cli.git("init", "-q")
    cli.git("remote", "add", "prod", api.url + "/shop.git")
    api.on("GET", "/apps/shop", app("shop", api))
    api.on("PATCH", "/apps/" + uid(1), app("store", api))
    r = ok(cli("rename", "store"))
    assert r.out == "http://store.localhost:8080/ | %s/store.git\n" % api.url
    assert "Git remote prod updated\n" in r.err
    assert r.err.startswith("Renaming shop to store... done\n")
    assert api.seen("PATCH", "/apps/" + uid(1))[0].json == {"name": "store"}
    assert cli.git("remote", "get-url", "prod") == api.url + "/store.git\n"


def test_open_prints_the_url(cli, api):
    api.on("GET", "/apps/shop", app())
    ok(cli("open", "-a", "shop"), "http://shop.localhost:8080/\n")
    ok(cli("open", "/a?b", "-a", "shop", env={"DISPLAY": ":0"}), "http://shop.localhost:8080/a?b\n")
    api.on("GET", "/apps/shop", app(web_url="file:///etc/passwd"))
    assert cli("open", "-a", "shop").code == 1


def test_maintenance(cli, api):
    api.on("GET", "/apps/shop", app(maintenance=True))
    api.on("PATCH", "/apps/shop", app())
    ok(cli("maintenance", "-a", "shop"), "on\n")
    ok(cli("maintenance:off", "-a", "shop"), "", "Disabling maintenance mode for shop... done\n")
    ok(cli("maintenance:on", "-a", "shop"), "", "Enabling maintenance mode for shop... done\n")
    assert [r.json for r in api.seen("PATCH", "/apps/shop")] == [{"maintenance": False}, {"maintenance": True}]


def test_git_remote(cli, api):
    api.on("GET", "/apps/shop", app("shop", api))
    assert cli("git:remote", "-a", "shop").code == 2
    cli.git("init", "-q")
    ok(cli("git:remote", "-a", "shop"), "set git remote paasd to %s/shop.git\n" % api.url)
    cli.git("remote", "add", "staging", "http://elsewhere/x.git")
    ok(cli("git:remote", "-a", "shop", "-r", "staging"))
    assert cli.git("remote", "get-url", "staging") == api.url + "/shop.git\n"
    api.on("GET", "/apps/none", not_found())
    assert cli("git:remote", "-a", "none").code == 4
    assert cli("git:remote").code == 2


# --- config ---------------------------------------------------------------------------------
VARS = {"LANG": "en", "RACK_ENV": "it's", "TEXT": "two\nlines\x1b[31m"}


def test_config(cli, api):
    api.on("GET", "/apps/shop/config-vars", VARS)
    ok(cli("config", "-a", "shop"), "=== shop Config Vars\n\nLANG:     en\nRACK_ENV: it's\n"
                                    "TEXT:     two\n          lines?[31m\n")
    ok(cli("config", "-a", "shop", "-s"), "LANG=en\nRACK_ENV='it'\\''s'\nTEXT=$'two\\x0alines\\x1b[31m'\n")
    assert json.loads(ok(cli("config", "-a", "shop", "-j")).out) == VARS


def test_config_get(cli, api):
    api.on("GET", "/apps/shop/config-vars", VARS)
    ok(cli("config:get", "TEXT", "-a", "shop"), VARS["TEXT"] + "\n")
    ok(cli("config:get", "LANG", "NONE", "-a", "shop"), "en\n\n")
    ok(cli("config:get", "LANG", "-s", "-a", "shop"), "LANG=en\n")
    assert cli("config:get", "-a", "shop").code == 2


def test_config_set(cli, api):
    def patch(req):
        return {**VARS, **req.json}
    api.on("PATCH", "/apps/shop/config-vars", patch)
    api.on("GET", "/apps/shop/releases", [release(7)])
    ok(cli("config:set", "A=1", "BB=x=y z", "-a", "shop"), "A:  1\nBB: x=y z\n",
       "Setting A, BB and restarting shop... done, v7\n")
    assert api.seen("PATCH", "/apps/shop/config-vars")[0].json == {"A": "1", "BB": "x=y z"}
    assert api.seen("GET", "/apps/shop/releases")[0].headers["range"] == "version ..; order=desc,max=1"
    for bad in ("A", "=1", "1A=x", "A-B=1", "A=" + "x" * 40000):
        r = cli("config:set", bad, "-a", "shop")
        assert r.code == 2, r
    assert len(api.seen("PATCH", "/apps/shop/config-vars")) == 1
    ok(cli("config:set", "A=", "-a", "shop"))


def test_config_unset(cli, api):
    api.on("PATCH", "/apps/shop/config-vars", {})
    api.on("GET", "/apps/shop/releases", [release(8)])
    ok(cli("config:unset", "A", "B", "-a", "shop"), "", "Unsetting A, B and restarting shop... done, v8\n")
    assert api.seen("PATCH", "/apps/shop/config-vars")[0].json == {"A": None, "B": None}


def editor(cli, script):
    path = os.path.join(cli.home, "editor")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + script)
    os.chmod(path, 0o755)
    return {"EDITOR": path + " --wait", "VISUAL": ""}


def test_config_edit(cli, api):
    before = {"A": "1", "B": "two\nlines \"q\" \\", "C": "3"}
    api.on("GET", "/apps/shop/config-vars", before)
    api.on("PATCH", "/apps/shop/config-vars", {})
    api.on("GET", "/apps/shop/releases", [release(9)])
    env = editor(cli, 'test "$1" = --wait || exit 1\ncp "$2" "$HOME/seen"; stat -c %a "$2" "$(dirname "$2")" > "$HOME/modes"\n'
                      'sed -i -e s/^A=1/A=9/ -e /^C=/d "$2"; printf \'%s\\n\' \'D="n\\ne w"\' >> "$2"\n')
    r = ok(cli("config:edit", "-a", "shop", env=env, stdin="y\n"))
    with open(os.path.join(cli.home, "seen"), encoding="utf-8") as f:
        assert f.read() == 'A=1\nB="two\\nlines \\"q\\" \\\\"\nC=3\n'
    with open(os.path.join(cli.home, "modes"), encoding="utf-8") as f:
        assert f.read() == "600\n700\n"
    assert api.seen("PATCH", "/apps/shop/config-vars")[0].json == {"A": "9", "C": None, "D": "n\ne w"}
    assert "- A=1\n" in r.out and "+ A=9\n" in r.out and "- C=3\n" in r.out and "B=" not in r.out
    assert r.err.endswith("Verifying new config... done\nUpdating config... done, v9\n")
    assert not [n for n in os.listdir(cli.home) if n.startswith("paasctl-")]


def test_config_edit_says_no(cli, api):
    api.on("GET", "/apps/shop/config-vars", {"A": "1"})
    assert cli("config:edit", "-a", "shop", env=editor(cli, 'echo A=2 > "$2"'), stdin="n\n").code == 1
    r = ok(cli("config:edit", "-a", "shop", env=editor(cli, "true")))
    assert "no changes to config" in r.err
    assert cli("config:edit", "-a", "shop", env=editor(cli, "exit 3"), stdin="y\n").code == 1
    r = cli("config:edit", "-a", "shop", env=editor(cli, 'echo nonsense > "$2"'), stdin="y\n")
    assert r.code == 2 and "line 1 is not KEY=value" in r.err
    assert not api.seen("PATCH", "/apps/shop/config-vars")


def test_config_edit_notices_other_changes(cli, api):
    api.on("GET", "/apps/shop/config-vars", {"A": "1"}, {"A": "1", "B": "new"})
    r = cli("config:edit", "-a", "shop", env=editor(cli, 'echo A=2 > "$2"'), stdin="y\n")
    assert r.code == 5 and "changed on the server" in r.err
    assert not api.seen("PATCH", "/apps/shop/config-vars")


def test_config_edit_one_key(cli, api):
    api.on("GET", "/apps/shop/config-vars", {"A": "1", "K": "x\ny"})
    api.on("PATCH", "/apps/shop/config-vars", {})
    api.on("GET", "/apps/shop/releases", [])
    ok(cli("config:edit", "K", "-a", "shop", env=editor(cli, 'echo z >> "$2"'), stdin="y\n"))
    assert api.seen("PATCH", "/apps/shop/config-vars")[0].json == {"K": "x\ny\nz"}


# --- ps -------------------------------------------------------------------------------------
def test_ps(cli, api):
    api.on("GET", "/apps/shop/dynos", [
        dyno("web.2"), dyno("worker.1", command="bin/work", state="crashed"), dyno("web.10"),
        dyno("run.99", command="bash", state="up"), dyno("web.1")])
    ok(cli("ps", "-a", "shop"), """\
=== run: one-off processes (1)

run.99 (Basic): up {0}: bash

=== web (Basic): bin/web (3)

web.1: up {0}
web.2: up {0}
web.10: up {0}

=== worker (Basic): bin/work (1)

worker.1: crashed {0}

""".format(WHEN))
    assert "worker" not in ok(cli("ps", "web", "-a", "shop")).out
    r = cli("ps", "nope", "-a", "shop")
    assert r.code == 1 and "No nope dynos on shop" in r.err
    assert len(json.loads(ok(cli("ps", "--json", "-a", "shop")).out)) == 5
    api.on("GET", "/apps/shop/dynos", [])
    ok(cli("ps", "-a", "shop"), "No dynos on shop\n")


def test_scale(cli, api):
    api.on("GET", "/apps/shop/formation", [formation("worker", 0), formation("web", 1)])
    ok(cli("scale", "-a", "shop"), "web=1:Basic worker=0:Basic\n")
    api.on("PATCH", "/apps/shop/formation", [formation("worker", 3), formation("web", 2), formation("clock", 1)])
    ok(cli("ps:scale", "web=2", "worker+1", "-a", "shop"), "",
       "Scaling dynos... done, now running web at 2:Basic, worker at 3:Basic\n")
    ok(cli("ps:scale", "my-type-1", "web=2:standard-1x", "-a", "shop"))
    assert [r.json["updates"] for r in api.seen("PATCH", "/apps/shop/formation")] == [
        [{"type": "web", "quantity": "2"}, {"type": "worker", "quantity": "+1"}],
        [{"type": "my-type", "quantity": "-1"}, {"type": "web", "quantity": "2", "size": "standard-1x"}]]
    for bad in ("web", "web=", "web=x", "=2", "web=2:", "web+", "we b=1", "web=99999999"):
        assert cli("ps:scale", bad, "-a", "shop").code == 2, bad
    assert len(api.seen("PATCH", "/apps/shop/formation")) == 2
    api.on("GET", "/apps/shop/formation", [])
    r = cli("ps:scale", "-a", "shop")
    assert r.code == 1 and "No process types on shop." in r.err


def test_type(cli, api):
    api.on("GET", "/apps/shop/formation", [formation("web", 1), formation("worker", 2)])
    api.on("PATCH", "/apps/shop/formation", [formation("web", 1), formation("worker", 2, size="Standard-1X")])
    ok(cli("ps:type", "-a", "shop"), "type    size   qty\nweb     Basic  1\nworker  Basic  2\n")
    assert "Standard-1X" in ok(cli("ps:type", "worker=standard-1x", "-a", "shop")).out
    ok(cli("ps:type", "basic", "-a", "shop"))
    assert [r.json["updates"] for r in api.seen("PATCH", "/apps/shop/formation")] == [
        [{"type": "worker", "size": "standard-1x"}],
        [{"type": "web", "size": "basic"}, {"type": "worker", "size": "basic"}]]
    assert cli("ps:type", "nope=basic", "-a", "shop").code == 2


def test_restart_and_stop(cli, api):
    for path in ("/dynos", "/dynos/web.1", "/formations/web"):
        api.on("DELETE", "/apps/shop" + path, (202, {}))
        api.on("POST", "/apps/shop" + path + "/actions/stop", (202, {}))
    ok(cli("restart", "-a", "shop"), "", "Restarting all dynos on shop... done\n")
    ok(cli("ps:restart", "web.1", "-a", "shop"), "", "Restarting dyno web.1 on shop... done\n")
    ok(cli("ps:restart", "-d", "web.1", "-a", "shop"))
    ok(cli("ps:restart", "-p", "web", "-a", "shop"), "", "Restarting all web dynos on shop... done\n")
    ok(cli("ps:stop", "web.1", "-a", "shop"), "", "Stopping dyno web.1 on shop... done\n")
    ok(cli("ps:stop", "-p", "web", "-a", "shop"), "", "Stopping all web dynos on shop... done\n")
    assert len(api.seen("DELETE", "/apps/shop/dynos/web.1")) == 2
    assert api.seen("POST", "/apps/shop/dynos/web.1/actions/stop")[0].headers["content-length"] == "0"
    assert cli("ps:stop", "-a", "shop").code == 2
    assert cli("ps:restart", "web.1", "-p", "web", "-a", "shop").code == 2


def test_wait(cli, api):
    old = dyno("web.1", release={"id": uid(1), "version": 3})
    new = dyno("web.1", release={"id": uid(1), "version": 4})
    api.on("GET", "/apps/shop/releases", [release(4)])
    api.on("GET", "/apps/shop/dynos", [old], [{**new, "state": "starting"}], [new, dyno("run.1")])
    ok(cli("ps:wait", "-a", "shop", "-w", "1"), "", "Waiting for every dyno to be running v4... 1 / 1, done\n")
    assert len(api.seen("GET", "/apps/shop/dynos")) == 3


# --- releases -------------------------------------------------------------------------------
RELEASES = [release(4, status="pending", description="Set A config vars"),
            release(3, current=True), release(2, eligible_for_rollback=False, status="failed"),
            release(1, description="Initial release", eligible_for_rollback=True)]


def test_releases(cli, api):
    api.on("GET", "/apps/shop/releases", RELEASES)
    ok(cli("releases", "-a", "shop"), """\
=== shop Releases - Current: v3

v4  Set A config vars release command executing  {0}  {1}
v3  Deploy 1a2b3c4d                              {0}  {1}
v2  Deploy 1a2b3c4d release command failed       {0}  {1}
v1  Initial release                              {0}  {1}
""".format(EMAIL, WHEN))
    assert api.seen("GET", "/apps/shop/releases")[0].headers["range"] == "version ..; max=15, order=desc"
    ok(cli("releases", "-n", "3", "--json", "-a", "shop"))
    assert "max=3," in api.seen("GET", "/apps/shop/releases")[1].headers["range"]
    assert cli("releases", "-n", "x", "-a", "shop").code == 2
    api.on("GET", "/apps/shop/releases", [])
    ok(cli("releases", "-a", "shop"), "shop has no releases.\n")


def test_partial_lists_do_not_follow_next_range(cli, api):
    api.on("GET", "/apps/shop/releases", (206, RELEASES, {"Next-Range": "]version 1..; max=15"}))
    ok(cli("releases", "-a", "shop"))
    assert len(api.seen("GET", "/apps/shop/releases")) == 1


def test_releases_info(cli, api):
    api.on("GET", "/apps/shop/releases/3", RELEASES[1])
    api.on("GET", "/apps/shop/releases", RELEASES[1:])
    api.on("GET", "/apps/shop/releases/3/config-vars", {"A": "1", "BB": "x y"})
    want = """\
=== Release v3

Add-ons:                {1}
By:                     {0}
Change:                 Deploy 1a2b3c4d
Eligible for Rollback?: Yes
Status:                 succeeded
When:                   2026-01-31T12:00:00Z

=== v3 Config vars

A:  1
BB: x y
""".format(EMAIL, "")
    ok(cli("releases:info", "v3", "-a", "shop"), want)
    ok(cli("releases:info", "3", "-a", "shop"), want)
    ok(cli("releases:info", "-a", "shop"), want)
    assert ok(cli("releases:info", "v3", "-s", "-a", "shop")).out.endswith("A=1\nBB='x y'\n")


def text_stream(*parts, status=b"200 OK"):
    def handler(req, conn):
        assert "authorization" not in req.headers
        conn.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        for part in parts:
            conn.sendall(part)
    return handler


def test_releases_output(cli, api):
    api.on("GET", "/apps/shop/releases/3", release(3, output_stream_url=api.url + "/out/secret"))
    api.on("GET", "/apps/shop/releases/2", release(2))
    api.raw("GET", "/out/secret", text_stream(b"Migrating\n", b"== done \x1b[32mok\x1b[0m\n"))
    r = ok(cli("releases:output", "v3", "-a", "shop", "--debug"), "Migrating\n== done \x1b[32mok\x1b[0m\n")
    assert "/out/secret" not in r.err
    ok(cli("releases:output", "v2", "-a", "shop"), "",
       " ›   Warning: Release v2 has no release output available.\n")
    api.raw("GET", "/out/secret", text_stream(b"", status=b"404 X"))
    assert "not started yet" in ok(cli("releases:output", "v3", "-a", "shop"), "").err


def test_rollback(cli, api):
    api.on("GET", "/apps/shop/releases", RELEASES[1:])
    api.on("GET", "/apps/shop/releases/2", RELEASES[2])
    api.on("POST", "/apps/shop/releases", (201, release(5)))
    r = ok(cli("rollback", "-a", "shop"), "")
    assert r.err.startswith("Rolling back shop to v1... done, v5\n")
    assert "To undo, run: paasctl rollback v4" in r.err
    ok(cli("rollback", "v2", "-a", "shop"))
    assert [q.json for q in api.seen("POST", "/apps/shop/releases")] == [
        {"release": RELEASES[3]["id"]}, {"release": RELEASES[2]["id"]}]
    api.on("GET", "/apps/shop/releases", RELEASES[1:2])
    r = cli("rollback", "-a", "shop")
    assert r.code == 2 and "No eligible release found" in r.err


def test_rollback_shows_the_release_command(cli, api):
    api.on("GET", "/apps/shop/releases", RELEASES[1:])
    api.on("POST", "/apps/shop/releases", (201, release(5, output_stream_url=api.url + "/out/x")))
    api.raw("GET", "/out/x", text_stream(b"Migrating\n"))
    assert ok(cli("rollback", "-a", "shop"), "Migrating\n").err.endswith("Running release command...\n")


# --- builds ---------------------------------------------------------------------------------
def test_builds(cli, api):
    api.on("GET", "/apps/shop/builds", [build(2, "pending"), build(1)])
    ok(cli("builds", "-a", "shop"), "=== shop Builds\n\n%s  pending    aaaaaaaa  %s  %s\n"
       "%s  succeeded  aaaaaaaa  %s  %s\n" % (uid(402), EMAIL, WHEN, uid(401), EMAIL, WHEN))
    assert api.seen("GET", "/apps/shop/builds")[0].headers["range"] == "created_at ..; max=15, order=desc"


def test_builds_info(cli, api):
    b = build(1, release={"id": uid(103)})
    api.on("GET", "/apps/shop/builds/" + b["id"], b)
    api.on("GET", "/apps/shop/releases/" + uid(103), release(3))
    ok(cli("builds:info", b["id"], "-a", "shop"), """\
=== Build {0}

Buildpacks: ruby
By:         {1}
Release:    v3
Stack:      heroku-24
Status:     succeeded
Version:    {2}
When:       2026-01-31T12:00:00Z
""".format(b["id"], EMAIL, "a" * 40))


def test_builds_output(cli, api):
    b = build(1, "pending", output_stream_url=api.url + "/out/b")
    api.on("GET", "/apps/shop/builds", [b])
    api.raw("GET", "/out/b", text_stream(b"-----> Building\n", b" !     Push failed\n"))
    api.on("GET", "/apps/shop/builds/" + b["id"], {**b, "status": "failed"})
    r = cli("builds:output", "-a", "shop")
    assert r.code == 6 and r.out == "-----> Building\n !     Push failed\n"
    api.on("GET", "/apps/shop/builds/" + b["id"], {**b, "status": "succeeded"})
    ok(cli("builds:output", "-a", "shop"))


def test_builds_cancel(cli, api):
    api.on("GET", "/apps/shop/builds", [build(2), build(1, "pending")])
    api.on("GET", "/apps/shop/builds/" + uid(402), build(2))
    api.on("DELETE", "/apps/shop/builds/" + uid(401), build(1, "failed"))
    ok(cli("builds:cancel", "-a", "shop"), "", "Stopping build %s on shop... done\n" % uid(401))
    assert cli("builds:cancel", uid(402), "-a", "shop").code == 5
    api.on("GET", "/apps/shop/builds", [build(2)])
    assert cli("builds:cancel", "-a", "shop").code == 4


# --- buildpacks -----------------------------------------------------------------------------
class Packs:
    def __init__(self, api, *urls):
        self.urls = list(urls)
        api.on("GET", "/apps/shop/buildpack-installations", lambda req: self.body())
        api.on("PUT", "/apps/shop/buildpack-installations", self.put)

    def body(self):
        return list(reversed([{"ordinal": i, "buildpack": {"url": u, "name": u}}
                              for i, u in enumerate(self.urls)]))

    def put(self, req):
        self.urls = [u["buildpack"] for u in req.json["updates"]]
        return self.body()


def test_buildpacks(cli, api):
    packs = Packs(api)
    ok(cli("buildpacks", "-a", "shop"), "shop has no Buildpack URL set.\n")
    ok(cli("buildpacks:set", "ruby", "-a", "shop"),
       "Buildpack set. Next release on shop will use ruby.\n"
       "Push your code to create a new release using this buildpack.\n")
    ok(cli("buildpacks", "-a", "shop"), "=== shop Buildpack URL\n\nruby\n")
    ok(cli("buildpacks:add", "nodejs", "-i", "1", "-a", "shop"),
       "Buildpack added. Next release on shop will use:\n  1. nodejs\n  2. ruby\n"
       "Push your code to create a new release using these buildpacks.\n")
    ok(cli("buildpacks:add", "https://x.example/a.git#v1", "-a", "shop"))
    ok(cli("buildpacks:set", "python", "--index", "2", "-a", "shop"))
    assert packs.urls == ["nodejs", "python", "https://x.example/a.git#v1"]
    ok(cli("buildpacks", "-a", "shop"),
       "=== shop Buildpack URLs\n\n1. nodejs\n2. python\n3. https://x.example/a.git#v1\n")
    assert cli("buildpacks:add", "python", "-a", "shop").code == 2
    assert cli("buildpacks:add", "x", "-i", "0", "-a", "shop").code == 2
    ok(cli("buildpacks:remove", "-i", "1", "-a", "shop"))
    ok(cli("buildpacks:remove", "python", "-a", "shop"))
    assert packs.urls == ["https://x.example/a.git#v1"]
    for bad in (["nope"], ["-i", "7"], [], ["x", "-i", "1"]):
        assert cli("buildpacks:remove", *bad, "-a", "shop").code == 2, bad
    ok(cli("buildpacks:remove", "-i", "1", "-a", "shop"),
       "Buildpack removed. Next release on shop will detect buildpacks normally.\n")
    packs.urls = ["a", "b"]
    ok(cli("buildpacks:clear", "-a", "shop"),
       "Buildpacks cleared. Next release on shop will detect buildpacks normally.\n")
    assert packs.urls == []


# --- access ---------------------------------------------------------------------------------
def test_access(cli, api):
    api.on("GET", "/apps/shop/collaborators", [collaborator(), collaborator("you@example.org", "collaborator")])
    api.on("POST", "/apps/shop/collaborators", (201, collaborator("a@b.c")))
    api.on("DELETE", "/apps/shop/collaborators/a%40b.c", collaborator("a@b.c"))
    ok(cli("access", "-a", "shop"), "=== shop Access\n\nme@example.org   owner\nyou@example.org  collaborator\n")
    ok(cli("access:add", "a@b.c", "-a", "shop"), "", "Adding a@b.c access to the app shop... done\n")
    ok(cli("access:remove", "a@b.c", "-a", "shop"), "", "Removing a@b.c access from the app shop... done\n")
    assert api.seen("POST", "/apps/shop/collaborators")[0].json == {"user": "a@b.c"}


# --- a terminal -----------------------------------------------------------------------------
def test_colours_only_on_a_terminal(cli, api):
    api.on("GET", "/apps/shop/config-vars", {"A": "x\x1b[31m"})
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        tty = cli.on_tty("config", "-a", "shop", env=env)
        try:
            assert tty.wait() == 0
            assert (b"\x1b[1mshop Config Vars\x1b[0m" in tty.seen) is coloured, tty.seen
            assert b"x?[31m" in tty.seen
        finally:
            tty.close()


def test_config_get_is_clean_on_a_terminal(cli, api):
    api.on("GET", "/apps/shop/config-vars", {"A": "x\x1b[31m"})
    tty = cli.on_tty("config:get", "A", "-a", "shop")
    try:
        assert tty.wait() == 0 and tty.seen == b"x?[31m\r\n"
    finally:
        tty.close()


def test_a_full_disk_is_not_success(cli, api):
    import subprocess
    from paasctl import PAASCTL
    api.on("GET", "/apps/shop/config-vars", {"A": "1"})
    with open("/dev/full", "w", encoding="utf-8") as full:
        p = subprocess.run([PAASCTL, "config", "-a", "shop"], cwd=cli.cwd, env=cli.env, stdout=full,
                           stderr=subprocess.DEVNULL, timeout=20)
    assert p.returncode != 0
