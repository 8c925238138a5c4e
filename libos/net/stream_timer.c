/* A loop's timers. Which is due: timer_heap.h. */
#include "stream_lwip.h"

static void timer_remove(struct stream_loop *loop, struct stream_timer *t)
{
	timer_heap_remove(&loop->timers, t);
	t->armed = false;
}

void stream_timer_arm(struct stream_loop *loop, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t))
{
	if (t->armed)
		timer_remove(loop, t);
	t->fire = fire;
	t->deadline_ns = deadline_ns;
	t->armed = true;
	timer_heap_insert(&loop->timers, t);
}

void stream_timer_cancel(struct stream_loop *loop, struct stream_timer *t)
{
	if (t->armed)
		timer_remove(loop, t);
}

uint64_t stream_timers_deadline(const struct stream_loop *loop)
{
	const struct stream_timer *first = timer_heap_first(&loop->timers);

	return first ? first->deadline_ns : DEADLINE_NEVER;
}

void stream_timers_run(struct stream_loop *loop, uint64_t now_ns)
{
	struct stream_timer *t;

	while ((t = timer_heap_first(&loop->timers)) && t->deadline_ns <= now_ns) {
		timer_remove(loop, t);
		t->fire(t);
	}
}
