"""Builds through the real launcher, in the sandbox (needs root) and in the plain runtime."""

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build"
HARNESS = BIN / "tests" / "build_harness"
ROOT_USER = os.geteuid() == 0
NOBODY = 65534  # plain is the runtime of people without root: tests as root become somebody else


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class World:
    """A launcher with a state and a run folder of its own, in its own network and mount namespaces."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.dir = Path(tempfile.mkdtemp(prefix="build-"))
        os.chmod(self.dir, 0o711)
        self.state = self.dir / "state"
        self.run = self.dir / "run"
        self.state.mkdir(mode=0o711)
        self.run.mkdir(mode=0o711)
        self.app = str(uuid.uuid4())
        self.log = open(self.dir / "launcher.log", "wb")
        self.bin, self.buildpacks = BIN, ROOT / "buildpacks"
        if ROOT_USER and runtime == "plain":
            self.copy_programs()
        argv = [str(self.bin / "paas-launcher"), "--state", str(self.state), "--run", str(self.run),
                "--runtime", runtime, "--ro", str(self.dir)]
        self.user = os.geteuid()
        self.prefix = []
        if ROOT_USER and runtime == "plain":
            self.user = NOBODY
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            for d in (self.dir, self.state, self.run):
                os.chown(d, NOBODY, NOBODY)
        elif ROOT_USER:
            argv = ["unshare", "-n", "-m", "--propagation", "private"] + argv
        argv = self.prefix + argv
        self.launcher = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for(lambda: (self.run / "launcher.sock").exists() or self.launcher.poll() is not None)
        assert self.launcher.poll() is None, (self.dir / "launcher.log").read_text()
        self.source({"Procfile": "web: run $PORT\n", "file": "content\n"})

    def copy_programs(self):
        """The checkout itself may lie where others cannot read."""
        self.bin, self.buildpacks = self.dir / "bin", self.dir / "bundled"
        self.bin.mkdir()
        for p in (BIN / "paas-launcher", BIN / "paas-shim", BIN / "paas-static", HARNESS):
            shutil.copy(p, self.bin)
        shutil.copytree(ROOT / "buildpacks", self.buildpacks)

    def close(self):
        self.launcher.send_signal(signal.SIGTERM)
        try:
            self.launcher.wait(20)
        except subprocess.TimeoutExpired:
            self.launcher.kill()
            self.launcher.wait()
        self.log.close()
        left = [p for p in (self.run / "dynos").glob("*")] if (self.run / "dynos").exists() else []
        shutil.rmtree(self.dir)
        assert left == []

    def source(self, files):
        src = self.dir / "src"
        shutil.rmtree(src, ignore_errors=True)
        for name, text in files.items():
            (src / name).parent.mkdir(parents=True, exist_ok=True)
            (src / name).write_text(text)

    def pack(self, name, **scripts):
        """A buildpack: compile=..., release=..., report=...; detect says its name if not given."""
        top = self.dir / "packs" / name
        shutil.rmtree(top, ignore_errors=True)
        (top / "bin").mkdir(parents=True)
        scripts.setdefault("detect", f"echo {name}")
        for script, text in scripts.items():
            (top / "bin" / script).write_text("#!/usr/bin/env bash\n" + text + "\n")
        return str(top)

    def build(self, *packs, ok=True, config=(), settings=(), extra=(), env=None, app=None, src=None):
        result = self.dir / "result.json"
        harness = HARNESS if self.bin == BIN else self.bin / HARNESS.name
        argv = [str(harness), "--run", str(self.run), "--state", str(self.state), "--result", str(result),
                "--app", app or self.app, "--uid", "7", "--src", str(src or self.dir / "src"),
                "--buildpacks", str(self.buildpacks), "--libexec", str(self.bin),
                "--set", "build.allow_local_buildpacks=true", "--set", "disk_reserve=0"]
        for p in packs:
            argv += ["--pack", p]
        for c in config:
            argv += ["--config", c]
        for s in settings:
            argv += ["--set", s]
        p = subprocess.run(self.prefix + argv + list(extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], **(env or {})}, timeout=120)
        assert p.returncode in (0, 1), p.stderr.decode(errors="replace") + self.launcher_log()
        r = json.loads(result.read_text())
        r["out"] = p.stdout.decode(errors="replace")
        r["raw"] = p.stdout
        assert r["ok"] == ok, r["out"] + r["message"] + self.launcher_log()
        assert r["runtime"] == self.runtime
        left = sorted(x.name for x in (self.state / "builds" / r["build_id"]).iterdir())
        assert [x for x in left if x not in ("output", "report")] == []
        assert (self.state / "builds" / r["build_id"] / "output").read_bytes() == p.stdout
        return r

    def launcher_log(self):
        return (self.dir / "launcher.log").read_text(errors="replace")

    def slug(self, result, name):
        return Path(result["slug"]) / name


@pytest.fixture(scope="module", params=["sandbox", "plain"])
def world(request):
    if request.param == "sandbox" and not ROOT_USER:
        pytest.skip("the sandbox needs root")
    w = World(request.param)
    yield w
    w.close()


@pytest.fixture(autouse=True)
def fresh(world):
    world.app = str(uuid.uuid4())
    world.source({"Procfile": "web: run $PORT\n", "file": "content\n"})


def sandbox_only(world):
    if world.runtime != "sandbox":
        pytest.skip("only the sandbox isolates")


def test_contract(world):
    pack = world.pack("one", compile="""
