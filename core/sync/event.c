/*
 * Events: a latch. Set once, it wakes all who wait and lets everybody through until it is reset.
 */
#include <core/sync.h>

void event_init(struct event *e)
{
	e->set = false;
	waitq_init(&e->waiters);
}

void event_set(struct event *e)
{
	__atomic_store_n(&e->set, true, __ATOMIC_RELEASE);
	waitq_wake_all(&e->waiters);
}

void event_reset(struct event *e)
{
	__atomic_store_n(&e->set, false, __ATOMIC_RELAXED);
}

bool event_is_set(const struct event *e)
{
	return __atomic_load_n(&e->set, __ATOMIC_ACQUIRE);
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	return waitq_wait(&e->waiters, event_is_set(e), deadline_ns, false);
}
