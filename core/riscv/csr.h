/*
 * Control and status registers of supervisor mode (RISC-V Privileged Architecture, chapter 4), for
 * C and assembler.
 */
#ifndef RISCV_CSR_H
#define RISCV_CSR_H

#define SSTATUS_SIE_BIT 0x2
#define SSTATUS_SPIE    0x20
#define SSTATUS_SPP     0x100
#define SSTATUS_FS      0x6000 /* dirty: floating point is on in every thread */
#define SSTATUS_SUM     0x40000

#define SIE_SOFTWARE (1 << 1)
#define SIE_TIMER    (1 << 5)
#define SIE_EXTERNAL (1 << 9)

#define CAUSE_SOFTWARE 1
#define CAUSE_TIMER    5
#define CAUSE_EXTERNAL 9

#define CAUSE_BREAKPOINT  3
#define CAUSE_FETCH_PAGE  12
#define CAUSE_LOAD_PAGE   13
#define CAUSE_STORE_PAGE  15

#define CSR_STIMECMP 0x14d /* Sstc */

#define SATP_MODE_SV39  8UL
#define SATP_MODE_SHIFT 60

#ifndef __ASSEMBLER__
#define csr_read(name)                                                    \
	({                                                                \
		unsigned long value_;                                     \
		__asm__ volatile("csrr %0, " #name : "=r"(value_) : : "memory"); \
		value_;                                                   \
	})
#define csr_write(name, value) \
	__asm__ volatile("csrw " #name ", %0" : : "rK"((unsigned long)(value)) : "memory")
#define csr_set(name, bits) \
	__asm__ volatile("csrs " #name ", %0" : : "rK"((unsigned long)(bits)) : "memory")
#define csr_clear(name, bits) \
	__asm__ volatile("csrc " #name ", %0" : : "rK"((unsigned long)(bits)) : "memory")
#endif

#endif
