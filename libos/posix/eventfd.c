/* eventfd: a 64-bit counter to add to and to take from. */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "fd.h"
#include "syscalls.h"

#define EFD_SEMAPHORE 1

struct eventfd {
	struct spinlock lock;
	uint64_t count;          /* [lock] at most UINT64_MAX - 1 */
	bool semaphore;          /* [I] */
	struct poll_queue queue;
};

static kssize_t eventfd_read(struct file *f, struct uio *u)
{
	struct eventfd *e = f->object;
	uint64_t value;
	kssize_t n;

	if (u->left < sizeof(value))
		return -EINVAL;
	spin_lock(&e->lock);
	value = e->semaphore && e->count ? 1 : e->count;
	e->count -= value;
	spin_unlock(&e->lock);
	if (!value)
		return -EAGAIN;
	n = uio_copy_out(u, &value, sizeof(value));
	poll_notify(&e->queue, POLL_OUT);
	return n;
}

static kssize_t eventfd_write(struct file *f, struct uio *u)
{
	struct eventfd *e = f->object;
	struct uio before = *u;
	uint64_t value = 0;
	bool fits;

	if (u->left < sizeof(value))
		return -EINVAL;
	if (uio_copy_in(u, &value, sizeof(value)) < (kssize_t)sizeof(value))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	spin_lock(&e->lock);
	fits = value < UINT64_MAX - e->count;
	if (fits)
		e->count += value;
	spin_unlock(&e->lock);
	if (!fits) {
		*u = before;
		return -EAGAIN;
	}
	u->left = 0;
	poll_notify(&e->queue, POLL_IN);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f)
{
	struct eventfd *e = f->object;
	uint64_t count = __atomic_load_n(&e->count, __ATOMIC_RELAXED);

	return (count ? POLL_IN : 0) | (count < UINT64_MAX - 1 ? POLL_OUT : 0);
}

static struct poll_queue *eventfd_queue(struct file *f)
{
	return &((struct eventfd *)f->object)->queue;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->object;

	poll_queue_destroy(&e->queue);
	kfree(e);
	kfree(f);
}

static const struct file_ops eventfd_ops = {
	.kind = "eventfd", .read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll,
	.poll_queue = eventfd_queue, .release = eventfd_release,
};

long sys_eventfd2(unsigned initial, int flags)
{
	struct eventfd *e;
	struct file *f;

	if (flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->count = initial;
	e->semaphore = flags & EFD_SEMAPHORE;
	poll_queue_init(&e->queue);
	f = file_create(&eventfd_ops, e, O_RDWR | ((uint32_t)flags & O_NONBLOCK));
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	return fd_install(f, flags & O_CLOEXEC, 0);
}
