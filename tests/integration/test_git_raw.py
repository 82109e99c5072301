"""What no honest client sends: framing, heads, bodies and packs by hand. After each refusal the repository must
be as it was before."""
import gzip
import hashlib
import os
import socket
import struct
import zlib

import pytest

from git_support import (BINARY, DEADLINE, EMPTY_PACK, PUSH_TYPE, TYPES, ZERO, Gitd, Work, auth, bands, bare,
                         build_binary, commands, commit_data, connect, entry, entry_head, oid, pack, pkt, pkts,
                         push_raw, raw, read_answer, ref_delta, request, simple_commit, tree_data, varint, wait_for)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    build_binary()
    s = Gitd(tmp_path_factory.mktemp("gitd"))
    yield s
    s.stop()


counter = iter(range(10**6))


@pytest.fixture
def app(server):
    a = server.app(f"raw-{next(counter)}")
    yield a
    if a.repo.exists():
        wait_for(lambda: not a.leftovers(), f"nothing left: {a.leftovers()}")
        a.fsck()


@pytest.fixture
def seeded(app):
    """An app with one commit on main; .head is its id."""
    app.head, data = simple_commit()
    assert bands(push_raw(app, commands((ZERO, app.head, "refs/heads/main")) + data).body)[0][0] == "unpack ok\n"
    return app


def info_refs(app, service="git-receive-pack", *headers, **kw):
    return request(app.server, "GET", f"/{app.name}.git/info/refs?service={service}", *headers, **kw)


CAPS = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1"


# --- discovery ------------------------------------------------------------------------------------

def test_discovery_of_an_empty_repository(app):
    a = info_refs(app)
    assert a.status == 200 and a.headers["content-type"] == "application/x-git-receive-pack-advertisement"
    assert a.headers["cache-control"] == "no-cache, max-age=0, must-revalidate"
    lines = pkts(a.body)
    assert lines[0] == b"# service=git-receive-pack\n" and lines[1] is None and lines[3:] == [None]
    first, caps = lines[2].split(b"\0")
    assert first == ZERO.encode() + b" capabilities^{}"
    assert caps.decode().startswith(CAPS + " agent=paasd/") and caps.endswith(b"\n")


def test_discovery_lists_refs_in_byte_order(seeded):
    c = seeded.head
    tag = f"object {c}\ntype commit\ntag v1\ntagger a <a@example.com> 1700000000 +0000\n\nx\n".encode()
    names = ["refs/heads/B", "refs/heads/a", "refs/heads/a-b", "refs/heads/a.b", "refs/heads/é", "refs/tags/v1"]
    cmds = [(ZERO, c if "tags" not in n else oid("tag", tag), n) for n in names]
    report, _ = bands(push_raw(seeded, commands(*cmds) + pack(entry("tag", tag))).body)
    assert report[0] == "unpack ok\n" and all(r.startswith("ok") for r in report[1:]), report
    bare(seeded.repo, "pack-refs", "--all")
    lines = [p.split(b"\0")[0].rstrip(b"\n") for p in pkts(info_refs(seeded).body)[2:-1]]
    listed = [p.split(b" ")[1] for p in lines]
    assert listed == sorted(n.encode() for n in names + ["refs/heads/main"])
    assert b"HEAD" not in listed and not any(n.endswith(b"^{}") for n in listed)


@pytest.mark.parametrize("version", ["version=1", "version=2", "version=9:x", "\"", "x" * 200])
def test_pushes_are_version_0(app, version):
    assert pkts(info_refs(app, "git-receive-pack", "Git-Protocol: " + version).body)[0].startswith(b"# service")


@pytest.mark.parametrize("header,banner,second", [
    ("version=0", True, b"HEAD"), ("version=1", True, b"version 1\n"), ("version=2", False, b"agent="),
    ("version=2:version=1", False, b"agent="), ("version=3", True, b"HEAD"), ("version=2\ta", True, b"HEAD"),
    ("VERSION=2", True, b"HEAD"), ("side:version=2", False, b"agent="),
])
def test_fetch_versions(seeded, header, banner, second):
    lines = pkts(info_refs(seeded, "git-upload-pack", "Git-Protocol: " + header).body)
    if banner:
        assert lines[0] == b"# service=git-upload-pack\n" and lines[1] is None
        assert second in lines[2]
    else:
        assert lines[0] == b"version 2\n" and lines[1].startswith(second)


