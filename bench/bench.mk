# bench.mk: the example on real input, and the comparisons with the peers.
#   make run             the package graph, collected and not
#   make bench           PROGRAMS="lru gcbench" ROUNDS=5 SIZE=small|full
#   make bench-alloc     instructions per allocation (needs valgrind)
#   make example         builds the example only
SIZE     ?= small
ROUNDS   ?= 5
PROGRAMS ?=
EXAMPLE_SRC := $(wildcard examples/*.c)

example: $(LIB)/pkggraph

$(LIB)/pkggraph: $(EXAMPLE_SRC) $(wildcard examples/*.h) include/sancai.h \
                 $(LIB)/libsancai.a
	$(CC) $(ALL_FLAGS) -Iinclude -o $@ $(EXAMPLE_SRC) $(LIB)/libsancai.a \
	    -ldl -lm

# RUN="--reloads 100 --threads 8" passes options on.
run: all example
	$(LIB)/pkggraph --compare $(RUN)

bench: all
	@tools/deps bench || echo "bench: going on without them"
	CC="$(CC)" LIB=$(LIB)/libsancai.a bench/run --size $(SIZE) \
	    --rounds $(ROUNDS) --programs "$(PROGRAMS)" --tsv out/bench.tsv

bench-alloc: all
	CC="$(CC)" LIB=$(LIB)/libsancai.a bench/alloc-run

.PHONY: example run bench-alloc
