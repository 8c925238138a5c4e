/*
 * Faults as signals: SIGSEGV, SIGBUS, SIGILL, SIGTRAP to a program that has a handler for them.
 *
 * In trap context the thread is made to call signal_fault_run() on its own stack, as ordinary code.
 * The handler may return (the instruction is tried again) or leave by siglongjmp(); what it changes
 * in the context it is given is not looked at. A fault while its signal is blocked, or on the way
 * to the handler (the stack is gone), is left to core, which panics with its name; so is a fault of
 * a program without a handler, since a backtrace tells more than a status.
 */
#include <core/arch.h>
#include <core/init.h>

#include "signal.h"

/* Exception causes, RISC-V Privileged Architecture, scause. */
enum {
	CAUSE_FETCH_MISALIGNED,
	CAUSE_ILLEGAL = 2,
	CAUSE_BREAKPOINT,
	CAUSE_LOAD_MISALIGNED,
	CAUSE_STORE_MISALIGNED = 6
};

#define SEGV_MAPERR 1

static int fault_signal(unsigned cause)
{
	switch (cause) {
	case CAUSE_ILLEGAL:
		return SIGILL;
	case CAUSE_BREAKPOINT:
		return SIGTRAP;
	case CAUSE_FETCH_MISALIGNED:
	case CAUSE_LOAD_MISALIGNED:
	case CAUSE_STORE_MISALIGNED:
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

/* Is there a handler that may run now? */
static bool fault_has_handler(const struct posix_thread *p, int signo)
{
	return p && !p->in_fault && process.actions[signo - 1].handler > 1 &&
	       !(p->mask & SIGNAL_BIT(signo));
}

static void signal_fault_run(void *arg, struct trap_frame *saved)
{
	struct posix_thread *p = arg;
	struct abi_siginfo info = { .signo = p->fault_signal, .code = SEGV_MAPERR };

	info.fault.address = p->fault_address;
	p->in_fault = false;
	signal_run_fault_handler(&info, arch_frame_pc(saved));
}

/* Trap context. */
static bool fault_to_signal(struct trap_frame *frame, vaddr_t address)
{
	struct posix_thread *p = posix_thread_current();
	int signo = fault_signal(arch_frame_cause(frame));

	if (!fault_has_handler(p, signo))
		return false;
	p->in_fault = true;
	p->fault_signal = signo;
	p->fault_address = address;
	if (arch_frame_call(frame, signal_fault_run, p))
		return true;
	p->in_fault = false;
	return false;
}

static int fault_init(void)
{
	arch_set_fault_handler(fault_to_signal);
	return 0;
}

INIT(INIT_APP, fault_init);
