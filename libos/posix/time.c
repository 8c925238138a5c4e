/*
 * Clocks and sleeping. Absolute times of the wall clock become deadlines of the monotonic clock
 * when a wait begins; a wall clock set meanwhile does not move them (Linux would).
 */
#include <core/errno.h>
#include <core/thread.h>
#include <libos/uio.h>

#include "process.h"
#include "syscalls.h"
#include "time.h"

bool timespec_is_valid(const struct abi_timespec *t)
{
	return t->sec >= 0 && t->nsec >= 0 && t->nsec < (int64_t)NSEC_PER_SEC;
}

uint64_t timespec_to_ns(const struct abi_timespec *t)
{
	if ((uint64_t)t->sec >= UINT64_MAX / NSEC_PER_SEC)
		return UINT64_MAX;
	return (uint64_t)t->sec * NSEC_PER_SEC + (uint64_t)t->nsec;
}

struct abi_timespec timespec_from_ns(uint64_t ns)
{
	return (struct abi_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

uint64_t deadline_after(uint64_t ns)
{
	uint64_t now = clock_ns();

	return ns > DEADLINE_NEVER - now ? DEADLINE_NEVER : now + ns;
}

int deadline_read_relative(uint64_t *deadline_ns, const void *user_timespec)
{
	struct abi_timespec t;

	*deadline_ns = DEADLINE_NEVER;
	if (!user_timespec)
		return 0;
	if (user_read(&t, user_timespec, sizeof(t)) < 0)
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	*deadline_ns = deadline_after(timespec_to_ns(&t));
	return 0;
}

static uint64_t processor_time(bool whole_process)
{
	struct posix_thread *p;
	irqflags_t flags;
	uint64_t sum = 0;

	if (!whole_process)
		return thread_ran_ns(thread_current());
	flags = spin_lock_irq(&process.lock);
	list_for_each(p, &process.threads, link)
		sum += thread_ran_ns(p->thread);
	spin_unlock_irq(&process.lock, flags);
	return sum;
}

int clock_read(int clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		*ns = clock_wall_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = clock_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = processor_time(clock == CLOCK_PROCESS_CPUTIME_ID);
		return 0;
	default:
		return -EINVAL;
	}
}

int clock_deadline(int clock, uint64_t ns, uint64_t *deadline_ns)
{
	uint64_t now;
	int ret = clock_read(clock, &now);

	if (ret == 0)
		*deadline_ns = ns <= now ? clock_ns() : deadline_after(ns - now);
	return ret;
}

long sys_clock_gettime(int clock, void *time)
{
	struct abi_timespec t;
	uint64_t ns;
	int ret = clock_read(clock, &ns);

	if (ret)
		return ret;
	t = timespec_from_ns(ns);
	return user_write(time, &t, sizeof(t));
}

long sys_clock_getres(int clock, void *resolution)
{
	struct abi_timespec t = { 0, 1 };
	uint64_t ns;
	int ret = clock_read(clock, &ns);

	return ret || !resolution ? ret : user_write(resolution, &t, sizeof(t));
}

long sys_clock_settime(int clock, const void *time)
{
	struct abi_timespec t;

	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (user_read(&t, time, sizeof(t)) < 0)
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	clock_set_wall_ns(timespec_to_ns(&t));
	return 0;
}

long sys_gettimeofday(void *time, void *zone)
{
	uint64_t ns = clock_wall_ns();
	struct abi_timeval t = {(int64_t)(ns / NSEC_PER_SEC),
				(int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
	static const int utc[2];

	if (time && user_write(time, &t, sizeof(t)) < 0)
		return -EFAULT;
	return zone ? user_write(zone, utc, sizeof(utc)) : 0;
}

long sys_settimeofday(const void *time, const void *zone)
{
	struct abi_timeval t;

	(void)zone;
	if (!time)
		return 0;
	if (user_read(&t, time, sizeof(t)) < 0)
		return -EFAULT;
	if (t.sec < 0 || t.usec < 0 || t.usec >= 1000000)
		return -EINVAL;
	clock_set_wall_ns((uint64_t)t.sec * NSEC_PER_SEC + (uint64_t)t.usec * NSEC_PER_USEC);
	return 0;
}

static long sleep_until(uint64_t deadline_ns, void *left)
{
	struct abi_timespec rest;
	uint64_t now;
	int ret;

	do {
		thread_prepare_wait();
		ret = thread_block(deadline_ns, true);
	} while (ret == 0);
	if (ret == -ETIMEDOUT)
		return 0;
	now = clock_ns();
	rest = timespec_from_ns(deadline_ns > now ? deadline_ns - now : 0);
	if (left && user_write(left, &rest, sizeof(rest)) < 0)
		return -EFAULT;
	return -ERESTARTNOHAND;
}

long sys_clock_nanosleep(int clock, int flags, const void *wanted, void *left)
{
	struct abi_timespec t;
	uint64_t deadline_ns;
	int ret;

	if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_PROCESS_CPUTIME_ID)
		return -EINVAL;
	if (user_read(&t, wanted, sizeof(t)) < 0)
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	if (!(flags & TIMER_ABSTIME))
		return sleep_until(deadline_after(timespec_to_ns(&t)), left);
	ret = clock_deadline(clock, timespec_to_ns(&t), &deadline_ns);
	return ret ? ret : sleep_until(deadline_ns, NULL);
}

long sys_nanosleep(const void *wanted, void *left)
{
	return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, wanted, left);
}

#define USER_HZ 100

struct abi_tms { int64_t user, system, child_user, child_system; };

long sys_times(void *times)
{
	struct abi_tms t = { .user = (int64_t)(processor_time(true) / (NSEC_PER_SEC / USER_HZ)) };

	if (times && user_write(times, &t, sizeof(t)) < 0)
		return -EFAULT;
	return (long)(clock_ns() / (NSEC_PER_SEC / USER_HZ));
}
