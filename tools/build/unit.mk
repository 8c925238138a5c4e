# The unit tests as a program of the build machine, under the address and undefined-behaviour
# sanitizers: what directories list in host-y, with core/host in place of core/riscv.
# Its options come from configs/host_defconfig, like an image's.

IMAGE := host
O     := build/host
include $(O)/include/config/auto.conf
$(O)/include/config/auto.conf: $(wildcard $(O)/.config) configs/host_defconfig \
		$(shell find Kconfig core libos apps third_party -name 'Kconfig*') \
		tools/build/configure | $(setup)
	$(Q)tools/build/configure host

include third_party/lwip.mk
include tools/build/dirs.mk

HOSTCC ?= gcc
host_flags := -std=gnu11 -O1 -g -Wall -Wextra -Werror -DKILN_HOST -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all -pthread \
	-include $(O)/include/generated/autoconf.h \
	-Icore/include -Icore/host/include -Ilibos/include

# Calls that go to core/host/shortage.c, which lets allocations fail.
wrap := ,--wrap=
host_wraps := $(foreach f,kmalloc kzalloc kmem_cache_alloc kmem_cache_alloc_zero page_alloc page_alloc_zero,-Wl$(wrap)$f)

own-objs     := $(host-objs)
host-objs    += $(if $(CONFIG_NET),$(lwip_objects))
host_objects := $(addprefix $(O)/obj/,$(host-objs))
$(shell mkdir -p $(sort $(dir $(host_objects)) $(O)/obj))

define host_rule
$(O)/obj/$(1): $(1:.o=.c) $(O)/obj/$(2)/flags | $(if $(CONFIG_NET),$(LWIP)/.kiln-lock)
	$$(call say,HOSTCC,$(1))
	$$(Q)$$(HOSTCC) $$(host_flags) $$(cflags/$(2)) -MMD -MP -MF $$@.d -c -o $$@ $$<
	$$(Q)tools/build/fixdep $$@.d $(O)/include
endef
define host_dir_flags
$(shell mkdir -p $(O)/obj/$(1))
$(call remember,$(O)/obj/$(1)/flags,$(HOSTCC) $(host_flags) $(cflags/$(1)))
endef
$(foreach d,$(sort $(foreach o,$(own-objs),$(call dir_of,$(o)))),$(eval $(call host_dir_flags,$(d))))
$(foreach o,$(own-objs),$(eval $(call host_rule,$(o),$(call dir_of,$(o)))))
$(if $(CONFIG_NET),$(eval $(call lwip_rules,HOSTCC,$(host_flags) -fno-strict-aliasing $(lwip_include))))
-include $(addsuffix .d,$(host_objects))

$(eval $(call remember,$(O)/objects,$(host_objects)))
$(eval $(call remember,$(O)/link-flags,$(host_wraps)))
$(O)/unit: $(host_objects) $(O)/objects $(O)/link-flags
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) $(host_flags) $(host_wraps) -o $@ $(host_objects)

.PHONY: unit
unit: $(if $(host-objs),$(O)/unit) ## build and run the unit tests here, under the sanitizers (TEST=part of a name)
	$(Q)$(if $(host-objs),$(O)/unit $(TEST),echo 'There are no host unit tests yet.')

# Each on one, two and four harts.
CRASH_JOURNAL ?= 140000
CRASH_FILES   ?= 100000
.PHONY: crash
crash: $(O)/unit ## power cuts by the ten thousands (CRASH_JOURNAL, CRASH_FILES: how many), each command of a disk failing
	$(Q)UNIT_SECONDS=7200 CRASH_CUTS=$(CRASH_JOURNAL) $(O)/unit journal_survives_power_cuts
	$(Q)tools/crash $(O)/unit $(CRASH_FILES)
	$(Q)for seed in 1 2 3; do \
		UNIT_SECONDS=7200 FAULTS=0 FAULT_SEED=$$seed $(O)/unit ext4_loses_nothing_that_was_synced || exit; done
	$(Q)POWERCUTS=50 $(PYTHON3) -m pytest -q -p no:cacheprovider tests/qemu/test_powercut.py

include apps/kiln-fs/kiln-fs.mk
include apps/fsck/fsck.mk
