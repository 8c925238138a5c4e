/*
 * Switching contexts: what a C call preserves is stored in one thread and loaded from another.
 *
 * Where traps run and which hart it is belong to the hart unless threads are preempted, so they
 * move along. Floating-point registers are stored and loaded only for threads that run application
 * code, which a thread pointer tells; the rest of Kiln is built without such instructions.
 *
 * A switch on the trap path (CONFIG_PREEMPT) has interrupted code anywhere, so the floating-point
 * registers that a call may destroy are kept on the trap stack as well.
 */
#include <arch/thread.h>
#include "csr.h"

	.text
	.globl	arch_thread_switch
arch_thread_switch:		/* a0: from, a1: to; interrupts off */
#ifdef CONFIG_PREEMPT
	lw	t0, ARCH_THREAD_TRAP_DEPTH(a0)
	bnez	t0, switch_in_trap
switch_plain:
#endif
	sd	ra, ARCH_THREAD_RA(a0)
	sd	sp, ARCH_THREAD_SP(a0)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	sd	s\n, (ARCH_THREAD_S0 + 8 * \n)(a0)
	.endr
	sd	tp, ARCH_THREAD_TP(a0)
	beqz	tp, 1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	fsd	fs\n, (ARCH_THREAD_FS0 + 8 * \n)(a0)
	.endr
	frcsr	t0
	sd	t0, ARCH_THREAD_FCSR(a0)
1:	lw	t0, ARCH_THREAD_HART(a0)
	sw	t0, ARCH_THREAD_HART(a1)
	ld	t1, ARCH_THREAD_SPARE_SP(a0)
	sd	t1, ARCH_THREAD_SPARE_SP(a1)
#ifndef CONFIG_PREEMPT
	ld	t2, ARCH_THREAD_TRAP_SP(a0)
	sd	t2, ARCH_THREAD_TRAP_SP(a1)
#endif
	mv	gp, a1

	.globl	thread_enter
thread_enter:			/* a1 = gp: the thread to go on with */
	ld	ra, ARCH_THREAD_RA(a1)
	ld	sp, ARCH_THREAD_SP(a1)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	ld	s\n, (ARCH_THREAD_S0 + 8 * \n)(a1)
	.endr
	ld	tp, ARCH_THREAD_TP(a1)
	beqz	tp, 2f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	fld	fs\n, (ARCH_THREAD_FS0 + 8 * \n)(a1)
	.endr
	ld	t0, ARCH_THREAD_FCSR(a1)
	fscsr	t0
2:	ret

#ifdef CONFIG_PREEMPT
switch_in_trap:
	addi	sp, sp, -176
	sd	ra, 160(sp)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	fsd	ft\n, (8 * \n)(sp)
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	fsd	fa\n, (96 + 8 * \n)(sp)
	.endr
	call	switch_plain
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	fld	ft\n, (8 * \n)(sp)
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	fld	fa\n, (96 + 8 * \n)(sp)
	.endr
	ld	ra, 160(sp)
	addi	sp, sp, 176
	ret
#endif

/* The first instructions of a thread: s0 its function, s1 the argument (arch_thread_init). */
	.globl	thread_begin
thread_begin:
	mv	a0, s1
	jalr	s0
	.globl	thread_begin_end
thread_begin_end:
	unimp				/* entry functions do not return */
