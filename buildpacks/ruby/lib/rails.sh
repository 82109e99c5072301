# rails.sh - what the lock file tells of the app, and the assets of those that have some.
# shellcheck shell=bash

has_gem() { grep -Eq "^    ($1) \(" "$BUILD_DIR/Gemfile.lock"; }
is_rails() { has_gem railties; }

# Builds start without the content of log and tmp; Rails' own settings (Puma's pid file) count on these.
rails_folders() { mkdir -p "$BUILD_DIR"/log "$BUILD_DIR"/tmp/{cache,pids,sockets}; }

# A URL that satisfies config/database.yml while there is no database: nothing connects to it.
dummy_database_url() {
	if has_gem pg; then
		echo postgres://user:pass@127.0.0.1/dbname
	elif has_gem mysql2; then
		echo mysql2://user:pass@127.0.0.1/dbname
	elif has_gem trilogy; then
		echo trilogy://user:pass@127.0.0.1/dbname
	elif has_gem 'sqlite3'; then
		echo sqlite3:/tmp/dbname
	fi
}

check_javascript() {
	local found
	found=$(grep -Eo '^    (execjs|uglifier|webpacker|shakapacker|jsbundling-rails|cssbundling-rails|vite_ruby) \(' \
		"$BUILD_DIR/Gemfile.lock" | tr -d ' (' | join_lines || true)
	[[ -n $found ]] || return 0
	has_gem 'mini_racer|therubyracer' && return 0
	if type -P node >/dev/null; then
		detail "Using Node.js $(node --version) for $found ($(type -P node))"
	else
		NEEDS_NODE=$found
		warn "Gemfile.lock has $found, which may need Node.js, and there is none here." \
			"To add it, let the nodejs buildpack run first: buildpacks:add --index 1 heroku/nodejs"
	fi
}

compiled_manifest() {
	local file
	for file in "$BUILD_DIR"/public/assets/{.sprockets-manifest-*.json,manifest-*.json,.manifest.json,manifest.yml}; do
		if [[ -f $file ]]; then printf '%s' "${file#"$BUILD_DIR"/}" && return 0; fi
	done
	return 1
}

assets_tasks() {
	if is_rails && has_gem 'sprockets-rails|propshaft'; then
		echo assets:precompile assets:clean
	elif is_rails && has_gem 'webpacker|shakapacker|jsbundling-rails|cssbundling-rails|vite_rails'; then
		echo assets:precompile
	elif [[ -f $BUILD_DIR/Rakefile ]] && has_gem rake &&
		(cd "$BUILD_DIR" && "${BUNDLE[@]}" exec rake -P) </dev/null 2>"$TMP/rake.log" | grep -qx 'rake assets:precompile'; then
		echo assets:precompile
	fi
}

assets_cache() { # assets_cache restore|save
	local dir
	for dir in public/assets tmp/cache/assets; do
		if [[ $1 == save ]]; then
			rm -rf "${CACHE:?}/assets/$dir"
			if [[ -d $BUILD_DIR/$dir ]]; then store_tree "$BUILD_DIR/$dir" "$CACHE/assets/$dir"; fi
		elif [[ -d $CACHE/assets/$dir && ! -e $BUILD_DIR/$dir ]]; then
			mkdir -p "$(dirname "$BUILD_DIR/$dir")"
			copy_tree "$CACHE/assets/$dir" "$BUILD_DIR/$dir"
		fi
	done
	if [[ $1 == save ]]; then rm -rf "$BUILD_DIR/tmp/cache/assets"; fi
}

assets_precompile() {
	local tasks manifest hint=()
	if manifest=$(compiled_manifest); then
		step "Not precompiling assets: $manifest is in the repository"
		return 0
	fi
	read -r -a tasks <<<"$(assets_tasks)" || true
	[[ ${#tasks[@]} -gt 0 ]] || return 0
	step "Precompiling assets"
	detail "rake ${tasks[*]}"
	assets_cache restore
	(
		cd "$BUILD_DIR"
		export SECRET_KEY_BASE=${SECRET_KEY_BASE:-dummy0for0the0build0only}
		DATABASE_URL=${DATABASE_URL:-$(dummy_database_url)}
		if [[ -n $DATABASE_URL ]]; then export DATABASE_URL; fi
		"${BUNDLE[@]}" exec rake "${tasks[@]}"
	) </dev/null 2>&1 | tee "$TMP/assets.log" | indent || {
		if [[ -n ${NEEDS_NODE:-} ]]; then
			hint+=("Node.js may be what is missing ($NEEDS_NODE): buildpacks:add --index 1 heroku/nodejs")
		fi
		if grep -Eq 'could not connect|Connection refused|PG::ConnectionBad|DatabaseConnectionError' "$TMP/assets.log"; then
			hint+=("The app connects to its database while assets are made; there is none during a build." \
				"Look for code that queries at start (initializers, constants of models).")
		fi
		fail "Precompiling assets failed. Its own message stands above." "${hint[@]}" \
			"To leave this step out, compile them locally and commit public/assets."
	}
	assets_cache save
}
