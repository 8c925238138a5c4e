/*
 * The inline part of the machine contract on RISC-V; <core/arch.h> says what each function
 * promises.
 */
#ifndef ARCH_INLINE_H
#define ARCH_INLINE_H

#include <arch/thread.h>
#include <core/types.h>

#define SSTATUS_SIE 0x2UL

struct thread;

/* Not volatile: a function runs in one thread from beginning to end, whatever it calls. */
static inline struct thread *arch_thread_current(void)
{
	struct thread *current;

	__asm__("mv %0, gp" : "=r"(current));
	return current;
}

static inline unsigned long arch_irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("csrrci %0, sstatus, %1" : "=r"(flags) : "i"(SSTATUS_SIE) : "memory");
	return flags & SSTATUS_SIE;
}

static inline void arch_irq_enable(void)
{
	__asm__ volatile("csrsi sstatus, %0" : : "i"(SSTATUS_SIE) : "memory");
}

static inline void arch_irq_disable(void)
{
	__asm__ volatile("csrci sstatus, %0" : : "i"(SSTATUS_SIE) : "memory");
}

static inline void arch_irq_restore(unsigned long flags)
{
	if (flags)
		arch_irq_enable();
	else
		__asm__ volatile("" : : : "memory");
}

static inline bool arch_irq_is_enabled(void)
{
	unsigned long sstatus;

	__asm__ volatile("csrr %0, sstatus" : "=r"(sstatus));
	return sstatus & SSTATUS_SIE;
}

static inline uint64_t arch_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

static inline uint64_t arch_instructions(void)
{
	uint64_t count;

	__asm__ volatile("rdinstret %0" : "=r"(count));
	return count;
}

static inline void arch_io_fence(void)
{
	__asm__ volatile("fence w, o" : : : "memory");
}

/*
 * QEMU 7.2 leaves fences out where a machine has one hart, although its devices run in threads of
 * their own, and then the processor below may read before it has written. Taking the software
 * interrupt's bit away, and giving it back where it was set, makes QEMU take a lock, which orders
 * as a fence should; elsewhere it costs a few cycles.
 */
static inline void arch_device_fence(void)
{
	unsigned long pending;

	__asm__ volatile("fence rw, rw\n\tcsrrc %0, sip, %1" : "=r"(pending) : "r"(2ul) : "memory");
	if (__builtin_expect(pending & 2, 0))
		__asm__ volatile("csrs sip, %0" : : "r"(2ul) : "memory");
}

static inline void arch_relax(void)
{
	__asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" : : : "memory"); /* Zihintpause: pause */
}

/* Virtual minus physical address of the direct map of RAM; one number for the life of the image. */
extern uintptr_t arch_direct_offset;

static inline void *arch_direct_map(paddr_t pa)
{
	return (void *)(pa + arch_direct_offset);
}

static inline paddr_t arch_direct_unmap(const void *p)
{
	return (uintptr_t)p - arch_direct_offset;
}

#endif
