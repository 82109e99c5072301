# Tests: unit (cmocka), fuzz corpora, integration and end-to-end (pytest), linters.
UNIT_SRC := $(sort $(shell find tests/unit -name '*_test.c'))
UNIT_BIN := $(patsubst tests/unit/%.c,$(BIN)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ := build/$(if $(filter replay,$(FLAVOUR)),replay,fuzz)
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(FUZZ_SRC))

$(BIN)/tests/unit/%: $(O)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LIB) $(L_all) -lcmocka

# Programs that integration tests drive.
HARNESS_BIN := $(addprefix $(BIN)/tests/,gitd build_harness svc_harness cron_harness)
$(HARNESS_BIN): $(BIN)/tests/%: $(O)/tests/integration/%.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LIB) $(L_all)

$(FUZZ)/%_fuzz: $(O)/tests/fuzz/%_fuzz.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) $(L_all)

# llhttp, the oracle of the parser's differential test: the C files of Debian's node-llhttp, compiled
# from where the package puts them.
LLHTTP_SRC ?= /usr/share/llhttp
LLHTTP_INC ?= /usr/share/include/llhttp
LLHTTP_OBJ := $(patsubst %,$(O)/llhttp/%.o,api http llhttp)
$(O)/llhttp/%.o: $(LLHTTP_SRC)/%.c
	@mkdir -p $(@D)
	$(THIS_CC) -O2 -g -w $(filter -fsanitize=% -fno-omit-frame-pointer,$(F_$(FLAVOUR))) -DLLHTTP_STRICT_MODE=1 -I$(LLHTTP_INC) -c -o $@ $<
$(O)/tests/fuzz/http1_diff_fuzz.o: CFLAGS += -isystem $(LLHTTP_INC)
$(FUZZ)/http1_diff_fuzz: $(O)/tests/fuzz/http1_diff_fuzz.o $(LIB) $(LLHTTP_OBJ)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LLHTTP_OBJ) $(LIB) $(L_all)

# Parser benchmark, beside llhttp: make build/bench/http1_bench && build/bench/http1_bench
$(O)/tests/bench/http1_bench.o: CFLAGS += -isystem $(LLHTTP_INC)
$(BIN)/bench/http1_bench: $(O)/tests/bench/http1_bench.o $(LIB) $(LLHTTP_OBJ)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LLHTTP_OBJ) $(LIB) $(L_all)

# Other benchmarks need nothing special: make build/bench/store_bench && build/bench/store_bench
$(BIN)/bench/%: $(O)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LIB) $(L_all)

.PHONY: unit-bins fuzz-bins
unit-bins: $(UNIT_BIN)
fuzz-bins: $(FUZZ_BIN)

# One unit test:  make unit T=core/buf
.PHONY: unit
unit:
	@$(MAKE) --no-print-directory FLAVOUR=debug $(if $(T),build/debug/tests/unit/$(T)_test,unit-bins)
	@for t in $(if $(T),build/debug/tests/unit/$(T)_test,$(patsubst tests/unit/%.c,build/debug/tests/unit/%,$(UNIT_SRC))); do $$t || exit 1; done

# --- the parts of `make check`, each runnable alone; tests/tools/check.py runs all and counts ---
.PHONY: check
check: deps-test
	@tests/tools/check.py

UNIT_DEBUG := $(patsubst tests/unit/%.c,build/debug/tests/unit/%,$(UNIT_SRC))
# As many at once as there are cores; the output of each is printed whole.
.PHONY: run-unit
run-unit:
	@printf '%s\n' $(UNIT_DEBUG) | xargs -P $$(nproc) -n 1 tests/tools/run-unit.sh 120

# Those with threads run once more under the thread sanitiser.
TSAN_UNITS := $(foreach d,store log http route git build dyno api,$(patsubst tests/unit/%.c,build/tsan/tests/unit/%,\
              $(filter tests/unit/$(d)/%,$(UNIT_SRC)))) \
              $(addprefix build/tsan/tests/unit/core/,loop_test pool_test)
.PHONY: tsan-bins run-tsan
tsan-bins: $(TSAN_UNITS)
run-tsan:
	@printf '%s\n' $(TSAN_UNITS) | TSAN_OPTIONS="halt_on_error=1 suppressions=tests/tools/tsan.supp" \
	  xargs -P $$(nproc) -n 1 tests/tools/run-unit.sh 180

