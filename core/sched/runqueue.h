/*
 * Run queues, for core/sched alone. One per hart; what is [q] is guarded by its lock, which is
 * taken with interrupts off and handed over a context switch: the thread switched to releases it.
 */
#ifndef SCHED_RUNQUEUE_H
#define SCHED_RUNQUEUE_H

#include <core/counter.h>
#include <core/sync.h>
#include <core/thread.h>

struct runqueue {
	struct spinlock lock;
	uint32_t levels;          /* [q] bit per level that has threads */
	uint32_t ready;           /* [q], read by thieves without it: threads queued */
	/* [q] picks that left less urgent threads waiting, since the last aging */
	uint32_t passed_over;
	struct thread *current;   /* [q] */
	struct thread *idle;      /* [I] */
	struct thread *worker;    /* [I] the executor's thread, never queued while parked */
	/* [executor's lock], read without it: tasks queued for the worker */
	uint32_t tasks;
	bool worker_parked;       /* [q] waits for tasks, and for nothing else */
	/* [own hart, interrupts off], read by others as a hint: `current` waits in place */
	bool resting;
	uint8_t hart;             /* [I] whose it is */
	bool slice_armed;         /* [own hart, interrupts off] */
	bool slice_over;          /* [own hart, interrupts off] */
	struct thread *dead;      /* [q] switched away from for the last time */
	struct ktimer slice;      /* CONFIG_PREEMPT: ends a time slice */
	struct list level[THREAD_PRIORITIES]; /* [q] */
} CACHE_ALIGNED;

extern struct runqueue runqueues[HARTS_MAX];

/*
 * Its address is computed once: the compiler, which knows how, would rather do it again at each
 * use.
 */
static inline struct runqueue *runqueue_here(void)
{
	struct runqueue *rq = &runqueues[HARTS_MAX > 1 ? hart_id() : 0];

	__asm__("" : "+r"(rq));
	return rq;
}

static inline bool runqueue_has_tasks(const struct runqueue *rq)
{
	return __atomic_load_n(&rq->tasks, __ATOMIC_RELAXED) != 0;
}

void runqueue_init(struct runqueue *rq, struct thread *idle);

/* All with rq->lock held. */
void runqueue_add(struct runqueue *rq, struct thread *t);       /* at the end of its level */
void runqueue_add_first(struct runqueue *rq, struct thread *t);
void runqueue_remove(struct runqueue *rq, struct thread *t);
/* taken off; the idle thread when empty */
struct thread *runqueue_pick(struct runqueue *rq);
/* somebody at `level` or more urgent */
bool runqueue_has_urgent(const struct runqueue *rq, unsigned level);
struct thread *runqueue_take_stealable(struct runqueue *rq);    /* NULL: nothing that may move */

/* Makes the executor's thread of this hart. */
void executor_start(struct runqueue *rq, hart_t hart);

/* True if a thief, or this hart itself, would find something to run. No lock: a hint. */
bool runqueue_looks_ready(const struct runqueue *rq);

/* core/sched/sched.c */
/* lock held: switches; the caller's fate is already noted */
void sched_away(struct runqueue *rq);
/* processor time goes to `to` from now on */
void sched_account(struct thread *from, struct thread *to);
/* first thing on the other side: releases, buries the dead */
void sched_finish_switch(void);
void sched_yield_at(unsigned level);            /* yields once as if the caller had this priority */
void sched_deadline_passed(struct ktimer *timer); /* fires struct thread's timer */
/* interrupts off: a READY thread on no queue goes to t's hart */
void sched_enqueue(struct thread *t);

/* Nothing runs here: the idle thread, or one that waits in place. Without the lock a hint. */
static inline bool runqueue_is_idle(const struct runqueue *rq)
{
	return __atomic_load_n(&rq->resting, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&rq->current, __ATOMIC_RELAXED) == rq->idle;
}

/* core/sched/idle.c */
/*
 * Interrupts off, no lock: `t`, the current thread, is SLEEPING. Returns when t was woken, or when
 * another thread should have the hart.
 */
void idle_in_place(struct runqueue *rq, struct thread *t);
/* true: it slept and the caller must send the interrupt */
bool idle_claim(hart_t hart);
bool idle_find(hart_t *hart);                   /* claims any sleeping hart */

NORETURN void idle_main(void *thread);          /* where a started hart begins */

/* core/sched/thread.c */
#define IDLE_STACK_BYTES (2 * PAGE_SIZE)
struct thread *thread_new_idle(hart_t hart);    /* NULL: no memory */
void thread_bury(struct thread *t);             /* interrupts off; t is off its stack for ever */
void thread_init(struct thread *t, const char *name, unsigned priority, int pinned);
void thread_main(void *thread);                 /* the first function of every created thread */

#endif
