/*
 * The machine contract: everything core asks of the processor and its firmware.
 *
 * core/riscv implements it on OpenSBI; core/host implements the same list on a POSIX host so that
 * the rest of core is tested there. Nothing outside core/riscv names a CSR, an SBI call or a
 * page-table bit. Functions marked [inline] come from <arch/inline.h>.
 *
 * Contexts: "any" includes interrupt handlers; "irqs off" must be called with interrupts disabled.
 */
#ifndef CORE_ARCH_H
#define CORE_ARCH_H

#include <core/types.h>

struct thread;
struct trap_frame;     /* registers at a trap */

typedef unsigned long irqflags_t;

/*
 * <arch/thread.h> defines struct arch_thread, the machine's part of a thread: its saved context,
 * where its traps run, and `hart_t hart`, the hart it runs on. struct thread starts with it (offset
 * 0), so assembly needs no other layout, and a struct thread pointer is a struct arch_thread
 * pointer.
 */

#include <arch/inline.h>
/*
 * [inline] struct thread *arch_thread_current(void);  any. The running thread (gp on RISC-V).
 * [inline] irqflags_t arch_irq_save(void);            any. Disables interrupts, returns the former
 *                                                     state.
 * [inline] void arch_irq_restore(irqflags_t);         any.
 * [inline] void arch_irq_enable(void), arch_irq_disable(void); bool arch_irq_is_enabled(void);
 * [inline] uint64_t arch_ticks(void);                 any. Free-running counter at arch_tick_hz().
 * [inline] uint64_t arch_instructions(void);          any. Instructions this hart has retired, as
 *                                                     far as the machine counts.
 * [inline] void arch_io_fence(void);                  any. Earlier writes to memory come before
 *                                                     later ones to devices.
 * [inline] void arch_device_fence(void);              any. Earlier writes to memory come before
 *                                                     later reads of what devices write.
 * [inline] void arch_relax(void);                     any. A hint inside a spin loop.
 */

/* Interrupts and idling. */
/* irqs off: waits for an interrupt, returns with irqs off and it pending or handled */
void arch_idle(void);

/* Time. */
uint64_t arch_tick_hz(void);
/* irqs off: this hart's timer interrupt; UINT64_MAX disarms */
void arch_timer_set(uint64_t deadline_ticks);

/* Harts. Dense numbers; hart 0 is the boot hart. */
hart_t arch_hart_count(void);
unsigned long arch_hart_id(hart_t hart);  /* the machine's own number, as in the device tree */
/*
 * Starts a hart in the context of `first`, a thread set up by arch_thread_init() (the hart's idle
 * thread). 0, or negative errno when firmware refuses.
 */
int arch_hart_start(hart_t hart, struct thread *first);
void arch_ipi(hart_t hart);        /* any: makes the hart take an interrupt and look for work */

/*
 * Contexts. `entry(arg)` never returns and starts with interrupts off. The switch saves and
 * restores what a C call preserves, and moves `hart` from one to the other. init returns 0 or
 * -ENOMEM.
 */
int arch_thread_init(struct thread *t, void *stack_top, void (*entry)(void *), void *arg,
		     uintptr_t tls);
/* frees what init took (trap stack), after its last switch */
void arch_thread_release(struct thread *t);
/* irqs off; returns when `from` runs again */
void arch_thread_switch(struct thread *from, struct thread *to);

/* Kernel page table. Addresses and lengths in whole pages. */
enum map_prot { MAP_R = 1, MAP_W = 2, MAP_X = 4, MAP_DEVICE = 8 };
int arch_map(vaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot);  /* 0, -ENOMEM, -EEXIST */
/* flushes every hart's TLB */
void arch_unmap(vaddr_t va, size_t len_bytes);
/* prot 0 keeps frames, without access */
int arch_protect(vaddr_t va, size_t len_bytes, unsigned prot);
/* The part of the kernel half that core/mm/vm.c gives out. */
vaddr_t arch_vm_area(size_t *len_bytes);
void arch_flush_here(vaddr_t va);                              /* this hart forgets one page */
/*
 * The first mapped page in [va, end), `end` when there is none; skips what was never mapped
 * quickly.
 */
