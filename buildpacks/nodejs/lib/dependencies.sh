# dependencies.sh - which package manager, installing, the cache of it, build scripts, pruning.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of lib/ and bin/compile read what is set here

# The lock files of an app -> PM (npm, yarn, berry, pnpm), PM_RANGE, PM_ASKED_BY, LOCK.
manager_find() {
	local field locks=() file
	for file in package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml; do
		[[ ! -f $BUILD_DIR/$file ]] || locks+=("$file")
	done
	if [[ ${#locks[@]} -gt 1 && ${locks[*]} != 'package-lock.json npm-shrinkwrap.json' ]]; then
		fail "Lock files of different package managers: ${locks[*]}." \
			"Keep the one that your team installs with, and remove the others:" \
			"git rm ${locks[1]} && git commit -m 'One lock file' && git push"
	fi
	LOCK=${locks[0]:-}
	case $LOCK in
	yarn.lock) PM=yarn ;;
	pnpm-lock.yaml) PM=pnpm ;;
	*) PM=npm ;;
	esac
	field=$(package_get .packageManager)
	PM_RANGE=$(package_get ".engines.$PM?") PM_ASKED_BY="engines.$PM"
	if [[ -n $field ]]; then
		[[ $field =~ ^(npm|yarn|pnpm)@([0-9][^+]*)(\+.*)?$ ]] ||
			fail "packageManager in package.json is \"$field\"." \
				"It must be npm, yarn or pnpm with a version, for example \"pnpm@9.15.0\"."
		[[ -z $LOCK || ${BASH_REMATCH[1]} == "$PM" ]] ||
			fail "packageManager in package.json is \"$field\", but the lock file is $LOCK ($PM)." \
				"Make the two agree: change the field, or install with ${BASH_REMATCH[1]} and commit its lock file."
		PM=${BASH_REMATCH[1]} PM_RANGE=${BASH_REMATCH[2]} PM_ASKED_BY=packageManager
	fi
	if [[ $PM == yarn ]]; then manager_is_berry && PM=berry; fi
	[[ -n $PM_RANGE ]] || { PM_RANGE=$(manager_default) && PM_ASKED_BY=default; }
}

manager_is_berry() {
	[[ -z $PM_RANGE || ! $PM_RANGE =~ ^[\^~v=]*1(\.|$) ]] || return 1
	[[ $PM_RANGE =~ ^[\^~v=]*[2-9] || -f $BUILD_DIR/.yarnrc.yml ]] ||
		grep -qs '^__metadata:' "$BUILD_DIR/yarn.lock"
}

# The version that reads and writes the lock file's format.
manager_default() {
	local format
	case $PM in
	npm) npm_for_node "$NODE_MAJOR" ;;
	yarn) echo 1.x ;;
	berry)
		format=$(sed -n '/^__metadata:/,/^$/s/^ *version: *\([0-9]*\).*/\1/p' "$BUILD_DIR/yarn.lock" 2>/dev/null || true)
		case $format in [1-5]) echo 2.x ;; 6 | 7) echo 3.x ;; *) echo 4.x ;; esac
		;;
	pnpm)
		format=$(sed -n "s/^lockfileVersion: *'\{0,1\}\([0-9]*\).*/\1/p" "$BUILD_DIR/pnpm-lock.yaml" 2>/dev/null || true)
		case $format in 5) echo 7.x ;; 6) echo 8.x ;; *) echo 9.x ;; esac
		;;
	esac
}

manager_install() {
	local npm_range
	npm_range=$(package_get '.engines.npm?')
	if [[ $PM == npm && $PM_ASKED_BY == packageManager ]]; then npm_range=$PM_RANGE; fi
	# npm always: `npm start` and `npm run` are what Procfiles say, whatever installs.
	if [[ -n $npm_range ]]; then
		tool_install npm npm "$npm_range" "asked for in package.json"
	else
		tool_install npm npm "$(npm_for_node "$NODE_MAJOR")" "the one of Node.js $NODE_MAJOR"
	fi
	NPM_VERSION=$TOOL_VERSION
	case $PM in
	yarn) tool_install yarn yarn "$PM_RANGE" "$PM_ASKED_BY" ;;
	berry)
		if grep -qs '^yarnPath:' "$BUILD_DIR/.yarnrc.yml"; then
			detail "The app brings its own Yarn (yarnPath in .yarnrc.yml)"
			tool_install yarn yarn 1.x "it hands over to the app's"
		else
			tool_install yarn @yarnpkg/cli-dist "$PM_RANGE" "$PM_ASKED_BY"
		fi
		TOOL_VERSION=$(cd "$BUILD_DIR" && yarn --version)
		;;
	pnpm) tool_install pnpm pnpm "$PM_RANGE" "$PM_ASKED_BY" ;;
	esac
	PM_VERSION=$TOOL_VERSION
}

