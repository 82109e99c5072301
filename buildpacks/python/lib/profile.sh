# shellcheck shell=bash
# Set by the Python buildpack: sourced at every start of a process.
export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-true}"
export PYTHONPATH="${PYTHONPATH-$HOME}"
export LANG="${LANG:-C.UTF-8}"
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS---access-logfile -}"
unset PYTHONHOME

# MB of memory that this process may use; nothing where no limit is to be seen.
python_memory() {
	local file bytes
	for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
		[ -r "$file" ] || continue
		bytes=$(cat "$file" 2>/dev/null)
		case $bytes in '' | *[!0-9]*) continue ;; esac
		# above 1 TB it is no limit at all
		if [ ${#bytes} -le 15 ] && [ "$bytes" -le 1099511627776 ]; then
			echo $((bytes / 1048576))
			return
		fi
	done
}

# As many processes as the processors keep busy and the memory holds, at 256 MB each.
python_concurrency() {
	local memory processors by_memory
	memory=$(python_memory)
	if [ -z "$memory" ]; then
		case ${DYNO:-} in
		web.*) echo "Python buildpack: the memory limit is not to be seen; WEB_CONCURRENCY stays unset." >&2 ;;
		esac
		return
	fi
	export DYNO_RAM="$memory"
	[ -z "${WEB_CONCURRENCY:-}" ] || return
	processors=$(nproc 2>/dev/null || echo 1)
	by_memory=$((memory / 256))
	WEB_CONCURRENCY=$((2 * processors + 1))
	if [ "$by_memory" -lt "$WEB_CONCURRENCY" ]; then WEB_CONCURRENCY=$by_memory; fi
	if [ "$WEB_CONCURRENCY" -lt 1 ]; then WEB_CONCURRENCY=1; fi
	export WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY="heroku/python"
}
python_concurrency
unset -f python_memory python_concurrency
