/*
 * ppoll and pselect6: waiting for any of several descriptors.
 *
 * Each descriptor is watched only if nothing was ready at the first look. All watches lead to one
 * flag and one wake of the calling thread.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/thread.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "fd.h"
#include "signal.h"
#include "syscalls.h"
#include "time.h"

struct poll_entry {
	struct poll_watch watch;
	struct poll_call *call;
	struct file *file;          /* NULL: not a descriptor, or one to be ignored */
	uint32_t events, revents;
};

struct poll_call {
	struct thread *thread;
	uint32_t fired;             /* atomic */
	size_t count;
	struct poll_entry *entries;
	struct poll_entry few[6];
};

static void poll_call_notify(struct poll_watch *w, uint32_t events)
{
	struct poll_call *call = container_of(w, struct poll_entry, watch)->call;

	(void)events;
	__atomic_store_n(&call->fired, 1, __ATOMIC_RELEASE);
	thread_wake(call->thread);
}

static int poll_call_begin(struct poll_call *call, size_t count)
{
	call->thread = thread_current();
	call->fired = 0;
	call->count = count;
	call->entries = call->few;
	if (count > ARRAY_SIZE(call->few) &&
	    !(call->entries = kmalloc(count * sizeof(*call->entries))))
		return -ENOMEM;
	memset(call->entries, 0, count * sizeof(*call->entries));
	return 0;
}

static void poll_call_end(struct poll_call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		poll_watch_remove(&call->entries[i].watch);
		if (call->entries[i].file)
			file_put(call->entries[i].file);
	}
	if (call->entries != call->few)
		kfree(call->entries);
}

static void poll_entry_set(struct poll_call *call, size_t i, int fd, uint32_t events)
{
	struct poll_entry *e = &call->entries[i];

	e->call = call;
	e->events = events | POLL_ERR | POLL_HUP;
	e->file = fd >= 0 ? fd_get(fd) : NULL;
	e->revents = fd >= 0 && !e->file ? POLL_NVAL : 0;
}

/* Looks at every file; how many entries have something to tell. */
static size_t poll_call_look(struct poll_call *call)
{
	size_t ready = 0;

	for (size_t i = 0; i < call->count; i++) {
		struct poll_entry *e = &call->entries[i];

		if (e->file)
			e->revents = e->events & (e->file->ops->poll ? e->file->ops->poll(e->file)
								     : POLL_IN | POLL_OUT);
		ready += e->revents != 0;
	}
	return ready;
}

static void poll_call_watch(struct poll_call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		struct poll_entry *e = &call->entries[i];

		if (!e->file || !e->file->ops->poll_queue)
			continue;
		e->watch.events = e->events;
		e->watch.notify = poll_call_notify;
		poll_watch_add(e->file->ops->poll_queue(e->file), &e->watch);
	}
}

/* The count of ready entries, 0 after the deadline, -EINTR. */
static long poll_call_wait(struct poll_call *call, uint64_t deadline_ns)
{
	size_t ready = poll_call_look(call);
	int ret = 0;

	if (ready || !deadline_ns)
		return (long)ready;
	poll_call_watch(call);
	while (!(ready = poll_call_look(call)) && ret == 0) {
		thread_prepare_wait();
		if (__atomic_exchange_n(&call->fired, 0, __ATOMIC_ACQUIRE))
			thread_cancel_wait();
		else
			ret = thread_block(deadline_ns, true);
	}
	return ready || ret == -ETIMEDOUT ? (long)ready : ret;
}

/* The deadline of a call whose time-out may be zero: 0 then. */
static int poll_deadline(const void *timeout, uint64_t *deadline_ns)
{
	struct abi_timespec t;
	int ret = deadline_read_relative(deadline_ns, timeout);

	if (ret || !timeout)
		return ret;
	if (user_read(&t, timeout, sizeof(t)) < 0)
		return -EFAULT;
	if (!t.sec && !t.nsec)
		*deadline_ns = 0;
	return 0;
}

static long poll_files(void *user_fds, size_t count, uint64_t deadline_ns)
{
	struct abi_pollfd *fds = user_fds;
	struct poll_call call;
	long ret = poll_call_begin(&call, count);

	if (ret)
		return ret;
	for (size_t i = 0; i < count; i++) {
		struct abi_pollfd p;

		if (user_read(&p, &fds[i], sizeof(p)) < 0) {
			ret = -EFAULT;
			call.count = i;
			break;
		}
		poll_entry_set(&call, i, p.fd, (uint16_t)p.events);
	}
	if (ret == 0)
		ret = poll_call_wait(&call, deadline_ns);
	for (size_t i = 0; ret >= 0 && i < count; i++) {
		int16_t revents = (int16_t)call.entries[i].revents;

		if (user_write(&fds[i].revents, &revents, sizeof(revents)) < 0)
			ret = -EFAULT;
	}
	poll_call_end(&call);
	return ret;
}

