/*
 * Calls on other harts, for the rare things that only a hart itself can do: read its counters, arm
 * its timer.
 *
 * One call at a time, under a mutex. The caller publishes it and interrupts the hart; the hart
 * makes it in its interrupt handler and says so; the caller, who may sit on any hart, gives way
 * until then. A hart keeps interrupts off for microseconds, so the wait is short and bounded.
 */
#include <core/atomic.h>
#include <core/hart.h>
#include <core/sync.h>

#include "hart_call.h"

static struct mutex mutex = MUTEX_INIT(mutex);
static struct {
	void (*function)(void *arg);  /* [mutex] until wanted is set, then the called hart's */
	void *arg;
} call;
/* atomic: hart + 1, 0 when the call is done or there is none */
static uint32_t wanted;

/* Interrupt context of the called hart. Interrupts for other reasons come here, too. */
void hart_call_interrupt(void)
{
	if (__atomic_load_n(&wanted, __ATOMIC_ACQUIRE) != hart_id() + 1)
		return;
	call.function(call.arg);
	store_release(&wanted, 0u);
}

static bool try_here(hart_t hart, void (*function)(void *arg), void *arg)
{
	irqflags_t flags = arch_irq_save();
	bool is_here = hart_id() == hart;

	if (is_here)
		function(arg);
	arch_irq_restore(flags);
	return is_here;
}

void hart_call(hart_t hart, void (*function)(void *arg), void *arg)
{
	if (try_here(hart, function, arg))
		return;
	mutex_lock(&mutex);
	call.function = function;
	call.arg = arg;
	__atomic_store_n(&wanted, hart + 1, __ATOMIC_SEQ_CST);
	arch_ipi(hart);
	/*
	 * On that very hart, if the scheduler has moved us there: its interrupt comes here as well.
	 */
	while (__atomic_load_n(&wanted, __ATOMIC_ACQUIRE))
		thread_yield();
	mutex_unlock(&mutex);
}
