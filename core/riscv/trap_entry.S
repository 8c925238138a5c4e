/*
 * Trap entry and exit.
 *
 * The interrupted stack may be an application's, small or used up, so nothing is stored before sp
 * points to the trap stack; two words in the thread hold the registers needed to get there. A trap
 * inside a trap stays where it is. Traps do not nest deeper than TRAP_DEPTH_MAX unless the trap
 * stack itself is broken; then the panic runs on the hart's spare stack.
 *
 * An image with user processes enters with the thread in sscratch (from U-mode) or 0 there (from
 * S-mode, where gp holds it); without them gp is right already.
 */
#include <arch/thread.h>
#include "csr.h"
#include "trap_frame.h"

#define TRAP_DEPTH_MAX 4

	.macro	store_scratch_registers
	.irp	n, 1, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31
	sd	x\n, FRAME_X(\n)(sp)
	.endr
	.endm
	.macro	load_scratch_registers
	.irp	n, 1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31
	ld	x\n, FRAME_X(\n)(sp)
	.endr
	.endm

	.text
	.balign	4
	.globl	trap_entry
trap_entry:
#ifdef CONFIG_USER
	csrrw	gp, sscratch, gp
	bnez	gp, 1f
	csrrw	gp, sscratch, zero
1:
#endif
	sd	sp, ARCH_THREAD_SCRATCH(gp)
	sd	t0, (ARCH_THREAD_SCRATCH + 8)(gp)
	lw	t0, ARCH_THREAD_TRAP_DEPTH(gp)
	bnez	t0, nested
	ld	sp, ARCH_THREAD_TRAP_SP(gp)
on_trap_stack:
	addi	t0, t0, 1
	sw	t0, ARCH_THREAD_TRAP_DEPTH(gp)
	addi	sp, sp, -FRAME_SIZE
	store_scratch_registers
	ld	t0, ARCH_THREAD_SCRATCH(gp)
	sd	t0, FRAME_X(2)(sp)
	ld	t0, (ARCH_THREAD_SCRATCH + 8)(gp)
	sd	t0, FRAME_X(5)(sp)
	csrr	t0, sepc
	csrr	t1, sstatus
	csrr	a0, scause
	sd	t0, FRAME_SEPC(sp)
	sd	t1, FRAME_SSTATUS(sp)
	bgez	a0, exception

	mv	a1, sp
	call	trap_interrupt		/* (scause, frame) */
leave:
	lw	t0, ARCH_THREAD_TRAP_DEPTH(gp)
	addi	t0, t0, -1
	sw	t0, ARCH_THREAD_TRAP_DEPTH(gp)
	ld	t0, FRAME_SEPC(sp)
	ld	t1, FRAME_SSTATUS(sp)
	csrw	sepc, t0
	csrw	sstatus, t1
	load_scratch_registers
	ld	sp, FRAME_X(2)(sp)
	sret

exception:
	csrr	t0, stval
	sd	a0, FRAME_SCAUSE(sp)
	sd	t0, FRAME_STVAL(sp)
	.irp	n, 3, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
	sd	x\n, FRAME_X(\n)(sp)
	.endr
	mv	a0, sp
	call	trap_exception		/* (frame), which it may change */
	ld	tp, FRAME_X(4)(sp)
	.irp	n, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
	ld	x\n, FRAME_X(\n)(sp)
	.endr
	j	leave

nested:
	addi	t0, t0, -TRAP_DEPTH_MAX
	bgez	t0, too_deep
	addi	t0, t0, TRAP_DEPTH_MAX
	j	on_trap_stack

too_deep:
	ld	a2, ARCH_THREAD_SCRATCH(gp)
	ld	sp, ARCH_THREAD_SPARE_SP(gp)
	csrr	a0, scause
	csrr	a1, stval
	csrr	a3, sepc
	call	trap_too_deep		/* (scause, stval, sp, sepc), does not return */

/*
 * arch_frame_call() makes interrupted code continue here: a0 the argument, t0 the function, sp the
 * frame saved there. Afterwards the frame is entered as a trap would return to it, interrupts off
 * while sepc is in use.
 */
	.globl	frame_call
