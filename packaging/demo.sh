#!/bin/bash
# make demo: starts a platform of its own in ./var/demo, deploys a small C app by git push, shows it.
# make demo-stop ends it and takes everything away.
set -eu
cd "$(dirname "$0")/.."
dir=$PWD/var/demo
port=${DEMO_PORT:-8080}
url=http://localhost:$port
bin=$PWD/build
export PATH=$bin:$PATH PAASCTL_API_URL=$url

stop() {
	if [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
		kill -TERM "$(cat "$dir/pid")"
		tail --pid="$(cat "$dir/pid")" -f /dev/null
	fi
	[ ! -x "$bin/paas-launcher" ] || [ ! -d "$dir/state" ] ||
		"$bin/paas-launcher" --cleanup --run "$dir/state/run" --state "$dir/state" >/dev/null 2>&1 || true
	rm -rf "$dir"
	echo "the demo has ended; nothing of it is left"
}

start() {
	[ ! -d "$dir" ] || stop
	mkdir -p "$dir/home"
	: >"$dir/out"
	setsid "$bin/paasd" --dev --state "$dir/state" --listen "127.0.0.1:$port" >"$dir/out" 2>"$dir/paasd.log" </dev/null &
	pid=$!
	echo "$pid" >"$dir/pid"
	echo "starting the platform on $url ..."
	for _ in $(seq 300); do
		grep -q '^ready' "$dir/out" && break
		kill -0 "$pid" 2>/dev/null || { cat "$dir/paasd.log" >&2 && exit 1; }
		read -r -t 0.1 <> <(:) || true
	done
	grep -q '^ready' "$dir/out" || { cat "$dir/paasd.log" >&2 && exit 1; }
	PAASCTL_API_KEY=$(cat "$dir/state/admin-token")
	export PAASCTL_API_KEY
	export HOME=$dir/home GIT_TERMINAL_PROMPT=0
	(umask 077 && printf 'machine localhost\n  login me\n  password %s\n' "$PAASCTL_API_KEY" >"$HOME/.netrc")

	sh tests/apps/make-c-app.sh "$dir/app" >/dev/null
	cd "$dir/app"
	echo "\$ paasctl create hello"
	paasctl create hello -r production
	echo "\$ git push production main"
	git push production main
	echo "\$ curl http://hello.localhost:$port/"
	curl -s "http://hello.localhost:$port/" || curl -s -H "Host: hello.localhost:$port" "http://127.0.0.1:$port/"
	cat <<TXT

It is live: http://hello.localhost:$port/ (browsers and curl resolve *.localhost by themselves).
Go on in a shell of your own:

  export PATH=$bin:\$PATH PAASCTL_API_URL=$url
  paasctl login --token < $dir/state/admin-token
  cd $dir/app
  paasctl logs --tail            # then reload the page
  paasctl ps:scale web=2
  paasctl run bash
  echo '/* changed */' >> server.c && git commit -qam change && git push production main

make demo-stop ends it.
TXT
}

case ${1:-} in
start) start ;;
stop) stop ;;
*)
	echo "usage: demo.sh start|stop" >&2
	exit 2
	;;
esac
