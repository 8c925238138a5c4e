/*
 * Trap frames, for those who may not know their layout.
 */
#include <core/arch.h>
#include "trap_frame.h"

void frame_call(void);

vaddr_t arch_frame_pc(const struct trap_frame *frame)
{
	return frame->sepc;
}

/*
 * The frame of the first trap, which interrupted code that was no trap itself, lies at the top of
 * the trap stack.
 */
const struct trap_frame *arch_interrupted_frame(void)
{
	const struct arch_thread *t = (const struct arch_thread *)arch_thread_current();

	return (const struct trap_frame *)(t->trap_sp - sizeof(struct trap_frame));
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

bool arch_frame_call(struct trap_frame *frame,
		     void (*function)(void *arg, struct trap_frame *saved), void *arg)
{
	uint64_t sp = ALIGN_DOWN(frame->x[REG_SP] - FRAME_CALL_SIZE, 16UL);

	/* The interrupted stack is not ours to trust: it may be used up, or sp may be anything. */
	if (arch_copy_faultable((void *)sp, frame, sizeof(*frame)) ||
	    arch_copy_faultable((void *)(sp + FRAME_CALL_SIZE - 8), &sp, 8))
		return false;
	frame->x[REG_SP] = sp;
	frame->x[REG_T0] = (uint64_t)(uintptr_t)function;
	frame->x[REG_A0] = (uint64_t)(uintptr_t)arg;
	frame->sepc = (uint64_t)(uintptr_t)frame_call;
	return true;
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
