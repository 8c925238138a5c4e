# From objects to an image: images/<image>.elf, .map and the flat .img.
#
# The image is linked twice with the same objects. From the first link tools/build/tables learns
# every address, and makes the tables of function names and of words to relocate; the second adds
# them behind everything that they describe. With link-time optimisation a link before these two does
# the optimising; both take the code that it generated (optimising again would take ten times as long).

link_flags := $(machine_flags) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=none \
	-Wl,--fatal-warnings -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096 -Wl,-T,core/riscv/kiln.lds
link_libraries := -Wl,--start-group $(libraries) -lgcc -Wl,--end-group

tables := $(if $(CONFIG_SYMBOLS),symbols) $(if $(CONFIG_RANDOM_PLACEMENT),relocs)
first  := $(O)/link/first.elf

ifdef CONFIG_LTO
lto           := $(O)/link/lto.elf
lto_link      := -flto=auto -flto-partition=one -save-temps -O2 -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -ffile-prefix-map=$(TOP)=.
# What takes no part: assembly, and what compilers call by themselves. Of the rest, the optimising
# link leaves the generated code, and for each object the debug information that the code refers to.
plain_objects := $(filter $(addprefix $(O)/obj/,$(nolto) \
	$(foreach o,$(own-objs),$(if $(wildcard $(o:.o=.S)),$(o)))),$(objects))
final_objects := $(lto).ltrans0.ltrans.o \
	$(addsuffix .debug.temp.o,$(filter-out $(plain_objects),$(objects))) $(plain_objects)
else
lto           :=
lto_link      :=
final_objects := $(objects)
endif

##@ Build

.PHONY: image objects
objects: $(objects)
image: images/$(IMAGE).img images/$(IMAGE).spdx.json ## build the current image into images/ (also IMAGE=<image>, V=1)

$(shell mkdir -p $(O)/link)
$(eval $(call remember,$(O)/link/inputs,$(objects) $(libraries) $(link_flags) $(lto_link) $(tables)))

$(O)/link/lto.elf: $(objects) $(libraries) $(O)/link/inputs core/riscv/kiln.lds
	$(call say,LTO,$@)
	$(Q)rm -f $@ $@.*
	+$(Q)$(CC) $(link_flags) $(lto_link) -o $@ $(objects) $(link_libraries)

$(first): $(or $(lto),$(objects) $(libraries) $(O)/link/inputs core/riscv/kiln.lds)
	$(call say,LINK,$@)
	$(Q)$(CC) $(link_flags) -Wl,--emit-relocs -o $@ $(final_objects) $(link_libraries)

$(O)/link/tables.S: $(first) tools/build/tables tools/build/elf.py
	$(Q)tools/build/tables $< $@ $(tables)

images/$(IMAGE).elf: $(O)/link/tables.S
	$(call say,LINK,$@)
	$(Q)$(CC) $(machine_flags) -c -o $(O)/link/tables.o $<
	$(Q)$(CC) $(link_flags) -Wl,-Map,images/$(IMAGE).map -o $@ \
		$(final_objects) $(O)/link/tables.o $(link_libraries)
	$(Q)tools/build/tables --same $(first) $@
	$(Q)tools/check/float $@
	$(Q)$(if $(libraries),tools/check/names $(O)/obj $(libraries))

images/$(IMAGE).img: images/$(IMAGE).elf
	$(call say,FLAT,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# What went into the image, with versions and licences.
$(eval $(call remember,$(O)/commit,$(shell git rev-parse HEAD 2>/dev/null)))
images/$(IMAGE).spdx.json: images/$(IMAGE).img tools/sbom third_party/sources.lock $(O)/commit
	$(Q)tools/sbom $(IMAGE) $(O)/.config images/$(IMAGE).map > $@

.PHONY: size compdb
size: image ## what each part adds to the current image
	@tools/size $(IMAGE)

# One line for each object: its source and how it is compiled.
compdb_lines = $(foreach o,$(own-objs),$(firstword $(wildcard $(o:.o=.c) $(o:.o=.S)))	$(strip \
	$(CC) $(flags/$(world/$(call dir_of,$(o)))) $(cflags/$(call dir_of,$(o))) -c \
	$(firstword $(wildcard $(o:.o=.c) $(o:.o=.S))))$(newline))
define newline


endef
compdb: $(O)/include/config/auto.conf ## compile_commands.json for editors, for the current image
	$(file >$(O)/compdb.txt,$(compdb_lines))
	$(Q)tools/build/compdb compile_commands.json < $(O)/compdb.txt
	@echo "compile_commands.json describes $(IMAGE)."
