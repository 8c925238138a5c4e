/*
 * The executor: a queue of tasks per hart, run by that hart's worker thread, or by any thread that
 * is about to wait anyway.
 *
 * A task's state is three bits. WOKEN: queued, or to be queued when the present run ends. RUNNING.
 * STOPPED: never again. Whoever sets WOKEN on a task that is neither RUNNING nor STOPPED queues it;
 * the runner clears WOKEN as it sets RUNNING, under the queue's lock, so one wake is one run and a
 * task is on one queue or none.
 *
 * The worker is parked when it has nothing to do; waking a task does not wake it: the scheduler
 * sees the queue when it picks (runqueue_pick), so tasks that a thread has run in the meantime cost
 * no switch. When tasks keep waking themselves (a network driver polling under load), the worker
 * falls back to an application's priority after ROUNDS_MAX rounds, so that applications share the
 * hart with it.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/executor.h>
#include <core/fmt.h>
#include <core/irq.h>
#include <core/log.h>
#include "runqueue.h"

COUNTER(executor_runs, "task runs");

enum { WOKEN = 1, RUNNING = 2, STOPPED = 4 };

#define ROUNDS_MAX    16
#define STOP_POLL_NS  (50 * NSEC_PER_USEC)

struct executor {
	struct spinlock lock;
	struct list queue;     /* [lock] */
} CACHE_ALIGNED;

static struct executor executors[HARTS_MAX];

static struct executor *executor_here(void)
{
	return &executors[HARTS_MAX > 1 ? hart_id() : 0];
}

/* How many are queued is kept in the run queue, where the scheduler looks at each pick. */
static void count_queued(hart_t hart, uint32_t change)
{
	store_relaxed(&runqueues[hart].tasks, runqueues[hart].tasks + change);
}

void task_init(struct task *t, const char *name, void (*run)(struct task *t))
{
	*t = (struct task){ .run = run, .name = name };
	list_init(&t->link);
}

/* Interrupts off. */
static void queue_here(struct task *t)
{
	struct executor *e = executor_here();
	struct thread *current = thread_current();

	spin_acquire(&e->lock);
	list_push_back(&e->queue, &t->link);
	t->hart = (uint32_t)(e - executors);
	count_queued(t->hart, 1);
	spin_release(&e->lock);
	if (IS_ENABLED(CONFIG_PREEMPT) && current->level > THREAD_PRIORITY_KERNEL)
		current->resched = true;
}

