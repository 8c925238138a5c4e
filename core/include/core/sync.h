/*
 * Locks and waiting. Which lock guards what, and in which order locks nest, is in docs/locks.md.
 *
 * spinlock   short sections, any context when taken with irqs off; the holder does not sleep.
 * mutex      long sections, threads only; the holder may sleep. No recursion (asserted).
 * waitq      a queue of threads waiting for a condition that a lock guards or that is re-checked.
 * event      a latch: set once wakes all, stays set until reset.
 */
#ifndef CORE_SYNC_H
#define CORE_SYNC_H

#include <core/arch.h>
#include <core/list.h>
#include <core/types.h>

struct spinlock {
	uint32_t locked;      /* 0 free */
	struct hart *holder;  /* for assertions */
};

#define SPINLOCK_INIT { 0, NULL }

void spin_init(struct spinlock *l);
void spin_lock(struct spinlock *l);                  /* disables preemption, leaves interrupts */
void spin_unlock(struct spinlock *l);
irqflags_t spin_lock_irq(struct spinlock *l);        /* for locks that interrupt handlers take */
void spin_unlock_irq(struct spinlock *l, irqflags_t flags);
bool spin_try_lock(struct spinlock *l);
bool spin_is_held(const struct spinlock *l);         /* by this hart */

struct waitq {
	struct spinlock lock;
	struct list waiters;  /* [lock] struct waiter, oldest first */
};

#define WAITQ_INIT(name) { SPINLOCK_INIT, LIST_INIT((name).waiters) }

void waitq_init(struct waitq *q);
/* Any context. Number of threads woken. */
int waitq_wake_one(struct waitq *q);
int waitq_wake_all(struct waitq *q);

/*
 * Waits until `cond` holds, evaluating it before sleeping and after each wake. Evaluates to 0, or
 * -ETIMEDOUT / -EINTR as thread_block(). `cond` must not sleep.
 */
#define waitq_wait(q, cond, deadline_ns, interruptible)                                        \
	({                                                                                     \
		struct waiter waiter_;                                                         \
		int ret_ = 0;                                                                  \
		while (!(cond)) {                                                              \
			waiter_begin(&waiter_, q);                                             \
			if (!(cond))                                                           \
				ret_ = thread_block(deadline_ns, interruptible);               \
			waiter_end(&waiter_);                                                  \
			if (ret_)                                                              \
				break;                                                         \
		}                                                                              \
		ret_ && (cond) ? 0 : ret_;                                                     \
	})

struct waiter {
	struct list link;
	struct thread *thread;
	struct waitq *queue;
};

void waiter_begin(struct waiter *w, struct waitq *q); /* thread_prepare_wait() and queue */
void waiter_end(struct waiter *w);                    /* unqueue and cancel, harmless after a wake */

int thread_block(uint64_t deadline_ns, bool interruptible);

struct mutex {
	struct thread *owner; /* atomic: NULL when free */
	struct waitq waiters;
};

#define MUTEX_INIT(name) { NULL, WAITQ_INIT((name).waiters) }

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_try_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_held(const struct mutex *m);           /* by the current thread */

#endif
