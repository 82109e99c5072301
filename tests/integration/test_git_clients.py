"""Other people's git: libgit2 (pygit2), dulwich, JGit; and submodules over https."""
import http.server
import io
import os
import shutil
import ssl
import subprocess
import threading

import pytest

from git_support import Gitd, Work, bare, build_binary, client_env, wait_for, ZERO, auth, bands, commands, push_raw


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    build_binary()
    s = Gitd(tmp_path_factory.mktemp("gitd"))
    yield s
    s.stop()


counter = iter(range(10**6))


@pytest.fixture
def app(server):
    a = server.app(f"client-{next(counter)}")
    yield a
    if a.repo.exists():
        wait_for(lambda: not a.leftovers(), "nothing left")
        a.fsck()


def test_libgit2(app, tmp_path):
    pygit2 = pytest.importorskip("pygit2")
    work = Work(tmp_path / "w")
    first = work.commit(data=os.urandom(2 << 20))
    texts, rejected = [], {}

    class Callbacks(pygit2.RemoteCallbacks):
        def credentials(self, url, username, allowed):
            return pygit2.UserPass("x", "alice-token")

        def sideband_progress(self, string):
            texts.append(string)

        def push_update_reference(self, refname, message):
            rejected[refname] = message

    repo = pygit2.Repository(str(work.path))
    remote = repo.remotes.create("paas", app.url().replace("x:alice-token@", ""))

    def push(*specs):
        rejected.clear()
        remote.push(list(specs), callbacks=Callbacks())
        return dict(rejected)

    assert push("refs/heads/main:refs/heads/main") == {"refs/heads/main": None}
    assert "Building" in "".join(texts) and app.refs() == {"refs/heads/main": first}
    second = work.commit()
    push("refs/heads/main:refs/heads/main", "refs/heads/main:refs/heads/side")
    assert app.refs() == {"refs/heads/main": second, "refs/heads/side": second}
    push(":refs/heads/side")
    assert app.refs() == {"refs/heads/main": second}
    app.script("fail no")
    work.commit()
    assert push("refs/heads/main:refs/heads/main") == {"refs/heads/main": "pre-receive hook declined"}
    clone = pygit2.clone_repository(remote.url, str(tmp_path / "clone"), callbacks=Callbacks())
    assert str(clone.head.target) == second


def test_dulwich(app, tmp_path):
    porcelain = pytest.importorskip("dulwich.porcelain")
    work = Work(tmp_path / "w")
    first = work.commit(data=os.urandom(2 << 20))
    url = app.url().replace("x:alice-token@", "")

    def push(spec):
        err = io.BytesIO()
        porcelain.push(str(work.path), url, spec, username="x", password="alice-token", errstream=err,
                       outstream=io.BytesIO())
        return err.getvalue().decode()

    assert "Building" in push(b"refs/heads/main:refs/heads/main")
    assert app.refs() == {"refs/heads/main": first}
    second = work.commit()
    push(b"refs/heads/main:refs/heads/main")
    push(b"refs/heads/main:refs/heads/side")
    assert app.refs() == {"refs/heads/main": second, "refs/heads/side": second}
    push(b":refs/heads/side")
    assert app.refs() == {"refs/heads/main": second}
    app.script("fail no")
    work.commit()
    push(b"refs/heads/main:refs/heads/main")
    assert app.refs() == {"refs/heads/main": second}
    porcelain.clone(url, str(tmp_path / "clone"), username="x", password="alice-token", errstream=io.BytesIO())
    assert Work(tmp_path / "clone", init=False).git("rev-parse", "HEAD") == second


@pytest.mark.skipif(not os.path.exists("/usr/share/java/org.eclipse.jgit.pgm.jar") or not shutil.which("java"),
                    reason="jgit-cli is not installed")
def test_jgit(app, tmp_path):
    work = Work(tmp_path / "w")
    first = work.commit(data=os.urandom(100000))
    url = app.url().replace("x:alice-token@", "")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password alice-token\n")
    env = {**client_env(tmp_path), "JAVA_TOOL_OPTIONS": f"-Duser.home={tmp_path}"}

    def jgit(*args):
        # not the package's own script: its class path lacks the lfs jar
        r = subprocess.run(["java", "-cp", "/usr/share/java/*", "org.eclipse.jgit.pgm.Main", *args], cwd=work.path, env=env, capture_output=True, text=True, timeout=120)
        return r.returncode, r.stdout + r.stderr

    code, out = jgit("push", url, "refs/heads/main:refs/heads/main")
    assert "Building" in out and app.refs() == {"refs/heads/main": first}, out
    second = work.commit()
    jgit("push", url, "refs/heads/main:refs/heads/main", "refs/heads/main:refs/heads/side")
    assert app.refs() == {"refs/heads/main": second, "refs/heads/side": second}
    jgit("push", url, ":refs/heads/side")
    assert app.refs() == {"refs/heads/main": second}
    app.script("fail no")
    work.commit()
    code, out = jgit("push", url, "refs/heads/main:refs/heads/main")
    assert "pre-receive hook declined" in out and app.refs() == {"refs/heads/main": second}
    code, out = jgit("clone", url, str(tmp_path / "clone"))
    assert Work(tmp_path / "clone", init=False).git("rev-parse", "HEAD") == second, out


# --- submodules -----------------------------------------------------------------------------------

