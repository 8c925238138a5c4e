/*
 * Mutexes: one compare-and-swap when free; else the thread queues and sleeps.
 *
 * The unlocker clears `owner`, then looks for waiters; a waiter queues, then tries again. With a
 * full fence between the two steps on both sides, one of them sees the other. The woken waiter
 * competes with newcomers, which keeps the mutex busy instead of idle while a switch is under way;
 * a loser queues again.
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

/* Apart, so that the common case needs no frame. */
static __attribute__((noinline)) void wait_for(struct mutex *m)
{
	assert(!mutex_is_held(m));
	waitq_wait(&m->waiters, take(m), DEADLINE_NEVER, false);
}

void mutex_lock(struct mutex *m)
{
	assert(!irq_in_handler());
	if (unlikely(!take(m)))
		wait_for(m);
}

void mutex_unlock(struct mutex *m)
{
	assert(mutex_is_held(m));
	store_release(&m->owner, NULL);
	if (HARTS_MAX > 1)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(!waitq_is_empty(&m->waiters)))
		waitq_wake_one(&m->waiters);
}
