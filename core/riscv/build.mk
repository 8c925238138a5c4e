# The machine: RISC-V harts under OpenSBI.
objs-y += entry.o extensions.o early.o early_rng.o pagetable.o sbi.o setup.o hart.o timer.o context.o switch.o trap_entry.o \
	trap.o frame.o power.o console.o unwind.o idle.o
tests-y += machine_test.o
# Runs before relocation, where a table of jump addresses would not be right yet.
cflags-y += -fno-jump-tables
