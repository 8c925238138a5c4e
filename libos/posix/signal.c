/*
 * Signals: sending, choosing a thread, running handlers. See signal.h.
 *
 * Standard signals are pending once, real-time signals queue. Signals to the process stay on its
 * queue; choosing a thread only gives that thread work, and whoever takes work first takes the
 * oldest of the lowest number, its own before the process's.
 *
 * A handler gets a ucontext whose pc is call_pc while its call was interrupted, and 0 otherwise. A
 * handler that changes the pc ends the call with -EINTR: this is how libc's cancellation works
 * (libos/libc/syscall_cp.c).
 *
 * Locks: process.lock; run queues beneath it (thread_interrupt).
 */
#include <core/counter.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <libos/uio.h>

#include "door.h"
#include "signal.h"

#define HANDLER_DEFAULT 0
#define HANDLER_IGNORE  1

COUNTER(signals_delivered, "signal handlers run");

uint32_t signal_threads_waiting;

static bool signal_is_ignored_by_default(int sig)
{
	return sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH ||
	       (sig >= SIGSTOP && sig <= 22); /* nobody could continue a stopped image */
}

static bool signal_is_ignored(int sig)
{
	uintptr_t handler = process.actions[sig - 1].handler;

	return handler == HANDLER_IGNORE ||
	       (handler == HANDLER_DEFAULT && signal_is_ignored_by_default(sig));
}

static uint64_t signals_due(const struct posix_thread *p)
{
	return (p->pending | process.pending) & ~p->mask;
}

/* ---- who has work ---- */

static void thread_give_work_locked(struct posix_thread *p)
{
	if (!p->has_work) {
		p->has_work = true;
		__atomic_fetch_add(&signal_threads_waiting, 1, __ATOMIC_RELAXED);
	}
	thread_interrupt(p->thread);
}

static void thread_take_work_locked(struct posix_thread *p)
{
	if (p->has_work) {
		p->has_work = false;
		__atomic_fetch_sub(&signal_threads_waiting, 1, __ATOMIC_RELAXED);
	}
	thread_interrupt_clear(p->thread);
}

/* Gives each pending signal of the process to a thread that would take it. */
static void signals_distribute_locked(void)
{
	uint64_t left = process.pending;
	struct posix_thread *p;

	list_for_each(p, &process.threads, link) {
		if (left & (~p->mask | p->waited))
			thread_give_work_locked(p);
		left &= p->mask & ~p->waited;
		if (!left)
			break;
	}
}

void signal_forget_thread_locked(struct posix_thread *p)
{
	struct list *link;

	while ((link = list_pop_front(&p->queued)))
		kfree(list_entry(link, struct signal, link));
	p->pending = 0;
	thread_take_work_locked(p);
	signals_distribute_locked();
}

/* ---- sending ---- */

static int signal_enqueue_locked(struct posix_thread *to, const struct abi_siginfo *info)
{
	uint64_t *pending = to ? &to->pending : &process.pending, bit = SIGNAL_BIT(info->signo);
	struct signal *s;

	if ((*pending & bit) && info->signo < SIGRTMIN)
		return 0;
	s = kmalloc(sizeof(*s));
	if (!s)
		return -EAGAIN;
	s->info = *info;
	list_push_back(to ? &to->queued : &process.queued, &s->link);
	*pending |= bit;
	return 0;
}

static bool signal_is_wanted_locked(const struct posix_thread *to, int sig)
{
	uint64_t bit = SIGNAL_BIT(sig);
	const struct posix_thread *p;

	if (!signal_is_ignored(sig))
		return true;
	if (to)
		return (to->mask | to->waited) & bit;
	list_for_each(p, &process.threads, link)
		if ((p->mask | p->waited) & bit)
			return true;
	return false;
}

static int signal_send_locked(struct posix_thread *to, const struct abi_siginfo *info)
{
	int ret;

	if (!signal_is_wanted_locked(to, info->signo))
		return 0;
	ret = signal_enqueue_locked(to, info);
	if (ret)
		return ret;
	if (!to)
		signals_distribute_locked();
	else if (SIGNAL_BIT(info->signo) & (~to->mask | to->waited))
		thread_give_work_locked(to);
	return 0;
}

