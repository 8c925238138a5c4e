/*
 * A pairing heap threaded through the objects it holds: a priority queue whose insertion is O(1)
 * and whose removal is O(log n) amortised. No allocation, no locks; the owner guards it.
 *
 * Chosen over a heap in an array because arming a timer must not need memory, and over the balanced
 * tree because most timers are cancelled before they come near the top.
 */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include <core/types.h>

struct heap_node {
	struct heap_node *child;   /* first child */
	struct heap_node *next;    /* next sibling */
	struct heap_node **link;   /* the pointer that points here; NULL: in no heap */
};

/* True if `a` comes out before `b`. */
typedef bool (*heap_less_t)(const struct heap_node *a, const struct heap_node *b);

struct heap {
	struct heap_node *top;     /* the least, or NULL */
	heap_less_t less;
};

void heap_init(struct heap *h, heap_less_t less);
void heap_node_init(struct heap_node *n);
void heap_insert(struct heap *h, struct heap_node *n);
void heap_remove(struct heap *h, struct heap_node *n);
struct heap_node *heap_pop(struct heap *h);           /* NULL when empty */

static inline bool heap_node_is_linked(const struct heap_node *n)
{
	return n->link != NULL;
}

#define heap_entry(node, type, member) container_of(node, type, member)

#endif
