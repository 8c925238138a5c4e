# Compiling one image: build/<image>/ holds its configuration and objects; link.mk makes them an image.

include $(O)/include/config/auto.conf
$(O)/include/config/auto.conf: $(wildcard $(O)/.config configs/$(IMAGE)_defconfig) \
		$(shell find Kconfig core libos apps third_party -name 'Kconfig*') \
		tools/build/configure | $(setup)
	$(Q)tools/build/configure $(IMAGE)

CROSS_COMPILE ?= riscv64-linux-gnu-
CC      := $(CROSS_COMPILE)gcc
OBJCOPY := $(CROSS_COMPILE)objcopy

# ---- flags ----

march := rv64gc$(if $(CONFIG_RISCV_ZBA),_zba)$(if $(CONFIG_RISCV_ZBB),_zbb)$(if $(CONFIG_RISCV_ZBS),_zbs)

# GCC knows fast misaligned accesses only as a property of a core; this one has it and is in GCC 12 and 14.
# Without it every field of a packed header is read byte by byte.
mtune := $(if $(CONFIG_MISALIGNED_FAST),-mtune=thead-c906 -mno-strict-align)

machine_flags := -march=$(march) $(mtune) -mabi=lp64d -mcmodel=medany -fno-pic -fno-pie
common_flags  := $(PLANT:%=-DKILN_PLANT_%=1) -std=gnu11 -O2 -g -Wall -Wextra -Werror $(machine_flags) \
	-fno-common -ffunction-sections -fdata-sections -fstack-protector-strong \
	-fno-asynchronous-unwind-tables -ffile-prefix-map=$(TOP)=. -include $(O)/include/generated/autoconf.h
gcc_include := -nostdinc -isystem $(shell $(CC) -print-file-name=include)
flags/freestanding := $(common_flags) $(gcc_include) -ffreestanding -fno-strict-aliasing \
	-Icore/include -Icore/riscv/include -Ilibos/include

include third_party/lwip.mk
include third_party/mbedtls.mk
include third_party/musl.mk
include tools/build/dirs.mk

flags/hosted  := $(common_flags) $(musl_include) -Ilibos/include


# Link-time optimisation. The seed names what would otherwise be random in an object.
lto_flags = $(if $(CONFIG_LTO),$(if $(filter $(1),$(nolto)),,-flto -frandom-seed=$(1)))

# ---- objects ----

own-objs   := $(image-objs)
image-objs += $(if $(CONFIG_NET),$(lwip_objects)) $(if $(CONFIG_TLS),$(mbedtls_objects))
objects    := $(addprefix $(O)/obj/,$(image-objs))
libraries  := $(if $(filter hosted,$(foreach o,$(image-objs),$(world/$(call dir_of,$(o))))),$(MUSL)/lib/libc.a)
$(shell mkdir -p images $(sort $(dir $(objects)) $(O)/obj))

# One rule per object, so that each knows its directory's flags; the flags live in a file that
# changes with them.
define object_rule
$(O)/obj/$(1): $(wildcard $(1:.o=.c) $(1:.o=.S)) $(O)/obj/$(2)/flags | $(fetched)
	$$(call say,CC,$(1))
	$$(Q)$$(CC) $$(flags/$$(world/$(2))) $$(cflags/$(2)) $$(call lto_flags,$(1)) -MMD -MP -MF $$@.d -c -o $$@ $$<
	$$(Q)tools/build/fixdep $$@.d $(O)/include
endef
define dir_flags
$(shell mkdir -p $(O)/obj/$(1))
$(call remember,$(O)/obj/$(1)/flags,$(CC) $(flags/$(world/$(1))) $(cflags/$(1)) $(CONFIG_LTO) $(filter $(1)/%,$(nolto)))
endef
fetched := $(if $(CONFIG_NET),$(LWIP)/.kiln-lock) $(if $(CONFIG_TLS),$(MBEDTLS)/.kiln-lock) $(libraries)
$(foreach d,$(sort $(foreach o,$(own-objs),$(call dir_of,$(o)))),$(eval $(call dir_flags,$(d))))
$(foreach o,$(own-objs),$(eval $(call object_rule,$(o),$(call dir_of,$(o)))))
$(if $(CONFIG_NET),$(eval $(call lwip_rules,CC,$(flags/freestanding) $(lwip_include))))
$(if $(CONFIG_TLS),$(eval $(call mbedtls_rules,$(O)/obj,CC,$(flags/hosted),CC)))
-include $(addsuffix .d,$(objects))

include tools/build/link.mk
