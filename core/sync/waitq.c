/*
 * Wait queues: threads waiting for something to become true.
 *
 * A waker takes waiters off the queue, so that two calls of waitq_wake_one() wake two threads. It
 * touches a waiter (which lies on the waiting thread's stack) only under the queue's lock, and ends
 * by clearing waiter->queue: a thread that finds it clear need not take the lock again to leave.
 *
 * No lost wake-up. A waiter queues, then reads the condition; a waker makes it true, then reads
 * whether anybody queues, without the lock. One of the two reads must see the other's write, so on
 * both sides a full fence stands between write and read. The lock is none: what follows its release
 * may be read before what was written under it is seen.
 */
#include <core/assert.h>
#include <core/sync.h>

static inline void fence_between_write_and_read(void)
{
	if (HARTS_MAX > 1)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock);
	list_init(&q->waiters);
}

void waiter_begin(struct waiter *w, struct waitq *q)
{
	irqflags_t flags;

	thread_prepare_wait();
	w->thread = thread_current();
	w->queue = q;
	flags = spin_lock_irq(&q->lock);
	list_push_back(&q->waiters, &w->link);
	spin_unlock_irq(&q->lock, flags);
	fence_between_write_and_read();
}

void waiter_end(struct waiter *w)
{
	struct waitq *q = __atomic_load_n(&w->queue, __ATOMIC_ACQUIRE);

	if (q) {
		irqflags_t flags = spin_lock_irq(&q->lock);

		list_remove(&w->link);
		spin_unlock_irq(&q->lock, flags);
	}
	thread_cancel_wait();
}

static int wake_up_to(struct waitq *q, int most)
{
	irqflags_t flags;
	int woken = 0;

	fence_between_write_and_read();
	if (waitq_is_empty(q))
		return 0;
	flags = spin_lock_irq(&q->lock);
	while (woken < most && !list_is_empty(&q->waiters)) {
		struct waiter *w = list_first(&q->waiters, struct waiter, link);

		list_remove(&w->link);
		woken += thread_wake(w->thread);
		store_release(&w->queue, NULL);
	}
	spin_unlock_irq(&q->lock, flags);
	return woken;
}

int waitq_wake_one(struct waitq *q)
{
	return wake_up_to(q, 1);
}

int waitq_wake_all(struct waitq *q)
{
	return wake_up_to(q, INT32_MAX);
}
