/*
 * Signals: who gets them, when handlers run.
 *
 * A signal is sent by any context. It becomes pending, and one thread that does not block it is
 * given work: it is counted in signal_threads_waiting and its interruptible wait ends. Handlers run
 * in that thread where its current system call returns, as calls on its stack.
 */
#ifndef POSIX_SIGNAL_H
#define POSIX_SIGNAL_H

#include "process.h"

struct signal {
	struct list link;
	struct abi_siginfo info;
};

#define SIGNAL_BIT(sig) (1ull << ((sig) - 1))

/* Any context. 0, -EAGAIN when memory for it is short. `to` NULL: the process. */
int signal_send(struct posix_thread *to, const struct abi_siginfo *info);
int signal_send_to_id(int tid, const struct abi_siginfo *info);  /* 0, -ESRCH, -EAGAIN */

/* To the calling thread, as Linux does for writes to a pipe without reader. */
void signal_raise_pipe(void);

/*
 * The calling thread's mask becomes `mask` until the end of its call; handlers see the old one
 * restored.
 */
void signal_mask_for_call(uint64_t mask);
void signal_set_mask(uint64_t mask);
/* True when the calling thread has a signal to take now. */
bool signal_is_due(void);

/* Reads a mask that may be NULL; 0 or negative errno. */
int signal_read_mask(uint64_t *mask, const void *user, size_t size);

/* What handlers of the calling thread see as the interrupted pc; for libc's cancellation. */
void posix_set_call_pc(uintptr_t pc);
/*
 * Takes the first pending signal of `among`, the thread's own before the process's; its number or
 * 0.
 */
int signal_take_locked(struct posix_thread *p, uint64_t among, struct abi_siginfo *info);
/* Runs what handlers are due, for waits that are no system call. */
void signal_run_handlers(void);
/* Ends the temporary mask of a call that was not interrupted. */
void signal_mask_restore(void);

/* Runs the handler for a fault of the calling thread at pc. */
void signal_run_fault_handler(const struct abi_siginfo *info, uintptr_t pc);

void signal_forget_thread_locked(struct posix_thread *p);

#endif
