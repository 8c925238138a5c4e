# memcached as an ordinary program of the build machine: the same sources on stream.h's epoll back
# end. build/native/memcached-asan is the same under the address and undefined-behaviour sanitizers,
# for the tests.

include third_party/mbedtls.mk

NATIVE    := build/native
NATIVE_CC ?= gcc
native_flags := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Ilibos/include -pthread \
	-DCONFIG_STREAM_FILTER=1 $(mbedtls_include)
native_asan  := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

native_sources := $(filter-out %_test.c %_fuzz.c %/tls_none.c,$(wildcard apps/memcached/*.c)) \
	$(wildcard libos/net/stream_epoll*.c) libos/net/timer_heap.c libos/net/stream_filter.c $(filter-out %_fuzz.c,$(wildcard libos/tls/*.c)) \
	$(addprefix libos/monitor/,textbuf.c exposition.c http.c server.c pages.c native.c)
native_objects := $(patsubst %.c,$(NATIVE)/%.o,$(native_sources))
native_asan_objects := $(patsubst %.c,$(NATIVE)/asan/%.o,$(native_sources))

$(NATIVE)/%.o: %.c $(lastword $(MAKEFILE_LIST))
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(NATIVE_CC) $(native_flags) -MMD -MP -c -o $@ $<

$(NATIVE)/asan/%.o: %.c $(lastword $(MAKEFILE_LIST))
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(NATIVE_CC) $(native_flags) $(native_asan) -MMD -MP -c -o $@ $<

# Mbed TLS, once for each kind.
native_mbedtls := $(addprefix mbedtls/,$(mbedtls_sources:.c=.o))
define native_mbedtls_rule
$(1)/mbedtls/%.o: $(MBEDTLS)/.kiln-lock third_party/mbedtls/config.h third_party/mbedtls.mk
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$($(2)) $(3) $$(mbedtls_include) -w -c -o $$@ $$(MBEDTLS)/library/$$*.c
$(1)/mbedtls.a: $(addprefix $(1)/,$(native_mbedtls))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar crs $$@ $$^
endef
$(eval $(call native_mbedtls_rule,$(NATIVE),NATIVE_CC,-O2 -g))
$(eval $(call native_mbedtls_rule,$(NATIVE)/asan,NATIVE_CC,-g $(native_asan)))

$(NATIVE)/memcached: $(native_objects) $(NATIVE)/mbedtls.a
	$(call say,LD,$@)
	$(Q)$(NATIVE_CC) $(native_flags) -o $@ $^

$(NATIVE)/memcached-asan: $(native_asan_objects) $(NATIVE)/asan/mbedtls.a
	$(call say,LD,$@)
	$(Q)$(NATIVE_CC) $(native_flags) $(native_asan) -o $@ $^

# What stream.h promises, tried out on its epoll back end.
$(NATIVE)/stream_test: tests/stream/stream_test.c $(filter $(NATIVE)/asan/libos/net/%,$(native_asan_objects))
	$(call say,CC,$@)
	$(Q)$(NATIVE_CC) $(native_flags) $(native_asan) -o $@ $^

# Who talks to a server and to a model of memcached's meaning, and finds no difference.
$(NATIVE)/memcached_model: tests/memcached/model.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(NATIVE_CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-format-truncation -o $@ $<

# Parts of the storage on their own.
$(NATIVE)/table_test: tests/memcached/table_test.c apps/memcached/table.c
$(NATIVE)/hash_test: tests/memcached/hash_test.c apps/memcached/hash_named.c
$(NATIVE)/table_test $(NATIVE)/hash_test: $(wildcard apps/memcached/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(NATIVE_CC) $(native_flags) $(native_asan) -o $@ $(filter %.c,$^)

-include $(native_objects:.o=.d) $(native_asan_objects:.o=.d)

.PHONY: native
native: $(NATIVE)/memcached $(NATIVE)/memcached-asan $(NATIVE)/stream_test ## memcached as a program of this machine, plain and with sanitizers

# ---- fuzzing the protocols (clang's libFuzzer) ----

FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 600
fuzz_flags   := -std=gnu11 -O1 -g -Wall -Wextra -Ilibos/include -Iapps/memcached -D__SANITIZE_ADDRESS__ \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz_absent  := tls main listen options options_extended options_help metrics
fuzz_sources := apps/memcached/stream_fuzz.c apps/memcached/tls_none.c \
	$(filter-out $(fuzz_absent:%=apps/memcached/%.c),$(filter apps/%,$(native_sources)))
fuzzers      := text binary udp

$(fuzzers:%=$(NATIVE)/%_fuzz): $(NATIVE)/%_fuzz: apps/memcached/%_fuzz.c $(fuzz_sources) $(wildcard apps/memcached/*.h)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) $(fuzz_flags) -o $@ $< $(fuzz_sources)

# Builds with a bug in them, which the fuzzers must find: a word that does not end with its line; a
# packet whose header is read before it is there; a frame taken for granted.
planted_text   := s/for (e = s; e < end && /for (e = s; /
planted_binary := s/if (len < BINARY_HEADER)$$/if (len < 12)/
planted_udp    := s/if (len <= FRAME || /if (/
# $(call planted_rules,fuzzer,file)
define planted_rules
$(NATIVE)/planted/$(2).c: apps/memcached/$(2).c apps/memcached/native.mk
	@mkdir -p $$(@D)
	$$(Q)sed '$$(planted_$(1))' $$< > $$@
	$$(Q)! cmp -s $$< $$@
$(NATIVE)/$(1)_fuzz_planted: $(NATIVE)/planted/$(2).c apps/memcached/$(1)_fuzz.c $(fuzz_sources) $(wildcard apps/memcached/*.h)
	$$(call say,FUZZ,$$@)
	$$(Q)$(FUZZ_CC) $(fuzz_flags) -o $$@ $$< apps/memcached/$(1)_fuzz.c $$(filter-out %/$(2).c,$(fuzz_sources))
endef
$(eval $(call planted_rules,text,text_fetch))
$(eval $(call planted_rules,binary,binary))
$(eval $(call planted_rules,udp,udp))

test_programs += $(addprefix $(NATIVE)/,memcached_model table_test hash_test $(fuzzers:%=%_fuzz) $(fuzzers:%=%_fuzz_planted))

.PHONY: fuzz $(fuzzers:%=fuzz-%)
fuzz: $(fuzzers:%=fuzz-%) ## every fuzzer, for FUZZ_SECONDS (600) each
$(fuzzers:%=fuzz-%): fuzz-%: $(NATIVE)/%_fuzz ## fuzz-text fuzz-binary fuzz-udp: one of memcached's protocols
	$(Q)mkdir -p $(NATIVE)/corpus/$*
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=60000 -timeout=20 -dict=tests/fuzz/text.dict \
		-artifact_prefix=$(NATIVE)/ $(NATIVE)/corpus/$* tests/fuzz/$*

include libos/tls/fuzz.mk