void task_wake(struct task *t)
{
	uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
	irqflags_t flags;

	do {
		/*
		 * Already woken: that run is still to come and will see what the caller has done,
		 * since it takes the bit with a read-modify-write that this (release) one precedes
		 * or follows.
		 */
		if (state & STOPPED)
			return;
	} while (!__atomic_compare_exchange_n(&t->state, &state, state | WOKEN, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (state != 0)
		return;
	flags = arch_irq_save();
	preempt_disable();
	queue_here(t);
	arch_irq_restore(flags);
	preempt_enable();
}

static void unlink_locked(struct task *t)
{
	list_remove(&t->link);
	count_queued(t->hart, -1u);
}

/* The next task of this hart, already marked RUNNING; NULL when there is none. */
static struct task *take_next(void)
{
	irqflags_t flags = arch_irq_save();
	struct executor *e = executor_here();
	struct task *t = NULL;

	spin_acquire(&e->lock);
	if (!list_is_empty(&e->queue)) {
		t = list_first(&e->queue, struct task, link);
		unlink_locked(t);
		__atomic_fetch_xor(&t->state, WOKEN | RUNNING, __ATOMIC_ACQ_REL);
	}
	spin_release(&e->lock);
	arch_irq_restore(flags);
	return t;
}

static void run_task(struct task *t)
{
	struct thread *self = thread_current();
	uint32_t after;
	irqflags_t flags;

	assert(!self->running_task);
	counter_inc(executor_runs);
	self->running_task = t;
	t->run(t);
	self->running_task = NULL;
	after = __atomic_and_fetch(&t->state, ~(uint32_t)RUNNING, __ATOMIC_ACQ_REL);
	if (after == WOKEN) {
		flags = arch_irq_save();
		queue_here(t);
		arch_irq_restore(flags);
	} else if (after == (WOKEN | STOPPED)) {
		__atomic_fetch_and(&t->state, ~(uint32_t)WOKEN, __ATOMIC_ACQ_REL);
	}
}

/* Runs as many tasks as are queued now; what they wake comes in the next round. */
static bool run_round(void)
{
	uint32_t todo = __atomic_load_n(&runqueue_here()->tasks, __ATOMIC_RELAXED);
	bool any = false;

	while (todo--) {
		struct task *t = take_next();

		if (!t)
			break;
		run_task(t);
		any = true;
	}
	return any;
}

bool executor_run_pending(void)
{
	if (!runqueue_has_tasks(runqueue_here()))
		return false;
	assert(!irq_in_handler() && !thread_current()->preparing &&
	       !thread_current()->running_task);
	assert(!PREEMPT_IS_COUNTED || thread_current()->preempt_off == 0);
	return run_round();
}

/* Takes the task off its queue if it is on one. */
static void unqueue(struct task *t)
{
	irqflags_t flags = arch_irq_save();
	struct executor *e;

	preempt_disable();
	for (;;) {
		e = &executors[__atomic_load_n(&t->hart, __ATOMIC_RELAXED)];
		spin_acquire(&e->lock);
		if (&executors[t->hart] == e)
			break;
		spin_release(&e->lock);
	}
	if (list_is_linked(&t->link)) {
		unlink_locked(t);
		__atomic_fetch_and(&t->state, ~(uint32_t)WOKEN, __ATOMIC_ACQ_REL);
	}
	spin_release(&e->lock);
	arch_irq_restore(flags);
	preempt_enable();
}


void task_stop(struct task *t)
{
	uint32_t state;

	__atomic_fetch_or(&t->state, STOPPED, __ATOMIC_ACQ_REL);
	if (thread_current()->running_task == t) {
		__atomic_fetch_and(&t->state, ~(uint32_t)WOKEN, __ATOMIC_ACQ_REL);
		return;
	}
	/* A waker may have set WOKEN before us and queue the task after us: until it has, wait. */
	for (;;) {
		unqueue(t);
		state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
		if (state == STOPPED)
			return;
		thread_sleep_until(clock_ns() + STOP_POLL_NS);
	}
}

/* Waits, in a way that runqueue_pick() sees, until this hart has tasks. */
static void park(void)
{
	irqflags_t flags = arch_irq_save();
	struct runqueue *rq = runqueue_here();
	struct thread *t = thread_current();

	spin_acquire(&rq->lock);
	if (!runqueue_has_tasks(rq)) {
		t->level = t->priority;
		t->state = THREAD_SLEEPING;
		rq->worker_parked = true;
		sched_away(rq);
	}
	sched_finish_switch();
	arch_irq_restore(flags);
}

static void worker_main(void *arg)
{
	(void)arg;
	for (;;) {
		unsigned rounds = 0;

		while (run_round()) {
			if (++rounds >= ROUNDS_MAX)
				sched_yield_at(THREAD_PRIORITY_APP);
		}
		park();
	}
}

void executor_start(struct runqueue *rq, hart_t hart)
{
	char name[THREAD_NAME_SIZE];
	struct thread_attr attr = {
		.name = name, .priority = THREAD_PRIORITY_KERNEL, .hart = (int)hart
	};
	int err;

	spin_init(&executors[hart].lock);
	list_init(&executors[hart].queue);
	fmt_print(name, sizeof(name), "executor/%u", hart);
	err = thread_create(&attr, worker_main, NULL, 0, &rq->worker);
	assert(err == 0);
	thread_start(rq->worker);
}
