/*
 * Uses each instruction set extension that the image was compiled for once, before the code that
 * the compiler made uses them anywhere: a hart that lacks one traps here, where stvec leads to a
 * sentence about it (entry.S), and not somewhere in the middle of the work.
 *
 * The instructions are given by their encoding (RISC-V Bit-Manipulation ISA 1.0, section 2), and
 * nothing else is here that a compiler could express by them.
 */
#include "early.h"

void early_use_extensions(void)
{
	if (IS_ENABLED(CONFIG_RISCV_ZBA))
		__asm__ volatile(".insn r 0x33, 2, 0x10, t0, t0, t0" ::: "t0"); /* sh1add */
	if (IS_ENABLED(CONFIG_RISCV_ZBB))
		__asm__ volatile(".insn i 0x13, 5, t0, t0, 0x6b8" ::: "t0");    /* rev8 */
	if (IS_ENABLED(CONFIG_RISCV_ZBS))
		__asm__ volatile(".insn r 0x33, 1, 0x14, t0, t0, t0" ::: "t0"); /* bset */
}
