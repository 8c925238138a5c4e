# memcached as an ordinary program of the build machine: the same sources on stream.h's epoll back
# end. build/native/memcached-asan is the same under the address and undefined-behaviour sanitizers,
# for the tests.

NATIVE    := build/native
NATIVE_CC ?= gcc
native_flags := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Ilibos/include -pthread
native_asan  := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

native_sources := $(filter-out %_test.c %_fuzz.c,$(wildcard apps/memcached/*.c)) \
	$(wildcard libos/net/stream_epoll*.c)
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

$(NATIVE)/memcached: $(native_objects)
	$(call say,LD,$@)
	$(Q)$(NATIVE_CC) $(native_flags) -o $@ $^

$(NATIVE)/memcached-asan: $(native_asan_objects)
	$(call say,LD,$@)
	$(Q)$(NATIVE_CC) $(native_flags) $(native_asan) -o $@ $^

-include $(native_objects:.o=.d) $(native_asan_objects:.o=.d)

.PHONY: native
native: $(NATIVE)/memcached $(NATIVE)/memcached-asan ## memcached as a program of this machine, plain and with sanitizers
