/*
 * The executor: small continuations of trusted kernel code, run to completion when woken.
 *
 * A task is a function and a state word embedded in its owner. task_wake() may come from any
 * context, interrupt handlers included; the task then runs once, in thread context with interrupts
 * on, on the hart that woke it (or the one it is bound to). Wakes that arrive before it starts are
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
	uint32_t state;              /* atomic: idle, queued, running, running and woken */
	struct list link;            /* [hart's executor lock] */
};

void task_init(struct task *t, const char *name, void (*run)(struct task *t));
void task_wake(struct task *t);       /* any context */
void task_stop(struct task *t);       /* threads: on return it neither runs nor is queued; wakes are ignored */

/* Runs what is pending on this hart; true if anything ran. Threads only, no locks held. */
bool executor_run_pending(void);

#endif
