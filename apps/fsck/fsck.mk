# fsck.kiln: the checker as a program of the build machine, from the same objects as kiln-fs. Read by tools/build/unit.mk.

fsck_objects := $(O)/obj/apps/fsck/main.o $(addprefix $(O)/obj/apps/kiln-fs/,main.o filedisk.o check.o)

$(O)/obj/apps/fsck/%.o: apps/fsck/%.c apps/kiln-fs/kiln-fs.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) $(host_flags) -MMD -MP -c -o $@ $<
-include $(O)/obj/apps/fsck/main.d

$(O)/fsck.kiln: $(fsck_objects) $(kiln_fs_systems) $(O)/kiln-fs.a
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) $(host_flags) -o $@ $^

.PHONY: fsck.kiln
fsck.kiln: $(O)/fsck.kiln ## build build/host/fsck.kiln, which checks disk files with ext4, and repairs what a crash leaves

.PHONY: fuzz-fsck
fuzz-fsck: $(O)/fsck.kiln ## fsck.kiln beside e2fsck on some 8000 damaged disks
	$(Q)KILN_FSCK_CASES=1000 $(PYTHON3) -m pytest -q tests/fsck -k agree
