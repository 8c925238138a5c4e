/*
 * A loop's timers: a pairing heap (Fredman, Sedgewick, Sleator and Tarjan, 1986) threaded through
 * the owners' timers, so that arming never allocates and takes constant time.
 *
 * heap_child is the first child; heap_next the next sibling; heap_prev the previous sibling, or the
 * parent for a first child, or NULL for the root.
 */
#include "stream_lwip.h"

static struct stream_timer *meld(struct stream_timer *a, struct stream_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		struct stream_timer *t = a;

		a = b;
		b = t;
	}
	b->heap_prev = a;
	b->heap_next = a->heap_child;
	if (a->heap_child)
		a->heap_child->heap_prev = b;
	a->heap_child = b;
	a->heap_next = a->heap_prev = NULL;
	return a;
}

/* Melds a list of siblings into one heap: pairs from the left, then the pairs together. */
static struct stream_timer *meld_siblings(struct stream_timer *first)
{
	struct stream_timer *pairs = NULL, *heap = NULL;

	while (first) {
		struct stream_timer *a = first, *b = a->heap_next;

		first = b ? b->heap_next : NULL;
		a->heap_next = a->heap_prev = NULL;
		if (b)
			b->heap_next = b->heap_prev = NULL;
		a = meld(a, b);
		a->heap_next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct stream_timer *next = pairs->heap_next;

		pairs->heap_next = NULL;
		heap = meld(heap, pairs);
		pairs = next;
	}
	return heap;
}

static void timer_remove(struct stream_loop *loop, struct stream_timer *t)
{
	struct stream_timer *children = meld_siblings(t->heap_child);

	if (loop->timers == t) {
		loop->timers = children;
	} else {
		if (t->heap_prev->heap_child == t)
			t->heap_prev->heap_child = t->heap_next;
		else
			t->heap_prev->heap_next = t->heap_next;
		if (t->heap_next)
			t->heap_next->heap_prev = t->heap_prev;
		loop->timers = meld(loop->timers, children);
	}
	t->heap_child = t->heap_next = t->heap_prev = NULL;
	t->armed = false;
}

void stream_timer_arm(struct stream_loop *loop, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t))
{
	if (t->armed)
		timer_remove(loop, t);
	t->fire = fire;
	t->deadline_ns = deadline_ns;
	t->heap_child = t->heap_next = t->heap_prev = NULL;
	t->armed = true;
	loop->timers = meld(loop->timers, t);
}

void stream_timer_cancel(struct stream_loop *loop, struct stream_timer *t)
{
	if (t->armed)
		timer_remove(loop, t);
}

uint64_t stream_timers_deadline(const struct stream_loop *loop)
{
	return loop->timers ? loop->timers->deadline_ns : DEADLINE_NEVER;
}

void stream_timers_run(struct stream_loop *loop, uint64_t now_ns)
{
	while (loop->timers && loop->timers->deadline_ns <= now_ns) {
		struct stream_timer *t = loop->timers;

		timer_remove(loop, t);
		t->fire(t);
	}
}
