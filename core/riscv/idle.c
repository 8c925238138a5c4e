/*
 * Waiting for an interrupt. wfi returns when one is pending even while they are disabled, so there
 * is no moment between looking for work and sleeping in which a wake-up is lost; the caller takes
 * the interrupt when it enables them.
 */
#include <core/arch.h>
#include "hart.h"

void arch_idle(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

void arch_stop_others(void)
{
	hart_stop_others();
}
