# kiln-fs: file systems as a program of the build machine. Its file systems are linked as a whole, since they join by
# linker sets; of everything else what is needed. Read by tools/build/unit.mk, whose objects it shares.

kiln_fs_objects := $(patsubst apps/%.c,$(O)/obj/apps/%.o,$(wildcard apps/kiln-fs/*.c))
kiln_fs_library := $(filter-out %_test.o %/core/host/main.o %/core/host/shortage.o %/lab.o $(O)/obj/core/lib/test.o,\
	$(filter $(O)/obj/core/% $(O)/obj/libos/%,$(host_objects)))
kiln_fs_systems := $(filter $(O)/obj/libos/fs/tmpfs/% $(O)/obj/libos/fs/ext4/%,$(kiln_fs_library))

$(O)/obj/apps/kiln-fs/%.o: apps/kiln-fs/%.c apps/kiln-fs/kiln-fs.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) $(host_flags) -MMD -MP -c -o $@ $<
-include $(kiln_fs_objects:.o=.d)

$(O)/kiln-fs.a: $(kiln_fs_library)
	$(Q)rm -f $@ && ar crs $@ $^

$(O)/kiln-fs: $(kiln_fs_objects) $(kiln_fs_systems) $(O)/kiln-fs.a
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) $(host_flags) -o $@ $^

.PHONY: kiln-fs interchange
interchange: $(O)/kiln-fs ## trees of 320,000 names to e2fsprogs and back, journals to a Linux guest and back, an hour
	$(Q)KILN_INTERCHANGE=full /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/linux tests/host/test_interchange.py

kiln-fs: $(O)/kiln-fs ## build build/host/kiln-fs, which lists, reads, writes, checks and replays disk files with ext4
