"""paasctl among other programs: completion in the real shells, the Heroku CLI's environment, Parity's names, browser login,
development certificates. Against a fake API."""

import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fake_api import ACCOUNT, EMAIL, STDIN_EOF, TOKEN, Attached, app, dyno, formation, release  # noqa: E402
from paasctl import PAASCTL, ROOT, Paasctl, Tty, anon, api, cli, ok  # noqa: E402,F401


# --- completion: which words ----------------------------------------------------------------
def words(cli, *line, code=0):
    r = cli("completion:words", "--", *line)
    assert r.code == code and r.err == "", r
    return r.out.splitlines()


@pytest.fixture
def shop(api):
    api.on("GET", "/apps", [app("shop"), app("other")])
    api.on("GET", "/apps/shop/dynos", [dyno("web.1"), dyno("run.2")])
    api.on("GET", "/apps/shop/formation", [formation("web"), formation("worker")])
    api.on("GET", "/apps/shop/releases", [release(12), release(11)])
    api.on("GET", "/apps/shop/config-vars", {"RACK_ENV": "secret-value", "LANG": "y"})
    return api


def test_words(cli, shop):
    assert words(cli, "releases:r") == ["releases:retry", "releases:rollback"]
    assert words(cli, "rest") == ["restart"]  # an alias
    assert words(cli, "logs", "--no-") == ["--no-color"]
    assert words(cli, "logs", "-a", "s") == ["shop"]
    assert words(cli, "logs", "-a", "shop", "-d", "w") == ["web.1"]
    assert words(cli, "ps", "-a", "shop", "wo") == ["worker"]
    assert words(cli, "config:get", "-a", "shop", "R") == ["RACK_ENV"]
    assert words(cli, "rollback", "--app", "shop", "") == ["v12", "v11"]
    assert words(cli, "help", "git:r") == ["git:remote"]
    assert words(cli, "completion", "") == ["bash", "zsh", "fish"]
    assert words(cli, "access:add", "x@y", "-p", "d") == ["deploy"]
    assert words(cli, "certs:add", "-a", "shop", "x", code=3) == []  # files
    assert words(cli, "nonsense", "") == []
    assert words(cli, "apps:rename", "one", "") == []
    assert cli("completion:words", "--describe", "--", "logou").out == "logout\trevoke the token and remove it from the netrc\n"


def test_remotes_say_which_app(cli, shop):
    cli.git("init", "-q")
    cli.git("remote", "add", "production", shop.url + "/shop.git")
    assert words(cli, "ps", "-r", "p") == ["production"]
    assert words(cli, "ps", "-r", "production", "we") == ["web"]


def test_words_are_remembered_for_a_while(cli, shop):
    for _ in range(3):
        assert words(cli, "config:get", "-a", "shop", "R") == ["RACK_ENV"]
    assert len(shop.seen("GET", "/apps/shop/config-vars")) == 1
    folder = os.path.join(cli.home, ".cache", "paasctl")
    assert os.stat(folder).st_mode & 0o077 == 0
    (name,) = os.listdir(folder)
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as f:
        assert f.read() == "RACK_ENV\nLANG\n"  # never values
    os.utime(path, (time.time() - 60, time.time() - 60))
    words(cli, "config:get", "-a", "shop", "R")
    assert len(shop.seen("GET", "/apps/shop/config-vars")) == 2
    # somebody else's token, somebody else's words
    r = cli("completion:words", "--", "config:get", "-a", "shop", "R", env={"PAASCTL_API_KEY": "another"})
    assert r.out == "" and r.code == 0


def test_a_slow_platform_does_not_hold_the_shell_up(cli, api):
    api.raw("GET", "/apps", lambda req, conn: api.slow.wait(20))
    api.slow = threading.Event()
    started = time.monotonic()
    try:
        assert words(cli, "logs", "-a", "s") == []
        assert time.monotonic() - started < 5
    finally:
        api.slow.set()


# --- completion: in the shells --------------------------------------------------------------
@pytest.fixture
def on_path(cli):
    """A folder first in PATH with paasctl in it."""
    folder = os.path.join(cli.home, "bin")
    os.mkdir(folder)
    os.symlink(PAASCTL, os.path.join(folder, "paasctl"))
    cli.env["PATH"] = folder + ":" + cli.env["PATH"]
    return folder


