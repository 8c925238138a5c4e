/*
 * Timers: a heap per hart, ordered by deadline, and the hart's one hardware timer set to its top.
 *
 * Setting the hardware may be a firmware call of hundreds of instructions, so it is spared: arming
 * a timer sets it only when that timer becomes the earliest thing it is set for, and cancelling
 * leaves it as it is. The price is at most one interrupt that finds nothing due, after which the
 * hardware is set to what the heap says, or disarmed.
 *
 * A timer may be cancelled or moved from any hart. `hart` says whose lock guards it; it changes
 * only under that lock or while the timer is in no heap. Calls that arm one and the same timer are
 * the owner's to serialise. ktimer_cancel() waits for a fire() that runs on another hart, so its
 * caller must hold no lock that fire() takes.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/sync.h>
#include <core/time.h>
#include <core/trace.h>
#include "clock.h"

COUNTER(timer_interrupts, "timer interrupts");
COUNTER(timer_fires, "timers fired");

struct timers {
	struct spinlock lock;
	struct heap heap;          /* [lock] */
	/* [lock] how many are in the heap; read without it by ktimer_armed() */
	unsigned armed;
	/* [lock] what the hardware is set for; DEADLINE_NEVER: disarmed */
	uint64_t set_for_ns;
	struct ktimer *firing;     /* [lock], read without it by ktimer_cancel() */
	bool ready;                /* [own hart] */
} CACHE_ALIGNED;

static struct timers timers[HARTS_MAX];

static bool is_earlier(const struct heap_node *a, const struct heap_node *b)
{
	return heap_entry(a, struct ktimer, node)->deadline_ns <
	       heap_entry(b, struct ktimer, node)->deadline_ns;
}

/* This hart's timers, interrupts off. Made on first use, so that no hart needs a hook for it. */
static struct timers *timers_here(void)
{
	struct timers *here = &timers[HARTS_MAX > 1 ? hart_id() : 0];

	if (unlikely(!here->ready)) {
		heap_init(&here->heap, is_earlier);
		here->set_for_ns = DEADLINE_NEVER;
		here->ready = true;
	}
	return here;
}

static struct timers *lock_timers_of(const struct ktimer *t)
{
	for (;;) {
		hart_t hart = __atomic_load_n(&t->hart, __ATOMIC_RELAXED);
		struct timers *on = &timers[hart];

		spin_acquire(&on->lock);
		if (HARTS_MAX == 1 || __atomic_load_n(&t->hart, __ATOMIC_RELAXED) == hart)
			return on;
		spin_release(&on->lock);
	}
}

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *))
{
	*t = (struct ktimer){ .fire = fire };
	heap_node_init(&t->node);
}

/* Interrupts off. True if it was armed. */
static bool disarm(struct ktimer *t)
{
	struct timers *on = lock_timers_of(t);
	bool was_armed = heap_node_is_linked(&t->node);

	if (was_armed) {
		heap_remove(&on->heap, &t->node);
		store_relaxed(&on->armed, on->armed - 1);
	}
	spin_release(&on->lock);
	return was_armed;
}

void ktimer_arm(struct ktimer *t, uint64_t deadline_ns)
{
	irqflags_t flags = arch_irq_save();
	struct timers *here = timers_here();

	if (heap_node_is_linked(&t->node))
		disarm(t);
	spin_acquire(&here->lock);
	t->deadline_ns = deadline_ns;
	store_relaxed(&t->hart, (hart_t)(here - timers));
	heap_insert(&here->heap, &t->node);
	store_relaxed(&here->armed, here->armed + 1);
	if (deadline_ns < here->set_for_ns) {
		here->set_for_ns = deadline_ns;
		arch_timer_set(clock_deadline_ticks(deadline_ns));
	}
	spin_release(&here->lock);
	arch_irq_restore(flags);
}

static void wait_for_fire(const struct ktimer *t)
{
	for (hart_t h = 0; h < hart_count(); h++) {
		if (h == hart_id())
			continue;
		while (__atomic_load_n(&timers[h].firing, __ATOMIC_ACQUIRE) == t)
			arch_relax();
	}
}

bool ktimer_cancel(struct ktimer *t)
{
	irqflags_t flags = arch_irq_save();
	bool was_armed = disarm(t);

	if (HARTS_MAX > 1)
		wait_for_fire(t);
	arch_irq_restore(flags);
	return was_armed;
}

unsigned ktimer_armed(hart_t hart)
{
	return __atomic_load_n(&timers[hart].armed, __ATOMIC_RELAXED);
}

/* The earliest timer if it is due, taken off; else NULL with the hardware set for it. Lock held. */
static struct ktimer *take_due(struct timers *here)
{
	struct heap_node *top = here->heap.top;
	uint64_t deadline_ns = top ? heap_entry(top, struct ktimer, node)->deadline_ns
				   : DEADLINE_NEVER;

	if (top && deadline_ns <= clock_ns()) {
		store_relaxed(&here->armed, here->armed - 1);
		return heap_entry(heap_pop(&here->heap), struct ktimer, node);
	}
	here->set_for_ns = deadline_ns;
	arch_timer_set(top ? clock_deadline_ticks(deadline_ns) : UINT64_MAX);
	return NULL;
}

void sched_timer_interrupt(void)
{
	struct timers *here = timers_here();
	struct ktimer *t;

	assert(!arch_irq_is_enabled());
	counter_inc(timer_interrupts);
	trace_hart_begin("timer", 0);
	spin_acquire(&here->lock);
	while ((t = take_due(here))) {
		store_relaxed(&here->firing, t);
		spin_release(&here->lock);
		counter_inc(timer_fires);
		t->fire(t);
		spin_acquire(&here->lock);
		store_release(&here->firing, NULL);
	}
	spin_release(&here->lock);
	trace_hart_end("timer");
}