class Backend(http.server.BaseHTTPRequestHandler):
    """git http-backend as a CGI, with redirects below /moved/ and /downgrade/."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_any(self):
        path, _, query = self.path.partition("?")
        self.server.asked.append(self.path)
        if path.startswith(("/moved/", "/downgrade/", "/nowhere/")):
            scheme = "http" if path.startswith("/downgrade/") else "https"
            to = "/elsewhere" if path.startswith("/nowhere/") else "/" + self.path.split("/", 2)[2]
            self.send_response(301)
            self.send_header("Location", f"{scheme}://localhost:{self.server.server_port}{to}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))  # small requests only: no chunks
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1",
               "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_POST = handle_any


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    d = tmp_path_factory.mktemp("https")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", d / "key", "-out", d / "cert"],
                   check=True, capture_output=True)
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(d / "cert", d / "key")
    s.socket = ctx.wrap_socket(s.socket, server_side=True)
    s.root, s.cert, s.asked = d, d / "cert", []
    t = threading.Thread(target=s.serve_forever)
    t.start()
    yield s
    s.shutdown()
    t.join()
    s.server_close()


@pytest.fixture(scope="module")
def private_server(tmp_path_factory, https):
    """Submodules may come from private addresses, and the test's authority is trusted."""
    s = Gitd(tmp_path_factory.mktemp("gitd"), GITD_ALLOW_PRIVATE="1", GIT_SSL_CAINFO=str(https.cert))
    yield s
    s.stop()


@pytest.fixture
def libs(https, tmp_path):
    """Repositories inner and outer on the https server; outer has inner as submodule, by a relative URL."""
    inner = Work(tmp_path / "inner")
    inner.commit("inner", name="inner.txt")
    outer = Work(tmp_path / "outer")
    outer.commit("outer", name="outer.txt")
    tag = f"{next(counter)}"
    add_gitlink(outer, "deps/inner", f"../inner{tag}.git", inner.git("rev-parse", "HEAD"))
    for w, name in ((inner, f"inner{tag}"), (outer, f"outer{tag}")):
        subprocess.run(["git", "clone", "-q", "--bare", w.path, https.root / f"{name}.git"], check=True)
    return {"inner": inner.git("rev-parse", "HEAD"), "outer": outer.git("rev-parse", "HEAD"), "tag": tag}


def add_gitlink(work, path, url, commit):
    text = work.path / ".gitmodules"
    with open(text, "a") as f:
        f.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
    work.git("add", ".gitmodules")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    work.git("commit", "-q", "-m", "submodule")


def push_export(server, work, tmp_path):
    app = server.app(f"sub-{next(counter)}")
    target = tmp_path / "tree"
    target.mkdir()
    app.script(f"export {target}")
    code, out = work.push(app, "main")
    assert not [p for p in tmp_path.iterdir() if ".submodule-" in p.name]
    return code, out, target


def test_submodules_come_along(private_server, https, libs, tmp_path):
    w = Work(tmp_path / "w")
    w.commit("app")
    base = f"https://localhost:{https.server_port}"
    add_gitlink(w, "vendor/outer", f"{base}/outer{libs['tag']}.git", libs["outer"])
    add_gitlink(w, "vendor/moved", f"https://user:secret@localhost:{https.server_port}/moved/inner{libs['tag']}.git",
                libs["inner"])
    code, out, tree = push_export(private_server, w, tmp_path)
    assert code == 0, out
    assert (tree / "vendor/outer/outer.txt").exists() and (tree / "vendor/outer/deps/inner/inner.txt").exists()
    assert (tree / "vendor/moved/inner.txt").exists()
    assert f"Fetching submodule vendor/outer from {base}/outer" in out
    assert "secret" not in out and "secret" not in private_server.log_text()
    assert not list(tree.rglob("*.submodule-*")) and not list(tree.rglob(".git"))


@pytest.mark.parametrize("case,words", [
    ("downgrade", "submodule lib"), ("nowhere", "submodule lib"), ("missing", "its server answered 404"),
    ("commit", "does not have commit"), ("http", "only https"), ("path", "only https"), ("relative", "relative"),
    ("unmapped", "no url found"),
])
def test_submodules_that_cannot_be_had(private_server, https, libs, tmp_path, case, words):
    base = f"https://localhost:{https.server_port}"
    repo = f"inner{libs['tag']}.git"
    url = {"downgrade": f"{base}/downgrade/{repo}", "nowhere": f"{base}/nowhere/{repo}", "missing": f"{base}/none.git",
           "http": f"http://localhost:{https.server_port}/{repo}", "path": str(https.root / repo),
           "relative": f"../{repo}"}.get(case, f"{base}/{repo}")
    w = Work(tmp_path / "w")
    w.commit("app")
    add_gitlink(w, "lib", url, libs["inner"] if case != "commit" else "6" * 40)
    if case == "unmapped":
        (w.path / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = https://h/x\n')
        w.git("add", ".gitmodules")
        w.git("commit", "-q", "-m", "other path")
    https.asked.clear()
    code, out, tree = push_export(private_server, w, tmp_path)
    assert code == 1 and "pre-receive hook declined" in out and words in out, out
    if case in ("http", "path", "relative"):
        assert https.asked == []


def test_private_addresses_are_not_asked(server, https, libs, tmp_path):
    w = Work(tmp_path / "w")
    w.commit("app")
    add_gitlink(w, "lib", f"https://localhost:{https.server_port}/inner{libs['tag']}.git", libs["inner"])
    https.asked.clear()
    code, out, tree = push_export(server, w, tmp_path)
    assert code == 1 and "private address" in out and https.asked == []