def shell(cli, *argv, stdin=None):
    return subprocess.run(argv, cwd=cli.cwd, env=cli.env, input=stdin, capture_output=True, text=True, timeout=60)


def need(program):
    assert shutil.which(program), "make deps-test installs " + program


def bash_words(cli, line):
    """What bash offers for a line that ends at the cursor, through its own machinery."""
    script = r'''
source <(paasctl completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
compopt() { echo "compopt $*"; }
_paasctl
printf '%s\n' "${COMPREPLY[@]}"
'''
    r = shell(cli, "bash", "--norc", "-c", script, "bash", line)
    assert r.returncode == 0 and r.stderr == "", r
    return r.stdout.split()


def test_bash(cli, shop, on_path):
    assert bash_words(cli, "paasctl confi") == ["config", "config:get", "config:set", "config:add",
                                                "config:unset", "config:remove", "config:edit"]
    # readline has "config:" already
    assert bash_words(cli, "paasctl config:u") == ["unset"]
    assert bash_words(cli, "paasctl logs -a ") == ["shop", "other"]
    assert bash_words(cli, "paasctl ps -a shop w") == ["web", "worker"]
    assert bash_words(cli, "paasctl keys:add x") == ["compopt", "-o", "default"]
    assert bash_words(cli, "paasctl nothing here") == []


def test_bash_interactively(cli, shop, on_path):
    tty = Tty(["bash", "--norc", "-i"], cli.cwd,
              {**cli.env, "TERM": "dumb", "PS1": "ready> "}, 40, 100)
    try:
        tty.expect(rb"ready> ")
        tty.write(b"source <(paasctl completion bash)\n")
        tty.expect(rb"\nready> ")
        tty.write(b"paasctl config:get -a shop RA\t")
        tty.expect(rb"RACK_ENV")
    finally:
        tty.close()


def test_zsh(cli, shop, on_path):
    need("zsh")
    folder = os.path.join(cli.home, "site")
    os.mkdir(folder)
    with open(folder + "/_paasctl", "w", encoding="utf-8") as f:
        f.write(ok(cli("completion", "zsh")).out)
    # _describe is what a completion function hands its words to
    script = r'''
fpath=(%s $fpath)
autoload -Uz _paasctl
_files() { print -r -- "files" }
_describe() { print -rl -- "${(@P)@[-1]}" }
words=(paasctl "$@") CURRENT=$(( $# + 1 ))
_paasctl
''' % folder

    def offered(*line):
        r = shell(cli, "zsh", "-f", "-c", script, "zsh", *line)
        assert r.stderr == "", r
        return r.stdout.splitlines()
    assert offered("releases:ro") == ["releases\\:rollback:roll back to a previous release"]
    assert offered("logs", "-a", "sh") == ["shop:shop"]
    assert offered("rollback", "-a", "shop", "") == ["v12:v12", "v11:v11"]
    assert offered("keys:add", "x") == ["files"]


def test_zsh_interactively(cli, shop, on_path):
    need("zsh")
    tty = Tty(["zsh", "-f", "-i"], cli.cwd, {**cli.env, "TERM": "dumb", "PS1": "ready> "}, 40, 100)
    try:
        tty.expect(rb"ready> ")
        tty.write(b"unsetopt prompt_cr prompt_sp zle_bracketed_paste 2>/dev/null; autoload -Uz compinit; compinit -u -D; "
                  b"source <(paasctl completion zsh); print loa''ded\n")
        tty.expect(rb"loaded")
        tty.write(b"paasctl config:get -a shop RA\t")
        tty.expect(rb"RACK_ENV", timeout=30)
    finally:
        tty.close()


def test_fish(cli, shop, on_path):
    need("fish")
    folder = os.path.join(cli.home, ".config", "fish", "completions")
    os.makedirs(folder)
    with open(folder + "/paasctl.fish", "w", encoding="utf-8") as f:
        f.write(ok(cli("completion", "fish")).out)
    with open(cli.cwd + "/a-file", "w", encoding="utf-8"):
        pass

    def offered(line):
        r = shell(cli, "fish", "-c", 'complete -C "$argv[1]"', line)
        assert r.returncode == 0 and r.stderr == "", r
        return r.stdout.splitlines()
    assert offered("paasctl releases:ro") == ["releases:rollback\troll back to a previous release"]
    assert offered("paasctl logs -a sh") == ["shop"]
    assert offered("paasctl rollback -a shop ") == ["v12", "v11"]
    assert offered("paasctl keys:add a-f") == ["a-file"]


