/* The buildpack contract, clause by clause. */
#include "tests/unit/build/flow.h"

static void transcript_of_one_buildpack(void **state)
{
	struct fixture *f = *state;
	struct run r;
	AUTO(auto_str) char *want = NULL;
	char *tail;

	pack(f, "one", "echo '-----> Compiling'; echo '       detail' >&2; echo $1 > $1/built");
	script(f, "packs/one", "release",
	       "echo 'default_process_types:'; echo '  console: irb'; echo '  web: no'");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	want = xasprintf("-----> Building on the heroku-22 stack\n"
			 "-----> Using buildpack: %s/packs/one\n"
			 "-----> one app detected\n"
			 "-----> Compiling\n"
			 "       detail\n"
			 "-----> Discovering process types\n"
			 "       Procfile declares types     -> web\n"
			 "       Default types for buildpack -> console\n"
			 "-----> Compressing...\n"
			 "       Done: ",
			 f->dir);
	tail = buf_steal(&r.out);
	assert_true(strlen(tail) > strlen(want));
	buf_adds(&r.out, tail);
	tail[strlen(want)] = 0;
	assert_string_equal(tail, want);
	free(tail);
	assert_int_equal(r.res.types.n, 2);
	assert_string_equal(proc_types_get(&r.res.types, "web"), "run $PORT");
	assert_string_equal(proc_types_get(&r.res.types, "console"), "irb");
	assert_string_equal(r.res.language, "one");
	assert_string_equal(r.res.buildpacks[0], r.packs[0]);
	assert_true(r.res.slug_bytes > 0);
	assert_null(r.res.release_command_note);
	slug_is(&r, "file", "content");
	done(&r);
}

static void environment_is_the_contracts(void **state)
{
	struct fixture *f = *state;
	struct run r;
	AUTO(auto_str) char *env = NULL;
	AUTO(auto_str) char *want = NULL;
	char *config[] = {(char[]){"A=1"}, (char[]){"MULTI=x\ny\n\n"}, (char[]){"EMPTY="},
			  (char[]){"EQ=a=b"}, NULL};
	char *passed[] = {(char[]){"PASSED"}, (char[]){"GIT_DIR"}, (char[]){"STACK"}, NULL};

	setenv("PASSED", "on", 1);
	setenv("GIT_DIR", "/nowhere", 1);
	setenv("NOT_PASSED", "x", 1);
	f->cfg.build_env = passed;
	pack(f, "one",
	     "env | sort > $1/env\npwd > $1/pwd\nstat -c %a $3/* > $1/modes\ncp $3/MULTI $3/EMPTY "
	     "$3/EQ $1\n"
	     "umask > $1/umask\nreadlink /proc/self/fd/0 > $1/stdin\ntest -t 1 || echo no > "
	     "$1/tty\n"
	     "[ -d $2 ] && ls -A $2 > $1/cache\n[[ $1$2$3 == /*/*/* ]]\ntouch here; ls "
	     "/proc/self/fd | wc -l > $1/fds");
	prepare(&r, f, "one");
	r.req.config = config;
	run(&r);
	f->cfg.build_env = NULL;
	unsetenv("GIT_DIR");
	ok(&r);
	env = slug_file(&r, "env");
	want = xasprintf("\nSOURCE_VERSION=%s\n", r.req.commit);
	assert_non_null(strstr(env, want));
	assert_non_null(strstr(env, "\nSTACK=heroku-22\n"));
	assert_non_null(strstr(env, "\nPASSED=on\n"));
	assert_non_null(strstr(env, "\nPATH=/usr/local/bin:/usr/bin:/bin\n"));
	assert_non_null(strstr(env, "DYNO=build.1\n"));
	assert_non_null(strstr(env, "UTF-8\n"));
	assert_null(strstr(env, "NOT_PASSED"));
	assert_null(strstr(env, "GIT_"));
	assert_null(strstr(env, "MULTI"));
	assert_null(strstr(env, "__paas"));
	slug_is(&r, "modes", "600\n600\n600\n600\n");
	slug_is(&r, "MULTI", "x\ny\n\n");
	slug_is(&r, "EMPTY", "");
	slug_is(&r, "EQ", "a=b");
	slug_is(&r, "umask", "0022\n");
	slug_is(&r, "stdin", "/dev/null\n");
	slug_is(&r, "tty", "no\n");
	slug_is(&r, "cache", "");
	slug_is(&r, "fds", "4\n"); /* 0 1 2 and ls's own */
	{
		AUTO(auto_str) char *pwd = slug_file(&r, "pwd");

		assert_non_null(strstr(pwd, "/buildpacks/0\n"));
		assert_int_equal(access(at(f, "packs/one/here"), F_OK), -1); /* its own copy */
	}
	done(&r);
}

