# shellcheck shell=bash
# Set by the Node.js buildpack: sourced at every start of a process.
export PATH="$HOME/.heroku/node/bin:$HOME/bin:$HOME/node_modules/.bin:$PATH"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"

# MB of memory that this process may use; 512 where nothing says so.
nodejs_memory() {
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
	echo 512
}

# How many processes of WEB_MEMORY fit; more than 200 is a misdetection.
nodejs_concurrency() {
	local n=$(($1 / ($2 > 0 ? $2 : 512)))
	if [ "$n" -gt 200 ] || [ "$n" -lt 1 ]; then n=1; fi
	echo "$n"
}

export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$(nodejs_memory)}"
if [ "$MEMORY_AVAILABLE" -gt 16384 ] 2>/dev/null; then
	export WEB_MEMORY="${WEB_MEMORY:-2048}"
else
	export WEB_MEMORY="${WEB_MEMORY:-512}"
fi
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$(nodejs_concurrency "$MEMORY_AVAILABLE" "$WEB_MEMORY")}"
if [ "${LOG_CONCURRENCY:-}" = true ] && [ "${DYNO%%.*}" = web ]; then
	echo "Detected $MEMORY_AVAILABLE MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)"
	echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY"
fi
unset -f nodejs_memory nodejs_concurrency