def test_head_has_no_body(seeded):
    with connect(seeded.server) as s:
        s.sendall(f"HEAD /{seeded.name}.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n\r\n"
                  f"GET /{seeded.name}.git/HEAD HTTP/1.1\r\nHost: x\r\n{auth()}\r\n\r\n".encode())
        first = read_answer(s, head_only=True)
        assert first.status == 200 and (first.body == b"" or first.body.startswith(b"HTTP/1.1 404"))


# --- what is not served ---------------------------------------------------------------------------

@pytest.mark.parametrize("query,status", [
    ("?service=git-upload-archive", 403), ("?service=", 403), ("?service=git-receive-pack&service=git-upload-pack", 403),
    ("?service=git%2Dreceive%2Dpack", 403), ("?service=git-receive-pack%00", 403), ("?service=" + "x" * 500, 403),
    ("", 404), ("?", 404), ("?other=1", 404), ("?service=git-receive-pack&x=1", 200),
])
def test_services(app, query, status):
    a = request(app.server, "GET", f"/{app.name}.git/info/refs{query}")
    assert a.status == status
    if status != 200:
        assert a.headers["content-type"].startswith("text/plain") and a.body.count(b"\n") == 1


@pytest.mark.parametrize("path", ["HEAD", "objects/info/packs", "objects/00/" + "0" * 38, "config", "", "info/refs/",
                                  "git-receive-pack/", "../x", "info/../config", "%2e%2e/config", "hooks/post-receive"])
def test_the_dumb_protocol_is_not_served(seeded, path):
    assert request(seeded.server, "GET", f"/{seeded.name}.git/{path}").status in (400, 404)


@pytest.mark.parametrize("name", ["..", ".", "A", "a", "Raw-0", "a" * 31, "a" * 300, "x%2f..%2fy", "x..y", "%00", "a b",
                                  "-ab", "..%2f..%2fetc"])
def test_names_that_are_none(server, name):
    for path in (f"/{name}.git/info/refs?service=git-receive-pack", f"/{name}/info/refs?service=git-receive-pack"):
        a = request(server, "GET", path)
        assert a is None or a.status in (301, 400, 404), path
        if a and a.status == 301:
            assert a.headers["location"].startswith(f"/{name}.git/info/refs")


def test_redirect_without_dot_git(app):
    a = request(app.server, "GET", f"/{app.name}/info/refs?service=git-upload-pack", token=None)
    assert a.status == 301 and a.headers["location"] == f"/{app.name}.git/info/refs?service=git-upload-pack"


@pytest.mark.parametrize("method,path,allow", [
    ("POST", "info/refs?service=git-receive-pack", "GET, HEAD"), ("PUT", "info/refs?service=git-upload-pack", "GET, HEAD"),
    ("GET", "git-receive-pack", "POST"), ("GET", "git-upload-pack", "POST"), ("DELETE", "git-receive-pack", "POST"),
    ("HEAD", "git-receive-pack", "POST"),
])
def test_methods(app, method, path, allow):
    a = request(app.server, method, f"/{app.name}.git/{path}")
    assert a.status == 405 and a.headers["allow"] == allow


# --- who ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("header", [
    None, "Authorization: Bearer alice-token", "Authorization: Basic", "Authorization: Basic !!!!",
    "Authorization: Basic YWxpY2UtdG9rZW4=",  # no colon
    "Authorization: Basic eDo=",              # empty password
    "Authorization: Basic eDphAGI=",          # NUL
    "Authorization: Basic " + "QUFB" * 1500, "Authorization: Basic eDp3cm9uZw==",
])
@pytest.mark.parametrize("target", ["known", "unknown-app"])
def test_401(server, app, header, target):
    name = app.name if target == "known" else target
    headers = [header] if header else []
    for a in (request(server, "GET", f"/{name}.git/info/refs?service=git-receive-pack", *headers, token=None),
              request(server, "GET", f"/{name}.git/info/refs?service=git-upload-pack", *headers, token=None),
              request(server, "POST", f"/{name}.git/git-receive-pack", PUSH_TYPE, *headers, token=None, body=b"0000")):
        assert a.status == 401 and a.headers["www-authenticate"] == 'Basic realm="paasd"'
        assert a.headers["content-type"].startswith("text/plain")
    assert not app.repo.exists()


def test_the_users_name_does_not_count(app):
    for user in ("", "x", "a" * 200, "ü"):
        a = request(app.server, "GET", f"/{app.name}.git/info/refs?service=git-receive-pack", auth(user=user), token=None)
        assert a.status == 200


def test_another_users_app_is_not_found(seeded):
    for a in (info_refs(seeded, token="bob-token"), push_raw(seeded, b"0000", token="bob-token"),
              info_refs(seeded, "git-upload-pack", token="bob-token")):
        assert a.status == 404 and a.body == f" !     No such app as {seeded.name}.\n".encode()


