/*
 * The first instructions: of the image, and of every further hart.
 *
 * The image begins with the header that RISC-V Linux images carry, so that OpenSBI, U-Boot and QEMU
 * load and start it; its first word is a jump. Firmware enters with a0 the hart id, a1 the physical
 * address of the device tree, paging and interrupts off, at any address it liked to load us.
 *
 * early_boot() builds the page tables with paging off. Then paging goes on with stvec pointing to
 * the virtual address of what follows: the next fetch faults, for the lower half is never mapped,
 * and the fault takes us there. A mode that the hart lacks leaves satp as it was, so the code
 * behind the write runs only when it was refused.
 */
#include <arch/thread.h>
#include "csr.h"

	.equ	SBI_LEGACY_PUTCHAR, 1	/* as in sbi.h, for the one sentence that C may not print */
	.equ	SBI_SRST, 0x53525354
	.equ	SBI_SRST_SHUTDOWN, 0
	.equ	SBI_SRST_FAILURE, 1

	.section .head, "ax"
	.globl	_start
_start:
	.option	push
	.option	norvc
	j	entry
	nop
	.option	pop
	.dword	0x200000		/* text_offset: from the beginning of RAM, multiple of 2 MiB */
	.dword	image_end - image_start	/* image_size */
	.dword	0			/* flags: little-endian */
	.word	2			/* version 0.2 of the header */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"		/* magic */
	.ascii	"RSC\x05"		/* magic2 */
	.word	0

entry:
	csrw	sie, zero
	csrw	sscratch, zero
	la	t0, boot_claimed
	li	t1, 1
	amoswap.w t1, t1, (t0)
	bnez	t1, sent_astray
	la	t0, early_trap
	csrw	stvec, t0
	la	t0, bss_start
	la	t1, bss_end
1:	sd	zero, 0(t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b
	mv	s1, a0
	mv	s2, a1
	la	sp, boot_stack_top
	la	t1, extension_missing
	csrrw	s0, stvec, t1
	call	early_use_extensions
	csrw	stvec, s0
	mv	a0, s1
	mv	a1, s2
	call	early_boot		/* a0: virtual minus physical address of the image, a1: satp */
	mv	s0, a0

2:	la	t0, virtual
	add	t0, t0, s0
	csrw	stvec, t0
	sfence.vma
	csrw	satp, a1
	call	early_mode_refused	/* a0: satp of the next smaller mode */
	mv	a1, a0
	j	2b

	.balign	4
virtual:
	la	t0, trap_entry
	csrw	stvec, t0
	la	sp, boot_stack_top
	la	gp, boot_thread
	mv	tp, zero
	la	t0, boot_trap_stack_top
	sd	t0, ARCH_THREAD_TRAP_SP(gp)
	la	t0, boot_spare_stack_top
	sd	t0, ARCH_THREAD_SPARE_SP(gp)
	call	hart_registers_init
	tail	kernel_main

/* The hart lacks an extension that all of the C code may use, so this is the last of the image that it runs. */
	.balign	4
extension_missing:
	la	s0, extension_sentence
1:	lbu	a0, 0(s0)
	beqz	a0, 2f
	li	a7, SBI_LEGACY_PUTCHAR
	ecall
	addi	s0, s0, 1
	j	1b
2:	li	a7, SBI_SRST
	li	a6, 0
	li	a0, SBI_SRST_SHUTDOWN
	li	a1, SBI_SRST_FAILURE
	ecall
3:	wfi
	j	3b

	.section .rodata.extension_sentence, "a"
extension_sentence:
	.asciz	"Kiln cannot start: this processor lacks an instruction set extension (Zba, Zbb or Zbs) that the image was built for; choose a portable build in 'make menuconfig', or another processor.\r\n"
	.section .head, "ax"

	.balign	4
early_trap:
	la	sp, boot_stack_top
	csrr	a0, scause
	csrr	a1, sepc
	csrr	a2, stval
	tail	early_fault

/*
 * A further hart at the image's beginning instead of at hart_entry. OpenSBI 1.1 marks a hart as
 * starting before it stores where, so a hart that looks in between goes where the first one went. What
 * it was to run stands in hart_starts (hart.c) since before firmware was asked. A hart that nobody
 * started, by firmware without HSM, waits here for ever.
 */
sent_astray:
	la	t0, hart_starts
	li	t2, CONFIG_HARTS_MAX
1:	ld	a1, 8(t0)
	beqz	a1, 2f
	ld	t3, 0(t0)
	bne	t3, a0, 2f
	fence	r, r
	tail	hart_entry
2:	addi	t0, t0, 16
	addi	t2, t2, -1
	bnez	t2, 1b
	j	sent_astray

	.globl	entry_end
entry_end:

	.data
	.balign	4
boot_claimed:			/* not in .bss, which the first hart clears */
	.word	0

/*
 * Where firmware starts a further hart: a0 the hart id, a1 what arch_hart_start() passed, the
 * virtual address of the first thread. hart_satp and hart_virtual are set by then.
 */
	.text
	.balign	4
	.globl	hart_entry
hart_entry:
	csrw	sie, zero
	csrw	sscratch, zero
	ld	t0, hart_virtual
	csrw	stvec, t0
	ld	t1, hart_satp
	sfence.vma
	csrw	satp, t1
1:	wfi				/* not reached: the boot hart runs in the same mode */
	j	1b

	.balign	4
	.globl	hart_entry_virtual
hart_entry_virtual:
	la	t0, trap_entry
	csrw	stvec, t0
	mv	gp, a1
	ld	sp, ARCH_THREAD_SP(gp)
	call	hart_registers_init
	mv	a1, gp
	tail	thread_enter
