"""Pushing, fetching and cloning with the git client itself."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from git_support import (DEADLINE, ZERO, Gitd, Work, bare, build_binary, client_env, commands, connect, auth,
                         push_raw, bands, simple_commit, wait_for, EMPTY_PACK)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    build_binary()
    s = Gitd(tmp_path_factory.mktemp("gitd"), GITD_KEEPALIVE_MS="200")
    yield s
    s.stop()


counter = iter(range(10**6))


@pytest.fixture
def app(server):
    a = server.app(f"app-{next(counter)}")
    yield a
    if a.repo.exists():
        wait_for(lambda: not a.leftovers(), f"nothing left in {a.repo}: {a.leftovers()}")
        a.fsck()


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "work")


def test_create_update_and_up_to_date(app, work):
    c1 = work.commit("one")
    code, out = work.push(app, "main")
    assert code == 0, out
    assert "remote: -----> Building" in out and "remote:        Released v1" in out
    assert out.index("Released v1") < out.index("[new branch]")
    assert app.refs() == {"refs/heads/main": c1}
    c2 = work.commit("two")
    code, out = work.push(app, "main")
    assert code == 0 and f"{c1[:7]}..{c2[:7]}  main -> main" in out, out
    assert app.refs() == {"refs/heads/main": c2}
    code, out = work.push(app, "main")
    assert code == 0 and "Everything up-to-date" in out
    assert [e.split()[0] for e in app.events()] == ["build", "built", "after"] * 2
    assert app.events()[0].split()[2:] == ["refs/heads/main", c1, "alice@example.com"]


def test_reflog_says_who_pushed(app, work):
    work.commit()
    work.push(app, "main")
    log = bare(app.repo, "log", "-g", "--format=%gn <%ge> %gs", "refs/heads/main")
    assert log == "alice@example.com <alice@example.com> push\n"


def test_master_deploys_and_head_follows(app, work):
    c = work.commit()
    code, out = work.push(app, "main:master")
    assert code == 0 and "Released v1" in out
    assert app.refs() == {"refs/heads/master": c}
    assert bare(app.repo, "symbolic-ref", "HEAD").strip() == "refs/heads/master"
    work.push(app, "main")  # HEAD stays with the first
    assert bare(app.repo, "symbolic-ref", "HEAD").strip() == "refs/heads/master"


def test_a_failed_build_rejects_the_push(app, work):
    app.script("say compiling\nfail exit status 2")
    work.commit()
    work.push(app, "main:other")
    before = app.snapshot()
    work.commit("worse")
    code, out = work.push(app, "main")
    assert code == 1
    assert "remote: compiling" in out and "remote:  !     exit status 2" in out
    assert "! [remote rejected] main -> main (pre-receive hook declined)" in out
    assert app.snapshot() == before


def test_a_failed_build_leaves_the_other_refs_alone(app, work):
    app.script("fail no")
    c = work.commit()
    code, out = work.push(app, "main", "main:feature")
    assert code == 1 and "main -> main (pre-receive hook declined)" in out
    assert app.refs() == {"refs/heads/feature": c}


def test_atomic_all_or_nothing(app, work):
    app.script("fail no")
    work.commit()
    code, out = work.push(app, "--atomic", "main", "main:feature")
    assert code == 1 and "main -> feature (atomic push failure)" in out, out
    assert app.refs() == {}
    app.script("")
    code, out = work.push(app, "--atomic", "main", "main:feature", "main:a")
    assert code == 0, out
    assert len(app.refs()) == 3
    work.commit()
    code, out = work.push(app, "--atomic", "main", ":feature", ":a")
    assert code == 0, out
    assert list(app.refs()) == ["refs/heads/main"]


def test_other_branches_and_tags_are_stored_only(app, work):
    c = work.commit()
    work.git("tag", "-a", "v1", "-m", "v1")
    work.git("tag", "light")
    code, out = work.push(app, "main:topic")
    assert code == 0 and "Pushed to non-main branch topic, skipping build" in out
    assert "Only main and master are deployed" in out
    code, out = work.push(app, "v1")
    assert code == 0 and "Stored refs/tags/v1, skipping build" in out
    code, out = work.push(app, "light", "main:x/y")
    assert code == 0 and "Stored 2 other refs without a build" in out
    assert app.refs()["refs/heads/topic"] == c
    assert set(app.refs()) == {"refs/heads/topic", "refs/tags/v1", "refs/tags/light", "refs/heads/x/y"}
    assert app.events() == []


def test_main_and_master_together_build_once(app, work):
    work.commit()
    code, out = work.push(app, "main:master", "main:main")
    assert code == 0
    assert [e.split()[2] for e in app.events() if e.startswith("build ")] == ["refs/heads/main"]


def test_forced_push(app, work):
    work.commit("one")
    work.push(app, "main")
    work.git("commit", "--amend", "-q", "-m", "another")
    code, out = work.push(app, "main")
    assert code == 1 and "non-fast-forward" in out
    code, out = work.push(app, "-f", "main")
    assert code == 0 and "forced update" in out
    assert app.refs()["refs/heads/main"] == work.git("rev-parse", "HEAD")


def test_deleting(app, work):
    work.commit()
    work.push(app, "main", "main:topic")
    code, out = work.push(app, ":topic")
    assert code == 0 and "[deleted]" in out
    code, out = work.push(app, ":main")
    assert code == 1 and "(deletion of the current branch prohibited)" in out
    assert list(app.refs()) == ["refs/heads/main"]


def test_names_that_conflict(app, work):
    work.commit()
    work.push(app, "main:main/sub")
    code, out = work.push(app, "main")
    assert code == 1 and "failed to update ref" in out
    assert app.events() == []  # nothing was built for it
    code, out = work.push(app, "main:refs/heads/main/sub/deeper")
    assert code == 1 and "failed to update ref" in out
    bare(app.repo, "pack-refs", "--all")
    code, out = work.push(app, "main:refs/heads/main/sub/deeper")
    assert code == 1
    assert list(app.refs()) == ["refs/heads/main/sub"]


def test_refs_heads_are_commits(app, work):
    work.commit()
    blob = work.git("rev-parse", "HEAD:file")
    tree = work.git("rev-parse", "HEAD^{tree}")
    code, out = work.push(app, f"{blob}:refs/tags/blob", f"{tree}:refs/tags/tree")
    assert code == 0, out
    empty = commands((ZERO, blob, "refs/heads/blob")) + EMPTY_PACK
    report, text = bands(push_raw(app, empty).body)
    assert report == ["unpack ok\n", "ng refs/heads/blob failed to update ref\n"]
    assert "must name a commit" in text


def test_thousands_of_refs(app, work):
    c = work.commit()
    for part in (range(1100), range(1100, 2200)):
        work.git("update-ref", "--stdin", input="".join(f"create refs/tags/t{i} {c}\n" for i in part))
        code, out = work.push(app, "--tags")
        assert code == 0, out[-500:]
    assert len(app.refs()) == 2200
    listed = work.git("ls-remote", app.url()).splitlines()
    assert len(listed) == 2200 and [l.split("\t")[1] for l in listed] == sorted(l.split("\t")[1] for l in listed)
    code, out = work.push(app, "--tags", ":refs/tags/t0")
    assert code == 0 and len(app.refs()) == 2199


def test_more_refs_than_one_push_may_have(app, work):
    c = work.commit()
    work.git("update-ref", "--stdin", input="".join(f"create refs/tags/t{i} {c}\n" for i in range(2001)))
    code, out = work.push(app, "--tags")
    assert code == 1 and "too many refs in one push" in out
    assert app.refs() == {}


def test_large_pushes_come_in_chunks(app, work):
    work.commit("big", data=os.urandom(3 << 20))
    code, out = work.push(app, "main", env={"GIT_CURL_VERBOSE": "1"})
    assert code == 0 and "ransfer-Encoding: chunked" in out
    work.commit("bigger", name="second", data=os.urandom(5 << 20))
    assert work.push(app, "main")[0] == 0


def test_long_histories_and_thin_packs(app, work):
    lines = [f"line {i}\n" for i in range(3000)]
    for i in range(30):
        lines[i * 7] = f"changed {i}\n"
        work.commit(data="".join(lines).encode())
        assert work.push(app, "main", "--thin")[0] == 0
    app.fsck()


def test_quiet(app, work):
    work.commit()
    code, out = work.push(app, "-q", "main")
    assert code == 0 and "Resolving" not in out and "Building" in out


def test_shallow_client(app, work, tmp_path):
    for _ in range(3):
        work.commit()
    work.push(app, "main")
    s = Work(tmp_path / "shallow", init=False)
    s.git("clone", "-q", "--depth=1", app.url(), ".")
    assert s.git("rev-list", "--count", "HEAD") == "1"
    s.commit("on top")
    code, out = s.push(app, "HEAD:main")
    assert code == 0, out
    assert bare(app.repo, "rev-list", "--count", "main").strip() == "4"
    assert not (app.repo / "shallow").exists()


def test_the_server_does_not_become_shallow(server, app, work, tmp_path):
    for _ in range(3):
        work.commit()
    s = Work(tmp_path / "shallow", init=False)
    s.git("clone", "-q", "--depth=1", f"file://{work.path}", ".")
    before = app.snapshot()
    code, out = s.push(app, "HEAD:main")
    assert code == 1 and "(shallow update not allowed)" in out, out
    assert app.snapshot()[0] == before[0] == {} and app.snapshot()[1] == 0


def test_gitlinks_need_no_object_here(app, work):
    work.commit()
    work.git("update-index", "--add", "--cacheinfo", "160000," + "1234567890" * 4 + ",sub")
    work.git("commit", "-q", "-m", "gitlink")
    code, out = work.push(app, "main")
    assert code == 0, out


def test_export_sees_the_pushed_tree(server, app, work, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    app.script(f"export {target}")
    work.commit(data=b"content\r\n")
    (work.path / "run").write_text("#!/bin/sh\n")
    (work.path / "run").chmod(0o755)
    os.symlink("file", work.path / "link")
    work.commit("more", name="a/b/c")
    code, out = work.push(app, "main")
    assert code == 0, out
    assert (target / "file").read_bytes() == b"content\r\n"
    assert os.access(target / "run", os.X_OK) and os.readlink(target / "link") == "file"
    assert (target / "a/b/c").exists() and not (target / ".git").exists()


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_clone_and_fetch(app, work, tmp_path, version):
    first = work.commit("one")
    work.git("tag", "-a", "v1", "-m", "v1")
    work.push(app, "main", "v1", "main:side")
    c = Work(tmp_path / "clone", init=False)
    c.git("-c", f"protocol.version={version}", "clone", "-q", app.url(), ".")
    assert c.git("rev-parse", "HEAD") == first and c.git("branch", "--show-current") == "main"
    c.git("fsck")
    second = work.commit("two")
    work.push(app, "main")
    c.git("-c", f"protocol.version={version}", "fetch", "-q", "origin")
    assert c.git("rev-parse", "origin/main") == second
    assert c.git("tag") == "v1"


def test_clone_of_an_empty_repository(app, tmp_path):
    c = Work(tmp_path / "clone", init=False)
    r = c.run("clone", app.url(), ".")
    assert r.returncode == 0 and "empty repository" in r.stderr
    assert c.git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_fetch_with_many_haves_is_gzipped(app, work, tmp_path):
    for i in range(60):
        work.commit(f"c{i}")
    work.push(app, "main")
    c = Work(tmp_path / "clone", init=False)
    c.git("clone", "-q", app.url(), ".")
    for i in range(80):
        # later than the server's: these are offered first
        c.git("commit", "-q", "--allow-empty", "-m", f"local {i}",
              env={"GIT_COMMITTER_DATE": f"{2000000000 + i} +0000"})
    work.commit("new")
    work.push(app, "main")
    r = c.run("-c", "protocol.version=0", "fetch", "origin", env={"GIT_CURL_VERBOSE": "1"})
    assert r.returncode == 0 and "ontent-Encoding: gzip" in r.stderr, r.stderr[-2000:]


def test_partial_clone(app, work, tmp_path):
    work.commit(data=b"x" * 1000)
    work.push(app, "main")
    c = Work(tmp_path / "clone", init=False)
    c.git("clone", "-q", "--filter=blob:none", app.url(), ".")
    assert (c.path / "file").read_bytes() == b"x" * 1000


def test_credentials(server, app, work):
    work.commit()
    r = work.run("push", f"http://127.0.0.1:{server.port}/{app.name}.git", "main")
    assert r.returncode != 0 and "could not read Username" in r.stderr
    r = work.run("push", app.url(token="wrong"), "main")
    assert "Authentication failed" in r.stderr and "Invalid credentials" in r.stderr
    r = work.run("push", app.url(token="bob-token"), "main")
    assert "not found" in r.stderr and f"remote: !     No such app as {app.name}." in r.stderr
    r = work.run("push", app.url().replace(app.name, "nowhere"), "main")
    assert "remote: !     No such app as nowhere." in r.stderr
    assert work.push(app.url(user=""), "main")[0] == 0


def test_without_dot_git_and_with_a_slash(app, work):
    work.commit()
    url = app.url()
    assert work.push(url[:-4], "main")[0] == 0
    work.commit()
    assert work.push(url + "/", "main")[0] == 0
    assert work.git("ls-remote", url[:-4], "main").split()[0] == work.git("rev-parse", "HEAD")


def fifo(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    return path


def open_fifo(path):
    with open(path, "w"):
        pass


def test_output_streams_while_the_build_runs(app, work, tmp_path):
    gate = fifo(tmp_path, "gate")
    app.script(f"say before\nwait {gate}\nsay later")
    work.commit()
    p = subprocess.Popen(["git", "push", app.url(), "main"], cwd=work.path, env=work.env, stderr=subprocess.PIPE)
    seen = b""
    while b"before" not in seen:
        seen += os.read(p.stderr.fileno(), 4096)
    assert b"later" not in seen
    open_fifo(gate)
    rest = p.stderr.read()
    assert p.wait(DEADLINE) == 0 and b"later" in rest


def test_keepalives_while_the_build_is_silent(server, app, work, tmp_path):
    gate = fifo(tmp_path, "gate")
    app.script(f"wait {gate}")
    c, data = simple_commit()
    body = commands((ZERO, c, "refs/heads/main")) + data
    with connect(server) as s:
        head = (f"POST /{app.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n"
                f"Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {len(body)}\r\n\r\n")
        s.sendall(head.encode() + body)
        seen = b""
        while seen.count(b"0005\x02") < 3:
            piece = s.recv(4096)
            assert piece
            seen += piece
        open_fifo(gate)


def test_a_client_that_leaves_does_not_stop_the_build(app, work, tmp_path):
    gate = fifo(tmp_path, "gate")
    app.script(f"wait {gate}\nchatty 20000")
    c = work.commit()
    p = subprocess.Popen(["git", "push", app.url(), "main"], cwd=work.path, env=work.env,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: any(e.startswith("build ") for e in app.events()), "the build runs")
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    open_fifo(gate)
    wait_for(lambda: any(e.startswith("after ") for e in app.events()), "the release")
    assert app.refs() == {"refs/heads/main": c}


def test_a_chatty_build(app, work):
    app.script("chatty 30000")
    work.commit()
    code, out = work.push(app, "main")
    assert code == 0 and out.count("remote:        0000") == 30000


def test_a_client_killed_while_it_uploads(app, work):
    work.commit("first")
    work.push(app, "main")
    before = app.snapshot()
    work.commit("big", data=os.urandom(30 << 20))
    p = subprocess.Popen(["git", "-c", "pack.compression=0", "push", app.url(), "main"], cwd=work.path, env=work.env,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: app.leftovers() or p.poll() is not None, "the quarantine")
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    wait_for(lambda: not app.leftovers(), "the quarantine is gone")
    if app.snapshot() != before:  # it was over before the signal came
        assert app.refs()["refs/heads/main"] == work.git("rev-parse", "HEAD")


def test_two_pushes_to_one_ref(app, work, tmp_path):
    base = work.commit("base")
    work.push(app, "main")
    gate = fifo(tmp_path, "gate")
    app.script(f"wait {gate}\nstale")
    other = Work(tmp_path / "other", init=False)
    other.git("clone", "-q", app.url(), ".")
    first = work.commit("first")
    second = other.commit("second")
    procs = [subprocess.Popen(["git", "push", app.url(), "HEAD:main"], cwd=w.path, env=w.env, stderr=subprocess.PIPE,
                              text=True) for w in (work, other)]
    wait_for(lambda: sum(e.startswith("build ") for e in app.events()) == 3, "both builds run")

    def opener():
        while any(p.poll() is None for p in procs):
            try:
                os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                pass
            time.sleep(0.02)

    t = threading.Thread(target=opener)
    t.start()
    outs = [p.communicate(timeout=DEADLINE)[1] for p in procs]
    t.join()
    codes = [p.returncode for p in procs]
    assert sorted(codes) == [0, 1], outs
    assert "(failed to update ref)" in outs[codes.index(1)]
    assert app.refs()["refs/heads/main"] == (first, second)[codes.index(0)]
    undone = [e for e in app.server.events() if e == f"undo {(first, second)[codes.index(1)]}"]
    assert undone


def test_many_pushes_at_once_take_turns(server, tmp_path):
    apps = [server.app(f"many-{i}") for i in range(8)]
    works = [Work(tmp_path / f"w{i}") for i in range(8)]
    for w in works:
        w.commit(data=os.urandom(300000))
    procs = [subprocess.Popen(["git", "push", a.url(), "main"], cwd=w.path, env=w.env, stderr=subprocess.PIPE,
                              text=True) for a, w in zip(apps, works)]
    for p, a, w in zip(procs, apps, works):
        err = p.communicate(timeout=DEADLINE)[1]
        assert p.returncode == 0, err
        assert a.refs()["refs/heads/main"] == w.git("rev-parse", "HEAD")


def test_waiting_for_a_turn_is_told(server, app, work):
    """Four uploads that stand still take all turns; the fifth is told, and goes on when one leaves."""
    held = []
    for i in range(4):
        a = server.app(f"held-{next(counter)}")
        s = connect(server)
        c, data = simple_commit()
        body = commands((ZERO, c, "refs/heads/main")) + data
        s.sendall((f"POST /{a.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n"
                   "Content-Type: application/x-git-receive-pack-request\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:-10])
        wait_for(lambda: a.repo.exists() and a.leftovers(), "its pack is on the way")
        held.append((s, a))
    work.commit()
    p = subprocess.Popen(["git", "push", app.url(), "main"], cwd=work.path, env=work.env, stderr=subprocess.PIPE)
    seen = b""
    while b"Waiting for 4 other pushes" not in seen:
        piece = os.read(p.stderr.fileno(), 4096)
        assert piece, seen
        seen += piece
    assert p.poll() is None
    for s, a in held:
        s.close()
    assert p.wait(DEADLINE) == 0, p.stderr.read()
    for s, a in held:
        wait_for(lambda: not a.leftovers(), "cut pushes leave nothing")
        assert a.snapshot() == ({}, 0, [])


def test_sweep_after_a_crash(tmp_path):
    s = Gitd(tmp_path / "state")
    try:
        app = s.app("crash")
        w = Work(tmp_path / "w")
        w.commit()
        assert w.push(app, "main")[0] == 0
        s.kill()
        q = app.repo / "objects" / "tmp_objdir-incoming-0123"
        (q / "pack").mkdir(parents=True)
        (q / "pack" / "tmp_pack_x").write_text("x")
        (app.repo / "objects" / "pack" / "tmp_pack_y").write_text("x")
        (app.repo / "refs" / "heads" / "main.lock").write_text("")
        (app.repo / "packed-refs.lock").write_text("")
        (s.state / "repos" / ".trash-00").mkdir()
        s.start()
        assert app.leftovers() == [] and not (s.state / "repos" / ".trash-00").exists()
        w.commit()
        assert w.push(app, "main")[0] == 0
        app.fsck()
    finally:
        s.stop()


def test_repositories_are_cleaned_when_quiet(tmp_path):
    s = Gitd(tmp_path / "state", GITD_GC_PACKS="3", GITD_GC_DELAY_MS="100")
    try:
        app = s.app("tidy")
        w = Work(tmp_path / "w")

        def packs():
            return len(list((app.repo / "objects" / "pack").glob("*.pack")))

        for i in range(6):
            w.commit()
            assert w.push(app, "main:topic")[0] == 0
        wait_for(lambda: packs() <= 3, "the packs were joined")
        app.fsck()
        w.commit()
        assert w.push(app, "main")[0] == 0
    finally:
        s.stop()


def test_pushes_that_end_a_cleaning(tmp_path):
    """A cleaning that is cut off leaves nothing that later pushes stumble over."""
    s = Gitd(tmp_path / "state", GITD_GC_PACKS="1", GITD_GC_DELAY_MS="5")
    try:
        app = s.app("busy")
        w = Work(tmp_path / "w")
        for i in range(40):
            w.commit()
            code, out = w.push(app, f"+main:topic{i % 5}")
            assert code == 0, out
            time.sleep(i % 8 * 0.008)  # so that each meets the cleaning at another point
        app.fsck()
    finally:
        s.stop()


def test_a_full_disk_is_told(tmp_path):
    s = Gitd(tmp_path / "state", GITD_RESERVE_MB=str(1 << 30))
    try:
        app = s.app("full")
        w = Work(tmp_path / "w")
        w.commit()
        code, out = w.push(app, "main")
        assert code == 1 and "remote unpack failed: not enough disk space" in out
        assert app.snapshot() == ({}, 0, [])
    finally:
        s.stop()
