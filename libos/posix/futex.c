/*
 * Futexes: a thread waits while a word of memory holds a value, until somebody wakes that address.
 *
 * A waiter is on the stack of its thread and on the list of its address's bucket. The word is read
 * under the bucket's lock, so a waker that changed it first finds the waiter or is seen by it. A
 * waiter moved by REQUEUE changes its address and bucket; it reads its bucket again until the lock
 * it took is the right one.
 *
 * Locks: one bucket's lock, or two in the order of their addresses; run queues beneath.
 */
#include <core/errno.h>
#include <core/sync.h>
#include <core/thread.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "futex.h"
#include "syscalls.h"
#include "time.h"

#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_PRIVATE_FLAG    128
#define FUTEX_CLOCK_REALTIME  256
#define FUTEX_ANY             0xffffffffu

#define BUCKETS 64

struct bucket {
	struct spinlock lock;
	struct list waiters;
};

struct futex_waiter {
	struct list link;            /* [bucket's lock] */
	struct bucket *bucket;       /* [bucket's lock]; NULL: woken */
	uintptr_t address;           /* [bucket's lock] */
	uint32_t bits;               /* [I] */
	struct thread *thread;       /* [I] */
};

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(uintptr_t address)
{
	struct bucket *b = &buckets[(address >> 2) * 0x9e3779b97f4a7c15ull >> 58];

	_Static_assert(BUCKETS == 1 << (64 - 58), "the hash yields a bucket");
	return b;
}

static struct bucket *bucket_lock(uintptr_t address)
{
	struct bucket *b = bucket_of(address);

	spin_lock(&b->lock);
	if (!b->waiters.next) /* the first use */
		list_init(&b->waiters);
	return b;
}

static void bucket_lock_two(uintptr_t a, uintptr_t b)
{
	struct bucket *first = MIN(bucket_of(a), bucket_of(b)),
		      *second = MAX(bucket_of(a), bucket_of(b));

	spin_lock(&first->lock);
	if (second != first)
		spin_lock(&second->lock);
	if (!first->waiters.next)
		list_init(&first->waiters);
	if (!second->waiters.next)
		list_init(&second->waiters);
}

static void bucket_unlock_two(uintptr_t a, uintptr_t b)
{
	struct bucket *first = bucket_of(a), *second = bucket_of(b);

	spin_unlock(&first->lock);
	if (second != first)
		spin_unlock(&second->lock);
}

static void waiter_wake_locked(struct futex_waiter *w)
{
	struct thread *t = w->thread;

	list_remove(&w->link);
	__atomic_store_n(&w->bucket, NULL, __ATOMIC_RELEASE);
	thread_wake(t);
}

static int bucket_wake_locked(struct bucket *b, uintptr_t address, int max, uint32_t bits)
{
	struct futex_waiter *w, *next;
	int woken = 0;

	list_for_each_safe(w, next, &b->waiters, link) {
		if (woken >= max)
			break;
		if (w->address != address || !(w->bits & bits))
			continue;
		waiter_wake_locked(w);
		woken++;
	}
	return woken;
}

static int futex_wake(uintptr_t address, int max, uint32_t bits)
{
	struct bucket *b;
	int woken;

	if (!bits)
		return -EINVAL;
	b = bucket_lock(address);
	woken = bucket_wake_locked(b, address, max, bits);
	spin_unlock(&b->lock);
	return woken;
}

int futex_wake_address(const void *address, int max)
{
	return futex_wake((uintptr_t)address, max, FUTEX_ANY);
}

/* Takes the waiter off its list unless it was woken; true if it was. */
static bool waiter_withdraw(struct futex_waiter *w)
{
	struct bucket *b;

	while ((b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE))) {
		spin_lock(&b->lock);
		if (w->bucket == b) {
			list_remove(&w->link);
			spin_unlock(&b->lock);
			return false;
		}
		spin_unlock(&b->lock);
	}
	return true;
}

