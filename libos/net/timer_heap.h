/*
 * The timers of a stream loop, of either back end: a pairing heap (Fredman, Sedgewick, Sleator and
 * Tarjan, 1986) threaded through the timers themselves. Arming takes constant time and no memory,
 * cancelling O(log n) amortised.
 */
#ifndef NET_TIMER_HEAP_H
#define NET_TIMER_HEAP_H

#include <libos/stream.h>

struct timer_heap {
	struct stream_timer *root;
};

/* `t` must not be in a heap. */
void timer_heap_insert(struct timer_heap *heap, struct stream_timer *t);
/* `t` must be in this heap. */
void timer_heap_remove(struct timer_heap *heap, struct stream_timer *t);
/* The timer with the earliest deadline, or NULL. */
struct stream_timer *timer_heap_first(const struct timer_heap *heap);

#endif
