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
	store_release(&e->set, true);
	waitq_wake_all(&e->waiters);
}

void event_reset(struct event *e)
{
	store_relaxed(&e->set, false);
}

bool event_is_set(const struct event *e)
{
	return __atomic_load_n(&e->set, __ATOMIC_ACQUIRE);
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	return waitq_wait(&e->waiters, event_is_set(e), deadline_ns, false);
}
