/*
 * Trap frames, for those who may not know their layout.
 */
#include <core/arch.h>
#include "trap_frame.h"

vaddr_t arch_frame_pc(const struct trap_frame *frame)
{
	return frame->sepc;
}

vaddr_t arch_frame_sp(const struct trap_frame *frame)
{
	return frame->x[REG_SP];
}

unsigned arch_frame_cause(const struct trap_frame *frame)
{
	return (unsigned)frame->scause;
}

void arch_frame_redirect(struct trap_frame *frame, vaddr_t pc, vaddr_t sp, uintptr_t arg)
{
	frame->sepc = pc;
	frame->x[REG_SP] = ALIGN_DOWN(sp, 16UL);
	frame->x[REG_A0] = arg;
}

void arch_frame_print(const struct trap_frame *frame, void (*print)(const char *fmt, ...))
{
	static const char names[32][4] = {
		"", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",
		"a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5",
		"s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"
	};

	print("  pc  %016lx  status %lx  cause %lu  value %lx\n", frame->sepc, frame->sstatus,
	      frame->scause, frame->stval);
	for (unsigned i = 1; i < 32; i++)
		print("  %-3s %016lx%s", names[i], frame->x[i], i % 4 == 0 || i == 31 ? "\n" : "");
}