# --- make install ---------------------------------------------------------------------------
def test_installed_where_shells_and_man_look(cli, tmp_path):
    root = tmp_path / "root"
    r = subprocess.run(["make", "--no-print-directory", "-s", "install-paasctl", "DESTDIR=%s" % root, "prefix=/usr"],
                       cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r
    share = root / "usr" / "share"
    for name in ("bash-completion/completions/paasctl", "zsh/vendor-completions/_paasctl",
                 "fish/vendor_completions.d/paasctl.fish"):
        assert "completion:words" in (share / name).read_text()
    assert ".TH PAASCTL 1" in (share / "man" / "man1" / "paasctl.1").read_text()
    assert os.access(root / "usr" / "bin" / "paasctl", os.X_OK)


# --- env ------------------------------------------------------------------------------------
def test_env_for_this_machine(cli, api, tmp_path):
    ca = make_ca(tmp_path)[0]
    api.on_open("GET", "/ca.pem", lambda req: (200, ca.encode(), {"Content-Type": "application/x-pem-file"}))
    script = 'export HEROKU_TEAM=x HEROKU_ORGANIZATION=y; eval "$(%s env)"; env' % PAASCTL
    r = subprocess.run(["bash", "-c", script], cwd=cli.cwd, env={**cli.env, "HTTPS_PROXY": "http://proxy:1"},
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stderr == "", r
    got = dict(line.split("=", 1) for line in r.stdout.splitlines() if "=" in line)
    kept = "%s/.config/paasctl/ca/127.0.0.1_%d.pem" % (cli.home, api.port)
    want = {"HEROKU_HOST": api.url, "HEROKU_DATA_HOST": "127.0.0.1", "HEROKU_NETRC_WRITE": "true", "DISABLE_TELEMETRY": "true",
            "HEROKU_SKIP_NEW_VERSION_CHECK": "true", "NODE_EXTRA_CA_CERTS": kept, "NO_PROXY": "127.0.0.1,localhost",
            "HEROKU_PARTICLEBOARD_URL": api.url, "HEROKU_LOGIN_HOST": api.url, "HEROKU_BUILDPACK_REGISTRY_URL": api.url,
            "HEROKU_STATUS_HOST": api.url}
    assert {k: got.get(k) for k in want} == want
    assert "HEROKU_TEAM" not in got and "HEROKU_ORGANIZATION" not in got and "HEROKU_API_KEY" not in got
    with open(kept, encoding="utf-8") as f:
        assert f.read() == ca
    # git and curl lose no other authority by it
    assert got["GIT_SSL_CAINFO"] == got["CURL_CA_BUNDLE"] == kept.replace(".pem", "-bundle.pem")
    with open(got["CURL_CA_BUNDLE"], encoding="utf-8") as f:
        bundle = f.read()
    assert ca in bundle and bundle.count("BEGIN CERTIFICATE") > 20
    # fetched once
    ok(cli("env"))
    assert len(api.seen("GET", "/ca.pem")) == 1
    assert "authorization" not in api.seen("GET", "/ca.pem")[0].headers


def test_env_without_an_authority(cli):
    r = ok(cli("env"))
    assert "CA" not in r.out.replace("HEROKU_LOCAL", "") and "export HEROKU_HOST='http://127.0.0.1:" in r.out


def test_env_for_fish_and_json(cli, api):
    r = ok(cli("env", "--shell", "fish"))
    assert "set -gx HEROKU_HOST '%s';\n" % api.url in r.out and "set -e HEROKU_TEAM;\n" in r.out
    need("fish")
    got = shell(cli, "fish", "-c", "%s env --shell fish | source; echo $HEROKU_HOST" % PAASCTL)
    assert got.stdout == api.url + "\n" and got.stderr == ""
    vars_ = json.loads(ok(cli("env", "--json")).out)
    assert vars_["HEROKU_HOST"] == api.url and vars_["HEROKU_TEAM"] is None
    assert cli("env", "--shell", "tcsh").code == 2


def test_env_for_another_machine(cli):
    out = ok(cli("env", "--api-url", "https://paas.example.org:5000")).out
    assert "export HEROKU_HOST='https://localhost@paas.example.org:5000'\n" in out
    assert "export HEROKU_API_KEY='%s'\n" % TOKEN in out
    assert "export HEROKU_HEADERS='{\"Authorization\":\"Bearer %s\"}'\n" % TOKEN in out
    assert "export HEROKU_DATA_HOST='paas.example.org'\n" in out


# --- staging, production --------------------------------------------------------------------
@pytest.fixture
def parity(cli, api, tmp_path):
    folder = str(tmp_path / "links")
    os.mkdir(folder)
    r = ok(cli("parity:install", folder))
    assert r.out.startswith("%s/staging -> " % folder)
    cli.git("init", "-q", "-b", "main")
    cli.git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x")
    for env in ("staging", "production"):
        cli.git("remote", "add", env, "%s/shop-%s.git" % (api.url, env))

    def run(*argv, **more):
        p = subprocess.run([os.path.join(folder, argv[0]), *argv[1:]], cwd=cli.cwd, env={**cli.env, **more}, input="",
                           capture_output=True, text=True, timeout=60)
        return p
    run.folder, run.env, run.cwd = folder, cli.env, cli.cwd
    return run


def test_parity_install_again_and_elsewhere(cli, parity):
    ok(cli("parity:install", parity.folder))
    os.unlink(parity.folder + "/staging")
    with open(parity.folder + "/staging", "w", encoding="utf-8") as f:
        f.write("mine")
    r = cli("parity:install", parity.folder)
    assert r.code == 5 and "it was left as it is" in r.err
    with open(parity.folder + "/staging", encoding="utf-8") as f:
        assert f.read() == "mine"
    ok(cli("parity:install"))
    assert os.readlink(cli.home + "/.local/bin/production") == os.path.realpath(PAASCTL)


def test_parity_passes_words_on(parity, api):
    api.on("GET", "/apps/shop-staging/config-vars", {"A": "1"})
    r = parity("staging", "config", "--json")
    assert r.returncode == 0 and json.loads(r.stdout) == {"A": "1"}
    api.on("GET", "/apps/shop-production", app("shop-production"))
    assert parity("production", "open").stdout == "http://shop-production.localhost:8080/\n"
    assert parity("production", "open", "/x").stdout == "http://shop-production.localhost:8080/x\n"
    assert parity("production", "maintenance").stdout == "off\n"
    r = parity("staging", "nonsens")
    assert r.returncode == 2 and "not a paasctl command" in r.stderr
    assert "Usage: staging backup" in parity("staging").stdout


def attach_and_end(api, statuses):
    def go(req, conn):
        a = Attached(conn)
        while a.frame() not in ((STDIN_EOF, b""), None):
            pass
        a.exit(statuses.pop(0))
    api.raw("GET", "/attach/secret", go)


def test_parity_console_and_migrate(parity, api):
    for env in ("staging", "production"):
        api.on("POST", "/apps/shop-%s/dynos" % env, (201, dyno("run.1", attach_url="rendezvous://127.0.0.1:%d/secret" % api.port)))
        api.on("DELETE", "/apps/shop-%s/dynos" % env, (202, {}))
    attach_and_end(api, [0, 0])
    r = parity("staging", "console")
    assert r.returncode == 0, r
    assert api.seen("POST", "/apps/shop-staging/dynos")[0].json["command"] == "bundle exec rails console"
    r = parity("production", "migrate")
    assert r.returncode == 0, r
    assert api.seen("POST", "/apps/shop-production/dynos")[0].json["command"] == "rake db:migrate"
    assert len(api.seen("DELETE", "/apps/shop-production/dynos")) == 1
    assert not api.seen("DELETE", "/apps/shop-staging/dynos")


def test_parity_tail(parity, api):
    api.on("POST", "/apps/shop-staging/log-sessions", (201, {"logplex_url": api.url + "/logs"}))

    def stream(req, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\ndata: hello\n\n")
        api.hold.wait(20)
    api.hold = threading.Event()
    api.raw("GET", "/logs", stream)
    p = subprocess.Popen([parity.folder + "/staging", "tail"], stdout=subprocess.PIPE, env=parity.env, cwd=parity.cwd, text=True)
    try:
        assert p.stdout.readline() == "hello\n"
        assert api.seen("POST", "/apps/shop-staging/log-sessions")[0].json["tail"] is True
    finally:
        p.kill()
        p.wait()
        api.hold.set()


@pytest.mark.parametrize("branches, staging, production", [
    (["main"], "HEAD:main", "main"), (["main", "master"], "HEAD:master", "master"), (["master"], "HEAD:master", "master")])
def test_parity_deploys(parity, cli, tmp_path, branches, staging, production):
    for env in ("staging", "production"):
        cli.git("init", "-q", "--bare", str(tmp_path / env))
        cli.git("remote", "set-url", env, str(tmp_path / env))
    if "main" not in branches:
        cli.git("branch", "-m", "main", "master")
    elif "master" in branches:
        cli.git("branch", "master")
    cli.git("checkout", "-q", "-b", "feature")
    cli.git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "feature")
    for env, ref, commit in (("staging", staging.split(":")[1], "HEAD"), ("production", production, production)):
        r = parity(env, "deploy")
        assert r.returncode == 0, r
        there = subprocess.run(["git", "-C", str(tmp_path / env), "rev-parse", "refs/heads/" + ref], capture_output=True,
                               text=True, check=True).stdout
        assert there == cli.git("rev-parse", commit)


# --- login in a browser ---------------------------------------------------------------------
def netrc_of(cli):
    with open(cli.home + "/.netrc", encoding="utf-8") as f:
        return f.read()


def test_login_in_a_browser(anon, api):
    api.on_open("POST", "/auth", (200, {"browser_url": "/auth/browser/b", "cli_url": "/auth/cli/c", "token": "one-time"}))
    api.on_open("GET", "/auth/cli/c", lambda req: {"access_token": TOKEN} if req.headers["authorization"] == "Bearer one-time"
                else (401, {}))
    tty = anon.on_tty("login")
    try:
        tty.expect(re.escape(api.url).encode() + rb"/auth/browser/b")
        assert tty.wait() == 0, tty.seen
        assert b"Logged in as me@example.org" in tty.seen and TOKEN.encode() not in tty.seen
    finally:
        tty.close()
    assert TOKEN in netrc_of(anon)
    assert "authorization" not in api.seen("POST", "/auth")[0].headers


def test_login_refused_in_the_browser(anon, api):
    api.on_open("POST", "/auth", (200, {"browser_url": "/auth/browser/b", "cli_url": "/auth/cli/c", "token": "t"}))
    api.on_open("GET", "/auth/cli/c", {"error": "declined"})
    tty = anon.on_tty("login")
    try:
        assert tty.wait() == 3 and b"Login was refused: declined" in tty.seen
    finally:
        tty.close()
    assert not os.path.exists(anon.home + "/.netrc")


def test_login_with_a_second_factor(anon, api):
    def create(req):
        if req.headers.get("heroku-two-factor-code") != "123456":
            return (403, {"id": "two_factor", "message": "A second factor is required."})
        return (201, {"access_token": {"token": TOKEN}, "user": {"email": EMAIL}})
    api.on("POST", "/oauth/authorizations", create)
    ok(anon("login", "-i", stdin="%s\nsecret\n123456\n" % EMAIL))
    assert TOKEN in netrc_of(anon)
    # a code is good once: it is not sent again
    assert "heroku-two-factor-code" not in api.seen("GET", "/account")[0].headers


# --- https with a development certificate ---------------------------------------------------
def make_ca(folder):
    """A CA, and a certificate of 127.0.0.1 and localhost that it signed: (ca pem, chain file, key file)."""
    def run(*args):
        subprocess.run(["openssl", *args], cwd=folder, capture_output=True, check=True, timeout=60)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
        "-days", "2", "-subj", "/CN=test CA", "-addext", "keyUsage=critical,keyCertSign")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "s.key", "-out", "s.csr",
        "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext",
        "-out", "s.pem")
    return (folder / "ca.pem").read_text(), str(folder / "s.pem"), str(folder / "s.key")