# --- bodies ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("type", [None, "", "text/plain", "application/x-git-upload-pack-request",
                                  "application/x-git-receive-pack-requestx"])
def test_content_types(app, type):
    headers = [f"Content-Type: {type}"] if type is not None else []
    assert request(app.server, "POST", f"/{app.name}.git/git-receive-pack", *headers, body=b"0000").status == 415


def test_content_encodings(app):
    assert push_raw(app, b"0000", "Content-Encoding: br").status == 415
    assert push_raw(app, b"0000", "Content-Encoding: identity").status == 200
    assert push_raw(app, gzip.compress(b"0000"), "Content-Encoding: x-gzip").status == 200


def test_the_probe_changes_nothing(seeded):
    before = seeded.snapshot()
    a = push_raw(seeded, b"0000")
    assert a.status == 200 and a.body == b"" and a.headers["content-type"] == "application/x-git-receive-pack-result"
    assert seeded.snapshot() == before


@pytest.mark.parametrize("body", [
    b"", b"0", b"000", b"0001", b"0002", b"0003", b"0004", b"00000", b"zzzz", b"PACK", b"fff1" + b"x" * 65517, b"ffff",
    b"-001", b"0x10", b" 010", pkt("hello") + b"0000", pkt(f"{ZERO} {ZERO} refs/heads/x"), pkt(f"{ZERO} {ZERO[:-1]} refs/x"),
    pkt(f"{ZERO} {ZERO}  ") + b"0001", pkt("push-cert x\0report-status") + b"0000", pkt("shallow x") + b"0000",
    pkt(f"{ZERO} {ZERO} refs/heads/x\0object-format=sha256") + b"0000",
    pkt(f"{'0' * 64} {'0' * 64} refs/heads/x\0 report-status") + b"0000",
])
def test_bad_framing(seeded, body):
    before = seeded.snapshot()
    a = push_raw(seeded, body)
    if body == b"00000":  # a probe, and junk
        assert a.status == 200
    else:
        assert a.status == 400 and a.headers["content-type"].startswith("text/plain")
    assert seeded.snapshot() == before


def good_push(app, content=b"hello\n", ref="refs/heads/main", old=ZERO, **kw):
    c, data = simple_commit(content)
    return c, commands((old, c, ref), **kw) + data


def test_gzip_chunks_and_continue(app):
    c, body = good_push(app, b"one")
    a = push_raw(app, gzip.compress(body), "Content-Encoding: gzip")
    assert bands(a.body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]
    d, body = good_push(app, b"two", old=c)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i:i + 7] for i in range(0, len(body), 7)))
    head = (f"POST /{app.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n"
            "Transfer-Encoding: chunked\r\n")
    a = raw(app.server, head.encode() + b"\r\n" + chunks + b"0\r\n\r\n")
    assert bands(a.body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]
    e, body = good_push(app, b"three", old=d)
    with connect(app.server) as s:
        s.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert bands(read_answer(s).body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]
    assert app.refs() == {"refs/heads/main": e}


def test_no_continue_for_bad_credentials(app):
    with connect(app.server) as s:
        s.sendall(f"POST /{app.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth('wrong')}\r\n{PUSH_TYPE}\r\n"
                  "Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert s.recv(12) == b"HTTP/1.1 401"


def test_http_1_0(app):
    c, body = good_push(app)
    a = push_raw(app, body, version="1.0")
    assert "transfer-encoding" not in a.headers
    assert bands(a.body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]


def test_discovery_probe_and_push_on_one_connection(app):
    c, body = good_push(app)
    with connect(app.server) as s:
        s.sendall(f"GET /{app.name}.git/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n\r\n".encode())
        assert read_answer(s).status == 200
        for b in (b"0000", body):
            s.sendall(f"POST /{app.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n"
                      f"Content-Length: {len(b)}\r\n\r\n".encode() + b)
            a = read_answer(s)
            assert a.status == 200
        assert bands(a.body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]


@pytest.mark.parametrize("headers", ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 4\r\nContent-Length: 5",
                                     "Content-Length: -1", "Content-Length: 4x", "Transfer-Encoding: gzip"])
