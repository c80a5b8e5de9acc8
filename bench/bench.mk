# bench.mk: the example on real input, and the comparisons with the peers.
#   make run             the package graph, collected and not
#   make bench           PROGRAMS="lru gcbench" ROUNDS=5 SIZE=small|full
#   make bench-alloc     instructions per allocation (needs valgrind)
#   make bench-mark      how fast objects are marked, beside a bare loop
#   make bench-markers   1 to 64 markers simulated; HEAPS="lru splay"
#   make bench-malloc    SIZE=short|full ROUNDS=5 ONLY="larson jq"
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

MARKED ?= 4000000
bench-mark: all
	@mkdir -p out/bench
	@$(CC) $(ALL_FLAGS) -O2 -Iinclude -Ibench -DPORT_SANCAI -o out/bench/mark \
	    bench/mark.c bench/meter.c bench/port.c $(LIB)/libsancai.a -ldl -lm
	@for g in order depth scatter random; do \
	    out/bench/mark $$g $(MARKED) || exit 1; done

HEAPS ?=
bench-markers: all
	@CC="$(CC)" OBJECTS=$(OUT) bench/markers/run --heaps "$(HEAPS)" $(RUN)

ONLY ?=
bench-malloc: all
	@tools/deps bench-malloc || echo "bench: going on without them"
	CC="$(CC)" LIB=$(abspath $(LIB))/libsancai-malloc.so bench/malloc/run \
	    --size $(SIZE:small=short) --rounds $(ROUNDS) --only "$(ONLY)" \
	    --tsv out/bench-malloc.tsv

.PHONY: example run bench-malloc bench-alloc bench-mark bench-markers
