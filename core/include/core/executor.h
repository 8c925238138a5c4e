/*
 * The executor: small continuations of trusted kernel code, run to completion when woken.
 *
 * A task is a function and a state word embedded in its owner. task_wake() may come from any
 * context, interrupt handlers included; the task then runs once, in thread context with interrupts
 * on, on the hart that woke it. Wakes that arrive before it starts are
 * merged; a wake while it runs makes it run again. A task never runs on two harts at once. It may
 * take mutexes for short sections but must not wait for other tasks or for time: it arms a timer
 * or leaves itself on a queue, and returns.
 *
 * Each hart has an executor thread at THREAD_PRIORITY_KERNEL. A thread about to wait runs its
 * hart's pending tasks itself first (executor_run_pending), which saves two switches.
 */
#ifndef CORE_EXECUTOR_H
#define CORE_EXECUTOR_H

#include <core/list.h>
#include <core/types.h>

struct task {
	void (*run)(struct task *t); /* [I] */
	const char *name;            /* [I] */
	uint32_t state;              /* atomic: woken, running, stopped, as bits */
	/* [executor lock of that hart] where it is or was last queued */
	uint32_t hart;
	struct list link;            /* [executor lock of its hart] */
};

void task_init(struct task *t, const char *name, void (*run)(struct task *t));
void task_wake(struct task *t);       /* any context */
/*
 * Threads. On return the task neither runs nor is queued, and later wakes are ignored until
 * task_init(). From within the task itself it only prevents further runs; its memory must last
 * until the run has returned.
 */
void task_stop(struct task *t);

/*
 * Runs what is pending on this hart; true if anything ran. Threads only, no locks held, not from a
 * task.
 */
bool executor_run_pending(void);

#endif
