#!/bin/sh
# usage: run-unit.sh SECONDS TEST: runs it, then prints all that it said, apart from that of others.
out=$2.out
timeout -k 5 "$1" "$2" >"$out" 2>&1
rc=$?
{
	flock 9
	echo "# $2"
	cat "$out"
} 9>>"$(dirname "$0")/../../build/run-unit.lock"
rm -f "$out"
[ $rc = 0 ] || exit 1
