/*
 * The machine's part of a thread on RISC-V: the context a switch saves, and where its traps run.
 *
 * gp holds the address of the running thread's struct arch_thread, so the assembler reaches every
 * field with one load; the offsets below are the layout, and the assertions after the structure
 * keep the two together. Included by assembler too.
 */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

#define ARCH_THREAD_RA         0
#define ARCH_THREAD_SP         8
#define ARCH_THREAD_S0         16
#define ARCH_THREAD_FS0        112
#define ARCH_THREAD_FCSR       208
#define ARCH_THREAD_TP         216
#define ARCH_THREAD_TRAP_SP    224
#define ARCH_THREAD_TRAP_DEPTH 232
#define ARCH_THREAD_HART       236
#define ARCH_THREAD_SCRATCH    240
#define ARCH_THREAD_SPARE_SP   256

#ifndef __ASSEMBLER__
#include <core/types.h>

struct arch_thread {
	uint64_t ra, sp;
	uint64_t s[12];
	/* saved only while tp is not 0: kernel threads use no floating point */
	uint64_t fs[12];
	uint64_t fcsr;
	uint64_t tp;          /* the application's thread pointer; 0 in kernel threads */
	uint64_t trap_sp;     /* top of the stack a trap moves to */
	uint32_t trap_depth;  /* 0: not in a trap; more: running on the trap stack already */
	hart_t   hart;        /* the hart it runs on, or ran on last */
	uint64_t scratch[2];  /* sp and t0 between trap entry and the frame */
	uint64_t spare_sp;    /* the hart's stack for the panic of a trap stack that overflowed */
	void    *trap_stack;  /* CONFIG_PREEMPT: the thread's own, else NULL */
};

#define ARCH_THREAD_AT(field, offset) \
	_Static_assert(offsetof(struct arch_thread, field) == (offset), #field " moved")
ARCH_THREAD_AT(ra, ARCH_THREAD_RA);
ARCH_THREAD_AT(sp, ARCH_THREAD_SP);
ARCH_THREAD_AT(s, ARCH_THREAD_S0);
ARCH_THREAD_AT(fs, ARCH_THREAD_FS0);
ARCH_THREAD_AT(fcsr, ARCH_THREAD_FCSR);
ARCH_THREAD_AT(tp, ARCH_THREAD_TP);
ARCH_THREAD_AT(trap_sp, ARCH_THREAD_TRAP_SP);
ARCH_THREAD_AT(trap_depth, ARCH_THREAD_TRAP_DEPTH);
ARCH_THREAD_AT(hart, ARCH_THREAD_HART);
ARCH_THREAD_AT(scratch, ARCH_THREAD_SCRATCH);
ARCH_THREAD_AT(spare_sp, ARCH_THREAD_SPARE_SP);
#endif

#endif
