/*
 * Harts as the machine counts them, and what they do to each other.
 */
#ifndef RISCV_HART_H
#define RISCV_HART_H

#include <core/types.h>

/* Boot: notes a hart's SBI id; the boot hart first. False when the image counts no more harts. */
bool hart_add(unsigned long hartid);

/* Makes every hart forget translations of the range. Any context. */
void hart_flush_tlb(vaddr_t va, size_t len_bytes);

/* Makes every hart fetch instructions as memory holds them now. Any context. */
void hart_flush_code(void);

/* Asks the other harts to stop for ever, for panic; waits a moment for them. */
void hart_stop_others(void);
/* In the interrupt of an IPI: does not return when a panic wants this hart to stop. */
void hart_check_stop(void);

/* Boot: true when stimecmp is used, else the timer goes through SBI. */
bool timer_init(bool has_sstc, uint64_t hz);

#endif
