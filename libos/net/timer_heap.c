/*
 * The pairing heap behind stream_timer_arm().
 *
 * A node's children hang from heap_child and are linked by heap_next. heap_prev leads back: to the
 * sibling on the left, or, for the first child, to the parent; so any node can be cut out.
 */
#include "timer_heap.h"

/* Joins two heaps; the later root becomes the first child of the earlier one. */
static struct stream_timer *join(struct stream_timer *a, struct stream_timer *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
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
	return a;
}

/* Joins a list of siblings: pairs from the left, then the pairs from the right. */
static struct stream_timer *join_siblings(struct stream_timer *first)
{
	struct stream_timer *pairs = NULL, *all = NULL;

	while (first) {
		struct stream_timer *a = first, *b = a->heap_next;

		first = b ? b->heap_next : NULL;
		a->heap_next = a->heap_prev = NULL;
		if (b)
			b->heap_next = b->heap_prev = NULL;
		a = join(a, b);
		a->heap_next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct stream_timer *next = pairs->heap_next;

		pairs->heap_next = NULL;
		all = join(all, pairs);
		pairs = next;
	}
	return all;
}

void timer_heap_insert(struct timer_heap *heap, struct stream_timer *t)
{
	t->heap_child = t->heap_next = t->heap_prev = NULL;
	heap->root = join(heap->root, t);
}

static void cut(struct stream_timer *t)
{
	if (t->heap_prev->heap_child == t)
		t->heap_prev->heap_child = t->heap_next;
	else
		t->heap_prev->heap_next = t->heap_next;
	if (t->heap_next)
		t->heap_next->heap_prev = t->heap_prev;
}

void timer_heap_remove(struct timer_heap *heap, struct stream_timer *t)
{
	struct stream_timer *children = join_siblings(t->heap_child);

	if (t == heap->root) {
		heap->root = children;
	} else {
		cut(t);
		heap->root = join(heap->root, children);
	}
	t->heap_child = t->heap_next = t->heap_prev = NULL;
}

struct stream_timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->root;
}
