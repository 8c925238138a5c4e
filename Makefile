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

TOP      := $(CURDIR)
current  := $(shell cat build/current 2>/dev/null)
ifeq ($(filter %_defconfig,$(MAKECMDGOALS)),)
IMAGE    ?= $(or $(strip $(current)),memcached)
else
IMAGE    := $(patsubst %_defconfig,%,$(firstword $(filter %_defconfig,$(MAKECMDGOALS))))
endif
O        := build/$(IMAGE)
KILN_CACHE ?= $(HOME)/.cache/kiln
export KILN_CACHE

.PHONY: FORCE
FORCE:

##@ Configure

.PHONY: menuconfig nconfig oldconfig savedefconfig
## make <image>_defconfig: choose the image and set it to configs/<image>_defconfig
ifneq ($(filter %_defconfig,$(MAKECMDGOALS)),)
.PHONY: $(IMAGE)_defconfig
$(IMAGE)_defconfig: build/.setup
	$(Q)rm -f $(O)/.config && tools/build/configure $(IMAGE)
	$(Q)echo $(IMAGE) > build/current
	@echo "$(IMAGE) is now the current image."
endif

# Goals that read no configuration: nothing is built, fetched or set up for them.
unconfigured := help clean distclean doctor setup unit native land-check stop bench soak %_defconfig
goals        := $(or $(MAKECMDGOALS),image)
ifneq ($(filter-out $(unconfigured),$(goals)),)
include tools/build/image.mk
endif
ifneq ($(filter unit,$(goals)),)
include tools/build/unit.mk
endif

include tools/build/run.mk
include apps/memcached/native.mk

##@ Check

.PHONY: land-check
land-check: ## what must hold before a change lands: unit tests and the two main images
	+$(Q)test ! -e core/host/build.mk || $(MAKE) -s unit
	+$(Q)set -e; for i in hello memcached; do \
		test ! -e core/riscv/build.mk || test ! -e apps/$$i/build.mk || $(MAKE) -s IMAGE=$$i objects; \
	done

##@ Other

.PHONY: setup
setup build/.setup: $(wildcard tools/setup) ## install what is missing on this machine
	$(Q)mkdir -p build
	$(Q)test ! -x tools/setup || tools/setup
	$(Q)touch build/.setup

.PHONY: clean help
clean: ## remove everything that was built (fetched sources stay in the cache)
	$(Q)rm -rf build
	$(Q)find images -mindepth 1 ! -name README.md -delete

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	     /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	     /^## make / { split(substr($$0, 9), t, ": "); printf "  make %-20s %s\n", t[1], t[2] } \
	     /^[a-z][a-zA-Z_. \/-]*:.*## / { split($$1, t, " "); printf "  make %-20s %s\n", t[1], $$2 }' \
	         $(firstword $(MAKEFILE_LIST)) \
	         $(wildcard tools/build/image.mk tools/build/run.mk tools/build/unit.mk apps/*/native.mk)
