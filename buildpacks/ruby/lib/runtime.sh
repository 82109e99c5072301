# runtime.sh - which Ruby and which Bundler.
# shellcheck shell=bash
# shellcheck disable=SC2034 # bin/compile reads what is set here

RUNTIMES=${BUILDPACK_RUNTIMES:-/usr/share/paasd/runtimes}
HOST_RUBY=/usr/bin/ruby

store_versions() {
	local dir
	for dir in "$RUNTIMES"/ruby/*/; do
		if [[ -x ${dir}bin/ruby ]]; then basename "$dir"; fi
	done | sort -rV
}

ruby_version_of() { "$1" -e 'print RUBY_VERSION'; }

# Some Ruby, to read the app's request with: any will do.
any_ruby() {
	local version
	if [[ -x $HOST_RUBY ]]; then
		echo "$HOST_RUBY"
	elif version=$(store_versions | head -n 1) && [[ -n $version ]]; then
		echo "$RUNTIMES/ruby/$version/bin/ruby"
	else
		return 1
	fi
}

# fits VERSION REQUIREMENT: by RubyGems' own rules; an empty requirement fits all.
fits() {
	[[ -z $2 ]] || "$READER" -e 'exit Gem::Requirement.new(ARGV[1].split(/\s*,\s*/)).satisfied_by?(Gem::Version.new(ARGV[0]))' \
		-- "$1" "$2" 2>/dev/null
}

# 3.1.2 -> "~> 3.1.0": the series that one exact version belongs to.
series_of() {
	if [[ $1 =~ ^([0-9]+\.[0-9]+)(\.[0-9]+)?$ ]]; then echo "~> ${BASH_REMATCH[1]}.0"; else echo "$1"; fi
}

# Sets RUBY_VERSION and RUBY_STORE (a folder to copy; empty = the host's).
ruby_find() {
	local version host='' wanted
	RUBY_STORE=''
	READER=$(any_ruby) || no_ruby none
	{ IFS= read -r RUBY_ASKED && IFS= read -r RUBY_ASKED_BY && IFS= read -r RUBY_INSISTS; } \
		< <("$READER" "$BUILDPACK_DIR/lib/request.rb" "$BUILD_DIR")
	[[ -z $RUBY_ASKED ]] || detail "$RUBY_ASKED_BY: $RUBY_ASKED"
	[[ ! -x $HOST_RUBY ]] || host=$(ruby_version_of "$HOST_RUBY")
	wanted=$RUBY_ASKED
	# "3.1" in .ruby-version means any 3.1; in a Gemfile it means what Bundler makes of it
	if [[ $RUBY_INSISTS == no && $RUBY_ASKED =~ ^[0-9]+\.[0-9]+$ ]]; then wanted="~> $RUBY_ASKED.0"; fi
	if [[ -n $RUBY_ASKED || -z $host ]]; then
		for version in $(store_versions); do
			fits "$version" "$wanted" || continue
			RUBY_VERSION=$version RUBY_STORE=$RUNTIMES/ruby/$version
			detail "Using Ruby $version of the runtime store"
			return
		done
	fi
	if [[ -n $host ]] && fits "$host" "$wanted"; then
		RUBY_VERSION=$host
		detail "Using the system's Ruby $host"
		return
	fi
	if [[ -n $host && $RUBY_INSISTS == no ]] && fits "$host" "$(series_of "$RUBY_ASKED")"; then
		RUBY_VERSION=$host
		detail "Using the system's Ruby $host"
		warn "$RUBY_ASKED_BY asks for $RUBY_ASKED; the system has another patch of the same series."
		return
	fi
	no_ruby "${host:-none}"
}

