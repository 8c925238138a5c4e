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
#include <core/assert.h>
#include <core/atomic.h>
#include <core/hart.h>
#include <core/list.h>
#include <core/thread.h>
#include <core/types.h>

/*
 * With one hart only (CONFIG_HARTS_MAX=1) a spinlock is a note of its holder beside preemption and
 * interrupt control: the compiler drops the atomic exchange and the loop.
 */
struct spinlock {
	uint32_t locked;      /* atomic: 0 free */
	uint32_t holder;      /* hart number + 1, for assertions */
};

#define SPINLOCK_INIT { 0, 0 }

static inline void spin_init(struct spinlock *l)
{
	*l = (struct spinlock)SPINLOCK_INIT;
}

/* By this hart; the caller cannot move to another one while it asks. */
static inline bool spin_is_held(const struct spinlock *l)
{
	return __atomic_load_n(&l->holder, __ATOMIC_RELAXED) == hart_id() + 1;
}

void spin_wait(struct spinlock *l); /* the contended path of spin_acquire() */

/*
 * Each lock and unlock asks who holds it; without, one that is taken twice is found where it would
 * wait for ever.
 */
#define SPIN_IS_CHECKED (HARTS_MAX == 1 || IS_ENABLED(CONFIG_DEBUG_LOCKS))

/* The parts without preemption control, for code that handles it itself. */
static inline void spin_acquire(struct spinlock *l)
{
	assert(!SPIN_IS_CHECKED || !spin_is_held(l));
	if (HARTS_MAX > 1 && unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
		spin_wait(l);
	store_relaxed(&l->holder, hart_id() + 1);
	__asm__ volatile("" ::: "memory");
}

static inline void spin_release(struct spinlock *l)
{
	assert(!SPIN_IS_CHECKED || spin_is_held(l));
	__asm__ volatile("" ::: "memory");
	store_relaxed(&l->holder, 0);
	if (HARTS_MAX > 1)
		store_release(&l->locked, 0);
}

/* Disables preemption, leaves interrupts: for locks that no interrupt handler takes. */
static inline void spin_lock(struct spinlock *l)
{
	preempt_disable();
	spin_acquire(l);
}

static inline void spin_unlock(struct spinlock *l)
{
	spin_release(l);
	preempt_enable();
}

/* For locks that interrupt handlers take. */
static inline irqflags_t spin_lock_irq(struct spinlock *l)
{
	irqflags_t flags = arch_irq_save();

	preempt_disable();
	spin_acquire(l);
	return flags;
}

static inline void spin_unlock_irq(struct spinlock *l, irqflags_t flags)
{
	spin_release(l);
	arch_irq_restore(flags);
	preempt_enable();
}

bool spin_try_lock(struct spinlock *l);

struct waitq {
	struct spinlock lock;
	struct list waiters;  /* [lock] struct waiter, oldest first */
};

#define WAITQ_INIT(name) { SPINLOCK_INIT, LIST_INIT((name).waiters) }

void waitq_init(struct waitq *q);

/*
 * A hint, without the lock: a caller that changes the condition first and then asks needs a full
 * fence between.
 */
static inline bool waitq_is_empty(const struct waitq *q)
{
	return __atomic_load_n(&q->waiters.next, __ATOMIC_RELAXED) == &q->waiters;
}

/* Any context. Number of threads woken. */
int waitq_wake_one(struct waitq *q);
int waitq_wake_all(struct waitq *q);

/*
 * Waits until `cond` holds, evaluating it before sleeping and after each wake, and never again once
 * it held (so it may take what it finds). Evaluates to 0, or -ETIMEDOUT / -EINTR as thread_block().
 * `cond` must not sleep.
 */
#define waitq_wait(q, cond, deadline_ns, interruptible)                                        \
	({                                                                                     \
		struct waiter waiter_;                                                         \
		bool holds_ = (cond);                                                          \
		int ret_ = 0;                                                                  \
		while (!holds_ && !ret_) {                                                     \
			waiter_begin(&waiter_, q);                                             \
			holds_ = (cond);                                                       \
			if (!holds_)                                                           \
				ret_ = thread_block(deadline_ns, interruptible);               \
			waiter_end(&waiter_);                                                  \
			if (!holds_)                                                           \
				holds_ = (cond);                                               \
		}                                                                              \
		holds_ ? 0 : ret_;                                                             \
	})

struct waiter {
	struct list link;
	struct thread *thread;
	struct waitq *queue;
};

/*
 * thread_prepare_wait() and queue. Then who changes the condition finds the waiter, or the caller
 * sees the change.
 */
void waiter_begin(struct waiter *w, struct waitq *q);
/* unqueue and cancel, harmless after a wake */
void waiter_end(struct waiter *w);

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

struct event {
	bool set; /* atomic */
	struct waitq waiters;
};

void event_init(struct event *e);
void event_set(struct event *e);                     /* any context */
void event_reset(struct event *e);                   /* any context */
bool event_is_set(const struct event *e);
int event_wait(struct event *e, uint64_t deadline_ns); /* threads: 0 or -ETIMEDOUT */

#endif
