/*
 * A pairing heap of stream_timer: arm and take-first are cheap, cancel is O(log n) amortised, and
 * no memory is needed beside the timers themselves.
 */
#ifndef STREAM_EPOLL_TIMER_H
#define STREAM_EPOLL_TIMER_H

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