class TlsPlatform:
    """Just enough of a platform behind TLS: /account and /ca.pem."""

    def __init__(self, folder):
        self.ca, chain, key = make_ca(folder)
        self.tokens = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.tokens.append((self.path, self.headers.get("Authorization")))
                good = self.headers.get("Authorization") == "Bearer " + TOKEN
                if self.path == "/ca.pem":
                    status, body = 200, outer.ca.encode()
                elif self.path == "/account" and good:
                    status, body = 200, json.dumps(ACCOUNT).encode()
                else:
                    status, body = 401, b'{"id": "unauthorized", "message": "no"}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = "https://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def tls(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    platform = TlsPlatform(folder)
    yield platform
    platform.close()


def fingerprint(pem):
    r = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, capture_output=True, text=True,
                       check=True, timeout=60)
    return r.stdout.strip().split("=")[1]


def test_an_unknown_authority_is_not_trusted(tls, tmp_path):
    cli = Paasctl(tmp_path, tls.url, TOKEN)
    r = cli("whoami")
    assert r.code == 7 and "is not trusted" in r.err and "paasctl login" in r.err
    # without somebody's word it stays so, and no token is sent
    r = cli("login", "--token", stdin=TOKEN + "\n")
    assert r.code == 7 and fingerprint(tls.ca) in r.err and "login with" not in r.err
    assert not os.path.exists(cli.home + "/.config/paasctl/ca") and not os.path.exists(cli.home + "/.netrc")
    assert [t for t in tls.tokens if t[1]] == []