def test_bad_lengths(app, headers):
    a = raw(app.server, f"POST /{app.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n{headers}"
            "\r\n\r\n0000".encode())
    assert a.status in (400, 501)


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"4\r\n0000x", b"-4\r\n", b"4 4\r\n", b"fffffffffffffffff\r\n"])
def test_bad_chunks_change_nothing(seeded, chunks):
    before = seeded.snapshot()
    _, body = good_push(seeded, b"other", old=seeded.head)
    raw(seeded.server, f"POST /{seeded.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n".encode() + b"%x\r\n%s\r\n" % (len(body), body) + chunks)
    wait_for(lambda: not seeded.leftovers(), "nothing left")
    assert seeded.snapshot() == before


def test_damaged_gzip_changes_nothing(seeded):
    before = seeded.snapshot()
    _, body = good_push(seeded, b"other", old=seeded.head)
    z = gzip.compress(body)
    for data in (z[:-10], z[:len(z) // 2], z[:40] + b"junk" + z[44:], b"not gzip at all"):
        push_raw(seeded, data, "Content-Encoding: gzip")
        wait_for(lambda: not seeded.leftovers(), "nothing left")
        assert seeded.snapshot() == before


def test_cut_bodies_change_nothing(seeded):
    """Cut everywhere, also right after a whole pack: what was announced has not come."""
    before = seeded.snapshot()
    _, body = good_push(seeded, os.urandom(2000), old=seeded.head)
    cuts = list(range(0, len(body), 97)) + [len(body)]
    for chunked in (False, True):
        for cut in cuts:
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body) + 1}"
            data = b"%x\r\n%s\r\n" % (len(body), body) if chunked else body
            with connect(seeded.server) as s:
                s.sendall(f"POST /{seeded.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n"
                          f"{framing}\r\n\r\n".encode() + data[:cut + (6 if chunked else 0)])
                s.shutdown(socket.SHUT_WR)
                try:
                    while s.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
    wait_for(lambda: not seeded.leftovers(), "nothing left")
    assert seeded.snapshot() == before


def test_padded_bodies_are_told_the_truth(seeded):
    """Bytes after the pack: taken or refused, but ref and report agree."""
    old = seeded.head
    for i, junk in enumerate((b"x", b"0000", b"y" * 5000, EMPTY_PACK, b"z" * 300000)):
        c, body = good_push(seeded, b"padded %d" % i, old=old)
        report, _ = bands(push_raw(seeded, body + junk).body)
        moved = seeded.refs()["refs/heads/main"] == c
        assert moved == (report == ["unpack ok\n", "ok refs/heads/main\n"]), report
        old = c if moved else old


def test_a_body_over_the_limit_is_told_at_once(seeded):
    before = seeded.snapshot()
    _, body = good_push(seeded, b"other", old=seeded.head)
    with connect(seeded.server) as s:
        s.sendall(f"POST /{seeded.name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{PUSH_TYPE}\r\n"
                  f"Content-Length: {5 << 30}\r\n\r\n".encode() + body)
        a = read_answer(s)
    assert bands(a.body)[0] == ["unpack pack exceeds maximum allowed size\n", "ng refs/heads/main unpacker error\n"]
    assert seeded.snapshot() == before


# --- answers --------------------------------------------------------------------------------------

def test_without_bands_the_report_is_plain(app):
    app.script("say hello")
    c, body = good_push(app, caps="report-status agent=go-git/5")
    a = push_raw(app, body)
    assert pkts(a.body) == [b"unpack ok\n", b"ok refs/heads/main\n", None]


def test_without_report_status_there_is_none(app):
    c, body = good_push(app, caps=" agent=x")
    assert push_raw(app, body).body in (b"", b"0000")
    assert app.refs() == {"refs/heads/main": c}
    d, body = good_push(app, b"two", old=c, caps=" side-band-64k")
    lines = pkts(push_raw(app, body).body)
    assert lines[-1] is None and all(p[0] == 2 for p in lines[:-1])
    assert app.refs() == {"refs/heads/main": d}


def test_unknown_capabilities_are_ignored(app):
    c, body = good_push(app, caps=" report-status side-band-64k push-options session-id=1 no-thin x=y")
    assert bands(push_raw(app, body).body)[0] == ["unpack ok\n", "ok refs/heads/main\n"]


def test_ref_names(seeded):
    before = seeded.snapshot()
    bad = ["HEAD", "refs/heads", "refs/x", "main", "refs/heads/../x", "refs/heads/x.lock", "refs/heads/.x", "refs/heads/x.",
           "refs/heads/a b", "refs/heads/a\x01b", "refs/heads/a\nb", "refs/heads/a..b", "refs/heads/a:b", "refs//heads/x",
           "../../x", "refs/heads/a@{b", "config", "refs/heads/\x7f"]
    report, _ = bands(push_raw(seeded, commands(*[(ZERO, seeded.head, n) for n in bad]) + EMPTY_PACK).body)
    shown = ["".join("?" if ord(c) < 32 or ord(c) == 127 else c for c in n) for n in bad]
    assert report == ["unpack ok\n"] + [f"ng {n} funny refname\n" for n in shown]
    assert seeded.snapshot() == before


