# Fuzzing the journal's recovery with hostile logs (clang's libFuzzer).

jbd2_fuzz_sources := $(addprefix libos/fs/jbd2/,jbd2_fuzz.c format.c super.c recovery.c revoke.c) \
	core/lib/tree.c core/lib/crc.c
jbd2_fuzz_flags   := -std=gnu11 -O1 -g -Wall -Wextra -DKILN_HOST -DCONFIG_HARTS_MAX=1 -Icore/include \
	-Icore/host/include -Ilibos/include -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

$(NATIVE)/jbd2_fuzz $(NATIVE)/jbd2_fuzz_planted: $(jbd2_fuzz_sources) $(wildcard libos/fs/jbd2/*.h) \
		libos/include/libos/journal.h libos/fs/jbd2/fuzz.mk
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) $(jbd2_fuzz_flags) -o $@ $(jbd2_fuzz_sources)

# A build that believes the length of a revoke block, which the fuzzer must find.
$(NATIVE)/jbd2_fuzz_planted: jbd2_fuzz_flags += -DKILN_PLANT_JOURNAL_REVOKE_LENGTH=1

test_programs += $(NATIVE)/jbd2_fuzz $(NATIVE)/jbd2_fuzz_planted

.PHONY: fuzz-jbd2
fuzz: fuzz-jbd2
fuzz-jbd2: $(NATIVE)/jbd2_fuzz ## the journal's recovery alone
	$(Q)mkdir -p $(NATIVE)/corpus-jbd2
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=2000 -timeout=20 -artifact_prefix=$(NATIVE)/ \
		$(NATIVE)/corpus-jbd2