def test_trust_at_login(tls, tmp_path):
    cli = Paasctl(tmp_path, tls.url, None)
    r = ok(cli("login", "--token", "--yes", stdin=TOKEN + "\n"))
    assert "SHA-256 fingerprint of its authority:\n  %s\n" % fingerprint(tls.ca) in r.err and r.out == "Logged in as %s\n" % EMAIL
    ok(cli("whoami"), EMAIL + "\n")
    assert ("/ca.pem", None) in tls.tokens
    out = ok(cli("env")).out
    assert "export HEROKU_HOST='%s'\n" % tls.url in out and "ca/127.0.0.1_" in out


def test_trust_is_asked_for_on_a_terminal(tls, tmp_path):
    cli = Paasctl(tmp_path, tls.url, TOKEN)
    tty = cli.on_tty("login")
    try:
        tty.expect(rb"Trust it for this platform\? \(y/N\) ")
        tty.write(b"y\r")
        assert tty.wait() == 0 and b"Logged in as" in tty.seen
    finally:
        tty.close()


def test_ca_file_of_the_environment(tls, tmp_path):
    cli = Paasctl(tmp_path, tls.url, TOKEN)
    ok(cli("whoami", env={"PAASCTL_CA_FILE": str(tmp_path / "tls" / "ca.pem")}), EMAIL + "\n")


def test_a_remote_of_an_https_platform_is_checked_with_its_authority(cli, api, tmp_path):
    cli.git("init", "-q")
    folder = cli.home + "/.config/paasctl/ca"
    os.makedirs(folder)
    with open("%s/127.0.0.1_%d.pem" % (folder, api.port), "w", encoding="utf-8") as f:
        f.write("x")
    url = "https://localhost:%d/shop.git" % api.port
    api.on("GET", "/apps/shop", app(git_url=url))
    ok(cli("git:remote", "-a", "shop"), "set git remote paasd to %s\n" % url)
    assert cli.git("config", "http.https://localhost:%d/.sslCAInfo" % api.port).strip() == "%s/127.0.0.1_%d.pem" % (
        folder, api.port)


def test_clone(cli, api, tmp_path):
    cli.git("init", "-q", "--bare", str(tmp_path / "shop.git"))
    api.on("GET", "/apps/shop", app(git_url=str(tmp_path / "shop.git")))
    ok(cli("git:clone", "-a", "shop", "-r", "production"))
    assert subprocess.run(["git", "-C", cli.cwd + "/shop", "remote"], capture_output=True, text=True,
                          check=True).stdout == "production\n"
    assert cli("git:clone").code == 2
