/*
 * Registers at a trap, as trap.S stores them. Of an interrupt only those that a C call may destroy,
 * sp, sepc and sstatus are stored; of an exception all, since it may have to be explained.
 */
#ifndef RISCV_TRAP_FRAME_H
#define RISCV_TRAP_FRAME_H

#define FRAME_X(n)    (8 * (n))
#define FRAME_SEPC    0
#define FRAME_SSTATUS 256
#define FRAME_SCAUSE  264
#define FRAME_STVAL   272
#define FRAME_SIZE    288

/* What arch_frame_call() puts on the interrupted stack: a frame, f0 to f31, fcsr. */
#define FRAME_CALL_F(n)  (FRAME_SIZE + 8 * (n))
#define FRAME_CALL_FCSR  (FRAME_SIZE + 256)
#define FRAME_CALL_SIZE  (FRAME_SIZE + 272)

#ifndef __ASSEMBLER__
#include <core/types.h>

struct trap_frame {
	union {
		uint64_t x[32];
		uint64_t sepc; /* in the place of x0 */
	};
	uint64_t sstatus, scause, stval;
	uint64_t spare;
};

_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "trap.S stores another frame");
_Static_assert(offsetof(struct trap_frame, stval) == FRAME_STVAL, "trap.S stores another frame");

enum { REG_RA = 1, REG_SP = 2, REG_GP = 3, REG_TP = 4, REG_T0 = 5, REG_S0 = 8, REG_A0 = 10 };
#endif

#endif
