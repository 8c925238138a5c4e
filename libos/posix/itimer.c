/*
 * setitimer() and getitimer() of real time, which musl makes alarm() of.
 * Locks: alarm_lock, interrupts off, since the timer interrupt takes it.
 */
#include <core/errno.h>
#include <core/time.h>
#include <libos/uio.h>

#include "signal.h"
#include "syscalls.h"
#include "time.h"

#define ITIMER_REAL 0

static void alarm_fire(struct ktimer *timer);

static struct spinlock alarm_lock = SPINLOCK_INIT;
static uint64_t alarm_next_ns = DEADLINE_NEVER, alarm_interval_ns; /* [alarm_lock] */
static struct ktimer alarm_timer;

static void alarm_fire(struct ktimer *timer)
{
	struct abi_siginfo info = { .signo = SIGALRM, .code = SI_KERNEL };
	irqflags_t flags = spin_lock_irq(&alarm_lock);
	bool due = alarm_next_ns <= clock_ns();

	if (due)
		alarm_next_ns =
		    alarm_interval_ns ? alarm_next_ns + alarm_interval_ns : DEADLINE_NEVER;
	if (alarm_next_ns != DEADLINE_NEVER)
		ktimer_arm(timer, alarm_next_ns);
	spin_unlock_irq(&alarm_lock, flags);
	if (due)
		signal_send(NULL, &info);
}

static struct abi_timeval timeval_from_ns(uint64_t ns)
{
	return (struct abi_timeval){(int64_t)(ns / NSEC_PER_SEC),
				    (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

static bool timeval_to_ns(const struct abi_timeval *t, uint64_t *ns)
{
	struct abi_timespec spec = { t->sec, t->usec * (int64_t)NSEC_PER_USEC };

	if (t->usec < 0 || t->usec >= 1000000 || !timespec_is_valid(&spec))
		return false;
	*ns = timespec_to_ns(&spec);
	return true;
}

static struct abi_itimerval alarm_setting_locked(void)
{
	uint64_t now = clock_ns(), left = 0;

	if (alarm_next_ns != DEADLINE_NEVER)
		left = alarm_next_ns > now ? alarm_next_ns - now : NSEC_PER_USEC;
	return (struct abi_itimerval){ timeval_from_ns(alarm_interval_ns), timeval_from_ns(left) };
}

long sys_getitimer(int which, void *value)
{
	struct abi_itimerval setting;
	irqflags_t flags;

	if (which != ITIMER_REAL)
		return -EINVAL;
	flags = spin_lock_irq(&alarm_lock);
	setting = alarm_setting_locked();
	spin_unlock_irq(&alarm_lock, flags);
	return user_write(value, &setting, sizeof(setting));
}

long sys_setitimer(int which, const void *value, void *old)
{
	struct abi_itimerval wanted = { { 0, 0 }, { 0, 0 } }, before;
	uint64_t first_ns, interval_ns;
	irqflags_t flags;

	if (which != ITIMER_REAL)
		return -EINVAL;
	if (value && user_read(&wanted, value, sizeof(wanted)) < 0)
		return -EFAULT;
	if (!timeval_to_ns(&wanted.value, &first_ns) ||
	    !timeval_to_ns(&wanted.interval, &interval_ns))
		return -EINVAL;
	flags = spin_lock_irq(&alarm_lock);
	before = alarm_setting_locked();
	if (!alarm_timer.fire)
		ktimer_init(&alarm_timer, alarm_fire);
	alarm_interval_ns = interval_ns;
	alarm_next_ns = first_ns ? deadline_after(first_ns) : DEADLINE_NEVER;
	if (first_ns)
		ktimer_arm(&alarm_timer, alarm_next_ns);
	spin_unlock_irq(&alarm_lock, flags);
	return old ? user_write(old, &before, sizeof(before)) : 0;
}
