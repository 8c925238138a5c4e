/*
 * Harts: hardware threads of execution, numbered densely from 0 (the boot hart).
 *
 * struct hart is per-hart state that only its own hart writes, with interrupts off, unless a field
 * says otherwise. hart_current() is stable only while interrupts or preemption are off.
 */
#ifndef CORE_HART_H
#define CORE_HART_H

#include <core/arch.h>
#include <core/types.h>

struct hart;

#define HARTS_MAX CONFIG_HARTS_MAX

struct hart *hart_current(void);

static inline hart_t hart_id(void)
{
	return ((const struct arch_thread *)arch_thread_current())->hart;
}

hart_t hart_count(void);           /* harts that run, at least 1 */

#endif
