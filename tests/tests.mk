# Tests: unit (cmocka), fuzz corpora, integration and end-to-end (pytest), linters.
UNIT_SRC := $(sort $(shell find tests/unit -name '*_test.c'))
UNIT_BIN := $(patsubst tests/unit/%.c,$(BIN)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(FUZZ_SRC))

$(BIN)/tests/unit/%: $(O)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LIB) $(L_all) -lcmocka

# Programs that integration tests drive.
$(BIN)/tests/gitd: $(O)/tests/integration/gitd.o $(LIB)
	@mkdir -p $(@D)
	$(THIS_CC) $(LDFLAGS) -o $@ $< $(LIB) $(L_all)

build/fuzz/%_fuzz: $(O)/tests/fuzz/%_fuzz.o $(LIB)
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
build/fuzz/http1_diff_fuzz: $(O)/tests/fuzz/http1_diff_fuzz.o $(LIB) $(LLHTTP_OBJ)
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