no_ruby() { # HOST_VERSION
	local lines=("There is no Ruby ${RUBY_ASKED:-} here${RUBY_ASKED_BY:+ ($RUBY_ASKED_BY)}."
		"The system has: $1. The runtime store has: $(store_versions | join_lines | grep . || echo none).")
	if [[ $1 != none ]]; then
		lines+=("Ways forward: ask for one of these in the Gemfile, for example: ruby \"~> ${1%.*}.0\"")
		lines+=("(then \`bundle update --ruby\`, commit Gemfile and Gemfile.lock, and push again);")
	else
		lines+=("Ways forward: the operator installs one: apt-get install ruby ruby-bundler;")
	fi
	fail "${lines[@]}" "or the operator puts it into $RUNTIMES/ruby/<version>/ (with bin/ruby)."
}

ruby_install() {
	rm -rf "$RUBY_DIR"
	RUBY=$HOST_RUBY
	if [[ -n $RUBY_STORE ]]; then
		mkdir -p "${RUBY_DIR%/*}"
		copy_tree "$RUBY_STORE" "$RUBY_DIR"
		chmod -R u+w "$RUBY_DIR"
		RUBY=$RUBY_DIR/bin/ruby
		export PATH="$RUBY_DIR/bin:$PATH"
	fi
	RUBY_ABI=$("$RUBY" -e 'print RbConfig::CONFIG["ruby_version"]')
	GEMS=vendor/bundle/ruby/$RUBY_ABI
}

locked_bundler() { sed -n '/^BUNDLED WITH/{n;s/[[:space:]]//g;p;q}' "$BUILD_DIR/Gemfile.lock"; }

installed_bundlers() {
	GEM_PATH=${GEM_PATH:-$BUILD_DIR/$GEMS:} "$RUBY" -e \
		'puts Gem::Specification.find_all_by_name("bundler").map(&:version).sort.reverse.map(&:to_s)'
}

# Bundler as the lock file names it: the system's when it is that, else from the gem source, else the
# system's newest of the same major. Sets BUNDLE (a command) and BUNDLER_USED.
bundler_find() {
	local locked have
	locked=$(locked_bundler)
	have=$(installed_bundlers)
	[[ -n $have ]] || fail "This Ruby has no Bundler. On Debian the host needs: apt-get install ruby-bundler"
	BUNDLER_USED=$locked
	if [[ -z $locked ]]; then
		BUNDLER_USED=$(head -n 1 <<<"$have")
	elif grep -qxF -- "$locked" <<<"$have"; then
		:
	elif bundler_fetch "$locked"; then
		detail "Installed Bundler $locked"
	else
		BUNDLER_USED=$(grep "^${locked%%.*}\." <<<"$have" | head -n 1 || true)
		BUNDLER_USED=${BUNDLER_USED:-$(head -n 1 <<<"$have")}
		export BUNDLER_VERSION=$BUNDLER_USED
		warn "Gemfile.lock was written by Bundler $locked, which is not here and could not be fetched:" \
			"using Bundler $BUNDLER_USED."
	fi
	BUNDLE=("$RUBY" -S bundle "_${BUNDLER_USED}_")
	detail "Using Bundler $BUNDLER_USED"
}

# The mirror for all gem sources, or the lock file's first source.
gem_source() {
	local url=${BUNDLE_MIRROR__ALL:-}
	[[ -n $url ]] || url=$(sed -n '/^GEM$/,/^$/s/^  remote: *//p' "$BUILD_DIR/Gemfile.lock" | head -n 1)
	printf '%s' "$url"
}

source_answers() {
	local url
	url=$(gem_source)
	case $url in
	'') return 1 ;;
	file://*) [[ -d ${url#file://} ]] ;;
	*) printf 'url = "%s"\n' "${url//\"/%22}" | curl -K - -sS -o /dev/null --connect-timeout 5 --max-time 10 2>/dev/null ;;
	esac
}

bundler_fetch() {
	source_answers || return 1
	"$RUBY" -S gem install bundler --version "$1" --no-document --install-dir "$BUILD_DIR/$GEMS" --conservative \
		--clear-sources --source "$(gem_source)" </dev/null >"$TMP/bundler.log" 2>&1 || return 1
	export GEM_PATH=$BUILD_DIR/$GEMS:
}
