/*
 * Poll queues: see libos/poll.h.
 *
 * notify() runs under the queue's lock, so a watch that is no longer on the queue's list is never
 * being notified, and poll_watch_remove() needs only take that lock.
 *
 * Locks: a queue's lock is innermost but for what notify() takes (an epoll's ready lock, another
 * queue's lock one level up, run queues). See docs/locks.md.
 */
#include <core/assert.h>
#include <libos/poll.h>

void poll_queue_init(struct poll_queue *q)
{
	spin_init(&q->lock);
	list_init(&q->watches);
}

void poll_queue_destroy(struct poll_queue *q)
{
	irqflags_t flags = spin_lock_irq(&q->lock);
	struct list *link;

	while ((link = list_pop_front(&q->watches))) {
		struct poll_watch *w = list_entry(link, struct poll_watch, link);

		__atomic_store_n(&w->queue, NULL, __ATOMIC_RELEASE);
		w->notify(w, POLL_HUP);
	}
	spin_unlock_irq(&q->lock, flags);
}

void poll_notify(struct poll_queue *q, uint32_t events)
{
	const uint32_t always = POLL_ERR | POLL_HUP;
	struct poll_watch *w, *next;

	/*
	 * What the caller has changed is seen by who adds a watch and then checks, or the watch is
	 * seen here.
	 */
	if (HARTS_MAX > 1)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (list_is_empty(&q->watches))
		return;

	irqflags_t flags = spin_lock_irq(&q->lock);

	list_for_each_safe(w, next, &q->watches, link) {
		if (events & (w->events | always))
			w->notify(w, events);
	}
	spin_unlock_irq(&q->lock, flags);
}

void poll_watch_add(struct poll_queue *q, struct poll_watch *w)
{
	irqflags_t flags = spin_lock_irq(&q->lock);

	w->queue = q;
	list_push_back(&q->watches, &w->link);
	spin_unlock_irq(&q->lock, flags);
	/*
	 * The list is seen by a notifier, or the change it tells is seen by the check that follows.
	 */
	if (HARTS_MAX > 1)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void poll_watch_remove(struct poll_watch *w)
{
	struct poll_queue *q = __atomic_load_n(&w->queue, __ATOMIC_ACQUIRE);

	if (!q)
		return;

	irqflags_t flags = spin_lock_irq(&q->lock);

	if (w->queue) {
		list_remove(&w->link);
		w->queue = NULL;
	}
	spin_unlock_irq(&q->lock, flags);
}