def test_the_same_ref_twice(seeded):
    before = seeded.snapshot()
    c, data = simple_commit(b"two")
    report, _ = bands(push_raw(seeded, commands((seeded.head, c, "refs/heads/main"), (seeded.head, c, "refs/heads/main"),
                                                 (ZERO, c, "refs/heads/x")) + data).body)
    assert report[1:3] == ["ng refs/heads/main multiple updates for ref not allowed\n"] * 2
    assert report[3] == "ok refs/heads/x\n"
    assert seeded.refs() == {**before[0], "refs/heads/x": c}


def test_old_values(seeded):
    head = seeded.head
    c, data = simple_commit(b"two")
    for old in (ZERO, c, "1" * 40):
        report, text = bands(push_raw(seeded, commands((old, c, "refs/heads/main")) + data).body)
        assert report == ["unpack ok\n", "ng refs/heads/main failed to update ref\n"]
        assert seeded.refs() == {"refs/heads/main": head}
    report, text = bands(push_raw(seeded, commands((head, c, "refs/heads/new")) + data).body)
    assert report[1] == "ng refs/heads/new failed to update ref\n"
    assert [e.split()[0] for e in seeded.events()] == ["build", "built", "after"]  # only the first was built


def test_deletions(seeded):
    head = seeded.head
    push_raw(seeded, commands((ZERO, head, "refs/heads/a"), (ZERO, head, "refs/heads/b")) + EMPTY_PACK)
    report, _ = bands(push_raw(seeded, commands((head, ZERO, "refs/heads/main"))).body)
    assert report == ["unpack ok\n", "ng refs/heads/main deletion of the current branch prohibited\n"]
    report, _ = bands(push_raw(seeded, commands(("1" * 40, ZERO, "refs/heads/a"))).body)
    assert report[1] == "ng refs/heads/a failed to update ref\n"
    report, _ = bands(push_raw(seeded, commands((ZERO, ZERO, "refs/heads/a"), (head, ZERO, "refs/heads/b"),
                                                 (ZERO, ZERO, "refs/heads/never"))).body)
    assert report == ["unpack ok\n", "ok refs/heads/a\n", "ok refs/heads/b\n", "ok refs/heads/never\n"]
    assert seeded.refs() == {"refs/heads/main": head}


@pytest.mark.parametrize("n", [2, 20])
def test_atomic_with_a_stale_ref(seeded, n):
    head = seeded.head
    cmds = [(ZERO, head, f"refs/heads/b{i}") for i in range(n)] + [("1" * 40, head, "refs/heads/main")]
    report, _ = bands(push_raw(seeded, commands(*cmds, caps=" report-status side-band-64k atomic") + EMPTY_PACK).body)
    assert all(r.endswith("atomic push failure\n") for r in report[1:-1]) and "failed to update ref" in report[-1]
    assert seeded.refs() == {"refs/heads/main": head}
    cmds[-1] = (ZERO, ZERO, "refs/heads/never")
    report, _ = bands(push_raw(seeded, commands(*cmds, caps=" report-status side-band-64k atomic") + EMPTY_PACK).body)
    assert all(r.startswith("ok") for r in report[1:]), report
    assert len(seeded.refs()) == n + 1


def test_unchanged_refs_build_nothing(seeded):
    events = len(seeded.events())
    report, _ = bands(push_raw(seeded, commands((seeded.head, seeded.head, "refs/heads/main")) + EMPTY_PACK).body)
    assert report == ["unpack ok\n", "ok refs/heads/main\n"] and len(seeded.events()) == events


# --- packs ----------------------------------------------------------------------------------------

BLOB = b"hello\n"
TREE = tree_data(("100644", "f", oid("blob", BLOB)))
COMMIT = commit_data(oid("tree", TREE))
GOOD = (entry("blob", BLOB), entry("tree", TREE), entry("commit", COMMIT))
NEW = oid("commit", COMMIT)


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def resum(data):
    return data[:-20] + hashlib.sha1(data[:-20]).digest()


def self_delta():
    """A REF_DELTA that makes an object which is in the pack already: libgit2's indexer never ends on it."""
    a = b"a" * 20
    delta = varint(20) + varint(20) + bytes([0x90, 20])
    return pack(entry("blob", a), ref_delta(oid("blob", a), delta))