static void several_run_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "first",
	     "mkdir $1/sub; mv $1/file $1/sub/moved\n"
	     "echo 'export SEEN=\"${SEEN:-}first:\"; declare -x D=\"a b\"; false; set -eu; set -- "
	     "x' > export");
	script(f, "packs/first", "release", "echo 'default_process_types: {bad: no}'");
	pack(f, "second",
	     "echo \"$SEEN $D $-\" > $1/second; echo 'export SEEN=\"${SEEN}second:\"; N=1' > "
	     "export");
	/* must see what the first did, and no export */
	script(f, "packs/second", "detect",
	       "[ -f $1/sub/moved ] && [ -z \"${SEEN:-}\" ] && echo Second");
	pack(f, "third", "echo \"$SEEN $D ${N:-none}\" > $1/third");
	script(f, "packs/third", "release", "echo \"default_process_types: {good: 'x${SEEN:-}'}\"");
	prepare(&r, f, "first second third");
	run(&r);
	ok(&r);
	has(&r, "-----> Using buildpacks:\n       1. ");
	has(&r, "\n       3. ");
	has(&r,
	    "-----> first app detected\n-----> Second app detected\n-----> third app detected\n");
	slug_is(&r, "second", "first: a b hB\n");
	slug_is(&r, "third", "first:second: a b none\n");
	assert_string_equal(proc_types_get(&r.res.types, "good"), "x");
	assert_null(proc_types_get(&r.res.types, "bad"));
	assert_string_equal(r.res.language, "third");
	done(&r);
}

static void a_detect_that_says_no_fails_the_build(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "one", "true");
	script(f, "packs/one", "detect", "echo not this; echo why >&2; exit 1");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, " !     App not compatible with buildpack: /");
	has(&r, "\nnot this\nwhy\n");
	has(&r, "\n !     Push failed\n");
	assert_string_equal(r.res.slug_id, "");
	done(&r);
}

static void a_compile_that_fails_rejects_the_push(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "one", "echo 'no newline at the end'; printf oops; exit 3");
	script(f, "packs/one", "report", "echo '{\"failed\": true}'; echo noise; exit 0");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r,
	    "\noops\n\n !     Push rejected, failed to compile one app.\n\n !     Push failed\n");
	has_not(&r, "noise");
	assert_int_equal(access(at(f, "state/slugs"), F_OK), -1);
	done(&r);
}

static void output_is_passed_as_it_comes(void **state)
{
	struct fixture *f = *state;
	struct run r;
	const char *p;

	pack(f, "one",
	     "head -c 200000 /dev/zero | tr '\\0' x; echo; printf "
	     "'a\\rb\\0c\\377\\n\\e[31mred\\e[0m\\n'; printf end");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	p = memmem(r.out.data, r.out.len, "xxxxx", 5);
	assert_non_null(p);
	assert_int_equal(strspn(p, "x"), 200000);
	assert_non_null(memmem(r.out.data, r.out.len,
			       "\na\rb\0c\xff\n\x1b[31mred\x1b[0m\nend\n-----> Disc", 36));
	done(&r);
}

