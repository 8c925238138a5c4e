# Kiln's one makefile. `make help` lists what it can do.
#
# Directories describe themselves in build.mk (what they add to an image) and Kconfig (their
# options); nothing here recurses into them. Every image has its own configuration and objects
# under build/<image>/, so several configurations live side by side. `make <image>_defconfig`
# chooses the current image; IMAGE=<image> chooses one for a single command.
#
#   tools/build/image.mk   compiling and linking an image
#   tools/build/run.mk     running, debugging and measuring an image
#   tools/build/unit.mk    the unit tests as a program of the build machine
#   third_party/*.mk       libraries that are fetched, never committed

MAKEFLAGS += -rR --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := image
SHELL := /bin/sh

# All processors, unless -j said otherwise or a calling make shares its own.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(or $(shell nproc 2>/dev/null),1)
endif

Q := $(if $(filter 1,$(V)),,@)
# $(call say,WORD,what): the one-line account of a step, silent under make -s and with V=1.
say = $(if $(or $(filter 1,$(V)),$(findstring s,$(firstword -$(MAKEFLAGS)))),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

goals    := $(or $(MAKECMDGOALS),image)
TOP      := $(CURDIR)
current  := $(shell cat build/current 2>/dev/null)
ifeq ($(filter %_defconfig,$(MAKECMDGOALS)),)
IMAGE    ?= $(or $(strip $(current)),memcached)
else
IMAGE    := $(patsubst %_defconfig,%,$(firstword $(filter %_defconfig,$(MAKECMDGOALS))))
endif
O        := build/$(IMAGE)

# Packages that the goals need, by group of tools/setup.
setup_groups := build $(if $(filter run debug bench bench-%,$(goals)),run) \
	$(if $(filter test unit crash kiln-fs interchange fsck.kiln fuzz-fsck native test-programs check fuzz fuzz-text fuzz-binary fuzz-udp fuzz-tls fuzz-jbd2 fuzz-vfs fuzz-ext4 build/native/% land-check,$(goals)),\
	run test) $(filter debug fresh,$(goals)) \
	$(if $(filter bench bench-%,$(goals)),bench) $(if $(filter bench bench-% interchange,$(goals)),guest)
empty        :=
setup        := build/.setup-$(subst $(empty) ,-,$(strip $(setup_groups)))

KILN_CACHE ?= $(HOME)/.cache/kiln
export KILN_CACHE

##@ Configure

.PHONY: menuconfig nconfig oldconfig savedefconfig
## make <image>_defconfig: choose the image and set it to configs/<image>_defconfig
ifneq ($(filter %_defconfig,$(MAKECMDGOALS)),)
.PHONY: $(IMAGE)_defconfig
$(IMAGE)_defconfig: $(setup)
	$(Q)rm -f $(O)/.config && tools/build/configure $(IMAGE)
	$(Q)echo $(IMAGE) > build/current
	@echo "$(IMAGE) is now the current image."
endif

menuconfig: ## change the current image's options in menus
	$(Q)tools/build/configure $(IMAGE) kconfig-mconf
nconfig: ## the same with other menus
	$(Q)tools/build/configure $(IMAGE) kconfig-nconf
oldconfig: ## be asked about options that are new
	$(Q)tools/build/configure $(IMAGE) kconfig-conf --oldconfig
savedefconfig: ## write the current options to configs/<image>_defconfig (DEFCONFIG=file)
	$(Q)tools/build/configure $(IMAGE) --save $(abspath $(or $(DEFCONFIG),configs/$(IMAGE)_defconfig))
menuconfig nconfig oldconfig savedefconfig: $(setup)

# Goals that read no configuration: nothing is built, fetched or set up for them.
unconfigured := help clean doctor setup unit crash kiln-fs interchange fsck.kiln fuzz-fsck native test-programs fuzz fuzz-text fuzz-binary fuzz-udp fuzz-tls fuzz-jbd2 fuzz-vfs fuzz-ext4 build/native/% test check fresh \
	land-check stop trace profile bench bench-% soak menuconfig nconfig oldconfig savedefconfig %_defconfig
# Two makes would write the same files of an image, so it is built by a make of its own, for which a second one waits.
of_image := $(sort $(patsubst run,image,$(patsubst debug,image,$(filter-out $(unconfigured),$(goals)))))
ifeq ($(ALONE),$(IMAGE))
include tools/build/image.mk
else ifneq ($(of_image),)
alone_in := $(O)
alone_as := IMAGE=$(IMAGE) ALONE=$(IMAGE)
.PHONY: alone $(of_image)
$(of_image): alone
alone: $(setup)
	+$(Q)tools/build/alone $(alone_in) $(MAKE) $(alone_as) $(of_image)
endif
ifneq ($(filter unit crash kiln-fs interchange fsck.kiln fuzz-fsck,$(goals)),)
include tools/build/unit.mk
endif

include tools/build/run.mk
include apps/memcached/native.mk
include libos/fs/jbd2/fuzz.mk
include libos/vfs/fuzz.mk
include libos/fs/ext4/fuzz.mk

##@ Check

.PHONY: test fresh check land-check
test: $(setup) ## set up what is missing and run every test; the last line counts them
	@$(PYTHON3) tools/test

fresh: $(setup) ## build and boot in bare Debian 12 and 13 (root, some minutes; part of the long run)
	$(Q)tools/fresh

# What tests run on this machine: each directory's makefile adds to the list. Made at once, it keeps every processor busy.
.PHONY: test-programs
test-programs: native $(test_programs)

check: $(setup) ## the quick checks of the sources
	$(Q)tools/check/layers
	$(Q)tools/check/columns

land-check: check test-programs ## what must hold before a change lands: checks, unit tests, programs and images that build
	+$(Q)$(MAKE) -s unit
	+$(Q)for image in hello memcached fstest; do $(MAKE) -s IMAGE=$$image || exit 1; done

##@ Other

.PHONY: setup doctor
setup: ## install what is missing on this machine (done by itself where needed)
	$(Q)tools/setup

doctor: ## what is installed, what is missing, how to get it
	@tools/doctor

# What the goals need is set up first; a stamp remembers it, so that later runs ask no one.
$(setup): tools/setup
	$(Q)mkdir -p build
	$(Q)tools/setup $(setup_groups)
	$(Q)touch $@

.PHONY: clean help
clean: ## remove everything that was built (fetched sources stay in the cache)
	$(Q)rm -rf build
	$(Q)find images -mindepth 1 ! -name README.md -delete

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	     /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	     /^## make / { split(substr($$0, 9), t, ": "); printf "  make %-20s %s\n", t[1], t[2] } \
	     /^[a-z][a-zA-Z0-9_. \/-]*:.*## / { split($$1, t, " "); printf "  make %-20s %s\n", t[1], $$2 }' \
	         $(firstword $(MAKEFILE_LIST)) \
	         $(wildcard tools/build/link.mk tools/build/run.mk tools/build/unit.mk apps/*/native.mk apps/*/kiln-fs.mk apps/*/fsck.mk libos/*/fuzz.mk libos/fs/*/fuzz.mk)