.PHONY: run-fuzz-corpus
run-fuzz-corpus: # of FLAVOUR=replay or fuzz
	@for f in $(FUZZ_BIN); do n=$$(basename $$f _fuzz); d=tests/fuzz/corpus/$$n; \
	  [ -d $$d ] || { echo "no corpus for $$n in $$d" >&2; exit 1; }; \
	  echo "# $$n: $$(find $$d -type f | wc -l) inputs"; \
	  $$f -runs=0 $$d >$(FUZZ)/$$n.log 2>&1 || { cat $(FUZZ)/$$n.log; exit 1; }; done

# A short real run of every fuzz target:  make fuzz SECONDS=60
SECONDS ?= 30
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-bins
	@for f in $(FUZZ_BIN); do n=$$(basename $$f _fuzz); mkdir -p build/fuzz/found/$$n; \
	  echo "# $$n"; $$f -max_total_time=$(SECONDS) -print_final_stats=0 -artifact_prefix=build/fuzz/found/$$n/ \
	  build/fuzz/found/$$n tests/fuzz/corpus/$$n 2>&1 | tail -n 2; done

C_FILES = $(shell git ls-files '*.c' '*.h')
.PHONY: fmt check-fmt check-layers check-headers check-shell check-cppcheck check-docs
fmt:
	clang-format -i $(C_FILES)
check-fmt:
	clang-format --dry-run -Werror $(C_FILES)
check-layers:
	@tests/tools/check-layers.sh
check-headers: $(GEN_FILES)
	@for h in $(HEADERS); do echo "#include \"$$h\"" | \
	  $(CC) $(BASE) -MF /dev/null -Wno-unused-function -fsyntax-only -x c - || { echo "$$h does not compile alone"; exit 1; }; done
	@echo "headers: ok"
check-shell:
	@git ls-files | while read -r f; do [ -f "$$f" ] || continue; read -r first <"$$f" 2>/dev/null || continue; \
	  case "$$first" in '#!'*bash*|'#!/bin/sh'*|'#!/usr/bin/env sh'*) echo "$$f";; esac; done | xargs -r shellcheck -x -S warning
check-cppcheck: $(GEN_FILES)
	@cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
	  --suppress=missingIncludeSystem --suppress=syntaxError:daemon/http/server_int.h --suppress=unknownMacro --suppress=nullPointerRedundantCheck \
	  -D__GNUC__ -I. -I$(GEN) -j$$(nproc) \
	  proto daemon router launcher shim fileserver postgres cli
check-docs: all
	@$(BIN)/paasd config:docs | diff -u docs/config.md - >&2 || { echo "docs/config.md is stale: build/paasd config:docs > docs/config.md"; exit 1; }
	@$(BIN)/paasd api:docs | diff -u docs/api.md - >&2 || { echo "docs/api.md is stale: build/paasd api:docs > docs/api.md"; exit 1; }
	@echo "docs: ok"

# Written by make itself: the flags hold quotes that a shell would take.
comma := ,
json_cc = $(subst ",\",$(subst ',,$(subst \,\\,$(THIS_CC) $(CFLAGS))))
json_one = {"directory":"$(CURDIR)","file":"$(1)","command":"$(json_cc) -c $(1)"}
compile_commands.json: Makefile
	$(file >$@,[$(subst } {,}$(comma){,$(strip $(foreach f,$(LIB_SRC) $(MAINS),$(call json_one,$(f)))))])

.PHONY: harnesses
harnesses: $(HARNESS_BIN)
	@$(MAKE) --no-print-directory -s FLAVOUR=debug build/debug/tests/gitd

# Ratios to peers and floors, see docs/benchmarks.md:  make bench BENCH_ARGS='--only push,router'
BENCH_BIN := $(addprefix $(BIN)/bench/,start_bench store_bench log_bench $(if $(wildcard $(LLHTTP_SRC)/api.c),http1_bench)) \
             $(BIN)/tests/gitd
.PHONY: bench
bench: all $(BENCH_BIN)
	@/usr/bin/python3 tests/bench/bench.py $(BENCH_ARGS)

# On a machine of its own with systemd, as the README says; not part of check. Needs root.
.PHONY: vm-test
vm-test: deps-vm
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@tests/vm/run.sh $(BUILD_DEPS) $(RUN_DEPS) $(ADDON_DEPS)
