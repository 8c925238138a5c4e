/*
 * The pairing heap behind heap.h (Fredman, Sedgewick, Sleator, Tarjan, 1986).
 *
 * A heap is a tree whose parents come before their children; melding two trees makes the later top
 * a child of the earlier one. Removal melds the orphaned children in two passes: pairs from the
 * front, then the pairs from the back, which gives the amortised bound. Both passes are loops: no
 * deep recursion.
 *
 * `link` is the address of whatever points to the node, so a node leaves its siblings in O(1).
 */
#include <core/assert.h>
#include <core/heap.h>

void heap_init(struct heap *h, heap_less_t less)
{
	h->top = NULL;
	h->less = less;
}

void heap_node_init(struct heap_node *n)
{
	*n = (struct heap_node){ 0 };
}

/*
 * Both are tops without siblings; returns the one that comes first, the other now its first child.
 */
static struct heap_node *meld(const struct heap *h, struct heap_node *a, struct heap_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (h->less(b, a)) {
		struct heap_node *swap = a;

		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->link = &b->next;
	a->child = b;
	b->link = &a->child;
	return a;
}

/* Melds a list of siblings into one tree. */
static struct heap_node *meld_siblings(const struct heap *h, struct heap_node *first)
{
	struct heap_node *pairs = NULL, *all = NULL;

	while (first) {
		struct heap_node *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		pair = meld(h, a, b);
		pair->next = pairs; /* a stack, so that the second pass runs from the back */
		pairs = pair;
	}
	while (pairs) {
		struct heap_node *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		all = meld(h, all, pair);
	}
	return all;
}

static void set_top(struct heap *h, struct heap_node *n)
{
	h->top = n;
	if (n) {
		n->next = NULL;
		n->link = &h->top;
	}
}

void heap_insert(struct heap *h, struct heap_node *n)
{
	assert(!heap_node_is_linked(n));
	*n = (struct heap_node){ 0 };
	set_top(h, meld(h, h->top, n));
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *rest;

	assert(heap_node_is_linked(n));
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
	rest = meld_siblings(h, n->child);
	set_top(h, meld(h, h->top, rest));
	heap_node_init(n);
}

struct heap_node *heap_pop(struct heap *h)
{
	struct heap_node *top = h->top;

	if (top)
		heap_remove(h, top);
	return top;
}
