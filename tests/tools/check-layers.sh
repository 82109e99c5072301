#!/bin/bash
# Who may include whom (docs/architecture.md): prints each forbidden #include, exits 1 if there is one.
#   main > api > review > {setup pg backup} > {addon cron pipeline} > {release svc} > {git build dyno route drain hook provider}
#     > {store http slug log sandbox tls out appjson} > core > proto
# Modules inside one pair of braces never include each other; of another module only its public header
# (module/module.h, or a store aggregate); the other programs use proto, core, and the HTTP parser.
# appjson is pure, so that cli can check a file without a platform (docs/decisions/0003-app-json.md).
set -eu
cd "$(dirname "$0")/../.."

level() {
	case $1 in
	proto) echo 0 ;;
	core) echo 1 ;;
	store | http | slug | log | sandbox | tls | out | appjson) echo 2 ;;
	git | build | dyno | route | drain | hook | provider) echo 3 ;;
	release | svc) echo 4 ;;
	addon | cron | pipeline) echo 5 ;;
	setup | pg | backup) echo 6 ;;
	review) echo 7 ;;
	api) echo 8 ;;
	main) echo 9 ;;
	*) echo 10 ;;
	esac
}

module_of() {
	case $1 in
	proto/*) echo proto ;;
	daemon/*/*) x=${1#daemon/} && echo "${x%%/*}" ;;
	daemon/*) echo main ;;
	*) echo "${1%%/*}" ;;
	esac
}

allowed() { # from-module to-module to-file
	local from=$1 to=$2 file=$3
	[ "$from" = "$to" ] && return 0
	[ "$to" = proto ] && return 0
	case $from in
	cli) [ "$file" = daemon/appjson/appjson.h ] && return 0 || return 1 ;;
	proto) return 1 ;;
	launcher | shim | router | fileserver | postgres)
		case $file in
		daemon/core/*.h | daemon/http/http1.h) return 0 ;;
		launcher/*.h | shim/*.h) [ "$from" = launcher ] || [ "$from" = shim ] ;;
		*) return 1 ;;
		esac
		return
		;;
	esac
	case $file in *_int.h) return 1 ;; esac
	[ "$(level "$from")" -gt "$(level "$to")" ]
}

bad=0
while IFS=: read -r file line text; do
	inc=${text#*\"}
	inc=${inc%%\"*}
	case $inc in sql_table.h) continue ;; esac
	from=$(module_of "$file")
	to=$(module_of "$inc")
	if ! allowed "$from" "$to" "$inc"; then
		echo "$file:$line: $from must not include $inc"
		bad=1
	fi
done < <(grep -rn --include='*.[ch]' '^#include "' proto daemon router launcher shim fileserver postgres cli)
[ $bad = 0 ] && echo "layers: ok"
exit $bad