int signal_send(struct posix_thread *to, const struct abi_siginfo *info)
{
	irqflags_t flags = spin_lock_irq(&process.lock);
	int ret = signal_send_locked(to, info);

	spin_unlock_irq(&process.lock, flags);
	return ret;
}

int signal_send_to_id(int tid, const struct abi_siginfo *info)
{
	irqflags_t flags = spin_lock_irq(&process.lock);
	struct posix_thread *p;
	int ret = -ESRCH;

	list_for_each(p, &process.threads, link) {
		if (thread_id(p->thread) != tid)
			continue;
		ret = info->signo ? signal_send_locked(p, info) : 0;
		break;
	}
	spin_unlock_irq(&process.lock, flags);
	return ret;
}

/* Apart from its callers, so that their frames have no room for it. */
__attribute__((noinline)) void signal_raise_pipe(void)
{
	struct abi_siginfo info = { .signo = SIGPIPE, .code = SI_USER };

	info.sender.pid = PROCESS_ID;
	signal_send(posix_thread_current(), &info);
}

/* ---- masks ---- */

void signal_set_mask(uint64_t mask)
{
	struct posix_thread *p = posix_thread_current();
	irqflags_t flags = spin_lock_irq(&process.lock);

	p->mask = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	if (signals_due(p))
		thread_give_work_locked(p);
	else
		thread_take_work_locked(p);
	signals_distribute_locked();
	spin_unlock_irq(&process.lock, flags);
}

void signal_mask_for_call(uint64_t mask)
{
	struct posix_thread *p = posix_thread_current();

	p->mask_to_restore = p->mask;
	p->mask_is_temporary = true;
	signal_set_mask(mask);
}

void signal_mask_restore(void)
{
	struct posix_thread *p = posix_thread_current();

	p->mask_is_temporary = false;
	signal_set_mask(p->mask_to_restore);
}

bool signal_is_due(void)
{
	return signals_due(posix_thread_current()) != 0;
}

int signal_read_mask(uint64_t *mask, const void *user, size_t size)
{
	return size == sizeof(*mask) ? user_read(mask, user, size) : -EINVAL;
}

/* ---- taking ---- */

/* Takes the oldest entry of `sig` off a queue; clears the pending bit with the last one. */
static void signal_dequeue_locked(uint64_t *pending, struct list *queue, int sig,
				  struct abi_siginfo *info)
{
	struct signal *s, *next, *found = NULL;
	bool more = false;