DAMAGED = {
    "bad trailer": flip(pack(*GOOD), -1),
    "flipped byte": flip(pack(*GOOD), 20),
    "flipped, sum right": resum(flip(pack(*GOOD), 20)),
    "cut": pack(*GOOD)[:-25],
    "cut in the header": pack(*GOOD)[:7],
    "header only": pack(*GOOD)[:12],
    "nothing": b"",
    "no pack": b"JUNK" * 100,
    "version 4": resum(pack(*GOOD, version=4)),
    "version 0": resum(pack(*GOOD, version=0)),
    "count too large": pack(*GOOD, count=4),
    "count too small": pack(*GOOD, count=2),
    "count 0 with objects": pack(*GOOD, count=0),
    "huge count": pack(*GOOD, count=0xffffffff),
    "over the limit": pack(*GOOD, count=2000001),
    "at the limit": pack(*GOOD, count=2000000),
    "size too large": pack(entry("blob", BLOB, size=7), *GOOD[1:]),
    "size too small": pack(entry("blob", BLOB, size=5), *GOOD[1:]),
    "type 0": pack(entry(0, BLOB), *GOOD[1:]),
    "type 5": pack(entry(5, BLOB), *GOOD[1:]),
    "delta without base": pack(*GOOD, ref_delta("1" * 40, varint(1) + varint(1) + b"\x01x")),
    "delta of itself": pack(*GOOD, ref_delta(oid("blob", b"x"), varint(1) + varint(1) + b"\x01x")),
    "delta beyond its base": pack(*GOOD, ref_delta(oid("blob", BLOB), varint(6) + varint(100) + bytes([0x91, 5, 100]))),
    "delta with a wrong base size": pack(*GOOD, ref_delta(oid("blob", BLOB), varint(60) + varint(1) + b"\x01x")),
    "delta with opcode 0": pack(*GOOD, ref_delta(oid("blob", BLOB), varint(6) + varint(1) + b"\x00")),
    "delta of a huge result": pack(*GOOD, ref_delta(oid("blob", BLOB), varint(6) + varint(1 << 62) + b"\x01x")),
    "offset before the pack": pack(*GOOD, entry_head(6, 3) + b"\xff\x7f" + zlib.compress(b"abc")),
    "offset 0": pack(*GOOD, entry_head(6, 3) + b"\x00" + zlib.compress(b"abc")),
    "zlib junk": pack(entry_head(3, 6) + b"\xff\xff\xff\xff", *GOOD[1:]),
    "size of 2^70": pack(b"\xbf" + b"\xff" * 9 + b"\x7f" + zlib.compress(BLOB), *GOOD[1:]),
    "empty pack, bad sum": flip(EMPTY_PACK, -1),
    "empty pack, cut": EMPTY_PACK[:-3],
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_packs(seeded, what):
    before = seeded.snapshot()
    report, _ = bands(push_raw(seeded, commands((ZERO, NEW, "refs/heads/x")) + DAMAGED[what]).body)
    assert report[0].startswith("unpack ") and report[0] != "unpack ok\n", report
    assert report[1:] == ["ng refs/heads/x unpacker error\n"]
    assert seeded.snapshot() == before


def test_reasons_that_tools_know(seeded):
    def reason(data):
        return bands(push_raw(seeded, commands((ZERO, NEW, "refs/heads/x")) + data).body)[0][0]

    assert reason(DAMAGED["bad trailer"]) == "unpack index-pack abnormal exit\n"
    assert reason(DAMAGED["no pack"]) == "unpack protocol error (pack signature mismatch detected)\n"
    assert reason(DAMAGED["version 4"]) == "unpack protocol error (pack version unsupported)\n"
    assert reason(DAMAGED["cut in the header"]) == "unpack eof before pack header was fully read\n"


def test_the_pack_that_libgit2_never_ends_on(seeded):
    data = self_delta()
    assert len(data) < 221
    bands(push_raw(seeded, commands((ZERO, NEW, "refs/heads/x")) + data).body)
    assert "refs/heads/x" not in seeded.refs() and not seeded.leftovers()


@pytest.mark.parametrize("missing", ["blob", "tree", "commit", "parent"])
def test_missing_objects(seeded, missing):
    before = seeded.snapshot()
    commit = commit_data(oid("tree", TREE + b""), *(["2" * 40] if missing == "parent" else []), message="missing " + missing)
    blob = b"never sent %s" % missing.encode()
    tree = tree_data(("100644", "f", oid("blob", blob)))
    commit = commit_data(oid("tree", tree), *(["2" * 40] if missing == "parent" else []))
    parts = {"blob": entry("blob", blob), "tree": entry("tree", tree), "commit": entry("commit", commit)}
    parts.pop(missing, None)
    report, _ = bands(push_raw(seeded, commands((ZERO, oid("commit", commit), "refs/heads/x")) + pack(*parts.values())).body)
    assert report in (["unpack ok\n", "ng refs/heads/x missing necessary objects\n"],
                      ["unpack index-pack abnormal exit\n", "ng refs/heads/x unpacker error\n"]), report
    assert seeded.snapshot() == before


def test_an_id_of_nothing(seeded):
    before = seeded.snapshot()
    c, data = simple_commit(b"fine")
    report, _ = bands(push_raw(seeded, commands((ZERO, "3" * 40, "refs/heads/x"), (ZERO, c, "refs/heads/y")) + data).body)
    assert report == ["unpack ok\n", "ng refs/heads/x missing necessary objects\n", "ok refs/heads/y\n"]
    report, _ = bands(push_raw(seeded, commands((ZERO, "3" * 40, "refs/heads/x")) + EMPTY_PACK).body)
    assert report == ["unpack ok\n", "ng refs/heads/x missing necessary objects\n"]
    assert set(seeded.refs()) == set(before[0]) | {"refs/heads/y"}


def test_objects_that_no_ref_reaches_do_not_count_as_whole(seeded):
    """A tree whose blob is missing is refused although its commit is pushed with an empty pack later."""
    tree = tree_data(("100644", "f", "4" * 40))
    commit = commit_data(oid("tree", tree))
    objects = seeded.repo / "objects"
    for kind, data in (("tree", tree), ("commit", commit)):
        i = oid(kind, data)
        (objects / i[:2]).mkdir(exist_ok=True)
        (objects / i[:2] / i[2:]).write_bytes(zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data))
    report, _ = bands(push_raw(seeded, commands((ZERO, oid("commit", commit), "refs/heads/x")) + EMPTY_PACK).body)
    assert report == ["unpack ok\n", "ng refs/heads/x missing necessary objects\n"]
    for kind, data in (("tree", tree), ("commit", commit)):
        i = oid(kind, data)
        (objects / i[:2] / i[2:]).unlink()