manager_environment() {
	export npm_config_cache=$CACHE/npm npm_config_audit=false npm_config_fund=false npm_config_progress=false
	export npm_config_update_notifier=false npm_config_fetch_retries=${npm_config_fetch_retries:-2}
	export YARN_CACHE_FOLDER=$CACHE/yarn YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_PROGRESS_BARS=false
	# Headers for native modules. npm 11 complains of a setting that it does not know itself.
	if [[ -d $NODE_HOME_DIR/include/node ]]; then
		if ((${NPM_VERSION%%.*} >= 11)); then
			export npm_package_config_node_gyp_nodedir=$NODE_HOME_DIR
		else
			export npm_config_nodedir=$NODE_HOME_DIR
		fi
	fi
	if [[ $PM == berry ]]; then
		# Plug'n'Play runs from its cache: it belongs into the slug then, and is kept beside.
		unset YARN_CACHE_FOLDER
		export YARN_ENABLE_GLOBAL_CACHE=false
	fi
}

# --- the cache of installed packages

cache_wanted() { [[ ${NODE_MODULES_CACHE:-true} == true ]]; }

# What an exact copy of node_modules depends on.
cache_key() {
	printf '%s\n' "$STACK_NAME $(uname -m) node-$NODE_VERSION $PM-$PM_VERSION dev=$(dev_wanted && echo 1 || echo 0)" \
		"$(hash_files "$BUILD_DIR/package.json" "$BUILD_DIR/$LOCK" "$BUILD_DIR/.npmrc")"
}

# A restored node_modules stands for `npm ci` only if nothing of the install looks at the app's own
# files: no install scripts of the app itself, no packages linked from its folders.
cache_can_replace_install() {
	[[ $PM == npm && -n $LOCK ]] &&
		jq -e '(.scripts // {}) | [.preinstall, .install, .postinstall, .prepublish, .preprepare, .prepare, .postprepare]
			| all(. == null)' "$BUILD_DIR/package.json" >/dev/null &&
		jq -e '(.packages | type == "object") and ([.packages[] | select(.link or ((.resolved // "") | startswith("file:")))] | length == 0)' \
			"$BUILD_DIR/$LOCK" >/dev/null
}

cache_restore() {
	RESTORED=no
	if ! cache_wanted; then
		detail "The cache is off (NODE_MODULES_CACHE=$NODE_MODULES_CACHE)"
		rm -rf "${CACHE:?}/modules" "$CACHE/npm" "$CACHE/yarn" "$CACHE/berry" "$CACHE/pnpm" "$CACHE/custom"
		return
	fi
	custom_restore
	if [[ $PM == berry && -d $CACHE/berry && ! -e $BUILD_DIR/.yarn/cache ]]; then
		mkdir -p "$BUILD_DIR/.yarn"
		copy_tree "$CACHE/berry" "$BUILD_DIR/.yarn/cache"
		detail "Restored Yarn's cache"
	fi
	if [[ -d $BUILD_DIR/node_modules ]]; then return; fi
	if [[ ! -d $CACHE/modules/node_modules ]]; then
		[[ -d $CACHE/npm || -d $CACHE/berry ]] || detail "No cache of packages yet"
	elif [[ $(cat "$CACHE/modules/key") != "$(cache_key)" ]]; then
		detail "Not taking node_modules from the cache (package.json, the lock file or a version has changed)"
	else
		copy_tree "$CACHE/modules/node_modules" "$BUILD_DIR/node_modules"
		RESTORED=yes
		detail "Restored node_modules from the cache (nothing that it depends on has changed)"
	fi
}

# Right after installing, before the app's own build touches it.
cache_save_modules() {
	[[ $RESTORED == no ]] && cache_wanted && [[ $CHECKED_IN == no && -d $BUILD_DIR/node_modules ]] || return 0
	case $PM in
	npm) cache_can_replace_install || { rm -rf "$CACHE/modules"; return 0; } ;;
	yarn) ;;
	*) return 0 ;;
	esac
	rm -rf "$CACHE/modules"
	store_tree "$BUILD_DIR/node_modules" "$CACHE/modules/node_modules"
	cache_key >"$CACHE/modules/key"
}

cache_save_berry() {
	if [[ $PM == berry && -d $BUILD_DIR/.yarn/cache ]] && cache_wanted && ! zero_install; then
		store_tree "$BUILD_DIR/.yarn/cache" "$CACHE/berry"
	fi
}

zero_install() { [[ $YARN_CACHE_CHECKED_IN == yes ]]; }

