# Running an image: make run, make stop, make debug; and make bench.

##@ Run

PYTHON3 ?= /usr/bin/python3

.PHONY: run debug stop trace profile bench bench-peer bench-baseline soak
# The variables of one run. MAKEFLAGS keep no copy: each comes from the command line as it is.
run_knobs = 'PORT=$(PORT)' 'MEM=$(MEM)' 'HARTS=$(HARTS)' 'NET=$(NET)' 'QEMU=$(QEMU)' 'FORM=$(FORM)' \
	'DISK=$(DISK)' 'FILES=$(FILES)' 'MONITOR=$(MONITOR)' \
	"ARGS=$$ARGS" "APPEND=$$APPEND"

run: export ARGS := $(value ARGS)
run: export APPEND := $(value APPEND)
run: image ## boot the image in QEMU [PORT= MEM= HARTS= ARGS= APPEND= NET=user|tap|none QEMU= MONITOR=port DISK=file FILES=folder]
	@$(PYTHON3) tools/run/run.py $(IMAGE) $(run_knobs)

debug: export ARGS := $(value ARGS)
debug: export APPEND := $(value APPEND)
debug: export GDBARGS := $(value GDBARGS)
debug: image ## boot the image and attach gdb to it, with kiln-threads, kiln-harts, kiln-memory
	@$(PYTHON3) tools/run/debug.py $(IMAGE) $(run_knobs) "GDBARGS=$$GDBARGS"

stop: ## stop the running image cleanly through its kiln.ctl door
	@$(PYTHON3) tools/run/stop.py

trace: ## fetch a trace from the running image, for Perfetto's viewer [MS= OUT=]
	@$(PYTHON3) tools/run/trace_image.py '$(named_image)' 'MS=$(MS)' 'OUT=$(OUT)'

profile: ## sample the running image and draw a flame graph [SECONDS= HZ= OUT=]
	@$(PYTHON3) tools/run/profile_image.py '$(named_image)' 'SECONDS=$(SECONDS)' 'HZ=$(HZ)' 'OUT=$(OUT)'

# Tools that look into a running image take the one that runs; IMAGE= of the command line chooses among several.
named_image = $(if $(filter command line environment,$(origin IMAGE)),$(IMAGE))

# Both goals are one run with one end, so that a step that fails in the first does not leave out the second.
both_benches := $(if $(filter bench,$(goals)),$(filter bench-peer,$(goals)))

bench: $(setup) ## measure memcached and hello; results in bench/results
	+@$(PYTHON3) bench/bench.py $(if $(both_benches),--all)

bench-peer: $(setup) | $(filter bench,$(goals)) ## measure memcached and file systems by turns with a Linux guest (root, for a tap)
	+@$(if $(both_benches),:,$(PYTHON3) bench/bench.py --peer)

bench-baseline: $(setup) ## record the instruction figures that make test holds later ones against
	+@$(PYTHON3) bench/gate.py record

soak: ## the system tests that take minutes (malformed frames by the million, long churn)
	+@$(PYTHON3) -m pytest -q --soak -m soak tests/qemu