frame_call:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	fsd	f\n, FRAME_CALL_F(\n)(sp)
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	fsd	f\n, FRAME_CALL_F(\n)(sp)
	.endr
	frcsr	t1
	sd	t1, FRAME_CALL_FCSR(sp)
	mv	a1, sp
	jalr	t0
	ld	t1, FRAME_CALL_FCSR(sp)
	fscsr	t1
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	fld	f\n, FRAME_CALL_F(\n)(sp)
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	fld	f\n, FRAME_CALL_F(\n)(sp)
	.endr
	csrci	sstatus, SSTATUS_SIE_BIT
	ld	t0, FRAME_SEPC(sp)
	ld	t1, FRAME_SSTATUS(sp)
	csrw	sepc, t0
	csrw	sstatus, t1
	.irp	n, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
	ld	x\n, FRAME_X(\n)(sp)
	.endr
	load_scratch_registers
	ld	sp, FRAME_X(2)(sp)
	sret

/*
 * arch_copy_faultable(dst, src, len): words while both ends are aligned alike, else bytes. A fault among the words of
 * a line goes on byte by byte from the line's beginning, up to the very byte that cannot be copied; there it goes on
 * at `done`, with a2 the bytes still to copy. Lines are 1 KiB long while there are as many, since a page of a
 * file goes this way, then 32.
 */
	.macro	fixup, from, to, go_on
	.pushsection .fixups, "a"
	.balign	8
	.dword	\from, \to, \go_on
	.popsection
	.endm
	.macro	copy_64, at
	ld	t3, \at+0(a1)
	ld	t4, \at+8(a1)
	ld	t5, \at+16(a1)
	ld	t6, \at+24(a1)
	ld	a3, \at+32(a1)
	ld	a4, \at+40(a1)
	ld	a5, \at+48(a1)
	ld	a6, \at+56(a1)
	sd	t3, \at+0(a0)
	sd	t4, \at+8(a0)
	sd	t5, \at+16(a0)
	sd	t6, \at+24(a0)
	sd	a3, \at+32(a0)
	sd	a4, \at+40(a0)
	sd	a5, \at+48(a0)
	sd	a6, \at+56(a0)
	.endm

	.globl	arch_copy_faultable
arch_copy_faultable:
	xor	t0, a0, a1
	andi	t0, t0, 7
	bnez	t0, bytes
head:	andi	t0, a0, 7
	beqz	t0, lines
	beqz	a2, done
head_byte:
	lbu	t1, 0(a1)
	sb	t1, 0(a0)
head_next:
	addi	a0, a0, 1
	addi	a1, a1, 1
	addi	a2, a2, -1
	j	head
lines:	li	t2, 1024
	bltu	a2, t2, words
line:	.irp	at, 0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960
	copy_64	\at
	.endr
line_next:
	addi	a0, a0, 1024
	addi	a1, a1, 1024
	addi	a2, a2, -1024
	bgeu	a2, t2, line
words:	li	t2, 32
	bltu	a2, t2, tail
short_line:
	ld	t3, 0(a1)
	ld	t4, 8(a1)
	ld	t5, 16(a1)
	ld	t6, 24(a1)
	sd	t3, 0(a0)
	sd	t4, 8(a0)
	sd	t5, 16(a0)
	sd	t6, 24(a0)
short_next:
	addi	a0, a0, 32
	addi	a1, a1, 32
	addi	a2, a2, -32
	bgeu	a2, t2, short_line
tail:	li	t2, 8
	bltu	a2, t2, bytes
word:	ld	t3, 0(a1)
	sd	t3, 0(a0)
word_next:
	addi	a0, a0, 8
	addi	a1, a1, 8
	addi	a2, a2, -8
	bgeu	a2, t2, word
bytes:	beqz	a2, done
byte:	lbu	t1, 0(a1)
	sb	t1, 0(a0)
byte_next:
	addi	a0, a0, 1
	addi	a1, a1, 1
	addi	a2, a2, -1
	j	bytes
done:	mv	a0, a2
	ret
	fixup	line, line_next, bytes
	fixup	short_line, short_next, bytes
	fixup	word, word_next, bytes
	fixup	head_byte, head_next, done
	fixup	byte, byte_next, done

/* probe_stimecmp(value): writes stimecmp; 0, or 1 when the hart or its firmware refuses. */
	.globl	probe_stimecmp
probe_stimecmp:
	mv	a1, a0
	li	a0, 0
1:	csrw	CSR_STIMECMP, a1
2:	ret
3:	li	a0, 1
	ret
	fixup	1b, 2b, 3b