# cacheDirectories in package.json: folders of the app's build that the next one may start from.
custom_directories() {
	jq -r '(.cacheDirectories // .cache_directories // [])[]? | strings' "$BUILD_DIR/package.json" |
		grep -Ev '(^/|(^|/)\.\.(/|$)|^\.?/?$|^(\./)?node_modules/?$)' || true
}
custom_restore() {
	local dir
	while IFS= read -r dir; do
		if [[ -d $CACHE/custom/$dir && ! -e $BUILD_DIR/$dir ]]; then
			mkdir -p "$(dirname "$BUILD_DIR/$dir")"
			copy_tree "$CACHE/custom/$dir" "$BUILD_DIR/$dir"
			detail "Restored $dir (cacheDirectories)"
		fi
	done < <(custom_directories)
}
custom_save() {
	local dir
	rm -rf "$CACHE/custom"
	cache_wanted || return 0
	while IFS= read -r dir; do
		[[ -d $BUILD_DIR/$dir ]] || { detail "$dir (cacheDirectories) is not there after the build"; continue; }
		store_tree "$BUILD_DIR/$dir" "$CACHE/custom/$dir"
		detail "Saved $dir (cacheDirectories)"
	done < <(custom_directories)
}

# A package manager's own download cache only grows: it starts again when it is too large.
cache_trim() {
	local dir size
	for dir in npm yarn pnpm; do
		[[ -d $CACHE/$dir ]] || continue
		size=$(du -sm "$CACHE/$dir" | cut -f1)
		if ((size > 1024)); then rm -rf "${CACHE:?}/$dir"; fi
	done
}

# --- installing

# devDependencies are installed for the build and pruned after it, unless a config var says otherwise.
dev_wanted() {
	case $PM in
	npm) [[ ${NPM_CONFIG_PRODUCTION:-} != true ]] ;;
	yarn) [[ ${YARN_PRODUCTION:-} != true ]] ;;
	*) return 0 ;;
	esac
}

npm_dev_flag() { # npm_dev_flag yes|no
	if ((${NPM_VERSION%%.*} >= 7)); then
		if [[ $1 == yes ]]; then echo --include=dev; else echo --omit=dev; fi
	else
		if [[ $1 == yes ]]; then echo --production=false; else echo --production; fi
	fi
}

yes_no() { if "$@"; then echo yes; else echo no; fi; }

# run_logged COMMAND...: indented, as it comes; the text is kept for the hints of a failure.
run_logged() {
	(cd "$BUILD_DIR" && "$@") </dev/null 2>&1 | tee -a "$TMP/log" | indent
}

dependencies_install() {
	local dev
	dev=$(npm_dev_flag "$(yes_no dev_wanted)")
	: >"$TMP/log"
	case $PM in
	npm)
		if [[ $CHECKED_IN == yes ]]; then
			detail "npm rebuild (node_modules is in the repository)"
			run_logged npm rebuild && run_logged npm install "$dev" --no-package-lock
		elif [[ $RESTORED == yes ]]; then
			if npm_has_install_scripts; then
				detail "npm rebuild (packages with install scripts)"
				run_logged npm rebuild
			fi
		elif [[ -n $LOCK ]]; then
			detail "npm ci ($LOCK)"
			run_logged npm ci "$dev"
		else
			detail "npm install"
			run_logged npm install "$dev" --no-package-lock
		fi
		;;
	yarn)
		detail "yarn install"
		run_logged yarn install ${LOCK:+--frozen-lockfile} --ignore-engines --non-interactive --production="$(dev_wanted && echo false || echo true)"
		;;
	berry)
		detail "yarn install --immutable"
		run_logged yarn install ${LOCK:+--immutable}
		;;
	pnpm)
		detail "pnpm install"
		CI=true run_logged pnpm install ${LOCK:+--frozen-lockfile} --prod=false --store-dir "$CACHE/pnpm" --reporter=append-only
		;;
	esac || install_failed
}

npm_has_install_scripts() {
	jq -e '[.packages[] | select(.hasInstallScript)] | length > 0' "$BUILD_DIR/$LOCK" >/dev/null
}

