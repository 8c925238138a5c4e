# Fuzzing ext4 with damaged disks (clang's libFuzzer).

ext4_fuzz         := $(NATIVE)/ext4_fuzz_disks
ext4_fuzz_sources := $(filter-out %_test.c,$(wildcard libos/fs/ext4/*.c)) $(addprefix libos/vfs/,inode.c mount_option.c uio.c) \
	$(addprefix core/lib/,tree.c crc.c string.c fmt.c)
ext4_fuzz_flags   := -std=gnu11 -O1 -g -Wall -Wextra -DKILN_HOST -DCONFIG_HARTS_MAX=1 -Icore/include \
	-Icore/host/include -Ilibos/include -I$(NATIVE) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

# The disks: without checksums, but for the last, and without a journal, whose recovery has a fuzzer of its own.
ext4_fuzz_tree := mkdir -p d/e big && ln -s d link && ln -s $$(printf '%0100d' 0) long && echo text > d/text && \
	for n in $$(seq 40); do : > big/a-name-that-takes-some-room-$$n; done; truncate -s 300K d/e/sparse && \
	for n in 0 20 40 60 80 100 120 299; do echo $$n | dd of=d/e/sparse bs=1K seek=$$n conv=notrunc status=none; done; \
	for n in $$(seq 0 40); do echo $$n | dd of=blocks bs=1K seek=$$n conv=notrunc status=none; done
ext4_fuzz_kinds := extent,dir_index,filetype,flex_bg,sparse_super,ext_attr,64bit \
	filetype,sparse_super,ext_attr,dir_index \
	extent,dir_index,filetype,sparse_super,ext_attr,inline_data,meta_bg \
	extent,dir_index,filetype,flex_bg,sparse_super,ext_attr,64bit,metadata_csum

$(ext4_fuzz)/list.c: libos/fs/ext4/fuzz.mk
	$(call say,MKE2FS,$(@D))
	$(Q)rm -rf $(@D) && mkdir -p $(@D)/tree && cd $(@D)/tree && { $(ext4_fuzz_tree); }
	$(Q)n=0; for kind in $(ext4_fuzz_kinds); do \
		truncate -s 1M $(@D)/$$n && PATH=$$PATH:/sbin:/usr/sbin mke2fs -q -F -b 1024 -I 256 -N 96 -g 512 -O none,$$kind \
			-d $(@D)/tree $(@D)/$$n >$(@D)/log 2>&1 || exit 1; n=$$((n + 1)); done; \
	{ echo 'extern const char *const ext4_fuzz_disks[]; extern const unsigned ext4_fuzz_disk_count;'; \
	  echo 'const char *const ext4_fuzz_disks[] = {'; \
	  for k in $$(seq 0 $$((n - 1))); do echo "\"$(CURDIR)/$(@D)/$$k\","; done; echo '};'; \
	  echo "const unsigned ext4_fuzz_disk_count = $$n;"; } > $@

$(NATIVE)/ext4_fuzz $(NATIVE)/ext4_fuzz_planted: $(ext4_fuzz_sources) $(ext4_fuzz)/list.c $(wildcard libos/fs/ext4/*.h) \
		libos/fs/ext4/fuzz.mk
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) $(ext4_fuzz_flags) -o $@ $(ext4_fuzz_sources) $(ext4_fuzz)/list.c

# A build that believes the numbers of blocks, which the fuzzer must find.
$(NATIVE)/ext4_fuzz_planted: ext4_fuzz_flags += -DKILN_PLANT_EXT4_PLACE=1

test_programs += $(NATIVE)/ext4_fuzz $(NATIVE)/ext4_fuzz_planted

.PHONY: fuzz-ext4
fuzz: fuzz-ext4
fuzz-ext4: $(NATIVE)/ext4_fuzz ## ext4 with damaged disks alone
	$(Q)mkdir -p $(NATIVE)/corpus-ext4
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=600 -len_control=0 -timeout=20 -artifact_prefix=$(NATIVE)/ \
		$(NATIVE)/corpus-ext4
