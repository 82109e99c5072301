# registry.sh - packages from the npm registry with curl and jq, before there is any npm.
# shellcheck shell=bash

# The registry that packages come from, with a slash at its end: as npm finds it (config, .npmrc),
# else the host's own npm's, else the one that the app's lock file was made with.
registry_find() {
	local url=${npm_config_registry:-${NPM_CONFIG_REGISTRY:-}} npm
	if [[ -z $url && -f $BUILD_DIR/.npmrc ]]; then
		url=$(sed -n 's/^[[:space:]]*registry[[:space:]]*=[[:space:]]*"\{0,1\}\([^"[:space:]]*\).*/\1/p' \
			"$BUILD_DIR/.npmrc" | tail -n 1)
	fi
	if [[ -z $url ]] && npm=$(type -P npm); then
		url=$(cd / && "$npm" config get registry 2>/dev/null) || url=
	fi
	if [[ -z $url || $url == undefined ]]; then
		url=$(registry_of_lock)
	fi
	[[ $url =~ ^(https?|file):// ]] || return 1
	while [[ $url == */ ]]; do url=${url%/}; done
	printf '%s/' "$url"
}

# Where the first locked package came from: https://HOST/PATH/name/-/name-1.0.0.tgz
registry_of_lock() {
	local lock
	for lock in package-lock.json npm-shrinkwrap.json yarn.lock; do
		if [[ -f $BUILD_DIR/$lock ]]; then
			grep -o -m 1 'https\{0,1\}://[^"# ]*/-/[^"# ]*\.tgz' "$BUILD_DIR/$lock" |
				sed 's,/[^/]*/-/.*$,,; s,/@[^/]*$,,; q' || true
			return 0
		fi
	done
}

# The URL goes by standard input: one with a password in it stays out of the process list.
fetch() { # fetch URL FILE
	printf 'url = "%s"\n' "${1//\"/%22}" |
		curl -K - -fsSL --retry 2 --connect-timeout "${CURL_CONNECT_TIMEOUT:-10}" \
			--max-time "${CURL_TIMEOUT:-300}" -H 'Accept: application/vnd.npm.install-v1+json' --compressed -o "$2"
}

# registry_document PACKAGE -> FILE with its versions; 1 = cannot be had (the reason in $TMP/curl.err)
registry_document() {
	local file=$TMP/${1//\//__}.json
	if [[ ! -s $file ]]; then
		fetch "$REGISTRY${1//\//%2f}" "$file" 2>"$TMP/curl.err" || { rm -f "$file"; return 1; }
	fi
	printf '%s' "$file"
}

# The newest version of every major, newest first: for the text of an error.
registry_majors() {
	jq -r '[.versions | keys[] | select(test("^[0-9]+\\.[0-9]+\\.[0-9]+$")) | split(".") | map(tonumber)]
		| group_by(.[0]) | map(max | map(tostring) | join(".")) | reverse | .[0:12][]' "$1" | join_lines
}

same_host() { [[ $(cut -d/ -f3 <<<"$1") == "$(cut -d/ -f3 <<<"$2")" ]]; }

# The archive of a resolved package ({version, tarball, integrity, shasum} in $1), checked.
# A mirror's document may still name the original's host: the mirror is asked first.
registry_archive() { # registry_archive RESOLVED PACKAGE FILE
	local tarball integrity shasum
	tarball=$(jq -r .tarball <<<"$1")
	integrity=$(jq -r '.integrity // ""' <<<"$1")
	shasum=$(jq -r '.shasum // ""' <<<"$1")
	if ! { ! same_host "$tarball" "$REGISTRY" && fetch "$REGISTRY$2/-/${tarball##*/}" "$3" 2>/dev/null; }; then
		fetch "$tarball" "$3" 2>"$TMP/curl.err" ||
			fail "The package $2 could not be fetched from the npm registry:" "$(<"$TMP/curl.err")" \
				"Push again when the registry answers."
	fi
	archive_is_whole "$3" "$integrity" "$shasum" ||
		fail "The archive of $2 is not what the npm registry's checksum says." \
			"Push again; if it stays, the registry or a proxy on the way changes what it hands out."
}

archive_is_whole() { # FILE INTEGRITY SHASUM
	local want
	if [[ $2 == *sha512-* ]]; then
		want=${2##*sha512-}
		want=$(base64 -d <<<"${want%% *}" | od -An -tx1 -v | tr -d ' \n')
		[[ $(sha512sum <"$1" | cut -d' ' -f1) == "$want" ]]
	else
		[[ -n $3 && $(sha1sum <"$1" | cut -d' ' -f1) == "$3" ]]
	fi
}

# registry_resolve PACKAGE RANGE -> resolved JSON. 1 = registry away, 2 = no range, 3 = no such version
registry_resolve() {
	local file found
	file=$(registry_document "$1") || return 1
	found=$(jq -c --arg range "$2" -f "$BUILDPACK_DIR/lib/semver.jq" "$file" 2>/dev/null) || return 2
	[[ $found != null ]] || return 3
	printf '%s' "$found"
}

# Unpacks a resolved package into DIR, which appears whole or not at all.
registry_unpack() { # RESOLVED PACKAGE DIR
	local archive=$TMP/package.tgz
	registry_archive "$1" "$2" "$archive"
	rm -rf "$3" "$3.new"
	mkdir -p "$3.new"
	tar -xzf "$archive" -C "$3.new" --strip-components=1 --no-same-owner
	rm -f "$archive"
	mv "$3.new" "$3"
}
