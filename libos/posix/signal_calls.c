/* The system calls of signals: actions, masks, sending, waiting. */
#include <core/errno.h>
#include <core/string.h>
#include <core/time.h>
#include <libos/uio.h>

#include "signal.h"
#include "syscalls.h"
#include "time.h"

static bool signal_number_is_valid(int sig)
{
	return sig >= 1 && sig <= SIGNALS;
}

long sys_rt_sigaction(int sig, const void *action, void *old, size_t mask_size)
{
	const size_t size = offsetof(struct abi_sigaction, unused);
	struct abi_sigaction new_action = { 0 }, old_action;
	irqflags_t flags;

	if (!signal_number_is_valid(sig) || mask_size != 8)
		return -EINVAL;
	if (action && (sig == SIGKILL || sig == SIGSTOP))
		return -EINVAL;
	if (action && user_read(&new_action, action, size) < 0)
		return -EFAULT;
	flags = spin_lock_irq(&process.lock);
	old_action = process.actions[sig - 1];
	if (action)
		process.actions[sig - 1] = new_action;
	spin_unlock_irq(&process.lock, flags);
	return old ? user_write(old, &old_action, size) : 0;
}

enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };

long sys_rt_sigprocmask(int how, const void *set, void *old, size_t mask_size)
{
	uint64_t before = posix_thread_current()->mask, value;

	if (mask_size != 8)
		return -EINVAL;
	if (set) {
		if (user_read(&value, set, sizeof(value)) < 0)
			return -EFAULT;
		if (how < SIG_BLOCK || how > SIG_SETMASK)
			return -EINVAL;
		value = how == SIG_BLOCK     ? before | value
			: how == SIG_UNBLOCK ? before & ~value
					     : value;
		if (value != before)
			signal_set_mask(value);
	}
	return old ? user_write(old, &before, sizeof(before)) : 0;
}

long sys_rt_sigpending(void *set, size_t mask_size)
{
	const struct posix_thread *p = posix_thread_current();
	uint64_t pending = (p->pending | process.pending) & p->mask;

	if (mask_size > sizeof(pending))
		return -EINVAL;
	return user_write(set, &pending, mask_size);
}

static struct abi_siginfo sent_by_us(int sig, int code)
{
	return (struct abi_siginfo){ .signo = sig, .code = code, .sender = { .pid = PROCESS_ID } };
}

long sys_kill(int pid, int sig)
{
	struct abi_siginfo info = sent_by_us(sig, SI_USER);

	if (sig && !signal_number_is_valid(sig))
		return -EINVAL;
	if (pid != PROCESS_ID && pid != 0 && pid != -1 && pid != -PROCESS_ID)
		return -ESRCH;
	return sig ? signal_send(NULL, &info) : 0;
}

long sys_tgkill(int pid, int tid, int sig)
{
	struct abi_siginfo info = sent_by_us(sig, SI_TKILL);

	if ((sig && !signal_number_is_valid(sig)) || tid <= 0 || pid <= 0)
		return -EINVAL;
	return pid == PROCESS_ID ? signal_send_to_id(tid, &info) : -ESRCH;
}

long sys_tkill(int tid, int sig)
{
	return sys_tgkill(PROCESS_ID, tid, sig);
}

long sys_rt_sigqueueinfo(int pid, int sig, const void *user_info)
{
	struct abi_siginfo info;

	if (user_read(&info, user_info, sizeof(info)) < 0)
		return -EFAULT;
	if (sig && !signal_number_is_valid(sig))
		return -EINVAL;
	if (pid != PROCESS_ID)
		return -ESRCH;
	info.signo = sig;
	return sig ? signal_send(NULL, &info) : 0;
}

long sys_rt_tgsigqueueinfo(int pid, int tid, int sig, const void *user_info)
{
	struct abi_siginfo info;

	if (user_read(&info, user_info, sizeof(info)) < 0)
		return -EFAULT;
	if (sig && !signal_number_is_valid(sig))
		return -EINVAL;
	info.signo = sig;
	return pid == PROCESS_ID ? signal_send_to_id(tid, &info) : -ESRCH;
}

long sys_rt_sigsuspend(const void *mask, size_t mask_size)
{
	uint64_t value;
	int ret = signal_read_mask(&value, mask, mask_size);

	if (ret)
		return ret;
	signal_mask_for_call(value);
	while (!signal_is_due()) {
		thread_prepare_wait();
		thread_block(DEADLINE_NEVER, true);
	}
	return -ERESTARTNOHAND;
}

/* Takes a signal of `wanted`, waiting for it under the name p->waited. */
static int signal_wait(struct posix_thread *p, uint64_t wanted, uint64_t deadline_ns,
		       struct abi_siginfo *info)
{
	int sig, blocked = 0;

	for (;;) {
		irqflags_t flags = spin_lock_irq(&process.lock);

		sig = signal_take_locked(p, wanted, info);
		p->waited = sig || blocked ? 0 : wanted;
		spin_unlock_irq(&process.lock, flags);
		if (sig)
			return sig;
		if (blocked)
			return blocked == -ETIMEDOUT ? -EAGAIN : -EINTR;
		thread_prepare_wait();
		blocked = thread_block(deadline_ns, true);
	}
}

long sys_rt_sigtimedwait(const void *set, void *info, const void *timeout, size_t mask_size)
{
	struct posix_thread *p = posix_thread_current();
	uint64_t wanted, deadline_ns;
	struct abi_siginfo taken;
	int ret = signal_read_mask(&wanted, set, mask_size);

	if (ret == 0)
		ret = deadline_read_relative(&deadline_ns, timeout);
	if (ret)
		return ret;
	ret = signal_wait(p, wanted & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP)), deadline_ns,
			  &taken);
	signal_set_mask(p->mask); /* what else came meanwhile is work, or none is */
	if (ret > 0 && info && user_write(info, &taken, sizeof(taken)) < 0)
		return -EFAULT;
	return ret;
}
