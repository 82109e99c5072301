# Dependencies, installation.
DEPS := gcc make pkg-config git libuv1-dev libgit2-dev libsqlite3-dev libcurl4-openssl-dev libjansson-dev \
        libyaml-dev libsodium-dev libseccomp-dev libarchive-dev zlib1g-dev nftables iproute2 ca-certificates
.PHONY: deps
deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(DEPS)
