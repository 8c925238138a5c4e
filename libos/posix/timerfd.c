/*
 * timerfd: a timer whose expiries are read from a descriptor.
 *
 * A periodic timer is armed for its next expiry only while none is unread: expiries are counted by
 * the clock when somebody looks, so that a timer nobody reads interrupts nobody.
 *
 * Locks: timer->lock, interrupts off, since the timer interrupt takes it.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/time.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "fd.h"
#include "syscalls.h"
#include "time.h"

#define TFD_TIMER_ABSTIME 1

struct timerfd {
	struct spinlock lock;
	/* [lock] deadline not yet counted, DEADLINE_NEVER when disarmed */
	uint64_t next_ns, interval_ns;
	uint64_t expired;              /* [lock] counted and unread */
	int clock;                     /* [I] */
	struct ktimer timer;
	struct poll_queue queue;
};

static void timerfd_count_locked(struct timerfd *t, uint64_t now)
{
	if (t->next_ns > now)
		return;
	if (!t->interval_ns) {
		t->expired++;
		t->next_ns = DEADLINE_NEVER;
		return;
	}
	uint64_t n = (now - t->next_ns) / t->interval_ns + 1;

	t->expired += n;
	t->next_ns += n * t->interval_ns;
}

static void timerfd_arm_locked(struct timerfd *t)
{
	if (t->next_ns != DEADLINE_NEVER && !t->expired)
		ktimer_arm(&t->timer, t->next_ns);
}

static void timerfd_fire(struct ktimer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	irqflags_t flags = spin_lock_irq(&t->lock);

	timerfd_count_locked(t, clock_ns());
	timerfd_arm_locked(t);
	spin_unlock_irq(&t->lock, flags);
	poll_notify(&t->queue, POLL_IN);
}

static kssize_t timerfd_read(struct file *f, struct uio *u)
{
	struct timerfd *t = f->object;
	irqflags_t flags;
	uint64_t n;

	if (u->left < sizeof(n))
		return -EINVAL;
	flags = spin_lock_irq(&t->lock);
	timerfd_count_locked(t, clock_ns());
	n = t->expired;
	t->expired = 0;
	timerfd_arm_locked(t);
	spin_unlock_irq(&t->lock, flags);
	return n ? uio_copy_out(u, &n, sizeof(n)) : -EAGAIN;
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *t = f->object;
	irqflags_t flags = spin_lock_irq(&t->lock);
	uint32_t events;

	timerfd_count_locked(t, clock_ns());
	events = t->expired ? POLL_IN : 0;
	spin_unlock_irq(&t->lock, flags);
	return events;
}

static struct poll_queue *timerfd_queue(struct file *f)
{
	return &((struct timerfd *)f->object)->queue;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->object;
	irqflags_t flags = spin_lock_irq(&t->lock);

	t->next_ns = DEADLINE_NEVER;
	spin_unlock_irq(&t->lock, flags);
	ktimer_cancel(&t->timer);
	poll_queue_destroy(&t->queue);
	kfree(t);
	kfree(f);
}

static const struct file_ops timerfd_ops = {
	.kind = "timerfd", .read = timerfd_read, .poll = timerfd_poll, .poll_queue = timerfd_queue,
	.release = timerfd_release,
};

long sys_timerfd_create(int clock, int flags)
{
	struct timerfd *t;
	struct file *f;

	if (flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return -EINVAL;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->clock = clock;
	t->next_ns = DEADLINE_NEVER;
	ktimer_init(&t->timer, timerfd_fire);
	poll_queue_init(&t->queue);
	f = file_create(&timerfd_ops, t, O_RDWR | ((uint32_t)flags & O_NONBLOCK));
	if (!f) {
		kfree(t);
		return -ENOMEM;
	}
	return fd_install(f, flags & O_CLOEXEC, 0);
}

/* 0 and *out with its file's reference taken, -EBADF, or -EINVAL for another kind of file. */
static int timerfd_get(int fd, struct file **out)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &timerfd_ops) {
		file_put(f);
		return -EINVAL;
	}
	*out = f;
	return 0;
}

static struct abi_itimerspec timerfd_setting_locked(struct timerfd *t)
{
	uint64_t now = clock_ns();
	struct abi_itimerspec s = { .interval = timespec_from_ns(t->interval_ns) };

	timerfd_count_locked(t, now);
	if (t->next_ns != DEADLINE_NEVER)
		s.value = timespec_from_ns(t->next_ns - now);
	return s;
}

static int timerfd_deadline(const struct timerfd *t, const struct abi_itimerspec *s, int flags,
			    uint64_t *deadline_ns)
{
	uint64_t ns = timespec_to_ns(&s->value);

	*deadline_ns = ns ? deadline_after(ns) : DEADLINE_NEVER;
	return ns && (flags & TFD_TIMER_ABSTIME) ? clock_deadline(t->clock, ns, deadline_ns) : 0;
}

long sys_timerfd_settime(int fd, int flags, const void *value, void *old)
{
	struct abi_itimerspec wanted, before;
	uint64_t deadline_ns;
	struct timerfd *t;
	struct file *f;
	int ret;

	if (user_read(&wanted, value, sizeof(wanted)) < 0)
		return -EFAULT;
	if ((flags & ~TFD_TIMER_ABSTIME) || !timespec_is_valid(&wanted.value) ||
	    !timespec_is_valid(&wanted.interval))
		return -EINVAL;
	ret = timerfd_get(fd, &f);
	if (ret)
		return ret;
	t = f->object;
	timerfd_deadline(t, &wanted, flags, &deadline_ns);

	irqflags_t irq = spin_lock_irq(&t->lock);

	before = timerfd_setting_locked(t);
	t->expired = 0;
	t->next_ns = deadline_ns;
	t->interval_ns = timespec_to_ns(&wanted.interval);
	timerfd_arm_locked(t);
	spin_unlock_irq(&t->lock, irq);
	file_put(f);
	return old ? user_write(old, &before, sizeof(before)) : 0;
}

long sys_timerfd_gettime(int fd, void *value)
{
	struct abi_itimerspec setting;
	struct timerfd *t;
	struct file *f;
	int ret = timerfd_get(fd, &f);

	if (ret)
		return ret;
	t = f->object;

	irqflags_t irq = spin_lock_irq(&t->lock);

	setting = timerfd_setting_locked(t);
	spin_unlock_irq(&t->lock, irq);
	file_put(f);
	return user_write(value, &setting, sizeof(setting));
}
