/*
 * A balanced (AVL) tree threaded through the objects it holds. No allocation, no locks.
 *
 * The owner gives the order with each call that needs it. Heights differ by at most one between
 * siblings, so every operation is O(log n) in the worst case, whatever order keys come in.
 *
 * Equal keys are allowed: a later one comes after those already there.
 */
#ifndef CORE_TREE_H
#define CORE_TREE_H

#include <core/types.h>

struct tree_node {
	struct tree_node *parent, *child[2];
	int height; /* 0: not in a tree */
};

struct tree {
	struct tree_node *root;
};

#define TREE_INIT { NULL }

/* True if `a` belongs before `b`. */
typedef bool (*tree_less_t)(const struct tree_node *a, const struct tree_node *b);
/* <0 when the key belongs before the node, 0 when it is the node's key, >0 when after. */
typedef int (*tree_compare_t)(const void *key, const struct tree_node *node);

void tree_init(struct tree *t);
void tree_node_init(struct tree_node *n);
void tree_insert(struct tree *t, struct tree_node *n, tree_less_t less);
void tree_remove(struct tree *t, struct tree_node *n);

struct tree_node *tree_find(const struct tree *t, const void *key, tree_compare_t compare);
/* The first node not before the key, or NULL; the last node not after it, or NULL. */
struct tree_node *tree_find_at_or_after(const struct tree *t, const void *key,
					tree_compare_t compare);
struct tree_node *tree_find_at_or_before(const struct tree *t, const void *key,
					 tree_compare_t compare);

struct tree_node *tree_first(const struct tree *t);
struct tree_node *tree_last(const struct tree *t);
struct tree_node *tree_next(const struct tree_node *n);
struct tree_node *tree_prev(const struct tree_node *n);

static inline bool tree_is_empty(const struct tree *t)
{
	return !t->root;
}

static inline bool tree_is_linked(const struct tree_node *n)
{
	return n->height != 0;
}

#define tree_entry(node, type, member) container_of(node, type, member)

#endif
