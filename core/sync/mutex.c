/*
 * Mutexes: one compare-and-swap when free; else the thread queues and sleeps.
 *
 * The unlocker clears `owner`, then looks for waiters; a waiter queues, then tries again. With a full
 * fence between the two steps on both sides, one of them sees the other. The woken waiter competes with
 * newcomers, which keeps the mutex busy instead of idle while a switch is under way; a loser queues again.
 *
 * No priority inheritance: a mutex shared between urgencies is held for short sections only.
 */
#include <core/assert.h>
#include <core/irq.h>
#include <core/sync.h>

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
	waitq_init(&m->waiters);
}

bool mutex_is_held(const struct mutex *m)
{
	return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == thread_current();
}

static inline bool take(struct mutex *m)
{
	struct thread *nobody = NULL;

	return __atomic_compare_exchange_n(&m->owner, &nobody, thread_current(), false,
					   HARTS_MAX > 1 ? __ATOMIC_SEQ_CST : __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

bool mutex_try_lock(struct mutex *m)
{
	assert(!irq_in_handler());
	return take(m);
}

void mutex_lock(struct mutex *m)
{
	assert(!irq_in_handler() && !mutex_is_held(m));
	if (unlikely(!take(m)))
		waitq_wait(&m->waiters, take(m), DEADLINE_NEVER, false);
}

void mutex_unlock(struct mutex *m)
{
	assert(mutex_is_held(m));
	__atomic_store_n(&m->owner, NULL, __ATOMIC_RELEASE);
	waitq_wake_one(&m->waiters);
}
