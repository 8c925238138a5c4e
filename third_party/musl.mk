# musl: the C library of applications, compiled once for each set of flags into the cache, with the
# header and without the files that libos/libc replaces. It takes no part in link-time optimisation.

MUSL_SRC    := $(shell tools/fetch --where musl)
musl_flags  := -O2 -g $(machine_flags) -fdata-sections -ffunction-sections -fno-omit-frame-pointer
MUSL        := $(shell tools/build/musl --where $(CC) $(musl_flags))
musl_include := -nostdinc -isystem $(MUSL)/include $(filter-out -nostdinc,$(gcc_include))

$(MUSL)/lib/libc.a: | $(setup)
	$(Q)tools/fetch musl
	$(call say,MUSL,$(notdir $(MUSL)))
	+$(Q)tools/build/musl $(CC) $(musl_flags)