install_failed() {
	local hint=("The package manager's own message stands above.")
	if grep -Eq 'are in sync|EUSAGE|frozen-lockfile|lockfile would have been modified|OUTDATED_LOCKFILE|needs to be updated' "$TMP/log"; then
		hint=("$LOCK does not fit package.json." "Run \`${PM/berry/yarn} install\`, commit $LOCK, and push again.")
	elif grep -Eq 'E404|404 Not Found' "$TMP/log"; then
		hint=("A package or version does not exist in the npm registry: see its name above.")
	elif grep -Eq 'E401|E403|401 Unauthorized|403 Forbidden' "$TMP/log"; then
		hint=("The registry wants to know who asks." "Put the token into a config var and name it in .npmrc: //<registry>/:_authToken=\${NPM_TOKEN}")
	elif grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|Exit handler never called' "$TMP/log"; then
		hint=("The npm registry could not be reached from the build." "A mirror, proxy or certificate authority must be among the variables that the platform passes to builds.")
	elif grep -Eq 'gyp ERR!|node-gyp' "$TMP/log"; then
		hint=("A package with native code did not compile: python3, make and a C++ compiler must be on the host.")
	elif grep -Eq 'ENOSPC' "$TMP/log"; then
		hint=("The disk is full.")
	fi
	fail "Installing the dependencies failed." "${hint[@]}"
}

# --- scripts of package.json

has_script() { jq -e --arg s "$1" '.scripts[$s]? | strings' "$BUILD_DIR/package.json" >/dev/null; }

run_script() { # NAME [ARGUMENT...]
	local name=$1
	shift
	: >"$TMP/log"
	detail "Running $name"
	case $PM in
	npm) run_logged npm run "$name" --if-present ${1:+-- "$@"} ;;
	yarn | berry) run_logged yarn run "$name" "$@" ;;
	pnpm) run_logged pnpm run "$name" "$@" ;;
	esac || {
		local why='Its own message stands above.'
		if grep -q 'heap out of memory' "$TMP/log"; then
			why='Node.js ran out of memory: the config var NODE_OPTIONS=--max-old-space-size=<MB> sets more.'
		elif grep -Eq 'Cannot find module|not found|ERR_MODULE_NOT_FOUND' "$TMP/log" && ! dev_wanted; then
			why='devDependencies were not installed (NPM_CONFIG_PRODUCTION or YARN_PRODUCTION is true).'
		fi
		fail "The script \"$name\" of package.json failed." "$why"
	}
}

scripts_build() {
	local flags=()
	if has_script heroku-postbuild; then
		has_script build && detail "Both \"build\" and \"heroku-postbuild\" are there: the second is run instead of the first"
		run_script heroku-postbuild
	elif has_script build; then
		read -r -a flags <<<"${NODE_BUILD_FLAGS:-}" || true
		run_script build "${flags[@]}"
	else
		detail "package.json has no build script"
	fi
}

# --- pruning

prune() {
	if [[ $NODE_ENV != production ]]; then
		detail "Not removing devDependencies (NODE_ENV is $NODE_ENV)"
	elif [[ $PM == npm && -n ${NPM_CONFIG_PRODUCTION:-} ]]; then
		detail "Not removing devDependencies (NPM_CONFIG_PRODUCTION is $NPM_CONFIG_PRODUCTION)"
	elif [[ $PM == yarn && -n ${YARN_PRODUCTION:-} ]]; then
		detail "Not removing devDependencies (YARN_PRODUCTION is $YARN_PRODUCTION)"
	elif [[ $PM == pnpm && ${PNPM_SKIP_PRUNING:-} == true ]]; then
		detail "Not removing devDependencies (PNPM_SKIP_PRUNING is true)"
	elif [[ $PM == berry && ${YARN2_SKIP_PRUNING:-} == true ]]; then
		detail "Not removing devDependencies (YARN2_SKIP_PRUNING is true)"
	else
		prune_run || fail "Removing the devDependencies failed. Its own message stands above." \
			"To keep them in the slug: config var $(prune_switch)."
	fi
}

prune_switch() {
	case $PM in
	npm) echo NPM_CONFIG_PRODUCTION=false ;; yarn) echo YARN_PRODUCTION=false ;;
	berry) echo YARN2_SKIP_PRUNING=true ;; pnpm) echo PNPM_SKIP_PRUNING=true ;;
	esac
}

prune_run() {
	case $PM in
	npm)
		# without a lock file npm would resolve everything anew, and maybe otherwise
		local no_lock=()
		[[ -n $LOCK ]] || no_lock=(--no-package-lock)
		run_logged npm prune "$(npm_dev_flag no)" "${no_lock[@]}" --ignore-scripts
		;;
	yarn) run_logged yarn install --frozen-lockfile --ignore-engines --ignore-scripts --prefer-offline --non-interactive --production=true ;;
	pnpm) CI=true run_logged pnpm prune --prod ;;
	berry)
		if ((${PM_VERSION%%.*} >= 4)) || grep -qs 'plugin-workspace-tools' "$BUILD_DIR/.yarnrc.yml"; then
			YARN_ENABLE_SCRIPTS=false run_logged yarn workspaces focus --all --production
		else
			detail "Yarn ${PM_VERSION%%.*} removes devDependencies with its plugin workspace-tools, which the app has not"
		fi
		;;
	esac
}