static void what_stays_in_the_background_dies(void **state)
{
	struct fixture *f = *state;
	struct run r;
	mono_ms begin = clock_mono_ms();

	pack(f, "one", "(trap '' TERM HUP; sleep 300) & echo $! > $1/pid; echo started");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	assert_true(clock_mono_ms() - begin < 30000);
	{
		AUTO(auto_str) char *pid = slug_file(&r, "pid");

		for (int i = 0; i < 500 && proc_starttime(atoi(pid)); i++)
			poll(NULL, 0, 10);
		assert_int_equal(proc_starttime(atoi(pid)), 0);
	}
	done(&r);
}

static void the_cache_is_kept_only_by_success(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "one", "cat $2/n > $1/was 2>/dev/null; echo good > $2/n");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	slug_is(&r, "was", "");
	done(&r);
	pack(f, "one", "echo poison > $2/n; exit 1");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	done(&r);
	pack(f, "one",
	     "cat $2/n > $1/was; mkdir $2/ro; touch $2/ro/x; chmod 0 $2/ro; chmod 0 $2/n");
	for (int i = 0; i < 2; i++) {
		prepare(&r, f, "one");
		run(&r);
		ok(&r);
		slug_is(&r, "was", "good\n");
		done(&r);
		pack(f, "one", "cat $2/n > $1/was; [ -f $2/ro/x ]");
	}
	free(f->cfg.stack);
	f->cfg.stack = xstrdup("heroku-24");
	pack(f, "one", "[ ! -e $2/n ]");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	has(&r, "The stack has changed");
	done(&r);
	assert_int_equal(build_cache_purge(f->b, f->app_id, &r.err), 0);
	assert_int_equal(access(at(f, "state/cache/%s", f->app_id), F_OK), -1);
}

static void the_source_is_swept_before_detect(void **state)
{
	struct fixture *f = *state;
	struct run r;

	put(at(f, "src/.git/config"), "x", 0644);
	put(at(f, "src/vendor/mod/.git"), "gitdir: x", 0644);
	put(at(f, "src/.gitmodules"), "x", 0644);
	put(at(f, "src/log/.keep"), "", 0644);
	put(at(f, "src/log/dev.log"), "x", 0644);
	put(at(f, "src/tmp/deep/x"), "x", 0644);
	put(at(f, "src/app/tmp/x"), "x", 0644);
	put(at(f, "src/docs/a.psd"), "x", 0644);
	put(at(f, "src/spec/x"), "x", 0644);
	put(at(f, "src/.slugignore"), "*.psd\n/spec/\n!no\n", 0644);
	pack(f, "one", "true");
	script(f, "packs/one", "detect", "cd $1; find . -type f | LC_ALL=C sort | tr '\\n' ' '");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	has(&r, "-----> Deleting 2 files matching .slugignore patterns.\n");
	has(&r, " !     .slugignore:3: negation");
	has(&r, "-----> ./.slugignore ./Procfile ./app/tmp/x ./file ./log/.keep app detected\n");
	done(&r);
}

static void detection_takes_the_first_that_fits(void **state)
{
	struct fixture *f = *state;
	struct run r;
	char *map[] = {(char[]){"heroku/python=python"}, NULL};
	static const char *const names[] = {"ruby", "nodejs", "python", "procfile"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		script(f, at(f, "bundled/%s", names[i]) + strlen(f->dir) + 1, "detect",
		       i < 2 ? "echo no; exit 1" : "echo Word; echo more");
		script(f, at(f, "bundled/%s", names[i]) + strlen(f->dir) + 1, "compile",
		       "pwd > $1/pwd; ls > $1/ls");
	}
	f->cfg.buildpack_map = map;
	prepare(&r, f, "");
	run(&r);
	ok(&r);
	has(&r,
	    "-----> Determining which buildpack to use for this app\n-----> Word app detected\n");
	assert_string_equal(r.res.buildpacks[0], "heroku/python");
	assert_null(r.res.buildpacks[1]);
	assert_int_equal(started, 2); /* all detects in one sandbox */
	slug_is(&r, "ls", "bin\n");
	done(&r);
	script(f, "bundled/procfile", "detect", "exit 1");
	script(f, "bundled/python", "detect", "exit 1");
	prepare(&r, f, "");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, " !     No default language could be detected for this app.\n");
	done(&r);
	/* the old way of naming one */
	{
		char *config[] = {(char[]){"BUILDPACK_URL=urn:buildpack:heroku/nodejs"}, NULL};

		script(f, "bundled/nodejs", "detect", "echo Node");
		prepare(&r, f, "");
		r.req.config = config;
		run(&r);
		ok(&r);
		has(&r, "-----> Using buildpack: urn:buildpack:heroku/nodejs\n-----> Node app "
			"detected\n");
		done(&r);
	}
	f->cfg.buildpack_map = NULL;
}

