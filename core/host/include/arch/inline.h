/*
 * The inline part of the machine contract on the host; <core/arch.h> says what each function
 * promises.
 *
 * "Interrupts" are delivered where they become enabled, so a run depends on nothing but its code
 * and, with several harts, on how the host schedules them.
 */
#ifndef ARCH_INLINE_H
#define ARCH_INLINE_H

#include <arch/thread.h>
#include <core/types.h>

struct thread;

extern __thread struct thread *host_current;
extern __thread bool host_irq_on; /* of the hart this thread has */
extern uint8_t *host_ram;

#define HOST_RAM_START 0x80000000ull
#define HOST_RAM_BYTES MIB(512)

void host_deliver(void); /* takes the interrupts that wait for this hart */
uint64_t arch_ticks(void);

static inline struct thread *arch_thread_current(void)
{
	return host_current;
}

static inline unsigned long arch_irq_save(void)
{
	unsigned long flags = host_irq_on;

	host_irq_on = false;
	return flags;
}

static inline void arch_irq_enable(void)
{
	host_irq_on = true;
	host_deliver();
}

static inline void arch_irq_disable(void)
{
	host_irq_on = false;
}

static inline void arch_irq_restore(unsigned long flags)
{
	if (flags)
		arch_irq_enable();
}

static inline bool arch_irq_is_enabled(void)
{
	return host_irq_on;
}

static inline uint64_t arch_instructions(void)
{
	return arch_ticks();
}

static inline void arch_io_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_device_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void arch_relax(void);

static inline void *arch_direct_map(paddr_t pa)
{
	return host_ram + (pa - HOST_RAM_START);
}

static inline paddr_t arch_direct_unmap(const void *p)
{
	return (paddr_t)((const uint8_t *)p - host_ram) + HOST_RAM_START;
}

#endif
