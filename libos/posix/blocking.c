/*
 * Waiting for files. See blocking.h.
 *
 * The waiter is registered with the file's poll queue before it tries once more, so that a change
 * between the attempt and the sleep is either seen by the attempt or ends the sleep.
 */
#include <core/errno.h>
#include <core/time.h>
#include <libos/abi.h>

#include "blocking.h"

static void file_wait_notify(struct poll_watch *watch, uint32_t events)
{
	struct file_wait *w = container_of(watch, struct file_wait, watch);

	(void)events;
	__atomic_store_n(&w->fired, 1, __ATOMIC_RELEASE);
	thread_wake(w->thread);
}

void file_wait_begin(struct file_wait *w, struct poll_queue *q, uint32_t events)
{
	w->watch.events = events;
	w->watch.notify = file_wait_notify;
	w->thread = thread_current();
	w->fired = 0;
	poll_watch_add(q, &w->watch);
}

int file_wait_sleep(struct file_wait *w, uint64_t deadline_ns)
{
	int ret = 0;

	while (ret == 0) {
		thread_prepare_wait();
		if (__atomic_exchange_n(&w->fired, 0, __ATOMIC_ACQUIRE)) {
			thread_cancel_wait();
			return 0;
		}
		ret = thread_block(deadline_ns, true);
	}
	return __atomic_exchange_n(&w->fired, 0, __ATOMIC_ACQUIRE) ? 0 : ret;
}

void file_wait_end(struct file_wait *w)
{
	poll_watch_remove(&w->watch);
}

bool file_is_nonblocking(const struct file *f)
{
	return __atomic_load_n(&f->flags, __ATOMIC_RELAXED) & O_NONBLOCK;
}

/* A call with a time-out does not start again, as its time would, too. */
kssize_t file_interrupted(uint64_t deadline_ns)
{
	return deadline_ns == DEADLINE_NEVER ? -ERESTARTSYS : -EINTR;
}

static uint64_t file_deadline(struct file *f, bool reading)
{
	uint64_t ns = f->ops->timeout_ns ? f->ops->timeout_ns(f, reading) : 0;

	return ns ? clock_ns() + ns : DEADLINE_NEVER;
}

/* Apart, so that who need not wait has a small frame. */
__attribute__((noinline)) kssize_t file_read_waiting(struct file *f, struct uio *u)
{
	uint64_t deadline_ns = file_deadline(f, true);

	return file_block_on(f, POLL_IN, false, deadline_ns, f->ops->read(f, u));
}

/* A write that may wait goes on until everything is written, an error, or a signal. */
kssize_t file_write(struct file *f, struct uio *u)
{
	uint64_t deadline_ns = DEADLINE_NEVER;
	kssize_t n, total = 0;

	if (f->ops->timeout_ns)
		deadline_ns = file_deadline(f, false);
	do {
		n = file_block_on(f, POLL_OUT, false, deadline_ns, f->ops->write(f, u));
		total += MAX(n, 0);
	} while (n > 0 && u->left && !file_is_nonblocking(f));
	return total ? total : n;
}