static void first_deploy_takes_defaults(void **state)
{
	struct fixture *f = *state;
	struct run r;
	char *config[] = {(char[]){"SET=mine"}, NULL};

	pack(f, "one", "true");
	script(f, "packs/one", "release",
	       "echo 'noise: [' >&2; printf -- '---\\r\\naddons: [db:x]\\r\\nconfig_vars:\\r\\n  "
	       "SET: theirs\\r\\n  NEW: \"v w\"\\r\\n'");
	prepare(&r, f, "one");
	r.req.config = config;
	r.req.first_deploy = true;
	run(&r);
	ok(&r);
	assert_string_equal(r.res.config[0], "NEW=v w");
	assert_null(r.res.config[1]);
	assert_string_equal(r.res.addons[0], "db:x");
	done(&r);
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	assert_null(r.res.config);
	done(&r);
	script(f, "packs/one", "release", "echo 'a: [broken'");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	has(&r, " !     bin/release of ");
	done(&r);
}

static void procfiles_count_as_the_build_leaves_them(void **state)
{
	struct fixture *f = *state;
	struct run r;

	pack(f, "one",
	     "mv $1/Procfile $1/real; echo 'release: migrate' >> $1/real; ln -s real $1/Procfile");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	has(&r, "Procfile declares types     -> release, web\n-----> Comp");
	assert_non_null(strstr(r.res.release_command_note, "Release command declared"));
	done(&r);
	pack(f, "one", "ln -sf /etc/passwd $1/Procfile");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, " !     Procfile cannot be read");
	done(&r);
	pack(f, "one", "rm $1/Procfile; mkfifo $1/Procfile");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	done(&r);
	pack(f, "one", "echo 'web rails' > $1/Procfile");
	prepare(&r, f, "one");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, " !     Procfile:1: \"web rails\" is not of the form TYPE: COMMAND\n");
	done(&r);
	pack(f, "one", "rm $1/Procfile");
	prepare(&r, f, "one");
	run(&r);
	ok(&r);
	has(&r, "Procfile declares types     -> (none)\n");
	assert_int_equal(r.res.types.n, 0);
	done(&r);
}

static void what_is_no_buildpack_is_said(void **state)
{
	struct fixture *f = *state;
	struct run r;
	char *twenty_one[22] = {NULL};

	put(at(f, "packs/none/README"), "x", 0644);
	prepare(&r, f, "none");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, "is no buildpack: it has no bin/detect");
	done(&r);
	prepare(&r, f, "nobody/knows");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, " !     Couldn't get buildpack nobody/knows:\n !     there is no buildpack of this "
		"name");
	done(&r);
	for (int i = 0; i < 21; i++)
		twenty_one[i] = (char *)(uintptr_t) "ruby";
	prepare(&r, f, "");
	r.req.buildpacks = twenty_one;
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	done(&r);
}

static void sh(const char *cmd)
{
	assert_int_equal(system(cmd), 0);
}

