# test.mk: which test programs there are, what each links, how they run.
#
#   make test                 all tests, lint included, as chosen below
#   make test T=base/knob     only items with that in their name, for $(BUILD)
#   make test SUITES="debug asan"   all programs once per row of flags
#   make test BUILD=debug     all tests with these flags alone
#   make test RUN="qemu-aarch64 -L DIR"   each program behind a prefix
#   make test OUT=out/x LIB=out/x CC=...   somewhere else, another compiler
#   make soak LONG=8          the torture, so many times as long, under each of
#                             the collector's own checks; at 8 for 15 minutes
#   make lint                 the source's own rules
#
# test/DIR/NAME.c is a program of its own.  Its first comment says what it
# links, so that a room is tested with what is below it and nothing more:
#   links: os base             all of src/os and src/base
#   links: os src/page/bits.c  a layer and one file
#   links: lib                 the finished libsancai.a
#   links: malloc              libsancai-malloc.a
#   links: lib -rdynamic       words with a dash go to the linker
# What is not said is "lib".  test/shell/*.sh are run with the directory of
# the libraries as $1: 0 passed, 77 skipped, else failed.  test/cc/golden,
# test/cc/programs, test/family/run and test/misuse/run are scripts that count
# their own.

TEST_DIRS := os base page heap malloc collect obs api cc torture crash bench
T         ?=
RUN       ?=

# What "make test" alone runs: all with the usual flags, and these directories
# with each further row of flags.  The whole takes less than 24 minutes on two
# processors.  Left out: torture with debug, and crash with tsan, which would be
# hundreds of processes of a second each.
ROWS       := opt debug asan tsan
DIRS_opt   := $(TEST_DIRS)
DIRS_debug := base os page heap malloc collect obs api cc crash
DIRS_asan  := $(filter-out malloc,$(TEST_DIRS))
DIRS_tsan  := base os page heap collect obs api torture

given  = $(filter command environment,$(firstword $(origin $(1))))
chosen := $(if $(strip $(T)$(RUN)$(foreach v,SUITES BUILD OUT LIB,$(call \
            given,$(v)))),,yes)
SUITES    ?= $(if $(chosen),$(ROWS),$(BUILD))
dirs_of   = $(or $(if $(chosen),$(DIRS_$(1))),$(TEST_DIRS))
wanted    = $(if $(T),$(foreach f,$(1),$(if $(findstring $(T),$(f)),$(f))),$(1))
src_of    = $(call wanted,$(sort $(foreach d,$(1),$(wildcard test/$(d)/*.c))))
TEST_SRC  := $(call src_of,$(TEST_DIRS))
TEST_SH   := $(call wanted,$(sort $(wildcard test/shell/*.sh)) \
            $(if $(RUN),,test/cc/golden test/cc/programs test/family/run \
            test/misuse/run) \
            tools/lint)
TEST_BIN  := $(TEST_SRC:%.c=$(OUT)/%)

# The words after "links:" within the first comment's first lines.
links_of = $(or $(shell sed -n '1,3{s/ *\*\/.*//;s/.*links: *//p}' $(1)),lib)
layer_objects = $(patsubst %.c,$(OUT)/%.o,$(wildcard src/$(1)/*.c))
# One word of it as files or flags.
link_word = $(if $(filter lib,$(1)),$(LIB)/libsancai.a,$(strip \
            $(if $(filter malloc,$(1)),$(LIB)/libsancai-malloc.a,$(strip \
            $(if $(filter -%,$(1)),$(1),$(strip \
            $(if $(filter %.c,$(1)),$(OUT)/$(1:.c=.o),$(strip \
            $(call layer_objects,$(1))))))))))

link_words = $(foreach w,$(call links_of,$(1)),$(call link_word,$(w)))

# $(1) source without .c, $(2) what it links.
define test_program
$(OUT)/$(1): $(OUT)/$(1).o $(filter-out -%,$(2))
	$$(CC) $$(ALL_FLAGS) -o $$@ $$< $(2) -ldl -lm
endef
# Sixty shells are not started to build the library alone.
ifneq ($(filter soak test-programs $(OUT)/test/%,$(MAKECMDGOALS)),)
$(foreach s,$(TEST_SRC),\
    $(eval $(call test_program,$(s:.c=),$(call link_words,$(s)))))
endif

test-programs: all $(TEST_BIN)

# Calls of malloc are calls, whatever becomes of the block.
$(OUT)/test/malloc/%.o: ALL_FLAGS += -fno-builtin \
    -Wno-alloc-size-larger-than

# A suite's directories are the Makefile's, unless OUT and LIB were given.
out_of   = $(if $(call given,OUT),$(OUT),out/$(1))
lib_of   = $(if $(call given,LIB),$(LIB),$(if $(filter \
           opt,$(1)),build,$(call out_of,$(1))))
suite_of = --lib $(call lib_of,$(1)) $(patsubst \
           %.c,$(call out_of,$(1))/%,$(call src_of,$(call dirs_of,$(1))))
# As many jobs as processors, unless the caller said how many.
jobs     = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
build_of = $(MAKE) -sk $(jobs) --no-print-directory BUILD=$(1) \
           TEST_DIRS="$(call dirs_of,$(1))" test-programs

# Goes on after what does not compile: the other tests still say something,
# and the line at the end counts it.
test:
	@tools/deps test || echo "test: going on without them"
	@bad=0; \
	$(foreach b,$(SUITES),$(call build_of,$(b)) || bad=1;) \
	BAD_BUILD=$$bad RUN="$(RUN)" test/run \
	    $(foreach b,$(SUITES),$(call suite_of,$(b))) \
	    --lib $(LIB) $(TEST_SH)

LONG       ?= 8
SOAK_MODES := gccheckmark=1 gcstress=2000,clobberfree=1 \
              gccheckmark=1,gcstress=5000,verify=1
SOAK       := lost holders signals threads
soak: test-programs
	@bad=0; for mode in $(SOAK_MODES); do \
	    echo "soak: SANCAI_DEBUG=$$mode LONG=$(LONG)"; \
	    SANCAI_DEBUG=$$mode LONG=$(LONG) TEST_SLOW=$(LONG) TEST_LIMIT=7200 \
	    test/run --lib $(LIB) $(SOAK:%=$(OUT)/test/torture/%) || bad=1; \
	done; exit $$bad

# The symbols' directions are read from objects, so these come first.
lint: $(OBJ)
	@tools/lint $(OUT)

-include $(TEST_SRC:%.c=$(OUT)/%.d) $(wildcard $(OUT)/bench/markers/*.d)
.PHONY: test-programs soak
