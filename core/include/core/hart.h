/*
 * Harts: hardware threads of execution, numbered densely from 0 (the boot hart).
 *
 * A part that keeps state per hart has an array [HARTS_MAX] of its own, indexed by hart_id(), which
 * only its own hart writes, with interrupts off, unless a field says otherwise. hart_id() is stable
 * only while interrupts or preemption are off.
 */
#ifndef CORE_HART_H
#define CORE_HART_H

#include <arch/thread.h>
#include <core/arch.h>
#include <core/types.h>

#define HARTS_MAX CONFIG_HARTS_MAX

static inline hart_t hart_id(void)
{
	return ((const struct arch_thread *)arch_thread_current())->hart;
}

hart_t hart_count(void);           /* harts that run, at least 1 */

/*
 * Calls function(arg) on one hart, in interrupt context with interrupts off, and returns when it is
 * done. Threads; may wait for other calls. With CONFIG_HART_CALL.
 */
void hart_call(hart_t hart, void (*function)(void *arg), void *arg);

#endif