static void git_and_tarballs_are_fetched(void **state)
{
	struct fixture *f = *state;
	AUTO(auto_str) char *make = NULL;
	struct run r;
	static const char *const refs[] = {"", "#main", "#v1", "#side", "#$sha"};

	pack(f, "one", "echo main > $1/which");
	make = xasprintf(
		"cd %s/packs/one && export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 &&"
		"git init -q -b main . && git config user.email a@b && git config user.name a &&"
		"git add -A && git commit -qm 1 && git tag v1 && git checkout -qb side &&"
		"echo 'echo side > $1/which' >> bin/compile && git commit -qam 2 && git rev-parse "
		"HEAD > ../sha &&"
		"git checkout -q main && cd .. && tar czf flat.tgz -C one bin && tar czf "
		"one.tar.gz one",
		f->dir);
	sh(make);
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		AUTO(auto_str) char *text = NULL;
		AUTO(buf_clear) struct buf sha = {0};

		assert_int_equal(fs_read(at(f, "packs/sha"), 64, &sha, NULL), 0);
		sha.data[--sha.len] = 0;
		text = xasprintf("file://%s/packs/one%s%s", f->dir, i == 4 ? "#" : refs[i],
				 i == 4 ? sha.data : "");
		prepare(&r, f, text);
		run(&r);
		ok(&r);
		slug_is(&r, "which", i < 3 ? "main\n" : "side\n");
		done(&r);
	}
	for (int i = 0; i < 2; i++) {
		AUTO(auto_str)
		char *text = xasprintf("file://%s/packs/%s", f->dir, i ? "flat.tgz" : "one.tar.gz");

		prepare(&r, f, text);
		run(&r);
		ok(&r);
		slug_is(&r, "which", "main\n");
		done(&r);
	}
	{
		AUTO(auto_str) char *text = xasprintf("file://%s/packs/one#nothere", f->dir);

		prepare(&r, f, text);
		run(&r);
		refused(&r, ERR_BUILD_FAILED);
		has(&r, "it has no branch, tag or commit nothere");
		done(&r);
	}
	f->cfg.allow_local_buildpacks = false;
	prepare(&r, f, "file:///x/y.git");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	done(&r);
	prepare(&r, f, "https://127.0.0.1/x.git https://u:secret@127.0.0.1/x.tgz");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, "127.0.0.1 is a private address");
	has_not(&r, "secret");
	done(&r);
	prepare(&r, f, "https://u:secret@127.0.0.1/x.tgz");
	run(&r);
	refused(&r, ERR_BUILD_FAILED);
	has(&r, "private address");
	has_not(&r, "secret");
	done(&r);
}

static void reports_are_kept_and_never_shown(void **state)
{
	struct fixture *f = *state;
	struct run r;
	AUTO(buf_clear) struct buf got = {0};

	pack(f, "one", "true");
	script(f, "packs/one", "report", "echo '{\"version\": \"1.2\"}'; echo shown >&2");
	pack(f, "two", "true");
	script(f, "packs/two", "report", "echo broken; exit 1");
	prepare(&r, f, "one two");
	run(&r);
	ok(&r);
	has_not(&r, "shown");
	has_not(&r, "broken");
	assert_int_equal(fs_read(at(f, "state/builds/%s/report", r.req.build_id), 1000, &got, NULL),
			 0);
	assert_string_equal(buf_str(&got), "{\"version\":\"1.2\"}\n");
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(transcript_of_one_buildpack),
		T(environment_is_the_contracts),
		T(several_run_one_after_the_other),
		T(a_detect_that_says_no_fails_the_build),
		T(a_compile_that_fails_rejects_the_push),
		T(output_is_passed_as_it_comes),
		T(what_stays_in_the_background_dies),
		T(the_cache_is_kept_only_by_success),
		T(the_source_is_swept_before_detect),
		T(detection_takes_the_first_that_fits),
		T(first_deploy_takes_defaults),
		T(procfiles_count_as_the_build_leaves_them),
		T(what_is_no_buildpack_is_said),
		T(git_and_tarballs_are_fetched),
		T(reports_are_kept_and_never_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
