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

#include <arch/thread.h>
#include <core/arch.h>
#include <core/assert.h>
#include <core/list.h>
#include <core/time.h>
#include <core/types.h>

enum thread_state { THREAD_SLEEPING, THREAD_READY, THREAD_RUNNING, THREAD_DEAD };

#define THREAD_PRIORITIES      32
#define THREAD_PRIORITY_KERNEL 4  /* executor and other trusted kernel threads */
#define THREAD_PRIORITY_APP    16

#define THREAD_NAME_SIZE 16

struct task;

/*
 * Open so that the functions below can be inlined; only core/sched reads or writes the fields.
 *
 * Locks:  I set once before publication   o the thread itself   l thread-list lock
 *         q lock of the run queue of the thread's hart          b q, or the thread itself while
 *                                                               RUNNING or resting
 */
struct thread {
	struct arch_thread arch;    /* first: see core/arch.h; arch.hart is [q] */
	uint32_t preempt_off;       /* [o] nesting of preempt_disable() */
	bool resched;               /* [o, interrupts of its hart] somebody more urgent is ready */
	bool preparing;             /* [o] between prepare_wait and the end of block or cancel */
	bool interruptible;         /* [b] of the wait under way */
	bool interrupted;           /* [q] thread_interrupt() not yet cleared */
	uint8_t state;              /* [b] enum thread_state */
	uint8_t level;              /* [q] where it queues: its priority, or less after aging */
	uint8_t priority;           /* [q] */
	bool queued;                /* [q] linked in a run queue */
	int wake_result;            /* [q] what the wait under way returns */
	bool (*look)(void *arg);    /* [o] of the wait under way: thread_block_looking() */
	void *look_arg;             /* [o] */
	int pinned;                 /* [I] -1, or the only hart it runs on */
	struct list run_link;       /* [q] */
	struct ktimer timer;        /* [o] ends a wait with a deadline */
	const struct task *running_task; /* [o] the executor task it is inside */
	void *user;                 /* [o] */
	/* [its hart] processor time before this run; when this run began */
	uint64_t ran_ticks, since_ticks;
	struct list all_link;       /* [l] */
	int id;                     /* [I] */
	bool detached;              /* [I] */
	bool done;                  /* atomic: DEAD, off its stack, ready to be joined */
	void (*released)(void *user); /* [I] */
	void *stack;                /* [I] ours to free, or NULL */
	size_t stack_bytes;         /* [I] */
	void (*entry)(void *);      /* [I] */
	void *arg;                  /* [I] */
	char name[THREAD_NAME_SIZE]; /* [I] */
};

struct thread_attr {
	const char *name;        /* copied, cut at 15 bytes */
	unsigned    priority;
	size_t      stack_bytes; /* 0: CONFIG_THREAD_STACK_KIB; ignored when stack is given */
	/* the caller's memory: lowest address, or NULL for a guarded stack of ours */
	void       *stack;
	bool        detached;
	int         hart;        /* -1: any; else only this one */
	/*
	 * Called from a kernel task with thread_user() when the thread is DEAD and uses its stack
	 * no more, before it is reclaimed: only now may a stack of the caller's be unmapped. NULL:
	 * nothing to do.
	 */
	void      (*released)(void *user);
};

/*
 * Creates a thread that will run entry(arg) once started. 0 and *out, or -ENOMEM. Sleeps.
 * `tls` becomes the thread pointer register before entry (0 for kernel threads).
 */
int thread_create(const struct thread_attr *attr, void (*entry)(void *), void *arg, uintptr_t tls,
		  struct thread **out);
/* a thread_wake() by somebody who knows it does the same */
void thread_start(struct thread *t);
NORETURN void thread_exit(void);
int thread_join(struct thread *t);              /* sleeps until DEAD, then frees it */

/* Stable for the caller itself, whatever interrupts do. */
static inline struct thread *thread_current(void)
{
	return arch_thread_current();
}

const char *thread_name(const struct thread *t);
/* > 0, unique while the thread lives: the Linux tid */
int thread_id(const struct thread *t);
void thread_set_priority(struct thread *t, unsigned priority);

void thread_yield(void);

/*
 * thread_prepare_wait() announces that the current thread is about to wait; then publish it where
 * the waker will look, re-check the condition, and either thread_block() or thread_cancel_wait().
 * thread_block() returns 0 after a wake, -ETIMEDOUT when `deadline_ns` (clock_ns() time, UINT64_MAX
 * for never) has passed, -EINTR when `interruptible` and thread_interrupt() was called. Not with
 * spinlocks held. A 0 may be the late echo of a wake that was meant for a wait before, so the
 * condition is checked again after it.
 */
void thread_prepare_wait(void);
void thread_cancel_wait(void);
int thread_block(uint64_t deadline_ns, bool interruptible);

/*
 * The same for a thread that mostly waits for one device. `look(arg)` is called with interrupts
 * off, before the thread leaves or rests its hart, and while the hart has nothing else to do also
 * after each event that ends its sleep, before any interrupt is taken. True ends the wait as a wake
 * would. So look() may ask the device for an interrupt when it finds nothing, and acknowledge that
 * interrupt when it finds something. The later looks are a short cut and no promise: the device's
 * handler must wake the thread as well.
 */
int thread_block_looking(uint64_t deadline_ns, bool interruptible, bool (*look)(void *arg),
			 void *arg);

/* Any context. True if this call made the thread runnable. */
bool thread_wake(struct thread *t);

/*
 * Makes the current or next interruptible wait of `t` return -EINTR, until
 * thread_interrupt_clear(). Any context. Signals and pthread cancellation in libos are made of
 * this.
 */
void thread_interrupt(struct thread *t);
bool thread_is_interrupted(const struct thread *t);
void thread_interrupt_clear(struct thread *t);

/* A pointer each upper layer may hang on a thread (libos/posix: its struct task state). */
static inline void *thread_user(const struct thread *t)
{
	return t->user;
}

static inline void thread_set_user(struct thread *t, void *user)
{
	t->user = user;
}

/*
 * Keeps the current thread on its hart until the matching enable. Nests. Cheap; no-ops without
 * CONFIG_PREEMPT (but counted with CONFIG_DEBUG_LOCKS, so that sleeping with a spinlock held
 * asserts).
 */
#define PREEMPT_IS_COUNTED (IS_ENABLED(CONFIG_PREEMPT) || IS_ENABLED(CONFIG_DEBUG_LOCKS))

void thread_preempt(void); /* the slow path of preempt_enable(): gives way if interrupts are on */

static inline void preempt_disable(void)
{
	if (PREEMPT_IS_COUNTED)
		thread_current()->preempt_off++;
	__asm__ volatile("" ::: "memory");
}

static inline void preempt_enable(void)
{
	struct thread *t = thread_current();

	__asm__ volatile("" ::: "memory");
	if (!PREEMPT_IS_COUNTED)
		return;
	assert(t->preempt_off > 0);
	if (--t->preempt_off == 0 && IS_ENABLED(CONFIG_PREEMPT) && unlikely(t->resched))
		thread_preempt();
}

/* Walks every thread under the thread-list lock; `visit` must not sleep. For ps, gdb, panic. */
struct thread_info {
	int id;
	const char *name;
	enum thread_state state;
	unsigned priority;
	hart_t hart;
	uint64_t ran_ns;
};
uint64_t thread_ran_ns(const struct thread *t); /* processor time; exact for the current thread */
void thread_for_each(void (*visit)(const struct thread_info *info, void *arg), void *arg);

#endif
