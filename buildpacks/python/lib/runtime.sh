# runtime.sh - which Python, from the runtime store or the host, into .heroku/python.
# shellcheck shell=bash
# shellcheck disable=SC2034 # bin/compile reads what is set here

RUNTIMES=${BUILDPACK_RUNTIMES:-/usr/share/paasd/runtimes}

# Sets PYTHON_ASKED ("3.11", "3.11.4", or empty) and PYTHON_ASKED_BY.
python_request() {
	local file text
	PYTHON_ASKED='' PYTHON_ASKED_BY=''
	for file in .python-version runtime.txt; do
		[[ -f $BUILD_DIR/$file ]] || continue
		text=$(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$BUILD_DIR/$file")
		text=${text#python-}
		[[ $text =~ ^3(\.[0-9]+){0,2}$ ]] ||
			fail "$file holds \"${text//$'\n'/ }\"." "It must hold one line with a version of Python, for example: 3.11"
		if [[ -n $PYTHON_ASKED && $PYTHON_ASKED != "$text" ]]; then
			warn "$file asks for $text; $PYTHON_ASKED_BY counts. Remove one of the two."
			continue
		fi
		[[ -n $PYTHON_ASKED ]] || PYTHON_ASKED=$text PYTHON_ASKED_BY=$file
	done
}

fits() { [[ -z $2 || $1 == "$2" || $1 == "$2".* ]]; } # fits VERSION REQUEST

store_versions() {
	local dir
	for dir in "$RUNTIMES"/python/*/; do
		if [[ -x ${dir}bin/python3 ]]; then basename "$dir"; fi
	done | sort -rV
}

# "3.11.2 /usr/bin/python3.11" lines, newest first.
host_versions() {
	local file
	for file in /usr/bin/python3.*; do
		[[ $file =~ /python3\.[0-9]+$ && -x $file ]] || continue
		printf '%s %s\n' "$("$file" -c 'import platform; print(platform.python_version())')" "$file"
	done | sort -rV
}

# Sets PYTHON_VERSION and either PYTHON_STORE (a folder to copy) or PYTHON_HOST (an executable).
python_find() {
	local version file series=$PYTHON_ASKED
	PYTHON_STORE='' PYTHON_HOST=''
	for version in $(store_versions); do
		if [[ -n $PYTHON_ASKED ]] && fits "$version" "$PYTHON_ASKED"; then
			PYTHON_VERSION=$version PYTHON_STORE=$RUNTIMES/python/$version
			detail "Using Python $version of the runtime store"
			return
		fi
	done
	[[ ! $series =~ ^(3\.[0-9]+)\. ]] || series=${BASH_REMATCH[1]}
	while read -r version file; do
		fits "$version" "$series" || continue
		PYTHON_VERSION=$version PYTHON_HOST=$file
		detail "Using the system's Python $version"
		if ! fits "$version" "$PYTHON_ASKED"; then
			warn "$PYTHON_ASKED_BY asks for $PYTHON_ASKED; the system has another patch of $series: $version." \
				"Name only \"$series\" there, to say that every patch will do."
		fi
		return
	done < <(host_versions)
	if [[ -z $PYTHON_ASKED ]]; then
		version=$(store_versions | head -n 1)
		if [[ -n $version ]]; then
			PYTHON_VERSION=$version PYTHON_STORE=$RUNTIMES/python/$version
			detail "Using Python $version of the runtime store"
			return
		fi
	fi
	fail "There is no Python ${PYTHON_ASKED:-3} here${PYTHON_ASKED_BY:+ ($PYTHON_ASKED_BY)}." \
		"The system has: $(host_versions | cut -d' ' -f1 | join_lines | grep . || echo none)." \
		"The runtime store has: $(store_versions | join_lines | grep . || echo none)." \
		"Ways forward: name one of these in .python-version; or have the operator put it into" \
		"$RUNTIMES/python/<version>/ (with bin/python3)."
}

# A Python of the store is copied whole and packages go right into it; the host's gets a virtual
# environment. Both find their own folder by the path of bin/python, wherever the slug runs.
python_install() {
	rm -rf "$PYTHON_DIR"
	if [[ -n $PYTHON_STORE ]]; then
		mkdir -p "${PYTHON_DIR%/*}"
		copy_tree "$PYTHON_STORE" "$PYTHON_DIR"
		chmod -R u+w "$PYTHON_DIR"
		find "$PYTHON_DIR/lib" -maxdepth 2 -name EXTERNALLY-MANAGED -delete
		[[ -e $PYTHON_DIR/bin/python ]] || ln -s python3 "$PYTHON_DIR/bin/python"
		"$PYTHON_DIR/bin/python" -m pip --version >/dev/null 2>&1 ||
			"$PYTHON_DIR/bin/python" -m ensurepip 2>&1 | indent
	else
		"$PYTHON_HOST" -m venv "$PYTHON_DIR" >"$TMP/venv" 2>&1 ||
			fail "A virtual environment could not be made with $PYTHON_HOST:" "$(head -n 12 "$TMP/venv")" \
				"On Debian the host needs: apt-get install python3-venv"
		rm -f "$PYTHON_DIR"/bin/[Aa]ctivate*
	fi
}

# Scripts that pip wrote name the interpreter by its path while building. Where the slug will run
# from another path, they are made to look beside themselves.
python_relocate() {
	local file first
	[[ $BUILD_DIR != /app ]] || return 0
	for file in "$PYTHON_DIR"/bin/*; do
		if [[ ! -f $file || -L $file ]]; then continue; fi
		IFS= read -r -n 4096 first <"$file" 2>/dev/null || true
		case $first in
		"#!$PYTHON_DIR/bin/python"*) sed -i '1c\
#!/bin/sh\
'"'''exec' \"\$(dirname -- \"\$(readlink -f -- \"\$0\")\")/python\" \"\$0\" \"\$@\""'\
'"' '''" "$file" ;;
		"#!/bin/sh"*) sed -i "2s|^'''exec' .*/bin/python[0-9.]* |'''exec' \"\$(dirname -- \"\$(readlink -f -- \"\$0\")\")/python\" |" "$file" ;;
		esac
	done
	python_relocate_editable
}

# "-e" requirements leave the build's path in .pth files: put right at start, by where HOME is.
python_relocate_editable() {
	local found
	found=$(find "$PYTHON_DIR"/lib/python3*/site-packages -maxdepth 1 -type f \
		\( -name '*.pth' -o -name '*.egg-link' -o -name '__editable__*_finder.py' \) -exec grep -lF "$BUILD_DIR" {} + 2>/dev/null || true)
	[[ -n $found ]] || return 0
	# shellcheck disable=SC2016 # expands at start
	printf '# "-e" requirements carry the path of the build.\nif [ "$HOME" != %q ]; then\n\tfind "$HOME"/.heroku/python/lib/python3*/site-packages -maxdepth 1 -type f \\( -name "*.pth" -o -name "*.egg-link" -o -name "__editable__*_finder.py" \\) \\\n\t\t-exec sed -i "s|"%q"|$HOME|g" {} + 2>/dev/null\nfi\n' \
		"$BUILD_DIR" "$BUILD_DIR" >"$BUILD_DIR/.profile.d/python.editable.sh"
}
