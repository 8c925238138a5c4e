/*
 * Panic: says what is wrong and where, stops the machine, and ends as the image is configured.
 *
 * The first hart to come here stops the others; a second panic on the same hart (something the
 * report itself touches is broken) goes straight to the end. Output goes past every lock.
 *
 * A line of the backtrace holds the address that the ELF file knows (the placement taken off), so a
 * tool beside the ELF can add file and line; the address the code ran at differs by the placement
 * that the report names.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/fmt.h>
#include <core/symbols.h>
#include <core/thread.h>
#include "console.h"

#define BACKTRACE_MAX 32

static hart_t panicking_hart = (hart_t)-1; /* atomic: the hart whose panic is being told */

static void put(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	console_put_raw(bytes, len);
}

static void print(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_emit(put, NULL, fmt, args);
	va_end(args);
}

static NORETURN void end(void)
{
	if (IS_ENABLED(CONFIG_PANIC_REBOOT))
		arch_reboot();
	if (IS_ENABLED(CONFIG_PANIC_HALT)) {
		for (;;)
			arch_idle();
	}
	arch_poweroff(CONFIG_PANIC_STATUS);
}

/* True for the first to come; a hart that panics within its own panic ends at once. */
static void enter(void)
{
	hart_t me = ((struct arch_thread *)arch_thread_current())->hart, nobody = (hart_t)-1;

	arch_irq_disable();
	if (__atomic_compare_exchange_n(&panicking_hart, &nobody, me, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST)) {
		arch_stop_others();
		return;
	}
	if (nobody == me) {
		print("\npanic: once more, while telling of the first\n");
		end();
	}
	for (;;) /* the other hart's panic ends the machine */
		arch_relax();
}

static void print_backtrace(const struct trap_frame *frame)
{
	static vaddr_t pcs[BACKTRACE_MAX]; /* not on the stack that is being read */
	size_t n = arch_backtrace(frame, pcs, BACKTRACE_MAX);
	uintptr_t moved = arch_placement();

	print("backtrace (link addresses; the image is moved by 0x%lx):\n", moved);
	for (size_t i = 0; i < n; i++) {
		/*
		 * A return address may lie behind its function's end; the call it follows does not.
		 */
		vaddr_t pc = i == 0 && frame ? pcs[i] : pcs[i] - 1;
		size_t offset;
		const char *name = symbol_find(pc, &offset);

		if (name)
			print("  #%-2zu 0x%016lx %s+0x%zx\n", i, pcs[i] - moved, name,
			      offset + (pcs[i] - pc));
		else
			print("  #%-2zu 0x%016lx\n", i, pcs[i] - moved);
	}
}

static NORETURN void report(const struct trap_frame *frame, const char *fmt, va_list args)
{
	struct thread *me = arch_thread_current();

	enter();
	print("\npanic: ");
	fmt_emit(put, NULL, fmt, args);
	print("\nhart %u, thread %s\n", ((struct arch_thread *)me)->hart, thread_name(me));
	if (frame)
		arch_frame_print(frame, print);
	print_backtrace(frame);
	print("end of panic\n");
	end();
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(NULL, fmt, args);
}

void panic_at(const struct trap_frame *frame, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(frame, fmt, args);
}

void assert_failed(const char *text, const char *file, int line)
{
	panic("assertion failed: %s (%s:%d)", text, file, line);
}

__attribute__((used)) NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	panic("a function wrote behind its local variables (stack guard changed)");
}
