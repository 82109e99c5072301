# common.sh - output in the builder's columns and config vars, for every bundled buildpack.
# The same file is in each of them (a test compares): a build gets a copy of one folder alone.
# shellcheck shell=bash

step() { printf -- '-----> %s\n' "$*"; }
detail() { printf '       %s\n' "$@"; }
warn() { printf ' !     %s\n' "$@" >&2; }
indent() { sed -u '/./s/^/       /'; }

# fail LINE...: says why and what to do, and ends the build.
fail() {
	printf '\n' >&2
	printf '%s\n' "$@" | sed 's/^/ !     /' >&2
	printf '\n' >&2
	exit 1
}

# Names that a config var may not set in the environment of a build: they change which programs
# and libraries run, or what git and the shell take for their own.
env_is_refused() {
	case $1 in
	PATH | HOME | PWD | OLDPWD | SHELL | IFS | ENV | TMPDIR | LANG | PORT | DYNO | STACK) return 0 ;;
	GIT_* | LD_* | BASH* | SHELLOPTS | PS4 | CPATH | CPPATH | LIBRARY_PATH | PYTHONHOME) return 0 ;;
	UID | EUID | PPID | GROUPS | FUNCNAME | DIRSTACK | SOURCE_VERSION | REQUEST_ID) return 0 ;;
	BUILD_DIR | CACHE_DIR | ENV_DIR | BUILDPACK_DIR | BUILDPACK_RUNTIMES | PAAS_LIBEXEC) return 0 ;;
	esac
	[[ ! $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]
}

# Exports the config vars in ENV_DIR ($1), byte for byte (newlines at the end too).
export_env_dir() {
	local file name value
	[[ -d ${1:-} ]] || return 0
	for file in "$1"/*; do
		name=${file##*/}
		if [[ ! -f $file ]] || env_is_refused "$name"; then continue; fi
		IFS= read -r -d '' value <"$file" || true
		export "$name=$value"
	done
}

# The value of one config var: env_value ENV_DIR NAME [DEFAULT]
env_value() {
	local value=
	if [[ -f $1/$2 ]]; then
		IFS= read -r -d '' value <"$1/$2" || true
		printf '%s' "$value"
	else
		printf '%s' "${3:-}"
	fi
}

# A build inherits the receiving git's variables from some builders; none of them is wanted.
unset_git_env() {
	local name
	for name in "${!GIT_@}"; do
		[[ $name == GIT_SSL_CAINFO ]] || unset "$name"
	done
}

# Copies a tree, by reflink where the file system can.
copy_tree() { cp -a --reflink=auto -- "$1" "$2"; }

# Copies a tree to a place that appears whole or not at all.
store_tree() {
	rm -rf -- "$2" "$2.new"
	mkdir -p -- "${2%/*}"
	copy_tree "$1" "$2.new"
	mv -- "$2.new" "$2"
}

# The content of files that exist, named, as one SHA-256.
hash_files() {
	local file
	for file in "$@"; do
		if [[ -f $file ]]; then printf '%s\n' "${file##*/}" && cat -- "$file"; fi
	done | sha256sum | cut -d' ' -f1
}

# Versions one a line -> "a, b, c"
join_lines() { paste -sd, - | sed 's/,/, /g'; }

# report_set NAME VALUE: a fact for bin/report, kept in $REPORT_FILE (name<TAB>value lines).
report_set() {
	mkdir -p "${REPORT_FILE%/*}"
	printf '%s\t%s\n' "$1" "${2//[$'\t\n']/ }" >>"$REPORT_FILE"
}

# report_print FILE: the facts as one flat JSON object, the last of a name winning.
report_print() {
	[[ -f $1 ]] || { echo '{}'; return 0; }
	awk -F'\t' '
		function q(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/[[:cntrl:]]/, " ", s); return "\"" s "\"" }
		!($1 in v) { order[++n] = $1 }
		{ v[$1] = $2 }
		END { printf "{"; for (i = 1; i <= n; i++) printf "%s%s: %s", (i > 1 ? ", " : ""), q(order[i]), q(v[order[i]]); print "}" }
	' "$1"
}