HOSTILE_NAMES = [b".git", b".GIT", b".Git", b"..", b".", b"", b"a/b", b"../x", b".g\xe2\x80\x8cit", b"git~1", b".git ",
                 b".git.", b".git::$INDEX_ALLOCATION", b".git\\x"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_trees(seeded, name):
    before = seeded.snapshot()
    tree = tree_data(("100644", name, oid("blob", BLOB)))
    commit = commit_data(oid("tree", tree))
    data = pack(entry("blob", BLOB), entry("tree", tree), entry("commit", commit))
    report, text = bands(push_raw(seeded, commands((ZERO, oid("commit", commit), "refs/heads/main2")) + data).body)
    assert report == ["unpack index-pack abnormal exit\n", "ng refs/heads/main2 unpacker error\n"], report
    assert seeded.snapshot() == before


def test_double_unsorted_and_null_entries(seeded):
    before = seeded.snapshot()
    b = oid("blob", BLOB)
    for tree in (tree_data(("100644", "a", b), ("100644", "a", b)), tree_data(("100644", "b", b), ("100644", "a", b)),
                 tree_data(("100644", "a", ZERO)), tree_data(("40000", "a", b), ("120000", "a", b))):
        commit = commit_data(oid("tree", tree))
        data = pack(entry("blob", BLOB), entry("tree", tree), entry("commit", commit))
        report, _ = bands(push_raw(seeded, commands((ZERO, oid("commit", commit), "refs/heads/x")) + data).body)
        assert report[0] == "unpack index-pack abnormal exit\n"
        assert seeded.snapshot() == before


@pytest.mark.parametrize("text", [b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n',
                                  b'[submodule "../../x"]\n\tpath = x\n\turl = https://h/x\n',
                                  b'[submodule "x"]\n\tpath = -x\n\turl = https://h/x\n',
                                  b'[submodule "x"]\n\tpath = x\n\turl = https://h/x\n\tupdate = !id\n'])
def test_hostile_gitmodules(seeded, text):
    before = seeded.snapshot()
    tree = tree_data(("100644", ".gitmodules", oid("blob", text)))
    commit = commit_data(oid("tree", tree))
    data = pack(entry("blob", text), entry("tree", tree), entry("commit", commit))
    report, _ = bands(push_raw(seeded, commands((ZERO, oid("commit", commit), "refs/heads/x")) + data).body)
    assert report[0] == "unpack index-pack abnormal exit\n"
    assert seeded.snapshot() == before


def test_small_mistakes_of_old_repositories_pass(server):
    app = server.app(f"old-{next(counter)}")  # fsck, which is stricter, does not look at this one
    b = oid("blob", BLOB)
    tree = tree_data(("040000", "d", oid("tree", TREE)), ("100644", "f", b))
    commit = f"tree {oid('tree', tree)}\nauthor a <a@example.com> 1 +051800\ncommitter a <a@example.com> 1 +051800\n\nx\n".encode()
    data = pack(entry("blob", BLOB), entry("tree", TREE), entry("tree", tree), entry("commit", commit))
    report, text = bands(push_raw(app, commands((ZERO, oid("commit", commit), "refs/heads/x")) + data).body)
    assert report == ["unpack ok\n", "ok refs/heads/x\n"], (report, text)


def bomb_deltas():
    """64 KiB that make a delta result of 1 GiB."""
    base = b"a" * 65536
    step = bytes([0x80 | 0x10 | 0x20 | 0x40, 0x00, 0x00, 0x01])  # copy 65536 bytes from offset 0
    n = 1 << 14
    return base, varint(len(base)) + varint(n * 65536) + step * n


def test_compression_bombs_are_stopped(seeded):
    before = seeded.snapshot()
    base, delta = bomb_deltas()
    data = pack(entry("blob", base), ref_delta(oid("blob", base), delta))
    assert len(data) < 70000
    report, text = bands(push_raw(seeded, commands((ZERO, NEW, "refs/heads/x")) + data).body)
    assert report[0] == "unpack index-pack abnormal exit\n", report
    assert seeded.snapshot() == before


def test_a_gzip_bomb_is_stopped(seeded):
    before = seeded.snapshot()
    _, body = good_push(seeded, b"other", old=seeded.head)
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = z.compress(body) + b"".join(z.compress(b"\0" * (1 << 20)) for _ in range(64)) + z.flush()
    a = push_raw(seeded, data, "Content-Encoding: gzip")
    moved = seeded.snapshot() != before
    assert moved == (bands(a.body)[0] == ["unpack ok\n", "ok refs/heads/main\n"])


# --- fetch ----------------------------------------------------------------------------------------

FETCH_TYPE = "Content-Type: application/x-git-upload-pack-request"


def test_fetch_bodies(seeded):
    want = pkt(f"want {seeded.head} ofs-delta\n") + b"0000" + pkt("done\n")
    target = f"/{seeded.name}.git/git-upload-pack"
    a = request(seeded.server, "POST", target, FETCH_TYPE, body=want)
    assert a.status == 200 and a.body.startswith(b"0008NAK\nPACK") and a.complete
    a = request(seeded.server, "POST", target, FETCH_TYPE, "Content-Encoding: gzip", body=gzip.compress(want))
    assert a.status == 200 and a.body.startswith(b"0008NAK\nPACK")
    a = request(seeded.server, "POST", target, "Content-Type: text/plain", body=want)
    assert a.status == 415
    a = request(seeded.server, "POST", target, FETCH_TYPE, body=b"x" * (11 << 20))
    assert a is None or a.status == 413
    a = request(seeded.server, "POST", target, FETCH_TYPE, body=pkt(f"want {'5' * 40}\n") + b"0000" + pkt("done\n"))
    assert b"not our ref" in a.body or a.status == 500
    for junk in (b"zzzz", b"0003", b"\0" * 100, b""):
        a = request(seeded.server, "POST", target, FETCH_TYPE, body=junk)
        assert a is None or b"PACK" not in a.body


def test_fetch_children_die_with_their_client(server, app, tmp_path):
    w = Work(tmp_path / "w")
    w.commit(data=os.urandom(40 << 20))
    assert w.push(app, "main")[0] == 0
    head = w.git("rev-parse", "HEAD")

    def children():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                cmd = open(f"/proc/{pid}/cmdline").read()
            except OSError:
                continue
            if "upload-pack" in cmd and app.id in cmd:
                found.append(pid)
        return found

    want = pkt(f"want {head}\n") + b"0000" + pkt("done\n")
    with connect(server) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(f"POST /{app.name}.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n{auth()}\r\n{FETCH_TYPE}\r\n"
                  f"Content-Length: {len(want)}\r\n\r\n".encode() + want)
        assert s.recv(1000)
        assert children()
    wait_for(lambda: not children(), "upload-pack is gone")
