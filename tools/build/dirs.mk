# Reads the build.mk of every directory into lists of objects with their directory's own flags.
#
#   objs-y   in an image            tests-y  in an image with CONFIG_SELFTEST
#   host-y   in the host unit tests cflags-y flags for this directory's objects
#   nolto-y  those that take no part in link-time optimisation, because compilers call them
#   world    freestanding (core, libos) or hosted (apps, libos/libc, libos/tls: musl's headers)
#
# Afterwards image-objs and host-objs name objects relative to the object directory, and
# cflags/<dir> and world/<dir> tell how the objects of <dir> are compiled.

dirs := $(sort $(patsubst %/build.mk,%,$(wildcard \
	core/*/build.mk libos/*/build.mk libos/*/*/build.mk apps/*/build.mk)))

image-objs :=
host-objs  :=
nolto      :=

define read_dir
objs-y    :=
objs-     :=
tests-y   :=
tests-    :=
host-y    :=
cflags-y  :=
nolto-y   :=
world     := $$(if $$(filter apps/% libos/libc libos/tls,$(1)),hosted,freestanding)
include $(1)/build.mk
image-objs += $$(addprefix $(1)/,$$(objs-y) $$(if $$(CONFIG_SELFTEST),$$(tests-y)))
host-objs  += $$(addprefix $(1)/,$$(host-y))
nolto       += $$(addprefix $(1)/,$$(nolto-y))
cflags/$(1) := $$(cflags-y)
world/$(1)  := $$(world)
endef
$(foreach d,$(dirs),$(eval $(call read_dir,$(d))))

# The directory whose build.mk named an object: the longest one that is a prefix of its path.
dir_of = $(lastword $(sort $(foreach d,$(dirs),$(if $(filter $(d)/%,$(1)),$(d)))))

# $(eval $(call remember,file,text)): a file that changes when the text does, so that objects can
# depend on it. (Reading it back with $(file <) would save the cmp, but make 4.3 misreads at times.)
.PHONY: FORCE
FORCE:
define remember
$(1): FORCE
	$$(file >$(1).new,$(2))
	@cmp -s $(1).new $(1) || cp $(1).new $(1)
endef
