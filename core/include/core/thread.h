/*
 * Threads: flows of control with a stack, scheduled on harts.
 *
 * Life: created SLEEPING -> thread_start() -> READY <-> RUNNING <-> SLEEPING -> DEAD. A dead thread
 * is reclaimed when it is joined, or at once if detached.
 *
 * Each hart has a run queue with THREAD_PRIORITIES levels, 0 the most urgent; a READY thread that
 * waits long is aged towards 0. An idle hart steals. With CONFIG_PREEMPT a more urgent thread or
 * the end of a time slice takes the hart at the next interrupt; without it threads switch only
 * where they wait, yield or end.
 *
 * Waiting is written once: thread_block() after the waiter has published itself (see core/sync.h),
 * thread_wake() by whoever makes the condition true. A wake that comes between publication and
 * block is not lost.
 */
#ifndef CORE_THREAD_H
#define CORE_THREAD_H

#include <core/list.h>
#include <core/types.h>

enum thread_state { THREAD_SLEEPING, THREAD_READY, THREAD_RUNNING, THREAD_DEAD };

#define THREAD_PRIORITIES      32
#define THREAD_PRIORITY_KERNEL 4  /* executor and other trusted kernel threads */
#define THREAD_PRIORITY_APP    16

struct thread;

struct thread_attr {
	const char *name;        /* copied, cut at 15 bytes */
	unsigned    priority;
	size_t      stack_bytes; /* 0: CONFIG_THREAD_STACK_KIB; ignored when stack is given */
	void       *stack;       /* the caller's memory: lowest address, or NULL for a guarded stack of ours */
	bool        detached;
	int         hart;        /* -1: any; else only this one */
};

/*
 * Creates a thread that will run entry(arg) once started. 0 and *out, or -ENOMEM. Sleeps.
 * `tls` becomes the thread pointer register before entry (0 for kernel threads).
 */
int thread_create(const struct thread_attr *attr, void (*entry)(void *), void *arg, uintptr_t tls,
		  struct thread **out);
void thread_start(struct thread *t);
NORETURN void thread_exit(void);
int thread_join(struct thread *t);              /* sleeps until DEAD, then frees it */

struct thread *thread_current(void);
const char *thread_name(const struct thread *t);
int thread_id(const struct thread *t);          /* > 0, unique while the thread lives: the Linux tid */
void thread_set_priority(struct thread *t, unsigned priority);

void thread_yield(void);

/*
 * thread_prepare_wait() announces that the current thread is about to wait; then publish it where the waker
 * will look, re-check the condition, and either thread_block() or thread_cancel_wait().
 * thread_block() returns 0 after a wake, -ETIMEDOUT when `deadline_ns` (clock_ns() time, UINT64_MAX for never)
 * has passed, -EINTR when `interruptible` and thread_interrupt() was called. Not with spinlocks held.
 */
void thread_prepare_wait(void);
void thread_cancel_wait(void);
int thread_block(uint64_t deadline_ns, bool interruptible);

/* Any context. True if this call made the thread runnable. */
bool thread_wake(struct thread *t);

/*
 * Makes the current or next interruptible wait of `t` return -EINTR, until thread_interrupt_clear().
 * Any context. Signals and pthread cancellation in libos are made of this.
 */
void thread_interrupt(struct thread *t);
bool thread_is_interrupted(const struct thread *t);
void thread_interrupt_clear(struct thread *t);

/* A pointer each upper layer may hang on a thread (libos/posix: its struct task state). */
void *thread_user(const struct thread *t);
void thread_set_user(struct thread *t, void *user);

/*
 * Keeps the current thread on its hart until the matching enable. Nests. Cheap; no-ops without
 * CONFIG_PREEMPT.
 */
void preempt_disable(void);
void preempt_enable(void);

/* Walks every thread under the thread-list lock; `visit` must not sleep. For ps, gdb, panic. */
struct thread_info {
	int id;
	const char *name;
	enum thread_state state;
	unsigned priority;
	hart_t hart;
	uint64_t ran_ns;
};
void thread_for_each(void (*visit)(const struct thread_info *info, void *arg), void *arg);

#endif