/* Ends a call that may have had a mask of its own. */
static long masked_result(long ret, const void *mask)
{
	if (ret == -EINTR)
		return -ERESTARTNOHAND;
	if (mask)
		signal_mask_restore();
	return ret;
}

long sys_ppoll(void *fds, unsigned long count, void *timeout, const void *mask, size_t mask_size)
{
	uint64_t deadline_ns, value = 0;
	int ret;

	if (count > fd_limit())
		return -EINVAL;
	ret = poll_deadline(timeout, &deadline_ns);
	if (ret == 0 && mask)
		ret = signal_read_mask(&value, mask, mask_size);
	if (ret)
		return ret;
	if (mask)
		signal_mask_for_call(value);
	return masked_result(poll_files(fds, count, deadline_ns), mask);
}

/* ---- select ---- */

#define SETS 3

static const uint32_t set_events[SETS] = { POLL_IN, POLL_OUT, POLL_PRI };
static const uint32_t set_means[SETS] = {POLL_IN | POLL_HUP | POLL_ERR, POLL_OUT | POLL_ERR,
					 POLL_PRI};

static bool bit_is_set(const uint8_t *set, int n)
{
	return set[n / 8] >> (n % 8) & 1;
}

/* Reads the three sets, one behind the other; a missing one is empty. */
static int sets_read(uint8_t *sets, size_t bytes, void *const user[SETS])
{
	memset(sets, 0, SETS * bytes);
	for (int s = 0; s < SETS; s++)
		if (user[s] && user_read(sets + (size_t)s * bytes, user[s], bytes) < 0)
			return -EFAULT;
	return 0;
}

static uint32_t wanted_of(const uint8_t *sets, size_t bytes, int fd)
{
	uint32_t events = 0;

	for (int s = 0; s < SETS; s++)
		if (bit_is_set(sets + (size_t)s * bytes, fd))
			events |= set_events[s];
	return events;
}

/* Enters the descriptors that are in any set; -EBADF if one is not open. */
static int select_enter(struct poll_call *call, const uint8_t *sets, size_t bytes, int count)
{
	for (int fd = 0; fd < count; fd++) {
		uint32_t events = wanted_of(sets, bytes, fd);

		poll_entry_set(call, (size_t)fd, events ? fd : -1, events);
		if (call->entries[fd].revents & POLL_NVAL)
			return -EBADF;
	}
	return 0;
}

/* Turns what was found into sets again; how many bits are set. */
static long select_result(const struct poll_call *call, uint8_t *sets, size_t bytes, int count)
{
	long bits = 0;

	for (int fd = 0; fd < count; fd++) {
		for (int s = 0; s < SETS; s++) {
			uint8_t *byte = sets + (size_t)s * bytes + fd / 8,
				bit = (uint8_t)(1 << (fd % 8));

			if (!(*byte & bit))
				continue;
			if (call->entries[fd].revents & set_means[s])
				bits++;
			else
				*byte &= (uint8_t)~bit;
		}
	}
	return bits;
}

static long select_files(int count, void *const user[SETS], uint64_t deadline_ns)
{
	size_t bytes = DIV_ROUND_UP((size_t)count, 64) * 8;
	uint8_t *sets = kmalloc(SETS * bytes + 1);
	struct poll_call call;
	long ret;

	if (!sets)
		return -ENOMEM;
	ret = sets_read(sets, bytes, user);
	if (ret == 0)
		ret = poll_call_begin(&call, (size_t)count);
	if (ret == 0) {
		ret = select_enter(&call, sets, bytes, count);
		if (ret == 0)
			ret = poll_call_wait(&call, deadline_ns);
		if (ret >= 0)
			ret = select_result(&call, sets, bytes, count);
		poll_call_end(&call);
	}
	for (int s = 0; ret >= 0 && s < SETS; s++)
		if (user[s] && user_write(user[s], sets + (size_t)s * bytes, bytes) < 0)
			ret = -EFAULT;
	kfree(sets);
	return ret;
}

long sys_pselect6(int count, void *reads, void *writes, void *excepts, void *timeout,
		  const void *packed_mask)
{
	void *const user[SETS] = { reads, writes, excepts };
	struct { const void *mask; size_t size; } packed = { NULL, 0 };
	uint64_t deadline_ns, value = 0;
	int ret;

	if (count < 0)
		return -EINVAL;
	ret = poll_deadline(timeout, &deadline_ns);
	if (ret == 0 && packed_mask)
		ret = user_read(&packed, packed_mask, sizeof(packed));
	if (ret == 0 && packed.mask)
		ret = signal_read_mask(&value, packed.mask, packed.size);
	if (ret)
		return ret;
	if (packed.mask)
		signal_mask_for_call(value);
	return masked_result(select_files((int)MIN((unsigned)count, fd_limit()), user, deadline_ns),
			     packed.mask);
}
