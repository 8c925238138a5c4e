# Fuzzing the tree of files against a model (clang's libFuzzer).

vfs_fuzz_sources := $(addprefix libos/vfs/,vfs_fuzz.c vfs_model.c dentry.c mount.c mount_change.c mount_option.c inode.c walk.c change.c rename.c \
	open_name.c attributes.c open_file.c locks.c file.c poll.c uio.c notify.c cache.c cache_index.c) \
	$(addprefix libos/fs/tmpfs/,tmpfs.c options.c tmpfs_dir.c tmpfs_xattr.c) core/lib/tree.c core/lib/fmt.c core/lib/string.c core/lib/bits.c
vfs_fuzz_flags   := -std=gnu11 -O1 -g -Wall -Wextra -DKILN_HOST -DCONFIG_HARTS_MAX=1 -DCONFIG_POSIX_INOTIFY=1 \
	-Icore/include -Icore/host/include -Ilibos/include -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all

$(NATIVE)/vfs_fuzz $(NATIVE)/vfs_fuzz_planted: $(vfs_fuzz_sources) $(wildcard libos/vfs/*.h libos/include/libos/*.h) \
		libos/vfs/fuzz.mk
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) $(vfs_fuzz_flags) -o $@ $(vfs_fuzz_sources)

# A build in which a directory with something in it can be replaced, which the fuzzer must find.
$(NATIVE)/vfs_fuzz_planted: vfs_fuzz_flags += -DKILN_PLANT_VFS_FULL_DIRECTORY=1

test_programs += $(NATIVE)/vfs_fuzz $(NATIVE)/vfs_fuzz_planted

.PHONY: fuzz-vfs
fuzz: fuzz-vfs
fuzz-vfs: $(NATIVE)/vfs_fuzz ## the tree of files, against a model
	$(Q)mkdir -p $(NATIVE)/corpus-vfs
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=4000 -timeout=20 -artifact_prefix=$(NATIVE)/ \
		$(NATIVE)/corpus-vfs
