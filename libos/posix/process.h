/*
 * The one process of an appliance: its threads, signals and end.
 *
 * Every application thread has a struct posix_thread, hung on its core thread. Kernel threads have
 * none and make no system calls.
 *
 * Locks: P process.lock (interrupts off: alarms send signals)   o owner thread   I set once
 */
#ifndef POSIX_PROCESS_H
#define POSIX_PROCESS_H

#include <core/list.h>
#include <core/sync.h>
#include <core/thread.h>
#include <core/types.h>
#include <libos/abi.h>

struct posix_thread {
	struct thread *thread;      /* [I] */
	struct list link;           /* [P] process.threads */
	uint64_t mask;              /* [P; read by owner] blocked signals, bit sig-1 */
	uint64_t pending;           /* [P] sent to this thread */
	uint64_t waited;            /* [P] what rt_sigtimedwait() waits for */
	struct list queued;         /* [P] struct signal, oldest first */
	bool has_work;              /* [P] counted in signal_threads_waiting */
	bool mask_is_temporary;     /* [o] */
	uint64_t mask_to_restore;   /* [o] valid while mask_is_temporary */
	uintptr_t call_pc;          /* [o] what a handler sees as the interrupted pc */
	bool in_fault;              /* [o, and its traps] on the way to a handler of this fault: */
	int fault_signal;
	uintptr_t fault_address;
	int *clear_tid;             /* [o] written 0 and woken when the thread is gone */
	void *own_stack;            /* [o] to unmap when the thread is gone */
	size_t own_stack_len;
	int (*entry)(void *);       /* [I] */
	void *arg;                  /* [I] */
};

struct process {
	struct spinlock lock;
	struct list threads;        /* [P] */
	unsigned thread_count;      /* [P] */
	uint64_t pending;           /* [P] sent to the process */
	struct list queued;         /* [P] */
	struct abi_sigaction actions[SIGNALS]; /* [P] */
};

extern struct process process;

#define PROCESS_ID 1

static inline struct posix_thread *posix_thread_current(void)
{
	return thread_user(thread_current());
}

/* Makes the calling thread the process's first; 0 or -ENOMEM. */
int process_adopt_thread(void);

/* The lowest-level thread start: see libos/libc/clone.c. The new thread's id, or negative errno. */
long process_clone(int (*entry)(void *), void *arg, void *stack, size_t stack_bytes,
		   unsigned long flags, int *parent_tid, uintptr_t tls, int *child_tid);

/* As munmap() of the caller's own stack followed by exit. */
NORETURN void process_unmap_and_exit(void *base, size_t len);

/* The process ends and the machine with it. */
NORETURN void process_exit(int status);

#endif