vaddr_t arch_next_mapped(vaddr_t va, vaddr_t end);
bool arch_translate(vaddr_t va, paddr_t *pa, unsigned *prot);          /* false: not mapped */
/* [inline] void *arch_direct_map(paddr_t pa);              RAM only. */
/* [inline] paddr_t arch_direct_unmap(const void *p); */

/*
 * Copies that survive a bad pointer: bytes NOT copied (0 is success). Thread context. A pointer
 * that faults where nothing may be mapped ends the copy instead of panicking.
 */
size_t arch_copy_faultable(void *dst, const void *src, size_t len_bytes);

/*
 * What upper layers make of a fault that core cannot repair (a signal, say): true when the frame
 * now continues somewhere sensible. Trap context, irqs off; one handler.
 */
typedef bool (*arch_fault_handler_t)(struct trap_frame *frame, vaddr_t addr);
void arch_set_fault_handler(arch_fault_handler_t handler);

/* Console before drivers; polled, any context. -1 from get means nothing is waiting. */
void arch_console_put(const char *bytes, size_t len);
int arch_console_get(void);

/* The end. `status` 0 is a clean power-off; otherwise QEMU's exit code shows it. Never returns. */
NORETURN void arch_poweroff(int status);
NORETURN void arch_reboot(void);

/*
 * Upcalls: what the machine layer calls in the rest of core. Trap context, irqs off.
 */
void sched_timer_interrupt(void);       /* core/time: timers of this hart are due */
void sched_ipi(void);                   /* core/sched: another hart asked for attention */
/* core/sched: last thing before a trap returns; may switch (CONFIG_PREEMPT) */
void sched_interrupt_exit(void);
/* core/sched: where the boot thread ends up, as hart 0's idle thread */
NORETURN void sched_hart_main(void);
/* core/irq: the interrupt controller has something for this hart */
void irq_external(void);

/*
 * The boot thread, static storage of core/sched: the machine layer runs on it (gp) from its first
 * line of C, on hart 0, so its arch part must not be set up again. It runs INIT_EARLY and INIT_CORE
 * with interrupts off, creates the main thread, and becomes hart 0's idle thread by
 * sched_hart_main().
 */
extern struct thread boot_thread;

/*
 * What a trap frame tells without its layout; and making it go on elsewhere, as if called with an
 * argument.
 */
vaddr_t arch_frame_pc(const struct trap_frame *frame);
vaddr_t arch_frame_sp(const struct trap_frame *frame);
unsigned arch_frame_cause(const struct trap_frame *frame); /* the machine's own number */
void arch_frame_redirect(struct trap_frame *frame, vaddr_t pc, vaddr_t sp, uintptr_t arg);
/*
 * Makes the interrupted code call function(arg, saved) on its own stack as soon as the trap
 * returns, and go on with the registers in `saved` (floating point too) when that comes back; it
 * may also jump away for ever. False when the stack has no room. Fault handlers use it to deliver
 * signals.
 */
bool arch_frame_call(struct trap_frame *frame,
		     void (*function)(void *arg, struct trap_frame *saved), void *arg);
/* Prints the registers of a frame, for panic, by `put`. */
void arch_frame_print(const struct trap_frame *frame, void (*print)(const char *fmt, ...));

/* In an interrupt handler: where the interrupted code stood, for a backtrace. */
const struct trap_frame *arch_interrupted_frame(void);

/* What the image was moved by: virtual address minus link address. */
uintptr_t arch_placement(void);
bool arch_is_text(vaddr_t pc);
/* Stops the other harts for ever, for panic. */
void arch_stop_others(void);

/* Boot: reads the machine's description and hands RAM to core/mm. */
void arch_init(void);
/* The device tree, in the direct map, for ever. */
const void *arch_device_tree(size_t *size);
/* The archive that the loader left in RAM, read-only in the direct map, for ever. NULL: none. */
const void *arch_initrd(size_t *size);

/*
 * Return addresses of a stack, innermost first; NULL frame: the caller's own. Returns how many.
 * `pcs` does not lie on that stack. Any context.
 */
size_t arch_backtrace(const struct trap_frame *frame, vaddr_t *pcs, size_t max);

/* Up to `len` bytes of hardware or firmware entropy (device-tree seed, Zkr); returns how many. */
size_t arch_entropy(void *buf, size_t len);

#endif