env -0 | sort -z > $1/env
pwd > $1/pwd; echo "$1 $2 $3" > $1/args
cp $3/MULTI $1/multi; stat -c '%a %u' $3/MULTI > $1/modes; id -u > $1/uid
umask > $1/umask; readlink /proc/self/fd/0 > $1/stdin; ls -A ${TMPDIR:-/tmp} > $1/tmp
touch ${TMPDIR:-/tmp}/x $1/y $2/z ./here; echo 'export A=1' > export
mkfifo $1/fifo; touch $1/suid; chmod 4755 $1/suid; mkdir $1/shut; chmod 0 $1/shut""",
                      release="echo 'default_process_types: {web: no, console: irb}'; echo noise >&2")
    r = world.build(pack, config=["MULTI=a\nb\n\n", "SECRET=s3cret"])
    env = dict(x.split("=", 1) for x in world.slug(r, "env").read_text().split("\0") if x)
    build_dir, cache_dir, env_dir = world.slug(r, "args").read_text().split()
    assert r["types"] == {"web": "run $PORT", "console": "irb"}
    assert env["STACK"] == "heroku-22" and env["DYNO"] == "build.1"
    assert env["SOURCE_VERSION"] == "0123456789abcdef0123456789abcdef01234567"
    assert env["REQUEST_ID"] == r["build_id"]
    assert env["LANG"] in ("C.UTF-8", "en_US.UTF-8")
    assert env["HOME"] == build_dir
    assert env["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert not [k for k in env if k in ("MULTI", "SECRET") or k.startswith("GIT_")]
    assert world.slug(r, "multi").read_text() == "a\nb\n\n"
    uid = world.slug(r, "uid").read_text().strip()
    assert world.slug(r, "modes").read_text() == f"600 {uid}\n"
    assert world.slug(r, "umask").read_text() == "0022\n"
    assert world.slug(r, "stdin").read_text() == "/dev/null\n"
    assert world.slug(r, "tmp").read_text() == ""
    assert not world.slug(r, "fifo").exists()
    assert stat.S_IMODE(world.slug(r, "suid").stat().st_mode) == 0o755
    assert stat.S_IMODE(world.slug(r, "shut").stat().st_mode) == 0o700
    assert world.slug(r, "file").stat().st_uid == world.user
    assert world.slug(r, "y").stat().st_uid == world.user
    assert not (Path(pack) / "here").exists()
    if world.runtime == "sandbox":
        assert uid != "0"
        assert build_dir == "/app"
        assert world.slug(r, "pwd").read_text().startswith("/build/buildpacks/0")
    assert "-----> one app detected\n-----> Discovering process types\n" in r["out"]


def test_isolation(world):
    sandbox_only(world)
    secret = world.state / "master.key"
    secret.write_text("secret")
    pack = world.pack("one", compile=f"""
grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status > $1/status
ls -d {world.state} /root/* /etc/shadow /work > $1/seen 2>/dev/null
ls /proc | grep -c '^[0-9]' > $1/procs
touch /usr/x /etc/x /build/x 2>/dev/null && echo writable > $1/writable
timeout 2 bash -c '</dev/tcp/127.0.0.1/{9}' 2>/dev/null && echo reached > $1/reached
true""")
    r = world.build(pack)
    status = dict(x.split(":\t") for x in world.slug(r, "status").read_text().splitlines())
    assert int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert world.slug(r, "seen").read_text() == ""
    assert int(world.slug(r, "procs").read_text()) < 12
    assert not world.slug(r, "writable").exists()


def test_several_buildpacks(world):
    first = world.pack("first", compile="mkdir $1/sub; mv $1/file $1/sub/; "
                                        "echo 'export SEEN=\"${SEEN:-}one:\" P=\"x y\"' > export",
                       release="echo 'default_process_types: {bad: no}'")
    second = world.pack("second", detect="[ -f $1/sub/file ] && [ -z \"${SEEN:-}\" ] && echo Second",
                        compile="echo \"$SEEN$P\" > $1/seen; echo 'SEEN=lost; export SEEN=\"$P\"' > export")
    third = world.pack("third", compile="echo \"$SEEN\" > $1/third", release="echo 'default_process_types: {good: a}'")
    r = world.build(first, second, third)
    assert world.slug(r, "seen").read_text() == "one:x y\n"
    assert world.slug(r, "third").read_text() == "x y\n"
    assert r["types"] == {"web": "run $PORT", "good": "a"}
    assert r["language"] == "third" and r["buildpacks"] == [first, second, third]
    assert "-----> Using buildpacks:\n       1. " in r["out"]


def test_cache_is_kept_only_by_success(world):
    world.build(world.pack("one", compile="cat $2/n 2>/dev/null; echo good > $2/n; chmod 400 $2/n; "
                                          "mkdir -p $2/ro/deep; touch $2/ro/deep/x; chmod 555 $2/ro/deep $2/ro"))
    r = world.build(world.pack("one", compile="rm -f $2/n; echo poison > $2/n; exit 1"), ok=False)
    assert r["error"] == "build_failed"
    assert " !     Push rejected, failed to compile one app.\n\n !     Push failed\n" in r["out"]
    r = world.build(world.pack("one", compile="cat $2/n; stat -c %a $2/ro/deep; ls $2/ro/deep"))
    assert "\ngood\n555\nx\n" in r["out"]
    r = world.build(world.pack("one", compile="ls $2 | wc -l"), settings=["stack=heroku-24"])
    assert "\n0\n" in r["out"]
    r = world.build(world.pack("one", compile="ls -A $2 | wc -l"), app=str(uuid.uuid4()))
    assert "\n0\n" in r["out"]


def test_output_as_it_comes(world):
    pack = world.pack("one", compile=r"""head -c 200000 /dev/zero | tr '\0' x; echo
printf 'bar 1\rbar 2\0\377\n'; echo out; echo err >&2; echo out2; printf 'no end'""")
    r = world.build(pack)
    assert b"\n" + b"x" * 200000 + b"\nbar 1\rbar 2\0\xff\nout\nerr\nout2\nno end\n-----> Disc" in r["raw"]


def test_background_process_ends_with_the_build(world):
    pack = world.pack("one", compile="(trap '' TERM HUP; exec sleep 321.5) & setsid sleep 321.5 & echo started")
    begin = time.monotonic()
    r = world.build(pack)
    assert "started" in r["out"]
    assert time.monotonic() - begin < 60
    if world.runtime == "sandbox":  # plain can only signal the process group
        wait_for(lambda: not [p for p in Path("/proc").glob("[0-9]*/cmdline") if is_sleep(p)])
    else:
        for p in [p for p in Path("/proc").glob("[0-9]*/cmdline") if is_sleep(p)]:
            os.kill(int(p.parent.name), signal.SIGKILL)


