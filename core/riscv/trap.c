/*
 * What a trap was for.
 *
 * Interrupts go to core by the upcalls of <core/arch.h>. Exceptions are tried in this order: a
 * first touch of anonymous memory, an instruction with a fixup, the handler that upper layers
 * installed (signals), and then it was a bug: panic.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/console.h>
#include <core/vm.h>
#include "csr.h"
#include "early.h"
#include "hart.h"
#include "trap_frame.h"

/* Instructions in [from, to) that may fault, and where to go on then. */
struct fixup {
	uint64_t from, to, go_on;
};

extern const struct fixup __start_fixups[], __stop_fixups[];

static arch_fault_handler_t fault_handler;

void trap_interrupt(unsigned long scause, struct trap_frame *frame);
void trap_exception(struct trap_frame *frame);
NORETURN void trap_too_deep(unsigned long scause, vaddr_t stval, vaddr_t sp, vaddr_t sepc);

void arch_set_fault_handler(arch_fault_handler_t handler)
{
	fault_handler = handler;
}

void trap_interrupt(unsigned long scause, struct trap_frame *frame)
{
	switch (scause & ~(1UL << 63)) {
	case CAUSE_TIMER:
		sched_timer_interrupt();
		break;
	case CAUSE_SOFTWARE:
		csr_clear(sip, SIE_SOFTWARE);
		hart_check_stop();
		sched_ipi();
		break;
	case CAUSE_EXTERNAL:
		irq_external();
		break;
	default:
		panic_at(frame, "an interrupt of unknown cause %lu", scause & ~(1UL << 63));
	}
	sched_interrupt_exit();
}

static bool fix_up(struct trap_frame *frame)
{
	for (const struct fixup *f = __start_fixups; f < __stop_fixups; f++) {
		if (frame->sepc >= f->from && frame->sepc < f->to) {
			frame->sepc = f->go_on;
			return true;
		}
	}
	return false;
}

static bool is_page_fault(unsigned long cause)
{
	return cause == CAUSE_FETCH_PAGE || cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE;
}

static const char *exception_name(unsigned long cause)
{
	static const char *const names[] = {
		"a jump to an odd address", "a jump to where no memory is",
		"an illegal instruction", "a breakpoint", "a misaligned load",
		"a load from where no memory is", "a misaligned store",
		"a store to where no memory is", "an environment call", "an environment call",
		"an exception", "an exception", "a jump to an unmapped page",
		"a load from an unmapped page", "an exception", "a store to an unmapped page"
	};

	return cause < ARRAY_SIZE(names) ? names[cause] : "an exception";
}

static bool is_in(vaddr_t va, const char *start, const char *end)
{
	return va >= (vaddr_t)start && va < (vaddr_t)end;
}

/*
 * What is known about an address that faulted. Boot's stacks lie in the image, the others in vm.c's
 * ranges.
 */
static const char *place_name(vaddr_t va)
{
	if (va < PAGE_SIZE)
		return "a null pointer";
	if (is_in(va, boot_guard_pages, boot_stack))
		return "the guard page below the boot stack";
	if (is_in(va, boot_stack_top, boot_trap_stack))
		return "the guard page below the boot hart's trap stack";
	if (is_in(va, image_start, text_end))
		return "in the image's code";
	if (is_in(va, text_end, rodata_end))
		return "in the image's constants";
	return vm_describe(va);
}

static NORETURN void exception_panic(struct trap_frame *frame)
{
	unsigned long cause = frame->scause;
	const char *place = is_page_fault(cause) ? place_name(frame->stval) : NULL;
	const char *what = exception_name(cause);
	paddr_t pa;

	if (is_page_fault(cause) && arch_translate(frame->stval, &pa, NULL))
		what = cause == CAUSE_STORE_PAGE ? "a store to a read-only page" :
		       cause == CAUSE_FETCH_PAGE ? "a jump to a page without code" : what;
	if (place)
		panic_at(frame, "%s at 0x%lx: %s", what, frame->stval, place);
	panic_at(frame, "%s at 0x%lx", what, frame->stval);
}

/* An exception inside a trap is core's own mistake; nobody above can make anything of it. */
static bool in_trap_already(void)
{
	return ((struct arch_thread *)arch_thread_current())->trap_depth > 1;
}

void trap_exception(struct trap_frame *frame)
{
	unsigned long cause = frame->scause;

	if (is_page_fault(cause) &&
	    vm_fault(frame->stval, cause == CAUSE_STORE_PAGE, cause == CAUSE_FETCH_PAGE))
		return;
	if (fix_up(frame))
		return;
	if (!in_trap_already() && fault_handler && fault_handler(frame, frame->stval))
		return;
	exception_panic(frame);
}

void trap_too_deep(unsigned long scause, vaddr_t stval, vaddr_t sp, vaddr_t sepc)
{
	/* The registers of the code that broke the stack are lost; where it stood is known. */
	struct trap_frame frame = { .scause = scause, .stval = stval };
	const char *place = place_name(stval);

	frame.sepc = sepc;
	frame.x[REG_SP] = sp;
	panic_at(&frame, "the trap stack is broken: %s at 0x%lx: %s", exception_name(scause), stval,
		 place ? place : "nothing known about it");
}
