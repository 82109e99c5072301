# paasd: GNU make, no recursion. Flavours: release (build/), debug (ASan+UBSan), tsan, fuzz, replay (of fuzz corpora).
#   make            release binaries in build/
#   make check      everything that CI runs
#   make FLAVOUR=debug all    binaries of another flavour in build/<flavour>/
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

VERSION := 0.1.0
FLAVOUR ?= release
prefix  ?= /usr/local
DESTDIR ?=
CC      := gcc
CLANG   := clang
AR      := ar
PYTEST  ?= /usr/bin/python3 -m pytest

O   := build/obj/$(FLAVOUR)
BIN := $(if $(filter release,$(FLAVOUR)),build,build/$(FLAVOUR))
GEN := build/gen

PKGS := libuv libgit2 sqlite3 libcurl jansson yaml-0.1 libsodium libseccomp libarchive zlib libssl libcrypto libidn2 libpq
HAVE_PKGS := $(shell pkg-config --exists $(PKGS) 2>/dev/null && echo yes)
PKG_CFLAGS := $(if $(HAVE_PKGS),$(shell pkg-config --cflags $(PKGS)))
# One list a library, so that each binary can name just what it uses.
L_uv := -luv
L_all := $(if $(HAVE_PKGS),$(shell pkg-config --libs $(PKGS))) -lpthread

# Tables name what they set; the rest is zero.
WARN := -Wall -Wextra -Wno-missing-field-initializers -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wno-unused-parameter -Wno-format-nonliteral
BASE := -std=c11 -D_GNU_SOURCE -DPAASD_VERSION='"$(VERSION)"' -I. -I$(GEN) $(WARN) $(PKG_CFLAGS) \
        -fno-strict-aliasing -MMD -MP
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
F_release := -O2 -g $(HARDEN)
# G=-g1: line numbers only, which is what the sanitisers print; a sixth of the time less.
G ?= -g
F_debug   := -O1 $(G) -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
F_tsan    := -O1 $(G) -fno-omit-frame-pointer -fsanitize=thread
F_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
# For inputs that are known there is nothing to search: built in a third of the time.
F_replay  := -O0 -g1 $(filter -f%,$(F_fuzz))
LD_release := -pie -Wl,-z,relro,-z,now
LD_debug   := -fsanitize=address,undefined
LD_tsan    := -fsanitize=thread
LD_fuzz    := -fsanitize=address,undefined
LD_replay  := $(LD_fuzz)
CC_fuzz  := $(CLANG)
CC_replay := $(CLANG)
THIS_CC := $(or $(CC_$(FLAVOUR)),$(CC))
CFLAGS  := $(BASE) $(F_$(FLAVOUR))
LDFLAGS := -Wl,--as-needed $(LD_$(FLAVOUR))

# --- what is built -------------------------------------------------------------------------
DIRS := proto daemon $(patsubst %/,%,$(wildcard daemon/*/)) router launcher shim fileserver postgres cli
MAINS := daemon/main.c router/main.c launcher/main.c shim/main.c fileserver/main.c postgres/main.c cli/main.c
LIB_SRC := $(filter-out $(MAINS),$(foreach d,$(DIRS),$(wildcard $(d)/*.c))) $(GEN)/sql_table.c $(GEN)/api_schema.c
LIB_OBJ := $(patsubst %.c,$(O)/%.o,$(LIB_SRC))
LIB := $(O)/libpaas.a
HEADERS := $(foreach d,$(DIRS),$(wildcard $(d)/*.h))

B_paasd         := daemon/main.c
B_paas-router   := router/main.c
B_paas-launcher := launcher/main.c
B_paas-shim     := shim/main.c
B_paas-static   := fileserver/main.c
B_paas-postgres := postgres/main.c
B_paasctl       := cli/main.c
PROGRAMS := $(foreach p,paasd paas-router paas-launcher paas-shim paas-static paas-postgres paasctl,\
            $(if $(wildcard $(B_$(p))),$(p)))

.PHONY: all
all: $(addprefix $(BIN)/,$(PROGRAMS))

GEN_FILES := $(GEN)/sql_table.h $(GEN)/sql_table.c $(GEN)/api_schema.c
$(GEN)/sql_table.h: sql/gen.awk $(wildcard sql/queries/*.sql sql/migrations/*.sql)
	@mkdir -p $(@D)
	awk -v out=h -f sql/gen.awk $(sort $(wildcard sql/migrations/*.sql)) $(sort $(wildcard sql/queries/*.sql)) > $@
$(GEN)/sql_table.c: sql/gen.awk $(wildcard sql/queries/*.sql sql/migrations/*.sql)
	@mkdir -p $(@D)
	awk -v out=c -f sql/gen.awk $(sort $(wildcard sql/migrations/*.sql)) $(sort $(wildcard sql/queries/*.sql)) > $@

$(GEN)/api_schema.c: proto/embed.awk proto/api_schema.json
	@mkdir -p $(@D)
	awk -v name=api_schema_text -f proto/embed.awk proto/api_schema.json > $@

$(O)/%.o: %.c | $(GEN_FILES) check-tools
	@mkdir -p $(@D)
	$(THIS_CC) $(CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

define program
$(BIN)/$(1): $(O)/$(B_$(1):.c=.o) $(LIB)
	@mkdir -p $$(@D)
	$(THIS_CC) $(LDFLAGS) -o $$@ $(O)/$(B_$(1):.c=.o) $(LIB) $(L_all)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

.PHONY: check-tools
check-tools:
	@[ "$(HAVE_PKGS)" = yes ] || { echo "build dependencies are missing: run 'make deps' (as root)" >&2; exit 1; }

-include $(shell [ -d $(O) ] && find $(O) -name '*.d' 2>/dev/null)

include tests/tests.mk
include packaging/packaging.mk

.PHONY: clean
clean:
	rm -rf build compile_commands.json