def is_sleep(p):
    try:
        return p.read_bytes() == b"sleep\x00321.5\x00"
    except OSError:
        return False


def test_cancel(world):
    r = world.build(world.pack("one", compile="echo go; sleep 300"), ok=False, extra=["--cancel-on", "go\n"])
    assert r["error"] == "canceled"
    assert r["out"].endswith("go\n !     Build canceled\n\n !     Push failed\n")


def test_timeout(world):
    r = world.build(world.pack("one", compile="sleep 300"), ok=False, settings=["build.timeout=10"])
    assert r["error"] == "timeout"
    assert " !     The build took longer than 10 seconds and was stopped\n" in r["out"]


def test_refusals(world):
    r = world.build(world.pack("one", detect="echo not mine; echo reason >&2; exit 1", compile=""), ok=False)
    assert " !     App not compatible with buildpack: " in r["out"] and "\nnot mine\nreason\n" in r["out"]
    world.source({"x": ""})
    r = world.build(ok=False)
    assert " !     No default language could be detected for this app.\n" in r["out"]
    r = world.build(world.pack("one", compile="true"), ok=False, settings=["disk_reserve=1048576"])
    assert r["error"] == "insufficient_storage" and "Not enough disk space to build" in r["out"]


def test_passed_variables_bring_their_paths(world):
    wheels = world.dir / "wheels"
    wheels.mkdir(exist_ok=True)
    (wheels / "a.whl").write_text("wheel")
    pack = world.pack("one", compile="cat $PIP_FIND_LINKS/a.whl > $1/got; cat ${SSL_CERT_FILE} >> $1/got; "
                                     "touch $PIP_FIND_LINKS/b 2>/dev/null; true")
    (world.dir / "ca.pem").write_text("ca")
    r = world.build(pack, env={"PIP_FIND_LINKS": str(wheels), "SSL_CERT_FILE": str(world.dir / "ca.pem"),
                               "NOT_LISTED": "x"})
    assert world.slug(r, "got").read_text() == "wheelca"
    if world.runtime == "sandbox":
        assert not (wheels / "b").exists()


def git(*args, cwd):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *args], cwd=cwd, env=env,
                   check=True, stdout=subprocess.DEVNULL)


def test_buildpack_by_git_and_tarball(world):
    pack = world.pack("repo", compile="echo one > $1/which")
    git("init", "-q", "-b", "main", ".", cwd=pack)
    git("add", "-A", cwd=pack)
    git("commit", "-qm", "1", cwd=pack)
    git("tag", "v1", cwd=pack)
    (Path(pack) / "bin" / "compile").write_text("#!/usr/bin/env bash\necho two > $1/which\n")
    git("commit", "-qam", "2", cwd=pack)
    subprocess.run(["tar", "czf", "repo.tgz", "--exclude=.git", "repo"], cwd=Path(pack).parent, check=True)
    for text, want in ((f"file://{pack}", "two"), (f"file://{pack}#v1", "one"), (f"file://{pack}.tgz", "two")):
        r = world.build(text)
        assert world.slug(r, "which").read_text() == want + "\n"
        assert r["buildpacks"] == [text]


def test_out_of_memory_is_said(world):
    sandbox_only(world)
    pack = world.pack("one", compile="/usr/bin/python3 -c 'x = bytearray(600 << 20); print(len(x))'")
    r = world.build(pack, ok=False, settings=["build.memory=128"])
    assert " !     The build ran out of memory (128 MB)\n" in r["out"]


@pytest.mark.parametrize("make, name", [
    ("make-procfile-app.sh", "heroku/procfile"), ("make-c-app.sh", "paas/make"),
    ("make-static-app.sh", "heroku/static")])
def test_sample_apps_with_bundled_buildpacks(world, make, name):
    src = world.dir / ("sample-" + make)
    subprocess.run([str(ROOT / "tests" / "apps" / make), str(src)], check=True, stdout=subprocess.DEVNULL)
    r = world.build(src=src)
    assert r["buildpacks"] == [name]
    assert "-----> Determining which buildpack to use for this app\n" in r["out"]
    assert "web" in r["types"]
    assert not world.slug(r, ".git").exists()
