/*
 * Spinlocks: what <core/sync.h> does not inline. Test-and-test-and-set: a waiter reads until the
 * lock looks free, so the cache line is not torn between harts while it is held. Not fair; sections
 * are short.
 */
#include <core/sync.h>

void spin_wait(struct spinlock *l)
{
	assert(!spin_is_held(l));
	do {
		while (__atomic_load_n(&l->locked, __ATOMIC_RELAXED))
			arch_relax();
	} while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
}

bool spin_try_lock(struct spinlock *l)
{
	preempt_disable();
	if (HARTS_MAX > 1 && __atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)) {
		preempt_enable();
		return false;
	}
	/* held by a thread that was preempted or an outer frame */
	if (HARTS_MAX == 1 && l->holder) {
		preempt_enable();
		return false;
	}
	store_relaxed(&l->holder, hart_id() + 1);
	return true;
}
