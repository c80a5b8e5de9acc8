# install.mk: what goes where.
#
#   make install PREFIX=/usr/local DESTDIR=
#
#   PREFIX/include/sancai.h, sancai_cc.h, sancai_malloc.h
#   PREFIX/lib/libsancai.a, libsancai.so, libsancai-malloc.a, -malloc.so
#   PREFIX/lib/pkgconfig/sancai.pc
#   PREFIX/lib/cmake/Sancai/SancaiConfig.cmake, SancaiConfigVersion.cmake
#   PREFIX/bin/sancai
#   PREFIX/lib/sancai/sancai-cc.so, sancai-cc.o      where LLVM 19 is
#
# Nothing that is installed has PREFIX in it: the files find each other by
# their places.  The version is the header's.

INSTALL ?= install
VERSION := $(shell sed -n 's/.*SC_VERSION "\(.*\)".*/\1/p' include/sancai.h)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))
MINOR   := $(word 2,$(subst ., ,$(VERSION)))
INTO     = $(DESTDIR)$(PREFIX)
FILL     = sed 's/@VERSION@/$(VERSION)/g; s/@MAJOR@/$(MAJOR)/g; \
           s/@MAJOR_MINOR@/$(MAJOR).$(MINOR)/g'

install: all
	$(INSTALL) -d "$(INTO)/include" "$(INTO)/bin" \
	    "$(INTO)/lib/pkgconfig" "$(INTO)/lib/cmake/Sancai"
	$(INSTALL) -m 644 include/sancai.h include/sancai_cc.h \
	    include/sancai_malloc.h "$(INTO)/include/"
	$(INSTALL) -m 644 $(LIB)/libsancai.a $(LIB)/libsancai-malloc.a \
	    "$(INTO)/lib/"
	$(INSTALL) -m 755 $(LIB)/libsancai.so $(LIB)/libsancai-malloc.so \
	    "$(INTO)/lib/"
	$(INSTALL) -m 755 $(LIB)/sancai "$(INTO)/bin/"
	$(if $(PLUGIN),$(INSTALL) -d "$(INTO)/lib/sancai" && \
	    $(INSTALL) -m 755 $(PLUGIN) $(LIB)/sancai-cc.o "$(INTO)/lib/sancai/")
	$(FILL) tools/sancai.pc.in >"$(INTO)/lib/pkgconfig/sancai.pc"
	for f in SancaiConfig SancaiConfigVersion; do \
	    $(FILL) tools/$$f.cmake.in \
	        >"$(INTO)/lib/cmake/Sancai/$$f.cmake" || exit 1; \
	done
	cd "$(INTO)/lib" && chmod 644 pkgconfig/sancai.pc cmake/Sancai/*
