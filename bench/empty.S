/*
 * The empty payload: what a boot costs before any image has done anything.
 *
 * OpenSBI enters it in supervisor mode. It prints one line through the legacy console call and
 * waits for ever. Benchmarks start it in the same run as an image, with the same QEMU and the same
 * devices, and compare the time to its first byte with the image's time to its first reply.
 */
	.section .text
	.globl _start
_start:
	la	s0, message
1:	lbu	a0, 0(s0)
	beqz	a0, 2f
	li	a7, 1			/* SBI legacy console_putchar */
	ecall
	addi	s0, s0, 1
	j	1b
2:	wfi
	j	2b
message:
	.asciz	"empty payload\n"