/* 0 with the waiter queued, or why not. */
static int waiter_queue(struct futex_waiter *w, uint32_t *address, uint32_t value)
{
	struct bucket *b = bucket_lock((uintptr_t)address);
	uint32_t now;
	int ret = user_read(&now, address, sizeof(now));

	if (ret == 0 && now != value)
		ret = -EAGAIN;
	if (ret == 0) {
		w->bucket = b;
		list_push_back(&b->waiters, &w->link);
	}
	spin_unlock(&b->lock);
	return ret;
}

/* The waker may still be at thread_wake() of us, under the lock: our thread must not end before. */
static int waiter_finish(const struct futex_waiter *w)
{
	struct bucket *b = bucket_of(w->address);

	spin_lock(&b->lock);
	spin_unlock(&b->lock);
	return 0;
}

static int futex_wait(uint32_t *address, uint32_t value, uint64_t deadline_ns, uint32_t bits)
{
	struct futex_waiter w = {
	    .address = (uintptr_t)address, .bits = bits, .thread = thread_current()};
	int ret;

	if (!bits)
		return -EINVAL;
	ret = waiter_queue(&w, address, value);
	while (ret == 0) {
		thread_prepare_wait();
		if (!__atomic_load_n(&w.bucket, __ATOMIC_ACQUIRE)) {
			thread_cancel_wait();
			return waiter_finish(&w);
		}
		ret = thread_block(deadline_ns, true);
		if (ret && waiter_withdraw(&w))
			return waiter_finish(&w);
	}
	if (ret == -EINTR)
		return deadline_ns == DEADLINE_NEVER ? -ERESTARTSYS : -ERESTARTNOHAND;
	return ret;
}

static int futex_requeue(uint32_t *from, uint32_t *to, int wake, int move, const uint32_t *expected)
{
	uintptr_t a = (uintptr_t)from, b = (uintptr_t)to;
	struct bucket *source = bucket_of(a), *target = bucket_of(b);
	struct futex_waiter *w, *next;
	uint32_t now;
	int ret = 0, moved = 0;

	bucket_lock_two(a, b);
	if (expected)
		ret = user_read(&now, from, sizeof(now)) < 0 ? -EFAULT
		      : now != *expected		     ? -EAGAIN
							     : 0;
	if (ret == 0) {
		ret = bucket_wake_locked(source, a, wake, FUTEX_ANY);
		list_for_each_safe(w, next, &source->waiters, link) {
			if (moved >= move)
				break;
			if (w->address != a)
				continue;
			list_remove(&w->link);
			w->address = b;
			__atomic_store_n(&w->bucket, target, __ATOMIC_RELEASE);
			list_push_back(&target->waiters, &w->link);
			moved++;
		}
		ret += moved;
	}
	bucket_unlock_two(a, b);
	return ret;
}

static int wait_deadline(int op, unsigned long timeout, bool realtime, uint64_t *deadline_ns)
{
	struct abi_timespec t;

	if (op == FUTEX_WAIT || !timeout)
		return deadline_read_relative(deadline_ns, (const void *)timeout);
	if (user_read(&t, (const void *)timeout, sizeof(t)) < 0)
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	return clock_deadline(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, timespec_to_ns(&t),
			      deadline_ns);
}

long sys_futex(uint32_t *address, int op, uint32_t value, unsigned long timeout, uint32_t *address2,
	       uint32_t value3)
{
	bool realtime = op & FUTEX_CLOCK_REALTIME;
	uint64_t deadline_ns;
	int ret;

	op &= ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	if ((uintptr_t)address & 3)
		return -EINVAL;
	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		ret = wait_deadline(op, timeout, realtime, &deadline_ns);
		return ret ? ret
			   : futex_wait(address, value, deadline_ns,
					op == FUTEX_WAIT ? FUTEX_ANY : value3);
	case FUTEX_WAKE:
		return futex_wake((uintptr_t)address, MIN(value, (uint32_t)INT32_MAX), FUTEX_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake((uintptr_t)address, MIN(value, (uint32_t)INT32_MAX), value3);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		if ((int)value < 0 || (int)timeout < 0)
			return -EINVAL;
		return futex_requeue(address, address2, (int)value, (int)timeout,
				     op == FUTEX_CMP_REQUEUE ? &value3 : NULL);
	default:
		return -ENOSYS; /* priority inheritance, WAKE_OP */
	}
}
