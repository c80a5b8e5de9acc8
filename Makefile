# make              the library and the tool in build/
# make test         everything that must hold, on this machine
# make bench        the table against the peers
# make lint         layers, line lengths, names in documents
# BUILD=opt|debug|asan|ubsan|tsan|stress   chooses a row of flags
BUILD  ?= opt
CC     ?= cc
AR     ?= ar
LD     ?= ld
OBJCOPY ?= objcopy
PREFIX ?= /usr/local
OUT    := out/$(BUILD)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wundef -Wpointer-arith -Wno-unused-parameter
BASE := -std=gnu17 -g -fno-strict-aliasing -fvisibility=hidden \
        -ftls-model=initial-exec -fPIC -pthread
FLAGS_opt    := -O2
FLAGS_debug  := -O1 -DSC_DEBUG
FLAGS_stress := -O1 -DSC_DEBUG -DSC_STRESS
FLAGS_asan   := -O1 -DSC_DEBUG -fsanitize=address,undefined \
                -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_ubsan  := -O1 -DSC_DEBUG -fsanitize=undefined -fno-sanitize-recover=all
FLAGS_tsan   := -O1 -DSC_DEBUG -fsanitize=thread
ALL_FLAGS := $(BASE) $(WARN) $(FLAGS_$(BUILD)) $(CFLAGS)

# src/malloc replaces the C library's: a library of its own, with the layers
# below it.
MALLOC_SRC := $(wildcard src/malloc/*.c)
MALLOC_OBJ := $(MALLOC_SRC:%.c=$(OUT)/%.o) $(patsubst %.c,$(OUT)/%.o,\
              $(wildcard src/os/*.c src/base/*.c src/page/*.c) \
              src/heap/sizeclass.c)
SRC := $(filter-out $(MALLOC_SRC),$(wildcard src/*/*.c))
OBJ := $(SRC:%.c=$(OUT)/%.o)
TOOL_SRC := $(wildcard tool/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(OUT)/%.o)
LIB := $(if $(filter opt,$(BUILD)),build,$(OUT))

# The pass of `sancai cc`, a plugin of clang 19: only where LLVM 19's headers
# are, for the machine that clang runs on, and without sanitizers, which would
# have to be in clang itself.
LLVM     := $(patsubst %/llvm-c/Core.h,%,$(wildcard \
            /usr/lib/llvm-19/include/llvm-c/Core.h))
LLVM     := $(if $(LLVM),$(if $(filter $(shell uname -m)-%,\
            $(shell $(CC) -dumpmachine)),$(LLVM)))
CC_SRC   := $(wildcard cc/*.c)
CC_OBJ   := $(CC_SRC:%.c=$(OUT)/%.o) $(OUT)/cc/plugin.o
PLUGIN   := $(if $(and $(LLVM),$(filter opt,$(BUILD))),$(LIB)/sancai-cc.so)
# What programs compiled by it are linked with, beside the library.
RUN_OBJ  := $(patsubst %.c,$(OUT)/%.o,$(wildcard cc/run/*.c))

all: $(LIB)/libsancai.a $(LIB)/libsancai.so $(LIB)/sancai $(PLUGIN) \
     $(LIB)/sancai-cc.o $(LIB)/libsancai-malloc.so $(LIB)/libsancai-malloc.a

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -Iinclude -MMD -MP -c $< -o $@

# Its caller has no vector registers to spare.
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
$(OUT)/src/collect/quick.o: ALL_FLAGS += -mgeneral-regs-only -fno-sanitize=all
endif

# One object whose internal names are local: a program may have its own `heap`.
$(LIB)/libsancai.a: $(OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(LD) -r -o $(OUT)/sancai.o $^
	$(OBJCOPY) --localize-hidden $(OUT)/sancai.o
	$(AR) rcs $@ $(OUT)/sancai.o

$(LIB)/libsancai.so: $(OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -shared -Wl,-soname,libsancai.so -o $@ $^ -ldl

$(LIB)/libsancai-malloc.a: $(filter-out %/early.o,$(MALLOC_OBJ))
	@mkdir -p $(@D)
	@rm -f $@
	$(LD) -r -o $(OUT)/sancai-malloc.o $^
	$(OBJCOPY) --localize-hidden $(OUT)/sancai-malloc.o
	$(AR) rcs $@ $(OUT)/sancai-malloc.o

$(LIB)/libsancai-malloc.so: $(MALLOC_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -shared -Wl,-soname,libsancai-malloc.so -o $@ $^ -ldl

# The compiler must not take what it knows of malloc for what ours is.
$(MALLOC_SRC:%.c=$(OUT)/%.o): ALL_FLAGS += -fno-builtin-malloc \
    -fno-builtin-free -fno-builtin-calloc -fno-builtin-realloc

$(LIB)/sancai: $(TOOL_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -o $@ $^

$(CC_OBJ): ALL_FLAGS += -D_GNU_SOURCE -DSANCAI_CC_PLUGIN \
                       $(if $(LLVM),-isystem $(LLVM))
$(OUT)/cc/plugin.o: cc/plugin.cpp cc/pass.h
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -fno-rtti -O1 -fPIC -fvisibility=hidden \
	    -isystem $(LLVM) -c $< -o $@

$(LIB)/sancai-cc.o: $(RUN_OBJ)
	@mkdir -p $(@D)
	$(LD) -r -o $@ $^

$(LIB)/sancai-cc.so: $(CC_OBJ)
	@mkdir -p $(@D)
	$(CXX) -shared -o $@ $^

clean:
	rm -rf build out

-include $(OBJ:.o=.d) $(MALLOC_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(CC_OBJ:.o=.d) $(RUN_OBJ:.o=.d)
include $(wildcard test/test.mk bench/bench.mk tools/install.mk)
.PHONY: all clean test bench lint install