	list_for_each_safe(s, next, queue, link) {
		if (s->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = s;
	}
	if (!more)
		*pending &= ~SIGNAL_BIT(sig);
	*info = found->info;
	list_remove(&found->link);
	kfree(found);
}

int signal_take_locked(struct posix_thread *p, uint64_t among, struct abi_siginfo *info)
{
	uint64_t own = p->pending & among, shared = process.pending & among;

	if (own) {
		signal_dequeue_locked(&p->pending, &p->queued, __builtin_ctzll(own) + 1, info);
		return info->signo;
	}
	if (shared) {
		signal_dequeue_locked(&process.pending, &process.queued,
				      __builtin_ctzll(shared) + 1, info);
		return info->signo;
	}
	return 0;
}

/* ---- running handlers ---- */

/*
 * The operator's SIGTERM is an orderly end; any other signal shows in the status, as a shell tells
 * it.
 */
static NORETURN void signal_kill(const struct abi_siginfo *info)
{
	bool orderly = info->signo == SIGTERM && info->code == SI_KERNEL;

	log_info("process: ended by signal %d", info->signo);
	process_exit(orderly ? 0 : 128 + info->signo);
}

/* Calls one handler, which sees *pc and may change it. */
static void signal_call_handler(struct posix_thread *p, const struct abi_sigaction *action,
				const struct abi_siginfo *info, uint64_t mask_after, uintptr_t *pc)
{
	void (*handler)(int, struct abi_siginfo *, struct abi_ucontext *) = (void *)action->handler;
	struct abi_siginfo copy = *info;
	struct abi_ucontext context = { .mask = { mask_after } };
	uintptr_t outer_pc = p->call_pc;
	uint64_t mask = p->mask | action->mask;

	if (!(action->flags & SA_NODEFER))
		mask |= SIGNAL_BIT(info->signo);
	signal_set_mask(mask);
	context.gregs[0] = *pc;
	p->call_pc = 0;
	counter_inc(signals_delivered);
	handler(info->signo, &copy, &context);
	p->call_pc = outer_pc;
	*pc = context.gregs[0];
	signal_set_mask(context.mask[0]);
}

struct delivery {
	bool ran, restartable, ended;
};

/* Acts on one taken signal whose action has been read. */
static void signal_act(struct posix_thread *p, const struct abi_sigaction *action,
		       const struct abi_siginfo *info, bool interrupted, struct delivery *d)
{
	uint64_t mask_after = p->mask_is_temporary ? p->mask_to_restore : p->mask;
	uintptr_t call_pc = interrupted && !d->ended ? p->call_pc : 0, pc = call_pc;

	if (action->handler == HANDLER_IGNORE)
		return;
	if (action->handler == HANDLER_DEFAULT) {
		if (!signal_is_ignored_by_default(info->signo))
			signal_kill(info);
		return;
	}
	p->mask_is_temporary = false;
	d->restartable = d->restartable && (action->flags & SA_RESTART);
	d->ran = true;
	signal_call_handler(p, action, info, mask_after, &pc);
	if (pc != call_pc)
		d->ended = true;
}

/* What is to be done about `sig` now; a one-time handler is forgotten. */
static struct abi_sigaction signal_action_locked(int sig)
{
	struct abi_sigaction *current = &process.actions[sig - 1], action = *current;

	if ((action.flags & SA_RESETHAND) && action.handler > HANDLER_IGNORE)
		current->handler = HANDLER_DEFAULT;
	return action;
}

void signal_run_fault_handler(const struct abi_siginfo *info, uintptr_t pc)
{
	struct posix_thread *p = posix_thread_current();
	irqflags_t flags = spin_lock_irq(&process.lock);
	struct abi_sigaction action = signal_action_locked(info->signo);

	spin_unlock_irq(&process.lock, flags);
	signal_call_handler(p, &action, info, p->mask, &pc);
}

/* Takes the next due signal and reads its action; false when none is due, and the work is done. */
static bool signal_next(struct posix_thread *p, struct abi_siginfo *info,
			struct abi_sigaction *action)
{
	irqflags_t flags = spin_lock_irq(&process.lock);
	int sig = signal_take_locked(p, ~p->mask, info);

	if (sig)
		*action = signal_action_locked(sig);
	else
		thread_take_work_locked(p);
	spin_unlock_irq(&process.lock, flags);
	return sig != 0;
}

struct delivered signal_deliver(long result)
{
	struct posix_thread *p = posix_thread_current();
	bool interrupted = door_is_interrupted(result);
	struct delivery d = { .restartable = true };
	struct abi_siginfo info;
	struct abi_sigaction action;

	if (!p->has_work && !interrupted && !p->mask_is_temporary)
		return (struct delivered){ .result = result };
	while (signal_next(p, &info, &action))
		signal_act(p, &action, &info, interrupted, &d);
	if (p->mask_is_temporary)
		signal_mask_restore();
	if (!interrupted)
		return (struct delivered){ .result = result };
	if (!d.ended && (!d.ran || (result == -ERESTARTSYS && d.restartable)))
		return (struct delivered){ .result = result, .again = true };
	return (struct delivered){ .result = -EINTR };
}

/* For those who wait outside a system call (stream_run): handlers run, nothing restarts. */
void signal_run_handlers(void)
{
	if (posix_thread_current())
		signal_deliver(0);
}

void posix_set_call_pc(uintptr_t pc)
{
	posix_thread_current()->call_pc = pc;
}
